"""The present state of all meters as arrays, and how it is written to their memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import epoch_seconds
from bijlighar.simulator.model import TIME_ZONES, Town

#: Far beyond every moment of a town.
NEVER_S = 2**62
FAMILIES = 7
#: The clients whose invocation counters a meter keeps: reader, setting, firmware.
COUNTED_CLIENTS = (32, 48, 80)
#: So many own counters are set aside at a time, so that none is used twice after a process died.
COUNTERS_SET_ASIDE = 1 << 16

CONTROL_DISCONNECTED = 0
CONTROL_CONNECTED = 1
#: Open by the meter's own doing: it closes again by itself.
CONTROL_READY = 2
#: Remote disconnection and remote reconnection, nothing by hand.
CONTROL_MODE = 4

FAULTS = (
    "silent",
    "mute",
    "garbage",
    "wrong_key",
    "drop",
    "stuck_relay",
    "power_failure",
    "slow_link",
    "delay",
    "lossy_link",
    "garbled",
    "counter_jump",
    "clock_drift",
    "clock_step",
    "duplicated_rows",
    "repeated_rows",
    "register_reset",
    "register_rollover",
    "weld",
    "reversed_ct",
    "reboot",
    "other_firmware",
    "shared_modem",
    "other_access",
)

Whole = NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class State:
    """
    The state of the meters (columns: meters; `supply_on`, `supplied_s`: consumers; `live_s`: transformers;
    `feeder_failed`: feeders), changed in place.

    `now` holds the town's time; `drawn_s` how many seconds of the running half-hour each meter let current through,
    `powered_s` in how many it had voltage, `live_s` in how many a transformer had;
    `hung_from` and `hung_to` when it hangs; `own_counter` the next invocation counter to use and `set_aside` the
    first that is not set aside yet; `received` the last counter of each client; `silence` -1 where the seed decides.
    `clock_off` is how far a clock was ahead at `clock_since`, `clock_rate` what it gains a day [s];
    `limit_open` where a load limit has opened the relay, `limit_since` for how long it has, or has been exceeded [s];
    `captured_since` since when rows of the load profile are kept, which a new capture period cleared;
    `reset_at` when the registers began anew, at `reset_wh` and `reset_vah`; `shows_open` where a
    welded relay tells that it is open.
    """

    now: Whole
    register_wh: Whole
    register_vah: Whole
    zone_wh: Whole
    zone_vah: Whole
    demand_w: Whole
    demand_w_at: Whole
    demand_va: Whole
    demand_va_at: Whole
    on_minutes: Whole
    drawn_s: Whole
    powered_s: Whole
    supplied_s: Whole
    live_s: Whole
    feeder_failed: NDArray[np.bool_]
    supply_on: NDArray[np.bool_]
    relay_closed: NDArray[np.bool_]
    hung_from: Whole
    hung_to: Whole
    own_counter: Whole
    set_aside: Whole
    received: Whole
    status_word: NDArray[np.uint8]
    tampers: Whole
    billings: Whole
    events: Whole
    latest_code: Whole
    silence: Whole
    faults: NDArray[np.bool_]
    clock_off: Whole
    clock_since: Whole
    clock_rate: Whole
    reset_at: Whole
    reset_wh: Whole
    reset_vah: Whole
    shows_open: NDArray[np.bool_]
    limit_open: NDArray[np.bool_]
    limit_since: Whole
    captured_since: Whole
    #: Names of arrays that changed since they were last written.
    changed: set[str] = field(default_factory=set)


_NAMES = tuple(part.name for part in fields(State) if part.name != "changed")


def first_state(town: Town) -> State:
    """Return the state at the start of the town's first day."""
    count, consumers = len(town.devices), len(town.consumers)
    registers = np.array([device.initial_wh for device in town.devices], dtype=np.int64)
    share = registers // 4
    zone = _zeros(TIME_ZONES, count)
    zone[:4] = share
    zone[0] += registers - 4 * share
    factor = np.array([_typical_power_factor(town, device.consumer) for device in town.devices])
    apparent = np.floor(registers / factor + 0.5).astype(np.int64)
    hung = [
        NEVER_S if device.hung_from is None else epoch_seconds(device.hung_from) for device in town.devices
    ]
    return State(
        now=np.array([_first_second(town)], dtype=np.int64),
        register_wh=registers,
        register_vah=apparent,
        zone_wh=zone,
        zone_vah=np.floor(zone / factor + 0.5).astype(np.int64),
        demand_w=_zeros(count),
        demand_w_at=_zeros(count),
        demand_va=_zeros(count),
        demand_va_at=_zeros(count),
        on_minutes=_zeros(count),
        drawn_s=_zeros(count),
        powered_s=_zeros(count),
        supplied_s=_zeros(consumers),
        live_s=_zeros(len(town.transformers)),
        feeder_failed=np.zeros(len(town.feeders), dtype=bool),
        supply_on=np.ones(consumers, dtype=bool),
        relay_closed=np.ones(count, dtype=bool),
        hung_from=np.array(hung, dtype=np.int64),
        hung_to=np.full(count, NEVER_S, dtype=np.int64),
        own_counter=_zeros(count) + 1,
        set_aside=_zeros(count) + 1,
        received=_zeros(len(COUNTED_CLIENTS), count),
        status_word=np.zeros((count, 16), dtype=np.uint8),
        tampers=_zeros(count),
        billings=_zeros(count),
        events=_zeros(FAMILIES, count),
        latest_code=_zeros(FAMILIES, count),
        silence=np.full(count, -1, dtype=np.int64),
        faults=np.zeros((len(FAULTS), count), dtype=bool),
        clock_off=_zeros(count),
        clock_since=_zeros(count),
        clock_rate=_zeros(count),
        reset_at=_zeros(count),
        reset_wh=_zeros(count),
        reset_vah=_zeros(count),
        shows_open=np.zeros(count, dtype=bool),
        limit_open=np.zeros(count, dtype=bool),
        limit_since=_zeros(count),
        captured_since=_zeros(count),
        changed=set(_NAMES),
    )


def packed(state: State) -> dict[str, bytes]:
    """Return the octets of the arrays that changed, and count them as written."""
    written = {name: getattr(state, name).tobytes() for name in state.changed}
    state.changed.clear()
    return written


def unpacked(town: Town, stored: Mapping[str, bytes]) -> State:
    """Return the state that was stored; what an older file does not have stands as on the first day."""
    state = first_state(town)
    for name in _NAMES:
        if name in stored:
            before: NDArray[np.generic] = getattr(state, name)
            octets = stored[name]
            if name == "faults":  # an older file knows fewer of them: the first ones
                octets = octets.ljust(before.nbytes, b"\0")
            setattr(state, name, np.frombuffer(octets, dtype=before.dtype).reshape(before.shape).copy())
    state.changed = {name for name in _NAMES if name not in stored}
    return state


def _zeros(*shape: int) -> Whole:
    return np.zeros(shape, dtype=np.int64)


def _first_second(town: Town) -> int:
    return min(epoch_seconds(device.hung_from) for device in town.devices if device.hung_from is not None)


def _typical_power_factor(town: Town, consumer: int | None) -> float:
    return 0.95 if consumer is None else town.consumers[consumer].power_factor_pct / 100
