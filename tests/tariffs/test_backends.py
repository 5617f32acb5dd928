"""The three back ends agree on random books and usages."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tariffs.random_books import MONTHS, books, usage, usages

from bijlighar.base.money import round_half_up
from bijlighar.tariffs.errors import UnpriceableUsage
from bijlighar.tariffs.model import Area, Book, Usage
from bijlighar.tariffs.rules import NO_DEMAND, PricedMany, UsageMany, explain, price, price_many

SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def together(rows: Sequence[Usage]) -> UsageMany:
    """The usages as columns."""

    def whole(values: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        return np.array(values, dtype=np.int64)

    codes = {code for row in rows for code in row.windows_wh}
    return UsageMany(
        category=rows[0].category,
        on=rows[0].on,
        rural=np.array([row.area is Area.RURAL for row in rows]),
        smart=np.array([row.smart for row in rows]),
        days=whole([row.days for row in rows]),
        month_days=whole([row.month_days for row in rows]),
        energy_wh=whole([row.energy_wh for row in rows]),
        sanctioned_w=whole([row.sanctioned_w for row in rows]),
        demand_w=whole([NO_DEMAND if row.demand_w is None else row.demand_w for row in rows]),
        windows_wh={code: whole([row.windows_wh.get(code, 0) for row in rows]) for code in codes},
    )


def assert_equal_to_scalar(*, book: Book, rows: Sequence[Usage], many: PricedMany) -> None:
    for index, row in enumerate(rows):
        priced = price(book=book, usage=row)
        assert int(many.net_paise[index]) == priced.net_paise
        assert int(many.total_paise[index]) == priced.total_paise
        for code, amounts in many.amounts_paise.items():
            assert int(amounts[index]) == priced.amount_paise(code), (code, row)


class TestVector:
    @SLOW
    @given(data=st.data(), book=books(), on=st.sampled_from(MONTHS))
    def test_equals_the_scalar_back_end_on_random_books(self, data: st.DataObject, book: Book, on) -> None:
        rows = data.draw(st.lists(usages(on=on), min_size=1, max_size=12))

        many = price_many(book=book, usage=together(rows))

        assert_equal_to_scalar(book=book, rows=rows, many=many)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data(), on=st.sampled_from(MONTHS), category=st.sampled_from(["LV-1.2", "LV-2.2", "LV-4"]))
    def test_equals_the_scalar_back_end_on_the_shipped_book(
        self, book_2025: Book, data, on, category
    ) -> None:
        drawn = data.draw(st.lists(usages(on=on), min_size=1, max_size=12))
        rows = [
            usage(
                category=category,
                on=on,
                area=row.area,
                days=row.days,
                month_days=row.month_days,
                energy_wh=row.energy_wh,
                sanctioned_w=row.sanctioned_w,
                smart=row.smart,
                demand_w=row.demand_w,
                windows_wh={"TOD3": row.windows_wh["DAY"]},
            )
            for row in drawn
        ]

        many = price_many(book=book_2025, usage=together(rows))

        assert_equal_to_scalar(book=book_2025, rows=rows, many=many)

    @pytest.mark.parametrize("category", ["LV-1.2", "LV-2.2", "LV-4"])
    def test_is_right_on_both_sides_of_its_bound(self, book_2025: Book, category: str) -> None:
        bound = book_2025.category(code=category, on=MONTHS[0]).vector_wh_max
        rows = [
            usage(
                category=category,
                energy_wh=bound + step,
                sanctioned_w=10_000_000,
                days=62,
                smart=True,
                windows_wh={"TOD3": bound},
            )
            for step in (0, 1, 10 * bound)
        ]

        many = price_many(book=book_2025, usage=together(rows))

        assert_equal_to_scalar(book=book_2025, rows=rows, many=many)

    def test_prices_a_month_of_7_gigawatt_hours_without_wrapping_round(self, book_2025: Book) -> None:
        large = usage(category="LV-4", energy_wh=7 * 10**9, sanctioned_w=20_000_000)

        many = price_many(book=book_2025, usage=together([large]))

        assert int(many.amounts_paise["ENERGY"][0]) == 7 * 10**6 * 676

    def test_prices_no_account_at_all(self, book_2025: Book) -> None:
        rows = together([usage()])
        none = UsageMany(
            category=rows.category,
            on=rows.on,
            rural=rows.rural[:0],
            smart=rows.smart[:0],
            days=rows.days[:0],
            month_days=rows.month_days[:0],
            energy_wh=rows.energy_wh[:0],
            sanctioned_w=rows.sanctioned_w[:0],
            demand_w=rows.demand_w[:0],
            windows_wh={},
        )

        assert len(price_many(book=book_2025, usage=none).total_paise) == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            {"energy_wh": -1},
            {"sanctioned_w": -1},
            {"days": 0},
            {"month_days": 27},
            {"windows_wh": {"TOD9": 1}},
        ],
    )
    def test_refuses_what_the_scalar_back_end_refuses(
        self, book_2025: Book, wrong: dict[str, object]
    ) -> None:
        rows = together([usage(**wrong)])

        with pytest.raises(UnpriceableUsage):
            price_many(book=book_2025, usage=rows)
        with pytest.raises(UnpriceableUsage):
            price(book=book_2025, usage=usage(**wrong))


class TestExplain:
    @SLOW
    @given(data=st.data(), book=books(), on=st.sampled_from(MONTHS))
    def test_has_terms_that_add_up_to_each_line(self, data: st.DataObject, book: Book, on) -> None:
        row = data.draw(usages(on=on))
        priced = price(book=book, usage=row)

        explained = explain(book=book, usage=row, priced=priced)

        assert [each.code for each in explained] == [line.code for line in priced.lines]
        for line, why in zip(priced.lines, explained, strict=True):
            exact = sum((step.quantity * step.rate_paise for step in why.steps), Fraction(0))
            assert round_half_up(exact) == line.amount_paise, line.code
            assert why.text.hi
            assert why.text.en

    def test_says_what_a_person_can_recompute(self, book_2025: Book) -> None:
        home = usage(energy_wh=140_000)

        texts = {
            each.code: each.text
            for each in explain(book=book_2025, usage=home, priced=price(book=book_2025, usage=home))
        }

        assert texts["ENERGY"].en == "50 units × ₹4.45 + 90 units × ₹5.41"
        assert texts["FIXED"].hi == "₹129.00 प्रति माह"
        assert texts["DUTY"].en == "9 % of ₹493.00 + 12 % of ₹216.40"
        assert texts["SUBSIDY"].en == (
            "energy of the first 100 units ₹493.00 + other charges ₹199.34 × 100/140 − your part ₹100.00"
        )

    def test_tells_the_days_of_an_odd_period(self, book_2025: Book) -> None:
        short = usage(energy_wh=20_000, days=15)

        explained = explain(book=book_2025, usage=short, priced=price(book=book_2025, usage=short))

        assert explained[1].text.en == "₹76.00 a month × 0.5 month (15 days)"


class TestPrice:
    @SLOW
    @given(data=st.data(), book=books(), on=st.sampled_from(MONTHS))
    def test_sums_to_the_paisa_with_a_rounding_below_a_rupee(
        self, data: st.DataObject, book: Book, on
    ) -> None:
        priced = price(book=book, usage=data.draw(usages(on=on)))

        assert sum(line.amount_paise for line in priced.lines) == priced.total_paise
        assert abs(priced.total_paise - priced.net_paise) <= 50

    @settings(max_examples=200, deadline=None)
    @given(energy_wh=st.integers(0, 2_000_000), more_wh=st.integers(0, 100_000), days=st.integers(1, 62))
    def test_never_lowers_a_telescopic_energy_charge_for_more_energy(
        self, book_2025: Book, energy_wh, more_wh, days
    ):
        less = price(book=book_2025, usage=usage(energy_wh=energy_wh, days=days))
        more = price(book=book_2025, usage=usage(energy_wh=energy_wh + more_wh, days=days))

        assert more.amount_paise("ENERGY") >= less.amount_paise("ENERGY")

    def test_bills_the_fixed_lines_of_a_month_without_use(self, book_2025: Book) -> None:
        priced = price(book=book_2025, usage=usage(energy_wh=0, sanctioned_w=2_000))

        assert (priced.amount_paise("ENERGY"), priced.amount_paise("FIXED"), priced.total_paise) == (
            0,
            7_600,
            7_600,
        )

    def test_gives_the_time_of_day_rebate_to_smart_meters_only(self, book_2025: Book) -> None:
        by_day = {"windows_wh": {"TOD3": 40_000}}

        smart = price(book=book_2025, usage=usage(smart=True, **by_day))
        old = price(book=book_2025, usage=usage(smart=False, **by_day))

        assert smart.amount_paise("TOD") == -3_944
        assert [line.code for line in old.lines if line.code == "TOD"] == []
