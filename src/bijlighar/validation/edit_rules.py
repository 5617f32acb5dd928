"""Where an edit lies in meter-days, which edit stands over which interval, and what is told of it. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from bijlighar.base.period import epoch_seconds
from bijlighar.readings.model import (
    ABSENT,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    DayBlock,
    DayEdit,
    Days,
    EditKind,
    intervals_per_day,
    row_runs,
)
from bijlighar.validation.cases import Standing
from bijlighar.validation.model import ReadingEdit, Rule, Severity, ValidationFinding
from bijlighar.validation.pattern_findings import finding_at


def places(*, start: datetime, intervals: int, minutes: int, days: Days) -> slice:
    """Return where a run of intervals lies in the rows of consecutive days, laid end to end."""
    first = (epoch_seconds(start) + IST_OFFSET_S - int(days[0]) * SECONDS_PER_DAY) // (minutes * 60)
    return slice(first, first + intervals)


def day_edits(edit: ReadingEdit) -> tuple[DayEdit, ...]:
    """Return what an edit does to each of its meter-days."""
    count = intervals_per_day(edit.minutes)
    first = (epoch_seconds(edit.start) + IST_OFFSET_S) // (edit.minutes * 60)
    last = (epoch_seconds(edit.end) + IST_OFFSET_S) // (edit.minutes * 60)
    made = []
    for day in range(first // count, (last - 1) // count + 1):
        begin, end = max(first, day * count), min(last, (day + 1) * count)
        made.append(
            DayEdit(
                meter=edit.meter,
                day=day,
                minutes=edit.minutes,
                version=edit.versions.get(day, 0),
                kind=edit.kind,
                channel=edit.channel,
                first=begin - day * count,
                last=end - day * count,
                values=edit.values[begin - first : end - first],
            )
        )
    return tuple(made)


def standing(block: DayBlock, measured: DayBlock, edits: Sequence[ReadingEdit]) -> Standing:
    """
    Return what stands over the rows of a block of confirmed edits, given in the order of their confirmation.

    `measured` are the same rows as the meters themselves said them.
    """
    shape = block.quality.shape
    numbers = np.zeros(shape, dtype=np.int64)
    taken_out = np.zeros(shape, dtype=np.bool_)
    late = np.zeros(shape, dtype=np.bool_)
    place = {key: row for row, key in enumerate(zip(block.meters, block.days.tolist(), strict=True))}
    for edit in edits:
        if edit.minutes != block.minutes:
            continue
        was = np.array([ABSENT if value is None else value for value in edit.measured], dtype=np.int64)
        done = 0
        for part in day_edits(edit):
            count = part.last - part.first
            row = place.get((part.meter, part.day))
            if row is not None:
                run = slice(part.first, part.last)
                now = measured.channel(edit.channel)[row, run]
                other = (now != was[done : done + count]) & (now != ABSENT)
                if edit.kind is EditKind.SET:
                    other &= now != np.array(part.values, dtype=np.int64)
                stands = edit.kind is not EditKind.RESTORE
                numbers[row, run] = edit.number if stands else 0
                taken_out[row, run] = edit.kind is EditKind.TAKE_OUT
                late[row, run] = other & stands
            done += count
    return Standing(numbers=numbers, taken_out=taken_out, late=late)


def edit_findings(block: DayBlock, stands: Standing) -> Iterator[ValidationFinding]:
    """Yield a finding for each run of intervals under one edit; one that the meter contradicts is for a person."""
    for number in np.unique(stands.numbers[stands.numbers > 0]).tolist():
        for row, begin, end in row_runs(stands.numbers == number):
            late = int(stands.late[row, begin:end].sum())
            facts = {"edit": number, "taken_out": bool(stands.taken_out[row, begin]), "late": late}
            severity = Severity.WARNING if late else Severity.INFO
            yield finding_at(block, row, begin, end, rule=Rule.EDITED, severity=severity, facts=facts)
