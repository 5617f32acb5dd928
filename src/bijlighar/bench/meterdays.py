"""Seeded meter-days of a town: what the benchmarks store and validate, and what is wrong in them on purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bijlighar.readings.model import ABSENT, Delivery, interval_start, intervals_per_day

MINUTES = 30
INTERVALS = intervals_per_day(MINUTES)
#: 1 April 2026 as an IST day number.
FIRST_DAY = 20_544
CHANNELS = ("wh_import", "vah_import", "volt", "amp")
#: Of a thousand meter-days, ten lack `GAP_INTERVALS` half-hours, one has a negative one, one a spike.
GAPS_PER_1000, NEGATIVES_PER_1000, SPIKES_PER_1000 = 10, 1, 1
GAP_INTERVALS = 4
NEGATIVE_WH, SPIKE_WH = -5, 20_000
FAULTY_SLOT = 20
SANCTIONED_W = 3_000
#: The most that a half-hour of an honest meter holds: under its sanctioned load.
HONEST_WH_MAX = SANCTIONED_W // 2 - 100
SEED = 11

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterDay:
    """
    One IST day of many meters, as decoded: values (meters, intervals) by channel, ABSENT where a row did not come.

    energy_wh: what each meter's register counted on the day, whatever came of it.
    gaps, negatives, spikes: the places of the meters that lack half-hours, or have a negative one, or a spike.
    """

    day: int
    meters: tuple[str, ...]
    values: Mapping[str, Integers]
    energy_wh: Integers
    gaps: Integers
    negatives: Integers
    spikes: Integers

    @property
    def starts(self) -> Integers:
        """Return the starts of the day's intervals [s since the epoch]."""
        first = interval_start(self.day, 0, MINUTES)
        return first + np.arange(INTERVALS, dtype=np.int64) * MINUTES * 60

    @property
    def intervals(self) -> int:
        """Return how many intervals came."""
        return int((self.values["wh_import"] != ABSENT).sum())

    def deliveries(self, *, upto: int = INTERVALS) -> list[Delivery]:
        """Return what each meter delivers of the day's first `upto` intervals, as the head-end hands it over."""
        whole = np.ones(len(self.meters), dtype=np.bool_)
        whole[self.gaps] = False
        starts = self.starts[:upto]
        rows = {channel: list(values[:, :upto]) for channel, values in self.values.items()}
        return [
            Delivery(
                meter=meter,
                minutes=MINUTES,
                starts=starts,
                values={channel: own[row] for channel, own in rows.items()},
            )
            if whole[row]
            else self._torn(row, upto)
            for row, meter in enumerate(self.meters)
        ]

    def _torn(self, row: int, upto: int) -> Delivery:
        came = np.flatnonzero(self.values["wh_import"][row, :upto] != ABSENT)
        return Delivery(
            meter=self.meters[row],
            minutes=MINUTES,
            starts=self.starts[came],
            values={channel: values[row, came] for channel, values in self.values.items()},
        )


def serials(*, count: int, prefix: str = "B") -> tuple[str, ...]:
    """
    Return the serial numbers of `count` meters.

    >>> serials(count=2)
    ('B0000001', 'B0000002')
    """
    return tuple(f"{prefix}{number:07d}" for number in range(1, count + 1))


def meter_day(*, meters: Sequence[str], day: int, faults: bool = False) -> MeterDay:
    """Return the day `day` of the meters; with `faults` some have gaps, negative half-hours or spikes."""
    generator = np.random.default_rng((SEED, day, len(meters)))
    shape = (len(meters), INTERVALS)
    evening = 1 + np.exp(-(((np.arange(INTERVALS) - 40) / 5) ** 2))
    usual_wh = np.random.default_rng((SEED, len(meters))).gamma(2.0, 60.0, (len(meters), 1))
    wh = np.minimum(usual_wh * evening * generator.gamma(4.0, 0.25, shape), HONEST_WH_MAX).astype(np.int64)
    volt = generator.integers(21_500, 25_000, shape)
    values = {
        "wh_import": wh,
        "vah_import": wh * 107 // 100,
        "volt": volt,
        "amp": wh * 2 * 10_000 // volt,
    }
    energy_wh = wh.sum(axis=1)
    gaps, negatives, spikes = _faulty(generator, count=len(meters) if faults else 0)
    begin = generator.integers(0, INTERVALS - GAP_INTERVALS, len(gaps))
    for row, first in zip(gaps.tolist(), begin.tolist(), strict=True):
        for channel in values.values():
            channel[row, first : first + GAP_INTERVALS] = ABSENT
    wh[negatives, FAULTY_SLOT] = NEGATIVE_WH
    wh[spikes, FAULTY_SLOT] = SPIKE_WH
    return MeterDay(
        day=day,
        meters=tuple(meters),
        values=values,
        energy_wh=energy_wh,
        gaps=gaps,
        negatives=negatives,
        spikes=spikes,
    )


def _faulty(generator: np.random.Generator, *, count: int) -> tuple[Integers, Integers, Integers]:
    """Return the places with gaps, negatives and spikes among `count` meters; no meter has two of them."""
    sizes = [count * share // 1000 for share in (GAPS_PER_1000, NEGATIVES_PER_1000, SPIKES_PER_1000)]
    chosen = generator.permutation(count)
    gaps, negatives, spikes, _ = np.split(chosen, np.cumsum(sizes))
    return np.sort(gaps), np.sort(negatives), np.sort(spikes)
