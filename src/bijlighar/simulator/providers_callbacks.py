"""Delivering the fake providers' callbacks: soon, several at a time, again and again until they are taken."""

import asyncio
import contextlib
import heapq
import itertools
import json
from collections.abc import Callable

import httpx

from bijlighar.simulator import providers_fate as fate
from bijlighar.simulator.providers_fate import ProviderSecrets
from bijlighar.simulator.providers_memory import ProviderMemory, StoredCallback

MESSAGE_PATH = "/callbacks/whatsapp"
PAYMENT_PATH = "/callbacks/payment"
PHONE_NUMBER_ID = "106540352242922"
SENDERS = 4
RECEIPTS_PER_CALLBACK = 25
TIMEOUT_S = 30.0
PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 1.0
#: Razorpay gives up after 24 hours; at one second a try this is as long.
ATTEMPTS_MAX = 86_400


class Dispatcher:
    """Delivers what the memory holds; whoever adds to it calls `add`."""

    def __init__(self, memory: ProviderMemory, *, callback_base_url: str, secrets: ProviderSecrets) -> None:
        """Deliver to `callback_base_url`; nothing is sent before `run`."""
        self._memory = memory
        self._base = callback_base_url.rstrip("/")
        self._secrets = secrets
        self._due: list[tuple[float, int, int, StoredCallback]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._sender_tasks: list[asyncio.Task[None]] = []

    def add(self, callback: StoredCallback, *, attempt: int = 0) -> None:
        """Deliver a callback after its delay."""
        pause_s = callback.delay_ms / 1000 if attempt == 0 else pause(attempt)
        at = asyncio.get_running_loop().time() + pause_s
        heapq.heappush(self._due, (at, next(self._order), attempt, callback))
        self._wake.set()

    def start(self) -> None:
        """Start delivering, what an earlier process left first."""
        for callback in self._memory.callbacks():
            self.add(callback)
        self._sender_tasks = [asyncio.create_task(self._send_all()) for _ in range(SENDERS)]

    async def stop(self) -> None:
        """Stop delivering; what is not delivered stays in the memory."""
        for task in self._sender_tasks:
            task.cancel()
        for task in self._sender_tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._client.aclose()

    async def post(self, *, path: str, body: bytes, signature: str, event_id: str) -> int:
        """Post one callback and return the answer's status; 0 if there was none."""
        headers = {"Content-Type": "application/json"}
        if path == MESSAGE_PATH:
            headers["X-Hub-Signature-256"] = f"sha256={signature}"
        else:
            headers["X-Razorpay-Signature"] = signature
            headers["x-razorpay-event-id"] = event_id
        try:
            response = await self._client.post(f"{self._base}{path}", content=body, headers=headers)
        except httpx.TransportError:
            return 0
        return response.status_code

    def secret_of(self, path: str) -> str:
        """Return the secret that signs the callbacks to `path`."""
        if path == MESSAGE_PATH:
            return self._secrets.whatsapp_app_secret
        return self._secrets.gateway_webhook_secret

    async def _send_all(self) -> None:
        while True:
            batch = await self._take()
            path = batch[0][1].path
            if _is_receipt(batch[0][1]):
                items = [json.loads(callback.body) for _, callback in batch]
                body = fate.message_callback(items, phone_number_id=PHONE_NUMBER_ID)
            else:
                body = batch[0][1].body.encode()
            status = await self.post(
                path=path,
                body=body,
                signature=fate.signed(self.secret_of(path), body),
                event_id=batch[0][1].event_id,
            )
            if httpx.codes.is_success(status):
                self._memory.delivered([callback.id for _, callback in batch])
                continue
            for attempt, callback in batch:
                if attempt < ATTEMPTS_MAX:
                    self.add(callback, attempt=attempt + 1)

    async def _take(self) -> list[tuple[int, StoredCallback]]:
        """Return what is due next: one callback about a payment, or receipts that share one callback."""
        loop = asyncio.get_running_loop()
        while True:
            if self._due and self._due[0][0] <= loop.time():
                _, _, attempt, callback = heapq.heappop(self._due)
                batch = [(attempt, callback)]
                while _is_receipt(callback) and self._joins(len(batch), loop.time):
                    _, _, attempt, callback = heapq.heappop(self._due)
                    batch.append((attempt, callback))
                return batch
            self._wake.clear()
            wait_s = self._due[0][0] - loop.time() if self._due else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait_s)

    def _joins(self, size: int, now: Callable[[], float]) -> bool:
        """Return whether the next one is due, and a receipt that still fits into the callback."""
        if size >= RECEIPTS_PER_CALLBACK or not self._due:
            return False
        return self._due[0][0] <= now() and _is_receipt(self._due[0][3])


def _is_receipt(callback: StoredCallback) -> bool:
    """Return whether the body is one receipt, of which several go into one callback."""
    return callback.path == MESSAGE_PATH and not callback.event_id


def pause(attempt: int) -> float:
    """
    Return how long to wait before the given attempt from the second on [s].

    >>> [pause(attempt) for attempt in (1, 2, 9)]
    [0.05, 0.1, 1.0]
    """
    return min(PAUSE_FIRST_S * 2.0 ** min(attempt - 1, 10), PAUSE_MAX_S)
