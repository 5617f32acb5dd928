"""The collection against real sockets: what is stored is what the meters hold."""

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from bijlighar.base.period import Period, date_of, day_number, epoch_seconds, local_midnight
from bijlighar.dlms.session import Framing
from bijlighar.headend import keys_store, queries
from bijlighar.headend.collect import rare_collections
from bijlighar.headend.counters import BLOCK
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.meter_day import Collector
from bijlighar.headend.model import CollectReport, MeterKeys
from bijlighar.headend.operations import collect_due
from bijlighar.readings import queries as readings
from bijlighar.readings.model import RegisterKind
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.meter import SHORT_LIST, Meter, until
from tests.headend.orders import meter_keys
from tests.headend.town import hang

FIRST = date(2025, 6, 29)
#: 00:30 IST of 1 July: 30 June is due.
NOW = local_midnight(date(2025, 7, 1)) + timedelta(minutes=30)
START = "2025-06-29T00:00:00+05:30"


def keys_of(number: int) -> MeterKeys:
    return meter_keys(f"BJ1000{number:02}", system_title=f"TITLE0{number:02}".encode())


async def with_meter(database: Database, meter: Meter, *, from_: str = START, gateway: str = "") -> Meter:
    if not meter.blocks:
        meter.fill(local_midnight(FIRST) - timedelta(days=2), NOW)
    meter.now = NOW
    url = await meter.start()
    hang(database, serial=meter.keys.serial, url=url, keys=[meter.keys], from_=from_, gateway=gateway)
    return meter


async def collect(database: Database, head_end: HeadEnd, now: datetime = NOW) -> CollectReport:
    return await collect_due(database, now=now, head_end=head_end)


def pending(database: Database, now: datetime = NOW) -> int:
    with database.read() as connection:
        return queries.pending_collect(connection, now=now, settings=FAST)


def stored(database: Database, meter: str = "BJ100001") -> dict[int, int]:
    """Energy by the interval's start."""
    found: dict[int, int] = {}
    with database.read() as connection:
        first, last = day_number(date(2025, 5, 1)), day_number(date(2025, 7, 31))
        for block in readings.days(connection, meters=[meter], first=first, last=last):
            energy = block.channel("wh_import")
            for row in range(block.rows):
                start = epoch_seconds(local_midnight(date_of(int(block.days[row]))))
                for slot in np.flatnonzero(block.quality[row]):
                    found[start + int(slot) * 1800] = int(energy[row, slot])
    return found


def held(meter: Meter, first: datetime, last: datetime) -> dict[int, int]:
    return {
        at - 1800: row[1]
        for at, row in meter.blocks.items()
        if epoch_seconds(first) < at <= epoch_seconds(last)
    }


