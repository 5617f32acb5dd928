"""What each step of the route has done, and how it fails: the table behind health, doctor and the demo."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, String, Table, Text, select

from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

ERROR_LENGTH_MAX = 2_000

_step = Table(
    "runtime_step",
    metadata,
    Column("step", String(64), primary_key=True),
    Column("done", Whole, nullable=False, default=0),
    Column("done_at", Moment),
    Column("failures", Integer, nullable=False, default=0),
    Column("failed_at", Moment),
    Column("error", Text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a step stands: what it has done in all, and its failures in a row."""

    step: str
    done: int
    done_at: datetime | None
    failures: int
    failed_at: datetime | None
    error: str | None


def record_done(connection: Connection, *, step: str, count: int, now: datetime) -> None:
    """Count what a step has done; its failures in a row are over."""
    statement = insert_for(connection, _step).values(step=step, done=count, done_at=now, failures=0)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_step.c.step],
            set_={"done": _step.c.done + count, "done_at": now, "failures": 0, "error": None},
        )
    )


def record_failure(connection: Connection, *, step: str, error: str, now: datetime) -> None:
    """Count a failure of a step."""
    text = error[:ERROR_LENGTH_MAX]
    statement = insert_for(connection, _step).values(step=step, done=0, failures=1, failed_at=now, error=text)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_step.c.step],
            set_={"failures": _step.c.failures + 1, "failed_at": now, "error": text},
        )
    )


def progress(connection: Connection) -> Mapping[str, Progress]:
    """Return how each step stands that has ever done or failed anything."""
    return {
        row.step: Progress(
            step=row.step,
            done=row.done,
            done_at=row.done_at,
            failures=row.failures,
            failed_at=row.failed_at,
            error=row.error,
        )
        for row in connection.execute(select(_step))
    }
