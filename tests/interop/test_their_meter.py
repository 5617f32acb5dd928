"""`bijlighar meter` reads `pydlms simulate`, a meter of another make that is not of IS 15959."""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.interop import peer
from tests.interop.test_our_meter import FRAMINGS
from tests.simulator.towns import free_ports

EK, AK, PASSWORD = "000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "pass1234"
#: The system title of their meter, which it gives out in AARE.
TITLE = b"PYD\x00\x00\x00\x00\x01"
ENERGY, VOLTAGE, CURRENT, POWER = "1.0.1.8.0.255", "1.0.32.7.0.255", "1.0.31.7.0.255", "1.0.1.7.0.255"
#: Their load profile: a row each quarter of an hour, the first at this time, 7 Wh more in each.
FIRST, PERIOD, ROWS = datetime(2024, 5, 1, tzinfo=UTC), timedelta(minutes=15), 96


@dataclass(frozen=True, kw_only=True)
class Theirs:
    """Their meter and our shell."""

    shell: Shell
    url: str
    keys: Path

    def options(self, client: int) -> tuple[object, ...]:
        return ("--client", client) if client == 16 else ("--client", client, "--keys", self.keys)


def serving(shell: Shell, folder: Path, framing: str, *options: str) -> Iterator[Theirs]:
    """Their meter, once it answers."""
    port = free_ports(1)
    framing_option = ("--hdlc",) if framing == "hdlc" else ()
    order = ("-m", "pydlms.cli", "simulate", "--host", "127.0.0.1", "--port", str(port), *framing_option)
    scheme = "hdlc+tcp" if framing == "hdlc" else "tcp"
    keys = folder / "keys.json"
    entry = {"serial": "PYD0000000001", "system_title": TITLE.hex(), "ek": EK, "ak": AK, "lls": PASSWORD}
    keys.write_text(json.dumps([entry]), encoding="utf-8")
    process = subprocess.Popen(
        [peer.need("pydlms"), *order, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        yield Theirs(shell=shell, url=f"{scheme}://127.0.0.1:{port}", keys=keys)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell without home or database."""
    peer.need("pydlms")
    with Shell({"BIJLIGHAR_HOME": str(tmp_path_factory.mktemp("no") / "home")}) as opened:
        yield opened


@pytest.fixture(scope="module", params=FRAMINGS)
def ciphered(
    shell: Shell, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theirs]:
    """A meter with keys: client 32 with a password, 48 with GMAC, both ciphered."""
    options = ("--key", EK, "--auth-key", AK, "--client", f"32:1:{PASSWORD}", "--client", "48:5")
    yield from serving(shell, tmp_path_factory.mktemp("ciphered"), request.param, *options)


class TestTheirMeter:
    @pytest.mark.parametrize("client", [16, 32, 48])
    def test_tells_its_load_profile(self, ciphered: Theirs, client: int):
        words = ("meter", "read", ciphered.url, "--profile", "block-load", *ciphered.options(client))
        found = ciphered.shell.json(*words)

        (column,) = found["columns"]
        assert (column["obis"], column["attribute"], column["unit"]) == (ENERGY, 2, "Wh")
        starts = [datetime.fromisoformat(row["time"]) for row in found["rows"]]
        assert starts == [FIRST + (place - 1) * PERIOD for place in range(ROWS)]
        assert [row[ENERGY] for row in found["rows"]] == [1000 + 7 * place for place in range(ROWS)]

    def test_tells_a_part_of_it_as_csv(self, ciphered: Theirs):
        words = ("meter", "read", ciphered.url, "--profile", "block-load", *ciphered.options(32))
        span = ("--from", "2024-05-01T06:00+05:30", "--to", "2024-05-01T07:00+05:30")
        rows = list(csv.DictReader(io.StringIO(ciphered.shell.ok(*words, *span, "--format", "csv"))))
        assert [row[ENERGY] for row in rows] == ["1021", "1028", "1035", "1042"]

    def test_scales_each_register_by_itself(self, ciphered: Theirs):
        expected = {ENERGY: (12345678, "Wh"), POWER: (1520, "W"), VOLTAGE: (230.1, "V"), CURRENT: (5.23, "A")}
        for obis, (scaled, unit) in expected.items():
            words = ("meter", "get", ciphered.url, obis, "--class", 3, "--attribute", 2)
            found = ciphered.shell.json(*words, *ciphered.options(48))
            assert (found["scaled"], found["unit"]) == (scaled, unit)
            assert ciphered.shell.ok(*words, *ciphered.options(16)) == f"{scaled} {unit}\n"

    def test_keeps_one_counter_for_all_clients(self, ciphered: Theirs):
        words = (
            "meter",
            "get",
            ciphered.url,
            "0.0.43.1.0.255",
            "--class",
            1,
            "--attribute",
            2,
            "--client",
            16,
        )
        before = ciphered.shell.json(*words)["value"]
        ciphered.shell.ok("meter", "relay", ciphered.url, "status", *ciphered.options(48))
        assert ciphered.shell.json(*words)["value"] > before

    def test_opens_its_relay_and_is_not_believed_where_it_contradicts_itself(self, ciphered: Theirs):
        """It takes both methods, but its control state never moves, nor its output state back."""
        words, setting = ("meter", "relay", ciphered.url), ciphered.options(48)
        before = ciphered.shell.json(*words, "status", *setting)
        done = ciphered.shell.run(*words, "disconnect", *setting, "--format", "json")
        after = ciphered.shell.json(*words, "status", *ciphered.options(32))

        assert (before["control_state"], before["control_mode"]) == (1, None)
        assert done.reason.endswith("[headend.relay-not-moved]")
        assert (done.document["output_state"], done.document["control_state"]) == (False, 1)
        assert done.document["verified"] is False
        assert (after["output_state"], after["control_state"]) == (False, 1)
        again = ciphered.shell.run(*words, "reconnect", *setting, "--format", "json")
        assert again.reason.endswith("[headend.relay-not-moved]")

    @pytest.mark.parametrize("profile", ["daily", "billing", "nameplate", "instantaneous", "events"])
    def test_has_no_other_profile(self, ciphered: Theirs, profile: str):
        words = ("meter", "read", ciphered.url, "--profile", profile, *ciphered.options(48))
        said = ciphered.shell.refusal(*words)
        assert f"has no profile {profile} for client 48" in said
        assert said.endswith("[headend.layout]")

    @pytest.mark.parametrize(
        ("client", "field", "value"),
        [(48, "ek", "00" * 16), (48, "ak", "00" * 16), (32, "ek", "00" * 16), (32, "lls", "nonsense")],
    )
    def test_refuses_wrong_keys(self, ciphered: Theirs, tmp_path: Path, client: int, field: str, value: str):
        entry = json.loads(ciphered.keys.read_text(encoding="utf-8"))[0]
        wrong = tmp_path / "keys.json"
        wrong.write_text(json.dumps([{**entry, field: value}]), encoding="utf-8")
        words = ("meter", "relay", ciphered.url, "status", "--client", client, "--keys", wrong)
        said = ciphered.shell.refusal(*words, "--timeout", 3)
        assert said.endswith("[headend.refused]") or "[dlms." in said
        assert value not in said
