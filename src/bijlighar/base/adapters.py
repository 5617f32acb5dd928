"""
A vendor's file (CSV or XML) through an adapter: a TOML text that says which column or element is which of our fields.

XML is read by events and within bounds; a document type, and with it every entity, is refused unread.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from xml.parsers import expat

from bijlighar.base.errors import BijligharError
from bijlighar.base.tables import CSV_CELL_MAX, BrokenTable, CsvRow, csv_rows

FILE_OCTETS_MAX = 256 * 1024 * 1024
XML_DEPTH_MAX = 32
XML_ROWS_MAX = 1_000_000
XML_CELLS_MAX = 200
XML_BITE = 65_536
FIELDS_MAX = 100
ZIP_START = b"PK\x03\x04"


class BrokenAdapter(BijligharError):
    """A vendor's adapter is unknown, or no description of a file; the message says what to correct."""

    code = "base.broken-adapter"


class Encoding(StrEnum):
    """How a cell writes its octets."""

    TEXT = "text"
    HEX = "hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    Where one of our fields comes from.

    place: the column, or in XML the path below a meter's element, as `Keys/EK`, `@serial` or `Keys/@ek`.
    values: what the vendor's words mean; empty where they are ours. wrapped: a key under the key-encryption key.
    """

    place: str
    encoding: Encoding
    optional: bool
    wrapped: bool
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """
    A vendor's file described.

    row: in XML the path of a meter's element from the root. ignored: places that are known and not taken.
    constants: our fields that the file does not name. factory: whether people outside the company know the keys.
    """

    name: str
    holds: str
    is_xml: bool
    delimiter: str
    row: tuple[str, ...]
    fields: Mapping[str, Source]
    constants: Mapping[str, str]
    ignored: frozenset[str]
    factory: bool


def load_adapter(text: str, *, name: str, holds: str, fields: frozenset[str]) -> Adapter:
    """
    Return the adapter written in `text` (TOML) for files that hold `holds` in some of our `fields`.

    :raises BrokenAdapter: if it is not TOML, a name is unknown or missing, or a value cannot be meant.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise BrokenAdapter(f"adapter {name} is not valid TOML: {problem}") from None
    known = {"holds", "format", "delimiter", "row", "fields", "constants", "ignore", "factory"}
    _only(document, known=known, where=f"adapter {name}")
    if document.get("holds") != holds:
        raise BrokenAdapter(f'adapter {name} is not for this file: it must say holds = "{holds}"')
    if document.get("format") not in ("csv", "xml"):
        raise BrokenAdapter(f'adapter {name}: format must be "csv" or "xml"')
    is_xml = document["format"] == "xml"
    row = document.get("row", "")
    if not isinstance(row, str) or bool(row) != is_xml:
        raise BrokenAdapter(
            f'adapter {name}: XML needs row, the path of a meter, as "Shipment/Meter"; CSV none'
        )
    delimiter = document.get("delimiter", ",")
    if delimiter not in (",", ";", "\t", "|"):
        raise BrokenAdapter(f"adapter {name}: delimiter must be a comma, a semicolon, a tab or a bar")
    ignored = document.get("ignore", [])
    if not isinstance(ignored, list) or not all(isinstance(each, str) for each in ignored):
        raise BrokenAdapter(f"adapter {name}: ignore must be a list of columns or paths")
    factory = document.get("factory", True)
    if not isinstance(factory, bool):
        raise BrokenAdapter(f"adapter {name}: factory must be true or false")
    constants = _texts(document.get("constants", {}), where=f"adapter {name}: constants")
    sources = _sources(document.get("fields"), name=name, is_xml=is_xml)
    _check_fields(sources=sources, constants=constants, fields=fields, name=name)
    return Adapter(
        name=name,
        holds=holds,
        is_xml=is_xml,
        delimiter=delimiter,
        row=tuple(row.split("/")) if row else (),
        fields=MappingProxyType(sources),
        constants=MappingProxyType(constants),
        ignored=frozenset(each if is_xml else each.lower() for each in ignored),
        factory=factory,
    )


def adapted_rows(octets: bytes, *, adapter: Adapter) -> tuple[CsvRow, ...]:
    """
    Return the meters of a vendor's file, their cells by our fields, each with its line in the file.

    :raises BrokenTable: if the file is not as the adapter says; the message names the line and no cell's content.
    """
    if len(octets) > FILE_OCTETS_MAX:
        raise BrokenTable(f"more than {FILE_OCTETS_MAX} octets; split the file")
    if octets.startswith(ZIP_START):
        raise BrokenTable("it is a zip archive; unpack it and give the file in it")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BrokenTable("it is not UTF-8; save it as UTF-8") from None
    rows = _XmlRows(adapter).read(text) if adapter.is_xml else _table(text, adapter)
    if not rows:
        raise BrokenTable("there is no meter in it; check that it is whole and of this adapter")
    return tuple(_ours(row, adapter) for row in rows)


def _table(text: str, adapter: Adapter) -> tuple[CsvRow, ...]:
    sources = adapter.fields.values()
    required = dict.fromkeys(source.place for source in sources if not source.optional)
    optional = {source.place for source in sources if source.optional} | adapter.ignored
    return csv_rows(
        text, required=tuple(required), optional=sorted(optional - set(required)), delimiter=adapter.delimiter
    )


