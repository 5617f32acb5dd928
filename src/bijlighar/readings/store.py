"""The packed meter-days, their history and the findings of deliveries: SQL, private to this room."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice, repeat
from typing import Any

import numpy as np
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Select,
    SmallInteger,
    String,
    Table,
    func,
    null,
    select,
    union_all,
)

from bijlighar.readings.model import (
    CHANNELS,
    MINUTES_PER_DAY,
    Flags,
    Integers,
    Origin,
)
from bijlighar.readings.packing import (
    ESTIMATES,
    MEASURED_MASK,
    PACKED,
    READ,
    Row,
    packed_columns,
    quality_blobs,
    spread,
    state_columns,
    unpacked,
)
from bijlighar.readings.rules import StoredDays
from bijlighar.storage import bulk
from bijlighar.storage.append_only import append_only
from bijlighar.storage.packed import CODE_BITS
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import among

METERS_PER_SELECT = 5_000
#: A writer that waited its turn may name an earlier moment; no version is told before the one it follows.
RISING = ("recorded_at",)


def _packed_columns() -> tuple[Column[Any], ...]:
    return (
        Column("recorded_at", Moment, nullable=False),
        Column("origin", String(8), nullable=False),
        Column("validated", Boolean, nullable=False),
        Column("missing", SmallInteger, nullable=False),
        Column("estimated", SmallInteger, nullable=False),
        Column("codes", Whole, nullable=False),
        *(Column(name, LargeBinary) for name in PACKED),
        Column("quality", LargeBinary),
    )


_COMMON = ("recorded_at", "origin", "validated", "missing", "estimated", "codes", *PACKED, "quality")
_LEAN = ("recorded_at", "origin", "validated", "missing", "estimated", "codes", *ESTIMATES, "quality")

# `missing` counts the intervals without a measured wh_import, `estimated` those with something laid over it.
day_table = Table(
    "readings_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("meter", String(32), primary_key=True),
    Column("minutes", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("sequence", Whole, nullable=False),
    *_packed_columns(),
    sqlite_with_rowid=False,
)
Index("ix_readings_day_sequence", day_table.c.sequence)
Index("ix_readings_day_meter", day_table.c.meter, day_table.c.day)
_has_estimates = day_table.c.estimated > 0
Index(
    "ix_readings_day_estimated",
    *(day_table.c.meter, day_table.c.day),
    sqlite_where=_has_estimates,
    postgresql_where=_has_estimates,
)

# A row whose measured channels did not change with the next version is `lean`: they stand in that next version.
history_table = append_only(
    Table(
        "readings_day_history",
        metadata,
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("meter", String(32), primary_key=True),
        Column("minutes", SmallInteger, primary_key=True, autoincrement=False),
        Column("version", Integer, primary_key=True, autoincrement=False),
        *_packed_columns(),
        Column("replaced_at", Moment, nullable=False),
        Column("lean", Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
)


def load_days(
    connection: Connection, *, keys: Sequence[tuple[int, str]], minutes: int, lock: bool = True
) -> StoredDays:
    """Return the stored rows of (day, meter) keys in the order of the keys; a missing one has version 0."""
    wanted = [(day, meter, minutes) for day, meter in keys]
    found = bulk.fetch_rows(connection, table=day_table, columns=READ, keys=wanted, lock=lock)
    place = {key: row for row, key in enumerate(keys)}
    if len(found) == len(keys):
        ordered: list[Row] = [()] * len(keys)
        for row in found:
            ordered[place[row[0], row[1]]] = row
        return unpacked(ordered, minutes)
    stored = unpacked(found, minutes)
    rows = np.array([place[row[0], row[1]] for row in found], dtype=np.int64)
    return spread(stored, rows, keys, minutes)


def write_days(
    connection: Connection,
    *,
    days: StoredDays,
    chosen: Flags,
    origins: Sequence[Origin],
    sequences: Iterable[int],
    now: datetime,
) -> None:
    """Write the chosen rows as new versions with these sequence numbers; the old rows go to the history whole."""
    rows = np.flatnonzero(chosen)
    keys = _keys(days, rows)
    known = [key for key, version in zip(keys, days.versions[rows].tolist(), strict=True) if version > 0]
    _to_history(connection, keys=known, columns=("version", *_COMMON), lean=False, now=now)
    blobs, codes = packed_columns(days, rows, PACKED)
    columns = ("day", "meter", "minutes", "version", "sequence", *_COMMON)
    lists: list[Iterable[Any]] = [
        *zip(*keys, strict=True),
        (days.versions[rows] + 1).tolist(),
        islice(sequences, len(rows)),
        [now] * len(rows),
        [origins[row].value for row in rows.tolist()],
        *state_columns(days, rows),
        codes.tolist(),
        *blobs,
        quality_blobs(days, rows),
    ]
    bulk.upsert_rows(
        connection, table=day_table, columns=columns, rows=list(zip(*lists, strict=True)), rising=RISING
    )


def write_overlays(
    connection: Connection,
    *,
    days: StoredDays,
    chosen: Flags,
    now: datetime,
    origin: Origin = Origin.ESTIMATE,
) -> None:
    """
    Write validity, quality and estimates of the chosen rows as new versions; the measured channels are not touched.

    Rows of version 0 are new: a day that never came, told by `origin`. Nothing came from outside, so the sequence
    number of a new row is 0 and that of the others stays.
    """
    rows = np.flatnonzero(chosen & (days.versions > 0))
    keys = _keys(days, rows)
    _to_history(connection, keys=keys, columns=("version", *_LEAN), lean=True, now=now)
    blobs, codes = packed_columns(days, rows, ESTIMATES)
    columns = ("version", "recorded_at", "validated", "missing", "estimated", "codes", *ESTIMATES, "quality")
    lists: list[Iterable[Any]] = [
        *(zip(*keys, strict=True) if keys else ((), (), ())),
        (days.versions[rows] + 1).tolist(),
        [now] * len(rows),
        *state_columns(days, rows),
        (codes << (CODE_BITS * len(CHANNELS)) | days.codes[rows] & MEASURED_MASK).tolist(),
        *blobs,
        quality_blobs(days, rows),
    ]
    key = ("day", "meter", "minutes")
    bulk.update_rows(
        connection,
        table=day_table,
        key=key,
        columns=columns,
        rows=list(zip(*lists, strict=True)),
        rising=RISING,
    )
    fresh = chosen & (days.versions == 0)
    if fresh.any():
        origins = [origin] * len(days.meters)
        write_days(connection, days=days, chosen=fresh, origins=origins, sequences=repeat(0), now=now)


def select_days(
    connection: Connection, *, meters: Sequence[str] | None, first: int, last: int, channels: Sequence[str]
) -> dict[int, list[Row]]:
    """
    Return the current rows of the days `first` to `last`, by interval length, ordered by meter and day.

    The packed columns of other than these channels are left out (None).
    """
    left_out = {name for name in CHANNELS if name not in channels}
    columns = [null().label(name) if name in left_out else day_table.c[name] for name in READ]
    base = select(*columns)
    found: list[Row] = []
    if meters is None:
        found.extend(bulk.fetched(connection.execute(base.where(day_table.c.day.between(first, last)))))
    else:
        wanted = sorted(set(meters))
        days = list(range(first, last + 1))  # a list, so that (day, meter) leads straight to each row
        for begin in range(0, len(wanted), METERS_PER_SELECT):
            some = wanted[begin : begin + METERS_PER_SELECT]
            statement = base.where(among(connection, day_table.c.meter, some), day_table.c.day.in_(days))
            found.extend(bulk.fetched(connection.execute(statement)))
    return _by_minutes(found)


def select_changed(connection: Connection, *, after: int, limit: int) -> tuple[dict[int, list[Row]], int]:
    """Return about `limit` rows whose sequence number is above `after`, in its order, and the last number."""
    columns = [day_table.c[name] for name in READ]
    base = select(day_table.c.sequence, *columns).order_by(day_table.c.sequence)
    found = bulk.fetched(connection.execute(base.where(day_table.c.sequence > after).limit(limit)))
    if not found:
        return {}, after
    last = found[-1][0]
    if len(found) == limit:  # rows may share a number; none of them is left behind
        found = [row for row in found if row[0] != last]
        found.extend(bulk.fetched(connection.execute(base.where(day_table.c.sequence == last))))
    return _by_minutes([row[1:] for row in found]), last


def select_days_as_of(
    connection: Connection, *, meters: Sequence[str] | None, first: int, last: int, moment: datetime
) -> dict[int, list[Row]]:
    """Return the rows as they were at `moment`, by interval length, ordered by meter and day."""
    names = [*READ, "recorded_at"]
    versions: dict[tuple[int, str, int], list[dict[str, Any]]] = {}
    for table in (day_table, history_table):
        columns = [table.c[name] for name in names]
        if table is history_table:
            columns.append(history_table.c.lean)
        statement = select(*columns).where(table.c.day.between(first, last))
        if meters is not None:
            statement = statement.where(table.c.meter.in_(sorted(set(meters))))
        for found_row in connection.execute(statement).mappings():
            key = (found_row["day"], found_row["meter"], found_row["minutes"])
            versions.setdefault(key, []).append(dict(found_row))
    found: list[Row] = []
    for rows in versions.values():
        chosen: dict[str, Any] | None = None
        rows.sort(key=lambda row: -row["version"])
        above: dict[str, Any] = {}
        for row in rows:
            if row.get("lean"):
                row.update({name: above[name] for name in CHANNELS})
            above = row
            if chosen is None and row["recorded_at"] <= moment:
                chosen = row
        if chosen is not None:
            found.append(tuple(chosen[name] for name in READ))
    return _by_minutes(found)


def select_touched(connection: Connection, *, meter_days: Sequence[tuple[str, int]], reach: int) -> list[Row]:
    """
    Return the keys of the rows that a register of (meter, day) concerns.

    They are the day it opens, the day it closes, and the days within `reach` of it that hold estimates.
    """
    wanted = [
        (at, meter, minutes) for meter, day in meter_days for at in (day - 1, day) for minutes in (15, 30)
    ]
    found = set(
        bulk.fetch_rows(
            connection, table=day_table, columns=("day", "meter", "minutes"), keys=wanted, lock=True
        )
    )
    spans: dict[str, tuple[int, int]] = {}
    for meter, day in meter_days:
        low, high = spans.get(meter, (day, day))
        spans[meter] = (min(low, day - reach), max(high, day + reach))
    meters = sorted(spans)
    key = (day_table.c.day, day_table.c.meter, day_table.c.minutes)
    for begin in range(0, len(meters), METERS_PER_SELECT):
        some = meters[begin : begin + METERS_PER_SELECT]
        for row in connection.execute(
            select(*key).where(_has_estimates, among(connection, day_table.c.meter, some))
        ):
            low, high = spans[row.meter]
            if low <= row.day <= high:
                found.add(tuple(row))
    return sorted(found)


def renumber(connection: Connection, *, keys: Sequence[Row], first: int) -> None:
    """Give the rows of (day, meter, minutes) keys sequence numbers from `first`, without a new version."""
    rows = [(*key, first + place) for place, key in enumerate(keys)]
    columns = ("day", "meter", "minutes")
    bulk.update_rows(connection, table=day_table, key=columns, columns=("sequence",), rows=rows)


def select_present(connection: Connection, *, first: int, last: int) -> list[Row]:
    """Return (meter, day) of the days whose intervals were all measured."""
    statement = select(day_table.c.meter, day_table.c.day).where(
        day_table.c.day.between(first, last), day_table.c.missing == 0
    )
    return bulk.fetched(connection.execute(statement))


def complete_statement(*, first: int, last: int, complete_pct: Decimal) -> Select[Any]:
    """
    Return the SELECT of (meter, day, moment) when so much of a day's intervals [%] was first stored as measured.

    A version that was replaced counts as it stood; of two interval lengths of one day the earlier moment counts.
    """
    minutes_missing = int(MINUTES_PER_DAY * (100 - complete_pct) / 100)
    parts = []
    for table in (day_table, history_table):
        parts.append(
            select(table.c.meter, table.c.day, table.c.recorded_at).where(
                table.c.day.between(first, last), table.c.missing * table.c.minutes <= minutes_missing
            )
        )
    versions = union_all(*parts).subquery("versions")
    return select(versions.c.meter, versions.c.day, func.min(versions.c.recorded_at).label("at")).group_by(
        versions.c.meter, versions.c.day
    )


def select_edges(connection: Connection, *, meters: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return (meter, first day, last day) of the days of which anything was measured."""
    found: list[tuple[str, int, int]] = []
    day = day_table.c.day
    for begin in range(0, len(meters), METERS_PER_SELECT):
        statement = (
            select(day_table.c.meter, func.min(day), func.max(day))
            .where(
                among(connection, day_table.c.meter, meters[begin : begin + METERS_PER_SELECT]),
                day_table.c.missing * day_table.c.minutes < MINUTES_PER_DAY,
            )
            .group_by(day_table.c.meter)
        )
        found.extend((meter, first, last) for meter, first, last in connection.execute(statement))
    return found


