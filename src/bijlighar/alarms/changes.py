"""What becomes of an alarm when it occurs, is over, or somebody deals with it: pure, with the line that tells it."""

from dataclasses import dataclass, replace
from datetime import datetime

from bijlighar.alarms import rules
from bijlighar.alarms.model import (
    ALARM_STEPS,
    Alarm,
    AlarmEvent,
    AlarmState,
    JournalEvent,
    JournalLine,
    Priority,
)
from bijlighar.base.lifecycle import next_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """That something occurred which raises an alarm, and where."""

    source: str
    code: int
    priority: Priority
    at: datetime
    office: str | None = None
    account: str | None = None
    transformer: str | None = None
    feeder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    An alarm as it is after a change, and the line of the journal.

    calls: whether it begins to call for the siren, or calls anew: that ends a silence.
    """

    alarm: Alarm
    line: JournalLine
    calls: bool = False


def line_of(
    alarm: Alarm, *, event: JournalEvent, now: datetime, person: str | None = None, detail: str = ""
) -> JournalLine:
    """Return a line about an alarm; it has no number yet."""
    return JournalLine(
        number=0,
        at=now,
        event=event,
        alarm=alarm.number,
        priority=alarm.priority,
        office=alarm.office,
        person=person,
        detail=detail,
    )


def first(occurrence: Occurrence, *, number: int, now: datetime) -> Change:
    """Return the new alarm of an occurrence; `number` is what the caller calls it until it is stored."""
    alarm = Alarm(
        number=number,
        source=occurrence.source,
        code=occurrence.code,
        words=rules.words_of(occurrence.code),
        priority=occurrence.priority,
        state=AlarmState.UNACKNOWLEDGED,
        office=occurrence.office,
        account=occurrence.account,
        transformer=occurrence.transformer,
        feeder=occurrence.feeder,
        count=1,
        first_at=occurrence.at,
        last_at=occurrence.at,
        raised_at=now,
        waiting_since=now,
        returned_at=None,
        acknowledged_by=None,
        acknowledged_at=None,
        note="",
    )
    line = line_of(alarm, event=JournalEvent.RAISED, now=now)
    return Change(alarm=alarm, line=line, calls=rules.calls_siren(alarm))


def again(alarm: Alarm, *, occurrence: Occurrence, now: datetime) -> Change:
    """Return an open alarm after it occurred again."""
    louder = occurrence.priority < alarm.priority  # what was acknowledged was less
    happened = AlarmEvent.RECUR if louder else rules.event_of(alarm.code)
    state = next_state(ALARM_STEPS, alarm.state, happened)
    if (
        alarm.state is AlarmState.CLEARED
        and alarm.returned_at is not None
        and occurrence.at <= alarm.returned_at
    ):
        state, happened = alarm.state, AlarmEvent.OCCUR  # told late: it was over by then
    after = replace(
        alarm,
        state=state,
        priority=min(alarm.priority, occurrence.priority),
        count=alarm.count + 1,
        first_at=min(alarm.first_at, occurrence.at),
        last_at=max(alarm.last_at, occurrence.at),
        returned_at=None if state is AlarmState.UNACKNOWLEDGED else alarm.returned_at,
    )
    if louder or (alarm.state is AlarmState.ACKNOWLEDGED and state is AlarmState.UNACKNOWLEDGED):
        after = _waiting_anew(after, now=now)
    anew = happened is AlarmEvent.RECUR or state is not alarm.state
    event = JournalEvent.RECURRED if anew else JournalEvent.REPEATED
    return Change(
        alarm=after,
        line=line_of(after, event=event, now=now, detail=str(after.count)),
        calls=rules.calls_siren(after) and (anew or not rules.calls_siren(alarm)),
    )


def _waiting_anew(alarm: Alarm, *, now: datetime) -> Alarm:
    return replace(
        alarm, waiting_since=now, escalated=0, acknowledged_by=None, acknowledged_at=None, acted_at=None
    )


def over(alarm: Alarm, *, at: datetime, now: datetime) -> Change | None:
    """Return an open alarm after what raised it was over; None if that was the end of an earlier occurrence."""
    if at < alarm.last_at:
        return None
    state = next_state(ALARM_STEPS, alarm.state, AlarmEvent.RETURN)
    after = replace(alarm, state=state, returned_at=at)
    event = JournalEvent.ENDED if state is AlarmState.NORMAL else JournalEvent.CLEARED
    return Change(alarm=after, line=line_of(after, event=event, now=now))


def acknowledged(alarm: Alarm, *, person: str, note: str, now: datetime) -> Change:
    """Return an alarm after a person acknowledged it; a note is an action, an empty one is none."""
    after = replace(
        alarm,
        state=next_state(ALARM_STEPS, alarm.state, AlarmEvent.ACKNOWLEDGE),
        acknowledged_by=person,
        acknowledged_at=now,
        note=note,
        acted_at=now if note else alarm.acted_at,
    )
    line = line_of(after, event=JournalEvent.ACKNOWLEDGED, now=now, person=person, detail=note)
    return Change(alarm=after, line=line)


def taken_back(alarm: Alarm, *, now: datetime) -> Change:
    """Return an alarm as if it had not been acknowledged: it has waited all the time."""
    after = replace(
        alarm,
        state=next_state(ALARM_STEPS, alarm.state, AlarmEvent.TAKE_BACK),
        acknowledged_by=None,
        acknowledged_at=None,
        acted_at=None if alarm.acted_at == alarm.acknowledged_at else alarm.acted_at,
    )
    line = line_of(after, event=JournalEvent.TAKEN_BACK, now=now, person=alarm.acknowledged_by)
    return Change(alarm=after, line=line, calls=rules.calls_siren(after))


def lapsed(alarm: Alarm, *, now: datetime) -> Change:
    """Return an alarm whose acknowledgement no longer holds; the line names who had acknowledged it."""
    state = next_state(ALARM_STEPS, alarm.state, AlarmEvent.LAPSE)
    after = _waiting_anew(replace(alarm, state=state), now=now)
    line = line_of(after, event=JournalEvent.LAPSED, now=now, detail=alarm.acknowledged_by or "")
    return Change(alarm=after, line=line, calls=rules.calls_siren(after))


def escalated(alarm: Alarm, *, level: int, now: datetime) -> Change:
    """Return an alarm that goes to a level because nobody has acknowledged it."""
    after = replace(alarm, escalated=level)
    return Change(alarm=after, line=line_of(after, event=JournalEvent.ESCALATED, now=now, detail=str(level)))


def noted(alarm: Alarm, *, person: str, text: str, now: datetime) -> Change:
    """Return an alarm with a person's note."""
    after = replace(alarm, note=text, acted_at=now)
    return _acted(after, event=JournalEvent.NOTED, person=person, detail=text, now=now)


def squad_sent(alarm: Alarm, *, person: str, squad: str, now: datetime) -> Change:
    """Return an alarm to which a person sent a squad."""
    after = replace(alarm, squad=squad, squad_at=now, acted_at=now)
    return _acted(after, event=JournalEvent.SQUAD_SENT, person=person, detail=squad, now=now)


def acted(alarm: Alarm, *, event: JournalEvent, person: str, detail: str, now: datetime) -> Change:
    """Return an alarm about which a person did something else."""
    return _acted(replace(alarm, acted_at=now), event=event, person=person, detail=detail, now=now)


def _acted(alarm: Alarm, *, event: JournalEvent, person: str, detail: str, now: datetime) -> Change:
    return Change(alarm=alarm, line=line_of(alarm, event=event, now=now, person=person, detail=detail))
