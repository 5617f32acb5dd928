"""The processes of a demo: started, watched, killed if a test wants it, started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bijlighar.base.errors import BijligharError

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02
PORT_FIRST = 10_000
PORT_LAST = 60_000
#: From here on the kernel gives ports to outgoing connections; a demo that fits stays below.
EPHEMERAL_FIRST = 32_768
PORT_STEP = 977


class ChildFailed(BijligharError):
    """A process of the demo did not start, or ended by itself."""

    code = "demo.child-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """How a process is started and how it is known to be ready: `ready_port` accepts a connection."""

    name: str
    arguments: tuple[str, ...]
    ready_port: int | None


class Children:
    """The processes of one demo; what they print goes to `logs/NAME.out` in the home."""

    def __init__(self, *, logs: Path) -> None:
        """Start nothing yet."""
        self._logs = logs
        self._plans: dict[str, ChildPlan] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, plans: Sequence[ChildPlan]) -> None:
        """
        Start the processes and wait until each is ready.

        :raises ChildFailed: if one is not ready in time.
        """
        for plan in plans:
            self._plans[plan.name] = plan
            self._spawn(plan)
        for plan in plans:
            self._wait_until_ready(plan)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the processes."""
        return tuple(self._plans)

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL and wait for its end."""
        child = self._running[name]
        child.send_signal(signal.SIGKILL)
        child.wait(STOP_TIMEOUT_S)

    def restart(self, name: str) -> None:
        """
        Start a dead process again, as it was started, and wait until it is ready.

        :raises ChildFailed: if it is not ready in time.
        """
        self._spawn(self._plans[name])
        self._wait_until_ready(self._plans[name])

    def check(self) -> None:
        """
        Look whether every process lives.

        :raises ChildFailed: if one ended by itself.
        """
        for name, child in self._running.items():
            if child.poll() is not None:
                raise ChildFailed(
                    f"the process {name} ended with status {child.returncode}; see {self._log(name)}"
                )

    def stop(self) -> None:
        """Ask every process to end, the last started first, and kill those that do not."""
        for child in reversed(self._running.values()):
            if child.poll() is None:
                child.terminate()
        for child in self._running.values():
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_TIMEOUT_S)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.out"

    def _spawn(self, plan: ChildPlan) -> None:
        with self._log(plan.name).open("ab") as output:
            self._running[plan.name] = subprocess.Popen(  # noqa: S603 - our own program, our own arguments
                [sys.executable, "-m", "bijlighar", *plan.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    def _wait_until_ready(self, plan: ChildPlan) -> None:
        if plan.ready_port is None:
            return
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._running[plan.name].poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", plan.ready_port)) == 0:
                    return
            time.sleep(POLL_S)
        raise ChildFailed(f"the process {plan.name} did not start; see {self._log(plan.name)}")


def free_ports(*, count: int) -> int:
    """
    Return the first of `count` neighbouring ports of this machine that nobody listens on.

    :raises ChildFailed: if there are none.
    """
    places: Sequence[int] = range(
        PORT_FIRST, (EPHEMERAL_FIRST if count < 10_000 else PORT_LAST) - count, PORT_STEP
    )
    start = os.getpid() % len(places)  # two demos that begin at once shall not look at the same place first
    for first in (*places[start:], *places[:start]):
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise ChildFailed(
        f"there are no {count} neighbouring free ports; end what listens, or ask for fewer meters"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
