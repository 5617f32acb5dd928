"""The command queue: every order on its way, what its relay said, work at the meter by hand, and the big STOP."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from bijlighar.arrears import operations, queries, rules
from bijlighar.arrears.model import STAGE_NAMES, STATE_NAMES, WAY_NAMES, OrderState, Stage
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, local_date
from bijlighar.base.words import Words
from bijlighar.dlms.is15959_events import event_words
from bijlighar.headend import rules as headend_rules
from bijlighar.headend.model import ControlAction
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Act, Person, View
from bijlighar.web.console.lists import NumberInPath, may
from bijlighar.web.export import csv_response, plain_rupees
from bijlighar.web.pages import first_page, page, writer_of
from bijlighar.web.shared import line_of, signed_in

NAME_MAX = 16
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Group = Annotated[str, QueryParameter(name="state", max_length=NAME_MAX)]

#: What the queue is narrowed to: the name in the address, what it is called, the states.
GROUPS: Mapping[str, tuple[Words, tuple[OrderState, ...]]] = MappingProxyType(
    {
        "reconnecting": (Words(hi="पुनर्संयोजन जारी", en="being reconnected"), (OrderState.RECONNECTING,)),
        "unknown": (Words(hi="परिणाम अज्ञात", en="outcome unknown"), (OrderState.UNKNOWN,)),
        "sent": (Words(hi="आदेश भेजा गया", en="sent"), (OrderState.SENT,)),
        "hand": (Words(hi="मौके पर कार्य", en="by hand"), (OrderState.MANUAL,)),
        "warned": (
            Words(hi="अनुमोदित, चेतावनी", en="approved, warned"),
            (OrderState.WARNED, OrderState.APPROVED),
        ),
        "listed": (Words(hi="सूची में", en="listed"), (OrderState.LISTED,)),
        "cut": (Words(hi="आपूर्ति विच्छेदित", en="supply cut"), (OrderState.OPEN, OrderState.HELD)),
        "ended": (
            Words(hi="समाप्त", en="ended"),
            (OrderState.CLOSED, OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED),
        ),
    }
)
ACTION_NAMES: Mapping[str, Words] = MappingProxyType(
    {
        ControlAction.DISCONNECT.value: Words(hi="विच्छेदन", en="disconnection"),
        ControlAction.RECONNECT.value: Words(hi="पुनर्संयोजन", en="reconnection"),
    }
)


@dataclass(frozen=True, slots=True)
class Stop:
    """The form that halts; an empty office is the company."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resumption:
    """The form that lifts a halt."""

    office: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HandReport:
    """The form by which it is told what was done at a meter."""

    done: str = ""
    at: str = ""


@get("/commands", sync_to_thread=True, opt={"view": View.COMMANDS})
def show_commands(request: Request[Any, Any, Any], group: Group = "") -> Response[str]:
    """Show the queue of a branch, the most urgent first."""
    return page(request, "console/commands.html", **_queue(request, group))


@get("/commands/part", sync_to_thread=True, opt={"view": View.COMMANDS})
def show_commands_part(request: Request[Any, Any, Any], group: Group = "") -> Response[str]:
    """Show what moves of the queue."""
    return page(request, "console/commands_part.html", **_queue(request, group))


@get("/commands.csv", sync_to_thread=True, opt={"view": View.COMMANDS})
def export_commands(request: Request[Any, Any, Any], group: Group = "") -> Response[bytes]:
    """Give the queue as a table for spreadsheets."""
    writer = writer_of(request)
    lines = _queue(request, group)["queue"].lines
    return csv_response(
        "commands",
        header=[
            writer.text("Order"),
            writer.text("List"),
            writer.text("Account"),
            writer.text("Name"),
            writer.text("Meter"),
            writer.text("State"),
            writer.text("Way"),
            writer.text("May be cut for"),
            writer.text("Approved"),
            writer.text("Warned"),
            writer.text("Sent"),
            writer.text("Cut"),
            writer.text("Paid"),
            writer.text("Reconnected"),
            writer.text("Reason"),
        ],
        rows=[
            (
                each.order.number,
                each.order.list_number,
                each.order.account,
                each.name,
                each.order.meter,
                writer.words(STATE_NAMES[each.order.state]),
                writer.words(WAY_NAMES[each.order.way]),
                plain_rupees(each.order.due_paise),
                _iso(each.order.approved_at),
                _iso(each.order.warned_at),
                _iso(each.order.sent_at),
                _iso(each.order.opened_at),
                _iso(each.order.released_at),
                _iso(each.order.closed_at),
                "; ".join(writer.words(words) for words in each.reasons),
            )
            for each in lines
        ],
    )


@get("/commands/{number:int}", sync_to_thread=True, opt={"view": View.COMMANDS})
def show_command(request: Request[Any, Any, Any], number: NumberInPath) -> Response[str]:
    """Show everything that is known of one order."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        told = queries.story(connection, number=number, office=person.office, now=now, policy=line.policy)
        facts = _names(connection)
    return page(
        request,
        "console/command.html",
        told=told,
        now=now,
        decisions=[(each, rules.checks_of(each)) for each in told.decisions],
        stage_names={stage.value: STAGE_NAMES[stage] for stage in Stage},
        event_words=event_words,
        **_words(),
        **facts,
    )


@get("/commands/hand", sync_to_thread=True, opt={"view": View.COMMANDS})
def show_hand_work(request: Request[Any, Any, Any]) -> Response[str]:
    """Show what is to be done, or must no longer be done, at the meters of a branch; it can be printed."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        work = queries.hand_work(connection, now=now, policy=line.policy, office=person.office)
        facts = _names(connection)
    return page(
        request,
        "console/commands_hand.html",
        work=work,
        now=now,
        now_field=f"{now.astimezone(IST):%Y-%m-%dT%H:%M}",
        may_record=may(person, Act.RECORD_MANUAL_ORDER),
        **_words(),
        **facts,
    )


