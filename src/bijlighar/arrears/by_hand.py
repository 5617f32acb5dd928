"""What people do and enter: orders carried out by hand, other reasons for an open relay, disputes and instalments."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.arrears import account_store, order_store, rules, steps
from bijlighar.arrears.errors import NotByHand, NothingRunning, ReasonNeeded
from bijlighar.arrears.following import closed, opened
from bijlighar.arrears.model import NewCircumstance, Order, OrderEvent, OrderState, Way
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.releasing import Signer, reconnect, release_paid, take_back
from bijlighar.base.period import local_date
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.headend import operations as headend
from bijlighar.headend.model import ControlAction, ControlReason
from bijlighar.ledger import operations as ledger
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry

#: Orders that may still be cut by hand although nobody should: the lineman was out when they ended.
ENDED_BY_HAND = frozenset({OrderState.CANCELLED, OrderState.EXPIRED, OrderState.FAILED})
ACT_OF_REASON = {
    ControlReason.ARREARS: Act.ORDER_RECONNECTION,
    ControlReason.THEFT: Act.AUTHORISE_THEFT_CUT,
    ControlReason.SAFETY: Act.AUTHORISE_SAFETY_CUT,
    ControlReason.COURT: Act.AUTHORISE_SAFETY_CUT,
    ControlReason.REQUEST: Act.ORDER_RECONNECTION,
    ControlReason.PERMIT: Act.AUTHORISE_SAFETY_CUT,
}


def record_manual(
    connection: Connection,
    *,
    order: int,
    done: bool,
    person: str,
    now: datetime,
    signer: Signer,
    policy: Policy,
    at: datetime | None = None,
) -> OrderState:
    """
    Record what the town office's people did at the meter, and when (`at`), and return the order's state.

    A cut made outside the cutting hours, or after the order had ended, is given back at once.

    :raises UnknownOrder: if there is no such order.
    :raises NotPermitted: if the person may not.
    :raises NotByHand: if nothing of the order is to be done by hand.
    """
    held = steps.hold_order(connection, number=order, now=now)
    who = offices.authorise(
        connection, sign_in=person, act=Act.RECORD_MANUAL_ORDER, office=held.office or None
    ).sign_in
    when = min(at or now, now)
    if held.state is OrderState.MANUAL:
        _record_cut(connection, order=held, done=done, at=when, now=now, signer=signer, policy=policy)
    elif held.state is OrderState.RECONNECTING:
        if done:
            _end_attempts(connection, order=held, now=now)
            closed(connection, order=held, at=when, now=now)
    elif held.state in ENDED_BY_HAND and held.way is Way.BY_HAND:
        if done:
            order_store.stamp_order(connection, number=order, opened_at=when)
            take_back(connection, order=held, now=now, signer=signer)
    else:
        raise NotByHand(f"order {order} is {held.state.value}; nothing of it is to be done by hand")
    offices.record_act(
        connection,
        person=who,
        act=Act.RECORD_MANUAL_ORDER,
        subject=f"order {order}",
        detail={"account": held.account, "done": done, "at": when, "was": held.state.value},
        now=now,
    )
    after = order_store.order(connection, number=order)
    return held.state if after is None else after.state


def _record_cut(
    connection: Connection,
    *,
    order: Order,
    done: bool,
    at: datetime,
    now: datetime,
    signer: Signer,
    policy: Policy,
) -> None:
    if not done:
        steps.step(connection, order=order, event=OrderEvent.FAIL, reason_codes=["not_done"])
        return
    in_time = order.sent_at is not None and at >= order.sent_at
    if in_time and rules.is_cutting_time(at, policy=policy):
        opened(connection, order=order, at=at, now=now, signer=signer, policy=policy)
        return
    order_store.stamp_order(connection, number=order.number, opened_at=at, reason_codes=["hours"])
    reconnect(connection, order=order, now=now, signer=signer)


def _end_attempts(connection: Connection, *, order: Order, now: datetime) -> None:
    """Call back the attempts over the air that have not left: the supply was put on by hand."""
    for command in order_store.commands(connection, order_number=order.number):
        if command.action != ControlAction.RECONNECT.value or command.outcome is not None:
            continue
        if headend.cancel_control(connection, order_id=command.order_id, now=now):
            order_store.settle_command(
                connection, order_id=command.order_id, outcome="cancelled", told=None, finished_at=now
            )


def add_reason(
    connection: Connection, *, account: str, reason: ControlReason, person: str, note: str, now: datetime
) -> bool:
    """
    Enter a further reason for which a supply is, or stays, off; False if it stands already. It opens no relay.

    :raises NotPermitted: if the person may not.
    :raises ReasonNeeded: if it is `arrears`, which only a verified disconnection brings, or the note is empty.
    :raises InvalidValue: if the note is too long, or no text.
    """
    check_text(note, what="the note", letters_max=NOTE_MAX)
    if reason is ControlReason.ARREARS or not note.strip():
        raise ReasonNeeded("name the reason (not arrears) and the paper it rests on")
    who = _authorise(connection, account=account, act=ACT_OF_REASON[reason], person=person)
    ledger.lock_account(connection, account=account, now=now)
    added = account_store.add_reason(
        connection, account=account, reason=reason, order_number=None, by=who, at=now, note=note.strip()
    )
    _audit(
        connection, who=who, act=ACT_OF_REASON[reason], account=account, what=f"add {reason.value}", now=now
    )
    return added


def withdraw_reason(
    connection: Connection,
    *,
    account: str,
    reason: ControlReason,
    person: str,
    now: datetime,
    signer: Signer,
) -> str | None:
    """
    Take a reason away; when none is left and the dues are settled, return the reconnection put on the way.

    :raises NotPermitted: if the person may not.
    :raises NothingRunning: if the reason does not stand, or is `arrears`, which only settled dues take away.
    """
    who = _authorise(connection, account=account, act=ACT_OF_REASON[reason], person=person)
    ledger.lock_account(connection, account=account, now=now)
    if reason is ControlReason.ARREARS or not account_store.remove_reason(
        connection, account=account, reason=reason, by=who, at=now
    ):
        raise NothingRunning(f"{reason.value} is no reason that a person can take away from {account}")
    order = order_store.active_order(connection, account=account)
    left = account_store.open_reasons(connection, accounts=(account,)).get(account)
    started = None
    if not left and order is not None and order.state is OrderState.HELD:
        started = reconnect(connection, order=order, now=now, signer=signer)
    _audit(
        connection,
        who=who,
        act=ACT_OF_REASON[reason],
        account=account,
        what=f"remove {reason.value}",
        now=now,
    )
    return started


def enter_circumstance(
    connection: Connection,
    *,
    circumstance: NewCircumstance,
    person: str,
    now: datetime,
    signer: Signer,
    policy: Policy,
) -> int:
    """
    Enter a dispute, an instalment plan, or that a due was shown continuously as recoverable; return its number.

    Supply that may no longer be off is given back at once.

    :raises NotPermitted: if the person may not.
    :raises ReasonNeeded: if the note, which names the paper, is empty.
    :raises InvalidValue: if the note or the document is too long, or no text.
    """
    check_text(circumstance.note, what="the note", letters_max=NOTE_MAX)
    check_text(circumstance.document, what="the document", letters_max=CODE_MAX)
    note, account = circumstance.note.strip(), circumstance.account
    if not note:
        raise ReasonNeeded("name the paper that it rests on")
    who = _authorise(connection, account=account, act=Act.PLACE_HOLD, person=person)
    ledger.lock_account(connection, account=account, now=now)
    number = account_store.add_circumstance(
        connection,
        circumstance=replace(circumstance, note=note),
        entered_by=who,
        entered_on=local_date(now),
    )
    release_paid(connection, account=account, now=now, signer=signer, policy=policy)
    what = f"enter {circumstance.kind.value} {number}"
    _audit(connection, who=who, act=Act.PLACE_HOLD, account=account, what=what, now=now)
    return number


def end_circumstance(connection: Connection, *, number: int, person: str, now: datetime) -> None:
    """
    End a dispute, an instalment plan or another circumstance.

    :raises NotPermitted: if the person may not.
    :raises NothingRunning: if there is none of that number, or it was ended.
    """
    known = account_store.circumstance(connection, number=number)
    if known is None:
        raise NothingRunning(f"there is no circumstance {number} that stands")
    who = _authorise(connection, account=known.account, act=Act.RELEASE_HOLD, person=person)
    ledger.lock_account(connection, account=known.account, now=now)
    account_store.end_circumstance(connection, number=number, by=who, at=now)
    _audit(connection, who=who, act=Act.RELEASE_HOLD, account=known.account, what=f"end {number}", now=now)


def _authorise(connection: Connection, *, account: str, act: Act, person: str) -> str:
    customer = registry.account(connection, number=account)
    return offices.authorise(connection, sign_in=person, act=act, office=customer.office).sign_in


def _audit(connection: Connection, *, who: str, act: Act, account: str, what: str, now: datetime) -> None:
    offices.record_act(
        connection, person=who, act=act, subject=f"account {account}", detail={"what": what}, now=now
    )
