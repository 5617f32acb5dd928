"""The queue of exceptions and what happened to each: SQL, private to this room."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    func,
    select,
    update,
)

from bijlighar.base.period import Period
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import among
from bijlighar.validation.model import (
    ExceptionEvent,
    ExceptionFilter,
    ExceptionState,
    ExceptionStep,
    Outcome,
    Rule,
    Severity,
    ValidationException,
    ValidationFinding,
)

METERS_PER_SELECT = 5_000
STEPS_MAX = 500

_exception = Table(
    "validation_exception",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(32), nullable=False),
    Column("rule", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("day", Integer, nullable=False),
    Column("start", Moment, nullable=False),
    Column("end", Moment, nullable=False),
    Column("intervals", Integer, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("facts", Document, nullable=False),
    Column("office", String(64)),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("taken_by", String(64)),
    Column("taken_at", Moment),
    Column("settled_by", String(64)),
    Column("settled_at", Moment),
    Column("settled_intervals", Integer),
    Column("outcome", String(16)),
    Column("note", Text, nullable=False),
    Index(None, "meter", "start"),
    Index(None, "state", "severity", "start"),
)
_step = append_only(
    Table(
        "validation_exception_step",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("exception", Whole, ForeignKey("validation_exception.number"), nullable=False, index=True),
        Column("at", Moment, nullable=False),
        Column("event", String(16), nullable=False),
        Column("person", String(64)),
        Column("outcome", String(16)),
        Column("note", Text, nullable=False),
    )
)
#: The gravest first, then the oldest.
_ORDER = (
    case(
        (_exception.c.severity == Severity.ERROR.value, 0),
        (_exception.c.severity == Severity.WARNING.value, 1),
        else_=2,
    ),
    _exception.c.start,
    _exception.c.number,
)


def insert_exceptions(connection: Connection, *, exceptions: Sequence[ValidationException]) -> list[int]:
    """Write new exceptions and return their numbers, in their order; those they are given do not count."""
    if not exceptions:
        return []
    statement = _exception.insert().returning(_exception.c.number, sort_by_parameter_order=True)
    return list(connection.execute(statement, [_values(each) for each in exceptions]).scalars())


def update_exception(connection: Connection, *, exception: ValidationException) -> None:
    """Write what an exception says now."""
    update_exceptions(connection, exceptions=[exception])


def update_exceptions(connection: Connection, *, exceptions: Sequence[ValidationException]) -> None:
    """Write what exceptions say now."""
    if exceptions:
        rows = [{**_values(each), "known": each.number} for each in exceptions]
        connection.execute(update(_exception).where(_exception.c.number == bindparam("known")), rows)


def append_steps(connection: Connection, *, steps: Iterable[ExceptionStep]) -> None:
    """Write what happened."""
    rows = [
        {
            "exception": step.exception,
            "at": step.at,
            "event": step.event.value,
            "person": step.person,
            "outcome": None if step.outcome is None else step.outcome.value,
            "note": step.note,
        }
        for step in steps
    ]
    if rows:
        connection.execute(_step.insert(), rows)


def select_steps(connection: Connection, *, number: int) -> tuple[ExceptionStep, ...]:
    """Return what happened to an exception, oldest first."""
    statement = select(_step).where(_step.c.exception == number).order_by(_step.c.id).limit(STEPS_MAX)
    return tuple(
        ExceptionStep(
            exception=row.exception,
            at=row.at,
            event=ExceptionEvent(row.event),
            person=row.person,
            outcome=None if row.outcome is None else Outcome(row.outcome),
            note=row.note,
        )
        for row in connection.execute(statement)
    )


def select_exception(
    connection: Connection, *, number: int, is_to_change: bool = False
) -> ValidationException | None:
    """Return an exception, locked until the transaction ends if it is to be changed; None if there is none."""
    statement = select(_exception).where(_exception.c.number == number)
    if is_to_change:
        statement = statement.with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _read(row)


def select_of_meters(
    connection: Connection, *, meters: Sequence[str], period: Period
) -> list[ValidationException]:
    """Return the exceptions of some meters that overlap a period, locked, by number."""
    found: list[ValidationException] = []
    for begin in range(0, len(meters), METERS_PER_SELECT):
        statement = (
            select(_exception)
            .where(
                among(connection, _exception.c.meter, meters[begin : begin + METERS_PER_SELECT]),
                _exception.c.start < period.end,
                _exception.c.end > period.start,
            )
            .order_by(_exception.c.number)
            .with_for_update()
        )
        found += [_read(row) for row in connection.execute(statement)]
    return found


def select_page(
    connection: Connection, *, wish: ExceptionFilter, first: int, limit: int
) -> tuple[ValidationException, ...]:
    """Return some exceptions from the `first` (0, 1, …) on, the gravest and oldest first."""
    statement = select(_exception).where(*_wanted(wish)).order_by(*_ORDER).offset(first).limit(limit)
    return tuple(_read(row) for row in connection.execute(statement))


def count(connection: Connection, *, wish: ExceptionFilter) -> int:
    """Return how many exceptions a filter leaves in."""
    return int(
        connection.execute(select(func.count()).select_from(_exception).where(*_wanted(wish))).scalar_one()
    )


def _wanted(wish: ExceptionFilter) -> list[ColumnElement[bool]]:
    table = _exception.c
    found: list[ColumnElement[bool]] = [table.state.in_([state.value for state in wish.states])]
    for column, value in (
        (table.rule, wish.rule),
        (table.severity, wish.severity),
        (table.office, wish.office),
        (table.meter, wish.meter),
        (table.taken_by, wish.taken_by),
    ):
        if value:
            found.append(column == str(value))
    if wish.period is not None:
        found += [table.start < wish.period.end, table.end > wish.period.start]
    if wish.offices is not None:
        found.append(and_(table.office.is_not(None), table.office.in_(wish.offices)))
    return found


def _values(exception: ValidationException) -> dict[str, Any]:
    finding = exception.finding
    return {
        "meter": finding.meter,
        "rule": finding.rule.value,
        "channel": finding.channel,
        "day": finding.day,
        "start": finding.start,
        "end": finding.end,
        "intervals": finding.intervals,
        "severity": finding.severity.value,
        "facts": dict(finding.facts),
        "office": exception.office,
        "state": exception.state.value,
        "revision": exception.revision,
        "opened_at": exception.opened_at,
        "changed_at": exception.changed_at,
        "taken_by": exception.taken_by,
        "taken_at": exception.taken_at,
        "settled_by": exception.settled_by,
        "settled_at": exception.settled_at,
        "settled_intervals": exception.settled_intervals,
        "outcome": None if exception.outcome is None else exception.outcome.value,
        "note": exception.note,
    }


def _read(row: Row[Any]) -> ValidationException:
    return ValidationException(
        number=row.number,
        finding=ValidationFinding(
            rule=Rule(row.rule),
            meter=row.meter,
            day=row.day,
            channel=row.channel,
            start=row.start,
            end=row.end,
            intervals=row.intervals,
            severity=Severity(row.severity),
            facts=row.facts,
        ),
        office=row.office,
        state=ExceptionState(row.state),
        revision=row.revision,
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        taken_by=row.taken_by,
        taken_at=row.taken_at,
        settled_by=row.settled_by,
        settled_at=row.settled_at,
        settled_intervals=row.settled_intervals,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        note=row.note,
    )
