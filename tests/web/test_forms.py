"""What is sent to a door: forms of other sites, forms that are none, and nonsense are refused and change nothing."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.web.doors import URL_ENCODED, Door, Knocker
from tests.web.house import Watch

#: Tables that count attempts, or order a code for whoever asks: they grow by design, whoever it was.
COUNTING = {
    "offices_sign_in_failure", "runtime_portal_ask", "storage_job", "storage_sequence", "storage_notification",
}  # fmt: skip
#: No town runs behind this house: its demo's own deeds say so with 503, whatever they are asked.
NO_TOWN = "/demo/"
JSON = "application/json"
LONG = "x" * 10_000
#: Ways to send what is no form at all.
NO_FORMS: dict[str, dict[str, Any]] = {
    "a list in JSON": {"content": b"[1, 2]", "headers": {"content-type": JSON}},
    "half a document": {"content": b"{", "headers": {"content-type": JSON}},
    "parts": {"content": b"--x\r\nno", "headers": {"content-type": "multipart/form-data; boundary=x"}},
    "parts without a boundary": {"content": b"abc", "headers": {"content-type": "multipart/form-data"}},
    "text": {"content": b"reason=x", "headers": {"content-type": "text/plain"}},
    "nothing that is named": {"content": b"reason=x", "headers": {"content-type": "x"}},
}
#: Doors where every field may be empty, and why that is right.
EMPTY_IS_RIGHT = {
    "POST /alarms/{number:int}/acknowledge": "a note is not needed",
    "POST /commands/halt": "STOP must never wait for a reason",
    "POST /language": "anything unknown is Hindi",
    "POST /me/pay": "an empty sum is all that is due",
    "POST /me/sign-in": "what is asked for is answered alike, whoever it is",
}
#: Fields in which a text that is too long, or holds what no keyboard writes, is cut or counts as nothing.
TAKEN_SHORT = {
    ("POST /alarms/{number:int}/acknowledge", "text"),
    ("POST /language", "language"),
    ("POST /language", "back"),
    ("POST /me/sign-in", "account"),
    ("POST /demo/sign-in-consumer", "person"),
    ("POST /demo/sign-in-consumer", "next"),
}
NUMBERS = ("0", "-1", "999999", "9" * 18, "9" * 30, "1e3", "٣", "%00", "..%2F..%2Fetc%2Fpasswd", "x" * 300)


def posts(every_door: list[Door]) -> Iterator[Door]:
    return (door for door in every_door if door.method == "POST")


def tell(watch: Watch) -> list[str]:
    return [table for table in watch.changed() if table not in COUNTING]


def is_clear(door: Door, status: int) -> bool:
    return 400 <= status < 500 or (status == 503 and door.path.startswith(NO_TOWN))


class TestForeignForm:
    def test_is_refused_without_the_token_and_with_another_browsers(
        self, knocker: Knocker, every_door: list[Door], watch: Watch
    ):
        other = knocker.fresh_token()
        assert other != knocker.token
        for door in posts(every_door):
            if door.path.startswith("/callbacks/"):
                continue
            for how in (
                {"token": ""},
                {"token": other},
                {"cookie_token": other},
                {"token": "x" * 128, "cookie_token": "x" * 128},
                {"token": f"{knocker.token[:-1]}~"},
            ):
                answer = knocker.knock(door, **knocker.entitled(door), **how)
                assert answer.status_code == 403, (str(door), how)
            assert watch.changed() == [], str(door)

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
    def test_is_refused_by_what_the_browser_says_of_it(
        self, knocker: Knocker, every_door: list[Door], watch: Watch, site: str
    ):
        for door in posts(every_door):
            if door.path.startswith("/callbacks/"):
                continue
            answer = knocker.knock(door, **knocker.entitled(door), headers={"Sec-Fetch-Site": site})
            assert answer.status_code == 403, str(door)
        assert watch.changed() == []

    def test_is_taken_from_a_provider_only_with_its_signature(
        self, knocker: Knocker, every_door: list[Door], watch: Watch
    ):
        for door in posts(every_door):
            if door.path.startswith("/callbacks/"):
                answer = knocker.knock(door, content=b"{}", headers={"content-type": JSON})
                assert answer.status_code in (403, 503), str(door)
        assert watch.changed() == []


class TestNoForm:
    def test_is_refused_whatever_it_is(self, knocker: Knocker, every_door: list[Door], watch: Watch):
        for door in posts(every_door):
            if door.path.startswith("/callbacks/"):
                continue
            as_json = json.dumps(dict(door.form)).encode()
            as_form = urlencode(door.form).encode() or b"x=y"
            swapped = (as_form, URL_ENCODED) if door.is_json else (as_json, JSON)
            sent = {
                **NO_FORMS,
                "the other kind": {"content": swapped[0], "headers": {"content-type": swapped[1]}},
            }
            for name, how in sent.items():
                answer = knocker.knock(door, **knocker.entitled(door), **how)
                assert 400 <= answer.status_code < 500, (str(door), name, answer.status_code)
                assert tell(watch) == [], (str(door), name)

    def test_that_is_empty_is_refused_where_something_must_be_said(
        self, knocker: Knocker, every_door: list[Door], watch: Watch
    ):
        for door in posts(every_door):
            if not door.form or str(door) in EMPTY_IS_RIGHT:
                continue
            answer = knocker.knock(door, **knocker.entitled(door), content=b"")
            assert is_clear(door, answer.status_code), (str(door), answer.status_code)
            assert tell(watch) == [], str(door)


class TestNonsense:
    @pytest.mark.parametrize("text", [LONG, "a\0b"], ids=["too long", "NUL"])
    def test_in_any_field_is_refused(self, knocker: Knocker, every_door: list[Door], watch: Watch, text: str):
        for door in posts(every_door):
            for name in door.form:
                if (str(door), name) in TAKEN_SHORT:
                    continue
                if door.is_json and name in ("moved", "visible"):
                    continue
                answer = knocker.knock(door, **knocker.entitled(door), form={**door.form, name: text})
                told = (str(door), name, answer.status_code)
                assert is_clear(door, answer.status_code) or _is_only_a_next(name, answer.status_code), told
                assert tell(watch) == [], told

    @pytest.mark.parametrize(
        "text", ["-1", "Ω" * 30, "%", "<script>alert(1)</script>", "' OR 1=1 --", "NOWHERE"]
    )
    def test_is_never_a_fault_of_ours_and_never_a_script(
        self, knocker: Knocker, every_door: list[Door], watch: Watch, text: str
    ):
        for door in posts(every_door):
            for name in door.form:
                answer = knocker.knock(door, **knocker.entitled(door), form={**door.form, name: text})
                told = (str(door), name, answer.status_code)
                assert answer.status_code < 400 or is_clear(door, answer.status_code), told
                assert "<script>alert" not in answer.text, told
                if answer.status_code >= 400:
                    assert tell(watch) == [], told
                else:
                    knocker.house.restore()

    def test_as_the_name_of_a_thing_is_not_found(
        self, knocker: Knocker, every_door: list[Door], watch: Watch
    ):
        for door in posts(every_door):
            for name in door.in_path:
                for value in NUMBERS:
                    address = door.address(knocker.house, **{name: value})
                    answer = knocker.knock(door, address=address, **knocker.entitled(door))
                    assert 400 <= answer.status_code < 500, (address, answer.status_code)
                    assert watch.changed() == [], address


class TestNonsenseInAnAddress:
    def test_is_never_a_fault_of_ours(self, knocker: Knocker, every_door: list[Door], watch: Watch):
        values = (
            "xx", "yesterday", LONG, "a\0b", "-1", "../../etc/passwd", "2025-13-45", "0001-01-01", "9999-12-31",
            "0000-01", "9999-99", "\u202e", "<script>alert(1)</script>",
        )  # fmt: skip
        for door in (each for each in every_door if each.method == "GET"):
            plain = door.address(knocker.house)
            addresses = [
                f"{plain}?{urlencode({name: value})}" for name in (*door.queries, "lang") for value in values
            ]
            addresses += [
                door.address(knocker.house, **{name: value})
                for name in door.in_path
                for value in (*NUMBERS, "%FF", "%0d%0aX-Evil:%20x", "%2e%2e")
            ]
            for address in addresses:
                answer = knocker.ask("GET", address, **knocker.entitled(door))
                assert answer.status_code < 500, (address[:200], answer.status_code)
                assert "<script>alert" not in answer.text, address[:200]
                assert "x-evil" not in answer.headers
                assert "root:" not in answer.text
            assert watch.changed() == [], str(door)


def _is_only_a_next(name: str, status: int) -> bool:
    """Whether it is the page to go on to, which is left away where it is none of ours."""
    return name == "next" and status in (303, 403)
