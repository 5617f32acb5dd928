"""`bijlighar rollout`: plan, stock, work orders, installations."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import click

from bijlighar.base.period import Month, local_date
from bijlighar.cli.adapters import adapter_option, adapter_text, read_octets
from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import FILE, read_text
from bijlighar.cli.rollout_orders import install, order, orders, person_option
from bijlighar.rollout import operations, queries, rules
from bijlighar.rollout.model import Forecast, Observed, Progress, StockCount, StockItem, StockState
from bijlighar.runtime.home import Home

COUNT = click.IntRange(0, rules.METERS_MAX)
DECIMALS = 4
MONTHS_LETTERS_MAX = 20


@click.group()
def rollout() -> None:
    """The roll-out: plan, stock, work orders."""


@rollout.command()
@click.option(
    "--planned", type=COUNT, help="Reckon with these figures instead of the home's: meters planned,"
)
@click.option("--installed", type=COUNT, help="installed so far,")
@click.option("--months", metavar="N", help="in so many months,")
@click.option("--claimed", type=COUNT, help="and claimed for this month (also with the home's own figures).")
@click.option("--stock", "in_stock", type=COUNT, help="Meters that can still be hung, if known.")
@click.option("--on", "on", type=DAY, help="The day on which the work goes on. [default: today]")
@format_option()
@home_option
def plan(
    planned: int | None,
    installed: int | None,
    months: str | None,
    claimed: int | None,
    in_stock: int | None,
    on: date | None,
    output_format: str,
    home: Home,
) -> None:
    """Show how the roll-out stands, what was observed, and when it will be done."""
    given = (planned, installed, months)
    if all(value is None for value in given):
        if in_stock is not None or on is not None:
            raise click.UsageError("--stock and --on go with --planned, --installed and --months")
        with home.database.read() as connection:
            progress = queries.progress(connection, now=home.clock.now(), claimed=claimed)
        _print_progress(progress, output_format)
        return
    if planned is None or installed is None or months is None:
        raise click.UsageError("give --planned, --installed and --months together")
    observed = Observed(
        on=on or local_date(home.clock.now()),
        planned=planned,
        installed=installed,
        hung_in_window=installed,
        months=_months(months),
        claimed=claimed,
        stock=in_stock,
    )
    found = rules.forecast(observed)
    words = rules.forecast_words(observed, found)
    if output_format == "json":
        print_json(_document(observed, found) | {"words": {"hi": words.hi, "en": words.en}})
        return
    print_line(words.hi)
    print_line(words.en)


def _months(text: str) -> Fraction:
    try:
        if "e" in text.lower() or len(text) > MONTHS_LETTERS_MAX:
            raise ValueError
        months = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(
            f"{text!r} is no number of months; write it like 4 or 4.5", param_hint="--months"
        ) from None
    return months


def _print_progress(progress: Progress, output_format: str) -> None:
    if output_format == "json":
        document = _document(progress.observed, progress.forecast) | {
            "planned_this_month": progress.planned_this_month,
            "commissioned": progress.commissioned,
            "orders_open": progress.orders_open,
            "offices": [
                {
                    "office": office.office,
                    "planned": office.planned,
                    "installed": office.installed,
                    "this_month": office.this_month,
                }
                for office in progress.by_office
            ],
            "words": {"hi": progress.words.hi, "en": progress.words.en},
        }
        print_json(document)
        return
    if progress.by_office:
        print_table(
            title="Roll-out by office · कार्यालयवार प्रगति",
            columns=("office", "planned", "installed", "this month"),
            right=("planned", "installed", "this month"),
            rows=[
                (
                    office.office,
                    rules.grouped(office.planned),
                    rules.grouped(office.installed),
                    office.this_month,
                )
                for office in progress.by_office
            ],
        )
    print_line(progress.words.hi)
    print_line(progress.words.en)


def _document(observed: Observed, found: Forecast) -> dict[str, object]:
    return {
        "on": observed.on.isoformat(),
        "planned": observed.planned,
        "installed": observed.installed,
        "this_month": observed.this_month,
        "claimed": observed.claimed,
        "stock": observed.stock,
        "remaining": found.remaining,
        "months_observed": _number(observed.months),
        "rate_per_month": _number(found.rate_per_month),
        "claim_ratio": _number(found.claim_ratio),
        "left_after_claim": found.left_after_claim,
        "months_left": _number(found.months_left),
        "stock_lasts_months": _number(found.stock_lasts_months),
        "stock_short": found.stock_short,
        "limited_by_stock": found.limited_by_stock,
        "forecast_done_on": None if found.done_on is None else found.done_on.isoformat(),
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value), DECIMALS)


@rollout.command()
@click.argument("file", type=FILE, required=False)
@click.option("--office", metavar="O", help="Instead of FILE: the office,")
@click.option("--planned", type=click.IntRange(1, rules.METERS_MAX), help="its meters,")
@click.option("--from", "first", metavar="YYYY-MM", help="the first month,")
@click.option("--to", "last", metavar="YYYY-MM", help="and the last.")
@person_option
@home_option
def target(
    file: Path | None,
    office: str | None,
    planned: int | None,
    first: str | None,
    last: str | None,
    person: str,
    home: Home,
) -> None:
    """Plan meters per office and month: from FILE (columns office,month,meters), or evenly over a window."""
    now = home.clock.now()
    if file is not None:
        text = read_text(file)
        with home.database.write() as connection:
            count = operations.plan_targets(connection, text=text, person=person, now=now)
    elif office is None or planned is None or first is None or last is None:
        raise click.UsageError("give FILE, or --office, --planned, --from and --to together")
    else:
        window = (Month.parse(first), Month.parse(last))
        with home.database.write() as connection:
            count = operations.plan_evenly(
                connection,
                office=office,
                planned=planned,
                first=window[0],
                last=window[1],
                person=person,
                now=now,
            )
    print_line(f"{count} targets planned")


@rollout.command()
@click.option("--serials", is_flag=True, help="Every meter, not the sums.")
@click.option(
    "--state", type=click.Choice([state.value for state in StockState]), help="Only meters in this state."
)
@format_option()
@home_option
def stock(serials: bool, state: str | None, output_format: str, home: Home) -> None:
    """Show the stock: received, issued, installed, faulty, per store."""
    with home.database.read() as connection:
        if serials or state is not None:
            wanted = None if state is None else StockState(state)
            _print_items(queries.stock_items(connection, state=wanted), output_format)
        else:
            _print_counts(queries.stock(connection), output_format)


def _print_items(items: Sequence[StockItem], output_format: str) -> None:
    names = ("serial", "meter_type", "store", "box", "state", "holder")
    rows = [
        (item.serial, str(item.meter_type), item.store, item.box, item.state.value, item.holder)
        for item in items
    ]
    if output_format == "json":
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table(title="Stock · भंडार", columns=names, rows=rows)


def _print_counts(counts: tuple[StockCount, ...], output_format: str) -> None:
    columns = ("store", "received", "in_store", "issued", "installed", "faulty", "sent_back", "stock")
    rows = [tuple(getattr(count, name) for name in columns) for count in counts]
    if output_format == "json":
        summed = rules.total(counts)
        document = {name: getattr(summed, name) for name in columns if name != "store"}
        print_json(document | {"stores": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(title="Stock · भंडार", columns=columns, rows=rows, right=columns[1:])


@rollout.command()
@click.argument("file", type=FILE)
@adapter_option
@click.option("--store", metavar="STORE", help="With --adapter: the store of meters whose file names none.")
@person_option
@home_option
def receive(file: Path, adapter: str | None, store: str | None, person: str, home: Home) -> None:
    """
    Take in a supplier's list from FILE (columns serial,meter_type,store,box[,url,minutes,multiplier,gateway]).

    Columns maker,model,firmware,year,system_title,imei,sim are kept as claims (see `meter facts`).
    With --adapter, FILE is a vendor's CSV or XML. Repeating a file changes nothing.
    """
    now = home.clock.now()
    if adapter is None:
        if store is not None:
            raise click.UsageError("--store goes with --adapter")
        text = read_text(file)
        with home.database.write() as connection:
            count = operations.receive_stock(connection, text=text, person=person, now=now)
    else:
        text = adapter_text(adapter, home=home, shipped=operations.shipped_stock_adapters())
        through = operations.stock_adapter(text, name=adapter)
        if store is not None:
            if "store" in through.fields:
                raise click.UsageError(f"the files of adapter {adapter} name the store; leave --store away")
            through = replace(through, constants={**through.constants, "store": store})
        octets = read_octets(file)
        with home.database.write() as connection:
            count = operations.receive_vendor_stock(
                connection, octets=octets, adapter=through, file=file.name, person=person, now=now
            )
    print_line(f"{count} meters received" if count else "0 meters received: all of them were received before")


@rollout.command(name="take-in")
@person_option
@home_option
def take_in(person: str, home: Home) -> None:
    """Take the smart meters that hang already into the books of the stock."""
    with home.database.write() as connection:
        count = operations.take_in_hanging(connection, person=person, now=home.clock.now())
    print_line(f"{count} hanging meters taken in")


@rollout.command()
@click.argument("event", type=click.Choice(["issue", "give-back", "faulty", "send-back"]))
@click.argument("serial", nargs=-1, required=True)
@click.option("--to", "fitter", default="", metavar="FITTER", help="With `issue`: who takes the meters.")
@click.option("--reason", default="", help="With `faulty`: what is wrong.")
@person_option
@home_option
def move(event: str, serial: tuple[str, ...], fitter: str, reason: str, person: str, home: Home) -> None:
    """Issue meters to a fitter, take them back, put them aside as faulty, or send them back."""
    now = home.clock.now()
    with home.database.write() as connection:
        if event == "issue":
            operations.issue_stock(connection, serials=serial, fitter=fitter, person=person, now=now)
        elif event == "give-back":
            operations.give_back_stock(connection, serials=serial, person=person, now=now)
        elif event == "send-back":
            operations.send_back_stock(connection, serials=serial, person=person, now=now)
        else:
            for each in serial:
                operations.find_faulty(connection, serial=each, reason=reason, person=person, now=now)
    print_line(f"{len(serial)} meters: {event}")


for _command in (orders, order, install):
    rollout.add_command(_command)
