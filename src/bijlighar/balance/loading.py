"""How a transformer is loaded: numpy in, numpy out; power W and VA, energy Wh and VAh."""

import numpy as np

from bijlighar.balance.model import Loading
from bijlighar.balance.technical import Reals


def loading(
    *, input_wh: Reals, input_vah: Reals | None, minutes: int, rated_va: int | None, phase_wh: Reals
) -> Loading:
    """
    Return how a transformer was loaded; NaN stands for a step that is not known, `phase_wh` are the phases' energies.

    >>> loading(
    ...     input_wh=np.array([60_000.0, 30_000.0]),
    ...     input_vah=None,
    ...     minutes=30,
    ...     rated_va=100_000,
    ...     phase_wh=np.array([50.0, 30.0, 10.0]),
    ... ).hours_over_rating
    0.5
    """
    measured = np.abs(input_wh) if input_vah is None else input_vah
    load = measured[np.isfinite(measured)] * 60 / minutes
    peak, mean = (float(load.max()), float(load.mean())) if len(load) else (0.0, 0.0)
    factor = None
    if input_vah is not None:
        both = np.isfinite(input_vah) & np.isfinite(input_wh)
        apparent = float(input_vah[both].sum())
        factor = round(float(np.abs(input_wh[both]).sum()) / apparent, 3) if apparent > 0 else None
    middle = float(phase_wh.mean()) if len(phase_wh) else 0.0
    return Loading(
        peak_va=round(peak),
        peak_pct=round(100 * peak / rated_va, 1) if rated_va else None,
        mean_pct=round(100 * mean / rated_va, 1) if rated_va else None,
        hours_over_rating=float((load > rated_va).sum()) * minutes / 60 if rated_va else None,
        power_factor=factor,
        unbalance_pct=round(100 * (float(phase_wh.max()) / middle - 1), 1) if middle > 0 else None,
    )
