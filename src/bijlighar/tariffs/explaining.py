"""
The third back end: why a line has its amount, in terms that can be added up again, and in words.

It walks the book by itself, apart from the other two; a test demands that the terms of each line, added exactly
and rounded once, half up, are the amount of the scalar back end.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.base.money import round_half_up, rupees
from bijlighar.base.words import Words
from bijlighar.tariffs.model import (
    ROUNDING_CODE,
    AnyLine,
    Basis,
    Book,
    ChargeLine,
    DemandLine,
    Explanation,
    MinChargeLine,
    PercentLine,
    Priced,
    RebateLine,
    SlabLine,
    SlabMode,
    Step,
    SubsidyLine,
    Tier,
    Usage,
    month_key,
    months_of,
)
from bijlighar.tariffs.scalar import billing_demand_kw, part_paise

#: What a `why` template may name.
PLACEHOLDERS = frozenset({"steps", "units", "days", "load_kw", "demand_kw", "of"})
MINUS = "−"
_PLUS = " + "
_WHOLE_RUPEE = Words(hi="पूरे रुपये तक", en="to the whole rupee")


def explain(*, book: Book, usage: Usage, priced: Priced) -> tuple[Explanation, ...]:
    """Return the explanation of each line of `priced`, in its order."""
    category = book.category(code=usage.category, on=usage.on)
    months = months_of(day_count=book.day_count, usage=usage)
    lines = {line.code: line for line in category.lines}
    amounts = dict.fromkeys(lines, 0) | {line.code: line.amount_paise for line in priced.lines}
    teller = _Teller(usage=usage, months=months, lines=lines, amounts=amounts)
    explained = []
    for priced_line in priced.lines:
        if priced_line.code == ROUNDING_CODE:
            step = Step(
                quantity=Fraction(1), rate_paise=Fraction(priced_line.amount_paise), text=_WHOLE_RUPEE
            )
            explained.append(Explanation(code=ROUNDING_CODE, steps=(step,), text=_WHOLE_RUPEE))
            continue
        line = lines[priced_line.code]
        steps = teller.steps(line)
        explained.append(Explanation(code=line.code, steps=steps, text=teller.text(line=line, steps=steps)))
    return tuple(explained)


def number(value: Fraction) -> str:
    """
    Return a quantity in at most three decimals, for a person.

    >>> number(Fraction(135_000)), number(Fraction(1400, 31)), number(Fraction(-1, 2))
    ('1,35,000', '45.161', '−0.5')
    """
    thousandths = round_half_up(abs(value) * 1000)
    whole = rupees(thousandths // 1000 * 100).removeprefix("₹").removesuffix(".00")
    part = f"{thousandths % 1000:03d}".rstrip("0")
    sign = MINUS if value < 0 and thousandths else ""
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def _units(energy_wh: int) -> str:
    return number(Fraction(energy_wh, WH_PER_UNIT))


def money(amount_paise: int) -> str:
    """
    Return an amount in rupees with a minus sign of full width.

    >>> money(-6), money(100)
    ('−₹0.06', '₹1.00')
    """
    return rupees(amount_paise).replace("-", MINUS)


def rate_text(rate_paise: Fraction) -> str:
    """
    Return a rate in rupees with as many decimals as it has, at least two and at most six.

    >>> rate_text(Fraction(445)), rate_text(Fraction("28.55")), rate_text(Fraction(-6))
    ('₹4.45', '₹0.2855', '−₹0.06')
    """
    sign = MINUS if rate_paise < 0 else ""
    whole, rest = divmod(abs(rate_paise), 1)
    decimals = f"{int(rest * 10_000):04d}".rstrip("0")
    return f"{sign}{rupees(whole)}{decimals}"


def joined(texts: Sequence[str]) -> str:
    """
    Return terms as a sum; a term that begins with a minus is taken off.

    >>> joined(("100 × ₹2", "50 × ₹3", "− ₹10")), joined(())
    ('100 × ₹2 + 50 × ₹3 − ₹10', '₹0.00')
    """
    if not texts:
        return rupees(0)
    return texts[0] + "".join(
        f" {text}" if text.startswith(MINUS + " ") else _PLUS + text for text in texts[1:]
    )


class _Teller:
    """Tells the terms of the lines of one bill."""

    def __init__(
        self, *, usage: Usage, months: Fraction, lines: Mapping[str, AnyLine], amounts: Mapping[str, int]
    ) -> None:
        self._usage = usage
        self._months = months
        self._lines = lines
        self._amounts = amounts

    def text(self, *, line: AnyLine, steps: Sequence[Step]) -> Words:
        """Return the template of a line filled in, in both languages."""
        demand_kw = (
            billing_demand_kw(line=line, usage=self._usage) if isinstance(line, DemandLine) else Fraction(0)
        )
        names = [self._lines[code].name for code in self._base(line)]
        common = {
            "units": _units(self._usage.energy_wh),
            "days": str(self._usage.days),
            "load_kw": number(Fraction(self._usage.sanctioned_w, 1000)),
            "demand_kw": number(demand_kw),
        }
        hindi = {
            "steps": joined([step.text.hi for step in steps]),
            "of": ", ".join(each.hi for each in names),
        }
        english = {
            "steps": joined([step.text.en for step in steps]),
            "of": ", ".join(each.en for each in names),
        }
        return Words(hi=line.why.hi.format_map(common | hindi), en=line.why.en.format_map(common | english))

    def steps(self, line: AnyLine) -> tuple[Step, ...]:  # noqa: PLR0911 - one return per kind of line
        """Return the terms of a line whose condition is met."""
        match line:
            case SlabLine():
                return self._slab(line)
            case ChargeLine() if line.monthly:
                rate = Fraction(line.monthly[month_key(self._usage.on)].of(self._usage.area))
                return (self._per_unit(quantity=Fraction(self._usage.energy_wh, WH_PER_UNIT), rate=rate),)
            case ChargeLine():
                return (self._charge(tiers=line.tiers, step_w=line.step_w, block_wh=line.block_wh),)
            case PercentLine():
                return self._percent(line)
            case DemandLine():
                kw = billing_demand_kw(line=line, usage=self._usage)
                return (self._per_kw(kw=kw, rate=Fraction(line.rate.of(self._usage.area))),)
            case MinChargeLine():
                return self._min_charge(line)
            case SubsidyLine():
                return self._subsidy(line)
            case RebateLine():
                return self._rebate(line)

    def _base(self, line: AnyLine) -> tuple[str, ...]:
        match line:
            case PercentLine() | MinChargeLine() | RebateLine():
                return line.of
            case SubsidyLine():
                return (line.full, *line.share)
            case _:
                return ()

    def _slab(self, line: SlabLine) -> tuple[Step, ...]:
        energy_wh = Fraction(self._usage.energy_wh)
        lowest = Fraction(0)
        steps = []
        for tier in line.tiers:
            rate = Fraction(tier.rate.of(self._usage.area))
            limit = None if tier.upto_wh is None else tier.upto_wh * self._months
            reached = limit is None or energy_wh <= limit
            if line.mode is SlabMode.WHOLE:
                if reached:
                    return (self._per_unit(quantity=energy_wh / WH_PER_UNIT, rate=rate),)
                continue
            upper = energy_wh if limit is None else min(energy_wh, limit)
            steps.append(self._per_unit(quantity=(upper - lowest) / WH_PER_UNIT, rate=rate))
            lowest = upper
            if reached:
                break
        return tuple(steps)

    def _per_unit(self, *, quantity: Fraction, rate: Fraction) -> Step:
        said = number(quantity)
        price = rate_text(rate)
        text = Words(hi=f"{said} यूनिट × {price}", en=f"{said} units × {price}")
        return Step(quantity=quantity, rate_paise=rate, text=text)

    def _per_kw(self, *, kw: Fraction, rate: Fraction) -> Step:
        text = f"{number(kw)} kW × {rate_text(rate)}"
        return self._monthly(quantity=kw, rate=rate, text=Words(hi=text, en=text))

    def _monthly(self, *, quantity: Fraction, rate: Fraction, text: Words) -> Step:
        if self._months != 1:
            days = self._usage.days
            text = Words(
                hi=f"{text.hi} × {number(self._months)} माह ({days} दिन)",
                en=f"{text.en} × {number(self._months)} month ({days} days)",
            )
        return Step(quantity=quantity * self._months, rate_paise=rate, text=text)

    def _charge(self, *, tiers: tuple[Tier, ...], step_w: int, block_wh: int) -> Step:
        usage = self._usage
        tier = next(
            each for each in tiers if each.upto_wh is None or usage.energy_wh <= each.upto_wh * self._months
        )
        rate = Fraction(tier.rate.of(usage.area))
        price = rate_text(rate)
        match tier.basis:
            case Basis.CONNECTION:
                text = Words(hi=f"{price} प्रति माह", en=f"{price} a month")
                return self._monthly(quantity=Fraction(1), rate=rate, text=text)
            case Basis.ENERGY:
                return self._per_unit(quantity=Fraction(usage.energy_wh, WH_PER_UNIT), rate=rate)
            case Basis.LOAD:
                steps = usage.sanctioned_w // step_w + (usage.sanctioned_w % step_w > 0)
                return self._per_kw(kw=Fraction(steps * step_w, 1000), rate=rate)
            case Basis.USE_BLOCK:
                per_block = block_wh * self._months
                blocks = usage.energy_wh // per_block + (usage.energy_wh % per_block > 0)
                said = number(Fraction(blocks))
                size = _units(block_wh)
                text = Words(
                    hi=f"{said} ब्लॉक (प्रत्येक {size} यूनिट या अंश) × {price}",
                    en=f"{said} blocks (of {size} units or part) × {price}",
                )
                return self._monthly(quantity=Fraction(blocks), rate=rate, text=text)

    def _percent(self, line: PercentLine) -> tuple[Step, ...]:
        base = sum(self._amounts[code] for code in line.of)
        if line.monthly:
            return (
                self._percent_of(percent=Fraction(line.monthly[month_key(self._usage.on)]), base_paise=base),
            )
        if line.window is not None:
            return self._windowed(line=line, base_paise=base)
        steps = []
        before = 0
        for tier in line.tiers:
            upto = sum(self._part(code=code, upto_wh=tier.upto_wh) for code in line.of)
            if upto != before:
                steps.append(self._percent_of(percent=Fraction(tier.percent), base_paise=upto - before))
            before = upto
        return tuple(steps)

    def _windowed(self, *, line: PercentLine, base_paise: int) -> tuple[Step, ...]:
        energy_wh = self._usage.energy_wh
        if energy_wh == 0 or line.window is None:
            return ()
        in_window_wh = self._usage.windows_wh.get(line.window, 0)
        percent = Fraction(line.tiers[0].percent)
        said = number(percent)
        of_all = f"{_units(in_window_wh)}/{_units(energy_wh)}"
        share = f"{money(base_paise)} × {of_all}"
        text = Words(hi=f"{share} यूनिट का {said} %", en=f"{said} % of {share} units")
        return (
            Step(
                quantity=percent / 100 * Fraction(in_window_wh, energy_wh),
                rate_paise=Fraction(base_paise),
                text=text,
            ),
        )

    def _percent_of(self, *, percent: Fraction, base_paise: int) -> Step:
        said = number(percent)
        base = money(base_paise)
        text = Words(hi=f"{base} का {said} %", en=f"{said} % of {base}")
        return Step(quantity=percent / 100, rate_paise=Fraction(base_paise), text=text)

    def _part(self, *, code: str, upto_wh: int | None) -> int:
        line = self._lines[code]
        usage, months = self._usage, self._months
        if upto_wh is None or usage.energy_wh <= upto_wh * months:
            return self._amounts[code]
        return part_paise(line=line, upto_wh=upto_wh, usage=usage, months=months, amounts=self._amounts)

    def _min_charge(self, line: MinChargeLine) -> tuple[Step, ...]:
        least = self._charge(tiers=line.tiers, step_w=line.step_w, block_wh=line.block_wh)
        base = sum(self._amounts[code] for code in line.of)
        if least.quantity * least.rate_paise <= base:
            return ()
        said = money(base)
        less = Words(hi=f"{MINUS} {said}", en=f"{MINUS} {said}")
        return (least, Step(quantity=Fraction(-1), rate_paise=Fraction(base), text=less))

    def _subsidy(self, line: SubsidyLine) -> tuple[Step, ...]:
        usage = self._usage
        full = self._part(code=line.full, upto_wh=line.first_wh)
        shared = sum(self._amounts[code] for code in line.share)
        ratio = (
            min(Fraction(1), line.first_wh * self._months / usage.energy_wh)
            if usage.energy_wh
            else Fraction(1)
        )
        paid = line.pays_paise * self._months
        if full + shared * ratio <= paid:
            return ()
        first = number(line.first_wh * self._months / WH_PER_UNIT)
        sum_text = money(full)
        terms = [
            Step(
                quantity=Fraction(-1),
                rate_paise=Fraction(full),
                text=Words(
                    hi=f"पहली {first} यूनिट का ऊर्जा शुल्क {sum_text}",
                    en=f"energy of the first {first} units {sum_text}",
                ),
            )
        ]
        if shared:
            said = money(shared)
            part = "" if ratio == 1 else f" × {first}/{_units(usage.energy_wh)}"
            terms.append(
                Step(
                    quantity=-ratio,
                    rate_paise=Fraction(shared),
                    text=Words(hi=f"अन्य प्रभार {said}{part}", en=f"other charges {said}{part}"),
                )
            )
        own = money(round_half_up(paid))
        text = Words(hi=f"{MINUS} आपका अंश {own}", en=f"{MINUS} your part {own}")
        terms.append(Step(quantity=Fraction(1), rate_paise=paid, text=text))
        return tuple(terms)

    def _rebate(self, line: RebateLine) -> tuple[Step, ...]:
        base = sum(self._amounts[code] for code in line.of)
        if base <= 0:
            return ()
        step = self._percent_of(percent=-Fraction(line.percent), base_paise=base)
        if line.most_paise is None or -step.quantity * step.rate_paise <= line.most_paise:
            return (step,)
        most = money(line.most_paise)
        return (
            Step(
                quantity=Fraction(-1),
                rate_paise=Fraction(line.most_paise),
                text=Words(hi=f"अधिकतम {most}", en=f"at most {most}"),
            ),
        )
