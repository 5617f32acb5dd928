"""The tables of this room."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    bindparam,
    or_,
    select,
)
from sqlalchemy.engine import Row

from bijlighar.base.period import Period
from bijlighar.registry.model import (
    CustomerAccount,
    EndDevice,
    Installation,
    MeterHanging,
    MeterType,
    NetworkChange,
    Transformer,
    UsagePoint,
)
from bijlighar.storage import sequences
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

CHANGES = "registry.change"
CHANGES_MAX = 100_000

_account = Table(
    "registry_account",
    metadata,
    Column("number", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", String(64), nullable=False),
    Column("area", String(16), nullable=False),
    Column("sanctioned_w", Integer),
    Column("usage_point", String(64), nullable=False, unique=True),
    Column("office", String(64), index=True),
    Column("phone", String(20)),
    Column("language", String(2), nullable=False),
    Column("email", Text),
)

_account_history = append_only(
    Table(
        "registry_account_history",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("account", String(64), ForeignKey("registry_account.number"), nullable=False, index=True),
        Column("until_at", Moment, nullable=False),
        Column("facts", Document, nullable=False),
    )
)

_usage_point = Table(
    "registry_usage_point",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("account", String(64)),
    Column("transformer", String(64)),
    Column("feeder", String(64)),
    Column("phase", String(64)),
    Column("office", String(64)),
)

_end_device = Table(
    "registry_end_device",
    metadata,
    Column("serial", String(64), primary_key=True),
    Column("meter_type", String(16), nullable=False),
    Column("url", Text, index=True),
    Column("minutes", Integer, nullable=False),
    Column("multiplier", Integer, nullable=False),
    Column("gateway", String(64)),
)

_installation = Table(
    "registry_installation",
    metadata,
    Column("usage_point", String(64), ForeignKey("registry_usage_point.code"), primary_key=True),
    Column("from_at", Moment, primary_key=True),
    Column("to_at", Moment),
    Column("account", String(64), index=True),
    Column("meter", String(64), ForeignKey("registry_end_device.serial"), nullable=False, index=True),
    Column("meter_type", String(16), nullable=False),
    Column("multiplier", Integer, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("transformer", String(64), index=True),
    Column("feeder", String(64), index=True),
    Column("phase", String(64)),
    Column("office", String(64)),
)
for _name in ("usage_point", "meter"):
    Index(
        f"ux_registry_installation_hanging_{_name}",
        _installation.c[_name],
        unique=True,
        sqlite_where=_installation.c.to_at.is_(None),
        postgresql_where=_installation.c.to_at.is_(None),
    )

_transformer = Table(
    "registry_transformer",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("feeder", String(64), index=True),
    Column("rated_va", Integer),
    Column("no_load_loss_w", Integer),
    Column("load_loss_w", Integer),
    Column("side", String(2), nullable=False),
)

_change = Table(
    "registry_change",
    metadata,
    Column("sequence", Whole, primary_key=True, autoincrement=False),
    Column("since", Moment, nullable=False),
)

Value = TypeVar("Value", CustomerAccount, EndDevice, UsagePoint, Transformer, Installation)


def lock(connection: Connection) -> int:
    """Take the next number of change, and with it the place of the one writer to the end of the transaction."""
    return sequences.take(connection, name=CHANGES)


def record_change(connection: Connection, *, sequence: int, since: datetime) -> None:
    """Record that who hangs where changed from `since` on."""
    connection.execute(_change.insert().values(sequence=sequence, since=since))


def changes(connection: Connection, *, after: int) -> tuple[NetworkChange, ...]:
    """Return the changes after a number, in order."""
    statement = (
        select(_change).where(_change.c.sequence > after).order_by(_change.c.sequence).limit(CHANGES_MAX)
    )
    return tuple(
        NetworkChange(sequence=row.sequence, since=row.since) for row in connection.execute(statement)
    )


def _values(value: Value) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _save(connection: Connection, table: Table, *, saved: Sequence[Value]) -> None:
    """Insert the values, or overwrite them where the key is known."""
    if not saved:
        return
    statement = insert_for(connection, table)
    key = [column.name for column in table.primary_key]
    others = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in key
    }
    statement = statement.on_conflict_do_update(index_elements=key, set_=others)
    connection.execute(statement, [_values(value) for value in saved])


def save_accounts(connection: Connection, *, saved: Sequence[CustomerAccount]) -> None:
    """Save accounts."""
    _save(connection, _account, saved=saved)


def keep_account_history(
    connection: Connection, *, earlier: Sequence[CustomerAccount], until_at: datetime
) -> None:
    """Keep the facts that accounts had up to `until_at`."""
    if earlier:
        rows = [
            {"account": account.number, "until_at": until_at, "facts": asdict(account)} for account in earlier
        ]
        connection.execute(_account_history.insert(), rows)


def account_history(connection: Connection, *, number: str) -> tuple[tuple[datetime, CustomerAccount], ...]:
    """Return until when an account had which facts, oldest first."""
    statement = (
        select(_account_history).where(_account_history.c.account == number).order_by(_account_history.c.id)
    )
    return tuple((row.until_at, CustomerAccount(**row.facts)) for row in connection.execute(statement))


def save_devices(connection: Connection, *, saved: Sequence[EndDevice]) -> None:
    """Save meters."""
    _save(connection, _end_device, saved=saved)


def save_usage_points(connection: Connection, *, saved: Sequence[UsagePoint]) -> None:
    """Save places of supply."""
    _save(connection, _usage_point, saved=saved)


def save_transformers(connection: Connection, *, saved: Sequence[Transformer]) -> None:
    """Save transformers."""
    _save(connection, _transformer, saved=saved)


def add_installations(connection: Connection, *, added: Sequence[Installation]) -> None:
    """Add rows of who hangs where."""
    if added:
        connection.execute(_installation.insert(), [_values(row) for row in added])


def change_installations(connection: Connection, *, changed: Sequence[Installation]) -> None:
    """End rows of who hangs where, or fill in what was unknown in them."""
    if not changed:
        return
    names = ("to_at", "account", "multiplier", "minutes", "transformer", "feeder", "phase", "office")
    statement = (
        _installation.update()
        .where(_installation.c.usage_point == bindparam("key_usage_point"))
        .where(_installation.c.from_at == bindparam("key_from_at"))
        .values({name: bindparam(f"new_{name}") for name in names})
    )
    rows = [
        {"key_usage_point": row.usage_point, "key_from_at": row.from_at}
        | {f"new_{name}": getattr(row, name) for name in names}
        for row in changed
    ]
    connection.execute(statement, rows)


def accounts(
    connection: Connection,
    *,
    offices: Sequence[str] | None = None,
    number: str | None = None,
    numbers: Sequence[str] | None = None,
) -> tuple[CustomerAccount, ...]:
    """Return accounts by number, of some offices, of one number or of several."""
    statement = select(_account).order_by(_account.c.number)
    if offices is not None:
        statement = statement.where(_account.c.office.in_(offices))
    if number is not None:
        statement = statement.where(_account.c.number == number)
    if numbers is not None:
        statement = statement.where(_account.c.number.in_(numbers))
    return tuple(CustomerAccount(**row) for row in connection.execute(statement).mappings())


def devices(
    connection: Connection,
    *,
    serial: str | None = None,
    serials: Sequence[str] | None = None,
    hung_at: datetime | None = None,
) -> tuple[EndDevice, ...]:
    """Return meters by serial number, one, some or all, or all that hung at a moment."""
    statement = select(_end_device).order_by(_end_device.c.serial)
    if serial is not None:
        statement = statement.where(_end_device.c.serial == serial)
    if serials is not None:
        statement = statement.where(_end_device.c.serial.in_(serials))
    if hung_at is not None:
        hung = select(_installation.c.meter).where(*_hanging_in(Period(start=hung_at, end=hung_at)))
        statement = statement.where(_end_device.c.serial.in_(hung))
    return tuple(_device_of(row) for row in connection.execute(statement))


def devices_with_url(connection: Connection, *, url: str | None = None) -> tuple[EndDevice, ...]:
    """Return the meters that hang now and have a URL, or that very one."""
    hung = select(_installation.c.meter).where(_installation.c.to_at.is_(None))
    statement = select(_end_device).where(_end_device.c.url.is_not(None), _end_device.c.serial.in_(hung))
    if url is not None:
        statement = statement.where(_end_device.c.url == url)
    return tuple(_device_of(row) for row in connection.execute(statement))


def communicating_statement(*, hung_at: datetime) -> Select[str, str, str | None, datetime]:
    """Return the SELECT of (meter, url, gateway, hung_from) of the meters with a URL that hung at a moment."""
    return (
        select(
            _end_device.c.serial.label("meter"),
            _end_device.c.url,
            _end_device.c.gateway,
            _installation.c.from_at.label("hung_from"),
        )
        .join(_installation, _installation.c.meter == _end_device.c.serial)
        .where(_end_device.c.url.is_not(None), *_hanging_in(Period(start=hung_at, end=hung_at)))
    )


def _device_of(row: Row[Any]) -> EndDevice:
    return EndDevice(
        serial=row.serial,
        meter_type=MeterType(row.meter_type),
        url=row.url,
        minutes=row.minutes,
        multiplier=row.multiplier,
        gateway=row.gateway,
    )


def usage_points(connection: Connection, *, code: str | None = None) -> tuple[UsagePoint, ...]:
    """Return places of supply, one or all."""
    statement = select(_usage_point).order_by(_usage_point.c.code)
    if code is not None:
        statement = statement.where(_usage_point.c.code == code)
    return tuple(UsagePoint(**row) for row in connection.execute(statement).mappings())


def _hanging_in(period: Period) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a row overlaps the period; an empty period is its moment."""
    begins = _installation.c.from_at
    begun = begins <= period.start if period.start == period.end else begins < period.end
    return begun, or_(_installation.c.to_at.is_(None), _installation.c.to_at > period.start)


