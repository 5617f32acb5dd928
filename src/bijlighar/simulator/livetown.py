"""
The running town: time passes, registers count, relays move, meters are exchanged and tampered with.

Time passes half-hour by half-hour for all meters at once. Of a half-hour in which a relay moved the seconds count in
which it was closed. Everything that changes is in the meters' memory before a method returns.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import IST, moment_of
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.settings import INDIAN
from bijlighar.simulator import faults, happening, physics, supply
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.memory import HalfHours, LoggedEvent, Memory
from bijlighar.simulator.meter_settings import CALENDAR_CHANGED, MeterSettings, event_of, limited_seconds
from bijlighar.simulator.model import INTERVAL_S, LoadFile, Swap, Town
from bijlighar.simulator.rules import time_zone
from bijlighar.simulator.state import (
    CONTROL_CONNECTED,
    CONTROL_DISCONNECTED,
    CONTROL_READY,
    COUNTED_CLIENTS,
    COUNTERS_SET_ASIDE,
    FAULTS,
    State,
    first_state,
    packed,
    unpacked,
)
from bijlighar.simulator.statusword import log_of
from bijlighar.simulator.ways import STANDARD, Way, way_of
from bijlighar.simulator.wiring import DAY_S, IST_OFFSET_S, Measured, Seconds, Wiring, day_of, midnight_s

Whole = NDArray[np.int64]

RELAY_OPENED, RELAY_CLOSED = 301, 302
POWER_FAILED, POWER_BACK = 101, 102
CLOCK_SET = 151
_BLOCK_DAYS_KEPT = 16
_MONTHLY = ("demand_w", "demand_w_at", "demand_va", "demand_va_at", "on_minutes")
#: What is counted of the running half-hour [s].
_RUNNING = ("drawn_s", "powered_s", "supplied_s", "live_s")
_COUNTING = ("register_wh", "register_vah", "zone_wh", "zone_vah", *_MONTHLY)


class LiveTown:
    """A town whose meters run."""

    def __init__(
        self, *, town: Town, memory: Memory, profiles: LoadFile | None = None, pushes: bool = False
    ) -> None:
        """Take up the town where its memory left it, or begin at its first day; `pushes`: alerts have a target."""
        self.town = town
        self.memory = memory
        self.wiring = Wiring(town=town, profiles=profiles)
        self.pushes = pushes
        stored = memory.state()
        self.state: State = unpacked(town, stored) if stored else first_state(town)
        self.settings = MeterSettings(stored)
        self._smart = np.array([device.smart for device in town.devices], dtype=bool)
        self.place = {device.serial: device.index for device in town.devices}
        self._blocks: OrderedDict[int, HalfHours] = OrderedDict()
        self._present: tuple[tuple[int, int], Measured] | None = None
        #: The registers at the starts of days, and the billing fields at the starts of months, oldest first.
        self.midnights = memory.midnights()
        self.billings = memory.billings(devices=len(town.devices))
        self._moves = 0
        with self.saving():
            if not stored:
                self._close_day(self.now_s)
            self.state.own_counter[:] = self.state.set_aside
            self.state.set_aside += COUNTERS_SET_ASIDE
            self.state.changed.update(("own_counter", "set_aside"))

    # ---- time

    @property
    def now_s(self) -> int:
        """Return the town's time in epoch seconds."""
        return int(self.state.now[0])

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Write everything that changes in the block in one transaction; on an error nothing of it has happened."""
        self.memory.begin()
        try:
            yield
            self.memory.save_state(packed(self.state))
        except BaseException:
            self.memory.rollback()
            self.state = unpacked(self.town, self.memory.state())
            self.settings = MeterSettings(self.memory.state())
            self._blocks.clear()
            self._present = None
            self.midnights = self.memory.midnights()
            self.billings = self.memory.billings(devices=len(self.town.devices))
            raise
        self.memory.commit()
        self._moves += 1

    def advance(self, to_s: int) -> None:
        """
        Let time pass until `to_s` (epoch seconds).

        :raises ControlRefused: if that is in the past.
        """
        if to_s < self.now_s:
            raise ControlRefused(f"the town's clock stands at {moment_of(self.now_s)} and cannot go back")
        while self.now_s < to_s:
            with self.saving():
                self._pass(to_s)

    def _pass(self, to_s: int) -> None:
        """Let time pass, at most to the end of the running day."""
        state, now = self.state, self.now_s
        state.changed.update(("now", *_RUNNING))
        midnight = midnight_s(day_of(now) + 1)
        to_s = self._activate_calendars(to_s)
        limits = self.settings.limited()
        whole = min((min(to_s, midnight) - now) // INTERVAL_S, 1 if limits else DAY_S)
        if now % INTERVAL_S == 0 and whole:
            passed = supply.seconds(self.wiring, self.state, INTERVAL_S)
            self._limit(passed, INTERVAL_S)
            self._complete(now, whole, passed)
            state.now[0] = now + whole * INTERVAL_S
        else:
            boundary = (now // INTERVAL_S + 1) * INTERVAL_S
            until = min(boundary, to_s)
            passed = supply.seconds(self.wiring, self.state, until - now)
            self._limit(passed, until - now)
            state.drawn_s += passed.drawn
            state.powered_s += passed.powered
            state.supplied_s += passed.supplied
            state.live_s += passed.live
            if until == boundary:
                running = Seconds(
                    drawn=state.drawn_s, powered=state.powered_s, supplied=state.supplied_s, live=state.live_s
                )
                self._complete(boundary - INTERVAL_S, 1, running)
                for name in _RUNNING:
                    getattr(state, name)[:] = 0
            state.now[0] = until
        if self.now_s == midnight:
            self._close_day(midnight)

    def _activate_calendars(self, to_s: int) -> int:
        """Make waiting calendars active whose time has come, and return until when no other becomes so."""
        for at_s, device in self.settings.activations():
            if at_s > self.now_s:
                return min(to_s, at_s)
            self.settings.activate(device)
            self.memory.save_state(self.settings.packed())
            self._happen(device, CALENDAR_CHANGED, alert=False)
        return to_s

    def _limit(self, passed: Seconds, passed_s: int) -> None:
        """Let load limits move relays in `passed_s` [s] of one half-hour, and take it off what was drawn."""
        state, limits = self.state, self.settings.limited()
        if not limits:
            return
        start = np.array([self.now_s // INTERVAL_S * INTERVAL_S], dtype=np.int64)
        wanted, past_meter = self.wiring.wanted(start)
        carries = supply.carrying(self.wiring, state)
        for device, limit in limits.items():
            consumer = int(self.wiring.consumer_of[device])
            power_w = 0
            if consumer >= 0 and carries[device]:
                power_w = int(wanted[0, consumer] - past_meter[0, consumer]) * 3600 // INTERVAL_S
            before = bool(state.limit_open[device])
            flowed_s, is_open, since_s, moves = limited_seconds(
                passed_s=passed_s,
                power_w=power_w,
                limit=limit,
                is_open=before,
                since_s=int(state.limit_since[device]),
            )
            state.limit_open[device], state.limit_since[device] = is_open, since_s
            passed.drawn[device] = flowed_s if carries[device] else 0
            if moves > before:  # an open relay closes first
                self._happen(device, RELAY_OPENED, alert=False)
            if moves > (not before):
                self._happen(device, RELAY_CLOSED, alert=False)
        state.changed.update(("limit_open", "limit_since"))

    def powered(self) -> NDArray[np.bool_]:
        """Return which meters hang and have voltage."""
        return supply.powered(self.wiring, self.state)

    def has_power(self, device: int) -> bool:
        """Return whether a meter has voltage, wherever it is."""
        return supply.has_power(self.wiring, self.state, device)

    def _complete(self, start: int, count: int, seconds: Seconds) -> None:
        """
        Count `count` half-hours of one day, all with the same seconds.

        A meter writes no row for a half-hour in which it had no voltage at all: it was off, as its clock's log says.
        """
        starts = start + INTERVAL_S * np.arange(count, dtype=np.int64)
        measured = faults.registered(
            self.state, self.wiring, self.wiring.measure(starts=starts, seconds=seconds)
        )
        self._count(starts, measured)
        self.state.on_minutes += seconds.powered * count // 60
        self.memory.add_half_hours(
            HalfHours(
                starts=starts,
                energy_wh=measured.energy_wh.astype(np.int32),
                apparent_vah=measured.apparent_vah.astype(np.int32),
                volt=physics.hundredths(measured.volt).astype(np.int32),
                amp=physics.hundredths(measured.amp).astype(np.int32),
                present=np.tile((seconds.powered > 0) | (seconds.drawn > 0), (count, 1)),
                stolen_wh=measured.stolen_wh.astype(np.int32),
                line_loss_wh=measured.line_loss_wh.astype(np.int32),
                own_loss_wh=measured.own_loss_wh.astype(np.int32),
            )
        )
        self._blocks.pop(day_of(start), None)

    def _count(self, starts: Whole, measured: Measured) -> None:
        """Add half-hours to the registers, the zones and the maximum demands."""
        state, ends = self.state, starts + INTERVAL_S
        state.changed.update(_COUNTING)
        half_hours = (starts + IST_OFFSET_S) % DAY_S // INTERVAL_S
        zones = np.array([time_zone(int(half_hour)) for half_hour in half_hours])
        changed = self.settings.zones(starts=starts)
        usual = np.ones(len(self.town.devices), dtype=bool)
        usual[list(changed)] = False
        for values, register, by_zone, highest, highest_at in (
            (measured.energy_wh, state.register_wh, state.zone_wh, state.demand_w, state.demand_w_at),
            (measured.apparent_vah, state.register_vah, state.zone_vah, state.demand_va, state.demand_va_at),
        ):
            register += values.sum(axis=0)
            for zone in np.unique(zones):
                by_zone[zone] += values[zones == zone].sum(axis=0) * usual
            for device, of_device in changed.items():
                np.add.at(by_zone[:, device], of_device, values[:, device])
            best = values.argmax(axis=0)
            power = values[best, np.arange(values.shape[1])] * (3600 // INTERVAL_S)
            higher = power > highest
            highest[higher] = power[higher]
            highest_at[higher] = ends[best[higher]]

    def _close_day(self, at: int) -> None:
        """Keep the registers of a day's end, and on the first of a month the billing fields."""
        state = self.state
        self.memory.add_midnight(at=at, energy_wh=state.register_wh, apparent_vah=state.register_vah)
        self.midnights.append((at, state.register_wh.copy(), state.register_vah.copy()))
        day = moment_of(at).astimezone(IST).day
        own_days = self.settings.billing_days()
        closes = np.array([own_days.get(device, 1) == day for device in range(len(self.town.devices))])
        if not closes.any():
            return
        monthly = [getattr(state, name) for name in ("register_wh", "register_vah", *_MONTHLY)]
        fields = np.concatenate([np.stack(monthly), state.zone_wh, state.zone_vah])
        if not closes.all():  # a last row tells whose bill closed
            fields = np.concatenate([fields, closes[None, :].astype(np.int64)])
        self.memory.add_billing(at=at, fields=fields)
        self.billings.append((at, fields))
        state.billings += supply.hanging(self.state) & closes
        for name in _MONTHLY:
            getattr(state, name)[closes] = 0
        state.changed.update((*_MONTHLY, "billings"))

    # ---- what meters show

    def register_now(self, device: int) -> tuple[int, int]:
        """Return what the registers of a meter show now [Wh, VAh], the running half-hour included."""
        energy, apparent = int(self.state.register_wh[device]), int(self.state.register_vah[device])
        consumer = int(self.wiring.consumer_of[device])
        if consumer < 0:
            return energy, apparent
        start = np.array([self.now_s // INTERVAL_S * INTERVAL_S], dtype=np.int64)
        wanted, past_meter = self.wiring.wanted(start)
        running = int(
            (wanted[0, consumer] - past_meter[0, consumer]) * self.state.drawn_s[device] // INTERVAL_S
        )
        running = int(
            faults.reversed_energy(
                self.state,
                energy_wh=np.full((1, len(self.town.devices)), running, dtype=np.int64),
                phases=self.wiring.channels,
            )[0, device]
        )
        return energy + running, apparent + self.wiring.apparent_vah(device=device, energy_wh=running)

    def present(self) -> Measured:
        """Return the running half-hour as if everything stayed as it is now."""
        start = self.now_s // INTERVAL_S * INTERVAL_S
        if self._present is None or self._present[0] != (start, self._moves):
            measured = self.wiring.measure(
                starts=np.array([start], dtype=np.int64),
                seconds=supply.seconds(self.wiring, self.state, INTERVAL_S),
            )
            self._present = ((start, self._moves), measured)
        return self._present[1]

    def block_day(self, day: int) -> HalfHours:
        """Return the half-hours of a day (IST day number) that are over."""
        if day in self._blocks:
            self._blocks.move_to_end(day)
            return self._blocks[day]
        block = self.memory.half_hours(first=midnight_s(day), end=midnight_s(day + 1))
        self._blocks[day] = block
        while len(self._blocks) > _BLOCK_DAYS_KEPT:
            self._blocks.popitem(last=False)
        return block

    # ---- what happens to meters

    def has_fault(self, device: int, name: str) -> bool:
        """Return whether a fault is on at a meter."""
        return bool(self.state.faults[FAULTS.index(name), device])

    def way(self, device: int) -> Way:
        """Return how a meter is called."""
        return way_of(device) if self.has_fault(device, "other_access") else STANDARD

    def set_fault(self, device: int, name: str, *, on: bool) -> None:
        """
        Let a fault begin or end; a failing supply sends its last gasp and a returning one its first breath.

        :raises ControlRefused: if there is no such fault.
        """
        if name not in FAULTS:
            raise ControlRefused(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
        if self.has_fault(device, name) == on:
            return
        with self.switching(tells=np.ones(len(self.town.devices), dtype=bool)):
            self.state.faults[FAULTS.index(name), device] = on
            self.state.changed.add("faults")
            if on:
                faults.begin(self.state, self.town, name=name, device=device)
            else:
                faults.end(self.state, name=name, device=device)
        if name == "reversed_ct" and self.town.devices[device].smart and supply.hanging(self.state)[device]:
            self.happen(device, faults.CURRENT_REVERSED if on else faults.CURRENT_RIGHT)

    @contextmanager
    def switching(self, *, tells: NDArray[np.bool_]) -> Iterator[None]:
        """
        Log at each meter whose voltage goes or comes in the block that it did, and save.

        Those of `tells` push a last gasp or a first breath, too.
        """
        with self.saving():
            before = self.powered()
            yield
            for device in np.flatnonzero((before ^ self.powered()) & self._smart):
                code = POWER_FAILED if before[device] else POWER_BACK
                self._happen(int(device), code, alert=bool(tells[device]))

    def set_silence(self, device: int, *, silent: bool | None) -> None:
        """Silence a meter, let it speak, or leave it to the seed again."""
        with self.saving():
            self.state.silence[device] = -1 if silent is None else int(silent)
            self.state.changed.add("silence")

    def happen(self, device: int, code: int) -> None:
        """
        Let an event happen at a meter: it stands in the log, and an alert is to be pushed.

        :raises ControlRefused: if the meter cannot tell of it.
        """
        if not self.town.devices[device].smart or not supply.hanging(self.state)[device]:
            raise ControlRefused(f"{self.town.devices[device].serial} is no smart meter that hangs now")
        with self.saving():
            self._happen(device, code, alert=True)

    def note(self, device: int, code: int) -> None:
        """Let an event stand in a meter's log, within `saving`; nobody is alerted."""
        self._happen(device, code, alert=False)

    def _happen(self, device: int, code: int, *, alert: bool) -> None:
        measured, channel = self.present(), int(self.wiring.channel_of[device])
        event = LoggedEvent(
            device=device,
            family=log_of(code),
            code=code,
            at=self.now_s,
            volt=int(measured.volt[0, channel] * 100),
            amp=int(measured.amp[0, channel] * 100),
            power_factor=int(self.wiring.power_factor[device] * 100),
            energy_wh=self.register_now(device)[0],
            tampers=int(self.state.tampers[device]) + happening.is_tamper(code),
        )
        happening.happen(
            self.state,
            self.memory,
            event=event,
            pushes=alert and (self.pushes or bool(self.settings.push(device).destination)),
            shown=self.settings.event_filter(device),
        )

    def operate_relay(self, device: int, *, closes: bool, client: int) -> bool:
        """Open or close a relay and return whether it moved; a stuck one says nothing and stays."""
        state = self.state
        with self.saving():
            told = bool(state.relay_closed[device]) and not state.shows_open[device]
            ends_limit = closes and bool(state.limit_open[device])
            changes = (told != closes or ends_limit) and not self.has_fault(device, "stuck_relay")
            moved = changes and not self.has_fault(device, "weld")
            if moved:
                state.relay_closed[device] = closes
                state.changed.add("relay_closed")
            elif changes:  # its contacts are welded: it tells that it moved, and current flows as before
                state.shows_open[device] = not closes
                state.changed.add("shows_open")
            if changes:
                state.limit_open[device], state.limit_since[device] = False, 0
                state.changed.update(("limit_open", "limit_since"))
                self._happen(device, RELAY_CLOSED if closes else RELAY_OPENED, alert=False)
            self.memory.add_relay_act(device=device, closes=closes, at=self.now_s, client=client, moved=moved)
        return moved

    def shows_closed(self, device: int) -> bool:
        """Return whether a relay tells that it is closed; a welded one tells what it was told to be."""
        state = self.state
        return (
            bool(state.relay_closed[device]) and not state.shows_open[device] and not state.limit_open[device]
        )

    def control_state(self, device: int) -> int:
        """Return the control state of a relay (class 70, attribute 3)."""
        if self.shows_closed(device):
            return CONTROL_CONNECTED
        is_limited = self.state.relay_closed[device] and self.state.limit_open[device]
        return CONTROL_READY if is_limited else CONTROL_DISCONNECTED

    def clock_s(self, device: int) -> int:
        """Return what a meter's own clock shows, in epoch seconds."""
        return self.now_s + faults.clock_ahead_s(self.state, device)

    def set_clock(self, device: int, *, to_s: int) -> None:
        """Set a meter's clock; it stands in its log."""
        with self.saving():
            faults.set_clock(self.state, device=device, to_s=to_s)
            self._happen(device, CLOCK_SET, alert=False)

    def write_setting(self, device: int, attribute: Attribute, data: bytes) -> None:
        """Set a meter; that it was changed stands in its log. A new capture period clears the load profile."""
        with self.saving():
            changes = self.settings.get(device, attribute) != data
            self.settings.keep(device, attribute, data)
            self.memory.save_state(self.settings.packed())
            if attribute == INDIAN.period and changes:
                self.state.captured_since[device] = self.now_s
                self.state.changed.add("captured_since")
            code = event_of(attribute, data)
            if code is not None and changes:
                self._happen(device, code, alert=False)

    def activate_calendar(self, device: int) -> None:
        """Make the calendar that waits at a meter the active one."""
        with self.saving():
            self.settings.activate(device)
            self.memory.save_state(self.settings.packed())
            self._happen(device, CALENDAR_CHANGED, alert=False)

    def connect_by_hand(self, consumer: int, *, connected: bool) -> None:
        """Let a fitter cut a consumer's supply at the pole, or restore it."""
        with self.saving():
            self.state.supply_on[consumer] = connected
            self.state.changed.add("supply_on")

    def swap(self, usage_point: str) -> Swap:
        """
        Hang the new meter planned for a place; repeated, it tells again what happened.

        :raises ControlRefused: if none is planned there.
        """
        plan = next((plan for plan in self.town.installations if plan.usage_point == usage_point), None)
        if plan is None:
            raise ControlRefused(f"no new meter is planned for {usage_point}")
        old, new = self.place[plan.old_serial], self.place[plan.new_serial]
        state = self.state
        if state.hung_from[new] > self.now_s:
            with self.saving():
                state.hung_to[old] = state.hung_from[new] = self.now_s
                state.changed.update(("hung_to", "hung_from"))
        return Swap(
            usage_point=usage_point,
            account=plan.account,
            old_serial=plan.old_serial,
            final_wh=self.register_now(old)[0],
            new_serial=plan.new_serial,
            initial_wh=self.town.devices[new].initial_wh,
            at=moment_of(int(state.hung_from[new])),
        )

    # ---- counters

    def next_counter(self, device: int) -> int:
        """Return the invocation counter with which a meter encrypts next; none comes twice, whatever dies."""
        counter = int(self.state.own_counter[device])
        self.state.own_counter[device] = counter + 1
        if counter + 1 >= self.state.set_aside[device]:
            with self.saving():
                self.state.set_aside[device] += COUNTERS_SET_ASIDE
                self.state.changed.add("set_aside")
        return counter

    def received_counter(self, device: int, client: int) -> int:
        """Return the last invocation counter of a client that a meter took, 0 if none."""
        if client not in COUNTED_CLIENTS:
            return 0
        return int(self.state.received[COUNTED_CLIENTS.index(client), device])

    def note_received(self, device: int, client: int, counter: int) -> None:
        """Remember a client's invocation counter; `flush` or the next operation writes it."""
        if client in COUNTED_CLIENTS:
            row = self.state.received[COUNTED_CLIENTS.index(client)]
            if counter > row[device]:
                row[device] = counter
                self.state.changed.add("received")

    def flush(self) -> None:
        """Write what was only remembered so far."""
        if self.state.changed:
            with self.saving():
                pass
