"""Who is due to be cut by age and bills, each with the decision: for a list and for its preview alike."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.arrears import gather, order_store, rules
from bijlighar.arrears.model import Decision, Facts, ListState, OrderState, Stage
from bijlighar.arrears.policy import Policy
from bijlighar.base.period import local_date
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import Due
from bijlighar.registry import queries as registry

#: The most rows of one list.
ROWS_MAX = 20_000
LISTS_MAX = 1_000


def considered(
    connection: Connection,
    *,
    office: str,
    policy: Policy,
    now: datetime,
    disregarded: Collection[int] = (),
) -> Iterator[tuple[str, Facts, Decision]]:
    """
    Yield every account of an office that is due by age and bills, with the facts and the decision about it.

    The orders in `disregarded` are taken as gone: a new list takes their place.
    """
    accounts = _due_accounts(connection, office=office, policy=policy, now=now)
    contacts = gather.contacts(connection) if accounts else {}
    for account in accounts[:ROWS_MAX]:
        facts = gather.facts_of(connection, account=account, policy=policy, now=now, contacts=contacts)
        if facts.other_order in disregarded:
            facts = replace(facts, other_order=None)
        yield account, facts, rules.decide(facts=facts, policy=policy, now=now, stage=Stage.DRAW)


def replaceable(connection: Connection, *, office: str) -> frozenset[int]:
    """Return the orders that a new list of the office would take the place of."""
    drawn = order_store.lists(connection, offices=(office,), state=ListState.DRAWN, limit=LISTS_MAX)
    return frozenset(
        order.number
        for item in drawn
        for order in order_store.orders(
            connection, list_number=item.number, states=(OrderState.LISTED,), limit=ROWS_MAX
        )
    )


def _due_accounts(connection: Connection, *, office: str, policy: Policy, now: datetime) -> tuple[str, ...]:
    numbers = [account.number for account in registry.accounts(connection, office=office)]
    open_dues: dict[str, list[Due]] = {}
    for part in gather.in_parts(numbers):
        for due in ledger.open_dues(connection, accounts=part):
            open_dues.setdefault(due.account, []).append(due)
    today = local_date(now)
    return tuple(
        sorted(
            account
            for account, dues in open_dues.items()
            if rules.is_old_enough(gather.due_facts(dues), policy=policy, on=today)
        )
    )
