"""`bijlighar meter` against `bijlighar meter simulate`, each in a process of its own."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bijlighar.base.period import local_date, local_midnight
from bijlighar.dlms.obis import Obis
from bijlighar.runtime.clock import wall
from bijlighar.simulator.operations import FAULT_WORDS, TownControl
from tests.cli.shell import Shell, first_line
from tests.simulator.towns import free_ports

PROFILES = ("instantaneous", "block-load", "daily", "billing", "nameplate", "events")
WH_IMPORT, REGISTER = "1.0.1.29.0.255", "1.0.1.8.0.255"
METERS = 3
RELAY_KEYS = {"output_state", "control_state", "control_mode", "verified"}


@dataclass(frozen=True, kw_only=True)
class Meters:
    """Simulated meters: a shell to speak with them, their addresses, their keys file, their control socket."""

    shell: Shell
    urls: tuple[str, ...]
    keys: Path
    control: TownControl
    serials: tuple[str, ...]

    def options(self, client: int = 32) -> tuple[object, ...]:
        return ("--client", client) if client == 16 else ("--client", client, "--keys", self.keys)

    def read(self, profile: str, *more: object, client: int = 32, meter: int = 0) -> Any:
        return self.shell.json(
            "meter", "read", self.urls[meter], "--profile", profile, *self.options(client), *more
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell whose home does not exist: these words need none."""
    with Shell({"BIJLIGHAR_HOME": str(tmp_path_factory.mktemp("no") / "home")}) as opened:
        yield opened


def simulated(shell: Shell, folder: Path, *options: object) -> Iterator[Meters]:
    port = free_ports(METERS + 1)
    keys, control = folder / "keys.json", f"127.0.0.1:{port + METERS}"
    order = ("--port", port, "--meters", METERS, "--keys-out", keys, "--control", control, *options)
    with shell.running("meter", "simulate", *order) as process:
        assert first_line(process) == f"{METERS} meters listen on 127.0.0.1:{port}"
        entries = json.loads(keys.read_text(encoding="utf-8"))
        yield Meters(
            shell=shell,
            urls=tuple(entry["url"] for entry in entries),
            keys=keys,
            control=TownControl(control),
            serials=tuple(entry["serial"] for entry in entries),
        )


@pytest.fixture(scope="module")
def meters(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """Three meters behind the wrapper, at the machine's own time."""
    yield from simulated(shell, tmp_path_factory.mktemp("meters"))


@pytest.fixture(scope="module")
def hdlc_meters(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """Three meters behind HDLC over TCP."""
    yield from simulated(shell, tmp_path_factory.mktemp("hdlc"), "--hdlc", "--seed", 5)


class TestSimulate:
    def test_names_its_faults(self, shell: Shell):
        shown = shell.ok("meter", "simulate", "--faults", "help")
        assert {line.split()[0] for line in shown.splitlines() if line.split()} >= set(FAULT_WORDS)

    def test_writes_a_keys_file_for_each_port(self, meters: Meters):
        entries = json.loads(meters.keys.read_text(encoding="utf-8"))
        assert all(
            set(entry) == {"url", "serial", "system_title", "ek", "ak", "lls", "hls", "master"}
            for entry in entries
        )
        ports = [int(url.rpartition(":")[2]) for url in meters.urls]
        assert ports == list(range(ports[0], ports[0] + METERS))
        assert meters.keys.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (("--faults", "nonsense=1"), "simulator.unknown-fault"),
            (("--faults", "silent=2"), "simulator.unknown-fault"),
            (("--push", "nowhere"), "base.invalid-value"),
            (("--control", "192.0.2.1:80"), "simulator.control-refused"),
            (("--profiles", "no-such-file.csv"), "simulator.broken-profiles"),
            (("--profiles", __file__), "simulator.broken-profiles"),
            (("--keys-out", "no-such-folder/keys.json"), "base.invalid-value"),
            (("--meters", 70_000), "simulator.impossible-town"),
        ],
    )
    def test_refuses_what_cannot_be_in_one_line(self, shell: Shell, options: tuple[object, ...], code: str):
        port = free_ports(1)
        assert shell.refusal("meter", "simulate", "--port", port, "--meters", 1, *options).endswith(
            f"[{code}]"
        )

    def test_tells_that_a_port_is_taken(self, meters: Meters):
        port = meters.urls[0].rpartition(":")[2]
        said = meters.shell.refusal("meter", "simulate", "--port", port, "--meters", 1)
        assert said.endswith("[simulator.port-taken]")

    def test_of_a_home_needs_the_home_of_a_demo(self, shell: Shell, tmp_path: Path):
        assert "holds no town" in shell.refusal("meter", "simulate", "--home", tmp_path)


