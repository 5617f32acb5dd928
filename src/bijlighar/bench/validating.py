"""
`bench validate`: from decoded arrays to committed, validated meter-days, and a day's rules over a whole town.

The town has faults on purpose: gaps, which are estimated once they are old enough, negative half-hours and spikes.
The registers at the midnights are stored beforehand, as the daily profile brings them; reading them is counted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from bijlighar.base.period import date_of, local_midnight
from bijlighar.bench.databases import sqlite_database
from bijlighar.bench.measuring import (
    NS_PER_MS,
    NS_PER_S,
    Say,
    Stopwatch,
    WrongResult,
    least_cpu_ns,
)
from bijlighar.bench.meterdays import (
    CHANNELS,
    FIRST_DAY,
    GAP_INTERVALS,
    INTERVALS,
    MINUTES,
    SANCTIONED_W,
    Integers,
    MeterDay,
    meter_day,
    serials,
)
from bijlighar.readings import operations as readings
from bijlighar.readings.model import RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.packed import pack, unpack
from bijlighar.validation import operations, queries
from bijlighar.validation.model import Rule, ValidationFinding, ValidationReport, ValidationSettings

METERS = 10_000
DAYS = 6
ROUNDS = 3
CALLS_PER_DAY_MAX = 1_000
#: So many meter-days are judged in one go, as they come in one delivery.
METERS_AT_ONCE = 1_000
HOURS_AFTER_MIDNIGHT = 3
OPENING_WH = 1_000_000
REGISTRY_HEAD = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,"
    "transformer,feeder,phase,office,from\n"
)


def validate(*, say: Say, meters: int = METERS, days: int = DAYS) -> dict[str, Any]:
    """
    Return the figures of `bench validate`, on SQLite.

    :raises WrongResult: if the rules do not find the faults that were put in, and no others of their kinds.
    """
    names = serials(count=meters)
    watch = Stopwatch()
    intervals = 0
    with sqlite_database() as database:
        say("hanging the meters", 0.0)
        hang(database, names)
        registers_wh = np.full(meters, OPENING_WH, dtype=np.int64)
        store_registers(database, names, registers_wh, day=FIRST_DAY)
        for day in range(FIRST_DAY, FIRST_DAY + days):
            say(
                f"storing and validating, day {day - FIRST_DAY + 1} of {days}",
                (day - FIRST_DAY + 1) / (days + 2),
            )
            made = meter_day(meters=names, day=day, faults=True)
            registers_wh += made.energy_wh
            store_registers(database, names, registers_wh, day=day + 1)
            bring(database, made, watch=watch)
            intervals += made.intervals
        say("the rules over the last day", (days + 1) / (days + 2))
        vee_ns = judging_ns(database, made)
        reports: list[ValidationReport] = []
        again_ns = least_cpu_ns(
            lambda: None, lambda _: reports.append(_validate_again(database, made)), rounds=ROUNDS
        )
        check(reports[-1].findings, made)
    return {
        "meters": meters,
        "days": days,
        "intervals_per_day": INTERVALS,
        "vee_day_ms": vee_ns / NS_PER_MS,
        "validate_again_day_ms": again_ns / NS_PER_MS,
        "limit_day_ms": limit_day_ns(made) / NS_PER_MS,
        "decoded_to_validated_per_core_s": intervals * NS_PER_S / watch.cpu_ns,
        "decoded_to_validated_per_elapsed_s": intervals * NS_PER_S / watch.elapsed_ns,
    }


def judging_ns(database: Database, made: MeterDay) -> int:
    """
    Return the CPU time [ns] of a day's VEE, from packed rows and registers in memory to findings.

    :raises WrongResult: if the rules do not find the faults that were put in, and no others of their kinds.
    """
    with database.read() as connection:
        hung = queries.hangings(connection)
        past = queries.packed_past(
            connection, meters=made.meters, minutes=MINUTES, first=FIRST_DAY, last=made.day
        )

    def work(found: list[ValidationFinding]) -> None:
        for begin in range(0, len(made.meters), METERS_AT_ONCE):
            found += queries.findings_in_memory(
                past,
                meters=made.meters[begin : begin + METERS_AT_ONCE],
                day=made.day,
                hung=hung,
                now=_small_hours(made.day + 1),
                settings=ValidationSettings(),
            )

    rounds: list[list[ValidationFinding]] = []

    def prepare() -> list[ValidationFinding]:
        rounds.append([])
        return rounds[-1]

    took_ns = least_cpu_ns(prepare, work, rounds=ROUNDS)
    for found in rounds:
        check(found, made)
    return took_ns


def limit_day_ns(made: MeterDay) -> int:
    """Return the CPU time [ns] to unpack the packed rows of a day's four channels to int64 and sum them."""
    blobs, codes = pack([made.values[channel] for channel in CHANNELS])
    wanted = [True] * len(CHANNELS)

    def work(_: None) -> list[int]:
        found = unpack(blobs, codes, INTERVALS, wanted=wanted)
        return [int(matrix.sum()) for matrix in found if matrix is not None]

    return least_cpu_ns(lambda: None, work, rounds=ROUNDS)


