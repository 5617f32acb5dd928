"""The wrapper of IEC 62056-47: eight octets before each APDU on TCP or UDP."""

import struct
from typing import NamedTuple

from bijlighar.dlms.errors import AnnouncedTooLong, LocalProtocolError, Malformed

HEADER_OCTETS = 8
VERSION = 1
LENGTH_MAX = 0xFFFF
_HEADER = struct.Struct(">HHHH")
_unpack = _HEADER.unpack_from
#: Makes a named tuple in half the time.
_new = tuple.__new__


class WrapperHeader(NamedTuple):
    """Source and destination SAP, and the length of what follows [octets]."""

    source: int
    destination: int
    length: int


def encode(apdu: bytes, *, source: int, destination: int) -> bytes:
    """
    Return `apdu` in its wrapper.

    >>> encode(bytes.fromhex("c001c1000100002b0100ff0200"), source=16, destination=1).hex()[:16]
    '000100100001000d'

    :raises LocalProtocolError: if it is longer than a wrapper can say.
    """
    if len(apdu) > LENGTH_MAX:
        raise LocalProtocolError(
            f"a message of {len(apdu)} octets does not fit into a wrapper ({LENGTH_MAX})"
        )
    return _HEADER.pack(VERSION, source, destination, len(apdu)) + apdu


def peek_wrapper(data: bytes) -> WrapperHeader | None:
    """
    Return the header that `data` starts with, None if it has not come whole.

    :raises Malformed: if the version is another.
    """
    if len(data) < HEADER_OCTETS:
        return None
    version, source, destination, length = _HEADER.unpack_from(data)
    if version != VERSION:
        raise Malformed(f"wrapper version {version} is not {VERSION}; this is no DLMS wrapper")
    return WrapperHeader(source, destination, length)


class WrapperBuffer:
    """Collects octets and gives whole frames."""

    __slots__ = ("_data", "_octets_max")

    def __init__(self, *, octets_max: int) -> None:
        self._data: bytes | bytearray = b""
        self._octets_max = octets_max

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        if not self._data:
            self._data = data  # most often one whole frame, which is not copied here
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += data

    def next_frame(self) -> tuple[WrapperHeader, bytes] | None:
        """
        Return header and APDU of the next whole frame, None if there is none yet.

        :raises Malformed: if the version is another (the stream is lost).
        :raises AnnouncedTooLong: if a frame announces more than allowed (the stream is lost).
        """
        data = self._data
        octets = len(data)
        if octets < HEADER_OCTETS:
            return None
        version, source, destination, length = _unpack(data)
        if version != VERSION:
            raise Malformed(f"wrapper version {version} is not {VERSION}; this is no DLMS wrapper")
        if length > self._octets_max:
            raise AnnouncedTooLong(f"a frame of {length} octets is refused ({self._octets_max} are allowed)")
        end = HEADER_OCTETS + length
        if octets < end:
            return None
        if octets == end:
            self._data, apdu = b"", data[HEADER_OCTETS:]
        else:
            self._data, apdu = data[end:], data[HEADER_OCTETS:end]
        if apdu.__class__ is not bytes:
            apdu = bytes(apdu)
        return _new(WrapperHeader, (source, destination, length)), apdu