def _ours(row: CsvRow, adapter: Adapter) -> CsvRow:
    cells = dict(adapter.constants)
    for field, source in adapter.fields.items():
        cell = row[source.place]
        if not cell and not source.optional:
            raise BrokenTable(f"line {row.line}: {source.place} is missing or empty; ask the vendor for it")
        if cell and source.values:
            if cell not in source.values:
                words = ", ".join(source.values)
                raise BrokenTable(
                    f"line {row.line}: {source.place} is none of {words}; add it to the adapter"
                )
            cell = source.values[cell]
        cells[field] = cell
    return CsvRow(line=row.line, cells=cells)


class _XmlRows:
    """The meters of an XML text, by events."""

    def __init__(self, adapter: Adapter) -> None:
        self._row = adapter.row
        self._known = {source.place for source in adapter.fields.values()} | adapter.ignored
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._path: list[str] = []
        self._texts: list[list[str]] = []
        self._cells: dict[str, str] = {}
        self._line = 0
        self._rows: list[CsvRow] = []

    def read(self, text: str) -> tuple[CsvRow, ...]:
        try:
            for first in range(0, len(text), XML_BITE):
                self._parser.Parse(text[first : first + XML_BITE].encode(), False)  # noqa: FBT003
            self._parser.Parse(b"", True)  # noqa: FBT003
        except expat.ExpatError as problem:
            why = expat.errors.messages.get(problem.code, "not XML")
            raise BrokenTable(
                f"line {problem.lineno}: {why}; the file is torn or no XML, fetch it anew"
            ) from None
        return tuple(self._rows)

    def _fail(self, why: str) -> BrokenTable:
        return BrokenTable(f"line {self._parser.CurrentLineNumber}: {why}")

    def _doctype(self, *_: object) -> None:
        raise self._fail("a DOCTYPE stands in it, which is never read; ask the vendor for a file without one")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        self._path.append(name)
        self._texts.append([])
        depth = len(self._row)
        if len(self._path) > XML_DEPTH_MAX:
            raise self._fail(f"elements lie deeper than {XML_DEPTH_MAX}; this is no file of meters")
        if tuple(self._path) == self._row:
            if len(self._rows) >= XML_ROWS_MAX:
                raise self._fail(f"more than {XML_ROWS_MAX} meters; split the file")
            self._cells, self._line = {}, self._parser.CurrentLineNumber
        if tuple(self._path[:depth]) == self._row:
            below = self._path[depth:]
            for attribute, value in attributes.items():
                self._take("/".join((*below, f"@{attribute.rpartition(' ')[2]}")), value)

    def _data(self, text: str) -> None:
        if len(self._path) > len(self._row) and tuple(self._path[: len(self._row)]) == self._row:
            held = self._texts[-1]
            held.append(text)
            if len(held) > CSV_CELL_MAX or sum(map(len, held)) > CSV_CELL_MAX:
                raise self._fail("a text is too long for a field; this is no file of meters")

    def _end(self, _tag: str) -> None:
        depth = len(self._row)
        text = "".join(self._texts.pop()).strip()
        if tuple(self._path) == self._row:
            self._rows.append(CsvRow(line=self._line, cells=self._cells))
        elif tuple(self._path[:depth]) == self._row:
            place = "/".join(self._path[depth:])
            if text or place in self._known:
                self._take(place, text)
        self._path.pop()

    def _take(self, place: str, text: str) -> None:
        if place not in self._known:
            raise self._fail(f"{place} is unknown to the adapter; name it in a field or under ignore")
        if place in self._cells:
            raise self._fail(f"{place} is there twice for one meter; leave one")
        if len(text) > CSV_CELL_MAX or len(self._cells) >= XML_CELLS_MAX:
            raise self._fail(f"{place} is too long, or a meter has too many; this is no file of meters")
        self._cells[place] = text.strip()


def _sources(table: object, *, name: str, is_xml: bool) -> dict[str, Source]:
    if not isinstance(table, dict) or not 0 < len(table) <= FIELDS_MAX:
        raise BrokenAdapter(f"adapter {name}: it needs the fields, as [fields.serial]")
    found: dict[str, Source] = {}
    for field, entry in table.items():
        where = f"adapter {name}: field {field}"
        if not isinstance(entry, dict):
            raise BrokenAdapter(f'{where} must be a table, as {{from = "Serial No"}}')
        _only(entry, known={"from", "as", "optional", "wrapped", "values"}, where=where)
        place, encoding = entry.get("from"), entry.get("as", "text")
        if not isinstance(place, str) or not place:
            raise BrokenAdapter(f"{where}: from must name a column or a path")
        if encoding not in tuple(Encoding):
            raise BrokenAdapter(f"{where}: as must be one of {', '.join(Encoding)}")
        for flag in ("optional", "wrapped"):
            if not isinstance(entry.get(flag, False), bool):
                raise BrokenAdapter(f"{where}: {flag} must be true or false")
        found[field] = Source(
            place=place if is_xml else place.lower(),
            encoding=Encoding(encoding),
            optional=entry.get("optional", False),
            wrapped=entry.get("wrapped", False),
            values=MappingProxyType(_texts(entry.get("values", {}), where=f"{where}: values")),
        )
    return found


def _check_fields(
    *, sources: Mapping[str, Source], constants: Mapping[str, str], fields: frozenset[str], name: str
) -> None:
    for field in (*sources, *constants):
        if field not in fields:
            raise BrokenAdapter(f"adapter {name}: unknown field {field} (known: {', '.join(sorted(fields))})")
        if field in sources and field in constants:
            raise BrokenAdapter(f"adapter {name}: {field} is a field and a constant; leave one")


def _texts(table: object, *, where: str) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise BrokenAdapter(f"{where} must be a table of texts")
    return table


def _only(table: Mapping[str, object], *, known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise BrokenAdapter(f"{where}: unknown name {unknown[0]} (known here: {', '.join(sorted(known))})")
