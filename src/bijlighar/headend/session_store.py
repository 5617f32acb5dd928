"""The log of sessions, the schedule of each meter, and the layouts of the profiles of each model of meter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Select,
    String,
    Table,
    and_,
    case,
    func,
    or_,
    select,
    update,
)

from bijlighar.base.period import ONE_DAY, Period, date_of, local_midnight
from bijlighar.dlms.errors import DlmsError, LocalProtocolError
from bijlighar.headend.errors import ConnectionLost, GarbledAnswer, MeterSilent
from bijlighar.headend.model import SESSION_OK, SessionPurpose, SessionRow
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

NOTE_LENGTH = 300
ROWS_PER_STATEMENT = 500
#: Codes of sessions that broke off when the meter had been reached; so do all of the protocol, save our own mistakes.
BROKEN_OFF = frozenset({MeterSilent.code, ConnectionLost.code, GarbledAnswer.code})
OF_PROTOCOL = f"{DlmsError.code.partition('.')[0]}."

_session = Table(
    "headend_session",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(200), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("note", String(NOTE_LENGTH), nullable=False),
    Column("octets_in", Integer, nullable=False),
    Column("octets_out", Integer, nullable=False),
    Column("drift_s", Integer),
    Index(None, "meter", "id"),
)

_schedule = Table(
    "headend_schedule",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("settled_day", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("short_tries", Integer, nullable=False),
    Column("last_code", String(64), nullable=False),
    Column("last_try_at", Moment, nullable=False),
    Column("last_ok_at", Moment),
    Column("model", String(200)),
    Column("event_numbers", Document, nullable=False),
    Column("events_to", Moment),
    Column("drift_s", Integer),
)

_layout = Table(
    "headend_layout",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("document", Document, nullable=False),
    Column("read_at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """
    How far a meter has been collected and when it is asked next.

    Every day up to `settled_day` (day number, IST) has been read, or the meter has said that it has no more of it.
    `event_numbers` are the sequence numbers of the seven event families as last read, `events_to` up to when
    their logs were.
    """

    meter: str
    settled_day: int
    next_at: datetime
    failures: int = 0
    short_tries: int = 0
    last_code: str = ""
    last_try_at: datetime
    last_ok_at: datetime | None = None
    model: str | None = None
    event_numbers: tuple[int, ...] = ()
    events_to: datetime | None = None
    drift_s: int | None = None

    @property
    def is_broken_off(self) -> bool:
        """Return whether the last session failed after the meter was reached: it fell silent, hung up or garbled."""
        code = self.last_code
        is_of_meter = code.startswith(OF_PROTOCOL) and code != LocalProtocolError.code
        return self.failures > 0 and (code in BROKEN_OFF or is_of_meter)


#: `dataclasses.asdict` copies every value deeply, which took a tenth of a session's time.
SESSION_FIELDS = tuple(field.name for field in fields(SessionRow))
SCHEDULE_FIELDS = tuple(field.name for field in fields(Schedule))


def log_sessions(connection: Connection, *, rows: Sequence[SessionRow]) -> None:
    """Store the rows of sessions."""
    values = [
        {
            **{name: getattr(row, name) for name in SESSION_FIELDS},
            "purpose": row.purpose.value,
            "note": row.note[:NOTE_LENGTH],
            "outcome": row.outcome[:64],
        }
        for row in rows
    ]
    if values:
        connection.execute(_session.insert(), values)


def sessions(connection: Connection, *, meter: str | None, limit: int) -> tuple[SessionRow, ...]:
    """Return the newest sessions, of one meter or of all."""
    statement = select(_session).order_by(_session.c.id.desc()).limit(limit)
    if meter is not None:
        statement = statement.where(_session.c.meter == meter)
    return tuple(
        SessionRow(
            meter=row.meter,
            purpose=SessionPurpose(row.purpose),
            started_at=row.started_at,
            duration_ms=row.duration_ms,
            outcome=row.outcome,
            note=row.note,
            octets_in=row.octets_in,
            octets_out=row.octets_out,
            drift_s=row.drift_s,
        )
        for row in connection.execute(statement)
    )


def tries_statement(*, period: Period) -> Select[str, int, int]:
    """Return the SELECT of (meter, sessions, failed ones) of the collections that began in a period."""
    failed = case((_session.c.outcome == SESSION_OK, 0), else_=1)
    return (
        select(_session.c.meter, func.count().label("sessions"), func.sum(failed).label("failed"))
        .where(
            _session.c.purpose == SessionPurpose.COLLECT.value,
            _session.c.started_at >= period.start,
            _session.c.started_at < period.end,
        )
        .group_by(_session.c.meter)
    )


def heard_statement(*, until: datetime) -> Select[str, datetime]:
    """Return the SELECT of (meter, moment) of the last session of each meter that went well by `until`."""
    return (
        select(_session.c.meter, func.max(_session.c.started_at).label("at"))
        .where(_session.c.outcome == SESSION_OK, _session.c.started_at <= until)
        .group_by(_session.c.meter)
    )


def clock_looks(connection: Connection, *, since: datetime) -> Mapping[str, tuple[datetime, str]]:
    """Return when each clock was last looked at since a moment, and what came of it."""
    statement = (
        select(_session.c.meter, _session.c.started_at, _session.c.outcome)
        .where(_session.c.purpose == SessionPurpose.CLOCK.value, _session.c.started_at > since)
        .order_by(_session.c.id)
    )
    return {row.meter: (row.started_at, row.outcome) for row in connection.execute(statement)}


def models(connection: Connection) -> Mapping[str, str]:
    """Return the model of each meter whose name plate was read."""
    statement = select(_schedule.c.meter, _schedule.c.model).where(_schedule.c.model.is_not(None))
    return {row.meter: row.model for row in connection.execute(statement)}


def schedules(connection: Connection) -> Mapping[str, Schedule]:
    """Return the schedule of every meter that was ever tried."""
    return {row.meter: _schedule_of(row) for row in connection.execute(select(_schedule))}


def owing_statement(
    communicating: Select[str, str, str | None, datetime], *, newest: int, now: datetime
) -> Select[Any]:
    """Return the SELECT of communicating meters that owe a day up to `newest` and may be asked now."""
    hung = communicating.subquery("hung")
    hung_before = local_midnight(date_of(newest) + ONE_DAY)
    return (
        select(hung.c.meter, hung.c.url, hung.c.gateway, hung.c.hung_from)
        .select_from(hung.outerjoin(_schedule, _schedule.c.meter == hung.c.meter))
        .where(
            hung.c.hung_from < hung_before,
            or_(
                _schedule.c.meter.is_(None),
                and_(_schedule.c.settled_day < newest, _schedule.c.next_at <= now),
            ),
        )
    )


def write_schedules(connection: Connection, *, schedules: Iterable[Schedule]) -> None:
    """Store schedules over what was there."""
    rows = [
        {
            **{name: getattr(schedule, name) for name in SCHEDULE_FIELDS},
            "event_numbers": list(schedule.event_numbers),
        }
        for schedule in sorted(schedules, key=lambda schedule: schedule.meter)
    ]
    for first in range(0, len(rows), ROWS_PER_STATEMENT):
        statement = insert_for(connection, _schedule)
        changed = {
            column.name: statement.excluded[column.name] for column in _schedule.c if column.name != "meter"
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=[_schedule.c.meter], set_=changed),
            rows[first : first + ROWS_PER_STATEMENT],
        )


def bring_forward(
    connection: Connection, *, meters: Sequence[str], codes: Sequence[str], now: datetime
) -> int:
    """Let meters whose last session failed with one of some codes be asked at once; return how many those are."""
    statement = (
        update(_schedule)
        .where(_schedule.c.meter.in_(meters), _schedule.c.last_code.in_(codes), _schedule.c.next_at > now)
        .values(next_at=now)
    )
    return connection.execute(statement).rowcount


def layouts(connection: Connection) -> Mapping[str, Mapping[str, Any]]:
    """Return the stored layout documents by model."""
    return {row.model: row.document for row in connection.execute(select(_layout))}


def layout_of(connection: Connection, *, meter: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return model and layout document of a meter, None where a session has not told them yet."""
    statement = (
        select(_layout.c.model, _layout.c.document)
        .join(_schedule, _schedule.c.model == _layout.c.model)
        .where(_schedule.c.meter == meter)
    )
    row = connection.execute(statement).first()
    return None if row is None else (row.model, row.document)


def write_layout(connection: Connection, *, model: str, document: Mapping[str, Any], now: datetime) -> None:
    """Store the layouts of a model."""
    statement = insert_for(connection, _layout).values(model=model, document=dict(document), read_at=now)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_layout.c.model], set_={"document": dict(document), "read_at": now}
        )
    )


def last_contacts(connection: Connection) -> Mapping[str, datetime]:
    """Return when each meter was last spoken with in good order."""
    statement = select(_schedule.c.meter, _schedule.c.last_ok_at).where(_schedule.c.last_ok_at.is_not(None))
    return {row.meter: row.last_ok_at for row in connection.execute(statement)}


def _schedule_of(row: Any) -> Schedule:  # noqa: ANN401 - a row of the schedule's table
    return Schedule(
        meter=row.meter,
        settled_day=row.settled_day,
        next_at=row.next_at,
        failures=row.failures,
        short_tries=row.short_tries,
        last_code=row.last_code,
        last_try_at=row.last_try_at,
        last_ok_at=row.last_ok_at,
        model=row.model,
        event_numbers=tuple(row.event_numbers),
        events_to=row.events_to,
        drift_s=row.drift_s,
    )
