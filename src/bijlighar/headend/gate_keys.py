"""
What the gate does to the keys and passwords of a meter under an order.

Those of client 48 the gate makes itself: they are on disk before they leave, beside those that the meter is known to
have, and stay there until the meter has proved which it holds. Those of client 32 the head-end makes and keeps in the
same manner; the gate opens what was sealed to it, wraps the keys for the meter and forgets them.
"""

import os
from collections.abc import Set
from dataclasses import replace
from datetime import datetime
from typing import Any

from bijlighar.dlms import upkeep
from bijlighar.dlms.cosem import Method, result_name
from bijlighar.dlms.security import wrap_key
from bijlighar.dlms.upkeep import KeyId
from bijlighar.headend import gate_store
from bijlighar.headend.contact import proves_itself_by
from bijlighar.headend.errors import AccessRefused, KeyChangeOpen, UnknownMeterKeys
from bijlighar.headend.gate import READING
from bijlighar.headend.gate_keeper import GateKeeper, KeptSession, refusal
from bijlighar.headend.model import (
    CLIENT_READER,
    CLIENT_SETTING,
    ControlAction,
    GateCode,
    MeterAddress,
    MeterKeys,
)
from bijlighar.headend.reading_change import ReadingChange, open_change, private_key_of

#: The letters of a password that the gate makes: half as many octets of chance, in hex.
SECRET_OCTETS = 16


async def change_keys(
    keeper: GateKeeper, *, order_id: str, serial: str, address: MeterAddress, now: datetime
) -> None:
    """
    Give a meter new keys for client 48, which the gate makes and nobody else sees; go on where it was broken off.

    :raises GateRefusal: if no such order was admitted.
    :raises UnknownMeterKeys: if the meter's keys, or the master key, are absent.
    :raises KeyChangeOpen: if a change of its password was begun and has not come to its end.
    :raises BijligharError: if the meter cannot be reached, is silent or refuses: the next try goes on.
    """
    _use(keeper, {ControlAction.CHANGE_KEYS}, order_id=order_id, serial=serial, now=now)
    current = keeper.keys(serial)
    master = _master(current)
    new = _own(current, ek=os.urandom(len(current.ek)), ak=os.urandom(len(current.ak)), factory=False)
    pending = keeper.head_end.begin(new, now=now)
    if _is_password(pending, current) or _is_of_reading(pending):
        raise _other_first(serial)
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        if keeper.change_of(serial) is not None:
            await _transfer(session, CLIENT_SETTING, master, ek=pending.ek, ak=pending.ak)
        # else the meter had taken them before, and said so by letting us in
    finally:
        session.close()
    if keeper.change_of(serial) is not None:
        proof = await keeper.open_with(pending, address=address)
        await proof.release()
        proof.close()
        keeper.end_change(pending, now=now)
    await keeper.close_order(order_id, now=now)


