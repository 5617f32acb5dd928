"""
The exchange: modems call in, name themselves, and wait for those who want to speak with the meters behind them.

What a modem says of itself is a claim. Only a name that the registry knows is kept; a caller is trusted once an
association with a meter behind it has held over it, and until then every caller of a name is kept beside the others,
so that nobody is displaced by a claim alone. Everything is bounded: callers, those of one source, the time in which a
first message must come, frames, waits.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

from sqlalchemy import Connection

from bijlighar.base.clock import Clock
from bijlighar.dlms import push
from bijlighar.dlms.errors import LocalProtocolError, RemoteProtocolError, Unexpected
from bijlighar.dlms.push import Pushed
from bijlighar.dlms.security import Security
from bijlighar.headend import modem_store, session_store
from bijlighar.headend.call_in_caller import REFUSED, Caller, is_pushed, keep_alive
from bijlighar.headend.call_in_door import CallInDoor
from bijlighar.headend.call_in_names import KnownModems
from bijlighar.headend.call_in_session import CALLERS_PER_NAME_MAX
from bijlighar.headend.control_queue import AT_ANY_HOUR
from bijlighar.headend.errors import BrokenSettings, CallInAway, ModemBusy, NotCalledIn
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.keys import push_keys
from bijlighar.headend.listener import PushListener
from bijlighar.headend.push_storer import PushStorer
from bijlighar.headend.quarantine import QuarantineTally
from bijlighar.headend.registration import FactKind, Registration, read_registration
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

log = logging.getLogger(__name__)

#: How many that have not named themselves are kept, in all and of one source: the oldest gives way to the newest.
UNNAMED_MAX, UNNAMED_PER_SOURCE = 512, 32
#: How many frames may come before the one that names the modem, and how long they may be.
FRAMES_BEFORE_NAME = 4
FRAME_OCTETS_MAX = 65_535
#: A caller over which so many associations were refuted, and none held, is hung up on.
FAILURES_MAX = 3
#: How many claims and proofs wait to be written down; who comes beyond is hung up on, and calls again.
WRITING_MAX = 64
#: The due work of a modem's meters is brought forward so often at most [s], and its facts written down anew.
FORWARD_EVERY_S, FACTS_EVERY_S = 30.0, 300.0
#: How long claims of one address are counted together [s].
CLAIMS_EVERY_S = 60.0
#: Meters that failed by these alone are asked at once: nothing was sent to them.
FORWARDED = (NotCalledIn.code, CallInAway.code, ModemBusy.code)
#: Under which reasons callers are counted in quarantine.
CROWDED, UNKNOWN_MODEM = "headend.call-in-crowded", "headend.unknown-modem"
CLAIM_REFUTED, NO_NAME = "headend.claim-refuted", "headend.call-in-no-name"
UNKNOWN_SOURCE = "?"
Writing = Callable[[Connection, datetime], None]


class CallInExchange:
    """The port that modems call, the callers that are there, and the local socket on which they are asked for."""

    def __init__(
        self, *, database: Database, head_end: HeadEnd, clock: Clock, pushes: PushListener | None = None
    ) -> None:
        """Make an exchange that does not listen yet; `pushes` takes what meters push over their modem."""
        self._database = database
        self._head_end = head_end
        self._settings = head_end.settings
        self._clock = clock
        self._pushes = pushes
        self._tally = QuarantineTally(database=database, clock=clock)
        self._known = KnownModems(database)
        self._numbers = count(1)
        self._callers: dict[str, list[Caller]] = {}
        self._unnamed: dict[int, Caller] = {}
        self._per_source: Counter[str] = Counter()
        self._forwarded: dict[str, float] = {}
        self._forwarding: set[str] = set()
        self._open = 0
        self._writing = 0
        self._pen = PushStorer(store=self._write_together)
        self._claims: Counter[str] = Counter()
        self._claims_since = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._door = CallInDoor(exchange=self)

    async def start(self, *, host: str, port: int) -> None:
        """
        Listen for modems on an address (port 0 takes any free one) and for those who ask on the local socket.

        :raises BrokenSettings: if the address or the socket cannot be listened on.
        """
        if self._settings.call_in_socket is None:
            raise BrokenSettings("the exchange of modems that call in has no local socket to be asked on")
        await asyncio.to_thread(self._write_together, [_all_gone])
        self._pen.start()
        try:
            self._server = await asyncio.start_server(self._serve, host=host, port=port)
            await self._door.start(Path(self._settings.call_in_socket))
        except OSError as problem:
            if self._server is not None:
                self._server.close()
            raise BrokenSettings(
                f"modems cannot call in on {host}:{port} ({problem.strerror or problem}); "
                "set headend.call_in_host and headend.call_in_port"
            ) from None
        self._tally.start()

    @property
    def port(self) -> int:
        """Return the port that modems call."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody, and write down that they are gone."""
        if self._server is not None:
            self._server.close()
        await self._door.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pen.close()
        await self._tally.close()
        await asyncio.to_thread(self._write_together, [_all_gone])

    # What those who ask on the local socket want.

    def best_caller(self, name: str, *, tried: frozenset[int]) -> Caller:
        """
        Return the caller of a name to be tried next.

        :raises NotCalledIn: if there is none that was not tried.
        """
        callers = [
            one for one in self._callers.get(name, ()) if one.number not in tried and not one.is_closed
        ]
        if not callers:
            raise NotCalledIn(f"modem {name} has not called in; the meters behind it are asked when it does")
        return min(callers, key=lambda one: one.order)

    async def held(self, caller: Caller, meter: str) -> None:
        """Trust a caller: an association with a meter has held over it. Others of its name are false."""
        if caller.is_closed or meter not in await self._known.meters(caller.name, now=self._clock.now()):
            return
        caller.failures = caller.silences = 0
        for other in tuple(self._callers.get(caller.name, ())):
            if other is not caller:
                self._refute(other, f"{caller.source} has proved to be modem {caller.name}")
        now_s = asyncio.get_running_loop().time()
        if caller.proven_by and now_s - caller.proven_at < FACTS_EVERY_S:
            return
        caller.proven_by, caller.proven_at = meter, now_s
        name, facts = caller.name, dict(caller.facts)
        await self._write(lambda c, now: modem_store.prove(c, modem=name, meter=meter, facts=facts, now=now))

    def failed(self, caller: Caller, *, meter: str, code: str, is_silent: bool) -> None:
        """Note that no association with a meter came about; who is refuted again and again is hung up on."""
        if is_silent:
            caller.silences += 1
        if caller.proven_by:
            return  # the meter is silent, or refuses, or its keys are other ones: the modem is the true one
        caller.failures += not is_silent
        if caller.failures + caller.silences >= FAILURES_MAX:
            self._refute(caller, f"meter {meter} did not prove itself over it ({code})")

    def _refute(self, caller: Caller, why: str) -> None:
        facts = " ".join(f"{kind}={value}" for kind, value in caller.facts.items())
        self._tally.count(
            sender=caller.source,
            code=CLAIM_REFUTED,
            note=f"claimed to be modem {caller.name}: {why}; {facts}",
        )
        caller.close()

    # What modems do.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        peer = writer.get_extra_info("peername")
        source = str(peer[0]) if isinstance(peer, tuple) else UNKNOWN_SOURCE
        caller = Caller(number=next(self._numbers), source=source, reader=reader, writer=writer)
        if not self._admits(caller):
            self._tally.count(sender=source, code=CROWDED, note="too many connections; it was hung up on")
            writer.transport.abort()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the exchange closes: there is nothing more to do
            await self._hold(caller)

    async def _hold(self, caller: Caller) -> None:
        """Count a caller among those that are there for as long as it is."""
        source = caller.source
        self._per_source[source] += 1
        self._open += 1
        try:
            await self._attend(caller)
        finally:
            self._open -= 1
            self._per_source[source] -= 1
            if not self._per_source[source]:
                del self._per_source[source]
            self._unnamed.pop(caller.number, None)
            caller.close()
            await self._forget(caller)

    async def _attend(self, caller: Caller) -> None:
        """Take what a modem says until it hangs up, or is hung up on."""
        try:
            keep_alive(caller.writer)
            if await self._introduce(caller):
                await self._listen(caller)
        except REFUSED as problem:
            if isinstance(problem, RemoteProtocolError):
                self._tally.count(sender=caller.source, code=problem.code, note=str(problem))

    def _admits(self, caller: Caller) -> bool:
        """Return whether a connection is kept until it has named itself; the oldest unnamed gives way."""
        if (
            self._open >= self._settings.call_in_connections
            or self._per_source[caller.source] >= self._settings.call_in_per_source
        ):
            return False
        same = [one for one in self._unnamed.values() if one.source == caller.source]
        crowd = same if len(same) >= UNNAMED_PER_SOURCE else list(self._unnamed.values())
        if len(same) >= UNNAMED_PER_SOURCE or len(self._unnamed) >= UNNAMED_MAX:
            self._tally.count(
                sender=crowd[0].source, code=CROWDED, note="said nothing while many others called"
            )
            del self._unnamed[crowd[0].number]
            crowd[0].close()
        self._unnamed[caller.number] = caller
        return True

    async def _introduce(self, caller: Caller) -> bool:
        """Wait for a modem to name itself, and return whether it is one that is kept."""
        first_s = self._settings.call_in_first_s
        registration = None
        try:
            async with asyncio.timeout(first_s):
                for _ in range(FRAMES_BEFORE_NAME):
                    _, frame = await caller.next_frame(idle_s=first_s, octets_max=push.PUSH_OCTETS_MAX)
                    registration = await self._take_push(caller, frame)
                    if registration is not None:
                        break
        except TimeoutError:
            self._tally.count(sender=caller.source, code=NO_NAME, note=f"named no modem in {first_s:g} s")
            return False
        if registration is None:
            raise Unexpected("a modem that calls in must name itself first")
        name = registration.device
        meters = await self._known.meters(name, now=self._clock.now())
        if not meters:
            self._tally.count(
                sender=caller.source,
                code=UNKNOWN_MODEM,
                note=f"modem {name} is before no meter of the registry; give its meters the url callin://{name}",
            )
            return False
        if self._writing >= WRITING_MAX or caller.is_closed or not self._may_claim(caller.source):
            self._tally.count(
                sender=caller.source, code=CROWDED, note=f"claims to be modem {name}, too often"
            )
            return False
        self._unnamed.pop(caller.number, None)
        caller.name = name
        self._keep(caller)
        await self._claim(caller, registration, meters=tuple(meters), calls_in=True)
        return True

    def _may_claim(self, source: str) -> bool:
        """Return whether an address may claim once more: as often a minute as it may have connections."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._claims_since > CLAIMS_EVERY_S:
            self._claims_since = now_s
            self._claims.clear()
        self._claims[source] += 1
        return self._claims[source] <= self._settings.call_in_per_source

    def _keep(self, caller: Caller) -> None:
        """Keep a caller beside the others of its name, a few of them: who was refuted or is oldest gives way."""
        same = self._callers.setdefault(caller.name, [])
        rivals = [one for one in same if not one.proven_by]
        for one in rivals:
            if one.source == caller.source and one.conversation is None:
                one.close()  # the same modem again, most likely: its old connection is dead
                same.remove(one)
        rivals = [one for one in same if not one.proven_by]
        if len(same) >= CALLERS_PER_NAME_MAX and rivals:
            worst = max(rivals, key=lambda one: (one.failures, -one.number))
            self._refute(worst, "too many claim this name")
            same.remove(worst)
        same.append(caller)

    async def _claim(
        self, caller: Caller, registration: Registration, *, meters: tuple[str, ...], calls_in: bool
    ) -> None:
        caller.facts = {FactKind.ADDRESS: caller.source, **registration.facts}
        name, facts, source = caller.name, dict(caller.facts), caller.source
        forward = self._may_forward(name)

        def keep(connection: Connection, now: datetime) -> None:
            modem_store.claim(connection, modem=name, facts=facts, source=source, now=now, calls_in=calls_in)
            if forward:
                _bring_forward(connection, meters=meters, now=now)

        await self._write(keep)
        if calls_in and not forward and name not in self._forwarding:
            self._forwarding.add(name)
            task = asyncio.create_task(self._forward_later(name, meters))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _may_forward(self, name: str) -> bool:
        """Return whether the work of a modem's meters may be brought forward again by now, and remember it."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._forwarded.get(name, -FORWARD_EVERY_S) < FORWARD_EVERY_S:
            return False
        self._forwarded[name] = now_s  # as many as the registry has modems
        return True

    async def _forward_later(self, name: str, meters: tuple[str, ...]) -> None:
        """Bring the work of a modem's meters forward when that may be done again, if the modem is still there."""
        await asyncio.sleep(self._forwarded[name] + FORWARD_EVERY_S - asyncio.get_running_loop().time())
        self._forwarding.discard(name)
        if self._callers.get(name) and self._may_forward(name):
            await self._write(lambda c, now: _bring_forward(c, meters=meters, now=now))

    async def _listen(self, caller: Caller) -> None:
        """Take what a modem sends until it hangs up, or says nothing for too long."""
        while not caller.is_closed:
            header, begin = await caller.next_begin(
                idle_s=self._settings.call_in_idle_s, octets_max=FRAME_OCTETS_MAX
            )
            if not is_pushed(begin, own=caller.own(header) is not None):
                await caller.pass_on(header, begin)
                continue
            rest = await caller.whole(header, begin, octets_max=push.PUSH_OCTETS_MAX)
            registration = await self._take_push(caller, begin + rest)
            if registration is None:
                continue
            if registration.device != caller.name:
                raise Unexpected(f"modem {caller.name} now says that it is {registration.device}")
            meters = await self._known.meters(caller.name, now=self._clock.now())
            if self._writing < WRITING_MAX:
                await self._claim(caller, registration, meters=tuple(meters), calls_in=False)

    async def _take_push(self, caller: Caller, frame: bytes) -> Registration | None:
        """Return the registration in a frame; another push goes to the place of pushes."""
        receiver = push.Receiver(security_for=self._security_for)
        receiver.receive_data(frame)
        try:
            pushed = receiver.next_event()
            if isinstance(pushed, Pushed):
                return read_registration(pushed.notification)
        except RemoteProtocolError as problem:
            if self._pushes is None:
                self._tally.count(sender=caller.source, code=problem.code, note=str(problem), frame=frame)
            else:
                await self._pushes.take_frame(frame, peer=caller.source)
        return None

    def _security_for(self, title: bytes) -> Security | None:
        """Return how a registration is opened: it may be plain, it is but a claim; or sealed by a known meter."""
        if not title:
            return Security()
        keys = self._head_end.keys_of_title(title)
        if keys is None:
            return None
        ek, ak = push_keys(keys)
        return Security(
            ciphered=True,
            own_title=self._settings.system_title,
            peer_title=title,
            ek=ek,
            ak=ak,
            next_counter=_never,
        )

    async def _forget(self, caller: Caller) -> None:
        same = self._callers.get(caller.name)
        if same is None or caller not in same:
            return
        same.remove(caller)
        if not same:
            del self._callers[caller.name]
            name = caller.name
            await self._write(lambda c, now: modem_store.leave(c, modem=name, now=now))

    # Writing down.

    async def _write(self, what: Writing) -> None:
        """Write something down, together with what else waits; what the database does not take is logged."""
        self._writing += 1
        try:
            await self._pen.store(what)
        except Exception:
            log.exception("what is known of a modem could not be written down")
        finally:
            self._writing -= 1

    def _write_together(self, what: Sequence[Writing]) -> list[RemoteProtocolError | None]:
        with self._database.write() as connection:
            for one in what:
                one(connection, self._clock.now())
        return [None] * len(what)


def _all_gone(connection: Connection, now: datetime) -> None:
    modem_store.leave(connection, modem=None, now=now)


def _bring_forward(connection: Connection, *, meters: tuple[str, ...], now: datetime) -> None:
    """Let meters that were not reached for want of their modem be asked at once, and supply be given back."""
    session_store.bring_forward(connection, meters=meters, codes=FORWARDED, now=now)
    jobs.bring_forward(connection, kinds=AT_ANY_HOUR, partitions=meters, now=now)


def _never() -> int:
    raise LocalProtocolError("a registration is not answered")
