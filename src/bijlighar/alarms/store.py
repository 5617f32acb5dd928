"""SQL of alarms and of the times the siren was called for."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
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
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
    update,
)

from bijlighar.alarms import rules
from bijlighar.alarms.model import (
    OPEN_STATES,
    WAITING,
    Activation,
    Alarm,
    AlarmState,
    AlarmTable,
    Priority,
)
from bijlighar.base.period import epoch_seconds
from bijlighar.storage.schema import Moment, Whole, metadata

SOURCES_PER_SELECT = 500
QUARTER_S = 15 * 60
FIELDS = tuple(field.name for field in fields(Alarm))

alarm_table = Table(
    "alarms_alarm",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("source", String(200), nullable=False),
    Column("code", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("office", String(64)),
    Column("account", String(64)),
    Column("transformer", String(64)),
    Column("feeder", String(64)),
    Column("count", Integer, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("raised_at", Moment, nullable=False),
    Column("waiting_since", Moment, nullable=False),
    Column("escalated", Integer, nullable=False),
    Column("returned_at", Moment),
    Column("acknowledged_by", String(64)),
    Column("acknowledged_at", Moment),
    Column("note", Text, nullable=False),
    Column("squad", String(64), nullable=False),
    Column("squad_at", Moment),
    Column("acted_at", Moment),
    Column("open", Boolean, nullable=False),
    Column("raised_quarter", Integer, nullable=False),
    Column("answered_s", Integer),
    Index(None, "state", "priority"),
    Index(None, "source"),
)
COLUMNS = tuple(alarm_table.c.keys())


def is_open() -> ColumnElement[bool]:
    """Return the condition that an alarm is open, in the very words of the partial indexes."""
    return alarm_table.c.open == true()


Index(
    "uq_alarms_alarm_open",
    alarm_table.c.source,
    alarm_table.c.code,
    unique=True,
    sqlite_where=alarm_table.c.open,
    postgresql_where=alarm_table.c.open,
)

#: An acknowledgement that nobody has acted on.
_UNACTED = and_(is_open(), alarm_table.c.acted_at.is_(None), alarm_table.c.acknowledged_at.is_not(None))
Index(
    "ix_alarms_alarm_unacted",
    alarm_table.c.acknowledged_at,
    sqlite_where=_UNACTED,
    postgresql_where=_UNACTED,
)

_activation = Table(
    "alarms_siren",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("alarm", Whole, ForeignKey("alarms_alarm.number"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("sounding", Boolean, nullable=False),
)
Index(
    "uq_alarms_siren_sounding",
    _activation.c.sounding,
    unique=True,
    sqlite_where=_activation.c.sounding,
    postgresql_where=_activation.c.sounding,
)


def add(connection: Connection, *, alarms: Sequence[Alarm]) -> tuple[int, ...]:
    """Add alarms, which are given their numbers here, and return these in the same order."""
    if not alarms:
        return ()
    statement = alarm_table.insert().returning(alarm_table.c.number, sort_by_parameter_order=True)
    return tuple(connection.execute(statement, [_values(alarm) for alarm in alarms]).scalars())


def save(connection: Connection, *, alarms: Sequence[Alarm]) -> None:
    """Save alarms that are known by their numbers."""
    if not alarms:
        return
    rows = [_values(alarm) for alarm in alarms]
    statement = (
        update(alarm_table)
        .where(alarm_table.c.number == bindparam("key_number"))
        .values({name: bindparam(name) for name in rows[0]})
    )
    keys = [{"key_number": alarm.number} for alarm in alarms]
    connection.execute(statement, [row | key for row, key in zip(rows, keys, strict=True)])


def _values(alarm: Alarm) -> dict[str, object]:
    """Return the columns of an alarm; quarter and seconds stand in them so that they can be counted by an index."""
    values = {name: getattr(alarm, name) for name in FIELDS if name not in ("number", "words")}
    return values | {
        "state": alarm.state.value,
        "open": alarm.state in OPEN_STATES,
        "priority": int(alarm.priority),
        "raised_quarter": quarter_of(alarm.raised_at),
        "answered_s": None
        if alarm.acknowledged_at is None
        else epoch_seconds(alarm.acknowledged_at) - epoch_seconds(alarm.waiting_since),
    }


def quarter_of(moment: datetime) -> int:
    """
    Return the count of quarters of an hour since 1970.

    >>> from datetime import UTC
    >>> quarter_of(datetime(1970, 1, 1, 1, 14, tzinfo=UTC))
    4
    """
    return epoch_seconds(moment) // QUARTER_S


def hold_open(connection: Connection, *, sources: Sequence[str]) -> tuple[Alarm, ...]:
    """Return the open alarms of sources, their rows locked."""
    found: list[Alarm] = []
    for begin in range(0, len(sources), SOURCES_PER_SELECT):
        some = sources[begin : begin + SOURCES_PER_SELECT]
        statement = (
            select(alarm_table)
            .where(alarm_table.c.source.in_(some), alarm_table.c.open)
            .order_by(alarm_table.c.number)
        )
        found.extend(_alarm_of(row) for row in connection.execute(statement.with_for_update()))
    return tuple(found)


def hold(connection: Connection, *, number: int) -> Alarm | None:
    """Return an alarm, its row locked."""
    statement = select(alarm_table).where(alarm_table.c.number == number).with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _alarm_of(row)


def alarms(
    connection: Connection,
    *,
    states: Sequence[AlarmState] | None = None,
    source: str | None = None,
    number: int | None = None,
    offices: Sequence[str] | None = None,
    limit: int,
) -> tuple[Alarm, ...]:
    """Return alarms, the most urgent and newest first."""
    statement = select(alarm_table).order_by(alarm_table.c.priority, alarm_table.c.number.desc()).limit(limit)
    statement = statement.where(*seen_by(offices))
    if states is not None:
        statement = statement.where(alarm_table.c.state.in_([state.value for state in states]))
    if source is not None:
        statement = statement.where(alarm_table.c.source == source)
    if number is not None:
        statement = statement.where(alarm_table.c.number == number)
    return tuple(_alarm_of(row) for row in connection.execute(statement))


def seen_by(offices: Sequence[str] | None) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that some offices see an alarm; what belongs to no office is seen by everybody."""
    return (
        () if offices is None else (or_(alarm_table.c.office.is_(None), alarm_table.c.office.in_(offices)),)
    )


