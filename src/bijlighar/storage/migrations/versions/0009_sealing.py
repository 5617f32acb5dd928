"""Sealed months, and what came late for them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Moment, Whole

revision: str = "0009_sealing"
down_revision: str | None = "0006_callers"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "readings_seal",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("is_company", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("meter_days", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed_by", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", Moment(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=True),
        sa.Column("asked_at", Moment(), nullable=True),
        sa.Column("asked_note", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("decision_note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_readings_seal")),
    )
    op.create_index(op.f("ix_readings_seal_state_first"), "readings_seal", ["state", "first"], unique=False)
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
        sa.Column("wh_import", sa.LargeBinary(), nullable=True),
        sa.Column("vah_import", sa.LargeBinary(), nullable=True),
        sa.Column("wh_export", sa.LargeBinary(), nullable=True),
        sa.Column("volt", sa.LargeBinary(), nullable=True),
        sa.Column("amp", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint(
            "seal", "day", "meter", "minutes", "version", name=op.f("pk_readings_late_day")
        ),
    )
    op.create_table(
        "readings_late_register",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("seal", Whole, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("wh_import", Whole, nullable=True),
        sa.Column("vah_import", Whole, nullable=True),
        sa.Column("wh_export", Whole, nullable=True),
        sa.Column("md_w", Whole, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_readings_late_register")),
    )
    op.create_index(
        op.f("ix_readings_late_register_seal_meter"),
        "readings_late_register",
        ["seal", "meter"],
        unique=False,
    )
    dialect = op.get_bind().dialect.name
    for name in ("readings_late_day", "readings_late_register"):
        for statement in refusals(name=name, dialect=dialect):
            op.execute(statement)
