"""`bijlighar meter` through an optical probe: a pseudo-terminal with a simulated meter behind it."""

import contextlib
import json
import os
import pty
import selectors
import socket
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bijlighar.dlms.hdlc import FrameBuffer, FrameKind
from bijlighar.simulator.operations import TownControl
from tests.cli.shell import Shell, first_line
from tests.simulator.towns import free_ports

pytest.importorskip("serialx", reason="the extra `serial` is not installed")

PROFILES = ("instantaneous", "block-load", "daily", "billing", "nameplate", "events")


class Probe:
    """A pseudo-terminal whose other end speaks with a meter over one connection that stays, as a probe does."""

    def __init__(self, port: int | None, *, garbled: bool = False) -> None:
        """Lead to the meter at a port of this machine; without one, to nobody. Answers may come in garbled."""
        self._flip = 0xFF if garbled else 0
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.device = os.ttyname(self._theirs)
        self._wake, self._woken = socket.socketpair()
        self._meter = None if port is None else socket.create_connection(("127.0.0.1", port))
        self.sent = bytearray()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            for end in (self._ours, self._woken, *([self._meter] if self._meter else [])):
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._meter:
                        octets = self._meter.recv(4096)
                        if not octets:
                            return
                        octets = bytes(octet ^ self._flip for octet in octets)
                        while octets:
                            octets = octets[os.write(self._ours, octets) :]
                    else:
                        octets = os.read(self._ours, 4096)
                        self.sent += octets
                        if self._meter is not None:
                            self._meter.sendall(octets)

    def frames_sent(self) -> list[FrameKind]:
        """The kinds of the frames that came through the probe to the meter."""
        buffer = FrameBuffer()
        buffer.receive(bytes(self.sent))
        return [frame.kind for frame in iter(buffer.next_frame, None)]

    def close(self) -> None:
        """Take the probe away."""
        self._wake.send(b".")
        self._thread.join()
        for end in (self._wake, self._woken, self._meter):
            if end is not None:
                end.close()
        os.close(self._ours)
        os.close(self._theirs)


@contextlib.contextmanager
def probe(port: int | None, *, garbled: bool = False) -> Iterator[Probe]:
    """A probe for the length of a block."""
    opened = Probe(port, garbled=garbled)
    try:
        yield opened
    finally:
        opened.close()


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A simulated meter behind HDLC, our shell without home or database, the meter's keys."""

    shell: Shell
    port: int
    keys: Path
    serial: str
    control: TownControl

    def options(self, client: int) -> tuple[object, ...]:
        return ("--client", client) if client == 16 else ("--client", client, "--keys", self.keys)


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meter]:
    folder = tmp_path_factory.mktemp("probe")
    port = free_ports(2)
    keys, control = folder / "keys.json", f"127.0.0.1:{port + 1}"
    order = ("--port", port, "--meters", 1, "--keys-out", keys, "--control", control, "--hdlc")
    with (
        Shell({"BIJLIGHAR_HOME": str(folder / "home")}) as shell,
        shell.running("meter", "simulate", *order) as process,
    ):
        assert first_line(process) == f"1 meters listen on 127.0.0.1:{port}"
        (entry,) = json.loads(keys.read_text(encoding="utf-8"))
        keys.write_text(json.dumps([{**entry, "url": None}]), encoding="utf-8")
        yield Meter(shell=shell, port=port, keys=keys, serial=entry["serial"], control=TownControl(control))
        assert not (folder / "home").exists()


