"""
The vector back end: numpy int64, many accounts of one category at once.

Every intermediate product is bounded when the book is loaded (`bounds`); a row above the bound, where int64
would wrap round silently, is priced by the scalar back end instead. Rates and percents are scaled to integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.base.money import PAISE_PER_RUPEE
from bijlighar.tariffs.bounds import MAX_VECTOR_DAYS, MAX_VECTOR_LOAD_W
from bijlighar.tariffs.errors import UnpriceableUsage
from bijlighar.tariffs.model import (
    ROUNDING_CODE,
    AnyLine,
    Area,
    Basis,
    BillRounding,
    Book,
    Category,
    ChargeLine,
    Condition,
    DayCount,
    DemandLine,
    MinChargeLine,
    PercentLine,
    Rate,
    RebateLine,
    SlabLine,
    SlabMode,
    SubsidyLine,
    Tier,
    Usage,
    month_key,
)
from bijlighar.tariffs.scalar import W_PER_KW, price
from bijlighar.tariffs.scaling import scale_of, scaled

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Stands for a demand that was not recorded.
NO_DEMAND = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageMany:
    """
    What is priced, one row per account of one category; all arrays have the same length.

    `demand_w` is NO_DEMAND where none was recorded; a window that is not named has no energy.
    """

    category: str
    on: date
    rural: Flags
    smart: Flags
    days: Ints
    month_days: Ints
    energy_wh: Ints
    sanctioned_w: Ints
    demand_w: Ints
    windows_wh: Mapping[str, Ints]

    def row(self, index: int) -> Usage:
        """Return one row for the scalar back end."""
        demand_w = int(self.demand_w[index])
        return Usage(
            category=self.category,
            area=Area.RURAL if self.rural[index] else Area.URBAN,
            on=self.on,
            days=int(self.days[index]),
            month_days=int(self.month_days[index]),
            energy_wh=int(self.energy_wh[index]),
            sanctioned_w=int(self.sanctioned_w[index]),
            smart=bool(self.smart[index]),
            demand_w=None if demand_w == NO_DEMAND else demand_w,
            windows_wh={code: int(energy_wh[index]) for code, energy_wh in self.windows_wh.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedMany:
    """The amounts by line code [paise], 0 where a line does not apply, and their sums, row by row."""

    amounts_paise: Mapping[str, Ints]
    net_paise: Ints
    total_paise: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The rows of one line: use, months as the fraction n/d, load, demand, area and windows."""

    energy_wh: Ints
    n: Ints
    d: Ints
    sanctioned_w: Ints
    demand_w: Ints
    rural: Flags
    smart: Flags
    windows_wh: Mapping[str, Ints]
    month: str

    def take(self, index: npt.NDArray[np.intp]) -> "_Rows":
        return _Rows(
            energy_wh=self.energy_wh[index],
            n=self.n[index],
            d=self.d[index],
            sanctioned_w=self.sanctioned_w[index],
            demand_w=self.demand_w[index],
            rural=self.rural[index],
            smart=self.smart[index],
            windows_wh={code: energy_wh[index] for code, energy_wh in self.windows_wh.items()},
            month=self.month,
        )


def price_many(*, book: Book, usage: UsageMany) -> PricedMany:
    """
    Return the amounts of many accounts of one category; they equal those of the scalar back end.

    :raises NoTariff: if the book has no such category on that day.
    :raises UnpriceableUsage: if a usage contradicts itself or the book.
    """
    category = book.category(code=usage.category, on=usage.on)
    _check(category=category, usage=usage)
    large = (
        (usage.energy_wh > category.vector_wh_max)
        | (usage.sanctioned_w > MAX_VECTOR_LOAD_W)
        | (usage.demand_w > MAX_VECTOR_LOAD_W)
        | (usage.days > MAX_VECTOR_DAYS)
    )
    ordinary = np.flatnonzero(~large)
    size = len(usage.energy_wh)
    amounts = {line.code: np.zeros(size, dtype=np.int64) for line in category.lines}
    rows = _rows(book=book, category=category, usage=usage).take(ordinary)
    for code, amount in _amounts(category=category, rows=rows).items():
        amounts[code][ordinary] = amount
    for index in np.flatnonzero(large):
        for line in price(book=book, usage=usage.row(int(index))).lines:
            if line.code != ROUNDING_CODE:
                amounts[line.code][index] = line.amount_paise
    net = np.zeros(size, dtype=np.int64)
    for amount in amounts.values():
        net += amount
    total = net
    if book.bill_rounding is BillRounding.RUPEE:
        total = _half_up(net, np.int64(PAISE_PER_RUPEE)) * PAISE_PER_RUPEE
        amounts[ROUNDING_CODE] = total - net
    return PricedMany(amounts_paise=amounts, net_paise=net, total_paise=total)


