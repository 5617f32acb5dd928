import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.readings.model import ABSENT
from bijlighar.validation.estimation import Estimates, distribute, estimate
from bijlighar.validation.model import Method

DAYS = 40


def window(seed: int = 3) -> np.ndarray:
    """One meter whose days differ by weekday and whose hours differ."""
    draw = np.random.default_rng(seed)
    shape = 100 + 20 * np.arange(48)[None, :] + 50 * (np.arange(DAYS) % 7)[:, None]
    return (shape + draw.integers(0, 30, (DAYS, 48)))[None].astype(np.int64)


def run(known: np.ndarray, targets: np.ndarray, registers: np.ndarray | None = None) -> Estimates:
    unknown = np.full((1, known.shape[1] + 1), ABSENT, dtype=np.int64)
    return estimate(
        known=np.where(targets, ABSENT, known),
        targets=targets,
        registers=unknown if registers is None else registers,
        elsewhere=np.zeros(known.shape[:2], dtype=np.int64),
        history_days=28,
        tolerance=np.array([34]),
    )


def gap(first: tuple[int, int], last: tuple[int, int]) -> np.ndarray:
    targets = np.zeros((1, DAYS, 48), dtype=bool)
    targets.reshape(-1)[first[0] * 48 + first[1] : last[0] * 48 + last[1]] = True
    return targets


class TestEstimate:
    def test_takes_the_weighted_median_of_the_days_around(self):
        known, targets = window(), gap((30, 0), (31, 0))

        found = run(known, targets)

        offsets = [*range(-28, 0), *range(1, 8)]
        weights = [round(1_000 * np.exp(-abs(o) / 8) * (2 if o % 7 == 0 else 1)) for o in offsets]
        for slot in range(10, 38):
            line = sorted((int(known[0, 30 + o, slot]), w) for o, w in zip(offsets, weights, strict=True))
            reached = np.cumsum([weight for _, weight in line])
            middle = line[int((10 * reached >= 6 * reached[-1]).argmax())][0]
            assert found.values[0, 30, slot] == middle
        assert set(found.methods[0, 30, 2:46].tolist()) == {Method.LIKE_WEEKDAY}
        assert (found.values[~targets] == ABSENT).all()
        assert not found.scaled.any()

    def test_draws_the_edges_of_a_gap_to_its_sides(self):
        known = np.full((1, DAYS, 48), 100, dtype=np.int64)
        known[0, 30, 9], known[0, 30, 14] = 1_100, 1_100

        found = run(known, gap((30, 10), (30, 14)))

        assert found.values[0, 30, 10:14].tolist() == [585, 394, 394, 585]
        assert set(found.methods[0, 30, 10:14].tolist()) == {Method.LINEAR}

    def test_takes_the_days_before_where_no_week_is_past(self):
        found = run(window(), gap((3, 0), (4, 0)))

        assert set(found.methods[0, 3, 2:46].tolist()) == {Method.LIKE_DAY}

    def test_takes_the_days_after_where_nothing_is_past(self):
        found = run(window(), gap((0, 0), (1, 0)))

        assert set(found.methods[0, 0].tolist()) == {Method.DAYS_AFTER}

    def test_leaves_absent_what_nothing_tells(self):
        known = np.full((1, DAYS, 48), ABSENT, dtype=np.int64)

        assert (run(known, gap((5, 0), (6, 0))).values == ABSENT).all()

    def test_shares_the_register_difference_even_without_a_past(self):
        known = np.full((1, DAYS, 48), ABSENT, dtype=np.int64)
        registers = np.full((1, DAYS + 1), ABSENT, dtype=np.int64)
        registers[0, [5, 6]] = 1_000, 1_100

        found = run(known, gap((5, 0), (6, 0)), registers)

        assert found.values[0, 5].sum() == 100
        assert found.values[0, 5].max() - found.values[0, 5].min() <= 1
        assert set(found.methods[0, 5].tolist()) == {Method.FLAT}

    @given(
        st.integers(28, 36),
        st.integers(0, 47),
        st.integers(1, 150),
        st.integers(0, 4),
        st.integers(0, 10**7),
    )
    def test_sums_with_the_known_to_the_register_difference(self, day, slot, length, before, extra):
        known, targets = window(), gap((day, slot), (day, slot + length))
        end = (day * 48 + slot + length + 47) // 48
        first, last = day - before, min(end, DAYS)
        registers = np.full((1, DAYS + 1), ABSENT, dtype=np.int64)
        inside = (slice(None), slice(first, last))
        measured = int(known[inside][~targets[inside]].sum())
        registers[0, first], registers[0, last] = 5, 5 + measured + extra

        found = run(known, targets, registers)

        assert int(found.values[targets].sum()) == extra
        assert (found.values[targets] >= 0).all()
        assert found.scaled[targets].all()

    def test_does_not_believe_registers_below_what_was_measured(self):
        known, targets = window(), gap((30, 0), (30, 5))
        registers = np.full((1, DAYS + 1), ABSENT, dtype=np.int64)
        registers[0, [30, 31]] = 0, 100

        found = run(known, targets, registers)

        assert not found.scaled.any()
        assert (found.values[targets] > 0).all()

    def test_gives_nothing_where_the_register_leaves_nothing(self):
        known, targets = window(), gap((30, 0), (30, 5))
        registers = np.full((1, DAYS + 1), ABSENT, dtype=np.int64)
        registers[0, [30, 31]] = 0, int(known[0, 30, 5:].sum()) - 9

        assert run(known, targets, registers).values[targets].tolist() == [0] * 5

    def test_counts_what_another_interval_length_holds(self):
        known, targets = window(), gap((30, 0), (30, 5))
        registers = np.full((1, DAYS + 1), ABSENT, dtype=np.int64)
        registers[0, [30, 31]] = 0, int(known[0, 30, 5:].sum()) + 700

        found = estimate(
            known=np.where(targets, ABSENT, known),
            targets=targets,
            registers=registers,
            elsewhere=np.where(np.arange(DAYS) == 30, 200, 0)[None],
            history_days=28,
            tolerance=np.array([34]),
        )

        assert found.values[targets].sum() == 500


