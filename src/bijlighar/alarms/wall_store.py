"""SQL of the numbers on the wall: each a few aggregates over the open alarms or the last day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    Connection,
    DateTime,
    Index,
    Text,
    case,
    func,
    select,
    type_coerce,
)

from bijlighar.alarms.model import AlarmState, Priority
from bijlighar.alarms.rules import CODE_MAX
from bijlighar.alarms.store import alarm_table, is_open, seen_by

ANSWERS_MAX = 300

Index(
    "ix_alarms_alarm_wall",
    alarm_table.c.state,
    alarm_table.c.priority,
    alarm_table.c.escalated,
    alarm_table.c.code,
    alarm_table.c.raised_at,
    alarm_table.c.waiting_since,
    alarm_table.c.office,
    alarm_table.c.number,
    sqlite_where=is_open(),
    postgresql_where=is_open(),
)
#: What is counted over the last day is read from these indexes alone.
Index("ix_alarms_alarm_raised_quarter", alarm_table.c.raised_quarter, alarm_table.c.office)
Index("ix_alarms_alarm_raised_at", alarm_table.c.raised_at, alarm_table.c.office)
Index(
    "ix_alarms_alarm_answered",
    alarm_table.c.acknowledged_at,
    alarm_table.c.answered_s,
    alarm_table.c.office,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCount:
    """
    The open alarms of one state, priority and level.

    of_meters: how many of them a meter raised; `stale`: how many were raised before a moment.
    """

    state: AlarmState
    priority: Priority
    escalated: int
    count: int
    of_meters: int
    stale: int
    first: int
    waiting_since: datetime


def open_counts(
    connection: Connection, *, offices: Sequence[str] | None, stale_before: datetime
) -> tuple[OpenCount, ...]:
    """Return the open alarms counted by state, priority and level."""
    statement = (
        select(
            alarm_table.c.state,
            alarm_table.c.priority,
            alarm_table.c.escalated,
            func.count().label("count"),
            func.sum(case((alarm_table.c.code <= CODE_MAX, 1), else_=0)).label("of_meters"),
            func.sum(case((alarm_table.c.raised_at < stale_before, 1), else_=0)).label("stale"),
            func.min(alarm_table.c.number).label("first"),
            func.min(alarm_table.c.waiting_since).label("waiting_since"),
        )
        .where(is_open(), *seen_by(offices))
        .group_by(alarm_table.c.state, alarm_table.c.priority, alarm_table.c.escalated)
    )
    return tuple(
        OpenCount(
            state=AlarmState(row.state),
            priority=Priority(row.priority),
            escalated=row.escalated,
            count=row[3],
            of_meters=row.of_meters,
            stale=row.stale,
            first=row.first,
            waiting_since=row.waiting_since,
        )
        for row in connection.execute(statement)
    )


def quarters(connection: Connection, *, offices: Sequence[str] | None, first: int) -> dict[int, int]:
    """Return how many alarms were raised in each quarter of an hour from the first on, where any were."""
    quarter = alarm_table.c.raised_quarter
    statement = select(quarter, func.count()).where(quarter >= first, *seen_by(offices)).group_by(quarter)
    return {row[0]: row[1] for row in connection.execute(statement)}


def raise_times(
    connection: Connection, *, offices: Sequence[str] | None, since: datetime, limit: int
) -> list[datetime]:
    """Return when the last alarms were raised since a moment, in order; past the types of the schema, for speed."""
    column = alarm_table.c.raised_at
    chosen = (column >= since, *seen_by(offices))
    if connection.dialect.name == "sqlite":
        texts = select(type_coerce(column, Text())).where(*chosen).order_by(column.desc()).limit(limit)
        written = connection.execute(texts).scalars().all()
        return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in reversed(written)]
    moments = type_coerce(column, DateTime(timezone=True))
    statement = select(moments).where(*chosen).order_by(column.desc()).limit(limit)
    return list(reversed(connection.execute(statement).scalars().all()))


def count_raised(connection: Connection, *, offices: Sequence[str] | None, after: datetime) -> int:
    """Return how many alarms were raised after a moment."""
    statement = (
        select(func.count())
        .select_from(alarm_table)
        .where(alarm_table.c.raised_at > after, *seen_by(offices))
    )
    return int(connection.execute(statement).scalar_one())


def answer_seconds(connection: Connection, *, offices: Sequence[str] | None, since: datetime) -> list[int]:
    """Return how long the alarms waited that were acknowledged since a moment [s], the last of them."""
    statement = (
        select(alarm_table.c.answered_s)
        .where(alarm_table.c.acknowledged_at >= since, *seen_by(offices))
        .order_by(alarm_table.c.acknowledged_at.desc())
        .limit(ANSWERS_MAX)
    )
    return [seconds for seconds in connection.execute(statement).scalars() if seconds is not None]
