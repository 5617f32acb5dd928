"""The cases of a branch: what each was opened on, who inspects it, what was found and assessed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from bijlighar.balance import operations
from bijlighar.balance import queries as balance
from bijlighar.balance.model import (
    CASE_EVENT_NAMES,
    CASE_FINDING_NAMES,
    CASE_ORIGIN_NAMES,
    CASE_STATE_NAMES,
    THEFT_KIND_NAMES,
    UNDER_WAY,
    Case,
    CaseFinding,
    CaseState,
    TheftKind,
)
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, local_date, parse_day
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_ACT, ROLES_OF_VIEW, Act, View
from bijlighar.web.console.forms import choice_of, revision_of, watt_hours_of
from bijlighar.web.console.lists import Form, NumberInPath, may
from bijlighar.web.export import csv_response, plain_kwh
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

WORD_LENGTH = 10
#: What the address says where closed and withdrawn cases are asked for too.
ALL = "all"
Which = Annotated[str, QueryParameter(name="state", max_length=WORD_LENGTH)]


@dataclass(frozen=True, slots=True)
class Opening:
    """The form that opens a case by hand: of a meter, or of a transformer where a line is tapped."""

    meter: str = ""
    transformer: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """The form that sends somebody to inspect."""

    revision: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The form that says what was found."""

    revision: str = ""
    found: str = ""
    theft_kind: str = ""
    inspected_on: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Units:
    """The form that assesses units: kWh for the days `first` to `last`."""

    revision: str = ""
    kwh: str = ""
    first: str = ""
    last: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """The form that decides on a theft, closes or withdraws."""

    revision: str = ""
    note: str = ""


@get("/cases", sync_to_thread=True, opt={"view": View.CASES})
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
        may_open=may(person, Act.OPEN_CASE),
        may_losses=bool(person.roles & ROLES_OF_VIEW[View.LOSSES]),
        **facts,
    )


@get("/cases.csv", sync_to_thread=True, opt={"view": View.CASES})
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


@get("/cases/{number:int}", sync_to_thread=True, opt={"view": View.CASES})
def show_case(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show one case: what it was opened on, what was found and assessed, and each step."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = balance.case(connection, number=number, person=person.sign_in)
        steps = balance.case_steps(connection, number=number)
        facts = _names(connection)
        inspectors = _inspectors(connection, office=found.office)
    return page(
        request,
        "console/case.html",
        case=found,
        steps=[(step, CASE_EVENT_NAMES[step.event]) for step in steps],
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        may_losses=bool(person.roles & ROLES_OF_VIEW[View.LOSSES]),
        may_work=may(person, Act.WORK_CASE),
        may_inspect=may(person, Act.INSPECT_CASE) and found.assigned_to == person.sign_in,
        may_confirm=may(person, Act.CONFIRM_THEFT) and found.found_by != person.sign_in,
        may_assess=may(person, Act.ASSESS_CASE),
        normal=CaseFinding.NORMAL,
        inspectors=inspectors,
        today=local_date(line.now()),
        opened_on=local_date(found.opened_at),
        quote=lambda code: quote(code, safe=""),
        **facts,
    )


@post("/cases", sync_to_thread=True, opt={"act": Act.OPEN_CASE})
def open_case(request: Request[Any, Any, Any], data: Annotated[Opening, Form]) -> Redirect:
    """Open a case by hand."""
    line, person = line_of(request), signed_in(request).person
    meter, transformer = data.meter.strip(), data.transformer.strip()
    if bool(meter) == bool(transformer):
        raise InvalidValue("name a meter, or a transformer where a line is tapped at nobody's meter")
    new = operations.NewCase(meter=meter or None, transformer=transformer or None, note=data.note)
    with line.database.write() as connection:
        made = operations.open_case(connection, new=new, person=person.sign_in, now=line.now())
    return Redirect(f"/cases/{made.number}", status_code=303)


@post("/cases/{number:int}/assign", sync_to_thread=True, opt={"act": Act.WORK_CASE})
def assign(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Sending, Form]) -> Redirect:
    """Send somebody to inspect."""
    return _stepped(request, number, partial(operations.assign_case, to=data.to, note=""), data.revision)


@post("/cases/{number:int}/find", sync_to_thread=True, opt={"act": Act.INSPECT_CASE})
def find(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Inspection, Form]
) -> Redirect:
    """Say what was found, as the person who was sent."""
    found = operations.Found(
        finding=choice_of(CaseFinding, data.found),
        theft_kind=choice_of(TheftKind, data.theft_kind) if data.theft_kind else None,
        inspected_on=parse_day(data.inspected_on),
        note=data.note,
    )
    return _stepped(request, number, partial(operations.record_finding, found=found), data.revision)


@post("/cases/{number:int}/confirm", sync_to_thread=True, opt={"act": Act.CONFIRM_THEFT})
def confirm(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Confirm the theft that another person reported."""
    deed = partial(operations.decide_theft, is_confirmed=True, note=data.note)
    return _stepped(request, number, deed, data.revision)


@post("/cases/{number:int}/refuse", sync_to_thread=True, opt={"act": Act.CONFIRM_THEFT})
def refuse(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Refuse the theft that another person reported; the case goes back to its inspector."""
    deed = partial(operations.decide_theft, is_confirmed=False, note=data.note)
    return _stepped(request, number, deed, data.revision)


@post("/cases/{number:int}/assess", sync_to_thread=True, opt={"act": Act.ASSESS_CASE})
def assess(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Units, Form]) -> Redirect:
    """Assess units for a period."""
    months_max = line_of(request).home.settings.whole("cases.assess_months_max")
    assessed = operations.Assessed(
        energy_wh=watt_hours_of(data.kwh),
        first=parse_day(data.first),
        last=parse_day(data.last),
        method=data.method,
    )
    deed = partial(operations.assess_units, assessed=assessed, months_max=months_max)
    return _stepped(request, number, deed, data.revision)


@post("/cases/{number:int}/close", sync_to_thread=True, opt={"act": Act.WORK_CASE})
def close(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Close a case."""
    return _stepped(request, number, partial(operations.close_case, note=data.note), data.revision)


@post("/cases/{number:int}/withdraw", sync_to_thread=True, opt={"act": Act.WORK_CASE})
def withdraw(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Withdraw a case before anything was found."""
    return _stepped(request, number, partial(operations.withdraw_case, note=data.note), data.revision)


def _stepped(
    request: Request[Any, Any, Any], number: int, deed: Callable[..., object], revision: str
) -> Redirect:
    """Do what a form asks of a case and go back to its page."""
    line, person = line_of(request), signed_in(request).person
    seen = revision_of(revision)
    with line.database.write() as connection:
        deed(connection, number=number, revision=seen, person=person.sign_in, now=line.now())
    return Redirect(f"/cases/{number}", status_code=303)


def _inspectors(connection: Connection, *, office: str | None) -> list[tuple[str, str]]:
    """Return who may be sent to inspect in an office: sign-in and name of those who work there or above it."""
    parent = {each.code: each.parent for each in offices.offices(connection)}
    chain, at = set(), office
    while at is not None and at not in chain:
        chain.add(at)
        at = parent.get(at)
    return [
        (each.sign_in, each.name)
        for each in offices.people(connection)
        if each.active
        and each.roles & ROLES_OF_ACT[Act.INSPECT_CASE]
        and (each.office in chain or (office is None and parent.get(each.office) is None))
    ]


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


ROUTES = (
    show_cases,
    export_cases,
    show_case,
    open_case,
    assign,
    find,
    confirm,
    refuse,
    assess,
    close,
    withdraw,
)