class TestRead:
    @pytest.mark.parametrize("profile", PROFILES)
    @pytest.mark.parametrize("client", [32, 48])
    def test_gives_the_fixed_shape(self, meters: Meters, profile: str, client: int):
        found = meters.read(profile, client=client)

        assert (found["profile"], found["serial"]) == (profile, meters.serials[0])
        assert found["columns"]
        assert profile == "events" or found["rows"]
        keys = set()
        for column in found["columns"]:
            assert set(column) >= {"obis", "attribute", "name", "unit"}
            assert str(Obis.parse(column["obis"])) == column["obis"]
            keys.add(
                column["obis"] if column["attribute"] == 2 else f"{column['obis']}/{column['attribute']}"
            )
        for row in found["rows"]:
            assert set(row) >= keys
            moment = row.get("time")
            assert moment is None or datetime.fromisoformat(moment).utcoffset() == timedelta(hours=5.5)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_gives_the_public_client_no_profile(self, meters: Meters, profile: str):
        said = meters.shell.refusal("meter", "read", meters.urls[0], "--profile", profile, "--client", 16)
        assert f"has no profile {profile} for client 16" in said

    @pytest.mark.parametrize("profile", PROFILES)
    def test_gives_the_same_values_as_json_csv_and_table(self, meters: Meters, profile: str):
        words = ("meter", "read", meters.urls[1], "--profile", profile, *meters.options())
        until = (
            () if profile in ("instantaneous", "nameplate") else ("--to", local_midnight(local_date(wall())))
        )
        until = tuple(option.isoformat() if isinstance(option, datetime) else option for option in until)
        document = meters.shell.json(*words, *until)
        rows = list(csv.DictReader(io.StringIO(meters.shell.ok(*words, *until, "--format", "csv"))))
        table = meters.shell.ok(*words, *until)

        assert len(rows) == len(document["rows"])
        assert meters.serials[1] in table
        if profile == "instantaneous":
            return  # what is measured at this moment is not what was measured a moment ago
        for written, row in zip(rows, document["rows"], strict=True):
            assert written.keys() <= {"time", *row}
            for key, text in written.items():
                assert text == ("" if row.get(key) is None else str(row[key]))

    def test_of_the_block_load_adds_up_to_the_registers(self, meters: Meters):
        registers = meters.read("daily")["rows"][-4:]
        first, last = registers[0]["time"], registers[-1]["time"]
        rows = meters.read("block-load", "--from", first, "--to", last)["rows"]

        assert rows[0]["time"] == first
        assert len(rows) == 3 * 48
        starts = [datetime.fromisoformat(row["time"]) for row in rows]
        assert {after - before for before, after in pairwise(starts)} == {timedelta(minutes=30)}
        for before, after in pairwise(registers):
            day = [row[WH_IMPORT] for row in rows if before["time"] <= row["time"] < after["time"]]
            assert sum(day) == after[REGISTER] - before[REGISTER]

    def test_is_the_same_over_hdlc(self, hdlc_meters: Meters):
        assert all(url.startswith("hdlc+tcp://") for url in hdlc_meters.urls)
        found = hdlc_meters.read("block-load", meter=2)
        assert found["serial"] == hdlc_meters.serials[2]
        assert len(found["rows"]) > 30 * 48

    def test_shows_an_event_in_words(self, meters: Meters):
        meters.control.tamper(serial=meters.serials[2], code=201)
        rows = meters.read("events", meter=2)["rows"]
        assert [row["event"] for row in rows if 201 in row.values()] == ["Magnet influence"]
        shown = meters.shell.ok("meter", "read", meters.urls[2], "--profile", "events", *meters.options())
        assert "Magnet" in shown


