import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import axdr, xdlms
from bijlighar.dlms.cosem import Attribute, ByEntry, ByRange, CaptureObject, Method, RawSelection
from bijlighar.dlms.errors import Malformed, RemoteProtocolError, TooLong, Truncated
from bijlighar.dlms.obis import Obis

obis = st.binary(min_size=6, max_size=6).map(lambda octets: Obis(octets=octets))
attributes = st.builds(Attribute, class_id=st.integers(0, 0xFFFF), obis=obis, index=st.integers(0, 255))
methods = st.builds(Method, class_id=st.integers(0, 0xFFFF), obis=obis, index=st.integers(0, 255))
captures = st.builds(
    CaptureObject,
    class_id=st.integers(0, 0xFFFF),
    obis=obis,
    attribute=st.integers(-128, 127),
    data_index=st.integers(0, 0xFFFF),
)
times = st.binary(min_size=12, max_size=12)
selections = st.one_of(
    st.builds(ByRange, lower=times, upper=times),
    st.builds(
        ByRange, lower=times, upper=times, clock=captures, columns=st.lists(captures, max_size=3).map(tuple)
    ),
    st.builds(
        ByEntry,
        first=st.integers(0, 2**32 - 1),
        last=st.integers(0, 2**32 - 1),
        first_column=st.integers(0, 0xFFFF),
        last_column=st.integers(0, 0xFFFF),
    ),
    st.builds(RawSelection, selector=st.integers(3, 255), parameters=st.just(axdr.unsigned(5))),
)
maybe_selection = st.none() | selections
invoke = st.integers(0, 255)
block = st.integers(0, 2**32 - 1)
raw = st.binary(max_size=200)
data = st.one_of(
    st.binary(max_size=60).map(axdr.octet_string),
    st.integers(0, 255).map(axdr.unsigned),
    st.just(axdr.structure(axdr.NULL, axdr.array([axdr.enum(1)]))),
)
either = st.one_of(st.tuples(data, st.none()), st.tuples(st.none(), st.integers(0, 255)))
messages = st.one_of(
    st.builds(apdus.GetNormal, invoke=invoke, attribute=attributes, selection=maybe_selection),
    st.builds(apdus.GetNext, invoke=invoke, block=block),
    st.builds(
        apdus.GetWithList,
        invoke=invoke,
        attributes=st.lists(st.tuples(attributes, maybe_selection), max_size=5).map(tuple),
    ),
    st.builds(
        lambda invoke, pair: apdus.GetResponseNormal(invoke=invoke, data=pair[0], error=pair[1]),
        invoke,
        either,
    ),
    st.builds(apdus.GetResponseBlock, invoke=invoke, last=st.booleans(), block=block, data=raw),
    st.builds(
        apdus.GetResponseBlock, invoke=invoke, last=st.booleans(), block=block, error=st.integers(0, 255)
    ),
    st.builds(apdus.GetResponseList, invoke=invoke, results=st.lists(either, max_size=5).map(tuple)),
    st.builds(apdus.SetNormal, invoke=invoke, attribute=attributes, selection=maybe_selection, data=data),
    st.builds(
        apdus.SetFirstBlock,
        invoke=invoke,
        attribute=attributes,
        selection=maybe_selection,
        last=st.booleans(),
        block=block,
        data=raw,
    ),
    st.builds(apdus.SetBlock, invoke=invoke, last=st.booleans(), block=block, data=raw),
    st.builds(apdus.SetResponseNormal, invoke=invoke, result=st.integers(0, 255)),
    st.builds(apdus.SetResponseBlock, invoke=invoke, block=block),
    st.builds(apdus.SetResponseLastBlock, invoke=invoke, result=st.integers(0, 255), block=block),
    st.builds(apdus.ActionNormal, invoke=invoke, method=methods, parameters=st.none() | data),
    st.builds(
        lambda invoke, result, pair: apdus.ActionResponseNormal(
            invoke=invoke, result=result, data=pair[0], error=pair[1]
        ),
        invoke,
        st.integers(0, 255),
        either | st.just((None, None)),
    ),
    st.builds(apdus.ExceptionResponse, state=st.integers(0, 255), service=st.integers(0, 5)),
    st.builds(
        apdus.ExceptionResponse,
        state=st.integers(0, 255),
        service=st.just(6),
        counter=st.integers(0, 2**32 - 1),
    ),
    st.builds(
        apdus.ConfirmedServiceError,
        service=st.integers(0, 255),
        group=st.integers(0, 255),
        value=st.integers(0, 255),
    ),
    st.builds(
        apdus.DataNotificationApdu,
        long_invoke=st.integers(0, 2**32 - 1),
        time=st.none() | times,
        data=data,
    ),
    st.builds(apdus.EventNotificationApdu, time=st.none() | times, attribute=attributes, data=data),
)


class TestDecode:
    @given(message=messages)
    def test_reads_what_was_written(self, message):
        assert xdlms.decode(message.encode()) == message

    @given(message=messages, draw=st.data())
    def test_tells_what_is_cut_off(self, message, draw):
        octets = message.encode()
        cut = draw.draw(st.integers(0, len(octets) - 1))

        try:
            short = xdlms.decode(octets[:cut])
        except RemoteProtocolError:
            return
        # A value at the end is left to its own decoder; an optional end may be missing.
        assert isinstance(
            short, apdus.GetResponseNormal | apdus.ActionResponseNormal | apdus.ExceptionResponse
        )

    @given(octets=st.binary(max_size=100), message=messages, draw=st.data())
    def test_never_fails_in_another_way(self, octets, message, draw):
        spoilt = bytearray(message.encode())
        spoilt[draw.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
        for candidate in (octets, bytes(spoilt)):
            try:
                xdlms.decode(candidate)
            except RemoteProtocolError:
                continue

    @pytest.mark.parametrize(
        ("octets", "error"),
        [
            ("", Truncated),
            ("c0", Truncated),
            ("c001", Truncated),
            ("c009c1", Malformed),
            ("ff01c1", Malformed),
            ("c001c1000100002b0100ff020000", Malformed),
            ("c001c1000100002b0100ff", Truncated),
            ("c003c184ffffffff", TooLong),
            ("c003c1820100", TooLong),
            ("c402c100000000010084ffffffff", TooLong),
            ("c403c184ffffffff", TooLong),
            ("c403c1010200", Malformed),
            ("c401c102", Malformed),
            ("c401c10100ff", Malformed),
            ("c101c100080000010000ff02000984ffffffff", TooLong),
            ("c301c100460000600aff010102" + "0201" * 30, RemoteProtocolError),
            ("0f0000000100", Truncated),
            ("0f000000010d", Malformed),
            ("d801", Truncated),
            ("d80105ff", Malformed),
            ("0e0600", Truncated),
            ("0e06000600", Malformed),
        ],
    )
    def test_refuses_what_is_not_good(self, octets, error):
        with pytest.raises(error):
            xdlms.decode(bytes.fromhex(octets))

    def test_takes_a_notification_time_with_its_tag(self):
        octets = bytes.fromhex("0f40000000090c07e3020401173416ff80000000")

        message = xdlms.decode(octets)

        assert isinstance(message, apdus.DataNotificationApdu)
        assert message.time == octets[7:19]

    def test_takes_an_action_response_without_the_flag_of_its_data(self):
        assert xdlms.decode(bytes.fromhex("c701c100")) == apdus.ActionResponseNormal(invoke=0xC1, result=0)
