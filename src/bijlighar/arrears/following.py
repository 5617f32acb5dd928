"""What became of the commands: pulled from the head-end by watermark, each told once, in the order of its ends."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import account_store, gather, order_store, rules, steps
from bijlighar.arrears.model import Order, OrderEvent, OrderState
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.releasing import Signer, release, take_back
from bijlighar.base.period import local_date
from bijlighar.headend import queries as headend
from bijlighar.headend.model import CommandState, ControlAction, ControlCommand, ControlReason
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database

READER = "arrears.follow"
COMMANDS_PER_RUN = 500
#: States of an order whose relay should be closed: if it turns out open, it is closed again.
OVER = frozenset({OrderState.CLOSED, OrderState.CANCELLED, OrderState.FAILED, OrderState.EXPIRED})


def follow_commands(database: Database, *, now: datetime, signer: Signer, policy: Policy) -> int:
    """Take note of the commands that have ended, or whose outcome is unknown, and return how many."""
    with database.read() as connection:
        seen = sequences.watermark(connection, reader=READER)
        told = headend.finished_commands(connection, after=seen, limit=COMMANDS_PER_RUN)
    for command in told:
        with database.write() as connection:
            _follow_one(connection, command=command, now=now, signer=signer, policy=policy)
            sequences.raise_watermark(connection, reader=READER, seen=command.number or 0)
    return len(told)


def _follow_one(
    connection: Connection, *, command: ControlCommand, now: datetime, signer: Signer, policy: Policy
) -> None:
    ours = order_store.command(connection, order_id=command.order_id)
    if ours is None:
        return
    order = steps.hold_order(connection, number=ours.order_number, now=now)
    ours = order_store.command(connection, order_id=command.order_id)
    if ours is None or (ours.told is not None and ours.told >= (command.number or 0)):
        return
    at = command.finished_at or now
    order_store.settle_command(
        connection,
        order_id=command.order_id,
        outcome=command.state.value,
        told=command.number,
        finished_at=at,
    )
    if command.action is ControlAction.DISCONNECT:
        _follow_disconnection(
            connection, order=order, command=command, at=at, now=now, signer=signer, policy=policy
        )
    else:
        _follow_reconnection(connection, order=order, command=command, at=at, now=now, policy=policy)


def _follow_disconnection(
    connection: Connection,
    *,
    order: Order,
    command: ControlCommand,
    at: datetime,
    now: datetime,
    signer: Signer,
    policy: Policy,
) -> None:
    if command.state is CommandState.VERIFIED:
        if order.state in (OrderState.SENT, OrderState.UNKNOWN):
            opened(connection, order=order, at=at, now=now, signer=signer, policy=policy)
        elif order.state in OVER:
            order_store.stamp_order(connection, number=order.number, opened_at=at)
            take_back(connection, order=order, now=now, signer=signer)
        else:
            order_store.stamp_order(connection, number=order.number, opened_at=at)
        return
    event = {
        CommandState.UNKNOWN: OrderEvent.LOSE,
        CommandState.FAILED: OrderEvent.FAIL,
        CommandState.REFUSED: OrderEvent.FAIL,
        CommandState.EXPIRED: OrderEvent.LAPSE,
    }.get(command.state)
    if event is None or order.state not in (OrderState.SENT, OrderState.UNKNOWN):
        return
    if order.state is OrderState.UNKNOWN and event is not OrderEvent.FAIL:
        return
    codes = [command.reason_code] if command.reason_code else []
    steps.step(connection, order=order, event=event, reason_codes=codes)


def opened(
    connection: Connection, *, order: Order, at: datetime, now: datetime, signer: Signer, policy: Policy
) -> None:
    """
    Note that the relay of an order, whose account is locked, is open, and tell the consumer.

    If the dues were settled between the decision and the relay, supply is given back at once.
    """
    steps.step(
        connection, order=order, event=OrderEvent.OPENED, opened_at=at, next_try_at=None, reason_codes=[]
    )
    account_store.add_reason(
        connection,
        account=order.account,
        reason=ControlReason.ARREARS,
        order_number=order.number,
        by=order.approved_by or steps.SYSTEM,
        at=at,
        note="",
    )
    tell_disconnected(connection, order=order, at=at, now=now)
    facts = gather.facts_of(connection, account=order.account, policy=policy, now=now, order=order)
    if not rules.may_be_off(facts=facts, policy=policy, on=local_date(now)):
        turned = steps.hold_order(connection, number=order.number, now=now)
        release(connection, order=turned, now=now, signer=signer)


def _follow_reconnection(
    connection: Connection,
    *,
    order: Order,
    command: ControlCommand,
    at: datetime,
    now: datetime,
    policy: Policy,
) -> None:
    if order.state is not OrderState.RECONNECTING:
        return
    if command.state is CommandState.VERIFIED:
        closed(connection, order=order, at=at, now=now)
        return
    order_store.stamp_order(
        connection,
        number=order.number,
        next_try_at=now + timedelta(minutes=policy.reconnect_retry_minutes),
    )


def closed(connection: Connection, *, order: Order, at: datetime, now: datetime) -> None:
    """Note that the relay of a reconnecting order, whose account is locked, is closed, and tell the consumer."""
    steps.step(connection, order=order, event=OrderEvent.RECONNECTED, closed_at=at, next_try_at=None)
    if order.opened_at is None:
        return
    customer = registry.account(connection, number=order.account)
    notices.queue(
        connection,
        account=order.account,
        purpose=Purpose.RECONNECTED,
        key=f"reconnected:{order.number}:{order.attempts}",
        facts={"name": customer.name, "done_at": at.isoformat()},
        now=now,
    )


def tell_disconnected(connection: Connection, *, order: Order, at: datetime, now: datetime) -> None:
    """Queue the message that supply was cut, for what, and when."""
    customer = registry.account(connection, number=order.account)
    notices.queue(
        connection,
        account=order.account,
        purpose=Purpose.DISCONNECTED,
        key=f"disconnected:{order.number}",
        facts={
            "name": customer.name,
            "amount_paise": str(order.due_paise),
            "done_at": at.isoformat(),
        },
        now=now,
    )
