"""
How a wall shows many alarms: one row for what is one event, a row of its own for whatever a person must see alone.

Folding is pure, and a row's key and sort key do not change while its alarms stand as they are: a browser inserts and
replaces rows by them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from bijlighar.alarms.model import (
    OPEN_STATES,
    WAITING,
    Alarm,
    AlarmState,
    Priority,
    WallRow,
    WallTotals,
)
from bijlighar.base.words import Words

WINDOW = timedelta(minutes=10)
#: As many of one kind, place and time fold into one row; more P1 alarms than the second, and on one feeder only.
FOLD_MIN = 3
FOLD_P1_OVER = 5
#: A flood begins with more than the first in a window and ends with fewer than the second (ISA-18.2).
FLOOD_OVER = 10
FLOOD_UNDER = 5
STALE_AFTER = timedelta(hours=24)
#: What this share of a feeder's transformers tells at once is probably one event of the feeder.
FEEDER_SHARE_PERCENT = 25
FEEDER_TRANSFORMERS_MIN = 3
SECONDS_TOLD_UNDER = 120

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_MAX = 10**16 - 1
#: In which order the states stand on the wall.
SECTIONS = {AlarmState.UNACKNOWLEDGED: 1, AlarmState.CLEARED: 2, AlarmState.ACKNOWLEDGED: 3}

Place = tuple[str, str]


def wall_rows(alarms: Iterable[Alarm], *, now: datetime, totals: WallTotals) -> tuple[WallRow, ...]:
    """
    Return the rows of the wall in the order in which they are shown; each open alarm stands in exactly one.

    Not acknowledged P1, P2, P3; over and not acknowledged; acknowledged. Of P1 the longest waiting stands first, of
    the others the newest.
    """
    rows = []
    for cluster in _clusters(alarm for alarm in alarms if alarm.state in OPEN_STATES):
        by_state: dict[AlarmState, list[Alarm]] = {}
        for alarm in cluster:
            by_state.setdefault(alarm.state, []).append(alarm)
        for members in by_state.values():
            if _folds(members):
                key = f"g{cluster[0].number}.{SECTIONS[members[0].state]}"
                rows.append(_row(members, key=key, now=now, totals=totals))
            else:
                rows += [_row([alarm], key=f"a{alarm.number}", now=now, totals=totals) for alarm in members]
    return tuple(sorted(rows, key=lambda row: row.sort))


def _clusters(alarms: Iterable[Alarm]) -> Iterator[Sequence[Alarm]]:
    """Yield alarms of one code, priority and place within one window, the first to occur first."""
    kinds: dict[tuple[int, Priority, Place], list[Alarm]] = {}
    for alarm in alarms:
        place = place_of(alarm)
        if place is None:
            yield (alarm,)
        else:
            kinds.setdefault((alarm.code, alarm.priority, place), []).append(alarm)
    for kind in kinds.values():
        cluster: list[Alarm] = []
        for alarm in sorted(kind, key=lambda alarm: (alarm.first_at, alarm.number)):
            if cluster and alarm.first_at - cluster[0].first_at > WINDOW:
                yield cluster
                cluster = []
            cluster.append(alarm)
        yield cluster


def place_of(alarm: Alarm) -> Place | None:
    """Return by which place an alarm folds: a P1 by its feeder only, the others by what is known of it."""
    if alarm.feeder is not None:
        return "feeder", alarm.feeder
    if alarm.priority is Priority.P1:
        return None
    if alarm.transformer is not None:
        return "transformer", alarm.transformer
    return None if alarm.office is None else ("office", alarm.office)


def _folds(members: Sequence[Alarm]) -> bool:
    if members[0].priority is Priority.P1:
        return len(members) > FOLD_P1_OVER
    return len(members) >= FOLD_MIN


def _row(members: Sequence[Alarm], *, key: str, now: datetime, totals: WallTotals) -> WallRow:
    first = members[0]
    transformer = _shared(alarm.transformer for alarm in members)
    feeder = _shared(alarm.feeder for alarm in members)
    office = _shared(alarm.office for alarm in members)
    is_group = len(members) > 1
    return WallRow(
        key=key,
        sort=f"{SECTIONS[first.state]}{first.priority:d}{_order(members):016d}:{key}",
        priority=first.priority,
        state=first.state,
        words=first.words,
        guess=_guess(members, totals=totals) if is_group else None,
        alarms=tuple(members),
        meters_total=_meters(totals, transformer=transformer, feeder=feeder, office=office)
        if is_group
        else None,
        office=office,
        transformer=transformer,
        feeder=feeder,
        owners=tuple(sorted({alarm.acknowledged_by for alarm in members if alarm.acknowledged_by})),
        is_stale=any(now - alarm.raised_at > STALE_AFTER for alarm in members),
    )


def _order(members: Sequence[Alarm]) -> int:
    """Return the place of a row in its section: the longest waiting first for P1, else the newest first."""
    first = members[0]
    if first.state not in WAITING:
        return MICROSECONDS_MAX - _microseconds(max(alarm.acknowledged_at or EPOCH for alarm in members))
    if first.priority is Priority.P1:
        return _microseconds(min(alarm.waiting_since for alarm in members))
    return MICROSECONDS_MAX - _microseconds(min(alarm.first_at for alarm in members))


def _microseconds(moment: datetime) -> int:
    return min(max((moment - EPOCH) // MICROSECOND, 0), MICROSECONDS_MAX)


def _shared(values: Iterable[str | None]) -> str | None:
    """Return the value that all have, None where they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _meters(
    totals: WallTotals, *, transformer: str | None, feeder: str | None, office: str | None
) -> int | None:
    known: tuple[tuple[Mapping[str, int], str | None], ...] = (
        (totals.meters_of_transformer, transformer),
        (totals.meters_of_feeder, feeder),
        (totals.meters_of_office, office),
    )
    for of_place, place in known:
        if place is not None:
            return of_place.get(place)
    return None


