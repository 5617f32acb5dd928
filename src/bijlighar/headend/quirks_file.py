"""From the TOML text of a quirk file to its values; what is wrong is one clear line that names file and field."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bijlighar.dlms import is15959
from bijlighar.headend.errors import BrokenQuirk
from bijlighar.headend.quirks import Access, Match, ProfileQuirk, Quirk, Quirks
from bijlighar.headend.quirks_access_file import read_access, read_status_word
from bijlighar.headend.quirks_part import EVENT_LIMIT, Part

MAX_FILES = 500
MAX_FILE_OCTETS = 200_000
#: The shortest and the longest APDU that can be agreed on [octets].
MIN_PDU, MAX_PDU = 64, 65_535
SCALER_LIMIT = 9
INTERVALS_S = (900, 1_800)
DIGEST_DIGITS = 12
UNIT_NUMBERS: Mapping[str, int] = {name: number for number, name in is15959.UNITS.items()}


def read_files(place: Path) -> Quirks:
    """
    Return the quirk files of a folder, or the one quirk file that is named.

    :raises BrokenQuirk: if the one file cannot be used: it was named on purpose.
    """
    if not place.is_file():
        return read_folder(place)
    found = _read([place])
    if found.broken:
        raise BrokenQuirk(found.broken[place.stem])
    return found


def read_folder(folder: Path) -> Quirks:
    """Return the quirk files `*.toml` of a folder; one that cannot be used is named as broken, the others count."""
    return _read(sorted(folder.glob("*.toml"))[: MAX_FILES + 1])


def _read(files: Sequence[Path]) -> Quirks:
    texts: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for file in files:
        try:
            if file.stat().st_size > MAX_FILE_OCTETS:
                unreadable[file.stem] = f"{file.name} is longer than {MAX_FILE_OCTETS} octets"
                continue
            texts[file.stem] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            unreadable[file.stem] = f"{file.name} cannot be read ({problem}); save it as UTF-8"
    if len(texts) > MAX_FILES:
        last = max(texts)
        del texts[last]
        unreadable[last] = f"{last}.toml: more than {MAX_FILES} quirk files; join some of them"
    found = load_quirks(texts)
    return replace(found, broken={**found.broken, **unreadable})


def load_quirks(texts: Mapping[str, str]) -> Quirks:
    """Return the quirks written in TOML texts, by the names of their files."""
    files: list[Quirk] = []
    broken: dict[str, str] = {}
    matches: dict[str, Match] = {}
    for name, text in sorted(texts.items()):
        try:
            files.append(load_quirk(name, text))
        except BrokenQuirk as problem:
            broken[name] = str(problem)
            match = _match_at_least(name, text)
            if match is not None:
                matches[name] = match
    return Quirks(files=tuple(files), broken=broken, broken_matches=matches)


def load_quirk(name: str, text: str) -> Quirk:
    """
    Return the quirk written in `text` (TOML).

    :raises BrokenQuirk: if it is not TOML, a name is unknown, or a value cannot be meant.
    """
    document = _document(name, text)
    whole = Part(document, name, "")
    match = _match(whole.part("match", is_needed=True))
    contact, scalers, events = whole.part("contact"), whole.part("scalers"), whole.part("events")
    clients = whole.part("clients")
    quirk = Quirk(
        name=name,
        mark=f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]}",
        match=match,
        counter=contact.obis("counter"),
        max_pdu=contact.whole("max_pdu", low=MIN_PDU, high=MAX_PDU),
        access=read_access(contact, clients),
        status_word=read_status_word(whole.part("status_word")),
        profiles=_profiles(whole.part("profiles")),
        scalers={scalers.obis_key(key): _scaler(scalers.part(key)) for key in scalers.keys},
        events={
            events.code_key(key): events.needed_whole(key, low=1, high=EVENT_LIMIT) for key in events.keys
        },
    )
    for part in (whole, contact):
        part.finish()
    has_contact = bool(contact.keys or clients.keys)
    if has_contact and not match.serials:
        raise whole.wrong(
            "[contact] needs [match] serials, and so does [clients]: "
            "before a meter has answered only its serial number is known"
        )
    has_layout = bool(quirk.profiles or quirk.scalers or quirk.events or quirk.status_word)
    if has_layout and match.names_model and match.serials and not has_contact:
        raise whole.wrong(
            "[match] names a model and serials; serials are only for [contact] and [clients] then, which are empty"
        )
    if not has_layout and not has_contact:
        raise whole.wrong(
            "it changes nothing; give [contact], [clients.N], [profiles.NAME], [scalers], [events] or [status_word]"
        )
    return quirk


def _document(name: str, text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenQuirk(f"{name}.toml is not valid TOML: {problem}") from None


def _match_at_least(name: str, text: str) -> Match | None:
    """Return whose a broken file is, None if not even that can be understood."""
    try:
        return _match(Part(_document(name, text), name, "").part("match", is_needed=True))
    except BrokenQuirk:
        return None


def _match(part: Part) -> Match:
    match = Match(
        maker=part.text("maker"),
        type=part.text("type"),
        firmware=part.text("firmware"),
        firmware_from=part.version("firmware_from"),
        firmware_below=part.version("firmware_below"),
        serials=part.texts("serials"),
    )
    part.finish()
    if not match.names_model and not match.serials:
        raise part.wrong(
            "it matches no meter; give maker, type, firmware, firmware_from, firmware_below or serials"
        )
    return match


def _profiles(part: Part) -> Mapping[str, ProfileQuirk]:
    found: dict[str, ProfileQuirk] = {}
    for name in part.keys:
        if name not in is15959.PROFILES:
            raise part.wrong(f"there is no profile {name!r} (known: {', '.join(is15959.PROFILES)})")
        one = part.part(name)
        is_block = name == is15959.BLOCK_LOAD.name
        found[name] = ProfileQuirk(
            obis=one.obis("obis"),
            scaler_obis=one.obis("scaler_obis"),
            period_s=one.choice("period_s", INTERVALS_S) if is_block else None,
            is_stamped_at_start=is_block and one.choice("stamp", ("end", "start")) == "start",
            access=Access(one.choice("access", tuple(access.value for access in Access)) or Access.RANGE),
        )
        one.finish()
        if found[name].access is Access.ENTRIES and not is_block:
            raise one.wrong('access "entries" is for block-load, whose interval is known; use "whole"')
    return found


def _scaler(part: Part) -> tuple[int, int]:
    scaler = part.needed_whole("scaler", low=-SCALER_LIMIT, high=SCALER_LIMIT)
    unit = part.choice("unit", tuple(UNIT_NUMBERS))
    part.finish()
    if unit is None:
        raise part.wrong("unit is missing")
    return scaler, UNIT_NUMBERS[unit]
