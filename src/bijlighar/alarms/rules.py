"""Pure decisions: what raises an alarm, what clears it, and whether the siren is called for."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bijlighar.alarms.errors import BrokenTable
from bijlighar.alarms.model import (
    JOURNAL_NAMES,
    REASON_NAMES,
    SYSTEM_CODES,
    WAITING,
    Alarm,
    AlarmEvent,
    AlarmState,
    AlarmTable,
    Beat,
    Console,
    ConsoleReason,
    ConsoleState,
    EscalationStep,
    JournalEvent,
    JournalLine,
    Priority,
    SirenLevel,
)
from bijlighar.arrears.model import Order, Way
from bijlighar.base.words import LANGUAGES, Words
from bijlighar.dlms.is15959_events import EVENTS, RELAY_CLOSED, RELAY_OPENED, event_words
from bijlighar.headend.model import ControlAction, ControlCommand

HOURS_MAX = 24 * 366
#: What a meter tells as it loses supply and gets it back: the first breath (86) ends the last gasp (85).
PUSHED_ENDS = {86: 85}
#: The command that explains an event of the relay.
ACTION_OF_EVENT = {RELAY_OPENED: ControlAction.DISCONNECT, RELAY_CLOSED: ControlAction.RECONNECT}
#: How far the meter's clock and the way of a command may lie apart.
COMMAND_ALLOWANCE = timedelta(minutes=30)
CODE_MAX = 9_999
LEVELS_MAX = 9
MINUTES_MAX = 1_440
#: For so long the person who acknowledged an alarm may take that back.
TAKE_BACK_WITHIN = timedelta(seconds=10)
#: For so long a person who heard the test tone is believed to hear the siren: a shift.
HEARD_WITHIN = timedelta(hours=12)
#: A console that sounds and measures less than this is mute.
RMS_MIN = 0.001
#: For so long a console may be silent, and the control room without an armed one, before that is an alarm.
UNWATCHED_MAX = timedelta(seconds=30)


def load_table(text: str) -> AlarmTable:
    """
    Return the table written in `text` (TOML).

    :raises BrokenTable: if it is not TOML, or names a priority or a code that cannot be.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenTable(f"the table of alarms is not valid TOML: {problem}") from None
    unknown = set(document) - {"siren_within_hours", "uncommanded", "priority", "escalation", "lapse_min"}
    if unknown:
        raise BrokenTable(f"the table of alarms has an unknown part {sorted(unknown)[0]!r}")
    hours = document.get("siren_within_hours")
    if type(hours) is not int or not 1 <= hours <= HOURS_MAX:
        raise BrokenTable(f"siren_within_hours must be a whole number from 1 to {HOURS_MAX}, not {hours!r}")
    uncommanded = document.get("uncommanded")
    if not isinstance(uncommanded, list) or not all(
        type(code) is int and code in ACTION_OF_EVENT for code in uncommanded
    ):
        raise BrokenTable(f"uncommanded must be a list of {', '.join(map(str, ACTION_OF_EVENT))}")
    priorities = _priorities(document.get("priority"))
    if priorities.keys() & set(uncommanded):
        raise BrokenTable("an event code stands either in [priority] or in uncommanded")
    return AlarmTable(
        priorities=priorities,
        uncommanded=frozenset(uncommanded),
        siren_within_hours=hours,
        escalation=_escalation(document.get("escalation", [])),
        lapse_after=_lapse_after(document.get("lapse_min", {})),
    )


def _priorities(table: object) -> Mapping[int, Priority]:
    if not isinstance(table, dict) or not set(table) <= {"1", "2", "3"}:
        raise BrokenTable("[priority] has the lists 1, 2 and 3, and nothing else")
    found: dict[int, Priority] = {}
    for name, codes in table.items():
        if not isinstance(codes, list):
            raise BrokenTable(f"[priority] {name} must be a list of event codes")
        for code in codes:
            if type(code) is not int or not 1 <= code <= CODE_MAX:
                raise BrokenTable(f"[priority] {name}: {code!r} is no event code")
            if code in found:
                raise BrokenTable(f"[priority] names the event code {code} twice")
            if restored_code(code) is not None:
                raise BrokenTable(f"[priority] {name}: {code} tells that {restored_code(code)} is over")
            found[code] = Priority(int(name))
    return found


