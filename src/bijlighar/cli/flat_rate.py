"""`bijlighar flat-rate`: loads without a meter, assessed by the day, between limits."""

from pathlib import Path

import click

from bijlighar.balance import operations, queries
from bijlighar.balance.model import FLAT_RATE_NAMES
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import FILE, read_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.runtime.home import Home


@click.group(name="flat-rate")
def flat_rate() -> None:
    """Loads without a meter (pumps, street lights): what each is assessed at a day, and between which limits."""


@flat_rate.command(name="import")
@click.argument("file", type=FILE)
@click.option("--as", "person", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def import_(file: Path, person: str | None, home: Home) -> None:
    """
    Take in loads without a meter from FILE, whole or not at all; earlier versions are kept.

    Columns: code,transformer,kind,low_wh,likely_wh,high_wh,from,basis and optionally to. The kind is pump,
    street_light or other; energies are whole Wh a day, and nine times of ten the truth lies from low to high; `basis`
    says in words how they were reckoned; days are YYYY-MM-DD, both included.
    """
    text = read_text(file)
    now = home.clock.now()
    with home.database.write() as connection:
        if person is not None:
            offices.authorise(connection, sign_in=person, act=Act.IMPORT_REGISTRY, office=None)
        changed = operations.import_flat_rates(connection, text=text, now=now)
        offices.record_act(
            connection,
            person=person or offices.SYSTEM,
            act=Act.IMPORT_REGISTRY,
            subject="flat-rates",
            detail={"file": file.name, "changed": changed},
            now=now,
        )
    print_line(f"{changed} loads without a meter new or changed")


@flat_rate.command(name="list")
@format_option()
@home_option
def list_(output_format: str, home: Home) -> None:
    """Show the loads without a meter as they are assessed now."""
    with home.database.read() as connection:
        found = queries.flat_rates(connection)
    if output_format == "json":
        print_json(
            [
                {
                    "code": each.code,
                    "transformer": each.transformer,
                    "kind": each.kind.value,
                    "low_wh": each.low_wh,
                    "likely_wh": each.likely_wh,
                    "high_wh": each.high_wh,
                    "from": each.first.isoformat(),
                    "to": None if each.last is None else each.last.isoformat(),
                    "basis": each.basis,
                }
                for each in found
            ]
        )
        return
    print_table(
        title="Loads without a meter · बिना मीटर भार",
        columns=(
            "code",
            "transformer",
            "kind",
            "low Wh/day",
            "likely Wh/day",
            "high Wh/day",
            "from",
            "to",
            "basis",
        ),
        rows=[
            (
                each.code,
                each.transformer,
                FLAT_RATE_NAMES[each.kind].en,
                each.low_wh,
                each.likely_wh,
                each.high_wh,
                each.first,
                each.last,
                each.basis,
            )
            for each in found
        ],
        right=("low Wh/day", "likely Wh/day", "high Wh/day"),
    )
