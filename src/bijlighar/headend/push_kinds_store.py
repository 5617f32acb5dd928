"""How many pushes of each kind a meter has sent, and what became of those that are no alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, LargeBinary, String, Table, func, select

from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

NOTE_LENGTH = 300
BODY_LENGTH = 2_048

_kind = Table(
    "headend_push_kind",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("placed", Whole, nullable=False),
    Column("unplaced", Whole, nullable=False),
    Column("note", String(NOTE_LENGTH), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("last_at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCount:
    """
    What became of all pushes of one kind.

    placed: what they say stands in readings, registers, events or facts; unplaced: there is no place for it, `note`
    says why of the last.
    """

    kind: str
    placed: int
    unplaced: int
    note: str
    last_at: datetime


def count(
    connection: Connection, *, meter: str, kind: str, why_unplaced: str, body: bytes, now: datetime
) -> None:
    """Count a push; `why_unplaced` is empty where it was placed, else the body is kept in place of the last such."""
    placed = not why_unplaced
    kept = {} if placed else {"note": why_unplaced[:NOTE_LENGTH], "body": body[:BODY_LENGTH]}
    statement = insert_for(connection, _kind).values(
        meter=meter,
        kind=kind,
        placed=int(placed),
        unplaced=int(not placed),
        last_at=now,
        **({"note": "", "body": b""} | kept),
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_kind.c.meter, _kind.c.kind],
            set_={
                "placed": _kind.c.placed + int(placed),
                "unplaced": _kind.c.unplaced + int(not placed),
                "last_at": now,
                **kept,
            },
        )
    )


def counts(connection: Connection) -> Mapping[str, KindCount]:
    """Return what became of the pushes of each kind, those of all meters together."""
    statement = select(
        _kind.c.kind,
        func.sum(_kind.c.placed).label("placed"),
        func.sum(_kind.c.unplaced).label("unplaced"),
        func.max(_kind.c.last_at).label("last_at"),
        func.max(_kind.c.note).label("note"),
    ).group_by(_kind.c.kind)
    return {
        row.kind: KindCount(
            kind=row.kind,
            placed=int(row.placed),
            unplaced=int(row.unplaced),
            note=row.note,
            last_at=row.last_at,
        )
        for row in connection.execute(statement.order_by(_kind.c.kind))
    }
