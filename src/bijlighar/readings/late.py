"""
What comes late for a sealed month: held apart, each value once, and given back when the month is opened.

Held is what is new or different, beside what stands in the month and what had come late before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import epoch_seconds
from bijlighar.readings import register_store, seal_store
from bijlighar.readings.arrange import Arranged
from bijlighar.readings.covering import covered, days_of_moment
from bijlighar.readings.model import (
    ABSENT,
    CHANNELS,
    Delivery,
    Flags,
    Integers,
    Origin,
    RegisterSnapshot,
    interval_start,
    intervals_per_day,
)
from bijlighar.readings.packing import measured_blobs, unpacked
from bijlighar.readings.rules import StoredDays

#: How many meters are given back at once.
METERS_AT_ONCE = 200


def hold_late(
    connection: Connection, *, arranged: Arranged, stored: StoredDays, seals: Integers, now: datetime
) -> tuple[Arranged, StoredDays, int]:
    """
    Hold apart what was delivered for sealed meter-days; return the rest, and how many intervals were held.

    `seals` names for each row the seal that holds it, 0 for none.
    """
    rows = np.flatnonzero(seals)
    known = _with_late(connection, stored_rows(stored, rows), seals[rows])
    given = arranged_rows(arranged, rows)
    fresh: dict[str, Integers] = {}
    told: Flags = np.zeros(known.quality.shape, dtype=np.bool_)
    for channel, values in given.values.items():
        new = (values != ABSENT) & (values != known.of(channel))
        if new.any():
            fresh[channel] = np.where(new, values, ABSENT)
            told |= new
    _write(connection, known, fresh, np.asarray(told.any(axis=1)), seals[rows], given.origins, now)
    free = np.flatnonzero(seals == 0)
    return arranged_rows(arranged, free), stored_rows(stored, free), int(told.sum())


def hold_late_registers(
    connection: Connection, *, snapshots: Sequence[RegisterSnapshot], now: datetime
) -> tuple[list[RegisterSnapshot], int]:
    """Hold apart the registers of which every day is sealed; return the others, and how many were held."""
    meters: list[str] = []
    days: list[int] = []
    owners: list[int] = []
    for place, snapshot in enumerate(snapshots):
        for day in days_of_moment(seconds=epoch_seconds(snapshot.at)):
            meters.append(snapshot.meter)
            days.append(day)
            owners.append(place)
    seals = covered(connection, meters=meters, days=np.array(days, dtype=np.int32))
    if seals is None:
        return list(snapshots), 0
    of_snapshot: list[list[int]] = [[] for _ in snapshots]
    for owner, seal in zip(owners, seals.tolist(), strict=True):
        of_snapshot[owner].append(seal)
    free = [snapshot for snapshot, own in zip(snapshots, of_snapshot, strict=True) if not all(own)]
    late = [(snapshot, own[0]) for snapshot, own in zip(snapshots, of_snapshot, strict=True) if all(own)]
    return free, _hold_registers(connection, late, now)


def late_values(
    connection: Connection, *, seal: int, meters: Sequence[str]
) -> Iterator[tuple[str, int, int, dict[str, Integers], Origin, tuple[datetime, datetime]]]:
    """
    Yield what came late for a sealed month, by meter, day and interval length.

    It is meter, day, minutes, a row of each channel, the last origin, and when the first and the last of it came.
    """
    together: dict[tuple[str, int, int], list[Any]] = {}
    for row in seal_store.select_late(connection, seals=[seal], meters=meters):
        together.setdefault((row.meter, row.day, row.minutes), []).append(row)
    for (meter, day, minutes), rows in together.items():
        values = _laid_together(rows, minutes)
        times = (min(row.recorded_at for row in rows), max(row.recorded_at for row in rows))
        yield meter, day, minutes, values, Origin(rows[-1].origin), times


def late_deliveries(
    connection: Connection, *, seal: int
) -> Iterator[tuple[list[RegisterSnapshot], list[Delivery]]]:
    """Yield registers and deliveries of what came late for a sealed month, some meters at a time."""
    meters = seal_store.late_meters(connection, seal=seal)
    for begin in range(0, len(meters), METERS_AT_ONCE):
        some = meters[begin : begin + METERS_AT_ONCE]
        snapshots = [
            snapshot
            for _, snapshot, _ in seal_store.select_late_registers(connection, seals=[seal], meters=some)
        ]
        yield (
            snapshots,
            [
                _delivery(meter, day, minutes, values, origin)
                for meter, day, minutes, values, origin, _ in late_values(connection, seal=seal, meters=some)
            ],
        )


def arranged_rows(arranged: Arranged, rows: Integers) -> Arranged:
    """Return some rows of delivered meter-days."""
    return replace(
        arranged,
        meters=tuple(arranged.meters[row] for row in rows.tolist()),
        days=arranged.days[rows],
        values={channel: values[rows] for channel, values in arranged.values.items()},
        origins=tuple(arranged.origins[row] for row in rows.tolist()),
    )


def stored_rows(stored: StoredDays, rows: Integers) -> StoredDays:
    """Return some rows of stored meter-days."""
    return replace(
        stored,
        meters=tuple(stored.meters[row] for row in rows.tolist()),
        days=stored.days[rows],
        versions=stored.versions[rows],
        measured={channel: values[rows] for channel, values in stored.measured.items()},
        overlay={channel: values[rows] for channel, values in stored.overlay.items()},
        quality=stored.quality[rows],
        validated=stored.validated[rows],
        codes=stored.codes[rows],
    )


def _with_late(connection: Connection, stored: StoredDays, seals: Integers) -> StoredDays:
    """Return stored rows with what had come late before in its place; their versions are the held rows'."""
    place = {
        (seal, day, meter): row
        for row, (seal, day, meter) in enumerate(
            zip(seals.tolist(), stored.days.tolist(), stored.meters, strict=True)
        )
    }
    measured = {channel: stored.of(channel).copy() for channel in CHANNELS}
    versions = np.zeros(len(stored.meters), dtype=np.int32)
    wanted = sorted(set(stored.meters))
    for begin in range(0, len(wanted), METERS_AT_ONCE):
        some = wanted[begin : begin + METERS_AT_ONCE]
        numbers = sorted(set(seals.tolist()))
        for row in seal_store.select_late(connection, seals=numbers, minutes=stored.minutes, meters=some):
            at = place.get((row.seal, row.day, row.meter))
            if at is None:
                continue
            held = unpacked([seal_store.packed_row(row)], stored.minutes)
            for channel, values in held.measured.items():
                measured[channel][at] = np.where(values[0] == ABSENT, measured[channel][at], values[0])
            versions[at] = row.version
    return replace(stored, measured=measured, versions=versions)


