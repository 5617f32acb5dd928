"""What other rooms may ask about alarms and the siren."""

from collections.abc import Sequence

from sqlalchemy import Connection

from bijlighar.alarms import store
from bijlighar.alarms.model import OPEN_STATES, Activation, Alarm, AlarmState, Priority
from bijlighar.storage import sequences

ALARMS_MAX = 5_000
#: The reader under which events are pulled, and the sequence they come from.
READER = "alarms.watch"
EVENTS = "readings.event"


def open_alarms(connection: Connection, *, limit: int = ALARMS_MAX) -> tuple[Alarm, ...]:
    """Return the alarms that are not back to normal and acknowledged, the most urgent and newest first."""
    return store.alarms(connection, states=sorted(OPEN_STATES), limit=min(limit, ALARMS_MAX))


def alarms(
    connection: Connection,
    *,
    states: Sequence[AlarmState] | None = None,
    source: str | None = None,
    limit: int = ALARMS_MAX,
) -> tuple[Alarm, ...]:
    """Return alarms, the most urgent and newest first."""
    return store.alarms(connection, states=states, source=source, limit=min(limit, ALARMS_MAX))


def alarm(connection: Connection, *, number: int) -> Alarm | None:
    """Return one alarm, None if there is none of that number."""
    found = store.alarms(connection, number=number, limit=1)
    return found[0] if found else None


def siren_required(connection: Connection) -> bool:
    """Return whether the siren is called for: a P1 alarm that nobody has acknowledged."""
    return bool(store.calling(connection, limit=1))


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
