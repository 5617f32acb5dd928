"""HDLC frames of IEC 62056-46: addresses, control field, check sequences, parameters; and their stream."""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bijlighar.dlms.errors import BadChecksum, LocalProtocolError, Malformed, TooLong, Truncated

FLAG = 0x7E
FRAME_OCTETS_MAX = 2047
FRAME_OCTETS_MIN = 7
INFORMATION_DEFAULT = 128
INFORMATION_MAX = 2030
LLC_TO_SERVER = bytes.fromhex("e6e600")
LLC_TO_CLIENT = bytes.fromhex("e6e700")
PARAMETERS_HEAD = bytes.fromhex("8180")

_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def check_sequence(data: bytes) -> bytes:
    """
    Return the frame check sequence (CRC-16/X.25) as its two octets on the line.

    >>> check_sequence(bytes.fromhex("a00802232193")).hex()
    'bd64'
    """
    # The standard library has the CRC of the same polynomial most significant bit first: mirror each octet.
    crc = binascii.crc_hqx(data.translate(_REVERSED), 0xFFFF) ^ 0xFFFF
    return bytes((_REVERSED[crc >> 8], _REVERSED[crc & 0xFF]))


class FrameKind(Enum):
    """What the control octet says; values are (octet, mask) without the poll bit."""

    I = (0x00, 0x01)  # noqa: E741 - the standard's name
    RR = (0x01, 0x0F)
    RNR = (0x05, 0x0F)
    SNRM = (0x83, 0xEF)
    DISC = (0x43, 0xEF)
    UA = (0x63, 0xEF)
    DM = (0x0F, 0xEF)
    FRMR = (0x87, 0xEF)
    UI = (0x03, 0xEF)


POLL = 0x10


