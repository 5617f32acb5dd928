"""
The one place where two rooms meet in one transaction: a payment that releases a cut.

A callback is only a hint that something happened at the gateway. It is verified, stored as it came and answered; a
job then fetches the payment from the gateway and, in one transaction, brings the ledger to the state the gateway
has, releases what may be released, settles the event and ends the job.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import operations as arrears
from bijlighar.base.errors import BijligharError
from bijlighar.ledger import operations as ledger
from bijlighar.ledger import queries as ledger_queries
from bijlighar.ledger import rules as ledger_rules
from bijlighar.ledger.errors import GatewayRefused, GatewayUnavailable, UnknownPayment
from bijlighar.ledger.model import LinkReturn, Receipt
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.registry import queries as registry
from bijlighar.runtime import payment_store
from bijlighar.runtime.clock import wall
from bijlighar.runtime.line import Line
from bijlighar.runtime.payment_store import ToldPayment
from bijlighar.storage import inbox, jobs

PROVIDER = "razorpay"
FETCH = "payments.fetch"
PAYMENTS_PER_CALL = 20
FETCH_LEASE_S = 120
RETRY_FIRST = timedelta(seconds=10)
RETRY_LONGEST = timedelta(minutes=30)
ATTEMPTS_MAX = 60
PARTITION_MAX = 64
ACCOUNT_MAX = 64
#: What the gateway says of a page that was paid whole.
PAID = "paid"


class ForgedCallback(BijligharError):
    """A callback does not bear the provider's signature."""

    code = "runtime.forged-callback"


def accept_event(line: Line, *, body: bytes, signature: str, event_id: str, now: datetime) -> bool:
    """
    Verify and store the gateway's callback and order the payment to be fetched; False if it is known.

    :raises ForgedCallback: if the signature is not the gateway's; nothing is stored then.
    :raises BrokenEvent: if a genuine callback cannot be read.
    """
    secret = line.home.settings.text("gateway.webhook_secret")
    if not ledger_rules.verify_signature(secret=secret, body=body, signature=signature):
        raise ForgedCallback(
            "the callback does not bear the payment gateway's signature; nothing was changed"
        )
    event = ledger_rules.parse_event(body)
    with line.database.write() as connection:
        identity = _store(connection, body=body, event_id=event_id, now=now)
        if identity is None:
            return False
        if event is None:
            inbox.settle(
                connection,
                provider=PROVIDER,
                event_id=identity,
                state=inbox.InboxState.DONE,
                note="tells of no payment",
                now=now,
            )
            return True
        _order_fetch(
            connection,
            payment=None
            if event.account is None
            else ToldPayment(
                payment_id=event.payment_id, account=event.account, amount_paise=None, told_at=now
            ),
            payment_id=event.payment_id,
            event_id=identity,
            now=now,
        )
    return True


def accept_return(line: Line, *, back: LinkReturn, now: datetime) -> str | None:
    """
    Verify what a browser brings back from the gateway's page, have the payment fetched, and return its account.

    None, and nothing is ordered, where nothing was paid. The callback may come before, after or never.

    :raises ForgedCallback: if it does not bear the gateway's signature, or names no page that was made here.
    """
    secret = line.home.settings.text("gateway.key_secret")
    if not ledger_rules.verify_return(secret=secret, back=back):
        raise ForgedCallback("this return from the payment page is not genuine; nothing was changed")
    body = "|".join((back.link_id, back.reference, back.status, back.payment_id)).encode()
    with line.database.write() as connection:
        made = payment_store.link(connection, reference=back.reference)
        if made is None or made.link_id != back.link_id:
            raise ForgedCallback(
                "this return is from no payment page that was made here; nothing was changed"
            )
        if back.status != PAID:
            return None
        identity = f"return/{back.payment_id}"
        if not inbox.store(connection, provider=PROVIDER, event_id=identity, body=body, now=now):
            return made.account
        known = ledger_queries.payment(connection, provider=PROVIDER, payment_id=back.payment_id)
        told = ToldPayment(
            payment_id=back.payment_id, account=made.account, amount_paise=made.amount_paise, told_at=now
        )
        _order_fetch(
            connection,
            payment=told if known is None else None,
            payment_id=back.payment_id,
            event_id=identity,
            now=now,
        )
    return made.account


