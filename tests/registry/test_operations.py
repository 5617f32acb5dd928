import time
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import event

from bijlighar.base.period import Period, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import OfficeLevel, Role
from bijlighar.registry import operations, queries
from bijlighar.registry.errors import (
    CannotHang,
    CannotTakeDown,
    RefusedFile,
    UnknownAccount,
    UnknownEndDevice,
    UnknownUsagePoint,
    UnusableProtection,
)
from bijlighar.registry.model import SINCE_EVER, EndDevice, MeterType, Transformer
from bijlighar.storage.engine import Database

NOW = datetime(2026, 4, 1, 6, tzinfo=UTC)
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "multiplier,minutes,from,protected\n"
)
CONSUMERS = (
    HEADER
    + """A1,Asha,LV-1.2,urban,3000,U1,M1,single-phase,tcp://10.0.0.1:4059,T1,F1,R,MHOW-1,,,,life_support:C-1:2026-12-31
A2,Ravi,LV-4,urban,30000,U2,M2,lt-ct,tcp://10.0.0.2:4059,T1,F1,RYB,MHOW-1,20,15,,
A3,Old,LV-1.2,rural,1000,U3,M3,single-phase,,T1,,Y,MHOW-1,,,,
,,,,,UT1,MT1,transformer,tcp://10.0.0.3:4059,T1,F1,,,40,,,
,,,,,,MF1,feeder,tcp://10.0.0.4:4059,,F1,,,400,,,
"""
)
OFFICES = """code,name_en,name_hi,level,parent
WEST,West,पश्चिम,company,
INDORE,Indore,इंदौर,region,WEST
UJJAIN,Ujjain,उज्जैन,region,WEST
MHOW-1,Mhow,महू,town-office,INDORE
"""


@pytest.fixture
def town(database: Database) -> Database:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        offices.add_person(connection, sign_in="asha", name="", office="MHOW-1", roles=[Role.CLERK], now=NOW)
        offices.add_person(connection, sign_in="far", name="", office="UJJAIN", roles=[Role.CLERK], now=NOW)
        operations.import_registry(connection, text=CONSUMERS, now=NOW)
    return database


def take_in(database: Database, *rows: str) -> object:
    with database.write() as connection:
        return operations.import_registry(connection, text=HEADER + "\n".join(rows) + "\n", now=NOW)


