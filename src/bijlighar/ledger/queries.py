"""What other rooms may ask the ledger."""

from collections.abc import Collection, Container, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from bijlighar.base.period import Period, local_date
from bijlighar.ledger import as_it_stood, collected_store, dues_store, hold_store, recount, rules, store
from bijlighar.ledger.errors import UnknownPayment
from bijlighar.ledger.model import (
    BILL_PROVIDER,
    CHART,
    Allocation,
    Due,
    Head,
    Hold,
    LedgerCheck,
    PassbookLine,
    Payment,
    Receipt,
    Received,
    Standing,
    TransferKind,
)
from bijlighar.storage.sql import text_of

PASSBOOK_LINES_MAX = 500
#: How far back the newest payments of some accounts are looked for.
NEWEST_LOOKED_AT_MAX = 20_000
#: What the account owes is the receivable less the advance.
PERSONAL_HEADS = (Head.RECEIVABLE, Head.ADVANCE)
_PASSBOOK_KINDS = (TransferKind.BILL, TransferKind.PAYMENT, TransferKind.MATCH, TransferKind.REVERSAL)


def balance_paise(connection: Connection, *, account: str) -> int:
    """Return what the account owes [paise]; below zero, what it has paid ahead."""
    return store.net_paise(connection, account=account, heads=PERSONAL_HEADS)


def unallocated_paise(connection: Connection, *, account: str) -> int:
    """Return the account's money [paise] that covers no due yet."""
    return -store.net_paise(connection, account=account, heads=(Head.ADVANCE,))


def open_dues(
    connection: Connection, *, account: str | None = None, accounts: Collection[str] | None = None
) -> tuple[Due, ...]:
    """Return the dues not fully covered, of one account, of several or of all, oldest first within an account."""
    wanted = (account,) if account is not None else accounts
    return dues_store.dues(connection, accounts=wanted, with_closed=False)


def overdue(connection: Connection, *, account: str, on: date) -> tuple[int, date | None]:
    """Return what is past its due date on a day [paise], and the oldest of those dates; None where nothing is."""
    late = [due for due in open_dues(connection, account=account) if due.due_on < on]
    return sum(due.open_paise for due in late), min((due.due_on for due in late), default=None)


def dues(connection: Connection, *, account: str) -> tuple[Due, ...]:
    """Return all dues of the account, covered ones too, oldest first."""
    return dues_store.dues(connection, accounts=(account,), with_closed=True)


def standing(connection: Connection, *, account: str, at: datetime) -> Standing:
    """Return dues, free money and holds of the account as the ledger knew them at an earlier moment."""
    return as_it_stood.standing(connection, account=account, at=at)


def due(connection: Connection, *, document: str) -> Due | None:
    """Return the due of a document, None if there is none."""
    return dues_store.due(connection, document=document)


def holds(connection: Connection, *, account: str | None = None) -> tuple[Hold, ...]:
    """Return the holds in force, of one account or of all, oldest first."""
    return hold_store.holds(connection, account=account)


def payments(connection: Connection, *, account: str | None = None) -> tuple[Payment, ...]:
    """Return the payments of one account or of all, the reversed ones too, oldest first."""
    rows = dues_store.payments(connection, account=account)
    return tuple(_payment_of(row) for row in rows if row.provider != BILL_PROVIDER)


def last_payments(connection: Connection, *, accounts: Collection[str]) -> Mapping[str, Payment]:
    """Return the newest payment of each account that was not reversed."""
    return {
        str(row.owner): _payment_of(row)
        for row in dues_store.payments_of(connection, accounts=accounts)
        if row.provider != BILL_PROVIDER
    }


def count_payments(connection: Connection) -> int:
    """Return how many payments were posted, the reversed and the unmatched ones too."""
    return dues_store.count_payments(connection, without=BILL_PROVIDER)


def payment(connection: Connection, *, provider: str, payment_id: str) -> Payment | None:
    """Return the payment that the provider calls `payment_id`, None if it is not known."""
    row = dues_store.payment(connection, provider=provider, payment_id=payment_id)
    return None if row is None else _payment_of(row)


def unmatched(connection: Connection) -> tuple[Payment, ...]:
    """Return the payments in suspense: nobody knows yet whose they are."""
    return tuple(_payment_of(row) for row in dues_store.unmatched_payments(connection))


def _payment_of(row: Any) -> Payment:  # noqa: ANN401 - a database row
    return Payment(
        receipt=rules.receipt_number(serial=row.id, paid_on=local_date(row.paid_at)),
        provider=row.provider,
        payment_id=row.payment_id,
        account=row.owner,
        amount_paise=row.amount_paise,
        method=row.method,
        paid_at=row.paid_at,
        received_at=row.received_at,
        reversed_at=row.reversed_at,
        reversal_reason=row.reversal_reason,
    )


