"""
Durable jobs in the same database as the facts: claim, lease, fence, lanes, partitions, cron slots, throttles.

A job is enqueued in the transaction of the fact that calls for it, and is known by its unique key. A worker claims
it for a lease and gets a fence; whoever finishes it must still hold that fence, so a worker that was paused beyond
its lease changes nothing. An effect inside this database belongs into the transaction that finishes the job.

`now` is the time of the business, which a demo may simulate; `wall` is real time, by which leases run out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    RowMapping,
    SmallInteger,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from bijlighar.storage.engine import Database
from bijlighar.storage.errors import StorageError
from bijlighar.storage.job_life import JOB_LIFE as JOB_LIFE
from bijlighar.storage.job_life import JobEvent as JobEvent
from bijlighar.storage.job_life import JobState as JobState
from bijlighar.storage.job_life import Lane as Lane
from bijlighar.storage.pace import slot as slot
from bijlighar.storage.pace import take_token as take_token
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

CLAIM_LIMIT_MAX = 500
#: A job whose worker died this often is given up: it is probably the job that kills the worker.
LOSSES_MAX = 100
ERROR_LENGTH_MAX = 500


class StaleJob(StorageError):
    """The job is no longer held by this claim: its lease ran out, or it was settled by another."""

    code = "storage.stale-job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed job; `fence` proves the claim, `attempt` counts the claims from 1."""

    id: int
    kind: str
    key: str
    lane: Lane
    partition: str
    run_at: datetime
    attempt: int
    worker: str
    fence: int
    payload: Mapping[str, Any]
    not_after: datetime | None


