"""Property tests: any octets at every parser, and every message comes out as it went in."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import axdr, cosem, xdlms
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.obis import Obis
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

SEEDS = seeds()

octet = st.integers(0, 255)
word = st.integers(0, 2**32 - 1)
obis = st.binary(min_size=6, max_size=6).map(lambda octets: Obis(octets=octets))
attribute = st.builds(cosem.Attribute, class_id=st.integers(0, 65_535), obis=obis, index=octet)
method = st.builds(cosem.Method, class_id=st.integers(0, 65_535), obis=obis, index=octet)
moment = st.binary(min_size=12, max_size=12)
capture = st.builds(
    cosem.CaptureObject,
    class_id=st.integers(0, 65_535),
    obis=obis,
    attribute=st.integers(-128, 127),
    data_index=st.integers(0, 65_535),
)
selection = st.one_of(
    st.none(),
    st.builds(
        cosem.ByRange,
        lower=moment,
        upper=moment,
        clock=capture,
        columns=st.lists(capture, max_size=3).map(tuple),
    ),
    st.builds(
        cosem.ByEntry,
        first=word,
        last=word,
        first_column=st.integers(0, 65_535),
        last_column=st.integers(0, 65_535),
    ),
)
leaf = st.one_of(
    st.just(axdr.NULL),
    st.integers(-(2**31), 2**31 - 1).map(axdr.double_long),
    st.integers(0, 2**64 - 1).map(axdr.long64_unsigned),
    st.binary(max_size=200).map(axdr.octet_string),
    st.text(max_size=50).map(axdr.utf8_string),
    st.floats(width=32, allow_nan=False).map(axdr.float32),
)
value = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(axdr.array),
        st.lists(inner, max_size=4).map(lambda items: axdr.structure(*items)),
    ),
    max_leaves=12,
)
error = st.integers(0, 255)
outcome = st.one_of(
    error.map(apdus.MethodResult),
    st.tuples(error, value).map(lambda drawn: apdus.MethodResult(drawn[0], data=drawn[1])),
    st.tuples(error, error).map(lambda drawn: apdus.MethodResult(drawn[0], error=drawn[1])),
)
get_result = st.one_of(st.tuples(value, st.none()), st.tuples(st.none(), error))
attributes = st.lists(st.tuples(attribute, selection), max_size=4).map(tuple)
methods = st.lists(method, max_size=4).map(tuple)
values = st.lists(value, max_size=4).map(tuple)
codes = st.lists(error, max_size=200).map(tuple)
raw = st.binary(max_size=300)

PARTS: dict[type, dict[str, st.SearchStrategy]] = {
    apdus.GetNormal: {"attribute": attribute, "selection": selection},
    apdus.GetNext: {"block": word},
    apdus.GetWithList: {"attributes": attributes},
    apdus.GetResponseNormal: {"data": value, "error": st.none()},
    apdus.GetResponseBlock: {"last": st.booleans(), "block": word, "data": raw},
    apdus.GetResponseList: {"results": st.lists(get_result, max_size=5).map(tuple)},
    apdus.SetNormal: {"attribute": attribute, "selection": selection, "data": value},
    apdus.SetFirstBlock: {
        "attribute": attribute,
        "selection": selection,
        "last": st.booleans(),
        "block": word,
        "data": raw,
    },
    apdus.SetBlock: {"last": st.booleans(), "block": word, "data": raw},
    apdus.SetWithList: {"attributes": attributes, "values": values},
    apdus.SetListFirstBlock: {
        "attributes": attributes,
        "last": st.booleans(),
        "block": word,
        "data": raw,
    },
    apdus.SetResponseNormal: {"result": error},
    apdus.SetResponseBlock: {"block": word},
    apdus.SetResponseLastBlock: {"result": error, "block": word},
    apdus.SetResponseLastBlockList: {"results": codes, "block": word},
    apdus.SetResponseList: {"results": codes},
    apdus.ActionNormal: {"method": method, "parameters": st.one_of(st.none(), value)},
    apdus.ActionNext: {"block": word},
    apdus.ActionWithList: {"methods": methods, "parameters": values},
    apdus.ActionFirstBlock: {"method": method, "last": st.booleans(), "block": word, "data": raw},
    apdus.ActionListFirstBlock: {"methods": methods, "last": st.booleans(), "block": word, "data": raw},
    apdus.ActionBlock: {"last": st.booleans(), "block": word, "data": raw},
    apdus.ActionResponseNormal: {"result": error, "data": st.one_of(st.none(), value)},
    apdus.ActionResponseBlock: {"last": st.booleans(), "block": word, "data": raw},
    apdus.ActionResponseList: {"results": st.lists(outcome, max_size=5).map(tuple)},
    apdus.ActionResponseNext: {"block": word},
}


class TestEveryMessage:
    @pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_comes_out_as_it_went_in(self, kind, data):
        message = data.draw(st.builds(kind, invoke=octet, **PARTS[kind]))

        octets = message.encode()

        assert xdlms.decode(octets) == message
        assert xdlms.decode(octets).encode() == octets


class TestEveryParser:
    @pytest.mark.parametrize("target", TARGETS)
    @settings(max_examples=40, deadline=None)
    @given(octets=st.binary(max_size=200))
    def test_refuses_noise_by_protocol_errors_only(self, target, octets):
        with suppress(RemoteProtocolError):
            TARGETS[target](octets)

    @pytest.mark.parametrize("target", TARGETS)
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.sampled_from(SEEDS),
        at=st.integers(0, 300),
        noise=st.binary(max_size=8),
        dropped=st.integers(0, 8),
    )
    def test_refuses_spoilt_messages_by_protocol_errors_only(self, target, seed, at, noise, dropped):
        with suppress(RemoteProtocolError):
            TARGETS[target](seed[:at] + noise + seed[at + dropped :])
