"""What was true in a running town: asked for over the control socket, by the demo and the tests alone."""

import csv
import io
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import IST, day_number, epoch_seconds, moment_of
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.model import INTERVAL_S, RelayAct, RelayTruth, Truth
from bijlighar.simulator.wiring import day_of, midnight_s

LONGEST_TRUTH_DAYS = 400


def truth_of(live: LiveTown, *, first: date, last: date) -> Truth:
    """
    Return what physically happened on the days `first` to `last` (IST, both included), as far as they are over.

    :raises ControlRefused: if that is too much for one answer.
    """
    if not 0 <= (last - first).days < LONGEST_TRUTH_DAYS:
        raise ControlRefused(
            f"the truth is told for 1 to {LONGEST_TRUTH_DAYS} days at a time, not {first} to {last}"
        )
    town, wiring = live.town, live.wiring
    block = live.memory.half_hours(first=midnight_s(day_number(first)), end=midnight_s(day_number(last) + 1))
    energy = block.energy_wh.reshape(len(block.starts), len(town.devices)).T.astype(np.int64)
    stolen = block.stolen_wh.reshape(len(block.starts), len(town.consumers)).T.astype(np.int64)
    consumed = stolen.copy()
    np.add.at(consumed, wiring.consumer_of[wiring.at_consumer], energy[wiring.at_consumer])
    line_loss = block.line_loss_wh.reshape(len(block.starts), len(town.transformers)).T.astype(np.int64)
    own_loss = block.own_loss_wh.reshape(len(block.starts), len(town.transformers)).T.astype(np.int64)
    codes = [transformer.code for transformer in town.transformers]
    fed_by = np.array([codes.index(consumer.transformer) for consumer in town.consumers], dtype=np.intp)
    drawn = np.zeros_like(line_loss)
    np.add.at(drawn, fed_by, consumed)
    feeder_input = np.zeros((len(town.feeders), len(block.starts)), dtype=np.int64)
    above = np.array(
        [town.feeders.index(transformer.feeder) for transformer in town.transformers], dtype=np.intp
    )
    np.add.at(feeder_input, above, drawn + line_loss + own_loss)
    return Truth(
        starts=block.starts,
        serials=tuple(device.serial for device in town.devices),
        registered_wh=energy,
        present=block.present.reshape(len(block.starts), len(town.devices)).T,
        accounts=tuple(consumer.account for consumer in town.consumers),
        consumed_wh=consumed,
        stolen_wh=stolen,
        transformers=tuple(codes),
        input_wh=drawn + line_loss,
        line_loss_wh=line_loss,
        own_loss_wh=own_loss,
        feeders=town.feeders,
        feeder_input_wh=feeder_input,
    )


def registers_at(live: LiveTown, *, at: datetime) -> dict[str, int]:
    """
    Return what the register of every meter that hung at a moment showed [Wh].

    :raises ControlRefused: if that is neither the present nor the past start of a half-hour.
    """
    second = epoch_seconds(at)
    hanging = (live.state.hung_from <= second) & (second <= live.state.hung_to)
    if second == live.now_s:
        return {
            device.serial: live.register_now(device.index)[0]
            for device in live.town.devices
            if hanging[device.index]
        }
    if second % INTERVAL_S or second > live.now_s:
        raise ControlRefused(
            f"registers are known now and at the past starts of half-hours, not at {at.isoformat()}"
        )
    registers = _registers_then(live, second)
    return {
        device.serial: int(registers[device.index]) for device in live.town.devices if hanging[device.index]
    }


def hand_readings(live: LiveTown, *, at: datetime) -> str:
    """Return the registers of the old meters at a moment as a file for `readings import`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("meter", "time", "wh_import_register"))
    registers = registers_at(live, at=at)
    for device in live.town.devices:
        if not device.smart and device.serial in registers:
            writer.writerow((device.serial, at.astimezone(IST).isoformat(), registers[device.serial]))
    return text.getvalue()


def relay_truth(live: LiveTown) -> RelayTruth:
    """Return where the relays stand and every operation so far."""
    devices = live.town.devices
    return RelayTruth(
        closed={
            d.serial: bool(live.state.relay_closed[d.index])
            for d in devices
            if live.wiring.has_relay[d.index]
        },
        acts=tuple(
            RelayAct(
                serial=devices[device].serial,
                action="reconnect" if closes else "disconnect",
                at=moment_of(at),
                client=client,
                moved=moved,
            )
            for device, closes, at, client, moved in live.memory.relay_acts()
        ),
    )


def _registers_then(live: LiveTown, second: int) -> NDArray[np.int64]:
    midnight = midnight_s(day_of(second))
    kept = next((registers for at, registers, _ in live.midnights if at == midnight), None)
    if kept is None:
        raise ControlRefused(f"the town's memory does not reach back to {moment_of(second)}")
    block = live.memory.half_hours(first=midnight, end=second)
    passed = block.energy_wh.reshape(len(block.starts), len(live.town.devices)).sum(axis=0, dtype=np.int64)
    registers: NDArray[np.int64] = kept + passed
    return registers
