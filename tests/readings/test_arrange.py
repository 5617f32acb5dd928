from datetime import UTC, datetime

import numpy as np
import pytest
from tests.readings.deliveries import DAY, NOW, delivery, rows

from bijlighar.readings.arrange import arrange, delivery_findings, rounds_of
from bijlighar.readings.errors import UnusableReadings
from bijlighar.readings.model import ABSENT, Delivery, FindingKind, interval_start, runs


class TestArrange:
    def test_lays_a_delivery_on_ist_days(self):
        last_of_march = datetime(2026, 3, 31, 18, 0, tzinfo=UTC)  # 23:30 IST

        arranged = arrange([delivery([5, 6], day=DAY - 1, slot=47)])

        assert int(last_of_march.timestamp()) == interval_start(DAY - 1, 47, 30)
        assert (arranged.meters, arranged.days.tolist()) == (("M1", "M1"), [DAY - 1, DAY])
        assert (arranged.values["wh_import"][0, 47], arranged.values["wh_import"][1, 0]) == (5, 6)
        assert (arranged.values["wh_import"] != ABSENT).sum() == 2

    def test_takes_rows_in_any_order(self):
        arranged = arrange([rows([(3, 30), (1, 10)]), rows([(0, 7)], meter="M2", day=DAY + 1)])

        assert arranged.values["wh_import"][0, [1, 3]].tolist() == [10, 30]
        assert arranged.days.tolist() == [DAY, DAY + 1]
        assert arranged.untidy == (0,)

    def test_fills_channels_that_one_delivery_lacks(self):
        arranged = arrange([delivery([1]), delivery([2], meter="M2", volt=[23_000])])

        assert arranged.values["volt"][:, 0].tolist() == [ABSENT, 23_000]

    def test_has_ninety_six_intervals_of_fifteen_minutes(self):
        arranged = arrange([delivery(list(range(96)), minutes=15)])

        assert arranged.values["wh_import"].tolist() == [list(range(96))]

    def test_tells_whole_days_from_what_only_is_as_long(self):
        values = list(range(48))
        late = delivery(values, meter="M2", slot=1)  # ends in the next day
        backward = rows([(47 - place, value) for place, value in enumerate(values)], meter="M3")
        whole = delivery(values, meter="M1")

        alone = arrange([whole, delivery(values, meter="M4", day=DAY + 1)])
        beside = arrange([whole, late, backward])

        assert (alone.meters, alone.days.tolist()) == (("M1", "M4"), [DAY, DAY + 1])
        assert alone.values["wh_import"].tolist() == [values, values]
        assert (beside.meters, beside.days.tolist()) == (("M1", "M2", "M2", "M3"), [DAY, DAY, DAY + 1, DAY])
        assert beside.values["wh_import"].tolist() == [
            values,
            [ABSENT, *values[:-1]],
            [values[-1], *[ABSENT] * 47],
            values[::-1],
        ]
        assert (alone.untidy, beside.untidy) == ((), (2,))

    def test_leaves_out_what_is_off_the_grid(self):
        stray = Delivery(
            meter="M1",
            minutes=30,
            starts=np.array([interval_start(DAY, 0, 30), interval_start(DAY, 1, 30) + 7, 2**61]),
            values={"wh_import": np.array([1, 2, 3])},
        )

        arranged = arrange([stray])
        findings = delivery_findings([stray], now=NOW)

        assert (arranged.values["wh_import"] != ABSENT).sum() == 1
        assert arranged.untidy == (0,)
        assert [(finding.kind, finding.intervals) for finding in findings] == [(FindingKind.UNREADABLE, 2)]


class TestRoundsOf:
    def test_parts_two_deliveries_of_one_meter(self):
        first, second, other = delivery([1]), delivery([2]), delivery([3], meter="M2")

        assert rounds_of([first, second, other]) == ((first, other), (second,))

    @pytest.mark.parametrize(
        "wrong",
        [
            Delivery(meter="M1", minutes=60, starts=np.array([0]), values={}),
            Delivery(meter="M1", minutes=30, starts=np.array([0]), values={"watts": np.array([1])}),
            Delivery(meter="M1", minutes=30, starts=np.array([0]), values={"volt": np.array([1, 2])}),
        ],
    )
    def test_refuses_what_cannot_be_laid_out(self, wrong: Delivery):
        with pytest.raises(UnusableReadings):
            rounds_of([wrong])


class TestDeliveryFindings:
    def test_finds_nothing_in_a_tidy_delivery(self):
        assert delivery_findings([delivery([1, 2, 3])], now=NOW) == ()

    def test_tells_equal_from_different_duplicates(self):
        twice = rows([(0, 1), (1, 2), (1, 2), (2, 3), (2, 9), (2, 9)])

        equal, different = delivery_findings([twice], now=NOW)

        assert (equal.equal, equal.intervals, equal.start.timestamp()) == (
            True,
            2,
            interval_start(DAY, 1, 30),
        )
        assert (different.equal, different.intervals) == (False, 1)
        assert different.detail == {
            "displaced": [
                {"start": interval_start(DAY, 2, 30), "wh_import": 3},
                {"start": interval_start(DAY, 2, 30), "wh_import": 9},
            ]
        }

    def test_joins_neighbours_into_one_finding(self):
        (finding,) = delivery_findings([rows([(0, 1), (0, 1), (1, 2), (1, 2), (2, 3), (2, 3)])], now=NOW)

        assert (finding.kind, finding.intervals) == (FindingKind.DUPLICATE, 3)
        assert (finding.end - finding.start).total_seconds() == 5_400

    def test_tells_what_came_late(self):
        (finding,) = delivery_findings([rows([(0, 1), (5, 2), (1, 3), (6, 4)])], now=NOW)

        assert (finding.kind, finding.intervals) == (FindingKind.OUT_OF_ORDER, 1)
        assert finding.start.timestamp() == interval_start(DAY, 1, 30)

    def test_keeps_what_could_not_be_read(self):
        broken = Delivery(
            meter="M1",
            minutes=30,
            starts=np.array([], dtype=np.int64),
            values={},
            unreadable=("row 3: no clock",),
        )

        (finding,) = delivery_findings([broken], now=NOW)

        assert (finding.kind, finding.start, finding.detail) == (
            FindingKind.UNREADABLE,
            NOW,
            {"lines": ["row 3: no clock"]},
        )


class TestRuns:
    def test_finds_runs_at_both_ends(self):
        assert runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
        assert runs(np.array([False])) == []
