import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bijlighar.ledger import operations as ledger
from bijlighar.ledger import rules as ledger_rules
from bijlighar.ledger.errors import GatewayRefused, GatewayUnavailable, UnknownPayment
from bijlighar.ledger.model import GatewaySettings, GatewayState, LinkRequest, LinkReturn, PaymentLink
from bijlighar.notices import operations as notices
from bijlighar.notices import rules as notices_rules
from bijlighar.notices.model import Accepted, Outgoing, Refused, TryLater, WhatsAppSettings
from bijlighar.simulator import providers_fate as fate
from bijlighar.simulator.errors import PortTaken
from bijlighar.simulator.providers import serve_providers
from bijlighar.simulator.providers_client import ProviderControl, ProvidersSilent
from tests.notices.kit import (
    NOW,
    PATIENCE_S,
    SECRETS,
    CallbackServer,
    ProviderProcess,
    Taken,
    free_port,
    providers,
)

LINK = LinkRequest(
    account="N1",
    amount_paise=50_000,
    reference="L-1",
    description="बिल",
    name="आशा",
    phone="+919893000001",
    return_url="http://consumers.example/me/paid",
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProviderProcess, CallbackServer]]:
    with providers(tmp_path_factory.mktemp("providers")) as running:
        yield running


def outgoing(number: int, *, phone: str | None = None, words: str = "आशा") -> Outgoing:
    return Outgoing(
        reference=f"m{number}",
        phone=phone or f"9198{number:08d}",
        language="hi",
        template="bijlighar_bill_v1",
        parameters=(("name", words), ("amount_paise", "₹500.00")),
    )


def statuses(taken: list[Taken]) -> list[tuple[str | None, str]]:
    found = []
    for each in taken:
        if each.path == "/callbacks/whatsapp":
            assert notices_rules.verify_signature(
                secret=SECRETS.whatsapp_app_secret, body=each.body, header=each.headers["x-hub-signature-256"]
            )
            callback = notices_rules.parse_callback(each.body)
            found.extend((status.reference, status.state.value) for status in callback.statuses)
    return found


class TestMessages:
    def test_are_taken_and_told_of_as_the_seed_says(self, town: tuple[ProviderProcess, CallbackServer]):
        process, server = town
        gateway = notices.open_gateway(process.whatsapp)
        results = [gateway.send(outgoing=outgoing(number)) for number in range(100, 200)]
        gateway.close()
        process.control.wait_until_told(patience_s=PATIENCE_S)

        assert all(isinstance(result, Accepted) for result in results)
        assert len({result.provider_id for result in results if isinstance(result, Accepted)}) == 100
        expected = Counter(
            (f"m{number}", planned.what)
            for number in range(100, 200)
            for planned in fate.receipts(seed=7, phone=f"9198{number:08d}", template="bijlighar_bill_v1")
        )
        assert Counter(statuses(server.taken)) == expected
        assert max(expected.values()) == 2
        assert {state for _, state in expected} == {"sent", "delivered", "read", "failed"}
        words = [message["words"] for message in process.control.messages()]
        assert words[0] == {"name": "आशा", "amount_paise": "₹500.00"}

    def test_carry_the_simulated_time(self, town: tuple[ProviderProcess, CallbackServer]):
        process, server = town
        later = NOW + timedelta(days=30)
        process.control.set_time(later)
        gateway = notices.open_gateway(process.whatsapp)
        gateway.send(outgoing=outgoing(900))
        gateway.close()
        process.control.wait_until_told(patience_s=PATIENCE_S)

        last = notices_rules.parse_callback(server.taken[-1].body).statuses[-1]
        assert last.at == later

    @pytest.mark.parametrize(
        ("phone", "words"),
        [("12", "आशा"), ("919800000001", "a\nb"), ("919800000001", "a     b"), ("919800000001", "")],
    )
    def test_are_refused_as_the_real_one_would(
        self, town: tuple[ProviderProcess, CallbackServer], phone: str, words: str
    ):
        gateway = notices.open_gateway(town[0].whatsapp)
        result = gateway.send(outgoing=outgoing(1, phone=phone, words=words))
        gateway.close()

        assert isinstance(result, Refused)
        assert "400" in result.reason

    @pytest.mark.parametrize("status", [429, 500, 400])
    def test_are_tried_later_when_the_provider_is_busy(
        self, town: tuple[ProviderProcess, CallbackServer], status: int
    ):
        town[0].control.misbehave(status=status, count=1)
        gateway = notices.open_gateway(town[0].whatsapp)
        results = [gateway.send(outgoing=outgoing(901)) for _ in range(2)]
        gateway.close()

        assert [type(result) for result in results] == [TryLater, Accepted]

    def test_are_tried_later_with_a_wrong_token(self, town: tuple[ProviderProcess, CallbackServer]):
        good = town[0].whatsapp
        gateway = notices.open_gateway(
            WhatsAppSettings(url=good.url, phone_number_id=good.phone_number_id, token="wrong")
        )
        result = gateway.send(outgoing=outgoing(1))
        gateway.close()

        assert isinstance(result, TryLater)
        assert "401" in result.reason

    def test_are_tried_later_when_nobody_answers(self):
        gateway = notices.open_gateway(
            WhatsAppSettings(
                url=f"http://127.0.0.1:{free_port()}", phone_number_id="1", token="t", timeout_s=1
            )
        )
        result = gateway.send(outgoing=outgoing(1))
        gateway.close()

        assert isinstance(result, TryLater)


