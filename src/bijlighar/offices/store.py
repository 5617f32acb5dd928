"""The tables of this room."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    or_,
    select,
)
from sqlalchemy.engine import Row

from bijlighar.base.words import Words
from bijlighar.offices.model import AuditEntry, Office, OfficeLevel, Person, Role, Session
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

_credential = Table(
    "offices_credential",
    metadata,
    Column("sign_in", String(64), ForeignKey("offices_person.sign_in"), primary_key=True),
    Column("password_hash", String(256), nullable=False),
    Column("changed_at", Moment, nullable=False),
)

_session = Table(
    "offices_session",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("sign_in", String(64), ForeignKey("offices_person.sign_in"), nullable=False, index=True),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

#: Sign-ins that failed, with names that nobody has too: otherwise a lock would tell which names there are.
#: `name` is empty once its owner has signed in; the row still counts against the address.
_failure = Table(
    "offices_sign_in_failure",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("name", String(64)),
    Column("address", String(64), nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Index("ix_offices_sign_in_failure_name_at", "name", "at"),
    Index("ix_offices_sign_in_failure_address_at", "address", "at"),
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


def password_hash(connection: Connection, *, sign_in: str, locked: bool = False) -> str | None:
    """Return the hash of the person's password; `locked` keeps it as it is to the end of the transaction."""
    statement = select(_credential.c.password_hash).where(_credential.c.sign_in == sign_in)
    if locked:
        statement = statement.with_for_update()
    found: str | None = connection.execute(statement).scalar_one_or_none()
    return found


def save_password_hash(connection: Connection, *, sign_in: str, saved: str, changed_at: datetime) -> None:
    """Insert the hash of the person's password, or overwrite it."""
    values = {"password_hash": saved, "changed_at": changed_at}
    statement = insert_for(connection, _credential).values(sign_in=sign_in, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[_credential.c.sign_in], set_=values))


def replace_password_hash(connection: Connection, *, sign_in: str, saved: str) -> None:
    """Overwrite the hash of a password that stays the same."""
    connection.execute(
        _credential.update().where(_credential.c.sign_in == sign_in).values(password_hash=saved)
    )


def add_failure(connection: Connection, *, name: str, address: str, at: datetime) -> int:
    """Store a failed sign-in and return its number."""
    statement = _failure.insert().values(name=name, address=address, at=at).returning(_failure.c.number)
    number: int = connection.execute(statement).scalar_one()
    return number


def remove_failure(connection: Connection, *, number: int) -> None:
    """Remove a failed sign-in that was none."""
    connection.execute(_failure.delete().where(_failure.c.number == number))


def forgive_failures(connection: Connection, *, name: str) -> None:
    """Let the failed sign-ins with this name no longer count against it."""
    connection.execute(_failure.update().where(_failure.c.name == name).values(name=None))


def failures_of_name(
    connection: Connection, *, name: str, after: datetime, limit: int
) -> tuple[datetime, ...]:
    """Return when signing in with this name failed, newest first."""
    return _failed_at(connection, matching=_failure.c.name == name, after=after, limit=limit)


def failures_of_address(
    connection: Connection, *, address: str, after: datetime, limit: int
) -> tuple[datetime, ...]:
    """Return when signing in from this address failed, newest first."""
    return _failed_at(connection, matching=_failure.c.address == address, after=after, limit=limit)


def _failed_at(
    connection: Connection, *, matching: ColumnElement[bool], after: datetime, limit: int
) -> tuple[datetime, ...]:
    statement = select(_failure.c.at).where(matching, _failure.c.at > after)
    return tuple(connection.execute(statement.order_by(_failure.c.at.desc()).limit(limit)).scalars())


def sweep_failures(connection: Connection, *, until: datetime, limit: int) -> None:
    """Delete failed sign-ins of `until` and before, at most `limit`."""
    old = select(_failure.c.number).where(_failure.c.at <= until).order_by(_failure.c.at).limit(limit)
    connection.execute(_failure.delete().where(_failure.c.number.in_(old.scalar_subquery())))


def add_session(connection: Connection, *, token_hash: str, saved: Session) -> None:
    """Store a session."""
    values = {name: getattr(saved, name) for name in ("started_at", "seen_at", "expires_at")}
    connection.execute(
        _session.insert().values(token_hash=token_hash, sign_in=saved.person.sign_in, **values)
    )


def session(connection: Connection, *, token_hash: str) -> Session | None:
    """Return the session with its person as they stand now."""
    times = (_session.c.started_at, _session.c.seen_at, _session.c.expires_at)
    statement = select(_person, *times).join(_session, _session.c.sign_in == _person.c.sign_in)
    row = connection.execute(statement.where(_session.c.token_hash == token_hash)).one_or_none()
    if row is None:
        return None
    return Session(
        person=_person_of(row),
        started_at=row.started_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
    )


def move_seen_at(connection: Connection, *, token_hash: str, seen_at: datetime) -> None:
    """Store when the session was last seen."""
    connection.execute(_session.update().where(_session.c.token_hash == token_hash).values(seen_at=seen_at))


def remove_session(connection: Connection, *, token_hash: str) -> None:
    """Delete the session."""
    connection.execute(_session.delete().where(_session.c.token_hash == token_hash))


def remove_sessions_of(connection: Connection, *, sign_in: str, kept: int = 0) -> None:
    """Delete the person's sessions but for the `kept` newest."""
    statement = _session.delete().where(_session.c.sign_in == sign_in)
    if kept:
        newest = select(_session.c.token_hash).where(_session.c.sign_in == sign_in)
        newest = newest.order_by(_session.c.started_at.desc(), _session.c.token_hash).limit(kept)
        statement = statement.where(_session.c.token_hash.not_in(newest.scalar_subquery()))
    connection.execute(statement)


def sweep_sessions(connection: Connection, *, wall: datetime, seen_until: datetime, limit: int) -> None:
    """Delete sessions that have expired, or were last seen at `seen_until` or before, at most `limit`."""
    ended = or_(_session.c.expires_at <= wall, _session.c.seen_at <= seen_until)
    old = select(_session.c.token_hash).where(ended).limit(limit)
    connection.execute(_session.delete().where(_session.c.token_hash.in_(old.scalar_subquery())))


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
