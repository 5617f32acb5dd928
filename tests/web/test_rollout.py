"""The page of the roll-out: the room's words and counts, scoped to a branch."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from bijlighar.base.period import Month, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Origin, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.rollout import operations, queries, rules
from bijlighar.rollout.model import MonthProgress, Observed
from bijlighar.runtime.clock import set_demo_time
from bijlighar.runtime.line import Line
from tests.web.kit import client_of, signed_in_client
from tests.web.offices_town import HEADER, NOW, english_of, opened_line, parsed_csv

STOCK = "serial,meter_type,store,box,url\n" + "".join(
    f"NEW-{n},single-phase,CENTRAL,B1,tcp://n:{100 + n}\n" for n in range(1, 6)
)
PLAN = "office,month,meters\nMHOW,2025-04,3\nDHAR,2025-04,4\nMHOW,2025-05,2\n"
#: Places with an old meter, to be changed.
OLD = HEADER + (
    "O1,Ram,LV-1.2,urban,2000,U-O1,OLD-1,single-phase,,T1,F1,R,MHOW,2025-03-01\n"
    "O2,Sita,LV-1.2,urban,2000,U-O2,OLD-2,single-phase,,T2,F2,R,DHAR,2025-03-01\n"
)
LATER = NOW + timedelta(hours=50)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def going(line: Line) -> Line:
    """A plan, a stock, and one meter hung in Mhow that was never heard."""
    with line.database.write() as connection:
        registry.import_registry(connection, text=OLD, now=NOW)
        operations.plan_targets(connection, text=PLAN, person="engineer", now=NOW)
        operations.receive_stock(connection, text=STOCK, person="keeper", now=NOW)
        operations.draw_up_orders(connection, office="MHOW", limit=1, person="engineer", now=NOW)
        operations.issue_order(connection, number=1, fitter="fitter", person="engineer", now=NOW)
        operations.issue_stock(connection, serials=["NEW-1"], fitter="fitter", person="keeper", now=NOW)
        before = RegisterSnapshot(
            meter="OLD-1",
            at=local_midnight(date(2025, 4, 1)),
            kind=RegisterKind.HAND,
            wh_import=1_000_000,
            origin=Origin.HAND,
        )
        readings.append_registers(connection, snapshots=[before], now=NOW)
        operations.install_meter(
            connection,
            number=1,
            meter="NEW-1",
            at=NOW - timedelta(hours=1),
            old_register_wh=1_010_000,
            new_register_wh=0,
            person="fitter",
            now=NOW,
        )
    return line


class TestRollout:
    def test_says_what_the_room_says(self, going: Line):
        with going.database.read() as connection:
            progress = queries.progress(connection, now=NOW)

        hindi = signed_in_client(going, "engineer").get("/rollout").text
        english = signed_in_client(going, "engineer", language="en").get("/rollout").text

        assert progress.words.hi in hindi
        assert progress.words.en in english
        assert "<b>1</b><span>installed of 9 planned</span>" in english

    def test_uses_the_words_of_the_forecast(self):
        observed = Observed(
            on=date(2025, 8, 1),
            planned=9_500,
            installed=6_500,
            hung_in_window=6_500,
            months=Fraction(4),
            claimed=2_500,
            stock=0,
        )

        said = rules.forecast_words(observed, rules.forecast(observed))

        assert "3,000" in said.en

    def test_shows_the_months_the_stock_and_the_orders(self, going: Line):
        html = signed_in_client(going, "engineer", language="en").get("/rollout").text

        text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
        assert "April 2025 Dhar DHAR 4 0" in text
        assert "April 2025 Mhow MHOW 3 1" in text
        assert "CENTRAL 5 4 0 1 0 0 4" in text
        assert "installed 1 commissioned (read) 0" in text

    def test_lists_a_meter_only_when_it_was_not_heard_for_two_days(self, going: Line):
        client = signed_in_client(going, "engineer", language="en")
        assert "Every installed meter was heard in time." in client.get("/rollout").text

        set_demo_time(going.database, now=LATER)

        assert 'data-label="Meter">NEW-1<' in client.get("/rollout").text
        (row,) = parsed_csv(client.get("/rollout-unheard.csv").content)
        assert (row["Meter"], row["Office"], row["Fitter"]) == ("NEW-1", "MHOW", "fitter")

    def test_forgets_a_meter_that_was_heard(self, going: Line):
        heard = RegisterSnapshot(
            meter="NEW-1",
            at=NOW + timedelta(hours=1),
            kind=RegisterKind.DAILY,
            wh_import=5,
            origin=Origin.METER,
        )
        with going.database.write() as connection:
            readings.append_registers(connection, snapshots=[heard], now=LATER)
            assert queries.never_heard(connection, now=LATER) == ()


class TestExport:
    def test_reads_back_as_the_room_has_it(self, going: Line):
        found = parsed_csv(signed_in_client(going, "engineer", language="en").get("/rollout.csv").content)

        with going.database.read() as connection:
            months = queries.by_month(connection)
        assert [
            (row["Month"], row["Office"], int(row["Planned"]), int(row["Installed"])) for row in found
        ] == [(str(each.month), each.office, each.planned, each.installed) for each in months]


class TestBranch:
    def test_counts_a_clerks_own_office_only(self, going: Line):
        client = signed_in_client(going, "dhar", language="en")

        html = client.get("/rollout").text

        assert "<b>0</b><span>installed of 4 planned</span>" in html
        assert "Mhow" not in html[html.index("<main") :]
        assert {row["Office"] for row in parsed_csv(client.get("/rollout.csv").content)} == {"DHAR"}
        set_demo_time(going.database, now=LATER)
        assert "NEW-1" not in client.get("/rollout").text
        assert parsed_csv(client.get("/rollout-unheard.csv").content) == []

    def test_leaves_the_companys_stock_out_of_a_branchs_forecast(self, going: Line):
        with going.database.read() as connection:
            whole = queries.progress(connection, now=NOW, office="CO")
            part = queries.progress(connection, now=NOW, office="MHOW")

        assert (whole.observed.stock, part.observed.stock) == (4, None)
        assert (part.observed.planned, part.observed.installed, part.observed.this_month) == (5, 1, 1)
        assert Month(year=2025, month=4) in {each.month for each in _months(going, "MHOW")}

    def test_sends_a_stranger_to_sign_in_and_refuses_a_wrong_role(self, line: Line):
        with line.database.write() as connection:
            offices.add_person(
                connection, sign_in="vigil", name="", office="CO", roles=[Role.THEFT_OFFICER], now=NOW
            )
        for path in ("/rollout", "/rollout.csv", "/rollout-unheard.csv"):
            assert client_of(line).get(path).headers["location"].startswith("/sign-in")
            assert signed_in_client(line, "vigil").get(path).status_code == 403


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_page(self, going: Line):
        set_demo_time(going.database, now=LATER)
        html = signed_in_client(going, "engineer").get("/rollout").text
        shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])

        assert [
            text for text in english_of("rollout") if re.search(rf"(?m)^\s*{re.escape(text)}\s*$", shown)
        ] == []


def _months(line: Line, office: str) -> tuple[MonthProgress, ...]:
    with line.database.read() as connection:
        return queries.by_month(connection, office=office)
