"""
What an engineer sets on a meter, in its COSEM forms: load limit, billing date, push setup, capture period, modes.

Which objects they stand in is a table of its own, `SettingObjects`: makes differ, and one that does is described by
another table and not by other code. Values are in the meter's meaning; what may be written is not decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from bijlighar.dlms import axdr
from bijlighar.dlms.activity_calendar import (
    MINUTES_OF_DAY,
    Calendar,
    decode_calendar,
    decode_minute,
    encode_calendar,
    encode_minute,
)
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.clock import UNDEFINED
from bijlighar.dlms.cosem import Attribute, CaptureObject, Method, capture_objects, encode_capture_objects
from bijlighar.dlms.errors import LocalProtocolError, Malformed
from bijlighar.dlms.is15959 import (
    ACTIVITY_CALENDAR,
    BILLING_SCHEDULE,
    BLOCK_LOAD,
    LOAD_LIMITER,
    METERING_MODE,
    PAYMENT_MODE,
    PUSH_ALERT,
    PUSH_PERIODIC,
    STATUS_WORD_FILTER,
)
from bijlighar.dlms.is15959_events import STATUS_BITS_COUNT, status_word
from bijlighar.dlms.obis import Obis

DATA, REGISTER, PROFILE, CALENDAR, SCHEDULE, PUSH_SETUP, LIMITER = 1, 3, 7, 20, 22, 40, 71
PUSH_OBJECTS_MAX, PUSH_WINDOWS_MAX, DESTINATION_OCTETS_MAX = 32, 4, 64
CLASS_MAX, INDEX_MAX = 0xFFFF, 127
_TCP, _PLAIN_MESSAGE = 0, 0
_TARIFF, _RELAY, _CLOSING = map(Obis.parse, ("0.0.10.0.100.255", "0.0.10.0.106.255", "0.0.10.0.1.255"))
_POWER = frozenset(map(Obis.parse, ("1.0.1.7.0.255", "1.0.15.7.0.255")))
_ANY_DATE = b"\xff\xff\xff"
_ANY_WEEKDAY = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingObjects:
    """
    Where a make keeps its settings; the defaults are those of IS 15959 as far as public code bases agree.

    Not confirmed against a meter are the script tables, the numbers of the modes and the scaler of the load limit:
    whoever has a make that differs passes a table of its own. `monitored` is what a load limit must watch for its
    threshold to be in watts; `closing` is the script that a billing date runs, `tariff` that of time-of-day zones,
    `relay` that of the disconnect control, with the entries that open and close it.
    """

    calendar: Obis = ACTIVITY_CALENDAR
    limiter: Obis = LOAD_LIMITER
    block_load: Obis = BLOCK_LOAD.obis
    billing: Obis = BILLING_SCHEDULE
    event_filter: Obis = STATUS_WORD_FILTER
    payment_mode: Obis = PAYMENT_MODE
    metering_mode: Obis = METERING_MODE
    push: Mapping[str, Obis] = field(
        default_factory=lambda: MappingProxyType({"alert": PUSH_ALERT, "periodic": PUSH_PERIODIC})
    )
    tariff: Obis = _TARIFF
    relay: Obis = _RELAY
    relay_opens: int = 1
    relay_closes: int = 2
    closing: Obis = _CLOSING
    monitored: frozenset[Obis] = _POWER
    zones_max: int = 8
    payment: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({"postpaid": 0, "prepaid": 1})
    )
    metering: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"forwarded": 0, "net": 1}))

    # What is read and written, as attributes and methods.

    def calendar_parts(self, *, passive: bool) -> tuple[Attribute, ...]:
        """Return name, seasons, weeks and days of the active calendar, or of the one that waits."""
        first = 6 if passive else 2
        return tuple(
            Attribute(class_id=CALENDAR, obis=self.calendar, index=index) for index in range(first, first + 4)
        )

    @property
    def activation(self) -> Attribute:
        """Return when the passive calendar becomes the active one."""
        return Attribute(class_id=CALENDAR, obis=self.calendar, index=10)

    @property
    def activate(self) -> Method:
        """Return the method that makes the passive calendar the active one at once."""
        return Method(class_id=CALENDAR, obis=self.calendar, index=1)

    def limit(self, index: int) -> Attribute:
        """Return an attribute of the load limit: 2 what it watches, 4 threshold, 6, 7 durations, 11 what it does."""
        return Attribute(class_id=LIMITER, obis=self.limiter, index=index)

    @property
    def limit_parts(self) -> tuple[Attribute, ...]:
        """Return durations and threshold; the threshold is written last."""
        return self.limit(6), self.limit(7), self.limit(4)

    @property
    def period(self) -> Attribute:
        """Return the capture period of the block load [s]."""
        return Attribute(class_id=PROFILE, obis=self.block_load, index=4)

    @property
    def billing_script(self) -> Attribute:
        """Return what the billing date runs."""
        return Attribute(class_id=SCHEDULE, obis=self.billing, index=2)

    @property
    def billing_times(self) -> Attribute:
        """Return when the billing date is."""
        return Attribute(class_id=SCHEDULE, obis=self.billing, index=4)

    def push_parts(self, name: str) -> tuple[Attribute, ...]:
        """Return objects, destination, windows, random delay, retries and pause of a push setup."""
        return tuple(
            Attribute(class_id=PUSH_SETUP, obis=self.push[name], index=index) for index in range(2, 8)
        )

    def plain(self, obis: Obis) -> Attribute:
        """Return the value of a data object."""
        return Attribute(class_id=DATA, obis=obis, index=2)

    # ---- calendar

    def encode_calendar(self, calendar: Calendar) -> tuple[bytes, ...]:
        """Return the parts of a calendar as A-XDR."""
        return encode_calendar(calendar, script=self.tariff)

    def decode_calendar(self, parts: Sequence[bytes]) -> Calendar:
        """
        Return the calendar of its parts.

        :raises RemoteProtocolError: if they are none, or something else than a tariff zone would be switched.
        """
        return decode_calendar(parts, script=self.tariff)


INDIAN = SettingObjects()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLimit:
    """Above `watts` [W] for `over_s` [s] the relay opens; it closes by itself after `under_s` [s] below."""

    watts: int
    over_s: int
    under_s: int

    def encode(self) -> tuple[bytes, ...]:
        """Return the two durations and the threshold, whose register counts whole watts."""
        return tuple(axdr.double_long_unsigned(value) for value in (self.over_s, self.under_s, self.watts))


def decode_limit(parts: Sequence[bytes]) -> LoadLimit:
    """
    Return a load limit of its durations and threshold.

    :raises RemoteProtocolError: if they are no numbers.
    """
    over_s, under_s, watts = (_whole(axdr.decode(part)) for part in parts)
    return LoadLimit(watts=watts, over_s=over_s, under_s=under_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingDate:
    """Bills close every month on `day` at `minute` of the day [min]."""

    day: int
    minute: int = 0

    def encode(self) -> bytes:
        """
        Return the execution time of a single action schedule.

        >>> BillingDate(day=1).encode().hex()
        '010102020904000000000905ffffff01ff'
        """
        date = _ANY_DATE + bytes((self.day, _ANY_WEEKDAY))
        return axdr.array(
            [axdr.structure(axdr.octet_string(encode_minute(self.minute)), axdr.octet_string(date))]
        )


def decode_billing(data: bytes) -> BillingDate:
    """
    Return a billing date.

    :raises RemoteProtocolError: if bills do not close on one day of every month.
    """
    entries = axdr.decode(data)
    entry = entries[0] if isinstance(entries, list) and len(entries) == 1 else None
    if not isinstance(entry, tuple) or len(entry) != 2:
        raise Malformed("the billing date is not one time")
    time, date = entry
    if not isinstance(date, bytes) or len(date) != 5 or date[:3] != _ANY_DATE or date[4] != _ANY_WEEKDAY:
        raise Malformed("the billing date is not a day of every month")
    return BillingDate(day=date[3], minute=decode_minute(time))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of every day in which a meter may push, from minute to minute [min]; it may pass midnight."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSetup:
    """What is pushed (`objects`), where to (HOST:PORT over TCP), when, and how often it is tried again."""

    objects: tuple[CaptureObject, ...]
    destination: str
    windows: tuple[Window, ...] = ()
    randomise_s: int = 0
    retries: int = 0
    repeat_s: int = 0

    def encode(self) -> tuple[bytes, ...]:
        """
        Return objects, destination, windows, random delay, retries and pause.

        :raises LocalProtocolError: if the destination is not ASCII or a number does not fit.
        """
        if not self.destination.isascii():
            raise LocalProtocolError(f"the destination {self.destination!r} is not ASCII")
        windows = [
            axdr.structure(axdr.octet_string(_daily(window.first)), axdr.octet_string(_daily(window.last)))
            for window in self.windows
        ]
        return (
            encode_capture_objects(self.objects),
            axdr.structure(
                axdr.enum(_TCP),
                axdr.octet_string(self.destination.encode("ascii")),
                axdr.enum(_PLAIN_MESSAGE),
            ),
            axdr.array(windows),
            axdr.long_unsigned(self.randomise_s),
            axdr.unsigned(self.retries),
            axdr.long_unsigned(self.repeat_s),
        )


def decode_push(parts: Sequence[bytes]) -> PushSetup:
    """
    Return a push setup of its parts.

    :raises RemoteProtocolError: if they are none, or it does not push over TCP.
    """
    objects, target, windows, randomise, retries, repeat = parts
    found = axdr.decode(target)
    if not isinstance(found, tuple) or len(found) != 3 or not isinstance(found[1], bytes | str):
        raise Malformed("a push setup has no destination")
    if found[0] != _TCP or found[2] != _PLAIN_MESSAGE:
        raise Malformed("a push setup does not push APDUs over TCP")
    destination = found[1].decode("latin-1") if isinstance(found[1], bytes) else found[1]
    items = axdr.decode(windows)
    if not isinstance(items, list) or len(items) > PUSH_WINDOWS_MAX:
        raise Malformed(f"a push setup has at most {PUSH_WINDOWS_MAX} windows")
    return PushSetup(
        objects=capture_objects(objects),
        destination=destination,
        windows=tuple(_window(item) for item in items),
        randomise_s=_whole(axdr.decode(randomise)),
        retries=_whole(axdr.decode(retries)),
        repeat_s=_whole(axdr.decode(repeat)),
    )


def encode_filter(bits: frozenset[int]) -> bytes:
    """Return the event status word filter that lets the bits `bits` through."""
    return axdr.bit_string(status_word(bits))


def decode_filter(data: bytes) -> frozenset[int]:
    """
    Return the bits that an event status word filter lets through.

    :raises RemoteProtocolError: if it is no word of 128 bits.
    """
    word = axdr.decode(data)
    if not isinstance(word, BitString) or word.bits != STATUS_BITS_COUNT:
        raise Malformed(f"the filter of the event status word has not {STATUS_BITS_COUNT} bits")
    return frozenset(bit for bit in range(word.bits) if word.is_set(bit))


def decode_number(data: bytes) -> int:
    """
    Return the number of a plain object.

    :raises RemoteProtocolError: if it is none.
    """
    return _whole(axdr.decode(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """An entry of a script table."""

    table: Obis
    entry: int


def encode_scripts(*scripts: Script) -> bytes:
    """Return what a load limit does: over its threshold, and under it."""
    return axdr.structure(*(encode_script(script) for script in scripts))


def encode_script(script: Script) -> bytes:
    """Return one entry of a script table."""
    return axdr.structure(axdr.octet_string(script.table.octets), axdr.long_unsigned(script.entry))


def decode_scripts(data: bytes) -> tuple[Script, ...]:
    """
    Return the scripts of a structure of scripts, or the one script that it is.

    :raises RemoteProtocolError: if it is none.
    """
    found = axdr.decode(data)
    items = (found,) if isinstance(found, tuple) and found and isinstance(found[0], bytes) else found
    if not isinstance(items, tuple):
        raise Malformed("these are no entries of a script table")
    scripts = []
    for item in items:
        if (
            not isinstance(item, tuple)
            or len(item) != 2
            or not isinstance(item[0], bytes)
            or len(item[0]) != 6
        ):
            raise Malformed("this is no entry of a script table")
        scripts.append(Script(table=Obis.from_octets(item[0]), entry=_whole(item[1])))
    return tuple(scripts)


def encode_watched(watched: Attribute) -> bytes:
    """Return what a load limit watches."""
    return axdr.structure(
        axdr.long_unsigned(watched.class_id),
        axdr.octet_string(watched.obis.octets),
        axdr.integer(watched.index),
    )


def decode_watched(data: bytes) -> Attribute:
    """
    Return what a load limit watches.

    :raises RemoteProtocolError: if it names nothing.
    """
    found = axdr.decode(data)
    if (
        not isinstance(found, tuple)
        or len(found) != 3
        or not isinstance(found[1], bytes)
        or len(found[1]) != 6
    ):
        raise Malformed("a load limit does not name what it watches")
    class_id, index = _whole(found[0]), _whole(found[2])
    if not 0 <= class_id <= CLASS_MAX or not 0 <= index <= INDEX_MAX:
        raise Malformed(f"a load limit watches attribute {index} of class {class_id}, and there is none")
    return Attribute(class_id=class_id, obis=Obis.from_octets(found[1]), index=index)


def _daily(minute: int) -> bytes:
    """Return a time of every day as a date-time of 12 octets."""
    return b"\xff" * 5 + encode_minute(minute)[:3] + b"\x00" + UNDEFINED[9:]


def _window(item: axdr.Value) -> Window:
    ends = item if isinstance(item, tuple) and len(item) == 2 else ()
    minutes = []
    for end in ends:
        if not isinstance(end, bytes) or len(end) != len(UNDEFINED) or end[:5] != b"\xff" * 5:
            raise Malformed("a window of a push setup is not one of every day")
        minutes.append(decode_minute(end[5:9]))
    if len(minutes) != 2:
        raise Malformed("a window of a push setup has no two ends")
    return Window(first=minutes[0], last=minutes[1])


def _whole(value: axdr.Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{value!r} is no number")
    return value


def is_minute(minute: int) -> bool:
    """
    Return whether a number is a minute of the day.

    >>> is_minute(1439), is_minute(1440)
    (True, False)
    """
    return 0 <= minute < MINUTES_OF_DAY
