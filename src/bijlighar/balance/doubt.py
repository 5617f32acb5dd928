"""
How sure a non-technical loss is: the standard errors of everything it rests on, and its 90 % interval.

Energies are Wh; a standard error is one sigma. Sources of error that are independent of each other add as squares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Marks = NDArray[np.bool_]

#: A normal error lies within so many sigma in nine cases of ten.
SIGMA_90 = 1.645
#: The limits of error of the accuracy classes (IS 16444 class 1 consumers, class 0.5S transformers); an error of a
#: meter is anywhere within its class, so its standard error is the limit by the root of three.
CLASS_OF_CONSUMER = 0.010 / np.sqrt(3)
CLASS_OF_INPUT = 0.005 / np.sqrt(3)
#: A register laid straight between two hand readings, of one consumer.
ASSESSED_SHARE = 0.15
#: The line's loss fitted to energies alone, and to measured voltages.
LINE_BY_ENERGY = 0.30
LINE_BY_VOLTAGE = 0.10
#: How far a meter's clock may be off [s].
CLOCK_S = 60
#: So many whole days tell how a meter scatters from day to day.
DAYS_OF_SCATTER = 6
#: The scatter of a home's day about what is usual for it, where no meter tells.
TYPICAL_SCATTER = 0.3
#: How much days that follow each other go astray together (correlation).
TOGETHER = 0.4
#: A home that seems empty may come to life: it scatters at least like one of this share of the usual size.
SMALL_SHARE = 0.3
#: Where more than this share of the consumers' energy was not really read, there is no verdict.
UNREAD_SHARE_MAX = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """The standard errors of a non-technical loss by source [Wh], as reals: they are no energies that are kept."""

    input_meter: float
    meters: float
    estimates: float
    assessed: float
    line: float
    clocks: float
    rounding: float
    flat_rates: float = 0.0

    @property
    def sigma(self) -> float:
        """Return the standard error of the sum."""
        return float(np.sqrt(sum(getattr(self, name) ** 2 for name in self.__slots__)))


def filled(energy_wh: Reals, known: Marks, *, steps_per_day: int) -> tuple[Reals, Reals]:
    """
    Return energies (meters, steps) with what is unknown put in, and each meter's standard error of what was put in.

    A meter's unknown interval is its own usual one at that time of the day, times how the others did on that day
    against their usual. The error comes from how far the meter's known days lie from the same guess.
    """
    meters, steps = energy_wh.shape
    days = steps // steps_per_day
    cube = np.where(known, energy_wh, 0.0).reshape(meters, days, steps_per_day)
    marks = known.reshape(meters, days, steps_per_day)
    seen = marks.sum(axis=1)
    overall = cube.sum(axis=(1, 2)) / np.maximum(marks.sum(axis=(1, 2)), 1)
    usual = np.where(seen > 0, cube.sum(axis=1) / np.maximum(seen, 1), overall[:, None])
    silent = ~marks.any(axis=(1, 2))
    usual[silent] = usual[~silent].mean(axis=0) if (~silent).any() else 0.0
    against = (marks * usual[:, None, :]).sum(axis=(0, 2))
    factor = np.where(against > 0, cube.sum(axis=(0, 2)) / np.where(against > 0, against, 1.0), 1.0)
    guess = usual[:, None, :] * factor[None, :, None]
    whole = marks.all(axis=2)
    off = np.where(whole, (cube - guess).sum(axis=2), 0.0)
    counted = whole.sum(axis=1)
    of_day = np.maximum(usual.sum(axis=1), 1e-9)
    squares = (off**2).sum(axis=1)
    alone = np.sqrt(squares / np.maximum(counted - 1, 1)) / of_day
    many = counted >= DAYS_OF_SCATTER
    typical = float(np.median(alone[many])) if many.any() else TYPICAL_SCATTER
    # a meter with few known days is thought to scatter like the others, until its own days tell
    size = np.maximum(of_day, SMALL_SHARE * float(of_day.mean()) if len(of_day) else 0.0)
    prior = DAYS_OF_SCATTER / 2 * (typical * size) ** 2
    scatter = np.sqrt((squares + prior) / (np.maximum(counted - 1, 0) + DAYS_OF_SCATTER / 2))
    missing = (~marks).sum(axis=2) / steps_per_day
    put_in = np.where(marks, 0.0, guess).sum(axis=(1, 2))
    gone = missing.sum(axis=1)
    # each day's own scatter, days that go astray together, and the error of the usual day that all of them share
    error = scatter * np.sqrt(
        gone * (1 + TOGETHER * np.maximum(gone - 1, 0)) + gone**2 / np.maximum(counted, 1)
    )
    error = np.where(counted >= 2, error, np.maximum(error, 0.5 * put_in))
    return np.where(marks, cube, guess).reshape(meters, steps), np.where(
        (~marks).any(axis=(1, 2)), error, 0.0
    )


def errors_of(
    *,
    input_wh: Reals,
    energy_wh: Reals,
    of_estimates: Reals,
    assessed_wh: Reals,
    line: float,
    by_voltage: bool,
    seconds_per_step: int,
    flat_error_wh: Reals | None = None,
) -> Errors:
    """
    Return the standard errors of a non-technical loss; energies are (steps,), (meters, steps) and (meters,).

    `flat_error_wh` are those of the loads without a meter, (loads,).
    """
    ends = energy_wh[:, [0, -1]] if energy_wh.size else np.zeros((0, 2))
    return Errors(
        input_meter=float(CLASS_OF_INPUT * np.abs(input_wh).sum()),
        meters=float(CLASS_OF_CONSUMER * np.sqrt((energy_wh.sum(axis=1) ** 2).sum())),
        estimates=float(np.sqrt((of_estimates**2).sum())),
        assessed=float(ASSESSED_SHARE * np.sqrt((assessed_wh**2).sum())),
        line=(LINE_BY_VOLTAGE if by_voltage else LINE_BY_ENERGY) * abs(line),
        clocks=float(CLOCK_S / np.sqrt(3) / seconds_per_step * np.sqrt((ends**2).sum())),
        rounding=float(np.sqrt((energy_wh.size + input_wh.size) / 12)),
        flat_rates=0.0 if flat_error_wh is None else float(np.sqrt((flat_error_wh**2).sum())),
    )
