"""Asking the gate for new keys, firmware or settings of a meter; asked again, it goes on where it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bijlighar.base.period import Period, local_date
from bijlighar.headend import settings_reading
from bijlighar.headend.errors import GateAway, NoRelay, RefusedSetting
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_keeper import refusal
from bijlighar.headend.model import (
    ControlAction,
    GateCode,
    GateRequest,
    HeadEndSettings,
    MeterAddress,
    SignedOrder,
)
from bijlighar.headend.settings_document import SettingsDocument, canonical
from bijlighar.headend.settings_reading import Difference
from bijlighar.headend.tcp import parse_url
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

#: Where a meter hangs is asked for the present moment.
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyFacts:
    """What an order must say of the supply that a meter may cut by itself: sanctioned load [W], feeder, office."""

    sanctioned_w: int
    feeder: str | None
    office: str | None


def supply_facts(connection: Connection, *, serial: str, now: datetime) -> SupplyFacts:
    """
    Return what an order for settings that may cut supply must say of a meter's consumer.

    :raises RefusedSetting: if nobody is known to be supplied there, the sanctioned load is unknown, or the account
        is protected from being cut.
    """
    places = registry.installations(connection, meter=serial, period=Period(start=now, end=now + _MOMENT))
    place = next((place for place in places if place.account is not None), None)
    if place is None or place.account is None:
        raise RefusedSetting(
            f"no account is known at meter {serial}; nothing that may cut supply is set there"
        )
    account = registry.account(connection, number=place.account)
    if account.sanctioned_w is None:
        raise RefusedSetting(
            f"the sanctioned load of account {account.number} is not known; import it before a load limit is set"
        )
    kept = registry.protections(connection, on=local_date(now), account=account.number)
    if kept:
        raise RefusedSetting(
            f"account {account.number} is protected ({kept[0].kind}); its meter must never cut by itself"
        )
    return SupplyFacts(sanctioned_w=account.sanctioned_w, feeder=place.feeder, office=account.office)


async def send_settings(
    database: Database,
    *,
    signed: SignedOrder,
    document: SettingsDocument,
    settings: HeadEndSettings,
    now: datetime,
) -> tuple[str, ...]:
    """
    Have the gate set the meter of an order by a document and read back; return what it had to write.

    :raises GateRefusal: if the gate does not admit the order, for its document, a ceiling or before its step.
    :raises RefusedSetting: if supply could be cut that must not be.
    :raises BijligharError: if the gate or the meter does not answer: done again, the meter is read first.
    """
    order = signed.order
    if order.action is ControlAction.SUPPLY_SETTINGS:
        with database.read() as connection:
            facts = supply_facts(connection, serial=order.serial, now=now)
        if order.sanctioned_w is None or order.sanctioned_w < facts.sanctioned_w:
            raise RefusedSetting(
                f"the sanctioned load at meter {order.serial} is {facts.sanctioned_w} W by now; order it anew"
            )
    text = canonical(document)
    gate, address = await _admitted(database, signed=signed, settings=settings, now=now, document=text)
    return await gate.send_settings(
        order_id=order.order_id, serial=order.serial, address=address, document=text
    )


async def read_settings(
    database: Database, *, serial: str, settings: HeadEndSettings, now: datetime
) -> dict[str, Any]:
    """
    Return everything that is set on a meter, as a document writes it, by name; None where nothing is understood.

    :raises BijligharError: if the gate or the meter does not answer.
    """
    gate, address = _way(database, serial=serial, settings=settings)
    session = await gate.open(serial=serial, address=address, now=now)
    try:
        found = await settings_reading.read_all(session)
        await session.release()
    finally:
        session.close()
    return found


async def compare_settings(
    database: Database, *, serial: str, document: SettingsDocument, settings: HeadEndSettings, now: datetime
) -> tuple[Difference, ...]:
    """
    Return what a document wants and what a meter has, setting by setting; nothing is written.

    :raises BijligharError: if the gate or the meter does not answer.
    """
    gate, address = _way(database, serial=serial, settings=settings)
    session = await gate.open(serial=serial, address=address, now=now)
    try:
        found = await settings_reading.differences(session, document)
        await session.release()
    finally:
        session.close()
    return found


async def settings_outcomes(*, digest: str, settings: HeadEndSettings) -> Mapping[str, str]:
    """
    Return how the meters were read back that a document was let to, by serial: good, bad, or empty for not yet.

    :raises GateAway: if the gate does not answer.
    """
    return await gate_of(settings).outcomes(digest=digest)


async def change_keys(
    database: Database, *, signed: SignedOrder, settings: HeadEndSettings, now: datetime
) -> None:
    """
    Have the gate give the meter of an order new keys for client 48; nobody but the gate sees them.

    :raises GateRefusal: if the gate does not admit the order.
    :raises BijligharError: if the gate or the meter does not answer: done again, it goes on.
    """
    gate, address = await _admitted(database, signed=signed, settings=settings, now=now)
    await gate.change_keys(order_id=signed.order.order_id, serial=signed.order.serial, address=address)


async def change_secret(
    database: Database, *, signed: SignedOrder, settings: HeadEndSettings, now: datetime
) -> None:
    """
    Have the gate give the meter of an order a new password for client 48; nobody but the gate sees it.

    :raises GateRefusal: if the gate does not admit the order.
    :raises BijligharError: if the gate or the meter does not answer: done again, it goes on.
    """
    gate, address = await _admitted(database, signed=signed, settings=settings, now=now)
    await gate.change_secret(order_id=signed.order.order_id, serial=signed.order.serial, address=address)


async def send_firmware(
    database: Database,
    *,
    signed: SignedOrder,
    version: str,
    image: bytes,
    settings: HeadEndSettings,
    now: datetime,
) -> None:
    """
    Have the gate bring an image into the meter of an order, activate it and read back that `version` runs.

    :raises GateRefusal: if the gate does not admit the order, because it is for another image or before its step.
    :raises BijligharError: if the gate or the meter does not answer: done again, it goes on.
    """
    gate, address = await _admitted(database, signed=signed, settings=settings, now=now)
    order = signed.order
    await gate.send_firmware(
        order_id=order.order_id, serial=order.serial, address=address, version=version, image=image
    )


async def _admitted(
    database: Database,
    *,
    signed: SignedOrder,
    settings: HeadEndSettings,
    now: datetime,
    document: str | None = None,
) -> tuple[RemoteGate, MeterAddress]:
    order = signed.order
    gate, address = _way(database, serial=order.serial, settings=settings)
    request = GateRequest(
        order_id=order.order_id,
        serial=order.serial,
        action=order.action,
        signed=signed,
        document=document,
    )
    code = await gate.grant(request, now=now)
    if code is not GateCode.ADMITTED:
        raise refusal(code)
    return gate, address


def gate_of(settings: HeadEndSettings) -> RemoteGate:
    """
    Return the gate's process.

    :raises GateAway: if none is set.
    """
    if settings.gate_socket is None:
        raise GateAway("keys, firmware and settings go through the gate's process alone, and none is set")
    return RemoteGate(settings.gate_socket)


def _way(database: Database, *, serial: str, settings: HeadEndSettings) -> tuple[RemoteGate, MeterAddress]:
    gate = gate_of(settings)
    with database.read() as connection:
        device = registry.end_device(connection, serial=serial)
    if device.url is None:
        raise NoRelay(f"meter {serial} cannot be reached; give the order to a fitter")
    return gate, parse_url(device.url)