def installations(
    connection: Connection,
    *,
    period: Period | None = None,
    account: str | None = None,
    accounts: Sequence[str] | None = None,
    meter: str | None = None,
    meters: Sequence[str] | None = None,
    transformers: Sequence[str] | None = None,
    usage_point: str | None = None,
) -> tuple[Installation, ...]:
    """Return who hung where, by place and time."""
    statement = select(_installation).order_by(_installation.c.usage_point, _installation.c.from_at)
    if period is not None:
        statement = statement.where(*_hanging_in(period))
    narrowed = {"account": account, "meter": meter, "usage_point": usage_point}
    for name, value in narrowed.items():
        if value is not None:
            statement = statement.where(_installation.c[name] == value)
    if accounts is not None:
        statement = statement.where(_installation.c.account.in_(accounts))
    if meters is not None:
        statement = statement.where(_installation.c.meter.in_(meters))
    if transformers is not None:
        statement = statement.where(_installation.c.transformer.in_(transformers))
    return tuple(
        Installation(**{**row, "meter_type": MeterType(row["meter_type"])})
        for row in connection.execute(statement).mappings()
    )


def meter_hangings(connection: Connection) -> list[MeterHanging]:
    """Return where every meter hung, by place and time."""
    hung = _installation.c
    statement = (
        select(
            hung.meter,
            hung.usage_point,
            hung.from_at,
            hung.to_at,
            hung.meter_type,
            hung.multiplier,
            hung.minutes,
            _account.c.category,
            _account.c.sanctioned_w,
            hung.transformer,
        )
        .outerjoin(_account, _account.c.number == hung.account)
        .order_by(hung.usage_point, hung.from_at)
    )
    return [MeterHanging._make(row) for row in connection.execute(statement).all()]


