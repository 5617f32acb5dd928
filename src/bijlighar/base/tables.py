"""A table in a CSV file: rows that know their line, so that a wrong cell can be named."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bijlighar.base.errors import BijligharError

CSV_ROWS_MAX = 2_000_000
CSV_CELL_MAX = 2_000


class BrokenTable(BijligharError):
    """The text of a file is no table of the columns asked for; the message names line and column."""

    code = "base.broken-table"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRow:
    """A row of a CSV file: its line in the file and its cells by column, stripped; an absent column is empty."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """Return the cell of `column`, empty if the file has no such column."""
        return self.cells.get(column, "")


def csv_rows(
    text: str, *, required: Sequence[str], optional: Sequence[str] = (), delimiter: str = ","
) -> tuple[CsvRow, ...]:
    r"""
    Return the rows of a CSV file with a header line; blank lines are passed over.

    >>> csv_rows("code,level\nMHOW,division\n", required=("code", "level"))[0]["code"]
    'MHOW'

    :raises BrokenTable: if a column is missing, unknown or twice there, or a line has too many or few cells.
    """
    reader = csv.reader(
        (f"{line}\n" for line in text.removeprefix("\ufeff").split("\n")), strict=True, delimiter=delimiter
    )
    rows: list[CsvRow] = []
    try:
        header = _header(next(reader, []), required=required, optional=optional)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise BrokenTable(
                    f"line {reader.line_num}: {len(cells)} cells where the header has {len(header)}; "
                    "check commas and quotation marks"
                )
            for column, cell in zip(header, cells, strict=True):
                if len(cell) > CSV_CELL_MAX or "\x00" in cell:
                    raise BrokenTable(
                        f"line {reader.line_num}, column {column}: not a text of a registry; shorten it"
                    )
            stripped = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
            rows.append(CsvRow(line=reader.line_num, cells=stripped))
            if len(rows) > CSV_ROWS_MAX:
                raise BrokenTable(f"more than {CSV_ROWS_MAX} rows; split the file")
    except csv.Error as problem:
        raise BrokenTable(f"line {reader.line_num}: {problem}; check commas and quotation marks") from None
    return tuple(rows)


def _header(cells: Sequence[str], *, required: Sequence[str], optional: Sequence[str]) -> tuple[str, ...]:
    header = tuple(cell.strip().lower() for cell in cells)
    if not any(header):
        raise BrokenTable(f"line 1: no header; the columns are {','.join((*required, *optional))}")
    missing = [column for column in required if column not in header]
    if missing:
        raise BrokenTable(f"line 1: column {missing[0]} is missing; the columns are {','.join(required)}")
    for column in header:
        if column not in required and column not in optional:
            known = ",".join((*required, *optional))
            raise BrokenTable(f"line 1: column {column or '(empty)'} is unknown; the columns are {known}")
        if header.count(column) > 1:
            raise BrokenTable(f"line 1: column {column} is there twice; leave one")
    return header
