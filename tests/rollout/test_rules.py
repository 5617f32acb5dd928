from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.period import Month
from bijlighar.rollout.errors import RefusedPlan
from bijlighar.rollout.model import (
    ORDER_STATE_NAMES,
    ORDER_STEPS,
    STOCK_STATE_NAMES,
    STOCK_STEPS,
    Observed,
    OrderEvent,
    OrderState,
    StockCount,
    StockEvent,
    StockState,
)
from bijlighar.rollout.rules import (
    day_when_done,
    forecast,
    forecast_words,
    months_between,
    spread,
    total,
)


def observe(**changed: object) -> Observed:
    """The mission's figures, unless changed."""
    given = {
        "on": date(2025, 8, 1),
        "planned": 9_500,
        "installed": 6_500,
        "hung_in_window": 6_500,
        "months": Fraction(4),
        "claimed": 2_500,
    }
    return Observed(**{**given, **changed})


class TestSpread:
    @given(planned=st.integers(1, 10_000), months=st.integers(1, 30))
    def test_loses_no_meter_and_is_even(self, planned, months):
        first = Month(year=2025, month=11)
        last = first
        for _ in range(months - 1):
            last = last.next

        targets = spread(office="M", planned=planned, first=first, last=last)

        meters = [target.meters for target in targets]
        assert (len(meters), sum(meters)) == (months, planned)
        assert max(meters) - min(meters) <= 1

    @pytest.mark.parametrize(("planned", "last"), [(0, "2026-04"), (5, "2026-03"), (-1, "2026-05")])
    def test_refuses_an_empty_plan_or_window(self, planned, last):
        with pytest.raises(RefusedPlan):
            spread(office="M", planned=planned, first=Month.parse("2026-04"), last=Month.parse(last))


class TestMonthsBetween:
    @pytest.mark.parametrize(
        ("start", "end", "months"),
        [
            (date(2025, 4, 1), date(2025, 4, 1), Fraction(0)),
            (date(2025, 4, 1), date(2025, 3, 1), Fraction(0)),
            (date(2025, 4, 1), date(2025, 4, 16), Fraction(1, 2)),
            (date(2025, 12, 31), date(2026, 2, 28), Fraction(2)),
            (date(2024, 2, 29), date(2025, 2, 28), Fraction(12)),
        ],
    )
    def test_counts_whole_months_and_days(self, start, end, months):
        assert months_between(start, end) == months

    @given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 2_000))
    def test_is_the_other_side_of_day_when_done(self, start, days):
        end = date.fromordinal(start.toordinal() + days)

        # What takes until the morning of `end` is done on the day before.
        assert day_when_done(start, months_between(start, end)).toordinal() == end.toordinal() - 1


class TestForecast:
    def test_compares_the_missions_claim_with_the_observed_rate(self):
        found = forecast(observe())

        assert found.rate_per_month == 1_625
        assert found.claim_ratio == Fraction(2_500, 1_625)
        assert (found.remaining, found.left_after_claim) == (3_000, 500)
        assert found.months_left == Fraction(3_000, 1_625)
        assert found.done_on == date(2025, 9, 26)
        assert not found.limited_by_stock

    def test_counts_what_hangs_of_the_claim_already_once(self):
        found = forecast(observe(installed=7_000, hung_in_window=7_000, this_month=500))

        assert (found.remaining, found.left_after_claim) == (2_500, 500)

    def test_waits_for_deliveries_at_their_observed_rate(self):
        found = forecast(observe(stock=1_000, received=4_000))

        # 2,000 more have to come at 1,000 a month.
        assert found.done_on == date(2025, 9, 30)
        assert found.limited_by_stock
        assert found.stock_short == 0
        assert found.stock_lasts_months == Fraction(1_000, 1_625)

    def test_gives_no_day_when_stock_is_short_and_nothing_comes(self):
        found = forecast(observe(stock=1_200))

        assert (found.done_on, found.stock_short, found.limited_by_stock) == (None, 1_800, True)

    def test_is_not_limited_by_stock_that_suffices(self):
        found = forecast(observe(stock=3_000))

        assert (found.done_on, found.limited_by_stock) == (date(2025, 9, 26), False)

    @pytest.mark.parametrize("changed", [{"months": Fraction(0)}, {"hung_in_window": 0}])
    def test_says_nothing_of_a_rate_that_was_not_observed(self, changed):
        found = forecast(observe(**changed))

        assert (found.rate_per_month, found.claim_ratio, found.months_left, found.done_on) == (None,) * 4
        assert found.left_after_claim == 500

    def test_is_done_when_nothing_remains(self):
        found = forecast(observe(installed=9_600, claimed=None))

        assert (found.remaining, found.months_left, found.left_after_claim) == (0, 0, None)

    @pytest.mark.parametrize(
        "changed", [{"planned": -1}, {"claimed": -5}, {"months": Fraction(-1)}, {"stock": -1}]
    )
    def test_refuses_figures_below_zero(self, changed):
        with pytest.raises(RefusedPlan):
            forecast(observe(**changed))


