"""The shipped books."""

import pytest

from bijlighar.tariffs.model import Book
from bijlighar.tariffs.operations import read_book, shipped_books


@pytest.fixture(scope="session")
def book_2025() -> Book:
    return read_book(path=shipped_books()[0])


@pytest.fixture(scope="session")
def book_2026() -> Book:
    return read_book(path=shipped_books()[1])
