"""Real processes killed with SIGKILL at the worst moment: nothing is sent twice, no counter is used twice."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bijlighar.headend import queries
from bijlighar.headend.head_end import open_head_end
from bijlighar.headend.model import CommandState
from bijlighar.headend.operations import cancel_control, queue_control, recover, run_control_due
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.meter import Meter, serving
from tests.headend.orders import NOW, order, reconnection, signed
from tests.headend.town import hang

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 30.0


def kill_when(database: Database, holds: Callable[[], bool]) -> None:
    """Start a head-end process and kill it as soon as `holds`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.headend.control_worker", database.url],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < give_up
            assert process.poll() is None
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def go_on(database: Database) -> None:
    """Do what a head-end does that starts again."""
    head_end = open_head_end(database, settings=FAST)
    recover(database, now=NOW, wall=NOW, worker=FAST.worker)
    asyncio.run(run_control_due(database, now=NOW, wall=NOW, head_end=head_end))


def state(database: Database, order_id: str) -> CommandState:
    with database.read() as connection:
        found = queries.control_command(connection, order_id=order_id)
    assert found is not None
    return found.state


class TestKilledHeadEnd:
    @pytest.mark.parametrize("moment", ["session", "relay read", "action"])
    def test_disconnects_once_and_says_how_it_went(self, database: Database, moment: str):
        meter = Meter(hold_action=True)
        moments = {
            "session": lambda: meter.sessions > 1,
            "relay read": lambda: "0.0.96.3.10.255/2" in meter.asked,
            "action": lambda: bool(meter.actions),
        }
        with serving(meter) as url:
            hang(database, serial=meter.keys.serial, url=url, keys=[meter.keys])
            with database.write() as connection:
                queue_control(connection, signed=signed(), now=NOW)
            kill_when(database, moments[moment])
            seen = meter.seen.get(48, -1)
            meter.hold_action = False
            go_on(database)

        assert meter.actions == ["disconnect"]
        assert state(database, "D-1") is CommandState.VERIFIED
        assert meter.seen[48] > seen

    def test_reconnects_in_the_end(self, database: Database):
        meter = Meter(closed=False, control_state=0, hold_action=True)
        with serving(meter) as url:
            hang(database, serial=meter.keys.serial, url=url, keys=[meter.keys])
            with database.write() as connection:
                queue_control(connection, signed=signed(reconnection()), now=NOW)
            kill_when(database, lambda: bool(meter.actions))
            meter.closed, meter.control_state = False, 0  # the action had not taken hold
            meter.hold_action = False
            go_on(database)

        assert state(database, "R-1") is CommandState.VERIFIED
        assert meter.closed

    def test_opens_nothing_that_was_cancelled_meanwhile(self, database: Database):
        meter = Meter(mute=True)
        with serving(meter) as url:
            hang(database, serial=meter.keys.serial, url=url, keys=[meter.keys])
            with database.write() as connection:
                queue_control(connection, signed=signed(order()), now=NOW)
            kill_when(database, lambda: meter.sessions > 0)
            meter.mute = False
            with database.write() as connection:
                assert cancel_control(connection, order_id="D-1", now=NOW)
            go_on(database)

        assert meter.actions == []
        assert state(database, "D-1") is CommandState.CANCELLED
