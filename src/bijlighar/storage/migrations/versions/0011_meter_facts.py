"""What is known of meters beside their readings, as dated facts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.schema import Moment, Whole

revision: str = "0011_meter_facts"
down_revision: str | None = "0010_cases"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "headend_meter_fact",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("trusted_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_headend_meter_fact")),
    )
    op.create_index(
        op.f("ix_headend_meter_fact_meter_id"), "headend_meter_fact", ["meter", "id"], unique=False
    )
