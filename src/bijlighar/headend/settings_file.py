"""
Reading a document of settings: TOML or JSON of the same tables, each value checked; times are of the IST day.

What could not be meant is refused: a day without a beginning, a year with a gap, a load limit of a light bulb.
"""

import json
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeAlias

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import parse_moment
from bijlighar.dlms.activity_calendar import (
    DAYS_MAX,
    DAYS_OF_WEEK,
    MINUTES_OF_DAY,
    SEASONS_MAX,
    SWITCHES_MAX,
    WEEKS_MAX,
    Calendar,
    DayProfile,
    Season,
    Switch,
    WeekProfile,
)
from bijlighar.dlms.cosem import CaptureObject
from bijlighar.dlms.is15959_events import BIT_OF_EVENT, STATUS_BITS_COUNT
from bijlighar.dlms.obis import InvalidObis, Obis
from bijlighar.dlms.settings import (
    DESTINATION_OCTETS_MAX,
    PUSH_OBJECTS_MAX,
    PUSH_WINDOWS_MAX,
    BillingDate,
    LoadLimit,
    PushSetup,
    Window,
)
from bijlighar.headend.errors import BrokenDocument
from bijlighar.headend.settings_document import SettingsDocument

Table: TypeAlias = Mapping[str, Any]

DOCUMENT_OCTETS_MAX = 64 * 1024
NAME_MAX, CALENDAR_NAME_MAX = 80, 12
ZONES_MAX = 8
#: Zones change on the edges of intervals, whose shortest are so long [min].
SWITCH_STEP_MIN = 15
PERIODS_MIN = (15, 30)
#: The load limits that can be meant [W], and for how long [s] supply may be off before a meter gives it back itself.
LIMIT_W_MIN, LIMIT_W_MAX = 1_000, 1_000_000
OVER_S_MIN, OVER_S_MAX, UNDER_S_MIN, UNDER_S_MAX = 60, 3_600, 60, 1_800
BILLING_DAY_MAX = 28
RETRIES_MAX, REPEAT_S_MAX, RANDOMISE_S_MAX = 10, 3_600, 3_600
PAYMENT_MODES, METERING_MODES = ("postpaid", "prepaid"), ("forwarded", "net")
PUSHES = ("alert", "periodic")
#: The days of the months; a season that begins on the 29th of February would begin in one year of four.
_DAYS_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


_ROOT = ("name", "calendar", "load_limit", "capture_minutes", "billing", "push", "events", "mode")


def read_document(text: str) -> SettingsDocument:
    """
    Return the document that a text holds as JSON (it begins with a brace) or TOML.

    :raises BrokenDocument: if it holds none, or something that cannot be meant.
    """
    if len(text) > DOCUMENT_OCTETS_MAX:
        raise BrokenDocument(f"a document of settings has at most {DOCUMENT_OCTETS_MAX} letters")
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise BrokenDocument(f"the document is neither JSON nor TOML: {problem}") from None
    return document_of_table(found)


def document_of_table(table: object) -> SettingsDocument:
    """
    Return the document of its table.

    :raises BrokenDocument: if it is none, or says something that cannot be meant.
    """
    root = _table(table, "the document", _ROOT)
    calendar, activate_at = _calendar(root["calendar"]) if "calendar" in root else (None, None)
    mode = _table(root.get("mode", {}), "mode", ("payment", "metering"))
    document = SettingsDocument(
        name=_text(root.get("name"), "name", NAME_MAX, is_ascii=False),
        calendar=calendar,
        activate_at=activate_at,
        load_limit=_if_any(root, "load_limit", _load_limit),
        capture_min=_if_any(root, "capture_minutes", _capture_min),
        billing=_if_any(root, "billing", _billing),
        push=_push(root.get("push", {})),
        event_filter=_if_any(root, "events", _events),
        payment=_if_any(mode, "payment", lambda text: _one_of(text, "mode.payment", PAYMENT_MODES)),
        metering=_if_any(mode, "metering", lambda text: _one_of(text, "mode.metering", METERING_MODES)),
    )
    if document.is_empty:
        raise BrokenDocument("the document sets nothing; name at least one setting")
    return document