def select_meters(connection: Connection, *, first: int, last: int) -> tuple[str, ...]:
    """Return the meters of which anything is stored on some days, in their order."""
    statement = select(day_table.c.meter).where(day_table.c.day.between(first, last)).distinct()
    return tuple(sorted(row.meter for row in connection.execute(statement)))


def select_ends(connection: Connection, *, meter: str | None = None) -> tuple[int, int] | None:
    """Return the first and the last day of which anything is stored (of one meter)."""
    statement = select(func.min(day_table.c.day), func.max(day_table.c.day))
    if meter is not None:
        statement = statement.where(day_table.c.meter == meter)
    first, last = connection.execute(statement).one()
    return None if first is None else (first, last)


def _keys(days: StoredDays, rows: Integers) -> list[tuple[int, str, int]]:
    numbers = days.days.tolist()
    return [(numbers[row], days.meters[row], days.minutes) for row in rows.tolist()]


def _to_history(
    connection: Connection, *, keys: Sequence[Row], columns: Sequence[str], lean: bool, now: datetime
) -> None:
    extra: dict[str, Any] = {"replaced_at": now, "lean": lean}
    bulk.copy_rows(
        connection,
        source=day_table,
        target=history_table,
        columns=("day", "meter", "minutes", *columns),
        extra=extra,
        keys=keys,
    )


def _by_minutes(rows: Iterable[Row]) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row[2], []).append(row)
    for group in grouped.values():
        group.sort(key=lambda row: (row[1], row[0]))
    return dict(sorted(grouped.items()))