async def change_secret(
    keeper: GateKeeper, *, order_id: str, serial: str, address: MeterAddress, now: datetime
) -> None:
    """
    Give a meter a new password for client 48, which the gate makes and nobody else sees.

    Client 48 proves itself by EK and AK, so no reading tells which password a meter holds: where its answer was lost
    it is given the same one again, and until it has answered both are kept.

    :raises GateRefusal: if no such order was admitted.
    :raises KeyChangeOpen: if a change of its keys was begun and has not come to its end.
    :raises BijligharError: if the meter cannot be reached, is silent or refuses: the next try goes on.
    """
    _use(keeper, {ControlAction.CHANGE_SECRET}, order_id=order_id, serial=serial, now=now)
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        current = keeper.keys(serial)
        pending = keeper.head_end.begin(
            _own(current, hls=os.urandom(SECRET_OCTETS // 2).hex().upper().encode()), now=now
        )
        if not _is_password(pending, current):
            raise _other_first(serial)
        try:
            secret = upkeep.encode_secret(pending.hls or b"")
            await _invoke(session, upkeep.change_secret(CLIENT_SETTING), secret)
        except AccessRefused:
            keeper.head_end.abandon(pending)  # it has said that it has not taken it
            raise
        keeper.end_change(pending, now=now)
        await session.release()
    finally:
        session.close()
    await keeper.close_order(order_id, now=now)


async def send_reading_change(
    keeper: GateKeeper, *, order_id: str, serial: str, address: MeterAddress, sealed: bytes, now: datetime
) -> None:
    """
    Bring the keys, or the password, that the head-end has made for client 32 into a meter.

    The order stays open until the head-end has told how the meter was read by them.

    :raises GateRefusal: if no order for this very change was admitted.
    :raises UnknownMeterKeys: if the meter's keys, or the master key, are absent.
    :raises KeyChangeOpen: if a change of the keys of client 48 was begun and has not come to its end.
    :raises AccessRefused: if the meter says that it does not take them.
    :raises BijligharError: if the meter cannot be reached, is silent or refuses: whether it took them is not known.
    """
    action = _use(keeper, READING, order_id=order_id, serial=serial, now=now)
    private_key = private_key_of(keeper.own_key())
    change = open_change(sealed, serial=serial, private_key=private_key)
    with keeper.store.read() as connection:
        digest = gate_store.image_of(connection, order_id=order_id)
    if change is None or change.digest != digest or change.action is not action:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.WRONG_KEYS, now=now)
        raise refusal(GateCode.WRONG_KEYS)
    if change.ek is not None and change.ak is not None:
        await _send_keys(keeper, change, ek=change.ek, ak=change.ak, address=address, now=now)
        return
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        await session.put(upkeep.secret_of(CLIENT_READER), upkeep.encode_secret(change.lls or b""))
        await session.release()
    finally:
        session.close()


async def _send_keys(
    keeper: GateKeeper,
    change: ReadingChange,
    *,
    ek: bytes,
    ak: bytes,
    address: MeterAddress,
    now: datetime,
) -> None:
    """
    Bring reading keys in, and keep them as what may be the gate's own from now on.

    A meter may have one pair of keys for all its clients, whatever it says of itself; that it has not is only known
    when it lets the gate in again (`read_back`).
    """
    serial = change.serial
    master = _master(keeper.keys(serial))
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        current, begun = keeper.keys(serial), keeper.change_of(serial)
        if begun is not None and not _is_of_reading(begun):
            raise _other_first(serial)
        if (current.ek, current.ak) != (ek, ak):  # else it had taken them before, for all its clients
            mine = replace(current, ek=ek, ak=ak, push_ek=ek, push_ak=ak)
            if begun is not None and begun != mine:
                # Those have been proved to the head-end, or it would send no others; we were let in after them.
                keeper.head_end.abandon(begun)
            keeper.head_end.begin(mine, now=now)
            try:
                await _transfer(session, CLIENT_READER, master, ek=ek, ak=ak)
            except AccessRefused:
                keeper.head_end.abandon(mine)
                raise
        await session.release()
    finally:
        session.close()


async def read_back(
    keeper: GateKeeper, *, order_id: str, serial: str, address: MeterAddress, is_good: bool, now: datetime
) -> None:
    """
    Record how the head-end has read a meter by what an order has changed; nothing passes under it after a good one.

    Before that the gate looks whether the meter lets it in, too, and by which keys.

    :raises GateRefusal: if no order for reading keys or the reading password was admitted for the meter.
    :raises BijligharError: if the meter does not let the gate in: told again, it looks again.
    """
    with keeper.store.read() as connection:
        found = gate_store.admitted_action(connection, order_id=order_id, serial=serial)
    if found not in {action.value for action in READING}:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.NOT_GRANTED, now=now)
        raise refusal(GateCode.NOT_GRANTED)
    begun = keeper.change_of(serial)
    if is_good and begun is not None and _is_of_reading(begun):
        session = await keeper.open(serial=serial, address=address, now=now)
        try:
            keeper.head_end.abandon(begun)  # where they are its own, too, they are so by now
            await session.release()
        finally:
            session.close()
    with keeper.store.write() as connection:
        gate_store.mark_read_back(connection, order_id=order_id, is_good=is_good)
        if is_good:
            gate_store.close(connection, order_id=order_id, now=now)


def _use(
    keeper: GateKeeper, actions: Set[ControlAction], *, order_id: str, serial: str, now: datetime
) -> ControlAction:
    """Use an order for one of some actions, and return which it is for."""
    action = keeper.use(order_id=order_id, serial=serial, now=now)
    if action not in {one.value for one in actions}:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.WRONG_ACTION, now=now)
        raise refusal(GateCode.WRONG_ACTION)
    return ControlAction(action)


def _master(keys: MeterKeys) -> bytes:
    if keys.master is None:
        raise UnknownMeterKeys(f"no master key is stored for meter {keys.serial}; its keys cannot be changed")
    return keys.master


def _own(current: MeterKeys, **changes: Any) -> MeterKeys:  # noqa: ANN401 - whatever keys hold
    """Return keys on their way that are of client 48 alone."""
    return replace(current, push_ek=None, push_ak=None, **changes)


def _is_password(pending: MeterKeys, current: MeterKeys) -> bool:
    """Return whether a change is of the password alone."""
    return proves_itself_by(CLIENT_SETTING, pending) == proves_itself_by(CLIENT_SETTING, current)


def _is_of_reading(pending: MeterKeys) -> bool:
    """Return whether keys on their way are those of reading, which may be the gate's own, too."""
    return pending.push_ek is not None


def _other_first(serial: str) -> KeyChangeOpen:
    return KeyChangeOpen(
        f"another change of keys or passwords of meter {serial} was begun, and its answer was lost; order that one "
        "again first (meter change-keys, with or without --client 32 and --secrets)"
    )


async def _transfer(session: KeptSession, client: int, master: bytes, *, ek: bytes, ak: bytes) -> None:
    wrapped = {
        KeyId.UNICAST: wrap_key(kek=master, key=ek),
        KeyId.AUTHENTICATION: wrap_key(kek=master, key=ak),
    }
    await _invoke(session, upkeep.key_transfer(client), upkeep.encode_keys(wrapped))


async def _invoke(session: KeptSession, method: Method, parameters: bytes) -> None:
    result = await session.perform(method, parameters)
    if result:
        raise AccessRefused(
            f"the meter refuses method {method.index} of {method.obis}: {result_name(result)}; try again later"
        )
