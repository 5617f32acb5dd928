"""
What people do with a case: send somebody, say what was found, assess units, close it.

Each step is kept and in the audit. Theft stands only once a second person, a theft officer, has confirmed it. Nothing
here reaches a relay, a bill or a message.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.balance import case_store
from bijlighar.balance.case_stepping import said_words, stepped, told_words, write_step
from bijlighar.balance.cases import Assessment, Case, CaseEvent, CaseFinding, TheftKind
from bijlighar.balance.errors import NotTheInspector, RefusedCase
from bijlighar.base.period import Month, local_date
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import ROLES_OF_ACT, Act
from bijlighar.offices.rules import check_other_person

#: Beyond this nobody is assessed [Wh].
ASSESSED_MAX_WH = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an inspection found: `theft_kind` belongs to theft, and to nothing else."""

    finding: CaseFinding
    inspected_on: date
    note: str
    theft_kind: TheftKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """Units for the days `first` to `last`, and how they were reckoned, in words."""

    energy_wh: int
    first: date
    last: date
    method: str


def assign_case(
    connection: Connection, *, number: int, revision: int, to: str, note: str, person: str, now: datetime
) -> Case:
    """
    Send a person to inspect.

    :raises UnknownCase: if there is none of that number in the person's offices.
    :raises UnknownPerson: if there is no such inspector.
    :raises RefusedCase: if that person may not inspect.
    :raises CaseChanged: if it cannot be assigned now, or is not what `revision` was.
    """
    case, who = stepped(
        connection, number=number, revision=revision, event=CaseEvent.ASSIGN, act=Act.WORK_CASE, person=person
    )
    inspector = office_queries.person(connection, sign_in=to)
    if not inspector.active or not inspector.roles & ROLES_OF_ACT[Act.INSPECT_CASE]:
        raise RefusedCase(
            f"{inspector.sign_in} may not inspect; send an engineer, a fitter or a theft officer"
        )
    return write_step(
        connection,
        replace(case, assigned_to=inspector.sign_in),
        act=Act.WORK_CASE,
        event=CaseEvent.ASSIGN,
        person=who,
        note=told_words(note),
        detail={"to": inspector.sign_in},
        now=now,
    )


def record_finding(
    connection: Connection, *, number: int, revision: int, found: Found, person: str, now: datetime
) -> Case:
    """
    Say what the inspection found; theft waits for a second person, anything else stands.

    :raises UnknownCase: if there is none of that number in the person's offices.
    :raises NotTheInspector: if somebody else was sent.
    :raises RefusedCase: if the day, the kind of theft or the words do not fit.
    :raises CaseChanged: if nobody was sent, or it is not what `revision` was.
    """
    is_theft = found.finding is CaseFinding.THEFT
    event = CaseEvent.REPORT_THEFT if is_theft else CaseEvent.FIND
    case, who = stepped(
        connection, number=number, revision=revision, event=event, act=Act.INSPECT_CASE, person=person
    )
    if case.assigned_to != who:
        raise NotTheInspector(
            f"{case.assigned_to} was sent to inspect case {number}; they say what was found"
        )
    if is_theft != (found.theft_kind is not None):
        raise RefusedCase("theft has a kind, and nothing else has; name it")
    if not local_date(case.opened_at) <= found.inspected_on <= local_date(now):
        raise RefusedCase(
            f"{found.inspected_on} is no day between the case's opening and today; give the day of the inspection"
        )
    note = said_words(found.note, what="what was found")
    case = replace(
        case,
        finding=found.finding,
        theft_kind=found.theft_kind,
        inspected_on=found.inspected_on,
        found_by=who,
        finding_note=note,
        confirmed_by=None,
    )
    detail = {
        "finding": found.finding.value,
        "theft_kind": None if found.theft_kind is None else found.theft_kind.value,
        "inspected_on": found.inspected_on.isoformat(),
    }
    return write_step(
        connection,
        case,
        act=Act.INSPECT_CASE,
        event=event,
        person=who,
        note=note,
        detail=detail,
        now=now,
    )


