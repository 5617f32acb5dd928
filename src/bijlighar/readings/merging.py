"""Merging what was delivered into what is stored; what comes late for a sealed month is held apart."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import date_of, day_number, local_date, local_midnight
from bijlighar.readings import finding_store, late, register_store, store
from bijlighar.readings.arrange import arrange, delivery_findings, rounds_of
from bijlighar.readings.covering import covered
from bijlighar.readings.model import ABSENT, AppendReport, Delivery, Finding, RegisterSnapshot
from bijlighar.readings.numbering import day_of
from bijlighar.readings.rules import merge
from bijlighar.storage import sequences

SEQUENCE = "readings.day"
#: How far from a register an estimate may lie that it concerns [days]; meters keep their profiles no longer.
REGISTER_REACH_DAYS = 62


def append(connection: Connection, *, deliveries: Sequence[Delivery], now: datetime) -> AppendReport:
    """
    Merge deliveries of many meters into the stored meter-days and return what changed.

    Unchanged meter-days are not written; of the others the old row goes to the history and version + 1 is written.
    What comes for a sealed month is held apart and counted.
    The writers of one database take turns from here to the end of their transactions.

    :raises UnusableReadings: if a delivery cannot be laid out; nothing is stored then.
    """
    rounds = rounds_of([delivery for delivery in deliveries if len(delivery.starts) or delivery.unreadable])
    sequences.take(connection, name=SEQUENCE, count=0)  # holds the place of the single writer
    written = intervals_new = intervals_changed = intervals_late = 0
    findings: list[Finding] = []
    for round_ in rounds:
        arranged = arrange(round_)
        findings.extend(delivery_findings([round_[place] for place in arranged.untidy], now=now))
        if not arranged.meters:
            continue
        keys = list(zip(arranged.days.tolist(), arranged.meters, strict=True))
        stored = store.load_days(connection, keys=keys, minutes=arranged.minutes)
        seals = covered(connection, meters=arranged.meters, days=arranged.days)
        if seals is not None:
            arranged, stored, held = late.hold_late(
                connection, arranged=arranged, stored=stored, seals=seals, now=now
            )
            intervals_late += held
            if not arranged.meters:
                continue
        merged = merge(arranged, stored)
        findings.extend(merged.findings)
        intervals_new += merged.intervals_new
        intervals_changed += merged.intervals_changed
        count = int(merged.changed.sum())
        if count:
            written += count
            first = sequences.take(connection, name=SEQUENCE, count=count)
            store.write_days(
                connection,
                days=merged.days,
                chosen=merged.changed,
                origins=arranged.origins,
                sequences=range(first, first + count),
                now=now,
            )
    finding_store.add_findings(connection, findings=findings, now=now)
    return AppendReport(
        days_written=written,
        intervals_new=intervals_new,
        intervals_changed=intervals_changed,
        findings=tuple(findings),
        intervals_late=intervals_late,
    )


def append_registers(connection: Connection, *, snapshots: Sequence[RegisterSnapshot], now: datetime) -> int:
    """
    Store register snapshots and return how many were new or different; an earlier one goes to the history.

    A register at midnight makes the meter-days it concerns count as changed, for their sums are to be checked again.
    A register of which every day is sealed is held apart; sealed days do not count as changed.
    """
    if not snapshots:
        return 0
    sequences.take(connection, name=SEQUENCE, count=0)
    snapshots, _ = late.hold_late_registers(connection, snapshots=snapshots, now=now)
    if not snapshots:
        return 0
    written = register_store.merge_registers(connection, snapshots=snapshots, now=now)
    midnights = {
        (snapshot.meter, day_number(local_date(snapshot.at)))
        for snapshot in written
        if local_midnight(local_date(snapshot.at)) == snapshot.at
    }
    if midnights:
        free = _unsealed(connection, _touched(connection, midnights))
        if free:
            first = sequences.take(connection, name=SEQUENCE, count=len(free))
            store.renumber(connection, meter_days=free, first=first)
    return len(written)


def _touched(connection: Connection, midnights: set[tuple[str, int]]) -> list[tuple[int, str]]:
    """
    Return (number of the meter-day, meter) of the rows that the registers at midnights of (meter, day) concern.

    They are the day a midnight opens, the day it closes, and the estimated days within reach of it; but not those
    whose own two midnights are known, for an estimate follows the nearest registers.
    """
    found = store.select_beside(connection, meter_days=sorted(midnights))
    spans: dict[str, tuple[int, int]] = {}
    for meter, day in midnights:
        low, high = spans.get(meter, (day, day))
        spans[meter] = (min(low, day - REGISTER_REACH_DAYS), max(high, day + REGISTER_REACH_DAYS))
    near: dict[int, list[tuple[int, str]]] = {}
    for key, meter in store.select_estimated(connection, meters=sorted(spans)):
        low, high = spans[meter]
        if low <= day_of(key) <= high and (key, meter) not in found:
            near.setdefault(day_of(key), []).append((key, meter))
    for day, rows in near.items():
        meters = sorted({meter for _, meter in rows})
        known = dict.fromkeys(meters, 0)
        moments = [local_midnight(date_of(at)) for at in (day, day + 1)]
        for _, registers in register_store.select_midnights(connection, meters=meters, moments=moments):
            for place in set(registers[registers[:, 1] != ABSENT, 0].tolist()):
                known[meters[place]] += 1
        found.update(row for row in rows if known[row[1]] < len(moments))
    return sorted(found)


def _unsealed(connection: Connection, keys: Sequence[tuple[int, str]]) -> list[int]:
    """Return the numbers of (number of the meter-day, meter) that no seal holds."""
    days = np.array([day_of(key) for key, _ in keys], dtype=np.int32)
    seals = covered(connection, meters=[meter for _, meter in keys], days=days)
    held = [0] * len(keys) if seals is None else seals.tolist()
    return [key for (key, _), seal in zip(keys, held, strict=True) if not seal]
