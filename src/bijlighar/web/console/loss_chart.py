"""A loss as drawings: its shape over the day, and how sure it is. Places only, the template writes the SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from bijlighar.balance.model import GapAtTime

WIDTH, HEIGHT = 960, 220
LEFT, TOP, BOTTOM = 62, 16, 184
GAP = 3
#: So far from zero a level must be for its text to stand apart.
LEVEL_HEIGHT = 16
MINUTES_PER_DAY, MINUTES_PER_HOUR, TICK_HOURS = 1_440, 60, 3
RANGE_WIDTH, RANGE_HEIGHT, RANGE_MARGIN = 700, 64, 70


@dataclass(frozen=True, slots=True, kw_only=True)
class GapBar:
    """One time of the day; `at` is its place among the times."""

    at: int
    x: float
    y: float
    width: float
    height: float
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GapChart:
    """The drawing: its bars, where zero stands, what stands at its left (y, Wh) and below (x, time)."""

    bars: tuple[GapBar, ...]
    zero: float
    levels: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeChart:
    """A value with its interval on a line: where both ends, the value and zero stand."""

    low: float
    value: float
    high: float
    zero: float


def gaps(times: Sequence[GapAtTime]) -> GapChart:
    """Return the bars of the times of a day, upwards what is missing, downwards what is too much."""
    known = [each.gap_wh for each in times if each.gap_wh is not None]
    high, low = max([0, *known]), min([0, *known])
    span = (high - low) or 1

    def place(value: float) -> float:
        return round(TOP + (BOTTOM - TOP) * (high - value) / span, 1)

    pitch = (WIDTH - LEFT) / max(len(times), 1)
    zero = place(0)
    bars = [
        GapBar(
            at=at,
            x=round(LEFT + at * pitch, 1),
            y=min(zero, place(each.gap_wh)),
            width=round(pitch - GAP, 1),
            height=round(abs(zero - place(each.gap_wh)), 1),
            is_certain=each.is_certain,
        )
        for at, each in enumerate(times)
        if each.gap_wh is not None
    ]
    hours = range(0, MINUTES_PER_DAY // MINUTES_PER_HOUR + 1, TICK_HOURS)
    return GapChart(
        bars=tuple(bars),
        zero=zero,
        levels=tuple(
            (place(value), value)
            for value in sorted({low, 0, high})
            if value == 0 or abs(place(value) - zero) >= LEVEL_HEIGHT
        ),
        ticks=tuple((round(LEFT + (WIDTH - LEFT) * hour / hours[-1], 1), f"{hour:02d}:00") for hour in hours),
    )


def interval(*, low: int, value: int, high: int) -> RangeChart:
    """
    Return where an interval stands on a line that shows zero too.

    >>> interval(low=0, value=5, high=10)
    RangeChart(low=70.0, value=350.0, high=630.0, zero=70.0)
    """
    least, most = min(low, 0), max(high, 0)
    span = (most - least) or 1
    return RangeChart(
        **{
            name: round(RANGE_MARGIN + (RANGE_WIDTH - 2 * RANGE_MARGIN) * (at - least) / span, 1)
            for name, at in (("low", low), ("value", value), ("high", high), ("zero", 0))
        }
    )
