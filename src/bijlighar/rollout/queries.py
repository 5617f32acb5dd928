"""What other rooms may ask about the roll-out."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import (
    Month,
    Period,
    day_number,
    epoch_seconds,
    local_date,
    local_midnight,
)
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.offices import queries as offices
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Origin, Quality, interval_start
from bijlighar.registry import queries as registry
from bijlighar.rollout import rules, store
from bijlighar.rollout.errors import UnknownOrder, UnknownStock
from bijlighar.rollout.model import (
    OPEN_ORDER_STATES,
    Observed,
    OfficeProgress,
    OrderState,
    Progress,
    StockCount,
    StockItem,
    StockState,
    Target,
    WorkOrder,
)

ORDERS_PER_PAGE = 10_000


def targets(connection: Connection) -> tuple[Target, ...]:
    """Return the plan, by month and office."""
    return store.targets(connection)


def stock(connection: Connection) -> tuple[StockCount, ...]:
    """Return how many meters of each store are where, by store."""
    return store.counts(connection)


def stock_items(connection: Connection, *, state: StockState | None = None) -> tuple[StockItem, ...]:
    """Return the meters of the stock, all or in a state, by serial number."""
    return store.items(connection, state=state)


def stock_item(connection: Connection, *, serial: str) -> StockItem:
    """
    Return a meter of the stock.

    :raises UnknownStock: if there is none with this serial number.
    :raises InvalidValue: if no meter can have this number.
    """
    check_text(serial, what="the serial number", letters_max=CODE_MAX)
    for item in store.items(connection, serials=[serial]):
        return item
    raise UnknownStock(f"no meter {serial!r} was received; take it in with `bijlighar rollout receive`")


def movements(connection: Connection, *, serial: str) -> tuple[tuple[datetime, str, str, str], ...]:
    """Return when what happened to a meter of the stock, by whom, and the note; oldest first."""
    return store.movements(connection, serial=serial)


def orders(
    connection: Connection,
    *,
    state: OrderState | None = None,
    office: str | None = None,
    limit: int = ORDERS_PER_PAGE,
) -> tuple[WorkOrder, ...]:
    """
    Return work orders by number: in a state, of an office and all below it.

    :raises UnknownOffice: if there is no such office.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    return store.orders(connection, state=state, offices=below, limit=min(limit, ORDERS_PER_PAGE))


def order(connection: Connection, *, number: int) -> WorkOrder:
    """
    Return a work order.

    :raises UnknownOrder: if there is none with this number.
    """
    found = store.order(connection, number=number)
    if found is None:
        raise UnknownOrder(f"there is no work order {number}; look with `bijlighar rollout orders`")
    return found


def read_first(connection: Connection, *, now: datetime) -> tuple[WorkOrder, ...]:
    """Return the installed orders whose new meter has been read over its own line since."""
    hung_at: dict[str, datetime] = {}
    installed = store.orders(connection, state=OrderState.INSTALLED, limit=ORDERS_PER_PAGE)
    for waiting in installed:
        if waiting.new_meter is not None and waiting.installed_at is not None:
            hung_at[waiting.new_meter] = waiting.installed_at
    if not hung_at:
        return ()
    heard = _heard(connection, hung_at=hung_at, now=now)
    return tuple(waiting for waiting in installed if waiting.new_meter in heard)


def _heard(connection: Connection, *, hung_at: Mapping[str, datetime], now: datetime) -> frozenset[str]:
    """Return the meters of which a register or an interval after their hanging was read from the meter."""
    meters, since = sorted(hung_at), min(hung_at.values())
    period = Period(start=since, end=max(now, since))
    heard = {
        snapshot.meter
        for snapshot in readings.registers(connection, meters=meters, period=period)
        if snapshot.origin is Origin.METER and snapshot.at > hung_at[snapshot.meter]
    }
    first, last = day_number(local_date(since)), day_number(local_date(now))
    for block in readings.raw_days(connection, meters=meters, first=first, last=last):
        for row in range(block.rows):
            measured = np.flatnonzero(block.quality[row] != Quality.ABSENT)
            if not len(measured):
                continue
            newest = interval_start(int(block.days[row]), int(measured[-1]), block.minutes)
            if newest >= epoch_seconds(hung_at[block.meters[row]]):
                heard.add(block.meters[row])
    return frozenset(heard)


def pending(connection: Connection, *, now: datetime) -> int:
    """Return how many installed meters were read and are to be commissioned."""
    return len(read_first(connection, now=now))


def progress(connection: Connection, *, now: datetime, claimed: int | None = None) -> Progress:
    """
    Return how the roll-out stands and what follows; `claimed` is what is said of this month, else its target.

    The observed rate counts the meters hung since the first month of the plan, or since the first one was hung.
    """
    plan = store.targets(connection)
    summed = rules.total(store.counts(connection))
    today = local_date(now)
    month = Month.of(today)
    this_month = store.count_installed(connection, period=month.period)
    planned_this_month = sum(target.meters for target in plan if target.month == month)
    began = min((target.month.first for target in plan), default=None)
    if began is None:
        first = store.first_installed_at(connection)
        began = None if first is None else local_date(first)
    since_plan = Observed(
        on=today,
        planned=sum(target.meters for target in plan),
        installed=summed.installed,
        hung_in_window=0,
        months=Fraction(0),
        claimed=claimed if claimed is not None else planned_this_month or None,
        this_month=this_month,
        stock=summed.stock,
    )
    if began is not None:
        start = local_midnight(began)
        since_plan = replace(
            since_plan,
            hung_in_window=store.count_installed(connection, period=Period(start=start, end=max(now, start))),
            months=rules.months_between(began, today),
            received=store.count_received(connection, since=start),
        )
    found = rules.forecast(since_plan)
    states = store.order_counts(connection)
    return Progress(
        observed=since_plan,
        planned_this_month=planned_this_month,
        commissioned=states.get(OrderState.COMMISSIONED, 0),
        orders_open=sum(states.get(state, 0) for state in OPEN_ORDER_STATES),
        forecast=found,
        words=rules.forecast_words(since_plan, found),
        by_office=_by_office(connection, plan=plan, month=month),
    )


def _by_office(connection: Connection, *, plan: Iterable[Target], month: Month) -> tuple[OfficeProgress, ...]:
    planned: dict[str, int] = {}
    for target in plan:
        planned[target.office] = planned.get(target.office, 0) + target.meters
    hung_at = {item.serial: item.installed_at for item in store.items(connection, state=StockState.INSTALLED)}
    below = {code: offices.offices_below(connection, code=code) for code in planned}
    installed: dict[str, int] = {}
    lately: dict[str, int] = {}
    for place in registry.installations(connection):
        if place.to_at is not None or place.meter not in hung_at or place.office is None:
            continue
        at = hung_at[place.meter]
        for code, branch in below.items():
            if place.office in branch:
                installed[code] = installed.get(code, 0) + 1
                lately[code] = lately.get(code, 0) + int(at is not None and at in month.period)
    return tuple(
        OfficeProgress(
            office=code, planned=count, installed=installed.get(code, 0), this_month=lately.get(code, 0)
        )
        for code, count in sorted(planned.items())
    )
