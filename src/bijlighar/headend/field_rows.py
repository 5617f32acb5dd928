"""The rows of a profile as the command line shows them: values scaled to their units, times in IST."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bijlighar.base.period import IST
from bijlighar.dlms import axdr, clock, is15959
from bijlighar.dlms.cosem import CaptureObject
from bijlighar.dlms.errors import DlmsError
from bijlighar.dlms.is15959_columns import column_of
from bijlighar.dlms.is15959_events import event_words
from bijlighar.dlms.obis import Obis
from bijlighar.headend.errors import GarbledAnswer, UnexpectedLayout
from bijlighar.headend.layout import LayoutColumn
from bijlighar.headend.quirks import NO_QUIRK, Quirk

CLOCK_CODES = ("0.0.1.0.0.255", "0.0.0.1.2.255")
EVENT_CODES = "0.0.96.11."
TIME_OCTETS = 12

Cell = int | float | str | None
Part = tuple[tuple[LayoutColumn, ...], int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownColumn:
    """A column that is shown."""

    obis: str
    attribute: int
    name: str
    unit: str

    @property
    def key(self) -> str:
        """Return the key of the column in a row: its OBIS code, with the attribute where that is not 2."""
        return self.obis if self.attribute == 2 else f"{self.obis}/{self.attribute}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """A row: its time, None if it has none, and the cells by the keys of the columns."""

    time: datetime | None
    cells: Mapping[str, Cell]

    @property
    def time_text(self) -> str | None:
        """Return the time in IST with its offset."""
        return time_text(self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAnswer:
    """A profile of a meter; `quirk` names the quirk files that it was read by, empty for none."""

    profile: str
    serial: str
    columns: tuple[ShownColumn, ...]
    rows: tuple[ShownRow, ...]
    quirk: str = ""

    def document(self) -> dict[str, object]:
        """Return the answer as a JSON object; times carry the offset of IST."""
        return {
            "profile": self.profile,
            "serial": self.serial,
            **({"quirk": self.quirk} if self.quirk else {}),
            "columns": [
                {"obis": column.obis, "attribute": column.attribute, "name": column.name, "unit": column.unit}
                for column in self.columns
            ],
            "rows": [{"time": row.time_text, **row.cells} for row in self.rows],
        }


def profile_answer(
    *,
    profile: str,
    serial: str,
    parts: Sequence[Part],
    start: datetime | None,
    end: datetime | None,
    quirk: Quirk = NO_QUIRK,
    read_by: str = "",
) -> ProfileAnswer:
    """
    Return the rows of buffers with start <= time < end, by time; several buffers are the event logs.

    :raises UnexpectedLayout: if rows have other columns than the meter tells.
    :raises GarbledAnswer: if a buffer is no array of rows.
    :raises RemoteProtocolError: if a buffer is no A-XDR.
    """
    columns: dict[str, ShownColumn] = {}
    rows: list[ShownRow] = []
    for layout, period_s, buffer in parts:
        for column in layout:
            if column.obis not in CLOCK_CODES:
                shown = _shown_column(column)
                columns.setdefault(shown.key, shown)
        rows += _rows(layout, period_s, buffer, serial=serial, quirk=quirk)
    kept = [row for row in rows if row.time is None or _lies_in(row.time, start, end)]
    if len(parts) > 1:
        kept.sort(key=lambda row: (row.time is None, row.time))
    empty: dict[str, Cell] = dict.fromkeys(columns)
    return ProfileAnswer(
        profile=profile,
        serial=serial,
        columns=tuple(columns.values()),
        rows=tuple(ShownRow(time=row.time, cells={**empty, **row.cells}) for row in kept),
        quirk=read_by,
    )


def time_text(moment: datetime | None) -> str | None:
    """
    Return a moment in IST with its offset.

    >>> from datetime import UTC
    >>> time_text(datetime(2025, 4, 1, tzinfo=UTC))
    '2025-04-01T05:30:00+05:30'
    """
    return None if moment is None else moment.astimezone(IST).isoformat()


def plain_value(value: axdr.Value) -> object:
    """Return a COSEM value as JSON can hold it: octets in hex, a time of 12 octets as text of IST."""
    match value:
        case bytes():
            return _time(value) or value.hex()
        case axdr.BitString():
            return f"{int.from_bytes(value.octets, 'big'):0{8 * len(value.octets)}b}"[: value.bits]
        case list() | tuple():
            return [plain_value(item) for item in value]
        case _:
            return value


def _rows(
    layout: Sequence[LayoutColumn], period_s: int, buffer: bytes, *, serial: str, quirk: Quirk
) -> list[ShownRow]:
    table = axdr.decode(buffer)
    if not isinstance(table, list):
        raise GarbledAnswer(f"meter {serial} answers with a profile that is no array of rows; read it again")
    rows: list[ShownRow] = []
    above: tuple[axdr.Value, ...] = ()
    for row in table:
        if not isinstance(row, tuple) or len(row) != len(layout):
            raise UnexpectedLayout("a row of the profile has other columns than the meter tells")
        whole = (
            tuple(cell if cell is not None else up for cell, up in zip(row, above, strict=True))
            if above
            else row
        )
        rows.append(_row(layout, whole, period_s, rows[-1].time if rows else None, row, quirk))
        above = whole
    return rows


def _row(
    layout: Sequence[LayoutColumn],
    row: tuple[axdr.Value, ...],
    period_s: int,
    time_above: datetime | None,
    as_sent: tuple[axdr.Value, ...],
    quirk: Quirk,
) -> ShownRow:
    time: datetime | None = None
    cells: dict[str, Cell] = {}
    for column, cell, sent in zip(layout, row, as_sent, strict=True):
        if column.obis in CLOCK_CODES:
            if sent is None and time_above is not None:
                time = time_above + timedelta(seconds=period_s)
            elif isinstance(cell, bytes) and len(cell) == TIME_OCTETS:
                stamp = clock.decode(cell)
                ahead_s = 0 if quirk.of_profile("block-load").is_stamped_at_start else period_s
                time = None if stamp is None else stamp - timedelta(seconds=ahead_s)
            continue
        cells[_shown_column(column).key] = _cell(column, cell)
        if column.obis.startswith(EVENT_CODES) and isinstance(cell, int):
            cells["event"] = event_words(quirk.code(cell)).en
    return ShownRow(time=time, cells=cells)


def _cell(column: LayoutColumn, cell: axdr.Value) -> Cell:
    match cell:
        case bool():
            return int(cell)
        case int():
            scaled: int | float = is15959.scale(cell, column.scaler)
            return scaled
        case float() | str() | None:
            return cell
        case bytes():
            return _time(cell) if len(cell) == TIME_OCTETS else cell.decode("ascii", errors="replace")
        case _:
            return str(plain_value(cell))


def _time(octets: bytes) -> str | None:
    if len(octets) != TIME_OCTETS:
        return None
    try:
        return time_text(clock.decode(octets))
    except DlmsError:
        return None


def _shown_column(column: LayoutColumn) -> ShownColumn:
    capture = CaptureObject(
        class_id=column.class_id, obis=Obis.parse(column.obis), attribute=column.attribute
    )
    known = column_of(capture)
    return ShownColumn(
        obis=column.obis,
        attribute=column.attribute,
        name=known.name if known else column.obis,
        unit=is15959.UNITS.get(column.unit, ""),
    )


def _lies_in(time: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or start <= time) and (end is None or time < end)
