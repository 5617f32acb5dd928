"""
Gap-safe sequences and watermarks: how a room pulls from the one before it.

A sequence number is taken under a row lock that is held to the end of the transaction, so numbers become visible
in their own order: a reader that has seen n will never be surprised by a later commit with a number below n.
"""

from sqlalchemy import BigInteger, Column, Connection, String, Table, select

from bijlighar.storage.schema import metadata
from bijlighar.storage.sql import insert_for

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


def take(connection: Connection, *, name: str, count: int = 1) -> int:
    """Take `count` numbers of the sequence `name` and return the first of them; the first ever is 1."""
    statement = insert_for(connection, _sequence).values(name=name, last=count)
    statement = statement.on_conflict_do_update(
        index_elements=[_sequence.c.name], set_={"last": _sequence.c.last + count}
    )
    last: int = connection.execute(statement.returning(_sequence.c.last)).scalar_one()
    return last - count + 1


def last_taken(connection: Connection, *, name: str) -> int:
    """Return the last number taken of the sequence `name`, 0 if none was."""
    statement = select(_sequence.c.last).where(_sequence.c.name == name)
    return connection.execute(statement).scalar_one_or_none() or 0


def watermark(connection: Connection, *, reader: str) -> int:
    """Return up to which number `reader` has read, 0 at first."""
    statement = select(_watermark.c.seen).where(_watermark.c.reader == reader)
    return connection.execute(statement).scalar_one_or_none() or 0


def raise_watermark(connection: Connection, *, reader: str, seen: int) -> None:
    """Record that `reader` has read up to `seen`; a watermark never falls."""
    statement = insert_for(connection, _watermark).values(reader=reader, seen=seen)
    statement = statement.on_conflict_do_update(
        index_elements=[_watermark.c.reader], set_={"seen": seen}, where=_watermark.c.seen < seen
    )
    connection.execute(statement)
