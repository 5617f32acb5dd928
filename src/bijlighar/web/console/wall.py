"""What the alarm wall shows: rows, figures and what the banner and the siren are told."""

import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from bijlighar.alarms import queries as alarms
from bijlighar.alarms.model import (
    STATE_NAMES,
    WAITING,
    Alarm,
    AlarmState,
    Priority,
    WallCounts,
    WallRow,
    WallTotals,
)
from bijlighar.base.period import Period
from bijlighar.base.words import Language
from bijlighar.offices import queries as offices
from bijlighar.registry import queries as registry
from bijlighar.web.language import Writer
from bijlighar.web.pages import render

#: How many rows a wall has; what is below them is told as a number.
ROWS_MAX = 60
REMEMBERED = 5_000
TOTALS_KEPT = timedelta(minutes=1)
NAMED_MAX = 8
SPARK_STEP, SPARK_HEIGHT = 2, 30

Offices = tuple[str, ...] | None
_Remembered = OrderedDict[tuple[WallRow, Language, str], str]
_remembered: _Remembered = OrderedDict()
_totals: WeakKeyDictionary[Engine, tuple[datetime, WallTotals]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A row as its template wants it: words and links, nothing left to decide."""

    key: str
    sort: str
    priority: int
    css: str
    state: str
    first: str
    count: int
    words: str
    guess: str
    where: str
    share: int | None
    meters: str
    owner: str
    doing: str
    acknowledge: str
    open: str
    members: int


def state(connection: Connection, *, offices: Offices, writer: Writer, now: datetime) -> dict[str, Any]:
    """Return what the banner and the siren of a console are told; every number is of one moment."""
    counts = alarms.wall_counts(connection, offices=offices, now=now)
    following = counts.next_escalation
    return {
        "at": now.isoformat(),
        "watched": True,
        "chimes": alarms.last_chime(connection, offices=offices),
        "siren": {
            "required": counts.siren_required,
            "sounding": counts.sounding,
            "level": {"P1": "TAMPER"}.get(counts.siren_level.value, counts.siren_level.value),
            "count": counts.unacknowledged[Priority.P1],
            "alarm": counts.siren_alarm,
            "oldest_at": _text(counts.oldest_p1_at),
            "silenced_until": _text(counts.silenced_until),
            "escalated_to": None if counts.escalated_to is None else writer.words(counts.escalated_to),
            "next_to": None if following is None else writer.words(following.who),
            "next_at": None if following is None else following.at.isoformat(),
        },
    }


def frame(connection: Connection, *, offices: Offices, writer: Writer, now: datetime) -> dict[str, Any]:
    """Return the rows of a wall and its figures, written in one language."""
    counts = alarms.wall_counts(connection, offices=offices, now=now)
    found = alarms.wall_rows(connection, offices=offices, now=now, totals=totals(connection, now=now))
    names = _names(connection, found)
    return {
        "at": now.isoformat(),
        "figures": figures(counts, writer),
        "more": max(0, len(found) - ROWS_MAX),
        "rows": [written(row, writer=writer, names=names) for row in found[:ROWS_MAX]],
    }


def figures(counts: WallCounts, writer: Writer) -> str:
    """Return the strip of figures above the wall."""
    highest = max((*counts.quarters, counts.target_10_min), default=1) or 1
    spark = [
        {
            "x": place * SPARK_STEP,
            "height": round(SPARK_HEIGHT * number / highest, 1),
            "y": round(SPARK_HEIGHT * (1 - number / highest), 1),
        }
        for place, number in enumerate(counts.quarters)
        if number
    ]
    return render(
        "console/figures.html",
        writer=writer,
        facts={
            "counts": counts,
            "unacknowledged": {int(priority): number for priority, number in counts.unacknowledged.items()},
            "spark": spark,
        },
    )


def written(row: WallRow, *, writer: Writer, names: dict[str, str]) -> dict[str, str]:
    """Return one row as HTML, which is written once for everybody who sees the same."""
    owner = ", ".join(names.get(name, name) for name in row.owners)
    key = (row, writer.language, owner)
    html = _remembered.get(key)
    if html is None:
        shown = _shown(row, writer=writer, owner=owner)
        html = render("console/wall_row.html", writer=writer, facts={"row": shown}).strip()
        _remembered[key] = html
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    digest = hashlib.blake2s(html.encode(), digest_size=6).hexdigest()
    return {"key": row.key, "sort": row.sort, "digest": digest, "html": html.replace("DIGEST", digest, 1)}


def written_alone(alarm: Alarm, *, writer: Writer, names: dict[str, str]) -> dict[str, str]:
    """Return a row that stands for one alarm, as in the list of a group's members."""
    row = WallRow(
        key=f"a{alarm.number}",
        sort=f"{alarm.number:016d}",
        priority=alarm.priority,
        state=alarm.state,
        words=alarm.words,
        guess=None,
        alarms=(alarm,),
        meters_total=None,
        office=alarm.office,
        transformer=alarm.transformer,
        feeder=alarm.feeder,
        owners=(alarm.acknowledged_by,) if alarm.acknowledged_by else (),
        is_stale=False,
    )
    return written(row, writer=writer, names=names)


def _shown(row: WallRow, *, writer: Writer, owner: str) -> Shown:
    first = row.alarms[0]
    is_fresh = row.state is AlarmState.UNACKNOWLEDGED
    css = (
        f"fresh{row.priority:d}"
        if is_fresh
        else ("quiet returned" if row.state is AlarmState.CLEARED else "quiet")
    )
    where = " · ".join(part for part in (row.office, row.transformer, row.feeder) if part)
    numbers = ",".join(str(number) for number in row.numbers)
    return Shown(
        key=row.key,
        sort=row.sort,
        priority=int(row.priority),
        css=f"{css} group" if row.is_group else css,
        state=writer.words(STATE_NAMES[row.state]),
        first=writer.moment(row.first_at) if row.is_stale else writer.time(row.first_at, seconds=True),
        count=row.count,
        words=writer.words(row.words),
        guess=writer.words(row.guess) if row.guess else "",
        where=where or "–",
        share=_share(row),
        meters=_meters(row, writer),
        owner=owner,
        doing=_doing(row, writer),
        acknowledge=f"/alarms/{numbers}/acknowledge" if row.state in WAITING and not row.is_group else "",
        open=f"/alarms/{first.number}" if not row.is_group else f"/alarms?group={quote(row.key)}",
        members=len(row.alarms),
    )


def _meters(row: WallRow, writer: Writer) -> str:
    sources = row.sources
    if not row.is_group:
        account = row.alarms[0].account
        return f"{sources[0]} · {account}" if account else sources[0]
    if row.meters_total:
        return writer.text(
            "{count} of {total} meters",
            count=writer.number(len(sources)),
            total=writer.number(row.meters_total),
        )
    named = ", ".join(sources[:NAMED_MAX])
    return named if len(sources) <= NAMED_MAX else f"{named} +{len(sources) - NAMED_MAX}"


def _share(row: WallRow) -> int | None:
    if not row.is_group or not row.meters_total:
        return None
    return min(100, round(100 * len(row.sources) / row.meters_total))


def _doing(row: WallRow, writer: Writer) -> str:
    alarm = row.alarms[0]
    if row.is_group:
        return ""
    if alarm.squad:
        return writer.text("{squad} sent {time}", squad=alarm.squad, time=writer.time(alarm.squad_at))
    if alarm.acknowledged_at is not None:
        return writer.text("since {time}", time=writer.time(alarm.acknowledged_at))
    return ""


def _names(connection: Connection, rows: tuple[WallRow, ...]) -> dict[str, str]:
    wanted = {owner for row in rows for owner in row.owners}
    if not wanted:
        return {}
    return {person.sign_in: person.name for person in offices.people(connection) if person.sign_in in wanted}


def totals(connection: Connection, *, now: datetime) -> WallTotals:
    """Return how many meters and transformers hang on each feeder and transformer, as of a minute ago at most."""
    known = _totals.get(connection.engine)
    if known is not None and timedelta(0) <= now - known[0] < TOTALS_KEPT:
        return known[1]
    hanging = registry.installations(connection, period=Period(start=now, end=now))
    found = WallTotals(
        meters_of_feeder=Counter(place.feeder for place in hanging if place.feeder),
        transformers_of_feeder=Counter(
            transformer.feeder for transformer in registry.transformers(connection) if transformer.feeder
        ),
        meters_of_transformer=Counter(place.transformer for place in hanging if place.transformer),
    )
    _totals[connection.engine] = (now, found)
    return found


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
