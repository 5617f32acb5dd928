"""The page of commands: what is on its way, doubt as doubt, work by hand, and a STOP that stops at the door."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from bijlighar.arrears import queries
from bijlighar.arrears.model import Halt, OrderState
from bijlighar.headend.model import CommandEvent
from bijlighar.runtime.line import Line
from tests.arrears.build import POLICY
from tests.arrears.world import World
from tests.web.arrears_town import due_to_be_listed, opened_town, tell_time
from tests.web.kit import client_of, send_form, signed_in_client

CUTTING_DAY = date(2025, 7, 17)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Line, World]]:
    with opened_town(tmp_path / "home") as (line, world):
        due_to_be_listed(line, world, "N1", "N2")
        world.approve(world.draw())
        world.deliver_messages()
        world.now += timedelta(minutes=30)
        world.assess()
        world.at(CUTTING_DAY, 11).hear()
        tell_time(line, world)
        yield line, world


@pytest.fixture
def line(opened: tuple[Line, World]) -> Line:
    return opened[0]


@pytest.fixture
def world(opened: tuple[Line, World]) -> World:
    return opened[1]


def halts(line: Line) -> tuple[Halt, ...]:
    with line.database.read() as connection:
        return queries.halts(connection)


def later(line: Line, world: World, **span: int) -> None:
    world.now += timedelta(**span)
    tell_time(line, world)


class TestQueue:
    def test_shows_each_order_with_its_state_and_from_when_it_may_go(self, line: Line):
        html = signed_in_client(line, "om").get("/commands").text

        assert html.count('data-state="warned"') == 2
        assert "Name N1" in html
        assert "अंतिम चेतावनी दी गई" in html

    def test_shows_doubt_with_a_mark_of_its_own(self, line: Line, world: World):
        assert world.send() == 1
        world.head_end_does(f"A{world.order_of('N1').number}-D", CommandEvent.LOSE)
        world.follow()

        html = signed_in_client(line, "om").get("/commands?state=unknown").text

        row = re.search(r'<tr data-state="unknown">.*?</tr>', html, re.DOTALL)
        assert row is not None
        assert '<span class="mark unknown">? परिणाम अज्ञात</span>' in row[0]
        assert "mark bad" not in row[0]
        assert "mark good" not in row[0]

    def test_puts_a_late_reconnection_first_and_marks_it(self, line: Line, world: World):
        world.send()
        world.head_end_does(f"A{world.order_of('N1').number}-D")
        world.follow()
        world.pay("N1", 300_000)
        later(line, world, minutes=POLICY.by_hand_after_minutes + 5)

        html = signed_in_client(line, "om", language="en").get("/commands").text

        assert re.findall(r'<tr data-state="(\w+)"', html) == ["reconnecting", "warned"]
        assert "late 5 min" in html

    def test_gives_the_live_part_alone(self, line: Line):
        html = signed_in_client(line, "om").get("/commands/part?state=warned").text

        assert html.startswith('<div id="commands" data-live="commands" hx-get="/commands/part?state=warned"')
        assert "<html" not in html

    def test_knows_no_state_that_somebody_makes_up(self, line: Line):
        html = signed_in_client(line, "om").get("/commands?state=%22%3E%3Cb%3E").text

        assert "><b>" not in html.split('id="commands"')[1].split(">")[0]
        assert html.count('data-state="warned"') == 2

    def test_shows_nothing_of_another_town(self, line: Line, world: World):
        client = signed_in_client(line, "ravi")

        assert "Name N1" not in client.get("/commands").text
        assert client.get(f"/commands/{world.order_of('N1').number}").status_code == 404

    def test_sends_a_stranger_to_sign_in(self, line: Line):
        answer = client_of(line).get("/commands")

        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/commands")

    def test_goes_out_as_a_table(self, line: Line):
        rows = signed_in_client(line, "om").get("/commands.csv").content.decode("utf-8-sig").splitlines()

        assert len(rows) == 3
        assert rows[0].startswith("आदेश,सूची,")


class TestOrder:
    def test_shows_decisions_commands_gate_and_relay(self, line: Line, world: World):
        world.send()
        number = world.order_of("N1").number
        world.head_end_does(f"A{number}-D")
        world.follow()

        html = signed_in_client(line, "om").get(f"/commands/{number}").text

        assert f"A{number}-D" in html
        assert "रिले पढ़कर पुष्टि हुई" in html
        assert "आदेश भेजने से ठीक पहले" in html
        assert "आउटपुट स्थिति 0, नियंत्रण स्थिति 0" in html


class TestStop:
    def test_stops_what_would_be_sent_at_once_and_says_who_did_it(self, line: Line, world: World):
        client = signed_in_client(line, "om")

        answer = send_form(client, "/commands/halt", reason="")

        assert (answer.status_code, answer.headers["location"]) == (303, "/commands")
        assert [(each.office, each.by, each.reason) for each in halts(line)] == [
            ("INDORE", "om", "पृष्ठ से रोका गया")
        ]
        assert world.send() == 0
        assert world.state_of("N1") is OrderState.WARNED
        html = client.get("/commands").text
        assert "विच्छेदन रोक दिए गए हैं" in html
        assert "Om द्वारा" in html

    def test_calls_back_what_has_not_left(self, line: Line, world: World):
        assert world.send() == 1

        send_form(signed_in_client(line, "asha"), "/commands/halt", reason="Storm")

        assert world.state_of("N1") is OrderState.CANCELLED

    def test_of_a_town_leaves_the_others_alone(self, line: Line):
        send_form(signed_in_client(line, "ravi"), "/commands/halt", reason="Fair")

        assert [each.office for each in halts(line)] == ["DEPALPUR"]
        assert "Fair" not in signed_in_client(line, "asha").get("/commands").text

    def test_is_refused_to_who_may_not(self, line: Line):
        assert send_form(signed_in_client(line, "fatima"), "/commands/halt", reason="x").status_code == 403
        assert halts(line) == ()

    def test_takes_no_form_without_its_token(self, line: Line):
        assert signed_in_client(line, "om").post("/commands/halt", data={"reason": "x"}).status_code == 403
        assert halts(line) == ()


class TestResume:
    def test_lets_them_go_on_for_a_reason(self, line: Line, world: World):
        client = signed_in_client(line, "om")
        send_form(client, "/commands/halt", reason="Storm")

        assert "Storm" in client.get("/commands/halts").text
        assert send_form(client, "/commands/resume", office="INDORE", reason=" ").status_code == 400
        assert send_form(client, "/commands/resume", office="INDORE", reason="Storm over").status_code == 303
        assert halts(line) == ()
        assert world.send() == 1

    def test_is_refused_to_a_clerk_and_to_another_town(self, line: Line):
        send_form(signed_in_client(line, "om"), "/commands/halt", reason="Storm")

        for person in ("asha", "ravi"):
            answer = send_form(
                signed_in_client(line, person), "/commands/resume", office="INDORE", reason="go on"
            )
            assert answer.status_code == 403
        assert len(halts(line)) == 1


class TestWorkByHand:
    @pytest.fixture
    def handed_over(self, line: Line, world: World) -> int:
        """A silent meter: the order goes to the town office."""
        world.now += timedelta(hours=POLICY.heard_within_hours + 1)
        world.at(date(2025, 7, 21), 11)
        tell_time(line, world)
        assert world.send() == 1
        return world.order_of("N1").number

    def test_is_shown_and_recorded(self, line: Line, world: World, handed_over: int):
        client = signed_in_client(line, "asha")

        assert f'data-order="{handed_over}"' in client.get("/commands/hand").text
        answer = send_form(client, f"/commands/{handed_over}/hand", done="yes", at="2025-07-21T11:00")

        assert answer.status_code == 303
        assert world.state_of("N1") is OrderState.OPEN

    def test_can_be_told_not_to_have_been_done(self, line: Line, world: World, handed_over: int):
        send_form(signed_in_client(line, "fatima"), f"/commands/{handed_over}/hand", done="no")

        assert world.state_of("N1") is OrderState.FAILED

    def test_is_crossed_out_once_it_must_not_be_done(self, line: Line, world: World, handed_over: int):
        world.pay("N1", 300_000)

        html = signed_in_client(line, "asha").get("/commands/hand").text

        assert f'<tr class="out forbidden" data-order="{handed_over}">' in html
        assert "विच्छेदन न करें" in html
        assert '<span class="print-only">☐</span>' not in html
        assert "मौके पर कार्य (0)" in signed_in_client(line, "asha").get("/commands").text

    @pytest.mark.parametrize("fields", [{}, {"done": "perhaps"}, {"done": "yes", "at": "noon"}])
    def test_takes_nothing_that_it_does_not_understand(
        self, line: Line, world: World, handed_over: int, fields: dict[str, str]
    ):
        answer = send_form(signed_in_client(line, "asha"), f"/commands/{handed_over}/hand", **fields)

        assert answer.status_code == 400
        assert world.state_of("N1") is OrderState.MANUAL

    def test_is_refused_to_another_town(self, line: Line, world: World, handed_over: int):
        answer = send_form(signed_in_client(line, "ravi"), f"/commands/{handed_over}/hand", done="yes")

        assert answer.status_code == 403
        assert world.state_of("N1") is OrderState.MANUAL
