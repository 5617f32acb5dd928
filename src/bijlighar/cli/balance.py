"""`bijlighar balance`: losses per transformer or feeder."""

from dataclasses import asdict
from datetime import date

import click

from bijlighar.balance import operations, queries
from bijlighar.balance.model import Level, Loss
from bijlighar.base.energy import units
from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.runtime.home import Home

PERCENT_DECIMALS = 2


@click.command()
@click.option(
    "--level", type=click.Choice([str(level) for level in Level]), default="transformer", show_default=True
)
@click.option(
    "--from", "first", type=DAY, help="The first day (IST). [default: the last 30 days with readings]"
)
@click.option("--to", "last", type=DAY, help="The last day (IST), included.")
@format_option()
@home_option
def balance(level: str, first: date | None, last: date | None, output_format: str, home: Home) -> None:
    """Show what was put in, what the consumers used and what was lost, per transformer or feeder."""
    now = home.clock.now()
    database = home.database
    if (first is None) != (last is None):
        raise click.UsageError("give both --from and --to, or neither")
    if first is None or last is None:
        with database.read() as connection:
            first, last = queries.usual_range(connection, now=now) or (None, None)
    if first is not None and last is not None:
        operations.close_range(database, first=first, last=last, now=now)
    with database.read() as connection:
        losses = (
            ()
            if first is None or last is None
            else queries.examined_losses(connection, level=Level(level), first=first, last=last)
        )
    if output_format == "json":
        days = {
            "from": None if first is None else first.isoformat(),
            "to": None if last is None else last.isoformat(),
        }
        print_json({**days, f"{level}s": [_document(loss) for loss in losses]})
        return
    if not losses:
        print_line("there are no readings of a day that is over")
        return
    print_table(
        title=f"Losses · लाइन लॉस · {first} – {last}",
        columns=(
            level,
            "days",
            "input kWh",
            "consumers kWh",
            "of it assessed",
            "loss kWh",
            "loss %",
            "read %",
            "unexplained kWh, 90 %",
            "verdict",
        ),
        right=("days", "input kWh", "consumers kWh", "of it assessed", "loss kWh", "loss %", "read %"),
        rows=[_row(loss) for loss in losses],
    )


def _row(loss: Loss) -> tuple[object, ...]:
    return (
        loss.code,
        loss.days,
        "" if loss.input_wh is None else units(loss.input_wh),
        units(loss.consumers_wh),
        units(loss.assessed_wh),
        "" if loss.loss_wh is None else units(loss.loss_wh),
        _percent(loss.loss_pct),
        _percent(loss.coverage_pct),
        _limits(loss),
        "" if loss.verdict is None else str(loss.verdict).replace("_", " "),
    )


def _limits(loss: Loss) -> str:
    interval = loss.non_technical_loss_wh_interval
    return "" if interval is None else f"{units(interval[0])} … {units(interval[1])}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.{PERCENT_DECIMALS}f}"


def _document(loss: Loss) -> dict[str, object]:
    interval = loss.non_technical_loss_wh_interval
    return {
        str(loss.level): loss.code,
        "days": loss.days,
        "days_without_input": loss.days_without_input,
        "input_wh": loss.input_wh,
        "consumers_wh": loss.consumers_wh,
        "metered_wh": loss.metered_wh,
        "assessed_wh": loss.assessed_wh,
        "flat_rate_wh": loss.flat_rate_wh,
        "loss_wh": loss.loss_wh,
        "loss_pct": loss.loss_pct,
        "technical_loss_wh": loss.technical_loss_wh,
        "non_technical_loss_wh": loss.non_technical_loss_wh,
        "non_technical_loss_wh_interval": None if interval is None else list(interval),
        "coverage_pct": loss.coverage_pct,
        "theft_suspected": loss.theft_suspected,
        "verdict": None if loss.verdict is None else str(loss.verdict),
        "suspects": [
            {
                "meter": each.meter,
                "score": each.score,
                "evidence": each.evidence.en,
                "evidence_hi": each.evidence.hi,
            }
            for each in loss.suspects
        ],
        "misplaced": [
            {
                "meter": each.meter,
                "registered": each.registered,
                "found": each.found,
                "evidence": each.evidence.en,
                "evidence_hi": each.evidence.hi,
            }
            for each in loss.misplaced
        ],
        "loading": None if loss.loading is None else asdict(loss.loading),
        "meters": loss.meters,
        "meters_not_assessed": loss.meters_not_assessed,
    }
