"""The activity calendar (class 20): which time-of-day zone counts when, by day, week and season."""

from collections.abc import Sequence
from dataclasses import dataclass

from bijlighar.dlms import axdr
from bijlighar.dlms.errors import LocalProtocolError, Malformed
from bijlighar.dlms.obis import Obis

#: What one calendar may hold at most.
SEASONS_MAX, WEEKS_MAX, DAYS_MAX, SWITCHES_MAX, NAME_OCTETS_MAX = 8, 8, 8, 16, 16
DAYS_OF_WEEK = 7
MINUTES_OF_DAY = 24 * 60
_ANY_YEAR = b"\xff\xff"
_UNDEFINED = 0xFF
#: Whatever stands where no octet counts: time zone unspecified, status not defined.
_NO_ZONE = b"\x80\x00\xff"
_SEASON_OCTETS, _TIME_OCTETS, _OBIS_OCTETS = 12, 4, 6


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Switch:
    """From `minute` of the day [min] on, `zone` counts (1 is the first)."""

    minute: int
    zone: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DayProfile:
    """A kind of day, by its number: its switches in order of time."""

    number: int
    switches: tuple[Switch, ...]

    def zone_at(self, minute: int) -> int:
        """
        Return the zone that counts in a minute of the day; before the first switch it is that of the last.

        >>> day = DayProfile(number=1, switches=(Switch(minute=360, zone=2), Switch(minute=1320, zone=1)))
        >>> day.zone_at(359), day.zone_at(360), day.zone_at(1439)
        (1, 2, 1)
        """
        passed = [switch for switch in self.switches if switch.minute <= minute] or self.switches
        return passed[-1].zone


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class WeekProfile:
    """A kind of week: the numbers of the day profiles from Monday to Sunday."""

    name: str
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Season:
    """From `day` of `month` on, every year, weeks are of the kind `week`."""

    month: int
    day: int
    name: str
    week: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """A whole calendar; its seasons in order of the year, weeks by name, days by number."""

    name: str
    seasons: tuple[Season, ...]
    weeks: tuple[WeekProfile, ...]
    days: tuple[DayProfile, ...]

    def day_profile(self, *, month: int, day: int, weekday: int) -> DayProfile:
        """
        Return the profile of a day of the year; `weekday` counts from 0 for Monday.

        :raises LocalProtocolError: if the calendar names a week or a day that it does not have.
        """
        begun = [season for season in self.seasons if (season.month, season.day) <= (month, day)]
        for season in (begun or self.seasons)[-1:]:
            for week in self.weeks:
                if week.name == season.week:
                    for profile in self.days:
                        if profile.number == week.days[weekday]:
                            return profile
        raise LocalProtocolError(f"the calendar {self.name!r} has no profile for {day:02d}-{month:02d}")


def encode_calendar(calendar: Calendar, *, script: Obis) -> tuple[bytes, bytes, bytes, bytes]:
    """
    Return name, seasons, weeks and days as A-XDR; a switch runs the entry of its zone in the tariff `script` table.

    :raises LocalProtocolError: if a name is not ASCII or a number does not fit.
    """
    seasons = [
        axdr.structure(
            axdr.octet_string(_name(season.name)),
            axdr.octet_string(
                _ANY_YEAR + _octets(season.month, season.day) + b"\xff\x00\x00\x00\x00" + _NO_ZONE
            ),
            axdr.octet_string(_name(season.week)),
        )
        for season in calendar.seasons
    ]
    weeks = [
        axdr.structure(axdr.octet_string(_name(week.name)), *(axdr.unsigned(day) for day in week.days))
        for week in calendar.weeks
    ]
    days = [
        axdr.structure(
            axdr.unsigned(day.number),
            axdr.array(
                [
                    axdr.structure(
                        axdr.octet_string(encode_minute(switch.minute)),
                        axdr.octet_string(script.octets),
                        axdr.long_unsigned(switch.zone),
                    )
                    for switch in day.switches
                ]
            ),
        )
        for day in calendar.days
    ]
    name = axdr.octet_string(_name(calendar.name))
    return name, axdr.array(seasons), axdr.array(weeks), axdr.array(days)


