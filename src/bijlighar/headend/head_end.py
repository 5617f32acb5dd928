"""The opened head-end: settings, keys, counters and what is remembered of meters, for the life of one process."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from bijlighar.base.errors import BijligharError
from bijlighar.dlms.security import Security
from bijlighar.headend import keys_store
from bijlighar.headend.access import client_security
from bijlighar.headend.counters import Counters
from bijlighar.headend.errors import BrokenSettings, SealedKeys, UnknownMeterKeys
from bijlighar.headend.model import CLIENT_READER, CLIENT_SETTING, HeadEndSettings, Lane, MeterKeys
from bijlighar.headend.permits import Permits
from bijlighar.storage.engine import Database

TITLE_OCTETS = 8
#: How many meters' opened keys one process remembers.
KEYS_REMEMBERED = 100_000


class HeadEnd:
    """What sessions need: made once per process by `open_head_end`."""

    def __init__(self, *, database: Database, settings: HeadEndSettings) -> None:
        """Begin with nothing remembered."""
        self.settings = settings
        self.counters = Counters(database)
        self._database = database
        self._keys: dict[str, MeterKeys] = {}
        self._by_title: dict[bytes, MeterKeys] = {}
        self._received: dict[tuple[str, int], int] = {}
        self._permits: Permits | None = None
        self._permits_of: asyncio.AbstractEventLoop | None = None

    def load(self, *, meters: Sequence[str], client: int) -> Mapping[str, BijligharError]:
        """Remember the keys of meters and the last counters of theirs; return whose keys are absent or sealed."""
        if len(self._keys) > KEYS_REMEMBERED:
            self._keys.clear()
        unknown = [meter for meter in meters if meter not in self._keys]
        unheard = [meter for meter in meters if (meter, client) not in self._received]
        if not unknown and not unheard:
            return {}
        with self._database.read() as connection:
            rows = keys_store.sealed_keys(connection, serials=unknown)
            received = keys_store.received_counters(connection, meters=unheard, client=client)
        problems: dict[str, BijligharError] = {}
        for row in rows:
            try:
                self._keys[row.serial] = row.unseal(key_encryption_key=self.settings.key_encryption_key)
            except SealedKeys as problem:
                problems[row.serial] = problem
        for meter in unheard:
            self._received[meter, client] = received.get(meter, -1)
        for meter in unknown:
            if meter not in self._keys and meter not in problems:
                problems[meter] = _no_keys(meter)
        return problems

    def keys(self, meter: str) -> MeterKeys:
        """
        Return the keys of a meter that were loaded.

        :raises UnknownMeterKeys: if none are stored.
        """
        try:
            return self._keys[meter]
        except KeyError:
            raise _no_keys(meter) from None

    def keys_of_title(self, title: bytes) -> MeterKeys | None:
        """Return the keys of the one meter with a system title, None if there is none or they do not open."""
        known = self._by_title.get(title)
        if known is not None:
            return known
        with self._database.read() as connection:
            row = keys_store.sealed_keys_of_title(connection, system_title=title)
        if row is None:
            return None
        try:
            keys = row.unseal(key_encryption_key=self.settings.key_encryption_key)
        except SealedKeys:
            return None
        if len(self._by_title) >= KEYS_REMEMBERED:
            self._by_title.clear()
        self._by_title[title] = keys
        return keys

    def know_title(self, *, meter: str, title: bytes | None) -> None:
        """Remember a title that a meter has proved and its keys do not name: it pushes under that."""
        keys = self._keys.get(meter)
        if title and keys is not None and title != keys.system_title:
            if len(self._by_title) >= KEYS_REMEMBERED:
                self._by_title.clear()
            self._by_title[title] = keys

    def forget_title(self, title: bytes) -> None:
        """Read the keys of the meter with a system title from the database again when they are next needed."""
        self._by_title.pop(title, None)

    def forget(self, meter: str) -> None:
        """Read the keys of a meter from the database again when they are next needed."""
        keys = self._keys.pop(meter, None)
        if keys is not None:
            self._by_title.pop(keys.system_title, None)
        for client in (CLIENT_READER, CLIENT_SETTING):
            self._received.pop((meter, client), None)

    def security(self, *, meter: str, client: int) -> Security | None:
        """
        Return how to speak with a meter as `client`.

        :raises UnknownMeterKeys: if the keys that it needs are absent.
        :raises BrokenQuirk: if its quirk file cannot be used.
        """
        return self._security(self.keys(meter), client, self._received.get((meter, client), -1))

    def new_security(self, *, keys: MeterKeys, client: int) -> Security | None:
        """
        Return how to speak with a meter by keys that it may have or not; nothing was heard under them yet.

        :raises UnknownMeterKeys: if the keys that it needs are absent.
        """
        return self._security(keys, client, -1)

    def _security(self, keys: MeterKeys, client: int, received_counter: int) -> Security | None:
        return client_security(
            client=client,
            keys=keys,
            system_title=self.settings.system_title,
            next_counter=self.counters.source(meter=keys.serial, client=client),
            received_counter=received_counter,
            quirk=self.settings.quirks.of_serial(keys.serial),
        )

    def pending(self, meter: str) -> MeterKeys | None:
        """
        Return the keys that are on their way into a meter whose keys are loaded, None if none are.

        :raises SealedKeys: if they do not open.
        """
        with self._database.read() as connection:
            return keys_store.change_of(
                connection, keys=self.keys(meter), key_encryption_key=self.settings.key_encryption_key
            )

    def begin(self, keys: MeterKeys, *, now: datetime) -> MeterKeys:
        """
        Keep new keys beside those that a meter is known to have; return those begun before, where there are any.

        :raises SealedKeys: if there is no key to seal them under.
        """
        with self._database.write() as connection:
            key = self.settings.key_encryption_key
            keys_store.begin_change(connection, keys=keys, key_encryption_key=key, now=now)
            begun = keys_store.change_of(connection, keys=keys, key_encryption_key=key)
        return begun or keys

    def settle(self, keys: MeterKeys, *, client: int, now: datetime) -> bool:
        """Make keys that the meter has proved to have its keys; return False if they were on their way no more."""
        before = self.keys(keys.serial)
        ciphers = (client,) if (before.ek, before.ak) != (keys.ek, keys.ak) else ()
        with self._database.write() as connection:
            is_settled = keys_store.end_change(
                connection,
                keys=keys,
                key_encryption_key=self.settings.key_encryption_key,
                now=now,
                ciphers=ciphers,
            )
        self.forget(keys.serial)
        self.load(meters=[keys.serial], client=client)
        return is_settled

    def abandon(self, keys: MeterKeys) -> None:
        """Forget new keys that the meter has said it does not take, and has proved not to have."""
        with self._database.write() as connection:
            keys_store.drop_change(connection, keys=keys, key_encryption_key=self.settings.key_encryption_key)

    def permit(
        self,
        *,
        meter: str,
        gateway: str | None,
        lane: Lane,
        failures: int = 0,
        wait_s: float | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Return what a session must hold; what it waits for is told at `Permits.hold`."""
        loop = asyncio.get_running_loop()
        if self._permits is None or loop is not self._permits_of:  # they live and die with their event loop
            self._permits_of = loop
            self._permits = Permits(
                places=self.settings.concurrency,
                urgent_places=self.settings.control_concurrency,
                gateway_places=self.settings.gateway_concurrency,
            )
        return self._permits.hold(meter=meter, gateway=gateway, lane=lane, failures=failures, wait_s=wait_s)

    def heard(self, *, meter: str, client: int, counter: int) -> None:
        """Remember the last counter of a meter that held; what is lower will not be believed again."""
        key = (meter, client)
        if counter > self._received.get(key, -1):
            self._received[key] = counter

    def heard_counters(self, *, meters: Sequence[str], client: int) -> Mapping[str, int]:
        """Return the last counters that held."""
        found = ((meter, self._received.get((meter, client), -1)) for meter in meters)
        return {meter: counter for meter, counter in found if counter >= 0}


