"""Whoever polls is told of every commit, and goes on after the database has started anew."""

import pytest
from sqlalchemy import text

from bijlighar.storage import sequences
from bijlighar.storage.engine import Database


def commit(database: Database) -> None:
    with database.write() as connection:
        sequences.take(connection, name="test")


class TestChangeMark:
    def test_tells_of_a_commit_once(self, database: Database):
        mark = database.changes()
        assert mark.has_moved()
        assert not mark.has_moved()
        commit(database)
        assert mark.has_moved()
        mark.close()

    def test_goes_on_with_another_connection_where_its_own_was_lost(self, database: Database):
        if database.is_sqlite:
            pytest.skip("a file has no server that could end a connection")
        mark = database.changes()
        assert mark.has_moved()
        with database.write() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            )
        with pytest.raises(Exception, match=r"terminat|closed"):
            mark.has_moved()
        assert mark.has_moved(), "what was missed is asked for again"
        assert not mark.has_moved()
        mark.close()
