"""The pages of cases: what a branch looks into, one case with its steps, and the forms that work on it."""

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
from tests.web.kit import Client, send_form, signed_in_client
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


class TestWork:
    def opened(self, line: Line) -> str:
        form = {"meter": "M3", "transformer": "", "note": "seal broken"}
        answer = send_form(signed_in_client(line, "mhow", language="en"), "/cases", **form)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def step(self, line: Line, person: str, path: str, **fields: str) -> int:
        return send_form(signed_in_client(line, person, language="en"), path, **fields).status_code

    def found(self, **other: str) -> dict[str, str]:
        day = local_date(NOW).isoformat()
        return {
            "revision": "2", "found": "theft", "theft_kind": "bypass", "inspected_on": day, "note": "sheet 9",
        } | other  # fmt: skip

    def reported(self, line: Line, inspector: str = "vig") -> str:
        path = self.opened(line)
        assert self.step(line, "vig", f"{path}/assign", revision="1", to=inspector) == 303
        assert self.step(line, inspector, f"{path}/find", **self.found()) == 303
        return path

    def test_goes_from_its_opening_to_its_end_by_forms(self, line: Line):
        path = self.reported(line, "fitter")
        units = {
            "revision": "4",
            "kwh": "12.5",
            "first": "2025-03-05",
            "last": "2025-04-02",
            "method": "8 h a day",
        }

        assert self.step(line, "vig", f"{path}/confirm", revision="3", note="seen") == 303
        assert self.step(line, "vig", f"{path}/assess", **units) == 303
        assert self.step(line, "vig", f"{path}/close", revision="5", note="claim made") == 303

        (row,) = parsed_csv(signed_in_client(line, "mhow", language="en").get("/cases.csv?state=all").content)
        assert (row["State"], row["Inspector"], row["Confirmed by"]) == ("closed", "fitter", "vig")
        assert row["Assessed kWh"] == "12.500"

    def test_offers_each_what_is_theirs(self, line: Line):
        def forms(client: Client, path: str) -> set[str]:
            return set(re.findall(rf'action="{path}/(\w+)"', client.get(path).text))

        path = self.reported(line)
        vig, vig2, clerk = (signed_in_client(line, each, language="en") for each in ("vig", "vig2", "mhow"))

        assert forms(vig, path) == forms(clerk, path) == set()
        assert forms(vig2, path) == {"confirm", "refuse"}
        send_form(vig2, f"{path}/refuse", revision="3", note="no proof")
        assert forms(vig, path) == {"assign", "find", "withdraw"}
        assert forms(vig2, path) == {"assign", "withdraw"}

    def test_of_the_inspector_is_not_confirmed_by_the_same(self, line: Line):
        path = self.reported(line)

        assert self.step(line, "vig", f"{path}/confirm", revision="3", note="seen") == 403
        assert self.step(line, "engineer", f"{path}/confirm", revision="3", note="seen") == 403

    def test_sent_twice_or_too_late_changes_nothing(self, line: Line):
        path = self.reported(line)
        again = {"meter": "M3", "transformer": "", "note": "x"}

        assert self.step(line, "mhow", "/cases", **again) == 409
        assert self.step(line, "vig", f"{path}/find", **self.found()) == 409
        assert self.step(line, "vig2", f"{path}/confirm", revision="2", note="x") == 409

    def test_of_who_was_not_sent_is_refused(self, line: Line):
        path = self.opened(line)
        assert self.step(line, "vig", f"{path}/assign", revision="1", to="mhow") == 400
        assert self.step(line, "vig", f"{path}/assign", revision="1", to="vig2") == 303

        assert self.step(line, "vig", f"{path}/find", **self.found()) == 409
        assert self.step(line, "mhow", f"{path}/find", **self.found()) == 403
        assert self.step(line, "dhar", f"{path}/assign", revision="2", to="vig") == 403

    @pytest.mark.parametrize(
        "wrong",
        [
            {"found": "nonsense"}, {"found": ""}, {"theft_kind": "nonsense"}, {"theft_kind": ""}, {"revision": ""},
            {"inspected_on": "2030-01-01"}, {"inspected_on": ""}, {"note": " "}, {"note": "x" * 501},
            {"found": "normal"},
        ],
    )  # fmt: skip
    def test_of_a_nonsense_inspection_is_refused(self, line: Line, wrong: dict[str, str]):
        path = self.opened(line)
        self.step(line, "vig", f"{path}/assign", revision="1", to="vig")

        assert self.step(line, "vig", f"{path}/find", **self.found(**wrong)) == 400
        assert "theft reported" not in signed_in_client(line, "mhow", language="en").get(path).text

    @pytest.mark.parametrize(
        "wrong",
        [
            {"kwh": ""}, {"kwh": "-1"}, {"kwh": "0"}, {"kwh": "1.2345"}, {"kwh": "1e3"}, {"kwh": "9" * 17},
            {"first": "2020-01-01"}, {"last": "2025-04-30"}, {"first": "x"}, {"method": " "},
        ],
    )  # fmt: skip
    def test_of_nonsense_units_is_refused(self, line: Line, wrong: dict[str, str]):
        path = self.reported(line)
        self.step(line, "vig2", f"{path}/confirm", revision="3", note="seen")
        units = {"revision": "4", "kwh": "12.5", "first": "2025-03-05", "last": "2025-04-02", "method": "m"}

        assert self.step(line, "vig", f"{path}/assess", **{**units, **wrong}) == 400

    @pytest.mark.parametrize(
        "form",
        [
            {},
            {"meter": "M1", "transformer": "T1"},
            {"meter": "NONE"},
            {"transformer": "T9"},
            {"meter": "M1", "note": ""},
        ],
    )
    def test_of_a_nonsense_opening_is_refused(self, line: Line, form: dict[str, str]):
        sent = {"meter": "", "transformer": "", "note": "x"} | form

        assert self.step(line, "mhow", "/cases", **sent) in (400, 404)
        assert parsed_csv(signed_in_client(line, "engineer").get("/cases.csv?state=all").content) == []


class TestCasesOfMeters:
    def test_are_those_in_sight(self, line: Line):
        case = case_of(line, "M3", "mhow")

        with line.database.read() as connection:
            seen = queries.cases_of_meters(connection, person="mhow", meters={"M3", "D1"})
            elsewhere = queries.cases_of_meters(connection, person="dhar", meters={"M3", "D1"})

        assert (seen, elsewhere) == ({"M3": case.number}, {})
