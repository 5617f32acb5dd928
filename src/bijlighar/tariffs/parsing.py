"""From the TOML text of a tariff book to its values; a wrong key or value is one clear line."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.base.errors import InvalidValue
from bijlighar.base.money import paise_from_rupees
from bijlighar.base.words import Words
from bijlighar.tariffs.errors import BrokenBook
from bijlighar.tariffs.model import (
    HALF_HOURS_PER_DAY,
    Area,
    BillRounding,
    Book,
    Category,
    DayCount,
    Example,
    Rate,
    Usage,
    Window,
)
from bijlighar.tariffs.scaling import MAX_DECIMALS

Choice = TypeVar("Choice", bound=StrEnum)

#: No rate, limit or percent of a book is larger [paise, units, W, %].
MAX_NUMBER = Decimal(1_000_000_000)
MAX_BOOK_BYTES = 1_000_000
MAX_ITEMS = 500


class Section:
    """A table of the book: reads keys, names the place of what is wrong, and knows which keys nobody asked for."""

    def __init__(self, *, table: object, place: str) -> None:
        self.place = place
        self.table = self._mapping(table)
        self._asked: set[str] = set()

    def _mapping(self, table: object) -> Mapping[str, object]:
        if not isinstance(table, Mapping):
            raise BrokenBook(f"{self.place}: a table is expected here")
        return table

    def wrong(self, text: str) -> BrokenBook:
        """Return the error that says what is wrong at this place."""
        return BrokenBook(f"{self.place}: {text}")

    def has(self, key: str) -> bool:
        """Return whether the key is given."""
        return key in self.table

    def take(self, key: str) -> object:
        """
        Return the value of a key that must be there.

        :raises BrokenBook: if it is absent.
        """
        self._asked.add(key)
        if key not in self.table:
            raise self.wrong(f"{key!r} is missing")
        return self.table[key]

    def finish(self) -> None:
        """
        Refuse keys that nobody asked for.

        :raises BrokenBook: if there is one.
        """
        for key in self.table:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                raise self.wrong(f"unknown key {key!r} (known here: {known})")

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self.take(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f"{key!r} must be a text")
        return value

    def words(self, key: str, default: Words | None = None) -> Words:
        """Return a text in both languages."""
        if default is not None and not self.has(key):
            self._asked.add(key)
            return default
        section = Section(table=self.take(key), place=f"{self.place}, {key}")
        words = Words(hi=section.text("hi"), en=section.text("en"))
        section.finish()
        return words

    def words_or_text(self, key: str) -> Words:
        """Return a text in both languages; one that is given in one language alone stands for both."""
        if isinstance(self.table.get(key), Mapping):
            return self.words(key)
        text = self.text(key)
        return Words(hi=text, en=text)

    def day(self, value: object) -> date:
        """Return a TOML date."""
        if type(value) is not date:
            raise self.wrong(f"{value!r} is not a day; write it like 2026-04-01")
        return value

    def span(self, key: str) -> tuple[date, date]:
        """Return the first and the last day of `[first, last]`."""
        value = self.items(key)
        if len(value) != 2:
            raise self.wrong(f"{key!r} must be [first day, last day]")
        return self.day(value[0]), self.day(value[1])

    def items(self, key: str) -> Sequence[object]:
        """Return an array with at least one and not too many entries."""
        value = self.take(key)
        if not isinstance(value, list) or not value or len(value) > MAX_ITEMS:
            raise self.wrong(f"{key!r} must be a list with 1 to {MAX_ITEMS} entries")
        return value

    def choice(self, key: str, kind: type[Choice], default: Choice | None = None) -> Choice:
        """Return one of the values of `kind`."""
        if default is not None and not self.has(key):
            self._asked.add(key)
            return default
        value = self.take(key)
        try:
            return kind(str(value))
        except ValueError:
            choices = ", ".join(each.value for each in kind)
            raise self.wrong(f"{key!r} is {value!r}, but must be one of {choices}") from None

    def codes(self, key: str) -> tuple[str, ...]:
        """Return a list of line codes."""
        codes = self.items(key)
        if not all(isinstance(code, str) for code in codes):
            raise self.wrong(f"{key!r} must be a list of line codes")
        return tuple(str(code) for code in codes)

    def flag(self, key: str) -> bool | None:
        """Return true or false, None if absent."""
        self._asked.add(key)
        value = self.table.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(f"{key!r} must be true or false")
        return value

    def decimal(self, value: object) -> Decimal:
        """Return an integer or a decimal written as text; a TOML float is refused, because it is not exact."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.wrong(f'{value!r} must be an integer or a decimal in quotes, like "28.5"')
        try:
            exact = Decimal(value)
        except InvalidOperation:
            raise self.wrong(f"{value!r} is not a number") from None
        if not exact.is_finite() or abs(exact) > MAX_NUMBER:
            raise self.wrong(f"{value!r} is too large")
        if -int(exact.normalize().as_tuple().exponent) > MAX_DECIMALS:
            raise self.wrong(f"{value!r} has more than {MAX_DECIMALS} decimals")
        return exact

    def number(self, key: str) -> Decimal:
        """Return the number of a key."""
        return self.decimal(self.take(key))

    def whole(self, key: str, *, least: int = 0, default: int | None = None) -> int:
        """Return an integer of at least `least`."""
        if default is not None and not self.has(key):
            self._asked.add(key)
            return default
        number = self.number(key)
        if number != int(number) or number < least:
            raise self.wrong(f"{key!r} must be an integer of at least {least}")
        return int(number)

    def wh(self, key: str) -> int | None:
        """Return units as Wh, None if absent."""
        self._asked.add(key)
        return self.units_wh(self.table[key]) if self.has(key) else None

    def units_wh(self, value: object) -> int:
        """Return units (kWh) as Wh."""
        energy_wh = self.decimal(value) * WH_PER_UNIT
        if energy_wh != int(energy_wh) or energy_wh < 0:
            raise self.wrong(f"{value!r} units cannot be told in Wh")
        return int(energy_wh)

    def rate(self, value: object) -> Rate:
        """Return a rate: one number, or one for each area."""
        if isinstance(value, Mapping):
            section = Section(table=value, place=self.place)
            rate = Rate(urban=section.number("urban"), rural=section.number("rural"))
            section.finish()
            return rate
        exact = self.decimal(value)
        return Rate(urban=exact, rural=exact)

    def month(self, key: str) -> str:
        """Return a key that is a month, written `YYYY-MM`."""
        try:
            date.fromisoformat(f"{key}-01")
        except ValueError:
            raise self.wrong(f"{key!r} is not a month; write it like 2026-04") from None
        return key


