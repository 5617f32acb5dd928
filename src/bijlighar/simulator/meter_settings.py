"""
What clients have set on the meters of a town: the octets as they were written, and what follows from them.

A meter that nobody set anything on shows what its maker wrote. What acts: the calendar (which zone register counts),
the load limit (the relay opens and closes by itself), the capture period (rows of the load profile), the billing
date, the push destination and retries, the event filter. What is only kept: payment and metering mode, push objects,
windows and random delay: the town has no credit in meters and no export.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import epoch_seconds, moment_of
from bijlighar.dlms import axdr, clock, cosem, settings
from bijlighar.dlms.activity_calendar import Calendar, DayProfile, Season, Switch, WeekProfile
from bijlighar.dlms.cosem import Attribute, CaptureObject, DataAccess
from bijlighar.dlms.errors import DlmsError
from bijlighar.dlms.is15959 import DEVICE_ID, PUSH_ALERT, STATUS_WORD
from bijlighar.dlms.is15959_events import status_word
from bijlighar.dlms.settings import INDIAN, BillingDate, LoadLimit, PushSetup, Script
from bijlighar.simulator.model import INTERVAL_S

NAME = "settings"
HALF_HOUR_MIN = INTERVAL_S // 60
#: The intervals a simulated meter can capture [s]: the town is integrated by half-hours, a quarter is half of one.
PERIODS_S = (INTERVAL_S // 2, INTERVAL_S)
LONGEST_TABLE = 4_096
(
    PERIOD_CHANGED,
    BILLING_CHANGED,
    CALENDAR_CHANGED,
    LIMIT_SET,
    FILTER_CHANGED,
    METERING_CHANGED,
) = (153, 154, 155, 158, 165, 167)
POSTPAID, PREPAID, FORWARDED, NET = 211, 212, 213, 214
_ALL_EVENTS = frozenset(range(128))

FACTORY_CALENDAR = Calendar(
    name="FACTORY",
    seasons=(Season(month=1, day=1, name="YEAR", week="WEEK"),),
    weeks=(WeekProfile(name="WEEK", days=(1,) * 7),),
    days=(
        DayProfile(
            number=1,
            switches=tuple(
                Switch(minute=hour * 60, zone=zone)
                for hour, zone in ((0, 1), (6, 2), (9, 3), (17, 4), (22, 1))
            ),
        ),
    ),
)
_FACTORY_PUSH = PushSetup(
    objects=(
        CaptureObject(class_id=1, obis=DEVICE_ID),
        CaptureObject(class_id=40, obis=PUSH_ALERT, attribute=1),
        cosem.CLOCK,
        CaptureObject(class_id=1, obis=STATUS_WORD),
    ),
    destination="",
    retries=6,
)

_CALENDAR = INDIAN.calendar_parts(passive=False)
_PASSIVE = INDIAN.calendar_parts(passive=True)
_PUSH = {name: INDIAN.push_parts(name) for name in INDIAN.push}
#: Attributes that a client of the utility may write, with what must come out of them.
_Check = Callable[[bytes], object]


def _factory() -> dict[Attribute, bytes]:
    calendar = INDIAN.encode_calendar(FACTORY_CALENDAR)
    opens = Script(table=INDIAN.relay, entry=INDIAN.relay_opens)
    closes = Script(table=INDIAN.relay, entry=INDIAN.relay_closes)
    power = Attribute(class_id=3, obis=next(obis for obis in INDIAN.monitored if obis.octets[2] == 1))
    found = dict(zip(_CALENDAR, calendar, strict=True)) | dict(zip(_PASSIVE, calendar, strict=True))
    found[INDIAN.activation] = axdr.octet_string(clock.UNDEFINED)
    found[INDIAN.limit(2)] = settings.encode_watched(power)
    found[INDIAN.limit(6)] = axdr.double_long_unsigned(0)
    found[INDIAN.limit(7)] = axdr.double_long_unsigned(0)
    found[INDIAN.limit(11)] = settings.encode_scripts(opens, closes)
    found[INDIAN.period] = axdr.double_long_unsigned(INTERVAL_S)
    found[INDIAN.billing_script] = settings.encode_script(Script(table=INDIAN.closing, entry=1))
    found[INDIAN.billing_times] = BillingDate(day=1).encode()
    for parts in _PUSH.values():
        found |= dict(zip(parts, _FACTORY_PUSH.encode(), strict=True))
    found[INDIAN.plain(INDIAN.event_filter)] = settings.encode_filter(_ALL_EVENTS)
    found[INDIAN.plain(INDIAN.payment_mode)] = axdr.unsigned(0)
    found[INDIAN.plain(INDIAN.metering_mode)] = axdr.unsigned(0)
    return found


FACTORY: Mapping[Attribute, bytes] = _factory()


class MeterSettings:
    """The settings of all meters of a town, by meter and attribute."""

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        """Take up what is remembered."""
        kept: dict[str, dict[str, str]] = json.loads(stored.get(NAME, b"{}"))
        self._written = {
            int(device): {name: bytes.fromhex(octets) for name, octets in entries.items()}
            for device, entries in kept.items()
        }

    def packed(self) -> dict[str, bytes]:
        """Return the settings as they are remembered."""
        kept = {
            device: {name: octets.hex() for name, octets in entries.items()}
            for device, entries in self._written.items()
        }
        return {NAME: json.dumps(kept).encode()}

    def get(self, device: int, attribute: Attribute) -> bytes | None:
        """Return the octets of a setting, None if it is none."""
        written = self._written.get(device, {}).get(_name(attribute))
        return FACTORY.get(attribute) if written is None else written

    def keep(self, device: int, attribute: Attribute, data: bytes) -> None:
        """Remember the octets of a setting."""
        self._written.setdefault(device, {})[_name(attribute)] = data

    def has(self, device: int, attribute: Attribute) -> bool:
        """Return whether somebody has written a setting."""
        return _name(attribute) in self._written.get(device, {})

    # ---- what follows

    def calendar(self, device: int) -> Calendar:
        """Return the calendar that counts at a meter."""
        return INDIAN.decode_calendar([self._at(device, attribute) for attribute in _CALENDAR])

    def activate(self, device: int) -> None:
        """Make the calendar that waits at a meter the active one."""
        for passive, active in zip(_PASSIVE, _CALENDAR, strict=True):
            self.keep(device, active, self._at(device, passive))
        self.keep(device, INDIAN.activation, axdr.octet_string(clock.UNDEFINED))

    def activations(self) -> tuple[tuple[int, int], ...]:
        """Return when which meters' waiting calendars become active [epoch s, meter], soonest first."""
        found = []
        for device, entries in self._written.items():
            octets = entries.get(_name(INDIAN.activation))
            moment = None if octets is None else clock.decode(octets[2:])
            if moment is not None:
                found.append((epoch_seconds(moment), device))
        return tuple(sorted(found))

    def zones(self, *, starts: NDArray[np.int64]) -> dict[int, NDArray[np.intp]]:
        """Return which zone (from 0) counts in half-hours (epoch s), for the meters whose calendar was changed."""
        return {
            device: np.array(
                [_zone(self._calendar_of(device), int(start)) for start in starts], dtype=np.intp
            )
            for device, entries in self._written.items()
            if _name(_CALENDAR[3]) in entries
        }

    def limited(self) -> dict[int, LoadLimit]:
        """Return the load limits that somebody set, by meter."""
        return {
            device: settings.decode_limit([self._at(device, part) for part in INDIAN.limit_parts])
            for device in self._written
            if self.has(device, INDIAN.limit(4))
        }

    def billing_days(self) -> dict[int, int]:
        """Return the days of the month on which bills close at meters that somebody set one on, by meter."""
        return {
            device: settings.decode_billing(self._at(device, INDIAN.billing_times)).day
            for device in self._written
            if self.has(device, INDIAN.billing_times)
        }

    def period_s(self, device: int) -> int:
        """Return the interval of the load profile [s]."""
        return settings.decode_number(self._at(device, INDIAN.period))

    def push(self, device: int) -> PushSetup:
        """Return how a meter pushes its alerts; the destination is empty where nobody set one."""
        return settings.decode_push([self._at(device, part) for part in _PUSH["alert"]])

    def event_filter(self, device: int) -> bytes:
        """Return the bits of the status word that a meter tells (16 octets)."""
        bits = settings.decode_filter(self._at(device, INDIAN.plain(INDIAN.event_filter)))
        return status_word(bits).octets

    def _calendar_of(self, device: int) -> Calendar:
        return _decoded(tuple(self._at(device, attribute) for attribute in _CALENDAR))

    def _at(self, device: int, attribute: Attribute) -> bytes:
        return self.get(device, attribute) or FACTORY.get(attribute, axdr.double_long_unsigned(0))


