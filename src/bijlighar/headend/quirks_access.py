"""What is other in the way into a model of meters and in its event status word, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.is15959_events import STATUS_BITS_COUNT, status_word
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import Mechanism

MECHANISMS: Mapping[str, Mechanism] = {mechanism.name.lower(): mechanism for mechanism in Mechanism}
#: What a password is filled up with, by its name in a file.
FILLINGS: Mapping[str, bytes] = {"nul": b"\0", "space": b" ", "zero": b"0"}


class PasswordForm(StrEnum):
    """How the octets of a password are written in the keys."""

    TEXT = "text"
    HEX = "hex"


class Tagging(StrEnum):
    """What the security control of our messages says: 30h, 20h (no tag, for reading alone) or 10h."""

    BOTH = "both"
    ENCRYPTED = "encrypted"
    AUTHENTICATED = "authenticated"


class TitleFrom(StrEnum):
    """Whence the meter's system title is known: from its keys, from its AARE alone, or from its serial number."""

    KEYS = "keys"
    METER = "meter"
    SERIAL = "serial"


class SerialForm(StrEnum):
    """How a serial number stands in the five last octets of a system title."""

    BINARY = "binary"
    BCD = "bcd"
    ASCII = "ascii"


class CounterFrom(StrEnum):
    """Who tells the counter that a meter has seen last: it the public client, or its refusal of a counter too low."""

    PUBLIC = "public"
    REFUSAL = "refusal"


class FirstBit(StrEnum):
    """Which bit of a word a maker calls the first: the leftmost, the rightmost, the rightmost of the first octet."""

    LEFT = "left"
    RIGHT = "right"
    RIGHT_OF_OCTET = "right-of-octet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientQuirk:
    """
    What is other for one of our clients; None leaves it as it is.

    address: its wPort or HDLC address. password_octets: what its password is filled up to with `filling`.
    challenge_octets: the length of our challenge. counter: where its invocation counter stands.
    """

    address: int | None = None
    mechanism: Mechanism | None = None
    is_ciphered: bool = True
    password: PasswordForm = PasswordForm.TEXT
    password_octets: int | None = None
    filling: bytes = FILLINGS["nul"]
    challenge_octets: int | None = None
    tagging: Tagging = Tagging.BOTH
    counter: Obis | None = None


PLAIN_CLIENT = ClientQuirk()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessQuirk:
    """
    What is other before a meter has told its model; None leaves it as it is.

    server, physical: the meter's addresses where its URL names none; address_octets: those of its HDLC address.
    title_maker: the three letters before the serial number in a title that follows from it.
    """

    server: int | None = None
    physical: int | None = None
    address_octets: int | None = None
    suite: int = 0
    title_from: TitleFrom = TitleFrom.KEYS
    title_maker: str = ""
    title_serial: SerialForm = SerialForm.BINARY
    counter_from: CounterFrom = CounterFrom.PUBLIC
    clients: Mapping[int, ClientQuirk] = field(default_factory=dict)

    def of_client(self, client: int) -> ClientQuirk:
        """Return what is other for a client."""
        return self.clients.get(client, PLAIN_CLIENT)


PLAIN_ACCESS = AccessQuirk()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWordQuirk:
    """How a maker numbers the bits of the event status word, and the standard's number by the maker's own."""

    bits: int = STATUS_BITS_COUNT
    first: FirstBit = FirstBit.LEFT
    numbers: Mapping[int, int] = field(default_factory=dict)

    def standard(self, word: BitString) -> BitString:
        """
        Return a word of the maker's length as the standard has it.

        >>> quirk = StatusWordQuirk(bits=32, first=FirstBit.RIGHT, numbers={3: 81})
        >>> quirk.standard(BitString(bytes.fromhex("00000009"), 32)) == status_word((0, 81))
        True
        """
        numbers = {self._number(place) for place in range(word.bits) if word.is_set(place)}
        known = {self.numbers.get(number, number) for number in numbers}
        return status_word(frozenset(number for number in known if number < STATUS_BITS_COUNT))

    def _number(self, place: int) -> int:
        match self.first:
            case FirstBit.LEFT:
                return place
            case FirstBit.RIGHT:
                return self.bits - 1 - place
            case FirstBit.RIGHT_OF_OCTET:
                return place ^ 7
