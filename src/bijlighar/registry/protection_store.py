"""The protections of accounts from disconnection: each is kept, a withdrawn one too."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime

from sqlalchemy import Column, Connection, Date, ForeignKey, String, Table, Text, or_, select

from bijlighar.registry.model import Protection
from bijlighar.storage.schema import Moment, Whole, metadata

_protection = Table(
    "registry_protection",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("account", String(64), ForeignKey("registry_account.number"), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("certificate", Text, nullable=False),
    Column("since", Date, nullable=False),
    Column("until", Date),
    Column("recorded_by", String(64), nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("withdrawn_by", String(64)),
    Column("withdrawn_on", Date),
)


def add_protections(
    connection: Connection, *, added: Sequence[Protection], recorded_by: str, recorded_at: datetime
) -> None:
    """Add protections."""
    if added:
        rows = [
            {field.name: getattr(protection, field.name) for field in fields(protection)}
            | {"recorded_by": recorded_by, "recorded_at": recorded_at}
            for protection in added
        ]
        connection.execute(_protection.insert(), rows)


def protection_keys(connection: Connection) -> frozenset[tuple[str, str, str, date | None]]:
    """Return account, kind, certificate and end of every protection ever recorded, withdrawn ones too."""
    columns = (_protection.c.account, _protection.c.kind, _protection.c.certificate, _protection.c.until)
    return frozenset((row[0], row[1], row[2], row[3]) for row in connection.execute(select(*columns)))


def protections(connection: Connection, *, on: date | None, account: str | None) -> tuple[Protection, ...]:
    """Return protections in force on a day (None: all that were not withdrawn), of one account or all."""
    statement = select(_protection).order_by(_protection.c.account, _protection.c.id)
    if on is None:
        statement = statement.where(_protection.c.withdrawn_on.is_(None))
    else:
        statement = statement.where(
            _protection.c.since <= on,
            or_(_protection.c.until.is_(None), _protection.c.until >= on),
            or_(_protection.c.withdrawn_on.is_(None), _protection.c.withdrawn_on > on),
        )
    if account is not None:
        statement = statement.where(_protection.c.account == account)
    return tuple(
        Protection(
            account=row.account, kind=row.kind, certificate=row.certificate, until=row.until, since=row.since
        )
        for row in connection.execute(statement)
    )


def withdraw_protections(connection: Connection, *, account: str, kind: str, by: str, on: date) -> int:
    """End the protections of a kind from a day on and return how many there were."""
    statement = (
        _protection.update()
        .where(
            _protection.c.account == account, _protection.c.kind == kind, _protection.c.withdrawn_on.is_(None)
        )
        .values(withdrawn_by=by, withdrawn_on=on)
    )
    return connection.execute(statement).rowcount