class TestImportRegistry:
    def test_makes_accounts_meters_and_hangings(self, town):
        with town.read() as connection:
            account = queries.account(connection, number="A1")
            device = queries.end_device(connection, serial="M2")
            places = queries.installations(connection, transformer="T1")
            (feeder,) = queries.installations(connection, meter="MF1")

        assert (account.name, account.sanctioned_w, account.usage_point, account.office) == (
            "Asha",
            3000,
            "U1",
            "MHOW-1",
        )
        assert (device.multiplier, device.minutes, device.has_relay, device.communicates) == (
            20,
            15,
            False,
            True,
        )
        assert [place.meter for place in places] == ["M1", "M2", "M3", "MT1"]
        assert {place.from_at for place in places} == {SINCE_EVER}
        assert {place.feeder for place in places} == {"F1"}  # M3's follows from its transformer
        assert (feeder.usage_point, feeder.account, feeder.multiplier) == ("feeder F1", None, 400)

    def test_knows_an_old_meter_by_its_empty_url(self, town):
        with town.read() as connection:
            device = queries.end_device(connection, serial="M3")

        assert (device.communicates, device.has_relay) == (False, False)

    def test_changes_nothing_when_repeated(self, town):
        with town.write() as connection:
            report = operations.import_registry(connection, text=CONSUMERS, now=NOW)
            changes = queries.network_changes(connection, after=0)

        assert report.rows == 5
        assert (report.accounts_new, report.accounts_changed, report.meters_new, report.meters_changed) == (
            0,
            0,
            0,
            0,
        )
        assert (report.installations_new, report.installations_ended, report.protections_new) == (0, 0, 0)
        assert report.warnings == ()
        assert len(changes) == 1

    def test_stores_nothing_of_a_file_with_one_wrong_line(self, database):
        with pytest.raises(RefusedFile, match="line 7, column meter_type"):
            take_in(database, *CONSUMERS.splitlines()[1:], "A9,,,,,U9,M9,magic,,,,,,,,,")

        with database.read() as connection:
            assert queries.accounts(connection) == ()
            assert queries.end_devices(connection) == ()
            assert office_queries.offices(connection) == ()

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (
                ["A8,,,,,U8,M8,single-phase,,,,,,,,,", "A9,,,,,U9,M8,single-phase,,,,,,,,,"],
                "line 3, column meter: serial number M8 stands on line 2 too",
            ),
            (
                ["A8,,,,,U8,M8,single-phase,,,,,,,,,", "A8,,,,,U8,M8,single-phase,,,,,,,,,"],
                "line 3, column meter: serial number M8 stands on line 2 too",
            ),
            (
                [
                    "A8,,,,,U8,M8,single-phase,tcp://h:1,,,,,,,,",
                    "A9,,,,,U9,M9,single-phase,tcp://h:1?server=1,,,,,,,,",
                ],
                "line 3, column url: .* is the address of meter M8 too",
            ),
            (
                ["A9,,,,,U9,M9,single-phase,tcp://10.0.0.1:4059,,,,,,,,"],
                "line 2, column url: .* of meter M1 too",
            ),
            (
                ["A8,,,,,U8,M8,single-phase,,,,,,,,,", "A8,,,,,U9,M9,single-phase,,,,,,,,,"],
                "line 3, column usage_point: account A8 belongs to usage point U8, not U9",
            ),
            (
                ["A1,,,,,U9,M9,single-phase,,,,,,,,,"],
                "column usage_point: account A1 belongs to usage point U1",
            ),
            (
                ["A9,,,,,U1,M1,single-phase,,,,,,,,,"],
                "line 2, column account: usage point U1 belongs to account A1",
            ),
            (
                ["A8,,,,,U8,M8,single-phase,,,,,,,,,", "A8,,,,,U8,M9,single-phase,,,,,,,,,"],
                "line 3, column usage_point: U8 has meter M8 on line 2",
            ),
            (["A1,,,,,U1,M9,single-phase,,,,,,,,,"], "line 2, column meter: usage point U1 has meter M1"),
            (["A9,,,,,U9,M1,single-phase,,,,,,,,,"], "line 2, column meter: M1 hangs at usage point"),
            (
                ["A1,,,,,U1,M1,three-phase,,,,,,,,,"],
                "line 2, column meter_type: meter M1 is a single-phase meter",
            ),
            (["A9,,,,,U9,M9,,,,,,,,,,"], "line 2, column meter_type: empty"),
            (
                ["A1,,,,,U1,M1,single-phase,,T2,F1,,,,,,"],
                "column transformer: meter M1 hangs with transformer T1",
            ),
            (
                ["A2,,,,,U2,M2,lt-ct,,,,,,40,,,"],
                "column multiplier: meter M2 hangs with multiplier 20, not 40",
            ),
            (
                ["A9,,,,,U9,M9,single-phase,,T1,F2,,,,,,"],
                "line 2, column feeder: transformer T1 stands on feeder F1",
            ),
            (["A9,,,,,U9,M9,single-phase,,,,,NOWHERE,,,,"], "line 2, column office: NOWHERE is unknown"),
        ],
    )
    def test_refuses_contradictions_with_line_and_column(self, town, rows, said):
        with pytest.raises(RefusedFile, match=said):
            take_in(town, *rows)

    def test_exchanges_a_meter_on_a_day(self, town):
        report = take_in(town, "A3,,,,,U3,M30,single-phase,tcp://10.0.0.30:4059,,,,,,,2026-05-01,")
        day = local_midnight(date(2026, 5, 1))

        with town.read() as connection:
            places = queries.installations(connection, account="A3")
        assert (report.installations_new, report.installations_ended) == (1, 1)
        assert [(place.meter, place.from_at, place.to_at) for place in places] == [
            ("M3", SINCE_EVER, day),
            ("M30", day, None),
        ]
        assert places[1].transformer == "T1"
        with town.write() as connection:  # the first file again: it tells of the past and changes nothing
            assert operations.import_registry(connection, text=CONSUMERS, now=NOW).installations_new == 0
            assert queries.network_changes(connection, after=0)[-1].since == day

    def test_moves_a_place_under_another_transformer_on_a_day(self, town):
        row = "A1,,,,,U1,M1,single-phase,,T2,F1,,,,,2026-05-01,"
        take_in(town, row)
        again = take_in(town, row)
        day = local_midnight(date(2026, 5, 1))

        with town.read() as connection:
            places = queries.installations(connection, account="A1")
            point = queries.usage_point(connection, code="U1")
            before = queries.installations(
                connection, transformer="T1", period=Period(start=SINCE_EVER, end=day), account="A1"
            )
        assert [(place.transformer, place.meter, place.to_at) for place in places] == [
            ("T1", "M1", day),
            ("T2", "M1", None),
        ]
        assert point.transformer == "T2"
        assert len(before) == 1
        assert again.installations_new == 0

    def test_takes_the_whole_history_of_a_place_from_one_file(self, database):
        rows = (
            "A1,,,,,U1,M2,single-phase,tcp://h:1,T1,F1,,,,,2026-05-01,",
            "A1,,,,,U1,M1,single-phase,tcp://h:1,T1,F1,,,,,2026-04-01,",
        )

        first, again = take_in(database, *rows), take_in(database, *rows)

        assert (first.installations_new, again.installations_new, again.installations_ended) == (2, 0, 0)

    def test_refuses_a_day_before_the_last_hanging(self, town):
        take_in(town, "A1,,,,,U1,M10,single-phase,,,,,,,,2026-05-01,")

        with pytest.raises(RefusedFile, match=r"column from: usage point U1 had meter M10 from 2026-05-01"):
            take_in(town, "A1,,,,,U1,M11,single-phase,,,,,,,,2026-04-15,")

    def test_fills_in_what_was_unknown_where_it_stood(self, database):
        take_in(database, "A1,,,,,U1,M1,single-phase,,,,,,,,,")
        take_in(database, "A1,,,,,U1,M1,single-phase,tcp://h:1,T1,F1,R,,,,,")

        with database.read() as connection:
            (place,) = queries.installations(connection)
            assert (place.transformer, place.feeder, place.phase, place.from_at) == (
                "T1",
                "F1",
                "R",
                SINCE_EVER,
            )
            assert queries.end_device(connection, serial="M1").communicates

    def test_does_not_erase_by_empty_cells_and_keeps_earlier_facts(self, town):
        report = take_in(town, "A1,Asha Devi,,,5000,U1,M1,single-phase,,,,,,,,,")

        with town.read() as connection:
            account = queries.account(connection, number="A1")
            ((until_at, earlier),) = queries.account_history(connection, number="A1")
        assert report.accounts_changed == 1
        assert (account.name, account.category, account.sanctioned_w) == ("Asha Devi", "LV-1.2", 5000)
        assert (earlier.name, earlier.sanctioned_w, until_at) == ("Asha", 3000, NOW)

    def test_adds_town_offices_and_says_so_where_there_is_no_tree(self, database):
        report = take_in(database, "A1,,,,,U1,M1,single-phase,,,,,KHARGONE,,,,")
        again = take_in(database, "A2,,,,,U2,M2,single-phase,,,,,DHAR,,,,")

        with database.read() as connection:
            office = office_queries.office(connection, code="KHARGONE")
            assert queries.accounts(connection, office="DHAR")[0].number == "A2"
        assert (office.level, office.parent) == (OfficeLevel.TOWN_OFFICE, None)
        assert "office KHARGONE was unknown" in report.warnings[0]
        assert len(again.warnings) == 1

    def test_gives_accounts_of_an_office_and_all_below_it(self, town):
        with town.read() as connection:
            assert len(queries.accounts(connection, office="INDORE")) == 3
            assert queries.accounts(connection, office="UJJAIN") == ()

    def test_protects_from_the_day_of_the_file_once(self, town):
        with town.read() as connection:
            (protection,) = queries.protections(connection, on=date(2026, 12, 31))
            assert queries.protections(connection, on=date(2027, 1, 1)) == ()
            assert queries.protections(connection, on=date(2026, 3, 31)) == ()
            assert len(office_queries.audit(connection, limit=10, subject="account A1")) == 1
        assert (protection.account, protection.kind, protection.certificate) == ("A1", "life_support", "C-1")

    def test_takes_ten_thousand_meters_with_few_statements(self, database):
        rows = [
            f"A{n},,LV-1.2,urban,2000,U{n},M{n},single-phase,tcp://10.0.0.1:{n},T{n // 50},F{n // 1000},,MHOW,,,,"
            for n in range(1, 10_001)
        ]
        statements: list[str] = []
        event.listen(database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))

        begun = time.process_time()
        take_in(database, *rows)
        with database.read() as connection:
            assert len(queries.installations(connection)) == 10_000
            assert len(queries.accounts(connection)) == 10_000
            assert len(queries.end_devices(connection, hung_at=NOW)) == 10_000

        assert len(statements) < 60
        assert time.process_time() - begun < 30


