from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.arrears import dues as rules
from bijlighar.arrears.dues import DueVerdict
from bijlighar.arrears.model import Circumstance, CircumstanceKind
from tests.arrears.build import OLD, POLICY, SECOND, TODAY, due, facts, notice


def circumstance(
    kind: CircumstanceKind,
    *,
    document: str = "",
    entered_on: date = date(2025, 7, 1),
    until: date | None = None,
) -> Circumstance:
    return Circumstance(
        number=1,
        account="N1",
        kind=kind,
        document=document,
        note="",
        entered_by="asha",
        entered_on=entered_on,
        until=until,
    )


def verdicts(**changes: object) -> list[DueVerdict]:
    on = changes.pop("on", TODAY)
    assert isinstance(on, date)
    return [item.verdict for item in rules.judge_dues(facts=facts(**changes), policy=POLICY, on=on)]


def due_paise(*, on: date = TODAY, **changes: object) -> int:
    return rules.disconnectable_due_paise(facts=facts(**changes), policy=POLICY, on=on)


class TestFirstDayAfterClearDays:
    def test_counts_neither_the_day_of_service_nor_that_of_the_cut(self):
        earliest = rules.first_day_after_clear_days(served_on=date(2025, 6, 20), clear_days=15)

        assert earliest == date(2025, 7, 6)
        assert (earliest - date(2025, 6, 20)).days - 1 == 15


class TestMonthsLater:
    @given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 60))
    def test_never_lands_later_than_the_same_day_of_the_month(self, day: date, months: int):
        later = rules.months_later(day=day, months=months)

        assert later.day <= day.day
        assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months


class TestJudgeDues:
    def test_takes_a_due_as_young_on_its_sixtieth_day(self):
        assert verdicts(dues=(OLD,), on=OLD.due_on + timedelta(days=60)) == [DueVerdict.YOUNG]

    def test_enforces_a_due_on_its_sixty_first_day(self):
        assert verdicts(dues=(OLD,), on=OLD.due_on + timedelta(days=61)) == [DueVerdict.ENFORCEABLE]

    def test_leaves_out_paid_dues(self):
        assert verdicts(dues=(due(open_paise=0),)) == []

    def test_enforces_up_to_the_day_before_two_years(self):
        old = due(issued_on=date(2023, 7, 18), due_on=date(2023, 7, 28))

        assert verdicts(dues=(old,)) == [DueVerdict.ENFORCEABLE]

    def test_ends_after_two_years_from_the_first_due(self):
        old = due(issued_on=date(2023, 7, 17), due_on=date(2023, 7, 27))

        assert verdicts(dues=(old,)) == [DueVerdict.BEYOND_LIMIT]

    def test_goes_beyond_two_years_only_if_shown_continuously(self):
        old = due(issued_on=date(2023, 1, 1), due_on=date(2023, 1, 11))
        shown = circumstance(CircumstanceKind.SHOWN_CONTINUOUSLY, document="B1")

        assert verdicts(dues=(old,), circumstances=(shown,)) == [DueVerdict.ENFORCEABLE]

    def test_leaves_a_disputed_due_alone(self):
        disputed = circumstance(CircumstanceKind.DISPUTE, document="B1")

        assert verdicts(dues=(OLD,), circumstances=(disputed,)) == [DueVerdict.DISPUTED]

    def test_takes_up_a_due_whose_dispute_has_run_out(self):
        over = circumstance(CircumstanceKind.DISPUTE, document="B1", until=TODAY - timedelta(days=1))

        assert verdicts(dues=(OLD,), circumstances=(over,)) == [DueVerdict.ENFORCEABLE]

    def test_lets_an_instalment_plan_cover_what_was_issued_before_it(self):
        plan = circumstance(CircumstanceKind.INSTALMENTS, entered_on=OLD.issued_on)

        assert verdicts(dues=(OLD,), circumstances=(plan,)) == [DueVerdict.IN_INSTALMENTS]

    def test_lets_an_instalment_plan_not_cover_what_was_issued_after_it(self):
        plan = circumstance(CircumstanceKind.INSTALMENTS, entered_on=OLD.issued_on - timedelta(days=1))

        assert verdicts(dues=(OLD,), circumstances=(plan,)) == [DueVerdict.ENFORCEABLE]

    def test_asks_for_a_notice_that_names_the_due(self):
        assert verdicts(dues=(OLD,), notices=(notice("B2"),)) == [DueVerdict.NOT_NOTICED]

    def test_asks_for_proof_of_service(self):
        assert verdicts(dues=(OLD,), notices=(notice("B1", served_on=None),)) == [DueVerdict.NOT_SERVED]

    def test_waits_for_the_fifteenth_clear_day(self):
        served = notice("B1", served_on=TODAY - timedelta(days=15))

        assert verdicts(dues=(OLD,), notices=(served,)) == [DueVerdict.CLEAR_DAYS_RUNNING]

    def test_enforces_on_the_day_after_the_fifteenth_clear_day(self):
        served = notice("B1", served_on=TODAY - timedelta(days=16))

        assert verdicts(dues=(OLD,), notices=(served,)) == [DueVerdict.ENFORCEABLE]


