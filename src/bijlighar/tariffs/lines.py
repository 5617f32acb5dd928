"""The eight kinds of line, read from a category of a book and put into the order of their `of`."""

from collections.abc import Callable
from datetime import date
from string import Formatter

from bijlighar.base.words import Words
from bijlighar.tariffs.explaining import PLACEHOLDERS
from bijlighar.tariffs.model import (
    AnyLine,
    Basis,
    Category,
    ChargeLine,
    Condition,
    DemandLine,
    Head,
    LineKind,
    MinChargeLine,
    PercentLine,
    PercentTier,
    RebateLine,
    SlabLine,
    SlabMode,
    SubsidyLine,
    Tier,
)
from bijlighar.tariffs.parsing import Section, parse_windows

_PLAIN = Words(hi="{steps}", en="{steps}")
_NO_BLOCK = 1_000


def parse_category(section: Section) -> Category:
    """
    Return the category of a section without its days and examples.

    :raises BrokenBook: with the place and what is wrong there.
    """
    windows = parse_windows(section)
    if section.has("windows_cover") and not windows:
        raise section.wrong("'windows_cover' without any time window")
    lines = []
    for position, table in enumerate(section.items("line"), start=1):
        code = table.get("code", position) if isinstance(table, dict) else position
        part = Section(table=table, place=f"{section.place}, line {code}")
        lines.append(_parse_line(part))
        part.finish()
    _check_codes(section=section, lines=lines, windows=frozenset(window.code for window in windows))
    return Category(
        code=section.text("code"),
        name=section.words("name"),
        valid_from=date.min,
        valid_to=date.max,
        windows=windows,
        lines=_in_order(section=section, lines=lines),
        examples=(),
    )


def base_codes(line: AnyLine) -> tuple[str, ...]:
    """Return the codes of the lines that a line is of."""
    match line:
        case PercentLine() | MinChargeLine() | RebateLine():
            return line.of
        case SubsidyLine():
            return (line.full, *line.share)
        case _:
            return ()


def _check_codes(*, section: Section, lines: list[AnyLine], windows: frozenset[str]) -> None:
    by_code: dict[str, AnyLine] = {}
    for line in lines:
        if line.code in by_code:
            raise section.wrong(f"two lines have the code {line.code}")
        by_code[line.code] = line
    for line in lines:
        for code in base_codes(line):
            if code not in by_code:
                raise section.wrong(f"line {line.code} is of {code}, but there is no such line")
        if isinstance(line, SubsidyLine) and not isinstance(by_code[line.full], SlabLine):
            raise section.wrong(f"line {line.code}: 'full' must name a slab line")
        if isinstance(line, PercentLine) and line.window is not None and line.window not in windows:
            raise section.wrong(
                f"line {line.code} has the share of a time window {line.window} that is not there"
            )


def _in_order(*, section: Section, lines: list[AnyLine]) -> tuple[AnyLine, ...]:
    """Return the lines in the book's order, which must name a line only after it stands there."""
    done: set[str] = set()
    waiting = list(lines)
    ordered: list[AnyLine] = []
    while waiting:
        ready = next((line for line in waiting if done.issuperset(base_codes(line))), None)
        if ready is None:
            codes = ", ".join(line.code for line in waiting)
            raise section.wrong(f"the lines {codes} are of each other in a circle")
        waiting.remove(ready)
        ordered.append(ready)
        done.add(ready.code)
    return tuple(ordered)


def _parse_line(section: Section) -> AnyLine:
    kind = section.choice("kind", LineKind)
    return _READERS[kind](section)


def _code(section: Section) -> str:
    code = section.text("code")
    if not code.isidentifier() or code != code.upper() or code in ("NET", "TOTAL", "ROUNDING"):
        raise section.wrong("'code' must be a word in capitals, like ENERGY, and not NET, TOTAL or ROUNDING")
    return code


