"""Lists: drawn up by the town office, approved by another person, frozen with a hash."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import gather, order_store, rules, steps
from bijlighar.arrears.considering import ROWS_MAX, considered
from bijlighar.arrears.errors import CountDiffers, NotToBeApproved, UnknownList
from bijlighar.arrears.model import (
    LIST_STEPS,
    DisconnectionList,
    ListEvent,
    ListState,
    Order,
    OrderEvent,
    OrderState,
    Stage,
)
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.warning import NoticeLink, warn
from bijlighar.base.lifecycle import next_state
from bijlighar.base.period import local_date
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.offices.rules import check_other_person
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database

LISTS_MAX = 1_000
REPLACED = "replaced"


def draw_up_list(database: Database, *, office: str, person: str, now: datetime, policy: Policy) -> int:
    """
    Draw up the disconnection list of an office and return its number; it takes the place of one not yet approved.

    Every account that is due by age and bills stands on it; who may not be cut stands there as left out, with why.

    :raises UnknownPerson: if nobody signs in so.
    :raises NotPermitted: if the person may not draw up this office's list.
    """
    today = local_date(now)
    with database.write() as connection:
        drawn_by = offices.authorise(connection, sign_in=person, act=Act.DRAW_UP_LIST, office=office).sign_in
        sequences.take(connection, name="arrears.list")  # two lists drawn at once would share accounts
        _replace_unapproved(connection, office=office, now=now)
        number = order_store.add_list(
            connection, office=office, drawn_by=drawn_by, drawn_at=now, policy_version=policy.version
        )
        listed = left_out = 0
        for account, facts, decision in considered(connection, office=office, policy=policy, now=now):
            late = rules.overdue(facts.dues, on=today)
            served = [notice.served_on for notice in facts.notices if notice.served_on is not None]
            order = order_store.add_order(
                connection,
                state=OrderState.LISTED if decision.go else OrderState.EXCLUDED,
                reason_codes=[reason.code for reason in decision.reasons],
                list_number=number,
                account=account,
                office=facts.office,
                meter=facts.supply.meter,
                feeder=facts.supply.feeder,
                way=decision.way.value,
                due_paise=decision.due_paise,
                overdue_paise=sum(due.open_paise for due in late),
                oldest_due_on=late[0].due_on,
                bills=sum(due.is_bill for due in late),
                notice_served_on=max(served, default=None),
                drawn_by=drawn_by,
            )
            steps.keep_decision(
                connection, account=account, order_number=order, stage=Stage.DRAW, decision=decision, at=now
            )
            listed += decision.go
            left_out += not decision.go
        offices.record_act(
            connection,
            person=drawn_by,
            act=Act.DRAW_UP_LIST,
            subject=f"list {number}",
            detail={"office": office, "listed": listed, "left_out": left_out},
            now=now,
        )
    return number


def _replace_unapproved(connection: Connection, *, office: str, now: datetime) -> None:
    known = order_store.lists(connection, offices=(office,), state=ListState.DRAWN, limit=LISTS_MAX)
    for drawn in sorted(known, key=lambda item: item.number):
        held = order_store.lock_list(connection, number=drawn.number)
        if held is not None and held.state is ListState.DRAWN:
            _end_list(connection, drawn=held, event=ListEvent.REPLACE, now=now)


def _end_list(connection: Connection, *, drawn: DisconnectionList, event: ListEvent, now: datetime) -> None:
    order_event = OrderEvent.CANCEL if event is ListEvent.REPLACE else OrderEvent.LAPSE
    codes = [REPLACED] if event is ListEvent.REPLACE else ["fresh"]
    for order in _listed(connection, number=drawn.number):
        held = steps.hold_order(connection, number=order.number, now=now)
        if held.state is OrderState.LISTED:
            steps.step(connection, order=held, event=order_event, reason_codes=codes)
    order_store.settle_list(connection, number=drawn.number, state=next_state(LIST_STEPS, drawn.state, event))


def lapse_lists(database: Database, *, now: datetime, policy: Policy) -> int:
    """End the lists that nobody approved in time and return how many."""
    oldest = now - timedelta(days=policy.approval_valid_days)
    with database.read() as connection:
        drawn = order_store.lists(connection, state=ListState.DRAWN, limit=LISTS_MAX)
    ended = 0
    for item in drawn:
        if item.drawn_at >= oldest:
            continue
        with database.write() as connection:
            held = order_store.lock_list(connection, number=item.number)
            if held is not None and held.state is ListState.DRAWN:
                _end_list(connection, drawn=held, event=ListEvent.LAPSE, now=now)
                ended += 1
    return ended


def _listed(connection: Connection, *, number: int) -> tuple[Order, ...]:
    """Return the listed orders of a list in the order in which their accounts are locked."""
    found = order_store.orders(connection, list_number=number, states=(OrderState.LISTED,), limit=ROWS_MAX)
    return tuple(sorted(found, key=lambda order: order.account))


def approve(
    database: Database,
    *,
    number: int,
    person: str,
    now: datetime,
    policy: Policy,
    link: NoticeLink = None,
    confirmed: int | None = None,
) -> int:
    """
    Approve a list, decide each of its rows again, freeze it and return how many rows were approved.

    The last warning of each approved row is queued in the same transaction; `link` as for `assess`. `confirmed` is
    how many rows the approver saw and confirmed: where it is given and others would be approved now, nothing is.

    :raises UnknownList: if there is no such list.
    :raises NotPermitted: if the person may not approve this office's list.
    :raises SamePerson: if the person drew it up.
    :raises NotToBeApproved: if it was approved, replaced or has lapsed, or nobody is left on it.
    :raises CountDiffers: if another number was confirmed than would be approved.
    """
    with database.write() as connection:
        drawn = order_store.lock_list(connection, number=number)
        if drawn is None:
            raise UnknownList(f"there is no list {number}; `bijlighar arrears list draw` makes one")
        approver = offices.authorise(
            connection, sign_in=person, act=Act.APPROVE_LIST, office=drawn.office
        ).sign_in
        check_other_person(proposer=drawn.drawn_by, approver=approver)
        _check_state(drawn, now=now, policy=policy)
        listed = _listed(connection, number=number)
        if not listed:
            raise NotToBeApproved(f"nobody is left on list {number} to be cut; there is nothing to approve")
        contacts = gather.contacts(connection)
        approved = [
            order
            for order in listed
            if _approve_row(
                connection, number=order.number, approver=approver, now=now, policy=policy, contacts=contacts
            )
        ]
        if confirmed is not None and confirmed != len(approved):
            raise CountDiffers(
                f"{len(approved)} rows of list {number} would be approved now, not {confirmed}; look at it again"
            )
        for order in approved:
            warn(connection, number=order.number, now=now, policy=policy, link=link)
        rows = order_store.orders(connection, list_number=number, limit=ROWS_MAX)
        snapshot_hash = rules.snapshot_hash([_frozen(row) for row in rows])
        order_store.settle_list(
            connection,
            number=number,
            state=next_state(LIST_STEPS, drawn.state, ListEvent.APPROVE),
            approved_by=approver,
            approved_at=now,
            snapshot_hash=snapshot_hash,
        )
        offices.record_act(
            connection,
            person=approver,
            act=Act.APPROVE_LIST,
            subject=f"list {number}",
            detail={"office": drawn.office, "approved": len(approved), "snapshot": snapshot_hash},
            now=now,
        )
    return len(approved)


def _check_state(drawn: DisconnectionList, *, now: datetime, policy: Policy) -> None:
    if drawn.state is ListState.APPROVED:
        raise NotToBeApproved(f"list {drawn.number} was approved by {drawn.approved_by} already")
    if drawn.state is ListState.REPLACED:
        raise NotToBeApproved(f"list {drawn.number} was replaced by a newer one; approve that")
    too_old = now - drawn.drawn_at > timedelta(days=policy.approval_valid_days)
    if drawn.state is ListState.LAPSED or too_old:
        raise NotToBeApproved(f"list {drawn.number} is too old; the office draws up a new one")


def _approve_row(
    connection: Connection,
    *,
    number: int,
    approver: str,
    now: datetime,
    policy: Policy,
    contacts: gather.Contacts,
) -> bool:
    order = steps.hold_order(connection, number=number, now=now)
    if order.state is not OrderState.LISTED:
        return False
    facts = gather.facts_of(
        connection, account=order.account, policy=policy, now=now, order=order, contacts=contacts
    )
    decision = rules.decide(facts=facts, policy=policy, now=now, stage=Stage.APPROVE)
    steps.keep_decision(
        connection, account=order.account, order_number=number, stage=Stage.APPROVE, decision=decision, at=now
    )
    if not decision.go:
        codes = [reason.code for reason in decision.reasons]
        steps.step(connection, order=order, event=OrderEvent.CANCEL, reason_codes=codes)
        return False
    steps.step(
        connection,
        order=order,
        event=OrderEvent.APPROVE,
        approved_by=approver,
        approved_at=now,
        due_paise=decision.due_paise,
    )
    return True


def _frozen(order: Order) -> Mapping[str, object]:
    """Return what of a row the snapshot's hash covers."""
    return {
        "order": order.number,
        "account": order.account,
        "meter": order.meter,
        "approved": order.approved_by is not None,
        "due_paise": order.due_paise,
        "overdue_paise": order.overdue_paise,
        "oldest_due_on": order.oldest_due_on,
        "bills": order.bills,
        "notice_served_on": order.notice_served_on,
        "reason_codes": order.reason_codes,
        "drawn_by": order.drawn_by,
        "approved_by": order.approved_by,
    }