def decide_theft(
    connection: Connection,
    *,
    number: int,
    revision: int,
    is_confirmed: bool,
    note: str,
    person: str,
    now: datetime,
) -> Case:
    """
    Confirm the theft that another person reported, or refuse it; refused, the case goes back to its inspector.

    :raises UnknownCase: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person is no theft officer of the office.
    :raises SamePerson: if the person reported it.
    :raises CaseChanged: if no theft is reported, or it is not what `revision` was.
    """
    event = CaseEvent.CONFIRM_THEFT if is_confirmed else CaseEvent.REFUSE_THEFT
    case, who = stepped(
        connection, number=number, revision=revision, event=event, act=Act.CONFIRM_THEFT, person=person
    )
    check_other_person(proposer=str(case.found_by), approver=who)
    said = said_words(note, what="the reason")
    if is_confirmed:
        case = replace(case, confirmed_by=who)
    else:
        case = replace(case, finding=None, theft_kind=None, inspected_on=None, found_by=None, finding_note="")
    return write_step(
        connection, case, act=Act.CONFIRM_THEFT, event=event, person=who, note=said, detail={}, now=now
    )


def assess_units(
    connection: Connection,
    *,
    number: int,
    revision: int,
    assessed: Assessed,
    months_max: int,
    person: str,
    now: datetime,
) -> Case:
    """
    Assess units for a period, with the method in words; an earlier assessment is kept beside it.

    :raises UnknownCase: if there is none of that number in the person's offices.
    :raises RefusedCase: if the finding leaves nothing to assess, or units, days or words do not fit; a period longer
        than `months_max` months before the inspection is refused.
    :raises CaseChanged: if nothing was found yet, or it is not what `revision` was.
    """
    case, who = stepped(
        connection,
        number=number,
        revision=revision,
        event=CaseEvent.ASSESS,
        act=Act.ASSESS_CASE,
        person=person,
    )
    if case.finding is CaseFinding.NORMAL or case.inspected_on is None:
        raise RefusedCase(f"case {number} found nothing out of order; there is nothing to assess")
    if not 0 < assessed.energy_wh <= ASSESSED_MAX_WH:
        raise RefusedCase(f"{assessed.energy_wh} Wh is nothing that can be assessed")
    if not assessed.first <= assessed.last <= case.inspected_on:
        raise RefusedCase(
            "the period must end on or before the day of the inspection, and begin before it ends"
        )
    if assessed.first < _earliest(case.inspected_on, months_max):
        raise RefusedCase(
            f"the period begins more than {months_max} months before the inspection; shorten it"
        )
    made = Assessment(
        number=1 if case.assessment is None else case.assessment.number + 1,
        energy_wh=assessed.energy_wh,
        first=assessed.first,
        last=assessed.last,
        method=said_words(assessed.method, what="the method"),
        assessed_by=who,
        assessed_at=now,
    )
    case_store.append_assessment(connection, case=number, assessment=made)
    detail = {
        "energy_wh": made.energy_wh,
        "first": made.first.isoformat(),
        "last": made.last.isoformat(),
    }
    return write_step(
        connection,
        replace(case, assessment=made),
        act=Act.ASSESS_CASE,
        event=CaseEvent.ASSESS,
        person=who,
        note=made.method,
        detail=detail,
        now=now,
    )


def close_case(
    connection: Connection, *, number: int, revision: int, note: str, person: str, now: datetime
) -> Case:
    """
    Close a case of which it is known what was found, with what was done about it.

    :raises UnknownCase: if there is none of that number in the person's offices.
    :raises CaseChanged: if nothing was found yet, or it is not what `revision` was.
    """
    return _ended(
        connection,
        number=number,
        revision=revision,
        event=CaseEvent.CLOSE,
        note=note,
        person=person,
        now=now,
    )


def withdraw_case(
    connection: Connection, *, number: int, revision: int, note: str, person: str, now: datetime
) -> Case:
    """
    Withdraw a case before anything was found, with the reason.

    :raises UnknownCase: if there is none of that number in the person's offices.
    :raises CaseChanged: if something was found, or it is not what `revision` was.
    """
    return _ended(
        connection,
        number=number,
        revision=revision,
        event=CaseEvent.WITHDRAW,
        note=note,
        person=person,
        now=now,
    )


def _ended(
    connection: Connection,
    *,
    number: int,
    revision: int,
    event: CaseEvent,
    note: str,
    person: str,
    now: datetime,
) -> Case:
    case, who = stepped(
        connection, number=number, revision=revision, event=event, act=Act.WORK_CASE, person=person
    )
    said = said_words(note, what="the reason")
    case = replace(case, ended_by=who, ended_at=now, ending_note=said)
    return write_step(
        connection, case, act=Act.WORK_CASE, event=event, person=who, note=said, detail={}, now=now
    )


def _earliest(day: date, months: int) -> date:
    month = Month.of(day)
    for _ in range(months):
        month = month.previous
    return date(month.year, month.month, min(day.day, month.days))
