"""
The numbers of the meters that readings are stored of, and between which days: SQL, private to this room.

A number is given once and never changed, so a process holds what it has read of them.
"""

from collections.abc import Mapping, Sequence
from itertools import repeat
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    Transaction,
    bindparam,
    or_,
    select,
    update,
)

from bijlighar.readings.errors import TooManyMeters
from bijlighar.readings.model import Days, Integers
from bijlighar.readings.numbering import NUMBER_MAX
from bijlighar.storage import bulk
from bijlighar.storage.schema import metadata
from bijlighar.storage.sql import among, greater, lesser

METERS_PER_SELECT = 5_000

# first_day, last_day: between which days anything was ever measured, None if nothing was.
meter_table = Table(
    "readings_meter",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("meter", String(32), nullable=False, unique=True),
    Column("first_day", Integer),
    Column("last_day", Integer),
)
_NEWER = (
    select(meter_table.c.number, meter_table.c.meter)
    .where(meter_table.c.number >= bindparam("last"))
    .order_by(meter_table.c.number)
)


class _Held:
    """Numbers that are committed: by meter, and the last one given."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.last = 0
        self.last_meter = ""


#: What each opened database's table said last.
_held: WeakKeyDictionary[Engine, _Held] = WeakKeyDictionary()
#: Transactions that gave numbers: what they read may never be committed, and is not held.
_giving: WeakSet[Transaction] = WeakSet()


def known_numbers(connection: Connection) -> Mapping[str, int]:
    """Return the number of every meter that has one, by serial number."""
    held = _held.setdefault(connection.engine, _Held())
    newer = bulk.fetched(connection.execute(_NEWER, {"last": held.last}))
    if held.last and (not newer or newer[0] != (held.last, held.last_meter)):  # another database is there now
        held = _held[connection.engine] = _Held()
        newer = bulk.fetched(connection.execute(_NEWER, {"last": 0}))
    fresh = {meter: number for number, meter in newer if number > held.last}
    if not fresh:
        return held.numbers
    if connection.get_transaction() in _giving:
        return {**held.numbers, **fresh}
    held.numbers = {**held.numbers, **fresh}
    held.last, held.last_meter = newer[-1]
    return held.numbers


def give_numbers(connection: Connection, *, meters: Sequence[str]) -> Mapping[str, int]:
    """
    Return the number of every meter that has one, after these have been given one that have none.

    The caller has the turn of the single writer of readings.

    :raises TooManyMeters: if there is no number left.
    """
    known = known_numbers(connection)
    fresh = sorted({meter for meter in meters if meter not in known})
    if not fresh:
        return known
    last = max(known.values(), default=0)
    if last + len(fresh) > NUMBER_MAX:
        raise TooManyMeters(f"readings of {last} meters are stored; there is no room for {len(fresh)} more")
    transaction = connection.get_transaction()
    if transaction is not None:
        _giving.add(transaction)
    given = {meter: last + place for place, meter in enumerate(fresh, start=1)}
    rows = [(number, meter) for meter, number in given.items()]
    bulk.insert_rows(connection, table=meter_table, columns=("number", "meter"), rows=rows)
    return {**known, **given}


def array_of(numbers: Mapping[str, int], meters: Sequence[str]) -> Integers:
    """Return the number of each meter, 0 where it has none."""
    return np.fromiter(map(numbers.get, meters, repeat(0)), dtype=np.int64, count=len(meters))


def note_measured(connection: Connection, *, numbers: Integers, days: Days) -> None:
    """Note that something was measured of these meters on these days."""
    table = meter_table.c
    for day in np.unique(days).tolist():
        own = np.unique(numbers[days == day])
        least, greatest = lesser(connection, table.first_day, day), greater(connection, table.last_day, day)
        statement = (
            update(meter_table)
            .where(
                table.number.between(int(own[0]), int(own[-1]))
                if own[-1] - own[0] == len(own) - 1
                else among(connection, table.number, own.tolist()),
                or_(table.last_day.is_(None), table.last_day < day, table.first_day > day),
            )
            .values(first_day=least, last_day=greatest)
        )
        connection.execute(statement)


def select_edges(connection: Connection, *, meters: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return (meter, first day, last day) of the days of which anything was measured."""
    found: list[tuple[str, int, int]] = []
    table = meter_table.c
    base = select(table.meter, table.first_day, table.last_day).where(table.first_day.is_not(None))
    for begin in range(0, len(meters), METERS_PER_SELECT):
        some = base.where(among(connection, table.meter, meters[begin : begin + METERS_PER_SELECT]))
        found.extend(bulk.fetched(connection.execute(some)))
    return found
