"""What other rooms may ask: lists and orders, ageing, open reasons, halts, and a decision explained in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import account_store, collecting, decision_store, gather, order_store, rules
from bijlighar.arrears.collecting import Collections
from bijlighar.arrears.errors import UnknownList
from bijlighar.arrears.explaining import OF_THE_FUTURE, OF_THE_PAST, Explanation, explained
from bijlighar.arrears.model import (
    WATCHED,
    Ageing,
    Circumstance,
    DecisionRow,
    DisconnectionList,
    Facts,
    Halt,
    ListState,
    NoticeFact,
    Order,
    OrderState,
    OrderTotals,
    Stage,
    Way,
)
from bijlighar.arrears.order_store import CommandRow
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.queue import Queue as Queue
from bijlighar.arrears.queue import queue as queue
from bijlighar.arrears.queue import story as story
from bijlighar.arrears.restoring import Restoration as Restoration
from bijlighar.arrears.restoring import restoration as restoration
from bijlighar.arrears.sheet import Sheet as Sheet
from bijlighar.arrears.sheet import SheetRow as SheetRow
from bijlighar.arrears.sheet import approval_sheet as approval_sheet
from bijlighar.arrears.sheet import draft_sheet as draft_sheet
from bijlighar.arrears.sheet import list_sheet as list_sheet
from bijlighar.base.period import Month, local_date, local_time
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.headend import queries as headend
from bijlighar.headend.model import ControlReason
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import Received
from bijlighar.offices import queries as offices
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences

LISTS_MAX = 1_000
ORDERS_MAX = 20_000
DECISIONS_MAX = 1_000
RECEIPTS_MAX = 20_000
#: How many of the newest receipts are shown at once.
NEWEST_SHOWN = 50
#: The reader under which ended commands are pulled.
READER = "arrears.follow"
#: For so long an order by hand that has ended is shown as one not to be carried out.
ENDED_SHOWN = timedelta(days=15)
NOON = time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandWork:
    """What the town office's people have to do, or must no longer do, at one meter."""

    order: Order
    name: str
    phone: str | None
    reconnect: bool
    forbidden: bool


def lists(
    connection: Connection,
    *,
    office: str | None = None,
    state: ListState | None = None,
    limit: int = LISTS_MAX,
) -> tuple[DisconnectionList, ...]:
    """Return the lists of an office and those below it, or of all, newest first."""
    below = None if office is None else offices.offices_below(connection, code=office)
    return order_store.lists(connection, offices=below, state=state, limit=min(limit, LISTS_MAX))


