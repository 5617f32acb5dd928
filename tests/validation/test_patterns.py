"""The rules on shape, registers and physics: kernels over many meters, and the same through the database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.readings.deliveries import delivery

from bijlighar.base.period import Period, date_of, local_midnight
from bijlighar.readings import operations as readings
from bijlighar.readings.model import ABSENT, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from bijlighar.validation import operations, patterns, queries, register_rules
from bijlighar.validation.catalogue import CATALOGUE, severity
from bijlighar.validation.model import Rule, Severity, ValidationFinding, ValidationSettings
from bijlighar.validation.reasons import reason

SETTINGS = ValidationSettings()
DAY = 20_571
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,multiplier,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,,1,2026-04-01
N2,Ravi,LV-2.2,urban,90000,UP2,M2,lt-ct,tcp://127.0.0.1:4060,T1,F1,R,,40,2026-04-01
N3,Pump,LV-5.1,rural,5000,UP3,M3,three-phase,tcp://127.0.0.1:4061,T1,F1,R,,1,2026-04-01
"""


def at(day: int, hour: int = 3) -> datetime:
    return local_midnight(date_of(day)) + timedelta(hours=hour)


@pytest.fixture
def home(tmp_path: Path):
    opened = Database(f"sqlite:///{tmp_path}/patterns.sqlite")
    metadata.create_all(opened.engine)
    with opened.write() as connection:
        registry.import_registry(connection, text=REGISTRY, now=datetime(2026, 4, 1, tzinfo=UTC))
    yield opened
    opened.close()


def shape(day: int, *, scale: int = 1) -> list[int]:
    """Forty-eight values that look like no other day's."""
    return (np.random.default_rng(day).integers(20, 400, 48) * scale).tolist()


def bring(
    home: Database, day: int, values: list[int | None], *, meter: str = "M1", **channels: object
) -> None:
    with home.write() as connection:
        readings.append(
            connection, deliveries=[delivery(values, day=day, meter=meter, **channels)], now=at(day + 1)
        )


def registers(home: Database, values: dict[int, int], *, meter: str = "M1") -> None:
    snapshots = [
        RegisterSnapshot(meter=meter, at=at(day, 0), kind=RegisterKind.DAILY, wh_import=wh)
        for day, wh in values.items()
    ]
    with home.write() as connection:
        readings.append_registers(connection, snapshots=snapshots, now=at(max(values)))


def findings(home: Database, first: int, last: int) -> tuple[ValidationFinding, ...]:
    report = operations.validate_range(home, first=date_of(first), last=date_of(last), now=at(last + 1))
    return tuple(found for found in report.findings if found.rule is not Rule.MISSING)


def new(home: Database, day: int) -> None:
    while operations.validate_new(home, now=at(day)):
        pass


class TestCatalogue:
    def test_makes_a_pump_that_stands_still_no_warning(self):
        assert severity(Rule.ZERO_RUN, "LV-5.1") is Severity.INFO
        assert severity(Rule.ZERO_RUN, "LV-1.2") is Severity.WARNING

    def test_has_a_name_in_hindi_and_english_for_each_of_its_rules(self):
        assert all(entry.name.hi and entry.name.en for entry in CATALOGUE.values())


class TestRepeated:
    def of(self, values, before):
        return patterns.repeated(
            values={name: np.array([row]) for name, row in values.items()},
            before={name: np.array([row]) for name, row in before.items()},
            settings=SETTINGS,
        )[0].tolist()

    def test_asks_for_two_intervals_where_voltage_and_current_are_told(self):
        today = {"wh_import": [5, 6, 7], "volt": [23_001, 23_002, 23_003], "amp": [101, 102, 103]}
        before = {"wh_import": [5, 6, 9], "volt": [23_001, 23_002, 23_003], "amp": [101, 102, 103]}

        assert self.of(today, before) == [True, True, False]
        assert self.of(today, before | {"amp": [101, 999, 103]}) == [False, False, False]

    def test_asks_for_twelve_of_six_kinds_where_energy_is_alone(self):
        varied = [1, 2, 3, 4, 5, 6] * 2

        assert self.of({"wh_import": varied}, {"wh_import": varied}) == [True] * 12
        assert self.of({"wh_import": varied[:11]}, {"wh_import": varied[:11]}) == [False] * 11
        assert self.of({"wh_import": [1, 2] * 6}, {"wh_import": [1, 2] * 6}) == [False] * 12

    def test_takes_nothing_for_no_proof(self):
        empty = {"wh_import": [0, 0, 0], "volt": [23_000] * 3, "amp": [0] * 3}

        assert self.of(empty, empty) == [False] * 3
        assert self.of({"wh_import": [ABSENT] * 20}, {"wh_import": [ABSENT] * 20}) == [False] * 20


