"""`bijlighar meter facts`: what is known of meters beside their readings, who says so, and whether it is trusted."""

import csv
import sys
from collections.abc import Iterable
from datetime import datetime

import click

from bijlighar.base.period import IST
from bijlighar.base.text import spreadsheet_text
from bijlighar.base.words import LANGUAGES, Language
from bijlighar.cli.common import format_option, home_option, print_json, print_table
from bijlighar.headend import queries
from bijlighar.headend.queries import MeterFact
from bijlighar.headend.rules import ORIGIN_WORDS, fact_words
from bijlighar.runtime.home import Home

COLUMNS = ("meter", "kind", "value", "origin", "since", "trusted_at")


@click.command()
@click.argument("serial", nargs=-1)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
@format_option("table", "json", "csv")
@home_option
def facts(serial: tuple[str, ...], lang: Language, output_format: str, home: Home) -> None:
    """
    Show what is known of the meters SERIAL, or of all: maker, model, firmware, year, SIM, IMEI, address.

    What a shipment said is a claim until the meter, in an association that held, has said the same.
    """
    with home.database.read() as connection:
        known: Iterable[MeterFact] = (
            queries.meter_facts(connection, meters=serial) if serial else queries.every_meter_fact(connection)
        )
        if output_format == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([spreadsheet_text(cell or "") for cell in _cells(fact)] for fact in known)
        elif output_format == "json":
            print_json([dict(zip(COLUMNS, _cells(fact), strict=True)) for fact in known])
        else:
            _print_facts(known, lang)


def _print_facts(known: Iterable[MeterFact], lang: Language) -> None:
    def word(name: str) -> str:
        return fact_words(name).in_language(lang)

    print_table(
        title=word("title"),
        columns=[word(name) for name in ("meter", "fact", "value", "origin", "since", "trusted")],
        rows=[
            (
                fact.meter,
                word(fact.kind.value),
                fact.value,
                word(ORIGIN_WORDS[fact.origin]),
                _text(fact.since),
                _text(fact.trusted_at) or word("claim"),
            )
            for fact in known
        ],
    )


def _cells(fact: MeterFact) -> tuple[str | None, ...]:
    return (
        fact.meter,
        fact.kind.value,
        fact.value,
        fact.origin.value,
        _text(fact.since),
        _text(fact.trusted_at),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="seconds")