def calling(connection: Connection, *, offices: Sequence[str] | None = None, limit: int) -> tuple[Alarm, ...]:
    """Return the alarms that call for the siren, oldest first."""
    statement = (
        select(alarm_table)
        .where(
            alarm_table.c.priority == int(Priority.P1),
            alarm_table.c.state.in_([state.value for state in WAITING]),
            *seen_by(offices),
        )
        .order_by(alarm_table.c.number)
        .limit(limit)
    )
    return tuple(_alarm_of(row) for row in connection.execute(statement))


def calling_offices(connection: Connection) -> frozenset[str | None]:
    """Return the offices whose alarms call for the siren; None for those that belong to no office."""
    statement = (
        select(alarm_table.c.office)
        .distinct()
        .where(
            alarm_table.c.priority == int(Priority.P1),
            alarm_table.c.state.in_([state.value for state in WAITING]),
        )
    )
    return frozenset(connection.execute(statement).scalars())


def _is_due(*, now: datetime, table: AlarmTable) -> ColumnElement[bool]:
    """Return the condition that an alarm is to go to a level, or that its acknowledgement no longer holds."""
    waiting = and_(
        alarm_table.c.priority == int(Priority.P1),
        alarm_table.c.state.in_([state.value for state in WAITING]),
    )
    levels = [
        and_(waiting, alarm_table.c.escalated == level, alarm_table.c.waiting_since <= now - step.after)
        for level, step in enumerate(table.escalation)
    ]
    left = [
        and_(
            _UNACTED,
            alarm_table.c.acknowledged_at <= now - after,
            alarm_table.c.priority == int(priority),
        )
        for priority, after in table.lapse_after.items()
    ]
    return or_(false(), *levels, *left)


def due(connection: Connection, *, now: datetime, table: AlarmTable, limit: int) -> tuple[Alarm, ...]:
    """Return the alarms that are to go to a level, or whose acknowledgement no longer holds, oldest first."""
    statement = (
        select(alarm_table).where(_is_due(now=now, table=table)).order_by(alarm_table.c.number).limit(limit)
    )
    return tuple(_alarm_of(row) for row in connection.execute(statement.with_for_update()))


def count_due(connection: Connection, *, now: datetime, table: AlarmTable) -> int:
    """Return how many alarms are to go to a level, or have an acknowledgement that no longer holds."""
    statement = select(func.count()).select_from(alarm_table).where(_is_due(now=now, table=table))
    return int(connection.execute(statement).scalar_one())


def count(connection: Connection, *, priorities: Sequence[Priority] | None = None) -> int:
    """Return how many alarms there ever were."""
    statement = select(func.count()).select_from(alarm_table)
    if priorities is not None:
        statement = statement.where(alarm_table.c.priority.in_([int(priority) for priority in priorities]))
    return int(connection.execute(statement).scalar_one())


def _alarm_of(row: Row[Any]) -> Alarm:
    values = dict(zip(COLUMNS, row, strict=True))
    for name in ("open", "raised_quarter", "answered_s"):
        del values[name]
    values["state"] = AlarmState(values["state"])
    values["priority"] = Priority(values["priority"])
    return Alarm(words=rules.words_of(values["code"]), **values)


def start_siren(connection: Connection, *, alarm: int, reason: str, at: datetime) -> int:
    """Note that the siren is called for and return the number of the activation."""
    statement = _activation.insert().values(alarm=alarm, reason=reason, started_at=at, sounding=True)
    number: int = connection.execute(statement.returning(_activation.c.number)).scalar_one()
    return number


def end_siren(connection: Connection, *, at: datetime) -> None:
    """Note that the siren is no longer called for."""
    connection.execute(update(_activation).where(_activation.c.sounding).values(ended_at=at, sounding=False))


def sounding(connection: Connection) -> Activation | None:
    """Return the activation that stands, its row locked."""
    row = connection.execute(
        select(_activation).where(_activation.c.sounding).with_for_update()
    ).one_or_none()
    return None if row is None else _activation_of(row)


def activations(connection: Connection, *, limit: int) -> tuple[Activation, ...]:
    """Return the times the siren was called for, newest first."""
    statement = select(_activation).order_by(_activation.c.number.desc()).limit(limit)
    return tuple(_activation_of(row) for row in connection.execute(statement))


def count_activations(connection: Connection) -> int:
    """Return how many times the siren was called for."""
    return int(connection.execute(select(func.count()).select_from(_activation)).scalar_one())


def _activation_of(row: Row[Any]) -> Activation:
    return Activation(
        number=row.number,
        alarm=row.alarm,
        reason=row.reason,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
