"""`bijlighar bench`: measure, beside a peer or a limit of the same run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bijlighar.bench import alarming, collecting, decoding, rating, storing, validating
from bijlighar.bench.measuring import Say
from bijlighar.cli.common import format_option, print_json, print_line, print_table

DECIMALS = 3


def meters_option(default: int, meaning: str = "Meters of the town.") -> Callable[[Any], Any]:
    """Give a command the option --meters and the argument `meters: int`."""
    kind = click.IntRange(1, 1_000_000)
    return click.option("--meters", type=kind, default=default, show_default=True, help=meaning)


def days_option(default: int) -> Callable[[Any], Any]:
    """Give a command the option --days and the argument `days: int`."""
    return click.option(
        "--days", type=click.IntRange(1, 400), default=default, show_default=True, help="Days of half-hours."
    )


@click.group(name="bench")
def bench() -> None:
    """Measure, beside a peer or a limit of the same run."""


@bench.command(name="decode")
@format_option()
def decode(output_format: str) -> None:
    """
    Decode a ciphered block-load response of 48 rows, singly and 200 at a time, and encode a GET request.

    Beside gurux-dlms and dlms-cosem, where the interpreter named by $BIJLIGHAR_PEERS (else this one) has them.
    """
    with progress() as say:
        found = decoding.decode(say=say)
    if output_format == "json":
        print_json(rounded(found))
        return
    names = {
        "single": "48 x 7 response, singly",
        "batch": f"48 x 7 response, {found['batch']['responses']} at a time",
        "encode_get": "GET request, encoded",
    }
    columns = ("ours_us", "limit_us", "gurux_us", "dlms_cosem_us")
    print_table(
        title="Microseconds of CPU each · प्रत्येक के माइक्रोसेकंड",
        columns=("what", "ours", "limit", "gurux-dlms", "dlms-cosem"),
        rows=[
            (name, *(number(found[key].get(column), digits=2) for column in columns))
            for key, name in names.items()
        ],
        right=("ours", "limit", "gurux-dlms", "dlms-cosem"),
    )
    for name, peer in found["peers"].items():
        print_line(f"{name}: {peer['version'] or 'not measured, ' + peer['absent']}")


@bench.command(name="collect")
@meters_option(collecting.METERS, "Simulated meters.")
@format_option()
def collect(meters: int, output_format: str) -> None:
    """
    Hold whole sessions with simulated meters: HLS with GMAC, a day's block load, daily row, events, release.

    By CPU time of the client, with and without storing; beside it gurux-dlms on 50 of the meters, where the
    interpreter named by $BIJLIGHAR_PEERS (else this one) has it.
    """
    with progress() as say:
        found = collecting.collect(say=say, meters=meters)
    if output_format == "json":
        print_json(rounded(found))
        return
    print_table(
        title=f"Sessions per CPU second, {meters:,} meters · प्रति सेकंड सत्र",
        columns=("sessions", "with storing", "gurux-dlms", "peak MB"),
        rows=[
            (
                number(found["sessions_per_core_s"]),
                number(found["stored_sessions_per_core_s"]),
                number(found["gurux_sessions_per_core_s"], digits=1),
                number(found["peak_mb"]),
            )
        ],
        right=("sessions", "with storing", "gurux-dlms", "peak MB"),
    )
    absent = found["peers"]["gurux-dlms"]["absent"]
    if absent:
        print_line(f"gurux-dlms: not measured, {absent}")


@bench.command(name="store")
@meters_option(storing.METERS)
@days_option(storing.DAYS)
@click.option(
    "--database",
    metavar="URL",
    envvar="BIJLIGHAR_DATABASE",
    show_envvar=True,
    default="",
    help="A PostgreSQL to measure too, in a schema of its own; anything else is left alone.",
)
@format_option()
def store(meters: int, days: int, database: str, output_format: str) -> None:
    """
    Store meter-days in bulk, and merge 1,000 into what is there.

    SQLite by CPU time in a temporary folder, PostgreSQL by elapsed time; the limit is the same arrays cast to 16 bits
    into a plain file.
    """
    url = database if database.startswith("postgresql") else None
    with progress() as say:
        found = storing.store(say=say, meters=meters, days=days, postgres_url=url)
    if output_format == "json":
        print_json(rounded(found))
        return
    parts = {"SQLite": found["sqlite"], "PostgreSQL": found["postgresql"], "limit": found["limit"]}
    print_table(
        title=f"{meters:,} meters, {days} days of half-hours · भंडारण",
        columns=("where", "time", "intervals/s in bulk", "ms to merge 1,000 meter-days", "octets/interval"),
        rows=[
            (
                name,
                part["clock"],
                number(part["bulk_intervals_per_s"]),
                number(part["merge_1000_ms"], digits=1),
                number(part["bytes_per_interval"], digits=1),
            )
            for name, part in parts.items()
            if part is not None
        ],
        right=("intervals/s in bulk", "ms to merge 1,000 meter-days", "octets/interval"),
    )
    if url is None:
        print_line("PostgreSQL: not measured, $BIJLIGHAR_DATABASE names none")


@bench.command(name="validate")
@meters_option(validating.METERS)
@days_option(validating.DAYS)
@format_option()
def validate(meters: int, days: int, output_format: str) -> None:
    """
    Take half-hours from decoded arrays to their validated version on SQLite, and run the rules over one day.

    The limit of the day is to unpack the same rows of four channels and sum them.
    """
    with progress() as say:
        found = validating.validate(say=say, meters=meters, days=days)
    if output_format == "json":
        print_json(rounded(found))
        return
    print_table(
        title=f"{meters:,} meters, {days} days of half-hours · जाँच",
        columns=("what", "figure"),
        rows=[
            (
                "rules over one day, from packed rows to findings (ms of CPU)",
                number(found["vee_day_ms"], digits=1),
            ),
            (
                "the same from the database, findings written (ms of CPU)",
                number(found["validate_again_day_ms"], digits=1),
            ),
            ("limit: unpack and sum that day (ms of CPU)", number(found["limit_day_ms"], digits=1)),
            (
                "from arrays to validated (intervals per CPU second)",
                number(found["decoded_to_validated_per_core_s"]),
            ),
        ],
        right=("figure",),
    )


@bench.command(name="rate")
@meters_option(rating.BILLS, "Bills, one for each meter, in each category.")
@format_option()
def rate(meters: int, output_format: str) -> None:
    """
    Price bills by the vector engine and by the scalar one, in every category of the shipped books.

    The limit is one multiplication, one rounded division and one addition for each line, in 64-bit integers.
    """
    with progress() as say:
        found = rating.rate(say=say, bills=meters)
    if output_format == "json":
        print_json(rounded(found))
        return
    columns = ("vector_bills_per_s", "scalar_bills_per_s", "limit_bills_per_s")
    named = [(f"{each['book']} {each['category']}", each["lines"], each) for each in found["categories"]]
    print_table(
        title="Bills per CPU second · प्रति सेकंड बिल",
        columns=("category", "lines", "vector", "scalar", "limit"),
        rows=[
            (name, lines, *(number(each[column]) for column in columns))
            for name, lines, each in [*named, ("together", "", found)]
        ],
        right=("lines", "vector", "scalar", "limit"),
    )


@contextmanager
def progress() -> Iterator[Say]:
    """Show on stderr what is done: a bar on a terminal, else lines. Nothing is drawn but when something is said."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda text, _: console.print(f"bijlighar: {text} …", markup=False)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share, refresh=True)


