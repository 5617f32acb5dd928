"""What was found: SQL, private to this room."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, Row, String, Table, or_, select, update

from bijlighar.base.period import Period
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import among
from bijlighar.validation.model import Rule, Severity, ValidationFinding

METERS_PER_SELECT = 5_000
#: Findings are few: of more meters than these what lies between the first and the last is read.
METERS_APART = 500
FINDINGS_PER_PAGE = 200_000
IDS_PER_UPDATE = 5_000

# A finding is never removed: what a later run does not find any more is withdrawn.
finding_table = Table(
    "validation_finding",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("day", Integer, nullable=False),
    Column("meter", String(32), nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("rule", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("start", Moment, nullable=False),
    Column("end", Moment, nullable=False),
    Column("intervals", Integer, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("facts", Document, nullable=False),
    Column("found_at", Moment, nullable=False),
    Column("withdrawn_at", Moment),
)
_is_open = finding_table.c.withdrawn_at.is_(None)
Index(
    "ix_validation_finding_open",
    *(finding_table.c.day, finding_table.c.meter),
    sqlite_where=_is_open,
    postgresql_where=_is_open,
)


def replace_findings(
    connection: Connection,
    *,
    meter_days: Sequence[tuple[str, int]],
    minutes: int,
    findings: Sequence[ValidationFinding],
    now: datetime,
) -> set[tuple[str, int]]:
    """Make `findings` what stands open for these meter-days of one interval length; return those that changed."""
    if not meter_days:
        return set()
    told = _open_of(connection, meter_days, minutes)
    standing = {_identity(finding): number for number, finding in told}
    wanted = {_identity(finding): finding for finding in findings}
    gone = [number for key, number in standing.items() if key not in wanted]
    old = [finding for _, finding in told if _identity(finding) not in wanted]
    new = [finding for key, finding in wanted.items() if key not in standing]
    for begin in range(0, len(gone), IDS_PER_UPDATE):
        some = gone[begin : begin + IDS_PER_UPDATE]
        connection.execute(update(finding_table).where(finding_table.c.id.in_(some)).values(withdrawn_at=now))
    if new:
        connection.execute(finding_table.insert(), [_row(finding, minutes, now) for finding in new])
    return {(finding.meter, finding.day) for finding in (*old, *new)}


def select_findings_of(
    connection: Connection, *, meters: Sequence[str], first: int, last: int
) -> list[ValidationFinding]:
    """Return the open findings of some meters on the days `first` to `last`."""
    found: list[ValidationFinding] = []
    for begin in range(0, len(meters), METERS_PER_SELECT):
        statement = select(finding_table).where(
            _is_open,
            finding_table.c.day.between(first, last),
            among(connection, finding_table.c.meter, meters[begin : begin + METERS_PER_SELECT]),
        )
        found += [_finding(row) for row in connection.execute(statement)]
    return found


def select_findings(
    connection: Connection, *, period: Period, meters: Sequence[str] | None
) -> list[ValidationFinding]:
    """Return the open findings that begin in `period`, by meter and time."""
    statement = (
        select(finding_table)
        .where(_is_open, finding_table.c.start >= period.start, finding_table.c.start < period.end)
        .order_by(finding_table.c.meter, finding_table.c.start, finding_table.c.id)
        .limit(FINDINGS_PER_PAGE)
    )
    wanted = None if meters is None else set(meters)
    return [_finding(row) for row in connection.execute(statement) if wanted is None or row.meter in wanted]


def select_suspects(connection: Connection, *, first: int, last: int) -> set[tuple[str, int]]:
    """Return (meter, day) of the days `first` to `last` that hold measured values nobody believes, or edits."""
    statement = select(finding_table.c.meter, finding_table.c.day).where(
        _is_open,
        finding_table.c.day.between(first, last),
        finding_table.c.rule.in_([Rule.NEGATIVE.value, Rule.SPIKE.value, Rule.EDITED.value]),
        or_(finding_table.c.rule == Rule.EDITED.value, finding_table.c.severity != Severity.INFO.value),
    )
    return {(row.meter, row.day) for row in connection.execute(statement)}


def _open_of(
    connection: Connection, meter_days: Sequence[tuple[str, int]], minutes: int
) -> list[tuple[int, ValidationFinding]]:
    keys = set(meter_days)
    days = [day for _, day in meter_days]
    meters = sorted({meter for meter, _ in meter_days})
    found = []
    base = select(finding_table).where(
        _is_open, finding_table.c.day.between(min(days), max(days)), finding_table.c.minutes == minutes
    )
    for begin in range(0, len(meters), METERS_PER_SELECT):
        some = meters[begin : begin + METERS_PER_SELECT]
        of_meters = among(connection, finding_table.c.meter, some)
        if len(some) > METERS_APART:
            of_meters = finding_table.c.meter.between(some[0], some[-1])
        for row in connection.execute(base.where(of_meters)):
            if (row.meter, row.day) in keys:
                found.append((row.id, _finding(row)))
    return found


def _identity(finding: ValidationFinding) -> tuple[Any, ...]:
    facts: Mapping[str, Any] = finding.facts
    told = tuple((name, str(facts[name])) for name in sorted(facts))
    span = (finding.start, finding.end, finding.intervals)
    return (finding.rule, finding.meter, finding.channel, *span, finding.severity, told)


def _row(finding: ValidationFinding, minutes: int, now: datetime) -> dict[str, Any]:
    return {
        "day": finding.day,
        "meter": finding.meter,
        "minutes": minutes,
        "rule": finding.rule.value,
        "channel": finding.channel,
        "start": finding.start,
        "end": finding.end,
        "intervals": finding.intervals,
        "severity": finding.severity.value,
        "facts": dict(finding.facts),
        "found_at": now,
    }


def _finding(row: Row[Any]) -> ValidationFinding:
    return ValidationFinding(
        rule=Rule(row.rule),
        meter=row.meter,
        day=row.day,
        channel=row.channel,
        start=row.start,
        end=row.end,
        intervals=row.intervals,
        severity=Severity(row.severity),
        facts=row.facts,
    )