@post("/commands/{number:int}/hand", sync_to_thread=True, opt={"act": Act.RECORD_MANUAL_ORDER})
def record_hand_work(
    request: Request[Any, Any, Any], number: NumberInPath, data: Annotated[HandReport, Form]
) -> Redirect:
    """Record what was done at a meter."""
    line, person = line_of(request), signed_in(request).person
    if data.done not in ("yes", "no"):
        raise InvalidValue("say whether it was done or not")
    with line.database.write() as connection:
        operations.record_manual(
            connection,
            order=number,
            done=data.done == "yes",
            person=person.sign_in,
            now=line.now(),
            signer=line.sign,
            policy=line.policy,
            at=_moment(data.at),
        )
    return Redirect("/commands/hand" if _sees(person) else first_page(person), status_code=303)


@get("/commands/halts", sync_to_thread=True, opt={"act": Act.RESUME})
def show_halts(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the halts that stand, each with the form that lifts it."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        halts = queries.halts(connection, office=person.office)
        below = offices.offices_below(connection, code=person.office)
        facts = _names(connection)
    return page(request, "console/commands_halts.html", halts=halts, below=below, **facts)


@post("/commands/halt", sync_to_thread=True, opt={"act": Act.HALT})
def halt(request: Request[Any, Any, Any], data: Annotated[Stop, Form]) -> Redirect:
    """Stop every disconnection of a branch at once."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        place = _halted_place(connection, person=person)
    operations.halt(
        line.database,
        person=person.sign_in,
        reason=data.reason.strip() or writer_of(request).text("stopped from the page"),
        now=line.now(),
        office=place,
    )
    return Redirect("/commands" if _sees(person) else first_page(person), status_code=303)


@post("/commands/resume", sync_to_thread=True, opt={"act": Act.RESUME})
def resume(request: Request[Any, Any, Any], data: Annotated[Resumption, Form]) -> Redirect:
    """Lift a halt."""
    line, person = line_of(request), signed_in(request).person
    operations.resume(
        line.database,
        person=person.sign_in,
        reason=data.reason,
        now=line.now(),
        office=data.office or None,
    )
    return Redirect("/commands" if _sees(person) else first_page(person), status_code=303)


def _sees(person: Person) -> bool:
    return bool(person.roles & ROLES_OF_VIEW[View.COMMANDS])


def _halted_place(connection: Connection, *, person: Person) -> str | None:
    """Return which office a person's STOP halts: their own with all below it, the company at its head office."""
    own = offices.office(connection, code=person.office)
    return None if own.parent is None else own.code


def _queue(request: Request[Any, Any, Any], group: str) -> dict[str, Any]:
    """Return the facts of the queue, narrowed to a group of states where one of that name exists."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    chosen = group if group in GROUPS else ""
    with line.database.read() as connection:
        queue = queries.queue(
            connection,
            office=person.office,
            now=now,
            policy=line.policy,
            states=GROUPS[chosen][1] if chosen else None,
        )
        halts = queries.halts(connection, office=person.office)
        work = queries.hand_work(connection, now=now, policy=line.policy, office=person.office)
        place = _halted_place(connection, person=person)
        facts = _names(connection)
    return {
        "queue": queue,
        "now": now,
        "today": local_date(now),
        "groups": [
            (name, words, sum(queue.counts[each] for each in states))
            for name, (words, states) in GROUPS.items()
        ],
        "all_count": sum(queue.counts.values()),
        "chosen": chosen,
        "halts": halts,
        "hand_count": sum(not each.forbidden for each in work),
        "halted_place": place,
        "may_halt": may(person, Act.HALT),
        "may_resume": may(person, Act.RESUME),
        **_words(),
        **facts,
    }


def _words() -> dict[str, Any]:
    """Return what the templates look words up in."""
    return {
        "state_names": STATE_NAMES,
        "way_names": WAY_NAMES,
        "action_names": ACTION_NAMES,
        "command_words": headend_rules.command_words,
        "relay_words": headend_rules.relay_words,
        "code_words": headend_rules.words_of,
        "OrderState": OrderState,
        "local_date": local_date,
    }


def _names(connection: Connection) -> dict[str, Any]:
    """Return how people and offices are called."""
    return {
        "people": {person.sign_in: person.name for person in offices.people(connection)},
        "office_names": {office.code: office.name for office in offices.offices(connection)},
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="seconds")


def _moment(text: str) -> datetime | None:
    """
    Return the moment that a field of a form names, in IST; None where it is empty.

    :raises InvalidValue: if it is none.
    """
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=IST)
    except ValueError:
        raise InvalidValue(f"{text!r} is no moment; write it like 2026-12-05T14:30") from None


ROUTES: tuple[ControllerRouterHandler, ...] = (
    show_commands,
    show_commands_part,
    export_commands,
    show_hand_work,
    show_halts,
    show_command,
    record_hand_work,
    halt,
    resume,
)
