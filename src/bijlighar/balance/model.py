"""The balance of a transformer or a feeder."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.balance.atc import DOUBT_NAMES as DOUBT_NAMES
from bijlighar.balance.atc import AtcLoss as AtcLoss
from bijlighar.balance.atc import Doubt as Doubt
from bijlighar.balance.cases import CASE_EVENT_NAMES as CASE_EVENT_NAMES
from bijlighar.balance.cases import CASE_FINDING_NAMES as CASE_FINDING_NAMES
from bijlighar.balance.cases import CASE_ORIGIN_NAMES as CASE_ORIGIN_NAMES
from bijlighar.balance.cases import CASE_STATE_NAMES as CASE_STATE_NAMES
from bijlighar.balance.cases import CASE_STEPS as CASE_STEPS
from bijlighar.balance.cases import THEFT_KIND_NAMES as THEFT_KIND_NAMES
from bijlighar.balance.cases import UNDER_WAY as UNDER_WAY
from bijlighar.balance.cases import Assessment as Assessment
from bijlighar.balance.cases import Case as Case
from bijlighar.balance.cases import CaseEvent as CaseEvent
from bijlighar.balance.cases import CaseFinding as CaseFinding
from bijlighar.balance.cases import CaseOrigin as CaseOrigin
from bijlighar.balance.cases import CaseState as CaseState
from bijlighar.balance.cases import CaseStep as CaseStep
from bijlighar.balance.cases import RankedSuspect as RankedSuspect
from bijlighar.balance.cases import TheftKind as TheftKind
from bijlighar.balance.flat_rate import FLAT_RATE_NAMES as FLAT_RATE_NAMES
from bijlighar.balance.flat_rate import FlatRate as FlatRate
from bijlighar.balance.flat_rate import FlatRateKind as FlatRateKind
from bijlighar.base.period import Month
from bijlighar.base.words import Words

#: Below this share of intervals read [%] a loss says little: it is shown with a flag and ranked after the others.
COVERAGE_PCT_MIN = 95
#: Above this share of the consumption that has no meter [%], likewise.
FLAT_RATE_PCT_MAX = 25


class Level(StrEnum):
    """What is balanced."""

    TRANSFORMER = "transformer"
    FEEDER = "feeder"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBalance:
    """
    One closed IST day (`day`, a day number) of a transformer or a feeder.

    input_wh: what its meters counted, None where none hung.
    input_complete: whether they hung all day and every interval is known, measured or estimated.
    metered_wh: what the consumers' intervals sum to, of which so many were expected, are known and were read.
    transformer_loss_wh: the transformer's own loss, None where it is not inside the balance or not known.
    """

    level: Level
    code: str
    day: int
    input_wh: int | None
    input_complete: bool
    metered_wh: int
    meters: int
    expected: int
    known: int
    read: int
    transformer_loss_wh: int | None = None


class Verdict(StrEnum):
    """What may be said of a transformer's loss."""

    EXPLAINED = "explained"
    SUSPECTED = "suspected"
    TOO_LITTLE_READ = "too_little_read"
    TOO_SHORT = "too_short"
    RATIO = "ratio"
    INDEXING = "indexing"
    SWITCHED = "switched"


