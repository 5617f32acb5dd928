"""Alarms and their life cycle after ISA-18.2."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """What happens to an alarm; RECUR is an occurrence of what never returns by itself."""

    OCCUR = "occur"
    RECUR = "recur"
    ACKNOWLEDGE = "acknowledge"
    RETURN = "return"


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
        },
        AlarmState.CLEARED: {
            AlarmEvent.OCCUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.RECUR: AlarmState.UNACKNOWLEDGED,
            AlarmEvent.ACKNOWLEDGE: AlarmState.NORMAL,
            AlarmEvent.RETURN: AlarmState.CLEARED,
        },
        AlarmState.NORMAL: {},
    }
)
#: Nobody has acknowledged it: a P1 alarm in one of these sounds the siren.
WAITING = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.CLEARED})
#: There is at most one alarm of a source and code in one of these.
OPEN_STATES = frozenset(AlarmState) - {AlarmState.NORMAL}

STATE_NAMES: Mapping[AlarmState, Words] = MappingProxyType(
    {
        AlarmState.UNACKNOWLEDGED: Words(hi="नया, अस्वीकृत", en="new, not acknowledged"),
        AlarmState.ACKNOWLEDGED: Words(hi="स्वीकृत, जारी", en="acknowledged, still there"),
        AlarmState.CLEARED: Words(hi="समाप्त, पर अस्वीकृत", en="over, not acknowledged"),
        AlarmState.NORMAL: Words(hi="सामान्य", en="normal"),
    }
)

#: The source of alarms about the siren itself.
SIREN_SOURCE = "siren"
#: Codes of alarms that no meter raises; above all codes of IS 15959 and of makers.
SIREN_UNREACHABLE_CODE = 10_001
SYSTEM_CODES: Mapping[int, Words] = MappingProxyType(
    {
        SIREN_UNREACHABLE_CODE: Words(
            hi="सायरन तक संदेश नहीं पहुंच रहा", en="the siren does not take what it is told"
        )
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


class JournalEvent(StrEnum):
    """What a line of the journal tells."""

    RAISED = "raised"
    REPEATED = "repeated"
    RECURRED = "recurred"
    CLEARED = "cleared"
    ENDED = "ended"
    ACKNOWLEDGED = "acknowledged"
    TAKEN_BACK = "taken_back"
    LAPSED = "lapsed"
    ESCALATED = "escalated"
    NOTED = "noted"
    SQUAD_SENT = "squad_sent"
    MESSAGE_SENT = "message_sent"
    CUT_PROPOSED = "cut_proposed"
    CUT_AUTHORISED = "cut_authorised"
    CUT_REFUSED = "cut_refused"
    SILENCED = "silenced"
    SILENCE_BROKEN = "silence_broken"
    CONSOLE_ARMED = "console_armed"
    CONSOLE_RELEASED = "console_released"
    CONSOLE_LOST = "console_lost"


JOURNAL_NAMES: Mapping[JournalEvent, Words] = MappingProxyType(
    {
        JournalEvent.RAISED: Words(hi="अलार्म आया", en="raised"),
        JournalEvent.REPEATED: Words(hi="फिर हुआ", en="occurred again"),
        JournalEvent.RECURRED: Words(hi="फिर हुआ, दोबारा अस्वीकृत", en="occurred again, not acknowledged"),
        JournalEvent.CLEARED: Words(hi="समाप्त, पर अस्वीकृत", en="over, not acknowledged"),
        JournalEvent.ENDED: Words(hi="समाप्त", en="over"),
        JournalEvent.ACKNOWLEDGED: Words(hi="स्वीकृत", en="acknowledged"),
        JournalEvent.TAKEN_BACK: Words(hi="स्वीकृति वापस ली", en="acknowledgement taken back"),
        JournalEvent.LAPSED: Words(
            hi="स्वीकृति के बाद कोई कार्रवाई नहीं, फिर अस्वीकृत", en="acknowledged, but nobody acted: open again"
        ),
        JournalEvent.ESCALATED: Words(hi="ऊपर सूचित", en="escalated"),
        JournalEvent.NOTED: Words(hi="टिप्पणी", en="note"),
        JournalEvent.SQUAD_SENT: Words(hi="दल भेजा", en="squad sent"),
        JournalEvent.MESSAGE_SENT: Words(hi="उपभोक्ता को संदेश भेजा", en="message sent to the consumer"),
        JournalEvent.CUT_PROPOSED: Words(hi="विच्छेदन प्रस्तावित", en="disconnection proposed"),
        JournalEvent.CUT_AUTHORISED: Words(hi="विच्छेदन अधिकृत", en="disconnection authorised"),
        JournalEvent.CUT_REFUSED: Words(hi="विच्छेदन अस्वीकार", en="disconnection refused"),
        JournalEvent.SILENCED: Words(hi="सायरन चुप किया", en="siren silenced"),
        JournalEvent.SILENCE_BROKEN: Words(hi="नए अलार्म से सायरन फिर चालू", en="siren on again by a new alarm"),
        JournalEvent.CONSOLE_ARMED: Words(hi="कंसोल का सायरन चालू", en="console armed"),
        JournalEvent.CONSOLE_RELEASED: Words(hi="कंसोल ड्यूटी से हटा", en="console off duty"),
        JournalEvent.CONSOLE_LOST: Words(hi="कंसोल का सायरन बंद", en="console not armed"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """
    One line of the journal, which is only ever added to.

    number: rises from line to line, not always by one; a reader that has seen one never finds a lower one later.
    alarm, priority, office: which alarm it is about, as it is after it; None: the siren or a console.
    person: who did it; None: the system.
    detail: a note, a squad, a count, a level, a console's reason: what goes with the event.
    """

    number: int
    at: datetime
    event: JournalEvent
    alarm: int | None
    priority: Priority | None
    office: str | None
    person: str | None
    detail: str

    @property
    def is_urgent(self) -> bool:
        """Return whether the siren may have to sound, or be still, because of it."""
        return self.priority is Priority.P1 or self.alarm is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTable:
    """
    Which event codes raise an alarm of which priority; what is not named raises none.

    uncommanded: codes that raise one only where no command of ours explains the event.
    """

    priorities: Mapping[int, Priority]
    uncommanded: frozenset[int]
    siren_within_hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One time that the siren was called for; `ended_at` None: it still is."""

    number: int
    alarm: int
    reason: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenStep:
    """What one step of the siren did: is it called for, and did the output take it."""

    required: bool
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenSettings:
    """
    How the siren is reached; an empty host: there is none, and nothing is sent.

    `topic` has the topics `set` (commands, never retained), `state` and `server` (retained) below it. An "on" holds
    for `lease_s` and is repeated every `refresh_s`, so that a dead server cannot leave the siren howling.
    """

    host: str
    port: int = 1883
    topic: str = "bijlighar/siren/indore"
    username: str = ""
    password: str = field(default="", repr=False)
    lease_s: int = 15
    refresh_s: int = 5
    timeout_s: int = 3
