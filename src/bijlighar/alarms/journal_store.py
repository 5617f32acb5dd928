"""SQL of the journal: every change of an alarm, of the silence and of a console, in the order it was committed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, Row, String, Table, Text, or_, select

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
        Index(None, "event", "number"),
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
    connection: Connection,
    *,
    after: int = 0,
    alarm: int | None = None,
    offices: Sequence[str] | None = None,
    limit: int,
) -> tuple[JournalLine, ...]:
    """Return lines after a number, in order: all, those of an alarm, or those that some offices may see."""
    statement = select(_journal).where(_journal.c.number > after).order_by(_journal.c.number).limit(limit)
    if alarm is not None:
        statement = statement.where(_journal.c.alarm == alarm)
    if offices is not None:
        statement = statement.where(or_(_journal.c.office.is_(None), _journal.c.office.in_(offices)))
    return tuple(_line_of(row) for row in connection.execute(statement))


def _line_of(row: Row[Any]) -> JournalLine:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    values["event"] = JournalEvent(values["event"])
    values["priority"] = None if row.priority is None else Priority(row.priority)
    return JournalLine(**values)


def last_number(connection: Connection) -> int:
    """Return the number of the last line, 0 if there is none."""
    return sequences.last_taken(connection, name=SEQUENCE)
