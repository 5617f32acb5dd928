"""Messages, the delivery log, receipts that wait for their message, consents and services."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    update,
)

from bijlighar.base.words import Language
from bijlighar.notices.model import (
    Channel,
    Message,
    MessageState,
    MessageStatus,
    Purpose,
)
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

REFERENCE_MAX = 200
PROVIDER_ID_MAX = 200
NAMES_PER_STATEMENT = 500

_message = Table(
    "notices_message",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("reference", String(REFERENCE_MAX), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("account", String(32), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("language", String(2), nullable=False),
    Column("phone", String(20), nullable=True),
    Column("office", String(32), nullable=True),
    Column("template_name", String(64), nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("text_hash", String(64), nullable=False),
    Column("facts", Document, nullable=False),
    Column("parameters", Document, nullable=False),
    Column("link", Text, nullable=True),
    Column("state", String(16), nullable=False),
    Column("provider_id", String(PROVIDER_ID_MAX), nullable=True, index=True),
    Column("reason", Text, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    UniqueConstraint("reference", "channel"),
    Index(None, "account"),
    Index(None, "channel", "state", "office"),
)

#: The delivery log: only ever added to; a repeated receipt meets its own key.
_delivery = append_only(
    Table(
        "notices_delivery",
        metadata,
        Column("provider_id", String(PROVIDER_ID_MAX), primary_key=True),
        Column("state", String(16), primary_key=True),
        Column("message", Whole, ForeignKey(_message.c.id), nullable=False, index=True),
        Column("at", Moment, nullable=False),
        Column("reason", Text, nullable=True),
        Column("recorded_at", Moment, nullable=False),
    )
)

#: Receipts whose message is not known yet.
_parked = Table(
    "notices_parked",
    metadata,
    Column("provider_id", String(PROVIDER_ID_MAX), primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("reason", Text, nullable=True),
    Column("recorded_at", Moment, nullable=False),
)


def add_message(connection: Connection, *, values: Mapping[str, object], now: datetime) -> int | None:
    """Add a queued message and return its id; None if its reference is known on the channel."""
    statement = insert_for(connection, _message).values(
        **values, state=MessageState.QUEUED, created_at=now, changed_at=now
    )
    statement = statement.on_conflict_do_nothing(index_elements=[_message.c.reference, _message.c.channel])
    return connection.execute(statement.returning(_message.c.id)).scalar_one_or_none()


def is_queued(connection: Connection, *, reference: str) -> bool:
    """Return whether a message of the reference is known on any channel."""
    statement = select(_message.c.id).where(_message.c.reference == reference)
    return connection.execute(statement).first() is not None


def messages_by_id(
    connection: Connection, *, ids: Collection[int], locked: bool = False
) -> Mapping[int, Message]:
    """Return the messages with these ids; `locked` holds their rows, in the order of ids."""
    statement = select(_message).where(_message.c.id.in_(sorted(ids))).order_by(_message.c.id)
    if locked:
        statement = statement.with_for_update()
    return {row["id"]: _message_of(row) for row in connection.execute(statement).mappings()}


def ids_by_provider(connection: Connection, *, provider_ids: Collection[str]) -> Mapping[str, int]:
    """Return the ids of the messages that the provider knows by these ids."""
    names = sorted(provider_ids)
    found: dict[str, int] = {}
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        statement = select(_message.c.provider_id, _message.c.id).where(
            _message.c.provider_id.in_(names[start : start + NAMES_PER_STATEMENT])
        )
        found.update({provider_id: number for provider_id, number in connection.execute(statement)})
    return found


def known_ids(connection: Connection, *, ids: Collection[int]) -> frozenset[int]:
    """Return those of the ids that are messages'."""
    numbers = sorted(ids)
    found: set[int] = set()
    for start in range(0, len(numbers), NAMES_PER_STATEMENT):
        batch = numbers[start : start + NAMES_PER_STATEMENT]
        found.update(connection.execute(select(_message.c.id).where(_message.c.id.in_(batch))).scalars())
    return frozenset(found)