class TestPhysics:
    def of(self, **values):
        arrays = {name: np.array([[value]]) for name, value in values.items()}
        return bool(
            patterns.physics(values=arrays, minutes=30, one_phase=np.array([True]), settings=SETTINGS)[0, 0]
        )

    def test_believes_what_agrees(self):
        assert not self.of(wh_import=1_150, volt=23_000, amp=1_000)
        assert not self.of(wh_import=900, vah_import=1_000, volt=23_000, amp=1_000)
        assert not self.of(wh_import=0, volt=23_000, amp=0)

    def test_finds_more_energy_than_voltage_and_current_make(self):
        assert self.of(wh_import=1_400, volt=23_000, amp=1_000)

    def test_finds_more_active_than_apparent_energy(self):
        assert self.of(wh_import=1_200, vah_import=1_000)

    def test_finds_a_current_that_counts_nothing(self):
        assert self.of(wh_import=0, volt=23_000, amp=500)
        assert not self.of(wh_import=0, wh_export=500, volt=23_000, amp=500)

    def test_finds_a_voltage_that_is_none(self):
        assert self.of(wh_import=10, volt=40_000)


class TestFall:
    def of(self, opening: int, closing: int, sum_wh: int = 0, load_wh: int = 0):
        found = register_rules.fall(
            opening=np.array([opening]),
            closing=np.array([closing]),
            sum_wh=np.array([sum_wh]),
            load_wh=np.array([load_wh]),
            settings=SETTINGS,
        )
        return bool(found.rollover[0]), bool(found.reset[0])

    def test_tells_running_over_from_falling(self):
        assert self.of(99_999_000, 4_000, load_wh=48_000) == (True, False)
        assert self.of(99_999_000, 9_000_000, load_wh=48_000) == (False, True)
        assert self.of(50_000_000, 10, load_wh=48_000) == (False, True)
        assert self.of(10, 10) == (False, False)
        assert self.of(ABSENT, 10) == (False, False)


class TestShifted:
    def test_finds_which_way_the_edges_moved(self):
        truth = np.arange(1, 145)
        late = np.concatenate(([0], truth[:-1]))  # what is named slot i was counted in slot i - 1
        days, moved = truth.reshape(3, 48), late.reshape(3, 48)
        sums = np.concatenate(([0], np.cumsum(days.sum(axis=1))))

        def of(values: np.ndarray) -> int:
            return int(
                register_rules.shifted(
                    values=values[2:3],
                    before=values[1:2],
                    opening=sums[2:3],
                    closing=sums[3:4],
                    prior=sums[1:2],
                    allowed=np.array([5]),
                )[0]
            )

        assert of(days) == 0
        assert of(np.concatenate((truth[1:], [0])).reshape(3, 48)) == 1
        assert of(moved) == -1


