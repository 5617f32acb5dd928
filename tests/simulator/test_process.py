import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, timedelta

import numpy as np
import pytest

from bijlighar.dlms import is15959, push
from bijlighar.dlms.clock import decode
from bijlighar.dlms.event import NEED_DATA, ActionRequest, DataNotification
from bijlighar.dlms.is15959 import UTILITY
from bijlighar.dlms.is15959_events import status_edges
from bijlighar.dlms.security import Security
from bijlighar.dlms.session import Framing
from bijlighar.runtime.clock import wall
from bijlighar.simulator.errors import ControlUnreachable
from bijlighar.simulator.model import Town
from bijlighar.simulator.operations import TownControl
from bijlighar.simulator.rules import plan_town
from tests.simulator.towns import (
    CLIENT_TITLE,
    DAY,
    FIRST_DAY,
    HOUR,
    MIDNIGHT,
    PATIENCE_S,
    MeterClient,
    TownProcess,
    a_town,
    column,
    free_ports,
    last_counter,
    relay_meter,
)

_RUN = "from bijlighar.cli.simulate import simulate; simulate()"


class Listener:
    """Takes alerts as a head-end does: it stores before it hangs up."""

    def __init__(self, town: Town, *, refuses: int = 0) -> None:
        self._devices = {device.system_title: device for device in town.devices}
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.taken: list[push.Pushed] = []
        self._refuses = refuses
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection:
                    self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        if self._refuses:
            self._refuses -= 1
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            return
        receiver = push.Receiver(security_for=self._security_for)
        while data := connection.recv(4096):
            receiver.receive_data(data)
        event = receiver.next_event()
        if event is not NEED_DATA:
            assert isinstance(event, push.Pushed)
            self.taken.append(event)

    def _security_for(self, title: bytes) -> Security:
        device = self._devices[title]
        return Security(
            ciphered=True,
            own_title=CLIENT_TITLE,
            peer_title=title,
            ek=device.encryption_key,
            ak=device.authentication_key,
            next_counter=lambda: 1,
        )


@pytest.fixture
def town() -> Town:
    return a_town(meters=20, months=4)


@pytest.fixture
def listener(town) -> Iterator[Listener]:
    taker = Listener(town)
    yield taker
    taker.close()


def wait_for_pushes(control: TownControl) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while control.pushes().pending:
        assert time.monotonic() < give_up
        time.sleep(0.02)


class TestPush:
    def test_arrives_sealed_with_the_meters_keys_and_says_what_happened(self, town, listener, tmp_path):
        device = relay_meter(town)
        with TownProcess(tmp_path, town=town, push=listener.address) as meters:
            meters.control.set_time(MIDNIGHT + HOUR)
            meters.control.tamper(serial=device.serial, code=201)
            meters.control.set_time(MIDNIGHT + 2 * HOUR)
            meters.control.restore(serial=device.serial, code=201)
            wait_for_pushes(meters.control)
            counts = meters.control.pushes()

        assert (counts.sent, counts.pending, counts.failed) == (2, 0, 0)
        first, second = listener.taken
        assert (first.source, first.destination, first.title) == (1, 64, device.system_title)
        assert first.authenticated
        assert first.counter is not None
        assert second.counter is not None
        assert second.counter > first.counter
        assert isinstance(first.notification, DataNotification)
        assert isinstance(second.notification, DataNotification)
        name, setup, stamp, word = first.notification.value
        assert name == device.serial.encode()
        assert setup == is15959.PUSH_ALERT.octets
        assert decode(stamp) == MIDNIGHT + HOUR
        assert status_edges(None, word) == (201,)
        assert status_edges(word, second.notification.value[3]) == (202,)

    def test_is_tried_again_until_it_is_taken(self, town, tmp_path):
        stubborn = Listener(town, refuses=2)
        with TownProcess(tmp_path, town=town, push=stubborn.address) as meters:
            meters.control.tamper(serial=relay_meter(town).serial, code=251)
            wait_for_pushes(meters.control)
            counts = meters.control.pushes()
        stubborn.close()

        assert (counts.sent, counts.failed) == (1, 0)
        assert len(stubborn.taken) == 1

    def test_waits_through_the_death_of_the_process(self, town, tmp_path):
        with socket.socket() as held, contextlib.ExitStack() as stack:
            held.bind(("127.0.0.1", 0))  # bound and not listened on: nobody else can answer there
            nobody = held.getsockname()[1]
            meters = stack.enter_context(TownProcess(tmp_path, town=town, push=f"127.0.0.1:{nobody}"))
            meters.control.tamper(serial=relay_meter(town).serial, code=203)
            assert meters.control.pushes().pending == 1
            meters.kill()
            listener = Listener(town)
            meters.arguments = ("--push", listener.address)
            meters.start()
            wait_for_pushes(meters.control)
            assert meters.control.pushes().sent == 1
        listener.close()

        assert len(listener.taken) == 1


