import csv
import io
import itertools
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Connection
from tests.notices.kit import NOW

from bijlighar.notices import operations, queries, sending
from bijlighar.notices.errors import (
    ImplausibleService,
    MissingFact,
    UnknownMessage,
    UnreadableFact,
    UnusedFact,
)
from bijlighar.notices.model import (
    Channel,
    ConsentAction,
    InboundMessage,
    MessageState,
    MessageStatus,
    Purpose,
)
from bijlighar.offices.errors import NotPermitted, UnknownPerson
from bijlighar.registry.errors import UnknownAccount
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

BILL = {
    "name": "आशा वर्मा",
    "month": "2025-04",
    "energy_wh": "125400",
    "amount_paise": "125050",
    "due_on": "2025-05-12",
    "document": "B-1",
}
NOTICE = {
    "name": "आशा वर्मा",
    "reference": "N-1",
    "amount_paise": "125050",
    "oldest_due_on": "2025-03-12",
    "cut_not_before_on": "2025-05-18",
    "office": "सांवेर",
}
LINK = "https://b.example/b/x"


def bill(connection: Connection, account: str = "H", key: str = "bill/B-1") -> int | None:
    return operations.queue(
        connection, account=account, purpose=Purpose.BILL, key=key, facts=BILL, link=LINK, now=NOW
    )


def notice(connection: Connection, account: str = "H", key: str = "N-1") -> int | None:
    return operations.queue(
        connection,
        account=account,
        purpose=Purpose.STATUTORY_NOTICE,
        key=key,
        facts=NOTICE,
        link=LINK,
        now=NOW,
    )


def status(
    number: int, state: MessageState, *, minutes: int = 1, provider_id: str = "wamid.1"
) -> MessageStatus:
    return MessageStatus(
        provider_id=provider_id, state=state, at=NOW + timedelta(minutes=minutes), reference=f"m{number}"
    )


class TestQueue:
    def test_stores_the_words_and_the_job_together(self, house: Database):
        with house.write() as connection:
            number = bill(connection)

            assert number is not None
            message = queries.message(connection, number=number)
            assert (message.channel, message.state, message.language) == (
                Channel.WHATSAPP,
                MessageState.QUEUED,
                "hi",
            )
            assert message.phone == "919893000001"
            assert "₹1,250.50" in message.text
            assert "12 मई 2025" in message.text
            assert LINK in message.text
            assert dict(message.parameters)["month"] == "अप्रैल 2025"
            assert queries.pending(connection, now=NOW) == 1
            assert jobs.state_of(connection, key=f"notices.send/{number}") is jobs.JobState.READY

    def test_writes_english_to_whoever_reads_english(self, house: Database):
        with house.write() as connection:
            number = bill(connection, account="E")

            message = queries.message(connection, number=number or 0)
            assert "Total amount payable: ₹1,250.50" in message.text
            assert message.text_hash != ""

    def test_changes_nothing_the_second_time(self, house: Database):
        with house.write() as connection:
            bill(connection)

            assert bill(connection) is None
            assert queries.pending(connection, now=NOW) == 1
            assert len(queries.messages(connection, account="H")) == 1

    @pytest.mark.parametrize("account", ["S", "P"])
    def test_prints_for_whoever_cannot_be_written_to(self, house: Database, account: str):
        with house.write() as connection:
            number = bill(connection, account=account)

            assert queries.message(connection, number=number or 0).channel is Channel.PRINT
            assert queries.pending(connection, now=NOW) == 0
            assert [message.id for message in queries.print_list(connection)] == [number]

    def test_always_prints_a_statutory_notice_and_is_neutral_on_whatsapp(self, house: Database):
        with house.write() as connection:
            number = notice(connection)

            messages = {message.channel: message for message in queries.messages(connection, account="H")}
            assert messages[Channel.PRINT].id == number
            assert "धारा 56(1)" in messages[Channel.PRINT].text
            assert "धारा" not in messages[Channel.WHATSAPP].text
            assert {message.reference for message in messages.values()} == {"N-1"}

    def test_says_where_to_go_when_there_is_no_link(self, house: Database):
        with house.write() as connection:
            number = operations.queue(
                connection, account="H", purpose=Purpose.BILL, key="k", facts=BILL, now=NOW
            )

            assert "अपने विद्युत वितरण केंद्र में" in queries.message(connection, number=number or 0).text

    def test_waits_until_its_time(self, house: Database):
        later = NOW + timedelta(hours=3)
        with house.write() as connection:
            operations.queue(
                connection, account="H", purpose=Purpose.BILL, key="k", facts=BILL, now=NOW, not_before=later
            )

            assert queries.pending(connection, now=NOW) == 0
            assert queries.pending(connection, now=later) == 1

    def test_refuses_wrong_facts_and_stores_nothing(self, house: Database):
        with house.write() as connection:
            for facts, error in (
                ({**BILL, "colour": "red"}, UnusedFact),
                ({name: value for name, value in BILL.items() if name != "due_on"}, MissingFact),
                ({**BILL, "due_on": "soon"}, UnreadableFact),
            ):
                with pytest.raises(error):
                    operations.queue(
                        connection, account="H", purpose=Purpose.BILL, key="k", facts=facts, now=NOW
                    )
            with pytest.raises(UnknownAccount):
                bill(connection, account="X")

            assert queries.messages(connection) == ()

    @pytest.mark.parametrize(
        ("purpose", "facts"),
        [
            (Purpose.LAST_WARNING, {"name": "आशा", "amount_paise": "500", "cut_on": "2025-05-12"}),
            (
                Purpose.PAYMENT_RECEIPT,
                {
                    "name": "आशा",
                    "amount_paise": "500",
                    "paid_at": NOW.isoformat(),
                    "receipt": "R1",
                    "owed_paise": "0",
                },
            ),
            (Purpose.DISCONNECTED, {"name": "आशा", "amount_paise": "500", "done_at": NOW.isoformat()}),
            (Purpose.RECONNECT_EXPECTED, {"name": "आशा", "expected_at": NOW.isoformat()}),
            (Purpose.RECONNECTED, {"name": "आशा", "done_at": NOW.isoformat()}),
            (Purpose.METER_CHECK, {"name": "आशा", "done_at": NOW.isoformat()}),
        ],
    )
    def test_knows_every_purpose(self, house: Database, purpose: Purpose, facts: dict[str, str]):
        with house.write() as connection:
            for account in ("H", "E", "P"):
                number = operations.queue(
                    connection,
                    account=account,
                    purpose=purpose,
                    key=f"{account}/{purpose}",
                    facts=facts,
                    now=NOW,
                )
                assert "{" not in queries.message(connection, number=number or 0).text


