"""`serve` keeps the gate running as a child; an older home's keys are parted when the gate is founded."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import uvloop

from bijlighar.headend import keys_store
from bijlighar.headend.errors import GateAway
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.operations import store_keys
from bijlighar.runtime.gate_process import keep_gate
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from tests.headend.orders import NOW, meter_keys

PATIENCE_S = 120.0


async def gate_pid(line: Line, *, other_than: int = 0) -> int:
    """Wait until a gate answers, and return its process id."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await asyncio.sleep(0.05)
            try:
                await RemoteGate(str(line.gate.socket)).ask("close", order_id="nobody's")
            except GateAway:
                continue
            pid = int((line.gate.path / "gate.lock").read_text())
            if pid != other_than:
                return pid


class TestKeepGate:
    @pytest.mark.parametrize("runs", [asyncio.run, uvloop.run])
    def test_starts_a_killed_gate_again_and_ends_it_at_the_end(self, tmp_path: Path, runs):
        line = Line(Home(tmp_path / "home"))

        async def scenario() -> tuple[int, int]:
            stop = asyncio.Event()
            keeping = asyncio.create_task(keep_gate(line, stop=stop))
            first = await gate_pid(line)
            os.kill(first, signal.SIGKILL)
            second = await gate_pid(line, other_than=first)
            stop.set()
            await keeping
            return first, second

        first, second = runs(scenario())

        assert first != second
        with pytest.raises(ProcessLookupError):
            os.kill(second, 0)
        assert not line.gate.socket.exists()


class TestFoundGate:
    def test_parts_the_keys_of_an_older_home_once(self, tmp_path: Path):
        home = Home(tmp_path / "home")
        line = Line(home)
        kek = home.key(KEY_ENCRYPTION_KEY)
        keys = meter_keys("BJ1", setting_ek=b"S" * 16)
        with home.database.write() as connection:
            store_keys(connection, keys=[keys], key_encryption_key=kek, now=NOW)

        gate = line.found_gate()
        line.found_gate()

        with home.database.read() as connection:
            (reads,) = keys_store.sealed_keys(connection, serials=["BJ1"])
        store = gate.open_store()
        with store.read() as connection:
            (commands,) = keys_store.sealed_keys(connection, serials=["BJ1"])
        store.close()
        reading = reads.unseal(key_encryption_key=kek)
        commanding = commands.unseal(key_encryption_key=gate.key_encryption_key())
        assert (reading.ek, reading.hls, reading.setting_ek) == (keys.ek, None, None)
        assert (commanding.ek, commanding.hls) == (b"S" * 16, keys.hls)

    def test_leaves_ceilings_and_keys_alone_that_are_there(self, tmp_path: Path):
        line = Line(Home(tmp_path / "home"))
        gate = line.found_gate()
        (gate.path / "ceilings.toml").write_text("per_hour = 1\nper_feeder_hour = 1\nper_day = 1\n")
        key = gate.key_encryption_key()

        again = line.found_gate()

        assert again.key_encryption_key() == key
        found = again.ceilings()
        assert found is not None
        assert found.per_day == 1
