"""
The push listener: what meters tell unasked is durable before we hang up.

A meter that was not hung up on in good order sends again. The same message again is known by its invocation counter
and folded; what cannot be taken (an unknown sender, no tag, a wrong key, an old counter, garbage) is counted in
quarantine and changes nothing else.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bijlighar.base.clock import Clock
from bijlighar.dlms import clock as cosem_clock
from bijlighar.dlms import push
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.errors import (
    LocalProtocolError,
    Malformed,
    RemoteProtocolError,
    Replayed,
    Truncated,
    Unprotected,
)
from bijlighar.dlms.event import DataNotification, Notification
from bijlighar.dlms.is15959 import FAMILY_NAMES, PUSH_ALERT
from bijlighar.dlms.is15959_events import family_of, status_edges
from bijlighar.dlms.push import Pushed
from bijlighar.dlms.security import Security
from bijlighar.headend import push_store
from bijlighar.headend.errors import BrokenSettings
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import MeterKeys
from bijlighar.headend.push_store import PushState
from bijlighar.headend.push_storer import PushStorer
from bijlighar.readings import operations as readings
from bijlighar.readings.model import MeterEvent
from bijlighar.storage.engine import Database

READ_OCTETS = 16_384
#: How much one connection may send; an alert has about a hundred octets.
OCTETS_PER_CONNECTION = 1_048_576
UNKNOWN_SENDER = "?"
#: The family of an event that stands in no log.
PUSH_FAMILY = "push"
#: The bits of long-invoke-id-and-priority that number a notification (IEC 62056-5-3 clause 9.3.2).
LONG_INVOKE_NUMBER = 0x00FF_FFFF
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class PushListener:
    """A listening socket and the connections it has taken."""

    def __init__(self, *, database: Database, head_end: HeadEnd, clock: Clock) -> None:
        """Make a listener that does not listen yet."""
        self._database = database
        self._head_end = head_end
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._permits = asyncio.Semaphore(head_end.settings.push_connections)
        self._storer = PushStorer(store=self._store_many)

    async def start(self, *, host: str, port: int) -> None:
        """
        Listen on an address; port 0 takes any free one.

        :raises BrokenSettings: if the address cannot be listened on.
        """
        self._storer.start()
        try:
            self._server = await asyncio.start_server(self._serve, host=host, port=port)
        except OSError as problem:
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
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self._storer.close()

    def _store_many(self, waiting: Sequence["_Taken"]) -> list[RemoteProtocolError | None]:
        """Store pushes in one transaction and return, for each, why it was refused; None if it is stored."""
        now = self._clock.now()
        refusals: list[RemoteProtocolError | None] = []
        with self._database.write() as connection:
            events: list[MeterEvent] = []
            states = push_store.hold(connection, meters={taken.meter for taken in waiting})
            heard: dict[str, PushState] = {}
            for taken in waiting:
                state = states[taken.meter]
                if taken.counter < state.counter:
                    refusals.append(
                        Replayed(
                            f"a push of meter {taken.meter} carries counter {taken.counter} after {state.counter}",
                            expected=state.counter + 1,
                        )
                    )
                    continue
                events += alert_events(meter=taken.meter, alert=taken.alert, state=state, now=now)
                after = state_after(alert=taken.alert, counter=taken.counter, state=state)
                states[taken.meter] = heard[taken.meter] = after
                refusals.append(None)
            push_store.write(connection, states=heard.values(), now=now)
            readings.append_events(connection, events=events, now=now)
        return refusals

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        connection = _PushConnection(
            database=self._database,
            head_end=self._head_end,
            clock=self._clock,
            peer=str(peer[0]) if isinstance(peer, tuple) else UNKNOWN_SENDER,
            storer=self._storer,
        )
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

    async def _take_all(self, reader: asyncio.StreamReader, connection: "_PushConnection") -> None:
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


class _PushConnection:
    """What one connection has sent."""

    def __init__(
        self, *, database: Database, head_end: HeadEnd, clock: Clock, peer: str, storer: "PushStorer[_Taken]"
    ) -> None:
        self._storer = storer
        self._database = database
        self._head_end = head_end
        self._clock = clock
        self._peer = peer
        self._receiver = push.Receiver(security_for=self._security_for)
        self._keys: MeterKeys | None = None
        self._title = b""
        self._unread = b""

    async def take(self, data: bytes) -> bool:
        """Take octets, and return whether every push in what has come is settled and none is half here."""
        self._receiver.receive_data(data)
        self._unread = (self._unread + data)[-push.PUSH_OCTETS_MAX :]
        settled = False
        while True:
            self._receiver.last_frame = b""
            self._title, self._keys = b"", None
            try:
                pushed = self._receiver.next_event()
                if not isinstance(pushed, Pushed):
                    return settled and not self._unread
                await self._store(pushed)
            except RemoteProtocolError as problem:
                await self._refuse(problem)
                if not self._receiver.last_frame:
                    return True  # not even a frame: what follows has no beginning
            settled = True
            self._unread = self._unread[len(self._receiver.last_frame) :]

    async def end(self) -> None:
        """Count a message that broke off."""
        if self._unread:
            await self._refuse(Truncated("the connection ended in the middle of a push"))

    def _security_for(self, title: bytes) -> Security | None:
        self._title = title
        self._keys = self._head_end.keys_of_title(title) if title else None
        if self._keys is None:
            return None
        return Security(
            ciphered=True,
            own_title=self._head_end.settings.system_title,
            peer_title=title,
            ek=self._keys.ek,
            ak=self._keys.ak,
            next_counter=_never,
        )

    async def _refuse(self, problem: RemoteProtocolError) -> None:
        sender, frame = self._title.hex() or self._peer, self._receiver.last_frame or self._unread

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

    async def _store(self, pushed: Pushed) -> None:
        keys = self._keys
        if keys is None or pushed.counter is None or not pushed.authenticated:
            raise Unprotected("a push without a tag is not accepted")
        taken = _Taken(meter=keys.serial, counter=pushed.counter, alert=read_alert(pushed.notification))
        refusal = await self._storer.store(taken)
        if refusal is not None:
            raise refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    The body of an alert.

    `at` is when it was made, None if the meter's clock does not say; `number` is the meter's own number for it.
    """

    at: datetime | None
    number: int
    word: BitString


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A genuine alert that waits to be stored."""

    meter: str
    counter: int
    alert: Alert


def read_alert(notification: Notification) -> Alert:
    """
    Return the alert that a push holds: device, push setup, clock, event status word (IS 15959).

    :raises Malformed: if it is no alert.
    """
    if isinstance(notification, DataNotification):
        match notification.value:
            case (_, bytes() as setup, bytes() as time, BitString() as word) if setup == PUSH_ALERT.octets:
                number = notification.long_invoke & LONG_INVOKE_NUMBER
                return Alert(at=cosem_clock.decode(time), number=number, word=word)
    raise Malformed("a push is no alert: device, push setup, clock and status word are needed")


def alert_events(*, meter: str, alert: Alert, state: PushState, now: datetime) -> tuple[MeterEvent, ...]:
    """
    Return the events that an alert tells: the edges of its status word against the word before.

    The bits are standing states, so a bit that stays set is no new event, and an alert that is older than the word
    we have (a meter sends again what it was not thanked for) tells nothing.
    """
    if _order(alert.at, alert.number, now) <= _order_of(state):
        return ()
    before = BitString(octets=state.word, bits=state.word_bits) if state.word_bits else None
    return tuple(
        MeterEvent(
            meter=meter,
            code=code,
            at=alert.at or now,
            family=_family(code),
            origin="push",
            received_at=now,
            detail={"status_word": alert.word.octets.hex()},
        )
        for code in status_edges(before, alert.word)
    )


def state_after(*, alert: Alert, counter: int, state: PushState) -> PushState:
    """Return what is known of a meter's pushes after an alert; the same alert again is counted as repeated."""
    state = replace(state, counter=counter)
    if state.word_bits and (alert.at, alert.number) == (state.word_at, state.word_number):
        return replace(state, repeated=state.repeated + 1)
    state = replace(state, received=state.received + 1)
    if alert.at is not None and _order(alert.at, alert.number, alert.at) < _order_of(state):
        return state
    return replace(
        state,
        word=alert.word.octets,
        word_bits=alert.word.bits,
        word_at=alert.at,
        word_number=alert.number,
    )


def _order_of(state: PushState) -> tuple[datetime, int]:
    if not state.word_bits or state.word_at is None:
        return (BEFORE_ALL, -1)
    return (state.word_at, state.word_number)


def _order(at: datetime | None, number: int, now: datetime) -> tuple[datetime, int]:
    return (at or now, number)


def _family(code: int) -> str:
    family = family_of(code)
    return FAMILY_NAMES[family] if family is not None and family < len(FAMILY_NAMES) else PUSH_FAMILY


def _never() -> int:
    raise LocalProtocolError("a push is not answered")
