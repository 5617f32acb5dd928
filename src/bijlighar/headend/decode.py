"""
Profile buffers to readings: columns by the meter's own layout, values in the house's units, intervals by their start.

The house's units are Wh and VAh, 0.01 V and 0.01 A. A three-phase meter's voltage is the mean of its phases, its
current their sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import Period, epoch_seconds, moment_of
from bijlighar.dlms import axdr, clock, shape
from bijlighar.headend.errors import UnexpectedLayout
from bijlighar.headend.few_rows import read_few
from bijlighar.headend.layout import Layout, LayoutColumn
from bijlighar.headend.quirks import ADVICE
from bijlighar.readings.model import (
    ABSENT,
    INTERVAL_MINUTES,
    Delivery,
    MeterEvent,
    Origin,
    RegisterKind,
    RegisterSnapshot,
)

Integers = NDArray[np.int64]

CLOCK_CODES = ("0.0.1.0.0.255", "0.0.0.1.2.255")
#: Columns of a block-load profile by channel: OBIS codes, and the power of ten of the house's unit.
ENERGY, HUNDREDTHS = 0, -2
BLOCK_CHANNELS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "wh_import": (("1.0.1.29.0.255",), ENERGY),
    "vah_import": (("1.0.9.29.0.255",), ENERGY),
    "wh_export": (("1.0.2.29.0.255",), ENERGY),
    "volt": (("1.0.12.27.0.255", "1.0.32.27.0.255", "1.0.52.27.0.255", "1.0.72.27.0.255"), HUNDREDTHS),
    "amp": (("1.0.11.27.0.255", "1.0.31.27.0.255", "1.0.51.27.0.255", "1.0.71.27.0.255"), HUNDREDTHS),
}
MEAN_OF_PHASES = "volt"
REGISTERS: Mapping[str, str] = {
    "wh_import": "1.0.1.8.0.255",
    "vah_import": "1.0.9.8.0.255",
    "wh_export": "1.0.2.8.0.255",
    "md_w": "1.0.1.6.0.255",
}
#: The key of an event's detail that holds the code which the maker gave it.
MAKERS_CODE = "makers_code"
#: The attribute of an object that holds its value.
VALUE = 2
#: A number beyond this is no reading.
INTEGER_MAX = int(np.iinfo(np.int64).max)
#: A scaler beyond this is a broken meter, not a large one.
SCALER_LIMIT = 9
#: So is a single interval beyond this (1 GWh, 10 MV, 10 MA).
VALUE_LIMIT = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A profile buffer as columns: the stamps of its rows [s since the epoch] and the rows under their layout."""

    columns: tuple[LayoutColumn, ...]
    stamps: Integers
    rows: shape.Rows | None

    @property
    def count(self) -> int:
        """Return the number of rows."""
        return len(self.stamps)

    def places(self) -> dict[str, int]:
        """Return where the column of each object's value is, by OBIS code; the first if there are more."""
        return {
            column.obis: place
            for place, column in reversed([*enumerate(self.columns)])
            if column.attribute == VALUE
        }

    def at(self, place: int, *, target: int = 0) -> Integers:
        """Return the column at a place in the unit of ten to the power `target`, `ABSENT` where null."""
        if self.rows is None:
            return np.empty(0, np.int64)
        return _scaled(self.rows, place, self.columns[place], target)


class Listed:
    """A profile buffer as lists of whole numbers, by column; read as arrays only where it must be."""

    def __init__(self, buffer: bytes, *, columns: Sequence[LayoutColumn]) -> None:
        """
        Read a buffer.

        :raises UnexpectedLayout: if the rows have other columns than the layout, or no clock.
        :raises RemoteProtocolError: if the buffer is no array of rows.
        """
        self.columns = tuple(columns)
        self._buffer = buffer
        self._few = read_few(buffer, columns=columns, clock_column=_clock_place(columns))
        self._table: Table | None = None
        self.stamps: list[int] = self._as_table().stamps.tolist() if self._few is None else self._few.stamps

    def at(self, place: int, *, target: int = 0) -> list[int]:
        """Return the column at a place in the unit of ten to the power `target`, `ABSENT` where null."""
        found = None
        if self._few is not None:
            found = self._few.scaled(place, power=self.columns[place].scaler - target)
        if found is None:
            found = self._as_table().at(place, target=target).tolist()
        return found

    def values(self, obis: str) -> list[int] | None:
        """Return a column in its unit, None if there is none, `ABSENT` where null."""
        for place, column in enumerate(self.columns):
            if column.obis == obis and column.attribute == VALUE:
                return self.at(place)
        return None

    def _as_table(self) -> Table:
        if self._table is None:
            self._table = read_table(self._buffer, columns=self.columns)
        return self._table


def _clock_place(columns: Sequence[LayoutColumn]) -> int:
    for place, column in enumerate(columns):
        if column.obis in CLOCK_CODES:
            return place
    raise UnexpectedLayout("a profile has no clock among its columns")


