"""
A shell for tests of the command line: each command in a process of its own, as a person's shell starts it.

`Shell` forks each command from a process that has imported everything, so that a command costs a tenth of a second;
`python_m` starts one from nothing.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

#: Longest time a process may take to end after SIGTERM [s].
END_S = 15
#: Longest wait for one command, for a process to be ready, or for what it does to be seen [s].
PATIENCE_S = 120

_SERVER = """
import gc, json, os, sys, traceback
from importlib import import_module
from bijlighar.cli import main
from bijlighar.runtime import schema
for module, _, _ in main.WORDS.values():
    import_module(f"bijlighar.cli.{module}")
gc.freeze()
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        for number, name in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
            os.dup2(os.open(name, flags, 0o600), number)
        os.environ.update(order["environment"])
        status = 0
        try:
            main.main(order["arguments"])
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
            status = 70
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def reason(self) -> str:
        """The one line on stderr of a command that failed; it is held to be the only thing said."""
        assert self.status == 1, (self.status, self.out, self.err)
        assert "Traceback" not in self.err, self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("bijlighar: "), self.err
        return self.err.removeprefix("bijlighar: ").rstrip("\n")


class Shell:
    """Runs commands, all in one environment."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the process that all commands are forked from."""
        self.environment = dict(environment or {})
        self._folder = tempfile.TemporaryDirectory(prefix="bijlighar-shell-")
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_clean_environment(),
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate(timeout=PATIENCE_S)
        self._folder.cleanup()

    def run(self, *arguments: object) -> Done:
        """Run one command to its end."""
        out, err = Path(self._folder.name) / "out", Path(self._folder.name) / "err"
        order = {
            "arguments": [str(argument) for argument in arguments],
            "environment": self.environment,
            "out": str(out),
            "err": str(err),
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        return Done(status=status, out=out.read_text("utf-8"), err=err.read_text("utf-8"))

    def ok(self, *arguments: object) -> str:
        """Run a command that must succeed and return what it printed."""
        done = self.run(*arguments)
        assert done.status == 0, (arguments, done)
        return done.out

    def json(self, *arguments: object) -> Any:
        """Run a command that must succeed with --format json and return its document."""
        return json.loads(self.ok(*arguments, "--format", "json"))

    def refusal(self, *arguments: object) -> str:
        """Run a command that must fail with one line and nothing on stdout, and return that line."""
        done = self.run(*arguments)
        assert done.out == "", done.out
        return done.reason

    @contextlib.contextmanager
    def running(self, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
        """Run a command that stays, until the end of the block; it must end well on SIGTERM."""
        with running(*arguments, environment=self.environment) as process:
            yield process


@contextlib.contextmanager
def running(
    *arguments: object, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command that stays from nothing, until the end of the block; it must end well on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bijlighar", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_clean_environment() | dict(environment or {}),
    )
    try:
        yield process
        assert process.poll() is None, process.communicate()[0]
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=END_S)
        assert process.returncode == 0, output
    finally:
        process.kill()
        process.communicate()


def python_m(*arguments: object, environment: Mapping[str, str] | None = None) -> Done:
    """Run `python -m bijlighar` from nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "bijlighar", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=_clean_environment() | dict(environment or {}),
    )
    return Done(status=done.returncode, out=done.stdout, err=done.stderr)


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the first line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


class Patience:
    """Ends a wait that takes too long."""

    def __init__(self, what: str) -> None:
        """Name what is waited for."""
        self._what = what
        self._give_up = time.monotonic() + PATIENCE_S

    def wait(self) -> None:
        """Wait a moment."""
        assert time.monotonic() < self._give_up, f"waited too long for {self._what}"
        time.sleep(0.2)


def _clean_environment() -> dict[str, str]:
    """Return the environment without settings of a home."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BIJLIGHAR_")}
