"""The queue of exceptions: it follows what is found, and people work through it."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from tests.offices.towns import OFFICES
from tests.readings.deliveries import delivery

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import date_of, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from bijlighar.validation import exception_queue, operations, queries, store
from bijlighar.validation.errors import ExceptionChanged, NotTheHolder, UnknownException
from bijlighar.validation.exception_rules import calls_for_person
from bijlighar.validation.model import (
    WAITING,
    ExceptionEvent,
    ExceptionFilter,
    ExceptionState,
    Outcome,
    Rule,
    Severity,
    ValidationException,
    ValidationFinding,
)
from bijlighar.validation.report import joined_gaps

DAY = 20_571  # 2026-04-28
NOW = datetime(2026, 5, 4, 6, tzinfo=UTC)
ALL = ExceptionFilter(states=tuple(ExceptionState))
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,MHOW,2026-04-01
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,tcp://127.0.0.1:4060,T2,F2,R,DHAR,2026-04-01
"""


@pytest.fixture(autouse=True)
def town(database: Database) -> None:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for name, office, role in (
            ("asha", "MHOW", Role.CLERK),
            ("bina", "MHOW", Role.CLERK),
            ("dev", "DHAR", Role.CLERK),
            ("eng", "CO", Role.ENGINEER),
            ("app", "MHOW", Role.APPROVER),
        ):
            offices.add_person(connection, sign_in=name, name=name, office=office, roles=[role], now=NOW)
        registry.import_registry(connection, text=REGISTRY, now=datetime(2026, 4, 1, tzinfo=UTC))


def finding(
    day: int = DAY,
    *,
    meter: str = "M1",
    rule: Rule = Rule.SPIKE,
    severity: Severity = Severity.WARNING,
    hour: int = 9,
    intervals: int = 2,
) -> ValidationFinding:
    start = local_midnight(date_of(day)) + timedelta(hours=hour)
    return ValidationFinding(
        rule=rule, meter=meter, day=day, channel="wh_import", start=start,
        end=start + timedelta(minutes=30 * intervals), intervals=intervals, severity=severity,
    )  # fmt: skip


def gap(day: int, *, hour: int = 0, intervals: int = 48, meter: str = "M1") -> ValidationFinding:
    return finding(day, meter=meter, rule=Rule.MISSING, hour=hour, intervals=intervals)


def find(database: Database, day: int, *findings: ValidationFinding, meter: str = "M1") -> None:
    """Make these what stands open of a meter on a day, as a run of the rules does."""
    with database.write() as connection:
        days = store.replace_findings(
            connection, meter_days=[(meter, day)], minutes=30, findings=findings, now=NOW
        )
        exception_queue.follow(connection, meter_days=days, now=NOW)


def queue(
    database: Database, *, wish: ExceptionFilter = ALL, person: str = "eng"
) -> tuple[ValidationException, ...]:
    with database.read() as connection:
        found = queries.exceptions(connection, wish=wish, person=person)
        assert queries.count_exceptions(connection, wish=wish, person=person) == len(found)
    return found


def one(database: Database) -> ValidationException:
    (found,) = queue(database)
    return found


def take(database: Database, person: str = "asha") -> None:
    found = one(database)
    with database.write() as connection:
        operations.take(connection, number=found.number, revision=found.revision, person=person, now=NOW)


def settle(
    database: Database,
    person: str = "asha",
    *,
    outcome: str = "accepted",
    note: str = "a wedding",
    revision: int | None = None,
) -> None:
    found = one(database)
    with database.write() as connection:
        operations.settle(
            connection,
            number=found.number,
            revision=found.revision if revision is None else revision,
            outcome=outcome,
            note=note,
            person=person,
            now=NOW,
        )


def give_back(database: Database, person: str) -> None:
    found = one(database)
    with database.write() as connection:
        operations.give_back(connection, number=found.number, revision=found.revision, person=person, now=NOW)


