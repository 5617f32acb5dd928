"""A sealed month stays what it was; what comes late for it is neither lost nor merged, until two persons open it."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from tests.offices.towns import OFFICES
from tests.readings.deliveries import delivery

from bijlighar.base.period import Month, day_number, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.errors import NotPermitted, SamePerson
from bijlighar.offices.model import Role
from bijlighar.readings import numbering, operations, queries, seal_store, store
from bijlighar.readings.errors import CannotRemove, CannotSeal, MonthSealed, SealChanged, UnknownSeal
from bijlighar.readings.model import (
    ABSENT,
    DayEdit,
    Delivery,
    EditKind,
    MonthSeal,
    Quality,
    RegisterKind,
    RegisterSnapshot,
    SealState,
)
from bijlighar.readings.numbering import days_between
from bijlighar.registry import operations as registry
from bijlighar.storage.append_only import lifted
from bijlighar.storage.engine import Database
from bijlighar.validation import operations as validation

APRIL = Month(year=2026, month=4)
FIRST, LAST = day_number(APRIL.first), day_number(APRIL.last)
NOW = datetime(2026, 5, 6, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,MHOW,2026-03-30
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,tcp://127.0.0.1:4060,T2,F2,R,DHAR,2026-03-30
"""


@pytest.fixture
def town(database: Database) -> Database:
    """Two meters of two town offices, April stored but for the last two half-hours of M1's 30th, and judged."""
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for name, office, role in (
            ("app", "CO", Role.APPROVER),
            ("eng", "CO", Role.ENGINEER),
            ("mhow", "MHOW", Role.APPROVER),
            ("dhar", "DHAR", Role.APPROVER),
            ("asha", "MHOW", Role.CLERK),
        ):
            offices.add_person(connection, sign_in=name, name=name, office=office, roles=[role], now=NOW)
        registry.import_registry(connection, text=REGISTRY, now=datetime(2026, 3, 30, tzinfo=UTC))
    for meter in ("M1", "M2"):
        append(database, *(day_of(meter, day) for day in range(FIRST - 1, LAST)), now=NOW)
    append(database, delivery([100] * 46, day=LAST), day_of("M2", LAST), now=NOW)
    append(database, day_of("M1", LAST + 1), now=NOW)
    validate(database)
    return database


def day_of(meter: str, day: int) -> Delivery:
    return delivery([100 + slot for slot in range(48)], meter=meter, day=day)


def append(database: Database, *deliveries: Delivery, now: datetime = LATER) -> int:
    with database.write() as connection:
        return operations.append(connection, deliveries=deliveries, now=now).intervals_late


def validate(database: Database) -> None:
    while validation.validate_new(database, now=NOW):
        pass


def seal(database: Database, *, office: str | None = None, person: str = "app") -> MonthSeal:
    with database.write() as connection:
        return operations.seal_month(
            connection, month=APRIL, office=office, note="books closed", person=person, now=NOW
        )


def opened(database: Database, made: MonthSeal, *, asks: str = "asha", confirms: str = "mhow") -> MonthSeal:
    with database.write() as connection:
        asked = operations.ask_opening(
            connection, number=made.number, revision=made.revision, note="sheet 4", person=asks, now=LATER
        )
    with database.write() as connection:
        return operations.confirm_opening(
            connection, number=made.number, revision=asked.revision, note="seen", person=confirms, now=LATER
        )


def state(database: Database) -> Sequence[object]:
    """Every meter-day and its history, as the tables hold them."""
    with database.read() as connection:
        return [
            (numbering.day_of(row.meter_day), row.meter, row.version, tuple(row))
            for table in (store.day_table, store.history_table)
            for row in connection.execute(select(table).order_by(table.c.meter_day, table.c.version))
        ]


def energy(database: Database, meter: str, day: int) -> list[int]:
    with database.read() as connection:
        (block,) = queries.days(connection, meters=[meter], first=day, last=day)
    return [int(value) for value in block.values["wh_import"][0]]


def late(database: Database, made: MonthSeal) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [
            (each.meter, each.meter_days, each.intervals, each.standing_wh, each.late_wh, each.registers)
            for each in queries.late_sums(connection, number=made.number, person="app")
        ]


