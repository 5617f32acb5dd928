"""What the head-end asks of the gate: a process of its own, or one within this process."""

from datetime import datetime
from typing import Protocol

from bijlighar.dlms.cosem import Attribute
from bijlighar.headend.model import GateCode, GateRequest, MeterAddress, RelayReading


class GateSession(Protocol):
    """A conversation of the gate with one meter as client 48; what it may do to supply an order must allow."""

    @property
    def octets(self) -> tuple[int, int]:
        """Return how many octets came in from the meter and went out to it, as far as is known."""

    async def read_relay(self) -> RelayReading:
        """Return where the relay stands."""

    async def get_if_any(self, attribute: Attribute) -> bytes | None:
        """Return the A-XDR octets of an attribute, None if the meter has no such thing."""

    async def set_clock(self, *, now: datetime) -> None:
        """Set the meter's clock; a gate of its own process sets it by its own."""

    async def act(self, order_id: str, *, now: datetime) -> int:
        """Do once what an admitted order says and return the meter's result code, 0 for success."""

    async def release(self) -> None:
        """End the association in good order."""

    def close(self) -> None:
        """Close the connection."""


class Gate(Protocol):
    """The gate before everything that can interrupt supply."""

    #: Whether it keeps its log in a store of its own.
    is_elsewhere: bool

    async def grant(self, request: GateRequest, *, now: datetime) -> GateCode:
        """Return whether an order may be acted on once; every answer is logged by the gate."""

    async def close_order(self, order_id: str, *, now: datetime) -> None:
        """Let nothing pass any more under an order."""

    async def open(self, *, serial: str, address: MeterAddress, now: datetime) -> GateSession:
        """Open a conversation with a meter."""
