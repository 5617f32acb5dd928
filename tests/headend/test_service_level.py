"""Service levels: the contract's text, the judgement of days and months, and the queries that stand behind them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import text

from bijlighar.base.period import Month, Period, date_of, day_number, epoch_seconds, local_midnight
from bijlighar.headend import session_store
from bijlighar.headend.contract import Contract, Target, load_contract
from bijlighar.headend.errors import BrokenContract
from bijlighar.headend.model import SESSION_OK, SessionPurpose, SessionRow
from bijlighar.headend.operations import shipped_contract
from bijlighar.headend.queries import service_document, service_report
from bijlighar.headend.service_level import (
    Exclusion,
    Facts,
    HungMeter,
    age_of,
    dark_days,
    deadline,
    judge_day,
    judge_month,
    last_judged,
    silent_groups,
    silent_meters,
)
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery
from bijlighar.storage.engine import Database
from tests.headend.town import hang

DAY = date(2025, 6, 30)
NUMBER = day_number(DAY)
MONTH = Month.of(DAY)
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
MORNING = local_midnight(date(2025, 7, 1)) + timedelta(hours=8)
CONTRACT = load_contract(shipped_contract())


def meter(serial: str, **changes: object) -> HungMeter:
    standard = HungMeter(serial=serial, gateway="G-1", model="BJ / D1 / 1.0", spans=((LONG_AGO, None),))
    return replace(standard, **changes)


def facts(*meters: HungMeter, first: int = NUMBER, last: int = NUMBER, **changes: object) -> Facts:
    standard = Facts(
        first=first,
        last=last,
        as_of=local_midnight(date_of(last + 2)),
        meters=meters,
        read_at={},
        power=(),
        tries={},
        last_ok={},
    )
    return replace(standard, **changes)


def judged(given: Facts, contract: Contract = CONTRACT):
    return judge_day(given, day=NUMBER, contract=contract, dark=dark_days(given))


class TestLoadContract:
    def test_reads_the_shipped_one(self):
        assert CONTRACT.morning_pct == 95
        assert CONTRACT.late_hours == 24
        assert len(CONTRACT.steps) == 5

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("[cap]", "[cap", "not valid TOML"),
            ('late_pct = "98"', "", r"\[targets\]: late_pct is missing"),
            ('late_pct = "98"', 'late_pct = "98"\nlate_pkt = "1"', "unknown name late_pkt"),
            ('late_pct = "98"', 'late_pct = "100.5"', "percentage from 0 to 100"),
            ('late_pct = "98"', "late_pct = 97.5", "percentage from 0 to 100"),
            ("late_hours = 24", "late_hours = 0", "whole number from 1"),
            ("meter_month_paise = 8500", "meter_month_paise = 85.5", "whole number from 0"),
            ("morning_by = 08:00:00", 'morning_by = "8 am"', "time of day"),
            ("power_failure = true", "power_failure = 1", "true or false"),
            ("days = []", 'days = ["30 June"]', r"\[exclusions\]: days"),
            ("meters = []", 'meters = "BJ1"', "list of texts"),
            ('target = "morning"', 'target = "noon"', "morning or late"),
        ],
    )
    def test_says_in_one_line_what_is_wrong(self, old: str, new: str, said: str):
        assert old in shipped_contract()

        with pytest.raises(BrokenContract, match=said):
            load_contract(shipped_contract().replace(old, new, 1))


class TestJudgeDay:
    def test_counts_the_deadline_itself_as_in_time(self):
        given = facts(
            meter("A"),
            meter("B"),
            meter("C"),
            meter("D"),
            read_at={
                ("A", NUMBER): MORNING,
                ("B", NUMBER): MORNING + timedelta(microseconds=1),
                ("C", NUMBER): deadline(Target.LATE, NUMBER, contract=CONTRACT) + timedelta(microseconds=1),
            },
        )

        level = judged(given)

        assert (level.reached[Target.MORNING].read, level.reached[Target.LATE].read) == (1, 2)
        assert level.reached[Target.MORNING].counted == 4
        assert level.reached[Target.MORNING].pct == 25
        assert level.late == ("B",)
        assert level.unread == ("C", "D")

    def test_leaves_out_a_meter_that_did_not_hang_all_day(self):
        whole = Period.of_local_day(DAY)
        given = facts(
            meter("ALL", spans=((whole.start, whole.end),)),
            meter("LATE", spans=((whole.start + timedelta(microseconds=1), None),)),
            meter("TAKEN", spans=((LONG_AGO, whole.end - timedelta(microseconds=1)),)),
        )

        assert judged(given, replace(CONTRACT, first_days=0)).meters == 1

    def test_names_why_a_meter_does_not_count(self):
        contract = replace(CONTRACT, meters=frozenset({"M"}), gateways=frozenset({"G-9"}))
        at = local_midnight(DAY) + timedelta(hours=3)
        given = facts(
            meter("M"),
            meter("G", gateway="G-9"),
            meter("NEW", spans=((local_midnight(DAY), None),)),
            meter("DARK"),
            meter("DAY-BEFORE"),
            meter("COUNTS"),
            power=(
                ("DARK", 101, at),
                ("DARK", 102, at + timedelta(minutes=1)),
                ("DAY-BEFORE", 101, at - timedelta(days=1)),
                ("DAY-BEFORE", 102, local_midnight(DAY)),
            ),
        )

        level = judged(given, contract)

        assert level.excluded == {
            "M": Exclusion.METER,
            "G": Exclusion.GATEWAY,
            "NEW": Exclusion.FIRST_DAYS,
            "DARK": Exclusion.POWER_FAILURE,
        }
        assert level.reached[Target.LATE].counted == 2

    def test_excludes_nobody_for_power_where_the_contract_does_not(self):
        contract = replace(CONTRACT, excludes_power_failure=False)
        given = facts(meter("DARK"), power=(("DARK", 101, local_midnight(DAY)),))

        assert judged(given).excluded == {"DARK": Exclusion.POWER_FAILURE}
        assert judged(given, contract).excluded == {}

    def test_excludes_a_whole_day(self):
        level = judged(facts(meter("A")), replace(CONTRACT, days=frozenset({DAY})))

        assert level.excluded == {"A": Exclusion.DAY}
        assert level.reached[Target.LATE].pct is None

    def test_never_rounds_a_share_up_to_the_target(self):
        meters = [meter(f"M{number}") for number in range(30_001)]
        given = facts(*meters, read_at={(each.serial, NUMBER): MORNING for each in meters[1:]})

        assert judged(given).reached[Target.LATE].pct == Decimal("99.99")


class TestDarkDays:
    def test_go_on_until_the_supply_is_back(self):
        start = local_midnight(DAY) - timedelta(days=1, hours=1)
        given = facts(
            meter("A"), power=(("A", 101, start), ("A", 102, local_midnight(DAY) + timedelta(hours=1)))
        )

        assert dark_days(given) == {("A", NUMBER - 2), ("A", NUMBER - 1), ("A", NUMBER)}

    def test_are_believed_no_longer_than_a_last_gasp(self):
        start = local_midnight(DAY)
        given = facts(meter("A"), last=NUMBER + 9, power=(("A", 101, start),))

        assert dark_days(given) == {("A", NUMBER), ("A", NUMBER + 1), ("A", NUMBER + 2)}


class TestJudgeMonth:
    FIRST = day_number(MONTH.first)

    def month(self, unread: Sequence[tuple[str, int]], *, contract: Contract = CONTRACT, last: int = NUMBER):
        meters = [meter(f"M{number}") for number in range(20)]
        read_at = {
            (each.serial, day): local_midnight(date_of(day + 1)) + timedelta(hours=1)
            for each in meters
            for day in range(self.FIRST, last + 1)
            if (each.serial, day) not in unread
        }
        given = facts(*meters, first=self.FIRST, last=last, read_at=read_at)
        return judge_month(given, month=MONTH, last=last, contract=contract, dark=frozenset())

    def test_pays_every_working_meter_when_all_was_read(self):
        level = self.month([])

        assert level.is_final
        assert (level.gross_paise, level.deducted_paise, level.payable_paise) == (170_000, 0, 170_000)

    def test_takes_the_dearest_step_of_each_target(self):
        unread = [(f"M{number}", day) for number in range(2) for day in range(self.FIRST, NUMBER + 1)]

        level = self.month(unread)

        assert level.not_working == ("M0", "M1")
        assert level.gross_paise == 18 * 8_500
        assert [each.deduct_pct for each in level.deductions] == [2, 8]  # 90 % is not below 90
        assert level.deducted_paise == 15_300
        assert level.payable_paise == 137_700

    def test_holds_deductions_at_the_cap(self):
        unread = [(f"M{number}", day) for number in range(10) for day in range(self.FIRST, NUMBER + 1)]

        level = self.month(unread, contract=replace(CONTRACT, cap_pct=Decimal("12.5")))

        assert sum(each.deduct_pct for each in level.deductions) == 20
        assert level.is_capped
        assert level.deducted_paise == 10_625  # 12.5 % of 85,000
        assert level.payable_paise == 74_375

    def test_counts_by_days_while_the_month_runs(self):
        level = self.month([], last=self.FIRST + 9)

        assert not level.is_final
        assert level.meter_days == 200
        assert level.gross_paise == 56_667  # 200 x 8,500 / 30, half up

    def test_pays_a_meter_read_on_just_enough_days(self):
        half = [("M0", day) for day in range(self.FIRST, self.FIRST + 15)]

        assert self.month(half).working == 20
        assert self.month([*half, ("M0", NUMBER)]).not_working == ("M0",)

    def test_is_worth_nothing_before_a_day_is_over(self):
        level = self.month([], last=self.FIRST - 1)

        assert (level.last, level.payable_paise, level.deduct_pct) == (None, 0, 0)


class TestSilentMeters:
    def test_are_told_by_gateway_model_firmware_and_age(self):
        as_of = local_midnight(date_of(NUMBER + 2))
        given = facts(
            meter("OK"),
            meter("EDGE"),
            meter("OLD", gateway=None, model=None),
            meter("NEVER", model="BJ / D1 / 2.0", spans=((as_of - timedelta(days=29), None),)),
            meter("GONE", spans=((LONG_AGO, as_of),)),
            last_ok={
                "OK": as_of,
                "EDGE": as_of - timedelta(hours=24),
                "OLD": as_of - timedelta(hours=24, microseconds=1),
            },
        )

        silent = silent_meters(given, contract=CONTRACT)

        assert [each.serial for each in silent] == ["OLD", "NEVER"]
        by = {
            name: {
                group.name: (group.silent, group.meters)
                for group in silent_groups(given, silent=silent, by=property_of)
            }
            for name, property_of in {
                "firmware": lambda each: each.firmware,
                "age": lambda each: age_of(each, as_of=as_of),
                "gateway": lambda each: each.gateway or "?",
            }.items()
        }
        assert by["firmware"] == {"1.0": (0, 2), "2.0": (1, 1), "?": (1, 1)}
        assert by["age"] == {"under 30 days": (1, 1), "365 days and more": (1, 3)}
        assert by["gateway"] == {"G-1": (1, 3), "?": (1, 1)}


class TestLastJudged:
    def test_is_the_day_whose_hours_are_over(self):
        over = local_midnight(date_of(NUMBER + 2))

        assert last_judged(over, contract=CONTRACT) == NUMBER
        assert last_judged(over - timedelta(microseconds=1), contract=CONTRACT) == NUMBER - 1


def deliver(database: Database, serial: str, *, day: int, at: datetime, slots: int = 48) -> None:
    start = epoch_seconds(local_midnight(date_of(day)))
    starts = start + 1800 * np.arange(slots, dtype=np.int64)
    delivery = Delivery(
        meter=serial, minutes=30, starts=starts, values={"wh_import": np.full(slots, 100, dtype=np.int64)}
    )
    with database.write() as connection:
        readings.append(connection, deliveries=[delivery], now=at)


def log(database: Database, serial: str, at: datetime, outcome: str = SESSION_OK) -> None:
    row = SessionRow(
        meter=serial, purpose=SessionPurpose.COLLECT, started_at=at, duration_ms=5, outcome=outcome
    )
    with database.write() as connection:
        session_store.log_sessions(connection, rows=[row])


class TestServiceReport:
    NOW = local_midnight(date(2025, 7, 2)) + timedelta(hours=1)

    def town(self, database: Database) -> dict[str, object]:
        night = local_midnight(date(2025, 7, 1)) + timedelta(minutes=20)
        for number, gateway in enumerate(("G-1", "G-1", "G-2", "")):
            hang(
                database,
                serial=f"BJ10000{number}",
                url=f"tcp://127.0.0.1:{5000 + number}",
                gateway=gateway,
            )
        hang(database, serial="BJ100009", url="", meter_type="single-phase")
        for serial in ("BJ100000", "BJ100001"):
            deliver(database, serial, day=NUMBER, at=night)
            log(database, serial, night)
        log(database, "BJ100002", night, "headend.unreachable")
        deliver(database, "BJ100002", day=NUMBER, at=night, slots=40)
        log(database, "BJ100002", night + timedelta(hours=9))
        deliver(database, "BJ100002", day=NUMBER, at=night + timedelta(hours=9))
        deliver(database, "BJ100000", day=NUMBER, at=night + timedelta(days=3))
        log(database, "BJ100003", night, "headend.unreachable")
        log(database, "BJ100003", night + timedelta(hours=5), "headend.unreachable")
        with database.read() as connection:
            return service_document(service_report(connection, contract=CONTRACT, now=self.NOW))

    def test_tells_who_was_read_when(self, database: Database):
        found = self.town(database)

        assert found["day"] == "2025-06-30"
        assert found["final"] is True
        assert found["meters"] == 4
        targets = found["targets"]
        assert (targets["morning"]["read"], targets["morning"]["pct"]) == (2, 50.0)
        assert (targets["late"]["read"], targets["late"]["pct"], targets["late"]["met"]) == (3, 75.0, False)
        assert found["late"] == ["BJ100002"]
        assert found["unread"] == ["BJ100003"]
        retries = found["retries"]
        assert (retries["meters"], retries["retries"], retries["failed"]) == (2, 2, 3)
        assert found["silent"]["serials"] == [{"meter": "BJ100003", "last_heard": None}]
        assert found["silent"]["by_gateway"][0] == {"gateway": "?", "meters": 1, "silent": 1}

    def test_counts_a_month_of_days_nobody_read(self, database: Database):
        month = self.town(database)["month"]

        assert month["final"] is True
        assert month["working_meters"] == 0  # one day of 30 was read
        assert month["payable_paise"] == 0

    def test_can_be_asked_again_by_the_queries_it_names(self, database: Database):
        found = self.town(database)

        with database.read() as connection:
            read = connection.execute(text(found["queries"]["read"])).all()
            sessions = connection.execute(text(found["queries"]["sessions"])).all()
            heard = connection.execute(text(found["queries"]["heard"])).all()
            power = connection.execute(text(found["queries"]["power_failures"])).all()
        assert sorted(row[0] for row in read) == ["BJ100000", "BJ100001", "BJ100002"]
        assert sum(row[1] - 1 for row in sessions) == found["retries"]["retries"]
        assert {row[0] for row in heard} == {"BJ100000", "BJ100001", "BJ100002"}
        assert power == []

    def test_says_that_a_day_is_not_over(self, database: Database):
        hang(database, serial="BJ100000", url="tcp://127.0.0.1:5000")

        with database.read() as connection:
            found = service_document(
                service_report(connection, contract=CONTRACT, now=self.NOW, day=date(2025, 7, 1))
            )

        assert found["final"] is False
        assert found["month"]["judged_to"] is None
