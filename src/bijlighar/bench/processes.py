"""The processes of a home that a benchmark measures: head-end, worker and web server, each on its own."""

import signal
import socket
import subprocess
import sys
import time
from types import TracebackType

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.home import Home

NAMES = ("headend", "worker", "web")
READY_S, STOP_S, POLL_S = 30.0, 15.0, 0.05
LOCAL = "127.0.0.1"


class NotReady(BijligharError):
    """A process did not start."""

    code = "bench.not-ready"


class Children:
    """Starts the processes of a home, and ends them with the block."""

    def __init__(self, home: Home) -> None:
        """Start nothing yet."""
        self._home = home
        self._running: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def ports() -> tuple[int, int]:
        """Return two ports that nobody listens on now."""
        with socket.socket() as first, socket.socket() as second:
            first.bind((LOCAL, 0))
            second.bind((LOCAL, 0))
            return first.getsockname()[1], second.getsockname()[1]

    def __enter__(self) -> "Children":
        """Return itself."""
        return self

    def start(self) -> None:
        """
        Start the processes and wait until both ports are open.

        :raises NotReady: if one is not.
        """
        for name in NAMES:
            with (self._home.logs / f"{name}.out").open("wb") as output:
                self._running.append(
                    subprocess.Popen(  # noqa: S603 - our own command
                        [sys.executable, "-m", "bijlighar", name, "--home", str(self._home.path)],
                        stdout=output,
                        stderr=output,
                    )
                )
        for setting in ("web.port", "headend.push_port"):
            self._wait(self._home.settings.whole(setting))

    def _wait(self, port: int) -> None:
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex((LOCAL, port)) == 0:
                    return
            time.sleep(POLL_S)
        raise NotReady(f"nothing listens on {LOCAL}:{port}; see {self._home.logs}")

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        for child in self._running:
            child.send_signal(signal.SIGTERM)
        for child in self._running:
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