class TestPayments:
    def pay(self, process: ProviderProcess, reference: str, status: str = "captured") -> str:
        return process.control.pay(
            account="N1", amount_paise=50_000, method="upi", at=NOW, reference=reference, status=status
        )

    def events(self, server: CallbackServer, payment_id: str) -> list[tuple[str, str]]:
        found = []
        for each in server.taken:
            if each.path != "/callbacks/payment":
                continue
            assert ledger_rules.verify_signature(
                secret=SECRETS.gateway_webhook_secret,
                body=each.body,
                signature=each.headers["x-razorpay-signature"],
            )
            event = ledger_rules.parse_event(each.body)
            assert event is not None
            if event.payment_id == payment_id:
                found.append((event.event, each.headers["x-razorpay-event-id"]))
        return found

    def test_are_told_of_and_answered_for(self, town: tuple[ProviderProcess, CallbackServer]):
        process, server = town
        numbers = [self.pay(process, f"told/{number}") for number in range(40)]
        process.control.wait_until_told(patience_s=PATIENCE_S)
        gateway = ledger.open_gateway(process.gateway)
        fetched = gateway.fetch(payment_id=numbers[0])
        gateway.close()

        assert (fetched.account, fetched.amount_paise, fetched.state) == ("N1", 50_000, GatewayState.CAPTURED)
        assert fetched.created_at == NOW
        for number in numbers:
            found = self.events(server, number)
            assert {event for event, _ in found} == {"payment.authorized", "payment.captured"}
            assert len(set(found)) == 2
        assert len([1 for number in numbers if len(self.events(server, number)) == 3]) > 0

    def test_are_made_once_per_reference(self, town: tuple[ProviderProcess, CallbackServer]):
        process, _ = town
        before = process.control.state()["payments"]

        assert self.pay(process, "twice") == self.pay(process, "twice")
        assert process.control.state()["payments"] == before + 1

    def test_can_be_on_their_way(self, town: tuple[ProviderProcess, CallbackServer]):
        process, server = town
        waiting, failing = self.pay(process, "slow", "authorized"), self.pay(process, "bad", "authorized")
        gateway = ledger.open_gateway(process.gateway)
        states = [gateway.fetch(payment_id=waiting).state]
        process.control.capture(payment_id=waiting)
        process.control.fail(payment_id=failing)
        states += [gateway.fetch(payment_id=number).state for number in (waiting, failing)]
        process.control.refund(payment_id=waiting)
        states.append(gateway.fetch(payment_id=waiting).state)
        gateway.close()
        process.control.wait_until_told(patience_s=PATIENCE_S)

        assert states == [
            GatewayState.AUTHORIZED,
            GatewayState.CAPTURED,
            GatewayState.FAILED,
            GatewayState.REFUNDED,
        ]
        assert {event for event, _ in self.events(server, failing)} == {
            "payment.authorized",
            "payment.failed",
        }

    def test_of_nobody_have_empty_notes(self, town: tuple[ProviderProcess, CallbackServer]):
        process, _ = town
        number = process.control.pay(account=None, amount_paise=5, method="card", at=NOW, reference="nobody")
        gateway = ledger.open_gateway(process.gateway)
        fetched = gateway.fetch(payment_id=number)
        gateway.close()

        assert fetched.account is None

    @pytest.mark.parametrize("payment_id", ["pay_00000000000000", "../orders", "", "pay_é"])
    def test_that_nobody_made_are_unknown(
        self, town: tuple[ProviderProcess, CallbackServer], payment_id: str
    ):
        gateway = ledger.open_gateway(town[0].gateway)
        with pytest.raises(UnknownPayment):
            gateway.fetch(payment_id=payment_id)
        gateway.close()

    def test_are_refused_with_a_wrong_key(self, town: tuple[ProviderProcess, CallbackServer]):
        good = town[0].gateway
        gateway = ledger.open_gateway(
            GatewaySettings(base_url=good.base_url, key_id="x", key_secret="y", webhook_secret="z")
        )
        with pytest.raises(GatewayUnavailable, match="401"):
            gateway.fetch(payment_id="pay_00000000000000")
        gateway.close()

    def test_are_unavailable_when_nobody_answers(self):
        gateway = ledger.open_gateway(
            GatewaySettings(
                base_url=f"http://127.0.0.1:{free_port()}",
                key_id="x",
                key_secret="y",
                webhook_secret="z",
                timeout_s=1,
            )
        )
        with pytest.raises(GatewayUnavailable):
            gateway.fetch(payment_id="pay_00000000000000")
        gateway.close()


