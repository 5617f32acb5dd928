"""Read registry and readings and lay them out as arrays: who hung where, and what each counted on each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance import rules
from bijlighar.balance.model import Level
from bijlighar.balance.rules import Assessed, HangingDays
from bijlighar.base.period import Period, date_of, epoch_seconds, moment_of
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, DailyEnergy, DayBlock, Integers, Quality, intervals_per_day
from bijlighar.readings.rules import one_length_a_day
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation, MeterType, Transformer

#: The end of a hanging without an end [s since the epoch].
FOREVER_S = 2**52
REACH_S = rules.EXTRAPOLATION_DAYS_MAX * rules.SECONDS_PER_DAY
#: A hanging that began so soon after another of the same meter shares the interval of the move with it.
MOVE_S_MAX = 1_800
_TYPE_OF_INPUT = {Level.TRANSFORMER: MeterType.TRANSFORMER, Level.FEEDER: MeterType.FEEDER}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """
    The hangings that touch the days `first` to `last`, with their times [s since the epoch].

    starts: the midnights of the days [s since the epoch]; hung_s: how long each hung on each day [s].
    """

    first: int
    last: int
    starts: Integers
    hangings: tuple[Installation, ...]
    from_s: Integers
    to_s: Integers
    hung_s: Integers

    @property
    def meters(self) -> tuple[str, ...]:
        """Return the meters, each once."""
        return tuple(sorted({hanging.meter for hanging in self.hangings}))

    def codes(self, level: Level) -> tuple[str, ...]:
        """Return the transformers or feeders that are measured, or supply somebody."""
        names = {_measures(hanging, level) or _supplied_by(hanging, level) for hanging in self.hangings}
        return tuple(sorted(name for name in names if name is not None))

    def inputs_of(self, level: Level) -> Integers:
        """Return for each hanging the index of the code that it measures, -1 for none."""
        return self._places([_measures(hanging, level) for hanging in self.hangings], level)

    def consumers_of(self, level: Level) -> Integers:
        """Return for each hanging the index of the code that supplies its consumer, -1 for none."""
        return self._places([_supplied_by(hanging, level) for hanging in self.hangings], level)

    def _places(self, names: Sequence[str | None], level: Level) -> Integers:
        place = {code: index for index, code in enumerate(self.codes(level))}
        return np.array([-1 if name is None else place[name] for name in names], dtype=np.int64)


def _measures(hanging: Installation, level: Level) -> str | None:
    if hanging.meter_type is not _TYPE_OF_INPUT[level]:
        return None
    return hanging.transformer if level is Level.TRANSFORMER else hanging.feeder


def _supplied_by(hanging: Installation, level: Level) -> str | None:
    if not hanging.meter_type.is_of_consumer:
        return None
    return hanging.transformer if level is Level.TRANSFORMER else hanging.feeder


def network(
    connection: Connection,
    *,
    first: int,
    last: int,
    transformers: Sequence[str] | None = None,
    feeder: str | None = None,
) -> Network:
    """Return who hung where on the days `first` to `last` (below some transformers or a feeder, and their meters)."""
    period = Period.of_local_days(date_of(first), date_of(last))
    hangings = registry.installations(connection, period=period, transformers=transformers)
    if feeder is not None:
        hangings = tuple(hanging for hanging in hangings if hanging.feeder == feeder)
    start = epoch_seconds(period.start)
    starts = start + np.arange(last - first + 1, dtype=np.int64) * rules.SECONDS_PER_DAY
    from_s = np.array([epoch_seconds(hanging.from_at) for hanging in hangings], dtype=np.int64)
    ends = [FOREVER_S if hanging.to_at is None else epoch_seconds(hanging.to_at) for hanging in hangings]
    to_s = np.array(ends, dtype=np.int64)
    return Network(
        first=first,
        last=last,
        starts=starts,
        hangings=hangings,
        from_s=from_s,
        to_s=to_s,
        hung_s=rules.seconds_hung(starts=starts, from_s=from_s, to_s=to_s),
    )


def network_of(connection: Connection, *, level: Level, code: str | None, first: int, last: int) -> Network:
    """Return the hangings that are enough to know the loss of one transformer or feeder; all without a code."""
    if level is Level.FEEDER:
        return network(connection, first=first, last=last, feeder=code)
    return network(connection, first=first, last=last, transformers=None if code is None else [code])


def metered(connection: Connection, *, net: Network) -> HangingDays:
    """Return what the intervals of each hanging sum to on each day, and how many there are."""
    energy = readings.energy_by_day(connection, meters=net.meters, first=net.first, last=net.last)
    place = {meter: index for index, meter in enumerate(energy.meters)}
    rows = np.array([place[hanging.meter] for hanging in net.hangings], dtype=np.int64)
    multiplier = np.array([hanging.multiplier for hanging in net.hangings], dtype=np.int64)[:, None]
    usual = np.array([intervals_per_day(hanging.minutes) for hanging in net.hangings], dtype=np.int64)[
        :, None
    ]
    whole = net.hung_s == rules.SECONDS_PER_DAY
    stored = energy.expected[rows].astype(np.int64)
    counts = energy.counts[rows].astype(np.int64)
    net_wh = (energy.wh_import[rows] - energy.wh_export[rows]) * multiplier
    read = sum(counts[:, :, quality] for quality in rules.READ_QUALITIES)
    days = HangingDays(
        energy_wh=np.where(whole, net_wh, 0),
        expected=np.where(whole, np.where(stored > 0, stored, usual), 0),
        known=np.where(whole, stored - counts[:, :, Quality.ABSENT], 0),
        read=np.where(whole, read, 0),
    )
    _add_parts(connection, net=net, days=days)
    return days


def _add_parts(connection: Connection, *, net: Network, days: HangingDays) -> None:
    """Fill in the days in the middle of which a meter was hung or taken down."""
    parts = np.argwhere((net.hung_s > 0) & (net.hung_s < rules.SECONDS_PER_DAY))
    if not len(parts):
        return
    meters = sorted({net.hangings[row].meter for row in parts[:, 0].tolist()})
    first, last = net.first + int(parts[:, 1].min()), net.first + int(parts[:, 1].max())
    found = day_rows(readings.days(connection, meters=meters, first=first, last=last))
    for row, column in parts.tolist():
        hanging = net.hangings[row]
        at = found.get((hanging.meter, net.first + column))
        if at is None:
            days.expected[row, column] = net.hung_s[row, column] // (hanging.minutes * 60)
            continue
        block, line = at
        before = [
            other
            for other, earlier in enumerate(net.hangings)
            if earlier.meter == hanging.meter and 0 <= net.from_s[row] - net.to_s[other] < MOVE_S_MAX
        ]
        energy_wh, expected, known, read = rules.part_of_day(
            import_wh=block.values["wh_import"][line],
            export_wh=block.channel("wh_export")[line],
            quality=block.quality[line],
            start=int(net.starts[column]),
            minutes=block.minutes,
            from_s=int(net.from_s[row]),
            to_s=int(net.to_s[row]),
            hung_before=len(before) > 0,
        )
        days.energy_wh[row, column] = energy_wh * hanging.multiplier
        days.expected[row, column], days.known[row, column] = expected, known
        days.read[row, column] = read


def day_rows(blocks: Sequence[DayBlock]) -> dict[tuple[str, int], tuple[DayBlock, int]]:
    """Return for each (meter, day) its block and its row there."""
    return {
        (meter, day): (block, line)
        for block in one_length_a_day(blocks)
        for line, (meter, day) in enumerate(zip(block.meters, block.days.tolist(), strict=True))
    }


def transformer_losses(connection: Connection, *, net: Network) -> dict[tuple[str, int], int]:
    """Return the own loss [Wh] by transformer and day, where its meter is on the HV side and its plate is known."""
    plates = {plate.code: plate for plate in registry.transformers(connection) if _has_plate(plate)}
    meters = {
        hanging.meter: hanging
        for row, hanging in enumerate(net.hangings)
        if _measures(hanging, Level.TRANSFORMER) in plates
        and bool((net.hung_s[row] == rules.SECONDS_PER_DAY).any())
    }
    if not meters:
        return {}
    losses: dict[tuple[str, int], int] = {}
    found = day_rows(readings.days(connection, meters=sorted(meters), first=net.first, last=net.last))
    for (meter, day), (block, line) in found.items():
        hanging = meters[meter]
        plate = plates[hanging.transformer or ""]
        apparent = block.channel("vah_import")[line]
        load = np.where(apparent == ABSENT, block.values["wh_import"][line], apparent)
        losses[plate.code, day] = rules.transformer_loss_wh(
            load_vah=np.where(load == ABSENT, ABSENT, load * hanging.multiplier),
            minutes=block.minutes,
            rated_va=plate.rated_va or 1,
            no_load_loss_w=plate.no_load_loss_w or 0,
            load_loss_w=plate.load_loss_w or 0,
        )
    return losses


def _has_plate(transformer: Transformer) -> bool:
    known = (transformer.rated_va, transformer.no_load_loss_w, transformer.load_loss_w)
    return transformer.side == "hv" and bool(transformer.rated_va) and None not in known


def assessed(connection: Connection, *, net: Network) -> tuple[Assessed, rules.Booleans]:
    """
    Return the energy by register of the meters read by hand, on the days on which they have no intervals.

    The second answer tells which hangings and days are to be assessed at all.
    """
    shape = net.hung_s.shape
    energy_wh, known = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    devices = registry.end_devices_of(connection, serials=net.meters)
    by_hand = {serial for serial, device in devices.items() if not device.communicates}
    rows = [
        row
        for row, hanging in enumerate(net.hangings)
        if hanging.meter in by_hand and hanging.meter_type.is_of_consumer
    ]
    wanted = np.zeros(shape, dtype=np.bool_)
    if not rows:
        return Assessed(energy_wh=energy_wh, known=known), wanted
    meters = sorted({net.hangings[row].meter for row in rows})
    intervals = readings.energy_by_day(connection, meters=meters, first=net.first, last=net.last)
    for row in rows:
        wanted[row] = (net.hung_s[row] > 0) & ~_has_intervals(intervals, net.hangings[row].meter)
    _assess(net, rows, _registers(connection, net=net, meters=meters), wanted, energy_wh, known)
    for seal in reversed(readings.seals_over(connection, first=net.first, last=net.last)):
        # A sealed month keeps the registers that were known when it was sealed; a later one corrects it no more.
        held = readings.held_meters(connection, seal=seal, meters=meters, first=net.first, last=net.last)
        then = _registers(connection, net=net, meters=meters, as_of=seal.sealed_at)
        place = {meter: row for row, meter in enumerate(meters)}
        sealed = np.zeros(shape, dtype=np.bool_)
        for row in rows:
            sealed[row] = wanted[row] & held[place[net.hangings[row].meter]]
        _assess(net, rows, then, sealed, energy_wh, known)
    return Assessed(energy_wh=energy_wh, known=known), wanted


def _assess(
    net: Network,
    rows: Sequence[int],
    snapshots: dict[str, tuple[list[int], list[int]]],
    chosen: rules.Booleans,
    energy_wh: Integers,
    known: rules.Booleans,
) -> None:
    """Write what the chosen days of some hangings are assessed at by their registers."""
    for row in rows:
        hanging = net.hangings[row]
        times, values = snapshots.get(hanging.meter, ([], []))
        day_wh, day_known = rules.assess(
            starts=net.starts,
            from_s=int(net.from_s[row]),
            to_s=int(net.to_s[row]),
            times=np.array(times, dtype=np.int64),
            values=np.array(values, dtype=np.int64),
            multiplier=hanging.multiplier,
        )
        known[row] = np.where(chosen[row], day_known, known[row])
        energy_wh[row] = np.where(chosen[row], np.where(day_known, day_wh, 0), energy_wh[row])


def _has_intervals(intervals: DailyEnergy, meter: str) -> rules.Booleans:
    found: rules.Booleans = intervals.expected[intervals.meters.index(meter)] > 0
    return found


def _registers(
    connection: Connection, *, net: Network, meters: Sequence[str], as_of: datetime | None = None
) -> dict[str, tuple[list[int], list[int]]]:
    """Return times [s] and registers [Wh] of each meter, in order of time, each time once (as known at a moment)."""
    start, end = int(net.starts[0]) - REACH_S, int(net.starts[-1]) + rules.SECONDS_PER_DAY + REACH_S
    period = Period(start=moment_of(start), end=moment_of(end))
    by_meter: dict[str, dict[int, int]] = {}
    found = (
        readings.registers(connection, meters=meters, period=period)
        if as_of is None
        else readings.registers_as_of(connection, meters=meters, period=period, moment=as_of)
    )
    for snapshot in found:
        if snapshot.wh_import is not None:
            by_meter.setdefault(snapshot.meter, {})[epoch_seconds(snapshot.at)] = snapshot.wh_import
    return {
        meter: (sorted(registers), [registers[at] for at in sorted(registers)])
        for meter, registers in by_meter.items()
    }
