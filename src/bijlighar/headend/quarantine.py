"""Counting what is refused without a transaction for each: a flood costs a row a second, not one a datagram."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from bijlighar.base.clock import Clock
from bijlighar.headend import push_store
from bijlighar.headend.push_store import OTHER_SENDERS
from bijlighar.storage.engine import Database

log = logging.getLogger(__name__)

FLUSH_EVERY_S = 1.0
#: How many (sender, reason) are told apart between two writings; what comes beyond is counted together.
APART_MAX = 256


@dataclass(slots=True)
class _Held:
    count: int
    note: str
    frame: bytes


class QuarantineTally:
    """What was refused since it was last written down."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        """Begin with nothing."""
        self._database = database
        self._clock = clock
        self._held: dict[tuple[str, str], _Held] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write down now and then."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write down what is left, and end."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._flush()

    def count(self, *, sender: str, code: str, note: str, frame: bytes = b"", times: int = 1) -> None:
        """Count what was refused; of each sender and reason the last frame is kept."""
        key = (sender, code)
        if key not in self._held and len(self._held) >= APART_MAX:
            key = (OTHER_SENDERS, code)
        held = self._held.get(key)
        kept = frame[: push_store.FRAME_LENGTH]
        if held is None:
            self._held[key] = _Held(count=times, note=note, frame=kept)
        else:
            held.count, held.note, held.frame = held.count + times, note, kept

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self._flush()

    async def _flush(self) -> None:
        held, self._held = self._held, {}
        if not held:
            return

        def keep() -> None:
            with self._database.write() as connection:
                for (sender, code), one in held.items():
                    push_store.quarantine(
                        connection,
                        sender=sender,
                        code=code,
                        note=one.note,
                        frame=one.frame,
                        count=one.count,
                        now=self._clock.now(),
                    )

        try:
            await asyncio.to_thread(keep)
        except Exception:
            log.exception("what was refused could not be written down; it is tried again")
            for (sender, code), one in held.items():
                self.count(sender=sender, code=code, note=one.note, frame=one.frame, times=one.count)