class TestLinks:
    def make(self, process: ProviderProcess, request: LinkRequest) -> PaymentLink:
        gateway = ledger.open_gateway(process.gateway)
        try:
            return gateway.create_payment_link(request=request)
        finally:
            gateway.close()

    def test_are_made_once_for_a_reference(self, town: tuple[ProviderProcess, CallbackServer]):
        links = [self.make(town[0], LINK) for _ in range(2)]

        assert links[0] == links[1]
        assert (links[0].amount_paise, links[0].is_open) == (50_000, True)
        with pytest.raises(GatewayRefused, match="already exists"):
            self.make(town[0], replace(LINK, amount_paise=60_000))

    def test_are_paid_by_a_browser_that_brings_the_proof_back(
        self, town: tuple[ProviderProcess, CallbackServer]
    ):
        process, server = town
        link = self.make(process, replace(LINK, reference="L-2"))

        with httpx.Client(trust_env=False) as browser:
            page = browser.get(link.url)
            paid = browser.post(f"{link.url}/pay")
            again = browser.post(f"{link.url}/pay")
        process.control.wait_until_told(patience_s=PATIENCE_S)

        assert (page.status_code, "₹500.00" in page.text) == (200, True)
        assert "<script" not in page.text
        assert (paid.status_code, again.headers["location"]) == (303, paid.headers["location"])
        address = urlsplit(paid.headers["location"])
        told = {name: values[0] for name, values in parse_qs(address.query).items()}
        back = LinkReturn(
            link_id=told["razorpay_payment_link_id"],
            reference=told["razorpay_payment_link_reference_id"],
            status=told["razorpay_payment_link_status"],
            payment_id=told["razorpay_payment_id"],
            signature=told["razorpay_signature"],
        )
        assert (address.path, back.link_id, back.reference, back.status) == (
            "/me/paid",
            link.link_id,
            "L-2",
            "paid",
        )
        assert ledger_rules.verify_return(secret=SECRETS.gateway_key_secret, back=back)
        assert not ledger_rules.verify_return(secret=SECRETS.gateway_webhook_secret, back=back)
        assert not ledger_rules.verify_return(
            secret=SECRETS.gateway_key_secret, back=replace(back, payment_id="pay_other")
        )
        gateway = ledger.open_gateway(process.gateway)
        fetched, seen = gateway.fetch(payment_id=back.payment_id), gateway.payment_link(link_id=link.link_id)
        gateway.close()
        assert (fetched.account, fetched.amount_paise, fetched.state) == ("N1", 50_000, GatewayState.CAPTURED)
        assert not seen.is_open
        events = [json.loads(taken.body) for taken in server.taken if taken.path == "/callbacks/payment"]
        own = [each for each in events if each["payload"]["payment"]["entity"]["id"] == back.payment_id]
        assert {each["event"] for each in own} == {
            "payment.authorized",
            "payment.captured",
            "payment_link.paid",
        }
        assert all(each["payload"]["payment"]["entity"]["notes"] == [] for each in own)
        named = [ledger_rules.parse_event(json.dumps(each).encode()) for each in own]
        assert {each.account for each in named if each is not None} == {None, "N1"}

    def test_say_when_the_payment_failed(self, town: tuple[ProviderProcess, CallbackServer]):
        link = self.make(town[0], replace(LINK, reference="L-3"))

        with httpx.Client(trust_env=False) as browser:
            assert "The payment failed" in browser.post(f"{link.url}/fail").text
            assert browser.get(f"{link.url}x").status_code == 400

    @pytest.mark.parametrize("link_id", ["plink_00000000000000", "..", "a/b", ""])
    def test_are_unknown_when_they_do_not_exist(
        self, town: tuple[ProviderProcess, CallbackServer], link_id: str
    ):
        gateway = ledger.open_gateway(town[0].gateway)
        with pytest.raises(UnknownPayment):
            gateway.payment_link(link_id=link_id)
        gateway.close()

    @pytest.mark.parametrize("return_url", ["javascript:alert(1)", "/me"])
    def test_lead_back_to_the_web_alone(self, town: tuple[ProviderProcess, CallbackServer], return_url: str):
        with pytest.raises(GatewayRefused):
            self.make(town[0], replace(LINK, reference="L-4", return_url=return_url))


