"""
Bills, what became of each account in a month's run, releases, and run reports.

A bill is only ever added: triggers on both databases refuse to change or delete one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    func,
    select,
    update,
)

from bijlighar.base.period import Month
from bijlighar.billing.content import bill_of
from bijlighar.billing.model import Bill, BillKind, Item, ItemState, Reason, RunReport
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

NAMES_PER_STATEMENT = 500
DETAIL_MAX = 300

bill_table = Table(
    "billing_bill",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("number", String(32), nullable=False, unique=True),
    Column("account", String(64), nullable=False),
    Column("month", String(7), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("of", String(32)),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("energy_wh", Whole, nullable=False),
    Column("estimated", Integer, nullable=False),
    Column("total_paise", Whole, nullable=False),
    Column("book_id", String(64), nullable=False),
    Column("book_digest", String(64), nullable=False),
    Column("token", String(64), nullable=False, unique=True),
    Column("content", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("account", "month", "kind", "seq"),
    Index(None, "month"),
)

item_table = Table(
    "billing_item",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", String(DETAIL_MAX), nullable=False),
    Column("number", String(32)),
    Column("checked_at", Moment),
)

release_table = Table(
    "billing_release",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("month", String(7), nullable=False),
    Column("account", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("month", "account"),
)

run_table = Table(
    "billing_run",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("eligible", Integer, nullable=False),
    Column("billed", Integer, nullable=False),
    Column("parked", Integer, nullable=False),
    Column("excluded", Integer, nullable=False),
    Column("total_paise", Whole, nullable=False),
    Column("energy_wh", Whole, nullable=False),
    Column("reasons", Document, nullable=False),
    Column("at", Moment, nullable=False),
)

append_only(bill_table)


def add_bill(connection: Connection, *, bill: Bill, now: datetime) -> None:
    """Add a bill; the database refuses a second one of the same account, month, kind and sequence."""
    statement = insert_for(connection, bill_table).values(
        number=bill.number,
        account=bill.account,
        month=str(bill.month),
        kind=bill.kind.value,
        seq=bill.seq,
        of=bill.of,
        issued_on=bill.issued_on,
        due_on=bill.due_on,
        energy_wh=bill.energy_wh,
        estimated=bill.estimated,
        total_paise=bill.total_paise,
        book_id=bill.book_id,
        book_digest=bill.book_digest,
        token=bill.token,
        content=bill.content,
        created_at=now,
    )
    connection.execute(statement)


def has_bill(connection: Connection, *, account: str, month: Month) -> str | None:
    """Return the number of the month's bill of the account, None if there is none."""
    statement = select(bill_table.c.number).where(
        bill_table.c.account == account,
        bill_table.c.month == str(month),
        bill_table.c.kind == BillKind.BILL.value,
    )
    number: str | None = connection.execute(statement).scalar_one_or_none()
    return number


def bills(
    connection: Connection,
    *,
    number: str | None = None,
    token: str | None = None,
    account: str | None = None,
    month: Month | None = None,
    limit: int | None = None,
) -> tuple[Bill, ...]:
    """Return bills by account, month and order of issue."""
    statement = select(bill_table.c.content, bill_table.c.token).order_by(
        bill_table.c.account, bill_table.c.month, bill_table.c.id
    )
    wanted = {
        "number": number,
        "token": token,
        "account": account,
        "month": None if month is None else str(month),
    }
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(bill_table.c[name] == value)
    if limit is not None:
        statement = statement.limit(limit)
    return tuple(bill_of(content=row.content, token=row.token) for row in connection.execute(statement))


def totals(connection: Connection, *, month: Month | None) -> tuple[int, int, int]:
    """Return how many bills (corrections too) there are, and the sums of their totals [paise] and energy [Wh]."""
    statement = select(
        func.count(),
        func.coalesce(func.sum(bill_table.c.total_paise), 0),
        func.coalesce(func.sum(bill_table.c.energy_wh), 0),
    )
    if month is not None:
        statement = statement.where(
            bill_table.c.month == str(month), bill_table.c.kind == BillKind.BILL.value
        )
    count, paise, energy_wh = connection.execute(statement).one()
    return int(count), int(paise), int(energy_wh)