class TestRecordStatus:
    def test_ends_in_the_same_state_in_any_order(self, house: Database):
        told = (MessageState.SENT, MessageState.DELIVERED, MessageState.READ)
        with house.write() as connection:
            for count, order in enumerate(itertools.permutations(told)):
                number = bill(connection, key=f"k{count}") or 0
                for state in (*order, order[0]):
                    one = status(number, state, provider_id=f"wamid.{count}")
                    operations.record_status(connection, statuses=(one,), now=NOW)

                message = queries.message(connection, number=number)
                assert (message.state, message.provider_id) == (MessageState.READ, f"wamid.{count}")
                assert len(queries.deliveries(connection, number=number)) == 3

    def test_counts_only_what_moved(self, house: Database):
        with house.write() as connection:
            number = bill(connection) or 0
            both = (status(number, MessageState.SENT), status(number, MessageState.DELIVERED, minutes=2))

            assert operations.record_status(connection, statuses=both, now=NOW) == 1
            assert operations.record_status(connection, statuses=both, now=NOW) == 0
            assert queries.message(connection, number=number).changed_at == NOW + timedelta(minutes=2)

    def test_prints_what_failed_once(self, house: Database):
        with house.write() as connection:
            number = bill(connection) or 0
            for _ in range(2):
                operations.record_status(connection, statuses=(status(number, MessageState.FAILED),), now=NOW)

            (printed,) = queries.print_list(connection)
            assert printed.reference == "bill/B-1"
            assert "बिजली बिल की सूचना" in printed.text
            assert queries.counts(connection) == {
                (Channel.PRINT, MessageState.QUEUED): 1,
                (Channel.WHATSAPP, MessageState.FAILED): 1,
            }

    def test_parks_a_receipt_that_comes_before_its_message(self, house: Database):
        early = MessageStatus(provider_id="wamid.7", state=MessageState.DELIVERED, at=NOW)
        with house.write() as connection:
            number = bill(connection) or 0
            assert operations.record_status(connection, statuses=(early, early), now=NOW) == 0
            assert queries.parked(connection) == 1

            named = status(number, MessageState.SENT, provider_id="wamid.7")
            operations.record_status(connection, statuses=(named,), now=NOW)
            sending.match_parked(connection, now=NOW)

            assert queries.message(connection, number=number).state is MessageState.DELIVERED
            assert queries.parked(connection) == 0

    def test_drops_a_parked_receipt_that_nobody_ever_claims(self, house: Database):
        strange = MessageStatus(provider_id="x", state=MessageState.SENT, at=NOW, reference="m999")
        with house.write() as connection:
            operations.record_status(connection, statuses=(strange,), now=NOW)
            sending.match_parked(connection, now=NOW + timedelta(days=29))
            assert queries.parked(connection) == 1

            sending.match_parked(connection, now=NOW + timedelta(days=31))
            assert queries.parked(connection) == 0

    @pytest.mark.parametrize("reference", ["", "m", "m0", "1", "m1x", "m" + "9" * 30, "मm1"])
    def test_trusts_no_reference_that_is_not_ours(self, house: Database, reference: str):
        strange = MessageStatus(provider_id="x", state=MessageState.SENT, at=NOW, reference=reference)
        with house.write() as connection:
            number = bill(connection) or 0
            operations.record_status(connection, statuses=(strange,), now=NOW)

            assert queries.message(connection, number=number).state is MessageState.QUEUED


