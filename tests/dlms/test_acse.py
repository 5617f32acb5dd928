import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import acse, initiate
from bijlighar.dlms.acse import Aare, Aarq, Release
from bijlighar.dlms.errors import Malformed, RemoteProtocolError, TooLong, Truncated
from bijlighar.dlms.initiate import InitiateRequest, InitiateResponse

maybe_title = st.none() | st.binary(min_size=8, max_size=8)
maybe_value = st.none() | st.binary(max_size=64)
aarqs = st.builds(
    Aarq,
    context=st.integers(1, 4),
    mechanism=st.none() | st.integers(0, 9),
    title=maybe_title,
    value=maybe_value,
    user_information=st.binary(max_size=100),
)
aares = st.builds(
    Aare,
    context=st.integers(1, 4),
    result=st.integers(0, 2),
    diagnostic=st.integers(0, 14),
    title=maybe_title,
    mechanism=st.none() | st.integers(0, 9),
    value=maybe_value,
    user_information=st.binary(max_size=100),
)
READERS = (
    acse.decode_aarq,
    acse.decode_aare,
    acse.decode_release,
    initiate.decode_initiate_request,
    initiate.decode_initiate_response,
)


class TestMessages:
    @given(aarq=aarqs)
    def test_aarq_is_read_back(self, aarq):
        assert acse.decode_aarq(aarq.encode()) == aarq

    @given(aare=aares)
    def test_aare_is_read_back(self, aare):
        assert acse.decode_aare(aare.encode()) == aare

    @given(tag=st.sampled_from((acse.RLRQ, acse.RLRE)), reason=st.none() | st.integers(0, 255))
    def test_release_is_read_back(self, tag, reason):
        release = Release(tag=tag, reason=reason)

        assert acse.decode_release(release.encode()) == release

    @given(
        request=st.builds(
            InitiateRequest,
            dedicated_key=st.none() | st.binary(min_size=16, max_size=16),
            response_allowed=st.booleans(),
            quality_of_service=st.none() | st.integers(0, 127),
            conformance=st.integers(0, 0xFFFFFF),
            max_pdu=st.integers(0, 0xFFFF),
        )
    )
    def test_initiate_request_is_read_back(self, request):
        assert initiate.decode_initiate_request(request.encode()) == request

    @given(
        response=st.builds(
            InitiateResponse, conformance=st.integers(0, 0xFFFFFF), max_pdu=st.integers(0, 0xFFFF)
        )
    )
    def test_initiate_response_is_read_back(self, response):
        assert initiate.decode_initiate_response(response.encode()) == response

    @given(octets=st.binary(max_size=80), data=st.data())
    def test_never_fail_in_another_way(self, octets, data):
        spoilt = bytearray(data.draw(st.one_of(aarqs, aares)).encode())
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        for message in (octets, bytes(spoilt), bytes((0x60, len(octets))) + octets):
            for read in READERS:
                try:
                    read(message)
                except RemoteProtocolError:
                    continue

    @pytest.mark.parametrize("read", READERS)
    def test_are_not_taken_for_one_another(self, read):
        with pytest.raises(RemoteProtocolError):
            read(b"\xc4\x01\xc1\x00\x00")


class TestReading:
    def test_takes_elements_in_any_order(self):
        aare = Aare(title=b"BIJ00001", mechanism=5, value=bytes(16), diagnostic=14)
        whole = aare.encode()
        body = whole[2:]
        title_at = body.index(b"\xa4")
        title = body[title_at : title_at + 12]

        shuffled = body.replace(title, b"") + title

        assert acse.decode_aare(whole[:2] + shuffled) == aare

    def test_refuses_a_length_bomb(self):
        with pytest.raises(TooLong):
            acse.decode_aarq(bytes.fromhex("6084ffffffff"))
        with pytest.raises(TooLong):
            acse.decode_aarq(bytes.fromhex("6006a184ffffffff"))
        with pytest.raises(Truncated):
            acse.decode_aarq(bytes.fromhex("6084000fffff"))

    @pytest.mark.parametrize("result", ["0201c2", "02020080", "0204ffffffff"])
    def test_refuses_a_result_that_is_none(self, result):
        rest = "a305a103020100be10040e0800065f1f0400001e1d04c80007"
        body = "a109060760857405080101" + f"a2{len(result) // 2:02x}{result}" + rest

        with pytest.raises(Malformed):
            acse.decode_aare(bytes.fromhex(f"61{len(body) // 2:02x}{body}"))

    def test_refuses_a_message_without_bounds(self):
        with pytest.raises(TooLong):
            acse.decode_aarq(b"\x60\x82\x10\x00" + bytes(4096))

    def test_refuses_a_response_without_a_result(self):
        with pytest.raises(Malformed):
            acse.decode_aare(bytes.fromhex("6100"))

    def test_refuses_another_application_context(self):
        with pytest.raises(Malformed):
            acse.decode_aarq(bytes.fromhex("6009a10706056085740501"))

    def test_refuses_a_very_long_password(self):
        with pytest.raises(TooLong):
            acse.decode_aarq(Aarq(mechanism=1, value=bytes(65)).encode())

    def test_takes_the_short_conformance_tag(self):
        octets = bytes.fromhex("01000000065f0400007e1f04b0")

        assert initiate.decode_initiate_request(octets).conformance == 0x7E1F
