"""The pages of exceptions: the queue of a branch, one exception with its load, the forms that work on it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bijlighar.offices import operations as offices
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from bijlighar.rollout import operations as rollout_operations
from bijlighar.rollout import queries as rollout
from bijlighar.rollout.model import Check
from bijlighar.runtime.line import Line
from bijlighar.validation import operations as validation
from bijlighar.validation import queries
from tests.web.kit import Client, form_token, send_form, signed_in_client
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
                r'<tr data-state="\w+">.*?<a href="/exceptions/(\d+)">',
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


def numbers_of(client: Client, query: str) -> list[str]:
    return [row["Exception"] for row in found(client, query)]


def outcomes_in(html: str) -> dict[str, str]:
    """What the page of results says of each exception: yes or no."""
    return {
        number: done
        for done, number in re.findall(r'<tr data-done="(\w+)">.*?<a href="/exceptions/(\d+)">', html)
    }


class TestSeveral:
    def send(self, client: Client, deed: str, picked: list[str], **fields: str) -> httpx.Response:
        data = {"_csrf_token": form_token(client), "picked": picked, **fields}
        return client.post(f"/exceptions/several/{deed}", data=data)

    def test_are_taken_and_settled_with_one_reason_each_kept_singly(self, line: Line):
        client = signed_in_client(line, "mhow", language="en")
        numbers = numbers_of(client, "state=open")[:3]
        picked = [f"{number}:{revision(client, number)}" for number in numbers]

        taken = self.send(client, "take", picked)
        settled = self.send(client, "settle", picked, outcome="accepted", note="a strike of the readers")

        assert (taken.status_code, outcomes_in(taken.text)) == (200, dict.fromkeys(numbers, "yes"))
        assert outcomes_in(settled.text) == dict.fromkeys(numbers, "yes")
        rows = [row for row in found(client, "state=settled") if row["Exception"] in numbers]
        assert [(row["Settled by"], row["Why"]) for row in rows] == [("mhow", "a strike of the readers")] * 3
        with line.database.read() as connection:
            steps = [queries.exception_steps(connection, number=int(each))[-2:] for each in numbers]
        assert [[step.event.value for step in each] for each in steps] == [["take", "settle"]] * 3

    def test_are_told_one_by_one_where_some_are_refused(self, line: Line):
        client, second = (signed_in_client(line, each, language="en") for each in ("mhow", "second"))
        mine, others, untouched = numbers_of(client, "state=open")[:3]
        take(line, "mhow", mine)
        take(line, "second", others)
        picked = [f"{number}:{revision(client, number)}" for number in (mine, others, untouched)]

        answer = self.send(client, "settle", [*picked, "999999:1"], outcome="records", note="put right")

        assert outcomes_in(answer.text) == {mine: "yes", others: "no", untouched: "no", "999999": "no"}
        assert "second has taken exception" in answer.text
        assert numbers_of(client, "state=settled") == [mine]
        assert numbers_of(second, "state=mine") == [others]

    def test_sent_twice_are_settled_once(self, line: Line):
        client = signed_in_client(line, "mhow", language="en")
        number = gap(line)
        take(line, "mhow", number)
        picked = [f"{number}:{revision(client, number)}"]

        self.send(client, "settle", picked, outcome="field", note="look")
        again = self.send(client, "settle", picked, outcome="field", note="look")

        assert outcomes_in(again.text) == {number: "no"}
        with line.database.read() as connection:
            assert len(rollout.checks_for(connection, subject=f"exception:{number}")) == 1

    def test_of_another_office_are_not_there(self, line: Line):
        number = gap(line)
        client = signed_in_client(line, "dhar", language="en")

        answer = self.send(client, "take", [f"{number}:1"])

        assert outcomes_in(answer.text) == {number: "no"}
        assert "M3" not in answer.text
        assert found(signed_in_client(line, "mhow", language="en"), "state=taken") == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"picked": []}, {"picked": ["x"]}, {"picked": ["1"]}, {"picked": ["1:"]}, {"picked": ["1:x", "2:1"]},
            {"picked": [f"{number}:1" for number in range(1, 52)]}, {"outcome": ""}, {"outcome": "nonsense"},
            {"note": " "}, {"note": "x" * 501},
        ],
    )  # fmt: skip
    def test_of_a_nonsense_form_is_refused_whole(self, line: Line, wrong: dict[str, Any]):
        number = gap(line)
        take(line, "mhow", number)
        client = signed_in_client(line, "mhow", language="en")
        form: dict[str, Any] = {"picked": [f"{number}:1"], "outcome": "accepted", "note": "x"} | wrong

        assert self.send(client, "settle", **form).status_code == 400
        assert numbers_of(client, "state=taken") == [number]

    def test_are_offered_to_who_works_on_them_alone_and_may_be_picked_all_at_once(self, line: Line):
        with line.database.write() as connection:
            offices.add_person(
                connection, sign_in="approver", name="A", office="MHOW", roles=[Role.APPROVER], now=NOW
            )
        html = signed_in_client(line, "mhow", language="en").get("/exceptions?pick=all").text
        looks = signed_in_client(line, "approver", language="en")

        assert html.count(" checked") == len(re.findall('name="picked"', html)) > 1
        assert "/exceptions/several" not in looks.get("/exceptions").text
        assert self.send(looks, "take", ["1:1"]).status_code == 403


class TestField:
    def settled(self, line: Line) -> str:
        """Settle M3's gap as sent to the field."""
        number = gap(line)
        take(line, "mhow", number)
        client = signed_in_client(line, "mhow", language="en")
        fields = {"outcome": "field", "note": "modem is dead"}
        answer = send_form(
            client, f"/exceptions/{number}/settle", revision=revision(client, number), **fields
        )
        assert answer.status_code == 303
        return number

    def check_of(self, line: Line, number: str) -> Check:
        with line.database.read() as connection:
            (check,) = rollout.checks_for(connection, subject=f"exception:{number}")
        return check

    def test_orders_a_check_that_the_exception_shows(self, line: Line):
        number = self.settled(line)
        check = self.check_of(line, number)

        assert (check.meter, check.account, check.office) == ("M3", "A3", "MHOW")
        assert (check.reason, check.ordered_by) == ("modem is dead", "mhow")
        html = signed_in_client(line, "mhow", language="en").get(f"/exceptions/{number}").text
        assert f'href="/checks/{check.number}">Check {check.number}</a> · planned' in html

    def test_is_completed_by_the_fitter_and_the_exception_says_so(self, line: Line):
        number = self.settled(line)
        check = self.check_of(line, number)
        engineer, fitter = (signed_in_client(line, each, language="en") for each in ("engineer", "fitter"))
        path = f"/checks/{check.number}"

        assert send_form(fitter, f"{path}/issue", revision="1", fitter="Ram").status_code == 403
        assert send_form(engineer, f"{path}/issue", revision="1", fitter="Ram").status_code == 303
        said = {"revision": "2", "found": "mended", "note": "SIM pushed in"}
        assert send_form(fitter, f"{path}/report", **said).status_code == 303

        html = signed_in_client(line, "mhow", language="en").get(f"/exceptions/{number}").text
        assert "put right on the spot</strong> – SIM pushed in" in html
        assert send_form(fitter, f"{path}/report", **said).status_code == 409
        assert parsed_csv(engineer.get("/checks.csv").content) == []
        (row,) = parsed_csv(engineer.get("/checks.csv?state=all").content)
        assert (row["Meter"], row["State"], row["Ended by"]) == ("M3", "done", "fitter")

    def test_of_a_meter_that_somebody_goes_to_orders_no_second_one(self, line: Line):
        number = self.settled(line)
        check = self.check_of(line, number)
        with line.database.write() as connection:
            again = rollout_operations.order_check(
                connection, meter="M3", subject="exception:77", reason="spike", person="mhow", now=NOW
            )
        with line.database.read() as connection:
            assert again.number == check.number
            subjects = rollout.subjects_of_check(connection, number=check.number)
        assert subjects == tuple(sorted(("exception:77", f"exception:{number}")))

    def test_is_not_settled_where_nobody_can_be_sent(self, line: Line, monkeypatch: pytest.MonkeyPatch):
        number = gap(line)
        take(line, "mhow", number)
        client = signed_in_client(line, "mhow", language="en")

        def refuse(*_: object, **__: object) -> None:
            raise NotPermitted("not there")

        monkeypatch.setattr("bijlighar.runtime.exception_deeds.rollout.order_check", refuse)
        fields = {"outcome": "field", "note": "x", "revision": revision(client, number)}

        assert send_form(client, f"/exceptions/{number}/settle", **fields).status_code == 403
        assert numbers_of(client, "state=taken") == [number]

    def test_fails_is_planned_again_and_cancelled(self, line: Line):
        path = f"/checks/{self.check_of(line, self.settled(line)).number}"
        engineer = signed_in_client(line, "engineer", language="en")

        def step(deed: str, **fields: str) -> int:
            return send_form(engineer, f"{path}/{deed}", **fields).status_code

        assert step("issue", revision="1", fitter="Ram") == 303
        assert step("fail", revision="2", note="locked") == 303
        assert "could not be done" in engineer.get(path).text
        assert step("again", revision="2") == 409
        assert step("again", revision="3") == 303
        assert step("cancel", revision="4", note="sold") == 303
        assert step("issue", revision="5", fitter="Ram") == 409
        assert step("report", revision="5", found="nonsense", note="x") == 400

    def test_of_another_office_is_not_there(self, line: Line):
        path = f"/checks/{self.check_of(line, self.settled(line)).number}"
        client = signed_in_client(line, "dhar", language="en")

        assert (client.get(path).status_code, "M3" in client.get("/checks").text) == (404, False)


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_pages(self, line: Line):
        number = gap(line)
        take(line, "mhow", number)
        client = signed_in_client(line, "mhow")
        fields = {"revision": revision(client, number), "outcome": "field", "note": "जाँचें"}
        send_form(client, f"/exceptions/{number}/settle", **fields)
        for path, name in (
            ("/exceptions", "exceptions"),
            (f"/exceptions/{number}", "exception"),
            ("/checks", "checks"),
            ("/checks/1", "check"),
        ):
            html = client.get(path).text
            shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
            left = [each for each in english_of(name) if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)]
            assert left == [], path
