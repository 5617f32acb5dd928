"""A modem on a real socket that calls in, with test meters behind it, and that can be told to do everything wrong."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from bijlighar.dlms import clock, push, wrapper
from bijlighar.dlms.event import DataNotification
from bijlighar.headend.registration import registration_body
from tests.headend.meter import Meter, MeterConnection
from tests.headend.orders import NOW

IMEI, SIM = "356938035643809", "8991101200003204514"


def registration(
    name: str, *, imei: str = IMEI, signal_dbm: int = -87, meters: Mapping[int, str] | None = None
) -> bytes:
    """The frame by which a modem names itself."""
    body = registration_body(
        device=name, time=clock.encode(NOW), imei=imei, sim=SIM, signal_dbm=signal_dbm, meters=meters or {}
    )
    return push.encode(DataNotification(data=body, long_invoke=1), security=None)


@dataclass
class Modem:
    """A modem; the faults are plain attributes that a test sets."""

    name: str
    behind: dict[int, Meter]
    source: str = "127.0.0.1"
    imei: str = IMEI
    calls: int = 0
    requests: int = 0
    # faults
    garbage: bool = False
    tear_after: int = 0
    late: list[bytes] = field(default_factory=list)
    keep_late: bool = False
    calls_again: bool = False

    async def call(self, port: int) -> None:
        """Call in and name itself, and go on answering in a task of its own."""
        self.port = port
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, local_addr=(self.source, 0)
        )
        self.calls += 1
        CALLED.append(self)
        self.heard: dict[tuple[int, int], MeterConnection] = {}
        self.writer.write(registration(self.name, imei=self.imei))
        self.task = asyncio.create_task(self._answer())

    async def hang_up(self) -> None:
        self.calls_again = False
        self.writer.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    @property
    def is_connected(self) -> bool:
        return not self.task.done()

    async def _answer(self) -> None:
        buffer = wrapper.WrapperBuffer(octets_max=65_535)
        with contextlib.suppress(OSError):
            while data := await self.reader.read(65_536):
                buffer.receive(data)
                while (found := buffer.next_frame()) is not None:
                    self._take(*found)
        self.writer.close()
        if self.calls_again:
            again = asyncio.create_task(self.call(self.port))
            await asyncio.sleep(0)
            del again

    def _take(self, header: wrapper.WrapperHeader, apdu: bytes) -> None:
        self.requests += 1
        if self.garbage:
            self.writer.write(
                wrapper.encode(b"\xd8\x01\x02", source=header.destination, destination=header.source)
            )
            return
        pair = (header.source, header.destination)
        if apdu[0] == 0x60 or pair not in self.heard:
            self.heard[pair] = MeterConnection(self.behind[header.destination])
            self.heard[pair].transport = cast(asyncio.Transport, _Out(self, header.destination))
        self.heard[pair].data_received(wrapper.encode(apdu, source=header.source, destination=1))

    def send(self, octets: bytes) -> None:
        """Send what a meter answers, as the faults want it."""
        if self.keep_late:
            self.late.append(octets)
        elif self.tear_after:
            self.tear_after -= 1
            if self.tear_after:
                self.writer.write(octets)
            else:
                self.writer.write(octets[: len(octets) // 2])
                self.writer.close()
        else:
            self.writer.write(octets)


async def until(holds: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    """Let threads and everything else go on until something holds."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


#: The modems that a test has let call.
CALLED: list[Modem] = []


async def hang_up_all() -> None:
    """End every modem that a test has let call."""
    while CALLED:
        await CALLED.pop().hang_up()


@dataclass
class _Out:
    modem: Modem
    server: int

    def write(self, octets: bytes) -> None:
        while octets:
            header = wrapper.peek_wrapper(octets)
            assert header is not None
            end = 8 + header.length
            self.modem.send(wrapper.encode(octets[8:end], source=self.server, destination=header.destination))
            octets = octets[end:]

    def abort(self) -> None:
        self.modem.writer.transport.abort()
