"""Defaulter lists: drawn up by the town office, approved by another person, each row with its reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, PathParameter, QueryParameter
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from bijlighar.arrears import operations, queries, rules
from bijlighar.arrears.errors import UnknownOrder
from bijlighar.arrears.model import (
    LIST_STATE_NAMES,
    STAGE_NAMES,
    STATE_NAMES,
    WAY_NAMES,
    DecisionRow,
    ListState,
    Reason,
    Stage,
)
from bijlighar.arrears.queries import SheetRow
from bijlighar.arrears.rules import STANDING_NAMES, TYPED_COUNT_OVER, Standing
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, local_date
from bijlighar.base.words import Words
from bijlighar.notices.model import CHANNEL_NAMES
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_ACT, Act, Office, OfficeLevel, Person, View
from bijlighar.offices.rules import check_permitted
from bijlighar.runtime.documents import notice_link
from bijlighar.web.export import csv_response, plain_rupees
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

LISTS_SHOWN = 50
NOW = Words(hi="अभी", en="now")
TEXT_MAX = 64
DIGITS_MAX = 9
#: More than this no database counts to.
NumberInPath = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Text = Annotated[str, QueryParameter(max_length=TEXT_MAX)]


@dataclass(frozen=True, slots=True)
class DrawUp:
    """The form that draws a list up."""

    office: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """The form that approves a list: how many rows the approver confirms."""

    count: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What the rows shown are narrowed to; empty fields narrow nothing."""

    days: int
    rupees: int
    category: str
    transformer: str

    def passes(self, row: SheetRow) -> bool:
        """Return whether a row is shown."""
        return (
            row.days >= self.days
            and row.overdue_paise >= self.rupees * 100
            and self.category in ("", row.category)
            and self.transformer in ("", row.transformer)
        )


def whole(text: str) -> int:
    """
    Return the whole number that somebody wrote into a field, 0 for anything else.

    >>> whole(" 45 "), whole(""), whole("45.5"), whole("-3")
    (45, 0, 0, 0)
    """
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) <= DIGITS_MAX else 0


def may(person: Person, act: Act) -> bool:
    """Return whether a person's roles allow an act; their offices are asked by the door."""
    return bool(person.roles & ROLES_OF_ACT[act])


