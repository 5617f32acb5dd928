"""What is known of payments before the ledger has them: the gateway's pages that were made, and what was told of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    select,
    update,
)

from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

TOLD_MAX = 50

_link = Table(
    "runtime_payment_link",
    metadata,
    Column("reference", String(40), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("day", Date, nullable=False),
    Column("amount_paise", Whole, nullable=False),
    Column("place", Integer, nullable=False),
    Column("link_id", String(64)),
    Column("url", Text),
    Column("made_at", Moment, nullable=False),
    Index(None, "account", "day"),
)

_told = Table(
    "runtime_told_payment",
    metadata,
    Column("payment_id", String(64), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("amount_paise", Whole),
    Column("told_at", Moment, nullable=False),
    Index(None, "account", "told_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A page of the gateway, the `place`-th of its account, day and sum; `url` is None until it is made."""

    reference: str
    account: str
    day: date
    amount_paise: int
    place: int
    link_id: str | None
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldPayment:
    """
    A payment that was told of and is not in the ledger yet.

    amount_paise: the sum of the page on which it was made [paise]; None where only the gateway knows it.
    """

    payment_id: str
    account: str
    amount_paise: int | None
    told_at: datetime


def newest_link(connection: Connection, *, account: str, day: date, amount_paise: int) -> LinkRow | None:
    """Return the newest page of an account, day and sum."""
    statement = (
        select(_link)
        .where(_link.c.account == account, _link.c.day == day, _link.c.amount_paise == amount_paise)
        .order_by(_link.c.place.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _link_of(row)


def link(connection: Connection, *, reference: str) -> LinkRow | None:
    """Return the page of a reference."""
    row = connection.execute(select(_link).where(_link.c.reference == reference)).one_or_none()
    return None if row is None else _link_of(row)


def count_links(connection: Connection, *, account: str, day: date) -> int:
    """Return how many pages were made for an account on a day."""
    statement = select(func.count()).where(_link.c.account == account, _link.c.day == day)
    return connection.execute(statement).scalar_one()


def add_link(connection: Connection, *, row: LinkRow, now: datetime) -> None:
    """Add a page that is to be made."""
    connection.execute(
        insert_for(connection, _link)
        .values(
            reference=row.reference,
            account=row.account,
            day=row.day,
            amount_paise=row.amount_paise,
            place=row.place,
            made_at=now,
        )
        .on_conflict_do_nothing()
    )


def set_link(connection: Connection, *, reference: str, link_id: str, url: str) -> None:
    """Note where the gateway has made a page."""
    connection.execute(update(_link).where(_link.c.reference == reference).values(link_id=link_id, url=url))


def tell(connection: Connection, *, payment: ToldPayment) -> None:
    """Note that a payment was told of; a sum once known stays."""
    statement = insert_for(connection, _told).values(
        payment_id=payment.payment_id,
        account=payment.account,
        amount_paise=payment.amount_paise,
        told_at=payment.told_at,
    )
    known = {"amount_paise": func.coalesce(_told.c.amount_paise, payment.amount_paise)}
    connection.execute(statement.on_conflict_do_update(index_elements=[_told.c.payment_id], set_=known))


def settle(connection: Connection, *, payment_id: str) -> None:
    """Forget a payment that is no longer only told of."""
    connection.execute(delete(_told).where(_told.c.payment_id == payment_id))


def told(connection: Connection, *, account: str, since: datetime) -> Sequence[ToldPayment]:
    """Return the payments of an account that were told of and are not settled, oldest first."""
    statement = (
        select(_told)
        .where(_told.c.account == account, _told.c.told_at >= since)
        .order_by(_told.c.told_at, _told.c.payment_id)
        .limit(TOLD_MAX)
    )
    return tuple(
        ToldPayment(
            payment_id=row.payment_id,
            account=row.account,
            amount_paise=row.amount_paise,
            told_at=row.told_at,
        )
        for row in connection.execute(statement)
    )


def _link_of(row: Any) -> LinkRow:  # noqa: ANN401 - a database row
    return LinkRow(
        reference=row.reference,
        account=row.account,
        day=row.day,
        amount_paise=row.amount_paise,
        place=row.place,
        link_id=row.link_id,
        url=row.url,
    )
