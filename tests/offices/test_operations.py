from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text as sql

from bijlighar.base.errors import InvalidValue
from bijlighar.base.words import Words
from bijlighar.offices import operations, queries
from bijlighar.offices.errors import (
    BrokenTree,
    KnownPerson,
    NotPermitted,
    UnknownOffice,
    UnknownPerson,
    UnreadableFile,
)
from bijlighar.offices.model import Act, Office, OfficeLevel, Role
from bijlighar.storage.engine import Database

NOW = datetime(2026, 4, 1, 6, tzinfo=UTC)
WRITERS = 8
ACTS_EACH = 5

OFFICES = """code,name_en,name_hi,level,parent
MHOW-1,Mhow town,महू शहर,town-office,MHOW
WEST,West Discom,पश्चिम क्षेत्र,company,
INDORE,Indore region,इंदौर रीजन,region,WEST
MHOW,Mhow division,महू डिवीजन,division,INDORE
UJJAIN,Ujjain region,उज्जैन रीजन,region,WEST
"""


@pytest.fixture
def staffed(database: Database) -> Database:
    with database.write() as connection:
        operations.import_offices(connection, text=OFFICES)
        for sign_in, office, role in (("asha", "MHOW-1", Role.CLERK), ("ravi", "INDORE", Role.APPROVER)):
            operations.add_person(connection, sign_in=sign_in, name="", office=office, roles=[role], now=NOW)
    return database


class TestImportOffices:
    def test_takes_parents_that_come_later_in_the_file_and_repeats_without_change(self, database):
        with database.write() as connection:
            assert operations.import_offices(connection, text=OFFICES) == 5
            assert operations.import_offices(connection, text=OFFICES) == 0
            assert queries.offices_below(connection, code="INDORE") == ("INDORE", "MHOW", "MHOW-1")
            assert queries.office(connection, code="MHOW").name.hi == "महू डिवीजन"

    def test_stores_nothing_of_a_wrong_file(self, database):
        with pytest.raises(UnreadableFile), database.write() as connection:
            operations.import_offices(connection, text=OFFICES + "X,a,b,village,WEST\n")

        with database.read() as connection:
            assert queries.offices(connection) == ()

    def test_refuses_an_unknown_parent(self, database):
        with pytest.raises(BrokenTree), database.write() as connection:
            operations.import_offices(connection, text="code,level,parent\nX,division,NOWHERE\n")


class TestAddOffice:
    def test_adds_below_a_known_office(self, staffed):
        office = Office(
            code="MHOW-2", name=Words(hi="महू २", en="Mhow 2"), level=OfficeLevel.TOWN_OFFICE, parent="MHOW"
        )

        with staffed.write() as connection:
            operations.add_office(connection, office=office)
            assert queries.office(connection, code="MHOW-2") == office

    def test_names_an_unknown_office(self, database):
        with database.read() as connection, pytest.raises(UnknownOffice, match="office import"):
            queries.office(connection, code="X")


class TestAddPerson:
    def test_repeats_without_change_and_records_once(self, staffed):
        with staffed.write() as connection:
            again = operations.add_person(
                connection, sign_in="ASHA", name="", office="MHOW-1", roles=[Role.CLERK], now=NOW
            )
            assert again == queries.person(connection, sign_in="asha")
            assert len(queries.audit(connection, limit=10, subject="asha")) == 1

    def test_refuses_other_facts_for_a_known_person(self, staffed):
        with staffed.write() as connection, pytest.raises(KnownPerson, match="person change"):
            operations.add_person(
                connection, sign_in="asha", name="", office="INDORE", roles=[Role.APPROVER], now=NOW
            )

    @pytest.mark.parametrize(
        ("sign_in", "office", "roles", "error"),
        [
            ("", "MHOW-1", [Role.CLERK], InvalidValue),
            ("two words", "MHOW-1", [Role.CLERK], InvalidValue),
            ("system", "MHOW-1", [Role.CLERK], InvalidValue),
            ("new", "MHOW-1", [], InvalidValue),
            ("new", "NOWHERE", [Role.CLERK], UnknownOffice),
        ],
    )
    def test_refuses_an_unusable_person(self, staffed, sign_in, office, roles, error):
        with staffed.write() as connection, pytest.raises(error):
            operations.add_person(connection, sign_in=sign_in, name="", office=office, roles=roles, now=NOW)


