"""
From deliveries as they came to matrices of meter-days: pure.

A delivery's rows are laid on the grid of its interval length, by IST day of the interval's start. What is beside the
values (twice the same interval, out of order, off the grid) becomes findings; the last value of an interval wins.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from bijlighar.base.period import moment_of
from bijlighar.readings.errors import UnusableReadings
from bijlighar.readings.model import (
    ABSENT,
    CHANNELS,
    INTERVAL_MINUTES,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    Days,
    Delivery,
    Finding,
    FindingKind,
    Flags,
    Integers,
    Origin,
    intervals_per_day,
)

#: Days of the century and a half that a meter's clock may plausibly name; others are unreadable.
DAY_MIN, DAY_MAX = 0, 60_000
#: How many displaced values or unreadable texts a finding keeps.
DETAIL_MAX = 100
_KNOWN_CHANNELS, _KNOWN_MINUTES = frozenset(CHANNELS), frozenset(INTERVAL_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arranged:
    """
    Delivered meter-days of one interval length: each (meter, day) once, values (rows, intervals) by channel.

    `untidy` are the places of the deliveries that contain something beside their values.
    """

    minutes: int
    meters: tuple[str, ...]
    days: Days
    values: Mapping[str, Integers]
    origins: tuple[Origin, ...]
    untidy: tuple[int, ...]

    def channel(self, name: str) -> Integers:
        """Return the values of a channel, all absent where no delivery has it."""
        found = self.values.get(name)
        shape = (len(self.meters), intervals_per_day(self.minutes))
        return np.full(shape, ABSENT, dtype=np.int64) if found is None else found


def rounds_of(deliveries: Sequence[Delivery]) -> tuple[tuple[Delivery, ...], ...]:
    """
    Return the deliveries in rounds, by interval length, in which no meter occurs twice, in their own order.

    Two deliveries of one meter are merged one after the other, so that neither is lost from the history.

    :raises UnusableReadings: if one cannot be laid out at all.
    """
    _check(deliveries)
    if len({delivery.meter for delivery in deliveries}) == len(deliveries):  # as meters deliver
        turns = [0] * len(deliveries)
    else:
        seen: dict[tuple[str, int], int] = defaultdict(int)
        turns = []
        for delivery in deliveries:
            turns.append(seen[delivery.meter, delivery.minutes])
            seen[delivery.meter, delivery.minutes] += 1
    rounds: dict[tuple[int, int], list[Delivery]] = {}
    for turn, delivery in zip(turns, deliveries, strict=True):
        rounds.setdefault((turn, delivery.minutes), []).append(delivery)
    return tuple(tuple(rounds[key]) for key in sorted(rounds))


def arrange(deliveries: Sequence[Delivery]) -> Arranged:
    """
    Return the meter-days of one round; rows off the grid are left out, the last value of an interval wins.

    Deliveries of one whole day each come first, as they lie; so meters deliver each night.
    """
    minutes = deliveries[0].minutes
    count = intervals_per_day(minutes)
    long = [place for place, delivery in enumerate(deliveries) if len(delivery.starts) == count]
    starts = [deliveries[place].starts for place in long]
    whole = np.array(long, dtype=np.int64)
    days = np.zeros(0, dtype=np.int64)
    if long:
        days, is_whole = _whole_days(_joined(starts) + IST_OFFSET_S, minutes)
        whole, days = whole[is_whole], days[is_whole]
    if len(whole) == len(deliveries):
        return _arranged_whole(deliveries, days)
    apart = np.setdiff1d(np.arange(len(deliveries)), whole)
    others = _arranged_apart([deliveries[place] for place in apart.tolist()])
    untidy = [int(apart[place]) for place in others.untidy]
    if not len(whole):
        return replace(others, untidy=tuple(untidy))
    first = _arranged_whole([deliveries[place] for place in whole.tolist()], days)
    untidy += [int(whole[place]) for place in first.untidy]
    return Arranged(
        minutes=minutes,
        meters=first.meters + others.meters,
        days=np.concatenate((first.days, others.days)),
        values={
            channel: np.concatenate((first.channel(channel), others.channel(channel)))
            for channel in CHANNELS
            if channel in first.values or channel in others.values
        },
        origins=first.origins + others.origins,
        untidy=tuple(sorted(untidy)),
    )


def _whole_days(local: Integers, minutes: int) -> tuple[Integers, Flags]:
    """
    Return the IST day number of each delivery as long as a day, and whether it is one whole day in its order.

    `local` are the starts of all of them [s in IST].
    """
    grid = local.reshape(-1, intervals_per_day(minutes))
    day, second = np.divmod(grid[:, 0], SECONDS_PER_DAY)
    steps = np.arange(grid.shape[1], dtype=np.int64) * minutes * 60
    is_whole = (second == 0) & (day >= DAY_MIN) & (day <= DAY_MAX)
    return day, np.asarray(is_whole & (grid == grid[:, :1] + steps).all(axis=1))


def _arranged_whole(deliveries: Sequence[Delivery], days: Integers) -> Arranged:
    """Return deliveries of one whole day each, whose values lie as they are to be."""
    columns = _columns(deliveries)
    return Arranged(
        minutes=deliveries[0].minutes,
        meters=tuple([delivery.meter for delivery in deliveries]),
        days=days.astype(np.int32),
        values={channel: values.reshape(len(deliveries), -1) for channel, values in columns.items()},
        origins=tuple([delivery.origin for delivery in deliveries]),
        untidy=tuple([place for place, delivery in enumerate(deliveries) if delivery.unreadable]),
    )


def _columns(deliveries: Sequence[Delivery]) -> dict[str, Integers]:
    """Return the values of all deliveries one after the other, by channel; absent where one lacks the channel."""
    columns: dict[str, Integers] = {}
    kinds = {tuple(delivery.values) for delivery in deliveries}  # most meters have the same channels
    named = {channel for kind in kinds for channel in kind}
    common = named.intersection(*kinds)
    for channel in CHANNELS:
        if channel in common:
            columns[channel] = _joined([delivery.values[channel] for delivery in deliveries])
        elif channel in named:
            given = [delivery.values.get(channel) for delivery in deliveries]
            columns[channel] = _joined(
                [
                    np.full(len(delivery.starts), ABSENT, dtype=np.int64) if values is None else values
                    for delivery, values in zip(deliveries, given, strict=True)
                ]
            )
    return columns


def _arranged_apart(deliveries: Sequence[Delivery]) -> Arranged:
    """Return deliveries of whatever length, whose rows are laid where they belong."""
    minutes = deliveries[0].minutes
    lengths = [len(delivery.starts) for delivery in deliveries]
    local = _joined([delivery.starts for delivery in deliveries]) + IST_OFFSET_S
    columns = _columns(deliveries)
    owner = np.repeat(np.arange(len(deliveries), dtype=np.int64), lengths)
    backward = np.concatenate(([False], (local[1:] <= local[:-1]) & (owner[1:] == owner[:-1])))
    day, second = np.divmod(local, SECONDS_PER_DAY)
    slot, off = np.divmod(second, minutes * 60)
    usable = (off == 0) & (day >= DAY_MIN) & (day <= DAY_MAX)
    untidy = {place for place, delivery in enumerate(deliveries) if delivery.unreadable}
    untidy.update(owner[backward[: len(owner)] | ~usable].tolist())
    if not usable.all():
        owner, day, slot = owner[usable], day[usable], slot[usable]
        columns = {channel: values[usable] for channel, values in columns.items()}
    row, first = _rows(owner, day)
    shape = (len(first), intervals_per_day(minutes))
    whole = len(slot) == shape[0] * shape[1] and bool((slot.reshape(shape) == np.arange(shape[1])).all())
    owners = owner[first].tolist()
    return Arranged(
        minutes=minutes,
        meters=tuple(deliveries[place].meter for place in owners),
        days=day[first].astype(np.int32),
        values={
            channel: values.reshape(shape) if whole else _laid_out(values, row, slot, shape)
            for channel, values in columns.items()
        },
        origins=tuple(deliveries[place].origin for place in owners),
        untidy=tuple(sorted(untidy)),
    )


def delivery_findings(deliveries: Sequence[Delivery], *, now: datetime) -> tuple[Finding, ...]:
    """Return what untidy deliveries contain beside their values."""
    findings: list[Finding] = []
    for delivery in deliveries:
        starts = delivery.starts
        off_grid = _off_grid(delivery)
        if delivery.unreadable or off_grid.any():
            findings.append(_unreadable(delivery, off_grid, now))
        if len(starts) > 1 and not (starts[1:] > starts[:-1]).all():
            findings.extend(_disorder(delivery))
    return tuple(findings)


def _check(deliveries: Sequence[Delivery]) -> None:
    if {delivery.minutes for delivery in deliveries} <= _KNOWN_MINUTES:
        named: set[str] = set().union(*[delivery.values for delivery in deliveries])
        lengths = [len(delivery.starts) for delivery in deliveries]
        if named <= _KNOWN_CHANNELS and all(_fits(deliveries, channel, lengths) for channel in named):
            return
    for delivery in deliveries:
        _check_one(delivery)


def _fits(deliveries: Sequence[Delivery], channel: str, lengths: list[int]) -> bool:
    """Return whether a channel has as many values as there are intervals in every delivery that has it."""
    return [len(delivery.values.get(channel, delivery.starts)) for delivery in deliveries] == lengths


def _check_one(delivery: Delivery) -> None:
    if delivery.minutes not in INTERVAL_MINUTES:
        raise UnusableReadings(
            f"meter {delivery.meter} delivers intervals of {delivery.minutes} minutes; 15 or 30 are stored"
        )
    for channel, values in delivery.values.items():
        if channel not in CHANNELS:
            raise UnusableReadings(f"meter {delivery.meter} delivers an unknown channel {channel!r}")
        if len(values) != len(delivery.starts):
            raise UnusableReadings(
                f"meter {delivery.meter} delivers {len(values)} values of {channel} "
                f"for {len(delivery.starts)} intervals"
            )


def _joined(arrays: Sequence[Integers]) -> Integers:
    joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return np.asarray(joined, dtype=np.int64)


def _rows(owner: Integers, day: Integers) -> tuple[Integers, Integers]:
    """Return for each value the number of its meter-day, and for each meter-day the place of one of its values."""
    key = owner * (DAY_MAX + 1) + day
    if len(key) == 0:
        return key, key
    step = np.diff(key)
    if (step >= 0).all():  # as meters deliver: by meter, by time
        row: Integers = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(step > 0)))
        return row, np.concatenate((np.zeros(1, dtype=np.int64), np.flatnonzero(step > 0) + 1))
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return np.asarray(inverse, dtype=np.int64), np.asarray(first, dtype=np.int64)


def _laid_out(values: Integers, row: Integers, slot: Integers, shape: tuple[int, int]) -> Integers:
    matrix = np.full(shape, ABSENT, dtype=np.int64)
    present = values != ABSENT
    if present.all():
        matrix[row, slot] = values  # of a repeated place numpy keeps the last
    else:
        matrix[row[present], slot[present]] = values[present]
    return matrix


def _off_grid(delivery: Delivery) -> Flags:
    local = delivery.starts + IST_OFFSET_S
    day = local // SECONDS_PER_DAY
    return np.asarray((local % (delivery.minutes * 60) != 0) | (day < DAY_MIN) | (day > DAY_MAX))


def _unreadable(delivery: Delivery, off_grid: Flags, now: datetime) -> Finding:
    fits = delivery.starts[~off_grid]
    start = moment_of(int(fits.min())) if len(fits) else now
    end = moment_of(int(fits.max()) + delivery.minutes * 60) if len(fits) else now
    stray = delivery.starts[off_grid]
    lines = [
        *delivery.unreadable,
        *(f"interval starts off the grid, at {second} s" for second in stray[:DETAIL_MAX].tolist()),
    ]
    return Finding(
        meter=delivery.meter,
        channel=CHANNELS[0],
        kind=FindingKind.UNREADABLE,
        start=start,
        end=end,
        intervals=len(delivery.unreadable) + len(stray),
        detail={"lines": lines[:DETAIL_MAX]},
    )


def _disorder(delivery: Delivery) -> list[Finding]:
    """Return the repeated intervals, equal and different apart, and those that came after a later one."""
    starts = delivery.starts
    order = np.argsort(starts, kind="stable")
    again = np.zeros(len(starts), dtype=np.bool_)
    again[order[1:]] = starts[order[1:]] == starts[order[:-1]]
    before = np.maximum.accumulate(starts)
    late = np.concatenate(([False], starts[1:] < before[:-1])) & ~again
    same = np.ones(len(starts), dtype=np.bool_)
    for values in delivery.values.values():
        same[order[1:]] &= values[order[1:]] == values[order[:-1]]
    findings = []
    for marks, kind, equal in (
        (again & same, FindingKind.DUPLICATE, True),
        (again & ~same, FindingKind.DUPLICATE, False),
        (late, FindingKind.OUT_OF_ORDER, True),
    ):
        findings.extend(_stretches(delivery, np.flatnonzero(marks), kind, equal=equal))
    return findings


def _stretches(delivery: Delivery, places: Integers, kind: FindingKind, *, equal: bool) -> list[Finding]:
    """Return a finding for each stretch of neighbouring intervals among the rows at `places`."""
    if len(places) == 0:
        return []
    length_s = delivery.minutes * 60
    places = places[np.argsort(delivery.starts[places], kind="stable")]
    starts = delivery.starts[places]
    cuts = np.flatnonzero(np.diff(starts) > length_s) + 1
    findings = []
    for part in np.split(np.arange(len(places)), cuts):
        detail: dict[str, object] = {}
        if not equal:
            detail = {"displaced": _displaced(delivery, starts[part])}
        findings.append(
            Finding(
                meter=delivery.meter,
                channel=CHANNELS[0],
                kind=kind,
                start=moment_of(int(starts[part[0]])),
                end=moment_of(int(starts[part[-1]]) + length_s),
                intervals=len(part),
                equal=equal,
                detail=detail,
            )
        )
    return findings


def _displaced(delivery: Delivery, starts: Integers) -> list[dict[str, int | None]]:
    """Return the rows of these starts that a later row of the same delivery displaced, as they came."""
    kept = []
    for start in np.unique(starts).tolist():
        for place in np.flatnonzero(delivery.starts == start)[:-1].tolist():
            row: dict[str, int | None] = {"start": start}
            for channel, values in delivery.values.items():
                row[channel] = None if values[place] == ABSENT else int(values[place])
            kept.append(row)
    return kept[:DETAIL_MAX]
