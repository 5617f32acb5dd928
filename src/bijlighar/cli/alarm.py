"""`bijlighar alarm`: list alarms, show what happened to one, acknowledge one by name."""

import click

from bijlighar.alarms import operations, queries, rules
from bijlighar.alarms.errors import UnknownAlarm
from bijlighar.alarms.model import STATE_NAMES, Alarm, JournalLine, WallRow
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER, local_text
from bijlighar.runtime.home import Home


@click.group()
def alarm() -> None:
    """Alarms: list them, show one, acknowledge one."""


@alarm.command(name="list")
@click.option("--all", "every", is_flag=True, help="Also those that are over and acknowledged.")
@click.option(
    "--grouped", is_flag=True, help="The open alarms as the wall shows them: one line for one event."
)
@format_option()
@home_option
def list_(every: bool, grouped: bool, output_format: str, home: Home) -> None:
    """List the open alarms, the most urgent first."""
    if grouped:
        if every:
            raise click.UsageError("give either --all or --grouped")
        _list_grouped(output_format=output_format, home=home)
        return
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


def _list_grouped(*, output_format: str, home: Home) -> None:
    with home.database.read() as connection:
        found = queries.wall_rows(connection, offices=None, now=home.clock.now())
        siren = queries.siren_required(connection)
    if output_format == "json":
        print_json({"siren_required": siren, "rows": [_row_document(row) for row in found]})
        return
    print_table(
        title=f"Alarms{' - the siren is called for' if siren else ''}",
        columns=(
            "alarms",
            "priority",
            "what",
            "where",
            "meters",
            "state",
            "count",
            "last at",
            "acknowledged by",
        ),
        rows=[
            (
                ", ".join(map(str, row.numbers)),
                f"P{row.priority}",
                row.words.en if row.guess is None else f"{row.words.en} ({row.guess.en})",
                " ".join(filter(None, (row.office, row.feeder, row.transformer))),
                ", ".join(row.sources),
                STATE_NAMES[row.state].en,
                row.count,
                local_text(row.last_at),
                ", ".join(row.owners),
            )
            for row in found
        ],
        right=("count",),
    )


def _row_document(row: WallRow) -> dict[str, object]:
    return {
        "key": row.key,
        "priority": int(row.priority),
        "state": row.state.value,
        "words": {"hi": row.words.hi, "en": row.words.en},
        "guess": None if row.guess is None else {"hi": row.guess.hi, "en": row.guess.en},
        "office": row.office,
        "feeder": row.feeder,
        "transformer": row.transformer,
        "count": row.count,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "alarms": list(row.numbers),
        "meters": list(row.sources),
        "acknowledged_by": list(row.owners),
    }


def _document(item: Alarm) -> dict[str, object]:
    return {
        "number": item.number,
        "priority": int(item.priority),
        "code": item.code,
        "words": {"hi": item.words.hi, "en": item.words.en},
        "meter": item.source,
        "account": item.account,
        "office": item.office,
        "transformer": item.transformer,
        "feeder": item.feeder,
        "state": item.state.value,
        "count": item.count,
        "first_at": item.first_at.isoformat(),
        "last_at": item.last_at.isoformat(),
        "returned_at": item.returned_at.isoformat() if item.returned_at else None,
        "acknowledged_by": item.acknowledged_by,
        "acknowledged_at": item.acknowledged_at.isoformat() if item.acknowledged_at else None,
        "note": item.note,
        "squad": item.squad,
        "escalated": item.escalated,
    }


@alarm.command()
@click.argument("number", type=NUMBER)
@format_option()
@home_option
def show(number: int, output_format: str, home: Home) -> None:
    """Show alarm NUMBER and all that happened to it."""
    with home.database.read() as connection:
        found = queries.alarm(connection, number=number)
        if found is None:
            raise UnknownAlarm(f"there is no alarm {number}; `bijlighar alarm list` names them")
        lines = queries.history(connection, alarm=number)
    if output_format == "json":
        print_json(_document(found) | {"history": [_line_document(line) for line in lines]})
        return
    where = ", ".join(
        filter(None, (found.source, found.account, found.transformer, found.feeder, found.office))
    )
    table = operations.shipped_table()
    print_table(
        title=f"Alarm {number}, P{found.priority}: {found.words.en}; {STATE_NAMES[found.state].en} ({where})",
        columns=("at", "what", "who"),
        rows=[
            (local_text(line.at), rules.line_words(line, table=table).en, line.person or "-")
            for line in lines
        ],
    )


def _line_document(line: JournalLine) -> dict[str, object]:
    return {
        "number": line.number,
        "at": line.at.isoformat(),
        "event": line.event.value,
        "person": line.person,
        "detail": line.detail,
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
