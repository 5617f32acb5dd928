"""What other rooms may do with bills: run a month, correct, release, make the PDF."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from bijlighar.base.period import Month, local_date
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.base.words import Language
from bijlighar.billing import content, loading, queries, rules, store, typesetting
from bijlighar.billing.errors import CannotBill, MonthNotOver, NothingParked
from bijlighar.billing.model import (
    Bill,
    BillKind,
    BillLine,
    Computed,
    Item,
    ItemState,
    Parked,
    Payee,
    Plausibility,
    Reason,
)
from bijlighar.ledger import operations as ledger
from bijlighar.ledger import queries as ledger_queries
from bijlighar.ledger.model import Head as LedgerHead
from bijlighar.ledger.rules import bill_transfers
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database
from bijlighar.tariffs.model import Books, Head

SEQUENCE = "billing.bill"
#: Accounts looked at in one call of `issue_due`.
ACCOUNTS_PER_CALL = 1_000
#: Bills issued in one transaction.
BILLS_PER_TRANSACTION = 50
TOKEN_OCTETS = 24

_LEDGER_HEADS = {
    Head.ENERGY: LedgerHead.ENERGY,
    Head.FIXED: LedgerHead.FIXED,
    Head.DEMAND: LedgerHead.DEMAND,
    Head.TOD: LedgerHead.TOD,
    Head.FUEL: LedgerHead.FUEL,
    Head.MINIMUM: LedgerHead.MINIMUM,
    Head.REBATE: LedgerHead.REBATE,
    Head.OTHER: LedgerHead.OTHER_INCOME,
    Head.DUTY: LedgerHead.DUTY,
    Head.SUBSIDY: LedgerHead.SUBSIDY,
    Head.ROUNDING: LedgerHead.ROUNDING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A bill that is ready to be issued."""

    basis: loading.Basis
    computed: Computed
    lines: tuple[BillLine, ...]
    kind: BillKind
    seq: int
    of: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """The day of issue, the due day, and where the links lead."""

    issued_on: date
    due_on: date
    base_url: str
    now: datetime


def issue_due(  # noqa: PLR0913 - what a company sets for its bills
    database: Database,
    *,
    now: datetime,
    books: Books,
    due_days: int,
    month: Month | None = None,
    bill_base_url: str = "",
    limit: int = ACCOUNTS_PER_CALL,
    bill_from_day: int = queries.BILL_FROM_DAY,
    plausibility: Plausibility | None = None,
) -> int:
    """
    Issue the bills of the months due, or of `month`, for up to `limit` accounts, and return how many were issued.

    Bill, ledger and message are written in one transaction, so that a call that dies in between is simply repeated.
    Each account ends billed, parked with a reason, or excluded with a reason; `queries.pending` tells whether there
    is more. A link is `bill_base_url/TOKEN`.

    :raises MonthNotOver: if `month` has not ended.
    """
    today = local_date(now)
    if month is not None and month.last >= today:
        raise MonthNotOver(f"{month} ends on {month.last}; bill it from the day after")
    terms = _Terms(
        issued_on=today, due_on=today + timedelta(days=due_days), base_url=bill_base_url.rstrip("/"), now=now
    )
    with database.read() as connection:
        months = (
            (month,)
            if month is not None
            else queries.months_due(connection, now=now, bill_from_day=bill_from_day)
        )
    issued = 0
    left = limit
    for each in months:
        done, looked_at = _issue_month(
            database,
            month=each,
            books=books,
            terms=terms,
            limit=left,
            again=month is not None,
            plausibility=plausibility or Plausibility(),
        )
        issued += done
        left -= looked_at
        if left <= 0:
            break
    return issued


def _issue_month(
    database: Database,
    *,
    month: Month,
    books: Books,
    terms: _Terms,
    limit: int,
    again: bool,
    plausibility: Plausibility,
) -> tuple[int, int]:
    """Return how many bills of the month were issued and how many accounts were looked at."""
    with database.read() as connection:
        if not again and _is_finished(connection, month=month, now=terms.now):
            return 0, 0
        to_do = queries.to_do(connection, month=month, now=terms.now, again=again)
        accounts = to_do[:limit]
        network = loading.load_network(connection, month=month, accounts=accounts)
    issued = 0
    for begin in range(0, len(accounts), BILLS_PER_TRANSACTION):
        some = accounts[begin : begin + BILLS_PER_TRANSACTION]
        with database.read() as connection:
            bases = loading.load(connection, accounts=some, month=month, network=network)
            released = store.released(connection, month=month, accounts=some)
        decided = {
            account: _decide(
                basis=basis, books=books, plausibility=None if account in released else plausibility
            )
            for account, basis in bases.items()
        }
        with database.write() as connection:
            for account, draft in decided.items():
                issued += _settle(connection, month=month, account=account, draft=draft, terms=terms)
    if len(accounts) == len(to_do):
        with database.write() as connection:
            report = queries.report(connection, month=month)
            store.put_run(connection, report=report, day=local_date(terms.now), now=terms.now)
    return issued, len(accounts)


