"""What other rooms may ask about messages."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.base.text import CODE_MAX, NAME_MAX, check_text
from bijlighar.notices import composing, consent_store, rules, store, wording
from bijlighar.notices.errors import UnknownMessage
from bijlighar.notices.model import Channel, Message, MessageState, MessageStatus, Purpose, Service, Template
from bijlighar.offices import queries as offices
from bijlighar.storage import jobs

MESSAGES_MAX = 1_000
PRINT_LIST_MAX = 5_000


def messages(
    connection: Connection,
    *,
    account: str | None = None,
    reference: str | None = None,
    purpose: Purpose | None = None,
    limit: int = MESSAGES_MAX,
) -> tuple[Message, ...]:
    """
    Return the newest messages, of an account, a reference or a purpose where given, newest first.

    :raises InvalidValue: if account or reference is too long, or no text.
    """
    check_text(account or "", what="the account number", letters_max=CODE_MAX)
    check_text(reference or "", what="the reference", letters_max=NAME_MAX)
    return store.messages(
        connection, account=account, reference=reference, purpose=purpose, limit=min(limit, MESSAGES_MAX)
    )


def message(connection: Connection, *, number: int) -> Message:
    """
    Return the message with this number.

    :raises UnknownMessage: if there is none.
    """
    try:
        return store.messages_by_id(connection, ids=(number,))[number]
    except KeyError:
        raise UnknownMessage(f"there is no message {number}") from None


def deliveries(connection: Connection, *, number: int) -> tuple[MessageStatus, ...]:
    """Return the receipts of a message as they were recorded, oldest first."""
    return store.deliveries(connection, numbers=(number,)).get(number, ())


def served_on(
    connection: Connection, *, account: str, purpose: Purpose, reference: str, rule: Sequence[str]
) -> date | None:
    """
    Return the first IST day on which a channel named in `rule` proves service of a notice; None while none does.

    `reference` is the key the notice was queued under. Paper ("print") counts by a person's proof, any other channel
    by the provider's word that it was delivered or read.
    """
    proof = proof_of_service(connection, account=account, purpose=purpose, reference=reference, rule=rule)
    return None if proof is None else proof[0]


def proof_of_service(
    connection: Connection, *, account: str, purpose: Purpose, reference: str, rule: Sequence[str]
) -> tuple[date, str] | None:
    """Return the day on which service of a notice is proven, as `served_on`, and the channel that proves it."""
    sent = [
        each
        for each in store.messages(connection, account=account, reference=reference, limit=MESSAGES_MAX)
        if each.purpose is purpose
    ]
    receipts = store.deliveries(connection, numbers=[each.id for each in sent])
    services = consent_store.services(connection, account=account, purpose=purpose, reference=reference)
    told = [(each.channel, each.state, receipts.get(each.id, ())) for each in sent]
    proofs = [
        (day, channel)
        for channel in rule
        if (day := rules.served_on(rule=(channel,), services=services, receipts=told)) is not None
    ]
    return min(proofs, key=lambda proof: proof[0], default=None)


def service(connection: Connection, *, account: str, purpose: Purpose, reference: str) -> Service | None:
    """Return the proof of service that a person recorded for a notice, None if none did."""
    found = consent_store.services(connection, account=account, purpose=purpose, reference=reference)
    return found[0] if found else None


def print_list(
    connection: Connection,
    *,
    office: str | None = None,
    state: MessageState = MessageState.QUEUED,
    limit: int = PRINT_LIST_MAX,
) -> tuple[Message, ...]:
    """
    Return the messages to be printed for an office and all below it (None: for all), oldest first.

    :raises UnknownOffice: if there is no such office.
    """
    below = None if office is None else offices.offices_below(connection, code=office)
    return store.printed(connection, offices=below, state=state, limit=min(limit, PRINT_LIST_MAX))


def counts(connection: Connection) -> Mapping[tuple[Channel, MessageState], int]:
    """Return how many messages there are of each channel and state."""
    totals: dict[tuple[Channel, MessageState], int] = {}
    for channel, _, state, number in store.counts(connection):
        totals[channel, state] = totals.get((channel, state), 0) + number
    return totals


def counts_of(connection: Connection, *, purpose: Purpose) -> Mapping[tuple[Channel, MessageState], int]:
    """Return how many messages of a purpose there are of each channel and state."""
    return {
        (channel, state): number
        for channel, each, state, number in store.counts(connection)
        if each is purpose
    }


def sent_and_delivered(connection: Connection) -> tuple[int, int]:
    """Return how many messages a provider took, and how many of these it says were delivered or read."""
    taken = {state for state in MessageState if state is not MessageState.QUEUED}
    arrived = {MessageState.DELIVERED, MessageState.READ}
    by_wire = {
        state: number for (channel, state), number in counts(connection).items() if channel != Channel.PRINT
    }
    refused = store.refused(connection)
    return (
        sum(number for state, number in by_wire.items() if state in taken) - refused,
        sum(number for state, number in by_wire.items() if state in arrived),
    )


def consents(connection: Connection, *, phone: str) -> bool:
    """Return whether a telephone number may be written to."""
    return consent_store.may_write(connection, phone=rules.normal_phone(phone))


def parked(connection: Connection) -> int:
    """Return how many receipts wait for a message that is not known."""
    return store.parked(connection)


def pending(connection: Connection, *, now: datetime) -> int:
    """Return how many messages wait to be handed to a provider now."""
    return jobs.pending(connection, kinds=(composing.SEND_KIND,), now=now)


def templates() -> tuple[Template, ...]:
    """
    Return the template of every purpose.

    :raises BrokenTemplate: if one cannot be used.
    """
    return tuple(wording.template(purpose) for purpose in Purpose)
