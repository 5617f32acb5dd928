"""
The values of this room: a tariff book, what is priced, and the priced lines.

Amounts are integer paise, energy integer Wh, power integer W; rates are `Decimal` paise and percents `Decimal`.
A limit of a slab or tier is given for one month and is scaled by the months of the usage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.tariffs.errors import NoTariff

ROUNDING_CODE = "ROUNDING"
HALF_HOURS_PER_DAY = 48


class Area(StrEnum):
    """Where a place of supply lies; rates may differ."""

    URBAN = "urban"
    RURAL = "rural"


class Head(StrEnum):
    """What an amount is for the ledger, which keeps these apart."""

    ENERGY = "energy"
    FIXED = "fixed"
    DEMAND = "demand"
    TOD = "tod"
    FUEL = "fuel"
    MINIMUM = "minimum"
    REBATE = "rebate"
    OTHER = "other"
    DUTY = "duty"
    SUBSIDY = "subsidy"
    ROUNDING = "rounding"


class LineKind(StrEnum):
    """The closed set of what a line of a tariff can be."""

    SLAB = "slab"
    FLAT = "flat"
    PER_UNIT = "per_unit"
    PERCENT = "percent"
    DEMAND = "demand"
    MIN_CHARGE = "min_charge"
    SUBSIDY = "subsidy"
    REBATE = "rebate"


class SlabMode(StrEnum):
    """TELESCOPIC: each slab's units at its own rate; WHOLE: all units at the rate of the slab they reach."""

    TELESCOPIC = "telescopic"
    WHOLE = "whole"


class Basis(StrEnum):
    """
    What a rate is multiplied by.

    CONNECTION: one, per month. ENERGY: each unit used. LOAD: each kW of the sanctioned load, per month.
    USE_BLOCK: each block of load derived from the use ("every 15 units or part are 0.1 kW"), per month.
    """

    CONNECTION = "connection"
    ENERGY = "energy"
    LOAD = "load"
    USE_BLOCK = "use_block"


class DayCount(StrEnum):
    """How many months a usage is: its days by the days of its calendar month, or by 30."""

    ACTUAL = "actual/actual"
    THIRTY = "actual/30"


class BillRounding(StrEnum):
    """What the sum of the lines is rounded to; the difference is a line of its own."""

    RUPEE = "half_up_rupee"
    PAISA = "half_up_paisa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate [paise] in urban and rural areas."""

    urban: Decimal
    rural: Decimal

    def of(self, area: Area) -> Decimal:
        """Return the rate in `area`."""
        return self.urban if area is Area.URBAN else self.rural


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A rate for usage up to `upto_wh` a month (None: no limit), and what it is multiplied by."""

    upto_wh: int | None
    rate: Rate
    basis: Basis = Basis.CONNECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentTier:
    """A percentage for the part of the base that falls on units up to `upto_wh` a month (None: no limit)."""

    upto_wh: int | None
    percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """When a line applies; an absent part is not asked. Use is compared as a month's use, load in W."""

    smart: bool | None = None
    use_above_wh: int | None = None
    use_upto_wh: int | None = None
    load_above_w: int | None = None
    load_upto_w: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What every line has: its code, printed name, explanation template, condition and ledger head."""

    code: str
    name: Words
    why: Words
    when: Condition
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class SlabLine(Line):
    """An energy charge by slabs of a month's use."""

    mode: SlabMode
    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine(Line):
    """
    A charge per month (flat) or per unit, kW or block (per_unit); the tier is chosen by the month's use.

    `monthly` replaces the tiers by a rate per unit [paise] for single months; a month not named has no charge.
    """

    kind: LineKind
    tiers: tuple[Tier, ...]
    monthly: Mapping[str, Rate]
    step_w: int
    block_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentLine(Line):
    """
    A percentage of the sum of other lines, or of their parts by units, or of their share in one time window.

    `monthly` replaces the tiers by a percentage for single months; a month not named has no charge.
    """

    of: tuple[str, ...]
    tiers: tuple[PercentTier, ...]
    monthly: Mapping[str, Decimal]
    window: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandLine(Line):
    """A charge per kW of billing demand: the recorded one, but at least `floor_percent` of the sanctioned load."""

    rate: Rate
    floor_percent: Decimal
    step_w: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MinChargeLine(Line):
    """What is missing in the sum of other lines to a minimum per month."""

    of: tuple[str, ...]
    tiers: tuple[Tier, ...]
    step_w: int
    block_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsidyLine(Line):
    """
    What the State pays so that the first `first_wh` of a month cost the consumer `pays_paise` a month.

    It covers the part of the slab line `full` on those units and their share of the lines `share`.
    """

    first_wh: int
    pays_paise: int
    full: str
    share: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RebateLine(Line):
    """A percentage off the sum of other lines, at most `most_paise` a bill."""

    of: tuple[str, ...]
    percent: Decimal
    most_paise: int | None