def disconnection_list(
    connection: Connection, *, number: int, office: str | None = None
) -> DisconnectionList:
    """
    Return one list, of an office or one below it where `office` is given.

    :raises UnknownList: if there is none of that number.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    for found in order_store.lists(connection, number=number, offices=below, limit=1):
        return found
    raise UnknownList(f"there is no list {number}; `bijlighar arrears list show` names them all")


def list_lines(connection: Connection, *, number: int) -> tuple[Order, ...]:
    """Return the rows of a list, those that were left out too."""
    return order_store.orders(connection, list_number=number, limit=ORDERS_MAX)


def orders(
    connection: Connection,
    *,
    states: Sequence[OrderState] | None = None,
    account: str | None = None,
    office: str | None = None,
    limit: int = ORDERS_MAX,
) -> tuple[Order, ...]:
    """
    Return orders by number.

    :raises InvalidValue: if no account can have this number.
    """
    check_text(account or "", what="the account number", letters_max=CODE_MAX)
    below = None if office is None else offices.offices_below(connection, code=office)
    return order_store.orders(
        connection, states=states, account=account, offices=below, limit=min(limit, ORDERS_MAX)
    )


def order(connection: Connection, *, number: int) -> Order | None:
    """Return one order, None if there is none of that number."""
    return order_store.order(connection, number=number)


def commands(connection: Connection, *, order_number: int) -> tuple[CommandRow, ...]:
    """Return the commands that were queued in the head-end for an order."""
    return order_store.commands(connection, order_number=order_number)


def decisions(
    connection: Connection,
    *,
    account: str | None = None,
    order_number: int | None = None,
    limit: int = DECISIONS_MAX,
) -> tuple[DecisionRow, ...]:
    """Return the stored decisions with everything they were made from, newest first."""
    return decision_store.decisions(
        connection, account=account, order_number=order_number, limit=min(limit, DECISIONS_MAX)
    )


def totals(connection: Connection) -> OrderTotals:
    """Return how many rows of all lists came how far."""
    return order_store.totals(connection)


def count_notices(connection: Connection) -> int:
    """Return how many statutory notices there ever were."""
    return account_store.count_notices(connection)


def open_reasons(connection: Connection, *, account: str) -> frozenset[ControlReason]:
    """Return why the supply of an account is off; empty if it is on."""
    return account_store.open_reasons(connection, accounts=(account,)).get(account, frozenset())


def all_open_reasons(connection: Connection) -> Mapping[str, frozenset[ControlReason]]:
    """Return why supplies are off, by account."""
    return account_store.open_reasons(connection)


def ageing(connection: Connection, *, office: str | None = None) -> tuple[Ageing, ...]:
    """Return the newest ageing of the accounts of an office and those below it, or of all."""
    below = None if office is None else offices.offices_below(connection, code=office)
    return account_store.ageing(connection, offices=below)


def collections(
    connection: Connection,
    *,
    now: datetime,
    office: str | None = None,
    month: Month | None = None,
    newest: int = NEWEST_SHOWN,
) -> Collections:
    """
    Return what was received today and in a month (this one) against what was billed, and what is owed how long.

    With `office`, of the accounts of that office and those below it; unmatched payments belong to no office.

    :raises UnknownOffice: if there is no such office.
    """
    today = local_date(now)
    month = min(month or Month.of(today), Month.of(today))
    first, last = month.first, min(month.last, today)
    office_of = {each.number: each.office for each in registry.accounts(connection, office=office)}
    everybody = office is None

    def ours(rows: Iterable[Received]) -> tuple[Received, ...]:
        return tuple(row for row in rows if everybody or row.account in office_of)

    received_today = ours(ledger.received(connection, first=today, last=today))
    received = ours(ledger.received(connection, first=first, last=last))
    issued = ledger.issued_paise(connection, first=first, last=last)
    demand = {number: paise for number, paise in issued.items() if everybody or number in office_of}
    demand_paise, month_paise = sum(demand.values()), sum(row.amount_paise for row in received)
    aged = ageing(connection, office=office)
    unmatched = ledger.unmatched(connection)
    return Collections(
        on=today,
        month=month,
        today_paise=sum(row.amount_paise for row in received_today),
        payments_today=sum(row.payments for row in received_today),
        month_paise=month_paise,
        payments_month=sum(row.payments for row in received),
        demand_paise=demand_paise,
        efficiency_pct=collecting.efficiency_pct(received_paise=month_paise, demand_paise=demand_paise),
        channels=collecting.channel_sums(today=received_today, month=received),
        offices=collecting.office_sums(demand=demand, received=received, office_of=office_of.get),
        ageing=collecting.ageing_sum(aged),
        ageing_by_office=collecting.ageing_by_office(aged),
        assessed_on=assessed_on(connection),
        unmatched=unmatched,
        unmatched_paise=sum(each.amount_paise for each in unmatched),
        newest=ledger.newest_payments(
            connection, limit=min(newest, RECEIPTS_MAX), accounts=None if everybody else office_of
        ),
    )


def assessed_on(connection: Connection) -> date | None:
    """Return the newest day that was assessed whole."""
    return account_store.last_assessment(connection)


def notices(connection: Connection, *, account: str, policy: Policy) -> tuple[NoticeFact, ...]:
    """Return the statutory notices of an account, each with the day on which its service is proven."""
    return gather.served_notices(connection, account=account, policy=policy)


def circumstances(connection: Connection, *, account: str) -> tuple[Circumstance, ...]:
    """Return the disputes, instalment plans and other circumstances of an account that stand."""
    return account_store.circumstances(connection, accounts=(account,)).get(account, ())


def halts(connection: Connection, *, office: str | None = None) -> tuple[Halt, ...]:
    """Return the halts that stand, or those of them that stop an office, one below it or all of it."""
    standing = account_store.halts(connection)
    if office is None:
        return standing
    below = offices.offices_below(connection, code=office)
    return tuple(
        halt
        for halt in standing
        if halt.office in below or office in gather.halted_branch(connection, halt=halt)
    )


def is_halted(connection: Connection, *, office: str | None = None) -> bool:
    """Return whether the kill switch is thrown for the company or for the office (itself or above it)."""
    return gather.is_halted(connection, office=office or "")


def pending_assess(connection: Connection, *, now: datetime, policy: Policy) -> int:
    """Return how much an assessment would do now: the day's own, warnings to give or to note, what has lapsed."""
    _, finished = account_store.assessment(connection, on=local_date(now))
    oldest = now - timedelta(days=policy.approval_valid_days)
    states = (OrderState.APPROVED, OrderState.WARNED, OrderState.MANUAL)
    waiting = 0 if finished else 1
    for row in order_store.orders(connection, states=states, limit=ORDERS_MAX):
        lapsed = row.approved_at is not None and row.approved_at < oldest
        unnoted = row.state is OrderState.WARNED and row.warned_at is None
        waiting += (
            lapsed
            or row.state is OrderState.APPROVED
            or (unnoted and gather.gone_out_at(connection, order=row) is not None)
        )
    return waiting


