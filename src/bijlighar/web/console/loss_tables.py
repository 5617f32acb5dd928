"""What the pages of a transformer's and a feeder's loss have in common: months and half-hours, drawn and as CSV."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from litestar import Response
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.errors import UnusableRange
from bijlighar.balance.model import GapAtTime, Level, Loss, MonthLoss
from bijlighar.web.console import charts, loss_chart, schematic
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.language import Writer

MINUTES_PER_HOUR = 60


def months_csv(writer: Writer, *, name: str, code: str, months: Sequence[MonthLoss]) -> Response[bytes]:
    """Return the months as a table for spreadsheets; `name` heads the column of the code."""
    text = writer.text
    return csv_response(
        "loss-by-month",
        header=[
            name, text("Month"), text("Days closed"), text("Days without input"), text("Input kWh"),
            text("Consumers kWh"), text("Loss kWh"), text("Loss %"), text("Read %"), text("Certain"),
        ],
        rows=[
            (
                code,
                str(each.month),
                each.days,
                each.loss.days_without_input,
                plain_kwh(each.loss.input_wh),
                plain_kwh(each.loss.consumers_wh),
                plain_kwh(each.loss.loss_wh),
                each.loss.loss_pct,
                each.loss.coverage_pct,
                text("yes") if each.loss.is_certain else text("no"),
            )
            for each in months
        ],
    )  # fmt: skip


def times_csv(writer: Writer, *, name: str, code: str, times: Sequence[GapAtTime]) -> Response[bytes]:
    """Return the half-hours of the day as a table for spreadsheets; `name` heads the column of the code."""
    text = writer.text
    return csv_response(
        "loss-by-time",
        header=[
            name, text("Half-hour from"), text("Days"), text("Mean input kWh"), text("Mean consumers kWh"),
            text("Mean gap kWh"), text("Read %"), text("Certain"),
        ],
        rows=[
            (
                code,
                time_of(each),
                each.days,
                plain_kwh(each.input_wh),
                plain_kwh(each.consumers_wh),
                plain_kwh(each.gap_wh),
                each.coverage_pct,
                text("yes") if each.is_certain else text("no"),
            )
            for each in times
        ],
    )  # fmt: skip


def shown_times(
    connection: Connection, *, level: Level, code: str, days: tuple[date, date] | None
) -> tuple[GapAtTime, ...] | None:
    """Return the half-hours of the day that a page shows, None where the days are too many to look at."""
    if days is None:
        return ()
    try:
        return balance.gap_by_time(connection, level=level, code=code, first=days[0], last=days[1])
    except UnusableRange:
        return None


def times_facts(times: Sequence[GapAtTime] | None, *, loss: Loss | None) -> dict[str, Any]:
    """Return what the drawing and the table of the half-hours show."""
    return {
        "times": times,
        "time_of": time_of,
        "gaps": loss_chart.gaps(times or ()),
        "gap_size": (loss_chart.WIDTH, loss_chart.HEIGHT),
        "left": loss_chart.LEFT,
        "times_days_max": balance.days_by_time_max(meters=0 if loss is None else loss.meters),
    }


def months_facts(writer: Writer, months: Sequence[MonthLoss]) -> dict[str, Any]:
    """Return what the drawing and the table of the months show."""
    return {"months": months, "bars": charts.bars(bars_of(writer, months), full=schematic.LOSS_PCT_FULL)}


def bars_of(writer: Writer, months: Sequence[MonthLoss]) -> list[charts.Reading]:
    """Return the months as the bars of a chart, with what each says."""
    return [
        charts.Reading(
            size=each.loss.loss_pct,
            value=writer.number(each.loss.loss_pct, 1),
            name=writer.month(each.month.first, short=True),
            label=f"{writer.month(each.month.first)}: "
            + (
                writer.text("loss not known")
                if each.loss.loss_pct is None
                else writer.text("loss {pct} %", pct=writer.number(each.loss.loss_pct, 1))
            )
            + ("" if each.loss.is_certain else f", {writer.text('too little read')}"),
            kind="" if each.loss.is_certain else "doubtful",
        )
        for each in months
    ]


def time_of(each: GapAtTime) -> str:
    """
    Return when a half-hour of the day begins.

    >>> time_of(GapAtTime(minute=1_110, days=1, input_wh=3, consumers_wh=2, coverage_pct=100.0))
    '18:30'
    """
    hour, minute = divmod(each.minute, MINUTES_PER_HOUR)
    return f"{hour:02d}:{minute:02d}"
