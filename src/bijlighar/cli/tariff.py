"""`bijlighar tariff`: check a tariff book, price a usage."""

from datetime import date
from pathlib import Path

import click

from bijlighar.base.energy import units
from bijlighar.base.errors import InvalidValue
from bijlighar.base.money import rupees
from bijlighar.base.period import Month
from bijlighar.cli.common import DAY, format_option, print_json, print_line, print_table
from bijlighar.tariffs.model import Area, Book, Explanation, Priced, Usage
from bijlighar.tariffs.operations import read_book
from bijlighar.tariffs.rules import explain, price

BOOK = click.argument("book", type=click.Path(path_type=Path, dir_okay=False))


@click.group(name="tariff")
def tariff() -> None:
    """Check a tariff book, price a usage with it."""


@tariff.command(name="check")
@BOOK
def check(book: Path) -> None:
    """Check BOOK and recompute its worked examples."""
    read = read_book(path=book)
    for category in read.categories:
        print_line(
            f"{read.id}: {category.code} ({category.name.en}), {category.valid_from} to {category.valid_to}, "
            f"{len(category.lines)} lines, {len(category.examples)} worked examples are right"
        )


@tariff.command(name="price")
@BOOK
@click.option("--category", required=True, help="The category code, for instance LV-1.2.")
@click.option("--area", type=click.Choice([area.value for area in Area]), required=True)
@click.option("--wh", "energy_wh", type=click.IntRange(min=0), required=True, help="Energy [Wh].")
@click.option(
    "--load-w", "sanctioned_w", type=click.IntRange(min=0), required=True, help="Sanctioned load [W]."
)
@click.option(
    "--days", type=click.IntRange(min=1), required=True, help="Days; 30 or the month's own are one month."
)
@click.option(
    "--on", type=DAY, default=None, help="A day of the period [default: the first the book is valid for]."
)
@click.option("--demand-w", type=click.IntRange(min=0), default=None, help="Recorded maximum demand [W].")
@click.option(
    "--smart/--no-smart", default=False, show_default=True, help="A smart meter: time of day applies."
)
@click.option(
    "--window-wh",
    multiple=True,
    metavar="CODE=WH",
    help="Energy in a time window [Wh], for instance TOD3=30000.",
)
@format_option()
def price_command(  # noqa: PLR0917 - click gives them by name
    book: Path,
    category: str,
    area: str,
    energy_wh: int,
    sanctioned_w: int,
    days: int,
    on: date | None,
    demand_w: int | None,
    smart: bool,
    window_wh: tuple[str, ...],
    output_format: str,
) -> None:
    """Price a usage by BOOK and say why each line has its amount."""
    read = read_book(path=book)
    day = on or _first_day(book=read, code=category)
    own_days = Month.of(day).days
    usage = Usage(
        category=category,
        area=Area(area),
        on=day,
        days=days,
        month_days=own_days if days == own_days else 30,
        energy_wh=energy_wh,
        sanctioned_w=sanctioned_w,
        smart=smart or bool(window_wh),
        demand_w=demand_w,
        windows_wh=dict(_window(text) for text in window_wh),
    )
    priced = price(book=read, usage=usage)
    explained = explain(book=read, usage=usage, priced=priced)
    if output_format == "json":
        print_json(_document(book=read, usage=usage, priced=priced, explained=explained))
        return
    rows = [
        (line.name.en, rupees(line.amount_paise), why.text.en)
        for line, why in zip(priced.lines, explained, strict=True)
    ]
    rows.append(("Net before rounding", rupees(priced.net_paise), ""))
    rows.append(("Total", rupees(priced.total_paise), ""))
    title = f"{read.id} {category}: {units(energy_wh)} units in {days} days from {day}"
    print_table(title=title, columns=("line", "amount", "why"), rows=rows, right=("amount",))


def _first_day(*, book: Book, code: str) -> date:
    days = [category.valid_from for category in book.categories if category.code == code]
    return min(days, default=book.valid_from)


def _window(text: str) -> tuple[str, int]:
    code, equals, energy_wh = text.partition("=")
    if not (code and equals and energy_wh.isdigit()):
        raise InvalidValue(f"{text!r} is not CODE=WH; write it like TOD3=30000")
    return code, int(energy_wh)


def _document(
    *, book: Book, usage: Usage, priced: Priced, explained: tuple[Explanation, ...]
) -> dict[str, object]:
    return {
        "book": book.id,
        "digest": book.digest,
        "category": usage.category,
        "area": usage.area.value,
        "on": usage.on.isoformat(),
        "days": usage.days,
        "energy_wh": usage.energy_wh,
        "sanctioned_w": usage.sanctioned_w,
        "lines": [
            {
                "code": line.code,
                "name": {"hi": line.name.hi, "en": line.name.en},
                "amount_paise": line.amount_paise,
                "amount": rupees(line.amount_paise),
                "why": {"hi": why.text.hi, "en": why.text.en},
                "steps": [
                    {"quantity": str(step.quantity), "rate_paise": str(step.rate_paise), "en": step.text.en}
                    for step in why.steps
                ],
            }
            for line, why in zip(priced.lines, explained, strict=True)
        ],
        "net_paise": priced.net_paise,
        "total_paise": priced.total_paise,
        "net": rupees(priced.net_paise),
        "total": rupees(priced.total_paise),
    }
