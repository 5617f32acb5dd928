"""What is forged, replayed, cut, too long, too deep or badly keyed is refused, told apart, and changes nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bijlighar.dlms import axdr, wrapper, xdlms
from bijlighar.dlms.ciphering import Envelope, Form
from bijlighar.dlms.errors import (
    AnnouncedTooLong,
    Forged,
    LocalProtocolError,
    Malformed,
    RemoteProtocolError,
    Replayed,
    TagDamaged,
    TooDeep,
    Truncated,
    Unprotected,
    WrongKey,
    WrongTitle,
)
from bijlighar.dlms.event import (
    ActionRequest,
    AssociationAccepted,
    AssociationRefused,
    AssociationRequest,
    GetRequest,
    GetResult,
    ServiceFailure,
    SetRequest,
)
from bijlighar.dlms.security import Mechanism
from bijlighar.dlms.session import Association, State
from tests.dlms.talk import (
    AK,
    CLOCK,
    DISCONNECT,
    EK,
    HIGH_LEVEL,
    SERVER_TITLE,
    Counter,
    Pair,
    client_security,
    server_security,
)

HEADER = 8


def associated(mechanism: Mechanism = Mechanism.LLS, **changes: object) -> Pair:
    pair = Pair(
        client_security(mechanism=mechanism, **changes),
        server_security(mechanism=mechanism, **changes),
        max_pdu=1024,
    )
    assert isinstance(pair.associate(), AssociationAccepted)
    return pair


def snapshot(association: Association) -> tuple[object, ...]:
    return (
        association.state,
        association.received_counter,
        association.peer_title,
        association.max_send_pdu,
        association.conformance,
        association._client_exchange,
        association._server_exchange,
    )


def refused(association: Association, octets: bytes) -> RemoteProtocolError:
    """The error that `octets` give; nothing may be changed by them."""
    before = snapshot(association)
    association.receive_data(octets)
    with pytest.raises(RemoteProtocolError) as caught:
        association.next_event()
    assert snapshot(association) == before
    assert association.data_to_send() == b""
    return caught.value


def with_length(header: bytes, apdu: bytes) -> bytes:
    return header[:6] + len(apdu).to_bytes(2, "big") + apdu


class TestServer:
    def test_refuses_a_changed_tag(self):
        pair = associated()
        good = pair.client.send(GetRequest(attribute=CLOCK))
        spoilt = good[:-1] + bytes((good[-1] ^ 1,))

        error = refused(pair.server, spoilt)

        assert type(error) is Forged
        assert pair.server.refusal(error)[HEADER:].hex() == "d80205"
        assert pair.serve(good)

    def test_refuses_a_changed_value(self):
        pair = associated()
        good = bytearray(pair.client.send(GetRequest(attribute=CLOCK)))
        good[HEADER + 7 + 12] ^= 4

        assert type(refused(pair.server, bytes(good))) is Forged

    def test_refuses_another_encryption_key(self):
        pair = associated()
        other = Pair(client_security(ek=bytes(16), next_counter=Counter(50)), server_security(ek=bytes(16)))
        other.associate()

        error = refused(pair.server, other.client.send(GetRequest(attribute=CLOCK)))

        assert type(error) is WrongKey

    def test_refuses_another_authentication_key(self):
        pair = associated()
        other = Pair(client_security(ak=bytes(16), next_counter=Counter(50)), server_security(ak=bytes(16)))
        other.associate()

        assert type(refused(pair.server, other.client.send(GetRequest(attribute=CLOCK)))) is Forged

    def test_refuses_a_replay(self):
        pair = associated()
        octets = pair.client.send(GetRequest(attribute=CLOCK))
        assert pair.serve(octets)
        counter = pair.server.received_counter

        error = refused(pair.server, octets)

        assert isinstance(error, Replayed)
        assert error.expected == counter + 1
        assert pair.server.refusal(error)[HEADER:].hex() == f"d80206{counter + 1:08x}"

    def test_refuses_a_replay_of_an_earlier_session(self):
        first = Pair(client_security(), server_security())
        aarq = first.client.send(AssociationRequest())
        first.serve(aarq)
        later = Pair(client_security(), server_security(received_counter=first.server.received_counter))

        error = refused(later.server, aarq)

        assert isinstance(error, Replayed)
        assert later.server.refusal(error)[HEADER:].hex() == f"d80106{error.expected:08x}"

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"ek": bytes(16)}, WrongKey),
            ({"ak": bytes(16)}, Forged),
            ({"own_title": b"SOMEBODY"}, WrongTitle),
        ],
    )
    def test_refuses_an_association_request_under_other_keys_or_another_name(self, changes, error):
        pair = Pair(client_security(**changes), server_security(peer_title=b"MDMHES01"))

        assert type(refused(pair.server, pair.client.send(AssociationRequest()))) is error

    def test_refuses_a_message_cut_in_its_ciphered_part(self):
        pair = associated()
        good = pair.client.send(GetRequest(attribute=CLOCK))
        for kept in (2, 4, 6, 10):
            apdu = good[HEADER : HEADER + kept]

            assert type(refused(pair.server, with_length(good, apdu))) is Truncated
        content = good[HEADER + 2 : -1]
        cut = bytes((good[HEADER], len(content))) + content
        assert type(refused(pair.server, with_length(good, cut))) in (Forged, Malformed)

    def test_refuses_a_length_bomb(self):
        pair = associated()
        good = pair.client.send(GetRequest(attribute=CLOCK))
        bomb = with_length(good, bytes.fromhex("c884ffffffff3000000001"))

        assert type(refused(pair.server, bomb)) is AnnouncedTooLong
        five = with_length(good, bytes.fromhex("c8850102030405"))
        assert type(refused(pair.server, five)) is AnnouncedTooLong

    def test_refuses_a_nesting_bomb_even_from_a_friend(self):
        pair = associated()
        pair.client.send(SetRequest(attribute=CLOCK, data=b"\x02\x01" * 300 + b"\x00"))
        bomb = pair.client._envelope.seal(
            bytes.fromhex("c101c100080000010000ff0200") + b"\x02\x01" * 300 + b"\x00", form=Form.GLO
        )
        header = bytes.fromhex("0001002000010000")
        state = pair.server.state
        pair.server.receive_data(with_length(header, bomb))

        with pytest.raises(TooDeep):
            pair.server.next_event()

        assert pair.server.state is state

    def test_refuses_a_plain_message(self):
        pair = associated()
        plain = with_length(bytes.fromhex("0001002000010000"), bytes.fromhex("c001c100080000010000ff0200"))

        assert type(refused(pair.server, plain)) is Unprotected

    def test_refuses_another_suite_and_compression(self):
        pair = associated()
        good = bytearray(pair.client.send(GetRequest(attribute=CLOCK)))
        for control in (0x31, 0x32, 0xB0):
            good[HEADER + 2] = control

            assert type(refused(pair.server, bytes(good))) is Malformed

    def test_refuses_a_dedicated_message_without_a_dedicated_key(self):
        pair = associated()
        good = bytearray(pair.client.send(GetRequest(attribute=CLOCK)))
        good[HEADER] = 0xD0

        assert type(refused(pair.server, bytes(good))) is Unprotected

    def test_refuses_another_title_in_a_general_message(self):
        pair = associated()
        good = pair.client.send(GetRequest(attribute=CLOCK))
        general = b"\xdb\x08SOMEBODY" + good[HEADER + 1 :]
        short = b"\xdb\x04SOME" + good[HEADER + 1 :]

        assert type(refused(pair.server, with_length(good, general))) is WrongTitle
        assert type(refused(pair.server, with_length(good, short))) is WrongTitle
        assert type(refused(pair.server, with_length(good, b"\xdd\x00"))) is Malformed

    def test_refuses_a_message_that_holds_another_service_than_it_names(self):
        pair = associated()
        good = bytearray(pair.client.send(GetRequest(attribute=CLOCK)))
        good[HEADER] = 0xC9

        assert type(refused(pair.server, bytes(good))) is Malformed

    @given(data=st.data())
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_takes_no_message_with_any_bit_flipped(self, data):
        pair = associated()
        good = pair.client.send(GetRequest(attribute=CLOCK))
        spoilt = bytearray(good)
        spoilt[data.draw(st.integers(HEADER, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))

        refused(pair.server, bytes(spoilt))

        assert pair.serve(good)

    @given(noise=st.binary(min_size=1, max_size=60))
    def test_takes_no_noise(self, noise):
        pair = associated()

        refused(pair.server, with_length(bytes.fromhex("0001002000010000"), noise))


class TestClient:
    def answer(self, pair: Pair) -> bytes:
        return pair.serve(pair.client.send(GetRequest(attribute=CLOCK)))

    def test_refuses_a_changed_value_and_a_changed_tag(self):
        pair = associated()
        good = self.answer(pair)
        for at, kind in ((HEADER + 7 + 6, Forged), (len(good) - 1, TagDamaged)):
            spoilt = bytearray(good)
            spoilt[at] ^= 4

            assert type(refused(pair.client, bytes(spoilt))) is kind
        pair.client.receive_data(good)
        assert isinstance(pair.client.next_event(), GetResult)

    def test_refuses_a_replay(self):
        pair = associated()
        good = self.answer(pair)
        pair.client.receive_data(good)
        pair.client.next_event()
        pair.client.send(GetRequest(attribute=CLOCK))

        assert isinstance(refused(pair.client, good), Replayed)

    def test_refuses_a_counter_that_does_not_rise_between_sessions(self):
        pair = Pair(client_security(received_counter=100), server_security())
        pair.client.receive_data(pair.serve(pair.client.send(AssociationRequest())))

        with pytest.raises(Replayed):
            pair.client.next_event()
        assert pair.client.received_counter == 100

    def test_refuses_a_forged_counter_and_keeps_its_own(self):
        pair = associated()
        forged = bytearray(self.answer(pair))
        counter = pair.client.received_counter
        forged[HEADER + 3 : HEADER + 7] = b"\xff\xff\xff\xff"

        error = refused(pair.client, bytes(forged))

        assert type(error) in (WrongKey, Forged)
        assert pair.client.received_counter == counter

    def test_refuses_another_meter(self):
        pair = Pair(client_security(peer_title=b"BIJ99999"), server_security())
        octets = pair.serve(pair.client.send(AssociationRequest()))

        assert type(refused(pair.client, octets)) is WrongTitle

    def test_refuses_a_plain_initiate_response(self):
        pair = Pair(client_security(), server_security())
        pair.client.send(AssociationRequest())
        plain = bytes.fromhex(
            "612b"
            + "a109060760857405080103"
            + "a203020100"
            + "a305a103020100"
            + "be10040e0800065f1f040000501f01f40007"
        )
        plain = plain[:1] + bytes((len(plain) - 2,)) + plain[2:]

        error = refused(pair.client, with_length(bytes.fromhex("0001000100200000"), plain))

        assert type(error) is Unprotected

    def test_refuses_an_answer_in_the_plain_context(self):
        pair = Pair(client_security(), server_security())
        pair.client.send(AssociationRequest())
        plain = bytes.fromhex(
            "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
        )

        assert (
            type(refused(pair.client, with_length(bytes.fromhex("0001000100200000"), plain))) is Unprotected
        )

    def test_refuses_a_meter_that_takes_no_message_as_long_as_the_proof(self):
        client = Pair(client_security(mechanism=Mechanism.HLS5, ciphered=False)).client
        client.send(AssociationRequest())
        aare = bytes.fromhex(  # found by the fuzzer: a server whose largest message has six octets
            "614aa109060760857405080101a203020100a305a10302010e88020780890760857405080205"
            "aa12801001010101010101010101010101010101be10040e0800065f1f0400010e0600060000"
        )
        client.receive_data(wrapper.encode(aare, source=1, destination=32))

        with pytest.raises(Malformed):
            client.next_event()

        assert client.state is State.IDLE

    def test_refuses_a_meter_that_skips_the_proof(self):
        pair = Pair(
            client_security(mechanism=Mechanism.HLS5, ciphered=False),
            server_security(mechanism=Mechanism.HLS5, ciphered=False),
        )
        pair.client.send(AssociationRequest())
        plain = bytes.fromhex(
            "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
        )

        refused(pair.client, with_length(bytes.fromhex("0001000100200000"), plain))

    def test_is_told_that_its_key_is_wrong(self):
        pair = Pair(client_security(ek=bytes(16)), server_security())
        pair.server.receive_data(pair.client.send(AssociationRequest()))
        with pytest.raises(WrongKey) as caught:
            pair.server.next_event()

        pair.client.receive_data(pair.server.refusal(caught.value))
        event = pair.client.next_event()

        assert isinstance(event, AssociationRefused)
        assert event.failure is not None
        assert event.failure.is_ciphering_error
        assert event.failure.text == "deciphering error"

    def test_is_told_the_counter_that_would_do(self):
        pair = Pair(client_security(), server_security(received_counter=1715))
        pair.server.receive_data(pair.client.send(AssociationRequest()))
        with pytest.raises(Replayed) as caught:
            pair.server.next_event()

        pair.client.receive_data(pair.server.refusal(caught.value))
        event = pair.client.next_event()

        assert isinstance(event, AssociationRefused)
        assert event.failure == ServiceFailure(kind="exception", state=1, service=6, counter=1716)

    @given(data=st.data())
    @settings(max_examples=150)
    def test_takes_no_answer_with_any_bit_flipped(self, data):
        pair = associated()
        good = self.answer(pair)
        spoilt = bytearray(good)
        spoilt[data.draw(st.integers(HEADER, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))

        refused(pair.client, bytes(spoilt))

    @given(data=st.data())
    @settings(max_examples=150)
    def test_takes_no_association_response_with_a_bit_flipped_in_its_ciphered_part(self, data):
        pair = Pair(client_security(), server_security())
        good = pair.serve(pair.client.send(AssociationRequest()))
        spoilt = bytearray(good)
        at = data.draw(st.integers(good.index(b"\x28", good.index(b"\xbe")), len(good) - 1))
        spoilt[at] ^= 1 << data.draw(st.integers(0, 7))

        refused(pair.client, bytes(spoilt))


class TestUnauthenticated:
    def test_is_refused_unless_the_policy_takes_it(self):
        pair = Pair(client_security(control=0x20), server_security())

        assert type(refused(pair.server, pair.client.send(AssociationRequest()))) is Unprotected

    def test_is_taken_for_reading_where_the_policy_takes_it(self):
        pair = associated(control=0x20, accept_unauthenticated=True)

        result = pair.exchange(GetRequest(attribute=CLOCK))

        assert result == GetResult(data=axdr.octet_string(bytes(12)), authenticated=False)
        assert pair.server.received_counter == pair.client.received_counter == -1

    @pytest.mark.parametrize(
        "request_", [ActionRequest(method=DISCONNECT), SetRequest(attribute=CLOCK, data=axdr.NULL)]
    )
    def test_is_never_taken_for_control(self, request_):
        pair = associated(control=0x20, accept_unauthenticated=True)
        pair.server.receive_data(pair.client.send(request_))

        with pytest.raises(Unprotected):
            pair.server.next_event()
        assert pair.server.state is State.ASSOCIATED

    def test_answer_is_never_taken_for_control(self):
        pair = associated(accept_unauthenticated=True)
        pair.client.send(ActionRequest(method=DISCONNECT))
        weak = pair.server._envelope.seal(bytes.fromhex("c701c10000"), form=Form.GLO, control=0x20)

        assert type(refused_weakly(pair.client, weak)) is Unprotected

    def test_is_refused_under_another_key(self):
        pair = Pair(
            client_security(control=0x20, ek=bytes(16)),
            server_security(control=0x20, accept_unauthenticated=True),
        )

        assert type(refused(pair.server, pair.client.send(AssociationRequest()))) is WrongKey

    def test_is_refused_as_a_replay(self):
        pair = associated(control=0x20, accept_unauthenticated=True)
        octets = pair.client.send(GetRequest(attribute=CLOCK))
        pair.serve(octets)

        assert isinstance(refused(pair.server, octets), Replayed)

    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    def test_proof_is_taken_where_the_policy_takes_it(self, mechanism):
        pair = associated(mechanism, control=0x20, accept_unauthenticated=True)

        assert isinstance(pair.exchange(GetRequest(attribute=CLOCK)), GetResult)


def refused_weakly(client: Association, apdu: bytes) -> RemoteProtocolError:
    client.receive_data(with_length(bytes.fromhex("0001000100200000"), apdu))
    with pytest.raises(RemoteProtocolError) as caught:
        client.next_event()
    assert client.state is State.REQUESTED
    return caught.value


class TestEnvelope:
    def envelope(self, **changes: object) -> Envelope:
        return Envelope(client_security(**({"peer_title": SERVER_TITLE} | changes)))

    def test_needs_the_peers_title(self):
        with pytest.raises(WrongTitle):
            self.envelope(peer_title=None).open(bytes.fromhex("cc083000000001330000"))

    def test_needs_a_key(self):
        with pytest.raises(LocalProtocolError):
            self.envelope().seal(b"\xc0", form=Form.DED)

    def test_refuses_a_used_up_counter(self):
        with pytest.raises(LocalProtocolError):
            self.envelope(next_counter=lambda: 1 << 32).seal(b"\xc0", form=Form.GLO)

    def test_refuses_an_empty_message(self):
        with pytest.raises(Truncated):
            self.envelope().open(b"")

    def test_refuses_a_dedicated_key_of_another_length(self):
        with pytest.raises(Malformed):
            self.envelope().use_dedicated_key(bytes(8))

    def test_knows_the_dedicated_tags(self):
        client = self.envelope()
        server = Envelope(server_security(peer_title=b"MDMHES01"))
        for side in (client, server):
            side.use_dedicated_key(bytes(range(16)))
        for plain in ("c001c1000100002b0100ff0200", "0e060006", "01000000065f1f0400007e1f04b0"):
            sealed = client.seal(bytes.fromhex(plain), form=Form.DED)

            assert server.open(sealed).plain.hex() == plain
            assert sealed[0] in (0xD0, 0x4E, 0x41)

    def test_leaves_exceptions_readable(self):
        assert xdlms.decode(self.envelope().open(bytes.fromhex("d80105")).plain)


class TestSecurity:
    @pytest.mark.parametrize(
        "changes",
        [
            {"ek": b""},
            {"ak": bytes(15)},
            {"own_title": b"SHORT"},
            {"peer_title": b"SHORT"},
            {"next_counter": None},
            {"mechanism": Mechanism.HLS2, "secret": b"short"},
            {"mechanism": Mechanism.HLS3, "secret": b""},
            {"suite": 3},
            {"suite": 2},
            {"ek": bytes(32), "ak": bytes(32)},
        ],
    )
    def test_is_refused_if_it_cannot_work(self, changes):
        with pytest.raises(LocalProtocolError):
            client_security(**changes)

    def test_does_not_show_its_keys(self):
        shown = repr(client_security())

        assert repr(EK) not in shown
        assert repr(AK) not in shown
        assert "0123456789abcdef" not in shown
