"""The findings of deliveries: SQL, private to this room."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Boolean, Column, Connection, Index, Integer, String, Table, UniqueConstraint, select

from bijlighar.base.period import Period
from bijlighar.readings.model import Finding, FindingKind
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

FINDINGS_PER_PAGE = 100_000
#: So many meters are asked for by name; of more, all are read and the others left out.
METERS_BY_NAME_MAX = 500

finding_table = Table(
    "readings_finding",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(32), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("start", Moment, nullable=False),
    Column("end", Moment, nullable=False),
    Column("intervals", Integer, nullable=False),
    Column("equal", Boolean, nullable=False),
    Column("detail", Document, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    UniqueConstraint("meter", "kind", "channel", "start", "end", "equal", "intervals"),
)
Index("ix_readings_finding_start", finding_table.c.start)


def add_findings(connection: Connection, *, findings: Sequence[Finding], now: datetime) -> None:
    """Add findings of deliveries; one that is known is not added again."""
    if not findings:
        return
    rows = [
        {
            "meter": finding.meter,
            "channel": finding.channel,
            "kind": finding.kind.value,
            "start": finding.start,
            "end": finding.end,
            "intervals": finding.intervals,
            "equal": finding.equal,
            "detail": dict(finding.detail),
            "recorded_at": now,
        }
        for finding in findings
    ]
    connection.execute(insert_for(connection, finding_table).on_conflict_do_nothing(), rows)


def select_findings(connection: Connection, *, period: Period, meters: Sequence[str] | None) -> list[Finding]:
    """Return the findings that begin in `period`, by meter and time."""
    statement = (
        select(finding_table)
        .where(finding_table.c.start >= period.start, finding_table.c.start < period.end)
        .order_by(finding_table.c.meter, finding_table.c.start, finding_table.c.id)
        .limit(FINDINGS_PER_PAGE)
    )
    wanted = None if meters is None else set(meters)
    if wanted is not None and len(wanted) <= METERS_BY_NAME_MAX:
        statement = statement.where(finding_table.c.meter.in_(sorted(wanted)))
    return [
        Finding(
            meter=row.meter,
            channel=row.channel,
            kind=FindingKind(row.kind),
            start=row.start,
            end=row.end,
            intervals=row.intervals,
            equal=row.equal,
            detail=row.detail,
            sequence=row.id,
        )
        for row in connection.execute(statement)
        if wanted is None or row.meter in wanted
    ]
