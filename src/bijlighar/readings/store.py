"""The packed meter-days, their history and the findings of deliveries: SQL, private to this room."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import compress, islice, repeat
from operator import itemgetter
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
    select,
    union_all,
    update,
)

from bijlighar.readings import meter_store
from bijlighar.readings.model import (
    ABSENT,
    CHANNELS,
    INTERVAL_MINUTES,
    MINUTES_PER_DAY,
    Days,
    Flags,
    Integers,
    Origin,
)
from bijlighar.readings.numbering import day_of, days_between, meter_day_of, minutes_of
from bijlighar.readings.packing import (
    MEASURED_MASK,
    READ,
    Row,
    laid_blobs,
    measured_blobs,
    quality_blobs,
    spread,
    state_columns,
    unpacked,
)
from bijlighar.readings.rules import StoredDays
from bijlighar.storage import bulk
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import among

#: Where at least one of so many meter-days between the first and the last is wanted, all between are read.
DENSE = 4
#: Of fewer meter-days a day each is looked up: one statement for all is better than one a day.
LOOKED_UP_MAX = 16
KEYS_PER_SELECT = 5_000
#: A writer that waited its turn may name an earlier moment; no version is told before the one it follows.
RISING = ("recorded_at",)


def _packed_columns(*, is_history: bool) -> tuple[Column[Any], ...]:
    return (
        Column("recorded_at", Moment, nullable=False),
        Column("validated_at", Moment),
        Column("codes", Whole, nullable=False),
        Column("version", Integer, nullable=False, primary_key=is_history, autoincrement=False),
        Column("missing", SmallInteger, nullable=False),
        Column("estimated", SmallInteger, nullable=False),
        Column("meter", String(32), nullable=False),
        Column("origin", String(8), nullable=False),
        Column("measured", LargeBinary),
        Column("laid", LargeBinary),
        Column("quality", LargeBinary),
    )


_STATE = ("recorded_at", "validated_at", "codes", "version", "missing", "estimated", "meter", "origin")
_COMMON = (*_STATE, "measured", "laid", "quality")
_LEAN = (*_STATE, "laid", "quality")

# `meter_day` is a number of `numbering`. `validated_at` tells when validation first agreed with this version as it
# is. `missing` counts the intervals without a measured wh_import, `estimated` those with something laid over it;
# `measured` and `laid` hold the channels one after the other, as `codes` says.
day_table = Table(
    "readings_day",
    metadata,
    Column("meter_day", Whole, primary_key=True, autoincrement=False),
    Column("sequence", Whole, nullable=False),
    *_packed_columns(is_history=False),
)
Index("ix_readings_day_sequence", day_table.c.sequence)
_has_estimates = day_table.c.estimated > 0
Index(
    "ix_readings_day_estimated",
    day_table.c.meter,
    sqlite_where=_has_estimates,
    postgresql_where=_has_estimates,
)

# A row whose measured channels did not change with the next version is `lean`: they stand in that next version.
history_table = append_only(
    Table(
        "readings_day_history",
        metadata,
        Column("meter_day", Whole, primary_key=True, autoincrement=False),
        *_packed_columns(is_history=True),
        Column("replaced_at", Moment, nullable=False),
        Column("lean", Boolean, nullable=False),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class States:
    """
    What stands of some meter-days beside their values, in the order in which they were asked for.

    versions: 0 where nothing is stored; settled: validated, with nothing laid over, and the quality follows from what
    was measured.
    """

    versions: Days
    settled: Flags


def keys_of(connection: Connection, *, keys: Sequence[tuple[int, str]], minutes: int) -> Integers:
    """Return the numbers of (day, meter) keys; those of a meter that is not known are of no meter-day at all."""
    numbers = meter_store.array_of(meter_store.known_numbers(connection), [meter for _, meter in keys])
    return meter_day_of(days=[day for day, _ in keys], numbers=numbers, minutes=minutes)


def load_days(
    connection: Connection,
    *,
    keys: Sequence[tuple[int, str]],
    minutes: int,
    lock: bool = True,
    channels: Sequence[str] = CHANNELS,
) -> StoredDays:
    """Return the stored rows of (day, meter) keys in the order of the keys; a missing one has version 0."""
    wanted = keys_of(connection, keys=keys, minutes=minutes)
    found = _fetch(connection, READ, wanted, lock=lock)
    rows = _places(wanted, found)
    if len(found) == len(keys):
        ordered = [found[place] for place in np.argsort(rows).tolist()]
        return unpacked(ordered, minutes, channels=channels)
    return spread(unpacked(found, minutes, channels=channels), rows, keys, minutes)


def load_states(connection: Connection, *, meter_days: Integers) -> States:
    """Return what stands of meter-days beside their values, in their order; locked."""
    columns = ("meter_day", "version", "validated_at", "laid", "quality")
    found = _fetch(connection, columns, meter_days, lock=True)
    rows = _places(meter_days, found)
    versions, settled = np.zeros(len(meter_days), dtype=np.int32), np.zeros(len(meter_days), dtype=np.bool_)
    versions[rows] = [row[1] for row in found]
    settled[rows] = [row[2] is not None and row[3] is None and row[4] is None for row in found]
    return States(versions=versions, settled=settled)


def mark_validated(connection: Connection, *, meter_days: Integers, versions: Days, now: datetime) -> int:
    """
    Note that validation agrees with these versions of meter-days as they are, and return of how many that is new.

    That makes no new version. Left alone is a row of another version, one that is validated already, and one over
    which something is laid or whose quality says more than that it came.
    """
    marked = 0
    table = day_table.c
    untold = (table.validated_at.is_(None), table.laid.is_(None), table.quality.is_(None))
    for version in np.unique(versions).tolist():
        own = meter_days[versions == version].tolist()
        for begin in range(0, len(own), KEYS_PER_SELECT):
            some = among(connection, table.meter_day, own[begin : begin + KEYS_PER_SELECT])
            statement = update(day_table).where(some, table.version == version, *untold)
            marked += connection.execute(statement.values(validated_at=now)).rowcount
    return marked


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
    meters = [days.meters[row] for row in rows.tolist()]
    numbers = meter_store.array_of(meter_store.give_numbers(connection, meters=meters), meters)
    keys = meter_day_of(days=days.days[rows], numbers=numbers, minutes=days.minutes)
    known = days.versions[rows] > 0
    _to_history(connection, keys=keys[known], columns=_COMMON, lean=False, now=now)
    measured, codes = measured_blobs(days, rows)
    laid, codes_laid = laid_blobs(days, rows)
    moment = bulk.as_driver(connection, now)
    missing, estimated = state_columns(days, rows)
    columns: dict[str, list[Any]] = {
        "meter_day": keys.tolist(),
        "sequence": list(islice(sequences, len(rows))),
        "recorded_at": [moment] * len(rows),
        "validated_at": [moment if validated else None for validated in days.validated[rows].tolist()],
        "codes": (codes | codes_laid).tolist(),
        "version": (days.versions[rows] + 1).tolist(),
        "missing": missing,
        "estimated": estimated,
        "meter": meters,
        "origin": _texts(origins, rows),
        "measured": measured,
        "laid": laid,
        "quality": quality_blobs(days, rows),
    }
    if known.any():
        old = _chosen(columns, known)
        columns = _chosen(columns, ~known)
        del old["meter"]
        bulk.update_columns(connection, table=day_table, key="meter_day", columns=old, rising=RISING)
    bulk.insert_columns(connection, table=day_table, columns=columns)
    energy = days.measured.get("wh_import")
    if energy is not None:
        came = (energy[rows] != ABSENT).any(axis=1)
        meter_store.note_measured(connection, numbers=numbers[came], days=days.days[rows][came])


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
    keys = keys_of(connection, keys=_keys(days, rows), minutes=days.minutes)
    _to_history(connection, keys=keys, columns=_LEAN, lean=True, now=now)
    laid, codes = laid_blobs(days, rows)
    moment = bulk.as_driver(connection, now)
    missing, estimated = state_columns(days, rows)
    columns: dict[str, list[Any]] = {
        "meter_day": keys.tolist(),
        "version": (days.versions[rows] + 1).tolist(),
        "recorded_at": [moment] * len(rows),
        "validated_at": [moment if validated else None for validated in days.validated[rows].tolist()],
        "missing": missing,
        "estimated": estimated,
        "codes": (codes | days.codes[rows] & MEASURED_MASK).tolist(),
        "laid": laid,
        "quality": quality_blobs(days, rows),
    }
    bulk.update_columns(connection, table=day_table, key="meter_day", columns=columns, rising=RISING)
    fresh = chosen & (days.versions == 0)
    if fresh.any():
        origins = [origin] * len(days.meters)
        write_days(connection, days=days, chosen=fresh, origins=origins, sequences=repeat(0), now=now)


def select_days(
    connection: Connection, *, meters: Sequence[str] | None, first: int, last: int
) -> dict[int, list[Row]]:
    """Return the current rows of the days `first` to `last`, by interval length, ordered by meter and day."""
    if meters is None:
        least, greatest = days_between(first, last)
        return _by_minutes(
            bulk.fetch_between(
                connection, table=day_table, columns=READ, first=least, last=greatest, lock=False
            )
        )
    numbers = meter_store.array_of(meter_store.known_numbers(connection), sorted(set(meters)))
    numbers = numbers[numbers > 0]
    days = np.repeat(np.arange(first, last + 1, dtype=np.int64), len(numbers))
    numbers = np.tile(numbers, last - first + 1)
    both = [meter_day_of(days=days, numbers=numbers, minutes=minutes) for minutes in INTERVAL_MINUTES]
    return _by_minutes(_fetch(connection, READ, np.concatenate(both), lock=False))


def select_changed(connection: Connection, *, after: int, limit: int) -> tuple[dict[int, list[Row]], int]:
    """
    Return about `limit` rows whose sequence number is above `after`, and the last number.

    They are given by interval length, ordered by meter and day; their sequence number comes last.
    """
    columns = [day_table.c[name] for name in READ]
    base = select(*columns, day_table.c.sequence).order_by(day_table.c.sequence)
    found = bulk.fetched(connection.execute(base.where(day_table.c.sequence > after).limit(limit)))
    if not found:
        return {}, after
    last = found[-1][-1]
    if len(found) == limit:  # rows may share a number; none of them is left behind
        found = [row for row in found if row[-1] != last]
        found.extend(bulk.fetched(connection.execute(base.where(day_table.c.sequence == last))))
    return _by_minutes(found), last


def select_days_as_of(
    connection: Connection, *, meters: Sequence[str] | None, first: int, last: int, moment: datetime
) -> dict[int, list[Row]]:
    """Return the rows as they were at `moment`, by interval length, ordered by meter and day."""
    names = [*READ, "recorded_at"]
    versions: dict[int, list[dict[str, Any]]] = {}
    for table in (day_table, history_table):
        columns = [table.c[name] for name in names]
        if table is history_table:
            columns.append(history_table.c.lean)
        statement = select(*columns).where(table.c.meter_day.between(*days_between(first, last)))
        if meters is not None:
            statement = statement.where(table.c.meter.in_(sorted(set(meters))))
        for found_row in connection.execute(statement).mappings():
            versions.setdefault(found_row["meter_day"], []).append(dict(found_row))
    known = (_known_at(rows, moment) for rows in versions.values())
    return _by_minutes(row for row in known if row is not None)


def _known_at(versions: list[dict[str, Any]], moment: datetime) -> Row | None:
    """Return of a meter-day's versions the columns `READ` of the one that stood at a moment, None if none did."""
    above: dict[str, Any] = {}
    for row in sorted(versions, key=lambda row: -row["version"]):
        if row.get("lean"):
            row["measured"] = above["measured"]
        above = row
        if row["recorded_at"] <= moment:
            if row["validated_at"] is not None and row["validated_at"] > moment:
                row["validated_at"] = None
            return tuple(row[name] for name in READ)
    return None


