"""Seals of months, and what came late for them: SQL, private to this room."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    SmallInteger,
    String,
    Table,
    Text,
    bindparam,
    func,
    select,
    update,
)

from bijlighar.readings.model import Origin, RegisterKind, RegisterSnapshot
from bijlighar.readings.numbering import day_of, days_between, meter_day_of, minutes_of
from bijlighar.readings.seals import SHUT, MonthSeal, SealState
from bijlighar.readings.store import day_table, history_table
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata

#: A held row is told by its meter's own name.
_NO_METER = np.zeros(1, dtype=np.int64)
ROWS_AT_ONCE = 5_000

seal_table = Table(
    "readings_seal",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("office", String(64), nullable=False),
    Column("is_company", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("meter_days", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("sealed_by", String(64), nullable=False),
    Column("sealed_at", Moment, nullable=False),
    Column("note", Text, nullable=False),
    Column("asked_by", String(64)),
    Column("asked_at", Moment),
    Column("asked_note", Text, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", Moment),
    Column("decision_note", Text, nullable=False),
    Index(None, "state", "first"),
)

# Each row holds what of one delivery was new or different, beside what stood and what had come late before.
late_table = append_only(
    Table(
        "readings_late_day",
        metadata,
        Column("seal", Whole, primary_key=True, autoincrement=False),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("meter", String(32), primary_key=True),
        Column("minutes", SmallInteger, primary_key=True, autoincrement=False),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("origin", String(8), nullable=False),
        Column("recorded_at", Moment, nullable=False),
        Column("codes", Whole, nullable=False),
        Column("measured", LargeBinary),
    )
)

_REGISTERS = ("wh_import", "vah_import", "wh_export", "md_w")
late_register_table = append_only(
    Table(
        "readings_late_register",
        metadata,
        Column("number", Whole, primary_key=True, autoincrement=True),
        Column("seal", Whole, nullable=False),
        Column("meter", String(32), nullable=False),
        Column("kind", String(8), nullable=False),
        Column("at", Moment, nullable=False),
        Column("origin", String(8), nullable=False),
        Column("recorded_at", Moment, nullable=False),
        *(Column(name, Whole) for name in _REGISTERS),
        Index(None, "seal", "meter"),
    )
)

#: Every delivery asks this; it is built once.
_SHUT: Select[Any] = (
    select(seal_table)
    .where(
        seal_table.c.state.in_([state.value for state in SHUT]),
        seal_table.c.first <= bindparam("until"),
        seal_table.c.last >= bindparam("since"),
    )
    .order_by(seal_table.c.number)
)


def select_shut(connection: Connection, *, first: int, last: int) -> tuple[MonthSeal, ...]:
    """Return the seals that hold on any of the days `first` to `last`, in their order."""
    return tuple(_seal(row) for row in connection.execute(_SHUT, {"since": first, "until": last}))


def insert_seal(connection: Connection, *, seal: MonthSeal) -> int:
    """Write a new seal and return its number; the one it is given does not count."""
    found = connection.execute(seal_table.insert().values(_values(seal)).returning(seal_table.c.number))
    return int(found.scalar_one())


def change_seal(connection: Connection, *, seal: MonthSeal) -> None:
    """Write the step of a seal; what was sealed stays as it is."""
    steps = ("state", "revision", "asked_by", "asked_at", "asked_note", "decided_by", "decided_at")
    values = {name: value for name, value in _values(seal).items() if name in (*steps, "decision_note")}
    connection.execute(update(seal_table).where(seal_table.c.number == seal.number).values(values))


def select_seal(connection: Connection, *, number: int, is_to_change: bool = False) -> MonthSeal | None:
    """Return a seal, locked until the transaction ends if it is to change; None if there is none."""
    statement = select(seal_table).where(seal_table.c.number == number)
    if is_to_change:
        statement = statement.with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _seal(row)


def select_seals(
    connection: Connection, *, states: Sequence[SealState], offices: Sequence[str] | None, limit: int
) -> tuple[MonthSeal, ...]:
    """Return some seals, the newest month first; `offices` of None is the whole company."""
    statement = select(seal_table).where(seal_table.c.state.in_([state.value for state in states]))
    if offices is not None:
        statement = statement.where(seal_table.c.office.in_(offices))
    statement = statement.order_by(seal_table.c.first.desc(), seal_table.c.number.desc()).limit(limit)
    return tuple(_seal(row) for row in connection.execute(statement))


def meter_day_keys(
    connection: Connection, *, first: int, last: int
) -> Iterator[tuple[int, str, int, int, bool]]:
    """Yield day, meter, minutes, version and whether it is validated, of the rows of some days, in that order."""
    table = day_table.c
    day, minutes = day_of(table.meter_day), minutes_of(table.meter_day)
    statement = (
        select(day, table.meter, minutes, table.version, table.validated_at)
        .where(table.meter_day.between(*days_between(first, last)))
        .order_by(day, table.meter, minutes)
    )
    for row in connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE)):
        yield (row[0], row[1], row[2], row[3], row[4] is not None)


def count_versions(connection: Connection, *, first: int, last: int) -> tuple[int, int]:
    """Return how many meter-days and how many earlier versions of them are stored on some days."""
    counts = [
        connection.execute(
            select(func.count())
            .select_from(table)
            .where(table.c.meter_day.between(*days_between(first, last)))
        ).scalar_one()
        for table in (day_table, history_table)
    ]
    return (counts[0], counts[1])


def insert_late(connection: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Write what came late; each row is of the columns of `late_table`."""
    connection.execute(late_table.insert(), list(rows))


