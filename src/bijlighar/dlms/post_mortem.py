"""
Why a message whose tag does not hold was refused, as far as its octets tell: asked after the refusal, by the client.

AES-GCM says only that something is wrong. But the right tag of changed octets has nothing to do with the tag that
came: both differ in about half of their 96 bits. A tag that differs from the right one in `DAMAGED_BITS_MAX` bits or
fewer belongs to octets that are whole, and was itself changed on its way; chance makes one so near in 1 of 2^74
forgeries. Nothing is released by this and nothing changed: the plain octets are forgotten here, the exchange stays
refused, and no good message comes this way.

A sender who is told how near his tag is could find the right one bit by bit. So only a client asks: it answers a
refused message with nothing. A meter tells its peer that it refuses, and tells all forgeries alike.
"""

from bijlighar.dlms.errors import Forged, TagDamaged
from bijlighar.dlms.security import Protection

FORGED = "the tag of a message does not hold: octets were changed, or AK is another"
#: So few wrong bits in a tag that the octets it belongs to must be whole.
DAMAGED_BITS_MAX = 4


def cause_of_forgery(keys: Protection, content: bytes, *, title: bytes) -> Forged:
    """Return the error of a refused message, `content` beginning with its security header."""
    wrong_bits = keys.tag_distance(content, title=title)
    if wrong_bits > DAMAGED_BITS_MAX:
        return Forged(FORGED)
    return TagDamaged(
        f"the tag of a message is wrong in {wrong_bits} of 96 bits: likely the tag alone was changed on its way"
    )
