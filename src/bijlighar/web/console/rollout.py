"""The roll-out: how it stands, what follows, the stock, the orders, and the meters that were never heard."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from litestar import Request, Response, get
from sqlalchemy import Connection

from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.offices import queries as offices
from bijlighar.offices.model import View
from bijlighar.rollout import queries as rollout
from bijlighar.rollout import rules
from bijlighar.rollout.model import (
    HUNG_BEFORE,
    ORDER_STATE_NAMES,
    STOCK_STATE_NAMES,
    MonthProgress,
    StockState,
)
from bijlighar.web.console import charts
from bijlighar.web.export import csv_response
from bijlighar.web.language import Writer
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

#: So many of the newest months stand in the chart.
MONTHS_SHOWN = 12
UNHEARD_SHOWN_MAX = 200
HOUR = timedelta(hours=1)


@get("/rollout", sync_to_thread=True, opt={"view": View.ROLLOUT})
def show_rollout(request: Request[Any, Any, Any]) -> Response[str]:
    """Show how the roll-out stands in a branch."""
    line, office, writer = line_of(request), signed_in(request).person.office, writer_of(request)
    now = line.now()
    with line.database.read() as connection:
        progress = rollout.progress(connection, now=now, office=office)
        months = rollout.by_month(connection, office=office)
        stock = rollout.stock(connection)
        orders = rollout.order_counts(connection, office=office)
        unheard = rollout.never_heard(connection, now=now, office=office)
        names = _names(connection)
    return page(
        request,
        "console/rollout.html",
        progress=progress,
        months=months,
        bars=charts.pairs(_readings(writer, months)),
        stock=stock,
        stock_total=rules.total(stock),
        stock_states=[(state.value, STOCK_STATE_NAMES[state]) for state in StockState],
        orders=[(ORDER_STATE_NAMES[state], count) for state, count in orders.items()],
        unheard=unheard[:UNHEARD_SHOWN_MAX],
        unheard_count=len(unheard),
        unheard_hours=rollout.UNHEARD_AFTER // HOUR,
        names=names,
        hung_before=HUNG_BEFORE,
        now=now,
    )


@get("/rollout.csv", sync_to_thread=True, opt={"view": View.ROLLOUT})
def export_rollout(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give plan and installation by month and office as a table for spreadsheets."""
    line, writer = line_of(request), writer_of(request)
    with line.database.read() as connection:
        months = rollout.by_month(connection, office=signed_in(request).person.office)
        names = _names(connection)
    return csv_response(
        "rollout",
        header=[writer.text(name) for name in ("Month", "Office", "Name", "Planned", "Installed")],
        rows=[
            (str(each.month), each.office, writer.words(names.get(each.office)), each.planned, each.installed)
            for each in months
        ],
    )


@get("/rollout-unheard.csv", sync_to_thread=True, opt={"view": View.ROLLOUT})
def export_unheard(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the meters that hang and were never heard as a table for spreadsheets."""
    line, writer = line_of(request), writer_of(request)
    with line.database.read() as connection:
        unheard = rollout.never_heard(connection, now=line.now(), office=signed_in(request).person.office)
    return csv_response(
        "rollout-unheard",
        header=[
            writer.text(name)
            for name in ("Order", "Meter", "Place", "Account", "Office", "Fitter", "Installed")
        ],
        rows=[
            (
                each.number,
                each.new_meter,
                each.usage_point,
                each.account,
                each.office,
                each.fitter,
                writer.moment(each.installed_at),
            )
            for each in unheard
        ],
    )


def _names(connection: Connection) -> Mapping[str, Words]:
    return {office.code: office.name for office in offices.offices(connection)}


def _readings(
    writer: Writer, months: tuple[MonthProgress, ...]
) -> list[tuple[charts.Reading, charts.Reading]]:
    """Return plan and installation of the newest months, all offices together, to be drawn."""
    planned: dict[Month, int] = {}
    installed: dict[Month, int] = {}
    for each in months:
        planned[each.month] = planned.get(each.month, 0) + each.planned
        installed[each.month] = installed.get(each.month, 0) + each.installed
    found: list[tuple[charts.Reading, charts.Reading]] = []
    for month in sorted(planned)[-MONTHS_SHOWN:]:
        name = f"{month.month:02d}/{month.year}"
        found.append(
            (
                charts.Reading(
                    size=planned[month],
                    value=writer.number(planned[month]),
                    name=name,
                    label=writer.text(
                        "{month}: planned {count}", month=name, count=writer.number(planned[month])
                    ),
                ),
                charts.Reading(
                    size=installed[month],
                    value=writer.number(installed[month]),
                    name=name,
                    label=writer.text(
                        "{month}: installed {count}", month=name, count=writer.number(installed[month])
                    ),
                ),
            )
        )
    return found


ROUTES = (show_rollout, export_rollout, export_unheard)
