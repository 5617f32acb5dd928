"""
What faults do to what a meter measures, shows and keeps; what they do to its line is in `faultlines`.

Everything is drawn from the town's seed and the meter's place, so that the same seed breaks the same things.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bijlighar.simulator.model import Town
from bijlighar.simulator.state import COUNTED_CLIENTS, FAULTS, State
from bijlighar.simulator.wiring import Measured, Wiring

Whole = NDArray[np.int64]
PHASES_OF_THREE = 3
_DAY_S = 86_400
_STREAM_OF_A_FAULT = 15
#: How far the counters jump: more than one reservation of a head-end, less than it must refuse to believe.
CLIENT_COUNTER_JUMP, OWN_COUNTER_JUMP = 20_000, 1_000_000
#: A drifting clock gains or loses so much a day [s]; a step moves it by so much at once [s].
DRIFT_S_PER_DAY, STEP_S = (20, 90), (600, 5_400)
#: A register that rolls over shows nothing above this [Wh, VAh].
ROLLOVER = 1_000_000
#: Every so many rows one comes twice, or shows again what the row above it showed.
DUPLICATED_EVERY, REPEATED_EVERY = 10, 12
CURRENT_REVERSED, CURRENT_RIGHT = 51, 52


def is_on(state: State, name: str, device: int) -> bool:
    """Return whether a fault is on at a meter."""
    return bool(state.faults[FAULTS.index(name), device])


def begin(state: State, town: Town, *, name: str, device: int) -> None:
    """Do to the kept values of a meter what a fault does once, when it begins."""
    draw = np.random.default_rng([town.seed, _STREAM_OF_A_FAULT, FAULTS.index(name), device])
    sign = 1 if draw.random() < 0.5 else -1
    if name == "counter_jump":
        for row in range(len(COUNTED_CLIENTS)):
            state.received[row, device] += CLIENT_COUNTER_JUMP
        state.own_counter[device] += OWN_COUNTER_JUMP
        state.set_aside[device] = max(state.set_aside[device], state.own_counter[device] + 1)
        state.changed.update(("received", "own_counter", "set_aside"))
    elif name == "clock_drift":
        state.clock_rate[device] = sign * int(draw.integers(*DRIFT_S_PER_DAY, endpoint=True))
        state.clock_since[device] = state.now[0]
        state.changed.update(("clock_rate", "clock_since"))
    elif name == "clock_step":
        state.clock_off[device] += sign * int(draw.integers(*STEP_S, endpoint=True))
        state.changed.add("clock_off")
    elif name == "register_reset":
        state.reset_at[device] = state.now[0]
        state.reset_wh[device] = state.register_wh[device]
        state.reset_vah[device] = state.register_vah[device]
        state.changed.update(("reset_at", "reset_wh", "reset_vah"))


def end(state: State, *, name: str, device: int) -> None:
    """Take back what ends with a fault; a clock stays where it went, a register does not find its figures again."""
    if name == "clock_drift":
        state.clock_off[device] = clock_ahead_s(state, device)
        state.clock_rate[device] = 0
        state.changed.update(("clock_off", "clock_rate"))
    elif name == "weld":
        state.shows_open[device] = False
        state.changed.add("shows_open")


def clock_ahead_s(state: State, device: int) -> int:
    """Return how far a meter's clock is ahead of the town's time [s]."""
    since = int(state.now[0] - state.clock_since[device])
    return int(state.clock_off[device]) + int(state.clock_rate[device]) * since // _DAY_S


def set_clock(state: State, *, device: int, to_s: int) -> None:
    """Let a meter's clock show `to_s` (epoch seconds); a drifting one goes on drifting from there."""
    state.clock_off[device] = to_s - int(state.now[0])
    state.clock_since[device] = state.now[0]
    state.changed.update(("clock_off", "clock_since"))


def shown_register(state: State, device: int, at: Whole, value: Whole, *, is_energy: bool) -> Whole:
    """Return what a total register showed at moments [epoch seconds]: from 0 after a reset, six digits at most."""
    reset = int((state.reset_wh if is_energy else state.reset_vah)[device])
    shown = np.where((at > int(state.reset_at[device])) & (state.reset_at[device] > 0), value - reset, value)
    return shown % ROLLOVER if is_on(state, "register_rollover", device) else shown


def rows_given(state: State, device: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which of `count` rows a buffer holds, and whose values each shows."""
    places = np.arange(count, dtype=np.intp)
    values = places.copy()
    if is_on(state, "repeated_rows", device):
        repeated = places[REPEATED_EVERY - 1 :: REPEATED_EVERY]
        values[repeated] = repeated - 1
    if is_on(state, "duplicated_rows", device):
        order = np.sort(np.concatenate([places, places[DUPLICATED_EVERY - 1 :: DUPLICATED_EVERY]]))
        return order, values[order]
    return places, values


def registered(state: State, wiring: Wiring, measured: Measured) -> Measured:
    """Return what meters register of what passes them; what a reversed one loses counts as not metered."""
    energy_wh = reversed_energy(state, energy_wh=measured.energy_wh, phases=wiring.channels)
    if energy_wh is measured.energy_wh:
        return measured
    stolen_wh, at = measured.stolen_wh.copy(), wiring.at_consumer
    np.add.at(stolen_wh.T, wiring.consumer_of[at], (measured.energy_wh - energy_wh).T[at])
    return replace(measured, energy_wh=energy_wh, stolen_wh=stolen_wh)


def reversed_energy(state: State, *, energy_wh: Whole, phases: NDArray[np.intp]) -> Whole:
    """
    Return the energy [Wh] (half-hours, meters) that meters register of what passes them.

    With one current transformer of three reversed, a third is taken off instead of added; of a single phase nothing
    is left.
    """
    reverses = state.faults[FAULTS.index("reversed_ct")]
    if not reverses.any():
        return energy_wh
    left = np.where(phases == PHASES_OF_THREE, energy_wh // PHASES_OF_THREE, 0)
    return np.where(reverses, left, energy_wh)
