"""Reading the files of tariff books."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from bijlighar.tariffs.errors import BrokenBook
from bijlighar.tariffs.model import Book
from bijlighar.tariffs.model import Books as Books
from bijlighar.tariffs.rules import books_of, load_book

MAX_BOOKS = 100


def read_book(*, path: Path) -> Book:
    """
    Return the book in a file.

    :raises BrokenBook: if it cannot be read or is wrong; the message names the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BrokenBook(f"{path} cannot be read: {problem}") from None
    try:
        return load_book(text)
    except BrokenBook as problem:
        raise BrokenBook(f"{path.name}: {problem}") from None


def load_books(paths: Sequence[Path]) -> Books:
    """
    Return the books in files.

    :raises BrokenBook: if one is wrong, or two price the same category on the same day.
    """
    if len(paths) > MAX_BOOKS:
        raise BrokenBook(f"{len(paths)} tariff books are more than {MAX_BOOKS}")
    return books_of([read_book(path=path) for path in sorted(paths)])


def open_books(*, folder: Path) -> Books:
    """
    Return the books in the folder of a home, or the shipped ones where it has none.

    :raises BrokenBook: if one is wrong, or two price the same category on the same day.
    """
    return load_books(sorted(folder.glob("*.toml")) or shipped_books())


def shipped_books() -> tuple[Path, ...]:
    """Return the files of the shipped books, for a home to copy."""
    folder = Path(str(files("bijlighar.tariffs"))) / "books"
    return tuple(sorted(folder.glob("*.toml")))