@get("/lists", sync_to_thread=True, opt={"view": View.LISTS})
def show_lists(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the lists of a branch, newest first."""
    person = signed_in(request).person
    with line_of(request).database.read() as connection:
        found = queries.lists(connection, office=person.office, limit=LISTS_SHOWN)
        facts = _people_and_offices(connection)
        halts = queries.halts(connection, office=person.office)
    return page(
        request,
        "console/lists.html",
        lists=found,
        state_names=LIST_STATE_NAMES,
        may_draw=may(person, Act.DRAW_UP_LIST),
        halts=halts,
        **facts,
    )


@get("/lists/new", sync_to_thread=True, opt={"act": Act.DRAW_UP_LIST})
def show_draft(
    request: Request[Any, Any, Any],
    office: Text = "",
    days: Text = "",
    rupees: Text = "",
    category: Text = "",
    transformer: Text = "",
) -> Response[str]:
    """Show whom a list drawn up now would name; nothing is drawn up."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        towns = _towns(connection, person=person)
        chosen = office or next((town.code for town in towns), person.office)
        below = offices.offices_below(connection, code=person.office)
        check_permitted(person=person, act=Act.DRAW_UP_LIST, office=chosen, branch_of_person=below)
        sheet = queries.draft_sheet(connection, office=chosen, policy=line.policy, now=now)
        facts = _people_and_offices(connection)
        parent = offices.office(connection, code=chosen).parent
    narrowed = Filter(days=whole(days), rupees=whole(rupees), category=category, transformer=transformer)
    return page(
        request,
        "console/list_new.html",
        office=chosen,
        towns=towns,
        approver_office=parent or chosen,
        sheet=sheet,
        **_table(sheet.rows, narrowed),
        **facts,
    )


@post("/lists", sync_to_thread=True, opt={"act": Act.DRAW_UP_LIST})
def draw_up(request: Request[Any, Any, Any], data: Annotated[DrawUp, Form]) -> Redirect:
    """Draw up the list of an office, which sends it to those who approve."""
    line, person = line_of(request), signed_in(request).person
    if not data.office:
        raise InvalidValue("say for which office the list is to be drawn up")
    number = operations.draw_up_list(
        line.database,
        office=data.office,
        person=person.sign_in,
        now=line.now(),
        policy=line.policy,
    )
    return Redirect(f"/lists/{number}", status_code=303)


@get("/lists/{number:int}", sync_to_thread=True, opt={"view": View.LISTS})
def show_list(
    request: Request[Any, Any, Any],
    number: NumberInPath,
    days: Text = "",
    rupees: Text = "",
    category: Text = "",
    transformer: Text = "",
) -> Response[str]:
    """Show a list with every row, those left out too."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = queries.disconnection_list(connection, number=number, office=person.office)
        sheet = queries.list_sheet(connection, number=number, now=line.now())
        facts = _people_and_offices(connection)
        parent = offices.office(connection, code=found.office).parent
    narrowed = Filter(days=whole(days), rupees=whole(rupees), category=category, transformer=transformer)
    return page(
        request,
        "console/list.html",
        found=found,
        sheet=sheet,
        approver_office=parent or found.office,
        may_approve=may(person, Act.APPROVE_LIST),
        list_state_names=LIST_STATE_NAMES,
        **_table(sheet.rows, narrowed),
        **facts,
    )


@get("/lists/{number:int}/list.csv", sync_to_thread=True, opt={"view": View.LISTS})
def export_list(request: Request[Any, Any, Any], number: NumberInPath) -> Response[bytes]:
    """Give a list as a table for spreadsheets."""
    line, writer = line_of(request), writer_of(request)
    with line.database.read() as connection:
        queries.disconnection_list(connection, number=number, office=signed_in(request).person.office)
        sheet = queries.list_sheet(connection, number=number, now=line.now())
    return csv_response(
        f"list-{number}",
        header=[
            writer.text("Account"),
            writer.text("Name"),
            writer.text("Category"),
            writer.text("Transformer"),
            writer.text("Meter"),
            writer.text("Arrears"),
            writer.text("May be cut for"),
            writer.text("Days overdue"),
            writer.text("Bills"),
            writer.text("Notice served"),
            writer.text("Last payment"),
            writer.text("Protected"),
            writer.text("Meter last heard"),
            writer.text("Decision"),
            writer.text("Reason"),
        ],
        rows=[
            (
                row.account,
                row.name,
                row.category,
                row.transformer,
                row.meter,
                plain_rupees(row.overdue_paise),
                plain_rupees(row.due_paise),
                row.days,
                row.bills,
                row.notice.served_on.isoformat() if row.notice and row.notice.served_on else None,
                local_date(row.paid_at).isoformat() if row.paid_at else None,
                ", ".join(writer.words(words) for words in row.protections),
                row.last_contact.astimezone(IST).isoformat(timespec="minutes") if row.last_contact else None,
                writer.words(_verdict(row)),
                "; ".join(writer.words(words) for words in row.reasons),
            )
            for row in sheet.rows
        ],
    )


@get("/lists/{number:int}/approve", sync_to_thread=True, opt={"act": Act.APPROVE_LIST})
def show_approval(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show what approving a list now would decide; nothing is approved."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        found = queries.disconnection_list(connection, number=number, office=person.office)
        sheet = queries.approval_sheet(connection, drawn=found, policy=line.policy, now=now)
        facts = _people_and_offices(connection)
    ready = [row for row in sheet.rows if row.standing is Standing.READY]
    return page(
        request,
        "console/list_approve.html",
        found=found,
        sheet=sheet,
        is_open=found.state is ListState.DRAWN,
        is_own=found.drawn_by == person.sign_in,
        ready=len(ready),
        ready_paise=sum(row.due_paise for row in ready),
        paid_since=sum(row.paid_at is not None and row.paid_at > found.drawn_at for row in sheet.rows),
        must_type=len(ready) > TYPED_COUNT_OVER,
        warning_days=line.policy.warning_days,
        cut_from=f"{line.policy.cut_from:%H:%M}",
        cut_to=f"{line.policy.cut_to:%H:%M}",
        list_state_names=LIST_STATE_NAMES,
        **_table(sorted(sheet.rows, key=lambda row: row.standing is not Standing.READY), None),
        **facts,
    )


@post("/lists/{number:int}/approve", sync_to_thread=True, opt={"act": Act.APPROVE_LIST})
def approve(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[Approval, Form]
) -> Redirect:
    """Approve a list under the number of rows that was confirmed."""
    line, person = line_of(request), signed_in(request).person
    operations.approve(
        line.database,
        number=number,
        person=person.sign_in,
        now=line.now(),
        policy=line.policy,
        link=lambda reference: notice_link(line, reference),
        confirmed=whole(data.count),
    )
    return Redirect(f"/lists/{number}", status_code=303)


@get("/lists/{number:int}/{account:str}", sync_to_thread=True, opt={"view": View.LISTS})
def explain(request: Request[Any, Any, Any], number: NumberInPath, account: FromPath[str]) -> Response[str]:
    """Explain one row: what is owed, what was told, and every guard's verdict, when it was decided and now."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        found = queries.disconnection_list(connection, number=number, office=person.office)
        order = next(
            (row for row in queries.list_lines(connection, number=number) if row.account == account), None
        )
        if order is None:
            raise UnknownOrder(f"account {account} does not stand on list {number}")
        told = queries.explain(connection, account=account, policy=line.policy, now=line.now())
        decisions = queries.decisions(connection, order_number=order.number)
        facts = _people_and_offices(connection)
    newest: dict[str, DecisionRow] = {}
    for decision in decisions:
        newest.setdefault(decision.stage, decision)
    stages = [
        (STAGE_NAMES[stage], newest[stage.value].at, _by_code(rules.checks_of(newest[stage.value])))
        for stage in Stage
        if stage.value in newest
    ]
    stages.append((NOW, told.at, _by_code(told.decision.checks)))
    return page(
        request,
        "console/list_account.html",
        found=found,
        order=order,
        told=told,
        stages=stages,
        guards=[guard for guard in rules.GUARDS if any(guard.code in verdicts for _, _, verdicts in stages)],
        state_names=STATE_NAMES,
        **facts,
    )


def _by_code(checks: Sequence[Reason]) -> dict[str, Reason]:
    return {check.code: check for check in checks}


def _verdict(row: SheetRow) -> Words:
    """Return the decision about a row in words; what is under way is called by the state of its order."""
    return STATE_NAMES[row.state] if row.standing is Standing.UNDER_WAY else STANDING_NAMES[row.standing]


def _table(rows: Sequence[SheetRow], narrowed: Filter | None) -> dict[str, Any]:
    """Return what the table of rows needs."""
    return {
        "rows": [row for row in rows if narrowed is None or narrowed.passes(row)],
        "narrowed": narrowed,
        "categories": sorted({row.category for row in rows if row.category}),
        "transformers": sorted({row.transformer for row in rows if row.transformer}),
        "verdict": _verdict,
        "way_names": WAY_NAMES,
        "channel_names": CHANNEL_NAMES,
        "Standing": Standing,
    }


def _people_and_offices(connection: Connection) -> dict[str, Any]:
    """Return how people and offices are called."""
    return {
        "people": {person.sign_in: person.name for person in offices.people(connection)},
        "office_names": {office.code: office.name for office in offices.offices(connection)},
    }


def _towns(connection: Connection, *, person: Person) -> list[Office]:
    """Return the town offices whose lists a person may draw up."""
    below = offices.offices_below(connection, code=person.office)
    return [
        office
        for office in offices.offices(connection)
        if office.code in below and (office.level is OfficeLevel.TOWN_OFFICE or office.code == person.office)
    ]


ROUTES: tuple[ControllerRouterHandler, ...] = (
    show_lists,
    show_draft,
    draw_up,
    show_list,
    export_list,
    show_approval,
    approve,
    explain,
)
