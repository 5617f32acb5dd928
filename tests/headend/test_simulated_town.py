"""The head-end against a simulated town in its own process: what is stored equals the meters' own truth."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bijlighar.base.period import Month, day_number, local_midnight
from bijlighar.headend import operations, queries
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.listener import PushListener
from bijlighar.headend.model import CommandState
from bijlighar.readings import queries as readings
from bijlighar.readings.model import RegisterKind
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Town, Truth
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.orders import KEY_ENCRYPTION_KEY, order, reconnection, signed
from tests.headend.test_listener import StillClock
from tests.simulator.towns import FIRST_DAY, MIDNIGHT, TownProcess, a_town, free_ports, relay_meter

DAYS = 5
#: After midnight, when the day before is due.
AFTER = timedelta(minutes=30)


@pytest.fixture
def town(tmp_path: Path, database: Database) -> Iterator[TownProcess]:
    """A running town that the registry and the key store know."""
    plan = a_town(meters=20)
    push = f"127.0.0.1:{free_ports(60) + 59}"
    with TownProcess(tmp_path, town=plan, push=push) as process:
        process.push = push  # type: ignore[attr-defined]
        with database.write() as connection:
            registry.import_network(connection, text=simulator.network_csv(town=plan))
            text = simulator.registry_csv(town=plan, host="127.0.0.1", port=process.port)
            registry.import_registry(connection, text=text, now=MIDNIGHT)
            keys = operations.read_keys_file(
                simulator.keys_json(town=plan, host="127.0.0.1", port=process.port)
            )
            operations.store_keys(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=MIDNIGHT)
        yield process


def collect(database: Database, head_end: HeadEnd, process: TownProcess, now: datetime) -> int:
    process.control.set_time(now)
    report = asyncio.run(operations.collect_due(database, now=now, head_end=head_end))
    with database.read() as connection:
        assert queries.pending_collect(connection, now=now, settings=head_end.settings) == 0
    return report.failed


def check_energy(database: Database, truth: Truth, *, days: int) -> int:
    """Compare every stored interval with the meter's truth, and return how many there are."""
    index = {serial: row for row, serial in enumerate(truth.serials)}
    compared = 0
    first = day_number(FIRST_DAY)
    with database.read() as connection:
        blocks = readings.days(connection, meters=None, first=first, last=first + days - 1)
    for block in blocks:
        energy = block.channel("wh_import")
        for row, meter in enumerate(block.meters):
            at = (int(block.days[row]) - first) * 48
            true = truth.registered_wh[index[meter], at : at + 48]
            stored = block.quality[row] != 0
            assert (energy[row][stored] == true[stored]).all(), meter
            compared += int(stored.sum())
    return compared


class TestCollectDue:
    def test_stores_what_the_meters_have_registered(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        failed = 0
        for day in range(1, DAYS + 1):
            failed += collect(database, head_end, town, MIDNIGHT + timedelta(days=day) + AFTER)
            if day == 3:
                town.kill()
                town.start()
                head_end = open_head_end(database, settings=FAST)
        truth = town.control.truth(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1))

        compared = check_energy(database, truth, days=DAYS)

        plan: Town | None = town.town
        assert plan is not None
        smart = [device for device in plan.devices if device.listens is not None and not device.in_store]
        assert failed > 0  # some are silent by the plan
        assert compared >= 0.7 * len(smart) * DAYS * 48

    def test_stores_daily_and_billing_registers(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        first_of_may = local_midnight(Month.of(FIRST_DAY).next.first)
        collect(database, head_end, town, first_of_may + AFTER)
        true = town.control.registers(first_of_may)

        with database.read() as connection:
            shots = readings.registers(connection)

        for kind in (RegisterKind.DAILY, RegisterKind.BILLING):
            found = {
                shot.meter: shot.wh_import for shot in shots if shot.kind is kind and shot.at == first_of_may
            }
            assert found
            for meter, wh in found.items():
                assert wh is not None
                assert abs(wh - true[meter]) < 10, (kind, meter)

    def test_notes_events_once_whether_pushed_or_logged(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        serial = relay_meter(town.town).serial

        async def listen_to_a_tamper() -> None:
            host, _, port = town.push.rpartition(":")  # type: ignore[attr-defined]
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            await listener.start(host=host, port=int(port))
            await asyncio.to_thread(town.control.set_time, MIDNIGHT + timedelta(hours=10))
            await asyncio.to_thread(town.control.tamper, serial=serial, code=201)
            async with asyncio.timeout(20):
                while (await asyncio.to_thread(town.control.pushes)).pending:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await listener.close()

        asyncio.run(listen_to_a_tamper())
        with database.read() as connection:
            pushed = [event for _, event in readings.events(connection, after=0, limit=100)]
            assert queries.notifications_received(connection) == town.control.pushes().sent
        collect(database, head_end, town, MIDNIGHT + timedelta(days=1) + AFTER)
        with database.read() as connection:
            later = [event for _, event in readings.events(connection, after=0, limit=1000)]

        assert [(event.meter, event.code, event.origin) for event in pushed] == [(serial, 201, "push")]
        magnets = [event for event in later if (event.meter, event.code) == (serial, 201)]
        assert len(magnets) == 1


class TestRunControlDue:
    def test_opens_and_closes_a_relay_as_the_town_confirms(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        serial = relay_meter(town.town).serial
        now = MIDNIGHT + timedelta(hours=10)
        town.control.set_time(now)
        span = {"serial": serial, "issued_at": now, "expires_at": now + timedelta(hours=6)}
        states = []
        for shown, closed in ((order(**span), False), (reconnection(**span), True)):
            with database.write() as connection:
                operations.queue_control(connection, signed=signed(shown), now=now)
            asyncio.run(operations.run_control_due(database, now=now, wall=now, head_end=head_end))
            with database.read() as connection:
                command = queries.control_command(connection, order_id=shown.order_id)
            assert command is not None
            states.append(command.state)
            assert town.control.relays().closed[serial] is closed

        assert states == [CommandState.VERIFIED, CommandState.VERIFIED]
        assert [act.action for act in town.control.relays().acts if act.serial == serial] == [
            "disconnect",
            "reconnect",
        ]
        with database.read() as connection:
            assert queries.relay_belief(connection)[serial] is True


def test_truth_has_a_row_for_each_meter(town: TownProcess):
    town.control.set_time(MIDNIGHT + timedelta(days=1))
    truth = town.control.truth(FIRST_DAY, FIRST_DAY)

    assert truth.registered_wh.shape == (len(truth.serials), 48)
    assert np.all(truth.registered_wh >= 0)