def messages(
    connection: Connection,
    *,
    account: str | None = None,
    reference: str | None = None,
    purpose: Purpose | None = None,
    limit: int,
) -> tuple[Message, ...]:
    """Return the newest messages, of an account, a reference or a purpose where given, newest first."""
    statement = select(_message).order_by(_message.c.id.desc()).limit(limit)
    for column, wanted in (
        (_message.c.account, account),
        (_message.c.reference, reference),
        (_message.c.purpose, purpose),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    return tuple(_message_of(row) for row in connection.execute(statement).mappings())


def printed(
    connection: Connection, *, offices: Collection[str] | None, state: MessageState, limit: int
) -> tuple[Message, ...]:
    """Return printed messages in a state, oldest first; `offices` None means all, those of no office too."""
    statement = (
        select(_message)
        .where(_message.c.channel == Channel.PRINT, _message.c.state == state)
        .order_by(_message.c.id)
        .limit(limit)
    )
    if offices is not None:
        statement = statement.where(_message.c.office.in_(sorted(offices)))
    return tuple(_message_of(row) for row in connection.execute(statement).mappings())


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of a message; the provider's id is kept where the message has one."""

    number: int
    state: MessageState
    at: datetime
    provider_id: str | None
    reason: str | None


def set_states(connection: Connection, *, changes: Sequence[Change]) -> None:
    """Set the states of messages, and the provider's ids and reasons."""
    if not changes:
        return
    statement = (
        update(_message)
        .where(_message.c.id == bindparam("of"))
        .values(
            state=bindparam("to"),
            changed_at=bindparam("since"),
            provider_id=func.coalesce(_message.c.provider_id, bindparam("name")),
            reason=func.coalesce(bindparam("why"), _message.c.reason),
        )
    )
    connection.execute(
        statement,
        [
            {
                "of": change.number,
                "to": change.state,
                "since": change.at,
                "name": change.provider_id,
                "why": change.reason,
            }
            for change in changes
        ],
    )


def set_state(connection: Connection, *, number: int, state: MessageState, at: datetime) -> None:
    """Set the state of one message."""
    set_states(
        connection, changes=(Change(number=number, state=state, at=at, provider_id=None, reason=None),)
    )


def log(
    connection: Connection, *, receipts: Sequence[tuple[int, MessageStatus]], now: datetime
) -> frozenset[tuple[str, MessageState]]:
    """Add receipts of messages to the delivery log and return which of them (provider's id, state) are new."""
    rows = {
        (status.provider_id, status.state): {
            "provider_id": status.provider_id,
            "state": status.state,
            "message": number,
            "at": status.at,
            "reason": status.reason,
            "recorded_at": now,
        }
        for number, status in receipts
    }
    if not rows:
        return frozenset()
    statement = insert_for(connection, _delivery).on_conflict_do_nothing()
    added = connection.execute(
        statement.returning(_delivery.c.provider_id, _delivery.c.state), list(rows.values())
    )
    return frozenset((provider_id, MessageState(state)) for provider_id, state in added)


def deliveries(
    connection: Connection, *, numbers: Collection[int]
) -> Mapping[int, tuple[MessageStatus, ...]]:
    """Return the logged receipts of messages, oldest first."""
    found: dict[int, tuple[MessageStatus, ...]] = {}
    statement = select(_delivery).where(_delivery.c.message.in_(sorted(numbers)))
    for row in connection.execute(statement.order_by(_delivery.c.recorded_at, _delivery.c.at)):
        status = MessageStatus(
            provider_id=row.provider_id, state=MessageState(row.state), at=row.at, reason=row.reason
        )
        found[row.message] = (*found.get(row.message, ()), status)
    return found


def park(connection: Connection, *, status: MessageStatus, now: datetime) -> None:
    """Keep a receipt until its message is known."""
    statement = insert_for(connection, _parked).values(
        provider_id=status.provider_id,
        state=status.state,
        at=status.at,
        reason=status.reason,
        recorded_at=now,
    )
    connection.execute(statement.on_conflict_do_nothing())


def unpark(connection: Connection, *, limit: int) -> tuple[MessageStatus, ...]:
    """Take out the parked receipts whose message is known by now and return them."""
    statement = (
        select(_parked)
        .where(
            _parked.c.provider_id.in_(
                select(_message.c.provider_id).where(_message.c.provider_id.is_not(None))
            )
        )
        .order_by(_parked.c.recorded_at, _parked.c.provider_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = tuple(
        MessageStatus(
            provider_id=row.provider_id, state=MessageState(row.state), at=row.at, reason=row.reason
        )
        for row in connection.execute(statement)
    )
    for status in found:
        connection.execute(
            delete(_parked).where(
                _parked.c.provider_id == status.provider_id, _parked.c.state == status.state
            )
        )
    return found


def parked(connection: Connection) -> int:
    """Return how many receipts wait for their message."""
    return connection.execute(select(func.count()).select_from(_parked)).scalar_one()


def drop_parked(connection: Connection, *, before: datetime) -> int:
    """Drop the receipts that have waited since before a moment and return how many."""
    return connection.execute(delete(_parked).where(_parked.c.recorded_at < before)).rowcount


def refused(connection: Connection) -> int:
    """Return how many messages failed before a provider took them."""
    statement = select(func.count()).where(
        _message.c.channel != Channel.PRINT,
        _message.c.state == MessageState.FAILED,
        _message.c.provider_id.is_(None),
    )
    return connection.execute(statement).scalar_one()


def counts(connection: Connection) -> Sequence[tuple[Channel, Purpose, MessageState, int]]:
    """Return how many messages there are of each channel, purpose and state."""
    columns = (_message.c.channel, _message.c.purpose, _message.c.state)
    statement = select(*columns, func.count()).group_by(*columns).order_by(*columns)
    return [
        (Channel(channel), Purpose(purpose), MessageState(state), number)
        for channel, purpose, state, number in connection.execute(statement)
    ]


def _message_of(row: RowMapping) -> Message:
    language: Language = "en" if row["language"] == "en" else "hi"
    return Message(
        id=row["id"],
        reference=row["reference"],
        account=row["account"],
        purpose=Purpose(row["purpose"]),
        language=language,
        channel=Channel(row["channel"]),
        phone=row["phone"],
        office=row["office"],
        template_name=row["template_name"],
        template_version=row["template_version"],
        text=row["text"],
        text_hash=row["text_hash"],
        facts=row["facts"],
        parameters=tuple((name, words) for name, words in row["parameters"]),
        link=row["link"],
        state=MessageState(row["state"]),
        provider_id=row["provider_id"],
        reason=row["reason"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