class TestCollectDue:
    def test_stores_every_interval_by_its_start(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> tuple[Meter, CollectReport]:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            for place, at in enumerate(sorted(meter.blocks)):
                meter.blocks[at] = (23012, place, place + 3, 1, 1, 412)
            return meter, await collect(database, head_end)

        meter, report = run(scenario())

        assert (report.sessions, report.failed, report.meter_days, report.intervals) == (1, 0, 2, 96)
        assert stored(database) == held(meter, local_midnight(FIRST), local_midnight(date(2025, 7, 1)))
        assert pending(database) == 0

    def test_keeps_voltage_and_current_in_hundredths(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> None:
            await with_meter(database, Meter(keys=meter_keys()))
            await collect(database, head_end)

        run(scenario())

        with database.read() as connection:
            (block,) = readings.days(
                connection, meters=["BJ100001"], first=day_number(FIRST), last=day_number(FIRST)
            )
        assert set(block.channel("volt")[0].tolist()) == {23012}
        assert set(block.channel("amp")[0].tolist()) == {412}
        assert set(block.channel("vah_import")[0].tolist()) == {105}

    @pytest.mark.parametrize(("scaler", "energy"), [(1, 1000), (0, 100), (-1, 10), (-3, 0)])
    def test_goes_by_the_scaler_that_the_meter_tells(
        self, database: Database, head_end: HeadEnd, run, scaler: int, energy: int
    ):
        async def scenario() -> None:
            await with_meter(database, Meter(keys=meter_keys(), block_scaler=scaler))
            await collect(database, head_end)

        run(scenario())

        assert set(stored(database).values()) == {energy}

    def test_stores_daily_registers_at_the_midnight_that_closes_the_day(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            meter.billing = {epoch_seconds(local_midnight(date(2025, month, 1))): 5000 for month in (6, 7)}
            await collect(database, head_end)
            return meter

        meter = run(scenario())

        with database.read() as connection:
            shots = readings.registers(connection, meters=["BJ100001"])
        daily = {shot.at: shot.wh_import for shot in shots if shot.kind is RegisterKind.DAILY}
        billing = {shot.at: shot.wh_import for shot in shots if shot.kind is RegisterKind.BILLING}
        midnights = [local_midnight(date(2025, 6, 30)), local_midnight(date(2025, 7, 1))]
        assert sorted(daily) == midnights
        assert [daily[at] // 10 for at in midnights] == [
            meter.daily[epoch_seconds(at)] // 10 for at in midnights
        ]
        assert billing == {midnights[1]: 5000}

    def test_asks_for_all_missing_days_at_once(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> tuple[Meter, CollectReport, CollectReport]:
            meter = Meter(keys=meter_keys(), silent=True)
            await with_meter(database, meter)
            failed = CollectReport()
            for day in range(4):
                meter.fill(NOW + timedelta(days=day - 1), NOW + timedelta(days=day))
                failed += await collect(database, head_end, NOW + timedelta(days=day))
            meter.silent = False
            meter.fill(NOW + timedelta(days=3), NOW + timedelta(days=4))
            meter.sessions = 0
            return meter, failed, await collect(database, head_end, NOW + timedelta(days=4))

        meter, failed, report = run(scenario())

        assert (failed.sessions, failed.failed, failed.intervals) == (4, 4, 0)
        assert (report.sessions, report.failed, report.meter_days) == (1, 0, 6)
        assert stored(database) == held(meter, local_midnight(FIRST), local_midnight(date(2025, 7, 5)))

    def test_asks_no_further_back_than_meters_remember(self, database: Database, run):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()), from_="2025-01-01T00:00:00+05:30")
            await collect(database, open_head_end(database, settings=replace(FAST, backfill_days=3)))
            return meter

        meter = run(scenario())

        first = local_midnight(date(2025, 6, 28))
        assert stored(database) == held(meter, first, local_midnight(date(2025, 7, 1)))

    @pytest.mark.parametrize("fault", ["silent", "mute", "garbage"])
    def test_records_a_meter_that_fails_and_goes_on(
        self, database: Database, head_end: HeadEnd, run, fault: str
    ):
        async def scenario() -> CollectReport:
            await with_meter(database, Meter(keys=keys_of(1), **{fault: True}))
            await with_meter(database, Meter(keys=keys_of(2)))
            return await collect(database, head_end)

        report = run(scenario())

        assert (report.sessions, report.failed, report.meter_days) == (2, 1, 2)
        assert pending(database) == 0
        assert pending(database, NOW + timedelta(hours=5)) == 1
        with database.read() as connection:
            (silent,) = queries.silent_meters(connection)
            assert list(queries.last_contact(connection)) == ["BJ100002"]
            codes = {row.meter: row.outcome for row in queries.sessions(connection)}
        assert (silent.meter, silent.failures) == ("BJ100001", 1)
        assert codes["BJ100002"] == "headend.ok"
        assert codes["BJ100001"] == silent.last_code != "headend.ok"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"lls": b"another"}, "headend.refused"),
            ({"ek": b"W" * 16}, "headend.refused"),
            ({"ak": b"W" * 16}, "headend.refused"),
            ({"system_title": b"ANOTHER1"}, "dlms.wrong-title"),
        ],
    )
    def test_records_a_meter_that_has_other_keys(
        self, database: Database, head_end: HeadEnd, run, changes, code: str
    ):
        async def scenario() -> CollectReport:
            meter = Meter(keys=meter_keys())
            meter.fill(local_midnight(FIRST), NOW)
            url = await meter.start()
            hang(
                database,
                serial="BJ100001",
                url=url,
                keys=[replace(meter_keys(), **changes)],
                from_=START,
            )
            return await collect(database, head_end)

        report = run(scenario())

        assert (report.sessions, report.failed) == (1, 1)
        with database.read() as connection:
            assert queries.silent_meters(connection)[0].last_code == code

    def test_records_a_meter_whose_keys_nobody_stored(self, database: Database, head_end: HeadEnd, run):
        hang(database, serial="BJ100001", url="tcp://127.0.0.1:9", from_=START)

        report = run(collect(database, head_end))

        assert (report.sessions, report.failed) == (1, 1)
        with database.read() as connection:
            assert queries.silent_meters(connection)[0].last_code == "headend.no-keys"

    def test_records_every_meter_where_the_key_encryption_key_is_absent(self, database: Database, run):
        hang(database, serial="BJ100001", url="tcp://127.0.0.1:9", keys=[meter_keys()], from_=START)
        blind = open_head_end(database, settings=replace(FAST, key_encryption_key=None))

        report = run(collect(database, blind))

        assert (report.sessions, report.failed) == (1, 1)
        with database.read() as connection:
            assert queries.silent_meters(connection)[0].last_code == "headend.sealed-keys"

    def test_asks_a_dead_meter_ever_less_and_last(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> list[int]:
            await with_meter(database, Meter(keys=meter_keys(), silent=True))
            tried = []
            for hour in range(72):
                report = await collect(database, head_end, NOW + timedelta(hours=hour))
                tried += [hour] * report.sessions
            return tried

        assert run(scenario()) == [0, 5, 24, 48]

    def test_asks_a_meter_again_for_a_day_that_its_slow_clock_had_not_closed(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            last = meter.blocks.pop(epoch_seconds(local_midnight(date(2025, 7, 1))))
            await collect(database, head_end)
            assert pending(database) == 0
            assert len(stored(database)) == 95
            meter.blocks[epoch_seconds(local_midnight(date(2025, 7, 1)))] = last
            await collect(database, head_end, NOW + timedelta(hours=5))
            return meter

        run(scenario())

        assert len(stored(database)) == 96
        assert pending(database, NOW + timedelta(hours=23)) == 0

    def test_does_not_ask_for_ever_for_what_a_meter_does_not_have(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> list[int]:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            for at in list(meter.blocks)[-20:]:
                del meter.blocks[at]
            return [
                (await collect(database, head_end, NOW + timedelta(hours=hour))).sessions
                for hour in range(23)
            ]

        assert [hour for hour, sessions in enumerate(run(scenario())) if sessions] == [0, 5]

    def test_reads_again_what_changed_its_columns(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            await collect(database, head_end)
            meter.asked.clear()
            meter.firmware = "F2"
            meter.block_scaler = 1
            meter.extra_column = True
            tomorrow = NOW + timedelta(days=1)
            meter.fill(NOW, tomorrow)
            report = await collect(database, head_end, tomorrow)
            assert report.failed == 1
            meter.extra_column = False
            await collect(database, head_end, tomorrow + timedelta(hours=5))
            return meter

        meter = run(scenario())

        assert "1.0.99.1.0.255/3" in meter.asked
        with database.read() as connection:
            codes = [row.outcome for row in queries.sessions(connection)]
        assert codes == ["headend.ok", "headend.layout", "headend.ok"]

    def test_reads_columns_and_scalers_once_per_model(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> list[Meter]:
            meters = [await with_meter(database, Meter(keys=keys_of(number))) for number in range(4)]
            await collect(database, open_head_end(database, settings=replace(FAST, concurrency=1)))
            return meters

        meters = run(scenario())

        readers = [meter.keys.serial for meter in meters if "1.0.94.91.4.255/2" in meter.asked]
        assert readers == ["BJ100000"]
        assert len(stored(database, "BJ100003")) == 96

    def test_asks_as_little_as_it_can(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            await collect(database, head_end)
            meter.asked.clear()
            meter.sessions = 0
            tomorrow = NOW + timedelta(days=1)
            meter.fill(NOW, tomorrow)
            await collect(database, head_end, tomorrow)
            return meter

        meter = run(scenario())

        assert meter.sessions == 1
        assert [
            name for name in meter.asked if not name.startswith(("0.0.96.15", "0.0.1.0", "1.0.0.2.0"))
        ] == [
            "1.0.99.1.0.255/2",
            "1.0.99.2.0.255/2",
        ]

    def test_reads_an_event_log_when_its_number_has_changed(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            at = epoch_seconds(NOW) - 3600
            meter.events = {4: [(at, 201)], 0: [(at - 60, 7), (at - 30, 8)]}
            first = await collect(database, head_end)
            meter.asked.clear()
            meter.events[4].append((at + 7200, 202))
            tomorrow = NOW + timedelta(days=1)
            meter.fill(NOW, tomorrow)
            second = await collect(database, head_end, tomorrow)
            assert (first.events, second.events) == (3, 1)
            return meter

        meter = run(scenario())

        assert "0.0.99.98.4.255/2" in meter.asked
        assert "0.0.99.98.0.255/2" not in meter.asked
        with database.read() as connection:
            events = [event for _, event in readings.events(connection, after=0, limit=10)]
        assert sorted((event.code, event.family, event.origin) for event in events) == [
            (7, "voltage", "log"),
            (8, "voltage", "log"),
            (201, "other", "log"),
            (202, "other", "log"),
        ]

    def test_manages_without_lists(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> CollectReport:
            await with_meter(database, Meter(keys=meter_keys(), no_lists=True))
            return await collect(database, head_end)

        assert run(scenario()).meter_days == 2

    def test_asks_singly_a_meter_that_broke_off_in_a_list(self, database: Database, head_end: HeadEnd, run):
        """Three of one model that gives lists: one drops in the middle of every long answer, one is not there."""

        async def scenario() -> tuple[list[Meter], list[CollectReport], list[list[list[int]]]]:
            meters = [
                await with_meter(database, Meter(keys=keys_of(number), tells_firmware=True))
                for number in (1, 2, 3)
            ]
            _, dropping, away = meters
            reports, lists = [await collect(database, head_end)], []
            dropping.drops_long_lists = away.silent = True
            tomorrow = NOW + timedelta(days=1)
            later, last = tomorrow + timedelta(hours=5), tomorrow + timedelta(days=1)
            await away.stop()
            for now in (tomorrow, later, last):
                for meter in meters:
                    meter.lists.clear()
                    meter.now = now
                    meter.fill(NOW, now)
                if now == later:
                    away.silent = False
                    await away.start(away.port)
                if now == last:
                    dropping.drops_long_lists = False
                reports.append(await collect(database, head_end, now))
                lists.append([list(meter.lists) for meter in meters])
            return meters, reports, lists

        meters, reports, (tomorrow, later, last) = run(scenario())

        assert [(report.sessions, report.failed) for report in reports] == [(3, 0), (3, 2), (2, 0), (3, 0)]
        healthy, dropping, away = zip(tomorrow, later, last, strict=True)
        assert healthy == ([SHORT_LIST + 2], [], [SHORT_LIST + 2])
        assert dropping == ([SHORT_LIST + 2], [SHORT_LIST], [SHORT_LIST + 2])
        assert away == ([], [SHORT_LIST + 2], [SHORT_LIST + 2])
        for meter in meters:
            assert stored(database, meter.keys.serial) == held(
                meter, local_midnight(FIRST), local_midnight(date(2025, 7, 3))
            )

    def test_speaks_hdlc(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> CollectReport:
            await with_meter(database, Meter(keys=meter_keys(), framing=Framing.HDLC))
            return await collect(database, head_end)

        assert run(scenario()).meter_days == 2

    def test_notes_how_far_a_clock_is_off(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> None:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            meter.now = NOW + timedelta(seconds=95)
            await collect(database, head_end)

        run(scenario())

        with database.read() as connection:
            assert queries.sessions(connection)[0].drift_s == 95
            assert queries.clock_drifts(connection, beyond_s=60) == {"BJ100001": 95}
            assert queries.clock_drifts(connection, beyond_s=100) == {}

    def test_reports_its_progress(self, database: Database, head_end: HeadEnd, run):
        told: list[tuple[int, int]] = []

        async def scenario() -> None:
            head_end = open_head_end(database, settings=replace(FAST, sessions_per_commit=2))
            for number in range(5):
                await with_meter(database, Meter(keys=keys_of(number)))
            await collect_due(
                database,
                now=NOW,
                head_end=head_end,
                progress=lambda done, whole: told.append((done, whole)),
            )

        run(scenario())

        assert told == [(2, 5), (4, 5), (5, 5)]

    def test_holds_the_permits_of_a_gateway(self, database: Database, run):
        async def scenario() -> int:
            head_end = open_head_end(database, settings=replace(FAST, gateway_concurrency=2))
            meters = [Meter(keys=keys_of(number)) for number in range(6)]
            for meter in meters:
                await with_meter(database, meter, gateway="G-1")
            at_once = 0

            async def watch() -> None:
                nonlocal at_once
                while True:
                    at_once = max(at_once, sum(len(meter.transports) for meter in meters))
                    await asyncio.sleep(0)

            watcher = asyncio.create_task(watch())
            await collect(database, head_end)
            watcher.cancel()
            return at_once

        assert run(scenario()) <= 3  # one may still be closing at its meter

    def test_asks_only_meters_that_hang(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> CollectReport:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            with database.write() as connection:
                registry.take_down_meter(
                    connection,
                    usage_point=f"U-{meter.keys.serial}",
                    meter=meter.keys.serial,
                    at=NOW - timedelta(hours=1),
                )
            return await collect(database, head_end)

        assert run(scenario()).sessions == 0

    def test_asks_again_for_what_a_killed_run_had_not_stored(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            collecting = asyncio.create_task(collect(database, head_end))
            await until(lambda: bool(meter.asked))
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
            assert stored(database) == {}
            assert pending(database) == 1
            reborn = open_head_end(database, settings=FAST)
            await collect(database, reborn)
            return meter

        run(scenario())

        assert len(stored(database)) == 96

    def test_changes_nothing_when_run_again(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> list[CollectReport]:
            await with_meter(database, Meter(keys=meter_keys()))
            return [await collect(database, head_end), await collect(database, head_end)]

        first, second = run(scenario())

        assert first.sessions == 1
        assert second == CollectReport()


class TestRareCollections:
    @pytest.fixture(autouse=True, params=[False, True])
    def collector(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """The collector as Python has it, or as the command line leaves it."""
        before, frozen = gc.get_threshold(), gc.get_freeze_count()
        gc.unfreeze()
        gc.set_threshold(20_000 if request.param else 700)
        if request.param:
            gc.freeze()
        yield
        gc.unfreeze()
        gc.set_threshold(*before)
        if frozen:
            gc.freeze()

    def test_leave_the_collector_as_it_was_when_runs_overlap(self):
        before = gc.get_threshold()
        first, second = rare_collections(), rare_collections()

        first.__enter__()
        second.__enter__()
        during = gc.get_threshold()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)

        assert during[0] == 20_000
        assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)

    def test_leave_the_collector_as_it_was_when_a_run_fails(self):
        before = gc.get_threshold()

        def fail() -> None:
            with rare_collections():
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


class TestCounters:
    def test_never_fall_across_restarts_as_the_meter_sees_it(self, database: Database, run):
        async def scenario() -> list[int]:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            seen = []
            for day in range(4):
                now = NOW + timedelta(days=day)
                meter.fill(now - timedelta(days=1), now)
                report = await collect(database, open_head_end(database, settings=FAST), now)
                assert report.failed == 0
                seen.append(meter.seen[32])
            return seen

        seen = run(scenario())

        assert seen == sorted(set(seen))
        assert all(later - earlier >= BLOCK - 20 for earlier, later in pairwise(seen))

    def test_are_read_from_the_meter_at_first_contact(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = await with_meter(database, Meter(keys=meter_keys(), seen={32: 70_000}))
            assert (await collect(database, head_end)).failed == 0
            return meter

        assert 70_000 < run(scenario()).seen[32] < 70_100

    def test_follow_a_meter_that_somebody_else_has_spoken_with(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> CollectReport:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            await collect(database, head_end)
            meter.seen[32] += 50_000
            meter.fill(NOW, NOW + timedelta(days=1))
            return await collect(database, head_end, NOW + timedelta(days=1))

        report = run(scenario())

        assert (report.failed, report.meter_days) == (0, 1)

    def test_keep_the_meters_own_counter_so_that_old_answers_are_not_believed(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> CollectReport:
            meter = await with_meter(database, Meter(keys=meter_keys()))
            await collect(database, head_end)
            with database.read() as connection:
                received = keys_store.received_counters(connection, meters=["BJ100001"], client=32)
            assert received["BJ100001"] == meter.sent
            meter.sent = 0  # as an attacker who plays back what the meter once said
            meter.fill(NOW, NOW + timedelta(days=1))
            return await collect(database, open_head_end(database, settings=FAST), NOW + timedelta(days=1))

        assert run(scenario()).failed == 1
        with database.read() as connection:
            assert queries.silent_meters(connection)[0].last_code == "dlms.replayed"


class TestCollector:
    def test_knows_the_layouts_that_were_stored(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> None:
            await with_meter(database, Meter(keys=meter_keys()))
            await collect(database, head_end)

        run(scenario())

        again = Collector(database=database, head_end=head_end, now=NOW)
        (model,) = again.layouts
        assert again.layouts[model].columns("block-load")[0].obis == "0.0.1.0.0.255"
        assert again.layouts[model].period_s == 1800


class TestPeriod:
    def test_of_the_days_owed_ends_at_midnight(self):
        span = Period.of_local_days(FIRST, FIRST)

        assert span.end == datetime(2025, 6, 29, 18, 30, tzinfo=UTC)
