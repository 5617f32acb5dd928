"""A callback is a hint; what the gateway says when asked is posted once and releases a cut with it."""

import json
from datetime import date, datetime, timedelta

import pytest

from bijlighar.arrears.model import OrderState
from bijlighar.base.errors import BijligharError
from bijlighar.headend import queries as headend
from bijlighar.headend.model import CommandState, ControlAction
from bijlighar.ledger import queries as ledger
from bijlighar.ledger import rules as ledger_rules
from bijlighar.ledger.errors import BrokenEvent, GatewayRefused, GatewayUnavailable, UnknownPayment
from bijlighar.ledger.model import GatewayPayment, GatewayState
from bijlighar.notices import queries as notices
from bijlighar.notices.model import Purpose
from bijlighar.runtime import payments
from bijlighar.runtime.line import Line
from bijlighar.runtime.payments import PROVIDER, ForgedCallback, accept_event, settle_due
from bijlighar.storage import inbox, jobs
from bijlighar.storage.inbox import InboxState
from bijlighar.storage.jobs import JobState
from tests.arrears.world import World, clock

SECRET = "a webhook secret"
BOTH_BILLS = 300_000
PAID_ON = date(2025, 7, 18)
NOW = clock(PAID_ON)


class FakeGateway:
    """Answers what it was told to answer; counts how often it was asked."""

    provider = PROVIDER

    def __init__(self) -> None:
        self.answers: dict[str, GatewayPayment | BijligharError] = {}
        self.asked = 0

    def has(
        self,
        payment_id: str,
        state: GatewayState = GatewayState.CAPTURED,
        *,
        account: str | None = "N1",
        paise: int = BOTH_BILLS,
    ) -> None:
        self.answers[payment_id] = GatewayPayment(
            payment_id=payment_id,
            account=account,
            amount_paise=paise,
            method="upi",
            state=state,
            created_at=NOW - timedelta(minutes=1),
        )

    def fetch(self, *, payment_id: str) -> GatewayPayment:
        self.asked += 1
        answer = self.answers.get(payment_id, UnknownPayment(f"there is no payment {payment_id}"))
        if isinstance(answer, BijligharError):
            raise answer
        return answer


