"""The daily assessment: ageing of every account, statutory notices, last warnings, what has lapsed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import account_store, gather, order_store, rules, steps
from bijlighar.arrears.listing import lapse_lists
from bijlighar.arrears.model import Ageing, DueFact, OrderEvent, OrderState
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.warning import ORDERS_PER_RUN, NoticeLink, note_warnings, warn_approved
from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import Due
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.offices import queries as offices
from bijlighar.offices.model import Office
from bijlighar.registry import queries as registry
from bijlighar.registry.model import CustomerAccount
from bijlighar.storage.engine import Database

FRESH = "fresh"


def assess(database: Database, *, now: datetime, policy: Policy, link: NoticeLink = None) -> int:
    """
    Assess every account once per IST day and return how many statutory notices were queued now.

    A second call of the same day only sees to last warnings and to what has lapsed. A run that was cut off goes on
    where it stopped. `link` tells under which address a notice of a given number can be read.
    """
    today = local_date(now)
    warn_approved(database, now=now, policy=policy, link=link)
    note_warnings(database, now=now)
    lapse_lists(database, now=now, policy=policy)
    lapse_orders(database, now=now, policy=policy)
    with database.read() as connection:
        reached, finished = account_store.assessment(connection, on=today)
        if finished:
            return 0
        accounts = sorted(
            (item for item in registry.accounts(connection) if item.number > reached),
            key=lambda item: item.number,
        )
        known = {item.code: item for item in offices.offices(connection)}
    queued = 0
    for start in range(0, len(accounts), gather.ACCOUNTS_PER_QUERY):
        part = accounts[start : start + gather.ACCOUNTS_PER_QUERY]
        with database.write() as connection:
            notices_now = _assess_part(
                connection,
                accounts=part,
                offices_by_code=known,
                policy=policy,
                now=now,
                link=link,
            )
            account_store.save_assessment(
                connection, on=today, reached=part[-1].number, notices=notices_now, finished_at=None
            )
        queued += notices_now
    with database.write() as connection:
        last = accounts[-1].number if accounts else reached
        account_store.save_assessment(connection, on=today, reached=last, notices=0, finished_at=now)
    return queued


def _assess_part(
    connection: Connection,
    *,
    accounts: Sequence[CustomerAccount],
    offices_by_code: Mapping[str, Office],
    policy: Policy,
    now: datetime,
    link: NoticeLink,
) -> int:
    numbers = [account.number for account in accounts]
    today = local_date(now)
    dues: dict[str, list[Due]] = {}
    for due in ledger.open_dues(connection, accounts=numbers):
        dues.setdefault(due.account, []).append(due)
    known = {row.account for row in account_store.ageing(connection, accounts=numbers)}
    rows: list[Ageing] = []
    queued = 0
    for account in accounts:
        facts = gather.due_facts(dues.get(account.number, ()))
        if not facts and account.number not in known:
            continue
        office = account.office or ""
        rows.append(rules.ageing(account=account.number, office=office, dues=facts, policy=policy, on=today))
        if rules.wants_notice(facts, policy=policy, on=today):
            queued += _give_notice(
                connection,
                account=account,
                office=offices_by_code.get(office),
                dues=facts,
                policy=policy,
                now=now,
                link=link,
            )
    account_store.save_ageing(connection, rows=rows)
    return queued


def notice_reference(document: str) -> str:
    """
    Return the number of the statutory notice of a due episode, which begins with its oldest due.

    >>> notice_reference("B-2025-04-17")
    'S56-B-2025-04-17'
    """
    return f"S56-{document}"


def _give_notice(
    connection: Connection,
    *,
    account: CustomerAccount,
    office: Office | None,
    dues: Sequence[DueFact],
    policy: Policy,
    now: datetime,
    link: NoticeLink,
) -> bool:
    """Queue the statutory notice of the episode that begins with the oldest due, if it was not given yet."""
    today = local_date(now)
    late = rules.overdue(dues, on=today)
    reference = notice_reference(late[0].document)
    amount_paise = sum(due.open_paise for due in late)
    added = account_store.add_notice(
        connection,
        reference=reference,
        account=account.number,
        documents=[due.document for due in late],
        amount_paise=amount_paise,
        queued_on=today,
    )
    if not added:
        return False
    earliest = rules.first_day_after_clear_days(served_on=today, clear_days=policy.clear_days)
    notices.queue(
        connection,
        account=account.number,
        purpose=Purpose.STATUTORY_NOTICE,
        key=reference,
        facts={
            "name": account.name,
            "reference": reference,
            "amount_paise": str(amount_paise),
            "oldest_due_on": late[0].due_on.isoformat(),
            "cut_not_before_on": earliest.isoformat(),
            "office": _office_words(office, account=account).in_language(
                "en" if account.language == "en" else "hi"
            ),
        },
        link=None if link is None else link(reference),
        now=now,
    )
    return True


def _office_words(office: Office | None, *, account: CustomerAccount) -> Words:
    if office is not None:
        return office.name
    return Words(hi=account.office or "वितरण केंद्र", en=account.office or "town office")


def lapse_orders(database: Database, *, now: datetime, policy: Policy) -> int:
    """End the approved orders whose approval is no longer fresh and return how many."""
    oldest = now - timedelta(days=policy.approval_valid_days)
    states = (OrderState.APPROVED, OrderState.WARNED, OrderState.MANUAL)
    with database.read() as connection:
        waiting = order_store.orders(connection, states=states, limit=ORDERS_PER_RUN)
    lapsed = 0
    for order in waiting:
        if order.approved_at is None or order.approved_at >= oldest:
            continue
        with database.write() as connection:
            held = steps.hold_order(connection, number=order.number, now=now)
            if held.state in states:
                steps.step(connection, order=held, event=OrderEvent.LAPSE, reason_codes=[FRESH])
                lapsed += 1
    return lapsed
