"""The pages of defaulter lists: drawn by the clerk, approved by another, with every reason in the reader's words."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.arrears import queries
from bijlighar.arrears.model import DisconnectionList, ListState, OrderState
from bijlighar.offices import queries as offices
from bijlighar.runtime.line import Line
from tests.arrears.world import World
from tests.web.arrears_town import due_to_be_listed, opened_town, tell_time
from tests.web.kit import client_of, send_form, signed_in_client


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Line, World]]:
    with opened_town(tmp_path / "home") as (line, world):
        yield line, due_to_be_listed(line, world, "N1", "N2", "N3", protected=("N3",))


@pytest.fixture
def line(opened: tuple[Line, World]) -> Line:
    return opened[0]


@pytest.fixture
def world(opened: tuple[Line, World]) -> World:
    return opened[1]


def lists(line: Line) -> tuple[DisconnectionList, ...]:
    with line.database.read() as connection:
        return queries.lists(connection)


def acts(line: Line) -> list[tuple[str, str]]:
    with line.database.read() as connection:
        return [(entry.person, entry.act) for entry in offices.audit(connection, limit=10)]


class TestDraft:
    def test_shows_who_would_stand_on_the_list_and_draws_nothing(self, line: Line):
        html = signed_in_client(line, "asha").get("/lists/new").text

        assert "2 को इंदौर में अनुमोदन के लिए भेजें" in html
        assert "संरक्षित उपभोक्ता (जीवन रक्षक उपकरण)" in html
        assert lists(line) == ()

    def test_offers_nothing_to_send_where_nobody_is_ready(self, line: Line, world: World):
        world.approve(world.draw())
        html = signed_in_client(line, "asha").get("/lists/new").text

        assert 'action="/lists"' not in html
        assert "इसलिए भेजने को कुछ नहीं है" in html

    def test_is_for_those_who_draw_lists_up(self, line: Line):
        assert signed_in_client(line, "vijay").get("/lists/new").status_code == 403

    def test_is_refused_for_another_town(self, line: Line):
        answer = signed_in_client(line, "asha").get("/lists/new?office=DEPALPUR")

        assert answer.status_code == 403
        assert "Name N1" not in answer.text

    def test_is_narrowed_by_what_is_asked(self, line: Line):
        client = signed_in_client(line, "asha", language="en")

        assert "0 of 3 rows" in client.get("/lists/new?days=90").text
        assert (
            "3 of 3 rows" in client.get("/lists/new?days=60&rupees=2000&category=LV-1.2&transformer=T-1").text
        )
        assert "0 of 3 rows" in client.get("/lists/new?rupees=3001").text
        assert "3 of 3 rows" in client.get("/lists/new?days=x&rupees=-5").text


class TestDrawingUp:
    def test_makes_the_list_and_leads_to_it(self, line: Line):
        answer = send_form(signed_in_client(line, "asha"), "/lists", office="MHOW")

        assert (answer.status_code, answer.headers["location"]) == (303, "/lists/1")
        assert [(each.state, each.drawn_by, each.listed, each.excluded) for each in lists(line)] == [
            (ListState.DRAWN, "asha", 2, 1)
        ]

    @pytest.mark.parametrize("person", ["vijay", "fatima", "om"])
    def test_is_refused_to_other_roles(self, line: Line, person: str):
        assert send_form(signed_in_client(line, person), "/lists", office="MHOW").status_code == 403
        assert lists(line) == ()

    def test_is_refused_for_another_office_by_the_door(self, line: Line):
        assert send_form(signed_in_client(line, "ravi"), "/lists", office="MHOW").status_code == 403
        assert lists(line) == ()

    def test_sends_a_stranger_to_sign_in(self, line: Line):
        answer = send_form(client_of(line), "/lists", office="MHOW")

        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert lists(line) == ()

    def test_takes_no_form_without_its_token(self, line: Line):
        answer = signed_in_client(line, "asha").post("/lists", data={"office": "MHOW"})

        assert answer.status_code == 403
        assert lists(line) == ()


class TestList:
    def test_keeps_those_left_out_in_sight_with_the_reason(self, line: Line, world: World):
        number = world.draw()

        html = signed_in_client(line, "asha").get(f"/lists/{number}").text

        row = re.search(r'<tr class="out" data-standing="forbidden">.*?</tr>', html, re.DOTALL)
        assert row is not None
        assert "N3" in row[0]
        assert "नियमानुसार विच्छेदन नहीं" in row[0]
        assert "संरक्षित उपभोक्ता (जीवन रक्षक उपकरण)" in row[0]

    def test_speaks_english_to_who_chose_it(self, line: Line, world: World):
        number = world.draw()

        html = signed_in_client(line, "asha", language="en").get(f"/lists/{number}").text

        assert "a protected consumer (life-support equipment)" in html
        assert "22 Jun ✓ on paper" in html
        assert "sent for approval" in html
        assert "₹9,000" in html

    def test_says_who_has_paid_since(self, line: Line, world: World):
        number = world.draw()
        world.pay("N1", 300_000)

        html = signed_in_client(line, "asha").get(f"/lists/{number}").text

        assert 'data-standing="paid"' in html
        assert "भुगतान हुआ, सूची से हटाया गया" in html

    def test_is_unknown_to_another_town(self, line: Line, world: World):
        number = world.draw()
        client = signed_in_client(line, "ravi")

        for path in (
            f"/lists/{number}",
            f"/lists/{number}/list.csv",
            f"/lists/{number}/N1",
            f"/lists/{number}/approve",
        ):
            answer = client.get(path)
            assert answer.status_code == 404
            assert "Name N1" not in answer.text
        assert f"/lists/{number}" not in client.get("/lists").text

    @pytest.mark.parametrize("path", ["/lists/0", "/lists/99999999999999999999", "/lists/7", "/lists/x"])
    def test_of_no_such_number_is_refused_like_any_other_address(self, line: Line, path: str):
        assert signed_in_client(line, "asha").get(path).status_code in (400, 404)

    def test_goes_out_as_a_table(self, line: Line, world: World):
        number = world.draw()

        answer = signed_in_client(line, "asha").get(f"/lists/{number}/list.csv")

        rows = answer.content.decode("utf-8-sig").splitlines()
        assert len(rows) == 4
        assert rows[0].startswith("उपभोक्ता")
        assert rows[1].startswith("N1,Name N1,LV-1.2,T-1,M-N1,3000.00,1500.00,64,2,2025-06-22,")
        assert "संरक्षित उपभोक्ता (जीवन रक्षक उपकरण)" in rows[3]

    def test_explains_each_row_guard_by_guard(self, line: Line, world: World):
        number = world.draw()

        html = signed_in_client(line, "asha").get(f"/lists/{number}/N3").text

        assert "✗ संरक्षित उपभोक्ता (जीवन रक्षक उपकरण)" in html
        assert "सूचना के पूरे दिन, धारा 56(1)" in html
        assert signed_in_client(line, "asha").get(f"/lists/{number}/N99").status_code == 404


class TestApproval:
    def test_is_refused_to_who_drew_the_list_up(self, line: Line, world: World):
        number = world.draw(person="meera")
        client = signed_in_client(line, "meera")

        shown = client.get(f"/lists/{number}/approve").text
        answer = send_form(client, f"/lists/{number}/approve", count="2")

        assert "यह सूची आपने बनाई है, इसलिए आप इसे अनुमोदित नहीं कर सकते।" in shown
        assert "विच्छेदन अनुमोदित करें" not in shown
        assert answer.status_code == 403
        assert "जिसने सूची बनाई, वही उसे स्वीकृत नहीं कर सकता" in answer.text
        assert lists(line)[0].state is ListState.DRAWN

    def test_is_done_by_another_person(self, line: Line, world: World):
        number = world.draw()
        client = signed_in_client(line, "vijay")

        shown = client.get(f"/lists/{number}/approve").text
        answer = send_form(client, f"/lists/{number}/approve", count="2")

        assert "2 उपभोक्ताओं का विच्छेदन अनुमोदित करें" in shown
        assert answer.status_code == 303
        assert lists(line)[0].state is ListState.APPROVED
        assert acts(line)[0] == ("vijay", "approve_list")
        assert lists(line)[0].snapshot_hash in client.get(f"/lists/{number}").text

    @pytest.mark.parametrize("person", ["asha", "om", "fatima"])
    def test_is_refused_to_other_roles(self, line: Line, world: World, person: str):
        number = world.draw()

        answer = send_form(signed_in_client(line, person), f"/lists/{number}/approve", count="2")

        assert answer.status_code == 403
        assert lists(line)[0].state is ListState.DRAWN
        assert acts(line)[0] == ("asha", "draw_up_list")

    def test_is_refused_to_another_town(self, line: Line, world: World):
        number = world.draw()

        assert (
            send_form(signed_in_client(line, "ravi"), f"/lists/{number}/approve", count="2").status_code
            == 403
        )
        assert lists(line)[0].state is ListState.DRAWN

    @pytest.mark.parametrize("count", ["", "3", "two", "-2"])
    def test_holds_the_approver_to_the_number_that_was_seen(self, line: Line, world: World, count: str):
        number = world.draw()

        answer = send_form(signed_in_client(line, "vijay"), f"/lists/{number}/approve", count=count)

        assert answer.status_code == 409
        assert world.state_of("N1") is OrderState.LISTED

    def test_asks_for_no_number_of_a_short_list(self, line: Line, world: World):
        number = world.draw()

        html = signed_in_client(line, "vijay").get(f"/lists/{number}/approve").text

        assert '<input type="hidden" name="count" value="2">' in html

    def test_leaves_out_whoever_has_paid_since(self, line: Line, world: World):
        number = world.draw()
        world.pay("N1", 300_000)
        client = signed_in_client(line, "vijay", language="en")

        shown = client.get(f"/lists/{number}/approve").text
        answer = send_form(client, f"/lists/{number}/approve", count="1")

        assert "Approve the cut of 1 supplies" in shown
        assert "have paid since" in shown
        assert answer.status_code == 303
        assert world.state_of("N1") is OrderState.CANCELLED

    def test_says_of_a_list_that_nothing_is_left_to_approve(self, line: Line, world: World):
        number = world.draw()
        world.approve(number)

        client = signed_in_client(line, "vijay", language="en")

        assert "This list is approved" in client.get(f"/lists/{number}/approve").text
        assert send_form(client, f"/lists/{number}/approve", count="2").status_code == 409


class TestLongList:
    def test_asks_for_its_number_and_still_shows_every_row(self, tmp_path: Path):
        accounts = [f"N{index:03d}" for index in range(21)]
        with opened_town(tmp_path / "long") as (line, world):
            due_to_be_listed(line, world, *accounts)
            number = world.draw()
            client = signed_in_client(line, "vijay", language="en")

            html = client.get(f"/lists/{number}/approve").text

            assert "Write the number 21 to confirm" in html
            assert 'name="count" value="21"' not in html
            assert html.count("data-standing") == 21
            tell_time(line, world)
