from bijlighar.storage import sequences
from bijlighar.storage.engine import Database


class TestTake:
    def test_begins_at_one_and_leaves_no_gap(self, database: Database):
        with database.write() as connection:
            first = sequences.take(connection, name="reading", count=3)
            second = sequences.take(connection, name="reading")

        assert (first, second) == (1, 4)

    def test_gives_back_what_a_failed_transaction_took(self, database: Database):
        try:
            with database.write() as connection:
                sequences.take(connection, name="reading", count=3)
                raise RuntimeError
        except RuntimeError:
            pass

        with database.read() as connection:
            assert sequences.last_taken(connection, name="reading") == 0


class TestRaiseWatermark:
    def test_never_falls(self, database: Database):
        with database.write() as connection:
            sequences.raise_watermark(connection, reader="validation", seen=7)
            sequences.raise_watermark(connection, reader="validation", seen=5)

        with database.read() as connection:
            assert sequences.watermark(connection, reader="validation") == 7
            assert sequences.watermark(connection, reader="billing") == 0
