"""Dues, payments, allocations, reversals and holds: everything but the caches is only ever added."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Date,
    ForeignKey,
    Index,
    Row,
    Select,
    String,
    Table,
    UniqueConstraint,
    func,
    select,
)

from bijlighar.ledger.model import Due, DueKind, NewPayment
from bijlighar.ledger.rules import Credit, DueFill, Move
from bijlighar.ledger.store import ACCOUNT_MAX, DOCUMENT_MAX, batches
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

PROVIDER_MAX = 24
PAYMENT_ID_MAX = 96
EVENT_ID_MAX = 255
REASON_MAX = 200

due_table = append_only(
    Table(
        "ledger_due",
        metadata,
        Column("document", String(DOCUMENT_MAX), primary_key=True),
        Column("account", String(ACCOUNT_MAX), nullable=False, index=True),
        Column("kind", String(16), nullable=False),
        Column("amount_paise", Whole, nullable=False),
        CheckConstraint("amount_paise >= 0", name="not_negative"),
        Column("issued_on", Date, nullable=False),
        Column("due_on", Date, nullable=False),
        Column("first_due_on", Date, nullable=False),
        Column("opened_at", Moment, nullable=False),
    )
)

#: A cache: what of each due is not yet covered; a due that is covered has no row.
open_table = Table(
    "ledger_open",
    metadata,
    Column("document", String(DOCUMENT_MAX), ForeignKey(due_table.c.document), primary_key=True),
    Column("account", String(ACCOUNT_MAX), nullable=False, index=True),
    Column("open_paise", Whole, nullable=False),
    CheckConstraint("open_paise > 0", name="above_zero"),
)

payment_table = append_only(
    Table(
        "ledger_payment",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("provider", String(PROVIDER_MAX), nullable=False),
        Column("payment_id", String(PAYMENT_ID_MAX), nullable=False),
        Column("event_id", String(EVENT_ID_MAX), nullable=True),
        Column("account", String(ACCOUNT_MAX), nullable=True, index=True),
        Column("named_account", String(ACCOUNT_MAX), nullable=True),
        Column("amount_paise", Whole, nullable=False),
        CheckConstraint("amount_paise > 0", name="above_zero"),
        Column("method", String(16), nullable=False),
        Column("paid_at", Moment, nullable=False),
        Column("received_at", Moment, nullable=False),
        UniqueConstraint("provider", "payment_id"),
        UniqueConstraint("provider", "event_id"),
    )
)

match_table = append_only(
    Table(
        "ledger_match",
        metadata,
        Column("payment", Whole, ForeignKey(payment_table.c.id), primary_key=True, autoincrement=False),
        Column("account", String(ACCOUNT_MAX), nullable=False, index=True),
        Column("by", String(64), nullable=False),
        Column("at", Moment, nullable=False),
    )
)

reversal_table = append_only(
    Table(
        "ledger_reversal",
        metadata,
        Column("payment", Whole, ForeignKey(payment_table.c.id), primary_key=True, autoincrement=False),
        Column("reason", String(REASON_MAX), nullable=False),
        Column("at", Moment, nullable=False),
    )
)

allocation_table = append_only(
    Table(
        "ledger_allocation",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("account", String(ACCOUNT_MAX), nullable=False, index=True),
        Column("payment", Whole, ForeignKey(payment_table.c.id), nullable=False),
        Column("document", String(DOCUMENT_MAX), ForeignKey(due_table.c.document), nullable=False),
        Column("amount_paise", Whole, nullable=False),
        CheckConstraint("amount_paise <> 0", name="not_zero"),
        Column("at", Moment, nullable=False),
    )
)

Index(None, allocation_table.c.document)
_owner = func.coalesce(match_table.c.account, payment_table.c.account)


def add_due(connection: Connection, *, due: Due, now: datetime) -> None:
    """Add the due, and its open amount."""
    connection.execute(
        due_table.insert().values(
            document=due.document,
            account=due.account,
            kind=due.kind,
            amount_paise=due.amount_paise,
            issued_on=due.issued_on,
            due_on=due.due_on,
            first_due_on=due.first_due_on,
            opened_at=now,
        )
    )
    if due.open_paise:
        connection.execute(
            open_table.insert().values(document=due.document, account=due.account, open_paise=due.open_paise)
        )


def _dues(*, with_closed: bool) -> Select[tuple[object, ...]]:
    joined = due_table.join(open_table, open_table.c.document == due_table.c.document, isouter=with_closed)
    return (
        select(due_table, func.coalesce(open_table.c.open_paise, 0).label("open_paise"))
        .select_from(joined)
        .order_by(due_table.c.account, due_table.c.issued_on, due_table.c.due_on, due_table.c.document)
    )


def due(connection: Connection, *, document: str) -> Due | None:
    """Return the due of a document."""
    row = connection.execute(_dues(with_closed=True).where(due_table.c.document == document)).one_or_none()
    return None if row is None else _due_of(row)


def dues(connection: Connection, *, accounts: Collection[str] | None, with_closed: bool) -> tuple[Due, ...]:
    """Return the dues of the accounts (None: of all), oldest first within an account."""
    statement = _dues(with_closed=with_closed)
    if accounts is None:
        return tuple(_due_of(row) for row in connection.execute(statement))
    return tuple(
        _due_of(row)
        for batch in batches(sorted(accounts))
        for row in connection.execute(statement.where(due_table.c.account.in_(batch)))
    )


def _due_of(row: Row[tuple[object, ...]]) -> Due:
    return Due(
        account=row.account,
        document=row.document,
        kind=DueKind(row.kind),
        amount_paise=row.amount_paise,
        open_paise=row.open_paise,
        issued_on=row.issued_on,
        due_on=row.due_on,
        first_due_on=row.first_due_on,
    )


def fill_of(due: Due) -> DueFill:
    """Return the due as allocation sees it."""
    return DueFill(
        document=due.document, issued_on=due.issued_on, due_on=due.due_on, amount_paise=due.amount_paise
    )


def due_fills(connection: Connection, *, account: str) -> tuple[DueFill, ...]:
    """Return the account's dues as allocation sees them."""
    return tuple(fill_of(each) for each in dues(connection, accounts=(account,), with_closed=True))


