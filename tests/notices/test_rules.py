import itertools
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.notices import rules
from bijlighar.notices.errors import BrokenCallback, BrokenTemplate, MissingFact, UnusedFact
from bijlighar.notices.model import (
    Channel,
    MessageState,
    MessageStatus,
    Purpose,
    Service,
    Template,
    Text,
)
from bijlighar.simulator.providers_fate import inbound_callback, message_callback, status_item

TEMPLATE = """
purpose = "bill"
version = 2
[whatsapp]
name = "bill_v2"
[whatsapp.hi]
body = "{name} को {amount_paise}"
[whatsapp.en]
body = "{amount_paise} for {name}"
[print.hi]
body = "{name} {due_on}"
[print.en]
body = "{due_on} {name}"
"""
CODE_TEMPLATE = """
purpose = "sign_in_code"
version = 1
one_time_code = true
[whatsapp]
name = "code_v1"
[whatsapp.hi]
body = "{code} को"
[whatsapp.en]
body = "{code} for"
"""
NOON = datetime(2025, 5, 2, 6, 30, tzinfo=UTC)


class TestParseTemplate:
    def test_reads_texts_and_facts(self):
        template = rules.parse_template(TEMPLATE)

        assert template.facts == ("amount_paise", "due_on", "name")
        assert template.whatsapp["hi"].placeholders == ("name", "amount_paise")
        assert (template.purpose, template.version, template.always_printed) == (Purpose.BILL, 2, False)

    def test_reads_a_one_time_code_which_is_never_printed(self):
        template = rules.parse_template(CODE_TEMPLATE)

        assert (template.one_time_code, template.facts, dict(template.printed)) == (True, ("code",), {})

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("{code} को", "{code} {name} को"),
            ("one_time_code = true", "one_time_code = true\nalways_printed = true"),
            ("[whatsapp]", "[print.hi]\nbody = '{code}'\n[whatsapp]"),
            ("one_time_code = true", ""),
        ],
    )
    def test_refuses_a_one_time_code_with_more_than_its_code(self, old: str, new: str):
        assert old in CODE_TEMPLATE
        with pytest.raises(BrokenTemplate):
            rules.parse_template(CODE_TEMPLATE.replace(old, new))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("purpose", "porpose"),
            ('"bill"', '"dance"'),
            ("version = 2", "version = 0"),
            ("version = 2", 'version = "2"'),
            ("{name} को", "नाम"),
            ("{name} को", "{Name} को"),
            ("{name} को", "{name को"),
            ('body = "{name} को {amount_paise}"', 'body = " "'),
            ("[whatsapp.en]", "[whatsapp.fr]"),
            ("[print.en]", "[sms.en]"),
            ("version = 2", "version = 2\nshout = true"),
            ('name = "bill_v2"', ""),
            ("[whatsapp]", "[whatsapp"),
        ],
    )
    def test_refuses_a_broken_one(self, old: str, new: str):
        assert old in TEMPLATE
        with pytest.raises(BrokenTemplate):
            rules.parse_template(TEMPLATE.replace(old, new, 1))


class TestCheckFacts:
    TEMPLATE = rules.parse_template(TEMPLATE)

    def test_accepts_what_the_texts_need(self):
        rules.check_facts(
            template=self.TEMPLATE, facts={"name": "x", "amount_paise": "1", "due_on": "d", "link": "l"}
        )

    @pytest.mark.parametrize(
        "facts", [{"name": "x", "amount_paise": "1"}, {"name": " ", "amount_paise": "1", "due_on": "d"}]
    )
    def test_refuses_a_missing_or_empty_one(self, facts: dict[str, str]):
        with pytest.raises(MissingFact):
            rules.check_facts(template=self.TEMPLATE, facts=facts)

    def test_refuses_one_that_is_not_used(self):
        with pytest.raises(UnusedFact, match="colour"):
            rules.check_facts(
                template=self.TEMPLATE,
                facts={"name": "x", "amount_paise": "1", "due_on": "d", "colour": "red"},
            )


class TestRender:
    def test_never_reads_a_fact_as_a_placeholder(self):
        text = Text(body="{name}!", placeholders=("name",))

        assert rules.render(text=text, words={"name": "{link}", "link": "x"}) == "{link}!"

    def test_refuses_a_placeholder_without_words(self):
        with pytest.raises(MissingFact, match="name"):
            rules.render(text=Text(body="{name}", placeholders=("name",)), words={})


