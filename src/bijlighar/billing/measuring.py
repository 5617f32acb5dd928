"""
From readings to determinants, purely: each meter of the account and month is one segment, and the segments are
summed before any slab (slabs belong to the account and its period, not to the meter).

A communicating meter is measured by its validated intervals. A meter read by hand is measured by the difference of
its registers between the readings nearest the month's ends, and the bill's days are those between the readings, so
that slabs and monthly charges are scaled by them; the next bill begins where this one ended. Where meters were
exchanged, the old one's final and the new one's initial reading are facts that must be there: nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bijlighar.base.period import ONE_DAY, Month, day_number, epoch_seconds, local_date
from bijlighar.billing.model import HALF_HOURS_PER_DAY, Determinants, Parked, Reason, Segment
from bijlighar.readings.model import (
    ABSENT,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    DayBlock,
    Flags,
    Integers,
    Qualities,
    Quality,
    RegisterKind,
    RegisterSnapshot,
)
from bijlighar.readings.rules import fold, one_length_a_day
from bijlighar.registry.model import Installation

#: How far from a month's end a hand reading may lie and still close it.
READING_REACH = timedelta(days=10)
#: How far from the exchange of a meter its final or initial reading may be dated.
EXCHANGE_REACH = timedelta(days=1)
_SECONDS_PER_MINUTE = 60
_W_MINUTES_PER_WH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging:
    """A meter of the account in the month, and whether it communicates."""

    installation: Installation
    communicates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBilled:
    """Up to where a meter's register was billed before [Wh], and when it stood there."""

    at: datetime
    wh: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterDays:
    """The days of one meter in the month: the block and its rows."""

    block: DayBlock
    rows: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All readings that a batch of accounts needs: meter-days and register snapshots by meter."""

    days: Mapping[str, Sequence[MeterDays]]
    registers: Mapping[str, Sequence[RegisterSnapshot]]


def by_meter(blocks: Sequence[DayBlock]) -> dict[str, list[MeterDays]]:
    """Return the rows of each meter in the blocks."""
    found: dict[str, list[MeterDays]] = {}
    for block in one_length_a_day(blocks):
        rows: dict[str, list[int]] = {}
        for row, meter in enumerate(block.meters):
            rows.setdefault(meter, []).append(row)
        for meter, own in rows.items():
            found.setdefault(meter, []).append(MeterDays(block=block, rows=own))
    return found


def determine(
    *,
    account: str,
    month: Month,
    hangings: Sequence[Hanging],
    readings: Readings,
    last_billed: Mapping[str, LastBilled],
    read_before: Mapping[str, tuple[datetime, datetime]] | None = None,
) -> Determinants | Parked:
    """
    Return what was measured for the account in the month, or why it cannot be said.

    `last_billed` is where registers were billed up to before; `read_before`, when a month is measured again, names
    the moments between which a register was billed then, so that the next bill still begins where this one ends.
    """
    period = month.period
    ordered = sorted(hangings, key=lambda hanging: hanging.installation.from_at)
    segments = []
    for place, hanging in enumerate(ordered):
        installation = hanging.installation
        span = _Span(
            month=month,
            installation=installation,
            begins=installation.from_at >= period.start,
            ends=installation.to_at is not None and installation.to_at <= period.end,
            is_exchanged=len(ordered) > 1,
            read_before=(read_before or {}).get(installation.meter),
        )
        registers = readings.registers.get(installation.meter, ())
        days = readings.days.get(installation.meter, ())
        if hanging.communicates or (days and not registers):
            found = _by_intervals(span=span, days=days, registers=registers)
        else:
            before = last_billed.get(installation.meter) if place == 0 else None
            found = _by_registers(span=span, registers=registers, before=before)
        if isinstance(found, Parked):
            return found
        segments.append(found)
    if not segments:
        return Parked(reason=Reason.NO_METER)
    first, last = local_date(segments[0].from_at), local_date(segments[-1].to_at)
    if last <= first:
        return Parked(reason=Reason.NO_DAYS, detail=f"{first} to {last}")
    return Determinants(
        account=account,
        month=month,
        period_from=first,
        period_to=last,
        segments=tuple(segments),
        smart=any(segment.method == "intervals" for segment in segments),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """One meter's time in the month; `begins`, `ends`: it was hung up, or taken down, within the month."""

    month: Month
    installation: Installation
    begins: bool
    ends: bool
    is_exchanged: bool
    read_before: tuple[datetime, datetime] | None

    @property
    def start(self) -> datetime:
        return max(self.installation.from_at, self.month.period.start)

    @property
    def end(self) -> datetime:
        to_at = self.installation.to_at
        end = self.month.period.end
        return end if to_at is None else min(to_at, end)


