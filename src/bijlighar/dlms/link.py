"""The two ways APDUs travel: wrapper and HDLC, behind the same few verbs, for both roles."""

from enum import Enum
from typing import Protocol

from bijlighar.dlms import hdlc, wrapper
from bijlighar.dlms.errors import Malformed, RemoteProtocolError, TooLong, Unexpected
from bijlighar.dlms.hdlc import Frame, FrameKind

APDU_OCTETS_MAX = 65_535
WINDOW_MAX = 7
#: How often frames are written again for a peer that acknowledges none of them.
REPEATS_MAX = 3


class Framing(Enum):
    """How APDUs travel."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"


class Role(Enum):
    """Which side of an association we are."""

    CLIENT = "client"
    SERVER = "server"


class Link(Protocol):
    """Turns APDUs into octets of the line and back."""

    client: int
    server: int
    closed: bool
    broken: bool
    fresh: bool
    outgoing: bytearray

    def send(self, apdu: bytes) -> None:
        """Put the octets of `apdu` into `outgoing`."""

    def receive(self, data: bytes) -> None:
        """Take what came in."""

    def next_apdu(self) -> bytes | None:
        """Return the next whole APDU, None if there is none yet."""

    def disconnect(self) -> None:
        """Put the octets that end the link into `outgoing`."""


class WrapperLink:
    """APDUs in wrappers of IEC 62056-47."""

    __slots__ = ("_buffer", "_is_client", "broken", "client", "closed", "fresh", "outgoing", "server")

    def __init__(self, *, role: Role, client: int, server: int) -> None:
        self._is_client = role is Role.CLIENT
        self._buffer = wrapper.WrapperBuffer(octets_max=APDU_OCTETS_MAX)
        self.client = client
        self.server = server
        self.closed = False
        self.broken = False
        self.fresh = False
        self.outgoing = bytearray()

    def send(self, apdu: bytes) -> None:
        """Put the wrapped APDU into `outgoing`."""
        ends = (self.client, self.server) if self._is_client else (self.server, self.client)
        self.outgoing += wrapper.encode(apdu, source=ends[0], destination=ends[1])

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        self._buffer.receive(data)

    def next_apdu(self) -> bytes | None:
        """
        Return the next APDU for us, None if there is none yet.

        :raises RemoteProtocolError: if the stream is lost, or a frame is for somebody else.
        """
        try:
            found = self._buffer.next_frame()
        except RemoteProtocolError:
            self.broken = True
            raise
        if found is None:
            return None
        header, apdu = found
        if self._is_client:
            if (header.source, header.destination) != (self.server, self.client):
                raise Unexpected(f"a frame from {header.source} to {header.destination} is not for us")
        elif header.destination != self.server:
            raise Unexpected(f"there is no logical device {header.destination} here")
        elif self.client not in (0, header.source):
            raise Unexpected(f"client {self.client} holds this connection, not {header.source}")
        else:
            self.client = header.source
        return apdu

    def disconnect(self) -> None:
        """Do nothing: TCP is closed by the owner."""


class HdlcLink:
    """APDUs in HDLC frames, in windows of up to seven; connects, segments, acknowledges, repeats by itself."""

    __slots__ = (
        "_address_octets",
        "_buffer",
        "_collected",
        "_collected_unnumbered",
        "_connected",
        "_connecting",
        "_information",
        "_is_client",
        "_own",
        "_peer",
        "_physical",
        "_receive_number",
        "_repeats",
        "_segments",
        "_send_number",
        "_transmit_max",
        "_transmit_window",
        "_unacknowledged",
        "_waiting",
        "_window",
        "broken",
        "client",
        "closed",
        "fresh",
        "outgoing",
        "server",
    )

    def __init__(
        self,
        *,
        role: Role,
        client: int,
        server: int,
        physical: int | None,
        information: int,
        address_octets: int | None = None,
        window: int = 1,
    ) -> None:
        self._is_client = role is Role.CLIENT
        self._buffer = hdlc.FrameBuffer()
        self._information = min(information, hdlc.INFORMATION_MAX)
        self._physical = physical
        self._address_octets = address_octets
        self._transmit_max = hdlc.INFORMATION_DEFAULT
        self._window = min(max(window, 1), WINDOW_MAX)
        self._transmit_window = 1
        self._connected = False
        self._connecting = False
        self._waiting = b""
        self.client = client
        self.server = server
        self.closed = False
        self.broken = False
        self.fresh = False
        self.outgoing = bytearray()
        client_address = hdlc.Address(upper=client)
        device_address = hdlc.server_address(server, physical, address_octets)
        self._own, self._peer = (
            (client_address, device_address) if self._is_client else (device_address, client_address)
        )
        self._restart()

    def _restart(self) -> None:
        self._send_number = 0
        self._receive_number = 0
        self._collected = bytearray()
        self._collected_unnumbered = bytearray()
        self._segments: list[bytes] = []
        self._unacknowledged: list[tuple[int, bytes, bool]] = []
        self._repeats = 0

    def _write(self, control: int, information: bytes = b"", *, segmented: bool = False) -> None:
        self.outgoing += Frame(
            destination=self._peer,
            source=self._own,
            control=control,
            information=information,
            segmented=segmented,
        ).encode()

    def send(self, apdu: bytes) -> None:
        """Put the first frame of `apdu` into `outgoing` (SNRM if there is no link yet; `apdu` then follows UA)."""
        if not self._connected:
            self._waiting = apdu
            if not self._connecting:
                self._connecting = True
                proposal = self._parameters(self._information)
                plain = proposal == hdlc.Parameters()
                self._write(0x93, b"" if plain else proposal.encode())
            return
        data = (hdlc.LLC_TO_SERVER if self._is_client else hdlc.LLC_TO_CLIENT) + apdu
        size = self._transmit_max
        self._segments = [data[at : at + size] for at in range(0, len(data), size)]
        self._unacknowledged = []
        self._write_segments()

    def _parameters(self, transmit: int) -> hdlc.Parameters:
        return hdlc.Parameters(
            transmit=transmit,
            receive=self._information,
            transmit_window=self._window,
            receive_window=self._window,
        )

    def _write_segments(self) -> None:
        """Write all frames that wait for their acknowledgement, and new ones up to the window."""
        while self._segments and len(self._unacknowledged) < self._transmit_window:
            segment = self._segments.pop(0)
            self._unacknowledged.append((self._send_number, segment, bool(self._segments)))
            self._send_number = (self._send_number + 1) & 7
        last = len(self._unacknowledged) - 1
        for index, (number, segment, segmented) in enumerate(self._unacknowledged):
            poll = hdlc.POLL if index == last else 0
            self._write(self._receive_number << 5 | poll | number << 1, segment, segmented=segmented)

    def _take_acknowledgement(self, frame: Frame) -> None:
        """Take RR: drop what has arrived; write the next window, or again what has not."""
        waiting = self._unacknowledged
        if not waiting:
            return
        arrived = (frame.receive_number - waiting[0][0]) & 7
        if arrived > len(waiting):
            return
        self._repeats = 0 if arrived else self._repeats + 1
        if self._repeats > REPEATS_MAX:
            return
        self._unacknowledged = waiting[arrived:]
        self._write_segments()

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        self._buffer.receive(data)

    def next_apdu(self) -> bytes | None:
        """
        Return the next whole APDU, None if there is none yet.

        :raises RemoteProtocolError: if a frame is not good (it is dropped) or the peer refuses the link.
        """
        while True:
            frame = self._buffer.next_frame()
            if frame is None:
                return None
            if not self._is_for_us(frame):
                continue
            apdu = self._take(frame)
            if apdu is not None:
                return apdu
            if self.closed:
                return None

    def _is_for_us(self, frame: Frame) -> bool:
        if self._is_client:
            return (frame.destination.upper, frame.source.upper) == (self.client, self.server)
        if frame.destination.upper != self.server:
            return False
        if self._address_octets not in (None, frame.destination.octets):
            return False
        if self._physical is not None and frame.destination.lower not in (None, self._physical):
            return False
        return frame.kind is FrameKind.SNRM or frame.source.upper == self.client

    def _take(self, frame: Frame) -> bytes | None:
        kind = frame.kind
        if kind is FrameKind.I:
            return self._take_information(frame)
        if kind is FrameKind.UI:
            return self._take_unnumbered(frame)
        if kind is FrameKind.SNRM and not self._is_client:
            self._accept(frame)
        elif kind is FrameKind.UA and self._is_client:
            self._take_answer(frame)
        elif kind is FrameKind.DISC and not self._is_client:
            self._write(0x73 if self._connected else 0x1F)
            self._connected = False
            self.closed = True
        elif kind is FrameKind.DM:
            self._connected = self._connecting = False
            self.closed = True
            raise Unexpected("the peer is not connected (DM); connect again")
        elif kind is FrameKind.RR:
            self._take_acknowledgement(frame)
        elif kind is FrameKind.FRMR:
            raise Malformed("the peer rejects our frame (FRMR)")
        return None

    def _accept(self, frame: Frame) -> None:
        """Answer SNRM: the link is new, with the smaller of both sizes."""
        asked = hdlc.decode_parameters(frame.information)
        self.client = frame.source.upper
        self._peer, self._own = frame.source, frame.destination
        self._restart()
        self._transmit_max = min(self._information, asked.receive)
        self._transmit_window = max(min(self._window, asked.receive_window), 1)
        agreed = self._parameters(self._transmit_max)
        self._connected, self.closed, self.fresh = True, False, True
        self._write(0x73, agreed.encode())

    def _take_answer(self, frame: Frame) -> None:
        """Take UA: of SNRM (the link is up, what waits goes out) or of DISC."""
        if not self._connecting:
            self._connected = False
            self.closed = True
            return
        agreed = hdlc.decode_parameters(frame.information)
        self._restart()
        self._transmit_max = min(self._information, agreed.receive)
        self._transmit_window = max(min(self._window, agreed.receive_window), 1)
        self._connected, self._connecting, self.closed = True, False, False
        if self._waiting:
            waiting, self._waiting = self._waiting, b""
            self.send(waiting)

    def _take_information(self, frame: Frame) -> bytes | None:
        if not self._connected:
            self._write(0x1F)
            return None
        polled = bool(frame.control & hdlc.POLL)
        if frame.send_number != self._receive_number:
            # A frame that came twice, or after one that was lost: tell again what we have.
            if polled:
                self._write(self._receive_number << 5 | hdlc.POLL | 0x01)
            return None
        self._collect(self._collected, frame)
        self._receive_number = (self._receive_number + 1) & 7
        if frame.segmented:
            if polled:
                self._write(self._receive_number << 5 | hdlc.POLL | 0x01)
            return None
        # An answer says that all we sent has arrived.
        self._unacknowledged = []
        whole = bytes(self._collected)
        self._collected.clear()
        return hdlc.strip_llc(whole)

    def _take_unnumbered(self, frame: Frame) -> bytes | None:
        """Take UI, which carries pushes; it has no number, so its segments are taken as they come."""
        self._collect(self._collected_unnumbered, frame)
        if frame.segmented:
            return None
        whole = bytes(self._collected_unnumbered)
        self._collected_unnumbered.clear()
        return hdlc.strip_llc(whole)

    @staticmethod
    def _collect(collected: bytearray, frame: Frame) -> None:
        if len(collected) + len(frame.information) > APDU_OCTETS_MAX:
            collected.clear()
            raise TooLong(f"segments of more than {APDU_OCTETS_MAX} octets are refused")
        collected += frame.information

    def disconnect(self) -> None:
        """Put DISC into `outgoing`."""
        if self._connected:
            self._write(0x53)
            self._connected = False
