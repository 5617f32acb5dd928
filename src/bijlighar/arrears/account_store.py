"""SQL of what is kept per account: ageing, notices, reasons for an open relay, circumstances; and of halts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    select,
    update,
)

from bijlighar.arrears.model import Ageing, Circumstance, CircumstanceKind, Halt, NewCircumstance, NoticeFact
from bijlighar.headend.model import ControlReason
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

_ageing = Table(
    "arrears_ageing",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("office", String(64), nullable=False),
    Column("on", Date, nullable=False),
    Column("not_due_paise", Whole, nullable=False),
    Column("to_30_days_paise", Whole, nullable=False),
    Column("to_60_days_paise", Whole, nullable=False),
    Column("to_90_days_paise", Whole, nullable=False),
    Column("over_90_days_paise", Whole, nullable=False),
    Column("beyond_limit_paise", Whole, nullable=False),
    Column("oldest_due_on", Date),
    Column("bills", Integer, nullable=False),
    Index(None, "office"),
)

_assessment = Table(
    "arrears_assessment",
    metadata,
    Column("on", Date, primary_key=True),
    Column("reached", String(64), nullable=False),
    Column("notices", Integer, nullable=False),
    Column("finished_at", Moment),
)

_notice = Table(
    "arrears_notice",
    metadata,
    Column("reference", String(96), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("documents", Document, nullable=False),
    Column("amount_paise", Whole, nullable=False),
    Column("queued_on", Date, nullable=False),
    Index(None, "account"),
)

_reason = Table(
    "arrears_open_reason",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("order_number", Whole),
    Column("added_by", String(64), nullable=False),
    Column("added_at", Moment, nullable=False),
    Column("note", Text, nullable=False),
    Column("removed_by", String(64)),
    Column("removed_at", Moment),
    Index(None, "account"),
)
Index(
    "uq_arrears_open_reason_standing",
    _reason.c.account,
    _reason.c.reason,
    unique=True,
    sqlite_where=_reason.c.removed_at.is_(None),
    postgresql_where=_reason.c.removed_at.is_(None),
)

_circumstance = Table(
    "arrears_circumstance",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("document", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_on", Date, nullable=False),
    Column("until", Date),
    Column("ended_by", String(64)),
    Column("ended_at", Moment),
    Index(None, "account"),
)

_halt = Table(
    "arrears_halt",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("office", String(64), nullable=False),
    Column("by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("lifted_by", String(64)),
    Column("lifted_reason", Text),
    Column("lifted_at", Moment),
)
Index(
    "uq_arrears_halt_standing",
    _halt.c.office,
    unique=True,
    sqlite_where=_halt.c.lifted_at.is_(None),
    postgresql_where=_halt.c.lifted_at.is_(None),
)


def save_ageing(connection: Connection, *, rows: Iterable[Ageing]) -> None:
    """Put the accounts' newest ageing in the place of the last one."""
    names = [column.name for column in _ageing.c]
    values = [{name: getattr(row, name) for name in names} for row in rows]
    if not values:
        return
    statement = insert_for(connection, _ageing)
    changed = {name: statement.excluded[name] for name in names if name != "account"}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[_ageing.c.account], set_=changed), values
    )


def ageing(
    connection: Connection,
    *,
    offices: Sequence[str] | None = None,
    accounts: Sequence[str] | None = None,
) -> tuple[Ageing, ...]:
    """Return the newest ageing of accounts, by account."""
    statement = select(_ageing).order_by(_ageing.c.account)
    if offices is not None:
        statement = statement.where(_ageing.c.office.in_(offices))
    if accounts is not None:
        statement = statement.where(_ageing.c.account.in_(accounts))
    return tuple(Ageing(**row) for row in connection.execute(statement).mappings())


def assessment(connection: Connection, *, on: date) -> tuple[str, bool]:
    """Return up to which account the day's assessment has come, and whether it is finished."""
    row = connection.execute(select(_assessment).where(_assessment.c.on == on)).one_or_none()
    return ("", False) if row is None else (row.reached, row.finished_at is not None)


def save_assessment(
    connection: Connection, *, on: date, reached: str, notices: int, finished_at: datetime | None
) -> None:
    """Set how far the day's assessment has come; `notices` is added to those of the day."""
    statement = insert_for(connection, _assessment).values(
        on=on, reached=reached, notices=notices, finished_at=finished_at
    )
    changed = {
        "reached": reached,
        "notices": _assessment.c.notices + notices,
        "finished_at": finished_at,
    }
    connection.execute(statement.on_conflict_do_update(index_elements=[_assessment.c.on], set_=changed))


def last_assessment(connection: Connection) -> date | None:
    """Return the newest day whose assessment is finished."""
    statement = (
        select(_assessment.c.on)
        .where(_assessment.c.finished_at.is_not(None))
        .order_by(_assessment.c.on.desc())
        .limit(1)
    )
    day: date | None = connection.execute(statement).scalar_one_or_none()
    return day


def count_notices(connection: Connection) -> int:
    """Return how many statutory notices were queued."""
    return int(connection.execute(select(func.count()).select_from(_notice)).scalar_one())


def add_notice(
    connection: Connection,
    *,
    reference: str,
    account: str,
    documents: Sequence[str],
    amount_paise: int,
    queued_on: date,
) -> bool:
    """Add a statutory notice; False if it was there."""
    statement = insert_for(connection, _notice).values(
        reference=reference,
        account=account,
        documents=list(documents),
        amount_paise=amount_paise,
        queued_on=queued_on,
    )
    statement = statement.on_conflict_do_nothing(index_elements=[_notice.c.reference])
    added = connection.execute(statement.returning(_notice.c.reference))
    return added.scalar_one_or_none() is not None


