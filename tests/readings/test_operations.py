import itertools
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.readings.deliveries import DAY, NOW, delivery, rows

from bijlighar.base.period import Period, date_of, local_midnight
from bijlighar.readings import operations, queries, register_store, store
from bijlighar.readings.errors import BrokenFile, UnusableReadings
from bijlighar.readings.model import (
    ABSENT,
    AppendReport,
    DayBlock,
    Delivery,
    FindingKind,
    MeterEvent,
    Origin,
    Quality,
    RegisterKind,
    RegisterSnapshot,
)
from bijlighar.registry import operations as registry
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database

EXAMPLES = itertools.count(1)
LATER = NOW + timedelta(hours=1)
MIDNIGHT = local_midnight(date_of(DAY))


def append(database: Database, *deliveries: Delivery, now: datetime = NOW) -> AppendReport:
    with database.write() as connection:
        return operations.append(connection, deliveries=deliveries, now=now)


def block_of(
    database: Database, meter: str = "M1", day: int = DAY, *, raw: bool = False, as_of: datetime | None = None
) -> DayBlock:
    with database.read() as connection:
        if raw:
            (block,) = queries.raw_days(connection, meters=[meter], first=day, last=day)
        else:
            (block,) = queries.days(connection, meters=[meter], first=day, last=day, as_of=as_of)
    return block


def energy(database: Database, **where: object) -> list[int]:
    return block_of(database, **where).values["wh_import"][0].tolist()


def store_validated(database: Database, block: DayBlock, now: datetime = LATER) -> int:
    with database.write() as connection:
        return operations.store_validated(connection, block=block, now=now)


def with_estimate(block: DayBlock, slot: int, value: int) -> DayBlock:
    values = block.values["wh_import"].copy()
    quality = np.where(block.quality == Quality.MEASURED, Quality.VALID, block.quality).astype(np.uint8)
    values[0, slot], quality[0, slot] = value, Quality.ESTIMATED
    return replace(
        block, values={**block.values, "wh_import": values}, quality=quality, validated=np.array([True])
    )


