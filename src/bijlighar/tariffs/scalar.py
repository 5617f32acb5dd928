"""The scalar back end: exact fractions, one account at a time. It is the oracle of the others."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.base.money import PAISE_PER_RUPEE, round_half_up
from bijlighar.base.words import Words
from bijlighar.tariffs.errors import UnpriceableUsage
from bijlighar.tariffs.model import (
    ROUNDING_CODE,
    AnyLine,
    Basis,
    BillRounding,
    Book,
    ChargeLine,
    Condition,
    DemandLine,
    Head,
    MinChargeLine,
    PercentLine,
    Priced,
    PricedLine,
    RebateLine,
    SlabLine,
    SlabMode,
    SubsidyLine,
    Tier,
    Usage,
    month_key,
    months_of,
)

W_PER_KW = 1000
MAX_DAYS = 366
ROUNDING_NAME = Words(hi="पूर्णांकन", en="Rounding")


def price(*, book: Book, usage: Usage) -> Priced:
    """
    Return the priced lines of `usage` by `book`; a line whose condition is not met is absent.

    :raises NoTariff: if the book has no such category on that day.
    :raises UnpriceableUsage: if the usage contradicts itself or the book.
    """
    category = book.category(code=usage.category, on=usage.on)
    check_usage(usage=usage, window_codes=frozenset(window.code for window in category.windows))
    months = months_of(day_count=book.day_count, usage=usage)
    amounts: dict[str, int] = {}
    lines_by_code = {line.code: line for line in category.lines}
    priced = []
    for line in category.lines:
        amount = line_amount(line=line, usage=usage, months=months, amounts=amounts, lines=lines_by_code)
        amounts[line.code] = amount or 0
        if amount is not None:
            priced.append(PricedLine(code=line.code, name=line.name, head=line.head, amount_paise=amount))
    return with_rounding(lines=tuple(priced), rounding=book.bill_rounding)


def with_rounding(*, lines: tuple[PricedLine, ...], rounding: BillRounding) -> Priced:
    """Return the lines with their sum, and with the rounding line where the book wants whole rupees."""
    net = sum(line.amount_paise for line in lines)
    if rounding is BillRounding.PAISA:
        return Priced(lines=lines, net_paise=net, total_paise=net)
    total = round_half_up(Fraction(net, PAISE_PER_RUPEE)) * PAISE_PER_RUPEE
    last = PricedLine(code=ROUNDING_CODE, name=ROUNDING_NAME, head=Head.ROUNDING, amount_paise=total - net)
    return Priced(lines=(*lines, last), net_paise=net, total_paise=total)


def check_usage(*, usage: Usage, window_codes: frozenset[str]) -> None:
    """
    Refuse a usage that cannot be priced.

    :raises UnpriceableUsage: if it contradicts itself or the book.
    """
    if usage.energy_wh < 0 or usage.sanctioned_w < 0 or (usage.demand_w or 0) < 0:
        raise UnpriceableUsage("energy, load and demand cannot be negative")
    if not 1 <= usage.days <= MAX_DAYS or not 28 <= usage.month_days <= 31:
        raise UnpriceableUsage(f"{usage.days} days (of a month of {usage.month_days}) cannot be priced")
    unknown = sorted(set(usage.windows_wh) - window_codes)
    if unknown:
        raise UnpriceableUsage(f"the category has no time window {unknown[0]}")
    if any(energy_wh < 0 for energy_wh in usage.windows_wh.values()):
        raise UnpriceableUsage("the energy of a time window cannot be negative")
    if sum(usage.windows_wh.values()) > usage.energy_wh:
        raise UnpriceableUsage("the time windows hold more energy than was used in all")


def applies(*, when: Condition, usage: Usage, months: Fraction) -> bool:
    """Return whether a line's condition is met."""
    return (
        (when.smart is None or when.smart == usage.smart)
        and (when.use_above_wh is None or usage.energy_wh > when.use_above_wh * months)
        and (when.use_upto_wh is None or usage.energy_wh <= when.use_upto_wh * months)
        and (when.load_above_w is None or usage.sanctioned_w > when.load_above_w)
        and (when.load_upto_w is None or usage.sanctioned_w <= when.load_upto_w)
    )


def line_amount(  # noqa: PLR0911 - one return per kind of line
    *,
    line: AnyLine,
    usage: Usage,
    months: Fraction,
    amounts: Mapping[str, int],
    lines: Mapping[str, AnyLine],
) -> int | None:
    """Return the amount of a line [paise], rounded once, half up; None if its condition is not met."""
    if not applies(when=line.when, usage=usage, months=months):
        return None
    match line:
        case SlabLine():
            return slab_paise(line=line, usage=usage, months=months, first_wh=Fraction(usage.energy_wh))
        case ChargeLine():
            return _charge_paise(line=line, usage=usage, months=months)
        case PercentLine():
            return _percent_paise(line=line, usage=usage, months=months, amounts=amounts, lines=lines)
        case DemandLine():
            kw = billing_demand_kw(line=line, usage=usage)
            return round_half_up(Fraction(line.rate.of(usage.area)) * kw * months)
        case MinChargeLine():
            tier = _tier_of(tiers=line.tiers, usage=usage, months=months)
            quantity = quantity_of(
                basis=tier.basis, usage=usage, months=months, step_w=line.step_w, block_wh=line.block_wh
            )
            least = Fraction(tier.rate.of(usage.area)) * quantity
            return round_half_up(max(Fraction(0), least - sum(amounts[code] for code in line.of)))
        case SubsidyLine():
            return -round_half_up(
                _subsidy(line=line, usage=usage, months=months, amounts=amounts, lines=lines)
            )
        case RebateLine():
            return -_rebate_paise(line=line, amounts=amounts)


