"""The loss of one transformer: how sure it is, by month, by time of the day, and the meters it points to."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, QueryParameter
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.model import VERDICT_NAMES, GapAtTime, Level, Loss, Misplaced, MonthLoss, Suspect
from bijlighar.base.period import local_date
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Person, View
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Transformer
from bijlighar.web.console import loss_chart, loss_tables
from bijlighar.web.console.losses import DAY_LENGTH, range_of
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

CODE_LENGTH = 64

Code = Annotated[str, Parameter(max_length=CODE_LENGTH)]
FromDay = Annotated[str, QueryParameter(name="from", max_length=DAY_LENGTH)]
ToDay = Annotated[str, QueryParameter(name="to", max_length=DAY_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The meters that an examined loss names and a person may see, and how many they may not."""

    suspects: tuple[Suspect, ...]
    misplaced: tuple[Misplaced, ...]
    hidden: int


@get("/losses/{code:str}", sync_to_thread=True, opt={"view": View.LOSSES})
def show_loss(
    request: Request[Any, Any, Any], code: Code, first: FromDay = "", last: ToDay = ""
) -> Response[str]:
    """Show the loss of one transformer over some days with its doubt, and its months."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    now = line.now()
    with line.database.read() as connection:
        plate = _plate(connection, code=code, person=person)
        days = range_of(connection, first=first, last=last, now=now)
        loss = _examined(connection, code=code, days=days)
        months = _months(connection, code=code, days=days, now=now)
        is_short = days is not None and (days[1] - days[0]).days < balance.EXAMINED_DAYS_MAX
        times = loss_tables.shown_times(connection, level=Level.TRANSFORMER, code=code, days=days)
        named = _named(connection, loss=loss, person=person)
        cases = balance.cases_of_meters(
            connection, person=person.sign_in, meters={each.meter for each in named.suspects}
        )
    interval = None if loss is None else loss.non_technical_loss_wh_interval
    return page(
        request,
        "console/loss.html",
        plate=plate,
        days=days,
        loss=loss,
        named=named,
        cases=cases,
        verdict_names=VERDICT_NAMES,
        range_chart=None
        if loss is None or interval is None or loss.non_technical_loss_wh is None
        else loss_chart.interval(low=interval[0], value=loss.non_technical_loss_wh, high=interval[1]),
        range_size=(loss_chart.RANGE_WIDTH, loss_chart.RANGE_HEIGHT),
        **loss_tables.months_facts(writer, months),
        **loss_tables.times_facts(times, loss=loss),
        is_short=is_short,
        days_max=balance.EXAMINED_DAYS_MAX,
        neighbours_max=balance.NEIGHBOURS_MAX,
        certain_pct=balance.COVERAGE_PCT_MIN,
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        quote=lambda text: quote(text, safe=""),
    )


@get("/losses/{code:str}/months.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_months(
    request: Request[Any, Any, Any], code: Code, first: FromDay = "", last: ToDay = ""
) -> Response[bytes]:
    """Give the months as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        _plate(connection, code=code, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        months = _months(connection, code=code, days=days, now=line.now())
    return loss_tables.months_csv(writer, name=writer.text("Transformer"), code=code, months=months)


@get("/losses/{code:str}/times.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_times(
    request: Request[Any, Any, Any], code: Code, first: FromDay = "", last: ToDay = ""
) -> Response[bytes]:
    """Give the half-hours of the day as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        _plate(connection, code=code, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        times = () if days is None else _times(connection, code=code, days=days)
    return loss_tables.times_csv(writer, name=writer.text("Transformer"), code=code, times=times)


@get("/losses/{code:str}/suspects.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_suspects(
    request: Request[Any, Any, Any], code: Code, first: FromDay = "", last: ToDay = ""
) -> Response[bytes]:
    """Give the meters that are named as a table for spreadsheets, each with the doubt beside it."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        _plate(connection, code=code, person=person)
        days = range_of(connection, first=first, last=last, now=line.now())
        loss = _examined(connection, code=code, days=days)
        named = _named(connection, loss=loss, person=person)
    interval = (None, None) if loss is None else (loss.non_technical_loss_wh_interval or (None, None))
    return csv_response(
        "loss-suspects",
        header=[
            text("Transformer"), text("Meter"), text("Rank, no probability"), text("Evidence"),
            text("Not explained, low end kWh"), text("Not explained, high end kWh"),
        ],
        rows=[
            (
                code,
                each.meter,
                each.score,
                writer.words(each.evidence),
                plain_kwh(interval[0]),
                plain_kwh(interval[1]),
            )
            for each in named.suspects
        ],
    )  # fmt: skip


def _plate(connection: Connection, *, code: str, person: Person) -> Transformer:
    """
    Return a transformer that supplies somebody of a person's branch.

    :raises NotFoundException: if there is none of that code, or it is another office's: which of both is not told.
    """
    for plate in registry.transformers(connection, office=person.office):
        if plate.code == code:
            return plate
    raise NotFoundException(f"there is no transformer {code}")


def _examined(connection: Connection, *, code: str, days: tuple[date, date] | None) -> Loss | None:
    if days is None:
        return None
    return balance.examined_loss(connection, level=Level.TRANSFORMER, code=code, first=days[0], last=days[1])


def _months(
    connection: Connection, *, code: str, days: tuple[date, date] | None, now: datetime
) -> tuple[MonthLoss, ...]:
    """Return the months up to the last day that is looked at, or up to today."""
    last = local_date(now) if days is None else days[1]
    return balance.losses_by_month(connection, level=Level.TRANSFORMER, code=code, last=last)


def _times(connection: Connection, *, code: str, days: tuple[date, date]) -> tuple[GapAtTime, ...]:
    return balance.gap_by_time(connection, level=Level.TRANSFORMER, code=code, first=days[0], last=days[1])


def _named(connection: Connection, *, loss: Loss | None, person: Person) -> Named:
    """Return whom the page names: suspects only where theft is suspected, and nobody of another office."""
    if loss is None:
        return Named(suspects=(), misplaced=(), hidden=0)
    suspects = loss.suspects if loss.theft_suspected else ()
    seen = offices.offices_in_sight(connection, person=person)
    if seen is None:
        return Named(suspects=suspects, misplaced=loss.misplaced, hidden=0)
    meters = {each.meter for each in suspects} | {each.meter for each in loss.misplaced}
    hung = registry.hangings(connection, meters=meters)
    ours = {meter for meter, places in hung.items() if any(place.office in seen for place in places)}
    return Named(
        suspects=tuple(each for each in suspects if each.meter in ours),
        misplaced=tuple(each for each in loss.misplaced if each.meter in ours),
        hidden=len(meters - ours),
    )


ROUTES = (show_loss, export_months, export_times, export_suspects)