class TestImportNetwork:
    TEXT = "transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,100,180,1400,hv\nT9,F2,,,,\n"

    def test_adds_what_the_registry_file_left_unknown_and_repeats_without_change(self, town):
        with town.write() as connection:
            assert operations.import_network(connection, text=self.TEXT) == 2
            assert operations.import_network(connection, text=self.TEXT) == 0
            assert operations.import_network(connection, text="transformer,feeder\nT1,\n") == 0
            assert queries.transformers(connection) == (
                Transformer(
                    code="T1", feeder="F1", rated_va=100_000, no_load_loss_w=180, load_loss_w=1400, side="hv"
                ),
                Transformer(code="T9", feeder="F2"),
            )
            assert queries.feeders(connection) == ("F1", "F2")


class TestProtectAccount:
    def protect(self, database: Database, **changed: object) -> None:
        given = {
            "account": "A2",
            "kind": "court_stay",
            "certificate": "WP-7",
            "until": None,
            "by": "asha",
            "now": NOW,
        }
        with database.write() as connection:
            operations.protect_account(connection, **{**given, **changed})

    def test_protects_and_records_once(self, town):
        self.protect(town)
        self.protect(town)

        with town.read() as connection:
            assert len(queries.protections(connection, on=date(2026, 4, 1), account="A2")) == 1
            (entry,) = office_queries.audit(connection, limit=10, subject="account A2")
        assert (entry.person, entry.act) == ("asha", "protect_account")

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"account": "A9"}, UnknownAccount),
            ({"kind": " "}, UnusableProtection),
            ({"until": date(2026, 3, 31)}, UnusableProtection),
            ({"by": "far"}, NotPermitted),
        ],
    )
    def test_refuses_others(self, town, changed, error):
        with pytest.raises(error):
            self.protect(town, **changed)

    def test_can_be_withdrawn_and_a_repeated_file_does_not_bring_it_back(self, town):
        with town.write() as connection:
            ended = operations.withdraw_protection(
                connection, account="A1", kind="life_support", by="asha", now=NOW
            )
            operations.import_registry(connection, text=CONSUMERS, now=NOW)
            assert queries.protections(connection, on=date(2026, 4, 1)) == ()
        assert ended == 1


