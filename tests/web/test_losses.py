"""The page of line losses: its figures are the balance's, what is doubtful is flagged, a branch sees its own."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level
from bijlighar.runtime.line import Line
from tests.web.kit import client_of, signed_in_client
from tests.web.offices_town import FIRST, english_of, opened_line, parsed_csv, read_all

LAST = date(2025, 4, 3)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        yield opened


def rows(html: str, table: str) -> dict[str, list[str]]:
    """The cells of a table's rows by their first."""
    body = re.search(rf'<table[^>]* id="{table}">.*?<tbody>(.*?)</tbody>', html, re.DOTALL)
    assert body is not None
    found = {}
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body[1], re.DOTALL):
        cells = [
            re.sub(r"<[^>]*>", "", cell).strip()
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        ]
        found[cells[0]] = cells
    return found


class TestLosses:
    def test_are_those_of_the_balance(self, line: Line):
        read_all(line)

        html = signed_in_client(line, "engineer", language="en").get("/losses").text

        with line.database.read() as connection:
            loss = balance.losses(connection, level=Level.TRANSFORMER, first=FIRST, last=LAST)[0]
        assert (loss.input_wh, loss.loss_wh, loss.loss_pct) == (400 * 144, 100 * 144, 25.0)
        assert list(rows(html, "transformers")) == ["T1", "T2"]
        assert rows(html, "transformers")["T1"][:6] == ["T1", "F1", "58", "43", "14", "25.0"]
        assert rows(html, "feeders")["F1"][:5] == ["F1", "60", "43", "17", "28.6"]
        assert 'href="/network/T1"' in html

    def test_flag_what_was_not_read_and_rank_it_last(self, line: Line):
        read_all(line, leave_out=60)

        html = signed_in_client(line, "engineer", language="en").get("/losses").text

        assert list(rows(html, "transformers")) == ["T2", "T1"]
        assert "too little read" in rows(html, "transformers")["T1"][8]
        assert re.search(r'<tr class="out"><td[^>]*><a href="/network/T1">', html)

    def test_take_the_range_that_is_asked_for(self, line: Line):
        read_all(line)
        client = signed_in_client(line, "engineer", language="en")

        one = client.get("/losses?from=2025-04-02&to=2025-04-02")

        assert rows(one.text, "transformers")["T1"][2] == "19"
        assert client.get("/losses?from=2025-04-03&to=2025-04-01").status_code == 400
        assert client.get("/losses?from=yesterday").status_code == 400

    def test_say_so_where_there_is_none(self, line: Line):
        assert "No day is closed yet" in signed_in_client(line, "engineer", language="en").get("/losses").text


class TestExport:
    def test_reads_back_as_the_balance_has_it(self, line: Line):
        read_all(line)

        answer = signed_in_client(line, "engineer", language="en").get("/losses.csv")

        found = parsed_csv(answer.content)
        assert [(row["Level"], row["Code"], row["Loss kWh"], row["Loss %"]) for row in found] == [
            ("Transformer", "T1", "14.400", "25.0"),
            ("Transformer", "T2", "2.880", "16.6667"),
            ("Feeder", "F1", "17.280", "28.5714"),
            ("Feeder", "F2", "3.600", "20.0"),
        ]
        assert answer.headers["content-disposition"] == 'attachment; filename="losses.csv"'

    def test_has_a_hindi_head_for_a_hindi_reader(self, line: Line):
        read_all(line)

        head = parsed_csv(signed_in_client(line, "engineer").get("/losses.csv").content)[0]

        assert "लॉस kWh" in head
        assert "Loss kWh" not in head


class TestBranch:
    def test_shows_a_clerk_their_own_only(self, line: Line):
        read_all(line)
        client = signed_in_client(line, "dhar", language="en")

        html = client.get("/losses").text

        assert (list(rows(html, "transformers")), list(rows(html, "feeders"))) == (["T2"], ["F2"])
        assert {row["Code"] for row in parsed_csv(client.get("/losses.csv").content)} == {"T2", "F2"}

    def test_sends_a_stranger_to_sign_in_and_refuses_a_wrong_role(self, line: Line):
        for path in ("/losses", "/losses.csv"):
            assert client_of(line).get(path).headers["location"].startswith("/sign-in")
            assert signed_in_client(line, "keeper").get(path).status_code == 403


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_page(self, line: Line):
        read_all(line, leave_out=60)
        html = signed_in_client(line, "engineer").get("/losses").text
        shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])

        assert [
            text
            for text in english_of("losses", "loss_cells")
            if re.search(rf"(?m)^\s*{re.escape(text)}\s*$", shown)
        ] == []
