"""`bijlighar doctor`: is the home well, and what to do if not."""

import sys

import click

from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.runtime.health import health
from bijlighar.runtime.home import Home, UnusableHome
from bijlighar.runtime.line import Line
from bijlighar.runtime.route import ROUTE


@click.command()
@home_option
@format_option()
def doctor(home: Home, output_format: str) -> None:
    """Look at the home's database, keys, policy, tariff books and every step; exit 1 where something fails."""
    if not home.exists:
        raise UnusableHome(
            f"there is no home at {home.path}; name it by --home, or make one with: bijlighar office import"
        )
    line = Line(home)
    report = health(line)
    notes = _notes(line)
    if output_format == "json":
        print_json(report.as_document() | {"notes": notes})
    else:
        facts = {step.name: step.fact.en for step in ROUTE}
        print_table(
            title=f"The line at {report.now.isoformat()}",
            columns=("step", "what it makes", "pending", "done", "failures in a row", "last failure"),
            rows=[
                (step.step, facts[step.step], step.pending, step.done, step.failures, step.error)
                for step in report.steps
            ],
            right=("pending", "done", "failures in a row"),
        )
        for note in notes:
            print_line(f"- {note}")
        print_line(
            "All is well." if report.is_well else "A step fails again and again: see its last failure above."
        )
    if not report.is_well:
        sys.exit(1)


def _notes(line: Line) -> list[str]:
    """Return what an operator should know; opening policy and books raises where they are broken."""
    policy, books = line.policy, line.books
    notes = [
        f"database: {'SQLite in the home' if line.database.is_sqlite else 'PostgreSQL'}",
        f"arrears policy: {policy.id}; tariff books: {', '.join(book.id for book in books.books)}",
    ]
    if line.message_gateway is None:
        notes.append("no message provider is set (whatsapp.phone_number_id): messages wait")
    if not line.home.settings.text("gateway.key_id"):
        notes.append("no payment gateway is set (gateway.key_id): its callbacks are refused")
    if not line.home.settings.text("siren.mqtt_host"):
        notes.append("no siren is set (siren.mqtt_host): alarms sound nowhere but in `bijlighar alarm list`")
    return notes
