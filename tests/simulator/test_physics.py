import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bijlighar.simulator import physics
from bijlighar.simulator.physics import flow, grid_of, source_volt
from tests.simulator.towns import a_town

STARTS = np.array([1_743_445_800, 1_743_447_600], dtype=np.int64)


@pytest.fixture(scope="module")
def town():
    return a_town(meters=75)


@pytest.fixture(scope="module")
def grid(town):
    return grid_of(town.consumers, town.transformers, town.feeders, seed=town.seed)


def energies(town, value):
    return np.full((2, len(town.consumers)), value, dtype=np.int64)


class TestFlow:
    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_closes_in_whole_wh_at_every_level(self, town, grid, data):
        seed = data.draw(st.integers(0, 2**32 - 1))
        generator = np.random.default_rng(seed)
        registered = generator.integers(0, 900, (2, len(town.consumers)))
        stolen = generator.integers(0, 300, (2, len(town.consumers)))

        result = flow(grid, starts=STARTS, registered_wh=registered, stolen_wh=stolen)

        for index, transformer in enumerate(town.transformers):
            fed = [c.index for c in town.consumers if c.transformer == transformer.code]
            consumed = (registered + stolen)[:, fed].sum(axis=1)
            assert np.array_equal(result.input_wh[:, index], consumed + result.line_loss_wh[:, index])
        for index, feeder in enumerate(town.feeders):
            below = [i for i, transformer in enumerate(town.transformers) if transformer.feeder == feeder]
            fed_in = (result.input_wh + result.own_loss_wh)[:, below].sum(axis=1)
            assert np.array_equal(result.feeder_wh[:, index], fed_in)

    def test_loses_nothing_on_the_line_when_nothing_flows(self, town, grid):
        result = flow(grid, starts=STARTS, registered_wh=energies(town, 0), stolen_wh=energies(town, 0))

        assert result.line_loss_wh.sum() == 0
        assert result.input_wh.sum() == 0
        assert np.all(result.own_loss_wh[0] == [round(t.no_load_loss_w / 2) for t in town.transformers])

    def test_loses_four_times_as_much_with_twice_the_current(self, town, grid):
        once = flow(grid, starts=STARTS, registered_wh=energies(town, 100), stolen_wh=energies(town, 0))
        twice = flow(grid, starts=STARTS, registered_wh=energies(town, 200), stolen_wh=energies(town, 0))

        assert np.all(twice.line_loss_wh > 3.8 * once.line_loss_wh)
        assert np.all(twice.line_loss_wh < 5.0 * once.line_loss_wh)

    def test_drops_the_voltage_along_the_line(self, town, grid):
        result = flow(grid, starts=STARTS, registered_wh=energies(town, 300), stolen_wh=energies(town, 0))
        source = source_volt(grid, starts=STARTS)[0, 0]
        street = [c for c in town.consumers if c.transformer == town.transformers[0].code and c.phase == "R"]
        along = [result.volt[0, consumer.index, 0] for consumer in sorted(street, key=lambda c: c.node)]

        assert len(along) > 2
        assert along == sorted(along, reverse=True)
        assert source > along[0]
        assert all(result.volt[0, consumer.index, 1] == 0 for consumer in street)

    def test_carries_stolen_current_like_any_other(self, town, grid):
        honest = flow(grid, starts=STARTS, registered_wh=energies(town, 200), stolen_wh=energies(town, 0))
        stolen = flow(grid, starts=STARTS, registered_wh=energies(town, 50), stolen_wh=energies(town, 150))

        assert np.array_equal(honest.input_wh, stolen.input_wh)


class TestApparent:
    @given(energy=st.integers(0, 10**6), factor=st.integers(50, 100))
    def test_is_never_below_the_real_energy(self, energy, factor):
        apparent = physics.apparent_vah(np.array([energy]), np.array([factor / 100]))

        assert apparent[0] >= energy