def read_table(buffer: bytes, *, columns: Sequence[LayoutColumn], period_s: int = 0) -> Table:
    """
    Return a profile buffer as a table.

    :raises UnexpectedLayout: if the rows have other columns than the layout, or no clock.
    :raises RemoteProtocolError: if the buffer is no array of rows.
    """
    columns = tuple(columns)
    place = _clock_place(columns)
    rows = shape.decode(buffer)
    if rows.count == 0:
        return Table(columns=columns, stamps=np.empty(0, np.int64), rows=None)
    if len(rows.columns) != len(columns):
        raise UnexpectedLayout(
            f"a row has {len(rows.columns)} columns where the layout has {len(columns)}; it is read again"
        )
    if any(column.nulls is not None for column in rows.columns):
        rows = rows.repeat_nulls(
            period_s=period_s, clock_column=place
        )  # a null cell is that of the row above
    return Table(columns=columns, stamps=rows.epochs(place), rows=rows)


def block_delivery(*, meter: str, layout: Layout, buffer: bytes, within: Period | None = None) -> Delivery:
    """
    Return the intervals of a block-load buffer, in the order in which they came; `within` leaves out the others.

    :raises UnexpectedLayout: if the rows have other columns than the layout, or the interval is not 15 or 30 minutes.
    :raises RemoteProtocolError: if the buffer is no array of rows.
    """
    minutes = layout.period_s // 60
    if minutes not in INTERVAL_MINUTES or layout.period_s % 60:
        raise UnexpectedLayout(
            f"meter {meter} has intervals of {layout.period_s} s; 15 or 30 minutes are needed; {ADVICE}"
        )
    table = read_table(buffer, columns=layout.columns("block-load"), period_s=layout.period_s)
    is_at_start = layout.quirk.of_profile("block-load").is_stamped_at_start
    starts = table.stamps - (0 if is_at_start else layout.period_s)
    dated = table.stamps != ABSENT
    undated = table.count - np.count_nonzero(dated)
    if within is not None:
        dated &= (starts >= epoch_seconds(within.start)) & (starts < epoch_seconds(within.end))
    values: dict[str, Integers] = {}
    places = table.places()
    for channel, (codes, target) in BLOCK_CHANNELS.items():
        found = [table.at(places[code], target=target) for code in codes if code in places]
        if found:
            values[channel] = _together(found, mean=channel == MEAN_OF_PHASES)
    if "wh_import" not in values:
        raise UnexpectedLayout(f"the block load of meter {meter} has no imported energy")
    unreadable: list[str] = []
    if np.count_nonzero(dated) < table.count:
        starts = starts[dated]
        values = {channel: column[dated] for channel, column in values.items()}
    if undated:
        unreadable.append(f"{undated} rows of the block load have no time")
    all_values = np.array([*values.values()])
    wild_values = np.abs(all_values) > VALUE_LIMIT  # not ABSENT: it has no positive twin and stays below
    if np.count_nonzero(wild_values):
        values = dict(zip(values, np.where(wild_values, np.int64(ABSENT), all_values), strict=True))
        unreadable += [
            f"{count} values of {channel} are beyond any meter's range"
            for channel, count in zip(values, wild_values.sum(axis=1).tolist(), strict=True)
            if count
        ]
    return Delivery(
        meter=meter,
        minutes=minutes,
        starts=starts,
        values=values,
        origin=Origin.METER,
        unreadable=tuple(unreadable),
    )


def snapshots(
    *, meter: str, layout: Layout, profile: str, buffer: bytes, kind: RegisterKind
) -> tuple[RegisterSnapshot, ...]:
    """
    Return the registers of a daily or billing buffer; a row without time or energy is left out.

    :raises UnexpectedLayout: if the rows have other columns than the layout.
    :raises RemoteProtocolError: if the buffer is no array of rows.
    """
    table = Listed(buffer, columns=layout.columns(profile))
    columns = {name: values for name, code in REGISTERS.items() if (values := table.values(code)) is not None}
    if "wh_import" not in columns:
        raise UnexpectedLayout(f"the {profile} profile of meter {meter} has no imported energy")
    found: list[RegisterSnapshot] = []
    for row, stamp in enumerate(table.stamps):
        if ABSENT in (stamp, columns["wh_import"][row]):
            continue
        cells = {name: values[row] for name, values in columns.items() if values[row] != ABSENT}
        found.append(
            RegisterSnapshot(meter=meter, at=moment_of(stamp), kind=kind, origin=Origin.METER, **cells)
        )
    return tuple(found)


