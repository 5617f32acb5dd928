"""What other rooms may do to accounts, meters and the network; the caller opens the transaction."""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.base.period import local_date
from bijlighar.base.text import CODE_MAX, NAME_MAX, check_text
from bijlighar.base.words import Words
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import Act, Office, OfficeLevel
from bijlighar.registry import protection_store, queries, store
from bijlighar.registry.errors import CannotHang, CannotTakeDown, UnusableProtection
from bijlighar.registry.import_plan import Known, Plan
from bijlighar.registry.model import (
    CustomerAccount,
    EndDevice,
    ImportReport,
    Installation,
    Protection,
    Transformer,
)
from bijlighar.registry.registry_file import parse_network, parse_registry, url_key
from bijlighar.registry.rules import plan_import


def import_registry(connection: Connection, *, text: str, now: datetime) -> ImportReport:
    """
    Take in a registry file whole, or not at all; repeating it changes nothing.

    :raises RefusedFile: if a line is wrong; the message names line, column and what to do.
    """
    rows = parse_registry(text)
    sequence = store.lock(connection)
    known = _known(connection)
    plan = plan_import(rows, known=known, today=local_date(now))
    for code in plan.offices:
        name = Words(hi=code, en=code)
        town = Office(code=code, name=name, level=OfficeLevel.TOWN_OFFICE, parent=None)
        offices.add_office(connection, office=town)
    _save(connection, plan=plan, known=known, sequence=sequence, now=now)
    for protection in plan.protections:
        _record_protection(connection, protection=protection, by=offices.SYSTEM, now=now)
    return ImportReport(
        rows=len(rows),
        accounts_new=len(plan.accounts_new),
        accounts_changed=len(plan.accounts_changed),
        meters_new=len(plan.devices_new),
        meters_changed=len(plan.devices_changed),
        installations_new=len(plan.installations_new),
        installations_ended=plan.installations_ended,
        protections_new=len(plan.protections),
        warnings=plan.warnings,
    )


def _known(connection: Connection) -> Known:
    installations: dict[str, list[Installation]] = {}
    for row in store.installations(connection):
        installations.setdefault(row.usage_point, []).append(row)
    known_offices = office_queries.offices(connection)
    return Known(
        accounts={account.number: account for account in store.accounts(connection)},
        devices={device.serial: device for device in store.devices(connection)},
        usage_points={point.code: point for point in store.usage_points(connection)},
        installations={code: tuple(rows) for code, rows in installations.items()},
        transformers={transformer.code: transformer for transformer in store.transformers(connection)},
        protections=protection_store.protection_keys(connection),
        offices=frozenset(office.code for office in known_offices),
        has_tree_of_offices=any(office.level is not OfficeLevel.TOWN_OFFICE for office in known_offices),
    )


def _save(connection: Connection, *, plan: Plan, known: Known, sequence: int, now: datetime) -> None:
    earlier = [known.accounts[account.number] for account in plan.accounts_changed]
    store.keep_account_history(connection, earlier=earlier, until_at=now)
    store.save_usage_points(connection, saved=plan.usage_points)
    store.save_accounts(connection, saved=(*plan.accounts_new, *plan.accounts_changed))
    store.save_devices(connection, saved=(*plan.devices_new, *plan.devices_changed))
    store.save_transformers(connection, saved=plan.transformers)
    store.change_installations(connection, changed=plan.installations_changed)
    store.add_installations(connection, added=plan.installations_new)
    protection_store.add_protections(
        connection, added=plan.protections, recorded_by=offices.SYSTEM, recorded_at=now
    )
    if plan.network_since is not None:
        store.record_change(connection, sequence=sequence, since=plan.network_since)


def import_network(connection: Connection, *, text: str) -> int:
    """
    Take in a network file whole, or not at all, and return how many transformers were new or changed.

    An empty cell leaves what is known. The dated rows of who hung under which feeder stay as they are.

    :raises RefusedFile: if a line is wrong; the message names line, column and what to do.
    """
    given = parse_network(text)
    store.lock(connection)
    known = {transformer.code: transformer for transformer in store.transformers(connection)}
    wanted = [row.applied_to(known.get(row.transformer, Transformer(code=row.transformer))) for row in given]
    changed = [transformer for transformer in wanted if known.get(transformer.code) != transformer]
    store.save_transformers(connection, saved=changed)
    return len(changed)


def protect_account(
    connection: Connection,
    *,
    account: str,
    kind: str,
    certificate: str,
    until: date | None,
    by: str,
    now: datetime,
) -> None:
    """
    Protect an account from today on and record who did it; repeating it changes nothing.

    :raises UnknownAccount: if there is no such account.
    :raises UnusableProtection: if the kind is empty or the protection has ended already.
    :raises InvalidValue: if the kind or the certificate is too long, or no text.
    :raises NotPermitted: if `by` may not do it for the account's office.
    """
    protected = queries.account(connection, number=account)
    check_text(kind, what="the kind of the protection", letters_max=CODE_MAX)
    check_text(certificate, what="the certificate", letters_max=NAME_MAX)
    today = local_date(now)
    if not kind.strip():
        raise UnusableProtection("a protection needs its kind, like life_support; give it")
    if until is not None and until < today:
        raise UnusableProtection(f"a protection until {until} has ended already; give a day from {today} on")
    if by != offices.SYSTEM:
        offices.authorise(connection, sign_in=by, act=Act.PROTECT_ACCOUNT, office=protected.office)
    store.lock(connection)
    added = Protection(account=account, kind=kind.strip(), certificate=certificate, until=until, since=today)
    for present in protection_store.protections(connection, on=None, account=account):
        if (present.kind, present.certificate, present.until) == (added.kind, added.certificate, added.until):
            return
    protection_store.add_protections(connection, added=(added,), recorded_by=by, recorded_at=now)
    _record_protection(connection, protection=added, by=by, now=now)