def _write(
    connection: Connection,
    known: StoredDays,
    fresh: dict[str, Integers],
    chosen: Flags,
    seals: Integers,
    origins: Sequence[Origin],
    now: datetime,
) -> None:
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return
    blobs, codes = measured_blobs(replace(known, measured=fresh, overlay={}), rows)
    seal_store.insert_late(
        connection,
        rows=[
            {
                "seal": int(seals[row]),
                "day": int(known.days[row]),
                "meter": known.meters[row],
                "minutes": known.minutes,
                "version": int(known.versions[row]) + 1,
                "origin": origins[row].value,
                "recorded_at": now,
                "codes": int(codes[place]),
                "measured": blobs[place],
            }
            for place, row in enumerate(rows.tolist())
        ],
    )


def _hold_registers(
    connection: Connection, late: Sequence[tuple[RegisterSnapshot, int]], now: datetime
) -> int:
    rows = []
    known = register_store.load_registers(
        connection, keys=[(snapshot.meter, snapshot.kind, snapshot.at) for snapshot, _ in late]
    )
    standing = {key: snapshot for key, (_, snapshot) in known.items()}
    seals = sorted({seal for _, seal in late})
    meters = sorted({snapshot.meter for snapshot, _ in late})
    for begin in range(0, len(meters), METERS_AT_ONCE):
        some = meters[begin : begin + METERS_AT_ONCE]
        for _, snapshot, _ in seal_store.select_late_registers(connection, seals=seals, meters=some):
            standing[snapshot.meter, snapshot.kind, snapshot.at] = snapshot
    for snapshot, seal in late:
        key = (snapshot.meter, snapshot.kind, snapshot.at)
        earlier = standing.get(key)
        merged = snapshot if earlier is None else register_store.merged(earlier, snapshot)
        if earlier is None or merged != replace(earlier, origin=merged.origin):
            rows.append(seal_store.late_register_row(merged, seal=seal, now=now))
            standing[key] = merged
    if rows:
        seal_store.insert_late_registers(connection, rows=rows)
    return len(rows)


def _laid_together(rows: Sequence[Any], minutes: int) -> dict[str, Integers]:
    """Return the values of the held rows of one meter-day, the later over the earlier."""
    values: dict[str, Integers] = {}
    for row in rows:
        held = unpacked([seal_store.packed_row(row)], minutes)
        for channel, matrix in held.measured.items():
            before = values.get(channel, np.full(matrix.shape[1], ABSENT, dtype=np.int64))
            values[channel] = np.where(matrix[0] == ABSENT, before, matrix[0])
    return values


def _delivery(meter: str, day: int, minutes: int, values: dict[str, Integers], origin: Origin) -> Delivery:
    count = intervals_per_day(minutes)
    starts = interval_start(day, 0, minutes) + minutes * 60 * np.arange(count, dtype=np.int64)
    return Delivery(meter=meter, minutes=minutes, starts=starts, values=values, origin=origin)
