from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, SmallInteger, String, Table, select

from bijlighar.storage import bulk
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import Moment, Whole

NOW = datetime(2026, 4, 1, 12, 0, 0, 250_000, tzinfo=UTC)
COLUMNS = ("day", "meter", "count", "at", "packed", "small")

catalogue = MetaData()
day = Table(
    "bulk_day",
    catalogue,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("meter", String(32), primary_key=True),
    Column("count", Whole, nullable=False),
    Column("at", Moment),
    Column("packed", LargeBinary),
    Column("small", SmallInteger, nullable=False),
)
history = Table(
    "bulk_history", catalogue, *(Column(c.name, c.type) for c in day.columns), Column("replaced_at", Moment)
)


@pytest.fixture
def tables(database: Database) -> Iterator[Database]:
    catalogue.create_all(database.engine)
    return database


def row(number: int, count: int = 1) -> tuple[object, ...]:
    return (number % 3, f"M{number}", count, NOW + timedelta(days=number), bytes([0, number]), number)


class TestInsertRows:
    def test_writes_what_core_reads(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(
                connection, table=day, columns=COLUMNS, rows=[row(1), (9, "M9", 2**40, None, None, 0)]
            )
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[])

        with tables.read() as connection:
            found = [tuple(found) for found in connection.execute(select(day).order_by(day.c.day))]
        assert found == [row(1), (9, "M9", 2**40, None, None, 0)]


class TestUpsertRows:
    def test_inserts_the_new_and_replaces_the_known(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[row(1), row(2)])
            for count in (5, 6):
                bulk.upsert_rows(connection, table=day, columns=COLUMNS, rows=[row(2, count), row(3, count)])

            found = connection.execute(select(day.c.meter, day.c["count"]).order_by(day.c.meter)).all()
        assert [tuple(row) for row in found] == [("M1", 1), ("M2", 6), ("M3", 6)]

    def test_keeps_what_is_greater_of_a_rising_column(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[row(1), row(2)])
            sooner, later = NOW, NOW + timedelta(days=9)
            again = [(*row(1)[:3], later, b"", 1), (*row(2)[:3], sooner, b"", 2)]
            bulk.upsert_rows(connection, table=day, columns=COLUMNS, rows=again, rising=("at",))

            found = connection.execute(select(day.c.at, day.c.packed).order_by(day.c.meter)).all()
        assert [tuple(row) for row in found] == [(later, b""), (NOW + timedelta(days=2), b"")]


class TestUpdateRows:
    def test_sets_the_named_columns_of_the_rows_named(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[row(1), row(2)])
            bulk.update_rows(
                connection,
                table=day,
                key=("day", "meter"),
                columns=("count", "at"),
                rows=[(2, "M2", 7, NOW), (0, "M1", 8, NOW)],
            )

            found = connection.execute(select(day).order_by(day.c.meter)).all()
        assert [tuple(found) for found in found] == [row(1), (2, "M2", 7, NOW, b"\x00\x02", 2)]

    def test_keeps_what_is_greater_of_a_rising_column(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[row(1)])
            for at in (NOW + timedelta(days=5), NOW):
                bulk.update_rows(
                    connection,
                    table=day,
                    key=("day", "meter"),
                    columns=("count", "at"),
                    rows=[(1, "M1", 7, at)],
                    rising=("at",),
                )

            found = connection.execute(select(day.c["count"], day.c.at)).one()
        assert tuple(found) == (7, NOW + timedelta(days=5))


class TestCopyRows:
    def test_copies_by_key_and_adds_values(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[row(1), row(2), row(3)])
            bulk.copy_rows(
                connection,
                source=day,
                target=history,
                columns=COLUMNS,
                extra={"replaced_at": NOW},
                keys=[(1, "M1"), (0, "M3"), (0, "nobody")],
            )

            found = connection.execute(select(history).order_by(history.c.meter)).all()
        assert [tuple(found) for found in found] == [(*row(1), NOW), (*row(3), NOW)]


class TestFetchRows:
    def test_returns_the_rows_of_the_keys_in_their_order(
        self, tables: Database, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(bulk, "KEYS_PER_SELECT", 2)
        with tables.write() as connection:
            bulk.insert_rows(connection, table=day, columns=COLUMNS, rows=[row(n) for n in range(6)])

            found = bulk.fetch_rows(
                connection,
                table=day,
                columns=("meter", "count"),
                keys=[(1, "M4"), (0, "M0"), (2, "M1"), (1, "M1")],
                lock=True,
            )
        assert found == [("M0", 1), ("M1", 1), ("M4", 1)]
