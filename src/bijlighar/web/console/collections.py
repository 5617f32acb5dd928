"""Collections: what came in against what was billed, by which way, and what is owed how long."""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import QueryParameter
from sqlalchemy import Connection

from bijlighar.arrears import queries as arrears
from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.ledger.model import METHOD_NAMES
from bijlighar.offices import queries as offices
from bijlighar.offices.model import View
from bijlighar.web.export import csv_response, plain_rupees
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

UNMATCHED_SHOWN_MAX = 200
MONTHS_OFFERED = 12
MONTH_LENGTH = 7


@get("/collections", sync_to_thread=True, opt={"view": View.COLLECTIONS})
def show_collections(
    request: Request[Any, Any, Any], month: Annotated[str, QueryParameter(max_length=MONTH_LENGTH)] = ""
) -> Response[str]:
    """Show the collections of a branch today and in a month."""
    line = line_of(request)
    asked = Month.parse(month) if month else None
    with line.database.read() as connection:
        found = arrears.collections(
            connection, now=line.now(), office=signed_in(request).person.office, month=asked
        )
        names = _names(connection)
    return page(
        request,
        "console/collections.html",
        found=found,
        unmatched=found.unmatched[:UNMATCHED_SHOWN_MAX],
        names=names,
        months=_months_before(Month.of(found.on)),
        method_names=METHOD_NAMES,
    )


@get("/collections/ageing.csv", sync_to_thread=True, opt={"view": View.COLLECTIONS})
def export_ageing(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the ageing of every account of a branch as a table for spreadsheets."""
    line, text = line_of(request), writer_of(request).text
    with line.database.read() as connection:
        rows = arrears.ageing(connection, office=signed_in(request).person.office)
    return csv_response(
        "ageing",
        header=[
            text("Account"), text("Office"), text("As of"), text("Not yet due"), text("1–30 days"),
            text("31–60 days"), text("61–90 days"), text("over 90 days"), text("Overdue"), text("Oldest due date"),
            text("Bills"),
        ],
        rows=[
            (
                row.account,
                row.office,
                row.on.isoformat(),
                plain_rupees(row.not_due_paise),
                plain_rupees(row.to_30_days_paise),
                plain_rupees(row.to_60_days_paise),
                plain_rupees(row.to_90_days_paise),
                plain_rupees(row.over_90_days_paise),
                plain_rupees(row.overdue_paise),
                None if row.oldest_due_on is None else row.oldest_due_on.isoformat(),
                row.bills,
            )
            for row in rows
        ],
    )  # fmt: skip


@get("/collections/receipts.csv", sync_to_thread=True, opt={"view": View.COLLECTIONS})
def export_receipts(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the newest receipts of a branch as a table for spreadsheets."""
    line, writer = line_of(request), writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        found = arrears.collections(
            connection,
            now=line.now(),
            office=signed_in(request).person.office,
            newest=arrears.RECEIPTS_MAX,
        )
    return csv_response(
        "receipts",
        header=[
            text("Receipt"), text("Paid at"), text("Account"), text("Way"), text("Rupees"), text("Provider"),
            text("Payment"), text("Reversed at"), text("Reason"),
        ],
        rows=[
            (
                each.receipt,
                writer.moment(each.paid_at, seconds=True),
                each.account,
                writer.words(METHOD_NAMES[each.method]) if each.method in METHOD_NAMES else each.method,
                plain_rupees(each.amount_paise),
                each.provider,
                each.payment_id,
                None if each.reversed_at is None else writer.moment(each.reversed_at),
                each.reversal_reason,
            )
            for each in found.newest
        ],
    )  # fmt: skip


def _months_before(newest: Month) -> list[Month]:
    """Return the newest month and those before it that are offered."""
    months = [newest]
    while len(months) < MONTHS_OFFERED:
        months.append(months[-1].previous)
    return months


def _names(connection: Connection) -> Mapping[str, Words]:
    return {office.code: office.name for office in offices.offices(connection)}


ROUTES = (show_collections, export_ageing, export_receipts)
