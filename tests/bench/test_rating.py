import pytest

from bijlighar.bench.measuring import WrongResult
from bijlighar.bench.rating import check, rate, usage_many
from bijlighar.tariffs.model import Book, Category
from bijlighar.tariffs.operations import read_book, shipped_books
from bijlighar.tariffs.rules import price, price_many

BOOKS = [read_book(path=path) for path in shipped_books()]
CASES = [(book, category) for book in BOOKS for category in book.categories]


class TestRate:
    def test_gives_every_category_by_both_engines_beside_the_limit(self):
        found = rate(say=lambda *_: None, bills=300)

        figures = ("vector_bills_per_s", "scalar_bills_per_s", "limit_bills_per_s")
        assert (found["bills"], found["scalar_bills"]) == (300, 300)
        assert {(each["book"], each["category"]) for each in found["categories"]} == {
            (book.id, category.code) for book, category in CASES
        }
        assert all(each[name] > 0 for each in (*found["categories"], found) for name in figures)
        assert all(
            min(each[name] for each in found["categories"])
            <= found[name]
            <= max(each[name] for each in found["categories"])
            for name in figures
        )


class TestUsageMany:
    @pytest.mark.parametrize(
        ("book", "category"), CASES, ids=[f"{book.id} {each.code}" for book, each in CASES]
    )
    def test_is_priced_line_by_line_as_by_the_scalar_engine(self, book: Book, category: Category):
        usage = usage_many(category=category, bills=100)

        many = price_many(book=book, usage=usage)

        for row in range(100):
            one = price(book=book, usage=usage.row(row))
            assert int(many.net_paise[row]) == one.net_paise
            assert int(many.total_paise[row]) == one.total_paise
            assert all(
                int(amounts[row]) == one.amount_paise(code) for code, amounts in many.amounts_paise.items()
            )


class TestCheck:
    def test_refuses_totals_that_differ(self):
        book, category = CASES[0]
        usage = usage_many(category=category, bills=2)
        many = price_many(book=book, usage=usage)

        with pytest.raises(WrongResult):
            check(many, [int(many.total_paise[0]), int(many.total_paise[1]) + 1], name="one paisa")
