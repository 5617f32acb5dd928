"""What other rooms may do with messages."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.base.period import local_date
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.base.words import LANGUAGES, Language
from bijlighar.notices import codes, composing, consent_store, queries, rules, sending, store, wording
from bijlighar.notices.errors import ImplausibleService, NotToBeStored, UnknownMessage
from bijlighar.notices.model import (
    Callback,
    Channel,
    ConsentAction,
    InboundMessage,
    Message,
    MessageState,
    MessageStatus,
    Purpose,
    SendResult,
    Service,
    WhatsAppSettings,
)
from bijlighar.notices.ports import MessageGateway as MessageGateway
from bijlighar.notices.whatsapp import WhatsAppGateway
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

PRINT_COLUMNS = ("message", "office", "account", "name", "phone", "purpose", "reference", "language", "text")
PROOF_MIN = 3
#: What a spreadsheet would take for a formula.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t")


def queue(
    connection: Connection,
    *,
    account: str,
    purpose: Purpose,
    key: str,
    facts: Mapping[str, str],
    now: datetime,
    link: str | None = None,
    not_before: datetime | None = None,
) -> int | None:
    """
    Store a message to an account, and its sending, in the caller's transaction; return its number.

    None, and nothing is changed, if `key` is known. The account's language, telephone and consent decide the words
    and the channel; a statutory notice is printed in any case, and its number is the printed one's.

    :raises UnknownAccount: if the account is not registered.
    :raises MissingFact: if a text of the purpose needs a fact that is not given.
    :raises UnusedFact: if a fact is given that no text of the purpose uses.
    :raises UnreadableFact: if a fact is not what its name says.
    :raises NotToBeStored: if the purpose is a one-time code; that goes out by `send_code`.
    """
    if store.is_queued(connection, reference=key):
        return None
    customer = registry.account(connection, number=account)
    template = wording.template(purpose)
    if template.one_time_code:
        raise NotToBeStored(f"a message {purpose} is not queued; send it at once by `send_code`")
    language: Language = next((each for each in LANGUAGES if each == customer.language), LANGUAGES[0])
    phone = rules.normal_phone(customer.phone) if customer.phone else None
    given = {fact: str(value) for fact, value in facts.items()}
    own = {"account": account, "link": link or wording.NO_LINK.in_language(language)}
    rules.check_facts(template=template, facts={**own, **given})
    channels = rules.channels(
        template=template,
        phone=phone,
        consents=phone is not None and consent_store.may_write(connection, phone=phone),
    )
    numbers = [
        composing.add(
            connection,
            template=template,
            letter=composing.Letter(
                reference=key,
                account=account,
                language=language,
                phone=phone,
                office=customer.office,
                facts={**own, **given},
                link=link,
            ),
            channel=channel,
            now=now,
            not_before=not_before,
        )
        for channel in channels
    ]
    return numbers[0]


def send_due(
    database: Database, *, now: datetime, wall: datetime, gateway: MessageGateway, worker: str
) -> int:
    """
    Hand the due messages to the provider, several at a time, and return how many were handled.

    A message is marked in the same transaction as its job. If the process dies, those in flight are sent again; one
    whose receipt has come in the meantime is not.
    """
    return sending.send_due(database, now=now, wall=wall, gateway=gateway, worker=worker)


def send_code(
    database: Database,
    *,
    account: str,
    code: str,
    key: str,
    now: datetime,
    gateway: MessageGateway,
) -> SendResult | None:
    """
    Send a one-time sign-in code to an account's telephone at once, past every waiting message; it is kept nowhere.

    None, and nothing is sent, where the account has no telephone, wants no messages, or `key` is known. Whoever tries
    again makes a new code and a new key.

    :raises UnknownAccount: if the account is not registered.
    """
    return codes.send_code(database, account=account, code=code, key=key, now=now, gateway=gateway)


def answer_challenge(*, mode: str, token: str, challenge: str, verify_token: str) -> str | None:
    """Return what the provider expects when it registers the callback; None if it does not know the agreed word."""
    known = rules.verify_subscription(verify_token=verify_token, mode=mode, token=token)
    return challenge if known else None


def verify(*, secret: str, body: bytes, signature: str) -> bool:
    """Return whether the header X-Hub-Signature-256 is the provider's over the raw `body`."""
    return rules.verify_signature(secret=secret, body=body, header=signature)


def parse_callback(body: bytes) -> Callback:
    """
    Return what a genuine callback tells: receipts for `record_status`, messages for `record_inbound`.

    :raises BrokenCallback: if the body is no callback of the WhatsApp Cloud API.
    """
    return rules.parse_callback(body)


