"""Alarms are raised and cleared by the events of meters, and by the system itself: many in one go."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.alarms import changes, journal_store, recording, rules, store
from bijlighar.alarms.changes import Change, Occurrence
from bijlighar.alarms.model import SYSTEM_PRIORITIES, AlarmState, AlarmTable, Priority
from bijlighar.arrears import queries as arrears
from bijlighar.headend import queries as headend
from bijlighar.readings.model import MeterEvent
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation


class Batch:
    """The open alarms of some sources, changed in memory and written at once."""

    def __init__(self, connection: Connection, *, sources: Iterable[str], now: datetime) -> None:
        """Take the room's place and the open alarms of the sources."""
        journal_store.lock(connection)
        self._connection = connection
        self._now = now
        found = store.hold_open(connection, sources=sorted(set(sources)))
        self._open = {(alarm.source, alarm.code): alarm for alarm in found}
        self._changes: list[Change] = []
        self._raised = 0

    def occur(self, occurrence: Occurrence) -> None:
        """Raise an alarm, or count that the open one occurred again."""
        known = self._open.get((occurrence.source, occurrence.code))
        if known is not None:
            self._take(changes.again(known, occurrence=occurrence, now=self._now))
            return
        self._raised += 1
        self._take(changes.first(occurrence, number=-self._raised, now=self._now))

    def end(self, *, source: str, code: int, at: datetime) -> None:
        """Tell the open alarm of a source and code, if there is one, that it is over."""
        known = self._open.get((source, code))
        change = None if known is None else changes.over(known, at=at, now=self._now)
        if change is not None:
            self._take(change)

    def _take(self, change: Change) -> None:
        alarm = change.alarm
        self._changes.append(change)
        self._open[alarm.source, alarm.code] = alarm
        if alarm.state is AlarmState.NORMAL:
            del self._open[alarm.source, alarm.code]

    def write(self) -> None:
        """Store what has changed."""
        recording.record(self._connection, changes=self._changes, now=self._now)


class Places:
    """Where some meters hung, looked up in one go."""

    def __init__(self, connection: Connection, *, meters: Iterable[str]) -> None:
        """Look the meters up."""
        self._rows = registry.hangings(connection, meters=set(meters))

    def hanging(self, *, meter: str, at: datetime) -> Installation | None:
        """Return where a meter hung at a moment; if it did not hang then, where it hung last."""
        rows = self._rows.get(meter, ())
        fitting = [row for row in rows if row.hangs_at(at)]
        return (fitting or rows)[-1] if rows else None


def follow(connection: Connection, *, events: Sequence[MeterEvent], table: AlarmTable, now: datetime) -> None:
    """Raise and clear alarms by events, in their order."""
    batch = Batch(connection, sources=(event.meter for event in events), now=now)
    loud = {*table.priorities, *table.uncommanded}
    places = Places(connection, meters=(event.meter for event in events if event.code in loud))
    for event in events:
        restored = rules.restored_code(event.code)
        if restored is not None:
            batch.end(source=event.meter, code=restored, at=event.at)
            continue
        priority = rules.priority_of(code=event.code, at=event.at, known_at=event.received_at, table=table)
        if priority is None and event.code in table.uncommanded:
            priority = None if _is_ours(connection, event=event, places=places) else Priority.P2
        if priority is not None:
            batch.occur(_occurrence(event, priority=priority, places=places))
    batch.write()


def _occurrence(event: MeterEvent, *, priority: Priority, places: Places) -> Occurrence:
    hanging = places.hanging(meter=event.meter, at=event.at)
    return Occurrence(
        source=event.meter,
        code=event.code,
        priority=priority,
        at=event.at,
        office=None if hanging is None else hanging.office,
        account=None if hanging is None else hanging.account,
        transformer=None if hanging is None else hanging.transformer,
        feeder=None if hanging is None else hanging.feeder,
    )


def _is_ours(connection: Connection, *, event: MeterEvent, places: Places) -> bool:
    """Return whether a command or an order of ours explains that the relay moved."""
    commands = headend.commands_of(connection, serial=event.meter)
    if rules.is_explained(code=event.code, at=event.at, commands=commands):
        return True
    hanging = places.hanging(meter=event.meter, at=event.at)
    if hanging is None or hanging.account is None:
        return False
    orders = arrears.orders(connection, account=hanging.account)
    return rules.is_by_hand(code=event.code, at=event.at, orders=orders)


def raise_system(connection: Connection, *, source: str, code: int, now: datetime) -> None:
    """Raise an alarm about a part of the system."""
    batch = Batch(connection, sources=(source,), now=now)
    batch.occur(Occurrence(source=source, code=code, priority=SYSTEM_PRIORITIES[code], at=now))
    batch.write()


def clear_system(connection: Connection, *, source: str, code: int, now: datetime) -> None:
    """Tell the alarm about a part of the system that it is over."""
    batch = Batch(connection, sources=(source,), now=now)
    batch.end(source=source, code=code, at=now)
    batch.write()
