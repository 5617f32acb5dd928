"""What other rooms may ask about the roll-out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
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
from bijlighar.rollout import check_store, rules, store
from bijlighar.rollout.checks import Check, CheckState
from bijlighar.rollout.errors import UnknownCheck, UnknownOrder, UnknownStock
from bijlighar.rollout.model import (
    OPEN_ORDER_STATES,
    MonthProgress,
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
CHECKS_PER_PAGE = 200
#: A meter that hangs for longer and was never read is looked after on the spot.
UNHEARD_AFTER = timedelta(hours=48)


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


def check(connection: Connection, *, number: int, person: str, is_to_change: bool = False) -> Check:
    """
    Return a check on the spot in a person's sight, locked until the transaction ends if it is to be changed.

    :raises UnknownPerson: if nobody signs in so.
    :raises UnknownCheck: if there is none of that number, or it is another office's: which of both is not told.
    """
    found = check_store.select_check(connection, number=number, is_to_change=is_to_change)
    seen = offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
    if found is None or (seen is not None and found.office not in seen):
        raise UnknownCheck(
            f"there is no check {number} in your offices; the page of checks shows those there are"
        )
    return found


def checks(
    connection: Connection, *, person: str, states: Sequence[CheckState], limit: int = CHECKS_PER_PAGE
) -> tuple[Check, ...]:
    """Return the checks on the spot in a person's sight, the newest first."""
    seen = offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
    return check_store.select_page(connection, states=states, offices=seen, limit=min(limit, CHECKS_PER_PAGE))


def checks_for(connection: Connection, *, subject: str) -> tuple[Check, ...]:
    """Return the checks that were ordered for something, the newest first."""
    return check_store.select_of_subject(connection, subject=subject)


def subjects_of_check(connection: Connection, *, number: int) -> tuple[str, ...]:
    """Return what a check was ordered for, as other rooms call it."""
    return check_store.select_subjects(connection, check=number)


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


def progress(
    connection: Connection, *, now: datetime, claimed: int | None = None, office: str | None = None
) -> Progress:
    """
    Return how the roll-out stands and what follows; `claimed` is what is said of this month, else its target.

    With `office` only that office and those below it are counted; if the plan knows others too, the stock, which is
    the company's, is left out of the forecast. The observed rate counts the meters hung since the first month of the
    plan, or since the first one was hung.

    :raises UnknownOffice: if there is no such office.
    """
    below = _branch(connection, office=office)
    plan = store.targets(connection)
    today = local_date(now)
    month = Month.of(today)
    if below is None:
        observed = _observed_in_all(connection, now=now, plan=plan)
    else:
        plan = tuple(target for target in plan if target.office in below)
        observed = _observed_in(connection, now=now, plan=plan, offices=below)
    planned_this_month = sum(target.meters for target in plan if target.month == month)
    observed = replace(observed, claimed=claimed if claimed is not None else planned_this_month or None)
    found = rules.forecast(observed)
    states = store.order_counts(connection, offices=below)
    return Progress(
        observed=observed,
        planned_this_month=planned_this_month,
        commissioned=states.get(OrderState.COMMISSIONED, 0),
        orders_open=sum(states.get(state, 0) for state in OPEN_ORDER_STATES),
        forecast=found,
        words=rules.forecast_words(observed, found),
        by_office=_by_office(connection, plan=plan, month=month),
    )


def _branch(connection: Connection, *, office: str | None) -> tuple[str, ...] | None:
    """Return an office and those below it, None if that is everybody whom the plan knows."""
    if office is None:
        return None
    below = offices.offices_below(connection, code=office)
    named = {target.office for target in store.targets(connection)} | {
        place for place, _ in _hung(connection) if place is not None
    }
    return below if named - set(below) else None


def _observed_in_all(connection: Connection, *, now: datetime, plan: Sequence[Target]) -> Observed:
    summed = rules.total(store.counts(connection))
    today = local_date(now)
    since_plan = Observed(
        on=today,
        planned=sum(target.meters for target in plan),
        installed=summed.installed,
        hung_in_window=0,
        months=Fraction(0),
        this_month=store.count_installed(connection, period=Month.of(today).period),
        stock=summed.stock,
    )
    began = min((target.month.first for target in plan), default=None)
    if began is None:
        first = store.first_installed_at(connection)
        began = None if first is None else local_date(first)
    if began is None:
        return since_plan
    start = local_midnight(began)
    return replace(
        since_plan,
        hung_in_window=store.count_installed(connection, period=Period(start=start, end=max(now, start))),
        months=rules.months_between(began, today),
        received=store.count_received(connection, since=start),
    )


