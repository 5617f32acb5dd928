"""
The largest usage whose int64 arithmetic cannot overflow, per category.

int64 wraps round without a word: a bill of crores would come out smaller than it is. For each line the largest
magnitude of every product in `vector` is computed here in unbounded integers for a given largest energy; the
largest energy for which all stay inside is found by bisection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.tariffs.model import (
    AnyLine,
    Basis,
    ChargeLine,
    DemandLine,
    MinChargeLine,
    PercentLine,
    Rate,
    RebateLine,
    SlabLine,
    SubsidyLine,
    Tier,
)
from bijlighar.tariffs.scaling import scale_of

MAX_VECTOR_DAYS = 62
MAX_VECTOR_LOAD_W = 10_000_000
#: Half of the largest int64, because rounding doubles a numerator and adds the denominator.
LIMIT = (2**63 - 1) // 4
MAX_SEARCH_WH = 10**13
_MAX_D = 31
_MIN_D = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """The largest amount of a line [paise] and the largest product formed on the way."""

    amount: int
    product: int


def vector_wh_max(lines: tuple[AnyLine, ...]) -> int:
    """Return the largest energy [Wh] of one usage that int64 can price, 0 if none is safe."""
    lower, upper = 0, MAX_SEARCH_WH
    if not _is_safe(lines=lines, energy_wh=0):
        return 0
    while lower < upper:
        middle = (lower + upper + 1) // 2
        if _is_safe(lines=lines, energy_wh=middle):
            lower = middle
        else:
            upper = middle - 1
    return lower


def _is_safe(*, lines: tuple[AnyLine, ...], energy_wh: int) -> bool:
    amounts: dict[str, int] = {}
    for line in lines:
        mine_wh = energy_wh
        if line.when.use_upto_wh is not None:
            mine_wh = min(mine_wh, line.when.use_upto_wh * MAX_VECTOR_DAYS // _MIN_D + 1)
        bound = _line(line=line, energy_wh=mine_wh, amounts=amounts)
        if bound.product > LIMIT:
            return False
        amounts[line.code] = bound.amount
    return sum(amounts.values()) <= LIMIT


def _line(*, line: AnyLine, energy_wh: int, amounts: Mapping[str, int]) -> _Bound:  # noqa: PLR0911 - one return per kind of line
    match line:
        case SlabLine():
            return _slab(line=line, energy_wh=energy_wh)
        case ChargeLine() if line.monthly:
            return _rated(rates=tuple(line.monthly.values()), quantity=energy_wh, unit=WH_PER_UNIT)
        case ChargeLine():
            return _tiered(tiers=line.tiers, energy_wh=energy_wh, block_wh=line.block_wh, step_w=line.step_w)
        case MinChargeLine():
            least = _tiered(tiers=line.tiers, energy_wh=energy_wh, block_wh=line.block_wh, step_w=line.step_w)
            return _Bound(amount=least.amount + sum(amounts[code] for code in line.of), product=least.product)
        case PercentLine():
            return _percent(line=line, energy_wh=energy_wh, amounts=amounts)
        case DemandLine():
            floor_scale = scale_of((line.floor_percent,))
            largest_w = MAX_VECTOR_LOAD_W * (100 * floor_scale + int(line.floor_percent * floor_scale))
            demand_w = 2 * MAX_VECTOR_LOAD_W + line.step_w
            bound = _rated(rates=(line.rate,), quantity=demand_w * MAX_VECTOR_DAYS, unit=1000)
            return _Bound(amount=bound.amount, product=max(bound.product, largest_w))
        case SubsidyLine():
            full = amounts[line.full]
            share = sum(amounts[code] for code in line.share)
            paid = line.pays_paise * MAX_VECTOR_DAYS
            products = (
                full * energy_wh * _MAX_D + share * line.first_wh * MAX_VECTOR_DAYS + paid * (energy_wh + 1),
                (full + share) * _MAX_D + paid,
                full * line.first_wh * MAX_VECTOR_DAYS,
                energy_wh * _MAX_D,
            )
            return _Bound(amount=full + share, product=max(products))
        case RebateLine():
            base = sum(amounts[code] for code in line.of)
            return _Bound(amount=base, product=base * _scaled_max((line.percent,)))


def _scaled_max(values: tuple[Decimal, ...]) -> int:
    scale = scale_of(values)
    return max((int(abs(value) * scale) for value in values), default=0) + 100 * scale


def _rated(*, rates: tuple[Rate, ...], quantity: int, unit: int) -> _Bound:
    both = tuple(value for rate in rates for value in (rate.urban, rate.rural))
    scale = scale_of(both)
    rate_max = max((abs(value) for value in both), default=Decimal(0))
    product = int(rate_max * scale) * quantity + unit * scale * _MAX_D
    return _Bound(amount=int(rate_max * quantity) // unit + 1, product=product)


def _slab(*, line: SlabLine, energy_wh: int) -> _Bound:
    bound = _rated(
        rates=tuple(tier.rate for tier in line.tiers), quantity=energy_wh * _MAX_D, unit=WH_PER_UNIT
    )
    limit = max(tier.upto_wh or 0 for tier in line.tiers) * MAX_VECTOR_DAYS
    return _Bound(amount=bound.amount // _MAX_D + 1, product=max(bound.product, limit))


def _tiered(*, tiers: tuple[Tier, ...], energy_wh: int, block_wh: int, step_w: int) -> _Bound:
    amount, product = 0, energy_wh * _MAX_D
    for tier in tiers:
        quantity = {
            Basis.CONNECTION: MAX_VECTOR_DAYS,
            Basis.ENERGY: energy_wh,
            Basis.LOAD: (MAX_VECTOR_LOAD_W + step_w) * MAX_VECTOR_DAYS,
            Basis.USE_BLOCK: energy_wh * _MAX_D // block_wh + MAX_VECTOR_DAYS,
        }[tier.basis]
        unit = {Basis.ENERGY: WH_PER_UNIT, Basis.LOAD: 1000}.get(tier.basis, 1)
        bound = _rated(rates=tuple(each.rate for each in tiers), quantity=quantity, unit=unit)
        limit = (tier.upto_wh or block_wh) * MAX_VECTOR_DAYS
        amount, product = max(amount, bound.amount), max(product, bound.product, limit)
    return _Bound(amount=amount, product=product)


def _percent(*, line: PercentLine, energy_wh: int, amounts: Mapping[str, int]) -> _Bound:
    base = sum(amounts[code] for code in line.of)
    percents = tuple(line.monthly.values()) or tuple(tier.percent for tier in line.tiers)
    factor = _scaled_max(percents)
    product = base * factor * max(1, len(line.tiers))
    if line.window is not None:
        product = max(product * energy_wh, factor * energy_wh)
    for tier in line.tiers:
        if tier.upto_wh is not None:
            limit_wh = min(tier.upto_wh * MAX_VECTOR_DAYS, energy_wh * _MAX_D)
            product = max(product, base * limit_wh, energy_wh * _MAX_D, tier.upto_wh * MAX_VECTOR_DAYS)
    largest = max((abs(percent) for percent in percents), default=Decimal(0))
    return _Bound(amount=int(base * largest * max(1, len(line.tiers))) // 100 + 1, product=product)
