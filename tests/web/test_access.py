"""Every route, every role, own office and another: asked of the routes themselves, so that a new one counts too."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient

from bijlighar.demo import pages as demo_pages
from bijlighar.offices.model import ROLES_OF_ACT, ROLES_OF_VIEW, Act, Role, View
from bijlighar.runtime.sessions import PORTAL_COOKIE, SESSION_COOKIE
from bijlighar.web.access import KINDS
from bijlighar.web.app import create_app
from tests.web.house import (
    ABOVE,
    COMPANY,
    FEEDER,
    OTHER,
    OWN,
    OWN_ACCOUNTS,
    TRANSFORMER,
    House,
    Watch,
    Worker,
    opened_house,
    signs_of_own,
)

Client = TestClient[Any]
#: Whoever is to reach a route without a name must be written down here.
PUBLIC = {
    "/",
    "/b/{token}",
    "/callbacks/payment",
    "/callbacks/whatsapp",
    "/health",
    "/language",
    "/me/code",
    "/me/paid",
    "/me/sign-in",
    "/me/sign-out",
    "/n/{reference}/{signature}",
    "/sign-in",
    "/sign-out",
    "/static/{name}",
}
PUBLIC_OF_DEMO = {
    "/demo/feeder-fail",
    "/demo/feeder-restore",
    "/demo/forward",
    "/demo/pay",
    "/demo/sign-in",
    "/demo/sign-in-consumer",
    "/demo/tamper",
}
#: Routes whose deeds concern no office's object: who may do them at all may do them anywhere.
STREAMS = {"/live"}
FORM = {
    "text": "because",
    "reason": "because",
    "done": "yes",
    "decision": "refuse",
    "note": "n",
    "count": "1",
    "revision": "1",
    "outcome": "accepted",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened_house(tmp_path_factory.mktemp("house") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def app(house: House) -> Litestar:
    return create_app(house.line, extra=demo_pages.routes(house.line))


def handlers(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Return path, method and handler of every route."""
    found = []
    for route in app.routes:
        path = re.sub(r":\w+", "", route.path)
        for handler in getattr(route, "route_handlers", ()):
            found += [
                (path, method, handler) for method in sorted(handler.http_methods) if method != "OPTIONS"
            ]
    return sorted(found, key=lambda item: item[:2])


def address(path: str, house: House) -> str:
    """Return the address of an object of the town A behind a route."""
    kinds = {
        "/alarms": "alarm", "/proposals": "proposal", "/commands": "order", "/lists": "list",
        "/exceptions": "exception", "/cases": "case",
    }  # fmt: skip
    kind = next((value for prefix, value in kinds.items() if path.startswith(prefix)), "")
    values = {
        "number": house.values.get(kind, "1"),
        "order": house.values["order"],
        "account": OWN_ACCOUNTS[1],
        "code": TRANSFORMER,
        "serial": f"M-{OWN_ACCOUNTS[1]}",
        "transformer": TRANSFORMER,
        "feeder": FEEDER,
    }
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


def browser(app: Litestar, *, session: str | None = None, account: str | None = None) -> Client:
    client = TestClient(app, raise_server_exceptions=False)
    client.follow_redirects = False
    if session is not None:
        client.cookies.set(SESSION_COOKIE, session)
    if account is not None:
        client.cookies.set(PORTAL_COOKIE, account)
    return client


def token_of(client: Client) -> str:
    page = client.get("/me/sign-in")
    found = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert found is not None, page.text[:500]
    return found[1]


def ask(client: Client, method: str, path: str, *, token: str = "") -> Any:
    if method == "GET":
        return client.get(path)
    if path == "/console/beat":
        beat = {"console": "console-1", "state": "off"}
        return client.post(path, json=beat, headers={"x-csrftoken": token})
    return client.post(path, data={"_csrf_token": token, **FORM})


def may(worker: Worker, handler: HTTPRouteHandler) -> bool:
    """Return by the tables of roles alone whether a person may reach a route."""
    match handler.opt:
        case {"view": View() as view}:
            return worker.role in ROLES_OF_VIEW[view]
        case {"act": Act() as act}:
            return worker.role in ROLES_OF_ACT[act]
        case _:
            return True


class TestRoutes:
    def test_each_says_who_may_reach_it(self, app: Litestar):
        for path, method, handler in handlers(app):
            said = [kind for kind in KINDS if handler.opt.get(kind)]
            assert len(said) == 1, (method, path, said)

    def test_those_for_everybody_are_written_down(self, app: Litestar):
        found = {path for path, _, handler in handlers(app) if handler.opt.get("public")}
        assert found == PUBLIC | PUBLIC_OF_DEMO

    def test_one_that_says_nothing_is_refused_to_everybody(self, house: House):
        @get("/forgotten", sync_to_thread=False)
        def forgotten() -> str:
            return "secret"

        worker = house.worker(Role.ADMIN, COMPANY)
        client = browser(create_app(house.line, extra=(forgotten,)), session=worker.token)
        answer = client.get("/forgotten")
        assert (answer.status_code, "secret" in answer.text) == (403, False)

    def test_there_are_none_of_the_demo_in_another_home(self, tmp_path: Path):
        with opened_house(tmp_path / "home", demo=False) as real:
            assert demo_pages.routes(real.line) == ()
            found = {path for path, _, _ in handlers(create_app(real.line))}
        assert not [path for path in found if path.startswith("/demo")]


