"""The frozen values of bills: what was measured, what was billed, what was parked and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.tariffs.model import Book, Explanation, Priced, Usage

HALF_HOURS_PER_DAY = 48


class BillKind(StrEnum):
    """BILL is a month's bill; CORRECTION holds the differences against it and the corrections before."""

    BILL = "bill"
    CORRECTION = "correction"


class ItemState(StrEnum):
    """What became of an account in a month's run."""

    BILLED = "billed"
    PARKED = "parked"
    EXCLUDED = "excluded"


class Reason(StrEnum):
    """Why an account was parked or excluded."""

    NO_METER = "no_meter"
    COVERED = "covered"
    FACTS_UNKNOWN = "facts_unknown"
    NO_TARIFF = "no_tariff"
    UNPRICEABLE = "unpriceable"
    INTERVALS_MISSING = "intervals_missing"
    NOT_VALIDATED = "not_validated"
    NO_START_READING = "no_start_reading"
    NO_END_READING = "no_end_reading"
    NO_INITIAL_READING = "no_initial_reading"
    NO_FINAL_READING = "no_final_reading"
    REGISTER_FELL = "register_fell"
    NO_DAYS = "no_days"
    IMPLAUSIBLE = "implausible"


REASON_WORDS: Mapping[Reason, Words] = MappingProxyType(
    {
        Reason.NO_METER: Words(hi="इस माह कोई मीटर नहीं लगा था", en="no meter hung in this month"),
        Reason.COVERED: Words(hi="बाद के बिल में शामिल है", en="a later bill covers this month"),
        Reason.FACTS_UNKNOWN: Words(
            hi="टैरिफ श्रेणी, क्षेत्र या स्वीकृत लोड दर्ज नहीं है",
            en="category, area or sanctioned load is not registered",
        ),
        Reason.NO_TARIFF: Words(hi="इस श्रेणी की टैरिफ पुस्तिका नहीं है", en="no tariff book has this category"),
        Reason.UNPRICEABLE: Words(hi="खपत से बिल नहीं बन सकता", en="the usage cannot be priced"),
        Reason.INTERVALS_MISSING: Words(hi="मीटर की रीडिंग अधूरी है", en="readings of the meter are missing"),
        Reason.NOT_VALIDATED: Words(hi="रीडिंग की जाँच शेष है", en="readings are not validated yet"),
        Reason.NO_START_READING: Words(
            hi="माह के आरंभ के पास हाथ से ली गई रीडिंग नहीं है", en="no hand reading near the month's start"
        ),
        Reason.NO_END_READING: Words(
            hi="माह के अंत के पास हाथ से ली गई रीडिंग नहीं है", en="no hand reading near the month's end"
        ),
        Reason.NO_INITIAL_READING: Words(
            hi="नए मीटर की प्रारंभिक रीडिंग नहीं है", en="the new meter's initial reading is missing"
        ),
        Reason.NO_FINAL_READING: Words(
            hi="पुराने मीटर की अंतिम रीडिंग नहीं है", en="the old meter's final reading is missing"
        ),
        Reason.REGISTER_FELL: Words(hi="रीडिंग पहले से कम है", en="the register fell"),
        Reason.NO_DAYS: Words(hi="बिल अवधि में कोई दिन नहीं है", en="the billed period has no day"),
        Reason.IMPLAUSIBLE: Words(
            hi="खपत पिछले बिल की तुलना में असामान्य है, कृपया जाँचें",
            en="the consumption is out of proportion to the bill before; look at it and release it",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Why an account cannot be billed now; `detail` names the meter, the day or the count."""

    reason: Reason
    detail: str = ""

    @property
    def text(self) -> str:
        """Return the reason in English, for logs and the command line."""
        words = REASON_WORDS[self.reason].en
        return f"{words} ({self.detail})" if self.detail else words


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """The facts of an account that its bill rests on, as they held at the end of the month."""

    number: str
    name: str
    category: str
    area: str
    sanctioned_w: int
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an account is supplied, as printed on its bill; empty where unknown."""

    usage_point: str
    office: str
    office_name: Words
    transformer: str
    feeder: str
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """
    What one meter of the account measured in the period.

    method: "intervals" of a communicating meter, or "registers" of a meter read by hand.
    start_wh, end_wh: its register [Wh] at both ends, as the meter counts it, None where it was not read.
    energy_wh: the energy, with the multiplier.
    half_hours_wh: for "intervals" the energy by half hour of the IST day.
    estimated, estimated_wh: how many intervals were estimated, and their energy.
    """

    meter: str
    multiplier: int
    method: str
    from_at: datetime
    to_at: datetime
    start_wh: int | None
    end_wh: int | None
    energy_wh: int
    half_hours_wh: tuple[int, ...]
    intervals: int
    estimated: int
    estimated_wh: int
    demand_w: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Determinants:
    """
    What was measured for one account and month: the segments of its meters, summed before any slab.

    period_from, period_to: the IST days billed, the last one excluded.
    smart: a communicating meter measured, so that time of day applies.
    """

    account: str
    month: Month
    period_from: date
    period_to: date
    segments: tuple[Segment, ...]
    smart: bool

    @property
    def energy_wh(self) -> int:
        """Return the energy of all segments [Wh]."""
        return sum(segment.energy_wh for segment in self.segments)

    @property
    def days(self) -> int:
        """Return the number of days billed."""
        return (self.period_to - self.period_from).days

    @property
    def half_hours_wh(self) -> tuple[int, ...]:
        """Return the energy by half hour of the day [Wh], as far as it is known."""
        sums = [0] * HALF_HOURS_PER_DAY
        for segment in self.segments:
            for half_hour, energy_wh in enumerate(segment.half_hours_wh):
                sums[half_hour] += energy_wh
        return tuple(sums)

    @property
    def demand_w(self) -> int | None:
        """Return the highest recorded demand [W], None if none was recorded."""
        return max(
            (segment.demand_w for segment in self.segments if segment.demand_w is not None), default=None
        )

    @property
    def estimated(self) -> int:
        """Return how many intervals were estimated."""
        return sum(segment.estimated for segment in self.segments)

    @property
    def estimated_wh(self) -> int:
        """Return the energy of the estimated intervals [Wh]."""
        return sum(segment.estimated_wh for segment in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One line of a bill with its explanation; `head` is the ledger's."""

    code: str
    name: Words
    head: str
    amount_paise: int
    why: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A month priced: the usage, the book, the lines and why."""

    usage: Usage
    book: Book
    priced: Priced
    explained: tuple[Explanation, ...]

    @property
    def lines(self) -> tuple[BillLine, ...]:
        """Return the lines as they stand on a bill."""
        return tuple(
            BillLine(
                code=line.code,
                name=line.name,
                head=line.head.value,
                amount_paise=line.amount_paise,
                why=why.text,
            )
            for line, why in zip(self.priced.lines, self.explained, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """
    A bill as issued; it is never changed.

    of: for a correction, the number of the bill that it corrects.
    previous_paise: what the account owed at issue [paise], below zero what it had paid ahead.
    token: names the bill in the link that its consumer gets; nobody can guess it.
    content: the canonical JSON of all that the bill rests on, enough to compute it again offline.
    """

    number: str
    kind: BillKind
    account: str
    month: Month
    seq: int
    of: str | None
    issued_on: date
    due_on: date
    energy_wh: int
    estimated: int
    lines: tuple[BillLine, ...]
    total_paise: int
    previous_paise: int
    book_id: str
    book_digest: str
    token: str
    content: str

    @property
    def payable_paise(self) -> int:
        """Return what is to be paid in all [paise]: this bill and what was owed before."""
        return self.previous_paise + self.total_paise


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What became of one account in one month's run."""

    month: Month
    account: str
    state: ItemState
    reason: Reason | None
    detail: str
    number: str | None
    checked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A month's run: billed + parked + excluded = eligible, or accounts are still to come (`pending`)."""

    month: Month
    eligible: int
    billed: int
    parked: int
    excluded: int
    pending: int
    total_paise: int
    energy_wh: int
    reasons: Mapping[Reason, int]

    @property
    def complete(self) -> bool:
        """Return whether every eligible account is billed, parked or excluded."""
        return self.billed + self.parked + self.excluded == self.eligible


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausibility:
    """A month's use above `least_wh` and more than `times` that of the bill before, per day, waits for a person."""

    times: int = 5
    least_wh: int = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    """Who is paid, as printed on a bill."""

    name: Words
    upi_id: str
