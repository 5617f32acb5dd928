"""The installation of a meter, with the hand-over from the old one, and its commissioning."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.model import Origin, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.registry.model import EndDevice
from bijlighar.rollout import queries, store
from bijlighar.rollout.errors import CannotInstall
from bijlighar.rollout.model import OrderEvent, StockEvent, StockItem, WorkOrder
from bijlighar.rollout.permission import LOCK, authorise
from bijlighar.rollout.stepping import order_state_after, stock_state_after
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database


def install_meter(  # noqa: PLR0913 - the facts of one installation
    connection: Connection,
    *,
    number: int,
    meter: str,
    at: datetime,
    old_register_wh: int | None,
    new_register_wh: int,
    person: str,
    now: datetime,
    url: str | None = None,
    confirmed_lower: bool = False,
) -> WorkOrder:
    """
    Record that the meter of a work order was hung: registers, hanging, stock, order and audit in one transaction.

    `confirmed_lower` accepts a last register below the last reading (a person looked twice).

    :raises UnknownOrder: if there is no such order.
    :raises UnknownStock: if the meter was never received.
    :raises IllegalStep: if the order or the meter was not issued.
    :raises CannotInstall: if time or registers cannot be.
    :raises CannotHang: if the registry refuses the new meter.
    :raises CannotTakeDown: if the old one does not hang there.
    :raises NotPermitted: if the person may not install for the order's office.
    """
    check_text(url or "", what="the URL", letters_max=NOTE_MAX)
    sequences.take(connection, name=LOCK)
    known = queries.order(connection, number=number)
    authorise(connection, person=person, act=Act.INSTALL_METER, office=known.office)
    item = queries.stock_item(connection, serial=meter)
    _check_installation(
        connection,
        order=known,
        at=at,
        now=now,
        old_register_wh=old_register_wh,
        new_register_wh=new_register_wh,
        confirmed_lower=confirmed_lower,
    )
    stepped = replace(
        known,
        state=order_state_after(known, OrderEvent.INSTALL),
        new_meter=meter,
        installed_at=at,
        old_register_wh=old_register_wh,
        new_register_wh=new_register_wh,
    )
    hung = replace(
        item,
        state=stock_state_after(item, StockEvent.INSTALL),
        installed_at=at,
        holder=None,
        url=url or item.url,
    )
    snapshots = [_snapshot(meter, RegisterKind.INITIAL, new_register_wh, at)]
    if known.old_meter is not None and old_register_wh is not None:
        registry.take_down_meter(connection, usage_point=known.usage_point, meter=known.old_meter, at=at)
        _put_aside(connection, serial=known.old_meter, person=person, at=at)
        snapshots.insert(0, _snapshot(known.old_meter, RegisterKind.FINAL, old_register_wh, at))
    registry.hang_meter(connection, usage_point=known.usage_point, device=_device(hung), at=at)
    readings.append_registers(connection, snapshots=snapshots, now=now)
    store.save_item(connection, saved=hung)
    store.add_movements(
        connection,
        serials=[meter],
        event=StockEvent.INSTALL.value,
        person=person,
        note=known.usage_point,
        at=at,
    )
    store.save_order(connection, saved=stepped)
    detail = {
        "meter": meter,
        "at": at,
        "old_register_wh": old_register_wh,
        "new_register_wh": new_register_wh,
    }
    subject = f"work order {number}"
    offices.record_act(
        connection, person=person, act=Act.INSTALL_METER, subject=subject, detail=detail, now=now
    )
    return stepped


def _put_aside(connection: Connection, *, serial: str, person: str, at: datetime) -> None:
    """Take a meter that came from the stock and was taken down out of the installed ones, as faulty."""
    for item in store.items(connection, serials=[serial], lock=True):
        state = stock_state_after(item, StockEvent.FIND_FAULTY)
        store.save_item(connection, saved=replace(item, state=state))
        event = StockEvent.FIND_FAULTY.value
        store.add_movements(
            connection, serials=[serial], event=event, person=person, note="taken down", at=at
        )


def _check_installation(
    connection: Connection,
    *,
    order: WorkOrder,
    at: datetime,
    now: datetime,
    old_register_wh: int | None,
    new_register_wh: int,
    confirmed_lower: bool,
) -> None:
    if at > now:
        raise CannotInstall(f"{at.isoformat()} is in the future; give the time at which the meter was hung")
    if new_register_wh < 0 or (old_register_wh or 0) < 0:
        raise CannotInstall("a register is below zero; read it again")
    if (order.old_meter is None) != (old_register_wh is None):
        old = order.old_meter
        what = f"give the last register of {old}" if old else "there is no old meter; leave its register out"
        raise CannotInstall(f"work order {order.number}: {what}")
    if order.old_meter is None or old_register_wh is None or confirmed_lower:
        return
    earlier = reading_queries.registers(connection, meters=[order.old_meter])
    known = [
        snapshot.wh_import for snapshot in earlier if snapshot.wh_import is not None and snapshot.at <= at
    ]
    if known and old_register_wh < known[-1]:
        raise CannotInstall(
            f"the last register {old_register_wh} Wh of {order.old_meter} is below its reading before, "
            f"{known[-1]} Wh; read it again, or confirm it"
        )


def _snapshot(meter: str, kind: RegisterKind, wh: int, at: datetime) -> RegisterSnapshot:
    return RegisterSnapshot(meter=meter, at=at, kind=kind, wh_import=wh, origin=Origin.HAND)


def _device(item: StockItem) -> EndDevice:
    return EndDevice(
        serial=item.serial,
        meter_type=item.meter_type,
        url=item.url,
        minutes=item.minutes,
        multiplier=item.multiplier,
        gateway=item.gateway,
    )


def commission_read(database: Database, *, now: datetime) -> int:
    """Commission the installed meters that were read over their own line since, and return how many."""
    with database.write() as connection:
        sequences.take(connection, name=LOCK)
        read = queries.read_first(connection, now=now)
        for order in read:
            state = order_state_after(order, OrderEvent.READ_FIRST)
            store.save_order(connection, saved=replace(order, state=state, commissioned_at=now))
    return len(read)
