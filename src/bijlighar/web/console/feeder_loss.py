"""The losses of the feeders, and of one: by month, by time of the day, and the transformers below it."""

from datetime import date
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, QueryParameter
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level, Loss, MonthLoss
from bijlighar.base.period import local_date
from bijlighar.offices.model import ROLES_OF_VIEW, Person, View
from bijlighar.registry import queries as registry
from bijlighar.web.console import loss_tables, schematic
from bijlighar.web.console.losses import ASKED, DAY_LENGTH, SORT_LENGTH, SORTS, intervals_of, range_of
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.language import Writer
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

CODE_LENGTH = 64

Feeder = Annotated[str, Parameter(max_length=CODE_LENGTH)]
FromDay = Annotated[str, QueryParameter(name="from", max_length=DAY_LENGTH)]
ToDay = Annotated[str, QueryParameter(name="to", max_length=DAY_LENGTH)]
Sort = Annotated[str, QueryParameter(max_length=SORT_LENGTH)]
Doubt = Annotated[str, QueryParameter(max_length=SORT_LENGTH)]
Days = tuple[date, date] | None


@get("/feeder-losses", sync_to_thread=True, opt={"view": View.LOSSES})
def show_feeders(
    request: Request[Any, Any, Any], first: FromDay = "", last: ToDay = "", sort: Sort = "loss"
) -> Response[str]:
    """Show the losses of the feeders over some days, the highest first, and why there is no verdict."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    sort = sort if sort in SORTS else "loss"
    with line.database.read() as connection:
        days = range_of(connection, first=first, last=last, now=line.now())
        feeders = sorted(_of_feeders(connection, days=days, person=person), key=SORTS[sort])
        below = _below(connection, person=person)
    return page(
        request,
        "console/feeder_losses.html",
        days=days,
        sort=sort,
        feeders=feeders,
        below={feeder: len(codes) for feeder, codes in below.items()},
        why={loss.code: _why_no_verdict(writer, loss) for loss in feeders},
        **_usual(person),
    )


@get("/feeder-losses.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_feeders(
    request: Request[Any, Any, Any], first: FromDay = "", last: ToDay = "", sort: Sort = "loss"
) -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        days = range_of(connection, first=first, last=last, now=line.now())
        feeders = _of_feeders(connection, days=days, person=person)
        below = _below(connection, person=person)
    return csv_response(
        "feeder-losses",
        header=[
            text("Feeder"), text("From"), text("To"), text("Days"), text("Days without input"), text("Transformers"),
            text("Input kWh"), text("Consumers kWh"), text("Loss kWh"), text("Loss %"), text("Read %"),
            text("Certain"), text("Meters"), text("Verdict"),
        ],
        rows=[
            (
                loss.code,
                days[0].isoformat() if days else None,
                days[1].isoformat() if days else None,
                loss.days,
                loss.days_without_input,
                len(below.get(loss.code, ())),
                plain_kwh(loss.input_wh),
                plain_kwh(loss.consumers_wh),
                plain_kwh(loss.loss_wh),
                loss.loss_pct,
                loss.coverage_pct,
                text("yes") if loss.is_certain else text("no"),
                loss.meters,
                _why_no_verdict(writer, loss),
            )
            for loss in sorted(feeders, key=SORTS[sort if sort in SORTS else "loss"])
        ],
    )  # fmt: skip


@get("/feeder-losses/{feeder:str}", sync_to_thread=True, opt={"view": View.LOSSES})
def show_feeder(
    request: Request[Any, Any, Any],
    feeder: Feeder,
    first: FromDay = "",
    last: ToDay = "",
    doubt: Doubt = "",
) -> Response[str]:
    """Show the loss of one feeder over some days, its months and half-hours, and the losses below it."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        _check_sight(connection, feeder=feeder, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        loss = (
            None
            if days is None
            else balance.examined_loss(
                connection, level=Level.FEEDER, code=feeder, first=days[0], last=days[1]
            )
        )
        months = _months(connection, feeder=feeder, last=local_date(line.now()) if days is None else days[1])
        times = loss_tables.shown_times(connection, level=Level.FEEDER, code=feeder, days=days)
        transformers = _of_transformers(connection, feeder=feeder, days=days, person=person)
        intervals = intervals_of(connection, ranked=transformers, days=days) if doubt == ASKED else {}
    return page(
        request,
        "console/feeder_loss.html",
        feeder=feeder,
        days=days,
        loss=loss,
        why=None if loss is None else _why_no_verdict(writer, loss),
        **loss_tables.months_facts(writer, months),
        **loss_tables.times_facts(times, loss=loss),
        transformers=transformers,
        doubt=doubt == ASKED,
        intervals=intervals,
        days_max=balance.EXAMINED_DAYS_MAX,
        **_usual(person),
    )


