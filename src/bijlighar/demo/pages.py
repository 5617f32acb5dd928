"""
The demo's own routes: sign in as anybody, make something happen.

They exist in a home that is marked as a demo, and in no other: `routes` gives none there. Every one is a form's post,
so the application's token against forms of other sites holds for them too.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body
from litestar.response import Redirect

from bijlighar.demo import deeds
from bijlighar.demo.deeds import Deed
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import ROLES_OF_VIEW, Person, Role
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.flash import flash
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import PORTAL_COOKIE, SESSION_COOKIE, cookie

FIRST_PAGE = "/"
PORTAL_PAGE = "/me"
PATH_MAX = 256
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Asked = Request[Any, Any, Any]
#: Anybody who reaches a demo may do what these routes do.
_OPEN = {"public": True}


@dataclass(frozen=True, slots=True)
class WhoForm:
    """Whom to sign in as, and where to go then."""

    person: str = ""
    account: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class WhatForm:
    """To which meter, account or feeder it shall happen; empty where the demo may choose."""

    serial: str = ""
    account: str = ""
    feeder: str = ""


@post("/demo/sign-in", sync_to_thread=True, opt=_OPEN)
def sign_in(request: Asked, data: Annotated[WhoForm, Form]) -> Redirect:
    """Sign in as a person of the demo, without a password."""
    line = _line_of(request)
    with line.database.write() as connection:
        opened = offices.open_session(connection, sign_in=data.person, wall=wall())
    person = opened.session.person
    return Redirect(
        _own_path(data.next) or first_page(person),
        status_code=303,
        cookies=[
            cookie(line, name=SESSION_COOKIE, value=opened.token),
            flash(line, code="signed-in", of=person.sign_in),
        ],
    )


@post("/demo/sign-in-consumer", sync_to_thread=True, opt=_OPEN)
def sign_in_consumer(request: Asked, data: Annotated[WhoForm, Form]) -> Redirect:
    """Sign in as a consumer, without a code."""
    line = _line_of(request)
    token = portal_access.open_portal(line, account=data.account, wall=wall())
    return Redirect(
        _own_path(data.next) or PORTAL_PAGE,
        status_code=303,
        cookies=[cookie(line, name=PORTAL_COOKIE, value=token)],
    )


@post("/demo/tamper", sync_to_thread=True, opt=_OPEN)
def tamper(request: Asked, data: Annotated[WhatForm, Form]) -> Redirect:
    """Let a meter be tampered with."""
    return _shown(request, deeds.tamper(_line_of(request), serial=data.serial or None))


@post("/demo/pay", sync_to_thread=True, opt=_OPEN)
def pay(request: Asked, data: Annotated[WhatForm, Form]) -> Redirect:
    """Let a consumer pay."""
    return _shown(request, deeds.pay(_line_of(request), account=data.account or None))


@post("/demo/feeder-fail", sync_to_thread=True, opt=_OPEN)
def fail_feeder(request: Asked, data: Annotated[WhatForm, Form]) -> Redirect:
    """Let a feeder fail."""
    return _shown(request, deeds.fail_feeder(_line_of(request), feeder=data.feeder or None))


@post("/demo/feeder-restore", sync_to_thread=True, opt=_OPEN)
def restore_feeder(request: Asked, data: Annotated[WhatForm, Form]) -> Redirect:
    """Restore a feeder."""
    return _shown(request, deeds.restore_feeder(_line_of(request), feeder=data.feeder or None))


@post("/demo/forward", sync_to_thread=True, opt=_OPEN)
def forward(request: Asked) -> Redirect:
    """Let the time of the town go on to the next moment at which supply may be cut and the office works."""
    line = _line_of(request)
    deed = deeds.forward(line)
    return Redirect(
        FIRST_PAGE, status_code=303, cookies=[flash(line, code=deed.said, of=deed.of, count=deed.count)]
    )


def routes(line: Line) -> tuple[HTTPRouteHandler, ...]:
    """Return the routes that only a demo has: none in a home that is not marked as one."""
    if not line.home.is_demo:
        return ()
    return (sign_in, sign_in_consumer, tamper, pay, fail_feeder, restore_feeder, forward)


def first_page(person: Person) -> str:
    """Return where a person's work begins."""
    return next((f"/{view}" for view, roles in ROLES_OF_VIEW.items() if person.roles & roles), FIRST_PAGE)


def _shown(request: Asked, deed: Deed) -> Redirect:
    """Lead to the page of the effect; a stranger sees it as the operator, who may not see it is led to the story."""
    line = _line_of(request)
    person, cookies = _visitor(request, line)
    cookies.append(flash(line, code=deed.said, of=deed.of, count=deed.count))
    may_see = person is not None and person.roles & ROLES_OF_VIEW[deed.view]
    return Redirect(f"/{deed.view}" if may_see else FIRST_PAGE, status_code=303, cookies=cookies)


def _visitor(request: Asked, line: Line) -> tuple[Person | None, list[Cookie]]:
    token = request.cookies.get(SESSION_COOKIE, "")
    with line.database.read() as connection:
        session = office_queries.session(connection, token=token, wall=wall()) if token else None
        if session is not None:
            return session.person, []
        people = office_queries.people(connection)
    operator = next((person for person in people if person.active and Role.OPERATOR in person.roles), None)
    if operator is None:
        return None, []
    with line.database.write() as connection:
        opened = offices.open_session(connection, sign_in=operator.sign_in, wall=wall())
    return operator, [cookie(line, name=SESSION_COOKIE, value=opened.token)]


def _own_path(path: str) -> str:
    """
    Return a path of this house, empty if it leads anywhere else.

    >>> _own_path("/alarms"), _own_path("//evil.example")
    ('/alarms', '')
    """
    is_own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_own and len(path) <= PATH_MAX else ""


def _line_of(request: Asked) -> Line:
    line: Line = request.app.state["line"]
    return line