def _why(section: Section) -> Words:
    why = section.words("why", default=_PLAIN)
    for text in (why.hi, why.en):
        try:
            fields = [(name, form, conversion) for _, name, form, conversion in Formatter().parse(text)]
        except ValueError as problem:
            raise section.wrong(f"'why' has a wrong brace: {problem}") from None
        for name, form, conversion in fields:
            if name is not None and (name not in PLACEHOLDERS or form or conversion):
                known = ", ".join(sorted(PLACEHOLDERS))
                raise section.wrong(f"'why' names {{{name}}}; known are {known}")
    return why


def _when(section: Section) -> Condition:
    if not section.has("when"):
        return Condition()
    part = Section(table=section.take("when"), place=f"{section.place}, when")
    condition = Condition(
        smart=part.flag("smart"),
        use_above_wh=part.wh("units_above"),
        use_upto_wh=part.wh("units_upto"),
        load_above_w=part.whole("load_above_w") if part.has("load_above_w") else None,
        load_upto_w=part.whole("load_upto_w") if part.has("load_upto_w") else None,
    )
    part.finish()
    return condition


def _head(section: Section, default: Head) -> Head:
    head = section.choice("head", Head, default)
    if head is Head.ROUNDING:
        raise section.wrong("'head' cannot be rounding: that line is made by itself")
    return head


def _limit(*, section: Section, value: object, last: bool) -> int | None:
    if value == "rest":
        if not last:
            raise section.wrong('only the last slab may be "rest"')
        return None
    if last:
        raise section.wrong('the last slab must be open: write ["rest", rate]')
    return section.units_wh(value)


def _tiers(section: Section, *, default: Basis) -> tuple[Tier, ...]:
    """Return the tiers of `rate`, or of `table` with an optional basis as third member."""
    if section.has("rate") == section.has("table"):
        raise section.wrong("exactly one of 'rate' and 'table' is needed")
    if section.has("rate"):
        return (Tier(upto_wh=None, rate=section.rate(section.take("rate")), basis=default),)
    return tuple(
        Tier(upto_wh=limit, rate=section.rate(members[0]), basis=_basis(section, members, default))
        for limit, members in _pairs(section, most=3)
    )


def _pairs(section: Section, *, most: int = 2) -> list[tuple[int | None, list[object]]]:
    """Return limits [Wh] and values of the table `[[upto, value], …, ["rest", value]]`, the limits rising."""
    entries = section.items("table")
    pairs: list[tuple[int | None, list[object]]] = []
    before = 0
    for position, entry in enumerate(entries, start=1):
        if not isinstance(entry, list) or not 2 <= len(entry) <= most:
            raise section.wrong("'table' must be a list of [upto, value] that ends with [\"rest\", value]")
        limit = _limit(section=section, value=entry[0], last=position == len(entries))
        if limit is not None and limit <= before:
            raise section.wrong("the limits in 'table' must rise")
        before = limit or 0
        pairs.append((limit, entry[1:]))
    return pairs


def _basis(section: Section, members: list[object], default: Basis) -> Basis:
    if len(members) == 1:
        return default
    try:
        return Basis(str(members[1]))
    except ValueError:
        choices = ", ".join(each.value for each in Basis)
        raise section.wrong(f"{members[1]!r} must be one of {choices}") from None


def _slab(section: Section) -> SlabLine:
    tiers = tuple(
        Tier(upto_wh=limit, rate=section.rate(members[0]), basis=Basis.ENERGY)
        for limit, members in _pairs(section)
    )
    if any(tier.rate.urban < 0 or tier.rate.rural < 0 for tier in tiers):
        raise section.wrong("a slab's rate cannot be negative")
    return SlabLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.ENERGY),
        mode=section.choice("mode", SlabMode),
        tiers=tiers,
    )


