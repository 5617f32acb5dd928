"""
Modems that call in: each opens one connection to the head-end, names itself, and carries what is asked of its meters.

Meter k behind a modem is the logical device k. The modem passes frames by their addresses and comes again after a
pause that doubles, whoever hung up.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from bijlighar.base.period import moment_of
from bijlighar.dlms import axdr, clock, push, wrapper
from bijlighar.dlms.acse import AARQ
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import DataNotification
from bijlighar.dlms.obis import Obis
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.papers import gateway_of
from bijlighar.simulator.server import MeterConnection, Meters

REGISTRATION_SETUP = Obis.parse("0.130.25.9.0.255")
#: The first pause before a modem calls again and the longest [s]; a call that lasted WELL_AFTER_S was well.
PAUSE_FIRST_S, PAUSE_LONGEST_S, WELL_AFTER_S = 0.5, 60.0, 30.0
CONNECT_S = 10.0
#: How often a modem says that it is still there [s].
HEARTBEAT_S = 60.0
READ_OCTETS = 65_536
FRAME_OCTETS_MAX = 65_535
LENGTH_OCTETS = 2
_STREAM_OF_MODEMS = 17


class Modem:
    """One modem, and the meters behind it by their logical device."""

    def __init__(
        self, meters: Meters, *, name: str, behind: Mapping[int, int], target: tuple[str, int]
    ) -> None:
        """Be the modem `name` before the meters with the indices `behind`; it calls `target`."""
        self._meters = meters
        self._live: LiveTown = meters.live
        self.name = name
        self._behind = behind
        self._target = target
        self._draw = np.random.default_rng([self._live.town.seed, _STREAM_OF_MODEMS, min(behind.values())])
        self._imei = f"35{self._draw.integers(10**12, 10**13)}"
        self._sim = f"8991{self._draw.integers(10**14, 10**15)}"
        self._calls = 0
        self._heard: dict[tuple[int, int], MeterConnection] = {}

    async def run(self) -> None:
        """Call, and call again, for ever."""
        pause_s = PAUSE_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            with contextlib.suppress(OSError, TimeoutError, RemoteProtocolError):
                await self._call()
            pause_s = (
                PAUSE_FIRST_S if loop.time() - began_s > WELL_AFTER_S else min(2 * pause_s, PAUSE_LONGEST_S)
            )
            await asyncio.sleep(pause_s * (0.5 + self._draw.random()))

    async def _call(self) -> None:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(*self._target)
        air = _Air(writer)
        beating = asyncio.create_task(self._beat(air))
        try:
            buffer = wrapper.WrapperBuffer(octets_max=FRAME_OCTETS_MAX)
            while data := await reader.read(READ_OCTETS):
                buffer.receive(data)
                while (found := buffer.next_frame()) is not None:
                    self._take(air, *found)
                await writer.drain()
        finally:
            beating.cancel()
            for connection in tuple(self._heard.values()):
                connection.connection_lost(None)
            self._heard.clear()
            writer.close()

    async def _beat(self, air: "_Air") -> None:
        while True:
            air.write(self.registration(), owner=self, ends=True)
            await asyncio.sleep(HEARTBEAT_S)

    def registration(self) -> bytes:
        """Return the frame by which the modem names itself: plain, for it holds no key."""
        self._calls += 1
        serials = {server: self._live.town.devices[index].serial for server, index in self._behind.items()}
        body = axdr.structure(
            axdr.visible_string(self.name),
            axdr.octet_string(REGISTRATION_SETUP.octets),
            axdr.octet_string(clock.encode(moment_of(self._live.now_s))),
            axdr.visible_string(self._imei),
            axdr.visible_string(self._sim),
            axdr.long(-int(self._draw.integers(60, 105))),
            axdr.array(
                [
                    axdr.structure(axdr.long_unsigned(server), axdr.visible_string(serial))
                    for server, serial in serials.items()
                ]
            ),
        )
        return push.encode(DataNotification(data=body, long_invoke=self._calls), security=None)

    def _take(self, air: "_Air", header: wrapper.WrapperHeader, apdu: bytes) -> None:
        """Hand a request to its meter; what is for no meter behind this modem is dropped."""
        index = self._behind.get(header.destination)
        if index is None:
            return
        pair = (header.source, header.destination)
        if apdu[:1] == bytes((AARQ,)) and pair in self._heard:
            self._heard.pop(pair).connection_lost(None)
        connection = self._heard.get(pair)
        if connection is None:
            connection = MeterConnection(self._meters, index)
            line = _Behind(air, server=header.destination, forget=lambda: self._end(pair))
            self._heard[pair] = connection
            connection.connection_made(cast(asyncio.Transport, line))
            if pair not in self._heard:
                return  # the meter takes nothing: whoever asks waits in vain
        connection.data_received(wrapper.encode(apdu, source=header.source, destination=1))

    def _end(self, pair: tuple[int, int]) -> None:
        """End the talk of a client with a meter."""
        connection = self._heard.pop(pair, None)
        if connection is not None:
            asyncio.get_running_loop().call_soon(connection.connection_lost, None)


class _Air:
    """What a modem sends: frames of several meters in pieces, one frame at a time."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._owner: object = None
        self._waiting: deque[tuple[bytes, object, bool]] = deque()

    def write(self, piece: bytes, *, owner: object, ends: bool) -> None:
        """Send a piece of a frame of `owner`; `ends` says that the frame ends with it."""
        self._waiting.append((piece, owner, ends))
        while True:
            place = next(
                (at for at, (_, other, _) in enumerate(self._waiting) if self._owner in (None, other)), None
            )
            if place is None:
                return
            piece, owner, ends = self._waiting[place]
            del self._waiting[place]
            self.writer.write(piece)
            self._owner = None if ends else owner