class TestChannels:
    @pytest.mark.parametrize(
        ("always_printed", "phone", "consents", "expected"),
        [
            (False, "91", True, (Channel.WHATSAPP,)),
            (False, "91", False, (Channel.PRINT,)),
            (False, None, True, (Channel.PRINT,)),
            (True, "91", True, (Channel.PRINT, Channel.WHATSAPP)),
            (True, "91", False, (Channel.PRINT,)),
            (True, None, False, (Channel.PRINT,)),
        ],
    )
    def test_follow_template_telephone_and_consent(
        self, *, always_printed: bool, phone: str | None, consents: bool, expected: tuple[Channel, ...]
    ):
        text = TEMPLATE.replace("version = 2", f"version = 2\nalways_printed = {str(always_printed).lower()}")
        template: Template = rules.parse_template(text)

        assert rules.channels(template=template, phone=phone, consents=consents) == expected


class TestAfter:
    def test_does_not_depend_on_the_order(self):
        told = (MessageState.SENT, MessageState.DELIVERED, MessageState.READ, MessageState.FAILED)
        for count in range(1, 5):
            for chosen in itertools.combinations(told, count):
                ends = set()
                for order in itertools.permutations(chosen):
                    state = MessageState.QUEUED
                    for each in order:
                        state = rules.after(state, each)
                    ends.add(state)
                assert len(ends) == 1

    @given(st.lists(st.sampled_from(MessageState), max_size=8))
    def test_never_goes_back(self, told: list[MessageState]):
        ranks = list(MessageState)
        state = MessageState.QUEUED
        for each in told:
            later = rules.after(state, each)
            assert ranks.index(later) >= ranks.index(state)
            state = later


class TestVerifySignature:
    BODY = '{"नाम":1}'.encode()

    def test_accepts_the_providers(self):
        header = rules.signature(secret="s", body=self.BODY)

        assert rules.verify_signature(secret="s", body=self.BODY, header=header)
        assert rules.verify_signature(secret="s", body=self.BODY, header=header.upper())

    @pytest.mark.parametrize("header", ["", "sha256=", "sha1=00", "é"])
    def test_refuses_another(self, header: str):
        assert not rules.verify_signature(secret="s", body=self.BODY, header=header)
        assert not rules.verify_signature(
            secret="s", body=self.BODY, header=rules.signature(secret="t", body=self.BODY)
        )
        assert not rules.verify_signature(
            secret="", body=self.BODY, header=rules.signature(secret="", body=self.BODY)
        )


class TestVerifySubscription:
    @pytest.mark.parametrize(
        ("verify_token", "mode", "token", "expected"),
        [
            ("w", "subscribe", "w", True),
            ("w", "subscribe", "x", False),
            ("w", "unsubscribe", "w", False),
            ("w", None, None, False),
            ("", "subscribe", "", False),
        ],
    )
    def test_needs_the_agreed_word(
        self, verify_token: str, mode: str | None, token: str | None, *, expected: bool
    ):
        assert rules.verify_subscription(verify_token=verify_token, mode=mode, token=token) == expected


