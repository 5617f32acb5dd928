"""Reading keys: which order for them the gate admitted last for each meter."""

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.schema import Moment

revision = "0012_reading_keys"
down_revision = "0011_meter_facts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "headend_gate_reading",
        sa.Column("meter", sa.String(200), primary_key=True),
        sa.Column("order_id", sa.String(200), nullable=False),
        sa.Column("issued_at", Moment, nullable=False),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("headend_gate_reading")
