"""Cases, their steps and their assessments: SQL, private to this room."""

from collections.abc import Collection, Sequence
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
    text,
    update,
)

from bijlighar.balance.cases import (
    UNDER_WAY,
    Assessment,
    Case,
    CaseEvent,
    CaseFinding,
    CaseOrigin,
    CaseState,
    CaseStep,
    TheftKind,
)
from bijlighar.base.period import date_of, day_number
from bijlighar.base.words import Words
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata

_case = Table(
    "balance_case",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(32)),
    Column("transformer", String(64)),
    Column("account", String(32)),
    Column("office", String(64)),
    Column("origin", String(16), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("evidence", Document, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("opened_by", String(64), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("assigned_to", String(64)),
    Column("finding", String(32)),
    Column("theft_kind", String(32)),
    Column("inspected_on", Integer),
    Column("found_by", String(64)),
    Column("finding_note", Text, nullable=False),
    Column("confirmed_by", String(64)),
    Column("ended_by", String(64)),
    Column("ended_at", Moment),
    Column("ending_note", Text, nullable=False),
    Index(None, "state", "office"),
)
_under_way = text("state IN ('open', 'assigned', 'reported', 'found')")
#: Of one meter there is at most one case under way.
Index(
    "ux_balance_case_meter_under_way",
    _case.c.meter,
    unique=True,
    sqlite_where=_under_way,
    postgresql_where=_under_way,
)

_step = append_only(
    Table(
        "balance_case_step",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("case", Whole, ForeignKey("balance_case.number"), nullable=False),
        Column("at", Moment, nullable=False),
        Column("event", String(16), nullable=False),
        Column("person", String(64), nullable=False),
        Column("note", Text, nullable=False),
        Column("detail", Document, nullable=False),
        Index(None, "case"),
    )
)

_assessment = append_only(
    Table(
        "balance_case_assessment",
        metadata,
        Column("case", Whole, ForeignKey("balance_case.number"), primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("energy_wh", Whole, nullable=False),
        Column("first", Integer, nullable=False),
        Column("last", Integer, nullable=False),
        Column("method", Text, nullable=False),
        Column("assessed_by", String(64), nullable=False),
        Column("assessed_at", Moment, nullable=False),
    )
)


def insert_case(connection: Connection, *, case: Case) -> int:
    """Write a new case and return its number; the one it is given does not count."""
    found = connection.execute(_case.insert().values(_values(case)).returning(_case.c.number))
    return int(found.scalar_one())


def change_case(connection: Connection, *, case: Case) -> None:
    """Write what a step changed; how it was opened stays as it is."""
    fixed = (
        "meter",
        "transformer",
        "account",
        "office",
        "origin",
        "reference",
        "evidence",
        "note",
        "opened_by",
    )
    values = {name: value for name, value in _values(case).items() if name not in (*fixed, "opened_at")}
    connection.execute(update(_case).where(_case.c.number == case.number).values(values))


def append_step(connection: Connection, *, case: int, step: CaseStep) -> None:
    """Write one thing that was done with a case."""
    connection.execute(
        _step.insert().values(
            case=case,
            at=step.at,
            event=step.event.value,
            person=step.person,
            note=step.note,
            detail=dict(step.detail),
        )
    )


def append_assessment(connection: Connection, *, case: int, assessment: Assessment) -> None:
    """Write an assessment beside those before it."""
    connection.execute(
        _assessment.insert().values(
            case=case,
            number=assessment.number,
            energy_wh=assessment.energy_wh,
            first=day_number(assessment.first),
            last=day_number(assessment.last),
            method=assessment.method,
            assessed_by=assessment.assessed_by,
            assessed_at=assessment.assessed_at,
        )
    )


def select_case(connection: Connection, *, number: int, is_to_change: bool = False) -> Case | None:
    """Return a case, locked until the transaction ends if it is to change; None if there is none."""
    statement = select(_case).where(_case.c.number == number)
    if is_to_change:
        statement = statement.with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _read(row, _assessments(connection, [number]))


def select_cases(
    connection: Connection, *, states: Sequence[CaseState], offices: Sequence[str] | None, limit: int
) -> tuple[Case, ...]:
    """Return some cases, the newest first; `offices` of None is the whole company."""
    statement = select(_case).where(_case.c.state.in_([state.value for state in states]))
    if offices is not None:
        statement = statement.where(_case.c.office.in_(offices))
    rows = connection.execute(statement.order_by(_case.c.number.desc()).limit(limit)).all()
    assessed = _assessments(connection, [row.number for row in rows])
    return tuple(_read(row, assessed) for row in rows)


def select_under_way(
    connection: Connection, *, meters: Collection[str], offices: Sequence[str] | None = None
) -> dict[str, int]:
    """Return for each of some meters the number of its case that is under way, in any office or one of these."""
    statement = select(_case.c.meter, _case.c.number).where(
        _case.c.state.in_([state.value for state in UNDER_WAY]), _case.c.meter.is_not(None)
    )
    if offices is not None:
        statement = statement.where(_case.c.office.in_(offices))
    return {row[0]: row[1] for row in connection.execute(statement) if row[0] in meters}


def select_steps(connection: Connection, *, case: int) -> tuple[CaseStep, ...]:
    """Return what was done with a case, oldest first."""
    return tuple(
        CaseStep(at=row.at, event=CaseEvent(row.event), person=row.person, note=row.note, detail=row.detail)
        for row in connection.execute(select(_step).where(_step.c.case == case).order_by(_step.c.id))
    )


def _assessments(connection: Connection, cases: Sequence[int]) -> dict[int, Assessment]:
    """Return the last assessment of each case that has one."""
    statement = select(_assessment).where(_assessment.c.case.in_(cases)).order_by(_assessment.c.number)
    return {
        row.case: Assessment(
            number=row.number,
            energy_wh=row.energy_wh,
            first=date_of(row.first),
            last=date_of(row.last),
            method=row.method,
            assessed_by=row.assessed_by,
            assessed_at=row.assessed_at,
        )
        for row in connection.execute(statement)
    }


def _values(case: Case) -> dict[str, Any]:
    names = [column.name for column in _case.columns if column.name != "number"]
    values = {name: getattr(case, name) for name in names}
    return values | {
        "origin": case.origin.value,
        "evidence": {"hi": case.evidence.hi, "en": case.evidence.en},
        "state": case.state.value,
        "finding": None if case.finding is None else case.finding.value,
        "theft_kind": None if case.theft_kind is None else case.theft_kind.value,
        "inspected_on": None if case.inspected_on is None else day_number(case.inspected_on),
    }


def _read(row: Row[Any], assessed: dict[int, Assessment]) -> Case:
    return Case(
        **{
            **row._mapping,  # noqa: SLF001 - SQLAlchemy's own name
            "origin": CaseOrigin(row.origin),
            "evidence": Words(hi=row.evidence["hi"], en=row.evidence["en"]),
            "state": CaseState(row.state),
            "finding": None if row.finding is None else CaseFinding(row.finding),
            "theft_kind": None if row.theft_kind is None else TheftKind(row.theft_kind),
            "inspected_on": None if row.inspected_on is None else date_of(row.inspected_on),
            "assessment": assessed.get(row.number),
        }
    )