class TestParseCallback:
    def test_reads_receipts(self):
        items = [
            status_item(provider_id="wamid.1", state=state, phone="91", reference="m1", at_s=1_746_167_400)
            for state in ("sent", "failed", "played")
        ]
        items[2]["status"] = "played"

        callback = rules.parse_callback(message_callback(items, phone_number_id="1"))

        assert callback.statuses == (
            MessageStatus(provider_id="wamid.1", state=MessageState.SENT, at=NOON, reference="m1"),
            MessageStatus(
                provider_id="wamid.1",
                state=MessageState.FAILED,
                at=NOON,
                reference="m1",
                reason="131026 Message undeliverable",
            ),
        )

    def test_reads_what_a_consumer_wrote(self):
        body = inbound_callback(provider_id="w", phone="919893000001", text="रोकें", at_s=1_746_167_400)

        (message,) = rules.parse_callback(body).inbound

        assert (message.phone, message.text, message.at) == ("919893000001", "रोकें", NOON)

    @pytest.mark.parametrize(
        "document",
        [
            [],
            {},
            {"object": "page", "entry": []},
            {"object": "whatsapp_business_account", "entry": [{"changes": [{}]}]},
            {
                "object": "whatsapp_business_account",
                "entry": [{"changes": [{"value": {"statuses": [{"id": 1}]}}]}],
            },
            {
                "object": "whatsapp_business_account",
                "entry": [
                    {"changes": [{"value": {"statuses": [{"id": "1", "status": "sent", "timestamp": "x"}]}}]}
                ],
            },
            {
                "object": "whatsapp_business_account",
                "entry": [
                    {"changes": [{"value": {"statuses": [{"id": "1", "status": [], "timestamp": "1"}]}}]}
                ],
            },
            {
                "object": "whatsapp_business_account",
                "entry": [
                    {
                        "changes": [
                            {"value": {"statuses": [{"id": "1", "status": "sent", "timestamp": "9" * 30}]}}
                        ]
                    }
                ],
            },
        ],
    )
    def test_refuses_what_is_none(self, document: object):
        with pytest.raises(BrokenCallback):
            rules.parse_callback(json.dumps(document).encode())

    @pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 9_000, b" " * (rules.CALLBACK_BYTES_MAX + 1)])
    def test_refuses_what_is_not_json_or_too_long(self, body: bytes):
        with pytest.raises(BrokenCallback):
            rules.parse_callback(body)

    def test_refuses_too_many_receipts(self):
        item = status_item(provider_id="w", state="sent", phone="91", reference=None, at_s=1)
        body = message_callback([item] * (rules.STATUSES_MAX + 1), phone_number_id="1")

        with pytest.raises(BrokenCallback, match="more than"):
            rules.parse_callback(body)


class TestServedOn:
    def receipt(
        self, state: MessageState, *, told: MessageState, channel: Channel = Channel.WHATSAPP
    ) -> tuple[Channel, MessageState, tuple[MessageStatus, ...]]:
        late = datetime(2025, 5, 1, 18, 30, tzinfo=UTC)  # midnight in India: 2 May
        return channel, state, (MessageStatus(provider_id="w", state=told, at=late),)

    def service(self, day: int) -> Service:
        return Service(
            account="H",
            purpose=Purpose.STATUTORY_NOTICE,
            reference="n",
            served_on=date(2025, 5, day),
            proof="signed",
            by="asha",
            at=NOON,
        )

    def test_is_none_without_proof(self):
        assert rules.served_on(rule=("print", "whatsapp"), services=(), receipts=()) is None
        sent = self.receipt(MessageState.SENT, told=MessageState.SENT)
        assert rules.served_on(rule=("print", "whatsapp"), services=(), receipts=(sent,)) is None

    def test_is_the_day_a_person_proved_for_paper(self):
        assert rules.served_on(rule=("print",), services=(self.service(3),), receipts=()) == date(2025, 5, 3)

    def test_counts_only_channels_of_the_rule(self):
        delivered = self.receipt(MessageState.DELIVERED, told=MessageState.DELIVERED)

        assert rules.served_on(rule=("print", "sms"), services=(), receipts=(delivered,)) is None
        assert rules.served_on(rule=("sms",), services=(self.service(3),), receipts=()) is None
        assert rules.served_on(rule=(), services=(self.service(3),), receipts=(delivered,)) is None

    def test_is_the_indian_day_of_delivery_and_the_first_of_several(self):
        delivered = self.receipt(MessageState.READ, told=MessageState.READ)

        assert rules.served_on(rule=("whatsapp",), services=(), receipts=(delivered,)) == date(2025, 5, 2)
        assert rules.served_on(
            rule=("whatsapp", "print"), services=(self.service(3),), receipts=(delivered,)
        ) == date(2025, 5, 2)

    def test_is_none_where_the_provider_also_says_failed(self):
        doubtful = self.receipt(MessageState.FAILED, told=MessageState.DELIVERED)

        assert rules.served_on(rule=("whatsapp",), services=(), receipts=(doubtful,)) is None


class TestNormalPhone:
    @given(st.text(max_size=20))
    def test_is_digits_alone_and_stays(self, text: str):
        once = rules.normal_phone(text)

        assert all(sign in "0123456789" for sign in once)
        assert rules.normal_phone(once) == once or len(once) == 10
