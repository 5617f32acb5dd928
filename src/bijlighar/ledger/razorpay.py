"""The adapter to Razorpay's published API (https://razorpay.com/docs/api), on httpx."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import httpx

from bijlighar.base.period import moment_of
from bijlighar.ledger.errors import GatewayRefused, GatewayUnavailable, UnknownPayment
from bijlighar.ledger.model import GatewayPayment, GatewaySettings, GatewayState, LinkRequest, PaymentLink

CURRENCY = "INR"
ACCOUNT_NOTE = "account"
CONNECTIONS_MAX = 16
DETAIL_MAX = 200
METHOD_MAX = 16
NAME_MAX = 50
LINK_OPEN = "created"
_ENTITY_ID = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


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
        if not _ENTITY_ID.fullmatch(payment_id):
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
        order_id = answer.get("order_id")
        if fetched.account is None and isinstance(order_id, str) and _ENTITY_ID.fullmatch(order_id):
            return replace(fetched, account=self._account_of_order(order_id))
        return fetched

    def _account_of_order(self, order_id: str) -> str | None:
        """Return whom an order is for: a payment on a page of the gateway bears no notes, its order has them."""
        try:
            return _account_in(self._call("GET", f"/v1/orders/{order_id}"))
        except UnknownPayment:
            return None

    def create_payment_link(self, *, request: LinkRequest) -> PaymentLink:
        """
        Make a page at the gateway where a sum can be paid, or find the one that was made under the same reference.

        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        try:
            answer = self._call("POST", "/v1/payment_links", _link_body(request))
        except GatewayRefused:  # the reference is known: an answer was lost, or two asked at once
            for link in self._links(reference=request.reference):
                if link.amount_paise == request.amount_paise:
                    return link
            raise
        return _link_of(answer)

    def payment_link(self, *, link_id: str) -> PaymentLink:
        """
        Return a page as the gateway has it now.

        :raises UnknownPayment: if the gateway has no such page.
        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        if not _ENTITY_ID.fullmatch(link_id):
            raise UnknownPayment(f"{link_id[:64]!r} is no payment link of the gateway")
        return _link_of(self._call("GET", f"/v1/payment_links/{link_id}"))

    def _links(self, *, reference: str) -> tuple[PaymentLink, ...]:
        try:
            answer = self._call("GET", f"/v1/payment_links?{urlencode({'reference_id': reference})}")
        except UnknownPayment:
            return ()
        found = answer.get("payment_links") if isinstance(answer, dict) else None
        return tuple(_link_of(each) for each in found or ())

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
    return GatewayPayment(
        payment_id=str(answer["id"]),
        account=_account_in(answer),
        amount_paise=amount_paise,
        method=str(answer["method"])[:METHOD_MAX],
        state=GatewayState(answer["status"]),
        created_at=moment_of(created_at),
    )


def _account_in(answer: Any) -> str | None:  # noqa: ANN401 - JSON
    notes = answer.get("notes") or {}  # an empty JSON list where there are none
    account = notes.get(ACCOUNT_NOTE)
    return None if account is None else str(account).strip() or None


def _link_body(request: LinkRequest) -> dict[str, object]:
    body: dict[str, object] = {
        "amount": request.amount_paise,
        "currency": CURRENCY,
        "accept_partial": False,
        "reference_id": request.reference,
        "description": request.description,
        "notify": {"sms": False, "email": False},
        "reminder_enable": False,
        "notes": {ACCOUNT_NOTE: request.account},
    }
    customer = {"name": request.name[:NAME_MAX], "contact": request.phone}
    if customer := {key: value for key, value in customer.items() if value}:
        body["customer"] = customer
    if request.return_url is not None:
        body |= {"callback_url": request.return_url, "callback_method": "get"}
    return body


def _link_of(answer: Any) -> PaymentLink:  # noqa: ANN401 - JSON
    try:
        amount_paise = answer["amount"]
        if type(amount_paise) is not int:
            raise ValueError(f"amount {amount_paise!r}")
        url = str(answer["short_url"])
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"address {url[:DETAIL_MAX]!r}")
        return PaymentLink(
            link_id=str(answer["id"]),
            url=url,
            amount_paise=amount_paise,
            is_open=answer["status"] == LINK_OPEN,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise GatewayRefused(f"the payment link as answered cannot be understood ({problem!r})") from None
