"""
Names and forms of what keeps a meter up: new keys, passwords and firmware.

Keys are taken by the security setups (class 64), passwords by the association objects (15), firmware by the image
transfer (18).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bijlighar.dlms import axdr
from bijlighar.dlms.cosem import Attribute, Method
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.is15959 import ASSOCIATIONS
from bijlighar.dlms.obis import Obis

SECURITY_SETUP, IMAGE_TRANSFER, ASSOCIATION = 64, 18, 15
KEY_TRANSFER = 2
#: Of an association object: the attribute that is the password of LLS, and the method that replaces that of HLS.
SECRET, CHANGE_SECRET = 7, 2
#: The longest password [octets].
SECRET_OCTETS_MAX = 64
#: The most keys that one transfer may carry.
KEYS_MAX = 4
IMAGE = Obis.parse("0.0.44.0.0.255")


class KeyId(IntEnum):
    """Which key a transfer replaces."""

    UNICAST = 0
    BROADCAST = 1
    AUTHENTICATION = 2
    MASTER = 3


class ImageStatus(IntEnum):
    """How far an image is (class 18, attribute 6)."""

    NONE = 0
    INITIATED = 1
    VERIFYING = 2
    VERIFIED = 3
    VERIFY_FAILED = 4
    ACTIVATING = 5
    ACTIVATED = 6
    ACTIVATE_FAILED = 7


def image_attribute(index: int) -> Attribute:
    """Return an attribute of the image transfer."""
    return Attribute(class_id=IMAGE_TRANSFER, obis=IMAGE, index=index)


BLOCK_SIZE, BLOCKS_STATUS, FIRST_MISSING, IMAGE_STATUS = map(image_attribute, (2, 3, 4, 6))
INITIATE, TRANSFER_BLOCK, VERIFY, ACTIVATE = (
    Method(class_id=IMAGE_TRANSFER, obis=IMAGE, index=index) for index in (1, 2, 3, 4)
)


def key_transfer(client: int) -> Method:
    """Return the method that replaces the keys of a client's security setup."""
    return Method(class_id=SECURITY_SETUP, obis=ASSOCIATIONS[client].security_setup, index=KEY_TRANSFER)


def secret_of(client: int) -> Attribute:
    """Return the attribute that is the password of a client with LLS: it can be written and never read."""
    return Attribute(class_id=ASSOCIATION, obis=ASSOCIATIONS[client].logical_name, index=SECRET)


def change_secret(client: int) -> Method:
    """Return the method that replaces the secret of a client with HLS."""
    return Method(class_id=ASSOCIATION, obis=ASSOCIATIONS[client].logical_name, index=CHANGE_SECRET)


def encode_secret(secret: bytes) -> bytes:
    """
    Return a new password as it is written, or handed to `change_secret`; the service around it is ciphered.

    >>> encode_secret(b"ab").hex()
    '09026162'
    """
    return axdr.octet_string(secret)


def decode_secret(data: bytes) -> bytes:
    """
    Return a new password.

    :raises RemoteProtocolError: if it is none.
    """
    secret = axdr.decode(data)
    if not isinstance(secret, bytes) or not 1 <= len(secret) <= SECRET_OCTETS_MAX:
        raise Malformed(f"a password is a string of 1 to {SECRET_OCTETS_MAX} octets")
    return secret


def encode_keys(wrapped: Mapping[KeyId, bytes]) -> bytes:
    """
    Return the parameters of a key transfer.

    >>> encode_keys({KeyId.UNICAST: bytes(2)}).hex()
    '01010202160009020000'
    """
    return axdr.array(
        [axdr.structure(axdr.enum(key), axdr.octet_string(octets)) for key, octets in wrapped.items()]
    )


def decode_keys(parameters: bytes) -> Mapping[KeyId, bytes]:
    """
    Return the wrapped keys of a key transfer.

    :raises RemoteProtocolError: if it holds none, or names a key twice.
    """
    found: dict[KeyId, bytes] = {}
    entries = axdr.decode(parameters)
    if not isinstance(entries, list) or not 1 <= len(entries) <= KEYS_MAX:
        raise Malformed("a key transfer is a list of one to four keys")
    for entry in entries:
        fields = entry if isinstance(entry, tuple) else ()
        if len(fields) != 2 or not isinstance(fields[1], bytes):
            raise Malformed("a key of a key transfer is its number and its wrapped octets")
        key = next((key for key in KeyId if key == fields[0]), None)
        if key is None or key in found:
            raise Malformed("a key transfer names a key that does not exist, or one twice")
        found[key] = fields[1]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """An image as it is announced: its identifier and its size [octets]."""

    identifier: bytes
    size: int

    def encode(self) -> bytes:
        """Return the parameters of `image_transfer_initiate`."""
        return axdr.structure(axdr.octet_string(self.identifier), axdr.double_long_unsigned(self.size))


def decode_image_name(parameters: bytes) -> ImageName:
    """
    Return the image that is announced.

    :raises RemoteProtocolError: if none is.
    """
    fields = axdr.decode(parameters)
    if not isinstance(fields, tuple) or len(fields) != 2:
        raise Malformed("an image is announced by identifier and size")
    identifier, size = fields
    if not isinstance(identifier, bytes) or not isinstance(size, int) or isinstance(size, bool):
        raise Malformed("an image is announced by identifier and size")
    return ImageName(identifier=identifier, size=size)


def encode_block(number: int, octets: bytes) -> bytes:
    """Return the parameters of `image_block_transfer`; blocks count from 0."""
    return axdr.structure(axdr.double_long_unsigned(number), axdr.octet_string(octets))


def decode_block(parameters: bytes) -> tuple[int, bytes]:
    """
    Return number and octets of a block of an image.

    :raises RemoteProtocolError: if it is none.
    """
    fields = axdr.decode(parameters)
    if not isinstance(fields, tuple) or len(fields) != 2:
        raise Malformed("a block of an image is its number and its octets")
    number, octets = fields
    if not isinstance(number, int) or isinstance(number, bool) or not isinstance(octets, bytes):
        raise Malformed("a block of an image is its number and its octets")
    return number, octets


def missing_blocks(bits: axdr.BitString, *, count: int) -> Sequence[int]:
    """
    Return the numbers of the blocks that a meter says it has not got; what it says nothing of is missing.

    >>> missing_blocks(axdr.BitString(octets=bytes((0b1010_0000,)), bits=4), count=6)
    (1, 3, 4, 5)
    """
    return tuple(
        number
        for number in range(count)
        if number >= bits.bits or not bits.octets[number // 8] & 0x80 >> number % 8
    )