def billed_statement(*, month: Month) -> Select[Any]:
    """
    Return the SELECT of account, energy [Wh] and sum [paise] of the bills of a month.

    A correction states the energy anew and adds the difference of the money: the last energy counts, and every sum.
    """
    newest = (
        select(func.max(bill_table.c.id).label("id"))
        .where(bill_table.c.month == str(month))
        .group_by(bill_table.c.account)
    )
    energy_wh = case((bill_table.c.id.in_(newest), bill_table.c.energy_wh), else_=0)
    return (
        select(
            bill_table.c.account,
            func.sum(energy_wh).label("energy_wh"),
            func.sum(bill_table.c.total_paise).label("paise"),
        )
        .where(bill_table.c.month == str(month))
        .group_by(bill_table.c.account)
    )


def latest(
    connection: Connection, *, accounts: Sequence[str], before: Month | None = None
) -> dict[str, Bill]:
    """Return the newest bill of each account (of a month before another), corrections included."""
    found: dict[str, Bill] = {}
    earlier = () if before is None else (bill_table.c.month < str(before),)
    for some in _parts(accounts):
        month = (
            select(bill_table.c.account, func.max(bill_table.c.month).label("month"))
            .where(bill_table.c.account.in_(some), *earlier)
            .group_by(bill_table.c.account)
            .subquery()
        )
        statement = (
            select(bill_table.c.account, bill_table.c.content, bill_table.c.token)
            .join(month, (bill_table.c.account == month.c.account) & (bill_table.c.month == month.c.month))
            .order_by(bill_table.c.account, bill_table.c.id)
        )
        for row in connection.execute(statement):
            found[row.account] = bill_of(content=row.content, token=row.token)
    return found


def usage_history(
    connection: Connection, *, account: str, upto: Month, months: int
) -> tuple[tuple[Month, int, int], ...]:
    """Return month, energy [Wh] and estimated intervals of the account's last bills up to a month, oldest first."""
    statement = (
        select(bill_table.c.month, bill_table.c.energy_wh, bill_table.c.estimated)
        .where(
            bill_table.c.account == account,
            bill_table.c.kind == BillKind.BILL.value,
            bill_table.c.month <= str(upto),
        )
        .order_by(bill_table.c.month.desc())
        .limit(months)
    )
    rows = connection.execute(statement).all()
    return tuple((Month.parse(row.month), row.energy_wh, row.estimated) for row in reversed(rows))


def known_months(connection: Connection) -> tuple[Month, ...]:
    """Return the months of which any account was looked at, oldest first."""
    statement = select(item_table.c.month).distinct().order_by(item_table.c.month)
    return tuple(Month.parse(row.month) for row in connection.execute(statement))


def items(connection: Connection, *, month: Month, state: ItemState | None = None) -> tuple[Item, ...]:
    """Return what became of the accounts in a month, by account."""
    statement = select(item_table).where(item_table.c.month == str(month)).order_by(item_table.c.account)
    if state is not None:
        statement = statement.where(item_table.c.state == state.value)
    return tuple(_item(row) for row in connection.execute(statement).mappings())


def item(connection: Connection, *, month: Month, account: str) -> Item | None:
    """Return what became of one account in a month, None if it was not looked at."""
    statement = select(item_table).where(item_table.c.month == str(month), item_table.c.account == account)
    for row in connection.execute(statement).mappings():
        return _item(row)
    return None


def _item(row: Mapping[Any, Any]) -> Item:
    return Item(
        month=Month.parse(row["month"]),
        account=row["account"],
        state=ItemState(row["state"]),
        reason=None if row["reason"] is None else Reason(row["reason"]),
        detail=row["detail"],
        number=row["number"],
        checked_at=row["checked_at"],
    )


