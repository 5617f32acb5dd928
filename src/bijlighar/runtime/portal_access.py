"""
How a consumer signs in to the own page: a one-time code to the telephone in the records, then a session.

Whoever asks learns nothing about an account: asking writes down the same and takes the same time whether the account
exists or not, and a worker does the rest. Codes and tokens are stored as digests alone. All times here are of the
wall clock: who waits for a code waits in real time, in a demo too.
"""

import hashlib
import hmac
import ipaddress
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.errors import BijligharError
from bijlighar.notices import operations as notices
from bijlighar.notices.model import TryLater
from bijlighar.registry import queries as registry
from bijlighar.registry.model import CustomerAccount
from bijlighar.runtime import portal_store
from bijlighar.runtime.line import Line
from bijlighar.runtime.portal_store import ACCOUNT_MAX
from bijlighar.storage import jobs

CODE_KEY = "sign-in-codes"
SEND_CODE = "portal.code"
CODE_DIGITS = 6
CODE_VALID = timedelta(minutes=10)
SESSION_VALID = timedelta(days=30)
TOKEN_OCTETS = 32
#: How often one account may be asked for, and one address may ask or try.
ASKS_PER_ACCOUNT = ((3, timedelta(minutes=15)), (10, timedelta(days=1)))
ASKS_PER_ADDRESS = ((20, timedelta(hours=1)),)
TRIES_PER_ADDRESS = ((60, timedelta(hours=1)),)
CODES_PER_RUN = 50
SENDINGS_MAX = 40
LEASE_S = 60
#: An address of the sixth version stands for its whole network.
IPV6_NETWORK = 64


class TooManyCodes(BijligharError):
    """Codes were asked for, or tried, too often."""

    code = "runtime.too-many-codes"


class WrongCode(BijligharError):
    """A sign-in code is wrong, used up or too old; which of these is not said."""

    code = "runtime.wrong-code"


def can_send_codes(line: Line) -> bool:
    """Return whether codes can be sent at all: a provider of messages is set."""
    return line.message_gateway is not None


def ask_code(line: Line, *, account: str, address: str, now: datetime, wall: datetime) -> None:
    """
    Order a sign-in code to be sent to the account's telephone, and say nothing of whether there is one.

    :raises TooManyCodes: if the account or the address has asked too often; whether the account exists plays no part.
    """
    typed = _squeezed(account)
    with line.database.write() as connection:
        portal_store.tidy(connection, wall=wall)
        served = portal_store.take(
            connection, subject=f"ask {_network(address)}", limits=ASKS_PER_ADDRESS, wall=wall
        )
        served = served and portal_store.take(
            connection, subject=f"account {_digest(typed)}", limits=ASKS_PER_ACCOUNT, wall=wall
        )
        if served:
            jobs.enqueue(
                connection,
                kind=SEND_CODE,
                key=f"{SEND_CODE}/{secrets.token_hex(16)}",
                lane=jobs.Lane.NOTICE,
                run_at=now,
                payload={"account": _typed(account), "until": (wall + CODE_VALID).isoformat()},
                partition=f"{SEND_CODE}/{_digest(typed)[:32]}",
                now=now,
            )
    if not served:
        raise TooManyCodes("codes were asked for too often; wait a quarter of an hour and ask again")


def send_codes(line: Line, *, now: datetime, wall: datetime) -> int:
    """Make and send the codes that were asked for and return how many requests were settled."""
    gateway = line.message_gateway
    if gateway is None:
        return 0
    claimed = jobs.claim(
        line.database,
        kinds=(SEND_CODE,),
        worker=line.worker,
        now=now,
        wall=wall,
        lease_s=LEASE_S,
        limit=CODES_PER_RUN,
    )
    return sum(_send(line, gateway, job=job, now=now, wall=wall) for job in claimed)


def pending(connection: Connection, *, now: datetime) -> int:
    """Return how many codes are still to be sent."""
    return jobs.pending(connection, kinds=(SEND_CODE,), now=now)