def is_unchanged(database: Database, made: MonthSeal) -> bool:
    with database.read() as connection:
        return queries.check_seal(connection, number=made.number, person="app").is_unchanged


def register(meter: str, at: datetime, wh: int) -> RegisterSnapshot:
    return RegisterSnapshot(meter=meter, at=at, kind=RegisterKind.DAILY, wh_import=wh)


def append_registers(database: Database, *snapshots: RegisterSnapshot) -> int:
    with database.write() as connection:
        return operations.append_registers(connection, snapshots=snapshots, now=LATER)


def standing(database: Database, meter: str) -> list[int | None]:
    with database.read() as connection:
        return [each.wh_import for each in queries.registers(connection, meters=[meter])]


class TestSealMonth:
    def test_holds_every_meter_day_of_the_company(self, town: Database):
        made = seal(town)

        assert (made.meter_days, made.is_company, made.state) == (60, True, SealState.SEALED)
        assert is_unchanged(town, made)
        with town.read() as connection:
            (entry, *_) = office_queries.audit(connection, limit=1)
        assert (entry.act, entry.subject, entry.person) == ("seal_month", f"seal:{made.number}", "app")

    def test_holds_those_of_an_office_alone(self, town: Database):
        made = seal(town, office="MHOW", person="mhow")

        assert (made.meter_days, made.is_company) == (30, False)
        assert append(town, delivery([7], meter="M2", day=FIRST)) == 0
        assert append(town, delivery([7], meter="M1", day=FIRST)) == 1
        assert (energy(town, "M1", FIRST)[0], energy(town, "M2", FIRST)[0]) == (100, 7)

    def test_refuses_a_month_that_is_not_over(self, town: Database):
        with town.write() as connection, pytest.raises(CannotSeal, match="not over"):
            operations.seal_month(connection, month=APRIL.next, office=None, note="x", person="app", now=NOW)

    def test_refuses_a_month_with_days_that_nobody_judged(self, town: Database):
        append(town, delivery([7], meter="M2", day=FIRST))

        with pytest.raises(CannotSeal, match=r"1 meter-days .* not validated"):
            seal(town)
        assert seal(town, office="MHOW", person="mhow").meter_days == 30

    def test_refuses_what_is_sealed_and_what_lies_below_it(self, town: Database):
        seal(town)

        for office in (None, "MHOW"):
            with pytest.raises(CannotSeal, match="sealed already"):
                seal(town, office=office)

    @pytest.mark.parametrize(("office", "person"), [(None, "mhow"), ("DHAR", "mhow"), ("MHOW", "asha")])
    def test_refuses_whose_office_or_role_it_is_not(self, town: Database, office: str | None, person: str):
        with pytest.raises(NotPermitted):
            seal(town, office=office, person=person)

    def test_refuses_a_reason_without_words(self, town: Database):
        with town.write() as connection, pytest.raises(CannotSeal, match="empty"):
            operations.seal_month(connection, month=APRIL, office=None, note=" ", person="app", now=NOW)

    def test_refuses_a_month_of_which_nothing_is_stored(self, town: Database):
        with town.write() as connection, pytest.raises(CannotSeal, match="nothing"):
            operations.seal_month(
                connection, month=Month(year=2026, month=2), office=None, note="x", person="app", now=NOW
            )


