"""Handing messages to the provider, and what its receipts do to them."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.notices import composing, consent_store, rules, store
from bijlighar.notices.model import (
    Accepted,
    Message,
    MessageState,
    MessageStatus,
    Outgoing,
    Refused,
    SendResult,
    TryLater,
)
from bijlighar.notices.ports import MessageGateway
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

#: Messages claimed, sent and recorded together: what a kill sends again at most.
CHUNK = 32
SENDERS = 16
MESSAGES_PER_RUN = 2_000
LEASE_S = 120
ATTEMPTS_MAX = 20
FIRST_PAUSE_S = 2
PAUSE_MAX_S = 3_600
PARKED_PER_RUN = 1_000
PARKED_DAYS_MAX = 30
_REFERENCE = re.compile(r"m([1-9][0-9]{0,17})", re.ASCII)
_OPTED_OUT = "the consumer wants no messages"


def reference_of(number: int) -> str:
    """
    Return our own id of a message, which the provider sends back with each receipt.

    >>> reference_of(12)
    'm12'
    """
    return f"m{number}"


def send_due(
    database: Database, *, now: datetime, wall: datetime, gateway: MessageGateway, worker: str
) -> int:
    """Hand the due messages to the provider and return how many were handled."""
    handled = 0
    _match_if_parked(database, now=now)
    with ThreadPoolExecutor(max_workers=SENDERS, thread_name_prefix="notices") as senders:
        while handled < MESSAGES_PER_RUN:
            claimed = jobs.claim(
                database,
                kinds=(composing.SEND_KIND,),
                worker=worker,
                now=now,
                wall=wall,
                lease_s=LEASE_S,
                limit=CHUNK,
            )
            if not claimed:
                break
            to_send = _to_send(database, claimed=claimed)
            results = dict(
                zip(
                    to_send,
                    senders.map(lambda message: gateway.send(outgoing=_outgoing(message)), to_send.values()),
                    strict=True,
                )
            )
            with database.write() as connection:
                _record(connection, claimed=claimed, results=results, now=now)
            handled += len(claimed)
    _match_if_parked(database, now=now)
    return handled


def _match_if_parked(database: Database, *, now: datetime) -> None:
    with database.read() as connection:
        waiting = store.parked(connection)
    if waiting:
        with database.write() as connection:
            match_parked(connection, now=now)


def _to_send(database: Database, *, claimed: Sequence[jobs.Job]) -> Mapping[int, Message]:
    """Return the messages that are still to be sent, and whose consumer still wants them."""
    with database.read() as connection:
        found = store.messages_by_id(connection, ids=[job.payload["message"] for job in claimed])
        waiting = {number: each for number, each in found.items() if each.state is MessageState.QUEUED}
        phones = {each.phone for each in waiting.values() if each.phone is not None}
        consenting = consent_store.consenting(connection, phones=phones)
    return {number: each for number, each in waiting.items() if each.phone in consenting}


def _outgoing(message: Message) -> Outgoing:
    return Outgoing(
        reference=reference_of(message.id),
        phone=message.phone or "",
        language=message.language,
        template=message.template_name,
        parameters=message.parameters,
    )


def _record(
    connection: Connection, *, claimed: Sequence[jobs.Job], results: Mapping[int, SendResult], now: datetime
) -> None:
    """Record what became of the claimed messages, and settle their jobs, in one transaction."""
    jobs_of = {job.payload["message"]: job for job in claimed}
    messages = store.messages_by_id(connection, ids=jobs_of, locked=True)
    receipts: list[tuple[int, MessageStatus]] = []
    for number, message in messages.items():
        result = results.get(number)
        if result is None and message.state is MessageState.QUEUED:
            result = Refused(reason=_OPTED_OUT)
        if isinstance(result, Accepted):
            accepted = MessageStatus(provider_id=result.provider_id, state=MessageState.ACCEPTED, at=now)
            receipts.append((number, accepted))
        with contextlib.suppress(
            jobs.StaleJob
        ):  # another worker has the job by now; what was taken is noted still
            _settle(connection, job=jobs_of[number], message=message, result=result, now=now)
    apply_receipts(connection, messages=messages, receipts=receipts, now=now)


def _settle(
    connection: Connection, *, job: jobs.Job, message: Message, result: SendResult | None, now: datetime
) -> None:
    """
    Settle a job by what became of its message.

    :raises StaleJob: if the claim no longer holds.
    """
    match result:
        case TryLater(reason=reason) if job.attempt < ATTEMPTS_MAX:
            jobs.retry(connection, job=job, run_at=now + pause(job.attempt), error=reason, now=now)
        case TryLater(reason=reason) | Refused(reason=reason):
            jobs.fail(connection, job=job, error=reason, now=now)
            _fail(connection, message=message, reason=reason, now=now)
        case _:
            jobs.finish(connection, job=job, now=now)


def _fail(connection: Connection, *, message: Message, reason: str, now: datetime) -> None:
    """Record that a message failed before the provider took it, and print it instead."""
    if message.state is not MessageState.QUEUED:
        return
    failed = store.Change(
        number=message.id, state=MessageState.FAILED, at=now, provider_id=None, reason=reason
    )
    store.set_states(connection, changes=(failed,))
    composing.print_instead(connection, message=message, now=now)


def pause(attempt: int) -> timedelta:
    """
    Return how long to wait after the given attempt (from 1).

    >>> [pause(attempt).total_seconds() for attempt in (1, 2, 3, 20)]
    [2.0, 4.0, 8.0, 3600.0]
    """
    return timedelta(seconds=min(FIRST_PAUSE_S * 2 ** (attempt - 1), PAUSE_MAX_S))


def record_status(connection: Connection, *, statuses: Sequence[MessageStatus], now: datetime) -> int:
    """Record receipts and return how many messages moved on; park those whose message is not known."""
    receipts: list[tuple[int, MessageStatus]] = []
    for status, number in zip(statuses, _numbers(connection, statuses=statuses), strict=True):
        if number is None:
            store.park(connection, status=status, now=now)
        else:
            receipts.append((number, status))
    moved = 0
    ordered = sorted({number for number, _ in receipts})
    for start in range(0, len(ordered), store.NAMES_PER_STATEMENT):
        batch = frozenset(ordered[start : start + store.NAMES_PER_STATEMENT])
        moved += apply_receipts(
            connection,
            messages=store.messages_by_id(connection, ids=batch, locked=True),
            receipts=[(number, status) for number, status in receipts if number in batch],
            now=now,
        )
    return moved


def _numbers(connection: Connection, *, statuses: Sequence[MessageStatus]) -> list[int | None]:
    """Return the message of each receipt: by our own id where it came back, else by the provider's."""
    own = [_own_number(status) for status in statuses]
    known = store.known_ids(connection, ids={number for number in own if number is not None})
    by_provider = store.ids_by_provider(
        connection,
        provider_ids={
            status.provider_id for status, number in zip(statuses, own, strict=True) if number not in known
        },
    )
    return [
        number if number in known else by_provider.get(status.provider_id)
        for status, number in zip(statuses, own, strict=True)
    ]


