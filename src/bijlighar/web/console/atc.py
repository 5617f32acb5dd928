"""The AT&C loss of an office in a month and of the offices right below it, with all that it is made of."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import QueryParameter
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.model import DOUBT_NAMES, AtcLoss
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import Month, local_date
from bijlighar.offices import queries as offices
from bijlighar.offices.model import Office, Person, View
from bijlighar.web.console.lists import Text
from bijlighar.web.export import csv_response, plain_kwh, plain_rupees
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

MONTH_LENGTH = 10
#: So many of the newest months are offered.
MONTHS_SHOWN = 24
#: So many offices right below one are told at once.
BELOW_MAX = 100
InMonth = Annotated[str, QueryParameter(name="month", max_length=MONTH_LENGTH)]


@get("/atc", sync_to_thread=True, opt={"view": View.LOSSES})
def show_atc(request: Request[Any, Any, Any], month: InMonth = "", office: Text = "") -> Response[str]:
    """Show the AT&C loss of an office in a month and of the offices right below it."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        wanted = _month(month, now=now)
        known = _in_sight(connection, person=person)
        code = office if office in known else person.office
        own, below = _losses(connection, known=known, office=code, month=wanted, now=now)
    return page(
        request,
        "console/atc.html",
        own=own,
        below=below,
        month=wanted,
        months=sorted({wanted, *_months(now)}, reverse=True),
        known=known,
        above=known[code].parent if known[code].parent in known else None,
        doubt_names=DOUBT_NAMES,
    )


@get("/atc.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_atc(request: Request[Any, Any, Any], month: InMonth = "", office: Text = "") -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text, now = writer.text, line.now()
    with line.database.read() as connection:
        wanted = _month(month, now=now)
        known = _in_sight(connection, person=person)
        code = office if office in known else person.office
        own, below = _losses(connection, known=known, office=code, month=wanted, now=now)
    return csv_response(
        "atc",
        header=[
            text("Month"), text("Office"), text("Input kWh"), text("Billed kWh"), text("Billing efficiency %"),
            text("Billed ₹"), text("Collected ₹"), text("Collected from"), text("Collected to"),
            text("Collection efficiency %"), text("AT&C loss %"), text("Why no loss is told"), text("Read %"),
            text("Accounts"), text("Accounts below an input meter"), text("Accounts billed"),
            text("Without a meter kWh"), text("Input meters"), text("Input meters with gaps"),
        ],
        rows=[
            (
                str(each.month),
                each.office,
                plain_kwh(each.input_wh),
                plain_kwh(each.billed_wh),
                each.billing_efficiency_pct,
                plain_rupees(each.billed_paise),
                plain_rupees(each.collected_paise),
                each.collected_first.isoformat(),
                each.collected_last.isoformat(),
                each.collection_efficiency_pct,
                each.loss_pct,
                "; ".join(writer.words(DOUBT_NAMES[doubt]) for doubt in each.doubts),
                each.coverage_pct,
                each.accounts,
                each.accounts_covered,
                each.accounts_billed,
                plain_kwh(each.flat_rate_wh),
                len(each.points),
                len(each.points_incomplete),
            )
            for each in (own, *below)
        ],
    )  # fmt: skip


def _losses(
    connection: Connection, *, known: dict[str, Office], office: str, month: Month, now: datetime
) -> tuple[AtcLoss, list[AtcLoss]]:
    """Return the AT&C loss of an office, and those of the offices right below it, by code."""
    own = balance.atc_loss(connection, office=office, month=month, now=now)
    children = sorted(code for code, each in known.items() if each.parent == office)[:BELOW_MAX]
    return own, [balance.atc_loss(connection, office=code, month=month, now=now) for code in children]


def _in_sight(connection: Connection, *, person: Person) -> dict[str, Office]:
    seen = offices.offices_in_sight(connection, person=person)
    return {each.code: each for each in offices.offices(connection) if seen is None or each.code in seen}


def _month(text: str, *, now: datetime) -> Month:
    """Return the month asked for, else the newest whose bills have had a month to be paid."""
    try:
        return Month.parse(text.strip())
    except InvalidValue:
        return Month.of(local_date(now)).previous.previous


def _months(now: datetime) -> list[Month]:
    found: list[Month] = []
    month = Month.of(local_date(now))
    for _ in range(MONTHS_SHOWN):
        month = month.previous
        found.append(month)
    return found


ROUTES = (show_atc, export_atc)