def select_beside(connection: Connection, *, meter_days: Sequence[tuple[str, int]]) -> set[tuple[int, str]]:
    """Return (number of the meter-day, meter) of the rows that a midnight of (meter, day) closes or opens; locked."""
    wanted = [(at, meter) for meter, day in meter_days for at in (day - 1, day)]
    both = [keys_of(connection, keys=wanted, minutes=minutes) for minutes in INTERVAL_MINUTES]
    return set(_fetch(connection, ("meter_day", "meter"), np.concatenate(both), lock=True))


def select_estimated(connection: Connection, *, meters: Sequence[str]) -> list[tuple[int, str]]:
    """Return (number of the meter-day, meter) of the rows of some meters that hold estimates."""
    found: list[tuple[int, str]] = []
    statement = select(day_table.c.meter_day, day_table.c.meter).where(_has_estimates)
    for begin in range(0, len(meters), KEYS_PER_SELECT):
        some = among(connection, day_table.c.meter, meters[begin : begin + KEYS_PER_SELECT])
        found.extend(bulk.fetched(connection.execute(statement.where(some))))
    return found


def renumber(connection: Connection, *, meter_days: Sequence[int], first: int) -> None:
    """Give meter-days sequence numbers from `first`, without a new version."""
    rows = [(key, first + place) for place, key in enumerate(meter_days)]
    bulk.update_rows(connection, table=day_table, key=("meter_day",), columns=("sequence",), rows=rows)