class TestCallbacks:
    def test_are_sent_again_until_they_are_taken(self, tmp_path: Path):
        with providers(tmp_path) as (process, server):
            server.answer = lambda taken: 503 if len(server.taken) < 6 else 200
            process.control.pay(account="N1", amount_paise=5, method="upi", at=NOW, reference="r")
            process.control.wait_until_told(patience_s=PATIENCE_S)

            assert len(server.taken) >= 7

    def test_survive_the_death_of_the_providers(self, tmp_path: Path):
        with providers(tmp_path) as (process, server):
            server.answer = lambda taken: 503
            gateway = notices.open_gateway(process.whatsapp)
            for number in range(30):
                assert isinstance(gateway.send(outgoing=outgoing(number)), Accepted)
            gateway.close()
            number = process.control.pay(account="N1", amount_paise=5, method="upi", at=NOW, reference="r")
            waiting = process.control.undelivered()

            process.kill()
            process.start()

            assert process.control.undelivered() == waiting > 60
            server.taken.clear()
            server.answer = lambda taken: 200
            process.control.wait_until_told(patience_s=PATIENCE_S)
            assert {reference for reference, _ in statuses(server.taken)} == {
                f"m{each}" for each in range(30)
            }
            assert [payment["id"] for payment in process.control.payments()] == [number]
            assert process.control.state()["messages"] == 30

    def test_wait_for_a_server_that_is_down(self, tmp_path: Path):
        port = free_port()
        process = ProviderProcess(tmp_path, callback_base_url=f"http://127.0.0.1:{port}")
        process.control.pay(account="N1", amount_paise=5, method="upi", at=NOW, reference="r")
        with pytest.raises(ProvidersSilent, match="were not taken"):
            process.control.wait_until_told(patience_s=0.2)
        process.stop()

    def test_tell_what_a_consumer_wrote(self, town: tuple[ProviderProcess, CallbackServer]):
        process, server = town
        process.control.write(phone="919800000001", text="STOP")
        process.control.wait_until_told(patience_s=PATIENCE_S)

        written = [each for each in server.taken if b'"messages"' in each.body]
        (message,) = notices_rules.parse_callback(written[-1].body).inbound
        assert (message.phone, message.text) == ("919800000001", "STOP")


