"""
Whose energy is missing: which meters' shapes the unexplained loss of a transformer follows. Numpy in, numpy out.

Each meter offers shapes of what it may hide: its own registered load, all the time or from a day on, and what it
would have drawn where it drew next to nothing and its neighbours did not. The loss is laid over the squares of the
line and these shapes; a shape is taken in only if it explains much that nothing else does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bijlighar.balance.technical import Reals, nonnegative

#: So many shapes are taken in at most; more would explain anything.
SHAPES_MAX = 8
#: A shape is taken in if it takes away this share of the squares that were left.
GAIN_MIN = 0.05
#: A shape that is there all the time looks like the line itself, and must explain more.
GAIN_ALWAYS_MIN = 0.10
#: From so many days on at most a meter's load is offered; more would only fill the memory.
BEGINS_MAX = 31
#: A meter that draws less than this share of what is usual for it at that time may be bypassed then.
HOLE_SHARE = 0.25
#: Use that falls against the neighbours by less than this is nothing.
FALL_MIN = 0.15
#: A meter is compared with so many others whose shape is most like its own.
ALIKE_MAX = 8
#: Of shapes that fit alike, one whose meter's use fell by what is missing is preferred by so much.
FALL_COUNTS = 0.2
#: What a shape counts without a fall in use that tells the same.
SHAPE_ALONE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A shape taken in: of which meter (row), `kind` "always", "since" or "hole", from which day of the range on."""

    meter: int
    kind: str
    since: int
    gain: float
    energy: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """
    The line's loss in each step, the shapes taken in, and for each meter how much its best shape explains (0 to 1).

    hidden: what that shape would hide [Wh], if it were all.
    fall: by how much each meter's use fell against its neighbours from day `fall_day` on (share of what it was);
    match: how far what it no longer draws is what is missing (0 to 1).
    """

    line: Reals
    shapes: tuple[Shape, ...]
    score: Reals
    hidden: Reals
    kind: tuple[str, ...]
    since: NDArray[np.int64]
    fall: Reals
    match: Reals


def fit(*, loss: Reals, line: Reals, energy_wh: Reals, steps_per_day: int, line_known: bool) -> Fit:
    """
    Lay `loss` (steps,) over the line and the meters' shapes.

    `line` holds the squares of the line (steps, terms), or with `line_known` its loss itself (steps, 1), which then
    counts once and is not fitted.
    """
    target = loss - line[:, 0] if line_known else loss
    base = np.ones((len(loss), 0)) if line_known else line
    offers = _offers(energy_wh, steps_per_day)
    columns, taken = base, list[Shape]()
    rest = target - columns @ nonnegative(columns, target)
    squares_left = float((rest**2).sum())
    first = _gains(offers, columns, target, squares_left)
    _, match = _falls(energy_wh, rest, steps_per_day)
    preferred = np.full(len(offers.meter), 1 - FALL_COUNTS)
    since = np.array([kind == "since" for kind in offers.kind], dtype=np.bool_)
    preferred[since] += FALL_COUNTS * match[offers.since[since], offers.meter[since]]
    for _ in range(SHAPES_MAX):
        gains = _gains(offers, columns, target, squares_left) if taken else first
        gains = np.where(np.isin(offers.meter, [shape.meter for shape in taken]), 0.0, gains)
        best = int((gains * preferred).argmax()) if len(gains) else -1
        if best < 0 or gains[best] < offers.gain_min[best]:
            break
        wider = np.column_stack([columns, offers.shapes[best]])
        weights = nonnegative(wider, target)
        left = float(((target - wider @ weights) ** 2).sum())
        if left > squares_left * (1 - offers.gain_min[best]):
            break
        taken.append(
            Shape(
                meter=int(offers.meter[best]),
                kind=offers.kind[best],
                since=int(offers.since[best]),
                gain=1 - left / squares_left,
                energy=0.0,
            )
        )
        columns, squares_left = wider, left
    weights = nonnegative(columns, target)
    terms = base.shape[1]
    of_shapes = (columns[:, terms:] * weights[terms:]).sum(axis=0)
    shapes = tuple(
        Shape(meter=each.meter, kind=each.kind, since=each.since, gain=each.gain, energy=float(energy))
        for each, energy in zip(taken, of_shapes, strict=True)
    )
    fitted = line[:, 0] if line_known else columns[:, :terms] @ weights[:terms]
    return _told(fitted, shapes, offers, first, energy_wh, loss - fitted, steps_per_day)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Offers:
    shapes: Reals
    meter: NDArray[np.int64]
    kind: tuple[str, ...]
    since: NDArray[np.int64]
    gain_min: Reals


def _usual(energy_wh: Reals, steps_per_day: int) -> Reals:
    """Return what each meter would draw in each step if it followed its neighbours' shape at its own size."""
    total = np.maximum(energy_wh, 0).sum(axis=0)
    shape = (total[None, :] - np.maximum(energy_wh, 0)) / max(len(energy_wh) - 1, 1)
    days = energy_wh.shape[1] // steps_per_day
    daily = np.maximum(energy_wh, 0).reshape(len(energy_wh), days, steps_per_day).sum(axis=2)
    of_shape = shape.reshape(len(energy_wh), days, steps_per_day).sum(axis=2)
    # the size of a good day: the upper quartile of how it stands to its neighbours
    ratio = np.quantile(daily / np.maximum(of_shape, 1.0), 0.75, axis=1)
    return np.asarray(shape * ratio[:, None])


