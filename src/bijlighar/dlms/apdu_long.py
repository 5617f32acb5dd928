"""xDLMS APDUs of SET and ACTION with lists and with blocks."""

from dataclasses import dataclass

from bijlighar.dlms import axdr
from bijlighar.dlms.apdu_parts import (
    ACTION_REQUEST,
    ACTION_RESPONSE,
    SET_REQUEST,
    SET_RESPONSE,
    MethodResult,
    encode_attributes,
    encode_block,
    encode_method_results,
    encode_methods,
    encode_selection,
    encode_values,
)
from bijlighar.dlms.cosem import Attribute, Method, Selection

Attributes = tuple[tuple[Attribute, Selection | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFirstBlock:
    """SET-Request-With-First-Datablock."""

    invoke: int
    attribute: Attribute
    last: bool
    block: int
    data: bytes
    selection: Selection | None = None

    def encode(self) -> bytes:
        """Return the APDU."""
        head = bytes((SET_REQUEST, 2, self.invoke)) + self.attribute.encode()
        return head + encode_selection(self.selection) + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlock:
    """SET-Request-With-Datablock."""

    invoke: int
    last: bool
    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((SET_REQUEST, 3, self.invoke)) + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWithList:
    """SET-Request-With-List: attributes, and a value for each."""

    invoke: int
    attributes: Attributes
    values: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the APDU."""
        head = bytes((SET_REQUEST, 4, self.invoke))
        return head + encode_attributes(self.attributes) + encode_values(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListFirstBlock:
    """SET-Request-With-List-And-First-Datablock: the blocks hold the list of values."""

    invoke: int
    attributes: Attributes
    last: bool
    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((SET_REQUEST, 5, self.invoke)) + encode_attributes(self.attributes) + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponseBlock:
    """SET-Response-Datablock: a block arrived, send the next."""

    invoke: int
    block: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((SET_RESPONSE, 2, self.invoke)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponseLastBlock:
    """SET-Response-Last-Datablock: the last block arrived, and this came of it."""

    invoke: int
    result: int
    block: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((SET_RESPONSE, 3, self.invoke, self.result)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponseLastBlockList:
    """SET-Response-Last-Datablock-With-List."""

    invoke: int
    results: tuple[int, ...]
    block: int

    def encode(self) -> bytes:
        """Return the APDU."""
        results = axdr.length(len(self.results)) + bytes(self.results)
        return bytes((SET_RESPONSE, 4, self.invoke)) + results + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponseList:
    """SET-Response-With-List: a data-access-result for each attribute."""

    invoke: int
    results: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((SET_RESPONSE, 5, self.invoke)) + axdr.length(len(self.results)) + bytes(self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNext:
    """ACTION-Request-Next-Pblock: the block before arrived."""

    invoke: int
    block: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_REQUEST, 2, self.invoke)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWithList:
    """ACTION-Request-With-List: methods, and parameters for each (null-data for none)."""

    invoke: int
    methods: tuple[Method, ...]
    parameters: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the APDU."""
        head = bytes((ACTION_REQUEST, 3, self.invoke))
        return head + encode_methods(self.methods) + encode_values(self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFirstBlock:
    """ACTION-Request-With-First-Pblock: the blocks hold the parameters."""

    invoke: int
    method: Method
    last: bool
    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_REQUEST, 4, self.invoke)) + self.method.encode() + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionListFirstBlock:
    """ACTION-Request-With-List-And-First-Pblock: the blocks hold the list of parameters."""

    invoke: int
    methods: tuple[Method, ...]
    last: bool
    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_REQUEST, 5, self.invoke)) + encode_methods(self.methods) + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionBlock:
    """ACTION-Request-With-Pblock."""

    invoke: int
    last: bool
    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_REQUEST, 6, self.invoke)) + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResponseBlock:
    """ACTION-Response-With-Pblock: a block of what the methods returned."""

    invoke: int
    last: bool
    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_RESPONSE, 2, self.invoke)) + _block(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResponseList:
    """ACTION-Response-With-List."""

    invoke: int
    results: tuple[MethodResult, ...]

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_RESPONSE, 3, self.invoke)) + encode_method_results(self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResponseNext:
    """ACTION-Response-Next-Pblock: a block arrived, send the next."""

    invoke: int
    block: int

    def encode(self) -> bytes:
        """Return the APDU."""
        return bytes((ACTION_RESPONSE, 4, self.invoke)) + self.block.to_bytes(4, "big")


Blocked = SetFirstBlock | SetBlock | SetListFirstBlock | ActionFirstBlock | ActionListFirstBlock | ActionBlock


def _block(apdu: Blocked | ActionResponseBlock) -> bytes:
    return encode_block(last=apdu.last, block=apdu.block, data=apdu.data)
