"""One transformer looked at closely: step by step, time of day by time of day, phase by phase, its newest load."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance import gathering, rules, viewing
from bijlighar.balance.errors import UnusableRange
from bijlighar.balance.flat_loads import flat_loads
from bijlighar.balance.model import GapAtTime, Level, Load, PhaseShare, StepBalance
from bijlighar.balance.technical import Reals
from bijlighar.base.period import Period, day_number, local_date, moment_of
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, Integers, interval_start, intervals_per_day
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation, MeterType

#: How far back the newest load is looked for.
LOAD_DAYS_BACK = 7
LOAD_MINUTES = 30
MINUTES_PER_HOUR = 60
PHASES = "RYB"
SLOTS = intervals_per_day(LOAD_MINUTES)
#: So many hangings are laid out at once, so that a feeder's do not fill the memory,
LAID_AT_ONCE = 256
#: and so many days of meters at most are read for one answer.
METER_DAYS_MAX = 100_000


def phases(
    connection: Connection, *, transformer: str, first: date, last: date, now: datetime
) -> tuple[PhaseShare, ...]:
    """Return what the consumers that hang now drew on the days `first` to `last`, by phase; unknown phases last."""
    places = _consumers(_hanging(connection, transformer=transformer, now=now))
    energy = readings.energy_by_day(
        connection,
        meters=sorted({place.meter for place in places}),
        first=day_number(first),
        last=day_number(last),
    )
    drawn_wh = dict(
        zip(energy.meters, (energy.wh_import - energy.wh_export).sum(axis=1).tolist(), strict=True)
    )
    meters: dict[str | None, int] = {}
    sums: dict[str | None, int] = {}
    for place in places:
        meters[place.phase] = meters.get(place.phase, 0) + 1
        sums[place.phase] = sums.get(place.phase, 0) + drawn_wh[place.meter] * place.multiplier
    total_wh = sum(sums.values())
    return tuple(
        PhaseShare(
            phase=phase,
            meters=meters[phase],
            energy_wh=sums[phase],
            share_pct=rules.per_cent(sums[phase], total_wh),
        )
        for phase in sorted(meters, key=_order)
    )


def _order(phase: str | None) -> tuple[int, str]:
    """Return by what phases are ordered: R, Y, B, then the others, the unknown last."""
    place = PHASES.find(phase) if phase else -1
    return (len(PHASES) + 1, "") if phase is None else (place if place >= 0 else len(PHASES), phase)


def steps(
    connection: Connection, *, level: Level, code: str, first: date, last: date, minutes: int
) -> tuple[StepBalance, ...]:
    """Return the balance of each interval of the days `first` to `last`, on the network as it stood at the time."""
    net = gathering.network(connection, first=day_number(first), last=day_number(last))
    if code not in net.codes(level):
        return ()
    place = net.codes(level).index(code)
    given = viewing.lay(
        connection, net=net, rows=np.flatnonzero(net.inputs_of(level) == place), minutes=minutes
    )
    used = viewing.lay(
        connection, net=net, rows=np.flatnonzero(net.consumers_of(level) == place), minutes=minutes
    )
    is_known = (given.known == given.hung).all(axis=0) & given.hung.any(axis=0)
    input_wh = (given.drawn_wh - given.fed_wh).sum(axis=0)
    consumers_wh = (used.drawn_wh - used.fed_wh).sum(axis=0)
    missing = (used.hung & ~used.known).sum(axis=0)
    slots = len(is_known) // len(net.starts)
    return tuple(
        StepBalance(
            start=moment_of(interval_start(net.first + index // slots, index % slots, minutes)),
            input_wh=round(float(input_wh[index])) if is_known[index] else None,
            consumers_wh=round(float(consumers_wh[index])),
            missing=int(missing[index]),
        )
        for index in range(len(is_known))
    )


def gap_by_time(
    connection: Connection, *, level: Level, code: str, closed: frozenset[int]
) -> tuple[GapAtTime, ...]:
    """
    Return the mean gap of each half-hour of the day over the closed days, on the network as it stood.

    :raises UnusableRange: if it would read more than `METER_DAYS_MAX` days of meters.
    """
    if not closed:
        return ()
    net = gathering.network_of(connection, level=level, code=code, first=min(closed), last=max(closed))
    codes = net.codes(level)
    if code not in codes:
        return ()
    place, days = codes.index(code), len(net.starts)
    consumers = np.flatnonzero(net.consumers_of(level) == place)
    if days > days_by_time_max(meters=len(consumers)):
        raise UnusableRange(
            f"{len(consumers)} meters on {days} days are too much at once; "
            f"ask for at most {days_by_time_max(meters=len(consumers))} days"
        )
    by_hand, wanted = gathering.assessed(connection, net=net)
    flat = flat_loads(connection, first=net.first, last=net.last)
    smart = consumers[~wanted[consumers].any(axis=1)]
    given = viewing.lay(
        connection, net=net, rows=np.flatnonzero(net.inputs_of(level) == place), minutes=LOAD_MINUTES
    )
    used_wh, hung, read = _summed(connection, net=net, rows=smart)
    is_known = (given.known == given.hung).all(axis=0) & given.hung.any(axis=0)
    is_closed = np.isin(np.arange(net.first, net.last + 1), sorted(closed))
    return rules.gap_by_time(
        input_wh=_whole((given.drawn_wh - given.fed_wh).sum(axis=0)).reshape(days, -1),
        input_known=is_known.reshape(days, -1) & is_closed[:, None],
        consumers_wh=used_wh.reshape(days, -1),
        assessed_wh=by_hand.energy_wh[consumers].sum(axis=0) + flat.of(level, code),
        expected=hung.reshape(days, -1),
        read=read.reshape(days, -1),
    )


def days_by_time_max(*, meters: int) -> int:
    """Return of how many days at most the gap by time of so many meters is told, and of one at least."""
    return max(1, METER_DAYS_MAX // max(1, meters))


def _summed(
    connection: Connection, *, net: gathering.Network, rows: Integers
) -> tuple[Integers, Integers, Integers]:
    """Return by half-hour what some hangings drew [Wh], how many hung and of how many it was read, part by part."""
    energy_wh, hung, read = (np.zeros(len(net.starts) * SLOTS, dtype=np.int64) for _ in range(3))
    for begin in range(0, len(rows), LAID_AT_ONCE):
        part = rows[begin : begin + LAID_AT_ONCE]
        used = viewing.lay(connection, net=net, rows=part, minutes=LOAD_MINUTES)
        energy_wh += _whole((used.drawn_wh - used.fed_wh).sum(axis=0))
        hung += used.hung.sum(axis=0)
        read += used.read.sum(axis=0)
    return energy_wh, hung, read


def _whole(energy: Reals) -> Integers:
    """Return energies that were laid out as reals as the whole Wh that they are."""
    return np.asarray(np.rint(energy), dtype=np.int64)


def newest_load(connection: Connection, *, transformer: str, now: datetime) -> Load | None:
    """Return the mean loads of the newest half-hour of which the input (or, without one, anything) is known."""
    places = _hanging(connection, transformer=transformer, now=now)
    consumers = _consumers(places)
    inputs = [place for place in places if place.meter_type is MeterType.TRANSFORMER]
    last = day_number(local_date(now))
    first = last - LOAD_DAYS_BACK
    given = _matrix(connection, inputs, first=first, last=last)
    drawn = _matrix(connection, consumers, first=first, last=last)
    leading = (given != ABSENT).all(axis=0) if inputs else (drawn != ABSENT).any(axis=0)
    known = np.flatnonzero(leading)
    if not len(known) or not (inputs or consumers):
        return None
    newest = int(known[-1])
    day, slot = divmod(newest, given.shape[1] // (last - first + 1))
    column = drawn[:, newest]
    return Load(
        start=moment_of(interval_start(first + day, slot, LOAD_MINUTES)),
        minutes=LOAD_MINUTES,
        input_w=_watts(given[:, newest]) if inputs else None,
        consumers_w=_watts(column[column != ABSENT]),
        known=int((column != ABSENT).sum()),
        meters=len(consumers),
    )


def _watts(energies_wh: Integers) -> int:
    return int(energies_wh.sum()) * MINUTES_PER_HOUR // LOAD_MINUTES


def _hanging(connection: Connection, *, transformer: str, now: datetime) -> tuple[Installation, ...]:
    return registry.installations(connection, transformer=transformer, period=Period(start=now, end=now))


def _consumers(places: Sequence[Installation]) -> list[Installation]:
    return [place for place in places if place.meter_type.is_of_consumer]


def _matrix(connection: Connection, places: Sequence[Installation], *, first: int, last: int) -> Integers:
    """Return the energy [Wh] of each place and half-hour, with its multiplier."""
    matrix = readings.day_matrix(
        connection,
        meters=[place.meter for place in places],
        first=first,
        last=last,
        channel="wh_import",
        minutes=LOAD_MINUTES,
    )
    flat = (
        matrix.reshape(len(places), -1)
        if len(places)
        else matrix.reshape(0, matrix.shape[1] * matrix.shape[2])
    )
    multiplier = np.array([place.multiplier for place in places], dtype=np.int64)[:, None]
    return np.where(flat == ABSENT, ABSENT, flat * multiplier)
