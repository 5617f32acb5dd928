import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.notices.conftest import registry_text
from tests.notices.kit import NOW, PATIENCE_S, SECRETS, CallbackServer, Taken, providers
from tests.notices.test_operations import BILL, bill

from bijlighar.notices import operations, queries, sending
from bijlighar.notices.model import (
    Accepted,
    Channel,
    ConsentAction,
    MessageState,
    MessageStatus,
    Outgoing,
    Purpose,
    Refused,
    SendResult,
    TryLater,
)
from bijlighar.registry.operations import import_registry
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

WALL = datetime(2025, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parent.parent.parent


class FakeMessageGateway:
    """Answers from a list, then accepts; remembers what it was given."""

    def __init__(self, *answers: SendResult) -> None:
        self.given: list[Outgoing] = []
        self._answers = list(answers)
        self._lock = threading.Lock()

    def send(self, *, outgoing: Outgoing) -> SendResult:
        with self._lock:
            self.given.append(outgoing)
            if self._answers:
                return self._answers.pop(0)
            return Accepted(provider_id=f"wamid.{len(self.given)}")

    def close(self) -> None:
        return


def send(database: Database, gateway: FakeMessageGateway, *, now: datetime = NOW, worker: str = "w") -> int:
    return operations.send_due(database, now=now, wall=WALL, gateway=gateway, worker=worker)


def only_message(database: Database, channel: Channel = Channel.WHATSAPP) -> tuple[MessageState, str | None]:
    with database.read() as connection:
        (message,) = [each for each in queries.messages(connection) if each.channel is channel]
        return message.state, message.provider_id


class TestSendDue:
    def queue_one(self, database: Database) -> int:
        with database.write() as connection:
            return bill(connection) or 0

    def test_hands_over_template_words_and_our_own_id(self, house: Database):
        number = self.queue_one(house)
        gateway = FakeMessageGateway()

        assert send(house, gateway) == 1

        (outgoing,) = gateway.given
        assert (outgoing.reference, outgoing.phone, outgoing.language, outgoing.template) == (
            f"m{number}",
            "919893000001",
            "hi",
            "bijlighar_bill_v1",
        )
        assert outgoing.parameters[0] == ("name", "आशा वर्मा")
        assert only_message(house) == (MessageState.ACCEPTED, "wamid.1")
        assert send(house, gateway) == 0
        with house.read() as connection:
            assert queries.sent_and_delivered(connection) == (1, 0)

    def test_tries_again_later_what_the_provider_could_not_take(self, house: Database):
        self.queue_one(house)
        gateway = FakeMessageGateway(TryLater(reason="429"), TryLater(reason="429"))

        assert send(house, gateway) == 1
        assert send(house, gateway) == 0
        assert send(house, gateway, now=NOW + timedelta(seconds=2)) == 1
        assert send(house, gateway, now=NOW + timedelta(seconds=4)) == 0
        assert send(house, gateway, now=NOW + timedelta(seconds=6)) == 1

        assert only_message(house)[0] is MessageState.ACCEPTED

    def test_prints_what_the_provider_refuses(self, house: Database):
        self.queue_one(house)

        send(house, FakeMessageGateway(Refused(reason="not on WhatsApp")))

        assert only_message(house) == (MessageState.FAILED, None)
        assert only_message(house, Channel.PRINT)[0] is MessageState.QUEUED
        with house.read() as connection:
            assert queries.sent_and_delivered(connection) == (0, 0)
            assert queries.messages(connection, reference="bill/B-1")[-1].reason == "not on WhatsApp"

    def test_gives_up_after_its_limit_of_attempts(self, house: Database):
        self.queue_one(house)
        gateway = FakeMessageGateway(*[TryLater(reason="503")] * sending.ATTEMPTS_MAX)
        now = NOW
        for _ in range(sending.ATTEMPTS_MAX):
            assert send(house, gateway, now=now) == 1
            now += timedelta(hours=1)

        assert send(house, gateway, now=now) == 0
        assert only_message(house)[0] is MessageState.FAILED
        assert only_message(house, Channel.PRINT)[0] is MessageState.QUEUED

    def test_sends_nothing_to_whoever_stopped_in_the_meantime(self, house: Database):
        self.queue_one(house)
        with house.write() as connection:
            operations.record_consent(
                connection, phone="9893000001", action=ConsentAction.OPT_OUT, how="call", text="STOP", now=NOW
            )
        gateway = FakeMessageGateway()

        send(house, gateway)

        assert gateway.given == []
        assert only_message(house, Channel.PRINT)[0] is MessageState.QUEUED

    def test_does_not_send_again_what_a_receipt_told_of(self, house: Database):
        number = self.queue_one(house)
        told = MessageStatus(provider_id="wamid.9", state=MessageState.SENT, at=NOW, reference=f"m{number}")
        with house.write() as connection:
            operations.record_status(connection, statuses=(told,), now=NOW)
        gateway = FakeMessageGateway()

        assert send(house, gateway) == 1

        assert gateway.given == []
        assert only_message(house) == (MessageState.SENT, "wamid.9")
        with house.read() as connection:
            assert jobs.state_of(connection, key=f"notices.send/{number}") is jobs.JobState.DONE

    def test_applies_the_receipts_that_came_before_the_providers_answer(self, house: Database):
        self.queue_one(house)
        early = MessageStatus(provider_id="wamid.1", state=MessageState.READ, at=NOW)
        with house.write() as connection:
            operations.record_status(connection, statuses=(early,), now=NOW)

        send(house, FakeMessageGateway())

        assert only_message(house)[0] is MessageState.READ

    def test_keeps_the_providers_answer_though_the_lease_ran_out(self, house: Database):
        self.queue_one(house)

        class SlowGateway(FakeMessageGateway):
            def send(self, *, outgoing: Outgoing) -> SendResult:
                with house.write() as connection:
                    jobs.recover(connection, wall=WALL + timedelta(hours=1), now=NOW)
                assert jobs.claim(
                    house, kinds=("notices.send",), worker="other", now=NOW, wall=WALL, lease_s=60
                )
                return super().send(outgoing=outgoing)

        send(house, SlowGateway())

        assert only_message(house)[0] is MessageState.ACCEPTED

    def test_sends_one_consumers_messages_in_their_order(self, house: Database):
        with house.write() as connection:
            for number in range(5):
                bill(connection, key=f"k{number}")
        gateway = FakeMessageGateway()

        send(house, gateway)

        references = [int(outgoing.reference[1:]) for outgoing in gateway.given]
        assert references == sorted(references)
        assert len(references) == 5


def queue_many(database: Database, count: int) -> None:
    accounts = [(f"A{number}", "आशा", f"98{number:08d}", "hi") for number in range(count)]
    with database.write() as connection:
        import_registry(connection, text=registry_text(accounts), now=NOW)
        for account, _, phone, _ in accounts:
            operations.record_consent(
                connection, phone=phone, action=ConsentAction.OPT_IN, how="form", text="हाँ", now=NOW
            )
            operations.queue(
                connection, account=account, purpose=Purpose.BILL, key=f"bill/{account}", facts=BILL, now=NOW
            )


class Receiver:
    """What the web server does with a callback about messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, taken: Taken) -> int:
        signature = taken.headers["x-hub-signature-256"]
        if not operations.verify(secret=SECRETS.whatsapp_app_secret, body=taken.body, signature=signature):
            return 403
        callback = operations.parse_callback(taken.body)
        with self._database.write() as connection:
            operations.record_status(connection, statuses=callback.statuses, now=NOW)
        return 200


class TestWithTheFakeProvider:
    COUNT = 150

    def test_every_message_ends_where_the_seed_says(self, house: Database, tmp_path: Path):
        queue_many(house, self.COUNT)
        with providers(tmp_path) as (process, server):
            server.answer = Receiver(house)
            gateway = operations.open_gateway(process.whatsapp)
            started = time.monotonic()
            handled = operations.send_due(house, now=NOW, wall=WALL, gateway=gateway, worker="w")
            rate = handled / (time.monotonic() - started)
            gateway.close()
            process.control.wait_until_told(patience_s=PATIENCE_S)
            process.control.forge("message_signature")

        with house.read() as connection:
            counts = queries.counts(connection)
            assert queries.parked(connection) == 0
        by_state = {
            state: number for (channel, state), number in counts.items() if channel is Channel.WHATSAPP
        }
        assert handled == self.COUNT
        assert set(by_state) == {MessageState.DELIVERED, MessageState.READ, MessageState.FAILED}
        assert sum(by_state.values()) == self.COUNT
        assert counts[Channel.PRINT, MessageState.QUEUED] == by_state[MessageState.FAILED]
        assert rate > 30, f"{rate:.0f} messages a second"

    def test_a_killed_worker_loses_none_and_repeats_only_those_in_flight(
        self, house: Database, database_url: str, tmp_path: Path
    ):
        queue_many(house, self.COUNT)
        server: CallbackServer
        with providers(tmp_path) as (process, server):
            server.answer = Receiver(house)
            for kills in range(3):
                self.run_until(database_url, process.port, taken=process.control, wall_s=kills * 10)
            self.finish(database_url, process.port)
            process.control.wait_until_told(patience_s=PATIENCE_S)
            times = Counter(message["reference"] for message in process.control.messages())

        with house.read() as connection:
            states = {
                message.state
                for message in queries.messages(connection)
                if message.channel is Channel.WHATSAPP
            }
            assert queries.pending(connection, now=NOW) == 0
        assert len(times) == self.COUNT
        assert states <= {MessageState.DELIVERED, MessageState.READ, MessageState.FAILED}
        assert sum(times.values()) - self.COUNT <= 3 * sending.CHUNK

    def run_until(self, url: str, port: int, *, taken: object, wall_s: int) -> None:
        before = taken.state()["messages"]
        worker = self.start(url, port, wall_s)
        deadline = time.monotonic() + PATIENCE_S
        while (
            taken.state()["messages"] < before + 20 and worker.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.002)
        worker.kill()
        worker.wait(PATIENCE_S)
        worker.stdout.close()

    def finish(self, url: str, port: int) -> None:
        worker = self.start(url, port, 10_000)
        output, _ = worker.communicate(timeout=PATIENCE_S)
        assert worker.returncode == 0, output

    def start(self, url: str, port: int, wall_s: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.notices.sender", url, str(port), str(wall_s)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


class TestPause:
    @pytest.mark.parametrize("attempt", range(1, 30))
    def test_grows_up_to_its_limit(self, attempt: int):
        assert sending.pause(attempt) <= sending.pause(attempt + 1) <= timedelta(seconds=sending.PAUSE_MAX_S)