class TestChangePerson:
    def test_changes_the_given_facts_only_and_records_it(self, staffed):
        with staffed.write() as connection:
            changed = operations.change_person(connection, sign_in="asha", active=False, by="ravi", now=NOW)
            assert (changed.active, changed.office) == (False, "MHOW-1")
            assert queries.audit(connection, limit=1)[0].person == "ravi"
            with pytest.raises(UnknownPerson):
                operations.change_person(connection, sign_in="nobody", now=NOW)
            with pytest.raises(NotPermitted):
                operations.authorise(connection, sign_in="asha", act=Act.DRAW_UP_LIST, office="MHOW-1")


class TestAuthorise:
    def test_lets_the_approver_at_indore_act_for_the_town(self, staffed):
        with staffed.read() as connection:
            person = operations.authorise(connection, sign_in="Ravi", act=Act.APPROVE_LIST, office="MHOW-1")

        assert person.sign_in == "ravi"

    @pytest.mark.parametrize(
        ("sign_in", "act", "office", "error"),
        [
            ("nobody", Act.APPROVE_LIST, "MHOW-1", UnknownPerson),
            ("ravi", Act.APPROVE_LIST, "UJJAIN", NotPermitted),
            ("ravi", Act.APPROVE_LIST, "X", UnknownOffice),
            ("asha", Act.APPROVE_LIST, "MHOW-1", NotPermitted),
            ("asha", Act.DRAW_UP_LIST, "INDORE", NotPermitted),
        ],
    )
    def test_refuses_others(self, staffed, sign_in, act, office, error):
        with staffed.read() as connection, pytest.raises(error):
            operations.authorise(connection, sign_in=sign_in, act=act, office=office)


def record(database: Database, subject: str) -> None:
    with database.write() as connection:
        operations.record_act(
            connection, person="asha", act=Act.HALT, subject=subject, detail={"reason": "आग"}, now=NOW
        )


class TestRecordAct:
    def test_forks_no_chain_under_concurrent_writers(self, database):
        def write(writer: int) -> None:
            for act in range(ACTS_EACH):
                record(database, f"{writer}/{act}")

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))

        with database.read() as connection:
            check = queries.check_audit(connection)
            entries = queries.audit(connection, limit=1_000)
        assert (check.entries, check.broken_at) == (WRITERS * ACTS_EACH, None)
        assert len({entry.subject for entry in entries}) == WRITERS * ACTS_EACH

    def test_leaves_no_gap_after_a_failed_transaction(self, database):
        record(database, "first")
        with database.engine.connect() as connection:
            operations.record_act(connection, person="asha", act=Act.HALT, subject="lost", detail={}, now=NOW)
            connection.rollback()
        record(database, "second")

        with database.read() as connection:
            assert queries.check_audit(connection).broken_at is None
            assert [entry.number for entry in queries.audit(connection, limit=10)] == [2, 1]


#: Whoever forges the audit owns the database and takes the triggers away first.
WITHOUT_TRIGGERS = {
    "sqlite": ("DROP TRIGGER offices_audit_no_update", "DROP TRIGGER offices_audit_no_delete"),
    "postgresql": ("ALTER TABLE offices_audit DISABLE TRIGGER USER",),
}


class TestCheckAudit:
    @pytest.mark.parametrize(
        ("forgery", "broken_at"),
        [
            ("UPDATE offices_audit SET person = 'ravi' WHERE number = 2", 2),
            ("DELETE FROM offices_audit WHERE number = 2", 2),
            ("DELETE FROM offices_audit WHERE number = 3", 3),
        ],
    )
    def test_finds_a_forged_a_removed_and_a_cut_off_entry(self, database, forgery, broken_at):
        for subject in ("a", "b", "c"):
            record(database, subject)
        with database.write() as connection:
            for statement in WITHOUT_TRIGGERS[connection.dialect.name]:
                connection.execute(sql(statement))
            connection.execute(sql(forgery))

        with database.read() as connection:
            assert queries.check_audit(connection).broken_at == broken_at