class TestEstimateByNeighbours:
    """A meter that was hung on day 30; the mean of its neighbours is known of every day."""

    def estimate(
        self, known: np.ndarray, targets: np.ndarray, neighbours: np.ndarray, *, total: int | None = None
    ) -> Estimates:
        registers = np.full((1, DAYS + 1), ABSENT, dtype=np.int64)
        if total is not None:
            registers[0, 30], registers[0, 31] = 1_000, 1_000 + total
        return estimate(
            known=known,
            targets=targets,
            registers=registers,
            elsewhere=np.zeros((1, DAYS), dtype=np.int64),
            history_days=28,
            tolerance=np.array([34]),
            neighbours=neighbours,
        )

    def test_keeps_the_proportion_in_which_both_stand(self):
        neighbours, known = window() * 1_000, np.full((1, DAYS, 48), ABSENT, dtype=np.int64)
        known[0, 30, :20] = window()[0, 30, :20] * 3

        found = self.estimate(known, gap((30, 20), (31, 0)), neighbours)

        assert found.values[0, 30, 20:].tolist() == (window()[0, 30, 20:] * 3).tolist()
        assert set(found.methods[0, 30, 20:].tolist()) == {Method.NEIGHBOURS}

    def test_takes_their_shape_alone_where_only_a_register_is_known(self):
        neighbours, known = window() * 1_000, np.full((1, DAYS, 48), ABSENT, dtype=np.int64)

        found = self.estimate(known, gap((30, 0), (31, 0)), neighbours, total=9_600)

        assert found.values[0, 30].sum() == 9_600
        wanted = window()[0, 30] * 9_600 / window()[0, 30].sum()
        assert np.abs(found.values[0, 30] - wanted).max() <= 1

    def test_makes_nothing_up_where_nothing_of_the_meter_is_known(self):
        known = np.full((1, DAYS, 48), ABSENT, dtype=np.int64)

        found = self.estimate(known, gap((30, 0), (31, 0)), window() * 1_000)

        assert (found.values == ABSENT).all()
        assert not found.methods.any()

    def test_asks_no_neighbour_where_the_meter_has_days_of_its_own(self):
        known, targets = window(), gap((30, 0), (31, 0))

        with_them = self.estimate(known, targets, window(4) * 5_000)

        assert with_them.values.tolist() == run(known, targets).values.tolist()


class TestDistribute:
    @given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
    def test_is_exact_and_near_its_weights(self, total: int, weights: list[int]):
        shares = distribute(total=total, weights=np.array(weights, dtype=np.int64))

        assert int(shares.sum()) == total
        assert (shares >= 0).all()
        if sum(weights) and total * max(weights) < 2**62:
            exact = [total * weight / sum(weights) for weight in weights]
            assert all(abs(share - wish) < 2 for share, wish in zip(shares.tolist(), exact, strict=True))
