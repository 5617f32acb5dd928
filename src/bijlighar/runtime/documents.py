"""The documents behind the links in messages."""

import hashlib
import hmac
from pathlib import Path
from urllib.parse import quote

from bijlighar.base.errors import BijligharError
from bijlighar.base.words import Language, Words
from bijlighar.billing import operations as billing
from bijlighar.billing import queries as bills
from bijlighar.billing.errors import UnknownBill
from bijlighar.billing.model import Payee
from bijlighar.notices import queries as notices
from bijlighar.notices.model import Channel, Message, Purpose
from bijlighar.registry import queries as registry
from bijlighar.runtime.line import Line

LINK_KEY = "links"
SIGNATURE_LENGTH = 32


class UnknownDocument(BijligharError):
    """A link names no document."""

    code = "runtime.unknown-document"


def notice_link(line: Line, reference: str) -> str:
    """Return the link to a statutory notice; only who was given it can make it."""
    return f"{line.public_url}/n/{quote(reference, safe='')}/{_signature(line, reference)}"


def notice_by_link(line: Line, *, reference: str, signature: str) -> Message:
    """
    Return the printed text of the notice that a link names.

    :raises UnknownDocument: if the link was not made here, or the notice is gone.
    """
    if hmac.compare_digest(_signature(line, reference).encode(), signature.encode()):
        with line.database.read() as connection:
            for message in notices.messages(
                connection, reference=reference, purpose=Purpose.STATUTORY_NOTICE
            ):
                if message.channel is Channel.PRINT:
                    return message
    raise UnknownDocument("there is no notice behind this link; ask the electricity office for a new one")


def bill_by_link(line: Line, *, token: str, language: Language | None) -> Path:
    """
    Return the PDF of the bill that a link names, in `language` or else in the consumer's own.

    :raises UnknownBill: if there is none.
    """
    with line.database.read() as connection:
        bill = bills.bill_by_token(connection, token=token)
        own = registry.account(connection, number=bill.account).language
    return bill_file(line, number=bill.number, language=language or ("en" if own == "en" else "hi"))


def bill_file(line: Line, *, number: str, language: Language) -> Path:
    """
    Return the PDF of a bill, made when it is first wanted.

    :raises UnknownBill: if there is no such bill.
    """
    return billing.bill_pdf(
        line.database, number=number, language=language, documents=line.documents, payee=payee_of(line)
    )


def own_bill_file(line: Line, *, account: str, number: str | None, language: Language) -> Path:
    """
    Return the PDF of an account's own bill, the newest where no number is given.

    :raises UnknownBill: if the account has no such bill; one of another account is no more known than none.
    """
    with line.database.read() as connection:
        if number is None:
            bill = bills.latest_bill(connection, account=account)
        else:
            found = bills.bills(connection, account=account)
            bill = next((each for each in found if each.number == number.strip().upper()), None)
    if bill is None:
        raise UnknownBill("this account has no such bill; look at the passbook for its number")
    return bill_file(line, number=bill.number, language=language)


def payee_of(line: Line) -> Payee:
    """Return who is paid."""
    settings = line.home.settings
    return Payee(
        name=Words(hi=settings.text("company.name_hi"), en=settings.text("company.name_en")),
        upi_id=settings.text("company.upi_id"),
    )


def _signature(line: Line, reference: str) -> str:
    digest = hmac.new(line.home.key(LINK_KEY), reference.encode(), hashlib.sha256).hexdigest()
    return digest[:SIGNATURE_LENGTH]
