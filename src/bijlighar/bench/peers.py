"""Peers: other people's libraries, each in a child process of its own, never imported here."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERPRETER_VARIABLE = "BIJLIGHAR_PEERS"
#: `peers/` at the project's root; an installed wheel has none, and then every peer is absent.
FOLDER = Path(__file__).resolve().parents[3] / "peers"
TIMEOUT_S = 120
REASON_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What a peer answered; None where it cannot be run, with the reason why."""

    answer: Mapping[str, Any] | None
    reason: str | None = None

    @property
    def version(self) -> str | None:
        """Return the version of the peer's library."""
        return None if self.answer is None else str(self.answer["version"])

    def figure(self, name: str) -> float | None:
        """Return a figure of the answer, None where there is no answer."""
        return None if self.answer is None else float(self.answer[name])


def ask(*, name: str, request: Mapping[str, Any], folder: Path = FOLDER) -> Peer:
    """
    Run `peers/NAME.py`, the request as JSON on its standard input, and return what it answers.

    The interpreter is the one that `$BIJLIGHAR_PEERS` names, else the running one.
    """
    script = folder / f"{name}.py"
    if not script.is_file():
        return Peer(answer=None, reason=f"there is no {script}")
    command = [os.environ.get(INTERPRETER_VARIABLE) or sys.executable, str(script)]
    try:
        done = subprocess.run(  # noqa: S603 - our own script, by an interpreter that the operator names
            command, input=json.dumps(request), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return Peer(answer=None, reason=str(problem)[:REASON_LENGTH_MAX])
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}, no answer"]
        return Peer(answer=None, reason=last[0][:REASON_LENGTH_MAX])
    if "absent" in answer:
        return Peer(answer=None, reason=str(answer["absent"])[:REASON_LENGTH_MAX])
    return Peer(answer=answer)
