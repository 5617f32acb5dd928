"""A real MQTT broker in the test's own loop, one who listens at it, and a line to it that can be cut."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiomqtt
from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from tests.simulator.towns import free_ports

HOST = "127.0.0.1"
PATIENCE_S = 10.0
LOOK_EVERY_S = 0.01
A_MOMENT_S = 0.2
OPEN_TO_ALL = "amqtt.plugins.authentication.AnonymousAuthPlugin"
PASSWORD = "howl"


class OnlyThePlant(BaseAuthPlugin):
    """Lets in the user `plant` with the right password."""

    async def authenticate(self, *, session: Session) -> bool:
        return (session.username, session.password) == ("plant", PASSWORD)


class RunningBroker:
    """A broker that can be stopped and started again on its port; it forgets what it retained."""

    def __init__(self, *, guarded: bool = False) -> None:
        self.port = free_ports(1)
        self._plugin = f"{__name__}.{OnlyThePlant.__name__}" if guarded else OPEN_TO_ALL
        self._broker: Broker | None = None

    async def __aenter__(self) -> "RunningBroker":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        listener = {"type": "tcp", "bind": f"{HOST}:{self.port}"}
        self._broker = Broker({"listeners": {"default": listener}, "plugins": {self._plugin: {}}})
        await self._broker.start()

    async def stop(self) -> None:
        if self._broker is not None:
            await self._broker.shutdown()
        self._broker = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message: the last part of its topic, its text, and whether the broker had kept it."""

    topic: str
    text: str
    kept: bool

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.text)
        assert isinstance(found, dict)
        return found


@dataclass
class Listener:
    """Everything heard below a topic, in order."""

    heard: list[Heard] = field(default_factory=list)

    def of(self, topic: str) -> list[Heard]:
        return [one for one in self.heard if one.topic == topic]

    async def wait(self, topic: str, count: int = 1) -> list[Heard]:
        """The first messages of a topic, when there are so many."""
        await until(lambda: len(self.of(topic)) >= count)
        return self.of(topic)


@contextlib.asynccontextmanager
async def listening(port: int, topic: str) -> AsyncIterator[Listener]:
    listener = Listener()
    async with aiomqtt.Client(HOST, port) as client:
        await client.subscribe(f"{topic}/#", qos=1)

        async def hear() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                heard = Heard(
                    topic=str(message.topic).removeprefix(f"{topic}/"),
                    text=message.payload.decode(),
                    kept=message.retain,
                )
                listener.heard.append(heard)

        task = asyncio.create_task(hear())
        try:
            yield listener
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await task


async def kept(port: int, topic: str) -> dict[str, str]:
    """What the broker has kept below a topic, as one finds it who comes now; it keeps at least who serves."""
    async with listening(port, topic) as latecomer:
        await latecomer.wait("server")
        await asyncio.sleep(A_MOMENT_S)
        return {one.topic: one.text for one in latecomer.heard if one.kept}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a broker and in sockets
            await asyncio.sleep(LOOK_EVERY_S)


class CutLine:
    """A line to a broker: it passes on, falls mute (who calls then never gets through), or is cut without a word."""

    def __init__(self, *, to: int) -> None:
        self.port = free_ports(1)
        self.accepted = 0
        self.mute = False
        self._to = to
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "CutLine":
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await until(lambda: not self._tasks)
        await self._server.wait_closed()

    @property
    def standing(self) -> int:
        """How many connections to the line are open."""
        return len(self._tasks)

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._ends.add(writer)
        self.accepted += 1
        if self.mute:
            await self._pass_on(reader, None)
        else:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._to)
            self._ends.add(far_writer)
            back = asyncio.create_task(self._pass_on(far_reader, writer))
            await self._pass_on(reader, far_writer)
            far_writer.transport.abort()
            await back
            self._ends.discard(far_writer)
        writer.transport.abort()
        self._ends.discard(writer)
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(4096):
                if writer is not None and not self.mute:
                    writer.write(octets)
                    await writer.drain()
