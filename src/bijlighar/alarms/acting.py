"""What people do about an alarm, each in their own name."""

from datetime import datetime

from sqlalchemy import Connection

from bijlighar.alarms import changes, journal_store, store
from bijlighar.alarms.errors import AlreadyAcknowledged, UnknownAlarm
from bijlighar.alarms.model import WAITING, Alarm
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.storage.engine import Database


def acknowledge(database: Database, *, number: int, person: str, now: datetime, note: str = "") -> Alarm:
    """
    Acknowledge an alarm in the name of a person and return it; the siren falls silent if no other alarm calls for it.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not acknowledge alarms of the meter's office.
    :raises AlreadyAcknowledged: if another person, or the same one, was first.
    """
    text = check_text(" ".join(note.split())[:NOTE_MAX], what="the note", letters_max=NOTE_MAX)
    with database.write() as connection:
        alarm = _held(connection, number=number)
        who = offices.authorise(
            connection, sign_in=person, act=Act.ACKNOWLEDGE_ALARM, office=alarm.office
        ).sign_in
        if alarm.state not in WAITING:
            raise AlreadyAcknowledged(
                f"alarm {number} was acknowledged by {alarm.acknowledged_by} already; nothing is to be done"
            )
        change = changes.acknowledged(alarm, person=who, note=text, now=now)
        store.save(connection, alarms=(change.alarm,))
        journal_store.add(connection, lines=(change.line,))
        offices.record_act(
            connection,
            person=who,
            act=Act.ACKNOWLEDGE_ALARM,
            subject=f"alarm {number}",
            detail={"source": alarm.source, "code": alarm.code, "note": text},
            now=now,
        )
    return change.alarm


def _held(connection: Connection, *, number: int) -> Alarm:
    """Return an alarm, the room's place taken and its row locked."""
    journal_store.lock(connection)
    alarm = store.hold(connection, number=number)
    if alarm is None:
        raise UnknownAlarm(f"there is no alarm {number}; `bijlighar alarm list` names them")
    return alarm
