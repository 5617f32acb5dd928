"""Sign in and out, and choose the language."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect

from bijlighar.base.errors import BijligharError
from bijlighar.offices import operations as offices
from bijlighar.runtime.clock import wall
from bijlighar.runtime.sessions import SESSION_COOKIE, cookie
from bijlighar.web.language import COOKIE as LANGUAGE_COOKIE
from bijlighar.web.language import COOKIE_AGE_S
from bijlighar.web.pages import first_page, page
from bijlighar.web.problems import known_problems
from bijlighar.web.shared import line_of, session_of

PATH_MAX = 256
Form = Body(media_type=RequestEncodingType.URL_ENCODED)


@dataclass(frozen=True, slots=True)
class SignIn:
    """The form of the sign-in page."""

    name: str = ""
    password: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class LanguageChoice:
    """The form of the switch of languages."""

    language: str = "hi"
    back: str = "/"


def own_path(path: str) -> str:
    """
    Return a path of this house to go on to, empty if it leads anywhere else.

    >>> own_path("/alarms"), own_path("//evil.example"), own_path("https://evil.example")
    ('/alarms', '', '')
    """
    is_own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_own and len(path) <= PATH_MAX else ""


@get("/sign-in", sync_to_thread=True, opt={"public": True})
def show_sign_in(
    request: Request[Any, Any, Any], next_path: Annotated[str, QueryParameter(name="next")] = ""
) -> Response[Any]:
    """Show the form."""
    session = session_of(request)
    if session is not None:
        return Redirect(own_path(next_path) or first_page(session.person), status_code=303)
    return page(request, "shared/sign_in.html", next=own_path(next_path), name="", problem=None)


@post("/sign-in", sync_to_thread=True, opt={"public": True})
def sign_in(request: Request[Any, Any, Any], data: Annotated[SignIn, Form]) -> Response[Any]:
    """Open a session."""
    line = line_of(request)
    address = request.client.host if request.client else ""
    try:
        opened = offices.sign_in(
            line.database, sign_in=data.name, password=data.password, address=address, wall=wall()
        )
    except BijligharError as problem:
        words = known_problems().get(problem.code)
        return page(
            request,
            "shared/sign_in.html",
            status_code=403,
            next=own_path(data.next),
            name=data.name,
            problem=words or str(problem),
        )
    target = own_path(data.next) or first_page(opened.session.person)
    return Redirect(target, status_code=303, cookies=[cookie(line, name=SESSION_COOKIE, value=opened.token)])


@post("/sign-out", sync_to_thread=True, opt={"public": True})
def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session."""
    line = line_of(request)
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        with line.database.write() as connection:
            offices.end_session(connection, token=token)
    return Redirect(
        "/sign-in", status_code=303, cookies=[cookie(line, name=SESSION_COOKIE, value="", age_s=0)]
    )


@post("/language", sync_to_thread=False, opt={"public": True})
def choose_language(request: Request[Any, Any, Any], data: Annotated[LanguageChoice, Form]) -> Response[Any]:
    """Remember the language and go back."""
    language = "en" if data.language == "en" else "hi"
    return Redirect(
        own_path(data.back) or "/",
        status_code=303,
        cookies=[cookie(line_of(request), name=LANGUAGE_COOKIE, value=language, age_s=COOKIE_AGE_S)],
    )
