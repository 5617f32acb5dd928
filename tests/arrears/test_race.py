"""
One who pays, one who sends, one head-end, all at once on a real database: wrong cuts are 0.

What happened first is measured from the clients: an account counts as paid once the payer's commit has returned. The
signer is called inside the sender's transaction, after its decision; if it is called for an account that had been
paid by then, the decision was wrong.
"""

import random
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from bijlighar.arrears import operations
from bijlighar.arrears.model import OrderState
from bijlighar.headend import control_queue, control_store
from bijlighar.headend.model import CommandEvent, CommandState, ControlAction, ControlOrder, SignedOrder
from bijlighar.ledger import operations as ledger
from bijlighar.ledger.model import NewPayment
from tests.arrears.build import POLICY
from tests.arrears.world import World, sign

ACCOUNTS = tuple(f"N{number}" for number in range(1, 41))
BOTH_BILLS = 300_000
PAYERS = 2
PAUSE_MAX_S = 0.004
TIME_MAX_S = 120
WIDE = replace(POLICY, per_hour=10_000, per_office_day=10_000, office_share_percent=100)


@dataclass
class Race:
    world: World
    paid: set[str] = field(default_factory=set)
    decided_after_payment: list[str] = field(default_factory=list)
    left_after_payment: list[str] = field(default_factory=list)
    signed: int = 0
    problems: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def sign(self, order: ControlOrder) -> SignedOrder:
        if order.action is ControlAction.DISCONNECT:
            self.signed += 1
            account = order.serial.removeprefix("M-")
            if account in self.paid:
                self.decided_after_payment.append(account)
            time.sleep(random.uniform(0, PAUSE_MAX_S))
        return sign(order)

    def run(self, work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as problem:
            self.problems.append(problem)
            self.over.set()

    def pay(self, accounts: tuple[str, ...]) -> None:
        for account in accounts:
            payment = NewPayment(
                provider="razorpay",
                payment_id=f"pay_{account}",
                account=account,
                amount_paise=BOTH_BILLS,
                method="upi",
                paid_at=self.world.now,
            )
            with self.world.database.write() as connection:
                ledger.receive(connection, payment=payment, now=self.world.now)
                operations.release_paid(
                    connection, account=account, now=self.world.now, signer=self.sign, policy=WIDE
                )
            self.paid.add(account)
            time.sleep(random.uniform(0, PAUSE_MAX_S))

    def send(self) -> None:
        while not self.over.is_set():
            operations.send_approved(
                self.world.database, now=self.world.now, policy=WIDE, signer=self.sign, limit=5
            )
            time.sleep(random.uniform(0, PAUSE_MAX_S))

    def follow(self) -> None:
        while not self.over.is_set():
            operations.follow_commands(self.world.database, now=self.world.now, signer=self.sign, policy=WIDE)
            time.sleep(random.uniform(0, PAUSE_MAX_S))

    def work_at_the_head_end(self) -> None:
        while not self.over.is_set():
            for order_id in self.waiting():
                self.move(order_id)
            time.sleep(random.uniform(0, PAUSE_MAX_S))

    def waiting(self) -> tuple[str, ...]:
        with self.world.database.read() as connection:
            return control_store.unsent(connection)

    def move(self, order_id: str) -> None:
        paid_before = set(self.paid)
        with self.world.database.write() as connection:
            held = control_store.hold(connection, order_id=order_id)
            command = held.command
            if command.state is not CommandState.REQUESTED:
                return
            if command.action is ControlAction.DISCONNECT:
                if control_store.is_superseded(connection, command=command):
                    control_queue.settle(connection, held=held, event=CommandEvent.REFUSE, now=self.world.now)
                    return
                account = command.serial.removeprefix("M-")
                if account in paid_before:
                    self.left_after_payment.append(account)
            control_queue.settle(connection, held=held, event=CommandEvent.SEND, now=self.world.now)
        time.sleep(random.uniform(0, PAUSE_MAX_S))
        self.world.head_end_ends(order_id)


@pytest.mark.parametrize("seed", [1])
class TestPayerAgainstSender:
    def test_cuts_nobody_wrongly(self, world: World, seed: int):
        random.seed(seed)
        world.start(ACCOUNTS).approved(*ACCOUNTS).at(date(2025, 7, 17), 11).hear()
        race = Race(world=world)
        payers = list(ACCOUNTS[: len(ACCOUNTS) * 3 // 4])
        random.shuffle(payers)
        payments = [
            threading.Thread(target=race.run, args=(race.pay, tuple(payers[start::PAYERS])))
            for start in range(PAYERS)
        ]
        others = [
            threading.Thread(target=race.run, args=(work,))
            for work in (race.send, race.send, race.follow, race.work_at_the_head_end)
        ]

        for thread in (*others, *payments):
            thread.start()
        for thread in payments:
            thread.join(TIME_MAX_S)
        deadline = time.monotonic() + TIME_MAX_S
        while not self.has_settled(world) and not race.problems and time.monotonic() < deadline:
            time.sleep(0.05)
        race.over.set()
        for thread in others:
            thread.join(TIME_MAX_S)

        assert race.problems == [], f"seed {seed}"
        assert race.signed > 0
        assert race.decided_after_payment == [], f"seed {seed}"
        assert race.left_after_payment == [], f"seed {seed}"
        for account in payers:
            assert world.state_of(account) in (OrderState.CANCELLED, OrderState.CLOSED), account
            assert world.relays[f"M-{account}"], f"{account} has paid and sits in the dark"
            assert world.reasons(account) == set()
        for account in set(ACCOUNTS) - set(payers):
            assert world.state_of(account) is OrderState.OPEN
            assert world.reasons(account) == {"arrears"}

    def has_settled(self, world: World) -> bool:
        final = {OrderState.CANCELLED, OrderState.CLOSED, OrderState.OPEN}
        return all(world.state_of(account) in final for account in ACCOUNTS)
