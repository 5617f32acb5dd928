"""Pure decisions: how lines become transfers, which due a payment covers, whether a callback is genuine."""

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bijlighar.base.identity import check_digit
from bijlighar.ledger.errors import BrokenEvent, InvalidPayment
from bijlighar.ledger.model import CLEARING, GatewayEvent, Head, LinkReturn, Transfer, TransferKind

RECEIPT_SERIAL_DIGITS = 8
FINANCIAL_YEAR_STARTS = 4  # April
EVENT_BYTES_MAX = 262_144


def bill_transfers(
    *, account: str, document: str, lines: Sequence[tuple[Head, int]], business_date: date
) -> tuple[Transfer, ...]:
    """
    Return the transfers of a bill: one per head, the lines [paise] of a head summed.

    A sum above zero debits the receivable and credits the head; one below zero (a rebate, the State's subsidy) the
    other way round; a zero sum posts nothing. The receivable changes by exactly the sum of the lines.
    """
    sums: dict[Head, int] = defaultdict(int)
    for head, amount_paise in lines:
        sums[head] += amount_paise
    return tuple(
        Transfer(
            key=f"bill/{document}/{head}",
            debit=Head.RECEIVABLE if amount_paise > 0 else head,
            credit=head if amount_paise > 0 else Head.RECEIVABLE,
            account=account,
            amount_paise=abs(amount_paise),
            kind=TransferKind.BILL,
            document=document,
            business_date=business_date,
        )
        for head, amount_paise in sums.items()
        if amount_paise != 0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFill:
    """A due as allocation sees it; `amount_paise` [paise] is the whole due."""

    document: str
    issued_on: date
    due_on: date
    amount_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A payment as allocation sees it; `amount_paise` [paise] is 0 once it is reversed."""

    payment: int
    amount_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An allocation to be written: `amount_paise` [paise] above zero covers the due, below zero takes back."""

    payment: int
    document: str
    amount_paise: int


def oldest_first(dues: Sequence[DueFill]) -> tuple[DueFill, ...]:
    """Return the dues in the order in which money covers them: by day of issue, then due date, then document."""
    return tuple(sorted(dues, key=lambda due: (due.issued_on, due.due_on, due.document)))


def covered(*, dues: Sequence[DueFill], credit_paise: int) -> Mapping[str, int]:
    """
    Return how much [paise] of each due the sum of all credits covers, oldest due first.

    It depends on the dues and on the sum alone: not on the order in which payments came, nor on how one was split.

    >>> first = DueFill(document="B1", issued_on=date(2026, 4, 1), due_on=date(2026, 4, 11), amount_paise=500)
    >>> second = DueFill(document="B2", issued_on=date(2026, 5, 1), due_on=date(2026, 5, 11), amount_paise=700)
    >>> dict(covered(dues=[second, first], credit_paise=600))
    {'B1': 500, 'B2': 100}
    """
    fill: dict[str, int] = {}
    left_paise = credit_paise
    for due in oldest_first(dues):
        fill[due.document] = min(due.amount_paise, left_paise)
        left_paise -= fill[due.document]
    return fill


def allocate(
    *, dues: Sequence[DueFill], credits: Sequence[Credit], held: Mapping[tuple[int, str], int]
) -> tuple[Move, ...]:
    """
    Return the moves that bring the allocations `held` [paise] to oldest-first over all dues and credits.

    In the usual case (a new payment, a new due) nothing is taken back. After a reversal, or a due of an earlier day
    that came late, what stands too high is taken back, youngest payment first, before older dues are covered.
    """
    target = covered(dues=dues, credit_paise=sum(credit.amount_paise for credit in credits))
    live = {credit.payment: credit.amount_paise for credit in credits}
    standing = {pair: paise if live.get(pair[0], 0) else 0 for pair, paise in held.items()}
    on_due: dict[str, int] = defaultdict(int)
    for (_, document), paise in standing.items():
        on_due[document] += paise
    for pair in sorted(standing, reverse=True):
        excess_paise = min(on_due[pair[1]] - target[pair[1]], standing[pair])
        if excess_paise > 0:
            standing[pair] -= excess_paise
            on_due[pair[1]] -= excess_paise
    _cover(dues=dues, live=live, target=target, on_due=on_due, standing=standing)
    changes = {pair: paise - held.get(pair, 0) for pair, paise in standing.items()}
    return tuple(
        Move(payment=payment, document=document, amount_paise=paise)
        for (payment, document), paise in sorted(changes.items(), key=lambda item: (item[1] > 0, item[0]))
        if paise
    )


def _cover(
    *,
    dues: Sequence[DueFill],
    live: Mapping[int, int],
    target: Mapping[str, int],
    on_due: dict[str, int],
    standing: dict[tuple[int, str], int],
) -> None:
    """Raise `standing` [paise] to the target with what is free of each payment, oldest due and payment first."""
    free = dict(live)
    for (payment, _), paise in standing.items():
        free[payment] = free.get(payment, 0) - paise
    for due in oldest_first(dues):
        for payment in live:
            part_paise = min(free[payment], target[due.document] - on_due[due.document])
            if part_paise > 0:
                pair = (payment, due.document)
                standing[pair] = standing.get(pair, 0) + part_paise
                on_due[due.document] += part_paise
                free[payment] -= part_paise


def clearing_head(method: str) -> Head:
    """
    Return where the money of a payment method lies until it is settled.

    >>> clearing_head("cash").value, clearing_head("upi").value
    ('cash', 'gateway_clearing')
    """
    return CLEARING.get(method, Head.GATEWAY)


def receipt_number(*, serial: int, paid_on: date) -> str:
    """
    Return the receipt number: R, the financial year's last two digits, the serial, a check digit.

    >>> receipt_number(serial=1234, paid_on=date(2025, 4, 1)), receipt_number(serial=7, paid_on=date(2026, 3, 31))
    ('R25000012347', 'R25000000079')
    """
    year = paid_on.year if paid_on.month >= FINANCIAL_YEAR_STARTS else paid_on.year - 1
    digits = f"{year % 100:02d}{serial:0{RECEIPT_SERIAL_DIGITS}d}"
    return f"R{digits}{check_digit(digits)}"


def receipt_serial(number: str) -> int:
    """
    Return the serial of a receipt number.

    >>> receipt_serial(" r25000012347 ")
    1234

    :raises InvalidPayment: if it is no receipt number, or a digit is wrong.
    """
    text = number.strip().upper()
    digits = text[1:]
    if not text.startswith("R") or len(digits) < RECEIPT_SERIAL_DIGITS + 3 or not digits.isdecimal():
        raise InvalidPayment(f"{number!r} is not a receipt number; write it like R25000012347")
    if not digits.isascii() or check_digit(digits) != "0":
        raise InvalidPayment(
            f"a digit of the receipt number {number!r} is wrong; read it again from the receipt"
        )
    return int(digits[2:-1])


def signature(*, secret: str, body: bytes) -> str:
    """
    Return the gateway's signature of a callback: hex HMAC-SHA256 over the raw body.

    >>> signature(secret="s", body=b"{}")[:16]
    '143ca8d517ba1b18'
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify_signature(*, secret: str, body: bytes, signature: str) -> bool:
    """Return whether `signature` is the gateway's over the raw `body`, in constant time; no with an empty secret."""
    if not secret:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.strip().lower().encode())


