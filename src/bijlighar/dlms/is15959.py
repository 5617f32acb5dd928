"""
What IS 15959 (Part 2) lays down for Indian smart meters, as data: profiles, columns, objects, associations.

Orders and scalers differ by make: a reader takes the capture objects and the scaler profile of each make and firmware
and uses the columns here for names and words; a simulated meter captures exactly these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.words import Words
from bijlighar.dlms import axdr, clock
from bijlighar.dlms.clock import ABSENT, Deviation
from bijlighar.dlms.cosem import CLOCK as CLOCK_COLUMN
from bijlighar.dlms.cosem import Attribute, ByRange, CaptureObject, Method
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.is15959_columns import (
    CLOCK_CLASS,
    DATA,
    DISCONNECT_CONTROL,
    FAMILY_NAMES,
    KNOWN,
    PROFILE_GENERIC,
    UNITS,
    Column,
    Phases,
    column_of,
    columns,
)
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import Mechanism

__all__ = [
    "ACTIVITY_CALENDAR",
    "ASSOCIATIONS",
    "BILLING",
    "BILLING_SCHEDULE",
    "BLOCK_LOAD",
    "BLOCK_PERIOD",
    "CLOCK",
    "CLOCK_TIME",
    "CONTROL_MODE",
    "CONTROL_STATE",
    "CONTROL_STATES",
    "DAILY",
    "DEVICE_ID",
    "DISCONNECT",
    "EVENT_PROFILES",
    "FAMILY_NAMES",
    "FIRMWARE",
    "IHD",
    "INSTANTANEOUS",
    "KNOWN",
    "LOAD_LIMITER",
    "LOGICAL_DEVICE_NAME",
    "METERING_MODE",
    "METER_READER",
    "NAMEPLATE",
    "PAYMENT_MODE",
    "PROFILES",
    "PUBLIC",
    "PUSH",
    "PUSH_ALERT",
    "PUSH_PERIODIC",
    "RECONNECT",
    "RELAY",
    "RELAY_STATE",
    "REMOTE_RECONNECT_MODES",
    "SERIAL_NUMBER",
    "STATUS_WORD",
    "STATUS_WORD_FILTER",
    "UNITS",
    "UTILITY",
    "AssociationPlan",
    "Column",
    "Phases",
    "Profile",
    "between",
    "column_of",
    "columns",
    "encode_scalers",
    "rescale",
    "scale",
    "scaler_captures",
    "scaler_unit",
    "scalers",
]

CLOCK = Obis.parse("0.0.1.0.0.255")
LOGICAL_DEVICE_NAME = Obis.parse("0.0.42.0.0.255")
SERIAL_NUMBER = Obis.parse("0.0.96.1.0.255")
DEVICE_ID = Obis.parse("0.0.96.1.2.255")
RELAY = Obis.parse("0.0.96.3.10.255")
LOAD_LIMITER = Obis.parse("0.0.17.0.0.255")
BLOCK_PERIOD = Obis.parse("1.0.0.8.4.255")
STATUS_WORD = Obis.parse("0.0.94.91.18.255")
STATUS_WORD_FILTER = Obis.parse("0.0.94.91.26.255")
PUSH_PERIODIC = Obis.parse("0.0.25.9.0.255")
PUSH_ALERT = Obis.parse("0.4.25.9.0.255")
ACTIVITY_CALENDAR = Obis.parse("0.0.13.0.0.255")
BILLING_SCHEDULE = Obis.parse("0.0.15.0.0.255")
METERING_MODE = Obis.parse("0.0.94.96.19.255")
PAYMENT_MODE = Obis.parse("0.0.94.96.20.255")

RELAY_STATE = Attribute(class_id=DISCONNECT_CONTROL, obis=RELAY, index=2)
CONTROL_STATE = Attribute(class_id=DISCONNECT_CONTROL, obis=RELAY, index=3)
CONTROL_MODE = Attribute(class_id=DISCONNECT_CONTROL, obis=RELAY, index=4)
DISCONNECT = Method(class_id=DISCONNECT_CONTROL, obis=RELAY, index=1)
RECONNECT = Method(class_id=DISCONNECT_CONTROL, obis=RELAY, index=2)
CLOCK_TIME = Attribute(class_id=CLOCK_CLASS, obis=CLOCK, index=2)

CONTROL_STATES: Mapping[int, str] = {0: "disconnected", 1: "connected", 2: "ready-for-reconnection"}
#: Modes in which a remote reconnect closes the relay without a push at the meter.
REMOTE_RECONNECT_MODES = (2, 4)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """
    A profile of class 7.

    by_range -- read by range of time (else by entry).
    stamped_at_end -- a row carries the end of its interval.
    """

    name: str
    obis: Obis
    scaler_obis: Obis | None
    by_range: bool
    stamped_at_end: bool
    words: Words

    @cached_property
    def buffer(self) -> Attribute:
        """Return the attribute of the rows."""
        return Attribute(class_id=PROFILE_GENERIC, obis=self.obis, index=2)

    @cached_property
    def captured(self) -> Attribute:
        """Return the attribute that lists the columns."""
        return Attribute(class_id=PROFILE_GENERIC, obis=self.obis, index=3)

    @cached_property
    def period(self) -> Attribute:
        """Return the attribute of the capture period [s]."""
        return Attribute(class_id=PROFILE_GENERIC, obis=self.obis, index=4)

    @cached_property
    def scaler_buffer(self) -> Attribute | None:
        """Return the attribute of the scalers and units."""
        if self.scaler_obis is None:
            return None
        return Attribute(class_id=PROFILE_GENERIC, obis=self.scaler_obis, index=2)

    @cached_property
    def scaler_captured(self) -> Attribute | None:
        """Return the attribute that lists what the scalers belong to."""
        if self.scaler_obis is None:
            return None
        return Attribute(class_id=PROFILE_GENERIC, obis=self.scaler_obis, index=3)


def _profile(
    name: str, obis: str, scaler: str, words: Words, *, by_range: bool = True, at_end: bool = True
) -> Profile:
    return Profile(
        name=name,
        obis=Obis.parse(obis),
        scaler_obis=Obis.parse(scaler) if scaler else None,
        by_range=by_range,
        stamped_at_end=at_end,
        words=words,
    )


INSTANTANEOUS = _profile(
    "instantaneous",
    "1.0.94.91.0.255",
    "1.0.94.91.3.255",
    Words(hi="तात्कालिक मान", en="Instantaneous values"),
    by_range=False,
    at_end=False,
)
BLOCK_LOAD = _profile(
    "block-load", "1.0.99.1.0.255", "1.0.94.91.4.255", Words(hi="ब्लॉक लोड प्रोफ़ाइल", en="Block load profile")
)
DAILY = _profile(
    "daily", "1.0.99.2.0.255", "1.0.94.91.5.255", Words(hi="दैनिक लोड प्रोफ़ाइल", en="Daily load profile")
)
BILLING = _profile(
    "billing",
    "1.0.98.1.0.255",
    "1.0.94.91.6.255",
    Words(hi="बिलिंग प्रोफ़ाइल", en="Billing profile"),
    by_range=False,
)
NAMEPLATE = _profile(
    "nameplate",
    "0.0.94.91.10.255",
    "",
    Words(hi="नेम प्लेट", en="Name plate"),
    by_range=False,
    at_end=False,
)

_FAMILY_WORDS = (
    Words(hi="वोल्टेज संबंधी घटनाएँ", en="Voltage events"),
    Words(hi="करंट संबंधी घटनाएँ", en="Current events"),
    Words(hi="बिजली गुल की घटनाएँ", en="Power failure events"),
    Words(hi="सेटिंग बदलने की घटनाएँ", en="Transaction events"),
    Words(hi="अन्य घटनाएँ", en="Other events"),
    Words(hi="न मिटने वाली घटनाएँ", en="Non-rollover events"),
    Words(hi="रिले (कनेक्ट / डिस्कनेक्ट) घटनाएँ", en="Control events"),
)
EVENT_PROFILES: tuple[Profile, ...] = tuple(
    _profile(f"events-{name}", f"0.0.99.98.{family}.255", "1.0.94.91.7.255", words, at_end=False)
    for family, (name, words) in enumerate(zip(FAMILY_NAMES, _FAMILY_WORDS, strict=True))
)

#: All profiles by name.
PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (INSTANTANEOUS, BLOCK_LOAD, DAILY, BILLING, NAMEPLATE, *EVENT_PROFILES)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationPlan:
    """An association of IS 15959: client SAP, names of its objects, how it is secured."""

    client: int
    name: str
    words: Words
    logical_name: Obis
    security_setup: Obis
    counter: Obis
    mechanism: Mechanism
    ciphered: bool

    @property
    def counter_attribute(self) -> Attribute:
        """Return the attribute in which a meter tells the last invocation counter of this client."""
        return Attribute(class_id=DATA, obis=self.counter, index=2)


def _association(number: int, name: str, words: Words, mechanism: Mechanism) -> AssociationPlan:
    return AssociationPlan(
        client=16 * number,
        name=name,
        words=words,
        logical_name=Obis.parse(f"0.0.40.0.{number}.255"),
        security_setup=Obis.parse(f"0.0.43.0.{number}.255"),
        counter=Obis.parse(f"0.0.43.1.{number}.255"),
        mechanism=mechanism,
        ciphered=number > 1,
    )


PUBLIC, METER_READER, UTILITY, PUSH, FIRMWARE, IHD = 16, 32, 48, 64, 80, 96

#: Associations by client SAP.
ASSOCIATIONS: Mapping[int, AssociationPlan] = {
    plan.client: plan
    for plan in (
        _association(1, "public", Words(hi="सार्वजनिक", en="Public client"), Mechanism.NONE),
        _association(2, "meter-reader", Words(hi="मीटर वाचक", en="Meter reader"), Mechanism.LLS),
        _association(3, "utility", Words(hi="विद्युत कंपनी", en="Utility setting"), Mechanism.HLS5),
        _association(4, "push", Words(hi="मीटर से सूचना", en="Push"), Mechanism.HLS5),
        _association(5, "firmware", Words(hi="फ़र्मवेयर अद्यतन", en="Firmware upgrade"), Mechanism.HLS5),
        _association(6, "ihd", Words(hi="घर का डिस्प्ले", en="In-home display"), Mechanism.LLS),
    )
}


def between(
    start: datetime,
    end: datetime,
    *,
    columns: Sequence[CaptureObject] = (),
    deviation: Deviation = Deviation.IST,
) -> ByRange:
    """
    Return the selection of the rows stamped in (start, end]: one second after `start` to `end`.

    For profiles stamped at the end of the interval these are the intervals that start in [start, end).
    """
    return ByRange(
        lower=clock.encode(start + timedelta(seconds=1), deviation=deviation),
        upper=clock.encode(end, deviation=deviation),
        clock=CLOCK_COLUMN,
        columns=tuple(columns),
    )


def scale(values: Any, scaler: int) -> Any:  # noqa: ANN401 - a number or an array of numbers
    """
    Return values times 10 to the power of `scaler`: whole for scaler >= 0, else float; ABSENT stays or becomes NaN.

    >>> scale(95, 1), scale(23012, -2)
    (950, 230.12)
    """
    if not isinstance(values, np.ndarray):
        return values * 10**scaler if scaler >= 0 else values / 10**-scaler
    if values.dtype.kind not in "iu":
        return values * 10.0**scaler
    absent = values == ABSENT
    if scaler >= 0:
        return np.where(absent, ABSENT, values * 10**scaler)
    return np.where(absent, np.nan, values / 10**-scaler)


def rescale(values: NDArray[np.int64], *, scaler: int, to: int) -> NDArray[np.int64]:
    """
    Return whole values of `scaler` as whole values of the scaler `to`, rounded half up; ABSENT stays.

    >>> rescale(np.array([2301]), scaler=-1, to=-2).tolist(), rescale(np.array([2305]), scaler=-2, to=-1).tolist()
    ([23010], [231])
    """
    absent = values == ABSENT
    power = scaler - to
    plain = np.where(absent, 0, values)
    result = plain * 10**power if power >= 0 else (plain + 10**-power // 2) // 10**-power
    return np.where(absent, ABSENT, result)


def encode_scalers(columns: Sequence[Column]) -> bytes:
    """Return the buffer of the scaler profile of these columns (one row)."""
    cells = [
        axdr.structure(axdr.integer(column.scaler), axdr.enum(column.unit))
        for column in columns
        if column.scaler is not None and column.unit is not None
    ]
    return axdr.array([axdr.structure(*cells)])


def scaler_captures(columns: Sequence[Column]) -> tuple[CaptureObject, ...]:
    """Return the capture objects of the scaler profile of these columns: attribute 3 of each that has a scaler."""
    return tuple(
        CaptureObject(class_id=column.capture.class_id, obis=column.capture.obis, attribute=3)
        for column in columns
        if column.scaler is not None
    )


def scalers(data: bytes) -> tuple[tuple[int, int], ...]:
    """
    Return (scaler, unit) of each cell of a scaler profile's buffer.

    :raises RemoteProtocolError: if it is not a buffer of one row of scalers and units.
    """
    rows = axdr.decode(data)
    if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], tuple):
        pairs = tuple(pair for pair in map(_pair, rows[0]) if pair is not None)
        if len(pairs) == len(rows[0]):
            return pairs
    raise Malformed("a scaler profile is not one row of scalers and units")


def scaler_unit(data: bytes) -> tuple[int, int]:
    """
    Return (scaler, unit) of attribute 3 of a register.

    :raises RemoteProtocolError: if it is something else.
    """
    pair = _pair(axdr.decode(data))
    if pair is None:
        raise Malformed("attribute 3 of a register is not scaler and unit")
    return pair


def _pair(cell: axdr.Value) -> tuple[int, int] | None:
    """Return (scaler, unit) of a decoded structure, None for another value."""
    if isinstance(cell, tuple) and len(cell) == 2:
        scaler, unit = cell
        if isinstance(scaler, int) and isinstance(unit, int):
            return scaler, unit
    return None
