"""Edits of readings: one person proposes, another decides; what was measured stays beneath."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.offices.towns import OFFICES
from tests.readings.deliveries import delivery

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import Period, date_of, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.errors import NotPermitted, SamePerson
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.errors import ReadingsChanged
from bijlighar.readings.model import ABSENT, EditKind, Quality, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.registry.errors import UnknownEndDevice
from bijlighar.storage.engine import Database
from bijlighar.validation import operations, queries
from bijlighar.validation.edits_by_hand import ENERGY_MAX_WH
from bijlighar.validation.errors import EditDecided, EditStands, RefusedEdit, UnknownEdit
from bijlighar.validation.model import EditReason, EditState, ExceptionFilter, ReadingEdit, Rule, Severity

DAY = 20_571  # 2026-04-28
NOW = datetime(2026, 5, 4, 6, tzinfo=UTC)
MIDNIGHT = local_midnight(date_of(DAY))
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,MHOW,2026-04-20
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,tcp://127.0.0.1:4060,T2,F2,R,DHAR,2026-04-20
"""
#: A day of which nobody can say that it is a run of one value.
USUAL = [100 + slot for slot in range(48)]


@pytest.fixture(autouse=True)
def town(database: Database) -> None:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for name, office, role in (
            ("asha", "MHOW", Role.CLERK),
            ("app", "MHOW", Role.APPROVER),
            ("far", "DHAR", Role.APPROVER),
            ("eng", "CO", Role.ENGINEER),
            ("eng2", "CO", Role.ENGINEER),
            ("op", "CO", Role.OPERATOR),
        ):
            offices.add_person(connection, sign_in=name, name=name, office=office, roles=[role], now=NOW)
        registry.import_registry(connection, text=REGISTRY, now=datetime(2026, 4, 20, tzinfo=UTC))
        days = [delivery([value + day for value in USUAL], day=DAY - 5 + day) for day in range(6)]
        readings.append(connection, deliveries=days, now=NOW - timedelta(days=5))
    validate(database)


def validate(database: Database) -> None:
    while operations.validate_new(database, now=NOW):
        pass


def wish(**changes: object) -> operations.Proposed:
    usual = operations.Proposed(
        meter="M1",
        start=MIDNIGHT + timedelta(hours=5),
        intervals=2,
        kind=EditKind.SET,
        reason=EditReason.SITE_READING,
        note="read on site, sheet 12",
        values=(7, 8),
    )
    return replace(usual, **changes)


def propose(database: Database, person: str = "asha", **changes: object) -> ReadingEdit:
    with database.write() as connection:
        return operations.propose_edit(connection, proposed=wish(**changes), person=person, now=NOW)


def confirm(database: Database, edit: ReadingEdit, person: str = "app", revision: int = 1) -> None:
    with database.write() as connection:
        operations.confirm_edit(
            connection, number=edit.number, revision=revision, person=person, now=NOW + timedelta(hours=1)
        )


def edited(database: Database, **changes: object) -> ReadingEdit:
    made = propose(database, **changes)
    confirm(database, made)
    validate(database)
    return made


def append(database: Database, values: list[int | None], *, slot: int = 0, day: int = DAY) -> None:
    with database.write() as connection:
        readings.append(connection, deliveries=[delivery(values, slot=slot, day=day)], now=NOW)


def energy(database: Database, *, raw: bool = False, day: int = DAY) -> list[int]:
    read = reading_queries.raw_days if raw else reading_queries.days
    with database.read() as connection:
        (block,) = read(connection, meters=["M1"], first=day, last=day)
    return [int(value) for value in block.values["wh_import"][0]]


def qualities(database: Database, day: int = DAY) -> list[int]:
    with database.read() as connection:
        (block,) = reading_queries.days(connection, meters=["M1"], first=day, last=day)
    return [int(quality) for quality in block.quality[0]]


def told(database: Database) -> list[tuple[Severity, int, int]]:
    """Severity, intervals and late ones of what is found of edits."""
    with database.read() as connection:
        found = queries.findings(connection, period=Period(start=MIDNIGHT, end=MIDNIGHT + timedelta(days=1)))
    return [
        (finding.severity, finding.intervals, finding.facts["late"])
        for finding in found
        if finding.rule is Rule.EDITED
    ]


