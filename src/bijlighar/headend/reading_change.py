"""
New keys, or a new password, of the reading client, on their way from the head-end to the gate.

The head-end makes them and must read with them; the gate must wrap them for the meter. Between the two they are
sealed to a key that only the gate can open (X25519, HKDF-SHA256, AES-256-GCM), for one meter. The order names their
digest, which tells nothing of them: there is a salt in it that only the two know.
"""

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bijlighar.dlms.security import KEY_OCTETS_OF_SUITE
from bijlighar.dlms.upkeep import SECRET_OCTETS_MAX
from bijlighar.headend.errors import BrokenOrder
from bijlighar.headend.model import ControlAction, MeterKeys

DOMAIN = b"bijlighar reading change 1\n"
PUBLIC_OCTETS, NONCE_OCTETS, SALT_OCTETS = 32, 12, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingChange:
    """New EK and AK of client 32, or its new password, for one meter; `salt` (32 octets) hides them in the digest."""

    serial: str
    salt: bytes = field(repr=False)
    ek: bytes | None = field(default=None, repr=False)
    ak: bytes | None = field(default=None, repr=False)
    lls: bytes | None = field(default=None, repr=False)

    @property
    def action(self) -> ControlAction:
        """Return which order is for it."""
        return ControlAction.READING_KEYS if self.lls is None else ControlAction.READING_SECRET

    @property
    def digest(self) -> str:
        """Return the SHA-256 that an order for it names, in hex."""
        return hashlib.sha256(DOMAIN + self._octets()).hexdigest()

    def _octets(self) -> bytes:
        named = {
            "serial": self.serial,
            "salt": self.salt.hex(),
            "ek": None if self.ek is None else self.ek.hex(),
            "ak": None if self.ak is None else self.ak.hex(),
            "lls": None if self.lls is None else self.lls.hex(),
        }
        return json.dumps(named, separators=(",", ":")).encode()

    def seal(self, *, to: bytes) -> bytes:
        """
        Return it sealed to the gate's public key `to` (32 octets); each time other octets.

        :raises BrokenOrder: if that is no key.
        """
        mine = X25519PrivateKey.generate()
        public = mine.public_key().public_bytes_raw()
        try:
            shared = mine.exchange(X25519PublicKey.from_public_bytes(to))
        except ValueError:
            raise BrokenOrder("what the gate calls its public key is none") from None
        nonce = os.urandom(NONCE_OCTETS)
        cipher = AESGCM(_cipher_key(shared, public, to))
        return public + nonce + cipher.encrypt(nonce, self._octets(), self.serial.encode())


def change_of_keys(*, current: MeterKeys, new: MeterKeys, key_encryption_key: bytes) -> ReadingChange:
    """Return what makes the `current` reading keys or password of a meter the `new` ones; the same twice is equal."""
    salt = hmac.digest(key_encryption_key, DOMAIN + _pair(new) + new.serial.encode(), "sha256")
    if (current.ek, current.ak) != (new.ek, new.ak):
        return ReadingChange(serial=new.serial, salt=salt, ek=new.ek, ak=new.ak)
    return ReadingChange(serial=new.serial, salt=salt, lls=new.lls)


def open_change(sealed: bytes, *, serial: str, private_key: bytes) -> ReadingChange | None:
    """Return the change that was sealed to the holder of `private_key` for a meter; None if it is none."""
    public, nonce = sealed[:PUBLIC_OCTETS], sealed[PUBLIC_OCTETS:][:NONCE_OCTETS]
    key = X25519PrivateKey.from_private_bytes(private_key)
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        cipher = AESGCM(_cipher_key(shared, public, key.public_key().public_bytes_raw()))
        found = json.loads(
            cipher.decrypt(nonce, sealed[PUBLIC_OCTETS + NONCE_OCTETS :], serial.encode()).decode()
        )
        named = {name: None if found[name] is None else bytes.fromhex(found[name]) for name in _NAMES}
    except (InvalidTag, ValueError, KeyError, TypeError, RecursionError):
        return None
    change = ReadingChange(
        serial=serial, salt=named["salt"] or b"", ek=named["ek"], ak=named["ak"], lls=named["lls"]
    )
    return change if found.get("serial") == serial and _is_whole(change) else None


_NAMES = ("salt", "ek", "ak", "lls")


def private_key_of(key_encryption_key: bytes) -> bytes:
    """Return the X25519 key (32 octets) of a gate that keeps its keys under `key_encryption_key`."""
    derived = HKDF(algorithm=SHA256(), length=PUBLIC_OCTETS, salt=None, info=DOMAIN + b"gate")
    return derived.derive(key_encryption_key)


def public_key_of(key_encryption_key: bytes) -> bytes:
    """Return the public half (32 octets) of the key of a gate."""
    key = X25519PrivateKey.from_private_bytes(private_key_of(key_encryption_key))
    return key.public_key().public_bytes_raw()


def _is_whole(change: ReadingChange) -> bool:
    if len(change.salt) != SALT_OCTETS:
        return False
    if change.lls is not None:
        return change.ek is None and change.ak is None and 1 <= len(change.lls) <= SECRET_OCTETS_MAX
    return all(key is not None and len(key) in KEY_OCTETS_OF_SUITE.values() for key in (change.ek, change.ak))


def _cipher_key(shared: bytes, public: bytes, to: bytes) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=DOMAIN + public + to)
    return derived.derive(shared)


def _pair(keys: MeterKeys) -> bytes:
    return keys.ek + keys.ak + (keys.lls or b"")
