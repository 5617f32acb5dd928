"""
The processes that walk the route: head-end, worker, or both beside the web server in one.

A step runs when something is pending for it. One that fails is written down with its traceback in the log and tried
again after a pause that doubles; it never stops the others.
"""

import asyncio
import contextlib
import fcntl
import inspect
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from time import monotonic
from typing import IO

from bijlighar.alarms import operations as alarms
from bijlighar.base.errors import BijligharError
from bijlighar.headend import operations as headend
from bijlighar.runtime import progress
from bijlighar.runtime.clock import wall
from bijlighar.runtime.line import Line
from bijlighar.runtime.route import ROUTE, Lane, Process, Step
from bijlighar.storage import jobs

log = logging.getLogger(__name__)

PAUSE_FIRST_S = 0.5
PAUSE_LONGEST_S = 60.0
RECOVER_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
#: How long the thread of the alarms and that of the siren sleep between two questions whether anything was committed.
ALARM_POLL_S = 0.005
#: The siren's thread speaks for half of the time at most, but a broker that is slow to answer holds it no longer.
SIREN_PAUSE_MAX_S = 0.1
#: Looking in vain for work may take one part in so many of a lane's time, however often others commit ...
SHARE_OF_LOOKING = {Lane.ALARM: 2, Lane.PROMPT: 8, Lane.BULK: 8}
#: ... but a look that was slow once puts off the next no longer than this.
LOOKING_PAUSE_MAX_S = 0.05
TELL_EVERY_S = 0.25
LOCK_FOLDER = "run"


class AlreadyRunning(BijligharError):
    """Another process of this kind runs on this home."""

    code = "runtime.already-running"


@contextlib.contextmanager
def only_one(line: Line, *, process: Process) -> Iterator[None]:
    """
    Hold the place of the only process of its kind on this home and machine; the kernel gives it back at death.

    :raises AlreadyRunning: if it is taken.
    """
    folder = line.home.folder(LOCK_FOLDER)
    file: IO[str]
    with (folder / f"{process.value}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"a {process.value} already runs on the home {line.home.path}; stop it first, or use another home"
            ) from None
        file.write(str(os.getpid()))
        file.flush()
        yield


def worker_name(process: Process) -> str:
    """Return the name under which a process claims jobs: its predecessor on this machine had the same."""
    return f"{process.value}@{socket.gethostname()}"


class StepRunner:
    """Runs steps that have something pending, with a pause after each failure."""

    def __init__(self, line: Line, steps: Sequence[Step], *, share: int = 1) -> None:
        """Take the steps in the order of the route; looking in vain may take one part in `share` of the time."""
        self._line = line
        self._steps = tuple(steps)
        self._share = share
        self._not_before = monotonic()
        self._pauses: dict[str, tuple[float, float]] = {}
        self._done: Counter[str] = Counter()
        self._told_at = monotonic() - TELL_EVERY_S
        self._changes = line.database.changes()
        self._looked_at = monotonic() - LOOK_EVERY_S
        self._was_busy = True

    async def round(self) -> int:
        """
        Run what is due and return how much was done.

        Where nobody has committed anything since an idle round, nothing can be due but by the passing of time:
        that is looked at every `LOOK_EVERY_S`.
        """
        self._tell_now_and_then()
        if monotonic() < self._not_before:
            return 0
        moved = self._changes.has_moved()
        if not moved and not self._was_busy and monotonic() - self._looked_at < LOOK_EVERY_S:
            return 0
        self._looked_at = monotonic()
        now = self._line.home.clock.now()
        steps = self.due(now)
        took_s = monotonic() - self._looked_at
        done = 0
        for step in steps:
            done += await self.run(step, now)
        self._was_busy = bool(done)
        self._tell_now_and_then()
        if not done:
            self._not_before = monotonic() + min(took_s * (self._share - 1), LOOKING_PAUSE_MAX_S)
        return done

    def close(self) -> None:
        """Tell what was done, and give the connection back by which changes are seen."""
        with _logged("a lane that ends"):
            self._tell()
        self._changes.close()

    def due(self, now: datetime) -> tuple[Step, ...]:
        """Return the steps that have something pending and no pause."""
        moment = monotonic()
        awake = [step for step in self._steps if self._pauses.get(step.name, (moment, 0))[0] <= moment]
        with self._line.database.read() as connection:
            return tuple(step for step in awake if step.pending(self._line, connection, now))

    async def run(self, step: Step, now: datetime) -> int:
        """Run one step and return what it did, 0 where it failed."""
        try:
            outcome = step.run(self._line, now)
            count = await outcome if inspect.isawaitable(outcome) else outcome
        except Exception as problem:
            self._failed(step, problem, now)
            return 0
        self._pauses.pop(step.name, None)
        if count:
            self._done[step.name] += count
        return count

    def _tell_now_and_then(self) -> None:
        if self._done and monotonic() - self._told_at >= TELL_EVERY_S:
            self._tell()

    def _tell(self) -> None:
        """Record what was done since it was last told."""
        self._told_at = monotonic()
        now = self._line.home.clock.now()
        with self._line.database.write() as connection:
            for name, count in self._done.items():
                progress.record_done(connection, step=name, count=count, now=now)
        self._done.clear()

    def _failed(self, step: Step, problem: Exception, now: datetime) -> None:
        _, pause_s = self._pauses.get(step.name, (0.0, PAUSE_FIRST_S / 2))
        pause_s = min(2 * pause_s, PAUSE_LONGEST_S)
        self._pauses[step.name] = (monotonic() + pause_s, pause_s)
        if isinstance(problem, BijligharError):
            log.warning("step %s: %s [%s]; again in %g s", step.name, problem, problem.code, pause_s)
        else:
            log.exception("step %s failed; again in %g s", step.name, pause_s)
        with contextlib.suppress(Exception), self._line.database.write() as connection:
            progress.record_failure(
                connection, step=step.name, error=f"{type(problem).__name__}: {problem}", now=now
            )


