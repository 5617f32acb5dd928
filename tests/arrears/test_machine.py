"""
P11 to P14: whatever is billed, paid, held, bounced, served, approved, sent, lost, killed and repeated, nobody is cut
whom an oracle of its own, which shares no code with the room, calls settled, protected or not told.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection, event

from bijlighar.arrears import operations, queries
from bijlighar.arrears.model import OrderState
from bijlighar.base.errors import BijligharError
from bijlighar.base.period import IST
from bijlighar.headend import control_store
from bijlighar.headend.model import CommandEvent, CommandState, ControlAction
from bijlighar.ledger import operations as ledger
from bijlighar.ledger.model import HoldKind, NewPayment
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.arrears.build import POLICY
from tests.arrears.world import World, clock, sign

ACCOUNTS = tuple(f"N{number}" for number in range(1, 151))
#: The accounts that anything happens to; the others make the office large enough for its ceilings.
PLAYERS = ACCOUNTS[:3]
STARTED = {OrderState.SENT, OrderState.MANUAL}
OFF_FOR_ARREARS = {OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN}


class KilledProcess(Exception):
    """The process dies."""


def hurry(connection: Any, _record: object) -> None:
    """Wait for no disk: the process dies here only on paper."""
    connection.execute("PRAGMA synchronous = OFF")


class MortalDatabase(Database):
    """A database whose process can die just before, or just after, one of the next commits."""

    dies_in = 0
    dies_committed = False

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
            self.dies_in -= 1
            if self.dies_in == 0 and not self.dies_committed:
                raise KilledProcess
        if self.dies_in == 0 and self.dies_committed:
            raise KilledProcess


@dataclass
class Truth:
    """What an outsider knows of one account."""

    bills: list[tuple[date, int]] = field(default_factory=list)
    payments: dict[str, int] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    noticed: dict[date, date | None] = field(default_factory=dict)
    protected: bool = False

    def unpaid(self) -> list[tuple[date, int]]:
        """The bills not covered, oldest first, by the sum of the payments alone."""
        left = sum(self.payments.values())
        found = []
        for issued_on, paise in self.bills:
            covered = min(left, paise)
            left -= covered
            if paise > covered:
                found.append((issued_on, paise - covered))
        return found

    def enforceable_paise(self, on: date) -> int:
        """What supply may be off for: more than 60 days late, told 15 clear days ago, less what is on its way."""
        total = 0
        for issued_on, paise in self.unpaid():
            late = (on - issued_on).days - 10
            served = self.noticed.get(issued_on)
            if late > 60 and served is not None and (on - served).days > 15:
                total += paise
        return total - sum(self.holds.values())


class ArrearsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="bijlighar-machine-"))
        self.database = MortalDatabase(f"sqlite:///{self.folder}/test.sqlite")
        metadata.create_all(self.database.engine)
        event.listen(self.database.engine, "connect", hurry)
        self.database.engine.dispose()
        self.world = World(database=self.database)
        self.truth = {account: Truth() for account in PLAYERS}
        self.halted = False
        self.counted = 0
        self.started: set[int] = set()

    def teardown(self) -> None:
        if self.counted:
            self.everything_comes_to_an_end()
        self.database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize(begin=st.sampled_from(["served", "warned", "sent", "cut"]), heard=st.booleans())
    def a_town_in_arrears(self, begin: str, heard: bool) -> None:
        self.world.start(ACCOUNTS)
        for issued_on in (date(2025, 5, 1), date(2025, 6, 1)):
            self.world.at(issued_on)
            for account in PLAYERS:
                self.bill_one(account, issued_on)
        self.world.at(date(2025, 6, 21)).assess()
        self.world.at(date(2025, 6, 22)).serve_notices()
        self.note_served()
        self.world.at(date(2025, 7, 14)).hear()
        self.counted = 1
        if begin == "served":
            return
        self.draws_approves_warns_and_waits(3)
        if not heard:
            self.world.at(date(2025, 7, 21), 11)  # silent for too long: by hand
        if begin in ("sent", "cut"):
            self.sends()
        if begin == "cut":
            self.the_head_end_does_all(CommandEvent.VERIFY)
            self.the_lineman_reports(done=True)

    @property
    def today(self) -> date:
        return self.world.now.astimezone(IST).date()

    # what the world does

    def bill_one(self, account: str, issued_on: date) -> None:
        self.world.bill(account, issued_on=issued_on, paise=150_000)
        self.truth[account].bills.append((issued_on, 150_000))

    @rule(account=st.sampled_from(PLAYERS))
    def is_billed(self, account: str) -> None:
        self.database.dies_in = 0
        if self.truth[account].bills[-1][0] < self.today:
            self.bill_one(account, self.today)

    @rule(account=st.sampled_from(PLAYERS), paise=st.sampled_from([1, 149_999, 150_000, 300_000, 450_000]))
    def pays(self, account: str, paise: int) -> None:
        self.counted += 1
        self.truth[account].payments[f"p{self.counted}"] = paise
        self.receive(account, f"p{self.counted}", paise)

    @rule(account=st.sampled_from(PLAYERS))
    def pays_again_by_the_same_callback(self, account: str) -> None:
        for payment_id, paise in list(self.truth[account].payments.items())[-1:]:
            if paise:
                self.receive(account, payment_id, paise)

    def receive(self, account: str, payment_id: str, paise: int) -> None:
        payment = NewPayment(
            provider="razorpay",
            payment_id=payment_id,
            account=account,
            amount_paise=paise,
            method="upi",
            paid_at=self.world.now,
        )
        for _ in range(2):  # a callback whose transaction died comes again
            with contextlib.suppress(KilledProcess), self.database.write() as connection:
                ledger.receive(connection, payment=payment, now=self.world.now)
                self.release(connection, account)

    def release(self, connection: Connection, account: str) -> None:
        operations.release_paid(connection, account=account, now=self.world.now, signer=sign, policy=POLICY)

    @rule(account=st.sampled_from(PLAYERS), paise=st.sampled_from([150_000, 300_000]))
    def hands_in_a_cheque(self, account: str, paise: int) -> None:
        self.counted += 1
        name = f"c{self.counted}"
        self.truth[account].holds[name] = paise
        self.database.dies_in = 0
        with self.database.write() as connection:
            ledger.place_hold(
                connection,
                account=account,
                provider="counter",
                payment_id=name,
                amount_paise=paise,
                kind=HoldKind.CHEQUE,
                now=self.world.now,
            )
            self.release(connection, account)

    @rule(account=st.sampled_from(PLAYERS))
    def has_a_cheque_bounced(self, account: str) -> None:
        self.database.dies_in = 0
        for name in list(self.truth[account].holds):
            del self.truth[account].holds[name]
            with self.database.write() as connection:
                ledger.release_hold(
                    connection, provider="counter", payment_id=name, reason="bounced", now=self.world.now
                )

    @rule(account=st.sampled_from(PLAYERS))
    def has_a_payment_reversed(self, account: str) -> None:
        self.database.dies_in = 0
        for payment_id, paise in list(self.truth[account].payments.items())[-1:]:
            if paise:
                self.truth[account].payments[payment_id] = 0
                with self.database.write() as connection:
                    ledger.reverse_payment(
                        connection,
                        provider="razorpay",
                        payment_id=payment_id,
                        reason="bounced",
                        now=self.world.now,
                    )

    @rule(account=st.sampled_from(PLAYERS))
    def comes_under_protection(self, account: str) -> None:
        self.database.dies_in = 0
        self.truth[account].protected = True
        with self.database.write() as connection:
            registry.protect_account(
                connection,
                account=account,
                kind="life_support",
                certificate="C",
                until=None,
                by="asha",
                now=self.world.now,
            )

    @rule(account=st.sampled_from(PLAYERS))
    def leaves_protection(self, account: str) -> None:
        self.database.dies_in = 0
        self.truth[account].protected = False
        with self.database.write() as connection:
            registry.withdraw_protection(
                connection, account=account, kind="life_support", by="asha", now=self.world.now
            )

    @rule(days=st.integers(1, 12), hour=st.sampled_from([3, 10, 11, 13, 15, 16, 22]), heard=st.booleans())
    def time_passes(self, days: int, hour: int, heard: bool) -> None:
        self.database.dies_in = 0
        self.world.at(self.today + timedelta(days=days), hour)
        if heard:
            self.world.hear()

    @rule(commits=st.integers(1, 6), committed=st.booleans())
    def the_process_will_die(self, commits: int, committed: bool) -> None:
        self.database.dies_in = commits
        self.database.dies_committed = committed

    # what people and steps do

    def guarded(self, step: object, *arguments: object) -> None:
        with contextlib.suppress(KilledProcess, BijligharError):
            step(*arguments)  # type: ignore[operator]

    def note_served(self) -> None:
        with self.database.read() as connection:
            for account, truth in self.truth.items():
                for notice in queries.notices(connection, account=account, policy=POLICY):
                    for document in notice.documents:
                        number = [f"B{index:04d}" for index in range(1, self.world.bills + 1)].index(document)
                        issued_on = self.issue_days[number]
                        if notice.served_on is not None:
                            truth.noticed.setdefault(issued_on, notice.served_on)

    @property
    def issue_days(self) -> list[date]:
        with self.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT document, issued_on FROM ledger_due ORDER BY document")
            return [date.fromisoformat(str(row[1])[:10]) for row in rows]

    @rule()
    def assesses(self) -> None:
        self.guarded(self.world.assess)

    @rule()
    def serves_and_delivers(self) -> None:
        self.database.dies_in = 0
        self.world.serve_notices()
        self.world.deliver_messages()
        self.note_served()

    @rule(clerk=st.sampled_from(["asha", "meera"]), approver=st.sampled_from(["vijay", "meera", "asha"]))
    def draws_and_approves(self, clerk: str, approver: str) -> None:
        def both() -> None:
            self.world.approve(self.world.draw(clerk), approver)

        self.guarded(both)

    @rule(days=st.integers(3, 5))
    def draws_approves_warns_and_waits(self, days: int) -> None:
        """The whole way to the gate: what random steps would seldom find."""
        self.guarded(lambda: self.world.approve(self.world.draw("asha"), "vijay"))
        self.serves_and_delivers()
        self.guarded(self.world.assess)
        self.time_passes(days, 11, heard=True)
        self.guarded(self.world.assess)

    @rule(days=st.integers(3, 5))
    def takes_the_whole_way(self, days: int) -> None:
        self.draws_approves_warns_and_waits(days)
        self.sends()

    @rule()
    def sends(self) -> None:
        self.guarded(self.world.send)
        self.check_what_was_sent()

    def check_what_was_sent(self) -> None:
        """P11 and P13, by the oracle, for every order that has left since the last look."""
        now = self.world.now.astimezone(IST)
        with self.database.read() as connection:
            orders = [order for order in queries.orders(connection) if order.sent_at is not None]
            decided = {
                row.order_number for row in queries.decisions(connection) if row.stage == "send" and row.go
            }
        for order in orders:
            if order.number in self.started:
                continue
            self.started.add(order.number)
            truth = self.truth[order.account]
            assert truth.enforceable_paise(self.today) > 0, f"{order.account} owes nothing enforceable"
            assert not truth.protected, f"{order.account} is protected"
            assert not self.halted, "all cutting is halted"
            assert 10 <= now.hour < 16, f"{now:%H:%M} is no cutting hour"
            assert now.weekday() < 6, "nobody is cut on a Sunday"
            assert self.today not in POLICY.holidays, "nobody is cut on a holiday"
            assert self.today + timedelta(days=1) not in POLICY.holidays, "nor on the day before"
            assert order.approved_by is not None, "nobody approved it"
            assert order.approved_by != order.drawn_by, "four eyes"
            assert order.warned_at is not None, "no last warning"
            assert order.sent_at - order.warned_at >= timedelta(days=2), "warned too late"
            assert order.number in decided, "no decision record"

    @rule(
        outcome=st.sampled_from(
            [CommandEvent.VERIFY, CommandEvent.VERIFY, CommandEvent.FAIL, CommandEvent.LOSE, None]
        ),
        last=st.booleans(),
    )
    def the_head_end_works(self, outcome: CommandEvent | None, last: bool) -> None:
        self.database.dies_in = 0
        waiting = [*self.commands(CommandState.REQUESTED), *self.commands(CommandState.SENT)]
        if waiting:
            self.work_on(waiting[-1 if last else 0], outcome)

    @rule(
        outcome=st.sampled_from(
            [CommandEvent.VERIFY, CommandEvent.VERIFY, CommandEvent.FAIL, CommandEvent.LOSE]
        )
    )
    def the_head_end_does_all(self, outcome: CommandEvent) -> None:
        self.database.dies_in = 0
        for order_id in [*self.commands(CommandState.REQUESTED), *self.commands(CommandState.SENT)]:
            self.work_on(order_id, outcome)
        self.guarded(self.world.follow)

    def work_on(self, order_id: str, outcome: CommandEvent | None) -> None:
        with self.database.read() as connection:
            command = control_store.command(connection, order_id=order_id)
        assert command is not None
        reconnects = command.action is ControlAction.RECONNECT
        if command.state is CommandState.REQUESTED:
            if not reconnects and self.is_superseded(order_id):
                self.world.head_end_ends(order_id, CommandEvent.REFUSE)
                return
            self.world.head_end_sends(order_id)
        if outcome is not None and not (reconnects and outcome is not CommandEvent.VERIFY):
            self.world.head_end_ends(order_id, outcome)

    def is_superseded(self, order_id: str) -> bool:
        with self.database.read() as connection:
            command = control_store.command(connection, order_id=order_id)
            assert command is not None
            return control_store.is_superseded(connection, command=command)

    def commands(self, state: CommandState) -> list[str]:
        with self.database.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT order_id FROM headend_command WHERE state = ? ORDER BY requested_at, order_id",
                (state.value,),
            )
            return [row[0] for row in rows]

    @rule()
    def follows(self) -> None:
        self.guarded(self.world.follow)

    @rule()
    def looks_after(self) -> None:
        self.guarded(self.world.ensure)

    @rule(done=st.booleans())
    def the_lineman_reports(self, done: bool) -> None:
        self.database.dies_in = 0
        with self.database.read() as connection:
            work = queries.hand_work(connection, now=self.world.now, policy=POLICY)
        for item in work[:1]:
            self.report(item.order.number, done=done or item.reconnect)

    def report(self, number: int, *, done: bool) -> None:
        with self.database.write() as connection:
            before = queries.order(connection, number=number)
            assert before is not None
            operations.record_manual(
                connection,
                order=number,
                done=done,
                person="asha",
                now=self.world.now,
                signer=sign,
                policy=POLICY,
            )
        if done:
            self.world.relays[f"M-{before.account}"] = before.state is OrderState.RECONNECTING

    @rule()
    def halts(self) -> None:
        self.database.dies_in = 0
        operations.halt(self.database, person="vijay", reason="storm", now=self.world.now)
        self.halted = True

    @rule()
    def resumes(self) -> None:
        if not self.halted:
            return
        self.database.dies_in = 0
        operations.resume(self.database, person="vijay", reason="over", now=self.world.now)
        self.halted = False

    # what always holds

    @invariant()
    def nothing_settled_stays_on_its_way_to_be_cut(self) -> None:
        """P12: the release is part of the payment's transaction; only a protection waits for the step."""
        if not self.counted:
            return
        with self.database.read() as connection:
            orders = queries.orders(connection)
            for order in orders:
                commands = queries.commands(connection, order_number=order.number)
                running = [item for item in commands if item.action == "reconnect" and item.outcome is None]
                assert len(running) <= 1, f"order {order.number} has {len(running)} reconnections under way"
                # Not `assert not running`: an attempt that has left for the meter cannot be called back when a
                # person reports the supply on, and is under way until the meter answers. It can only close a relay
                # that is closed. What had not left is called back; at the end nothing runs.
                if order.state is OrderState.CLOSED:
                    for item in running:
                        command = control_store.command(connection, order_id=item.order_id)
                        assert command is not None
                        assert command.state is not CommandState.REQUESTED, (
                            f"{item.order_id} was not called back"
                        )
        active: dict[str, int] = {}
        for order in orders:
            if order.state not in OFF_FOR_ARREARS:
                continue
            active[order.account] = active.get(order.account, 0) + 1
            truth = self.truth[order.account]
            settled = truth.enforceable_paise(self.today) <= 0
            assert not settled, f"order {order.number} is {order.state} though {order.account} has settled"
        assert all(count == 1 for count in active.values())

    def everything_comes_to_an_end(self) -> None:
        """P14: when nothing moves any more, whoever may not be off has supply, by the meters' truth."""
        self.database.dies_in = 0
        for _ in range(12):
            self.world.follow()
            self.world.ensure()
            for state in (CommandState.REQUESTED, CommandState.SENT, CommandState.UNKNOWN):
                for order_id in self.commands(state):
                    self.work_on(order_id, CommandEvent.VERIFY)
            with self.database.read() as connection:
                work = queries.hand_work(connection, now=self.world.now, policy=POLICY)
            for item in work:
                if item.reconnect:
                    self.report(item.order.number, done=True)
            self.world.now += timedelta(hours=1)
        self.world.follow()
        assert self.world.ensure() == 0
        with self.database.read() as connection:
            assert queries.pending_follow(connection, now=self.world.now) == 0
            for order in queries.orders(connection):
                commands = queries.commands(connection, order_number=order.number)
                assert order.state is not OrderState.CLOSED or all(item.outcome for item in commands)
        for account, truth in self.truth.items():
            settled = truth.enforceable_paise(self.today) <= 0
            if settled or truth.protected:
                assert self.world.relays[f"M-{account}"], f"{account} has settled and sits in the dark"
                assert self.world.reasons(account) == set()
            if not self.world.relays[f"M-{account}"]:
                assert self.world.reasons(account) == {"arrears"}


ArrearsMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # each example is a town; shrinking takes for ever
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestArrears = ArrearsMachine.TestCase


class TestTruth:
    def test_agrees_with_a_case_worked_by_hand(self):
        truth = Truth(bills=[(date(2025, 5, 1), 100), (date(2025, 6, 1), 100)])
        truth.noticed[date(2025, 5, 1)] = date(2025, 6, 22)

        assert truth.enforceable_paise(date(2025, 7, 10)) == 0
        assert truth.enforceable_paise(date(2025, 7, 11)) == 100
        truth.holds["c"] = 100
        assert truth.enforceable_paise(date(2025, 7, 11)) == 0

    def test_needs_sixteen_days_after_service(self):
        truth = Truth(bills=[(date(2025, 4, 1), 100)], noticed={date(2025, 4, 1): date(2025, 7, 1)})

        assert truth.enforceable_paise(date(2025, 7, 16)) == 0
        assert truth.enforceable_paise(date(2025, 7, 17)) == 100


def test_the_clock_of_the_machine_is_ist() -> None:
    assert clock(date(2025, 7, 14), 11) == datetime(2025, 7, 14, 11, tzinfo=IST)