class TestHangMeter:
    NEW = EndDevice(serial="M30", meter_type=MeterType.SINGLE_PHASE, url="tcp://10.0.0.30:4059")
    AT = datetime(2026, 5, 4, 5, 12, tzinfo=UTC)

    def test_exchanges_a_meter_in_the_middle_of_a_day(self, town):
        with town.write() as connection:
            ended = operations.take_down_meter(connection, usage_point="U3", meter="M3", at=self.AT)
            hung = operations.hang_meter(connection, usage_point="U3", device=self.NEW, at=self.AT)
            assert (ended.to_at, hung.from_at, hung.account, hung.transformer) == (
                self.AT,
                self.AT,
                "A3",
                "T1",
            )
            assert [place.hangs_at(self.AT) for place in (ended, hung)] == [False, True]
            assert queries.meter_at(connection, url="tcp://10.0.0.30:4059?server=1") == self.NEW
            assert queries.meter_at(connection, url="no address") is None
            assert [change.since for change in queries.network_changes(connection, after=1)] == [
                self.AT,
                self.AT,
            ]

    @pytest.mark.parametrize(
        ("usage_point", "device", "said"),
        [
            ("U1", NEW, "meter M1 hangs at U1"),
            ("U3", EndDevice(serial="M1", meter_type=MeterType.SINGLE_PHASE), "meter M1 hangs at U1"),
            ("U3", EndDevice(serial="M3", meter_type=MeterType.THREE_PHASE), "is a single-phase meter"),
            (
                "U3",
                EndDevice(serial="M31", meter_type=MeterType.SINGLE_PHASE, url="tcp://10.0.0.1:4059"),
                "M1 answers at",
            ),
        ],
    )
    def test_refuses_what_cannot_hang(self, town, usage_point, device, said):
        with town.write() as connection:
            operations.take_down_meter(connection, usage_point="U3", meter="M3", at=self.AT)
            with pytest.raises(CannotHang, match=said):
                operations.hang_meter(connection, usage_point=usage_point, device=device, at=self.AT)

    def test_refuses_an_unknown_place(self, town):
        with town.write() as connection, pytest.raises(UnknownUsagePoint):
            operations.hang_meter(connection, usage_point="U9", device=self.NEW, at=self.AT)


