"""
Meter keys: the keys file that people exchange, and the sealed form in which the database holds them.

A sealed key is AES-256-GCM under the key-encryption key with the meter's serial as additional data, so that neither a
copy of the database nor one meter's row put in the place of another's opens anything.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bijlighar.base.errors import InvalidValue
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.headend.errors import BrokenKeysFile, SealedKeys
from bijlighar.headend.model import MeterKeys

KEK_OCTETS = 32
NONCE_OCTETS = 12
TITLE_OCTETS = 8
#: Keys of security suites 0 and 1, and of 2; which of them a meter wants is seen when it is spoken with.
KEY_OCTETS = (16, 32)
METERS_LIMIT = 1_000_000
#: What a sealed row holds, in its order; what came later stands last.
_SEALED = (
    *("ek", "ak", "lls", "hls", "setting_ek", "setting_ak", "master", "factory"),
    *("push_ek", "push_ak"),
)


def read_keys_file(text: str) -> tuple[MeterKeys, ...]:
    """
    Return the meters of a keys file: a JSON list of url, serial, system_title, ek, ak, lls and hls.

    :raises BrokenKeysFile: if the text is no such list, or an entry cannot be used.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise BrokenKeysFile(f"the keys file is not JSON: {problem}") from None
    if not isinstance(entries, list):
        raise BrokenKeysFile("the keys file must be a JSON list with one object for each meter")
    if len(entries) > METERS_LIMIT:
        raise BrokenKeysFile(f"the keys file names more than {METERS_LIMIT} meters; split it")
    keys = tuple(_entry(number, entry) for number, entry in enumerate(entries, start=1))
    serials = [meter.serial for meter in keys]
    if len(set(serials)) != len(serials):
        twice = next(serial for serial in serials if serials.count(serial) > 1)
        raise BrokenKeysFile(f"the keys file names the meter {twice} twice")
    return keys


def write_keys_file(keys: Sequence[MeterKeys]) -> str:
    """Return the text of a keys file."""
    return json.dumps(
        [
            {
                "url": meter.url,
                "serial": meter.serial,
                "system_title": meter.system_title.hex(),
                "ek": meter.ek.hex(),
                "ak": meter.ak.hex(),
                "lls": _password(meter.lls),
                "hls": _password(meter.hls),
                **{
                    name: octets.hex()
                    for name, octets in (_own_keys(meter) | _push_keys(meter)).items()
                    if octets is not None
                },
                **({"factory": True} if meter.factory else {}),
            }
            for meter in keys
        ],
        indent=1,
    )


def seal(*, keys: MeterKeys, key_encryption_key: bytes | None) -> bytes:
    """
    Return the secrets of a meter as the database may hold them.

    :raises SealedKeys: if there is no usable key-encryption key.
    """
    cipher = _cipher(key_encryption_key)
    secrets = json.dumps(
        [
            *(keys.ek.hex(), keys.ak.hex(), _hex(keys.lls), _hex(keys.hls)),
            *(_hex(octets) for octets in _own_keys(keys).values()),
            keys.factory,
            *(_hex(octets) for octets in _push_keys(keys).values()),
        ],
        separators=(",", ":"),
    )
    nonce = os.urandom(NONCE_OCTETS)
    return nonce + cipher.encrypt(nonce, secrets.encode(), keys.serial.encode())


def unseal(
    *, serial: str, system_title: bytes, url: str | None, sealed: bytes, key_encryption_key: bytes | None
) -> MeterKeys:
    """
    Return the keys of a meter from their sealed form.

    :raises SealedKeys: if the key-encryption key is absent or another one, or the row was changed.
    """
    cipher = _cipher(key_encryption_key)
    try:
        secrets = cipher.decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], serial.encode())
    except (InvalidTag, ValueError):
        raise SealedKeys(
            f"the keys of meter {serial} do not open with this key-encryption key; "
            "put the right one in place or store the keys again"
        ) from None
    found = dict(zip(_SEALED, json.loads(secrets), strict=False))  # an older release sealed fewer
    octets = {name: bytes.fromhex(found[name]) for name in _SEALED if found.get(name) and name != "factory"}
    return MeterKeys(
        serial=serial,
        system_title=system_title,
        url=url,
        ek=octets["ek"],
        ak=octets["ak"],
        lls=octets.get("lls"),
        hls=octets.get("hls"),
        setting_ek=octets.get("setting_ek"),
        setting_ak=octets.get("setting_ak"),
        push_ek=octets.get("push_ek"),
        push_ak=octets.get("push_ak"),
        master=octets.get("master"),
        factory=bool(found.get("factory")),
    )


