"""What the ledger asks of a payment gateway."""

from typing import Protocol

from bijlighar.ledger.model import GatewayPayment, LinkRequest, PaymentLink


class PaymentGateway(Protocol):
    """A payment gateway: `razorpay.RazorpayGateway`, and the tests' own."""

    @property
    def provider(self) -> str:
        """Return the provider's name in payments."""
        ...

    def fetch(self, *, payment_id: str) -> GatewayPayment:
        """
        Return the payment as the gateway has it now.

        :raises UnknownPayment: if the gateway has no such payment.
        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        ...

    def create_payment_link(self, *, request: LinkRequest) -> PaymentLink:
        """
        Make a page at the gateway where a sum can be paid, or find the one that was made under the same reference.

        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        ...

    def payment_link(self, *, link_id: str) -> PaymentLink:
        """
        Return a page as the gateway has it now.

        :raises UnknownPayment: if the gateway has no such page.
        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
