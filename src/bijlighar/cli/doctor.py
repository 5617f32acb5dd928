"""`bijlighar doctor`: is the home well, and what to do if not."""

import sys
from dataclasses import dataclass

import click

from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.headend import queries as headend
from bijlighar.registry import queries as registry
from bijlighar.runtime.health import health
from bijlighar.runtime.home import Home, UnusableHome
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from bijlighar.runtime.route import ROUTE


@click.command()
@home_option
@format_option()
def doctor(home: Home, output_format: str) -> None:
    """
    Look at the home's database, keys, policy, tariff books and every step of the line.

    Of each step: what waits, what has come of it in all, how often it has failed in a row. Of the keys: whether the
    stored keys of the meters open, and how many meters with an address have none. Exit 1 where a step fails again
    and again, or keys do not open.
    """
    if not home.exists:
        raise UnusableHome(
            f"there is no home at {home.path}; name it by --home, or make one with: bijlighar office import"
        )
    line = Line(home)
    report = health(line)
    keys = _keys(line)
    notes = [*_notes(line), *keys.notes]
    is_well = report.is_well and keys.open
    if output_format == "json":
        print_json(report.as_document() | {"notes": notes} | ({} if keys.open else {"status": "failing"}))
    else:
        facts = {step.name: step.fact.en for step in ROUTE}
        print_table(
            title=f"The line at {report.now.isoformat()}",
            columns=(
                "step",
                "what it makes",
                "pending",
                "so far",
                "counted",
                "failures in a row",
                "last failure",
            ),
            rows=[
                (
                    step.step,
                    facts[step.step],
                    step.pending,
                    step.done,
                    step.counts.en,
                    step.failures,
                    step.error,
                )
                for step in report.steps
            ],
            right=("pending", "so far", "failures in a row"),
        )
        for note in notes:
            print_line(f"- {note}")
        print_line(_verdict(step_fails=not report.is_well, keys_fail=not keys.open))
    if not is_well:
        sys.exit(1)


def _verdict(*, step_fails: bool, keys_fail: bool) -> str:
    if step_fails:
        return "A step fails again and again: see its last failure above."
    return "Keys do not open: see above." if keys_fail else "All is well."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    open: bool
    notes: tuple[str, ...]


def _keys(line: Line) -> _Keys:
    """Return how the meters' keys stand; without the key that opens them (no head-end runs here) all is well."""
    with line.database.read() as connection:
        stored = headend.meters_with_keys(connection)
        hung = registry.end_devices(connection, hung_at=line.now())
        without = [device.serial for device in hung if device.communicates and device.serial not in stored]
        key = line.home.known_key(KEY_ENCRYPTION_KEY)
        shut = headend.keys_that_stay_shut(connection, key_encryption_key=key) if stored and key else ()
    notes = []
    if without:
        notes.append(
            f"{len(without)} meters that hang and have an address have no keys, {without[0]} first: they cannot be "
            "read; take them in with `bijlighar registry keys`"
        )
    if not stored:
        notes.append("keys: none of any meter are stored")
    elif key is None:
        notes.append(
            f"keys: those of {len(stored)} meters are stored, and keys/{KEY_ENCRYPTION_KEY} is not here to open "
            "them; only the head-end needs it"
        )
    elif shut:
        notes.append(
            f"keys: those of {len(shut)} meters, {shut[0]} first, do not open with keys/{KEY_ENCRYPTION_KEY}; put "
            "the right one in its place, or take them in again with `bijlighar registry keys`"
        )
    else:
        notes.append(
            f"keys: those of {len(stored)} meters are stored, and open with keys/{KEY_ENCRYPTION_KEY}"
        )
    return _Keys(open=not shut, notes=tuple(notes))


def _notes(line: Line) -> list[str]:
    """Return what an operator should know; opening policy and books raises where they are broken."""
    policy, books = line.policy, line.books
    notes = [
        f"database: {'SQLite in the home' if line.database.is_sqlite else 'PostgreSQL'}",
        f"arrears policy: {policy.id}; tariff books: {', '.join(book.id for book in books.books)}",
    ]
    quirks = line.head_end_settings.quirks
    if quirks.files:
        notes.append(f"quirk files: {', '.join(quirk.name for quirk in quirks.files)}")
    notes += [
        f"a quirk file cannot be used, and the meters that it is of are not read: {problem}"
        for problem in quirks.broken.values()
    ]
    if line.message_gateway is None:
        notes.append("no message provider is set (whatsapp.phone_number_id): messages wait")
    if not line.home.settings.text("gateway.key_id"):
        notes.append("no payment gateway is set (gateway.key_id): its callbacks are refused")
    if not line.home.settings.text("siren.mqtt_host"):
        notes.append("no siren is set (siren.mqtt_host): alarms sound nowhere but in `bijlighar alarm list`")
    return notes