def _send(
    line: Line, gateway: notices.MessageGateway, *, job: jobs.Job, now: datetime, wall: datetime
) -> bool:
    """Send one code and return whether its request is settled."""
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    with line.database.write() as connection:
        customer = _customer(connection, account=str(job.payload["account"]))
        is_late = wall >= datetime.fromisoformat(str(job.payload["until"]))
        if customer is None or is_late or job.attempt > SENDINGS_MAX:
            jobs.finish(connection, job=job, now=now)
            return True
        digest = _of_code(line, customer.number, code)
        portal_store.put_code(connection, account=customer.number, digest=digest, until=wall + CODE_VALID)
    result = notices.send_code(
        line.database,
        account=customer.number,
        code=code,
        key=f"sign-in/{job.id}/{job.attempt}",
        now=now,
        gateway=gateway,
    )
    with line.database.write() as connection:
        if isinstance(result, TryLater):
            jobs.retry(connection, job=job, run_at=now, error=result.reason, now=now)
            return False
        jobs.finish(connection, job=job, now=now)
    return True


def enter_code(line: Line, *, account: str, code: str, address: str, wall: datetime) -> str:
    """
    Open a session for whoever has the newest code of the account and return its token; the code is used up.

    :raises WrongCode: if it is wrong, used up, too old or tried too often, or there is no such account.
    :raises TooManyCodes: if the address has tried too often.
    """
    typed = "".join(sign for sign in code if sign.isdecimal() and sign.isascii())[:CODE_DIGITS]
    token: str | None = None
    with line.database.write() as connection:
        served = portal_store.take(
            connection, subject=f"try {_network(address)}", limits=TRIES_PER_ADDRESS, wall=wall
        )
        if served:
            customer = _customer(connection, account=account)
            number = _squeezed(account) if customer is None else customer.number
            if portal_store.use_code(
                connection, account=number, digest=_of_code(line, number, typed), wall=wall
            ):
                token = _open(connection, customer=customer, wall=wall)
    if not served:
        raise TooManyCodes("codes were tried too often; wait an hour and ask for a new one")
    if token is None:
        raise WrongCode("the code is wrong or no longer valid; ask for a new one")
    return token


def open_portal(line: Line, *, account: str, wall: datetime) -> str:
    """
    Open a session without a code and return its token; for a demo's home alone, which the caller checks.

    :raises UnknownAccount: if the account is not registered.
    """
    with line.database.write() as connection:
        return str(_open(connection, customer=registry.account(connection, number=account), wall=wall))


def portal_account(line: Line, *, token: str, wall: datetime) -> str | None:
    """Return whose session a token opens; None where it has ended, or the account's telephone is another by now."""
    with line.database.read() as connection:
        opened = portal_store.session(connection, token=_digest(token), wall=wall)
        if opened is None:
            return None
        account, phone = opened
        customer = _customer(connection, account=account)
    if customer is None or customer.number != account or phone != _digest(customer.phone or ""):
        return None
    return customer.number


def close_portal(line: Line, *, token: str) -> None:
    """End the session of a token, if it stands."""
    with line.database.write() as connection:
        portal_store.remove_session(connection, token=_digest(token))


def _customer(connection: Connection, *, account: str) -> CustomerAccount | None:
    """Return the account that was typed, with or without its blanks; every spelling is looked up in any case."""
    found: CustomerAccount | None = None
    for spelling in (_squeezed(account), _typed(account)):
        try:
            found = registry.account(connection, number=spelling)
        except registry.UnknownAccount:
            continue
    return found


def _open(connection: Connection, *, customer: CustomerAccount | None, wall: datetime) -> str | None:
    if customer is None:
        return None
    token = secrets.token_urlsafe(TOKEN_OCTETS)
    portal_store.add_session(
        connection,
        token=_digest(token),
        account=customer.number,
        phone=_digest(customer.phone or ""),
        wall=wall,
        until=wall + SESSION_VALID,
    )
    return token


def _of_code(line: Line, account: str, code: str) -> str:
    """Return the digest of a code; without the home's key its million values could simply be tried."""
    return hmac.new(line.home.key(CODE_KEY), f"{account}\n{code}".encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _squeezed(account: str) -> str:
    """
    Return an account number as typed without blanks, in capitals.

    >>> _squeezed(" n3 2745-1180 ")
    'N32745-1180'
    """
    return "".join(_typed(account).split()).upper()[:ACCOUNT_MAX]


def _typed(account: str) -> str:
    """Return an account number as typed, without what no keyboard writes and no database takes."""
    return "".join(sign for sign in account if sign.isprintable()).strip()[:ACCOUNT_MAX]


def _network(address: str) -> str:
    """
    Return what an address counts as: itself, or its network in the sixth version.

    >>> _network("10.0.0.7"), _network("2001:db8::1"), _network("?")
    ('10.0.0.7', '2001:db8::/64', 'unknown')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
