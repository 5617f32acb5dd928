"""
The push listener: what meters tell unasked, over TCP and UDP, is durable before we hang up.

A meter that was not hung up on in good order sends again; a datagram is thanked for by nobody. The same message again
is known by its invocation counter and folded; what cannot be taken (an unknown sender, no tag, a wrong key, an old
counter, garbage) is counted in quarantine and changes nothing else.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from bijlighar.base.clock import Clock
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.headend import push_store
from bijlighar.headend.errors import BrokenSettings
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.push_connection import PushConnection
from bijlighar.headend.push_datagrams import PushDatagrams
from bijlighar.headend.push_places import Taken, store_pushes
from bijlighar.headend.push_storer import PushStorer
from bijlighar.headend.quarantine import QuarantineTally
from bijlighar.storage.engine import Database

READ_OCTETS = 16_384
#: How much one connection may send; an alert has about a hundred octets.
OCTETS_PER_CONNECTION = 1_048_576
UNKNOWN_SENDER = "?"
#: How often a port of the system's choice is drawn before TCP and UDP have the same.
DRAWS_MAX = 20


class PushListener:
    """A port that is listened on over TCP and UDP, and the connections it has taken."""

    def __init__(self, *, database: Database, head_end: HeadEnd, clock: Clock) -> None:
        """Make a listener that does not listen yet."""
        self._database = database
        self._head_end = head_end
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._permits = asyncio.Semaphore(head_end.settings.push_connections)
        self._storer = PushStorer(store=self._store_many)
        self._tally = QuarantineTally(database=database, clock=clock)
        self._datagrams = PushDatagrams(head_end=head_end, storer=self._storer, tally=self._tally)

    async def start(self, *, host: str, port: int | None) -> None:
        """
        Listen on an address; port 0 takes any free one, None: take only what comes over modems that call in.

        :raises BrokenSettings: if the address cannot be listened on.
        """
        if port is not None:
            await self._open(host=host, port=port)
        self._storer.start()
        self._tally.start()

    async def _open(self, *, host: str, port: int) -> None:
        for draw in range(DRAWS_MAX):
            try:
                self._server = await asyncio.start_server(self._serve, host=host, port=port)
                await self._datagrams.start(host=host, port=self.port)
                break
            except OSError as problem:
                if self._server is not None:
                    self._server.close()
                    self._server = None
                    if not port and draw + 1 < DRAWS_MAX:
                        continue  # somebody else has the drawn number for UDP: draw again
                raise BrokenSettings(
                    f"the push listener cannot listen on {host}:{port} ({problem.strerror or problem}); "
                    "set headend.push_host and headend.push_port"
                ) from None

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        if self._server is None:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening; what has come is stored."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self._datagrams.close()
        await self._storer.close()
        await self._tally.close()

    async def take_frame(self, frame: bytes, *, peer: str) -> None:
        """Take a push that came over a modem's own connection, which stays open whatever comes of it."""
        connection = self._connection(peer)
        await connection.take(frame)
        await connection.end()

    def _store_many(self, waiting: Sequence[Taken]) -> list[RemoteProtocolError | None]:
        """Store pushes in one transaction and return, for each, why it was refused; None if it is stored."""
        with self._database.write() as connection:
            return store_pushes(
                connection,
                pushes=waiting,
                now=self._clock.now(),
                quirks=self._head_end.settings.quirks,
            )

    def _connection(self, peer: str) -> PushConnection:
        return PushConnection(
            head_end=self._head_end, peer=peer, storer=self._storer, refuse=self._quarantine
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        connection = self._connection(str(peer[0]) if isinstance(peer, tuple) else UNKNOWN_SENDER)
        try:
            with contextlib.suppress(
                OSError, TimeoutError
            ):  # the meter hung up; what it sent before is stored
                async with self._permits:
                    await self._take_all(reader, connection)
        except BaseException:
            writer.transport.abort()  # not hung up in good order: the meter sends again
            raise
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _take_all(self, reader: asyncio.StreamReader, connection: PushConnection) -> None:
        """Take what comes until a push is stored or refused; then it is on us to hang up."""
        octets = 0
        while octets < OCTETS_PER_CONNECTION:
            async with asyncio.timeout(self._head_end.settings.push_timeout_s):
                data = await reader.read(READ_OCTETS)
            if not data:
                await connection.end()
                return
            octets += len(data)
            if await connection.take(data):
                return

    async def _quarantine(self, sender: str, problem: RemoteProtocolError, frame: bytes) -> None:
        def keep() -> None:
            with self._database.write() as connection:
                push_store.quarantine(
                    connection,
                    sender=sender,
                    code=problem.code,
                    note=str(problem),
                    frame=frame,
                    now=self._clock.now(),
                )

        await asyncio.to_thread(keep)