def verify_return(*, secret: str, back: LinkReturn) -> bool:
    """Return whether what a browser brings back is the gateway's word, signed with the `secret` of the API's key."""
    told = "|".join((back.link_id, back.reference, back.status, back.payment_id))
    return verify_signature(secret=secret, body=told.encode(), signature=back.signature)


def parse_event(body: bytes) -> GatewayEvent | None:
    """
    Return what a genuine callback tells of a payment; None if it tells of something else.

    :raises BrokenEvent: if the body is no event of the gateway.
    """
    if len(body) > EVENT_BYTES_MAX:
        raise BrokenEvent(f"the payment callback has {len(body)} bytes, more than {EVENT_BYTES_MAX}")
    try:
        document = json.loads(body)
        event = document["event"]
        payload = document["payload"]
        entity = payload["payment"]["entity"] if "payment" in payload else None
        payment_id = None if entity is None else entity["id"]
        account = _account_named(payload)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise BrokenEvent(f"the payment callback cannot be understood ({problem!r})") from None
    if payment_id is None:
        return None
    if not isinstance(event, str) or not isinstance(payment_id, str) or not payment_id:
        raise BrokenEvent("the payment callback names no event and payment in text")
    return GatewayEvent(event=event, payment_id=payment_id, account=account)


def _account_named(payload: Mapping[str, Any]) -> str | None:
    """Return whom the notes of a payment, its page or its order name."""
    for kind in ("payment", "payment_link", "order"):
        notes = payload[kind]["entity"].get("notes") if kind in payload else None
        if isinstance(notes, dict) and isinstance(notes.get("account"), str) and notes["account"].strip():
            return str(notes["account"]).strip()
    return None