def events(database: Database) -> list[str]:
    number = one(database).number
    with database.read() as connection:
        return [step.event.value for step in queries.exception_steps(connection, number=number)]


class TestFollow:
    def test_queues_what_calls_for_a_person_under_the_office_where_it_hung(self, database: Database):
        find(database, DAY, finding())

        found = one(database)
        assert (found.state, found.office, found.finding.rule) == (ExceptionState.OPEN, "MHOW", Rule.SPIKE)
        assert events(database) == ["appear"]

    def test_leaves_out_what_is_told_for_information_and_short_gaps(self, database: Database):
        find(database, DAY, finding(severity=Severity.INFO), gap(DAY, hour=2, intervals=40))

        assert queue(database) == ()

    def test_joins_a_gap_over_midnights_whichever_day_comes_first(self, database: Database):
        for day in (DAY, DAY + 2, DAY + 1):
            find(database, day, gap(day))

        found = [each for each in queue(database) if each.state is ExceptionState.OPEN]
        assert [(each.finding.start, each.finding.intervals) for each in found] == [(gap(DAY).start, 144)]

    def test_joins_two_halves_of_a_day_that_only_together_are_long(self, database: Database):
        find(database, DAY, gap(DAY, hour=12, intervals=24))
        assert queue(database) == ()

        find(database, DAY + 1, gap(DAY + 1, intervals=24))
        assert one(database).finding.intervals == 48

    def test_follows_a_gap_that_late_values_make_shorter_and_keeps_who_has_it(self, database: Database):
        for day in range(DAY, DAY + 3):
            find(database, day, gap(day))
        take(database)

        find(database, DAY)

        found = one(database)
        assert (found.state, found.taken_by) == (ExceptionState.TAKEN, "asha")
        assert (found.finding.start, found.finding.intervals) == (gap(DAY + 1).start, 96)

    def test_leaves_the_neighbours_of_a_day_that_changed_alone(self, database: Database):
        for day in range(DAY, DAY + 4):
            find(database, day, finding(day, rule=Rule.SUM_CHECK, hour=0, intervals=48))
        find(database, DAY - 1, finding(DAY - 1, rule=Rule.REPEATED, hour=0, intervals=96))

        find(database, DAY + 2)

        states = {each.finding.start: each.state for each in queue(database)}
        closed = [start for start, state in states.items() if state is ExceptionState.CLOSED]
        assert closed == [finding(DAY + 2, hour=0).start]
        assert len(states) == 5

    def test_closes_by_itself_and_opens_again(self, database: Database):
        find(database, DAY, finding())
        take(database)
        settle(database)

        find(database, DAY)
        assert one(database).state is ExceptionState.CLOSED

        find(database, DAY, finding())
        found = one(database)
        assert (found.state, found.taken_by, found.outcome) == (ExceptionState.OPEN, None, None)
        assert events(database) == ["appear", "take", "settle", "vanish", "return"]

    def test_leaves_settled_what_goes_on_and_opens_what_has_more_than_doubled(self, database: Database):
        find(database, DAY, gap(DAY))
        take(database)
        settle(database, outcome="field")

        find(database, DAY + 1, gap(DAY + 1))
        assert one(database).state is ExceptionState.SETTLED

        find(database, DAY + 2, gap(DAY + 2))
        assert one(database).state is ExceptionState.OPEN
        assert events(database)[-1] == "grow"

    def test_opens_what_has_become_graver(self, database: Database):
        find(database, DAY, finding())
        take(database)
        settle(database)

        find(database, DAY, finding(severity=Severity.ERROR))

        assert one(database).state is ExceptionState.OPEN

    def test_changes_nothing_the_second_time(self, database: Database):
        find(database, DAY, finding(), gap(DAY, hour=0, intervals=48))
        before = queue(database)

        with database.write() as connection:
            assert exception_queue.follow(connection, meter_days=[("M1", DAY)], now=NOW) == 0

        assert queue(database) == before

    @pytest.mark.parametrize("seed", range(6))
    def test_says_what_stands_whatever_came_in_which_order(self, database: Database, seed: int):
        chance = Random(seed)
        stands: dict[int, list[ValidationFinding]] = {}
        for _ in range(60):
            day = DAY + chance.randrange(9)
            hour = chance.choice((0, 0, 0, 12))
            holes = [gap(day, hour=hour, intervals=chance.choice((2, 24, 48 - 2 * hour)))]
            others = [finding(day, rule=Rule.SUM_CHECK, hour=0, intervals=48), finding(day, hour=7)]
            stands[day] = chance.choice(([], holes, [*holes, *others], others[:1]))

            find(database, day, *stands[day])

            every = joined_gaps(each for own in stands.values() for each in own)
            wanted = [(each.rule, each.start, each.end) for each in every if calls_for_person(each)]
            live = ExceptionFilter(states=(*WAITING, ExceptionState.SETTLED))
            held = [each.finding for each in queue(database, wish=live)]
            assert sorted((each.rule, each.start, each.end) for each in held) == sorted(wanted), seed

    def test_keeps_its_steps_for_good(self, database: Database):
        find(database, DAY, finding())
        table = metadata.tables["validation_exception_step"]

        with pytest.raises(DBAPIError, match="only ever added"), database.write() as connection:
            connection.execute(update(table).values(note="x"))


