"""Edits of readings, proposed and decided: SQL, private to this room."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Row,
    SmallInteger,
    String,
    Table,
    Text,
    select,
    update,
)

from bijlighar.base.period import Period
from bijlighar.readings.model import EditKind
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.validation.model import EditReason, EditState, ReadingEdit

_edit = Table(
    "validation_edit",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(32), nullable=False),
    Column("start", Moment, nullable=False),
    Column("end", Moment, nullable=False),
    Column("minutes", SmallInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("given", Document, nullable=False),
    Column("before", Document, nullable=False),
    Column("measured", Document, nullable=False),
    Column("versions", Document, nullable=False),
    Column("office", String(64)),
    Column("reason", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("proposed_by", String(64), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", Moment),
    Column("decision_note", Text, nullable=False),
    Index(None, "meter", "start"),
    Index(None, "state", "start"),
)


def insert_edit(connection: Connection, *, edit: ReadingEdit) -> int:
    """Write a new edit and return its number; the one it is given does not count."""
    found = connection.execute(_edit.insert().values(_values(edit)).returning(_edit.c.number))
    return int(found.scalar_one())


def decide_edit(connection: Connection, *, edit: ReadingEdit) -> None:
    """Write how an edit was decided; what was proposed stays as it is."""
    decided = ("state", "revision", "decided_by", "decided_at", "decision_note")
    values = {name: value for name, value in _values(edit).items() if name in decided}
    connection.execute(update(_edit).where(_edit.c.number == edit.number).values(values))


def select_edit(connection: Connection, *, number: int, is_to_change: bool = False) -> ReadingEdit | None:
    """Return an edit, locked until the transaction ends if it is to be decided; None if there is none."""
    statement = select(_edit).where(_edit.c.number == number)
    if is_to_change:
        statement = statement.with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _read(row)


def select_overlapping(
    connection: Connection, *, state: EditState, period: Period, meters: Sequence[str]
) -> list[ReadingEdit]:
    """Return the edits of some meters in a state that overlap a period, in the order in which they were decided."""
    statement = (
        select(_edit)
        .where(_edit.c.state == state.value, _edit.c.start < period.end, _edit.c.end > period.start)
        .order_by(_edit.c.decided_at, _edit.c.number)
    )
    wanted = set(meters)
    return [_read(row) for row in connection.execute(statement) if row.meter in wanted]


def select_page(
    connection: Connection,
    *,
    states: Sequence[EditState],
    meter: str,
    offices: Sequence[str] | None,
    limit: int,
) -> tuple[ReadingEdit, ...]:
    """Return some edits, the newest first; an empty `meter` is every one, `offices` of None the whole company."""
    statement = select(_edit).where(_edit.c.state.in_([state.value for state in states]))
    if meter:
        statement = statement.where(_edit.c.meter == meter)
    if offices is not None:
        statement = statement.where(_edit.c.office.in_(offices))
    statement = statement.order_by(_edit.c.number.desc()).limit(limit)
    return tuple(_read(row) for row in connection.execute(statement))


def _values(edit: ReadingEdit) -> dict[str, Any]:
    return {
        "meter": edit.meter,
        "start": edit.start,
        "end": edit.end,
        "minutes": edit.minutes,
        "kind": edit.kind.value,
        "channel": edit.channel,
        "given": list(edit.values),
        "before": list(edit.before),
        "measured": list(edit.measured),
        "versions": {str(day): version for day, version in edit.versions.items()},
        "office": edit.office,
        "reason": edit.reason.value,
        "note": edit.note,
        "state": edit.state.value,
        "revision": edit.revision,
        "proposed_by": edit.proposed_by,
        "proposed_at": edit.proposed_at,
        "decided_by": edit.decided_by,
        "decided_at": edit.decided_at,
        "decision_note": edit.decision_note,
    }


def _read(row: Row[Any]) -> ReadingEdit:
    return ReadingEdit(
        number=row.number,
        meter=row.meter,
        start=row.start,
        end=row.end,
        minutes=row.minutes,
        kind=EditKind(row.kind),
        channel=row.channel,
        values=tuple(row.given),
        before=tuple(row.before),
        measured=tuple(row.measured),
        versions={int(day): version for day, version in row.versions.items()},
        office=row.office,
        reason=EditReason(row.reason),
        note=row.note,
        state=EditState(row.state),
        revision=row.revision,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_note=row.decision_note,
    )
