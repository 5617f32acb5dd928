"""The siren behind an MQTT broker (QoS 1), and the one that is not there."""

import asyncio
import contextlib
import json

import aiomqtt

from bijlighar.alarms.errors import SirenUnreachable
from bijlighar.alarms.model import SirenSettings
from bijlighar.base.clock import Clock

AT_LEAST_ONCE = 1
REASON_MAX = 200
OFFLINE, ONLINE = "offline", "online"
#: How long a process that ends waits for the broker; "on" ends without it too.
PARTING_S = 0.5


class NoSiren:
    """No siren is set up: nothing is sent, and what would have sounded is kept in the database alone."""

    async def set(self, *, on: bool, level: str, reason: str, lease_s: int) -> None:
        """Do nothing."""

    async def probe(self) -> bool:
        """Return False."""
        return False

    async def close(self) -> None:
        """Do nothing."""


class MqttSiren:
    """
    A siren that listens to `TOPIC/set`.

    `TOPIC/set` carries `{"on", "level", "reason", "lease_s"}` and is never retained: a broker that comes back shall
    not sound a siren by itself. `TOPIC/state` is retained and says, with its time, what was last asked for.
    `TOPIC/server` is retained, "online" or (by the broker, when this process is gone) "offline". The same word is
    repeated only every `refresh_s`, which is the server's heartbeat too.
    """

    def __init__(self, *, settings: SirenSettings, clock: Clock) -> None:
        """Name the siren; nothing is connected before it is told something."""
        self._settings = settings
        self._clock = clock
        self._client: aiomqtt.Client | None = None
        self._joining: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._said: tuple[bool, str, str] | None = None
        self._said_at = 0.0

    async def set(self, *, on: bool, level: str, reason: str, lease_s: int) -> None:
        """
        Sound, or be still; "on" ends by itself after `lease_s` [s] unless it is said again.

        :raises SirenUnreachable: if the broker does not take it.
        """
        said = (on, level, reason)
        async with self._lock:
            pause_s = asyncio.get_running_loop().time() - self._said_at
            if said == self._said and pause_s < self._settings.refresh_s:
                return
            command = {
                "on": on,
                "level": level,
                "reason": reason[:REASON_MAX],
                "lease_s": lease_s if on else 0,
            }
            state = {
                "on": on,
                "level": level,
                "lease_s": command["lease_s"],
                "at": self._clock.now().isoformat(),
            }
            await self._publish("set", command, retain=False)
            await self._publish("state", state, retain=True)
            self._said = said
            self._said_at = asyncio.get_running_loop().time()

    async def probe(self) -> bool:
        """Return whether the broker takes a word now."""
        async with self._lock:
            try:
                await self._publish("server", ONLINE, retain=True)
            except SirenUnreachable:
                return False
        return True

    async def close(self) -> None:
        """Leave the broker; a siren that sounds ends with its lease."""
        async with self._lock:
            if self._joining is not None:
                await asyncio.wait({self._joining}, timeout=PARTING_S)
            if self._client is not None:
                with contextlib.suppress(SirenUnreachable):
                    await self._publish("server", OFFLINE, retain=True, limit_s=PARTING_S)
            await self._leave()

    async def _publish(
        self, topic: str, document: object, *, retain: bool, limit_s: float | None = None
    ) -> None:
        payload = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
        try:
            async with asyncio.timeout(limit_s or self._settings.timeout_s):
                client = await self._join()
                await client.publish(
                    f"{self._settings.topic}/{topic}", payload, qos=AT_LEAST_ONCE, retain=retain
                )
        except (aiomqtt.MqttError, OSError, TimeoutError) as problem:
            await self._leave()
            place = f"{self._settings.host}:{self._settings.port}"
            raise SirenUnreachable(
                f"the siren's broker {place} does not answer ({str(problem) or 'it is too slow'})"
            ) from None

    async def _join(self) -> aiomqtt.Client:
        """Return the client; one that is still on its way is waited for, and there is never a second."""
        while self._client is None:
            if self._joining is None:
                self._joining = asyncio.create_task(self._connect())
                self._joining.add_done_callback(_take_note)  # whoever waited may have gone
            await asyncio.shield(self._joining)
        return self._client

    async def _connect(self) -> None:
        """
        Connect and say "online".

        Nobody who waits for it may cancel it: a connection given up half-way is left open by the library, and one
        more a second would use up the process's descriptors.
        """
        client = aiomqtt.Client(
            self._settings.host,
            self._settings.port,
            username=self._settings.username or None,
            password=self._settings.password or None,
            will=aiomqtt.Will(f"{self._settings.topic}/server", OFFLINE, qos=AT_LEAST_ONCE, retain=True),
            keepalive=max(self._settings.refresh_s * 3, 10),
            timeout=self._settings.timeout_s,
        )
        try:
            await client.__aenter__()
            await client.publish(f"{self._settings.topic}/server", ONLINE, qos=AT_LEAST_ONCE, retain=True)
        except BaseException:
            client._client.disconnect()  # noqa: SLF001 - the library does not hang up on a broker that is mute
            raise
        finally:
            self._joining = None
        self._client = client

    async def _leave(self) -> None:
        client, self._client, self._said = self._client, None, None
        if client is None:
            return
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await client.__aexit__(None, None, None)
        except (aiomqtt.MqttError, OSError, TimeoutError):
            return


def _take_note(task: asyncio.Task[None]) -> None:
    """Look at how a task ended, that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
