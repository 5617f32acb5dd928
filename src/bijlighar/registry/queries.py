"""What other rooms may ask about accounts, meters and the network."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, Select

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import Period
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.offices import queries as offices
from bijlighar.registry import protection_store, store
from bijlighar.registry.errors import UnknownAccount as UnknownAccount
from bijlighar.registry.errors import UnknownEndDevice as UnknownEndDevice
from bijlighar.registry.errors import UnknownUsagePoint as UnknownUsagePoint
from bijlighar.registry.model import (
    CustomerAccount,
    EndDevice,
    Installation,
    MeterHanging,
    MeterType,
    NetworkChange,
    Protection,
    Share,
    Transformer,
    UsagePoint,
)
from bijlighar.registry.registry_file import url_key
from bijlighar.storage import sequences
from bijlighar.storage.sql import text_of

#: How many numbers stand in one SQL list.
NUMBERS_PER_QUERY = 500


def end_device(connection: Connection, *, serial: str) -> EndDevice:
    """
    Return the meter with this serial number.

    :raises UnknownEndDevice: if there is none.
    :raises InvalidValue: if no meter can have this number.
    """
    check_text(serial, what="the serial number", letters_max=CODE_MAX)
    for device in store.devices(connection, serial=serial):
        return device
    raise _unknown_end_device(serial)


def _unknown_end_device(serial: str) -> UnknownEndDevice:
    return UnknownEndDevice(
        f"no meter has the serial number {serial!r}; import it with `bijlighar registry import`"
    )


def end_devices(connection: Connection, *, hung_at: datetime | None = None) -> tuple[EndDevice, ...]:
    """Return every meter, or those that hung at a moment, by serial number."""
    return store.devices(connection, hung_at=hung_at)


def end_devices_of(connection: Connection, *, serials: Collection[str]) -> Mapping[str, EndDevice]:
    """Return meters by serial number; a number that no meter has is left out."""
    return {
        device.serial: device
        for part in _in_parts(serials)
        for device in store.devices(connection, serials=part)
    }


def communicating_statement(*, hung_at: datetime) -> Select[str, str, str | None, datetime]:
    """Return the SELECT of (meter, url, gateway, hung_from) of the meters with a URL that hung at a moment."""
    return store.communicating_statement(hung_at=hung_at)


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


def accounts_of(connection: Connection, *, numbers: Collection[str]) -> Mapping[str, CustomerAccount]:
    """Return accounts by number; a number that no account has is left out."""
    return {
        found.number: found
        for part in _in_parts(numbers)
        for found in store.accounts(connection, numbers=part)
    }


def hanging(connection: Connection, *, accounts: Collection[str], at: datetime) -> Mapping[str, Installation]:
    """Return the consumer's meter that hangs at each account's place of supply at a moment."""
    moment = Period(start=at, end=at + timedelta(microseconds=1))
    return {
        row.account: row
        for part in _in_parts(accounts)
        for row in store.installations(connection, period=moment, accounts=part)
        if row.account is not None and row.meter_type.is_of_consumer and row.hangs_at(at)
    }


def _in_parts(numbers: Collection[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(numbers)
    for start in range(0, len(ordered), NUMBERS_PER_QUERY):
        yield ordered[start : start + NUMBERS_PER_QUERY]


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
    transformers: Sequence[str] | None = None,
    usage_point: str | None = None,
) -> tuple[Installation, ...]:
    """Return who hung where (in a period; of an account, a meter, transformers, a place), by place and time."""
    for name in (account, meter, transformer, usage_point):
        check_text(name or "", what="the account, meter, transformer or place", letters_max=CODE_MAX)
    return store.installations(
        connection,
        period=period,
        account=account,
        meter=meter,
        transformers=transformers if transformer is None else [transformer],
        usage_point=usage_point,
    )


def installations_in_branch(
    connection: Connection, *, meter: str, office: str
) -> tuple[Installation, ...] | None:
    """
    Return where a meter hung in an office and those below it, by place and time; None at the top, which sees it all.

    The meter of a transformer belongs to every office that it supplies, a feeder's to whom it supplies alone.

    :raises UnknownEndDevice: if there is no such meter, or it never hung there: which of both is not told.
    :raises InvalidValue: if no meter can have this number.
    """
    end_device(connection, serial=meter)
    below = frozenset(offices.offices_below(connection, code=office))
    if all(each.code in below for each in offices.offices(connection)):
        return None
    hung = installations(connection, meter=meter)
    inputs = {each.meter_type for each in hung if not each.meter_type.is_of_consumer}
    measured: set[tuple[MeterType, str | None]] = set()
    if MeterType.TRANSFORMER in inputs:
        ours = transformers(connection, office=office)
        measured |= {(MeterType.TRANSFORMER, each.code) for each in ours}
    if MeterType.FEEDER in inputs:
        measured |= {(MeterType.FEEDER, code) for code in feeders(connection, office=office)}
    found = tuple(
        each
        for each in hung
        if (each.meter_type.is_of_consumer and each.office in below)
        or (each.meter_type, each.feeder if each.meter_type is MeterType.FEEDER else each.transformer)
        in measured
    )
    if not found:
        raise _unknown_end_device(meter)
    return found


def hangings(connection: Connection, *, meters: Collection[str]) -> Mapping[str, tuple[Installation, ...]]:
    """Return where each of many meters hung, by place and time; one that never hung is left out."""
    found: dict[str, tuple[Installation, ...]] = {}
    for part in _in_parts(meters):
        for row in store.installations(connection, meters=part):
            found[row.meter] = (*found.get(row.meter, ()), row)
    return found


def meter_hangings(connection: Connection) -> list[MeterHanging]:
    """Return where every meter hung, by place and time."""
    return store.meter_hangings(connection)


def communicating(connection: Connection) -> frozenset[str]:
    """Return the serial numbers of the meters that have a URL."""
    return store.communicating(connection)


def last_change(connection: Connection) -> int:
    """Return the number of the last change of anything in the registry, 0 if there was none."""
    return sequences.last_taken(connection, name=store.CHANGES)


def network_changes(connection: Connection, *, after: int) -> tuple[NetworkChange, ...]:
    """Return the changes of who hangs where after a number, in order."""
    return store.changes(connection, after=after)


def transformers(connection: Connection, *, office: str | None = None) -> tuple[Transformer, ...]:
    """
    Return every transformer, or those that supply a place of an office or of one below it, by code.

    :raises UnknownOffice: if there is no such office.
    """
    found = store.transformers(connection)
    if office is None:
        return found
    supplied = _supplied(connection, by="transformer", office=office)
    return tuple(transformer for transformer in found if supplied(transformer.code) is not Share.NONE)


def feeders(connection: Connection, *, office: str | None = None) -> tuple[str, ...]:
    """
    Return the code of every feeder, or of those that supply nobody but an office and those below it, in order.

    :raises UnknownOffice: if there is no such office.
    """
    found = store.feeders(connection)
    if office is None:
        return found
    supplied = _supplied(connection, by="feeder", office=office)
    return tuple(feeder for feeder in found if supplied(feeder) is Share.WHOLE)


def transformers_alone(connection: Connection, *, office: str) -> tuple[Transformer, ...]:
    """
    Return the transformers that supply nobody but an office and those below it, by code.

    :raises UnknownOffice: if there is no such office.
    """
    supplied = _supplied(connection, by="transformer", office=office)
    return tuple(each for each in store.transformers(connection) if supplied(each.code) is Share.WHOLE)


def accounts_below(
    connection: Connection,
    *,
    period: Period,
    office: str,
    feeders: Sequence[str] | None = None,
    transformers: Sequence[str] = (),
) -> tuple[frozenset[str], str]:
    """
    Return the accounts that an office and those below it supplied in a period, and the query itself.

    With `feeders` and `transformers` only those below one of these codes. Who belongs to no office is the top's.

    :raises UnknownOffice: if there is no such office.
    """
    below = offices.offices_below(connection, code=office)
    is_top = all(each.code in below for each in offices.offices(connection))
    statement = store.accounts_below_statement(
        period=period, offices=None if is_top else below, feeders=feeders, transformers=transformers
    )
    return frozenset(connection.execute(statement).scalars()), text_of(connection, statement)


def _supplied(connection: Connection, *, by: str, office: str) -> Callable[[str], Share]:
    """Return how much of what hangs below a code belongs to an office; what names no office belongs to the top."""
    below = frozenset(offices.offices_below(connection, code=office))
    is_top = all(each.code in below for each in offices.offices(connection))
    named: dict[str, set[str]] = {}
    for code, supplied in store.offices_supplied(connection, by=by):
        named.setdefault(code, set()).update(() if supplied is None else (supplied,))
    return lambda code: Share.of(named.get(code, ()), branch=below, is_top=is_top)


def protections(connection: Connection, *, on: date, account: str | None = None) -> tuple[Protection, ...]:
    """Return the protections in force on a day, of one account or of all."""
    return protection_store.protections(connection, on=on, account=account)


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
