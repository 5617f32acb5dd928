"""The queue follows what is found: in the transaction that writes findings, for the meters whose findings changed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.period import Period, date_of, day_number, local_date
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation
from bijlighar.validation import exception_store, store
from bijlighar.validation.exception_rules import Followed, calls_for_person, followed, state_after
from bijlighar.validation.model import (
    ExceptionState,
    ExceptionStep,
    ValidationException,
    ValidationFinding,
)
from bijlighar.validation.report import joined_gaps

#: Nothing that goes on over midnight is looked at farther back or ahead than this in one step [days].
REACH_MAX = 800
#: How often the days looked at are widened by what overlaps them.
PASSES_MAX = 5
#: What ends at midnight ends on the day before.
INSTANT = timedelta(microseconds=1)


def follow(connection: Connection, *, meter_days: Iterable[tuple[str, int]], now: datetime) -> int:
    """Bring the queue to what is found of some meter-days and what goes on from them; return how much changed."""
    spans: dict[tuple[int, int], list[str]] = {}
    for meter, (first, last) in _spans(meter_days).items():
        spans.setdefault((first, last), []).append(meter)
    changed = 0
    for (first, last), meters in spans.items():
        changed += _follow(connection, meters=sorted(meters), first=first, last=last, now=now)
    return changed


def _follow(connection: Connection, *, meters: list[str], first: int, last: int, now: datetime) -> int:
    """Bring the queue to what is found of meters on some days, and to what goes on from there to both sides."""
    low, high = first - 1, last + 1
    wide, standing = _standing(connection, meters=meters, low=low, high=high)
    for _ in range(PASSES_MAX):
        begins = (day_number(local_date(each.finding.start)) for each in standing)
        ends = (day_number(local_date(each.finding.end - INSTANT)) for each in standing)
        lower = max(min(begins, default=low), first - REACH_MAX)
        higher = min(max(ends, default=high), last + REACH_MAX)
        if lower >= low and higher <= high:
            break
        low, high = min(lower, low), max(higher, high)
        wide, standing = _standing(connection, meters=meters, low=low, high=high)
    found = joined_gaps(store.select_findings_of(connection, meters=meters, first=low, last=high))
    known: dict[str, list[ValidationException]] = {}
    for each in standing:
        known.setdefault(each.finding.meter, []).append(each)
    called: dict[str, list[ValidationFinding]] = {}
    for finding in found:
        if calls_for_person(finding):
            called.setdefault(finding.meter, []).append(finding)
    changes = [
        change
        for meter in meters
        for change in followed(known.get(meter, []), called.get(meter, []))
        if _is_inside(change, wide)
    ]
    if changes:
        _write(connection, changes, hung=registry.hangings(connection, meters=meters), now=now)
    return len(changes)


def _standing(
    connection: Connection, *, meters: list[str], low: int, high: int
) -> tuple[Period, list[ValidationException]]:
    """Return the days from `low` to `high` as a period, and the exceptions that overlap it."""
    wide = Period.of_local_days(date_of(low), date_of(high))
    return wide, exception_store.select_of_meters(connection, meters=meters, period=wide)


def _is_inside(change: Followed, wide: Period) -> bool:
    """Return whether all of what is told of a change was looked at; what reaches beyond is left as it is."""
    told = [change.finding, *([] if change.exception is None else [change.exception.finding])]
    return all(wide.start <= finding.start and finding.end <= wide.end for finding in told)


def _write(
    connection: Connection,
    changes: Iterable[Followed],
    *,
    hung: Mapping[str, tuple[Installation, ...]],
    now: datetime,
) -> None:
    written = [(change, _after(change, hung=hung, now=now)) for change in changes]
    opened = [after for change, after in written if change.exception is None]
    numbers = iter(exception_store.insert_exceptions(connection, exceptions=opened))
    exception_store.update_exceptions(
        connection, exceptions=[after for change, after in written if change.exception is not None]
    )
    steps = []
    for change, after in written:
        number = next(numbers) if change.exception is None else after.number
        if change.event is not None:
            steps.append(ExceptionStep(exception=number, at=now, event=change.event))
    exception_store.append_steps(connection, steps=steps)


def _after(
    change: Followed, *, hung: Mapping[str, tuple[Installation, ...]], now: datetime
) -> ValidationException:
    """Return an exception as a change leaves it; a new one has no number yet."""
    finding, state = change.finding, state_after(change)
    office = _office(hung.get(finding.meter, ()), finding)
    if change.exception is None:
        return ValidationException(
            number=0,
            finding=finding,
            office=office,
            state=state,
            revision=1,
            opened_at=now,
            changed_at=now,
        )
    after = replace(
        change.exception,
        finding=finding,
        office=office,
        state=state,
        revision=change.exception.revision + 1,
        changed_at=now,
    )
    if change.event is not None and state is ExceptionState.OPEN:
        return replace(
            after, opened_at=now, taken_by=None, taken_at=None, settled_by=None, settled_at=None,
            settled_intervals=None, outcome=None, note="",
        )  # fmt: skip
    return after


def _office(hung: Iterable[Installation], finding: ValidationFinding) -> str | None:
    places = sorted(hung, key=lambda place: place.from_at)
    begun = [place for place in places if place.from_at < finding.end]
    at_begin = [place for place in places if place.hangs_at(finding.start)]
    chosen = at_begin or begun[-1:]
    return chosen[0].office if chosen else None


def _spans(meter_days: Iterable[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    spans: dict[str, tuple[int, int]] = {}
    for meter, day in meter_days:
        low, high = spans.get(meter, (day, day))
        spans[meter] = min(low, day), max(high, day)
    return spans
