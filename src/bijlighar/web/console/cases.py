"""The cases of a branch: what each was opened on, who inspects it, what was found and assessed."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.params import QueryParameter
from sqlalchemy import Connection

from bijlighar.balance import queries as balance
from bijlighar.balance.model import (
    CASE_EVENT_NAMES,
    CASE_FINDING_NAMES,
    CASE_ORIGIN_NAMES,
    CASE_STATE_NAMES,
    THEFT_KIND_NAMES,
    UNDER_WAY,
    Case,
    CaseState,
)
from bijlighar.base.period import IST
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, View
from bijlighar.web.console.lists import NumberInPath
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

WORD_LENGTH = 10
#: What the address says where closed and withdrawn cases are asked for too.
ALL = "all"
Which = Annotated[str, QueryParameter(name="state", max_length=WORD_LENGTH)]


@get("/cases", sync_to_thread=True, opt={"view": View.LOSSES})
def show_cases(request: Request[Any, Any, Any], which: Which = "") -> Response[str]:
    """Show the cases of a branch, the newest first."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = balance.cases(connection, person=person.sign_in, states=_states(which))
        facts = _names(connection)
    return page(
        request,
        "console/cases.html",
        cases=found,
        is_all=which == ALL,
        most=balance.CASES_PER_PAGE,
        **facts,
    )


@get("/cases.csv", sync_to_thread=True, opt={"view": View.LOSSES})
def export_cases(request: Request[Any, Any, Any], which: Which = "") -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        found = balance.cases(connection, person=person.sign_in, states=_states(which))
    return csv_response(
        "cases",
        header=[
            text("Case"), text("Meter"), text("Transformer"), text("Account"), text("Office"), text("Opened from"),
            text("Evidence"), text("Reason"), text("State"), text("Opened at"), text("Opened by"), text("Inspector"),
            text("Finding"), text("How"), text("Inspected on"), text("Confirmed by"), text("Assessed kWh"),
            text("From"), text("To"), text("Method"),
        ],
        rows=[
            (
                each.number,
                each.meter,
                each.transformer,
                each.account,
                each.office,
                writer.words(CASE_ORIGIN_NAMES[each.origin]),
                writer.words(each.evidence),
                each.note,
                writer.words(CASE_STATE_NAMES[each.state]),
                _iso(each.opened_at),
                each.opened_by,
                each.assigned_to,
                None if each.finding is None else writer.words(CASE_FINDING_NAMES[each.finding]),
                None if each.theft_kind is None else writer.words(THEFT_KIND_NAMES[each.theft_kind]),
                None if each.inspected_on is None else each.inspected_on.isoformat(),
                each.confirmed_by,
                *_assessed(each),
            )
            for each in found
        ],
    )  # fmt: skip


@get("/cases/{number:int}", sync_to_thread=True, opt={"view": View.LOSSES})
def show_case(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show one case: what it was opened on, what was found and assessed, and each step."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = balance.case(connection, number=number, person=person.sign_in)
        steps = balance.case_steps(connection, number=number)
        facts = _names(connection)
    return page(
        request,
        "console/case.html",
        case=found,
        steps=[(step, CASE_EVENT_NAMES[step.event]) for step in steps],
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        quote=lambda code: quote(code, safe=""),
        **facts,
    )


def _states(which: str) -> tuple[CaseState, ...]:
    return tuple(CaseState) if which == ALL else UNDER_WAY


def _names(connection: Connection) -> dict[str, Any]:
    """Return how people, offices, states and findings are called."""
    return {
        "people": {person.sign_in: person.name for person in offices.people(connection)},
        "office_names": {office.code: office.name for office in offices.offices(connection)},
        "state_names": CASE_STATE_NAMES,
        "origin_names": CASE_ORIGIN_NAMES,
        "finding_names": CASE_FINDING_NAMES,
        "kind_names": THEFT_KIND_NAMES,
    }


def _assessed(case: Case) -> tuple[object, ...]:
    made = case.assessment
    if made is None:
        return (None, None, None, None)
    return (plain_kwh(made.energy_wh), made.first.isoformat(), made.last.isoformat(), made.method)


def _iso(moment: datetime) -> str:
    return moment.astimezone(IST).isoformat(timespec="minutes")


ROUTES = (show_cases, export_cases, show_case)
