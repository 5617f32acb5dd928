from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import inspect
from tests.postgres import PostgresServer

from bijlighar.bench.databases import NoSchema, postgres_database, sqlite_database
from bijlighar.bench.storing import store
from bijlighar.storage.engine import Database

FIGURES = {
    "clock",
    "bulk_intervals_per_s",
    "bulk_intervals_per_elapsed_s",
    "merge_1000_ms",
    "merge_1000_elapsed_ms",
    "bytes_per_interval",
}


def measured(**changes: Any) -> dict[str, Any]:
    said: list[float] = []
    found = store(say=lambda _, share: said.append(share), meters=20, days=2, **changes)
    assert said == sorted(said)
    assert all(0 <= share <= 1 for share in said)
    return found


class TestStore:
    def test_gives_figures_and_limit_and_null_without_postgresql(self):
        found = measured()

        assert found["postgresql"] is None
        for part in ("sqlite", "limit"):
            assert set(found[part]) == FIGURES
            assert all(value > 0 for name, value in found[part].items() if name != "clock")
        assert found["limit"]["bytes_per_interval"] == 8.0
        assert (found["sqlite"]["clock"], found["meters"], found["days"]) == ("cpu", 20, 2)

    def test_measures_postgresql_by_elapsed_time(self, postgres_server: PostgresServer):
        with postgres_server.database() as url:
            found = measured(postgres_url=url)

        assert set(found["postgresql"]) == FIGURES
        assert found["postgresql"]["clock"] == "elapsed"
        assert found["postgresql"]["bytes_per_interval"] > 0


class TestSqliteDatabase:
    def test_syncs_each_transaction_and_is_gone_at_the_end(self):
        with sqlite_database() as database:
            file = Path(str(database.engine.url.database))
            assert file.is_file()
            with database.read() as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL

        assert not file.parent.exists()


class TestPostgresDatabase:
    def test_leaves_what_is_there_as_it_is(self, postgres_server: PostgresServer):
        with postgres_server.database() as url:
            company = Database(url)
            with company.write() as connection:
                connection.exec_driver_sql("CREATE TABLE readings_day (kept INTEGER)")
                connection.exec_driver_sql("INSERT INTO readings_day VALUES (7)")

            with postgres_database(url) as database, database.write() as connection:
                assert connection.exec_driver_sql("SELECT count(*) FROM readings_day").scalar_one() == 0
                connection.exec_driver_sql("DELETE FROM readings_day")

            with company.read() as connection:
                assert connection.exec_driver_sql("SELECT kept FROM readings_day").scalar_one() == 7
            assert inspect(company.engine).get_schema_names() == ["information_schema", "public"]
            company.close()

    def test_tells_what_a_role_without_rights_lacks(self, postgres_server: PostgresServer):
        with postgres_server.database() as url:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("CREATE ROLE reader_of_bench LOGIN")
            try:
                with (
                    pytest.raises(NoSchema),
                    postgres_database(url.replace("//bijlighar@", "//reader_of_bench@")),
                ):
                    pass
            finally:
                with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                    connection.execute("DROP ROLE reader_of_bench")
