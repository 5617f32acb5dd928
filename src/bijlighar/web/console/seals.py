"""Sealed months: what stands in the way of a seal, what came late for one, and its opening by two persons."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, Month, date_of, day_number, local_date
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Act, Person, View
from bijlighar.readings import operations
from bijlighar.readings import queries as readings
from bijlighar.readings.model import SEAL_STATE_NAMES, MonthSeal, SealState
from bijlighar.runtime.sealing_outlook import outlook
from bijlighar.web.console.forms import revision_of
from bijlighar.web.console.lists import Form, NumberInPath, Text, may
from bijlighar.web.export import csv_response
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

#: So many of the newest months are offered.
MONTHS_SHOWN = 36
#: So many meters stand on the page of a seal; the CSV has them all.
LATE_SHOWN_MAX = 200
Yes = Annotated[str, QueryParameter(name="check", max_length=3)]


@dataclass(frozen=True, slots=True)
class NewSeal:
    """The form that seals a month of an office."""

    month: str = ""
    office: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """The form that asks for an opening, confirms or refuses it."""

    revision: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The form that takes the asking back."""

    revision: str = ""


@get("/seals", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_seals(request: Request[Any, Any, Any], office: Text = "") -> Response[str]:
    """Show the months of an office, sealed or not, and the seals in sight with what came late for each."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        facts = _names(connection, person=person)
        code = office if office in facts["office_names"] else person.office
        months = _months(connection, now=line.now())
        stands = _standing(connection, months=months, office=code)
        found = readings.seals(connection, person=person.sign_in, states=tuple(SealState))
    return page(
        request,
        "console/seals.html",
        office=code,
        months=[(month, stands[month]) for month in months],
        today=local_date(line.now()),
        seals=found,
        may_seal=may(person, Act.SEAL_MONTH),
        **facts,
    )


@get("/seals.csv", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def export_seals(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the seals in sight as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        found = readings.seals(connection, person=person.sign_in, states=tuple(SealState))
    return csv_response(
        "seals",
        header=[
            text("Seal"), text("Month"), text("Office"), text("State"), text("Meter-days"), text("Late meter-days"),
            text("Late registers"), text("Sealed by"), text("Sealed at"), text("Note"), text("Opening asked by"),
            text("Why"), text("Decided by"), text("Word of the decision"), text("Digest"),
        ],
        rows=[
            (
                seal.number,
                str(seal.month),
                seal.office,
                writer.words(SEAL_STATE_NAMES[seal.state]),
                seal.meter_days,
                days,
                registers,
                seal.sealed_by,
                _iso(seal.sealed_at),
                seal.note,
                seal.asked_by,
                seal.asked_note,
                seal.decided_by,
                seal.decision_note,
                seal.digest,
            )
            for seal, days, registers in found
        ],
    )  # fmt: skip


@get("/seals/new", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_outlook(request: Request[Any, Any, Any], month: Text = "", office: Text = "") -> Response[str]:
    """Show what stands in the way of sealing a month; nothing is sealed."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    wanted = _month(month) if month else Month.of(local_date(now)).previous
    with line.database.read() as connection:
        facts = _names(connection, person=person)
        code = office if office in facts["office_names"] else person.office
        seen = outlook(connection, month=wanted, office=code, person=person.sign_in, now=now)
        months = _months(connection, now=now)
    return page(
        request,
        "console/seal_new.html",
        seen=seen,
        months=sorted({wanted, *months}, reverse=True),
        may_seal=may(person, Act.SEAL_MONTH),
        **facts,
    )


@post("/seals", sync_to_thread=True, opt={"act": Act.SEAL_MONTH})
def seal_month(request: Request[Any, Any, Any], data: Annotated[NewSeal, Form]) -> Redirect:
    """Seal a month of an office and all below it."""
    line, person = line_of(request), signed_in(request).person
    wanted = _month(data.month)
    if not data.office.strip():
        raise InvalidValue("the form names no office; open the page again")
    with line.database.write() as connection:
        made = operations.seal_month(
            connection,
            month=wanted,
            office=data.office.strip(),
            note=data.note,
            person=person.sign_in,
            now=line.now(),
        )
    return Redirect(f"/seals/{made.number}", status_code=303)


@get("/seals/{number:int}", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_seal(request: Request[Any, Any, Any], number: NumberInPath, check: Yes = "") -> Response[str]:
    """Show one seal: what it holds, what came late for it by meter, and what can be done."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = readings.seal_in_sight(connection, number=number, person=person.sign_in)
        late = readings.late_sums(connection, number=number, person=person.sign_in)
        checked = readings.check_seal(connection, number=number, person=person.sign_in) if check else None
        facts = _names(connection, person=person)
    return page(
        request,
        "console/seal.html",
        seal=found,
        late=late[:LATE_SHOWN_MAX],
        late_more=max(len(late) - LATE_SHOWN_MAX, 0),
        difference_wh=sum(each.difference_wh for each in late),
        checked=checked,
        may_ask=may(person, Act.OPEN_MONTH),
        may_decide=may(person, Act.CONFIRM_OPENING),
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        **facts,
    )


@get("/seals/{number:int}/late.csv", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def export_late(request: Request[Any, Any, Any], number: NumberInPath) -> Response[bytes]:
    """Give what came late for a seal by meter as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        late = readings.late_sums(connection, number=number, person=person.sign_in)
    return csv_response(
        "late",
        header=[
            text("Meter"), text("Meter-days"), text("Intervals"), text("In the month Wh"), text("Came late Wh"),
            text("Difference Wh"), text("Export in the month Wh"), text("Export came late Wh"), text("Registers"),
            text("First came"), text("Last came"),
        ],
        rows=[
            (
                each.meter,
                each.meter_days,
                each.intervals,
                each.standing_wh,
                each.late_wh,
                each.difference_wh,
                each.standing_export_wh,
                each.late_export_wh,
                each.registers,
                _iso(each.first_at),
                _iso(each.last_at),
            )
            for each in late
        ],
    )  # fmt: skip


@post("/seals/{number:int}/ask", sync_to_thread=True, opt={"act": Act.OPEN_MONTH})
def ask(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Ask for the opening of a sealed month."""
    return _stepped(request, number, partial(operations.ask_opening, note=data.note), data.revision)


@post("/seals/{number:int}/confirm", sync_to_thread=True, opt={"act": Act.CONFIRM_OPENING})
def confirm(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Open a sealed month, as another person asked."""
    return _stepped(request, number, partial(operations.confirm_opening, note=data.note), data.revision)


@post("/seals/{number:int}/refuse", sync_to_thread=True, opt={"act": Act.CONFIRM_OPENING})
def refuse(request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Word, Form]) -> Redirect:
    """Refuse the opening that another person asked for."""
    return _stepped(request, number, partial(operations.refuse_opening, note=data.note), data.revision)


@post("/seals/{number:int}/withdraw", sync_to_thread=True, opt={"act": Act.OPEN_MONTH})
def withdraw(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Withdrawal, Form]
) -> Redirect:
    """Take the asking for an opening back."""
    return _stepped(request, number, operations.withdraw_opening, data.revision)


def _stepped(
    request: Request[Any, Any, Any], number: int, deed: Callable[..., object], revision: str
) -> Redirect:
    """Do what a form asks of a seal and go back to its page."""
    line, person = line_of(request), signed_in(request).person
    seen = revision_of(revision)
    with line.database.write() as connection:
        deed(connection, number=number, revision=seen, person=person.sign_in, now=line.now())
    return Redirect(f"/seals/{number}", status_code=303)


def _month(text: str) -> Month:
    """
    Return the month that a form or an address names.

    :raises InvalidValue: if it is none.
    """
    return Month.parse(text.strip())


def _months(connection: Connection, *, now: datetime) -> list[Month]:
    """Return the months of which something is stored, up to this one, the newest first."""
    ends = readings.stored_ends(connection)
    month = Month.of(local_date(now))
    if ends is None:
        return []
    found: list[Month] = []
    while month.last >= date_of(ends[0]) and len(found) < MONTHS_SHOWN:
        found.append(month)
        month = month.previous
    return found


def _standing(
    connection: Connection, *, months: list[Month], office: str
) -> dict[Month, tuple[MonthSeal | None, list[MonthSeal]]]:
    """Return for each month the seal that shuts it for an office, and those that shut a part of it."""
    below = set(offices.offices_below(connection, code=office))
    found: dict[Month, tuple[MonthSeal | None, list[MonthSeal]]] = {month: (None, []) for month in months}
    if not months:
        return found
    first, last = day_number(months[-1].first), day_number(months[0].last)
    for seal in readings.seals_over(connection, first=first, last=last):
        whole, parts = found.get(seal.month, (None, []))
        if office in offices.offices_below(connection, code=seal.office):
            whole = whole or seal
        elif seal.office in below:
            parts.append(seal)
        if seal.month in found:
            found[seal.month] = (whole, parts)
    return found


def _names(connection: Connection, *, person: Person) -> dict[str, Any]:
    """Return how people, offices and states are called."""
    seen = offices.offices_in_sight(connection, person=person)
    return {
        "people": {each.sign_in: each.name for each in offices.people(connection)},
        "office_names": {
            each.code: each.name for each in offices.offices(connection) if seen is None or each.code in seen
        },
        "state_names": SEAL_STATE_NAMES,
        "me": person.sign_in,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(IST).isoformat(timespec="minutes")


ROUTES = (
    show_seals,
    export_seals,
    show_outlook,
    seal_month,
    show_seal,
    export_late,
    ask,
    confirm,
    refuse,
    withdraw,
)
