"""Sign-in, the alarms' journal and consoles, codes and payments of consumers, readings asked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Document, Moment, Whole

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

#: The columns that stood before.
OLD_COLUMNS = {
    "alarms_alarm": (
        "number",
        "source",
        "code",
        "priority",
        "state",
        "office",
        "account",
        "count",
        "first_at",
        "last_at",
        "raised_at",
        "returned_at",
        "acknowledged_by",
        "acknowledged_at",
        "note",
        "open",
    ),
    "alarms_siren": ("number", "alarm", "reason", "started_at", "ended_at", "sounding"),
}
#: Tables whose rows are only ever added.
APPEND_ONLY = ("alarms_journal",)


def upgrade() -> None:
    """Make the tables, and move what stands into them."""
    _renew()
    op.create_table(
        "alarms_console",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("heard_at", Moment(), nullable=True),
        sa.Column("last_beat_at", Moment(), nullable=False),
        sa.Column("armed_beat_at", Moment(), nullable=True),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms_console")),
    )
    op.create_table(
        "alarms_silence",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("until_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms_silence")),
    )
    op.create_index(op.f("ix_alarms_silence_until_at"), "alarms_silence", ["until_at"], unique=False)
    op.create_table(
        "headend_asked_reading",
        sa.Column("number", Whole, autoincrement=False, nullable=False),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("answer", Document, nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_headend_asked_reading")),
    )
    op.create_index(op.f("ix_headend_asked_reading_meter"), "headend_asked_reading", ["meter"], unique=False)
    op.create_table(
        "offices_sign_in_failure",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_offices_sign_in_failure")),
    )
    op.create_index(
        "ix_offices_sign_in_failure_address_at", "offices_sign_in_failure", ["address", "at"], unique=False
    )
    op.create_index(op.f("ix_offices_sign_in_failure_at"), "offices_sign_in_failure", ["at"], unique=False)
    op.create_index(
        "ix_offices_sign_in_failure_name_at", "offices_sign_in_failure", ["name", "at"], unique=False
    )
    op.create_table(
        "runtime_payment_link",
        sa.Column("reference", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("link_id", sa.String(length=64), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("made_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_runtime_payment_link")),
    )
    op.create_index(
        op.f("ix_runtime_payment_link_account_day"), "runtime_payment_link", ["account", "day"], unique=False
    )
    op.create_table(
        "runtime_portal_ask",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runtime_portal_ask")),
    )
    op.create_index(op.f("ix_runtime_portal_ask_at"), "runtime_portal_ask", ["at"], unique=False)
    op.create_index(
        op.f("ix_runtime_portal_ask_subject_at"), "runtime_portal_ask", ["subject", "at"], unique=False
    )
    op.create_table(
        "runtime_portal_code",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_runtime_portal_code")),
    )
    op.create_index(
        op.f("ix_runtime_portal_code_expires_at"), "runtime_portal_code", ["expires_at"], unique=False
    )
    op.create_table(
        "runtime_portal_session",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_runtime_portal_session")),
    )
    op.create_index(
        op.f("ix_runtime_portal_session_account_opened_at"),
        "runtime_portal_session",
        ["account", "opened_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_runtime_portal_session_expires_at"), "runtime_portal_session", ["expires_at"], unique=False
    )
    op.create_table(
        "runtime_told_payment",
        sa.Column("payment_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("amount_paise", Whole, nullable=True),
        sa.Column("told_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_runtime_told_payment")),
    )
    op.create_index(
        op.f("ix_runtime_told_payment_account_told_at"),
        "runtime_told_payment",
        ["account", "told_at"],
        unique=False,
    )
    op.create_table(
        "alarms_journal",
        sa.Column("number", Whole, autoincrement=False, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("alarm", Whole, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("person", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alarm"], ["alarms_alarm.number"], name=op.f("fk_alarms_journal_alarm_alarms_alarm")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms_journal")),
    )
    op.create_index(
        op.f("ix_alarms_journal_alarm_number"), "alarms_journal", ["alarm", "number"], unique=False
    )
    op.create_index(op.f("ix_alarms_journal_event"), "alarms_journal", ["event"], unique=False)
    op.create_index(
        op.f("ix_alarms_journal_priority_event_number"),
        "alarms_journal",
        ["priority", "event", "number"],
        unique=False,
    )
    op.create_table(
        "alarms_proposal",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("alarm", Whole, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.String(length=64), nullable=False),
        sa.Column("proposed_at", Moment(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alarm"], ["alarms_alarm.number"], name=op.f("fk_alarms_proposal_alarm_alarms_alarm")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms_proposal")),
    )
    op.create_index(op.f("ix_alarms_proposal_alarm"), "alarms_proposal", ["alarm"], unique=False)
    op.create_index(op.f("ix_alarms_proposal_state"), "alarms_proposal", ["state"], unique=False)
    op.create_index(
        "uq_alarms_proposal_proposed",
        "alarms_proposal",
        ["alarm"],
        unique=True,
        sqlite_where=sa.text("decided_at IS NULL"),
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.create_table(
        "offices_credential",
        sa.Column("sign_in", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sign_in"], ["offices_person.sign_in"], name=op.f("fk_offices_credential_sign_in_offices_person")
        ),
        sa.PrimaryKeyConstraint("sign_in", name=op.f("pk_offices_credential")),
    )
    op.create_table(
        "offices_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("sign_in", sa.String(length=64), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sign_in"], ["offices_person.sign_in"], name=op.f("fk_offices_session_sign_in_offices_person")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_offices_session")),
    )
    op.create_index(op.f("ix_offices_session_sign_in"), "offices_session", ["sign_in"], unique=False)
    dialect = op.get_bind().dialect.name
    for name in APPEND_ONLY:
        for statement in refusals(name=name, dialect=dialect):
            op.execute(statement)


#: What the new columns of tables that stand are filled with, as SQL over the old row.
FILLED = {
    "alarms_alarm": {
        "waiting_since": "raised_at",
        "escalated": "0",
        "squad": "''",
        "acted_at": "acknowledged_at",
        "raised_quarter": "CAST(strftime('%s', raised_at) AS INTEGER) / 900",
    },
    "alarms_siren": {},
}


def _renew() -> None:
    """Give the tables of alarms their new columns: SQLite by writing them anew, PostgreSQL in place."""
    if op.get_bind().dialect.name == "sqlite":
        _rewrite()
        return
    op.add_column("alarms_alarm", sa.Column("transformer", sa.String(length=64), nullable=True))
    op.add_column("alarms_alarm", sa.Column("feeder", sa.String(length=64), nullable=True))
    op.add_column("alarms_alarm", sa.Column("waiting_since", Moment(), nullable=True))
    op.execute("UPDATE alarms_alarm SET waiting_since = raised_at")
    op.alter_column("alarms_alarm", "waiting_since", nullable=False)
    op.add_column("alarms_alarm", sa.Column("escalated", sa.Integer(), nullable=True))
    op.execute("UPDATE alarms_alarm SET escalated = 0")
    op.alter_column("alarms_alarm", "escalated", nullable=False)
    op.add_column("alarms_alarm", sa.Column("squad", sa.String(length=64), nullable=True))
    op.execute("UPDATE alarms_alarm SET squad = ''")
    op.alter_column("alarms_alarm", "squad", nullable=False)
    op.add_column("alarms_alarm", sa.Column("squad_at", Moment(), nullable=True))
    op.add_column("alarms_alarm", sa.Column("acted_at", Moment(), nullable=True))
    op.execute("UPDATE alarms_alarm SET acted_at = acknowledged_at")
    op.add_column("alarms_alarm", sa.Column("raised_quarter", sa.Integer(), nullable=True))
    op.execute("UPDATE alarms_alarm SET raised_quarter = floor(extract(epoch FROM raised_at) / 900)")
    op.alter_column("alarms_alarm", "raised_quarter", nullable=False)
    op.add_column("alarms_alarm", sa.Column("answered_s", sa.Integer(), nullable=True))
    op.create_index("ix_alarms_alarm_answered", "alarms_alarm", ["acknowledged_at", "answered_s", "office"])
    op.create_index("ix_alarms_alarm_raised_at", "alarms_alarm", ["raised_at", "office"])
    op.create_index("ix_alarms_alarm_raised_quarter", "alarms_alarm", ["raised_quarter", "office"])
    op.create_index(
        "ix_alarms_alarm_unacted",
        "alarms_alarm",
        ["acknowledged_at"],
        postgresql_where=sa.text("open AND acted_at IS NULL AND acknowledged_at IS NOT NULL"),
    )
    op.create_index(
        "ix_alarms_alarm_wall",
        "alarms_alarm",
        ["state", "priority", "escalated", "code", "raised_at", "waiting_since", "office", "number"],
    )


def _rewrite() -> None:
    for index in (
        "ix_alarms_alarm_source",
        "ix_alarms_alarm_state_priority",
        "uq_alarms_alarm_open",
        "uq_alarms_siren_sounding",
    ):
        op.execute(f"DROP INDEX {index}")
    op.rename_table("alarms_siren", "alarms_siren_old")
    op.rename_table("alarms_alarm", "alarms_alarm_old")
    _make_alarms()
    for table, kept in OLD_COLUMNS.items():
        filled = FILLED[table]
        names = ", ".join(f'"{name}"' for name in (*kept, *filled))
        values = ", ".join((*(f'"{name}"' for name in kept), *filled.values()))
        op.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}_old")  # noqa: S608 - names of this file
    op.drop_table("alarms_siren_old")
    op.drop_table("alarms_alarm_old")


def _make_alarms() -> None:
    op.create_table(
        "alarms_alarm",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("transformer", sa.String(length=64), nullable=True),
        sa.Column("feeder", sa.String(length=64), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("raised_at", Moment(), nullable=False),
        sa.Column("waiting_since", Moment(), nullable=False),
        sa.Column("escalated", sa.Integer(), nullable=False),
        sa.Column("returned_at", Moment(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("acknowledged_at", Moment(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("squad", sa.String(length=64), nullable=False),
        sa.Column("squad_at", Moment(), nullable=True),
        sa.Column("acted_at", Moment(), nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("raised_quarter", sa.Integer(), nullable=False),
        sa.Column("answered_s", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms_alarm")),
    )
    op.create_index(
        "ix_alarms_alarm_answered", "alarms_alarm", ["acknowledged_at", "answered_s", "office"], unique=False
    )
    op.create_index("ix_alarms_alarm_raised_at", "alarms_alarm", ["raised_at", "office"], unique=False)
    op.create_index(
        "ix_alarms_alarm_raised_quarter", "alarms_alarm", ["raised_quarter", "office"], unique=False
    )
    op.create_index(op.f("ix_alarms_alarm_source"), "alarms_alarm", ["source"], unique=False)
    op.create_index(
        op.f("ix_alarms_alarm_state_priority"), "alarms_alarm", ["state", "priority"], unique=False
    )
    op.create_index(
        "ix_alarms_alarm_unacted",
        "alarms_alarm",
        ["acknowledged_at"],
        unique=False,
        sqlite_where=sa.text("open = 1 AND acted_at IS NULL AND acknowledged_at IS NOT NULL"),
        postgresql_where=sa.text("open AND acted_at IS NULL AND acknowledged_at IS NOT NULL"),
    )
    op.create_index(
        "ix_alarms_alarm_wall",
        "alarms_alarm",
        ["state", "priority", "escalated", "code", "raised_at", "waiting_since", "office", "number"],
        unique=False,
        sqlite_where=sa.text("open = 1"),
        postgresql_where=sa.text("open = 1"),
    )
    op.create_index(
        "uq_alarms_alarm_open",
        "alarms_alarm",
        ["source", "code"],
        unique=True,
        sqlite_where=sa.text("open"),
        postgresql_where=sa.text("open"),
    )
    op.create_table(
        "alarms_siren",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("alarm", Whole, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("sounding", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alarm"], ["alarms_alarm.number"], name=op.f("fk_alarms_siren_alarm_alarms_alarm")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms_siren")),
    )
    op.create_index(
        "uq_alarms_siren_sounding",
        "alarms_siren",
        ["sounding"],
        unique=True,
        sqlite_where=sa.text("sounding"),
        postgresql_where=sa.text("sounding"),
    )