class TestValidation:
    def test_queues_a_long_gap_and_closes_it_when_the_values_come(self, database: Database):
        def bring(values: Delivery, day: int) -> None:
            at = local_midnight(date_of(day)) + timedelta(hours=3)
            with database.write() as connection:
                readings.append(connection, deliveries=[values], now=at)
            operations.validate_range(database, first=date_of(DAY - 9), last=date_of(DAY), now=at)

        varied = [100 + place % 7 for place in range(48)]
        bring(delivery(varied * 7, day=DAY - 9), day=DAY - 2)
        bring(delivery(varied, day=DAY), day=DAY + 1)
        assert [
            (each.finding.rule, each.finding.intervals)
            for each in queue(database, wish=ExceptionFilter(rule=Rule.MISSING, meter="M1"))
        ] == [(Rule.MISSING, 96)]

        bring(delivery(varied * 2, day=DAY - 2), day=DAY + 2)
        (found,) = queue(
            database, wish=ExceptionFilter(states=tuple(ExceptionState), rule=Rule.MISSING, meter="M1")
        )
        assert found.state is ExceptionState.CLOSED


class TestTake:
    def test_names_who_has_it_and_is_audited(self, database: Database):
        find(database, DAY, finding())

        take(database, "Asha")

        found = one(database)
        assert (found.state, found.taken_by, found.taken_at) == (ExceptionState.TAKEN, "asha", NOW)
        with database.read() as connection:
            (last,) = office_queries.audit(connection, limit=1)
        assert last.subject == f"exception:{found.number}"

    def test_is_refused_the_second_time(self, database: Database):
        find(database, DAY, finding())
        take(database)

        with pytest.raises(ExceptionChanged, match="is taken"):
            take(database, "bina")

    def test_of_another_office_is_as_if_there_were_none(self, database: Database):
        find(database, DAY, finding())

        with pytest.raises(UnknownException):
            take(database, "dev")
        with pytest.raises(UnknownException), database.write() as connection:
            operations.take(connection, number=2**62, revision=1, person="asha", now=NOW)

    def test_needs_the_role(self, database: Database):
        find(database, DAY, finding())

        with pytest.raises(NotPermitted):
            take(database, "app")

    def test_is_undone_by_a_colleague(self, database: Database):
        find(database, DAY, finding())
        take(database)

        give_back(database, "bina")

        assert (one(database).state, one(database).taken_by) == (ExceptionState.OPEN, None)
        with pytest.raises(ExceptionChanged):
            give_back(database, "bina")


