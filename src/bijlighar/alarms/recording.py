"""What has changed is stored with the lines that tell it, and whatever calls for the siren anew ends a silence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.alarms import desk_store, journal_store, store
from bijlighar.alarms.changes import Change
from bijlighar.alarms.model import JournalEvent


def record(connection: Connection, *, changes: Sequence[Change], now: datetime) -> tuple[int, ...]:
    """
    Store changes in their order, with their lines, and return the number of each one's alarm.

    A new alarm has a number below zero until it is stored. Those that are known are stored first: one may have ended,
    and a new one of the same meter and kind stand in its place.
    """
    last = {change.alarm.number: change.alarm for change in changes}
    new = [alarm for number, alarm in last.items() if number < 0]
    store.save(connection, alarms=[alarm for number, alarm in last.items() if number > 0])
    stored = store.add(connection, alarms=new)
    numbers = {alarm.number: number for alarm, number in zip(new, stored, strict=True)}
    lines = [
        replace(change.line, alarm=numbers.get(change.alarm.number, change.alarm.number))
        for change in changes
    ]
    calling = next((line for change, line in zip(changes, lines, strict=True) if change.calls), None)
    if calling is not None and desk_store.end_silence(connection, at=now):
        lines.append(replace(calling, event=JournalEvent.SILENCE_BROKEN, person=None, detail=""))
    journal_store.add(connection, lines=lines)
    return tuple(numbers.get(change.alarm.number, change.alarm.number) for change in changes)
