"""A consumer's page, gathered from the rooms; nothing is worked out here."""

from datetime import date, datetime, timedelta
from io import BytesIO

import segno
from sqlalchemy import Connection

from bijlighar.arrears import queries as arrears
from bijlighar.arrears.model import ACTIVE, Order, OrderState
from bijlighar.base.period import local_date
from bijlighar.base.words import Language, Words
from bijlighar.billing import queries as bills
from bijlighar.billing import rules as billing_rules
from bijlighar.billing.model import Bill, BillKind
from bijlighar.headend.rules import reason_words
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import Hold, HoldKind
from bijlighar.notices import queries as notices
from bijlighar.notices.model import Purpose
from bijlighar.offices import queries as offices
from bijlighar.registry import queries as registry
from bijlighar.registry.model import CustomerAccount
from bijlighar.runtime import payment_store
from bijlighar.runtime.documents import notice_link, payee_of
from bijlighar.runtime.line import Line
from bijlighar.runtime.paying import can_pay, limits_paise
from bijlighar.runtime.payment_store import ToldPayment
from bijlighar.runtime.portal_model import (
    LatestBill,
    Notice,
    Owed,
    Pending,
    PortalPage,
    PortalStatus,
    Supply,
    SupplyState,
    Warned,
    Ways,
)
from bijlighar.runtime.portal_usage import usage

PASSBOOK_LINES = 24
#: What was told of longer ago and is not settled by then is the office's matter.
TOLD_FOR = timedelta(days=7)
QUIET_MODULES = 4
#: An order in one of these may take the supply away at any moment.
CUTTING = frozenset({OrderState.SENT, OrderState.UNKNOWN, OrderState.MANUAL})

BEING_CONFIRMED = Words(hi="भुगतान की पुष्टि हो रही है", en="The payment is being confirmed")
_HOLD_WORDS = {
    HoldKind.CHEQUE: Words(hi="चेक समाशोधन में है", en="A cheque is in clearing"),
    HoldKind.UPI: Words(hi="यूपीआई भुगतान बैंक में लंबित है", en="A UPI payment is pending at the bank"),
    HoldKind.BBPS: Words(hi="बीबीपीएस भुगतान लंबित है", en="A BBPS payment is pending"),
    HoldKind.GATEWAY: Words(
        hi="भुगतान गेटवे पर है, बैंक से आना शेष है",
        en="The payment is at the gateway, the bank has not confirmed it yet",
    ),
    HoldKind.PROTEST: Words(hi="विरोध सहित जमा", en="Deposited under protest"),
}


def portal_page(line: Line, *, account: str, now: datetime, language: Language | None = None) -> PortalPage:
    """
    Return the page of an account, in `language` or else in the one of the records.

    :raises UnknownAccount: if the account is not registered.
    """
    with line.database.read() as connection:
        customer = registry.account(connection, number=account)
        own: Language = language or ("en" if customer.language == "en" else "hi")
        order = _active_order(connection, account=account)
        status = _status(line, connection, account=account, order=order, now=now)
        return PortalPage(
            account=customer.number,
            name=customer.name,
            place=customer.usage_point or None,
            office=_office(connection, customer=customer),
            language=own,
            status=status,
            ways=_ways(line, account=account, owed=status.owed, on=local_date(now)),
            notice=_notice(line, connection, account=account),
            warned=_warned(connection, order=order),
            bill=_bill(line, bills.latest_bill(connection, account=account), language=own),
            passbook=ledger.passbook(connection, account=account, lines_max=PASSBOOK_LINES)[::-1],
            usage=usage(connection, account=account, now=now),
        )


def portal_status(line: Line, *, account: str, now: datetime) -> PortalStatus:
    """Return what changes on an account's page while one looks at it: supply, what is owed, what is on its way."""
    with line.database.read() as connection:
        order = _active_order(connection, account=account)
        return _status(line, connection, account=account, order=order, now=now)


def _status(
    line: Line, connection: Connection, *, account: str, order: Order | None, now: datetime
) -> PortalStatus:
    return PortalStatus(
        account=account,
        supply=_supply(line, connection, account=account, order=order, now=now),
        owed=_owed(connection, account=account, on=local_date(now)),
        pending=_pending(connection, account=account, now=now),
        made_at=now,
    )


def _office(connection: Connection, *, customer: CustomerAccount) -> Words | None:
    if customer.office is None:
        return None
    return offices.office(connection, code=customer.office).name


def _active_order(connection: Connection, *, account: str) -> Order | None:
    found = arrears.orders(connection, account=account, states=sorted(ACTIVE))
    return found[-1] if found else None


