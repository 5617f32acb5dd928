"""The load of one meter as a drawing: places only, the template writes the SVG. Pure geometry."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from bijlighar.readings.model import ABSENT, MINUTES_PER_DAY, Quality, runs
from bijlighar.validation.model import DayLoad

WIDTH, HEIGHT = 960, 232
LEFT, TOP, BASE = 62, 16, 190
#: The strip below the axis in which runs of what was not read are marked; among many days, of what is doubtful too.
STRIP = 8
#: More days than these are drawn as a bar a day.
DAYS_OF_INTERVALS_MAX = 7
MINUTES_PER_HOUR = 60
TICK_HOURS = 3
TICK_DAYS_MAX = 9
GAP_BETWEEN_DAYS = 0.2
STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
#: What the form of a bar says; the order in which the parts of a day stand on each other.
KINDS: Mapping[Quality, str] = MappingProxyType(
    {
        Quality.VALID: "valid",
        Quality.MEASURED: "fresh",
        Quality.EDITED: "edited",
        Quality.ESTIMATED: "guess",
        Quality.SUSPECT: "suspect",
    }
)

GAP = "gap"
#: What is marked below the axis.
RUNS: Mapping[Quality, str] = MappingProxyType(
    {
        Quality.ABSENT: GAP,
        Quality.ESTIMATED: KINDS[Quality.ESTIMATED],
        Quality.EDITED: KINDS[Quality.EDITED],
        Quality.SUSPECT: KINDS[Quality.SUSPECT],
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One bar; `beyond` says that its value lies above the drawing, or below it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str = ""
    beyond: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What was measured where something else stands: a line at its height, or where it leaves the drawing."""

    x: float
    y: float
    width: float
    beyond: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of intervals of one kind below the axis."""

    x: float
    width: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One day: its columns, marks and runs, and its place; `day` leads to a closer look."""

    day: date
    label: str
    x: float
    width: float
    columns: tuple[Column, ...]
    marks: tuple[Mark, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The drawing; `levels` and `ticks` are what stands at its left and below, `kinds` the forms that occur."""

    groups: tuple[Group, ...]
    levels: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, str], ...]
    kinds: tuple[str, ...]
    has_marks: bool
    has_gaps: bool
    is_daily: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The words of a drawing: of an interval (a place of a day), a day, a run of a quality, a tick at a day."""

    interval: Callable[[DayLoad, int], str]
    day: Callable[[DayLoad], str]
    run: Callable[[DayLoad, int, int, Quality], str]
    tick: Callable[[date], str]


def drawn(days: Sequence[DayLoad], *, first: date, last: date, labels: Labels) -> Chart:
    """
    Return the drawing of the days `first` to `last`: one day with a label for each interval, more without.

    A short range is drawn by interval [kW], a long one by day [kWh].
    """
    count = (last - first).days + 1
    is_daily = count > DAYS_OF_INTERVALS_MAX
    pitch = (WIDTH - LEFT) / count
    full = _nice(_highest(days, is_daily=is_daily))
    draw = _daily if is_daily else _by_interval
    groups = [
        draw(day, x=LEFT + (day.day - first).days * pitch, width=pitch, full=full, labels=labels)
        for day in days
    ]
    groups = [_unlabelled(group) if count > 1 else _with_gaps_only(group) for group in groups]
    return Chart(
        groups=tuple(groups),
        levels=tuple(
            (round(BASE - (BASE - TOP) * share, 1), full * share / 1000) for share in (0.0, 0.5, 1.0)
        ),
        ticks=_hours() if count == 1 else _days(first, count, pitch, labels),
        kinds=tuple(kind for kind in KINDS.values() if any(kind == each.kind for each in _columns(groups))),
        has_marks=any(group.marks for group in groups),
        has_gaps=any(run.kind == GAP for group in groups for run in group.runs),
        is_daily=is_daily,
    )


def _columns(groups: Iterable[Group]) -> Iterable[Column]:
    return (column for group in groups for column in group.columns)


def _unlabelled(group: Group) -> Group:
    """Return a day among others, whose own label tells enough."""
    columns = tuple(
        Column(x=each.x, y=each.y, width=each.width, height=each.height, kind=each.kind, beyond=each.beyond)
        for each in group.columns
    )
    return replace(group, columns=columns)


def _with_gaps_only(group: Group) -> Group:
    """Return a day that is looked at alone, whose bars are wide enough to tell of what kind they are."""
    return replace(group, runs=tuple(run for run in group.runs if run.kind == GAP))


def _highest(days: Sequence[DayLoad], *, is_daily: bool) -> float:
    """Return what the top must reach [W, or Wh a day]: what is believed; only without it, what is not."""
    believed: list[float] = []
    others: list[float] = []
    for day in days:
        if is_daily:
            doubted = day.count(Quality.SUSPECT) > 0
            (others if doubted else believed).append(float(day.sum_wh or 0))
            continue
        for value, quality in zip(day.wh.tolist(), day.quality.tolist(), strict=True):
            if value != ABSENT:
                (others if quality == Quality.SUSPECT else believed).append(_watts(value, day.minutes))
    return max(believed, default=0) or max(others, default=0)


def _nice(highest: float) -> float:
    """
    Return the round number at which an axis ends that reaches `highest`.

    >>> _nice(430), _nice(0), _nice(12_600)
    (500.0, 1.0, 15000.0)
    """
    if highest <= 0:
        return 1.0
    power = 1
    while power * 10 <= highest:
        power *= 10
    return next(float(step * power) for step in STEPS if step * power >= highest)


def _watts(energy_wh: int, minutes: int) -> float:
    return energy_wh * MINUTES_PER_HOUR / minutes


def _place(value: float, full: float) -> tuple[float, str]:
    """Return where a value stands, and whether it leaves the drawing."""
    if value > full:
        return TOP, "up"
    if value < 0:
        return BASE, "down"
    return round(BASE - (BASE - TOP) * value / full, 1), ""


def _by_interval(day: DayLoad, *, x: float, width: float, full: float, labels: Labels) -> Group:
    step = width / len(day.wh)
    columns, marks = [], []
    differs = day.differs
    for place, (value, quality) in enumerate(zip(day.wh.tolist(), day.quality.tolist(), strict=True)):
        left, wide = round(x + place * step, 1), round(step * (1 - GAP_BETWEEN_DAYS), 1)
        if value != ABSENT:
            y, beyond = _place(_watts(value, day.minutes), full)
            columns.append(
                Column(
                    x=left, y=y, width=wide, height=round(BASE - y, 1), kind=KINDS.get(Quality(quality), "fresh"),
                    label=labels.interval(day, place), beyond=beyond,
                )
            )  # fmt: skip
        if differs[place]:
            y, beyond = _place(_watts(int(day.raw_wh[place]), day.minutes), full)
            marks.append(Mark(x=left, y=y, width=wide, beyond=beyond))
    return Group(
        day=day.day,
        label=labels.day(day),
        x=round(x, 1),
        width=round(width, 1),
        columns=tuple(columns),
        marks=tuple(marks),
        runs=tuple(
            Run(
                x=round(x + begin * step, 1),
                width=round((end - begin) * step, 1),
                kind=kind,
                label=labels.run(day, begin, end, quality),
            )
            for quality, kind in RUNS.items()
            for begin, end in runs(day.shown & (day.quality == quality))
        ),
    )


def _daily(day: DayLoad, *, x: float, width: float, full: float, labels: Labels) -> Group:
    left, wide = round(x + width * GAP_BETWEEN_DAYS / 2, 1), round(width * (1 - GAP_BETWEEN_DAYS), 1)
    columns: list[Column] = []
    below = 0.0
    for quality, kind in KINDS.items():
        part = day.wh[(day.quality == quality) & (day.wh > 0)]
        if not len(part):
            continue
        bottom, _ = _place(below, full)
        below += float(part.sum())
        y, beyond = _place(below, full)
        columns.append(Column(x=left, y=y, width=wide, height=round(bottom - y, 1), kind=kind, beyond=beyond))
    marks = []
    if day.differs.any():
        y, beyond = _place(float(day.raw_sum_wh or 0), full)
        marks.append(Mark(x=left, y=y, width=wide, beyond=beyond))
    missing, shown = day.count(Quality.ABSENT), int(day.shown.sum())
    part = round(wide * missing / shown, 1) if missing else 0
    return Group(
        day=day.day,
        label=labels.day(day),
        x=round(x, 1),
        width=round(width, 1),
        columns=tuple(columns),
        marks=tuple(marks),
        runs=(Run(x=left, width=part, kind=GAP, label=labels.day(day)),) if missing else (),
    )


def _hours() -> tuple[tuple[float, str], ...]:
    hours = range(0, MINUTES_PER_DAY // MINUTES_PER_HOUR + 1, TICK_HOURS)
    return tuple((round(LEFT + (WIDTH - LEFT) * hour / hours[-1], 1), f"{hour:02d}:00") for hour in hours)


def _days(first: date, count: int, pitch: float, labels: Labels) -> tuple[tuple[float, str], ...]:
    every = -(-count // TICK_DAYS_MAX)
    return tuple(
        (
            round(LEFT + (place + 0.5) * pitch, 1),
            labels.tick(date.fromordinal(first.toordinal() + place)),
        )
        for place in range(0, count, every)
    )
