"""What other rooms may ask about alarms and the siren."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.alarms import desk_store, grouping, journal_store, rules, store
from bijlighar.alarms.counting import wall_counts
from bijlighar.alarms.model import (
    OPEN_STATES,
    Activation,
    Alarm,
    AlarmState,
    AlarmTable,
    Console,
    JournalEvent,
    JournalLine,
    Priority,
    Proposal,
    ProposalState,
    Silence,
    WallRow,
    WallTotals,
)
from bijlighar.alarms.table import shipped_table
from bijlighar.storage import sequences

__all__ = [
    "activations",
    "alarm",
    "alarms",
    "armed_consoles",
    "consoles",
    "count",
    "count_activations",
    "due",
    "history",
    "journal",
    "last_chime",
    "last_number",
    "open_alarms",
    "pending",
    "proposal",
    "proposals",
    "silence",
    "siren_behind",
    "siren_required",
    "wall_counts",
    "wall_rows",
]

ALARMS_MAX = 5_000
LINES_MAX = 2_000
PROPOSALS_MAX = 1_000
#: The reader under which events are pulled, and the sequence they come from.
READER = "alarms.watch"
EVENTS = "readings.event"


def open_alarms(
    connection: Connection, *, offices: Sequence[str] | None = None, limit: int = ALARMS_MAX
) -> tuple[Alarm, ...]:
    """
    Return the alarms that are not back to normal and acknowledged, the most urgent and newest first.

    offices: the codes of a branch; None for all. What belongs to no office is seen by everybody.
    """
    return store.alarms(connection, states=sorted(OPEN_STATES), offices=offices, limit=min(limit, ALARMS_MAX))


def alarms(
    connection: Connection,
    *,
    states: Sequence[AlarmState] | None = None,
    source: str | None = None,
    offices: Sequence[str] | None = None,
    limit: int = ALARMS_MAX,
) -> tuple[Alarm, ...]:
    """Return alarms, the most urgent and newest first."""
    return store.alarms(
        connection, states=states, source=source, offices=offices, limit=min(limit, ALARMS_MAX)
    )


def alarm(connection: Connection, *, number: int) -> Alarm | None:
    """Return one alarm, None if there is none of that number."""
    found = store.alarms(connection, number=number, limit=1)
    return found[0] if found else None


def journal(
    connection: Connection, *, after: int, limit: int = LINES_MAX, offices: Sequence[str] | None = None
) -> tuple[JournalLine, ...]:
    """Return the lines of the journal after a number, in order; the numbers rise, but not always by one."""
    return journal_store.lines(connection, after=after, offices=offices, limit=min(limit, LINES_MAX))


def history(connection: Connection, *, alarm: int, limit: int = LINES_MAX) -> tuple[JournalLine, ...]:
    """Return the last lines about one alarm, oldest first."""
    return journal_store.lines_of(connection, alarm=alarm, limit=min(limit, LINES_MAX))


def last_number(connection: Connection) -> int:
    """Return the number of the last line of the journal, 0 if there is none."""
    return journal_store.last_number(connection)


def last_chime(connection: Connection, *, offices: Sequence[str] | None = None) -> int:
    """Return the number of the last line that a console chimes once for: a new P2 alarm; 0 if there was none."""
    return journal_store.last_of(
        connection,
        events=(JournalEvent.RAISED, JournalEvent.RECURRED),
        priority=Priority.P2,
        offices=offices,
    )


def wall_rows(
    connection: Connection,
    *,
    offices: Sequence[str] | None,
    now: datetime,
    totals: WallTotals | None = None,
    limit: int = ALARMS_MAX,
) -> tuple[WallRow, ...]:
    """Return the rows of the wall of a branch (None: of all), in the order in which they are shown."""
    found = open_alarms(connection, offices=offices, limit=limit)
    return grouping.wall_rows(found, now=now, totals=totals or WallTotals())


def silence(connection: Connection, *, now: datetime) -> Silence | None:
    """Return the silence of the siren that stands, None if it is not silenced."""
    return desk_store.silence(connection, at=now)


def consoles(connection: Connection) -> tuple[Console, ...]:
    """Return the consoles that were heard of in the last day, the last to beat first."""
    return desk_store.consoles(connection)


def armed_consoles(connection: Connection, *, wall: datetime) -> tuple[Console, ...]:
    """Return the consoles that would sound the siren now."""
    return tuple(found for found in consoles(connection) if rules.would_sound(found, wall=wall))


def proposals(
    connection: Connection,
    *,
    alarm: int | None = None,
    state: ProposalState | None = None,
    offices: Sequence[str] | None = None,
    limit: int = PROPOSALS_MAX,
) -> tuple[Proposal, ...]:
    """Return proposals to cut for theft, newest first."""
    return desk_store.proposals(
        connection, alarm=alarm, state=state, offices=offices, limit=min(limit, PROPOSALS_MAX)
    )


def proposal(connection: Connection, *, number: int) -> Proposal | None:
    """Return one proposal to cut for theft, None if there is none of that number."""
    found = desk_store.proposals(connection, number=number, limit=1)
    return found[0] if found else None


def due(connection: Connection, *, now: datetime, table: AlarmTable | None = None) -> int:
    """Return how many alarms are to go to a further level, or have an acknowledgement that no longer holds."""
    return store.count_due(connection, now=now, table=table or shipped_table())


def siren_required(connection: Connection, *, offices: Sequence[str] | None = None) -> bool:
    """Return whether the siren is called for: a P1 alarm that nobody has acknowledged."""
    return bool(store.calling(connection, offices=offices, limit=1))


def count(connection: Connection, *, priorities: Sequence[Priority] | None = None) -> int:
    """Return how many alarms there ever were."""
    return store.count(connection, priorities=priorities)


def activations(connection: Connection, *, limit: int = ALARMS_MAX) -> tuple[Activation, ...]:
    """Return the times the siren was called for, newest first."""
    return store.activations(connection, limit=min(limit, ALARMS_MAX))


def siren_behind(connection: Connection) -> bool:
    """Return whether the siren has not yet been told that it is, or is no longer, called for."""
    return siren_required(connection) != (store.sounding(connection) is not None)


def count_activations(connection: Connection) -> int:
    """Return how many times the siren was called for."""
    return store.count_activations(connection)


def pending(connection: Connection) -> int:
    """Return how many events were not looked at yet."""
    return max(
        0,
        sequences.last_taken(connection, name=EVENTS) - sequences.watermark(connection, reader=READER),
    )
