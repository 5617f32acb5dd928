"""A month's run, corrections and releases on both databases."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.billing.town import (
    APRIL,
    LINKS,
    MAY,
    START,
    THIRD_OF_JUNE,
    THIRD_OF_MAY,
    approver,
    measure,
    read_by_hand,
    register,
    row,
)

from bijlighar.base.period import Month, Period, local_midnight
from bijlighar.billing import operations, queries, rules
from bijlighar.billing.content import canonical, determinants_of, facts_of
from bijlighar.billing.errors import CannotBill, MonthNotOver, NothingParked, UnknownBill
from bijlighar.billing.model import Bill, BillKind, Computed, ItemState, Plausibility, Reason
from bijlighar.ledger import operations as ledger
from bijlighar.ledger import queries as ledger_queries
from bijlighar.ledger.model import Head, NewPayment
from bijlighar.notices import queries as notices
from bijlighar.notices.model import Purpose
from bijlighar.offices import queries as offices
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from bijlighar.offices.operations import add_person
from bijlighar.readings.model import RegisterKind
from bijlighar.registry import operations as registry
from bijlighar.registry.model import EndDevice, MeterType
from bijlighar.storage.engine import Database
from bijlighar.tariffs.model import Books

JUNE = Month(year=2025, month=6)


def issue(database: Database, books: Books, *, now=THIRD_OF_MAY, **options) -> int:
    return operations.issue_due(database, now=now, books=books, due_days=10, bill_base_url=LINKS, **options)


def bills_of(database: Database, account: str = "A1") -> tuple[Bill, ...]:
    with database.read() as connection:
        return queries.bills(connection, account=account)


def report_of(database: Database, month: Month = APRIL):
    with database.read() as connection:
        return queries.report(connection, month=month)


def item_of(database: Database, account: str = "A1", month: Month = APRIL):
    with database.read() as connection:
        return {item.account: item for item in queries.items(connection, month=month)}[account]


@pytest.fixture
def town(database: Database) -> Database:
    """One communicating meter of 288 units in April, one old meter of 140 units."""
    register(
        database,
        row("A1", "MP000101"),
        row("A2", "MP000102", url="", language="en", phone="", sanctioned_w="1000"),
    )
    measure(database, "MP000101", period=APRIL.period)
    read_by_hand(database, "MP000102", on=date(2025, 4, 1), wh=500_000)
    read_by_hand(database, "MP000102", on=date(2025, 5, 1), wh=640_000)
    return database


class TestIssueDue:
    def test_bills_each_account_with_ledger_and_message(self, town: Database, books: Books) -> None:
        assert issue(town, books) == 2

        (smart,) = bills_of(town, "A1")
        (old,) = bills_of(town, "A2")
        with town.read() as connection:
            (due,) = ledger_queries.open_dues(connection, account="A1")
            messages = notices.messages(connection, account="A1")
            checked = ledger_queries.check(connection)
            subsidy = ledger_queries.trial_balance(connection)[Head.SUBSIDY]
        assert (smart.energy_wh, smart.issued_on, smart.due_on) == (
            288_000,
            date(2025, 5, 3),
            date(2025, 5, 13),
        )
        assert (due.document, due.amount_paise, due.open_paise) == (
            smart.number,
            smart.total_paise,
            smart.total_paise,
        )
        assert [(each.purpose, each.link) for each in messages] == [(Purpose.BILL, f"{LINKS}/{smart.token}")]
        assert checked.balanced
        assert (old.total_paise, subsidy) == (37_300, 53_539)
        assert rules.is_bill_number(smart.number)

    def test_gives_the_time_of_day_rebate_for_what_was_used_by_day(
        self, town: Database, books: Books
    ) -> None:
        issue(town, books)

        amounts = {line.code: line.amount_paise for line in bills_of(town)[0].lines}
        assert amounts["ENERGY"] == 50 * 445 + 100 * 541 + 138 * 679
        assert amounts["TOD"] == -round(amounts["ENERGY"] * 0.2 * 8 / 24)

    def test_changes_nothing_when_repeated(self, town: Database, books: Books) -> None:
        issue(town, books)
        before = (bills_of(town), bills_of(town, "A2"), report_of(town))

        again = issue(town, books), issue(town, books, month=APRIL, now=THIRD_OF_JUNE)

        assert again == (0, 0)
        assert (bills_of(town), bills_of(town, "A2"), report_of(town)) == before
        with town.read() as connection:
            assert len(notices.messages(connection)) == 2

    def test_is_bounded_and_goes_on_where_it_stopped(self, town: Database, books: Books) -> None:
        with town.read() as connection:
            assert queries.pending(connection, now=THIRD_OF_MAY) == 2

        assert [issue(town, books, limit=1), issue(town, books, limit=1), issue(town, books, limit=1)] == [
            1,
            1,
            0,
        ]
        with town.read() as connection:
            assert queries.pending(connection, now=THIRD_OF_MAY) == 0

    def test_leaves_nothing_behind_when_it_dies_within_a_transaction(
        self, town: Database, books: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class KilledError(Exception):
            pass

        def die(*_given: object, **_named: object) -> None:
            raise KilledError

        with monkeypatch.context() as patched:
            patched.setattr(operations, "_announce", die)
            with pytest.raises(KilledError):
                issue(town, books)

        assert bills_of(town) == ()
        with town.read() as connection:
            assert ledger_queries.balance_paise(connection, account="A1") == 0
        assert issue(town, books) == 2

    def test_issues_nothing_twice_when_two_run_at_once(self, town: Database, books: Books) -> None:
        with ThreadPoolExecutor(max_workers=4) as pool:
            issued = list(pool.map(lambda _: issue(town, books), range(4)))

        assert sum(issued) == 2
        assert len(bills_of(town)) == len(bills_of(town, "A2")) == 1

    @pytest.mark.parametrize(("day", "issued"), [(2, 0), (3, 2)])
    def test_begins_on_its_day_of_the_month(
        self, town: Database, books: Books, day: int, issued: int
    ) -> None:
        assert issue(town, books, now=local_midnight(date(2025, 5, day))) == issued

    def test_does_not_begin_a_month_without_any_reading(self, town: Database, books: Books) -> None:
        assert issue(town, books, now=local_midnight(date(2025, 4, 20))) == 0
        assert report_of(town, Month(year=2025, month=3)).pending == 2

    def test_refuses_a_month_that_is_not_over(self, town: Database, books: Books) -> None:
        with pytest.raises(MonthNotOver, match="2025-05 ends on 2025-05-31"):
            issue(town, books, month=MAY, now=local_midnight(date(2025, 5, 31)))

    def test_bills_the_fixed_lines_of_a_month_without_use(self, database: Database, books: Books) -> None:
        register(database, row("A1", "MP000101"))
        measure(database, "MP000101", period=APRIL.period, wh=0)

        issue(database, books)

        (bill,) = bills_of(database)
        assert (bill.energy_wh, bill.total_paise) == (0, 7_600)

    def test_states_what_was_owed_and_paid_before(self, town: Database, books: Books) -> None:
        issue(town, books)
        first = bills_of(town)[0]
        with town.write() as connection:
            ledger.receive(
                connection,
                payment=ledger_payment(amount_paise=10_000),
                now=THIRD_OF_MAY + timedelta(days=2),
            )
        measure(town, "MP000101", period=MAY.period)

        issue(town, books, now=THIRD_OF_JUNE)

        second = bills_of(town)[1]
        assert second.previous_paise == first.total_paise - 10_000
        assert second.payable_paise == second.previous_paise + second.total_paise
        assert json.loads(second.content)["last_payment"] == {"amount_paise": 10_000, "paid_on": "2025-05-05"}

    def test_holds_all_that_is_needed_to_compute_a_bill_again(self, town: Database, books: Books) -> None:
        issue(town, books)

        for bill in (*bills_of(town), *bills_of(town, "A2")):
            book = books.by_digest(digest=bill.book_digest)
            fresh = rules.recomputed(content=bill.content, book=book)
            assert [(line.code, line.amount_paise) for line in fresh.lines] == [
                (line.code, line.amount_paise) for line in bill.lines
            ]
            assert rules.lines_sum_up(bill)
            found = rules.compute(
                facts=facts_of(bill.content), determinants=determinants_of(bill.content), books=books
            )
            assert isinstance(found, Computed)
            assert found.lines == bill.lines
            assert canonical(json.loads(bill.content)) == bill.content

    def test_takes_the_account_as_it_was_in_the_month(self, town: Database, books: Books) -> None:
        register(town, row("A1", "MP000101", category="LV-2.2"), now=local_midnight(date(2025, 5, 2)))

        issue(town, books)

        assert facts_of(bills_of(town)[0].content).category == "LV-1.2"


def ledger_payment(*, amount_paise: int, account: str = "A1"):
    return NewPayment(
        provider="p",
        payment_id=f"pay-{account}-{amount_paise}",
        account=account,
        amount_paise=amount_paise,
        method="upi",
        paid_at=THIRD_OF_MAY + timedelta(days=2),
    )


class TestParking:
    def test_accounts_for_every_account(self, town: Database, books: Books) -> None:
        register(
            town,
            row("A1", "MP000101"),
            row("A2", "MP000102", url=""),
            row("A3", "MP000103"),
            row("A4", "MP000104", category=""),
            row("A5", "MP000105", category="HV-3"),
            row("A6", "MP000106", url=""),
            row("A7", "MP000107", **{"from": "2025-05-02"}),
        )
        for meter in ("MP000104", "MP000105"):
            measure(town, meter, period=APRIL.period)

        issue(town, books)

        report = report_of(town)
        assert (report.billed, report.parked, report.excluded, report.eligible) == (2, 4, 1, 7)
        assert report.complete
        assert report.reasons == {
            Reason.INTERVALS_MISSING: 1,
            Reason.FACTS_UNKNOWN: 1,
            Reason.NO_TARIFF: 1,
            Reason.NO_START_READING: 1,
            Reason.NO_METER: 1,
        }
        with town.read() as connection:
            assert queries.runs(connection, month=APRIL) == (report,)

    def test_bills_a_parked_account_the_day_after_its_readings_come(
        self, database: Database, books: Books
    ) -> None:
        register(database, row("A1", "MP000101"))
        measure(
            database,
            "MP000101",
            period=Period(start=APRIL.period.start, end=APRIL.period.start + timedelta(days=29)),
        )
        assert issue(database, books) == 0
        measure(database, "MP000101", period=APRIL.period)

        same_day = issue(database, books)
        next_day = issue(database, books, now=THIRD_OF_MAY + timedelta(days=1))

        assert (same_day, next_day) == (0, 1)
        assert item_of(database).state is ItemState.BILLED

    def test_waits_for_validated_readings(self, database: Database, books: Books) -> None:
        register(database, row("A1", "MP000101"))
        measure(database, "MP000101", period=APRIL.period, is_validated=False)

        issue(database, books)

        assert item_of(database).reason is Reason.NOT_VALIDATED

    def test_covers_a_month_without_a_hand_reading_by_the_next_bill(
        self, database: Database, books: Books
    ) -> None:
        register(database, row("A1", "MP000101", url=""))
        read_by_hand(database, "MP000101", on=date(2025, 4, 1), wh=0)
        read_by_hand(database, "MP000101", on=date(2025, 5, 1), wh=100_000)
        issue(database, books)
        issue(database, books, month=MAY, now=THIRD_OF_JUNE)
        assert item_of(database, month=MAY).reason is Reason.NO_END_READING
        read_by_hand(database, "MP000101", on=date(2025, 7, 1), wh=300_000)
        july = local_midnight(date(2025, 7, 3))

        issue(database, books, month=JUNE, now=july)
        issue(database, books, month=MAY, now=july)

        bills = bills_of(database)
        assert [bill.energy_wh for bill in bills] == [100_000, 200_000]
        assert determinants_of(bills[1].content).days == 61
        assert item_of(database, month=MAY).reason is Reason.COVERED
        assert sum(bill.energy_wh for bill in bills) == 300_000

    def test_bills_a_meter_exchanged_within_the_month_once(self, town: Database, books: Books) -> None:
        at = local_midnight(date(2025, 4, 16)) + timedelta(hours=11)
        new = EndDevice(serial="MP000201", meter_type=MeterType.SINGLE_PHASE, url="tcp://127.0.0.1:4901")
        with town.write() as connection:
            registry.take_down_meter(connection, usage_point="UP-A2", meter="MP000102", at=at)
            registry.hang_meter(connection, usage_point="UP-A2", device=new, at=at)
        read_by_hand(town, "MP000102", on=date(2025, 4, 16), wh=560_000, kind=RegisterKind.FINAL)
        measure(town, "MP000201", period=Period(start=at, end=APRIL.period.end), wh=100)
        issue(town, books)
        assert item_of(town, "A2").reason is Reason.NO_INITIAL_READING
        read_by_hand(town, "MP000201", on=date(2025, 4, 16), wh=2_946_000, kind=RegisterKind.INITIAL)

        issue(town, books, now=THIRD_OF_MAY + timedelta(days=1))

        (bill,) = bills_of(town, "A2")
        assert bill.energy_wh == 60_000 + (26 + 14 * 48) * 100
        assert {line.code: line.amount_paise for line in bill.lines}["ENERGY"] == 50 * 445 + round(79.8 * 541)


class TestRelease:
    def strange(self, database: Database, books: Books) -> None:
        register(database, row("A1", "MP000101"))
        measure(database, "MP000101", period=APRIL.period, wh=40)
        issue(database, books)
        measure(database, "MP000101", period=MAY.period, wh=400)
        issue(database, books, now=THIRD_OF_JUNE)

    def test_parks_a_use_out_of_proportion_until_a_person_releases_it(
        self, database: Database, books: Books
    ) -> None:
        self.strange(database, books)
        item = item_of(database, month=MAY)
        assert (item.state, item.reason) == (ItemState.PARKED, Reason.IMPLAUSIBLE)
        assert item.detail == "595 units in 31 days, 57 in 30 before"

        operations.release(
            database,
            account="A1",
            month=MAY,
            person=approver(database),
            reason="shop opened",
            now=THIRD_OF_JUNE,
        )

        with database.read() as connection:
            assert queries.pending(connection, now=THIRD_OF_JUNE) == 1
            assert offices.audit(connection, limit=1)[0].subject == "A1"
        assert issue(database, books, now=THIRD_OF_JUNE) == 1
        assert [bill.month for bill in bills_of(database)] == [APRIL, MAY]

    def test_is_for_persons_who_may_run_bills(self, database: Database, books: Books) -> None:
        self.strange(database, books)
        with database.write() as connection:
            add_person(
                connection, sign_in="fitter", name="F", office="T1", roles=frozenset({Role.FITTER}), now=START
            )

        with pytest.raises(NotPermitted):
            operations.release(
                database, account="A1", month=MAY, person="fitter", reason="-", now=THIRD_OF_JUNE
            )

    def test_refuses_an_account_that_is_not_parked_for_its_use(self, town: Database, books: Books) -> None:
        issue(town, books)

        with pytest.raises(NothingParked):
            operations.release(town, account="A1", month=APRIL, person="x", reason="-", now=THIRD_OF_MAY)

    def test_takes_the_limits_that_a_company_sets(self, database: Database, books: Books) -> None:
        register(database, row("A1", "MP000101"))
        measure(database, "MP000101", period=APRIL.period, wh=40)
        issue(database, books)
        measure(database, "MP000101", period=MAY.period, wh=90)

        issue(database, books, now=THIRD_OF_JUNE, plausibility=Plausibility(times=2, least_wh=100_000))

        assert item_of(database, month=MAY).reason is Reason.IMPLAUSIBLE


class TestCorrect:
    def corrected(self, database: Database, books: Books, number: str, person: str) -> Bill | None:
        return operations.correct(
            database,
            number=number,
            books=books,
            person=person,
            reason="late readings",
            due_days=10,
            now=THIRD_OF_JUNE,
            bill_base_url=LINKS,
        )

    @pytest.mark.parametrize("wh", [150, 260])
    def test_bills_the_differences_and_leaves_the_original_as_it_was(
        self, town: Database, books: Books, wh: int
    ) -> None:
        issue(town, books)
        (original,) = bills_of(town)
        measure(town, "MP000101", period=APRIL.period, wh=wh)

        correction = self.corrected(town, books, original.number, approver(town))

        assert correction is not None
        kept, stored = bills_of(town)
        assert kept == original
        assert (stored, correction.kind, correction.of, correction.seq) == (
            correction,
            BillKind.CORRECTION,
            original.number,
            1,
        )
        fresh = rules.compute(
            facts=facts_of(correction.content), determinants=determinants_of(correction.content), books=books
        )
        assert isinstance(fresh, Computed)
        assert original.total_paise + correction.total_paise == fresh.priced.total_paise
        with town.read() as connection:
            assert ledger_queries.balance_paise(connection, account="A1") == fresh.priced.total_paise
            assert ledger_queries.check(connection).balanced
            assert queries.corrections(connection, number=original.number) == (correction,)

    def test_corrects_what_is_corrected_already(self, town: Database, books: Books) -> None:
        issue(town, books)
        (original,) = bills_of(town)
        person = approver(town)
        for wh in (150, 100):
            measure(town, "MP000101", period=APRIL.period, wh=wh)
            self.corrected(town, books, original.number, person)

        bills = bills_of(town)

        assert [bill.seq for bill in bills] == [0, 1, 2]
        assert (
            sum(bill.total_paise for bill in bills) == 37_600 - 25_200 + 0
            or sum(bill.total_paise for bill in bills) == json.loads(bills[-1].content)["fresh_total_paise"]
        )

    def test_issues_nothing_where_nothing_differs(self, town: Database, books: Books) -> None:
        issue(town, books)

        assert self.corrected(town, books, bills_of(town)[0].number, approver(town)) is None
        assert len(bills_of(town)) == 1

    def test_keeps_the_days_of_a_register_bill(self, town: Database, books: Books) -> None:
        issue(town, books)
        (original,) = bills_of(town, "A2")
        read_by_hand(town, "MP000102", on=date(2025, 5, 1), wh=650_000)
        read_by_hand(town, "MP000102", on=date(2025, 4, 30), wh=645_000, hour=23)

        correction = self.corrected(town, books, original.number, approver(town))

        assert correction is not None
        assert determinants_of(correction.content).energy_wh == 150_000
        assert determinants_of(correction.content).days == 30

    def test_says_why_a_month_cannot_be_made_again(self, town: Database, books: Books) -> None:
        issue(town, books)
        (original,) = bills_of(town)
        empty = replace(books, books=())

        with pytest.raises(CannotBill, match="no tariff book has this category"):
            self.corrected(town, empty, original.number, approver(town))

    def test_does_not_know_a_wrong_number(self, town: Database, books: Books) -> None:
        issue(town, books)

        with pytest.raises(UnknownBill, match="the check digit is wrong"):
            self.corrected(town, books, "B2504-0000001-9", approver(town))


class TestStore:
    @pytest.mark.parametrize(
        "change", ["UPDATE billing_bill SET total_paise = 0", "DELETE FROM billing_bill"]
    )
    def test_refuses_to_change_a_bill(self, town: Database, books: Books, change: str) -> None:
        issue(town, books)

        with pytest.raises(DBAPIError, match="billing_bill are only ever added"), town.write() as connection:
            connection.execute(text(change))

    def test_finds_a_bill_by_number_and_by_token(self, town: Database, books: Books) -> None:
        issue(town, books)
        (bill,) = bills_of(town)

        with town.read() as connection:
            assert queries.bill(connection, number=bill.number.lower()) == bill
            assert queries.bill_by_token(connection, token=bill.token) == bill
            assert queries.latest_bill(connection, account="A1") == bill
            assert queries.latest_bill(connection, account="A9") is None
            with pytest.raises(UnknownBill):
                queries.bill_by_token(connection, token="")
            assert queries.totals(connection)[0] == 2
