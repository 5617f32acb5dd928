"""A simulated town whose modems call in, in its own process: what is stored equals the meters' own truth."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.dlms import push
from bijlighar.dlms.event import DataNotification
from bijlighar.dlms.security import Security
from bijlighar.headend import operations, queries
from bijlighar.headend.call_in_exchange import CallInExchange
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.listener import PushListener
from bijlighar.headend.model import CollectReport
from bijlighar.headend.registration import read_registration
from bijlighar.readings import queries as readings
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Town
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.gate_worker import StillClock
from tests.headend.orders import KEY_ENCRYPTION_KEY
from tests.headend.test_listener import counts
from tests.headend.test_simulated_town import AFTER, DAYS, check_energy
from tests.simulator.towns import FIRST_DAY, MIDNIGHT, TownProcess, a_town, free_ports

PER_MODEM = 5
#: A modem that found nobody comes again within so long [s].
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def plan() -> Town:
    return a_town(meters=20)


@pytest.fixture
def port() -> int:
    return free_ports(2)


@pytest.fixture
def town(tmp_path: Path, database: Database, plan: Town, port: int) -> Iterator[TownProcess]:
    """A running town of modems that the registry and the key store know."""
    options = ("--call-in", f"127.0.0.1:{port}", "--per-modem", str(PER_MODEM))
    with TownProcess(tmp_path, *options, town=plan) as process:
        text = simulator.registry_csv(town=plan, host="", port=0, per_modem=PER_MODEM)
        keys = operations.read_keys_file(simulator.keys_json(town=plan, host="", port=0, per_modem=PER_MODEM))
        with database.write() as connection:
            registry.import_network(connection, text=simulator.network_csv(town=plan))
            registry.import_registry(connection, text=text, now=MIDNIGHT)
            operations.store_keys(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=MIDNIGHT)
        yield process


class TestTown:
    def test_is_read_whole_over_its_modems(
        self, database: Database, tmp_path: Path, town: TownProcess, plan: Town, port: int
    ):
        settings = replace(FAST, call_in_socket=str(tmp_path / "call-in.sock"), answer_timeout_s=2.0)
        head_end = open_head_end(database, settings=settings)
        now = MIDNIGHT + timedelta(days=DAYS) + AFTER
        town.control.set_time(now)

        report, modems = asyncio.run(
            collect(database, head_end, port=port, now_clock=StillClock(now), town=plan)
        )

        quiet = {silence.serial for silence in plan.silences}
        assert report.failed <= len(quiet)
        assert report.sessions - report.failed >= 15
        assert check_energy(
            database, town.control.truth(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1)), days=DAYS
        ) > 15 * 48 * (DAYS - 1)
        assert modems == {f"GW-{place + 1:05d}" for place in range(len(modems))}
        with database.read() as connection:
            known = queries.modems(connection)
        assert all(modem.proven_by is not None for modem in known)
        assert {modem.calls for modem in known} == {1}  # one connection each, for all conversations


async def collect(
    database: Database, head_end: HeadEnd, *, port: int, now_clock: StillClock, town: Town
) -> tuple[CollectReport, set[str]]:
    """Let every modem call in, and ask all meters that owe something."""
    exchange = CallInExchange(database=database, head_end=head_end, clock=now_clock)
    await exchange.start(host="127.0.0.1", port=port)
    expected = -(-sum(device.listens is not None for device in town.devices) // PER_MODEM)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(exchange._callers) < expected:  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.05)
        report = await operations.collect_due(database, now=now_clock.now(), head_end=head_end)
        return report, set(exchange._callers)
    finally:
        await exchange.close()


class TestModem:
    def test_names_itself_and_its_meters_and_comes_again_when_it_is_hung_up_on(
        self, town: TownProcess, plan: Town, port: int
    ):
        heard: dict[str, int] = {}

        async def listen() -> None:
            again = asyncio.Event()

            async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                header = await reader.readexactly(8)
                frame = header + await reader.readexactly(int.from_bytes(header[6:], "big"))
                writer.transport.abort()
                receiver = push.Receiver(security_for=lambda _title: Security())
                receiver.receive_data(frame)
                event = receiver.next_event()
                assert isinstance(event, push.Pushed)
                assert isinstance(event.notification, DataNotification)
                told = read_registration(event.notification)
                heard[told.device] = heard.get(told.device, 0) + 1
                if told.device == "GW-00001":
                    assert told.facts["meters"].split()[0] == f"1:{first.serial}"
                if len(heard) > 1 and min(heard.values()) > 1:
                    again.set()

            first = next(device for device in plan.devices if device.listens == 0)
            server = await asyncio.start_server(hear, "127.0.0.1", port)
            async with server, asyncio.timeout(PATIENCE_S):
                await again.wait()

        asyncio.run(listen())

        assert min(heard.values()) > 1


class TestPushes:
    def test_over_udp_are_taken_once_each(self, tmp_path: Path, database: Database):
        plan = a_town(meters=5)
        first = free_ports(2)
        head_end = open_head_end(database, settings=FAST)

        async def scenario() -> None:
            clock = StillClock(MIDNIGHT + AFTER)
            listener = PushListener(database=database, head_end=head_end, clock=clock)
            await listener.start(host="127.0.0.1", port=first)
            with TownProcess(tmp_path, town=plan, push=f"udp://127.0.0.1:{first}") as process:
                text = simulator.keys_json(town=plan, host="", port=1)
                with database.write() as connection:
                    operations.store_keys(
                        connection,
                        keys=operations.read_keys_file(text),
                        key_encryption_key=KEY_ENCRYPTION_KEY,
                        now=MIDNIGHT,
                    )
                process.control.set_time(MIDNIGHT + AFTER)
                meters = [device.serial for device in plan.devices if device.smart and not device.in_store]
                for serial in meters[:3]:
                    process.control.tamper(serial=serial, code=201)
                async with asyncio.timeout(PATIENCE_S):
                    while process.control.pushes().sent < len(meters[:3]):  # noqa: ASYNC110 - it sets no event
                        await asyncio.sleep(0.05)
                await asyncio.sleep(0.2)
            await listener.close()

        asyncio.run(scenario())

        assert counts(database) == (3, 6, 0)  # each goes out three times, under counters of its own
        with database.read() as connection:
            found = [event.code for _, event in readings.events(connection, after=0, limit=100)]
        assert found == [201, 201, 201]
