"""Where models of meters differ from the standard, as values: which model a quirk is of, and what it changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import takewhile

from bijlighar.dlms import is15959
from bijlighar.dlms.obis import Obis
from bijlighar.headend.errors import BrokenQuirk
from bijlighar.headend.quirks_access import PLAIN_ACCESS, AccessQuirk, StatusWordQuirk

SEPARATOR = " / "
#: How the model of a meter without a readable name plate is called: by the meter itself.
LONE_MODEL = "meter "
MODEL_PARTS = 3
#: What the head-end says where a quirk file would be the way out.
ADVICE = (
    "if its make is known to differ here, describe it in a quirk file (`bijlighar meter quirks` shows how)"
)


class Access(StrEnum):
    """How the rows of a profile can be chosen: by times, by numbers of entries, or not at all."""

    RANGE = "range"
    ENTRIES = "entries"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileQuirk:
    """
    What is other in one profile; None leaves it as it is.

    obis, scaler_obis: where the profile and its scaler profile stand.
    period_s: the interval [s], whatever the meter tells.
    is_stamped_at_start: a row carries the start of its interval, not its end.
    """

    obis: Obis | None = None
    scaler_obis: Obis | None = None
    period_s: int | None = None
    is_stamped_at_start: bool = False
    access: Access = Access.RANGE


PLAIN = ProfileQuirk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which meters a quirk is of: patterns with * and ?, and versions of firmware as numbers."""

    maker: str | None = None
    type: str | None = None
    firmware: str | None = None
    firmware_from: tuple[int, ...] | None = None
    firmware_below: tuple[int, ...] | None = None
    serials: tuple[str, ...] = ()

    @property
    def names_model(self) -> bool:
        """Return whether it goes by what stands on a name plate."""
        return any(
            value is not None
            for value in (self.maker, self.type, self.firmware, self.firmware_from, self.firmware_below)
        )

    def has_serial(self, serial: str) -> bool:
        """Return whether a serial number is one of these."""
        return any(fnmatchcase(serial, pattern) for pattern in self.serials)

    def has_model(self, model: str) -> bool:
        """Return whether a model is one of these; one without a name plate is found by its serial number."""
        if model.startswith(LONE_MODEL):
            return not self.names_model and self.has_serial(model.removeprefix(LONE_MODEL))
        parts = model.split(SEPARATOR)
        if not self.names_model or len(parts) < MODEL_PARTS:
            return False
        maker, kind, firmware = SEPARATOR.join(parts[:-2]), parts[-2], parts[-1]
        patterns = ((self.maker, maker), (self.type, kind), (self.firmware, firmware))
        if not all(pattern is None or fnmatchcase(value, pattern) for pattern, value in patterns):
            return False
        version = version_of(firmware)
        return (self.firmware_from is None or version >= self.firmware_from) and (
            self.firmware_below is None or version < self.firmware_below
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """
    One quirk file.

    mark: the name and a digest of the text, so that a layout read under an older text is read again.
    counter: where the meter keeps its invocation counters; max_pdu: the longest APDU that it can send [octets].
    access: what else is other before it has told its model; status_word: how it numbers the bits of that word.
    scalers: power of ten and DLMS unit by OBIS code, over what the meter tells.
    events: the code of IS 15959 by the maker's own.
    """

    name: str = ""
    mark: str = ""
    match: Match = Match()
    counter: Obis | None = None
    max_pdu: int | None = None
    access: AccessQuirk = PLAIN_ACCESS
    status_word: StatusWordQuirk | None = None
    profiles: Mapping[str, ProfileQuirk] = field(default_factory=dict)
    scalers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    events: Mapping[int, int] = field(default_factory=dict)

    def of_profile(self, profile: str) -> ProfileQuirk:
        """Return what is other in a profile."""
        return self.profiles.get(profile, PLAIN)

    def plan(self, profile: str) -> is15959.Profile:
        """Return a profile with its objects where these meters have them."""
        plan, other = is15959.PROFILES[profile], self.of_profile(profile)
        if other is PLAIN:
            return plan
        return replace(
            plan,
            obis=other.obis or plan.obis,
            scaler_obis=other.scaler_obis or plan.scaler_obis,
            by_range=plan.by_range and other.access is Access.RANGE,
        )

    def code(self, code: int) -> int:
        """Return the code of IS 15959 of an event."""
        return self.events.get(code, code)


NO_QUIRK = Quirk()


def names_of(*quirks: Quirk) -> str:
    """
    Return the names of the quirk files that a meter was read by, each once.

    >>> names_of(Quirk(name="way-in"), NO_QUIRK, Quirk(name="rows"), Quirk(name="rows"))
    'way-in, rows'
    """
    return ", ".join(dict.fromkeys(quirk.name for quirk in quirks if quirk.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """All quirk files; `broken` is what is wrong with those that cannot be used, by name."""

    files: tuple[Quirk, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    #: The matches of broken files, where those could be understood.
    broken_matches: Mapping[str, Match] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there is any file."""
        return bool(self.files or self.broken)

    def of_model(self, model: str, *, before: str = "") -> Quirk:
        """
        Return the quirk of a model; `before` is the mark of the one that it was read with last.

        :raises BrokenQuirk: if its file cannot be used, or two files are of it; other models go on.
        """
        last = before.partition("@")[0]
        for name, problem in self.broken.items():
            match = self.broken_matches.get(name)
            if name == last or (match is not None and match.has_model(model)):
                raise BrokenQuirk(
                    f"meters of model {model} are not read until their quirk file is mended: {problem}"
                )
        return self._one([quirk for quirk in self.files if quirk.match.has_model(model)], f"model {model}")

    def of_serial(self, serial: str) -> Quirk:
        """
        Return the quirk that already counts when a meter is called: one of its serial number.

        :raises BrokenQuirk: if its file cannot be used, or two files are of it.
        """
        for name, match in self.broken_matches.items():
            if match.has_serial(serial):
                raise BrokenQuirk(
                    f"meter {serial} is not read until its quirk file is mended: {self.broken[name]}"
                )
        return self._one([quirk for quirk in self.files if quirk.match.has_serial(serial)], f"meter {serial}")

    def status_word_of(self, *, serial: str, model: Callable[[], str]) -> StatusWordQuirk | None:
        """
        Return how a meter numbers the bits of its status word, None: as the standard does.

        `model` is asked only where a file could be of it.

        :raises BrokenQuirk: if its file cannot be used, or two files are of it.
        """
        if not self:
            return None
        own = self.of_serial(serial).status_word
        return own if own is not None else self.of_model(model()).status_word

    @staticmethod
    def _one(found: Sequence[Quirk], whose: str) -> Quirk:
        if len(found) > 1:
            names = " and ".join(f"{quirk.name}.toml" for quirk in found)
            raise BrokenQuirk(f"{names} are both of {whose}; narrow the [match] of one of them")
        return found[0] if found else NO_QUIRK


NO_QUIRKS = Quirks()


def version_of(text: str) -> tuple[int, ...]:
    """
    Return the numbers that a version begins with.

    >>> version_of("1.10.3-b7"), version_of("V2.0"), version_of("beta")
    ((1, 10, 3), (2, 0), ())
    """
    numbers = []
    for part in text.strip().lstrip("Vv").split("."):
        digits = "".join(takewhile(str.isdecimal, part))
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def entries_back(*, since: datetime, now: datetime, period_s: int) -> int:
    """Return how many entries at the end of a profile surely reach back to `since`, a day to spare."""
    return max(1, round((now - since).total_seconds()) // period_s + 86_400 // period_s + 1)
