"""What other rooms may ask about offices, people, who is signed in, and the audit."""

from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.text import CODE_MAX, NAME_MAX, check_text
from bijlighar.offices import rules, store
from bijlighar.offices.errors import UnknownOffice, UnknownPerson
from bijlighar.offices.model import AuditCheck, AuditEntry, Office, Person, Session

AUDIT_LIMIT_MAX = 10_000


def offices(connection: Connection) -> tuple[Office, ...]:
    """Return every office, by code."""
    return store.offices(connection)


def office(connection: Connection, *, code: str) -> Office:
    """
    Return the office with this code.

    :raises UnknownOffice: if there is none.
    """
    for found in store.offices(connection):
        if found.code == code:
            return found
    check_text(code, what="the office's code", letters_max=CODE_MAX)
    raise UnknownOffice(f"no office has the code {code!r}; import it with `bijlighar office import`")


def offices_below(connection: Connection, *, code: str) -> tuple[str, ...]:
    """
    Return the codes of the office and of all below it, itself first.

    :raises UnknownOffice: if there is no such office.
    """
    office(connection, code=code)
    return rules.branch(store.offices(connection), code=code)


def offices_in_sight(connection: Connection, *, person: Person) -> tuple[str, ...] | None:
    """Return the offices in a person's sight: None, which is all, at the company's head office, else their branch."""
    own = office(connection, code=person.office)
    return None if own.parent is None else offices_below(connection, code=own.code)


def person(connection: Connection, *, sign_in: str) -> Person:
    """
    Return the person with this sign-in name.

    :raises UnknownPerson: if there is none.
    :raises InvalidValue: if nobody can have this name.
    """
    check_text(sign_in, what="the sign-in name", letters_max=CODE_MAX)
    found = store.person(connection, sign_in=rules.normal_sign_in(sign_in))
    if found is None:
        raise UnknownPerson(f"nobody signs in as {sign_in!r}; add them with `bijlighar person add`")
    return found


def people(connection: Connection) -> tuple[Person, ...]:
    """Return every person, by sign-in name."""
    return store.people(connection)


def has_password(connection: Connection, *, sign_in: str) -> bool:
    """
    Return whether the person has a password to sign in with; False if there is no such person.

    :raises InvalidValue: if nobody can have this name.
    """
    return store.password_hash(connection, sign_in=rules.sign_in_key(sign_in)) is not None


def session(connection: Connection, *, token: str, wall: datetime) -> Session | None:
    """
    Return the session of a token with its person as they stand now.

    None if the token is unknown, its time is over, or the person is no longer active. This only reads: where
    `rules.is_to_be_marked` says so, `operations.mark_seen` keeps that the session was seen.
    """
    found = store.session(connection, token_hash=rules.token_hash(token))
    return found if found is not None and rules.is_live(found, wall=wall) else None


def audit(
    connection: Connection, *, limit: int, subject: str | None = None, before: int | None = None
) -> tuple[AuditEntry, ...]:
    """Return the last `limit` entries of the audit (before the entry `before`, about `subject`), newest first."""
    if subject is not None:
        check_text(subject, what="the subject", letters_max=NAME_MAX)
    return store.last_audit(connection, limit=min(limit, AUDIT_LIMIT_MAX), subject=subject, before=before)


def check_audit(connection: Connection) -> AuditCheck:
    """Return whether the whole audit is one unbroken chain that ends where its head says."""
    number, previous_hash = 0, rules.NO_HASH
    for page in store.audit_pages(connection):
        broken = rules.first_broken(page, number=number + 1, previous_hash=previous_hash)
        if broken is not None:
            return AuditCheck(entries=number, broken_at=broken)
        number, previous_hash = page[-1].number, page[-1].entry_hash
    whole = (number, previous_hash) == store.audit_head(connection)
    return AuditCheck(entries=number, broken_at=None if whole else number + 1)
