"""
Who may speak with a meter now: one session a meter, few through a gateway, a limit for all, by lanes.

Whoever waits is let in by lane, then by how often the meter failed, then by who came first; one that must wait for
its own meter or gateway holds back nobody behind it. Relays and people have places that scheduled work cannot take.
"""

import asyncio
from bisect import insort
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from bijlighar.headend.errors import TooLate
from bijlighar.headend.model import Lane

#: A gateway that is a modem which calls in: one conversation at a time.
CALL_IN_SCHEME = "callin://"
#: Lanes that may use the places kept free for them, and one place more through a gateway.
URGENT = frozenset({Lane.RELAY, Lane.ON_DEMAND})


@dataclass(slots=True, kw_only=True, order=True)
class _Waiter:
    lane: Lane
    failures: int
    number: int
    meter: str = field(compare=False)
    gateway: str | None = field(compare=False)
    let_in: "asyncio.Future[None]" = field(compare=False)


class Permits:
    """The places of one event loop; a permit is held for the length of a session."""

    def __init__(self, *, places: int, urgent_places: int, gateway_places: int) -> None:
        """Begin with every place free: `places` for all work, `urgent_places` more for relays and people."""
        self._places = places
        self._urgent_places = urgent_places
        self._gateway_places = gateway_places
        self._numbers = count()
        self._waiting: list[_Waiter] = []
        self._speaking: set[str] = set()
        self._through: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Return how many sessions are on."""
        return len(self._speaking)

    def hold(
        self,
        *,
        meter: str,
        gateway: str | None,
        lane: Lane,
        failures: int = 0,
        wait_s: float | None = None,
    ) -> "Hold":
        """
        Return what waits for a place when it is entered, holds it in the block, and gives it back.

        `failures` is how often the meter failed last; `wait_s` [s] the longest wait that is of use to anybody.
        Entering raises TooLate if the wait was in vain; nothing was sent then.
        """
        waiter = _Waiter(
            lane=lane,
            failures=failures,
            number=next(self._numbers),
            meter=meter,
            gateway=gateway,
            let_in=asyncio.get_running_loop().create_future(),
        )
        return Hold(self, waiter, wait_s=wait_s)

    async def _wait(self, waiter: _Waiter, wait_s: float | None) -> None:
        if wait_s is not None and wait_s < 0:
            raise _late(waiter.meter)
        insort(self._waiting, waiter)
        self._let_in()
        try:
            if wait_s is None:
                await waiter.let_in
            else:
                async with asyncio.timeout(wait_s):
                    await waiter.let_in
        except BaseException as problem:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:
                self._give_back(waiter)  # it was let in at the very moment at which it gave up
            raise (_late(waiter.meter) if isinstance(problem, TimeoutError) else problem) from None

    def _give_back(self, waiter: _Waiter) -> None:
        self._speaking.discard(waiter.meter)
        if waiter.gateway is not None:
            self._through[waiter.gateway] -= 1
            if not self._through[waiter.gateway]:
                del self._through[waiter.gateway]
        self._let_in()

    def _let_in(self) -> None:
        for waiter in list(self._waiting):
            if not waiter.let_in.done() and self._is_free_for(waiter):
                self._waiting.remove(waiter)
                self._speaking.add(waiter.meter)
                if waiter.gateway is not None:
                    self._through[waiter.gateway] += 1
                waiter.let_in.set_result(None)

    def _is_free_for(self, waiter: _Waiter) -> bool:
        is_urgent = waiter.lane in URGENT
        places = self._places + (self._urgent_places if is_urgent else 0)
        if len(self._speaking) >= places or waiter.meter in self._speaking:
            return False
        if waiter.gateway is None:
            return True
        through = 1 if waiter.gateway.startswith(CALL_IN_SCHEME) else self._gateway_places
        return self._through[waiter.gateway] < through + is_urgent


class Hold:
    """One place, waited for, held and given back."""

    __slots__ = ("_permits", "_wait_s", "_waiter")

    def __init__(self, permits: Permits, waiter: _Waiter, *, wait_s: float | None) -> None:
        self._permits = permits
        self._waiter = waiter
        self._wait_s = wait_s

    async def __aenter__(self) -> None:
        await self._permits._wait(self._waiter, self._wait_s)  # noqa: SLF001 - a part of it

    async def __aexit__(self, *_: object) -> None:
        self._permits._give_back(self._waiter)  # noqa: SLF001 - a part of it


def _late(meter: str) -> TooLate:
    return TooLate(f"no place to speak with meter {meter} came free in time; nothing was sent, ask again")
