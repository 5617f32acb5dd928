from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, SmallInteger, String, Table, select

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


numbered = Table(
    "bulk_numbered",
    catalogue,
    Column("id", Whole, primary_key=True, autoincrement=False),
    Column("count", Whole),
    Column("at", Moment),
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


def columns_of(connection: Connection, *rows: tuple[object, ...]) -> dict[str, list[object]]:
    """Rows by column, as the driver takes them."""
    columns = {name: list(values) for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
    columns["at"] = [
        bulk.as_driver(connection, at) if isinstance(at, datetime) else at for at in columns["at"]
    ]
    return columns


class TestInsertColumns:
    @pytest.mark.parametrize(
        "rows",
        [
            [row(1), row(2), row(3)],
            [(1, "M'1 ? % :x \\", 5, NOW, None, 3), (2, "M'1 ? % :x \\", 5, NOW, None, 3)],
            [(1, "M1", 2**40, None, b"\x00", 0)],
            [(1, "", -1, NOW, b"", -2)],
        ],
    )
    def test_writes_what_core_reads(self, tables: Database, rows: list[tuple[object, ...]]):
        with tables.write() as connection:
            bulk.insert_columns(connection, table=day, columns=columns_of(connection, *rows))
            bulk.insert_columns(connection, table=day, columns={name: [] for name in COLUMNS})

            found = [tuple(found) for found in connection.execute(select(day))]
        assert sorted(found) == sorted(rows)

    def test_takes_what_cannot_stand_in_a_statement(self, database_url: str):
        if not database_url.startswith("sqlite"):
            pytest.skip("PostgreSQL holds no such text at all")
        database = Database(database_url)
        catalogue.create_all(database.engine)
        with database.write() as connection:
            rows = [(1, "M\0'1", 5, NOW, b"", 3), (2, "M\0'1", 5, NOW, b"", 3)]
            bulk.insert_columns(connection, table=day, columns=columns_of(connection, *rows))

            assert set(connection.execute(select(day.c.meter)).scalars()) == {"M\0'1"}
        database.close()


class TestUpdateColumns:
    def test_sets_the_columns_of_the_rows_named(self, tables: Database):
        with tables.write() as connection:
            bulk.insert_rows(
                connection,
                table=numbered,
                columns=("id", "count", "at"),
                rows=[(n, n, NOW) for n in range(4)],
            )
            sooner, later = (bulk.as_driver(connection, NOW + timedelta(days=days)) for days in (-1, 1))
            for ids, counts, at in (
                ([3, 1], [7, 7], later),
                ([1, 2], [8, 9], sooner),
                ([0], [None], sooner),
                ([], [], 0),
            ):
                columns = {"id": ids, "count": counts, "at": [at] * len(ids)}
                bulk.update_columns(connection, table=numbered, key="id", columns=columns, rising=("at",))

            found = connection.execute(select(numbered).order_by(numbered.c.id)).all()
        assert [tuple(found) for found in found] == [
            (0, None, NOW),
            (1, 8, NOW + timedelta(days=1)),
            (2, 9, NOW),
            (3, 7, NOW + timedelta(days=1)),
        ]


class TestFetchBetween:
    def test_returns_what_lies_between_in_order(self, tables: Database):
        with tables.write() as connection:
            rows = [(n, -n, NOW) for n in (9, 4, 2**40, 7, 5)]
            bulk.insert_rows(connection, table=numbered, columns=("id", "count", "at"), rows=rows)

            found = bulk.fetch_between(
                connection, table=numbered, columns=("id", "count"), first=5, last=2**40, lock=True
            )
        assert found == [(5, -5), (7, -7), (9, -9), (2**40, -(2**40))]


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
