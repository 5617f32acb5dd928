"""Small SQL differences between the two databases, in one place."""

from sqlalchemy import ClauseElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


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


def text_of(connection: Connection, statement: ClauseElement) -> str:
    """Return a statement as one line of SQL with its values in it, to be shown and to be run again by hand."""
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return " ".join(str(compiled).split())
