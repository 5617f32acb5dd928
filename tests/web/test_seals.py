"""The pages of sealed months: what stands in the way, what came late, opening by two persons."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from bijlighar.base.period import Period, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.runtime.line import Line
from tests.billing.town import measure
from tests.web.kit import Client, send_form, signed_in_client
from tests.web.offices_town import NOW, english_of, opened_line, parsed_csv

MARCH = Period(start=local_midnight(date(2025, 3, 1)), end=local_midnight(date(2025, 4, 1)))
FORM = {"month": "2025-03", "office": "MHOW", "note": "billed"}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """March was read and validated of M1, M2 and D1; an approver and a second one work in Mhow."""
    with opened_line(tmp_path / "home") as opened:
        for meter in ("M1", "M2", "D1"):
            measure(opened.database, meter, period=MARCH)
        with opened.database.write() as connection:
            for sign_in, role in (
                ("approver", Role.APPROVER),
                ("second", Role.APPROVER),
                ("theft", Role.THEFT_OFFICER),
            ):
                offices.add_person(
                    connection, sign_in=sign_in, name=sign_in, office="MHOW", roles=[role], now=NOW
                )
        yield opened


def client_of(line: Line, person: str) -> Client:
    return signed_in_client(line, person, language="en")


def sealed(line: Line) -> str:
    answer = send_form(client_of(line, "approver"), "/seals", **FORM)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def rows_in_the_way(html: str) -> dict[str, str]:
    """What the page says of each condition: yes or no."""
    found = re.findall(r'<tr data-right="(\w+)"><td[^>]*>([^<]*)</td>', html)
    return {name: is_right for is_right, name in found}


def seals_of(line: Line) -> list[dict[str, str]]:
    return parsed_csv(client_of(line, "engineer").get("/seals.csv").content)


class TestOutlook:
    def test_says_what_stands_in_the_way(self, line: Line):
        client = client_of(line, "approver")
        over, running = (client.get(f"/seals/new?month={month}").text for month in ("2025-03", "2025-04"))

        assert rows_in_the_way(over)["The month"] == "yes"
        assert rows_in_the_way(over)["Accounts not billed yet"] == "no"
        assert 'action="/seals"' in over
        assert rows_in_the_way(running)["The month"] == "no"
        assert rows_in_the_way(running)["Meter-days stored"] == "no"
        assert 'action="/seals"' not in running

    def test_counts_what_is_not_validated_and_names_the_first(self, line: Line):
        day = local_midnight(date(2025, 3, 9))
        measure(
            line.database, "M3", period=Period(start=day, end=day + timedelta(days=2)), is_validated=False
        )

        html = client_of(line, "approver").get("/seals/new?month=2025-03").text

        assert "2, the first of meter M3 on 9 March 2025" in html
        assert 'action="/seals"' not in html
        assert send_form(client_of(line, "approver"), "/seals", **FORM).status_code == 409
        assert seals_of(line) == []

    def test_of_another_office_is_ones_own(self, line: Line):
        html = client_of(line, "dhar").get("/seals/new?month=2025-03&office=MHOW").text

        assert "M1" not in html
        assert 'value="MHOW"' not in html


class TestSeal:
    def test_shuts_the_month_for_its_office_and_below(self, line: Line):
        path = sealed(line)

        (row,) = seals_of(line)
        assert (row["Month"], row["Office"], row["State"], row["Meter-days"]) == (
            "2025-03", "MHOW", "sealed", "62",
        )  # fmt: skip
        html = client_of(line, "mhow").get("/seals").text
        assert f'<a href="{path}">' in html
        assert "unchanged since it was sealed" in client_of(line, "mhow").get(f"{path}?check=1").text

    def test_is_set_once(self, line: Line):
        sealed(line)

        assert send_form(client_of(line, "approver"), "/seals", **FORM).status_code == 409
        assert len(seals_of(line)) == 1

    @pytest.mark.parametrize("person", ["mhow", "theft", "keeper", "fitter", "dhar"])
    def test_is_not_for_others(self, line: Line, person: str):
        assert send_form(client_of(line, person), "/seals", **FORM).status_code == 403
        assert seals_of(line) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"month": ""}, {"month": "2025-13"}, {"month": "yesterday"}, {"month": "2025-04"}, {"month": "2024-01"},
            {"office": ""}, {"office": "NOWHERE"}, {"note": " "}, {"note": "x" * 501},
        ],
    )  # fmt: skip
    def test_of_a_nonsense_form_is_refused(self, line: Line, wrong: dict[str, str]):
        answer = send_form(client_of(line, "approver"), "/seals", **{**FORM, **wrong})

        assert 400 <= answer.status_code < 500
        assert seals_of(line) == []

    def test_without_its_token_is_refused(self, line: Line):
        assert client_of(line, "approver").post("/seals", data=FORM).status_code == 403

    def test_tells_what_came_late(self, line: Line):
        path = sealed(line)
        day = local_midnight(date(2025, 3, 9))
        measure(
            line.database,
            "M1",
            period=Period(start=day, end=day + timedelta(hours=1)),
            wh=250,
            is_validated=False,
        )
        client = client_of(line, "mhow")

        (late,) = parsed_csv(client.get(f"{path}/late.csv").content)
        assert (late["Meter"], late["Intervals"], late["Difference Wh"]) == ("M1", "2", "100")
        assert "would grow by 0.100 kWh" in client.get(path).text
        assert [row["Late meter-days"] for row in seals_of(line)] == ["1"]


class TestOpening:
    def test_is_asked_by_one_and_confirmed_by_another(self, line: Line):
        path = sealed(line)
        mine, second = client_of(line, "approver"), client_of(line, "second")

        assert send_form(mine, f"{path}/ask", revision="1", note="bill wrong").status_code == 303
        for deed in ("confirm", "refuse"):
            assert send_form(mine, f"{path}/{deed}", revision="2", note="x").status_code == 403
        assert f'action="{path}/confirm"' not in mine.get(path).text
        assert send_form(second, f"{path}/confirm", revision="1", note="x").status_code == 409
        assert send_form(second, f"{path}/confirm", revision="2", note=" ").status_code == 409
        assert send_form(second, f"{path}/confirm", revision="2", note="seen").status_code == 303
        assert send_form(second, f"{path}/confirm", revision="2", note="seen").status_code == 409
        (row,) = seals_of(line)
        assert (row["State"], row["Decided by"]) == ("opened", "second")

    def test_is_refused_or_taken_back_and_the_month_stays_sealed(self, line: Line):
        path = sealed(line)
        clerk, second = client_of(line, "mhow"), client_of(line, "second")

        send_form(clerk, f"{path}/ask", revision="1", note="a")
        assert send_form(second, f"{path}/withdraw", revision="2").status_code == 409
        assert send_form(second, f"{path}/refuse", revision="2", note="no").status_code == 303
        send_form(clerk, f"{path}/ask", revision="3", note="b")
        assert send_form(clerk, f"{path}/confirm", revision="4", note="x").status_code == 403
        assert send_form(clerk, f"{path}/withdraw", revision="4").status_code == 303
        assert [row["State"] for row in seals_of(line)] == ["sealed"]

    def test_of_another_office_is_not_there(self, line: Line):
        path = sealed(line)
        client = client_of(line, "dhar")

        for address in (path, f"{path}/late.csv"):
            assert client.get(address).status_code == 404
        assert send_form(client, f"{path}/ask", revision="1", note="x").status_code == 404
        assert "MHOW" not in client.get("/seals").text


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_pages(self, line: Line):
        path = sealed(line)
        client = signed_in_client(line, "approver")
        for address, name in (
            ("/seals", "seals"),
            (path, "seal"),
            ("/seals/new?month=2025-03", "seal_new"),
        ):
            html = client.get(address).text
            shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])
            left = [each for each in english_of(name) if re.search(rf"(?m)^\s*{re.escape(each)}\s*$", shown)]
            assert left == [], address