def select_present(connection: Connection, *, first: int, last: int) -> Integers:
    """Return the numbers of the meter-days whose intervals were all measured."""
    table = day_table.c
    within = table.meter_day.between(*days_between(first, last))
    found = bulk.fetched(connection.execute(select(table.meter_day).where(within, table.missing == 0)))
    return np.array([key for (key,) in found], dtype=np.int64)


def any_present(connection: Connection, *, first: int, last: int) -> bool:
    """Return whether any day's intervals were all measured."""
    table = day_table.c
    within = table.meter_day.between(*days_between(first, last))
    return (
        connection.execute(select(table.meter_day).where(within, table.missing == 0).limit(1)).first()
        is not None
    )


def complete_statement(*, first: int, last: int, complete_pct: Decimal) -> Select[Any]:
    """
    Return the SELECT of (meter, day, moment) when so much of a day's intervals [%] was first stored as measured.

    A version that was replaced counts as it stood; of two interval lengths of one day the earlier moment counts.
    """
    minutes_missing = int(MINUTES_PER_DAY * (100 - complete_pct) / 100)
    parts = []
    for table in (day_table, history_table):
        key = table.c.meter_day
        parts.append(
            select(table.c.meter, day_of(key).label("day"), table.c.recorded_at).where(
                key.between(*days_between(first, last)), table.c.missing * minutes_of(key) <= minutes_missing
            )
        )
    versions = union_all(*parts).subquery("versions")
    return select(versions.c.meter, versions.c.day, func.min(versions.c.recorded_at).label("at")).group_by(
        versions.c.meter, versions.c.day
    )


