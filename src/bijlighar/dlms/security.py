"""
Security suite 0: AES-GCM-128 with tags of 12 octets, GMAC and AES-ECB for HLS, RFC 3394 key wrap.

`cryptography` offers fast AES-GCM only with tags of 16 octets. Counter mode is its own inverse, so a message is
deciphered by enciphering it, and its tag is checked by enciphering the plain text again and comparing the first 12
octets in constant time.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from bijlighar.dlms.errors import Forged, LocalProtocolError, Malformed, Truncated

TITLE_OCTETS = 8
KEY_OCTETS = 16
TAG_OCTETS = 12
HEADER_OCTETS = 5
COUNTER_MAX = 0xFFFF_FFFF
CHALLENGE_OCTETS_MIN = 8
CHALLENGE_OCTETS_MAX = 64


class Mechanism(IntEnum):
    """Authentication mechanisms that we support."""

    NONE = 0
    LLS = 1
    HLS2 = 2
    HLS5 = 5

    @property
    def is_high_level(self) -> bool:
        """Return whether both sides prove themselves in four passes."""
        return self in (Mechanism.HLS2, Mechanism.HLS5)


class Control:
    """Bits of the security control octet; the low four bits are the suite. (Plain numbers: they are asked often.)"""

    AUTHENTICATED: Final = 0x10
    ENCRYPTED: Final = 0x20
    COMPRESSED: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """
    What one side knows and demands of an association.

    `control` is the security control of what we send; `next_counter` gives our invocation counter, never the same
    twice; `received_counter` is the last good counter of the peer under `ek`, -1 if none.
    """

    mechanism: Mechanism = Mechanism.NONE
    secret: bytes = field(default=b"", repr=False)
    ciphered: bool = False
    own_title: bytes = b""
    peer_title: bytes | None = None
    ek: bytes = field(default=b"", repr=False)
    ak: bytes = field(default=b"", repr=False)
    dedicated: bool = False
    general: bool = False
    control: int = Control.AUTHENTICATED | Control.ENCRYPTED
    accept_unauthenticated: bool = False
    next_counter: Callable[[], int] | None = None
    received_counter: int = -1

    def __post_init__(self) -> None:
        needs_keys = self.ciphered or self.mechanism == Mechanism.HLS5
        if needs_keys and not len(self.ek) == len(self.ak) == KEY_OCTETS:
            raise LocalProtocolError(f"EK and AK must have {KEY_OCTETS} octets each; look into the keys file")
        if needs_keys and len(self.own_title) != TITLE_OCTETS:
            raise LocalProtocolError(f"our system title must have {TITLE_OCTETS} octets; set it")
        if needs_keys and self.next_counter is None:
            raise LocalProtocolError("ciphering needs an invocation counter")
        if self.peer_title is not None and len(self.peer_title) != TITLE_OCTETS:
            raise LocalProtocolError(f"the peer's system title must have {TITLE_OCTETS} octets")
        if self.mechanism == Mechanism.HLS2 and len(self.secret) != KEY_OCTETS:
            raise LocalProtocolError(f"the secret of HLS mechanism 2 must have {KEY_OCTETS} octets")


class Protection:
    """One key pair at work: enciphers and deciphers under the EK and AK given, keeping the AES schedules."""

    __slots__ = ("_aad", "_aes", "_ak")

    def __init__(self, *, ek: bytes, ak: bytes) -> None:
        self._aes = AESGCM(ek)
        self._ak = ak
        self._aad = {control: bytes((control,)) + ak for control in (0x10, 0x20, 0x30)}

    def _authenticated_data(self, control: int) -> bytes:
        return self._aad.get(control) or bytes((control,)) + self._ak

    def protect(self, plain: bytes, *, control: int, title: bytes, counter: int) -> bytes:
        """
        Return security header (control, counter), content and tag of a message of ours.

        :raises LocalProtocolError: if the counter is used up.
        """
        if not 0 <= counter <= COUNTER_MAX:
            raise LocalProtocolError(f"the invocation counter {counter} is used up; change the key")
        octets = counter.to_bytes(4, "big")
        header = bytes((control,)) + octets
        nonce = title + octets
        if control & 0x30 == 0x30:
            sealed = self._aes.encrypt(nonce, plain, self._authenticated_data(control))
            return header + sealed[:-4]
        if control & Control.ENCRYPTED:
            return header + self._aes.encrypt(nonce, plain, None)[:-16]
        if control & Control.AUTHENTICATED:
            tag = self._aes.encrypt(nonce, b"", self._authenticated_data(control) + plain)[:TAG_OCTETS]
            return header + plain + tag
        return header + plain

    def unprotect(self, content: bytes, *, title: bytes) -> tuple[bytes, bool]:
        """
        Return the plain octets of a protected message, and whether its tag holds.

        `content` starts with the security header. The plain octets of a message whose tag does not hold are for
        telling a wrong key from a forged message only. Encrypted but unauthenticated messages (20h) have no tag; the
        answer is True for them and the caller asks its policy first.

        :raises Truncated: if there is no room for header and tag.
        :raises Malformed: if the suite is not 0, or the message is compressed.
        """
        if len(content) < HEADER_OCTETS:
            raise Truncated("a ciphered message ends inside its security header")
        control = content[0]
        if control & 0x0F or control & Control.COMPRESSED:
            raise Malformed(f"the security control {control:02X}h is not of suite 0 without compression")
        nonce = title + content[1:HEADER_OCTETS]
        if not control & Control.AUTHENTICATED:
            body = content[HEADER_OCTETS:]
            return (self._aes.encrypt(nonce, body, None)[:-16] if control & Control.ENCRYPTED else body), True
        if len(content) < HEADER_OCTETS + TAG_OCTETS:
            raise Truncated("a ciphered message ends inside its tag")
        body, tag = content[HEADER_OCTETS:-TAG_OCTETS], content[-TAG_OCTETS:]
        if control & Control.ENCRYPTED:
            plain = self._aes.encrypt(nonce, body, None)[:-16]
            check = self._aes.encrypt(nonce, plain, self._authenticated_data(control))[-16:-4]
        else:
            plain = body
            check = self._aes.encrypt(nonce, b"", self._authenticated_data(control) + body)[:TAG_OCTETS]
        return plain, hmac.compare_digest(check, tag)

    def gmac(self, challenge: bytes, *, title: bytes, counter: int) -> bytes:
        """Return the answer of HLS mechanism 5 to `challenge`: control 10h, counter, tag."""
        return self._gmac(challenge, title=title, octets=counter.to_bytes(4, "big"))

    def _gmac(self, challenge: bytes, *, title: bytes, octets: bytes) -> bytes:
        tag = self._aes.encrypt(title + octets, b"", self._authenticated_data(0x10) + challenge)[:TAG_OCTETS]
        return b"\x10" + octets + tag

    def gmac_holds(self, answer: bytes, challenge: bytes, *, title: bytes) -> bool:
        """Return whether `answer` is the peer's right answer of HLS mechanism 5 to our challenge."""
        if len(answer) != HEADER_OCTETS + TAG_OCTETS or answer[0] != 0x10:
            return False
        return hmac.compare_digest(self._gmac(challenge, title=title, octets=answer[1:HEADER_OCTETS]), answer)


def hls2_answer(challenge: bytes, *, secret: bytes) -> bytes:
    """Return the answer of HLS mechanism 2: the challenge, filled up with zeros, under AES-128-ECB."""
    padded = challenge + bytes(-len(challenge) % KEY_OCTETS)
    encryptor = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()  # noqa: S305 - the mechanism is defined so
    return encryptor.update(padded) + encryptor.finalize()


def hls2_holds(answer: bytes, challenge: bytes, *, secret: bytes) -> bool:
    """Return whether `answer` is the right answer of HLS mechanism 2 to `challenge`."""
    return hmac.compare_digest(hls2_answer(challenge, secret=secret), answer)


def wrap_key(*, kek: bytes, key: bytes) -> bytes:
    """Return `key` wrapped under the key encryption key (RFC 3394)."""
    return aes_key_wrap(kek, key)


def unwrap_key(*, kek: bytes, wrapped: bytes) -> bytes:
    """
    Return the key that `wrapped` holds.

    :raises Forged: if it was not wrapped under `kek`, or was changed.
    """
    try:
        return aes_key_unwrap(kek, wrapped)
    except (InvalidUnwrap, ValueError):
        raise Forged("the wrapped key does not unwrap under this key encryption key") from None
