"""What all xDLMS APDUs are made of: tags, results, blocks, lists."""

from typing import NamedTuple

from bijlighar.dlms import axdr
from bijlighar.dlms.cosem import Attribute, Method, Selection

INVOKE_CONFIRMED_HIGH = 0xC0

GET_REQUEST, SET_REQUEST, EVENT_NOTIFICATION, ACTION_REQUEST = 0xC0, 0xC1, 0xC2, 0xC3
GET_RESPONSE, SET_RESPONSE, ACTION_RESPONSE = 0xC4, 0xC5, 0xC7
CONFIRMED_SERVICE_ERROR, DATA_NOTIFICATION, EXCEPTION_RESPONSE = 0x0E, 0x0F, 0xD8


class MethodResult(NamedTuple):
    """What came of one method: the action-result, and data or a data-access-result if something is returned."""

    result: int
    data: bytes | None = None
    error: int | None = None

    def encode(self) -> bytes:
        """Return the Action-Response-With-Optional-Data."""
        if self.data is None and self.error is None:
            return bytes((self.result, 0))
        return bytes((self.result, 1)) + encode_get_data(self.data, self.error)


def encode_get_data(data: bytes | None, error: int | None) -> bytes:
    """Return a Get-Data-Result: data, or the data-access-result."""
    return bytes((1, error or 0)) if data is None else b"\x00" + data


def encode_result_list(results: tuple[tuple[bytes | None, int | None], ...]) -> bytes:
    """Return a list of Get-Data-Results."""
    return axdr.length(len(results)) + b"".join(encode_get_data(data, error) for data, error in results)


def encode_method_results(results: tuple[MethodResult, ...]) -> bytes:
    """Return a list of Action-Responses-With-Optional-Data."""
    return axdr.length(len(results)) + b"".join(result.encode() for result in results)


def encode_selection(selection: Selection | None) -> bytes:
    """Return the optional selective access."""
    return b"\x00" if selection is None else b"\x01" + selection.encode()


def encode_attributes(attributes: tuple[tuple[Attribute, Selection | None], ...]) -> bytes:
    """Return a list of attribute descriptors with selections."""
    parts = [axdr.length(len(attributes))]
    for attribute, selection in attributes:
        parts.append(attribute.descriptor)
        parts.append(b"\x00" if selection is None else b"\x01" + selection.encode())
    return b"".join(parts)


def encode_methods(methods: tuple[Method, ...]) -> bytes:
    """Return a list of method descriptors."""
    return axdr.length(len(methods)) + b"".join(method.encode() for method in methods)


def encode_values(values: tuple[bytes, ...]) -> bytes:
    """Return a list of Data."""
    return axdr.length(len(values)) + b"".join(values)


def encode_block(*, last: bool, block: int, data: bytes) -> bytes:
    """Return a DataBlock-SA."""
    return bytes((last,)) + block.to_bytes(4, "big") + axdr.length(len(data)) + data
