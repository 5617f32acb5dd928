"""
Gap-safe sequences and watermarks: how a room pulls from the one before it.

A sequence number is taken under a row lock that is held to the end of the transaction, so numbers become visible
in their own order: a reader that has seen n will never be surprised by a later commit with a number below n.
"""

from functools import cache

from sqlalchemy import BigInteger, Column, Connection, Insert, String, Table, bindparam, select
from sqlalchemy.sql.dml import ReturningInsert

from bijlighar.storage.schema import metadata
from bijlighar.storage.sql import insert_of

_sequence = Table(
    "storage_sequence",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
)

_watermark = Table(
    "storage_watermark",
    metadata,
    Column("reader", String(64), primary_key=True),
    Column("seen", BigInteger, nullable=False),
)

TABLES = (_sequence, _watermark)

#: What everybody who polls asks is built once: building a statement takes longer than running it.
_LAST_TAKEN = select(_sequence.c.last).where(_sequence.c.name == bindparam("name"))
_SEEN = select(_watermark.c.seen).where(_watermark.c.reader == bindparam("reader"))


def take(connection: Connection, *, name: str, count: int = 1) -> int:
    """Take `count` numbers of the sequence `name` and return the first of them; the first ever is 1."""
    statement = _take(connection.dialect.name)
    last: int = connection.execute(statement, {"name": name, "last": count}).scalar_one()
    return last - count + 1


def last_taken(connection: Connection, *, name: str) -> int:
    """Return the last number taken of the sequence `name`, 0 if none was."""
    return connection.execute(_LAST_TAKEN, {"name": name}).scalar_one_or_none() or 0


def watermark(connection: Connection, *, reader: str) -> int:
    """Return up to which number `reader` has read, 0 at first."""
    return connection.execute(_SEEN, {"reader": reader}).scalar_one_or_none() or 0


def raise_watermark(connection: Connection, *, reader: str, seen: int) -> None:
    """Record that `reader` has read up to `seen`; a watermark never falls."""
    connection.execute(_raise(connection.dialect.name), {"reader": reader, "seen": seen})


@cache
def _take(dialect: str) -> ReturningInsert[int]:
    statement = insert_of(dialect, _sequence)
    last = _sequence.c.last + statement.excluded.last
    return statement.on_conflict_do_update(index_elements=[_sequence.c.name], set_={"last": last}).returning(
        _sequence.c.last
    )


@cache
def _raise(dialect: str) -> Insert:
    statement = insert_of(dialect, _watermark)
    seen = statement.excluded.seen
    return statement.on_conflict_do_update(
        index_elements=[_watermark.c.reader], set_={"seen": seen}, where=_watermark.c.seen < seen
    )
