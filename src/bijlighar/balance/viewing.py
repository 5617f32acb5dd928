"""Lay the readings of one transformer out as the arrays that are examined."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance.doubt import Marks
from bijlighar.balance.examination import View
from bijlighar.balance.gathering import Network
from bijlighar.balance.model import Level
from bijlighar.balance.rules import READ_QUALITIES
from bijlighar.balance.technical import Reals
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, Integers, Quality, intervals_per_day
from bijlighar.readings.rules import fold, folded_quality, one_length_a_day

CHANNELS = ("wh_import", "vah_import", "wh_export", "volt")
PHASES = "RYB"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Laid:
    """
    The intervals of some hangings, (hangings, steps); what was not known or did not hang is zero, or NaN.

    drawn_wh, fed_wh: import and export with multiplier; hung: where the meter hung the whole interval.
    """

    drawn_wh: Reals
    fed_wh: Reals
    vah: Reals
    volt: Reals
    known: Marks
    read: Marks
    hung: Marks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """One transformer's view, which hangings its rows are, on which days (columns of the network), and more of it."""

    view: View
    hangings: Integers
    days: Integers
    input_vah: Reals | None


def lay(connection: Connection, *, net: Network, rows: Integers, minutes: int) -> Laid:
    """Return the intervals of `minutes` of some hangings of a network."""
    days, slots = net.last - net.first + 1, intervals_per_day(minutes)
    shape = (len(rows), days, slots)
    values = {channel: np.full(shape, ABSENT, dtype=np.int64) for channel in CHANNELS}
    quality = np.full(shape, Quality.ABSENT, dtype=np.uint8)
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows.tolist()):
        places.setdefault(net.hangings[row].meter, []).append(place)
    found = readings.days(
        connection, meters=sorted(places), first=net.first, last=net.last, channels=CHANNELS
    )
    for block in one_length_a_day(found):
        if block.minutes > minutes:
            continue
        fine = block.minutes < minutes
        qualities = folded_quality(block.quality) if fine else block.quality
        for channel in CHANNELS:
            given = block.channel(channel)
            given = fold(given, channel=channel) if fine else given
            for line, meter in enumerate(block.meters):
                values[channel][places[meter], int(block.days[line]) - net.first] = given[line]
        for line, meter in enumerate(block.meters):
            quality[places[meter], int(block.days[line]) - net.first] = qualities[line]
    return _laid(net, rows, values, quality, minutes)


def _laid(
    net: Network, rows: Integers, values: dict[str, Integers], quality: np.ndarray, minutes: int
) -> Laid:
    count = len(rows)
    slots = intervals_per_day(minutes)
    starts = (net.starts[:, None] + np.arange(slots, dtype=np.int64) * minutes * 60).reshape(-1)
    hung = (starts[None, :] >= net.from_s[rows][:, None]) & (
        starts[None, :] + minutes * 60 <= net.to_s[rows][:, None]
    )
    multiplier = np.array([net.hangings[row].multiplier for row in rows.tolist()], dtype=np.float64)
    flat = {channel: found.reshape(count, len(starts)) for channel, found in values.items()}
    kind = quality.reshape(count, len(starts))

    def energy(channel: str) -> Reals:
        there = hung & (flat[channel] != ABSENT)
        return np.where(there, flat[channel], 0).astype(np.float64) * multiplier[:, None]

    def apart(channel: str, scale: Reals | float) -> Reals:
        there = hung & (flat[channel] != ABSENT)
        return np.where(there, flat[channel] * scale, np.nan)

    return Laid(
        drawn_wh=energy("wh_import"),
        fed_wh=energy("wh_export"),
        vah=apart("vah_import", multiplier[:, None]),
        volt=apart("volt", 0.01),
        known=hung & (kind != Quality.ABSENT),
        read=hung & np.isin(kind, READ_QUALITIES),
        hung=hung,
    )


def see(
    connection: Connection,
    *,
    net: Network,
    place: int,
    assessed_wh: Integers,
    by_hand: Marks,
    own_loss_wh: dict[int, int],
) -> Seen | None:
    """
    Return the view of the transformer with index `place`, None where no whole day of its input is known.

    `assessed_wh` is (hangings, days) of those read by hand, which `by_hand` marks; `own_loss_wh` the transformer's
    own loss by column of the day.
    """
    inputs = np.flatnonzero(net.inputs_of(Level.TRANSFORMER) == place)
    consumers = np.flatnonzero(net.consumers_of(Level.TRANSFORMER) == place)
    smart = consumers[~by_hand[consumers].any(axis=1)]
    if not len(inputs) or not len(smart):
        return None
    minutes = max(net.hangings[row].minutes for row in (*inputs.tolist(), *smart.tolist()))
    given = lay(connection, net=net, rows=inputs, minutes=minutes)
    used = lay(connection, net=net, rows=smart, minutes=minutes)
    days, slots = len(net.starts), intervals_per_day(minutes)
    whole = (given.known == given.hung).all(axis=0) & given.hung.any(axis=0)
    columns = np.flatnonzero(whole.reshape(days, slots).all(axis=1))
    if not len(columns):
        return None
    steps = (columns[:, None] * slots + np.arange(slots)[None, :]).reshape(-1)
    apparent = given.vah[:, steps].sum(axis=0) if np.isfinite(given.vah[:, steps]).any() else None
    rest = np.setdiff1d(consumers, smart)
    volts = np.isfinite(given.volt[:, steps])
    head = np.where(volts, given.volt[:, steps], 0.0).sum(axis=0) / np.maximum(volts.sum(axis=0), 1)
    view = View(
        energy_wh=(used.drawn_wh - used.fed_wh)[:, steps],
        export_wh=used.fed_wh[:, steps],
        known=(used.known | ~used.hung)[:, steps],
        read=(used.read | ~used.hung)[:, steps],
        volt=used.volt[:, steps],
        phase=np.array([phase_of(net.hangings[row].phase) for row in smart.tolist()], dtype=np.int64),
        input_wh=(given.drawn_wh - given.fed_wh)[:, steps].sum(axis=0),
        head_volt=np.where(volts.any(axis=0), head, np.nan),
        assessed_wh=assessed_wh[np.ix_(rest, columns)].sum(axis=1).astype(np.float64),
        own_wh=sum(own_loss_wh.get(column, 0) for column in columns.tolist()),
        minutes=minutes,
    )
    return Seen(view=view, hangings=smart, days=columns, input_vah=apparent)


def phase_of(phase: str | None) -> int:
    """
    Return the number of a phase; three phases and unknown ones have one of their own.

    >>> phase_of("Y"), phase_of("RYB"), phase_of(None)
    (1, 3, 3)
    """
    return PHASES.index(phase) if phase is not None and len(phase) == 1 and phase in PHASES else len(PHASES)
