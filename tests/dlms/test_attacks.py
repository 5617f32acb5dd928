"""Every attack that the head-end must withstand is refused under its own code, changes nothing, and costs nothing."""

import tracemalloc
from collections.abc import Callable, Iterable
from random import Random

import pytest

from bijlighar.dlms import axdr
from bijlighar.dlms.ciphering import Form
from bijlighar.dlms.errors import DlmsError, Forged, RemoteProtocolError
from bijlighar.dlms.event import AssociationRequest, GetRequest, GetResult
from bijlighar.dlms.post_mortem import DAMAGED_BITS_MAX
from bijlighar.dlms.session import Association
from tests.dlms.talk import (
    BLOCK_LOAD,
    CLOCK,
    HIGH_LEVEL,
    LONG_VALUE,
    Counter,
    Pair,
    client_security,
    server_security,
)

HEADER = 8
MEMORY_OCTETS_MAX = 200_000


def wrapped(header: bytes, apdu: bytes) -> bytes:
    return header[:6] + len(apdu).to_bytes(2, "big") + apdu


def associated(**changes: object) -> Pair:
    pair = Pair(client_security(**changes), server_security(**changes), max_pdu=512)
    pair.associate()
    return pair


def waiting() -> tuple[Pair, bytes]:
    """A client that waits for its block load, and the good first block."""
    pair = associated()
    return pair, pair.serve(pair.client.send(GetRequest(attribute=BLOCK_LOAD)))


def resealed(pair: Pair, change: Callable[[bytes], bytes]) -> bytes:
    """The meter's first block with its plain octets changed before it is sealed, as a hostile meter would send it."""
    sealed = pair.server._envelope.seal
    plain = bytes.fromhex("c402c10000000001") + b"\x00" + axdr.length(100) + LONG_VALUE[:100]
    return wrapped(bytes.fromhex("0001000100200000"), sealed(change(plain), form=Form.GLO))


def flipped(octets: bytes, at: int) -> bytes:
    spoilt = bytearray(octets)
    spoilt[at] ^= 1
    return bytes(spoilt)


def with_bits_flipped(octets: bytes, bits: Iterable[int]) -> bytes:
    spoilt = bytearray(octets)
    for bit in bits:
        spoilt[bit >> 3] ^= 1 << (bit & 7)
    return bytes(spoilt)


def refusal(association: Association, octets: bytes) -> str:
    """The code under which an association refuses octets."""
    association.receive_data(octets)
    with pytest.raises(RemoteProtocolError) as caught:
        association.next_event()
    return caught.value.code


def flip_tag() -> tuple[Association, bytes]:
    pair, good = waiting()
    return pair.client, flipped(good, -1)


def flip_ciphertext() -> tuple[Association, bytes]:
    pair, good = waiting()
    return pair.client, flipped(good, HEADER + 60)


def replay() -> tuple[Association, bytes]:
    pair, good = waiting()
    pair.client.receive_data(good)
    pair.client.next_event()
    pair.client.data_to_send()
    return pair.client, good


def wrong_key() -> tuple[Association, bytes]:
    pair, _ = waiting()
    other = associated(ek=bytes(16), next_counter=Counter(1000))
    return pair.client, other.serve(other.client.send(GetRequest(attribute=BLOCK_LOAD)))


def wrong_title() -> tuple[Association, bytes]:
    pair = Pair(client_security(peer_title=b"BIJ99999"), server_security())
    return pair.client, pair.serve(pair.client.send(AssociationRequest()))


def truncated_block() -> tuple[Association, bytes]:
    pair, _ = waiting()
    return pair.client, resealed(pair, lambda plain: plain[:-20])


def block_out_of_order() -> tuple[Association, bytes]:
    pair, _ = waiting()
    return pair.client, resealed(pair, lambda plain: plain[:7] + b"\x03" + plain[8:])


