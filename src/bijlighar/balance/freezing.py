"""What a sealed month keeps of its balances, whatever is learnt of its network or its registers later."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from bijlighar.balance import store
from bijlighar.balance.model import DayBalance, Level
from bijlighar.readings import queries as readings
from bijlighar.registry import queries as registry

Key = tuple[int, Level, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """
    What stays as it was closed: whole days, and beside them single transformers and feeders of some days.

    `balances` are those of the latter as they stand.
    """

    days: frozenset[int]
    codes: frozenset[Key]
    balances: tuple[DayBalance, ...]

    def kept(self, balances: Iterable[DayBalance]) -> list[DayBalance]:
        """Return balances newly reckoned, those that are frozen as they stand."""
        fresh = [each for each in balances if (each.day, each.level, each.code) not in self.codes]
        return [*fresh, *self.balances]


def frozen(connection: Connection, *, first: int, last: int) -> Frozen:
    """
    Return what is frozen of the days `first` to `last`: what was closed before of what is sealed.

    The seal of the whole company freezes days, that of an office the transformers and feeders that supply it.
    """
    seals = readings.seals_over(connection, first=first, last=last)
    if not seals:
        return Frozen(days=frozenset(), codes=frozenset(), balances=())
    closed = store.closed_days(connection, first=first, last=last)
    days: set[int] = set()
    codes: set[Key] = set()
    for seal in seals:
        span = [day for day in range(max(first, seal.first), min(last, seal.last) + 1) if day in closed]
        if seal.is_company:
            days.update(span)
            continue
        supplied = registry.transformers(connection, office=seal.office)
        own = [(Level.TRANSFORMER, transformer.code) for transformer in supplied]
        own += [(Level.FEEDER, feeder) for feeder in registry.feeders(connection, office=seal.office)]
        codes.update((day, level, code) for day in span for level, code in own)
    return Frozen(
        days=frozenset(days),
        codes=frozenset(codes),
        balances=tuple(
            each
            for level in (Level if codes else ())
            for each in store.days(connection, level=level, first=first, last=last)
            if (each.day, each.level, each.code) in codes
        ),
    )
