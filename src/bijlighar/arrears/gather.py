"""Load what a decision depends on, fresh, in the caller's transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import account_store, order_store
from bijlighar.arrears.model import (
    DueFact,
    Facts,
    Halt,
    NoticeFact,
    Order,
    OrderFact,
    ProtectionFact,
    SentCounts,
    SupplyFact,
)
from bijlighar.arrears.policy import Policy
from bijlighar.base.period import Period, local_date, local_midnight
from bijlighar.headend import queries as headend
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import Due, DueKind, HoldKind, Standing
from bijlighar.notices import queries as notices
from bijlighar.notices.model import Channel, MessageState, Purpose
from bijlighar.offices import queries as offices
from bijlighar.registry import queries as registry

#: s.56(1), proviso: the average of the preceding six months.
AVERAGE_DAYS = 183
#: How many accounts stand in one SQL list.
ACCOUNTS_PER_QUERY = 500

Contacts = Mapping[str, datetime]

#: What shows that a message left for the consumer; paper counts once a person has recorded that it was handed over.
GONE_OUT = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})


def facts_of(
    connection: Connection,
    *,
    account: str,
    policy: Policy,
    now: datetime,
    order: Order | None = None,
    sent: SentCounts | None = None,
    contacts: Contacts | None = None,
    money_at: datetime | None = None,
) -> Facts:
    """
    Return everything a decision about one account depends on, as it stands now.

    With `money_at`, dues, payments on their way, notices and protections are those of that earlier moment.

    :raises UnknownAccount: if the registry has no such account.
    """
    customer = registry.account(connection, number=account)
    today = local_date(money_at or now)
    money = _money(connection, account=account, at=money_at)
    active = order_store.active_order(connection, account=account)
    office = customer.office or ""
    return Facts(
        account=account,
        office=office,
        category=customer.category,
        dues=due_facts(money.dues),
        unallocated_paise=money.unallocated_paise,
        holds_paise=sum(hold.amount_paise for hold in money.holds if hold.kind is not HoldKind.PROTEST),
        protest_paise=sum(hold.amount_paise for hold in money.holds if hold.kind is HoldKind.PROTEST),
        average_month_paise=average_month_paise(money.dues, on=today),
        notices=notices_by(served_notices(connection, account=account, policy=policy), on=today),
        protections=tuple(
            ProtectionFact(kind=item.kind, certificate=item.certificate, until=item.until)
            for item in registry.protections(connection, on=today, account=account)
        ),
        circumstances=account_store.circumstances(connection, accounts=(account,)).get(account, ()),
        supply=supply_of(connection, account=account, now=now, contacts=contacts),
        other_order=active.number
        if active is not None and (order is None or active.number != order.number)
        else None,
        order=None if order is None else order_fact(order),
        sent=sent,
        halted=is_halted(connection, office=office),
    )


def _money(connection: Connection, *, account: str, at: datetime | None) -> Standing:
    if at is not None:
        return ledger.standing(connection, account=account, at=at)
    return Standing(
        dues=ledger.dues(connection, account=account),
        unallocated_paise=ledger.unallocated_paise(connection, account=account),
        holds=ledger.holds(connection, account=account),
    )


def notices_by(notices: Sequence[NoticeFact], *, on: date) -> tuple[NoticeFact, ...]:
    """Return the notices written up to a day, each with its service if that was by then."""
    return tuple(
        notice if notice.served_on is None or notice.served_on <= on else replace(notice, served_on=None)
        for notice in notices
        if notice.queued_on <= on
    )


def due_facts(dues: Sequence[Due]) -> tuple[DueFact, ...]:
    """Return the ledger's open dues as facts."""
    return tuple(
        DueFact(
            document=due.document,
            is_bill=due.kind is DueKind.BILL,
            open_paise=due.open_paise,
            issued_on=due.issued_on,
            due_on=due.due_on,
            first_due_on=due.first_due_on,
        )
        for due in dues
        if due.open_paise > 0
    )


def average_month_paise(dues: Sequence[Due], *, on: date) -> int | None:
    """Return the average of the bills issued in the six months before a day [paise], None if there was none."""
    first = on - timedelta(days=AVERAGE_DAYS)
    amounts = [due.amount_paise for due in dues if due.kind is DueKind.BILL and first <= due.issued_on <= on]
    return sum(amounts) // len(amounts) if amounts else None


