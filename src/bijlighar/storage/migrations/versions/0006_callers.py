"""Modems that register themselves, and pushes by their kind."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.schema import Moment, Whole

revision: str = "0006_callers"
down_revision: str | None = "0005_edits"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "headend_modem",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("heard_at", Moment(), nullable=False),
        sa.Column("called_at", Moment(), nullable=True),
        sa.Column("gone_at", Moment(), nullable=True),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("proven_at", Moment(), nullable=True),
        sa.Column("proven_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_headend_modem")),
    )
    op.create_table(
        "headend_modem_fact",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("modem", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=4000), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.Column("trusted_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_headend_modem_fact")),
    )
    op.create_index(
        op.f("ix_headend_modem_fact_modem_kind"), "headend_modem_fact", ["modem", "kind"], unique=False
    )
    op.create_table(
        "headend_push_kind",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("placed", Whole, nullable=False),
        sa.Column("unplaced", Whole, nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("meter", "kind", name=op.f("pk_headend_push_kind")),
    )