_job = Table(
    "storage_job",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("key", String(255), nullable=False, unique=True),
    Column("lane", SmallInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("partition", String(64), nullable=False),
    Column("run_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("worker", String(64)),
    Column("lease_until", Moment),
    Column("fence", Whole, nullable=False),
    Column("payload", Document, nullable=False),
    Column("not_after", Moment),
    Column("last_error", Text),
    Column("created_at", Moment, nullable=False),
    Column("finished_at", Moment),
)
_is_ready = _job.c.state == JobState.READY.value
_is_running = _job.c.state == JobState.RUNNING.value
Index(
    "ix_storage_job_ready",
    *(_job.c.kind, _job.c.lane, _job.c.priority, _job.c.run_at),
    sqlite_where=_is_ready,
    postgresql_where=_is_ready,
)
Index("ix_storage_job_running", _job.c.lease_until, sqlite_where=_is_running, postgresql_where=_is_running)
# The last guard of "two jobs of one partition never run together", whatever claims them.
Index(
    "uq_storage_job_running_partition",
    _job.c.partition,
    unique=True,
    sqlite_where=and_(_is_running, _job.c.partition != ""),
    postgresql_where=and_(_is_running, _job.c.partition != ""),
)


def enqueue(  # noqa: PLR0913 - the columns of a job
    connection: Connection,
    *,
    kind: str,
    key: str,
    lane: Lane,
    run_at: datetime,
    payload: Mapping[str, object],
    partition: str = "",
    priority: int = 0,
    not_after: datetime | None = None,
    now: datetime,
) -> bool:
    """
    Enqueue a job in the caller's transaction and return whether its key is new; a known key changes nothing.

    Within a lane a greater `priority` goes first, then the earlier `run_at`. Two jobs of one non-empty `partition`
    never run together. After `not_after` the job is not claimed any more.
    """
    statement = insert_for(connection, _job).values(
        kind=kind,
        key=key,
        lane=int(lane),
        priority=priority,
        partition=partition,
        run_at=run_at,
        state=JobState.READY.value,
        attempt=0,
        losses=0,
        fence=0,
        payload=dict(payload),
        not_after=not_after,
        created_at=now,
    )
    statement = statement.on_conflict_do_nothing(index_elements=[_job.c.key])
    return connection.execute(statement.returning(_job.c.id)).scalar_one_or_none() is not None


def claim(
    database: Database,
    *,
    kinds: Sequence[str],
    worker: str,
    now: datetime,
    wall: datetime,
    lease_s: int,
    limit: int = 1,
) -> tuple[Job, ...]:
    """
    Claim up to `limit` due jobs of `kinds` for `lease_s` [s] of wall time, in the order of lanes.

    Fewer jobs than are due may be returned where they share a partition or where another worker is claiming.
    """
    limit = min(limit, CLAIM_LIMIT_MAX)
    with database.read() as connection:  # an idle worker shall not take SQLite's place of the single writer
        if connection.execute(_candidates(kinds, now, 1)).first() is None:
            return ()
    with database.write() as connection:
        # Rows that another worker is claiming are skipped; those of a busy partition are left for later.
        found = connection.execute(_candidates(kinds, now, limit).with_for_update(skip_locked=True)).all()
        chosen = _one_for_each_partition(connection, [(row.id, row.partition) for row in found])
        if not chosen:
            return ()
        other = _job.alias()
        busy = select(other.c.id).where(
            other.c.partition == _job.c.partition,
            other.c.partition != "",
            other.c.state == JobState.RUNNING.value,
        )
        statement = (
            update(_job)
            .where(_job.c.id.in_(chosen), _is_ready, ~busy.exists())
            .values(
                state=JobState.RUNNING.value,
                worker=worker,
                lease_until=wall + timedelta(seconds=lease_s),
                attempt=_job.c.attempt + 1,
                fence=_job.c.fence + 1,
            )
            .returning(*_job.c)
        )
        claimed = {row["id"]: _job_of(row) for row in connection.execute(statement).mappings()}
    return tuple(claimed[number] for number in chosen if number in claimed)


def finish(connection: Connection, *, job: Job, now: datetime) -> None:
    """
    Record in the caller's transaction that the job is done.

    :raises StaleJob: if the claim no longer holds.
    """
    _settle(connection, job, {"state": JobState.DONE.value, "finished_at": now})


def retry(connection: Connection, *, job: Job, run_at: datetime, error: str, now: datetime) -> None:  # noqa: ARG001
    """
    Put the job back to be run again at `run_at`.

    :raises StaleJob: if the claim no longer holds.
    """
    _settle(connection, job, {"state": JobState.READY.value, "run_at": run_at, "last_error": _cut(error)})


def bring_forward(
    connection: Connection, *, kinds: Sequence[str], partitions: Sequence[str], now: datetime
) -> int:
    """Let jobs that were put back be run again at once, of some kinds and partitions; return how many they are."""
    statement = (
        update(_job)
        .where(
            _job.c.state == JobState.READY.value,
            _job.c.kind.in_(kinds),
            _job.c.partition.in_(partitions),
            _job.c.attempt > 0,
            _job.c.run_at > now,
        )
        .values(run_at=now)
    )
    return connection.execute(statement).rowcount


def fail(connection: Connection, *, job: Job, error: str, now: datetime) -> None:
    """
    Give the job up.

    :raises StaleJob: if the claim no longer holds.
    """
    _settle(connection, job, {"state": JobState.FAILED.value, "last_error": _cut(error), "finished_at": now})


def mark_unknown(connection: Connection, *, job: Job, error: str, now: datetime) -> None:
    """
    Record that nobody knows whether the job's effect outside happened; it is never run again by itself.

    :raises StaleJob: if the claim no longer holds.
    """
    _settle(connection, job, {"state": JobState.UNKNOWN.value, "last_error": _cut(error), "finished_at": now})


def recover(
    connection: Connection,
    *,
    wall: datetime,
    now: datetime,
    worker: str | None = None,
    unknown_kinds: Sequence[str] = (),
) -> int:
    """
    Free the jobs whose lease ran out, or with `worker` all that this dead worker held; return how many.

    They become ready again, but those of `unknown_kinds` unknown, and one lost `LOSSES_MAX` times failed.
    """
    lost = _job.c.worker == worker if worker is not None else _job.c.lease_until < wall
    doubtful = _job.c.kind.in_(unknown_kinds)
    given_up = _job.c.losses + 1 >= LOSSES_MAX
    after = case(
        (doubtful, JobState.UNKNOWN.value), (given_up, JobState.FAILED.value), else_=JobState.READY.value
    )
    done = connection.execute(
        update(_job)
        .where(_is_running, lost)
        .values(
            state=after,
            losses=_job.c.losses + 1,
            worker=None,
            lease_until=None,
            last_error="the worker died or its lease ran out",
            finished_at=case((or_(doubtful, given_up), literal(now, Moment)), else_=None),
        )
    )
    return done.rowcount


def expire(connection: Connection, *, now: datetime) -> int:
    """Expire the ready jobs whose `not_after` has passed and return how many."""
    done = connection.execute(
        update(_job)
        .where(_is_ready, _job.c.not_after < now)
        .values(state=JobState.EXPIRED.value, finished_at=now, last_error="not run before its last moment")
    )
    return done.rowcount


def cancel(connection: Connection, *, key: str, now: datetime) -> bool:
    """Cancel the job of `key` if it is ready, and return whether it was; one that runs is not touched."""
    done = connection.execute(
        update(_job)
        .where(_job.c.key == key, _is_ready)
        .values(state=JobState.CANCELLED.value, finished_at=now, last_error="cancelled")
    )
    return done.rowcount == 1


def pending(connection: Connection, *, kinds: Sequence[str], now: datetime) -> int:
    """Return how many jobs of `kinds` are due or running."""
    return connection.execute(_PENDING, {"kinds": list(kinds), "now": now}).scalar_one()


def state_of(connection: Connection, *, key: str) -> JobState | None:
    """Return the state of the job of `key`, None if there is none."""
    state = connection.execute(select(_job.c.state).where(_job.c.key == key)).scalar_one_or_none()
    return None if state is None else JobState(state)


def counts(connection: Connection) -> Mapping[tuple[str, JobState], int]:
    """Return how many jobs there are of each kind and state."""
    statement = select(_job.c.kind, _job.c.state, func.count()).group_by(_job.c.kind, _job.c.state)
    return {(kind, JobState(state)): number for kind, state, number in connection.execute(statement)}


def _is_due(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(_is_ready, _job.c.run_at <= now, or_(_job.c.not_after.is_(None), _job.c.not_after >= now))


#: Everybody who polls asks this: it is built once.
_PENDING = select(func.count()).where(
    _job.c.kind.in_(bindparam("kinds", expanding=True)),
    or_(_is_due(bindparam("now", type_=Moment)), _is_running),
)


def _candidates(kinds: Sequence[str], now: datetime, limit: int) -> Any:  # noqa: ANN401 - a SELECT of two columns
    other = _job.alias()
    busy = select(other.c.id).where(
        other.c.partition == _job.c.partition,
        other.c.partition != "",
        other.c.state == JobState.RUNNING.value,
    )
    return (
        select(_job.c.id, _job.c.partition)
        .where(_job.c.kind.in_(kinds), _is_due(now), ~busy.exists())
        .order_by(_job.c.lane, _job.c.priority.desc(), _job.c.run_at, _job.c.id)
        .limit(limit)
    )


def _one_for_each_partition(connection: Connection, found: Sequence[tuple[int, str]]) -> list[int]:
    """
    Return the ids to claim: the first of each partition, where no other worker is claiming from it.

    On PostgreSQL two workers could lock two rows of one partition at the same time; the advisory lock, held to the
    end of the transaction, lets one of them through, and the other sees the running job afterwards.
    """
    chosen: list[int] = []
    partitions: set[str] = set()
    for number, partition in found:
        if partition:
            if partition in partitions:
                continue
            partitions.add(partition)
            if connection.dialect.name == "postgresql":
                lock = func.pg_try_advisory_xact_lock(func.hashtextextended(partition, 0))
                if not connection.execute(select(lock)).scalar_one():
                    continue
        chosen.append(number)
    return chosen


def _settle(connection: Connection, job: Job, values: Mapping[str, object]) -> None:
    held = and_(_job.c.id == job.id, _job.c.fence == job.fence, _is_running)
    done = connection.execute(update(_job).where(held).values(worker=None, lease_until=None, **values))
    if done.rowcount != 1:
        raise StaleJob(
            f"job {job.key} is no longer held by {job.worker}: its lease ran out; the work is not counted"
        )


def _job_of(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        key=row["key"],
        lane=Lane(row["lane"]),
        partition=row["partition"],
        run_at=row["run_at"],
        attempt=row["attempt"],
        worker=row["worker"],
        fence=row["fence"],
        payload=row["payload"],
        not_after=row["not_after"],
    )


def _cut(error: str) -> str:
    return error[:ERROR_LENGTH_MAX]
