import pytest

from bijlighar.dlms.errors import BlockOutOfOrder, LocalProtocolError, TooLong
from bijlighar.dlms.transfer import TRANSFER_OCTETS_MAX, Incoming, Outgoing


class TestOutgoing:
    def test_gives_blocks_until_all_is_sent(self):
        outgoing = Outgoing(b"abcde")

        assert [outgoing.next_block(2) for _ in range(3)] == [
            (False, 1, b"ab"),
            (False, 2, b"cd"),
            (True, 3, b"e"),
        ]
        with pytest.raises(LocalProtocolError):
            outgoing.next_block(2)


class TestIncoming:
    def test_refuses_another_block_than_the_next(self):
        incoming = Incoming()
        incoming.take(1, b"a", last=False)

        for number in (1, 3, 0):
            with pytest.raises(BlockOutOfOrder):
                incoming.take(number, b"b", last=False)
        assert incoming.take(2, b"c", last=True) == b"ac"

    def test_refuses_to_grow_without_end(self):
        incoming = Incoming()
        incoming.take(1, bytes(TRANSFER_OCTETS_MAX), last=False)

        with pytest.raises(TooLong):
            incoming.take(2, b"b", last=True)
