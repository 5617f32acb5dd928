"""The page of collections: every sum is the ledger's, and a branch sees its own."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from bijlighar.arrears import queries as arrears
from bijlighar.base.money import rupees
from bijlighar.base.period import Month
from bijlighar.ledger import operations as ledger
from bijlighar.ledger import queries as ledger_queries
from bijlighar.ledger.model import NewPayment
from bijlighar.runtime.line import Line
from tests.arrears.world import World, clock, post_bill
from tests.web.kit import client_of, signed_in_client
from tests.web.offices_town import english_of, opened_line, parsed_csv

TODAY = clock(date(2025, 6, 21), 15)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with opened_line(tmp_path / "home", now=TODAY) as opened:
        yield opened


def pay(line: Line, account: str | None, paise: int, *, at: datetime, method: str = "upi", name: str) -> None:
    payment = NewPayment(
        provider="razorpay", payment_id=name, account=account, amount_paise=paise, method=method, paid_at=at
    )
    with line.database.write() as connection:
        ledger.receive(connection, payment=payment, now=at)


@pytest.fixture
def collected(line: Line) -> Line:
    """Bills of May and June, payments today and earlier, one reversed, one that nobody knows."""
    with line.database.write() as connection:
        for number, (account, issued_on) in enumerate(
            [(each, day) for each in ("A1", "A2", "B1") for day in (date(2025, 5, 1), date(2025, 6, 2))]
        ):
            post_bill(
                connection,
                account=account,
                document=f"D{number}",
                paise=123_456_700 if account == "A1" else 200_000,
                issued_on=issued_on,
                now=TODAY,
            )
    pay(line, "A1", 4_567_890, at=TODAY, name="p1")
    pay(line, "A2", 100_000, at=TODAY - timedelta(days=3), method="counter", name="p2")
    pay(line, "B1", 50_000, at=TODAY - timedelta(days=40), name="p3")
    pay(line, "B1", 70_000, at=TODAY, method="cash", name="p4")
    pay(line, "NOBODY", 33_300, at=TODAY, name="p5")
    pay(line, "A2", 11_100, at=TODAY, name="p6")
    with line.database.write() as connection:
        ledger.reverse_payment(connection, provider="razorpay", payment_id="p6", reason="bounced", now=TODAY)
    World(database=line.database, now=TODAY).assess()
    return line


class TestCollections:
    def test_shows_the_sums_of_the_rooms(self, collected: Line):
        html = signed_in_client(collected, "engineer", language="en").get("/collections").text

        with collected.database.read() as connection:
            found = arrears.collections(connection, now=TODAY, office="CO")
            received = ledger_queries.received_paise(
                connection, first=date(2025, 6, 1), last=date(2025, 6, 21)
            )
        assert (found.today_paise, found.month_paise) == (4_637_890, 4_737_890)
        assert found.month_paise + found.unmatched_paise == received
        for paise in (found.today_paise, found.month_paise, found.demand_paise, found.ageing.overdue_paise):
            assert rupees(paise) in html
        assert rupees(123_456_700 + 400_000) == "₹12,38,567.00"
        assert "₹12,38,567.00" in html

    def test_sums_by_way_of_payment(self, collected: Line):
        with collected.database.read() as connection:
            found = arrears.collections(connection, now=TODAY)

        assert [(each.method, each.today_paise, each.month_paise) for each in found.channels] == [
            ("upi", 4_601_190, 4_601_190),
            ("counter", 0, 100_000),
            ("cash", 70_000, 70_000),
        ]
        assert sum(each.month_paise for each in found.channels) == found.month_paise

    def test_sets_an_offices_receipts_against_its_bills(self, collected: Line):
        with collected.database.read() as connection:
            found = arrears.collections(connection, now=TODAY, office="CO")
        by_office = {each.office: each for each in found.offices}

        assert (by_office["DHAR"].demand_paise, by_office["DHAR"].received_paise) == (200_000, 70_000)
        assert by_office["DHAR"].efficiency_pct == 35.0
        assert sum(each.received_paise for each in found.offices) == found.month_paise

    def test_sums_the_ageing_by_office(self, collected: Line):
        with collected.database.read() as connection:
            found = arrears.collections(connection, now=TODAY)
            rows = arrears.ageing(connection)

        assert found.ageing.overdue_paise == sum(row.overdue_paise for row in rows) > 0
        assert sum(each.overdue_paise for each in found.ageing_by_office) == found.ageing.overdue_paise

    def test_shows_an_earlier_month(self, collected: Line):
        html = signed_in_client(collected, "engineer", language="en").get("/collections?month=2025-05").text

        with collected.database.read() as connection:
            found = arrears.collections(connection, now=TODAY, month=Month(year=2025, month=5))
        assert found.month_paise == 50_000
        assert rupees(50_000) in html
        assert signed_in_client(collected, "engineer").get("/collections?month=never").status_code == 400

    def test_shows_what_waits_for_its_account_and_what_was_reversed(self, collected: Line):
        html = signed_in_client(collected, "engineer", language="en").get("/collections").text

        assert re.search(r'id="unmatched".*razorpay p5.*₹333\.00', html, re.DOTALL)
        assert "reversed 21 Jun 2025" in html


class TestExport:
    def test_of_the_ageing_reads_back(self, collected: Line):
        found = parsed_csv(
            signed_in_client(collected, "engineer", language="en").get("/collections/ageing.csv").content
        )

        with collected.database.read() as connection:
            rows = arrears.ageing(connection)
        assert [(row["Account"], round(float(row["Overdue"]) * 100)) for row in found] == [
            (row.account, row.overdue_paise) for row in rows
        ]

    def test_of_the_receipts_reads_back(self, collected: Line):
        found = parsed_csv(
            signed_in_client(collected, "engineer", language="en").get("/collections/receipts.csv").content
        )

        assert [(row["Account"], row["Rupees"]) for row in found if row["Payment"] == "p1"] == [
            ("A1", "45678.90")
        ]
        assert [row["Reason"] for row in found if row["Payment"] == "p6"] == ["bounced"]


class TestBranch:
    def test_shows_a_clerk_their_own_only(self, collected: Line):
        client = signed_in_client(collected, "dhar", language="en")

        html = client.get("/collections").text

        assert "A1" not in html
        assert "A2" not in html
        assert "<b>₹700.00</b><span>received today</span>" in html
        assert {row["Account"] for row in parsed_csv(client.get("/collections/ageing.csv").content)} == {"B1"}
        assert {row["Account"] for row in parsed_csv(client.get("/collections/receipts.csv").content)} == {
            "B1"
        }

    def test_sends_a_stranger_to_sign_in_and_refuses_a_wrong_role(self, line: Line):
        for path in ("/collections", "/collections/ageing.csv", "/collections/receipts.csv"):
            assert client_of(line).get(path).headers["location"].startswith("/sign-in")
            assert signed_in_client(line, "keeper").get(path).status_code == 403


class TestLanguage:
    def test_leaves_no_english_on_the_hindi_page(self, collected: Line):
        html = signed_in_client(collected, "engineer").get("/collections").text
        shown = re.sub(r"<[^>]*>", "\n", html[html.index("<main") :])

        assert [
            text for text in english_of("collections") if re.search(rf"(?m)^\s*{re.escape(text)}\s*$", shown)
        ] == []
