"""A list as people read it: one row per account with its name, notice, last payment, meter and verdict in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from bijlighar.arrears import decision_store, gather, order_store, rules
from bijlighar.arrears.considering import ROWS_MAX, considered, replaceable
from bijlighar.arrears.model import (
    Decision,
    DecisionRow,
    DisconnectionList,
    Facts,
    Order,
    OrderState,
    Stage,
    Way,
)
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.wording import Standing, reasons_of, refused, standing, telling
from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.ledger import queries as ledger
from bijlighar.registry import queries as registry
from bijlighar.registry.model import protection_words


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeShown:
    """The notice of a row: the newest that is proven served, else the newest that went out."""

    queued_on: date
    served_on: date | None
    served_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """
    One account of a list, or of a list that would be drawn up.

    order: None where there is no list yet.
    state: of the order; LISTED or EXCLUDED where there is none yet.
    paid_at, paid_paise: the newest payment.
    protections: those that stand today.
    """

    order: int | None
    account: str
    name: str
    category: str
    transformer: str | None
    meter: str | None
    overdue_paise: int
    due_paise: int
    oldest_due_on: date
    days: int
    bills: int
    notice: NoticeShown | None
    paid_at: datetime | None
    paid_paise: int
    protections: tuple[Words, ...]
    last_contact: datetime | None
    way: Way
    state: OrderState
    standing: Standing
    reasons: tuple[Words, ...]
    reason_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The rows of a list, by account."""

    rows: tuple[SheetRow, ...]

    @property
    def overdue_paise(self) -> int:
        """Return the arrears of all rows [paise]."""
        return sum(row.overdue_paise for row in self.rows)

    def count(self, *standings: Standing) -> int:
        """Return how many rows stand in one of `standings`."""
        return sum(row.standing in standings for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Background:
    """What is looked up for all rows at once."""

    names: Mapping[str, tuple[str, str]]
    transformers: Mapping[str, str | None]
    payments: Mapping[str, tuple[datetime, int]]
    protections: Mapping[str, tuple[Words, ...]]
    contacts: gather.Contacts


def list_sheet(connection: Connection, *, number: int, now: datetime) -> Sheet:
    """Return the rows of a list as they stand, each with the words of the newest decision about it."""
    orders = order_store.orders(connection, list_number=number, limit=ROWS_MAX)
    decisions = decision_store.newest_decisions(connection, orders=[order.number for order in orders])
    background = _background(connection, accounts=[order.account for order in orders], now=now)
    rows = (_row(order, decisions.get(order.number), background=background, now=now) for order in orders)
    return Sheet(rows=tuple(sorted(rows, key=lambda row: row.account)))


def draft_sheet(connection: Connection, *, office: str, policy: Policy, now: datetime) -> Sheet:
    """Return the list that the office would draw up now, without drawing it up."""
    cases = tuple(
        considered(
            connection,
            office=office,
            policy=policy,
            now=now,
            disregarded=replaceable(connection, office=office),
        )
    )
    background = _background(connection, accounts=[account for account, _, _ in cases], now=now)
    return Sheet(
        rows=tuple(_drafted(facts, decision, background=background, now=now) for _, facts, decision in cases)
    )


def approval_sheet(
    connection: Connection, *, drawn: DisconnectionList, policy: Policy, now: datetime
) -> Sheet:
    """
    Return what approving a list now would decide, without approving it.

    The rows that it would approve stand as READY; a listed one that it would refuse stands with why.
    """
    sheet = list_sheet(connection, number=drawn.number, now=now)
    contacts = gather.contacts(connection)
    orders = {
        order.number: order
        for order in order_store.orders(
            connection, list_number=drawn.number, states=(OrderState.LISTED,), limit=ROWS_MAX
        )
    }
    rows: list[SheetRow] = []
    for row in sheet.rows:
        order = orders.get(row.order or 0)
        if order is None:
            rows.append(row)
            continue
        facts = gather.facts_of(
            connection, account=row.account, policy=policy, now=now, order=order, contacts=contacts
        )
        decision = rules.decide(facts=facts, policy=policy, now=now, stage=Stage.APPROVE)
        rows.append(_judged(row, decision))
    return Sheet(rows=tuple(rows))


def _background(connection: Connection, *, accounts: Sequence[str], now: datetime) -> _Background:
    known = registry.accounts_of(connection, numbers=accounts)
    hanging = registry.hanging(connection, accounts=accounts, at=now)
    protections: dict[str, tuple[Words, ...]] = {}
    for item in registry.protections(connection, on=local_date(now)):
        protections[item.account] = (*protections.get(item.account, ()), protection_words(item.kind))
    return _Background(
        names={number: (account.name, account.category) for number, account in known.items()},
        transformers={number: place.transformer for number, place in hanging.items()},
        payments={
            account: (payment.paid_at, payment.amount_paise)
            for account, payment in ledger.last_payments(connection, accounts=accounts).items()
        },
        protections=protections,
        contacts=gather.contacts(connection),
    )


def _row(order: Order, decision: DecisionRow | None, *, background: _Background, now: datetime) -> SheetRow:
    name, category = background.names.get(order.account, ("", ""))
    paid_at, paid_paise = background.payments.get(order.account, (None, 0))
    return SheetRow(
        order=order.number,
        account=order.account,
        name=name,
        category=category,
        transformer=background.transformers.get(order.account),
        meter=order.meter,
        overdue_paise=order.overdue_paise,
        due_paise=order.due_paise,
        oldest_due_on=order.oldest_due_on,
        days=rules.age_days(due_on=order.oldest_due_on, on=local_date(now)),
        bills=order.bills,
        notice=_notice_shown(_stored_notices(decision)),
        paid_at=paid_at,
        paid_paise=paid_paise,
        protections=background.protections.get(order.account, ()),
        last_contact=background.contacts.get(order.meter or ""),
        way=order.way,
        state=order.state,
        standing=standing(state=order.state, codes=order.reason_codes),
        reasons=reasons_of(codes=order.reason_codes, decision=decision),
        reason_codes=order.reason_codes,
    )


def _drafted(facts: Facts, decision: Decision, *, background: _Background, now: datetime) -> SheetRow:
    today = local_date(now)
    late = rules.overdue(facts.dues, on=today)
    name, category = background.names.get(facts.account, ("", ""))
    paid_at, paid_paise = background.payments.get(facts.account, (None, 0))
    bare = SheetRow(
        order=None,
        account=facts.account,
        name=name,
        category=category,
        transformer=background.transformers.get(facts.account),
        meter=facts.supply.meter,
        overdue_paise=sum(due.open_paise for due in late),
        due_paise=decision.due_paise,
        oldest_due_on=late[0].due_on,
        days=rules.age_days(due_on=late[0].due_on, on=today),
        bills=sum(due.is_bill for due in late),
        notice=_notice_shown(
            [
                NoticeShown(queued_on=item.queued_on, served_on=item.served_on, served_by=item.served_by)
                for item in facts.notices
            ]
        ),
        paid_at=paid_at,
        paid_paise=paid_paise,
        protections=background.protections.get(facts.account, ()),
        last_contact=facts.supply.last_contact,
        way=decision.way,
        state=OrderState.LISTED,
        standing=Standing.READY,
        reasons=(),
        reason_codes=(),
    )
    judged = _judged(bare, decision)
    return judged if decision.go else replace(judged, state=OrderState.EXCLUDED)


def _judged(row: SheetRow, decision: Decision) -> SheetRow:
    codes = tuple(reason.code for reason in decision.reasons)
    told = telling(codes)
    return replace(
        row,
        due_paise=decision.due_paise,
        way=decision.way,
        standing=Standing.READY if decision.go else refused(codes),
        reasons=tuple(reason.words for reason in decision.reasons if reason.code in told),
        reason_codes=codes,
    )


def _stored_notices(decision: DecisionRow | None) -> list[NoticeShown]:
    facts: Mapping[str, Any] = {} if decision is None else decision.record.get("facts", {})
    return [
        NoticeShown(
            queued_on=date.fromisoformat(item["queued_on"]),
            served_on=date.fromisoformat(item["served_on"]) if item["served_on"] else None,
            served_by=item.get("served_by"),
        )
        for item in facts.get("notices", ())
    ]


def _notice_shown(notices: Sequence[NoticeShown]) -> NoticeShown | None:
    served = [notice for notice in notices if notice.served_on is not None]
    newest = sorted(served or notices, key=lambda notice: notice.served_on or notice.queued_on)
    return newest[-1] if newest else None
