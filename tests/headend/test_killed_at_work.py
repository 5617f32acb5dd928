"""SIGKILL amid reading, relays, new keys, firmware, settings: nothing twice, nothing lost, nobody locked out."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.headend import contact, gate_store, keys_store, queries
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.keys import reading_part
from bijlighar.headend.model import CLIENT_READER, CommandState, ControlAction
from bijlighar.headend.operations import queue_control, signed_order_json, store_keys
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.headend.busy_worker import SETTINGS
from tests.headend.documents import a_document
from tests.headend.gated_town import GatedTown, change_of_keys, firmware_order, settings_order
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW, order, signed
from tests.headend.test_gate_upkeep import NEW
from tests.simulator.towns import HOUR, MIDNIGHT

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 120.0
#: For so long [s] the work of one moment lasts at first; how long it lasts on this machine is learnt on the way, so
#: that a process is killed within it and not after it.
WORK_S = 0.4
SHORTER, LONGER = 0.9, 1.1
LOOK_EVERY_S = 0.002
MOMENTS_SHORT, MOMENTS_LONG = 5, 50
#: So many moments of work are given at most for each at which the work was struck.
TRIES = 3


class Office:
    """A head-end with work, and what a test needs to kill it and to look at what it left."""

    def __init__(self, folder: Path, *, meters: int) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.database = Database(f"sqlite:///{folder}/office.sqlite")
        metadata.create_all(self.database.engine)
        self.town = GatedTown(folder, meters=meters)
        self.began = time.monotonic()
        self.worker: subprocess.Popen[bytes] | None = None
        self.struck_at_work = 0
        self.work_s = WORK_S
        self.orders: list[tuple[str, ControlAction]] = []
        (self.folder / "image").write_bytes(NEW.octets)
        self.read_until(0)

    def __enter__(self) -> "Office":
        self.town.__enter__()
        plan = self.town.town.town
        assert plan is not None
        with self.database.write() as connection:
            registry.import_network(connection, text=simulator.network_csv(town=plan))
            text = simulator.registry_csv(town=plan, host="127.0.0.1", port=self.town.town.port)
            registry.import_registry(connection, text=text, now=MIDNIGHT)
            store_keys(
                connection,
                keys=[reading_part(keys) for keys in self.town.keys.values()],
                key_encryption_key=KEY_ENCRYPTION_KEY,
                now=NOW,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.town.__exit__()
        self.database.close()

    def read_until(self, day: int) -> None:
        (self.folder / "collect").write_text((MIDNIGHT + timedelta(days=day) + HOUR).isoformat())

    def give_work(self, number: int) -> None:
        """A day to read, a relay to move, keys to change, and every now and then firmware and settings to send."""
        serials = self.town.serials
        self.town.town.control.set_time(MIDNIGHT + timedelta(days=number + 1) + HOUR)
        self.read_until(number + 1)
        turn, place = divmod(number, len(serials))
        action = ControlAction.RECONNECT if turn % 2 else ControlAction.DISCONNECT
        shown = signed(
            order(order_id=f"C-{number}", serial=serials[place], action=action, feeder=f"F-{number}")
        )
        with self.database.write() as connection:
            queue_control(connection, signed=shown, now=NOW)
        self.orders.append((serials[place], action))
        change = change_of_keys(serials[place - 1], f"K-{number}")
        image = firmware_order(serials[place - 2], f"F-{number}", digest=NEW.digest)
        setting = settings_order(serials[place - 3], f"S-{number}", a_document())
        for upkeep in (change, image, setting) if number < len(serials) else (change,):
            file = self.folder / f"{upkeep.order.order_id}.order"
            file.write_text(signed_order_json(upkeep))
        for back, action in ((4, ControlAction.READING_KEYS), (5, ControlAction.READING_SECRET)):
            todo = self.folder / f"{number:06d}-{action.value}.reading"
            todo.write_text(f"{serials[place - back]} {action.value}")

    def start(self) -> None:
        works = self.folder / "works"
        works.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.headend.busy_worker", self.database.url]
        self.worker = subprocess.Popen(
            [*command, self.town.gate.socket, str(self.folder), str(self.began)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )
        give_up = time.monotonic() + PATIENCE_S
        while not works.exists():
            assert time.monotonic() < give_up
            assert self.worker.poll() is None
            time.sleep(0.005)

    def kill(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait(PATIENCE_S)

    @property
    def is_at_work(self) -> bool:
        return self.worker is not None and self.worker.poll() is None

    def finish(self) -> None:
        """Let the head-end come to the end of its work."""
        self.start()
        assert self.worker is not None
        assert self.worker.wait(PATIENCE_S) == 0

    def strike(self, dice: random.Random) -> None:
        """Kill the head-end, the gate or both at a moment of their work."""
        self.start()
        began = time.monotonic()
        moment = began + dice.uniform(0.0, self.work_s)
        while self.is_at_work and time.monotonic() < moment:
            time.sleep(LOOK_EVERY_S)
        if self.is_at_work:
            self.struck_at_work += 1
            self.work_s *= LONGER
        else:  # it was done before the moment came
            assert self.worker is not None
            assert self.worker.returncode == 0
            self.work_s = SHORTER * (time.monotonic() - began)
        victim = dice.choice(("head-end", "head-end", "head-end", "gate", "both"))
        if victim != "gate":
            self.kill()
        if victim != "head-end":
            self.town.gate.kill()
            self.town.gate.start()
        self.kill()


def strike_and_check(folder: Path, *, moments: int, seed: int, meters: int) -> None:
    dice = random.Random(seed)
    with Office(folder, meters=meters) as office:
        for number in range(TRIES * moments):
            if office.struck_at_work == moments:
                break
            office.give_work(number)
            office.strike(dice)
        office.finish()
        check(office)
        assert office.struck_at_work == moments


def check(office: Office) -> None:
    truth = office.town.town.control.relays()
    with office.database.read() as connection:
        commands = [
            queries.control_command(connection, order_id=f"C-{number}")
            for number in range(len(office.orders))
        ]
        refused = {
            silent.meter: silent.last_code
            for silent in queries.silent_meters(connection)
            if silent.last_code in ("headend.refused", "headend.counter", "dlms.wrong-key", "dlms.replayed")
        }
        codes = Counter(row.outcome for row in queries.sessions(connection, limit=10_000))

    # No counter was used twice: no meter was ever sent an old one.
    assert office.town.town.control.state().replayed == {}, codes

    # No command was carried out twice, and each tells the truth about its relay.
    done = Counter((act.serial, act.action) for act in truth.acts)
    wanted = Counter((serial, action.value) for serial, action in office.orders)
    assert done <= wanted
    last: dict[str, bool] = {}
    for (serial, action), command in zip(office.orders, commands, strict=True):
        assert command is not None
        assert command.state in (CommandState.VERIFIED, CommandState.FAILED, CommandState.REFUSED), command
        if command.state is CommandState.VERIFIED:
            last[serial] = action is ControlAction.RECONNECT
    assert {serial: truth.closed[serial] for serial in last} == last

    # Whoever was ordered to be set is so, and was read back once.
    outcomes = asyncio.run(office.town.gate.gate.outcomes(digest=a_document().digest))
    assert len(outcomes) == min(len(office.orders), len(office.town.serials))
    assert set(outcomes.values()) == {gate_store.GOOD}

    # No key was lost and nobody is locked out: the gate speaks with every meter, and every meter is still read.
    keeper = office.town.gate.folder.keeper(settings=SETTINGS)
    with keeper.store.read() as connection:
        assert keys_store.meters_in_change(connection) == frozenset()
    keeper.store.close()
    asyncio.run(speak_with_all(office))
    assert refused == {}
    assert list(office.folder.glob("*.order")) == []

    # Of the reading client neither: nothing is on its way any more, and every meter lets it in by what is stored.
    assert list(office.folder.glob("*.reading")) == []
    with office.database.read() as connection:
        assert keys_store.meters_in_change(connection) == frozenset()
    head_end = open_head_end(office.database, settings=SETTINGS)
    asyncio.run(read_all(office, head_end))
    changed = [
        serial for serial in office.town.serials if head_end.keys(serial).ek != office.town.keys[serial].ek
    ]
    assert len(changed) >= min(len(office.orders), len(office.town.serials))
    assert office.town.town.control.state().replayed == {}


async def speak_with_all(office: Office) -> None:
    gate = office.town.gate.gate
    for serial in office.town.serials:
        session = await gate.open(serial=serial, address=office.town.address(serial), now=NOW)
        assert await session.read_relay()
        await session.release()
        session.close()


async def read_all(office: Office, head_end: HeadEnd) -> None:
    """Let the reading client in at every meter, by the keys that are stored and by no others."""
    meters = {serial: office.town.address(serial) for serial in office.town.serials}
    assert await contact.prepare(head_end, meters=meters, client=CLIENT_READER) == {}
    for serial, address in meters.items():
        keys = head_end.keys(serial)
        session = await contact.open_with(head_end, keys=keys, address=address, client=CLIENT_READER)
        await session.release()
        session.close()


class TestKilledAtWork:
    @pytest.mark.parametrize("seed", [int(os.environ.get("BIJLIGHAR_TEST_SEED", "1"))])
    def test_does_nothing_twice_and_loses_nothing(self, tmp_path: Path, seed: int):
        strike_and_check(tmp_path, moments=MOMENTS_SHORT, seed=seed, meters=20)

    @pytest.mark.long
    def test_does_nothing_twice_and_loses_nothing_at_fifty_moments(self, tmp_path: Path):
        strike_and_check(tmp_path, moments=MOMENTS_LONG, seed=2, meters=40)
