"""
What other rooms may store: deliveries, registers, events, validated versions, files.

In one transaction, registers come first, then intervals, then events: two writers then take their locks in the same
order, and a register that closes a day is there before the day is looked at.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import date_of
from bijlighar.readings import (
    event_store,
    finding_store,
    greenbutton_days,
    greenbutton_file,
    nem12_file,
    store,
)
from bijlighar.readings.archiving import remove_intervals as remove_intervals
from bijlighar.readings.archiving import write_archive as write_archive
from bijlighar.readings.covering import covered
from bijlighar.readings.errors import BrokenFile, MonthSealed, ReadingsChanged, UnusableReadings
from bijlighar.readings.exporting import Wish as Wish
from bijlighar.readings.exporting import write_csv as write_csv
from bijlighar.readings.exporting import write_parquet as write_parquet
from bijlighar.readings.greenbutton_writing import write_greenbutton as write_greenbutton
from bijlighar.readings.merging import SEQUENCE as SEQUENCE
from bijlighar.readings.merging import append as append
from bijlighar.readings.merging import append_registers as append_registers
from bijlighar.readings.model import (
    ABSENT,
    DayBlock,
    DayEdit,
    Delivery,
    Finding,
    Flags,
    ImportReport,
    MeterEvent,
    Origin,
    Quality,
)
from bijlighar.readings.nem12_days import stored_form
from bijlighar.readings.readings_file import ParsedFile, Stamp, parse
from bijlighar.readings.rules import (
    StoredDays,
    edited_days,
    laid_over,
    overlay_of,
    rows_of,
    trivial_quality,
)
from bijlighar.readings.sealing import ask_opening as ask_opening
from bijlighar.readings.sealing import confirm_opening as confirm_opening
from bijlighar.readings.sealing import refuse_opening as refuse_opening
from bijlighar.readings.sealing import seal_month as seal_month
from bijlighar.readings.sealing import withdraw_opening as withdraw_opening
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences

INTERVALS_PER_APPEND = 500_000


def append_events(connection: Connection, *, events: Sequence[MeterEvent], now: datetime) -> int:  # noqa: ARG001
    """Store events that are not known by meter, code and time, and return how many they were."""
    return event_store.insert_events(connection, events=events) if events else 0


def store_validated(connection: Connection, *, block: DayBlock, now: datetime) -> int:
    """
    Write validity, quality and estimates of a block and return how many rows changed.

    Measured values are not touched: what a block estimates is laid over them, as a new version. Where a block agrees
    with what was measured and nothing stands over it, the version is only marked as validated. A row whose version
    is no longer the stored one is left alone, for it will be validated again; so is one that says nothing new, and
    one of a sealed month. A row of version 0 (a day that never came) is written only if it holds estimates.
    """
    _check_block(block)
    keys = list(zip(block.days.tolist(), block.meters, strict=True))
    if not keys:
        return 0
    sequences.take(connection, name=SEQUENCE, count=0)
    numbers = store.keys_of(connection, keys=keys, minutes=block.minutes)
    seals = covered(connection, meters=block.meters, days=block.days)
    free = np.ones(block.rows, dtype=np.bool_) if seals is None else np.asarray(seals == 0)
    plain = _is_plain(block) & (block.versions > 0)
    agreed = np.flatnonzero(free & plain)
    marked = store.mark_validated(
        connection, meter_days=numbers[agreed], versions=block.versions[agreed], now=now
    )
    rest = np.flatnonzero(free if marked < len(agreed) else free & ~plain)
    if not len(rest):
        return marked
    states = store.load_states(connection, meter_days=numbers[rest])
    others = rest[(states.versions == block.versions[rest]) & ~(states.settled & plain[rest])]
    return marked + _lay_over(connection, rows_of(block, others), now=now)


def _is_plain(block: DayBlock) -> Flags:
    """Return which rows of a validated block agree with what was measured, and lay nothing over it."""
    quality = trivial_quality(block.values["wh_import"], block.validated)
    return np.asarray(block.validated & (block.quality == quality).all(axis=1))


def _lay_over(connection: Connection, block: DayBlock, *, now: datetime) -> int:
    """Write what a block says beside the measured values, where that is anything new; return how many rows it is."""
    if not block.rows:
        return 0
    keys = list(zip(block.days.tolist(), block.meters, strict=True))
    stored = store.load_days(connection, keys=keys, minutes=block.minutes)
    edited = stored.quality == Quality.EDITED
    quality = np.where(edited, stored.quality, block.quality)
    proposed = StoredDays(
        minutes=stored.minutes,
        meters=stored.meters,
        days=stored.days,
        versions=stored.versions,
        measured=stored.measured,
        overlay=overlay_of(laid_over(block, stored), quality),
        quality=quality,
        validated=block.validated,
        codes=stored.codes,
    )
    says_something = (stored.versions > 0) | _has_overlay(proposed)
    chosen = _differs(stored, proposed) & says_something
    if chosen.any():
        store.write_overlays(connection, days=proposed, chosen=chosen, now=now)
    return int(chosen.sum())


def store_edited(connection: Connection, *, edits: Sequence[DayEdit], now: datetime) -> None:
    """
    Write edits of meter-days of one interval length as new versions; each day counts as changed and is judged again.

    Who may edit, and that two persons stand for it, is the caller's to know. Measured values are not touched.

    :raises ReadingsChanged: if a meter-day is no longer in the version that its edit names; nothing is written then.
    :raises MonthSealed: if a meter-day belongs to a sealed month; nothing is written then.
    """
    if not edits:
        return
    minutes = edits[0].minutes
    keys = [(edit.day, edit.meter) for edit in edits]
    first = sequences.take(connection, name=SEQUENCE, count=len(edits))
    check_not_sealed(connection, keys=[(edit.meter, edit.day) for edit in edits])
    stored = store.load_days(connection, keys=keys, minutes=minutes)
    for edit, version in zip(edits, stored.versions.tolist(), strict=True):
        if version != edit.version:
            raise ReadingsChanged(
                f"the readings of meter {edit.meter} on {date_of(edit.day)} changed after the edit was proposed "
                f"(version {version}, not {edit.version}); look at them and propose it again"
            )
    every = np.ones(len(edits), dtype=np.bool_)
    edited = edited_days(stored, edits)
    store.write_overlays(connection, days=edited, chosen=every, origin=Origin.HAND, now=now)
    numbers = store.keys_of(connection, keys=keys, minutes=minutes)
    store.renumber(connection, meter_days=numbers.tolist(), first=first)


def check_not_sealed(connection: Connection, *, keys: Sequence[tuple[str, int]]) -> None:
    """
    Check that no (meter, day) belongs to a sealed month.

    :raises MonthSealed: if one does.
    """
    days = np.array([day for _, day in keys], dtype=np.int32)
    seals = covered(connection, meters=[meter for meter, _ in keys], days=days)
    if seals is not None:
        place = int(np.flatnonzero(seals)[0])
        meter, day = keys[place]
        raise MonthSealed(
            f"the month of {date_of(day)} is sealed for meter {meter} (seal {seals[place]}); two persons open it "
            "with `bijlighar readings seal open` and `confirm`"
        )


def import_csv(connection: Connection, *, text: str, stamp: Stamp, now: datetime) -> ImportReport:
    """
    Import a file of intervals or of registers, whole or not at all.

    :raises BrokenFile: with line and reason, if the file is torn or wrong or names an unknown meter.
    """
    parsed = parse(text, stamp=stamp)
    _check_meters(connection, parsed)
    return _store_file(connection, parsed, now=now)


def import_nem12(connection: Connection, *, text: str, now: datetime) -> ImportReport:
    """
    Import a NEM12 file, whole or not at all; the sender's quality of each value is kept as a finding.

    :raises BrokenFile: with line and reason, if the file is torn or wrong or names an unknown meter.
    :raises UnsupportedFormat: if it is a NEM13 file.
    """
    known = {device.serial for device in registry.end_devices(connection)}
    return _store_file(connection, stored_form(nem12_file.parse(text), known=known), now=now)


def import_greenbutton(
    connection: Connection, *, chunks: Iterable[bytes], meter: str | None = None, now: datetime
) -> ImportReport:
    """
    Import a Green Button feed, whole or not at all; the sender's quality of each value is kept as a finding.

    `meter` is whose the feed's only usage point is, where it does not say so itself.

    :raises BrokenFile: with line and reason, if the file is torn, wrong or hostile, or names an unknown meter.
    """
    known = {device.serial for device in registry.end_devices(connection)}
    parsed = greenbutton_days.stored_form(greenbutton_file.parse(chunks), known=known, meter=meter)
    return _store_file(connection, parsed, now=now)


def _store_file(connection: Connection, parsed: ParsedFile, *, now: datetime) -> ImportReport:
    registers = append_registers(connection, snapshots=parsed.snapshots, now=now)
    days = new = changed = held = 0
    findings: list[Finding] = []
    for some in _batches(parsed.deliveries):
        report = append(connection, deliveries=some, now=now)
        days += report.days_written
        new += report.intervals_new
        changed += report.intervals_changed
        held += report.intervals_late
        findings.extend(report.findings)
    finding_store.add_findings(connection, findings=parsed.flags, now=now)
    return ImportReport(
        lines=parsed.lines,
        meters=len(parsed.first_lines),
        days_written=days,
        intervals_new=new,
        intervals_changed=changed,
        registers_new=registers,
        rounded=parsed.rounded,
        findings=tuple(findings),
        left_out=parsed.left_out,
        intervals_late=held,
    )


def _check_block(block: DayBlock) -> None:
    over = block.quality == Quality.ESTIMATED
    if (over & (block.channel("wh_import") == ABSENT)).any():
        raise UnusableReadings(
            "a validated block says that an interval is estimated, but gives no energy for it"
        )


def _differs(stored: StoredDays, proposed: StoredDays) -> Flags:
    differs = (stored.quality != proposed.quality).any(axis=1) | (stored.validated != proposed.validated)
    for channel in {*stored.overlay, *proposed.overlay}:
        empty = np.full(stored.quality.shape, ABSENT, dtype=np.int64)
        before, after = stored.overlay.get(channel, empty), proposed.overlay.get(channel, empty)
        differs |= (before != after).any(axis=1)
    return np.asarray(differs)


def _has_overlay(days: StoredDays) -> Flags:
    has = np.zeros(len(days.meters), dtype=np.bool_)
    for over in days.overlay.values():
        has |= (over != ABSENT).any(axis=1)
    return has


def _check_meters(connection: Connection, parsed: ParsedFile) -> None:
    known = {device.serial for device in registry.end_devices(connection)}
    unknown = [(line, meter) for meter, line in parsed.first_lines.items() if meter not in known]
    if unknown:
        line, meter = min(unknown)
        raise BrokenFile(
            f"line {line}: no meter has the serial number {meter!r}; import it first with `bijlighar registry import`"
        )


def _batches(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    batch: list[Delivery] = []
    count = 0
    for delivery in deliveries:
        batch.append(delivery)
        count += len(delivery.starts)
        if count >= INTERVALS_PER_APPEND:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