@pytest.fixture
def gateway(line: Line, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    monkeypatch.setenv("BIJLIGHAR_GATEWAY_WEBHOOK_SECRET", SECRET)
    fake = FakeGateway()
    line.payment_gateway = fake
    return fake


@pytest.fixture
def world(line: Line) -> World:
    """N1 is cut for two unpaid bills; N2 owes nothing."""
    return World(database=line.database).start(("N1", "N2")).cut("N1")


def event(payment_id: str, name: str = "payment.captured") -> bytes:
    return json.dumps({"event": name, "payload": {"payment": {"entity": {"id": payment_id}}}}).encode()


def tell(line: Line, body: bytes, *, event_id: str = "evt_1", now: datetime = NOW) -> bool:
    signature = ledger_rules.signature(secret=SECRET, body=body)
    return accept_event(line, body=body, signature=signature, event_id=event_id, now=now)


def standing(line: Line, event_id: str = "evt_1") -> tuple[InboxState, JobState | None]:
    with line.database.read() as connection:
        row = inbox.load(connection, provider=PROVIDER, event_id=event_id)
        return row.state, jobs.state_of(connection, key=f"{payments.FETCH}/{event_id}")


def money(line: Line, account: str = "N1") -> tuple[int, int, int]:
    """Return open dues, number of payments, number of holds."""
    with line.database.read() as connection:
        assert ledger.check(connection).balanced
        dues = ledger.open_dues(connection, account=account)
        return (
            sum(due.open_paise for due in dues),
            len(ledger.payments(connection, account=account)),
            len(ledger.holds(connection, account=account)),
        )


class TestAcceptEvent:
    def test_stores_nothing_of_a_forged_callback(self, line: Line, gateway: FakeGateway):
        other = ledger_rules.signature(secret=SECRET, body=event("pay_2"))
        for signature in ("", "00", "é" * 64, "x" * 64, other):
            with pytest.raises(ForgedCallback):
                accept_event(line, body=event("pay_1"), signature=signature, event_id="evt_1", now=NOW)
        with line.database.read() as connection:
            assert inbox.unsettled(connection, provider=PROVIDER, limit=9) == ()
        assert settle_due(line, now=NOW) == 0

    def test_refuses_everything_where_no_secret_is_set(self, line: Line):
        body = event("pay_1")
        signature = ledger_rules.signature(secret="", body=body)
        with pytest.raises(ForgedCallback):
            accept_event(line, body=body, signature=signature, event_id="evt_1", now=NOW)

    def test_stores_an_event_once(self, line: Line, gateway: FakeGateway):
        assert tell(line, event("pay_1")) is True
        assert tell(line, event("pay_1")) is False
        assert standing(line) == (InboxState.NEW, JobState.READY)

    def test_knows_an_event_without_an_id_by_its_body(self, line: Line, gateway: FakeGateway):
        assert tell(line, event("pay_1"), event_id="") is True
        assert tell(line, event("pay_1"), event_id="") is False
        assert tell(line, event("pay_2"), event_id="") is True

    def test_only_keeps_what_tells_of_no_payment(self, line: Line, gateway: FakeGateway):
        assert tell(line, b'{"event": "settlement.processed", "payload": {}}') is True
        assert standing(line) == (InboxState.DONE, None)

    def test_stores_nothing_of_what_cannot_be_read(self, line: Line, gateway: FakeGateway):
        for body in (b"", b"{", b"[]", b'{"event": 1}', b'{"event": "x", "payload": {"payment": 5}}'):
            with pytest.raises(BrokenEvent):
                tell(line, body)
        with line.database.read() as connection:
            assert inbox.unsettled(connection, provider=PROVIDER, limit=9) == ()


class TestSettleDue:
    def test_posts_a_captured_payment_and_releases_the_cut_at_once(
        self, line: Line, gateway: FakeGateway, world: World
    ):
        assert (world.state_of("N1"), money(line)) == (OrderState.OPEN, (BOTH_BILLS, 0, 0))
        gateway.has("pay_1")
        tell(line, event("pay_1"))

        assert settle_due(line, now=NOW) == 1

        assert money(line) == (0, 1, 0)
        assert standing(line) == (InboxState.DONE, JobState.DONE)
        with line.database.read() as connection:
            command = headend.control_command(connection, order_id=f"A{world.order_of('N1').number}-R1")
            receipts = notices.messages(connection, purpose=Purpose.PAYMENT_RECEIPT)
        assert command is not None
        assert (command.action, command.state) == (ControlAction.RECONNECT, CommandState.REQUESTED)
        assert {message.account for message in receipts} == {"N1"}

    def test_posts_nothing_twice_whatever_is_repeated(self, line: Line, gateway: FakeGateway, world: World):
        gateway.has("pay_1")
        for event_id in ("evt_1", "evt_1", "evt_2"):
            tell(line, event("pay_1"), event_id=event_id)
            settle_due(line, now=NOW)

        assert money(line) == (0, 1, 0)
        assert gateway.asked == 2
        with line.database.read() as connection:
            receipts = notices.messages(connection, purpose=Purpose.PAYMENT_RECEIPT)
        assert len({message.reference for message in receipts}) == 1

    def test_holds_what_is_authorised_until_it_is_captured(
        self, line: Line, gateway: FakeGateway, world: World
    ):
        gateway.has("pay_1", GatewayState.AUTHORIZED)
        tell(line, event("pay_1", "payment.authorized"))
        settle_due(line, now=NOW)
        assert money(line) == (BOTH_BILLS, 0, 1)
        assert world.reasons("N1") == set(), "a hold is enough to give supply back"

        gateway.has("pay_1")
        tell(line, event("pay_1"), event_id="evt_2")
        settle_due(line, now=NOW)
        assert money(line) == (0, 1, 0)

    def test_lets_go_of_what_has_failed(self, line: Line, gateway: FakeGateway, world: World):
        for number, state in enumerate((GatewayState.AUTHORIZED, GatewayState.FAILED)):
            gateway.has("pay_1", state)
            tell(line, event("pay_1"), event_id=f"evt_{number}")
            settle_due(line, now=NOW)
        assert money(line) == (BOTH_BILLS, 0, 0)

    def test_asks_again_later_where_the_gateway_does_not_answer(
        self, line: Line, gateway: FakeGateway, world: World
    ):
        gateway.answers["pay_1"] = GatewayUnavailable("down")
        tell(line, event("pay_1"))
        assert settle_due(line, now=NOW) == 1
        assert standing(line) == (InboxState.NEW, JobState.READY)
        assert settle_due(line, now=NOW) == 0, "not at once"

        gateway.has("pay_1")
        assert settle_due(line, now=NOW + timedelta(minutes=1)) == 1
        assert standing(line) == (InboxState.DONE, JobState.DONE)
        assert money(line) == (0, 1, 0)

    def test_gives_up_in_the_end_and_says_so(
        self, line: Line, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(payments, "ATTEMPTS_MAX", 3)
        gateway.answers["pay_1"] = GatewayUnavailable("down")
        tell(line, event("pay_1"))
        for hour in range(5):
            settle_due(line, now=NOW + timedelta(hours=hour))
        assert gateway.asked == 3
        assert standing(line)[1] is JobState.FAILED

    @pytest.mark.parametrize(
        "problem", [UnknownPayment("there is none"), GatewayRefused("cannot be understood")]
    )
    def test_refuses_what_the_gateway_does_not_know(
        self, line: Line, gateway: FakeGateway, world: World, problem: BijligharError
    ):
        gateway.answers["pay_1"] = problem
        tell(line, event("pay_1"))
        assert settle_due(line, now=NOW) == 1
        assert standing(line) == (InboxState.REFUSED, JobState.FAILED)
        assert money(line) == (BOTH_BILLS, 0, 0)
        assert world.state_of("N1") is OrderState.OPEN

    @pytest.mark.parametrize("account", ["NOBODY", None])
    @pytest.mark.parametrize("state", [GatewayState.AUTHORIZED, GatewayState.CAPTURED])
    def test_keeps_the_money_of_nobody_known_in_suspense(
        self, line: Line, gateway: FakeGateway, world: World, account: str | None, state: GatewayState
    ):
        gateway.has("pay_1", state, account=account)
        tell(line, event("pay_1"))
        assert settle_due(line, now=NOW) == 1
        assert standing(line) == (InboxState.DONE, JobState.DONE)
        with line.database.read() as connection:
            waiting = [payment.payment_id for payment in ledger.unmatched(connection)]
        assert waiting == (["pay_1"] if state is GatewayState.CAPTURED else [])
        assert money(line) == (BOTH_BILLS, 0, 0)

    def test_settles_the_others_where_one_is_refused(self, line: Line, gateway: FakeGateway, world: World):
        gateway.has("pay_2", account="N2", paise=500)
        gateway.has("pay_3")
        for number in (1, 2, 3):
            tell(line, event(f"pay_{number}"), event_id=f"evt_{number}")

        assert settle_due(line, now=NOW) == 3

        states = [standing(line, f"evt_{number}")[0] for number in (1, 2, 3)]
        assert states == [InboxState.REFUSED, InboxState.DONE, InboxState.DONE]
        assert money(line) == (0, 1, 0)
        assert money(line, "N2")[1] == 1

    def test_changes_nothing_where_it_fails_half_way(
        self, line: Line, gateway: FakeGateway, world: World, monkeypatch: pytest.MonkeyPatch
    ):
        gateway.has("pay_1")
        tell(line, event("pay_1"))
        with monkeypatch.context() as broken:
            broken.setattr(payments.arrears, "release_paid", _break)
            with pytest.raises(RuntimeError, match="the disk is full"):
                settle_due(line, now=NOW)
        assert money(line) == (BOTH_BILLS, 0, 0)
        assert standing(line) == (InboxState.NEW, JobState.READY)

        settle_due(line, now=NOW + payments.RETRY_LONGEST)
        assert money(line) == (0, 1, 0)


def _break(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("the disk is full")