class TestProposeEdit:
    def test_changes_no_reading(self, database: Database):
        made = propose(database)

        assert (made.state, made.office, made.proposed_by) == (EditState.PROPOSED, "MHOW", "asha")
        assert (made.before, made.measured) == ((115, 116), (115, 116))
        assert energy(database)[10:12] == [115, 116]
        assert told(database) == []

    def test_takes_one_value_for_all_intervals(self, database: Database):
        assert propose(database, values=(5,)).values == (5, 5)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"values": (1, 2, 3)}, "3 values for 2 intervals"),
            ({"values": ()}, "0 values for 2 intervals"),
            ({"values": (1, -1)}, "-1 Wh is nothing"),
            ({"values": (1, ENERGY_MAX_WH + 1)}, "is nothing that a meter counts"),
            ({"values": (115, 116)}, "nothing would change"),
            ({"intervals": 0}, "0 intervals cannot be edited at once"),
            ({"intervals": operations.EDIT_INTERVALS_MAX + 1, "values": (1,)}, "cannot be edited at once"),
            ({"start": MIDNIGHT + timedelta(minutes=10)}, "not the start of an interval of 30 minutes"),
            ({"start": MIDNIGHT + timedelta(microseconds=1)}, "not the start of an interval"),
            ({"start": NOW - timedelta(minutes=30)}, "which is still to come"),
            ({"channel": "volt"}, "'volt' cannot be edited"),
            ({"kind": EditKind.TAKE_OUT}, "values belong only to"),
            ({"kind": EditKind.RESTORE, "values": ()}, "nothing would change"),
            (
                {"kind": EditKind.TAKE_OUT, "values": (), "start": MIDNIGHT + timedelta(days=5)},
                "nothing would",
            ),
            ({"start": MIDNIGHT + timedelta(days=5), "channel": "wh_export"}, "edit wh_import first"),
            ({"note": "  "}, "the reason is empty"),
        ],
    )
    def test_refuses_what_does_not_fit(self, database: Database, changes: dict, words: str):
        with pytest.raises(RefusedEdit, match=words):
            propose(database, **changes)

    @pytest.mark.parametrize("note", ["x" * 501, "zero\0byte", "half \ud800"])
    def test_refuses_a_note_that_is_no_text(self, database: Database, note: str):
        with pytest.raises(InvalidValue):
            propose(database, note=note)

    def test_refuses_an_unknown_meter(self, database: Database):
        with pytest.raises(UnknownEndDevice):
            propose(database, meter="M9")

    @pytest.mark.parametrize(("person", "meter"), [("app", "M1"), ("op", "M1"), ("asha", "M2")])
    def test_is_for_the_clerks_of_the_meters_office(self, database: Database, person: str, meter: str):
        with pytest.raises(NotPermitted):
            propose(database, person, meter=meter)

    def test_refuses_a_second_one_while_the_first_waits(self, database: Database):
        made = propose(database)

        with pytest.raises(EditStands, match="asha has proposed edit"):
            propose(database, "eng", start=made.start + timedelta(minutes=30))
        propose(database, "eng", start=made.end)


