"""A gate in a process of its own, for tests to ask, to kill and to attack."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bijlighar.headend import gate_store, keys_store
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_door import GateFolder, ceilings_text
from bijlighar.headend.keys import command_part
from bijlighar.headend.model import Ceilings, GateCode, MeterKeys
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from tests.headend.orders import NOW, VERIFY_KEY

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 120.0


@contextmanager
def gate_of_home(home: Home) -> Iterator[None]:
    """Run `bijlighar gate` on a home."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bijlighar", "gate", "--home", str(home.path)], stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(Line(home).gate.socket, process)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not socket.exists():
        assert time.monotonic() < give_up
        assert process.poll() is None
        time.sleep(0.01)


class GateProcess:
    """The gate of a folder."""

    def __init__(
        self,
        path: Path,
        *,
        keys: Sequence[MeterKeys],
        ceilings: Ceilings | None = None,
        now: datetime = NOW,
        call_in: str | None = None,
    ) -> None:
        self._now = now
        self._call_in = call_in
        self.folder = GateFolder(path=path)
        self.folder.found(verify_key=VERIFY_KEY, ceilings=ceilings or Ceilings())
        store = self.folder.open_store()
        with store.write() as connection:
            keys_store.store_keys(
                connection,
                keys=[command_part(meter) for meter in keys],
                key_encryption_key=self.folder.key_encryption_key(),
                now=NOW,
            )
        store.close()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        return str(self.folder.socket)

    @property
    def gate(self) -> RemoteGate:
        return RemoteGate(self.socket)

    def start(self) -> "GateProcess":
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.headend.gate_worker",
                str(self.folder.path),
                self._now.isoformat(),
                *([] if self._call_in is None else [self._call_in]),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        )
        _wait_for(self.folder.socket, self._process)
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self.folder.socket.unlink(missing_ok=True)  # so that the next start is seen

    def __enter__(self) -> "GateProcess":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def set_ceilings(self, ceilings: Ceilings) -> None:
        (self.folder.path / "ceilings.toml").write_text(ceilings_text(ceilings))

    def log(self) -> list[tuple[str, GateCode]]:
        """What the gate has said about which order, by its own log."""
        store = self.folder.open_store()
        with store.read() as connection:
            found = [
                (entry.order_id, entry.code) for entry in gate_store.entries(connection, after=0, limit=1000)
            ]
        store.close()
        return found
