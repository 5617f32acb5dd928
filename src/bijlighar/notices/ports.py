"""What messages ask of a provider."""

from typing import Protocol

from bijlighar.notices.model import Outgoing, SendResult


class MessageGateway(Protocol):
    """A provider of messages: `whatsapp.WhatsAppGateway`, and the tests' own. It is called from several threads."""

    def send(self, *, outgoing: Outgoing) -> SendResult:
        """Hand the message to the provider and return what became of it; never raise for what a provider does."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
