"""Tables whose rows are only ever added: the database itself refuses to change or delete one."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import DDL, Connection, Table, event

#: Marks an append-only table in the catalogue.
MARK = "append_only"


def append_only(table: Table) -> Table:
    """Make the databases refuse to change or delete a row of `table`, from its creation on, and return it."""
    table.info[MARK] = True
    for dialect in ("sqlite", "postgresql"):
        for statement in refusals(name=table.name, dialect=dialect):
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))
    return table


def refusals(*, name: str, dialect: str) -> tuple[str, ...]:
    """
    Return the statements that make a table append-only.

    >>> len(refusals(name="ledger_transfer", dialect="sqlite")), len(refusals(name="x", dialect="postgresql"))
    (2, 2)
    """
    refusal = f"rows of {name} are only ever added"
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
            for verb in ("UPDATE", "DELETE")
        )
    function = f"{name}_append_only"
    return (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$",
        f"CREATE TRIGGER {function} BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
    )


@contextmanager
def lifted(connection: Connection, *, table: Table) -> Iterator[None]:
    """
    Let rows of an append-only table be deleted within; the refusal stands again at the end, or the transaction fails.

    For the one case in which rows leave: they were written elsewhere and read back before. A table that is not
    append-only is left as it is.
    """
    if not table.info.get(MARK):
        yield
        return
    name, dialect = table.name, connection.dialect.name
    if dialect == "postgresql":
        connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER {name}_append_only")
        yield
        connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE TRIGGER {name}_append_only")
        return
    for verb in ("update", "delete"):
        connection.exec_driver_sql(f"DROP TRIGGER {name}_no_{verb}")
    yield
    for statement in refusals(name=name, dialect=dialect):
        connection.exec_driver_sql(statement)
