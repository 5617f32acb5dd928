"""The gate's process: run here, or kept running as a child whose end is looked for and put right."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process

from bijlighar.headend import operations as headend
from bijlighar.runtime.line import Line

log = logging.getLogger(__name__)

PAUSE_FIRST_S = 0.2
PAUSE_LONGEST_S = 30.0
STOP_TIMEOUT_S = 10.0
#: A gate that lived so long [s] was well: the next pause is short again.
WELL_AFTER_S = 60.0


async def run_gate(line: Line, *, stop: asyncio.Event) -> None:
    """
    Run the gate of a home until told to stop.

    :raises GateRuns: if another gate runs on the same folder.
    """
    folder = line.found_gate()
    await headend.serve_gate(folder, settings=line.head_end_settings, clock=line.home.clock, stop=stop)


async def keep_gate(line: Line, *, stop: asyncio.Event) -> None:
    """Keep the gate running as a child until told to stop; the child ends when its standard input does."""
    loop = asyncio.get_running_loop()
    pause_s = PAUSE_FIRST_S
    while not stop.is_set():
        started_s = loop.time()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bijlighar", "gate", "--home", str(line.home.path), "--until-eof",
            stdin=PIPE,
        )  # fmt: skip
        if await _ends_before(child, stop):
            log.error("the gate ended with status %s; started again in %g s", child.returncode, pause_s)
            pause_s = (
                PAUSE_FIRST_S if loop.time() - started_s > WELL_AFTER_S else min(2 * pause_s, PAUSE_LONGEST_S)
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)


async def _ends_before(child: Process, stop: asyncio.Event) -> bool:
    """Return whether the child ended by itself; end it where it was told to stop first, whatever comes."""
    ended = asyncio.create_task(child.wait())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return ended.done()
    finally:
        stopped.cancel()
        if not ended.done():
            if child.stdin is not None:
                child.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), STOP_TIMEOUT_S)
            if child.returncode is None:
                child.kill()
        await ended
