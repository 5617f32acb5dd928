"""A one-time code leaves at once and is kept nowhere."""

from pathlib import Path

import pytest
from tests.notices.kit import NOW, PATIENCE_S, providers
from tests.notices.test_operations import bill
from tests.notices.test_sending import FakeMessageGateway, send

from bijlighar.notices import operations, queries
from bijlighar.notices.errors import NotToBeStored
from bijlighar.notices.model import (
    Accepted,
    Channel,
    ConsentAction,
    Message,
    MessageState,
    MessageStatus,
    Purpose,
    Refused,
    SendResult,
    TryLater,
)
from bijlighar.registry.errors import UnknownAccount
from bijlighar.storage.engine import Database

CODE = "493027"


def send_code(
    database: Database, gateway: FakeMessageGateway, *, account: str = "H", key: str = "sign-in/1"
) -> SendResult | None:
    return operations.send_code(database, account=account, code=CODE, key=key, now=NOW, gateway=gateway)


def stored(database: Database) -> tuple[Message, ...]:
    with database.read() as connection:
        return queries.messages(connection)


def opt_out(database: Database) -> None:
    with database.write() as connection:
        operations.record_consent(
            connection, phone="9893000001", action=ConsentAction.OPT_OUT, how="call", text="STOP", now=NOW
        )


class TestSendCode:
    def test_gives_the_code_to_the_provider_and_stores_dots(self, house: Database):
        gateway = FakeMessageGateway()

        assert isinstance(send_code(house, gateway), Accepted)

        (outgoing,) = gateway.given
        assert (outgoing.phone, outgoing.language, outgoing.one_time_code) == ("919893000001", "hi", True)
        assert outgoing.parameters == (("code", CODE),)
        (message,) = stored(house)
        assert (message.purpose, message.state) == (Purpose.SIGN_IN_CODE, MessageState.ACCEPTED)
        assert CODE not in repr(message)
        assert "••••••" in message.text

    def test_is_in_no_file_of_the_database(self, house: Database, tmp_path: Path):
        send_code(house, FakeMessageGateway())

        files = list(tmp_path.glob("test.sqlite*"))
        assert not any(CODE.encode() in file.read_bytes() for file in files)

    def test_goes_past_what_waits(self, house: Database):
        with house.write() as connection:
            bill(connection)
        gateway = FakeMessageGateway()

        send_code(house, gateway)

        assert [outgoing.template for outgoing in gateway.given] == ["bijlighar_sign_in_code_v1"]
        assert send(house, gateway) == 1

    def test_needs_no_earlier_consent(self, house: Database):
        assert isinstance(send_code(house, FakeMessageGateway(), account="S"), Accepted)

    def test_sends_nothing_to_whoever_said_stop(self, house: Database):
        opt_out(house)
        gateway = FakeMessageGateway()

        assert send_code(house, gateway) is None
        assert (gateway.given, stored(house)) == ([], ())

    def test_sends_nothing_without_a_telephone(self, house: Database):
        assert send_code(house, FakeMessageGateway(), account="P") is None

    def test_sends_a_key_once(self, house: Database):
        gateway = FakeMessageGateway()
        send_code(house, gateway)

        assert send_code(house, gateway) is None
        assert len(gateway.given) == 1

    @pytest.mark.parametrize("answer", [TryLater(reason="503"), Refused(reason="no WhatsApp")])
    def test_never_prints_what_failed(self, house: Database, answer: SendResult):
        assert send_code(house, FakeMessageGateway(answer)) == answer

        (message,) = stored(house)
        assert (message.channel, message.state) == (Channel.WHATSAPP, MessageState.FAILED)

    def test_never_prints_what_the_provider_could_not_deliver(self, house: Database):
        send_code(house, FakeMessageGateway())
        failed = MessageStatus(provider_id="wamid.1", state=MessageState.FAILED, at=NOW, reason="131026")
        with house.write() as connection:
            assert operations.record_status(connection, statuses=(failed,), now=NOW) == 1

        assert [message.channel for message in stored(house)] == [Channel.WHATSAPP]

    def test_refuses_an_unknown_account(self, house: Database):
        with pytest.raises(UnknownAccount):
            send_code(house, FakeMessageGateway(), account="X")

    def test_speaks_as_the_provider_wants(self, house: Database, tmp_path: Path):
        with providers(tmp_path / "providers") as (process, _):
            gateway = operations.open_gateway(process.whatsapp)
            result = operations.send_code(house, account="E", code=CODE, key="k", now=NOW, gateway=gateway)
            gateway.close()
            process.control.wait_until_told(patience_s=PATIENCE_S)
            (taken,) = process.control.messages()

        assert isinstance(result, Accepted)
        assert (taken["template"], taken["language"]) == ("bijlighar_sign_in_code_v1", "en")
        assert taken["words"] == {"code": CODE}


class TestQueue:
    def test_takes_no_code(self, house: Database):
        with house.write() as connection, pytest.raises(NotToBeStored):
            operations.queue(
                connection, account="H", purpose=Purpose.SIGN_IN_CODE, key="k", facts={"code": CODE}, now=NOW
            )
