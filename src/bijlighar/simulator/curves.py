"""
A seeded model of what Indian homes, shops and workshops use, half-hour by half-hour.

Every day is drawn from its own generator, seeded by (seed, day), so that any day can be had without the days before
and a process that starts again sees the same loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import date_of
from bijlighar.simulator.model import GAP, INTERVALS_PER_DAY, Consumer, LoadFile, Premises

Reals = NDArray[np.float64]

_STREAM_WEATHER = 11
_STREAM_LOAD = 12
_HOURS = (np.arange(INTERVALS_PER_DAY) + 0.5) / 2
#: Mean daily minimum and maximum of the outside temperature near Indore by month [degrees Celsius].
_MINIMUM_C = (10.0, 12.0, 17.0, 22.0, 25.5, 25.0, 23.5, 22.5, 21.5, 18.5, 14.5, 11.0)
_MAXIMUM_C = (26.5, 29.5, 34.5, 38.5, 40.5, 36.5, 31.0, 29.0, 31.0, 32.5, 29.5, 27.0)
_HOLIDAY_LOAD = 0.12
_SPIKE_CHANCE = 0.03
_HALF_HOUR_H = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """The load shapes of all consumers as columns, and the file they may come from."""

    power_w: Reals
    working_hours: Reals
    closed_weekday: NDArray[np.int64]
    is_home: NDArray[np.bool_]
    limit_w: Reals
    seed: int
    file_wh: NDArray[np.int32] | None
    file_rows: NDArray[np.int64]
    file_first_day: int


def loads_of(consumers: Sequence[Consumer], *, seed: int, first_day: int, profiles: LoadFile | None) -> Loads:
    """Return the columns of the consumers' load shapes; `first_day` is the town's first day number."""
    shapes = [consumer.load for consumer in consumers]
    hours = np.zeros((len(shapes), INTERVALS_PER_DAY))
    for row, shape in enumerate(shapes):
        hours[row, shape.opens_half_hour : shape.closes_half_hour] = 1.0
    return Loads(
        power_w=np.array(
            [[s.base_w, s.fan_w, s.cooling_w, s.morning_w, s.evening_w, s.working_w] for s in shapes],
            dtype=float,
        ).reshape(len(shapes), 6),
        working_hours=hours,
        closed_weekday=np.array([shape.closed_weekday for shape in shapes], dtype=np.int64),
        is_home=np.array([consumer.premises is Premises.HOME for consumer in consumers], dtype=bool),
        limit_w=np.array([consumer.sanctioned_w for consumer in consumers], dtype=float),
        seed=seed,
        file_wh=None if profiles is None else profiles.energy_wh,
        file_rows=np.array([consumer.profile or 0 for consumer in consumers], dtype=np.int64),
        file_first_day=first_day,
    )


def outside_temperature_c(*, seed: int, day: int) -> Reals:
    """Return the outside temperature [degrees Celsius] of the day's 48 half-hours."""
    calendar_day = date_of(day)
    low, high = _of_season(_MINIMUM_C, calendar_day), _of_season(_MAXIMUM_C, calendar_day)
    today = float(np.random.default_rng([seed, _STREAM_WEATHER, day]).random() * 5.0 - 2.5)
    swing = np.cos((_HOURS - 15.0) * (np.pi / 12.0))
    return (low + high) / 2 + today + (high - low) / 2 * swing


def demand_wh(loads: Loads, *, day: int) -> NDArray[np.int32]:
    """Return what each consumer would use with the supply on [Wh], one row a consumer, 48 half-hours of `day`."""
    if loads.file_wh is not None:
        return _from_file(loads, loads.file_wh, day)
    generator = np.random.default_rng([loads.seed, _STREAM_LOAD, day])
    count = len(loads.limit_w)
    power = _mean_power_w(loads, day)
    noise = generator.random((count, INTERVALS_PER_DAY)) + generator.random((count, INTERVALS_PER_DAY))
    habit = 0.8 + 0.4 * generator.random((count, 1))
    power = power * habit * (0.55 + 0.45 * noise)
    spikes = generator.random((count, INTERVALS_PER_DAY)) < _SPIKE_CHANCE
    size = generator.random((count, INTERVALS_PER_DAY))
    power = power + spikes * size * 0.35 * loads.limit_w[:, None] * loads.is_home[:, None]
    energy = np.minimum(power, 0.98 * loads.limit_w[:, None]) * _HALF_HOUR_H
    return np.floor(energy + 0.5).astype(np.int32)


def _mean_power_w(loads: Loads, day: int) -> Reals:
    temperature = outside_temperature_c(seed=loads.seed, day=day)
    weekday = date_of(day).weekday()
    base, fan, cooling, morning, evening, working = (loads.power_w[:, [column]] for column in range(6))
    at_home = 1.0 - 0.35 * _bell(13.0, 4.0) * (0.4 if weekday == 6 else 1.0)
    fans = _rise(temperature, 25.0, 2.0) * at_home
    coolers = _rise(temperature, 31.0, 2.5) * (0.35 + 0.65 * _bell(22.5, 3.5) + 0.45 * _bell(15.0, 2.5))
    weekend = 1.12 if weekday >= 5 else 1.0
    household = morning * _bell(7.3, 1.3) + weekend * evening * _bell(20.6, 2.2)
    closed = (loads.closed_weekday == weekday)[:, None]
    trade = working * loads.working_hours * np.where(closed, _HOLIDAY_LOAD, 1.0)
    power: Reals = base + fan * fans + cooling * coolers + household + trade
    return power


def _from_file(loads: Loads, file_wh: NDArray[np.int32], day: int) -> NDArray[np.int32]:
    start = (day - loads.file_first_day) * INTERVALS_PER_DAY
    energy = np.zeros((len(loads.file_rows), INTERVALS_PER_DAY), dtype=np.int32)
    if 0 <= start < file_wh.shape[1]:
        piece = file_wh[:, start : start + INTERVALS_PER_DAY]
        energy[:, : piece.shape[1]] = np.where(piece == GAP, 0, piece)[loads.file_rows]
    return energy


def _bell(centre: float, width: float) -> Reals:
    away = np.abs(_HOURS - centre)
    away = np.minimum(away, 24.0 - away)
    return np.exp(-0.5 * (away / width) ** 2)


def _rise(value: Reals, middle: float, width: float) -> Reals:
    return 1.0 / (1.0 + np.exp(-(value - middle) / width))


def _of_season(monthly: Sequence[float], day: date) -> float:
    """Return the value between the middles of the months."""
    position = day.month - 1 + (day.day - 15.5) / 30.4
    lower = int(np.floor(position))
    share = position - lower
    return (1 - share) * monthly[lower % 12] + share * monthly[(lower + 1) % 12]
