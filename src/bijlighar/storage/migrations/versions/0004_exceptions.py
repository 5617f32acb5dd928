"""The queue of exceptions: findings that call for a person, and what was done about each."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Document, Moment, Whole

revision: str = "0004_exceptions"
down_revision: str | None = "0003_gate"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "validation_exception",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("start", Moment(), nullable=False),
        sa.Column("end", Moment(), nullable=False),
        sa.Column("intervals", sa.Integer(), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("facts", Document, nullable=False),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("taken_by", sa.String(length=64), nullable=True),
        sa.Column("taken_at", Moment(), nullable=True),
        sa.Column("settled_by", sa.String(length=64), nullable=True),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.Column("settled_intervals", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_validation_exception")),
    )
    op.create_index(
        op.f("ix_validation_exception_meter_start"), "validation_exception", ["meter", "start"], unique=False
    )
    op.create_index(
        op.f("ix_validation_exception_state_severity_start"),
        "validation_exception",
        ["state", "severity", "start"],
        unique=False,
    )
    op.create_table(
        "validation_exception_step",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("exception", Whole, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exception"],
            ["validation_exception.number"],
            name=op.f("fk_validation_exception_step_exception_validation_exception"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_validation_exception_step")),
    )
    op.create_index(
        op.f("ix_validation_exception_step_exception"),
        "validation_exception_step",
        ["exception"],
        unique=False,
    )
    dialect = op.get_bind().dialect.name
    for statement in refusals(name="validation_exception_step", dialect=dialect):
        op.execute(statement)
