"""What is told of sealed months: the seals in a person's sight, and what came late for one."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import Month, day_number, local_date
from bijlighar.offices import queries as offices
from bijlighar.readings import late, seal_store, store
from bijlighar.readings.covering import held_by
from bijlighar.readings.model import ABSENT, ENERGY_CHANNELS, Flags, Integers
from bijlighar.readings.sealing import seal_in_sight
from bijlighar.readings.seals import SHUT, LateSum, MonthSeal, Removable, SealState

SEALS_PER_PAGE = 400
MONTHS_MAX = 1_200


def seals(
    connection: Connection, *, person: str, states: Sequence[SealState] = SHUT
) -> tuple[tuple[MonthSeal, int, int], ...]:
    """Return the seals in a person's sight, newest month first, and how many meter-days and registers came late."""
    seen = offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
    found = seal_store.select_seals(connection, states=states, offices=seen, limit=SEALS_PER_PAGE)
    counts = seal_store.late_counts(connection, seals=[seal.number for seal in found])
    return tuple((seal, *counts[seal.number]) for seal in found)


def seals_over(connection: Connection, *, first: int, last: int) -> tuple[MonthSeal, ...]:
    """Return the seals that hold on any of the days `first` to `last`."""
    return seal_store.select_shut(connection, first=first, last=last)


def held_meters(
    connection: Connection, *, seal: MonthSeal, meters: Sequence[str], first: int, last: int
) -> Flags:
    """Return which of the meters (rows) a seal holds on which of the days `first` to `last` (columns)."""
    days = np.arange(first, last + 1, dtype=np.int32)
    names = [meter for meter in meters for _ in days]
    numbers = held_by(connection, seals=[seal], meters=names, days=np.tile(days, len(meters)))
    shape = (len(meters), len(days))
    return np.zeros(shape, dtype=np.bool_) if numbers is None else (numbers > 0).reshape(shape)


def late_sums(connection: Connection, *, number: int, person: str) -> tuple[LateSum, ...]:
    """
    Return what came late for a sealed month, by meter: the correction that is to be taken up.

    :raises UnknownSeal: if there is none of that number in the person's offices.
    """
    seal = seal_in_sight(connection, number=number, person=person)
    meters = seal_store.late_meters(connection, seal=seal.number)
    sums: list[LateSum] = []
    for begin in range(0, len(meters), late.METERS_AT_ONCE):
        sums.extend(_sums(connection, seal, meters[begin : begin + late.METERS_AT_ONCE]))
    return tuple(sums)


def removable(connection: Connection, *, keep_months: int, now: datetime) -> tuple[Removable, ...]:
    """
    Return the months whose intervals may be removed, the oldest first: sealed for the whole company, and old enough.

    Kept are this month and `keep_months` before it; 0 keeps everything.
    """
    if keep_months <= 0:
        return ()
    limit = _kept_from(now, keep_months)
    seals = seal_store.select_seals(connection, states=(SealState.SEALED,), offices=None, limit=MONTHS_MAX)
    found = []
    for seal in reversed(seals):
        if seal.is_company and seal.last < limit:
            days, versions = seal_store.count_versions(connection, first=seal.first, last=seal.last)
            found.append(Removable(seal=seal, meter_days=days, versions=versions))
    return tuple(found)


def _kept_from(now: datetime, keep_months: int) -> int:
    month = Month.of(local_date(now))
    for _ in range(min(keep_months, MONTHS_MAX)):
        month = month.previous
    return day_number(month.first)


class _Sum:
    """What is added up of one meter."""

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.intervals = self.registers = 0
        self.standing = dict.fromkeys(ENERGY_CHANNELS, 0)
        self.late = dict.fromkeys(ENERGY_CHANNELS, 0)
        self.times: list[datetime] = []


def _sums(connection: Connection, seal: MonthSeal, meters: Sequence[str]) -> list[LateSum]:
    found: dict[str, _Sum] = {}
    for meter, day, minutes, values, _, times in late.late_values(
        connection, seal=seal.number, meters=meters
    ):
        own = found.setdefault(meter, _Sum())
        own.days.add(day)
        own.times.extend(times)
        standing = store.load_days(connection, keys=[(day, meter)], minutes=minutes, lock=False)
        told = np.zeros(standing.quality.shape[1], dtype=np.bool_)
        for channel in ENERGY_CHANNELS:
            if channel in values:
                given = values[channel] != ABSENT
                told |= given
                own.standing[channel] += _sum(standing.known(channel)[0][given])
                own.late[channel] += _sum(values[channel][given])
        own.intervals += int(told.sum())
    for _, snapshot, came in seal_store.select_late_registers(connection, seals=[seal.number], meters=meters):
        own = found.setdefault(snapshot.meter, _Sum())
        own.registers += 1
        own.times.append(came)
    return [
        LateSum(
            meter=meter,
            meter_days=len(own.days),
            intervals=own.intervals,
            standing_wh=own.standing["wh_import"],
            late_wh=own.late["wh_import"],
            standing_export_wh=own.standing["wh_export"],
            late_export_wh=own.late["wh_export"],
            registers=own.registers,
            first_at=min(own.times),
            last_at=max(own.times),
        )
        for meter, own in sorted(found.items())
    ]


def _sum(values: Integers) -> int:
    return int(values[values != ABSENT].sum())
