"""Which meters owe what at a moment, and how a session changes when a meter is asked next."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, func, select

from bijlighar.headend import session_store
from bijlighar.headend.meter_day import Collected, Task
from bijlighar.headend.model import SESSION_OK, HeadEndSettings
from bijlighar.headend.permits import CALL_IN_SCHEME
from bijlighar.headend.rules import Owed, due_day, next_attempt, owed_days
from bijlighar.headend.session_store import Schedule
from bijlighar.headend.tcp import gateway_before
from bijlighar.readings.model import IST_OFFSET_S, MINUTES_PER_DAY, SECONDS_PER_DAY, Delivery
from bijlighar.registry import queries as registry


def due_tasks(connection: Connection, *, now: datetime, settings: HeadEndSettings) -> tuple[Task, ...]:
    """
    Return what is to be asked at `now`: of every hanging meter with an address that owes days and may be asked.

    Meters that failed least stand first, so that dead ones never hold back the living.
    """
    newest = due_day(now, from_minutes=settings.collect_from_minutes)
    owing = connection.execute(_owing(now, newest=newest)).all()
    schedules = session_store.schedules(connection) if owing else {}
    tasks: list[Task] = []
    for row in owing:
        known = schedules.get(row.meter)
        owed = owed_days(
            hung_from=row.hung_from,
            settled_day=None if known is None else known.settled_day,
            newest=newest,
            backfill_days=settings.backfill_days,
        )
        if owed is not None:
            gateway = gateway_before(url=row.url, gateway=row.gateway)
            tasks.append(Task(meter=row.meter, url=row.url, gateway=gateway, owed=owed, known=known))
    tasks.sort(key=lambda task: (task.known.failures if task.known else 0, task.meter))
    return spread(tasks, at_once=settings.gateway_concurrency)


def spread(tasks: Sequence[Task], *, at_once: int) -> tuple[Task, ...]:
    """
    Return tasks in their order, but those behind one gateway a few at a time, so that it holds up nobody else.

    A meter that failed more often still stands behind every one that failed less.
    """
    behind: Counter[tuple[int, str]] = Counter()
    turns: list[tuple[int, int, Task]] = []
    for task in tasks:
        failures, turn = task.known.failures if task.known else 0, 0
        if task.gateway is not None:
            turn = behind[failures, task.gateway] // (
                1 if task.gateway.startswith(CALL_IN_SCHEME) else at_once
            )
            behind[failures, task.gateway] += 1
        turns.append((failures, turn, task))
    return tuple(task for _, _, task in sorted(turns, key=lambda each: each[:2]))


def count_due(connection: Connection, *, now: datetime, settings: HeadEndSettings) -> int:
    """Return how many meters are to be asked at `now`, without loading them: for those who poll."""
    newest = due_day(now, from_minutes=settings.collect_from_minutes)
    owing = _owing(now, newest=newest).subquery("owing")
    return connection.execute(select(func.count()).select_from(owing)).scalar_one()


def _owing(now: datetime, *, newest: int) -> Select[Any]:
    return session_store.owing_statement(
        registry.communicating_statement(hung_at=now), newest=newest, now=now
    )


def after(one: Collected, *, now: datetime, settings: HeadEndSettings) -> Schedule:
    """
    Return a meter's schedule after a session.

    What a meter answers about its days is final: a row that it does not have now it will not have later. The newest
    day alone is asked for again if it is not whole, because a slow clock may not have closed it yet.
    """
    return (
        _after_failure(one, now=now, settings=settings) if one.problem else _after_success(one, now, settings)
    )


def _after_failure(one: Collected, *, now: datetime, settings: HeadEndSettings) -> Schedule:
    known = one.task.known
    failures = 1 + (known.failures if known else 0)
    return Schedule(
        meter=one.task.meter,
        settled_day=known.settled_day if known else one.task.owed.first - 1,
        next_at=_later(now, failures, settings),
        failures=failures,
        short_tries=known.short_tries if known else 0,
        last_code="" if one.problem is None else one.problem.code,
        last_try_at=now,
        last_ok_at=known.last_ok_at if known else None,
        model=known.model if known else None,
        event_numbers=known.event_numbers if known else (),
        events_to=known.events_to if known else None,
        drift_s=known.drift_s if known else None,
    )


def _after_success(one: Collected, now: datetime, settings: HeadEndSettings) -> Schedule:
    owed = one.task.owed
    short_tries = 0
    settled = owed.last
    next_at = now
    if not _is_whole(one.delivery, owed):
        short_tries = 1 + (one.task.known.short_tries if one.task.known else 0)
        if short_tries < settings.incomplete_tries:
            settled = owed.last - 1
            next_at = _later(now, short_tries, settings)
        else:
            short_tries = 0
    return Schedule(
        meter=one.task.meter,
        settled_day=settled,
        next_at=next_at,
        failures=0,
        short_tries=short_tries,
        last_code=SESSION_OK,
        last_try_at=now,
        last_ok_at=now,
        model=one.model,
        event_numbers=one.event_numbers,
        events_to=one.events_to,
        drift_s=one.drift_s,
    )


def _later(now: datetime, failures: int, settings: HeadEndSettings) -> datetime:
    return next_attempt(
        now=now,
        failures=failures,
        delays_s=settings.retry_delays_s,
        from_minutes=settings.collect_from_minutes,
    )


def _is_whole(delivery: Delivery | None, owed: Owed) -> bool:
    """Return whether the newest day that was asked for came with every interval."""
    if delivery is None:
        return False
    start = owed.last * SECONDS_PER_DAY - IST_OFFSET_S
    starts = delivery.starts[(delivery.starts >= start) & (delivery.starts < start + SECONDS_PER_DAY)]
    return len(np.unique(starts)) == MINUTES_PER_DAY // delivery.minutes
