from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.ledger.conftest import NOW
from tests.ledger.test_operations import bill, open_paise
from tests.notices.kit import PATIENCE_S, SECRETS, Taken, providers

from bijlighar.ledger import operations, queries, rules
from bijlighar.ledger.errors import GatewayRefused, GatewayUnavailable, InvalidPayment, UnknownPayment
from bijlighar.ledger.model import GatewayPayment, GatewaySettings, HoldKind, LinkRequest
from bijlighar.ledger.ports import PaymentGateway
from bijlighar.ledger.razorpay import RazorpayGateway
from bijlighar.storage import inbox
from bijlighar.storage.engine import Database

GOOD = (
    b'{"id":"pay_1","currency":"INR","amount":500,"created_at":1746166800,"method":"upi","status":"captured",'
    b'"notes":{"account":" N1 "}}'
)


@pytest.fixture
def answering() -> "Callable[[int, bytes], GatewayPayment]":
    def fetch(status: int, body: bytes) -> GatewayPayment:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.handle_request)
            thread.start()
            gateway = RazorpayGateway(
                GatewaySettings(
                    base_url=f"http://127.0.0.1:{server.server_port}/",
                    key_id="k",
                    key_secret="s",
                    webhook_secret="w",
                )
            )
            try:
                return gateway.fetch(payment_id="pay_1")
            finally:
                gateway.close()
                thread.join(PATIENCE_S)

    return fetch


class TestFetch:
    def test_reads_a_payment(self, answering: Callable[[int, bytes], GatewayPayment]):
        fetched = answering(200, GOOD)

        assert (fetched.amount_paise, fetched.account, fetched.created_at) == (
            500,
            "N1",
            NOW + timedelta(minutes=20),
        )

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"INR"', b'"USD"'),
            (b"500", b"500.5"),
            (b"500", b'"500"'),
            (b"500", b"0"),
            (b"500", b"-500"),
            (b"500", b"true"),
            (b'"captured"', b'"dancing"'),
            (b"1746166800", b"null"),
            (b'"method":"upi",', b""),
            (b'{"account":" N1 "}', b'"N1"'),
            (b"1746166800", b"99999999999999999999"),
        ],
    )
    def test_refuses_what_it_does_not_understand(
        self, answering: Callable[[int, bytes], GatewayPayment], old: bytes, new: bytes
    ):
        assert old in GOOD
        with pytest.raises(GatewayRefused, match="cannot be understood"):
            answering(200, GOOD.replace(old, new))

    @pytest.mark.parametrize(
        "notes", [b"[]", b"{}", b"null", b'{"account":""}', b'{"account":null}', b'{"a":"b"}']
    )
    def test_takes_a_payment_that_names_nobody(
        self, answering: Callable[[int, bytes], GatewayPayment], notes: bytes
    ):
        assert answering(200, GOOD.replace(b'{"account":" N1 "}', notes)).account is None

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, UnknownPayment),
            (404, UnknownPayment),
            (401, GatewayUnavailable),
            (403, GatewayUnavailable),
            (429, GatewayUnavailable),
            (500, GatewayUnavailable),
            (503, GatewayUnavailable),
        ],
    )
    def test_tells_what_is_worth_trying_again(
        self, answering: Callable[[int, bytes], GatewayPayment], status: int, error: type[Exception]
    ):
        with pytest.raises(error):
            answering(status, b"{}")

    def test_tries_again_what_is_not_json(self, answering: Callable[[int, bytes], GatewayPayment]):
        with pytest.raises(GatewayUnavailable, match="not JSON"):
            answering(200, b"<html>")


class TestLinkRequest:
    @pytest.mark.parametrize(
        ("paise", "reference"), [(99, "L"), (0, "L"), (-100, "L"), (100, ""), (100, "L" * 41)]
    )
    def test_refuses_what_the_gateway_would_not_take(self, paise: int, reference: str):
        with pytest.raises(InvalidPayment):
            LinkRequest(account="N1", amount_paise=paise, reference=reference, description="")

    def test_takes_the_least(self):
        assert LinkRequest(account="N1", amount_paise=100, reference="L" * 40, description="").phone is None


