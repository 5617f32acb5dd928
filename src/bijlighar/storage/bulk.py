"""
Many rows at once, at the speed of the drivers.

What SQLAlchemy Core spends on each row of an `executemany` is three times what SQLite itself needs, so the few
tables with thousands of rows to a transaction go through here. Rows are tuples in the order of the named columns.
On SQLite they go through `executemany`; on PostgreSQL through COPY, into a temporary table where they may meet
rows that exist. A JSON column is not for here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

from sqlalchemy import Column, Connection, CursorResult, Table
from sqlalchemy.dialects import postgresql

from bijlighar.storage.schema import Moment

Row = tuple[Any, ...]
#: How many keys one SELECT is given.
KEYS_PER_SELECT = 5_000


def insert_columns(connection: Connection, *, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """
    Insert rows that do not exist yet, given by column, their moments by `as_driver`.

    On SQLite a column of one value throughout stands in the statement: handing a value over takes as long as all
    else about it.
    """
    count = len(next(iter(columns.values())))
    if not count:
        return
    if _is_postgresql(connection):
        _copy(connection, table, table.name, list(columns), list(zip(*columns.values(), strict=True)))
        return
    marks = _marks(columns)
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join(marks.values())})"  # noqa: S608
    connection.exec_driver_sql(statement, _told(columns, marks))


def update_columns(
    connection: Connection,
    *,
    table: Table,
    key: str,
    columns: Mapping[str, Sequence[Any]],
    rising: Sequence[str] = (),
) -> None:
    """
    Set columns of the rows of `key`, given by column with the key's among them, their moments by `as_driver`.

    A column that is `rising` keeps what it holds where that is greater.
    """
    if not columns[key]:
        return
    if _is_postgresql(connection):
        rows = list(zip(columns[key], *(columns[name] for name in columns if name != key), strict=True))
        names = [name for name in columns if name != key]
        _update(connection, table, (key,), names, rows, rising)
        return
    ordered = {name: columns[name] for name in (*(name for name in columns if name != key), key)}
    marks = {**_marks(ordered), key: "?"}
    changes = ", ".join(
        f"{name} = max({name}, {mark})" if name in rising else f"{name} = {mark}"
        for name, mark in marks.items()
        if name != key
    )
    statement = f"UPDATE {table.name} SET {changes} WHERE {key} = ?"  # noqa: S608
    connection.exec_driver_sql(statement, _told(ordered, marks))


def _marks(columns: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """Return for each column what stands for it in a statement of SQLite: a mark, or the value it has throughout."""
    marks = {name: _literal(given[0]) if _is_one_literal(given) else "?" for name, given in columns.items()}
    first = next(iter(columns))
    return marks if "?" in marks.values() else {**marks, first: "?"}


def _told(columns: Mapping[str, Sequence[Any]], marks: Mapping[str, str]) -> list[Row]:
    """Return the rows of the columns that do not stand in the statement."""
    return list(zip(*(given for name, given in columns.items() if marks[name] == "?"), strict=True))


def _is_one_literal(values: Sequence[Any]) -> bool:
    """Return whether all values are one that can stand in a statement."""
    first = values[0]
    is_plain = first is None or type(first) is int or (type(first) is str and "\0" not in first)
    return is_plain and values.count(first) == len(values)


def _literal(value: int | str | None) -> str:
    """
    Return a value as it stands in a statement of SQLite.

    >>> _literal(7), _literal("it's"), _literal(None)
    ('7', "'it''s'", 'NULL')
    """
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def insert_rows(connection: Connection, *, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows that do not exist yet."""
    ready = _ready(connection, table, columns, rows)
    if not ready:
        return
    if _is_postgresql(connection):
        _copy(connection, table, table.name, columns, ready)
        return
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own catalogue
    connection.exec_driver_sql(statement, ready)


def upsert_rows(
    connection: Connection,
    *,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Row],
    rising: Sequence[str] = (),
) -> None:
    """
    Insert rows, or replace the named columns of those whose primary key exists.

    A column that is `rising` keeps what it holds where that is greater.
    """
    ready = _ready(connection, table, columns, rows)
    if not ready:
        return
    key = [column.name for column in table.primary_key]
    names = ", ".join(columns)
    greatest = "greatest" if _is_postgresql(connection) else "max"
    changes = ", ".join(
        f"{name} = {greatest}({table.name}.{name}, excluded.{name})"
        if name in rising
        else f"{name} = excluded.{name}"
        for name in columns
        if name not in key
    )
    meeting = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    if _is_postgresql(connection):
        staged = _stage(connection, table, columns, ready)
        statement = f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staged} {meeting}"  # noqa: S608
        connection.exec_driver_sql(statement)
        return
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {meeting}"  # noqa: S608
    connection.exec_driver_sql(statement, ready)


