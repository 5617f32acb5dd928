"""The web server as providers, consumers and strangers meet it: only what is genuine changes anything, and once."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient
from sqlalchemy import Connection, func, select

from bijlighar.billing import operations as billing
from bijlighar.billing import queries as bills
from bijlighar.ledger import rules as ledger_rules
from bijlighar.notices import queries as notice_queries
from bijlighar.notices import rules as notice_rules
from bijlighar.notices.model import Channel, MessageState, Purpose
from bijlighar.runtime import payments, progress
from bijlighar.runtime.clock import wall
from bijlighar.runtime.documents import notice_link
from bijlighar.runtime.health import FAILURES_TOLERATED
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.schema import catalogue
from bijlighar.storage import inbox, jobs
from bijlighar.storage.inbox import InboxState
from bijlighar.web.app import BODY_BYTES_MAX, HEADERS, create_app
from bijlighar.web.server import PortTaken, run_web
from tests.arrears.world import World
from tests.billing import town
from tests.notices.kit import free_port

PAYMENT_SECRET, MESSAGE_SECRET, WORD = "payment secret", "message secret", "the agreed word"
SETTINGS = {
    "BIJLIGHAR_GATEWAY_WEBHOOK_SECRET": PAYMENT_SECRET,
    "BIJLIGHAR_WHATSAPP_APP_SECRET": MESSAGE_SECRET,
    "BIJLIGHAR_WHATSAPP_VERIFY_TOKEN": WORD,
}
Client = TestClient  # type: ignore[type-arg]
PATIENCE_S = 30


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The line of an empty home with secrets."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    opened = Line(Home(tmp_path / "home"), worker="worker@test")
    yield opened
    opened.database.close()


@pytest.fixture
def client(line: Line) -> Iterator[Client]:
    """A browser, or a provider."""
    with TestClient(create_app(line), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def world(line: Line) -> World:
    """A town with an account in arrears: its statutory notice is printed, its WhatsApp message waits."""
    return World(database=line.database).start().in_arrears("N1")


def stored(line: Line) -> dict[str, int]:
    """Return how many rows each table has."""
    with line.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in catalogue().sorted_tables
        }


def payment_event(payment_id: str = "pay_1") -> bytes:
    entity = {"id": payment_id, "amount": 1, "notes": {"account": "N1"}}
    return json.dumps({"event": "payment.captured", "payload": {"payment": {"entity": entity}}}).encode()


def pay(
    client: Client, body: bytes, *, signature: str | None = None, event_id: str = "evt_1"
) -> httpx.Response:
    genuine = ledger_rules.signature(secret=PAYMENT_SECRET, body=body)
    headers = {
        "X-Razorpay-Signature": genuine if signature is None else signature,
        "X-Razorpay-Event-Id": event_id,
    }
    answer: httpx.Response = client.post("/callbacks/payment", content=body, headers=headers)
    return answer


def message_event(reference: str = "m1", status: str = "delivered") -> bytes:
    each = {
        "id": "wamid.1",
        "status": status,
        "timestamp": str(int(wall().timestamp())),
        "recipient_id": "919826000000",
        "biz_opaque_callback_data": reference,
    }
    value = {"messaging_product": "whatsapp", "statuses": [each]}
    change = {"field": "messages", "value": value}
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    ).encode()


def receipt(client: Client, body: bytes, *, signature: str | None = None) -> httpx.Response:
    genuine = notice_rules.signature(secret=MESSAGE_SECRET, body=body)
    headers = {"X-Hub-Signature-256": genuine if signature is None else signature}
    answer: httpx.Response = client.post("/callbacks/whatsapp", content=body, headers=headers)
    return answer


class TestPaymentCallback:
    def test_is_stored_once_however_often_it_comes(self, line: Line, client: Client):
        body = payment_event()
        answers = [pay(client, body) for _ in range(3)]

        assert [(answer.status_code, answer.json()["result"]) for answer in answers] == [
            (200, "stored"),
            (200, "known"),
            (200, "known"),
        ]
        with line.database.read() as connection:
            row = inbox.load(connection, provider=payments.PROVIDER, event_id="evt_1")
            assert (row.body, row.state) == (body, InboxState.NEW)
            assert jobs.pending(connection, kinds=(payments.FETCH,), now=wall()) == 1

    def test_that_is_forged_changes_nothing(self, line: Line, client: Client):
        body, before = payment_event(), stored(line)
        other = ledger_rules.signature(secret=PAYMENT_SECRET, body=payment_event("pay_2"))
        wrong_secret = ledger_rules.signature(secret=MESSAGE_SECRET, body=body)
        for signature in ("", "0", "0" * 64, other, wrong_secret):
            answer = pay(client, body, signature=signature)
            assert (answer.status_code, answer.json()["error"]) == (403, "runtime.forged-callback")
        assert client.post("/callbacks/payment", content=body).status_code == 403
        assert stored(line) == before

    def test_that_was_changed_on_its_way_changes_nothing(self, line: Line, client: Client):
        before, signature = stored(line), ledger_rules.signature(secret=PAYMENT_SECRET, body=payment_event())
        for body in (payment_event() + b" ", payment_event().replace(b"N1", b"N2"), b""):
            assert pay(client, body, signature=signature).status_code == 403
        assert stored(line) == before

    def test_that_is_garbled_changes_nothing(self, line: Line, client: Client):
        before = stored(line)
        for body in (
            b"",
            b"{",
            b"[]",
            b"\xff\xfe",
            b'{"event": 1}',
            b"[" * 100_000,
            b'"' + b"x" * 300_000 + b'"',
        ):
            answer = pay(client, body)
            assert (answer.status_code, answer.json()["error"]) == (400, "ledger.broken-event")
        assert stored(line) == before

    def test_that_is_oversized_changes_nothing(self, line: Line, client: Client):
        before = stored(line)
        assert pay(client, b"x" * (BODY_BYTES_MAX + 1)).status_code == 413
        assert pay(client, payment_event(), event_id="e" * 129).status_code == 400
        assert stored(line) == before

    def test_is_refused_where_no_secret_is_set(self, line: Line, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("BIJLIGHAR_GATEWAY_WEBHOOK_SECRET", "")
        bare = Line(Home(line.home.path))
        with TestClient(create_app(bare)) as client:
            body = payment_event()
            answer = pay(client, body, signature=ledger_rules.signature(secret="", body=body))
        assert answer.status_code == 403
        bare.database.close()

    def test_is_only_taken_where_it_belongs(self, client: Client):
        assert client.get("/callbacks/payment").status_code == 405
        assert client.post("/callbacks/other", content=b"{}").status_code == 404


class TestMessageCallback:
    def reference(self, line: Line) -> str:
        with line.database.read() as connection:
            (found,) = [
                message
                for message in notice_queries.messages(connection, purpose=Purpose.STATUTORY_NOTICE)
                if message.channel is Channel.WHATSAPP
            ]
        return f"m{found.id}"

    def state(self, line: Line, reference: str) -> MessageState:
        with line.database.read() as connection:
            return notice_queries.message(connection, number=int(reference[1:])).state

    def test_moves_the_message_and_is_stored_once(self, line: Line, client: Client, world: World):
        reference = self.reference(line)
        body = message_event(reference)
        answers = [receipt(client, body).json()["result"] for _ in range(3)]

        assert answers == ["stored", "known", "known"]
        assert self.state(line, reference) is MessageState.DELIVERED
        rows = stored(line)
        assert receipt(client, message_event(reference, "sent")).status_code == 200
        assert self.state(line, reference) is MessageState.DELIVERED, (
            "an older receipt that comes later moves nothing"
        )
        assert stored(line)["storage_inbox"] == rows["storage_inbox"] + 1

    def test_that_is_forged_changes_nothing(self, line: Line, client: Client, world: World):
        reference = self.reference(line)
        body, before = message_event(reference), stored(line)
        genuine = notice_rules.signature(secret=MESSAGE_SECRET, body=body)
        other = notice_rules.signature(secret=PAYMENT_SECRET, body=body)
        for signature in (
            "",
            "sha256=",
            genuine.removeprefix("sha256="),
            genuine.replace("sha256", "sha1"),
            other,
        ):
            answer = receipt(client, body, signature=signature)
            assert (answer.status_code, answer.json()["error"]) == (403, "runtime.forged-callback")
        assert stored(line) == before
        assert self.state(line, reference) is MessageState.QUEUED

    def test_that_is_garbled_changes_nothing(self, line: Line, client: Client):
        before = stored(line)
        for body in (
            b"",
            b"{",
            b"[]",
            b'{"object": "page", "entry": []}',
            b'{"object": "whatsapp_business_account"}',
        ):
            answer = receipt(client, body)
            assert (answer.status_code, answer.json()["error"]) == (400, "notices.broken-callback")
        assert stored(line) == before

    def test_that_is_oversized_changes_nothing(self, line: Line, client: Client):
        before = stored(line)
        assert receipt(client, b"x" * (BODY_BYTES_MAX + 1)).status_code == 413
        assert stored(line) == before

    def test_of_a_message_that_is_not_ours_moves_none(self, line: Line, client: Client, world: World):
        for reference in ("m999999", "x", ""):
            assert receipt(client, message_event(reference)).status_code == 200
        assert self.state(line, self.reference(line)) is MessageState.QUEUED


class TestChallenge:
    def ask(self, client: Client, **values: str) -> httpx.Response:
        asked = {"hub.mode": "subscribe", "hub.verify_token": WORD, "hub.challenge": "1158201444"}
        answer: httpx.Response = client.get(
            "/callbacks/whatsapp", params=asked | {f"hub.{name}": value for name, value in values.items()}
        )
        return answer

    def test_is_answered_to_who_knows_the_word(self, client: Client):
        answer = self.ask(client)
        assert (answer.status_code, answer.text) == (200, "1158201444")
        assert answer.headers["content-type"].startswith("text/plain")

    def test_is_not_answered_to_others(self, client: Client):
        for values in ({"verify_token": "guess"}, {"verify_token": ""}, {"mode": "unsubscribe"}):
            answer = self.ask(client, **values)
            assert answer.status_code == 403
            assert "1158201444" not in answer.text
        assert client.get("/callbacks/whatsapp").status_code == 403

    def test_is_text_whatever_it_contains(self, client: Client):
        answer = self.ask(client, challenge="<script>alert(1)</script>")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"


class TestHealth:
    def test_of_a_home_that_is_well_is_200(self, client: Client):
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert {"pending", "failing", "halted", "now"} <= set(answer.json())

    def test_of_a_home_whose_step_fails_again_and_again_is_503(self, line: Line, client: Client):
        for _ in range(FAILURES_TOLERATED):
            with line.database.write() as connection:
                self.fail(connection)
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["failing"]) == (503, {"payment": "OSError: down"})

    def fail(self, connection: Connection) -> None:
        progress.record_failure(connection, step="payment", error="OSError: down", now=wall())


class TestBill:
    @pytest.fixture
    def token(self, line: Line) -> str:
        """The token of a bill in Hindi."""
        town.register(line.database, town.row("A1", "MP000101"))
        town.measure(line.database, "MP000101", period=town.APRIL.period)
        issued = billing.issue_due(
            line.database,
            now=town.THIRD_OF_MAY,
            books=town.shipped(),
            due_days=10,
            month=town.APRIL,
            bill_base_url=f"{line.public_url}/b/",
        )
        assert issued == 1
        with line.database.read() as connection:
            (bill,) = bills.bills(connection)
        return bill.token

    def test_is_shown_as_a_pdf_to_who_has_its_link(self, line: Line, client: Client, token: str):
        own, english = client.get(f"/b/{token}"), client.get(f"/b/{token}", params={"lang": "en"})
        for answer in (own, english):
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
            assert answer.content.startswith(b"%PDF-")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-disposition"].startswith("inline")
        assert own.content != english.content
        assert client.get(f"/b/{token}", params={"lang": "fr"}).status_code == 400

    def test_is_not_found_by_guessing(self, client: Client, token: str):
        flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
        for wrong in (flipped, token.swapcase(), token[:-1], "x", "%00", "..%2F..%2Fetc%2Fpasswd", "x" * 500):
            answer = client.get(f"/b/{wrong}")
            assert answer.status_code in (400, 404), wrong
            assert not answer.content.startswith(b"%PDF-")
        told = client.get(f"/b/{flipped}")
        assert (told.status_code, told.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "इस लिंक का कोई बिल नहीं है" in told.text


class TestNotice:
    def reference(self, line: Line) -> str:
        with line.database.read() as connection:
            (found, *_) = notice_queries.messages(connection, purpose=Purpose.STATUTORY_NOTICE)
        return found.reference

    def test_is_shown_whole_to_who_has_its_link(self, line: Line, client: Client, world: World):
        link = notice_link(line, self.reference(line))
        answer = client.get(link.removeprefix(line.public_url))

        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "वैधानिक सूचना" in answer.text
        assert "Name N1" in answer.text

    def test_is_not_shown_to_others(self, line: Line, client: Client, world: World):
        reference = self.reference(line)
        path = notice_link(line, reference).removeprefix(line.public_url)
        good = path.rpartition("/")[2]
        for signature in (
            "0" * len(good),
            good[:-1],
            good + "0",
            good.upper() if good != good.upper() else "x",
            "é",
        ):
            answer = client.get(f"/n/{reference}/{signature}")
            assert (answer.status_code, "Name N1" in answer.text) == (404, False)
        assert client.get(f"/n/{reference}X/{good}").status_code == 404
        assert client.get(f"/n/{reference}").status_code == 404

    def test_of_another_home_is_not_opened_by_this_ones_link(
        self, line: Line, client: Client, world: World, tmp_path: Path
    ):
        other = Line(Home(tmp_path / "other"))
        path = notice_link(other, self.reference(line)).removeprefix(other.public_url)
        assert client.get(path).status_code == 404


class TestHeaders:
    def test_guard_every_answer(self, client: Client):
        answers = [
            client.get("/health"),
            client.get("/b/none"),
            client.get("/nowhere"),
            client.post("/callbacks/payment", content=b"{}"),
            client.get("/callbacks/whatsapp"),
        ]
        for answer in answers:
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (answer.url, name)


class TestFault:
    def test_says_nothing_of_its_inside(self, line: Line, client: Client, monkeypatch: pytest.MonkeyPatch):
        def fail(*_arguments: object, **_options: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(payments, "accept_event", fail)
        answer = pay(client, payment_event())
        assert answer.status_code == 500
        assert "secret detail" not in answer.text
        assert answer.json()["error"] == "web.fault"


class Serving:
    """The real server in a thread of its own."""

    def __init__(self, line: Line) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._line = line
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._started.set()
        await run_web(self._line, port=int(self.url.rpartition(":")[2]), stop=self._stop)

    def __enter__(self) -> "Serving":
        self._thread.start()
        assert self._started.wait(PATIENCE_S)
        transport = httpx.HTTPTransport(retries=9)
        with httpx.Client(transport=transport) as client:
            assert client.get(f"{self.url}/health", timeout=PATIENCE_S).status_code == 200
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class TestServer:
    def test_takes_callbacks_over_a_real_socket(self, line: Line):
        body = payment_event()
        headers = {
            "X-Razorpay-Signature": ledger_rules.signature(secret=PAYMENT_SECRET, body=body),
            "X-Razorpay-Event-Id": "evt_1",
        }
        with Serving(line) as serving, httpx.Client(base_url=serving.url) as client:
            answers = [client.post("/callbacks/payment", content=body, headers=headers) for _ in range(2)]
            huge = client.post("/callbacks/payment", content=b"x" * (2 * BODY_BYTES_MAX), headers=headers)
            in_pieces = client.post(
                "/callbacks/payment", content=(b"x" * 65_536 for _ in range(40)), headers=headers
            )

        assert [answer.json()["result"] for answer in answers] == ["stored", "known"]
        assert "server" not in answers[0].headers
        assert (huge.status_code, in_pieces.status_code) == (413, 413)

    def test_stores_one_of_many_that_come_at_once(self, line: Line):
        body = payment_event()
        headers = {
            "X-Razorpay-Signature": ledger_rules.signature(secret=PAYMENT_SECRET, body=body),
            "X-Razorpay-Event-Id": "evt_1",
        }

        async def send(url: str) -> list[str]:
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
                posts = [client.post("/callbacks/payment", content=body, headers=headers) for _ in range(20)]
                return [answer.json()["result"] for answer in await asyncio.gather(*posts)]

        with Serving(line) as serving:
            results = asyncio.run(send(serving.url))
        assert sorted(results) == ["known"] * 19 + ["stored"]

    def test_tells_that_its_port_is_taken(self, line: Line):
        with Serving(line) as serving, pytest.raises(PortTaken, match="choose another --port"):
            asyncio.run(run_web(line, port=int(serving.url.rpartition(":")[2]), stop=asyncio.Event()))
