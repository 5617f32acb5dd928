"""
The policy as data: read from TOML, checked whole, refused with one clear line.

What the law gives the consumer is a floor here, not a default: no file can shorten the fifteen clear days, stretch
the two years, or cut by a shorter rule than the two permitted ones.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from bijlighar.arrears.errors import BrokenPolicy
from bijlighar.base.errors import InvalidValue
from bijlighar.base.money import paise_from_rupees
from bijlighar.base.words import Words

#: Electricity Act 2003 s.56(1): not less than fifteen clear days.
CLEAR_DAYS_FLOOR = 15
#: s.56(2): two years from the day when the sum was first due.
LIMIT_MONTHS_CEILING = 24
#: (days past the due date, unpaid bills): the only two rules by which an account is listed.
PERMITTED_RULES = ((60, 2), (30, 1))
WARNING_DAYS_FLOOR = 2
APPROVAL_DAYS_CEILING = 15
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SERVICE_CHANNELS = ("print", "sms", "email", "whatsapp")
PROTECTION_KINDS_ALWAYS = frozenset({"life_support", "court_stay"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whom the company may cut, and when."""

    id: str
    order: str
    version: str
    due_days: int
    clear_days: int
    notice_after_days: int
    served_by: tuple[str, ...]
    list_after_days: int
    list_bills: int
    minimum_paise: int
    warning_days: int
    approval_valid_days: int
    cut_from: time
    cut_to: time
    weekdays: frozenset[int]
    cuts_before_holidays: bool
    per_hour: int
    per_office_day: int
    office_share_percent: int
    limit_months: int
    heard_within_hours: int
    reconnect_retry_minutes: int
    by_hand_after_minutes: int
    protected_categories: tuple[str, ...]
    kinds_without_effect: frozenset[str]
    holiday_years: frozenset[int]
    holidays: Mapping[date, Words]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    low: int
    high: int
    why: str = ""


#: Every whole number of the file and the range it may have.
_NUMBERS: Mapping[str, Mapping[str, _Range]] = {
    "bill": {"due_days": _Range(low=1, high=60)},
    "notice": {
        "clear_days": _Range(
            low=CLEAR_DAYS_FLOOR, high=90, why="; the Electricity Act 2003 s.56(1) gives fifteen clear days"
        ),
        "after_days": _Range(low=1, high=365),
    },
    "list": {"after_days": _Range(low=30, high=60), "bills": _Range(low=1, high=2)},
    "warning": {
        "days": _Range(low=WARNING_DAYS_FLOOR, high=10, why="; the last warning goes two days ahead")
    },
    "approval": {"valid_days": _Range(low=1, high=APPROVAL_DAYS_CEILING)},
    "ceilings": {
        "per_hour": _Range(low=0, high=1_000),
        "per_office_day": _Range(low=0, high=5_000),
        "office_share_percent": _Range(low=0, high=10),
    },
    "limits": {
        "months": _Range(
            low=1, high=LIMIT_MONTHS_CEILING, why="; s.56(2) ends the right to cut after two years"
        )
    },
    "meter": {"heard_within_hours": _Range(low=1, high=720)},
    "reconnect": {
        "retry_minutes": _Range(low=1, high=240),
        "by_hand_after_minutes": _Range(low=15, high=1_440),
    },
}
_OTHERS: Mapping[str, frozenset[str]] = {
    "policy": frozenset({"id", "order"}),
    "notice": frozenset({"served_by"}),
    "list": frozenset({"minimum_rupees"}),
    "cutting": frozenset({"from", "to", "weekdays", "before_holidays"}),
    "protected": frozenset({"categories", "without_effect"}),
    "holidays": frozenset({"years", "days"}),
}


