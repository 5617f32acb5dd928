"""A feeder fails and comes back: every meter below loses its voltage, and most of them manage to say so."""

import numpy as np
from numpy.typing import NDArray

from bijlighar.simulator import supply
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.silence import SilencePlan

#: How many of a hundred meters send their last gasp before their capacitor is empty.
GASPS_PCT = 85
_STREAM_GASPS = 15


def fail(live: LiveTown, *, feeder: str, quiet: SilencePlan) -> int:
    """
    Open a feeder's breaker and return how many meters below it are without voltage.

    The feeder's own meter stands at the bus of the substation before the breaker: it goes on, and counts nothing.
    Repeated, it changes nothing.

    :raises ControlRefused: if there is no such feeder.
    """
    number = _number(live, feeder)
    if not live.state.feeder_failed[number]:
        draw = np.random.default_rng([live.town.seed, _STREAM_GASPS, live.now_s, number])
        gasps = draw.random(len(live.town.devices)) * 100 < GASPS_PCT
        with live.switching(tells=gasps & _speaking(live, quiet)):
            live.state.feeder_failed[number] = True
            live.state.changed.add("feeder_failed")
    return int((below(live, number) & ~live.powered()).sum())


def restore(live: LiveTown, *, feeder: str, quiet: SilencePlan) -> int:
    """
    Close a feeder's breaker and return how many meters below it have voltage; those that speak send a first breath.

    Repeated, it changes nothing.

    :raises ControlRefused: if there is no such feeder.
    """
    number = _number(live, feeder)
    if live.state.feeder_failed[number]:
        with live.switching(tells=_speaking(live, quiet)):
            live.state.feeder_failed[number] = False
            live.state.changed.add("feeder_failed")
    return int((below(live, number) & live.powered()).sum())


def failed(live: LiveTown) -> tuple[str, ...]:
    """Return the feeders that have failed."""
    return tuple(live.town.feeders[int(number)] for number in np.flatnonzero(live.state.feeder_failed))


def below(live: LiveTown, number: int) -> NDArray[np.bool_]:
    """Return which meters hang below a feeder, by its place in the town's list."""
    hanging: NDArray[np.bool_] = (live.wiring.below == number) & supply.hanging(live.state)
    return hanging


def _number(live: LiveTown, feeder: str) -> int:
    if feeder not in live.town.feeders:
        raise ControlRefused(f"the town has no feeder {feeder}; there are {', '.join(live.town.feeders)}")
    return live.town.feeders.index(feeder)


def _speaking(live: LiveTown, quiet: SilencePlan) -> NDArray[np.bool_]:
    """Return which meters the network carries: a silent one cannot tell of its end either."""
    devices = live.town.devices
    return np.array(
        [not (quiet.is_silent(d.index) or live.has_fault(d.index, "silent")) for d in devices], dtype=bool
    )
