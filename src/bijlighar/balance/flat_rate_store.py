"""Loads without a meter, each version of what they are assessed at: SQL, private to this room."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, String, Table, Text, select

from bijlighar.balance.flat_rate import FlatRate, FlatRateKind
from bijlighar.base.period import date_of, day_number
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata

_flat_rate = append_only(
    Table(
        "balance_flat_rate",
        metadata,
        Column("code", String(64), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("transformer", String(64), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("low_wh", Whole, nullable=False),
        Column("likely_wh", Whole, nullable=False),
        Column("high_wh", Whole, nullable=False),
        Column("basis", Text, nullable=False),
        Column("first", Integer, nullable=False),
        Column("last", Integer),
        Column("recorded_at", Moment, nullable=False),
    )
)


def versions(connection: Connection) -> tuple[tuple[FlatRate, int, datetime], ...]:
    """Return every version of every load, its number and when it was recorded, by load and version."""
    statement = select(_flat_rate).order_by(_flat_rate.c.code, _flat_rate.c.version)
    return tuple(
        (
            FlatRate(
                code=row.code,
                transformer=row.transformer,
                kind=FlatRateKind(row.kind),
                low_wh=row.low_wh,
                likely_wh=row.likely_wh,
                high_wh=row.high_wh,
                basis=row.basis,
                first=date_of(row.first),
                last=None if row.last is None else date_of(row.last),
            ),
            row.version,
            row.recorded_at,
        )
        for row in connection.execute(statement)
    )


def add_versions(connection: Connection, *, rows: Sequence[tuple[FlatRate, int]], now: datetime) -> None:
    """Write loads as the versions that are given."""
    if rows:
        connection.execute(
            _flat_rate.insert(),
            [
                {
                    "code": load.code,
                    "version": version,
                    "transformer": load.transformer,
                    "kind": load.kind.value,
                    "low_wh": load.low_wh,
                    "likely_wh": load.likely_wh,
                    "high_wh": load.high_wh,
                    "basis": load.basis,
                    "first": day_number(load.first),
                    "last": None if load.last is None else day_number(load.last),
                    "recorded_at": now,
                }
                for load, version in rows
            ],
        )
