"""What people do about an alarm, each in their own name."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.alarms import changes, journal_store, recording, rules, store
from bijlighar.alarms.errors import AlreadyAcknowledged, NoConsumer, NothingToTakeBack, UnknownAlarm
from bijlighar.alarms.model import WAITING, Alarm, JournalEvent
from bijlighar.base.errors import InvalidValue
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
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
        alarm = held(connection, number=number)
        who = offices.authorise(
            connection, sign_in=person, act=Act.ACKNOWLEDGE_ALARM, office=alarm.office
        ).sign_in
        if alarm.state not in WAITING:
            raise AlreadyAcknowledged(
                f"alarm {number} was acknowledged by {alarm.acknowledged_by} already; nothing is to be done"
            )
        change = changes.acknowledged(alarm, person=who, note=text, now=now)
        recording.record(connection, changes=(change,), now=now)
        audit(connection, alarm=alarm, who=who, act=Act.ACKNOWLEDGE_ALARM, detail={"note": text}, now=now)
    return change.alarm


def take_back_acknowledgement(database: Database, *, number: int, person: str, now: datetime) -> Alarm:
    """
    Take back what the same person acknowledged a few seconds ago, and return the alarm: it calls again.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not acknowledge alarms of the meter's office.
    :raises NothingToTakeBack: if another person acknowledged it, or nobody, or too long ago.
    """
    with database.write() as connection:
        alarm = held(connection, number=number)
        who = offices.authorise(
            connection, sign_in=person, act=Act.ACKNOWLEDGE_ALARM, office=alarm.office
        ).sign_in
        if alarm.acknowledged_at is None or alarm.acknowledged_by != who:
            raise NothingToTakeBack(
                f"alarm {number} is not acknowledged by {who}; nothing is to be taken back"
            )
        if now - alarm.acknowledged_at > rules.TAKE_BACK_WITHIN:
            raise NothingToTakeBack(
                f"alarm {number} was acknowledged more than {rules.TAKE_BACK_WITHIN.seconds} s ago; write a note"
            )
        standing = store.hold_open(connection, sources=(alarm.source,))
        if any(other.code == alarm.code and other.number != number for other in standing):
            raise NothingToTakeBack(
                f"alarm {number} has ended and the meter has raised a new one; see to that"
            )
        change = changes.taken_back(alarm, now=now)
        recording.record(connection, changes=(change,), now=now)
        audit(
            connection, alarm=alarm, who=who, act=Act.ACKNOWLEDGE_ALARM, detail={"taken_back": True}, now=now
        )
    return change.alarm


def note(database: Database, *, number: int, text: str, person: str, now: datetime) -> Alarm:
    """
    Write a note on an alarm and return it; a note is an action.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not acknowledge alarms of the meter's office.
    :raises InvalidValue: if there is no text, or too much.
    """
    said = plain(text, what="the note", letters_max=NOTE_MAX)
    with database.write() as connection:
        alarm = held(connection, number=number)
        who = offices.authorise(
            connection, sign_in=person, act=Act.ACKNOWLEDGE_ALARM, office=alarm.office
        ).sign_in
        change = changes.noted(alarm, person=who, text=said, now=now)
        recording.record(connection, changes=(change,), now=now)
    return change.alarm


def send_squad(database: Database, *, number: int, squad: str, person: str, now: datetime) -> Alarm:
    """
    Record that a squad was sent to the meter of an alarm, and return the alarm.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not send squads in the meter's office.
    :raises InvalidValue: if no squad is named.
    """
    said = plain(squad, what="the squad", letters_max=CODE_MAX)
    with database.write() as connection:
        alarm = held(connection, number=number)
        who = offices.authorise(connection, sign_in=person, act=Act.SEND_SQUAD, office=alarm.office).sign_in
        change = changes.squad_sent(alarm, person=who, squad=said, now=now)
        recording.record(connection, changes=(change,), now=now)
        audit(connection, alarm=alarm, who=who, act=Act.SEND_SQUAD, detail={"squad": said}, now=now)
    return change.alarm


def record_message(database: Database, *, number: int, text: str, person: str, now: datetime) -> Alarm:
    """
    Record that the consumer of an alarm was written to, and return the alarm; the message itself is queued elsewhere.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not write to consumers of the meter's office.
    :raises NoConsumer: if the meter supplies no consumer.
    :raises InvalidValue: if it is not said what was written.
    """
    said = plain(text, what="the message", letters_max=NOTE_MAX)
    with database.write() as connection:
        alarm = held(connection, number=number)
        who = offices.authorise(
            connection, sign_in=person, act=Act.MESSAGE_CONSUMER, office=alarm.office
        ).sign_in
        account = consumer_of(alarm)
        change = changes.acted(alarm, event=JournalEvent.MESSAGE_SENT, person=who, detail=said, now=now)
        recording.record(connection, changes=(change,), now=now)
        audit(
            connection,
            alarm=alarm,
            who=who,
            act=Act.MESSAGE_CONSUMER,
            detail={"account": account, "text": said},
            now=now,
        )
    return change.alarm


def consumer_of(alarm: Alarm) -> str:
    """
    Return the account that the meter of an alarm supplied.

    :raises NoConsumer: if it supplied none.
    """
    if alarm.account is None:
        raise NoConsumer(
            f"alarm {alarm.number} is of {alarm.source}, which supplies no consumer; send a squad"
        )
    return alarm.account


def plain(text: str, *, what: str, letters_max: int) -> str:
    """
    Return what a person wrote, on one line.

    :raises InvalidValue: if it is empty, too long, or no text.
    """
    said = check_text(" ".join(text.split()), what=what, letters_max=letters_max)
    if not said:
        raise InvalidValue(f"{what} is empty; write it in words")
    return said


def audit(
    connection: Connection, *, alarm: Alarm, who: str, act: Act, detail: Mapping[str, object], now: datetime
) -> None:
    """Record what a person did about an alarm; this must come last in the transaction."""
    offices.record_act(
        connection,
        person=who,
        act=act,
        subject=f"alarm {alarm.number}",
        detail={"source": alarm.source, "code": alarm.code, **detail},
        now=now,
    )


def held(connection: Connection, *, number: int) -> Alarm:
    """Return an alarm, the room's place taken and its row locked."""
    journal_store.lock(connection)
    alarm = store.hold(connection, number=number)
    if alarm is None:
        raise UnknownAlarm(f"there is no alarm {number}; `bijlighar alarm list` names them")
    return alarm