class TestConfirmEdit:
    def test_writes_a_version_over_what_was_measured(self, database: Database):
        made = propose(database)

        confirm(database, made)

        assert energy(database)[9:13] == [114, 7, 8, 117]
        assert qualities(database)[10:12] == [Quality.EDITED] * 2
        assert energy(database, raw=True)[9:13] == [114, 115, 116, 117]
        with database.read() as connection:
            (before,) = reading_queries.days(connection, meters=["M1"], first=DAY, last=DAY, as_of=NOW)
        assert before.values["wh_import"][0, 10:12].tolist() == [115, 116]

    def test_is_judged_and_told(self, database: Database):
        edited(database)

        assert told(database) == [(Severity.INFO, 2, 0)]
        assert qualities(database)[9:13] == [Quality.VALID, Quality.EDITED, Quality.EDITED, Quality.VALID]

    def test_runs_over_midnight(self, database: Database):
        edited(database, start=MIDNIGHT - timedelta(minutes=30), values=(1, 2))

        assert (energy(database, day=DAY - 1)[47], energy(database)[0]) == (1, 2)

    def test_fills_a_day_that_never_came(self, database: Database):
        start = MIDNIGHT + timedelta(days=1)
        edited(database, start=start, intervals=48, values=(9,))

        assert energy(database, day=DAY + 1) == [9] * 48
        assert energy(database, raw=True, day=DAY + 1) == [ABSENT] * 48
        append(database, [4] * 48, day=DAY + 1)
        validate(database)
        assert energy(database, day=DAY + 1) == [9] * 48

    def test_is_in_the_audit_with_both_persons(self, database: Database):
        made = edited(database)

        with database.read() as connection:
            entries = office_queries.audit(connection, limit=10, subject=f"reading-edit:{made.number}")
            assert office_queries.check_audit(connection).broken_at is None
        assert [(entry.person, entry.act) for entry in reversed(entries)] == [
            ("asha", "edit_reading"),
            ("app", "confirm_edit"),
        ]

    @pytest.mark.parametrize("person", ["eng", "ENG "])
    def test_refuses_the_proposer(self, database: Database, person: str):
        made = propose(database, "eng")

        with pytest.raises(SamePerson):
            confirm(database, made, person)
        assert energy(database)[10:12] == [115, 116]
        confirm(database, made, "eng2")

    @pytest.mark.parametrize("person", ["asha", "op"])
    def test_refuses_who_has_not_the_role(self, database: Database, person: str):
        made = propose(database, "eng")

        with pytest.raises(NotPermitted):
            confirm(database, made, person)

    def test_knows_no_edit_of_another_office(self, database: Database):
        made = propose(database)

        with pytest.raises(UnknownEdit):
            confirm(database, made, "far")
        with pytest.raises(UnknownEdit):
            confirm(database, replace(made, number=2**62))

    def test_refuses_an_older_revision_and_a_second_time(self, database: Database):
        made = propose(database)

        with pytest.raises(EditDecided, match="changed meanwhile"):
            confirm(database, made, revision=2)
        confirm(database, made)
        for revision in (1, 2):
            with pytest.raises(EditDecided, match="is confirmed by app"):
                confirm(database, made, revision=revision)

    def test_of_two_at_once_is_done_once(self, database: Database):
        made = propose(database)

        def one(person: str) -> str:
            try:
                confirm(database, made, person)
            except EditDecided:
                return "late"
            return "done"

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(one, ("app", "eng"))) == ["done", "late"]
        with database.read() as connection:
            (block,) = reading_queries.days(connection, meters=["M1"], first=DAY, last=DAY)
        assert block.versions.tolist() == [made.versions[DAY] + 1]

    def test_refuses_when_the_day_changed_in_between(self, database: Database):
        made = propose(database)
        append(database, [33], slot=40)

        with pytest.raises(
            ReadingsChanged, match=r"changed after the edit was proposed \(version \d, not \d\)"
        ):
            confirm(database, made)

        assert energy(database)[10:12] == [115, 116]
        with database.read() as connection:
            assert queries.edit(connection, number=made.number, person="app").state is EditState.PROPOSED

    def test_writes_nothing_if_one_of_two_days_changed(self, database: Database):
        made = propose(database, start=MIDNIGHT - timedelta(minutes=30))
        append(database, [33], slot=40)

        with pytest.raises(ReadingsChanged):
            confirm(database, made)

        assert energy(database, day=DAY - 1)[47] == USUAL[47] + 4

    def test_leaves_other_channels_as_they_are(self, database: Database):
        with database.write() as connection:
            readings.append(
                connection, deliveries=[delivery([5] * 48, day=DAY, wh_export=list(range(48)))], now=NOW
            )
        validate(database)
        edited(database, values=(1, 2))

        with database.write() as connection:
            readings.append(connection, deliveries=[delivery([5] * 48, day=DAY, wh_export=[3] * 48)], now=NOW)
        validate(database)

        with database.read() as connection:
            (block,) = reading_queries.days(connection, meters=["M1"], first=DAY, last=DAY)
        assert block.values["wh_export"][0].tolist() == [3] * 48
        assert block.values["wh_import"][0, 9:13].tolist() == [5, 1, 2, 5]


