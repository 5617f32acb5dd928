"""
What other rooms may do to the ledger.

Every door that changes an account locks the account's row first and holds it to the end of the caller's transaction;
whoever decides on a disconnection locks the same row (`lock_account`), so a payment is either seen or waits.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.base.period import local_date, local_midnight
from bijlighar.ledger import dues_store, hold_store, queries, rules, store
from bijlighar.ledger.errors import (
    DueNotPosted,
    InvalidPayment,
    KeyConflict,
    UnknownLedgerAccount,
    UnknownPayment,
)
from bijlighar.ledger.model import (
    BILL_PROVIDER,
    NO_ACCOUNT,
    Due,
    DueKind,
    GatewayPayment,
    GatewaySettings,
    GatewayState,
    Head,
    Hold,
    HoldKind,
    NewPayment,
    Receipt,
    Transfer,
    TransferKind,
)
from bijlighar.ledger.ports import PaymentGateway as PaymentGateway
from bijlighar.ledger.razorpay import RazorpayGateway
from bijlighar.registry import queries as registry_queries
from bijlighar.registry.errors import UnknownAccount


def lock_account(connection: Connection, *, account: str, now: datetime) -> None:
    """Lock the account's row to the end of the transaction: every payment and every disconnection takes this lock."""
    store.lock(connection, account=account, now=now)


def post(connection: Connection, *, transfers: Sequence[Transfer], now: datetime) -> int:
    """
    Post the transfers under their accounts' locks and return how many were new; a known key changes nothing.

    :raises KeyConflict: if a key is known with other contents; nothing is posted then.
    """
    for account in sorted({transfer.account for transfer in transfers} - {NO_ACCOUNT}):
        store.lock(connection, account=account, now=now)
    return store.add_transfers(connection, transfers=transfers, now=now)


def open_due(
    connection: Connection,
    *,
    account: str,
    document: str,
    amount_paise: int,
    issued_on: date,
    due_on: date,
    now: datetime,
    kind: DueKind = DueKind.BILL,
) -> bool:
    """
    Open the due of a document whose transfers are posted, and cover it with the account's free money.

    A sum below zero becomes free money, which covers the oldest dues at once; a sum of zero opens a due that is
    covered. Return False, and change nothing, if the document's due is open already.

    :raises KeyConflict: if the document is known with another account, sum or day.
    :raises DueNotPosted: if the document posted another sum to the receivable.
    """
    store.lock(connection, account=account, now=now)
    wanted = Due(
        account=account,
        document=document,
        kind=kind,
        amount_paise=max(0, amount_paise),
        open_paise=max(0, amount_paise),
        issued_on=issued_on,
        due_on=due_on,
        first_due_on=issued_on,
    )
    known = dues_store.due(connection, document=document)
    if known is not None:
        if replace(known, open_paise=wanted.open_paise) != wanted:
            raise KeyConflict(
                f"the due of {document} is open already with other contents; nothing was changed"
            )
        return False
    posted = store.net_by_document(
        connection, heads=(Head.RECEIVABLE,), kinds=(TransferKind.BILL,), documents=(document,)
    ).get(document, 0)
    if posted != amount_paise:
        raise DueNotPosted(
            f"{document} posted {posted} paise to the receivable, its due is {amount_paise} paise"
        )
    dues_store.add_due(connection, due=wanted, now=now)
    if amount_paise < 0:
        _credit_bill(
            connection, account=account, document=document, amount_paise=-amount_paise, on=issued_on, now=now
        )
    _allocate(connection, account=account, now=now)
    return True


def _credit_bill(
    connection: Connection, *, account: str, document: str, amount_paise: int, on: date, now: datetime
) -> None:
    transfer = Transfer(
        key=f"credit/{document}",
        debit=Head.RECEIVABLE,
        credit=Head.ADVANCE,
        account=account,
        amount_paise=amount_paise,
        kind=TransferKind.CREDIT,
        document=document,
        business_date=on,
    )
    store.add_transfers(connection, transfers=(transfer,), now=now)
    dues_store.add_credit(
        connection,
        provider=BILL_PROVIDER,
        document=document,
        account=account,
        amount_paise=amount_paise,
        at=local_midnight(on),
        now=now,
    )