class TestThroughTheDatabase:
    def test_a_long_run_of_zero_is_one_finding_from_its_first_interval(self, home):
        for day in range(DAY, DAY + 12):
            values = shape(day)
            if day > DAY:
                values = [0] * 48
            else:
                values[30:] = [0] * 18
            bring(home, day, values)
            new(home, day + 1)

        (run,) = [found for found in findings(home, DAY, DAY + 11) if found.rule is Rule.ZERO_RUN]

        assert (run.intervals, run.severity) == (18 + 11 * 48, Severity.WARNING)
        assert run.start == at(DAY, 15)
        assert "546 intervals" in reason(run).en

    def test_days_judged_one_by_one_end_as_judged_at_once(self, home):
        for day in range(DAY, DAY + 9):
            bring(home, day, [0] * 48 if day > DAY else [*shape(day)[:40], *[0] * 8])
            new(home, day + 1)
        with home.read() as connection:
            whole = Period.of_local_days(date_of(DAY), date_of(DAY + 8))
            (run,) = [f for f in queries.findings(connection, period=whole) if f.rule is Rule.ZERO_RUN]
        assert run.intervals == 8 + 8 * 48

    def test_six_days_of_zero_are_no_finding(self, home):
        for day in range(DAY, DAY + 8):
            bring(home, day, [0] * 48 if 0 < day - DAY < 7 else shape(day))

        assert findings(home, DAY, DAY + 7) == ()

    def test_a_pump_that_stands_still_is_told_without_a_warning(self, home):
        for day in range(DAY, DAY + 9):
            bring(home, day, [0] * 48, meter="M3")

        (run,) = findings(home, DAY, DAY + 8)
        assert (run.rule, run.severity) == (Rule.ZERO_RUN, Severity.INFO)

    def test_a_frozen_meter_is_told_with_its_value(self, home):
        for day in range(DAY, DAY + 5):
            bring(home, day, [77] * 48 if 0 < day - DAY < 4 else shape(day))

        (run,) = findings(home, DAY, DAY + 4)
        assert (run.rule, run.intervals) == (Rule.FLAT_RUN, 3 * 48)
        assert "the same 77 Wh" in reason(run).en
        assert "77 Wh" in reason(run).hi

    def test_a_cloned_day_is_repeated(self, home):
        for day, like in ((DAY, DAY), (DAY + 1, DAY), (DAY + 2, DAY + 2)):
            bring(home, day, shape(like))

        (run,) = findings(home, DAY, DAY + 2)
        assert (run.rule, run.intervals, run.start) == (Rule.REPEATED, 48, at(DAY + 1, 0))
        assert "exactly the values of the day before" in reason(run).en

    def test_the_same_register_at_both_ends_is_repeated(self, home):
        bring(home, DAY, shape(DAY))
        registers(home, {DAY: 5_003, DAY + 1: 5_003})

        told = {found.rule: found for found in findings(home, DAY, DAY)}
        assert set(told) == {Rule.SUM_CHECK, Rule.REPEATED}
        assert "the same register, 5003 Wh" in reason(told[Rule.REPEATED]).en

    def test_a_register_that_ran_over_closes_the_day(self, home):
        values = shape(DAY)
        bring(home, DAY, values)
        registers(home, {DAY: 99_999_000, DAY + 1: 99_999_000 + sum(values) - 100_000_000})

        (over,) = findings(home, DAY, DAY)
        assert (over.rule, over.facts["counted_wh"]) == (Rule.ROLLOVER, sum(values))

    def test_a_register_that_fell_is_reset(self, home):
        bring(home, DAY, shape(DAY))
        registers(home, {DAY: 50_000, DAY + 1: 17})

        told = {found.rule: found.severity for found in findings(home, DAY, DAY)}
        assert told == {Rule.SUM_CHECK: Severity.ERROR, Rule.RESET: Severity.ERROR}

    def test_a_ratio_that_was_taken_twice_is_named(self, home):
        values = shape(DAY)
        bring(home, DAY, [value * 40 for value in values], meter="M2")
        registers(home, {DAY: 7_001, DAY + 1: 7_001 + sum(values)}, meter="M2")

        told = {found.rule: found for found in findings(home, DAY, DAY)}
        assert told[Rule.MULTIPLIER].facts["factor"] == 40

    def test_shifted_edges_are_drift(self, home):
        line = [value for day in range(DAY - 1, DAY + 3) for value in shape(day)]
        line[47::48] = [10, 390, 40, 200]  # days end differently, so that their sums tell
        for place in range(2):
            bring(home, DAY + place, line[48 * (place + 1) - 1 : 48 * (place + 2) - 1])
        start = 1_001
        registers(
            home,
            {DAY + place: start + sum(line[48 : 48 * (place + 1)]) for place in range(3)},
        )

        told = [found for found in findings(home, DAY, DAY + 1) if found.rule is Rule.DRIFT]
        assert [found.facts["intervals_late"] for found in told] == [-1]

    def test_export_and_physics_are_told(self, home):
        values = shape(DAY)
        volts, amps = [23_000] * 48, [value * 200 // 230 + 100 for value in values]
        volts[7], values[9] = 45_000, 4_000
        bring(home, DAY, values, volt=volts, amp=amps, wh_export=[10] * 48)

        told = findings(home, DAY, DAY)
        assert {found.rule for found in told} >= {Rule.PHYSICS, Rule.EXPORT}
        assert {found.start.minute for found in told if found.rule is Rule.PHYSICS} <= {0, 30}
        assert all(reason(found).hi and reason(found).en for found in told)

    def test_an_exchange_is_told_at_the_new_meter(self, home):
        head = REGISTRY.splitlines()[0]
        row = f"N1,Asha,LV-1.2,urban,2000,UP1,M9,single-phase,tcp://127.0.0.1:4062,T1,F1,R,,1,{date_of(DAY)}"
        with home.write() as connection:
            registry.import_registry(connection, text=f"{head}\n{row}\n", now=at(DAY))
        bring(home, DAY, shape(DAY), meter="M9")

        told = [found for found in findings(home, DAY, DAY) if found.rule is Rule.EXCHANGE]

        assert [(found.meter, found.facts) for found in told] == [("M9", {"other": "M1", "new": True})]
        assert reason(told[0]).en == "the meter was hung in place of M1"
