"""From what stands beside the cases to findings: shape, registers, physics, exchange. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bijlighar.base.period import moment_of
from bijlighar.readings.model import ABSENT, DayBlock, Flags, Integers, interval_start, runs
from bijlighar.validation import patterns, register_rules
from bijlighar.validation.cases import Cases
from bijlighar.validation.catalogue import severity
from bijlighar.validation.model import Rule, Severity, ValidationFinding, ValidationSettings
from bijlighar.validation.rules import SumCheck


def falls(cases: Cases, *, sum_wh: Integers, settings: ValidationSettings) -> register_rules.Fall:
    """Return which registers of the cases fell over their day, and why."""
    return register_rules.fall(
        opening=cases.opening,
        closing=cases.closing,
        sum_wh=sum_wh,
        load_wh=cases.load * cases.block.intervals,
        settings=settings,
    )


def found(
    cases: Cases, *, sums: SumCheck, fall: register_rules.Fall, settings: ValidationSettings
) -> Iterator[ValidationFinding]:
    """Yield what the rules on shape, registers, physics and exchange find in the cases."""
    beside = cases.beside
    if beside is None:
        return
    block = cases.block
    yield from _of_intervals(cases, Rule.ZERO_RUN, beside.zero)
    yield from _of_intervals(cases, Rule.FLAT_RUN, beside.flat)
    if beside.before:
        yield from _of_intervals(
            cases,
            Rule.REPEATED,
            patterns.repeated(values=block.values, before=beside.before, settings=settings),
        )
    impossible = patterns.physics(
        values=block.values, minutes=block.minutes, one_phase=beside.one_phase, settings=settings
    )
    yield from _of_intervals(cases, Rule.PHYSICS, impossible)
    yield from _of_intervals(cases, Rule.EXCHANGE, beside.outside, grave=Severity.WARNING, outside=True)
    for row, (other, new) in beside.exchanges.items():
        yield from _of_day(cases, row, Rule.EXCHANGE, {"other": other, "new": new})
    if "wh_export" in block.values:
        fed = block.values["wh_export"]
        for row in np.flatnonzero(patterns.export(values=fed, settings=settings)).tolist():
            exported = int(np.sum(fed[row], where=fed[row] > 0, initial=0))
            yield from _of_day(cases, row, Rule.EXPORT, {"export_wh": exported}, channel="wh_export")
    yield from _of_registers(cases, sums, fall, settings)


def _of_registers(
    cases: Cases, sums: SumCheck, fall: register_rules.Fall, settings: ValidationSettings
) -> Iterator[ValidationFinding]:
    beside = cases.beside
    assert beside is not None  # noqa: S101 - asked by the caller
    for row in np.flatnonzero(fall.rollover).tolist():
        facts = {
            "modulus_wh": int(fall.modulus[row]),
            "counted_wh": int(cases.closing[row] + fall.modulus[row] - cases.opening[row]),
        }
        yield from _of_day(cases, row, Rule.ROLLOVER, facts)
    for row in np.flatnonzero(fall.reset).tolist():
        facts = {"from_wh": int(cases.opening[row]), "to_wh": int(cases.closing[row])}
        yield from _of_day(cases, row, Rule.RESET, facts)
    failed = np.flatnonzero(sums.failed & ~fall.reset)
    if not len(failed):
        return
    factors = register_rules.multiplier(
        sum_wh=sums.sum_wh[failed],
        difference_wh=sums.difference_wh[failed],
        ratio=beside.ratio[failed],
        settings=settings,
    )
    places = register_rules.shifted(
        values=cases.block.values["wh_import"][failed],
        before=beside.before["wh_import"][failed],
        opening=cases.opening[failed],
        closing=cases.closing[failed],
        prior=beside.prior[failed],
        allowed=sums.tolerance_wh[failed],
    )
    for row, factor, place in zip(failed.tolist(), factors.tolist(), places.tolist(), strict=True):
        if factor:
            facts = {
                "factor": factor,
                "sum_wh": int(sums.sum_wh[row]),
                "difference_wh": int(sums.difference_wh[row]),
            }
            yield from _of_day(cases, row, Rule.MULTIPLIER, facts)
        elif place:
            yield from _of_day(cases, row, Rule.DRIFT, {"intervals_late": place})
        elif sums.difference_wh[row] == 0 and sums.sum_wh[row] > 0:
            facts = {"register_wh": int(cases.closing[row]), "sum_wh": int(sums.sum_wh[row])}
            yield from _of_day(cases, row, Rule.REPEATED, facts)


def _of_intervals(
    cases: Cases, rule: Rule, marks: Flags, *, grave: Severity | None = None, outside: bool = False
) -> Iterator[ValidationFinding]:
    """Yield a finding for each run of marked intervals of a day."""
    for row in np.flatnonzero(marks.any(axis=1)).tolist():
        how = grave or _severity(cases, row, rule)
        if how is None:
            continue
        for begin, end in runs(marks[row]):
            facts: dict[str, Any] = {"outside": True} if outside else {}
            if rule in (Rule.FLAT_RUN, Rule.PHYSICS):
                facts["energy_wh"] = int(cases.block.values["wh_import"][row, begin])
            if rule is Rule.PHYSICS:
                facts |= _electrical(cases.block, row, begin)
            told = finding_at(cases.block, row, begin, end, rule=rule, severity=how, facts=facts)
            present = cases.block.values["wh_import"][row, begin:end] != ABSENT
            if present.any():
                yield replace(told, intervals=int(present.sum()))


def _electrical(block: DayBlock, row: int, slot: int) -> dict[str, int]:
    facts = {}
    for channel in ("vah_import", "volt", "amp"):
        if channel in block.values and block.values[channel][row, slot] != ABSENT:
            facts[channel] = int(block.values[channel][row, slot])
    return facts


def _of_day(
    cases: Cases, row: int, rule: Rule, facts: dict[str, Any], *, channel: str = "wh_import"
) -> Iterator[ValidationFinding]:
    how = _severity(cases, row, rule)
    if how is not None:
        yield finding_at(
            cases.block, row, 0, cases.block.intervals, rule=rule, severity=how, facts=facts, channel=channel
        )


def _severity(cases: Cases, row: int, rule: Rule) -> Severity | None:
    return severity(rule, "" if cases.beside is None else cases.beside.categories[row])


def finding_at(
    block: DayBlock,
    row: int,
    begin: int,
    end: int,
    *,
    rule: Rule,
    severity: Severity,
    facts: dict[str, Any],
    channel: str = "wh_import",
) -> ValidationFinding:
    """Return what a rule found in the intervals from `begin` to before `end` of one row's day."""
    day = int(block.days[row])
    return ValidationFinding(
        rule=rule,
        meter=block.meters[row],
        day=day,
        channel=channel,
        start=moment_of(interval_start(day, begin, block.minutes)),
        end=moment_of(interval_start(day, end, block.minutes)),
        intervals=end - begin,
        severity=severity,
        facts=facts,
    )
