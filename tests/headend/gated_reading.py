"""A head-end whose gate listens within the same process, so that a test can break either off in changing keys."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.dlms.cosem import Attribute, Method
from bijlighar.headend import contact
from bijlighar.headend.errors import MeterSilent
from bijlighar.headend.gate_keeper import KeptSession
from bijlighar.headend.gate_server import GateServer
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.keys import reading_part
from bijlighar.headend.model import CLIENT_READER, ControlAction, MeterKeys, SignedOrder
from bijlighar.headend.operations import begin_reading_change, change_reading
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.gate_process import GateProcess
from tests.headend.gate_worker import StillClock
from tests.headend.gated_town import GatedTown
from tests.headend.orders import NOW, order, signed
from tests.headend.town import hang
from tests.simulator.towns import MIDNIGHT

KEYS, SECRET = ControlAction.READING_KEYS, ControlAction.READING_SECRET
PAUSE_S, PAUSES_MAX = 0.01, 1_000


class GatedReading:
    """The head-end and the gate of one meter of a gated town."""

    def __init__(self, town: GatedTown, database: Database, folder: Path, *, serial: str) -> None:
        self.town, self.database, self.serial = town, database, serial
        self.address = town.address(serial)
        self.process = GateProcess(folder, keys=list(town.keys.values()))
        self.keeper = self.process.folder.keeper(settings=FAST)
        self.head_end = self.new_head_end()
        url = town.keys[serial].url
        assert url is not None
        since = (MIDNIGHT - timedelta(days=1)).isoformat()
        hang(database, serial=serial, url=url, from_=since, keys=[reading_part(town.keys[serial])])

    def new_head_end(self) -> HeadEnd:
        """The head-end as another process has it, which remembers nothing."""
        return open_head_end(self.database, settings=replace(FAST, gate_socket=self.process.socket))

    def close(self) -> None:
        self.keeper.store.close()

    def gated(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do something while the gate listens."""

        async def whole() -> Any:
            stop, path = asyncio.Event(), self.process.folder.socket
            server = GateServer(keeper=self.keeper, clock=StillClock(NOW))
            serving = asyncio.create_task(server.serve(path, stop=stop))
            for _ in range(PAUSES_MAX):
                if path.exists():
                    break
                await asyncio.sleep(PAUSE_S)
            try:
                return await work()
            finally:
                stop.set()
                await serving

        return asyncio.run(whole())

    def ordered(self, action: ControlAction = KEYS, **changes: Any) -> SignedOrder:
        """Begin a change, or take up one that was begun, and order it."""
        begun = begin_reading_change(self.head_end, serial=self.serial, action=action, now=NOW)
        facts = {"order_id": f"R-{self.serial}-{begun.digest[:16]}", "serial": self.serial, "feeder": None}
        return signed(order(**(facts | {"action": action, "detail": begun.digest} | changes)))

    def carry_out(self, shown: SignedOrder, *, now: datetime = NOW) -> None:
        self.gated(lambda: change_reading(self.database, signed=shown, head_end=self.head_end, now=now))

    def change(self, action: ControlAction = KEYS) -> SignedOrder:
        shown = self.ordered(action)
        self.carry_out(shown)
        return shown

    def keys(self) -> MeterKeys:
        """What the head-end has stored as the meter's keys."""
        fresh = self.new_head_end()
        assert not fresh.load(meters=[self.serial], client=CLIENT_READER)
        return fresh.keys(self.serial)

    def pending(self) -> MeterKeys | None:
        fresh = self.new_head_end()
        assert not fresh.load(meters=[self.serial], client=CLIENT_READER)
        return fresh.pending(self.serial)

    def lets_in(self, keys: MeterKeys) -> bool:
        """Return whether the meter lets a reading client in that holds these keys."""

        async def talk() -> None:
            head_end = self.head_end
            assert not await contact.prepare(
                head_end, meters={self.serial: self.address}, client=CLIENT_READER
            )
            session = await contact.open_with(head_end, keys=keys, address=self.address, client=CLIENT_READER)
            await session.release()
            session.close()

        try:
            asyncio.run(talk())
        except Exception:
            return False
        return True

    def read(self, head_end: HeadEnd | None = None, *, now: datetime = NOW + timedelta(hours=1)) -> None:
        """Open a session as the schedule does."""
        found = head_end or self.head_end

        async def talk() -> None:
            assert not await contact.prepare(found, meters={self.serial: self.address}, client=CLIENT_READER)
            session = await contact.open_prepared(
                found, meter=self.serial, address=self.address, client=CLIENT_READER, now=now
            )
            await session.release()
            session.close()

        asyncio.run(talk())


class Lossy:
    """Loses, once, the request or the answer with which the gate gives a meter something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lose: str = "") -> None:
        self.sent: list[Method | Attribute] = []
        self.lose = lose
        for name in ("perform", "put"):
            monkeypatch.setattr(KeptSession, name, self._losing(getattr(KeptSession, name)))

    def _losing(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def send(session: KeptSession, what: Method | Attribute, octets: bytes) -> Any:
            lost, self.lose = self.lose, ""
            self.sent.append(what)
            if lost == "request":
                raise MeterSilent("the request was lost")
            result = await real(session, what, octets)
            if lost == "answer":
                raise MeterSilent("the answer was lost")
            return result

        return send
