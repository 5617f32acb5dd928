"""Who may do and see what and where, four eyes, signing in, the audit's chain, and the file of offices."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from unicodedata import category, normalize

from bijlighar.base.tables import BrokenTable, CsvRow, csv_rows
from bijlighar.base.text import CODE_MAX, NAME_MAX, check_text
from bijlighar.base.words import Words
from bijlighar.offices.errors import (
    BrokenTree,
    NotPermitted,
    SamePerson,
    UnreadableFile,
    UnrecordableDetail,
    WeakPassword,
)
from bijlighar.offices.model import (
    ROLES_OF_ACT,
    ROLES_OF_VIEW,
    Act,
    AuditEntry,
    Office,
    OfficeLevel,
    Person,
    Session,
    View,
)

LEVELS = tuple(OfficeLevel)
DEPTH_MAX = len(LEVELS)
NO_HASH = "0" * 64
#: As long as the code of an office may be wherever one is stored.
OFFICE_CODE_MAX = 32

PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 200
#: Unicode categories of signs that are no text: control signs, halves of signs, signs not given out.
NO_TEXT = frozenset({"Cc", "Cs", "Cn"})

#: A shift: whoever works longer signs in again.
SESSION_LIFE = timedelta(hours=12)
#: A screen that nobody has touched for so long is no longer theirs.
SESSION_UNSEEN_MAX = timedelta(hours=2)
#: How exactly it is kept when a session was last seen: each time costs a write.
SEEN_EVERY = timedelta(minutes=1)

FAILURES_BEFORE_LOCK = 5
LOCK_FIRST = timedelta(minutes=1)
LOCK_MAX = timedelta(minutes=60)
#: How long a failed sign-in counts against its name.
FAILURES_KEPT = timedelta(hours=24)
#: More than these of one name lock it no longer than these do.
FAILURES_OF_NAME_MAX = 20
ADDRESS_FAILURES_MAX = 30
ADDRESS_WINDOW = timedelta(minutes=10)
ADDRESS_LENGTH_MAX = 64
#: Whoever has one IPv6 address has the rest of its network too.
IPV6_PREFIX = 64

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


def check_view(*, person: Person, view: View) -> None:
    """
    Check that `person` may see the pages of `view`.

    :raises NotPermitted: if the person is inactive or has no fitting role.
    """
    if not person.active:
        raise NotPermitted(f"{person.sign_in} is no longer active; another person must do this")
    allowed = ROLES_OF_VIEW[view]
    if not person.roles & allowed:
        needed = " or ".join(sorted(allowed))
        raise NotPermitted(f"{person.sign_in} may not see {view}; it needs the role {needed}")


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


def sign_in_key(text: str) -> str:
    """
    Return the name as which somebody wants to sign in, as it would be stored.

    :raises InvalidValue: if nobody can have such a name: it is too long, or no text.
    """
    key = normal_sign_in(check_text(text, what="the sign-in name", letters_max=CODE_MAX))
    return check_text(key, what="the sign-in name", letters_max=CODE_MAX)  # some letters grow when made small


def normal_password(text: str) -> str:
    """
    Return a password as it is hashed, so that two keyboards that write one letter differently agree.

    >>> normal_password("\u0958") == normal_password("\u0915\u093c")
    True
    """
    return normalize("NFKC", text)


def check_password(*, sign_in: str, password: str) -> None:
    """
    Check that `password` may be the password of who signs in as `sign_in`.

    :raises WeakPassword: if it is too short, too long, no text, the sign-in name, or one character over and over.
    """
    normal = normal_password(password[:PASSWORD_LENGTH_MAX])
    if len(normal) < PASSWORD_LENGTH_MIN:
        raise WeakPassword(f"the password is too short; take at least {PASSWORD_LENGTH_MIN} characters")
    if max(len(password), len(normal)) > PASSWORD_LENGTH_MAX:
        raise WeakPassword(f"the password is too long; take at most {PASSWORD_LENGTH_MAX} characters")
    if any(category(sign) in NO_TEXT for sign in normal):
        raise WeakPassword("the password holds a sign that no keyboard writes; take letters, digits, signs")
    if normal_sign_in(normal) == normal_sign_in(sign_in):
        raise WeakPassword("the password is the sign-in name; take another")
    if len(set(normal.casefold())) == 1:
        raise WeakPassword("the password is one character over and over; take several")


def locked_until(failed_at: Sequence[datetime]) -> datetime | None:
    """
    Return until when a name is locked that failed at these moments; None if it is not.

    The fifth failure locks it for one minute, each one after that for twice as long, an hour at most.
    """
    excess = len(failed_at) - FAILURES_BEFORE_LOCK
    if excess < 0:
        return None
    doublings = min(excess, FAILURES_OF_NAME_MAX)
    return max(failed_at) + min(LOCK_FIRST * (1 << doublings), LOCK_MAX)


def throttled_until(failed_at: Sequence[datetime]) -> datetime | None:
    """Return until when an address must wait that failed at these moments, None if it need not."""
    if len(failed_at) < ADDRESS_FAILURES_MAX:
        return None
    return sorted(failed_at)[-ADDRESS_FAILURES_MAX] + ADDRESS_WINDOW


def address_key(address: str) -> str:
    """
    Return under which key failures from `address` are counted.

    >>> address_key("192.0.2.7"), address_key("::ffff:192.0.2.7"), address_key("2001:db8::7")
    ('192.0.2.7', '192.0.2.7', '2001:db8::/64')
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "".join(sign for sign in address if sign.isascii() and sign.isprintable())[:ADDRESS_LENGTH_MAX]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, IPV6_PREFIX), strict=False))


def token_hash(token: str) -> str:
    """
    Return the SHA-256 [hex] of a session's token.

    A token has 256 random bits, so that its hash need not be slow.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_live(session: Session, *, wall: datetime) -> bool:
    """Return whether the session still stands at `wall` and its person may still act."""
    unseen = wall - session.seen_at
    return wall < session.expires_at and unseen < SESSION_UNSEEN_MAX and session.person.active


def is_to_be_marked(session: Session, *, wall: datetime) -> bool:
    """Return whether it is so long since the session was last marked as seen that it must be marked again."""
    return wall - session.seen_at >= SEEN_EVERY


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
