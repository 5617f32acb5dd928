"""
Pace: cron slots that any process may take without a leader, and token buckets that throttle what goes out.

Both are reached through `jobs`.
"""

from datetime import datetime

from sqlalchemy import Column, Connection, Double, String, Table, select, update

from bijlighar.storage.schema import Moment, metadata
from bijlighar.storage.sql import insert_for

_slot = Table(
    "storage_slot",
    metadata,
    Column("schedule", String(64), primary_key=True),
    Column("slot_at", Moment, primary_key=True),
    Column("taken_at", Moment, nullable=False),
)

_bucket = Table(
    "storage_bucket",
    metadata,
    Column("bucket", String(128), primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("filled_at", Moment, nullable=False),
)


def slot(connection: Connection, *, schedule: str, slot_at: datetime, now: datetime) -> bool:
    """Take a slot of a schedule and return whether this caller was the first; there is no leader."""
    statement = insert_for(connection, _slot).values(schedule=schedule, slot_at=slot_at, taken_at=now)
    statement = statement.on_conflict_do_nothing(index_elements=[_slot.c.schedule, _slot.c.slot_at])
    return connection.execute(statement.returning(_slot.c.schedule)).scalar_one_or_none() is not None


def take_token(connection: Connection, *, bucket: str, rate_per_s: float, burst: int, now: datetime) -> bool:
    """Take a token from a bucket that holds `burst` and fills at `rate_per_s` [1/s]; return whether there was one."""
    statement = insert_for(connection, _bucket).values(bucket=bucket, tokens=float(burst), filled_at=now)
    connection.execute(statement.on_conflict_do_nothing(index_elements=[_bucket.c.bucket]))
    row = connection.execute(select(_bucket).where(_bucket.c.bucket == bucket).with_for_update()).one()
    elapsed_s = max(0.0, (now - row.filled_at).total_seconds())
    tokens = min(float(burst), row.tokens + elapsed_s * rate_per_s)
    if tokens < 1.0:
        return False
    connection.execute(
        update(_bucket)
        .where(_bucket.c.bucket == bucket)
        .values(tokens=tokens - 1.0, filled_at=max(now, row.filled_at))
    )
    return True
