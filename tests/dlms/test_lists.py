"""SET and ACTION with lists and with blocks, both ways, as octets and as whole exchanges."""

import pytest

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import axdr, cosem, xdlms
from bijlighar.dlms.errors import BlockOutOfOrder, RemoteProtocolError, TooLong, Truncated, Unexpected
from bijlighar.dlms.event import (
    ActionListRequest,
    ActionListResult,
    ActionRequest,
    ActionResult,
    Event,
    SetListRequest,
    SetListResult,
    SetRequest,
)
from bijlighar.dlms.session import State
from tests.dlms.talk import BLOCK_LOAD, CLOCK, DISCONNECT, LONG_VALUE, Pair, client_security, server_security

CLOCK_HEX = "00080000010000ff02"
METHOD_HEX = "0046000060030aff01"
RANGE = cosem.ByEntry(first=1, last=5)

OCTETS = {
    f"c104c102{CLOCK_HEX}00{CLOCK_HEX}00021101120002": apdus.SetWithList(
        invoke=0xC1,
        attributes=((CLOCK, None), (CLOCK, None)),
        values=(axdr.unsigned(1), axdr.long_unsigned(2)),
    ),
    f"c105c101{CLOCK_HEX}0001000000010401020304": apdus.SetListFirstBlock(
        invoke=0xC1, attributes=((CLOCK, None),), last=True, block=1, data=bytes((1, 2, 3, 4))
    ),
    "c504c102000300000007": apdus.SetResponseLastBlockList(invoke=0xC1, results=(0, 3), block=7),
    "c505c1020003": apdus.SetResponseList(invoke=0xC1, results=(0, 3)),
    "c302c100000002": apdus.ActionNext(invoke=0xC1, block=2),
    f"c303c102{METHOD_HEX}{METHOD_HEX}02000f00": apdus.ActionWithList(
        invoke=0xC1, methods=(DISCONNECT, DISCONNECT), parameters=(axdr.NULL, axdr.integer(0))
    ),
    f"c304c1{METHOD_HEX}000000000102aabb": apdus.ActionFirstBlock(
        invoke=0xC1, method=DISCONNECT, last=False, block=1, data=b"\xaa\xbb"
    ),
    f"c305c101{METHOD_HEX}000000000102aabb": apdus.ActionListFirstBlock(
        invoke=0xC1, methods=(DISCONNECT,), last=False, block=1, data=b"\xaa\xbb"
    ),
    "c306c1010000000202aabb": apdus.ActionBlock(invoke=0xC1, last=True, block=2, data=b"\xaa\xbb"),
    "c702c1010000000202aabb": apdus.ActionResponseBlock(invoke=0xC1, last=True, block=2, data=b"\xaa\xbb"),
    "c703c1030000000101010301000f05": apdus.ActionResponseList(
        invoke=0xC1,
        results=(
            apdus.MethodResult(0),
            apdus.MethodResult(0, error=1),
            apdus.MethodResult(3, data=axdr.integer(5)),
        ),
    ),
    "c704c100000002": apdus.ActionResponseNext(invoke=0xC1, block=2),
}


def associated(**changes: object) -> Pair:
    pair = Pair(client_security(**changes), server_security(**changes), max_pdu=256)
    pair.associate()
    return pair


def plain() -> Pair:
    return associated(ciphered=False)


def down(pair: Pair, apdu: str) -> None:
    octets = bytes.fromhex(apdu)
    pair.client.receive_data(bytes.fromhex("000100010020") + len(octets).to_bytes(2, "big") + octets)


