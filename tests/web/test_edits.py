"""The pages of edits: one person proposes other values, another confirms or refuses; the load page tells of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.runtime.line import Line
from tests.web.kit import Client, send_form, signed_in_client
from tests.web.offices_town import NOW, close_days, deliver, english_of, opened_line, parsed_csv

RUN = {"meter": "M1", "start": "2025-04-02T10:00", "end": "2025-04-02T11:30"}
FORM = {
    **RUN, "kind": "set", "channel": "wh_import", "wh": "10 20, 30", "cause": "complaint", "note": "letter 12",
}  # fmt: skip


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        for meter in ("M1", "D1"):
            deliver(opened, meter, wh=100)
        close_days(opened)
        with opened.database.write() as connection:
            for sign_in, role in (
                ("approver", Role.APPROVER),
                ("second", Role.ENGINEER),
                ("theft", Role.THEFT_OFFICER),
            ):
                offices.add_person(
                    connection, sign_in=sign_in, name=sign_in, office="MHOW", roles=[role], now=NOW
                )
        yield opened


def propose(line: Line, person: str = "mhow", **other: str) -> str:
    """Propose as a page does, and return the address of what was made."""
    answer = send_form(signed_in_client(line, person, language="en"), "/edits", **{**FORM, **other})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def stands(client: Client) -> list[int]:
    """What stands of M1 on the day that is edited, from 10:00 to 11:30 [Wh]."""
    rows = parsed_csv(client.get("/meters/M1/load.csv?from=2025-04-02&to=2025-04-02").content)
    return [int(row["Validated Wh"]) for row in rows if "T10:" in row["Start"] or "T11:00" in row["Start"]]


class TestProposal:
    def test_changes_nothing_and_waits_for_another(self, line: Line):
        path = propose(line)
        client = signed_in_client(line, "mhow", language="en")

        html = client.get(path).text
        assert "letter 12" in html
        assert f'action="{path}/withdraw"' in html
        assert f'action="{path}/confirm"' not in html
        assert stands(client) == [100, 100, 100]
        (row,) = parsed_csv(client.get("/edits.csv").content)
        assert (row["Before Wh"], row["After Wh"], row["Proposed by"]) == ("300", "60", "mhow")

    def test_is_prepared_with_what_stands(self, line: Line):
        html = (
            signed_in_client(line, "mhow", language="en")
            .get("/edits/new?meter=M1&start=2025-04-02T10:00&end=2025-04-02T11:00")
            .text
        )

        assert 'name="start" required value="2025-04-02T10:00"' in html
        assert html.count('<td class="n">100</td>') == 96
        for query in ("", "?meter=M1&start=zz", "?start=2025-04-02T10:00&end=9"):
            page = signed_in_client(line, "mhow", language="en").get(f"/edits/new{query}")
            assert page.status_code == 200, query

    @pytest.mark.parametrize("person", ["approver", "theft", "keeper", "fitter"])
    def test_is_not_for_those_who_only_decide_or_look(self, line: Line, person: str):
        client = signed_in_client(line, person, language="en")

        assert client.get("/edits/new").status_code == 403
        assert send_form(client, "/edits", **FORM).status_code == 403

    def test_of_another_office_is_not_there(self, line: Line):
        client = signed_in_client(line, "dhar", language="en")

        assert client.get("/edits/new?meter=M1").status_code == 404
        assert send_form(client, "/edits", **FORM).status_code in (403, 404)
        path = propose(line)
        assert client.get(path).status_code == 404
        assert client.get(f"{path}/values.csv").status_code == 404
        assert parsed_csv(client.get("/edits.csv?state=all").content) == []

    def test_sent_twice_is_made_once(self, line: Line):
        propose(line)
        client = signed_in_client(line, "mhow", language="en")

        assert send_form(client, "/edits", **FORM).status_code == 409
        assert len(parsed_csv(client.get("/edits.csv").content)) == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"meter": ""}, {"start": ""}, {"start": "yesterday"}, {"start": "2025-04-02T10:00+05:30"},
            {"end": FORM["start"]},
            {"end": "2025-04-02T10:17"}, {"end": "2026-04-02T10:00"}, {"start": "2025-04-02T10:01"},
            {"start": "0001-01-01T00:00"}, {"kind": "nonsense"}, {"channel": "volt"}, {"wh": ""}, {"wh": "1 2"},
            {"wh": "-1"}, {"wh": "1.5"}, {"wh": "٣"}, {"wh": "9" * 11}, {"wh": "1 " * 20_000}, {"cause": ""},
            {"note": " "}, {"note": "x" * 501}, {"wh": "100"}, {"kind": "take_out"}, {"kind": "restore", "wh": ""},
        ],
    )  # fmt: skip
    def test_of_a_nonsense_form_is_refused(self, line: Line, wrong: dict[str, str]):
        client = signed_in_client(line, "mhow", language="en")

        assert 400 <= send_form(client, "/edits", **{**FORM, **wrong}).status_code < 500
        assert parsed_csv(client.get("/edits.csv?state=all").content) == []

    def test_without_its_token_is_refused(self, line: Line):
        client = signed_in_client(line, "mhow")

        assert client.post("/edits", data=FORM).status_code == 403


class TestDecision:
    def test_is_never_the_proposers(self, line: Line):
        path = propose(line, "second")
        client = signed_in_client(line, "second", language="en")

        for deed in ("confirm", "refuse"):
            assert send_form(client, f"{path}/{deed}", revision="1", note="x").status_code == 403
        assert f'action="{path}/confirm"' not in client.get(path).text
        assert stands(client) == [100, 100, 100]

    def test_of_another_person_writes_the_values_and_the_load_page_tells(self, line: Line):
        path = propose(line)
        client = signed_in_client(line, "approver", language="en")

        assert send_form(client, f"{path}/confirm", revision="1", note="seen").status_code == 303
        assert stands(client) == [10, 20, 30]
        assert send_form(client, f"{path}/confirm", revision="1").status_code == 409
        assert send_form(client, f"{path}/confirm", revision="2").status_code == 409
        html = client.get("/meters/M1?from=2025-04-01&to=2025-04-03").text
        assert f'<a href="{path}">' in html
        assert "letter 12" in html
        assert "letter 12" not in client.get("/meters/M1?from=2025-04-01&to=2025-04-01").text
        assert parsed_csv(client.get("/edits.csv").content) == []
        (row,) = parsed_csv(client.get("/edits.csv?state=all&meter=M1").content)
        assert (row["State"], row["Decided by"], row["Word of the decision"]) == (
            "confirmed",
            "approver",
            "seen",
        )

    def test_refuses_with_a_reason(self, line: Line):
        path = propose(line)
        client = signed_in_client(line, "approver", language="en")

        assert send_form(client, f"{path}/refuse", revision="1", note=" ").status_code == 400
        assert send_form(client, f"{path}/refuse", revision="1", note="no paper").status_code == 303
        assert "no paper" in client.get(path).text
        assert stands(client) == [100, 100, 100]

    def test_is_taken_back_by_the_proposer_alone(self, line: Line):
        path = propose(line)

        other = signed_in_client(line, "second", language="en")
        assert send_form(other, f"{path}/withdraw", revision="1").status_code == 400
        mine = signed_in_client(line, "mhow", language="en")
        assert send_form(mine, f"{path}/withdraw", revision="1").status_code == 303
        assert "withdrawn" in mine.get(path).text

    def test_is_refused_where_the_readings_have_changed(self, line: Line):
        path = propose(line)
        deliver(line, "M1", wh=140)

        answer = send_form(signed_in_client(line, "approver", language="en"), f"{path}/confirm", revision="1")

        assert answer.status_code == 409
        assert "propose anew" in answer.text

    def test_gives_its_intervals_as_csv(self, line: Line):
        path = propose(line, kind="take_out", wh="")
        rows = parsed_csv(signed_in_client(line, "approver").get(f"{path}/values.csv").content)

        assert [list(row.values())[2:] for row in rows] == [["100", "100", ""]] * 3


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_pages(self, line: Line):
        path = propose(line, note="शिकायत")
        client = signed_in_client(line, "mhow")
        for address, name in (
            ("/edits", "edits"),
            (path, "edit"),
            ("/edits/new?meter=M1&start=2025-04-02T10:00", "edit_new"),
        ):
            html = client.get(address).text
            shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
            left = [each for each in english_of(name) if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)]
            assert left == [], address