class TestForecastWords:
    def said(self, **changed: object):
        observed = observe(**changed)
        return forecast_words(observed, forecast(observed))

    def test_tells_the_missions_figures(self):
        words = self.said()

        assert words.en == (
            "Planned 9,500, installed 6,500. Claimed for this month: 2,500, 1.54 times the observed rate of 1,625 a "
            "month; would leave 500; at the observed rate the remaining 3,000 take 1.85 months "
            "(done on 26 September 2025)."
        )
        assert words.hi == (
            "योजना 9,500 मीटर की है, अब तक 6,500 लगे। इस माह का दावा 2,500 मीटर का है, जो देखी गई गति 1,625 प्रति माह "
            "का 1.54 गुना है; इसके बाद भी 500 शेष रहेंगे; देखी गई गति से शेष 3,000 मीटर में 1.85 माह लगेंगे "
            "(26 सितंबर 2025 को पूर्ण)।"
        )

    def test_tells_other_figures(self):
        words = self.said(
            planned=120_000, installed=50_000, hung_in_window=50_000, months=Fraction(3), claimed=20_000
        )

        assert "20,000, 1.2 times the observed rate of 16,666.7 a month; would leave 50,000;" in words.en
        assert "the remaining 70,000 take 4.2 months (done on" in words.en
        assert words.en.startswith("Planned 1,20,000, installed 50,000.")

    @pytest.mark.parametrize(
        ("changed", "english", "hindi"),
        [
            ({"planned": 0}, "There is no plan yet.", "कोई योजना नहीं"),
            ({"installed": 9_500}, "the plan is complete", "योजना पूरी"),
            ({"months": Fraction(0)}, "no rate has been observed yet", "कोई गति नहीं"),
            ({"claimed": None, "months": Fraction(0)}, "3,000 remain", "3,000 मीटर शेष"),
            (
                {"stock": 1_200},
                "The stock is 1,200 meters; 1,800 have still to be delivered.",
                "1,800 की आपूर्ति",
            ),
            ({"stock": 1_200}, "(but the stock does not suffice)", "भंडार में नहीं"),
            ({"stock": 1_000, "received": 4_000}, "observed rate of deliveries", "आपूर्ति की देखी गई गति"),
        ],
    )
    def test_tells_every_other_case_in_both_languages(self, changed, english, hindi):
        words = self.said(**changed)

        assert english in words.en
        assert hindi in words.hi


class TestLifeCycles:
    def test_go_from_plan_to_the_first_reading(self):
        state = OrderState.PLANNED
        for event in (OrderEvent.ISSUE, OrderEvent.INSTALL, OrderEvent.READ_FIRST):
            state = next_state(ORDER_STEPS, state, event)

        assert state is OrderState.COMMISSIONED

    @pytest.mark.parametrize(
        ("state", "event"),
        [
            (OrderState.PLANNED, OrderEvent.INSTALL),
            (OrderState.INSTALLED, OrderEvent.CANCEL),
            (OrderState.CANCELLED, OrderEvent.ISSUE),
        ],
    )
    def test_know_no_short_cuts(self, state, event):
        with pytest.raises(IllegalStep):
            next_state(ORDER_STEPS, state, event)

    def test_name_every_state(self):
        assert set(ORDER_STEPS) == set(ORDER_STATE_NAMES) == set(OrderState)
        assert set(STOCK_STEPS) == set(STOCK_STATE_NAMES) == set(StockState)
        assert {event for steps in STOCK_STEPS.values() for event in steps} == set(StockEvent)


class TestTotal:
    def test_keeps_the_books_of_the_stores(self):
        counts = (
            StockCount(store="A", in_store=5, issued=2, installed=10, faulty=1),
            StockCount(store="B", in_store=1, sent_back=3),
        )

        summed = total(counts)

        assert (summed.received, summed.stock) == (22, 8)
        assert summed.stock == summed.received - summed.installed - summed.faulty - summed.sent_back