def load_policy(text: str) -> Policy:
    """
    Return the policy written in `text` (TOML).

    :raises BrokenPolicy: if it is not TOML, a name is unknown or missing, or a value is not permitted.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenPolicy(f"the policy is not valid TOML: {problem}") from None
    _refuse_unknown_names(document)
    numbers = _numbers(document)
    rule = (numbers["list", "after_days"], numbers["list", "bills"])
    if rule not in PERMITTED_RULES:
        raise BrokenPolicy(
            f"[list] after_days = {rule[0]} with bills = {rule[1]} is not permitted; "
            "it is 60 days and 2 bills, or 30 days and 1 bill"
        )
    cut_from, cut_to = _text_of_day(document, "from"), _text_of_day(document, "to")
    if not cut_from < cut_to:
        raise BrokenPolicy(f"[cutting] from {cut_from:%H:%M} is not before to {cut_to:%H:%M}")
    years, holidays = _holidays(document)
    return Policy(
        id=_text(document, "policy", "id"),
        order=_text(document, "policy", "order"),
        version=hashlib.sha256(text.encode()).hexdigest()[:16],
        due_days=numbers["bill", "due_days"],
        clear_days=numbers["notice", "clear_days"],
        notice_after_days=numbers["notice", "after_days"],
        served_by=_served_by(document),
        list_after_days=rule[0],
        list_bills=rule[1],
        minimum_paise=_minimum_paise(document),
        warning_days=numbers["warning", "days"],
        approval_valid_days=numbers["approval", "valid_days"],
        cut_from=cut_from,
        cut_to=cut_to,
        weekdays=_weekdays(document),
        cuts_before_holidays=_flag(document, "cutting", "before_holidays"),
        per_hour=numbers["ceilings", "per_hour"],
        per_office_day=numbers["ceilings", "per_office_day"],
        office_share_percent=numbers["ceilings", "office_share_percent"],
        limit_months=numbers["limits", "months"],
        heard_within_hours=numbers["meter", "heard_within_hours"],
        reconnect_retry_minutes=numbers["reconnect", "retry_minutes"],
        by_hand_after_minutes=numbers["reconnect", "by_hand_after_minutes"],
        protected_categories=_texts(document, "protected", "categories"),
        kinds_without_effect=_kinds_without_effect(document),
        holiday_years=years,
        holidays=holidays,
    )


def _refuse_unknown_names(document: Mapping[str, Any]) -> None:
    sections = {*_NUMBERS, *_OTHERS}
    for section, values in document.items():
        if section not in sections or not isinstance(values, dict):
            raise BrokenPolicy(
                f"[{section}] is no section of a policy; there are {', '.join(sorted(sections))}"
            )
        known = {*_NUMBERS.get(section, {}), *_OTHERS.get(section, ())}
        for name in values:
            if name not in known:
                raise BrokenPolicy(
                    f"[{section}] {name} is no name of a policy; there are {', '.join(sorted(known))}"
                )


def _value(document: Mapping[str, Any], section: str, name: str) -> object:
    try:
        value: object = document[section][name]
    except KeyError:
        raise BrokenPolicy(f"[{section}] {name} is missing") from None
    return value


def _numbers(document: Mapping[str, Any]) -> Mapping[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for section, names in _NUMBERS.items():
        for name, allowed in names.items():
            value = _value(document, section, name)
            if type(value) is not int:
                raise BrokenPolicy(f"[{section}] {name} must be a whole number, not {value!r}")
            if not allowed.low <= value <= allowed.high:
                raise BrokenPolicy(
                    f"[{section}] {name} = {value} is not between {allowed.low} and {allowed.high}{allowed.why}"
                )
            found[section, name] = value
    return found


def _text(document: Mapping[str, Any], section: str, name: str) -> str:
    value = _value(document, section, name)
    if not isinstance(value, str) or not value.strip():
        raise BrokenPolicy(f"[{section}] {name} must be text, not {value!r}")
    return value.strip()


def _texts(document: Mapping[str, Any], section: str, name: str) -> tuple[str, ...]:
    value = _value(document, section, name)
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise BrokenPolicy(f"[{section}] {name} must be a list of texts, not {value!r}")
    return tuple(value)


def _flag(document: Mapping[str, Any], section: str, name: str) -> bool:
    value = _value(document, section, name)
    if not isinstance(value, bool):
        raise BrokenPolicy(f"[{section}] {name} must be true or false, not {value!r}")
    return value


def _text_of_day(document: Mapping[str, Any], name: str) -> time:
    value = _value(document, "cutting", name)
    if not isinstance(value, time):
        raise BrokenPolicy(f"[cutting] {name} must be a time of day like 10:00:00, not {value!r}")
    return value


def _minimum_paise(document: Mapping[str, Any]) -> int:
    text = _text(document, "list", "minimum_rupees")
    try:
        minimum_paise = paise_from_rupees(text)
    except InvalidValue as problem:
        raise BrokenPolicy(f"[list] minimum_rupees: {problem}") from None
    if minimum_paise < 0:
        raise BrokenPolicy(f"[list] minimum_rupees = {text} is below 0")
    return minimum_paise


def _weekdays(document: Mapping[str, Any]) -> frozenset[int]:
    names = _texts(document, "cutting", "weekdays")
    for name in names:
        if name not in WEEKDAYS:
            raise BrokenPolicy(f"[cutting] weekdays: {name!r} is no weekday; there are {', '.join(WEEKDAYS)}")
    if not names:
        raise BrokenPolicy("[cutting] weekdays is empty; `bijlighar halt` is the way to stop all cutting")
    return frozenset(WEEKDAYS.index(name) for name in names)


def _served_by(document: Mapping[str, Any]) -> tuple[str, ...]:
    channels = _texts(document, "notice", "served_by")
    for channel in channels:
        if channel not in SERVICE_CHANNELS:
            raise BrokenPolicy(
                f"[notice] served_by: {channel!r} is no channel; there are {', '.join(SERVICE_CHANNELS)}"
            )
    if set(channels) <= {"whatsapp"}:
        raise BrokenPolicy(
            "[notice] served_by needs print, sms or email: WhatsApp alone is no notice in writing"
        )
    return channels


def _kinds_without_effect(document: Mapping[str, Any]) -> frozenset[str]:
    kinds = frozenset(_texts(document, "protected", "without_effect"))
    forbidden = sorted(PROTECTION_KINDS_ALWAYS & kinds)
    if forbidden:
        raise BrokenPolicy(f"[protected] without_effect names {forbidden[0]}, which always stops a cut")
    return kinds


def _holidays(document: Mapping[str, Any]) -> tuple[frozenset[int], Mapping[date, Words]]:
    years = _value(document, "holidays", "years")
    if not isinstance(years, list) or not all(type(year) is int and 2000 <= year <= 2200 for year in years):
        raise BrokenPolicy(f"[holidays] years must be a list of years like 2026, not {years!r}")
    rows = _value(document, "holidays", "days")
    if not isinstance(rows, list):
        raise BrokenPolicy("[holidays] days must be a list of { on = 2026-01-26, en = ..., hi = ... }")
    found = dict(_holiday(row) for row in rows)
    for year in years:
        if not any(day.year == year for day in found):
            raise BrokenPolicy(f"[holidays] years names {year}, but no day of it is given")
    strangers: Sequence[date] = [day for day in found if day.year not in years]
    if strangers:
        raise BrokenPolicy(f"[holidays] days has {strangers[0]}, but years does not name {strangers[0].year}")
    return frozenset(years), found


def _holiday(row: object) -> tuple[date, Words]:
    if not isinstance(row, dict) or set(row) != {"on", "en", "hi"}:
        raise BrokenPolicy(
            f"[holidays] days: a day is {{ on = 2026-01-26, en = ..., hi = ... }}, not {row!r}"
        )
    on, english, hindi = row["on"], row["en"], row["hi"]
    if type(on) is not date or not isinstance(english, str) or not isinstance(hindi, str):
        raise BrokenPolicy(
            f"[holidays] days: a day is {{ on = 2026-01-26, en = ..., hi = ... }}, not {row!r}"
        )
    return on, Words(hi=hindi, en=english)