class TestGet:
    @pytest.mark.parametrize("client", [16, 32, 48])
    def test_reads_the_logical_device_name(self, meters: Meters, client: int):
        words = ("meter", "get", meters.urls[0], "0.0.42.0.0.255", "--class", 1, "--attribute", 2)
        found = meters.shell.json(*words, *meters.options(client))

        assert (found["obis"], found["class"], found["attribute"]) == ("0.0.42.0.0.255", 1, 2)
        assert bytes.fromhex(found["value"]).decode().endswith(meters.serials[0])
        assert found["value"] in meters.shell.ok(*words, *meters.options(client))

    def test_reads_the_time(self, meters: Meters):
        words = ("meter", "get", meters.urls[0], "0.0.1.0.0.255", "--class", 8, "--attribute", 2)
        told = datetime.fromisoformat(meters.shell.json(*words, *meters.options())["value"])
        assert abs(told - wall()) < timedelta(minutes=10)

    def test_tells_what_the_meter_does_not_have(self, meters: Meters):
        words = ("meter", "get", meters.urls[0], "9.9.9.9.9.255", "--class", 1, "--attribute", 2)
        assert meters.shell.refusal(*words, *meters.options()).endswith("[headend.access-refused]")

    @pytest.mark.parametrize(
        ("obis", "hint"), [("1.0.1.8.0", "OBIS"), ("1.0.1.8.0.999", "999"), ("x", "OBIS")]
    )
    def test_refuses_what_is_no_obis_code(self, meters: Meters, obis: str, hint: str):
        done = meters.shell.run(
            "meter", "get", meters.urls[0], obis, "--class", 1, "--attribute", 2, "--client", 16
        )
        assert done.status == 2
        assert hint.lower() in done.err.lower()


class TestRelay:
    def test_is_opened_closed_and_read_back(self, meters: Meters):
        words, setting = ("meter", "relay", meters.urls[1]), meters.options(48)
        before = meters.shell.json(*words, "status", *setting)
        opened = meters.shell.json(*words, "disconnect", *setting)
        truth = meters.control.relays().closed[meters.serials[1]]
        status = meters.shell.json(*words, "status", *meters.options(32))
        closed = meters.shell.json(*words, "reconnect", *setting)

        assert {frozenset(answer) for answer in (before, opened, status, closed)} == {frozenset(RELAY_KEYS)}
        assert (before["output_state"], before["control_state"]) == (True, 1)
        assert (opened["output_state"], opened["control_state"], opened["verified"]) == (False, 0, True)
        assert status == opened
        assert truth is False
        assert (closed["output_state"], closed["verified"]) == (True, True)
        assert meters.control.relays().closed[meters.serials[1]] is True
        assert "supply on" in meters.shell.ok(*words, "status", *setting)

    def test_is_not_moved_by_the_reading_client(self, meters: Meters):
        words = ("meter", "relay", meters.urls[0], "disconnect", *meters.options(32), "--format", "json")
        done = meters.shell.run(*words)

        assert "client 32 only reads; operate it with --client 48" in done.reason
        assert json.loads(done.out)["verified"] is False
        assert meters.control.relays().closed[meters.serials[0]] is True

    def test_is_not_shown_to_the_public_client(self, meters: Meters):
        said = meters.shell.refusal("meter", "relay", meters.urls[0], "status", "--client", 16)
        assert "ask as client 32 or 48" in said
        assert said.endswith("[headend.access-refused]")

    def test_needs_keys(self, meters: Meters):
        done = meters.shell.run("meter", "relay", meters.urls[0], "status")
        assert (done.status, "client 48 needs --keys FILE" in done.err) == (2, True)


