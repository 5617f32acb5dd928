"""Taking in the loads without a meter from a file, whole or not at all."""

from collections.abc import Iterator
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.balance import flat_rate_store
from bijlighar.balance.errors import RefusedFlatRate
from bijlighar.balance.flat_rate import FlatRate, FlatRateKind
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import parse_day
from bijlighar.base.tables import BrokenTable, CsvRow, csv_rows
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences

COLUMNS = ("code", "transformer", "kind", "low_wh", "likely_wh", "high_wh", "from", "basis")
LOCK = "balance.flat_rate"
#: Beyond this nothing below one transformer draws in a day [Wh].
DAY_MAX_WH = 10**9
LOADS_MAX = 100_000
ISSUES_SHOWN = 20


def import_flat_rates(connection: Connection, *, text: str, now: datetime) -> int:
    """
    Take in loads without a meter from a CSV file and return how many are new or changed; the old versions are kept.

    Columns: code,transformer,kind,low_wh,likely_wh,high_wh,from,basis and optionally to. Energies are whole Wh a day.

    :raises RefusedFlatRate: with line and reason, if a row cannot be; nothing is stored then.
    """
    try:
        rows = csv_rows(text, required=COLUMNS, optional=("to",))
    except BrokenTable as problem:
        raise RefusedFlatRate(str(problem)) from None
    if len(rows) > LOADS_MAX:
        raise RefusedFlatRate(f"more than {LOADS_MAX} rows; divide the file")
    transformers = {plate.code for plate in registry.transformers(connection)}
    loads: dict[str, FlatRate] = {}
    issues: list[str] = []
    for row in rows:
        try:
            load = _load(row)
        except InvalidValue as problem:
            issues.append(f"line {row.line}: {problem}")
            continue
        if load.transformer not in transformers:
            issues.append(f"line {row.line}: no transformer has the code {load.transformer!r}")
        if load.code in loads:
            issues.append(f"line {row.line}: {load.code} stands on an earlier line too; leave one")
        loads[load.code] = load
    if issues:
        more = len(issues) - ISSUES_SHOWN
        told = "; ".join(issues[:ISSUES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise RefusedFlatRate(f"nothing was stored: {told}")
    sequences.take(connection, name=LOCK, count=0)
    newest = {load.code: (load, version) for load, version, _ in flat_rate_store.versions(connection)}
    changed = [
        (load, newest[load.code][1] + 1 if load.code in newest else 1)
        for load in loads.values()
        if load.code not in newest or newest[load.code][0] != load
    ]
    flat_rate_store.add_versions(connection, rows=changed, now=now)
    return len(changed)


def flat_rates(connection: Connection) -> tuple[FlatRate, ...]:
    """Return the loads without a meter as they are assessed now, by code."""
    newest = {load.code: load for load, _, _ in flat_rate_store.versions(connection)}
    return tuple(newest[code] for code in sorted(newest))


def _load(row: CsvRow) -> FlatRate:
    code = check_text(row["code"], what="the code", letters_max=CODE_MAX)
    if not code:
        raise InvalidValue("the code is empty")
    kinds = [kind.value for kind in FlatRateKind]
    if row["kind"] not in kinds:
        raise InvalidValue(f"{row['kind']!r} is no kind; use one of {', '.join(kinds)}")
    low, likely, high = _energies(row)
    if not low <= likely <= high:
        raise InvalidValue("low_wh, likely_wh and high_wh must rise")
    first, last = parse_day(row["from"]), _day(row["to"])
    if last is not None and last < first:
        raise InvalidValue(f"it ends on {last}, before it begins")
    basis = check_text(row["basis"], what="the basis", letters_max=NOTE_MAX)
    if not basis:
        raise InvalidValue("the basis is empty; write how the energy was reckoned")
    return FlatRate(
        code=code,
        transformer=row["transformer"],
        kind=FlatRateKind(row["kind"]),
        low_wh=low,
        likely_wh=likely,
        high_wh=high,
        basis=basis,
        first=first,
        last=last,
    )


def _energies(row: CsvRow) -> Iterator[int]:
    for column in ("low_wh", "likely_wh", "high_wh"):
        cell = row[column]
        if not (cell.isascii() and cell.isdigit() and len(cell) <= 10 and int(cell) <= DAY_MAX_WH):
            raise InvalidValue(f"{column} is {cell!r}, no whole number of Wh from 0 to {DAY_MAX_WH}")
        yield int(cell)


def _day(cell: str) -> date | None:
    return parse_day(cell) if cell else None
