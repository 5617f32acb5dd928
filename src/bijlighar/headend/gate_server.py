"""The gate's process: it listens on a socket that only its own user may open, and answers one question at a time."""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bijlighar.base.clock import Clock
from bijlighar.base.errors import BijligharError
from bijlighar.headend import gate_keys, gate_settings, gate_upkeep
from bijlighar.headend.errors import BrokenOrder, GateRuns
from bijlighar.headend.gate_keeper import GateKeeper, KeptSession
from bijlighar.headend.gate_upkeep import Firmware, GaveWay
from bijlighar.headend.gate_wire import (
    LINE_LIMIT,
    Message,
    octets_message,
    parse_address,
    parse_attribute,
    parse_octets,
    parse_request,
    read_message,
    short_name,
    write_message,
)
from bijlighar.headend.reading_change import public_key_of

log = logging.getLogger(__name__)

LOCK_FILE = "gate.lock"
PRIVATE_SOCKET = 0o600
#: How many conversations the gate holds at one time.
CONNECTIONS_MAX = 256


class _Turns:
    """Who speaks with a meter: one at a time, lest its counters arrive out of order; others wait as they came."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def take(self, serial: str) -> None:
        lock, users = self._locks.get(serial, (asyncio.Lock(), 0))
        self._locks[serial] = (lock, users + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave(serial)
            raise

    def give(self, serial: str) -> None:
        self._locks[serial][0].release()
        self._leave(serial)

    def is_wanted(self, serial: str) -> bool:
        """Return whether somebody waits for a meter that another holds."""
        return self._locks[serial][1] > 1

    def _leave(self, serial: str) -> None:
        lock, users = self._locks.pop(serial)
        if users > 1:
            self._locks[serial] = (lock, users - 1)

    @contextlib.asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[None]:
        await self.take(serial)
        try:
            yield
        finally:
            self.give(serial)


@dataclass(slots=True)
class _Talk:
    """What one connection of the head-end has open: a conversation with a meter, and its turn with it."""

    turns: _Turns
    session: KeptSession | None = None
    serial: str = ""
    has_turn: bool = False

    async def take_turn(self, serial: str) -> None:
        self.close()
        self.serial = serial
        await self.turns.take(serial)
        self.has_turn = True

    def close(self) -> None:
        try:
            if self.session is not None:
                self.session.close()
                self.session = None
        finally:
            if self.has_turn:
                self.has_turn = False
                self.turns.give(self.serial)


class UnknownQuestion(BrokenOrder):
    """The gate was asked what it does not understand."""

    code = "headend.gate-unknown-question"


@dataclass(slots=True)
class GateServer:
    """Answers the head-end's questions until it is told to stop."""

    keeper: GateKeeper
    clock: Clock
    _open: int = field(default=0, init=False)
    _turns: _Turns = field(default_factory=_Turns, init=False)

    async def serve(self, path: Path, *, stop: asyncio.Event) -> None:
        """
        Listen on the socket `path` until told to stop.

        :raises GateRuns: if another gate runs on the same folder.
        """
        with _only_one(path.parent), _bound(path) as listening:
            server = await asyncio.start_unix_server(self._talk, sock=listening, limit=LINE_LIMIT)
            async with server:
                await stop.wait()
                server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = _Talk(turns=self._turns)
        self._open += 1
        try:
            while self._open <= CONNECTIONS_MAX:
                message = await read_message(reader)
                if message is None:
                    return
                await write_message(writer, await self._answer(talk, message))
        except (OSError, BijligharError) as problem:
            log.warning("a caller of the gate was cut off: %s", problem)
        finally:
            self._open -= 1
            with contextlib.suppress(Exception):
                talk.close()
            writer.close()

    async def _answer(self, talk: _Talk, message: Message) -> Message:
        what = message.get("ask")
        answer = self._ANSWERS.get(what) if isinstance(what, str) else None
        try:
            if answer is None:
                raise UnknownQuestion(f"the gate does not understand {what!r}")
            return {"answer": await answer(self, talk, message)}
        except BijligharError as problem:
            log.info("%s %s: %s [%s]", what, talk.serial, problem, problem.code)
            return {"error": problem.code, "text": str(problem)}
        except (ValueError, KeyError, TypeError) as problem:
            log.warning("%s: a broken question (%r)", what, problem)
            return {"error": UnknownQuestion.code, "text": f"the question {what!r} is broken ({problem!r})"}

    async def _grant(self, _talk: _Talk, message: Message) -> str:
        request = parse_request(message)
        code = await self.keeper.grant(request, now=self.clock.now())
        log.info("%s of %s for %s: %s", request.action, request.order_id, request.serial, code.value)
        return code.value

    async def _admit(self, _talk: _Talk, message: Message) -> str:
        request = parse_request(message)
        code = self.keeper.admit(request, now=self.clock.now())
        log.info("%s of %s for %s: %s", request.action, request.order_id, request.serial, code.value)
        return code.value

    async def _close(self, _talk: _Talk, message: Message) -> None:
        await self.keeper.close_order(str(message["order_id"]), now=self.clock.now())

    async def _open_meter(self, talk: _Talk, message: Message) -> None:
        serial, address = str(message["serial"]), parse_address(message["address"])
        await talk.take_turn(serial)
        try:
            talk.session = await self.keeper.open(serial=serial, address=address, now=self.clock.now())
        except BaseException:
            talk.close()
            raise

    async def _relay(self, talk: _Talk, _message: Message) -> Message:
        relay = await _session(talk).read_relay()
        return {
            "output_state": relay.output_state,
            "control_state": relay.control_state,
            "control_mode": relay.control_mode,
        }

    async def _get(self, talk: _Talk, message: Message) -> str | None:
        return octets_message(await _session(talk).get_if_any(parse_attribute(message["attribute"])))

    async def _set_clock(self, talk: _Talk, _message: Message) -> None:
        await _session(talk).set_clock(now=self.clock.now())

    async def _act(self, talk: _Talk, message: Message) -> int:
        return await _session(talk).act(str(message["order_id"]), now=self.clock.now())

    async def _release(self, talk: _Talk, _message: Message) -> tuple[int, int]:
        session = _session(talk)
        await session.release()
        octets = session.octets
        talk.close()
        return octets

    async def _change_keys(self, _talk: _Talk, message: Message) -> None:
        serial = str(message["serial"])
        async with self._turns.hold(serial):
            await gate_keys.change_keys(
                self.keeper,
                order_id=str(message["order_id"]),
                serial=serial,
                address=parse_address(message["address"]),
                now=self.clock.now(),
            )

    async def _change_secret(self, _talk: _Talk, message: Message) -> None:
        serial = str(message["serial"])
        async with self._turns.hold(serial):
            await gate_keys.change_secret(
                self.keeper,
                order_id=str(message["order_id"]),
                serial=serial,
                address=parse_address(message["address"]),
                now=self.clock.now(),
            )

    async def _envelope_key(self, _talk: _Talk, _message: Message) -> str:
        return public_key_of(self.keeper.own_key()).hex()

    async def _reading(self, _talk: _Talk, message: Message) -> None:
        serial = str(message["serial"])
        async with self._turns.hold(serial):
            await gate_keys.send_reading_change(
                self.keeper,
                order_id=str(message["order_id"]),
                serial=serial,
                address=parse_address(message["address"]),
                sealed=parse_octets(message["sealed"]) or b"",
                now=self.clock.now(),
            )

    async def _read_back(self, _talk: _Talk, message: Message) -> None:
        serial, is_good = str(message["serial"]), message["is_good"] is True
        log.info("%s at %s was read back: %s", message["order_id"], serial, "good" if is_good else "bad")
        async with self._turns.hold(serial):
            await gate_keys.read_back(
                self.keeper,
                order_id=str(message["order_id"]),
                serial=serial,
                address=parse_address(message["address"]),
                is_good=is_good,
                now=self.clock.now(),
            )

    async def _firmware(self, _talk: _Talk, message: Message) -> None:
        firmware = Firmware(version=str(message["version"]), octets=parse_octets(message["image"]) or b"")
        serial, is_done = str(message["serial"]), False
        while not is_done:  # an image takes long: who wants the relay meanwhile goes first
            async with self._turns.hold(serial):
                with contextlib.suppress(GaveWay):
                    await gate_upkeep.send_firmware(
                        self.keeper,
                        order_id=str(message["order_id"]),
                        serial=serial,
                        address=parse_address(message["address"]),
                        firmware=firmware,
                        now=self.clock.now(),
                        is_wanted=lambda: self._turns.is_wanted(serial),
                    )
                    is_done = True

    async def _settings(self, _talk: _Talk, message: Message) -> list[str]:
        serial = str(message["serial"])
        async with self._turns.hold(serial):
            written = await gate_settings.send_settings(
                self.keeper,
                order_id=str(message["order_id"]),
                serial=serial,
                address=parse_address(message["address"]),
                text=str(message["document"]),
                now=self.clock.now(),
            )
        return list(written)

    async def _outcomes(self, _talk: _Talk, message: Message) -> Mapping[str, str]:
        return gate_settings.outcomes(self.keeper, digest=str(message["digest"]))

    _ANSWERS: ClassVar[Mapping[str, Callable[..., Awaitable[Any]]]] = {
        "grant": _grant,
        "admit": _admit,
        "close": _close,
        "open": _open_meter,
        "relay": _relay,
        "get": _get,
        "set_clock": _set_clock,
        "act": _act,
        "release": _release,
        "change_keys": _change_keys,
        "change_secret": _change_secret,
        "envelope_key": _envelope_key,
        "reading": _reading,
        "read_back": _read_back,
        "firmware": _firmware,
        "settings": _settings,
        "outcomes": _outcomes,
    }


def _session(talk: _Talk) -> KeptSession:
    if talk.session is None:
        raise UnknownQuestion("no conversation with a meter is open")
    return talk.session


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    """Yield a socket at `path` that only our own user may open."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        with short_name(path) as name:
            listening.bind(name)
        path.chmod(PRIVATE_SOCKET)
        yield listening
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GateRuns(f"a gate already runs on {folder}; stop it first") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
