"""`bijlighar validate`: run the rules over a range of days."""

from datetime import date

import click

from bijlighar.base.period import IST, date_of, day_number
from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.readings import queries as readings
from bijlighar.runtime.home import Home
from bijlighar.storage.engine import Database
from bijlighar.validation import operations
from bijlighar.validation.model import ValidationFinding
from bijlighar.validation.queries import document, reason

DEFAULT_DAYS = 31
ROWS_SHOWN = 40


@click.command()
@click.option(
    "--from", "first", type=DAY, help="The first day (IST). [default: 31 days up to the last one stored]"
)
@click.option("--to", "last", type=DAY, help="The last day (IST), included.")
@format_option()
@home_option
def validate(first: date | None, last: date | None, output_format: str, home: Home) -> None:
    """
    Check the readings of a range of days, write their validity and the estimates, and show what was found.

    Findings do not change the exit status.
    """
    database = home.database
    days = _range(database, first=first, last=last)
    if days is None:
        if output_format == "json":
            print_json({"findings": [], "totals": {}})
            return
        print_line("there are no readings yet")
        return
    report = operations.validate_range(database, first=days[0], last=days[1], now=home.clock.now())
    found = document(report)
    if output_format == "json":
        print_json(found)
        return
    print_line(
        f"{days[0]} to {days[1]}: {report.meter_days} meter-days validated, "
        f"{report.estimated_intervals} intervals estimated"
    )
    print_table(
        title="Findings · जाँच के नतीजे",
        columns=("rule", "findings", "intervals"),
        rows=[(rule, total["findings"], total["intervals"]) for rule, total in found["totals"].items()],
        right=("findings", "intervals"),
    )
    shown = report.findings[:ROWS_SHOWN]
    print_table(
        title=f"The first {len(shown)} of {len(report.findings)}",
        columns=("meter", "rule", "from", "to", "severity", "reason"),
        rows=[_row(finding) for finding in shown],
    )


def _range(database: Database, *, first: date | None, last: date | None) -> tuple[date, date] | None:
    if first is None or last is None:
        with database.read() as connection:
            ends = readings.stored_ends(connection)
        if ends is None:
            return None
        last = last or max(date_of(ends[1]), first or date_of(ends[1]))
        first = first or max(date_of(ends[0]), date_of(day_number(last) - DEFAULT_DAYS + 1))
    if last < first:
        raise click.UsageError("--from is after --to")
    return first, last


def _row(finding: ValidationFinding) -> tuple[str, ...]:
    start, end = finding.start.astimezone(IST), finding.end.astimezone(IST)
    return (
        finding.meter,
        finding.rule.value,
        f"{start:%Y-%m-%d %H:%M}",
        f"{end:%Y-%m-%d %H:%M}",
        finding.severity.value,
        reason(finding).in_language("en"),
    )
