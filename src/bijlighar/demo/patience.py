"""Orders to processes that may just be dead: repeated until they are taken, as each of them allows."""

import time
from collections.abc import Callable
from typing import TypeVar

from bijlighar.base.errors import BijligharError

PATIENCE_S = 60.0
PAUSE_S = 0.05
SILENT = frozenset({"simulator.control-unreachable", "simulator.providers-silent"})

Answer = TypeVar("Answer")


def insist(order: Callable[[], Answer]) -> Answer:
    """
    Give an order until it is taken and return the answer.

    :raises BijligharError: as the order does, once it was refused, or not taken for `PATIENCE_S` seconds.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return order()
        except BijligharError as problem:
            if problem.code not in SILENT or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)
