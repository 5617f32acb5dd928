"""The pages of the feeders' losses: figures, why there is no verdict, the way down, and who sees which feeder."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.balance import looking
from bijlighar.balance import queries as balance
from bijlighar.runtime.line import Line
from tests.web.kit import Client, client_of, signed_in_client
from tests.web.offices_town import english_of, opened_line, parsed_csv, read_all
from tests.web.test_losses import rows
from tests.web.test_meters import cells

PARTS = ("months.csv", "times.csv", "transformers.csv")
PAGES = (
    "/feeder-losses", "/feeder-losses.csv", "/feeder-losses/F1", *(f"/feeder-losses/F1/{part}" for part in PARTS),
)  # fmt: skip
WHY_NONE = "none: feeders are not examined, their transformers are"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def engineer(line: Line) -> Client:
    return signed_in_client(line, "engineer", language="en")


class TestFeeders:
    def test_are_those_of_the_balance_each_with_why_it_has_no_verdict(self, line: Line, engineer: Client):
        read_all(line)

        found = rows(engineer.get("/feeder-losses").text, "feeders")
        table = parsed_csv(engineer.get("/feeder-losses.csv").content)

        assert list(found) == ["F1", "F2"]
        assert found["F1"][:5] == ["F1", "60", "43", "17", "28.6"]
        assert found["F1"][9:11] == ["1", WHY_NONE]
        assert [(row["Feeder"], row["Loss kWh"], row["Loss %"], row["Verdict"]) for row in table] == [
            ("F1", "17.280", "28.5714", WHY_NONE),
            ("F2", "3.600", "20.0", WHY_NONE),
        ]

    def test_of_which_too_little_was_read_stand_last_and_say_so(self, line: Line, engineer: Client):
        read_all(line, leave_out=60)

        found = rows(engineer.get("/feeder-losses").text, "feeders")

        assert list(found) == ["F2", "F1"]
        assert found["F1"][10] == "none: too little read"

    def test_are_ordered_as_asked_in_page_and_table(self, line: Line, engineer: Client):
        read_all(line, leave_out=60)

        for sort, order in (("name", ["F1", "F2"]), ("nonsense", ["F2", "F1"])):
            html = engineer.get(f"/feeder-losses?sort={sort}").text
            table = parsed_csv(engineer.get(f"/feeder-losses.csv?sort={sort}").content)
            assert list(rows(html, "feeders")) == [row["Feeder"] for row in table] == order

    def test_are_reached_from_the_losses(self, line: Line, engineer: Client):
        read_all(line)

        html = engineer.get("/losses").text

        assert 'href="/feeder-losses?from=2025-03-25&amp;to=2025-04-03"' in html
        assert 'href="/feeder-losses/F1?from=2025-03-25&amp;to=2025-04-03"' in html

    def test_without_a_closed_day_say_so(self, engineer: Client):
        assert "No day is closed yet" in engineer.get("/feeder-losses").text
        assert parsed_csv(engineer.get("/feeder-losses.csv").content) == []
        assert "No day of this range is closed yet" in engineer.get("/feeder-losses/F1").text
        for part in PARTS:
            assert parsed_csv(engineer.get(f"/feeder-losses/F1/{part}").content) == []


class TestFeeder:
    def test_shows_its_loss_its_months_and_its_half_hours(self, line: Line, engineer: Client):
        read_all(line)

        html = engineer.get("/feeder-losses/F1").text
        (month,) = parsed_csv(engineer.get("/feeder-losses/F1/months.csv").content)
        times = parsed_csv(engineer.get("/feeder-losses/F1/times.csv").content)

        assert "<b>28.6 %</b>" in html
        verdict = re.search(r'<p id="verdict">(.*?)</p>', html)
        assert verdict is not None
        assert WHY_NONE in verdict[1]
        assert cells(html, "months") == [["April 2025", "3 of 30", "60", "17", "28.6", "100.0"]]
        assert (month["Feeder"], month["Month"], month["Loss kWh"]) == ("F1", "2025-04", "17.280")
        assert cells(html, "times")[1] == ["00:30", "3", "0.420", "0.300", "0.120", "100.0"]
        assert len(times) == 48
        assert {(row["Feeder"], row["Mean gap kWh"], row["Certain"]) for row in times} == {
            ("F1", "0.120", "yes")
        }

    def test_leads_to_its_transformers_and_from_there_to_their_meters(self, line: Line, engineer: Client):
        read_all(line)

        html = engineer.get("/feeder-losses/F1").text
        (row,) = parsed_csv(engineer.get("/feeder-losses/F1/transformers.csv").content)

        assert list(rows(html, "transformers")) == ["T1"]
        assert rows(html, "transformers")["T1"][1:5] == ["58", "43", "14", "25.0"]
        assert (row["Feeder"], row["Transformer"], row["Loss kWh"]) == ("F1", "T1", "14.400")
        closer = re.search(r'href="(/losses/T1\?[^"]*)"', html)
        assert closer is not None
        assert engineer.get(closer[1].replace("&amp;", "&")).status_code == 200
        assert 'href="/network/T1"' in html
        assert 'href="/meters/M1"' in engineer.get("/network/T1").text

    def test_gives_the_doubt_of_its_transformers_where_it_is_asked_for(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        asked: list[list[str]] = []
        found = balance.with_interval

        def with_interval(*args: object, **how: object) -> object:
            asked.append([loss.code for loss in how["losses"]])  # type: ignore[attr-defined]
            return found(*args, **how)  # type: ignore[arg-type]

        monkeypatch.setattr(balance, "with_interval", with_interval)

        assert "Not explained kWh, 90 %" not in engineer.get("/feeder-losses/F1").text
        assert asked == []
        assert "Not explained kWh, 90 %" in engineer.get("/feeder-losses/F1?doubt=yes").text
        assert engineer.get("/feeder-losses/F1/transformers.csv?doubt=yes").status_code == 200
        assert asked == [["T1"], ["T1"]]

    def test_says_how_many_days_it_can_show_by_half_hours(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)

        assert "Choose at most 62 days" in engineer.get("/feeder-losses/F1?from=2025-01-01").text
        assert engineer.get("/feeder-losses/F1/times.csv?from=2025-01-01").status_code == 400
        monkeypatch.setattr(looking, "METER_DAYS_MAX", 6)
        assert "Choose at most 2 days" in engineer.get("/feeder-losses/F1").text
        assert engineer.get("/feeder-losses/F1/times.csv").status_code == 400
        near = "?from=2025-04-02&to=2025-04-03"
        assert len(parsed_csv(engineer.get(f"/feeder-losses/F1/times.csv{near}").content)) == 48


class TestRange:
    @pytest.mark.parametrize(
        "query", ["from=2025-04-03&to=2025-04-01", "from=x", "to=2025-02-30", f"to={'1' * 11}"]
    )
    def test_of_nonsense_is_refused(self, line: Line, engineer: Client, query: str):
        read_all(line)

        for path in PAGES:
            assert engineer.get(f"{path}?{query}").status_code == 400, path


class TestSight:
    def test_is_of_ones_own_feeders_only(self, line: Line):
        read_all(line)
        theirs = signed_in_client(line, "dhar", language="en")

        assert list(rows(theirs.get("/feeder-losses").text, "feeders")) == ["F2"]
        assert [row["Feeder"] for row in parsed_csv(theirs.get("/feeder-losses.csv").content)] == ["F2"]
        for part in ("", *(f"/{part}" for part in PARTS)):
            assert theirs.get(f"/feeder-losses/F2{part}").status_code == 200
            for code in ("F1", "T2", "NONE", "%00", "..%2f", "%22%3E%3Cscript%3E", "x" * 65):
                answer = theirs.get(f"/feeder-losses/{code}{part}")
                assert answer.status_code in (400, 404), (code, part)
                assert "<script>" not in answer.text
                assert "T1" not in answer.text

    def test_sends_a_stranger_to_sign_in_and_refuses_a_wrong_role(self, line: Line):
        for path in PAGES:
            assert client_of(line).get(path).headers["location"].startswith("/sign-in")
            assert signed_in_client(line, "keeper").get(path).status_code == 403


class TestLanguage:
    @pytest.mark.parametrize(
        ("path", "templates"),
        [
            ("/feeder-losses", ("feeder_losses", "loss_cells")),
            ("/feeder-losses/F1?doubt=yes", ("feeder_loss", "loss_cells", "loss_months", "loss_times")),
        ],
    )
    def test_leaves_no_english_on_the_hindi_page(self, line: Line, path: str, templates: tuple[str, ...]):
        read_all(line, leave_out=30)

        html = signed_in_client(line, "engineer").get(path).text

        shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
        left = [
            each for each in english_of(*templates) if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)
        ]
        assert left == []
        assert "none:" not in shown
        assert "फीडर" in shown
