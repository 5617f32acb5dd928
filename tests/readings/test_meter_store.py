"""Each meter has its number once; what a process holds of them follows the database."""

import numpy as np
from tests.readings.deliveries import DAY, NOW, delivery

from bijlighar.readings import meter_store, operations, queries
from bijlighar.storage.engine import Database


def give(database: Database, *meters: str) -> dict[str, int]:
    with database.write() as connection:
        return dict(meter_store.give_numbers(connection, meters=meters))


def known(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return dict(meter_store.known_numbers(connection))


class TestNumbers:
    def test_are_given_once_and_kept(self, database: Database):
        assert give(database, "M2", "M1") == {"M1": 1, "M2": 2}
        assert give(database, "M0", "M2", "M0") == {"M1": 1, "M2": 2, "M0": 3}
        assert known(database) == {"M1": 1, "M2": 2, "M0": 3}

    def test_of_a_transaction_that_failed_are_not_held(self, database: Database):
        give(database, "M1")
        with database.engine.connect() as connection, connection.begin() as transaction:
            meter_store.give_numbers(connection, meters=["M2"])
            assert dict(meter_store.known_numbers(connection)) == {"M1": 1, "M2": 2}
            transaction.rollback()

        assert known(database) == {"M1": 1}
        assert give(database, "M3") == {"M1": 1, "M3": 2}

    def test_that_another_process_gave_are_seen(self, database: Database):
        give(database, "M1")
        other = Database(database.engine.url.render_as_string(hide_password=False))
        give(other, "M2")
        other.close()

        assert known(database) == {"M1": 1, "M2": 2}

    def test_follow_a_database_that_was_put_back(self, database: Database):
        give(database, "M1", "M2", "M3")
        assert len(known(database)) == 3
        with database.write() as connection:
            connection.execute(meter_store.meter_table.delete().where(meter_store.meter_table.c.number > 1))

        assert known(database) == {"M1": 1}
        assert give(database, "M9") == {"M1": 1, "M9": 2}

    def test_of_what_nobody_knows_is_zero(self):
        assert meter_store.array_of({"M1": 7}, ["M2", "M1"]).tolist() == [0, 7]


class TestEdges:
    def test_reach_from_the_first_to_the_last_day_on_which_anything_was_measured(self, database: Database):
        for day, meters in ((DAY, ("M1", "M2", "M4")), (DAY + 3, ("M1",)), (DAY - 2, ("M1", "M4"))):
            with database.write() as connection:
                operations.append(
                    connection, deliveries=[delivery([1], meter=meter, day=day) for meter in meters], now=NOW
                )
                nothing = [delivery([None], meter="M3", day=day, volt=[23_000])]
                operations.append(connection, deliveries=nothing, now=NOW)

        with database.read() as connection:
            found = meter_store.select_edges(connection, meters=["M1", "M2", "M3", "M4", "M5"])
            whole = queries.present_days(connection, meters=["M5", "M1"], first=DAY, last=DAY)
        assert sorted(found) == [("M1", DAY - 2, DAY + 3), ("M2", DAY, DAY), ("M4", DAY - 2, DAY)]
        assert np.array_equal(whole, [[False], [False]])
