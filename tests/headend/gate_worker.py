"""A gate's process for tests, on a still clock: python -m tests.headend.gate_worker FOLDER."""

import asyncio
import signal
import sys
from datetime import datetime
from pathlib import Path

from bijlighar.headend.gate_door import GateFolder
from bijlighar.headend.operations import serve_gate
from tests.headend.conftest import FAST
from tests.headend.orders import NOW


class StillClock:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve_gate(GateFolder(path=Path(sys.argv[1])), settings=FAST, clock=StillClock(), stop=stop)


if __name__ == "__main__":
    asyncio.run(main())
