"""Pure decisions: what a template says, which state follows, whether a callback is genuine, what proves service."""

import hashlib
import hmac
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from bijlighar.base.lifecycle import next_state
from bijlighar.base.period import local_date, moment_of
from bijlighar.base.words import LANGUAGES, Language
from bijlighar.notices.errors import BrokenCallback, BrokenTemplate, MissingFact, UnusedFact
from bijlighar.notices.model import (
    MESSAGE_LIFE,
    Callback,
    Channel,
    InboundMessage,
    MessageEvent,
    MessageState,
    MessageStatus,
    Purpose,
    Service,
    Template,
    Text,
)

CALLBACK_BYTES_MAX = 1_048_576
STATUSES_MAX = 2_000
REASON_MAX = 300
#: Facts that are the message's own and need not be given.
OWN_FACTS = ("account", "link")
#: The only fact of a template with a one-time code.
CODE_FACT = "code"
#: What a consumer writes to get no more messages, in small letters.
STOP_WORDS = frozenset({"stop", "unsubscribe", "रोकें", "रोको", "बंद", "बंद करें", "स्टॉप"})
START_WORDS = frozenset({"start", "शुरू", "चालू", "शुरू करें"})
_PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\}")
_RANK = {state: rank for rank, state in enumerate(MESSAGE_LIFE)}
_EVENT_OF = {
    MessageState.ACCEPTED: MessageEvent.ACCEPT,
    MessageState.SENT: MessageEvent.SEND,
    MessageState.DELIVERED: MessageEvent.DELIVER,
    MessageState.READ: MessageEvent.READ,
    MessageState.FAILED: MessageEvent.FAIL,
}


def parse_template(text: str) -> Template:
    """
    Return the template written in `text` (TOML).

    :raises BrokenTemplate: if it is not TOML, a part is missing or unknown, or the two languages need other facts.
    """
    try:
        document = tomllib.loads(text)
        purpose = Purpose(document.pop("purpose"))
        version = document.pop("version")
        always_printed = document.pop("always_printed", False)
        one_time_code = bool(document.pop("one_time_code", False))
        provider_name = document["whatsapp"].pop("name")
        whatsapp = _texts(purpose, document.pop("whatsapp"))
        printed = {} if one_time_code else _texts(purpose, document.pop("print"))
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError, AttributeError) as problem:
        raise BrokenTemplate(f"a message template cannot be read: {problem!r}") from None
    if document:
        raise BrokenTemplate(f"template {purpose} has unknown parts: {', '.join(sorted(document))}")
    if type(version) is not int or version < 1 or not isinstance(provider_name, str):
        raise BrokenTemplate(f"template {purpose} needs a whole version from 1 and a name at the provider")
    facts = {fact for texts in (whatsapp, printed) for each in texts.values() for fact in each.placeholders}
    if one_time_code and (facts != {CODE_FACT} or always_printed):
        raise BrokenTemplate(f"template {purpose} has a one-time code: its only fact is {CODE_FACT!r}")
    return Template(
        purpose=purpose,
        version=version,
        provider_name=provider_name,
        always_printed=bool(always_printed),
        one_time_code=one_time_code,
        facts=tuple(sorted(facts)),
        whatsapp=whatsapp,
        printed=printed,
    )


def _texts(purpose: str, table: Mapping[str, Any]) -> Mapping[Language, Text]:
    if set(table) != set(LANGUAGES):
        raise BrokenTemplate(
            f"template {purpose} needs its texts in {' and '.join(LANGUAGES)}, and nothing else"
        )
    texts: dict[Language, Text] = {}
    for language in LANGUAGES:
        body = str(table[language]["body"]).strip()
        placeholders = tuple(dict.fromkeys(_PLACEHOLDER.findall(body)))
        if not body or "{" in _PLACEHOLDER.sub("", body) or "}" in _PLACEHOLDER.sub("", body):
            raise BrokenTemplate(
                f"template {purpose} in {language} is empty or has a brace that names no fact"
            )
        texts[language] = Text(body=body, placeholders=placeholders)
    if set(texts["hi"].placeholders) != set(texts["en"].placeholders):
        raise BrokenTemplate(f"template {purpose} tells other facts in Hindi than in English")
    return texts


def check_facts(*, template: Template, facts: Mapping[str, str]) -> None:
    """
    Check that the facts are exactly those that the template's texts need.

    :raises MissingFact: if one is missing or empty.
    :raises UnusedFact: if one is given that no text uses.
    """
    for fact in template.facts:
        if not str(facts.get(fact, "")).strip():
            raise MissingFact(f"a message {template.purpose} needs the fact {fact!r}")
    for fact in facts:
        if fact not in template.facts and fact not in OWN_FACTS:
            raise UnusedFact(f"no text of {template.purpose} uses the fact {fact!r}; leave it out")


def render(*, text: Text, words: Mapping[str, str]) -> str:
    """
    Return the text with its placeholders filled from `words`, the facts as they read in its language.

    >>> render(text=Text(body="Pay {amount_paise}.", placeholders=("amount_paise",)), words={"amount_paise": "₹5.00"})
    'Pay ₹5.00.'

    :raises MissingFact: if a placeholder has no words.
    """

    def fill(found: re.Match[str]) -> str:
        try:
            return words[found[1]]
        except KeyError:
            raise MissingFact(f"a message needs the fact {found[1]!r}") from None

    return _PLACEHOLDER.sub(fill, text.body)