def _begins(days: int) -> range:
    """Return the days from which on a shape is offered: each, in a long range every so many."""
    return range(1, days - 1, -(-days // BEGINS_MAX))


def _offers(energy_wh: Reals, steps_per_day: int) -> _Offers:
    meters, steps = energy_wh.shape
    days = steps // steps_per_day
    drawn = np.maximum(energy_wh, 0.0)
    day = np.arange(steps) // steps_per_day
    parts, since, kinds = [drawn], [np.zeros(meters, dtype=np.int64)], ["always"] * meters
    for begin in _begins(days):
        parts.append(drawn * (day >= begin))
        since.append(np.full(meters, begin, dtype=np.int64))
        kinds += ["since"] * meters
    usual = _usual(energy_wh, steps_per_day)
    parts.append(np.where(drawn < HOLE_SHARE * usual, usual - drawn, 0.0))
    since.append(np.zeros(meters, dtype=np.int64))
    kinds += ["hole"] * meters
    least = np.array([GAIN_ALWAYS_MIN if kind == "always" else GAIN_MIN for kind in kinds])
    return _Offers(
        shapes=np.concatenate(parts),
        meter=np.tile(np.arange(meters), len(parts)),
        kind=tuple(kinds),
        since=np.concatenate(since),
        gain_min=least,
    )


def _gains(offers: _Offers, columns: Reals, target: Reals, squares_left: float) -> Reals:
    """Return for each shape the share of what is left that it takes away beside `columns`."""
    own, _ = np.linalg.qr(columns) if columns.shape[1] else (columns, None)
    rest = target - own @ (own.T @ target)
    across = offers.shapes @ rest
    length = (offers.shapes**2).sum(axis=1) - ((offers.shapes @ own) ** 2).sum(axis=1)
    gains = np.where((across > 0) & (length > 1e-6), across**2 / np.maximum(length, 1e-6), 0.0)
    return np.asarray(np.minimum(gains / max(squares_left, 1e-9), 1.0))


def _told(
    line: Reals,
    shapes: tuple[Shape, ...],
    offers: _Offers,
    first: Reals,
    energy_wh: Reals,
    missing: Reals,
    steps_per_day: int,
) -> Fit:
    meters = len(energy_wh)
    fall, match = _falls(energy_wh, missing, steps_per_day)
    table = first.reshape(-1, meters)
    weight = np.full(table.shape, SHAPE_ALONE)
    begins = list(_begins(len(match)))
    weight[1:-1] = SHAPE_ALONE * (1 - match[begins]) + match[begins]
    scores = table * weight
    best = scores.argmax(axis=0)
    rows = np.arange(meters)
    chosen = best * meters + rows
    top = offers.shapes[chosen]
    size = np.maximum((top @ missing) / np.maximum((top**2).sum(axis=1), 1e-6), 0.0)
    fell = offers.since[chosen]
    is_since = (best > 0) & (best < len(table) - 1)
    return Fit(
        line=line,
        shapes=shapes,
        score=scores[best, rows],
        hidden=size * top.sum(axis=1),
        kind=tuple(offers.kind[place] for place in chosen),
        since=offers.since[chosen],
        fall=np.where(is_since, fall[fell, rows], 0.0),
        match=np.where(is_since, match[fell, rows], 0.0),
    )


def _alike(energy_wh: Reals) -> Reals:
    """Return for each meter (row) which others it is compared with: those whose shape is most like its own."""
    meters = len(energy_wh)
    scaled = energy_wh - energy_wh.mean(axis=1, keepdims=True)
    scaled = scaled / np.maximum(np.sqrt((scaled**2).sum(axis=1, keepdims=True)), 1e-9)
    likeness = scaled @ scaled.T
    np.fill_diagonal(likeness, -2.0)
    count = min(ALIKE_MAX, meters - 1)
    chosen = np.zeros((meters, meters))
    if count > 0:
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        np.put_along_axis(chosen, nearest, 1.0, axis=1)
    # every one of them counts alike, whatever its size
    weights: Reals = chosen / np.maximum(np.abs(energy_wh).sum(axis=1), 1.0)[None, :]
    return weights


def _falls(energy_wh: Reals, missing: Reals, steps_per_day: int) -> tuple[Reals, Reals]:
    """
    Return for each day and meter by how much its use fell against those like it from that day on (share of before).

    The second answer tells how far what it no longer draws is what is missing since (0 to 1).
    """
    meters, steps = energy_wh.shape
    days = steps // steps_per_day
    daily = np.maximum(energy_wh, 0).reshape(meters, days, steps_per_day).sum(axis=2)
    lost = missing.reshape(days, steps_per_day).sum(axis=1)
    others = _alike(energy_wh) @ daily
    fall, match = np.zeros((days, meters)), np.zeros((days, meters))
    for begin in range(2, days - 1):
        before = daily[:, :begin].sum(axis=1) / np.maximum(others[:, :begin].sum(axis=1), 1e-9)
        after = daily[:, begin:].sum(axis=1) / np.maximum(others[:, begin:].sum(axis=1), 1e-9)
        share = 1 - after / np.where(before > 0, before, np.inf)
        share = np.where((before > 0) & (share >= FALL_MIN), share, 0.0)
        no_longer = share * before * others[:, begin:].sum(axis=1) / (days - begin)
        step = max(float(lost[begin:].mean() - lost[:begin].mean()), 0.0)
        fall[begin] = share
        match[begin] = np.minimum(step, no_longer) / np.maximum(np.maximum(step, no_longer), 1e-9)
    return fall, match
