"""The alarm wall, one alarm looked at closely, and the operator's hands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, Parameter, QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from bijlighar.alarms import operations, queries, rules
from bijlighar.alarms.errors import UnknownAlarm, UnknownProposal
from bijlighar.alarms.model import (
    JOURNAL_NAMES,
    PROPOSAL_NAMES,
    STATE_NAMES,
    WAITING,
    Alarm,
    AlarmState,
    Beat,
    ProposalState,
)
from bijlighar.base.errors import InvalidValue
from bijlighar.headend import operations as headend
from bijlighar.headend import queries as headend_queries
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_ACT, ROLES_OF_VIEW, Act, Person, View
from bijlighar.runtime import operator_deeds
from bijlighar.runtime.clock import wall as wall_clock
from bijlighar.runtime.line import Line
from bijlighar.web.console import wall
from bijlighar.web.console.load import HEIGHT, WIDTH, load_around
from bijlighar.web.pages import is_partial, page, writer_of
from bijlighar.web.shared import line_of, signed_in

SIMILAR_MAX = 10
DECISIONS = ("authorise", "refuse")
NumberInPath = Annotated[int, Parameter(ge=1, le=2**63 - 1)]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Answer = Response[Any]
Asked = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Remark:
    """A form of one line of text: a note, the name of a squad, a reason."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the officer decides on a proposal."""

    decision: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ConsoleBeat:
    """What a browser tells of itself."""

    console: str
    state: str
    reason: str = ""
    heard_at: datetime | None = None
    moved: bool = True
    rms: float | None = None
    visible: bool = True


@get("/alarms", sync_to_thread=True, opt={"view": View.ALARMS})
def show_wall(request: Asked, group: Annotated[str, QueryParameter(max_length=64)] = "") -> Answer:
    """Show every open alarm, or the members of one group."""
    line, writer, person = line_of(request), writer_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        seen = offices.offices_in_sight(connection, person=person)
        if group:
            return _show_group(request, connection, key=group, seen=seen, now=now)
        number = queries.last_number(connection)
        frame = wall.frame(connection, offices=seen, writer=writer, now=now)
    return page(request, "console/wall.html", number=number, group=None, **frame)


def _show_group(
    request: Asked, connection: Connection, *, key: str, seen: wall.Offices, now: datetime
) -> Answer:
    writer = writer_of(request)
    rows = queries.wall_rows(connection, offices=seen, now=now, totals=wall.totals(connection, now=now))
    found = next((row for row in rows if row.key == key), None)
    members = () if found is None else found.alarms
    names = _names(connection)
    shown = [wall.written_alone(alarm, writer=writer, names=names) for alarm in members]
    return page(
        request,
        "console/wall_group.html",
        rows=shown,
        words=None if found is None else found.words,
        guess=None if found is None else found.guess,
    )


@get("/alarms/{number:int}", sync_to_thread=True, opt={"view": View.ALARMS})
def show_alarm(request: Asked, number: NumberInPath) -> Answer:
    """Show one alarm: what happened, the load around it, what was done, and what can be done."""
    line, person = line_of(request), signed_in(request).person
    now = line.now()
    with line.database.read() as connection:
        alarm = _seen(connection, number=number, person=person)
        names = _names(connection)
        history = queries.history(connection, alarm=number)
        load = load_around(connection, meter=alarm.source, moment=alarm.first_at)
        similar = queries.alarms(connection, source=alarm.source, limit=SIMILAR_MAX + 1)
        readings = headend_queries.asked_readings(connection, meter=alarm.source, limit=1)
        proposals = queries.proposals(connection, alarm=number)
    return page(
        request,
        "console/alarm.html",
        alarm=alarm,
        waits=alarm.state in WAITING,
        state=STATE_NAMES[alarm.state],
        names=names,
        history=[(each, JOURNAL_NAMES[each.event]) for each in history],
        load=load,
        may_load=bool(person.roles & ROLES_OF_VIEW[View.NETWORK]) and alarm.transformer is not None,
        load_size=(WIDTH, HEIGHT),
        similar=[(other, STATE_NAMES[other.state]) for other in similar if other.number != number],
        reading=readings[0] if readings else None,
        proposals=[(each, PROPOSAL_NAMES[each.state]) for each in proposals],
        proposed=any(each.state is ProposalState.PROPOSED for each in proposals),
        may={act.value: bool(person.roles & ROLES_OF_ACT[act]) for act in Act},
        may_exceptions=bool(person.roles & ROLES_OF_VIEW[View.EXCEPTIONS]),
        age_s=(now - alarm.raised_at).total_seconds(),
        can_undo=_can_undo(alarm, person=person, now=now),
    )


