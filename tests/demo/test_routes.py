"""The demo's own routes: which exist where, and what they make happen in a running town."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from datetime import time as wall_time
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from tests.arrears.world import post_bill

import bijlighar
from bijlighar.alarms import queries as alarms
from bijlighar.base.period import local_time
from bijlighar.demo import driver
from bijlighar.demo.children import free_ports
from bijlighar.demo.controls import CONTROL_FILE, Controls, TownNotRunning, read_controls, write_controls
from bijlighar.demo.guests import give_password
from bijlighar.demo.pages import first_page, routes
from bijlighar.demo.setup import Plan
from bijlighar.ledger import queries as ledger
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import Office, OfficeLevel, Person, Role
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import set_demo_time, wall
from bijlighar.runtime.flash import FLASH_COOKIE, flash_words
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import PORTAL_COOKIE, SESSION_COOKIE
from bijlighar.runtime.story import WHAT_TO_TRY, story
from bijlighar.web.app import create_app

PACKAGE = Path(bijlighar.__file__).parent
NOON = local_time(date(2025, 4, 1), wall_time(12))
PASSWORD = re.compile(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}")
OWN_ROUTES = [
    ("/demo/feeder-fail", "POST"),
    ("/demo/feeder-restore", "POST"),
    ("/demo/forward", "POST"),
    ("/demo/pay", "POST"),
    ("/demo/sign-in", "POST"),
    ("/demo/sign-in-consumer", "POST"),
    ("/demo/tamper", "POST"),
]


def a_line(path: Path, *, demo: bool) -> Line:
    path.mkdir()
    (path / "settings.toml").write_text(f"demo = {str(demo).lower()}\n", encoding="utf-8")
    line = Line(Home(path), worker="test")
    if demo:
        set_demo_time(line.database, now=NOON)
    return line


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[tuple[Line, Line]]:
    """A company's home and a demo's."""
    both = a_line(tmp_path / "company", demo=False), a_line(tmp_path / "demo", demo=True)
    yield both
    for line in both:
        line.database.close()


def listed(line: Line) -> set[tuple[str, str]]:
    app = create_app(line, extra=routes(line))
    return {
        (route.path, method)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    }


def said(response: httpx.Response) -> str:
    words = flash_words(response.cookies.get(FLASH_COOKIE))
    assert words is not None
    assert words.hi
    return words.en


class TestRoutes:
    def test_of_a_demo_are_those_of_every_home_and_seven_of_its_own(self, lines):
        company, demo = lines

        of_company, of_demo = listed(company), listed(demo)

        assert not [path for path, _ in of_company if path.startswith("/demo")]
        assert of_company < of_demo
        assert sorted(of_demo - of_company) == OWN_ROUTES

    def test_are_not_found_in_a_company(self, lines):
        company, _ = lines
        with TestClient(create_app(company, extra=routes(company))) as client:
            for path, _method in OWN_ROUTES:
                client.get("/health")
                form = {"_csrf_token": client.cookies["bijlighar_form"]}
                assert client.post(path, data=form, follow_redirects=False).status_code == 404

    def test_refuse_a_form_without_the_token_of_our_page(self, lines):
        _, demo = lines
        with TestClient(create_app(demo, extra=routes(demo))) as client:
            for path, _method in OWN_ROUTES:
                assert client.post(path, data={"serial": "1"}, follow_redirects=False).status_code == 403

    def test_say_how_to_start_a_town_that_does_not_run(self, lines):
        _, demo = lines
        with add_operator(demo) as client:
            nowhere = send(client, "/demo/tamper")
            demo.home.town.mkdir()
            first = free_ports(count=3)
            write_controls(
                demo.home,
                controls=Controls(
                    town=f"127.0.0.1:{first}",
                    providers=f"127.0.0.1:{first + 1}",
                    providers_port=first + 2,
                    seed=1,
                ),
            )
            answers = [send(client, f"/demo/{name}", serial="S-1") for name in ("tamper", "feeder-fail")]

        assert nowhere.status_code == 503
        assert [answer.status_code for answer in answers] == [503, 503]
        for answer in answers:
            assert "bijlighar meter simulate --home" in answer.text
            assert "शहर नहीं चल रहा" in answer.text

    def test_are_where_the_controls_are_known_and_nowhere_else(self):
        knows = {
            path.relative_to(PACKAGE).parts[0]
            for path in PACKAGE.rglob("*.py")
            if CONTROL_FILE in path.read_text(encoding="utf-8")
            or "demo.controls" in path.read_text(encoding="utf-8")
        }

        assert knows <= {"demo", "simulator", "cli"}


def add_operator(line: Line) -> "TestClient[Any]":
    with line.database.write() as connection:
        offices.add_office(
            connection,
            office=Office(code="HO", name=WHAT_TO_TRY[Role.CLERK], level=OfficeLevel.COMPANY, parent=None),
        )
        offices.add_person(
            connection, sign_in="asha", name="Asha", office="HO", roles=[Role.OPERATOR], now=NOON
        )
    return TestClient(create_app(line, extra=routes(line)))


def send(client: Any, path: str, **fields: str) -> httpx.Response:
    client.get("/health")
    form = {"_csrf_token": client.cookies["bijlighar_form"], **fields}
    answer: httpx.Response = client.post(path, data=form, follow_redirects=False)
    return answer


class TestSignIn:
    def test_opens_a_session_without_a_password_and_leads_to_the_first_page(self, lines):
        _, demo = lines
        with add_operator(demo) as client:
            answer = send(client, "/demo/sign-in", person="asha")
            elsewhere = send(client, "/demo/sign-in", person="asha", next="//evil.example")
            chosen = send(client, "/demo/sign-in", person="asha", next="/losses")

        assert (answer.status_code, answer.headers["location"]) == (303, "/alarms")
        assert elsewhere.headers["location"] == "/alarms"
        assert chosen.headers["location"] == "/losses"
        with demo.database.read() as connection:
            session = office_queries.session(connection, token=answer.cookies[SESSION_COOKIE], wall=wall())
        assert session is not None
        assert session.person.sign_in == "asha"

    def test_refuses_who_is_not_there(self, lines):
        _, demo = lines
        with add_operator(demo) as client:
            answer = send(client, "/demo/sign-in", person="nobody")

        assert answer.status_code == 400
        assert SESSION_COOKIE not in answer.cookies


class TestFirstPage:
    @pytest.mark.parametrize("role", list(Role))
    def test_is_one_that_the_role_may_see(self, role):
        person = Person(sign_in="a", name="A", office="HO", roles=frozenset({role}), active=True)

        assert first_page(person) in {
            "/alarms", "/network", "/lists", "/commands", "/rollout", "/losses", "/collections"
        }  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[driver.Demo]:
    """A running town at noon of its first day."""
    plan = Plan(meters=20, months=1, seed=7, profiles=None, web_port=None)
    home = Home(tmp_path_factory.mktemp("demo") / "home")
    with driver.running(home, plan=plan) as running:
        driver.move(running, now=NOON)
        yield running


@pytest.fixture
def browser(demo: driver.Demo) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{demo.ports.web}", trust_env=False, timeout=30) as opened:
        yield opened


def later(demo: driver.Demo, minutes: int) -> datetime:
    """Let some minutes pass."""
    now = NOON.replace(minute=NOON.minute + minutes)
    driver.move(demo, now=now)
    return now


class TestInARunningTown:
    def test_a_meter_is_tampered_with_and_its_alarm_comes(self, demo, browser):
        first = send(browser, "/demo/tamper")
        demo.quiet.wait()
        second = send(browser, "/demo/tamper")
        demo.quiet.wait()

        assert (first.status_code, first.headers["location"]) == (303, "/alarms")
        with demo.line.database.read() as connection:
            sources = [alarm.source for alarm in alarms.alarms(connection) if alarm.code == 201]
            session = office_queries.session(connection, token=first.cookies[SESSION_COOKIE], wall=wall())
        assert len(set(sources)) == 2
        assert [word for word in said(first).split() if word.rstrip(".") in sources]
        assert said(second) != said(first)
        assert session is not None
        assert Role.OPERATOR in session.person.roles

    def test_a_meter_that_is_not_there_is_refused_in_words(self, browser):
        answer = send(browser, "/demo/tamper", serial="NOPE")

        assert answer.status_code == 400
        assert "NOPE" in answer.text

    def test_a_consumer_pays_once_what_is_owed(self, demo, browser):
        nobody = send(browser, "/demo/pay")
        account = demo.town.consumers[0].account
        with demo.line.database.write() as connection:
            post_bill(
                connection,
                account=account,
                document="B-1",
                paise=123_450,
                issued_on=date(2025, 4, 1),
                now=NOON,
            )
        answer = send(browser, "/demo/pay")
        again = send(browser, "/demo/pay", account=account)
        demo.quiet.wait()
        paid_up = send(browser, "/demo/pay", account=account)

        assert nobody.status_code == 409
        assert (answer.status_code, answer.headers["location"]) == (303, "/commands")
        assert said(answer) == f"Consumer {account} has paid ₹1,234 at the gateway. " + (
            "A supply that was cut comes back now."
        )
        assert again.status_code in (303, 409)
        assert paid_up.status_code == 409
        with demo.line.database.read() as connection:
            assert ledger.balance_paise(connection, account=account) == 0
            assert len(ledger.payments(connection, account=account)) == 1

    def test_a_feeder_fails_and_comes_back(self, demo, browser):
        failed = send(browser, "/demo/feeder-fail")
        dark = demo.meters.state().feeders_failed
        later(demo, 10)
        restored = send(browser, "/demo/feeder-restore")
        again = send(browser, "/demo/feeder-restore")
        demo.quiet.wait()

        assert (failed.status_code, failed.headers["location"]) == (303, "/network")
        assert dark == (demo.town.feeders[0],)
        assert f"Feeder {dark[0]} has failed" in said(failed)
        assert f"Feeder {dark[0]} is back" in said(restored)
        assert again.status_code == 409
        assert demo.meters.state().feeders_failed == ()

    def test_a_consumer_is_signed_in_without_a_code(self, demo, browser):
        account = demo.town.consumers[1].account

        answer = send(browser, "/demo/sign-in-consumer", account=account)

        assert answer.status_code == 303
        token = answer.cookies[PORTAL_COOKIE]
        assert portal_access.portal_account(demo.line, token=token, wall=wall()) in (account, None)

    def test_everybody_gets_one_password(self, demo, browser):
        password = give_password(demo.line)

        answer = send(browser, "/sign-in", name="k.sharma", password=password)

        assert PASSWORD.fullmatch(password)
        assert (answer.status_code, SESSION_COOKIE in answer.cookies) == (303, True)

    def test_the_story_is_told_in_figures(self, demo):
        told = story(demo.line)

        figures = told.figures
        assert figures.meters_planned == 20
        assert figures.meters_communicating > 0
        assert figures.silent_pct is not None
        assert 0 <= figures.read_today <= figures.meters_communicating
        assert (figures.bills, figures.cuts, figures.reconnection_median_s) == (0, 0, None)
        assert {guest.person.sign_in for guest in told.guests} == {p.sign_in for p in demo.town.persons}
        assert all(guest.tries and guest.views for guest in told.guests)
        assert told.consumers

    def test_the_controls_are_those_of_the_town(self, demo):
        controls = read_controls(demo.home)

        assert controls.town == demo.meters.address
        assert controls.seed == demo.town.seed


class TestReadControls:
    def test_refuses_a_home_that_does_not_say(self, tmp_path):
        with pytest.raises(TownNotRunning, match="begin a new demo"):
            read_controls(Home(tmp_path))
