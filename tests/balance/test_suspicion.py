import numpy as np
import pytest

from bijlighar.balance import suspicion

STEPS = 48


def homes(days: int) -> np.ndarray:
    return np.random.default_rng(4).gamma(2.0, 100.0, (6, days * STEPS))


class TestFit:
    @pytest.mark.parametrize("days", [14, 62])
    def test_takes_in_the_meter_that_counts_half_from_a_day_on(self, days):
        true = homes(days)
        registered = true.copy()
        registered[2, days // 2 * STEPS :] /= 2
        line = (1e-5 * true.sum(axis=0) ** 2)[:, None]

        found = suspicion.fit(
            loss=true.sum(axis=0) + line[:, 0] - registered.sum(axis=0),
            line=line,
            energy_wh=registered,
            steps_per_day=STEPS,
            line_known=True,
        )

        first = found.shapes[0]
        assert (first.meter, first.kind) == (2, "since")
        assert abs(first.since - days // 2) <= days // 31
        assert first.energy == pytest.approx((true - registered).sum(), rel=0.1)
        assert int(found.score.argmax()) == 2
        assert found.fall[2] == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("days", [1, 2, 14])
    def test_takes_in_nothing_where_only_the_line_loses(self, days):
        energy = homes(days)
        line = (1e-5 * energy.sum(axis=0) ** 2)[:, None]

        found = suspicion.fit(
            loss=2 * line[:, 0], line=line, energy_wh=energy, steps_per_day=STEPS, line_known=False
        )

        assert found.shapes == ()
        assert found.line.sum() == pytest.approx(2 * line.sum())
