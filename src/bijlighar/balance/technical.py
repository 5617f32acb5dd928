"""
The technical loss of an LT line: numpy in, numpy out, many meters at once, energy in Wh.

Without voltages it is a sum of squares of energies with effective resistances that are fitted (`squares`, `fitted`);
with them it is each consumer's energy times the share of the voltage that was lost on the way to it (`by_voltage`).
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

#: Rounds of the descent; a fit of a handful of terms settles in far fewer.
ROUNDS_MAX = 200
#: A voltage further from the transformer's than this share is not believed.
DROP_SHARE_MAX = 0.35
#: Fewer intervals with a voltage than this tell no drop.
VOLTAGES_MIN = 96


def nonnegative(columns: Reals, target: Reals) -> Reals:
    """
    Return the coefficients, none below zero, with which `columns` (steps, terms) come nearest to `target`.

    >>> nonnegative(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, -1.0])).tolist()
    [2.0, 0.0]
    """
    scale = np.sqrt((columns**2).sum(axis=0))
    scale[scale == 0] = 1.0
    scaled = columns / scale
    gram, moments = scaled.T @ scaled, scaled.T @ target
    found = np.zeros(columns.shape[1])
    for _ in range(ROUNDS_MAX):
        before = found.copy()
        for term in range(len(found)):
            if gram[term, term] > 0:
                free = found[term] + (moments[term] - gram[term] @ found) / gram[term, term]
                found[term] = max(0.0, free)
        if np.allclose(found, before, rtol=1e-9, atol=0.0):
            break
    return np.asarray(found / scale)


def squares(import_wh: Reals, export_wh: Reals) -> Reals:
    """
    Return what the loss of a line grows with, as columns (steps, terms), from energies (meters, steps).

    The square of what flows through the line as a whole stands for its trunk; the sums of the squares of what each
    consumer draws and feeds in stand for branches and service cables.

    >>> squares(np.array([[3.0], [1.0]]), np.zeros((2, 1))).tolist()
    [[16.0, 10.0]]
    """
    drawn, fed = import_wh.sum(axis=0), export_wh.sum(axis=0)
    columns = [(drawn - fed) ** 2, (import_wh**2).sum(axis=0)]
    if export_wh.any():
        columns.append((export_wh**2).sum(axis=0))
    return np.stack(columns, axis=1)


def by_voltage(
    *,
    energy_wh: Reals,
    volt: Reals,
    head_volt: Reals,
    input_wh: Reals,
    phase: NDArray[np.int64],
) -> tuple[Reals, float]:
    """
    Return the loss [Wh] on the way to each meter in each step (meters, steps), and the share of the energy it covers.

    The drop between the transformer and each meter is laid against its own energy, that of its phase and that of the
    whole line; what is left at no load is the error of the two voltmeters, and is taken off. NaN stands for a voltage
    that is not known; the drop is taken from the fit in every step. A meter without voltages loses like the others.
    """
    steps = len(input_wh)
    share = np.full(energy_wh.shape, np.nan)
    # what flows is the energy over the voltage at which it was drawn: a low voltage draws more
    there = np.where(np.isfinite(volt), volt, _usual_volt(volt, head_volt))
    ampere = energy_wh / there
    of_phase = np.stack([ampere[phase == number].sum(axis=0) for number in range(phase.max(initial=0) + 1)])
    whole = input_wh / there.mean(axis=0) if len(there) else input_wh
    for row in range(len(energy_wh)):
        drop = head_volt - volt[row]
        usable = np.isfinite(drop) & (np.abs(drop) < DROP_SHARE_MAX * head_volt)
        if usable.sum() < min(VOLTAGES_MIN, steps):
            continue
        columns = np.stack([ampere[row], of_phase[phase[row]], whole], axis=1)
        middle = columns[usable].mean(axis=0)
        centred = columns[usable] - middle
        ridge = 1e-6 * np.trace(centred.T @ centred) * np.eye(3) / 3 + 1e-12 * np.eye(3)
        slope = np.linalg.solve(centred.T @ centred + ridge, centred.T @ (drop[usable] - drop[usable].mean()))
        share[row] = columns @ slope / np.where(np.isfinite(head_volt), head_volt, there[row])
    known = np.isfinite(share).all(axis=1)
    total = float(np.abs(energy_wh).sum())
    covered = float(np.abs(energy_wh[known]).sum()) / total if total else 0.0
    usual = share[known].mean(axis=0) if known.any() else np.zeros(steps)
    filled = np.where(np.isfinite(share), share, usual)
    return energy_wh * filled / np.maximum(1 - filled, 0.5), covered


def _usual_volt(volt: Reals, head_volt: Reals) -> Reals:
    """Return for each step the voltage of those meters that know theirs, else the transformer's, else 1."""
    known = np.isfinite(volt)
    of_others = np.where(known, volt, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    usual = np.where(known.any(axis=0), of_others, np.where(np.isfinite(head_volt), head_volt, 1.0))
    return np.broadcast_to(np.maximum(usual, 1.0), volt.shape)
