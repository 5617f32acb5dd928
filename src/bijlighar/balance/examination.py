"""One transformer examined over a range of days: its technical loss, what remains and how sure that is, and who."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bijlighar.balance import doubt, indexing, suspicion, technical
from bijlighar.balance.doubt import Errors, Marks
from bijlighar.balance.model import Verdict
from bijlighar.balance.suspicion import Fit
from bijlighar.balance.technical import Reals

#: Voltages tell the line's loss where they cover at least this share of the energy.
VOLTAGE_SHARE_MIN = 0.6
#: Under this share of the input a loss is too small to accuse anybody, however sure it is.
LOSS_SHARE_MIN = 0.005
DAYS_MIN = 4
#: A slope of so many standard errors and more says no more than this one.
SLOPE_ERRORS_MAX = 10.0
#: The transformer's own ratio is thought wrong from here on; theft of so much is told by its shape.
RATIO_OFF = 0.25
#: So much of the input's movement must the known use explain for the ratio to be the cause.
RATIO_FIT_MIN = 0.98


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """
    What is known of one transformer on whole days with a whole input; arrays are (meters, steps) or (steps,).

    energy_wh: import less export with multiplier; known where there is a value, read where it was really measured.
    volt, head_volt: NaN where unknown. own_wh: the transformer's own loss, where its meter is on the HV side.
    assessed_wh: what each meter read by hand is assessed at, over the range; flat_wh, flat_error_wh: what
    each load without a meter is, and its standard error.
    """

    energy_wh: Reals
    export_wh: Reals
    known: Marks
    read: Marks
    volt: Reals
    phase: NDArray[np.int64]
    input_wh: Reals
    head_volt: Reals
    assessed_wh: Reals
    own_wh: int
    minutes: int
    flat_wh: Reals = field(default_factory=lambda: np.zeros(0))
    flat_error_wh: Reals = field(default_factory=lambda: np.zeros(0))

    @property
    def steps_per_day(self) -> int:
        """Return how many steps a day has."""
        return 1_440 // self.minutes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examination:
    """
    What the arithmetic says of one transformer; energies [Wh].

    unread_wh: what the silent meters are thought to have drawn; it is in no sum that is billed.
    interval: the 90 % interval of the non-technical loss, None without a verdict on it.
    slope, slope_error: how the balance moves with each meter's load (0 measures right), and its standard error.
    seen: how each meter's voltage follows what is missing, above its phase's median (partial correlation).
    score: how suspect each meter is among those of its transformer (0 to 1); it is no probability.
    """

    technical_wh: int
    unread_wh: int
    non_technical_wh: int
    interval: tuple[int, int] | None
    errors: Errors
    verdict: Verdict
    by_voltage: bool
    fit: Fit
    slope: Reals
    slope_error: Reals
    seen: Reals
    score: Reals
    input_ratio: float
    unexplained_wh: Reals


def examine(view: View) -> Examination:
    """Examine one transformer."""
    steps_per_day = view.steps_per_day
    guessed, _ = doubt.filled(view.energy_wh, view.known, steps_per_day=steps_per_day)
    energy = np.where(view.known, view.energy_wh, guessed)
    _, of_estimates = doubt.filled(energy, view.read, steps_per_day=steps_per_day)
    assessed = float(view.assessed_wh.sum()) + float(view.flat_wh.sum())
    usual = np.maximum(energy.sum(axis=0), 0.0)
    spread = usual / usual.sum() if usual.sum() > 0 else np.full(len(usual), 1 / max(len(usual), 1))
    own = view.own_wh / max(len(usual), 1)
    loss = view.input_wh - energy.sum(axis=0) - assessed * spread - own
    lost, covered = technical.by_voltage(
        energy_wh=energy,
        volt=view.volt,
        head_volt=view.head_volt,
        input_wh=view.input_wh,
        phase=view.phase,
    )
    by_voltage = covered >= VOLTAGE_SHARE_MIN
    line = (
        lost.sum(axis=0)[:, None]
        if by_voltage
        else technical.squares(energy + view.export_wh, view.export_wh)
    )
    fit = suspicion.fit(
        loss=loss, line=line, energy_wh=energy, steps_per_day=steps_per_day, line_known=by_voltage
    )
    unexplained = loss - fit.line
    errors = doubt.errors_of(
        input_wh=view.input_wh,
        energy_wh=energy,
        of_estimates=of_estimates,
        assessed_wh=view.assessed_wh,
        line=float(fit.line.sum()),
        by_voltage=by_voltage,
        seconds_per_step=view.minutes * 60,
        flat_error_wh=view.flat_error_wh,
    )
    remaining = float(unexplained.sum())
    low, high = remaining - doubt.SIGMA_90 * errors.sigma, remaining + doubt.SIGMA_90 * errors.sigma
    ratio, ratio_error = indexing.input_ratio(view.input_wh, energy.sum(axis=0) + fit.line)
    slope, slope_error = indexing.slopes(unexplained, energy)
    read_wh = float(np.abs(np.where(view.read, energy, 0.0)).sum())
    whole = float(np.abs(energy).sum()) + assessed
    sure = whole > 0 and 1 - read_wh / whole <= doubt.UNREAD_SHARE_MAX
    verdict = _verdict(
        sure=sure,
        days=len(usual) // steps_per_day,
        wrong_ratio=abs(ratio - 1) > max(RATIO_OFF, 4 * ratio_error)
        and _fits_ratio(view.input_wh, energy, ratio),
        low=low,
        given=float(view.input_wh.sum()),
    )
    seen = _seen(view, energy, unexplained)
    return Examination(
        technical_wh=round(float(fit.line.sum())) + view.own_wh,
        unread_wh=round(float(np.where(view.known, 0.0, energy).sum())),
        non_technical_wh=round(remaining),
        interval=(round(low), round(high)) if sure else None,
        errors=errors,
        verdict=verdict,
        by_voltage=by_voltage,
        fit=fit,
        slope=slope,
        slope_error=slope_error,
        seen=seen,
        score=_scores(fit, seen, slope / slope_error),
        input_ratio=ratio,
        unexplained_wh=unexplained,
    )


def _fits_ratio(input_wh: Reals, energy: Reals, ratio: float) -> bool:
    """Return whether the input is the known use times a factor, and little else."""
    return ratio > 0 and indexing.correlation(input_wh, energy.sum(axis=0)) ** 2 >= RATIO_FIT_MIN


def _verdict(*, sure: bool, days: int, wrong_ratio: bool, low: float, given: float) -> Verdict:
    if days < DAYS_MIN:
        return Verdict.TOO_SHORT
    if not sure:
        return Verdict.TOO_LITTLE_READ
    if wrong_ratio:
        return Verdict.RATIO
    return Verdict.SUSPECTED if low > LOSS_SHARE_MIN * abs(given) else Verdict.EXPLAINED


def _seen(view: View, energy: Reals, unexplained: Reals) -> Reals:
    """Return how each meter's unexplained drop of voltage follows what is missing (partial correlation)."""
    seen = np.zeros(len(energy))
    phases = np.stack(
        [energy[view.phase == number].sum(axis=0) for number in range(view.phase.max(initial=0) + 1)]
    )
    told = np.zeros(len(energy), dtype=np.bool_)
    for row in range(len(energy)):
        drop = view.head_volt - view.volt[row]
        usable = np.isfinite(drop)
        if usable.sum() < technical.VOLTAGES_MIN:
            continue
        given = np.column_stack([np.ones(usable.sum()), energy[row, usable], phases[:, usable].T])
        own, _ = np.linalg.qr(given)
        left = drop[usable] - own @ (own.T @ drop[usable])
        missing = unexplained[usable] - own @ (own.T @ unexplained[usable])
        seen[row] = indexing.correlation(left, missing)
        told[row] = True
    for number in range(len(phases)):
        same = told & (view.phase == number)
        if same.any():
            seen[same] -= np.median(seen[same])
    return np.asarray(np.maximum(seen, 0.0))


def _scores(fit: Fit, seen: Reals, slope_in_errors: Reals) -> Reals:
    """Return how suspect each meter is; the weights are those that rank injected thieves best, see the README."""
    taken = np.zeros(len(seen))
    for shape in fit.shapes:
        taken[shape.meter] = shape.gain
    moving = np.clip(slope_in_errors, 0.0, SLOPE_ERRORS_MAX) / SLOPE_ERRORS_MAX
    scores = taken + 0.5 * fit.score + seen + 0.25 * moving
    return np.asarray(np.clip(scores / 2.0, 0.0, 1.0))
