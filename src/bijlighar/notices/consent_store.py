"""Consents per telephone number, and proofs of service by a person; both are only ever added to."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Column, Connection, Date, String, Table, Text, select

from bijlighar.notices.model import ConsentAction, Purpose, Service
from bijlighar.notices.store import PROVIDER_ID_MAX, REFERENCE_MAX
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

#: Consents: only ever added to; the newest of a number holds.
_consent = append_only(
    Table(
        "notices_consent",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("phone", String(20), nullable=False, index=True),
        Column("action", String(16), nullable=False),
        Column("how", String(64), nullable=False),
        Column("text", Text, nullable=False),
        Column("at", Moment, nullable=False),
        Column("source", String(PROVIDER_ID_MAX), nullable=True, unique=True),
    )
)

#: Proofs of service: only ever added to.
_service = append_only(
    Table(
        "notices_service",
        metadata,
        Column("account", String(32), primary_key=True),
        Column("purpose", String(32), primary_key=True),
        Column("reference", String(REFERENCE_MAX), primary_key=True),
        Column("served_on", Date, nullable=False),
        Column("proof", Text, nullable=False),
        Column("by", String(64), nullable=False),
        Column("at", Moment, nullable=False),
    )
)


def add_consent(
    connection: Connection,
    *,
    phone: str,
    action: ConsentAction,
    how: str,
    text: str,
    at: datetime,
    source: str | None,
) -> bool:
    """Add what a consumer decided about messages; False if its source is known."""
    statement = insert_for(connection, _consent).values(
        phone=phone, action=action, how=how, text=text, at=at, source=source
    )
    added = connection.execute(statement.on_conflict_do_nothing().returning(_consent.c.id))
    return added.scalar_one_or_none() is not None


def consent(connection: Connection, *, phone: str) -> ConsentAction | None:
    """Return the newest decision of a number, None if it made none."""
    statement = (
        select(_consent.c.action)
        .where(_consent.c.phone == phone)
        .order_by(_consent.c.at.desc(), _consent.c.id.desc())
        .limit(1)
    )
    action = connection.execute(statement).scalar_one_or_none()
    return None if action is None else ConsentAction(action)


def consenting(connection: Connection, *, phones: Collection[str]) -> frozenset[str]:
    """Return those of the numbers whose newest decision is to get messages."""
    statement = (
        select(_consent.c.phone, _consent.c.action)
        .where(_consent.c.phone.in_(sorted(phones)))
        .order_by(_consent.c.at, _consent.c.id)
    )
    newest: dict[str, str] = {phone: action for phone, action in connection.execute(statement)}
    return frozenset(phone for phone, action in newest.items() if action == ConsentAction.OPT_IN)


def may_write(connection: Connection, *, phone: str) -> bool:
    """Return whether a number has consented to messages and not taken it back."""
    return phone in consenting(connection, phones=(phone,))


def add_service(connection: Connection, *, service: Service) -> bool:
    """Add a proof of service; False if the notice has one."""
    statement = insert_for(connection, _service).values(
        account=service.account,
        purpose=service.purpose,
        reference=service.reference,
        served_on=service.served_on,
        proof=service.proof,
        by=service.by,
        at=service.at,
    )
    added = connection.execute(statement.on_conflict_do_nothing().returning(_service.c.account))
    return added.scalar_one_or_none() is not None


def services(
    connection: Connection, *, account: str, purpose: Purpose, reference: str
) -> tuple[Service, ...]:
    """Return the proof of service of a notice: none or one."""
    statement = select(_service).where(
        _service.c.account == account, _service.c.purpose == purpose, _service.c.reference == reference
    )
    return tuple(
        Service(
            account=row.account,
            purpose=Purpose(row.purpose),
            reference=row.reference,
            served_on=row.served_on,
            proof=row.proof,
            by=row.by,
            at=row.at,
        )
        for row in connection.execute(statement)
    )
