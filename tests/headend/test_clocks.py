"""Setting the clocks of meters: the rule, and what is said to simulated meters."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bijlighar.headend import operations, queries
from bijlighar.headend.errors import GateAway
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.model import ClockDeed, SessionPurpose, SessionRow
from bijlighar.headend.rules import clock_deed
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.headend.conftest import FAST
from tests.headend.gate_process import GateProcess
from tests.headend.orders import KEY_ENCRYPTION_KEY
from tests.simulator.towns import MIDNIGHT, TownProcess, a_town

DAY = timedelta(days=1)
#: Ten minutes into an interval, and two seconds before the end of one.
INSIDE, AT_EDGE = MIDNIGHT + DAY + timedelta(minutes=40), MIDNIGHT + DAY + timedelta(minutes=59, seconds=58)


class TestClockDeed:
    @pytest.mark.parametrize(
        ("ahead_s", "second", "deed"),
        [
            (60, 900, ClockDeed.LEAVE),
            (-60, 900, ClockDeed.LEAVE),
            (61, 900, ClockDeed.SET),
            (-61, 900, ClockDeed.SET),
            (7200, 900, ClockDeed.SET_ACROSS),
            (7201, 900, ClockDeed.TOO_FAR),
            (-7201, 900, ClockDeed.TOO_FAR),
            (100, 1689, ClockDeed.SET),
            (100, 1690, ClockDeed.WAIT),
            (-100, 110, ClockDeed.SET),
            (-100, 109, ClockDeed.WAIT),
            (100, 5, ClockDeed.WAIT),
            (879, 1000, ClockDeed.WAIT),
            (880, 1000, ClockDeed.SET_ACROSS),
        ],
    )
    def test_sets_no_clock_across_an_edge_without_a_mark(self, ahead_s: int, second: int, deed: ClockDeed):
        found = clock_deed(
            ahead_s=ahead_s, now_s=1800 * 1000 + second, period_s=1800, from_s=60, limit_s=7200
        )

        assert found is deed


class Still:
    """A clock that stands."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """SQLite alone: what is stored here is the log of sessions, tested on both elsewhere."""
    opened = Database(f"sqlite:///{tmp_path}/clocks.sqlite")
    metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def head_end(database: Database) -> HeadEnd:
    return open_head_end(database, settings=replace(FAST, answer_timeout_s=4.0, control_timeout_s=15.0))


@pytest.fixture
def town(tmp_path: Path, database: Database) -> Iterator[TownProcess]:
    plan = a_town(meters=6, stand_alone=True)
    with TownProcess(tmp_path, town=plan) as process:
        with database.write() as connection:
            text = simulator.registry_csv(town=plan, host="127.0.0.1", port=process.port)
            registry.import_registry(connection, text=text, now=MIDNIGHT)
            keys = operations.read_keys_file(
                simulator.keys_json(town=plan, host="127.0.0.1", port=process.port)
            )
            operations.store_keys(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=MIDNIGHT)
        yield process


def collect(database: Database, head_end: HeadEnd, process: TownProcess, now: datetime) -> None:
    process.control.set_time(now)
    report = asyncio.run(operations.collect_due(database, now=now, head_end=head_end))
    assert report.failed == 0


def synchronise(database: Database, head_end: HeadEnd, process: TownProcess, now: datetime) -> int:
    process.control.set_time(now)
    return asyncio.run(operations.synchronise_clocks(database, clock=Still(now), head_end=head_end))


def logged(database: Database) -> list[SessionRow]:
    with database.read() as connection:
        rows = queries.sessions(connection)
    return [row for row in rows if row.purpose is SessionPurpose.CLOCK]


def drifts(database: Database, beyond_s: int = 60) -> dict[str, int]:
    with database.read() as connection:
        return dict(queries.clock_drifts(connection, beyond_s=beyond_s))


class TestSynchroniseClocks:
    def test_sets_the_one_that_is_off_and_leaves_the_others(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        stepped = town.town.devices[1].serial
        town.control.fault(serial=stepped, name="clock_step", on=True)
        collect(database, head_end, town, INSIDE)
        off_s = drifts(database)[stepped]
        assert 600 <= abs(off_s) <= 5_400

        done = synchronise(database, head_end, town, INSIDE + timedelta(minutes=2))
        again = synchronise(database, head_end, town, INSIDE + timedelta(minutes=5))

        assert (done, again) == (1, 0)
        (row,) = logged(database)
        assert (row.meter, row.drift_s) == (stepped, off_s)
        assert row.outcome in (ClockDeed.SET, ClockDeed.SET_ACROSS)
        assert "+0 s after" in row.note
        assert ("doubtful from" in row.note) == (row.outcome == ClockDeed.SET_ACROSS)
        collect(database, head_end, town, INSIDE + DAY)
        assert drifts(database) == {}

    def test_waits_at_an_edge_and_sets_it_soon_after(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        drifting = town.town.devices[2].serial
        town.control.set_time(MIDNIGHT + timedelta(minutes=1))
        town.control.fault(serial=drifting, name="clock_drift", on=True)
        five_days = 4 * DAY
        collect(database, head_end, town, INSIDE + five_days)
        assert drifting in drifts(database)

        at_edge = synchronise(database, head_end, town, AT_EDGE + five_days)
        too_soon = synchronise(database, head_end, town, AT_EDGE + five_days + timedelta(minutes=2))
        later = synchronise(database, head_end, town, AT_EDGE + five_days + timedelta(minutes=12))

        assert (at_edge, too_soon, later) == (0, 0, 1)
        assert [row.outcome for row in logged(database)] == [ClockDeed.SET, ClockDeed.WAIT]

    def test_leaves_to_a_person_what_is_off_too_far(
        self, database: Database, town: TownProcess, head_end: HeadEnd
    ):
        assert town.town is not None
        stepped = town.town.devices[0].serial
        town.control.fault(serial=stepped, name="clock_step", on=True)
        collect(database, head_end, town, INSIDE)
        careful = open_head_end(database, settings=replace(head_end.settings, clock_limit_s=300))

        assert synchronise(database, careful, town, INSIDE + timedelta(minutes=2)) == 0
        assert [row.outcome for row in logged(database)] == [ClockDeed.TOO_FAR]
        assert stepped in drifts(database)

    def test_is_the_gates_work_where_the_head_end_holds_no_key_that_commands(
        self, tmp_path: Path, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        stepped, now = town.town.devices[1].serial, INSIDE + timedelta(minutes=2)
        town.control.fault(serial=stepped, name="clock_step", on=True)
        collect(database, head_end, town, INSIDE)
        keys = operations.read_keys_file(
            simulator.keys_json(town=town.town, host="127.0.0.1", port=town.port)
        )
        with GateProcess(tmp_path / "gate", keys=keys, now=now) as gate:
            parted = open_head_end(database, settings=replace(head_end.settings, gate_socket=gate.socket))

            assert synchronise(database, parted, town, now) == 1
            gate.kill()
            assert synchronise(database, parted, town, now + DAY) == 0

        away, done = (row.outcome for row in logged(database))
        assert (away, done) in ((GateAway.code, ClockDeed.SET), (GateAway.code, ClockDeed.SET_ACROSS))
        collect(database, head_end, town, INSIDE + 2 * DAY)
        assert drifts(database) == {}

    def test_logs_a_meter_that_is_silent(self, database: Database, head_end: HeadEnd, town: TownProcess):
        assert town.town is not None
        stepped = town.town.devices[3].serial
        town.control.fault(serial=stepped, name="clock_step", on=True)
        collect(database, head_end, town, INSIDE)
        town.control.fault(serial=stepped, name="silent", on=True)

        assert synchronise(database, head_end, town, INSIDE + timedelta(minutes=2)) == 0
        (row,) = logged(database)
        assert row.outcome.startswith("headend.")
        assert row.drift_s is None
