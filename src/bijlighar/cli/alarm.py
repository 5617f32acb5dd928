"""`bijlighar alarm`: list alarms, acknowledge one by name."""

import click

from bijlighar.alarms import operations, queries
from bijlighar.alarms.model import STATE_NAMES, Alarm
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER, local_text
from bijlighar.runtime.home import Home


@click.group()
def alarm() -> None:
    """Alarms: list them, acknowledge one."""


@alarm.command(name="list")
@click.option("--all", "every", is_flag=True, help="Also those that are over and acknowledged.")
@format_option()
@home_option
def list_(every: bool, output_format: str, home: Home) -> None:
    """List the open alarms, the most urgent first."""
    with home.database.read() as connection:
        found = queries.alarms(connection) if every else queries.open_alarms(connection)
        siren = queries.siren_required(connection)
    if output_format == "json":
        print_json({"siren_required": siren, "alarms": [_document(item) for item in found]})
        return
    print_table(
        title=f"Alarms{' - the siren is called for' if siren else ''}",
        columns=(
            "alarm",
            "priority",
            "what",
            "meter",
            "account",
            "state",
            "count",
            "last at",
            "acknowledged by",
        ),
        rows=[
            (
                item.number,
                f"P{item.priority}",
                item.words.en,
                item.source,
                item.account,
                STATE_NAMES[item.state].en,
                item.count,
                local_text(item.last_at),
                item.acknowledged_by,
            )
            for item in found
        ],
        right=("alarm", "count"),
    )


def _document(item: Alarm) -> dict[str, object]:
    return {
        "number": item.number,
        "priority": int(item.priority),
        "code": item.code,
        "words": {"hi": item.words.hi, "en": item.words.en},
        "meter": item.source,
        "account": item.account,
        "office": item.office,
        "state": item.state.value,
        "count": item.count,
        "first_at": item.first_at.isoformat(),
        "last_at": item.last_at.isoformat(),
        "returned_at": item.returned_at.isoformat() if item.returned_at else None,
        "acknowledged_by": item.acknowledged_by,
        "acknowledged_at": item.acknowledged_at.isoformat() if item.acknowledged_at else None,
        "note": item.note,
    }


@alarm.command()
@click.argument("number", type=NUMBER)
@click.option("--as", "person", metavar="PERSON", required=True, help="Who does this; it is recorded.")
@click.option("--note", default="", help="What was found or done.")
@home_option
def ack(number: int, person: str, note: str, home: Home) -> None:
    """Acknowledge alarm NUMBER."""
    check_text(note, what="the note", letters_max=NOTE_MAX)
    found = operations.acknowledge(
        home.database, number=number, person=person, now=home.clock.now(), note=note
    )
    print_line(f"alarm {number}: {STATE_NAMES[found.state].en}, by {found.acknowledged_by}")
