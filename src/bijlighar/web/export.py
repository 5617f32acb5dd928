"""Tables as CSV that a spreadsheet opens rightly and that carries no formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from litestar import Response

BYTE_ORDER_MARK = "\ufeff"
#: A cell that begins with one of these is a formula to a spreadsheet.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def csv_response(name: str, *, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response[bytes]:
    """Answer with a CSV file named `name`; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return Response(
        (BYTE_ORDER_MARK + text.getvalue()).encode(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _cell(value: object) -> object:
    """
    Return a value as a cell.

    >>> _cell("=1+1"), _cell(-5), _cell(None)
    ("'=1+1", -5, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return f"'{value}"
    return value
