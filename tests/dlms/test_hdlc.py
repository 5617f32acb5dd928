import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import hdlc
from bijlighar.dlms.errors import (
    BadChecksum,
    LocalProtocolError,
    Malformed,
    RemoteProtocolError,
    TooLong,
    Truncated,
)
from bijlighar.dlms.hdlc import Address, Frame, FrameBuffer, FrameKind, Parameters

SNRM = bytes.fromhex("7ea00802232193bd647e")

addresses = st.one_of(
    st.builds(Address, upper=st.integers(0, 0x7F)),
    st.builds(Address, upper=st.integers(0, 0x7F), lower=st.integers(0, 0x7F), octets=st.just(2)),
    st.builds(Address, upper=st.integers(0, 0x3FFF), lower=st.integers(0, 0x3FFF), octets=st.just(4)),
)
frames = st.builds(
    Frame,
    destination=addresses,
    source=addresses,
    control=st.integers(0, 255),
    information=st.binary(max_size=300),
    segmented=st.booleans(),
)


def all_frames(octets: bytes) -> list[Frame]:
    buffer = FrameBuffer()
    found = []
    for octet in octets:
        buffer.receive(bytes((octet,)))
        while (frame := buffer.next_frame()) is not None:
            found.append(frame)
    return found


class TestFrame:
    @given(frame=frames)
    def test_is_read_back(self, frame):
        assert hdlc.decode_frame(frame.encode()[1:-1]) == frame

    @given(frame=frames, data=st.data())
    def test_is_refused_with_any_bit_flipped(self, frame, data):
        octets = bytearray(frame.encode()[1:-1])
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at] ^= 1 << data.draw(st.integers(0, 7))

        with pytest.raises(RemoteProtocolError):
            hdlc.decode_frame(bytes(octets))

    def test_refuses_to_be_too_long(self):
        frame = Frame(
            destination=Address(upper=1), source=Address(upper=16), control=0x10, information=bytes(2040)
        )

        with pytest.raises(LocalProtocolError):
            frame.encode()

    @pytest.mark.parametrize(
        ("upper", "lower", "octets"), [(128, None, 1), (1, 128, 2), (1, 0x4000, 4), (-1, None, 1), (1, 1, 3)]
    )
    def test_refuses_an_address_that_does_not_fit(self, upper, lower, octets):
        with pytest.raises(LocalProtocolError):
            Address(upper=upper, lower=lower, octets=octets).encode()

    @given(octets=st.binary(max_size=60))
    def test_never_fails_in_another_way(self, octets):
        for body in (octets, b"\xa0" + bytes((len(octets) + 2,)) + octets):
            fixed = body[:-2] + hdlc.check_sequence(body[:-2])
            for candidate in (body, fixed):
                try:
                    hdlc.decode_frame(candidate)
                except RemoteProtocolError:
                    continue

    def test_tells_an_address_of_three_or_five_octets(self):
        for address in ("000001", "0000000001"):
            body = b"\xa0" + bytes((2 + len(address) // 2 + 4,)) + bytes.fromhex(address) + b"\x21\x93"
            with pytest.raises(Malformed):
                hdlc.decode_frame(body + hdlc.check_sequence(body))


class TestKindOf:
    def test_knows_all_controls(self):
        assert hdlc.kind_of(0x10) is FrameKind.I
        assert hdlc.kind_of(0x51) is FrameKind.RR
        assert hdlc.kind_of(0x93) is FrameKind.SNRM
        assert hdlc.kind_of(0x53) is FrameKind.DISC
        assert hdlc.kind_of(0x73) is FrameKind.UA
        assert hdlc.kind_of(0x1F) is FrameKind.DM
        assert hdlc.kind_of(0x97) is FrameKind.FRMR
        assert hdlc.kind_of(0x13) is FrameKind.UI

    def test_refuses_another(self):
        with pytest.raises(Malformed):
            hdlc.kind_of(0xEF)


class TestFrameBuffer:
    def test_gives_frames_that_come_octet_by_octet(self):
        assert [frame.kind for frame in all_frames(SNRM + SNRM)] == [FrameKind.SNRM] * 2

    def test_takes_one_flag_between_two_frames(self):
        assert len(all_frames(SNRM[:-1] + SNRM)) == 2

    def test_drops_what_stands_between_frames(self):
        assert len(all_frames(b"\x00\xff" + SNRM + b"noise\x7e\x7e\x7e" + SNRM)) == 2

    def test_goes_on_after_a_bad_frame(self):
        spoilt = bytearray(SNRM)
        spoilt[5] ^= 1
        buffer = FrameBuffer()
        buffer.receive(bytes(spoilt) + SNRM)

        with pytest.raises(BadChecksum):
            buffer.next_frame()
        frame = buffer.next_frame()

        assert frame is not None
        assert frame.kind is FrameKind.SNRM

    def test_goes_on_after_a_frame_with_a_wrong_length(self):
        spoilt = bytearray(SNRM)
        spoilt[2] += 3
        buffer = FrameBuffer()
        buffer.receive(bytes(spoilt) + SNRM)

        with pytest.raises(Truncated):
            buffer.next_frame()
        while (frame := buffer.next_frame()) is None:
            raise AssertionError("the good frame is lost")

        assert frame.kind is FrameKind.SNRM

    @given(octets=st.binary(max_size=100))
    def test_never_fails_in_another_way(self, octets):
        buffer = FrameBuffer()
        buffer.receive(octets + b"\x7e" + octets)
        for _ in range(300):
            try:
                if buffer.next_frame() is None:
                    break
            except RemoteProtocolError:
                continue
        else:
            raise AssertionError("the buffer never ends")


class TestParameters:
    @given(transmit=st.integers(1, 2030), receive=st.integers(1, 2030), window=st.integers(1, 7))
    def test_are_read_back(self, transmit, receive, window):
        parameters = Parameters(transmit=transmit, receive=receive, transmit_window=window)

        assert hdlc.decode_parameters(parameters.encode()) == parameters

    def test_are_the_standards_where_none_are_given(self):
        assert hdlc.decode_parameters(b"") == Parameters(transmit=128, receive=128)

    @pytest.mark.parametrize(
        ("octets", "error"),
        [
            ("8280", Malformed),
            ("818005050180", Truncated),
            ("8180020504", Truncated),
            ("81800705050000000001", TooLong),
            ("8180030501" + "00", Malformed),
        ],
    )
    def test_are_refused_if_they_are_not_good(self, octets, error):
        with pytest.raises(error):
            hdlc.decode_parameters(bytes.fromhex(octets))


class TestStripLlc:
    def test_refuses_a_message_without(self):
        with pytest.raises(Malformed):
            hdlc.strip_llc(b"\xc4\x01\xc1")
