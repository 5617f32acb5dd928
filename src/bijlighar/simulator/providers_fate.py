"""What the fake providers do by their seed: which message fails, what comes twice, late or in the wrong order."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from bijlighar.simulator.errors import SimulatorError

FAILED_SHARE = 0.03
READ_SHARE = 0.6
REORDERED_SHARE = 0.25
REPEATED_SHARE = 0.25
DELAYED_SHARE = 0.1
DELAY_MS = 40
STEP_MS = 2
ENTITY_ID_LENGTH = 14
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UNDELIVERABLE = {"code": 131026, "title": "Message undeliverable"}


class RefusedByProvider(SimulatorError):
    """The fake provider refuses a request, as the real one would."""

    code = "simulator.refused-by-provider"

    def __init__(self, message: str, *, status: int, number: int = 0) -> None:
        """Say why, with the HTTP status and the provider's own error number."""
        super().__init__(message)
        self.status = status
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSecrets:
    """What the system and the providers have agreed on."""

    whatsapp_token: str
    whatsapp_app_secret: str
    gateway_key_id: str
    gateway_key_secret: str
    gateway_webhook_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Something to be told later: `what` after `delay_ms` [ms]."""

    what: str
    delay_ms: int


def share(seed: int, *parts: object) -> float:
    """
    Return a number in [0, 1) that depends on the seed and the parts alone.

    >>> share(1, "a") == share(1, "a"), share(1, "a") == share(2, "a")
    (True, False)
    """
    text = "\x1f".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def entity_id(prefix: str, seed: int, *parts: object) -> str:
    """
    Return an id as the gateway makes them, the same for the same seed and parts.

    >>> len(entity_id("pay", 1, "x"))
    18
    """
    text = "\x1f".join(map(str, (prefix, seed, *parts)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    digits = []
    for _ in range(ENTITY_ID_LENGTH):
        number, place = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[place])
    return f"{prefix}_{''.join(digits)}"


def message_id(seed: int, number: int) -> str:
    """Return the provider's id of its n-th message."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()[:18]
    return f"wamid.HBgM{base64.b64encode(digest).decode()}"


def receipts(
    *, seed: int, phone: str, template: str, failed_share: float = FAILED_SHARE
) -> tuple[Planned, ...]:
    """
    Return the receipts of a message in the order in which they are sent, repeats included.

    They depend on the seed, the telephone number and the template alone, so the order of sending does not matter.
    """
    key = (phone, template)
    if share(seed, "failed", *key) < failed_share:
        states = ["failed"] if share(seed, "at once", *key) < 0.5 else ["sent", "failed"]
    else:
        states = ["sent", "delivered"]
        if share(seed, "read", *key) < READ_SHARE:
            states.append("read")
    if share(seed, "reordered", *key) < REORDERED_SHARE:
        states.reverse()
    if share(seed, "repeated", *key) < REPEATED_SHARE:
        states.append(states[int(share(seed, "which", *key) * len(states))])
    late_ms = DELAY_MS if share(seed, "delayed", *key) < DELAYED_SHARE else 0
    return tuple(
        Planned(what=state, delay_ms=place * STEP_MS + (late_ms if place else 0))
        for place, state in enumerate(states)
    )


def payment_events(*, seed: int, payment_id: str, states: tuple[str, ...]) -> tuple[Planned, ...]:
    """Return the events of a payment that went through `states`, repeated and in the wrong order by the seed."""
    events = [f"payment.{state}" for state in states]
    if share(seed, "reordered", payment_id) < REORDERED_SHARE:
        events.reverse()
    if share(seed, "repeated", payment_id) < REPEATED_SHARE:
        events.append(events[int(share(seed, "which", payment_id) * len(events))])
    return tuple(Planned(what=event, delay_ms=place * STEP_MS) for place, event in enumerate(events))


def status_item(
    *, provider_id: str, state: str, phone: str, reference: str | None, at_s: int
) -> dict[str, Any]:
    """Return one receipt as the WhatsApp Cloud API writes it."""
    item: dict[str, Any] = {
        "id": provider_id,
        "status": state,
        "timestamp": str(at_s),
        "recipient_id": phone,
        "pricing": {"billable": True, "pricing_model": "PMP", "category": "utility"},
    }
    if reference is not None:
        item["biz_opaque_callback_data"] = reference
    if state == "failed":
        item["errors"] = [UNDELIVERABLE]
    return item


def message_callback(items: list[dict[str, Any]], *, phone_number_id: str) -> bytes:
    """Return the body of a callback with receipts."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "917314000000", "phone_number_id": phone_number_id},
        "statuses": items,
    }
    return _json(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}],
        }
    )


def inbound_callback(*, provider_id: str, phone: str, text: str, at_s: int) -> bytes:
    """Return the body of a callback with a message that a consumer wrote."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "917314000000", "phone_number_id": "1"},
        "contacts": [{"wa_id": phone, "profile": {"name": "उपभोक्ता"}}],
        "messages": [
            {"from": phone, "id": provider_id, "timestamp": str(at_s), "type": "text", "text": {"body": text}}
        ],
    }
    return _json(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}],
        }
    )


def payment_entity(
    *,
    payment_id: str,
    account: str | None,
    amount_paise: int,
    method: str,
    status: str,
    created_at: int,
    order_id: str | None = None,
) -> dict[str, Any]:
    """Return a payment as the gateway's API writes it."""
    return {
        "id": payment_id,
        "entity": "payment",
        "amount": amount_paise,
        "currency": "INR",
        "status": status,
        "order_id": order_id,
        "invoice_id": None,
        "international": False,
        "method": method,
        "amount_refunded": amount_paise if status == "refunded" else 0,
        "refund_status": "full" if status == "refunded" else None,
        "captured": status in ("captured", "refunded"),
        "description": "बिजली बिल",
        "card_id": None,
        "bank": None,
        "wallet": None,
        "vpa": "consumer@upi" if method == "upi" else None,
        "email": None,
        "contact": None,
        "notes": [] if account is None else {"account": account},
        "fee": None,
        "tax": None,
        "error_code": "BAD_REQUEST_ERROR" if status == "failed" else None,
        "error_description": "Payment was not completed on time." if status == "failed" else None,
        "created_at": created_at,
    }


def payment_callback(*, event: str, entity: dict[str, Any], created_at: int) -> bytes:
    """Return the body of a callback about a payment."""
    return _json(
        {
            "entity": "event",
            "account_id": "acc_Bijlighar00000",
            "event": event,
            "contains": ["payment"],
            "payload": {"payment": {"entity": entity}},
            "created_at": created_at,
        }
    )


def link_callback(
    *, payment: dict[str, Any], link: dict[str, Any], order: dict[str, Any], created_at: int
) -> bytes:
    """Return the body of the callback that a page was paid."""
    return _json(
        {
            "entity": "event",
            "account_id": "acc_Bijlighar00000",
            "event": "payment_link.paid",
            "contains": ["payment", "order", "payment_link"],
            "payload": {
                "payment": {"entity": payment},
                "order": {"entity": order},
                "payment_link": {"entity": link},
            },
            "created_at": created_at,
        }
    )


def signed(secret: str, body: bytes) -> str:
    """Return the hex HMAC-SHA256 of a raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