class TestOctets:
    @pytest.mark.parametrize(("octets", "message"), OCTETS.items())
    def test_are_read_and_written(self, octets, message):
        assert xdlms.decode(bytes.fromhex(octets)) == message
        assert message.encode().hex() == octets

    @pytest.mark.parametrize("octets", OCTETS)
    def test_cut_off_or_too_long_are_refused(self, octets):
        whole = bytes.fromhex(octets)

        for kept in range(3, len(whole)):
            with pytest.raises(Truncated):
                xdlms.decode(whole[:kept])
        with pytest.raises(RemoteProtocolError):
            xdlms.decode(whole + b"\x00")

    @pytest.mark.parametrize("head", ["c104c1", "c105c1", "c303c1", "c305c1", "c504c1", "c505c1", "c703c1"])
    def test_of_more_items_than_allowed_are_refused(self, head):
        with pytest.raises(TooLong):
            xdlms.decode(bytes.fromhex(head + "820100") + bytes(4000))


class TestSetList:
    @pytest.mark.parametrize("value", [axdr.unsigned(1), LONG_VALUE])
    def test_is_carried_whole_or_in_blocks(self, value):
        pair = associated()
        pair.answer = lambda _: SetListResult(results=(0, 3))
        request = SetListRequest(items=((CLOCK, None, value), (BLOCK_LOAD, RANGE, axdr.integer(3))))

        result = pair.exchange(request)

        assert pair.asked[-1] == request
        assert result == SetListResult(results=(0, 3), authenticated=True)
        assert pair.client.state is pair.server.state is State.ASSOCIATED

    def test_refused_as_one_is_refused_for_each(self):
        pair = plain()
        pair.client.send(SetListRequest(items=((CLOCK, None, axdr.NULL),) * 2))

        down(pair, f"c501{pair.client._invoke:02x}03")

        assert pair.client.next_event() == SetListResult(results=(3, 3))

    @pytest.mark.parametrize("answer", ["c501{}00", "c503{}0000000001"])
    def test_is_not_believed_to_have_succeeded_as_one(self, answer):
        pair = plain()
        pair.client.send(SetListRequest(items=((CLOCK, None, axdr.NULL),) * 2))
        down(pair, answer.format(f"{pair.client._invoke:02x}"))

        with pytest.raises(Unexpected):
            pair.client.next_event()

    def test_with_other_than_one_result_each_is_refused(self):
        pair = plain()
        pair.client.send(SetListRequest(items=((CLOCK, None, axdr.NULL),) * 2))
        down(pair, f"c505{pair.client._invoke:02x}0100")

        with pytest.raises(Unexpected):
            pair.client.next_event()

    def test_with_other_than_one_value_each_is_refused(self):
        pair = plain()
        octets = bytes.fromhex(f"c104c101{CLOCK_HEX}00020000")
        pair.server.receive_data(bytes.fromhex("000100200001") + len(octets).to_bytes(2, "big") + octets)

        with pytest.raises(Unexpected):
            pair.server.next_event()
        assert pair.server.state is State.ASSOCIATED