def steps_of(process: Process, lane: Lane | None = None) -> tuple[Step, ...]:
    """Return the steps of a process, of one lane if it is named."""
    return tuple(step for step in ROUTE if step.process is process and lane in (None, step.lane))


def recover(line: Line, *, process: Process) -> None:
    """Take back what the dead predecessor of this process held."""
    now, moment = line.home.clock.now(), wall()
    if process is Process.HEADEND:
        headend.recover(line.database, now=now, wall=moment, worker=worker_name(process))
        return
    with line.database.write() as connection:
        jobs.recover(connection, wall=moment, now=now, worker=worker_name(process))


def run_lane(line: Line, *, steps: Sequence[Step], stop: threading.Event, lane: Lane = Lane.PROMPT) -> None:
    """Walk the steps of one lane until told to stop."""
    runner = StepRunner(line, steps, share=SHARE_OF_LOOKING[lane])
    poll_s = line.home.settings.number("worker.poll_s")
    if lane is Lane.ALARM:
        poll_s = min(poll_s, ALARM_POLL_S)
    with asyncio.Runner() as loop:
        while not stop.is_set():
            done = 0
            with _logged("a worker's lane"):
                done = loop.run(runner.round())
            if not done:
                stop.wait(poll_s)
    runner.close()


def run_worker(line: Line, *, stop: threading.Event) -> None:
    """Run the worker until told to stop: a thread for each lane, so that bulk work never delays a payment."""
    with only_one(line, process=Process.WORKER):
        recover(line, process=Process.WORKER)
        threads = [
            threading.Thread(
                target=run_lane,
                kwargs={
                    "line": line,
                    "steps": steps_of(Process.WORKER, lane),
                    "stop": stop,
                    "lane": lane,
                },
                name=f"worker-{lane.value}",
            )
            for lane in Lane
        ]
        others = {"leases": _keep_leases, "siren": _drive_siren}
        threads += [
            threading.Thread(target=work, kwargs={"line": line, "stop": stop}, name=name)
            for name, work in others.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


async def run_headend(line: Line, *, stop: asyncio.Event) -> None:
    """Run the head-end until told to stop: the listener, the relays, the reading, each on its own."""
    with only_one(line, process=Process.HEADEND):
        recover(line, process=Process.HEADEND)
        tasks: list[asyncio.Task[None]] = []
        if any(line.home.settings.whole(f"headend.{way}_port") for way in ("push", "call_in")):
            tasks.append(await _begin_to_listen(line))
        tasks += [asyncio.create_task(_walk(line, [step], stop)) for step in steps_of(Process.HEADEND)]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.gather(stopped, *tasks, return_exceptions=True)


async def _begin_to_listen(line: Line) -> asyncio.Task[None]:
    """Return the task that listens, once it does or cannot: who asks for a modem at once finds the exchange there."""
    ready = asyncio.Event()
    listening = asyncio.create_task(line.listen(ready=ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({listening, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return listening


async def _walk(line: Line, steps: Sequence[Step], stop: asyncio.Event) -> None:
    runner = StepRunner(line, steps, share=SHARE_OF_LOOKING[Lane.PROMPT])
    poll_s = line.home.settings.number("worker.poll_s")
    while not stop.is_set():
        done = 0
        with _logged("the head-end"):
            done = await runner.round()
        if not done:
            await asyncio.sleep(poll_s)
    runner.close()


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Write down what goes wrong outside a step (a database that does not answer, say), and go on."""
    try:
        yield
    except Exception:
        log.exception("%s could not look for work", what)


def _keep_leases(line: Line, stop: threading.Event) -> None:
    """Give back to others what processes of other machines held when they died."""
    while not stop.wait(RECOVER_EVERY_S):
        with _logged("the keeper of leases"), line.database.write() as connection:
            now = line.home.clock.now()
            jobs.recover(connection, wall=wall(), now=now, unknown_kinds=headend.UNKNOWN_KINDS)
            jobs.expire(connection, now=now)


def _drive_siren(line: Line, stop: threading.Event) -> None:
    """Tell the siren what the alarms ask for; its "on" ends by itself when nobody repeats it."""

    async def drive() -> None:
        siren = line.open_siren()
        changes = line.database.changes()
        told_at = monotonic() - LOOK_EVERY_S
        took_s = 0.0
        while not stop.is_set():
            with _logged("the siren"):
                if changes.has_moved() or monotonic() - told_at >= LOOK_EVERY_S:
                    told_at = monotonic()
                    await alarms.drive_siren(line.database, output=siren, now=line.home.clock.now())
                    took_s = monotonic() - told_at
            await asyncio.sleep(min(max(ALARM_POLL_S, took_s), SIREN_PAUSE_MAX_S))
        changes.close()
        await siren.close()

    asyncio.run(drive())


def set_up_log(line: Line, *, name: str) -> None:
    """Write the log of a process to `logs/NAME.log` in the home."""
    logging.basicConfig(
        filename=line.home.logs / f"{name}.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