def open_head_end(database: Database, *, settings: HeadEndSettings) -> HeadEnd:
    """
    Return the head-end of this process.

    :raises BrokenSettings: if a setting that has nothing to do with the gate cannot be used; what the gate needs
        is left to the gate, which shuts if it is broken.
    """
    limits = {
        "concurrency": settings.concurrency,
        "gateway_concurrency": settings.gateway_concurrency,
        "connect_timeout_s": settings.connect_timeout_s,
        "answer_timeout_s": settings.answer_timeout_s,
        "session_timeout_s": settings.session_timeout_s,
        "backfill_days": settings.backfill_days,
        "sessions_per_commit": settings.sessions_per_commit,
        "control_concurrency": settings.control_concurrency,
        "control_timeout_s": settings.control_timeout_s,
        "verify_tries": settings.verify_tries,
    }
    for name, value in limits.items():
        if not value > 0:
            raise BrokenSettings(f"the head-end's {name} must be above 0, not {value!r}")
    if settings.collect_client not in (CLIENT_READER, CLIENT_SETTING):
        raise BrokenSettings(
            f"the head-end collects as client {CLIENT_READER} or {CLIENT_SETTING}, not {settings.collect_client}"
        )
    if len(settings.system_title) != TITLE_OCTETS:
        raise BrokenSettings(f"the head-end's system title must be {TITLE_OCTETS} octets")
    if settings.control_lease_s < 2 * settings.control_timeout_s:
        raise BrokenSettings("control_lease_s must be at least twice control_timeout_s")
    if not settings.control_retry_s or not all(delay > 0 for delay in settings.control_retry_s):
        raise BrokenSettings("control_retry_s must name at least one time above 0")
    return HeadEnd(database=database, settings=settings)


def _no_keys(meter: str) -> UnknownMeterKeys:
    return UnknownMeterKeys(
        f"no keys are stored for meter {meter}; store them with: bijlighar registry keys FILE"
    )
