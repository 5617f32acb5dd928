"""Other people's DLMS libraries, each program in a process of its own and in the environment that holds them."""

import functools
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import PATIENCE_S

ROOT = Path(__file__).parents[2]
#: The module that a library is imported by, for each of our programs that use it.
MODULES = {"gurux_client": "gurux_dlms", "cosem_client": "dlms_cosem", "pydlms_client": "pydlms"}
PEERS = tuple(MODULES)
#: Our own system title in sessions of peers.
TITLE = b"BJFPEER1".hex()


@functools.cache
def interpreter() -> str | None:
    """The interpreter with the peers: $BIJLIGHAR_PEERS, or that which `./dev test` made."""
    named = os.environ.get("BIJLIGHAR_PEERS", str(ROOT / ".venv-peers" / "bin" / "python"))
    return named if Path(named).is_file() and os.access(named, os.X_OK) else None


@functools.cache
def has(module: str) -> bool:
    """Whether the peers' environment can import a module."""
    python = interpreter()
    if python is None:
        return False
    done = subprocess.run(
        [python, "-c", f"import {module}"], capture_output=True, check=False, timeout=PATIENCE_S
    )
    return done.returncode == 0


def need(module: str) -> str:
    """The interpreter, or the skipping of a test whose peer is not there."""
    python = interpreter()
    if python is None or not has(module):
        pytest.skip(f"{module} is not installed beside us; ./dev test does it where it can")
    return python


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one session of a peer: its answers, and the refusal that ended it, if one did."""

    answers: tuple[Any, ...]
    refused: str | None


def talk(peer: str, sessions: Sequence[dict[str, object]]) -> tuple[Outcome, ...]:
    """Let a peer hold sessions with a meter, one after the other."""
    done = subprocess.run(
        [need(MODULES[peer]), str(ROOT / "peers" / f"{peer}.py")],
        input=json.dumps({"sessions": list(sessions)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "absent" not in answer, answer
    return tuple(
        Outcome(answers=tuple(one["answers"]), refused=one.get("refused")) for one in answer["sessions"]
    )