def _check(*, category: Category, usage: UsageMany) -> None:
    unknown = sorted(set(usage.windows_wh) - {window.code for window in category.windows})
    if unknown:
        raise UnpriceableUsage(f"the category has no time window {unknown[0]}")
    in_windows = np.zeros(len(usage.energy_wh), dtype=np.int64)
    for energy_wh in usage.windows_wh.values():
        in_windows += energy_wh
        if (energy_wh < 0).any():
            raise UnpriceableUsage("the energy of a time window cannot be negative")
    wrong = (
        (usage.energy_wh < 0)
        | (usage.sanctioned_w < 0)
        | (usage.demand_w < NO_DEMAND)
        | (in_windows > usage.energy_wh)
        | (usage.days < 1)
        | (usage.month_days < 28)
        | (usage.month_days > 31)
    )
    if wrong.any():
        raise UnpriceableUsage(f"the usage in row {int(np.flatnonzero(wrong)[0])} contradicts itself")


def _rows(*, book: Book, category: Category, usage: UsageMany) -> _Rows:
    none = np.zeros(len(usage.energy_wh), dtype=np.int64)
    thirty = np.full(len(usage.energy_wh), 30, dtype=np.int64)
    return _Rows(
        energy_wh=usage.energy_wh,
        n=usage.days,
        d=usage.month_days if book.day_count is DayCount.ACTUAL else thirty,
        sanctioned_w=usage.sanctioned_w,
        demand_w=usage.demand_w,
        rural=usage.rural,
        smart=usage.smart,
        windows_wh={window.code: usage.windows_wh.get(window.code, none) for window in category.windows},
        month=month_key(usage.on),
    )


def _amounts(*, category: Category, rows: _Rows) -> dict[str, Ints]:
    lines = {line.code: line for line in category.lines}
    amounts: dict[str, Ints] = {}
    size = len(rows.energy_wh)
    for line in category.lines:
        index = np.flatnonzero(_applies(when=line.when, rows=rows))
        amount = np.zeros(size, dtype=np.int64)
        if len(index):
            chosen = {code: amount[index] for code, amount in amounts.items()}
            amount[index] = _line(line=line, rows=rows.take(index), amounts=chosen, lines=lines)
        amounts[line.code] = amount
    return amounts


def _applies(*, when: Condition, rows: _Rows) -> Flags:
    flags = np.ones(len(rows.energy_wh), dtype=np.bool_)
    if when.smart is not None:
        flags &= rows.smart == when.smart
    if when.use_above_wh is not None:
        flags &= rows.energy_wh * rows.d > when.use_above_wh * rows.n
    if when.use_upto_wh is not None:
        flags &= rows.energy_wh * rows.d <= when.use_upto_wh * rows.n
    if when.load_above_w is not None:
        flags &= rows.sanctioned_w > when.load_above_w
    if when.load_upto_w is not None:
        flags &= rows.sanctioned_w <= when.load_upto_w
    return flags


