"""Edits of readings: one person proposes other values with a reason, another confirms or refuses; each is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, local_date
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Act, Person, View
from bijlighar.readings.model import ENERGY_CHANNELS, QUALITY_NAMES, EditKind
from bijlighar.registry import queries as registry
from bijlighar.validation import operations
from bijlighar.validation import queries as validation
from bijlighar.validation.model import (
    EDIT_KIND_NAMES,
    EDIT_REASON_NAMES,
    EDIT_STATE_NAMES,
    EditReason,
    EditState,
    ReadingEdit,
)
from bijlighar.validation.operations import EDIT_INTERVALS_MAX, Proposed
from bijlighar.web.console.forms import choice_of, local_moment_of, revision_of
from bijlighar.web.console.lists import Form, NumberInPath, Text, may
from bijlighar.web.console.meters import interval_rows
from bijlighar.web.export import csv_response
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

#: What the address says where decided edits are asked for too.
ALL = "all"
#: So many intervals of an edit stand on its page; the CSV has them all.
ROWS_SHOWN_MAX = 192
#: More letters are no list of values: 31 days of quarter-hours of seven digits.
VALUES_LETTERS_MAX = EDIT_INTERVALS_MAX * 8
VALUE_DIGITS_MAX = 10
INSTANT = timedelta(microseconds=1)
WORD_LENGTH = 10
Which = Annotated[str, QueryParameter(name="state", max_length=WORD_LENGTH)]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The form that proposes an edit; `start` and `end` are IST, `wh` one energy for each interval or one for all."""

    meter: str = ""
    start: str = ""
    end: str = ""
    kind: str = ""
    channel: str = ""
    wh: str = ""
    cause: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The form that confirms or refuses."""

    revision: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The form that takes an edit back."""

    revision: str = ""