@get("/feeder-losses/{feeder:str}/months.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_feeder_months(
    request: Request[Any, Any, Any], feeder: Feeder, first: FromDay = "", last: ToDay = ""
) -> Response[bytes]:
    """Give the months as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        _check_sight(connection, feeder=feeder, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        months = _months(connection, feeder=feeder, last=local_date(line.now()) if days is None else days[1])
    return loss_tables.months_csv(writer, name=writer.text("Feeder"), code=feeder, months=months)


@get("/feeder-losses/{feeder:str}/times.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_feeder_times(
    request: Request[Any, Any, Any], feeder: Feeder, first: FromDay = "", last: ToDay = ""
) -> Response[bytes]:
    """Give the half-hours of the day as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        _check_sight(connection, feeder=feeder, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        times = (
            ()
            if days is None
            else balance.gap_by_time(connection, level=Level.FEEDER, code=feeder, first=days[0], last=days[1])
        )
    return loss_tables.times_csv(writer, name=writer.text("Feeder"), code=feeder, times=times)


@get("/feeder-losses/{feeder:str}/transformers.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_feeder_transformers(
    request: Request[Any, Any, Any],
    feeder: Feeder,
    first: FromDay = "",
    last: ToDay = "",
    doubt: Doubt = "",
) -> Response[bytes]:
    """Give the losses of the feeder's transformers as a table for spreadsheets."""
    line, person, text = line_of(request), signed_in(request).person, writer_of(request).text
    with line.database.read() as connection:
        _check_sight(connection, feeder=feeder, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        transformers = _of_transformers(connection, feeder=feeder, days=days, person=person)
        intervals = intervals_of(connection, ranked=transformers, days=days) if doubt == ASKED else {}
    return csv_response(
        "feeder-transformers",
        header=[
            text("Feeder"), text("Transformer"), text("Days"), text("Input kWh"), text("Consumers kWh"),
            text("Loss kWh"), text("Loss %"), text("Read %"), text("Certain"), text("Meters"),
            text("Not explained, low end kWh"), text("Not explained, high end kWh"),
        ],
        rows=[
            (
                feeder,
                loss.code,
                loss.days,
                plain_kwh(loss.input_wh),
                plain_kwh(loss.consumers_wh),
                plain_kwh(loss.loss_wh),
                loss.loss_pct,
                loss.coverage_pct,
                text("yes") if loss.is_certain else text("no"),
                loss.meters,
                *map(plain_kwh, intervals.get(loss.code, (None, None))),
            )
            for loss in transformers
        ],
    )  # fmt: skip


def _check_sight(connection: Connection, *, feeder: str, person: Person) -> None:
    """
    Check that a feeder supplies a person's branch alone.

    :raises NotFoundException: if there is none of that code, or it is another office's: which of both is not told.
    """
    if feeder not in registry.feeders(connection, office=person.office):
        raise NotFoundException(f"there is no feeder {feeder}")


def _of_feeders(connection: Connection, *, days: Days, person: Person) -> tuple[Loss, ...]:
    if days is None:
        return ()
    ours = set(registry.feeders(connection, office=person.office))
    found = balance.losses(connection, level=Level.FEEDER, first=days[0], last=days[1])
    return tuple(loss for loss in found if loss.code in ours)


def _below(connection: Connection, *, person: Person) -> dict[str, list[str]]:
    """Return the transformers of a person's branch by feeder."""
    below: dict[str, list[str]] = {}
    for plate in registry.transformers(connection, office=person.office):
        if plate.feeder is not None:
            below.setdefault(plate.feeder, []).append(plate.code)
    return below


def _of_transformers(connection: Connection, *, feeder: str, days: Days, person: Person) -> tuple[Loss, ...]:
    """Return the losses of a feeder's transformers, the highest first."""
    if days is None:
        return ()
    ours = set(_below(connection, person=person).get(feeder, ()))
    found = balance.losses(connection, level=Level.TRANSFORMER, first=days[0], last=days[1])
    return tuple(sorted((loss for loss in found if loss.code in ours), key=SORTS["loss"]))


def _months(connection: Connection, *, feeder: str, last: date) -> tuple[MonthLoss, ...]:
    return balance.losses_by_month(connection, level=Level.FEEDER, code=feeder, last=last)


def _why_no_verdict(writer: Writer, loss: Loss) -> str:
    """Return why a feeder's loss has neither an interval nor a verdict."""
    if loss.loss_wh is None:
        return writer.text("none: the input is not known")
    if not loss.is_certain:
        return writer.text("none: too little read")
    return writer.text("none: feeders are not examined, their transformers are")


def _usual(person: Person) -> dict[str, Any]:
    return {
        "certain_pct": balance.COVERAGE_PCT_MIN,
        "full": schematic.LOSS_PCT_FULL,
        "high": schematic.LOSS_PCT_HIGH,
        "may_network": bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        "quote": lambda code: quote(code, safe=""),
    }


ROUTES = (
    show_feeders,
    export_feeders,
    show_feeder,
    export_feeder_months,
    export_feeder_times,
    export_feeder_transformers,
)
