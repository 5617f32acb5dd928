"""A broken book does not load, and one line says what is wrong where."""

from datetime import date
from pathlib import Path

import pytest

from bijlighar.tariffs.errors import BrokenBook
from bijlighar.tariffs.model import Book
from bijlighar.tariffs.operations import load_books, read_book, shipped_books
from bijlighar.tariffs.rules import books_of, load_book, windows_wh

GOOD = """
[book]
id = "B"
name = { hi = "दर", en = "Tariff" }
order = "order 1"
valid = [2025-04-01, 2026-03-31]
days = "actual/30"
bill_rounding = "half_up_paisa"
[[category]]
code = "C"
name = { hi = "घरेलू", en = "Domestic" }
[[category.window]]
code = "NIGHT"
name = { hi = "रात", en = "Night" }
hours = ["22:00", "06:00"]
[[category.window]]
code = "DAY"
name = { hi = "दिन", en = "Day" }
hours = ["06:00", "22:00"]
[[category.line]]
code = "ENERGY"
kind = "slab"
mode = "telescopic"
name = { hi = "ऊर्जा", en = "Energy" }
table = [[100, 500], ["rest", "650.5"]]
[[category.line]]
code = "PEAK"
kind = "percent"
percent = 10
of = ["ENERGY"]
share = "NIGHT"
name = { hi = "रात", en = "Night" }
why = { hi = "{steps}", en = "night: {steps} of {of}" }
[[category.example]]
area = "urban"
load_w = 1000
units = 150
windows_units = { NIGHT = 75 }
expect = { ENERGY = "825.25", PEAK = "41.26", NET = "866.51" }
"""

BREAKS = [
    ('id = "B"', "", "[book]: 'id' is missing"),
    ('order = "order 1"', 'order = "order 1"\ncolour = "red"', "[book]: unknown key 'colour' (known here: "),
    (
        'mode = "telescopic"',
        'mode = "steep"',
        "line ENERGY: 'mode' is 'steep', but must be one of telescopic, whole",
    ),
    ('kind = "slab"', 'kind = "spline"', "line ENERGY: 'kind' is 'spline', but must be one of slab, flat"),
    ('["rest", "650.5"]', "[300, 650]", "the last slab must be open"),
    ("[100, 500]", '["rest", 500]', 'only the last slab may be "rest"'),
    ("[100, 500]", "[100, 500], [100, 510]", "the limits in 'table' must rise"),
    ("[100, 500]", "[100, 5.5]", "5.5 must be an integer or a decimal in quotes"),
    ("[100, 500]", "[100, -5]", "a slab's rate cannot be negative"),
    ('"650.5"', '"650.12345"', "more than 4 decimals"),
    ('"650.5"', '"1e30"', "is too large"),
    ('"650.5"', '"dear"', "is not a number"),
    ('"650.5"', "{ urban = 1 }", "'rural' is missing"),
    ('of = ["ENERGY"]', 'of = ["WATER"]', "line PEAK is of WATER, but there is no such line"),
    ('of = ["ENERGY"]', 'of = ["PEAK"]', "the lines PEAK are of each other in a circle"),
    ('code = "PEAK"', 'code = "ENERGY"', "two lines have the code ENERGY"),
    ('code = "PEAK"', 'code = "NET"', "'code' must be a word in capitals"),
    ('share = "NIGHT"', 'share = "NOON"', "a time window NOON that is not there"),
    ('hours = ["06:00", "22:00"]', 'hours = ["06:00", "21:00"]', "leave a gap in the 24 hours"),
    ('hours = ["06:00", "22:00"]', 'hours = ["05:30", "22:00"]', "the time windows overlap"),
    (
        'hours = ["06:00", "22:00"]',
        'hours = ["06:10", "22:00"]',
        "'06:10' is not a time at a full or half hour",
    ),
    ("night: {steps}", "night: {secret}", "'why' names {secret}"),
    ("night: {steps}", "night: {steps.real}", "'why' names {steps.real}"),
    ("night: {steps}", "night: {steps", "'why' has a wrong brace"),
    ("valid = [2025-04-01, 2026-03-31]", "valid = [2025-04-15, 2026-03-31]", "'valid' must be whole months"),
    ("valid = [2025-04-01, 2026-03-31]", "valid = [2026-04-01, 2025-03-31]", "'valid' ends before it begins"),
    ("valid = [2025-04-01, 2026-03-31]", 'valid = ["2025-04-01", "x"]', "is not a day"),
    (
        'code = "C"',
        'code = "C"\nvalid = [2025-05-01, 2026-03-31]',
        "category C: there is a gap in the days before 2025-05-01",
    ),
    (
        'code = "C"',
        'code = "C"\nvalid = [2025-04-01, 2026-02-28]',
        "the days end on 2026-02-28, the book's on 2026-03-31",
    ),
    (
        'code = "C"',
        'code = "C"\nvalid = [2025-03-01, 2026-03-31]',
        "the days overlap, or lie outside the book",
    ),
    (
        'ENERGY = "825.25"',
        'ENERGY = "825.26"',
        "example 1: ENERGY should be ₹825.26, but the book gives ₹825.25",
    ),
    ('ENERGY = "825.25"', 'WATER = "1.00"', "example 1: there is no line WATER"),
    ('ENERGY = "825.25"', "ENERGY = 825", "'ENERGY' must be a text"),
    ('ENERGY = "825.25"', 'ENERGY = "825.255"', "more than two decimals"),
    (
        'expect = { ENERGY = "825.25", PEAK = "41.26", NET = "866.51" }',
        "expect = {}",
        "name at least one line",
    ),
    ("units = 150", "units = 150\nlitres = 3", "example 1: unknown key 'litres'"),
    ("NIGHT = 75", "NIGHT = 175", "the time windows hold more energy than was used"),
    (
        "percent = 10",
        'percent = 10\ntable = [["rest", 1]]',
        "exactly one of 'percent', 'table' and 'monthly'",
    ),
    ("[book]", "[book", "the book is not valid TOML"),
    ("[[category.example]]", "[[category.examples]]", "'example' is missing"),
]