class TestAppend:
    def test_stores_a_day_as_measured(self, database: Database):
        report = append(database, delivery(list(range(48)), volt=[23_000] * 47 + [None]))

        block = block_of(database)
        assert (report.days_written, report.intervals_new, report.intervals_changed) == (1, 48, 0)
        assert block.values["wh_import"][0].tolist() == list(range(48))
        assert block.values["volt"][0].tolist() == [23_000] * 47 + [ABSENT]
        assert (block.versions.tolist(), block.validated.tolist()) == ([1], [False])
        assert set(block.quality[0].tolist()) == {Quality.MEASURED}

    def test_keeps_negative_and_very_great_values(self, database: Database):
        append(database, delivery([-5, 65_535, 2**40]))

        assert energy(database)[:4] == [-5, 65_535, 2**40, ABSENT]

    def test_writes_nothing_for_what_is_known(self, database: Database):
        append(database, delivery([1, 2, 3]))

        again = append(database, delivery([1, 2, 3]), delivery([2], slot=1), now=LATER)

        assert (again.days_written, again.intervals_new, again.findings) == (0, 0, ())
        assert block_of(database).versions.tolist() == [1]

    def test_merges_by_interval_and_channel(self, database: Database):
        append(database, delivery([1, None, 3]))
        report = append(database, delivery([2], slot=1), now=LATER)
        append(database, delivery([None, None], volt=[230, 231]), now=LATER)

        block = block_of(database)
        assert (report.intervals_new, report.intervals_changed) == (1, 0)
        assert block.values["wh_import"][0, :4].tolist() == [1, 2, 3, ABSENT]
        assert block.values["volt"][0, :3].tolist() == [230, 231, ABSENT]
        assert block.versions.tolist() == [3]

    def test_takes_the_newer_of_two_measured_values_and_says_so(self, database: Database):
        append(database, delivery([1, 2, 3]))

        report = append(database, delivery([1, 8, 9]), now=LATER)

        (finding,) = report.findings
        assert (finding.kind, finding.intervals, finding.equal) == (FindingKind.CHANGED, 2, False)
        assert report.intervals_changed == 2
        assert energy(database)[:3] == [1, 8, 9]
        assert energy(database, as_of=NOW)[:3] == [1, 2, 3]

    def test_tells_no_version_before_the_one_it_follows(self, database: Database):
        append(database, delivery([1]), now=LATER)
        append(database, delivery([2]), now=NOW)  # it began sooner and had to wait its turn

        with database.read() as connection:
            assert queries.days(connection, meters=["M1"], first=DAY, last=DAY, as_of=NOW) == ()
        assert energy(database, as_of=LATER)[0] == 2

    def test_merges_two_deliveries_of_one_call_one_after_the_other(self, database: Database):
        report = append(database, delivery([1, 2]), delivery([1, 5, 6]))

        assert report.days_written == 2
        assert [finding.kind for finding in report.findings] == [FindingKind.CHANGED]
        assert energy(database)[:3] == [1, 5, 6]

    def test_keeps_a_finding_once_however_often_it_is_delivered(self, database: Database):
        for _ in range(2):
            append(database, rows([(0, 1), (0, 1), (1, 4)]))

        with database.read() as connection:
            found = queries.findings(connection, period=Period.of_local_day(date_of(DAY)))
        assert [(finding.kind, finding.equal) for finding in found] == [(FindingKind.DUPLICATE, True)]

    def test_stores_both_sides_of_a_change_from_thirty_to_fifteen_minutes(self, database: Database):
        append(database, delivery([10] * 24))
        append(database, delivery([5] * 48, slot=48, minutes=15), now=LATER)

        with database.read() as connection:
            day = queries.energy_by_day(connection, meters=["M1"], first=DAY, last=DAY)
            matrix = queries.day_matrix(connection, meters=["M1"], first=DAY, last=DAY, channel="wh_import")
        assert day.wh_import.tolist() == [[480]]
        assert (day.expected.tolist(), day.counts[0, 0, Quality.MEASURED]) == ([[48]], 48)
        assert matrix[0, 0].tolist() == [10] * 48

    def test_leaves_no_trace_of_a_refused_delivery(self, database: Database):
        with pytest.raises(UnusableReadings):
            append(database, delivery([1]), replace(delivery([1]), minutes=60))

        with database.read() as connection:
            assert queries.days(connection, meters=None, first=DAY, last=DAY) == ()

    def test_gives_each_change_a_number_of_its_own(self, database: Database):
        append(database, delivery([1] * 96))
        with database.read() as connection:
            first = queries.changed_days(connection, after=0, limit=1)
            second = queries.changed_days(connection, after=first.last, limit=9)
        append(database, delivery([2], day=DAY + 1), now=LATER)
        with database.read() as connection:
            third = queries.changed_days(connection, after=second.last, limit=9)
            nothing = queries.changed_days(connection, after=third.last, limit=9)

        assert [first.last, second.last, third.last, nothing.last] == [1, 2, 3, 3]
        assert [block.days.tolist() for block in first.blocks + second.blocks] == [[DAY], [DAY + 1]]
        assert third.blocks[0].versions.tolist() == [2]
        assert nothing.blocks == ()

    def test_keeps_the_history_without_holes_under_two_writers(self, database: Database):
        def write(base: int) -> None:
            for turn in range(10):
                meters = [f"M{number}" for number in range(5)]
                some = [delivery([base + turn] * 48, meter=meter) for meter in meters[:: 1 if base else -1]]
                append(database, *some)

        threads = [threading.Thread(target=write, args=(base,)) for base in (0, 1_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        with database.read() as connection:
            for number in range(5):
                (version,) = connection.execute(
                    select(store.day_table.c.version).where(store.day_table.c.meter == f"M{number}")
                ).scalars()
                kept = connection.execute(
                    select(func.count()).where(store.history_table.c.meter == f"M{number}")
                ).scalar_one()
                assert (version, kept) == (20, 19)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 2), st.integers(0, 40), st.integers(1, 30)),
            min_size=1,
            max_size=6,
        ),
        st.randoms(use_true_random=False),
    )
    def test_ends_in_the_same_state_in_any_order_and_repetition(self, database: Database, parts, draw):
        base = DAY + 10 * next(EXAMPLES)

        def part(tag: str, meter: str, day: int, slot: int, count: int) -> Delivery:
            truth = [ord(meter) * 7 + day * 48 + slot + place for place in range(count)]
            return delivery(truth, meter=f"{tag}{meter}", day=base + day, slot=slot)

        append(database, *(part("x", *p) for p in parts))
        shuffled = [*parts, *draw.sample(parts, k=len(parts) // 2)]
        draw.shuffle(shuffled)
        for p in shuffled:
            append(database, part("y", *p))

        with database.read() as connection:
            found = [
                queries.day_matrix(
                    connection, meters=[f"{tag}A", f"{tag}B"], first=base, last=base + 4, channel="wh_import"
                )
                for tag in ("x", "y")
            ]
        assert np.array_equal(found[0], found[1])


class TestFetching:
    @pytest.mark.parametrize("dense", [0, 10**9])
    def test_finds_the_same_by_key_and_as_it_lies(
        self, database: Database, dense: int, monkeypatch: pytest.MonkeyPatch
    ):
        meters = [f"M{number}" for number in range(9)]
        for day in range(DAY, DAY + 3):
            append(
                database,
                *(delivery([day - DAY, number], meter=meter, day=day) for number, meter in enumerate(meters)),
            )
        append(database, delivery([7] * 4, meter="M3", minutes=15))
        monkeypatch.setattr(store, "DENSE", dense)
        monkeypatch.setattr(store, "LOOKED_UP_MAX", 0)
        keys = [("M4", DAY + 1), ("M0", DAY), ("M9", DAY), ("M3", DAY), ("M8", DAY + 2), ("M4", DAY - 1)]

        with database.read() as connection:
            block = queries.raw_rows(connection, keys=keys, minutes=30)
            quarters, halves = queries.raw_days(
                connection, meters=["M3", "M5", "nobody"], first=DAY, last=DAY + 1
            )

        assert block.meters == tuple(meter for meter, _ in keys)
        assert block.versions.tolist() == [1, 1, 0, 1, 1, 0]
        assert block.values["wh_import"][:, :2].tolist() == [
            [1, 4], [0, 0], [ABSENT, ABSENT], [0, 3], [2, 8], [ABSENT, ABSENT],
        ]  # fmt: skip
        assert (quarters.meters, quarters.values["wh_import"][0, :5].tolist()) == (
            ("M3",),
            [7, 7, 7, 7, ABSENT],
        )
        assert list(zip(halves.meters, halves.days.tolist(), strict=True)) == [
            ("M3", DAY), ("M3", DAY + 1), ("M5", DAY), ("M5", DAY + 1),
        ]  # fmt: skip


class TestMidnightRegisters:
    @pytest.mark.parametrize("way", ["whole", "each", "spans"])
    def test_are_the_same_whichever_way_they_are_read(
        self, database: Database, way: str, monkeypatch: pytest.MonkeyPatch
    ):
        shots = [
            RegisterSnapshot(
                meter=meter,
                at=MIDNIGHT + timedelta(days=day),
                kind=kind,
                wh_import=imported,
                wh_export=exported,
            )
            for meter, day, kind, imported, exported in (
                ("M1", 0, RegisterKind.DAILY, 100, None),
                ("M1", 0, RegisterKind.BILLING, None, 7),
                ("M1", 1, RegisterKind.DAILY, 130, 8),
                ("M2", 1, RegisterKind.DAILY, 50, None),
                ("M3", 1, RegisterKind.DAILY, 60, 1),
            )
        ]  # fmt: skip
        late = RegisterSnapshot(
            meter="M2", at=MIDNIGHT + timedelta(hours=1), kind=RegisterKind.HAND, wh_import=9
        )
        with database.write() as connection:
            operations.append_registers(connection, snapshots=[*shots, late], now=NOW)
        monkeypatch.setattr(store, "DENSE", 10**9 if way == "whole" else 0)
        if way == "each":
            append(database, delivery([1], meter="M8"))  # somebody is known, so that two are not most
        monkeypatch.setattr(register_store, "MOMENTS_APART", 0 if way == "spans" else 8)
        monkeypatch.setattr(register_store, "METERS_APART", 0)

        with database.read() as connection:
            found = queries.midnight_registers(connection, meters=["M2", "M1"], first=DAY - 1, last=DAY + 1)

        assert (found.meters, found.first_day, found.days) == (("M2", "M1"), DAY - 1, 3)
        assert found.wh_import.tolist() == [[ABSENT, ABSENT, 50], [ABSENT, 100, 130]]
        assert found.wh_export.tolist() == [[ABSENT, ABSENT, ABSENT], [ABSENT, 7, 8]]


class TestTouchedDays:
    @pytest.mark.parametrize(("known", "touched"), [((), True), ((0,), True), ((1,), True), ((0, 1), False)])
    def test_touches_an_estimated_day_that_lacks_a_midnight_of_its_own(
        self, database: Database, known: tuple[int, ...], touched: bool
    ):
        append(database, delivery([1] * 47))
        shots = [
            RegisterSnapshot(
                meter="M1", at=MIDNIGHT + timedelta(days=day), kind=RegisterKind.DAILY, wh_import=100 + day
            )
            for day in (*known, 5)
        ]
        with database.write() as connection:
            operations.append_registers(connection, snapshots=shots[:-1], now=NOW)
        store_validated(database, with_estimate(block_of(database), 47, 3))
        with database.read() as connection:
            last = queries.changed_days(connection, after=0, limit=9).last

        with database.write() as connection:
            operations.append_registers(connection, snapshots=shots[-1:], now=LATER)

        with database.read() as connection:
            assert bool(queries.changed_days(connection, after=last, limit=9).blocks) is touched


class TestStoreValidated:
    def test_marks_a_version_valid_without_counting_it_as_changed(self, database: Database):
        append(database, delivery([1] * 48))
        block = block_of(database)
        valid = replace(block, quality=np.full((1, 48), Quality.VALID, np.uint8), validated=np.array([True]))

        assert store_validated(database, valid) == 1
        assert store_validated(database, valid) == 0
        assert store_validated(database, replace(valid, versions=np.array([2], np.int32))) == 0

        after = block_of(database)
        assert (after.versions.tolist(), after.validated.tolist()) == ([1], [True])
        assert set(after.quality[0].tolist()) == {Quality.VALID}
        with database.read() as connection:
            assert queries.changed_days(connection, after=1, limit=9).blocks == ()

    def test_lays_an_estimate_over_and_keeps_what_the_meter_said(self, database: Database):
        append(database, delivery([5, 900, None] + [5] * 45))
        block = with_estimate(with_estimate(block_of(database), 1, 6), 2, 7)

        assert store_validated(database, block) == 1

        assert energy(database)[:4] == [5, 6, 7, 5]
        assert block_of(database).quality[0, :4].tolist() == [2, 4, 4, 2]
        assert energy(database, raw=True)[:4] == [5, 900, ABSENT, 5]
        assert energy(database, as_of=NOW)[:3] == [5, 900, ABSENT]
        assert energy(database, as_of=LATER)[:3] == [5, 6, 7]

    def test_gives_way_to_a_late_measured_value(self, database: Database):
        append(database, delivery([5, None, None] + [5] * 45))
        store_validated(database, with_estimate(with_estimate(block_of(database), 1, 6), 2, 7))

        append(database, delivery([8], slot=1), now=LATER + timedelta(hours=1))

        block = block_of(database)
        assert block.values["wh_import"][0, :4].tolist() == [5, 8, 7, 5]
        assert block.quality[0, :4].tolist() == [1, 1, 4, 1]
        assert (block.versions.tolist(), block.validated.tolist()) == ([3], [False])
        assert energy(database, as_of=LATER)[:3] == [5, 6, 7]

    def test_makes_a_day_that_never_came(self, database: Database):
        empty = DayBlock(
            meters=("M1",),
            days=np.array([DAY], np.int32),
            minutes=30,
            versions=np.array([0], np.int32),
            values={"wh_import": np.full((1, 48), 4, np.int64)},
            quality=np.full((1, 48), Quality.ESTIMATED, np.uint8),
            validated=np.array([True]),
        )

        assert store_validated(database, empty) == 1

        assert energy(database) == [4] * 48
        assert energy(database, raw=True) == [ABSENT] * 48
        with database.read() as connection:
            assert queries.changed_days(connection, after=0, limit=9).blocks == ()
            assert not queries.present_days(connection, meters=["M1"], first=DAY, last=DAY).any()
            assert not queries.has_whole_day(connection, first=DAY, last=DAY)
        append(database, delivery([1] * 48), now=LATER)
        assert energy(database) == [1] * 48
        assert block_of(database).versions.tolist() == [2]

    def test_leaves_alone_a_row_that_changed_meanwhile(self, database: Database):
        append(database, delivery([1] * 47))
        stale = with_estimate(block_of(database), 47, 3)
        append(database, delivery([2], slot=47), now=LATER)

        assert store_validated(database, stale) == 0
        assert energy(database)[47] == 2

    def test_keeps_an_edit(self, database: Database):
        append(database, delivery([1] * 48))
        edited = with_estimate(block_of(database), 3, 50)
        edited.quality[0, 3] = Quality.EDITED
        store_validated(database, edited)
        valid = replace(
            block_of(database, raw=True),
            quality=np.full((1, 48), Quality.VALID, np.uint8),
            validated=np.array([True]),
        )

        store_validated(database, valid, LATER + timedelta(hours=1))

        assert energy(database)[2:5] == [1, 50, 1]
        append(database, delivery([9], slot=3), now=LATER + timedelta(hours=2))
        assert energy(database)[2:5] == [1, 50, 1]
        assert energy(database, raw=True)[2:5] == [1, 9, 1]

    def test_refuses_an_estimate_without_energy(self, database: Database):
        append(database, delivery([1] * 47))

        with pytest.raises(UnusableReadings):
            store_validated(database, with_estimate(block_of(database), 47, ABSENT))


def snapshot(day: int, wh: int, **fields: object) -> RegisterSnapshot:
    values = {"meter": "M1", "kind": RegisterKind.DAILY, "vah_import": None, "wh_export": None} | fields
    return RegisterSnapshot(at=local_midnight(date_of(day)), wh_import=wh, **values)


def append_registers(database: Database, *snapshots: RegisterSnapshot, now: datetime = NOW) -> int:
    with database.write() as connection:
        return operations.append_registers(connection, snapshots=snapshots, now=now)


class TestAppendRegisters:
    def test_counts_what_is_new_or_different(self, database: Database):
        assert append_registers(database, snapshot(DAY, 100), snapshot(DAY + 1, 200)) == 2
        assert append_registers(database, snapshot(DAY, 100), snapshot(DAY + 1, 210), now=LATER) == 1

        with database.read() as connection:
            found = queries.registers(connection, meters=["M1"], kind=RegisterKind.DAILY)
            none = queries.registers(connection, meters=["M2"])
        assert [register.wh_import for register in found] == [100, 210]
        assert none == ()

    def test_adds_what_an_earlier_snapshot_did_not_know(self, database: Database):
        append_registers(database, snapshot(DAY, 100))
        assert append_registers(database, snapshot(DAY, 100, md_w=900), now=LATER) == 1
        assert append_registers(database, snapshot(DAY, 100, origin=Origin.HAND), now=LATER) == 0

        with database.read() as connection:
            (found,) = queries.registers(connection, period=Period(start=MIDNIGHT, end=MIDNIGHT))
        assert (found.wh_import, found.md_w) == (100, 900)

    def test_has_the_days_beside_it_looked_at_again(self, database: Database):
        append(database, delivery([1] * 48 * 4, day=DAY - 3))
        with database.read() as connection:
            seen = queries.changed_days(connection, after=0, limit=99).last

        append_registers(database, snapshot(DAY, 100))

        with database.read() as connection:
            (block,) = queries.changed_days(connection, after=seen, limit=99).blocks
        assert block.days.tolist() == [DAY - 1, DAY]
        assert block.versions.tolist() == [1, 1]

    def test_has_estimated_days_looked_at_again(self, database: Database):
        append(database, delivery([1] * 47, day=DAY - 9), delivery([1] * 47, day=DAY - 90))
        for day in (DAY - 9, DAY - 90):
            store_validated(database, with_estimate(block_of(database, day=day), 47, 3))
        with database.read() as connection:
            seen = queries.changed_days(connection, after=0, limit=99).last

        append_registers(database, snapshot(DAY, 100))

        with database.read() as connection:
            (block,) = queries.changed_days(connection, after=seen, limit=99).blocks
        assert block.days.tolist() == [DAY - 9]


def event(code: int, minute: int = 0, **fields: object) -> MeterEvent:
    values = {
        "meter": "M1",
        "family": "other",
        "origin": "push",
        "received_at": NOW,
        "detail": {"v": 1},
    } | fields
    return MeterEvent(code=code, at=NOW + timedelta(minutes=minute), **values)


class TestAppendEvents:
    def test_knows_an_event_by_meter_code_and_time(self, database: Database):
        with database.write() as connection:
            assert (
                operations.append_events(connection, events=[event(251), event(251), event(1)], now=NOW) == 2
            )
            assert operations.append_events(connection, events=[event(251, origin="log")], now=NOW) == 0
            assert (
                operations.append_events(connection, events=[event(251, 1), event(251, meter="M2")], now=NOW)
                == 2
            )
            assert operations.append_events(connection, events=[], now=NOW) == 0

            numbered = queries.events(connection, after=0, limit=99)
            assert [number for number, _ in numbered] == [1, 2, 3, 4]
            assert numbered[0][1].detail == {"v": 1}
            assert queries.events(connection, after=2, limit=1)[0][1].code == 251
            assert sequences.last_taken(connection, name="readings.event") == 4
            period = Period(start=NOW, end=NOW + timedelta(minutes=1))
            assert [found.code for found in queries.events_of(connection, meter="M1", period=period)] == [
                1,
                251,
            ]


REGISTRY = """account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,,T1,F1,R,
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,,T1,F1,R,
"""


class TestImportCsv:
    @pytest.fixture(autouse=True)
    def meters(self, database: Database) -> None:
        with database.write() as connection:
            registry.import_registry(connection, text=REGISTRY, now=NOW)

    def read(self, database: Database, text: str, stamp: str = "start"):
        with database.write() as connection:
            return operations.import_csv(connection, text=text, stamp=stamp, now=NOW)

    def test_stores_intervals_named_by_their_start(self, database: Database):
        text = (
            "meter,start,minutes,wh_import,volt\r\n"
            "M1,2026-04-01T00:00:00+05:30,30,120,230.456\r\n"
            "M1,2026-03-31T19:00:00+00:00,30,130.5,\r\n"
        )

        report = self.read(database, text)

        assert (report.lines, report.meters, report.days_written, report.intervals_new) == (2, 1, 1, 2)
        assert report.rounded == 1
        block = block_of(database)
        assert block.values["wh_import"][0, :2].tolist() == [120, 131]
        assert block.values["volt"][0, :2].tolist() == [23_046, ABSENT]
        assert self.read(database, text).days_written == 0

    def test_is_told_that_a_stamp_is_the_end(self, database: Database):
        self.read(database, "meter,start,minutes,wh_import\nM1,2026-04-01T00:00:00+05:30,30,7\n", stamp="end")

        assert energy(database, day=DAY - 1)[47] == 7

    def test_stores_registers(self, database: Database):
        text = (
            "meter,time,wh_import_register,wh_export_register\n"
            "M1,2026-04-01T00:00:00+05:30,1000,\n"
            "M1,2026-04-02T10:30:00+05:30,2000,5\n"
        )

        assert self.read(database, text).registers_new == 2

        with database.read() as connection:
            first, second = queries.registers(connection)
        assert (first.kind, first.wh_import, first.wh_export) == (RegisterKind.DAILY, 1_000, None)
        assert (second.kind, second.wh_export, second.origin) == (RegisterKind.HAND, 5, Origin.HAND)

    def test_stores_nothing_of_a_file_with_an_unknown_meter(self, database: Database):
        text = "meter,start,minutes,wh_import\nM1,2026-04-01T00:00:00+05:30,30,7\nM9,2026-04-01T00:00:00+05:30,30,7\n"

        with pytest.raises(BrokenFile, match="line 3: no meter has the serial number 'M9'"):
            self.read(database, text)

        with database.read() as connection:
            assert queries.days(connection, meters=None, first=DAY, last=DAY) == ()