def _is_finished(connection: Connection, *, month: Month, now: datetime) -> bool:
    return (
        store.run_of(connection, month=month, day=local_date(now)) is not None
        and store.waiting(connection) == 0
    )


def _decide(
    *, basis: loading.Basis | Parked, books: Books, plausibility: Plausibility | None
) -> _Draft | Parked:
    if isinstance(basis, Parked):
        return basis
    if plausibility is not None:
        strange = rules.out_of_proportion(
            determinants=basis.determinants, before=basis.before, limits=plausibility
        )
        if strange is not None:
            return strange
    computed = rules.compute(facts=basis.facts, determinants=basis.determinants, books=books)
    if isinstance(computed, Parked):
        return computed
    return _Draft(basis=basis, computed=computed, lines=computed.lines, kind=BillKind.BILL, seq=0, of=None)


def _settle(
    connection: Connection, *, month: Month, account: str, draft: _Draft | Parked, terms: _Terms
) -> int:
    """Write what became of an account; return 1 if its bill was issued now."""
    item = Item(
        month=month,
        account=account,
        state=ItemState.BILLED,
        reason=None,
        detail="",
        number=None,
        checked_at=terms.now,
    )
    if isinstance(draft, Parked):
        is_out = draft.reason in (Reason.NO_METER, Reason.COVERED)
        state = ItemState.EXCLUDED if is_out else ItemState.PARKED
        store.put_item(connection, item=replace(item, state=state, reason=draft.reason, detail=draft.detail))
        return 0
    ledger.lock_account(connection, account=account, now=terms.now)
    known = store.has_bill(connection, account=account, month=month)
    number = known or _issue(connection, draft=draft, terms=terms).number
    store.put_item(connection, item=replace(item, number=number))
    return 0 if known else 1


def _issue(connection: Connection, *, draft: _Draft, terms: _Terms) -> Bill:
    """Write a bill, its transfers, its due and its message; the account's lock is held."""
    determinants = draft.basis.determinants
    serial = sequences.take(connection, name=SEQUENCE)
    heading = content.Heading(
        number=rules.bill_number(month=determinants.month, serial=serial),
        kind=draft.kind,
        account=determinants.account,
        month=determinants.month,
        seq=draft.seq,
        of=draft.of,
        issued_on=terms.issued_on,
        due_on=terms.due_on,
        previous_paise=ledger_queries.balance_paise(connection, account=determinants.account),
        last_payment=_last_payment(connection, account=determinants.account),
    )
    text = content.write(
        heading=heading,
        facts=draft.basis.facts,
        place=draft.basis.place,
        determinants=determinants,
        computed=draft.computed,
        lines=draft.lines,
    )
    bill = content.bill_of(content=text, token=secrets.token_urlsafe(TOKEN_OCTETS))
    store.add_bill(connection, bill=bill, now=terms.now)
    _post(connection, bill=bill, now=terms.now)
    _announce(connection, bill=bill, facts_name=draft.basis.facts.name, terms=terms)
    return bill


def _last_payment(connection: Connection, *, account: str) -> tuple[int, date] | None:
    paid = [each for each in ledger_queries.payments(connection, account=account) if each.reversed_at is None]
    return (paid[-1].amount_paise, local_date(paid[-1].paid_at)) if paid else None


def _post(connection: Connection, *, bill: Bill, now: datetime) -> None:
    lines = [(_LEDGER_HEADS[Head(head)], paise) for head, paise in rules.sums_by_head(bill.lines).items()]
    transfers = bill_transfers(
        account=bill.account, document=bill.number, lines=lines, business_date=bill.issued_on
    )
    ledger.post(connection, transfers=transfers, now=now)
    ledger.open_due(
        connection,
        account=bill.account,
        document=bill.number,
        amount_paise=bill.total_paise,
        issued_on=bill.issued_on,
        due_on=bill.due_on,
        now=now,
    )


def _announce(connection: Connection, *, bill: Bill, facts_name: str, terms: _Terms) -> None:
    notices.queue(
        connection,
        account=bill.account,
        purpose=Purpose.BILL,
        key=f"bill/{bill.number}",
        facts={
            "name": facts_name or bill.account,
            "month": str(bill.month),
            "energy_wh": str(bill.energy_wh),
            "amount_paise": str(max(0, bill.payable_paise)),
            "due_on": bill.due_on.isoformat(),
            "document": bill.number,
        },
        link=f"{terms.base_url}/{bill.token}" if terms.base_url else None,
        now=terms.now,
    )


