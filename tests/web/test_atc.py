"""The page of the AT&C loss: the figures of the room, by office, with the reason where none is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.balance import queries
from bijlighar.base.period import Month
from bijlighar.runtime.line import Line
from tests.web.kit import signed_in_client
from tests.web.offices_town import NOW, english_of, opened_line, parsed_csv, read_all

APRIL = Month(year=2025, month=4)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        read_all(opened)
        yield opened


class TestPage:
    def test_tells_an_office_and_those_right_below_it(self, line: Line):
        client = signed_in_client(line, "engineer", language="en")

        rows = parsed_csv(client.get("/atc.csv?month=2025-04").content)

        with line.database.read() as connection:
            own = queries.atc_loss(connection, office="CO", month=APRIL, now=NOW)
        assert rows[0]["Office"] == "CO"
        assert float(rows[0]["Input kWh"]) * 1000 == own.input_wh > 0
        assert rows[0]["AT&C loss %"] == ""
        assert "the month in which the bills are paid is not over" in rows[0]["Why no loss is told"]
        html = client.get("/atc?month=2025-04").text
        assert "not told" in html
        for row in rows[1:]:
            assert f"office={row['Office']}" in html

    def test_leads_down_and_up_within_sight_alone(self, line: Line):
        town = signed_in_client(line, "mhow", language="en")

        assert parsed_csv(town.get("/atc.csv?office=CO").content)[0]["Office"] == "MHOW"
        assert "DHAR" not in town.get("/atc?office=DHAR").text
        assert "The office above" not in town.get("/atc").text
        assert (
            "The office above"
            in signed_in_client(line, "engineer", language="en").get("/atc?office=MHOW").text
        )

    def test_takes_nonsense_for_the_usual_month(self, line: Line):
        client = signed_in_client(line, "engineer", language="en")

        usual = parsed_csv(client.get("/atc.csv").content)[0]["Month"]
        assert usual == "2025-02"
        for month in ("zz", "2025-13", "-1"):
            assert parsed_csv(client.get(f"/atc.csv?month={month}").content)[0]["Month"] == usual

    @pytest.mark.parametrize("person", ["keeper", "fitter"])
    def test_is_not_for_others(self, line: Line, person: str):
        client = signed_in_client(line, person)

        assert [client.get(path).status_code for path in ("/atc", "/atc.csv")] == [403, 403]

    def test_leaves_no_english_on_the_hindi_page(self, line: Line):
        html = signed_in_client(line, "engineer").get("/atc?month=2025-04").text
        main = html[html.index("<main") :]

        assert [each for each in english_of("atc") if f">{each}<" in main] == []