def pending_send(connection: Connection, *, now: datetime, policy: Policy) -> int:
    """Return how many warned orders wait to be decided on now; none outside the cutting hours or under a halt."""
    if not rules.is_cutting_time(now, policy=policy) or gather.is_halted(connection, office=""):
        return 0
    return order_store.count_orders(connection, states=(OrderState.WARNED,), due_at=now)


def pending_follow(connection: Connection, *, now: datetime) -> int:
    """Return how many ended commands were not looked at, and how many orders `ensure_reconnects` would look at."""
    seen = sequences.watermark(connection, reader=READER)
    told = len(headend.finished_commands(connection, after=seen, limit=ORDERS_MAX))
    return told + order_store.count_orders(connection, states=sorted(WATCHED), due_at=now)


def pending(connection: Connection, *, now: datetime, policy: Policy) -> int:
    """Return how much there is to send, to follow and to look after now; `pending_assess` is counted apart."""
    return pending_send(connection, now=now, policy=policy) + pending_follow(connection, now=now)


def hand_work(
    connection: Connection, *, now: datetime, policy: Policy, office: str | None = None
) -> tuple[HandWork, ...]:
    """
    Return what the people of an office have to do at meters, reconnections first.

    A reconnection over the air that is not verified in time is done by hand as well. An order that has ended is
    shown for a while as one that must not be carried out: whoever is on the way has to see it.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    states = (
        OrderState.MANUAL,
        OrderState.RECONNECTING,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
    )
    late = now - timedelta(minutes=policy.by_hand_after_minutes)
    found: list[HandWork] = []
    for row in order_store.orders(connection, states=states, offices=below, limit=ORDERS_MAX):
        ended = row.state in (OrderState.CANCELLED, OrderState.EXPIRED)
        handed_over = row.way is Way.BY_HAND and row.sent_at is not None
        if ended and not (handed_over and row.sent_at is not None and row.sent_at >= now - ENDED_SHOWN):
            continue
        overdue = row.released_at is not None and row.released_at <= late
        if row.state is OrderState.RECONNECTING and row.way is Way.RELAY and not overdue:
            continue
        customer = registry.account(connection, number=row.account)
        found.append(
            HandWork(
                order=row,
                name=customer.name,
                phone=customer.phone,
                reconnect=row.state is OrderState.RECONNECTING,
                forbidden=ended,
            )
        )
    return tuple(sorted(found, key=lambda work: (not work.reconnect, work.forbidden, work.order.number)))


def facts(
    connection: Connection,
    *,
    account: str,
    policy: Policy,
    now: datetime,
    money_at: datetime | None = None,
) -> Facts:
    """
    Return everything a decision about an account depends on, as it stands now.

    With `money_at`, dues, payments on their way, notices and protections are those of that earlier moment.

    :raises UnknownAccount: if the registry has no such account.
    :raises InvalidValue: if no account can have this number.
    """
    check_text(account, what="the account number", letters_max=CODE_MAX)
    active = order_store.active_order(connection, account=account)
    return gather.facts_of(
        connection,
        account=account,
        policy=policy,
        now=now,
        order=active,
        contacts=gather.contacts(connection),
        money_at=money_at,
    )


def explain(
    connection: Connection, *, account: str, policy: Policy, now: datetime, on: date | None = None
) -> Explanation:
    """
    Return in words what an account owes, what it was told, what would be decided, and when it could be cut at all.

    With `on` everything is judged as of noon of that day: of an earlier day by the dues, payments, notices and
    protections of that noon and by today's order, circumstances, halts and meter; of a day to come by today's
    knowledge. The explanation says so.

    :raises UnknownAccount: if the registry has no such account.
    """
    moment = now if on is None else local_time(on, NOON)
    past = on is not None and on < local_date(now)
    known = facts(connection, account=account, policy=policy, now=now, money_at=moment if past else None)
    active = order_store.active_order(connection, account=account)
    stage = Stage.DRAW if active is None else Stage.SEND
    if active is not None:
        counted = gather.sent_counts(connection, office=known.office, now=moment)
        known = gather.with_counts(known, sent=counted)
    decision = rules.decide(facts=known, policy=policy, now=moment, stage=stage)
    return explained(
        facts=known,
        decision=decision,
        name=registry.account(connection, number=account).name,
        order=active,
        policy=policy,
        now=moment,
        basis=None if on is None or on == local_date(now) else OF_THE_PAST if past else OF_THE_FUTURE,
    )
