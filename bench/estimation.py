"""
Measure the estimation of missing half-hours on 622 real homes (EDRP): masked, estimated, compared.

The methods were tuned on EDRP001 to 311 and are reported on EDRP312 to 622. Gaps begin at seeded moments; 28 days
before and three after the gap's last day are known, as they are when a gap is estimated in the field. With registers,
those at the midnights around the gap are known, and every method is brought to their difference by the same sharing.

    python bench/estimation.py ../shared/data/intervals/edrp_622_halfhourly.parquet [--homes 0-311] [--format json]
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from pyarrow import parquet

from bijlighar.readings.model import ABSENT
from bijlighar.validation.estimation import distribute, estimate

SEED = 20_260_401
CLASSES = {1: 60, 4: 30, 48: 10, 336: 4}
BEFORE_DAYS, AFTER_DAYS = 28, 3
HALF_HOURS = 48
#: Fading of the interpolation in the optimally weighted average, tuned like ours.
OWA_REACH = 3.0
#: A meter without a past: so many half-hours of it are known, and so many homes share its transformer.
NEW_KNOWN, GROUP = 12, 20
NAMES = ("linear", "same day last week", "optimally weighted average", "ours")


def homes(path: Path, first: int, last: int) -> np.ndarray:
    column = parquet.read_table(path, columns=["kwh"])["kwh"].to_numpy().astype(np.float64)
    wh = np.floor(column * 1_000 + 0.5).astype(np.int64)
    return wh.reshape(622, -1)[first:last]


def baselines(line: np.ndarray, start: int, length: int) -> dict[str, np.ndarray]:
    """Linear, same day last week, and the optimally weighted average of line and history (Peppanen et al. 2016)."""
    places = np.arange(length)
    part = (places + 1) / (length + 1)
    linear = line[start - 1] * (1 - part) + line[start + length] * part
    week = 7 * HALF_HOURS
    back = start + places - week * np.where(places < week, 1, 1 + places // week)
    history = []
    last = ((start + length) // HALF_HOURS + AFTER_DAYS + 1) * HALF_HOURS
    for days in (*range(-BEFORE_DAYS, 0), *range(1, AFTER_DAYS + 9)):
        at = start + places + days * HALF_HOURS
        usable = (at >= 0) & (at < last) & ((at < start) | (at >= start + length))
        history.append(np.where(usable, line[np.clip(at, 0, len(line) - 1)], np.nan))
    share = np.exp(-np.minimum(places + 1, length - places) / OWA_REACH)
    return {
        "linear": linear,
        "same day last week": line[back].astype(np.float64),
        "optimally weighted average": share * linear + (1 - share) * np.nanmean(history, axis=0),
    }


def ours(lines: np.ndarray, starts: np.ndarray, length: int, *, registers: bool) -> np.ndarray:
    days = lines.shape[1] // HALF_HOURS
    known = lines.copy()
    targets = np.zeros(lines.shape, dtype=np.bool_)
    sums = np.full((len(lines), days + 1), ABSENT, dtype=np.int64)
    for row, start in enumerate(starts.tolist()):
        targets[row, start : start + length] = True
        end = (start + length - 1) // HALF_HOURS + 1
        known[row, (end + AFTER_DAYS) * HALF_HOURS :] = ABSENT
        if registers:
            for day in (start // HALF_HOURS, end):
                sums[row, day] = lines[row, : day * HALF_HOURS].sum()
    known[targets] = ABSENT
    shape = (len(lines), days, HALF_HOURS)
    found = estimate(
        known=known.reshape(shape),
        targets=targets.reshape(shape),
        registers=sums,
        elsewhere=np.zeros((len(lines), days), dtype=np.int64),
        history_days=BEFORE_DAYS,
        tolerance=np.ones(len(lines), dtype=np.int64),
    )
    values = found.values.reshape(lines.shape)
    return np.stack([values[row, start : start + length] for row, start in enumerate(starts.tolist())])


def scaled(values: np.ndarray, total: int) -> np.ndarray:
    return distribute(total=total, weights=np.rint(np.maximum(values, 0) * 1_000).astype(np.int64))


def measure(data: np.ndarray, length: int, rounds: int) -> dict[str, dict[str, float]]:
    draw = np.random.default_rng([SEED, length])
    errors: dict[str, dict[str, float]] = {kind: dict.fromkeys(NAMES, 0.0) for kind in ("alone", "registers")}
    bias = {kind: dict.fromkeys(NAMES, 0.0) for kind in errors}
    last = data.shape[1] - (AFTER_DAYS + 1) * HALF_HOURS - length
    true = 0
    for _ in range(rounds):
        starts = draw.integers(BEFORE_DAYS * HALF_HOURS, last, len(data))
        mine = {
            "alone": ours(data, starts, length, registers=False),
            "registers": ours(data, starts, length, registers=True),
        }
        for row, start in enumerate(starts.tolist()):
            truth = data[row, start : start + length]
            true += int(truth.sum())
            for name, values in baselines(data[row], start, length).items():
                for kind, told in (("alone", values), ("registers", scaled(values, int(truth.sum())))):
                    errors[kind][name] += np.abs(told - truth).sum()
                    bias[kind][name] += (told - truth).sum()
            for kind, told in mine.items():
                errors[kind]["ours"] += np.abs(told[row] - truth).sum()
                bias[kind]["ours"] += (told[row] - truth).sum()
    count = rounds * len(data) * length
    return {
        kind: {name: round(float(total) / count, 2) for name, total in totals.items()}
        | {"bias of ours [%]": round(100 * float(bias[kind]["ours"]) / true, 1)}
        for kind, totals in errors.items()
    }


def measure_newcomers(data: np.ndarray) -> dict[str, dict[str, float]]:
    """
    Mean absolute error for meters without a past, beside neighbours: home by home in groups that share a transformer.

    Each home is hung at noon of a seeded day, known for `NEW_KNOWN` half-hours and then silent for the rest of that
    day and the next. The flat mean of what is known stands beside; with registers both sum to the truth.
    """
    draw = np.random.default_rng([SEED, NEW_KNOWN])
    errors: dict[str, dict[str, float]] = {
        kind: {"flat mean": 0.0, "neighbours": 0.0} for kind in ("alone", "registers")
    }
    count = 0
    noon, days = HALF_HOURS // 2, data.shape[1] // HALF_HOURS
    for first in range(0, len(data) - GROUP + 1, GROUP):
        group = data[first : first + GROUP, : days * HALF_HOURS].reshape(GROUP, days, HALF_HOURS)
        for row in range(GROUP):
            day = int(draw.integers(BEFORE_DAYS, days - 2))
            own = group[row, day : day + 2]
            known = np.full((1, 2, HALF_HOURS), ABSENT, dtype=np.int64)
            known[0, 0, noon : noon + NEW_KNOWN] = own[0, noon : noon + NEW_KNOWN]
            targets = np.zeros(known.shape, dtype=np.bool_)
            targets[0, 0, noon + NEW_KNOWN :] = targets[0, 1] = True
            others = np.delete(group[:, day : day + 2], row, axis=0)
            truth = own[targets[0]]
            total = int(truth.sum())
            flat = np.full(len(truth), own[0, noon : noon + NEW_KNOWN].mean())
            found = estimate(
                known=known,
                targets=targets,
                registers=np.full((1, 3), ABSENT, dtype=np.int64),
                elsewhere=np.zeros((1, 2), dtype=np.int64),
                history_days=BEFORE_DAYS,
                tolerance=np.ones(1, dtype=np.int64),
                neighbours=(others.sum(axis=0) * 1_000 // len(others))[None],
            ).values[targets]
            for name, values in (("flat mean", flat), ("neighbours", found)):
                errors["alone"][name] += float(np.abs(values - truth).sum())
                errors["registers"][name] += float(np.abs(scaled(values, total) - truth).sum())
            count += len(truth)
    return {
        kind: {name: round(total / count, 1) for name, total in told.items()} for kind, told in errors.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--homes", default="311-622", help="places of the homes, from-to, the end not included"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    options = parser.parse_args()
    first, last = (int(place) for place in options.homes.split("-"))
    data = homes(options.file, first, last)
    result = {length: measure(data, length, rounds) for length, rounds in CLASSES.items()}
    newcomers = measure_newcomers(data)
    if options.format == "json":
        print(
            json.dumps(
                {
                    "seed": SEED,
                    "homes": options.homes,
                    "mean_absolute_error_wh": result,
                    "newcomers_mean_absolute_error_wh": newcomers,
                }
            )
        )
        return 0
    columns = (*NAMES, "bias of ours [%]")
    print("| half-hours | registers | " + " | ".join(columns) + " |")
    print("|---|---|" + "---|" * len(columns))
    for length, kinds in result.items():
        for kind, told in kinds.items():
            cells = " | ".join(f"{told[name]:.1f}" for name in columns)
            print(f"| {length} | {'yes' if kind == 'registers' else 'no'} | {cells} |")
    print()
    print("| meters without a past, registers | flat mean | neighbours |")
    print("|---|---|---|")
    for kind, told in newcomers.items():
        cells = " | ".join(f"{error:.1f}" for error in told.values())
        print(f"| {'yes' if kind == 'registers' else 'no'} | {cells} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