def _calendar(found: object) -> tuple[Calendar, datetime | None]:
    table = _table(found, "calendar", ("name", "days", "weeks", "seasons", "activate"))
    days = tuple(
        sorted(_day(number, switches) for number, switches in _entries(table, "days", DAYS_MAX).items())
    )
    weeks = tuple(sorted(_week(name, entry) for name, entry in _entries(table, "weeks", WEEKS_MAX).items()))
    seasons = tuple(
        sorted(_season(name, entry) for name, entry in _entries(table, "seasons", SEASONS_MAX).items())
    )
    _check_names("calendar.weeks", {week.name for week in weeks}, {season.week for season in seasons})
    _check_names(
        "calendar.days",
        {str(day.number) for day in days},
        {str(number) for week in weeks for number in week.days},
    )
    begins = [(season.month, season.day) for season in seasons]
    if len(set(begins)) != len(begins):
        raise BrokenDocument("calendar.seasons: two seasons begin on one day; the year must be whole")
    calendar = Calendar(
        name=_text(table.get("name"), "calendar.name", CALENDAR_NAME_MAX),
        seasons=seasons,
        weeks=weeks,
        days=days,
    )
    return calendar, _moment(table.get("activate", "now"))


def _day(number: str, found: object) -> DayProfile:
    where = f"calendar.days.{number}"
    if (
        not number.isascii()
        or not number.isdigit()
        or not 1 <= int(number[:4]) <= DAYS_MAX
        or number[0] == "0"
    ):
        raise BrokenDocument(f"{where}: days are numbered 1 to {DAYS_MAX}")
    if not isinstance(found, dict) or not 1 <= len(found) <= SWITCHES_MAX:
        raise BrokenDocument(f'{where}: write 1 to {SWITCHES_MAX} switches, like "06:00" = 2')
    switches = tuple(
        sorted(
            Switch(minute=_minute(text, where), zone=_whole(zone, f"{where} {text}", 1, ZONES_MAX))
            for text, zone in found.items()
        )
    )
    minutes = [switch.minute for switch in switches]
    if minutes[0] != 0:
        raise BrokenDocument(f'{where}: the day must begin: name the zone from "00:00"')
    if len(set(minutes)) != len(minutes):
        raise BrokenDocument(f"{where}: two zones begin at one time")
    if any(minute % SWITCH_STEP_MIN for minute in minutes):
        raise BrokenDocument(f"{where}: zones begin on a quarter of an hour, where intervals end")
    if any(before.zone == after.zone for before, after in pairwise(switches)):
        raise BrokenDocument(f"{where}: a zone follows itself; leave the second out")
    return DayProfile(number=int(number), switches=switches)


def _week(name: str, found: object) -> WeekProfile:
    where = f"calendar.weeks.{name}"
    if not isinstance(found, list) or len(found) != DAYS_OF_WEEK:
        raise BrokenDocument(f"{where}: name seven days, from Monday to Sunday")
    days = tuple(_whole(day, where, 1, DAYS_MAX) for day in found)
    return WeekProfile(name=_text(name, where, CALENDAR_NAME_MAX), days=days)


def _season(name: str, found: object) -> Season:
    where = f"calendar.seasons.{name}"
    table = _table(found, where, ("from", "week"))
    text = table.get("from")
    try:
        month_text, day_text = text.split("-") if isinstance(text, str) else ("", "")
        if (len(month_text), len(day_text)) != (2, 2) or not (month_text + day_text).isdecimal():
            raise ValueError
        month, day = int(month_text), int(day_text)
        if not 1 <= month <= len(_DAYS_OF_MONTH) or not 1 <= day <= _DAYS_OF_MONTH[month - 1]:
            raise ValueError
    except ValueError:
        raise BrokenDocument(f'{where}: from is a month and a day of every year, like "04-01"') from None
    return Season(
        month=month,
        day=day,
        name=_text(name, where, CALENDAR_NAME_MAX),
        week=_text(table.get("week"), f"{where}.week", CALENDAR_NAME_MAX),
    )