def text_hash(text: str) -> str:
    """
    Return the SHA-256 of a rendered text, in hex.

    >>> text_hash("बिजली")[:12]
    '6b4048e3d24c'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def channels(*, template: Template, phone: str | None, consents: bool) -> tuple[Channel, ...]:
    """Return how a message goes out, the channel that counts first; whoever cannot be written to gets it on paper."""
    can_write = phone is not None and consents
    if template.always_printed:
        return (Channel.PRINT, Channel.WHATSAPP) if can_write else (Channel.PRINT,)
    return (Channel.WHATSAPP,) if can_write else (Channel.PRINT,)


def after(state: MessageState, told: MessageState) -> MessageState:
    """
    Return the state of a message that stands at `state` when the provider tells of `told`; it never goes back.

    >>> after(MessageState.READ, MessageState.DELIVERED).value, after(MessageState.SENT, MessageState.READ).value
    ('read', 'read')
    """
    if _RANK[told] <= _RANK[state]:
        return state
    return next_state(MESSAGE_LIFE, state, _EVENT_OF[told])


def verify_subscription(*, verify_token: str, mode: str | None, token: str | None) -> bool:
    """Return whether a request to register the callback is the provider's: then its challenge is sent back."""
    if not verify_token or mode != "subscribe" or token is None:
        return False
    return hmac.compare_digest(verify_token.encode(), token.encode())


def signature(*, secret: str, body: bytes) -> str:
    """
    Return the provider's signature of a callback, as in the header X-Hub-Signature-256.

    >>> signature(secret="s", body=b"{}")[:23]
    'sha256=143ca8d517ba1b18'
    """
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify_signature(*, secret: str, body: bytes, header: str) -> bool:
    """Return whether the header X-Hub-Signature-256 is the provider's over the raw `body`, in constant time."""
    if not secret:
        return False
    return hmac.compare_digest(signature(secret=secret, body=body).encode(), header.strip().lower().encode())


def parse_callback(body: bytes) -> Callback:
    """
    Return what a genuine callback tells: receipts of our messages, and messages that consumers wrote.

    :raises BrokenCallback: if the body is no callback of the WhatsApp Cloud API.
    """
    if len(body) > CALLBACK_BYTES_MAX:
        raise BrokenCallback(f"the message callback has {len(body)} bytes, more than {CALLBACK_BYTES_MAX}")
    statuses: list[MessageStatus] = []
    inbound: list[InboundMessage] = []
    try:
        document = json.loads(body)
        if document["object"] != "whatsapp_business_account":
            raise BrokenCallback(f"the message callback is about {document['object']!r}")
        values = [change["value"] for entry in document["entry"] for change in entry["changes"]]
        for value in values:
            statuses.extend(
                found for each in value.get("statuses", ()) if (found := _status(each)) is not None
            )
            inbound.extend(_inbound(each) for each in value.get("messages", ()) if each.get("type") == "text")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as problem:
        raise BrokenCallback(f"the message callback cannot be understood ({problem!r})") from None
    if len(statuses) > STATUSES_MAX:
        raise BrokenCallback(f"the message callback has {len(statuses)} receipts, more than {STATUSES_MAX}")
    return Callback(statuses=tuple(statuses), inbound=tuple(inbound))


def _status(each: Mapping[str, Any]) -> MessageStatus | None:
    state = {
        "sent": MessageState.SENT,
        "delivered": MessageState.DELIVERED,
        "read": MessageState.READ,
        "failed": MessageState.FAILED,
    }.get(each["status"])
    if state is None:  # played, deleted, ...: nothing that changes a message
        return None
    errors = "; ".join(
        f"{error.get('code')} {error.get('title', '')}".strip() for error in each.get("errors", ())
    )
    reference = each.get("biz_opaque_callback_data")
    return MessageStatus(
        provider_id=str(each["id"]),
        state=state,
        at=moment_of(int(each["timestamp"])),
        reference=None if reference is None else str(reference),
        reason=errors[:REASON_MAX] or None,
    )


def _inbound(each: Mapping[str, Any]) -> InboundMessage:
    return InboundMessage(
        provider_id=str(each["id"]),
        phone=normal_phone(str(each["from"])),
        text=str(each["text"]["body"]),
        at=moment_of(int(each["timestamp"])),
    )


def normal_phone(phone: str) -> str:
    """
    Return a telephone number in digits with the country's code, an Indian one of ten digits completed.

    >>> normal_phone("+91 98930-12345"), normal_phone("9893012345"), normal_phone("09893012345")
    ('919893012345', '919893012345', '919893012345')
    """
    digits = "".join(sign for sign in phone if sign.isascii() and sign.isdigit()).lstrip("0")
    return f"91{digits}" if len(digits) == 10 else digits


def wish(text: str) -> bool | None:
    """
    Return what a consumer's words say about messages: True to get them, False to get none, None if neither.

    >>> wish(" Stop. "), wish("शुरू"), wish("बिल गलत है")
    (False, True, None)
    """
    word = " ".join(text.lower().strip(" .!।\n\t").split())
    if word in STOP_WORDS:
        return False
    return True if word in START_WORDS else None


def served_on(
    *,
    rule: Sequence[str],
    services: Sequence[Service],
    receipts: Sequence[tuple[Channel, MessageState, Sequence[MessageStatus]]],
) -> date | None:
    """
    Return the first IST day on which a channel named in `rule` proves service; None while none does.

    Paper counts by a person's proof; any other channel by the provider's word that the message was delivered or read,
    unless the same message is reported as failed.
    """
    days = [service.served_on for service in services] if Channel.PRINT in rule else []
    for channel, state, statuses in receipts:
        if channel == Channel.PRINT or channel not in rule or state is MessageState.FAILED:
            continue
        days.extend(
            local_date(status.at)
            for status in statuses
            if status.state in (MessageState.DELIVERED, MessageState.READ)
        )
    return min(days, default=None)
