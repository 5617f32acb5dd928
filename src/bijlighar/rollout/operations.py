"""What other rooms and people may do in the roll-out: plan and work orders here, stock and installation beside it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.period import Month
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry_queries
from bijlighar.rollout import queries, rules, store
from bijlighar.rollout.checking import (
    cancel_check,
    fail_check,
    issue_check,
    order_check,
    plan_check_again,
    report_check,
)
from bijlighar.rollout.errors import CannotPlan
from bijlighar.rollout.installing import commission_read, install_meter
from bijlighar.rollout.model import OrderEvent, OrderState, Target, WorkOrder
from bijlighar.rollout.permission import LOCK, authorise
from bijlighar.rollout.rollout_file import parse_plan, shipped_stock_adapters, stock_adapter
from bijlighar.rollout.stepping import order_state_after
from bijlighar.rollout.stock_keeping import (
    find_faulty,
    give_back_stock,
    issue_stock,
    receive_stock,
    receive_vendor_stock,
    send_back_stock,
    take_in_hanging,
)
from bijlighar.storage import sequences

__all__ = [
    "cancel_check",
    "cancel_order",
    "commission_read",
    "draw_up_orders",
    "fail_check",
    "fail_order",
    "find_faulty",
    "give_back_stock",
    "install_meter",
    "issue_check",
    "issue_order",
    "issue_stock",
    "order_check",
    "order_installation",
    "plan_check_again",
    "plan_evenly",
    "plan_order_again",
    "plan_targets",
    "receive_stock",
    "receive_vendor_stock",
    "report_check",
    "send_back_stock",
    "shipped_stock_adapters",
    "stock_adapter",
    "take_in_hanging",
]

ORDERS_PER_CALL = 10_000


def plan_targets(connection: Connection, *, text: str, person: str, now: datetime) -> int:
    """
    Take in a plan file (columns office, month, meters) and return how many targets it has.

    :raises RefusedPlan: if a line is wrong; nothing is stored then.
    :raises UnknownOffice: if an office is unknown.
    :raises NotPermitted: if the person may not plan for an office of the file.
    """
    return _save_targets(connection, targets=parse_plan(text), person=person, now=now)


def plan_evenly(
    connection: Connection,
    *,
    office: str,
    planned: int,
    first: Month,
    last: Month,
    person: str,
    now: datetime,
) -> int:
    """
    Plan `planned` meters of an office evenly over the months `first` to `last` and return the number of months.

    :raises RefusedPlan: if the window is empty or the number is not positive.
    :raises NotPermitted: if the person may not plan for the office.
    """
    spread = rules.spread(office=office, planned=planned, first=first, last=last)
    return _save_targets(connection, targets=spread, person=person, now=now)


def _save_targets(connection: Connection, *, targets: Sequence[Target], person: str, now: datetime) -> int:
    for office in sorted({target.office for target in targets}):
        office_queries.office(connection, code=office)
        authorise(connection, person=person, act=Act.PLAN_ROLLOUT, office=office)
    store.save_targets(connection, saved=targets)
    detail = {"targets": len(targets), "meters": sum(target.meters for target in targets)}
    offices.record_act(
        connection, person=person, act=Act.PLAN_ROLLOUT, subject="roll-out plan", detail=detail, now=now
    )
    return len(targets)


def draw_up_orders(connection: Connection, *, office: str, limit: int, person: str, now: datetime) -> int:
    """
    Make work orders for the places of an office (and below) whose meter is read by hand, and return how many.

    :raises UnknownOffice: if there is no such office.
    :raises NotPermitted: if the person may not plan for it.
    """
    below = set(office_queries.offices_below(connection, code=office))
    authorise(connection, person=person, act=Act.PLAN_ROLLOUT, office=office)
    sequences.take(connection, name=LOCK)
    by_hand = {
        device.serial for device in registry_queries.end_devices(connection) if not device.communicates
    }
    taken = store.spoken_for(connection)
    places = [
        place
        for place in registry_queries.installations(connection)
        if place.to_at is None
        and place.meter in by_hand
        and place.meter_type.is_of_consumer
        and place.office in below
        and place.usage_point not in taken
    ][: min(limit, ORDERS_PER_CALL)]
    rows = [
        _new_order(place.usage_point, account=place.account, office=place.office, old=place.meter, now=now)
        for place in places
    ]
    store.add_orders(connection, added=rows)
    if rows:
        detail = {"orders": len(rows)}
        subject = f"office {office}"
        offices.record_act(
            connection, person=person, act=Act.PLAN_ROLLOUT, subject=subject, detail=detail, now=now
        )
    return len(rows)


def order_installation(connection: Connection, *, usage_point: str, person: str, now: datetime) -> WorkOrder:
    """
    Make the work order for one place: an exchange, or the first meter of a new connection.

    :raises UnknownUsagePoint: if there is no such place.
    :raises CannotPlan: if the place has an open work order.
    :raises NotPermitted: if the person may not plan for its office.
    """
    point = registry_queries.usage_point(connection, code=usage_point)
    authorise(connection, person=person, act=Act.PLAN_ROLLOUT, office=point.office)
    sequences.take(connection, name=LOCK)
    if usage_point in store.spoken_for(connection):
        raise CannotPlan(f"usage point {usage_point} has an open work order; finish or cancel that one")
    hanging = [
        place.meter
        for place in registry_queries.installations(connection, usage_point=usage_point)
        if place.to_at is None
    ]
    old = hanging[0] if hanging else None
    row = _new_order(usage_point, account=point.account, office=point.office, old=old, now=now)
    store.add_orders(connection, added=[row])
    made = max(
        store.orders(connection, state=OrderState.PLANNED, limit=ORDERS_PER_CALL), key=lambda o: o.number
    )
    detail = {"usage_point": usage_point}
    offices.record_act(
        connection,
        person=person,
        act=Act.PLAN_ROLLOUT,
        subject=f"work order {made.number}",
        detail=detail,
        now=now,
    )
    return made


def _new_order(
    usage_point: str, *, account: str | None, office: str | None, old: str | None, now: datetime
) -> dict[str, object]:
    return {
        "usage_point": usage_point,
        "account": account,
        "office": office,
        "state": OrderState.PLANNED.value,
        "planned_at": now,
        "old_meter": old,
        "note": "",
    }


def issue_order(connection: Connection, *, number: int, fitter: str, person: str, now: datetime) -> WorkOrder:
    """
    Give a work order to a fitter.

    :raises UnknownOrder: if there is none with this number.
    :raises IllegalStep: if it is not planned.
    :raises NotPermitted: if the person may not plan for its office.
    """
    check_text(fitter, what="the fitter's name", letters_max=CODE_MAX)
    if not fitter.strip():
        raise CannotPlan("give the fitter who takes the order")
    return _step_order(
        connection, number=number, event=OrderEvent.ISSUE, person=person, now=now, fitter=fitter.strip()
    )


def fail_order(connection: Connection, *, number: int, reason: str, person: str, now: datetime) -> WorkOrder:
    """
    Record that a fitter could not hang the meter, and why.

    :raises UnknownOrder: if there is none with this number.
    :raises IllegalStep: if it was not issued.
    :raises NotPermitted: if the person may not install for its office.
    """
    return _step_order(
        connection,
        number=number,
        event=OrderEvent.FAIL,
        person=person,
        now=now,
        act=Act.INSTALL_METER,
        note=reason,
    )


def plan_order_again(connection: Connection, *, number: int, person: str, now: datetime) -> WorkOrder:
    """
    Plan a failed work order again.

    :raises UnknownOrder: if there is none with this number.
    :raises IllegalStep: if it has not failed.
    :raises NotPermitted: if the person may not plan for its office.
    """
    return _step_order(
        connection, number=number, event=OrderEvent.PLAN_AGAIN, person=person, now=now, fitter=None
    )


def cancel_order(
    connection: Connection, *, number: int, reason: str, person: str, now: datetime
) -> WorkOrder:
    """
    Cancel a work order, and say why.

    :raises UnknownOrder: if there is none with this number.
    :raises IllegalStep: if the meter hangs already, or the order has ended.
    :raises NotPermitted: if the person may not plan for its office.
    """
    return _step_order(
        connection, number=number, event=OrderEvent.CANCEL, person=person, now=now, note=reason
    )


def _step_order(
    connection: Connection,
    *,
    number: int,
    event: OrderEvent,
    person: str,
    now: datetime,
    act: Act = Act.PLAN_ROLLOUT,
    **changed: object,
) -> WorkOrder:
    check_text(str(changed.get("note", "")), what="the reason", letters_max=NOTE_MAX)
    sequences.take(connection, name=LOCK)
    known = queries.order(connection, number=number)
    authorise(connection, person=person, act=act, office=known.office)
    stepped = replace(known, state=order_state_after(known, event), **changed)  # type: ignore[arg-type]
    store.save_order(connection, saved=stepped)
    detail = {"event": event.value, **changed}
    offices.record_act(
        connection, person=person, act=act, subject=f"work order {number}", detail=detail, now=now
    )
    return stepped
