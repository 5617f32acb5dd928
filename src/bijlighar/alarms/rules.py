"""Pure decisions: what raises an alarm, what clears it, and whether the siren is called for."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bijlighar.alarms.errors import BrokenTable
from bijlighar.alarms.model import SYSTEM_CODES, WAITING, Alarm, AlarmEvent, AlarmTable, Priority
from bijlighar.arrears.model import Order, Way
from bijlighar.base.words import Words
from bijlighar.dlms.is15959_events import EVENTS, RELAY_CLOSED, RELAY_OPENED, event_words
from bijlighar.headend.model import ControlAction, ControlCommand

HOURS_MAX = 24 * 366
#: The command that explains an event of the relay.
ACTION_OF_EVENT = {RELAY_OPENED: ControlAction.DISCONNECT, RELAY_CLOSED: ControlAction.RECONNECT}
#: How far the meter's clock and the way of a command may lie apart.
COMMAND_ALLOWANCE = timedelta(minutes=30)
CODE_MAX = 9_999


def load_table(text: str) -> AlarmTable:
    """
    Return the table written in `text` (TOML).

    :raises BrokenTable: if it is not TOML, or names a priority or a code that cannot be.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenTable(f"the table of alarms is not valid TOML: {problem}") from None
    unknown = set(document) - {"siren_within_hours", "uncommanded", "priority"}
    if unknown:
        raise BrokenTable(f"the table of alarms has an unknown part {sorted(unknown)[0]!r}")
    hours = document.get("siren_within_hours")
    if type(hours) is not int or not 1 <= hours <= HOURS_MAX:
        raise BrokenTable(f"siren_within_hours must be a whole number from 1 to {HOURS_MAX}, not {hours!r}")
    uncommanded = document.get("uncommanded")
    if not isinstance(uncommanded, list) or not set(uncommanded) <= set(ACTION_OF_EVENT):
        raise BrokenTable(f"uncommanded must be a list of {', '.join(map(str, ACTION_OF_EVENT))}")
    priorities = _priorities(document.get("priority"))
    if priorities.keys() & set(uncommanded):
        raise BrokenTable("an event code stands either in [priority] or in uncommanded")
    return AlarmTable(priorities=priorities, uncommanded=frozenset(uncommanded), siren_within_hours=hours)


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


def restored_code(code: int) -> int | None:
    """
    Return the code whose end an event tells, None if it tells none.

    >>> restored_code(202), restored_code(201)
    (201, None)
    """
    event = EVENTS.get(code)
    return None if event is None else event.restores


def returns(code: int) -> bool:
    """
    Return whether an event with this code is ever told to be over.

    >>> returns(201), returns(251)
    (True, False)
    """
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
    """Return whether a command of ours explains that the relay moved at `at`."""
    action = ACTION_OF_EVENT.get(code)
    return any(
        command.action is action
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
