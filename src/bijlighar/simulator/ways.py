"""
Firmware that is called otherwise: how meters with the fault `other_access` let others in, by the meter's place.

Each deviates in one thing from what IS 15959 and their keys file say, as makes of meters do. A head-end reads them
with a quirk file and not without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bijlighar.dlms import is15959
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.is15959_events import STATUS_BITS_COUNT
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import KEY_OCTETS, Control, Mechanism
from bijlighar.simulator.model import Device

#: The maker in the titles of those whose title follows from the serial number.
MAKER = b"BJX"
READER, SETTING = is15959.METER_READER, is15959.UTILITY
_COUNTERS = bytes((0, 0, 43, 1))
#: The bits of a word of 32 that is numbered in a maker's own way: the standard's bit by the maker's.
_MAKERS_BITS = {0: 0, 1: 2, 8: 81, 9: 82, 10: 83, 11: 84, 20: 85, 21: 86}
_MAKERS_WORD_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """
    How a meter is called.

    addresses: the wPort or HDLC address of a client, where it is not the client's number. is_hex, filled_to: how the
    reader's password is made of what the keys file says. counter_shift: how much further its counters stand in the
    fifth number of their OBIS codes; None: it shows none. word_map: the standard's bit by the maker's, counted from
    the rightmost of the first octet; is_reversed: bit 0 stands rightmost.
    """

    name: str = ""
    addresses: Mapping[int, int] = field(default_factory=dict)
    server: int = 1
    physical: int | None = None
    address_octets: int | None = None
    mechanism: Mechanism = Mechanism.LLS
    ciphers_reading: bool = True
    is_hex: bool = False
    filled_to: int = 0
    filling: bytes = b"\0"
    challenge_octets: int | None = None
    suite: int = 0
    answers_reading: int | None = None
    title_of_serial: bool = False
    counter_shift: int | None = 0
    is_reversed: bool = False
    word_map: Mapping[int, int] = field(default_factory=dict)

    def client(self, address: int) -> int | None:
        """Return the client of an address, None if there is none."""
        by_address = {self.addresses.get(client, client): client for client in is15959.ASSOCIATIONS}
        return by_address.get(address)

    def password(self, secret: bytes) -> bytes:
        """Return the reader's password by what the keys file says."""
        octets = bytes.fromhex(secret.decode()) if self.is_hex else secret
        return octets.ljust(self.filled_to, self.filling)

    def keys(self, ek: bytes, ak: bytes) -> tuple[bytes, bytes]:
        """Return EK and AK; those of suite 2 are twice as long: both in a row, and the other way round."""
        return (ek + ak, ak + ek) if self.suite == 2 and len(ek) == KEY_OCTETS else (ek, ak)

    def title(self, device: Device) -> bytes:
        """Return the meter's system title."""
        if not self.title_of_serial:
            return device.system_title
        digits = "".join(letter for letter in device.serial if letter.isdecimal())
        return MAKER + int(digits).to_bytes(5, "big")

    def standard_counter(self, obis: Obis) -> Obis | None:
        """Return where the standard has what is asked for, None if the meter shows no such counter."""
        octets = obis.octets
        if octets[:4] != _COUNTERS or self.counter_shift == 0:
            return obis
        if self.counter_shift is None or octets[4] < self.counter_shift:
            return None
        return Obis.from_octets(octets[:4] + bytes((octets[4] - self.counter_shift,)) + octets[5:])

    def status_word(self, octets: bytes) -> BitString:
        """Return the event status word as this meter numbers its bits."""
        word = BitString(octets=octets, bits=STATUS_BITS_COUNT)
        if self.is_reversed:
            number = int(f"{int.from_bytes(octets, 'big'):0{STATUS_BITS_COUNT}b}"[::-1], 2)
            return BitString(octets=number.to_bytes(STATUS_BITS_COUNT // 8, "big"), bits=STATUS_BITS_COUNT)
        if not self.word_map:
            return word
        own = bytearray(_MAKERS_WORD_BITS // 8)
        for bit, standard in self.word_map.items():
            if word.is_set(standard):
                own[bit >> 3] |= 1 << (bit & 7)
        return BitString(octets=bytes(own), bits=_MAKERS_WORD_BITS)


STANDARD = Way()

#: The ways, in the order in which meters have them.
WAYS = (
    Way(name="hls2", mechanism=Mechanism.HLS2, filled_to=KEY_OCTETS),
    Way(name="hls3", mechanism=Mechanism.HLS3, challenge_octets=8),
    Way(name="hls4", mechanism=Mechanism.HLS4, challenge_octets=64),
    Way(name="hls5", mechanism=Mechanism.HLS5),
    Way(name="no-password", mechanism=Mechanism.NONE),
    Way(name="plain", ciphers_reading=False),
    Way(name="hex-password", is_hex=True),
    Way(name="filled-password", filled_to=16, filling=b" "),
    Way(name="suite-1", suite=1),
    Way(name="suite-2", suite=2),
    Way(name="encrypted-only", answers_reading=Control.ENCRYPTED),
    Way(name="title-of-serial", title_of_serial=True),
    Way(name="client-addresses", addresses={16: 17, READER: 33, SETTING: 49}),
    Way(name="server-address", server=5),
    Way(name="own-counters", counter_shift=8),
    Way(name="untold-counters", counter_shift=None),
    Way(name="reversed-word", is_reversed=True),
    Way(name="short-word", word_map=_MAKERS_BITS),
    Way(name="hdlc-four", physical=17, address_octets=4),
    Way(name="hdlc-two", physical=18, address_octets=2),
)


def way_of(device: int) -> Way:
    """
    Return how the meter with a number is called if it has the fault.

    >>> way_of(0).name, way_of(len(WAYS) + 1).name
    ('hls2', 'hls3')
    """
    return WAYS[device % len(WAYS)]
