"""What the migrations make is what the rooms' tables say."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from bijlighar.readings import operations, seal_store, store
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, Delivery, interval_start
from bijlighar.readings.packing import unpacked
from bijlighar.runtime.schema import catalogue, migrate
from bijlighar.storage.append_only import MARK
from bijlighar.storage.engine import Database
from bijlighar.storage.migration import UnknownSchema, configuration
from bijlighar.storage.schema import Moment


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


HOUR = timedelta(hours=1)
OLD = "0010_cases"
DAY = 20_544
MONDAY = datetime(2026, 4, 2, 3, 0, 0, 125_000, tzinfo=UTC)
OLD_COLUMNS = (
    "meter",
    "day",
    "minutes",
    "version",
    "recorded_at",
    "origin",
    "validated",
    "missing",
    "estimated",
)
OLD_COLUMNS += ("codes", "wh_import", "volt", "wh_import_estimate", "quality")


def old_row(
    meter: str, *, first: int = 7, version: int = 1, minutes: int = 30, **more: object
) -> dict[str, object]:
    """A row as it was packed before: each channel in a column of its own; wh_import goes over 16 bits with 70,000."""
    count = 1_440 // minutes
    energy = np.array([first] + [5] * (count - 2) + [70_000], dtype="<i4").tobytes()
    volt = np.full(count, 23_000, dtype="<u2").tobytes()
    values = (
        meter,
        DAY,
        minutes,
        version,
        MONDAY,
        "meter",
        False,
        0,
        0,
        2 | 1 << 15,
        energy,
        volt,
        None,
        None,
    )
    return dict(zip(OLD_COLUMNS, values, strict=True)) | more


def old_town(database: Database) -> None:
    """A database as the release before made it, with meter-days, a history and a value that came late."""
    config = configuration(catalogue=catalogue())
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
        gap = np.full(48, 0xFFFF, dtype="<u2")
        gap[47] = 9
        quality = bytes([2] * 47 + [4])
        laid = {"version": 3, "validated": True, "missing": 1, "estimated": 1, "quality": quality}
        torn = np.array([7] + [5] * 46 + [0xFFFF], dtype="<u2").tobytes()
        laid |= {"codes": 1 | 1 << 25, "wh_import": torn, "volt": None, "wh_import_estimate": gap.tobytes()}
        current = [old_row("M2"), old_row("M1", **laid), old_row("M3", minutes=15, validated=True)]
        lean = {"version": 2, "codes": 1, "wh_import": None, "volt": None, "lean": True, "missing": 1}
        history = [
            old_row("M1", first=1, lean=False, replaced_at=MONDAY),
            old_row("M1", replaced_at=MONDAY, **lean),
        ]
        late = old_row("M2", first=8, seal=4)
        late = {
            name: late[name]
            for name in late
            if name in {*OLD_COLUMNS[:6], "codes", *OLD_COLUMNS[10:12], "seal"}
        }
        for place, row in enumerate(current):
            row["sequence"] = 10 + place
        for name, rows in (
            ("readings_day", current),
            ("readings_day_history", history),
            ("readings_late_day", [late]),
        ):
            for row in rows:
                columns = [sa.column(key, Moment() if key.endswith("_at") else None) for key in row]
                connection.execute(sa.table(name, *columns).insert(), [row])


class TestMeterDays:
    def test_are_taken_over_with_all_they_tell(self, empty_database_url: str):
        database = Database(empty_database_url)
        old_town(database)

        migrate(database)

        whole = [7] + [5] * 46 + [70_000]
        with database.read() as connection:
            quarters, halves = readings.days(connection, meters=None, first=DAY, last=DAY)
            (raw,) = readings.raw_days(connection, meters=["M1"], first=DAY, last=DAY)
            before = readings.days(connection, meters=["M1"], first=DAY, last=DAY, as_of=MONDAY - HOUR)
            changed = readings.changed_days(connection, after=10, limit=9)
            spans = readings.measured_spans(connection, meters=["M1", "M2", "M3"])
            history = connection.execute(select(store.history_table).order_by(text("version"))).all()
            (late,) = seal_store.select_late(connection, seals=[4])
        assert halves.meters == ("M1", "M2")
        assert halves.values["wh_import"].tolist() == [[*whole[:-1], 9], whole]
        assert halves.values["volt"].tolist() == [[ABSENT] * 48, [23_000] * 48]
        assert (halves.versions.tolist(), halves.validated.tolist()) == ([3, 1], [True, False])
        assert halves.quality[:, [0, 47]].tolist() == [[2, 4], [1, 1]]
        assert raw.values["wh_import"].tolist() == [[*whole[:-1], ABSENT]]
        assert (quarters.meters, quarters.minutes, quarters.validated.tolist()) == (("M3",), 15, [True])
        assert (before, changed.last, set(spans)) == ((), 12, {"M1", "M2", "M3"})
        assert sorted(name for block in changed.blocks for name in block.meters) == ["M1", "M3"]
        assert [(row.version, row.lean, row.measured is None) for row in history] == [
            (1, False, False),
            (2, True, True),
        ]
        held = unpacked([seal_store.packed_row(late)], 30)
        assert held.measured["wh_import"].tolist() == [[8, *whole[1:]]]
        with pytest.raises(DBAPIError, match="only ever added"), database.write() as connection:
            connection.execute(store.history_table.delete())
        database.close()

    def test_take_deliveries_as_before(self, empty_database_url: str):
        database = Database(empty_database_url)
        old_town(database)
        migrate(database)
        starts = interval_start(DAY, 0, 30) + 1_800 * np.arange(48)

        with database.write() as connection:
            values = {"wh_import": np.array([7] + [5] * 46 + [6])}
            deliveries = [
                Delivery(meter=meter, minutes=30, starts=starts, values=values) for meter in ("M1", "M4")
            ]
            report = operations.append(connection, deliveries=deliveries, now=MONDAY + HOUR)

        assert (report.days_written, report.intervals_new, report.intervals_changed) == (2, 49, 0)
        with database.read() as connection:
            (block,) = readings.days(connection, meters=["M1", "M4"], first=DAY, last=DAY)
            (earlier,) = readings.days(connection, meters=["M1"], first=DAY, last=DAY, as_of=MONDAY)
        assert (block.versions.tolist(), block.values["wh_import"][:, 47].tolist()) == ([4, 1], [6, 6])
        assert (earlier.versions.tolist(), earlier.values["wh_import"][:, 47].tolist()) == ([3], [9])
        database.close()


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
