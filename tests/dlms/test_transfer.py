import pytest

from bijlighar.dlms.errors import LocalProtocolError, TooLong, Unexpected
from bijlighar.dlms.transfer import TRANSFER_OCTETS_MAX, Incoming, Outgoing


class TestOutgoing:
    def test_gives_blocks_until_all_is_sent(self):
        outgoing = Outgoing(b"abcde")

        assert [outgoing.next_block(2) for _ in range(3)] == [
            (1, False, b"ab"),
            (2, False, b"cd"),
            (3, True, b"e"),
        ]
        with pytest.raises(LocalProtocolError):
            outgoing.next_block(2)


class TestIncoming:
    def test_refuses_another_block_than_the_next(self):
        incoming = Incoming()
        incoming.take(1, b"a")

        for number in (1, 3, 0):
            with pytest.raises(Unexpected):
                incoming.take(number, b"b")
        assert incoming.whole() == b"a"

    def test_refuses_to_grow_without_end(self):
        incoming = Incoming()
        incoming.take(1, bytes(TRANSFER_OCTETS_MAX))

        with pytest.raises(TooLong):
            incoming.take(2, b"b")