class TestTakeDownMeter:
    def test_refuses_a_meter_that_does_not_hang_there(self, town):
        with town.write() as connection:
            with pytest.raises(CannotTakeDown):
                operations.take_down_meter(connection, usage_point="U3", meter="M1", at=NOW)
            with pytest.raises(CannotTakeDown, match="later time"):
                operations.take_down_meter(connection, usage_point="U3", meter="M3", at=SINCE_EVER)


class TestHangings:
    AT = datetime(2026, 5, 4, 5, 12, tzinfo=UTC)

    def test_are_all_that_each_of_many_meters_ever_had(self, town):
        with town.write() as connection:
            operations.take_down_meter(connection, usage_point="U1", meter="M1", at=self.AT)
            device = queries.end_device(connection, serial="M1")
            operations.take_down_meter(connection, usage_point="U3", meter="M3", at=self.AT)
            operations.hang_meter(connection, usage_point="U3", device=device, at=self.AT)

            found = queries.hangings(connection, meters=["M1", "M3", "STRAY"])

            assert {meter: [row.usage_point for row in rows] for meter, rows in found.items()} == {
                "M1": ["U1", "U3"],
                "M3": ["U3"],
            }
            assert found["M1"] == queries.installations(connection, meter="M1")
            assert queries.hangings(connection, meters=()) == {}

    def test_are_looked_up_for_more_than_one_statement_holds(self, town):
        many = [f"S{place}" for place in range(1_200)]
        with town.read() as connection:
            assert set(queries.hangings(connection, meters=[*many, "M1", "M2"])) == {"M1", "M2"}


class TestQueries:
    def test_name_what_is_unknown(self, database):
        with database.read() as connection:
            with pytest.raises(UnknownAccount):
                queries.account(connection, number="A1")
            with pytest.raises(UnknownEndDevice):
                queries.end_device(connection, serial="M1")
