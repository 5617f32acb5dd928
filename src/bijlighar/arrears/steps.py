"""The one way an order changes its state, and the one way a decision is stored."""

from datetime import datetime

from sqlalchemy import Connection

from bijlighar.arrears import decision_store, order_store
from bijlighar.arrears.errors import UnknownOrder
from bijlighar.arrears.model import ORDER_STEPS, Decision, DecisionRow, Order, OrderEvent, OrderState, Stage
from bijlighar.base.lifecycle import next_state
from bijlighar.ledger import operations as ledger
from bijlighar.storage import sequences

#: Who did what no signed-in person did.
SYSTEM = "system"
#: Its row is locked by whoever sends or halts, so that of a halt and a sending one sees the other.
SWITCH = "arrears.switch"


def hold_order(connection: Connection, *, number: int, now: datetime) -> Order:
    """
    Lock the account of an order to the end of the transaction and return the order as it stands then.

    Every payment takes the same lock: what was paid before it is seen, what is paid after it waits.

    :raises UnknownOrder: if there is no such order.
    """
    known = order_store.order(connection, number=number)
    if known is None:
        raise UnknownOrder(f"there is no order {number}; `bijlighar arrears list show` names them")
    ledger.lock_account(connection, account=known.account, now=now)
    held = order_store.order(connection, number=number)
    if held is None:
        raise UnknownOrder(f"order {number} is gone")
    return held


def lock_switch(connection: Connection) -> None:
    """Wait for whoever sends or halts, and make others wait to the end of the transaction."""
    sequences.take(connection, name=SWITCH)


def step(connection: Connection, *, order: Order, event: OrderEvent, **values: object) -> OrderState:
    """
    Step an order whose account is locked, keep what came with it, and return the new state.

    :raises IllegalStep: if its life has no such step.
    """
    state = next_state(ORDER_STEPS, order.state, event)
    order_store.change_order(connection, number=order.number, state=state, **values)
    return state


def keep_decision(
    connection: Connection,
    *,
    account: str,
    order_number: int | None,
    stage: Stage,
    decision: Decision,
    at: datetime,
) -> None:
    """Store a decision with every input; a refusal that only repeats the last one is not stored again."""
    codes = tuple(reason.code for reason in decision.reasons)
    if not decision.go and order_number is not None:
        last = decision_store.decisions(connection, order_number=order_number, limit=1)
        if last and not last[0].go and last[0].stage == stage.value and last[0].reason_codes == codes:
            return
    decision_store.add_decision(
        connection,
        row=DecisionRow(
            account=account,
            order_number=order_number,
            stage=stage.value,
            at=at,
            go=decision.go,
            reason_codes=codes,
            due_paise=decision.due_paise,
            record=decision.record,
        ),
    )
