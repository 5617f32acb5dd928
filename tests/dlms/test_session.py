"""Client and server role talking to each other, through every mechanism, framing and form."""

import pytest

from bijlighar.dlms import acse, axdr, cosem, wrapper
from bijlighar.dlms.ciphering import Form
from bijlighar.dlms.errors import (
    Forged,
    LocalProtocolError,
    Malformed,
    PeerNotProven,
    RemoteProtocolError,
    Unexpected,
)
from bijlighar.dlms.event import (
    NEED_DATA,
    ActionRequest,
    ActionResult,
    AssociationAccepted,
    AssociationRefused,
    AssociationRequest,
    DataNotification,
    Event,
    EventNotification,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    HlsProven,
    LinkClosed,
    Released,
    ReleaseRequest,
    ServiceFailure,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.initiate import InitiateRequest
from bijlighar.dlms.security import Mechanism, Security
from bijlighar.dlms.session import Association, Framing, Role, State
from tests.dlms.talk import (
    BLOCK_LOAD,
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT,
    HIGH_LEVEL,
    LONG_VALUE,
    SERVER_TITLE,
    Counter,
    Pair,
    Randomness,
    client_security,
    default_answer,
    server_security,
)

RANGE = cosem.ByRange(lower=bytes(12), upper=bytes(range(12)))


def pair_of(mechanism: Mechanism, *, framing: Framing = Framing.WRAPPER, **changes: object) -> Pair:
    server_changes = {name: value for name, value in changes.items() if name not in ("dedicated", "general")}
    return Pair(
        client_security(mechanism=mechanism, **changes),
        server_security(mechanism=mechanism, **server_changes),
        framing=framing,
    )


class TestEveryMechanism:
    @pytest.mark.parametrize("framing", Framing)
    @pytest.mark.parametrize("mechanism", Mechanism)
    @pytest.mark.parametrize(
        ("ciphered", "dedicated", "general"),
        [
            (False, False, False),
            (True, False, False),
            (True, True, False),
            (True, False, True),
            (True, True, True),
        ],
    )
    @pytest.mark.parametrize("control", [0x10, 0x30])
    def test_carries_a_whole_session(self, framing, mechanism, ciphered, dedicated, general, control):
        pair = pair_of(
            mechanism,
            framing=framing,
            ciphered=ciphered,
            dedicated=dedicated,
            general=general,
            control=control,
        )

        accepted = pair.associate()
        got = pair.exchange(GetRequest(attribute=BLOCK_LOAD, selection=RANGE))
        listed = pair.exchange(GetListRequest(attributes=((BLOCK_LOAD, RANGE), (BLOCK_LOAD, None))))
        written = pair.exchange(SetRequest(attribute=BLOCK_LOAD, data=LONG_VALUE))
        acted = pair.exchange(ActionRequest(method=DISCONNECT, parameters=axdr.integer(0)))
        released = pair.exchange(ReleaseRequest())

        assert isinstance(accepted, AssociationAccepted)
        assert got == GetResult(data=LONG_VALUE, authenticated=ciphered)
        assert isinstance(listed, GetListResult)
        assert [result.data for result in listed.results] == [LONG_VALUE] * 2
        assert written == SetResult(result=0, authenticated=ciphered)
        assert acted == ActionResult(result=0, authenticated=ciphered)
        assert isinstance(released, Released)
        assert pair.client.state is pair.server.state is State.IDLE
        asked = [event for event in pair.asked if not isinstance(event, HlsProven)]
        assert isinstance(asked[0], AssociationRequest)
        assert asked[0].mechanism is mechanism
        assert asked[1:] == [
            GetRequest(attribute=BLOCK_LOAD, selection=RANGE),
            GetListRequest(attributes=((BLOCK_LOAD, RANGE), (BLOCK_LOAD, None))),
            SetRequest(attribute=BLOCK_LOAD, data=LONG_VALUE),
            ActionRequest(method=DISCONNECT, parameters=axdr.integer(0)),
            ReleaseRequest(reason=0),
        ]

    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    def test_opens_only_after_the_client_has_proved_itself(self, mechanism):
        pair = pair_of(mechanism)
        states: list[State] = []
        pair.answer = lambda event: (states.append(pair.server.state), default_answer(event))[1]

        pair.associate()

        assert [type(event) for event in pair.asked] == [AssociationRequest, HlsProven]
        assert states == [State.ASSOCIATING, State.ASSOCIATED]

    def test_learns_the_titles(self):
        pair = pair_of(Mechanism.LLS)

        accepted = pair.associate()

        assert isinstance(accepted, AssociationAccepted)
        assert accepted.title == SERVER_TITLE == pair.client.peer_title
        assert pair.server.peer_title == CLIENT_TITLE

    def test_lets_the_public_client_in_without_anything(self):
        pair = Pair(None, Security(), sap=16)

        assert isinstance(pair.associate(), AssociationAccepted)
        assert pair.exchange(GetRequest(attribute=CLOCK)) == GetResult(data=axdr.octet_string(bytes(12)))
        assert pair.server.client == 16

    def test_associates_again_on_the_same_connection(self):
        pair = pair_of(Mechanism.HLS5)
        pair.associate()
        pair.exchange(ReleaseRequest())
        used = pair.server.security.next_counter
        assert used is not None
        pair.server._security_for = lambda _: server_security(
            mechanism=Mechanism.HLS5, next_counter=used, received_counter=pair.server.received_counter
        )

        assert isinstance(pair.associate(), AssociationAccepted)


class TestCipheredRelease:
    def released(self, pair: Pair, initiate: bytes) -> bytes:
        """What the meter answers to a release request that carries a ciphered initiate request."""
        sealed = pair.client._envelope.seal(initiate, form=Form.GLO)
        release = acse.Release(tag=acse.RLRQ, user_information=sealed).encode()
        return pair.serve(wrapper.encode(release, source=32, destination=1))

    def test_is_answered_in_kind(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.client.send(ReleaseRequest())

        pair.client.receive_data(self.released(pair, InitiateRequest().encode()))

        assert pair.server.received_counter == 2
        assert isinstance(pair.client.next_event(), Released)
        assert pair.client.received_counter == 2

    def test_is_refused_if_it_is_forged(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        sealed = pair.client._envelope.seal(InitiateRequest().encode(), form=Form.GLO)
        release = acse.Release(tag=acse.RLRQ, user_information=sealed[:-1] + b"\x00").encode()
        pair.server.receive_data(wrapper.encode(release, source=32, destination=1))

        with pytest.raises(Forged):
            pair.server.next_event()
        assert pair.server.state is State.ASSOCIATED


class TestRefusals:
    def refused(self, pair: Pair) -> AssociationRefused:
        octets = pair.client.send(AssociationRequest())
        pair.server.receive_data(octets)
        with pytest.raises(PeerNotProven):
            pair.server.next_event()
        pair.client.receive_data(pair.server.data_to_send())
        event = pair.client.next_event()
        assert isinstance(event, AssociationRefused)
        assert pair.client.state is pair.server.state is State.IDLE
        return event

    def test_of_a_wrong_password(self):
        pair = Pair(client_security(secret=b"wrong"), server_security())

        assert self.refused(pair).diagnostic == 13

    def test_of_a_wrong_context(self):
        pair = Pair(client_security(ciphered=False), server_security())

        assert self.refused(pair).diagnostic == 2

    def test_of_a_wrong_mechanism(self):
        pair = Pair(client_security(mechanism=Mechanism.HLS2), server_security())

        assert self.refused(pair).diagnostic == 11

    def test_of_no_mechanism(self):
        pair = Pair(client_security(mechanism=Mechanism.NONE), server_security())

        assert self.refused(pair).diagnostic == 14

    def test_of_an_unknown_client(self):
        pair = Pair(client_security(), None)

        assert self.refused(pair).diagnostic == 1

    def test_by_the_owner(self):
        pair = pair_of(Mechanism.LLS)
        pair.answer = lambda _: AssociationRefused(diagnostic=1)

        assert isinstance(pair.associate(), AssociationRefused)
        assert pair.server.state is State.IDLE

    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    def test_of_a_client_that_cannot_prove_itself(self, mechanism):
        secrets = {"secret": bytes(16)} if mechanism is not Mechanism.HLS5 else {"ak": bytes(16)}
        pair = Pair(
            client_security(mechanism=mechanism, ciphered=False, **secrets),
            server_security(mechanism=mechanism, ciphered=False),
        )
        down = pair.serve(pair.client.send(AssociationRequest()))
        pair.client.receive_data(down)
        assert pair.client.next_event() is NEED_DATA

        pair.server.receive_data(pair.client.data_to_send())
        with pytest.raises(PeerNotProven) as caught:
            pair.server.next_event()

        assert pair.server.refusal(caught.value) == b""
        assert pair.server.state is State.IDLE
        pair.client.receive_data(pair.server.data_to_send())
        event = pair.client.next_event()
        assert isinstance(event, AssociationRefused)
        assert event.diagnostic == 13

    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    def test_of_a_meter_that_cannot_prove_itself(self, mechanism):
        pair = pair_of(mechanism, ciphered=False)
        down = pair.serve(pair.client.send(AssociationRequest()))
        pair.client.receive_data(down)
        assert pair.client.next_event() is NEED_DATA
        answer = bytearray(pair.serve(pair.client.data_to_send()))
        answer[-1] ^= 1

        pair.client.receive_data(bytes(answer))
        with pytest.raises(PeerNotProven):
            pair.client.next_event()

        assert pair.client.state is State.IDLE

    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    def test_of_a_meter_that_sends_our_challenge_back(self, mechanism):
        class Mirror(Randomness):
            def __call__(self, count: int) -> bytes:
                return b"the same octets!"

        client = Association(
            role=Role.CLIENT, client=48, security=client_security(mechanism=mechanism), randomness=Mirror()
        )
        server = Association(
            role=Role.SERVER,
            security_for=lambda _: server_security(mechanism=mechanism),
            randomness=Randomness(),
        )
        server._randomness = Mirror()
        server.receive_data(client.send(AssociationRequest()))
        server.next_event()

        with pytest.raises(LocalProtocolError):
            server.send(AssociationAccepted())

    def test_of_requests_before_the_client_has_proved_itself(self):
        pair = pair_of(Mechanism.HLS5, ciphered=False)
        pair.serve(pair.client.send(AssociationRequest()))
        plain = Pair(None, Security(), sap=32)
        plain.associate()

        pair.server.receive_data(plain.client.send(GetRequest(attribute=CLOCK)))
        with pytest.raises(Unexpected) as caught:
            pair.server.next_event()

        assert caught.value.code == "dlms.unexpected"
        assert pair.server.state is State.CHALLENGED

    @pytest.mark.parametrize(("max_pdu", "value"), [(12, 3)])
    def test_of_pdus_that_are_too_short(self, max_pdu, value):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.client._max_pdu = max_pdu

        failure = self.refused(pair).failure

        assert failure is not None
        assert (failure.service, failure.state, failure.value) == (1, 6, value)


class TestFailures:
    def test_tell_the_client_that_something_went_wrong(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.answer = lambda _: ServiceFailure(kind="exception", state=1, service=2)

        event = pair.exchange(GetRequest(attribute=CLOCK))

        assert isinstance(event, ServiceFailure)
        assert event.text == "service not supported"
        assert not event.is_ciphering_error
        assert pair.client.state is pair.server.state is State.ASSOCIATED

    def test_come_as_confirmed_service_error_too(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.client.send(AssociationRequest())

        pair.client.receive_data(bytes.fromhex("0001000100200004" + "0e060006"))
        event = pair.client.next_event()

        assert isinstance(event, AssociationRefused)
        assert event.failure is not None
        assert event.failure.is_ciphering_error
        assert "6/0/6" in event.failure.text

    def test_are_unexpected_where_nothing_was_asked(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()

        pair.client.receive_data(bytes.fromhex("0001000100200003" + "d80102"))
        with pytest.raises(Unexpected):
            pair.client.next_event()

        assert pair.client.state is State.ASSOCIATED

    def test_end_a_release(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.client.send(ReleaseRequest())

        pair.client.receive_data(bytes.fromhex("0001000100200003" + "d80102"))

        assert isinstance(pair.client.next_event(), ServiceFailure)
        assert pair.client.state is State.IDLE

    def test_are_sent_by_servers_only(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()

        pair.server.receive_data(bytes.fromhex("0001002000010003" + "d80102"))

        with pytest.raises(Unexpected):
            pair.server.next_event()

    def test_of_data_access_come_as_results(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.answer = lambda event: (
            GetResult(error=3) if isinstance(event, GetRequest) else SetResult(result=9)
        )

        assert pair.exchange(GetRequest(attribute=CLOCK)) == GetResult(error=3, authenticated=True)
        assert pair.exchange(SetRequest(attribute=CLOCK, data=axdr.NULL)) == SetResult(
            result=9, authenticated=True
        )

    def test_of_an_action_carry_their_data(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.answer = lambda _: ActionResult(result=250, error=4)

        assert pair.exchange(ActionRequest(method=DISCONNECT)) == ActionResult(
            result=250, error=4, authenticated=True
        )


class TestNotifications:
    @pytest.mark.parametrize("ciphered", [True, False])
    def test_come_between_requests(self, ciphered):
        pair = pair_of(Mechanism.LLS, ciphered=ciphered)
        pair.associate()
        sent: list[Event] = [
            DataNotification(data=axdr.unsigned(5), long_invoke=7, time=bytes(12)),
            EventNotification(attribute=CLOCK, data=axdr.unsigned(6)),
        ]

        for event in sent:
            pair.client.receive_data(pair.server.send(event))  # type: ignore[arg-type]

        assert [pair.client.next_event() for _ in sent] == sent
        assert isinstance(pair.exchange(GetRequest(attribute=CLOCK)), GetResult)

    def test_are_not_taken_by_a_meter(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        pair.server.receive_data(bytes.fromhex("0001002000010008" + "0f00000001001105"))

        with pytest.raises(Unexpected):
            pair.server.next_event()


class TestIllegalSteps:
    def test_are_refused_before_anything_is_sent(self):
        pair = pair_of(Mechanism.LLS)
        counter = pair.client.security.next_counter
        assert isinstance(counter, Counter)

        for event in (GetRequest(attribute=CLOCK), ReleaseRequest()):
            with pytest.raises(LocalProtocolError):
                pair.client.send(event)

        assert counter.last == 0
        assert pair.client.data_to_send() == b""
        assert pair.client.state is State.IDLE

    def test_are_refused_while_an_answer_is_awaited(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.client.send(GetRequest(attribute=CLOCK))

        with pytest.raises(LocalProtocolError):
            pair.client.send(GetRequest(attribute=CLOCK))

    def test_keep_roles_apart(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()

        with pytest.raises(LocalProtocolError):
            pair.client.send(GetResult(data=axdr.NULL))
        with pytest.raises(LocalProtocolError):
            pair.server.send(GetRequest(attribute=CLOCK))
        with pytest.raises(LocalProtocolError):
            pair.server.send(LinkClosed())

    def test_refuse_a_result_of_another_kind(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.server.receive_data(pair.client.send(GetRequest(attribute=CLOCK)))
        pair.server.next_event()

        with pytest.raises(LocalProtocolError):
            pair.server.send(SetResult())

        assert pair.server.send(GetResult(data=axdr.NULL))

    def test_refuse_to_answer_what_was_not_asked(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()

        for event in (GetResult(data=axdr.NULL), AssociationAccepted(), AssociationRefused(), Released()):
            with pytest.raises(LocalProtocolError):
                pair.server.send(event)

    def test_leave_requests_waiting_while_the_owner_owes_an_answer(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.server.receive_data(pair.client.send(GetRequest(attribute=CLOCK)))
        assert isinstance(pair.server.next_event(), GetRequest)

        assert pair.server.next_event() is NEED_DATA
        assert pair.server.state is State.REQUESTED

    def test_are_unexpected_from_the_peer(self):
        pair = pair_of(Mechanism.LLS)
        octets = pair.client.send(AssociationRequest())
        pair.server.receive_data(pair.serve(octets)[:0] + bytes.fromhex("0001002000010005" + "6303800100"))

        with pytest.raises(Unexpected):
            pair.server.next_event()

    def test_refuse_an_association_request_to_a_client_and_a_response_unasked(self):
        pair = pair_of(Mechanism.LLS)
        aarq = pair.client.send(AssociationRequest())
        other = Association(role=Role.CLIENT, client=1, server=32, randomness=Randomness())
        other.receive_data(aarq)
        with pytest.raises(Unexpected):
            other.next_event()
        idle = pair_of(Mechanism.LLS).client
        idle.receive_data(pair.serve(aarq))
        with pytest.raises(Unexpected):
            idle.next_event()

    def test_refuse_a_pdu_size_that_is_not_possible(self):
        with pytest.raises(LocalProtocolError):
            Association(role=Role.CLIENT, randomness=Randomness(), max_pdu=10)


class TestSuites:
    @pytest.mark.parametrize(("suite", "octets"), [(0, 16), (1, 16), (2, 32)])
    @pytest.mark.parametrize("mechanism", Mechanism)
    @pytest.mark.parametrize("dedicated", [False, True])
    def test_carry_a_whole_session(self, suite, octets, mechanism, dedicated):
        keys = {"suite": suite, "ek": bytes(octets), "ak": bytes(range(octets))}
        pair = pair_of(mechanism, dedicated=dedicated, **keys)
        seen: list[int] = []

        assert isinstance(pair.associate(), AssociationAccepted)
        pair.down = lambda sent: (seen.extend(sent[9:13]), sent)[1]
        assert pair.exchange(GetRequest(attribute=BLOCK_LOAD)) == GetResult(
            data=LONG_VALUE, authenticated=True
        )
        assert isinstance(pair.exchange(ReleaseRequest()), Released)
        assert 0x30 | suite in seen

    def test_are_not_mixed(self):
        pair = Pair(client_security(suite=1), server_security())
        pair.server.receive_data(pair.client.send(AssociationRequest()))

        with pytest.raises(Malformed):
            pair.server.next_event()


class TestBlocks:
    @pytest.mark.parametrize("max_pdu", [128, 200, 1024, 65_535])
    @pytest.mark.parametrize("octets", [1, 90, 1_000, 20_000])
    def test_carry_values_of_any_length(self, max_pdu, octets):
        value = axdr.octet_string(bytes(index % 251 for index in range(octets)))
        pair = Pair(client_security(), server_security(), max_pdu=max_pdu)
        pair.associate()
        pair.answer = lambda event: GetResult(data=value) if isinstance(event, GetRequest) else SetResult()
        frames: list[int] = []

        def measured(sent: bytes) -> bytes:
            frames.append(len(sent) - 8)
            return sent

        pair.down = pair.up = measured
        got = pair.exchange(GetRequest(attribute=CLOCK))
        written = pair.exchange(SetRequest(attribute=CLOCK, data=value))

        assert got == GetResult(data=value, authenticated=True)
        assert written == SetResult(authenticated=True)
        assert pair.asked[-1] == SetRequest(attribute=CLOCK, data=value)
        assert max(frames) <= max_pdu

    def test_are_not_sent_to_a_client_that_cannot_take_them(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.server.conformance = 0

        assert pair.exchange(GetRequest(attribute=BLOCK_LOAD)) == GetResult(error=250, authenticated=True)

    def test_in_disorder_are_refused(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        pair.client.receive_data(pair.serve(pair.client.send(GetRequest(attribute=BLOCK_LOAD))))
        assert pair.client.next_event() is NEED_DATA
        pair.client.data_to_send()

        pair.client.receive_data(bytes.fromhex("000100010020000c" + "c402c1000000000300" + "020000"))
        with pytest.raises(Unexpected):
            pair.client.next_event()

    def test_asked_for_in_disorder_end_the_transfer(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        first = pair.serve(pair.client.send(GetRequest(attribute=BLOCK_LOAD)))
        assert pair.server.state is State.REQUESTED

        answer = pair.serve(bytes.fromhex("0001002000010007" + "c002" + first[10:11].hex() + "00000005"))

        assert answer[8:].hex() == "c402" + first[10:11].hex() + "01" + "00000005" + "0113"
        assert pair.server.state is State.ASSOCIATED

    def test_asked_for_without_a_transfer_are_refused(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        pair.server.receive_data(bytes.fromhex("0001002000010007" + "c002c100000001"))

        with pytest.raises(Unexpected):
            pair.server.next_event()
        assert pair.server.state is State.ASSOCIATED

    def test_of_a_set_without_their_first_are_refused(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        pair.server.receive_data(bytes.fromhex("000100200001000b" + "c103c101000000020201" + "02"))

        with pytest.raises(Unexpected):
            pair.server.next_event()

    def test_of_a_set_in_disorder_end_it(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        octets = pair.client.send(SetRequest(attribute=CLOCK, data=LONG_VALUE))
        assert pair.serve(octets)[8:10] == b"\xc5\x02"

        answer = pair.serve(
            bytes.fromhex("000100200001000a" + "c103") + octets[10:11] + bytes.fromhex("010000000901" + "00")
        )

        assert answer[8:].hex() == "c503" + octets[10:11].hex() + "13" + "00000009"
        assert pair.server.state is State.ASSOCIATED

    def test_are_dropped_for_a_new_request(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        pair.serve(pair.client.send(GetRequest(attribute=BLOCK_LOAD)))

        answer = pair.serve(bytes.fromhex("000100200001000d" + "c001c200080000010000ff0200"))

        assert answer[8:12].hex() == "c401c200"
        assert pair.server.state is State.ASSOCIATED

    def test_of_another_request_are_not_taken(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        pair.client.send(GetRequest(attribute=CLOCK))

        pair.client.receive_data(bytes.fromhex("0001000100200005" + "c401cf0000"))
        with pytest.raises(Unexpected):
            pair.client.next_event()
        pair.client.receive_data(bytes.fromhex("0001000100200004" + "c501c100"))
        with pytest.raises(Unexpected):
            pair.client.next_event()

        assert pair.client.state is State.REQUESTED

    def test_with_an_error_end_the_transfer(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        octets = pair.client.send(GetRequest(attribute=CLOCK))

        pair.client.receive_data(
            bytes.fromhex("000100010020000a" + "c402") + octets[10:11] + bytes.fromhex("0100000001" + "010f")
        )

        assert pair.client.next_event() == GetResult(error=15)

    def test_fail_a_whole_list(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        octets = pair.client.send(GetListRequest(attributes=((CLOCK, None), (CLOCK, None))))

        pair.client.receive_data(
            bytes.fromhex("000100010020000a" + "c402") + octets[10:11] + bytes.fromhex("0100000001" + "010f")
        )

        assert pair.client.next_event() == GetListResult(results=(GetResult(error=15),) * 2)

    def test_refuse_a_list_of_another_length(self):
        pair = pair_of(Mechanism.LLS, ciphered=False)
        pair.associate()
        octets = pair.client.send(GetListRequest(attributes=((CLOCK, None), (CLOCK, None))))

        pair.client.receive_data(
            bytes.fromhex("0001000100200006" + "c403") + octets[10:11] + bytes.fromhex("01" + "0000")
        )

        with pytest.raises(Unexpected):
            pair.client.next_event()

    def test_are_not_made_of_requests_that_cannot_be_cut(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()

        with pytest.raises(LocalProtocolError):
            pair.client.send(GetListRequest(attributes=((CLOCK, None),) * 60))
        assert pair.client.state is State.ASSOCIATED

    def test_are_not_made_of_action_results_for_a_client_that_cannot_take_them(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()
        pair.server.conformance = 0
        pair.answer = lambda _: ActionResult(data=LONG_VALUE)

        with pytest.raises(LocalProtocolError):
            pair.exchange(ActionRequest(method=DISCONNECT))


class TestHdlc:
    def test_closes_the_link_on_both_sides(self):
        pair = pair_of(Mechanism.LLS, framing=Framing.HDLC)
        pair.associate()

        pair.server.receive_data(pair.client.close())
        assert isinstance(pair.server.next_event(), LinkClosed)
        pair.client.receive_data(pair.server.data_to_send())

        assert isinstance(pair.client.next_event(), LinkClosed)
        assert pair.client.state is pair.server.state is State.IDLE

    def test_forgets_the_association_when_the_client_connects_anew(self):
        pair = pair_of(Mechanism.LLS, framing=Framing.HDLC, ciphered=False)
        pair.associate()
        again = pair_of(Mechanism.LLS, framing=Framing.HDLC, ciphered=False)

        pair.server.receive_data(again.client.send(AssociationRequest()))

        assert pair.server.next_event() is NEED_DATA
        assert pair.server.state is State.IDLE

    def test_needs_no_closing_on_a_wrapper(self):
        pair = pair_of(Mechanism.LLS)
        pair.associate()

        assert pair.client.close() == b""
        assert pair.client.state is State.IDLE


class TestBrokenStream:
    @pytest.mark.parametrize("role", Role)
    def test_is_told_and_never_answered(self, role):
        association = Association(
            role=role, client=32, security_for=lambda _: Security(), randomness=Randomness()
        )
        association.receive_data(b"GET / HTTP/1.1\r\n\r\n")

        for _ in range(2):
            with pytest.raises(RemoteProtocolError) as caught:
                association.next_event()
        assert association.broken
        assert association.refusal(caught.value) == b""


def test_answers_in_the_form_it_was_asked() -> None:
    pair = pair_of(Mechanism.LLS, general=True)
    pair.associate()
    seen: list[int] = []
    pair.down = lambda octets: (seen.append(octets[8]), octets)[1]

    pair.exchange(GetRequest(attribute=CLOCK))

    assert seen == [0xDB]
    assert pair.server._asked == (Form.GENERAL_GLO, 0x30)