class TestSealedMonth:
    def test_is_not_changed_by_what_comes_late(self, town: Database):
        made = seal(town)
        before = state(town)

        held = append(town, delivery([5, 6], day=LAST, slot=46), delivery([1] * 48, meter="M2", day=FIRST))

        assert held == 50
        assert state(town) == before
        assert is_unchanged(town, made)
        assert late(town, made) == [
            ("M1", 1, 2, sum(energy(town, "M1", LAST)[46:]), 11, 0),
            ("M2", 1, 48, sum(100 + slot for slot in range(48)), 48, 0),
        ]

    def test_holds_each_value_once_however_often_it_comes(self, town: Database):
        made = seal(town)

        for _ in range(2):
            append(town, delivery([5, 6], day=LAST, slot=46))

        assert append(town, day_of("M1", FIRST)) == 0  # what stands is not late
        assert append(town, delivery([9], day=LAST, slot=47)) == 1
        ((_, _, intervals, _, late_wh, _),) = late(town, made)
        assert (intervals, late_wh) == (2, 14)
        with town.read() as connection:
            rows = seal_store.select_late(connection, seals=[made.number])
        assert [row.version for row in rows] == [1, 2]  # the 6 that was displaced is there too

    def test_lets_the_days_beside_it_be(self, town: Database):
        seal(town)

        assert append(town, delivery([7], day=LAST + 1), delivery([8], day=FIRST - 1)) == 0
        assert (energy(town, "M1", LAST + 1)[0], energy(town, "M1", FIRST - 1)[0]) == (7, 8)

    def test_holds_registers_of_which_every_day_is_sealed(self, town: Database):
        made = seal(town)
        inside, end = local_midnight(APRIL.first) + timedelta(days=3), local_midnight(APRIL.next.first)
        before = state(town)

        assert append_registers(town, register("M1", inside, 5), register("M1", end, 9)) == 1
        assert append_registers(town, register("M1", inside, 5)) == 0

        assert standing(town, "M1") == [9]  # it opens May
        assert [row for row in state(town) if FIRST <= row[0] <= LAST] == [
            row for row in before if FIRST <= row[0] <= LAST
        ]
        assert late(town, made) == [("M1", 0, 0, 0, 0, 1)]

    def test_is_neither_estimated_nor_edited(self, town: Database):
        seal(town)
        before = state(town)
        with town.read() as connection:
            block = queries.known_rows(connection, keys=[("M1", LAST)], minutes=30)
        block.quality[0, 40] = Quality.SUSPECT

        with town.write() as connection:
            assert operations.store_validated(connection, block=block, now=LATER) == 0
        edit = DayEdit(
            meter="M1",
            day=LAST,
            minutes=30,
            version=int(block.versions[0]),
            kind=EditKind.SET,
            channel="wh_import",
            first=0,
            last=1,
            values=(3,),
        )
        with town.write() as connection, pytest.raises(MonthSealed, match="seal open"):
            operations.store_edited(connection, edits=[edit], now=LATER)

        assert state(town) == before

    def test_keeps_what_came_late_from_being_changed(self, town: Database):
        made = seal(town)
        append(town, delivery([5], day=LAST, slot=46))

        with pytest.raises(DBAPIError, match="only ever added"), town.write() as connection:
            connection.execute(
                seal_store.late_table.delete().where(seal_store.late_table.c.seal == made.number)
            )

    def test_begins_between_two_writers_and_not_within_one(self, town: Database):
        """Who delivers while a month is being sealed is merged before, or held after; never half."""
        held: list[int] = []
        days = [delivery([1] * 48, meter="M2", day=day) for day in range(FIRST, LAST + 1)]

        def deliver() -> None:
            held.extend(append(town, day) for day in days)

        thread = threading.Thread(target=deliver)
        thread.start()
        try:
            made = seal(town, office="MHOW", person="mhow")
        finally:
            thread.join(60)
        assert held == [0] * 30
        assert is_unchanged(town, made)


