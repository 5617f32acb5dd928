"""Who may do what and where, four eyes, the audit's chain, and reading the file of offices."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from bijlighar.base.tables import BrokenTable, CsvRow, csv_rows
from bijlighar.base.text import NAME_MAX
from bijlighar.base.words import Words
from bijlighar.offices.errors import (
    BrokenTree,
    NotPermitted,
    SamePerson,
    UnreadableFile,
    UnrecordableDetail,
)
from bijlighar.offices.model import ROLES_OF_ACT, Act, AuditEntry, Office, OfficeLevel, Person

LEVELS = tuple(OfficeLevel)
DEPTH_MAX = len(LEVELS)
NO_HASH = "0" * 64
#: As long as the code of an office may be wherever one is stored.
OFFICE_CODE_MAX = 32

OFFICE_COLUMNS = ("code", "name_en", "name_hi", "level", "parent")


def parse_offices(text: str) -> tuple[Office, ...]:
    """
    Return the offices of a CSV file with the columns code, name_en, name_hi, level, parent.

    :raises UnreadableFile: if a row cannot be understood; nothing of the file is taken then.
    """
    offices: dict[str, Office] = {}
    for row in _rows(text):
        code = row["code"]
        if not code:
            raise UnreadableFile(f"line {row.line}, column code: empty; give each office a code")
        for column, letters_max in (
            ("code", OFFICE_CODE_MAX),
            ("parent", OFFICE_CODE_MAX),
            ("name_en", NAME_MAX),
            ("name_hi", NAME_MAX),
        ):
            if len(row[column]) > letters_max:
                raise UnreadableFile(
                    f"line {row.line}, column {column}: longer than {letters_max} letters; shorten it"
                )
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


def _rows(text: str) -> tuple[CsvRow, ...]:
    try:
        return csv_rows(text, required=("code", "level", "parent"), optional=("name_en", "name_hi"))
    except BrokenTable as problem:
        raise UnreadableFile(str(problem)) from None


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