def receipt(connection: Connection, *, number: str) -> Receipt:
    """
    Return the receipt with this number, with what the payment covers now.

    :raises InvalidPayment: if it is no receipt number.
    :raises UnknownPayment: if no payment has this receipt number.
    """
    row = dues_store.payment_by_number(connection, number=rules.receipt_serial(number))
    if row is None or row.provider == BILL_PROVIDER:
        raise UnknownPayment(f"there is no receipt {number}; look the payment up by its account")
    found = receipt_of(connection, number=row.id)
    if found.number != number.strip().upper():
        raise UnknownPayment(f"there is no receipt {number}; look the payment up by its account")
    return found


def receipt_of(connection: Connection, *, number: int) -> Receipt:
    """
    Return the receipt of the payment stored under `number`.

    :raises UnknownPayment: if there is none.
    """
    row = dues_store.payment_by_number(connection, number=number)
    if row is None:
        raise UnknownPayment(f"no payment is stored under {number}")
    parts = dues_store.allocations_of(connection, number=number)
    live_paise = 0 if row.reversed_at or row.owner is None else row.amount_paise
    return Receipt(
        number=rules.receipt_number(serial=row.id, paid_on=local_date(row.paid_at)),
        provider=row.provider,
        payment_id=row.payment_id,
        account=row.owner,
        amount_paise=row.amount_paise,
        method=row.method,
        paid_at=row.paid_at,
        allocations=tuple(
            Allocation(document=document, amount_paise=paise) for document, paise in parts.items()
        ),
        advance_paise=live_paise - sum(parts.values()),
        owed_after_paise=0 if row.owner is None else balance_paise(connection, account=row.owner),
    )


def passbook(
    connection: Connection, *, account: str, lines_max: int = PASSBOOK_LINES_MAX
) -> tuple[PassbookLine, ...]:
    """Return the newest lines of the account's passbook, oldest first, each with what was owed after it."""
    lines: list[PassbookLine] = []
    owed_paise = 0
    for kind, document, paise, business_date, at in store.movements(
        connection, account=account, heads=PERSONAL_HEADS
    ):
        if kind not in _PASSBOOK_KINDS:
            continue
        owed_paise += paise
        lines.append(
            PassbookLine(
                business_date=business_date,
                at=at,
                kind=TransferKind(kind),
                document=document,
                amount_paise=paise,
                owed_paise=owed_paise,
            )
        )
    return tuple(lines[-min(lines_max, PASSBOOK_LINES_MAX) :])


def trial_balance(connection: Connection) -> Mapping[Head, int]:
    """Return debits less credits [paise] of every head, in the order of the chart; they sum to zero."""
    totals = store.head_totals(connection)
    return {line.head: totals.get(line.head, 0) for line in CHART}


def received_paise(connection: Connection, *, first: date | None = None, last: date | None = None) -> int:
    """Return the payments [paise] paid on the IST days `first` to `last`, less those reversed since."""
    return sum(
        each.amount_paise
        for each in payments(connection)
        if each.reversed_at is None
        and (first is None or local_date(each.paid_at) >= first)
        and (last is None or local_date(each.paid_at) <= last)
    )


def received(connection: Connection, *, first: date, last: date) -> tuple[Received, ...]:
    """Return what was paid on the IST days `first` to `last`, by account and method, without reversed payments."""
    period = Period.of_local_days(first, last)
    return collected_store.received(connection, since=period.start, until=period.end)


def collected(connection: Connection, *, first: date, last: date) -> tuple[Mapping[str | None, int], str]:
    """
    Return what was paid [paise] on the IST days `first` to `last` by account, and the query itself.

    Payments that were reversed since do not count; None is whose payment nobody knows.
    """
    period = Period.of_local_days(first, last)
    statement = collected_store.collected_statement(since=period.start, until=period.end)
    return {row[0]: int(row[1]) for row in connection.execute(statement)}, text_of(connection, statement)


def issued_paise(connection: Connection, *, first: date, last: date) -> Mapping[str, int]:
    """Return what was billed [paise] on the days `first` to `last`, by account: the demand."""
    return collected_store.issued(connection, first=first, last=last)


def newest_payments(
    connection: Connection, *, limit: int, accounts: Container[str] | None = None
) -> tuple[Payment, ...]:
    """Return the newest payments, newest first; of some accounts only, if they are given."""
    looked_at = limit if accounts is None else NEWEST_LOOKED_AT_MAX
    rows = collected_store.newest_payments(connection, limit=looked_at)
    found = (_payment_of(row) for row in rows)
    return tuple(islice((each for each in found if accounts is None or each.account in accounts), limit))


def check(connection: Connection) -> LedgerCheck:
    """Return the verdict of a recount of the whole ledger from its immutable rows."""
    return recount.recount(connection)
