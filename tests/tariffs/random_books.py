"""Random books and usages for the property tests."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import strategies as st

from bijlighar.tariffs.bounds import vector_wh_max
from bijlighar.tariffs.lines import parse_category
from bijlighar.tariffs.model import Area, Book, Usage
from bijlighar.tariffs.parsing import parse_book

APRIL = date(2025, 4, 1)
MONTHS = (date(2025, 4, 1), date(2025, 5, 1), date(2025, 10, 1), date(2026, 2, 1))


def usage(**changes: object) -> Usage:
    """A month of a domestic consumer, changed."""
    plain = Usage(
        category="LV-1.2",
        area=Area.URBAN,
        on=APRIL,
        days=30,
        month_days=30,
        energy_wh=100_000,
        sanctioned_w=1_000,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def read_without_examples(text: str) -> Book:
    """A random book, whose worked example is not meant to be right."""
    book = parse_book(text=text, parse_lines=parse_category)
    return replace(
        book,
        categories=tuple(
            replace(category, vector_wh_max=vector_wh_max(category.lines)) for category in book.categories
        ),
    )


@st.composite
def rates(draw: st.DrawFn, *, least: int = 0, most: int = 30_000) -> str:
    """A rate in TOML: an integer, a decimal in quotes, or one for each area."""

    def one() -> str:
        number = Decimal(draw(st.integers(least * 100, most * 100))) / 100
        return str(int(number)) if number == int(number) else f'"{number}"'

    return f"{{ urban = {one()}, rural = {one()} }}" if draw(st.booleans()) else one()


@st.composite
def limits(draw: st.DrawFn) -> list[str]:
    """Rising limits of slabs, the last one open."""
    closed = draw(st.lists(st.integers(1, 2_000), max_size=4, unique=True))
    return [*(str(limit) for limit in sorted(closed)), '"rest"']


@st.composite
def tables(draw: st.DrawFn, *, bases: bool = False, least: int = 0, most: int = 30_000) -> str:
    rows = []
    for limit in draw(limits()):
        basis = f', "{draw(st.sampled_from(["connection", "energy", "load", "use_block"]))}"' if bases else ""
        rows.append(f"[{limit}, {draw(rates(least=least, most=most))}{basis}]")
    return f"[{', '.join(rows)}]"


@st.composite
def conditions(draw: st.DrawFn) -> str:
    parts = []
    if draw(st.booleans()):
        parts.append(f"smart = {draw(st.sampled_from(['true', 'false']))}")
    if draw(st.booleans()):
        parts.append(f"units_upto = {draw(st.integers(0, 900))}")
    if draw(st.booleans()):
        parts.append(f"units_above = {draw(st.integers(0, 300))}")
    if draw(st.booleans()):
        parts.append(f"load_above_w = {draw(st.integers(0, 9_000))}")
    return f"when = {{ {', '.join(parts)} }}" if parts and draw(st.integers(0, 3)) == 0 else ""


def slab_bodies() -> st.SearchStrategy[str]:
    modes = st.sampled_from(["telescopic", "whole"])
    return st.builds('kind = "slab"\nmode = "{}"\ntable = {}'.format, modes, tables())


def charge_bodies() -> st.SearchStrategy[str]:
    """Flat, per_unit and demand lines."""
    steps = st.sampled_from([1, 100, 1000])
    blocks = st.sampled_from(["1", "15", '"0.5"'])
    floors = st.sampled_from(["0", "90", '"87.5"', "100"])
    per_unit = 'kind = "per_unit"\non = "load"\ntable = {}\nstep_w = {}\nblock_units = {}'
    return st.one_of(
        st.builds('kind = "flat"\ntable = {}'.format, tables()),
        st.builds(per_unit.format, tables(bases=True), steps, blocks),
        st.builds(
            'kind = "per_unit"\non = "energy"\nmonthly = {{ 2025-05 = {} }}'.format, rates(least=-90, most=90)
        ),
        st.builds(
            'kind = "demand"\nrate = {}\nfloor_percent = {}\nstep_w = {}'.format, rates(), floors, steps
        ),
    )


def percents() -> st.SearchStrategy[str]:
    return st.integers(-2_000, 2_000).map(lambda eighths: f'"{Decimal(eighths) / 8}"')


@st.composite
def percent_tables(draw: st.DrawFn) -> str:
    return "[" + ", ".join(f"[{limit}, {draw(percents())}]" for limit in draw(limits())) + "]"


def derived_bodies(before: list[str]) -> st.SearchStrategy[str]:
    """Lines that are of the lines before them."""
    codes = st.lists(st.sampled_from(before), min_size=1, unique=True).map(
        lambda some: str(some).replace("'", '"')
    )
    most = st.integers(1, 90_000).map("\nmost = {}".format) | st.just("")
    subsidy = 'kind = "subsidy"\nfull = "ENERGY"\nshare = {}\nfirst_units = {}\npays = {}'
    return st.one_of(
        st.builds('kind = "percent"\nof = {}\npercent = {}'.format, codes, percents()),
        st.builds('kind = "percent"\nof = {}\ntable = {}'.format, codes, percent_tables()),
        st.builds('kind = "percent"\nof = {}\nmonthly = {{ 2025-05 = {} }}'.format, codes, percents()),
        st.builds('kind = "percent"\nof = {}\npercent = {}\nshare = "DAY"'.format, codes, percents()),
        st.builds('kind = "min_charge"\nof = {}\ntable = {}'.format, codes, tables()),
        st.builds(subsidy.format, codes, st.integers(1, 300), st.integers(0, 50_000)),
        st.builds('kind = "rebate"\nof = {}\npercent = {}{}'.format, codes, st.integers(0, 100), most),
    )


@st.composite
def books(draw: st.DrawFn) -> Book:
    """A random book with one category whose first line is a slab line ENERGY."""
    name = 'name = { hi = "ऊर्जा", en = "Line" }'
    days = draw(st.sampled_from(["actual/actual", "actual/30"]))
    rounding = draw(st.sampled_from(["half_up_rupee", "half_up_paisa"]))
    lines = [f'code = "ENERGY"\n{name}\n{draw(slab_bodies())}']
    codes = ["ENERGY"]
    for position in range(draw(st.integers(0, 6))):
        code = f"L{position}"
        body = draw(st.one_of(slab_bodies(), charge_bodies(), derived_bodies(codes), derived_bodies(codes)))
        lines.append(f'code = "{code}"\n{name}\n{body}\n{draw(conditions())}')
        codes.append(code)
    text = f"""