@get("/alarms/{number:int}/reading", sync_to_thread=True, opt={"view": View.ALARMS})
def show_reading(request: Asked, number: NumberInPath) -> Answer:
    """Show what became of the newest reading that somebody asked for: a part of the alarm's page."""
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        alarm = _seen(connection, number=number, person=person)
        readings = headend_queries.asked_readings(connection, meter=alarm.source, limit=1)
    return page(request, "console/reading.html", alarm=alarm, reading=readings[0] if readings else None)


@post(
    "/alarms/{number:int}/acknowledge",
    sync_to_thread=True,
    opt={"act": Act.ACKNOWLEDGE_ALARM},
    status_code=200,
)
def acknowledge(request: Asked, number: NumberInPath, data: Annotated[Remark, Form]) -> Answer:
    """Acknowledge an alarm and take it."""
    line, person = _hands(request, number)
    operations.acknowledge(line.database, number=number, person=person, now=line.now(), note=data.text)
    return _done(request, f"/alarms/{number}")


@post("/alarms/{number:int}/undo", sync_to_thread=True, opt={"act": Act.ACKNOWLEDGE_ALARM}, status_code=200)
def take_back(request: Asked, number: NumberInPath) -> Answer:
    """Take an acknowledgement back within some seconds."""
    line, person = _hands(request, number)
    operations.take_back_acknowledgement(line.database, number=number, person=person, now=line.now())
    return _done(request, f"/alarms/{number}")


@post("/alarms/{number:int}/note", sync_to_thread=True, opt={"act": Act.ACKNOWLEDGE_ALARM}, status_code=200)
def note(request: Asked, number: NumberInPath, data: Annotated[Remark, Form]) -> Answer:
    """Write down what was seen or done."""
    line, person = _hands(request, number)
    operations.note(line.database, number=number, text=data.text, person=person, now=line.now())
    return _done(request, f"/alarms/{number}")


@post("/alarms/{number:int}/squad", sync_to_thread=True, opt={"act": Act.SEND_SQUAD}, status_code=200)
def send_squad(request: Asked, number: NumberInPath, data: Annotated[Remark, Form]) -> Answer:
    """Send a squad."""
    line, person = _hands(request, number)
    operations.send_squad(line.database, number=number, squad=data.text, person=person, now=line.now())
    return _done(request, f"/alarms/{number}")


@post("/alarms/{number:int}/read", sync_to_thread=True, opt={"act": Act.READ_METER}, status_code=200)
def read_meter(request: Asked, number: NumberInPath) -> Answer:
    """Ask for the meter to be read at once."""
    line, person = line_of(request), signed_in(request).person
    with line.database.write() as connection:
        alarm = _seen(connection, number=number, person=person)
        headend.ask_reading(connection, meter=alarm.source, person=person.sign_in, now=line.now())
    return _done(request, f"/alarms/{number}")


@post("/alarms/{number:int}/message", sync_to_thread=True, opt={"act": Act.MESSAGE_CONSUMER}, status_code=200)
def message(request: Asked, number: NumberInPath) -> Answer:
    """Tell the consumer that the meter reported something and that a squad will look at it."""
    line, person = _hands(request, number)
    operator_deeds.tell_consumer(line, alarm=number, person=person, now=line.now())
    return _done(request, f"/alarms/{number}")


