"""The orders whose octets have left the gate."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.schema import Moment

revision: str = "0003_gate"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "headend_gate_use",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("used_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_headend_gate_use")),
    )
