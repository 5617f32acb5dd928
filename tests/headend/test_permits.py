"""Whose session goes first, and who waits for whom."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bijlighar.headend.errors import TooLate
from bijlighar.headend.meter_day import Task
from bijlighar.headend.model import Lane
from bijlighar.headend.permits import Permits
from bijlighar.headend.rules import Owed
from bijlighar.headend.schedule import spread


def permits(*, places: int = 1, urgent_places: int = 0, gateway_places: int = 1) -> Permits:
    return Permits(places=places, urgent_places=urgent_places, gateway_places=gateway_places)


class Order:
    """Starts sessions that note when they are let in."""

    def __init__(self, pool: Permits) -> None:
        self.pool = pool
        self.let_in: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def _session(self, name: str, gateway: str | None, lane: Lane, failures: int) -> None:
        async with self.pool.hold(meter=name, gateway=gateway, lane=lane, failures=failures):
            self.let_in.append(name)
            await asyncio.sleep(0)

    def start(
        self, name: str, *, gateway: str | None = None, lane: Lane = Lane.SCHEDULED, failures: int = 0
    ) -> None:
        self.tasks.append(asyncio.create_task(self._session(name, gateway, lane, failures)))

    async def end(self) -> list[str]:
        await asyncio.gather(*self.tasks)
        return self.let_in


class TestHold:
    def test_lets_in_by_lane_then_by_failures_then_by_turn(self):
        async def scenario() -> list[str]:
            pool = permits()
            order = Order(pool)
            async with pool.hold(meter="X", gateway=None, lane=Lane.SCHEDULED):
                order.start("bulk", lane=Lane.BULK)
                order.start("dead", failures=9)
                order.start("first")
                order.start("second")
                order.start("asked", lane=Lane.ON_DEMAND, failures=20)
                order.start("relay", lane=Lane.RELAY)
                await asyncio.sleep(0.01)
                assert order.let_in == []
            return await order.end()

        assert asyncio.run(scenario()) == ["relay", "asked", "first", "second", "dead", "bulk"]

    def test_keeps_places_free_for_relays_and_people(self):
        async def scenario() -> tuple[list[str], int]:
            pool = permits(places=2, urgent_places=2)
            order = Order(pool)
            async with AsyncExitStack() as stack:
                for name in ("A", "B"):
                    await stack.enter_async_context(pool.hold(meter=name, gateway=None, lane=Lane.SCHEDULED))
                order.start("scheduled")
                order.start("relay", lane=Lane.RELAY)
                order.start("asked", lane=Lane.ON_DEMAND)
                await asyncio.sleep(0.01)
                early = list(order.let_in)
            await order.end()
            return early, pool.held

        assert asyncio.run(scenario()) == (["relay", "asked"], 0)

    def test_lets_one_session_at_a_time_speak_with_a_meter_even_a_relay(self):
        async def scenario() -> tuple[list[str], list[str]]:
            pool = permits(places=5, urgent_places=5)
            order = Order(pool)
            async with pool.hold(meter="M", gateway=None, lane=Lane.SCHEDULED):
                order.start("M", lane=Lane.RELAY)
                order.start("N")
                await asyncio.sleep(0.01)
                early = list(order.let_in)
            return early, await order.end()

        assert asyncio.run(scenario()) == (["N"], ["N", "M"])

    def test_holds_nobody_back_who_does_not_share_the_gateway(self):
        async def scenario() -> tuple[list[str], list[str]]:
            pool = permits(places=10, urgent_places=1, gateway_places=1)
            order = Order(pool)
            async with pool.hold(meter="A", gateway="G", lane=Lane.SCHEDULED):
                order.start("behind", gateway="G")
                order.start("elsewhere", gateway="H")
                order.start("relay", gateway="G", lane=Lane.RELAY)
                await asyncio.sleep(0.01)
                early = list(order.let_in)
            return early, await order.end()

        early, whole = asyncio.run(scenario())
        assert sorted(early) == ["elsewhere", "relay"]
        assert whole[-1] == "behind"

    def test_refuses_what_is_of_no_use_any_more_also_where_a_place_is_free(self):
        async def scenario() -> None:
            async with permits().hold(meter="A", gateway=None, lane=Lane.ON_DEMAND, wait_s=-0.001):
                pytest.fail("it was let in")

        with pytest.raises(TooLate, match="nothing was sent"):
            asyncio.run(scenario())

    def test_refuses_who_waited_in_vain_and_forgets_it(self):
        async def scenario() -> int:
            pool = permits()
            async with pool.hold(meter="A", gateway="G", lane=Lane.SCHEDULED):
                with pytest.raises(TooLate):
                    async with pool.hold(meter="B", gateway="G", lane=Lane.RELAY, wait_s=0.01):
                        pytest.fail("it was let in")
            async with pool.hold(meter="B", gateway="G", lane=Lane.SCHEDULED, wait_s=1.0):
                return pool.held

        assert asyncio.run(scenario()) == 1

    @pytest.mark.parametrize("moment", range(4))
    def test_gives_a_place_back_that_somebody_cancelled_had_got(self, moment: int):
        async def scenario() -> int:
            pool = permits()
            order = Order(pool)
            async with pool.hold(meter="A", gateway=None, lane=Lane.SCHEDULED):
                order.start("cancelled")
                await asyncio.sleep(0)
            for _ in range(moment):
                await asyncio.sleep(0)
            order.tasks[0].cancel()
            await asyncio.gather(*order.tasks, return_exceptions=True)
            async with pool.hold(meter="B", gateway=None, lane=Lane.SCHEDULED, wait_s=1.0):
                return pool.held

        assert asyncio.run(scenario()) == 1


class TestSpread:
    def test_takes_those_behind_one_gateway_a_few_at_a_time(self):
        owed = Owed(first=1, last=1)
        tasks = [Task(meter=f"G{n}", url="", gateway="G", owed=owed, known=None) for n in range(5)]
        tasks += [Task(meter=f"H{n}", url="", gateway="H", owed=owed, known=None) for n in range(2)]
        tasks += [Task(meter="N", url="", gateway=None, owed=owed, known=None)]

        found = [task.meter for task in spread(tasks, at_once=2)]

        assert found == ["G0", "G1", "H0", "H1", "N", "G2", "G3", "G4"]
