"""A gate's process for tests, on a still clock: python -m tests.headend.gate_worker FOLDER [TIME [CALL_IN]]."""

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bijlighar.headend.gate_door import GateFolder
from bijlighar.headend.operations import serve_gate
from tests.headend.conftest import FAST
from tests.headend.orders import NOW


class StillClock:
    """A clock that stands."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = StillClock(datetime.fromisoformat(sys.argv[2]) if len(sys.argv) > 2 else NOW)
    settings = replace(FAST, call_in_socket=sys.argv[3] if len(sys.argv) > 3 else None)
    await serve_gate(GateFolder(path=Path(sys.argv[1])), settings=settings, clock=clock, stop=stop)


if __name__ == "__main__":
    asyncio.run(main())
