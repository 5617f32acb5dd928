"""A message is written once: its words, their hash, and the job that sends it, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.words import Language
from bijlighar.notices import rules, store, wording
from bijlighar.notices.model import Channel, Message, Template
from bijlighar.storage import jobs

SEND_KIND = "notices.send"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a message says to whom, before its channel is chosen."""

    reference: str
    account: str
    language: Language
    phone: str | None
    office: str | None
    facts: Mapping[str, str]
    link: str | None


def add(
    connection: Connection,
    *,
    template: Template,
    letter: Letter,
    channel: Channel,
    now: datetime,
    not_before: datetime | None = None,
) -> int | None:
    """
    Add the letter as a message of a channel, with its job where a provider sends it; None if it is known there.

    :raises UnreadableFact: if a fact is not what its name says.
    """
    text = (template.printed if channel is Channel.PRINT else template.whatsapp)[letter.language]
    words = {
        fact: wording.read(fact=fact, value=letter.facts[fact], language=letter.language)
        for fact in text.placeholders
    }
    body = rules.render(text=text, words=words)
    number = store.add_message(
        connection,
        values={
            "reference": letter.reference,
            "channel": channel,
            "account": letter.account,
            "purpose": template.purpose,
            "language": letter.language,
            "phone": letter.phone,
            "office": letter.office,
            "template_name": template.provider_name,
            "template_version": template.version,
            "text": body,
            "text_hash": rules.text_hash(body),
            "facts": dict(letter.facts),
            "parameters": [[fact, words[fact]] for fact in text.placeholders],
            "link": letter.link,
        },
        now=now,
    )
    if number is not None and channel is not Channel.PRINT:
        jobs.enqueue(
            connection,
            kind=SEND_KIND,
            key=f"{SEND_KIND}/{number}",
            lane=jobs.Lane.NOTICE,
            run_at=now if not_before is None else max(now, not_before),
            payload={"message": number},
            partition=f"{SEND_KIND}/{letter.account}",
            now=now,
        )
    return number


def print_instead(connection: Connection, *, message: Message, now: datetime) -> None:
    """Put a message that could not be delivered on the print list, if it has a printed text and is not there yet."""
    template = wording.template(message.purpose)
    if template.one_time_code:
        return
    add(
        connection,
        template=template,
        letter=Letter(
            reference=message.reference,
            account=message.account,
            language=message.language,
            phone=message.phone,
            office=message.office,
            facts=message.facts,
            link=message.link,
        ),
        channel=Channel.PRINT,
        now=now,
    )
