"""The invariants of the ledger under any sequence of events."""

import random
import tempfile
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection
from tests.ledger.conftest import NOW, registry_text

from bijlighar.ledger import operations, queries
from bijlighar.ledger.model import GatewayPayment, GatewayState, Head, HoldKind, NewPayment
from bijlighar.ledger.rules import DueFill, bill_transfers, covered
from bijlighar.registry.operations import import_registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata

FIRST_DAY = date(2025, 4, 2)
ACCOUNTS = ("N1", "N2", "N3")
HEADS = (Head.ENERGY, Head.FIXED, Head.DUTY, Head.SUBSIDY, Head.ROUNDING)
PROVIDER = "razorpay"


def moment(day: int) -> datetime:
    return datetime(2025, 4, 2, 6, 0, tzinfo=UTC) + timedelta(days=day)


def new_payment(*, number: str, account: str, paise: int, day: int) -> NewPayment:
    return NewPayment(
        provider=PROVIDER,
        payment_id=number,
        account=account,
        amount_paise=paise,
        method="upi",
        paid_at=moment(day),
    )


def open_bill(
    connection: Connection, *, account: str, document: str, lines: list[tuple[Head, int]], day: int
) -> bool:
    issued_on = FIRST_DAY + timedelta(days=day)
    transfers = bill_transfers(account=account, document=document, lines=lines, business_date=issued_on)
    operations.post(connection, transfers=transfers, now=NOW)
    return operations.open_due(
        connection,
        account=account,
        document=document,
        amount_paise=sum(paise for _, paise in lines),
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=10),
        now=NOW,
    )