def bring(database: Database, made: MeterDay, *, watch: Stopwatch) -> None:
    """
    Take a day from decoded arrays to its committed, validated version; `watch` counts the time.

    :raises WrongResult: if validation comes to no end.
    """
    now = _small_hours(made.day + 1)
    with watch:
        with database.write() as connection:
            readings.append(connection, deliveries=made.deliveries(), now=now)
        for _ in range(CALLS_PER_DAY_MAX):
            if not _pending(database, now=now):
                return
            operations.validate_new(database, now=now)
    raise WrongResult(
        f"validation is not done after {CALLS_PER_DAY_MAX} calls for one day; report this as a fault"
    )


def _pending(database: Database, *, now: datetime) -> int:
    with database.read() as connection:
        return queries.pending(connection, now=now)


def _validate_again(database: Database, made: MeterDay) -> ValidationReport:
    """Run every rule over a day that is validated already: from packed rows to findings, with nothing to write."""
    day = date_of(made.day)
    return operations.validate_range(database, first=day, last=day, now=_small_hours(made.day + 1))


def check(findings: Sequence[ValidationFinding], made: MeterDay) -> None:
    """
    Compare the findings of a day with the faults that were put into it.

    :raises WrongResult: if they are not the same.
    """
    wanted = {
        Rule.MISSING: len(made.gaps) * GAP_INTERVALS,
        Rule.NEGATIVE: len(made.negatives),
        Rule.SPIKE: len(made.spikes),
    }
    found = {rule: sum(finding.intervals for finding in findings if finding.rule is rule) for rule in wanted}
    if found != wanted:
        raise WrongResult(f"the rules find {found} where {wanted} was put in; report this as a fault")


def hang(database: Database, names: Sequence[str]) -> None:
    """Bring the meters into the registry, each at a place of supply of its own since the first day."""
    since = date_of(FIRST_DAY)
    lines = [
        f"N{name},Bench,LV-1.2,urban,{SANCTIONED_W},U{name},{name},single-phase,tcp://127.0.0.1:4059?server={number}"
        f",T1,F1,R,,{since}\n"
        for number, name in enumerate(names, start=1)
    ]
    with database.write() as connection:
        registry.import_registry(connection, text=REGISTRY_HEAD + "".join(lines), now=_small_hours(FIRST_DAY))


def store_registers(database: Database, names: Sequence[str], registers_wh: Integers, *, day: int) -> None:
    """Store the registers of the meters at the midnight that begins `day`."""
    at = local_midnight(date_of(day))
    snapshots = [
        RegisterSnapshot(meter=name, at=at, kind=RegisterKind.DAILY, wh_import=wh_import)
        for name, wh_import in zip(names, registers_wh.tolist(), strict=True)
    ]
    with database.write() as connection:
        readings.append_registers(connection, snapshots=snapshots, now=_small_hours(day))


def _small_hours(day: int) -> datetime:
    return local_midnight(date_of(day)) + timedelta(hours=HOURS_AFTER_MIDNIGHT)
