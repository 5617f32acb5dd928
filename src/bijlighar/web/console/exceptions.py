"""The queue of exceptions: what was found in the readings and calls for a person, who has it, how it was settled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from bijlighar.base.period import IST, local_date
from bijlighar.base.words import Words
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Act, Person, View
from bijlighar.registry import queries as registry
from bijlighar.rollout import queries as rollout
from bijlighar.rollout.model import CHECK_FINDING_NAMES, CHECK_STATE_NAMES
from bijlighar.runtime import exception_deeds
from bijlighar.runtime.exception_deeds import Done, Picked
from bijlighar.validation import operations
from bijlighar.validation import queries as validation
from bijlighar.validation.model import (
    EXCEPTION_EVENT_NAMES,
    EXCEPTION_STATE_NAMES,
    OUTCOME_NAMES,
    SEVERITY_NAMES,
    WAITING,
    ExceptionFilter,
    ExceptionState,
    Outcome,
    Rule,
    Severity,
    ValidationFinding,
)
from bijlighar.web.console.edits import edit_address
from bijlighar.web.console.forms import revision_of
from bijlighar.web.console.lists import TEXT_MAX, Form, NumberInPath, Text, may
from bijlighar.web.console.load import HEIGHT, WIDTH, load_around
from bijlighar.web.export import csv_response
from bijlighar.web.pages import page, writer_of
from bijlighar.web.problems import known_problems
from bijlighar.web.shared import line_of, signed_in

PAGE_MAX = 1_000_000
INSTANT = timedelta(microseconds=1)
Group = Annotated[str, QueryParameter(name="state", max_length=TEXT_MAX)]

#: What the queue is narrowed to: the name in the address, what it is called, the states.
GROUPS: Mapping[str, tuple[Words, tuple[ExceptionState, ...]]] = MappingProxyType(
    {
        "waiting": (Words(hi="कार्य शेष", en="to be done"), WAITING),
        "mine": (Words(hi="मेरे पास", en="mine"), (ExceptionState.TAKEN,)),
        **{state.value: (words, (state,)) for state, words in EXCEPTION_STATE_NAMES.items()},
    }
)


@dataclass(frozen=True, slots=True)
class InHand:
    """The form that takes an exception or gives it back; `revision` is what the page showed."""

    revision: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The form that settles."""

    revision: str = ""
    outcome: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """The form that takes several exceptions or gives them back: `number:revision` of each that is picked."""

    picked: list[str] | str = ""


@dataclass(frozen=True, slots=True)
class SeveralSettled:
    """The form that settles several."""

    picked: list[str] | str = ""
    outcome: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the queue was narrowed to in its address."""

    state: str
    rule: str
    severity: str
    office: str
    meter: str

    @property
    def query(self) -> str:
        """Return it as the query of a URL, with what is not the usual."""
        told = {
            "state": "" if self.state == "waiting" else self.state,
            "rule": self.rule,
            "severity": self.severity,
            "office": self.office,
            "meter": self.meter,
        }
        return urlencode({name: value for name, value in told.items() if value})

    def filter(self, person: Person) -> ExceptionFilter:
        """Return it as the room understands it."""
        return ExceptionFilter(
            states=GROUPS[self.state][1],
            rule=Rule(self.rule) if self.rule else None,
            severity=Severity(self.severity) if self.severity else None,
            office=self.office,
            meter=self.meter,
            taken_by=person.sign_in if self.state == "mine" else "",
        )


@get("/exceptions", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_exceptions(
    request: Request[Any, Any, Any],
    group: Group = "",
    rule: Text = "",
    severity: Text = "",
    office: Text = "",
    meter: Text = "",
    at: Annotated[int, QueryParameter(name="page", ge=1, le=PAGE_MAX)] = 1,
    pick: Text = "",
) -> Response[str]:
    """Show the queue of a branch, the gravest and oldest first."""
    line, person = line_of(request), signed_in(request).person
    wish = _wish(state=group, rule=rule, severity=severity, office=office, meter=meter)
    size = validation.EXCEPTIONS_PER_PAGE
    with line.database.read() as connection:
        asked = wish.filter(person)
        fitting = validation.count_exceptions(connection, wish=asked, person=person.sign_in)
        pages = max(-(-fitting // size), 1)
        at = min(at, pages)
        shown = validation.exceptions(
            connection, wish=asked, person=person.sign_in, first=(at - 1) * size, limit=size
        )
        facts = _names(connection, person=person)
    return page(
        request,
        "console/exceptions.html",
        shown=[(each, validation.reason(each.finding)) for each in shown],
        wish=wish,
        fitting=fitting,
        at=at,
        pages=pages,
        numbers=_numbers(at, pages),
        groups=[(name, words) for name, (words, _) in GROUPS.items()],
        rules=list(Rule),
        severities=list(SEVERITY_NAMES),
        may_work=may(person, Act.WORK_EXCEPTION),
        outcomes=list(OUTCOME_NAMES.items()),
        is_all_picked=pick == "all",
        **facts,
    )


@get("/exceptions.csv", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def export_exceptions(
    request: Request[Any, Any, Any],
    group: Group = "",
    rule: Text = "",
    severity: Text = "",
    office: Text = "",
    meter: Text = "",
) -> Response[bytes]:
    """Give the queue as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    wish = _wish(state=group, rule=rule, severity=severity, office=office, meter=meter)
    with line.database.read() as connection:
        found = validation.exceptions(
            connection, wish=wish.filter(person), person=person.sign_in, limit=validation.EXCEPTIONS_MAX
        )
    return csv_response(
        "exceptions",
        header=[
            text("Exception"), text("Meter"), text("Office"), text("Rule"), text("Severity"), text("Channel"),
            text("From"), text("To"), text("Intervals"), text("Reason"), text("State"), text("Taken by"),
            text("Taken at"), text("Settled by"), text("Settled at"), text("Settled as"), text("Why"),
        ],
        rows=[
            (
                each.number,
                each.finding.meter,
                each.office,
                writer.words(validation.rule_name(each.finding.rule)),
                writer.words(SEVERITY_NAMES[each.finding.severity]),
                each.finding.channel,
                _iso(each.finding.start),
                _iso(each.finding.end),
                each.finding.intervals,
                writer.words(validation.reason(each.finding)),
                writer.words(EXCEPTION_STATE_NAMES[each.state]),
                each.taken_by,
                _iso(each.taken_at),
                each.settled_by,
                _iso(each.settled_at),
                None if each.outcome is None else writer.words(OUTCOME_NAMES[each.outcome]),
                each.note,
            )
            for each in found
        ],
    )  # fmt: skip


