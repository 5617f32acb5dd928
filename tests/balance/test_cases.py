"""A case goes from a suspicion to what was found; theft needs two persons; nothing reaches a relay or a bill."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from tests.balance import test_examining as grid_town
from tests.offices.towns import OFFICES

from bijlighar.balance import case_store, operations, queries
from bijlighar.balance.errors import (
    CaseChanged,
    CaseStands,
    NotSuspected,
    NotTheInspector,
    RefusedCase,
    UnknownCase,
)
from bijlighar.balance.model import Case, CaseEvent, CaseFinding, CaseOrigin, CaseState, TheftKind
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.errors import NotPermitted, SamePerson
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.registry.errors import UnknownEndDevice
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata

NOW = datetime(2026, 5, 6, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=4)
ON = date(2026, 5, 9)
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,MHOW
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,tcp://127.0.0.1:4060,T2,F2,R,DHAR
,,,,,,MT1,transformer,tcp://127.0.0.1:4061,T1,F1,,MHOW
"""
PEOPLE = {
    "asha": ("MHOW", Role.CLERK),
    "fit": ("MHOW", Role.FITTER),
    "eng": ("MHOW", Role.ENGINEER),
    "vig": ("MHOW", Role.THEFT_OFFICER),
    "vig2": ("CO", Role.THEFT_OFFICER),
    "far": ("DHAR", Role.ENGINEER),
    "keeper": ("MHOW", Role.STORE_KEEPER),
}
UNITS = operations.Assessed(
    energy_wh=1_200_000, first=date(2025, 6, 1), last=ON, method="connected load 2 kW, 8 h a day"
)


@pytest.fixture
def town(database: Database) -> Database:
    add_people(database)
    with database.write() as connection:
        registry.import_registry(connection, text=REGISTRY, now=NOW)
    return database


def add_people(database: Database) -> None:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for name, (office, role) in PEOPLE.items():
            offices.add_person(connection, sign_in=name, name=name, office=office, roles=[role], now=NOW)


def opened(database: Database, *, person: str = "asha", **changes: object) -> Case:
    new = replace(operations.NewCase(meter="M1", note="seal broken, said the reader"), **changes)
    with database.write() as connection:
        return operations.open_case(connection, new=new, person=person, now=NOW)


def assigned(database: Database, case: Case, *, to: str = "fit", person: str = "eng") -> Case:
    with database.write() as connection:
        return operations.assign_case(
            connection, number=case.number, revision=case.revision, to=to, note="", person=person, now=NOW
        )


def found(
    database: Database,
    case: Case,
    finding: CaseFinding,
    *,
    kind: TheftKind | None = None,
    on: date = ON,
    note: str = "sheet 3",
    person: str = "fit",
) -> Case:
    with database.write() as connection:
        return operations.record_finding(
            connection,
            number=case.number,
            revision=case.revision,
            found=operations.Found(finding=finding, inspected_on=on, note=note, theft_kind=kind),
            person=person,
            now=LATER,
        )


def decided(database: Database, case: Case, *, person: str, is_confirmed: bool = True) -> Case:
    with database.write() as connection:
        return operations.decide_theft(
            connection,
            number=case.number,
            revision=case.revision,
            is_confirmed=is_confirmed,
            note="seen the wire",
            person=person,
            now=LATER,
        )


def assess(
    database: Database, case: Case, units: operations.Assessed = UNITS, *, person: str = "eng"
) -> Case:
    with database.write() as connection:
        return operations.assess_units(
            connection,
            number=case.number,
            revision=case.revision,
            assessed=units,
            months_max=12,
            person=person,
            now=LATER,
        )


def ended(database: Database, case: Case, step, *, person: str = "eng") -> Case:
    with database.write() as connection:
        return step(
            connection, number=case.number, revision=case.revision, note="done", person=person, now=LATER
        )


