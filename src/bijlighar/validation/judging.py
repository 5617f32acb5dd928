"""From cases to verdicts: qualities, estimates and findings. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bijlighar.readings.model import (
    ABSENT,
    ENERGY_CHANNELS,
    DayBlock,
    Flags,
    Integers,
    Qualities,
    Quality,
    runs,
)
from bijlighar.validation import pattern_findings, rules
from bijlighar.validation.cases import Cases, Window
from bijlighar.validation.edit_rules import edit_findings
from bijlighar.validation.estimation import Estimates, estimate
from bijlighar.validation.model import Method, Rule, Severity, ValidationFinding, ValidationSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """What is to be stored of the cases: the block with quality and estimates, and what was found."""

    block: DayBlock
    findings: tuple[ValidationFinding, ...]
    estimated_intervals: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Marks:
    """Which intervals each rule marks, and what the estimates made of them (rows of the block)."""

    missing: Flags
    negative: Flags
    negative_export: Flags
    spike: Flags
    confirmed: Flags
    sums: rules.SumCheck
    methods: Qualities
    scaled: Flags


def judge(cases: Cases, *, settings: ValidationSettings) -> Verdict:
    """Judge the cases by every rule and estimate what is due."""
    block = cases.block
    energy = block.values["wh_import"]
    sum_wh = rules.day_sums(energy)
    fall = pattern_findings.falls(cases, sum_wh=sum_wh, settings=settings)
    sums = rules.sum_check(
        values=energy,
        wanted=cases.wanted,
        sum_wh=sum_wh,
        opening=cases.opening,
        closing=np.where(fall.rollover, cases.closing + fall.modulus, cases.closing),
        settings=settings,
    )
    edited = block.quality == Quality.EDITED
    spike = ~edited & rules.spike(
        values=energy, minutes=block.minutes, load=cases.load, usual=cases.usual, settings=settings
    )
    negative, negative_export = rules.negative(values=energy), rules.negative_in(block, "wh_export")
    suspect = (negative | negative_export | (spike & ~sums.confirmed[:, None])) & ~edited
    suspect |= cases.stands.taken_out & (energy != ABSENT) & ~edited
    missing = rules.missing(values=energy, wanted=cases.wanted)
    targets = (missing | suspect) & cases.due[:, None]
    values = dict(block.values)
    quality = rules.quality(values=energy, suspect=suspect)
    methods = np.zeros(quality.shape, dtype=np.uint8)
    scaled = np.zeros(quality.shape, dtype=np.bool_)
    if cases.window is not None and targets.any():
        for channel in ENERGY_CHANNELS:
            found = _estimated(cases, cases.window, channel, targets, suspect, settings)
            made = found.values != ABSENT
            if channel == "wh_import":
                quality = np.where(made, np.uint8(Quality.ESTIMATED), quality)
                methods, scaled = found.methods, found.scaled & made
            elif not made.any():
                continue
            values[channel] = np.where(
                made & (quality == Quality.ESTIMATED), found.values, block.channel(channel)
            )
    marks = _Marks(
        missing=missing,
        negative=negative,
        negative_export=negative_export,
        spike=spike,
        confirmed=sums.confirmed,
        sums=sums,
        methods=np.where(quality == Quality.ESTIMATED, methods, np.uint8(0)),
        scaled=scaled,
    )
    judged = replace(block, values=values, quality=quality, validated=np.ones(block.rows, dtype=np.bool_))
    return Verdict(
        block=judged,
        findings=(
            *_findings(cases, marks),
            *edit_findings(block, cases.stands),
            *pattern_findings.found(cases, sums=sums, fall=fall, settings=settings),
        ),
        estimated_intervals=int((quality == Quality.ESTIMATED).sum()),
    )


def _estimated(
    cases: Cases, window: Window, channel: str, targets: Flags, suspect: Flags, settings: ValidationSettings
) -> Estimates:
    """Return the estimates of a channel, by rows of the block."""
    block = cases.block
    place = {meter: row for row, meter in enumerate(window.meters)}
    inside = np.flatnonzero(targets.any(axis=1) | suspect.any(axis=1))
    inside = np.array([row for row in inside.tolist() if block.meters[row] in place], dtype=np.int64)
    meter = np.array([place[block.meters[row]] for row in inside.tolist()], dtype=np.int64)
    column = block.days[inside].astype(np.int64) - window.first_day
    known = window.known[channel].copy()
    if channel != "wh_import" and not (known != ABSENT).any():
        empty = np.full(block.quality.shape, ABSENT, dtype=np.int64)
        return Estimates(
            values=empty, methods=np.zeros(empty.shape, np.uint8), scaled=np.zeros(empty.shape, np.bool_)
        )
    known[meter, column] = np.where(suspect[inside], ABSENT, known[meter, column])
    wide = np.zeros(known.shape, dtype=np.bool_)
    wide[meter, column] = targets[inside]
    registers = window.registers[channel]
    found = estimate(
        known=known,
        targets=wide,
        registers=registers,
        elsewhere=window.elsewhere[channel],
        history_days=settings.history_days,
        tolerance=_tolerance(registers, known, settings),
        neighbours=window.neighbours if channel == "wh_import" else None,
    )
    values = np.full(block.quality.shape, ABSENT, dtype=np.int64)
    methods = np.zeros(block.quality.shape, dtype=np.uint8)
    scaled = np.zeros(block.quality.shape, dtype=np.bool_)
    values[inside] = found.values[meter, column]
    methods[inside] = found.methods[meter, column]
    scaled[inside] = found.scaled[meter, column]
    return Estimates(values=values, methods=methods, scaled=scaled)


def _tolerance(registers: Integers, known: Integers, settings: ValidationSettings) -> Integers:
    """Return for each meter by how much the known intervals of a day may exceed its registers [Wh]."""
    coarse = ((registers == ABSENT) | (registers % settings.coarse_step_wh == 0)).all(axis=1)
    step = np.where(coarse, settings.coarse_step_wh, settings.fine_step_wh)
    return np.asarray(step + (known.shape[2] * settings.rounding_wh_per_two + 1) // 2, dtype=np.int64)


def _findings(cases: Cases, marks: _Marks) -> Iterator[ValidationFinding]:
    block = cases.block
    energy = block.values["wh_import"]
    for row in np.flatnonzero(marks.missing.any(axis=1)).tolist():
        for begin, end in runs(marks.missing[row]):
            facts = _estimate_facts(marks, row, begin, end)
            severity = Severity.INFO if facts.get("estimated") == end - begin else Severity.WARNING
            yield pattern_findings.finding_at(
                block, row, begin, end, rule=Rule.MISSING, severity=severity, facts=facts
            )
    for channel, negative in (("wh_import", marks.negative), ("wh_export", marks.negative_export)):
        for row in np.flatnonzero(negative.any(axis=1)).tolist():
            for begin, end in runs(negative[row]):
                least = int(block.values[channel][row, begin:end].min())
                facts = {"least_wh": least, **_estimate_facts(marks, row, begin, end)}
                yield pattern_findings.finding_at(
                    block,
                    row,
                    begin,
                    end,
                    rule=Rule.NEGATIVE,
                    severity=Severity.ERROR,
                    facts=facts,
                    channel=channel,
                )
    for row in np.flatnonzero(marks.spike.any(axis=1)).tolist():
        confirmed = bool(marks.confirmed[row])
        for begin, end in runs(marks.spike[row]):
            facts = {
                "greatest_wh": int(energy[row, begin:end].max()),
                "load_wh": int(cases.load[row]),
                "usual_wh": int(cases.usual[row]),
                "confirmed": confirmed,
                **_estimate_facts(marks, row, begin, end),
            }
            severity = Severity.INFO if confirmed else Severity.WARNING
            yield pattern_findings.finding_at(
                block, row, begin, end, rule=Rule.SPIKE, severity=severity, facts=facts
            )
    whole = block.quality.shape[1]
    for row in np.flatnonzero(marks.sums.failed).tolist():
        facts = {
            "sum_wh": int(marks.sums.sum_wh[row]),
            "difference_wh": int(marks.sums.difference_wh[row]),
            "tolerance_wh": int(marks.sums.tolerance_wh[row]),
        }
        yield pattern_findings.finding_at(
            block, row, 0, whole, rule=Rule.SUM_CHECK, severity=Severity.ERROR, facts=facts
        )


def _estimate_facts(marks: _Marks, row: int, begin: int, end: int) -> dict[str, Any]:
    methods = marks.methods[row, begin:end]
    used = sorted({int(method) for method in methods.tolist()} - {int(Method.NONE)})
    if not used:
        return {}
    return {
        "estimated": int((methods != Method.NONE).sum()),
        "methods": used,
        "scaled": bool(marks.scaled[row, begin:end].any()),
    }
