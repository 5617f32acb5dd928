"""The load of one meter around a moment, as bars that the template draws."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.period import date_of, day_number, local_date, local_midnight
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, Quality

WIDTH = 960
HEIGHT = 120
HOURS_EACH_SIDE = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBar:
    """One interval: where its bar stands, how high it is, and what it is worth; None where nothing was read."""

    start: datetime
    x: float
    y: float
    width: float
    height: float
    wh: int | None
    is_estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadAround:
    """The intervals around a moment; `mark_x` is where the moment stands, `highest_wh` what the top is worth."""

    bars: tuple[LoadBar, ...]
    mark_x: float
    highest_wh: int
    minutes: int


def load_around(connection: Connection, *, meter: str, moment: datetime) -> LoadAround | None:
    """Return the load from a day before `moment` to a day after, None where nothing was read."""
    first = moment - timedelta(hours=HOURS_EACH_SIDE)
    last = moment + timedelta(hours=HOURS_EACH_SIDE)
    blocks = readings.days(
        connection,
        meters=[meter],
        first=day_number(local_date(first)),
        last=day_number(local_date(last)),
        channels=(),
    )
    found: dict[datetime, tuple[int, bool]] = {}
    minutes = 0
    for block in blocks:
        minutes = block.minutes
        energy = block.channel("wh_import")
        for row in range(block.rows):
            midnight = local_midnight(date_of(int(block.days[row])))
            for place in range(block.intervals):
                value = int(energy[row, place])
                if value != ABSENT:
                    start = midnight + timedelta(minutes=minutes * place)
                    found[start] = (value, int(block.quality[row, place]) == Quality.ESTIMATED)
    if not found:
        return None
    return _drawn(found, first=first, last=last, moment=moment, minutes=minutes)


def _drawn(
    found: dict[datetime, tuple[int, bool]],
    *,
    first: datetime,
    last: datetime,
    moment: datetime,
    minutes: int,
) -> LoadAround:
    span_s = (last - first).total_seconds()
    width = WIDTH * minutes * 60 / span_s
    inside = {start: value for start, value in found.items() if first <= start < last}
    highest = max((wh for wh, _ in inside.values()), default=0)
    bars = [
        LoadBar(
            start=start,
            x=round(WIDTH * (start - first).total_seconds() / span_s, 1),
            y=round(HEIGHT * (1 - wh / max(highest, 1)), 1),
            width=round(width - 1, 1),
            height=round(HEIGHT * wh / max(highest, 1), 1),
            wh=wh,
            is_estimated=estimated,
        )
        for start, (wh, estimated) in sorted(inside.items())
    ]
    return LoadAround(
        bars=tuple(bars),
        mark_x=round(WIDTH * (moment - first).total_seconds() / span_s, 1),
        highest_wh=highest,
        minutes=minutes,
    )
