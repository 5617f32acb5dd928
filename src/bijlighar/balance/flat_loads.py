"""Loads without a meter in the balance: what each is assessed at on each day, and how far that may be off."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance import flat_rate_store
from bijlighar.balance.doubt import SIGMA_90, Reals
from bijlighar.balance.flat_rate import FlatRate
from bijlighar.balance.model import Level
from bijlighar.base.period import day_number
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Integers
from bijlighar.registry import queries as registry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatLoads:
    """
    The loads without a meter on a range of days; arrays are (loads, days).

    rows: which loads hang below a transformer or feeder.
    energy_wh: what each is assessed at; error_wh: its standard error, which a load's days share.
    """

    rows: Mapping[tuple[Level, str], Sequence[int]]
    energy_wh: Integers
    error_wh: Reals

    def of(self, level: Level, code: str) -> Integers:
        """Return what all loads below a transformer or feeder are assessed at, by day [Wh]."""
        rows = list(self.rows.get((level, code), ()))
        return np.asarray(self.energy_wh[rows].sum(axis=0), dtype=np.int64)

    def below(self, transformer: str, columns: Integers) -> tuple[Reals, Reals]:
        """Return energy and standard error of each load below a transformer over some days, as reals."""
        rows = list(self.rows.get((Level.TRANSFORMER, transformer), ()))
        energy = self.energy_wh[rows][:, columns].sum(axis=1).astype(np.float64)
        return energy, np.asarray(self.error_wh[rows][:, columns].sum(axis=1))


def flat_loads(connection: Connection, *, first: int, last: int) -> FlatLoads:
    """
    Return the loads without a meter on the days `first` to `last`.

    On sealed days they are assessed as was known when the month was sealed.
    """
    days = last - first + 1
    known: dict[str, list[tuple[FlatRate, datetime]]] = {}
    for load, _, recorded_at in flat_rate_store.versions(connection):
        known.setdefault(load.code, []).append((load, recorded_at))
    # A load that moved stands once for each transformer it ever hung at.
    places = sorted({(code, load.transformer) for code, told in known.items() for load, _ in told})
    rows_of: dict[str, dict[str, int]] = {}
    for row, (code, transformer) in enumerate(places):
        rows_of.setdefault(code, {})[transformer] = row
    laid = _Laid(
        known=known,
        rows_of=rows_of,
        first=first,
        energy_wh=np.zeros((len(places), days), dtype=np.int64),
        error_wh=np.zeros((len(places), days)),
    )
    rows: dict[tuple[Level, str], list[int]] = {}
    if places:
        laid.lay(slice(0, days), moment=None, only=None)
        for seal in reversed(readings.seals_over(connection, first=first, last=last)):
            span = slice(max(seal.first - first, 0), min(seal.last - first, days - 1) + 1)
            plates = registry.transformers(connection, office=None if seal.is_company else seal.office)
            only = None if seal.is_company else frozenset(plate.code for plate in plates)
            laid.lay(span, moment=seal.sealed_at, only=only)
        feeder_of = {plate.code: plate.feeder for plate in registry.transformers(connection)}
        for row, (_, transformer) in enumerate(places):
            rows.setdefault((Level.TRANSFORMER, transformer), []).append(row)
            feeder = feeder_of.get(transformer)
            if feeder is not None:
                rows.setdefault((Level.FEEDER, feeder), []).append(row)
    return FlatLoads(rows=rows, energy_wh=laid.energy_wh, error_wh=laid.error_wh)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Laid:
    """What is laid out: every version of each load, and the rows of the arrays by load and transformer."""

    known: Mapping[str, Sequence[tuple[FlatRate, datetime]]]
    rows_of: Mapping[str, Mapping[str, int]]
    first: int
    energy_wh: Integers
    error_wh: Reals

    def lay(self, span: slice, *, moment: datetime | None, only: Collection[str] | None) -> None:
        """Write what each load is assessed at on a span of days, as known at a moment, at some transformers alone."""
        for code, versions in self.known.items():
            for transformer, row in self.rows_of[code].items():
                if only is None or transformer in only:
                    self.energy_wh[row, span], self.error_wh[row, span] = 0, 0.0
            told = [load for load, recorded_at in versions if moment is None or recorded_at <= moment]
            if not told or (only is not None and told[-1].transformer not in only):
                continue
            load = told[-1]
            begin = max(day_number(load.first) - self.first, span.start)
            end = span.stop if load.last is None else min(day_number(load.last) - self.first + 1, span.stop)
            if begin < end:
                row = self.rows_of[code][load.transformer]
                self.energy_wh[row, begin:end] = load.likely_wh
                self.error_wh[row, begin:end] = (load.high_wh - load.low_wh) / (2 * SIGMA_90)
