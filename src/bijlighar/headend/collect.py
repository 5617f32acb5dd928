"""Collecting what meters owe: many sessions at one time, their results in few large transactions."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.errors import BijligharError
from bijlighar.headend import contact, keys_store, meter_fact_store, schedule, session_store
from bijlighar.headend.errors import BrokenUrl, MeterSilent
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.meter_day import Collected, Collector, Task
from bijlighar.headend.meter_facts import FactOrigin, MeterFactKind, told_facts
from bijlighar.headend.model import (
    SESSION_OK,
    CollectReport,
    Lane,
    MeterAddress,
    SessionPurpose,
    SessionRow,
)
from bijlighar.headend.tcp import parse_url
from bijlighar.readings import operations as readings
from bijlighar.storage.engine import Database

#: The most meters that one run asks; what is left is asked by the next run.
METERS_PER_RUN = 100_000
#: So many new objects, about those of the sessions going on, are let be before the garbage collector looks at them.
NEW_OBJECTS = 20_000
#: A meter that owes more days than this is bulk work.
BULK_FROM_DAYS = 3

Progress = Callable[[int, int], None]


async def collect_due(
    database: Database, *, now: datetime, head_end: HeadEnd, progress: Progress | None = None
) -> CollectReport:
    """
    Ask every meter for what it owes at `now` and store it; `progress` is told (done, all) sessions.

    A meter that does not answer, answers garbage or refuses is recorded and asked again later; it never stops the
    run. Results are stored a part at a time; what a killed process had not stored is asked for again.
    """
    with database.read() as connection:
        tasks = schedule.due_tasks(connection, now=now, settings=head_end.settings)[:METERS_PER_RUN]
    if not tasks:
        return CollectReport()
    run = _Run(database=database, head_end=head_end, now=now, tasks=tasks, progress=progress)
    return await run.all()


async def rehearse_due(database: Database, *, now: datetime, head_end: HeadEnd) -> CollectReport:
    """
    Ask every meter for what it owes at `now` and keep nothing of it: the sessions of `collect_due`, not its storing.

    Counters are used up and layouts learnt as ever; the schedule stays, so that all is owed as before.
    """
    with database.read() as connection:
        tasks = schedule.due_tasks(connection, now=now, settings=head_end.settings)[:METERS_PER_RUN]
    run = _Rehearsal(database=database, head_end=head_end, now=now, tasks=tasks, progress=None)
    return await run.all() if tasks else CollectReport()


class _Run:
    """One run of the collection."""

    def __init__(
        self,
        *,
        database: Database,
        head_end: HeadEnd,
        now: datetime,
        tasks: Sequence[Task],
        progress: Progress | None,
    ) -> None:
        self._database = database
        self._head_end = head_end
        self._now = now
        self._tasks = tasks
        self._progress = progress
        self._client = head_end.settings.collect_client
        self._collector = Collector(database=database, head_end=head_end, now=now)
        self._finished: list[Collected] = []
        self._report = CollectReport()

    async def all(self) -> CollectReport:
        addresses, problems = self._addresses()
        gateways = {task.meter: task.gateway for task in self._tasks}
        problems |= await contact.prepare(
            self._head_end, meters=addresses, client=self._client, gateways=gateways, lane=Lane.SCHEDULED
        )
        waiting = []
        for task in self._tasks:
            problem = problems.get(task.meter)
            if problem is None:
                waiting.append(task)
            else:
                self._take(_failed(task, problem))
        queue = iter(waiting)
        width = min(self._head_end.settings.concurrency, len(waiting))
        with rare_collections():
            await asyncio.gather(*(self._work(queue, addresses) for _ in range(width)))
            self._store()
        return self._report

    def _addresses(self) -> tuple[dict[str, MeterAddress], dict[str, BijligharError]]:
        addresses: dict[str, MeterAddress] = {}
        problems: dict[str, BijligharError] = {}
        for task in self._tasks:
            try:
                addresses[task.meter] = parse_url(task.url)
            except BrokenUrl as problem:
                problems[task.meter] = problem
        return addresses, problems

    async def _work(self, queue: Iterator[Task], addresses: Mapping[str, MeterAddress]) -> None:
        for task in queue:
            failures = task.known.failures if task.known else 0
            async with self._head_end.permit(
                meter=task.meter, gateway=task.gateway, lane=self._lane(task), failures=failures
            ):
                self._take(await self._one(task, addresses[task.meter]))

    @staticmethod
    def _lane(task: Task) -> Lane:
        """Return the lane of a task: who owes many days is filled in behind those who owe one."""
        return Lane.SCHEDULED if task.owed.days <= BULK_FROM_DAYS else Lane.BULK

    async def _one(self, task: Task, address: MeterAddress) -> Collected:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        limit_s = self._head_end.settings.session_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                collected = await self._collector.collect(task, address)
        except TimeoutError:
            collected = _failed(task, MeterSilent(f"the session was not over within {limit_s:g} s"))
        except BijligharError as problem:
            collected = _failed(task, problem)
        collected.duration_ms = round((loop.time() - started_s) * 1000)
        return collected

    def _take(self, collected: Collected) -> None:
        self._finished.append(collected)
        if len(self._finished) >= self._head_end.settings.sessions_per_commit:
            self._store()

    def _store(self) -> None:
        finished, self._finished = self._finished, []
        if not finished:
            return
        with self._database.write() as connection:
            self._report += self._store_in(connection, finished)
        if self._progress is not None:
            self._progress(self._report.sessions, len(self._tasks))

    def _store_in(self, connection: Connection, finished: Sequence[Collected]) -> CollectReport:
        now = self._now
        registers = readings.append_registers(
            connection, snapshots=[shot for one in finished for shot in one.snapshots], now=now
        )
        deliveries = [one.delivery for one in finished if one.delivery is not None]
        appended = readings.append(connection, deliveries=deliveries, now=now)
        events = readings.append_events(
            connection, events=[event for one in finished for event in one.events], now=now
        )
        session_store.log_sessions(connection, rows=[_row(one, now) for one in finished])
        session_store.write_schedules(
            connection,
            schedules=[schedule.after(one, now=now, settings=self._head_end.settings) for one in finished],
        )
        heard = self._head_end.heard_counters(
            meters=[one.task.meter for one in finished if one.problem is None], client=self._client
        )
        keys_store.write_received(connection, received=heard, client=self._client)
        told = {one.task.meter: self._told(one) for one in finished if one.problem is None}
        meter_fact_store.prove(connection, told=told, origin=FactOrigin.METER, now=now)
        return CollectReport(
            sessions=len(finished),
            failed=sum(one.problem is not None for one in finished),
            meter_days=appended.days_written,
            intervals=appended.intervals_new,
            registers=registers,
            events=events,
        )

    def _told(self, one: Collected) -> Mapping[MeterFactKind, str]:
        """Return what a session that went well has told of its meter; its client ciphers, so it was the meter."""
        return told_facts(
            model=one.model,
            year=one.year,
            system_title=self._head_end.keys(one.task.meter).system_title,
            url=one.task.url,
        )


class _Rehearsal(_Run):
    """A run that counts what it was told and stores nothing."""

    def _store_in(self, connection: Connection, finished: Sequence[Collected]) -> CollectReport:  # noqa: ARG002
        return CollectReport(
            sessions=len(finished),
            failed=sum(one.problem is not None for one in finished),
            intervals=sum(len(one.delivery.starts) for one in finished if one.delivery is not None),
            registers=sum(len(one.snapshots) for one in finished),
            events=sum(len(one.events) for one in finished),
        )


@contextmanager
def rare_collections() -> Iterator[None]:
    """
    Keep the garbage collector from what stays: tasks, keys and addresses of all meters, and the sessions going on.

    It went through sessions every 700 new objects and through everything now and then: 60 us a session of 2,000
    meters. What is in no circle is freed at once as ever, and afterwards all is looked at as before.
    """
    if not _collector.runs:
        _collector.threshold = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS, *_collector.threshold[1:])
    _collector.runs += 1
    try:
        yield
    finally:
        _collector.runs -= 1
        if not _collector.runs:
            gc.set_threshold(*_collector.threshold)
            gc.unfreeze()


class _Collector:
    """How many runs of this process keep the garbage collector back, and how it was before the first of them."""

    runs = 0
    threshold = gc.get_threshold()


_collector = _Collector()


def _failed(task: Task, problem: BijligharError) -> Collected:
    return Collected(task=task, problem=problem)


def _note(one: Collected) -> str:
    """Return what the log says of a session: the problem, or by which quirk files it was read."""
    if one.problem is not None:
        return str(one.problem)
    return f"quirk file {one.quirk.replace(', ', '.toml, ')}.toml" if one.quirk else ""


def _row(one: Collected, now: datetime) -> SessionRow:
    problem = one.problem
    return SessionRow(
        meter=one.task.meter,
        purpose=SessionPurpose.COLLECT,
        started_at=now,
        duration_ms=one.duration_ms,
        outcome=SESSION_OK if problem is None else problem.code,
        note=_note(one),
        octets_in=one.octets[0],
        octets_out=one.octets[1],
        drift_s=one.drift_s,
    )
