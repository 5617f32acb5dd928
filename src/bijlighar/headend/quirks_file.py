"""From the TOML text of a quirk file to its values; what is wrong is one clear line that names file and field."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bijlighar.dlms import is15959
from bijlighar.dlms.obis import InvalidObis, Obis
from bijlighar.headend.errors import BrokenQuirk
from bijlighar.headend.quirks import Access, Match, ProfileQuirk, Quirk, Quirks, version_of

MAX_FILES = 500
MAX_FILE_OCTETS = 200_000
MAX_ITEMS = 1_000
MAX_TEXT = 200
#: The shortest and the longest APDU that can be agreed on [octets].
MIN_PDU, MAX_PDU = 64, 65_535
SCALER_LIMIT = 9
INTERVALS_S = (900, 1_800)
EVENT_LIMIT = 65_535
DIGEST_DIGITS = 12
UNIT_NUMBERS: Mapping[str, int] = {name: number for number, name in is15959.UNITS.items()}


def read_folder(folder: Path) -> Quirks:
    """Return the quirk files `*.toml` of a folder; one that cannot be used is named as broken, the others count."""
    texts: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for file in sorted(folder.glob("*.toml"))[: MAX_FILES + 1]:
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
    whole = _Part(document, name, "")
    match = _match(whole.part("match", is_needed=True))
    contact, scalers, events = whole.part("contact"), whole.part("scalers"), whole.part("events")
    quirk = Quirk(
        name=name,
        mark=f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]}",
        match=match,
        counter=contact.obis("counter"),
        max_pdu=contact.whole("max_pdu", low=MIN_PDU, high=MAX_PDU),
        profiles=_profiles(whole.part("profiles")),
        scalers={scalers.obis_key(key): _scaler(scalers.part(key)) for key in scalers.keys},
        events={
            events.code_key(key): events.needed_whole(key, low=1, high=EVENT_LIMIT) for key in events.keys
        },
    )
    for part in (whole, contact):
        part.finish()
    if contact.keys and not match.serials:
        raise whole.wrong(
            "[contact] needs [match] serials: before a meter has answered only its serial number is known"
        )
    has_layout = bool(quirk.profiles or quirk.scalers or quirk.events)
    if has_layout and match.names_model and match.serials and not contact.keys:
        raise whole.wrong(
            "[match] names a model and serials; serials are only for [contact] then, which is empty"
        )
    if not has_layout and not contact.keys:
        raise whole.wrong("it changes nothing; give [contact], [profiles.NAME], [scalers] or [events]")
    return quirk


def _document(name: str, text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenQuirk(f"{name}.toml is not valid TOML: {problem}") from None


def _match_at_least(name: str, text: str) -> Match | None:
    """Return whose a broken file is, None if not even that can be understood."""
    try:
        return _match(_Part(_document(name, text), name, "").part("match", is_needed=True))
    except BrokenQuirk:
        return None


def _match(part: "_Part") -> Match:
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


def _profiles(part: "_Part") -> Mapping[str, ProfileQuirk]:
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


def _scaler(part: "_Part") -> tuple[int, int]:
    scaler = part.needed_whole("scaler", low=-SCALER_LIMIT, high=SCALER_LIMIT)
    unit = part.choice("unit", tuple(UNIT_NUMBERS))
    part.finish()
    if unit is None:
        raise part.wrong("unit is missing")
    return scaler, UNIT_NUMBERS[unit]


class _Part:
    """A table of a file: takes keys, names the place of what is wrong, knows which keys nobody asked for."""

    def __init__(self, table: object, file: str, place: str) -> None:
        self._file = file
        self._place = place
        if not isinstance(table, Mapping):
            raise self.wrong("a table is expected here")
        if len(table) > MAX_ITEMS:
            raise self.wrong(f"more than {MAX_ITEMS} names")
        self._table = table
        self._asked: set[str] = set()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._table)

    def wrong(self, what: str) -> BrokenQuirk:
        place = f" [{self._place}]" if self._place else ""
        return BrokenQuirk(f"{self._file}.toml{place}: {what}")

    def part(self, key: str, *, is_needed: bool = False) -> "_Part":
        if is_needed and key not in self._table:
            raise self.wrong(f"[{key}] is missing")
        return _Part(self._take(key, {}), self._file, f"{self._place}.{key}" if self._place else key)

    def text(self, key: str) -> str | None:
        value = self._take(key, None)
        if value is not None and (not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT):
            raise self.wrong(f"{key} must be a text, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, [])
        if (
            not isinstance(value, list)
            or len(value) > MAX_ITEMS
            or not all(isinstance(item, str) and 0 < len(item) <= MAX_TEXT for item in value)
        ):
            raise self.wrong(f'{key} must be a list of texts like ["AC01*"], not {value!r}')
        return tuple(value)

    def version(self, key: str) -> tuple[int, ...] | None:
        text = self.text(key)
        version = None if text is None else version_of(text)
        if version == ():
            raise self.wrong(f'{key} must be a version like "1.4.2", not {text!r}')
        return version

    def obis(self, key: str) -> Obis | None:
        text = self.text(key)
        return None if text is None else self._parsed(text, key)

    def obis_key(self, key: str) -> str:
        return str(self._parsed(key, "a name"))

    def code_key(self, key: str) -> int:
        if not key.isdecimal() or not 0 < int(key) <= EVENT_LIMIT:
            raise self.wrong(f"an event's name is its number from 1 to {EVENT_LIMIT}, not {key!r}")
        return int(key)

    def choice(self, key: str, known: tuple[Any, ...]) -> Any:  # noqa: ANN401 - one of what is known
        value = self._take(key, None)
        if value is not None and (isinstance(value, bool) or value not in known):
            raise self.wrong(f"{key} must be one of {', '.join(map(repr, known))}, not {value!r}")
        return value

    def whole(self, key: str, *, low: int, high: int) -> int | None:
        return None if key not in self._table else self.needed_whole(key, low=low, high=high)

    def needed_whole(self, key: str, *, low: int, high: int) -> int:
        value = self._take(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(f"{key} must be a whole number from {low} to {high}, not {value!r}")
        return value

    def finish(self) -> None:
        unknown = sorted(set(self._table) - self._asked)
        if unknown:
            raise self.wrong(f"unknown name {unknown[0]} (known here: {', '.join(sorted(self._asked))})")

    def _take(self, key: str, default: object) -> Any:  # noqa: ANN401 - a value of TOML
        self._asked.add(key)
        return self._table.get(key, default)

    def _parsed(self, text: str, key: str) -> Obis:
        try:
            return Obis.parse(text)
        except InvalidObis as problem:
            raise self.wrong(f"{key}: {problem}") from None