def check(attribute: Attribute, data: bytes) -> DataAccess:
    """Return whether a simulated meter takes octets for one of its settings."""
    takes = _CHECKS.get(attribute)
    if takes is None:
        return DataAccess.READ_WRITE_DENIED
    if len(data) > LONGEST_TABLE:
        return DataAccess.OTHER_REASON
    try:
        return DataAccess.SUCCESS if takes(data) else DataAccess.OTHER_REASON
    except DlmsError:
        return DataAccess.TYPE_UNMATCHED


def event_of(attribute: Attribute, data: bytes) -> int | None:
    """Return the event that a meter writes into its log when a setting is written, None if it writes none."""
    if attribute == INDIAN.plain(INDIAN.payment_mode):
        return PREPAID if settings.decode_number(data) else POSTPAID
    if attribute == INDIAN.plain(INDIAN.metering_mode):
        return NET if settings.decode_number(data) else FORWARDED
    return {
        INDIAN.period: PERIOD_CHANGED,
        INDIAN.billing_times: BILLING_CHANGED,
        INDIAN.limit(4): LIMIT_SET,
        INDIAN.plain(INDIAN.event_filter): FILTER_CHANGED,
    }.get(attribute)


def limited_seconds(
    *, passed_s: int, power_w: int, limit: LoadLimit, is_open: bool, since_s: int
) -> tuple[int, bool, int, int]:
    """
    Return how long [s] of `passed_s` current flowed, whether the relay is open then, how long [s], and its moves.

    `since_s` is how long it has been open, or above its limit; the last number counts its openings and closings.

    >>> limit = LoadLimit(watts=1_000, over_s=300, under_s=600)
    >>> limited_seconds(passed_s=1800, power_w=2_000, limit=limit, is_open=False, since_s=0)
    (600, False, 0, 4)
    >>> limited_seconds(passed_s=1800, power_w=900, limit=limit, is_open=False, since_s=100)
    (1800, False, 0, 0)
    """
    flowed, left, moves = 0, passed_s, 0
    while left > 0:
        if not is_open and power_w <= limit.watts:
            return flowed + left, False, 0, moves
        rest = max((limit.under_s if is_open else limit.over_s) - since_s, 1)
        step = min(rest, left)
        flowed += 0 if is_open else step
        left -= step
        since_s += step
        if step == rest:
            is_open, since_s, moves = not is_open, 0, moves + 1
    return flowed, is_open, since_s, moves