class Till:
    """What the web server and its worker do with a callback about payments, in one go."""

    def __init__(self, database: Database, gateway: PaymentGateway) -> None:
        self._database = database
        self._gateway = gateway
        self.receipts: list[Any] = []

    def __call__(self, taken: Taken) -> int:
        signature = taken.headers["x-razorpay-signature"]
        if not rules.verify_signature(
            secret=SECRETS.gateway_webhook_secret, body=taken.body, signature=signature
        ):
            return 403
        event = rules.parse_event(taken.body)
        assert event is not None
        event_id = taken.headers["x-razorpay-event-id"]
        with self._database.write() as connection:
            if not inbox.store(connection, provider="razorpay", event_id=event_id, body=taken.body, now=NOW):
                return 200
        try:
            fetched = self._gateway.fetch(payment_id=event.payment_id)
        except UnknownPayment:
            return 200
        with self._database.write() as connection:
            receipt = operations.settle(
                connection, provider="razorpay", fetched=fetched, event_id=event_id, now=NOW
            )
            if receipt is not None:
                self.receipts.append(receipt)
        return 200


class TestWithTheFakeGateway:
    def test_posts_each_payment_once_from_what_the_gateway_says(self, ledger: Database, tmp_path: Path):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=10_000)
        with providers(tmp_path) as (process, server):
            gateway = operations.open_gateway(process.gateway)
            till = server.answer = Till(ledger, gateway)
            pay = process.control.pay
            paid = [
                pay(account="N1", amount_paise=100, method="upi", at=NOW, reference=f"r{number}")
                for number in range(20)
            ]
            pay(account="N9", amount_paise=70, method="upi", at=NOW, reference="stranger")
            on_its_way = pay(
                account="N1", amount_paise=30, method="upi", at=NOW, reference="slow", status="authorized"
            )
            process.control.wait_until_told(patience_s=PATIENCE_S)
            with ledger.read() as connection:
                (hold,) = queries.holds(connection, account="N1")
            forged = [
                process.control.forge("payment_signature", account="N1", amount_paise=10_000),
                process.control.forge("unknown_payment", account="N1", amount_paise=10_000),
                process.control.forge(
                    "inflated_amount", account="N1", amount_paise=10_000, payment_id=paid[0]
                ),
            ]
            process.control.capture(payment_id=on_its_way)
            process.control.wait_until_told(patience_s=PATIENCE_S)
            gateway.close()

        assert forged == [403, 200, 200]
        assert (hold.payment_id, hold.kind, hold.amount_paise) == (on_its_way, HoldKind.GATEWAY, 30)
        assert len(till.receipts) == 22
        with ledger.read() as connection:
            assert open_paise(connection) == {"B1": 10_000 - 20 * 100 - 30}
            assert queries.holds(connection) == ()
            assert [each.amount_paise for each in queries.unmatched(connection)] == [70]
            assert queries.check(connection).ok

    def test_takes_back_what_was_refunded(self, ledger: Database, tmp_path: Path):
        with ledger.write() as connection:
            bill(connection, document="B1", paise=500)
        with providers(tmp_path) as (process, server):
            gateway = operations.open_gateway(process.gateway)
            server.answer = Till(ledger, gateway)
            number = process.control.pay(account="N1", amount_paise=500, method="upi", at=NOW, reference="r")
            process.control.wait_until_told(patience_s=PATIENCE_S)
            process.control.refund(payment_id=number)
            process.control.wait_until_told(patience_s=PATIENCE_S)
            gateway.close()

        with ledger.read() as connection:
            assert open_paise(connection) == {"B1": 500}
            assert queries.check(connection).ok