def select_meters(connection: Connection, *, first: int, last: int) -> tuple[str, ...]:
    """Return the meters of which anything is stored on some days, in their order."""
    within = day_table.c.meter_day.between(*days_between(first, last))
    return tuple(sorted(connection.execute(select(day_table.c.meter).where(within).distinct()).scalars()))


def select_ends(connection: Connection, *, meter: str | None = None) -> tuple[int, int] | None:
    """Return the first and the last day of which anything is stored (of one meter)."""
    statement = select(func.min(day_table.c.meter_day), func.max(day_table.c.meter_day))
    first, last = connection.execute(statement).one()
    if first is None:
        return None
    ends = day_of(int(first)), day_of(int(last))
    if meter is None:
        return ends
    keys = [(day, meter) for day in range(ends[0], ends[1] + 1)]
    both = [keys_of(connection, keys=keys, minutes=minutes) for minutes in INTERVAL_MINUTES]
    found = _fetch(connection, ("meter_day",), np.concatenate(both), lock=False)
    days = [day_of(key) for (key,) in found]
    return (min(days), max(days)) if days else None


def _keys(days: StoredDays, rows: Integers) -> list[tuple[int, str]]:
    numbers = days.days.tolist()
    return [(numbers[row], days.meters[row]) for row in rows.tolist()]


