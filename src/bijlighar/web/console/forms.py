"""What forms carry beside their words: the revision they were made from, a choice, a number."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, parse_day

REVISION_DIGITS_MAX = 9
#: Longer is no energy that somebody writes.
ENERGY_LETTERS_MAX = 16
#: Whole watt-hours are written in kWh with so many decimals.
KWH_DECIMALS = 3

Choice = TypeVar("Choice", bound=StrEnum)


def revision_of(text: str) -> int:
    """
    Return the number that a form carries of what its page showed.

    :raises InvalidValue: if it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= REVISION_DIGITS_MAX):
        raise InvalidValue("the form does not say what it was made from; open the page again")
    return int(text)


def choice_of(kind: type[Choice], text: str) -> Choice:
    """
    Return what was chosen in a form.

    :raises InvalidValue: if it is none of what there is to choose.
    """
    try:
        return kind(text)
    except ValueError:
        raise InvalidValue("choose one of what the form offers") from None


def local_moment_of(text: str) -> datetime:
    """
    Return the moment that was written in IST, as a field for a day and a time gives it, in UTC.

    >>> local_moment_of("2026-04-01T00:30").isoformat()
    '2026-03-31T19:00:00+00:00'

    :raises InvalidValue: if it is none.
    """
    plain = text.strip()
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        raise InvalidValue(f"{plain[:32]!r} is no time; write it like 2026-04-01T00:30") from None
    if moment.tzinfo is not None:
        raise InvalidValue(f"{plain[:32]!r} has an offset; write the time in IST like 2026-04-01T00:30")
    parse_day(moment.date().isoformat())
    return moment.replace(tzinfo=IST).astimezone(UTC)


def watt_hours_of(text: str) -> int:
    """
    Return an energy that was written in kWh, in whole Wh.

    >>> watt_hours_of("1.25"), watt_hours_of(" 0 ")
    (1250, 0)

    :raises InvalidValue: if it is none, is negative, or is finer than a Wh.
    """
    plain = text.strip()
    if not plain.isascii() or not plain.replace(".", "", 1).isdigit() or len(plain) > ENERGY_LETTERS_MAX:
        raise InvalidValue(f"{plain[:ENERGY_LETTERS_MAX]!r} is no energy; write kWh like 1.250")
    try:
        energy = Decimal(plain).scaleb(KWH_DECIMALS)
    except InvalidOperation:
        raise InvalidValue(f"{plain!r} is no energy; write kWh like 1.250") from None
    if energy != int(energy):
        raise InvalidValue(f"{plain} kWh is finer than a watt-hour; write at most {KWH_DECIMALS} decimals")
    return int(energy)
