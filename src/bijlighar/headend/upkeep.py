"""Asking the gate to change a meter's keys or to bring firmware into it; asked again, it goes on where it was."""

from datetime import datetime

from bijlighar.headend.errors import GateAway, NoRelay
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_keeper import refusal
from bijlighar.headend.model import GateCode, GateRequest, HeadEndSettings, MeterAddress, SignedOrder
from bijlighar.headend.tcp import parse_url
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database


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
    database: Database, *, signed: SignedOrder, settings: HeadEndSettings, now: datetime
) -> tuple[RemoteGate, MeterAddress]:
    order = signed.order
    if settings.gate_socket is None:
        raise GateAway("keys and firmware go through the gate's process alone, and none is set")
    with database.read() as connection:
        device = registry.end_device(connection, serial=order.serial)
    if device.url is None:
        raise NoRelay(f"meter {order.serial} cannot be reached; give the order to a fitter")
    gate = RemoteGate(settings.gate_socket)
    request = GateRequest(order_id=order.order_id, serial=order.serial, action=order.action, signed=signed)
    code = await gate.grant(request, now=now)
    if code is not GateCode.ADMITTED:
        raise refusal(code)
    return gate, parse_url(device.url)
