"""Between matrices of meter-days and the packed columns of their rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bijlighar.readings.model import ABSENT, CHANNELS, ENERGY_CHANNELS, Integers, intervals_per_day
from bijlighar.readings.numbering import day_of
from bijlighar.readings.rules import StoredDays, trivial_quality
from bijlighar.storage.packed import CODE_BITS, Codes, pack, unpack

Row = tuple[Any, ...]
#: The columns that `unpacked` takes.
READ = ("meter_day", "meter", "version", "validated_at", "codes", "measured", "laid", "quality")
#: Where the codes of what is laid over the channels of energy begin in `codes`, and the part that lies below.
LAID_SHIFT = CODE_BITS * len(CHANNELS)
MEASURED_MASK = (1 << LAID_SHIFT) - 1


def unpacked(rows: Sequence[Row], minutes: int, *, channels: Sequence[str] = CHANNELS) -> StoredDays:
    """Return rows that begin with the columns `READ`, all of one interval length, as matrices of some channels."""
    count = intervals_per_day(minutes)
    turned = list(zip(*rows, strict=True)) if rows else [()] * len(READ)
    keys, meters, versions, judged, codes_, measured_, laid_, quality_ = turned[: len(READ)]
    codes = np.array(codes_, dtype=np.int64)
    measured = _channels(measured_, codes & MEASURED_MASK, count, CHANNELS, channels)
    overlay = _channels(laid_, codes >> LAID_SHIFT, count, ENERGY_CHANNELS, channels)
    validated = np.array([moment is not None for moment in judged], dtype=np.bool_)
    energy = measured.get("wh_import")
    if energy is None:
        energy = np.full((len(rows), count), ABSENT, dtype=np.int64)
    quality = trivial_quality(energy, validated)
    for row, blob in enumerate(quality_):
        if blob is not None:
            quality[row] = np.frombuffer(blob, dtype=np.uint8)
    return StoredDays(
        minutes=minutes,
        meters=tuple(meters),
        days=day_of(np.array(keys, dtype=np.int64)).astype(np.int32),
        versions=np.array(versions, dtype=np.int32),
        measured=measured,
        overlay=overlay,
        quality=quality,
        validated=validated,
        codes=codes,
    )


def _channels(
    blobs: Sequence[bytes | None], codes: Codes, count: int, names: Sequence[str], wanted: Sequence[str]
) -> dict[str, Integers]:
    """Return the matrices of the wanted ones among the channels that rows are packed of."""
    if not codes.any():
        return {}
    found = unpack(blobs, codes, count, wanted=[name in wanted for name in names])
    return {name: matrix for name, matrix in zip(names, found, strict=True) if matrix is not None}


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


def measured_blobs(days: StoredDays, rows: Integers) -> tuple[list[bytes | None], Codes]:
    """Return the column `measured` of the rows, and its part of `codes`."""
    return _packed(days.measured, CHANNELS, rows)


def laid_blobs(days: StoredDays, rows: Integers) -> tuple[list[bytes | None], Codes]:
    """Return the column `laid` of the rows, and its part of `codes`."""
    blobs, codes = _packed(days.overlay, ENERGY_CHANNELS, rows)
    return blobs, codes << LAID_SHIFT


def _packed(
    values: Mapping[str, Integers], names: Sequence[str], rows: Integers
) -> tuple[list[bytes | None], Codes]:
    if not values:
        return [None] * len(rows), np.zeros(len(rows), dtype=np.int64)
    own = [values.get(name) for name in names]
    return pack(
        [
            matrix if matrix is None or len(matrix) == len(rows) else np.asarray(matrix[rows], dtype=np.int64)
            for matrix in own
        ]
    )


def state_columns(days: StoredDays, rows: Integers) -> list[list[int]]:
    """Return the columns `missing` and `estimated`."""
    energy, over = days.measured.get("wh_import"), days.overlay.get("wh_import")
    every = [days.quality.shape[1]] * len(rows)
    missing = every if energy is None else np.count_nonzero(energy[rows] == ABSENT, axis=1).tolist()
    estimated = [0] * len(rows) if over is None else np.count_nonzero(over[rows] != ABSENT, axis=1).tolist()
    return [missing, estimated]


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
            self._rows.setdefault(day_of(int(row[0])), {})[row[1]] = row

    def days(self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str]) -> StoredDays:
        """Return what is held of the meters on the days `first` to `last`, by day."""
        rows: list[Row] = []
        for day in range(first, last + 1):
            own = self._rows.get(day, {})
            rows += [own[meter] for meter in meters if meter in own]
        return unpacked(rows, self.minutes, channels=channels)

    def rows(self, keys: Sequence[tuple[str, int]], *, channels: Sequence[str]) -> StoredDays:
        """Return the (meter, day) keys in their order; version 0 where nothing is held."""
        held = [self._rows.get(day, {}).get(meter) for meter, day in keys]
        known = [place for place, row in enumerate(held) if row is not None]
        stored = unpacked([row for row in held if row is not None], self.minutes, channels=channels)
        if len(known) == len(keys):
            return stored
        wanted = [(day, meter) for meter, day in keys]
        return spread(stored, np.array(known, dtype=np.int64), wanted, self.minutes)
