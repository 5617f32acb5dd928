"""The tables of checks on the spot, and what each was ordered for: SQL, private to this room."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    select,
    update,
)

from bijlighar.rollout.checks import OPEN_CHECK_STATES, Check, CheckFinding, CheckState
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

_check = Table(
    "rollout_check",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(32), nullable=False, index=True),
    Column("usage_point", String(64)),
    Column("account", String(64)),
    Column("transformer", String(64)),
    Column("office", String(64)),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ordered_by", String(64), nullable=False),
    Column("ordered_at", Moment, nullable=False),
    Column("fitter", String(64)),
    Column("issued_at", Moment),
    Column("finding", String(16)),
    Column("note", Text, nullable=False),
    Column("ended_by", String(64)),
    Column("ended_at", Moment),
    Index(None, "state", "office"),
)
_is_open = _check.c.state.in_([state.value for state in OPEN_CHECK_STATES])
Index(
    "ux_rollout_check_open_meter",
    _check.c.meter,
    unique=True,
    sqlite_where=_is_open,
    postgresql_where=_is_open,
)
#: What a check was ordered for, as other rooms call it: `exception:12`.
_subject = append_only(
    Table(
        "rollout_check_subject",
        metadata,
        Column("subject", String(64), primary_key=True),
        Column(
            "check_number",
            Whole,
            ForeignKey("rollout_check.number"),
            primary_key=True,
            autoincrement=False,
        ),
        Index(None, "check_number"),
    )
)


def insert_check(connection: Connection, *, check: Check) -> int:
    """Write a new check and return its number; the one it is given does not count."""
    values = {name: value for name, value in _values(check).items() if name != "number"}
    return int(connection.execute(_check.insert().values(values).returning(_check.c.number)).scalar_one())


def change_check(connection: Connection, *, check: Check) -> None:
    """Write what a check says now."""
    connection.execute(update(_check).where(_check.c.number == check.number).values(_values(check)))


def add_subject(connection: Connection, *, check: int, subject: str) -> None:
    """Say what a check is for; saying it again changes nothing."""
    statement = insert_for(connection, _subject).values(subject=subject, check_number=check)
    connection.execute(statement.on_conflict_do_nothing())


def select_check(connection: Connection, *, number: int, is_to_change: bool = False) -> Check | None:
    """Return a check, locked if it is to be changed."""
    statement = select(_check).where(_check.c.number == number)
    row = connection.execute(statement.with_for_update() if is_to_change else statement).one_or_none()
    return None if row is None else _of(row)


def select_open(connection: Connection, *, meter: str) -> Check | None:
    """Return the check of a meter for which somebody has still to go."""
    row = connection.execute(
        select(_check).where(_is_open, _check.c.meter == meter).with_for_update()
    ).one_or_none()
    return None if row is None else _of(row)


def select_page(
    connection: Connection, *, states: Sequence[CheckState], offices: Sequence[str] | None, limit: int
) -> tuple[Check, ...]:
    """Return checks in some states, of some offices (None: all), the newest first."""
    statement = select(_check).where(_check.c.state.in_([state.value for state in states]))
    if offices is not None:
        statement = statement.where(_check.c.office.in_(offices))
    rows = connection.execute(statement.order_by(_check.c.number.desc()).limit(limit))
    return tuple(_of(row) for row in rows)


def select_of_subject(connection: Connection, *, subject: str) -> tuple[Check, ...]:
    """Return the checks that were ordered for something, the newest first."""
    joined = _check.join(_subject, _subject.c.check_number == _check.c.number)
    statement = select(_check).select_from(joined).where(_subject.c.subject == subject)
    return tuple(_of(row) for row in connection.execute(statement.order_by(_check.c.number.desc())))


def select_subjects(connection: Connection, *, check: int) -> tuple[str, ...]:
    """Return what a check was ordered for."""
    statement = (
        select(_subject.c.subject).where(_subject.c.check_number == check).order_by(_subject.c.subject)
    )
    return tuple(connection.execute(statement).scalars())


def _values(check: Check) -> dict[str, Any]:
    return {field.name: getattr(check, field.name) for field in fields(check)} | {
        "state": check.state.value,
        "finding": None if check.finding is None else check.finding.value,
    }


def _of(row: Row[Any]) -> Check:
    found = dict(row._mapping)  # noqa: SLF001 - the public name of a row's columns
    finding = found["finding"]
    return Check(
        **found
        | {
            "state": CheckState(found["state"]),
            "finding": None if finding is None else CheckFinding(finding),
        }
    )
