"""What other rooms may ask about bills."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from bijlighar.base.period import Month, day_number, local_date
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.base.words import Language
from bijlighar.billing import rules, store, typesetting
from bijlighar.billing.errors import UnknownBill
from bijlighar.billing.model import Bill, BillKind, Item, ItemState, Reason, RunReport
from bijlighar.readings import queries as readings
from bijlighar.readings.model import RegisterKind
from bijlighar.registry import queries as registry
from bijlighar.storage.sql import text_of

BILL_FROM_DAY = 3
HISTORY_MONTHS = 12


def bill(connection: Connection, *, number: str) -> Bill:
    """
    Return the bill with this number.

    :raises UnknownBill: if there is none.
    :raises InvalidValue: if no bill can have this number.
    """
    check_text(number, what="the bill's number", letters_max=CODE_MAX)
    for found in store.bills(connection, number=number.strip().upper()):
        return found
    hint = (
        "" if rules.is_bill_number(number.strip().upper()) else " (the check digit is wrong; look for a slip)"
    )
    raise UnknownBill(f"there is no bill {number}{hint}")


def bill_by_token(connection: Connection, *, token: str) -> Bill:
    """
    Return the bill that a link names by its token.

    :raises UnknownBill: if there is none.
    """
    for found in store.bills(connection, token=token):
        return found
    raise UnknownBill("there is no bill behind this link; ask for a new one")


def bills(
    connection: Connection,
    *,
    account: str | None = None,
    month: Month | None = None,
    limit: int | None = None,
) -> tuple[Bill, ...]:
    """
    Return the bills and corrections of an account, of a month, or all, by account, month and order of issue.

    :raises InvalidValue: if no account can have this number.
    """
    check_text(account or "", what="the account number", letters_max=CODE_MAX)
    return store.bills(connection, account=account, month=month, limit=limit)


def latest_bill(connection: Connection, *, account: str) -> Bill | None:
    """Return the newest bill (or correction) of an account, None if it was never billed."""
    return store.latest(connection, accounts=(account,)).get(account)


def pdf_octets(*, bill: Bill, language: Language, documents: Path) -> int | None:
    """Return the size of a bill's PDF [octets], None while it was not made."""
    file = typesetting.pdf_path(bill=bill, language=language, documents=documents)
    return file.stat().st_size if file.is_file() else None


def usage_history(
    connection: Connection, *, account: str, upto: Month, months: int = HISTORY_MONTHS
) -> tuple[tuple[Month, int, int], ...]:
    """Return month, energy [Wh] and estimated intervals of the account's last bills up to a month, oldest first."""
    return store.usage_history(connection, account=account, upto=upto, months=months)


def totals(connection: Connection) -> tuple[int, int]:
    """Return how many bills and corrections there are and the sum of their totals [paise]."""
    count, paise, _ = store.totals(connection, month=None)
    return count, paise


def billed(connection: Connection, *, month: Month) -> tuple[Mapping[str, tuple[int, int]], str]:
    """Return energy [Wh] and sum [paise] billed of a month by account, corrections included, and the query itself."""
    statement = store.billed_statement(month=month)
    rows = connection.execute(statement)
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}, text_of(connection, statement)


def items(connection: Connection, *, month: Month, state: ItemState | None = None) -> tuple[Item, ...]:
    """Return what became of each account in a month, by account."""
    return store.items(connection, month=month, state=state)


def report(connection: Connection, *, month: Month) -> RunReport:
    """Return how far a month's run is: billed + parked + excluded + pending = eligible."""
    accounts = {account.number for account in registry.accounts(connection)}
    found = [item for item in store.items(connection, month=month) if item.account in accounts]
    counts = {state: sum(item.state is state for item in found) for state in ItemState}
    reasons: dict[Reason, int] = {}
    for item in found:
        if item.reason is not None:
            reasons[item.reason] = reasons.get(item.reason, 0) + 1
    _, total_paise, energy_wh = store.totals(connection, month=month)
    return RunReport(
        month=month,
        eligible=len(accounts),
        billed=counts[ItemState.BILLED],
        parked=counts[ItemState.PARKED],
        excluded=counts[ItemState.EXCLUDED],
        pending=len(accounts) - len(found),
        total_paise=total_paise,
        energy_wh=energy_wh,
        reasons=reasons,
    )


def runs(connection: Connection, *, month: Month) -> tuple[RunReport, ...]:
    """Return the reports of a month's finished runs, one for each day, oldest first."""
    return store.runs(connection, month=month)


def months_due(
    connection: Connection, *, now: datetime, bill_from_day: int = BILL_FROM_DAY
) -> tuple[Month, ...]:
    """Return the months that are to be looked at now, oldest first; a month without any reading is not begun."""
    today = local_date(now)
    known = store.known_months(connection)
    months = rules.months_due(today=today, bill_from_day=bill_from_day, known=known)
    return tuple(month for month in months if (month in known or _has_readings(connection, month=month)))


def to_do(connection: Connection, *, month: Month, now: datetime, again: bool = False) -> tuple[str, ...]:
    """
    Return the accounts that the month's run has to look at, by number.

    A parked account is looked at once a day. With `again`, every account that is not billed is looked at, once for
    each `now`.
    """
    done = {
        item.account
        for item in store.items(connection, month=month)
        if not _is_open(item, now=now, again=again)
    }
    return tuple(account.number for account in registry.accounts(connection) if account.number not in done)


def _is_open(item: Item, *, now: datetime, again: bool) -> bool:
    """Return whether an account's month is to be looked at once more."""
    if item.state is ItemState.BILLED:
        return False
    if item.checked_at is None:
        return True
    if again:
        return item.checked_at < now
    return item.state is ItemState.PARKED and local_date(item.checked_at) < local_date(now)


def pending(connection: Connection, *, now: datetime, bill_from_day: int = BILL_FROM_DAY) -> int:
    """Return how many accounts the runs of the months due have to look at now."""
    today = local_date(now)
    waiting = store.waiting(connection) > 0
    return sum(
        len(to_do(connection, month=month, now=now))
        for month in months_due(connection, now=now, bill_from_day=bill_from_day)
        if waiting or store.run_of(connection, month=month, day=today) is None
    )


def corrections(connection: Connection, *, number: str) -> tuple[Bill, ...]:
    """
    Return the corrections of a bill, oldest first.

    :raises UnknownBill: if there is no such bill.
    """
    original = bill(connection, number=number)
    same = store.bills(connection, account=original.account, month=original.month)
    return tuple(each for each in same if each.kind is BillKind.CORRECTION and each.of == original.number)


def _has_readings(connection: Connection, *, month: Month) -> bool:
    first, last = day_number(month.first), day_number(month.last)
    if readings.has_whole_day(connection, first=first, last=last):
        return True
    return bool(readings.registers(connection, kind=RegisterKind.HAND, period=month.period))
