"""A report of findings: neighbours joined, what the deliveries contained added, as one document. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from bijlighar.base.period import IST, day_number, local_date
from bijlighar.readings.model import Finding, FindingKind
from bijlighar.validation.model import Rule, Severity, ValidationFinding, ValidationReport
from bijlighar.validation.reasons import reason

#: What goes on over midnight is told as one.
JOINED = (Rule.MISSING, Rule.ZERO_RUN, Rule.FLAT_RUN, Rule.REPEATED)
_OF_DELIVERY = {
    FindingKind.DUPLICATE: (Rule.DUPLICATE, Severity.INFO, Severity.WARNING),
    FindingKind.CHANGED: (Rule.DUPLICATE, Severity.INFO, Severity.WARNING),
    FindingKind.OUT_OF_ORDER: (Rule.OUT_OF_ORDER, Severity.INFO, Severity.INFO),
    FindingKind.UNREADABLE: (Rule.UNREADABLE, Severity.WARNING, Severity.WARNING),
    FindingKind.FLAGGED: (Rule.FLAGGED, Severity.INFO, Severity.INFO),
}


def of_delivery(finding: Finding) -> ValidationFinding:
    """Return what a delivery contained as a finding of its rule."""
    rule, equal, different = _OF_DELIVERY[finding.kind]
    facts: dict[str, Any] = {}
    if rule is Rule.DUPLICATE:
        facts = {"equal": finding.equal, "later": finding.kind is FindingKind.CHANGED}
    if rule is Rule.UNREADABLE:
        facts = {"lines": list(finding.detail.get("lines", []))}
    if rule is Rule.FLAGGED:
        facts = {"flags": list(finding.detail.get("flags", []))}
    return ValidationFinding(
        rule=rule,
        meter=finding.meter,
        day=day_number(local_date(finding.start)),
        channel=finding.channel,
        start=finding.start,
        end=finding.end,
        intervals=finding.intervals,
        severity=equal if finding.equal else different,
        facts=facts,
    )


def joined_gaps(findings: Iterable[ValidationFinding]) -> tuple[ValidationFinding, ...]:
    """Return the findings by meter and time, gaps that go on over midnight as one."""
    result: list[ValidationFinding] = []
    last_gap: dict[tuple[str, str, Rule, object], int] = {}
    for finding in sorted(findings, key=lambda found: (found.meter, found.start, found.rule, found.channel)):
        if finding.rule in JOINED:
            key = (finding.meter, finding.channel, finding.rule, _alike(finding))
            place = last_gap.get(key)
            if place is not None and result[place].end == finding.start:
                result[place] = _one_gap(result[place], finding)
                continue
            last_gap[key] = len(result)
        result.append(finding)
    return tuple(result)


def document(report: ValidationReport) -> dict[str, Any]:
    """Return the report as the JSON document that the command line prints."""
    totals: dict[str, dict[str, int]] = {}
    for finding in report.findings:
        total = totals.setdefault(finding.rule.value, {"findings": 0, "intervals": 0})
        total["findings"] += 1
        total["intervals"] += finding.intervals
    return {
        "findings": [_entry(finding) for finding in report.findings],
        "totals": {rule.value: totals[rule.value] for rule in Rule if rule.value in totals},
        "meter_days": report.meter_days,
        "estimated_intervals": report.estimated_intervals,
    }


def _entry(finding: ValidationFinding) -> dict[str, Any]:
    words = reason(finding)
    return {
        "rule": finding.rule.value,
        "meter": finding.meter,
        "channel": finding.channel,
        "start": finding.start.astimezone(IST).isoformat(),
        "end": finding.end.astimezone(IST).isoformat(),
        "intervals": finding.intervals,
        "severity": finding.severity.value,
        "reason": words.en,
        "reason_hi": words.hi,
    }


def _alike(finding: ValidationFinding) -> object:
    """Return what two findings of one rule must share to be one."""
    return finding.facts.get("energy_wh"), "register_wh" in finding.facts


def _one_gap(first: ValidationFinding, second: ValidationFinding) -> ValidationFinding:
    facts: dict[str, Any] = {}
    if first.rule is not Rule.MISSING:
        facts = dict(first.facts)
    estimated = sum(int(part.facts.get("estimated", 0)) for part in (first, second))
    if estimated:
        methods: set[int] = set()
        for part in (first, second):
            methods.update(part.facts.get("methods", []))
        scaled = any(bool(part.facts.get("scaled")) for part in (first, second))
        facts = {"estimated": estimated, "methods": sorted(methods), "scaled": scaled}
    return replace(
        first,
        end=second.end,
        intervals=first.intervals + second.intervals,
        severity=_graver((first, second)),
        facts=facts,
    )


def _graver(findings: Sequence[ValidationFinding]) -> Severity:
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index)