def receive(connection: Connection, *, payment: NewPayment, now: datetime) -> Receipt | None:
    """
    Post a payment, cover the oldest dues with it and return the receipt; None if it was known before.

    A hold placed for the same payment is released. A payment for an account that is not registered waits in
    suspense (`Receipt.account` is None) until `match_payment`.

    :raises KeyConflict: if the payment is known with another sum.
    """
    account = payment.account
    if account is not None and not _is_registered(connection, account=account):
        account = None
    if account is not None:
        store.lock(connection, account=account, now=now)
    known = dues_store.payment(connection, provider=payment.provider, payment_id=payment.payment_id)
    if known is not None:
        if known.amount_paise != payment.amount_paise:
            raise KeyConflict(
                f"payment {payment.payment_id} of {payment.provider} is posted with {known.amount_paise} paise and "
                f"came again with {payment.amount_paise}; ask the provider which is right"
            )
        return None
    if payment.event_id is not None and dues_store.has_event(
        connection, provider=payment.provider, event_id=payment.event_id
    ):
        return None
    number = dues_store.add_payment(connection, payment=payment, account=account, now=now)
    if number is None:
        return None
    transfer = Transfer(
        key=f"payment/{payment.provider}/{payment.payment_id}",
        debit=rules.clearing_head(payment.method),
        credit=Head.UNMATCHED if account is None else Head.ADVANCE,
        account=NO_ACCOUNT if account is None else account,
        amount_paise=payment.amount_paise,
        kind=TransferKind.PAYMENT,
        document=payment.payment_id,
        business_date=local_date(payment.paid_at),
    )
    store.add_transfers(connection, transfers=(transfer,), now=now)
    hold_store.release_hold(
        connection, provider=payment.provider, payment_id=payment.payment_id, reason="received", now=now
    )
    if account is not None:
        _allocate(connection, account=account, now=now)
    return queries.receipt_of(connection, number=number)


def _is_registered(connection: Connection, *, account: str) -> bool:
    try:
        registry_queries.account(connection, number=account)
    except UnknownAccount:
        return False
    return True


def settle(
    connection: Connection,
    *,
    provider: str,
    fetched: GatewayPayment,
    event_id: str | None = None,
    now: datetime,
) -> Receipt | None:
    """
    Bring the ledger to the state in which the gateway has a payment; return the receipt if money was posted now.

    Captured is received; authorised (not yet money) is held; failed releases the hold; refunded reverses. Any order
    and any number of repeats end in the same state.
    """
    if fetched.state is GatewayState.CAPTURED:
        return receive(
            connection,
            payment=NewPayment(
                provider=provider,
                payment_id=fetched.payment_id,
                account=fetched.account,
                amount_paise=fetched.amount_paise,
                method=fetched.method,
                paid_at=fetched.created_at,
                event_id=event_id,
            ),
            now=now,
        )
    if fetched.state is GatewayState.AUTHORIZED and fetched.account is not None:
        if _is_registered(connection, account=fetched.account):
            place_hold(
                connection,
                account=fetched.account,
                provider=provider,
                payment_id=fetched.payment_id,
                amount_paise=fetched.amount_paise,
                kind=HoldKind.GATEWAY,
                now=now,
            )
    elif fetched.state is GatewayState.FAILED:
        release_hold(connection, provider=provider, payment_id=fetched.payment_id, reason="failed", now=now)
    elif fetched.state is GatewayState.REFUNDED:
        release_hold(connection, provider=provider, payment_id=fetched.payment_id, reason="refunded", now=now)
        if dues_store.payment(connection, provider=provider, payment_id=fetched.payment_id) is not None:
            reverse_payment(
                connection, provider=provider, payment_id=fetched.payment_id, reason="refunded", now=now
            )
    return None


def match_payment(
    connection: Connection, *, provider: str, payment_id: str, account: str, by: str, now: datetime
) -> Receipt:
    """
    Give a payment in suspense to the account it belongs to, cover its oldest dues and return the receipt.

    :raises UnknownPayment: if there is no such payment.
    :raises UnknownLedgerAccount: if the account is not registered.
    :raises InvalidPayment: if the payment has an account already, or is reversed.
    """
    if not _is_registered(connection, account=account):
        raise UnknownLedgerAccount(f"there is no account {account}; look the number up in the registry")
    store.lock(connection, account=account, now=now)
    row = dues_store.payment(connection, provider=provider, payment_id=payment_id)
    if row is None:
        raise UnknownPayment(f"{provider} has sent no payment {payment_id}")
    if row.owner is not None or row.reversed_at is not None:
        raise InvalidPayment(
            f"payment {payment_id} is not in suspense: it belongs to {row.owner} or is reversed"
        )
    dues_store.add_match(connection, number=row.id, account=account, by=by, now=now)
    transfer = Transfer(
        key=f"match/{provider}/{payment_id}",
        debit=Head.UNMATCHED,
        credit=Head.ADVANCE,
        account=account,
        amount_paise=row.amount_paise,
        kind=TransferKind.MATCH,
        document=payment_id,
        business_date=local_date(now),
    )
    store.add_transfers(connection, transfers=(transfer,), now=now)
    _allocate(connection, account=account, now=now)
    return queries.receipt_of(connection, number=row.id)


