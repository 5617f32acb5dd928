"""
What other rooms may ask for: validate what is new, what lies in a range, estimate what is still missing; and what
people do with the exceptions and edit by hand.

Each run reads, decides and then writes in one transaction; a meter-day that changed in between is left alone, for it
is ahead of the watermark and will be looked at again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import Period, day_number
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.model import DayBlock, Flags, Quality
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database
from bijlighar.validation import queries, store
from bijlighar.validation.cases import Hangings
from bijlighar.validation.edits_by_hand import EDIT_INTERVALS_MAX as EDIT_INTERVALS_MAX
from bijlighar.validation.edits_by_hand import Proposed as Proposed
from bijlighar.validation.edits_by_hand import confirm_edit as confirm_edit
from bijlighar.validation.edits_by_hand import propose_edit as propose_edit
from bijlighar.validation.edits_by_hand import refuse_edit as refuse_edit
from bijlighar.validation.edits_by_hand import withdraw_edit as withdraw_edit
from bijlighar.validation.exception_queue import follow
from bijlighar.validation.exceptions_by_hand import check_reason as check_reason
from bijlighar.validation.exceptions_by_hand import give_back as give_back
from bijlighar.validation.exceptions_by_hand import settle as settle
from bijlighar.validation.exceptions_by_hand import take as take
from bijlighar.validation.gathering import due_day, gather, open_days
from bijlighar.validation.hanging import hangings
from bijlighar.validation.judging import Verdict, judge
from bijlighar.validation.model import ValidationReport, ValidationSettings
from bijlighar.validation.past import StoredPast

ROWS_PER_CALL = 10_000
DUE_DAYS_PER_CALL = 7
METERS_PER_STEP = 300
DAYS_PER_STEP = 31
DEFAULTS = ValidationSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    meter_days: int
    estimated_intervals: int


def validate_new(database: Database, *, now: datetime, settings: ValidationSettings = DEFAULTS) -> int:
    """
    Validate up to `ROWS_PER_CALL` changed meter-days, or estimate some that are due; return how many were done.

    Running it again changes nothing; running it after it died half-way does the rest.
    """
    with database.read() as connection:
        if not queries.pending(connection, now=now, settings=settings):
            return 0
        seen = sequences.watermark(connection, reader=queries.CHANGES_READER)
        changed = reading_queries.changed_days(connection, after=seen, limit=ROWS_PER_CALL, with_edits=True)
        hung = hangings(connection)
        verdicts = _verdicts(connection, changed.blocks, hung=hung, now=now, settings=settings, forced=False)
    if changed.last > seen:
        with database.write() as connection:
            if sequences.watermark(connection, reader=queries.CHANGES_READER) != seen:
                return 0  # another worker was here meanwhile
            done = _save(connection, verdicts, now=now)
            sequences.raise_watermark(connection, reader=queries.CHANGES_READER, seen=changed.last)
        return done.meter_days
    return _estimate_due(database, hung=hung, now=now, settings=settings)


def validate_range(
    database: Database, *, first: date, last: date, now: datetime, settings: ValidationSettings = DEFAULTS
) -> ValidationReport:
    """
    Run the rules again over the IST days `first` to `last`, write versions and estimates, return what stands then.
    """
    with database.read() as connection:
        hung = hangings(connection)
    meter_days = estimated = 0
    for low in range(day_number(first), day_number(last) + 1, DAYS_PER_STEP):
        high = min(low + DAYS_PER_STEP - 1, day_number(last))
        for meters in _portions(sorted(hung.spans)):
            with database.read() as connection:
                blocks = open_days(
                    StoredPast(connection), meters=meters, first=low, last=high, hung=hung, now=now
                )
                verdicts = _verdicts(connection, blocks, hung=hung, now=now, settings=settings, forced=False)
            with database.write() as connection:
                done = _save(connection, verdicts, now=now, is_queue_anew=True)
            meter_days += done.meter_days
            estimated += done.estimated_intervals
    with database.read() as connection:
        findings = queries.findings(connection, period=Period.of_local_days(first, last))
    return ValidationReport(findings=findings, meter_days=meter_days, estimated_intervals=estimated)


def estimate_missing(
    database: Database,
    *,
    meters: Sequence[str] | None,
    first: date,
    last: date,
    now: datetime,
    settings: ValidationSettings = DEFAULTS,
) -> int:
    """
    Estimate what is missing of communicating meters on the IST days `first` to `last`, at any age of the days.

    Return how many intervals were estimated; what was estimated before and stands is counted too.
    """
    with database.read() as connection:
        hung = hangings(connection)
    wanted = sorted(hung.communicating if meters is None else hung.communicating & set(meters))
    return _estimate(
        database,
        wanted,
        first=day_number(first),
        last=day_number(last),
        hung=hung,
        now=now,
        settings=settings,
    ).estimated_intervals


def _estimate_due(database: Database, *, hung: Hangings, now: datetime, settings: ValidationSettings) -> int:
    """Estimate what is missing on the next days that have become old enough, and move the watermark over them."""
    with database.read() as connection:
        seen = queries.estimated_up_to(connection)
    last = min(due_day(now=now, settings=settings), seen + DUE_DAYS_PER_CALL)
    if last <= seen:
        return 0
    done = _estimate(
        database, sorted(hung.communicating), first=seen + 1, last=last, hung=hung, now=now, settings=settings
    )
    with database.write() as connection:
        sequences.raise_watermark(connection, reader=queries.DUE_READER, seen=last)
    return done.meter_days + last - seen


def _estimate(
    database: Database,
    meters: Sequence[str],
    *,
    first: int,
    last: int,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
) -> _Done:
    meter_days = estimated = 0
    for low in range(first, last + 1, DAYS_PER_STEP):
        high = min(low + DAYS_PER_STEP - 1, last)
        with database.read() as connection:
            settled = _settled_days(connection, meters=meters, first=low, last=high)
        rows = np.flatnonzero(~settled.all(axis=1)).tolist()
        broken = [meters[row] for row in rows]
        whole = {meters[row]: set((np.flatnonzero(settled[row]) + low).tolist()) for row in rows}
        for some in _portions(broken):
            with database.read() as connection:
                blocks = open_days(
                    StoredPast(connection),
                    meters=some,
                    first=low,
                    last=high,
                    hung=hung,
                    now=now,
                    without=whole,
                )
                verdicts = _verdicts(connection, blocks, hung=hung, now=now, settings=settings, forced=True)
            if verdicts:
                with database.write() as connection:
                    done = _save(connection, verdicts, now=now)
                meter_days += done.meter_days
                estimated += done.estimated_intervals
    return _Done(meter_days=meter_days, estimated_intervals=estimated)


def _settled_days(connection: Connection, *, meters: Sequence[str], first: int, last: int) -> Flags:
    """Return which days (columns) of the meters (rows) were measured whole and hold nothing suspect."""
    settled = reading_queries.present_days(connection, meters=meters, first=first, last=last)
    suspects = store.select_suspects(connection, first=first, last=last)
    if suspects:
        row_of = {meter: row for row, meter in enumerate(meters)}
        for meter, day in suspects:
            if meter in row_of:
                settled[row_of[meter], day - first] = False
    return settled


def _verdicts(
    connection: Connection,
    blocks: Sequence[DayBlock],
    *,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
    forced: bool,
) -> list[Verdict]:
    past = StoredPast(connection)
    return [
        judge(
            gather(past, block=block, hung=hung, now=now, settings=settings, forced=forced),
            settings=settings,
        )
        for block in blocks
        if block.rows
    ]


def _save(
    connection: Connection, verdicts: Sequence[Verdict], *, now: datetime, is_queue_anew: bool = False
) -> _Done:
    """Write what was judged; the queue of exceptions follows what changed, or all of these days."""
    meter_days = 0
    changed: set[tuple[str, int]] = set()
    for verdict in verdicts:
        block = verdict.block
        readings.store_validated(connection, block=block, now=now)
        changed |= store.replace_findings(
            connection,
            meter_days=list(zip(block.meters, block.days.tolist(), strict=True)),
            minutes=block.minutes,
            findings=verdict.findings,
            now=now,
        )
        known = (block.versions > 0) | (block.quality == Quality.ESTIMATED).any(axis=1)
        meter_days += int(known.sum())
        if is_queue_anew:
            changed.update(zip(block.meters, block.days.tolist(), strict=True))
    if changed:
        follow(connection, meter_days=changed, now=now)
    estimated = sum(verdict.estimated_intervals for verdict in verdicts)
    return _Done(meter_days=meter_days, estimated_intervals=estimated)


def _portions(meters: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(meters), METERS_PER_STEP):
        yield meters[begin : begin + METERS_PER_STEP]