class TestProbe:
    def test_reads_every_profile_one_after_the_other(self, meter: Meter):
        with probe(meter.port) as line:
            for profile in PROFILES:
                words = ("meter", "read", f"hdlc://{line.device}", "--profile", profile, *meter.options(32))
                found = meter.shell.json(*words)
                assert (found["profile"], found["serial"]) == (profile, meter.serial)
                assert profile == "events" or found["rows"]

    def test_reads_what_is_read_over_tcp(self, meter: Meter):
        words = ("--profile", "daily", *meter.options(48))
        with probe(meter.port) as line:
            by_probe = meter.shell.json("meter", "read", f"hdlc://{line.device}?baud=9600&server=1", *words)
        assert by_probe == meter.shell.json("meter", "read", f"hdlc+tcp://127.0.0.1:{meter.port}", *words)

    def test_operates_the_relay(self, meter: Meter):
        with probe(meter.port) as line:
            words = ("meter", "relay", f"hdlc://{line.device}?physical=17")
            off = meter.shell.json(*words, "disconnect", *meter.options(48))
            truth = meter.control.relays().closed[meter.serial]
            on = meter.shell.json(*words, "reconnect", *meter.options(48))
        assert (off["verified"], off["output_state"], truth) == (True, False, False)
        assert (on["verified"], on["output_state"]) == (True, True)

    def test_leaves_the_line_free_for_the_next_client(self, meter: Meter):
        """Each association ends with DISC, since the line stays when we go; the first frame is ever SNRM."""
        with probe(meter.port) as line:
            words = ("meter", "get", f"hdlc://{line.device}", "0.0.1.0.0.255", "--class", 8, "--attribute", 2)
            meter.shell.ok(*words, *meter.options(48))
        kinds = line.frames_sent()
        assert kinds.count(FrameKind.SNRM) == kinds.count(FrameKind.DISC) == 2
        assert (kinds[0], kinds[-1]) == (FrameKind.SNRM, FrameKind.DISC)

    def test_is_left_free_by_a_session_that_failed(self, meter: Meter, tmp_path: Path):
        (entry,) = json.loads(meter.keys.read_text(encoding="utf-8"))
        wrong = tmp_path / "keys.json"
        wrong.write_text(json.dumps([{**entry, "ek": "00" * 16}]), encoding="utf-8")
        with probe(meter.port) as line:
            words = ("meter", "relay", f"hdlc://{line.device}", "status", "--client", 48, "--keys", wrong)
            meter.shell.refusal(*words)
            kinds = line.frames_sent()
        assert kinds.count(FrameKind.SNRM) == kinds.count(FrameKind.DISC) == 2


class TestFailure:
    """Each is one line that names the device and a way out."""

    def said(self, meter: Meter, url: str, *more: object, client: int = 16) -> str:
        words = ("meter", "get", url, "0.0.1.0.0.255", "--class", 8, "--attribute", 2)
        return meter.shell.refusal(*words, *(more or meter.options(client)), "--timeout", 0.5)

    def test_of_a_device_that_is_not_there(self, meter: Meter):
        said = self.said(meter, "hdlc:///dev/ttyUSB99")
        assert said.startswith("/dev/ttyUSB99 cannot be opened: No such file or directory; check")
        assert said.endswith("[headend.unreachable]")

    def test_of_a_device_that_is_no_serial_line(self, meter: Meter):
        said = self.said(meter, "hdlc:///dev/null")
        assert "/dev/null cannot be opened" in said
        assert said.endswith("[headend.unreachable]")

    def test_of_a_meter_that_does_not_answer(self, meter: Meter):
        with probe(None) as line:
            said = self.said(meter, f"hdlc://{line.device}")
        assert f"the meter at {line.device} (9600 baud) did not answer within 0.5 s" in said
        assert "baud and physical" in said
        assert said.endswith("[headend.no-answer]")

    def test_of_another_baud_rate(self, meter: Meter):
        with probe(meter.port, garbled=True) as line:
            said = self.said(meter, f"hdlc://{line.device}?baud=4800")
        assert f"{line.device} (4800 baud)" in said
        assert "check that the probe sits on the meter, baud" in said

    def test_of_another_logical_device(self, meter: Meter):
        with probe(meter.port) as line:
            said = self.said(meter, f"hdlc://{line.device}?server=5")
        assert said.endswith("[headend.no-answer]")

    @pytest.mark.parametrize("field", ["ek", "ak"])
    def test_of_wrong_keys(self, meter: Meter, tmp_path: Path, field: str):
        (entry,) = json.loads(meter.keys.read_text(encoding="utf-8"))
        wrong = tmp_path / "keys.json"
        wrong.write_text(json.dumps([{**entry, field: "00" * 16}]), encoding="utf-8")
        with probe(meter.port) as line:
            said = self.said(meter, f"hdlc://{line.device}", "--client", 48, "--keys", wrong)
            meter.shell.ok("meter", "relay", f"hdlc://{line.device}", "status", *meter.options(48))
        assert said.endswith("[headend.refused]")

    @pytest.mark.parametrize(
        ("url", "hint"),
        [
            ("hdlc:///dev/ttyUSB0?baud=9601", "baud is one of 300, 600"),
            ("hdlc:///dev/ttyUSB0?speed=9600", "write it like hdlc:///dev/ttyUSB0"),
            ("hdlc://dev/ttyUSB0", "write it like hdlc:///dev/ttyUSB0"),
            ("hdlc:///dev/ttyUSB0?physical=x", "numbers from 0"),
            ("hdlc://", "write it like hdlc:///dev/ttyUSB0"),
        ],
    )
    def test_of_a_url_says_how_to_write_it(self, meter: Meter, url: str, hint: str):
        said = self.said(meter, url)
        assert hint in said
        assert said.endswith("[headend.broken-url]")
