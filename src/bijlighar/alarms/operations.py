"""What other rooms may do: watch the events, act on an alarm, silence and drive the siren, hear the consoles."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from bijlighar.alarms import desk_store, raising, rules, store
from bijlighar.alarms.acting import (
    acknowledge,
    note,
    record_message,
    send_squad,
    take_back_acknowledgement,
)
from bijlighar.alarms.consoles import beat, release_console, watch_consoles
from bijlighar.alarms.errors import SirenUnreachable
from bijlighar.alarms.escalating import escalate_due
from bijlighar.alarms.model import (
    SIREN_SOURCE,
    SIREN_UNREACHABLE_CODE,
    STANDING,
    AlarmTable,
    SirenLevel,
    SirenSettings,
    SirenStep,
)
from bijlighar.alarms.mqtt import MqttSiren, NoSiren
from bijlighar.alarms.ports import SirenOutput
from bijlighar.alarms.proposing import decide_cut, propose_cut
from bijlighar.alarms.queries import READER
from bijlighar.alarms.silencing import silence
from bijlighar.alarms.table import shipped_table
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
    "beat",
    "decide_cut",
    "drive_siren",
    "escalate_due",
    "note",
    "open_siren",
    "propose_cut",
    "record_message",
    "release_console",
    "send_squad",
    "shipped_table",
    "silence",
    "take_back_acknowledgement",
    "watch",
    "watch_consoles",
]

LEASE_S = 15


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

    Each time it is called for is kept. A silence keeps it still and ends none of that. A siren that cannot be told
    raises an alarm of its own and stops nothing.
    """
    call = await asyncio.to_thread(_note_siren, database, now)
    is_required = bool(call.reason)
    try:
        await output.set(
            on=is_required and not call.is_silenced,
            level=call.level.value,
            reason=call.reason,
            lease_s=lease_s,
        )
    except SirenUnreachable:
        await asyncio.to_thread(_note_unreachable, database, now)
        return SirenStep(required=is_required, reached=False)
    await asyncio.to_thread(_note_reachable, database, now)
    return SirenStep(required=is_required, reached=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """Why the siren is called for (empty: it is not), how it sounds, and whether it is silenced."""

    reason: str
    level: SirenLevel
    is_silenced: bool


def _note_siren(database: Database, now: datetime) -> _Call:
    """Keep that the siren begins or ends to be called for, and return what it is to do."""
    with database.read() as connection:
        calling = store.calling(connection, limit=CALLING_MAX)
        known = store.sounding(connection)
        silenced = desk_store.silence(connection, at=now)
    reason = rules.siren_reason(calling)
    if bool(reason) != (known is not None):
        with database.write() as connection:
            calling = store.calling(connection, limit=CALLING_MAX)
            known = store.sounding(connection)
            reason = rules.siren_reason(calling)
            if reason and known is None:
                store.start_siren(connection, alarm=calling[0].number, reason=reason, at=now)
            elif not reason and known is not None:
                store.end_siren(connection, at=now)
    level = rules.siren_level(
        escalated=max((alarm.escalated for alarm in calling), default=0),
        only_system=bool(calling) and all(alarm.code > rules.CODE_MAX for alarm in calling),
        table=shipped_table(),
    )
    return _Call(reason=reason, level=level, is_silenced=silenced is not None)


def _note_unreachable(database: Database, now: datetime) -> None:
    if _siren_alarm_stands(database):
        return
    with database.write() as connection:
        raising.raise_system(connection, source=SIREN_SOURCE, code=SIREN_UNREACHABLE_CODE, now=now)


def _note_reachable(database: Database, now: datetime) -> None:
    if not _siren_alarm_stands(database):
        return
    with database.write() as connection:
        raising.clear_system(connection, source=SIREN_SOURCE, code=SIREN_UNREACHABLE_CODE, now=now)


def _siren_alarm_stands(database: Database) -> bool:
    with database.read() as connection:
        return bool(store.alarms(connection, source=SIREN_SOURCE, states=STANDING, limit=1))
