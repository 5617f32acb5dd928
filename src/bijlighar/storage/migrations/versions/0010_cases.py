"""Cases: suspicions that people look into, and the units that were assessed; loads without a meter."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Document, Moment, Whole

revision: str = "0010_cases"
down_revision: str | None = "0009_sealing"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "balance_case",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=True),
        sa.Column("transformer", sa.String(length=64), nullable=True),
        sa.Column("account", sa.String(length=32), nullable=True),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("evidence", Document, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_by", sa.String(length=64), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("assigned_to", sa.String(length=64), nullable=True),
        sa.Column("finding", sa.String(length=32), nullable=True),
        sa.Column("theft_kind", sa.String(length=32), nullable=True),
        sa.Column("inspected_on", sa.Integer(), nullable=True),
        sa.Column("found_by", sa.String(length=64), nullable=True),
        sa.Column("finding_note", sa.Text(), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("ending_note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_balance_case")),
    )
    op.create_index(op.f("ix_balance_case_state_office"), "balance_case", ["state", "office"], unique=False)
    under_way = sa.text("state IN ('open', 'assigned', 'reported', 'found')")
    op.create_index(
        "ux_balance_case_meter_under_way",
        "balance_case",
        ["meter"],
        unique=True,
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
    op.create_table(
        "balance_case_step",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("case", Whole, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.ForeignKeyConstraint(
            ["case"], ["balance_case.number"], name=op.f("fk_balance_case_step_case_balance_case")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_case_step")),
    )
    op.create_index(op.f("ix_balance_case_step_case"), "balance_case_step", ["case"], unique=False)
    op.create_table(
        "balance_case_assessment",
        sa.Column("case", Whole, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("energy_wh", Whole, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("assessed_by", sa.String(length=64), nullable=False),
        sa.Column("assessed_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["case"], ["balance_case.number"], name=op.f("fk_balance_case_assessment_case_balance_case")
        ),
        sa.PrimaryKeyConstraint("case", "number", name=op.f("pk_balance_case_assessment")),
    )
    op.create_table(
        "balance_flat_rate",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("transformer", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("low_wh", Whole, nullable=False),
        sa.Column("likely_wh", Whole, nullable=False),
        sa.Column("high_wh", Whole, nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=True),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_balance_flat_rate")),
    )
    dialect = op.get_bind().dialect.name
    for name in ("balance_case_step", "balance_case_assessment", "balance_flat_rate"):
        for statement in refusals(name=name, dialect=dialect):
            op.execute(statement)