def update_rows(
    connection: Connection,
    *,
    table: Table,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Row],
    rising: Sequence[str] = (),
) -> None:
    """
    Set `columns` of the rows of `key`; each row holds the key first, then the values.

    A column that is `rising` keeps what it holds where that is greater.
    """
    _update(connection, table, key, columns, _ready(connection, table, (*key, *columns), rows), rising)


def _update(
    connection: Connection,
    table: Table,
    key: Sequence[str],
    columns: Sequence[str],
    ready: Sequence[Row],
    rising: Sequence[str],
) -> None:
    """Set columns of rows that are as the driver takes them."""
    if not ready:
        return
    if _is_postgresql(connection):
        staged = _stage(connection, table, (*key, *columns), ready)
        changes = ", ".join(
            f"{name} = greatest(t.{name}, s.{name})" if name in rising else f"{name} = s.{name}"
            for name in columns
        )
        same = " AND ".join(f"t.{name} = s.{name}" for name in key)
        statement = f"UPDATE {table.name} t SET {changes} FROM {staged} s WHERE {same}"  # noqa: S608
        connection.exec_driver_sql(statement)
        return
    changes = ", ".join(f"{name} = max({name}, ?)" if name in rising else f"{name} = ?" for name in columns)
    same = " AND ".join(f"{name} = ?" for name in key)
    turned = [row[len(key) :] + row[: len(key)] for row in ready]
    connection.exec_driver_sql(f"UPDATE {table.name} SET {changes} WHERE {same}", turned)  # noqa: S608


def copy_rows(
    connection: Connection,
    *,
    source: Table,
    target: Table,
    columns: Sequence[str],
    extra: Mapping[str, Any],
    keys: Sequence[Row],
) -> None:
    """Copy `columns` of the rows of `source` with these primary keys into `target`, with `extra` values added."""
    for begin in range(0, len(keys), KEYS_PER_SELECT):
        _copy_some(connection, source, target, columns, extra, keys[begin : begin + KEYS_PER_SELECT])


def _copy_some(
    connection: Connection,
    source: Table,
    target: Table,
    columns: Sequence[str],
    extra: Mapping[str, Any],
    keys: Sequence[Row],
) -> None:
    key = [column.name for column in source.primary_key]
    added = _ready(connection, target, tuple(extra), [tuple(extra.values())])[0]
    names = ", ".join((*columns, *extra))
    wanted = ", ".join(f"t.{name}" for name in columns)
    if _is_postgresql(connection):
        types = [_type_name(source.c[name]) for name in key]
        lists = ", ".join(f"%s::{kind}[]" for kind in types)
        same = " AND ".join(f"t.{name} = k.{name}" for name in key)
        marks = "".join(", %s" for _ in extra)
        statement = (
            f"INSERT INTO {target.name} ({names}) SELECT {wanted}{marks} "  # noqa: S608
            f"FROM unnest({lists}) AS k({', '.join(key)}) JOIN {source.name} t ON {same}"
        )
        connection.exec_driver_sql(statement, (*added, *_lists(keys)))
        return
    marks = "".join(", ?" for _ in extra)
    same, given = _among_keys(connection, source, key, keys)
    statement = (
        f"INSERT INTO {target.name} ({names}) SELECT {wanted}{marks} "  # noqa: S608
        f"FROM json_each(?) k CROSS JOIN {source.name} t WHERE {same}"
    )
    connection.exec_driver_sql(statement, (*added, given))


def fetch_rows(
    connection: Connection, *, table: Table, columns: Sequence[str], keys: Sequence[Row], lock: bool
) -> list[Row]:
    """
    Return `columns` of the rows with these primary keys, in the order of the key.

    With `lock` they are locked to the end of the transaction, in that order, so that two writers never wait for
    each other; SQLite has a single writer anyway.
    """
    found: list[Row] = []
    ordered = sorted(keys)
    for begin in range(0, len(ordered), KEYS_PER_SELECT):
        found.extend(_fetch(connection, table, columns, ordered[begin : begin + KEYS_PER_SELECT], lock=lock))
    return found


