"""Receipts, issues, returns and faults of the stock; the caller opens the transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.adapters import Adapter
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.headend import operations as headend
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry_queries
from bijlighar.registry.model import SINCE_EVER, EndDevice, Installation
from bijlighar.rollout import queries, store
from bijlighar.rollout.errors import RefusedStock
from bijlighar.rollout.model import HUNG_BEFORE, StockEvent, StockItem, StockState
from bijlighar.rollout.permission import LOCK, authorise
from bijlighar.rollout.rollout_file import StockRow, parse_stock, parse_vendor_stock
from bijlighar.rollout.stepping import stock_state_after
from bijlighar.storage import sequences


def receive_stock(connection: Connection, *, text: str, person: str, now: datetime) -> int:
    """
    Take in a supplier's list (columns serial, meter_type, store, box) and return how many meters were new.

    Repeating a list changes nothing.

    :raises RefusedStock: if a line is wrong, or a serial number is known otherwise; nothing is stored then.
    :raises NotPermitted: if the person may not receive stock.
    """
    authorise(connection, person=person, act=Act.RECEIVE_STOCK, office=None)
    return _receive(connection, rows=parse_stock(text), person=person, now=now)


def receive_vendor_stock(
    connection: Connection, *, octets: bytes, adapter: Adapter, file: str, person: str, now: datetime
) -> int:
    """
    Take in a vendor's shipment file through its adapter and return how many meters were new.

    Repeating a file changes nothing.

    :raises RefusedStock: if a line is wrong, or a serial number is known otherwise; nothing is stored then.
    :raises NotPermitted: if the person may not receive stock.
    """
    authorise(connection, person=person, act=Act.RECEIVE_STOCK, office=None)
    rows = parse_vendor_stock(octets, adapter=adapter, file=file)
    return _receive(connection, rows=rows, person=person, now=now)


def _receive(connection: Connection, *, rows: Sequence[StockRow], person: str, now: datetime) -> int:
    sequences.take(connection, name=LOCK)
    known = {item.serial: item for item in store.items(connection, serials=[row.serial for row in rows])}
    hanging = {device.serial for device in registry_queries.end_devices(connection)}
    added: list[StockItem] = []
    for row in rows:
        earlier = known.get(row.serial)
        if earlier is not None:
            if (earlier.meter_type, earlier.store, earlier.box) != (row.meter_type, row.store, row.box):
                raise RefusedStock(
                    f"nothing was stored: line {row.line}, column serial: {row.serial} came to store {earlier.store} "
                    f"in box {earlier.box or '-'} before; a serial comes once"
                )
            continue
        if row.serial in hanging:
            raise RefusedStock(
                f"nothing was stored: line {row.line}, column serial: {row.serial} is in the registry already; "
                "take it off the list"
            )
        added.append(
            StockItem(
                serial=row.serial,
                meter_type=row.meter_type,
                store=row.store,
                box=row.box,
                state=StockState.IN_STORE,
                received_at=now,
                url=row.url,
                minutes=row.minutes,
                multiplier=row.multiplier,
                gateway=row.gateway,
            )
        )
    _add_stock(connection, added=added, person=person, now=now)
    _claim(connection, rows=rows, person=person, now=now)
    return len(added)


def _claim(connection: Connection, *, rows: Sequence[StockRow], person: str, now: datetime) -> None:
    """Keep what the list says of the meters themselves; a later list may say it of meters that came before."""
    facts = {row.serial: row.facts for row in rows if row.facts}
    claimed = headend.claim_meter_facts(connection, facts=facts, now=now)
    if claimed:
        detail = {"facts": claimed, "meters": len(facts)}
        offices.record_act(
            connection,
            person=person,
            act=Act.RECEIVE_STOCK,
            subject="facts of shipped meters",
            detail=detail,
            now=now,
        )


def take_in_hanging(connection: Connection, *, person: str, now: datetime) -> int:
    """
    Take the smart meters of consumers that hang already into the books, as installed, and return how many.

    :raises NotPermitted: if the person may not receive stock.
    """
    authorise(connection, person=person, act=Act.RECEIVE_STOCK, office=None)
    sequences.take(connection, name=LOCK)
    known = {item.serial for item in store.items(connection)}
    devices = {device.serial: device for device in registry_queries.end_devices(connection)}
    added = [
        _item_of_hanging(devices[place.meter], place)
        for place in registry_queries.installations(connection)
        if place.to_at is None
        and place.meter_type.is_of_consumer
        and devices[place.meter].communicates
        and place.meter not in known
    ]
    _add_stock(connection, added=added, person=person, now=now)
    return len(added)


def _item_of_hanging(device: EndDevice, place: Installation) -> StockItem:
    at = None if place.from_at == SINCE_EVER else place.from_at
    return StockItem(
        serial=device.serial,
        meter_type=device.meter_type,
        store=HUNG_BEFORE,
        box="",
        state=StockState.INSTALLED,
        received_at=place.from_at,
        url=device.url,
        minutes=device.minutes,
        multiplier=device.multiplier,
        gateway=device.gateway,
        installed_at=at,
    )


def _add_stock(connection: Connection, *, added: Sequence[StockItem], person: str, now: datetime) -> None:
    if not added:
        return
    store.add_items(connection, added=added)
    serials = [item.serial for item in added]
    store.add_movements(connection, serials=serials, event="receive", person=person, note="", at=now)
    detail = {"meters": len(added), "stores": sorted({item.store for item in added})}
    offices.record_act(
        connection, person=person, act=Act.RECEIVE_STOCK, subject="stock", detail=detail, now=now
    )


def issue_stock(
    connection: Connection, *, serials: Sequence[str], fitter: str, person: str, now: datetime
) -> None:
    """
    Give meters out of the store to a fitter.

    :raises UnknownStock: if a serial number was never received.
    :raises IllegalStep: if a meter is not in store.
    :raises NotPermitted: if the person may not issue stock.
    """
    check_text(fitter, what="the fitter's name", letters_max=CODE_MAX)
    if not fitter.strip():
        raise RefusedStock("give the fitter who takes the meters")
    for item in _moved(
        connection, serials=serials, event=StockEvent.ISSUE, person=person, note=fitter, now=now
    ):
        store.save_item(connection, saved=replace(item, holder=fitter))


def give_back_stock(connection: Connection, *, serials: Sequence[str], person: str, now: datetime) -> None:
    """
    Take meters back into the store.

    :raises UnknownStock: if a serial number was never received.
    :raises IllegalStep: if a meter was not issued.
    :raises NotPermitted: if the person may not issue stock.
    """
    for item in _moved(
        connection, serials=serials, event=StockEvent.GIVE_BACK, person=person, note="", now=now
    ):
        store.save_item(connection, saved=replace(item, holder=None))


def find_faulty(connection: Connection, *, serial: str, reason: str, person: str, now: datetime) -> None:
    """
    Put a meter aside as faulty; one that hangs is to be taken down first.

    :raises UnknownStock: if the serial number was never received.
    :raises IllegalStep: if it is faulty or gone already.
    :raises RefusedStock: if it still hangs.
    :raises NotPermitted: if the person may not issue stock.
    """
    for place in registry_queries.installations(connection, meter=serial):
        if place.to_at is None:
            raise RefusedStock(
                f"meter {serial} hangs at {place.usage_point}; exchange it by a work order first"
            )
    for item in _moved(
        connection, serials=[serial], event=StockEvent.FIND_FAULTY, person=person, note=reason, now=now
    ):
        store.save_item(connection, saved=replace(item, holder=None))


def send_back_stock(connection: Connection, *, serials: Sequence[str], person: str, now: datetime) -> None:
    """
    Send meters back to the supplier.

    :raises UnknownStock: if a serial number was never received.
    :raises IllegalStep: if a meter is neither in store nor faulty.
    :raises NotPermitted: if the person may not issue stock.
    """
    for item in _moved(
        connection, serials=serials, event=StockEvent.SEND_BACK, person=person, note="", now=now
    ):
        store.save_item(connection, saved=item)


def _moved(
    connection: Connection,
    *,
    serials: Sequence[str],
    event: StockEvent,
    person: str,
    note: str,
    now: datetime,
) -> tuple[StockItem, ...]:
    """Return the meters in their next state, not yet saved; the movement and the act are recorded."""
    check_text(note, what="the reason", letters_max=NOTE_MAX)
    for serial in serials:
        check_text(serial, what="a serial number", letters_max=CODE_MAX)
    authorise(connection, person=person, act=Act.ISSUE_STOCK, office=None)
    sequences.take(connection, name=LOCK)
    items = {item.serial: item for item in store.items(connection, serials=serials, lock=True)}
    for serial in serials:
        if serial not in items:
            queries.stock_item(connection, serial=serial)
    moved = tuple(replace(item, state=stock_state_after(item, event)) for item in items.values())
    named = [item.serial for item in moved]
    store.add_movements(connection, serials=named, event=event.value, person=person, note=note, at=now)
    detail = {"serials": named, "event": event.value, "note": note}
    offices.record_act(
        connection, person=person, act=Act.ISSUE_STOCK, subject="stock", detail=detail, now=now
    )
    return moved
