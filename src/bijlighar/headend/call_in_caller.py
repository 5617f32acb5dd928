"""
One modem that has called in: its connection, frame by frame, and the one conversation that goes through it.

What passes are wrapper frames, and only those of the conversation's own pair of addresses: what a broken conversation
left behind cannot reach the next one, and the modem never sees a frame cut short by us.
"""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from bijlighar.dlms import wrapper
from bijlighar.dlms.acse import RLRE, RLRQ
from bijlighar.dlms.ciphering import GENERAL_GLO_TAG
from bijlighar.dlms.errors import AnnouncedTooLong, RemoteProtocolError
from bijlighar.dlms.wrapper import WrapperHeader
from bijlighar.headend.registration import FactKind

#: For so long [s] nothing may come of a frame that has begun, or be taken of one that is sent; so long it may last.
FRAME_S, LONGEST_FRAME_S = 30.0, 600.0
PIECE_OCTETS = 16_384
DATA_NOTIFICATION, EVENT_NOTIFICATION = 0x0F, 0xC2
#: How often the kernel asks a silent modem whether it is still there, and when it gives it up.
KEEP_IDLE_S, KEEP_EVERY_S, KEEP_TRIES, UNTHANKED_MS = 60, 15, 4, 60_000


@dataclass(slots=True, kw_only=True, eq=False)
class Exchanged:
    """
    A conversation that goes through a caller, seen from the exchange.

    is_open: something was said of which the end has not been heard; an association may be open at the meter.
    """

    number: int
    server: int
    client: int
    writer: asyncio.StreamWriter
    is_open: bool = False
    is_releasing: bool = False
    heard_at: float = 0.0

    def asked(self, tag: int, *, now: float) -> None:
        """Note what the client asks."""
        self.is_open, self.is_releasing, self.heard_at = True, tag == RLRQ, now

    def answered(self, tag: int, *, now: float) -> None:
        """Note what the meter answers; the answer to a release ends the association in good order."""
        self.heard_at = now
        if self.is_releasing and tag == RLRE:
            self.is_open = False


@dataclass(slots=True, kw_only=True, eq=False)
class Caller:
    """
    A connection that a modem has opened.

    name, facts -- what it claims; proven_by -- the meter with which an association held over it, empty: none yet.
    failures -- associations that were refuted; silences -- that were not answered since one held.
    unfinished -- pairs of (server, client) whose last conversation broke off.
    """

    number: int
    source: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    name: str = ""
    facts: Mapping[FactKind, str] = field(default_factory=dict)
    proven_by: str = ""
    proven_at: float = 0.0
    failures: int = 0
    silences: int = 0
    strays: int = 0
    is_closed: bool = False
    unfinished: set[tuple[int, int]] = field(default_factory=set)
    conversation: Exchanged | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0

    @property
    def order(self) -> tuple[int, bool, bool, int]:
        """Return the order in which callers of one name are tried: who is proven and answers goes first."""
        return (self.failures, self.silences > 0, not self.proven_by, self.number)

    def close(self) -> None:
        """Hang up, on the modem and on whoever speaks through it."""
        self.is_closed = True
        self.writer.transport.abort()
        if self.conversation is not None:
            self.conversation.writer.transport.abort()

    async def next_frame(self, *, idle_s: float, octets_max: int) -> tuple[WrapperHeader, bytes]:
        """
        Return header and octets of the next whole frame.

        :raises EOFError, OSError, TimeoutError: if the modem hung up, or was silent for too long.
        :raises RemoteProtocolError: if it is no frame, or too long.
        """
        header, begin = await self.next_begin(idle_s=idle_s, octets_max=octets_max)
        return header, begin + await self.whole(header, begin, octets_max=octets_max)

    async def next_begin(self, *, idle_s: float, octets_max: int) -> tuple[WrapperHeader, bytes]:
        """
        Return header and first octets of the next frame: those of the wrapper, and the tag of the APDU if it has one.

        :raises EOFError, OSError, TimeoutError: if the modem hung up, or was silent for too long.
        :raises RemoteProtocolError: if it is no frame, or too long.
        """
        async with asyncio.timeout(idle_s):
            begin = await self.reader.readexactly(1)
        async with asyncio.timeout(FRAME_S):
            begin += await self.reader.readexactly(wrapper.HEADER_OCTETS - 1)
            header = checked_header(begin, octets_max=octets_max)
            return header, begin + await self.reader.readexactly(min(1, header.length))

    async def whole(self, header: WrapperHeader, begin: bytes, *, octets_max: int) -> bytes:
        """
        Return what is missing of a frame that has begun.

        :raises EOFError, OSError, TimeoutError: if it does not come to its end in time.
        :raises AnnouncedTooLong: if it is longer than allowed.
        """
        left = wrapper.HEADER_OCTETS + header.length - len(begin)
        if header.length > octets_max:
            raise AnnouncedTooLong(f"a frame of {header.length} octets is refused ({octets_max} are allowed)")
        async with asyncio.timeout(FRAME_S):
            return await self.reader.readexactly(left)

    async def send(self, frame: bytes) -> None:
        """
        Send a frame to the modem.

        :raises OSError, TimeoutError: if it does not take it.
        """
        self.writer.write(frame)
        async with asyncio.timeout(FRAME_S):
            await self.writer.drain()

    def own(self, header: WrapperHeader) -> Exchanged | None:
        """Return the conversation that a frame belongs to, None if it is a stray."""
        conversation = self.conversation
        if conversation is None or (header.source, header.destination) != (
            conversation.server,
            conversation.client,
        ):
            return None
        return conversation

    async def pass_on(self, header: WrapperHeader, begin: bytes) -> None:
        """
        Hand a frame to the conversation that it belongs to, as it comes in; a stray is dropped.

        A large answer over a slow line takes a minute: whoever waits for it must see that it comes. Where the
        conversation ends before the frame does, the rest of it is dropped.

        :raises EOFError, OSError, TimeoutError: if the frame does not come to its end.
        """
        conversation = self.own(header)
        self.strays += conversation is None
        left = wrapper.HEADER_OCTETS + header.length - len(begin)
        piece = begin
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LONGEST_FRAME_S):
            while True:
                if conversation is not None and conversation is self.conversation:
                    conversation.heard_at = loop.time()
                    if not left:
                        conversation.answered(tag_of(begin), now=loop.time())
                    await _write(conversation.writer, piece)
                if not left:
                    break
                async with asyncio.timeout(FRAME_S):
                    piece = await self.reader.read(min(left, PIECE_OCTETS))
                if not piece:
                    raise EOFError("the modem hung up in the middle of a frame")
                left -= len(piece)


