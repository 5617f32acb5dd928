"""The pages of exceptions: the queue of a branch, one exception with its load, the forms that work on it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.runtime.line import Line
from bijlighar.validation import operations as validation
from tests.web.kit import Client, send_form, signed_in_client
from tests.web.offices_town import FIRST, NOW, english_of, opened_line, parsed_csv, read_all


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """M3 of Mhow was not read for its last 60 half-hours; none was read before the first day, which is told too."""
    with opened_line(tmp_path / "home") as opened:
        read_all(opened, leave_out=60)
        validation.validate_range(opened.database, first=FIRST, last=FIRST + timedelta(days=2), now=NOW)
        with opened.database.write() as connection:
            offices.add_person(
                connection, sign_in="second", name="Second", office="MHOW", roles=[Role.CLERK], now=NOW
            )
        yield opened


def found(client: Client, query: str = "") -> list[dict[str, str]]:
    return parsed_csv(client.get(f"/exceptions.csv?{query}").content)


def gap(line: Line) -> str:
    """The number of the exception of M3's gap."""
    rows = found(signed_in_client(line, "engineer", language="en"), "rule=missing&meter=M3")
    return next(row["Exception"] for row in rows if row["Intervals"] == "60")


def take(line: Line, person: str, number: str) -> httpx.Response:
    client = signed_in_client(line, person, language="en")
    return send_form(client, f"/exceptions/{number}/take", revision=revision(client, number))


def revision(client: Client, number: str) -> str:
    """What the page of an exception says it was made from."""
    said = re.search(r'name="revision" value="(\d+)"', client.get(f"/exceptions/{number}").text)
    return "1" if said is None else said[1]


