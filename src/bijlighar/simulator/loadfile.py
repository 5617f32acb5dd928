"""
Load curves from a file with the columns meter_id, ts and kwh, half-hour by half-hour.

Energy is rounded half up to whole Wh, exactly: a text is read as the decimal number it is, a binary number as the
shortest decimal that names it among the numbers of its own width (a float32 of 0.0865 is 86.5 Wh, so 87 Wh, though
the float32 lies a little beside it). A time without an offset is taken as IST.
"""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import IST, date_of
from bijlighar.simulator.errors import BrokenProfiles
from bijlighar.simulator.model import GAP, INTERVAL_S, INTERVALS_PER_DAY, LoadFile
from bijlighar.simulator.wiring import IST_OFFSET_S, day_of, midnight_s

COLUMNS = ("meter_id", "ts", "kwh")
LONGEST_FILE_DAYS = 800
LARGEST_FILE_ROWS = 60_000_000
_LARGEST_WH = 2_000_000
_WH = Decimal(1000)


def load_profiles(path: Path) -> LoadFile:
    """
    Return the load curves of a CSV or Parquet file.

    :raises BrokenProfiles: if it cannot be read as such.
    """
    if not path.is_file():
        raise BrokenProfiles(f"there is no file {path}")
    if path.suffix.lower() in (".parquet", ".pq"):
        names, seconds, energy_wh = _read_parquet(path)
    else:
        names, seconds, energy_wh = _read_csv(path)
    return _arrange(path, names=names, seconds=seconds, energy_wh=energy_wh)


def whole_wh(kwh: NDArray[np.floating]) -> NDArray[np.int64]:
    """
    Return energies in kWh as whole Wh, each rounded half up as the shortest decimal that names it; NaN is a gap.

    >>> whole_wh(np.array([0.0865, 0.0864999, 0.1, np.nan], dtype=np.float32)).tolist()
    [87, 86, 100, -1]
    """
    different, place = np.unique(kwh, return_inverse=True)
    rounded = [GAP if np.isnan(value) else wh_of(Decimal(str(value))) for value in different]
    table: NDArray[np.int64] = np.array(rounded, dtype=np.int64)[place.reshape(kwh.shape)]
    return table


def wh_of(kwh: Decimal) -> int:
    """
    Return an energy given in kWh as whole Wh, rounded half up.

    >>> wh_of(Decimal("0.0005")), wh_of(Decimal("0.00049"))
    (1, 0)
    """
    return int((kwh * _WH).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _read_parquet(path: Path) -> tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]:
    try:
        import pyarrow as arrow
        from pyarrow import compute, parquet
    except ImportError:
        raise BrokenProfiles(
            f"{path.name} needs the extra `parquet`: pip install 'bijlighar[parquet]'"
        ) from None
    try:
        table = parquet.read_table(path, columns=list(COLUMNS))
    except (arrow.ArrowException, OSError, KeyError, ValueError) as problem:
        raise BrokenProfiles(
            f"{path.name} is no Parquet file with columns meter_id, ts, kwh: {problem}"
        ) from None
    if missing := [column for column in COLUMNS if column not in table.column_names]:
        raise BrokenProfiles(f"{path.name} has no column {missing[0]}; it needs meter_id, ts, kwh")
    if table.num_rows > LARGEST_FILE_ROWS:
        raise BrokenProfiles(f"{path.name} has {table.num_rows} rows; at most {LARGEST_FILE_ROWS} are read")
    times = table.column("ts")
    if not arrow.types.is_timestamp(times.type):
        raise BrokenProfiles(f"column ts of {path.name} holds {times.type}, not times")
    if not arrow.types.is_floating(table.column("kwh").type):
        raise BrokenProfiles(
            f"column kwh of {path.name} holds {table.column('kwh').type}, not floating numbers"
        )
    seconds = compute.cast(
        compute.cast(times, arrow.timestamp("s", tz=times.type.tz), safe=False), arrow.int64()
    )
    stamps = seconds.to_numpy().astype(np.int64)
    if times.type.tz is None:
        stamps = stamps - IST_OFFSET_S
    names = compute.cast(table.column("meter_id"), arrow.string()).to_pylist()
    kwh = table.column("kwh").to_numpy(zero_copy_only=False)
    return names, stamps, whole_wh(kwh)


def _read_csv(path: Path) -> tuple[Sequence[str], NDArray[np.int64], NDArray[np.int64]]:
    names: list[str] = []
    seconds: list[int] = []
    energies: list[int] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise BrokenProfiles(f"{path.name} has no column {missing[0]}; it needs meter_id, ts, kwh")
        for row in reader:
            if len(names) >= LARGEST_FILE_ROWS:
                raise BrokenProfiles(f"{path.name} has more than {LARGEST_FILE_ROWS} rows")
            try:
                kwh = row["kwh"].strip()
                energies.append(wh_of(Decimal(kwh)) if kwh and kwh.lower() != "nan" else GAP)
                seconds.append(_second(row["ts"]))
            except (InvalidOperation, ValueError, AttributeError):
                raise BrokenProfiles(
                    f"line {reader.line_num} of {path.name} is not meter_id, time, kWh: {row['ts']!r}, {row['kwh']!r}"
                ) from None
            names.append(row["meter_id"])
    return names, np.array(seconds, dtype=np.int64), np.array(energies, dtype=np.int64)


def _second(text: str) -> int:
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=IST)
    return int((moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))


def _arrange(
    path: Path, *, names: Sequence[str], seconds: NDArray[np.int64], energy_wh: NDArray[np.int64]
) -> LoadFile:
    """Return the rows as one line per meter."""
    if not len(names):
        raise BrokenProfiles(f"{path.name} has no rows")
    if np.any(seconds % INTERVAL_S):
        raise BrokenProfiles(f"{path.name} has times that are no half-hours; give one row a half-hour")
    if np.any((energy_wh < 0) & (energy_wh != GAP)) or np.any(energy_wh > _LARGEST_WH):
        raise BrokenProfiles(
            f"{path.name} has an energy below 0 or above {_LARGEST_WH // 1000} kWh in a half-hour"
        )
    first, last = day_of(int(seconds.min())), day_of(int(seconds.max()))
    if last - first >= LONGEST_FILE_DAYS:
        raise BrokenProfiles(
            f"{path.name} spans {last - first + 1} days; at most {LONGEST_FILE_DAYS} are read"
        )
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    row = np.array([rows[name] for name in names], dtype=np.intp)
    column = (seconds - midnight_s(first)) // INTERVAL_S
    width = (last - first + 1) * INTERVALS_PER_DAY
    cells = row * width + column
    if len(np.unique(cells)) != len(cells):
        raise BrokenProfiles(f"{path.name} has two rows for one meter and half-hour")
    table = np.full(len(rows) * width, GAP, dtype=np.int32)
    table[cells] = energy_wh
    return LoadFile(names=tuple(rows), first_day=date_of(first), energy_wh=table.reshape(len(rows), width))