def record_status(connection: Connection, *, statuses: Sequence[MessageStatus], now: datetime) -> int:
    """
    Record receipts of the provider, repeated and in any order, and return how many messages moved on.

    A receipt whose message is not known is parked and matched later.
    """
    return sending.record_status(connection, statuses=statuses, now=now)


def record_inbound(connection: Connection, *, messages: Sequence[InboundMessage], now: datetime) -> int:
    """Record the consents that consumers gave or took back by message (STOP) and return how many were new."""
    new = 0
    for message in messages:
        wish = rules.wish(message.text)
        if wish is not None:
            new += consent_store.add_consent(
                connection,
                phone=message.phone,
                action=ConsentAction.OPT_IN if wish else ConsentAction.OPT_OUT,
                how="whatsapp",
                text=message.text,
                at=min(message.at, now),
                source=message.provider_id,
            )
    return new


def record_consent(
    connection: Connection, *, phone: str, action: ConsentAction, how: str, text: str, now: datetime
) -> None:
    """Record what a consumer decided about messages to a number: how (form, counter, web) and under which words."""
    consent_store.add_consent(
        connection, phone=rules.normal_phone(phone), action=action, how=how, text=text, at=now, source=None
    )


def record_consents(
    connection: Connection,
    *,
    phones: Iterable[str],
    action: ConsentAction,
    how: str,
    text: str,
    now: datetime,
) -> int:
    """Record one decision for many numbers (a list of signed forms); those where it holds already get no new row."""
    new = 0
    for phone in sorted({rules.normal_phone(phone) for phone in phones}):
        if consent_store.consent(connection, phone=phone) is not action:
            record_consent(connection, phone=phone, action=action, how=how, text=text, now=now)
            new += 1
    return new


def record_served(
    connection: Connection,
    *,
    account: str,
    purpose: Purpose,
    reference: str,
    served_on: date,
    proof: str,
    by: str,
    now: datetime,
) -> bool:
    """
    Record that a person served a printed notice on an IST day, with the proof; False if service is recorded already.

    :raises UnknownMessage: if no such notice was queued for the account.
    :raises ImplausibleService: if the day is before the notice or in the future, or the proof is empty.
    :raises InvalidValue: if the proof is too long, or no text.
    :raises UnknownPerson: if nobody signs in as `by`.
    :raises NotPermitted: if the person may not record service at the account's office.
    """
    sent = [
        each
        for each in queries.messages(connection, account=account, reference=reference)
        if each.purpose is purpose and each.channel is Channel.PRINT
    ]
    if not sent:
        raise UnknownMessage(f"account {account} has no printed {purpose} {reference}; look at `notices`")
    written_on = local_date(sent[0].created_at)
    if not written_on <= served_on <= local_date(now):
        raise ImplausibleService(
            f"{reference} was written on {written_on} and cannot have been served on {served_on}; today is "
            f"{local_date(now)}"
        )
    check_text(proof, what="the proof", letters_max=NOTE_MAX)
    if len(proof.strip()) < PROOF_MIN:
        raise ImplausibleService(
            f"say how {reference} was served: who took it, or the number of the postal receipt"
        )
    person = offices.authorise(connection, sign_in=by, act=Act.RECORD_NOTICE_SERVED, office=sent[0].office)
    service = Service(
        account=account,
        purpose=purpose,
        reference=reference,
        served_on=served_on,
        proof=proof.strip(),
        by=person.sign_in,
        at=now,
    )
    if not consent_store.add_service(connection, service=service):
        return False
    store.set_state(connection, number=sent[0].id, state=MessageState.DELIVERED, at=now)
    offices.record_act(
        connection,
        person=person.sign_in,
        act=Act.RECORD_NOTICE_SERVED,
        subject=account,
        detail={"reference": reference, "served_on": served_on.isoformat(), "proof": service.proof},
        now=now,
    )
    return True


def hand_out_print_list(connection: Connection, *, office: str | None, now: datetime) -> str:
    """
    Return the queued print list of an office and all below it as CSV, and mark its messages as handed out.

    :raises UnknownOffice: if there is no such office.
    """
    waiting = queries.print_list(connection, office=office)
    for message in waiting:
        store.set_state(connection, number=message.id, state=MessageState.ACCEPTED, at=now)
    return print_csv(waiting)


def print_csv(messages: Sequence[Message]) -> str:
    """Return messages as CSV for printing, one row a message; no cell is taken for a formula by a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(PRINT_COLUMNS)
    for message in messages:
        cells = (
            str(message.id),
            message.office or "",
            message.account,
            message.facts.get("name", ""),
            message.phone or "",
            message.purpose.value,
            message.reference,
            message.language,
            message.text,
        )
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell for cell in cells])
    return text.getvalue()


def open_gateway(settings: WhatsAppSettings) -> MessageGateway:
    """Return the message gateway of the settings."""
    return WhatsAppGateway(settings)
