"""
The line from the transformer to the homes: currents, voltage drop and losses, for all transformers at once.

Each transformer feeds one radial line of three phases; consumer k of a phase hangs at its k-th pole. The current of a
span is the sum of the currents behind it, its loss is current squared times resistance (conductor and neutral), and
the voltage at a pole is the source's less every drop before it. Energies are whole Wh: what a transformer's meter
counts is the exact sum of what its consumers used plus the rounded loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bijlighar.simulator.model import INTERVAL_S, PHASES, Consumer, TransformerPlan

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]

NOMINAL_V = 240.0
FEEDER_PHASE_V = 11_000.0 / 3**0.5
_LOWEST_V = 150.0
_PASSES = 2
_HALF_HOUR_H = 0.5
_STREAM_SOURCE = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Who hangs where, as arrays: `nodes[transformer, phase, pole]` is a consumer's index, or their count if none."""

    nodes: NDArray[np.intp]
    phase_share: Reals
    power_factor: Reals
    transformer_of: NDArray[np.intp]
    feeder_of: NDArray[np.intp]
    ohm: Reals
    kva: Reals
    no_load_w: Reals
    load_w: Reals
    feeders: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """
    What flows in n half-hours.

    Energies [Wh] and apparent energies [VAh] are whole; rows are half-hours. `volt` [V] is by consumer and phase,
    `source_volt` and `line_amp` by transformer and phase.
    """

    volt: Reals
    source_volt: Reals
    line_amp: Reals
    line_loss_wh: Whole
    own_loss_wh: Whole
    input_wh: Whole
    input_vah: Whole
    feeder_wh: Whole
    feeder_vah: Whole


def grid_of(
    consumers: Sequence[Consumer],
    transformers: Sequence[TransformerPlan],
    feeders: Sequence[str],
    *,
    seed: int,
) -> Grid:
    """Return the arrays of the network."""
    place = {transformer.code: index for index, transformer in enumerate(transformers)}
    poles = 1 + max((consumer.node for consumer in consumers), default=0)
    nodes = np.full((len(transformers), 3, poles), len(consumers), dtype=np.intp)
    for consumer in consumers:
        for phase in consumer.phase:
            nodes[place[consumer.transformer], PHASES.index(phase), consumer.node] = consumer.index
    return Grid(
        nodes=nodes,
        phase_share=np.array([1.0 / len(consumer.phase) for consumer in consumers]),
        power_factor=np.array([consumer.power_factor_pct / 100.0 for consumer in consumers]),
        transformer_of=np.array([place[consumer.transformer] for consumer in consumers], dtype=np.intp),
        feeder_of=np.array(
            [feeders.index(transformer.feeder) for transformer in transformers], dtype=np.intp
        ),
        ohm=np.array([transformer.milliohm_per_span / 1000.0 for transformer in transformers]),
        kva=np.array([float(transformer.kva) for transformer in transformers]),
        no_load_w=np.array([float(transformer.no_load_loss_w) for transformer in transformers]),
        load_w=np.array([float(transformer.load_loss_w) for transformer in transformers]),
        feeders=len(feeders),
        seed=seed,
    )


def apparent_vah(energy_wh: Whole, power_factor: Reals) -> Whole:
    """
    Return the apparent energy [VAh], rounded half up, never below the real one.

    >>> apparent_vah(np.array([90, 0, 7]), np.array([0.9, 0.9, 1.0])).tolist()
    [100, 0, 7]
    """
    return np.floor(energy_wh / power_factor + 0.5).astype(np.int64)


def source_volt(grid: Grid, *, starts: Whole) -> Reals:
    """Return the voltage [V] at the transformers' terminals, by half-hour (`starts`, epoch s) and transformer."""
    rows = [
        np.random.default_rng([grid.seed, _STREAM_SOURCE, int(start)]).random(len(grid.kva)) * 4.0 - 2.0
        for start in starts
    ]
    hour = ((starts + 19_800) % 86_400) / 3600.0
    sag = 4.0 * np.exp(-0.5 * ((hour - 20.0) / 2.5) ** 2)
    return NOMINAL_V + 2.0 - sag[:, None] + np.array(rows).reshape(len(starts), len(grid.kva))