def _supply(
    line: Line, connection: Connection, *, account: str, order: Order | None, now: datetime
) -> Supply:
    coming = arrears.restoration(connection, account=account, now=now, policy=line.policy)
    reasons = sorted(arrears.open_reasons(connection, account=account))
    if coming is not None:
        state = SupplyState.RESTORING
    elif reasons:
        state = SupplyState.OFF
    elif order is not None and order.state in CUTTING:
        state = SupplyState.CUTTING
    else:
        state = SupplyState.ON
    is_off = state in (SupplyState.OFF, SupplyState.RESTORING)
    return Supply(
        state=state,
        reasons=tuple(reason_words(reason) for reason in reasons),
        since=order.opened_at if order is not None and is_off else None,
        restoration=coming,
    )


def _owed(connection: Connection, *, account: str, on: date) -> Owed:
    balance_paise = ledger.balance_paise(connection, account=account)
    overdue_paise, overdue_since = ledger.overdue(connection, account=account, on=on)
    coming = [due.due_on for due in ledger.open_dues(connection, account=account) if due.due_on >= on]
    return Owed(
        due_paise=max(balance_paise, 0),
        advance_paise=max(-balance_paise, 0),
        pay_by=min(coming, default=None),
        overdue_paise=overdue_paise,
        overdue_since=overdue_since,
    )


def _ways(line: Line, *, account: str, owed: Owed, on: date) -> Ways:
    least_paise, most_paise = limits_paise(owed.due_paise)
    payee = payee_of(line)
    upi = ""
    if owed.due_paise and payee.upi_id:
        upi = billing_rules.upi_address(
            payee=payee,
            amount_paise=owed.due_paise,
            reference=f"{account}-{on:%y%m%d}",
            note=account,
        )
    return Ways(
        least_paise=least_paise,
        most_paise=most_paise,
        gateway=can_pay(line),
        upi=upi,
        qr=_picture(upi) if upi else "",
    )


def _picture(text: str) -> str:
    picture = BytesIO()
    segno.make(text, error="m", micro=False).save(
        picture, kind="svg", border=QUIET_MODULES, xmldecl=False, omitsize=True, svgclass="qr", lineclass=None
    )
    return picture.getvalue().decode()


def _pending(connection: Connection, *, account: str, now: datetime) -> tuple[Pending, ...]:
    holds = ledger.holds(connection, account=account)
    held = {hold.payment_id for hold in holds}
    told = payment_store.told(connection, account=account, since=now - TOLD_FOR)
    found = [_of_hold(hold) for hold in holds]
    found += [_of_told(payment) for payment in told if payment.payment_id not in held]
    return tuple(sorted(found, key=lambda each: each.since))


def _of_hold(hold: Hold) -> Pending:
    return Pending(amount_paise=hold.amount_paise, since=hold.placed_at, words=_HOLD_WORDS[hold.kind])


def _of_told(payment: ToldPayment) -> Pending:
    return Pending(amount_paise=payment.amount_paise, since=payment.told_at, words=BEING_CONFIRMED)


def _notice(line: Line, connection: Connection, *, account: str) -> Notice | None:
    """Return the newest statutory notice that names a due which is still open."""
    still_open = {due.document for due in ledger.open_dues(connection, account=account)}
    for fact in reversed(arrears.notices(connection, account=account, policy=line.policy)):
        if still_open.isdisjoint(fact.documents):
            continue
        sent = notices.messages(
            connection, account=account, reference=fact.reference, purpose=Purpose.STATUTORY_NOTICE, limit=1
        )
        return Notice(
            reference=fact.reference,
            given_on=fact.queued_on,
            amount_paise=fact.amount_paise,
            cut_not_before_on=_day(sent[0].facts.get("cut_not_before_on")) if sent else None,
            url=notice_link(line, fact.reference).removeprefix(line.public_url),
        )
    return None


def _warned(connection: Connection, *, order: Order | None) -> Warned | None:
    """Return the last warning of an order that has not left."""
    if order is None or order.state is not OrderState.WARNED:
        return None
    sent = notices.messages(connection, account=order.account, purpose=Purpose.LAST_WARNING, limit=1)
    return Warned(amount_paise=order.due_paise, cut_on=_day(sent[0].facts.get("cut_on")) if sent else None)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _bill(line: Line, bill: Bill | None, *, language: Language) -> LatestBill | None:
    if bill is None:
        return None
    return LatestBill(
        number=bill.number,
        month=bill.month,
        is_correction=bill.kind is BillKind.CORRECTION,
        issued_on=bill.issued_on,
        due_on=bill.due_on,
        energy_wh=bill.energy_wh,
        estimated=bill.estimated > 0,
        lines=bill.lines,
        total_paise=bill.total_paise,
        previous_paise=bill.previous_paise,
        payable_paise=bill.payable_paise,
        pdf_octets=bills.pdf_octets(bill=bill, language=language, documents=line.documents),
    )
