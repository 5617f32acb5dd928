"""The tables of the consumers' page: who asked how often, the codes in force, the open sessions; digests alone."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Index, Integer, String, Table, delete, func, select, update

from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

ACCOUNT_MAX = 64
#: How often a code may be tried.
TRIES_MAX = 5
SESSIONS_PER_ACCOUNT = 20
ASKS_KEPT = timedelta(days=1)
#: Beyond so many requests within `ASKS_KEPT` nobody is served: the table stays bounded.
ASKS_MAX = 500_000
ROWS_PER_CLEANUP = 1_000

_ask = Table(
    "runtime_portal_ask",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("subject", String(100), nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "subject", "at"),
    Index(None, "at"),
)

_code = Table(
    "runtime_portal_code",
    metadata,
    Column("account", String(ACCOUNT_MAX), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

_session = Table(
    "runtime_portal_session",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("account", String(ACCOUNT_MAX), nullable=False),
    Column("phone", String(64), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Index(None, "account", "opened_at"),
)


def put_code(connection: Connection, *, account: str, digest: str, until: datetime) -> None:
    """Put a code in the place of whatever code the account had."""
    values = {"digest": digest, "tries": 0, "expires_at": until}
    statement = insert_for(connection, _code).values(account=account, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[_code.c.account], set_=values))


def use_code(connection: Connection, *, account: str, digest: str, wall: datetime) -> bool:
    """Count a try and return whether it was right; a code that was right, or tried too often, is gone."""
    connection.execute(update(_code).where(_code.c.account == account).values(tries=_code.c.tries + 1))
    row = connection.execute(select(_code).where(_code.c.account == account)).one_or_none()
    stored = "" if row is None else row.digest
    is_right = hmac.compare_digest(stored.encode(), digest.encode())
    is_open = row is not None and row.tries <= TRIES_MAX and row.expires_at > wall
    if is_right and is_open:
        connection.execute(delete(_code).where(_code.c.account == account))
    return is_right and is_open


def add_session(
    connection: Connection, *, token: str, account: str, phone: str, wall: datetime, until: datetime
) -> None:
    """Add a session and drop the oldest of the account beyond `SESSIONS_PER_ACCOUNT`."""
    connection.execute(
        insert_for(connection, _session).values(
            token=token, account=account, phone=phone, opened_at=wall, expires_at=until
        )
    )
    kept = (
        select(_session.c.token)
        .where(_session.c.account == account)
        .order_by(_session.c.opened_at.desc(), _session.c.token)
        .limit(SESSIONS_PER_ACCOUNT)
    )
    connection.execute(
        delete(_session).where(_session.c.account == account, _session.c.token.not_in(kept.scalar_subquery()))
    )


def session(connection: Connection, *, token: str, wall: datetime) -> tuple[str, str] | None:
    """Return account and telephone (a digest) of the session of a token's digest; None if it has ended."""
    statement = select(_session.c.account, _session.c.phone).where(
        _session.c.token == token, _session.c.expires_at > wall
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.account, row.phone)


def remove_session(connection: Connection, *, token: str) -> None:
    """End the session of a token's digest, if it stands."""
    connection.execute(delete(_session).where(_session.c.token == token))


def take(
    connection: Connection, *, subject: str, limits: Sequence[tuple[int, timedelta]], wall: datetime
) -> bool:
    """Write down that a subject asks and return whether it may; what it may not is not written down."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer; here two could count at once
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(subject, 0))))
    for most, within in limits:
        asked = select(func.count()).where(_ask.c.subject == subject, _ask.c.at > wall - within)
        if connection.execute(asked).scalar_one() >= most:
            return False
    spread = connection.execute(select(func.max(_ask.c.id) - func.min(_ask.c.id))).scalar_one()
    if (spread or 0) >= ASKS_MAX:
        return False
    connection.execute(insert_for(connection, _ask).values(subject=subject, at=wall))
    return True


def tidy(connection: Connection, *, wall: datetime) -> None:
    """Drop some of what is over: requests, codes, sessions."""
    for table, key, over in (
        (_ask, _ask.c.id, _ask.c.at < wall - ASKS_KEPT),
        (_code, _code.c.account, _code.c.expires_at < wall),
        (_session, _session.c.token, _session.c.expires_at < wall),
    ):
        some = select(key).where(over).limit(ROWS_PER_CLEANUP)
        connection.execute(delete(table).where(key.in_(some.scalar_subquery())))
