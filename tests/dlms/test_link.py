import pytest

from bijlighar.dlms import hdlc, wrapper
from bijlighar.dlms.errors import Malformed, TooLong, Unexpected
from bijlighar.dlms.hdlc import Address, Frame
from bijlighar.dlms.link import HdlcLink, Role, WrapperLink


def hdlc_pair(
    information: int = 128, *, physical: int | None = None, window: int = 1
) -> tuple[HdlcLink, HdlcLink]:
    client, server = (
        HdlcLink(role=role, client=sap, server=1, physical=physical, information=information, window=window)
        for role, sap in ((Role.CLIENT, 32), (Role.SERVER, 0))
    )
    return client, server


def frames_of(octets: bytes) -> list[Frame]:
    buffer = hdlc.FrameBuffer()
    buffer.receive(octets)
    frames = []
    while (frame := buffer.next_frame()) is not None:
        frames.append(frame)
    return frames


def connected(*, window: int, information: int = 20) -> tuple[HdlcLink, HdlcLink]:
    client, server = hdlc_pair(information, window=window)
    client.send(b"\xc0")
    assert carry(client, server) == b"\xc0"
    return client, server


def carry(source: HdlcLink, target: HdlcLink) -> bytes | None:
    """Carry frames to and fro until `target` has an APDU."""
    for _ in range(200):
        target.receive(bytes(source.outgoing))
        source.outgoing.clear()
        apdu = target.next_apdu()
        if apdu is not None:
            return apdu
        source.receive(bytes(target.outgoing))
        target.outgoing.clear()
        assert source.next_apdu() is None
    return None


class TestHdlcLink:
    @pytest.mark.parametrize("physical", [None, 17, 1000])
    def test_connects_and_carries_an_apdu(self, physical):
        client, server = hdlc_pair(physical=physical)

        client.send(b"\xc0hello")

        assert carry(client, server) == b"\xc0hello"
        assert server.client == 32
        assert server.fresh

    @pytest.mark.parametrize("information", [20, 128, 1000])
    def test_cuts_long_apdus_and_puts_them_together(self, information):
        client, server = hdlc_pair(information)
        up, down = bytes(range(256)) * 5, bytes(reversed(range(256))) * 9

        client.send(up)
        assert carry(client, server) == up
        server.send(down)
        assert carry(server, client) == down
        client.send(up)
        assert carry(client, server) == up

    def test_sends_no_more_than_the_peer_takes(self):
        client = HdlcLink(role=Role.CLIENT, client=32, server=1, physical=None, information=300)
        server = HdlcLink(role=Role.SERVER, client=0, server=1, physical=None, information=62)

        client.send(bytes(500))

        assert carry(client, server) == bytes(500)

    def test_acknowledges_a_frame_again_that_came_twice(self):
        client, server = hdlc_pair()
        client.send(b"\xc0")
        server.receive(bytes(client.outgoing))
        assert server.next_apdu() is None
        client.outgoing.clear()
        client.receive(bytes(server.outgoing))
        server.outgoing.clear()
        assert client.next_apdu() is None
        frame = bytes(client.outgoing)

        server.receive(frame)
        assert server.next_apdu() == b"\xc0"
        server.receive(frame)
        assert server.next_apdu() is None

        again = hdlc.decode_frame(bytes(server.outgoing)[1:-1])
        assert again.kind is hdlc.FrameKind.RR
        assert again.receive_number == 1

    def test_disconnects(self):
        client, server = hdlc_pair()
        client.send(b"\xc0")
        carry(client, server)

        client.disconnect()
        server.receive(bytes(client.outgoing))
        assert server.next_apdu() is None
        client.receive(bytes(server.outgoing))
        assert client.next_apdu() is None

        assert server.closed
        assert client.closed

    def test_tells_that_the_peer_is_not_connected(self):
        client, server = hdlc_pair()
        client.send(b"\xc0")
        carry(client, server)
        client.outgoing.clear()
        _, restarted = hdlc_pair()
        restarted.client = 32

        client.send(b"\xc0")
        restarted.receive(bytes(client.outgoing))
        assert restarted.next_apdu() is None
        answer = hdlc.decode_frame(bytes(restarted.outgoing)[1:-1])
        assert answer.kind is hdlc.FrameKind.DM
        client.receive(Frame(destination=Address(upper=32), source=Address(upper=1), control=0x1F).encode())

        with pytest.raises(Unexpected):
            client.next_apdu()
        assert client.closed

    def test_tells_that_the_peer_rejects_a_frame(self):
        client, _ = hdlc_pair()
        client.receive(Frame(destination=Address(upper=32), source=Address(upper=1), control=0x97).encode())

        with pytest.raises(Malformed):
            client.next_apdu()

    def test_passes_over_frames_for_others(self):
        _, server = hdlc_pair(physical=17)
        for destination in (Address(upper=2), Address(upper=1, lower=18, octets=2)):
            server.receive(Frame(destination=destination, source=Address(upper=32), control=0x93).encode())

        assert server.next_apdu() is None
        assert not server.outgoing

    def test_refuses_segments_without_end(self):
        client, server = hdlc_pair(2000)
        client.send(b"\xc0")
        carry(client, server)

        def send_segments() -> None:
            for number in range(1, 100):
                server.receive(
                    Frame(
                        destination=Address(upper=1),
                        source=Address(upper=32),
                        control=0x10 | (number & 7) << 1,
                        information=bytes(2000),
                        segmented=True,
                    ).encode()
                )
                assert server.next_apdu() is None

        with pytest.raises(TooLong):
            send_segments()