def _line(  # noqa: PLR0911 - one return per kind of line
    *, line: AnyLine, rows: _Rows, amounts: Mapping[str, Ints], lines: Mapping[str, AnyLine]
) -> Ints:
    match line:
        case SlabLine():
            return _slab(line=line, rows=rows, first=rows.energy_wh * rows.d)
        case ChargeLine() if line.monthly:
            rate = line.monthly.get(rows.month, Rate(urban=Decimal(0), rural=Decimal(0)))
            scale = scale_of((rate.urban, rate.rural))
            return _half_up(_by_area(rate=rate, scale=scale, rows=rows) * rows.energy_wh, WH_PER_UNIT * scale)
        case ChargeLine():
            return _tiered(tiers=line.tiers, rows=rows, step_w=line.step_w, block_wh=line.block_wh)
        case PercentLine():
            return _percent(line=line, rows=rows, amounts=amounts, lines=lines)
        case DemandLine():
            return _demand(line=line, rows=rows)
        case MinChargeLine():
            least = _tiered(tiers=line.tiers, rows=rows, step_w=line.step_w, block_wh=line.block_wh)
            missing: Ints = np.maximum(0, least - _sum(codes=line.of, amounts=amounts, rows=rows))
            return missing
        case SubsidyLine():
            return -_subsidy(line=line, rows=rows, amounts=amounts, lines=lines)
        case RebateLine():
            base = np.maximum(0, _sum(codes=line.of, amounts=amounts, rows=rows))
            scale = scale_of((line.percent,))
            off = _half_up(base * scaled(line.percent, scale), 100 * scale)
            return -off if line.most_paise is None else -np.minimum(off, line.most_paise)


def _half_up(numerator: Ints, denominator: Ints | np.int64 | int) -> Ints:
    magnitude = (2 * np.abs(numerator) + denominator) // (2 * denominator)
    return np.where(numerator < 0, -magnitude, magnitude)


def _by_area(*, rate: Rate, scale: int, rows: _Rows) -> Ints:
    return np.where(rows.rural, np.int64(scaled(rate.rural, scale)), np.int64(scaled(rate.urban, scale)))


def _sum(*, codes: tuple[str, ...], amounts: Mapping[str, Ints], rows: _Rows) -> Ints:
    total = np.zeros(len(rows.energy_wh), dtype=np.int64)
    for code in codes:
        total += amounts[code]
    return total


def _tier_index(*, tiers: tuple[Tier, ...], rows: _Rows) -> Ints:
    reached = np.zeros(len(rows.energy_wh), dtype=np.int64)
    for tier in tiers[:-1]:
        reached += rows.energy_wh * rows.d > (tier.upto_wh or 0) * rows.n
    return reached


def _slab(*, line: SlabLine, rows: _Rows, first: Ints) -> Ints:
    """Return what the first units, given as Wh times d, cost."""
    scale = scale_of(tuple(rate for tier in line.tiers for rate in (tier.rate.urban, tier.rate.rural)))
    if line.mode is SlabMode.WHOLE:
        rates = np.stack([_by_area(rate=tier.rate, scale=scale, rows=rows) for tier in line.tiers])
        rate = np.take_along_axis(rates, _tier_index(tiers=line.tiers, rows=rows)[None, :], axis=0)[0]
        return _half_up(rate * first, WH_PER_UNIT * scale * rows.d)
    exact = np.zeros(len(first), dtype=np.int64)
    lower = np.zeros(len(first), dtype=np.int64)
    for tier in line.tiers:
        upper = first if tier.upto_wh is None else np.minimum(first, tier.upto_wh * rows.n)
        exact += _by_area(rate=tier.rate, scale=scale, rows=rows) * (upper - lower)
        lower = upper
    return _half_up(exact, WH_PER_UNIT * scale * rows.d)


