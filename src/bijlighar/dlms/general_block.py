"""
General block transfer (E0h): any APDU, ciphered or not, in numbered blocks, a window of them before each answer.

Lost blocks are not asked for again: both framings here keep order and lose nothing; a block out of turn is refused.
"""

from typing import NamedTuple

from bijlighar.dlms import axdr
from bijlighar.dlms.errors import BlockOutOfOrder, Malformed, TooLong, Truncated
from bijlighar.dlms.transfer import TRANSFER_OCTETS_MAX

GENERAL_BLOCK_TAG = 0xE0
#: Octets of a block around its data.
GENERAL_BLOCK_OVERHEAD_OCTETS = 9
BLOCKS_MAX = 0xFFFF
WINDOW_MAX = 63
_LAST, _STREAMING, _WINDOW = 0x80, 0x40, 0x3F


class GeneralBlock(NamedTuple):
    """
    One block: `streaming` says that the next one follows unasked, `window` how many blocks its sender takes before it
    must be asked, `acknowledged` the last block that its sender got.
    """

    last: bool
    streaming: bool
    window: int
    number: int
    acknowledged: int
    data: bytes

    def encode(self) -> bytes:
        """Return the APDU."""
        control = (_LAST if self.last else 0) | (_STREAMING if self.streaming else 0) | self.window
        numbers = self.number.to_bytes(2, "big") + self.acknowledged.to_bytes(2, "big")
        return bytes((GENERAL_BLOCK_TAG, control)) + numbers + axdr.length(len(self.data)) + self.data


def decode_general_block(apdu: bytes) -> GeneralBlock:
    """
    Return the block that `apdu` is.

    >>> decode_general_block(bytes.fromhex("e0410001000002c401")).data.hex()
    'c401'

    :raises RemoteProtocolError: if it is none.
    """
    if not apdu or apdu[0] != GENERAL_BLOCK_TAG:
        raise Malformed("not a general block")
    if len(apdu) < 7:
        raise Truncated("a general block is cut off")
    control = apdu[1]
    count, at = axdr.read_length(apdu, 6)
    if at + count > len(apdu):
        raise Truncated(f"a general block announces {count} octets, {len(apdu) - at} are there")
    if at + count < len(apdu):
        raise Malformed("octets are left over after a general block")
    return GeneralBlock(
        last=bool(control & _LAST),
        streaming=bool(control & _STREAMING),
        window=control & _WINDOW,
        number=int.from_bytes(apdu[2:4], "big"),
        acknowledged=int.from_bytes(apdu[4:6], "big"),
        data=apdu[at:],
    )


def octets_in_blocks(octets: int) -> int:
    """
    Return how long a message may be [octets] that goes in blocks of at most `octets` octets.

    >>> octets_in_blocks(64)
    3604370
    """
    return (BLOCKS_MAX - 1) * (octets - GENERAL_BLOCK_OVERHEAD_OCTETS)


class GeneralTransfer:
    """One APDU on its way out and one on its way in; `replies` are the blocks that must go out now."""

    __slots__ = ("_acknowledging", "_chunks", "_incoming", "_received", "_sent", "_window", "replies")

    def __init__(self, *, window: int) -> None:
        self._window = window
        self._chunks: list[bytes] = []
        self._sent = 0
        self._acknowledging = 0
        self._incoming = bytearray()
        self._received = 0
        self.replies: list[bytes] = []

    def start(self, apdu: bytes, *, octets: int) -> None:
        """Cut `apdu` into blocks of at most `octets` octets; the first is in `replies`."""
        size = octets - GENERAL_BLOCK_OVERHEAD_OCTETS
        self._chunks = [apdu[at : at + size] for at in range(0, len(apdu), size)]
        self._sent = 0
        self.replies = []
        self._send(1)

    def _send(self, count: int) -> None:
        """Put the next `count` blocks into `replies`; the last of them asks for an answer."""
        end = min(self._sent + max(count, 1), len(self._chunks))
        while self._sent < end:
            chunk = self._chunks[self._sent]
            self._sent += 1
            block = GeneralBlock(
                last=self._sent == len(self._chunks),
                streaming=self._sent < end,
                window=self._window,
                number=self._sent,
                acknowledged=self._received,
                data=chunk,
            )
            self.replies.append(block.encode())
        if self._sent == len(self._chunks):
            self._chunks = []

    def take(self, apdu: bytes) -> bytes | None:
        """
        Take a block; return the whole APDU if it was the last of one.

        :raises BlockOutOfOrder: if it is not the next, or acknowledges what was not sent.
        :raises RemoteProtocolError: if it is no block, or the whole grows beyond what is allowed.
        """
        block = decode_general_block(apdu)
        self.replies = []
        if self._chunks:
            if block.acknowledged != self._sent:
                raise BlockOutOfOrder(
                    f"block {block.acknowledged} is acknowledged; {self._sent} was the last sent"
                )
            self._send(block.window)
            return None
        if block.number != self._received + 1:
            raise BlockOutOfOrder(f"block {block.number} came where block {self._received + 1} should")
        if len(self._incoming) + len(block.data) > TRANSFER_OCTETS_MAX or block.number == BLOCKS_MAX:
            raise TooLong(f"a message of more than {TRANSFER_OCTETS_MAX} octets is refused")
        self._incoming += block.data
        self._received = block.number
        if block.last:
            whole = bytes(self._incoming)
            self._incoming.clear()
            self._received = self._acknowledging = 0
            return whole
        if not block.streaming:
            self._acknowledging += 1
            acknowledgement = GeneralBlock(
                last=True,
                streaming=False,
                window=self._window,
                number=self._acknowledging,
                acknowledged=self._received,
                data=b"",
            )
            self.replies.append(acknowledgement.encode())
        return None