def withdraw_protection(connection: Connection, *, account: str, kind: str, by: str, now: datetime) -> int:
    """
    End the protections of a kind from today on and return how many there were.

    :raises UnknownAccount: if there is no such account.
    :raises NotPermitted: if `by` may not do it for the account's office.
    """
    protected = queries.account(connection, number=account)
    check_text(kind, what="the kind of the protection", letters_max=CODE_MAX)
    if by != offices.SYSTEM:
        offices.authorise(connection, sign_in=by, act=Act.PROTECT_ACCOUNT, office=protected.office)
    store.lock(connection)
    ended = protection_store.withdraw_protections(
        connection, account=account, kind=kind, by=by, on=local_date(now)
    )
    if ended:
        detail = {"kind": kind, "withdrawn": ended}
        offices.record_act(
            connection,
            person=by,
            act=Act.PROTECT_ACCOUNT,
            subject=f"account {account}",
            detail=detail,
            now=now,
        )
    return ended


def _record_protection(connection: Connection, *, protection: Protection, by: str, now: datetime) -> None:
    offices.record_act(
        connection,
        person=by,
        act=Act.PROTECT_ACCOUNT,
        subject=f"account {protection.account}",
        detail={"kind": protection.kind, "certificate": protection.certificate, "until": protection.until},
        now=now,
    )


def show_account(connection: Connection, *, number: str, person: str, now: datetime) -> CustomerAccount:
    """
    Return an account with its name to a person who asked for it; that they did is recorded.

    :raises UnknownAccount: if there is no such account.
    :raises NotPermitted: if the person may not see consumers, or not this office's.
    """
    found = queries.account(connection, number=number)
    offices.authorise(connection, sign_in=person, act=Act.VIEW_CONSUMER, office=found.office)
    offices.record_act(
        connection, person=person, act=Act.VIEW_CONSUMER, subject=f"account {number}", detail={}, now=now
    )
    return found


def hang_meter(connection: Connection, *, usage_point: str, device: EndDevice, at: datetime) -> Installation:
    """
    Hang a meter at a usage point from `at` on; a meter not known before becomes known.

    :raises UnknownUsagePoint: if there is no such place.
    :raises CannotHang: if a meter hangs there or this one elsewhere, or its URL or its type is another's.
    """
    sequence = store.lock(connection)
    point = queries.usage_point(connection, code=usage_point)
    for place in store.installations(connection, usage_point=usage_point):
        if place.to_at is None or place.to_at > at:
            raise CannotHang(f"meter {place.meter} hangs at {usage_point} then; take it down first")
    for place in store.installations(connection, meter=device.serial):
        if place.to_at is None or place.to_at > at:
            raise CannotHang(
                f"meter {device.serial} hangs at {place.usage_point} then; take it down there first"
            )
    for known in store.devices(connection, serial=device.serial):
        if known.meter_type is not device.meter_type:
            raise CannotHang(
                f"meter {device.serial} is a {known.meter_type} meter, not {device.meter_type}; correct it"
            )
    if device.url is not None:
        key = url_key(device.url)
        for other in store.devices_with_url(connection):
            if other.serial != device.serial and other.url is not None and url_key(other.url) == key:
                raise CannotHang(
                    f"meter {other.serial} answers at {device.url} too; each needs its own address"
                )
    hung = Installation(
        usage_point=usage_point,
        account=point.account,
        meter=device.serial,
        meter_type=device.meter_type,
        multiplier=device.multiplier,
        minutes=device.minutes,
        transformer=point.transformer,
        feeder=point.feeder,
        phase=point.phase,
        office=point.office,
        from_at=at,
    )
    store.save_devices(connection, saved=(device,))
    store.add_installations(connection, added=(hung,))
    store.record_change(connection, sequence=sequence, since=at)
    return hung


def take_down_meter(connection: Connection, *, usage_point: str, meter: str, at: datetime) -> Installation:
    """
    Take down the meter that hangs at a usage point, at `at`, and return the ended hanging.

    :raises CannotTakeDown: if it does not hang there, or was hung later than `at`.
    """
    sequence = store.lock(connection)
    for place in store.installations(connection, usage_point=usage_point, meter=meter):
        if place.to_at is not None:
            continue
        if at <= place.from_at:
            raise CannotTakeDown(f"meter {meter} was hung at {place.from_at}; give a later time")
        ended = replace(place, to_at=at)
        store.change_installations(connection, changed=(ended,))
        store.record_change(connection, sequence=sequence, since=at)
        return ended
    raise CannotTakeDown(f"meter {meter} does not hang at {usage_point}; look with `bijlighar registry show`")
