"""What other rooms may do: watch the events, act on an alarm, drive the siren."""

import asyncio
from datetime import datetime
from importlib import resources

from bijlighar.alarms import raising, rules, store
from bijlighar.alarms.acting import acknowledge
from bijlighar.alarms.errors import SirenUnreachable
from bijlighar.alarms.model import (
    SIREN_SOURCE,
    SIREN_UNREACHABLE_CODE,
    AlarmState,
    AlarmTable,
    Priority,
    SirenSettings,
    SirenStep,
)
from bijlighar.alarms.mqtt import MqttSiren, NoSiren
from bijlighar.alarms.ports import SirenOutput
from bijlighar.alarms.queries import READER
from bijlighar.base.clock import Clock
from bijlighar.base.text import NOTE_MAX
from bijlighar.readings import queries as readings
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database

EVENTS_PER_RUN = 1_000
CALLING_MAX = 1_000
__all__ = [
    "NOTE_MAX",
    "SirenOutput",
    "acknowledge",
    "drive_siren",
    "open_siren",
    "shipped_table",
    "watch",
]

LEASE_S = 15


def shipped_table() -> AlarmTable:
    """Return the table of what raises an alarm that is shipped with the package."""
    file = resources.files("bijlighar.alarms") / "sounds.toml"
    return rules.load_table(file.read_text(encoding="utf-8"))


def watch(database: Database, *, now: datetime, table: AlarmTable | None = None) -> int:
    """Raise and clear alarms by the events that came to be known since the last call; return how many they were."""
    chosen = table or shipped_table()
    with database.write() as connection:
        sequences.take(connection, name=READER, count=0)  # holds the place of the single watcher
        seen = sequences.watermark(connection, reader=READER)
        events = readings.events(connection, after=seen, limit=EVENTS_PER_RUN)
        if not events:
            return 0
        raising.follow(connection, events=[event for _, event in events], table=chosen, now=now)
        sequences.raise_watermark(connection, reader=READER, seen=events[-1][0])
    return len(events)


def open_siren(settings: SirenSettings, *, clock: Clock) -> SirenOutput:
    """Return the siren of the settings; without a host, one that is not there."""
    return MqttSiren(settings=settings, clock=clock) if settings.host else NoSiren()


async def drive_siren(
    database: Database, *, output: SirenOutput, now: datetime, lease_s: int = LEASE_S
) -> SirenStep:
    """
    Tell the siren what the alarms ask for; call it every few seconds, at least every `lease_s` / 3 [s].

    Each time it is called for is kept. A siren that cannot be told raises an alarm of its own and stops nothing.
    """
    reason = await asyncio.to_thread(_note_siren, database, now)
    try:
        await output.set(on=bool(reason), level="P1", reason=reason, lease_s=lease_s)
    except SirenUnreachable:
        await asyncio.to_thread(_note_unreachable, database, now)
        return SirenStep(required=bool(reason), reached=False)
    await asyncio.to_thread(_note_reachable, database, now)
    return SirenStep(required=bool(reason), reached=True)


def _note_siren(database: Database, now: datetime) -> str:
    """Keep that the siren begins or ends to be called for, and return why it sounds, empty if it does not."""
    with database.read() as connection:
        calling = store.calling(connection, limit=CALLING_MAX)
        known = store.sounding(connection)
    reason = rules.siren_reason(calling)
    if bool(reason) == (known is not None):
        return reason
    with database.write() as connection:
        calling = store.calling(connection, limit=CALLING_MAX)
        known = store.sounding(connection)
        reason = rules.siren_reason(calling)
        if reason and known is None:
            store.start_siren(connection, alarm=calling[0].number, reason=reason, at=now)
        elif not reason and known is not None:
            store.end_siren(connection, at=now)
    return reason


def _note_unreachable(database: Database, now: datetime) -> None:
    if _siren_alarm_stands(database):
        return
    with database.write() as connection:
        raising.raise_system(
            connection, source=SIREN_SOURCE, code=SIREN_UNREACHABLE_CODE, priority=Priority.P2, now=now
        )


def _note_reachable(database: Database, now: datetime) -> None:
    if not _siren_alarm_stands(database):
        return
    with database.write() as connection:
        raising.clear_system(connection, source=SIREN_SOURCE, code=SIREN_UNREACHABLE_CODE, now=now)


def _siren_alarm_stands(database: Database) -> bool:
    active = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
    with database.read() as connection:
        return bool(store.alarms(connection, source=SIREN_SOURCE, states=active, limit=1))
