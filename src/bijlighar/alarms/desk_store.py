"""SQL of the control room's desk: consoles, silences, proposals to cut for theft."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    or_,
    select,
    update,
)

from bijlighar.alarms.model import (
    Console,
    ConsoleReason,
    ConsoleState,
    Proposal,
    ProposalState,
    Silence,
)
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

_console = Table(
    "alarms_console",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("heard_at", Moment),
    Column("last_beat_at", Moment, nullable=False),
    Column("armed_beat_at", Moment),
    Column("visible", Boolean, nullable=False),
    Column("started_at", Moment, nullable=False),
)

_silence = Table(
    "alarms_silence",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("person", String(64), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("until_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index(None, "until_at"),
)

_proposal = Table(
    "alarms_proposal",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("alarm", Whole, ForeignKey("alarms_alarm.number"), nullable=False),
    Column("account", String(64), nullable=False),
    Column("office", String(64)),
    Column("meter", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("proposed_by", String(64), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", Moment),
    Column("note", Text, nullable=False),
    Index(None, "alarm"),
    Index(None, "state"),
)
Index(
    "uq_alarms_proposal_proposed",
    _proposal.c.alarm,
    unique=True,
    sqlite_where=_proposal.c.decided_at.is_(None),
    postgresql_where=_proposal.c.decided_at.is_(None),
)


def console(connection: Connection, *, console: str) -> Console | None:
    """Return a console, its row locked."""
    statement = select(_console).where(_console.c.id == console).with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _console_of(row)


def consoles(connection: Connection) -> tuple[Console, ...]:
    """Return every console, the last to beat first."""
    statement = select(_console).order_by(_console.c.last_beat_at.desc(), _console.c.id)
    return tuple(_console_of(row) for row in connection.execute(statement))


def save_console(connection: Connection, *, saved: Console) -> None:
    """Insert a console, or overwrite it where its id is known."""
    values = {field.name: getattr(saved, field.name) for field in fields(saved)}
    values |= {"state": saved.state.value, "reason": saved.reason.value}
    del values["id"]
    statement = insert_for(connection, _console).values(id=saved.id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[_console.c.id], set_=values))


def keep_beat(connection: Connection, *, beaten: Console) -> bool:
    """Keep the beat of a console that is as it was; False if it is not."""
    changed = connection.execute(
        update(_console)
        .where(
            _console.c.id == beaten.id,
            _console.c.person == beaten.person,
            _console.c.state == beaten.state.value,
            _console.c.reason == beaten.reason.value,
        )
        .values(
            heard_at=beaten.heard_at,
            last_beat_at=beaten.last_beat_at,
            armed_beat_at=func.coalesce(beaten.armed_beat_at, _console.c.armed_beat_at),
            visible=beaten.visible,
        )
    )
    return bool(changed.rowcount)


def delete_consoles(connection: Connection, *, silent_since: datetime, kept_max: int) -> None:
    """Delete the consoles that have not beaten since then, and the most silent of those beyond the number kept."""
    connection.execute(delete(_console).where(_console.c.last_beat_at < silent_since))
    count = connection.execute(select(func.count()).select_from(_console)).scalar_one()
    if count > kept_max:
        oldest = select(_console.c.id).order_by(_console.c.last_beat_at, _console.c.id)
        connection.execute(delete(_console).where(_console.c.id.in_(oldest.limit(count - kept_max))))


def last_armed_beat(connection: Connection) -> datetime | None:
    """Return when a console last beat while it was armed, None if none ever did or all such are forgotten."""
    last: datetime | None = connection.execute(select(func.max(_console.c.armed_beat_at))).scalar_one()
    return last


def lost_consoles(connection: Connection, *, silent_since: datetime) -> tuple[Console, ...]:
    """Return the consoles that are called armed and have not beaten since then."""
    statement = select(_console).where(
        _console.c.state == ConsoleState.ARMED.value, _console.c.last_beat_at <= silent_since
    )
    return tuple(_console_of(row) for row in connection.execute(statement.order_by(_console.c.id)))


def _console_of(row: Row[Any]) -> Console:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    state = {"state": ConsoleState(row.state), "reason": ConsoleReason(row.reason)}
    return Console(**(values | state))


def add_silence(connection: Connection, *, added: Silence) -> None:
    """Add a silence; it takes the place of the one that stands."""
    end_silence(connection, at=added.started_at)
    connection.execute(
        _silence.insert().values(person=added.person, started_at=added.started_at, until_at=added.until_at)
    )


def end_silence(connection: Connection, *, at: datetime) -> bool:
    """End the silence that stands; False if none does."""
    ended = connection.execute(
        update(_silence).where(_silence.c.until_at > at, _silence.c.ended_at.is_(None)).values(ended_at=at)
    )
    return bool(ended.rowcount)


def silence(connection: Connection, *, at: datetime) -> Silence | None:
    """Return the silence that stands at a moment."""
    statement = (
        select(_silence)
        .where(_silence.c.until_at > at, _silence.c.ended_at.is_(None))
        .order_by(_silence.c.number.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return Silence(person=row.person, started_at=row.started_at, until_at=row.until_at)


def add_proposal(connection: Connection, *, added: Proposal) -> int:
    """Add a proposal, which is given its number here, and return this."""
    values = {field.name: getattr(added, field.name) for field in fields(added)}
    values["state"] = added.state.value
    del values["number"]
    statement = _proposal.insert().values(**values).returning(_proposal.c.number)
    number: int = connection.execute(statement).scalar_one()
    return number


def decide_proposal(connection: Connection, *, decided: Proposal) -> None:
    """Save what was decided on a proposal."""
    connection.execute(
        update(_proposal)
        .where(_proposal.c.number == decided.number)
        .values(
            state=decided.state.value,
            decided_by=decided.decided_by,
            decided_at=decided.decided_at,
            note=decided.note,
        )
    )


def proposals(
    connection: Connection,
    *,
    number: int | None = None,
    alarm: int | None = None,
    state: ProposalState | None = None,
    offices: Sequence[str] | None = None,
    limit: int,
) -> tuple[Proposal, ...]:
    """Return proposals, newest first."""
    statement = select(_proposal).order_by(_proposal.c.number.desc()).limit(limit)
    if number is not None:
        statement = statement.where(_proposal.c.number == number)
    if alarm is not None:
        statement = statement.where(_proposal.c.alarm == alarm)
    if state is not None:
        statement = statement.where(_proposal.c.state == state.value)
    if offices is not None:
        statement = statement.where(or_(_proposal.c.office.is_(None), _proposal.c.office.in_(offices)))
    return tuple(
        Proposal(**{**row, "state": ProposalState(row["state"])})
        for row in connection.execute(statement).mappings()
    )
