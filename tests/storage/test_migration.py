"""What the migrations make is what the rooms' tables say."""

import re
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import DBAPIError

from bijlighar.runtime.schema import catalogue, migrate
from bijlighar.storage.append_only import MARK
from bijlighar.storage.engine import Database
from bijlighar.storage.migration import UnknownSchema


def made(connection: Connection) -> dict[str, str]:
    """Return the definition of everything in a database but Alembic's own table."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        found = {name: _normal(sql) for name, sql in rows}
    else:
        columns = connection.execute(
            text(
                "SELECT table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default, "
                "character_maximum_length) FROM information_schema.columns WHERE table_schema = 'public'"
            )
        )
        indexes = connection.execute(
            text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
        )
        triggers = connection.execute(
            text("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
        )
        checks = connection.execute(
            text("SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'")
        )
        found = {str(name): str(what) for rows in (columns, indexes, triggers, checks) for name, what in rows}
    return {name: what for name, what in found.items() if not name.startswith("alembic_version")}


def _normal(sql: str) -> str:
    """Return a definition without spaces, its constraints in a fixed order."""
    first, *constraints = re.sub(r"[\s\"`]+", "", sql).removesuffix(")").split(",CONSTRAINT")
    return ",".join([first, *sorted(constraints)])


@pytest.fixture
def migrated(empty_database_url: str):
    opened = Database(empty_database_url)
    migrate(opened)
    yield opened
    opened.close()


class TestMigrate:
    def test_makes_exactly_the_catalogue(self, migrated: Database, tmp_path: Path):
        if migrated.is_sqlite:
            other = Database(f"sqlite:///{tmp_path}/whole.sqlite")
            with other.engine.connect() as whole:
                catalogue().create_all(whole)
                wanted = made(whole)
            other.close()
            with migrated.read() as connection:
                assert made(connection) == wanted
        with migrated.read() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": not migrated.is_sqlite})
            assert compare_metadata(context, catalogue()) == []

    def test_changes_nothing_the_second_time(self, migrated: Database):
        with migrated.read() as connection:
            before = made(connection)

        migrate(migrated)

        with migrated.read() as connection:
            assert made(connection) == before

    def test_may_be_asked_for_by_many_at_once(self, empty_database_url: str):
        problems: list[Exception] = []

        def one() -> None:
            opened = Database(empty_database_url)
            try:
                migrate(opened)
            except Exception as problem:
                problems.append(problem)
            opened.close()

        threads = [threading.Thread(target=one) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert problems == []

    def test_refuses_a_database_of_a_newer_release(self, migrated: Database):
        with migrated.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        with pytest.raises(UnknownSchema, match="newer release"):
            migrate(migrated)


class TestAppendOnly:
    @pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
    def test_rows_cannot_be_changed_or_deleted(self, migrated: Database, verb: str):
        table = catalogue().tables["notices_consent"]
        values = {column.name: _example(column) for column in table.columns if not column.nullable}
        values.pop("id", None)
        with migrated.write() as connection:
            connection.execute(insert(table).values(**values))

        statement = update(table).values(how="x") if verb == "UPDATE" else table.delete()
        with pytest.raises(DBAPIError, match="only ever added"), migrated.write() as connection:
            connection.execute(statement)

    def test_every_marked_table_is_in_the_migration(self, migrated: Database):
        marked = {table.name for table in catalogue().tables.values() if table.info.get(MARK)}

        with migrated.read() as connection:
            names = " ".join(made(connection))

        assert marked
        assert all(f"{name}_no_update" in names or f"{name}_append_only" in names for name in marked)


def _example(column):
    from datetime import UTC, datetime

    kind = column.type.python_type if not hasattr(column.type, "impl") else datetime
    return {str: "x", int: 1, datetime: datetime(2026, 1, 1, tzinfo=UTC), bool: True}[kind]
