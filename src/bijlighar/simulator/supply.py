"""Who has voltage, and who draws: the breakers of the feeders, failed supplies, relays, cuts at the pole."""

import numpy as np
from numpy.typing import NDArray

from bijlighar.simulator.state import FAULTS, State
from bijlighar.simulator.wiring import Seconds, Wiring

Flags = NDArray[np.bool_]
_POWER_FAILURE = FAULTS.index("power_failure")


def hanging(state: State) -> Flags:
    """Return which meters hang."""
    return (state.hung_from <= state.now) & (state.now < state.hung_to)


def powered(wiring: Wiring, state: State) -> Flags:
    """Return which meters hang and have voltage."""
    failed = (wiring.below >= 0) & state.feeder_failed[wiring.below]
    has_voltage: Flags = hanging(state) & ~state.faults[_POWER_FAILURE] & ~failed
    return has_voltage


def has_power(wiring: Wiring, state: State, device: int) -> bool:
    """Return whether a meter has voltage, where it hangs or will hang."""
    feeder = int(wiring.below[device])
    return not (state.faults[_POWER_FAILURE, device] or (feeder >= 0 and state.feeder_failed[feeder]))


def drawing(wiring: Wiring, state: State) -> Flags:
    """Return which meters let current through; one whose load limit has opened its relay does not."""
    return carrying(wiring, state) & ~state.limit_open


def carrying(wiring: Wiring, state: State) -> Flags:
    """Return which meters would let current through if they had no load limit."""
    connected = ~wiring.at_consumer | state.supply_on[wiring.consumer_of]
    draws: Flags = (state.relay_closed | ~wiring.has_relay) & connected & powered(wiring, state)
    return draws


def seconds(wiring: Wiring, state: State, passed_s: int) -> Seconds:
    """Return what `passed_s` [s] amount to in which everything stays as it is now."""
    return Seconds(
        drawn=drawing(wiring, state) * passed_s,
        powered=powered(wiring, state) * passed_s,
        supplied=(state.supply_on & ~state.feeder_failed[wiring.feeder_of_consumer]) * passed_s,
        live=~state.feeder_failed[wiring.feeder_of_transformer] * passed_s,
    )