class TestFault:
    @pytest.mark.parametrize("name", ["silent", "mute", "garbage", "wrong_key", "drop", "power_failure"])
    def test_of_the_meter_is_one_line(self, meters: Meters, name: str):
        serial = meters.serials[2]
        words = ("meter", "read", meters.urls[2], "--profile", "daily", *meters.options(), "--timeout", 1)
        meters.control.fault(serial=serial, name=name, on=True)
        try:
            said = meters.shell.refusal(*words)
        finally:
            meters.control.fault(serial=serial, name=name, on=False)

        assert "[headend." in said or "[dlms." in said
        assert serial in said or meters.urls[2].removeprefix("tcp://") in said
        assert "; check" in said or "; try" in said
        assert meters.shell.json(*words)["serial"] == serial

    def test_of_the_relay_is_told_from_its_reading(self, meters: Meters):
        serial, words = (
            meters.serials[2],
            ("meter", "relay", meters.urls[2], "disconnect", *meters.options(48)),
        )
        meters.control.fault(serial=serial, name="stuck_relay", on=True)
        try:
            done = meters.shell.run(*words, "--format", "json")
        finally:
            meters.control.fault(serial=serial, name="stuck_relay", on=False)

        assert done.reason.endswith("[headend.relay-not-moved]")
        assert json.loads(done.out)["verified"] is False

    def test_may_be_a_share_of_the_meters(self, shell: Shell, tmp_path: Path):
        for meters in simulated(shell, tmp_path, "--faults", "silent=1"):
            for url in meters.urls:
                assert "[headend." in shell.refusal(
                    "meter", "read", url, "--profile", "daily", *meters.options()
                )


class TestKeys:
    def changed(self, meters: Meters, folder: Path, **values: object) -> Path:
        entries = json.loads(meters.keys.read_text(encoding="utf-8"))
        file = folder / "keys.json"
        file.write_text(json.dumps([entries[0] | values]), encoding="utf-8")
        return file

    @pytest.mark.parametrize(
        ("field", "value", "client"),
        [
            ("ek", "00" * 16, 32),
            ("ak", "00" * 16, 32),
            ("lls", "WRONG123", 32),
            ("ek", "00" * 16, 48),
            ("ak", "00" * 16, 48),
        ],
    )
    def test_that_are_wrong_are_one_line(
        self, meters: Meters, tmp_path: Path, field: str, value: str, client: int
    ):
        file = self.changed(meters, tmp_path, **{field: value})
        words = ("meter", "read", meters.urls[0], "--profile", "daily", "--client", client, "--keys", file)
        said = meters.shell.refusal(*words, "--timeout", 3)
        assert "[headend." in said
        assert value not in said

    def test_of_other_meters_are_refused(self, meters: Meters, tmp_path: Path):
        entries = json.loads(meters.keys.read_text(encoding="utf-8"))
        file = tmp_path / "keys.json"
        file.write_text(json.dumps(entries[1:]), encoding="utf-8")
        words = ("meter", "read", meters.urls[0], "--profile", "daily", "--client", 32, "--keys", file)
        said = meters.shell.refusal(*words)
        assert f"no entry with the URL {meters.urls[0]}" in said

    def test_without_an_address_serve_a_file_of_one_meter(self, meters: Meters, tmp_path: Path):
        file = self.changed(meters, tmp_path, url=None)
        words = ("meter", "read", meters.urls[0], "--profile", "daily", "--client", 32, "--keys", file)
        assert meters.shell.json(*words)["serial"] == meters.serials[0]

    @pytest.mark.parametrize("title", ["00", "zz" * 8, "00" * 9])
    def test_need_a_title_of_eight_octets(self, meters: Meters, title: str):
        words = ("meter", "read", meters.urls[0], "--profile", "daily", *meters.options(), "--title", title)
        assert meters.shell.run(*words).status == 2


class TestWay:
    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("tcp://127.0.0.1:9", "headend.unreachable"),
            ("tcp://nowhere.invalid:4059", "headend.unreachable"),
            ("", "headend.broken-url"),
            ("http://127.0.0.1:9", "headend.broken-url"),
            ("tcp://[::1", "headend.broken-url"),
            ("tcp://127.0.0.1:99999", "headend.broken-url"),
            ("hdlc://dev/ttyUSB9", "headend.broken-url"),
        ],
    )
    def test_that_leads_nowhere_is_one_line(self, shell: Shell, url: str, code: str):
        words = ("meter", "read", url, "--profile", "daily", "--client", 16, "--timeout", 2)
        assert shell.refusal(*words).endswith(f"[{code}]")

    def test_through_the_other_framing_ends(self, meters: Meters):
        url = f"hdlc+{meters.urls[0]}"
        words = ("meter", "read", url, "--profile", "daily", "--client", 16, "--timeout", 1)
        assert "[headend." in meters.shell.refusal(*words)

    def test_makes_no_home(self, meters: Meters):
        meters.shell.json("meter", "relay", meters.urls[0], "status", *meters.options(48))
        assert not Path(meters.shell.environment["BIJLIGHAR_HOME"]).exists()
