"""A table of a quirk file: takes its keys one by one, and names the place of what is wrong."""

from collections.abc import Mapping
from typing import Any

from bijlighar.dlms.obis import InvalidObis, Obis
from bijlighar.headend.errors import BrokenQuirk
from bijlighar.headend.quirks import version_of

MAX_ITEMS = 1_000
MAX_TEXT = 200
EVENT_LIMIT = 65_535


class Part:
    """A table of a file; every method raises `BrokenQuirk` where a value cannot be meant."""

    def __init__(self, table: object, file: str, place: str) -> None:
        """Take a table of `file` that stands at `place`; `BrokenQuirk` if it is none."""
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
        """Return the names that stand in it."""
        return tuple(self._table)

    def wrong(self, what: str) -> BrokenQuirk:
        """Return the error that something here is wrong."""
        place = f" [{self._place}]" if self._place else ""
        return BrokenQuirk(f"{self._file}.toml{place}: {what}")

    def part(self, key: str, *, is_needed: bool = False) -> "Part":
        """Return the table of a name, an empty one where there is none."""
        if is_needed and key not in self._table:
            raise self.wrong(f"[{key}] is missing")
        return Part(self._take(key, {}), self._file, f"{self._place}.{key}" if self._place else key)

    def text(self, key: str) -> str | None:
        """Return a text, None if there is none."""
        value = self._take(key, None)
        if value is not None and (not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT):
            raise self.wrong(f"{key} must be a text, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, an empty one if there is none."""
        value = self._take(key, [])
        if (
            not isinstance(value, list)
            or len(value) > MAX_ITEMS
            or not all(isinstance(item, str) and 0 < len(item) <= MAX_TEXT for item in value)
        ):
            raise self.wrong(f'{key} must be a list of texts like ["AC01*"], not {value!r}')
        return tuple(value)

    def version(self, key: str) -> tuple[int, ...] | None:
        """Return the numbers of a version, None if there is none."""
        text = self.text(key)
        version = None if text is None else version_of(text)
        if version == ():
            raise self.wrong(f'{key} must be a version like "1.4.2", not {text!r}')
        return version

    def obis(self, key: str) -> Obis | None:
        """Return an OBIS code, None if there is none."""
        text = self.text(key)
        return None if text is None else self._parsed(text, key)

    def obis_key(self, key: str) -> str:
        """Return the OBIS code that a name is."""
        return str(self._parsed(key, "a name"))

    def code_key(self, key: str) -> int:
        """Return the number of an event that a name is."""
        if not key.isdecimal() or not 0 < int(key) <= EVENT_LIMIT:
            raise self.wrong(f"an event's name is its number from 1 to {EVENT_LIMIT}, not {key!r}")
        return int(key)

    def number_key(self, key: str, *, high: int) -> int:
        """Return the number of a bit that a name is."""
        if not key.isdecimal() or int(key) > high:
            raise self.wrong(f"a bit's name is its number from 0 to {high}, not {key!r}")
        return int(key)

    def choice(self, key: str, known: tuple[Any, ...]) -> Any:  # noqa: ANN401 - one of what is known
        """Return one of what is known, None if there is none."""
        value = self._take(key, None)
        if value is not None and (isinstance(value, bool) or value not in known):
            raise self.wrong(f"{key} must be one of {', '.join(map(repr, known))}, not {value!r}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return whether something is so."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} must be true or false, not {value!r}")
        return value

    def whole(self, key: str, *, low: int, high: int) -> int | None:
        """Return a whole number, None if there is none."""
        self._asked.add(key)
        return None if key not in self._table else self.needed_whole(key, low=low, high=high)

    def needed_whole(self, key: str, *, low: int, high: int) -> int:
        """Return a whole number that must be there."""
        value = self._take(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(f"{key} must be a whole number from {low} to {high}, not {value!r}")
        return value

    def finish(self) -> None:
        """Refuse what stands here and nobody has asked for."""
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
