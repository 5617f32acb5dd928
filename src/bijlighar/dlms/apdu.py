"""
xDLMS APDUs as frozen values that encode themselves: GET, SET, ACTION with blocks and lists, notifications, failures.

Values stay A-XDR octets. `xdlms.decode` reads all of these.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from bijlighar.dlms import axdr
from bijlighar.dlms.apdu_long import (
    ActionBlock,
    ActionFirstBlock,
    ActionListFirstBlock,
    ActionNext,
    ActionResponseBlock,
    ActionResponseList,
    ActionResponseNext,
    ActionWithList,
    Attributes,
    Blocked,
    SetBlock,
    SetFirstBlock,
    SetListFirstBlock,
    SetResponseBlock,
    SetResponseLastBlock,
    SetResponseLastBlockList,
    SetResponseList,
    SetWithList,
)
from bijlighar.dlms.apdu_parts import (
    ACTION_REQUEST,
    ACTION_RESPONSE,
    CONFIRMED_SERVICE_ERROR,
    DATA_NOTIFICATION,
    EVENT_NOTIFICATION,
    EXCEPTION_RESPONSE,
    GET_REQUEST,
    GET_RESPONSE,
    INVOKE_CONFIRMED_HIGH,
    SET_REQUEST,
    SET_RESPONSE,
    MethodResult,
    encode_attributes,
    encode_get_data,
    encode_method_results,
    encode_result_list,
    encode_selection,
    encode_values,
)
from bijlighar.dlms.cosem import Attribute, Method, Selection

__all__ = [
    "ACTION_REQUEST",
    "ACTION_RESPONSE",
    "CONFIRMED_SERVICE_ERROR",
    "DATA_NOTIFICATION",
    "EVENT_NOTIFICATION",
    "EXCEPTION_RESPONSE",
    "GET_REQUEST",
    "GET_RESPONSE",
    "INVOKE_CONFIRMED_HIGH",
    "SET_REQUEST",
    "SET_RESPONSE",
    "ActionBlock",
    "ActionFirstBlock",
    "ActionListFirstBlock",
    "ActionNext",
    "ActionNormal",
    "ActionResponseBlock",
    "ActionResponseList",
    "ActionResponseNext",
    "ActionResponseNormal",
    "ActionWithList",
    "Apdu",
    "Attributes",
    "Blocked",
    "ConfirmedServiceError",
    "DataNotificationApdu",
    "EventNotificationApdu",
    "ExceptionResponse",
    "GetNext",
    "GetNormal",
    "GetResponseBlock",
    "GetResponseList",
    "GetResponseNormal",
    "GetWithList",
    "Method",
    "MethodResult",
    "SetBlock",
    "SetFirstBlock",
    "SetListFirstBlock",
    "SetNormal",
    "SetResponseBlock",
    "SetResponseLastBlock",
    "SetResponseLastBlockList",
    "SetResponseList",
    "SetResponseNormal",
    "SetWithList",
    "encode_attributes",
    "encode_get",
    "encode_get_data",
    "encode_method_results",
    "encode_result_list",
    "encode_selection",
    "encode_values",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetNormal:
    """GET-Request-Normal."""

    invoke: int
    attribute: Attribute
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        return encode_get(self.invoke, self.attribute, self.selection)


def encode_get(invoke: int, attribute: Attribute, selection: Selection | None = None) -> bytes:
    """
    Return the octets of a GET-Request-Normal, the request that is sent most.

    >>> from bijlighar.dlms.is15959 import CLOCK_TIME
    >>> encode_get(0xC1, CLOCK_TIME).hex()
    'c001c100080000010000ff0200'
    """
    if selection is None:
        return b"\xc0\x01%c%b\x00" % (invoke, attribute.descriptor)
    return b"\xc0\x01%c%b\x01%b" % (invoke, attribute.descriptor, selection.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class GetNext:
    """GET-Request-Next: the block before arrived."""

    invoke: int
    block: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((GET_REQUEST, 2, self.invoke)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class GetWithList:
    """GET-Request-With-List."""

    invoke: int
    attributes: Attributes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((GET_REQUEST, 3, self.invoke)) + encode_attributes(self.attributes)


class GetResponseNormal(NamedTuple):
    """GET-Response-Normal: data or a data-access-result. (A tuple: it is made most often of all.)"""

    invoke: int
    data: bytes | None = None
    error: int | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((GET_RESPONSE, 1, self.invoke)) + encode_get_data(self.data, self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResponseBlock:
    """GET-Response-With-Datablock."""

    invoke: int
    last: bool
    block: int
    data: bytes | None = None
    error: int | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        head = bytes((GET_RESPONSE, 2, self.invoke, self.last)) + self.block.to_bytes(4, "big")
        if self.data is None:
            return head + bytes((1, self.error or 0))
        return head + b"\x00" + axdr.length(len(self.data)) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResponseList:
    """GET-Response-With-List: (data, error) for each attribute."""

    invoke: int
    results: tuple[tuple[bytes | None, int | None], ...]

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((GET_RESPONSE, 3, self.invoke)) + encode_result_list(self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNormal:
    """SET-Request-Normal."""

    invoke: int
    attribute: Attribute
    data: bytes
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        selection = b"\x00" if self.selection is None else b"\x01" + self.selection.encode()
        return bytes((SET_REQUEST, 1, self.invoke)) + self.attribute.encode() + selection + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponseNormal:
    """SET-Response-Normal."""

    invoke: int
    result: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((SET_RESPONSE, 1, self.invoke, self.result))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNormal:
    """ACTION-Request-Normal."""

    invoke: int
    method: Method
    parameters: bytes | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        tail = b"\x00" if self.parameters is None else b"\x01" + self.parameters
        return bytes((ACTION_REQUEST, 1, self.invoke)) + self.method.encode() + tail


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResponseNormal:
    """ACTION-Response-Normal: the action-result, and data or a data-access-result if something is returned."""

    invoke: int
    result: int
    data: bytes | None = None
    error: int | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        outcome = MethodResult(self.result, self.data, self.error)
        return bytes((ACTION_RESPONSE, 1, self.invoke)) + outcome.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionResponse:
    """exception-response: state error, service error, and the counter expected where that is the error (6)."""

    state: int
    service: int
    counter: int | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        tail = b"" if self.counter is None else self.counter.to_bytes(4, "big")
        return bytes((EXCEPTION_RESPONSE, self.state, self.service)) + tail


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedServiceError:
    """confirmedServiceError: the service, the group of the error, the error in it."""

    service: int
    group: int
    value: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((CONFIRMED_SERVICE_ERROR, self.service, self.group, self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNotificationApdu:
    """data-notification."""

    long_invoke: int
    time: bytes | None
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        time = b"\x00" if self.time is None else axdr.length(len(self.time)) + self.time
        return bytes((DATA_NOTIFICATION,)) + self.long_invoke.to_bytes(4, "big") + time + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNotificationApdu:
    """event-notification-request."""

    time: bytes | None
    attribute: Attribute
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        time = b"\x00" if self.time is None else b"\x01" + axdr.length(len(self.time)) + self.time
        return bytes((EVENT_NOTIFICATION,)) + time + self.attribute.encode() + self.data


Apdu: TypeAlias = (
    GetNormal
    | GetNext
    | GetWithList
    | GetResponseNormal
    | GetResponseBlock
    | GetResponseList
    | SetNormal
    | SetFirstBlock
    | SetBlock
    | SetResponseNormal
    | SetResponseBlock
    | SetResponseLastBlock
    | SetWithList
    | SetListFirstBlock
    | SetResponseList
    | SetResponseLastBlockList
    | ActionNext
    | ActionWithList
    | ActionFirstBlock
    | ActionListFirstBlock
    | ActionBlock
    | ActionResponseBlock
    | ActionResponseList
    | ActionResponseNext
    | ActionNormal
    | ActionResponseNormal
    | ExceptionResponse
    | ConfirmedServiceError
    | DataNotificationApdu
    | EventNotificationApdu
)
