from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.readings.deliveries import delivery

from bijlighar.base.period import Period, date_of, local_midnight
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.model import ABSENT, DayBlock, Delivery, Quality, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.validation import operations, queries
from bijlighar.validation.model import Rule, Severity, ValidationFinding
from bijlighar.validation.reasons import reason
from bijlighar.validation.report import document

DAY = 20_571  # 2026-04-28
FIRST = 20_544  # 2026-04-01
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,,2026-04-01
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,,T1,F1,R,,
"""


def at(day: int, hour: int = 3) -> datetime:
    """A moment in the small hours of an IST day."""
    return local_midnight(date_of(day)) + timedelta(hours=hour)


@pytest.fixture(autouse=True)
def meters(database: Database) -> None:
    with database.write() as connection:
        registry.import_registry(connection, text=REGISTRY, now=datetime(2026, 4, 1, tzinfo=UTC))


def bring(database: Database, *deliveries: Delivery, day: int) -> None:
    with database.write() as connection:
        readings.append(connection, deliveries=deliveries, now=at(day))


def read_register(database: Database, day: int, wh: int, *, now: int, meter: str = "M1") -> None:
    snapshot = RegisterSnapshot(meter=meter, at=at(day, 0), kind=RegisterKind.DAILY, wh_import=wh)
    with database.write() as connection:
        readings.append_registers(connection, snapshots=[snapshot], now=at(now))


def run(database: Database, day: int, hour: int = 3) -> int:
    done, calls = 0, 0
    while True:
        with database.read() as connection:
            if queries.pending(connection, now=at(day, hour)) == 0:
                return done
        done += operations.validate_new(database, now=at(day, hour))
        calls += 1
        assert calls < 50


def block(database: Database, day: int, meter: str = "M1") -> DayBlock:
    with database.read() as connection:
        (found,) = reading_queries.days(connection, meters=[meter], first=day, last=day)
    return found


def found(database: Database, first: int = FIRST, last: int = FIRST + 60) -> Sequence[ValidationFinding]:
    with database.read() as connection:
        return told(queries.findings(connection, period=Period.of_local_days(date_of(first), date_of(last))))


def told(findings: Sequence[ValidationFinding]) -> Sequence[ValidationFinding]:
    """All findings but that the days of these tests are constant; `test_patterns` asks for that."""
    return tuple(finding for finding in findings if finding.rule is not Rule.FLAT_RUN)


def hang_under(database: Database, transformer: str, *, meters: int, first: int = 1) -> None:
    """Hang communicating meters H1, H2 and so on under a transformer, since the day in question."""
    head, since = REGISTRY.splitlines()[0], date_of(DAY)
    lines = [
        f"A{number},Mina,LV-1.2,urban,20000,UPH{number},H{number},single-phase,"
        f"tcp://127.0.0.1:4059?server={number + 10},{transformer},F1,R,,{since}"
        for number in range(first, first + meters)
    ]
    with database.write() as connection:
        registry.import_registry(connection, text="\n".join((head, *lines)) + "\n", now=at(DAY))


def fill(database: Database, first: int, last: int, value: int = 100, meter: str = "M1") -> None:
    """Whole days of a constant value, brought and validated a day later."""
    bring(database, delivery([value] * 48 * (last - first + 1), day=first, meter=meter), day=last + 1)


class TestValidateNew:
    def test_marks_whole_days_valid(self, database: Database):
        fill(database, FIRST, DAY)

        assert run(database, DAY + 1) >= 28
        assert run(database, DAY + 1) == 0

        assert block(database, DAY).validated.all()
        assert set(block(database, DAY).quality[0].tolist()) == {Quality.VALID}
        assert found(database) == ()

    def test_tells_a_gap_at_once_and_estimates_it_after_three_days(self, database: Database):
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100] * 40, day=DAY), day=DAY + 1)
        bring(database, delivery([100] * 96, day=DAY + 1), day=DAY + 3)

        run(database, DAY + 2)

        (gap,) = found(database, DAY)
        assert (gap.rule, gap.intervals, gap.severity) == (Rule.MISSING, 8, Severity.WARNING)
        assert block(database, DAY).values["wh_import"][0, 40] == ABSENT
        run(database, DAY + 3)
        (gap,) = found(database, DAY)
        assert (gap.intervals, gap.severity, gap.facts["estimated"]) == (8, Severity.INFO, 8)
        after = block(database, DAY)
        assert after.values["wh_import"][0].tolist() == [100] * 48
        assert after.quality[0].tolist() == [Quality.VALID] * 40 + [Quality.ESTIMATED] * 8
        with database.read() as connection:
            (raw,) = reading_queries.raw_days(connection, meters=["M1"], first=DAY, last=DAY)
        assert raw.values["wh_import"][0, 40:].tolist() == [ABSENT] * 8

    def test_estimates_days_that_never_came(self, database: Database):
        fill(database, FIRST, DAY)

        run(database, DAY + 6)

        for day in (DAY + 1, DAY + 2, DAY + 3):
            assert set(block(database, day).quality[0].tolist()) == {Quality.ESTIMATED}
        with database.read() as connection:
            assert reading_queries.days(connection, meters=["M1"], first=DAY + 4, last=DAY + 9) == ()
        (gap,) = found(database, DAY + 1)
        assert (gap.intervals, gap.start, gap.end) == (144, at(DAY + 1, 0), at(DAY + 4, 0))

    def test_brings_estimates_to_the_register_difference_when_it_becomes_known(self, database: Database):
        fill(database, FIRST, DAY)
        read_register(database, DAY + 1, 134_400, now=DAY + 1)
        run(database, DAY + 6)
        assert block(database, DAY + 2).values["wh_import"].sum() == 4_800

        read_register(database, DAY + 4, 134_400 + 9_001, now=DAY + 7)
        run(database, DAY + 7)

        days = [block(database, day) for day in (DAY + 1, DAY + 2, DAY + 3)]
        assert sum(int(day.values["wh_import"].sum()) for day in days) == 9_001
        assert all(set(day.quality[0].tolist()) == {Quality.ESTIMATED} for day in days)
        (gap,) = found(database, DAY + 1, DAY + 3)
        assert gap.facts["scaled"] is True
        assert "register" in reason(gap).en
        assert "रजिस्टर" in reason(gap).hi

    def test_lets_late_measured_values_take_the_place_of_estimates(self, database: Database):
        fill(database, FIRST, DAY)
        run(database, DAY + 6)

        bring(database, delivery([70] * 48 + [70] * 24, day=DAY + 1), day=DAY + 7)
        run(database, DAY + 7)

        assert block(database, DAY + 1).values["wh_import"][0].tolist() == [70] * 48
        assert set(block(database, DAY + 1).quality[0].tolist()) == {Quality.VALID}
        half = block(database, DAY + 2)
        assert half.quality[0].tolist() == [Quality.VALID] * 24 + [Quality.ESTIMATED] * 24
        (gap,) = found(database, DAY + 1, DAY + 3)
        assert gap.intervals == 24 + 48

    def test_follows_the_neighbours_where_a_new_meter_has_no_past(self, database: Database):
        shape = [100 + 10 * slot for slot in range(48)]
        hang_under(database, "T2", meters=5)
        for number in range(1, 5):
            values = [value * number for value in shape] * 2
            bring(database, delivery(values, day=DAY, meter=f"H{number}"), day=DAY + 2)
        # Half of a neighbour's mean of 2.5 times the shape, until noon of its first day; then it is silent.
        bring(database, delivery([value * 5 // 4 for value in shape[:24]], day=DAY, meter="H5"), day=DAY + 2)

        run(database, DAY + 5)

        after = block(database, DAY, "H5")
        assert set(after.quality[0, 24:].tolist()) == {Quality.ESTIMATED}
        assert np.abs(after.values["wh_import"][0, 26:] - np.array(shape[26:]) * 5 // 4).max() <= 2
        gap = next(each for each in found(database, DAY) if each.meter == "H5")
        assert "neighbours under the same transformer" in reason(gap).en
        assert "पड़ोसी" in reason(gap).hi

    def test_follows_no_neighbours_of_another_transformer(self, database: Database):
        hang_under(database, "T2", meters=4)
        hang_under(database, "T3", meters=1, first=5)
        for number in range(1, 5):
            bring(database, delivery([500] * 96, day=DAY, meter=f"H{number}"), day=DAY + 2)
        bring(database, delivery([100] * 24, day=DAY, meter="H5"), day=DAY + 2)

        run(database, DAY + 5)

        assert block(database, DAY, "H5").values["wh_import"][0, 24:].tolist() == [ABSENT] * 24

    def test_estimates_nothing_for_a_meter_read_by_hand(self, database: Database):
        bring(database, delivery([100] * 96, day=DAY, meter="M2"), day=DAY + 2)
        bring(database, delivery([100] * 47, day=DAY + 3, meter="M2"), day=DAY + 4)

        run(database, DAY + 30)
        operations.validate_range(database, first=date_of(DAY), last=date_of(DAY + 9), now=at(DAY + 30))

        gaps = [finding for finding in found(database) if finding.meter == "M2"]
        assert [gap.intervals for gap in gaps] == [48]
        assert gaps[0].facts == {}
        with database.read() as connection:
            assert reading_queries.days(connection, meters=["M2"], first=DAY + 2, last=DAY + 2) == ()

    def test_says_nothing_is_missing_before_the_day_is_over(self, database: Database):
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100] * 6, day=DAY), day=DAY)

        run(database, DAY)

        assert found(database) == ()

    def test_suspects_a_negative_value_and_estimates_over_it(self, database: Database):
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100, -7] + [100] * 46, day=DAY), day=DAY + 1)
        run(database, DAY + 1)
        assert block(database, DAY).quality[0, 1] == Quality.SUSPECT
        assert block(database, DAY).values["wh_import"][0, 1] == -7

        run(database, DAY + 3)

        (finding,) = [one for one in found(database, DAY, DAY)]
        assert (finding.rule, finding.severity, finding.facts["least_wh"]) == (
            Rule.NEGATIVE,
            Severity.ERROR,
            -7,
        )
        assert (block(database, DAY).values["wh_import"][0, 1], block(database, DAY).quality[0, 1]) == (
            100,
            4,
        )

    def test_suspects_a_spike_that_no_register_confirms(self, database: Database):
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100, 9_000] + [100] * 46, day=DAY), day=DAY + 1)

        run(database, DAY + 1)

        (finding,) = found(database, DAY)
        assert (finding.rule, finding.facts["usual_wh"], finding.facts["load_wh"]) == (Rule.SPIKE, 100, 1_000)
        assert block(database, DAY).quality[0, 1] == Quality.SUSPECT
        read_register(database, DAY, 50_000, now=DAY + 1)
        read_register(database, DAY + 1, 50_000 + 9_000 + 4_700, now=DAY + 1)
        run(database, DAY + 1)
        (finding,) = found(database, DAY)
        assert (finding.severity, finding.facts["confirmed"]) == (Severity.INFO, True)
        assert block(database, DAY).quality[0, 1] == Quality.VALID

    def test_tells_a_day_whose_sum_is_not_its_register_difference(self, database: Database):
        fill(database, FIRST, DAY)
        read_register(database, DAY, 1_000, now=DAY + 1)
        read_register(database, DAY + 1, 1_000 + 4_900, now=DAY + 1)

        run(database, DAY + 1)

        (finding,) = found(database)
        assert (finding.rule, finding.facts["sum_wh"], finding.facts["difference_wh"]) == (
            Rule.SUM_CHECK,
            4_800,
            4_900,
        )

    def test_is_bounded_per_call_and_goes_on_where_it_stopped(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(operations, "ROWS_PER_CALL", 10)
        fill(database, FIRST, DAY)

        assert operations.validate_new(database, now=at(DAY + 1)) == 10
        run(database, DAY + 1)

        assert block(database, DAY).validated.all()

    def test_finds_no_gap_where_the_interval_length_changed(self, database: Database):
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100] * 20, day=DAY), day=DAY + 1)
        bring(database, delivery([50] * 56, day=DAY, slot=40, minutes=15), day=DAY + 1)

        run(database, DAY + 9)

        with database.read() as connection:
            energy = reading_queries.energy_by_day(connection, meters=["M1"], first=DAY, last=DAY)
        assert energy.wh_import.tolist() == [[4_800]]
        assert [finding for finding in found(database, DAY, DAY) if finding.rule is Rule.MISSING] == []

    def test_expects_only_what_lies_in_the_hanging(self, database: Database):
        with database.write() as connection:
            registry.take_down_meter(connection, usage_point="UP1", meter="M1", at=at(DAY, 12))
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100] * 22, day=DAY), day=DAY + 1)

        run(database, DAY + 9)

        (gap,) = found(database, DAY)
        assert (gap.intervals, gap.end) == (2, at(DAY, 12))


class TestValidateRange:
    def test_reports_gaps_over_midnight_as_one(self, database: Database):
        fill(database, FIRST, DAY - 2)
        bring(database, delivery([100] * 40, day=DAY - 1), delivery([100] * 40, day=DAY, slot=8), day=DAY + 1)
        now = at(DAY + 1)

        first = operations.validate_range(database, first=date_of(FIRST), last=date_of(DAY), now=now)
        second = operations.validate_range(database, first=date_of(FIRST), last=date_of(DAY), now=now)

        assert document(first) == document(second)
        assert document(first)["totals"] == {
            "missing": {"findings": 1, "intervals": 16},
            "flat_run": {"findings": 1, "intervals": 26 * 48 + 40},
        }
        (entry,) = [found for found in document(first)["findings"] if found["rule"] == "missing"]
        assert (entry["start"], entry["end"]) == ("2026-04-27T20:00:00+05:30", "2026-04-28T04:00:00+05:30")
        assert entry["reason_hi"].startswith("16 अंतरालों")
        assert second.meter_days == 28

    def test_includes_what_the_deliveries_contained(self, database: Database):
        one = delivery([5, 6, 7], day=DAY, meter="M2")
        twice = Delivery(
            meter="M2",
            minutes=30,
            starts=one.starts[[0, 1, 1, 0]],
            values={"wh_import": np.array([5, 6, 8, 5])},
        )
        bring(database, twice, day=DAY + 1)

        report = operations.validate_range(
            database, first=date(2026, 4, 28), last=date(2026, 4, 28), now=at(DAY + 1)
        )

        assert document(report)["totals"] == {
            "missing": {"findings": 1, "intervals": 48},  # of M1, which hung and said nothing
            "duplicate": {"findings": 2, "intervals": 2},
        }

    def test_withdraws_what_is_no_longer_so(self, database: Database):
        fill(database, FIRST, DAY - 1)
        bring(database, delivery([100] * 47, day=DAY), day=DAY + 1)
        days = {"first": date_of(DAY), "last": date_of(DAY), "now": at(DAY + 1)}
        assert len(told(operations.validate_range(database, **days).findings)) == 1

        bring(database, delivery([100], day=DAY, slot=47), day=DAY + 1)

        assert told(operations.validate_range(database, **days).findings) == ()


class TestEstimateMissing:
    def test_estimates_young_days_too(self, database: Database):
        fill(database, FIRST, DAY)
        now = at(DAY + 2)

        count = operations.estimate_missing(
            database, meters=["M1", "M2"], first=date_of(FIRST), last=date_of(DAY + 1), now=now
        )

        assert count == 48
        assert (
            operations.estimate_missing(
                database, meters=None, first=date_of(FIRST), last=date_of(DAY + 1), now=now
            )
            == 48
        )
        assert block(database, DAY + 1).versions.tolist() == [1]

    def test_leaves_a_day_alone_that_is_not_over(self, database: Database):
        fill(database, FIRST, DAY)

        count = operations.estimate_missing(
            database, meters=None, first=date_of(DAY), last=date_of(DAY + 3), now=at(DAY + 1)
        )

        assert count == 0


class TestPending:
    def test_is_nothing_in_an_empty_home(self, database: Database):
        with database.read() as connection:
            assert queries.pending(connection, now=at(FIRST)) == 0
        assert operations.validate_new(database, now=at(FIRST)) == 0
