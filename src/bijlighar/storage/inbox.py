"""
The inbox: what others tell us is stored as it came, once, before anything is done about it.

A callback is answered after its row is committed; what it means is worked out afterwards, and repeated as often as
needed, from the row. The key (provider, event) makes a repeated callback harmless.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, Connection, Index, LargeBinary, String, Table, Text, select, update

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.storage.errors import StorageError
from bijlighar.storage.schema import Document, Moment, metadata
from bijlighar.storage.sql import insert_for

BODY_SIZE_MAX = 1_000_000
PAGE_SIZE_MAX = 1_000


class InboxState(StrEnum):
    """Where a received event stands."""

    NEW = "new"
    DONE = "done"
    REFUSED = "refused"


class InboxEvent(StrEnum):
    """What happens to a received event."""

    ACT = "act"
    REFUSE = "refuse"


INBOX_LIFE: LifeCycle[InboxState, InboxEvent] = {
    InboxState.NEW: {InboxEvent.ACT: InboxState.DONE, InboxEvent.REFUSE: InboxState.REFUSED},
    InboxState.DONE: {},
    InboxState.REFUSED: {},
}


class UnknownEvent(StorageError):
    """The inbox holds no such event."""

    code = "storage.unknown-event"


class OversizedEvent(StorageError):
    """The body of an event is larger than the inbox takes."""

    code = "storage.oversized-event"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """One received event, as it came."""

    provider: str
    event_id: str
    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    state: InboxState
    note: str


_inbox = Table(
    "storage_inbox",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("event_id", String(255), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("headers", Document, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("settled_at", Moment),
)
_is_new = _inbox.c.state == InboxState.NEW.value
Index("ix_storage_inbox_new", _inbox.c.received_at, sqlite_where=_is_new, postgresql_where=_is_new)


def store(
    connection: Connection,
    *,
    provider: str,
    event_id: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    now: datetime,
) -> bool:
    """
    Store an event as it came and return whether it is new; a known one changes nothing.

    :raises OversizedEvent: if the body is larger than `BODY_SIZE_MAX`.
    """
    if len(body) > BODY_SIZE_MAX:
        raise OversizedEvent(
            f"event {event_id[:40]} of {provider} has {len(body)} bytes; {BODY_SIZE_MAX} are taken"
        )
    statement = insert_for(connection, _inbox).values(
        provider=provider,
        event_id=event_id,
        body=body,
        headers=dict(headers or {}),
        received_at=now,
        state=InboxState.NEW.value,
        note="",
    )
    statement = statement.on_conflict_do_nothing(index_elements=[_inbox.c.provider, _inbox.c.event_id])
    return connection.execute(statement.returning(_inbox.c.provider)).scalar_one_or_none() is not None


def load(connection: Connection, *, provider: str, event_id: str) -> InboxRow:
    """
    Return the stored event, locked to the end of the transaction where the database locks rows.

    :raises UnknownEvent: if there is none.
    """
    statement = select(_inbox).where(_inbox.c.provider == provider, _inbox.c.event_id == event_id)
    row = connection.execute(statement.with_for_update()).one_or_none()
    if row is None:
        raise UnknownEvent(f"the inbox holds no event {event_id} of {provider}")
    return InboxRow(
        provider=row.provider,
        event_id=row.event_id,
        body=bytes(row.body),
        headers=row.headers,
        received_at=row.received_at,
        state=InboxState(row.state),
        note=row.note,
    )


def unsettled(connection: Connection, *, provider: str, limit: int) -> tuple[str, ...]:
    """Return the ids of up to `limit` events of `provider` that nothing was done about yet, oldest first."""
    statement = (
        select(_inbox.c.event_id)
        .where(_inbox.c.provider == provider, _is_new)
        .order_by(_inbox.c.received_at, _inbox.c.event_id)
        .limit(min(limit, PAGE_SIZE_MAX))
    )
    return tuple(connection.execute(statement).scalars())


def settle(
    connection: Connection, *, provider: str, event_id: str, state: InboxState, note: str, now: datetime
) -> None:
    """
    Record what became of an event, in the transaction of its effect.

    :raises UnknownEvent: if there is none that is new.
    """
    done = connection.execute(
        update(_inbox)
        .where(_inbox.c.provider == provider, _inbox.c.event_id == event_id, _is_new)
        .values(state=state.value, note=note, settled_at=now)
    )
    if done.rowcount != 1:
        raise UnknownEvent(f"the inbox holds no unsettled event {event_id} of {provider}")
