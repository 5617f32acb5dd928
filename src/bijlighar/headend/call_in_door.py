"""
The exchange's local socket: whoever wants a meter names the modem in one line, and then speaks through it.

One conversation at a time goes through a modem; who waits is let in by turn, for a limited time. The socket is open
to our own user alone.
"""

import asyncio
import contextlib
import logging
import socket
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from bijlighar.base.errors import BijligharError
from bijlighar.headend.call_in_caller import Caller, Exchanged, rest_of_frame, tag_of
from bijlighar.headend.call_in_wire import ANSWER_S, LINE_OCTETS_MAX, message_line, read_line
from bijlighar.headend.errors import (
    AssociationRefused,
    ConnectionLost,
    GarbledAnswer,
    MeterSilent,
    ModemBusy,
    NotCalledIn,
)
from bijlighar.headend.gate_wire import short_name

log = logging.getLogger(__name__)

PRIVATE_SOCKET, PRIVATE_FOLDER = 0o600, 0o700
#: How many may ask at one time, and wait for one modem; a request of a client fits into so many octets.
ASKING_MAX, WAITING_MAX = 1_024, 32
REQUEST_OCTETS_MAX = 65_535
#: A conversation in which nobody says anything for so long [s] is cut, and so is one that lasts so long.
SILENCE_S, CONVERSATION_S = 120.0, 3_600.0
#: How long the longest wait for a turn may be asked for [s], and how many ended conversations can be told of.
WAIT_S_MAX = 300.0
REMEMBERED_MAX = 1_000
#: Failures that say nothing against a caller but that it is silent.
SILENT_CODES = frozenset({MeterSilent.code, ConnectionLost.code})


class Exchange(Protocol):
    """What the door needs of the exchange behind it."""

    def best_caller(self, name: str, *, tried: frozenset[int]) -> Caller:
        """Return the caller of a name to be tried next."""

    async def held(self, caller: Caller, meter: str) -> None:
        """Trust a caller."""

    def failed(self, caller: Caller, *, meter: str, code: str, is_silent: bool) -> None:
        """Note that an association failed over a caller."""