def put_item(connection: Connection, *, item: Item) -> None:
    """Write what became of an account; an account that is billed stays so."""
    values = {
        "month": str(item.month),
        "account": item.account,
        "state": item.state.value,
        "reason": None if item.reason is None else item.reason.value,
        "detail": item.detail[:DETAIL_MAX],
        "number": item.number,
        "checked_at": item.checked_at,
    }
    statement = insert_for(connection, item_table).values(**values)
    changes = {name: value for name, value in values.items() if name not in ("month", "account")}
    statement = statement.on_conflict_do_update(
        index_elements=[item_table.c.month, item_table.c.account],
        set_=changes,
        where=item_table.c.state != ItemState.BILLED.value,
    )
    connection.execute(statement)


def look_again(connection: Connection, *, month: Month, account: str) -> None:
    """Have a parked account looked at again at once."""
    connection.execute(
        update(item_table)
        .where(item_table.c.month == str(month), item_table.c.account == account)
        .values(checked_at=None)
    )


def waiting(connection: Connection) -> int:
    """Return how many parked accounts are to be looked at again at once."""
    statement = select(func.count()).select_from(item_table).where(item_table.c.checked_at.is_(None))
    return int(connection.execute(statement).scalar_one())


def add_release(
    connection: Connection, *, month: Month, account: str, person: str, reason: str, now: datetime
) -> None:
    """Note that a person released an account's month; the first release stands."""
    statement = insert_for(connection, release_table).values(
        month=str(month), account=account, person=person, reason=reason, at=now
    )
    key = [release_table.c.month, release_table.c.account]
    connection.execute(statement.on_conflict_do_nothing(index_elements=key))


def released(connection: Connection, *, month: Month, accounts: Sequence[str]) -> frozenset[str]:
    """Return which of the accounts a person released for the month."""
    found: set[str] = set()
    for some in _parts(accounts):
        statement = select(release_table.c.account).where(
            release_table.c.month == str(month), release_table.c.account.in_(some)
        )
        found.update(row.account for row in connection.execute(statement))
    return frozenset(found)


def put_run(connection: Connection, *, report: RunReport, day: date, now: datetime) -> None:
    """Store the report of a month's run of a day, the latest one of the day."""
    values = {
        "month": str(report.month),
        "day": day,
        "eligible": report.eligible,
        "billed": report.billed,
        "parked": report.parked,
        "excluded": report.excluded,
        "total_paise": report.total_paise,
        "energy_wh": report.energy_wh,
        "reasons": {reason.value: count for reason, count in report.reasons.items()},
        "at": now,
    }
    statement = insert_for(connection, run_table).values(**values)
    changes = {name: value for name, value in values.items() if name not in ("month", "day")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[run_table.c.month, run_table.c.day], set_=changes)
    )


def run_of(connection: Connection, *, month: Month, day: date) -> RunReport | None:
    """Return the stored report of a month's run of a day, None if it was not finished that day."""
    statement = select(run_table).where(run_table.c.month == str(month), run_table.c.day == day)
    for row in connection.execute(statement):
        return _report(row)
    return None


def runs(connection: Connection, *, month: Month) -> tuple[RunReport, ...]:
    """Return the stored reports of a month's runs, oldest first."""
    statement = select(run_table).where(run_table.c.month == str(month)).order_by(run_table.c.day)
    return tuple(_report(row) for row in connection.execute(statement))


def _report(row: Any) -> RunReport:  # noqa: ANN401 - a database row
    return RunReport(
        month=Month.parse(row.month),
        eligible=row.eligible,
        billed=row.billed,
        parked=row.parked,
        excluded=row.excluded,
        pending=0,
        total_paise=row.total_paise,
        energy_wh=row.energy_wh,
        reasons={Reason(reason): count for reason, count in row.reasons.items()},
    )


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), NAMES_PER_STATEMENT):
        yield names[begin : begin + NAMES_PER_STATEMENT]
