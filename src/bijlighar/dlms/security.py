"""
Security suites 0, 1 and 2: AES-GCM with tags of 12 octets, the proofs of HLS, RFC 3394 key wrap.

Suites 0 and 1 have keys of 16 octets, suite 2 of 32. What suites 1 and 2 add with public keys (signatures of
mechanism 7, key agreement) and their compression are not here; a compressed message is refused.

`cryptography` offers fast AES-GCM only with tags of 16 octets. Counter mode is its own inverse, so a message is
deciphered by enciphering it, and its tag is checked by enciphering the plain text again and comparing the first 12
octets in constant time.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from bijlighar.dlms.errors import Forged, LocalProtocolError, Malformed, Truncated

TITLE_OCTETS = 8
KEY_OCTETS = 16
#: Octets of the symmetric keys of each suite.
KEY_OCTETS_OF_SUITE = {0: 16, 1: 16, 2: 32}
SUITE_BITS = 0x0F
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
    HLS3 = 3
    HLS4 = 4
    HLS5 = 5

    @property
    def is_high_level(self) -> bool:
        """Return whether both sides prove themselves in four passes."""
        return self >= Mechanism.HLS2


class Control:
    """Bits of the security control octet; the low four bits are the suite. (Plain numbers: they are asked often.)"""

    AUTHENTICATED: Final = 0x10
    ENCRYPTED: Final = 0x20
    COMPRESSED: Final = 0x80


_AUTHENTICATED, _ENCRYPTED = Control.AUTHENTICATED, Control.ENCRYPTED
_DIGESTS: dict[int, Callable[[bytes], "hashlib._Hash"]] = {
    Mechanism.HLS3: hashlib.md5,
    Mechanism.HLS4: hashlib.sha1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """
    What one side knows and demands of an association.

    `suite` is 0, 1 or 2; `control` is the security control of what we send, without the suite; `next_counter` gives
    our invocation counter, never the same twice; `received_counter` is the last good counter of the peer under `ek`,
    -1 if none. `challenge_octets` is how long our challenge of HLS is, in the server role also the client's; None:
    16, and the client's may have 8 to 64. `answer_control` is the security control of a server's answers, None: that
    of the request.
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
    suite: int = 0
    control: int = Control.AUTHENTICATED | Control.ENCRYPTED
    accept_unauthenticated: bool = False
    next_counter: Callable[[], int] | None = None
    received_counter: int = -1
    challenge_octets: int | None = None
    answer_control: int | None = None

    def __post_init__(self) -> None:
        needs_keys = self.ciphered or self.mechanism == Mechanism.HLS5
        if self.suite not in KEY_OCTETS_OF_SUITE:
            raise LocalProtocolError(f"security suite {self.suite} is not known; it must be 0, 1 or 2")
        if needs_keys and not len(self.ek) == len(self.ak) == self.key_octets:
            raise LocalProtocolError(
                f"EK and AK must have {self.key_octets} octets each; look into the keys file"
            )
        if needs_keys and len(self.own_title) != TITLE_OCTETS:
            raise LocalProtocolError(f"our system title must have {TITLE_OCTETS} octets; set it")
        if needs_keys and self.next_counter is None:
            raise LocalProtocolError("ciphering needs an invocation counter")
        if self.peer_title is not None and len(self.peer_title) != TITLE_OCTETS:
            raise LocalProtocolError(f"the peer's system title must have {TITLE_OCTETS} octets")
        if self.mechanism == Mechanism.HLS2 and len(self.secret) != KEY_OCTETS:
            raise LocalProtocolError(f"the secret of HLS mechanism 2 must have {KEY_OCTETS} octets")
        if self.mechanism in _DIGESTS and not self.secret:
            raise LocalProtocolError(f"HLS mechanism {int(self.mechanism)} needs a secret")
        if (
            not CHALLENGE_OCTETS_MIN
            <= (self.challenge_octets or CHALLENGE_OCTETS_MIN)
            <= CHALLENGE_OCTETS_MAX
        ):
            raise LocalProtocolError(
                f"a challenge has {CHALLENGE_OCTETS_MIN} to {CHALLENGE_OCTETS_MAX} octets, "
                f"not {self.challenge_octets}"
            )

    @property
    def key_octets(self) -> int:
        """Return how many octets the symmetric keys of the suite have."""
        return KEY_OCTETS_OF_SUITE[self.suite]