def _load_limit(found: object) -> LoadLimit:
    table = _table(found, "load_limit", ("watts", "over_s", "under_s"))
    return LoadLimit(
        watts=_whole(table.get("watts"), "load_limit.watts", LIMIT_W_MIN, LIMIT_W_MAX),
        over_s=_whole(table.get("over_s"), "load_limit.over_s", OVER_S_MIN, OVER_S_MAX),
        under_s=_whole(table.get("under_s"), "load_limit.under_s", UNDER_S_MIN, UNDER_S_MAX),
    )


def _capture_min(found: object) -> int:
    minutes = _whole(found, "capture_minutes", PERIODS_MIN[0], PERIODS_MIN[-1])
    if minutes not in PERIODS_MIN:
        raise BrokenDocument(f"capture_minutes is one of {', '.join(map(str, PERIODS_MIN))}, not {found!r}")
    return minutes


def _billing(found: object) -> BillingDate:
    table = _table(found, "billing", ("day", "time"))
    return BillingDate(
        day=_whole(table.get("day"), "billing.day", 1, BILLING_DAY_MAX),
        minute=_minute(table.get("time", "00:00"), "billing.time"),
    )


def _push(found: object) -> tuple[tuple[str, PushSetup], ...]:
    table = _table(found, "push", PUSHES)
    return tuple((name, _push_setup(name, table[name])) for name in PUSHES if name in table)


def _push_setup(name: str, found: object) -> PushSetup:
    where = f"push.{name}"
    table = _table(found, where, ("destination", "objects", "windows", "randomise_s", "retries", "repeat_s"))
    destination = _text(table.get("destination"), f"{where}.destination", DESTINATION_OCTETS_MAX)
    host, _, port = destination.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port[:6]) <= 0xFFFF or " " in destination:
        raise BrokenDocument(f"{where}.destination is HOST:PORT, not {destination!r}")
    objects = _texts(table.get("objects"), f"{where}.objects", 1, PUSH_OBJECTS_MAX)
    windows = _texts(table.get("windows", []), f"{where}.windows", 0, PUSH_WINDOWS_MAX)
    return PushSetup(
        objects=tuple(_object(text, f"{where}.objects") for text in objects),
        destination=destination,
        windows=tuple(_window(text, f"{where}.windows") for text in windows),
        randomise_s=_whole(table.get("randomise_s", 0), f"{where}.randomise_s", 0, RANDOMISE_S_MAX),
        retries=_whole(table.get("retries", 0), f"{where}.retries", 0, RETRIES_MAX),
        repeat_s=_whole(table.get("repeat_s", 0), f"{where}.repeat_s", 0, REPEAT_S_MAX),
    )


def _object(text: str, where: str) -> CaptureObject:
    try:
        class_id, obis, *numbers = text.split()
        attribute, index = (int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 0)
        if not (0 < int(class_id) <= 0xFFFF and 0 < attribute <= 127 and 0 <= index <= 0xFFFF):
            raise ValueError
        if len(numbers) > 2:
            raise ValueError
        return CaptureObject(
            class_id=int(class_id), obis=Obis.parse(obis), attribute=attribute, data_index=index
        )
    except (ValueError, IndexError, InvalidObis):
        raise BrokenDocument(
            f'{where}: {text!r} is no class, OBIS code and attribute, like "1 0.0.96.1.2.255 2"'
        ) from None


def _window(text: str, where: str) -> Window:
    first, _, last = text.partition("-")
    window = Window(first=_minute(first, where), last=_minute(last, where))
    if window.first == window.last:
        raise BrokenDocument(f"{where}: {text!r} is no stretch of a day")
    return window


