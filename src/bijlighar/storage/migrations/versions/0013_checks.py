"""Checks on the spot: work orders to look at a meter, and what each was ordered for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Moment, Whole

revision: str = "0013_checks"
down_revision: str | None = "0012_reading_keys"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "rollout_check",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("usage_point", sa.String(length=64), nullable=True),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("transformer", sa.String(length=64), nullable=True),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ordered_by", sa.String(length=64), nullable=False),
        sa.Column("ordered_at", Moment(), nullable=False),
        sa.Column("fitter", sa.String(length=64), nullable=True),
        sa.Column("issued_at", Moment(), nullable=True),
        sa.Column("finding", sa.String(length=16), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rollout_check")),
    )
    op.create_index(op.f("ix_rollout_check_meter"), "rollout_check", ["meter"], unique=False)
    op.create_index(op.f("ix_rollout_check_state_office"), "rollout_check", ["state", "office"], unique=False)
    is_open = sa.text("state IN ('planned', 'issued', 'failed')")
    op.create_index(
        "ux_rollout_check_open_meter",
        "rollout_check",
        ["meter"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "rollout_check_subject",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("check_number", Whole, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["check_number"],
            ["rollout_check.number"],
            name=op.f("fk_rollout_check_subject_check_number_rollout_check"),
        ),
        sa.PrimaryKeyConstraint("subject", "check_number", name=op.f("pk_rollout_check_subject")),
    )
    op.create_index(
        op.f("ix_rollout_check_subject_check_number"), "rollout_check_subject", ["check_number"], unique=False
    )
    for statement in refusals(name="rollout_check_subject", dialect=op.get_bind().dialect.name):
        op.execute(statement)
