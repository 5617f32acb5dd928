"""The PDF of a bill, set by typst from plain data; the same bill gives the same octets."""

import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import typst

from bijlighar.base.period import Month, epoch_seconds, local_midnight
from bijlighar.base.words import Language
from bijlighar.billing.document import document
from bijlighar.billing.errors import BrokenTypesetting
from bijlighar.billing.model import Bill, Payee

PIXELS_PER_INCH = 144
_FOLDER = "bills"


def render(
    *,
    bill: Bill,
    history: Sequence[tuple[Month, int, int]],
    language: Language,
    payee: Payee,
    form: Literal["pdf", "png"] = "pdf",
) -> bytes:
    """
    Return a bill as PDF, or as a picture.

    :raises BrokenTypesetting: if it could not be set.
    """
    printed = document(bill=bill, history=history, language=language, payee=payee)
    try:
        made = _compiler().compile(
            sys_inputs={"bill": printed},
            format=form,
            ppi=PIXELS_PER_INCH,
            timestamp=epoch_seconds(local_midnight(bill.issued_on)),
        )
    except (RuntimeError, ValueError, TypeError) as problem:
        raise BrokenTypesetting(f"the PDF of {bill.number} could not be made: {problem}") from None
    if not isinstance(made, bytes):
        raise BrokenTypesetting(f"the PDF of {bill.number} has more than one page")
    return made


def pdf_path(*, bill: Bill, language: Language, documents: Path) -> Path:
    """Return where a bill's PDF is kept, whether it was made or not."""
    return documents / _FOLDER / str(bill.month) / f"{bill.number}-{language}.pdf"


def stored_pdf(
    *,
    bill: Bill,
    history: Sequence[tuple[Month, int, int]],
    language: Language,
    documents: Path,
    payee: Payee,
) -> Path:
    """
    Return the file of a bill's PDF, made if it is not there; it is there whole or not at all.

    :raises BrokenTypesetting: if it could not be set.
    """
    file = pdf_path(bill=bill, language=language, documents=documents)
    if file.is_file():
        return file
    made = render(bill=bill, history=history, language=language, payee=payee)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with temporary.open("wb") as output:
        output.write(made)
        output.flush()
        os.fsync(output.fileno())
    temporary.replace(file)
    return file


@cache
def _compiler() -> typst.Compiler:
    """Return the compiler, which keeps the fonts and the parsed template."""
    room = Path(str(files("bijlighar.billing")))
    return typst.Compiler(
        input=str(room / "bill.typ"),
        root=str(room),
        font_paths=[str(room / "fonts")],
        ignore_system_fonts=True,
    )
