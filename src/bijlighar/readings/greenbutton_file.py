"""
Green Button XML (NAESB ESPI in an Atom feed): parsing alone, with the line of whatever is wrong.

A document type is refused, so that no entity is ever expanded or fetched; depth, texts and the number of intervals
are bounded. What belongs together is told by links and settled in `greenbutton_days`.
"""

import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from sys import intern
from typing import NoReturn, TypeAlias
from xml.parsers import expat

from bijlighar.readings.errors import BrokenFile
from bijlighar.readings.greenbutton_codes import ATOM, ESPI

DEPTH_MAX = 32
TEXT_MAX = 4_000
ENTRIES_MAX = 1_000_000
INTERVALS_MAX = 5_000_000
#: The largest number that is read as a whole one; beyond it no time and no code goes.
WHOLE_DIGITS_MAX = 15
_WHOLE = re.compile(rf"-?[0-9]{{1,{WHOLE_DIGITS_MAX}}}")
_KINDS = ("UsagePoint", "MeterReading", "ReadingType", "IntervalBlock")


Numbers: TypeAlias = "array[int]"


def numbers() -> Numbers:
    """Return an empty row of numbers of 64 bits: a file may hold millions."""
    return array("q")


@dataclass(slots=True, kw_only=True)
class Block:
    """An IntervalBlock: its span [s], and of each interval start, duration [s], value, quality and line."""

    line: int
    start: int | None = None
    duration: int | None = None
    starts: Numbers = field(default_factory=numbers)
    durations: Numbers = field(default_factory=numbers)
    values: list[int | Decimal] = field(default_factory=list)
    qualities: list[str] = field(default_factory=list)
    lines: Numbers = field(default_factory=numbers)


@dataclass(slots=True, kw_only=True)
class Entry:
    """An entry of the feed: what it is, its links, its title, and what is said in it."""

    line: int
    kind: str = ""
    title: str = ""
    own: str = ""
    up: list[str] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)


def parse(chunks: Iterable[bytes]) -> tuple[Entry, ...]:
    """
    Return the entries of a feed that say anything of readings.

    :raises BrokenFile: with line and reason, if the file is torn, no such XML, or attacks its reader.
    """
    reader = _Reader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.end()


def whole(line: int, name: str, text: str) -> int:
    """
    Return a whole number of the file.

    :raises BrokenFile: if it is none.
    """
    if not _WHOLE.fullmatch(text):
        refuse(line, f"{name} is {text[:40]!r}, which is no whole number")
    return int(text)


def refuse(line: int, reason: str) -> NoReturn:
    """
    Refuse the file at a line.

    :raises BrokenFile: always.
    """
    raise BrokenFile(f"line {line}: {reason}")