def _snapshot(
    *, registers: Sequence[RegisterSnapshot], kind: RegisterKind | None, at: datetime, reach: timedelta
) -> RegisterSnapshot | None:
    """Return the snapshot (of a kind) nearest to a moment and within reach, the earlier of two equally near."""
    near = [
        snapshot
        for snapshot in registers
        if snapshot.wh_import is not None
        and (kind is None or snapshot.kind is kind)
        and abs(snapshot.at - at) <= reach
    ]
    return min(near, key=lambda snapshot: (abs(snapshot.at - at), snapshot.at), default=None)


def _exchange_problem(*, span: _Span, registers: Sequence[RegisterSnapshot]) -> Parked | None:
    """Return what is missing where the meter was exchanged within the month."""
    meter = span.installation.meter
    if (
        span.begins
        and _snapshot(
            registers=registers, kind=RegisterKind.INITIAL, at=span.installation.from_at, reach=EXCHANGE_REACH
        )
        is None
    ):
        return Parked(reason=Reason.NO_INITIAL_READING, detail=meter)
    if (
        span.ends
        and _snapshot(registers=registers, kind=RegisterKind.FINAL, at=span.end, reach=EXCHANGE_REACH) is None
    ):
        return Parked(reason=Reason.NO_FINAL_READING, detail=meter)
    return None


def _by_registers(
    *, span: _Span, registers: Sequence[RegisterSnapshot], before: LastBilled | None
) -> Segment | Parked:
    installation = span.installation
    meter = installation.meter
    start, end = _ends(span=span, registers=registers, before=before)
    if isinstance(start, Parked):
        return start
    if isinstance(end, Parked):
        return end
    if end.wh_import is None or end.wh_import < start.wh:
        return Parked(reason=Reason.REGISTER_FELL, detail=f"{meter}: {start.wh} Wh, then {end.wh_import} Wh")
    return Segment(
        meter=meter,
        multiplier=installation.multiplier,
        method="registers",
        from_at=start.at,
        to_at=end.at,
        start_wh=start.wh,
        end_wh=end.wh_import,
        energy_wh=(end.wh_import - start.wh) * installation.multiplier,
        half_hours_wh=(),
        intervals=0,
        estimated=0,
        estimated_wh=0,
        demand_w=None if end.md_w is None else end.md_w * installation.multiplier,
    )


def _ends(
    *, span: _Span, registers: Sequence[RegisterSnapshot], before: LastBilled | None
) -> tuple[LastBilled | Parked, RegisterSnapshot | Parked]:
    """Return the register at both ends of a meter read by hand."""
    meter = span.installation.meter
    kind = RegisterKind.FINAL if span.ends else None
    reach = EXCHANGE_REACH if span.ends else READING_REACH
    end = _snapshot(registers=registers, kind=kind, at=span.end, reach=reach)
    start_at = span.start
    if span.read_before is not None:
        start_at, end_at = span.read_before
        end = _snapshot(registers=registers, kind=kind, at=end_at, reach=timedelta(0)) or end
    no_end = Reason.NO_FINAL_READING if span.ends else Reason.NO_END_READING
    if before is not None:
        start: RegisterSnapshot | LastBilled | None = before
    elif span.begins:
        at = span.installation.from_at
        start = _snapshot(registers=registers, kind=RegisterKind.INITIAL, at=at, reach=EXCHANGE_REACH)
    else:
        start = _snapshot(registers=registers, kind=None, at=start_at, reach=READING_REACH)
    if start is None:
        no_start = Reason.NO_INITIAL_READING if span.begins else Reason.NO_START_READING
        return Parked(reason=no_start, detail=meter), Parked(reason=no_start, detail=meter)
    if isinstance(start, RegisterSnapshot):
        start = LastBilled(at=start.at, wh=start.wh_import or 0)
    if end is None or (end.at <= start.at and not span.ends):
        return start, Parked(reason=no_end, detail=meter)
    return start, end


def _by_intervals(
    *, span: _Span, days: Sequence[MeterDays], registers: Sequence[RegisterSnapshot]
) -> Segment | Parked:
    installation = span.installation
    if span.is_exchanged:
        problem = _exchange_problem(span=span, registers=registers)
        if problem is not None:
            return problem
    total = _Total()
    for own in days:
        part = _add_days(total=total, span=span, own=own)
        if part is not None:
            return part
    missing = _expected_half_hours(span) - total.half_hours
    if missing > 0:
        detail = f"{installation.meter}: {missing} half hours"
        return Parked(reason=Reason.INTERVALS_MISSING, detail=detail)
    midnights = {snapshot.at: snapshot.wh_import for snapshot in registers}
    return Segment(
        meter=installation.meter,
        multiplier=installation.multiplier,
        method="intervals",
        from_at=span.start,
        to_at=span.end,
        start_wh=midnights.get(span.start),
        end_wh=midnights.get(span.end),
        energy_wh=int(total.profile.sum()) * installation.multiplier,
        half_hours_wh=tuple(int(energy_wh) * installation.multiplier for energy_wh in total.profile),
        intervals=total.intervals,
        estimated=total.estimated,
        estimated_wh=total.estimated_wh * installation.multiplier,
        demand_w=None if total.demand_w is None else total.demand_w * installation.multiplier,
    )