class CallInDoor:
    """The local socket, and the conversations that go through it."""

    def __init__(self, *, exchange: Exchange) -> None:
        """Make a door that is not open yet."""
        self._exchange = exchange
        self._numbers = count(1)
        self._spoken: OrderedDict[int, tuple[Caller, Exchanged]] = OrderedDict()
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, path: Path) -> None:
        """
        Listen on the socket `path`.

        :raises OSError: if it cannot be listened on.
        """
        self._server = await asyncio.start_unix_server(self._serve, sock=_bound(path), limit=LINE_OCTETS_MAX)
        self._path = path

    async def close(self) -> None:
        """Close the socket and cut every conversation."""
        if self._server is not None:
            self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= ASKING_MAX:
            writer.transport.abort()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):  # the door closes: there is nothing more to do
            await self._attend(reader, writer)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the one line that a connection begins with, and do what it asks."""
        try:
            async with asyncio.timeout(ANSWER_S):
                message = read_line(await reader.readline())
            if "modem" in message:
                await self._converse(message, reader, writer)
            else:
                writer.write(message_line(await self._told(message)))
                await writer.drain()
        except BijligharError as problem:
            with contextlib.suppress(OSError):
                writer.write(message_line({"error": problem.code, "text": str(problem)}))
                await writer.drain()
        except (OSError, EOFError, TimeoutError, ValueError, KeyError, TypeError) as problem:
            log.info("who asked for a modem was cut off: %r", problem)
        finally:
            writer.close()

    async def _told(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take what became of a conversation."""
        number = int(message.get("held", message.get("failed", 0)))
        spoken = self._spoken.get(number)
        if spoken is None:
            raise GarbledAnswer(f"there was no conversation {number}")
        caller, conversation = spoken
        meter = str(message["meter"])
        if "held" in message:
            await self._exchange.held(caller, meter)
        else:
            code = str(message["code"])
            if code == AssociationRefused.code:
                conversation.is_open = False  # a meter that refuses has no association open
            self._exchange.failed(caller, meter=meter, code=code, is_silent=code in SILENT_CODES)
        return {"ok": number}

    async def _converse(
        self, message: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name, tried = str(message["modem"]), frozenset(int(number) for number in message["tried"])
        loop = asyncio.get_running_loop()
        conversation = Exchanged(
            number=next(self._numbers),
            server=int(message["server"]),
            client=int(message["client"]),
            writer=writer,
            heard_at=loop.time(),
        )
        wait_s = min(float(message["wait_s"]), WAIT_S_MAX)
        caller = await self._turn_of(name, tried, conversation, wait_s=wait_s)
        pair = (conversation.server, conversation.client)
        try:
            self._remember(caller, conversation)
            caller.conversation = conversation
            writer.write(message_line({"ok": conversation.number, "caller": caller.number}))
            await self._pass_requests(caller, conversation, reader)
        finally:
            caller.conversation = None
            if conversation.is_open:
                caller.unfinished.add(pair)
            caller.turn.release()

    async def _turn_of(
        self, name: str, tried: frozenset[int], conversation: Exchanged, *, wait_s: float
    ) -> Caller:
        """
        Return a caller whose turn is ours.

        :raises NotCalledIn: if there is none, or its last conversation with this meter broke off: it was hung up on.
        :raises ModemBusy: if too many wait, or for too long.
        """
        busy = ModemBusy(f"modem {name} was spoken through by others for {wait_s:g} s; ask again later")
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    caller = self._exchange.best_caller(name, tried=tried)
                    if caller.waiting >= WAITING_MAX:
                        raise busy
                    caller.waiting += 1
                    try:
                        await caller.turn.acquire()
                    finally:
                        caller.waiting -= 1
                    if not caller.is_closed:
                        break
                    caller.turn.release()  # it went while we waited: another of the name may be there
        except TimeoutError:
            raise busy from None
        if (conversation.server, conversation.client) in caller.unfinished:
            caller.close()
            caller.turn.release()
            raise NotCalledIn(
                f"modem {name} was hung up on, because its last conversation with this meter broke off; "
                "the meter is asked when it calls again"
            )
        return caller

    def _remember(self, caller: Caller, conversation: Exchanged) -> None:
        self._spoken[conversation.number] = (caller, conversation)
        while len(self._spoken) > REMEMBERED_MAX:
            self._spoken.popitem(last=False)

    async def _pass_requests(
        self, caller: Caller, conversation: Exchanged, reader: asyncio.StreamReader
    ) -> None:
        """Pass whole frames of the client to the modem until it hangs up, or the time is over."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONVERSATION_S):
            while not caller.is_closed:
                begin = await self._first_octet(conversation, reader)
                if not begin:
                    return
                header, frame = await rest_of_frame(reader, begin, octets_max=REQUEST_OCTETS_MAX)
                if (header.source, header.destination) != (conversation.client, conversation.server):
                    raise GarbledAnswer("a request is not for the meter that was asked for")
                conversation.asked(tag_of(frame), now=loop.time())
                await caller.send(frame)

    async def _first_octet(self, conversation: Exchanged, reader: asyncio.StreamReader) -> bytes:
        """Return the first octet of a request, nothing at the end, or where nobody has said anything for too long."""
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(reader.read(1))
        try:
            while True:
                left_s = conversation.heard_at + SILENCE_S - loop.time()
                if left_s <= 0:
                    return b""
                done, _ = await asyncio.wait({reading}, timeout=left_s)
                if done:
                    return reading.result()
        finally:
            reading.cancel()


def _bound(path: Path) -> socket.socket:
    """Return a socket at `path` that only our own user may open."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as name:
            listening.bind(name)
        path.chmod(PRIVATE_SOCKET)
    except OSError:
        listening.close()
        raise
    return listening