def _observed_in(
    connection: Connection, *, now: datetime, plan: Sequence[Target], offices: Collection[str]
) -> Observed:
    today = local_date(now)
    hung = [at for place, at in _hung(connection) if place in offices]
    known = [at for at in hung if at is not None]
    began = min((target.month.first for target in plan), default=None)
    if began is None and known:
        began = local_date(min(known))
    start = now if began is None else local_midnight(began)
    window = Period(start=start, end=max(now, start))
    return Observed(
        on=today,
        planned=sum(target.meters for target in plan),
        installed=len(hung),
        hung_in_window=sum(at in window for at in known),
        months=Fraction(0) if began is None else rules.months_between(began, today),
        this_month=sum(at in Month.of(today).period for at in known),
    )


def by_month(connection: Connection, *, office: str | None = None) -> tuple[MonthProgress, ...]:
    """
    Return plan and installation of each office (of a branch) and month that has any, by month and office.

    :raises UnknownOffice: if there is no such office.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    planned = {(target.month, target.office): target.meters for target in store.targets(connection)}
    hung: dict[tuple[Month, str], int] = {}
    for place, at in _hung(connection):
        if place is not None and at is not None:
            key = (Month.of(local_date(at)), place)
            hung[key] = hung.get(key, 0) + 1
    return tuple(
        MonthProgress(
            office=place,
            month=month,
            planned=planned.get((month, place), 0),
            installed=hung.get((month, place), 0),
        )
        for month, place in sorted(planned.keys() | hung.keys())
        if below is None or place in below
    )


def order_counts(connection: Connection, *, office: str | None = None) -> Mapping[OrderState, int]:
    """
    Return how many work orders (of an office and those below it) are in each state, in the order of their life.

    :raises UnknownOffice: if there is no such office.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    counted = store.order_counts(connection, offices=below)
    return {state: counted.get(state, 0) for state in OrderState}


def never_heard(connection: Connection, *, now: datetime, office: str | None = None) -> tuple[WorkOrder, ...]:
    """
    Return the orders whose meter hangs for longer than `UNHEARD_AFTER` and was never read, the oldest first.

    :raises UnknownOffice: if there is no such office.
    """
    heard = {each.number for each in read_first(connection, now=now)}
    waiting = [
        each
        for each in orders(connection, state=OrderState.INSTALLED, office=office)
        if each.number not in heard
        and each.installed_at is not None
        and now - each.installed_at > UNHEARD_AFTER
    ]
    return tuple(sorted(waiting, key=lambda each: (each.installed_at or now, each.number)))


def _hung(connection: Connection) -> tuple[tuple[str | None, datetime | None], ...]:
    """Return the office and the time of hanging of each meter of the stock that hangs."""
    hung_at = {item.serial: item.installed_at for item in store.items(connection, state=StockState.INSTALLED)}
    return tuple(
        (place.office, hung_at[place.meter])
        for place in registry.installations(connection)
        if place.to_at is None and place.meter in hung_at
    )


def _by_office(connection: Connection, *, plan: Iterable[Target], month: Month) -> tuple[OfficeProgress, ...]:
    planned: dict[str, int] = {}
    for target in plan:
        planned[target.office] = planned.get(target.office, 0) + target.meters
    below = {code: offices.offices_below(connection, code=code) for code in planned}
    installed: dict[str, int] = {}
    lately: dict[str, int] = {}
    for place, at in _hung(connection):
        for code, branch in below.items():
            if place in branch:
                installed[code] = installed.get(code, 0) + 1
                lately[code] = lately.get(code, 0) + int(at is not None and at in month.period)
    return tuple(
        OfficeProgress(
            office=code, planned=count, installed=installed.get(code, 0), this_month=lately.get(code, 0)
        )
        for code, count in sorted(planned.items())
    )