def number(value: float | None, *, digits: int = 0) -> str:
    """
    Return a figure as a person reads it, a dash for one that was not measured.

    >>> number(1234.5678, digits=1), number(None)
    ('1,234.6', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}"


def rounded(found: Any) -> Any:  # noqa: ANN401 - a JSON document
    """
    Return a document with its numbers to `DECIMALS` places.

    >>> rounded({"ours_us": 1.23456, "gurux_us": None, "days": [1]})
    {'ours_us': 1.235, 'gurux_us': None, 'days': [1]}
    """
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return round(found, DECIMALS) if isinstance(found, float) else found


@bench.command(name="alarm")
@click.option("--listeners", type=click.IntRange(1, 1_000), default=alarming.LISTENERS, show_default=True)
@click.option(
    "--events",
    type=click.IntRange(0, 2_000),
    default=alarming.EVENTS_PER_S,
    show_default=True,
    help="Other events a second.",
)
@click.option(
    "--sirens",
    type=click.IntRange(2, 1_000),
    default=alarming.SIRENS,
    show_default=True,
    help="Tampers that are timed.",
)
@format_option()
def alarm(listeners: int, events: int, sirens: int, output_format: str) -> None:
    """
    Time a tamper from the meter's bytes on the socket to the siren's banner in a real browser.

    Beside it consoles listen and other meters report events; each event is stored before it is shown.
    """
    with progress() as say:
        found = alarming.alarm(say=say, listeners=listeners, events_per_s=events, sirens=sirens)
    if output_format == "json":
        print_json(found)
        return
    times = found["push_to_siren_ms"]
    print_table(
        title="Milliseconds from the push to the siren · मिलीसेकंड",
        columns=("p50", "p99", "longest", "consoles", "events/s", "timed"),
        rows=[
            (
                times["p50"],
                times["p99"],
                round(times["max"], 1),
                found["listeners"],
                found["events_per_s_reached"],
                found["sirens"],
            )
        ],
    )