class TestDisconnectableDuePaise:
    def test_counts_the_enforceable_dues_only(self):
        assert due_paise() == OLD.open_paise

    def test_is_nothing_without_dues(self):
        assert due_paise(dues=()) == 0

    def test_takes_off_credit_holds_and_a_small_deposit_under_protest(self):
        left = due_paise(unallocated_paise=10_000, holds_paise=20_000, protest_paise=5_000)

        assert left == OLD.open_paise - 35_000

    def test_is_not_above_zero_when_a_cheque_for_all_is_in_clearing(self):
        assert due_paise(holds_paise=OLD.open_paise) <= 0

    def test_is_nothing_once_the_lesser_sum_is_deposited_under_protest(self):
        assert due_paise(protest_paise=120_000) == 0

    def test_stands_one_paisa_below_the_lesser_sum(self):
        assert due_paise(protest_paise=119_999) > 0

    def test_takes_the_claim_as_the_lesser_sum_where_it_is(self):
        assert due_paise(protest_paise=OLD.open_paise, average_month_paise=900_000) == 0

    def test_takes_the_claim_where_no_bill_tells_an_average(self):
        assert due_paise(protest_paise=OLD.open_paise - 1, average_month_paise=None) == 1

    @given(
        paid=st.integers(0, 300_000),
        held=st.integers(0, 300_000),
        deposited=st.integers(0, 300_000),
        more=st.integers(0, 300_000),
        on=st.dates(date(2025, 5, 1), date(2028, 1, 1)),
    )
    def test_never_rises_by_money(self, paid: int, held: int, deposited: int, more: int, on: date):
        before = due_paise(on=on, unallocated_paise=paid, holds_paise=held, protest_paise=deposited)

        assert (
            due_paise(on=on, unallocated_paise=paid + more, holds_paise=held, protest_paise=deposited)
            <= before
        )
        assert (
            due_paise(on=on, unallocated_paise=paid, holds_paise=held + more, protest_paise=deposited)
            <= before
        )
        assert (
            due_paise(on=on, unallocated_paise=paid, holds_paise=held, protest_paise=deposited + more)
            <= before
        )


class TestIsOldEnough:
    def test_leaves_out_an_account_on_the_sixtieth_day(self):
        assert not rules.is_old_enough((OLD, SECOND), policy=POLICY, on=OLD.due_on + timedelta(days=60))

    def test_takes_it_on_the_sixty_first(self):
        assert rules.is_old_enough((OLD, SECOND), policy=POLICY, on=OLD.due_on + timedelta(days=61))

    def test_leaves_out_an_account_with_one_bill(self):
        assert not rules.is_old_enough((OLD,), policy=POLICY, on=TODAY)

    def test_counts_bills_and_not_surcharges(self):
        surcharge = due("S1", is_bill=False, due_on=date(2025, 6, 11))

        assert not rules.is_old_enough((OLD, surcharge), policy=POLICY, on=TODAY)

    def test_leaves_out_a_second_bill_that_is_not_overdue(self):
        fresh = due("B2", issued_on=date(2025, 7, 7), due_on=TODAY)

        assert not rules.is_old_enough((OLD, fresh), policy=POLICY, on=TODAY)


class TestWantsNotice:
    @pytest.mark.parametrize(("days", "wanted"), [(40, False), (41, True)])
    def test_begins_when_the_oldest_due_is_more_than_forty_days_late(self, days: int, wanted: bool):
        assert rules.wants_notice((OLD,), policy=POLICY, on=OLD.due_on + timedelta(days=days)) is wanted

    def test_ends_when_nothing_is_overdue(self):
        assert not rules.wants_notice((), policy=POLICY, on=TODAY)


class TestAgeing:
    def test_puts_every_due_into_one_part(self):
        ages = (0, 1, 30, 31, 60, 61, 90, 91)
        dues = tuple(
            due(f"B{age}", open_paise=1 << index, due_on=TODAY - timedelta(days=age))
            for index, age in enumerate(ages)
        )

        row = rules.ageing(account="N1", office="MHOW", dues=dues, policy=POLICY, on=TODAY)

        assert row.not_due_paise == 1
        assert row.to_30_days_paise == 2 + 4
        assert row.to_60_days_paise == 8 + 16
        assert row.to_90_days_paise == 32 + 64
        assert row.over_90_days_paise == 128
        assert row.overdue_paise + row.not_due_paise == sum(item.open_paise for item in dues)
        assert row.bills == 7

    def test_counts_apart_what_is_beyond_two_years(self):
        old = due(issued_on=date(2023, 1, 1), due_on=date(2023, 1, 11), open_paise=7)

        row = rules.ageing(account="N1", office="MHOW", dues=(old, OLD), policy=POLICY, on=TODAY)

        assert row.beyond_limit_paise == 7
        assert row.oldest_due_on == date(2023, 1, 11)