def kind_of(control: int) -> FrameKind:
    """
    Return what a control octet says.

    :raises Malformed: if it is not of HDLC.
    """
    for kind in FrameKind:
        octet, mask = kind.value
        if control & mask == octet:
            return kind
    raise Malformed(f"the HDLC control octet {control:02X}h is unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An HDLC address: upper part (SAP) and, for servers with a physical address, the lower part."""

    upper: int
    lower: int | None = None
    octets: int = 1

    def encode(self) -> bytes:
        """
        Return the address field.

        >>> Address(upper=1, lower=17, octets=2).encode().hex()
        '0223'

        :raises LocalProtocolError: if the address does not fit.
        """
        lower = self.lower or 0
        limit = 0x3FFF if self.octets == 4 else 0x7F
        if not (0 <= self.upper <= limit and 0 <= lower <= limit) or self.octets not in (1, 2, 4):
            raise LocalProtocolError(
                f"HDLC address {self.upper}/{lower} does not fit into {self.octets} octets"
            )
        if self.octets == 1:
            return bytes((self.upper << 1 | 1,))
        if self.octets == 2:
            return bytes((self.upper << 1, lower << 1 | 1))
        return bytes(
            (self.upper >> 7 << 1, (self.upper & 0x7F) << 1, lower >> 7 << 1, (lower & 0x7F) << 1 | 1)
        )


def server_address(server: int, physical: int | None, octets: int | None = None) -> Address:
    """Return the address of a server in `octets` octets, None: in the fewest that hold its parts."""
    if octets is not None:
        return Address(upper=server, lower=physical or (None if octets == 1 else 0), octets=octets)
    if physical is None and server <= 0x7F:
        return Address(upper=server)
    if server <= 0x7F and (physical or 0) <= 0x7F:
        return Address(upper=server, lower=physical, octets=2)
    return Address(upper=server, lower=physical or 0, octets=4)


def _read_address(data: bytes, at: int) -> tuple[Address, int]:
    end = at
    while end < len(data) and not data[end] & 1:
        end += 1
        if end - at > 3:
            raise Malformed("an HDLC address has more than four octets")
    octets = data[at : end + 1]
    if end >= len(data):
        raise Truncated("an HDLC frame ends inside its address")
    if len(octets) == 1:
        return Address(upper=octets[0] >> 1), end + 1
    if len(octets) == 2:
        return Address(upper=octets[0] >> 1, lower=octets[1] >> 1, octets=2), end + 1
    if len(octets) == 4:
        upper = octets[0] >> 1 << 7 | octets[1] >> 1
        return Address(upper=upper, lower=octets[2] >> 1 << 7 | octets[3] >> 1, octets=4), end + 1
    raise Malformed("an HDLC address has three octets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One HDLC frame."""

    destination: Address
    source: Address
    control: int
    information: bytes = b""
    segmented: bool = False

    @property
    def kind(self) -> FrameKind:
        """Return what the control octet says."""
        return kind_of(self.control)

    @property
    def send_number(self) -> int:
        """Return N(S) of an I frame."""
        return self.control >> 1 & 7

    @property
    def receive_number(self) -> int:
        """Return N(R) of an I, RR or RNR frame."""
        return self.control >> 5 & 7

    def encode(self) -> bytes:
        """Return the frame with both flags."""
        addresses = self.destination.encode() + self.source.encode()
        octets = 2 + len(addresses) + 1 + 2 + (len(self.information) + 2 if self.information else 0)
        if octets > FRAME_OCTETS_MAX:
            raise LocalProtocolError(
                f"an HDLC frame of {octets} octets is too long ({FRAME_OCTETS_MAX} at most)"
            )
        head = (0xA000 | (0x0800 if self.segmented else 0) | octets).to_bytes(2, "big")
        head += addresses + bytes((self.control,))
        head += check_sequence(head)
        if self.information:
            head += self.information
            head += check_sequence(head)
        return b"\x7e" + head + b"\x7e"


def decode_frame(body: bytes) -> Frame:
    """
    Return the frame between two flags.

    :raises RemoteProtocolError: if length, addresses or a check sequence do not hold.
    """
    if len(body) < FRAME_OCTETS_MIN:
        raise Truncated(f"an HDLC frame of {len(body)} octets is too short")
    head = int.from_bytes(body[:2], "big")
    if head & 0xF000 != 0xA000:
        raise Malformed(f"the HDLC format field {head:04X}h is not of type 3")
    if head & 0x07FF != len(body):
        raise Truncated(f"an HDLC frame announces {head & 0x07FF} octets and has {len(body)}")
    if check_sequence(body[:-2]) != body[-2:]:
        raise BadChecksum("the check sequence of an HDLC frame does not hold")
    destination, at = _read_address(body, 2)
    source, at = _read_address(body, at)
    if at + 3 > len(body):
        raise Truncated("an HDLC frame ends inside its header")
    information = b""
    if at + 3 < len(body):
        if check_sequence(body[: at + 1]) != body[at + 1 : at + 3]:
            raise BadChecksum("the header check sequence of an HDLC frame does not hold")
        information = body[at + 3 : -2]
    return Frame(
        destination=destination,
        source=source,
        control=body[at],
        information=information,
        segmented=bool(head & 0x0800),
    )


class FrameBuffer:
    """Collects octets of the line and gives whole frames; what stands between frames is dropped."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        self._data += data

    def next_frame(self) -> Frame | None:
        """
        Return the next whole frame, None if there is none yet.

        :raises RemoteProtocolError: if a frame is not good; it is dropped, and the next call goes on after it.
        """
        data = self._data
        while True:
            start = data.find(FLAG)
            if start < 0:
                data.clear()
                return None
            del data[:start]
            while len(data) > 1 and data[1] == FLAG:
                del data[0]
            if len(data) < 3:
                return None
            if data[1] & 0xF0 != 0xA0:
                del data[0]
                continue
            octets = (data[1] << 8 | data[2]) & 0x07FF
            if len(data) < octets + 2:
                return None
            if octets < FRAME_OCTETS_MIN or data[octets + 1] != FLAG:
                del data[0]
                raise Truncated("an HDLC frame does not end where it announces")
            body = bytes(data[1 : octets + 1])
            # The closing flag may open the next frame too.
            del data[: octets + 1]
            return decode_frame(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What SNRM proposes and UA answers: sizes [octets] and windows [frames], as their sender sees them."""

    transmit: int = INFORMATION_DEFAULT
    receive: int = INFORMATION_DEFAULT
    transmit_window: int = 1
    receive_window: int = 1

    def encode(self) -> bytes:
        """Return the information field."""
        body = b"".join(
            (
                _size(0x05, self.transmit),
                _size(0x06, self.receive),
                b"\x07\x04" + self.transmit_window.to_bytes(4, "big"),
                b"\x08\x04" + self.receive_window.to_bytes(4, "big"),
            )
        )
        return PARAMETERS_HEAD + bytes((len(body),)) + body


def _size(tag: int, octets: int) -> bytes:
    return bytes((tag, 1, octets)) if octets <= 0xFF else bytes((tag, 2)) + octets.to_bytes(2, "big")


def decode_parameters(information: bytes) -> Parameters:
    """
    Return the parameters of SNRM or UA; those not given are the standard's.

    :raises RemoteProtocolError: if the field is not good.
    """
    values = dict(_parameters(information))
    for tag in (0x05, 0x06):
        if not 0 < values.get(tag, INFORMATION_DEFAULT) <= FRAME_OCTETS_MAX:
            raise Malformed(f"an HDLC information field of {values[tag]} octets is not possible")
    return Parameters(
        transmit=values.get(0x05, INFORMATION_DEFAULT),
        receive=values.get(0x06, INFORMATION_DEFAULT),
        transmit_window=values.get(0x07, 1),
        receive_window=values.get(0x08, 1),
    )


def _parameters(information: bytes) -> Iterator[tuple[int, int]]:
    """Yield (tag, value) of a parameter field."""
    if not information:
        return
    if not information.startswith(PARAMETERS_HEAD) or len(information) < 3:
        raise Malformed("HDLC parameters are not of format 81h, group 80h")
    if information[2] != len(information) - 3:
        raise Truncated("HDLC parameters end before what they announce")
    at = 3
    while at < len(information):
        if at + 2 > len(information) or at + 2 + information[at + 1] > len(information):
            raise Truncated("an HDLC parameter is cut off")
        count = information[at + 1]
        if count > 4:
            raise TooLong("an HDLC parameter has more than four octets")
        yield information[at], int.from_bytes(information[at + 2 : at + 2 + count], "big")
        at += 2 + count


def strip_llc(data: bytes) -> bytes:
    """
    Return an APDU without its LLC header, which some meters send twice.

    >>> strip_llc(bytes.fromhex("e6e700e6e700c401c100")).hex()
    'c401c100'

    :raises Malformed: if there is none.
    """
    stripped = data
    while stripped.startswith((LLC_TO_SERVER, LLC_TO_CLIENT)) and len(data) - len(stripped) < 6:
        stripped = stripped[3:]
    if stripped is data:
        raise Malformed("an HDLC message has no LLC header")
    return stripped
