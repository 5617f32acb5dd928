"""What other rooms may ask about meter-days, registers and events. Days are IST day numbers (`base.period`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from bijlighar.base.period import Period, date_of, local_midnight
from bijlighar.readings import event_store, finding_store, meter_store, register_store, store
from bijlighar.readings.model import (
    ABSENT,
    CHANNELS,
    ENERGY_CHANNELS,
    INTERVAL_MINUTES,
    SECONDS_PER_DAY,
    Changed,
    DailyEnergy,
    DayBlock,
    Finding,
    Flags,
    Integers,
    MeterEvent,
    Midnights,
    Quality,
    RegisterKind,
    RegisterSnapshot,
    interval_start,
    intervals_per_day,
)
from bijlighar.readings.numbering import day_of, numbers_of
from bijlighar.readings.packing import PackedDays as PackedDays
from bijlighar.readings.packing import unpacked
from bijlighar.readings.rules import (
    StoredDays,
    daily_sums,
    fold,
    one_length_a_day,
    positions,
    quality_counts,
    raw_quality,
)
from bijlighar.readings.sealed import held_meters as held_meters
from bijlighar.readings.sealed import late_sums as late_sums
from bijlighar.readings.sealed import removable as removable
from bijlighar.readings.sealed import seals as seals
from bijlighar.readings.sealed import seals_over as seals_over
from bijlighar.readings.sealing import check_seal as check_seal
from bijlighar.readings.sealing import seal_in_sight as seal_in_sight
from bijlighar.readings.sealing import seal_outlook as seal_outlook
from bijlighar.storage.sql import text_of

DAYS_PER_PAGE = 100_000
_ANY_MINUTES = 30


def days(
    connection: Connection,
    *,
    meters: Sequence[str] | None,
    first: int,
    last: int,
    as_of: datetime | None = None,
    channels: Sequence[str] = CHANNELS,
) -> tuple[DayBlock, ...]:
    """
    Return the meter-days `first` to `last` (of some meters or of all), estimates in their places, by interval length.

    With `as_of` they are returned as they were known at that moment. The channels not asked for are left out, but
    `wh_import` never is.
    """
    wanted = tuple({"wh_import", *channels})
    if as_of is None:
        found = store.select_days(connection, meters=meters, first=first, last=last)
    else:
        found = store.select_days_as_of(connection, meters=meters, first=first, last=last, moment=as_of)
    return tuple(_block(unpacked(rows, minutes, channels=wanted)) for minutes, rows in found.items())


def raw_days(
    connection: Connection,
    *,
    meters: Sequence[str] | None,
    first: int,
    last: int,
    channels: Sequence[str] = CHANNELS,
    with_edits: bool = False,
) -> tuple[DayBlock, ...]:
    """
    Return the meter-days as the meters measured them, without any estimate or edit.

    With `with_edits` what two persons corrected stands in the place of what was measured. Their quality
    says `ESTIMATED` or `EDITED` where something stands over the measured value, else what it is raw.
    """
    wanted = tuple({"wh_import", *channels})
    found = store.select_days(connection, meters=meters, first=first, last=last)
    block = edited_block if with_edits else raw_block
    return tuple(block(unpacked(rows, minutes, channels=wanted)) for minutes, rows in found.items())


def packed_days(connection: Connection, *, minutes: int, first: int, last: int) -> PackedDays:
    """Return the rows of all meters on the days `first` to `last`, of one interval length, still packed."""
    found = store.select_days(connection, meters=None, first=first, last=last)
    return PackedDays(found.get(minutes, []), minutes)


def raw_rows(
    connection: Connection,
    *,
    keys: Sequence[tuple[str, int]],
    minutes: int,
    with_edits: bool = False,
    channels: Sequence[str] = CHANNELS,
) -> DayBlock:
    """Return the (meter, day) keys as measured (or edited), in their order; version 0 where nothing is stored."""
    block = edited_block if with_edits else raw_block
    return block(_rows(connection, keys, minutes, channels=tuple({"wh_import", *channels})))


def known_rows(connection: Connection, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
    """Return the (meter, day) keys with estimates and edits, in their order; version 0 where nothing is stored."""
    return _block(_rows(connection, keys, minutes))


def raw_block(stored: StoredDays) -> DayBlock:
    """Return stored days as measured, without what stands over them."""
    values = {channel: stored.of(channel) for channel in CHANNELS if _has(stored, channel)}
    return _of(stored, values, raw_quality(values, stored.overlay, stored.quality))


def edited_block(stored: StoredDays) -> DayBlock:
    """Return stored days as measured, but what was edited as edited."""
    block = raw_block(stored)
    edited = block.quality == Quality.EDITED
    if not edited.any():
        return block
    values = dict(block.values)
    for channel in stored.overlay:
        values[channel] = np.where(edited, stored.known(channel), block.channel(channel))
    return replace(block, values=values)


def measured_spans(connection: Connection, *, meters: Sequence[str]) -> Mapping[str, tuple[int, int]]:
    """Return for each meter the start of its first and the end of its last measured interval [s since the epoch]."""
    edges = meter_store.select_edges(connection, meters=sorted(set(meters)))
    keys = sorted({(meter, day) for meter, first, last in edges for day in (first, last)})
    spans: dict[str, tuple[int, int]] = {}
    for minutes in INTERVAL_MINUTES:
        block = raw_rows(connection, keys=keys, minutes=minutes)
        present = block.values["wh_import"] != ABSENT
        for row in np.flatnonzero(present.any(axis=1)).tolist():
            slots = np.flatnonzero(present[row])
            day, meter = int(block.days[row]), block.meters[row]
            start = interval_start(day, int(slots[0]), minutes)
            end = interval_start(day, int(slots[-1]) + 1, minutes)
            low, high = spans.get(meter, (start, end))
            spans[meter] = (min(low, start), max(high, end))
    for meter, first, last in edges:  # of a day whose intervals were archived the whole counts
        start, end = interval_start(first, 0, _ANY_MINUTES), interval_start(last + 1, 0, _ANY_MINUTES)
        low, high = spans.get(meter, (start, end))
        spans[meter] = (
            low if low < start + SECONDS_PER_DAY else start,
            high if high > end - SECONDS_PER_DAY else end,
        )
    return spans


def stored_ends(connection: Connection, *, meter: str | None = None) -> tuple[int, int] | None:
    """Return the first and the last day of which anything is stored (of one meter), None if nothing is."""
    return store.select_ends(connection, meter=meter)


def stored_meters(connection: Connection, *, first: int, last: int) -> tuple[str, ...]:
    """Return the meters of which anything is stored on the days `first` to `last`, in their order."""
    return store.select_meters(connection, first=first, last=last)


def changed_days(connection: Connection, *, after: int, limit: int, with_edits: bool = False) -> Changed:
    """
    Return about `limit` meter-days that came or changed after the sequence number `after`, as measured (or edited).

    An edit counts as a change; what validation writes does not.
    """
    found, last = store.select_changed(connection, after=after, limit=min(limit, DAYS_PER_PAGE))
    block = edited_block if with_edits else raw_block
    blocks = tuple(block(unpacked(rows, minutes)) for minutes, rows in found.items())
    return Changed(blocks=blocks, last=last)


def registers(
    connection: Connection,
    *,
    meters: Sequence[str] | None = None,
    kind: RegisterKind | None = None,
    period: Period | None = None,
) -> tuple[RegisterSnapshot, ...]:
    """Return register snapshots by meter and time; both ends of `period` are included."""
    return tuple(register_store.select_registers(connection, meters=meters, kind=kind, period=period))


def registers_as_of(
    connection: Connection, *, meters: Sequence[str], period: Period, moment: datetime
) -> tuple[RegisterSnapshot, ...]:
    """Return register snapshots by meter and time as they were known at a moment, both ends of `period` included."""
    return tuple(
        register_store.select_registers_as_of(connection, meters=meters, period=period, moment=moment)
    )


def midnight_registers(connection: Connection, *, meters: Sequence[str], first: int, last: int) -> Midnights:
    """
    Return import and export registers at the midnights that begin the days `first` to `last`, in the meters' order.

    On whatever occasion a register was read at midnight, it counts.
    """
    moments = [local_midnight(date_of(day)) for day in range(first, last + 1)]
    shape = (len(meters), len(moments))
    found = {channel: np.full(shape, ABSENT, dtype=np.int64) for channel in ENERGY_CHANNELS}
    if meters:
        is_most = len(meters) * store.DENSE >= len(meter_store.known_numbers(connection))
        for column, rows in register_store.select_midnights(
            connection, meters=meters, moments=moments, is_most=is_most
        ):
            for place, matrix in enumerate(found.values(), start=1):
                known = rows[rows[:, place] != ABSENT]
                matrix[known[:, 0], column] = known[:, place]
    return Midnights(meters=tuple(meters), first_day=first, **found)


def events(connection: Connection, *, after: int, limit: int) -> tuple[tuple[int, MeterEvent], ...]:
    """Return up to `limit` events whose sequence number is above `after`, in the order in which they became known."""
    return tuple(event_store.select_events(connection, after=after, limit=limit))


def events_of(connection: Connection, *, meter: str, period: Period) -> tuple[MeterEvent, ...]:
    """Return the events of one meter in a period, by time."""
    return tuple(event_store.select_events_of(connection, meter=meter, period=period))


def last_events(
    connection: Connection, *, codes: Sequence[int], since: datetime
) -> tuple[tuple[str, int, datetime], ...]:
    """Return meter, code and time of the last event of each meter and code that is not before `since`."""
    return tuple(event_store.select_last(connection, codes=codes, since=since))


def present_days(connection: Connection, *, meters: Sequence[str], first: int, last: int) -> Flags:
    """Return of which of the days `first` to `last` (columns) every interval of a meter (rows) was measured."""
    numbers = meter_store.array_of(meter_store.known_numbers(connection), meters)
    found = store.select_present(connection, first=first, last=last)
    row_of = np.full(max(numbers.max(initial=0), numbers_of(found).max(initial=0)) + 1, -1, dtype=np.int64)
    row_of[numbers] = np.arange(len(meters))
    row_of[0] = -1  # meters of which nothing is stored
    rows, columns = row_of[numbers_of(found)], day_of(found) - first
    whole = np.zeros((len(meters), last - first + 1), dtype=np.bool_)
    whole[rows[rows >= 0], columns[rows >= 0]] = True
    return whole


def has_whole_day(connection: Connection, *, first: int, last: int) -> bool:
    """Return whether every interval of any meter was measured on any of the days `first` to `last`."""
    return store.any_present(connection, first=first, last=last)


def completed(
    connection: Connection, *, first: int, last: int, complete_pct: Decimal
) -> tuple[Mapping[tuple[str, int], datetime], str]:
    """
    Return when so much of each meter-day [%] was first stored as measured, by meter and day, and the query itself.

    A meter-day that never came so far is left out; estimates do not count.
    """
    statement = store.complete_statement(first=first, last=last, complete_pct=complete_pct)
    found = {(row[0], row[1]): row[2] for row in connection.execute(statement)}
    return found, text_of(connection, statement)


def happened(
    connection: Connection, *, codes: Sequence[int], period: Period
) -> tuple[tuple[tuple[str, int, datetime], ...], str]:
    """Return meter, code and time of the events of some codes in a period, and the query itself."""
    statement = event_store.happened_statement(codes=codes, period=period)
    return tuple((row[0], row[1], row[2]) for row in connection.execute(statement)), text_of(
        connection, statement
    )


def findings(
    connection: Connection, *, period: Period, meters: Sequence[str] | None = None
) -> tuple[Finding, ...]:
    """Return what deliveries contained beside their values, where it begins in a period, by meter and time."""
    return tuple(finding_store.select_findings(connection, period=period, meters=meters))


def energy_by_day(connection: Connection, *, meters: Sequence[str], first: int, last: int) -> DailyEnergy:
    """
    Return the energy and the quality counts of each meter and day, estimates included.

    On the day on which a meter changes its interval length each half-hour counts once.
    """
    names = tuple(meters)
    shape = (len(names), last - first + 1)
    sums = {channel: np.zeros(shape, dtype=np.int64) for channel in ("wh_import", "wh_export")}
    counts = np.zeros((*shape, len(Quality)), dtype=np.uint16)
    expected = np.zeros(shape, dtype=np.uint16)
    place = positions(names)
    for block in one_length_a_day(
        days(connection, meters=names, first=first, last=last, channels=ENERGY_CHANNELS)
    ):
        rows = np.array([place[meter] for meter in block.meters], dtype=np.int64)
        columns = block.days - first
        for channel, total in sums.items():
            if channel in block.values:
                total[rows, columns] = daily_sums(block.values[channel])
        counts[rows, columns] = quality_counts(block.quality)
        expected[rows, columns] = block.intervals
    return DailyEnergy(
        meters=names,
        first_day=first,
        wh_import=sums["wh_import"],
        wh_export=sums["wh_export"],
        counts=counts,
        expected=expected,
    )


def day_matrix(
    connection: Connection, *, meters: Sequence[str], first: int, last: int, channel: str, minutes: int = 30
) -> Integers:
    """
    Return the values of a channel as (meters, days, intervals of `minutes`), `ABSENT` where there is none.

    With 30 minutes, meters of 15 are folded; with 15 minutes, meters of 30 are absent.
    """
    names = tuple(meters)
    matrix = np.full((len(names), last - first + 1, intervals_per_day(minutes)), ABSENT, dtype=np.int64)
    place = positions(names)
    for block in days(connection, meters=names, first=first, last=last, channels=(channel,)):
        if block.minutes > minutes or channel not in block.values:
            continue
        values = block.values[channel]
        if block.minutes < minutes:
            values = fold(values, channel=channel)
        rows = np.array([place[meter] for meter in block.meters], dtype=np.int64)
        columns = block.days - first
        matrix[rows, columns] = np.where(values == ABSENT, matrix[rows, columns], values)
    return matrix


def _block(stored: StoredDays) -> DayBlock:
    values = {channel: stored.known(channel) for channel in CHANNELS if _has(stored, channel)}
    return _of(stored, values, stored.quality)


def _rows(
    connection: Connection,
    keys: Sequence[tuple[str, int]],
    minutes: int,
    channels: Sequence[str] = CHANNELS,
) -> StoredDays:
    wanted = [(day, meter) for meter, day in keys]
    return store.load_days(connection, keys=wanted, minutes=minutes, lock=False, channels=channels)


def _has(stored: StoredDays, channel: str) -> bool:
    return channel == "wh_import" or channel in stored.measured or channel in stored.overlay


def _of(stored: StoredDays, values: Mapping[str, Integers], quality: NDArray[np.uint8]) -> DayBlock:
    return DayBlock(
        meters=stored.meters,
        days=stored.days,
        minutes=stored.minutes,
        versions=stored.versions,
        values=values,
        quality=quality,
        validated=stored.validated,
    )
