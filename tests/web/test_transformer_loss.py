"""The page of one transformer's loss: its doubt, months and times of day, and whom it names, to whom."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from bijlighar.balance import operations
from bijlighar.balance import queries as balance
from bijlighar.balance.model import VERDICT_NAMES, Loss, Misplaced, Suspect, Verdict
from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.registry import operations as registry
from bijlighar.runtime.line import Line
from bijlighar.web.console import losses
from tests.web.kit import Client, client_of, signed_in_client
from tests.web.offices_town import FIRST, HEADER, NOW, english_of, opened_line, parsed_csv, read_all
from tests.web.test_meters import cells

LAST = date(2025, 4, 3)
PARTS = ("months.csv", "times.csv", "suspects.csv")
INTERVAL = (3_000, 21_000)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def engineer(line: Line) -> Client:
    return signed_in_client(line, "engineer", language="en")


def judged(
    monkeypatch: pytest.MonkeyPatch, verdict: Verdict, *, interval: tuple[int, int] = INTERVAL
) -> None:
    """Let the examination come to a verdict, and name two meters of T1 and a wrong record."""
    found = balance.examined_loss

    def examined_loss(*args: object, **asked: object) -> Loss | None:
        loss = found(*args, **asked)  # type: ignore[arg-type]
        assert loss is not None
        return replace(
            loss,
            verdict=verdict,
            theft_suspected=verdict is Verdict.SUSPECTED,
            technical_loss_wh=2_400,
            non_technical_loss_wh=12_000,
            non_technical_loss_wh_interval=interval,
            suspects=(
                Suspect(meter="M2", score=0.8, evidence=Words(hi="यह साक्ष्य", en="=this evidence")),
                Suspect(meter="D1", score=0.4, evidence=Words(hi="वह साक्ष्य", en="that evidence")),
            ),
            misplaced=(
                Misplaced(meter="M3", registered="T1", found="T2", evidence=Words(hi="वोल्टेज", en="its voltage")),
            ),
        )  # fmt: skip

    monkeypatch.setattr(balance, "examined_loss", examined_loss)


class TestDoubt:
    def test_stands_with_the_loss_and_the_suspects_lead_to_their_load(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        judged(monkeypatch, Verdict.SUSPECTED)

        html = engineer.get("/losses/T1").text

        assert "<b>25.0 %</b>" in html
        assert "90 %: 3.0 to 21.0 kWh" in html
        verdict = re.search(r'<p id="verdict">(.*?)</p>', html)
        assert verdict is not None
        assert "theft suspected" in verdict[1]
        assert [row[:2] for row in cells(html, "suspects")] == [["M2", "0.80"], ["D1", "0.40"]]
        assert 'href="/meters/M2?from=2025-03-25&amp;to=2025-04-03"' in html
        assert [row[:3] for row in cells(html, "misplaced")] == [["M3", "T1", "T2"]]
        assert "no probability and no proof" in html

    def test_leads_from_a_suspect_to_its_case(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        judged(monkeypatch, Verdict.SUSPECTED)
        with line.database.write() as connection:
            case = operations.open_case(
                connection,
                new=operations.NewCase(meter="M2", note="first of the list"),
                person="engineer",
                now=NOW,
            )

        html = engineer.get("/losses/T1").text

        assert re.findall(r'<a href="(/cases/\d+)">', html) == [f"/cases/{case.number}"]
        assert [row[0].split() for row in cells(html, "suspects")] == [
            ["M2", "·", "Case", f"{case.number}"],
            ["D1"],
        ]

    @pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.SUSPECTED])
    def test_names_nobody_as_a_thief_without_suspicion(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
    ):
        read_all(line)
        judged(monkeypatch, verdict, interval=(-3_000, 21_000))

        html = engineer.get("/losses/T1").text

        assert VERDICT_NAMES[verdict].en in html
        assert "theft suspected" not in html
        assert 'id="suspects"' not in html
        assert "No meter is named" in html
        assert parsed_csv(engineer.get("/losses/T1/suspects.csv").content) == []

    def test_that_is_not_known_is_said_so(self, line: Line, engineer: Client):
        read_all(line)

        html = engineer.get("/losses/T1").text

        assert VERDICT_NAMES[Verdict.TOO_SHORT].en in html
        assert "how sure is not known" in html
        assert "not examined over more than 62 days" in engineer.get("/losses/T1?from=2025-01-01").text

    def test_is_given_with_each_suspect_in_the_export(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        judged(monkeypatch, Verdict.SUSPECTED)

        first, _ = parsed_csv(engineer.get("/losses/T1/suspects.csv").content)

        assert list(first.values()) == ["T1", "M2", "0.8", "'=this evidence", "3.000", "21.000"]


class TestMonths:
    def test_are_those_of_the_balance(self, line: Line, engineer: Client):
        read_all(line)

        html = engineer.get("/losses/T1").text
        (row,) = parsed_csv(engineer.get("/losses/T1/months.csv").content)

        assert cells(html, "months") == [["April 2025", "3 of 30", "58", "14", "25.0", "100.0"]]
        assert (row["Month"], row["Loss kWh"], row["Loss %"], row["Certain"]) == (
            str(Month.of(FIRST)),
            "14.400",
            "25.0",
            "yes",
        )

    def test_of_which_too_little_was_read_are_marked_by_form_and_word(self, line: Line, engineer: Client):
        read_all(line, leave_out=60)

        html = engineer.get("/losses/T1").text

        assert 'class="bar-of-day doubtful"' in html
        assert "too little read" in cells(html, "months")[0][5]


class TestTimes:
    def test_are_those_of_the_balance(self, line: Line, engineer: Client):
        read_all(line)

        html = engineer.get("/losses/T1").text
        rows = parsed_csv(engineer.get("/losses/T1/times.csv").content)

        assert cells(html, "times")[1] == ["00:30", "3", "0.400", "0.300", "0.100", "100.0"]
        assert len(rows) == 48
        assert {(row["Days"], row["Mean gap kWh"], row["Certain"]) for row in rows} == {("3", "0.100", "yes")}
        assert (rows[0]["Half-hour from"], rows[-1]["Half-hour from"]) == ("00:00", "23:30")

    def test_of_a_long_range_are_not_drawn_and_not_exported(self, line: Line, engineer: Client):
        read_all(line)

        assert "Choose at most 62 days" in engineer.get("/losses/T1?from=2025-01-01").text
        assert engineer.get("/losses/T1/times.csv?from=2025-01-01").status_code == 400


class TestRange:
    @pytest.mark.parametrize(
        "query",
        [
            "from=2025-04-03&to=2025-04-01",
            "from=x",
            "to=2025-02-30",
            "from=0001-01-01",
            "from=1999-01-01",
            f"to={'1' * 11}",
        ],
    )
    def test_of_nonsense_is_refused(self, line: Line, engineer: Client, query: str):
        read_all(line)

        for part in ("", *(f"/{part}" for part in PARTS)):
            assert engineer.get(f"/losses/T1{part}?{query}").status_code == 400, part

    def test_without_a_closed_day_says_so(self, engineer: Client):
        html = engineer.get("/losses/T1").text

        assert "No day of this range is closed yet" in html
        for part in PARTS:
            assert parsed_csv(engineer.get(f"/losses/T1/{part}").content) == []


class TestSight:
    def test_is_of_ones_own_transformers_only(self, line: Line):
        read_all(line)
        theirs = signed_in_client(line, "dhar", language="en")

        for part in ("", *(f"/{part}" for part in PARTS)):
            assert theirs.get(f"/losses/T2{part}").status_code == 200
            for code in ("T1", "NONE", "%00", "..%2f", "%22%3E%3Cscript%3E", "x" * 65):
                answer = theirs.get(f"/losses/{code}{part}")
                assert answer.status_code in (400, 404), (code, part)
                assert "<script>" not in answer.text
                assert "M1" not in answer.text

    def test_names_no_meter_of_another_office_at_a_shared_transformer(
        self, line: Line, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        row = "B7,Asha,LV-1.2,urban,2000,U-B7,S1,single-phase,,T1,F1,R,DHAR,2025-03-01\n"
        with line.database.write() as connection:
            registry.import_registry(connection, text=HEADER + row, now=NOW)
        judged(monkeypatch, Verdict.SUSPECTED)
        theirs = signed_in_client(line, "dhar", language="en")

        html = theirs.get("/losses/T1").text

        assert [row[0] for row in cells(html, "suspects")] == ["D1"]
        assert 'id="misplaced"' not in html
        assert "Meters of another office, not shown: 2." in html
        assert [row["Meter"] for row in parsed_csv(theirs.get("/losses/T1/suspects.csv").content)] == ["D1"]

    def test_sends_a_stranger_to_sign_in_and_refuses_a_wrong_role(self, line: Line):
        for path in ("/losses/T1", *(f"/losses/T1/{part}" for part in PARTS)):
            assert client_of(line).get(path).headers["location"].startswith("/sign-in")
            assert signed_in_client(line, "keeper").get(path).status_code == 403


class TestListWithDoubt:
    def test_gives_the_interval_of_what_is_not_explained_and_no_verdict(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        found = balance.with_interval

        def with_interval(*args: object, **asked: object) -> tuple[Loss, ...]:
            return tuple(
                replace(loss, non_technical_loss_wh=12_000, non_technical_loss_wh_interval=INTERVAL)
                for loss in found(*args, **asked)  # type: ignore[arg-type]
            )

        monkeypatch.setattr(balance, "with_interval", with_interval)

        html = engineer.get("/losses?doubt=yes").text
        plain = engineer.get("/losses").text
        rows = parsed_csv(engineer.get("/losses.csv?doubt=yes").content)

        assert html.count("3 to 21") == 2
        assert "theft" not in html.replace("no theft yet", "")
        assert "Not explained" not in plain
        assert [row["Not explained, low end kWh"] for row in rows] == ["3.000", "3.000", "", ""]
        assert 'href="/losses/T1?from=2025-03-25&amp;to=2025-04-03"' in plain

    def test_examines_no_more_meters_at_once_than_a_page_can(
        self, line: Line, engineer: Client, monkeypatch: pytest.MonkeyPatch
    ):
        read_all(line)
        asked: list[list[str]] = []
        monkeypatch.setattr(losses, "METERS_EXAMINED_MAX", 3)
        monkeypatch.setattr(
            balance,
            "with_interval",
            lambda _connection, **how: asked.append([loss.code for loss in how["losses"]]) or (),
        )

        assert engineer.get("/losses?doubt=yes").status_code == 200
        assert asked == [["T1"]]

    def test_of_a_long_range_is_not_worked_out(self, line: Line, engineer: Client):
        read_all(line)

        answer = engineer.get("/losses?doubt=yes&from=2025-01-01")

        assert answer.status_code == 200
        assert "The doubt of 0 transformers" in answer.text


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_page(self, line: Line, monkeypatch: pytest.MonkeyPatch):
        read_all(line, leave_out=30)
        judged(monkeypatch, Verdict.SUSPECTED)
        client = signed_in_client(line, "engineer")

        html = client.get("/losses/T1").text

        shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
        left = [
            each
            for each in english_of("loss", "loss_months", "loss_times")
            if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)
        ]
        assert left == []
        assert "चोरी का संदेह" in shown
        assert "यह साक्ष्य" in shown


def test_the_way_from_the_network_leads_here(line: Line, engineer: Client):
    read_all(line)

    assert 'href="/losses/T1"' in engineer.get("/network/T1").text
    assert (FIRST + timedelta(days=2)) == LAST