class TestSettle:
    def test_keeps_outcome_reason_and_person(self, database: Database):
        find(database, DAY, finding())
        take(database)

        settle(database, outcome="estimated", note=" a wedding ")

        found = one(database)
        assert (found.state, found.outcome, found.note) == (
            ExceptionState.SETTLED,
            Outcome.ESTIMATED,
            "a wedding",
        )
        assert (found.settled_by, found.settled_intervals) == ("asha", 2)
        with database.read() as connection:
            last = queries.exception_steps(connection, number=found.number)[-1]
        assert (last.event, last.outcome, last.note) == (
            ExceptionEvent.SETTLE,
            Outcome.ESTIMATED,
            "a wedding",
        )

    def test_is_refused_untaken_twice_and_by_another(self, database: Database):
        find(database, DAY, finding())
        with pytest.raises(ExceptionChanged, match="is open"):
            settle(database)
        take(database)
        with pytest.raises(NotTheHolder, match="asha"):
            settle(database, "bina")
        settle(database)
        with pytest.raises(ExceptionChanged, match="is settled"):
            settle(database)

    def test_of_what_was_found_anew_meanwhile_is_refused(self, database: Database):
        find(database, DAY, finding())
        take(database)
        find(database, DAY, finding(intervals=5))

        with pytest.raises(ExceptionChanged, match="found anew"):
            settle(database, revision=1)

        assert one(database).state is ExceptionState.TAKEN

    @pytest.mark.parametrize(
        ("outcome", "note"),
        [("nonsense", "x"), ("", "x"), ("accepted", "  "), ("accepted", "x" * 501), ("accepted", "a\0b")],
    )
    def test_of_nonsense_is_refused(self, database: Database, outcome: str, note: str):
        find(database, DAY, finding())
        take(database)

        with pytest.raises(InvalidValue):
            settle(database, outcome=outcome, note=note)

        assert one(database).state is ExceptionState.TAKEN

    def test_by_estimate_is_for_what_is_estimated(self, database: Database):
        find(database, DAY, finding(rule=Rule.MULTIPLIER))
        take(database)

        with pytest.raises(InvalidValue, match="accepted, field, records"):
            settle(database, outcome="estimated")


class TestExceptions:
    def test_are_the_gravest_and_oldest_first_a_page_at_a_time(self, database: Database):
        find(database, DAY, finding(hour=1), finding(hour=9, rule=Rule.SUM_CHECK, severity=Severity.ERROR))
        find(database, DAY, finding(meter="M2", hour=0), meter="M2")

        found = [(each.finding.rule, each.finding.meter) for each in queue(database)]
        assert found == [(Rule.SUM_CHECK, "M1"), (Rule.SPIKE, "M2"), (Rule.SPIKE, "M1")]
        with database.read() as connection:
            (second,) = queries.exceptions(connection, wish=ALL, person="eng", first=1, limit=1)
        assert second.finding.meter == "M2"

    def test_are_of_a_branch_and_of_what_is_asked_for(self, database: Database):
        find(database, DAY, finding())
        find(database, DAY, finding(meter="M2"), meter="M2")

        assert [each.finding.meter for each in queue(database, person="dev")] == ["M2"]
        for wish, count in (
            (ExceptionFilter(office="MHOW"), 1),
            (ExceptionFilter(meter="M2"), 1),
            (ExceptionFilter(rule=Rule.DRIFT), 0),
            (ExceptionFilter(severity=Severity.WARNING), 2),
            (ExceptionFilter(states=(ExceptionState.SETTLED,)), 0),
            (ExceptionFilter(taken_by="asha"), 0),
        ):
            assert len(queue(database, wish=wish)) == count, wish
        assert queue(database, wish=ExceptionFilter(office="MHOW"), person="dev") == ()