def _guess(members: Sequence[Alarm], *, totals: WallTotals) -> Words:
    """Return what alarms of one kind, place and time probably are."""
    span = members[-1].first_at - members[0].first_at
    within = _within(span)
    named = {alarm.transformer for alarm in members if alarm.transformer is not None}
    feeder = _shared(alarm.feeder for alarm in members)
    if len(named) == 1 and all(alarm.transformer for alarm in members):
        return Words(hi=f"एक ही ट्रांसफार्मर, {within.hi}", en=f"same transformer, {within.en}")
    if feeder is None:
        return Words(hi=f"एक ही कार्यालय, {within.hi}", en=f"same office, {within.en}")
    total = totals.transformers_of_feeder.get(feeder)
    if not named:
        return Words(hi=f"एक ही फीडर, {within.hi}", en=f"same feeder, {within.en}")
    some = (
        Words(hi=f"{len(named)} ट्रांसफार्मर", en=f"{len(named)} transformers")
        if total is None
        else Words(hi=f"{total} में से {len(named)} ट्रांसफार्मर", en=f"{len(named)} of {total} transformers")
    )
    large = total is None or len(named) * 100 >= total * FEEDER_SHARE_PERCENT
    if len(named) >= FEEDER_TRANSFORMERS_MIN and large:
        return Words(
            hi=f"संभवतः फीडर की एक ही घटना: {some.hi}, {within.hi}",
            en=f"one feeder event likely: {some.en}, {within.en}",
        )
    return Words(hi=f"{some.hi}, {within.hi}", en=f"{some.en}, {within.en}")


def _within(span: timedelta) -> Words:
    """
    Return within how long all of them came.

    >>> _within(timedelta(seconds=9)).en, _within(timedelta(minutes=3, seconds=1)).en
    ('all within 9 s', 'all within 4 min')
    """
    seconds = max(1, ceil(span.total_seconds()))
    if seconds < SECONDS_TOLD_UNDER:
        return Words(hi=f"सभी {seconds} सेकंड के भीतर", en=f"all within {seconds} s")
    minutes = ceil(seconds / 60)
    return Words(hi=f"सभी {minutes} मिनट के भीतर", en=f"all within {minutes} min")


def flood_since(times: Iterable[datetime], now: datetime) -> datetime | None:
    """
    Return since when there are too many new alarms at `now`, None where there are not.

    A flood begins with the alarm that is one too many within ten minutes and ends when few are left of the last ten.
    """
    recent: deque[datetime] = deque()
    since: datetime | None = None
    for moment in (*sorted(time for time in times if time <= now), None):
        while recent and recent[0] + WINDOW <= (now if moment is None else moment):
            recent.popleft()
            if len(recent) < FLOOD_UNDER:
                since = None
        if moment is not None:
            recent.append(moment)
            if len(recent) > FLOOD_OVER and since is None:
                since = moment
    return since
