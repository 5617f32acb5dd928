"""An alarm and its life cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import Words


class Priority(IntEnum):
    """How soon somebody has to act: 1 sounds the siren, 2 chimes once, 3 is silent."""

    P1 = 1
    P2 = 2
    P3 = 3


class AlarmState(StrEnum):
    """The states of ISA-18.2: is what raised the alarm still there, and has somebody acknowledged it."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    NORMAL = "normal"


class AlarmEvent(StrEnum):
    """
    What happens to an alarm.

    RECUR is an occurrence of what never returns by itself; LAPSE ends an acknowledgement that nobody acted on;
    TAKE_BACK is the undoing of one by the person who gave it, within seconds.
    """

    OCCUR = "occur"
    RECUR = "recur"
    ACKNOWLEDGE = "acknowledge"
    RETURN = "return"
    LAPSE = "lapse"
    TAKE_BACK = "take_back"


#: Return to normal does not end an alarm that nobody has acknowledged: a tamper is latched.
ALARM_STEPS: LifeCycle[AlarmState, AlarmEvent] = MappingProxyType(
    {
        AlarmState.UNACKNOWLEDGED: {
            AlarmEvent.OCCUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.RECUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.ACKNOWLEDGE: AlarmState.ACKNOWLEDGED,
            AlarmEvent.RETURN: AlarmState.CLEARED,
        },
        AlarmState.ACKNOWLEDGED: {
            AlarmEvent.OCCUR: AlarmState.ACKNOWLEDGED,
            AlarmEvent.RECUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.RETURN: AlarmState.NORMAL,
            AlarmEvent.LAPSE: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.TAKE_BACK: AlarmState.UNACKNOWLEDGED,
        },
        AlarmState.CLEARED: {
            AlarmEvent.OCCUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.RECUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.ACKNOWLEDGE: AlarmState.NORMAL,
            AlarmEvent.RETURN: AlarmState.CLEARED,
        },
        AlarmState.NORMAL: {AlarmEvent.TAKE_BACK: AlarmState.CLEARED},
    }
)
#: Nobody has acknowledged it: a P1 alarm in one of these sounds the siren.
WAITING = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.CLEARED})
#: What raised it is there.
STANDING = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
#: There is at most one alarm of a source and code in one of these.
OPEN_STATES = frozenset(AlarmState) - {AlarmState.NORMAL}

STATE_NAMES: Mapping[AlarmState, Words] = MappingProxyType(
    {
        AlarmState.UNACKNOWLEDGED: Words(hi="नया, स्वीकृति शेष", en="new, not acknowledged"),
        AlarmState.ACKNOWLEDGED: Words(hi="स्वीकृत, जारी", en="acknowledged, still there"),
        AlarmState.CLEARED: Words(hi="समाप्त, स्वीकृति शेष", en="over, not acknowledged"),
        AlarmState.NORMAL: Words(hi="सामान्य", en="normal"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """
    One alarm of one source (a meter's serial number, or a part of the system) and code.

    office, account, transformer, feeder: where the meter hung when the alarm was raised; None where unknown.
    count, first_at, last_at: how often it occurred while it was open, first and last.
    waiting_since: when it last began to wait for somebody; `escalated`: to which level it has gone since then.
    returned_at: when what raised it was over; None while it is there or if it was never told.
    acted_at: when somebody last did something about it since it began to wait (a note, a squad, a message, a
    proposal); to acknowledge is not to act.
    """

    number: int
    source: str
    code: int
    words: Words
    priority: Priority
    state: AlarmState
    office: str | None
    account: str | None
    transformer: str | None = None
    feeder: str | None = None
    count: int
    first_at: datetime
    last_at: datetime
    raised_at: datetime
    waiting_since: datetime
    escalated: int = 0
    returned_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    note: str
    squad: str = ""
    squad_at: datetime | None = None
    acted_at: datetime | None = None
