import numpy as np

from bijlighar.bench.meterdays import FIRST_DAY, INTERVALS, NEGATIVE_WH, SPIKE_WH, meter_day, serials
from bijlighar.readings.model import ABSENT

NAMES = serials(count=2_000)


class TestMeterDay:
    def test_is_the_same_in_every_run(self):
        made, again = (meter_day(meters=NAMES, day=FIRST_DAY, faults=True) for _ in range(2))

        assert all(np.array_equal(made.values[channel], again.values[channel]) for channel in made.values)

    def test_holds_the_faults_that_it_names(self):
        made = meter_day(meters=NAMES, day=FIRST_DAY, faults=True)

        wh = made.values["wh_import"]
        assert (len(made.gaps), len(made.negatives), len(made.spikes)) == (20, 2, 2)
        assert (wh == ABSENT).any(axis=1).nonzero()[0].tolist() == made.gaps.tolist()
        assert (wh == NEGATIVE_WH).any(axis=1).nonzero()[0].tolist() == made.negatives.tolist()
        assert (wh == SPIKE_WH).any(axis=1).nonzero()[0].tolist() == made.spikes.tolist()

    def test_has_no_faults_unless_they_are_asked_for(self):
        made = meter_day(meters=NAMES, day=FIRST_DAY)

        assert made.intervals == len(NAMES) * INTERVALS
        assert np.array_equal(made.values["wh_import"].sum(axis=1), made.energy_wh)


class TestDeliveries:
    def test_leave_out_the_rows_that_did_not_come(self):
        made = meter_day(meters=NAMES, day=FIRST_DAY, faults=True)

        deliveries = made.deliveries()

        assert sum(len(delivery.starts) for delivery in deliveries) == made.intervals
        assert len(deliveries[int(made.gaps[0])].starts) == INTERVALS - 4
        assert not any((values == ABSENT).any() for each in deliveries for values in each.values.values())

    def test_end_where_they_are_told_to(self):
        made = meter_day(meters=NAMES[:3], day=FIRST_DAY)

        assert [len(delivery.starts) for delivery in made.deliveries(upto=24)] == [24, 24, 24]
