"""Loading what the bills of some accounts and one month rest on: facts, meters, readings, the bills before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.period import Month, Period
from bijlighar.base.words import Words
from bijlighar.billing import rules, store
from bijlighar.billing.content import determinants_of
from bijlighar.billing.measuring import (
    Hanging,
    LastBilled,
    Readings,
    by_meter,
    determine,
    month_numbers,
    register_window,
)
from bijlighar.billing.model import AccountFacts, Bill, Determinants, Parked, Place, Reason
from bijlighar.offices import queries as offices
from bijlighar.readings import queries as readings
from bijlighar.readings.model import RegisterSnapshot
from bijlighar.registry import queries as registry
from bijlighar.registry.model import CustomerAccount, EndDevice, Installation

#: Above this many accounts the meters' places are read all at once.
FEW_ACCOUNTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What one account's bill rests on; `before` is what the bill before it measured."""

    facts: AccountFacts
    place: Place
    determinants: Determinants
    before: Determinants | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """Who hung where in a month, and the meters and offices by name."""

    hangings: Mapping[str, Sequence[Installation]]
    devices: Mapping[str, EndDevice]
    offices: Mapping[str, Words]


def load_network(connection: Connection, *, month: Month, accounts: Sequence[str]) -> Network:
    """Return who hung where in the month, of the accounts given."""
    period = month.period
    if len(accounts) <= FEW_ACCOUNTS:
        found = [
            installation
            for account in accounts
            for installation in registry.installations(connection, period=period, account=account)
        ]
        serials = {installation.meter for installation in found}
        devices = [registry.end_device(connection, serial=serial) for serial in serials]
    else:
        found = list(registry.installations(connection, period=period))
        devices = list(registry.end_devices(connection))
    hangings: dict[str, list[Installation]] = {}
    for installation in found:
        if installation.account is not None:
            hangings.setdefault(installation.account, []).append(installation)
    return Network(
        hangings=hangings,
        devices={device.serial: device for device in devices},
        offices={office.code: office.name for office in offices.offices(connection)},
    )


def load(
    connection: Connection, *, accounts: Sequence[str], month: Month, network: Network, again: bool = False
) -> dict[str, Basis | Parked]:
    """
    Return what each account's bill of the month rests on, or why it cannot be made.

    With `again` the month was billed already, and registers are taken at the moments they were taken then.
    """
    hangings = {account: _hangings(network, account) for account in accounts}
    measured = _readings(connection, month=month, hangings=hangings)
    newest = _measured_for(store.latest(connection, accounts=accounts))
    earlier = _measured_for(store.latest(connection, accounts=accounts, before=month))
    found: dict[str, Basis | Parked] = {}
    for account in accounts:
        if rules.is_covered(month=month, later=newest.get(account)):
            found[account] = Parked(reason=Reason.COVERED, detail=str(newest[account].month))
            continue
        before = earlier.get(account)
        determinants = determine(
            account=account,
            month=month,
            hangings=hangings[account],
            readings=measured,
            last_billed=_last_billed(before),
            read_before=_read_before(connection, account=account, month=month) if again else None,
        )
        if isinstance(determinants, Parked):
            found[account] = determinants
        else:
            found[account] = _basis(connection, network=network, determinants=determinants, before=before)
    return found


def _hangings(network: Network, account: str) -> list[Hanging]:
    return [
        Hanging(installation=installation, communicates=network.devices[installation.meter].communicates)
        for installation in network.hangings.get(account, ())
    ]


def _readings(connection: Connection, *, month: Month, hangings: Mapping[str, Sequence[Hanging]]) -> Readings:
    meters = sorted({hanging.installation.meter for some in hangings.values() for hanging in some})
    if not meters:
        return Readings(days={}, registers={})
    first, last = month_numbers(month)
    start, end = register_window(month)
    registers: dict[str, list[RegisterSnapshot]] = {}
    for snapshot in readings.registers(connection, meters=meters, period=Period(start=start, end=end)):
        registers.setdefault(snapshot.meter, []).append(snapshot)
    days = by_meter(readings.days(connection, meters=meters, first=first, last=last))
    return Readings(days=days, registers=registers)


def _last_billed(before: Determinants | None) -> dict[str, LastBilled]:
    """Return up to where meters read by hand were billed."""
    if before is None:
        return {}
    return {
        segment.meter: LastBilled(at=segment.to_at, wh=segment.end_wh)
        for segment in before.segments
        if segment.method == "registers" and segment.end_wh is not None
    }


def _read_before(
    connection: Connection, *, account: str, month: Month
) -> dict[str, tuple[datetime, datetime]]:
    """Return between which moments the month's bill took the registers of meters read by hand."""
    return {
        segment.meter: (segment.from_at, segment.to_at)
        for bill in store.bills(connection, account=account, month=month, limit=1)
        for segment in determinants_of(bill.content).segments
        if segment.method == "registers"
    }


def _measured_for(bills: Mapping[str, Bill]) -> dict[str, Determinants]:
    return {account: determinants_of(bill.content) for account, bill in bills.items()}


def _basis(
    connection: Connection, *, network: Network, determinants: Determinants, before: Determinants | None
) -> Basis | Parked:
    number, month = determinants.account, determinants.month
    account = _as_it_was(connection, number=number, month=month)
    if not account.category or not account.area or account.sanctioned_w is None:
        return Parked(reason=Reason.FACTS_UNKNOWN, detail=number)
    facts = AccountFacts(
        number=number,
        name=account.name,
        category=account.category,
        area=account.area,
        sanctioned_w=account.sanctioned_w,
        language=account.language,
    )
    last = max(network.hangings[number], key=lambda installation: installation.from_at)
    office = account.office or ""
    place = Place(
        usage_point=account.usage_point,
        office=office,
        office_name=network.offices.get(office, Words(hi=office, en=office)),
        transformer=last.transformer or "",
        feeder=last.feeder or "",
        phase=last.phase or "",
    )
    return Basis(facts=facts, place=place, determinants=determinants, before=before)


def _as_it_was(connection: Connection, *, number: str, month: Month) -> CustomerAccount:
    """Return the account's facts as they held at the end of the month."""
    for until_at, earlier in registry.account_history(connection, number=number):
        if until_at >= month.period.end:
            return earlier
    return registry.account(connection, number=number)
