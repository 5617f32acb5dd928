"""Every route of an application as somebody may knock on it: its address and its form filled in with objects of A."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any
from urllib.parse import urlencode

import httpx
from litestar import Litestar
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, HeaderParameter, ParameterKwarg
from litestar.testing import TestClient

from bijlighar.offices.model import ROLES_OF_ACT, ROLES_OF_VIEW
from bijlighar.runtime.sessions import PORTAL_COOKIE, SESSION_COOKIE
from bijlighar.web.access import KINDS
from bijlighar.web.language import COOKIE as LANGUAGE_COOKIE
from bijlighar.web.live import Audience, Hub, Listener
from tests.web.house import FEEDER, LISTED, OWN, OWN_BILLED, TRANSFORMER, House, Worker

CSRF_COOKIE, CSRF_HEADER = "bijlighar_form", "x-csrftoken"
URL_ENCODED = "application/x-www-form-urlencoded"
#: Which of the house's numbers stands in a path after its first word.
NUMBERS = {
    "alarms": "alarm",
    "proposals": "proposal",
    "lists": "list",
    "commands": "order",
    "exceptions": "exception",
    "cases": "case",
    "checks": "check",
    "edits": "edit",
    "seals": "seal",
}
IN_PATHS = {"account": LISTED, "code": TRANSFORMER, "feeder": FEEDER, "serial": f"M-{LISTED}"}
IN_FORMS: dict[str, Any] = {
    "office": OWN, "account": LISTED, "count": "1", "decision": "authorise", "done": "yes", "at": "",
    "revision": "1", "outcome": "accepted", "picked": "1:1", "found": "normal",
    "meter": f"M-{OWN_BILLED}", "start": "2025-04-10T10:00", "end": "2025-04-10T11:00", "kind": "set",
    "channel": "wh_import", "wh": "77", "cause": "complaint",
    "month": "2025-04", "transformer": "", "to": "engineer-mhow", "theft_kind": "", "inspected_on": "2025-07-21",
    "kwh": "10", "first": "2025-07-01", "last": "2025-07-10",
    "console": "console-1", "state": "off", "moved": True, "visible": True, "language": "en", "back": "/", "next": "",
}  # fmt: skip
IN_QUERIES = {
    "office": OWN, "account": LISTED, "find": LISTED, "transformer": TRANSFORMER, "feeder": FEEDER,
}  # fmt: skip
#: The siren is called for by an alarm of A: who does not watch A does not silence it.
ABOUT_WHAT_CALLS = ("/siren/silence",)
ABOUT_A_PLACE = frozenset({"office", "account", "meter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A handler: how and where it is asked, what its `opt` says, its form's fields, its queries."""

    method: str
    path: str
    opt: Mapping[str, Any]
    form: Mapping[str, Any]
    is_json: bool
    queries: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> str:
        return next(kind for kind in sorted(KINDS) if self.opt.get(kind))

    @property
    def in_path(self) -> list[str]:
        return [part.strip("{}").split(":")[0] for part in self.path.split("/") if part.startswith("{")]

    @property
    def is_about_own(self) -> bool:
        """Whether the request as it is filled in concerns something of A alone."""
        return bool(self.in_path) or self.path in ABOUT_WHAT_CALLS or not ABOUT_A_PLACE.isdisjoint(self.form)

    def allows(self, worker: Worker) -> bool:
        """Whether a person's role may come in, by the tables of roles alone."""
        if self.kind == "view":
            return worker.role in ROLES_OF_VIEW[self.opt["view"]]
        if self.kind == "act":
            return worker.role in ROLES_OF_ACT[self.opt["act"]]
        return self.kind in ("signed_in", "public")

    def address(self, house: House, **others: str) -> str:
        """The path with objects of A put in, or `others`."""
        first, found = self.path.split("/")[1], []
        for part in self.path.split("/")[1:]:
            name = part.strip("{}").split(":")[0]
            known = (
                house.values.get(NUMBERS.get(first, ""), "1") if name == "number" else IN_PATHS.get(name, "x")
            )
            found.append(others.get(name, known) if part.startswith("{") else part)
        return "/" + "/".join(found)


