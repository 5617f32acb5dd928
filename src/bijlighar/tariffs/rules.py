"""What other rooms may ask of tariffs: load a book, price one account or many, explain, count by time of day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from bijlighar.base.money import rupees
from bijlighar.tariffs.bounds import vector_wh_max
from bijlighar.tariffs.errors import BrokenBook, NoTariff, TariffError, UnpriceableUsage
from bijlighar.tariffs.explaining import explain
from bijlighar.tariffs.lines import parse_category
from bijlighar.tariffs.model import HALF_HOURS_PER_DAY, Book, Books, Category, Example
from bijlighar.tariffs.parsing import parse_book
from bijlighar.tariffs.scalar import price
from bijlighar.tariffs.vector import NO_DEMAND, PricedMany, UsageMany, price_many

__all__ = [
    "NO_DEMAND",
    "BrokenBook",
    "NoTariff",
    "PricedMany",
    "TariffError",
    "UnpriceableUsage",
    "UsageMany",
    "books_of",
    "example_problem",
    "explain",
    "load_book",
    "price",
    "price_many",
    "windows_wh",
]

#: A book whose rates would overflow int64 below this use [Wh a month] is refused: its rates must be wrong.
MIN_VECTOR_WH = 1_000_000
_ONE_DAY = timedelta(days=1)


def load_book(text: str) -> Book:
    """
    Return the book written in `text`, checked, its worked examples recomputed.

    :raises BrokenBook: with one line that names the place in the book and what is wrong there.
    """
    book = parse_book(text=text, parse_lines=parse_category)
    book = replace(book, categories=tuple(_bounded(category) for category in book.categories))
    _check_days(book)
    for category in book.categories:
        for position, example in enumerate(category.examples, start=1):
            problem = example_problem(book=book, example=example)
            if problem is not None:
                raise BrokenBook(f"category {category.code}, example {position}: {problem}")
    return book


def books_of(books: Sequence[Book]) -> Books:
    """
    Return the books together.

    :raises BrokenBook: if two of them price the same category on the same day.
    """
    spans: list[tuple[str, Category]] = []
    for book in books:
        for category in book.categories:
            for other_id, other in spans:
                same = other.code == category.code and other_id != book.id
                if same and category.valid_from <= other.valid_to and other.valid_from <= category.valid_to:
                    raise BrokenBook(
                        f"{book.id} and {other_id} both have {category.code} from {category.valid_from}"
                    )
            spans.append((book.id, category))
    if len({book.id for book in books}) != len(books):
        raise BrokenBook("two tariff books have the same id")
    return Books(books=tuple(books))


def example_problem(*, book: Book, example: Example) -> str | None:
    """Return what is wrong with a worked example, None if the book reproduces it to the paisa."""
    try:
        priced = price(book=book, usage=example.usage)
    except TariffError as problem:
        return str(problem)
    got = {"NET": priced.net_paise, "TOTAL": priced.total_paise}
    known = {line.code for line in book.category(code=example.usage.category, on=example.usage.on).lines}
    for code, expected in example.expect.items():
        if code not in got and code not in known:
            return f"there is no line {code}"
        amount = got.get(code, priced.amount_paise(code))
        if amount != expected:
            return f"{code} should be {rupees(expected)}, but the book gives {rupees(amount)}"
    return None


def windows_wh(*, category: Category, half_hours_wh: Sequence[int]) -> dict[str, int]:
    """
    Return the energy by time window [Wh] of energy by half hour of the IST day (48 sums over the period).

    :raises ValueError: if there are not 48 sums.
    """
    if len(half_hours_wh) != HALF_HOURS_PER_DAY:
        raise ValueError(f"{len(half_hours_wh)} half hours are not a day")
    return {
        window.code: sum(int(half_hours_wh[half_hour]) for half_hour in window.half_hours)
        for window in category.windows
    }


def _bounded(category: Category) -> Category:
    largest = vector_wh_max(category.lines)
    if largest < MIN_VECTOR_WH:
        raise BrokenBook(
            f"category {category.code}: the rates are so large that even {MIN_VECTOR_WH // 1000} units overflow"
        )
    return replace(category, vector_wh_max=largest)


def _check_days(book: Book) -> None:
    if book.valid_to < book.valid_from:
        raise BrokenBook("[book]: 'valid' ends before it begins")
    if book.valid_from.day != 1 or (book.valid_to + _ONE_DAY).day != 1:
        raise BrokenBook("[book]: 'valid' must be whole months; a change inside a month is not priced")
    codes = dict.fromkeys(category.code for category in book.categories)
    for code in codes:
        _check_run(book=book, categories=[each for each in book.categories if each.code == code])


def _check_run(*, book: Book, categories: Sequence[Category]) -> None:
    """Refuse days of one category that do not follow each other from the book's first to its last."""
    expected = book.valid_from
    for category in sorted(categories, key=lambda each: each.valid_from):
        place = f"category {category.code}"
        if category.valid_to < category.valid_from:
            raise BrokenBook(f"{place}: 'valid' ends before it begins")
        if category.valid_from > expected:
            raise BrokenBook(f"{place}: there is a gap in the days before {category.valid_from}")
        if category.valid_from < expected:
            raise BrokenBook(f"{place}: the days overlap, or lie outside the book, at {category.valid_from}")
        if category.valid_from.day != 1:
            raise BrokenBook(f"{place}: 'valid' must be whole months")
        expected = category.valid_to + _ONE_DAY
    if expected != book.valid_to + _ONE_DAY:
        code = categories[0].code
        raise BrokenBook(
            f"category {code}: the days end on {expected - _ONE_DAY}, the book's on {book.valid_to}"
        )