class TestKill:
    def test_loses_nothing_that_was_answered(self, town, tmp_path):
        device = relay_meter(town)
        with TownProcess(tmp_path, town=town) as meters:
            meters.control.set_time(MIDNIGHT + DAY + 2 * HOUR + timedelta(seconds=777))
            with MeterClient(device, port=meters.port, client=UTILITY) as client:
                client.associate()
                client.ask(ActionRequest(method=is15959.DISCONNECT))
                used = client.counter
                meters.kill()
            meters.start()

            assert meters.control.now() == MIDNIGHT + DAY + 2 * HOUR + timedelta(seconds=777)
            relays = meters.control.relays()
            assert relays.closed[device.serial] is False
            assert [act.serial for act in relays.acts] == [device.serial]
            assert last_counter(device, port=meters.port, client=UTILITY) == used
            meters.control.set_time(MIDNIGHT + 2 * DAY)
            truth = meters.control.truth(FIRST_DAY, FIRST_DAY + DAY)
            with MeterClient(device, port=meters.port, counter=10) as client:
                rows = client.associate().rows(
                    is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + 2 * DAY)
                )

        energy = truth.registered_wh[device.index]
        assert np.array_equal(column(rows, "wh_import"), energy)
        assert energy[:52].min() > 0
        assert energy[53:].sum() == 0

    def test_gives_the_same_energy_as_without(self, town, tmp_path):
        with (
            TownProcess(tmp_path / "a", town=town) as undisturbed,
            TownProcess(tmp_path / "b", town=town) as killed,
        ):
            for hours in (5, 23, 31, 49):
                for meters in (undisturbed, killed):
                    meters.control.set_time(MIDNIGHT + hours * HOUR)
                killed.kill()
                killed.start()
            expected = undisturbed.control.truth(FIRST_DAY, FIRST_DAY + 2 * DAY)
            found = killed.control.truth(FIRST_DAY, FIRST_DAY + 2 * DAY)
            assert undisturbed.control.registers(MIDNIGHT + DAY) == killed.control.registers(MIDNIGHT + DAY)

        assert np.array_equal(expected.registered_wh, found.registered_wh)
        assert np.array_equal(expected.input_wh, found.input_wh)


class TestServeTown:
    def test_ends_on_sigterm_and_says_one_line(self, town, tmp_path):
        meters = TownProcess(tmp_path, town=town)
        meters.start()

        status = meters.stop()

        assert status == 0
        listening = sum(device.listens is not None for device in town.devices)
        assert meters.output == f"{listening} meters listen on 127.0.0.1:{meters.port}\n"
        with pytest.raises(ControlUnreachable):
            meters.control.now()

    def test_hangs_new_meters_that_then_answer(self, town, tmp_path):
        plan = town.installations[0]
        with TownProcess(tmp_path, town=town) as meters:
            new = meters.device(plan.new_serial)
            meters.control.set_time(plan.at)

            swap = meters.control.swap(usage_point=plan.usage_point)

            assert (swap.account, swap.old_serial, swap.new_serial) == (
                plan.account,
                plan.old_serial,
                plan.new_serial,
            )
            assert swap.final_wh == meters.control.registers(plan.at)[plan.old_serial]
            with MeterClient(new, port=meters.port, counter=1) as client:
                rows = client.associate().rows(is15959.INSTANTANEOUS.buffer)
                assert column(rows, "wh_import", profile="instantaneous").tolist() == [swap.initial_wh]


class Alone:
    """A stand-alone simulator."""

    def __init__(self, *arguments: str, keys) -> None:
        self.port = free_ports(30)
        self.control = TownControl(f"127.0.0.1:{self.port + 29}")
        command = [
            sys.executable, "-c", _RUN, "--port", str(self.port), "--keys-out", str(keys),
            "--control", self.control.address, *arguments,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self) -> "Alone":
        self.control.wait_until_ready(patience_s=PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE_S)


