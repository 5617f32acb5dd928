"""The initiate APDUs inside AARQ and AARE (A-XDR): what services and sizes are proposed and agreed."""

from dataclasses import dataclass
from enum import IntFlag

from bijlighar.dlms import axdr
from bijlighar.dlms.errors import Malformed, Truncated

DLMS_VERSION = 6
LOGICAL_NAME_VAA = 7


class Conformance(IntFlag):
    """The services of an association, as the 24 bits of the conformance block (bit 0 leftmost)."""

    GENERAL_PROTECTION = 1 << 22
    GENERAL_BLOCK_TRANSFER = 1 << 21
    READ = 1 << 20
    WRITE = 1 << 19
    UNCONFIRMED_WRITE = 1 << 18
    ATTRIBUTE_0_WITH_SET = 1 << 15
    PRIORITY = 1 << 14
    ATTRIBUTE_0_WITH_GET = 1 << 13
    BLOCK_TRANSFER_GET = 1 << 12
    BLOCK_TRANSFER_SET = 1 << 11
    BLOCK_TRANSFER_ACTION = 1 << 10
    MULTIPLE_REFERENCES = 1 << 9
    INFORMATION_REPORT = 1 << 8
    DATA_NOTIFICATION = 1 << 7
    ACCESS = 1 << 6
    PARAMETERIZED_ACCESS = 1 << 5
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    EVENT_NOTIFICATION = 1 << 1
    ACTION = 1


SUPPORTED = (
    Conformance.GENERAL_PROTECTION
    | Conformance.PRIORITY
    | Conformance.BLOCK_TRANSFER_GET
    | Conformance.BLOCK_TRANSFER_SET
    | Conformance.BLOCK_TRANSFER_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.DATA_NOTIFICATION
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.EVENT_NOTIFICATION
    | Conformance.ACTION
)

INITIATE_REQUEST = 0x01
INITIATE_RESPONSE = 0x08
_CONFORMANCE_HEAD = bytes.fromhex("5f1f0400")
_CONFORMANCE_HEAD_SHORT = bytes.fromhex("5f0400")


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateRequest:
    """What the client proposes; `max_pdu` is what it can receive [octets], 0 without limit."""

    dedicated_key: bytes | None = None
    response_allowed: bool = True
    quality_of_service: int | None = None
    version: int = DLMS_VERSION
    conformance: int = int(SUPPORTED)
    max_pdu: int = 0xFFFF

    def encode(self) -> bytes:
        """Return the APDU."""
        parts = [b"\x01"]
        parts.append(
            b"\x00"
            if self.dedicated_key is None
            else b"\x01" + axdr.length(len(self.dedicated_key)) + self.dedicated_key
        )
        parts.append(b"\x00" if self.response_allowed else b"\x01\x00")
        parts.append(
            b"\x00" if self.quality_of_service is None else b"\x01" + bytes((self.quality_of_service & 0xFF,))
        )
        parts.append(bytes((self.version,)) + _CONFORMANCE_HEAD + self.conformance.to_bytes(3, "big"))
        parts.append(self.max_pdu.to_bytes(2, "big"))
        return b"".join(parts)


def _read_conformance(apdu: bytes, at: int) -> tuple[int, int, int, int]:
    """Return version, conformance, PDU size and the end of what all initiate APDUs share."""
    if at + 1 > len(apdu):
        raise Truncated("an initiate message is cut off")
    version = apdu[at]
    for head in (_CONFORMANCE_HEAD, _CONFORMANCE_HEAD_SHORT):
        if apdu.startswith(head, at + 1):
            start = at + 1 + len(head)
            if start + 5 > len(apdu):
                raise Truncated("an initiate message is cut off")
            conformance = int.from_bytes(apdu[start : start + 3], "big")
            return version, conformance, int.from_bytes(apdu[start + 3 : start + 5], "big"), start + 5
    if len(apdu) < at + 10:
        raise Truncated("an initiate message is cut off")
    raise Malformed("an initiate message has no conformance block")


def _octet(apdu: bytes, at: int) -> int:
    if at >= len(apdu):
        raise Truncated("an initiate message is cut off")
    return apdu[at]


def decode_initiate_request(apdu: bytes) -> InitiateRequest:
    """
    Return the initiate request that `apdu` is.

    :raises RemoteProtocolError: if it is none.
    """
    if _octet(apdu, 0) != INITIATE_REQUEST:
        raise Malformed("not an initiate request")
    at = 1
    dedicated_key: bytes | None = None
    if _octet(apdu, at):
        count, at = axdr.read_length(apdu, at + 1)
        if at + count > len(apdu):
            raise Truncated("a dedicated key is cut off")
        dedicated_key, at = apdu[at : at + count], at + count
    else:
        at += 1
    response_allowed = True
    if _octet(apdu, at):
        response_allowed = _octet(apdu, at + 1) != 0
        at += 1
    at += 1
    quality: int | None = None
    if _octet(apdu, at):
        quality = _octet(apdu, at + 1)
        at += 1
    version, conformance, max_pdu, end = _read_conformance(apdu, at + 1)
    if end != len(apdu):
        raise Malformed("octets are left over after an initiate request")
    return InitiateRequest(
        dedicated_key=dedicated_key,
        response_allowed=response_allowed,
        quality_of_service=quality,
        version=version,
        conformance=conformance,
        max_pdu=max_pdu,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateResponse:
    """What the server agrees to; `max_pdu` is what it can receive [octets], 0 without limit."""

    quality_of_service: int | None = None
    version: int = DLMS_VERSION
    conformance: int = int(SUPPORTED)
    max_pdu: int = 0xFFFF
    vaa: int = LOGICAL_NAME_VAA

    def encode(self) -> bytes:
        """Return the APDU."""
        quality = (
            b"\x00" if self.quality_of_service is None else b"\x01" + bytes((self.quality_of_service & 0xFF,))
        )
        return (
            b"\x08"
            + quality
            + bytes((self.version,))
            + _CONFORMANCE_HEAD
            + self.conformance.to_bytes(3, "big")
            + self.max_pdu.to_bytes(2, "big")
            + self.vaa.to_bytes(2, "big")
        )


def decode_initiate_response(apdu: bytes) -> InitiateResponse:
    """
    Return the initiate response that `apdu` is.

    :raises RemoteProtocolError: if it is none.
    """
    if _octet(apdu, 0) != INITIATE_RESPONSE:
        raise Malformed("not an initiate response")
    at = 1
    quality: int | None = None
    if _octet(apdu, at):
        quality = _octet(apdu, at + 1)
        at += 1
    version, conformance, max_pdu, end = _read_conformance(apdu, at + 1)
    if end + 2 > len(apdu):
        raise Truncated("an initiate response is cut off")
    if end + 2 != len(apdu):
        raise Malformed("octets are left over after an initiate response")
    return InitiateResponse(
        quality_of_service=quality,
        version=version,
        conformance=conformance,
        max_pdu=max_pdu,
        vaa=int.from_bytes(apdu[end : end + 2], "big"),
    )