class LedgerMachine(RuleBasedStateMachine):
    """Bills, payments, repeats, bounces, holds and suspense, beside a model of three numbers per account."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name)}/ledger.sqlite")
        tables = [table for table in metadata.sorted_tables if table.name.split("_")[0] in self.rooms()]
        metadata.create_all(self.database.engine, tables=tables)
        with self.database.write() as connection:
            import_registry(connection, text=registry_text(*ACCOUNTS), now=NOW)
        self.bills: dict[str, tuple[str, list[tuple[Head, int]], int]] = {}
        self.payments: dict[str, NewPayment] = {}
        self.owner: dict[str, str | None] = {}
        self.bounced: set[str] = set()
        self.holds: dict[str, str] = {}

    def rooms(self) -> set[str]:
        return {"ledger", "registry", "offices", "storage"}

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()

    @rule(
        account=st.sampled_from(ACCOUNTS),
        lines=st.lists(st.tuples(st.sampled_from(HEADS), st.integers(-400, 900)), min_size=1, max_size=5),
        day=st.integers(0, 60),
    )
    def bill(self, account: str, lines: list[tuple[Head, int]], day: int) -> None:
        document = f"B{len(self.bills)}"
        with self.database.write() as connection:
            assert open_bill(connection, account=account, document=document, lines=lines, day=day)
        self.bills[document] = (account, lines, day)

    @rule(account=st.sampled_from([*ACCOUNTS, "N9"]), paise=st.integers(1, 1500), day=st.integers(0, 60))
    def pay(self, account: str, paise: int, day: int) -> None:
        number = f"pay_{len(self.payments)}"
        payment = new_payment(number=number, account=account, paise=paise, day=day)
        with self.database.write() as connection:
            assert operations.receive(connection, payment=payment, now=NOW) is not None
        self.payments[number] = payment
        self.owner[number] = account if account in ACCOUNTS else None

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def capture_what_was_held(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.holds)))
        account = self.holds.pop(number)
        fetched = GatewayPayment(
            payment_id=number,
            account=account,
            amount_paise=50,
            method="upi",
            state=GatewayState.CAPTURED,
            created_at=moment(0),
        )
        with self.database.write() as connection:
            assert operations.settle(connection, provider=PROVIDER, fetched=fetched, now=NOW) is not None
        self.payments[number] = new_payment(number=number, account=account, paise=50, day=0)
        self.owner[number] = account

    @rule(account=st.sampled_from(ACCOUNTS))
    def hold(self, account: str) -> None:
        number = f"held_{len(self.holds) + len(self.payments)}"
        with self.database.write() as connection:
            placed = operations.place_hold(
                connection,
                account=account,
                provider=PROVIDER,
                payment_id=number,
                amount_paise=50,
                kind=HoldKind.UPI,
                now=NOW,
            )
        if placed:
            self.holds[number] = account

    @precondition(lambda self: self.payments)
    @rule(data=st.data())
    def bounce(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.payments)))
        with self.database.write() as connection:
            done = operations.reverse_payment(
                connection, provider=PROVIDER, payment_id=number, reason="bounced", now=NOW
            )
        assert done == (number not in self.bounced)
        self.bounced.add(number)

    @precondition(lambda self: any(owner is None for owner in self.owner.values()))
    @rule(data=st.data(), account=st.sampled_from(ACCOUNTS))
    def match(self, data: st.DataObject, account: str) -> None:
        waiting = sorted(number for number, owner in self.owner.items() if owner is None)
        number = data.draw(st.sampled_from(waiting))
        if number in self.bounced:
            return
        with self.database.write() as connection:
            operations.match_payment(
                connection, provider=PROVIDER, payment_id=number, account=account, by="asha", now=NOW
            )
        self.owner[number] = account

    @precondition(lambda self: self.payments or self.bills)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        with self.database.write() as connection:
            before = queries.trial_balance(connection), queries.open_dues(connection)
            for payment in (
                data.draw(st.lists(st.sampled_from(sorted(self.payments)), max_size=3))
                if self.payments
                else ()
            ):
                assert operations.receive(connection, payment=self.payments[payment], now=NOW) is None
            for document in (
                data.draw(st.lists(st.sampled_from(sorted(self.bills)), max_size=3)) if self.bills else ()
            ):
                account, lines, day = self.bills[document]
                assert not open_bill(connection, account=account, document=document, lines=lines, day=day)
            assert (queries.trial_balance(connection), queries.open_dues(connection)) == before

    @rule()
    def rebuild(self) -> None:
        with self.database.write() as connection:
            operations.rebuild(connection)

    @invariant()
    def is_as_the_model_says(self) -> None:
        if not hasattr(self, "database"):
            return
        with self.database.read() as connection:
            verdict = queries.check(connection)
            assert verdict.ok, verdict.problems
            assert sum(queries.trial_balance(connection).values()) == 0
            for account in ACCOUNTS:
                self.check_account(connection, account)

    def check_account(self, connection: Connection, account: str) -> None:
        bills = {
            document: (sum(paise for _, paise in lines), day)
            for document, (owner, lines, day) in self.bills.items()
            if owner == account
        }
        paid = sum(
            payment.amount_paise
            for number, payment in self.payments.items()
            if self.owner[number] == account and number not in self.bounced
        )
        assert (
            queries.balance_paise(connection, account=account)
            == sum(paise for paise, _ in bills.values()) - paid
        )
        fills = [
            DueFill(
                document=document,
                issued_on=FIRST_DAY + timedelta(days=day),
                due_on=FIRST_DAY + timedelta(days=day + 10),
                amount_paise=max(0, paise),
            )
            for document, (paise, day) in bills.items()
        ]
        credit = paid - sum(paise for paise, _ in bills.values() if paise < 0)
        cover = covered(dues=fills, credit_paise=credit)
        expected = {fill.document: fill.amount_paise - cover[fill.document] for fill in fills}
        found = {due.document: due.open_paise for due in queries.dues(connection, account=account)}
        assert found == expected
        assert {hold.payment_id for hold in queries.holds(connection, account=account)} == {
            number for number, owner in self.holds.items() if owner == account
        }


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class TestOrder:
    """Whatever the order and the number of repeats, the same account stands there at the end."""

    def run(self, database: Database, account: str, seed: int) -> tuple[object, ...]:
        events = [
            lambda c: open_bill(
                c, account=account, document=f"{account}-1", lines=[(Head.ENERGY, 500)], day=0
            ),
            lambda c: open_bill(
                c, account=account, document=f"{account}-2", lines=[(Head.ENERGY, 700)], day=30
            ),
            lambda c: self.settle(c, account, "a", GatewayState.AUTHORIZED, 400),
            lambda c: self.settle(c, account, "a", GatewayState.CAPTURED, 400),
            lambda c: self.settle(c, account, "b", GatewayState.CAPTURED, 300),
            lambda c: self.settle(c, account, "c", GatewayState.FAILED, 90),
        ]
        chooser = random.Random(seed)
        order = events + chooser.choices(events, k=6)
        chooser.shuffle(order)
        for event in order:
            with database.write() as connection:
                event(connection)
        with database.write() as connection:
            operations.reverse_payment(
                connection, provider=PROVIDER, payment_id=f"{account}-b", reason="bounced", now=NOW
            )
        with database.read() as connection:
            return (
                [due.open_paise for due in queries.dues(connection, account=account)],
                queries.balance_paise(connection, account=account),
                queries.holds(connection, account=account),
                sorted(each.payment_id[-1] for each in queries.payments(connection, account=account)),
            )

    def settle(
        self, connection: Connection, account: str, number: str, state: GatewayState, paise: int
    ) -> None:
        fetched = GatewayPayment(
            payment_id=f"{account}-{number}",
            account=account,
            amount_paise=paise,
            method="upi",
            state=state,
            created_at=NOW,
        )
        operations.settle(connection, provider=PROVIDER, fetched=fetched, now=NOW)

    def test_of_events_does_not_matter(self, database: Database):
        names = [f"S{seed}" for seed in range(8)]
        with database.write() as connection:
            import_registry(connection, text=registry_text(*names), now=NOW)

        ends = [self.run(database, name, seed) for seed, name in enumerate(names)]

        assert all(end == ([100, 700], 800, (), ["a", "b"]) for end in ends), ends
        with database.read() as connection:
            assert queries.check(connection).ok


class TestSplit:
    @pytest.mark.parametrize("parts", [(900,), (1, 899), (500, 400), (300, 300, 300)])
    def test_of_a_payment_does_not_matter(self, ledger: Database, parts: tuple[int, ...]):
        with ledger.write() as connection:
            for number, day in enumerate((0, 30, 60)):
                open_bill(
                    connection, account="N1", document=f"B{number}", lines=[(Head.ENERGY, 400)], day=day
                )
            for number, paise in enumerate(parts):
                payment = new_payment(number=f"p{number}", account="N1", paise=paise, day=70)
                operations.receive(connection, payment=payment, now=NOW)

            assert [due.open_paise for due in queries.dues(connection, account="N1")] == [0, 0, 300]


class TestConcurrency:
    def test_posts_each_payment_once_and_no_paisa_twice(self, ledger: Database):
        with ledger.write() as connection:
            open_bill(connection, account="N1", document="B1", lines=[(Head.ENERGY, 1000)], day=0)
        payments = [
            new_payment(number=f"p{number}", account=account, paise=30, day=1)
            for number, account in enumerate(["N1"] * 8 + ["N9"] * 4)
        ]
        receipts: list[object] = []
        failures: list[BaseException] = []

        def work(offset: int) -> None:
            try:
                for payment in payments[offset:] + payments[:offset]:
                    with ledger.write() as connection:
                        receipts.append(operations.receive(connection, payment=payment, now=NOW))
            except BaseException as failure:
                failures.append(failure)

        workers = [threading.Thread(target=work, args=(offset,)) for offset in (0, 3, 6, 9)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=60)

        assert failures == []
        assert sum(receipt is not None for receipt in receipts) == len(payments)
        with ledger.read() as connection:
            assert queries.check(connection).ok
            assert queries.balance_paise(connection, account="N1") == 1000 - 8 * 30

    def test_lets_a_decision_wait_for_the_payment_before_it(self, ledger: Database):
        with ledger.write() as connection:
            open_bill(connection, account="N1", document="B1", lines=[(Head.ENERGY, 1000)], day=0)
        locked, decided = threading.Event(), threading.Event()
        seen: list[int] = []

        def decide() -> None:
            locked.wait(timeout=30)
            with ledger.write() as connection:
                operations.lock_account(connection, account="N1", now=NOW)
                seen.append(queries.balance_paise(connection, account="N1"))
            decided.set()

        decision = threading.Thread(target=decide)
        decision.start()
        with ledger.write() as connection:
            operations.receive(
                connection, payment=new_payment(number="p", account="N1", paise=1000, day=1), now=NOW
            )
            locked.set()
            assert not decided.wait(timeout=0.3)
        decision.join(timeout=30)

        assert seen == [0]