def _tiered(*, tiers: tuple[Tier, ...], rows: _Rows, step_w: int, block_wh: int) -> Ints:
    scale = scale_of(tuple(rate for tier in tiers for rate in (tier.rate.urban, tier.rate.rural)))
    reached = _tier_index(tiers=tiers, rows=rows)
    amount = np.zeros(len(rows.energy_wh), dtype=np.int64)
    for position, tier in enumerate(tiers):
        index = np.flatnonzero(reached == position)
        mine = rows.take(index)
        rate = _by_area(rate=tier.rate, scale=scale, rows=mine)
        match tier.basis:
            case Basis.CONNECTION:
                exact, unit = rate * mine.n, scale * mine.d
            case Basis.ENERGY:
                exact, unit = rate * mine.energy_wh, np.full(len(index), WH_PER_UNIT * scale, dtype=np.int64)
            case Basis.LOAD:
                load_w = -(-mine.sanctioned_w // step_w) * step_w
                exact, unit = rate * load_w * mine.n, W_PER_KW * scale * mine.d
            case Basis.USE_BLOCK:
                blocks = -(-mine.energy_wh * mine.d // (block_wh * mine.n))
                exact, unit = rate * blocks * mine.n, scale * mine.d
        amount[index] = _half_up(exact, unit)
    return amount


def _demand(*, line: DemandLine, rows: _Rows) -> Ints:
    floor_scale = scale_of((line.floor_percent,))
    scale = scale_of((line.rate.urban, line.rate.rural))
    recorded = np.where(rows.demand_w == NO_DEMAND, rows.sanctioned_w, rows.demand_w)
    demand = np.maximum(
        recorded * (100 * floor_scale), rows.sanctioned_w * scaled(line.floor_percent, floor_scale)
    )
    demand_w = -(-demand // (100 * floor_scale * line.step_w)) * line.step_w
    rate = _by_area(rate=line.rate, scale=scale, rows=rows)
    return _half_up(rate * demand_w * rows.n, W_PER_KW * scale * rows.d)


def _percent(
    *, line: PercentLine, rows: _Rows, amounts: Mapping[str, Ints], lines: Mapping[str, AnyLine]
) -> Ints:
    base = _sum(codes=line.of, amounts=amounts, rows=rows)
    if line.monthly:
        percent = line.monthly.get(rows.month, Decimal(0))
        scale = scale_of((percent,))
        return _half_up(base * scaled(percent, scale), 100 * scale)
    scale = scale_of(tuple(tier.percent for tier in line.tiers))
    if line.window is not None:
        share = base * scaled(line.tiers[0].percent, scale) * rows.windows_wh[line.window]
        return np.where(rows.energy_wh == 0, 0, _half_up(share, 100 * scale * np.maximum(1, rows.energy_wh)))
    exact = np.zeros(len(rows.energy_wh), dtype=np.int64)
    before = np.zeros(len(rows.energy_wh), dtype=np.int64)
    for tier in line.tiers:
        upto = np.zeros(len(rows.energy_wh), dtype=np.int64)
        for code in line.of:
            upto += _part(line=lines[code], upto_wh=tier.upto_wh, rows=rows, amount=amounts[code])
        exact += scaled(tier.percent, scale) * (upto - before)
        before = upto
    return _half_up(exact, 100 * scale)


def _part(*, line: AnyLine, upto_wh: int | None, rows: _Rows, amount: Ints) -> Ints:
    if upto_wh is None:
        return amount
    part = amount.copy()
    beyond = np.flatnonzero(rows.energy_wh * rows.d > upto_wh * rows.n)
    mine = rows.take(beyond)
    share = _half_up(amount[beyond] * upto_wh * mine.n, mine.energy_wh * mine.d)
    if isinstance(line, SlabLine):
        met = _applies(when=line.when, rows=mine)
        share = np.where(met, _slab(line=line, rows=mine, first=upto_wh * mine.n), share)
    part[beyond] = share
    return part


def _subsidy(
    *, line: SubsidyLine, rows: _Rows, amounts: Mapping[str, Ints], lines: Mapping[str, AnyLine]
) -> Ints:
    full = _part(line=lines[line.full], upto_wh=line.first_wh, rows=rows, amount=amounts[line.full])
    share = _sum(codes=line.share, amounts=amounts, rows=rows)
    within = (full + share) * rows.d - line.pays_paise * rows.n
    result = _half_up(np.maximum(0, within), rows.d)
    beyond = np.flatnonzero(rows.energy_wh * rows.d > line.first_wh * rows.n)
    mine = rows.take(beyond)
    exact = (
        full[beyond] * mine.energy_wh * mine.d
        + share[beyond] * line.first_wh * mine.n
        - line.pays_paise * mine.n * mine.energy_wh
    )
    result[beyond] = _half_up(np.maximum(0, exact), mine.energy_wh * mine.d)
    return result