class TestConsent:
    def write(self, connection: Connection, text: str, *, minutes: int, provider_id: str) -> int:
        message = InboundMessage(
            provider_id=provider_id, phone="919893000001", text=text, at=NOW + timedelta(minutes=minutes)
        )
        return operations.record_inbound(connection, messages=(message,), now=NOW + timedelta(hours=1))

    def test_ends_with_stop_and_begins_again_with_start(self, house: Database):
        with house.write() as connection:
            assert queries.consents(connection, phone="9893000001")
            assert self.write(connection, "Stop", minutes=1, provider_id="w1") == 1
            assert not queries.consents(connection, phone="9893000001")
            assert queries.message(connection, number=bill(connection) or 0).channel is Channel.PRINT

            assert self.write(connection, "शुरू", minutes=2, provider_id="w2") == 1
            assert queries.consents(connection, phone="+91 98930-00001")

    def test_is_not_changed_by_a_repeat_or_by_other_words(self, house: Database):
        with house.write() as connection:
            self.write(connection, "STOP", minutes=1, provider_id="w1")
            self.write(connection, "START", minutes=2, provider_id="w2")

            assert self.write(connection, "STOP", minutes=3, provider_id="w1") == 0
            assert self.write(connection, "बिल गलत है", minutes=4, provider_id="w3") == 0
            assert queries.consents(connection, phone="9893000001")

    def test_is_missing_until_it_is_given(self, house: Database):
        with house.write() as connection:
            assert not queries.consents(connection, phone="9893000003")
            operations.record_consent(
                connection, phone="9893000003", action=ConsentAction.OPT_IN, how="web", text="हाँ", now=NOW
            )
            assert queries.consents(connection, phone="9893000003")


class TestRecordConsents:
    def test_records_each_number_once(self, house: Database):
        phones = ["9893000003", "+91 98930 00003", "9893000004", "9893000001"]
        with house.write() as connection:
            counts = [
                operations.record_consents(
                    connection, phones=phones, action=ConsentAction.OPT_IN, how="forms", text="हाँ", now=NOW
                )
                for _ in range(2)
            ]

            assert counts == [2, 0]
            assert queries.consents(connection, phone="9893000004")


