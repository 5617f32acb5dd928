"""The head-end lives through every fault that the simulator knows, names the meter, and loses nothing true."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.base.period import Period, day_number
from bijlighar.headend import operations, queries
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.model import SESSION_OK, CollectReport, CommandState
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Finding, FindingKind
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Device
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.headend.conftest import FAST
from tests.headend.orders import KEY_ENCRYPTION_KEY, order, signed
from tests.simulator.towns import FIRST_DAY, MIDNIGHT, TownProcess, a_town

AFTER = timedelta(minutes=30)
DAY = timedelta(days=1)
#: Of these a session may or must fail; the code that the log then shows.
FAILING = {
    "silent": {"headend.connection-lost", "headend.unreachable"},
    "mute": {"headend.no-answer"},
    "garbage": {"dlms.malformed", "dlms.truncated", "dlms.too-long", "dlms.remote", "headend.refused"},
    "wrong_key": {"dlms.wrong-key", "dlms.forged", "headend.refused"},
    "drop": {"headend.connection-lost"},
    "power_failure": {"headend.connection-lost", "headend.unreachable"},
    "reboot": {"headend.connection-lost", "headend.unreachable"},
}
#: A session may fail by the luck of the line, but is tried again and may not bring anything untrue.
UNLUCKY = ("lossy_link", "garbled")
LIVING = (
    "stuck_relay",
    "slow_link",
    "delay",
    "counter_jump",
    "clock_drift",
    "clock_step",
    "duplicated_rows",
    "repeated_rows",
    "register_reset",
    "register_rollover",
    "weld",
    "reversed_ct",
    "other_firmware",
)
SHARED = 8


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """SQLite alone: nothing here depends on the database."""
    opened = Database(f"sqlite:///{tmp_path}/faults.sqlite")
    metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def head_end(database: Database) -> HeadEnd:
    return open_head_end(database, settings=replace(FAST, answer_timeout_s=4.0))


@pytest.fixture
def town(tmp_path: Path, database: Database) -> Iterator[TownProcess]:
    plan = a_town(meters=45, stand_alone=True)
    with TownProcess(tmp_path, town=plan) as process, database.write() as connection:
        registry.import_network(connection, text=simulator.network_csv(town=plan))
        text = simulator.registry_csv(town=plan, host="127.0.0.1", port=process.port)
        registry.import_registry(connection, text=text, now=MIDNIGHT)
        keys = operations.read_keys_file(simulator.keys_json(town=plan, host="127.0.0.1", port=process.port))
        operations.store_keys(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=MIDNIGHT)
        connection.commit()
        yield process


def with_relays(process: TownProcess) -> list[Device]:
    assert process.town is not None
    return [device for device in process.town.devices if device.smart and device.kind.has_relay]


def collect(database: Database, head_end: HeadEnd, process: TownProcess, days: float) -> CollectReport:
    now = MIDNIGHT + days * DAY + AFTER
    process.control.set_time(now)
    return asyncio.run(operations.collect_due(database, now=now, head_end=head_end))


def outcome(database: Database, serial: str) -> str:
    with database.read() as connection:
        return queries.sessions(connection, meter=serial, limit=1)[0].outcome


def sent(database: Database, serial: str) -> int:
    """How many octets went to a meter in its last session."""
    with database.read() as connection:
        return queries.sessions(connection, meter=serial, limit=1)[0].octets_out


def found(database: Database, serial: str) -> tuple[Finding, ...]:
    with database.read() as connection:
        return tuple(
            finding
            for finding in readings.findings(
                connection, period=Period.of_local_days(FIRST_DAY, FIRST_DAY + 5 * DAY), meters=[serial]
            )
        )


def untrue(database: Database, process: TownProcess, *, days: int) -> dict[str, int]:
    """How many of each meter's intervals are stored otherwise than the meter measured them, or not at all."""
    truth = process.control.truth(FIRST_DAY, FIRST_DAY + timedelta(days=days - 1))
    first, wrong = day_number(FIRST_DAY), {}
    with database.read() as connection:
        blocks = readings.days(connection, meters=None, first=first, last=first + days - 1)
    stored = {
        (meter, int(day)): (block.channel("wh_import")[row], block.quality[row] != 0)
        for block in blocks
        for row, (meter, day) in enumerate(zip(block.meters, block.days, strict=True))
    }
    for place, serial in enumerate(truth.serials):
        for day in range(days):
            true = truth.registered_wh[place, day * 48 : day * 48 + 48]
            energy, known = stored.get((serial, first + day), (true, true < 0))
            wrong[serial] = wrong.get(serial, 0) + int(((energy != true) | ~known).sum())
    return wrong


