"""Read who hung when, what communicates, which load is sanctioned, and which meter took which one's place."""

from collections.abc import Iterable
from itertools import pairwise

from sqlalchemy import Connection

from bijlighar.base.period import day_number, epoch_seconds, local_date
from bijlighar.registry import queries as registry
from bijlighar.registry.model import SINCE_EVER, Installation, MeterType
from bijlighar.validation.cases import Hangings

#: The end of a hanging without an end [s since the epoch].
FOREVER_S = 2**52


def hangings(connection: Connection) -> Hangings:
    """Return who hung when, what communicates and which load is sanctioned."""
    accounts = {account.number: account for account in registry.accounts(connection)}
    hangings_ = registry.installations(connection)
    spans: dict[str, list[tuple[int, int]]] = {}
    load_w: dict[str, int] = {}
    minutes: dict[str, int] = {}
    ratios: dict[str, int] = {}
    categories: dict[str, str] = {}
    one_phase: set[str] = set()
    moved: dict[str, set[int]] = {}
    for hung in hangings_:
        end = FOREVER_S if hung.to_at is None else epoch_seconds(hung.to_at)
        spans.setdefault(hung.meter, []).append((epoch_seconds(hung.from_at), end))
        account = accounts.get(hung.account) if hung.account is not None else None
        if account is not None:
            categories[hung.meter] = account.category
            if account.sanctioned_w is not None:
                load = account.sanctioned_w // max(hung.multiplier, 1)
                load_w[hung.meter] = max(load, load_w.get(hung.meter, 0))
        for moment in (hung.from_at, hung.to_at):
            if moment is not None and moment != SINCE_EVER:
                moved.setdefault(hung.meter, set()).add(day_number(local_date(moment)))
        if hung.multiplier > 1:
            ratios[hung.meter] = hung.multiplier
        if hung.meter_type is MeterType.SINGLE_PHASE:
            one_phase.add(hung.meter)
        minutes[hung.meter] = hung.minutes
    talking = {device.serial for device in registry.end_devices(connection) if device.communicates}
    return Hangings(
        spans={meter: tuple(sorted(own)) for meter, own in spans.items()},
        communicating=frozenset(talking),
        minutes=minutes,
        load_w=load_w,
        ratios=ratios,
        categories=categories,
        one_phase=frozenset(one_phase),
        exchanges=_exchanges(hangings_),
        moved={meter: frozenset(days) for meter, days in moved.items()},
    )


def _exchanges(hangings: Iterable[Installation]) -> dict[tuple[str, int], tuple[str, bool]]:
    """Return the exchanges of meters at one place, by meter and IST day."""
    by_place: dict[str, list[Installation]] = {}
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
