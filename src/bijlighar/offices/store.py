"""The tables of this room."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Boolean, Column, Connection, ForeignKey, String, Table, Text, select
from sqlalchemy.engine import Row

from bijlighar.base.words import Words
from bijlighar.offices.model import AuditEntry, Office, OfficeLevel, Person, Role
from bijlighar.offices.rules import NO_HASH
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

AUDIT_PAGE = 1_000
AUDIT_PAGES_MAX = 1_000_000

_office = Table(
    "offices_office",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name_hi", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("level", String(16), nullable=False),
    Column("parent", String(64)),
)

_person = Table(
    "offices_person",
    metadata,
    Column("sign_in", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("office", String(64), ForeignKey("offices_office.code"), nullable=False),
    Column("roles", Document, nullable=False),
    Column("active", Boolean, nullable=False),
)

_audit = append_only(
    Table(
        "offices_audit",
        metadata,
        Column("number", Whole, primary_key=True, autoincrement=False),
        Column("at", Moment, nullable=False),
        Column("person", String(64), nullable=False),
        Column("act", String(64), nullable=False),
        Column("subject", Text, nullable=False, index=True),
        Column("detail", Text, nullable=False),
        Column("previous_hash", String(64), nullable=False),
        Column("entry_hash", String(64), nullable=False),
    )
)

#: One row, the end of the chain: writers queue on it, and a cut-off tail shows.
_audit_head = Table(
    "offices_audit_head",
    metadata,
    Column("chain", Whole, primary_key=True, autoincrement=False),
    Column("number", Whole, nullable=False),
    Column("entry_hash", String(64), nullable=False),
)
_THE_CHAIN = 1


def offices(connection: Connection) -> tuple[Office, ...]:
    """Return every office, by code."""
    rows = connection.execute(select(_office).order_by(_office.c.code))
    return tuple(
        Office(
            code=row.code,
            name=Words(hi=row.name_hi, en=row.name_en),
            level=OfficeLevel(row.level),
            parent=row.parent,
        )
        for row in rows
    )


def save_offices(connection: Connection, *, saved: Sequence[Office]) -> None:
    """Insert the offices, or overwrite them where the code is known."""
    if not saved:
        return
    statement = insert_for(connection, _office)
    statement = statement.on_conflict_do_update(
        index_elements=[_office.c.code],
        set_={name: statement.excluded[name] for name in ("name_hi", "name_en", "level", "parent")},
    )
    rows = [
        {
            "code": office.code,
            "name_hi": office.name.hi,
            "name_en": office.name.en,
            "level": str(office.level),
            "parent": office.parent,
        }
        for office in saved
    ]
    connection.execute(statement, rows)


def person(connection: Connection, *, sign_in: str) -> Person | None:
    """Return the person with this sign-in name."""
    row = connection.execute(select(_person).where(_person.c.sign_in == sign_in)).one_or_none()
    return None if row is None else _person_of(row)


def people(connection: Connection) -> tuple[Person, ...]:
    """Return every person, by sign-in name."""
    return tuple(_person_of(row) for row in connection.execute(select(_person).order_by(_person.c.sign_in)))


def _person_of(row: Row[tuple[object, ...]]) -> Person:
    return Person(
        sign_in=row.sign_in,
        name=row.name,
        office=row.office,
        roles=frozenset(Role(role) for role in row.roles),
        active=row.active,
    )


def save_person(connection: Connection, *, saved: Person) -> None:
    """Insert the person, or overwrite them where the sign-in name is known."""
    values = {
        "name": saved.name,
        "office": saved.office,
        "roles": sorted(str(role) for role in saved.roles),
        "active": saved.active,
    }
    statement = insert_for(connection, _person).values(sign_in=saved.sign_in, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[_person.c.sign_in], set_=values))


def lock_audit_head(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last entry and keep every other writer waiting to the end of the transaction."""
    first = insert_for(connection, _audit_head).values(chain=_THE_CHAIN, number=0, entry_hash=NO_HASH)
    connection.execute(first.on_conflict_do_nothing())
    statement = select(_audit_head).where(_audit_head.c.chain == _THE_CHAIN).with_for_update()
    row = connection.execute(statement).one()
    return row.number, row.entry_hash


def audit_head(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last entry, without a lock."""
    row = connection.execute(select(_audit_head).where(_audit_head.c.chain == _THE_CHAIN)).one_or_none()
    return (0, NO_HASH) if row is None else (row.number, row.entry_hash)


def append_audit(connection: Connection, *, entry: AuditEntry) -> None:
    """Append the entry and move the head; the head must be locked."""
    values = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    connection.execute(_audit.insert().values(**values))
    connection.execute(
        _audit_head.update()
        .where(_audit_head.c.chain == _THE_CHAIN)
        .values(number=entry.number, entry_hash=entry.entry_hash)
    )


def audit_pages(connection: Connection) -> Iterator[tuple[AuditEntry, ...]]:
    """Yield the audit from its beginning, a page at a time."""
    after = 0
    for _ in range(AUDIT_PAGES_MAX):
        statement = select(_audit).where(_audit.c.number > after).order_by(_audit.c.number).limit(AUDIT_PAGE)
        page = tuple(_entry_of(row) for row in connection.execute(statement))
        if not page:
            return
        yield page
        after = page[-1].number


def last_audit(
    connection: Connection, *, limit: int, subject: str | None, before: int | None
) -> tuple[AuditEntry, ...]:
    """Return the last entries, newest first."""
    statement = select(_audit).order_by(_audit.c.number.desc()).limit(limit)
    if subject is not None:
        statement = statement.where(_audit.c.subject == subject)
    if before is not None:
        statement = statement.where(_audit.c.number < before)
    return tuple(_entry_of(row) for row in connection.execute(statement))


def _entry_of(row: Row[tuple[object, ...]]) -> AuditEntry:
    at: datetime = row.at
    return AuditEntry(
        number=row.number,
        at=at,
        person=row.person,
        act=row.act,
        subject=row.subject,
        detail=row.detail,
        previous_hash=row.previous_hash,
        entry_hash=row.entry_hash,
    )