def flow(
    grid: Grid, *, starts: Whole, registered_wh: Whole, stolen_wh: Whole, live_share: Reals | float = 1.0
) -> Flow:
    """
    Return what flows when the consumers draw `registered_wh` + `stolen_wh` (half-hours by consumers) [Wh].

    `live_share` is the part of each half-hour, by transformer, in which it had voltage: without any it loses nothing.
    """
    drawn_wh = registered_wh + stolen_wh
    drawn_va = drawn_wh / grid.power_factor / _HALF_HOUR_H
    source = source_volt(grid, starts=starts)
    volt = np.broadcast_to(source[:, :, None, None], (len(starts), *grid.nodes.shape))
    va_of_node = np.concatenate([drawn_va * grid.phase_share, np.zeros((len(starts), 1))], axis=1)[
        :, grid.nodes
    ]
    ohm = grid.ohm[None, :, None, None]
    span = np.zeros(va_of_node.shape)
    for _ in range(_PASSES):
        span = np.cumsum((va_of_node / volt)[..., ::-1], axis=-1)[..., ::-1]
        volt = np.maximum(source[:, :, None, None] - np.cumsum(span * ohm, axis=-1), _LOWEST_V)
    loss_w = np.sum(span**2 * ohm, axis=(2, 3))
    line_loss = _whole(loss_w * _HALF_HOUR_H)
    consumed = _by_group(drawn_wh, grid.transformer_of, len(grid.kva))
    drawn_vah = _by_group(apparent_vah(drawn_wh, grid.power_factor), grid.transformer_of, len(grid.kva))
    input_wh, input_vah = consumed + line_loss, drawn_vah + line_loss
    loading = input_vah / _HALF_HOUR_H / 1000.0 / grid.kva
    own_loss = _whole((grid.no_load_w * live_share + grid.load_w * loading**2) * _HALF_HOUR_H)
    return Flow(
        volt=_at_consumers(grid, volt),
        source_volt=np.broadcast_to(source[:, :, None], (*source.shape, 3)),
        line_amp=span[..., 0],
        line_loss_wh=line_loss,
        own_loss_wh=own_loss,
        input_wh=input_wh,
        input_vah=input_vah,
        feeder_wh=_by_group(input_wh + own_loss, grid.feeder_of, grid.feeders),
        feeder_vah=_by_group(input_vah + own_loss, grid.feeder_of, grid.feeders),
    )


def amp_from(*, apparent_vah: Whole, volt: Reals) -> Reals:
    """Return the mean current [A] of half-hours with `apparent_vah` [VAh] at `volt` [V] in one phase."""
    return apparent_vah * (3600.0 / INTERVAL_S) / volt


def hundredths(value: Reals) -> Whole:
    """
    Return a measured value in hundredths, rounded half up.

    >>> hundredths(np.array([230.125, 0.004])).tolist()
    [23013, 0]
    """
    return _whole(value * 100.0)


def _at_consumers(grid: Grid, volt: Reals) -> Reals:
    """Return the voltage by half-hour, consumer and phase; 0 in a phase to which a consumer is not connected."""
    consumers = len(grid.power_factor)
    result = np.zeros((volt.shape[0], consumers + 1, 3))
    for phase in range(3):
        result[:, grid.nodes[:, phase, :].ravel(), phase] = volt[:, :, phase, :].reshape(volt.shape[0], -1)
    return result[:, :consumers]


def _by_group(values: Whole, group: NDArray[np.intp], groups: int) -> Whole:
    sums = np.zeros((groups, values.shape[0]), dtype=np.int64)
    np.add.at(sums, group, values.T)
    return np.ascontiguousarray(sums.T)


def _whole(value: Reals) -> Whole:
    return np.floor(value + 0.5).astype(np.int64)
