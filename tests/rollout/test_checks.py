"""Checks on the spot: ordered once for a meter, given to a fitter, reported, cancelled; on both databases."""

from datetime import date, timedelta

import pytest
from tests.rollout.test_operations import OFFICES, REGISTRY

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.period import local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.rollout import operations, queries
from bijlighar.rollout.checks import CheckEvent
from bijlighar.rollout.errors import CannotPlan, CheckChanged, UnknownCheck
from bijlighar.rollout.model import (
    CHECK_STATE_NAMES,
    CHECK_STEPS,
    OPEN_CHECK_STATES,
    Check,
    CheckFinding,
    CheckState,
)
from bijlighar.storage.engine import Database

NOW = local_midnight(date(2025, 8, 1)) + timedelta(hours=6)
PEOPLE = {
    "clerk": ("MHOW-1", Role.CLERK),
    "engineer": ("INDORE", Role.ENGINEER),
    "fitter": ("MHOW-1", Role.FITTER),
    "dhar": ("DHAR-1", Role.ENGINEER),
}


@pytest.fixture
def town(database: Database) -> Database:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for sign_in, (office, role) in PEOPLE.items():
            offices.add_person(connection, sign_in=sign_in, name="", office=office, roles=[role], now=NOW)
        registry.import_registry(connection, text=REGISTRY, now=NOW)
    return database


def order(
    town: Database, meter: str = "SM-3", *, subject: str = "exception:1", person: str = "clerk"
) -> Check:
    with town.write() as connection:
        return operations.order_check(
            connection, meter=meter, subject=subject, reason="stands  still", person=person, now=NOW
        )


def issue(town: Database, check: Check) -> Check:
    with town.write() as connection:
        return operations.issue_check(
            connection,
            number=check.number,
            revision=check.revision,
            fitter="Ram",
            person="engineer",
            now=NOW,
        )


class TestOrder:
    def test_names_the_place_and_says_why(self, town: Database):
        made = order(town)

        assert (made.usage_point, made.account, made.transformer, made.office) == ("U3", "A3", "T1", "MHOW-1")
        assert (made.reason, made.state, made.ordered_by) == ("stands still", CheckState.PLANNED, "clerk")

    def test_of_a_transformers_meter_has_no_account(self, town: Database):
        assert order(town, "MT1").account is None

    def test_of_one_meter_stands_once_until_it_has_ended(self, town: Database):
        first, second = order(town), order(town, subject="exception:2")
        order(town, subject="exception:2")
        with town.read() as connection:
            subjects = queries.subjects_of_check(connection, number=first.number)
        issued = issue(town, second)
        with town.write() as connection:
            operations.report_check(
                connection,
                number=issued.number,
                revision=issued.revision,
                finding=CheckFinding.NORMAL,
                note="fine",
                person="fitter",
                now=NOW,
            )
        third = order(town, subject="exception:2")

        assert (first.number, subjects) == (second.number, ("exception:1", "exception:2"))
        assert third.number != first.number
        with town.read() as connection:
            known = queries.checks_for(connection, subject="exception:2")
        assert [each.number for each in known] == [third.number, first.number]

    def test_is_refused_without_right_or_reason(self, town: Database):
        for person in ("fitter", "dhar"):
            with pytest.raises(NotPermitted):
                order(town, person=person)
        with pytest.raises(CannotPlan), town.write() as connection:
            operations.order_check(connection, meter="SM-3", subject="x", reason=" ", person="clerk", now=NOW)
        with town.read() as connection:
            assert queries.checks(connection, person="engineer", states=tuple(CheckState)) == ()


class TestSteps:
    def test_of_an_older_revision_or_another_state_are_refused(self, town: Database):
        made = order(town)
        issued = issue(town, made)

        for number, revision in ((made.number, made.revision), (issued.number, issued.revision)):
            with pytest.raises(CheckChanged), town.write() as connection:
                operations.issue_check(
                    connection, number=number, revision=revision, fitter="Ram", person="engineer", now=NOW
                )
        with pytest.raises(CheckChanged), town.write() as connection:
            operations.fail_check(
                connection, number=made.number, revision=1, reason="x", person="fitter", now=NOW
            )

    def test_of_another_office_are_as_if_there_were_none(self, town: Database):
        made = order(town)

        with pytest.raises(UnknownCheck), town.write() as connection:
            operations.cancel_check(
                connection, number=made.number, revision=1, reason="x", person="dhar", now=NOW
            )
        with town.read() as connection:
            assert queries.checks(connection, person="dhar", states=tuple(CheckState)) == ()
            assert queries.checks(connection, person="fitter", states=OPEN_CHECK_STATES) == (made,)

    def test_are_those_of_the_table(self):
        assert set(CHECK_STEPS) == set(CHECK_STATE_NAMES) == set(CheckState)
        for state in (CheckState.DONE, CheckState.CANCELLED):
            for event in CheckEvent:
                with pytest.raises(IllegalStep):
                    next_state(CHECK_STEPS, state, event)