class TestQueue:
    def test_shows_what_was_found_and_offers_to_take_it(self, line: Line):
        html = signed_in_client(line, "mhow", language="en").get("/exceptions?rule=missing").text

        assert "60 intervals not read" in html
        assert f'action="/exceptions/{gap(line)}/take"' in html
        assert 'aria-current="page">Exceptions' in html

    def test_offers_no_form_to_who_only_looks(self, line: Line):
        with line.database.write() as connection:
            offices.add_person(
                connection, sign_in="approver", name="A", office="MHOW", roles=[Role.APPROVER], now=NOW
            )
        client = signed_in_client(line, "approver", language="en")

        assert "/take" not in client.get("/exceptions").text
        assert "/take" not in client.get(f"/exceptions/{gap(line)}").text
        assert send_form(client, f"/exceptions/{gap(line)}/take", revision="1").status_code == 403

    def test_shows_a_branch_its_own(self, line: Line):
        assert {row["Meter"] for row in found(signed_in_client(line, "dhar", language="en"))} <= {
            "D1", "MT-T2", "MF-F2",
        }  # fmt: skip
        mine = signed_in_client(line, "dhar", language="en")
        assert found(mine, "office=MHOW") == []
        assert "MHOW" not in mine.get("/exceptions").text

    def test_is_narrowed_and_takes_nonsense_for_nothing(self, line: Line):
        client = signed_in_client(line, "engineer", language="en")

        of_mhow = {row["Meter"] for row in found(client, "rule=missing&severity=warning&office=MHOW")}
        assert of_mhow == {"M1", "M2", "M3", "MT-T1", "MF-F1"}
        assert {row["Rule"] for row in found(client, "meter=M3&rule=missing")} == {"readings missing"}
        assert found(client, "meter=NONE") == []
        assert found(client, "state=settled") == []
        assert found(client, "state=zz&rule=zz&severity=zz") == found(client)
        assert client.get("/exceptions?page=999").status_code == 200
        for query in ("page=0", "page=x", f"meter={'x' * 65}"):
            assert client.get(f"/exceptions?{query}").status_code == 400

    def test_says_so_where_there_is_nothing(self, line: Line):
        html = signed_in_client(line, "mhow", language="en").get("/exceptions?meter=NONE").text

        assert "Nothing fits" in html

    def test_is_given_a_page_at_a_time(self, line: Line, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("bijlighar.validation.queries.EXCEPTIONS_PER_PAGE", 1)
        client = signed_in_client(line, "engineer", language="en")
        count = len(found(client))
        assert count > 1

        shown = [
            re.findall(
                r'<tr data-state="\w+"><td[^>]*><a href="/exceptions/(\d+)">',
                client.get(f"/exceptions?page={at}").text,
            )
            for at in range(1, count + 1)
        ]

        assert [len(each) for each in shown] == [1] * count
        assert [each[0] for each in shown] == [row["Exception"] for row in found(client)]


class TestException:
    def test_shows_load_place_and_history(self, line: Line):
        html = signed_in_client(line, "engineer", language="en").get(f"/exceptions/{gap(line)}").text

        assert '<svg class="load"' in html
        assert 'href="/network/T1#m-M3"' in html
        assert 'href="/exceptions?meter=M3"' in html
        assert "A3" in html

    def test_of_another_office_is_not_there(self, line: Line):
        client = signed_in_client(line, "dhar", language="en")

        answers = [client.get(f"/exceptions/{number}") for number in (gap(line), "999999")]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert "M3" not in answers[0].text
        for deed in ("take", "give-back", "settle"):
            fields = {"revision": "1", "outcome": "accepted", "note": "x"}
            assert send_form(client, f"/exceptions/{gap(line)}/{deed}", **fields).status_code == 404


class TestWork:
    def test_is_taken_and_settled_by_a_named_person(self, line: Line):
        number = gap(line)
        client = signed_in_client(line, "mhow", language="en")

        assert take(line, "mhow", number).headers["location"] == f"/exceptions/{number}"
        assert [row["Exception"] for row in found(client, "state=mine")] == [number]
        answer = send_form(
            client,
            f"/exceptions/{number}/settle",
            revision=revision(client, number),
            outcome="field",
            note="=modem is dead",
        )

        assert answer.status_code == 303
        (row,) = found(client, "state=settled")
        assert (row["Taken by"], row["Settled by"], row["Settled as"]) == (
            "mhow",
            "mhow",
            "sent to the field",
        )
        assert row["Why"] == "'=modem is dead"
        assert number not in {row["Exception"] for row in found(client)}

    def test_is_given_back(self, line: Line):
        number = gap(line)
        take(line, "mhow", number)
        second = signed_in_client(line, "second", language="en")

        assert "/settle" not in second.get(f"/exceptions/{number}").text
        answer = send_form(second, f"/exceptions/{number}/give-back", revision=revision(second, number))

        assert answer.status_code == 303
        assert found(second, "state=mine") == []

    def test_that_comes_too_late_is_told_so_and_changes_nothing(self, line: Line):
        number = gap(line)
        mine = signed_in_client(line, "mhow", language="en")
        second = signed_in_client(line, "second", language="en")
        seen = revision(mine, number)
        settled = {"revision": seen, "outcome": "accepted", "note": "x"}

        assert send_form(mine, f"/exceptions/{number}/settle", **settled).status_code == 409
        assert take(line, "mhow", number).status_code == 303
        assert send_form(second, f"/exceptions/{number}/take", revision=seen).status_code == 409
        assert send_form(second, f"/exceptions/{number}/settle", **settled).status_code == 409
        stale = {**settled, "revision": str(int(seen) + 7)}
        assert send_form(mine, f"/exceptions/{number}/settle", **stale).status_code == 409
        assert send_form(mine, f"/exceptions/{number}/settle", **settled).status_code == 303
        twice = send_form(mine, f"/exceptions/{number}/settle", **settled)
        assert (twice.status_code, "Open its page again" in twice.text) == (409, True)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"outcome": "nonsense"}, {"outcome": ""}, {"note": " "}, {"note": "x" * 501}, {"revision": ""},
            {"revision": "-1"}, {"revision": "١"}, {"revision": "9" * 400},
        ],
    )  # fmt: skip
    def test_of_a_nonsense_form_is_refused(self, line: Line, wrong: dict[str, str]):
        number = gap(line)
        take(line, "mhow", number)
        client = signed_in_client(line, "mhow", language="en")
        form = {"revision": revision(client, number), "outcome": "accepted", "note": "x"}

        assert send_form(client, f"/exceptions/{number}/settle", **{**form, **wrong}).status_code == 400
        assert len(found(client, "state=taken")) == 1

    def test_leaves_what_was_measured_and_estimated_alone(self, line: Line):
        number = gap(line)
        take(line, "mhow", number)

        report = validation.validate_range(line.database, first=FIRST, last=FIRST, now=NOW)

        assert report.meter_days > 0
        assert found(signed_in_client(line, "mhow", language="en"), "state=taken")[0]["Exception"] == number


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_pages(self, line: Line):
        number = gap(line)
        take(line, "mhow", number)
        client = signed_in_client(line, "mhow")
        for path, name in (("/exceptions", "exceptions"), (f"/exceptions/{number}", "exception")):
            html = client.get(path).text
            shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
            left = [each for each in english_of(name) if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)]
            assert left == [], path
