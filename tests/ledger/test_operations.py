from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from tests.ledger.conftest import NOW

from bijlighar.ledger import operations, queries
from bijlighar.ledger.errors import (
    DueNotPosted,
    InvalidPayment,
    KeyConflict,
    UnknownLedgerAccount,
    UnknownPayment,
)
from bijlighar.ledger.model import (
    Allocation,
    GatewayPayment,
    GatewayState,
    Head,
    HoldKind,
    NewPayment,
    Receipt,
    Transfer,
    TransferKind,
)
from bijlighar.ledger.rules import bill_transfers
from bijlighar.storage.engine import Database

APRIL = date(2025, 4, 2)
MAY = date(2025, 5, 2)


def bill(
    connection: Connection,
    *,
    account: str = "N1",
    document: str,
    paise: int,
    issued_on: date = MAY,
    lines: Sequence[tuple[Head, int]] | None = None,
) -> bool:
    transfers = bill_transfers(
        account=account, document=document, lines=lines or [(Head.ENERGY, paise)], business_date=issued_on
    )
    operations.post(connection, transfers=transfers, now=NOW)
    return operations.open_due(
        connection,
        account=account,
        document=document,
        amount_paise=paise,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=10),
        now=NOW,
    )


def pay(
    connection: Connection,
    *,
    account: str | None = "N1",
    payment_id: str = "pay_1",
    paise: int,
    method: str = "upi",
) -> Receipt | None:
    return operations.receive(
        connection,
        payment=NewPayment(
            provider="razorpay",
            payment_id=payment_id,
            account=account,
            amount_paise=paise,
            method=method,
            paid_at=NOW,
        ),
        now=NOW,
    )


def open_paise(connection: Connection, account: str = "N1") -> dict[str, int]:
    return {due.document: due.open_paise for due in queries.open_dues(connection, account=account)}


def check(connection: Connection) -> None:
    verdict = queries.check(connection)
    assert verdict.ok, verdict.problems


