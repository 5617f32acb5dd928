"""Fuzzing: a short run always, and the run of five million inputs when it is asked for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
MEMORY_MIB_MAX = 200
LONG_INPUTS = 5_000_000


def run(*arguments: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (report["failure"] is not None), ran.stderr
    return report


class TestParsers:
    def test_raise_nothing_but_protocol_errors_whatever_comes(self):
        report = run("--inputs", "60000", "--seed", "15959")

        assert report["failure"] is None
        assert report["memory_mib"] < MEMORY_MIB_MAX
        assert report["inputs"] == 60_000
        assert report["kept"] > 100

    @pytest.mark.long
    def test_raise_nothing_else_on_five_million_inputs(self):
        report = run("--inputs", str(LONG_INPUTS), "--seed", "62056")

        assert report["failure"] is None
        assert report["inputs"] == LONG_INPUTS
        assert report["memory_mib"] < MEMORY_MIB_MAX


class TestFuzzer:
    def test_finds_a_fault_that_no_seed_reaches(self):
        report = run("--inputs", "200000", "--planted")

        assert report["failure"] is not None
        assert report["failure"]["error"].startswith("IndexError")
