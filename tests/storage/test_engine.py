"""A writer on SQLite waits for the one before it, not for a turn that never comes."""

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from bijlighar.runtime.schema import migrate
from bijlighar.storage import engine, sequences
from bijlighar.storage.engine import Database

HELD_S, FREE_S, PAUSE_S, ROUNDS = 0.004, 0.001, 0.007, 40


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'writers.sqlite'}"
    database = Database(url)
    migrate(database)
    database.close()
    return url


class TestWritersPlace:
    def test_is_had_by_everybody_beside_one_that_writes_nearly_all_the_time(self, url: str):
        stop = threading.Event()

        def busy() -> None:
            greedy = Database(url)
            while not stop.wait(FREE_S):
                with greedy.write() as connection:
                    sequences.take(connection, name="greedy")
                    time.sleep(HELD_S)
            greedy.close()

        thread = threading.Thread(target=busy)
        thread.start()
        modest = Database(url)
        try:
            for _ in range(ROUNDS):
                with modest.write() as connection:
                    sequences.take(connection, name="modest")
                time.sleep(PAUSE_S)
        finally:
            stop.set()
            thread.join()
        with modest.read() as connection:
            assert sequences.last_taken(connection, name="modest") == ROUNDS
            greedy_writes = sequences.last_taken(connection, name="greedy")
        assert ROUNDS / 2 < greedy_writes < ROUNDS * 8, "both get on, neither starves the other"
        modest.close()

    def test_is_given_up_with_a_clear_error_and_had_again_afterwards(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(engine, "SQLITE_BUSY_TIMEOUT_MS", 30)
        first, second = Database(url), Database(url)
        with first.write() as connection:
            sequences.take(connection, name="first")
            with pytest.raises(OperationalError, match="database is locked"), second.write():
                pytest.fail("two write at the same time")
        with second.write() as connection:
            sequences.take(connection, name="second")
        first.close()
        second.close()
