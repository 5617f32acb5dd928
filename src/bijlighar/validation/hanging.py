"""Read who hung when, what communicates, which load is sanctioned, and which meter took which one's place."""

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy import Connection, Engine

from bijlighar.base.period import day_number, epoch_seconds, local_date
from bijlighar.readings.model import IST_OFFSET_S, SECONDS_PER_DAY
from bijlighar.registry import queries as registry
from bijlighar.registry.model import SINCE_EVER, MeterHanging, MeterType
from bijlighar.storage.engine import is_to_write
from bijlighar.validation.cases import Hangings

#: The end of a hanging without an end [s since the epoch].
FOREVER_S = 2**52
_EVER_S = epoch_seconds(SINCE_EVER)
#: A span that holds nothing.
NEVER_S = (FOREVER_S, -FOREVER_S)
#: What each opened database's registry said last, and the number of the change it said it after.
_held: WeakKeyDictionary[Engine, tuple[int, Hangings]] = WeakKeyDictionary()


def hangings(connection: Connection) -> Hangings:
    """
    Return who hung when, what communicates and which load is sanctioned.

    The process holds it until the registry changes; what a writing transaction reads may never be committed, and is
    not held.
    """
    if is_to_write(connection):
        return _read(connection)
    change = registry.last_change(connection)
    number, held = _held.get(connection.engine, (None, None))
    if held is None or number != change:
        held = _read(connection)
        _held[connection.engine] = (change, held)
    return held


def _read(connection: Connection) -> Hangings:
    hangings_ = registry.meter_hangings(connection)
    spans: dict[str, list[tuple[int, int]]] = {}
    load_w: dict[str | None, int] = {}
    minutes: dict[str, int] = {}
    ratios: dict[str | None, int] = {}
    categories: dict[str | None, str] = {}
    one_phase: set[str | None] = set()
    transformers: dict[str, str] = {}
    moved: dict[int, set[str]] = {}
    for hung in hangings_:
        meter = hung.meter
        begin_s = epoch_seconds(hung.from_at)
        end_s = FOREVER_S if hung.to_at is None else epoch_seconds(hung.to_at)
        spans.setdefault(meter, []).append((begin_s, end_s))
        for moment_s in (begin_s, end_s):
            if moment_s not in (_EVER_S, FOREVER_S):
                moved.setdefault((moment_s + IST_OFFSET_S) // SECONDS_PER_DAY, set()).add(meter)
        if hung.category is not None:
            categories[meter] = hung.category
        if hung.sanctioned_w is not None:
            load_w[meter] = max(hung.sanctioned_w // max(hung.multiplier, 1), load_w.get(meter, 0))
        if hung.multiplier > 1:
            ratios[meter] = hung.multiplier
        if hung.meter_type == MeterType.SINGLE_PHASE:
            one_phase.add(meter)
        minutes[meter] = hung.minutes
        if hung.transformer is not None:
            transformers[meter] = hung.transformer
    talking = registry.communicating(connection)
    ordered = {meter: tuple(sorted(own)) for meter, own in spans.items()}
    names = sorted(spans.keys() | talking)
    every = (*names, None)
    first = [ordered.get(meter, (NEVER_S,))[0] if meter is not None else NEVER_S for meter in every]
    return Hangings(
        spans=ordered,
        communicating=talking,
        minutes=minutes,
        exchanges=_exchanges(hangings_),
        moved={day: frozenset(own) for day, own in moved.items()},
        place={meter: row for row, meter in enumerate(names)},
        load_w=np.array([load_w.get(meter, 0) for meter in every], dtype=np.int64),
        ratio=np.array([ratios.get(meter, 1) for meter in every], dtype=np.int64),
        talks=np.array([meter in talking for meter in every], dtype=np.bool_),
        since_ever=np.array([low == _EVER_S for low, _ in first], dtype=np.bool_),
        one_phase=np.array([meter in one_phase for meter in every], dtype=np.bool_),
        categories=tuple(categories.get(meter, "") for meter in every),
        first_span=np.array(first, dtype=np.int64),
        earliest_s=min(
            (begin for meter in talking for begin, _ in ordered.get(meter, ()) if begin != _EVER_S),
            default=None,
        ),
        transformer=transformers,
        under=_under(transformers, talking),
        again=np.array([len(ordered.get(meter, ())) > 1 for meter in names] + [False], dtype=np.bool_),
    )


def _under(transformers: Mapping[str, str], talking: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return who communicates under each transformer."""
    under: dict[str, list[str]] = {}
    for meter, transformer in transformers.items():
        if meter in talking:
            under.setdefault(transformer, []).append(meter)
    return {transformer: tuple(own) for transformer, own in under.items()}


def _exchanges(hangings: Iterable[MeterHanging]) -> dict[tuple[str, int], tuple[str, bool]]:
    """Return the exchanges of meters at one place, by meter and IST day."""
    by_place: dict[str, list[MeterHanging]] = {}
    for hung in hangings:
        by_place.setdefault(hung.usage_point, []).append(hung)
    found: dict[tuple[str, int], tuple[str, bool]] = {}
    for own in by_place.values():
        ordered = sorted(own, key=lambda hung: hung.from_at)
        for old, new in pairwise(ordered):
            if old.meter != new.meter and old.to_at is not None:
                found[old.meter, day_number(local_date(old.to_at))] = (new.meter, False)
                found[new.meter, day_number(local_date(new.from_at))] = (old.meter, True)
    return found