class TestLoadBook:
    def test_loads_a_right_book(self) -> None:
        book = load_book(GOOD)

        assert [line.code for line in book.categories[0].lines] == ["ENERGY", "PEAK"]
        assert len(book.digest) == 64

    @pytest.mark.parametrize(("old", "new", "message"), BREAKS)
    def test_refuses_a_broken_book_with_one_clear_line(self, old: str, new: str, message: str) -> None:
        assert old in GOOD

        with pytest.raises(BrokenBook) as refused:
            load_book(GOOD.replace(old, new, 1))

        assert message in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_refuses_rates_that_overflow_even_a_small_use(self) -> None:
        steep = GOOD.replace("percent = 10", "percent = 999999999").replace('"650.5"', '"900000000.1234"')

        with pytest.raises(BrokenBook, match="even 1000 units overflow"):
            load_book(steep)

    def test_puts_lines_after_those_they_are_of(self) -> None:
        head, _, tail = GOOD.partition("[[category.line]]")
        energy, _, rest = tail.partition("[[category.line]]")
        peak, mark, example = rest.partition("[[category.example]]")
        turned = f"{head}[[category.line]]{peak}[[category.line]]{energy}{mark}{example}"

        assert [line.code for line in load_book(turned).categories[0].lines] == ["ENERGY", "PEAK"]

    def test_gives_another_digest_to_another_text(self) -> None:
        assert load_book(GOOD).digest != load_book(GOOD + "\n").digest


class TestBooksOf:
    def test_refuses_two_books_for_the_same_category_and_day(self) -> None:
        other = GOOD.replace('id = "B"', 'id = "B2"')

        with pytest.raises(BrokenBook, match="B2 and B both have C from 2025-04-01"):
            books_of([load_book(GOOD), load_book(other)])

    def test_refuses_two_books_with_the_same_id(self) -> None:
        other = GOOD.replace('code = "C"', 'code = "D"')

        with pytest.raises(BrokenBook, match="two tariff books have the same id"):
            books_of([load_book(GOOD), load_book(other)])


class TestWindowsWh:
    def test_sums_the_half_hours_of_each_window_over_midnight(self) -> None:
        category = load_book(GOOD).category(code="C", on=date(2025, 4, 1))

        windows = windows_wh(category=category, half_hours_wh=[1] * 12 + [10] * 32 + [100] * 4)

        assert windows == {"NIGHT": 412, "DAY": 320}

    def test_refuses_a_day_that_is_not_one(self, book_2025: Book) -> None:
        with pytest.raises(ValueError, match="47 half hours are not a day"):
            windows_wh(category=book_2025.categories[0], half_hours_wh=[0] * 47)


class TestReadBook:
    def test_names_the_file_that_is_wrong(self, tmp_path: Path) -> None:
        file = tmp_path / "own.toml"
        file.write_text(GOOD.replace('id = "B"', ""), encoding="utf-8")

        with pytest.raises(BrokenBook, match=r"^own.toml: \[book\]: 'id' is missing$"):
            read_book(path=file)

    def test_says_that_a_file_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenBook, match="cannot be read"):
            read_book(path=tmp_path / "absent.toml")

    def test_says_that_a_file_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "own.toml").write_bytes(b"\xff\xfe")

        with pytest.raises(BrokenBook, match="cannot be read"):
            load_books([tmp_path / "own.toml"])


class TestShippedBooks:
    def test_are_two(self) -> None:
        assert [path.name for path in shipped_books()] == ["mp_2025_26.toml", "mp_2026_27.toml"]
