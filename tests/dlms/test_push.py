import pytest

from bijlighar.dlms import axdr, push, wrapper
from bijlighar.dlms.errors import (
    Forged,
    Malformed,
    Replayed,
    TooLong,
    Unexpected,
    Unprotected,
    WrongKey,
    WrongTitle,
)
from bijlighar.dlms.event import NEED_DATA, DataNotification, EventNotification
from bijlighar.dlms.push import Pushed, Receiver
from bijlighar.dlms.security import Security
from tests.dlms.talk import CLOCK, SERVER_TITLE, Counter, client_security, server_security

ALERT = DataNotification(data=axdr.structure(axdr.visible_string("BIJ1"), axdr.unsigned(5)), long_invoke=9)


def receiver(**changes: object) -> Receiver:
    known = client_security(peer_title=SERVER_TITLE, **changes)
    return Receiver(security_for=lambda title: known if title == SERVER_TITLE else None)


def received(target: Receiver, octets: bytes) -> Pushed:
    target.receive_data(octets)
    event = target.next_event()
    assert isinstance(event, Pushed)
    return event


class TestReceiver:
    def test_opens_a_sealed_push(self):
        frame = push.encode(ALERT, security=server_security(next_counter=Counter(41)))

        pushed = received(receiver(), frame)

        assert pushed == Pushed(
            source=1,
            destination=64,
            title=SERVER_TITLE,
            notification=ALERT,
            authenticated=True,
            counter=42,
            frame=frame,
        )

    def test_takes_several_pushes_in_pieces(self):
        target = receiver()
        counter = Counter()
        octets = b"".join(
            push.encode(ALERT, security=server_security(next_counter=counter)) for _ in range(3)
        )
        found = 0
        for octet in octets:
            target.receive_data(bytes((octet,)))
            found += target.next_event() is not NEED_DATA

        assert found == 3

    def test_takes_a_plain_push_only_where_told_so(self):
        frame = push.encode(EventNotification(attribute=CLOCK, data=axdr.NULL), security=None)
        target = receiver()
        target.receive_data(frame)

        with pytest.raises(Unprotected):
            target.next_event()

        assert target.last_frame == frame
        pushed = received(Receiver(security_for=lambda _: Security()), frame)
        assert (pushed.title, pushed.counter, pushed.authenticated) == (b"", None, False)

    def test_refuses_a_plain_push_of_a_meter_that_ciphers(self):
        target = Receiver(security_for=lambda _: client_security(peer_title=SERVER_TITLE))
        target.receive_data(push.encode(ALERT, security=None))

        with pytest.raises(Unprotected):
            target.next_event()

    @pytest.mark.parametrize(
        ("sender", "error"),
        [
            ({"own_title": b"SOMEBODY"}, WrongTitle),
            ({"ek": bytes(16)}, WrongKey),
            ({"ak": bytes(16)}, Forged),
            ({"control": 0x20}, Unprotected),
        ],
    )
    def test_refuses_and_goes_on(self, sender, error):
        target = receiver()
        target.receive_data(push.encode(ALERT, security=server_security(**sender)))
        target.receive_data(push.encode(ALERT, security=server_security()))

        with pytest.raises(error):
            target.next_event()

        assert isinstance(target.next_event(), Pushed)

    def test_refuses_a_replay(self):
        frame = push.encode(ALERT, security=server_security())
        first = received(receiver(), frame)
        assert first.counter is not None
        target = receiver(received_counter=first.counter)
        target.receive_data(frame)

        with pytest.raises(Replayed):
            target.next_event()

    def test_takes_unauthenticated_pushes_where_the_policy_does(self):
        frame = push.encode(ALERT, security=server_security(control=0x20, next_counter=lambda: 0))

        pushed = received(receiver(accept_unauthenticated=True), frame)

        assert not pushed.authenticated
        assert pushed.counter == 0

    def test_refuses_what_is_not_a_notification(self):
        target = Receiver(security_for=lambda _: Security())
        target.receive_data(wrapper.encode(bytes.fromhex("c401c10000"), source=1, destination=64))

        with pytest.raises(Unexpected):
            target.next_event()

    def test_refuses_a_stream_that_is_no_wrapper_and_a_bomb(self):
        target = receiver()
        target.receive_data(b"GET / HTTP/1.1")
        with pytest.raises(Malformed):
            target.next_event()
        target = receiver()
        target.receive_data(bytes.fromhex("000100010040ffff"))
        with pytest.raises(TooLong):
            target.next_event()
