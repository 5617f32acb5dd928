"""The frozen values of messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import Language, Words


class Purpose(StrEnum):
    """What a message is for; each has a template of the same name."""

    BILL = "bill"
    STATUTORY_NOTICE = "statutory_notice"
    LAST_WARNING = "last_warning"
    PAYMENT_RECEIPT = "payment_receipt"
    DISCONNECTED = "disconnected"
    RECONNECT_EXPECTED = "reconnect_expected"
    RECONNECTED = "reconnected"
    METER_CHECK = "meter_check"
    SIGN_IN_CODE = "sign_in_code"


class Channel(StrEnum):
    """How a message travels; SMS and e-mail have no adapter yet and stand in the texts and the rules of service."""

    WHATSAPP = "whatsapp"
    PRINT = "print"
    SMS = "sms"
    EMAIL = "email"


CHANNEL_NAMES: Mapping[Channel, Words] = MappingProxyType(
    {
        Channel.WHATSAPP: Words(hi="व्हाट्सऐप", en="WhatsApp"),
        Channel.PRINT: Words(hi="काग़ज़ पर", en="on paper"),
        Channel.SMS: Words(hi="एसएमएस", en="SMS"),
        Channel.EMAIL: Words(hi="ई-मेल", en="e-mail"),
    }
)


class MessageState(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class MessageEvent(StrEnum):
    """What happens to a message."""

    ACCEPT = "accept"
    SEND = "send"
    DELIVER = "deliver"
    READ = "read"
    FAIL = "fail"


#: The life cycle of a message: only forward, and failed is the end whatever comes after it. A printed message is
#: accepted when it stands on a print list that was handed out, and delivered when a person proved its service.
MESSAGE_LIFE: LifeCycle[MessageState, MessageEvent] = {
    MessageState.QUEUED: {
        MessageEvent.ACCEPT: MessageState.ACCEPTED,
        MessageEvent.SEND: MessageState.SENT,
        MessageEvent.DELIVER: MessageState.DELIVERED,
        MessageEvent.READ: MessageState.READ,
        MessageEvent.FAIL: MessageState.FAILED,
    },
    MessageState.ACCEPTED: {
        MessageEvent.SEND: MessageState.SENT,
        MessageEvent.DELIVER: MessageState.DELIVERED,
        MessageEvent.READ: MessageState.READ,
        MessageEvent.FAIL: MessageState.FAILED,
    },
    MessageState.SENT: {
        MessageEvent.DELIVER: MessageState.DELIVERED,
        MessageEvent.READ: MessageState.READ,
        MessageEvent.FAIL: MessageState.FAILED,
    },
    MessageState.DELIVERED: {MessageEvent.READ: MessageState.READ, MessageEvent.FAIL: MessageState.FAILED},
    MessageState.READ: {MessageEvent.FAIL: MessageState.FAILED},
    MessageState.FAILED: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text of a template, with {placeholders}."""

    body: str
    placeholders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    The texts of a purpose: one for WhatsApp (neutral, as registered with the provider), one for print and SMS.

    `provider_name` is the template's name at the WhatsApp provider; `facts` are all that its texts need.
    `one_time_code`: the provider's authentication template; its one fact is a code, and there is no printed text.
    """

    purpose: Purpose
    version: int
    provider_name: str
    always_printed: bool
    one_time_code: bool
    facts: tuple[str, ...]
    whatsapp: Mapping[Language, Text]
    printed: Mapping[Language, Text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as stored; `reference` is the key it was queued under."""

    id: int
    reference: str
    account: str
    purpose: Purpose
    language: Language
    channel: Channel
    phone: str | None
    office: str | None
    template_name: str
    template_version: int
    text: str
    text_hash: str
    facts: Mapping[str, str]
    parameters: tuple[tuple[str, str], ...]
    link: str | None
    state: MessageState
    provider_id: str | None
    reason: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """
    What a message gateway is given: template, its filled parameters in order, and our own id to be sent back.

    one_time_code: the template is an authentication template, whose one parameter is the code.
    """

    reference: str
    phone: str
    language: Language
    template: str
    parameters: tuple[tuple[str, str], ...]
    one_time_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider has taken the message under its own id."""

    provider_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """The provider cannot take the message now."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider will never take the message."""

    reason: str


SendResult = Accepted | TryLater | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """One receipt of the provider; `reference` is our own id where the provider sends it back."""

    provider_id: str
    state: MessageState
    at: datetime
    reference: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """A message that a consumer wrote to the company's number."""

    provider_id: str
    phone: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """What one genuine callback tells."""

    statuses: tuple[MessageStatus, ...]
    inbound: tuple[InboundMessage, ...]


class ConsentAction(StrEnum):
    """What a consumer decided about messages to a telephone number."""

    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The proof, by a person, that a notice was served."""

    account: str
    purpose: Purpose
    reference: str
    served_on: date
    proof: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatsAppSettings:
    """How the WhatsApp Cloud API is reached; `url` includes the version of the API."""

    url: str
    phone_number_id: str
    token: str
    timeout_s: float = 10.0
