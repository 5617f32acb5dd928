"""Templates: one environment, strict about names, and everything written in the reader's language."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.template.base import csrf_token
from markupsafe import Markup

from bijlighar.base.words import LANGUAGES
from bijlighar.offices.model import ROLES_OF_ACT, ROLES_OF_VIEW, Act, Person, Session, View
from bijlighar.runtime.flash import FLASH_COOKIE, flash_words
from bijlighar.web.assets import asset_path
from bijlighar.web.language import Writer, language_of
from bijlighar.web.shared import line_of, session_of

#: The pages in the order of the menu: who may see them, their path, their name in English.
MENU = (
    (View.ALARMS, "/alarms", "Alarms"),
    (View.NETWORK, "/network", "Network"),
    (View.LISTS, "/lists", "Defaulters"),
    (View.COMMANDS, "/commands", "Commands"),
    (View.ROLLOUT, "/rollout", "Roll-out"),
    (View.EXCEPTIONS, "/exceptions", "Exceptions"),
    (View.LOSSES, "/losses", "Line loss"),
    (View.COLLECTIONS, "/collections", "Collections"),
)
#: What scripts write into a page; they hold no words of their own.
LIVE_TEXTS = (
    "Live",
    "Stale since {time}",
    "Siren armed, heard {time}",
    "Siren NOT armed",
    "Siren off",
    "Siren sounding",
    "Silenced until {time}",
    "TAMPER",
    "SYSTEM ALARM",
    "{count} not acknowledged · oldest {age}",
    "escalates to {who} in {age}",
    "escalated to {who}",
    "Press On duty to arm it.",
    "The browser lets no page sound before it is touched; press On duty.",
    "The sound has been stopped by the browser or the system; press On duty.",
    "No word from the server for {age}. New alarms cannot be seen here; call the shift in-charge.",
    "The test tone was not heard; check loudspeaker and volume, then press On duty.",
    "The sound devices have changed; press On duty and listen again.",
    "A new shift or a reloaded page; press On duty.",
    "s",
    "min",
    "h",
)


def menu(person: Person) -> list[tuple[View, str, str]]:
    """Return the pages that a person may see."""
    return [entry for entry in MENU if person.roles & ROLES_OF_VIEW[entry[0]]]


def may_arm(person: Person) -> bool:
    """Return whether a person's browser sounds the siren."""
    return bool(person.roles & ROLES_OF_ACT[Act.ARM_CONSOLE])


def first_page(person: Person) -> str:
    """Return where a person's work begins."""
    return next((path for _, path, _ in menu(person)), "/")


def live_texts(text: Callable[[str], str]) -> dict[str, str]:
    """Return what scripts write, in the reader's language."""
    return {english: text(english) for english in LIVE_TEXTS}


@cache
def environment() -> Environment:
    """Return the environment of all templates."""
    made = Environment(
        loader=PackageLoader("bijlighar.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["asset"] = asset_path
    made.globals["languages"] = LANGUAGES
    made.globals["menu"] = menu
    made.globals["may_arm"] = may_arm
    made.globals["live_texts"] = live_texts
    return made


def render(name: str, *, writer: Writer, facts: Mapping[str, object]) -> str:
    """Return a template filled in; `_` in it looks a text up, `w` writes numbers, money and days."""
    return environment().get_template(name).render(_=writer.text, w=writer, **facts)


def page(
    request: Request[Any, Any, Any],
    template: str,
    /,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **facts: object,
) -> Response[str]:
    """Answer with a template, which is told who looks at it and where."""
    said = flash_words(request.cookies.get(FLASH_COOKIE))
    response = Response(
        render(template, writer=writer_of(request), facts={**_shell(request), "said": said, **facts}),
        media_type=MediaType.HTML,
        status_code=status_code,
        headers=dict(headers or {}),
    )
    if said is not None:
        response.delete_cookie(FLASH_COOKIE)
    return response


def is_partial(request: Request[Any, Any, Any]) -> bool:
    """Return whether htmx asks, which puts the answer into a page that stands."""
    return request.headers.get("hx-request") == "true"


def writer_of(request: Request[Any, Any, Any]) -> Writer:
    """Return who writes in the language of the request."""
    return Writer(language_of(request))


def _shell(request: Request[Any, Any, Any]) -> dict[str, object]:
    session: Session | None = session_of(request)
    token = csrf_token({"request": request})
    return {
        "path": request.url.path,
        "language": language_of(request),
        "person": None if session is None else session.person,
        "csrf_token": token,
        "csrf_field": Markup('<input type="hidden" name="_csrf_token" value="{}">').format(token),
        "is_demo": line_of(request).home.is_demo,
        "server_now": line_of(request).now(),
    }
