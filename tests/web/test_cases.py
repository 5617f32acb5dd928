"""The pages of cases: what a branch looks into, and one case with its steps. They are looked at, not worked on."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.balance import operations, queries
from bijlighar.balance.model import Case, CaseFinding, CaseOrigin, TheftKind
from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.runtime.line import Line
from tests.web.kit import signed_in_client
from tests.web.offices_town import NOW, opened_line, parsed_csv

EVIDENCE = Words(hi="वोल्टेज ज़्यादा गिरता है", en="the voltage falls more than its load explains")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """Mhow, where a case of M3 goes as far as assessed units, and one of D1 in Dhar is open."""
    with opened_line(tmp_path / "home") as opened:
        with opened.database.write() as connection:
            for name, role in (("vig", Role.THEFT_OFFICER), ("vig2", Role.THEFT_OFFICER)):
                offices.add_person(
                    connection, sign_in=name, name=f"Officer {name}", office="MHOW", roles=[role], now=NOW
                )
        yield opened


def case_of(line: Line, meter: str, person: str) -> Case:
    new = operations.NewCase(
        meter=meter, note="<b>told</b> by a neighbour", origin=CaseOrigin.SUSPICION, evidence=EVIDENCE
    )
    with line.database.write() as connection:
        return operations.open_case(connection, new=new, person=person, now=NOW)


def worked(line: Line) -> Case:
    """A case of M3 with theft confirmed and units assessed."""
    case = case_of(line, "M3", "mhow")
    found = operations.Found(
        finding=CaseFinding.THEFT, theft_kind=TheftKind.MAGNET, inspected_on=local_date(NOW), note="sheet 9"
    )
    with line.database.write() as connection:
        case = operations.assign_case(
            connection, number=case.number, revision=1, to="vig", note="", person="vig", now=NOW
        )
        case = operations.record_finding(
            connection, number=case.number, revision=2, found=found, person="vig", now=NOW
        )
        case = operations.decide_theft(
            connection,
            number=case.number,
            revision=3,
            is_confirmed=True,
            note="seen it",
            person="vig2",
            now=NOW,
        )
        units = operations.Assessed(
            energy_wh=1_234_000,
            first=local_date(NOW) - timedelta(days=30),
            last=local_date(NOW),
            method="1 kW, 8 h a day",
        )
        return operations.assess_units(
            connection,
            number=case.number,
            revision=4,
            assessed=units,
            months_max=12,
            person="vig",
            now=NOW,
        )


class TestCases:
    def test_show_a_branch_its_own(self, line: Line):
        case = worked(line)
        other = case_of(line, "D1", "dhar")

        html = signed_in_client(line, "mhow", language="en").get("/cases").text

        assert f'href="/cases/{case.number}"' in html
        assert "D1" not in html
        assert "theft of electricity (s.135)" in html
        assert "1,234" in html
        whole = parsed_csv(signed_in_client(line, "engineer", language="en").get("/cases.csv").content)
        assert [row["Case"] for row in whole] == [str(other.number), str(case.number)]
        assert (whole[1]["Assessed kWh"], whole[1]["How"], whole[1]["Confirmed by"]) == (
            "1234.000",
            "magnet",
            "vig2",
        )

    def test_show_those_that_are_over_when_they_are_asked_for(self, line: Line):
        case = case_of(line, "M3", "mhow")
        with line.database.write() as connection:
            operations.withdraw_case(
                connection, number=case.number, revision=1, note="a slip", person="vig", now=NOW
            )
        client = signed_in_client(line, "mhow", language="en")

        assert "No case is under way here" in client.get("/cases").text
        assert f'href="/cases/{case.number}"' in client.get("/cases?state=all").text
        assert f'href="/cases/{case.number}"' not in client.get("/cases?state=nonsense").text

    def test_are_reached_from_the_losses(self, line: Line):
        assert 'href="/cases"' in signed_in_client(line, "mhow", language="en").get("/losses").text


class TestCase:
    def test_tells_each_step_in_its_words(self, line: Line):
        case = worked(line)

        html = signed_in_client(line, "mhow", language="en").get(f"/cases/{case.number}").text

        steps = re.findall(r"<li><span class=\"when\">.*?</span> <strong>(.*?)</strong>", html)
        assert steps == ["opened", "assigned", "theft reported", "theft confirmed", "units assessed"]
        assert EVIDENCE.en in html
        assert "&lt;b&gt;told&lt;/b&gt;" in html
        assert "1 kW, 8 h a day" in html
        assert "Officer vig2" in html
        assert "A case accuses nobody" in html
        assert "<form" not in html.split("<main")[1]

    def test_speaks_hindi(self, line: Line):
        case = worked(line)

        html = signed_in_client(line, "mhow", language="hi").get(f"/cases/{case.number}").text

        assert EVIDENCE.hi in html
        assert EVIDENCE.en not in html
        assert "विद्युत चोरी (धारा 135)" in html
        assert "theft" not in html

    def test_of_another_office_is_as_if_there_were_none(self, line: Line):
        case = case_of(line, "M3", "mhow")
        client = signed_in_client(line, "dhar", language="en")

        hidden, none = client.get(f"/cases/{case.number}"), client.get("/cases/9999")

        assert hidden.status_code == none.status_code == 404
        assert "M3" not in hidden.text
        assert "There is no case of this number in your offices" in hidden.text


class TestCasesOfMeters:
    def test_are_those_in_sight(self, line: Line):
        case = case_of(line, "M3", "mhow")

        with line.database.read() as connection:
            seen = queries.cases_of_meters(connection, person="mhow", meters={"M3", "D1"})
            elsewhere = queries.cases_of_meters(connection, person="dhar", meters={"M3", "D1"})

        assert (seen, elsewhere) == ({"M3": case.number}, {})