def add_payment(
    connection: Connection, *, payment: NewPayment, account: str | None, now: datetime
) -> int | None:
    """Add the payment and return its number; None if the payment or its event is known."""
    statement = insert_for(connection, payment_table).values(
        provider=payment.provider,
        payment_id=payment.payment_id,
        event_id=payment.event_id,
        account=account,
        named_account=None if payment.account is None else payment.account[:ACCOUNT_MAX],
        amount_paise=payment.amount_paise,
        method=payment.method,
        paid_at=payment.paid_at,
        received_at=now,
    )
    added = connection.execute(statement.on_conflict_do_nothing().returning(payment_table.c.id))
    return added.scalar_one_or_none()


def add_credit(
    connection: Connection,
    *,
    provider: str,
    document: str,
    account: str,
    amount_paise: int,
    at: datetime,
    now: datetime,
) -> None:
    """Add the money that a bill below zero brings, as a payment of no outside provider."""
    connection.execute(
        payment_table.insert().values(
            provider=provider,
            payment_id=document,
            account=account,
            amount_paise=amount_paise,
            method="credit",
            paid_at=at,
            received_at=now,
        )
    )


def _payments() -> Select[tuple[object, ...]]:
    joined = payment_table.outerjoin(match_table, match_table.c.payment == payment_table.c.id).outerjoin(
        reversal_table, reversal_table.c.payment == payment_table.c.id
    )
    return select(
        payment_table,
        _owner.label("owner"),
        reversal_table.c.at.label("reversed_at"),
        reversal_table.c.reason.label("reversal_reason"),
    ).select_from(joined)


def payment(connection: Connection, *, provider: str, payment_id: str) -> Row[tuple[object, ...]] | None:
    """Return the payment with its owner and its reversal."""
    statement = _payments().where(
        payment_table.c.provider == provider, payment_table.c.payment_id == payment_id
    )
    return connection.execute(statement).one_or_none()


def has_event(connection: Connection, *, provider: str, event_id: str) -> bool:
    """Return whether a payment came with this event."""
    statement = select(payment_table.c.id).where(
        payment_table.c.provider == provider, payment_table.c.event_id == event_id
    )
    return connection.execute(statement).first() is not None


def payment_by_number(connection: Connection, *, number: int) -> Row[tuple[object, ...]] | None:
    """Return the payment by its number, with its owner and its reversal."""
    return connection.execute(_payments().where(payment_table.c.id == number)).one_or_none()


def payments(connection: Connection, *, account: str | None) -> Sequence[Row[tuple[object, ...]]]:
    """Return the payments of the account (None: of all), oldest first."""
    statement = _payments().order_by(payment_table.c.paid_at, payment_table.c.id)
    if account is not None:
        statement = statement.where(_owner == account)
    return connection.execute(statement).all()


