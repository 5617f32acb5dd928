"""The first schema."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from bijlighar.storage.append_only import refusals
from bijlighar.storage.schema import Document, Moment, Whole

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

#: Tables whose rows are only ever added.
APPEND_ONLY = (
    "arrears_decision",
    "billing_bill",
    "headend_gate_log",
    "ledger_due",
    "ledger_hold",
    "ledger_payment",
    "ledger_transfer",
    "notices_consent",
    "notices_service",
    "offices_audit",
    "readings_day_history",
    "readings_register_history",
    "ledger_allocation",
    "ledger_hold_release",
    "ledger_match",
    "ledger_reversal",
    "notices_delivery",
    "registry_account_history",
    "rollout_movement",
)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "alarms_alarm",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("raised_at", Moment(), nullable=False),
        sa.Column("returned_at", Moment(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("acknowledged_at", Moment(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms_alarm")),
    )
    op.create_index(op.f("ix_alarms_alarm_source"), "alarms_alarm", ["source"], unique=False)
    op.create_index(
        op.f("ix_alarms_alarm_state_priority"), "alarms_alarm", ["state", "priority"], unique=False
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
        "arrears_ageing",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("not_due_paise", Whole, nullable=False),
        sa.Column("to_30_days_paise", Whole, nullable=False),
        sa.Column("to_60_days_paise", Whole, nullable=False),
        sa.Column("to_90_days_paise", Whole, nullable=False),
        sa.Column("over_90_days_paise", Whole, nullable=False),
        sa.Column("beyond_limit_paise", Whole, nullable=False),
        sa.Column("oldest_due_on", sa.Date(), nullable=True),
        sa.Column("bills", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_arrears_ageing")),
    )
    op.create_index(op.f("ix_arrears_ageing_office"), "arrears_ageing", ["office"], unique=False)
    op.create_table(
        "arrears_assessment",
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("reached", sa.String(length=64), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("on", name=op.f("pk_arrears_assessment")),
    )
    op.create_table(
        "arrears_circumstance",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_arrears_circumstance")),
    )
    op.create_index(
        op.f("ix_arrears_circumstance_account"), "arrears_circumstance", ["account"], unique=False
    )
    op.create_table(
        "arrears_decision",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("order_number", Whole, nullable=True),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("go", sa.Boolean(), nullable=False),
        sa.Column("reason_codes", Document, nullable=False),
        sa.Column("due_paise", Whole, nullable=False),
        sa.Column("record", Document, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_decision")),
    )
    op.create_index(
        op.f("ix_arrears_decision_account_id"), "arrears_decision", ["account", "id"], unique=False
    )
    op.create_index(
        op.f("ix_arrears_decision_order_number_id"), "arrears_decision", ["order_number", "id"], unique=False
    )
    op.create_table(
        "arrears_halt",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("lifted_by", sa.String(length=64), nullable=True),
        sa.Column("lifted_reason", sa.Text(), nullable=True),
        sa.Column("lifted_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_halt")),
    )
    op.create_index(
        "uq_arrears_halt_standing",
        "arrears_halt",
        ["office"],
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "arrears_list",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("drawn_by", sa.String(length=64), nullable=False),
        sa.Column("drawn_at", Moment(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_at", Moment(), nullable=True),
        sa.Column("snapshot_hash", sa.String(length=64), nullable=True),
        sa.Column("policy_version", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_arrears_list")),
    )
    op.create_index(op.f("ix_arrears_list_office_state"), "arrears_list", ["office", "state"], unique=False)
    op.create_table(
        "arrears_notice",
        sa.Column("reference", sa.String(length=96), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("documents", Document, nullable=False),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("queued_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_arrears_notice")),
    )
    op.create_index(op.f("ix_arrears_notice_account"), "arrears_notice", ["account"], unique=False)
    op.create_table(
        "arrears_open_reason",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("order_number", Whole, nullable=True),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.Column("added_at", Moment(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("removed_by", sa.String(length=64), nullable=True),
        sa.Column("removed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrears_open_reason")),
    )
    op.create_index(op.f("ix_arrears_open_reason_account"), "arrears_open_reason", ["account"], unique=False)
    op.create_index(
        "uq_arrears_open_reason_standing",
        "arrears_open_reason",
        ["account", "reason"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "balance_closed",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("closed_at", Moment(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_balance_closed")),
    )
    op.create_table(
        "balance_day",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("input_wh", Whole, nullable=True),
        sa.Column("input_complete", sa.Boolean(), nullable=False),
        sa.Column("metered_wh", Whole, nullable=False),
        sa.Column("meters", sa.Integer(), nullable=False),
        sa.Column("expected", Whole, nullable=False),
        sa.Column("known", Whole, nullable=False),
        sa.Column("read", Whole, nullable=False),
        sa.Column("transformer_loss_wh", Whole, nullable=True),
        sa.PrimaryKeyConstraint("day", "level", "code", name=op.f("pk_balance_day")),
    )
    op.create_table(
        "balance_due",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_balance_due")),
    )
    op.create_table(
        "billing_bill",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("of", sa.String(length=32), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("energy_wh", Whole, nullable=False),
        sa.Column("estimated", sa.Integer(), nullable=False),
        sa.Column("total_paise", Whole, nullable=False),
        sa.Column("book_id", sa.String(length=64), nullable=False),
        sa.Column("book_digest", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_bill")),
        sa.UniqueConstraint(
            "account", "month", "kind", "seq", name=op.f("uq_billing_bill_account_month_kind_seq")
        ),
        sa.UniqueConstraint("number", name=op.f("uq_billing_bill_number")),
        sa.UniqueConstraint("token", name=op.f("uq_billing_bill_token")),
    )
    op.create_index(op.f("ix_billing_bill_month"), "billing_bill", ["month"], unique=False)
    op.create_table(
        "billing_item",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=True),
        sa.Column("checked_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("month", "account", name=op.f("pk_billing_item")),
    )
    op.create_table(
        "billing_release",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_release")),
        sa.UniqueConstraint("month", "account", name=op.f("uq_billing_release_month_account")),
    )
    op.create_table(
        "billing_run",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("eligible", sa.Integer(), nullable=False),
        sa.Column("billed", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.Column("excluded", sa.Integer(), nullable=False),
        sa.Column("total_paise", Whole, nullable=False),
        sa.Column("energy_wh", Whole, nullable=False),
        sa.Column("reasons", Document, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("month", "day", name=op.f("pk_billing_run")),
    )
    op.create_table(
        "headend_command",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("requested_at", Moment(), nullable=False),
        sa.Column("not_after", Moment(), nullable=True),
        sa.Column("sent_at", Moment(), nullable=True),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("output_state", sa.Boolean(), nullable=True),
        sa.Column("control_state", sa.Integer(), nullable=True),
        sa.Column("event_code", sa.Integer(), nullable=True),
        sa.Column("reason_code", sa.String(length=64), nullable=False),
        sa.Column("reason_text", sa.String(length=500), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("number", Whole, nullable=True),
        sa.Column("queued", Whole, nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_headend_command")),
        sa.UniqueConstraint("number", name=op.f("uq_headend_command_number")),
    )
    op.create_index(op.f("ix_headend_command_serial"), "headend_command", ["serial"], unique=False)
    op.create_index(
        op.f("ix_headend_command_state_not_after"), "headend_command", ["state", "not_after"], unique=False
    )
    op.create_table(
        "headend_counter",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("client", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reserved", Whole, nullable=False),
        sa.Column("received", Whole, server_default="-1", nullable=False),
        sa.PrimaryKeyConstraint("meter", "client", name=op.f("pk_headend_counter")),
    )
    op.create_table(
        "headend_gate_log",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_headend_gate_log")),
    )
    op.create_table(
        "headend_gate_order",
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("feeder", sa.String(length=200), nullable=False),
        sa.Column("admitted_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_headend_gate_order")),
    )
    op.create_index(
        op.f("ix_headend_gate_order_action_admitted_at"),
        "headend_gate_order",
        ["action", "admitted_at"],
        unique=False,
    )
    op.create_table(
        "headend_key",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("system_title", sa.LargeBinary(length=8), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("meter", name=op.f("pk_headend_key")),
    )
    op.create_index(op.f("ix_headend_key_system_title"), "headend_key", ["system_title"], unique=False)
    op.create_table(
        "headend_layout",
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("read_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_headend_layout")),
    )
    op.create_table(
        "headend_push",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("counter", Whole, nullable=False),
        sa.Column("word", sa.LargeBinary(), nullable=False),
        sa.Column("word_bits", sa.Integer(), nullable=False),
        sa.Column("word_at", Moment(), nullable=True),
        sa.Column("word_number", Whole, nullable=False),
        sa.Column("received", Whole, nullable=False),
        sa.Column("repeated", Whole, nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("meter", name=op.f("pk_headend_push")),
    )
    op.create_table(
        "headend_quarantine",
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("pushes", Whole, nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "code", name=op.f("pk_headend_quarantine")),
    )
    op.create_table(
        "headend_relay",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("output_state", sa.Boolean(), nullable=False),
        sa.Column("control_state", sa.Integer(), nullable=False),
        sa.Column("control_mode", sa.Integer(), nullable=False),
        sa.Column("read_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("meter", name=op.f("pk_headend_relay")),
    )
    op.create_table(
        "headend_schedule",
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("settled_day", sa.Integer(), nullable=False),
        sa.Column("next_at", Moment(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("short_tries", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.String(length=64), nullable=False),
        sa.Column("last_try_at", Moment(), nullable=False),
        sa.Column("last_ok_at", Moment(), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=True),
        sa.Column("event_numbers", Document, nullable=False),
        sa.Column("events_to", Moment(), nullable=True),
        sa.Column("drift_s", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("meter", name=op.f("pk_headend_schedule")),
    )
    op.create_table(
        "headend_session",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("octets_in", sa.Integer(), nullable=False),
        sa.Column("octets_out", sa.Integer(), nullable=False),
        sa.Column("drift_s", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_headend_session")),
    )
    op.create_index(op.f("ix_headend_session_meter_id"), "headend_session", ["meter", "id"], unique=False)
    op.create_table(
        "ledger_account",
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_ledger_account")),
    )
    op.create_table(
        "ledger_balance",
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("head", sa.String(length=32), nullable=False),
        sa.Column("debits_paise", Whole, nullable=False),
        sa.Column("credits_paise", Whole, nullable=False),
        sa.PrimaryKeyConstraint("account", "head", name=op.f("pk_ledger_balance")),
    )
    op.create_table(
        "ledger_due",
        sa.Column("document", sa.String(length=96), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("first_due_on", sa.Date(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.CheckConstraint("amount_paise >= 0", name=op.f("ck_ledger_due_not_negative")),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_ledger_due")),
    )
    op.create_index(op.f("ix_ledger_due_account"), "ledger_due", ["account"], unique=False)
    op.create_table(
        "ledger_hold",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("provider", sa.String(length=24), nullable=False),
        sa.Column("payment_id", sa.String(length=96), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("placed_at", Moment(), nullable=False),
        sa.CheckConstraint("amount_paise > 0", name=op.f("ck_ledger_hold_above_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_hold")),
        sa.UniqueConstraint("provider", "payment_id", name=op.f("uq_ledger_hold_provider_payment_id")),
    )
    op.create_index(op.f("ix_ledger_hold_account"), "ledger_hold", ["account"], unique=False)
    op.create_table(
        "ledger_payment",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("provider", sa.String(length=24), nullable=False),
        sa.Column("payment_id", sa.String(length=96), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("account", sa.String(length=32), nullable=True),
        sa.Column("named_account", sa.String(length=32), nullable=True),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("paid_at", Moment(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.CheckConstraint("amount_paise > 0", name=op.f("ck_ledger_payment_above_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_payment")),
        sa.UniqueConstraint("provider", "event_id", name=op.f("uq_ledger_payment_provider_event_id")),
        sa.UniqueConstraint("provider", "payment_id", name=op.f("uq_ledger_payment_provider_payment_id")),
    )
    op.create_index(op.f("ix_ledger_payment_account"), "ledger_payment", ["account"], unique=False)
    op.create_table(
        "ledger_transfer",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("debit", sa.String(length=32), nullable=False),
        sa.Column("credit", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("document", sa.String(length=96), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.CheckConstraint("amount_paise > 0", name=op.f("ck_ledger_transfer_above_zero")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_ledger_transfer_two_heads")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transfer")),
        sa.UniqueConstraint("key", name=op.f("uq_ledger_transfer_key")),
    )
    op.create_index(op.f("ix_ledger_transfer_account_id"), "ledger_transfer", ["account", "id"], unique=False)
    op.create_index(op.f("ix_ledger_transfer_document"), "ledger_transfer", ["document"], unique=False)
    op.create_table(
        "notices_consent",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("how", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices_consent")),
        sa.UniqueConstraint("source", name=op.f("uq_notices_consent_source")),
    )
    op.create_index(op.f("ix_notices_consent_phone"), "notices_consent", ["phone"], unique=False)
    op.create_table(
        "notices_message",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("office", sa.String(length=32), nullable=True),
        sa.Column("template_name", sa.String(length=64), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("facts", Document, nullable=False),
        sa.Column("parameters", Document, nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices_message")),
        sa.UniqueConstraint("reference", "channel", name=op.f("uq_notices_message_reference_channel")),
    )
    op.create_index(op.f("ix_notices_message_account"), "notices_message", ["account"], unique=False)
    op.create_index(
        op.f("ix_notices_message_channel_state_office"),
        "notices_message",
        ["channel", "state", "office"],
        unique=False,
    )
    op.create_index(op.f("ix_notices_message_provider_id"), "notices_message", ["provider_id"], unique=False)
    op.create_table(
        "notices_parked",
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "state", name=op.f("pk_notices_parked")),
    )
    op.create_table(
        "notices_service",
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("served_on", sa.Date(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("account", "purpose", "reference", name=op.f("pk_notices_service")),
    )
    op.create_table(
        "offices_audit",
        sa.Column("number", Whole, autoincrement=False, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_offices_audit")),
    )
    op.create_index(op.f("ix_offices_audit_subject"), "offices_audit", ["subject"], unique=False)
    op.create_table(
        "offices_audit_head",
        sa.Column("chain", Whole, autoincrement=False, nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_offices_audit_head")),
    )
    op.create_table(
        "offices_office",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name_hi", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_offices_office")),
    )
    op.create_table(
        "readings_day",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("minutes", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sequence", Whole, nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("validated", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.SmallInteger(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.Column("codes", Whole, nullable=False),
        sa.Column("wh_import", sa.LargeBinary(), nullable=True),
        sa.Column("vah_import", sa.LargeBinary(), nullable=True),
        sa.Column("wh_export", sa.LargeBinary(), nullable=True),
        sa.Column("volt", sa.LargeBinary(), nullable=True),
        sa.Column("amp", sa.LargeBinary(), nullable=True),
        sa.Column("wh_import_estimate", sa.LargeBinary(), nullable=True),
        sa.Column("wh_export_estimate", sa.LargeBinary(), nullable=True),
        sa.Column("quality", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("day", "meter", "minutes", name=op.f("pk_readings_day")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_readings_day_estimated",
        "readings_day",
        ["meter", "day"],
        unique=False,
        sqlite_where=sa.text("estimated > 0"),
        postgresql_where=sa.text("estimated > 0"),
    )
    op.create_index("ix_readings_day_meter", "readings_day", ["meter", "day"], unique=False)
    op.create_index("ix_readings_day_sequence", "readings_day", ["sequence"], unique=False)
    op.create_table(
        "readings_day_history",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("minutes", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("validated", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.SmallInteger(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.Column("codes", Whole, nullable=False),
        sa.Column("wh_import", sa.LargeBinary(), nullable=True),
        sa.Column("vah_import", sa.LargeBinary(), nullable=True),
        sa.Column("wh_export", sa.LargeBinary(), nullable=True),
        sa.Column("volt", sa.LargeBinary(), nullable=True),
        sa.Column("amp", sa.LargeBinary(), nullable=True),
        sa.Column("wh_import_estimate", sa.LargeBinary(), nullable=True),
        sa.Column("wh_export_estimate", sa.LargeBinary(), nullable=True),
        sa.Column("quality", sa.LargeBinary(), nullable=True),
        sa.Column("replaced_at", Moment(), nullable=False),
        sa.Column("lean", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day", "meter", "minutes", "version", name=op.f("pk_readings_day_history")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "readings_event",
        sa.Column("sequence", Whole, autoincrement=False, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_readings_event")),
        sa.UniqueConstraint("meter", "code", "at", name=op.f("uq_readings_event_meter_code_at")),
    )
    op.create_index("ix_readings_event_meter_at", "readings_event", ["meter", "at"], unique=False)
    op.create_table(
        "readings_finding",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("start", Moment(), nullable=False),
        sa.Column("end", Moment(), nullable=False),
        sa.Column("intervals", sa.Integer(), nullable=False),
        sa.Column("equal", sa.Boolean(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readings_finding")),
        sa.UniqueConstraint(
            "meter",
            "kind",
            "channel",
            "start",
            "end",
            "equal",
            "intervals",
            name=op.f("uq_readings_finding_meter_kind_channel_start_end_equal_intervals"),
        ),
    )
    op.create_index("ix_readings_finding_start", "readings_finding", ["start"], unique=False)
    op.create_table(
        "readings_register",
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("wh_import", Whole, nullable=True),
        sa.Column("vah_import", Whole, nullable=True),
        sa.Column("wh_export", Whole, nullable=True),
        sa.Column("md_w", Whole, nullable=True),
        sa.PrimaryKeyConstraint("meter", "kind", "at", name=op.f("pk_readings_register")),
    )
    op.create_index("ix_readings_register_at", "readings_register", ["at"], unique=False)
    op.create_table(
        "readings_register_history",
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("wh_import", Whole, nullable=True),
        sa.Column("vah_import", Whole, nullable=True),
        sa.Column("wh_export", Whole, nullable=True),
        sa.Column("md_w", Whole, nullable=True),
        sa.Column("replaced_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("meter", "kind", "at", "version", name=op.f("pk_readings_register_history")),
    )
    op.create_table(
        "registry_account",
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("area", sa.String(length=16), nullable=False),
        sa.Column("sanctioned_w", sa.Integer(), nullable=True),
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_registry_account")),
        sa.UniqueConstraint("usage_point", name=op.f("uq_registry_account_usage_point")),
    )
    op.create_index(op.f("ix_registry_account_office"), "registry_account", ["office"], unique=False)
    op.create_table(
        "registry_change",
        sa.Column("sequence", Whole, autoincrement=False, nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_registry_change")),
    )
    op.create_table(
        "registry_end_device",
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("meter_type", sa.String(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_registry_end_device")),
    )
    op.create_index(op.f("ix_registry_end_device_url"), "registry_end_device", ["url"], unique=False)
    op.create_table(
        "registry_transformer",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("feeder", sa.String(length=64), nullable=True),
        sa.Column("rated_va", sa.Integer(), nullable=True),
        sa.Column("no_load_loss_w", sa.Integer(), nullable=True),
        sa.Column("load_loss_w", sa.Integer(), nullable=True),
        sa.Column("side", sa.String(length=2), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_registry_transformer")),
    )
    op.create_index(op.f("ix_registry_transformer_feeder"), "registry_transformer", ["feeder"], unique=False)
    op.create_table(
        "registry_usage_point",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("transformer", sa.String(length=64), nullable=True),
        sa.Column("feeder", sa.String(length=64), nullable=True),
        sa.Column("phase", sa.String(length=64), nullable=True),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_registry_usage_point")),
    )
    op.create_table(
        "rollout_order",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("planned_at", Moment(), nullable=False),
        sa.Column("old_meter", sa.String(length=32), nullable=True),
        sa.Column("new_meter", sa.String(length=32), nullable=True),
        sa.Column("fitter", sa.String(length=64), nullable=True),
        sa.Column("installed_at", Moment(), nullable=True),
        sa.Column("commissioned_at", Moment(), nullable=True),
        sa.Column("old_register_wh", Whole, nullable=True),
        sa.Column("new_register_wh", Whole, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rollout_order")),
    )
    op.create_index(op.f("ix_rollout_order_account"), "rollout_order", ["account"], unique=False)
    op.create_index(op.f("ix_rollout_order_office"), "rollout_order", ["office"], unique=False)
    op.create_index(op.f("ix_rollout_order_state"), "rollout_order", ["state"], unique=False)
    op.create_index(
        "ux_rollout_order_open_usage_point",
        "rollout_order",
        ["usage_point"],
        unique=True,
        sqlite_where=sa.text("state IN ('planned', 'issued', 'installed', 'failed')"),
        postgresql_where=sa.text("state IN ('planned', 'issued', 'installed', 'failed')"),
    )
    op.create_table(
        "rollout_stock",
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("meter_type", sa.String(length=16), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("box", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.Column("holder", sa.String(length=64), nullable=True),
        sa.Column("installed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_rollout_stock")),
    )
    op.create_index(op.f("ix_rollout_stock_state"), "rollout_stock", ["state"], unique=False)
    op.create_index(op.f("ix_rollout_stock_store"), "rollout_stock", ["store"], unique=False)
    op.create_table(
        "rollout_target",
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("meters", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("office", "month", name=op.f("pk_rollout_target")),
    )
    op.create_table(
        "runtime_demo_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("now", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runtime_demo_clock")),
    )
    op.create_table(
        "runtime_step",
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("done", Whole, nullable=False),
        sa.Column("done_at", Moment(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", Moment(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("step", name=op.f("pk_runtime_step")),
    )
    op.create_table(
        "storage_bucket",
        sa.Column("bucket", sa.String(length=128), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("filled_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_storage_bucket")),
    )
    op.create_table(
        "storage_inbox",
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", Document, nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("provider", "event_id", name=op.f("pk_storage_inbox")),
    )
    op.create_index(
        "ix_storage_inbox_new",
        "storage_inbox",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_table(
        "storage_job",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("run_at", Moment(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("fence", Whole, nullable=False),
        sa.Column("payload", Document, nullable=False),
        sa.Column("not_after", Moment(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_job")),
        sa.UniqueConstraint("key", name=op.f("uq_storage_job_key")),
    )
    op.create_index(
        "ix_storage_job_ready",
        "storage_job",
        ["kind", "lane", "priority", "run_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "ix_storage_job_running",
        "storage_job",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "uq_storage_job_running_partition",
        "storage_job",
        ["partition"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND partition != ''"),
        postgresql_where=sa.text("state = 'running' AND partition != ''"),
    )
    op.create_table(
        "storage_sequence",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_storage_sequence")),
    )
    op.create_table(
        "storage_slot",
        sa.Column("schedule", sa.String(length=64), nullable=False),
        sa.Column("slot_at", Moment(), nullable=False),
        sa.Column("taken_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("schedule", "slot_at", name=op.f("pk_storage_slot")),
    )
    op.create_table(
        "storage_watermark",
        sa.Column("reader", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_storage_watermark")),
    )
    op.create_table(
        "validation_finding",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("start", Moment(), nullable=False),
        sa.Column("end", Moment(), nullable=False),
        sa.Column("intervals", sa.Integer(), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("facts", Document, nullable=False),
        sa.Column("found_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_validation_finding")),
    )
    op.create_index(
        "ix_validation_finding_open",
        "validation_finding",
        ["day", "meter"],
        unique=False,
        sqlite_where=sa.text("withdrawn_at IS NULL"),
        postgresql_where=sa.text("withdrawn_at IS NULL"),
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
    op.create_table(
        "arrears_order",
        sa.Column("number", Whole, autoincrement=True, nullable=False),
        sa.Column("list_number", Whole, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=True),
        sa.Column("feeder", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("due_paise", Whole, nullable=False),
        sa.Column("overdue_paise", Whole, nullable=False),
        sa.Column("oldest_due_on", sa.Date(), nullable=False),
        sa.Column("bills", sa.Integer(), nullable=False),
        sa.Column("notice_served_on", sa.Date(), nullable=True),
        sa.Column("reason_codes", Document, nullable=False),
        sa.Column("drawn_by", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_at", Moment(), nullable=True),
        sa.Column("warned_at", Moment(), nullable=True),
        sa.Column("sent_at", Moment(), nullable=True),
        sa.Column("opened_at", Moment(), nullable=True),
        sa.Column("released_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("next_try_at", Moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_number"], ["arrears_list.number"], name=op.f("fk_arrears_order_list_number_arrears_list")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_arrears_order")),
    )
    op.create_index("ix_arrears_order_account_number", "arrears_order", ["account", "number"], unique=False)
    op.create_index(op.f("ix_arrears_order_list_number"), "arrears_order", ["list_number"], unique=False)
    op.create_index(
        op.f("ix_arrears_order_office_sent_at"), "arrears_order", ["office", "sent_at"], unique=False
    )
    op.create_index(op.f("ix_arrears_order_sent_at"), "arrears_order", ["sent_at"], unique=False)
    op.create_index(op.f("ix_arrears_order_state"), "arrears_order", ["state"], unique=False)
    op.create_index(
        "uq_arrears_order_active_account",
        "arrears_order",
        ["account"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "ledger_allocation",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("payment", Whole, nullable=False),
        sa.Column("document", sa.String(length=96), nullable=False),
        sa.Column("amount_paise", Whole, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.CheckConstraint("amount_paise <> 0", name=op.f("ck_ledger_allocation_not_zero")),
        sa.ForeignKeyConstraint(
            ["document"], ["ledger_due.document"], name=op.f("fk_ledger_allocation_document_ledger_due")
        ),
        sa.ForeignKeyConstraint(
            ["payment"], ["ledger_payment.id"], name=op.f("fk_ledger_allocation_payment_ledger_payment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_allocation")),
    )
    op.create_index(op.f("ix_ledger_allocation_account"), "ledger_allocation", ["account"], unique=False)
    op.create_index(op.f("ix_ledger_allocation_document"), "ledger_allocation", ["document"], unique=False)
    op.create_table(
        "ledger_hold_release",
        sa.Column("hold", Whole, autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hold"], ["ledger_hold.id"], name=op.f("fk_ledger_hold_release_hold_ledger_hold")
        ),
        sa.PrimaryKeyConstraint("hold", name=op.f("pk_ledger_hold_release")),
    )
    op.create_table(
        "ledger_match",
        sa.Column("payment", Whole, autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payment"], ["ledger_payment.id"], name=op.f("fk_ledger_match_payment_ledger_payment")
        ),
        sa.PrimaryKeyConstraint("payment", name=op.f("pk_ledger_match")),
    )
    op.create_index(op.f("ix_ledger_match_account"), "ledger_match", ["account"], unique=False)
    op.create_table(
        "ledger_open",
        sa.Column("document", sa.String(length=96), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("open_paise", Whole, nullable=False),
        sa.CheckConstraint("open_paise > 0", name=op.f("ck_ledger_open_above_zero")),
        sa.ForeignKeyConstraint(
            ["document"], ["ledger_due.document"], name=op.f("fk_ledger_open_document_ledger_due")
        ),
        sa.PrimaryKeyConstraint("document", name=op.f("pk_ledger_open")),
    )
    op.create_index(op.f("ix_ledger_open_account"), "ledger_open", ["account"], unique=False)
    op.create_table(
        "ledger_reversal",
        sa.Column("payment", Whole, autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payment"], ["ledger_payment.id"], name=op.f("fk_ledger_reversal_payment_ledger_payment")
        ),
        sa.PrimaryKeyConstraint("payment", name=op.f("pk_ledger_reversal")),
    )
    op.create_table(
        "notices_delivery",
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("message", Whole, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message"], ["notices_message.id"], name=op.f("fk_notices_delivery_message_notices_message")
        ),
        sa.PrimaryKeyConstraint("provider_id", "state", name=op.f("pk_notices_delivery")),
    )
    op.create_index(op.f("ix_notices_delivery_message"), "notices_delivery", ["message"], unique=False)
    op.create_table(
        "offices_person",
        sa.Column("sign_in", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("office", sa.String(length=64), nullable=False),
        sa.Column("roles", Document, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["office"], ["offices_office.code"], name=op.f("fk_offices_person_office_offices_office")
        ),
        sa.PrimaryKeyConstraint("sign_in", name=op.f("pk_offices_person")),
    )
    op.create_table(
        "registry_account_history",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("until_at", Moment(), nullable=False),
        sa.Column("facts", Document, nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["registry_account.number"],
            name=op.f("fk_registry_account_history_account_registry_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_account_history")),
    )
    op.create_index(
        op.f("ix_registry_account_history_account"), "registry_account_history", ["account"], unique=False
    )
    op.create_table(
        "registry_installation",
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("from_at", Moment(), nullable=False),
        sa.Column("to_at", Moment(), nullable=True),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("meter_type", sa.String(length=16), nullable=False),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("transformer", sa.String(length=64), nullable=True),
        sa.Column("feeder", sa.String(length=64), nullable=True),
        sa.Column("phase", sa.String(length=64), nullable=True),
        sa.Column("office", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["meter"],
            ["registry_end_device.serial"],
            name=op.f("fk_registry_installation_meter_registry_end_device"),
        ),
        sa.ForeignKeyConstraint(
            ["usage_point"],
            ["registry_usage_point.code"],
            name=op.f("fk_registry_installation_usage_point_registry_usage_point"),
        ),
        sa.PrimaryKeyConstraint("usage_point", "from_at", name=op.f("pk_registry_installation")),
    )
    op.create_index(
        op.f("ix_registry_installation_account"), "registry_installation", ["account"], unique=False
    )
    op.create_index(
        op.f("ix_registry_installation_feeder"), "registry_installation", ["feeder"], unique=False
    )
    op.create_index(op.f("ix_registry_installation_meter"), "registry_installation", ["meter"], unique=False)
    op.create_index(
        op.f("ix_registry_installation_transformer"), "registry_installation", ["transformer"], unique=False
    )
    op.create_index(
        "ux_registry_installation_hanging_meter",
        "registry_installation",
        ["meter"],
        unique=True,
        sqlite_where=sa.text("to_at IS NULL"),
        postgresql_where=sa.text("to_at IS NULL"),
    )
    op.create_index(
        "ux_registry_installation_hanging_usage_point",
        "registry_installation",
        ["usage_point"],
        unique=True,
        sqlite_where=sa.text("to_at IS NULL"),
        postgresql_where=sa.text("to_at IS NULL"),
    )
    op.create_table(
        "registry_protection",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("recorded_by", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.Column("withdrawn_by", sa.String(length=64), nullable=True),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"],
            ["registry_account.number"],
            name=op.f("fk_registry_protection_account_registry_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_protection")),
    )
    op.create_index(op.f("ix_registry_protection_account"), "registry_protection", ["account"], unique=False)
    op.create_table(
        "rollout_movement",
        sa.Column("id", Whole, autoincrement=True, nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["serial"], ["rollout_stock.serial"], name=op.f("fk_rollout_movement_serial_rollout_stock")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_movement")),
    )
    op.create_index(op.f("ix_rollout_movement_serial"), "rollout_movement", ["serial"], unique=False)
    op.create_table(
        "arrears_command",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("order_number", Whole, nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("queued_at", Moment(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("told", Whole, nullable=True),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_number"],
            ["arrears_order.number"],
            name=op.f("fk_arrears_command_order_number_arrears_order"),
        ),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_arrears_command")),
    )
    op.create_index(
        op.f("ix_arrears_command_order_number"), "arrears_command", ["order_number"], unique=False
    )
    dialect = op.get_bind().dialect.name
    for name in APPEND_ONLY:
        for statement in refusals(name=name, dialect=dialect):
            op.execute(statement)