def correct(
    database: Database,
    *,
    number: str,
    books: Books,
    person: str,
    reason: str,
    due_days: int,
    now: datetime,
    bill_base_url: str = "",
) -> Bill | None:
    """
    Make the month of a bill again under today's readings, facts and books, and bill the difference lines.

    The bill itself stays as it is. Return the correction, or None if nothing differs.

    :raises UnknownBill: if there is no such bill.
    :raises NotPermitted: if the person may not correct bills of the account's office.
    :raises CannotBill: if the month cannot be billed under today's facts.
    :raises InvalidValue: if the reason is too long, or no text.
    """
    check_text(reason, what="the reason", letters_max=NOTE_MAX)
    today = local_date(now)
    terms = _Terms(
        issued_on=today, due_on=today + timedelta(days=due_days), base_url=bill_base_url.rstrip("/"), now=now
    )
    with database.write() as connection:
        named = queries.bill(connection, number=number)
        account = named.account
        office = registry.account(connection, number=account).office
        offices.authorise(connection, sign_in=person, act=Act.CORRECT_BILL, office=office)
        ledger.lock_account(connection, account=account, now=now)
        before = store.bills(connection, account=account, month=named.month)
        draft = _correction(connection, before=before, books=books)
        if draft is None:
            return None
        bill = _issue(connection, draft=draft, terms=terms)
        detail = {"reason": reason, "of": draft.of, "total_paise": bill.total_paise}
        offices.record_act(
            connection, person=person, act=Act.CORRECT_BILL, subject=bill.number, detail=detail, now=now
        )
        return bill


def _correction(connection: Connection, *, before: Sequence[Bill], books: Books) -> _Draft | None:
    original = before[0]
    accounts = (original.account,)
    network = loading.load_network(connection, month=original.month, accounts=accounts)
    found = loading.load(connection, accounts=accounts, month=original.month, network=network, again=True)
    basis = found[original.account]
    computed = (
        basis
        if isinstance(basis, Parked)
        else rules.compute(facts=basis.facts, determinants=basis.determinants, books=books)
    )
    if isinstance(basis, Parked) or isinstance(computed, Parked):
        problem = basis if isinstance(basis, Parked) else computed
        text = problem.text if isinstance(problem, Parked) else ""
        raise CannotBill(f"{original.number} cannot be made again: {text}")
    lines = rules.differences(billed=[bill.lines for bill in before], fresh=computed.lines)
    if not lines:
        return None
    return _Draft(
        basis=basis,
        computed=computed,
        lines=lines,
        kind=BillKind.CORRECTION,
        seq=len(before),
        of=original.number,
    )


def release(
    database: Database, *, account: str, month: Month, person: str, reason: str, now: datetime
) -> None:
    """
    Release an account that is parked because its use is out of proportion; the next run bills it.

    :raises NothingParked: if it is not parked for that.
    :raises NotPermitted: if the person may not run bills of the account's office.
    :raises InvalidValue: if the reason is too long, or no text.
    """
    check_text(account, what="the account number", letters_max=CODE_MAX)
    check_text(reason, what="the reason", letters_max=NOTE_MAX)
    with database.write() as connection:
        found = store.item(connection, month=month, account=account)
        if found is None or found.state is not ItemState.PARKED or found.reason is not Reason.IMPLAUSIBLE:
            raise NothingParked(f"account {account} is not parked in {month} for its consumption")
        office = registry.account(connection, number=account).office
        offices.authorise(connection, sign_in=person, act=Act.RUN_BILLS, office=office)
        store.add_release(connection, month=month, account=account, person=person, reason=reason, now=now)
        store.look_again(connection, month=month, account=account)
        detail = {"month": str(month), "reason": reason, "parked": found.detail}
        offices.record_act(
            connection, person=person, act=Act.RUN_BILLS, subject=account, detail=detail, now=now
        )


def bill_pdf(database: Database, *, number: str, language: Language, documents: Path, payee: Payee) -> Path:
    """
    Return the PDF of a bill, made when it is first wanted and kept under `documents`.

    :raises UnknownBill: if there is no such bill.
    :raises BrokenTypesetting: if it could not be made.
    """
    with database.read() as connection:
        bill = queries.bill(connection, number=number)
        history = queries.usage_history(connection, account=bill.account, upto=bill.month)
    return typesetting.stored_pdf(
        bill=bill, history=history, language=language, documents=documents, payee=payee
    )
