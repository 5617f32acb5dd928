"""
Readings handed out as files, clustered by meter: CSV as the import reads it, and Parquet.

Meters are read a few at a time, so that a file of any length needs the memory of a few meters.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, BinaryIO, TextIO

import numpy as np
from sqlalchemy import Connection

from bijlighar.readings import queries
from bijlighar.readings.errors import MissingExtra
from bijlighar.readings.model import (
    ABSENT,
    CHANNELS,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    DayBlock,
    Flags,
    Integers,
    Qualities,
    Quality,
)
from bijlighar.readings.rules import rows_of

#: How many meter-days are read at once.
DAYS_PER_READ = 4_000
#: How many rows of a Parquet file stand in one group.
ROWS_PER_GROUP = 250_000
COLUMNS = ("meter", "start", "minutes", *CHANNELS)
#: Volt and ampere are stored in hundredths.
HUNDREDTHS = ("volt", "amp")
#: How many digits a decimal of volt and ampere has.
DECIMAL_DIGITS = 18
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """The intervals of one meter and one interval length of which anything is known, by time."""

    meter: str
    minutes: int
    starts: Integers
    values: Mapping[str, Integers]
    quality: Qualities
    versions: Integers

    @property
    def rows(self) -> int:
        """Return the number of intervals."""
        return len(self.starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    What is to be handed out: meters (None: all), IST day numbers, and whether only what the meters said.

    With `as_of` it is what was known at that moment, estimates and edits in their places.
    """

    first: int
    last: int
    meters: tuple[str, ...] | None = None
    is_measured: bool = False
    as_of: datetime | None = None