def select_late(
    connection: Connection,
    *,
    seals: Sequence[int],
    minutes: int | None = None,
    meters: Sequence[str] | None = None,
) -> list[Row[Any]]:
    """Return the held rows of some seals by meter, day, interval length and version."""
    table = late_table.c
    statement = select(late_table).where(table.seal.in_(seals))
    if minutes is not None:
        statement = statement.where(table.minutes == minutes)
    if meters is not None:
        statement = statement.where(table.meter.in_(meters))
    return list(connection.execute(statement.order_by(table.meter, table.day, table.minutes, table.version)))


def late_meters(connection: Connection, *, seal: int) -> tuple[str, ...]:
    """Return the meters of which anything came late for a sealed month, in their order."""
    found: set[str] = set()
    for table in (late_table, late_register_table):
        statement = select(table.c.meter).where(table.c.seal == seal).distinct()
        found.update(connection.execute(statement).scalars())
    return tuple(sorted(found))


def late_counts(connection: Connection, *, seals: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return for each seal how many meter-days and how many registers came late for it."""
    counts = {seal: (0, 0) for seal in seals}
    days = select(late_table.c.seal, func.count()).where(late_table.c.version == 1)
    for seal, count in connection.execute(
        days.where(late_table.c.seal.in_(seals)).group_by(late_table.c.seal)
    ):
        counts[seal] = (count, 0)
    held = late_register_table.c.seal
    for seal, count in connection.execute(select(held, func.count()).where(held.in_(seals)).group_by(held)):
        counts[seal] = (counts[seal][0], count)
    return counts


def insert_late_registers(connection: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Write registers that came late; each row is of the columns of `late_register_table`."""
    connection.execute(late_register_table.insert(), list(rows))


def select_late_registers(
    connection: Connection, *, seals: Sequence[int], meters: Sequence[str]
) -> list[tuple[int, RegisterSnapshot, Any]]:
    """Return seal, snapshot and when it came of the registers held of some meters, in that order."""
    table = late_register_table.c
    statement = (
        select(late_register_table)
        .where(table.seal.in_(seals), table.meter.in_(meters))
        .order_by(table.number)
    )
    return [
        (
            row.seal,
            RegisterSnapshot(
                meter=row.meter,
                at=row.at,
                kind=RegisterKind(row.kind),
                wh_import=row.wh_import,
                vah_import=row.vah_import,
                wh_export=row.wh_export,
                md_w=row.md_w,
                origin=Origin(row.origin),
            ),
            row.recorded_at,
        )
        for row in connection.execute(statement)
    ]


def late_register_row(snapshot: RegisterSnapshot, *, seal: int, now: object) -> dict[str, Any]:
    """Return a snapshot as a row of `late_register_table`."""
    values = {name: getattr(snapshot, name) for name in _REGISTERS}
    return {
        "seal": seal,
        "meter": snapshot.meter,
        "kind": snapshot.kind.value,
        "at": snapshot.at,
        "origin": snapshot.origin.value,
        "recorded_at": now,
    } | values


def packed_row(row: Row[Any]) -> tuple[Any, ...]:
    """Return a held row as `packing.unpacked` takes it."""
    day = meter_day_of(days=[row.day], numbers=_NO_METER, minutes=row.minutes).item()
    return (day, row.meter, row.version, None, row.codes, row.measured, None, None)


def _values(seal: MonthSeal) -> dict[str, Any]:
    names = [column.name for column in seal_table.columns if column.name not in ("number", "state")]
    return {name: getattr(seal, name) for name in names} | {"state": seal.state.value}


def _seal(row: Row[Any]) -> MonthSeal:
    return MonthSeal(**{**row._mapping, "state": SealState(row.state)})  # noqa: SLF001 - SQLAlchemy's own name
