"""The last warning: queued once per approved order, and counted from the moment it is known to have gone out."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.arrears import account_store, gather, order_store, rules, steps
from bijlighar.arrears.model import OrderEvent, OrderState
from bijlighar.arrears.policy import Policy
from bijlighar.base.period import local_date, local_midnight
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

#: How a statutory notice is found by its number; None where it stands on no page.
NoticeLink = Callable[[str], str] | None

ORDERS_PER_RUN = 5_000


def warn(connection: Connection, *, number: int, now: datetime, policy: Policy, link: NoticeLink) -> None:
    """
    Queue the last warning of an approved order, whose account is locked, and step the order.

    Its link is the page of the account's newest statutory notice.
    """
    order = steps.hold_order(connection, number=number, now=now)
    customer = registry.account(connection, number=order.account)
    earliest = rules.first_day_after_clear_days(served_on=local_date(now), clear_days=policy.warning_days)
    cut_at = rules.next_cutting_time(after=local_midnight(earliest), policy=policy)
    cut_on = earliest if cut_at is None else local_date(cut_at)
    notices.queue(
        connection,
        account=order.account,
        purpose=Purpose.LAST_WARNING,
        key=gather.warning_key(number),
        facts={
            "name": customer.name,
            "amount_paise": str(order.due_paise),
            "cut_on": cut_on.isoformat(),
        },
        link=_page(connection, account=order.account, link=link),
        now=now,
    )
    steps.step(connection, order=order, event=OrderEvent.WARN)


def _page(connection: Connection, *, account: str, link: NoticeLink) -> str | None:
    notices_given = account_store.notices(connection, accounts=(account,)).get(account, ())
    return link(notices_given[-1].reference) if link is not None and notices_given else None


def warn_approved(database: Database, *, now: datetime, policy: Policy, link: NoticeLink) -> int:
    """Queue the last warning of every approved order that has none yet and return how many."""
    with database.read() as connection:
        waiting = order_store.orders(connection, states=(OrderState.APPROVED,), limit=ORDERS_PER_RUN)
    warned = 0
    for order in waiting:
        with database.write() as connection:
            held = steps.hold_order(connection, number=order.number, now=now)
            if held.state is OrderState.APPROVED:
                warn(connection, number=order.number, now=now, policy=policy, link=link)
                warned += 1
    return warned


def note_warnings(database: Database, *, now: datetime) -> int:
    """Stamp the orders whose last warning is now known to have gone out and return how many."""
    noted = 0
    with database.read() as connection:
        waiting = [
            order
            for order in order_store.orders(connection, states=(OrderState.WARNED,), limit=ORDERS_PER_RUN)
            if order.warned_at is None
        ]
        gone = {order.number: gather.gone_out_at(connection, order=order) for order in waiting}
    for number, at in gone.items():
        if at is None:
            continue
        with database.write() as connection:
            held = steps.hold_order(connection, number=number, now=now)
            if held.state is OrderState.WARNED and held.warned_at is None:
                order_store.stamp_order(connection, number=number, warned_at=min(at, now))
                noted += 1
    return noted
