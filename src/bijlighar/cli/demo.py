"""`bijlighar demo`: a whole town, from the meters' octets to the relay, in minutes."""

import json
import signal
import sys
import threading
from datetime import date
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.base.money import rupees
from bijlighar.cli.common import home_option, print_line, print_table
from bijlighar.demo import driver
from bijlighar.demo.guests import give_password
from bijlighar.demo.report import Report
from bijlighar.demo.setup import Plan, check_empty
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.story import Story, story

STEP_WORDS = {
    "collected_meter_days": "days of meters collected over DLMS/COSEM",
    "missing_intervals": "half-hours found missing",
    "estimated_intervals": "half-hours estimated",
    "bills": "bills issued",
    "billed_paise": "billed",
    "messages_sent": "messages taken by the provider",
    "messages_delivered": "messages delivered",
    "listed": "accounts listed for disconnection",
    "excluded": "of them left out, with the reason",
    "approved": "approved at Indore by another person",
    "disconnected_verified": "supplies cut, relay or hand, verified",
    "payments": "payments received",
    "reconnected_verified": "supplies restored, verified",
    "tamper_alarms": "tamper alarms",
    "sirens": "times the siren sounded",
}


@click.command()
@home_option
@click.option(
    "--meters", type=click.IntRange(1, 20_000), default=300, show_default=True, help="Consumers' meters."
)
@click.option(
    "--months", type=click.IntRange(1, 12), default=4, show_default=True, help="Months from April 2025."
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="What the town is drawn from."
)
@click.option(
    "--profiles",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Load curves, CSV or Parquet: meter_id, ts, kwh.",
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to this JSON file."
)
@click.option("--no-serve", is_flag=True, help="End when the months are over, instead of staying open.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, help="Port of the web server."
)
def demo(
    home: Home,
    meters: int,
    months: int,
    seed: int,
    profiles: Path | None,
    report: Path | None,
    no_serve: bool,
    port: int,
) -> None:
    """Run a town of simulated smart meters through the whole line, check it against the truth, leave it open."""
    plan = Plan(meters=meters, months=months, seed=seed, profiles=profiles, web_port=port)
    console = Console(stderr=True)
    if report is not None and not report.parent.is_dir():
        raise click.UsageError(f"--report: there is no folder {report.parent}")
    check_empty(home)
    console.print(f"bijlighar: setting up a town of {meters} meters in {home.path} …")
    with driver.running(home, plan=plan) as running:
        found = _run(running, console)
        if report is not None:
            report.write_text(
                json.dumps(found.as_document(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
            )
        _show(home, found)
        if not found.is_true:
            click.echo("bijlighar: an invariant does not hold; see the table above", err=True)
        if not no_serve:
            _show_doors(running.line, port)
            _stay_open(running)
    sys.exit(0 if found.is_true else 1)


def _run(running: driver.Demo, console: Console) -> Report:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("the town lives", total=None)

        def tell(day: date, done: int, all_days: int) -> None:
            bar.update(task, description=f"the town lives, {day:%d %b %Y}", completed=done, total=all_days)
            if not console.is_terminal and day.day == 1:
                console.print(f"bijlighar: {day:%B %Y} …")

        return driver.run(running, tell=tell)


def _show(home: Home, found: Report) -> None:
    print_table(
        title="What happened",
        columns=("step", "count"),
        rows=[
            (words, rupees(found.steps[name]) if name.endswith("_paise") else f"{found.steps[name]:,}")
            for name, words in STEP_WORDS.items()
        ],
        right=("count",),
    )
    print_table(
        title="\nLosses by transformer, and what is true",
        columns=("transformer", "input kWh", "consumers kWh", "loss %", "true loss %"),
        rows=[
            (
                row["transformer"],
                _kwh(row["input_wh"]),
                _kwh(row["consumers_wh"]),
                row["loss_pct"],
                row["true_loss_pct"],
            )
            for row in found.losses
        ],
        right=("input kWh", "consumers kWh", "loss %", "true loss %"),
    )
    print_table(
        title="\nHeld against the town's own truth",
        columns=("invariant", "holds"),
        rows=[
            (name.replace("_", " "), "yes" if value is True else value)
            for name, value in found.invariants.items()
        ],
    )
    place = f"--home {home.path}"
    print_line(
        f"\nTry: bijlighar arrears list show 1 {place}\n"
        f"     bijlighar balance {place}\n"
        f"     bijlighar alarm list {place}\n"
        f"     bijlighar rollout plan {place}\n"
        f"     bijlighar doctor {place}"
    )


def _show_doors(line: Line, port: int) -> None:
    """Say where the pages are and as whom they can be looked at."""
    password, told = give_password(line), story(line)
    print_table(
        title="\nWho can sign in",
        columns=("sign-in", "name", "role", "what to try"),
        rows=[
            (
                guest.person.sign_in,
                guest.person.name,
                ", ".join(role.en for role in guest.roles),
                "; ".join(tries.en for tries in guest.tries),
            )
            for guest in told.guests
        ],
    )
    print_line(f"Their password, the same for all, in this demo alone: {password}")
    _show_consumers(told)
    print_line(
        f"\nOpen http://127.0.0.1:{port}/ : there a button signs you in as any of them, tampers with a meter, lets a "
        "consumer pay or a feeder fail.\nThe town lives on, a second each second; Ctrl-C ends it."
    )


def _show_consumers(told: Story) -> None:
    print_table(
        title="\nConsumers' own pages, to look at",
        columns=("account", "name", "now"),
        rows=[(guest.account, guest.name, guest.stands.en) for guest in told.consumers],
    )


def _kwh(energy_wh: object) -> str:
    return f"{energy_wh // WH_PER_UNIT:,}" if isinstance(energy_wh, int) else "-"


def _stay_open(running: driver.Demo) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    driver.keep_open(running, stop=stop)