@lru_cache(maxsize=1_024)
def _decoded(parts: tuple[bytes, ...]) -> Calendar:
    return INDIAN.decode_calendar(parts)


def _zone(calendar: Calendar, start: int) -> int:
    local = moment_of(start + clock.IST_OFFSET_S)
    profile = calendar.day_profile(month=local.month, day=local.day, weekday=local.weekday())
    return profile.zone_at(local.hour * 60 + local.minute) - 1


def _name(attribute: Attribute) -> str:
    return attribute.encode().hex()


def _is_octets(data: bytes) -> bool:
    return isinstance(axdr.decode(data), bytes)


def _is_table(data: bytes) -> bool:
    return isinstance(axdr.decode(data), list)


def _is_time(data: bytes) -> bool:
    value = axdr.decode(data)
    moment = clock.decode(value) if isinstance(value, bytes) else None
    undefined = isinstance(value, bytes) and value == clock.UNDEFINED
    return undefined or (moment is not None and epoch_seconds(moment) % INTERVAL_S == 0)


def _is_calendar_days(data: bytes) -> bool:
    name, seasons, weeks, _ = INDIAN.encode_calendar(FACTORY_CALENDAR)
    found = INDIAN.decode_calendar((name, seasons, weeks, data))
    switches = [switch for day in found.days for switch in day.switches]
    return all(
        switch.minute % HALF_HOUR_MIN == 0 and 1 <= switch.zone <= INDIAN.zones_max for switch in switches
    )


def _is_billing(data: bytes) -> bool:
    billing = settings.decode_billing(data)
    return 1 <= billing.day <= 28 and billing.minute == 0


_CHECKS: Mapping[Attribute, _Check] = {
    _PASSIVE[0]: _is_octets,
    _PASSIVE[1]: _is_table,
    _PASSIVE[2]: _is_table,
    _PASSIVE[3]: _is_calendar_days,
    INDIAN.activation: _is_time,
    INDIAN.limit(4): lambda data: settings.decode_number(data) > 0,
    INDIAN.limit(6): lambda data: settings.decode_number(data) > 0,
    INDIAN.limit(7): lambda data: settings.decode_number(data) > 0,
    INDIAN.period: lambda data: settings.decode_number(data) in PERIODS_S,
    INDIAN.billing_times: _is_billing,
    INDIAN.plain(INDIAN.event_filter): lambda data: settings.decode_filter(data) is not None,
    INDIAN.plain(INDIAN.payment_mode): lambda data: settings.decode_number(data) in (0, 1),
    INDIAN.plain(INDIAN.metering_mode): lambda data: settings.decode_number(data) in (0, 1),
    **{
        part: check_part
        for parts in _PUSH.values()
        for part, check_part in zip(
            parts,
            (
                _is_table,
                lambda data: isinstance(axdr.decode(data), tuple),
                _is_table,
                *(lambda data: settings.decode_number(data) >= 0,) * 3,
            ),
            strict=True,
        )
    },
}