def slab_paise(*, line: SlabLine, usage: Usage, months: Fraction, first_wh: Fraction) -> int:
    """
    Return what the first `first_wh` of the usage cost by a slab line [paise], rounded once, half up.

    In WHOLE mode the rate is that of the slab which the whole usage reaches.
    """
    if line.mode is SlabMode.WHOLE:
        rate = Fraction(_tier_of(tiers=line.tiers, usage=usage, months=months).rate.of(usage.area))
        return round_half_up(rate * first_wh / WH_PER_UNIT)
    exact = Fraction(0)
    lower = Fraction(0)
    for tier in line.tiers:
        upper = first_wh if tier.upto_wh is None else min(first_wh, tier.upto_wh * months)
        exact += Fraction(tier.rate.of(usage.area)) * max(Fraction(0), upper - lower)
        lower = max(lower, upper)
    return round_half_up(exact / WH_PER_UNIT)


def quantity_of(*, basis: Basis, usage: Usage, months: Fraction, step_w: int, block_wh: int) -> Fraction:
    """Return what a rate is multiplied by: months, units, kW months or block months."""
    match basis:
        case Basis.CONNECTION:
            return months
        case Basis.ENERGY:
            return Fraction(usage.energy_wh, WH_PER_UNIT)
        case Basis.LOAD:
            return Fraction(ceil(Fraction(usage.sanctioned_w, step_w)) * step_w, W_PER_KW) * months
        case Basis.USE_BLOCK:
            return ceil(usage.energy_wh / (block_wh * months)) * months


def billing_demand_kw(*, line: DemandLine, usage: Usage) -> Fraction:
    """Return the billing demand [kW]: recorded (else sanctioned), not below the floor, rounded up to the step."""
    recorded = usage.sanctioned_w if usage.demand_w is None else usage.demand_w
    demand_w = max(Fraction(recorded), usage.sanctioned_w * Fraction(line.floor_percent) / 100)
    return Fraction(ceil(demand_w / line.step_w) * line.step_w, W_PER_KW)


def part_paise(
    *,
    line: AnyLine,
    upto_wh: int | None,
    usage: Usage,
    months: Fraction,
    amounts: Mapping[str, int],
) -> int:
    """
    Return the part of a line's amount that falls on the first `upto_wh` of a month's use [paise].

    Of a slab line it is what those units cost; of another line a share by units. The part is rounded to the
    paisa, so that what an explanation prints adds up. Without any use all of it falls on the first units.
    """
    amount = amounts[line.code]
    if upto_wh is None or usage.energy_wh <= upto_wh * months:
        return amount
    first_wh = upto_wh * months
    if isinstance(line, SlabLine) and applies(when=line.when, usage=usage, months=months):
        return slab_paise(line=line, usage=usage, months=months, first_wh=first_wh)
    return round_half_up(amount * first_wh / usage.energy_wh)


def _tier_of(*, tiers: tuple[Tier, ...], usage: Usage, months: Fraction) -> Tier:
    for tier in tiers:
        if tier.upto_wh is None or usage.energy_wh <= tier.upto_wh * months:
            return tier
    raise UnpriceableUsage("the last tier of a book is open, so this cannot be")


def _charge_paise(*, line: ChargeLine, usage: Usage, months: Fraction) -> int | None:
    if line.monthly:
        rate = line.monthly.get(month_key(usage.on))
        if rate is None:
            return None
        return round_half_up(Fraction(rate.of(usage.area)) * usage.energy_wh / WH_PER_UNIT)
    tier = _tier_of(tiers=line.tiers, usage=usage, months=months)
    quantity = quantity_of(
        basis=tier.basis, usage=usage, months=months, step_w=line.step_w, block_wh=line.block_wh
    )
    return round_half_up(Fraction(tier.rate.of(usage.area)) * quantity)


def _percent_paise(
    *,
    line: PercentLine,
    usage: Usage,
    months: Fraction,
    amounts: Mapping[str, int],
    lines: Mapping[str, AnyLine],
) -> int | None:
    base = sum(amounts[code] for code in line.of)
    if line.monthly:
        percent = line.monthly.get(month_key(usage.on))
        return None if percent is None else round_half_up(Fraction(percent) * base / 100)
    if line.window is not None:
        if usage.energy_wh == 0:
            return 0
        share = Fraction(usage.windows_wh.get(line.window, 0), usage.energy_wh)
        return round_half_up(Fraction(line.tiers[0].percent) * base * share / 100)
    exact = Fraction(0)
    before = 0
    for tier in line.tiers:
        upto = sum(
            part_paise(line=lines[code], upto_wh=tier.upto_wh, usage=usage, months=months, amounts=amounts)
            for code in line.of
        )
        exact += Fraction(tier.percent) * (upto - before) / 100
        before = upto
    return round_half_up(exact)


def _subsidy(
    *,
    line: SubsidyLine,
    usage: Usage,
    months: Fraction,
    amounts: Mapping[str, int],
    lines: Mapping[str, AnyLine],
) -> Fraction:
    full = part_paise(
        line=lines[line.full], upto_wh=line.first_wh, usage=usage, months=months, amounts=amounts
    )
    share = Fraction(sum(amounts[code] for code in line.share))
    if usage.energy_wh > line.first_wh * months:
        share = share * line.first_wh * months / usage.energy_wh
    return max(Fraction(0), full + share - line.pays_paise * months)


def _rebate_paise(*, line: RebateLine, amounts: Mapping[str, int]) -> int:
    off = round_half_up(
        max(Fraction(0), Fraction(line.percent) * sum(amounts[code] for code in line.of) / 100)
    )
    return off if line.most_paise is None else min(off, line.most_paise)
