"""A consumer signs in: the consumer number, then the code that came to the telephone in the records."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect

from bijlighar.base.words import Language, Words
from bijlighar.registry import queries as registry
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.line import Line
from bijlighar.runtime.portal_access import SESSION_VALID, TooManyCodes, WrongCode
from bijlighar.runtime.portal_store import ACCOUNT_MAX
from bijlighar.runtime.sessions import PORTAL_COOKIE, cookie
from bijlighar.web.language import COOKIE as LANGUAGE_COOKIE
from bijlighar.web.language import COOKIE_AGE_S
from bijlighar.web.pages import page
from bijlighar.web.problems import known_problems
from bijlighar.web.shared import line_of

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
_OPEN = {"public": True}
HOME = "/me"
CODE_PAGE = "/me/code"
SIGN_IN_PAGE = "/me/sign-in"
#: Remembers which number a code was asked for, until it is entered.
ASKED_COOKIE = "bijlighar_asked"
ASKED_AGE_S = 900


@dataclass(frozen=True, slots=True)
class AccountForm:
    """The form that asks for a code."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class CodeForm:
    """The form that takes the code."""

    account: str = ""
    code: str = ""


@get(SIGN_IN_PAGE, sync_to_thread=True, opt=_OPEN)
def show_sign_in(request: Asked) -> Response[Any]:
    """Show the form for the consumer number."""
    return _sign_in_page(request)


@post(SIGN_IN_PAGE, sync_to_thread=True, opt=_OPEN)
def ask_code(request: Asked, data: Annotated[AccountForm, Form]) -> Response[Any]:
    """Have a code sent, and say the same whether the number is anybody's or not."""
    line, account = line_of(request), data.account[:ACCOUNT_MAX]
    try:
        portal_access.ask_code(
            line, account=account, address=address_of(request), now=line.now(), wall=wall()
        )
    except TooManyCodes as problem:
        return _sign_in_page(request, problem=known_problems().get(problem.code), status_code=429)
    asked = cookie(line, name=ASKED_COOKIE, value=quote(account, safe=""), age_s=ASKED_AGE_S)
    return Redirect(CODE_PAGE, status_code=303, cookies=[asked])


@get(CODE_PAGE, sync_to_thread=True, opt=_OPEN)
def show_code(request: Asked) -> Response[Any]:
    """Show the form for the code."""
    return _code_page(request, account=_asked(request))


@post(CODE_PAGE, sync_to_thread=True, opt=_OPEN)
def enter_code(request: Asked, data: Annotated[CodeForm, Form]) -> Response[Any]:
    """Open the account's page to whoever has the code."""
    line = line_of(request)
    try:
        token = portal_access.enter_code(
            line, account=data.account, code=data.code, address=address_of(request), wall=wall()
        )
    except (WrongCode, TooManyCodes) as problem:
        status = 429 if isinstance(problem, TooManyCodes) else 403
        words = known_problems().get(problem.code)
        return _code_page(request, account=data.account[:ACCOUNT_MAX], problem=words, status_code=status)
    cookies = [
        cookie(line, name=PORTAL_COOKIE, value=token, age_s=int(SESSION_VALID.total_seconds())),
        cookie(line, name=ASKED_COOKIE, value="", age_s=0),
    ]
    if LANGUAGE_COOKIE not in request.cookies:
        cookies.append(_own_language(line, token=token))
    return Redirect(HOME, status_code=303, cookies=cookies)


@post("/me/sign-out", sync_to_thread=True, opt=_OPEN)
def sign_out(request: Asked) -> Response[Any]:
    """End the session."""
    line, token = line_of(request), request.cookies.get(PORTAL_COOKIE)
    if token:
        portal_access.close_portal(line, token=token)
    return Redirect(
        SIGN_IN_PAGE, status_code=303, cookies=[cookie(line, name=PORTAL_COOKIE, value="", age_s=0)]
    )


def address_of(request: Asked) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""


def _sign_in_page(request: Asked, *, problem: Words | None = None, status_code: int = 200) -> Response[str]:
    can_send = portal_access.can_send_codes(line_of(request))
    return page(request, "portal/sign_in.html", status_code=status_code, problem=problem, can_send=can_send)


def _code_page(
    request: Asked, *, account: str, problem: Words | None = None, status_code: int = 200
) -> Response[str]:
    return page(request, "portal/code.html", status_code=status_code, problem=problem, account=account)


def _asked(request: Asked) -> str:
    return unquote(request.cookies.get(ASKED_COOKIE, ""))[:ACCOUNT_MAX]


def _own_language(line: Line, *, token: str) -> Cookie:
    """Return the cookie of the language that stands in the records: whoever never chose gets that one."""
    number = portal_access.portal_account(line, token=token, wall=wall())
    with line.database.read() as connection:
        own = registry.account(connection, number=number or "").language
    language: Language = "en" if own == "en" else "hi"
    return cookie(line, name=LANGUAGE_COOKIE, value=language, age_s=COOKIE_AGE_S)


ROUTES = (show_sign_in, ask_code, show_code, enter_code, sign_out)
