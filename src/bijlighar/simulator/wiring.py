"""From what consumers want to what meters measure: loads, line and meters of a town put together."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import day_number
from bijlighar.simulator import curves, physics
from bijlighar.simulator.model import INTERVAL_S, PHASES, Device, Kind, LoadFile, Town

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]

IST_OFFSET_S = 19_800
DAY_S = 86_400
_DAYS_OF_DEMAND_KEPT = 4
_FEEDER_SAG = 0.006
_ABOVE_ALL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    What half-hours (rows) of one day amount to.

    `energy_wh` and `apparent_vah` by meter, `volt` [V] and `amp` [A] by channel, `stolen_wh` by consumer, losses [Wh]
    by transformer.
    """

    energy_wh: Whole
    apparent_vah: Whole
    volt: Reals
    amp: Reals
    stolen_wh: Whole
    line_loss_wh: Whole
    own_loss_wh: Whole


def day_of(second: int) -> int:
    """
    Return the day number (IST) of a moment in epoch seconds.

    >>> day_of(0), day_of(86_400 - 19_800)
    (0, 1)
    """
    return (second + IST_OFFSET_S) // DAY_S


def midnight_s(day: int) -> int:
    """
    Return the start of a day (IST) in epoch seconds.

    >>> midnight_s(1)
    66600
    """
    return day * DAY_S - IST_OFFSET_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """
    How many seconds of each half-hour [s] something was so.

    `drawn`: a meter let current through; `powered`: a meter had voltage; `supplied`: a consumer was connected to a
    line with voltage; `live`: a transformer had voltage.
    """

    drawn: Whole
    powered: Whole
    supplied: Whole
    live: Whole