def _charge(section: Section) -> ChargeLine:
    kind = section.choice("kind", LineKind)
    default = Basis.CONNECTION if kind is LineKind.FLAT else section.choice("on", Basis)
    monthly = {}
    if section.has("monthly"):
        table = Section(table=section.take("monthly"), place=f"{section.place}, monthly")
        monthly = {table.month(key): table.rate(table.take(key)) for key in table.table}
        if default is not Basis.ENERGY:
            raise section.wrong("'monthly' rates need on = \"energy\"")
    tiers = () if monthly else _tiers(section, default=default)
    if kind is LineKind.FLAT and any(tier.basis is not Basis.CONNECTION for tier in tiers):
        raise section.wrong('a flat charge is per connection; use kind = "per_unit" for another basis')
    return ChargeLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.ENERGY if default is Basis.ENERGY else Head.FIXED),
        kind=kind,
        tiers=tiers,
        monthly=monthly,
        step_w=section.whole("step_w", least=1, default=1),
        block_wh=_block_wh(section, tiers),
    )


def _block_wh(section: Section, tiers: tuple[Tier, ...]) -> int:
    block_wh = section.wh("block_units")
    needed = any(tier.basis is Basis.USE_BLOCK for tier in tiers)
    if needed and not block_wh:
        raise section.wrong("a rate per use_block needs 'block_units'")
    return block_wh or _NO_BLOCK


def _percent(section: Section) -> PercentLine:
    monthly = {}
    tiers: tuple[PercentTier, ...] = ()
    given = [key for key in ("percent", "table", "monthly") if section.has(key)]
    if len(given) != 1:
        raise section.wrong("exactly one of 'percent', 'table' and 'monthly' is needed")
    if section.has("monthly"):
        table = Section(table=section.take("monthly"), place=f"{section.place}, monthly")
        monthly = {table.month(key): table.decimal(table.take(key)) for key in table.table}
    elif section.has("table"):
        tiers = tuple(
            PercentTier(upto_wh=limit, percent=section.decimal(members[0]))
            for limit, members in _pairs(section)
        )
    else:
        tiers = (PercentTier(upto_wh=None, percent=section.number("percent")),)
    window = section.text("share") if section.has("share") else None
    if window is not None and "percent" not in given:
        raise section.wrong("'share' of a time window needs one 'percent'")
    return PercentLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.OTHER if window is None else Head.TOD),
        of=section.codes("of"),
        tiers=tiers,
        monthly=monthly,
        window=window,
    )


def _demand(section: Section) -> DemandLine:
    floor = section.number("floor_percent")
    if not 0 <= floor <= 100:
        raise section.wrong("'floor_percent' must lie between 0 and 100")
    return DemandLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.DEMAND),
        rate=section.rate(section.take("rate")),
        floor_percent=floor,
        step_w=section.whole("step_w", least=1, default=1),
    )


def _min_charge(section: Section) -> MinChargeLine:
    tiers = _tiers(section, default=Basis.CONNECTION)
    return MinChargeLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.MINIMUM),
        of=section.codes("of"),
        tiers=tiers,
        step_w=section.whole("step_w", least=1, default=1),
        block_wh=_block_wh(section, tiers),
    )


def _subsidy(section: Section) -> SubsidyLine:
    first_wh = section.wh("first_units")
    if not first_wh:
        raise section.wrong("'first_units' must be above 0")
    return SubsidyLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.SUBSIDY),
        first_wh=first_wh,
        pays_paise=section.whole("pays"),
        full=section.text("full"),
        share=section.codes("share"),
    )


def _rebate(section: Section) -> RebateLine:
    percent = section.number("percent")
    if not 0 <= percent <= 100:
        raise section.wrong("'percent' of a rebate must lie between 0 and 100")
    return RebateLine(
        code=_code(section),
        name=section.words("name"),
        why=_why(section),
        when=_when(section),
        head=_head(section, Head.REBATE),
        of=section.codes("of"),
        percent=percent,
        most_paise=section.whole("most", least=1) if section.has("most") else None,
    )


_READERS: dict[LineKind, Callable[[Section], AnyLine]] = {
    LineKind.SLAB: _slab,
    LineKind.FLAT: _charge,
    LineKind.PER_UNIT: _charge,
    LineKind.PERCENT: _percent,
    LineKind.DEMAND: _demand,
    LineKind.MIN_CHARGE: _min_charge,
    LineKind.SUBSIDY: _subsidy,
    LineKind.REBATE: _rebate,
}
