"""The gate speaks with a meter one conversation at a time, so that its counters reach the meter in their order."""

import asyncio
from collections.abc import Iterator

import pytest

from bijlighar.headend.gate_wire import Told
from tests.headend.gated_town import GatedTown, change_of_keys, firmware_order, request_of
from tests.headend.orders import NOW
from tests.headend.test_gate_upkeep import NEW

#: So long [s] somebody is seen to wait who has no turn.
A_WHILE_S = 0.3
CONVERSATIONS = 8


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedTown]:
    with GatedTown(tmp_path_factory.mktemp("turns")) as running:
        yield running


class TestTurns:
    def test_let_the_next_in_when_the_one_before_has_hung_up(self, town: GatedTown):
        first, other = town.serials[:2]

        async def talk() -> tuple[bool, bool]:
            gate = town.gate.gate
            one = await gate.open(serial=first, address=town.address(first), now=NOW)
            waiting = asyncio.create_task(gate.open(serial=first, address=town.address(first), now=NOW))
            beside = await gate.open(serial=other, address=town.address(other), now=NOW)
            await asyncio.sleep(A_WHILE_S)
            waited = not waiting.done()
            one.close()
            two = await waiting
            relay = await two.read_relay()
            two.close()
            beside.close()
            return waited, relay.output_state

        assert asyncio.run(talk()) == (True, True)

    def test_keep_the_counters_of_many_callers_in_order(self, town: GatedTown):
        serial = town.serials[2]
        shown = change_of_keys(serial, "T-1")

        async def read() -> None:
            session = await town.gate.gate.open(serial=serial, address=town.address(serial), now=NOW)
            assert (await session.read_relay()).output_state
            session.close()

        async def change() -> None:
            assert await town.gate.gate.grant(request_of(shown), now=NOW)
            await town.gate.gate.change_keys(order_id="T-1", serial=serial, address=town.address(serial))

        async def all_at_once() -> None:
            await asyncio.gather(change(), *(read() for _ in range(CONVERSATIONS)))

        asyncio.run(all_at_once())

        assert town.town.control.state().replayed == {}

    def test_of_a_relay_come_before_the_rest_of_an_image(self, town: GatedTown):
        serial = town.serials[4]
        shown = firmware_order(serial, "T-2", digest=NEW.digest)
        town.town.control.fault(serial=serial, name="delay", on=True)

        async def talk() -> tuple[bool, bool]:
            gate = town.gate.gate
            assert await gate.grant(request_of(shown), now=NOW)
            sending = asyncio.create_task(
                gate.send_firmware(
                    order_id="T-2",
                    serial=serial,
                    address=town.address(serial),
                    version=NEW.version,
                    image=NEW.octets,
                )
            )
            await asyncio.sleep(A_WHILE_S)
            session = await gate.open(serial=serial, address=town.address(serial), now=NOW)
            is_first, relay = not sending.done(), await session.read_relay()
            session.close()
            town.town.control.fault(serial=serial, name="delay", on=False)
            await sending
            return is_first, relay.output_state

        assert asyncio.run(talk()) == (True, True)
        assert town.town.control.state().replayed == {}

    def test_are_given_back_where_the_meter_does_not_answer(self, town: GatedTown):
        serial = town.serials[3]
        town.town.control.fault(serial=serial, name="wrong_key", on=True)

        async def refused() -> str:
            with pytest.raises(Told) as told:
                await town.gate.gate.open(serial=serial, address=town.address(serial), now=NOW)
            return told.value.code

        assert asyncio.run(refused()) != ""
        town.town.control.fault(serial=serial, name="wrong_key", on=False)

        async def heard() -> bool:
            async with asyncio.timeout(10):
                session = await town.gate.gate.open(serial=serial, address=town.address(serial), now=NOW)
            session.close()
            return True

        assert asyncio.run(heard())
