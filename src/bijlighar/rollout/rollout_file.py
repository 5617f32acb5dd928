"""The plan's file and the supplier's list: CSV text into values, every wrong cell named by line and column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from bijlighar.base.adapters import Adapter, adapted_rows, load_adapter
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import Month
from bijlighar.base.tables import BrokenTable, CsvRow, csv_rows
from bijlighar.headend.queries import MeterFactKind
from bijlighar.headend.rules import read_fact
from bijlighar.registry.model import DEFAULT_MINUTES, MINUTES, MeterType
from bijlighar.registry.rules import SERIAL_MAX, url_key
from bijlighar.rollout.errors import RefusedPlan, RefusedStock
from bijlighar.rollout.model import Target
from bijlighar.rollout.rules import METERS_MAX

PLAN_COLUMNS = ("office", "month", "meters")
STOCK_COLUMNS = ("serial", "meter_type", "store", "box")
#: What a supplier may say of a meter itself; it is kept as a claim until the meter has said the same.
FACT_COLUMNS = tuple(kind.value for kind in MeterFactKind if kind is not MeterFactKind.ADDRESS)
STOCK_OPTIONAL_COLUMNS = ("url", "minutes", "multiplier", "gateway", *FACT_COLUMNS)
CODE_MAX = 64
MULTIPLIER_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow:
    """A meter of a supplier's list; `facts` is what the list says of the meter itself."""

    line: int
    serial: str
    meter_type: MeterType
    store: str
    box: str
    url: str | None
    minutes: int
    multiplier: int
    gateway: str | None
    facts: Mapping[MeterFactKind, str]


def parse_plan(text: str) -> tuple[Target, ...]:
    """
    Return the targets of a plan file with the columns office, month (YYYY-MM), meters.

    :raises RefusedPlan: if a row cannot be understood, or an office's month stands there twice.
    """
    targets: dict[tuple[str, Month], Target] = {}
    try:
        for row in csv_rows(text, required=PLAN_COLUMNS):
            target = Target(
                office=_needed(row, "office"),
                month=Month.parse(row["month"]),
                meters=_whole(row, "meters", minimum=0, maximum=METERS_MAX),
            )
            if (target.office, target.month) in targets:
                again = f"{target.office} has {target.month} on an earlier line too; leave one"
                raise BrokenTable(f"line {row.line}, column month: {again}")
            targets[target.office, target.month] = target
    except BrokenTable as problem:
        raise RefusedPlan(f"nothing was stored: {problem}") from None
    except InvalidValue as problem:
        raise RefusedPlan(f"nothing was stored: line {row.line}, column month: {problem}") from None
    return tuple(targets.values())


def parse_stock(text: str) -> tuple[StockRow, ...]:
    """
    Return the meters of a supplier's list.

    :raises RefusedStock: if a row cannot be understood, or a serial number stands there twice.
    """
    try:
        return _stock_rows(csv_rows(text, required=STOCK_COLUMNS, optional=STOCK_OPTIONAL_COLUMNS))
    except BrokenTable as problem:
        raise RefusedStock(f"nothing was stored: {problem}") from None


def shipped_stock_adapters() -> dict[str, str]:
    """Return the texts of the adapters for shipment files that are shipped with the package, by name."""
    folder = resources.files("bijlighar.rollout") / "adapters"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def stock_adapter(text: str, *, name: str) -> Adapter:
    """
    Return the adapter for shipment files written in `text`.

    :raises BrokenAdapter: if it cannot be used.
    """
    fields = frozenset((*STOCK_COLUMNS, *STOCK_OPTIONAL_COLUMNS))
    return load_adapter(text, name=name, holds="stock", fields=fields)


def parse_vendor_stock(octets: bytes, *, adapter: Adapter, file: str) -> tuple[StockRow, ...]:
    """
    Return the meters of a vendor's shipment file; `file` names it in messages.

    :raises RefusedStock: if it is not as its adapter says, or a meter cannot be meant.
    """
    try:
        return _stock_rows(adapted_rows(octets, adapter=adapter))
    except BrokenTable as problem:
        raise RefusedStock(f"nothing was stored: {file}: {problem}") from None


def _stock_rows(rows: Sequence[CsvRow]) -> tuple[StockRow, ...]:
    found: dict[str, StockRow] = {}
    for row in rows:
        item = _stock_row(row)
        if item.serial in found:
            first = found[item.serial].line
            raise BrokenTable(
                f"line {row.line}, column serial: {item.serial} stands on line {first} too; a serial comes once"
            )
        found[item.serial] = item
    return tuple(found.values())


def _stock_row(row: CsvRow) -> StockRow:
    kind = row["meter_type"].lower()
    if kind not in tuple(MeterType):
        raise BrokenTable(
            f"line {row.line}, column meter_type: {row['meter_type']!r} is unknown; use one of {', '.join(MeterType)}"
        )
    minutes = (
        _whole(row, "minutes", minimum=min(MINUTES), maximum=max(MINUTES))
        if row["minutes"]
        else DEFAULT_MINUTES
    )
    if minutes not in MINUTES:
        raise BrokenTable(f"line {row.line}, column minutes: {minutes} is not 15 or 30; correct it")
    if row["url"]:
        try:
            url_key(row["url"])
        except InvalidValue as problem:
            raise BrokenTable(f"line {row.line}, column url: {problem}") from None
    if len(row["box"]) > CODE_MAX:
        raise BrokenTable(f"line {row.line}, column box: give at most {CODE_MAX} letters")
    return StockRow(
        line=row.line,
        serial=_needed(row, "serial", length_max=SERIAL_MAX),
        meter_type=MeterType(kind),
        store=_needed(row, "store"),
        box=row["box"],
        url=row["url"] or None,
        minutes=int(minutes),
        multiplier=_whole(row, "multiplier", minimum=1, maximum=MULTIPLIER_MAX) if row["multiplier"] else 1,
        gateway=row["gateway"] or None,
        facts=_facts(row),
    )


def _facts(row: CsvRow) -> dict[MeterFactKind, str]:
    found: dict[MeterFactKind, str] = {}
    for column in FACT_COLUMNS:
        if row[column]:
            kind = MeterFactKind(column)
            try:
                found[kind] = read_fact(kind, row[column])
            except InvalidValue as problem:
                raise BrokenTable(f"line {row.line}, column {column}: {problem}; correct it") from None
    if row["url"]:
        found[MeterFactKind.ADDRESS] = row["url"]
    return found


def _needed(row: CsvRow, column: str, *, length_max: int = CODE_MAX) -> str:
    cell = row[column]
    if not cell or len(cell) > length_max:
        raise BrokenTable(f"line {row.line}, column {column}: give 1 to {length_max} letters")
    return cell


def _whole(row: CsvRow, column: str, *, minimum: int, maximum: int) -> int:
    cell = row[column]
    if not cell.isascii() or not cell.isdigit() or not minimum <= int(cell) <= maximum:
        raise BrokenTable(
            f"line {row.line}, column {column}: {cell!r} is no whole number from {minimum} to {maximum}; correct it"
        )
    return int(cell)