def reverse_payment(
    connection: Connection, *, provider: str, payment_id: str, reason: str, now: datetime
) -> bool:
    """
    Reverse a payment that did not hold (a cheque that bounced), re-open its dues; False if it is reversed already.

    :raises UnknownPayment: if there is no such payment.
    """
    row = dues_store.payment(connection, provider=provider, payment_id=payment_id)
    if row is None or provider == BILL_PROVIDER:
        raise UnknownPayment(f"{provider} has sent no payment {payment_id}")
    if row.owner is not None:
        store.lock(connection, account=row.owner, now=now)
        row = dues_store.payment(connection, provider=provider, payment_id=payment_id) or row
    if row.reversed_at is not None:
        return False
    dues_store.add_reversal(connection, number=row.id, reason=reason, now=now)
    if row.owner is not None:
        _allocate(connection, account=row.owner, now=now)
    transfer = Transfer(
        key=f"reversal/{provider}/{payment_id}",
        debit=Head.UNMATCHED if row.owner is None else Head.ADVANCE,
        credit=rules.clearing_head(row.method),
        account=NO_ACCOUNT if row.owner is None else row.owner,
        amount_paise=row.amount_paise,
        kind=TransferKind.REVERSAL,
        document=payment_id,
        business_date=local_date(now),
    )
    store.add_transfers(connection, transfers=(transfer,), now=now)
    return True


def place_hold(
    connection: Connection,
    *,
    account: str,
    provider: str,
    payment_id: str,
    amount_paise: int,
    kind: HoldKind,
    now: datetime,
) -> bool:
    """
    Note that money is on its way; False if this hold, or the payment itself, is known already.

    :raises InvalidPayment: if the sum is not above zero.
    """
    if amount_paise <= 0:
        raise InvalidPayment(f"hold {payment_id}: {amount_paise} paise is not above zero")
    store.lock(connection, account=account, now=now)
    if dues_store.payment(connection, provider=provider, payment_id=payment_id) is not None:
        return False
    hold = Hold(
        provider=provider,
        payment_id=payment_id,
        account=account,
        kind=kind,
        amount_paise=amount_paise,
        placed_at=now,
    )
    return hold_store.add_hold(connection, hold=hold)


def release_hold(
    connection: Connection, *, provider: str, payment_id: str, reason: str, now: datetime
) -> bool:
    """Note that held money will not come (or has come); False if there is no such hold in force."""
    account = hold_store.hold_account(connection, provider=provider, payment_id=payment_id)
    if account is None:
        return False
    store.lock(connection, account=account, now=now)
    return hold_store.release_hold(
        connection, provider=provider, payment_id=payment_id, reason=reason, now=now
    )


def _allocate(connection: Connection, *, account: str, now: datetime) -> None:
    """Bring the allocations of the account, whose lock is held, to oldest first, each with its transfer."""
    moves = rules.allocate(
        dues=dues_store.due_fills(connection, account=account),
        credits=dues_store.credits(connection, account=account),
        held=dues_store.held(connection, account=account),
    )
    transfers = []
    for move in moves:
        number = dues_store.add_allocation(connection, account=account, move=move, now=now)
        covers = move.amount_paise > 0
        transfers.append(
            Transfer(
                key=f"allocation/{number}",
                debit=Head.ADVANCE if covers else Head.RECEIVABLE,
                credit=Head.RECEIVABLE if covers else Head.ADVANCE,
                account=account,
                amount_paise=abs(move.amount_paise),
                kind=TransferKind.ALLOCATION if covers else TransferKind.TAKE_BACK,
                document=move.document,
                business_date=local_date(now),
            )
        )
    store.add_transfers(connection, transfers=transfers, now=now)


def rebuild(connection: Connection) -> None:
    """Rebuild the cached balances and open amounts from the immutable rows; no other writer may be at work."""
    store.replace_balances(connection, balances=store.rebuilt_balances(connection))
    covered: dict[str, int] = {}
    for (_, document), paise in dues_store.held(connection, account=None).items():
        covered[document] = covered.get(document, 0) + paise
    dues_store.replace_open(
        connection,
        open_dues=[
            (due.document, due.account, due.amount_paise - covered.get(due.document, 0))
            for due in dues_store.dues(connection, accounts=None, with_closed=True)
            if due.amount_paise > covered.get(due.document, 0)
        ],
    )


def open_gateway(settings: GatewaySettings) -> PaymentGateway:
    """Return the payment gateway of the settings."""
    return RazorpayGateway(settings)
