"""Storing what comes over many connections in few transactions: who brings something waits until it is durable."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from bijlighar.dlms.errors import RemoteProtocolError

Item = TypeVar("Item")
Refusals = list[RemoteProtocolError | None]
Waiting = tuple[Item, "asyncio.Future[RemoteProtocolError | None]"]
#: The most that one transaction takes.
TOGETHER_MAX = 500


class PushStorer(Generic[Item]):
    """One task that stores what waits, all of it in one transaction, then what has come meanwhile."""

    def __init__(self, *, store: Callable[[Sequence[Item]], Refusals]) -> None:
        """Store by `store`, which runs in a thread and tells for each item why it was refused, None if stored."""
        self._store = store
        self._waiting: asyncio.Queue[Waiting[Item]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Store what waits, and end."""
        if self._task is None:
            return
        await self._waiting.join()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def store(self, item: Item) -> RemoteProtocolError | None:
        """
        Return when an item is durable, or why it was refused.

        :raises Exception: whatever kept the whole transaction from being stored.
        """
        done: asyncio.Future[RemoteProtocolError | None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, done))
        return await done

    async def _run(self) -> None:
        while True:
            taken = [await self._waiting.get()]
            while not self._waiting.empty() and len(taken) < TOGETHER_MAX:
                taken.append(self._waiting.get_nowait())
            await self._store_together(taken)
            for _ in taken:
                self._waiting.task_done()

    async def _store_together(self, taken: Sequence[Waiting[Item]]) -> None:
        try:
            refusals = await asyncio.to_thread(self._store, [item for item, _ in taken])
        except Exception as problem:
            if len(taken) > 1:  # one that cannot be stored shall not keep the others out
                for one in taken:
                    await self._store_together([one])
            else:
                _tell(taken[0][1], problem)
            return
        for (_, done), refusal in zip(taken, refusals, strict=True):
            if not done.done():
                done.set_result(refusal)


def _tell(done: "asyncio.Future[RemoteProtocolError | None]", problem: Exception) -> None:
    if not done.done():
        done.set_exception(problem)
