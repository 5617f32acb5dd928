"""Line loss: what went into each transformer and feeder, and what came out at its consumers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import accumulate
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.params import QueryParameter
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level, Loss
from bijlighar.base.period import parse_day
from bijlighar.offices.model import View
from bijlighar.registry import queries as registry
from bijlighar.web.console import schematic
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

DAY_LENGTH = 10
SORT_LENGTH = 10
#: What the address says where the doubt is asked for, and of how many meters' transformers it is given at once.
ASKED = "yes"
METERS_EXAMINED_MAX = 400
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
    doubt: Annotated[str, QueryParameter(max_length=SORT_LENGTH)] = "",
) -> Response[str]:
    """Show the losses of a range of days, the highest first, some with their doubt where it is asked for."""
    line = line_of(request)
    sort = sort if sort in SORTS else "loss"
    with line.database.read() as connection:
        days = range_of(connection, first=first, last=last, now=line.now())
        transformers, feeders = losses(connection, days=days, office=signed_in(request).person.office)
        feeder_of = {each.code: each.feeder for each in registry.transformers(connection)}
        ranked = sorted(transformers, key=SORTS[sort])
        intervals = intervals_of(connection, ranked=ranked, days=days) if doubt == ASKED else {}
    return page(
        request,
        "console/losses.html",
        days=days,
        sort=sort,
        transformers=ranked,
        doubt=doubt == ASKED,
        intervals=intervals,
        days_max=balance.EXAMINED_DAYS_MAX,
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
    doubt: Annotated[str, QueryParameter(max_length=SORT_LENGTH)] = "",
) -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, text = line_of(request), writer_of(request).text
    with line.database.read() as connection:
        days = range_of(connection, first=first, last=last, now=line.now())
        transformers, feeders = losses(connection, days=days, office=signed_in(request).person.office)
        feeder_of = {each.code: each.feeder for each in registry.transformers(connection)}
        ranked = sorted(transformers, key=SORTS[sort if sort in SORTS else "loss"])
        intervals = intervals_of(connection, ranked=ranked, days=days) if doubt == ASKED else {}
    level = {Level.TRANSFORMER: text("Transformer"), Level.FEEDER: text("Feeder")}
    return csv_response(
        "losses",
        header=[
            text("Level"), text("Code"), text("Feeder"), text("From"), text("To"), text("Days"), text("Input kWh"),
            text("Consumers kWh"), text("Loss kWh"), text("Loss %"), text("Transformer's own loss kWh"),
            text("Read %"), text("Certain"), text("Meters"), text("Not explained, low end kWh"),
            text("Not explained, high end kWh"),
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
                *map(plain_kwh, _ends(loss, intervals)),
            )
            for loss in (*ranked, *feeders)
        ],
    )  # fmt: skip


def range_of(connection: Connection, *, first: str, last: str, now: datetime) -> tuple[date, date] | None:
    """
    Return the days that are asked for, else the usual ones; None if nothing is stored.

    :raises InvalidValue: if a day is none.
    :raises UnusableRange: if they are no range.
    """
    usual = balance.usual_range(connection, now=now)
    if usual is None:
        return None
    days = (parse_day(first) if first else usual[0], parse_day(last) if last else usual[1])
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


def intervals_of(
    connection: Connection, *, ranked: Sequence[Loss], days: tuple[date, date] | None
) -> Mapping[str, tuple[int, int]]:
    """Return the 90 % intervals of what is not explained, of the first of a table that may be examined at once."""
    if days is None:
        return {}
    counts = accumulate(loss.meters for loss in ranked)
    first = [loss for loss, meters in zip(ranked, counts, strict=True) if meters <= METERS_EXAMINED_MAX]
    examined = balance.with_interval(connection, losses=first or ranked[:1], first=days[0], last=days[1])
    found = {loss.code: loss.non_technical_loss_wh_interval for loss in examined}
    return {code: interval for code, interval in found.items() if interval is not None}


def _ends(loss: Loss, intervals: Mapping[str, tuple[int, int]]) -> tuple[int | None, int | None]:
    known = intervals.get(loss.code) if loss.level is Level.TRANSFORMER else None
    return known or (None, None)


ROUTES = (show_losses, export_losses)
