"""Alarms and their life cycle after ISA-18.2, the wall, the siren, and the desk of the control room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from bijlighar.alarms.desk import (
    CONSOLE_NAMES,
    PROPOSAL_NAMES,
    PROPOSAL_STEPS,
    REASON_NAMES,
    Beat,
    Console,
    ConsoleReason,
    ConsoleState,
    Proposal,
    ProposalEvent,
    ProposalState,
    Silence,
)
from bijlighar.alarms.journal import (
    JOURNAL_NAMES,
    JournalEvent,
    JournalLine,
)
from bijlighar.alarms.life import (
    ALARM_STEPS,
    OPEN_STATES,
    STANDING,
    STATE_NAMES,
    WAITING,
    Alarm,
    AlarmEvent,
    AlarmState,
    Priority,
)
from bijlighar.alarms.wall import (
    NextEscalation,
    SirenLevel,
    WallCounts,
    WallRow,
    WallTotals,
)
from bijlighar.base.words import Words

__all__ = [
    "ALARM_STEPS",
    "CONSOLE_NAMES",
    "CONTROL_ROOM_SOURCE",
    "JOURNAL_NAMES",
    "NO_CONSOLE_CODE",
    "OPEN_STATES",
    "PROPOSAL_NAMES",
    "PROPOSAL_STEPS",
    "REASON_NAMES",
    "SIREN_SOURCE",
    "SIREN_UNREACHABLE_CODE",
    "STANDING",
    "STATE_NAMES",
    "SYSTEM_CODES",
    "SYSTEM_PRIORITIES",
    "WAITING",
    "Activation",
    "Alarm",
    "AlarmEvent",
    "AlarmState",
    "AlarmTable",
    "Beat",
    "Console",
    "ConsoleReason",
    "ConsoleState",
    "EscalationStep",
    "JournalEvent",
    "JournalLine",
    "NextEscalation",
    "Priority",
    "Proposal",
    "ProposalEvent",
    "ProposalState",
    "Silence",
    "SirenLevel",
    "SirenSettings",
    "SirenStep",
    "WallCounts",
    "WallRow",
    "WallTotals",
]

#: The sources of alarms about the siren itself, and about the consoles of the control room.
SIREN_SOURCE = "siren"
CONTROL_ROOM_SOURCE = "control-room"
#: Codes of alarms that no meter raises; above all codes of IS 15959 and of makers.
SIREN_UNREACHABLE_CODE = 10_001
NO_CONSOLE_CODE = 10_002
SYSTEM_CODES: Mapping[int, Words] = MappingProxyType(
    {
        SIREN_UNREACHABLE_CODE: Words(
            hi="सायरन तक संदेश नहीं पहुंच रहा", en="the siren does not take what it is told"
        ),
        NO_CONSOLE_CODE: Words(
            hi="नियंत्रण कक्ष के किसी कंसोल का सायरन चालू नहीं",
            en="no console of the control room would sound the siren",
        ),
    }
)
SYSTEM_PRIORITIES: Mapping[int, Priority] = MappingProxyType(
    {SIREN_UNREACHABLE_CODE: Priority.P2, NO_CONSOLE_CODE: Priority.P1}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStep:
    """After how long a P1 alarm that nobody has acknowledged goes to whom, and how the siren sounds from then on."""

    after: timedelta
    who: Words
    siren: SirenLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTable:
    """
    Which event codes raise an alarm of which priority; what is not named raises none.

    uncommanded: codes that raise one only where no command of ours explains the event.
    escalation: the steps of a P1 alarm that nobody acknowledges; the first is level 1.
    lapse_after: how long an acknowledgement holds without an action; a priority that is not named: for ever.
    """

    priorities: Mapping[int, Priority]
    uncommanded: frozenset[int]
    siren_within_hours: int
    escalation: tuple[EscalationStep, ...] = ()
    lapse_after: Mapping[Priority, timedelta] = field(default_factory=dict)


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