VERDICT_NAMES: Mapping[Verdict, Words] = MappingProxyType(
    {
        Verdict.EXPLAINED: Words(
            hi="तकनीकी हानि और माप की त्रुटि से समझ आता है",
            en="explained by technical loss and errors of measurement",
        ),
        Verdict.SUSPECTED: Words(hi="चोरी का संदेह", en="theft suspected"),
        Verdict.TOO_LITTLE_READ: Words(hi="निष्कर्ष के लिए रीडिंग बहुत कम", en="too little read for a verdict"),
        Verdict.TOO_SHORT: Words(hi="निष्कर्ष के लिए दिन बहुत कम", en="too few days for a verdict"),
        Verdict.RATIO: Words(
            hi="CT अनुपात ग़लत लगता है; पहले उसे जाँचें", en="a CT ratio seems wrong; check that first"
        ),
        Verdict.INDEXING: Words(
            hi="कोई मीटर ग़लत ट्रांसफॉर्मर पर दर्ज लगता है",
            en="a meter seems to be registered at another transformer",
        ),
        Verdict.SWITCHED: Words(
            hi="लाइन का एक हिस्सा दूसरे ट्रांसफॉर्मर से जुड़ा लगता है",
            en="a part of the line seems to hang at another transformer",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A meter that missing energy points to: `score` ranks (0 to 1, no probability), `evidence` says why."""

    meter: str
    score: float
    evidence: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Misplaced:
    """A meter that hangs elsewhere than registered: `found` is the transformer or phase where it seems to hang."""

    meter: str
    registered: str
    found: str | None
    evidence: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """
    The load of a transformer over a range.

    peak_va: the heaviest interval [VA]; peak_pct, mean_pct: in per cent of the rating, None where it is not known.
    hours_over_rating: how long the load was above the rating [h], None likewise.
    power_factor: energy over apparent energy, None where the latter was not measured.
    unbalance_pct: how far the heaviest phase's energy lies above the three's mean, None where phases are unknown.
    """

    peak_va: int
    peak_pct: float | None
    mean_pct: float | None
    hours_over_rating: float | None
    power_factor: float | None
    unbalance_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """
    The balance of a transformer or a feeder over a range of days; what is not known is None.

    consumers_wh: metered_wh + assessed_wh, on the days on which the input is known, as are input_wh and loss_wh.
    loss_pct: loss over input; coverage_pct: intervals read over intervals expected; both in per cent.
    verdict and what follows it are known of an examined transformer only; `suspects` stand worst first.
    flat_rate_wh: the part of assessed_wh that has no meter at all.
    """

    level: Level
    code: str
    days: int
    days_without_input: int
    input_wh: int | None
    consumers_wh: int
    metered_wh: int
    assessed_wh: int
    loss_wh: int | None
    loss_pct: float | None
    technical_loss_wh: int | None
    non_technical_loss_wh: int | None
    non_technical_loss_wh_interval: tuple[int, int] | None
    coverage_pct: float | None
    theft_suspected: bool
    meters: int
    meters_not_assessed: int
    verdict: Verdict | None = None
    suspects: tuple[Suspect, ...] = ()
    misplaced: tuple[Misplaced, ...] = ()
    loading: Loading | None = None
    flat_rate_wh: int = 0

    @property
    def is_certain(self) -> bool:
        """Return whether enough was read to rank the loss: the input is known, and so are most consumers."""
        return (
            self.loss_wh is not None
            and self.coverage_pct is not None
            and self.coverage_pct >= COVERAGE_PCT_MIN
            and 100 * self.flat_rate_wh <= FLAT_RATE_PCT_MAX * self.consumers_wh
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLoss:
    """The balance of one closed IST day; what is not known is None."""

    day: date
    input_wh: int | None
    consumers_wh: int
    loss_wh: int | None
    loss_pct: float | None
    coverage_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBalance:
    """
    The balance of one interval from `start` on: import less export of what went in and of what the consumers took.

    input_wh: None where the input is not wholly known; missing: of how many consumers nothing is known.
    """

    start: datetime
    input_wh: int | None
    consumers_wh: int
    missing: int

    @property
    def loss_wh(self) -> int | None:
        """Return what went in and did not come out [Wh], None where the input is not known."""
        return None if self.input_wh is None else self.input_wh - self.consumers_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthLoss:
    """The closed days of one calendar month, `days` of them, and their loss."""

    month: Month
    days: int
    loss: Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class GapAtTime:
    """
    The mean balance of one half-hour of the day, which begins `minute` minutes after midnight IST.

    days: on how many days the input of that half-hour was known; on these the energies are means [Wh].
    coverage_pct: which share of the consumers' intervals of that half-hour was really read on them.
    """

    minute: int
    days: int
    input_wh: int | None
    consumers_wh: int | None
    coverage_pct: float | None

    @property
    def gap_wh(self) -> int | None:
        """Return what went in and did not come out [Wh], None where no input was known."""
        return (
            None if self.input_wh is None or self.consumers_wh is None else self.input_wh - self.consumers_wh
        )

    @property
    def is_certain(self) -> bool:
        """Return whether enough was read to believe the gap."""
        return self.coverage_pct is not None and self.coverage_pct >= COVERAGE_PCT_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseShare:
    """The consumers of one phase of a transformer: meters and what they drew [Wh] in a range of days."""

    phase: str | None
    meters: int
    energy_wh: int
    share_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    The newest interval of which anything is known: the mean loads into a transformer and out to its consumers [W].

    known: of how many of its consumers' `meters` the interval is known.
    """

    start: datetime
    minutes: int
    input_w: int | None
    consumers_w: int
    known: int
    meters: int
