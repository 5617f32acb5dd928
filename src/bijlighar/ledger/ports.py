"""What the ledger asks of a payment gateway."""

from typing import Protocol

from bijlighar.ledger.model import GatewayPayment, PaymentLink


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

    def create_payment_link(
        self, *, account: str, amount_paise: int, reference: str, description: str
    ) -> PaymentLink:
        """
        Make a page at the gateway where `amount_paise` [paise] can be paid for `account`.

        :raises GatewayUnavailable: if asking again later is right.
        :raises GatewayRefused: if it is not.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
