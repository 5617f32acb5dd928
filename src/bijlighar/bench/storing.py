"""
`bench store`: meter-days into SQLite and, where there is one, PostgreSQL.

SQLite works inside this process, so its figures are CPU time. PostgreSQL works in processes of its own, perhaps on
another machine, so its figures are elapsed time: that is never less than what both sides spend one after the other.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bijlighar.base.period import date_of, local_midnight
from bijlighar.bench.databases import postgres_database, sqlite_database
from bijlighar.bench.measuring import CPU, ELAPSED, NS_PER_MS, NS_PER_S, Say, Stopwatch, WrongResult
from bijlighar.bench.meterdays import CHANNELS, FIRST_DAY, INTERVALS, MeterDay, meter_day, serials
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.model import ABSENT
from bijlighar.storage.engine import Database

METERS = 10_000
DAYS = 30
MERGED = 1_000
MERGE_ROUNDS = 7
OCTETS_PER_VALUE = 2


def store(
    *, say: Say, meters: int = METERS, days: int = DAYS, postgres_url: str | None = None
) -> dict[str, Any]:
    """
    Return the figures of `bench store`; those of PostgreSQL are None without a URL.

    :raises WrongResult: if what is read back is not what was stored.
    :raises NoSchema: if PostgreSQL lets no schema be made.
    """
    parts = 3 if postgres_url else 2
    with sqlite_database() as database:
        sqlite = _measure(database, meters=meters, days=days, say=_part(say, "SQLite", 0, parts))
    postgresql = None
    if postgres_url:
        with postgres_database(postgres_url) as database:
            postgresql = _measure(database, meters=meters, days=days, say=_part(say, "PostgreSQL", 1, parts))
    limit = _limit(meters=meters, days=days, say=_part(say, "limit", parts - 1, parts))
    return {
        "meters": meters,
        "days": days,
        "intervals_per_day": INTERVALS,
        "channels": list(CHANNELS),
        "sqlite": sqlite,
        "postgresql": postgresql,
        "limit": limit,
    }


def _measure(database: Database, *, meters: int, days: int, say: Say) -> dict[str, Any]:
    clock = CPU if database.is_sqlite else ELAPSED
    names = serials(count=meters)
    before = _octets(database)
    bulk = Stopwatch()
    intervals = 0
    for day in range(FIRST_DAY, FIRST_DAY + days):
        say(f"bulk, day {day - FIRST_DAY + 1} of {days}", (day - FIRST_DAY) / (days + 1))
        made = meter_day(meters=names, day=day)
        _append(database, made, watch=bulk)
        intervals += made.intervals
    _check(database, made)
    octets = _octets(database) - before
    say(f"merging {MERGED} meter-days", days / (days + 1))
    merges = [_merge(database, day=FIRST_DAY + days + place) for place in range(MERGE_ROUNDS)]
    return _figures(clock, bulk=bulk, intervals=intervals, merges=merges, octets=octets)


def _append(database: Database, made: MeterDay, *, watch: Stopwatch, upto: int = INTERVALS) -> None:
    deliveries = made.deliveries(upto=upto)
    now = local_midnight(date_of(made.day + 1))
    with watch, database.write() as connection:
        readings.append(connection, deliveries=deliveries, now=now)


def _merge(database: Database, *, day: int) -> Stopwatch:
    """Deliver the first half of a day, then the whole of it: half of that is known, half is new."""
    made = meter_day(meters=serials(count=MERGED, prefix="M"), day=day)
    _append(database, made, watch=Stopwatch(), upto=INTERVALS // 2)
    watch = Stopwatch()
    _append(database, made, watch=watch)
    _check(database, made)
    return watch


def _check(database: Database, made: MeterDay) -> None:
    with database.read() as connection:
        blocks = reading_queries.raw_days(connection, meters=made.meters, first=made.day, last=made.day)
    equal = len(blocks) == 1 and blocks[0].meters == tuple(sorted(made.meters))
    if not equal or any(
        not np.array_equal(blocks[0].channel(channel), values) for channel, values in made.values.items()
    ):
        raise WrongResult("the meter-days read back are not those that were stored; report this as a fault")


def _octets(database: Database) -> int:
    """Return what the tables and their indexes take."""
    with database.read() as connection:
        if database.is_sqlite:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        statement = (
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return int(connection.exec_driver_sql(statement).scalar_one())


def _limit(*, meters: int, days: int, say: Say) -> dict[str, Any]:
    """
    Return what the same arrays cost without a database.

    bulk: cast to 16 bits, written to a file, the file synced once a day; merge: the comparison and the choice alone,
    in memory; bytes: two for each value.
    """
    names = serials(count=meters)
    bulk = Stopwatch()
    intervals = 0
    with TemporaryDirectory(prefix="bijlighar-bench-") as folder, (Path(folder) / "limit").open("wb") as file:
        for day in range(FIRST_DAY, FIRST_DAY + days):
            say(f"day {day - FIRST_DAY + 1} of {days}", (day - FIRST_DAY) / (days + 1))
            made = meter_day(meters=names, day=day)
            with bulk:
                for values in made.values.values():
                    file.write(values.astype("<u2").tobytes())
                file.flush()
                os.fsync(file.fileno())
            intervals += made.intervals
    merges = [_limit_merge(day=FIRST_DAY + days + place) for place in range(MERGE_ROUNDS)]
    octets = intervals * OCTETS_PER_VALUE * len(CHANNELS)
    return _figures(CPU, bulk=bulk, intervals=intervals, merges=merges, octets=octets)


def _limit_merge(*, day: int) -> Stopwatch:
    made = meter_day(meters=serials(count=MERGED, prefix="M"), day=day)
    old = {channel: values.copy() for channel, values in made.values.items()}
    for values in old.values():
        values[:, INTERVALS // 2 :] = ABSENT
    with Stopwatch() as watch:
        for channel, new in made.values.items():
            (new != old[channel]).any(axis=1)
            np.where(new == ABSENT, old[channel], new)
    return watch


def _figures(
    clock: str, *, bulk: Stopwatch, intervals: int, merges: Sequence[Stopwatch], octets: int
) -> dict[str, Any]:
    return {
        "clock": clock,
        "bulk_intervals_per_s": intervals * NS_PER_S / bulk.of(clock),
        "bulk_intervals_per_elapsed_s": intervals * NS_PER_S / bulk.of(ELAPSED),
        "merge_1000_ms": median(merge.of(clock) for merge in merges) / NS_PER_MS,
        "merge_1000_elapsed_ms": median(merge.of(ELAPSED) for merge in merges) / NS_PER_MS,
        "bytes_per_interval": octets / intervals,
    }


def _part(say: Say, name: str, place: int, parts: int) -> Say:
    """Return a voice for one part of the whole."""
    return lambda text, share: say(f"{name}: {text}", (place + share) / parts)