@get("/exceptions/{number:int}", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_exception(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show one exception: what was found, the load around its begin, what was done, and what can be done."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = validation.exception(connection, number=number, person=person.sign_in)
        steps = validation.exception_steps(connection, number=number)
        load = load_around(connection, meter=found.finding.meter, moment=found.finding.start)
        others = validation.count_exceptions(
            connection, wish=ExceptionFilter(meter=found.finding.meter), person=person.sign_in
        )
        places = registry.installations(connection, meter=found.finding.meter)
        checks = rollout.checks_for(connection, subject=exception_deeds.subject_of(number))
        facts = _names(connection, person=person)
    seen = facts["in_sight"]
    ours = [place for place in places if seen is None or place.office in seen]
    hung = [place for place in ours if place.hangs_at(found.finding.start)] or ours
    return page(
        request,
        "console/exception.html",
        exception=found,
        reason=validation.reason(found.finding),
        history=[(step, EXCEPTION_EVENT_NAMES[step.event]) for step in steps],
        load=load,
        load_days=_days_of(found.finding),
        load_size=(WIDTH, HEIGHT),
        others=others,
        place=hung[0] if hung else None,
        outcomes=[
            (outcome.value, OUTCOME_NAMES[outcome]) for outcome in validation.outcomes_of(found.finding.rule)
        ],
        may_work=may(person, Act.WORK_EXCEPTION),
        edit_address=edit_address(found.finding.meter, start=found.finding.start, end=found.finding.end)
        if may(person, Act.EDIT_READING)
        else "",
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        may_rollout=bool(person.roles & ROLES_OF_VIEW[View.ROLLOUT]),
        checks=checks,
        check_state_names=CHECK_STATE_NAMES,
        check_finding_names=CHECK_FINDING_NAMES,
        field=Outcome.FIELD,
        **facts,
    )


@post("/exceptions/{number:int}/take", sync_to_thread=True, opt={"act": Act.WORK_EXCEPTION})
def take(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[InHand, Form]) -> Redirect:
    """Take an exception in hand."""
    return _worked(request, number, operations.take, data.revision)


@post("/exceptions/{number:int}/give-back", sync_to_thread=True, opt={"act": Act.WORK_EXCEPTION})
def give_back(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[InHand, Form]
) -> Redirect:
    """Put an exception back into the queue."""
    return _worked(request, number, operations.give_back, data.revision)


@post("/exceptions/{number:int}/settle", sync_to_thread=True, opt={"act": Act.WORK_EXCEPTION})
def settle(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Settlement, Form]
) -> Redirect:
    """Settle an exception with an outcome and a reason."""
    deed = partial(exception_deeds.settle, outcome=data.outcome, note=data.note)
    return _worked(request, number, deed, data.revision)


@post("/exceptions/several/take", sync_to_thread=True, status_code=200, opt={"act": Act.WORK_EXCEPTION})
def take_several(request: Request[Any, Any, Any], data: Annotated[Several, Form]) -> Response[str]:
    """Take several exceptions in hand."""
    return _told_of_each(request, exception_deeds.take_several, data.picked)


@post("/exceptions/several/give-back", sync_to_thread=True, status_code=200, opt={"act": Act.WORK_EXCEPTION})
def give_back_several(request: Request[Any, Any, Any], data: Annotated[Several, Form]) -> Response[str]:
    """Put several exceptions back into the queue."""
    return _told_of_each(request, exception_deeds.give_back_several, data.picked)


@post("/exceptions/several/settle", sync_to_thread=True, status_code=200, opt={"act": Act.WORK_EXCEPTION})
def settle_several(request: Request[Any, Any, Any], data: Annotated[SeveralSettled, Form]) -> Response[str]:
    """Settle several exceptions with one outcome and one reason."""
    deed = partial(exception_deeds.settle_several, outcome=data.outcome, note=data.note)
    return _told_of_each(request, deed, data.picked)


def _told_of_each(
    request: Request[Any, Any, Any], deed: Callable[..., tuple[Done, ...]], picked: list[str] | str
) -> Response[str]:
    """Do what a form asks of several exceptions, and tell of each what became of it."""
    line, person = line_of(request), signed_in(request).person
    done = deed(line.database, picked=_picked(picked), person=person.sign_in, now=line.now())
    return page(
        request,
        "console/exceptions_done.html",
        done=[
            (each, None if each.refusal is None else known_problems().get(each.refusal.code)) for each in done
        ],
        refused=sum(each.refusal is not None for each in done),
    )


def _picked(texts: list[str] | str) -> list[Picked]:
    """
    Return what a form has picked.

    :raises InvalidValue: if one of them is no number and revision.
    """
    found = []
    for text in [texts] if isinstance(texts, str) else texts:
        number, _, revision = text.partition(":")
        if text:
            found.append(Picked(number=revision_of(number), revision=revision_of(revision)))
    return found


def _worked(
    request: Request[Any, Any, Any], number: int, deed: Callable[..., object], revision: str
) -> Redirect:
    """Do what a form asks of an exception and go back to its page."""
    line, person = line_of(request), signed_in(request).person
    with line.database.write() as connection:
        deed(
            connection,
            number=number,
            revision=revision_of(revision),
            person=person.sign_in,
            now=line.now(),
        )
    return Redirect(f"/exceptions/{number}", status_code=303)


def _wish(*, state: str, rule: str, severity: str, office: str, meter: str) -> Wish:
    """Return what is asked for; a name that there is not counts as nothing."""
    return Wish(
        state=state if state in GROUPS else "waiting",
        rule=rule if rule in set(Rule) else "",
        severity=severity if severity in set(Severity) else "",
        office=office.strip(),
        meter=meter.strip(),
    )


def _numbers(at: int, pages: int) -> list[int]:
    """Return the pages that are offered: the first, the last, and those around the one that is shown."""
    return sorted({1, pages, *range(max(at - 3, 1), min(at + 3, pages) + 1)})


def _names(connection: Connection, *, person: Person) -> dict[str, Any]:
    """Return how people, offices, rules and states are called."""
    seen = offices.offices_in_sight(connection, person=person)
    return {
        "people": {each.sign_in: each.name for each in offices.people(connection)},
        "office_names": {
            each.code: each.name for each in offices.offices(connection) if seen is None or each.code in seen
        },
        "in_sight": seen,
        "rule_name": validation.rule_name,
        "severity_names": SEVERITY_NAMES,
        "state_names": EXCEPTION_STATE_NAMES,
        "outcome_names": OUTCOME_NAMES,
        "me": person.sign_in,
    }


def _days_of(finding: ValidationFinding) -> tuple[date, date]:
    """Return the days of a finding whose load is to be looked at: the last ones, where they are many."""
    first, last = local_date(finding.start), local_date(max(finding.end - INSTANT, finding.start))
    return max(first, last - timedelta(days=validation.LOAD_DAYS_MAX - 1)), last


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="minutes")


ROUTES = (
    show_exceptions,
    export_exceptions,
    show_exception,
    take,
    give_back,
    settle,
    take_several,
    give_back_several,
    settle_several,
)