class TestStranger:
    def test_is_sent_to_sign_in_and_changes_nothing(self, app: Litestar, house: House):
        client = browser(app)
        token = token_of(client)
        watch = Watch(house.line.database)
        for path, method, handler in handlers(app):
            if handler.opt.get("public"):
                continue
            answer = ask(client, method, address(path, house), token=token)
            place = answer.headers.get("location", "")
            assert answer.status_code == 303, (method, path, answer.status_code)
            assert place.startswith(("/sign-in", "/me/sign-in")), (method, path, place)
        assert watch.changed() == []
        watch.close()

    def test_with_htmx_is_told_so(self, app: Litestar, house: House):
        answer = browser(app).get(f"/alarms/{house.values['alarm']}", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in")


@pytest.mark.parametrize("place", [OWN, OTHER, ABOVE])
@pytest.mark.parametrize("role", list(Role))
class TestPerson:
    def test_sees_what_the_role_and_the_office_allow(
        self, app: Litestar, house: House, role: Role, place: str
    ):
        worker = house.worker(role, place)
        client = browser(app, session=worker.token)
        for path, method, handler in handlers(app):
            if method != "GET" or handler.opt.get("public") or handler.opt.get("account") or path in STREAMS:
                continue
            at = address(path, house)
            answer = client.get(at)
            if not may(worker, handler):
                assert answer.status_code == 403, (path, answer.status_code)
            elif OWN in worker.reach:
                assert answer.status_code in (200, 303, 403), (path, answer.status_code, answer.text[:300])
            else:
                assert answer.status_code in (200, 303, 403, 404), (path, answer.status_code)
            if OWN not in worker.reach:
                leaked = [sign for sign in signs_of_own(known=(at,)) if sign in answer.text]
                assert leaked == [], (path, leaked)

    def test_does_nothing_that_the_role_or_the_office_forbids(
        self, app: Litestar, house: House, role: Role, place: str
    ):
        """A form sent past its page is refused by the same rule, and changes nothing."""
        worker = house.worker(role, place)
        client = browser(app, session=worker.token)
        token = token_of(client)
        watch = Watch(house.line.database)
        for path, method, handler in handlers(app):
            if method != "POST" or "act" not in handler.opt:
                continue
            if not may(worker, handler):
                answer = ask(client, method, address(path, house), token=token)
                assert answer.status_code == 403, (path, answer.status_code)
            elif OWN not in worker.reach and "{" in path:
                answer = ask(client, method, address(path, house), token=token)
                assert answer.status_code in (400, 403, 404, 409), (
                    path,
                    answer.status_code,
                    answer.text[:300],
                )
                if path.startswith(("/alarms/", "/proposals/", "/exceptions/")):
                    assert answer.status_code == 404, f"{path} tells that another office's is there"
        assert watch.changed() == []
        watch.close()


class TestForm:
    def test_without_its_token_changes_nothing(self, app: Litestar, house: House):
        client = browser(app, session=house.worker(Role.OPERATOR, ABOVE).token)
        token = token_of(client)
        watch = Watch(house.line.database)
        for path, method, _ in handlers(app):
            if method != "POST" or path.startswith("/callbacks/"):
                continue
            at = address(path, house)
            for wrong in ("", token[:-1] + ("0" if token[-1] != "0" else "1")):
                assert client.post(at, data={"_csrf_token": wrong, **FORM}).status_code == 403, path
            foreign = client.post(
                at, data={"_csrf_token": token, **FORM}, headers={"Sec-Fetch-Site": "cross-site"}
            )
            assert foreign.status_code == 403, path
        assert watch.changed() == []
        watch.close()

    @pytest.mark.parametrize("text", ["", "x" * 10_000, "\x00", "-1", "<script>alert(1)</script>"])
    def test_of_nonsense_is_no_fault_of_ours(self, app: Litestar, house: House, text: str):
        for role in (Role.OPERATOR, Role.CLERK, Role.APPROVER, Role.THEFT_OFFICER):
            client = browser(app, session=house.worker(role, ABOVE).token)
            token = token_of(client)
            for path, method, handler in handlers(app):
                if method != "POST" or "act" not in handler.opt or path == "/console/beat":
                    continue
                for at in (address(path, house), re.sub(r"\{\w+\}", "999999", path)):
                    answer = client.post(at, data={"_csrf_token": token, **dict.fromkeys(FORM, text)})
                    assert answer.status_code < 500, (path, answer.status_code, answer.text[:300])
                    assert "<script>alert" not in answer.text
        house.restore()


class TestSession:
    def test_that_is_none_is_a_stranger(self, app: Litestar):
        for token in ("", "x", "0" * 64, "../../etc/passwd"):
            answer = browser(app, session=token).get("/alarms")
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/alarms")

    def test_of_a_consumer_opens_no_page_of_the_house_and_the_other_way_round(
        self, app: Litestar, house: House
    ):
        account = OWN_ACCOUNTS[0]
        assert browser(app, session=house.consumers[account]).get("/alarms").status_code == 303
        assert browser(app, account=house.worker(Role.ADMIN, COMPANY).token).get("/me").status_code == 303
        assert browser(app, account=house.consumers[account]).get("/me").status_code == 200

    def test_of_a_consumer_shows_the_own_account_alone(self, app: Litestar, house: House):
        mine, theirs = OWN_ACCOUNTS[0], OWN_ACCOUNTS[1]
        page = browser(app, account=house.consumers[mine]).get("/me")
        assert mine in page.text
        assert theirs not in page.text


class TestAnswer:
    @pytest.mark.parametrize("path", ["/", "/sign-in", "/me/sign-in", "/nothing", "/alarms", "/health"])
    def test_bears_the_headers_that_keep_others_out(self, app: Litestar, path: str):
        headers = browser(app).get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        "evil", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"]
    )
    def test_leads_nowhere_else(self, app: Litestar, house: House, evil: str):
        client = browser(app, session=house.worker(Role.OPERATOR, ABOVE).token)
        assert client.get("/sign-in", params={"next": evil}).headers["location"] == "/alarms"
