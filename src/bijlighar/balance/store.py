"""The tables of this room."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, Select, String, Table, case, func, select

from bijlighar.balance.model import DayBalance, Level
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

_day = Table(
    "balance_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("level", String(16), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("input_wh", Whole),
    Column("input_complete", Boolean, nullable=False),
    Column("metered_wh", Whole, nullable=False),
    Column("meters", Integer, nullable=False),
    Column("expected", Whole, nullable=False),
    Column("known", Whole, nullable=False),
    Column("read", Whole, nullable=False),
    Column("transformer_loss_wh", Whole),
)

#: The days that are closed.
_closed = Table(
    "balance_closed",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("closed_at", Moment, nullable=False),
    Column("times", Integer, nullable=False),
)

#: The days that are to be closed, or closed again.
_due = Table(
    "balance_due",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
)


def add_due(connection: Connection, *, days: Iterable[int]) -> None:
    """Note days that are to be closed."""
    rows = [{"day": day} for day in sorted(set(days))]
    if rows:
        connection.execute(insert_for(connection, _due).on_conflict_do_nothing(), rows)


def due_days(connection: Connection, *, last: int, limit: int) -> tuple[int, ...]:
    """Return the days up to `last` that are to be closed, oldest first."""
    statement = select(_due.c.day).where(_due.c.day <= last).order_by(_due.c.day).limit(limit)
    return tuple(connection.execute(statement).scalars())


def count_due(connection: Connection, *, last: int) -> int:
    """Return how many days up to `last` are to be closed."""
    return connection.execute(select(func.count()).select_from(_due).where(_due.c.day <= last)).scalar_one()


def remove_due(connection: Connection, *, first: int, last: int) -> None:
    """Note that a run of days is closed as far as is known."""
    connection.execute(_due.delete().where(_due.c.day.between(first, last)))


def closed_days(connection: Connection, *, first: int, last: int) -> frozenset[int]:
    """Return the closed days of a range."""
    statement = select(_closed.c.day).where(_closed.c.day.between(first, last))
    return frozenset(connection.execute(statement).scalars())


def last_closed_day(connection: Connection) -> int | None:
    """Return the last closed day."""
    last: int | None = connection.execute(select(func.max(_closed.c.day))).scalar_one()
    return last


def save_days(
    connection: Connection, *, first: int, last: int, balances: Sequence[DayBalance], now: datetime
) -> None:
    """Write the balances of a run of days in place of earlier ones; the days are closed then."""
    connection.execute(_day.delete().where(_day.c.day.between(first, last)))
    if balances:
        names = [column.name for column in _day.columns]
        rows = [{name: getattr(balance, name) for name in names} for balance in balances]
        connection.execute(_day.insert(), [row | {"level": str(row["level"])} for row in rows])
    statement = insert_for(connection, _closed)
    statement = statement.on_conflict_do_update(
        index_elements=[_closed.c.day], set_={"closed_at": now, "times": _closed.c.times + 1}
    )
    days = range(first, last + 1)
    connection.execute(statement, [{"day": day, "closed_at": now, "times": 1} for day in days])


def input_statement(*, level: Level, first: int, last: int, codes: Sequence[str]) -> Select[Any]:
    """Return the SELECT of what went into some codes on a range of days, of how many days, and how much was read."""
    return (
        select(
            _day.c.code,
            func.sum(_day.c.input_wh).label("input_wh"),
            func.sum(case((_day.c.input_complete, 1), else_=0)).label("days"),
            func.sum(_day.c.expected).label("expected"),
            func.sum(_day.c.read).label("read"),
        )
        .where(_day.c.level == str(level), _day.c.day.between(first, last), _day.c.code.in_(codes))
        .group_by(_day.c.code)
        .order_by(_day.c.code)
    )


def days(
    connection: Connection, *, level: Level, first: int, last: int, code: str | None = None
) -> tuple[DayBalance, ...]:
    """Return the balances of a range of days, by code and day."""
    statement = (
        select(_day)
        .where(_day.c.level == str(level), _day.c.day.between(first, last))
        .order_by(_day.c.code, _day.c.day)
    )
    if code is not None:
        statement = statement.where(_day.c.code == code)
    return tuple(
        DayBalance(**{**row, "level": Level(row["level"])})
        for row in connection.execute(statement).mappings()
    )
