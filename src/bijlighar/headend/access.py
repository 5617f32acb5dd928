"""The way into a meter: addresses, title, secrets and ciphering of our clients, by IS 15959 and quirk files."""

import os
from collections.abc import Callable
from dataclasses import replace

from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import KEY_OCTETS_OF_SUITE, TITLE_OCTETS, Control, Mechanism, Security
from bijlighar.headend.errors import BrokenQuirk, UnknownMeterKeys
from bijlighar.headend.model import CLIENT_PUBLIC, CLIENT_READER, CLIENT_SETTING, MeterAddress, MeterKeys
from bijlighar.headend.quirks import ADVICE, NO_QUIRK, Quirk
from bijlighar.headend.quirks_access import ClientQuirk, PasswordForm, SerialForm, Tagging, TitleFrom

TITLE_STEM = b"BJF"
#: The logical device of a meter whose URL names none.
FIRST_SERVER = 1
SERIAL_OCTETS = 5
_MECHANISMS = {CLIENT_READER: Mechanism.LLS, CLIENT_SETTING: Mechanism.HLS5}
_CONTROLS = {
    Tagging.BOTH: Control.AUTHENTICATED | Control.ENCRYPTED,
    Tagging.ENCRYPTED: Control.ENCRYPTED,
    Tagging.AUTHENTICATED: Control.AUTHENTICATED,
}


def field_title() -> bytes:
    """Return a system title that no other run uses."""
    return TITLE_STEM + os.urandom(TITLE_OCTETS - len(TITLE_STEM))


def client_address(quirk: Quirk, client: int) -> int:
    """Return the wPort or HDLC address of one of our clients."""
    own = quirk.access.of_client(client).address
    return client if own is None else own


def meter_address(quirk: Quirk, address: MeterAddress) -> MeterAddress:
    """
    Return the address of a meter; what its URL names goes before what a quirk file says.

    :raises BrokenQuirk: if a physical address has no room in an HDLC address of one octet.
    """
    access = quirk.access
    server = access.server if access.server is not None and address.server == FIRST_SERVER else address.server
    physical = access.physical if address.physical is None else address.physical
    if access.address_octets == 1 and physical is not None:
        raise BrokenQuirk(
            f"{quirk.name}.toml [contact]: address_octets = 1 has no room for the physical address {physical} "
            "of the URL; give 2 or 4, or take physical out of the URL"
        )
    return replace(address, server=server, physical=physical)


def mechanism_of(quirk: Quirk, client: int) -> Mechanism:
    """
    Return how a client proves itself.

    :raises UnknownMeterKeys: if we have no such client.
    """
    if client not in _MECHANISMS:
        raise UnknownMeterKeys(f"client {client} is none of 16 (public), 32 (reading) and 48 (setting)")
    own = quirk.access.of_client(client).mechanism
    return _MECHANISMS[client] if own is None else own


def needs_counter(quirk: Quirk, client: int) -> bool:
    """Return whether what a client sends is counted: all that is ciphered, and the proof of HLS 5."""
    if client == CLIENT_PUBLIC:
        return False
    return quirk.access.of_client(client).is_ciphered or mechanism_of(quirk, client) is Mechanism.HLS5


def counter_obis(quirk: Quirk, client: int) -> Obis | None:
    """Return where a quirk file says that the invocation counter of a client stands, None if it says nothing."""
    return quirk.access.of_client(client).counter or quirk.counter


def client_security(
    *,
    client: int,
    keys: MeterKeys | None,
    system_title: bytes,
    next_counter: Callable[[], int] | None,
    received_counter: int,
    quirk: Quirk = NO_QUIRK,
) -> Security | None:
    """
    Return how `client` proves itself and ciphers, None for the public client.

    :raises UnknownMeterKeys: if a secret that this client needs is absent, or the keys are not of the suite's length.
    :raises BrokenQuirk: if the quirk file and the keys do not go together.
    """
    if client == CLIENT_PUBLIC:
        return None
    if keys is None:
        raise UnknownMeterKeys("this client needs the meter's keys; give a keys file or store the keys first")
    mechanism = mechanism_of(quirk, client)
    access, own = quirk.access, quirk.access.of_client(client)
    _check_keys(keys, quirk)
    return Security(
        mechanism=mechanism,
        secret=_secret(keys, client, mechanism, quirk),
        ciphered=own.is_ciphered,
        own_title=system_title,
        peer_title=_title(keys, quirk),
        ek=keys.ek,
        ak=keys.ak,
        suite=access.suite,
        control=_CONTROLS[own.tagging],
        accept_unauthenticated=own.tagging is Tagging.ENCRYPTED,
        next_counter=next_counter,
        received_counter=received_counter,
        challenge_octets=own.challenge_octets,
    )