def _order_fetch(
    connection: Connection,
    *,
    payment: ToldPayment | None,
    payment_id: str,
    event_id: str,
    now: datetime,
) -> None:
    """Order a payment to be fetched at the gateway; until it is, it shows as being on its way."""
    if payment is not None and len(payment.account) <= ACCOUNT_MAX and payment.account.isprintable():
        payment_store.tell(connection, payment=payment)
    jobs.enqueue(
        connection,
        kind=FETCH,
        key=f"{FETCH}/{event_id}",
        lane=jobs.Lane.PAYMENT,
        run_at=now,
        payload={"payment_id": payment_id, "event_id": event_id},
        partition=f"payment/{payment_id}"[:PARTITION_MAX],
        now=now,
    )


def _store(connection: Connection, *, body: bytes, event_id: str, now: datetime) -> str | None:
    """
    Store a genuine body and return under which id, None if it is known.

    The id stands in a header that is not signed: where it is taken by another body, the body's own hash names it, so
    that nobody can make a later event look known.
    """
    digest = hashlib.sha256(body).hexdigest()
    for identity in dict.fromkeys((event_id or digest, digest)):
        if inbox.store(connection, provider=PROVIDER, event_id=identity, body=body, now=now):
            return identity
        if inbox.load(connection, provider=PROVIDER, event_id=identity).body == body:
            return None
    return None


def settle_due(line: Line, *, now: datetime) -> int:
    """Fetch the payments that callbacks told of, post them, release what they release, and return how many."""
    claimed = jobs.claim(
        line.database,
        kinds=(FETCH,),
        worker=line.worker,
        now=now,
        wall=wall(),
        lease_s=FETCH_LEASE_S,
        limit=PAYMENTS_PER_CALL,
    )
    faults: list[Exception] = []
    for job in claimed:
        try:
            _settle(line, job=job, now=now)
        except Exception as fault:  # the others shall not wait for it
            faults.append(fault)
            _try_again(line, job=job, problem=fault, now=now)
    if faults:
        raise faults[0]
    return len(claimed)


def _settle(line: Line, *, job: jobs.Job, now: datetime) -> None:
    payment_id, event_id = str(job.payload["payment_id"]), str(job.payload["event_id"])
    try:
        fetched = line.payment_gateway.fetch(payment_id=payment_id)
    except (UnknownPayment, GatewayRefused) as problem:
        with line.database.write() as connection:
            jobs.fail(connection, job=job, error=str(problem), now=now)
            payment_store.settle(connection, payment_id=payment_id)
            _note(connection, event_id, inbox.InboxState.REFUSED, str(problem), now)
        return
    except GatewayUnavailable as problem:
        _try_again(line, job=job, problem=problem, now=now)
        return
    with line.database.write() as connection:
        receipt = ledger.settle(connection, provider=PROVIDER, fetched=fetched, event_id=event_id, now=now)
        account = receipt.account if receipt else fetched.account
        payment_store.settle(connection, payment_id=payment_id)
        if receipt is not None and receipt.account is not None:
            _acknowledge(connection, receipt=receipt, now=now)
        if account is not None:
            arrears.release_paid(connection, account=account, now=now, signer=line.sign, policy=line.policy)
        note = f"receipt {receipt.number}" if receipt else f"{fetched.state.value}; nothing new"
        _note(connection, event_id, inbox.InboxState.DONE, note, now)
        jobs.finish(connection, job=job, now=now)


def _acknowledge(connection: Connection, *, receipt: Receipt, now: datetime) -> None:
    """Order the receipt to be sent, in the payment's transaction."""
    account = registry.account(connection, number=str(receipt.account))
    notices.queue(
        connection,
        account=account.number,
        purpose=Purpose.PAYMENT_RECEIPT,
        key=f"receipt/{receipt.number}",
        facts={
            "name": account.name,
            "amount_paise": str(receipt.amount_paise),
            "paid_at": receipt.paid_at.isoformat(),
            "receipt": receipt.number,
            "owed_paise": str(max(receipt.owed_after_paise, 0)),
        },
        now=now,
    )


def _try_again(line: Line, *, job: jobs.Job, problem: Exception, now: datetime) -> None:
    with line.database.write() as connection:
        if job.attempt >= ATTEMPTS_MAX:
            jobs.fail(connection, job=job, error=str(problem), now=now)
            return
        pause = min(RETRY_FIRST * 2 ** min(job.attempt, 20), RETRY_LONGEST)
        jobs.retry(connection, job=job, run_at=now + pause, error=str(problem), now=now)


def _note(connection: Connection, event_id: str, state: inbox.InboxState, note: str, now: datetime) -> None:
    inbox.settle(connection, provider=PROVIDER, event_id=event_id, state=state, note=note, now=now)
