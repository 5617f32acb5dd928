"""What makes want otherwise: the size of an HDLC address, the length of a challenge, answers without a tag."""

import pytest

from bijlighar.dlms.errors import LocalProtocolError, PeerNotProven, Unprotected
from bijlighar.dlms.event import (
    NEED_DATA,
    ActionRequest,
    AssociationAccepted,
    AssociationRefused,
    AssociationRequest,
    GetRequest,
    GetResult,
)
from bijlighar.dlms.hdlc import Address, server_address
from bijlighar.dlms.security import Security
from bijlighar.dlms.session import Association, Framing, Role
from tests.dlms.talk import CLOCK, DISCONNECT, HIGH_LEVEL, Pair, Randomness, client_security, server_security


def caller(**address: int | None) -> Association:
    return Association(role=Role.CLIENT, framing=Framing.HDLC, randomness=Randomness(), **address)  # type: ignore[arg-type]


def called(**address: int | None) -> Association:
    return Association(
        role=Role.SERVER,
        framing=Framing.HDLC,
        randomness=Randomness(),
        security_for=lambda _: Security(),
        **address,  # type: ignore[arg-type]
    )


class TestHdlcAddress:
    @pytest.mark.parametrize(
        ("server", "physical", "octets", "encoded"),
        [
            (1, None, 1, "03"),
            (1, None, 2, "0201"),
            (1, 17, 2, "0223"),
            (1, 17, 4, "00020023"),
            (1, None, 4, "00020001"),
            (1, 17, None, "0223"),
            (1, 300, None, "00020459"),
        ],
    )
    def test_has_the_octets_that_are_wanted(
        self, server: int, physical: int | None, octets: int | None, encoded: str
    ):
        assert server_address(server, physical, octets).encode().hex() == encoded

    def test_that_does_not_fit_is_refused(self):
        with pytest.raises(LocalProtocolError, match="does not fit into 2 octets"):
            server_address(1, 300, 2).encode()

    @pytest.mark.parametrize("wanted", [1, 2, 4])
    @pytest.mark.parametrize("sent", [1, 2, 4])
    def test_of_another_size_is_not_heard_by_a_meter_that_wants_one(self, wanted: int, sent: int):
        physical = None if sent == 1 else 17
        meter = called(address_octets=wanted, physical=None if wanted == 1 else 17)
        meter.receive_data(caller(address_octets=sent, physical=physical).send(AssociationRequest()))

        assert meter.next_event() is NEED_DATA
        assert bool(meter.data_to_send()) == (wanted == sent)

    @pytest.mark.parametrize("sent", [2, 4])
    def test_of_any_size_is_heard_by_a_meter_that_wants_none(self, sent: int):
        meter = called()
        meter.receive_data(caller(address_octets=sent, physical=17).send(AssociationRequest()))

        assert meter.next_event() is NEED_DATA
        assert meter.data_to_send()

    def test_keeps_its_parts(self):
        assert server_address(1, 17, 4) == Address(upper=1, lower=17, octets=4)


class TestChallenge:
    @pytest.mark.parametrize("mechanism", HIGH_LEVEL)
    @pytest.mark.parametrize("octets", [8, 16, 64])
    def test_of_the_length_that_is_wanted_is_taken(self, mechanism, octets: int):
        way = {"mechanism": mechanism, "challenge_octets": octets}
        assert isinstance(
            Pair(client_security(**way), server_security(**way)).associate(), AssociationAccepted
        )

    def test_of_another_length_is_refused(self):
        way = {"mechanism": HIGH_LEVEL[-1]}
        pair = Pair(client_security(**way), server_security(**way, challenge_octets=8))
        pair.server.receive_data(pair.client.send(AssociationRequest()))
        with pytest.raises(PeerNotProven, match="a challenge has 8 octets here, not 16"):
            pair.server.next_event()

        pair.client.receive_data(pair.server.data_to_send())
        assert isinstance(pair.client.next_event(), AssociationRefused)

    @pytest.mark.parametrize("octets", [7, 65])
    def test_that_no_standard_allows_is_refused(self, octets: int):
        with pytest.raises(LocalProtocolError, match="8 to 64"):
            client_security(challenge_octets=octets)


class TestAnswerControl:
    def pair(self, **changes: object) -> Pair:
        return Pair(client_security(**changes), server_security(answer_control=0x20))

    def test_without_a_tag_is_taken_for_reading_where_the_policy_does(self):
        pair = self.pair(accept_unauthenticated=True)
        pair.associate()

        result = pair.exchange(GetRequest(attribute=CLOCK))

        assert isinstance(result, GetResult)
        assert not result.authenticated

    def test_without_a_tag_is_refused_where_it_does_not(self):
        with pytest.raises(Unprotected):
            self.pair().associate()

    def test_without_a_tag_is_never_taken_for_control(self):
        pair = self.pair(accept_unauthenticated=True)
        pair.associate()

        with pytest.raises(Unprotected, match="never accepted"):
            pair.exchange(ActionRequest(method=DISCONNECT))
