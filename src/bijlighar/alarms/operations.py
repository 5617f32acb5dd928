"""What other rooms may do: watch the events, acknowledge an alarm, drive the siren."""

import asyncio
from datetime import datetime
from importlib import resources

from sqlalchemy import Connection

from bijlighar.alarms import rules, store
from bijlighar.alarms.errors import AlreadyAcknowledged, SirenUnreachable, UnknownAlarm
from bijlighar.alarms.model import (
    ALARM_STEPS,
    SIREN_SOURCE,
    SIREN_UNREACHABLE_CODE,
    WAITING,
    Alarm,
    AlarmEvent,
    AlarmState,
    AlarmTable,
    Priority,
    SirenSettings,
    SirenStep,
)
from bijlighar.alarms.mqtt import MqttSiren, NoSiren
from bijlighar.alarms.ports import SirenOutput
from bijlighar.alarms.queries import READER
from bijlighar.arrears import queries as arrears
from bijlighar.base.clock import Clock
from bijlighar.base.lifecycle import next_state
from bijlighar.base.period import Period
from bijlighar.headend import queries as headend
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.readings import queries as readings
from bijlighar.readings.model import MeterEvent
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database

EVENTS_PER_RUN = 1_000
CALLING_MAX = 1_000
NOTE_MAX = 500
__all__ = [
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
        seen = sequences.watermark(connection, reader=READER)
        events = readings.events(connection, after=seen, limit=EVENTS_PER_RUN)
        for sequence, event in events:
            _look_at(connection, event=event, table=chosen, now=now)
            seen = sequence
        if events:
            sequences.raise_watermark(connection, reader=READER, seen=seen)
    return len(events)


def _look_at(connection: Connection, *, event: MeterEvent, table: AlarmTable, now: datetime) -> None:
    restored = rules.restored_code(event.code)
    if restored is not None:
        _clear(connection, source=event.meter, code=restored, at=event.at)
        return
    priority = rules.priority_of(code=event.code, at=event.at, known_at=event.received_at, table=table)
    if priority is None and event.code in table.uncommanded:
        priority = None if _is_ours(connection, event=event) else Priority.P2
    if priority is None:
        return
    hanging = _hanging(connection, meter=event.meter, at=event.at)
    _raise(
        connection,
        source=event.meter,
        code=event.code,
        priority=priority,
        at=event.at,
        now=now,
        hanging=hanging,
    )


def _is_ours(connection: Connection, *, event: MeterEvent) -> bool:
    """Return whether a command or an order of ours explains that the relay moved."""
    commands = headend.commands_of(connection, serial=event.meter)
    if rules.is_explained(code=event.code, at=event.at, commands=commands):
        return True
    hanging = _hanging(connection, meter=event.meter, at=event.at)
    if hanging is None or hanging.account is None:
        return False
    orders = arrears.orders(connection, account=hanging.account)
    return rules.is_by_hand(code=event.code, at=event.at, orders=orders)


def _hanging(connection: Connection, *, meter: str, at: datetime) -> Installation | None:
    rows = registry.installations(connection, meter=meter, period=Period(start=at, end=at))
    every = rows or registry.installations(connection, meter=meter)
    fitting = [row for row in every if row.hangs_at(at)]
    return (fitting or list(every))[-1] if every else None


def _raise(
    connection: Connection,
    *,
    source: str,
    code: int,
    priority: Priority,
    at: datetime,
    now: datetime,
    hanging: Installation | None = None,
) -> None:
    known = store.hold_open(connection, source=source, code=code)
    if known is None:
        store.add(
            connection,
            state=AlarmState.UNACKNOWLEDGED,
            priority=priority,
            source=source,
            code=code,
            office=None if hanging is None else hanging.office,
            account=None if hanging is None else hanging.account,
            count=1,
            first_at=at,
            last_at=at,
            raised_at=now,
        )
        return
    state = next_state(ALARM_STEPS, known.state, rules.event_of(code))
    values: dict[str, object] = {
        "count": known.count + 1,
        "first_at": min(known.first_at, at),
        "last_at": max(known.last_at, at),
        "priority": int(min(known.priority, priority)),
    }
    if known.state is AlarmState.CLEARED and known.returned_at is not None and at <= known.returned_at:
        state = known.state  # told late: it was over by then
    if state is AlarmState.UNACKNOWLEDGED:
        values["returned_at"] = None
        if known.state is AlarmState.ACKNOWLEDGED:
            values |= {"acknowledged_by": None, "acknowledged_at": None}
    store.change(connection, number=known.number, state=state, **values)


def _clear(connection: Connection, *, source: str, code: int, at: datetime) -> None:
    known = store.hold_open(connection, source=source, code=code)
    if known is None or at < known.last_at:
        return
    state = next_state(ALARM_STEPS, known.state, AlarmEvent.RETURN)
    store.change(connection, number=known.number, state=state, returned_at=at)


def acknowledge(database: Database, *, number: int, person: str, now: datetime, note: str = "") -> Alarm:
    """
    Acknowledge an alarm in the name of a person and return it; the siren falls silent if no other alarm calls for it.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not acknowledge alarms of the meter's office.
    :raises AlreadyAcknowledged: if another person, or the same one, was first.
    """
    with database.write() as connection:
        alarm = store.hold(connection, number=number)
        if alarm is None:
            raise UnknownAlarm(f"there is no alarm {number}; `bijlighar alarm list` names them")
        who = offices.authorise(
            connection, sign_in=person, act=Act.ACKNOWLEDGE_ALARM, office=alarm.office
        ).sign_in
        if alarm.state not in WAITING:
            raise AlreadyAcknowledged(
                f"alarm {number} was acknowledged by {alarm.acknowledged_by} already; nothing is to be done"
            )
        state = next_state(ALARM_STEPS, alarm.state, AlarmEvent.ACKNOWLEDGE)
        text = " ".join(note.split())[:NOTE_MAX]
        store.change(
            connection,
            number=number,
            state=state,
            acknowledged_by=who,
            acknowledged_at=now,
            note=text,
        )
        offices.record_act(
            connection,
            person=who,
            act=Act.ACKNOWLEDGE_ALARM,
            subject=f"alarm {number}",
            detail={"source": alarm.source, "code": alarm.code, "note": text},
            now=now,
        )
        after = store.hold(connection, number=number)
    return alarm if after is None else after


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
    with database.read() as connection:
        known = store.alarms(connection, source=SIREN_SOURCE, states=(AlarmState.UNACKNOWLEDGED,), limit=1)
    if known:
        return
    with database.write() as connection:
        _raise(
            connection,
            source=SIREN_SOURCE,
            code=SIREN_UNREACHABLE_CODE,
            priority=Priority.P2,
            at=now,
            now=now,
        )


def _note_reachable(database: Database, now: datetime) -> None:
    active = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
    with database.read() as connection:
        known = store.alarms(connection, source=SIREN_SOURCE, states=active, limit=1)
    if not known:
        return
    with database.write() as connection:
        _clear(connection, source=SIREN_SOURCE, code=SIREN_UNREACHABLE_CODE, at=now)