def notices(connection: Connection, *, accounts: Sequence[str]) -> Mapping[str, tuple[NoticeFact, ...]]:
    """Return the notices of accounts, oldest first, without the day of service."""
    statement = select(_notice).where(_notice.c.account.in_(accounts)).order_by(_notice.c.queued_on)
    found: dict[str, list[NoticeFact]] = {}
    for row in connection.execute(statement):
        fact = NoticeFact(
            reference=row.reference,
            documents=tuple(row.documents),
            amount_paise=row.amount_paise,
            queued_on=row.queued_on,
            served_on=None,
        )
        found.setdefault(row.account, []).append(fact)
    return {account: tuple(facts) for account, facts in found.items()}


def notice(connection: Connection, *, reference: str) -> tuple[str, NoticeFact] | None:
    """Return the account of a notice and the notice, without the day of service."""
    row = connection.execute(select(_notice).where(_notice.c.reference == reference)).one_or_none()
    if row is None:
        return None
    fact = NoticeFact(
        reference=row.reference,
        documents=tuple(row.documents),
        amount_paise=row.amount_paise,
        queued_on=row.queued_on,
        served_on=None,
    )
    return row.account, fact


def add_reason(
    connection: Connection,
    *,
    account: str,
    reason: ControlReason,
    order_number: int | None,
    by: str,
    at: datetime,
    note: str,
) -> bool:
    """Add a reason for an open relay; False if it stands already."""
    if reason in open_reasons(connection, accounts=(account,)).get(account, frozenset()):
        return False
    connection.execute(
        _reason.insert().values(
            account=account,
            reason=reason.value,
            order_number=order_number,
            added_by=by,
            added_at=at,
            note=note,
        )
    )
    return True


def remove_reason(
    connection: Connection, *, account: str, reason: ControlReason, by: str, at: datetime
) -> bool:
    """Take a reason away; False if it does not stand."""
    changed = connection.execute(
        update(_reason)
        .where(
            _reason.c.account == account,
            _reason.c.reason == reason.value,
            _reason.c.removed_at.is_(None),
        )
        .values(removed_by=by, removed_at=at)
    )
    return bool(changed.rowcount)


def open_reasons(
    connection: Connection, *, accounts: Sequence[str] | None = None
) -> Mapping[str, frozenset[ControlReason]]:
    """Return the reasons that stand, by account."""
    statement = select(_reason.c.account, _reason.c.reason).where(_reason.c.removed_at.is_(None))
    if accounts is not None:
        statement = statement.where(_reason.c.account.in_(accounts))
    found: dict[str, set[ControlReason]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.account, set()).add(ControlReason(row.reason))
    return {account: frozenset(reasons) for account, reasons in found.items()}


def add_circumstance(
    connection: Connection, *, circumstance: NewCircumstance, entered_by: str, entered_on: date
) -> int:
    """Add a circumstance and return its number."""
    statement = _circumstance.insert().values(
        account=circumstance.account,
        kind=circumstance.kind.value,
        document=circumstance.document,
        note=circumstance.note,
        entered_by=entered_by,
        entered_on=entered_on,
        until=circumstance.until,
    )
    number: int = connection.execute(statement.returning(_circumstance.c.number)).scalar_one()
    return number


def end_circumstance(connection: Connection, *, number: int, by: str, at: datetime) -> None:
    """End a circumstance."""
    connection.execute(
        update(_circumstance)
        .where(_circumstance.c.number == number, _circumstance.c.ended_at.is_(None))
        .values(ended_by=by, ended_at=at)
    )


def circumstance(connection: Connection, *, number: int) -> Circumstance | None:
    """Return a circumstance that was not ended."""
    statement = select(_circumstance).where(
        _circumstance.c.number == number, _circumstance.c.ended_at.is_(None)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _circumstance_of(row)


def circumstances(
    connection: Connection, *, accounts: Sequence[str]
) -> Mapping[str, tuple[Circumstance, ...]]:
    """Return the circumstances of accounts that were not ended, by account."""
    statement = (
        select(_circumstance)
        .where(_circumstance.c.account.in_(accounts), _circumstance.c.ended_at.is_(None))
        .order_by(_circumstance.c.number)
    )
    found: dict[str, list[Circumstance]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.account, []).append(_circumstance_of(row))
    return {account: tuple(items) for account, items in found.items()}


def _circumstance_of(row: Row[Any]) -> Circumstance:
    return Circumstance(
        number=row.number,
        account=row.account,
        kind=CircumstanceKind(row.kind),
        document=row.document,
        note=row.note,
        entered_by=row.entered_by,
        entered_on=row.entered_on,
        until=row.until,
    )


def add_halt(connection: Connection, *, office: str, by: str, reason: str, since: datetime) -> None:
    """Throw the kill switch of an office, or of the company (an empty office)."""
    connection.execute(_halt.insert().values(office=office, by=by, reason=reason, since=since))


def lift_halt(connection: Connection, *, office: str, by: str, reason: str, at: datetime) -> int:
    """Lift the halts of an office, or of the company, and return how many stood."""
    lifted = connection.execute(
        update(_halt)
        .where(_halt.c.office == office, _halt.c.lifted_at.is_(None))
        .values(lifted_by=by, lifted_reason=reason, lifted_at=at)
    )
    return int(lifted.rowcount)


def halts(connection: Connection) -> tuple[Halt, ...]:
    """Return the halts that stand."""
    statement = select(_halt).where(_halt.c.lifted_at.is_(None)).order_by(_halt.c.id)
    return tuple(
        Halt(office=row.office, by=row.by, reason=row.reason, since=row.since)
        for row in connection.execute(statement)
    )