def log_events(
    *, meter: str, layout: Layout, profile: str, family: str, buffer: bytes, received_at: datetime
) -> tuple[MeterEvent, ...]:
    """
    Return the events of an event log; what else its rows hold is the detail, in the unit of the register.

    A code that the model's quirk names otherwise keeps the maker's own in the detail.

    :raises UnexpectedLayout: if the rows have other columns than the layout, or no event code.
    :raises RemoteProtocolError: if the buffer is no array of rows.
    """
    table = Listed(buffer, columns=layout.columns(profile))
    codes = [column.obis for column in table.columns if column.obis.startswith("0.0.96.11.")]
    code = table.values(codes[0]) if codes else None
    if code is None:
        raise UnexpectedLayout(f"the event log {profile} of meter {meter} has no event code")
    known = {*CLOCK_CODES, codes[0]}
    others = [
        (column.obis, column.scaler, table.at(place, target=column.scaler))
        for place, column in enumerate(table.columns)
        if column.attribute == VALUE and column.obis not in known
    ]
    events: list[MeterEvent] = []
    for row, (stamp, number) in enumerate(zip(table.stamps, code, strict=True)):
        if ABSENT in (stamp, number):
            continue
        detail = {
            obis: _shown(values[row], scaler) for obis, scaler, values in others if values[row] != ABSENT
        }
        meant = layout.quirk.code(number)
        if meant != number:
            detail[MAKERS_CODE] = number
        events.append(
            MeterEvent(
                meter=meter,
                code=meant,
                at=moment_of(stamp),
                family=family,
                origin="log",
                received_at=received_at,
                detail=detail,
            )
        )
    return tuple(events)


def clock_octets(moment: datetime, *, like: bytes) -> bytes:
    """Return the A-XDR octets of a time as a meter writes its own: with the deviation that it uses."""
    value = axdr.decode(like)
    told = int.from_bytes(value[9:11], "big", signed=True) if isinstance(value, bytes) else None
    known = [deviation for deviation in clock.Deviation if deviation == told]
    return axdr.octet_string(clock.encode(moment, deviation=known[0] if known else clock.Deviation.IST))


def clock_drift_s(data: bytes | None, *, now: datetime) -> int | None:
    """
    Return how far a meter's clock is ahead of ours [s], None if it does not tell.

    :raises RemoteProtocolError: if what it tells is no time.
    """
    value = None if data is None else axdr.decode(data)
    if not isinstance(value, bytes):
        return None
    moment = clock.decode(value)
    return None if moment is None else round((moment - now).total_seconds())


def rescaled(values: Integers, *, scaler: int, target: int) -> Integers:
    """
    Return values of ten to the power `scaler` in ten to the power `target`, rounded half up, `ABSENT` kept.

    What does not fit into 64 bits then is `ABSENT` too.

    >>> rescaled(np.array([95, ABSENT]), scaler=1, target=0).tolist()[0]
    950
    >>> rescaled(np.array([1_235, 1_234, -1_235]), scaler=-1, target=0).tolist()
    [124, 123, -124]

    :raises UnexpectedLayout: if no meter can mean such a scaler.
    """
    power = scaler - target
    if abs(power) > SCALER_LIMIT:
        raise UnexpectedLayout(f"a scaler of {scaler} is not believable")
    if power == 0:
        return values
    beyond = np.False_
    if power > 0:
        beyond = np.abs(values) > INTEGER_MAX // 10**power
        scaled = values * np.int64(10**power)
    else:
        step = np.int64(10**-power)
        scaled = np.sign(values) * ((np.abs(values) + step // 2) // step)
    return np.where((values == ABSENT) | beyond, np.int64(ABSENT), scaled)


def _scaled(rows: shape.Rows, place: int, column: LayoutColumn, target: int) -> Integers:
    cells = rows.columns[place]
    values = cells.values
    if isinstance(values, tuple):  # cells of several kinds: what is no whole number is no value
        numbers = np.array([cell if _is_whole(cell) else ABSENT for cell in values], dtype=np.int64)
    elif values.ndim != 1:
        return np.full(rows.count, ABSENT, dtype=np.int64)
    elif values.dtype.kind == "f":
        exact = np.floor(np.abs(values) * 10.0 ** (column.scaler - target) + 0.5) * np.sign(values)
        return np.where(np.isfinite(exact), np.nan_to_num(exact), ABSENT).astype(np.int64)
    elif values.dtype.kind == "u":
        numbers = np.where(values > np.uint64(INTEGER_MAX), np.int64(ABSENT), values.astype(np.int64))
    else:
        numbers = values
    if cells.nulls is not None:
        numbers = np.where(cells.nulls, np.int64(ABSENT), numbers)
    return rescaled(numbers, scaler=column.scaler, target=target)


def _is_whole(cell: object) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool) and abs(cell) <= INTEGER_MAX


def _together(columns: Sequence[Integers], *, mean: bool) -> Integers:
    if len(columns) == 1:
        return columns[0]
    stacked = np.stack(columns)
    there = stacked != ABSENT
    total = np.where(there, stacked, 0).sum(axis=0)
    count = there.sum(axis=0)
    if mean:
        total = (total + count // 2) // np.maximum(count, 1)
    return np.where(count > 0, total, np.int64(ABSENT))


def _shown(value: int, scaler: int) -> int | float:
    return value if scaler == 0 else round(value * 10.0**scaler, max(0, -scaler))