def _fetch(
    connection: Connection, table: Table, columns: Sequence[str], keys: Sequence[Row], *, lock: bool
) -> Iterable[Row]:
    key = [column.name for column in table.primary_key]
    wanted = ", ".join(f"t.{name}" for name in columns)
    order = ", ".join(f"t.{name}" for name in key)
    if _is_postgresql(connection):
        lists = ", ".join(f"%s::{_type_name(table.c[name])}[]" for name in key)
        same = " AND ".join(f"t.{name} = k.{name}" for name in key)
        statement = (
            f"SELECT {wanted} FROM unnest({lists}) AS k({', '.join(key)}) JOIN {table.name} t ON {same} "  # noqa: S608
            f"ORDER BY {order}{' FOR UPDATE OF t' if lock else ''}"
        )
        return fetched(connection.exec_driver_sql(statement, tuple(_lists(keys))))
    same, given = _among_keys(connection, table, key, keys)
    statement = f"SELECT {wanted} FROM json_each(?) k CROSS JOIN {table.name} t WHERE {same} ORDER BY {order}"  # noqa: S608
    return fetched(connection.exec_driver_sql(statement, (given,)))


def _among_keys(
    connection: Connection, table: Table, key: Sequence[str], keys: Sequence[Row]
) -> tuple[str, str]:
    """
    Return for SQLite how a row of `t` meets an entry of `json_each(?) k`, and what is given to that function.

    CROSS JOIN with it keeps SQLite's planner from turning the join round: the keys lead, the table is looked up.
    """
    if len(key) == 1:
        return f"t.{key[0]} = k.value", json.dumps([row[0] for row in _ready(connection, table, key, keys)])
    same = " AND ".join(f"t.{name} = json_extract(k.value, '$[{place}]')" for place, name in enumerate(key))
    return same, json.dumps([list(row) for row in _ready(connection, table, key, keys)])


def fetch_between(
    connection: Connection, *, table: Table, columns: Sequence[str], first: int, last: int, lock: bool
) -> list[Row]:
    """Return `columns` of the rows whose primary key, one integer, is `first` to `last`, in its order."""
    (key,) = (column.name for column in table.primary_key)
    is_postgresql = _is_postgresql(connection)
    mark = "%s" if is_postgresql else "?"
    statement = (
        f"SELECT {', '.join(columns)} FROM {table.name} WHERE {key} BETWEEN {mark} AND {mark} "  # noqa: S608
        f"ORDER BY {key}{' FOR UPDATE' if lock and is_postgresql else ''}"
    )
    return fetched(connection.exec_driver_sql(statement, (first, last)))


def as_driver(connection: Connection, moment: datetime) -> Any:  # noqa: ANN401 - the driver's own form
    """Return a moment as the driver takes it: on SQLite text."""
    process = Moment().dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return process(moment) if process else moment


def fetched(result: CursorResult[Any]) -> list[Row]:
    """Return the rows as the driver makes them: tuples, a moment on SQLite as text, without a Row around each."""
    cursor = result.cursor
    rows = list(cursor.fetchall())
    result.close()
    return rows


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _ready(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Return the rows as the driver takes them: on SQLite a moment is text."""
    places = [place for place, name in enumerate(columns) if isinstance(table.c[name].type, Moment)]
    if not places or not rows or _is_postgresql(connection):
        return list(rows)
    process = Moment().dialect_impl(connection.dialect).bind_processor(connection.dialect)
    turned = list(zip(*rows, strict=True))
    for place in places:
        given, written = None, None
        texts = []
        for moment in turned[place]:
            if moment is not given:  # most often one moment stands in all rows
                given, written = moment, process(moment) if process else moment
            texts.append(written)
        turned[place] = tuple(texts)
    return list(zip(*turned, strict=True))


def _lists(keys: Sequence[Row]) -> list[list[Any]]:
    return [list(values) for values in zip(*keys, strict=True)]


def _type_name(column: Column[Any]) -> str:
    name: str = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    return name


def _stage(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Copy the rows into a temporary table of this session and return its name."""
    names = ", ".join(columns)
    staged = f"staged_{table.name}_{crc32(names.encode()):08x}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT DELETE ROWS "  # noqa: S608
        f"AS SELECT {names} FROM {table.name} WITH NO DATA"
    )
    connection.exec_driver_sql(f"TRUNCATE {staged}")
    _copy(connection, table, staged, columns, rows)
    return staged


def _copy(
    connection: Connection, table: Table, into: str, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    driver: Any = connection.connection.driver_connection
    statement = f"COPY {into} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_type_name(table.c[name]).partition("(")[0].lower() for name in columns])
        for row in rows:
            copy.write_row(row)
