from datetime import date, datetime, timedelta

import pytest
from tests.ledger.conftest import NOW

from bijlighar.ledger import operations, queries
from bijlighar.ledger.model import Head, HoldKind, NewPayment, Standing
from bijlighar.ledger.rules import bill_transfers
from bijlighar.storage.engine import Database

DAY = timedelta(days=1)


def bill(database: Database, document: str, paise: int, *, day: int) -> None:
    issued_on = date(2025, 5, 2) + day * DAY
    lines = [(Head.ENERGY, paise)]
    transfers = bill_transfers(account="N1", document=document, lines=lines, business_date=issued_on)
    now = NOW + day * DAY
    with database.write() as connection:
        operations.post(connection, transfers=transfers, now=now)
        operations.open_due(
            connection,
            account="N1",
            document=document,
            amount_paise=paise,
            issued_on=issued_on,
            due_on=issued_on + 10 * DAY,
            now=now,
        )


def pay(database: Database, payment_id: str, paise: int, *, day: int, account: str | None = "N1") -> None:
    now = NOW + day * DAY
    payment = NewPayment(
        provider="p", payment_id=payment_id, account=account, amount_paise=paise, method="upi", paid_at=now
    )
    with database.write() as connection:
        operations.receive(connection, payment=payment, now=now)


def standing(database: Database, at: datetime) -> Standing:
    with database.read() as connection:
        return queries.standing(connection, account="N1", at=at)


def figures(database: Database, *, day: int) -> tuple[dict[str, int], int, int]:
    """Return open paise by document, free money, and money on its way, at the end of a day."""
    found = standing(database, NOW + day * DAY)
    return (
        {due.document: due.open_paise for due in found.dues},
        found.unallocated_paise,
        sum(hold.amount_paise for hold in found.holds),
    )


@pytest.fixture
def story(ledger: Database) -> Database:
    """Two bills, a payment on account, one that bounces, one matched late, a credit, a cheque on its way."""
    pay(ledger, "early", 1_000, day=0)
    bill(ledger, "B1", 50_000, day=1)
    pay(ledger, "half", 25_000, day=2)
    bill(ledger, "B2", 60_000, day=3)
    pay(ledger, "bounced", 90_000, day=4)
    pay(ledger, "lost", 10_000, day=5, account=None)
    with ledger.write() as connection:
        operations.reverse_payment(
            connection, provider="p", payment_id="bounced", reason="x", now=NOW + 6 * DAY
        )
    with ledger.write() as connection:
        operations.match_payment(
            connection, provider="p", payment_id="lost", account="N1", by="asha", now=NOW + 7 * DAY
        )
        operations.place_hold(
            connection,
            account="N1",
            provider="c",
            payment_id="cheque",
            amount_paise=5_000,
            kind=HoldKind.CHEQUE,
            now=NOW + 8 * DAY,
        )
    with ledger.write() as connection:
        operations.release_hold(
            connection, provider="c", payment_id="cheque", reason="bounced", now=NOW + 9 * DAY
        )
    bill(ledger, "B3", -4_000, day=10)
    return ledger


class TestStanding:
    @pytest.mark.parametrize(
        ("day", "expected"),
        [
            (-1, ({}, 0, 0)),
            (0, ({}, 1_000, 0)),
            (1, ({"B1": 49_000}, 0, 0)),
            (2, ({"B1": 24_000}, 0, 0)),
            (3, ({"B1": 24_000, "B2": 60_000}, 0, 0)),
            (4, ({"B1": 0, "B2": 0}, 6_000, 0)),
            (5, ({"B1": 0, "B2": 0}, 6_000, 0)),
            (6, ({"B1": 24_000, "B2": 60_000}, 0, 0)),
            (7, ({"B1": 14_000, "B2": 60_000}, 0, 0)),
            (8, ({"B1": 14_000, "B2": 60_000}, 0, 5_000)),
            (9, ({"B1": 14_000, "B2": 60_000}, 0, 0)),
            (10, ({"B1": 10_000, "B2": 60_000, "B3": 0}, 0, 0)),
        ],
    )
    def test_is_what_the_ledger_knew_then(self, story: Database, day, expected):
        assert figures(story, day=day) == expected

    def test_of_now_is_what_the_other_queries_say(self, story: Database):
        found = standing(story, NOW + 30 * DAY)

        with story.read() as connection:
            assert found.dues == queries.dues(connection, account="N1")
            assert found.unallocated_paise == queries.unallocated_paise(connection, account="N1")
            assert found.holds == queries.holds(connection, account="N1")
            assert queries.check(connection).ok

    def test_of_an_account_that_has_nothing_is_empty(self, story: Database):
        with story.read() as connection:
            found = queries.standing(connection, account="N2", at=NOW + 30 * DAY)

        assert found == Standing(dues=(), unallocated_paise=0, holds=())