def reading_part(keys: MeterKeys) -> MeterKeys:
    """Return what the head-end needs to read a meter: nothing that is of client 48 alone."""
    return replace(keys, hls=None, setting_ek=None, setting_ak=None, master=None)


def command_part(keys: MeterKeys) -> MeterKeys:
    """Return what the gate needs to speak as client 48, in the places of EK and AK; not the reader's password."""
    return replace(
        keys,
        ek=keys.setting_ek or keys.ek,
        ak=keys.setting_ak or keys.ak,
        lls=None,
        setting_ek=None,
        setting_ak=None,
        push_ek=None,
        push_ak=None,
    )


def push_keys(keys: MeterKeys) -> tuple[bytes, bytes]:
    """Return EK and AK under which a meter pushes: those of reading, where it has no others."""
    return keys.push_ek or keys.ek, keys.push_ak or keys.ak


def _push_keys(keys: MeterKeys) -> dict[str, bytes | None]:
    return {"push_ek": keys.push_ek, "push_ak": keys.push_ak}


def _own_keys(keys: MeterKeys) -> dict[str, bytes | None]:
    return {"setting_ek": keys.setting_ek, "setting_ak": keys.setting_ak, "master": keys.master}


def _cipher(key_encryption_key: bytes | None) -> AESGCM:
    if key_encryption_key is None or len(key_encryption_key) != KEK_OCTETS:
        raise SealedKeys(f"meter keys need a key-encryption key of {KEK_OCTETS} octets, and there is none")
    return AESGCM(key_encryption_key)


def _entry(number: int, entry: object) -> MeterKeys:
    if not isinstance(entry, dict):
        raise BrokenKeysFile(f"entry {number} of the keys file is no object")
    serial = entry.get("serial")
    if not isinstance(serial, str) or not serial:
        raise BrokenKeysFile(f"entry {number} of the keys file has no serial")
    _check(f"entry {number} of the keys file: serial", serial, letters_max=CODE_MAX)
    where = f"meter {serial} of the keys file"
    return MeterKeys(
        serial=serial,
        system_title=_octets(where, entry, "system_title", (TITLE_OCTETS,)),
        url=_url(where, entry),
        ek=_octets(where, entry, "ek", KEY_OCTETS),
        ak=_octets(where, entry, "ak", KEY_OCTETS),
        lls=_secret(where, entry, "lls"),
        hls=_secret(where, entry, "hls"),
        setting_ek=_octets_if_any(where, entry, "setting_ek"),
        setting_ak=_octets_if_any(where, entry, "setting_ak"),
        push_ek=_octets_if_any(where, entry, "push_ek"),
        push_ak=_octets_if_any(where, entry, "push_ak"),
        master=_octets_if_any(where, entry, "master"),
        factory=_flag(where, entry, "factory"),
    )


def _octets_if_any(where: str, entry: dict[str, object], name: str) -> bytes | None:
    return None if entry.get(name) is None else _octets(where, entry, name, KEY_OCTETS)


def _flag(where: str, entry: dict[str, object], name: str) -> bool:
    flag = entry.get(name, False)
    if not isinstance(flag, bool):
        raise BrokenKeysFile(f"{where}: {name} must be true or false")
    return flag


def _octets(where: str, entry: dict[str, object], name: str, lengths: tuple[int, ...]) -> bytes:
    text = entry.get(name)
    try:
        octets = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        octets = b""
    if len(octets) not in lengths:
        wanted = " or ".join(str(length) for length in lengths)
        raise BrokenKeysFile(f"{where}: {name} must be {wanted} octets in hex")
    return octets


def _text(where: str, entry: dict[str, object], name: str) -> str | None:
    text = entry.get(name)
    if text is not None and not isinstance(text, str):
        raise BrokenKeysFile(f"{where}: {name} must be text")
    return text or None


def _url(where: str, entry: dict[str, object]) -> str | None:
    url = _text(where, entry, "url")
    if url is not None:
        _check(f"{where}: url", url, letters_max=NOTE_MAX)
    return url


def _check(what: str, text: str, *, letters_max: int) -> None:
    try:
        check_text(text, what=what, letters_max=letters_max)
    except InvalidValue as problem:
        raise BrokenKeysFile(str(problem)) from None


def _secret(where: str, entry: dict[str, object], name: str) -> bytes | None:
    text = _text(where, entry, name)
    return None if text is None else text.encode()


def _password(secret: bytes | None) -> str | None:
    return None if secret is None else secret.decode()


def _hex(secret: bytes | None) -> str | None:
    return None if secret is None else secret.hex()
