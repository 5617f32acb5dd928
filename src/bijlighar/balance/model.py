"""The balance of a transformer or a feeder."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

#: Below this share of intervals read [%] a loss says little: it is shown with a flag and ranked after the others.
COVERAGE_PCT_MIN = 95


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """
    The balance of a transformer or a feeder over a range of days; what is not known is None.

    consumers_wh: metered_wh + assessed_wh, on the days on which the input is known, as are input_wh and loss_wh.
    loss_pct: loss over input; coverage_pct: intervals read over intervals expected; both in per cent.
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

    @property
    def is_certain(self) -> bool:
        """Return whether enough was read to rank the loss: the input is known, and so are most consumers."""
        return (
            self.loss_wh is not None
            and self.coverage_pct is not None
            and self.coverage_pct >= COVERAGE_PCT_MIN
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