class _Behind:
    """What a meter behind a modem takes for its transport: its frames go out under its own address."""

    def __init__(self, air: _Air, *, server: int, forget: Callable[[], object]) -> None:
        self._air = air
        self._server = server
        self._forget = forget
        self._unsent = b""
        self._left = 0
        self._is_closing = False

    def write(self, data: bytes) -> None:
        """Send what has come of a meter's answers, however slowly it does."""
        self._unsent += data
        while self._unsent:
            if self._left:
                piece, self._unsent = self._unsent[: self._left], self._unsent[self._left :]
                self._left -= len(piece)
                self._air.write(piece, owner=self, ends=not self._left)
                continue
            try:
                header = wrapper.peek_wrapper(self._unsent)
            except RemoteProtocolError:  # nonsense goes out as it is
                self._air.write(self._unsent, owner=self, ends=True)
                self._unsent = b""
                return
            if header is None:
                return
            head = wrapper.encode(b"", source=self._server, destination=header.destination)
            self._unsent, self._left = self._unsent[wrapper.HEADER_OCTETS :], header.length
            self._air.write(
                head[:-LENGTH_OCTETS] + header.length.to_bytes(LENGTH_OCTETS, "big"),
                owner=self,
                ends=not self._left,
            )

    def is_closing(self) -> bool:
        """Return whether the meter has hung up."""
        return self._is_closing or self._air.writer.is_closing()

    def close(self) -> None:
        """End this meter's talk; what is cut off in the middle of a frame takes the modem's connection with it."""
        self._is_closing = True
        if self._unsent or self._left:
            self._air.writer.close()
        self._forget()

    def abort(self) -> None:
        """End this meter's talk: the modem stays, and the meter says nothing."""
        self._is_closing = True
        self._forget()

    def get_extra_info(self, name: str, default: object = None) -> object:  # noqa: ARG002 - asyncio's signature
        """Return nothing: there is no socket of this meter's own."""
        return default


def modems_of(meters: Meters, *, per_modem: int, target: tuple[str, int]) -> tuple[Modem, ...]:
    """Return the modems before all meters of a town that communicate, `per_modem` in a row behind each."""
    behind: dict[str, dict[int, int]] = {}
    for device in meters.live.town.devices:
        if device.listens is not None:
            name = gateway_of(device, per_gateway=per_modem)
            behind.setdefault(name, {})[device.listens % per_modem + 1] = device.index
    return tuple(Modem(meters, name=name, behind=those, target=target) for name, those in behind.items())