class TestAction:
    @pytest.mark.parametrize("parameters", [None, axdr.integer(0), LONG_VALUE])
    @pytest.mark.parametrize("returned", [None, axdr.integer(1), LONG_VALUE])
    def test_is_carried_whole_or_in_blocks_both_ways(self, parameters, returned):
        pair = associated()
        pair.answer = lambda _: ActionResult(data=returned)

        result = pair.exchange(ActionRequest(method=DISCONNECT, parameters=parameters))

        assert pair.asked[-1] == ActionRequest(method=DISCONNECT, parameters=parameters)
        assert result == ActionResult(data=returned, authenticated=True)
        assert pair.client.state is pair.server.state is State.ASSOCIATED

    @pytest.mark.parametrize("parameters", [axdr.integer(0), LONG_VALUE])
    def test_lists_are_carried_whole_or_in_blocks_both_ways(self, parameters):
        pair = associated()
        results = (
            ActionResult(data=parameters, authenticated=True),
            ActionResult(result=3, authenticated=True),
            ActionResult(error=1, authenticated=True),
        )
        pair.answer = lambda _: ActionListResult(results=results)
        request = ActionListRequest(items=((DISCONNECT, parameters), (DISCONNECT, None), (DISCONNECT, None)))

        assert pair.exchange(request) == ActionListResult(results=results)
        assert pair.asked[-1] == request

    @pytest.mark.parametrize("code", [0, 3])
    def test_list_may_be_refused_as_one_and_not_succeed_as_one(self, code):
        pair = plain()
        pair.client.send(ActionListRequest(items=((DISCONNECT, None),) * 2))
        down(pair, f"c701{pair.client._invoke:02x}{code:02x}00")

        if code:
            assert pair.client.next_event() == ActionListResult(results=(ActionResult(result=3),) * 2)
        else:
            with pytest.raises(Unexpected):
                pair.client.next_event()

    def test_answer_in_blocks_may_be_the_value_alone(self):
        pair = plain()
        pair.client.send(ActionRequest(method=DISCONNECT))
        invoke = f"{pair.client._invoke:02x}"

        down(pair, f"c702{invoke}000000000102" + "0904")
        pair.client.next_event()
        down(pair, f"c702{invoke}010000000204" + "01020304")

        assert pair.client.next_event() == ActionResult(data=bytes.fromhex("090401020304"))

    def test_blocks_out_of_order_are_refused(self):
        pair = plain()
        pair.client.send(ActionRequest(method=DISCONNECT))

        down(pair, f"c702{pair.client._invoke:02x}000000000202" + "0904")

        with pytest.raises(BlockOutOfOrder):
            pair.client.next_event()
        assert pair.client.state is State.REQUESTED

    def test_blocks_acknowledged_out_of_order_are_refused(self):
        pair = plain()
        pair.client.send(ActionRequest(method=DISCONNECT, parameters=LONG_VALUE))

        down(pair, f"c704{pair.client._invoke:02x}00000002")

        with pytest.raises(BlockOutOfOrder):
            pair.client.next_event()

    @pytest.mark.parametrize("request_", [SetRequest(attribute=CLOCK, data=LONG_VALUE)])
    def test_blocks_do_not_mix_with_those_of_a_set(self, request_):
        pair = plain()
        pair.serve(pair.client.send(request_))
        octets = bytes((0xC3, 6, 0xC0 | pair.client._invoke)) + bytes.fromhex("01000000020100")
        pair.server.receive_data(bytes.fromhex("000100200001") + len(octets).to_bytes(2, "big") + octets)

        with pytest.raises(Unexpected):
            pair.server.next_event()

    def test_blocks_in_disorder_end_the_transfer_at_the_meter(self):
        pair = plain()
        pair.serve(pair.client.send(ActionRequest(method=DISCONNECT, parameters=LONG_VALUE)))
        octets = bytes((0xC3, 6, 0xC0 | pair.client._invoke)) + bytes.fromhex("01000000090100")

        answer = pair.serve(bytes.fromhex("000100200001") + len(octets).to_bytes(2, "big") + octets)

        assert answer[8:].hex() == f"c701{0xC0 | pair.client._invoke:02x}0f00"
        assert pair.server.state is State.ASSOCIATED

    def test_next_block_asked_for_in_disorder_ends_the_transfer(self):
        pair = plain()
        pair.answer = lambda _: ActionResult(data=LONG_VALUE)
        pair.serve(pair.client.send(ActionRequest(method=DISCONNECT)))
        octets = bytes((0xC3, 2, 0xC0 | pair.client._invoke)) + bytes.fromhex("00000009")

        answer = pair.serve(bytes.fromhex("000100200001") + len(octets).to_bytes(2, "big") + octets)

        assert answer[8:].hex() == f"c701{0xC0 | pair.client._invoke:02x}0f00"
        assert pair.server.state is State.ASSOCIATED

    def test_control_in_blocks_needs_a_tag(self):
        pair = associated(control=0x20, accept_unauthenticated=True)
        events: list[Event] = []
        pair.server.receive_data(pair.client.send(ActionRequest(method=DISCONNECT, parameters=LONG_VALUE)))

        with pytest.raises(RemoteProtocolError) as caught:
            events.append(pair.server.next_event())  # type: ignore[arg-type]

        assert caught.value.code == "dlms.unprotected"
        assert events == []