def read_toml(text: str) -> Mapping[str, object]:
    """
    Return the tables of a book's text.

    :raises BrokenBook: if it is no TOML or too large.
    """
    if len(text) > MAX_BOOK_BYTES:
        raise BrokenBook(f"the book is larger than {MAX_BOOK_BYTES} characters")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenBook(f"the book is not valid TOML: {problem}") from None


def parse_book(*, text: str, parse_lines: Callable[[Section], Category]) -> Book:
    """
    Return the book written in `text`; `parse_lines` reads one category.

    :raises BrokenBook: with the place and what is wrong there.
    """
    top = Section(table=read_toml(text), place="book")
    head = Section(table=top.take("book"), place="[book]")
    valid_from, valid_to = head.span("valid")
    book = Book(
        id=head.text("id"),
        name=head.words("name"),
        order=head.words_or_text("order"),
        valid_from=valid_from,
        valid_to=valid_to,
        day_count=head.choice("days", DayCount),
        bill_rounding=head.choice("bill_rounding", BillRounding),
        categories=(),
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )
    head.finish()
    categories = []
    for position, table in enumerate(top.items("category"), start=1):
        code = table.get("code", position) if isinstance(table, Mapping) else position
        section = Section(table=table, place=f"category {code}")
        categories.append(_with_span(section=section, book=book, category=parse_lines(section)))
        section.finish()
    top.finish()
    return replace(book, categories=tuple(categories))


