"""The parts of a quirk file that tell the way into a meter, and how it numbers the bits of its status word."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from bijlighar.dlms.is15959_events import STATUS_BITS_COUNT
from bijlighar.dlms.security import CHALLENGE_OCTETS_MAX, CHALLENGE_OCTETS_MIN, KEY_OCTETS_OF_SUITE, Mechanism
from bijlighar.headend.quirks_access import (
    FILLINGS,
    MECHANISMS,
    AccessQuirk,
    ClientQuirk,
    CounterFrom,
    FirstBit,
    PasswordForm,
    SerialForm,
    StatusWordQuirk,
    Tagging,
    TitleFrom,
)
from bijlighar.headend.quirks_part import Part

#: What a maker's title begins with: the three letters of the FLAG association.
MAKER_LETTERS = 3
SERVER_LIMIT = 16_383
#: Of HDLC addresses of one or two octets, and of every client's.
SHORT_LIMIT = 127
WPORT_LIMIT = 65_535
PASSWORD_LIMIT = 64
STATUS_BITS_LIMIT = 512
PUBLIC, READING, SETTING = "16", "32", "48"

Choice = TypeVar("Choice", bound=StrEnum)


def read_access(contact: Part, clients: Part) -> AccessQuirk:
    """
    Return what [contact] and [clients] say of the way into a meter.

    :raises BrokenQuirk: if a value cannot be meant.
    """
    access = AccessQuirk(
        server=contact.whole("server", low=0, high=SERVER_LIMIT),
        physical=contact.whole("physical", low=0, high=SERVER_LIMIT),
        address_octets=contact.choice("address_octets", (1, 2, 4)),
        suite=contact.choice("suite", tuple(KEY_OCTETS_OF_SUITE)) or 0,
        title_from=_choice(contact, "title_from", TitleFrom) or TitleFrom.KEYS,
        title_maker=contact.text("title_maker") or "",
        title_serial=_choice(contact, "title_serial", SerialForm) or SerialForm.BINARY,
        counter_from=_choice(contact, "counter_from", CounterFrom) or CounterFrom.PUBLIC,
        clients=_clients(clients),
    )
    _check_addresses(contact, access)
    maker = access.title_maker
    if access.title_from is TitleFrom.SERIAL:
        if len(maker) != MAKER_LETTERS or not maker.isascii() or not maker.isalnum():
            raise contact.wrong(
                f'title_from = "serial" needs title_maker: {MAKER_LETTERS} letters, not {maker!r}'
            )
    elif maker or "title_serial" in contact.keys:
        raise contact.wrong('title_maker and title_serial are for title_from = "serial"')
    return access


def _check_addresses(contact: Part, access: AccessQuirk) -> None:
    octets = access.address_octets
    if octets == 1 and access.physical is not None:
        raise contact.wrong("address_octets = 1 has no room for physical; give 2 or 4")
    if octets in (1, 2) and max(access.server or 0, access.physical or 0) > SHORT_LIMIT:
        raise contact.wrong(
            f"address_octets = {octets} has room for server and physical up to {SHORT_LIMIT}; give 4"
        )


def _clients(part: Part) -> Mapping[int, ClientQuirk]:
    found: dict[int, ClientQuirk] = {}
    for name in part.keys:
        if name not in (PUBLIC, READING, SETTING):
            raise part.wrong(f"there is no client {name!r} (known: 16 public, 32 reading, 48 setting)")
        one = part.part(name)
        found[int(name)] = _public(one) if name == PUBLIC else _client(one)
        one.finish()
        if name == SETTING:
            _check_setting(one, found[int(name)])
    return found


def _public(part: Part) -> ClientQuirk:
    return ClientQuirk(address=part.whole("address", low=1, high=WPORT_LIMIT))


def _client(part: Part) -> ClientQuirk:
    mechanism = part.choice("mechanism", tuple(MECHANISMS))
    quirk = ClientQuirk(
        address=part.whole("address", low=1, high=WPORT_LIMIT),
        mechanism=None if mechanism is None else MECHANISMS[mechanism],
        is_ciphered=part.flag("ciphered", default=True),
        password=_choice(part, "password", PasswordForm) or PasswordForm.TEXT,
        password_octets=part.whole("password_octets", low=1, high=PASSWORD_LIMIT),
        filling=FILLINGS[part.choice("password_filling", tuple(FILLINGS)) or "nul"],
        challenge_octets=part.whole("challenge_octets", low=CHALLENGE_OCTETS_MIN, high=CHALLENGE_OCTETS_MAX),
        tagging=_choice(part, "protection", Tagging) or Tagging.BOTH,
        counter=part.obis("counter"),
    )
    if "password_filling" in part.keys and quirk.password_octets is None:
        raise part.wrong("password_filling needs password_octets")
    if "protection" in part.keys and not quirk.is_ciphered:
        raise part.wrong("protection is for what is ciphered; take it or ciphered = false out")
    return quirk


def _check_setting(part: Part, quirk: ClientQuirk) -> None:
    """What commands a meter proves who it is, and each of its messages has a tag: no file takes that away."""
    if quirk.tagging is Tagging.ENCRYPTED:
        raise part.wrong(
            'protection "encrypted" has no tag and is for reading (client 32); never for client 48'
        )
    if not quirk.is_ciphered:
        raise part.wrong("ciphered = false is for reading (client 32); never for client 48")
    if quirk.mechanism is Mechanism.NONE:
        raise part.wrong('mechanism "none" is for reading (client 32); never for client 48')


def read_status_word(part: Part) -> StatusWordQuirk | None:
    """
    Return what [status_word] says, None if there is none.

    :raises BrokenQuirk: if a value cannot be meant.
    """
    numbers = part.part("numbers")
    bits = part.whole("bits", low=1, high=STATUS_BITS_LIMIT) or STATUS_BITS_COUNT
    quirk = StatusWordQuirk(
        bits=bits,
        first=_choice(part, "first", FirstBit) or FirstBit.LEFT,
        numbers={
            numbers.number_key(key, high=bits - 1): numbers.needed_whole(
                key, low=0, high=STATUS_BITS_COUNT - 1
            )
            for key in numbers.keys
        },
    )
    part.finish()
    if quirk.first is FirstBit.RIGHT_OF_OCTET and bits % 8:
        raise part.wrong('first = "right-of-octet" needs whole octets of bits')
    if part.keys and quirk == StatusWordQuirk():
        raise part.wrong("it says what the standard says; give bits, first or numbers")
    return quirk if part.keys else None


def _choice(part: Part, key: str, kind: type[Choice]) -> Choice | None:
    found = part.choice(key, tuple(one.value for one in kind))
    return None if found is None else kind(found)