@post("/alarms/{number:int}/propose", sync_to_thread=True, opt={"act": Act.PROPOSE_CUT}, status_code=200)
def propose(request: Asked, number: NumberInPath, data: Annotated[Remark, Form]) -> Answer:
    """Propose to the officer authorised for theft that supply be cut; nothing is cut by it."""
    line, person = _hands(request, number)
    operations.propose_cut(line.database, number=number, reason=data.text, person=person, now=line.now())
    return _done(request, f"/alarms/{number}")


@post("/proposals/{number:int}", sync_to_thread=True, opt={"act": Act.AUTHORISE_THEFT_CUT}, status_code=200)
def decide(request: Asked, number: NumberInPath, data: Annotated[Verdict, Form]) -> Answer:
    """Authorise or refuse a proposed cut."""
    line = line_of(request)
    if data.decision not in DECISIONS:
        raise InvalidValue("say whether the cut is authorised or refused")
    with line.database.read() as connection:
        proposal = queries.proposal(connection, number=number)
    if proposal is None:
        raise UnknownProposal(f"there is no proposal {number} to cut for theft")
    line, person = _hands(request, proposal.alarm)
    decided = operations.decide_cut(
        line.database,
        proposal=number,
        authorise=data.decision == "authorise",
        person=person,
        now=line.now(),
        note=data.note,
    )
    return _done(request, f"/alarms/{decided.alarm}")


@post("/siren/silence", sync_to_thread=True, opt={"act": Act.SILENCE_SIREN}, status_code=200)
def silence(request: Asked) -> Answer:
    """Silence the siren for a minute; nothing is acknowledged by it."""
    line = line_of(request)
    operations.silence(line.database, person=signed_in(request).person.sign_in, now=line.now())
    return _done(request, "/alarms")


@post("/console/beat", sync_to_thread=True, opt={"act": Act.ARM_CONSOLE}, status_code=200)
def take_beat(request: Asked, data: Annotated[ConsoleBeat, Body()]) -> dict[str, str]:
    """Keep what a console tells of itself."""
    line = line_of(request)
    console = operations.beat(
        line.database,
        beat=Beat(
            console=data.console,
            state=data.state,
            reason=data.reason,
            heard_at=data.heard_at,
            visible=data.visible,
            moved=data.moved,
            rms=data.rms,
        ),
        person=signed_in(request).person.sign_in,
        now=line.now(),
        wall=wall_clock(),
    )
    return {"state": console.state.value, "reason": console.reason.value}


ROUTES = (
    show_wall,
    show_alarm,
    show_reading,
    acknowledge,
    take_back,
    note,
    send_squad,
    read_meter,
    message,
    propose,
    decide,
    silence,
    take_beat,
)


def _seen(connection: Connection, *, number: int, person: Person) -> Alarm:
    """
    Return an alarm that is in a person's sight.

    :raises UnknownAlarm: if there is none of that number, or it is another office's: which of both is not told.
    """
    alarm = queries.alarm(connection, number=number)
    seen = offices.offices_in_sight(connection, person=person)
    if alarm is None or (seen is not None and alarm.office is not None and alarm.office not in seen):
        raise UnknownAlarm(f"there is no alarm {number} in your offices; the wall shows those that are open")
    return alarm


def _hands(request: Asked, number: int) -> tuple[Line, str]:
    """
    Return the line and who acts on an alarm in their sight; whether they may do the deed, its room decides.

    :raises UnknownAlarm: if there is none of that number, or it is another office's.
    """
    line, person = line_of(request), signed_in(request).person
    with line.database.read() as connection:
        _seen(connection, number=number, person=person)
    return line, person.sign_in


def _names(connection: Connection) -> dict[str, str]:
    return {person.sign_in: person.name for person in offices.people(connection)}


def _can_undo(alarm: Alarm, *, person: Person, now: datetime) -> bool:
    if alarm.acknowledged_at is None or alarm.acknowledged_by != person.sign_in:
        return False
    return alarm.state is AlarmState.ACKNOWLEDGED and now - alarm.acknowledged_at <= rules.TAKE_BACK_WITHIN


def _done(request: Asked, path: str) -> Answer:
    """Answer a deed: what changed comes over the live stream, or with the page that follows."""
    if is_partial(request):
        return Response(b"", status_code=204)
    return Redirect(path, status_code=303)
