import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.balance.rules import (
    EXTRAPOLATION_DAYS_MAX,
    SECONDS_PER_DAY,
    assess,
    part_of_day,
    per_cent,
    register_at,
    runs_of,
    seconds_hung,
    sum_by_group,
    transformer_loss_wh,
)
from bijlighar.readings.model import ABSENT, Quality

DAY = SECONDS_PER_DAY


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


class TestSecondsHung:
    def test_is_nothing_outside_the_hanging(self):
        hung = seconds_hung(
            starts=numbers(0, DAY, 2 * DAY), from_s=numbers(DAY, 5 * DAY), to_s=numbers(2 * DAY, 9 * DAY)
        )

        assert hung.tolist() == [[0, DAY, 0], [0, 0, 0]]


class TestPartOfDay:
    WH = numbers(*[10] * 48)
    NONE = numbers(*[ABSENT] * 48)
    READ = np.full(48, Quality.VALID, dtype=np.uint8)

    def part(self, **changed: object) -> tuple[int, int, int, int]:
        given = {
            "import_wh": self.WH,
            "export_wh": self.NONE,
            "quality": self.READ,
            "start": 0,
            "minutes": 30,
            "from_s": 0,
            "to_s": DAY,
            "hung_before": False,
        }
        return part_of_day(**{**given, **changed})

    def test_counts_the_interval_of_the_hanging_but_does_not_expect_it(self):
        assert self.part(from_s=5_000) == (46 * 10, 45, 45, 45)

    def test_leaves_that_interval_to_the_place_where_the_meter_hung_before(self):
        before = self.part(to_s=5_000)
        after = self.part(from_s=5_000, hung_before=True)

        assert before == (3 * 10, 2, 2, 2)
        assert before[0] + after[0] == 48 * 10

    def test_takes_export_off_and_counts_an_estimate_as_known_but_not_as_read(self):
        quality = self.READ.copy()
        quality[0], quality[1] = Quality.ESTIMATED, Quality.ABSENT
        energy = self.WH.copy()
        energy[1] = ABSENT

        assert self.part(export_wh=numbers(*[4] * 48), quality=quality, import_wh=energy) == (
            47 * 10 - 48 * 4,
            48,
            47,
            46,
        )


class TestRegisterAt:
    TIMES, VALUES = numbers(0, 10 * DAY, 40 * DAY), numbers(1_000, 2_000, 8_000)

    def at(self, *moments: int, carry_on: bool = True):
        register, known = register_at(
            moments=numbers(*moments), times=self.TIMES, values=self.VALUES, carry_on=carry_on
        )
        return register.tolist(), known.tolist()

    def test_is_exact_at_readings_and_straight_between_them(self):
        assert self.at(0, 5 * DAY, 10 * DAY, 25 * DAY, 40 * DAY)[0] == [1_000, 1_500, 2_000, 5_000, 8_000]

    def test_carries_on_at_the_nearest_rate_and_not_for_ever(self):
        assert self.at(-DAY, 41 * DAY) == ([900, 8_200], [True, True])
        assert self.at(41 * DAY, carry_on=False)[1] == [False]
        assert self.at((40 + EXTRAPOLATION_DAYS_MAX) * DAY, (40 + EXTRAPOLATION_DAYS_MAX) * DAY + 1)[1] == [
            True,
            False,
        ]

    def test_is_not_known_between_readings_that_fall(self):
        register, known = register_at(
            moments=numbers(0, 5, 10, 15),
            times=numbers(0, 10, 20),
            values=numbers(100, 50, 60),
            carry_on=False,
        )

        assert (register.tolist(), known.tolist()) == ([100, 0, 50, 55], [True, False, True, True])

    @pytest.mark.parametrize(("times", "values"), [([], []), ([5], [7])])
    def test_knows_no_rate_from_fewer_than_two_readings(self, times, values):
        register, known = register_at(
            moments=numbers(0, 5), times=numbers(*times), values=numbers(*values), carry_on=True
        )

        assert known.tolist() == [False, bool(times)]
        assert register[1] == (7 if times else 0)

    def test_takes_no_rate_from_readings_minutes_apart(self):
        _, known = register_at(
            moments=numbers(DAY), times=numbers(0, 600), values=numbers(0, 9), carry_on=True
        )

        assert known.tolist() == [False]


class TestAssess:
    @given(
        rises=st.lists(st.integers(0, 900_000), min_size=2, max_size=6),
        offset=st.integers(0, DAY - 1),
        multiplier=st.sampled_from([1, 20]),
    )
    def test_days_sum_to_the_difference_of_the_register(self, rises, offset, multiplier):
        days = 30 * (len(rises) - 1)
        times = numbers(*[offset + 30 * DAY * place for place in range(len(rises))])
        values = np.cumsum(numbers(*rises))

        energy, known = assess(
            starts=numbers(*range(0, (days + 1) * DAY, DAY)),
            from_s=int(times[0]),
            to_s=int(times[-1]),
            times=times,
            values=values,
            multiplier=multiplier,
        )

        assert known.all()
        assert int(energy.sum()) == int(values[-1] - values[0]) * multiplier
        assert (energy >= 0).all()

    def test_ends_with_the_last_register_of_an_exchange_in_the_middle_of_a_day(self):
        energy, known = assess(
            starts=numbers(0, DAY, 2 * DAY),
            from_s=-(10**9),
            to_s=DAY + DAY // 4,
            times=numbers(0, DAY + DAY // 4),
            values=numbers(0, 1_250),
            multiplier=1,
        )

        assert energy.tolist() == [1_000, 250, 0]
        assert known.all()

    def test_does_not_count_a_fall_as_energy(self):
        energy, known = assess(
            starts=numbers(0),
            from_s=0,
            to_s=DAY,
            times=numbers(0, DAY // 2, DAY),
            values=numbers(500, 100, 300),
            multiplier=1,
        )

        assert (energy.tolist(), known.tolist()) == ([0], [False])


class TestTransformerLossWh:
    def test_has_only_the_no_load_loss_without_load(self):
        assert (
            transformer_loss_wh(
                load_vah=numbers(*[ABSENT] * 48),
                minutes=30,
                rated_va=100_000,
                no_load_loss_w=180,
                load_loss_w=1_400,
            )
            == 180 * 24
        )

    def test_grows_with_the_square_of_the_load(self):
        def loss(vah: int) -> int:
            return transformer_loss_wh(
                load_vah=numbers(vah, vah), minutes=30, rated_va=100_000, no_load_loss_w=0, load_loss_w=1_600
            )

        assert (loss(50_000), loss(25_000), loss(12_500)) == (1_600, 400, 100)


class TestSumByGroup:
    def test_leaves_out_what_belongs_to_no_group(self):
        assert sum_by_group(np.array([[1, 2], [4, 8]]), groups=numbers(-1, 0), count=2).tolist() == [
            [4, 8],
            [0, 0],
        ]


class TestPerCent:
    @pytest.mark.parametrize(
        ("part", "whole", "percent"),
        [(0, 5, 0.0), (5, 5, 100.0), (1, 3, 33.3333), (2, 3, 66.6667), (7, 0, None)],
    )
    def test_rounds_half_up_to_four_decimals(self, part, whole, percent):
        assert per_cent(part, whole) == percent


class TestRunsOf:
    @given(st.sets(st.integers(0, 200)), st.integers(1, 40))
    def test_covers_every_day_once_within_the_limit(self, days, length_max):
        runs = runs_of(sorted(days), length_max=length_max)

        covered = [day for first, last in runs for day in range(first, last + 1)]
        assert covered == sorted(days)
        assert all(last - first < length_max for first, last in runs)