def decode_calendar(parts: Sequence[bytes], *, script: Obis) -> Calendar:
    """
    Return the calendar of name, seasons, weeks and days.

    :raises RemoteProtocolError: if they are none, or a switch runs anything else than an entry of `script`.
    """
    name, seasons, weeks, days = parts
    return Calendar(
        name=_text(axdr.decode(name)),
        seasons=tuple(sorted(_season(item) for item in _items(seasons, SEASONS_MAX))),
        weeks=tuple(sorted(_week(item) for item in _items(weeks, WEEKS_MAX))),
        days=tuple(sorted(_day(item, script) for item in _items(days, DAYS_MAX))),
    )


def encode_minute(minute: int) -> bytes:
    """
    Return a minute of the day [min] as a COSEM time.

    >>> encode_minute(22 * 60 + 30).hex()
    '161e0000'
    """
    return _octets(minute // 60, minute % 60, 0, 0)


def decode_minute(octets: object) -> int:
    """
    Return the minute of the day [min] of a COSEM time.

    :raises Malformed: if it is no whole minute of a day.
    """
    if not isinstance(octets, bytes) or len(octets) != _TIME_OCTETS:
        raise Malformed(f"{octets!r} is no time of day")
    hour, minute, second, hundredth = octets
    if hour > 23 or minute > 59 or second not in (0, _UNDEFINED) or hundredth not in (0, _UNDEFINED):
        raise Malformed(f"{octets.hex()} is no whole minute of a day")
    return hour * 60 + minute


def _season(item: axdr.Value) -> Season:
    name, start, week = _fields(item, 3)
    if not isinstance(start, bytes) or len(start) != _SEASON_OCTETS or start[:2] != _ANY_YEAR:
        raise Malformed("a season does not begin on a day of every year")
    month, day, weekday, *clock = start[2:9]
    if not 1 <= month <= 12 or not 1 <= day <= 31 or weekday != _UNDEFINED:
        raise Malformed("a season does not begin on a day of the calendar")
    if any(octet not in (0, _UNDEFINED) for octet in clock):
        raise Malformed("a season does not begin at midnight")
    return Season(month=month, day=day, name=_text(name), week=_text(week))


def _week(item: axdr.Value) -> WeekProfile:
    name, *days = _fields(item, 1 + DAYS_OF_WEEK)
    return WeekProfile(name=_text(name), days=tuple(_whole(day) for day in days))


def _day(item: axdr.Value, script: Obis) -> DayProfile:
    number, switches = _fields(item, 2)
    if not isinstance(switches, list) or not 1 <= len(switches) <= SWITCHES_MAX:
        raise Malformed("a day profile has no switches, or too many")
    found = []
    for switch in switches:
        start, runs, zone = _fields(switch, 3)
        if runs != script.octets:
            raise Malformed(f"a day profile runs {runs!r} and not the tariff script table {script}")
        found.append(Switch(minute=decode_minute(start), zone=_whole(zone)))
    return DayProfile(number=_whole(number), switches=tuple(sorted(found)))


def _items(data: bytes, most: int) -> list[axdr.Value]:
    items = axdr.decode(data)
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        raise Malformed(f"a table of a calendar holds 1 to {most} entries")
    return items


def _fields(item: axdr.Value, count: int) -> tuple[axdr.Value, ...]:
    if not isinstance(item, tuple) or len(item) != count:
        raise Malformed(f"an entry of a calendar has {count} fields")
    return item


def _text(octets: axdr.Value) -> str:
    if isinstance(octets, str):
        return octets
    if not isinstance(octets, bytes) or len(octets) > NAME_OCTETS_MAX or not octets.isascii():
        raise Malformed(f"{octets!r} is no name in a calendar")
    return octets.decode("ascii")


def _whole(value: axdr.Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{value!r} is no number in a calendar")
    return value


def _name(text: str) -> bytes:
    if not text.isascii() or len(text) > NAME_OCTETS_MAX:
        raise LocalProtocolError(
            f"the name {text!r} in a calendar is not 1 to {NAME_OCTETS_MAX} ASCII letters"
        )
    return text.encode("ascii")


def _octets(*values: int) -> bytes:
    try:
        return bytes(values)
    except ValueError:
        raise LocalProtocolError(f"{values} does not fit into octets") from None
