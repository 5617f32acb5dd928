"""The bars of a consumer's use, placed for an SVG of 320 by 150; measured ones are filled, estimated ones hollow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bijlighar.runtime.portal_model import DayQuality, UsedDay, UsedMonth

WIDTH, HEIGHT = 320, 150
LEFT, TOP, BOTTOM = 28, 8, 126
GAP = 4
#: The steps of the scale [kWh], by tens.
STEPS = (1, 2, 5)
LINES_MAX = 4
POWERS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: where it stands, how wide and high, what is known of it, which day or month, and its use [Wh]."""

    x: int
    y: int
    width: int
    height: int
    quality: DayQuality
    day: date
    energy_wh: int | None
    is_labelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A picture: its bars, and the lines of its scale as (y, kWh)."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, int], ...]
    by_month: bool


def day_bars(days: Sequence[UsedDay]) -> Bars:
    """Return the picture of days."""
    return _bars([(day.day, day.energy_wh, day.quality) for day in days], by_month=False)


def month_bars(months: Sequence[UsedMonth]) -> Bars:
    """Return the picture of billed months."""
    return _bars(
        [
            (
                each.month.first,
                max(each.energy_wh, 0),
                DayQuality.ESTIMATED if each.estimated else DayQuality.MEASURED,
            )
            for each in months
        ],
        by_month=True,
    )


def _bars(rows: Sequence[tuple[date, int | None, DayQuality]], *, by_month: bool) -> Bars:
    most_wh = max((energy_wh for _, energy_wh, _ in rows if energy_wh is not None), default=0)
    step = scale_step(most_wh)
    top_wh = max(step * -(-most_wh // step), step)
    pitch = (WIDTH - LEFT) // max(len(rows), 1)
    bars = []
    for place, (day, energy_wh, quality) in enumerate(rows):
        height = (BOTTOM - TOP) * (energy_wh or 0) // top_wh
        bars.append(
            Bar(
                x=LEFT + place * pitch + GAP // 2,
                y=BOTTOM - height,
                width=max(pitch - GAP, 2),
                height=height,
                quality=quality,
                day=day,
                energy_wh=energy_wh,
                is_labelled=by_month or (len(rows) - 1 - place) % 3 == 0,
            )
        )
    lines = tuple(
        (BOTTOM - (BOTTOM - TOP) * line_wh // top_wh, line_wh // 1000)
        for line_wh in range(0, top_wh + 1, step)
    )
    return Bars(bars=tuple(bars), lines=lines, by_month=by_month)


def scale_step(most_wh: int) -> int:
    """
    Return the distance of a scale's lines [Wh], whole kWh, so that there are few.

    >>> scale_step(7_900), scale_step(0), scale_step(235_200)
    (2000, 1000, 100000)
    """
    steps = (step * 1_000 * 10**power for power in range(POWERS) for step in STEPS)
    return next((step_wh for step_wh in steps if most_wh <= step_wh * LINES_MAX), most_wh)
