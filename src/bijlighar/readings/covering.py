"""Which seal holds which meter-day."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import epoch_seconds
from bijlighar.offices import queries as offices
from bijlighar.readings import seal_store
from bijlighar.readings.model import SECONDS_PER_DAY, Days, Integers, interval_start
from bijlighar.readings.seals import MonthSeal
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation

_NOTHING = np.zeros(0, dtype=np.int64)


def covered(connection: Connection, *, meters: Sequence[str], days: Days) -> Integers | None:
    """
    Return for each meter-day the number of the seal that holds it, 0 where none does; None if none holds any.

    A meter-day belongs to the office where its meter hung when the day began, or first in it. The seal of the head
    office holds every meter. Of two seals the older one counts.
    """
    if not meters:
        return None
    seals = seal_store.select_shut(connection, first=int(days.min()), last=int(days.max()))
    return None if not seals else held_by(connection, seals=seals, meters=meters, days=days)


def held_by(
    connection: Connection, *, seals: Sequence[MonthSeal], meters: Sequence[str], days: Days
) -> Integers | None:
    """Return for each meter-day which of these seals holds it, 0 where none does; None if none holds any."""
    numbers = np.zeros(len(meters), dtype=np.int64)
    of_offices = [seal for seal in seals if not seal.is_company]
    asked = {
        meters[row]
        for seal in of_offices
        for row in np.flatnonzero((days >= seal.first) & (days <= seal.last)).tolist()
    }
    hung = registry.hangings(connection, meters=asked) if asked else {}
    branches = {seal.office: offices.offices_below(connection, code=seal.office) for seal in of_offices}
    for seal in sorted(seals, key=lambda each: -each.number):  # the oldest last, so that it stands
        rows = np.flatnonzero((days >= seal.first) & (days <= seal.last))
        if not seal.is_company:
            rows = _of_branch(rows, meters, days, hung, frozenset(branches[seal.office]))
        numbers[rows] = seal.number
    return numbers if numbers.any() else None


def _of_branch(
    rows: Integers,
    meters: Sequence[str],
    days: Days,
    hung: Mapping[str, Sequence[Installation]],
    branch: Collection[str],
) -> Integers:
    kept = [
        row for row in rows.tolist() if office_of(hung.get(meters[row], ()), day=int(days[row])) in branch
    ]
    return np.array(kept, dtype=np.int64) if kept else _NOTHING


def office_of(hung: Sequence[Installation], *, day: int) -> str | None:
    """Return the office of where a meter hung when a day began, or first in it; None if that is not known."""
    start, end = interval_start(day, 0, 30), interval_start(day, 0, 30) + SECONDS_PER_DAY
    there = [
        place
        for place in hung
        if epoch_seconds(place.from_at) < end and (place.to_at is None or epoch_seconds(place.to_at) > start)
    ]
    return min(there, key=lambda place: place.from_at).office if there else None


def days_of_moment(*, seconds: int) -> tuple[int, ...]:
    """
    Return the day numbers that a register read at a moment [s] concerns: its day, at midnight the one before too.

    >>> midnight = interval_start(20_544, 0, 30)
    >>> days_of_moment(seconds=midnight), days_of_moment(seconds=midnight + 60)
    ((20543, 20544), (20544,))
    """
    day, second = divmod(seconds - interval_start(0, 0, 30), SECONDS_PER_DAY)
    return (day,) if second else (day - 1, day)