class TestConfirmOpening:
    def test_merges_what_had_come_late(self, town: Database):
        made = seal(town, office="MHOW", person="mhow")
        append(town, delivery([5, 6], day=LAST, slot=46, volt=[23_000, None]))
        append(town, delivery([9], day=LAST, slot=47))
        append_registers(town, register("M1", local_midnight(APRIL.last), 77))

        done = opened(town, made)

        assert (done.state, done.asked_by, done.decided_by) == (SealState.OPENED, "asha", "mhow")
        assert energy(town, "M1", LAST)[45:] == [100, 5, 9]
        assert standing(town, "M1") == [77]
        with town.read() as connection:
            (block,) = queries.raw_days(connection, meters=["M1"], first=LAST, last=LAST)
            assert queries.changed_days(connection, after=0, limit=1_000).last > 0
            acts = [
                (entry.person, entry.act)
                for entry in office_queries.audit(connection, subject=f"seal:{made.number}", limit=9)
            ]
        assert block.values["volt"][0, 45:].tolist() == [ABSENT, 23_000, ABSENT]
        assert not block.validated[0]
        assert acts == [("mhow", "confirm_opening"), ("asha", "open_month"), ("mhow", "seal_month")]

    def test_lets_it_be_sealed_anew(self, town: Database):
        opened(town, seal(town), asks="eng", confirms="app")

        assert seal(town).number == 2

    def test_leaves_apart_what_another_seal_holds(self, town: Database):
        own = seal(town, office="MHOW", person="mhow")
        whole = seal(town)
        append(town, delivery([5, 6], day=LAST, slot=46), delivery([1], meter="M2", day=FIRST))
        assert [each[0] for each in late(town, own)] == ["M1"]
        assert [each[0] for each in late(town, whole)] == ["M2"]

        opened(town, own, asks="asha", confirms="mhow")

        assert [each[:3] for each in late(town, whole)] == [("M1", 1, 2), ("M2", 1, 1)]
        assert energy(town, "M1", LAST)[46] != 5
        opened(town, whole, asks="eng", confirms="app")
        assert (energy(town, "M1", LAST)[46], energy(town, "M2", FIRST)[0]) == (5, 1)

    def test_refuses_who_asked(self, town: Database):
        made = seal(town, office="MHOW", person="mhow")

        with pytest.raises(SamePerson):
            opened(town, made, asks="mhow", confirms="mhow")
        assert append(town, delivery([5], day=LAST, slot=46)) == 1

    def test_refuses_what_nobody_asked_for_and_what_changed_meanwhile(self, town: Database):
        made = seal(town)
        with town.write() as connection, pytest.raises(SealChanged, match="is sealed"):
            operations.confirm_opening(
                connection, number=made.number, revision=1, note="x", person="app", now=LATER
            )
        with town.write() as connection, pytest.raises(SealChanged, match="meanwhile"):
            operations.ask_opening(
                connection, number=made.number, revision=7, note="x", person="app", now=LATER
            )

    def test_refuses_another_office(self, town: Database):
        made = seal(town, office="MHOW", person="mhow")

        with town.write() as connection, pytest.raises(UnknownSeal):
            operations.ask_opening(
                connection, number=made.number, revision=1, note="x", person="dhar", now=LATER
            )


class TestRefusedOpening:
    def test_leaves_the_month_sealed(self, town: Database):
        made = seal(town)
        for step, person in ((operations.refuse_opening, "eng"), (operations.withdraw_opening, "app")):
            with town.write() as connection:
                asked = operations.ask_opening(
                    connection, number=made.number, revision=made.revision, note="x", person="app", now=LATER
                )
                note = {"note": "no"} if step is operations.refuse_opening else {}
                made = step(
                    connection,
                    number=made.number,
                    revision=asked.revision,
                    person=person,
                    now=LATER,
                    **note,
                )
            assert made.state is SealState.SEALED
        assert append(town, delivery([5], day=LAST, slot=46)) == 1
        with town.write() as connection:
            asked = operations.ask_opening(
                connection, number=made.number, revision=made.revision, note="x", person="app", now=LATER
            )
            with pytest.raises(SealChanged, match="they withdraw it"):
                operations.withdraw_opening(
                    connection, number=made.number, revision=asked.revision, person="eng", now=LATER
                )


IN_A_YEAR = NOW + timedelta(days=365)


