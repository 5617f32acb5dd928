"""AT&C loss of an office: what went in, what was billed, what was paid, and the queries behind them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import text
from tests.billing.conftest import books as books
from tests.billing.town import APRIL, LINKS, THIRD_OF_MAY, approver, measure, read_by_hand, register, row

from bijlighar.balance import operations, queries
from bijlighar.balance.model import AtcLoss, Doubt
from bijlighar.base.period import local_midnight
from bijlighar.billing import operations as billing
from bijlighar.billing import queries as bills
from bijlighar.ledger import operations as ledger
from bijlighar.ledger.model import NewPayment
from bijlighar.offices.errors import UnknownOffice
from bijlighar.storage.engine import Database
from bijlighar.tariffs.model import Books

JUNE = local_midnight(date(2025, 6, 2))
FEEDER = row(
    "", "MF0009", name="", category="", area="", sanctioned_w="", usage_point="", meter_type="feeder",
    transformer="", phase="", phone="", language="",
)  # fmt: skip
#: Of each half-hour the two consumers' meters count 200 Wh each, the feeder's 500 Wh.
INTERVALS = 30 * 48


@pytest.fixture
def town(database: Database, books: Books) -> Database:
    register(database, row("N1", "MP1001"), row("N2", "MP1002"), FEEDER)
    for meter, wh in (("MP1001", 200), ("MP1002", 200), ("MF0009", 500)):
        measure(database, meter, period=APRIL.period, wh=wh)
    operations.close_range(database, first=APRIL.first, last=APRIL.last, now=THIRD_OF_MAY)
    while billing.issue_due(database, now=THIRD_OF_MAY, books=books, due_days=10, bill_base_url=LINKS):
        pass
    return database


def pay(database: Database, account: str | None, paise: int, *, on: datetime, number: str) -> None:
    payment = NewPayment(
        provider="test", payment_id=number, account=account, amount_paise=paise, method="upi", paid_at=on
    )
    with database.write() as connection:
        ledger.receive(connection, payment=payment, now=on)


def loss_of(database: Database, office: str = "T1", now: datetime = JUNE) -> AtcLoss:
    with database.read() as connection:
        return queries.atc_loss(connection, office=office, month=APRIL, now=now)


def billed(database: Database) -> Mapping[str, int]:
    with database.read() as connection:
        return {bill.account: bill.total_paise for bill in bills.bills(connection, month=APRIL)}


class TestAtcLoss:
    def test_is_one_less_the_product_of_both_efficiencies(self, town: Database):
        sums = billed(town)
        pay(town, "N1", sums["N1"], on=local_midnight(date(2025, 5, 1)), number="a")
        pay(town, "N2", 10_000, on=local_midnight(date(2025, 6, 1)) - timedelta(seconds=1), number="b")

        found = loss_of(town)

        assert (found.input_wh, found.billed_wh) == (500 * INTERVALS, 400 * INTERVALS)
        assert (found.billed_paise, found.collected_paise) == (sum(sums.values()), sums["N1"] + 10_000)
        assert (found.points, found.accounts, found.accounts_covered, found.accounts_billed) == (
            ("F-2",),
            2,
            2,
            2,
        )
        assert (found.doubts, found.coverage_pct, found.billing_efficiency_pct) == ((), 100.0, 80.0)
        collected = Fraction(found.collected_paise, found.billed_paise)
        assert found.loss_pct == pytest.approx(float(100 * (1 - Fraction(4, 5) * collected)), abs=5e-5)

    def test_counts_only_what_was_paid_in_the_month_after_and_stands(self, town: Database):
        for number, account, on in (
            ("early", "N1", local_midnight(date(2025, 5, 1)) - timedelta(seconds=1)),
            ("late", "N1", local_midnight(date(2025, 6, 1))),
            ("nobody", "N77", local_midnight(date(2025, 5, 9))),
            ("back", "N1", local_midnight(date(2025, 5, 9))),
        ):
            pay(town, account, 5_000, on=on, number=number)
        with town.write() as connection:
            ledger.reverse_payment(
                connection,
                provider="test",
                payment_id="back",
                reason="cheque bounced",
                now=JUNE,
            )

        assert loss_of(town).collected_paise == 0
        assert loss_of(town).loss_pct == 100.0

    def test_tells_the_queries_that_give_its_figures_again(self, town: Database):
        pay(town, "N1", 12_345, on=local_midnight(date(2025, 5, 9)), number="a")
        found = loss_of(town)

        with town.read() as connection:
            rows = {
                name: connection.execute(text(query.replace(":", r"\:"))).all()
                for name, query in found.queries.items()
            }

        assert sum(row.input_wh for row in rows["input_wh_feeders"]) == found.input_wh
        assert rows["input_wh_transformers"] == []
        covered = {row[0] for row in rows["accounts_covered"]}
        assert len(covered) == len(rows["accounts"]) == found.accounts
        assert sum(row.energy_wh for row in rows["billed"] if row.account in covered) == found.billed_wh
        assert sum(row.paise for row in rows["billed"] if row.account in covered) == found.billed_paise
        assert sum(row.paise for row in rows["collected_paise"] if row.account in covered) == 12_345

    def test_takes_a_correction_in_the_place_of_what_it_corrects(self, town: Database, books: Books):
        person = approver(town)
        before = loss_of(town)
        measure(town, "MP1001", period=APRIL.period, wh=250)
        with town.read() as connection:
            (number,) = [bill.number for bill in bills.bills(connection, month=APRIL) if bill.account == "N1"]
        made = billing.correct(
            town,
            number=number,
            reason="the meter counted too little",
            person=person,
            now=THIRD_OF_MAY + timedelta(days=1),
            books=books,
            due_days=10,
            bill_base_url=LINKS,
        )
        assert made is not None

        after = loss_of(town)

        assert after.billed_wh == before.billed_wh + 50 * INTERVALS
        assert after.billed_paise == before.billed_paise + made.total_paise
        assert after.accounts_billed == 2

    def test_is_not_told_before_the_bills_were_to_be_paid(self, town: Database):
        found = loss_of(town, now=local_midnight(date(2025, 6, 1)) - timedelta(seconds=1))

        assert (found.doubts, found.loss_pct) == ((Doubt.NOT_FINAL,), None)
        assert found.billing_efficiency_pct == 80.0

    def test_belongs_to_the_company_as_well_as_to_the_office(self, town: Database):
        assert loss_of(town, "CO").input_wh == loss_of(town).input_wh

        with pytest.raises(UnknownOffice):
            loss_of(town, "NOWHERE")


class TestDoubts:
    def test_tell_of_a_day_without_input(self, database: Database):
        register(database, row("N1", "MP1001"), FEEDER)
        measure(database, "MP1001", period=APRIL.period)
        measure(
            database,
            "MF0009",
            period=type(APRIL.period)(start=APRIL.period.start, end=APRIL.period.end - timedelta(days=1)),
        )
        operations.close_range(database, first=APRIL.first, last=APRIL.last, now=THIRD_OF_MAY)

        found = loss_of(database)

        assert found.points_incomplete == ("F-2",)
        assert set(found.doubts) == {Doubt.INPUT_GAPS, Doubt.NOTHING_BILLED}
        assert found.loss_pct is None

    def test_tell_of_too_much_that_is_read_by_hand(self, town: Database, books: Books):
        register(town, *(row(f"H{number}", f"MP200{number}", url="") for number in range(5)))
        for number in range(5):
            read_by_hand(town, f"MP200{number}", on=date(2025, 3, 30), wh=0)
            read_by_hand(town, f"MP200{number}", on=date(2025, 5, 1), wh=90_000)
        operations.close_range(town, first=APRIL.first, last=APRIL.last, now=THIRD_OF_MAY)

        found = loss_of(town)

        assert found.coverage_pct == pytest.approx(100 * 2 / 7, abs=1e-4)
        assert (found.doubts, found.loss_pct) == ((Doubt.TOO_LITTLE_READ,), None)

    def test_tell_of_accounts_without_an_input_meter_above_them(self, town: Database):
        register(town, row("N3", "MP1003", feeder="F-9", transformer="T-90"))
        operations.close_range(town, first=APRIL.first, last=APRIL.last, now=THIRD_OF_MAY)

        found = loss_of(town)

        assert (found.accounts, found.accounts_covered) == (3, 2)
        assert found.doubts == (Doubt.TOO_FEW_COVERED,)
        assert found.input_wh == 500 * INTERVALS

    def test_tell_that_nothing_is_known_at_all(self, database: Database):
        register(database, row("N1", "MP1001"))

        found = loss_of(database)

        assert {Doubt.NO_INPUT, Doubt.NOTHING_BILLED} <= set(found.doubts)
        assert (found.billing_efficiency_pct, found.collection_efficiency_pct, found.loss_pct) == (
            None,
            None,
            None,
        )

    def test_tell_nothing_of_a_feeder_that_supplies_two_offices(self, town: Database):
        register(town, row("N4", "MP1004", office="CO"))
        operations.close_range(town, first=APRIL.first, last=APRIL.last, now=THIRD_OF_MAY)

        assert Doubt.NO_INPUT in loss_of(town).doubts
        assert loss_of(town, "CO").points == ("F-2",)
