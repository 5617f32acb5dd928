"""What other rooms may do to offices, people and the audit, and how people sign in."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.text import CODE_MAX, NAME_MAX, check_text
from bijlighar.offices import queries, rules, store
from bijlighar.offices.errors import KnownPerson
from bijlighar.offices.model import Act, Office, Person, Role
from bijlighar.offices.passwords import Passwords
from bijlighar.offices.recording import SYSTEM, record_act
from bijlighar.offices.signing_in import (
    end_session,
    end_sessions_of,
    mark_seen,
    open_session,
    set_password,
    sign_in,
)

__all__ = [
    "SYSTEM",
    "Passwords",
    "add_office",
    "add_person",
    "authorise",
    "change_person",
    "end_session",
    "end_sessions_of",
    "import_offices",
    "mark_seen",
    "open_session",
    "record_act",
    "set_password",
    "sign_in",
]


def add_office(connection: Connection, *, office: Office) -> None:
    """
    Add the office, or change it where its code is known.

    :raises BrokenTree: if its parent is unknown or does not stand above it.
    """
    _save_tree(connection, offices=(office,))


def import_offices(connection: Connection, *, text: str) -> int:
    """
    Take in offices from CSV (code, name_en, name_hi, level, parent) and return how many were new or changed.

    :raises UnreadableFile: if a row cannot be understood; nothing is stored then.
    :raises BrokenTree: if the offices would not form a tree; nothing is stored then.
    """
    return _save_tree(connection, offices=rules.parse_offices(text))


def _save_tree(connection: Connection, *, offices: Iterable[Office]) -> int:
    known = {office.code: office for office in store.offices(connection)}
    changed = tuple(office for office in offices if known.get(office.code) != office)
    rules.check_tree((known | {office.code: office for office in changed}).values())
    store.save_offices(connection, saved=changed)
    return len(changed)


def add_person(
    connection: Connection,
    *,
    sign_in: str,
    name: str,
    office: str,
    roles: Iterable[Role],
    now: datetime,
    by: str = SYSTEM,
) -> Person:
    """
    Add a person; adding the same person again changes nothing.

    :raises UnknownOffice: if the office is unknown.
    :raises InvalidValue: if the name or the roles are empty or too long.
    :raises KnownPerson: if the sign-in name is known with other facts.
    """
    key = rules.normal_sign_in(check_text(sign_in, what="the sign-in name", letters_max=CODE_MAX))
    if not key or len(key) > CODE_MAX or any(sign.isspace() for sign in key):
        raise InvalidValue(f"{sign_in!r} is no sign-in name; use one word of at most {CODE_MAX} letters")
    added = Person(
        sign_in=key,
        name=check_text(name.strip(), what="the full name", letters_max=NAME_MAX) or key,
        office=office,
        roles=frozenset(Role(role) for role in roles),
        active=True,
    )
    if not added.roles:
        raise InvalidValue(f"give {key} at least one role of {', '.join(Role)}")
    if key == SYSTEM:
        raise InvalidValue(f"{SYSTEM!r} is the system's own name; choose another")
    queries.office(connection, code=office)
    known = store.person(connection, sign_in=key)
    if known == added:
        return known
    if known is not None:
        raise KnownPerson(
            f"{key} is there already, at office {known.office} as {', '.join(sorted(known.roles))}; "
            "use `bijlighar person change`"
        )
    store.save_person(connection, saved=added)
    _record_person(connection, person=added, by=by, now=now)
    return added


def change_person(
    connection: Connection,
    *,
    sign_in: str,
    now: datetime,
    by: str = SYSTEM,
    name: str | None = None,
    office: str | None = None,
    roles: Iterable[Role] | None = None,
    active: bool | None = None,
) -> Person:
    """
    Change the given facts of a person; None leaves a fact as it is. Who is made inactive is signed out.

    :raises UnknownPerson: if there is no such person.
    :raises UnknownOffice: if the office is unknown.
    :raises InvalidValue: if the name is too long, or no text.
    """
    known = queries.person(connection, sign_in=sign_in)
    changed = replace(
        known,
        name=known.name
        if name is None
        else check_text(name, what="the full name", letters_max=NAME_MAX).strip() or known.sign_in,
        office=known.office if office is None else queries.office(connection, code=office).code,
        roles=known.roles if roles is None else frozenset(Role(role) for role in roles),
        active=known.active if active is None else active,
    )
    if changed != known:
        store.save_person(connection, saved=changed)
        if not changed.active:
            end_sessions_of(connection, sign_in=changed.sign_in)
        _record_person(connection, person=changed, by=by, now=now)
    return changed


def _record_person(connection: Connection, *, person: Person, by: str, now: datetime) -> None:
    detail = {"name": person.name, "office": person.office, "roles": person.roles, "active": person.active}
    record_act(connection, person=by, act=Act.MANAGE_PEOPLE, subject=person.sign_in, detail=detail, now=now)


def authorise(connection: Connection, *, sign_in: str, act: Act, office: str | None) -> Person:
    """
    Return the person, if they may do `act` at `office`; None as office means that the act concerns no one office.

    :raises UnknownPerson: if nobody signs in so.
    :raises UnknownOffice: if the office is unknown.
    :raises NotPermitted: if the role does not allow it, or the office is not the person's own or below it.
    """
    person = queries.person(connection, sign_in=sign_in)
    if office is not None:
        queries.office(connection, code=office)
    below = rules.branch(store.offices(connection), code=person.office)
    rules.check_permitted(person=person, act=act, office=office, branch_of_person=below)
    return person