[book]
id = "RANDOM"
{name}
order = "none"
valid = [2025-04-01, 2026-03-31]
days = "{days}"
bill_rounding = "{rounding}"
[[category]]
code = "C"
{name}
windows_cover = "part"
[[category.window]]
code = "DAY"
{name}
hours = ["09:00", "17:00"]
[[category.example]]
area = "urban"
load_w = 1
units = 1
expect = {{ NET = "0.00" }}
""" + "".join(f"[[category.line]]\n{line}\n" for line in lines)
    return read_without_examples(text)


@st.composite
def usages(draw: st.DrawFn, *, on: date, most_wh: int = 5_000_000) -> Usage:
    """A usage that is often at the edges of units and slabs."""
    energy_wh = draw(
        st.one_of(
            st.just(0),
            st.integers(0, 3_000).map(lambda units: units * 1_000),
            st.integers(0, most_wh),
            st.integers(0, 10**12),
        )
    )
    return Usage(
        category="C",
        area=draw(st.sampled_from(Area)),
        on=on,
        days=draw(st.one_of(st.just(30), st.integers(1, 70))),
        month_days=draw(st.sampled_from([28, 30, 31])),
        energy_wh=energy_wh,
        sanctioned_w=draw(st.one_of(st.integers(0, 30_000), st.integers(0, 10**8))),
        smart=draw(st.booleans()),
        demand_w=draw(st.none() | st.integers(0, 40_000)),
        windows_wh={"DAY": draw(st.integers(0, energy_wh))},
    )
