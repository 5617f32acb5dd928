"""Between matrices of meter-days and the packed columns of their rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bijlighar.readings.model import ABSENT, CHANNELS, ENERGY_CHANNELS, Integers, intervals_per_day
from bijlighar.readings.rules import StoredDays, trivial_quality
from bijlighar.storage.packed import CODE_BITS, pack, unpack

Row = tuple[Any, ...]
#: What stands over the measured channels of energy.
ESTIMATES = tuple(f"{channel}_estimate" for channel in ENERGY_CHANNELS)
#: The packed columns, in the order of their codes.
PACKED = (*CHANNELS, *ESTIMATES)
#: The columns that `unpacked` takes.
READ = ("day", "meter", "minutes", "version", "validated", "codes", *PACKED, "quality")
#: The part of `codes` that tells of the measured channels.
MEASURED_MASK = (1 << CODE_BITS * len(CHANNELS)) - 1
_CODE_MASK = (1 << CODE_BITS) - 1
_CODES_AT = READ.index("codes")


def unpacked(rows: Sequence[Row], minutes: int, *, channels: Sequence[str] = CHANNELS) -> StoredDays:
    """Return rows of the columns `READ`, all of one interval length, as matrices of some channels."""
    count = intervals_per_day(minutes)
    turned = list(zip(*rows, strict=True)) if rows else [()] * len(READ)
    codes = np.array(turned[_CODES_AT], dtype=np.int64)
    matrices: dict[str, Integers] = {}
    for place, name in enumerate(PACKED):
        if name.removesuffix("_estimate") not in channels:
            continue
        own = (codes >> (CODE_BITS * place)) & _CODE_MASK
        if own.any():
            matrices[name] = unpack(turned[_CODES_AT + 1 + place], own, count)
    measured = {name: matrices[name] for name in CHANNELS if name in matrices}
    overlay = {
        name: matrices[f"{name}_estimate"] for name in ENERGY_CHANNELS if f"{name}_estimate" in matrices
    }
    validated = np.array(turned[4], dtype=np.bool_)
    energy = measured.get("wh_import")
    if energy is None:
        energy = np.full((len(rows), count), ABSENT, dtype=np.int64)
    quality = trivial_quality(energy, validated)
    for row, blob in enumerate(turned[-1]):
        if blob is not None:
            quality[row] = np.frombuffer(blob, dtype=np.uint8)
    return StoredDays(
        minutes=minutes,
        meters=tuple(turned[1]),
        days=np.array(turned[0], dtype=np.int32),
        versions=np.array(turned[3], dtype=np.int32),
        measured=measured,
        overlay=overlay,
        quality=quality,
        validated=validated,
        codes=codes,
    )


def spread(stored: StoredDays, rows: Integers, keys: Sequence[tuple[int, str]], minutes: int) -> StoredDays:
    """Return `stored` with its rows at the places `rows` among the keys, and empty rows of version 0 between."""
    shape = (len(keys), intervals_per_day(minutes))

    def placed(matrix: Integers) -> Integers:
        wide = np.full(shape, ABSENT, dtype=np.int64)
        wide[rows] = matrix
        return wide

    quality = np.zeros(shape, dtype=np.uint8)
    quality[rows] = stored.quality
    versions = np.zeros(len(keys), dtype=np.int32)
    versions[rows] = stored.versions
    validated = np.zeros(len(keys), dtype=np.bool_)
    validated[rows] = stored.validated
    codes = np.zeros(len(keys), dtype=np.int64)
    codes[rows] = stored.codes
    return StoredDays(
        minutes=minutes,
        meters=tuple(meter for _, meter in keys),
        days=np.array([day for day, _ in keys], dtype=np.int32),
        versions=versions,
        measured={name: placed(matrix) for name, matrix in stored.measured.items()},
        overlay={name: placed(matrix) for name, matrix in stored.overlay.items()},
        quality=quality,
        validated=validated,
        codes=codes,
    )


def packed_columns(
    days: StoredDays, rows: Integers, names: Sequence[str]
) -> tuple[list[list[bytes | None]], Integers]:
    """Return the packed columns of the rows and their codes, the first name's in the lowest bits."""
    columns: list[list[bytes | None]] = []
    codes = np.zeros(len(rows), dtype=np.int64)
    for place, name in enumerate(names):
        estimate = name.endswith("_estimate")
        source: Mapping[str, Integers] = days.overlay if estimate else days.measured
        matrix = source.get(name.removesuffix("_estimate") if estimate else name)
        if matrix is None:
            columns.append([None] * len(rows))
            continue
        blobs, own = pack(matrix if len(rows) == len(matrix) else matrix[rows])
        columns.append(blobs)
        codes |= own << (CODE_BITS * place)
    return columns, codes


def state_columns(days: StoredDays, rows: Integers) -> list[list[Any]]:
    """Return the columns `validated`, `missing` and `estimated`."""
    missing = (days.of("wh_import")[rows] == ABSENT).sum(axis=1)
    over = days.overlay.get("wh_import")
    estimated = np.zeros(len(rows), dtype=np.int64) if over is None else (over[rows] != ABSENT).sum(axis=1)
    return [days.validated[rows].tolist(), missing.tolist(), estimated.tolist()]


def quality_blobs(days: StoredDays, rows: Integers) -> list[bytes | None]:
    """Return the column `quality`: None where it follows from presence and validity."""
    quality = days.quality[rows]
    plain = (quality == trivial_quality(days.of("wh_import")[rows], days.validated[rows])).all(axis=1)
    blobs: list[bytes | None] = [None] * len(rows)
    for row in np.flatnonzero(~plain).tolist():
        blobs[row] = quality[row].tobytes()
    return blobs


class PackedDays:
    """Packed rows in memory, of one interval length, by IST day number and meter; each answer unpacks anew."""

    def __init__(self, rows: Sequence[Row], minutes: int) -> None:
        """Hold rows of the columns `READ`."""
        self.minutes = minutes
        self._rows: dict[int, dict[str, Row]] = {}
        for row in rows:
            self._rows.setdefault(row[0], {})[row[1]] = row

    def days(self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str]) -> StoredDays:
        """Return what is held of the meters on the days `first` to `last`, by day."""
        rows: list[Row] = []
        for day in range(first, last + 1):
            own = self._rows.get(day, {})
            rows += [own[meter] for meter in meters if meter in own]
        return unpacked(rows, self.minutes, channels=channels)

    def rows(self, keys: Sequence[tuple[str, int]]) -> StoredDays:
        """Return the (meter, day) keys in their order; version 0 where nothing is held."""
        held = [self._rows.get(day, {}).get(meter) for meter, day in keys]
        known = [place for place, row in enumerate(held) if row is not None]
        stored = unpacked([row for row in held if row is not None], self.minutes)
        wanted = [(day, meter) for meter, day in keys]
        return spread(stored, np.array(known, dtype=np.int64), wanted, self.minutes)
