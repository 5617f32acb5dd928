"""What happens in an association: frozen messages, the same classes for both roles."""

from dataclasses import dataclass
from typing import TypeAlias

from bijlighar.dlms import axdr
from bijlighar.dlms.cosem import Attribute, Method, Selection
from bijlighar.dlms.security import Mechanism


class NeedData:
    """The machine has nothing to tell before more octets come in."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA = NeedData()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequest:
    """
    The client asks for an association.

    What the client sends comes from its `Security`; the fields tell the server what was asked.
    """

    mechanism: Mechanism = Mechanism.NONE
    ciphered: bool = False
    title: bytes | None = None
    max_pdu: int = 0
    conformance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationAccepted:
    """The association is agreed: peer's title, what the peer can receive [octets], the services agreed."""

    title: bytes | None = None
    max_pdu: int = 0
    conformance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFailure:
    """
    The peer could not handle a message.

    kind -- "exception" (exception-response: `state`, `service`) or "confirmed-service-error" (then `service` is
        the service, `state` the error's group, `value` the error in it).
    counter -- the lowest invocation counter that the peer would take, where it says so.
    """

    kind: str
    state: int
    service: int
    value: int | None = None
    counter: int | None = None

    @property
    def is_ciphering_error(self) -> bool:
        """Return whether the peer could not decipher our message, or refused its counter."""
        if self.kind == "exception":
            return self.service in (5, 6)
        return (self.service, self.state, self.value) == (6, 0, 6)

    @property
    def text(self) -> str:
        """Return what the peer said, in words."""
        if self.kind != "exception":
            return f"confirmed-service-error {self.service}/{self.state}/{self.value}"
        words = {
            1: "operation not possible",
            2: "service not supported",
            3: "other reason",
            4: "PDU too long",
            5: "deciphering error",
            6: "invocation counter error",
        }
        return words.get(self.service, f"exception {self.state}/{self.service}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRefused:
    """The association is refused: result (1 permanent, 2 transient), diagnostic, and the failure behind it."""

    result: int = 1
    diagnostic: int = 1
    failure: ServiceFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsProven:
    """The client has proved itself (HLS pass 3 and 4 are done); the association is open. Server only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRequest:
    """Read one attribute, or the selected part of it."""

    attribute: Attribute
    selection: Selection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResult:
    """
    The attribute's A-XDR octets, or the data-access-result that says why not.

    `authenticated` tells whether a tag vouches for it.
    """

    data: bytes | None = None
    error: int | None = None
    authenticated: bool = False

    @property
    def value(self) -> axdr.Value:
        """Return the plain value (None if there is an error)."""
        return None if self.data is None else axdr.decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetListRequest:
    """Read several attributes at once."""

    attributes: tuple[tuple[Attribute, Selection | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetListResult:
    """One result for each attribute asked, in order."""

    results: tuple[GetResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRequest:
    """Write one attribute with A-XDR octets."""

    attribute: Attribute
    data: bytes
    selection: Selection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResult:
    """The data-access-result of a SET; 0 is success."""

    result: int = 0
    authenticated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListRequest:
    """Write several attributes at once: for each its name, a selection or None, and A-XDR octets."""

    items: tuple[tuple[Attribute, Selection | None, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListResult:
    """The data-access-result of each attribute, in order; 0 is success."""

    results: tuple[int, ...]
    authenticated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """Call one method, with A-XDR octets as parameters or none."""

    method: Method
    parameters: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """The action-result (0 is success) and what was returned: A-XDR octets, or a data-access-result, or nothing."""

    result: int = 0
    data: bytes | None = None
    error: int | None = None
    authenticated: bool = False

    @property
    def value(self) -> axdr.Value:
        """Return the plain value (None if nothing was returned)."""
        return None if self.data is None else axdr.decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionListRequest:
    """Call several methods at once: for each its name, and A-XDR octets as parameters or None."""

    items: tuple[tuple[Method, bytes | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionListResult:
    """One result for each method called, in order."""

    results: tuple[ActionResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """The client ends the association."""

    reason: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The association is ended."""

    reason: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNotification:
    """A push: A-XDR octets, with the number and the time (12 octets) that the meter put on it."""

    data: bytes
    long_invoke: int = 0
    time: bytes | None = None

    @property
    def value(self) -> axdr.Value:
        """Return the plain value."""
        return axdr.decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNotification:
    """The value of one attribute, sent unasked."""

    attribute: Attribute
    data: bytes
    time: bytes | None = None

    @property
    def value(self) -> axdr.Value:
        """Return the plain value."""
        return axdr.decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClosed:
    """The HDLC link is closed."""


Request: TypeAlias = (
    GetRequest | GetListRequest | SetRequest | SetListRequest | ActionRequest | ActionListRequest
)
Result: TypeAlias = GetResult | GetListResult | SetResult | SetListResult | ActionResult | ActionListResult
Notification: TypeAlias = DataNotification | EventNotification
Event: TypeAlias = (
    AssociationRequest
    | AssociationAccepted
    | AssociationRefused
    | HlsProven
    | Request
    | Result
    | ReleaseRequest
    | Released
    | Notification
    | ServiceFailure
    | LinkClosed
)