@get("/edits", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_edits(
    request: Request[Any, Any, Any],
    which: Which = "",
    meter: Text = "",
) -> Response[str]:
    """Show the edits of a branch that wait for a second person, or all of them, the newest first."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = validation.edits(
            connection, person=person.sign_in, states=_states(which), meter=meter.strip()
        )
        facts = _names(connection, person=person)
    return page(
        request,
        "console/edits.html",
        edits=found,
        is_all=which == ALL,
        meter=meter.strip(),
        most=validation.EDITS_PER_PAGE,
        may_propose=may(person, Act.EDIT_READING),
        sums=edit_sums,
        **facts,
    )


@get("/edits.csv", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def export_edits(
    request: Request[Any, Any, Any],
    which: Which = "",
    meter: Text = "",
) -> Response[bytes]:
    """Give the same as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text = writer.text
    with line.database.read() as connection:
        found = validation.edits(
            connection, person=person.sign_in, states=_states(which), meter=meter.strip()
        )
    return csv_response(
        "edits",
        header=[
            text("Edit"), text("Meter"), text("Office"), text("Channel"), text("From"), text("To"), text("Intervals"),
            text("What"), text("Before Wh"), text("After Wh"), text("Reason"), text("Note"), text("State"),
            text("Proposed by"), text("Proposed at"), text("Decided by"), text("Decided at"),
            text("Word of the decision"),
        ],
        rows=[
            (
                each.number,
                each.meter,
                each.office,
                each.channel,
                _iso(each.start),
                _iso(each.end),
                len(each.before),
                writer.words(EDIT_KIND_NAMES[each.kind]),
                *edit_sums(each),
                writer.words(EDIT_REASON_NAMES[each.reason]),
                each.note,
                writer.words(EDIT_STATE_NAMES[each.state]),
                each.proposed_by,
                _iso(each.proposed_at),
                each.decided_by,
                _iso(each.decided_at),
                each.decision_note,
            )
            for each in found
        ],
    )  # fmt: skip


@get("/edits/new", sync_to_thread=True, opt={"act": Act.EDIT_READING})
def show_proposal(
    request: Request[Any, Any, Any], meter: Text = "", start: Text = "", end: Text = ""
) -> Response[str]:
    """Show the form that proposes an edit, beside what stands on the first day; nothing is proposed."""
    line, person = line_of(request), signed_in(request).person
    now, serial = line.now(), meter.strip()
    begin, finish = _or_none(start), _or_none(end)
    days: tuple[Any, ...] = ()
    with line.database.read() as connection:
        if serial:
            day = local_date(begin or now)
            hung = registry.installations_in_branch(connection, meter=serial, office=person.office)
            registry.end_device(connection, serial=serial)
            places = registry.installations(connection, meter=serial) if hung is None else hung
            days = validation.meter_load(
                connection, meter=serial, hung=places, is_whole=hung is None, first=day, last=day, now=now
            ).days
        facts = _names(connection, person=person)
    return page(
        request,
        "console/edit_new.html",
        meter=serial,
        start=_field(begin),
        end=_field(finish),
        day=local_date(begin) if begin else None,
        rows=list(interval_rows(days)),
        quality_names=QUALITY_NAMES,
        kinds=list(EDIT_KIND_NAMES.items()),
        reasons=list(EDIT_REASON_NAMES.items()),
        most=EDIT_INTERVALS_MAX,
        quote=lambda text: quote(text, safe=""),
        **facts,
    )


@post("/edits", sync_to_thread=True, opt={"act": Act.EDIT_READING})
def propose(request: Request[Any, Any, Any], data: Annotated[Proposal, Form]) -> Redirect:
    """Propose an edit; nothing changes until another person confirms it."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    serial = check_text(data.meter.strip(), what="the meter", letters_max=CODE_MAX)
    start, end = local_moment_of(data.start), local_moment_of(data.end)
    kind, cause = choice_of(EditKind, data.kind), choice_of(EditReason, data.cause)
    if data.channel not in ENERGY_CHANNELS:
        raise InvalidValue("choose one of what the form offers")
    values = _values(data.wh)
    with line.database.write() as connection:
        registry.installations_in_branch(connection, meter=serial, office=person.office)
        intervals = validation.intervals_between(connection, meter=serial, start=start, end=end)
        made = operations.propose_edit(
            connection,
            proposed=Proposed(
                meter=serial,
                start=start,
                intervals=intervals,
                kind=kind,
                reason=cause,
                note=data.note,
                values=values,
                channel=data.channel,
            ),
            person=person.sign_in,
            now=now,
        )
    return Redirect(f"/edits/{made.number}", status_code=303)


@get("/edits/{number:int}", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def show_edit(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show one edit: what stood, what the meter said, what shall stand, and who stands for it."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = validation.edit(connection, number=number, person=person.sign_in)
        facts = _names(connection, person=person)
    rows = edit_rows(found)
    return page(
        request,
        "console/edit.html",
        edit=found,
        rows=rows[:ROWS_SHOWN_MAX],
        rows_more=max(len(rows) - ROWS_SHOWN_MAX, 0),
        sums=edit_sums(found),
        days=_days_of(found),
        may_confirm=may(person, Act.CONFIRM_EDIT),
        may_network=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]),
        quote=lambda text: quote(text, safe=""),
        **facts,
    )


@get("/edits/{number:int}/values.csv", sync_to_thread=True, opt={"view": View.EXCEPTIONS})
def export_edit(request: Request[Any, Any, Any], number: NumberInPath) -> Response[bytes]:
    """Give every interval of an edit as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        found = validation.edit(connection, number=number, person=person.sign_in)
    return csv_response(
        "edit",
        header=[writer.text(name) for name in ("Start", "Minutes", "Measured Wh", "Before Wh", "After Wh")],
        rows=[
            (_iso(start), found.minutes, measured, before, after)
            for start, measured, before, after in edit_rows(found)
        ],
    )


@post("/edits/{number:int}/confirm", sync_to_thread=True, opt={"act": Act.CONFIRM_EDIT})
def confirm(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Decision, Form]
) -> Redirect:
    """Confirm an edit that another person proposed."""
    return _decided(request, number, partial(operations.confirm_edit, note=data.note), data.revision)


@post("/edits/{number:int}/refuse", sync_to_thread=True, opt={"act": Act.CONFIRM_EDIT})
def refuse(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Decision, Form]
) -> Redirect:
    """Refuse an edit that another person proposed."""
    return _decided(request, number, partial(operations.refuse_edit, note=data.note), data.revision)


