"""What an event leaves at a meter: a row of its log, its counters, its status word, and an alert to be pushed."""

import numpy as np

from bijlighar.simulator.memory import LoggedEvent, Memory
from bijlighar.simulator.state import State
from bijlighar.simulator.statusword import log_of, restores, with_event

NO_FILTER = b"\xff" * 16
#: Current, other and non-rollover events count as tampering.
_TAMPER_LOGS = (1, 4, 5)


def is_tamper(code: int) -> bool:
    """
    Return whether an event counts as tampering.

    >>> is_tamper(251), is_tamper(202), is_tamper(101)
    (True, False, False)
    """
    return log_of(code) in _TAMPER_LOGS and restores(code) is None


def happen(
    state: State, memory: Memory, *, event: LoggedEvent, pushes: bool, shown: bytes = NO_FILTER
) -> None:
    """
    Let an event stand in a meter's log, once a moment, and show in its counters and its status word.

    `shown` is the filter of the status word: what it hides is logged and not pushed.
    """
    device, code, family = event.device, event.code, event.family
    counts_as_tamper = is_tamper(code)
    new = memory.add_event(event)
    if not new:
        return
    state.tampers[device] += counts_as_tamper
    state.events[family, device] += 1
    state.latest_code[family, device] = code
    before = state.status_word[device].tobytes()
    word = with_event(state.status_word[device].tobytes(), code)
    state.status_word[device] = np.frombuffer(word, dtype=np.uint8)
    state.changed.update(("tampers", "events", "latest_code", "status_word"))
    told = bytes(octet & mask for octet, mask in zip(word, shown, strict=True))
    before_told = bytes(octet & mask for octet, mask in zip(before, shown, strict=True))
    if pushes and (told != before_told or word == before):
        memory.add_push(device=device, code=code, at=event.at, status_word=told)
