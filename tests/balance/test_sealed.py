"""The balance of a sealed month stays what it was, whatever is learnt of readings, registers or network later."""

from datetime import date, timedelta

import pytest
from tests.balance.test_operations import close_all, deliver, deliver_day, read_by_hand

from bijlighar.balance import operations, queries
from bijlighar.balance.model import Level
from bijlighar.base.period import Month, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Origin, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database

APRIL = Month(year=2025, month=4)
LAST = APRIL.last
SEALED_AT = local_midnight(date(2025, 5, 9))
LATER = SEALED_AT + timedelta(days=30)
OFFICES = "code,name_en,name_hi,level,parent\nCO,Company,कंपनी,company,\nMHOW,Mhow,महू,town-office,CO\n"
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "multiplier,minutes\n"
)
TOWN = HEADER + (
    "A1,,,,,U1,M1,single-phase,tcp://h:1,T1,F1,,MHOW,,\n"
    "A2,,,,,U2,M2,lt-ct,tcp://h:2,T1,F1,,MHOW,20,15\n"
    "A3,,,,,U3,M3,single-phase,,T1,F1,,MHOW,,\n"
    ",,,,,,MT1,transformer,tcp://h:3,T1,F1,,MHOW,40,\n"
    ",,,,,,MF1,feeder,tcp://h:4,,F1,,CO,400,\n"
)
#: What is learnt in June: since the 30th of April a consumer was supplied by another transformer.
MOVED = (
    HEADER.replace("minutes", "minutes,from") + "A2,,,,,U2,M2,lt-ct,tcp://h:2,T9,F1,,MHOW,20,15,2025-04-30\n"
)


@pytest.fixture(params=[None, "MHOW"])
def office(request: pytest.FixtureRequest) -> str | None:
    """Whose month is sealed: the whole company's, or a town office's."""
    return request.param


@pytest.fixture
def town(database: Database, office: str | None) -> Database:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        offices.add_person(
            connection, sign_in="eng", name="eng", office="CO", roles=[Role.ENGINEER], now=SEALED_AT
        )
        registry.import_registry(connection, text=TOWN, now=SEALED_AT)
    for day in (LAST - timedelta(days=1), LAST, LAST + timedelta(days=1)):
        deliver_day(database, day)
    read_by_hand(
        database,
        "M3",
        (local_midnight(LAST - timedelta(days=5)), RegisterKind.HAND, 5_000),
        (local_midnight(LAST), RegisterKind.HAND, 5_000 + 5 * 2_880),
    )
    close_all(database, SEALED_AT)
    with database.write() as connection:
        readings.seal_month(connection, month=APRIL, office=office, note="books", person="eng", now=SEALED_AT)
    return database


def figures(database: Database, level: Level, first: date, last: date) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [
            (loss.code, loss.input_wh, loss.metered_wh, loss.assessed_wh, loss.loss_wh, loss.coverage_pct)
            for loss in queries.losses(connection, level=level, first=first, last=last)
        ]


def learn(database: Database, *, wh: int) -> None:
    """Later readings, and a register read by hand in May that makes April's straight line another one."""
    deliver(database, "M1", LAST, wh)
    deliver(database, "M1", LAST + timedelta(days=1), wh)
    snapshot = RegisterSnapshot(
        meter="M3",
        at=local_midnight(LAST + timedelta(days=11)),
        kind=RegisterKind.HAND,
        wh_import=5_000 + 5 * 2_880 + 11 * 4_800,
        origin=Origin.HAND,
    )
    with database.write() as connection:
        readings.append_registers(connection, snapshots=[snapshot], now=LATER)


class TestSealedBalance:
    def test_is_not_changed_by_what_is_learnt_later(self, town: Database):
        month = (LAST - timedelta(days=1), LAST)
        before = figures(town, Level.TRANSFORMER, *month)
        may = (LAST + timedelta(days=1), LAST + timedelta(days=1))
        may_before = figures(town, Level.TRANSFORMER, *may)

        learn(town, wh=400)
        with town.write() as connection:
            registry.import_registry(connection, text=MOVED, now=LATER)
        close_all(town, LATER)
        operations.close_range(town, first=month[0], last=may[1], now=LATER)

        assert [row for row in figures(town, Level.TRANSFORMER, *month) if row[0] == "T1"] == before
        (after,) = [row for row in figures(town, Level.TRANSFORMER, *may) if row[0] == "T1"]
        assert after != may_before[0]
        assert after[3] == 4_800  # May follows the register that was read in May

    def test_would_be_changed_were_it_open(self, town: Database):
        month = (LAST - timedelta(days=1), LAST)
        before = figures(town, Level.TRANSFORMER, *month)
        with town.write() as connection:
            offices.add_person(
                connection, sign_in="eng2", name="x", office="CO", roles=[Role.ENGINEER], now=LATER
            )
            asked = readings.ask_opening(connection, number=1, revision=1, note="x", person="eng", now=LATER)
            readings.confirm_opening(
                connection, number=1, revision=asked.revision, note="x", person="eng2", now=LATER
            )

        learn(town, wh=400)
        close_all(town, LATER)

        assert figures(town, Level.TRANSFORMER, *month) != before
