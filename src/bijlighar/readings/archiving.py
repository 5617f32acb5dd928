"""
Removing the intervals of an old sealed month, after every version of them was written to files and read back.

Two Parquet files: the intervals as they are known, for whoever reads them, and every version as it is packed, so that
nothing is lost. Registers, events, findings and what came late stay. Nothing here happens by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, select

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.period import Month
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.readings import seal_store, sealing
from bijlighar.readings.errors import CannotRemove, MissingExtra
from bijlighar.readings.exporting import Progress, Wish, write_parquet
from bijlighar.readings.numbering import day_of, days_between, minutes_of
from bijlighar.readings.sealed import removable
from bijlighar.readings.seals import SEAL_STEPS, MonthSeal, SealEvent
from bijlighar.readings.store import day_table, history_table
from bijlighar.storage.append_only import lifted

ROWS_PER_BATCH = 20_000


def write_archive(
    connection: Connection,
    *,
    month: Month,
    keep_months: int,
    intervals: Path,
    versions: Path,
    progress: Progress,
    now: datetime,
) -> tuple[int, int]:
    """
    Write the two files of a month, read them back, and return how many intervals and versions they hold.

    :raises CannotRemove: if the month is not one of those of `removable`, or a file does not hold what is stored.
    :raises MissingExtra: if pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    seal = _removable_seal(connection, month=month, keep_months=keep_months, now=now)
    wish = Wish(first=seal.first, last=seal.last)
    with intervals.open("wb") as file:
        count = write_parquet(connection, file=file, wish=wish, progress=progress)
    if parquet.ParquetFile(intervals).metadata.num_rows != count:
        raise CannotRemove(f"{intervals.name} does not hold the {count} intervals that were written to it")
    schema = _schema(arrow)
    written = 0
    with parquet.ParquetWriter(versions, schema, compression="zstd") as writer:
        for batch in _batches(connection, seal):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            written += len(batch)
    stored = (row for batch in _batches(connection, seal) for row in batch)
    read = 0
    for group in parquet.ParquetFile(versions).iter_batches(batch_size=ROWS_PER_BATCH):
        for row in group.to_pylist():
            if row != next(stored, None):
                raise CannotRemove(f"{versions.name} does not hold what is stored; nothing is removed")
            read += 1
    if read != written or next(stored, None) is not None:
        raise CannotRemove(f"{versions.name} holds {read} of {written} versions; nothing is removed")
    return count, written


def remove_intervals(
    connection: Connection,
    *,
    month: Month,
    keep_months: int,
    archived: int,
    files: Sequence[str],
    person: str,
    now: datetime,
) -> MonthSeal:
    """
    Remove the intervals of a month and their history; its seal says so from then on.

    `archived` is how many versions `write_archive` wrote and read back; as many must be stored.

    :raises NotPermitted: if the person may not remove readings.
    :raises CannotRemove: if the month is not one of those of `removable`, or is not what was sealed or archived.
    """
    seal = _removable_seal(connection, month=month, keep_months=keep_months, now=now)
    who = offices.authorise(connection, sign_in=person, act=Act.REMOVE_READINGS, office=seal.office).sign_in
    locked = sealing.seal_in_sight(connection, number=seal.number, person=person, is_to_change=True)
    if not sealing.check_seal(connection, number=seal.number, person=person).is_unchanged:
        raise CannotRemove(f"{month} is not what was sealed; nothing is removed, look for the reason first")
    if sum(seal_store.count_versions(connection, first=seal.first, last=seal.last)) != archived:
        raise CannotRemove(f"{month} is not what was archived; nothing is removed")
    try:
        state = next_state(SEAL_STEPS, locked.state, SealEvent.REMOVE)
    except IllegalStep:
        raise CannotRemove(f"the opening of {month} is asked for; that is to be decided first") from None
    for table in (day_table, history_table):
        with lifted(connection, table=table):
            within = table.c.meter_day.between(*days_between(seal.first, seal.last))
            connection.execute(table.delete().where(within))
    removed = replace(locked, state=state, revision=locked.revision + 1)
    seal_store.change_seal(connection, seal=removed)
    note = f"{archived} versions in {', '.join(files)}"
    sealing.record_step(
        connection, removed, act=Act.REMOVE_READINGS, event="remove", person=who, note=note, now=now
    )
    return removed


def _removable_seal(connection: Connection, *, month: Month, keep_months: int, now: datetime) -> MonthSeal:
    for each in removable(connection, keep_months=keep_months, now=now):
        if each.seal.month == month:
            return each.seal
    if keep_months <= 0:
        raise CannotRemove("the setting retention.interval_months is 0: everything is kept")
    raise CannotRemove(
        f"the intervals of {month} are not to be removed: they are once the whole company's month is sealed, nobody "
        f"asks for its opening, and it is over for more than {keep_months} months"
    )


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns]


#: Every column of both tables, and what `meter_day` says. A current row has no `replaced_at` and no `lean`, an
#: earlier version no `sequence`.
_NAMES = ("day", "minutes", *dict.fromkeys([*_columns(day_table), *_columns(history_table)]))


def _batches(connection: Connection, seal: MonthSeal) -> Iterator[list[dict[str, Any]]]:
    """Yield every version of the meter-days of a sealed month as it is packed, day by day."""
    for day in range(seal.first, seal.last + 1):
        rows: list[dict[str, Any]] = []
        for table in (day_table, history_table):
            statement = select(
                day_of(table.c.meter_day).label("day"), minutes_of(table.c.meter_day).label("minutes"), table
            ).where(table.c.meter_day.between(*days_between(day, day)))
            ordered = statement.order_by(table.c.meter_day, table.c.version)
            rows.extend(
                {name: found.get(name) for name in _NAMES} for found in connection.execute(ordered).mappings()
            )
        if rows:
            yield rows


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("Parquet needs the extra `parquet`: pip install 'bijlighar[parquet]'") from None
    return arrow, parquet


def _schema(arrow: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    kinds = {
        "meter": arrow.string(),
        "origin": arrow.string(),
        "lean": arrow.bool_(),
        "recorded_at": arrow.timestamp("us", tz="UTC"),
        "validated_at": arrow.timestamp("us", tz="UTC"),
        "replaced_at": arrow.timestamp("us", tz="UTC"),
        **dict.fromkeys(
            ("day", "minutes", "meter_day", "version", "sequence", "missing", "estimated", "codes"),
            arrow.int64(),
        ),
    }
    return arrow.schema([(name, kinds.get(name, arrow.binary())) for name in _NAMES])