def served_notices(connection: Connection, *, account: str, policy: Policy) -> tuple[NoticeFact, ...]:
    """Return the statutory notices of an account, each with the day on which its service is proven."""
    queued = account_store.notices(connection, accounts=(account,)).get(account, ())
    found: list[NoticeFact] = []
    for notice in queued:
        proof = notices.proof_of_service(
            connection,
            account=account,
            purpose=Purpose.STATUTORY_NOTICE,
            reference=notice.reference,
            rule=policy.served_by,
        )
        served_on, served_by = proof or (None, None)
        found.append(replace(notice, served_on=served_on, served_by=served_by))
    return tuple(found)


def supply_of(
    connection: Connection, *, account: str, now: datetime, contacts: Contacts | None
) -> SupplyFact:
    """Return what hangs at the account's place of supply now; without `contacts` nobody knows when it was heard."""
    moment = Period(start=now, end=now + timedelta(microseconds=1))
    hanging = [
        row
        for row in registry.installations(connection, account=account, period=moment)
        if row.meter_type.is_of_consumer and row.hangs_at(now)
    ]
    reasons = account_store.open_reasons(connection, accounts=(account,)).get(account, frozenset())
    if not hanging:
        return SupplyFact(meter=None, has_relay=False, feeder=None, last_contact=None, open_reasons=reasons)
    device = registry.end_device(connection, serial=hanging[0].meter)
    return SupplyFact(
        meter=device.serial,
        has_relay=device.has_relay,
        feeder=hanging[0].feeder,
        last_contact=None if contacts is None else contacts.get(device.serial),
        open_reasons=reasons,
    )


def order_fact(order: Order) -> OrderFact:
    """Return what a decision looks at of an order."""
    return OrderFact(
        number=order.number,
        meter=order.meter,
        drawn_by=order.drawn_by,
        approved_by=order.approved_by,
        approved_at=order.approved_at,
        warned_at=order.warned_at,
    )


def contacts(connection: Connection) -> Contacts:
    """Return when each meter was heard last."""
    return headend.last_contact(connection)


def sent_counts(connection: Connection, *, office: str, now: datetime) -> SentCounts:
    """Return how many disconnections have been sent in the last hour, and today in an office."""
    today = Period.of_local_day(local_date(now))
    return SentCounts(
        last_hour=order_store.sent_since(connection, since=now - timedelta(hours=1)),
        office_today=order_store.sent_since(connection, since=today.start, office=office),
        office_accounts=len(registry.accounts(connection, office=office)) if office else 0,
    )


def is_halted(connection: Connection, *, office: str) -> bool:
    """Return whether the kill switch is thrown for the company, the office or one above it."""
    halted = {halt.office for halt in account_store.halts(connection)}
    if not halted:
        return False
    if "" in halted:
        return True
    parents = {item.code: item.parent for item in offices.offices(connection)}
    above: str | None = office
    for _ in range(len(parents) + 1):
        if above is None:
            return False
        if above in halted:
            return True
        above = parents.get(above)
    return True


def halted_branch(connection: Connection, *, halt: Halt) -> tuple[str, ...]:
    """Return the offices that a halt stops."""
    if not halt.office:
        return tuple(item.code for item in offices.offices(connection))
    return offices.offices_below(connection, code=halt.office)


def in_parts(accounts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the accounts in parts that fit into one SQL list."""
    for start in range(0, len(accounts), ACCOUNTS_PER_QUERY):
        yield accounts[start : start + ACCOUNTS_PER_QUERY]


def with_counts(facts: Facts, *, sent: SentCounts) -> Facts:
    """Return the facts with the counts that the ceilings are held against."""
    return replace(facts, sent=sent)


def warning_key(order_number: int) -> str:
    """
    Return the key of an order's last warning.

    >>> warning_key(7)
    'warning:7'
    """
    return f"warning:{order_number}"


def gone_out_at(connection: Connection, *, order: Order) -> datetime | None:
    """Return when an order's last warning went out, None while nothing shows it."""
    key = warning_key(order.number)
    moments = [
        message.changed_at
        for message in notices.messages(connection, account=order.account, reference=key)
        if message.channel is not Channel.PRINT and message.state in GONE_OUT
    ]
    handed_over_on = notices.served_on(
        connection,
        account=order.account,
        purpose=Purpose.LAST_WARNING,
        reference=key,
        rule=(Channel.PRINT.value,),
    )
    if handed_over_on is not None:
        moments.append(local_midnight(handed_over_on) + timedelta(days=1) - timedelta(seconds=1))
    return min(moments, default=None)
