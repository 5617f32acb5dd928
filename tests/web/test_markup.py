"""Every page in both languages is HTML as it is meant: tags closed in order, ids once, inputs named, one heading."""

import pytest

from bijlighar.base.words import LANGUAGES
from bijlighar.offices.model import Role
from tests.web.doors import Door, Knocker
from tests.web.house import OWN_ACCOUNTS
from tests.web.markup import faults

PAGES_MIN = 22


@pytest.mark.parametrize("language", LANGUAGES)
class TestMarkup:
    def test_of_every_page_is_without_fault(self, knocker: Knocker, every_door: list[Door], language: str):
        seen = 0
        for door in (each for each in every_door if each.method == "GET"):
            answer = knocker.knock(door, language=language, **knocker.entitled(door))
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            is_whole = "<html" in answer.text
            assert faults(answer.text, is_whole=is_whole) == [], str(door)
            assert not is_whole or f'<html lang="{language}">' in answer.text, str(door)
            seen += is_whole
        assert seen >= PAGES_MIN

    def test_of_what_each_role_sees_is_without_fault(
        self, knocker: Knocker, every_door: list[Door], language: str
    ):
        """What a page offers depends on who looks."""
        for door in (each for each in every_door if each.method == "GET" and each.kind in ("view", "act")):
            for role in Role:
                answer = knocker.knock(door, language=language, session=knocker.house.worker(role).token)
                if answer.headers.get("content-type", "").startswith("text/html"):
                    assert faults(answer.text, is_whole="<html" in answer.text) == [], (str(door), role)

    def test_of_every_refusal_is_without_fault(self, knocker: Knocker, language: str):
        consumer = knocker.house.consumers[OWN_ACCOUNTS[0]]
        fitter = knocker.house.worker(Role.FITTER).token
        for method, path, how in (
            ("GET", "/nothing", {}),
            ("GET", "/nothing", {"session": fitter}),
            ("GET", "/alarms", {"session": fitter}),
            ("GET", "/me/nothing", {}),
            ("GET", "/me/bill.pdf?number=x", {"account": consumer}),
            ("POST", "/me/pay", {"account": consumer, "form": {"amount": "-1"}}),
            ("POST", "/me/code", {"form": {"account": "x", "code": "1"}}),
            ("POST", "/sign-in", {"form": {"name": "x", "password": "y"}}),
            ("POST", "/sign-in", {"token": ""}),
        ):
            answer = knocker.ask(method, path, language=language, **how)  # type: ignore[arg-type]
            assert answer.status_code >= 400, path
            assert faults(answer.text) == [], (method, path)
            assert f'<html lang="{language}">' in answer.text, path


class TestFaults:
    """What is held against pages is itself held against pages that are wrong."""

    @pytest.mark.parametrize(
        "part",
        [
            "<p><b>x</p></b>",
            "<div>",
            "</p>",
            "<div/>",
            '<p id="a"></p><p id="a"></p>',
            '<input name="x">',
            '<label for="b">x</label><input id="a" name="x">',
            '<p style="x">y</p>',
            '<button onclick="x">y</button>',
            '<img src="x">',
            '<p class="a" class="b">y</p>',
        ],
    )
    def test_are_found(self, part: str):
        assert faults(part, is_whole=False) != []

    @pytest.mark.parametrize(
        "part",
        [
            "<p>x<br>y</p>",
            '<label>x <input name="x"></label>',
            '<label for="a">x</label><input id="a" name="x">',
            '<svg><rect width="1"/><path d="M0"/></svg>',
            '<input type="hidden" name="x">',
        ],
    )
    def test_are_not_found_where_there_are_none(self, part: str):
        assert faults(part, is_whole=False) == []

    def test_of_a_whole_page_are_found(self):
        head = '<!doctype html><html lang="hi"><head><title>x</title></head><body>'
        assert faults(f"{head}<h1>x</h1></body></html>") == []
        assert faults(f"{head}</body></html>") == ["0 h1"]
        assert faults(f'{head}<h1 aria-describedby="no">x</h1></body></html>') == ["nothing has the id no"]
