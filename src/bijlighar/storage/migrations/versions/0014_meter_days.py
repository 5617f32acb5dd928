"""Meter-days under one number, their channels in one column, and meters under numbers of their own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Moment, Whole

revision: str = "0014_meter_days"
down_revision: str | None = "0013_checks"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CHANNELS = ("wh_import", "vah_import", "wh_export", "volt", "amp")
ESTIMATES = ("wh_import_estimate", "wh_export_estimate")
ROWS_AT_ONCE = 5_000
DAY_SHIFT = 32
MINUTES_PER_DAY = 1_440


def upgrade() -> None:
    """Make the tables anew and take every row over."""
    connection = op.get_bind()
    op.create_table(
        "readings_meter",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=True),
        sa.Column("last_day", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_readings_meter")),
        sa.UniqueConstraint("meter", name=op.f("uq_readings_meter_meter")),
    )
    numbers = _give_numbers(connection)
    for name in ("readings_day_estimated", "readings_day_meter", "readings_day_sequence"):
        op.drop_index(f"ix_{name}", table_name="readings_day")
    old_days = _set_aside(connection, "readings_day")
    _create_days()
    _take_over(connection, old_days, "readings_day", numbers)
    old_history = _set_aside(connection, "readings_day_history")
    _create_history()
    _take_over(connection, old_history, "readings_day_history", numbers)
    old_late = _set_aside(connection, "readings_late_day")
    _create_late()
    for rows in _batches(connection, old_late):
        _insert(connection, "readings_late_day", [_without_channels(row) for row in rows])
    for name in ("readings_day_history", "readings_late_day"):
        for statement in refusals(name=name, dialect=connection.dialect.name):
            op.execute(statement)
    for old in (old_days, old_history, old_late):
        op.drop_table(old)
    op.drop_index("ix_readings_register_at", table_name="readings_register")
    op.create_index(
        "ix_readings_register_midnight",
        "readings_register",
        ["at", "meter", "wh_import", "wh_export"],
        unique=False,
    )


def _create_days() -> None:
    op.create_table(
        "readings_day",
        sa.Column("meter_day", Whole, autoincrement=False, nullable=False),
        sa.Column("sequence", Whole, nullable=False),
        *_packed_columns(),
        sa.PrimaryKeyConstraint("meter_day", name=op.f("pk_readings_day")),
    )
    op.create_index("ix_readings_day_sequence", "readings_day", ["sequence"], unique=False)
    op.create_index(
        "ix_readings_day_estimated",
        "readings_day",
        ["meter"],
        unique=False,
        sqlite_where=sa.text("estimated > 0"),
        postgresql_where=sa.text("estimated > 0"),
    )


def _create_history() -> None:
    op.create_table(
        "readings_day_history",
        sa.Column("meter_day", Whole, autoincrement=False, nullable=False),
        *_packed_columns(),
        sa.Column("replaced_at", Moment(), nullable=False),
        sa.Column("lean", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("meter_day", "version", name=op.f("pk_readings_day_history")),
    )


def _create_late() -> None:
    op.create_table(
        "readings_late_day",
        sa.Column("seal", Whole, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("minutes", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("codes", Whole, nullable=False),
        sa.Column("measured", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint(
            "seal", "day", "meter", "minutes", "version", name=op.f("pk_readings_late_day")
        ),
    )


def _packed_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("validated_at", Moment(), nullable=True),
        sa.Column("codes", Whole, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("missing", sa.SmallInteger(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("measured", sa.LargeBinary(), nullable=True),
        sa.Column("laid", sa.LargeBinary(), nullable=True),
        sa.Column("quality", sa.LargeBinary(), nullable=True),
    )


def _give_numbers(connection: sa.Connection) -> Mapping[str, int]:
    """Give every meter of which anything is stored its number, and note between which days something was measured."""
    old = sa.table("readings_day", *(sa.column(name) for name in ("meter", "day", "missing", "minutes")))
    measured = old.c.missing * old.c.minutes < MINUTES_PER_DAY
    spans = {
        meter: (first, last)
        for meter, first, last in connection.execute(
            sa.select(old.c.meter, sa.func.min(old.c.day), sa.func.max(old.c.day))
            .where(measured)
            .group_by(old.c.meter)
        )
    }
    meters: set[str] = set()
    for name in ("readings_day", "readings_day_history"):
        stored = sa.table(name, sa.column("meter"))
        meters.update(connection.execute(sa.select(stored.c.meter).distinct()).scalars())
    rows = []
    for number, meter in enumerate(sorted(meters), start=1):
        first, last = spans.get(meter, (None, None))
        rows.append({"number": number, "meter": meter, "first_day": first, "last_day": last})
    _insert(connection, "readings_meter", rows)
    return {row["meter"]: row["number"] for row in rows}


def _set_aside(connection: sa.Connection, name: str) -> str:
    """Rename a table, its key and what refuses to change it out of the way, and return its new name."""
    old = f"{name}_packed_apart"
    if connection.dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS {name}_no_{verb}")
        op.rename_table(name, old)
        return old
    op.execute(f"DROP TRIGGER IF EXISTS {name}_append_only ON {name}")
    op.rename_table(name, old)
    op.execute(f"ALTER INDEX pk_{name} RENAME TO pk_{old}")
    return old


def _take_over(connection: sa.Connection, old: str, new: str, numbers: Mapping[str, int]) -> None:
    """Write every row of the old table into the new one."""
    for rows in _batches(connection, old):
        _insert(connection, new, [_renumbered(row, numbers) for row in rows])


def _batches(connection: sa.Connection, name: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table some at a time, in the order of its key."""
    table = sa.Table(name, sa.MetaData(), autoload_with=connection)
    typed = [
        sa.type_coerce(column, Moment()).label(column.name) if column.name.endswith("_at") else column
        for column in table.columns
    ]
    statement = sa.select(*typed).order_by(*table.primary_key.columns)
    found = connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE))
    for rows in found.mappings().partitions():
        yield [dict(row) for row in rows]


def _renumbered(row: dict[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return a row under the number of its meter-day, its channels in one column; what it tells is the same."""
    day, minutes, validated = row.pop("day"), row.pop("minutes"), row.pop("validated")
    made = _without_channels(row)
    made["meter_day"] = day << DAY_SHIFT | numbers[made["meter"]] << 1 | (minutes == 15)
    made["validated_at"] = made["recorded_at"] if validated else None
    laid = [made.pop(name) for name in ESTIMATES]
    made["laid"] = _joined(laid)
    return made


def _without_channels(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with what the channels measured in one column."""
    measured = [row.pop(name) for name in CHANNELS]
    return row | {"measured": _joined(measured)}


def _joined(blobs: Sequence[bytes | None]) -> bytes | None:
    held = [bytes(blob) for blob in blobs if blob is not None]
    return b"".join(held) if held else None


def _insert(connection: sa.Connection, name: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    columns = [
        sa.column(column, Moment() if column.endswith("_at") else None)  # a moment is text on SQLite
        for column in rows[0]
    ]
    connection.execute(sa.table(name, *columns).insert(), list(rows))
