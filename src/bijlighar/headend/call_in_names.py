"""Which modems the registry expects to call in, and the meters behind each: read anew now and then."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from bijlighar.headend.errors import BrokenUrl
from bijlighar.headend.permits import CALL_IN_SCHEME
from bijlighar.headend.tcp import parse_url
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

#: How old what was read may be [s]; an unknown name has it read again, but no more often than this.
KNOWN_FOR_S, AGAIN_AFTER_S = 60.0, 2.0


class KnownModems:
    """The names that the registry knows: the only ones that are kept."""

    def __init__(self, database: Database) -> None:
        """Begin with none read."""
        self._database = database
        self._known: Mapping[str, frozenset[str]] = {}
        self._read_at = -KNOWN_FOR_S
        self._reading = asyncio.Lock()

    async def meters(self, name: str, *, now: datetime) -> frozenset[str]:
        """Return the serials of the meters behind a modem, none if the registry knows no such modem."""
        loop = asyncio.get_running_loop()
        limit_s = KNOWN_FOR_S if name in self._known else AGAIN_AFTER_S
        if loop.time() - self._read_at >= limit_s:
            async with self._reading:
                if loop.time() - self._read_at >= limit_s:
                    self._known = await asyncio.to_thread(self._read, now)
                    self._read_at = loop.time()
        return self._known.get(name, frozenset())

    def _read(self, now: datetime) -> Mapping[str, frozenset[str]]:
        hanging = registry.communicating_statement(hung_at=now).subquery("hanging")
        statement = hanging.select().where(hanging.c.url.startswith(CALL_IN_SCHEME))
        found: dict[str, set[str]] = {}
        with self._database.read() as connection:
            for row in connection.execute(statement):
                try:
                    found.setdefault(parse_url(row.url).host, set()).add(row.meter)
                except BrokenUrl:
                    continue
        return {name: frozenset(meters) for name, meters in found.items()}