def _events(found: object) -> frozenset[int]:
    table = _table(found, "events", ("bits", "codes"))
    bits = {_whole(bit, "events.bits", 0, STATUS_BITS_COUNT - 1) for bit in _list(table, "bits")}
    for code in _list(table, "codes"):
        if type(code) is not int or code not in BIT_OF_EVENT:
            raise BrokenDocument(f"events.codes: event {code!r} has no bit in the status word")
        bits.add(BIT_OF_EVENT[code])
    if not bits:
        raise BrokenDocument("events: a filter that lets nothing through would silence every alarm")
    return frozenset(bits)


def _list(table: Table, name: str) -> list[Any]:
    found = table.get(name, [])
    if not isinstance(found, list) or len(found) > STATUS_BITS_COUNT:
        raise BrokenDocument(f"events.{name} is a list of numbers")
    return found


def _entries(table: Table, name: str, most: int) -> Mapping[str, Any]:
    found = table.get(name)
    if not isinstance(found, dict) or not 1 <= len(found) <= most:
        raise BrokenDocument(f"calendar.{name}: write 1 to {most} of them")
    return found


def _check_names(where: str, known: set[str], used: set[str]) -> None:
    if used - known:
        raise BrokenDocument(f"{where}: {', '.join(sorted(used - known))} is used and not there")
    if known - used:
        raise BrokenDocument(f"{where}: {', '.join(sorted(known - used))} is there and not used")


def _table(found: object, where: str, names: tuple[str, ...]) -> Table:
    if not isinstance(found, dict):
        raise BrokenDocument(f"{where} is no table")
    strange = [str(name) for name in found if name not in names]
    if strange:
        raise BrokenDocument(f"{where} has no {', '.join(strange)}; it may have {', '.join(names)}")
    return found


def _if_any(table: Table, name: str, read: Callable[[object], Any]) -> Any:  # noqa: ANN401 - what `read` returns
    return read(table[name]) if name in table else None


def _one_of(found: object, where: str, names: tuple[str, ...]) -> str:
    if not isinstance(found, str) or found not in names:
        raise BrokenDocument(f"{where} is one of {', '.join(names)}, not {found!r}")
    return found


def _text(found: object, where: str, most: int, *, is_ascii: bool = True) -> str:
    if not isinstance(found, str) or not found.isprintable() or not found.strip():
        raise BrokenDocument(f"{where} must be a text")
    if is_ascii and not found.isascii():
        raise BrokenDocument(f"{where} must be a text of ASCII letters")
    if len(found) > most:
        raise BrokenDocument(f"{where} is longer than {most} letters")
    return found


def _texts(found: object, where: str, least: int, most: int) -> list[str]:
    if not isinstance(found, list) or not least <= len(found) <= most:
        raise BrokenDocument(f"{where} is a list of {least} to {most} texts")
    return [_text(text, where, DESTINATION_OCTETS_MAX) for text in found]


def _whole(found: object, where: str, least: int, most: int) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise BrokenDocument(f"{where} is a whole number from {least} to {most}, not {found!r}")
    return found


def _minute(found: object, where: str) -> int:
    text = found if isinstance(found, str) else ""
    hour, colon, minute = text.partition(":")
    if (
        (len(hour), colon, len(minute)) == (2, ":", 2)
        and (hour + minute).isascii()
        and (hour + minute).isdigit()
    ):
        minutes = int(hour) * 60 + int(minute)
        if minutes < MINUTES_OF_DAY and int(minute) < 60:
            return minutes
    raise BrokenDocument(f'{where}: {found!r} is no time of the day, like "06:00"')


def _moment(found: object) -> datetime | None:
    if found == "now":
        return None
    try:
        moment = found if isinstance(found, datetime) else parse_moment(str(found))
    except InvalidValue as problem:
        raise BrokenDocument(f'calendar.activate is "now" or a time with an offset: {problem}') from None
    if moment.tzinfo is None or moment.microsecond or moment.second:
        raise BrokenDocument("calendar.activate is a whole minute with an offset")
    return moment.astimezone(UTC)