AnyLine = SlabLine | ChargeLine | PercentLine | DemandLine | MinChargeLine | SubsidyLine | RebateLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time of day that is counted apart: half hours of the IST day [0, 48)."""

    code: str
    name: Words
    half_hours: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A tariff category with its windows and its lines, sorted so that a line stands after those it is of."""

    code: str
    name: Words
    valid_from: date
    valid_to: date
    windows: tuple[Window, ...]
    lines: tuple[AnyLine, ...]
    examples: tuple["Example", ...]
    vector_wh_max: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    What is priced: energy, demand and windows of one account and period, and the facts of the account.

    `smart`: the meter communicates, so that time of day applies; `windows_wh`: the energy by window code, which
    sums to `energy_wh` where the windows cover the day, and may be empty when nothing by time is known.
    """

    category: str
    area: Area
    on: date
    days: int
    month_days: int
    energy_wh: int
    sanctioned_w: int
    smart: bool = False
    demand_w: int | None = None
    windows_wh: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A worked bill that the book must reproduce: expected paise by line code, and NET or TOTAL."""

    usage: Usage
    expect: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One tariff order, named in `order`; `digest` (SHA-256 of its text) is its version."""

    id: str
    name: Words
    order: Words
    valid_from: date
    valid_to: date
    day_count: DayCount
    bill_rounding: BillRounding
    categories: tuple[Category, ...]
    digest: str

    def category(self, *, code: str, on: date) -> Category:
        """
        Return the category valid on a day.

        :raises NoTariff: if the book has none.
        """
        for category in self.categories:
            if category.code == code and category.valid_from <= on <= category.valid_to:
                return category
        raise NoTariff(f"{self.id} has no category {code} on {on}; it has {self._categories_text()}")

    def _categories_text(self) -> str:
        texts = (f"{each.code} ({each.valid_from} to {each.valid_to})" for each in self.categories)
        return ", ".join(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The tariff books in use."""

    books: tuple[Book, ...]

    def find(self, *, code: str, on: date) -> Book:
        """
        Return the book that has the category on a day.

        :raises NoTariff: if none has.
        """
        for book in self.books:
            for category in book.categories:
                if category.code == code and category.valid_from <= on <= category.valid_to:
                    return book
        raise NoTariff(f"no tariff book has category {code} on {on}; add one to the books of the home")

    def by_digest(self, *, digest: str) -> Book:
        """
        Return the very book a bill was made with.

        :raises NoTariff: if it is not among the books in use.
        """
        for book in self.books:
            if book.digest == digest:
                return book
        raise NoTariff(
            f"the book with the digest {digest[:12]}… is not among the books of the home; put it back"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedLine:
    """One line of a bill."""

    code: str
    name: Words
    head: Head
    amount_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """The lines of a bill, the rounding line last; `net_paise` is the sum before it, `total_paise` with it."""

    lines: tuple[PricedLine, ...]
    net_paise: int
    total_paise: int

    def amount_paise(self, code: str) -> int:
        """Return the amount of the line `code` [paise], 0 if the bill has none."""
        return sum(line.amount_paise for line in self.lines if line.code == code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One term of an explanation: `quantity` times `rate_paise`, exact, and how it is said."""

    quantity: Fraction
    rate_paise: Fraction
    text: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a line has its amount: terms whose sum, rounded once, half up, is the amount; and the words."""

    code: str
    steps: tuple[Step, ...]
    text: Words


def months_of(*, day_count: DayCount, usage: Usage) -> Fraction:
    """Return how many months the usage is, exactly."""
    return Fraction(usage.days, usage.month_days if day_count is DayCount.ACTUAL else 30)


def month_key(on: date) -> str:
    """
    Return the key of a day in a table by month.

    >>> month_key(date(2025, 5, 31))
    '2025-05'
    """
    return str(Month.of(on))
