"""Events of meters, in the order in which they became known: SQL, private to this room."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    UniqueConstraint,
    func,
    select,
)

from bijlighar.base.period import Period
from bijlighar.readings.model import MeterEvent
from bijlighar.storage import sequences
from bijlighar.storage.schema import Document, Moment, Whole, metadata

METERS_PER_SELECT = 500
EVENTS_PER_PAGE = 10_000
SEQUENCE = "readings.event"

Key = tuple[str, int, datetime]

event_table = Table(
    "readings_event",
    metadata,
    Column("sequence", Whole, primary_key=True, autoincrement=False),
    Column("meter", String(32), nullable=False),
    Column("code", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("family", String(32), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("detail", Document, nullable=False),
    UniqueConstraint("meter", "code", "at"),
)
Index("ix_readings_event_meter_at", event_table.c.meter, event_table.c.at)


def insert_events(connection: Connection, *, events: Sequence[MeterEvent]) -> int:
    """Store the events that are not known by meter, code and time, and return how many they are."""
    sequences.take(connection, name=SEQUENCE, count=0)  # holds the place of the single writer
    fresh = {(event.meter, event.code, event.at): event for event in reversed(events)}
    for key in _known(connection, list(fresh)):
        fresh.pop(key, None)
    if not fresh:
        return 0
    first = sequences.take(connection, name=SEQUENCE, count=len(fresh))
    ordered = sorted(fresh.values(), key=lambda event: (event.at, event.meter, event.code))
    rows = [
        {
            "sequence": first + place,
            "meter": event.meter,
            "code": event.code,
            "at": event.at,
            "family": event.family,
            "origin": event.origin,
            "received_at": event.received_at,
            "detail": dict(event.detail),
        }
        for place, event in enumerate(ordered)
    ]
    connection.execute(event_table.insert(), rows)
    return len(rows)


def select_events(connection: Connection, *, after: int, limit: int) -> list[tuple[int, MeterEvent]]:
    """Return up to `limit` events whose number is above `after`, in the order of their numbers."""
    statement = (
        select(event_table)
        .where(event_table.c.sequence > after)
        .order_by(event_table.c.sequence)
        .limit(min(limit, EVENTS_PER_PAGE))
    )
    return [(row.sequence, _event(row)) for row in connection.execute(statement)]


def select_events_of(connection: Connection, *, meter: str, period: Period) -> list[MeterEvent]:
    """Return the events of one meter in `period`, by time."""
    statement = (
        select(event_table)
        .where(event_table.c.meter == meter, event_table.c.at >= period.start, event_table.c.at < period.end)
        .order_by(event_table.c.at, event_table.c.code)
        .limit(EVENTS_PER_PAGE)
    )
    return [_event(row) for row in connection.execute(statement)]


def select_last(
    connection: Connection, *, codes: Sequence[int], since: datetime
) -> list[tuple[str, int, datetime]]:
    """Return meter, code and time of the last event of each meter and code that is not before `since`."""
    statement = (
        select(event_table.c.meter, event_table.c.code, func.max(event_table.c.at))
        .where(event_table.c.code.in_(codes), event_table.c.at >= since)
        .group_by(event_table.c.meter, event_table.c.code)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def happened_statement(*, codes: Sequence[int], period: Period) -> Select[str, int, datetime]:
    """Return the SELECT of (meter, code, moment) of the events of some codes in a period."""
    return select(event_table.c.meter, event_table.c.code, event_table.c.at).where(
        event_table.c.code.in_(codes), event_table.c.at >= period.start, event_table.c.at < period.end
    )


def _known(connection: Connection, keys: Sequence[Key]) -> set[Key]:
    known: set[Key] = set()
    meters = sorted({meter for meter, _, _ in keys})
    for begin in range(0, len(meters), METERS_PER_SELECT):
        some = set(meters[begin : begin + METERS_PER_SELECT])
        moments = [at for meter, _, at in keys if meter in some]
        statement = select(event_table.c.meter, event_table.c.code, event_table.c.at).where(
            event_table.c.meter.in_(some), event_table.c.at.between(min(moments), max(moments))
        )
        known.update((row.meter, row.code, row.at) for row in connection.execute(statement))
    return known


def _event(row: Row[Any]) -> MeterEvent:
    return MeterEvent(
        meter=row.meter,
        code=row.code,
        at=row.at,
        family=row.family,
        origin=row.origin,
        received_at=row.received_at,
        detail=row.detail,
    )