def runs_of(connection: Connection, *, wish: Wish, progress: Progress) -> Iterator[Run]:
    """Yield what is known, meter by meter; `progress` is told how many meters of how many are read."""
    meters = queries.stored_meters(connection, first=wish.first, last=wish.last)
    if wish.meters is not None:
        wanted = set(wish.meters)
        meters = tuple(meter for meter in meters if meter in wanted)
    at_once = max(DAYS_PER_READ // (wish.last - wish.first + 1), 1)
    for begin in range(0, len(meters), at_once):
        some = meters[begin : begin + at_once]
        if wish.is_measured:
            blocks = queries.raw_days(connection, meters=some, first=wish.first, last=wish.last)
        else:
            blocks = queries.days(connection, meters=some, first=wish.first, last=wish.last, as_of=wish.as_of)
        yield from _runs(some, blocks)
        progress(min(begin + at_once, len(meters)), len(meters))


def write_csv(connection: Connection, *, file: TextIO, wish: Wish, progress: Progress) -> int:
    """Write the intervals as the import reads them (`COLUMNS`, times in IST) and return how many they are."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for run in runs_of(connection, wish=wish, progress=progress):
        local = (run.starts + IST_OFFSET_S).astype("datetime64[s]")
        times = [f"{text}+05:30" for text in np.datetime_as_string(local).tolist()]
        columns = [_cells(run.values[channel], channel) for channel in CHANNELS]
        writer.writerows(zip(repeat(run.meter, run.rows), times, repeat(run.minutes), *columns, strict=False))
        count += run.rows
    return count


def write_parquet(connection: Connection, *, file: BinaryIO, wish: Wish, progress: Progress) -> int:
    """
    Write the intervals as Parquet, sorted by meter and start, with quality and version; return how many they are.

    :raises MissingExtra: if pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("Parquet needs the extra `parquet`: pip install 'bijlighar[parquet]'") from None
    schema = arrow.schema(
        [
            ("meter", arrow.string()),
            ("start", arrow.timestamp("s", tz="UTC")),
            ("minutes", arrow.int16()),
            *(
                (name, arrow.decimal128(DECIMAL_DIGITS, 2) if name in HUNDREDTHS else arrow.int64())
                for name in CHANNELS
            ),
            ("quality", arrow.string()),
            ("version", arrow.int32()),
        ]
    )
    names = arrow.array([quality.name.lower() for quality in Quality])
    waiting: list[Any] = []
    count = pending = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for run in runs_of(connection, wish=wish, progress=progress):
            waiting.append(_table(arrow, schema, names, run))
            count += run.rows
            pending += run.rows
            if pending >= ROWS_PER_GROUP:
                writer.write_table(arrow.concat_tables(waiting), row_group_size=pending)
                waiting, pending = [], 0
        if waiting:
            writer.write_table(arrow.concat_tables(waiting), row_group_size=pending)
    return count


def _table(arrow: Any, schema: Any, names: Any, run: Run) -> Any:  # noqa: ANN401 - pyarrow has no types
    columns = [
        arrow.repeat(arrow.scalar(run.meter), run.rows),
        arrow.array(run.starts).cast(schema.field("start").type),
        arrow.array(np.full(run.rows, run.minutes, dtype=np.int16)),
        *(
            _decimals(arrow, schema.field(name).type, run.values[name])
            if name in HUNDREDTHS
            else arrow.array(run.values[name], mask=run.values[name] == ABSENT)
            for name in CHANNELS
        ),
        names.take(arrow.array(run.quality.astype(np.int64))),
        arrow.array(run.versions.astype(np.int32)),
    ]
    return arrow.Table.from_arrays(columns, schema=schema)


def _decimals(arrow: Any, kind: Any, hundredths: Integers) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return hundredths as decimals of two places: 128 bits each, the low 64 first."""
    present = hundredths != ABSENT
    wide = np.empty((len(hundredths), 2), dtype="<i8")
    wide[:, 0] = np.where(present, hundredths, 0)
    wide[:, 1] = np.where(wide[:, 0] < 0, -1, 0)
    bits = np.packbits(present, bitorder="little").tobytes()
    buffers = [arrow.py_buffer(bits), arrow.py_buffer(wide.tobytes())]
    return arrow.Array.from_buffers(kind, len(hundredths), buffers)


def _runs(meters: Sequence[str], blocks: Sequence[DayBlock]) -> Iterator[Run]:
    places: dict[str, list[tuple[DayBlock, list[int]]]] = {meter: [] for meter in meters}
    for block in blocks:
        own: dict[str, list[int]] = {}
        for row, meter in enumerate(block.meters):
            own.setdefault(meter, []).append(row)
        for meter, rows in own.items():
            places[meter].append((block, rows))
    for meter in meters:
        for block, rows in sorted(places[meter], key=lambda part: int(part[0].days[part[1][0]])):
            run = _run(rows_of(block, np.array(rows, dtype=np.int64)))
            if run.rows:
                yield run


def _run(block: DayBlock) -> Run:
    """Return the rows of one meter, by day, as a run of intervals; those without any value are left out."""
    order = np.argsort(block.days, kind="stable")
    slots = np.arange(block.intervals, dtype=np.int64) * block.minutes * 60 - IST_OFFSET_S
    starts = (block.days[order].astype(np.int64) * SECONDS_PER_DAY)[:, None] + slots
    values = {channel: block.channel(channel)[order].ravel() for channel in CHANNELS}
    known: Flags = np.zeros(starts.size, dtype=np.bool_)
    for matrix in values.values():
        known |= matrix != ABSENT
    return Run(
        meter=block.meters[0],
        minutes=block.minutes,
        starts=starts.ravel()[known],
        values={channel: matrix[known] for channel, matrix in values.items()},
        quality=block.quality[order].ravel()[known],
        versions=np.repeat(block.versions[order].astype(np.int64), block.intervals)[known],
    )


def _cells(values: Integers, channel: str) -> list[object]:
    if channel in HUNDREDTHS:
        return ["" if value == ABSENT else hundredths_text(value) for value in values.tolist()]
    return ["" if value == ABSENT else value for value in values.tolist()]


def hundredths_text(value: int) -> str:
    """
    Return hundredths as a decimal number.

    >>> hundredths_text(23_015), hundredths_text(-5)
    ('230.15', '-0.05')
    """
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 100}.{abs(value) % 100:02}"
