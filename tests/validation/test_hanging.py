from datetime import UTC, datetime

import pytest

from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.validation import queries
from bijlighar.validation.cases import Hangings

NOW = datetime(2026, 4, 1, tzinfo=UTC)
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,{sanctioned_w},UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,,2026-04-01
"""


@pytest.fixture(autouse=True)
def meters(database: Database) -> None:
    bring(database, sanctioned_w=2000)


def bring(database: Database, *, sanctioned_w: int) -> None:
    with database.write() as connection:
        registry.import_registry(connection, text=REGISTRY.format(sanctioned_w=sanctioned_w), now=NOW)


def hangings(database: Database) -> Hangings:
    with database.read() as connection:
        return queries.hangings(connection)


class TestHangings:
    def test_are_held_while_the_registry_stands(self, database: Database):
        assert hangings(database) is hangings(database)

    def test_follow_a_load_that_is_sanctioned_anew(self, database: Database):
        before = hangings(database).load_w.tolist()

        bring(database, sanctioned_w=3000)

        assert (before, hangings(database).load_w.tolist()) == ([2000, 0], [3000, 0])

    def test_follow_a_change_by_another_process(self, database: Database):
        hangings(database)
        other = Database(database.url)

        bring(other, sanctioned_w=3000)
        other.close()

        assert hangings(database).load_w.tolist() == [3000, 0]

    def test_do_not_hold_what_was_never_committed(self, database: Database):
        def give_up() -> None:
            with database.write() as connection:
                registry.import_registry(connection, text=REGISTRY.format(sanctioned_w=9000), now=NOW)
                assert queries.hangings(connection).load_w.tolist() == [9000, 0]
                raise RuntimeError

        with pytest.raises(RuntimeError):
            give_up()

        bring(database, sanctioned_w=3000)

        assert hangings(database).load_w.tolist() == [3000, 0]
