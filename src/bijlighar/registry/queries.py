"""What other rooms may ask about accounts, meters and the network."""

from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import Period
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.offices import queries as offices
from bijlighar.registry import store
from bijlighar.registry.errors import UnknownAccount as UnknownAccount
from bijlighar.registry.errors import UnknownEndDevice as UnknownEndDevice
from bijlighar.registry.errors import UnknownUsagePoint as UnknownUsagePoint
from bijlighar.registry.model import (
    CustomerAccount,
    EndDevice,
    Installation,
    NetworkChange,
    Protection,
    Transformer,
    UsagePoint,
)
from bijlighar.registry.registry_file import url_key


def end_device(connection: Connection, *, serial: str) -> EndDevice:
    """
    Return the meter with this serial number.

    :raises UnknownEndDevice: if there is none.
    :raises InvalidValue: if no meter can have this number.
    """
    check_text(serial, what="the serial number", letters_max=CODE_MAX)
    for device in store.devices(connection, serial=serial):
        return device
    raise UnknownEndDevice(
        f"no meter has the serial number {serial!r}; import it with `bijlighar registry import`"
    )


def end_devices(connection: Connection, *, hung_at: datetime | None = None) -> tuple[EndDevice, ...]:
    """Return every meter, or those that hung at a moment, by serial number."""
    return store.devices(connection, hung_at=hung_at)


def count_communicating(connection: Connection) -> int:
    """Return how many meters have a URL, hanging or taken down."""
    return store.count_devices_with_url(connection)


def account(connection: Connection, *, number: str) -> CustomerAccount:
    """
    Return the account with this number.

    :raises UnknownAccount: if there is none.
    :raises InvalidValue: if no account can have this number.
    """
    check_text(number, what="the account number", letters_max=CODE_MAX)
    for found in store.accounts(connection, number=number):
        return found
    raise UnknownAccount(f"no account has the number {number!r}; import it with `bijlighar registry import`")


def accounts(connection: Connection, *, office: str | None = None) -> tuple[CustomerAccount, ...]:
    """
    Return every account, or those of an office and all below it, by number.

    :raises UnknownOffice: if there is no such office.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    return store.accounts(connection, offices=below)


def account_history(connection: Connection, *, number: str) -> tuple[tuple[datetime, CustomerAccount], ...]:
    """Return the earlier facts of an account, each with the moment up to which they held, oldest first."""
    return store.account_history(connection, number=number)


def usage_point(connection: Connection, *, code: str) -> UsagePoint:
    """
    Return the place of supply with this code.

    :raises UnknownUsagePoint: if there is none.
    :raises InvalidValue: if no place can have this code.
    """
    check_text(code, what="the usage point's code", letters_max=CODE_MAX)
    for found in store.usage_points(connection, code=code):
        return found
    raise UnknownUsagePoint(
        f"no usage point has the code {code!r}; import it with `bijlighar registry import`"
    )


def installations(
    connection: Connection,
    *,
    period: Period | None = None,
    account: str | None = None,
    meter: str | None = None,
    transformer: str | None = None,
    usage_point: str | None = None,
) -> tuple[Installation, ...]:
    """Return who hung where (in a period; of an account, a meter, a transformer, a place), by place and time."""
    for name in (account, meter, transformer, usage_point):
        check_text(name or "", what="the account, meter, transformer or place", letters_max=CODE_MAX)
    return store.installations(
        connection,
        period=period,
        account=account,
        meter=meter,
        transformer=transformer,
        usage_point=usage_point,
    )


def network_changes(connection: Connection, *, after: int) -> tuple[NetworkChange, ...]:
    """Return the changes of who hangs where after a number, in order."""
    return store.changes(connection, after=after)


def transformers(connection: Connection) -> tuple[Transformer, ...]:
    """Return every transformer, by code."""
    return store.transformers(connection)


def feeders(connection: Connection) -> tuple[str, ...]:
    """Return the code of every feeder, in order."""
    return store.feeders(connection)


def protections(connection: Connection, *, on: date, account: str | None = None) -> tuple[Protection, ...]:
    """Return the protections in force on a day, of one account or of all."""
    return store.protections(connection, on=on, account=account)


def meter_at(connection: Connection, *, url: str) -> EndDevice | None:
    """Return the hanging meter that answers at a URL, however the URL is spelt, None if there is none."""
    try:
        key = url_key(url)
    except InvalidValue:
        return None
    exact = store.devices_with_url(connection, url=url)
    for device in exact or store.devices_with_url(connection):
        if device.url is not None and url_key(device.url) == key:
            return device
    return None
