"""One meter's load: what was measured, what stands, how it came about; as far as it hung in sight."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.offices.towns import OFFICES
from tests.readings.deliveries import delivery

from bijlighar.base.period import Period, date_of, day_number, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as stored
from bijlighar.readings.model import ABSENT, Origin, Quality, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.registry import queries as registry_queries
from bijlighar.registry.errors import UnknownEndDevice
from bijlighar.registry.model import Installation
from bijlighar.storage.engine import Database
from bijlighar.validation import operations, queries
from bijlighar.validation.errors import UnusableRange
from bijlighar.validation.model import ExceptionFilter, ExceptionState, MeterLoad, Rule

FIRST = date(2026, 4, 10)
LAST = FIRST + timedelta(days=9)
ODD = FIRST + timedelta(days=7)
NOW = local_midnight(LAST) + timedelta(days=6)
SPIKE = 20
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,MHOW,2026-04-10
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,tcp://127.0.0.1:4060,T2,F2,R,DHAR,2026-04-10
,,,,,,MT1,transformer,tcp://127.0.0.1:4061,T1,F1,,,2026-04-10
,,,,,,MF2,feeder,tcp://127.0.0.1:4062,,F2,,,2026-04-10
"""


@pytest.fixture(autouse=True)
def town(database: Database) -> None:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        offices.add_person(connection, sign_in="eng", name="e", office="CO", roles=[Role.ENGINEER], now=NOW)
        registry.import_registry(connection, text=REGISTRY, now=datetime(2026, 4, 10, tzinfo=UTC))


def deliver(database: Database, meter: str, day: date, values: list[int]) -> None:
    with database.write() as connection:
        readings.append(
            connection, deliveries=[delivery(list(values), meter=meter, day=day_number(day))], now=NOW
        )


def odd(database: Database) -> None:
    """Ten days of M1, one of them with a spike and without its last four half-hours; all validated."""
    for number in range(10):
        day = FIRST + timedelta(days=number)
        values = list(range(100, 148))
        if day == ODD:
            values[SPIKE] = 90_000
            values = values[:44]
        deliver(database, "M1", day, values)
    operations.validate_range(database, first=FIRST, last=LAST, now=NOW)


def load(
    database: Database,
    *,
    first: date = FIRST,
    last: date = LAST,
    meter: str = "M1",
    hung: tuple[Installation, ...] | None = None,
    now: datetime = NOW,
) -> MeterLoad:
    with database.read() as connection:
        places = registry_queries.installations(connection, meter=meter) if hung is None else hung
        return queries.meter_load(
            connection, meter=meter, hung=places, is_whole=hung is None, first=first, last=last, now=now
        )


