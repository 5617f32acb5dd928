"""The orders whose octets have left the gate, images on their way, keys being changed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.schema import Moment

revision: str = "0003_gate"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "headend_gate_use",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("used_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_headend_gate_use")),
    )
    op.create_table(
        "headend_gate_image",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("image", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_headend_gate_image")),
    )
    op.create_index(op.f("ix_headend_gate_image_image"), "headend_gate_image", ["image"], unique=False)
    op.create_table(
        "headend_key_change",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("begun_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("meter", name=op.f("pk_headend_key_change")),
    )
