"""`bijlighar atc`: the AT&C loss of an office in a month, with all that it is made of."""

import click

from bijlighar.balance import queries
from bijlighar.balance.model import DOUBT_NAMES, AtcLoss
from bijlighar.base.energy import units
from bijlighar.base.money import rupees
from bijlighar.base.period import Month
from bijlighar.cli.bill import MONTH
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.offices import queries as offices
from bijlighar.runtime.home import Home


@click.command()
@MONTH
@click.option("--office", "codes", metavar="CODE", multiple=True, help="Only this office; may be repeated.")
@format_option()
@home_option
def atc(month: Month, codes: tuple[str, ...], output_format: str, home: Home) -> None:
    """
    Tell the AT&C loss of each office in a month: 1 less billing efficiency times collection efficiency.

    Energy in, billed and collected are of the consumers below the office's own input meters. In JSON each figure has
    the query behind it, which can be run again by hand. Where anything is doubtful no loss is told, but why.
    """
    with home.database.read() as connection:
        wanted = codes or tuple(each.code for each in offices.offices(connection))
        found = [
            queries.atc_loss(connection, office=code, month=month, now=home.clock.now()) for code in wanted
        ]
    if output_format == "json":
        print_json([_document(each) for each in found])
        return
    if not found:
        print_line("there are no offices; import them with `bijlighar office import`")
        return
    print_table(
        title=f"AT&C loss · एटी एंड सी हानि · {month}",
        columns=(
            "office", "energy in kWh", "billed kWh", "billing %", "billed", "collected", "collection %", "loss %",
            "why none",
        ),
        rows=[
            (
                each.office,
                units(each.input_wh),
                units(each.billed_wh),
                _percent(each.billing_efficiency_pct),
                rupees(each.billed_paise),
                rupees(each.collected_paise),
                _percent(each.collection_efficiency_pct),
                _percent(each.loss_pct),
                "; ".join(DOUBT_NAMES[doubt].en for doubt in each.doubts),
            )
            for each in found
        ],
        right=(
            "energy in kWh", "billed kWh", "billing %", "billed", "collected", "collection %", "loss %",
        ),
    )  # fmt: skip


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _document(loss: AtcLoss) -> dict[str, object]:
    return {
        "month": str(loss.month),
        "office": loss.office,
        "input_wh": loss.input_wh,
        "billed_wh": loss.billed_wh,
        "billed_paise": loss.billed_paise,
        "collected_paise": loss.collected_paise,
        "collected_from": loss.collected_first.isoformat(),
        "collected_to": loss.collected_last.isoformat(),
        "billing_efficiency_pct": loss.billing_efficiency_pct,
        "collection_efficiency_pct": loss.collection_efficiency_pct,
        "atc_loss_pct": loss.loss_pct,
        "doubts": [doubt.value for doubt in loss.doubts],
        "points": list(loss.points),
        "points_incomplete": list(loss.points_incomplete),
        "accounts": loss.accounts,
        "accounts_covered": loss.accounts_covered,
        "accounts_billed": loss.accounts_billed,
        "coverage_pct": loss.coverage_pct,
        "flat_rate_wh": loss.flat_rate_wh,
        "queries": dict(loss.queries),
    }