class TestPost:
    def test_counts_only_new_transfers(self, ledger: Database):
        transfers = bill_transfers(
            account="N1", document="B1", lines=[(Head.ENERGY, 5), (Head.FIXED, 7)], business_date=MAY
        )
        with ledger.write() as connection:
            first = operations.post(connection, transfers=transfers, now=NOW)
            second = operations.post(connection, transfers=transfers, now=NOW)

            assert (first, second) == (2, 0)
            assert queries.balance_paise(connection, account="N1") == 12

    def test_refuses_a_known_key_with_other_contents(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            changed = bill_transfers(
                account="N1", document="B1", lines=[(Head.ENERGY, 501)], business_date=MAY
            )

            with pytest.raises(KeyConflict, match="bill/B1/energy_income"):
                operations.post(connection, transfers=changed, now=NOW)

    def test_posts_nothing_of_an_empty_list(self, ledger: Database):
        with ledger.write() as connection:
            assert operations.post(connection, transfers=(), now=NOW) == 0


class TestEntries:
    @pytest.mark.parametrize(
        "table",
        [
            "ledger_transfer",
            "ledger_due",
            "ledger_payment",
            "ledger_allocation",
            "ledger_reversal",
            "ledger_match",
            "ledger_hold",
            "ledger_hold_release",
        ],
    )
    @pytest.mark.parametrize("verb", ["update", "delete"])
    def test_can_be_neither_changed_nor_deleted(self, ledger: Database, table: str, verb: str):
        with ledger.write() as connection:
            self.fill(connection)
        column = "document" if table in ("ledger_transfer", "ledger_due") else "at"
        column = {"ledger_payment": "method", "ledger_hold": "kind"}.get(table, column)
        statement = f"UPDATE {table} SET {column} = {column}" if verb == "update" else f"DELETE FROM {table}"  # noqa: S608

        with pytest.raises(DBAPIError, match="only ever added"), ledger.write() as connection:
            connection.execute(text(statement))

    def test_of_zero_are_refused_by_the_database_itself(self, ledger: Database):
        statement = text(
            "INSERT INTO ledger_transfer"
            " (key, debit, credit, account, amount_paise, kind, document, business_date, at)"
            " VALUES ('k', 'cash', 'bank', 'N1', 0, 'bill', 'B', '2025-05-02', '2025-05-02 00:00:00')"
        )
        with pytest.raises(DBAPIError, match="above_zero"), ledger.write() as connection:
            connection.execute(statement)

    def fill(self, connection: Connection) -> None:
        bill(connection, document="B1", paise=500)
        pay(connection, paise=200)
        pay(connection, account="N9", payment_id="pay_2", paise=50)
        operations.match_payment(
            connection, provider="razorpay", payment_id="pay_2", account="N1", by="asha", now=NOW
        )
        operations.reverse_payment(
            connection, provider="razorpay", payment_id="pay_1", reason="bounced", now=NOW
        )
        hold = {"provider": "bank", "payment_id": "chq-1"}
        operations.place_hold(
            connection, account="N1", amount_paise=10, kind=HoldKind.CHEQUE, now=NOW, **hold
        )
        operations.release_hold(connection, reason="cleared", now=NOW, **hold)


class TestOpenDue:
    def test_opens_what_was_posted(self, ledger: Database):
        with ledger.write() as connection:
            assert bill(connection, document="B1", paise=500)

            (due,) = queries.open_dues(connection, account="N1")
            assert (due.amount_paise, due.open_paise, due.first_due_on) == (500, 500, MAY)
            assert queries.dues(connection, account="N1") == (due,)
            check(connection)

    def test_changes_nothing_the_second_time(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            pay(connection, paise=200)

            assert not bill(connection, document="B1", paise=500)
            assert open_paise(connection) == {"B1": 300}

    def test_refuses_a_sum_that_was_not_posted(self, ledger: Database):
        with ledger.write() as connection, pytest.raises(DueNotPosted, match="posted 0 paise"):
            operations.open_due(
                connection, account="N1", document="B1", amount_paise=1, issued_on=MAY, due_on=MAY, now=NOW
            )

    def test_refuses_a_known_document_of_another_day(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)

            with pytest.raises(KeyConflict, match="B1"):
                operations.open_due(
                    connection,
                    account="N1",
                    document="B1",
                    amount_paise=500,
                    issued_on=MAY,
                    due_on=APRIL,
                    now=NOW,
                )

    def test_takes_the_money_paid_ahead(self, ledger: Database):
        with ledger.write() as connection:
            pay(connection, paise=700)
            assert queries.unallocated_paise(connection, account="N1") == 700

            bill(connection, document="B1", paise=500)

            assert open_paise(connection) == {}
            assert queries.unallocated_paise(connection, account="N1") == 200
            assert queries.balance_paise(connection, account="N1") == -200
            check(connection)

    def test_of_zero_is_closed_at_once(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=0, lines=[(Head.ENERGY, 90), (Head.SUBSIDY, -90)])

            assert open_paise(connection) == {}
            assert [due.document for due in queries.dues(connection, account="N1")] == ["B1"]
            check(connection)

    def test_below_zero_covers_the_oldest_due(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500, issued_on=APRIL)
            bill(connection, document="C1", paise=-120)

            assert open_paise(connection) == {"B1": 380}
            assert queries.balance_paise(connection, account="N1") == 380
            assert queries.payments(connection, account="N1") == ()
            check(connection)


class TestReceive:
    def test_covers_the_oldest_due_first_and_keeps_the_rest(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B2", paise=700)
            bill(connection, document="B1", paise=500, issued_on=APRIL)

            receipt = pay(connection, paise=600)

            assert receipt is not None
            assert receipt.allocations == (
                Allocation(document="B1", amount_paise=500),
                Allocation(document="B2", amount_paise=100),
            )
            assert (receipt.advance_paise, receipt.owed_after_paise) == (0, 600)
            assert queries.receipt(connection, number=receipt.number) == receipt
            check(connection)

    def test_returns_none_for_a_known_payment(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            pay(connection, paise=200)

            assert pay(connection, paise=200) is None
            assert open_paise(connection) == {"B1": 300}
            check(connection)

    def test_returns_none_for_a_known_event(self, ledger: Database):
        payment = NewPayment(
            provider="p",
            payment_id="1",
            account="N1",
            amount_paise=5,
            method="upi",
            paid_at=NOW,
            event_id="e",
        )
        other = NewPayment(
            provider="p",
            payment_id="2",
            account="N1",
            amount_paise=5,
            method="upi",
            paid_at=NOW,
            event_id="e",
        )
        with ledger.write() as connection:
            assert operations.receive(connection, payment=payment, now=NOW) is not None
            assert operations.receive(connection, payment=other, now=NOW) is None
            check(connection)

    def test_keeps_equal_ids_of_two_providers_apart(self, ledger: Database):
        with ledger.write() as connection:
            pay(connection, paise=200)
            other = NewPayment(
                provider="bbps", payment_id="pay_1", account="N1", amount_paise=200, method="upi", paid_at=NOW
            )

            assert operations.receive(connection, payment=other, now=NOW) is not None

    def test_refuses_a_known_payment_with_another_sum(self, ledger: Database):
        with ledger.write() as connection:
            pay(connection, paise=200)

            with pytest.raises(KeyConflict, match="ask the provider"):
                pay(connection, paise=201)

    @pytest.mark.parametrize("account", ["N9", "", None])
    def test_keeps_money_for_nobody_known_in_suspense(self, ledger: Database, account: str | None):
        with ledger.write() as connection:
            receipt = pay(connection, account=account, paise=200)

            assert receipt is not None
            assert receipt.account is None
            assert pay(connection, account=account, paise=200) is None
            assert queries.trial_balance(connection)[Head.UNMATCHED] == -200
            assert [each.payment_id for each in queries.unmatched(connection)] == ["pay_1"]
            check(connection)

    @pytest.mark.parametrize(
        ("method", "head"), [("cash", Head.CASH), ("cheque", Head.CHEQUES), ("card", Head.GATEWAY)]
    )
    def test_debits_where_the_money_lies(self, ledger: Database, method: str, head: Head):
        with ledger.write() as connection:
            pay(connection, paise=200, method=method)

            assert queries.trial_balance(connection)[head] == 200

    def test_books_on_the_indian_day(self, ledger: Database):
        late = datetime(2025, 5, 1, 18, 30, tzinfo=UTC)  # midnight in India
        payment = NewPayment(
            provider="p", payment_id="1", account="N1", amount_paise=5, method="upi", paid_at=late
        )
        with ledger.write() as connection:
            operations.receive(connection, payment=payment, now=NOW)

            assert [line.business_date for line in queries.passbook(connection, account="N1")] == [MAY]
            assert queries.received_paise(connection, first=MAY, last=MAY) == 5
            assert queries.received_paise(connection, last=date(2025, 5, 1)) == 0

    def test_refuses_a_sum_that_is_not_above_zero(self):
        with pytest.raises(InvalidPayment, match="not above zero"):
            NewPayment(provider="p", payment_id="1", account=None, amount_paise=0, method="upi", paid_at=NOW)


class TestMatchPayment:
    def test_gives_the_money_to_its_account(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            pay(connection, account="N9", paise=200)

            receipt = operations.match_payment(
                connection, provider="razorpay", payment_id="pay_1", account="N1", by="asha", now=NOW
            )

            assert receipt.account == "N1"
            assert open_paise(connection) == {"B1": 300}
            assert queries.unmatched(connection) == ()
            assert queries.trial_balance(connection)[Head.UNMATCHED] == 0
            check(connection)

    def test_refuses_what_is_not_in_suspense(self, ledger: Database):
        with ledger.write() as connection:
            pay(connection, paise=200)

            with pytest.raises(InvalidPayment, match="not in suspense"):
                self.match(connection, account="N2")
            with pytest.raises(UnknownLedgerAccount):
                self.match(connection, account="N9")
            with pytest.raises(UnknownPayment):
                self.match(connection, account="N2", payment_id="pay_7")

    def match(self, connection: Connection, *, account: str, payment_id: str = "pay_1") -> None:
        operations.match_payment(
            connection, provider="razorpay", payment_id=payment_id, account=account, by="asha", now=NOW
        )


class TestReversePayment:
    def test_opens_the_due_again_with_new_rows(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            pay(connection, paise=500, method="cheque")
            assert open_paise(connection) == {}

            assert self.reverse(connection)

            assert open_paise(connection) == {"B1": 500}
            assert queries.trial_balance(connection)[Head.CHEQUES] == 0
            (payment,) = queries.payments(connection, account="N1")
            assert payment.reversal_reason == "bounced"
            check(connection)

    def test_changes_nothing_the_second_time(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            pay(connection, paise=500)
            self.reverse(connection)

            assert not self.reverse(connection)
            assert queries.balance_paise(connection, account="N1") == 500

    def test_lets_younger_money_cover_the_older_due(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500, issued_on=APRIL)
            bill(connection, document="B2", paise=500)
            pay(connection, paise=500)
            pay(connection, payment_id="pay_2", paise=500)

            self.reverse(connection)

            assert open_paise(connection) == {"B2": 500}
            check(connection)

    def test_takes_money_out_of_suspense(self, ledger: Database):
        with ledger.write() as connection:
            pay(connection, account="N9", paise=200)

            assert self.reverse(connection)
            assert set(queries.trial_balance(connection).values()) == {0}
            assert queries.unmatched(connection) == ()
            check(connection)

    def test_refuses_a_payment_nobody_made(self, ledger: Database):
        with ledger.write() as connection, pytest.raises(UnknownPayment, match="pay_1"):
            self.reverse(connection)

    def reverse(self, connection: Connection) -> bool:
        return operations.reverse_payment(
            connection, provider="razorpay", payment_id="pay_1", reason="bounced", now=NOW
        )


class TestHold:
    def test_stands_until_it_is_released(self, ledger: Database):
        with ledger.write() as connection:
            assert self.place(connection)
            assert not self.place(connection)
            assert [hold.amount_paise for hold in queries.holds(connection, account="N1")] == [300]
            assert queries.balance_paise(connection, account="N1") == 0

            released = [
                operations.release_hold(
                    connection, provider="razorpay", payment_id="pay_1", reason="failed", now=NOW
                )
                for _ in range(2)
            ]

            assert released == [True, False]
            assert queries.holds(connection) == ()

    def test_ends_when_the_money_comes(self, ledger: Database):
        with ledger.write() as connection:
            self.place(connection)

            pay(connection, paise=300)

            assert queries.holds(connection, account="N1") == ()

    def test_is_not_placed_for_money_that_came(self, ledger: Database):
        with ledger.write() as connection:
            pay(connection, paise=300)

            assert not self.place(connection)
            assert queries.holds(connection, account="N1") == ()

    def test_of_nothing_is_refused(self, ledger: Database):
        with ledger.write() as connection, pytest.raises(InvalidPayment):
            self.place(connection, paise=0)

    def place(self, connection: Connection, paise: int = 300) -> bool:
        return operations.place_hold(
            connection,
            account="N1",
            provider="razorpay",
            payment_id="pay_1",
            amount_paise=paise,
            kind=HoldKind.UPI,
            now=NOW,
        )


class TestSettle:
    def fetched(self, state: GatewayState, account: str | None = "N1") -> GatewayPayment:
        return GatewayPayment(
            payment_id="pay_1", account=account, amount_paise=300, method="upi", state=state, created_at=NOW
        )

    def settle(
        self, connection: Connection, *states: GatewayState, account: str | None = "N1"
    ) -> list[Receipt | None]:
        return [
            operations.settle(connection, provider="razorpay", fetched=self.fetched(state, account), now=NOW)
            for state in states
        ]

    def test_holds_what_is_only_authorised(self, ledger: Database):
        with ledger.write() as connection:
            assert self.settle(connection, GatewayState.AUTHORIZED) == [None]
            assert [hold.kind for hold in queries.holds(connection, account="N1")] == [HoldKind.GATEWAY]

    @pytest.mark.parametrize(
        "states",
        [
            (GatewayState.AUTHORIZED, GatewayState.CAPTURED),
            (GatewayState.CAPTURED, GatewayState.AUTHORIZED),
            (GatewayState.CAPTURED, GatewayState.AUTHORIZED, GatewayState.CAPTURED, GatewayState.CREATED),
        ],
    )
    def test_ends_captured_in_any_order(self, ledger: Database, states: tuple[GatewayState, ...]):
        with ledger.write() as connection:
            receipts = self.settle(connection, *states)

            assert sum(receipt is not None for receipt in receipts) == 1
            assert queries.holds(connection) == ()
            assert queries.unallocated_paise(connection, account="N1") == 300

    def test_releases_what_failed(self, ledger: Database):
        with ledger.write() as connection:
            self.settle(connection, GatewayState.AUTHORIZED, GatewayState.FAILED)

            assert queries.holds(connection) == ()
            assert queries.payments(connection) == ()

    def test_reverses_what_was_refunded(self, ledger: Database):
        with ledger.write() as connection:
            self.settle(connection, GatewayState.CAPTURED, GatewayState.REFUNDED, GatewayState.REFUNDED)

            assert queries.balance_paise(connection, account="N1") == 0
            assert queries.received_paise(connection) == 0
            check(connection)

    @pytest.mark.parametrize("account", ["N9", None])
    def test_holds_nothing_for_nobody_known(self, ledger: Database, account: str | None):
        with ledger.write() as connection:
            self.settle(connection, GatewayState.AUTHORIZED, account=account)

            assert queries.holds(connection) == ()


class TestPassbook:
    def test_shows_what_raised_and_lowered_the_debt(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500, lines=[(Head.ENERGY, 450), (Head.DUTY, 50)])
            pay(connection, paise=700)
            operations.reverse_payment(
                connection, provider="razorpay", payment_id="pay_1", reason="x", now=NOW
            )

            lines = queries.passbook(connection, account="N1")

            assert [(line.kind, line.amount_paise, line.owed_paise) for line in lines] == [
                (TransferKind.BILL, 500, 500),
                (TransferKind.PAYMENT, -700, -200),
                (TransferKind.REVERSAL, 700, 500),
            ]
            assert queries.passbook(connection, account="N1", lines_max=1) == lines[-1:]
            assert queries.passbook(connection, account="N2") == ()


class TestReceipt:
    @pytest.mark.parametrize("number", ["R25000000021", "R26000000015"])
    def test_of_nobody_is_refused(self, ledger: Database, number: str):
        with ledger.write() as connection:
            pay(connection, paise=5)

            with pytest.raises((UnknownPayment, InvalidPayment)):
                queries.receipt(connection, number=number)


class TestCheck:
    def test_finds_a_balance_that_was_tampered_with(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            connection.execute(
                text("UPDATE ledger_balance SET debits_paise = debits_paise + 1 WHERE head = 'receivable'")
            )

            verdict = queries.check(connection)

            assert not verdict.balanced
            assert "receivable" in verdict.problems[0]
            operations.rebuild(connection)
            check(connection)

    def test_finds_an_open_amount_that_was_tampered_with(self, ledger: Database):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
            pay(connection, paise=100)
            connection.execute(text("UPDATE ledger_open SET open_paise = 7"))

            assert not queries.check(connection).dues_ok
            operations.rebuild(connection)
            check(connection)
            assert open_paise(connection) == {"B1": 400}

    def test_finds_a_bill_without_its_due(self, ledger: Database):
        transfer = Transfer(
            key="k",
            debit=Head.RECEIVABLE,
            credit=Head.ENERGY,
            account="N1",
            amount_paise=9,
            kind=TransferKind.BILL,
            document="B1",
            business_date=MAY,
        )
        with ledger.write() as connection:
            operations.post(connection, transfers=(transfer,), now=NOW)

            assert not queries.check(connection).dues_ok
