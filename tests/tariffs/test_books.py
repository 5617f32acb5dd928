"""The shipped books against worked bills and an independent reading of the order."""

import csv
from datetime import date
from pathlib import Path

import pytest
from tests.tariffs.random_books import usage

from bijlighar.tariffs.errors import NoTariff
from bijlighar.tariffs.model import Area, Book
from bijlighar.tariffs.operations import open_books, shipped_books
from bijlighar.tariffs.rules import price

MAY_2026 = date(2026, 5, 1)


class TestBook2025:
    @pytest.mark.parametrize(
        ("facts", "lines", "net_paise"),
        [
            (
                {"energy_wh": 100_000},
                {"ENERGY": 49_300, "FIXED": 12_900, "DUTY": 4_437, "SUBSIDY": -56_637},
                10_000,
            ),
            (
                {"energy_wh": 140_000},
                {"ENERGY": 70_940, "FIXED": 12_900, "DUTY": 7_034, "SUBSIDY": -53_539},
                37_335,
            ),
            (
                {"energy_wh": 250_000},
                {"ENERGY": 144_250, "FIXED": 47_600, "DUTY": 15_831, "SUBSIDY": 0},
                207_681,
            ),
            (
                {"category": "LV-2.2", "sanctioned_w": 3_000, "energy_wh": 200_000},
                {"ENERGY": 160_000, "FIXED": 43_200, "DUTY": 21_600},
                224_800,
            ),
            (
                {"category": "LV-4", "sanctioned_w": 25_000, "energy_wh": 3_000_000},
                {"ENERGY": 2_028_000, "FIXED": 815_000, "DUTY": 182_520},
                3_025_520,
            ),
        ],
    )
    def test_gives_the_worked_bills(self, book_2025: Book, facts, lines, net_paise) -> None:
        priced = price(book=book_2025, usage=usage(**facts))

        assert {code: priced.amount_paise(code) for code in lines} == lines
        assert priced.net_paise == net_paise

    def test_has_the_adjustment_of_each_month_from_may(self, book_2025: Book) -> None:
        paise = [
            price(book=book_2025, usage=usage(on=date(year, month, 1))).amount_paise("FPPAS")
            for year, month in [
                (2025, 4),
                *((2025, month) for month in range(5, 13)),
                (2026, 1),
                (2026, 2),
                (2026, 3),
            ]
        ]

        assert paise == [0, 2_600, 1_900, 1_900, 1_400, -600, -2_900, -2_800, -400, 1_000, 200, -1_300]

    def test_stays_whole_slab_at_its_edge(self, book_2025: Book) -> None:
        at, above = (
            price(book=book_2025, usage=usage(category="LV-2.2", energy_wh=wh)) for wh in (50_000, 50_001)
        )

        assert (at.amount_paise("ENERGY"), above.amount_paise("ENERGY")) == (32_500, 40_001)

    def test_gives_no_subsidy_above_150_units_of_a_month(self, book_2025: Book) -> None:
        amounts = [
            price(book=book_2025, usage=usage(energy_wh=wh, days=days)).amount_paise("SUBSIDY")
            for wh, days in ((150_000, 30), (150_001, 30), (75_000, 15), (75_001, 15))
        ]

        assert [amount < 0 for amount in amounts] == [True, False, True, False]

    def test_does_not_know_a_category_of_another_year(self, book_2025: Book) -> None:
        with pytest.raises(NoTariff, match=r"has no category LV-1\.2 on 2026-05-01"):
            price(book=book_2025, usage=usage(on=MAY_2026))


class TestBook2026:
    def test_equals_every_domestic_row_of_an_independent_reading(self, book_2026: Book, shared: Path) -> None:
        rows = 0
        with (shared / "data/bills/mp_fy2026_27_slab_edges.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row["category"] != "domestic":
                    continue
                single_light = row["supply_type"] == "lv11"
                facts = usage(
                    category="LV-1.1" if single_light else "LV-1.2",
                    area=Area.URBAN if single_light else Area(row["supply_type"]),
                    on=MAY_2026,
                    energy_wh=int(row["units"]) * 1_000,
                    sanctioned_w=round(float(row["load_kw"]) * 1_000),
                )

                priced = price(book=book_2026, usage=facts)

                fixed, energy = priced.amount_paise("FIXED"), priced.amount_paise("ENERGY")
                assert (fixed, energy) == (paise(row["fixed_charge"]), paise(row["energy_charge"])), row
                rows += 1

        assert rows == 178


def paise(rupees: str) -> int:
    whole, _, part = rupees.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0"))


class TestOpenBooks:
    def test_takes_the_shipped_books_where_the_home_has_none(self, tmp_path: Path) -> None:
        books = open_books(folder=tmp_path / "absent")

        assert books.find(code="LV-1.2", on=date(2026, 3, 31)).id == "MP-2025-26"
        assert books.find(code="LV-1.2", on=date(2026, 4, 1)).id == "MP-2026-27"

    def test_takes_the_books_of_the_home_alone(self, tmp_path: Path) -> None:
        (tmp_path / "own.toml").write_text(shipped_books()[1].read_text(encoding="utf-8"), encoding="utf-8")

        books = open_books(folder=tmp_path)

        assert [book.id for book in books.books] == ["MP-2026-27"]
        with pytest.raises(NoTariff, match="no tariff book has category LV-4 on 2025-04-01"):
            books.find(code="LV-4", on=date(2025, 4, 1))

    def test_finds_a_book_by_its_digest(self, tmp_path: Path) -> None:
        books = open_books(folder=tmp_path)

        assert books.by_digest(digest=books.books[0].digest) == books.books[0]
        with pytest.raises(NoTariff, match="not among the books"):
            books.by_digest(digest="0" * 64)
