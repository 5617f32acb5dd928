"""SQL of the journal: every change of an alarm, of the silence and of a console, in the order it was committed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    or_,
    select,
)

from bijlighar.alarms.model import JournalEvent, JournalLine, Priority
from bijlighar.storage import sequences
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata

SEQUENCE = "alarms.journal"

_journal = append_only(
    Table(
        "alarms_journal",
        metadata,
        Column("number", Whole, primary_key=True, autoincrement=False),
        Column("at", Moment, nullable=False),
        Column("event", String(32), nullable=False),
        Column("alarm", Whole, ForeignKey("alarms_alarm.number")),
        Column("priority", Integer),
        Column("office", String(64)),
        Column("person", String(64)),
        Column("detail", Text, nullable=False),
        Index(None, "alarm", "number"),
        Index(None, "priority", "event", "number"),
        Index(None, "event"),
    )
)


def lock(connection: Connection) -> None:
    """
    Take the place of the one writer of the room to the end of the transaction, before anything else is locked.

    The numbers of the journal then come to be seen in their own order, and two writers never wait for each other
    crosswise.
    """
    sequences.take(connection, name=SEQUENCE, count=0)


def add(connection: Connection, *, lines: Sequence[JournalLine]) -> None:
    """Add lines, which are given their numbers here."""
    if not lines:
        return
    first = sequences.take(connection, name=SEQUENCE, count=len(lines))
    rows = [
        {
            "number": first + place,
            "at": line.at,
            "event": line.event.value,
            "alarm": line.alarm,
            "priority": None if line.priority is None else int(line.priority),
            "office": line.office,
            "person": line.person,
            "detail": line.detail,
        }
        for place, line in enumerate(lines)
    ]
    connection.execute(_journal.insert(), rows)


def lines(
    connection: Connection, *, after: int, offices: Sequence[str] | None, limit: int
) -> tuple[JournalLine, ...]:
    """Return lines after a number that some offices may see, in order."""
    statement = (
        select(_journal)
        .where(_journal.c.number > after, *_seen_by(offices))
        .order_by(_journal.c.number)
        .limit(limit)
    )
    return tuple(_line_of(row) for row in connection.execute(statement))


def lines_of(connection: Connection, *, alarm: int, limit: int) -> tuple[JournalLine, ...]:
    """Return the last lines about an alarm, oldest first."""
    statement = (
        select(_journal).where(_journal.c.alarm == alarm).order_by(_journal.c.number.desc()).limit(limit)
    )
    return tuple(reversed([_line_of(row) for row in connection.execute(statement)]))


def _line_of(row: Row[Any]) -> JournalLine:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    values["event"] = JournalEvent(values["event"])
    values["priority"] = None if row.priority is None else Priority(row.priority)
    return JournalLine(**values)


def _seen_by(offices: Sequence[str] | None) -> tuple[ColumnElement[bool], ...]:
    return () if offices is None else (or_(_journal.c.office.is_(None), _journal.c.office.in_(offices)),)


def has_event(connection: Connection, *, event: JournalEvent) -> bool:
    """Return whether an event was ever told."""
    statement = select(_journal.c.number).where(_journal.c.event == event.value).limit(1)
    return connection.execute(statement).first() is not None


def last_of(
    connection: Connection,
    *,
    events: Sequence[JournalEvent],
    priority: Priority,
    offices: Sequence[str] | None,
) -> int:
    """Return the number of the last line of some events and a priority, as some offices may see it; 0 if none is."""
    statement = (
        select(_journal.c.number)
        .where(
            _journal.c.event.in_([event.value for event in events]),
            _journal.c.priority == int(priority),
            *_seen_by(offices),
        )
        .order_by(_journal.c.number.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none() or 0


def last_number(connection: Connection) -> int:
    """Return the number of the last line, 0 if there is none."""
    return sequences.last_taken(connection, name=SEQUENCE)