class Wiring:
    """
    The fixed connections of a town.

    A channel is one phase of one meter: channels `channel_of[m]` to `channel_of[m + 1]` belong to meter m.
    """

    def __init__(self, *, town: Town, profiles: LoadFile | None) -> None:
        """Lay out the arrays."""
        first_day = day_number(town.first_day)
        self._loads = curves.loads_of(town.consumers, seed=town.seed, first_day=first_day, profiles=profiles)
        self._grid = physics.grid_of(town.consumers, town.transformers, town.feeders, seed=town.seed)
        self._demand: OrderedDict[int, Whole] = OrderedDict()
        devices = town.devices
        self.consumer_of = np.array(
            [-1 if d.consumer is None else d.consumer for d in devices], dtype=np.intp
        )
        self.at_consumer = self.consumer_of >= 0
        #: The feeder above; a feeder's own meter stands before the breaker, at the bus, and keeps its voltage.
        self.below = np.array(
            [_ABOVE_ALL if d.kind is Kind.FEEDER else town.feeders.index(d.feeder) for d in devices],
            dtype=np.intp,
        )
        self.feeder_of_transformer = self._grid.feeder_of
        self.feeder_of_consumer = self._grid.feeder_of[self._grid.transformer_of]
        self.has_relay = np.array([d.smart and d.kind.has_relay for d in devices], dtype=bool)
        self._fed = np.flatnonzero(self.at_consumer)
        codes = [transformer.code for transformer in town.transformers]
        self._transformer_meters = _places(devices, Kind.TRANSFORMER)
        self._transformers = np.array(
            [codes.index(devices[meter].transformer) for meter in self._transformer_meters], dtype=np.intp
        )
        self._feeder_meters = _places(devices, Kind.FEEDER)
        self._feeders = np.array(
            [town.feeders.index(devices[meter].feeder) for meter in self._feeder_meters], dtype=np.intp
        )
        phases = [PHASES if d.consumer is None else tuple(town.consumers[d.consumer].phase) for d in devices]
        self.channels = np.array([len(of_device) for of_device in phases], dtype=np.intp)
        self.channel_of = np.concatenate([[0], np.cumsum(self.channels)]).astype(np.intp)
        self.device_of_channel = np.repeat(np.arange(len(devices)), self.channels)
        self._phase_of_channel = np.array(
            [PHASES.index(phase) for of in phases for phase in of], dtype=np.intp
        )
        self.power_factor = np.where(self.at_consumer, self._grid.power_factor[self.consumer_of], 1.0)
        self._stolen_pct = np.array(
            [c.bypass.share_pct if c.bypass else 0 for c in town.consumers], dtype=np.int64
        )
        self._stolen_since = np.array(
            [day_number(c.bypass.since) if c.bypass else np.iinfo(np.int64).max for c in town.consumers],
            dtype=np.int64,
        )

    def measure(self, *, starts: Whole, seconds: Seconds) -> Measured:
        """
        Return what half-hours of one day amount to, all with the same `seconds`.

        The voltage of a half-hour is the mean of the seconds in which there was any; without any it is 0.
        """
        wanted, past_meter = self.wanted(starts)
        drawn_s = seconds.drawn
        stolen = past_meter * seconds.supplied // INTERVAL_S
        energy = np.zeros((len(starts), len(drawn_s)), dtype=np.int64)
        fed = self._fed
        energy[:, fed] = (wanted - past_meter)[:, self.consumer_of[fed]] * drawn_s[fed] // INTERVAL_S
        registered = np.zeros_like(stolen)
        np.add.at(registered.T, self.consumer_of[fed], energy[:, fed].T)
        flow = physics.flow(
            self._grid,
            starts=starts,
            registered_wh=registered,
            stolen_wh=stolen,
            live_share=seconds.live / INTERVAL_S,
        )
        apparent = physics.apparent_vah(energy, self.power_factor)
        energy[:, self._transformer_meters] = flow.input_wh[:, self._transformers]
        apparent[:, self._transformer_meters] = flow.input_vah[:, self._transformers]
        energy[:, self._feeder_meters] = flow.feeder_wh[:, self._feeders]
        apparent[:, self._feeder_meters] = flow.feeder_vah[:, self._feeders]
        volt = self._volt(flow, starts)
        volt[:, (seconds.powered == 0)[self.device_of_channel]] = 0.0
        return Measured(
            energy_wh=energy,
            apparent_vah=apparent,
            volt=volt,
            amp=self._amp(flow, apparent, volt),
            stolen_wh=stolen,
            line_loss_wh=flow.line_loss_wh,
            own_loss_wh=flow.own_loss_wh,
        )

    def wanted(self, starts: Whole) -> tuple[Whole, Whole]:
        """Return what the consumers want, and how much of it past the meter, by half-hour of one day [Wh]."""
        day = day_of(int(starts[0]))
        first = (int(starts[0]) - midnight_s(day)) // INTERVAL_S
        wanted = self._demand_of(day)[first : first + len(starts)]
        return wanted, wanted * np.where(self._stolen_since <= day, self._stolen_pct, 0) // 100

    def apparent_vah(self, *, device: int, energy_wh: int) -> int:
        """Return the apparent energy [VAh] with which a meter counts `energy_wh` [Wh]."""
        return int(physics.apparent_vah(np.array([energy_wh]), self.power_factor[[device]])[0])

    def _demand_of(self, day: int) -> Whole:
        if day not in self._demand:
            demand = curves.demand_wh(self._loads, day=day)
            self._demand[day] = np.ascontiguousarray(demand.T.astype(np.int64))
            while len(self._demand) > _DAYS_OF_DEMAND_KEPT:
                self._demand.popitem(last=False)
        return self._demand[day]

    def _volt(self, flow: physics.Flow, starts: Whole) -> Reals:
        volt = flow.volt[:, self.consumer_of[self.device_of_channel], self._phase_of_channel]
        for meter, transformer in zip(self._transformer_meters, self._transformers, strict=True):
            volt[:, self._of(meter)] = flow.source_volt[:, transformer]
        hour = ((starts + IST_OFFSET_S) % DAY_S) / 3600.0
        feeder_volt = physics.FEEDER_PHASE_V * (1 - _FEEDER_SAG * np.cos((hour - 20.0) * np.pi / 12))
        for meter in self._feeder_meters:
            volt[:, self._of(meter)] = feeder_volt[:, None]
        return volt

    def _amp(self, flow: physics.Flow, apparent: Whole, volt: Reals) -> Reals:
        share = apparent[:, self.device_of_channel] / self.channels[self.device_of_channel]
        amp = np.divide(share * (3600.0 / INTERVAL_S), volt, out=np.zeros_like(volt), where=volt > 0)
        for meter, transformer in zip(self._transformer_meters, self._transformers, strict=True):
            amp[:, self._of(meter)] = flow.line_amp[:, transformer]
        return amp

    def _of(self, meter: int) -> slice:
        return slice(int(self.channel_of[meter]), int(self.channel_of[meter + 1]))


def _places(devices: tuple[Device, ...], kind: Kind) -> NDArray[np.intp]:
    return np.array([device.index for device in devices if device.kind is kind], dtype=np.intp)