def _escalation(steps: object) -> tuple[EscalationStep, ...]:
    if not isinstance(steps, list) or len(steps) > LEVELS_MAX:
        raise BrokenTable(f"[[escalation]] is a list of at most {LEVELS_MAX} steps")
    found: list[EscalationStep] = []
    for level, step in enumerate(steps, start=1):
        if not isinstance(step, dict) or set(step) != {"after_min", "siren", "hi", "en"}:
            raise BrokenTable(f"[[escalation]] {level} has after_min, siren, hi and en, and nothing else")
        if step["siren"] not in (SirenLevel.P1, SirenLevel.ESCALATED):
            raise BrokenTable(f"[[escalation]] {level}: siren is P1 or ESCALATED, not {step['siren']!r}")
        if not all(isinstance(step[language], str) and step[language].strip() for language in LANGUAGES):
            raise BrokenTable(f"[[escalation]] {level}: write in hi and en who it is")
        after = _minutes(step["after_min"], what=f"[[escalation]] {level}: after_min")
        if found and after <= found[-1].after:
            raise BrokenTable(f"[[escalation]] {level} must come later than the step before it")
        who = Words(hi=step["hi"], en=step["en"])
        found.append(EscalationStep(after=after, who=who, siren=SirenLevel(step["siren"])))
    return tuple(found)


def _lapse_after(table: object) -> Mapping[Priority, timedelta]:
    if not isinstance(table, dict) or not set(table) <= {"1", "2", "3"}:
        raise BrokenTable("[lapse_min] has the priorities 1, 2 and 3, and nothing else")
    return {
        Priority(int(name)): _minutes(minutes, what=f"[lapse_min] {name}") for name, minutes in table.items()
    }


def _minutes(value: object, *, what: str) -> timedelta:
    if type(value) is not int or not 1 <= value <= MINUTES_MAX:
        raise BrokenTable(f"{what} must be a whole number from 1 to {MINUTES_MAX}, not {value!r}")
    return timedelta(minutes=value)


def restored_code(code: int) -> int | None:
    """
    Return the code whose end an event tells, None if it tells none.

    >>> restored_code(202), restored_code(201)
    (201, None)
    """
    event = EVENTS.get(code)
    return PUSHED_ENDS.get(code) if event is None or event.restores is None else event.restores


def returns(code: int) -> bool:
    """
    Return whether an event with this code is ever told to be over.

    >>> returns(201), returns(251)
    (True, False)
    """
    if code in SYSTEM_CODES or code in PUSHED_ENDS.values():
        return True
    event = EVENTS.get(code)
    return event is not None and event.restored_by is not None


def words_of(code: int) -> Words:
    """Return what a code is called."""
    if code in SYSTEM_CODES:
        return SYSTEM_CODES[code]
    return event_words(code)


def priority_of(*, code: int, at: datetime, known_at: datetime, table: AlarmTable) -> Priority | None:
    """Return the priority of an event that came to be known at `known_at`, None if it raises no alarm."""
    priority = table.priorities.get(code)
    if priority is not None and known_at - at > timedelta(hours=table.siren_within_hours):
        return Priority.P3
    return priority


def is_explained(*, code: int, at: datetime, commands: Iterable[ControlCommand]) -> bool:
    """Return whether a command of ours that left for the meter explains that the relay moved at `at`."""
    action = ACTION_OF_EVENT.get(code)
    return any(
        command.action is action
        and command.attempts > 0
        and command.requested_at - COMMAND_ALLOWANCE <= at
        and (command.finished_at is None or at <= command.finished_at + COMMAND_ALLOWANCE)
        for command in commands
    )


def is_by_hand(*, code: int, at: datetime, orders: Iterable[Order]) -> bool:
    """Return whether an order that people carry out at the meter explains that the relay moved at `at`."""
    for order in orders:
        opening = code == RELAY_OPENED
        asked_at = order.sent_at if opening else order.released_at
        done_at = order.opened_at if opening else order.closed_at
        by_hand = order.way is Way.BY_HAND or (not opening and order.released_at is not None)
        if not by_hand or asked_at is None or at < asked_at - COMMAND_ALLOWANCE:
            continue
        if done_at is None or at <= done_at + COMMAND_ALLOWANCE:
            return True
    return False


