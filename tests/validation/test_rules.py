import numpy as np
import pytest

from bijlighar.readings.model import ABSENT, Quality
from bijlighar.validation import rules
from bijlighar.validation.model import ValidationSettings

SETTINGS = ValidationSettings()


def day(value: int = 100, **at: int) -> np.ndarray:
    row = np.full((1, 48), value, dtype=np.int64)
    for slot, other in at.items():
        row[0, int(slot[1:])] = other
    return row


def check(values: np.ndarray, opening: int, closing: int, wanted: np.ndarray | None = None) -> rules.SumCheck:
    return rules.sum_check(
        values=values,
        wanted=np.ones(values.shape, dtype=bool) if wanted is None else wanted,
        sum_wh=rules.day_sums(values),
        opening=np.array([opening]),
        closing=np.array([closing]),
        settings=SETTINGS,
    )


class TestExpected:
    def test_leaves_out_an_interval_in_which_the_meter_was_hung(self):
        midnight = -19_800
        wanted = rules.expected(
            days=np.array([0, 0]),
            minutes=15,
            from_s=np.array([midnight + 900, midnight + 901]),
            to_s=np.array([midnight + 86_400, midnight + 86_399]),
        )

        assert wanted.shape == (2, 96)
        assert np.flatnonzero(~wanted[0]).tolist() == [0]
        assert np.flatnonzero(~wanted[1]).tolist() == [0, 1, 95]


class TestMissing:
    def test_counts_only_what_is_expected(self):
        wanted = np.ones((1, 48), dtype=bool)
        wanted[0, 3] = False

        marks = rules.missing(values=day(s2=ABSENT, s3=ABSENT), wanted=wanted)

        assert np.flatnonzero(marks[0]).tolist() == [2]


class TestNegative:
    def test_does_not_take_absent_for_negative(self):
        assert np.flatnonzero(rules.negative(values=day(s0=ABSENT, s1=-1, s2=0))[0]).tolist() == [1]


class TestUsualPeak:
    def test_is_not_moved_by_one_earlier_spike(self):
        history = np.concatenate([day(s5=400) for _ in range(20)])[None]
        history[0, 3, 7] = 60_000

        assert rules.usual_peak_wh(history=history, days_min=7).tolist() == [400]

    def test_is_unknown_of_a_short_past(self):
        history = np.full((1, 28, 48), ABSENT, dtype=np.int64)
        history[0, :6] = 100

        assert rules.usual_peak_wh(history=history, days_min=7).tolist() == [0]
        assert rules.usual_peak_wh(history=history[:, :0], days_min=7).tolist() == [0]


class TestSpike:
    @pytest.mark.parametrize(
        ("value", "load", "usual", "is_spike"),
        [
            (2_001, 1_000, 500, True),
            (2_000, 1_000, 500, False),  # not above twice the load
            (2_001, 1_000, 501, False),  # not above four times the usual peak
            (5_001, 1_000, 0, True),
            (5_000, 1_000, 0, False),
            (9_999, 0, 2_500, False),
            (10_001, 0, 2_500, True),
            (10_001, 0, 0, False),  # nothing to measure it by
            (500, 50, 10, False),  # below the floor of 1 kW
            (501, 50, 10, True),
        ],
    )
    def test_asks_load_and_past(self, value: int, load: int, usual: int, is_spike: bool):
        values = day(1, s9=value)
        given = {"values": values, "minutes": 30, "load": np.array([load]), "settings": SETTINGS}

        marks = rules.spike(**given, usual=np.array([usual]))

        assert np.flatnonzero(marks[0]).tolist() == ([9] if is_spike else [])
        if is_spike:
            assert rules.may_spike(**given).tolist() == [True]

    def test_is_no_spike_where_nothing_is(self):
        values = np.full((1, 48), ABSENT, dtype=np.int64)
        given = {"values": values, "minutes": 30, "load": np.array([10]), "settings": SETTINGS}

        assert not rules.spike(**given, usual=np.array([1])).any()
        assert not rules.may_spike(**given).any()


class TestSumCheck:
    @pytest.mark.parametrize(
        ("closing", "failed"), [(4_834, False), (4_766, False), (4_835, True), (4_765, True)]
    )
    def test_allows_the_step_and_the_rounding(self, closing: int, failed: bool):
        step = 0 if closing % 10 == 0 else 9  # a register that is no multiple of ten counts single Wh
        found = check(
            day(), 10_000, 10_000 + (closing if not step else closing - (9 if closing > 4_800 else -9))
        )

        assert found.failed.tolist() == [failed]

    def test_takes_a_register_of_tens_for_a_coarse_one(self):
        assert check(day(), 1_000, 5_830).failed.tolist() == [False]
        assert check(day(), 1_000, 5_840).failed.tolist() == [True]

    def test_says_nothing_without_both_registers(self):
        found = check(day(), 1_000, ABSENT)

        assert (found.failed.tolist(), found.confirmed.tolist()) == ([False], [False])

    def test_lets_a_part_of_a_day_be_less_but_not_more(self):
        assert check(day(s0=ABSENT), 0, 9_000).failed.tolist() == [False]
        assert check(day(s0=ABSENT), 0, 9_000).confirmed.tolist() == [True]
        assert check(day(s0=ABSENT), 0, 4_000).failed.tolist() == [True]

    def test_says_nothing_of_a_day_on_which_the_meter_was_hung(self):
        wanted = np.ones((1, 48), dtype=bool)
        wanted[0, :5] = False

        assert check(day(), 0, 100, wanted).failed.tolist() == [False]

    def test_tells_a_register_that_falls(self):
        found = check(day(0), 5_000, 4_000)

        assert (found.failed.tolist(), found.confirmed.tolist()) == ([True], [False])


class TestQuality:
    def test_is_absent_suspect_or_valid(self):
        suspect = np.zeros((1, 48), dtype=bool)
        suspect[0, 1] = True

        found = rules.quality(values=day(s0=ABSENT), suspect=suspect)

        assert found[0, :3].tolist() == [Quality.ABSENT, Quality.SUSPECT, Quality.VALID]
