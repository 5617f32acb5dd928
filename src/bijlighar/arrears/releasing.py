"""
Giving supply back: the one thing that knows no window, no throttle, no halt and no ceiling.

An order that has not left is cancelled. One whose relay is open, or may be, loses the reason `arrears`; when no other
reason holds the supply off, exactly one reconnection is under way until the meter is read closed or a person says so.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import account_store, gather, order_store, rules, steps
from bijlighar.arrears.model import MAYBE_OPEN, UNSENT, WATCHED, Order, OrderEvent, OrderState, Way
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.targets import by_hand_within
from bijlighar.arrears.wording import SETTLED
from bijlighar.base.period import local_date
from bijlighar.headend import operations as headend
from bijlighar.headend.model import ControlAction, ControlOrder, ControlReason, SignedOrder
from bijlighar.ledger import operations as ledger
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

Signer = Callable[[ControlOrder], SignedOrder]

#: How often an order whose relay is open is looked at, beside every payment.
LOOK_AGAIN = timedelta(hours=1)
#: A reconnection waits this long in the head-end for a silent meter; then it is ordered anew.
RECONNECT_VALID = timedelta(days=1)
ORDERS_PER_RUN = 1_000
#: The states that an account's settling of its dues ends or turns.
RELEASABLE = UNSENT | MAYBE_OPEN | {OrderState.MANUAL}


def release_paid(
    connection: Connection, *, account: str, now: datetime, signer: Signer, policy: Policy
) -> str | None:
    """
    Give supply back if the account's dues no longer allow it to be off; call it wherever D may have fallen.

    In the payment's own transaction, right after the money is posted or held. Repeats change nothing. Return the
    order of the reconnection that is under way, if one is: the head-end's order id, or `A17-hand`.
    """
    ledger.lock_account(connection, account=account, now=now)
    order = order_store.active_order(connection, account=account)
    if order is None:
        return None
    if order.state is OrderState.RECONNECTING:
        return order_store.reconnection_of(connection, order=order)
    if order.state not in RELEASABLE:
        return None
    facts = gather.facts_of(connection, account=account, policy=policy, now=now, order=order)
    if rules.may_be_off(facts=facts, policy=policy, on=local_date(now)):
        return None
    return release(connection, order=order, now=now, signer=signer)


def release(connection: Connection, *, order: Order, now: datetime, signer: Signer) -> str | None:
    """End or turn an order whose account is locked and owes nothing that may be enforced."""
    if order.state in UNSENT or order.state is OrderState.MANUAL:
        steps.step(connection, order=order, event=OrderEvent.CANCEL, released_at=now, reason_codes=[SETTLED])
        return None
    if order.state is OrderState.SENT and recall(connection, order=order, now=now):
        steps.step(connection, order=order, event=OrderEvent.CANCEL, released_at=now, reason_codes=[SETTLED])
        return None
    account_store.remove_reason(
        connection, account=order.account, reason=ControlReason.ARREARS, by=steps.SYSTEM, at=now
    )
    others = account_store.open_reasons(connection, accounts=(order.account,)).get(order.account)
    if others:
        if order.state is not OrderState.HELD:
            steps.step(connection, order=order, event=OrderEvent.HOLD_OPEN, released_at=now)
        return None
    return reconnect(connection, order=order, now=now, signer=signer)


def recall(connection: Connection, *, order: Order, now: datetime) -> bool:
    """Call the disconnection of a sent order back and return whether it had not left yet."""
    for command in order_store.commands(connection, order_number=order.number):
        if command.action != ControlAction.DISCONNECT.value or command.outcome is not None:
            continue
        if headend.cancel_control(connection, order_id=command.order_id, now=now):
            order_store.settle_command(
                connection, order_id=command.order_id, outcome="cancelled", told=None, finished_at=now
            )
            return True
    return False


def reconnect(connection: Connection, *, order: Order, now: datetime, signer: Signer) -> str:
    """Turn an order whose account is locked to RECONNECTING and put its reconnection on the way."""
    steps.step(connection, order=order, event=OrderEvent.RELEASE, released_at=now, next_try_at=None)
    turned = steps.hold_order(connection, number=order.number, now=now)
    if turned.way is Way.BY_HAND or turned.meter is None:
        _tell_expected(connection, order=turned, now=now)
        return rules.by_hand_id(turned.number)
    return queue_reconnection(connection, order=turned, now=now, signer=signer)


def take_back(connection: Connection, *, order: Order, now: datetime, signer: Signer) -> str | None:
    """
    Give supply back where it turned out to be off although the order, whose account is locked, had ended.

    A newer order that has not left is cancelled for it: after such a cut a new list has to say whether there is to be
    another. Where the newer one has left already, or gives supply back itself, it governs; None is returned then.
    """
    newer = order_store.active_order(connection, account=order.account)
    if newer is not None:
        if newer.state not in UNSENT and newer.state is not OrderState.MANUAL:
            return None
        steps.step(connection, order=newer, event=OrderEvent.CANCEL, reason_codes=["one_order"])
    return reconnect(connection, order=order, now=now, signer=signer)


def queue_reconnection(connection: Connection, *, order: Order, now: datetime, signer: Signer) -> str:
    """Queue one more attempt to close the relay of a reconnecting order, and return its order id."""
    attempt = order.attempts + 1
    control = ControlOrder(
        order_id=f"A{order.number}-R{attempt}",
        serial=order.meter or "",
        action=ControlAction.RECONNECT,
        reason=ControlReason.ARREARS,
        feeder=order.feeder,
        issued_at=now,
        expires_at=now + RECONNECT_VALID,
        issued_by=steps.SYSTEM,
        approved_by=None,
    )
    headend.queue_control(connection, signed=signer(control), now=now, not_after=control.expires_at)
    order_store.add_command(
        connection,
        order_id=control.order_id,
        order_number=order.number,
        action=control.action.value,
        attempt=attempt,
        queued_at=now,
    )
    order_store.stamp_order(connection, number=order.number, attempts=attempt, next_try_at=None)
    return control.order_id


def ensure_reconnects(database: Database, *, now: datetime, signer: Signer, policy: Policy) -> int:
    """
    Give back every supply that may no longer be off, whatever was missed, and return how many were put on the way.

    It looks at all orders whose relay is or may be open, at those held for a reason that is gone, and sends again the
    reconnections that failed.
    """
    states = sorted(WATCHED)
    with database.read() as connection:
        due = order_store.orders(connection, states=states, due_at=now, limit=ORDERS_PER_RUN)
    done = 0
    for order in due:
        with database.write() as connection:
            done += _ensure_one(connection, number=order.number, now=now, signer=signer, policy=policy)
    return done


def _ensure_one(
    connection: Connection, *, number: int, now: datetime, signer: Signer, policy: Policy
) -> bool:
    """Put a reconnection on its way if one is owed, else look again later."""
    order = steps.hold_order(connection, number=number, now=now)
    started: str | None = None
    if order.state is OrderState.RECONNECTING:
        if order_store.reconnection_of(connection, order=order) is None:
            started = queue_reconnection(connection, order=order, now=now, signer=signer)
    elif order.state is OrderState.HELD:
        reasons = account_store.open_reasons(connection, accounts=(order.account,))
        if not reasons.get(order.account):
            started = reconnect(connection, order=order, now=now, signer=signer)
    elif order.state in WATCHED:
        started = release_paid(connection, account=order.account, now=now, signer=signer, policy=policy)
    if started is None:
        order_store.stamp_order(connection, number=number, next_try_at=now + LOOK_AGAIN)
    return started is not None


def _tell_expected(connection: Connection, *, order: Order, now: datetime) -> None:
    customer = registry.account(connection, number=order.account)
    within = by_hand_within(customer.area)
    notices.queue(
        connection,
        account=order.account,
        purpose=Purpose.RECONNECT_EXPECTED,
        key=f"reconnect-expected:{order.number}:{order.attempts}",
        facts={"name": customer.name, "expected_at": (now + within).isoformat()},
        now=now,
    )
