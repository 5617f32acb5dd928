"""
The one table catalogue, and the column types that mean the same on SQLite and PostgreSQL.

Each room defines its tables on `metadata` in its private `store.py`, named `room_noun`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from bijlighar.base.period import NaiveTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


#: How many moments read from SQLite's text are held.
MOMENTS_HELD = 4_096


class Moment(TypeDecorator[datetime]):
    """An aware UTC moment to the microsecond: `timestamptz` on PostgreSQL, sortable text on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the dialect."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """
        Return what the driver is given.

        :raises NaiveTime: if the value has no offset.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveTime(f"{value.isoformat()} has no offset and cannot be stored")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the aware moment."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """
        Return what makes a moment of what the driver gives.

        Many rows hold few moments (a midnight, the time of a delivery), and reading one from SQLite's text takes
        longer than all else about a row: it is read once.
        """
        process = super().result_processor(dialect, coltype)
        return (
            process if process is None or dialect.name == "postgresql" else lru_cache(MOMENTS_HELD)(process)
        )


#: 64-bit integers: paise, Wh, sequence numbers. On SQLite an autoincrement key must be INTEGER.
Whole = BigInteger().with_variant(Integer(), "sqlite")
#: A JSON document.
Document = JSON().with_variant(JSONB(), "postgresql")
