"""General block transfer: blocks as octets, transfers alone, and whole sessions over them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import general_block
from bijlighar.dlms.errors import (
    BlockOutOfOrder,
    Malformed,
    RemoteProtocolError,
    TooLong,
    Truncated,
    Unexpected,
)
from bijlighar.dlms.event import (
    ActionRequest,
    ActionResult,
    AssociationRequest,
    GetRequest,
    GetResult,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.general_block import GeneralBlock, GeneralTransfer, decode_general_block
from bijlighar.dlms.security import Security
from bijlighar.dlms.session import Association, Framing, Role, State
from tests.dlms.talk import (
    BLOCK_LOAD,
    CLOCK,
    DISCONNECT,
    LONG_VALUE,
    Pair,
    Randomness,
    client_security,
    server_security,
)


def pair_of(
    *, framing: Framing = Framing.WRAPPER, agreed: bool = True, max_pdu: int = 128, ciphered: bool = True
) -> Pair:
    pair = Pair(framing=framing)
    client, server = client_security(ciphered=ciphered), server_security(ciphered=ciphered)
    pair.client = Association(
        role=Role.CLIENT,
        client=32,
        framing=framing,
        security=client,
        randomness=Randomness(1000),
        max_pdu=max_pdu,
        general_blocks=True,
    )

    def known(_client: int) -> Security:
        return server

    pair.server = Association(
        role=Role.SERVER,
        framing=framing,
        security_for=known,
        randomness=Randomness(),
        max_pdu=max_pdu,
        general_blocks=agreed,
    )
    return pair


class TestBlock:
    @given(
        block=st.builds(
            GeneralBlock,
            last=st.booleans(),
            streaming=st.booleans(),
            window=st.integers(0, 63),
            number=st.integers(0, 65_535),
            acknowledged=st.integers(0, 65_535),
            data=st.binary(max_size=300),
        )
    )
    def test_is_read_as_it_was_written(self, block):
        assert decode_general_block(block.encode()) == block

    @pytest.mark.parametrize(
        ("octets", "error"),
        [
            ("", Malformed),
            ("c001c1", Malformed),
            ("e0410001", Truncated),
            ("e041000100000300", Truncated),
            ("e0410001000001aabb", Malformed),
            ("e04100010000844000000000", TooLong),
        ],
    )
    def test_that_is_not_good_is_refused(self, octets, error):
        with pytest.raises(error):
            decode_general_block(bytes.fromhex(octets))


class TestTransfer:
    @given(apdu=st.binary(min_size=1, max_size=3000), octets=st.integers(10, 400), window=st.integers(0, 63))
    def test_carries_anything_in_windows(self, apdu, octets, window):
        sender, receiver = GeneralTransfer(window=1), GeneralTransfer(window=window)
        sender.start(apdu, octets=octets)
        whole = None

        for _ in range(4000):
            blocks = sender.replies
            assert all(len(block) <= octets for block in blocks)
            assert len(blocks) <= max(window, 1)
            for block in blocks:
                assert whole is None
                whole = receiver.take(block)
            if whole is not None:
                break
            assert sender.take(receiver.replies[0]) is None

        assert whole == apdu

    def test_refuses_a_block_out_of_turn_and_goes_on(self):
        receiver = GeneralTransfer(window=1)
        first, second = (
            GeneralBlock(
                last=number == 2, streaming=False, window=1, number=number, acknowledged=0, data=b"a"
            ).encode()
            for number in (1, 2)
        )
        with pytest.raises(BlockOutOfOrder):
            receiver.take(second)
        assert receiver.take(first) is None
        with pytest.raises(BlockOutOfOrder):
            receiver.take(first)

        assert receiver.take(second) == b"aa"

    def test_refuses_an_acknowledgement_of_what_was_not_sent(self):
        sender = GeneralTransfer(window=1)
        sender.start(bytes(100), octets=20)
        wrong = GeneralBlock(last=True, streaming=False, window=1, number=1, acknowledged=9, data=b"")

        with pytest.raises(BlockOutOfOrder):
            sender.take(wrong.encode())

    def test_refuses_to_grow_without_end(self, monkeypatch):
        monkeypatch.setattr(general_block, "TRANSFER_OCTETS_MAX", 100)
        receiver = GeneralTransfer(window=1)
        for number in (1, 2):
            receiver.take(
                GeneralBlock(
                    last=False, streaming=True, window=1, number=number, acknowledged=0, data=bytes(50)
                ).encode()
            )

        with pytest.raises(TooLong):
            receiver.take(
                GeneralBlock(
                    last=False, streaming=True, window=1, number=3, acknowledged=0, data=b"a"
                ).encode()
            )

    def test_holds_the_longest_message_that_its_numbers_can_count(self):
        longest = general_block.octets_in_blocks(64)
        sender = GeneralTransfer(window=1)

        sender.start(bytes(longest), octets=64)

        assert len(sender._chunks) == general_block.BLOCKS_MAX - 1


class TestSession:
    @pytest.mark.parametrize("framing", Framing)
    @pytest.mark.parametrize("ciphered", [False, True])
    def test_carries_long_values_both_ways(self, framing, ciphered):
        pair = pair_of(framing=framing, ciphered=ciphered)
        pair.associate()
        sizes: list[int] = []
        kinds: set[int] = set()

        def watched(octets: bytes) -> bytes:
            if framing is Framing.WRAPPER and octets:
                sizes.append(int.from_bytes(octets[6:8], "big"))
                kinds.add(octets[8])
            return octets

        pair.up = pair.down = watched
        pair.answer = lambda event: {
            GetRequest: GetResult(data=LONG_VALUE),
            SetRequest: SetResult(),
            ActionRequest: ActionResult(data=LONG_VALUE),
        }[type(event)]

        got = pair.exchange(GetRequest(attribute=BLOCK_LOAD))
        written = pair.exchange(SetRequest(attribute=CLOCK, data=LONG_VALUE))
        acted = pair.exchange(ActionRequest(method=DISCONNECT, parameters=LONG_VALUE))

        assert got == GetResult(data=LONG_VALUE, authenticated=ciphered)
        assert written == SetResult(authenticated=ciphered)
        assert acted == ActionResult(data=LONG_VALUE, authenticated=ciphered)
        assert pair.asked[-1] == ActionRequest(method=DISCONNECT, parameters=LONG_VALUE)
        if framing is Framing.WRAPPER:
            assert max(sizes) <= 128
            assert 0xE0 in kinds

    def test_uses_the_blocks_of_each_service_where_the_meter_does_not_agree(self):
        pair = pair_of(agreed=False)
        pair.associate()
        kinds: set[int] = set()
        pair.down = lambda octets: (kinds.add(octets[8]), octets)[1]

        assert pair.exchange(GetRequest(attribute=BLOCK_LOAD)) == GetResult(
            data=LONG_VALUE, authenticated=True
        )
        assert kinds == {0xCC}

    def test_refuses_a_changed_block_by_the_tag_of_the_whole(self):
        pair = pair_of()
        pair.associate()
        pair.down = lambda octets: octets[:60] + bytes((octets[60] ^ 1,)) + octets[61:]

        with pytest.raises(RemoteProtocolError) as caught:
            pair.exchange(GetRequest(attribute=BLOCK_LOAD))

        assert caught.value.code == "dlms.forged"

    @pytest.mark.parametrize("inside", ["e0810001000000", "6200", "60020000"])
    def test_refuses_blocks_in_blocks_and_associations_in_blocks(self, inside):
        pair = pair_of(ciphered=False)
        pair.associate()
        octets = bytes.fromhex(inside)
        block = GeneralBlock(
            last=True, streaming=False, window=1, number=1, acknowledged=0, data=octets
        ).encode()
        pair.server.receive_data(bytes.fromhex("000100200001") + len(block).to_bytes(2, "big") + block)

        with pytest.raises(Unexpected):
            pair.server.next_event()
        assert pair.server.state is State.ASSOCIATED

    def test_refuses_blocks_without_an_association(self):
        pair = pair_of()
        pair.client.send(AssociationRequest())
        pair.client.receive_data(bytes.fromhex("0001000100200008" + "e0810001000001aa"))

        with pytest.raises(Unexpected):
            pair.client.next_event()