def payments_of(connection: Connection, *, accounts: Collection[str]) -> Iterator[Row[tuple[object, ...]]]:
    """Yield the payments of several accounts that were not reversed, oldest first within an account."""
    for part in batches(sorted(accounts)):
        statement = _payments().where(_owner.in_(part), reversal_table.c.payment.is_(None))
        yield from connection.execute(statement.order_by(payment_table.c.paid_at, payment_table.c.id))


def count_payments(connection: Connection, *, without: str) -> int:
    """Return how many payments there are, those of the provider `without` left out."""
    statement = select(func.count()).select_from(payment_table).where(payment_table.c.provider != without)
    return int(connection.execute(statement).scalar_one())


def unmatched_payments(connection: Connection) -> Sequence[Row[tuple[object, ...]]]:
    """Return the payments that have no owner and are not reversed, oldest first."""
    statement = _payments().where(_owner.is_(None), reversal_table.c.payment.is_(None))
    return connection.execute(statement.order_by(payment_table.c.id)).all()


def credits(connection: Connection, *, account: str) -> tuple[Credit, ...]:
    """Return the account's payments as allocation sees them, oldest first."""
    return tuple(
        Credit(payment=row.id, amount_paise=0 if row.reversed_at else row.amount_paise)
        for row in payments(connection, account=account)
    )


def add_match(connection: Connection, *, number: int, account: str, by: str, now: datetime) -> None:
    """Record that the payment belongs to the account."""
    connection.execute(match_table.insert().values(payment=number, account=account, by=by, at=now))


def add_reversal(connection: Connection, *, number: int, reason: str, now: datetime) -> None:
    """Record that the payment is reversed."""
    connection.execute(reversal_table.insert().values(payment=number, reason=reason[:REASON_MAX], at=now))


def held(connection: Connection, *, account: str | None) -> Mapping[tuple[int, str], int]:
    """Return what of each payment covers which due [paise], of one account or of all."""
    statement = select(
        allocation_table.c.payment, allocation_table.c.document, func.sum(allocation_table.c.amount_paise)
    ).group_by(allocation_table.c.payment, allocation_table.c.document)
    if account is not None:
        statement = statement.where(allocation_table.c.account == account)
    return {
        (number, document): int(paise) for number, document, paise in connection.execute(statement) if paise
    }


def allocations_of(connection: Connection, *, number: int) -> Mapping[str, int]:
    """Return what the payment covers of which due [paise], oldest due first."""
    statement = (
        select(allocation_table.c.document, func.sum(allocation_table.c.amount_paise))
        .join(due_table, due_table.c.document == allocation_table.c.document)
        .where(allocation_table.c.payment == number)
        .group_by(allocation_table.c.document, due_table.c.issued_on, due_table.c.due_on)
        .order_by(due_table.c.issued_on, due_table.c.due_on, allocation_table.c.document)
    )
    return {document: int(paise) for document, paise in connection.execute(statement) if paise}


def add_allocation(connection: Connection, *, account: str, move: Move, now: datetime) -> int:
    """Add the allocation, keep the open amount, and return the allocation's number."""
    statement = allocation_table.insert().values(
        account=account, payment=move.payment, document=move.document, amount_paise=move.amount_paise, at=now
    )
    number: int = connection.execute(statement.returning(allocation_table.c.id)).scalar_one()
    standing = connection.execute(
        select(open_table.c.open_paise).where(open_table.c.document == move.document)
    ).scalar_one_or_none()
    left_paise = (standing or 0) - move.amount_paise
    if standing is None:
        connection.execute(
            open_table.insert().values(document=move.document, account=account, open_paise=left_paise)
        )
    elif left_paise == 0:
        connection.execute(open_table.delete().where(open_table.c.document == move.document))
    else:
        connection.execute(
            open_table.update().where(open_table.c.document == move.document).values(open_paise=left_paise)
        )
    return number


def replace_open(connection: Connection, *, open_dues: Sequence[tuple[str, str, int]]) -> None:
    """Put document, account and open amount [paise] of every open due in the place of the cached ones."""
    connection.execute(open_table.delete())
    rows = [
        {"document": document, "account": account, "open_paise": paise}
        for document, account, paise in open_dues
    ]
    if rows:
        connection.execute(open_table.insert(), rows)