class TestRemoveIntervals:
    def removed(self, town: Database, folder: Path, *, keep: int = 6, person: str = "eng") -> MonthSeal:
        pytest.importorskip("pyarrow")
        files = (folder / "intervals.parquet", folder / "versions.parquet")
        with town.read() as connection:
            _, written = operations.write_archive(
                connection,
                month=APRIL,
                keep_months=keep,
                intervals=files[0],
                versions=files[1],
                progress=lambda _done, _total: None,
                now=IN_A_YEAR,
            )
        with town.write() as connection:
            return operations.remove_intervals(
                connection,
                month=APRIL,
                keep_months=keep,
                archived=written,
                files=[file.name for file in files],
                person=person,
                now=IN_A_YEAR,
            )

    def test_leaves_files_that_hold_every_version(self, town: Database, tmp_path: Path):
        seal(town)
        before = [row for row in state(town) if FIRST <= row[0] <= LAST]
        wanted = {meter: energy(town, meter, FIRST + 3) for meter in ("M1", "M2")}

        done = self.removed(town, tmp_path)

        parquet = pytest.importorskip("pyarrow.parquet")
        versions = parquet.read_table(tmp_path / "versions.parquet").to_pylist()
        intervals = parquet.read_table(tmp_path / "intervals.parquet").to_pylist()
        assert done.state is SealState.REMOVED
        assert len(versions) == len(before)
        assert {(row["day"], row["meter"], row["version"]) for row in versions} == {
            (row[0], row[1], row[2]) for row in before
        }
        start = local_midnight(APRIL.first) + timedelta(days=3)
        for meter, values in wanted.items():
            told = [
                row["wh_import"]
                for row in intervals
                if row["meter"] == meter and start <= row["start"] < start + timedelta(days=1)
            ]
            assert told == values
        assert not [row for row in state(town) if FIRST <= row[0] <= LAST]
        assert {FIRST - 1, LAST + 1} < {row[0] for row in state(town)}

    def test_leaves_the_refusal_to_change_history(self, town: Database, tmp_path: Path):
        seal(town)
        self.removed(town, tmp_path)

        append(town, delivery([7], day=LAST + 1))
        with pytest.raises(DBAPIError, match="only ever added"), town.write() as connection:
            connection.execute(store.history_table.delete())

    def test_still_holds_apart_what_comes_late(self, town: Database, tmp_path: Path):
        made = seal(town)
        self.removed(town, tmp_path)

        assert append(town, delivery([5], day=LAST, slot=46)) == 1
        assert late(town, made) == [("M1", 1, 1, 0, 5, 0)]

    @pytest.mark.parametrize("keep", [0, 13, 600])
    def test_refuses_what_is_to_be_kept(self, town: Database, tmp_path: Path, keep: int):
        seal(town)

        with pytest.raises(CannotRemove):
            self.removed(town, tmp_path, keep=keep)

    def test_refuses_what_is_not_sealed_for_the_whole_company(self, town: Database, tmp_path: Path):
        seal(town, office="MHOW")

        with town.read() as connection:
            assert queries.removable(connection, keep_months=6, now=IN_A_YEAR) == ()
        with pytest.raises(CannotRemove):
            self.removed(town, tmp_path)

    def test_refuses_a_month_that_is_not_what_was_sealed(self, town: Database, tmp_path: Path):
        seal(town)
        with town.write() as connection, lifted(connection, table=store.day_table):
            connection.execute(
                store.day_table.update()
                .where(store.day_table.c.meter_day.between(*days_between(FIRST, FIRST)))
                .values(version=9)
            )

        with pytest.raises(CannotRemove, match="not what was sealed"):
            self.removed(town, tmp_path)
        assert FIRST in {row[0] for row in state(town)}

    def test_refuses_a_role_that_may_not(self, town: Database, tmp_path: Path):
        seal(town)

        with pytest.raises(NotPermitted):
            self.removed(town, tmp_path, person="app")

    def test_says_how_much_it_would_be(self, town: Database):
        seal(town)

        with town.read() as connection:
            (found,) = queries.removable(connection, keep_months=6, now=IN_A_YEAR)
            assert queries.removable(connection, keep_months=12, now=IN_A_YEAR) != ()
            assert queries.removable(connection, keep_months=13, now=IN_A_YEAR) == ()
        of_april = [row for row in state(town) if FIRST <= row[0] <= LAST]
        assert (found.meter_days, found.versions) == (60, len(of_april) - 60)


class TestLifted:
    def test_gives_nothing_back_when_it_fails(self, town: Database):
        with (
            pytest.raises(DBAPIError),
            town.write() as connection,
            lifted(connection, table=store.history_table),
        ):
            connection.execute(text("DELETE FROM readings_day_history WHERE nothing_of_this_name = 1"))

        assert len(state(town)) > 60
        with pytest.raises(DBAPIError, match="only ever added"), town.write() as connection:
            connection.execute(store.history_table.delete())