class TestWindows:
    @pytest.mark.parametrize("window", [1, 2, 3, 7, 20])
    def test_carry_apdus_of_any_length_both_ways(self, window):
        client, server = connected(window=window)
        for octets in (1, 16, 17, 18, 100, 141, 1000):
            value = bytes(index % 251 for index in range(octets))

            server.send(value)
            assert carry(server, client) == value
            client.send(value)
            assert carry(client, server) == value

    def test_are_filled_and_ask_for_an_answer_once(self):
        _, server = connected(window=3)

        server.send(bytes(200))

        frames = frames_of(bytes(server.outgoing))
        assert [bool(frame.control & hdlc.POLL) for frame in frames] == [False, False, True]
        assert all(frame.segmented for frame in frames)

    def test_are_the_smaller_of_both_sides(self):
        client, _ = hdlc_pair(20, window=7)
        _, server = hdlc_pair(20, window=2)
        client.send(b"\xc0")
        carry(client, server)

        server.send(bytes(200))

        assert len(frames_of(bytes(server.outgoing))) == 2

    @pytest.mark.parametrize("lost", [0, 1, 2])
    def test_are_written_again_from_the_frame_that_was_lost(self, lost):
        client, server = connected(window=3)
        value = bytes(range(150))
        server.send(value)
        frames = frames_of(bytes(server.outgoing))
        server.outgoing.clear()
        for index, frame in enumerate(frames):
            if index != lost:
                client.receive(frame.encode())
        if lost == 2:
            # The one that polls was lost: the owner asks again after a while, here by the same frames.
            client.receive(frames[2].encode())
        assert client.next_apdu() is None
        server.receive(bytes(client.outgoing))
        client.outgoing.clear()
        assert server.next_apdu() is None

        assert carry(server, client) == value

    def test_are_not_written_for_ever(self):
        _, server = connected(window=1)
        server.send(bytes(100))
        sent = frames_of(bytes(server.outgoing))[0]
        stubborn = Frame(
            destination=Address(upper=1),
            source=Address(upper=32),
            control=sent.send_number << 5 | hdlc.POLL | 0x01,
        ).encode()

        written = 0
        for _ in range(20):
            server.outgoing.clear()
            server.receive(stubborn)
            server.next_apdu()
            written += len(frames_of(bytes(server.outgoing)))

        assert written == 3

    def test_that_the_peer_says_are_none_are_of_one(self):
        server = HdlcLink(role=Role.SERVER, client=0, server=1, physical=None, information=128, window=7)
        parameters = hdlc.Parameters(transmit_window=0, receive_window=0).encode()
        server.receive(
            Frame(
                destination=Address(upper=1), source=Address(upper=32), control=0x93, information=parameters
            ).encode()
        )
        server.next_apdu()
        server.outgoing.clear()

        server.send(bytes(500))

        assert len(frames_of(bytes(server.outgoing))) == 1


class TestUnnumbered:
    def test_frames_are_put_together(self):
        client = HdlcLink(role=Role.CLIENT, client=32, server=1, physical=None, information=128)
        parts = (b"\xe6\xe7\x00\x0f\x00", b"\x01\x02", b"\x03")
        for index, part in enumerate(parts):
            client.receive(
                Frame(
                    destination=Address(upper=32),
                    source=Address(upper=1),
                    control=0x13 if index == 2 else 0x03,
                    information=part,
                    segmented=index < 2,
                ).encode()
            )

        assert client.next_apdu() == b"\x0f\x00\x01\x02\x03"
        assert client.next_apdu() is None


class TestWrapperLink:
    def test_learns_the_client_and_holds_to_it(self):
        server = WrapperLink(role=Role.SERVER, client=0, server=1)
        server.receive(wrapper.encode(b"\xc0", source=48, destination=1))

        assert server.next_apdu() == b"\xc0"
        assert server.client == 48
        server.receive(wrapper.encode(b"\xc0", source=32, destination=1))
        with pytest.raises(Unexpected):
            server.next_apdu()

    def test_refuses_another_logical_device(self):
        server = WrapperLink(role=Role.SERVER, client=0, server=1)
        server.receive(wrapper.encode(b"\xc0", source=48, destination=2))

        with pytest.raises(Unexpected):
            server.next_apdu()

    def test_refuses_what_is_for_another_client(self):
        client = WrapperLink(role=Role.CLIENT, client=32, server=1)
        client.receive(wrapper.encode(b"\xc4", source=1, destination=48))

        with pytest.raises(Unexpected):
            client.next_apdu()

    def test_is_broken_by_another_version(self):
        client = WrapperLink(role=Role.CLIENT, client=32, server=1)
        client.receive(bytes.fromhex("0002000100200000"))

        with pytest.raises(Malformed):
            client.next_apdu()
        assert client.broken

    def test_waits_for_the_whole_frame(self):
        client = WrapperLink(role=Role.CLIENT, client=32, server=1)
        for octet in wrapper.encode(b"\xc4\x01", source=1, destination=32):
            assert client.next_apdu() is None
            client.receive(bytes((octet,)))

        assert client.next_apdu() == b"\xc4\x01"
