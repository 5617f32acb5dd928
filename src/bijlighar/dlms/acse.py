"""
ACSE: AARQ, AARE, RLRQ, RLRE (BER, read by tag in any order).

Written elements come in the order of IEC 62056-5-3; meters are seen to send them in another (A4 after AA), and some
leave elements out, so reading asks only for what is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bijlighar.dlms import axdr
from bijlighar.dlms.errors import Malformed, TooLong, Truncated
from bijlighar.dlms.security import CHALLENGE_OCTETS_MAX

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
ACSE_OCTETS_MAX = 1024

CONTEXT_PLAIN = 1
CONTEXT_CIPHERED = 3

DIAGNOSTIC_NULL = 0
DIAGNOSTIC_NO_REASON = 1
DIAGNOSTIC_CONTEXT_NOT_SUPPORTED = 2
DIAGNOSTIC_TITLE_NOT_RECOGNISED = 3
DIAGNOSTIC_MECHANISM_NOT_RECOGNISED = 11
DIAGNOSTIC_AUTHENTICATION_FAILURE = 13
DIAGNOSTIC_AUTHENTICATION_REQUIRED = 14

_DLMS_UA = bytes.fromhex("60857405 08")
_CONTEXT_OID = _DLMS_UA + b"\x01"
_MECHANISM_OID = _DLMS_UA + b"\x02"


def ber_length(count: int) -> bytes:
    """Return the octets of a BER length (the same as A-XDR's)."""
    return axdr.length(count)


def _element(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + ber_length(len(content)) + content


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of the elements in `data`."""
    at = 0
    while at < len(data):
        tag = data[at]
        if at + 1 < len(data) and data[at + 1] < 0x80:
            count, at = data[at + 1], at + 2  # nearly all elements
        else:
            count, at = axdr.read_length(data, at + 1)
        if at + count > len(data):
            raise Truncated(f"element {tag:02X}h announces {count} octets, {len(data) - at} are there")
        yield tag, data[at : at + count]
        at += count


def _content_of(apdu: bytes, tag: int) -> bytes:
    """Return the content of an ACSE APDU."""
    if len(apdu) > ACSE_OCTETS_MAX:
        raise TooLong(f"an association message of {len(apdu)} octets is refused")
    if not apdu or apdu[0] != tag:
        raise Malformed(f"not an APDU with tag {tag:02X}h")
    count, at = axdr.read_length(apdu, 1)
    if at + count > len(apdu):
        raise Truncated(f"an association message announces {count} octets, {len(apdu) - at} are there")
    if at + count < len(apdu):
        raise Malformed("octets are left over after an association message")
    return apdu[at:]


def _inner(content: bytes, tag: int) -> bytes:
    """Return the content of the one element with `tag` in `content`."""
    for found, inner in _elements(content):
        if found == tag:
            return inner
    raise Malformed(f"an association message lacks an element {tag:02X}h")


def _oid_end(oid: bytes, stem: bytes) -> int:
    """Return the last number of an object identifier of the DLMS user association."""
    if len(oid) != len(stem) + 1 or not oid.startswith(stem):
        raise Malformed(f"object identifier {oid.hex()} is not of DLMS")
    return oid[-1]


def _small_integer(content: bytes) -> int:
    """Return the value of a BER integer inside `content`: a result or diagnostic, which are few."""
    octets = _inner(content, 0x02)
    if not 0 < len(octets) <= 4:
        raise Malformed("an integer of an association message has a wrong length")
    value = int.from_bytes(octets, "big", signed=True)
    if not 0 <= value <= 0x7F:
        raise Malformed(f"{value} is no result or diagnostic of an association")
    return value


def _password(content: bytes) -> bytes:
    """Return the octets of an authentication value (charstring)."""
    value = _inner(content, 0x80)
    if len(value) > CHALLENGE_OCTETS_MAX:
        raise TooLong(f"an authentication value of {len(value)} octets is refused")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Aarq:
    """
    An association request.

    `mechanism` None means no authentication; `user_information` is the initiate request, ciphered or plain.
    """

    context: int = CONTEXT_PLAIN
    mechanism: int | None = None
    title: bytes | None = None
    value: bytes | None = None
    user_information: bytes = b""

    def encode(self) -> bytes:
        """Return the APDU."""
        parts = [_element(0xA1, _element(0x06, _CONTEXT_OID + bytes((self.context,))))]
        if self.title is not None:
            parts.append(_element(0xA6, _element(0x04, self.title)))
        if self.mechanism is not None:
            parts.append(b"\x8a\x02\x07\x80")
            parts.append(_element(0x8B, _MECHANISM_OID + bytes((self.mechanism,))))
        if self.value is not None:
            parts.append(_element(0xAC, _element(0x80, self.value)))
        if self.user_information:
            parts.append(_element(0xBE, _element(0x04, self.user_information)))
        return _element(AARQ, b"".join(parts))


def decode_aarq(apdu: bytes) -> Aarq:
    """
    Return the association request that `apdu` is.

    :raises RemoteProtocolError: if it is none.
    """
    context, mechanism, title, value, user_information = CONTEXT_PLAIN, None, None, None, b""
    for tag, content in _elements(_content_of(apdu, AARQ)):
        if tag == 0xA1:
            context = _oid_end(_inner(content, 0x06), _CONTEXT_OID)
        elif tag == 0xA6:
            title = _inner(content, 0x04)
        elif tag == 0x8B:
            mechanism = _oid_end(content, _MECHANISM_OID)
        elif tag == 0xAC:
            value = _password(content)
        elif tag == 0xBE:
            user_information = _inner(content, 0x04)
    return Aarq(
        context=context, mechanism=mechanism, title=title, value=value, user_information=user_information
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Aare:
    """An association response."""

    context: int = CONTEXT_PLAIN
    result: int = 0
    diagnostic: int = DIAGNOSTIC_NULL
    title: bytes | None = None
    mechanism: int | None = None
    value: bytes | None = None
    user_information: bytes = b""

    def encode(self) -> bytes:
        """Return the APDU."""
        parts = [
            _element(0xA1, _element(0x06, _CONTEXT_OID + bytes((self.context,)))),
            b"\xa2\x03\x02\x01" + bytes((self.result,)),
            b"\xa3\x05\xa1\x03\x02\x01" + bytes((self.diagnostic,)),
        ]
        if self.title is not None:
            parts.append(_element(0xA4, _element(0x04, self.title)))
        if self.mechanism is not None:
            parts.append(b"\x88\x02\x07\x80")
            parts.append(_element(0x89, _MECHANISM_OID + bytes((self.mechanism,))))
        if self.value is not None:
            parts.append(_element(0xAA, _element(0x80, self.value)))
        if self.user_information:
            parts.append(_element(0xBE, _element(0x04, self.user_information)))
        return _element(AARE, b"".join(parts))


def decode_aare(apdu: bytes) -> Aare:
    """
    Return the association response that `apdu` is.

    :raises RemoteProtocolError: if it is none.
    """
    context, result, diagnostic = CONTEXT_PLAIN, None, DIAGNOSTIC_NULL
    title, mechanism, value, user_information = None, None, None, b""
    for tag, content in _elements(_content_of(apdu, AARE)):
        if tag == 0xA1:
            context = _oid_end(_inner(content, 0x06), _CONTEXT_OID)
        elif tag == 0xA2:
            result = _small_integer(content)
        elif tag == 0xA3:
            diagnostic = _diagnostic(content)
        elif tag == 0xA4:
            title = _inner(content, 0x04)
        elif tag == 0x89:
            mechanism = _oid_end(content, _MECHANISM_OID)
        elif tag == 0xAA:
            value = _password(content)
        elif tag == 0xBE:
            user_information = _inner(content, 0x04)
    if result is None:
        raise Malformed("an association response has no result")
    return Aare(
        context=context,
        result=result,
        diagnostic=diagnostic,
        title=title,
        mechanism=mechanism,
        value=value,
        user_information=user_information,
    )


def _diagnostic(content: bytes) -> int:
    """Return the number of a result-source-diagnostic (of the service user A1 or provider A2)."""
    for tag, inner in _elements(content):
        if tag in (0xA1, 0xA2):
            return _small_integer(inner)
    raise Malformed("an association response has no diagnostic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release request (RLRQ) or response (RLRE); `reason` None where the peer gave none."""

    tag: int = RLRQ
    reason: int | None = 0
    user_information: bytes = b""

    def encode(self) -> bytes:
        """Return the APDU."""
        parts = b"" if self.reason is None else b"\x80\x01" + bytes((self.reason,))
        if self.user_information:
            parts += _element(0xBE, _element(0x04, self.user_information))
        return _element(self.tag, parts)


def decode_release(apdu: bytes) -> Release:
    """
    Return the release request or response that `apdu` is.

    :raises RemoteProtocolError: if it is neither.
    """
    tag = apdu[0] if apdu else 0
    if tag not in (RLRQ, RLRE):
        raise Malformed("not a release message")
    reason, user_information = None, b""
    for found, content in _elements(_content_of(apdu, tag)):
        if found == 0x80:
            if len(content) != 1:
                raise Malformed("a release reason has one octet")
            reason = content[0]
        elif found == 0xBE:
            user_information = _inner(content, 0x04)
    return Release(tag=tag, reason=reason, user_information=user_information)
