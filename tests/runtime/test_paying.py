"""A consumer is led to one page of the gateway; what the browser brings back is believed by its signature."""

import hashlib
import hmac
from dataclasses import replace
from datetime import date, timedelta

import pytest

from bijlighar.base.period import local_date
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.errors import GatewayUnavailable, UnknownPayment
from bijlighar.ledger.model import GatewayPayment, GatewayState, LinkRequest, LinkReturn, PaymentLink
from bijlighar.runtime import payment_store
from bijlighar.runtime.line import Line, NotConfigured
from bijlighar.runtime.paying import (
    ADVANCE_PAISE_MAX,
    LINKS_PER_DAY,
    ImpossibleAmount,
    TooManyPayments,
    can_pay,
    start_payment,
)
from bijlighar.runtime.payment_store import ToldPayment
from bijlighar.runtime.payments import PROVIDER, ForgedCallback, accept_event, accept_return, settle_due
from bijlighar.storage import inbox
from tests.arrears.world import World, clock
from tests.runtime.test_payments import event

SECRET = "a key secret"
BOTH_BILLS = 300_000
NOW = clock(date(2025, 6, 18))


class FakePages:
    """Makes pages and has payments; `down` answers are lost."""

    provider = PROVIDER

    def __init__(self) -> None:
        self.asked: list[LinkRequest] = []
        self.made: dict[str, PaymentLink] = {}
        self.payments: dict[str, GatewayPayment] = {}
        self.down = 0

    def create_payment_link(self, *, request: LinkRequest) -> PaymentLink:
        self.asked.append(request)
        link_id = f"plink_{len(self.made) + 1}"
        link = self.made.setdefault(
            request.reference,
            PaymentLink(
                link_id=link_id,
                url=f"https://pay.example/{link_id}",
                amount_paise=request.amount_paise,
                is_open=True,
            ),
        )
        if self.down:
            self.down -= 1
            raise GatewayUnavailable("no answer")
        return link

    def payment_link(self, *, link_id: str) -> PaymentLink:
        return next(link for link in self.made.values() if link.link_id == link_id)

    def pay(self, link_id: str, *, account: str = "N1") -> LinkReturn:
        """Let a page be paid and return what the browser brings back."""
        reference, link = next(item for item in self.made.items() if item[1].link_id == link_id)
        self.made[reference] = replace(link, is_open=False)
        payment_id = f"pay_{link_id}"
        self.payments[payment_id] = GatewayPayment(
            payment_id=payment_id,
            account=account,
            amount_paise=link.amount_paise,
            method="upi",
            state=GatewayState.CAPTURED,
            created_at=NOW,
        )
        return signed(
            LinkReturn(
                link_id=link_id, reference=reference, status="paid", payment_id=payment_id, signature=""
            )
        )

    def fetch(self, *, payment_id: str) -> GatewayPayment:
        try:
            return self.payments[payment_id]
        except KeyError:
            raise UnknownPayment(f"there is no {payment_id}") from None


def signed(back: LinkReturn) -> LinkReturn:
    told = "|".join((back.link_id, back.reference, back.status, back.payment_id))
    return replace(back, signature=hmac.new(SECRET.encode(), told.encode(), hashlib.sha256).hexdigest())


@pytest.fixture
def pages(line: Line, monkeypatch: pytest.MonkeyPatch) -> FakePages:
    monkeypatch.setenv("BIJLIGHAR_GATEWAY_KEY_ID", "rzp_test")
    monkeypatch.setenv("BIJLIGHAR_GATEWAY_KEY_SECRET", SECRET)
    monkeypatch.setenv("BIJLIGHAR_GATEWAY_WEBHOOK_SECRET", "a webhook secret")
    monkeypatch.setenv("BIJLIGHAR_WEB_PUBLIC_URL", "https://consumers.example")
    fake = FakePages()
    line.payment_gateway = fake
    return fake


@pytest.fixture
def town(line: Line) -> World:
    """N1 owes two bills, N2 nothing."""
    world = World(database=line.database).start(("N1", "N2"))
    for month in (5, 6):
        world.at(date(2025, month, 1)).bill("N1", issued_on=date(2025, month, 1))
    return world.at(local_date(NOW))


def start(line: Line, paise: int = BOTH_BILLS, *, account: str = "N1", later: timedelta = timedelta()) -> str:
    return start_payment(line, account=account, amount_paise=paise, now=NOW + later)


def told(line: Line, account: str = "N1") -> list[tuple[str, int | None]]:
    with line.database.read() as connection:
        rows = payment_store.told(connection, account=account, since=NOW - timedelta(days=1))
        return [(row.payment_id, row.amount_paise) for row in rows]


def owed(line: Line, account: str = "N1") -> int:
    with line.database.read() as connection:
        return ledger.balance_paise(connection, account=account)


