"""Whatever is answered bears the headers that keep others out, sets cookies that no script reads, leads home."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import get
from litestar.testing import TestClient

from bijlighar.demo import pages as demo_pages
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.storage.schema import metadata
from bijlighar.web.app import HEADERS, create_app
from bijlighar.web.assets import asset_path
from tests.web.doors import Door, Knocker
from tests.web.house import LISTED, OWN, House, sign_in_of

PASSWORD = "a long enough one"
EVIL = (
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
    "evil.example", "javascript:alert(1)", " //evil.example", "/\t/evil.example",
    "/\r\nSet-Cookie: a=b", "/" + "x" * 300,
)  # fmt: skip


def assert_guarded(answer: httpx.Response, what: object) -> None:
    """The headers that every answer has."""
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy, what
    assert "frame-ancestors 'none'" in policy, what
    assert "base-uri 'none'" in policy, what
    assert "unsafe" not in policy, what
    assert "*" not in policy, what
    for name, value in HEADERS.items():
        if name != "Cache-Control":
            assert answer.headers[name] == value, (what, name)
    if answer.request.url.path.startswith("/static/") and answer.status_code == 200:
        assert "immutable" in answer.headers["cache-control"], what
    else:
        assert answer.headers["cache-control"] == "no-store", what


class TestHeaders:
    def test_stand_on_what_every_door_answers(self, knocker: Knocker, every_door: list[Door]):
        for door in every_door:
            if door.method == "GET":
                assert_guarded(knocker.knock(door, **knocker.entitled(door)), str(door))
                assert_guarded(knocker.knock(door), (str(door), "stranger"))
            else:
                assert_guarded(knocker.knock(door, token=""), (str(door), "no token"))
                assert_guarded(knocker.knock(door), (str(door), "stranger"))

    def test_stand_on_what_is_refused(self, knocker: Knocker):
        clerk = knocker.house.worker(Role.CLERK).token
        for status, method, path, how in (
            (404, "GET", "/nothing", {}),
            (404, "GET", "/static/nothing.css", {}),
            (405, "POST", "/alarms", {}),
            (405, "DELETE", "/alarms", {}),
            (403, "GET", "/alarms", {"session": clerk}),
            (404, "GET", "/lists/999", {"session": clerk}),
            (400, "GET", "/collections?month=never", {"session": clerk}),
            (403, "POST", "/lists", {"session": clerk, "token": ""}),
            (413, "POST", "/sign-in", {"content": b"x" * 2_000_000}),
            (415, "POST", "/sign-in", {"is_json": True}),
            (401, "GET", "/alarms", {"headers": {"HX-Request": "true"}}),
            (303, "GET", "/alarms", {}),
        ):
            answer = knocker.ask(method, path, **how)  # type: ignore[arg-type]
            assert answer.status_code == status, (method, path)
            assert_guarded(answer, (method, path))

    def test_stand_on_a_fault_of_ours_which_tells_nothing(self, opened_once: House):
        @get("/broken", sync_to_thread=False, opt={"public": True})
        def broken() -> None:
            raise RuntimeError("the secret is umbrella")

        client = TestClient(create_app(opened_once.line, extra=(broken,)), raise_server_exceptions=False)
        answer = client.get("/broken")
        assert answer.status_code == 500
        assert_guarded(answer, "a fault")
        assert "umbrella" not in answer.text
        assert "Traceback" not in answer.text

    def test_stand_where_not_even_the_page_of_a_failure_can_be_made(self, tmp_path: Path):
        (tmp_path / "settings.toml").write_text("demo = true\n", encoding="utf-8")
        home = Home(tmp_path)
        metadata.create_all(home.database.engine)

        answer = TestClient(create_app(Line(home)), raise_server_exceptions=False).get("/sign-in")

        assert answer.status_code == 503
        assert_guarded(answer, "a demo without its time")
        assert "bijlighar demo" in answer.text
        home.database.close()

    def test_let_what_never_changes_be_kept(self, knocker: Knocker):
        answer = knocker.ask("GET", asset_path("css/console.css"))
        assert answer.status_code == 200
        assert_guarded(answer, "a style sheet")
        assert "set-cookie" not in answer.headers or "bijlighar_session" not in answer.headers["set-cookie"]


class TestCookies:
    @pytest.fixture(params=["http://127.0.0.1:8080", "https://bijli.example"])
    def served(
        self, request: pytest.FixtureRequest, opened_once: House, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[Any, str]]:
        """An application that is reached at one address, and a person with a password."""
        monkeypatch.setenv("BIJLIGHAR_WEB_PUBLIC_URL", request.param)
        line = opened_once.line
        line.home.__dict__.pop("settings", None)  # they are read once
        with line.database.write() as connection:
            offices.set_password(
                connection, sign_in=sign_in_of(Role.CLERK, OWN), password=PASSWORD, now=line.now(), by="admin"
            )
        yield create_app(line, extra=demo_pages.routes(line)), request.param
        monkeypatch.undo()
        line.home.__dict__.pop("settings", None)
        opened_once.restore()

    def test_are_read_by_no_script_and_sent_along_by_no_other_site(
        self, served: tuple[Any, str], opened_once: House
    ):
        app, url = served
        browser = Knocker(opened_once, app)
        answers = [
            browser.ask("GET", "/me/sign-in", cookie_token=""),
            browser.ask(
                "POST",
                "/sign-in",
                form={"name": sign_in_of(Role.CLERK, OWN), "password": PASSWORD, "next": ""},
            ),
            browser.ask("POST", "/sign-out", session="x"),
            browser.ask("POST", "/language", form={"language": "en", "back": "/"}),
            browser.ask("POST", "/me/sign-in", form={"account": LISTED}),
            browser.ask("POST", "/me/sign-out", account="x"),
            browser.ask("POST", "/demo/sign-in", form={"person": sign_in_of(Role.CLERK, OWN)}),
            browser.ask("POST", "/demo/sign-in-consumer", form={"account": LISTED}),
        ]
        seen = set()
        for answer in answers:
            set_now = [value for name, value in answer.headers.multi_items() if name == "set-cookie"]
            assert set_now, answer.request.url
            for cookie in set_now:
                said = {part.strip().lower() for part in cookie.split(";")[1:]}
                seen.add(cookie.split("=")[0])
                assert {"httponly", "samesite=lax", "path=/"} <= said, cookie
                assert ("secure" in said) is url.startswith("https"), cookie
                assert not any(part.startswith("domain") for part in said), cookie
        assert {
            "bijlighar_form", "bijlighar_session", "bijlighar_language", "bijlighar_asked", "bijlighar_account",
        } <= seen  # fmt: skip


class TestWayOn:
    @pytest.mark.parametrize("evil", EVIL)
    def test_leads_to_no_other_house(self, knocker: Knocker, evil: str):
        clerk, name = knocker.house.worker(Role.CLERK), sign_in_of(Role.CLERK, OWN)
        with knocker.house.line.database.write() as connection:
            offices.set_password(
                connection,
                sign_in=sign_in_of(Role.ADMIN, OWN),
                password=PASSWORD,
                now=knocker.house.line.now(),
                by="x",
            )
        admin = {"name": sign_in_of(Role.ADMIN, OWN), "password": PASSWORD, "next": evil}
        shown = knocker.ask("GET", str(httpx.URL("/sign-in", params={"next": evil})))
        assert 'name="next" value=""' in shown.text
        for answer in (
            knocker.ask("GET", str(httpx.URL("/sign-in", params={"next": evil})), session=clerk.token),
            knocker.ask("POST", "/sign-in", form=admin),
            knocker.ask("POST", "/language", form={"language": "en", "back": evil}),
            knocker.ask("POST", "/demo/sign-in", form={"person": name, "next": evil}),
            knocker.ask("POST", "/demo/sign-in-consumer", form={"account": LISTED, "next": evil}),
        ):
            place = answer.headers["location"]
            assert answer.status_code == 303
            assert place.startswith("/"), place
            assert "evil" not in place
            assert len(place) < 64
            assert "a=b" not in answer.headers.get("set-cookie", "")

    def test_back_to_a_page_of_ours_is_gone(self, knocker: Knocker):
        answer = knocker.ask("GET", "/sign-in?next=/lists/2", session=knocker.house.worker(Role.CLERK).token)
        assert answer.headers["location"] == "/lists/2"

    def test_in_letters_of_no_header_is_no_fault_of_ours(self, knocker: Knocker):
        for path in ("/network/ट्रांसफार्मर", "/a b", "/%zz"):
            address = str(httpx.URL("/sign-in", params={"next": path}))
            answer = knocker.ask("GET", address, session=knocker.house.worker(Role.CLERK).token)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/"), path
