"""
Signing in with a password, and the sessions that come of it.

`wall` is the time of the wall clock: a demo's time runs faster than a person types.
"""

from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import Connection

from bijlighar.base.text import check_text
from bijlighar.offices import queries, rules, store
from bijlighar.offices.errors import NotPermitted, SignInLocked, WrongPassword
from bijlighar.offices.model import Act, NewSession, Person, Session
from bijlighar.offices.passwords import Passwords
from bijlighar.offices.recording import record_act
from bijlighar.storage.engine import Database

#: One sentence, whether the name or the password is wrong: which, is nobody's business.
WRONG = (
    "the sign-in name or password is wrong; write both anew, or ask the administrator to set a new password"
)
MINUTE = timedelta(minutes=1)
TOKEN_OCTETS = 32
#: How many screens one person may be signed in on; one more ends the oldest.
SESSIONS_OF_PERSON_MAX = 20
#: How many rows whose time is over are deleted at a sign-in.
SWEPT_MAX = 1_000

#: One for the process, so that its bound on memory holds for all who sign in.
PASSWORDS = Passwords()


def set_password(
    connection: Connection,
    *,
    sign_in: str,
    password: str,
    now: datetime,
    by: str,
    passwords: Passwords = PASSWORDS,
) -> None:
    """
    Set the person's password, end their sessions and a lock on their name; that it was done is recorded.

    :raises InvalidValue: if nobody can have this name.
    :raises UnknownPerson: if nobody signs in so.
    :raises WeakPassword: if the password is too short, too long or too easily guessed.
    """
    person = queries.person(connection, sign_in=sign_in)
    rules.check_password(sign_in=person.sign_in, password=password)
    # Not in one of the places of those who sign in: a flood of them shall not keep this transaction waiting.
    saved = passwords.hashed(password)
    store.save_password_hash(connection, sign_in=person.sign_in, saved=saved, changed_at=now)
    store.forgive_failures(connection, name=person.sign_in)
    end_sessions_of(connection, sign_in=person.sign_in)
    record_act(
        connection,
        person=by,
        act=Act.MANAGE_PEOPLE,
        subject=person.sign_in,
        detail={"password": "set"},
        now=now,
    )


def sign_in(
    database: Database,
    *,
    sign_in: str,
    password: str,
    address: str,
    wall: datetime,
    passwords: Passwords = PASSWORDS,
) -> NewSession:
    """
    Sign a person in who comes from `address`, and return their new session.

    It takes a tenth of a second or so, and waits where many sign in: call it in a thread. An attempt is counted as
    failed before the password is looked at, so that many at the same time win nothing.

    :raises InvalidValue: if the name or the password is longer than any can be, or no text.
    :raises WrongPassword: if the name is unknown, the password wrong, or the person no longer active.
    :raises SignInLocked: if the name or the address has failed too often; the password is not looked at then.
    :raises SignInBusy: if too many sign in at the same time.
    """
    name = rules.sign_in_key(sign_in)
    check_text(password, what="the password", letters_max=rules.PASSWORD_LENGTH_MAX)
    source = rules.address_key(address)
    with database.read() as connection:
        _check_open(connection, name=name, address=source, wall=wall)
    with passwords.place():
        with database.write() as connection:
            _check_open(connection, name=name, address=source, wall=wall)
            attempt = store.add_failure(connection, name=name, address=source, at=wall)
            known = store.password_hash(connection, sign_in=name)
        # No transaction is open here: hashing is slow, and others write meanwhile.
        right = passwords.is_right(password, known=known)
        if known is None or not right:
            raise WrongPassword(WRONG)
        renewed = passwords.hashed(password) if passwords.is_outdated(known) else None
    with database.write() as connection:
        person = _proved(connection, name=name, known=known)
        store.remove_failure(connection, number=attempt)
        store.forgive_failures(connection, name=name)
        if renewed is not None:
            store.replace_password_hash(connection, sign_in=name, saved=renewed)
        return _begin(connection, person=person, wall=wall)


def _check_open(connection: Connection, *, name: str, address: str, wall: datetime) -> None:
    of_name = store.failures_of_name(
        connection, name=name, after=wall - rules.FAILURES_KEPT, limit=rules.FAILURES_OF_NAME_MAX
    )
    until = rules.locked_until(of_name)
    if until is not None and until > wall:
        raise SignInLocked(
            f"signing in as {name} has failed {len(of_name)} times; {_wait(until, wall=wall)}, "
            "or ask the administrator to set a new password",
            until=until,
        )
    of_address = store.failures_of_address(
        connection, address=address, after=wall - rules.ADDRESS_WINDOW, limit=rules.ADDRESS_FAILURES_MAX
    )
    until = rules.throttled_until(of_address)
    if until is not None:
        raise SignInLocked(
            f"signing in from this address has failed {len(of_address)} times; {_wait(until, wall=wall)}",
            until=until,
        )


def _wait(until: datetime, *, wall: datetime) -> str:
    minutes = -((wall - until) // MINUTE)
    return f"try again in {minutes} minute{'' if minutes == 1 else 's'}"


def _proved(connection: Connection, *, name: str, known: str) -> Person:
    """Return the person whose password was found right, if nothing has changed since it was looked up."""
    unchanged = store.password_hash(connection, sign_in=name, locked=True) == known
    person = store.person(connection, sign_in=name)
    if person is None or not unchanged or not person.active:
        raise WrongPassword(WRONG)
    return person


def open_session(connection: Connection, *, sign_in: str, wall: datetime) -> NewSession:
    """
    Begin a session without a password, as the pages of a demo do.

    :raises InvalidValue: if nobody can have this name.
    :raises UnknownPerson: if nobody signs in so.
    :raises NotPermitted: if the person is no longer active.
    """
    person = queries.person(connection, sign_in=sign_in)
    if not person.active:
        raise NotPermitted(f"{person.sign_in} is no longer active; sign in as another person")
    return _begin(connection, person=person, wall=wall)


def _begin(connection: Connection, *, person: Person, wall: datetime) -> NewSession:
    store.sweep_failures(connection, until=wall - rules.FAILURES_KEPT, limit=SWEPT_MAX)
    store.sweep_sessions(connection, wall=wall, seen_until=wall - rules.SESSION_UNSEEN_MAX, limit=SWEPT_MAX)
    store.remove_sessions_of(connection, sign_in=person.sign_in, kept=SESSIONS_OF_PERSON_MAX - 1)
    session = Session(person=person, started_at=wall, seen_at=wall, expires_at=wall + rules.SESSION_LIFE)
    token = token_urlsafe(TOKEN_OCTETS)
    store.add_session(connection, token_hash=rules.token_hash(token), saved=session)
    return NewSession(token=token, session=session)


def mark_seen(connection: Connection, *, token: str, wall: datetime) -> None:
    """Keep that the session was seen at `wall`; one that is over stays so, and within a minute nothing changes."""
    session = queries.session(connection, token=token, wall=wall)
    if session is not None and rules.is_to_be_marked(session, wall=wall):
        store.move_seen_at(connection, token_hash=rules.token_hash(token), seen_at=wall)


def end_session(connection: Connection, *, token: str) -> None:
    """End the session of a token; an unknown one changes nothing."""
    store.remove_session(connection, token_hash=rules.token_hash(token))


def end_sessions_of(connection: Connection, *, sign_in: str) -> None:
    """End every session of the person."""
    store.remove_sessions_of(connection, sign_in=rules.normal_sign_in(sign_in))