class _Total:
    """What the days of one meter add up to, before its multiplier."""

    def __init__(self) -> None:
        self.profile: Integers = np.zeros(HALF_HOURS_PER_DAY, dtype=np.int64)
        self.half_hours = 0
        self.intervals = 0
        self.estimated = 0
        self.estimated_wh = 0
        self.demand_w: int | None = None


def _add_days(*, total: _Total, span: _Span, own: MeterDays) -> Parked | None:
    """Add the intervals of a meter's days that lie in the span; tell if one is not validated."""
    block = own.block
    rows = np.array(own.rows, dtype=np.int64)
    inside = _inside(span=span, block=block, rows=rows)
    waiting = int((inside.any(axis=1) & ~block.validated[rows]).sum())
    if waiting:
        return Parked(reason=Reason.NOT_VALIDATED, detail=f"{span.installation.meter}: {waiting} days")
    values = block.channel("wh_import")[rows]
    quality = block.quality[rows]
    known = inside & (values != ABSENT)
    energy = np.where(known, values, 0)
    halves = block.intervals // HALF_HOURS_PER_DAY
    total.profile += energy.reshape(len(rows), HALF_HOURS_PER_DAY, halves).sum(axis=(0, 2))
    required = _required(span=span, block=block, rows=rows)
    total.half_hours += int(
        (known & required).reshape(len(rows), HALF_HOURS_PER_DAY, halves).all(axis=2).sum()
    )
    total.intervals += int(known.sum())
    estimated = known & (quality == Quality.ESTIMATED)
    total.estimated += int(estimated.sum())
    total.estimated_wh += int(energy[estimated].sum())
    _raise_demand(total=total, energy=energy, quality=quality, known=known, minutes=block.minutes)
    return None


def _raise_demand(*, total: _Total, energy: Integers, quality: Qualities, known: Flags, minutes: int) -> None:
    """Raise the highest demand by what was measured; an estimate is no recorded demand."""
    if minutes < 30:
        energy, known = fold(energy, channel="wh_import"), known[:, 0::2] & known[:, 1::2]
        quality = np.maximum(quality[:, 0::2], quality[:, 1::2])
    measured = energy[known & (quality != Quality.ESTIMATED)]
    if len(measured):
        demand_w = int(measured.max()) * _W_MINUTES_PER_WH // 30
        total.demand_w = max(demand_w, total.demand_w or 0)


def _starts(*, block: DayBlock, rows: Integers) -> Integers:
    midnights = block.days[rows].astype(np.int64) * SECONDS_PER_DAY - IST_OFFSET_S
    slots = np.arange(block.intervals, dtype=np.int64) * (block.minutes * _SECONDS_PER_MINUTE)
    return midnights[:, None] + slots[None, :]


def _inside(*, span: _Span, block: DayBlock, rows: Integers) -> Flags:
    """Return which intervals the meter may have measured for the account: also the one it was hung up in."""
    starts = _starts(block=block, rows=rows)
    length_s = block.minutes * _SECONDS_PER_MINUTE
    return (starts + length_s > epoch_seconds(span.start)) & (starts < epoch_seconds(span.end))


def _required(*, span: _Span, block: DayBlock, rows: Integers) -> Flags:
    """Return which intervals must be there: those that lie in the span wholly, by half hours."""
    starts = _starts(block=block, rows=rows)
    half_hour_s = 30 * _SECONDS_PER_MINUTE
    opened = starts - starts % half_hour_s
    return (opened >= epoch_seconds(span.start)) & (opened + half_hour_s <= epoch_seconds(span.end))


def _expected_half_hours(span: _Span) -> int:
    """Return how many whole half hours the span has."""
    half_hour_s = 30 * _SECONDS_PER_MINUTE
    first = -(-epoch_seconds(span.start) // half_hour_s)
    return max(0, epoch_seconds(span.end) // half_hour_s - first)


def month_numbers(month: Month) -> tuple[int, int]:
    """
    Return the day numbers of the month's first and last day.

    >>> month_numbers(Month(year=1970, month=1))
    (0, 30)
    """
    return day_number(month.first), day_number(month.last)


def register_window(month: Month) -> tuple[datetime, datetime]:
    """Return the moments between which registers matter for the month."""
    return month.period.start - READING_REACH - ONE_DAY, month.period.end + READING_REACH + ONE_DAY