class TestServeAlone:
    def test_has_five_weeks_of_history_and_a_keys_file(self, tmp_path):
        with Alone("--meters", "4", "--seed", "9", keys=tmp_path / "keys.json") as meters:
            keys = json.loads((tmp_path / "keys.json").read_text(encoding="utf-8"))
            now = meters.control.now()
            town = plan_town(
                seed=9,
                meters=4,
                months=1,
                first_day=(now - 35 * DAY).astimezone(UTC).date(),
                stand_alone=True,
            )
            with MeterClient(town.devices[3], port=meters.port, counter=1) as client:
                rows = client.associate().rows(
                    is15959.BLOCK_LOAD.buffer, is15959.between(now - 34 * DAY, now - 33 * DAY)
                )

        assert [entry["url"] for entry in keys] == [f"tcp://127.0.0.1:{meters.port + i}" for i in range(4)]
        assert set(keys[0]) == {"url", "serial", "system_title", "ek", "ak", "lls", "hls", "master"}
        assert rows.count == 48
        assert abs(wall() - now) < timedelta(seconds=20)

    def test_speaks_hdlc(self, tmp_path):
        with Alone("--meters", "2", "--hdlc", keys=tmp_path / "keys.json") as meters:
            now = meters.control.now()
            town = plan_town(seed=1, meters=2, months=1, first_day=FIRST_DAY, stand_alone=True)
            with MeterClient(town.devices[1], port=meters.port, counter=1, framing=Framing.HDLC) as client:
                rows = client.associate().rows(
                    is15959.BLOCK_LOAD.buffer, is15959.between(now - 3 * DAY, now - 2 * DAY)
                )
            keys = json.loads((tmp_path / "keys.json").read_text(encoding="utf-8"))

        assert rows.count == 48
        assert keys[1]["url"] == f"hdlc+tcp://127.0.0.1:{meters.port + 1}"

    def test_gives_faults_to_a_share_of_the_meters(self, tmp_path):
        with Alone("--meters", "10", "--faults", "silent=0.3", keys=tmp_path / "keys.json") as meters:
            assert len(meters.control.state().silent) == 3


FREE = "a free port"


class TestCommandLine:
    def run(self, *arguments: str, home: str = "") -> subprocess.CompletedProcess[str]:
        program = "import sys; from bijlighar.base.errors import BijligharError\n" + (
            "from bijlighar.cli.simulate import simulate\n"
            "try:\n simulate()\nexcept BijligharError as problem:\n print(problem, file=sys.stderr); sys.exit(1)"
        )
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=os.environ | {"BIJLIGHAR_HOME": home, "COLUMNS": "120"},
        )

    def test_lists_the_faults(self):
        answer = self.run("--faults", "help")

        assert answer.returncode == 0
        for name in ("silent", "mute", "garbage", "wrong_key", "drop", "stuck_relay"):
            assert name in answer.stdout

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--port", FREE, "--meters", "1", "--faults", "fly=0.1"), "is no fault"),
            (("--port", FREE, "--meters", "1", "--faults", "mute=7"), "is no fault"),
            (("--port", FREE, "--meters", "1", "--control", "0.0.0.0:1"), "loopback"),
            (("--port", FREE, "--meters", "1", "--profiles", "/nowhere.csv"), "no file"),
            (("--port", FREE, "--meters", "1", "--keys-out", "/nowhere/keys.json"), "cannot be written"),
            (("--port", "65535", "--meters", "3"), "choose a lower --port"),
            (("--port", FREE, "--meters", "1", "--push", "nowhere"), "is no address"),
        ],
    )
    def test_refuses_with_one_line(self, arguments, words):
        port = str(free_ports(1))

        answer = self.run(*(port if word is FREE else word for word in arguments))

        assert answer.returncode == 1
        assert words in answer.stderr
        assert answer.stderr.count("\n") == 1

    def test_refuses_a_home_without_a_town(self, tmp_path):
        answer = self.run("--home", str(tmp_path))

        assert answer.returncode == 1
        assert "holds no town" in answer.stderr

    def test_keeps_what_is_for_new_meters_from_old_ones(self, tmp_path):
        assert self.run("--home", str(tmp_path), "--hdlc").returncode == 2

    def test_needs_a_port_for_new_meters(self):
        assert self.run("--meters", "1").returncode == 2
