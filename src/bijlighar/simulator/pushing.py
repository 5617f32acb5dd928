"""
Alerts on their way out: a data-notification, ciphered with the meter's own keys, over a connection of its own.

A push counts as sent only when the listener has closed the connection in order; an alert that nobody took is given up
after some tries, and stands in the meter's log all the same. Over UDP nobody thanks: each goes out a few times, under
a new counter and the same number, and counts as sent.
"""

import asyncio
import contextlib
import socket

from bijlighar.base.period import moment_of
from bijlighar.dlms import axdr, clock, push
from bijlighar.dlms.event import DataNotification
from bijlighar.dlms.is15959 import PUSH_ALERT
from bijlighar.dlms.security import Security
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.memory import FAILED, SENT, PendingPush

#: Seconds between the tries of one alert; when they are used up it is given up.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
TIMEOUT_S = 10.0
AT_ONCE = 16
UDP_SCHEME = "udp://"
#: How often one datagram goes out, and how long after the one before [s].
DATAGRAMS, DATAGRAM_PAUSE_S = 3, 0.05


def alert(live: LiveTown, pending: PendingPush) -> bytes:
    """Return the frame of an alert: device id, push setup, clock, event status word."""
    device, way = live.town.devices[pending.device], live.way(pending.device)
    body = axdr.structure(
        axdr.octet_string(device.serial.encode()),
        axdr.octet_string(PUSH_ALERT.octets),
        axdr.octet_string(
            clock.encode(moment_of(pending.at), deviation=clock.Deviation(device.deviation_minutes))
        ),
        axdr.bit_string(way.status_word(pending.status_word)),
    )
    ek, ak = way.keys(device.encryption_key, device.authentication_key)
    security = Security(
        ciphered=True,
        own_title=way.title(device),
        ek=ek,
        ak=ak,
        suite=way.suite,
        next_counter=lambda: live.next_counter(pending.device),
    )
    return push.encode(DataNotification(data=body, long_invoke=pending.sequence), security=security)


class Pusher:
    """Sends what waits in the meters' memory, oldest first."""

    def __init__(self, live: LiveTown, *, target: str | None) -> None:
        """
        Push to `target`, or where a meter's own push setup says; None: only there.

        HOST:PORT is over TCP, udp://HOST:PORT over UDP.
        """
        self._live = live
        self._target = target
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look again at what waits."""
        self._wake.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._wake.clear()
            # One alert of a meter at a time: the status word of a later one must not arrive before it.
            oldest = {pending.device: pending for pending in reversed(self._live.memory.pending_pushes())}
            # What nobody has named a place for waits for one.
            oldest = {device: pending for device, pending in oldest.items() if self._place(device)}
            if oldest:
                await asyncio.gather(*(self._send(pending) for pending in list(oldest.values())[:AT_ONCE]))
            else:
                await self._wake.wait()

    async def _send(self, pending: PendingPush) -> None:
        state = FAILED
        setup, place = self._live.settings.push(pending.device), self._place(pending.device)
        if place is not None and self._is_udp(pending.device):
            await self._send_datagrams(pending, place)
            return
        for pause_s in (*PAUSES_S[: setup.retries], None):
            if place is not None and await self._try(alert(self._live, pending), place):
                state = SENT
                break
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        with self._live.saving():
            self._live.memory.settle_push(sequence=pending.sequence, state=state)

    async def _send_datagrams(self, pending: PendingPush, place: tuple[str, int]) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.settimeout(0)
            for _ in range(DATAGRAMS):
                sending.sendto(alert(self._live, pending), place)
                await asyncio.sleep(DATAGRAM_PAUSE_S)
        with self._live.saving():
            self._live.memory.settle_push(sequence=pending.sequence, state=SENT)

    def _place(self, device: int) -> tuple[str, int] | None:
        host, _, port = self._told(device).removeprefix(UDP_SCHEME).rpartition(":")
        return (host or "127.0.0.1", int(port)) if port else None

    def _is_udp(self, device: int) -> bool:
        return self._told(device).startswith(UDP_SCHEME)

    def _told(self, device: int) -> str:
        return self._live.settings.push(device).destination or self._target or ""

    async def _try(self, frame: bytes, place: tuple[str, int]) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_connection(*place)
                try:
                    writer.write(frame)
                    writer.write_eof()
                    await writer.drain()
                    await reader.read()
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError):
            return False
        return True