class TestTakeOut:
    def test_lets_an_estimate_take_the_place(self, database: Database):
        edited(database, kind=EditKind.TAKE_OUT, values=())

        assert qualities(database)[9:13] == [
            Quality.VALID,
            Quality.ESTIMATED,
            Quality.ESTIMATED,
            Quality.VALID,
        ]
        assert energy(database, raw=True)[10:12] == [115, 116]
        assert told(database) == [(Severity.INFO, 2, 0)]

    def test_brings_the_estimate_to_the_registers(self, database: Database):
        with database.write() as connection:
            for day, register in ((DAY, 10_000), (DAY + 1, 10_000 + sum(USUAL) + 5 * 48 - 100)):
                snapshot = RegisterSnapshot(
                    meter="M1", at=local_midnight(date_of(day)), kind=RegisterKind.DAILY, wh_import=register
                )
                readings.append_registers(connection, snapshots=[snapshot], now=NOW)
        validate(database)

        edited(database, kind=EditKind.TAKE_OUT, values=())

        assert sum(energy(database)) == sum(USUAL) + 5 * 48 - 100

    def test_stays_out_when_validated_again_and_when_it_is_read_again(self, database: Database):
        edited(database, kind=EditKind.TAKE_OUT, values=())
        before = energy(database)

        append(database, [value + 5 for value in USUAL])
        operations.validate_range(database, first=date_of(DAY - 5), last=date_of(DAY), now=NOW)

        assert energy(database) == before
        assert energy(database)[10:12] != [115, 116]


class TestRestore:
    @pytest.mark.parametrize("kind", [EditKind.SET, EditKind.TAKE_OUT])
    def test_ends_what_was_edited(self, database: Database, kind: EditKind):
        edited(database, kind=kind, values=(1, 2) if kind is EditKind.SET else ())

        edited(database, kind=EditKind.RESTORE, values=())

        assert energy(database)[10:12] == [115, 116]
        assert qualities(database) == [Quality.VALID] * 48
        assert told(database) == []


class TestLateReading:
    def test_does_not_displace_an_edit_and_calls_for_a_person(self, database: Database):
        edited(database)

        append(database, [500], slot=10)
        validate(database)

        assert energy(database)[10:12] == [7, 8]
        assert energy(database, raw=True)[10:12] == [500, 116]
        assert told(database) == [(Severity.WARNING, 2, 1)]
        with database.read() as connection:
            (waiting,) = queries.exceptions(connection, wish=ExceptionFilter(rule=Rule.EDITED), person="asha")
        assert "the edit stands" in queries.reason(waiting.finding).en
        assert "संशोधन बना हुआ है" in queries.reason(waiting.finding).hi

    def test_that_agrees_with_the_edit_is_no_matter(self, database: Database):
        edited(database)

        append(database, [7], slot=10)
        validate(database)

        assert told(database) == [(Severity.INFO, 2, 0)]

    def test_is_settled_by_another_edit(self, database: Database):
        edited(database)
        append(database, [500], slot=10)
        validate(database)

        edited(database, kind=EditKind.RESTORE, values=())

        assert energy(database)[10:12] == [500, 116]
        with database.read() as connection:
            assert queries.exceptions(connection, wish=ExceptionFilter(rule=Rule.EDITED), person="asha") == ()

    def test_validating_again_changes_nothing(self, database: Database):
        edited(database)

        operations.validate_range(database, first=date_of(DAY), last=date_of(DAY), now=NOW)

        assert energy(database)[10:12] == [7, 8]
        assert told(database) == [(Severity.INFO, 2, 0)]


class TestRefuseEdit:
    def test_ends_it_without_a_change(self, database: Database):
        made = propose(database)
        with database.write() as connection:
            operations.refuse_edit(
                connection, number=made.number, revision=1, person="app", note="no paper", now=NOW
            )

        with pytest.raises(EditDecided):
            confirm(database, made)
        assert energy(database)[10:12] == [115, 116]
        propose(database)

    def test_needs_a_reason_and_another_person(self, database: Database):
        made = propose(database, "eng")
        for person, note, error in (("app", " ", RefusedEdit), ("eng", "mine", SamePerson)):
            with pytest.raises(error), database.write() as connection:
                operations.refuse_edit(
                    connection, number=made.number, revision=1, person=person, note=note, now=NOW
                )


class TestWithdrawEdit:
    def test_is_for_the_proposer_alone(self, database: Database):
        made = propose(database)

        def withdraw(person: str) -> None:
            with database.write() as connection:
                operations.withdraw_edit(connection, number=made.number, revision=1, person=person, now=NOW)

        with pytest.raises(RefusedEdit, match="asha proposed"):
            withdraw("eng")
        withdraw("asha")
        with pytest.raises(EditDecided):
            withdraw("asha")
        with database.read() as connection:
            assert queries.edits(connection, person="asha") == ()
            (ended,) = queries.edits(connection, person="asha", states=tuple(EditState))
        assert ended.state is EditState.WITHDRAWN