def communicating(connection: Connection) -> frozenset[str]:
    """Return the serial numbers of the meters that have a URL."""
    return frozenset(
        connection.execute(select(_end_device.c.serial).where(_end_device.c.url.is_not(None))).scalars()
    )


def transformers(connection: Connection) -> tuple[Transformer, ...]:
    """Return every transformer, by code."""
    rows = connection.execute(select(_transformer).order_by(_transformer.c.code)).mappings()
    return tuple(Transformer(**row) for row in rows)


def offices_supplied(connection: Connection, *, by: str) -> tuple[tuple[str, str | None], ...]:
    """Return which offices' places hang below which `transformer` or `feeder`, each pair once."""
    code, office = _installation.c[by], _installation.c.office
    statement = select(code, office).where(code.is_not(None), _installation.c.to_at.is_(None)).distinct()
    return tuple((row[0], row[1]) for row in connection.execute(statement))


def accounts_below_statement(
    *,
    period: Period,
    offices: Sequence[str] | None,
    feeders: Sequence[str] | None = None,
    transformers: Sequence[str] = (),
) -> Select[Any]:
    """Return the SELECT of the accounts supplied in a period, of some offices (or all), below some codes (or any)."""
    table = _installation.c
    statement = (
        select(table.account)
        .where(
            table.account.is_not(None),
            table.from_at < period.end,
            or_(table.to_at.is_(None), table.to_at > period.start),
        )
        .distinct()
    )
    if offices is not None:
        statement = statement.where(table.office.in_(offices))
    if feeders is not None:
        statement = statement.where(or_(table.feeder.in_(feeders), table.transformer.in_(transformers)))
    return statement


def feeders(connection: Connection) -> tuple[str, ...]:
    """Return every feeder that a transformer or a place of supply names."""
    named = select(_transformer.c.feeder).where(_transformer.c.feeder.is_not(None))
    hung = select(_installation.c.feeder).where(_installation.c.feeder.is_not(None))
    return tuple(sorted(connection.execute(named.union(hung)).scalars()))
