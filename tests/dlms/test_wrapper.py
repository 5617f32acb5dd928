import pytest

from bijlighar.dlms import wrapper
from bijlighar.dlms.errors import LocalProtocolError, Malformed, TooLong


class TestEncode:
    def test_refuses_more_than_a_wrapper_can_say(self):
        with pytest.raises(LocalProtocolError):
            wrapper.encode(bytes(65_536), source=1, destination=64)


class TestPeekWrapper:
    def test_needs_eight_octets(self):
        assert wrapper.peek_wrapper(bytes.fromhex("00010020000100")) is None
        assert wrapper.peek_wrapper(bytes.fromhex("0001002000010000")) == (32, 1, 0)

    def test_refuses_another_version(self):
        with pytest.raises(Malformed):
            wrapper.peek_wrapper(b"GET / HTTP/1.1")


class TestWrapperBuffer:
    def test_refuses_a_frame_that_announces_too_much(self):
        buffer = wrapper.WrapperBuffer(octets_max=100)
        buffer.receive(bytes.fromhex("0001000100400065"))

        with pytest.raises(TooLong):
            buffer.next_frame()
