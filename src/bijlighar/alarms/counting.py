"""The numbers of the wall, put together from one read."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import Connection

from bijlighar.alarms import desk_store, grouping, journal_store, rules, store, wall_store
from bijlighar.alarms.model import (
    WAITING,
    AlarmTable,
    NextEscalation,
    Priority,
    WallCounts,
)
from bijlighar.alarms.table import shipped_table
from bijlighar.alarms.wall_store import OpenCount
from bijlighar.base.period import moment_of

DAY = timedelta(hours=24)
QUARTERS = 96
#: As many of the last alarms are looked at one by one to tell when a flood began.
TIMES_MAX = 250
#: What one person can answer in ten minutes (ISA-18.2: one is acceptable, two can be managed).
TARGET_10_MIN = 1


def wall_counts(
    connection: Connection,
    *,
    offices: Sequence[str] | None,
    now: datetime,
    table: AlarmTable | None = None,
) -> WallCounts:
    """Return the numbers of the wall of a branch (None: of all) at a moment; what has no office counts for all."""
    chosen = table or shipped_table()
    found = wall_store.open_counts(connection, offices=offices, stale_before=now - grouping.STALE_AFTER)
    waiting = [count for count in found if count.state in WAITING]
    calling = [count for count in waiting if count.priority is Priority.P1]
    last = store.quarter_of(now)
    quarters = wall_store.quarters(connection, offices=offices, first=last - QUARTERS + 1)
    recent = wall_store.count_raised(connection, offices=offices, after=now - grouping.WINDOW)
    answers = wall_store.answer_seconds(connection, offices=offices, since=now - DAY)
    silence = desk_store.silence(connection, at=now) if calling else None
    level = max((count.escalated for count in calling), default=0)
    return WallCounts(
        at=now,
        number=journal_store.last_number(connection),
        unacknowledged={
            priority: sum(count.count for count in waiting if count.priority is priority)
            for priority in Priority
        },
        tampers=sum(count.of_meters for count in calling),
        acknowledged=sum(count.count for count in found if count.state not in WAITING),
        stale=sum(count.stale for count in found),
        last_10_min=recent,
        target_10_min=TARGET_10_MIN,
        flood_since=None
        if recent < grouping.FLOOD_UNDER
        else _flood_since(connection, offices=offices, now=now, quarters=quarters),
        median_ack_s=round(median(answers)) if answers else None,
        quarters=tuple(quarters.get(last - QUARTERS + place, 0) for place in range(1, QUARTERS + 1)),
        siren_required=bool(calling),
        siren_alarm=min((count.first for count in calling), default=None),
        siren_level=rules.siren_level(
            escalated=level, only_system=not any(count.of_meters for count in calling), table=chosen
        ),
        sounding=bool(calling) and silence is None,
        silenced_until=None if silence is None else silence.until_at,
        silenced_by=None if silence is None else silence.person,
        oldest_p1_at=min((count.waiting_since for count in calling), default=None),
        level=level,
        escalated_to=chosen.escalation[level - 1].who if 0 < level <= len(chosen.escalation) else None,
        next_escalation=_next(calling, table=chosen),
    )


def _flood_since(
    connection: Connection, *, offices: Sequence[str] | None, now: datetime, quarters: Mapping[int, int]
) -> datetime | None:
    """
    Return since when there are too many new alarms.

    By the last of them to the moment; a flood that began before these is known by the quarter of an hour.
    """
    times = wall_store.raise_times(connection, offices=offices, since=now - DAY, limit=TIMES_MAX)
    since = grouping.flood_since(times, now)
    if since is None or len(times) < TIMES_MAX or since - times[0] > grouping.WINDOW:
        return since
    quarter = store.quarter_of(times[0])
    while quarters.get(quarter - 1, 0) > grouping.FLOOD_OVER:
        quarter -= 1
    return min(since, moment_of(quarter * store.QUARTER_S)) if quarter < store.quarter_of(times[0]) else since


def _next(calling: Sequence[OpenCount], *, table: AlarmTable) -> NextEscalation | None:
    coming = [
        NextEscalation(level=count.escalated + 1, who=step.who, at=count.waiting_since + step.after)
        for count in calling
        for step in table.escalation[count.escalated : count.escalated + 1]
    ]
    return min(coming, key=lambda next_: (next_.at, -next_.level), default=None)
