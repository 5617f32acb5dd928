"""
`bench rate`: bills priced a second by the vector and by the scalar engine, over every category shipped.

The scalar engine is the oracle: each bill that it prices must have the same total in the vector engine. The limit is
what any engine in 64-bit integers spends: for each line one multiplication, one rounded division and one addition.
"""

from typing import Any

import numpy as np

from bijlighar.bench.measuring import NS_PER_S, Say, WrongResult, least_cpu_ns
from bijlighar.tariffs.model import Book, Category
from bijlighar.tariffs.operations import read_book, shipped_books
from bijlighar.tariffs.rules import NO_DEMAND, PricedMany, UsageMany, price, price_many

BILLS = 200_000
SCALAR_BILLS = 2_000
ROUNDS = 3
SEED = 13
RATE_PAISE, DIVISOR = 705, 1_000


def rate(*, say: Say, bills: int = BILLS) -> dict[str, Any]:
    """
    Return the figures of `bench rate`.

    :raises WrongResult: if the two engines do not agree to the paisa.
    """
    books = [read_book(path=path) for path in shipped_books()]
    cases = [(book, category) for book in books for category in book.categories]
    found = []
    for place, (book, category) in enumerate(cases):
        say(f"{book.id} {category.code}", place / len(cases))
        found.append(_rate(book, category, bills=bills))
    scalar_bills = min(bills, SCALAR_BILLS)
    return {
        "bills": bills,
        "scalar_bills": scalar_bills,
        "vector_bills_per_s": _together("vector_bills_per_s", found),
        "scalar_bills_per_s": _together("scalar_bills_per_s", found),
        "limit_bills_per_s": _together("limit_bills_per_s", found),
        "categories": found,
    }


def usage_many(*, category: Category, bills: int) -> UsageMany:
    """Return a month's usage of many accounts of a category: homes to workshops, some by time of day."""
    generator = np.random.default_rng(SEED)
    energy_wh = (generator.gamma(1.5, 120_000, bills)).astype(np.int64)
    smart = generator.random(bills) < 0.5 if category.windows else np.zeros(bills, dtype=np.bool_)
    share = len(category.windows) + 1
    sanctioned_w = generator.integers(1, 30, bills) * 500
    recorded = generator.random(bills) < 0.8
    return UsageMany(
        category=category.code,
        on=category.valid_from,
        rural=generator.random(bills) < 0.4,
        smart=smart,
        days=np.full(bills, 30, dtype=np.int64),
        month_days=np.full(bills, 30, dtype=np.int64),
        energy_wh=energy_wh,
        sanctioned_w=sanctioned_w,
        demand_w=np.where(recorded, sanctioned_w * 9 // 10, NO_DEMAND),
        windows_wh={window.code: np.where(smart, energy_wh // share, 0) for window in category.windows},
    )


def _rate(book: Book, category: Category, *, bills: int) -> dict[str, Any]:
    usage = usage_many(category=category, bills=bills)
    scalar_bills = min(bills, SCALAR_BILLS)
    rows = [usage.row(place) for place in range(scalar_bills)]
    check(
        price_many(book=book, usage=usage),
        [price(book=book, usage=row).total_paise for row in rows],
        name=f"{book.id} {category.code}",
    )
    vector_ns = least_cpu_ns(lambda: None, lambda _: price_many(book=book, usage=usage), rounds=ROUNDS)
    scalar_ns = least_cpu_ns(
        lambda: None, lambda _: [price(book=book, usage=row) for row in rows], rounds=ROUNDS
    )
    limit_ns = least_cpu_ns(lambda: None, lambda _: _limit(usage, lines=len(category.lines)), rounds=ROUNDS)
    return {
        "book": book.id,
        "category": category.code,
        "lines": len(category.lines),
        "vector_bills_per_s": bills * NS_PER_S / vector_ns,
        "scalar_bills_per_s": scalar_bills * NS_PER_S / scalar_ns,
        "limit_bills_per_s": bills * NS_PER_S / limit_ns,
    }


def check(many: PricedMany, totals_paise: list[int], *, name: str) -> None:
    """
    Compare the first totals of the vector engine with those of the scalar one.

    :raises WrongResult: if they are not the same.
    """
    if many.total_paise[: len(totals_paise)].tolist() != totals_paise:
        raise WrongResult(f"{name}: the engines do not agree on every total; report this as a fault")


def _limit(usage: UsageMany, *, lines: int) -> None:
    total = np.zeros(len(usage.energy_wh), dtype=np.int64)
    for _ in range(lines):
        total += (usage.energy_wh * RATE_PAISE + DIVISOR // 2) // DIVISOR


def _together(name: str, found: list[dict[str, Any]]) -> float:
    """Return bills a second over all categories, each with as many bills."""
    seconds = sum(1.0 / float(each[name]) for each in found)
    return len(found) / seconds
