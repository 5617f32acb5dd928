"""Consoles that listen and do nothing else: what they are sent is read and counted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

READ_OCTETS = 65_536


@dataclass(slots=True)
class Consoles:
    """Some listeners of one web server, and how many frames they were sent."""

    frames: int = 0
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls, base: str, *, cookie: str, count: int) -> AsyncIterator["Consoles"]:
        """Let `count` consoles listen until the end of the block."""
        consoles = cls()
        ready = [asyncio.Event() for _ in range(count)]
        consoles.tasks = [asyncio.create_task(consoles._listen(base, cookie, event)) for event in ready]
        await asyncio.gather(*(event.wait() for event in ready))
        try:
            yield consoles
        finally:
            for task in consoles.tasks:
                task.cancel()
            await asyncio.gather(*consoles.tasks, return_exceptions=True)

    async def _listen(self, base: str, cookie: str, ready: asyncio.Event) -> None:
        place = urlsplit(base)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        request = (
            f"GET /live?lang=hi HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {cookie}\r\n"
            "Accept: text/event-stream\r\n\r\n"
        )
        writer.write(request.encode())
        try:
            while data := await reader.read(READ_OCTETS):
                ready.set()
                self.frames += data.count(b"event: ")
        finally:
            ready.set()
            writer.close()
