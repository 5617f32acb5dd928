"""COSEM names: attributes, methods, capture objects, selective access, result codes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TypeAlias

from bijlighar.dlms import axdr
from bijlighar.dlms.errors import Malformed, Truncated
from bijlighar.dlms.obis import Obis


class DataAccess(IntEnum):
    """Data-Access-Result: how a GET or SET ended."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_GET_ABORTED = 15
    NO_LONG_GET_IN_PROGRESS = 16
    LONG_SET_ABORTED = 17
    NO_LONG_SET_IN_PROGRESS = 18
    DATA_BLOCK_NUMBER_INVALID = 19
    OTHER_REASON = 250


class ActionOutcome(IntEnum):
    """Action-Result: how an ACTION ended."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_ACTION_ABORTED = 15
    NO_LONG_ACTION_IN_PROGRESS = 16
    OTHER_REASON = 250


def result_name(code: int) -> str:
    """
    Return the name of a result code.

    >>> result_name(3), result_name(99)
    ('read-write-denied', 'result 99')
    """
    try:
        return DataAccess(code).name.lower().replace("_", "-")
    except ValueError:
        return f"result {code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of one object; `descriptor` is its Cosem-Attribute-Descriptor (9 octets)."""

    class_id: int
    obis: Obis
    index: int = 2
    descriptor: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        octets = self.class_id.to_bytes(2, "big") + self.obis.octets + bytes((self.index,))
        object.__setattr__(self, "descriptor", octets)

    def encode(self) -> bytes:
        """Return the Cosem-Attribute-Descriptor (9 octets)."""
        return self.descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of one object."""

    class_id: int
    obis: Obis
    index: int

    def encode(self) -> bytes:
        """Return the Cosem-Method-Descriptor (9 octets)."""
        return self.class_id.to_bytes(2, "big") + self.obis.octets + bytes((self.index,))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureObject:
    """One column of a profile: an attribute, and which element of it (0: all)."""

    class_id: int
    obis: Obis
    attribute: int = 2
    data_index: int = 0

    def encode(self) -> bytes:
        """Return the capture-object definition as A-XDR."""
        return axdr.structure(
            axdr.long_unsigned(self.class_id),
            axdr.octet_string(self.obis.octets),
            axdr.integer(self.attribute),
            axdr.long_unsigned(self.data_index),
        )


CLOCK = CaptureObject(class_id=8, obis=Obis.parse("0.0.1.0.0.255"))

_CLOCK_TAGS = (axdr.Tag.OCTET_STRING, axdr.Tag.DATE_TIME)


@dataclass(frozen=True, kw_only=True)
class ByRange:
    """Rows whose `clock` column lies in [lower, upper] (12-octet COSEM times); columns empty: all."""

    lower: bytes
    upper: bytes
    clock: CaptureObject = CLOCK
    columns: tuple[CaptureObject, ...] = ()

    def encode(self) -> bytes:
        """Return the access selector and its parameters."""
        return self._octets

    @cached_property
    def _octets(self) -> bytes:  # the same range is asked of many meters
        return b"\x01" + axdr.structure(
            self.clock.encode(),
            axdr.octet_string(self.lower),
            axdr.octet_string(self.upper),
            axdr.array([column.encode() for column in self.columns]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ByEntry:
    """Rows and columns by their numbers, counted from 1; 0 as the last means to the end."""

    first: int = 1
    last: int = 0
    first_column: int = 1
    last_column: int = 0

    def encode(self) -> bytes:
        """Return the access selector and its parameters."""
        return b"\x02" + axdr.structure(
            axdr.double_long_unsigned(self.first),
            axdr.double_long_unsigned(self.last),
            axdr.long_unsigned(self.first_column),
            axdr.long_unsigned(self.last_column),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSelection:
    """A selective access of another kind, left as it came."""

    selector: int
    parameters: bytes

    def encode(self) -> bytes:
        """Return the access selector and its parameters."""
        return bytes((self.selector,)) + self.parameters


Selection: TypeAlias = ByRange | ByEntry | RawSelection


def decode_selection(selector: int, parameters: bytes) -> Selection:
    """
    Return the selective access of a request; what is not by clock range or by entry is left raw.

    :raises RemoteProtocolError: if the parameters are no A-XDR value.
    """
    tree = axdr.parse(parameters)
    fields = tree.value if isinstance(tree.value, tuple) and tree.tag == axdr.Tag.STRUCTURE else ()
    if len(fields) == 4:
        if selector == 1 and _is_clock_range(fields):
            _, lower, upper, _ = fields
            value = axdr.decode(parameters)
            clock, _, _, columns = value if isinstance(value, tuple) else ()
            return ByRange(
                lower=bytes(lower.value) if isinstance(lower.value, bytes) else b"",
                upper=bytes(upper.value) if isinstance(upper.value, bytes) else b"",
                clock=_capture_object(clock),
                columns=tuple(map(_capture_object, columns if isinstance(columns, list) else ())),
            )
        numbers = [field.value for field in fields if isinstance(field.value, int)]
        if selector == 2 and len(numbers) == 4 and _are_entries(numbers):
            first, last, first_column, last_column = numbers
            return ByEntry(first=first, last=last, first_column=first_column, last_column=last_column)
    return RawSelection(selector=selector, parameters=parameters)


_PLAIN_RANGE = b"\x02\x04" + CLOCK.encode() + b"\x09\x0c"
_PLAIN_RANGE_OCTETS = len(_PLAIN_RANGE) + 12 + 2 + 12 + 2


def read_selection(data: bytes, at: int) -> tuple[Selection, int]:
    """
    Return the selective access (selector and parameters) that starts at `at`, and where it ends.

    :raises RemoteProtocolError: if it is none.
    """
    if at >= len(data):
        raise Truncated("a message ends where a selective access should stand")
    end = at + 1 + _PLAIN_RANGE_OCTETS
    # A range of the clock with all columns is what nearly all requests ask for: look at the octets, build nothing.
    if data[at] == 1 and data.startswith(_PLAIN_RANGE, at + 1) and data[end - 2 : end] == b"\x01\x00":
        lower = at + 1 + len(_PLAIN_RANGE)
        if data[lower + 12 : lower + 14] == b"\x09\x0c":
            return ByRange(lower=data[lower : lower + 12], upper=data[lower + 14 : lower + 26]), end
    end = axdr.skip(data, at + 1)
    return decode_selection(data[at], data[at + 1 : end]), end


def _is_clock_range(fields: tuple[object, ...]) -> bool:
    """Return whether both ends of a range are COSEM times."""
    return all(
        isinstance(field, axdr.Data)
        and field.tag in _CLOCK_TAGS
        and isinstance(field.value, bytes)
        and len(field.value) == 12
        for field in fields[1:3]
    )


def _are_entries(numbers: Sequence[int]) -> bool:
    """Return whether four numbers can be first and last row (32 bits), first and last column (16 bits)."""
    limits = (0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF, 0xFFFF)
    return all(0 <= number <= limit for number, limit in zip(numbers, limits, strict=True))


def _capture_object(value: axdr.Value) -> CaptureObject:
    """Return the capture object of a decoded structure."""
    match value:
        case (int(class_id), bytes(octets), int(attribute), int(data_index)) if (
            len(octets) == 6
            and 0 <= class_id <= 0xFFFF
            and -128 <= attribute <= 127
            and 0 <= data_index <= 0xFFFF
        ):
            return CaptureObject(
                class_id=class_id, obis=Obis(octets=octets), attribute=attribute, data_index=data_index
            )
    raise Malformed(f"{value!r} is not a capture object")


def capture_objects(data: bytes) -> tuple[CaptureObject, ...]:
    """
    Return the columns that attribute 3 of a profile lists.

    :raises RemoteProtocolError: if `data` is not an array of capture objects.
    """
    value = axdr.decode(data)
    if not isinstance(value, list):
        raise Malformed("the capture objects are not an array")
    return tuple(map(_capture_object, value))


def encode_capture_objects(objects: Sequence[CaptureObject]) -> bytes:
    """Return attribute 3 of a profile with these columns."""
    return axdr.array([item.encode() for item in objects])


def logical_name(data: bytes) -> Obis:
    """
    Return the OBIS code that an octet-string of six octets holds.

    :raises RemoteProtocolError: if it is something else.
    """
    value = axdr.decode(data)
    if isinstance(value, bytes) and len(value) == 6:
        return Obis(octets=value)
    raise Malformed("not a logical name")
