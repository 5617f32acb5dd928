"""Numbers, differences, months due."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.billing.model import REASON_WORDS, BillLine, Reason
from bijlighar.billing.rules import bill_number, differences, is_bill_number, months_due

NAME = Words(hi="मद", en="line")


def line(code: str, amount_paise: int) -> BillLine:
    return BillLine(code=code, name=NAME, head="energy", amount_paise=amount_paise, why=NAME)


LINES = st.dictionaries(st.sampled_from("ABCDE"), st.integers(-(10**9), 10**9)).map(
    lambda amounts: tuple(line(code, paise) for code, paise in amounts.items())
)


class TestBillNumber:
    @given(serial=st.integers(1, 9_999_999), place=st.integers(0, 11), digit=st.integers(0, 9))
    def test_shows_any_single_wrong_digit(self, serial: int, place: int, digit: int) -> None:
        number = bill_number(month=Month(year=2025, month=4), serial=serial)
        digits = [position for position, sign in enumerate(number) if sign.isdigit()]
        at = digits[place]
        wrong = number[:at] + str(digit) + number[at + 1 :]

        assert is_bill_number(number)
        assert is_bill_number(wrong) == (wrong == number)


class TestDifferences:
    @given(billed=st.lists(LINES, min_size=1, max_size=3), fresh=LINES)
    def test_bring_what_was_billed_to_the_fresh_lines(
        self, billed: list[tuple[BillLine, ...]], fresh
    ) -> None:
        found = differences(billed=billed, fresh=fresh)

        sums: dict[str, int] = {}
        for each in (*(each for lines in billed for each in lines), *found):
            sums[each.code] = sums.get(each.code, 0) + each.amount_paise
        assert {code: paise for code, paise in sums.items() if paise} == {
            each.code: each.amount_paise for each in fresh if each.amount_paise
        }

    def test_say_what_it_is_now_and_was_before(self) -> None:
        (found,) = differences(billed=[[line("A", 100)]], fresh=[line("A", 350)])

        assert found.why == Words(hi="अब ₹3.50, पहले ₹1.00", en="now ₹3.50, before ₹1.00")


class TestMonthsDue:
    @pytest.mark.parametrize(
        ("today", "known", "months"),
        [
            (date(2025, 5, 3), [], ["2025-04"]),
            (date(2025, 5, 2), [], ["2025-03"]),
            (date(2025, 8, 5), ["2025-04"], ["2025-04", "2025-05", "2025-06", "2025-07"]),
            (
                date(2026, 3, 5),
                ["2025-04"],
                ["2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02"],
            ),
        ],
    )
    def test_reach_from_the_first_one_begun_to_the_newest(
        self, today: date, known: list[str], months: list[str]
    ) -> None:
        found = months_due(today=today, bill_from_day=3, known=[Month.parse(text) for text in known])

        assert [str(month) for month in found] == months


class TestReasonWords:
    @pytest.mark.parametrize("reason", Reason)
    def test_exist_in_both_languages(self, reason: Reason) -> None:
        assert REASON_WORDS[reason].hi
        assert REASON_WORDS[reason].en
