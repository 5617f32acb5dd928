"""What was paid and what was billed in a time, summed by the database; and the newest payments. SQL, private."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from bijlighar.ledger.dues_store import due_table, match_table, payment_table, reversal_table
from bijlighar.ledger.model import BILL_PROVIDER, Received

_owner = func.coalesce(match_table.c.account, payment_table.c.account)
_joined = payment_table.outerjoin(match_table, match_table.c.payment == payment_table.c.id).outerjoin(
    reversal_table, reversal_table.c.payment == payment_table.c.id
)


def received(connection: Connection, *, since: datetime, until: datetime) -> tuple[Received, ...]:
    """Return what was paid in [since, until) by owner and method, without the reversed payments."""
    statement = (
        select(_owner, payment_table.c.method, func.count(), func.sum(payment_table.c.amount_paise))
        .select_from(_joined)
        .where(
            payment_table.c.provider != BILL_PROVIDER,
            payment_table.c.paid_at >= since,
            payment_table.c.paid_at < until,
            reversal_table.c.payment.is_(None),
        )
        .group_by(_owner, payment_table.c.method)
        .order_by(_owner, payment_table.c.method)
    )
    return tuple(
        Received(account=account, method=method, payments=payments, amount_paise=int(paise))
        for account, method, payments, paise in connection.execute(statement)
    )


def collected_statement(*, since: datetime, until: datetime) -> Select[Any]:
    """Return the SELECT of account and sum [paise] of what was paid in [since, until), reversed payments left out."""
    return (
        select(_owner.label("account"), func.sum(payment_table.c.amount_paise).label("paise"))
        .select_from(_joined)
        .where(
            payment_table.c.provider != BILL_PROVIDER,
            payment_table.c.paid_at >= since,
            payment_table.c.paid_at < until,
            reversal_table.c.payment.is_(None),
        )
        .group_by(_owner)
    )


def issued(connection: Connection, *, first: date, last: date) -> Mapping[str, int]:
    """Return the sum [paise] of the dues issued on the days `first` to `last`, by account."""
    statement = (
        select(due_table.c.account, func.sum(due_table.c.amount_paise))
        .where(due_table.c.issued_on.between(first, last))
        .group_by(due_table.c.account)
    )
    return {account: int(paise) for account, paise in connection.execute(statement)}


def newest_payments(connection: Connection, *, limit: int) -> tuple[Row[tuple[object, ...]], ...]:
    """Return the newest payments with their owners and reversals, newest first."""
    statement = (
        select(
            payment_table,
            _owner.label("owner"),
            reversal_table.c.at.label("reversed_at"),
            reversal_table.c.reason.label("reversal_reason"),
        )
        .select_from(_joined)
        .where(payment_table.c.provider != BILL_PROVIDER)
        .order_by(payment_table.c.paid_at.desc(), payment_table.c.id.desc())
        .limit(limit)
    )
    return tuple(connection.execute(statement).all())
