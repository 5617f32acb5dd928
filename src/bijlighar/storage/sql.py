"""Small SQL differences between the two databases, in one place."""

import json
from collections.abc import Collection
from typing import TypeVar

from sqlalchemy import ClauseElement, ColumnElement, Connection, Table, any_, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

Value = TypeVar("Value", str, int)


def insert_for(connection: Connection, table: Table) -> postgresql.Insert:
    """
    Return an INSERT of the connection's dialect, which knows `on_conflict_do_nothing` and `on_conflict_do_update`.

    The two dialects' inserts share these methods; the one type is named for both.
    """
    return insert_of(connection.dialect.name, table)


def insert_of(dialect: str, table: Table) -> postgresql.Insert:
    """Return an INSERT of the dialect of a name, for statements that are built once."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)  # type: ignore[return-value]


def among(
    connection: Connection, column: ColumnElement[Value], values: Collection[Value]
) -> ColumnElement[bool]:
    """
    Return the condition that a column is one of many texts or numbers, which go to the driver as one value.

    `in_` gives each of them a place of its own in the statement, which costs more than finding its row.
    """
    if connection.dialect.name == "postgresql":
        return column == any_(literal(list(values), postgresql.ARRAY(column.type)))
    every = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(every.c.value))


def lesser(connection: Connection, column: ColumnElement[int], value: int) -> ColumnElement[int]:
    """Return the lesser of a column and a value; of a column that is NULL, the value."""
    known = func.coalesce(column, value)
    return func.least(known, value) if connection.dialect.name == "postgresql" else func.min(known, value)


def greater(connection: Connection, column: ColumnElement[int], value: int) -> ColumnElement[int]:
    """Return the greater of a column and a value; of a column that is NULL, the value."""
    known = func.coalesce(column, value)
    return func.greatest(known, value) if connection.dialect.name == "postgresql" else func.max(known, value)


def text_of(connection: Connection, statement: ClauseElement) -> str:
    """Return a statement as one line of SQL with its values in it, to be shown and to be run again by hand."""
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return " ".join(str(compiled).split())