def doors(app: Litestar) -> list[Door]:
    """Every handler of an application but the framework's own answers to OPTIONS."""
    return sorted(
        (_door(route.path, handler) for route, handler in _handlers(app)),
        key=lambda door: (door.path, door.method),
    )


def _handlers(app: Litestar) -> Iterator[tuple[Any, HTTPRouteHandler]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.http_methods != {"OPTIONS"}:
                yield route, handler


def _door(path: str, handler: HTTPRouteHandler) -> Door:
    form: dict[str, Any] = {}
    queries: list[str] = []
    is_json = False
    for name, parameter in handler.parsed_fn_signature.parameters.items():
        kwarg = parameter.kwarg_definition
        if name == "data":
            is_json = not (
                isinstance(kwarg, BodyKwarg) and kwarg.media_type is RequestEncodingType.URL_ENCODED
            )
            form = {
                each.name: IN_FORMS.get(each.name, "" if is_json else "Text")
                for each in fields(parameter.annotation)
                if each.name in IN_FORMS or each.default in (MISSING, "")
            }
        elif isinstance(kwarg, ParameterKwarg) and not isinstance(kwarg, HeaderParameter):
            queries += [kwarg.name or name] if f"{{{name}:" not in path else []
    (method,) = handler.http_methods
    return Door(method=method, path=path, opt=handler.opt, form=form, is_json=is_json, queries=tuple(queries))


class ShortHub(Hub):
    """Ends each stream after its first frames."""

    def join(self, audience: Audience) -> Listener:
        listener = super().join(audience)
        listener.queue.put_nowait(None)
        return listener


class Knocker:
    """A browser that can be anybody: with each request it says whose cookies it has, and keeps none."""

    def __init__(self, house: House, app: Litestar) -> None:
        app.state["hub"] = ShortHub(house.line)
        self.house = house
        self.app = app
        self._client: TestClient[Litestar] = TestClient(app, raise_server_exceptions=False)
        self.token = self.fresh_token()

    def fresh_token(self) -> str:
        """The token against foreign forms that a new browser is given."""
        found = self._client.get("/me/sign-in").cookies[CSRF_COOKIE]
        self._client.cookies.clear()
        return found

    def ask(
        self,
        method: str,
        address: str,
        *,
        session: str = "",
        account: str = "",
        language: str = "en",
        form: Mapping[str, Any] | None = None,
        is_json: bool = False,
        token: str | None = None,
        cookie_token: str | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Knock once."""
        cookies = {
            LANGUAGE_COOKIE: language,
            SESSION_COOKIE: session,
            PORTAL_COOKIE: account,
            CSRF_COOKIE: self.token if cookie_token is None else cookie_token,
        }
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items() if value)}
        if method != "GET":
            sent[CSRF_HEADER] = self.token if token is None else token
        sent = {name: value for name, value in (sent | dict(headers or {})).items() if value}
        told: dict[str, Any] = {}
        if content is not None:
            told["content"] = content
            sent.setdefault("content-type", URL_ENCODED)
        elif is_json:
            told["json"] = dict(form or {})
        elif method != "GET":
            told["content"] = urlencode(dict(form or {})).encode()
            sent.setdefault("content-type", URL_ENCODED)
        answer = self._client.request(method, address, headers=sent, follow_redirects=False, **told)
        self._client.cookies.clear()
        return answer

    def knock(self, door: Door, *, address: str = "", **how: Any) -> httpx.Response:
        """Knock as the page would, with objects of A unless it is told otherwise."""
        how = {"form": door.form, "is_json": door.is_json} | how
        return self.ask(door.method, address or door.address(self.house), **how)

    def entitled(self, door: Door) -> dict[str, str]:
        """The cookies of somebody of A who may come in at a door."""
        if door.kind == "account":
            return {"account": self.house.consumers[OWN_BILLED]}
        if door.kind == "public":
            return {}
        return {"session": next(each.token for each in self.house.workers if door.allows(each))}


def leads_to_sign_in(place: str) -> bool:
    """Whether an answer sends its reader to sign in."""
    return place.startswith(("/sign-in", "/me/sign-in"))