def _own_number(status: MessageStatus) -> int | None:
    found = _REFERENCE.fullmatch(status.reference or "")
    return None if found is None else int(found[1])


def apply_receipts(
    connection: Connection,
    *,
    messages: Mapping[int, Message],
    receipts: Sequence[tuple[int, MessageStatus]],
    now: datetime,
) -> int:
    """Log receipts of messages whose rows are locked, move the messages on, and return how many moved."""
    new = store.log(connection, receipts=receipts, now=now)
    changes: dict[int, store.Change] = {}
    for number, status in receipts:
        state = changes[number].state if number in changes else messages[number].state
        later = rules.after(state, status.state)
        if later is state or (status.provider_id, status.state) not in new:
            continue
        changes[number] = store.Change(
            number=number, state=later, at=status.at, provider_id=status.provider_id, reason=status.reason
        )
    store.set_states(connection, changes=tuple(changes.values()))
    for number, change in changes.items():
        if change.state is MessageState.FAILED:
            composing.print_instead(connection, message=messages[number], now=now)
    return len(changes)


def match_parked(connection: Connection, *, now: datetime) -> int:
    """Apply the parked receipts whose message is known by now, drop those too old, and return how many moved."""
    store.drop_parked(connection, before=now - timedelta(days=PARKED_DAYS_MAX))
    found = store.unpark(connection, limit=PARKED_PER_RUN)
    return record_status(connection, statuses=found, now=now) if found else 0