class TestMeterLoad:
    def test_tells_raw_and_validated_apart_with_quality_and_method(self, database):
        odd(database)

        day = next(each for each in load(database).days if each.day == ODD)

        assert day.raw_wh[SPIKE] == 90_000
        assert day.wh[SPIKE] < 1_000
        assert (day.raw_wh[44:] == ABSENT).all()
        assert (day.count(Quality.VALID), day.count(Quality.ESTIMATED)) == (43, 5)
        assert np.flatnonzero(day.differs).tolist() == [SPIKE]
        told = [place for place, words in enumerate(day.methods) if words is not None]
        assert told == [SPIKE, 44, 45, 46, 47]
        assert all(words.en.startswith("from ") and words.hi.endswith("से") for words in day.methods if words)
        assert day.sum_wh == int(day.wh.sum())
        assert day.version == 2

    def test_gives_back_the_measured_value_that_displaced_an_estimate(self, database):
        odd(database)
        deliver(database, "M1", ODD, list(range(100, 148)))
        operations.validate_range(database, first=FIRST, last=LAST, now=NOW)

        day = next(each for each in load(database).days if each.day == ODD)

        assert day.wh.tolist() == day.raw_wh.tolist() == list(range(100, 148))
        assert {*day.methods} == {None}
        assert day.version > 2

    def test_tells_what_was_found_and_finds_its_exceptions_by_period(self, database):
        odd(database)

        findings = {each.rule: each for each in load(database, first=ODD, last=ODD).findings}

        assert {Rule.SPIKE, Rule.MISSING} <= findings.keys()
        with database.read() as connection:

            def numbers(first: date, last: date) -> list[Rule]:
                wish = ExceptionFilter(
                    states=tuple(ExceptionState), meter="M1", period=Period.of_local_days(first, last)
                )
                return [each.finding.rule for each in queries.exceptions(connection, wish=wish, person="eng")]

            assert Rule.SPIKE in numbers(ODD, ODD)
            assert Rule.SPIKE not in numbers(FIRST, ODD - timedelta(days=1))
            assert Rule.SPIKE not in numbers(ODD + timedelta(days=1), LAST)

    def test_shows_what_should_have_come_as_absent_and_what_is_to_come_not_at_all(self, database):
        noon = local_midnight(FIRST) + timedelta(hours=12)

        (day,) = load(database, last=FIRST + timedelta(days=3), now=noon).days

        assert (day.day, day.version, day.count(Quality.ABSENT), day.sum_wh) == (FIRST, 0, 24, None)

    def test_knows_the_registers_at_the_midnights(self, database):
        odd(database)
        with database.write() as connection:
            readings.append_registers(
                connection,
                snapshots=[
                    RegisterSnapshot(
                        meter="M1", at=local_midnight(FIRST + timedelta(days=number)), kind=RegisterKind.DAILY,
                        wh_import=500 + 6_000 * number, origin=Origin.METER,
                    )
                    for number in range(2)
                ],
                now=NOW,
            )  # fmt: skip

        first, second = load(database, last=FIRST + timedelta(days=1)).days

        assert (first.opening_wh, first.closing_wh, first.register_wh) == (500, 6_500, 6_000)
        assert (second.opening_wh, second.register_wh) == (6_500, None)

    def test_ends_where_the_meter_left_the_sight(self, database):
        odd(database)
        with database.read() as connection:
            (hanging,) = registry_queries.installations(connection, meter="M1")
        noon = local_midnight(ODD) + timedelta(hours=12)
        begin = Installation(
            **{name: getattr(hanging, name) for name in hanging.__slots__ if name != "to_at"}, to_at=noon
        )
        end = Installation(
            **{name: getattr(hanging, name) for name in hanging.__slots__ if name != "from_at"}, from_at=noon
        )

        before, after = load(database, hung=(begin,)), load(database, hung=(end,))

        assert before.days[-1].day == ODD
        assert after.days[0].day == ODD
        assert int(before.days[-1].shown.sum()) == int(after.days[0].shown.sum()) == 24
        assert (before.days[-1].raw_wh[24:] == ABSENT).all()
        assert (after.days[0].raw_wh[:24] == ABSENT).all()
        assert Rule.SPIKE in {each.rule for each in before.findings}
        assert Rule.SPIKE not in {each.rule for each in after.findings}
        assert load(database, hung=()).days == ()

    @pytest.mark.parametrize("last", [FIRST - timedelta(days=1), FIRST + timedelta(days=62)])
    def test_refuses_what_is_no_range(self, database, last):
        with pytest.raises(UnusableRange):
            load(database, last=last)

    def test_of_the_longest_range_is_given(self, database):
        odd(database)

        found = load(database, first=LAST - timedelta(days=queries.LOAD_DAYS_MAX - 1))

        assert [each.day for each in found.days] == [date_of(day_number(FIRST) + n) for n in range(10)]


class TestStoredEnds:
    def test_of_one_meter_are_its_own(self, database):
        deliver(database, "M1", FIRST, [1] * 48)
        deliver(database, "M2", LAST, [1] * 48)

        with database.read() as connection:
            assert stored.stored_ends(connection, meter="M1") == (day_number(FIRST), day_number(FIRST))
            assert stored.stored_ends(connection, meter="NONE") is None
            assert stored.stored_ends(connection) == (day_number(FIRST), day_number(LAST))


class TestInstallationsInBranch:
    def found(self, database: Database, meter: str, office: str) -> list[str] | None:
        with database.read() as connection:
            places = registry_queries.installations_in_branch(connection, meter=meter, office=office)
        return None if places is None else [each.meter for each in places]

    def test_are_those_of_the_office_and_all_at_the_top(self, database):
        assert self.found(database, "M1", "MHOW") == ["M1"]
        assert self.found(database, "M1", "CO") is None
        assert self.found(database, "MT1", "MHOW") == ["MT1"]
        assert self.found(database, "MF2", "DHAR") == ["MF2"]

    @pytest.mark.parametrize(
        ("meter", "office"),
        [("M1", "DHAR"), ("MT1", "DHAR"), ("MF2", "MHOW"), ("NONE", "MHOW"), ("NONE", "CO")],
    )
    def test_of_another_office_are_as_unknown_as_none(self, database, meter, office):
        with pytest.raises(UnknownEndDevice) as refused:
            self.found(database, meter, office)
        assert str(refused.value).startswith(f"no meter has the serial number '{meter}'")
