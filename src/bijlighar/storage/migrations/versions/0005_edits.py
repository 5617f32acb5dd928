"""Edits of readings: what one person proposed and another decided."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.schema import Document, Moment, Whole

revision: str = "0005_edits"
down_revision: str | None = "0004_exceptions"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "validation_edit",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("start", Moment(), nullable=False),
        sa.Column("end", Moment(), nullable=False),
        sa.Column("minutes", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("given", Document, nullable=False),
        sa.Column("before", Document, nullable=False),
        sa.Column("measured", Document, nullable=False),
        sa.Column("versions", Document, nullable=False),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.String(length=64), nullable=False),
        sa.Column("proposed_at", Moment(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("decision_note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_validation_edit")),
    )
    op.create_index(
        op.f("ix_validation_edit_meter_start"), "validation_edit", ["meter", "start"], unique=False
    )
    op.create_index(
        op.f("ix_validation_edit_state_start"), "validation_edit", ["state", "start"], unique=False
    )
