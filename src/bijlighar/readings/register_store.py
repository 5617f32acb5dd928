"""Register snapshots and their history: SQL, private to this room."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from typing import Any

import numpy as np
from sqlalchemy import Column, Connection, Index, Integer, Row, String, Table, bindparam, func, select

from bijlighar.base.period import Period
from bijlighar.readings.model import ABSENT, Integers, Origin, RegisterKind, RegisterSnapshot
from bijlighar.storage import bulk
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import among

METERS_PER_SELECT = 5_000
#: Up to so many moments are asked one after the other, each by its index; more lie together by meter.
MOMENTS_APART = 8
#: Fewer meters than these are looked up by meter, all moments in one statement.
METERS_APART = 100
_VALUES = ("wh_import", "vah_import", "wh_export", "md_w")
_COLUMNS = ("meter", "kind", "at", "version", "origin", "recorded_at", *_VALUES)


def _columns() -> tuple[Column[Any], ...]:
    values = tuple(Column(name, Whole) for name in _VALUES)
    return (
        Column("origin", String(8), nullable=False),
        Column("recorded_at", Moment, nullable=False),
        *values,
    )


register_table = Table(
    "readings_register",
    metadata,
    Column("meter", String(32), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("version", Integer, nullable=False),
    *_columns(),
)
# It holds all that the judgement of a day asks of a midnight.
Index(
    "ix_readings_register_midnight",
    *(register_table.c[name] for name in ("at", "meter", "wh_import", "wh_export")),
)

history_table = append_only(
    Table(
        "readings_register_history",
        metadata,
        Column("meter", String(32), primary_key=True),
        Column("kind", String(8), primary_key=True),
        Column("at", Moment, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        *_columns(),
        Column("replaced_at", Moment, nullable=False),
    )
)

Key = tuple[str, RegisterKind, datetime]


def merge_registers(
    connection: Connection, *, snapshots: Sequence[RegisterSnapshot], now: datetime
) -> list[RegisterSnapshot]:
    """Store what is new or different, the earlier snapshot going to the history, and return it."""
    written: list[RegisterSnapshot] = []
    for round_ in _rounds(snapshots):
        known = load_registers(connection, keys=list(round_))
        fresh, changed = [], []
        for key, snapshot in round_.items():
            earlier = known.get(key)
            if earlier is None:
                fresh.append(_row(snapshot, 1, now))
                written.append(snapshot)
                continue
            whole = merged(earlier[1], snapshot)
            if whole != replace(earlier[1], origin=whole.origin):
                changed.append(_row(whole, earlier[0] + 1, now))
                written.append(whole)
        keys = [(row[0], row[1], row[2]) for row in changed]
        bulk.copy_rows(
            connection,
            source=register_table,
            target=history_table,
            columns=_COLUMNS,
            extra={"replaced_at": now},
            keys=keys,
        )
        bulk.insert_rows(connection, table=register_table, columns=_COLUMNS, rows=fresh)
        bulk.upsert_rows(
            connection, table=register_table, columns=_COLUMNS, rows=changed, rising=("recorded_at",)
        )
    return written


def select_registers(
    connection: Connection, *, meters: Sequence[str] | None, kind: RegisterKind | None, period: Period | None
) -> list[RegisterSnapshot]:
    """Return snapshots by meter and time; the end of `period` is included, for it closes the last day."""
    statement = select(register_table).order_by(register_table.c.meter, register_table.c.at)
    if kind is not None:
        statement = statement.where(register_table.c.kind == kind.value)
    if period is not None:
        statement = statement.where(register_table.c.at >= period.start, register_table.c.at <= period.end)
    if meters is None:
        return [_snapshot(row) for row in connection.execute(statement)]
    found: list[RegisterSnapshot] = []
    wanted = sorted(set(meters))
    for begin in range(0, len(wanted), METERS_PER_SELECT):
        some = statement.where(
            among(connection, register_table.c.meter, wanted[begin : begin + METERS_PER_SELECT])
        )
        found.extend(_snapshot(row) for row in connection.execute(some))
    return found


def select_registers_as_of(
    connection: Connection, *, meters: Sequence[str], period: Period, moment: datetime
) -> list[RegisterSnapshot]:
    """Return the snapshots of `period` by meter and time as they were known at `moment`; its end is included."""
    found: dict[Key, tuple[int, RegisterSnapshot]] = {}
    wanted = sorted(set(meters))
    for table in (register_table, history_table):
        base = select(table).where(
            table.c.at >= period.start, table.c.at <= period.end, table.c.recorded_at <= moment
        )
        for begin in range(0, len(wanted), METERS_PER_SELECT):
            some = base.where(among(connection, table.c.meter, wanted[begin : begin + METERS_PER_SELECT]))
            for row in connection.execute(some):
                key = (row.meter, RegisterKind(row.kind), row.at)
                if key not in found or found[key][0] < row.version:
                    found[key] = (row.version, _snapshot(row))
    return [found[key][1] for key in sorted(found, key=lambda key: (key[0], key[2], key[1].value))]


def select_midnights(
    connection: Connection, *, meters: Sequence[str], moments: Sequence[datetime], is_most: bool = False
) -> Iterator[tuple[int, Integers]]:
    """
    Yield for each of the moments at which anything is stored its place, and (place of the meter, import, export).

    What is not known is `ABSENT`; a meter may have several rows, for it may be read on several occasions at once.
    Where the meters are `is_most` of all, a moment is read as it lies; else each meter is looked up.
    """
    if len(moments) > MOMENTS_APART or len(meters) < METERS_APART:
        yield from _select_spans(connection, meters, moments)
    elif is_most:
        yield from _select_whole(connection, meters, moments)
    else:
        yield from _select_each(connection, meters, moments)


def _select_whole(
    connection: Connection, meters: Sequence[str], moments: Sequence[datetime]
) -> Iterator[tuple[int, Integers]]:
    rows_of = {meter: row for row, meter in enumerate(meters)}
    table = register_table.c
    known = [func.coalesce(column, ABSENT) for column in (table.wh_import, table.wh_export)]
    statement = select(table.meter, *known).where(table.at == bindparam("moment"))
    for place, moment in enumerate(moments):
        found = bulk.fetched(connection.execute(statement, {"moment": moment}))
        if not found:
            continue
        names, imported, exported = zip(*found, strict=True)
        rows = np.empty((len(found), 3), dtype=np.int64)
        rows[:, 0] = np.fromiter(map(rows_of.get, names, repeat(-1)), dtype=np.int64, count=len(names))
        rows[:, 1], rows[:, 2] = imported, exported
        yield place, rows[rows[:, 0] >= 0]


def _select_each(
    connection: Connection, meters: Sequence[str], moments: Sequence[datetime]
) -> Iterator[tuple[int, Integers]]:
    known = ", ".join(f"coalesce(t.{name}, {ABSENT})" for name in ("wh_import", "wh_export"))
    if connection.dialect.name == "postgresql":
        keys = "unnest(%s::text[]) WITH ORDINALITY AS k(value, place)"
        statement = f"SELECT k.place - 1, {known} FROM {keys}, {register_table.name} t WHERE t.at = %s"  # noqa: S608
    else:
        keys = "json_each(?) k CROSS JOIN"  # the meters lead, the table is looked up
        statement = f"SELECT k.key, {known} FROM {keys} {register_table.name} t WHERE t.at = ?"  # noqa: S608
    statement += " AND t.meter = k.value"
    given = list(meters) if connection.dialect.name == "postgresql" else json.dumps(meters)
    for place, moment in enumerate(moments):
        values = (given, bulk.as_driver(connection, moment))
        rows = bulk.fetched(connection.exec_driver_sql(statement, values))
        if rows:
            yield place, np.array(rows, dtype=np.int64)


def _select_spans(
    connection: Connection, meters: Sequence[str], moments: Sequence[datetime]
) -> Iterator[tuple[int, Integers]]:
    """Yield the same of a long run of moments, meter by meter."""
    table = register_table.c
    kinds = [kind.value for kind in RegisterKind]  # all of them, so that the key leads to the moment
    base = select(table.meter, table.at, table.wh_import, table.wh_export).where(
        table.kind.in_(kinds), table.at.between(moments[0], moments[-1])
    )
    places = {moment: place for place, moment in enumerate(moments)}
    rows_of = {meter: row for row, meter in enumerate(meters)}
    found: dict[int, list[tuple[int, int, int]]] = {}
    for begin in range(0, len(meters), METERS_PER_SELECT):
        some = base.where(among(connection, table.meter, meters[begin : begin + METERS_PER_SELECT]))
        for meter, at, imported, exported in connection.execute(some):
            if at in places:
                found.setdefault(places[at], []).append((rows_of[meter], _known(imported), _known(exported)))
    for place, rows in found.items():
        yield place, np.array(rows, dtype=np.int64)


def _known(register: int | None) -> int:
    return ABSENT if register is None else register


def _rounds(snapshots: Sequence[RegisterSnapshot]) -> Iterator[dict[Key, RegisterSnapshot]]:
    """Yield the snapshots in rounds in which no key occurs twice."""
    rounds: list[dict[Key, RegisterSnapshot]] = []
    turns: dict[Key, int] = {}
    for snapshot in snapshots:
        key = (snapshot.meter, snapshot.kind, snapshot.at)
        turn = turns.get(key, 0)
        turns[key] = turn + 1
        if turn == len(rounds):
            rounds.append({})
        rounds[turn][key] = snapshot
    yield from rounds


def load_registers(connection: Connection, *, keys: Sequence[Key]) -> dict[Key, tuple[int, RegisterSnapshot]]:
    """Return version and snapshot of the keys that are stored, and of others of these meters between them; locked."""
    known: dict[Key, tuple[int, RegisterSnapshot]] = {}
    meters = sorted({key[0] for key in keys})
    for begin in range(0, len(meters), METERS_PER_SELECT):
        some = set(meters[begin : begin + METERS_PER_SELECT])
        moments = [key[2] for key in keys if key[0] in some]
        statement = select(register_table).where(
            among(connection, register_table.c.meter, some),
            register_table.c.at.between(min(moments), max(moments)),
        )
        for row in connection.execute(statement.with_for_update()):
            known[row.meter, RegisterKind(row.kind), row.at] = (row.version, _snapshot(row))
    return known


def merged(earlier: RegisterSnapshot, later: RegisterSnapshot) -> RegisterSnapshot:
    """Return the later snapshot with what only the earlier one knows."""
    kept = {name: getattr(earlier, name) for name in _VALUES if getattr(later, name) is None}
    return replace(later, **kept)


def _row(snapshot: RegisterSnapshot, version: int, now: datetime) -> bulk.Row:
    values = tuple(getattr(snapshot, name) for name in _VALUES)
    return (snapshot.meter, snapshot.kind.value, snapshot.at, version, snapshot.origin.value, now, *values)


def _snapshot(row: Row[Any]) -> RegisterSnapshot:
    return RegisterSnapshot(
        meter=row.meter,
        at=row.at,
        kind=RegisterKind(row.kind),
        wh_import=row.wh_import,
        vah_import=row.vah_import,
        wh_export=row.wh_export,
        md_w=row.md_w,
        origin=Origin(row.origin),
    )