class _Reader:
    """Takes a feed bit by bit."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._add
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.EntityDeclHandler = self._refuse_doctype
        self._path: list[str] = []
        self._text: list[str] = []
        self._letters = 0
        self._entry: Entry | None = None
        self._reading: dict[str, str] = {}
        self._reading_line = 0
        self._intervals = 0
        self._entries: list[Entry] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next octets."""
        self._guarded(lambda: self._parser.Parse(chunk, False))  # noqa: FBT003 - expat's own signature

    def end(self) -> tuple[Entry, ...]:
        """Take the end and return the entries."""
        self._guarded(lambda: self._parser.Parse(b"", True))  # noqa: FBT003 - expat's own signature
        return tuple(self._entries)

    @property
    def line(self) -> int:
        return self._parser.CurrentLineNumber

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except expat.ExpatError as problem:
            told = expat.ErrorString(problem.code)
            raise BrokenFile(f"line {problem.lineno}: {told}; the file is torn or no XML") from None
        except (ValueError, LookupError):
            raise BrokenFile(f"line {self.line}: the encoding is not known; save it as UTF-8") from None

    def _refuse_doctype(self, *_: object) -> None:
        refuse(self.line, "the file declares a document type or an entity; such files are not taken in")

    def _add(self, text: str) -> None:
        self._letters += len(text)
        if self._letters > TEXT_MAX:
            refuse(self.line, f"a text is longer than {TEXT_MAX} letters")
        self._text.append(text)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        word = {ATOM: f"atom:{local}", ESPI: local}.get(space, "")
        if len(self._path) >= DEPTH_MAX:
            refuse(self.line, f"elements stand more than {DEPTH_MAX} deep in each other")
        if not self._path and word not in ("atom:feed", "atom:entry"):
            refuse(self.line, f"the file begins with <{local[:40]}>, and is no Green Button feed")
        self._path.append(word)
        self._text, self._letters = [], 0
        if word == "atom:entry":
            if self._entry is not None:
                refuse(self.line, "an entry stands in another one")
            self._entry = Entry(line=self.line)
        elif self._entry is not None:
            self._inside(self._entry, word, attributes)

    def _inside(self, entry: Entry, word: str, attributes: dict[str, str]) -> None:
        if word == "atom:link" and self._path[-2] == "atom:entry":
            rel, href = attributes.get("rel", ""), attributes.get("href", "").strip()
            if len(href) > TEXT_MAX:
                refuse(self.line, f"a link is longer than {TEXT_MAX} letters")
            if rel == "self":
                entry.own = href
            elif rel in ("up", "related"):
                (entry.up if rel == "up" else entry.related).append(href)
        elif word in _KINDS and self._path[-2] == "atom:content":
            if entry.kind not in ("", word):
                refuse(self.line, f"an entry is both {entry.kind} and {word}")
            entry.kind = word
            if word == "IntervalBlock":
                entry.blocks.append(Block(line=self.line))
        elif word == "IntervalReading" and self._path[-2] == "IntervalBlock":
            self._reading, self._reading_line = {}, self.line

    def _finish(self, _name: str) -> None:
        word, entry = self._path.pop(), self._entry
        text = "".join(self._text).strip()
        self._text, self._letters = [], 0
        if entry is None:
            return
        if word == "atom:entry":
            self._close(entry)
            return
        above = self._path[-1]
        if word == "atom:title" and above == "atom:entry":
            entry.title = text
        elif above == "ReadingType":
            entry.codes[word] = text
        elif above == "interval" and self._path[-2] == "IntervalBlock" and entry.blocks:
            number = whole(self.line, f"the block's {word}", text)
            if word == "start":
                entry.blocks[-1].start = number
            elif word == "duration":
                entry.blocks[-1].duration = number
        elif word == "IntervalReading" and above == "IntervalBlock" and entry.blocks:
            self._add_interval(entry.blocks[-1])
        elif above in ("IntervalReading", "timePeriod", "ReadingQuality") and "IntervalReading" in self._path:
            self._reading.setdefault(word, text)

    def _close(self, entry: Entry) -> None:
        self._entry = None
        if entry.kind:
            self._entries.append(entry)
        if len(self._entries) > ENTRIES_MAX:
            refuse(self.line, f"the file has more than {ENTRIES_MAX} entries; divide it")

    def _add_interval(self, block: Block) -> None:
        line, told = self._reading_line, self._reading
        self._intervals += 1
        if self._intervals > INTERVALS_MAX:
            refuse(line, f"the file has more than {INTERVALS_MAX} intervals; divide it")
        for name in ("start", "duration", "value"):
            if not told.get(name):
                refuse(line, f"the interval has no {name}")
        block.starts.append(whole(line, "start", told["start"]))
        block.durations.append(whole(line, "duration", told["duration"]))
        block.values.append(_value(line, told["value"]))
        block.qualities.append(intern(told.get("quality", "")))
        block.lines.append(line)


def _value(line: int, text: str) -> int | Decimal:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        value = Decimal(text)
    except InvalidOperation:
        refuse(line, f"the value is {text[:40]!r}, which is no number")
    if not value.is_finite():
        refuse(line, f"the value is {text[:40]}, which no meter counts")
    return value