@pytest.mark.usefixtures("town")
class TestStartPayment:
    def test_makes_a_page_for_the_account(self, line: Line, pages: FakePages):
        assert start(line) == "https://pay.example/plink_1"

        (request,) = pages.asked
        assert (request.account, request.amount_paise) == ("N1", BOTH_BILLS)
        assert (request.phone, request.return_url) == ("+919826000000", "https://consumers.example/me/paid")
        assert "N1" in request.description
        assert can_pay(line)

    def test_leads_to_the_same_page_on_the_same_day(self, line: Line, pages: FakePages):
        assert start(line) == start(line)
        assert len(pages.asked) == 1
        assert start(line, 50_000) != start(line)
        assert start(line, later=timedelta(days=1)) != start(line)

    def test_finds_the_page_whose_answer_was_lost(self, line: Line, pages: FakePages):
        pages.down = 1
        with pytest.raises(GatewayUnavailable):
            start(line)

        assert start(line) == "https://pay.example/plink_1"
        assert len({request.reference for request in pages.asked}) == 1

    def test_makes_another_page_once_the_first_is_paid(self, line: Line, pages: FakePages):
        start(line, 10_000)
        pages.pay("plink_1")

        assert start(line, 10_000) == "https://pay.example/plink_2"
        assert start(line, 10_000) == "https://pay.example/plink_2"

    @pytest.mark.parametrize("paise", [-1, 0, 99, BOTH_BILLS + ADVANCE_PAISE_MAX + 1, 10**15])
    def test_refuses_a_sum_that_cannot_be_meant(self, line: Line, pages: FakePages, paise: int):
        with pytest.raises(ImpossibleAmount):
            start(line, paise)
        assert pages.asked == []

    def test_takes_the_least_and_the_most(self, line: Line, pages: FakePages):
        assert start(line, 100)
        assert start(line, BOTH_BILLS + ADVANCE_PAISE_MAX)
        assert start(line, ADVANCE_PAISE_MAX, account="N2")

    def test_begins_only_so_many_a_day(self, line: Line, pages: FakePages):
        for place in range(LINKS_PER_DAY):
            start(line, 1_000 + place)

        with pytest.raises(TooManyPayments):
            start(line, 5_000)
        assert start(line, 1_000)
        assert start(line, 5_000, account="N2")

    def test_needs_a_gateway(self, line: Line):
        assert not can_pay(line)
        with pytest.raises(NotConfigured):
            start(line)


@pytest.mark.usefixtures("town")
class TestAcceptReturn:
    def test_has_the_payment_fetched_and_shows_it_meanwhile(self, line: Line, pages: FakePages):
        start(line)
        back = pages.pay("plink_1")

        assert accept_return(line, back=back, now=NOW) == "N1"
        assert accept_return(line, back=back, now=NOW) == "N1"
        assert told(line) == [("pay_plink_1", BOTH_BILLS)]
        assert settle_due(line, now=NOW) == 1
        assert (told(line), owed(line)) == ([], 0)

    def test_posts_once_with_the_callback_before_or_after(self, line: Line, pages: FakePages):
        start(line)
        back = pages.pay("plink_1")
        body = event("pay_plink_1")
        signature = hmac.new(b"a webhook secret", body, hashlib.sha256).hexdigest()

        accept_event(line, body=body, signature=signature, event_id="evt_1", now=NOW)
        while settle_due(line, now=NOW):
            pass
        accept_return(line, back=back, now=NOW)
        assert told(line) == []
        while settle_due(line, now=NOW):
            pass

        assert owed(line) == 0
        with line.database.read() as connection:
            assert len(ledger.payments(connection, account="N1")) == 1

    def test_believes_no_other_signature(self, line: Line, pages: FakePages):
        start(line)
        back = pages.pay("plink_1")
        for false in (
            replace(back, signature=""),
            replace(back, signature="é"),
            replace(back, payment_id="pay_other"),
            replace(back, reference="x\x00"),
            signed(replace(back, reference="250618-unknown-1")),
            signed(replace(back, link_id="plink_9")),
        ):
            with pytest.raises(ForgedCallback):
                accept_return(line, back=false, now=NOW)

        assert told(line) == []
        with line.database.read() as connection:
            assert inbox.unsettled(connection, provider=PROVIDER, limit=9) == ()

    def test_orders_nothing_where_nothing_was_paid(self, line: Line, pages: FakePages):
        start(line)
        back = signed(replace(pages.pay("plink_1"), status="cancelled"))

        assert accept_return(line, back=back, now=NOW) is None
        assert told(line) == []


@pytest.mark.usefixtures("town")
class TestToldOf:
    def test_is_what_a_callback_names_until_the_gateway_was_asked(self, line: Line, pages: FakePages):
        body = (
            b'{"event": "payment.authorized", "payload": {"payment": {"entity": '
            b'{"id": "pay_7", "amount": 99, "notes": {"account": "N1"}}}}}'
        )
        signature = hmac.new(b"a webhook secret", body, hashlib.sha256).hexdigest()
        accept_event(line, body=body, signature=signature, event_id="evt_7", now=NOW)

        assert told(line) == [("pay_7", None)]
        assert settle_due(line, now=NOW) == 1
        assert told(line) == []

    def test_keeps_the_sum_that_is_known(self, line: Line):
        with line.database.write() as connection:
            for paise in (500, None):
                payment_store.tell(
                    connection,
                    payment=ToldPayment(payment_id="pay_1", account="N1", amount_paise=paise, told_at=NOW),
                )

        assert told(line) == [("pay_1", 500)]