async def _write(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Write to whoever asked; if they have gone or do not take it, that is noted by who speaks with them."""
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(piece)
        async with asyncio.timeout(FRAME_S):
            await writer.drain()


def checked_header(octets: bytes, *, octets_max: int) -> WrapperHeader:
    """
    Return the header in the first octets of a frame.

    :raises RemoteProtocolError: if it is none, or announces too much.
    """
    header = wrapper.peek_wrapper(octets)
    if header is None or header.length > octets_max:
        raise AnnouncedTooLong(f"a frame of more than {octets_max} octets is refused")
    return header


async def rest_of_frame(
    reader: asyncio.StreamReader, begin: bytes, *, octets_max: int
) -> tuple[WrapperHeader, bytes]:
    """
    Return header and octets of the frame that begins with `begin`.

    :raises EOFError, OSError, TimeoutError: if it does not come to its end in time.
    :raises RemoteProtocolError: if it is no frame, or too long.
    """
    async with asyncio.timeout(FRAME_S):
        head = begin + await reader.readexactly(wrapper.HEADER_OCTETS - len(begin))
        header = checked_header(head, octets_max=octets_max)
        return header, head + await reader.readexactly(header.length)


def tag_of(frame: bytes) -> int:
    """Return the tag of a frame's APDU, -1 if it is empty."""
    return frame[wrapper.HEADER_OCTETS] if len(frame) > wrapper.HEADER_OCTETS else -1


def is_pushed(frame: bytes, *, own: bool) -> bool:
    """Return whether a frame is a push; `own` says that it has the addresses of the conversation that is on."""
    tag = tag_of(frame)
    return tag in (DATA_NOTIFICATION, EVENT_NOTIFICATION) or (tag == GENERAL_GLO_TAG and not own)


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the kernel look after a connection on which little is said."""
    connected = writer.get_extra_info("socket")
    if connected is None:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_IDLE_S),
        ("TCP_KEEPINTVL", KEEP_EVERY_S),
        ("TCP_KEEPCNT", KEEP_TRIES),
        ("TCP_USER_TIMEOUT", UNTHANKED_MS),
    ):
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


REFUSED = (RemoteProtocolError, EOFError, OSError, TimeoutError)
