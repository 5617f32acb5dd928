"""The recount: everything that is cached or promised is worked out again from the immutable rows."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from bijlighar.ledger import dues_store, rules, store
from bijlighar.ledger.model import BILL_PROVIDER, NO_ACCOUNT, Due, Head, LedgerCheck, TransferKind

PROBLEMS_MAX = 20
_CLEARING_HEADS = (Head.GATEWAY, Head.CHEQUES, Head.CASH, Head.BANK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """What the immutable rows say, in paise."""

    cached: Mapping[tuple[str, str], tuple[int, int]]
    balances: Mapping[tuple[str, str], tuple[int, int]]
    dues: tuple[Due, ...]
    posted: Mapping[str, int]
    held: Mapping[tuple[int, str], int]
    receipts: int
    cleared: int
    used: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    on_due: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    live: dict[int, int] = field(default_factory=dict)
    credit: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    free: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def net(self, account: str, head: Head) -> int:
        """Return debits less credits of a head of an account."""
        debits, credits = self.balances.get((account, head), (0, 0))
        return debits - credits

    @property
    def accounts(self) -> frozenset[str]:
        """Return every account that has an entry or a due."""
        entered = {account for account, _ in self.balances if account != NO_ACCOUNT}
        return frozenset(entered | {due.account for due in self.dues} | set(self.free))


def recount(connection: Connection) -> LedgerCheck:
    """Return the verdict."""
    counted = _count(connection)
    balance_problems = tuple(_balance_problems(counted))
    allocation_problems = tuple(_allocation_problems(counted))
    due_problems = tuple(_due_problems(counted))
    receipt_problems = tuple(_receipt_problems(counted))
    return LedgerCheck(
        balanced=not balance_problems,
        allocations_ok=not allocation_problems,
        dues_ok=not due_problems,
        receipts_ok=not receipt_problems,
        problems=(balance_problems + allocation_problems + due_problems + receipt_problems)[:PROBLEMS_MAX],
    )


def _count(connection: Connection) -> _Counted:
    rows = dues_store.payments(connection, account=None)
    bill_kinds = (TransferKind.BILL, TransferKind.CREDIT)
    money_kinds = (TransferKind.PAYMENT, TransferKind.REVERSAL, TransferKind.SETTLEMENT)
    counted = _Counted(
        cached=store.cached_balances(connection),
        balances=store.rebuilt_balances(connection),
        dues=dues_store.dues(connection, accounts=None, with_closed=True),
        posted=store.net_by_document(connection, heads=(Head.RECEIVABLE,), kinds=bill_kinds, documents=None),
        held=dues_store.held(connection, account=None),
        receipts=sum(
            row.amount_paise for row in rows if row.provider != BILL_PROVIDER and row.reversed_at is None
        ),
        cleared=store.net_of(connection, heads=_CLEARING_HEADS, kinds=money_kinds),
    )
    for (number, document), paise in counted.held.items():
        counted.used[number] += paise
        counted.on_due[document] += paise
    for row in rows:
        counted.live[row.id] = 0 if row.reversed_at or row.owner is None else row.amount_paise
        if row.owner is not None:
            counted.credit[row.owner] += counted.live[row.id]
            counted.free[row.owner] += counted.live[row.id] - counted.used[row.id]
    return counted


def _balance_problems(counted: _Counted) -> Iterator[str]:
    for pair in sorted(counted.cached.keys() | counted.balances.keys()):
        if counted.cached.get(pair) != counted.balances.get(pair):
            yield f"balance of {pair}: cached {counted.cached.get(pair)}, counted {counted.balances.get(pair)}"
    difference = sum(debits - credits for debits, credits in counted.balances.values())
    if difference:
        yield f"debits less credits of the whole ledger are {difference} paise, not 0"


def _allocation_problems(counted: _Counted) -> Iterator[str]:
    for (number, document), paise in counted.held.items():
        if paise < 0:
            yield f"payment {number} covers {document} with {paise} paise"
    for number, used_paise in counted.used.items():
        if used_paise > counted.live.get(number, 0):
            yield f"payment {number} covers {used_paise} of its {counted.live.get(number, 0)} paise"
    yield from _order_problems(counted)
    for account in sorted(counted.accounts):
        advance_paise = -counted.net(account, Head.ADVANCE)
        if counted.free[account] != advance_paise:
            yield f"advance of {account} is {advance_paise} paise, its free payments {counted.free[account]}"


def _order_problems(counted: _Counted) -> Iterator[str]:
    of_account: dict[str, list[rules.DueFill]] = defaultdict(list)
    for due in counted.dues:
        of_account[due.account].append(dues_store.fill_of(due))
    for account, fills in of_account.items():
        for document, paise in rules.covered(dues=fills, credit_paise=counted.credit[account]).items():
            if counted.on_due[document] != paise:
                yield f"due {document}: covered {counted.on_due[document]} paise, oldest first would be {paise}"


def _due_problems(counted: _Counted) -> Iterator[str]:
    owed: dict[str, int] = defaultdict(int)
    for due in counted.dues:
        owed[due.account] += due.open_paise
        open_paise = due.amount_paise - counted.on_due[due.document]
        if counted.posted.get(due.document, 0) != due.amount_paise:
            yield f"due {due.document} of {due.amount_paise} paise does not equal what its document posted"
        if due.open_paise != open_paise:
            yield f"due {due.document}: open {due.open_paise} paise, counted {open_paise}"
    known = {due.document for due in counted.dues}
    for document, paise in counted.posted.items():
        if paise and document not in known:
            yield f"document {document} posted {paise} paise to the receivable and has no due"
    for account in sorted(counted.accounts):
        receivable_paise = counted.net(account, Head.RECEIVABLE)
        if owed[account] != receivable_paise:
            yield f"receivable of {account} is {receivable_paise} paise, its open dues {owed[account]}"


def _receipt_problems(counted: _Counted) -> Iterator[str]:
    if counted.cleared != counted.receipts:
        yield f"bank and clearing hold {counted.cleared} paise, payments less reversals are {counted.receipts}"
