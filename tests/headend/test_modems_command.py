"""`bijlighar meter modems`, and a head-end's own process that modems call, as a person runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from bijlighar.cli.modems import modems
from bijlighar.headend import modem_store, push_kinds_store, push_store
from bijlighar.headend.registration import FactKind
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from tests.headend.orders import NOW
from tests.simulator.towns import free_ports

PATIENCE_S = 120.0


def call(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(modems, ["--home", str(home), *arguments])


def fill(home: Path) -> None:
    with Home(home).database.write() as connection:
        facts = {FactKind.IMEI: "356938035643809", FactKind.ADDRESS: "10.0.0.9"}
        modem_store.claim(connection, modem="GW-1", facts=facts, source="10.0.0.9", now=NOW, calls_in=True)
        modem_store.prove(
            connection, modem="GW-1", meter="BJ100001", facts={FactKind.ADDRESS: "10.0.0.9"}, now=NOW
        )
        push_store.quarantine(
            connection, sender="10.0.0.66", code="headend.claim-refuted", note="lies", frame=b"", now=NOW
        )
        push_kinds_store.count(
            connection, meter="BJ100001", kind="daily", why_unplaced="no columns", body=b"\2", now=NOW
        )


class TestModems:
    def test_tells_claims_from_what_is_trusted(self, tmp_path: Path):
        fill(tmp_path)

        found = json.loads(call(tmp_path, "--format", "json").stdout)

        (modem,) = found["modems"]
        assert (modem["name"], modem["state"], modem["calls"], modem["proven_by"]) == (
            "GW-1",
            "there",
            1,
            "BJ100001",
        )
        trusted = {fact["kind"]: fact["trusted_at"] for fact in modem["facts"]}
        assert trusted == {"imei": None, "address": "2025-07-01T10:30:00+05:30"}
        assert found["quarantine"][0]["count"] == 1
        assert found["kinds"]["daily"]["unplaced"] == 1

    def test_speaks_hindi_and_english(self, tmp_path: Path):
        fill(tmp_path)

        english, hindi = call(tmp_path), call(tmp_path, "--lang", "hi")

        assert "Quarantine" in english.output
        assert "10.0.0.66" in english.output
        assert "मॉडम" in hindi.output
        assert "Quarantine" not in hindi.output


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def known(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(home, "--format", "json").stdout)["modems"]
    return found


class TestProcesses:
    """`bijlighar meter simulate --call-in` and `bijlighar headend`, each in a process of its own."""

    def test_read_each_other_and_end_in_mid_conversation_when_told(self, tmp_path: Path):
        port = free_ports(2)
        keys = tmp_path / "keys.json"
        environment = os.environ | {
            "BIJLIGHAR_HEADEND_CALL_IN_PORT": str(port),
            "BIJLIGHAR_HEADEND_PUSH_PORT": "0",
        }
        home = tmp_path / "home"
        simulate = [sys.executable, "-m", "bijlighar", "meter", "simulate", "--meters", "4", "--seed", "3"]
        simulate += ["--call-in", f"127.0.0.1:{port}", "--per-modem", "2", "--keys-out", str(keys)]
        town = subprocess.Popen([*simulate, "--faults", "slow_link=1"], stdout=subprocess.PIPE, text=True)
        try:
            assert town.stdout is not None
            assert town.stdout.readline() == f"2 modems call 127.0.0.1:{port}\n"
            urls = [one["url"] for one in json.loads(keys.read_text())]
            assert urls[:3] == [
                "callin://GW-00001?server=1",
                "callin://GW-00001?server=2",
                "callin://GW-00002?server=1",
            ]
            register(home, keys)
            head_end = subprocess.Popen(
                [sys.executable, "-m", "bijlighar", "headend", "--home", str(home)], env=environment
            )
            try:
                until(lambda: any(modem["proven_by"] for modem in known(home)))  # a conversation is on
                began = time.monotonic()
                head_end.send_signal(signal.SIGTERM)
                assert head_end.wait(PATIENCE_S) == 0
                assert time.monotonic() - began < 20
            finally:
                head_end.kill()
                head_end.wait()
        finally:
            town.terminate()
            assert town.wait(PATIENCE_S) == 0
            assert town.stdout is not None
            town.stdout.close()

        assert {modem["state"] for modem in known(home)} == {"gone"}
        assert not (home / "run" / "call-in.sock").exists()


def register(home: Path, keys: Path) -> None:
    """Hang the simulated meters, and store their keys."""
    from bijlighar.headend import operations
    from bijlighar.registry import operations as registry
    from tests.headend.town import HEADER

    opened = Home(home)
    line = Line(opened)
    found = operations.read_keys_file(keys.read_text())
    rows = [
        f"A-{one.serial},Name,LV-1.2,urban,2000,U-{one.serial},{one.serial},single-phase,{one.url},T-1,F-1,R,TOWN,30,,"
        "2026-01-01T00:00:00+05:30"
        for one in found
    ]
    with line.database.write() as connection:
        registry.import_registry(connection, text="\n".join([HEADER, *rows]) + "\n", now=line.now())
        operations.store_keys(
            connection, keys=list(found), key_encryption_key=opened.key(KEY_ENCRYPTION_KEY), now=line.now()
        )
