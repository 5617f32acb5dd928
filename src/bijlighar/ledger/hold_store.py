"""Holds: money on its way, and its release; both are only ever added."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    String,
    Table,
    UniqueConstraint,
    select,
)

from bijlighar.ledger.dues_store import PAYMENT_ID_MAX, PROVIDER_MAX, REASON_MAX
from bijlighar.ledger.model import Hold, HoldKind
from bijlighar.ledger.store import ACCOUNT_MAX
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

hold_table = append_only(
    Table(
        "ledger_hold",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("provider", String(PROVIDER_MAX), nullable=False),
        Column("payment_id", String(PAYMENT_ID_MAX), nullable=False),
        Column("account", String(ACCOUNT_MAX), nullable=False, index=True),
        Column("kind", String(16), nullable=False),
        Column("amount_paise", Whole, nullable=False),
        CheckConstraint("amount_paise > 0", name="above_zero"),
        Column("placed_at", Moment, nullable=False),
        UniqueConstraint("provider", "payment_id"),
    )
)

release_table = append_only(
    Table(
        "ledger_hold_release",
        metadata,
        Column("hold", Whole, ForeignKey(hold_table.c.id), primary_key=True, autoincrement=False),
        Column("reason", String(REASON_MAX), nullable=False),
        Column("at", Moment, nullable=False),
    )
)


def add_hold(connection: Connection, *, hold: Hold) -> bool:
    """Add the hold; False if it is known."""
    statement = insert_for(connection, hold_table).values(
        provider=hold.provider,
        payment_id=hold.payment_id,
        account=hold.account,
        kind=hold.kind,
        amount_paise=hold.amount_paise,
        placed_at=hold.placed_at,
    )
    added = connection.execute(statement.on_conflict_do_nothing().returning(hold_table.c.id))
    return added.scalar_one_or_none() is not None


def hold_account(connection: Connection, *, provider: str, payment_id: str) -> str | None:
    """Return the account of a hold, released or not."""
    statement = select(hold_table.c.account).where(
        hold_table.c.provider == provider, hold_table.c.payment_id == payment_id
    )
    return connection.execute(statement).scalar_one_or_none()


def release_hold(
    connection: Connection, *, provider: str, payment_id: str, reason: str, now: datetime
) -> bool:
    """Release the hold; False if there is none, or it is released already."""
    number = connection.execute(
        select(hold_table.c.id).where(
            hold_table.c.provider == provider, hold_table.c.payment_id == payment_id
        )
    ).scalar_one_or_none()
    if number is None:
        return False
    statement = insert_for(connection, release_table).values(hold=number, reason=reason[:REASON_MAX], at=now)
    released = connection.execute(statement.on_conflict_do_nothing().returning(release_table.c.hold))
    return released.scalar_one_or_none() is not None


def holds(connection: Connection, *, account: str | None) -> tuple[Hold, ...]:
    """Return the holds in force, of one account or of all, oldest first."""
    statement = (
        select(hold_table)
        .outerjoin(release_table, release_table.c.hold == hold_table.c.id)
        .where(release_table.c.hold.is_(None))
        .order_by(hold_table.c.id)
    )
    if account is not None:
        statement = statement.where(hold_table.c.account == account)
    return tuple(
        Hold(
            provider=row.provider,
            payment_id=row.payment_id,
            account=row.account,
            kind=HoldKind(row.kind),
            amount_paise=row.amount_paise,
            placed_at=row.placed_at,
        )
        for row in connection.execute(statement)
    )
