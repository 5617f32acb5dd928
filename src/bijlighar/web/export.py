"""Tables as CSV that a spreadsheet opens rightly and that carries no formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal

from litestar import Response

from bijlighar.base.text import spreadsheet_text

BYTE_ORDER_MARK = "\ufeff"


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
    return spreadsheet_text(value) if isinstance(value, str) else value


def plain_rupees(amount_paise: int | None) -> Decimal | None:
    """
    Return a sum of money in rupees, as spreadsheets read it; None for none.

    >>> plain_rupees(384126050), plain_rupees(-5)
    (Decimal('3841260.50'), Decimal('-0.05'))
    """
    return None if amount_paise is None else Decimal(amount_paise).scaleb(-2)


def plain_kwh(energy_wh: int | None) -> Decimal | None:
    """
    Return an energy in kWh, as spreadsheets read it; None for none.

    >>> plain_kwh(1234567)
    Decimal('1234.567')
    """
    return None if energy_wh is None else Decimal(energy_wh).scaleb(-3)