class TestRecordServed:
    def serve(
        self,
        connection: Connection,
        *,
        served_on: date = date(2025, 5, 3),
        proof: str = "स्वयं ने ली, हस्ताक्षर सहित",
        by: str = "asha",
        reference: str = "N-1",
        now: datetime = NOW + timedelta(days=2),
    ) -> bool:
        return operations.record_served(
            connection,
            account="H",
            purpose=Purpose.STATUTORY_NOTICE,
            reference=reference,
            served_on=served_on,
            proof=proof,
            by=by,
            now=now,
        )

    def served_on(self, connection: Connection, *rule: str) -> date | None:
        return queries.served_on(
            connection, account="H", purpose=Purpose.STATUTORY_NOTICE, reference="N-1", rule=rule
        )

    def test_proves_paper_and_nothing_else(self, house: Database):
        with house.write() as connection:
            notice(connection)
            assert self.served_on(connection, "print") is None

            assert self.serve(connection)

            assert self.served_on(connection, "print", "sms") == date(2025, 5, 3)
            assert self.served_on(connection, "whatsapp") is None
            printed = [each for each in queries.messages(connection) if each.channel is Channel.PRINT]
            assert [each.state for each in printed] == [MessageState.DELIVERED]
            service = queries.service(
                connection, account="H", purpose=Purpose.STATUTORY_NOTICE, reference="N-1"
            )
            assert service is not None
            assert service.by == "asha"

    def test_stands_as_first_recorded(self, house: Database):
        with house.write() as connection:
            notice(connection)
            self.serve(connection)

            assert not self.serve(connection, served_on=date(2025, 5, 2))
            assert self.served_on(connection, "print") == date(2025, 5, 3)

    @pytest.mark.parametrize("served_on", [date(2025, 5, 1), date(2025, 5, 5)])
    def test_refuses_a_day_before_the_notice_or_in_the_future(self, house: Database, served_on: date):
        with house.write() as connection:
            notice(connection)
            with pytest.raises(ImplausibleService, match="cannot have been served"):
                self.serve(connection, served_on=served_on)

    @pytest.mark.parametrize("served_on", [date(2025, 5, 2), date(2025, 5, 4)])
    def test_accepts_the_day_itself_and_today(self, house: Database, served_on: date):
        with house.write() as connection:
            notice(connection)
            assert self.serve(connection, served_on=served_on)

    def test_refuses_an_empty_proof_and_a_notice_nobody_wrote(self, house: Database):
        with house.write() as connection:
            notice(connection)
            with pytest.raises(ImplausibleService, match="say how"):
                self.serve(connection, proof="  ")
            with pytest.raises(UnknownMessage, match="N-2"):
                self.serve(connection, reference="N-2")

    @pytest.mark.parametrize(
        ("by", "error"), [("om", NotPermitted), ("ravi", NotPermitted), ("nobody", UnknownPerson)]
    )
    def test_refuses_whoever_may_not(self, house: Database, by: str, error: type[Exception]):
        with house.write() as connection:
            notice(connection)
            with pytest.raises(error):
                self.serve(connection, by=by)
            assert self.served_on(connection, "print") is None

    def test_is_not_needed_where_the_rule_takes_a_receipt(self, house: Database):
        with house.write() as connection:
            notice(connection)
            sent = next(each for each in queries.messages(connection) if each.channel is Channel.WHATSAPP)
            operations.record_status(connection, statuses=(status(sent.id, MessageState.DELIVERED),), now=NOW)

            assert self.served_on(connection, "whatsapp") == date(2025, 5, 2)
            assert self.served_on(connection, "print", "sms") is None


class TestPrintList:
    def test_is_handed_out_once_for_an_office_and_below(self, house: Database):
        with house.write() as connection:
            notice(connection)
            bill(connection, account="P", key="k")

            assert queries.print_list(connection, office="DPR") == ()
            text = operations.hand_out_print_list(connection, office="WZ", now=NOW)

            rows = list(csv.DictReader(io.StringIO(text)))
            assert [(row["account"], row["purpose"]) for row in rows] == [
                ("H", "statutory_notice"),
                ("P", "bill"),
            ]
            assert rows[0]["office"] == "SNW"
            assert "वैधानिक सूचना" in rows[0]["text"]
            assert len(operations.hand_out_print_list(connection, office=None, now=NOW).splitlines()) == 1
            handed_out = queries.print_list(connection, state=MessageState.ACCEPTED)
            assert len(handed_out) == 2

    def test_lets_no_cell_be_a_formula(self, house: Database):
        with house.write() as connection:
            operations.queue(
                connection,
                account="P",
                purpose=Purpose.BILL,
                key="k",
                facts={**BILL, "name": "=HYPERLINK(1)"},
                now=NOW,
            )
            text = operations.hand_out_print_list(connection, office=None, now=NOW)

            assert next(iter(csv.DictReader(io.StringIO(text))))["name"] == "'=HYPERLINK(1)"


class TestAnswerChallenge:
    def test_sends_the_challenge_back_to_whoever_knows_the_word(self):
        ask = operations.answer_challenge

        assert ask(mode="subscribe", token="w", challenge="77", verify_token="w") == "77"
        assert ask(mode="subscribe", token="x", challenge="77", verify_token="w") is None
        assert ask(mode="", token="", challenge="77", verify_token="") is None