def length_bomb() -> tuple[Association, bytes]:
    pair, _ = waiting()
    return pair.client, resealed(pair, lambda plain: plain[:9] + bytes.fromhex("84ffffffff") + plain[11:])


def announced_gibibyte() -> tuple[Association, bytes]:
    pair, good = waiting()
    return pair.client, wrapped(good, good[HEADER : HEADER + 1] + bytes.fromhex("8440000000") + good[HEADER:])


def nesting_bomb() -> tuple[Association, bytes]:
    pair, _ = waiting()
    bomb = bytes.fromhex("c403c10100") + b"\x02\x01" * 400 + b"\x00"
    return pair.client, resealed(pair, lambda _: bomb)


def wrong_password() -> tuple[Association, bytes]:
    pair = Pair(client_security(secret=b"guess"), server_security())
    return pair.server, pair.client.send(AssociationRequest())


ATTACKS: dict[Callable[[], tuple[Association, bytes]], str] = {
    flip_tag: "dlms.tag-damaged",
    flip_ciphertext: "dlms.forged",
    replay: "dlms.replayed",
    wrong_key: "dlms.wrong-key",
    wrong_password: "dlms.wrong-password",
    wrong_title: "dlms.wrong-title",
    truncated_block: "dlms.truncated",
    block_out_of_order: "dlms.block-out-of-order",
    length_bomb: "dlms.too-long",
    nesting_bomb: "dlms.too-deep",
    announced_gibibyte: "dlms.announced-too-long",
}


def standing(association: Association) -> tuple[object, ...]:
    exchange = association._client_exchange
    return (
        association.state,
        association.peer_title,
        association.max_send_pdu,
        association.conformance,
        association.broken,
        None if exchange is None else (exchange._incoming.number, bytes(exchange._incoming._data)),
        association._server_exchange,
        association.security,
    )


