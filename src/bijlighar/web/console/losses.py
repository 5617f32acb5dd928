"""Line loss: what went into each transformer and feeder, and what came out at its consumers."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.exceptions import ValidationException
from litestar.params import QueryParameter
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level, Loss
from bijlighar.offices.model import View
from bijlighar.registry import queries as registry
from bijlighar.web.console import schematic
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

DAY_LENGTH = 10
SORT_LENGTH = 10
#: By what the rows may be ordered; a loss of which too little was read stands after the others, whatever its size.
SORTS: Mapping[str, Callable[[Loss], tuple[object, ...]]] = {
    "loss": lambda loss: (not loss.is_certain, -(loss.loss_wh or 0), loss.code),
    "pct": lambda loss: (not loss.is_certain, -(loss.loss_pct or 0), loss.code),
    "input": lambda loss: (-(loss.input_wh or 0), loss.code),
    "name": lambda loss: (loss.code,),
}


@get("/losses", sync_to_thread=True, opt={"view": View.LOSSES})
def show_losses(
    request: Request[Any, Any, Any],
    first: Annotated[str, QueryParameter(name="from", max_length=DAY_LENGTH)] = "",
    last: Annotated[str, QueryParameter(name="to", max_length=DAY_LENGTH)] = "",
    sort: Annotated[str, QueryParameter(max_length=SORT_LENGTH)] = "loss",
) -> Response[str]:
    """Show the losses of a range of days, the highest first."""
    line = line_of(request)
    sort = sort if sort in SORTS else "loss"
    with line.database.read() as connection:
        days = range_of(connection, first=first, last=last, now=line.now())
        transformers, feeders = losses(connection, days=days, office=signed_in(request).person.office)
        feeder_of = {each.code: each.feeder for each in registry.transformers(connection)}
    return page(
        request,
        "console/losses.html",
        days=days,
        sort=sort,
        transformers=sorted(transformers, key=SORTS[sort]),
        feeders=feeders,
        feeder_of=feeder_of,
        certain_pct=balance.COVERAGE_PCT_MIN,
        full=schematic.LOSS_PCT_FULL,
        high=schematic.LOSS_PCT_HIGH,
        quote=lambda code: quote(code, safe=""),
    )


@get("/losses.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_losses(
    request: Request[Any, Any, Any],
    first: Annotated[str, QueryParameter(name="from", max_length=DAY_LENGTH)] = "",
    last: Annotated[str, QueryParameter(name="to", max_length=DAY_LENGTH)] = "",
    sort: Annotated[str, QueryParameter(max_length=SORT_LENGTH)] = "loss",
) -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, text = line_of(request), writer_of(request).text
    with line.database.read() as connection:
        days = range_of(connection, first=first, last=last, now=line.now())
        transformers, feeders = losses(connection, days=days, office=signed_in(request).person.office)
        feeder_of = {each.code: each.feeder for each in registry.transformers(connection)}
    level = {Level.TRANSFORMER: text("Transformer"), Level.FEEDER: text("Feeder")}
    return csv_response(
        "losses",
        header=[
            text("Level"), text("Code"), text("Feeder"), text("From"), text("To"), text("Days"), text("Input kWh"),
            text("Consumers kWh"), text("Loss kWh"), text("Loss %"), text("Transformer's own loss kWh"),
            text("Read %"), text("Certain"), text("Meters"),
        ],
        rows=[
            (
                level[loss.level],
                loss.code,
                feeder_of.get(loss.code) if loss.level is Level.TRANSFORMER else loss.code,
                days[0].isoformat() if days else None,
                days[1].isoformat() if days else None,
                loss.days,
                plain_kwh(loss.input_wh),
                plain_kwh(loss.consumers_wh),
                plain_kwh(loss.loss_wh),
                loss.loss_pct,
                plain_kwh(loss.technical_loss_wh),
                loss.coverage_pct,
                text("yes") if loss.is_certain else text("no"),
                loss.meters,
            )
            for loss in (*sorted(transformers, key=SORTS[sort if sort in SORTS else "loss"]), *feeders)
        ],
    )  # fmt: skip


def range_of(connection: Connection, *, first: str, last: str, now: datetime) -> tuple[date, date] | None:
    """
    Return the days that are asked for, else the usual ones; None if nothing is stored.

    :raises UnusableRange: if they are no range.
    """
    usual = balance.usual_range(connection, now=now)
    if usual is None:
        return None
    days = (_day(first) or usual[0], _day(last) or usual[1])
    balance.check_range(first=days[0], last=days[1])
    return days


def losses(
    connection: Connection, *, days: tuple[date, date] | None, office: str
) -> tuple[tuple[Loss, ...], tuple[Loss, ...]]:
    """Return the losses of the transformers and of the feeders of a branch."""
    if days is None:
        return (), ()
    ours = {each.code for each in registry.transformers(connection, office=office)}
    feeders = set(registry.feeders(connection, office=office))
    of_transformers = balance.losses(connection, level=Level.TRANSFORMER, first=days[0], last=days[1])
    of_feeders = balance.losses(connection, level=Level.FEEDER, first=days[0], last=days[1])
    return (
        tuple(loss for loss in of_transformers if loss.code in ours),
        tuple(loss for loss in of_feeders if loss.code in feeders),
    )


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValidationException(f"{text!r} is no day; write it like 2026-04-30") from None


ROUTES = (show_losses, export_losses)