@post("/edits/{number:int}/withdraw", sync_to_thread=True, opt={"act": Act.EDIT_READING})
def withdraw(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Withdrawal, Form]
) -> Redirect:
    """Take an own edit back."""
    return _decided(request, number, operations.withdraw_edit, data.revision)


def edit_rows(edit: ReadingEdit) -> list[tuple[datetime, int | None, int | None, int | None]]:
    """Return the intervals of an edit: start, what was measured, what stood, what shall stand [Wh]; None for none."""
    step = timedelta(minutes=edit.minutes)
    after: tuple[int | None, ...] = edit.values
    if edit.kind is EditKind.TAKE_OUT:
        after = (None,) * len(edit.before)
    elif edit.kind is EditKind.RESTORE:
        after = edit.measured
    return [
        (edit.start + step * place, edit.measured[place], edit.before[place], after[place])
        for place in range(len(edit.before))
    ]


def edit_sums(edit: ReadingEdit) -> tuple[int | None, int | None]:
    """Return what stood and what shall stand, summed [Wh]; None where nothing is known."""
    rows = edit_rows(edit)
    before = [row[2] for row in rows if row[2] is not None]
    after = [row[3] for row in rows if row[3] is not None]
    return (sum(before) if before else None, sum(after) if after else None)


def _decided(
    request: Request[Any, Any, Any], number: int, deed: Callable[..., object], revision: str
) -> Redirect:
    """Do what a form asks of an edit and go back to its page."""
    line, person = line_of(request), signed_in(request).person
    seen = revision_of(revision)
    with line.database.write() as connection:
        deed(connection, number=number, revision=seen, person=person.sign_in, now=line.now())
    return Redirect(f"/edits/{number}", status_code=303)


def _values(text: str) -> tuple[int, ...]:
    """
    Return the energies [Wh] of a form, divided by spaces, commas or lines.

    :raises InvalidValue: if one of them is no whole number, or there are too many.
    """
    if len(text) > VALUES_LETTERS_MAX:
        raise InvalidValue(f"{len(text)} letters are no list of energies that can be edited at once")
    cells = text.replace(",", " ").split()
    for cell in cells:
        if not (cell.isascii() and cell.isdigit() and len(cell) <= VALUE_DIGITS_MAX):
            raise InvalidValue(f"{cell[:VALUE_DIGITS_MAX]!r} is no whole Wh; write them like 120 130")
    return tuple(int(cell) for cell in cells)


def _states(which: str) -> tuple[EditState, ...]:
    return tuple(EditState) if which == ALL else (EditState.PROPOSED,)


def _or_none(text: str) -> datetime | None:
    """Return the moment that an address names; nonsense counts as none."""
    try:
        return local_moment_of(text)
    except InvalidValue:
        return None


def _field(moment: datetime | None) -> str:
    """Return a moment as a field of a form has it."""
    return "" if moment is None else moment.astimezone(IST).strftime("%Y-%m-%dT%H:%M")


def edit_address(meter: str, *, start: datetime, end: datetime) -> str:
    """Return the address of the form that proposes an edit of a run of a meter."""
    return f"/edits/new?meter={quote(meter, safe='')}&start={_field(start)}&end={_field(end)}"


def _days_of(edit: ReadingEdit) -> tuple[date, date]:
    return local_date(edit.start), local_date(edit.end - INSTANT)


def _names(connection: Connection, *, person: Person) -> dict[str, Any]:
    """Return how people, offices and states are called."""
    seen = offices.offices_in_sight(connection, person=person)
    return {
        "people": {each.sign_in: each.name for each in offices.people(connection)},
        "office_names": {
            each.code: each.name for each in offices.offices(connection) if seen is None or each.code in seen
        },
        "state_names": EDIT_STATE_NAMES,
        "kind_names": EDIT_KIND_NAMES,
        "reason_names": EDIT_REASON_NAMES,
        "me": person.sign_in,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="minutes")


ROUTES = (
    show_edits,
    export_edits,
    show_proposal,
    propose,
    show_edit,
    export_edit,
    confirm,
    refuse,
    withdraw,
)
