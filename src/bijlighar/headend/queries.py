"""What other rooms may ask: what is due, what became of commands, who was heard, what is believed of relays."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.headend import control_store, gate_store, keys_store, push_store, schedule, session_store
from bijlighar.headend.control_queue import CONTROL_KINDS
from bijlighar.headend.model import (
    SESSION_OK,
    ControlCommand,
    GateEntry,
    HeadEndSettings,
    SessionRow,
    SilentMeter,
)
from bijlighar.headend.push_store import Quarantined
from bijlighar.storage import jobs

DEFAULT_LIMIT = 1_000


def pending_collect(connection: Connection, *, now: datetime, settings: HeadEndSettings | None = None) -> int:
    """Return how many meters owe days and may be asked at `now`; 0 once everything due was tried."""
    settings = settings or HeadEndSettings()
    if schedule.nothing_due(connection, now=now, settings=settings):
        return 0
    return len(schedule.due_tasks(connection, now=now, settings=settings))


def pending_control(connection: Connection, *, now: datetime) -> int:
    """Return how many control commands, or readings of doubtful relays, are due or running at `now`."""
    return jobs.pending(connection, kinds=CONTROL_KINDS, now=now)


def control_command(connection: Connection, *, order_id: str) -> ControlCommand | None:
    """Return the command of an order, None if there is none."""
    return control_store.command(connection, order_id=order_id)


def commands_of(
    connection: Connection, *, serial: str, limit: int = DEFAULT_LIMIT
) -> tuple[ControlCommand, ...]:
    """Return the commands of a meter, newest first."""
    return control_store.commands_of(connection, serial=serial, limit=limit)


def finished_commands(
    connection: Connection, *, after: int, limit: int = DEFAULT_LIMIT
) -> tuple[ControlCommand, ...]:
    """
    Return the commands that came to an end, or into doubt, after a number of the sequence `headend.control`.

    A command in doubt (UNKNOWN) comes again under a new number when its relay has been read. A cancelled one does not
    come: whoever cancelled it was told.
    """
    return control_store.told(connection, after=after, limit=limit)


def last_contact(connection: Connection) -> Mapping[str, datetime]:
    """Return when each meter was last collected in good order."""
    return session_store.last_contacts(connection)


def silent_meters(connection: Connection) -> tuple[SilentMeter, ...]:
    """Return the meters whose last session failed, worst first."""
    silent = [
        SilentMeter(
            meter=known.meter,
            failures=known.failures,
            since=known.last_ok_at,
            last_code=known.last_code,
            next_at=known.next_at,
        )
        for known in session_store.schedules(connection).values()
        if known.last_code != SESSION_OK
    ]
    return tuple(sorted(silent, key=lambda meter: (-meter.failures, meter.meter)))


def sessions(
    connection: Connection, *, meter: str | None = None, limit: int = DEFAULT_LIMIT
) -> tuple[SessionRow, ...]:
    """Return the newest sessions, of one meter or of all."""
    return session_store.sessions(connection, meter=meter, limit=limit)


def relay_belief(connection: Connection) -> Mapping[str, bool | None]:
    """Return, per meter whose relay was ever read, whether it was closed (supply on) when last read."""
    return {meter: closed for meter, (closed, _) in control_store.beliefs(connection).items()}


def relay_read_at(connection: Connection) -> Mapping[str, datetime]:
    """Return when each relay was last read."""
    return {meter: at for meter, (_, at) in control_store.beliefs(connection).items()}


def notifications_received(connection: Connection) -> int:
    """Return how many pushes have come: stored, each once, and put in quarantine."""
    counts = push_store.counts(connection)
    return counts["received"] + counts["quarantined"]


def push_counts(connection: Connection) -> Mapping[str, int]:
    """Return how many pushes were `received` (each once), `repeated` and `quarantined`."""
    return push_store.counts(connection)


def quarantined(connection: Connection, *, limit: int = DEFAULT_LIMIT) -> tuple[Quarantined, ...]:
    """Return what was pushed and could not be taken, newest first."""
    return push_store.quarantined(connection, limit=limit)


def gate_log(connection: Connection, *, after: int = 0, limit: int = DEFAULT_LIMIT) -> tuple[GateEntry, ...]:
    """Return what the gate decided after a number, oldest first."""
    return gate_store.entries(connection, after=after, limit=limit)


def meters_with_keys(connection: Connection) -> frozenset[str]:
    """Return the serials of the meters whose keys are stored."""
    return keys_store.meters_with_keys(connection)


def clock_drifts(connection: Connection, *, beyond_s: int) -> Mapping[str, int]:
    """Return how far the clocks are ahead [s] that were off by more than `beyond_s` [s] when last read."""
    drifts = {known.meter: known.drift_s for known in session_store.schedules(connection).values()}
    return {
        meter: drift_s for meter, drift_s in drifts.items() if drift_s is not None and abs(drift_s) > beyond_s
    }
