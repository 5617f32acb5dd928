from datetime import date

import numpy as np

from bijlighar.base.period import day_number
from bijlighar.simulator.curves import demand_wh, loads_of, outside_temperature_c
from bijlighar.simulator.model import GAP, LoadFile, Premises
from tests.simulator.towns import FIRST_DAY, a_town

FIRST = day_number(FIRST_DAY)


def loads(town, profiles=None):
    return loads_of(town.consumers, seed=town.seed, first_day=FIRST, profiles=profiles)


class TestDemand:
    def test_is_the_same_for_a_day_whatever_was_asked_before(self):
        town = a_town(meters=40)
        fresh, used = loads(town), loads(town)

        demand_wh(used, day=FIRST)

        assert np.array_equal(demand_wh(fresh, day=FIRST + 9), demand_wh(used, day=FIRST + 9))

    def test_stays_below_the_sanctioned_load(self):
        town = a_town(meters=200)
        sanctioned = np.array([consumer.sanctioned_w for consumer in town.consumers])

        for day in (FIRST, FIRST + 45):
            assert np.all(demand_wh(loads(town), day=day) * 2 <= sanctioned[:, None])

    def test_is_never_nothing_in_a_home(self):
        town = a_town(meters=100)
        homes = [consumer.index for consumer in town.consumers if consumer.premises is Premises.HOME]

        assert demand_wh(loads(town), day=FIRST)[homes].min() > 0

    def test_makes_the_units_of_an_indian_month(self):
        town = a_town(meters=200)
        small = [c.index for c in town.consumers if c.premises is Premises.HOME and c.sanctioned_w == 1000]

        month = sum(demand_wh(loads(town), day=FIRST + day).sum(axis=1) for day in range(30)) / 1000

        assert 60 < np.median(month[small]) < 150

    def test_peaks_in_the_evening_at_home_and_by_day_in_shops(self):
        town = a_town(meters=300)
        energy = sum(demand_wh(loads(town), day=FIRST + day) for day in range(7))
        rows = {
            kind: [c.index for c in town.consumers if c.premises is kind]
            for kind in (Premises.HOME, Premises.SHOP)
        }

        home = energy[rows[Premises.HOME]].sum(axis=0)
        shop = energy[rows[Premises.SHOP]].sum(axis=0)

        assert home[38:46].mean() > 1.2 * home[20:32].mean()
        assert shop[24:36].mean() > 2 * shop[0:12].mean()

    def test_closes_workshops_on_sunday(self):
        town = a_town(meters=300)
        shops = [c.index for c in town.consumers if c.premises is Premises.WORKSHOP]
        sunday = day_number(date(2025, 4, 6))

        assert (
            demand_wh(loads(town), day=sunday)[shops].sum() * 3
            < demand_wh(loads(town), day=sunday + 1)[shops].sum()
        )

    def test_is_the_file_and_nothing_else_where_there_is_one(self):
        profiles = LoadFile(
            names=("A", "B"),
            first_day=date(2009, 3, 1),
            energy_wh=np.arange(2 * 96, dtype=np.int32).reshape(2, 96),
        )
        profiles.energy_wh[1, 5] = GAP
        town = a_town(meters=3, profiles=profiles)

        second = demand_wh(loads(town, profiles), day=FIRST + 1)
        first = demand_wh(loads(town, profiles), day=FIRST)

        assert np.array_equal(second[0], np.arange(48, 96))
        assert np.array_equal(second[2], second[0])
        assert first[1, 5] == 0
        assert demand_wh(loads(town, profiles), day=FIRST + 2).sum() == 0
        assert demand_wh(loads(town, profiles), day=FIRST - 1).sum() == 0


class TestOutsideTemperature:
    def test_is_hot_in_may_and_cold_in_january(self):
        may = outside_temperature_c(seed=1, day=day_number(date(2025, 5, 15)))
        january = outside_temperature_c(seed=1, day=day_number(date(2026, 1, 15)))

        assert may.max() > 37
        assert january.min() < 13
        assert 26 <= int(may.argmax()) <= 32
