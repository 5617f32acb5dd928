"""Block transfer: long values cut into blocks, and put together again."""

from typing import NamedTuple

from bijlighar.dlms.errors import BlockOutOfOrder, LocalProtocolError, TooLong

BLOCKS_MAX = 65_536
TRANSFER_OCTETS_MAX = 4 << 20

#: Octets of a GET-Response-With-Datablock and of a SET-Request-With-Datablock around their raw data.
BLOCK_OVERHEAD_OCTETS = 12
PDU_OCTETS_MIN = 64


class Block(NamedTuple):
    """One block to send; blocks are counted from 1."""

    last: bool
    number: int
    data: bytes


class Outgoing:
    """A long value on its way out."""

    __slots__ = ("_at", "_data", "number")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.number = 0

    def next_block(self, octets: int) -> Block:
        """
        Return the next block of at most `octets` octets.

        :raises LocalProtocolError: if nothing is left.
        """
        if self._at >= len(self._data):
            raise LocalProtocolError("all blocks are sent")
        chunk = self._data[self._at : self._at + octets]
        self._at += len(chunk)
        self.number += 1
        return Block(self.is_sent, self.number, chunk)

    @property
    def is_sent(self) -> bool:
        """Return whether the last block was given out."""
        return self._at >= len(self._data)


class Incoming:
    """A long value on its way in."""

    __slots__ = ("_data", "number")

    def __init__(self) -> None:
        self._data = bytearray()
        self.number = 0

    def take(self, number: int, data: bytes, *, last: bool) -> bytes | None:
        """
        Take the next block; return the whole value if it was the last.

        :raises BlockOutOfOrder: if it is another block.
        :raises TooLong: if the value grows beyond what is allowed.
        """
        if number != self.number + 1:
            raise BlockOutOfOrder(f"block {number} came where block {self.number + 1} should")
        if number > BLOCKS_MAX or len(self._data) + len(data) > TRANSFER_OCTETS_MAX:
            raise TooLong(f"a value of more than {TRANSFER_OCTETS_MAX} octets is refused")
        self._data += data
        self.number = number
        return bytes(self._data) if last else None