class TestForge:
    @pytest.mark.parametrize(
        ("kind", "genuine"),
        [
            ("payment_signature", False),
            ("message_signature", False),
            ("unknown_payment", True),
            ("inflated_amount", True),
        ],
    )
    def test_is_told_apart_by_the_signature(
        self, town: tuple[ProviderProcess, CallbackServer], kind: str, *, genuine: bool
    ):
        process, server = town
        before = len(server.taken)

        status = process.control.forge(kind, account="N1", amount_paise=999)

        assert status == 200
        taken = server.taken[before]
        if taken.path == "/callbacks/payment":
            signature = taken.headers["x-razorpay-signature"]
            found = ledger_rules.verify_signature(
                secret=SECRETS.gateway_webhook_secret, body=taken.body, signature=signature
            )
        else:
            header = taken.headers["x-hub-signature-256"]
            found = notices_rules.verify_signature(
                secret=SECRETS.whatsapp_app_secret, body=taken.body, header=header
            )
        assert found == genuine


class TestPorts:
    def test_do_not_serve_each_others_requests(self, town: tuple[ProviderProcess, CallbackServer]):
        process, _ = town
        answer = httpx.post(f"http://127.0.0.1:{process.port}/control/state", json={}, trust_env=False)

        assert answer.status_code == 401

    def test_answer_nonsense_with_400(self, town: tuple[ProviderProcess, CallbackServer]):
        process, _ = town
        headers = {"Authorization": f"Bearer {SECRETS.whatsapp_token}"}
        url = f"http://127.0.0.1:{process.port}/v23.0/1/messages"
        answers = [
            httpx.post(url, content=body, headers=headers, trust_env=False)
            for body in (b"", b"{", b"[]", b'{"messaging_product":"sms","type":"template"}')
        ]

        assert [answer.status_code for answer in answers] == [400] * 4
        assert "error" in json.loads(answers[0].text)

    def test_in_use_are_named(self, tmp_path: Path, town: tuple[ProviderProcess, CallbackServer]):
        with pytest.raises(PortTaken, match=str(town[0].port)):
            serve_providers(
                folder=tmp_path,
                port=town[0].port,
                control_port=free_port(),
                callback_base_url="http://127.0.0.1:1",
                secrets=SECRETS,
                seed=1,
                start_at=NOW,
            )

    def test_refuse_an_unknown_order(self, town: tuple[ProviderProcess, CallbackServer]):
        with pytest.raises(ProvidersSilent, match="refuse"):
            town[0].control._ask("dance")

    def test_that_nobody_serves_are_said_to_be_silent(self):
        control = ProviderControl(f"127.0.0.1:{free_port()}")
        with pytest.raises(ProvidersSilent, match="are they started"):
            control.wait_until_ready(patience_s=0.1)
        control.close()


class TestSpeed:
    def test_takes_and_tells_several_hundred_messages_a_second(self, tmp_path: Path):
        with providers(tmp_path) as (process, _):
            gateway = notices.open_gateway(process.whatsapp)
            numbers = iter(range(400))
            lock = threading.Lock()

            def work() -> None:
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    assert isinstance(gateway.send(outgoing=outgoing(number)), Accepted)

            started = time.monotonic()
            workers = [threading.Thread(target=work) for _ in range(8)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(PATIENCE_S)
            process.control.wait_until_told(patience_s=PATIENCE_S)
            took_s = time.monotonic() - started
            gateway.close()

        assert 400 / took_s > 60, f"{400 / took_s:.0f} messages a second"
