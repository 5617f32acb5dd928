"""Pushes over UDP: one datagram is one wrapper frame; what comes too fast to be looked at is shed and counted."""

import asyncio
import contextlib
import logging
import socket

from bijlighar.base.errors import BijligharError
from bijlighar.dlms import push, wrapper
from bijlighar.dlms.ciphering import GENERAL_GLO_TAG
from bijlighar.dlms.errors import Malformed, RemoteProtocolError, TooLong, Truncated, Unprotected
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.push_connection import PushConnection
from bijlighar.headend.push_places import Taken
from bijlighar.headend.push_storer import PushStorer
from bijlighar.headend.quarantine import QuarantineTally

log = logging.getLogger(__name__)

#: How many datagrams wait to be looked at (8 KiB each at most), and how many are looked at together.
WAITING_MAX = 1_000
TOGETHER_MAX = 100
#: What the kernel is asked to hold for us; what comes beyond it drops by itself, uncounted.
KERNEL_OCTETS = 4 * 1024 * 1024
FRAME_OCTETS_MAX = wrapper.HEADER_OCTETS + push.PUSH_OCTETS_MAX
SHED = "headend.push-shed"
SHED_NOTE = "datagrams came faster than they could be looked at; these were not"


class PushDatagrams(asyncio.DatagramProtocol):
    """A UDP port that pushes come to."""

    def __init__(self, *, head_end: HeadEnd, storer: PushStorer[Taken], tally: QuarantineTally) -> None:
        """Store by `storer`; what is refused is counted in `tally`."""
        self._head_end = head_end
        self._storer = storer
        self._tally = tally
        self._waiting: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(WAITING_MAX)
        self._transport: asyncio.BaseTransport | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, *, host: str, port: int) -> None:
        """
        Listen on an address.

        :raises OSError: if it cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        listening = self._transport.get_extra_info("socket")
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_OCTETS)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop listening; what has come is stored."""
        if self._task is None or self._transport is None:
            return
        self._transport.close()
        await self._waiting.join()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Refuse at once what cannot be a sealed push, and let the rest wait for its turn."""
        peer = str(addr[0])
        problem = _not_a_push(data)
        if problem is not None:
            self._tally.count(sender=peer, code=problem.code, note=str(problem), frame=data)
        elif self._waiting.full():
            self._tally.count(sender=peer, code=SHED, note=SHED_NOTE, frame=data)
        else:
            self._waiting.put_nowait((data, peer))

    def error_received(self, exc: Exception) -> None:
        """Go on: nothing is sent, so there is nobody to tell."""
        log.info("the port of pushes over UDP: %s", exc)

    async def _run(self) -> None:
        """Look at what waits, for half of the time at most: a flood leaves the other half to everything else."""
        loop = asyncio.get_running_loop()
        while True:
            taken = [await self._waiting.get()]
            began_s = loop.time()
            while not self._waiting.empty() and len(taken) < TOGETHER_MAX:
                taken.append(self._waiting.get_nowait())
            await asyncio.gather(*(self._take(data, peer) for data, peer in taken))
            for _ in taken:
                self._waiting.task_done()
            if len(taken) == TOGETHER_MAX:
                await asyncio.sleep(loop.time() - began_s)

    async def _take(self, data: bytes, peer: str) -> None:
        connection = PushConnection(
            head_end=self._head_end, peer=peer, storer=self._storer, refuse=self._refuse
        )
        try:
            await connection.take(data)
            await connection.end()
        except Exception as problem:  # nobody sends it again: it is counted, whatever went wrong
            code = problem.code if isinstance(problem, BijligharError) else "headend.push-not-stored"
            log.exception("a push from %s could not be stored", peer)
            self._tally.count(sender=peer, code=code, note=str(problem), frame=data)

    async def _refuse(self, sender: str, problem: RemoteProtocolError, frame: bytes) -> None:
        self._tally.count(sender=sender, code=problem.code, note=str(problem), frame=frame)


def _not_a_push(data: bytes) -> RemoteProtocolError | None:
    """Return why a datagram cannot be a sealed push, by its first octets alone; None if it may be one."""
    if len(data) > FRAME_OCTETS_MAX:
        return TooLong(f"a datagram of {len(data)} octets is refused ({FRAME_OCTETS_MAX} are allowed)")
    try:
        header = wrapper.peek_wrapper(data)
    except Malformed as problem:
        return problem
    if header is None or len(data) < wrapper.HEADER_OCTETS + header.length:
        return Truncated("a datagram ends in the middle of a push")
    if len(data) > wrapper.HEADER_OCTETS + header.length:
        return Malformed("a datagram holds more than one push")
    if not header.length or data[wrapper.HEADER_OCTETS] != GENERAL_GLO_TAG:
        return Unprotected("a push without a tag is not accepted")
    return None
