"""What an account owed at an earlier moment, rebuilt from rows that are only ever added."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from bijlighar.ledger.dues_store import (
    allocation_table,
    due_table,
    match_table,
    payment_table,
    reversal_table,
)
from bijlighar.ledger.hold_store import hold_table, release_table
from bijlighar.ledger.model import Due, DueKind, Hold, HoldKind, Standing


def standing(connection: Connection, *, account: str, at: datetime) -> Standing:
    """Return dues, free money and holds of an account as the ledger knew them at a moment."""
    covered = _covered(connection, account=account, at=at)
    rows = connection.execute(
        select(due_table)
        .where(due_table.c.account == account, due_table.c.opened_at <= at)
        .order_by(due_table.c.issued_on, due_table.c.due_on, due_table.c.document)
    )
    dues = tuple(
        Due(
            account=row.account,
            document=row.document,
            kind=DueKind(row.kind),
            amount_paise=row.amount_paise,
            open_paise=row.amount_paise - covered.get(row.document, 0),
            issued_on=row.issued_on,
            due_on=row.due_on,
            first_due_on=row.first_due_on,
        )
        for row in rows
    )
    return Standing(
        dues=dues,
        unallocated_paise=_money_paise(connection, account=account, at=at) - sum(covered.values()),
        holds=_holds(connection, account=account, at=at),
    )


def _covered(connection: Connection, *, account: str, at: datetime) -> dict[str, int]:
    statement = (
        select(allocation_table.c.document, func.sum(allocation_table.c.amount_paise))
        .where(allocation_table.c.account == account, allocation_table.c.at <= at)
        .group_by(allocation_table.c.document)
    )
    return {document: int(paise) for document, paise in connection.execute(statement)}


def _money_paise(connection: Connection, *, account: str, at: datetime) -> int:
    """Return the payments [paise] that were the account's at a moment and were not reversed by then."""
    joined = payment_table.outerjoin(match_table, match_table.c.payment == payment_table.c.id).outerjoin(
        reversal_table, reversal_table.c.payment == payment_table.c.id
    )
    statement = (
        select(func.coalesce(func.sum(payment_table.c.amount_paise), 0))
        .select_from(joined)
        .where(
            payment_table.c.received_at <= at,
            or_(
                payment_table.c.account == account,
                and_(match_table.c.account == account, match_table.c.at <= at),
            ),
            _not_yet(reversal_table.c.at, at),
        )
    )
    return int(connection.execute(statement).scalar_one())


def _holds(connection: Connection, *, account: str, at: datetime) -> tuple[Hold, ...]:
    statement = (
        select(hold_table)
        .outerjoin(release_table, release_table.c.hold == hold_table.c.id)
        .where(
            hold_table.c.account == account, hold_table.c.placed_at <= at, _not_yet(release_table.c.at, at)
        )
        .order_by(hold_table.c.id)
    )
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


def _not_yet(column: ColumnElement[datetime | None], at: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column > at)