class Protection:
    """One key pair at work: enciphers and deciphers under the EK and AK given, keeping the AES schedules."""

    __slots__ = ("_aad", "_aes", "_ak", "_suite")

    def __init__(self, *, ek: bytes, ak: bytes, suite: int = 0) -> None:
        self._aes = AESGCM(ek)
        self._ak = ak
        self._suite = suite
        self._aad = {
            control: bytes((control,)) + ak for control in (0x10 | suite, 0x20 | suite, 0x30 | suite)
        }

    def _authenticated_data(self, control: int) -> bytes:
        return self._aad.get(control) or bytes((control,)) + self._ak

    def protect(self, plain: bytes, *, control: int, title: bytes, counter: int) -> bytes:
        """
        Return security header (control, counter), content and tag of a message of ours.

        :raises LocalProtocolError: if the counter is used up.
        """
        if not 0 <= counter <= COUNTER_MAX:
            raise LocalProtocolError(f"the invocation counter {counter} is used up; change the key")
        control |= self._suite
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

    def unprotect(self, message: bytes, *, title: bytes, at: int = 0) -> tuple[bytes, bool]:
        """
        Return the plain octets of a protected message, and whether its tag holds.

        The security header starts at `at`. The plain octets of a message whose tag does not hold are for telling a
        wrong key from a forged message only. Encrypted but unauthenticated messages (20h) have no tag; the answer is
        True for them and the caller asks its policy first.

        :raises Truncated: if there is no room for header and tag.
        :raises Malformed: if the suite is another, or the message is compressed.
        """
        start = at + HEADER_OCTETS
        if len(message) < start:
            raise Truncated("a ciphered message ends inside its security header")
        control = message[at]
        data = self._aad.get(control)
        if data is None:
            if control & SUITE_BITS != self._suite or control & Control.COMPRESSED:
                raise Malformed(
                    f"the security control {control:02X}h is not of suite {self._suite} without compression"
                )
            data = self._authenticated_data(control)
        nonce, encrypt = title + message[at + 1 : start], self._aes.encrypt
        if not control & _AUTHENTICATED:
            body = message[start:]
            return (encrypt(nonce, body, None)[:-16] if control & _ENCRYPTED else body), True
        if len(message) < start + TAG_OCTETS:
            raise Truncated("a ciphered message ends inside its tag")
        body, tag = message[start:-TAG_OCTETS], message[-TAG_OCTETS:]
        if control & _ENCRYPTED:
            plain = encrypt(nonce, body, None)[:-16]
            return plain, compare_digest(encrypt(nonce, plain, data)[-16:-4], tag)
        return body, compare_digest(encrypt(nonce, b"", data + body)[:TAG_OCTETS], tag)

    def tag_distance(self, content: bytes, *, title: bytes) -> int:
        """
        Return in how many of its 96 bits the tag of a refused message differs from the right one.

        Whoever can ask this about messages of his own making could find the right tag bit by bit: the answer is for
        the side that nobody hears, and for no message that was not refused already.
        """
        control, nonce = content[0], title + content[1:HEADER_OCTETS]
        body, tag = content[HEADER_OCTETS:-TAG_OCTETS], content[-TAG_OCTETS:]
        data = self._authenticated_data(control)
        if control & Control.ENCRYPTED:
            right = self._aes.encrypt(nonce, self._aes.encrypt(nonce, body, None)[:-16], data)[-16:-4]
        else:
            right = self._aes.encrypt(nonce, b"", data + body)[:TAG_OCTETS]
        return (int.from_bytes(right, "big") ^ int.from_bytes(tag, "big")).bit_count()

    def gmac(self, challenge: bytes, *, title: bytes, counter: int) -> bytes:
        """Return the answer of HLS mechanism 5 to `challenge`: control 10h and suite, counter, tag."""
        return self._gmac(challenge, title=title, octets=counter.to_bytes(4, "big"))

    def _gmac(self, challenge: bytes, *, title: bytes, octets: bytes) -> bytes:
        control = Control.AUTHENTICATED | self._suite
        tag = self._aes.encrypt(title + octets, b"", self._authenticated_data(control) + challenge)[
            :TAG_OCTETS
        ]
        return bytes((control,)) + octets + tag

    def gmac_holds(self, answer: bytes, challenge: bytes, *, title: bytes) -> bool:
        """Return whether `answer` is the peer's right answer of HLS mechanism 5 to our challenge."""
        if len(answer) != HEADER_OCTETS + TAG_OCTETS or answer[0] != Control.AUTHENTICATED | self._suite:
            return False
        return compare_digest(self._gmac(challenge, title=title, octets=answer[1:HEADER_OCTETS]), answer)


def hls2_answer(challenge: bytes, *, secret: bytes) -> bytes:
    """Return the answer of HLS mechanism 2: the challenge, filled up with zeros, under AES-128-ECB."""
    padded = challenge + bytes(-len(challenge) % KEY_OCTETS)
    encryptor = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()  # noqa: S305 - the mechanism is defined so
    return encryptor.update(padded) + encryptor.finalize()


def digest_answer(challenge: bytes, *, secret: bytes, mechanism: Mechanism) -> bytes:
    """
    Return the answer of HLS mechanism 3 (MD5) or 4 (SHA-1): the digest of the challenge and the secret.

    Both are weak by today's measure; they are here for meters that know nothing better.
    """
    return _DIGESTS[mechanism](challenge + secret).digest()


def secret_answer(challenge: bytes, *, secret: bytes, mechanism: Mechanism) -> bytes:
    """Return the answer of a mechanism that proves a shared secret (HLS 2, 3 and 4)."""
    if mechanism is Mechanism.HLS2:
        return hls2_answer(challenge, secret=secret)
    return digest_answer(challenge, secret=secret, mechanism=mechanism)


def secret_answer_holds(answer: bytes, challenge: bytes, *, secret: bytes, mechanism: Mechanism) -> bool:
    """Return whether `answer` is the peer's right answer of HLS 2, 3 or 4 to our challenge."""
    expected = secret_answer(challenge, secret=secret, mechanism=mechanism)
    return compare_digest(expected, answer)


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