def _with_span(*, section: Section, book: Book, category: Category) -> Category:
    first, last = (book.valid_from, book.valid_to)
    if section.has("valid"):
        first, last = section.span("valid")
    examples = tuple(
        _example(section=each, category=category, first=first) for each in _sections(section, "example")
    )
    return replace(category, valid_from=first, valid_to=last, examples=examples)


def _sections(section: Section, key: str) -> list[Section]:
    return [
        Section(table=table, place=f"{section.place}, {key} {position}")
        for position, table in enumerate(section.items(key), start=1)
    ]


def parse_windows(section: Section) -> tuple[Window, ...]:
    """
    Return the time windows of a category.

    :raises BrokenBook: if they overlap, leave a gap in the day undeclared, or are not at half hours.
    """
    if not section.has("window"):
        return ()
    windows = tuple(_window(each) for each in _sections(section, "window"))
    taken = [half_hour for window in windows for half_hour in window.half_hours]
    if len(taken) != len(set(taken)):
        raise section.wrong("the time windows overlap")
    whole_day = not section.has("windows_cover") or section.text("windows_cover") == "day"
    if section.has("windows_cover") and section.text("windows_cover") not in ("day", "part"):
        raise section.wrong("'windows_cover' must be day or part")
    if whole_day and len(taken) != HALF_HOURS_PER_DAY:
        raise section.wrong('the time windows leave a gap in the 24 hours (or say windows_cover = "part")')
    return windows


def _window(section: Section) -> Window:
    hours = section.items("hours")
    if len(hours) != 2:
        raise section.wrong('\'hours\' must be [from, to], like ["22:00", "06:00"]')
    first, end = (_half_hour(section=section, value=value) for value in hours)
    if first == end:
        raise section.wrong("'hours' must not be empty")
    span = range(first, end if end > first else end + HALF_HOURS_PER_DAY)
    window = Window(
        code=section.text("code"),
        name=section.words("name"),
        half_hours=tuple(half_hour % HALF_HOURS_PER_DAY for half_hour in span),
    )
    section.finish()
    return window


def _half_hour(*, section: Section, value: object) -> int:
    text = value if isinstance(value, str) else ""
    hour, colon, minute = text.partition(":")
    if colon and hour.isdigit() and int(hour) <= 24 and minute in ("00", "30") and len(hour) == 2:
        half_hour = 2 * int(hour) + (minute == "30")
        if half_hour <= HALF_HOURS_PER_DAY:
            return half_hour
    raise section.wrong(f'{value!r} is not a time at a full or half hour, like "06:00"')


def _example(*, section: Section, category: Category, first: date) -> Example:
    windows = {}
    if section.has("windows_units"):
        table = Section(table=section.take("windows_units"), place=section.place)
        windows = {code: table.units_wh(table.take(code)) for code in table.table}
    energy_wh = section.wh("units")
    if energy_wh is None:
        raise section.wrong("'units' is missing")
    usage = Usage(
        category=category.code,
        area=section.choice("area", Area),
        on=section.day(section.take("on")) if section.has("on") else first,
        days=section.whole("days", least=1, default=30),
        month_days=section.whole("month_days", least=28, default=30),
        energy_wh=energy_wh,
        sanctioned_w=section.whole("load_w"),
        smart=section.flag("smart") or False,
        demand_w=section.whole("demand_w") if section.has("demand_w") else None,
        windows_wh=windows,
    )
    table = Section(table=section.take("expect"), place=f"{section.place}, expect")
    expect = {}
    if not table.table:
        raise table.wrong("name at least one line and what it should be")
    for code in table.table:
        try:
            expect[code] = paise_from_rupees(table.text(code))
        except InvalidValue as problem:
            raise table.wrong(str(problem)) from None
    section.finish()
    return Example(usage=usage, expect=expect)
