"""The adapter to Razorpay's published API (https://razorpay.com/docs/api), on httpx."""

import re
from typing import Any

import httpx

from bijlighar.base.period import moment_of
from bijlighar.ledger.errors import GatewayRefused, GatewayUnavailable, UnknownPayment
from bijlighar.ledger.model import GatewayPayment, GatewaySettings, GatewayState, PaymentLink

CURRENCY = "INR"
ACCOUNT_NOTE = "account"
CONNECTIONS_MAX = 16
DETAIL_MAX = 200
METHOD_MAX = 16
_PAYMENT_ID = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


class RazorpayGateway:
    """A payment gateway that speaks Razorpay's API with a key id and a key secret."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Open the connections' pool; nothing is sent yet."""
        self._provider = settings.provider
        self._client = httpx.Client(
            base_url=settings.base_url.rstrip("/"),
            auth=(settings.key_id, settings.key_secret),
            timeout=settings.timeout_s,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            trust_env=False,
        )

    @property
    def provider(self) -> str:
        """Return the provider's name in payments."""
        return self._provider

    def fetch(self, *, payment_id: str) -> GatewayPayment:
        """
        Return the payment as the gateway has it now.

        :raises UnknownPayment: if the gateway has no such payment.
        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        if not _PAYMENT_ID.fullmatch(payment_id):
            raise UnknownPayment(f"{payment_id[:64]!r} is no payment id of the gateway")
        answer = self._call("GET", f"/v1/payments/{payment_id}")
        try:
            fetched = _payment_of(answer)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as problem:
            raise GatewayRefused(
                f"payment {payment_id} as answered cannot be understood ({problem!r})"
            ) from None
        if fetched.payment_id != payment_id:
            raise GatewayRefused(f"the gateway was asked for {payment_id} and answered {fetched.payment_id}")
        return fetched

    def create_payment_link(
        self, *, account: str, amount_paise: int, reference: str, description: str
    ) -> PaymentLink:
        """
        Make a page at the gateway where `amount_paise` [paise] can be paid for `account`.

        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        answer = self._call(
            "POST",
            "/v1/payment_links",
            {
                "amount": amount_paise,
                "currency": CURRENCY,
                "reference_id": reference,
                "description": description,
                "notes": {ACCOUNT_NOTE: account},
            },
        )
        try:
            return PaymentLink(link_id=str(answer["id"]), url=str(answer["short_url"]))
        except (KeyError, TypeError) as problem:
            raise GatewayRefused(f"the payment link as answered cannot be understood ({problem!r})") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _call(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        try:
            response = self._client.request(method, path, json=body)
        except httpx.TransportError as problem:
            raise GatewayUnavailable(
                f"the payment gateway does not answer ({problem!r}); it is tried again"
            ) from None
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise GatewayUnavailable(f"the payment gateway answers {status}; it is tried again")
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise GatewayUnavailable(
                f"the payment gateway answers {status}: check gateway.key_id and key_secret; it is tried again"
            )
        if not response.is_success:
            detail = response.text[:DETAIL_MAX]
            if method == "GET" and status in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
                raise UnknownPayment(
                    f"the payment gateway knows no {path.rpartition('/')[2]} ({status}: {detail})"
                )
            raise GatewayRefused(
                f"the payment gateway refuses {method} {path} ({status}: {detail}); check its keys"
            )
        try:
            return response.json()
        except ValueError:
            raise GatewayUnavailable("the payment gateway's answer is not JSON; it is tried again") from None


def _payment_of(answer: Any) -> GatewayPayment:  # noqa: ANN401 - JSON
    if answer["currency"] != CURRENCY:
        raise ValueError(f"currency {answer['currency']}")
    amount_paise, created_at = answer["amount"], answer["created_at"]
    if type(amount_paise) is not int or amount_paise <= 0 or type(created_at) is not int:
        raise ValueError(f"amount {amount_paise!r} at {created_at!r}")
    notes = answer.get("notes") or {}  # an empty JSON list where there are none
    account = notes.get(ACCOUNT_NOTE)
    return GatewayPayment(
        payment_id=str(answer["id"]),
        account=str(account).strip() or None if account is not None else None,
        amount_paise=amount_paise,
        method=str(answer["method"])[:METHOD_MAX],
        state=GatewayState(answer["status"]),
        created_at=moment_of(created_at),
    )