class TestCollectDue:
    def test_lives_through_every_fault(self, database: Database, head_end: HeadEnd, town: TownProcess):
        devices = with_relays(town)
        names = (*FAILING, *UNLUCKY, *LIVING)
        broken = {name: devices[number].serial for number, name in enumerate(names)}
        shared = [device.serial for device in devices[len(names) : len(names) + SHARED]]
        healthy = [device.serial for device in devices[len(names) + SHARED :]]
        assert len(healthy) >= 5
        first = collect(database, head_end, town, 1)
        assert first.failed == 0
        for name, serial in broken.items():
            town.control.fault(serial=serial, name=name, on=True)
        for serial in shared:
            town.control.fault(serial=serial, name="shared_modem", on=True)

        collect(database, head_end, town, 2)

        for serial in healthy:
            assert outcome(database, serial) == SESSION_OK
        for name, codes in FAILING.items():
            assert outcome(database, broken[name]) in codes, name
        for name in LIVING:
            assert outcome(database, broken[name]) == SESSION_OK, name
        for tries in range(3):  # a shared modem takes four at a time: the rest is asked again
            collect(database, head_end, town, 2 + 5 * (tries + 1) / 24 + tries / 100)
        for name, serial in broken.items():
            town.control.fault(serial=serial, name=name, on=False)
        for serial in shared:
            town.control.fault(serial=serial, name="shared_modem", on=False)
        collect(database, head_end, town, 3)
        collect(database, head_end, town, 4)  # who failed twice is asked once a day

        wrong = untrue(database, town, days=3)
        assert wrong.pop(broken["repeated_rows"]) > 0  # an untrue value that the meter itself vouches for
        dark = wrong.pop(broken["power_failure"])
        assert dark == 78  # it measured nothing while it was dark, from 00:30 for 39 hours and a bit
        assert {serial: count for serial, count in wrong.items() if count} == {}
        kinds = {each.kind for each in found(database, broken["duplicated_rows"])}
        assert kinds == {FindingKind.DUPLICATE}
        with database.read() as connection:
            drifts = queries.clock_drifts(connection, beyond_s=300)
        assert broken["clock_step"] in drifts

    @pytest.mark.parametrize("fault", ["drop", "mute"])
    def test_asks_singly_whoever_broke_off_and_then_in_one_list_again(
        self, database: Database, head_end: HeadEnd, town: TownProcess, fault: str
    ):
        broken, healthy = (device.serial for device in with_relays(town)[:2])
        collect(database, head_end, town, 1)
        town.control.fault(serial=broken, name=fault, on=True)
        collect(database, head_end, town, 2)
        failed = outcome(database, broken)
        town.control.fault(serial=broken, name=fault, on=False)

        again = collect(database, head_end, town, 2 + 5 / 24)
        singly, together = sent(database, broken), sent(database, healthy)
        collect(database, head_end, town, 3)

        assert failed in FAILING[fault]
        assert again.failed == 0
        assert singly > together  # a request for each profile
        assert sent(database, broken) == sent(database, healthy) == together
        assert untrue(database, town, days=3)[broken] == 0

    def test_believes_a_welded_relay_what_it_tells_and_no_stuck_one(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        stuck, welded = (device.serial for device in with_relays(town)[:2])
        town.control.fault(serial=stuck, name="stuck_relay", on=True)
        town.control.fault(serial=welded, name="weld", on=True)
        now = MIDNIGHT + DAY
        town.control.set_time(now)
        with database.write() as connection:
            for number, serial in enumerate((stuck, welded)):
                one = order(order_id=f"D-{number}", serial=serial, issued_at=now)
                operations.queue_control(connection, signed=signed(one), now=now)

        asyncio.run(operations.run_control_due(database, now=now, wall=now, head_end=head_end))

        with database.read() as connection:
            states = {
                serial: queries.commands_of(connection, serial=serial)[0].state for serial in (stuck, welded)
            }
        assert states[welded] is CommandState.VERIFIED
        assert states[stuck] is not CommandState.VERIFIED
