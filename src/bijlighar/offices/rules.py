"""Who may do what and where, four eyes, the audit's chain, and reading a CSV file with its line numbers."""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bijlighar.base.words import Words
from bijlighar.offices.errors import BrokenTree, NotPermitted, SamePerson, UnrecordableDetail
from bijlighar.offices.errors import (
    UnreadableFile as UnreadableFile,  # raised here, caught by the readers of files
)
from bijlighar.offices.model import ROLES_OF_ACT, Act, AuditEntry, Office, OfficeLevel, Person

LEVELS = tuple(OfficeLevel)
DEPTH_MAX = len(LEVELS)
CSV_ROWS_MAX = 2_000_000
CSV_CELL_MAX = 2_000
NO_HASH = "0" * 64

OFFICE_COLUMNS = ("code", "name_en", "name_hi", "level", "parent")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRow:
    """A row of a CSV file: its line in the file and its cells by column, stripped; an absent column is empty."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """Return the cell of `column`, empty if the file has no such column."""
        return self.cells.get(column, "")


def csv_rows(text: str, *, required: Sequence[str], optional: Sequence[str] = ()) -> tuple[CsvRow, ...]:
    r"""
    Return the rows of a CSV file with a header line; blank lines are passed over.

    >>> csv_rows("code,level\nMHOW,division\n", required=("code", "level"))[0]["code"]
    'MHOW'

    :raises UnreadableFile: if a column is missing, unknown or twice there, or a line has too many or few cells.
    """
    reader = csv.reader((f"{line}\n" for line in text.removeprefix("\ufeff").split("\n")), strict=True)
    rows: list[CsvRow] = []
    try:
        header = _header(next(reader, []), required=required, optional=optional)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UnreadableFile(
                    f"line {reader.line_num}: {len(cells)} cells where the header has {len(header)}; "
                    "check commas and quotation marks"
                )
            for column, cell in zip(header, cells, strict=True):
                if len(cell) > CSV_CELL_MAX or "\x00" in cell:
                    raise UnreadableFile(
                        f"line {reader.line_num}, column {column}: not a text of a registry; shorten it"
                    )
            stripped = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
            rows.append(CsvRow(line=reader.line_num, cells=stripped))
            if len(rows) > CSV_ROWS_MAX:
                raise UnreadableFile(f"more than {CSV_ROWS_MAX} rows; split the file")
    except csv.Error as problem:
        raise UnreadableFile(f"line {reader.line_num}: {problem}; check commas and quotation marks") from None
    return tuple(rows)


def _header(cells: Sequence[str], *, required: Sequence[str], optional: Sequence[str]) -> tuple[str, ...]:
    header = tuple(cell.strip().lower() for cell in cells)
    if not any(header):
        raise UnreadableFile(f"line 1: no header; the columns are {','.join((*required, *optional))}")
    missing = [column for column in required if column not in header]
    if missing:
        raise UnreadableFile(f"line 1: column {missing[0]} is missing; the columns are {','.join(required)}")
    for column in header:
        if column not in required and column not in optional:
            known = ",".join((*required, *optional))
            raise UnreadableFile(f"line 1: column {column or '(empty)'} is unknown; the columns are {known}")
        if header.count(column) > 1:
            raise UnreadableFile(f"line 1: column {column} is there twice; leave one")
    return header


def parse_offices(text: str) -> tuple[Office, ...]:
    """
    Return the offices of a CSV file with the columns code, name_en, name_hi, level, parent.

    :raises UnreadableFile: if a row cannot be understood; nothing of the file is taken then.
    """
    offices: dict[str, Office] = {}
    for row in csv_rows(text, required=("code", "level", "parent"), optional=("name_en", "name_hi")):
        code = row["code"]
        if not code:
            raise UnreadableFile(f"line {row.line}, column code: empty; give each office a code")
        if code in offices:
            raise UnreadableFile(
                f"line {row.line}, column code: {code} stands on an earlier line too; leave one"
            )
        level = row["level"].lower().replace("_", "-").replace(" ", "-")
        if level not in LEVELS:
            known = ", ".join(LEVELS)
            raise UnreadableFile(
                f"line {row.line}, column level: {row['level']!r} is unknown; use one of {known}"
            )
        english = row["name_en"] or code
        offices[code] = Office(
            code=code,
            name=Words(hi=row["name_hi"] or english, en=english),
            level=OfficeLevel(level),
            parent=row["parent"] or None,
        )
    return tuple(offices.values())


def check_tree(offices: Iterable[Office]) -> None:
    """
    Check that every parent exists and stands on a higher level.

    :raises BrokenTree: if one does not.
    """
    by_code = {office.code: office for office in offices}
    for office in by_code.values():
        if office.parent is None:
            continue
        parent = by_code.get(office.parent)
        if parent is None:
            raise BrokenTree(
                f"the parent {office.parent} of office {office.code} is unknown; add it to the file"
            )
        if LEVELS.index(parent.level) >= LEVELS.index(office.level):
            raise BrokenTree(
                f"office {office.code} ({office.level}) cannot stand below {parent.code} ({parent.level}); "
                f"the levels are {' > '.join(LEVELS)}"
            )


def branch(offices: Iterable[Office], *, code: str) -> tuple[str, ...]:
    """Return the codes of the office `code` and of all below it, itself first."""
    children: dict[str, list[str]] = {}
    for office in offices:
        if office.parent is not None:
            children.setdefault(office.parent, []).append(office.code)
    found = [code]
    level = [code]
    for _ in range(DEPTH_MAX):
        level = [child for parent in level for child in sorted(children.get(parent, ()))]
        found.extend(level)
    return tuple(found)


def check_permitted(*, person: Person, act: Act, office: str | None, branch_of_person: Iterable[str]) -> None:
    """
    Check that `person` may do `act` at `office`; an `office` of None means that the act concerns no one office.

    :raises NotPermitted: if the person is inactive, has no fitting role, or the office is not in their branch.
    """
    if not person.active:
        raise NotPermitted(f"{person.sign_in} is no longer active; another person must do this")
    allowed = ROLES_OF_ACT[act]
    if not person.roles & allowed:
        needed = " or ".join(sorted(allowed))
        raise NotPermitted(f"{person.sign_in} may not {act.replace('_', ' ')}; it needs the role {needed}")
    if office is not None and office not in set(branch_of_person):
        raise NotPermitted(
            f"{person.sign_in} of office {person.office} may not act for office {office}; "
            "a person of that office or one above it must do this"
        )


def check_other_person(*, proposer: str, approver: str) -> None:
    """
    Check that two persons are concerned (four eyes).

    :raises SamePerson: if the approver is the proposer.
    """
    if normal_sign_in(proposer) == normal_sign_in(approver):
        raise SamePerson(f"{approver} proposed this and cannot approve it; another person must")


def normal_sign_in(text: str) -> str:
    """
    Return a sign-in name as it is stored, so that capitals make no second person.

    >>> normal_sign_in(" Asha ")
    'asha'
    """
    return text.strip().casefold()


def canonical_json(detail: Mapping[str, object]) -> str:
    """
    Return `detail` as JSON with one spelling: sorted keys, no blanks, days and times in ISO 8601.

    >>> canonical_json({"b": 1, "a": date(2026, 4, 1)})
    '{"a":"2026-04-01","b":1}'

    :raises UnrecordableDetail: if a value is no JSON value, day, time or tuple.
    """
    try:
        return json.dumps(
            detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
        )
    except (TypeError, ValueError) as problem:
        raise UnrecordableDetail(f"the detail of an act cannot be recorded: {problem}") from None


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def hash_of_entry(
    *, number: int, at: datetime, person: str, act: str, subject: str, detail: str, previous_hash: str
) -> str:
    """Return the SHA-256 [hex] over the previous entry's hash and the canonical JSON of this entry."""
    text = canonical_json(
        {"number": number, "at": at, "person": person, "act": act, "subject": subject, "detail": detail}
    )
    return hashlib.sha256(previous_hash.encode() + text.encode()).hexdigest()


def first_broken(
    entries: Iterable[AuditEntry], *, number: int = 1, previous_hash: str = NO_HASH
) -> int | None:
    """Return the number of the first entry that does not continue the chain after `previous_hash`, None if all do."""
    for entry in entries:
        expected = hash_of_entry(
            number=number,
            at=entry.at,
            person=entry.person,
            act=entry.act,
            subject=entry.subject,
            detail=entry.detail,
            previous_hash=previous_hash,
        )
        if entry.number != number or entry.previous_hash != previous_hash or entry.entry_hash != expected:
            return number
        previous_hash = entry.entry_hash
        number += 1
    return None


def verify_chain(rows: Sequence[AuditEntry]) -> int | None:
    """Return the number of the first entry that breaks a chain read from its beginning, None if it is whole."""
    return first_broken(rows)