class TestCase:
    def test_goes_from_opening_to_closing_step_by_step(self, town: Database):
        case = assigned(town, opened(town))
        case = found(town, case, CaseFinding.METER_FAULT)
        case = assess(town, case)
        case = assess(town, case, replace(UNITS, energy_wh=900_000, method="average of the months before"))
        case = ended(town, case, operations.close_case)

        with town.read() as connection:
            stored = queries.case(connection, number=case.number, person="eng")
            steps = queries.case_steps(connection, number=case.number)
            acts = [entry.act for entry in office_queries.audit(connection, limit=6)]
        assert stored == case
        assert (stored.state, stored.finding, stored.office, stored.account, stored.transformer) == (
            CaseState.CLOSED,
            CaseFinding.METER_FAULT,
            "MHOW",
            "N1",
            "T1",
        )
        assert stored.assessment is not None
        assert (stored.assessment.number, stored.assessment.energy_wh) == (2, 900_000)
        assert [step.event for step in steps] == [
            CaseEvent.APPEAR,
            CaseEvent.ASSIGN,
            CaseEvent.FIND,
            CaseEvent.ASSESS,
            CaseEvent.ASSESS,
            CaseEvent.CLOSE,
        ]
        assert steps[3].detail["energy_wh"] == 1_200_000  # what was assessed first is kept
        assert acts == [
            "work_case", "assess_case", "assess_case", "inspect_case", "work_case", "open_case",
        ]  # fmt: skip

    def test_reaches_neither_a_relay_nor_a_bill_nor_a_message(self, town: Database):
        watched = [
            table
            for table in metadata.sorted_tables
            if not table.name.startswith(("balance_case", "offices_audit", "storage_sequence"))
        ]

        def counts() -> dict[str, int]:
            with town.read() as connection:
                return {
                    table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                    for table in watched
                }

        rows = counts()
        case = assigned(town, opened(town))
        case = decided(town, found(town, case, CaseFinding.THEFT, kind=TheftKind.BYPASS), person="vig")
        ended(town, assess(town, case), operations.close_case)

        assert counts() == rows

    def test_is_withdrawn_before_anything_was_found_and_not_after(self, town: Database):
        case = opened(town)
        assert ended(town, case, operations.withdraw_case).state is CaseState.WITHDRAWN
        again = found(town, assigned(town, opened(town)), CaseFinding.NORMAL)

        with pytest.raises(CaseChanged, match="is found"):
            ended(town, again, operations.withdraw_case)
        with pytest.raises(CaseChanged, match="is withdrawn"):
            assigned(town, replace(case, revision=2))

    def test_is_kept_from_other_offices(self, town: Database):
        case = opened(town)

        with town.read() as connection:
            assert queries.cases(connection, person="far") == ()
            assert [each.number for each in queries.cases(connection, person="vig2")] == [case.number]
            with pytest.raises(UnknownCase):
                queries.case(connection, number=case.number, person="far")

    def test_refuses_a_step_onto_an_older_form(self, town: Database):
        case = opened(town)
        assigned(town, case)

        with pytest.raises(CaseChanged, match="meanwhile"):
            assigned(town, case)

    def test_keeps_its_steps_from_being_changed(self, town: Database):
        assess(town, found(town, assigned(town, opened(town)), CaseFinding.WRONG_RATIO))

        for table in (case_store._step, case_store._assessment):
            with pytest.raises(DBAPIError, match="only ever added"), town.write() as connection:
                connection.execute(table.delete())


class TestOpenCase:
    def test_refuses_a_second_one_of_a_meter_while_the_first_is_under_way(self, town: Database):
        case = opened(town)

        with pytest.raises(CaseStands, match=f"case {case.number}"):
            opened(town, person="eng")
        ended(town, case, operations.withdraw_case)
        assert opened(town).number != case.number

    def test_takes_a_transformer_alone_where_a_line_is_tapped(self, town: Database):
        case = opened(town, meter=None, transformer="T1")

        assert (case.meter, case.transformer, case.office) == (None, "T1", "MHOW")
        assert opened(town, meter=None, transformer="T1").number != case.number

    @pytest.mark.parametrize(
        ("changes", "person", "error"),
        [
            ({"meter": "M9"}, "asha", UnknownEndDevice),
            ({"meter": None}, "asha", RefusedCase),
            ({"meter": None, "transformer": "T9"}, "asha", RefusedCase),
            ({"note": "  "}, "asha", RefusedCase),
            ({"meter": "M2"}, "asha", NotPermitted),
            ({}, "keeper", NotPermitted),
        ],
    )
    def test_refuses_what_is_unknown_empty_or_not_ones_own(
        self, town: Database, changes: dict[str, object], person: str, error: type[Exception]
    ):
        with pytest.raises(error):
            opened(town, person=person, **changes)
        with town.read() as connection:
            assert queries.cases(connection, person="vig2") == ()


class TestAssignCase:
    @pytest.mark.parametrize("to", ["asha", "keeper"])
    def test_refuses_who_may_not_inspect(self, town: Database, to: str):
        with pytest.raises(RefusedCase, match="may not inspect"):
            assigned(town, opened(town), to=to)

    def test_gives_the_case_to_another_inspector(self, town: Database):
        case = assigned(town, assigned(town, opened(town)), to="vig")

        assert case.assigned_to == "vig"
        with pytest.raises(NotTheInspector, match="vig was sent"):
            found(town, case, CaseFinding.NORMAL)


