"""One-time codes: sent at once, past every waiting message, and kept nowhere; the stored words show dots."""

from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.words import LANGUAGES, Language
from bijlighar.notices import consent_store, rules, sending, store, wording
from bijlighar.notices.model import (
    Accepted,
    Channel,
    ConsentAction,
    Message,
    MessageState,
    MessageStatus,
    Outgoing,
    Purpose,
    Refused,
    SendResult,
    TryLater,
)
from bijlighar.notices.ports import MessageGateway
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

#: What is stored in the place of a code.
DOTS = "••••••"


def send_code(
    database: Database, *, account: str, code: str, key: str, now: datetime, gateway: MessageGateway
) -> SendResult | None:
    """Write the message down without its code, hand it to the provider with it, and record what became of it."""
    with database.write() as connection:
        message = _written(connection, account=account, key=key, now=now)
    if message is None:
        return None
    result = gateway.send(
        outgoing=Outgoing(
            reference=sending.reference_of(message.id),
            phone=message.phone or "",
            language=message.language,
            template=message.template_name,
            parameters=((rules.CODE_FACT, code),),
            one_time_code=True,
        )
    )
    with database.write() as connection:
        _record(connection, number=message.id, result=result, now=now)
    return result


def _written(connection: Connection, *, account: str, key: str, now: datetime) -> Message | None:
    """
    Return the stored message; None if it may not be sent or is known.

    Who asks for a code asks for this message: no earlier consent is needed, but STOP holds.
    """
    customer = registry.account(connection, number=account)
    phone = rules.normal_phone(customer.phone) if customer.phone else None
    if phone is None or consent_store.consent(connection, phone=phone) is ConsentAction.OPT_OUT:
        return None
    template = wording.template(Purpose.SIGN_IN_CODE)
    language: Language = next((each for each in LANGUAGES if each == customer.language), LANGUAGES[0])
    masked = {rules.CODE_FACT: DOTS}
    text = rules.render(text=template.whatsapp[language], words=masked)
    number = store.add_message(
        connection,
        values={
            "reference": key,
            "channel": Channel.WHATSAPP,
            "account": account,
            "purpose": template.purpose,
            "language": language,
            "phone": phone,
            "office": customer.office,
            "template_name": template.provider_name,
            "template_version": template.version,
            "text": text,
            "text_hash": rules.text_hash(text),
            "facts": masked,
            "parameters": [list(pair) for pair in masked.items()],
            "link": None,
        },
        now=now,
    )
    return None if number is None else store.messages_by_id(connection, ids=(number,))[number]


def _record(connection: Connection, *, number: int, result: SendResult, now: datetime) -> None:
    messages = store.messages_by_id(connection, ids=(number,), locked=True)
    match result:
        case Accepted(provider_id=provider_id):
            status = MessageStatus(provider_id=provider_id, state=MessageState.ACCEPTED, at=now)
            sending.apply_receipts(connection, messages=messages, receipts=[(number, status)], now=now)
        case TryLater(reason=reason) | Refused(reason=reason):
            if messages[number].state is MessageState.QUEUED:
                failed = store.Change(
                    number=number, state=MessageState.FAILED, at=now, provider_id=None, reason=reason
                )
                store.set_states(connection, changes=(failed,))
