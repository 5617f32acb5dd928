import numpy as np
import pytest

from bijlighar.balance import doubt, technical

STEPS = 48


class TestFilled:
    def energy(self) -> np.ndarray:
        rng = np.random.default_rng(1)
        return rng.uniform(50, 150, (6, 10 * STEPS)).round()

    def test_leaves_what_is_known_alone_and_without_error(self):
        energy = self.energy()

        filled, error = doubt.filled(energy, np.ones(energy.shape, dtype=bool), steps_per_day=STEPS)

        assert (filled == energy).all()
        assert error.tolist() == [0.0] * 6

    def test_puts_in_what_is_usual_and_is_less_sure_the_more_is_missing(self):
        energy = self.energy()
        known = np.ones(energy.shape, dtype=bool)
        known[0, : 2 * STEPS] = False
        known[1, : 6 * STEPS] = False

        filled, error = doubt.filled(np.where(known, energy, 0.0), known, steps_per_day=STEPS)

        assert filled[0, : 2 * STEPS].sum() == pytest.approx(2 * STEPS * 100, rel=0.1)
        assert 0 < error[0] < error[1]
        assert error[2] == 0

    def test_takes_a_meter_never_heard_of_for_one_like_the_others_and_doubts_it(self):
        energy = self.energy()
        known = np.ones(energy.shape, dtype=bool)
        known[3] = False

        filled, error = doubt.filled(np.where(known, energy, 0.0), known, steps_per_day=STEPS)

        assert filled[3].sum() == pytest.approx(10 * STEPS * 100, rel=0.1)
        assert error[3] >= 0.5 * filled[3].sum() - 1


class TestErrors:
    def test_add_as_squares(self):
        errors = doubt.errors_of(
            input_wh=np.full(48, 1_000.0),
            energy_wh=np.zeros((0, 48)),
            of_estimates=np.array([3_000.0, 4_000.0]),
            assessed_wh=np.array([80_000.0]),
            line=0.0,
            by_voltage=True,
            seconds_per_step=1_800,
        )

        assert errors.estimates == 5_000
        assert errors.assessed == pytest.approx(12_000)
        assert errors.input_meter == pytest.approx(0.005 / 3**0.5 * 48_000)
        assert errors.sigma == pytest.approx(13_000, rel=1e-3)


class TestByVoltage:
    def line(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return energies, voltages and loss of two homes on one wire of 0.3 ohm, at the transformer's 230 V."""
        energy = np.random.default_rng(2).uniform(200, 2_000, (2, 480))
        ampere = energy * 2 / 220
        drop = 0.3 * ampere.sum(axis=0)
        return energy, np.stack([230 - drop, 230 - drop]), 0.3 * ampere.sum(axis=0) ** 2 / 2

    def test_gives_what_the_wire_lost_whatever_the_voltmeters_are_off(self):
        energy, volt, lost = self.line()

        found, covered = technical.by_voltage(
            energy_wh=energy,
            volt=volt + np.array([[1.5], [-2.0]]),
            head_volt=np.full(480, 230.0),
            input_wh=energy.sum(axis=0) + lost,
            phase=np.zeros(2, dtype=np.int64),
        )

        assert covered == 1
        assert found.sum() == pytest.approx(lost.sum(), rel=0.08)

    def test_covers_nothing_without_voltages(self):
        energy, _, lost = self.line()

        found, covered = technical.by_voltage(
            energy_wh=energy,
            volt=np.full(energy.shape, np.nan),
            head_volt=np.full(480, 230.0),
            input_wh=energy.sum(axis=0) + lost,
            phase=np.zeros(2, dtype=np.int64),
        )

        assert (covered, found.sum()) == (0, 0)