class TestRecordFinding:
    def test_lets_theft_wait_for_another_person(self, town: Database):
        case = assigned(town, opened(town), to="vig")

        case = found(town, case, CaseFinding.THEFT, kind=TheftKind.DIRECT_TAPPING, person="vig")

        assert (case.state, case.confirmed_by) == (CaseState.REPORTED, None)
        with pytest.raises(CaseChanged):
            assess(town, case)
        with pytest.raises(SamePerson):
            decided(town, case, person="vig")
        with pytest.raises(NotPermitted):
            decided(town, case, person="eng")
        case = decided(town, case, person="vig2")
        assert (case.state, case.confirmed_by) == (CaseState.FOUND, "vig2")

    def test_gives_theft_that_is_not_confirmed_back_to_its_inspector(self, town: Database):
        case = assigned(town, opened(town))
        case = found(town, case, CaseFinding.THEFT, kind=TheftKind.MAGNET)

        case = decided(town, case, person="vig", is_confirmed=False)

        assert (case.state, case.finding, case.theft_kind, case.found_by) == (
            CaseState.ASSIGNED,
            None,
            None,
            None,
        )
        assert found(town, case, CaseFinding.NORMAL).state is CaseState.FOUND

    @pytest.mark.parametrize(
        ("finding", "kind", "on", "note"),
        [
            (CaseFinding.THEFT, None, ON, "x"),
            (CaseFinding.NORMAL, TheftKind.BYPASS, ON, "x"),
            (CaseFinding.NORMAL, None, date(2026, 5, 5), "x"),
            (CaseFinding.NORMAL, None, date(2026, 5, 11), "x"),
            (CaseFinding.NORMAL, None, ON, " "),
        ],
    )
    def test_refuses_what_does_not_fit(
        self, town: Database, finding: CaseFinding, kind: TheftKind | None, on: date, note: str
    ):
        case = assigned(town, opened(town))

        with pytest.raises(RefusedCase):
            found(town, case, finding, kind=kind, on=on, note=note)


class TestAssessUnits:
    def test_refuses_where_all_was_normal(self, town: Database):
        case = found(town, assigned(town, opened(town)), CaseFinding.NORMAL)

        with pytest.raises(RefusedCase, match="nothing to assess"):
            assess(town, case)

    @pytest.mark.parametrize(
        "changes",
        [
            {"energy_wh": 0},
            {"energy_wh": -1},
            {"energy_wh": 10**12 + 1},
            {"last": ON + timedelta(days=1)},
            {"first": ON + timedelta(days=1), "last": ON},
            {"first": date(2025, 5, 8)},
            {"method": " "},
        ],
    )
    def test_refuses_units_days_or_words_that_do_not_fit(self, town: Database, changes: dict[str, object]):
        case = found(town, assigned(town, opened(town)), CaseFinding.WRONG_RATIO)

        with pytest.raises(RefusedCase):
            assess(town, case, replace(UNITS, **changes))
        assert assess(town, case, replace(UNITS, first=date(2025, 5, 9))).assessment is not None


class TestOpenSuspicion:
    """The synthetic grid of the balance's own tests; the theft in it was put there."""

    @pytest.fixture
    def thief(self, database: Database) -> str:
        add_people(database)
        first, second = grid_town.plans()
        row = int(np.argsort(first.true_wh.sum(axis=1))[-3])
        first.recorded[row, 6 * grid_town.STEPS :] = 0.3
        grid_town.fill(database, [first.build(), second.build()], registered={})
        return f"M1{row:02}"

    def test_takes_over_what_points_to_the_meter(self, database: Database, thief: str):
        days = {"first": grid_town.FIRST, "last": grid_town.LAST}
        with database.read() as connection:
            ranked = queries.ranked_suspects(connection, **days)
        assert (ranked[0].meter, ranked[0].transformer, ranked[0].case) == (thief, "T1", None)
        assert ranked[0].low_wh > 0
        assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)

        with database.write() as connection:
            case = operations.open_suspicion(
                connection, meter=thief, note="first of the list", person="vig2", now=NOW, **days
            )

        assert (case.origin, case.evidence) == (CaseOrigin.SUSPICION, ranked[0].evidence)
        assert case.reference == f"{grid_town.FIRST}..{grid_town.LAST}"
        with database.read() as connection:
            assert queries.ranked_suspects(connection, **days)[0].case == case.number
        honest = next(
            meter for meter in (f"M2{row:02}" for row in range(grid_town.CONSUMERS)) if meter != thief
        )
        with database.write() as connection, pytest.raises(NotSuspected):
            operations.open_suspicion(
                connection, meter=honest, note="a guess", person="vig2", now=NOW, **days
            )
