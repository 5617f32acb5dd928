"""Pure decisions on meter-days: what a merge changes, what stands where an estimate was, how much is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bijlighar.base.period import moment_of
from bijlighar.readings.arrange import Arranged
from bijlighar.readings.model import (
    ABSENT,
    CHANNELS,
    ENERGY_CHANNELS,
    DayBlock,
    DayEdit,
    Days,
    EditKind,
    Finding,
    FindingKind,
    Flags,
    Integers,
    Qualities,
    Quality,
    interval_start,
    row_runs,
)

#: How many "changed" findings a call keeps apart; a meter that changes everything says so in a few.
CHANGED_FINDINGS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredDays:
    """
    Meter-days as they are stored: measured values, and over them what was estimated or edited.

    `overlay` holds a matrix for a channel of energy of which anything was estimated or edited. A row of `versions`
    is 0 where nothing is stored yet; `codes` tells how the row is packed.
    """

    minutes: int
    meters: tuple[str, ...]
    days: Days
    versions: Days
    measured: Mapping[str, Integers]
    overlay: Mapping[str, Integers]
    quality: Qualities
    validated: Flags
    codes: Integers

    def known(self, channel: str) -> Integers:
        """Return the values of a channel with what was estimated or edited in their place."""
        measured = self.of(channel)
        over = self.overlay.get(channel)
        return measured if over is None else np.where(over == ABSENT, measured, over)

    def of(self, channel: str) -> Integers:
        """Return the measured values of a channel."""
        found = self.measured.get(channel)
        return np.full(self.quality.shape, ABSENT, dtype=np.int64) if found is None else found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged:
    """What a merge makes of the stored meter-days: all rows, of which `changed` are to be written."""

    days: StoredDays
    changed: Flags
    intervals_new: int
    intervals_changed: int
    findings: tuple[Finding, ...]


def merge(arranged: Arranged, stored: StoredDays) -> Merged:
    """
    Merge delivered values into stored rows of the same meter-days, in the same order.

    What was not delivered stays; what is new or different is taken; a measured value displaces an estimate, never an
    edit. A measured value that differs from an earlier one is a finding.
    """
    measured: dict[str, Integers] = {}
    shape = stored.quality.shape
    fresh = np.zeros(shape, dtype=np.bool_)
    differs = np.zeros(shape, dtype=np.bool_)
    changes: dict[str, Flags] = {}
    before = np.zeros(shape, dtype=np.bool_)
    for channel in CHANNELS:
        old, new = stored.measured.get(channel), arranged.values.get(channel)
        if new is None or old is None:
            kept = old if new is None else new
            if kept is None:
                continue
            measured[channel] = kept
            before |= (old != ABSENT) if old is not None else False
            fresh |= (new != ABSENT) if new is not None else False
            continue
        given, had = new != ABSENT, old != ABSENT
        other = given & had & (new != old)
        before |= had
        fresh |= given & ~had
        if other.any():
            differs |= other
            changes[channel] = other
        measured[channel] = np.where(given, new, old)
    overlay = _overlay_left(arranged, stored)
    quality = raw_quality(measured, overlay, stored.quality)
    changed: Flags = np.asarray((fresh | differs).any(axis=1))
    return Merged(
        days=StoredDays(
            minutes=stored.minutes,
            meters=stored.meters,
            days=stored.days,
            versions=stored.versions,
            measured=measured,
            overlay=overlay,
            quality=quality,
            validated=np.zeros(shape[0], dtype=np.bool_),
            codes=stored.codes,
        ),
        changed=changed,
        intervals_new=int((fresh & ~before).sum()),
        intervals_changed=int((differs | (fresh & before)).sum()),
        findings=tuple(_changed_findings(arranged, changes, differs)),
    )


def raw_quality(
    measured: Mapping[str, Integers], overlay: Mapping[str, Integers], earlier: Qualities
) -> Qualities:
    """Return the quality of rows that nobody has validated: measured, absent, or what stands over it as it did."""
    energy = measured.get("wh_import")
    if energy is None:
        quality = np.full(earlier.shape, Quality.ABSENT, dtype=np.uint8)
    else:
        quality = np.where(energy == ABSENT, np.uint8(Quality.ABSENT), np.uint8(Quality.MEASURED))
    for over in overlay.values():
        quality = np.where(over == ABSENT, quality, earlier)
    return quality


def trivial_quality(energy: Integers, validated: Flags) -> Qualities:
    """Return the quality that is not stored because it follows: absent, or measured, or valid once validated."""
    present = np.where(validated, np.uint8(Quality.VALID), np.uint8(Quality.MEASURED))[:, None]
    return np.where(energy == ABSENT, np.uint8(Quality.ABSENT), present)


def overlay_of(values: Mapping[str, Integers], quality: Qualities) -> dict[str, Integers]:
    """Return what a validated block lays over the measured values: its estimated and edited intervals of energy."""
    over = (quality == Quality.ESTIMATED) | (quality == Quality.EDITED)
    overlay: dict[str, Integers] = {}
    if over.any():
        for channel in ENERGY_CHANNELS:
            if channel in values:
                laid = np.where(over, values[channel], ABSENT)
                if (laid != ABSENT).any():
                    overlay[channel] = laid
    return overlay


def laid_over(block: DayBlock, stored: StoredDays) -> dict[str, Integers]:
    """Return the values of a validated block, where an edit stands what it says of each channel of energy."""
    edited = stored.quality == Quality.EDITED
    values = dict(block.values)
    if edited.any():
        for channel in ENERGY_CHANNELS:
            if channel in values or channel in stored.overlay:
                over = stored.overlay.get(channel, np.full(edited.shape, ABSENT, dtype=np.int64))
                values[channel] = np.where(edited, over, block.channel(channel))
    return values


def edited_days(stored: StoredDays, edits: Sequence[DayEdit]) -> StoredDays:
    """
    Return stored rows as edits make them, row i by `edits[i]`; what was measured is as it was.

    What is taken out is suspect, so that an estimate takes its place; the rows are to be judged again.
    """
    quality = stored.quality.copy()
    empty = np.full(quality.shape, ABSENT, dtype=np.int64)
    overlay = {channel: stored.overlay.get(channel, empty).copy() for channel in ENERGY_CHANNELS}
    energy = stored.of("wh_import")
    for row, edit in enumerate(edits):
        run = slice(edit.first, edit.last)
        if edit.kind is EditKind.SET:
            overlay[edit.channel][row, run] = edit.values
            quality[row, run] = Quality.EDITED
            continue
        for over in overlay.values():
            over[row, run] = ABSENT
        there = Quality.SUSPECT if edit.kind is EditKind.TAKE_OUT else Quality.MEASURED
        absent = energy[row, run] == ABSENT
        quality[row, run] = np.where(absent, np.uint8(Quality.ABSENT), np.uint8(there))
    return replace(
        stored,
        overlay={channel: over for channel, over in overlay.items() if (over != ABSENT).any()},
        quality=quality,
        validated=np.zeros(len(stored.meters), dtype=np.bool_),
    )


def _overlay_left(arranged: Arranged, stored: StoredDays) -> dict[str, Integers]:
    left: dict[str, Integers] = {}
    for channel, over in stored.overlay.items():
        new = arranged.values.get(channel)
        kept = over
        if new is not None:
            kept = np.where((new != ABSENT) & (stored.quality != Quality.EDITED), ABSENT, over)
        if (kept != ABSENT).any():
            left[channel] = kept
    return left


def _changed_findings(arranged: Arranged, changes: Mapping[str, Flags], differs: Flags) -> Iterator[Finding]:
    """Yield a finding for each stretch of intervals in which a measured value changed, under its first channel."""
    for row, begin, end in row_runs(differs)[:CHANGED_FINDINGS_MAX]:
        channels = [channel for channel, other in changes.items() if other[row, begin:end].any()]
        day = int(arranged.days[row])
        yield Finding(
            meter=arranged.meters[row],
            channel=channels[0],
            kind=FindingKind.CHANGED,
            start=moment_of(interval_start(day, begin, arranged.minutes)),
            end=moment_of(interval_start(day, end, arranged.minutes)),
            intervals=end - begin,
            equal=False,
            detail={"channels": channels},
        )


def daily_sums(values: Integers) -> Integers:
    """
    Return the sum of each row, what is absent left out.

    >>> daily_sums(np.array([[1, ABSENT, 2], [ABSENT, ABSENT, ABSENT]])).tolist()
    [3, 0]
    """
    return np.asarray(np.sum(values, axis=-1, where=values != ABSENT, initial=0), dtype=np.int64)


def quality_counts(quality: Qualities) -> Integers:
    """Return for each row how many intervals have each quality, in the order of `Quality`."""
    counts = [np.count_nonzero(quality == kind, axis=1) for kind in Quality]
    return np.asarray(np.stack(counts, axis=1), dtype=np.int64)


def fold(values: Integers, *, channel: str) -> Integers:
    """
    Return rows of 15 minutes as rows of 30: energy added, voltage and current averaged; half a pair is absent.

    >>> fold(np.array([[1, 2, 3, ABSENT]]), channel="wh_import").tolist() == [[3, ABSENT]]
    True
    >>> fold(np.array([[230_10, 230_15]]), channel="volt").tolist()
    [[23013]]
    """
    left, right = values[:, 0::2], values[:, 1::2]
    absent = (left == ABSENT) | (right == ABSENT)
    summed = np.where(absent, 0, left) + np.where(absent, 0, right)
    if channel in ("volt", "amp"):
        summed = (summed + 1) // 2  # half up
    return np.where(absent, ABSENT, summed)


def positions(names: Sequence[str]) -> dict[str, int]:
    """Return the place of each name."""
    return {name: place for place, name in enumerate(names)}


def one_length_a_day(blocks: Sequence[DayBlock]) -> tuple[DayBlock, ...]:
    """
    Return the blocks with each meter-day in one of them only.

    On the day on which a meter changes its interval length there are two rows; they become one of half-hours, in
    which a half-hour of the longer intervals stands before two of the shorter.
    """
    if len(blocks) < 2:
        return tuple(blocks)
    fine, coarse = sorted(blocks, key=lambda block: block.minutes)
    places = {key: row for row, key in enumerate(zip(coarse.meters, coarse.days.tolist(), strict=True))}
    twice = np.array(
        [key in places for key in zip(fine.meters, fine.days.tolist(), strict=True)], dtype=np.bool_
    )
    if not twice.any():
        return tuple(blocks)
    rows = np.flatnonzero(twice)
    into = np.array([places[fine.meters[row], int(fine.days[row])] for row in rows.tolist()], dtype=np.int64)
    gap = coarse.quality[into] == Quality.ABSENT
    values = {}
    for channel in sorted({*fine.values, *coarse.values}):
        whole = coarse.channel(channel).copy()
        whole[into] = np.where(gap, fold(fine.channel(channel)[rows], channel=channel), whole[into])
        values[channel] = whole
    quality = coarse.quality.copy()
    quality[into] = np.where(gap, folded_quality(fine.quality[rows]), quality[into])
    return (rows_of(fine, np.flatnonzero(~twice)), replace(coarse, values=values, quality=quality))


def folded_quality(quality: Qualities) -> Qualities:
    """
    Return the quality of half-hours made of two quarters: absent if one of them is, else the more doubtful.

    >>> folded_quality(np.array([[2, 4, 0, 2]], dtype=np.uint8)).tolist()
    [[4, 0]]
    """
    left, right = quality[:, 0::2], quality[:, 1::2]
    absent = (left == Quality.ABSENT) | (right == Quality.ABSENT)
    return np.where(absent, np.uint8(Quality.ABSENT), np.maximum(left, right))


def rows_of(block: DayBlock, rows: Integers) -> DayBlock:
    """Return some rows of a block."""
    return DayBlock(
        meters=tuple(block.meters[row] for row in rows.tolist()),
        days=block.days[rows],
        minutes=block.minutes,
        versions=block.versions[rows],
        values={channel: values[rows] for channel, values in block.values.items()},
        quality=block.quality[rows],
        validated=block.validated[rows],
    )
