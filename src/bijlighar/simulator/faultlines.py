"""What stands between a meter and its client: slow, late, lossy and garbled lines, reboots, modems, gateways."""

import asyncio
from collections import deque

import numpy as np

from bijlighar.simulator.livetown import LiveTown

#: A slow link gives so many octets at once, so often [s]: about 1,200 octets a second, like GPRS.
SLOW_OCTETS, SLOW_PAUSE_S = 60, 0.05
#: What an answer takes more on a line with delay [s].
DELAY_S = 0.15
#: The share of answers that never come on a lossy line, and of those that come garbled.
LOST_SHARE, GARBLED_SHARE = 0.1, 0.3
#: A meter that reboots hangs up after its first answer and is away for so long [s].
ANSWERS_BEFORE_REBOOT, AWAY_S = 1, 1.0
#: The connections that one modem holds for all meters behind it.
MODEM_CONNECTIONS = 4
#: What an answer takes more through a gateway [s], what the gateway carries for all meters behind it [octets/s], and
#: the connections that it holds; the next one is reset.
GATEWAY_DELAY_S, GATEWAY_OCTETS_PER_S, GATEWAY_CONNECTIONS = 0.15, 20_000, 8
#: A timer may come so much early [s].
SOON_S = 0.002
_STREAM_OF_LINES = 16


class Gateway:
    """What the meters behind one gateway share; `connections` are those that it holds."""

    __slots__ = ("_free_at", "connections")

    def __init__(self) -> None:
        """Begin with nothing to carry."""
        self.connections = 0
        self._free_at = 0.0

    @property
    def is_full(self) -> bool:
        """Return whether it holds all the connections that it can."""
        return self.connections >= GATEWAY_CONNECTIONS

    def carry(self, octets: int, *, now: float) -> float:
        """Carry an answer after those before it, and return when it is there [s of the event loop]."""
        self._free_at = max(now, self._free_at) + octets / GATEWAY_OCTETS_PER_S
        return self._free_at + GATEWAY_DELAY_S


class Line:
    """The way of one connection's answers to the client."""

    def __init__(
        self,
        live: LiveTown,
        device: int,
        transport: asyncio.Transport,
        *,
        number: int,
        gateway: Gateway | None = None,
    ) -> None:
        """Be the line of the `number`-th connection to a meter; its luck is drawn from the town's seed."""
        self._live = live
        self._device = device
        self._transport = transport
        self._gateway = gateway
        self._draw = np.random.default_rng([live.town.seed, _STREAM_OF_LINES, device, number])
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._is_pumping = False
        self._is_ending = False
        self.answers = 0

    def write(self, out: bytes) -> None:
        """Send an answer as this line carries it."""
        if not out:
            return
        self.answers += 1
        if self._has("lossy_link") and self._draw.random() < LOST_SHARE:
            return
        if self._has("garbled") and self._draw.random() < GARBLED_SHARE:
            out = self._garbled(out)
        if not (self._gateway or self._has("delay") or self._has("slow_link") or self._waiting):
            self._transport.write(out)
            return
        at = now = self._loop.time()
        if self._gateway is not None:
            at = self._gateway.carry(len(out), now=now)
        at = max(at, self._free_at) + (DELAY_S if self._has("delay") else 0.0)
        size = SLOW_OCTETS if self._has("slow_link") else len(out)
        for begin in range(0, len(out), size):
            self._waiting.append((at, out[begin : begin + size]))
            at += SLOW_PAUSE_S if self._has("slow_link") else 0.0
        self._free_at = at
        if not self._is_pumping:
            self._is_pumping = True
            self._loop.call_at(self._waiting[0][0], self._pump)

    def close(self) -> None:
        """Close the connection after what is still on its way."""
        if self._is_pumping:
            self._is_ending = True
        else:
            self._transport.close()

    @property
    def has_rebooted(self) -> bool:
        """Return whether the meter goes away now."""
        return self._has("reboot") and self.answers >= ANSWERS_BEFORE_REBOOT

    def _has(self, name: str) -> bool:
        return self._live.has_fault(self._device, name)

    def _garbled(self, out: bytes) -> bytes:
        octets = bytearray(out)
        octets[int(self._draw.integers(len(octets)))] ^= 1 << int(self._draw.integers(8))
        return bytes(octets)

    def _pump(self) -> None:
        """Send what its time has come for, in order, and come again for the rest."""
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now + SOON_S:
            _, out = self._waiting.popleft()
            if not self._transport.is_closing():
                self._transport.write(out)
        self._is_pumping = bool(self._waiting)
        if self._is_pumping:
            self._loop.call_at(self._waiting[0][0], self._pump)
        elif self._is_ending:
            self._transport.close()
