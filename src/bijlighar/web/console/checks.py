"""Checks of meters on the spot: who is sent where and why, what was found."""

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

from bijlighar.base.period import IST
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Act, View
from bijlighar.rollout import operations
from bijlighar.rollout import queries as rollout
from bijlighar.rollout.model import (
    CHECK_FINDING_NAMES,
    CHECK_STATE_NAMES,
    OPEN_CHECK_STATES,
    CheckFinding,
    CheckState,
)
from bijlighar.web.console.forms import choice_of, revision_of
from bijlighar.web.console.lists import Form, NumberInPath, may
from bijlighar.web.export import csv_response
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

WORD_LENGTH = 10
#: What the address says where those that have ended are asked for too.
ALL = "all"
#: What a check may be ordered for that has a page: the word of its subject.
PAGE_OF_SUBJECT = {"exception": "/exceptions/"}
Which = Annotated[str, QueryParameter(name="state", max_length=WORD_LENGTH)]


@dataclass(frozen=True, slots=True)
class Issue:
    """The form that gives a check to a fitter."""

    revision: str = ""
    fitter: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The form that says what was found."""

    revision: str = ""
    found: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """The form that says why a check could not be done, or is cancelled."""

    revision: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """The form that plans a check again."""

    revision: str = ""


@get("/checks", sync_to_thread=True, opt={"view": View.ROLLOUT})
def show_checks(request: Request[Any, Any, Any], which: Which = "") -> Response[str]:
    """Show the checks of a branch, the newest first."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = rollout.checks(connection, person=person.sign_in, states=_states(which))
        facts = _names(connection)
    return page(
        request,
        "console/checks.html",
        checks=found,
        is_all=which == ALL,
        most=rollout.CHECKS_PER_PAGE,
        may_cases=bool(person.roles & ROLES_OF_VIEW[View.CASES]),
        **facts,
    )


@get("/checks.csv", sync_to_thread=True, opt={"view": View.ROLLOUT})
def export_checks(request: Request[Any, Any, Any], which: Which = "") -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        found = rollout.checks(connection, person=person.sign_in, states=_states(which))
    return csv_response(
        "checks",
        header=[
            text("Check"), text("Meter"), text("Place"), text("Account"), text("Transformer"), text("Office"),
            text("Why"), text("State"), text("Ordered by"), text("Ordered at"), text("Fitter"), text("Finding"),
            text("Note"), text("Ended by"), text("Ended at"),
        ],
        rows=[
            (
                each.number,
                each.meter,
                each.usage_point,
                each.account,
                each.transformer,
                each.office,
                each.reason,
                writer.words(CHECK_STATE_NAMES[each.state]),
                each.ordered_by,
                _iso(each.ordered_at),
                each.fitter,
                None if each.finding is None else writer.words(CHECK_FINDING_NAMES[each.finding]),
                each.note,
                each.ended_by,
                _iso(each.ended_at),
            )
            for each in found
        ],
    )  # fmt: skip


@get("/checks/{number:int}", sync_to_thread=True, opt={"view": View.ROLLOUT})
def show_check(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show one check: where, why, what was found, and what can be done."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = rollout.check(connection, number=number, person=person.sign_in)
        subjects = rollout.subjects_of_check(connection, number=number)
        facts = _names(connection)
    return page(
        request,
        "console/check.html",
        check=found,
        exceptions=[
            subject.partition(":")[2] for subject in subjects if subject.partition(":")[0] in PAGE_OF_SUBJECT
        ],
        findings=list(CHECK_FINDING_NAMES.items()),
        may_plan=may(person, Act.PLAN_ROLLOUT),
        may_report=may(person, Act.INSTALL_METER),
        may_exceptions=bool(person.roles & ROLES_OF_VIEW[View.EXCEPTIONS]),
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        quote=lambda code: quote(code, safe=""),
        **facts,
    )


@post("/checks/{number:int}/issue", sync_to_thread=True, opt={"act": Act.PLAN_ROLLOUT})
def issue(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Issue, Form]) -> Redirect:
    """Give a check to a fitter."""
    return _done(request, number, partial(operations.issue_check, fitter=data.fitter), data.revision)


@post("/checks/{number:int}/report", sync_to_thread=True, opt={"act": Act.INSTALL_METER})
def report(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Report, Form]) -> Redirect:
    """Say what was found."""
    finding = choice_of(CheckFinding, data.found)
    deed = partial(operations.report_check, finding=finding, note=data.note)
    return _done(request, number, deed, data.revision)


@post("/checks/{number:int}/fail", sync_to_thread=True, opt={"act": Act.INSTALL_METER})
def fail(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Why, Form]) -> Redirect:
    """Say why a check could not be done."""
    return _done(request, number, partial(operations.fail_check, reason=data.note), data.revision)


@post("/checks/{number:int}/again", sync_to_thread=True, opt={"act": Act.PLAN_ROLLOUT})
def plan_again(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Again, Form]
) -> Redirect:
    """Plan a check again."""
    return _done(request, number, operations.plan_check_again, data.revision)


@post("/checks/{number:int}/cancel", sync_to_thread=True, opt={"act": Act.PLAN_ROLLOUT})
def cancel(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Why, Form]) -> Redirect:
    """Cancel a check."""
    return _done(request, number, partial(operations.cancel_check, reason=data.note), data.revision)


def _done(
    request: Request[Any, Any, Any], number: int, deed: Callable[..., object], revision: str
) -> Redirect:
    """Do what a form asks of a check and go back to its page."""
    line, person = line_of(request), signed_in(request).person
    seen = revision_of(revision)
    with line.database.write() as connection:
        deed(connection, number=number, revision=seen, person=person.sign_in, now=line.now())
    return Redirect(f"/checks/{number}", status_code=303)


def _states(which: str) -> tuple[CheckState, ...]:
    return tuple(CheckState) if which == ALL else OPEN_CHECK_STATES


def _names(connection: Connection) -> dict[str, Any]:
    """Return how people, offices, states and findings are called."""
    return {
        "people": {person.sign_in: person.name for person in offices.people(connection)},
        "office_names": {office.code: office.name for office in offices.offices(connection)},
        "state_names": CHECK_STATE_NAMES,
        "finding_names": CHECK_FINDING_NAMES,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="minutes")


ROUTES = (show_checks, export_checks, show_check, issue, report, fail, plan_again, cancel)
