"""
Sending: the last decision before a relay, made under the account's lock from facts read after it was taken.

One transaction per order: lock the account, decide everything again, store the decision, sign, queue, step. Whatever
fails rolls all of it back, and nothing has left.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import account_store, gather, order_store, rules, steps
from bijlighar.arrears.errors import NothingRunning, ReasonNeeded
from bijlighar.arrears.model import Decision, Order, OrderEvent, OrderState, Stage, Way
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.releasing import Signer, recall
from bijlighar.arrears.wording import SETTLED
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.headend import operations as headend
from bijlighar.headend.model import ControlAction, ControlOrder, ControlReason
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.storage.engine import Database

ORDERS_PER_RUN = 500
#: A refusal that time may heal is looked at again after this.
RETRY = timedelta(minutes=15)
#: Refusals that no waiting heals: the order is cancelled, and only a new list and a new approval can bring it back.
FINAL_REFUSALS = frozenset(
    {
        "age",
        "bills",
        "limit",
        "dispute",
        "instalments",
        "notice",
        "clear_days",
        "credit",
        "pending_payment",
        "protest",
        "minimum",
        "due",
        "protected",
        "category",
        "meter",
        "supply_on",
        "one_order",
        "approved",
        "four_eyes",
    }
)
MONEY_REFUSALS = frozenset({"credit", "pending_payment", "protest", "due"})
STALE = "fresh"
HALTED = "halt"


def send_approved(
    database: Database,
    *,
    now: datetime,
    policy: Policy,
    signer: Signer,
    limit: int = ORDERS_PER_RUN,
) -> int:
    """
    Send the warned orders that may be sent now, over the air or to the town office, and return how many.

    Outside the cutting hours and under a halt of the company nothing is even looked at.
    """
    if not rules.is_cutting_time(now, policy=policy):
        return 0
    with database.read() as connection:
        if gather.is_halted(connection, office=""):
            return 0
        waiting = order_store.orders(connection, states=(OrderState.WARNED,), due_at=now, limit=limit)
        contacts = gather.contacts(connection) if waiting else {}
    sent = 0
    for order in waiting:
        with database.write() as connection:
            sent += _send_one(
                connection, number=order.number, now=now, policy=policy, signer=signer, contacts=contacts
            )
    return sent


def _send_one(
    connection: Connection,
    *,
    number: int,
    now: datetime,
    policy: Policy,
    signer: Signer,
    contacts: gather.Contacts,
) -> bool:
    order = steps.hold_order(connection, number=number, now=now)
    if order.state is not OrderState.WARNED:
        return False
    steps.lock_switch(connection)
    facts = gather.facts_of(
        connection,
        account=order.account,
        policy=policy,
        now=now,
        order=order,
        sent=gather.sent_counts(connection, office=order.office, now=now),
        contacts=contacts,
    )
    decision = rules.decide(facts=facts, policy=policy, now=now, stage=Stage.SEND)
    steps.keep_decision(
        connection,
        account=order.account,
        order_number=number,
        stage=Stage.SEND,
        decision=decision,
        at=now,
    )
    if not decision.go:
        _refuse(connection, order=order, decision=decision, now=now)
        return False
    if decision.way is Way.BY_HAND:
        steps.step(
            connection,
            order=order,
            event=OrderEvent.HAND_OVER,
            way=Way.BY_HAND.value,
            sent_at=now,
            due_paise=decision.due_paise,
            next_try_at=None,
        )
        return True
    _queue_disconnection(connection, order=order, now=now, policy=policy, signer=signer)
    steps.step(
        connection,
        order=order,
        event=OrderEvent.SEND,
        way=Way.RELAY.value,
        sent_at=now,
        due_paise=decision.due_paise,
        next_try_at=None,
    )
    return True


def _refuse(connection: Connection, *, order: Order, decision: Decision, now: datetime) -> None:
    codes = [reason.code for reason in decision.reasons]
    if FINAL_REFUSALS.intersection(codes):
        kept = [SETTLED, *codes] if MONEY_REFUSALS.intersection(codes) else codes
        steps.step(connection, order=order, event=OrderEvent.CANCEL, reason_codes=kept, released_at=now)
    elif STALE in codes:
        steps.step(connection, order=order, event=OrderEvent.LAPSE, reason_codes=codes)
    else:
        order_store.stamp_order(connection, number=order.number, next_try_at=now + RETRY, reason_codes=codes)


def _queue_disconnection(
    connection: Connection, *, order: Order, now: datetime, policy: Policy, signer: Signer
) -> None:
    control = ControlOrder(
        order_id=f"A{order.number}-D",
        serial=order.meter or "",
        action=ControlAction.DISCONNECT,
        reason=ControlReason.ARREARS,
        feeder=order.feeder,
        issued_at=now,
        expires_at=rules.end_of_window(now, policy=policy),
        issued_by=order.drawn_by,
        approved_by=order.approved_by,
    )
    if not headend.queue_control(connection, signed=signer(control), now=now, not_after=control.expires_at):
        raise RuntimeError(f"{control.order_id} was queued before, yet order {order.number} was not sent")
    order_store.add_command(
        connection,
        order_id=control.order_id,
        order_number=order.number,
        action=control.action.value,
        attempt=1,
        queued_at=now,
    )


def halt(database: Database, *, person: str, reason: str, now: datetime, office: str | None = None) -> int:
    """
    Stop all disconnections of the company, or of an office and all below it, until somebody resumes.

    Commands that have not left and orders by hand are called back; return how many. Reconnections go on.

    :raises NotPermitted: if the person may not.
    :raises ReasonNeeded: if no reason is given.
    """
    text = _reason(reason)
    place = office or ""
    with database.write() as connection:
        who = offices.authorise(connection, sign_in=person, act=Act.HALT, office=office).sign_in
        steps.lock_switch(connection)
        if place not in {standing.office for standing in account_store.halts(connection)}:
            account_store.add_halt(connection, office=place, by=who, reason=text, since=now)
        offices.record_act(
            connection,
            person=who,
            act=Act.HALT,
            subject=place or "company",
            detail={"reason": text},
            now=now,
        )
        states = (OrderState.SENT, OrderState.MANUAL)
        sent = order_store.orders(connection, states=states, limit=ORDERS_PER_RUN)
    recalled = 0
    for order in sent:
        with database.write() as connection:
            recalled += _call_back(connection, number=order.number, now=now)
    return recalled


def _call_back(connection: Connection, *, number: int, now: datetime) -> bool:
    order = steps.hold_order(connection, number=number, now=now)
    if not gather.is_halted(connection, office=order.office):
        return False
    if order.state is OrderState.SENT and not recall(connection, order=order, now=now):
        return False
    if order.state not in (OrderState.SENT, OrderState.MANUAL):
        return False
    steps.step(connection, order=order, event=OrderEvent.CANCEL, reason_codes=[HALTED])
    return True


def resume(database: Database, *, person: str, reason: str, now: datetime, office: str | None = None) -> None:
    """
    Lift the halt of the company, or of an office.

    :raises NotPermitted: if the person may not.
    :raises ReasonNeeded: if no reason is given.
    :raises NothingRunning: if no such halt stands.
    """
    text = _reason(reason)
    place = office or ""
    with database.write() as connection:
        who = offices.authorise(connection, sign_in=person, act=Act.RESUME, office=office).sign_in
        steps.lock_switch(connection)
        if not account_store.lift_halt(connection, office=place, by=who, reason=text, at=now):
            raise NothingRunning(f"no halt of {place or 'the company'} stands; there is nothing to resume")
        offices.record_act(
            connection,
            person=who,
            act=Act.RESUME,
            subject=place or "company",
            detail={"reason": text},
            now=now,
        )


def _reason(text: str) -> str:
    stripped = " ".join(text.split())
    if not stripped:
        raise ReasonNeeded("say why, with --reason TEXT; it is kept in the audit")
    return check_text(stripped, what="the reason", letters_max=NOTE_MAX)
