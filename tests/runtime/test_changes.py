"""The mark by which idle processes see that somebody has committed something."""

from bijlighar.storage import sequences
from bijlighar.storage.engine import Database


class TestChangeMark:
    def test_moves_with_each_commit_and_not_without(self, database: Database, database_url: str):
        other = Database(database_url)
        mark = database.changes()
        try:
            assert mark.has_moved()
            assert not mark.has_moved()
            for number in range(3):
                with (other if number % 2 else database).write() as connection:
                    sequences.raise_watermark(connection, reader="test", seen=number + 1)
                assert mark.has_moved()
                assert not mark.has_moved()
        finally:
            mark.close()
            other.close()

    def test_does_not_miss_what_was_committed_between_two_looks(self, database: Database):
        mark = database.changes()
        try:
            mark.has_moved()
            for number in range(5):
                with database.write() as connection:
                    sequences.raise_watermark(connection, reader="test", seen=number + 1)
            assert mark.has_moved()
            assert not mark.has_moved()
        finally:
            mark.close()

    def test_does_not_stand_in_the_way_of_a_writer(self, database: Database):
        marks = [database.changes() for _ in range(3)]
        try:
            for mark in marks:
                mark.has_moved()
            with database.write() as connection:
                sequences.raise_watermark(connection, reader="test", seen=1)
            assert all(mark.has_moved() for mark in marks)
        finally:
            for mark in marks:
                mark.close()