def event_of(code: int) -> AlarmEvent:
    """Return what an occurrence of a code is to an alarm that is open."""
    return AlarmEvent.OCCUR if returns(code) else AlarmEvent.RECUR


def calls_siren(alarm: Alarm) -> bool:
    """Return whether an alarm calls for the siren."""
    return alarm.priority is Priority.P1 and alarm.state in WAITING


def siren_reason(alarms: Iterable[Alarm]) -> str:
    """Return in one line why the siren sounds."""
    calling = sorted((alarm for alarm in alarms if calls_siren(alarm)), key=lambda alarm: alarm.number)
    if not calling:
        return ""
    first = calling[0]
    more = f" (+{len(calling) - 1})" if len(calling) > 1 else ""
    return f"{first.number}: {first.words.en}, {first.source}{more}"


def line_words(line: JournalLine, *, table: AlarmTable) -> Words:
    """Return what a line of the journal tells, with what goes with it; who did it is not in it."""
    name, detail = JOURNAL_NAMES[line.event], line.detail
    told = Words(hi=detail, en=detail)
    if line.event is JournalEvent.ESCALATED and detail.isdigit():
        for step in table.escalation[int(detail) - 1 : int(detail)]:
            told = step.who
    elif line.event is JournalEvent.SILENCED:
        told = Words(hi=f"{detail} सेकंड", en=f"{detail} s")
    elif line.event in (JournalEvent.REPEATED, JournalEvent.RECURRED):
        told = Words(hi=f"कुल {detail} बार", en=f"{detail} times in all")
    elif line.event is JournalEvent.CONSOLE_LOST:
        told = REASON_NAMES[ConsoleReason(detail)]
    return Words(hi=f"{name.hi}: {told.hi}", en=f"{name.en}: {told.en}") if detail else name


def siren_level(*, escalated: int, only_system: bool, table: AlarmTable) -> SirenLevel:
    """Return how the siren sounds, by the highest level a calling alarm has gone to and whether no meter calls."""
    reached = table.escalation[:escalated]
    if any(step.siren is SirenLevel.ESCALATED for step in reached):
        return SirenLevel.ESCALATED
    return SirenLevel.SYSTEM if only_system else SirenLevel.P1


def due_levels(alarm: Alarm, *, now: datetime, table: AlarmTable) -> tuple[int, ...]:
    """Return the levels to which an alarm is to go now, in order; none if somebody has acknowledged it."""
    if not calls_siren(alarm):
        return ()
    return tuple(
        level
        for level, step in enumerate(table.escalation, start=1)
        if level > alarm.escalated and alarm.waiting_since + step.after <= now
    )


def lapses(alarm: Alarm, *, now: datetime, table: AlarmTable) -> bool:
    """Return whether an acknowledgement no longer holds: nobody has done anything about the alarm for too long."""
    after = table.lapse_after.get(alarm.priority)
    if alarm.state is not AlarmState.ACKNOWLEDGED or alarm.acted_at is not None or after is None:
        return False
    return alarm.acknowledged_at is not None and alarm.acknowledged_at + after <= now


def armed_or_why_not(beat: Beat, *, now: datetime) -> tuple[ConsoleState, ConsoleReason]:
    """Return whether a console that calls itself armed would be heard, and if not, why."""
    if beat.heard_at is None:
        return ConsoleState.NOT_ARMED, ConsoleReason.UNHEARD
    if now - beat.heard_at > HEARD_WITHIN:
        return ConsoleState.NOT_ARMED, ConsoleReason.SHIFT
    if not beat.moved:
        return ConsoleState.NOT_ARMED, ConsoleReason.STUCK
    if beat.rms is not None and not beat.rms >= RMS_MIN:
        return ConsoleState.NOT_ARMED, ConsoleReason.MUTED
    return ConsoleState.ARMED, ConsoleReason.NONE


def would_sound(console: Console, *, wall: datetime) -> bool:
    """Return whether a console would sound the siren now: it is armed and has beaten a moment ago."""
    return console.state is ConsoleState.ARMED and console.last_beat_at > wall - UNWATCHED_MAX
