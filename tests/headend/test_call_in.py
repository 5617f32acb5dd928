"""Modems that call in, over real sockets: who is believed, what a broken talk leaves, and what a flood costs."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.base.period import local_midnight
from bijlighar.headend import call_in_exchange, operations, queries
from bijlighar.headend.call_in_exchange import CallInExchange
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.listener import PushListener
from bijlighar.headend.model import CommandState, ControlAction, HeadEndSettings, Lane
from bijlighar.headend.modem_store import Fact
from bijlighar.headend.modem_store import Modem as KnownModem
from bijlighar.headend.registration import FactKind
from bijlighar.headend.session import open_session
from bijlighar.headend.tcp import parse_url
from bijlighar.storage.engine import Database
from tests.headend.callers import Modem, hang_up_all, registration, until
from tests.headend.conftest import FAST
from tests.headend.gate_process import GateProcess
from tests.headend.gate_worker import StillClock
from tests.headend.meter import Meter
from tests.headend.orders import NOW, meter_keys, order, reconnection, signed
from tests.headend.test_control import command, queue
from tests.headend.test_listener import MAGNET, codes, events
from tests.headend.town import hang

FORGER = "127.0.0.2"
ONE, TWO = "BJ100001", "BJ100002"


@pytest.fixture
def settings(tmp_path: Path) -> HeadEndSettings:
    """A head-end that does not wait long, with a socket for those who want a modem."""
    return replace(
        FAST, call_in_socket=str(tmp_path / "run" / "call-in.sock"), call_in_first_s=1.0, call_in_wait_s=2.0
    )


@pytest.fixture
def head_end(database: Database, settings: HeadEndSettings) -> HeadEnd:
    return open_head_end(database, settings=settings)


class Town:
    """An exchange, and two meters behind the modem GW-1."""

    def __init__(self, database: Database, head_end: HeadEnd) -> None:
        self.database = database
        self.head_end = head_end
        self.meters = {server: Meter(keys=meter_keys(serial)) for server, serial in ((1, ONE), (2, TWO))}
        for server, meter in self.meters.items():
            meter.fill(NOW - timedelta(days=3), local_midnight(NOW.date()))
            hang(
                database,
                serial=meter.keys.serial,
                url=f"callin://GW-1?server={server}",
                keys=[meter.keys],
                from_="2025-06-29T00:00:00+05:30",
            )
        self.modem = Modem("GW-1", self.meters)

    async def __aenter__(self) -> "Town":
        self.pushes = PushListener(database=self.database, head_end=self.head_end, clock=StillClock(NOW))
        await self.pushes.start(host="127.0.0.1", port=None)
        self.exchange = CallInExchange(
            database=self.database, head_end=self.head_end, clock=StillClock(NOW), pushes=self.pushes
        )
        await self.exchange.start(host="127.0.0.1", port=0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await hang_up_all()
        await self.exchange.close()
        await self.pushes.close()

    async def arrives(self, modem: Modem | None = None) -> Modem:
        """Let a modem call in, and wait until it is kept."""
        modem = modem or self.modem
        before = len(self.callers)
        await modem.call(self.exchange.port)
        await until(lambda: len(self.callers) > before)
        await until(lambda: not self.exchange._writing)
        return modem

    @property
    def callers(self) -> list[str]:
        return [one.source for one in self.exchange._callers.get("GW-1", [])]

    async def collect(self) -> tuple[int, int]:
        """How many sessions there were, and how many failed."""
        report = await operations.collect_due(self.database, now=NOW, head_end=self.head_end)
        return report.sessions, report.failed

    def outcomes(self) -> dict[str, str]:
        """The newest outcome of each meter."""
        with self.database.read() as connection:
            return {row.meter: row.outcome for row in reversed(queries.sessions(connection))}

    def due(self) -> int:
        with self.database.read() as connection:
            return queries.pending_collect(connection, now=NOW, settings=self.head_end.settings)

    def known(self) -> KnownModem:
        with self.database.read() as connection:
            (modem,) = queries.modems(connection)
        return modem

    def facts(self, kind: FactKind) -> list[Fact]:
        return [fact for fact in self.known().facts if fact.kind is kind]


def go(town: Town, scenario: Callable[[Town], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with town:
            await scenario(town)

    asyncio.run(whole())


@pytest.fixture
def town(database: Database, head_end: HeadEnd, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(call_in_exchange, "FORWARD_EVERY_S", 0.2)
    return Town(database, head_end)


class TestCollect:
    def test_reads_the_meters_behind_a_modem_that_called_in(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            assert await town.collect() == (2, 0)
            assert town.modem.calls == 1  # one connection for all conversations
            assert town.modem.is_connected

        go(town, scenario)

        assert town.outcomes() == {ONE: "headend.ok", TWO: "headend.ok"}

    def test_fails_at_once_where_the_modem_is_not_there_and_goes_on_when_it_calls(self, town: Town):
        async def scenario(town: Town) -> None:
            started = time.monotonic()
            assert await town.collect() == (2, 2)
            assert time.monotonic() - started < 2.0
            assert town.outcomes() == {ONE: "headend.not-called-in", TWO: "headend.not-called-in"}
            assert town.due() == 0

            await town.arrives()

            assert town.due() == 2
            assert await town.collect() == (2, 0)

        go(town, scenario)

    def test_brings_nothing_forward_that_failed_for_another_reason(self, town: Town):
        async def scenario(town: Town) -> None:
            town.meters[1].mute = True
            await town.arrives()
            assert await town.collect() == (2, 1)
            await town.modem.hang_up()
            await until(lambda: not town.callers)
            await asyncio.sleep(0.3)

            await town.arrives(Modem("GW-1", town.meters))

            assert town.due() == 0

        go(town, scenario)

    def test_says_that_no_exchange_runs(self, town: Town):
        async def scenario() -> None:
            assert await town.collect() == (2, 2)

        asyncio.run(scenario())

        assert set(town.outcomes().values()) == {"headend.call-in-away"}

    def test_lets_one_conversation_at_a_time_through_a_modem(self, town: Town):
        async def scenario(town: Town) -> None:
            async def hold(meter: str) -> None:
                async with town.head_end.permit(meter=meter, gateway="callin://GW-1", lane=Lane.SCHEDULED):
                    await asyncio.sleep(0.05)

            first, second = asyncio.create_task(hold(ONE)), asyncio.create_task(hold(TWO))
            await first

            assert not second.done()
            await second

        go(town, scenario)


class TestTrust:
    def test_comes_with_the_association_and_not_before(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            assert [fact.trusted_at for fact in town.known().facts] == [None] * len(town.known().facts)
            assert (town.known().is_there, town.known().proven_by) == (True, None)

            await town.collect()

            assert town.known().proven_by in (ONE, TWO)
            (imei,) = town.facts(FactKind.IMEI)
            assert imei.value == "356938035643809"
            assert imei.trusted_at is not None
            assert [fact.value for fact in town.facts(FactKind.ADDRESS)] == ["127.0.0.1"]

        go(town, scenario)

        assert not town.known().is_there  # the exchange has closed

    def test_keeps_what_was_true_before_beside_what_is_now(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            await town.collect()
            await town.modem.hang_up()
            await until(lambda: not town.callers)
            await town.arrives(Modem("GW-1", town.meters, source=FORGER, imei="356938035643000"))
            claimed = town.facts(FactKind.IMEI)
            assert [(fact.value, fact.trusted_at is None) for fact in claimed] == [
                ("356938035643000", True),
                ("356938035643809", False),
            ]

            await read_one(town, ONE)

            assert [fact.value for fact in town.facts(FactKind.IMEI) if fact.trusted_at] == [
                "356938035643000",
                "356938035643809",
            ]
            assert [fact.value for fact in town.facts(FactKind.ADDRESS)] == [FORGER, "127.0.0.1"]

        go(town, scenario)

    @pytest.mark.parametrize("lie", ["garbage", "mute", "other keys"])
    def test_is_not_won_by_calling_first(self, town: Town, lie: str):
        stranger = Meter(keys=replace(meter_keys(ONE), ek=b"W" * 16), mute=lie == "mute")

        async def scenario(town: Town) -> None:
            await read_counters(town)
            forger = Modem(
                "GW-1",
                {1: stranger, 2: stranger},
                source=FORGER,
                garbage=lie == "garbage",
                imei="111111111111111",
            )
            await town.arrives(forger)
            await town.arrives()
            assert town.callers == [FORGER, "127.0.0.1"]

            await read_one(town, ONE)

            await until(lambda: town.callers == ["127.0.0.1"] and not forger.is_connected)
            assert town.known().proven_by == ONE

        go(town, scenario)

        assert codes(town.database) == {"headend.claim-refuted": 1}
        trusted = [fact for fact in town.known().facts if fact.trusted_at is not None]
        assert {fact.value for fact in trusted if fact.kind is FactKind.IMEI} == {"356938035643809"}
        assert {fact.value for fact in trusted if fact.kind is FactKind.ADDRESS} == {"127.0.0.1"}

    def test_is_not_lost_to_a_claim(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            await town.collect()
            asked = town.modem.requests
            forger = Modem("GW-1", town.meters, source=FORGER)
            await town.arrives(forger)

            await read_one(town, TWO)

            assert forger.requests == 0
            assert town.modem.requests > asked
            await until(lambda: town.callers == ["127.0.0.1"])

        go(town, scenario)

    def test_goes_over_to_a_new_connection_when_the_old_one_is_dead(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            await town.collect()
            town.modem.keep_late = True  # nothing comes back any more, and nobody has hung up
            again = Modem("GW-1", town.meters, source=FORGER)
            await town.arrives(again)

            await read_one(town, ONE)

            await until(lambda: town.callers == [FORGER])
            assert again.requests

        go(town, scenario)

    def test_is_refused_to_one_that_fails_again_and_again(self, town: Town):
        stranger = Meter(keys=replace(meter_keys(ONE), ek=b"W" * 16))

        async def scenario(town: Town) -> None:
            await read_counters(town)
            forger = await town.arrives(Modem("GW-1", {1: stranger, 2: stranger}, source=FORGER))
            for _ in range(call_in_exchange.FAILURES_MAX):
                with pytest.raises(Exception, match=r".+"):
                    await read_one(town, ONE)
            await until(lambda: not forger.is_connected)

        go(town, scenario)

        assert codes(town.database) == {"headend.claim-refuted": 1}

    def test_is_not_asked_for_by_a_name_that_the_registry_does_not_know(self, town: Town):
        async def scenario(town: Town) -> None:
            stranger = Modem("GW-9", town.meters)
            await stranger.call(town.exchange.port)
            await until(lambda: not stranger.is_connected)

        go(town, scenario)

        assert codes(town.database) == {"headend.unknown-modem": 1}
        with town.database.read() as connection:
            assert queries.modems(connection) == ()

    def test_of_a_name_cannot_be_changed_over_one_connection(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            town.modem.writer.write(registration("GW-2"))
            await until(lambda: not town.modem.is_connected)

        go(town, scenario)

        assert codes(town.database) == {"dlms.unexpected": 1}


async def read_counters(town: Town) -> None:
    """Let the head-end know the counters, so that only sealed conversations follow."""
    await town.arrives()
    await town.collect()
    await town.modem.hang_up()
    await until(lambda: not town.callers)
    with town.database.write() as connection:
        for table in ("headend_modem", "headend_modem_fact"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - two names of our own
    town.modem = Modem("GW-1", town.meters)


async def read_one(town: Town, serial: str) -> None:
    """One conversation as the reading client, ended in good order."""
    head_end = town.head_end
    head_end.load(meters=[serial], client=32)
    head_end.counters.reserve(meters=[serial], client=32)
    session = await open_session(
        address=parse_url(f"callin://GW-1?server={1 if serial == ONE else 2}"),
        client=32,
        security=head_end.security(meter=serial, client=32),
        name=serial,
        settings=head_end.settings,
    )
    try:
        await session.release()
    finally:
        head_end.heard(meter=serial, client=32, counter=session.received_counter)
        session.close()


class TestBrokenConversation:
    @pytest.mark.parametrize("frames", [1, 2, 3, 5])
    def test_ends_with_the_modem_that_drops_in_the_middle_of_an_answer(self, town: Town, frames: int):
        async def scenario(town: Town) -> None:
            await town.arrives()
            town.modem.tear_after = frames
            _, failed = await town.collect()
            assert failed == 2  # the one in mid-answer, and the one that was to follow
            assert "headend.not-called-in" in town.outcomes().values()
            await until(lambda: not town.callers)
            await town.arrives(Modem("GW-1", town.meters))
            await until(lambda: town.due() > 0)

            sessions, failed = await town.collect()
            assert (sessions, failed) == (
                2 if frames == 3 else 1,
                0,
            )  # at 3 the counter was read: only its end tore

        go(town, scenario)

    def test_leaves_no_octet_to_the_next(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            town.modem.keep_late = True
            town.meters[2].mute = False
            with pytest.raises(Exception, match="did not answer"):
                await read_counter(town, server=1)
            town.modem.keep_late = False
            for (
                octets
            ) in town.modem.late:  # the answer comes after all, in the midst of the next conversation
                town.modem.writer.write(octets)

            assert await read_counter(town, server=2) >= 0

            assert town.modem.is_connected
            (caller,) = town.exchange._callers["GW-1"]
            assert caller.strays == 1

        go(town, scenario)

    def test_has_the_modem_hung_up_on_before_the_same_meter_is_asked_again(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            town.modem.keep_late = True
            with pytest.raises(Exception, match="did not answer"):
                await read_counter(town, server=1)
            town.modem.keep_late = False

            with pytest.raises(Exception, match="hung up on"):
                await read_counter(town, server=1)

            await until(lambda: not town.modem.is_connected)
            await town.arrives(Modem("GW-1", town.meters))
            assert await read_counter(town, server=1) >= 0

        go(town, scenario)

    def test_of_a_client_that_dies_frees_the_modem_for_the_next(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            town.meters[1].mute = True
            first = asyncio.create_task(read_counter(town, server=1))
            await until(lambda: town.modem.requests == 1)
            second = asyncio.create_task(read_counter(town, server=2))
            await asyncio.sleep(0.05)
            assert not second.done()  # it waits for its turn

            first.cancel()

            assert await second >= 0

        go(town, scenario)

    def test_waits_for_its_turn_no_longer_than_it_is_of_use(self, town: Town):
        town.head_end.settings = replace(town.head_end.settings, call_in_wait_s=0.1, answer_timeout_s=5.0)

        async def scenario(town: Town) -> None:
            await town.arrives()
            town.meters[1].mute = True
            first = asyncio.create_task(read_counter(town, server=1))
            await until(lambda: town.modem.requests == 1)

            with pytest.raises(Exception, match="spoken through by others"):
                await read_counter(town, server=2)

            first.cancel()

        go(town, scenario)

    def test_ends_when_the_exchange_does(self, town: Town):
        async def scenario() -> None:
            async with town:
                await town.arrives()
                town.meters[1].mute = True
                town.head_end.settings = replace(town.head_end.settings, answer_timeout_s=60.0)
                talk = asyncio.create_task(read_counter(town, server=1))
                await until(lambda: town.modem.requests == 1)
            with pytest.raises(Exception, match=r"closed the connection|hung up"):
                await asyncio.wait_for(talk, 2)

        asyncio.run(scenario())


async def read_counter(town: Town, *, server: int) -> int:
    from bijlighar.headend.contact import read_counter as read

    return await read(
        address=parse_url(f"callin://GW-1?server={server}"),
        client=32,
        name="it",
        settings=town.head_end.settings,
    )


class TestFlood:
    def test_of_connections_that_say_nothing_keeps_no_modem_out(self, town: Town):
        async def scenario(town: Town) -> None:
            silent = [
                await asyncio.open_connection("127.0.0.1", town.exchange.port, local_addr=(FORGER, 0))
                for _ in range(200)
            ]
            await until(lambda: len(town.exchange._unnamed) <= call_in_exchange.UNNAMED_PER_SOURCE)
            await town.arrives()
            assert await town.collect() == (2, 0)
            await asyncio.sleep(1.1)  # their time is over
            await until(lambda: not town.exchange._unnamed)
            assert town.exchange._open == 1
            for _, writer in silent:
                writer.close()

        go(town, scenario)

        found = codes(town.database)
        assert found["headend.call-in-crowded"] == 200 - call_in_exchange.UNNAMED_PER_SOURCE
        assert found["headend.call-in-no-name"] == call_in_exchange.UNNAMED_PER_SOURCE

    def test_that_drips_octets_is_cut_off_in_time(self, town: Town):
        async def scenario(town: Town) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", town.exchange.port)
            started = time.monotonic()
            with contextlib.suppress(OSError):
                for octet in registration("GW-1"):
                    writer.write(bytes((octet,)))
                    await asyncio.sleep(0.1)
                    if reader.at_eof():
                        break
            assert time.monotonic() - started < 3
            writer.close()

        go(town, scenario)

        assert codes(town.database) == {"headend.call-in-no-name": 1}

    @pytest.mark.parametrize(
        "octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x01\x00\x01\x00\x40\xff\xff", bytes(64)]
    )
    def test_of_garbage_is_hung_up_on_and_counted(self, town: Town, octets: bytes):
        async def scenario(town: Town) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", town.exchange.port)
            writer.write(octets)
            with contextlib.suppress(OSError):
                assert await reader.read() == b""
            writer.close()

        go(town, scenario)

        assert sum(codes(town.database).values()) == 1

    def test_from_one_address_is_bounded(self, town: Town):
        town.head_end.settings = replace(town.head_end.settings, call_in_per_source=3)

        async def scenario(town: Town) -> None:
            kept = [await asyncio.open_connection("127.0.0.1", town.exchange.port) for _ in range(5)]
            await until(lambda: town.exchange._open == 3)
            await asyncio.sleep(0.05)
            assert town.exchange._open == 3
            for _, writer in kept:
                writer.close()

        go(town, scenario)

        assert codes(town.database)["headend.call-in-crowded"] == 2

    def test_of_claims_from_one_address_is_bounded(self, town: Town):
        town.head_end.settings = replace(town.head_end.settings, call_in_per_source=5)

        async def scenario(town: Town) -> None:
            for _ in range(8):
                forger = Modem("GW-1", {}, source=FORGER)
                await forger.call(town.exchange.port)
                await until(lambda forger=forger: bool(town.callers) or not forger.is_connected)
                await forger.hang_up()
                await until(lambda: not town.callers)
            await town.arrives()
            assert await town.collect() == (2, 0)

        go(town, scenario)

        assert codes(town.database) == {"headend.call-in-crowded": 3}
        assert town.known().calls == 6

    def test_of_claims_of_one_name_keeps_a_few(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            await town.collect()
            for place in range(20):
                forger = Modem("GW-1", {}, source=f"127.0.1.{place + 1}")
                await forger.call(town.exchange.port)
                await until(lambda forger=forger: forger.source in town.callers)
            assert len(town.callers) <= call_in_exchange.CALLERS_PER_NAME_MAX
            assert "127.0.0.1" in town.callers
            assert town.modem.is_connected
            await read_one(town, ONE)
            await until(lambda: town.callers == ["127.0.0.1"])

        go(town, scenario)

        assert len(town.known().facts) <= 2 * len(FactKind)
        with town.database.read() as connection:
            held = queries.quarantined(connection)
        assert {(one.code, one.count) for one in held} == {("headend.claim-refuted", 1)}
        assert len(held) == 20


class TestPush:
    def test_over_a_modem_becomes_an_event(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            town.modem.writer.write(town.meters[2].alert((MAGNET,), NOW))
            await until(lambda: bool(events(town.database)))
            assert town.modem.is_connected

        go(town, scenario)

        (event,) = events(town.database)
        assert (event.meter, event.code) == (TWO, 201)

    def test_in_mid_conversation_does_not_disturb_it(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            plain = Modem.send
            frames = [town.meters[1].alert((MAGNET,), NOW)]

            def send(octets: bytes) -> None:
                if frames:
                    town.modem.writer.write(frames.pop())
                plain(town.modem, octets)

            town.modem.send = send  # type: ignore[method-assign]
            assert await town.collect() == (2, 0)
            await until(lambda: bool(events(town.database)))

        go(town, scenario)

        assert [event.code for event in events(town.database)] == [201]

    def test_forged_over_a_modem_is_counted_and_the_modem_stays(self, town: Town):
        async def scenario(town: Town) -> None:
            await town.arrives()
            frame = town.meters[2].alert((MAGNET,), NOW)
            town.modem.writer.write(frame[:-1] + bytes((frame[-1] ^ 1,)))
            await until(lambda: bool(codes(town.database)))
            assert town.modem.is_connected
            assert await town.collect() == (2, 0)

        go(town, scenario)

        assert codes(town.database) == {"dlms.forged": 1}
        assert events(town.database) == []


class TestRelay:
    def test_is_closed_as_soon_as_the_modem_calls(self, town: Town):
        """Who has paid does not wait for the pause after a try in vain; a disconnection does."""
        town.meters[2].closed, town.meters[2].control_state = False, 0
        queue(town.database, signed(reconnection(serial=TWO)))
        queue(town.database, signed(order(serial=ONE)))

        async def tick(town: Town) -> None:
            await operations.run_control_due(town.database, now=NOW, wall=NOW, head_end=town.head_end)

        async def scenario(town: Town) -> None:
            await tick(town)
            assert command(town.database, "R-1").state is CommandState.REQUESTED

            await town.arrives()
            await tick(town)

        go(town, scenario)

        assert town.meters[2].actions == ["reconnect"]
        assert command(town.database, "R-1").state is CommandState.VERIFIED
        assert town.meters[1].actions == []

    def test_is_opened_by_the_gate_over_a_modem(self, town: Town, tmp_path: Path):
        """The gate's own process asks the exchange for the modem, and reads the relay back over it."""
        settings = town.head_end.settings
        keys = [meter.keys for meter in town.meters.values()]
        gate = GateProcess(tmp_path / "gate", keys=keys, call_in=settings.call_in_socket)
        with gate:
            town.head_end.settings = replace(settings, gate_socket=gate.socket)
            queue(town.database, signed(order(serial=TWO)))

            async def scenario(town: Town) -> None:
                await town.arrives()
                await operations.run_control_due(town.database, now=NOW, wall=NOW, head_end=town.head_end)

            go(town, scenario)

        assert town.meters[2].actions == [ControlAction.DISCONNECT.value]
        assert town.meters[1].actions == []
        assert command(town.database).state is CommandState.VERIFIED
        assert town.known().proven_by == TWO

    def test_is_not_touched_where_the_modem_is_not_there(self, town: Town):
        queue(town.database, signed(order(serial=TWO)))

        async def scenario(town: Town) -> None:
            await operations.run_control_due(town.database, now=NOW, wall=NOW, head_end=town.head_end)

        go(town, scenario)

        assert town.meters[2].actions == []
        assert command(town.database).state is CommandState.REQUESTED

    def test_of_an_open_order_is_doubtful_when_the_modem_drops_after_it(self, town: Town):
        queue(town.database, signed(order(serial=TWO)))
        town.meters[2].die_after_action = True

        async def scenario(town: Town) -> None:
            await town.arrives()
            await operations.run_control_due(town.database, now=NOW, wall=NOW, head_end=town.head_end)

        go(town, scenario)

        assert town.meters[2].actions == ["disconnect"]
        assert command(town.database).state is CommandState.UNKNOWN
