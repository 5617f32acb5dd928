"""A consumer pays: the gateway makes one page for an account, a sum and a day, and the browser is led there."""

import hashlib
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import LINK_PAISE_MIN, LinkRequest
from bijlighar.notices import rules as notices_rules
from bijlighar.registry import queries as registry
from bijlighar.registry.model import CustomerAccount
from bijlighar.runtime import payment_store
from bijlighar.runtime.line import Line
from bijlighar.runtime.payment_store import LinkRow

RETURN_PATH = "/me/paid"
#: How much more than is due one may pay at a time [paise]: an advance for the bills to come.
ADVANCE_PAISE_MAX = 1_000_000
LINKS_PER_DAY = 20
#: How often a page that turned out paid or withdrawn is followed by the next, in one go.
PLACES_PER_CALL = 3
DIGEST_LENGTH = 16


class ImpossibleAmount(BijligharError):
    """A sum is less than the gateway takes, or more than may be paid at a time."""

    code = "runtime.impossible-amount"


class TooManyPayments(BijligharError):
    """So many payments were begun for an account today that no more are."""

    code = "runtime.too-many-payments"


def can_pay(line: Line) -> bool:
    """Return whether a payment gateway is set."""
    return bool(line.home.settings.text("gateway.key_id"))


def limits_paise(due_paise: int) -> tuple[int, int]:
    """
    Return the least and the most [paise] that may be paid at a time where `due_paise` [paise] is due.

    >>> limits_paise(68_400), limits_paise(-500)
    ((100, 1068400), (100, 1000000))
    """
    return LINK_PAISE_MIN, max(due_paise, 0) + ADVANCE_PAISE_MAX


def start_payment(line: Line, *, account: str, amount_paise: int, now: datetime) -> str:
    """
    Return the address of the gateway's page where `amount_paise` [paise] can be paid for the account.

    The same account, sum and day lead to the same page until it is paid.

    :raises ImpossibleAmount: if the sum is too small or too large.
    :raises TooManyPayments: if too many were begun today.
    :raises NotConfigured: if no gateway is set.
    :raises GatewayUnavailable: if the gateway does not answer.
    :raises GatewayRefused: if the gateway refuses.
    """
    gateway = line.payment_gateway
    for _ in range(PLACES_PER_CALL):
        with line.database.write() as connection:
            customer = registry.account(connection, number=account)
            _check(connection, account=account, amount_paise=amount_paise)
            row = _reserve(connection, account=account, amount_paise=amount_paise, now=now)
        if row.link_id is not None:
            made = gateway.payment_link(link_id=row.link_id)
        else:
            made = gateway.create_payment_link(request=_request(line, customer=customer, row=row))
        with line.database.write() as connection:
            payment_store.set_link(connection, reference=row.reference, link_id=made.link_id, url=made.url)
            if made.is_open:
                return made.url
            _follow(connection, row=row, now=now)
    raise TooManyPayments(
        "this payment was begun again and again; look at the passbook before you pay once more"
    )


def _check(connection: Connection, *, account: str, amount_paise: int) -> None:
    least_paise, most_paise = limits_paise(ledger.balance_paise(connection, account=account))
    if not least_paise <= amount_paise <= most_paise:
        raise ImpossibleAmount(
            f"{amount_paise} paise cannot be paid at a time; pay from {least_paise} to {most_paise} paise"
        )


def _reserve(connection: Connection, *, account: str, amount_paise: int, now: datetime) -> LinkRow:
    """Return the newest page of the account, sum and day, reserved if there is none."""
    day = local_date(now)
    known = payment_store.newest_link(connection, account=account, day=day, amount_paise=amount_paise)
    if known is not None:
        return known
    first = LinkRow(
        reference="", account=account, day=day, amount_paise=amount_paise, place=1, link_id=None, url=None
    )
    return _add(connection, row=first, now=now)


def _follow(connection: Connection, *, row: LinkRow, now: datetime) -> None:
    """Reserve the page after one that is paid or withdrawn."""
    _add(connection, row=replace(row, place=row.place + 1, link_id=None, url=None), now=now)


def _add(connection: Connection, *, row: LinkRow, now: datetime) -> LinkRow:
    if payment_store.count_links(connection, account=row.account, day=row.day) >= LINKS_PER_DAY:
        raise TooManyPayments(f"{LINKS_PER_DAY} payments were begun today; pay tomorrow, or at the office")
    named = replace(row, reference=_reference(row))
    payment_store.add_link(connection, row=named, now=now)
    return named


def _reference(row: LinkRow) -> str:
    """Return the name under which the gateway knows a page."""
    told = f"{row.account}\n{row.amount_paise}"
    return f"{row.day:%y%m%d}-{hashlib.sha256(told.encode()).hexdigest()[:DIGEST_LENGTH]}-{row.place}"


def _request(line: Line, *, customer: CustomerAccount, row: LinkRow) -> LinkRequest:
    words = Words(
        hi=f"बिजली बिल, उपभोक्ता नंबर {row.account}", en=f"Electricity bill, consumer no. {row.account}"
    )
    return LinkRequest(
        account=row.account,
        amount_paise=row.amount_paise,
        reference=row.reference,
        description=words.in_language("en" if customer.language == "en" else "hi"),
        name=customer.name,
        phone=f"+{notices_rules.normal_phone(customer.phone)}" if customer.phone else None,
        return_url=f"{line.public_url}{RETURN_PATH}",
    )