def _check_keys(keys: MeterKeys, quirk: Quirk) -> None:
    wanted = KEY_OCTETS_OF_SUITE[quirk.access.suite]
    if len(keys.ek) == len(keys.ak) == wanted:
        return
    raise UnknownMeterKeys(
        f"ek and ak of meter {keys.serial} have {len(keys.ek)} and {len(keys.ak)} octets; security suite "
        f"{quirk.access.suite} wants {wanted}: bring the right keys, or name the suite in a quirk file"
    )


def _title(keys: MeterKeys, quirk: Quirk) -> bytes | None:
    """Return the meter's system title, None where its AARE is believed."""
    access = quirk.access
    match access.title_from:
        case TitleFrom.KEYS:
            return keys.system_title
        case TitleFrom.METER:
            return None
        case TitleFrom.SERIAL:
            return title_of_serial(keys.serial, maker=access.title_maker, form=access.title_serial)


def title_of_serial(serial: str, *, maker: str, form: SerialForm) -> bytes:
    """
    Return the system title that follows from a serial number: three letters, then its digits in five octets.

    >>> title_of_serial("SP00123456", maker="ABC", form=SerialForm.BINARY).hex()
    '414243000001e240'
    >>> title_of_serial("SP00123456", maker="ABC", form=SerialForm.BCD).hex()
    '4142430000123456'
    >>> title_of_serial("SP00123456", maker="ABC", form=SerialForm.ASCII)
    b'ABC23456'

    :raises BrokenQuirk: if no title follows from it.
    """
    digits = "".join(letter for letter in serial if letter in "0123456789")
    octets = b""
    if form is SerialForm.ASCII:
        octets = serial[-SERIAL_OCTETS:].encode("ascii", errors="replace").rjust(SERIAL_OCTETS, b"0")
    elif form is SerialForm.BCD:
        octets = bytes.fromhex(digits[-2 * SERIAL_OCTETS :].rjust(2 * SERIAL_OCTETS, "0"))
    elif digits and int(digits) < 1 << 8 * SERIAL_OCTETS:
        octets = int(digits).to_bytes(SERIAL_OCTETS, "big")
    if not digits or not octets:
        raise BrokenQuirk(
            f"no system title follows from the serial number {serial} as {form.value}; "
            'give another title_serial in the quirk file, or title_from = "keys" or "meter"'
        )
    return maker.encode("ascii") + octets


def _secret(keys: MeterKeys, client: int, mechanism: Mechanism, quirk: Quirk) -> bytes:
    if mechanism in (Mechanism.NONE, Mechanism.HLS5):
        return b""
    name, told = ("lls", keys.lls) if client == CLIENT_READER else ("hls", keys.hls)
    if told is None:
        whose = "reading" if client == CLIENT_READER else "setting"
        raise UnknownMeterKeys(
            f"the keys of meter {keys.serial} hold no password for the {whose} client ({name}); {ADVICE}"
            if quirk is NO_QUIRK
            else f"the keys of meter {keys.serial} hold no {name}, which {quirk.name}.toml wants for client {client}"
        )
    return _password(
        told, quirk.access.of_client(client), where=f"{quirk.name}.toml [clients.{client}]: {name}"
    )


def _password(told: bytes, own: ClientQuirk, *, where: str) -> bytes:
    """Return the octets of a password; no message shows any of it."""
    octets = told
    if own.password is PasswordForm.HEX:
        try:
            octets = bytes.fromhex(told.decode("ascii"))
        except ValueError:
            raise BrokenQuirk(
                f'{where} of the keys is no hex; mend the keys, or take out password = "hex"'
            ) from None
    if own.password_octets is None:
        return octets
    if len(octets) > own.password_octets:
        raise BrokenQuirk(
            f"{where} of the keys has {len(octets)} octets, more than password_octets = {own.password_octets}"
        )
    return octets.ljust(own.password_octets, own.filling)