def _fetch(connection: Connection, columns: Sequence[str], wanted: Integers, *, lock: bool) -> list[Row]:
    """
    Return columns, the number of the meter-day first, of the meter-days that are stored of these numbers, in order.

    Where most of a day's are wanted the day is read as it lies; else each is looked up.
    """
    if not (wanted[1:] > wanted[:-1]).all():
        wanted = np.unique(wanted)
    if not len(wanted):
        return []
    first, last = _runs(wanted)
    if len(wanted) < LOOKED_UP_MAX * len(first) or int((last - first + 1).sum()) > DENSE * len(wanted):
        keys = [(key,) for key in wanted.tolist()]
        return bulk.fetch_rows(connection, table=day_table, columns=columns, keys=keys, lock=lock)
    found: list[Row] = []
    for low, high in zip(first.tolist(), last.tolist(), strict=True):
        found += bulk.fetch_between(
            connection, table=day_table, columns=columns, first=low, last=high, lock=lock
        )
    read = np.array([row[0] for row in found], dtype=np.int64)
    asked = np.isin(read, wanted, assume_unique=True)
    return (
        found
        if asked.all()
        else [row for row, is_asked in zip(found, asked.tolist(), strict=True) if is_asked]
    )


def _runs(wanted: Integers) -> tuple[Integers, Integers]:
    """Return the least and the greatest of the wanted numbers of each day."""
    days = day_of(wanted)
    begins = np.flatnonzero(np.concatenate(([True], days[1:] != days[:-1])))
    ends = np.concatenate((begins[1:], [len(wanted)])) - 1
    return wanted[begins], wanted[ends]


def _places(wanted: Integers, found: Sequence[Row]) -> Integers:
    """Return for each found row, whose number comes first, its place among the wanted ones."""
    keys = np.array([row[0] for row in found], dtype=np.int64)
    if len(keys) == len(wanted) and (keys == wanted).all():
        return np.arange(len(keys), dtype=np.int64)
    order = np.argsort(wanted, kind="stable")
    return np.asarray(order[np.searchsorted(wanted[order], keys)], dtype=np.int64)


def _chosen(columns: Mapping[str, list[Any]], chosen: Flags) -> dict[str, list[Any]]:
    """Return the chosen rows of columns."""
    marks = chosen.tolist()
    return {name: list(compress(values, marks)) for name, values in columns.items()}


def _texts(origins: Sequence[Origin], rows: Integers) -> list[str]:
    """Return what is stored of the origins of some rows."""
    texts = {origin: origin.value for origin in Origin}
    if len(set(origins)) == 1:  # as meters deliver
        return [texts[origins[0]]] * len(rows)
    return [texts[origins[row]] for row in rows.tolist()]


def _to_history(
    connection: Connection, *, keys: Integers, columns: Sequence[str], lean: bool, now: datetime
) -> None:
    extra: dict[str, Any] = {"replaced_at": now, "lean": lean}
    bulk.copy_rows(
        connection,
        source=day_table,
        target=history_table,
        columns=("meter_day", *columns),
        extra=extra,
        keys=[(key,) for key in keys.tolist()],
    )


def _by_minutes(rows: Iterable[Row]) -> dict[int, list[Row]]:
    ordered = sorted(rows, key=itemgetter(1, 0))
    quarters = [row for row in ordered if row[0] & 1]
    halves = [row for row in ordered if not row[0] & 1] if quarters else ordered
    return {
        minutes: group for minutes, group in zip(INTERVAL_MINUTES, (quarters, halves), strict=True) if group
    }
