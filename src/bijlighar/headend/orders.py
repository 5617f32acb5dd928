"""The canonical octets of a control order, its signature, and the JSON form that an authorisation file holds."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import parse_moment
from bijlighar.headend.errors import BrokenOrder
from bijlighar.headend.model import ControlAction, ControlOrder, ControlReason, SignedOrder

#: Stands before what is signed, so that no other signed text can ever pass for an order.
DOMAIN = b"bijlighar control order 1\n"
KEY_OCTETS = 32
TEXT_LIMIT = 200


def order_document(order: ControlOrder) -> dict[str, str | int | None]:
    """Return an order as a JSON object; times are UTC to the microsecond."""
    return {
        "order_id": order.order_id,
        "serial": order.serial,
        "action": order.action.value,
        "reason": order.reason.value,
        "feeder": order.feeder,
        "issued_at": _time_text(order.issued_at),
        "expires_at": _time_text(order.expires_at),
        "issued_by": order.issued_by,
        "approved_by": order.approved_by,
        **({} if order.detail is None else {"detail": order.detail}),
        **({} if order.sanctioned_w is None else {"sanctioned_w": order.sanctioned_w}),
    }


def order_octets(order: ControlOrder) -> bytes:
    """Return what is signed: one form only for one order, whatever made it."""
    text = json.dumps(order_document(order), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return DOMAIN + text.encode("ascii")


def sign_order(*, order: ControlOrder, private_key: bytes) -> SignedOrder:
    """
    Sign `order` with the Ed25519 `private_key` (32 octets), which the head-end itself does not hold.

    :raises BrokenOrder: if the order or the key cannot be used.
    """
    _check(order)
    try:
        key = Ed25519PrivateKey.from_private_bytes(private_key)
    except ValueError:
        raise BrokenOrder("the key that signs control orders must have 32 octets") from None
    return SignedOrder(order=order, signature=key.sign(order_octets(order)))


def verify_key_of(*, private_key: bytes) -> bytes:
    """Return the public half (32 octets) of the Ed25519 `private_key` that signs orders."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def is_signed(*, signed: SignedOrder, verify_key: bytes) -> bool:
    """Return whether the signature is that of the order by the holder of `verify_key`'s private half."""
    try:
        Ed25519PublicKey.from_public_bytes(verify_key).verify(signed.signature, order_octets(signed.order))
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_order_json(signed: SignedOrder) -> str:
    """Return the text of an authorisation file."""
    document = {"order": order_document(signed.order), "signature": signed.signature.hex()}
    return json.dumps(document, indent=2, ensure_ascii=False)


def parse_signed_order(text: str) -> SignedOrder:
    """
    Return the signed order of an authorisation file.

    :raises BrokenOrder: if the text holds none.
    """
    try:
        document = json.loads(text)
        order, signature = document["order"], bytes.fromhex(document["signature"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BrokenOrder(
            "the authorisation is no signed order; ask the control centre for a new one"
        ) from None
    return SignedOrder(order=parse_order(order), signature=signature)


def parse_order(document: Mapping[str, object]) -> ControlOrder:
    """
    Return the order of a JSON object.

    :raises BrokenOrder: if a field is absent, of a wrong kind or too long.
    """
    try:
        order = ControlOrder(
            order_id=_text(document["order_id"]),
            serial=_text(document["serial"]),
            action=ControlAction(_text(document["action"])),
            reason=ControlReason(_text(document["reason"])),
            feeder=_text_or_none(document["feeder"]),
            issued_at=parse_moment(_text(document["issued_at"])),
            expires_at=parse_moment(_text(document["expires_at"])),
            issued_by=_text(document["issued_by"]),
            approved_by=_text_or_none(document["approved_by"]),
            detail=_text_or_none(document.get("detail")),
            sanctioned_w=_whole_or_none(document.get("sanctioned_w")),
        )
    except (KeyError, ValueError, TypeError, InvalidValue) as problem:
        raise BrokenOrder(f"the control order cannot be understood ({problem})") from None
    _check(order)
    return order


def _check(order: ControlOrder) -> None:
    if not order.order_id or not order.serial or not order.issued_by:
        raise BrokenOrder("a control order needs a number, a meter and who issued it")
    texts = (
        *(order.order_id, order.serial, order.issued_by),
        *(text or "" for text in (order.approved_by, order.feeder, order.detail)),
    )
    if any(len(text) > TEXT_LIMIT for text in texts):
        raise BrokenOrder(f"a text of the control order is longer than {TEXT_LIMIT} characters")
    if order.issued_at.tzinfo is None or order.expires_at.tzinfo is None:
        raise BrokenOrder("the times of a control order need an offset")
    if order.expires_at <= order.issued_at:
        raise BrokenOrder("a control order must expire after it was issued")


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _whole_or_none(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)