class TestAttacks:
    @pytest.mark.parametrize(
        ("attack", "code"), ATTACKS.items(), ids=lambda value: getattr(value, "__name__", "")
    )
    def test_are_refused_under_their_own_code_and_change_nothing(self, attack, code):
        association, octets = attack()
        before = standing(association)
        counter = association.received_counter
        tracemalloc.start()

        association.receive_data(octets)
        with pytest.raises(RemoteProtocolError) as caught:
            association.next_event()
        spent = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert caught.value.code == code
        assert standing(association) == before
        assert spent < MEMORY_OCTETS_MAX
        # A counter rises only where the tag held, that is where the sender has the keys.
        held = code in ("dlms.truncated", "dlms.block-out-of-order", "dlms.too-deep", "dlms.too-long")
        assert (association.received_counter > counter) == held

    @pytest.mark.parametrize("attack", [flip_tag, flip_ciphertext, wrong_key, announced_gibibyte])
    def test_leave_the_exchange_to_go_on(self, attack, monkeypatch):
        made: list[tuple[Pair, bytes]] = []
        original = waiting

        def remembered() -> tuple[Pair, bytes]:
            made.append(original())
            return made[-1]

        monkeypatch.setitem(attack.__globals__, "waiting", remembered)
        association, octets = attack()
        pair, good = made[0]
        association.receive_data(octets)
        with pytest.raises(RemoteProtocolError):
            association.next_event()

        down = good
        for _ in range(100):
            association.receive_data(down)
            event = association.next_event()
            if isinstance(event, GetResult):
                break
            down = pair.serve(association.data_to_send())

        assert event == GetResult(data=LONG_VALUE, authenticated=True)

    def test_against_the_password_is_told_to_the_client(self):
        association, octets = wrong_password()
        association.receive_data(octets)
        with pytest.raises(RemoteProtocolError):
            association.next_event()

        assert b"\xa3\x05\xa1\x03\x02\x01\x0d" in association.data_to_send()

    def test_have_codes_of_their_own(self):
        assert len(set(ATTACKS.values())) == len(ATTACKS) == 11
        assert not {DlmsError.code, RemoteProtocolError.code} & set(ATTACKS.values())

    def test_on_any_bits_of_the_tag_alone_are_told_from_those_on_the_content(self):
        pair, good = waiting()
        counter = pair.client.received_counter
        tag_at, content_at = 8 * (len(good) - 12), 8 * (HEADER + 10)
        draw = Random(62056)
        for count in (1, 2, DAMAGED_BITS_MAX):
            for _ in range(100):
                of_tag = draw.sample(range(tag_at, 8 * len(good)), count)
                of_content = draw.sample(range(content_at, tag_at), count)

                assert refusal(pair.client, with_bits_flipped(good, of_tag)) == "dlms.tag-damaged"
                assert refusal(pair.client, with_bits_flipped(good, of_content)) == "dlms.forged"
                assert refusal(pair.client, with_bits_flipped(good, of_tag + of_content)) == "dlms.forged"
        assert pair.client.received_counter == counter
        pair.client.receive_data(good)
        pair.client.next_event()
        assert pair.client.received_counter > counter

    def test_with_a_tag_of_their_own_are_not_taken_for_damage(self):
        pair, good = waiting()
        draw = Random(38)
        for _ in range(500):
            assert refusal(pair.client, good[:-12] + draw.randbytes(12)) == "dlms.forged"

    @pytest.mark.parametrize("seed", range(200))
    def test_with_bits_flipped_anywhere_are_refused_and_nothing_else_happens(self, seed: int):
        pair, good = waiting()
        draw = Random(seed)
        before, counter = standing(pair.client), pair.client.received_counter
        for _ in range(20):
            bits = draw.sample(range(8 * HEADER, 8 * len(good)), draw.randrange(1, 40))

            assert refusal(pair.client, with_bits_flipped(good, bits)).startswith("dlms.")
            assert (standing(pair.client), pair.client.received_counter) == (before, counter)
            assert pair.client.data_to_send() == b""
        pair.client.receive_data(good)
        pair.client.next_event()
        assert pair.client.received_counter > counter

    def test_on_the_tag_are_not_told_apart_by_a_meter(self):
        pair = associated()
        good = pair.client.send(GetRequest(attribute=CLOCK))
        answers = set()
        for at in (-1, HEADER + 20):
            pair.server.receive_data(flipped(good, at))
            with pytest.raises(Forged) as caught:
                pair.server.next_event()
            assert type(caught.value) is Forged
            answers.add(pair.server.refusal(caught.value))
        assert len(answers) == 1

    @pytest.mark.parametrize("control", [0x10, 0x30])
    def test_on_the_tag_of_a_message_that_is_only_signed_are_told_too(self, control: int):
        pair = associated(control=control)
        good = pair.serve(pair.client.send(GetRequest(attribute=CLOCK)))
        assert refusal(pair.client, flipped(good, -1)) == "dlms.tag-damaged"
        assert refusal(pair.client, flipped(good, HEADER + 12)) == "dlms.forged"

    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    def test_with_another_secret_or_key_do_not_prove_anybody(self, mechanism):
        pair = Pair(
            client_security(mechanism=mechanism, ciphered=False, secret=b"another-secret-!", ak=bytes(16)),
            server_security(mechanism=mechanism, ciphered=False),
        )
        pair.client.receive_data(pair.serve(pair.client.send(AssociationRequest())))
        pair.client.next_event()
        pair.server.receive_data(pair.client.data_to_send())

        with pytest.raises(RemoteProtocolError) as caught:
            pair.server.next_event()

        assert caught.value.code == "dlms.peer-not-proven"

    def test_of_a_stream_that_never_ends_a_frame_hold_little(self):
        pair = associated()
        pair.client.send(GetRequest(attribute=CLOCK))
        tracemalloc.start()
        for _ in range(2000):
            pair.client.receive_data(bytes.fromhex("000100010020ffff"))
            pair.client.next_event()
            if pair.client.broken:
                break
        spent = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert spent < MEMORY_OCTETS_MAX
