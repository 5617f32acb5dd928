"""The steps of a meter of the stock and of a work order; a step that is not possible says what to do instead."""

from collections.abc import Mapping
from types import MappingProxyType

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.rollout.model import (
    ORDER_STATE_NAMES,
    ORDER_STEPS,
    STOCK_STATE_NAMES,
    STOCK_STEPS,
    OrderEvent,
    OrderState,
    StockEvent,
    StockItem,
    StockState,
    WorkOrder,
)

_WAY_OUT_OF_STOCK: Mapping[StockState, str] = MappingProxyType(
    {
        StockState.IN_STORE: "issue it first: `bijlighar rollout move issue {name} --to FITTER`",
        StockState.ISSUED: "record that it hangs, or take it back: `bijlighar rollout move give-back {name}`",
        StockState.INSTALLED: "exchange it by a work order: `bijlighar rollout order make --place USAGE_POINT`",
        StockState.FAULTY: "take another meter, and send this one back: `bijlighar rollout move send-back {name}`",
        StockState.SENT_BACK: "take another meter; `bijlighar rollout stock --state in_store` names them",
    }
)
_WAY_OUT_OF_ORDER: Mapping[OrderState, str] = MappingProxyType(
    {
        OrderState.PLANNED: "give it to a fitter first: `bijlighar rollout order issue {name} --to FITTER`",
        OrderState.ISSUED: "record what the fitter did: `bijlighar rollout install {name}`, or `rollout order fail`",
        OrderState.INSTALLED: "its meter hangs; it ends by itself once the meter has been read",
        OrderState.FAILED: "plan it again first: `bijlighar rollout order again {name}`",
        OrderState.COMMISSIONED: "it has ended; make another: `bijlighar rollout order make --place USAGE_POINT`",
        OrderState.CANCELLED: "it has ended; make another: `bijlighar rollout order make --place USAGE_POINT`",
    }
)


def stock_state_after(item: StockItem, event: StockEvent) -> StockState:
    """
    Return the state of a meter after an event.

    :raises IllegalStep: if the table has no such step; the message says what to do.
    """
    try:
        return next_state(STOCK_STEPS, item.state, event)
    except IllegalStep:
        name = STOCK_STATE_NAMES[item.state].en
        way_out = _WAY_OUT_OF_STOCK[item.state].format(name=item.serial)
        raise IllegalStep(f"meter {item.serial} cannot be taken for this, it is {name}: {way_out}") from None


def order_state_after(order: WorkOrder, event: OrderEvent) -> OrderState:
    """
    Return the state of a work order after an event.

    :raises IllegalStep: if the table has no such step; the message says what to do.
    """
    try:
        return next_state(ORDER_STEPS, order.state, event)
    except IllegalStep:
        name = ORDER_STATE_NAMES[order.state].en
        way_out = _WAY_OUT_OF_ORDER[order.state].format(name=order.number)
        raise IllegalStep(f"work order {order.number} is {name}: {way_out}") from None
