"""Facts of meters: a claim is trusted once the meter has said the same in an association that held."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from bijlighar.base.errors import InvalidValue
from bijlighar.cli.main import bijlighar
from bijlighar.headend import keys_store, meter_fact_store, modem_store, queries
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.meter_fact_store import FACTS_KEPT
from bijlighar.headend.meter_facts import (
    FactOrigin,
    MeterFactKind,
    MeterFacts,
    fact_words,
    read_fact,
    storable,
    told_facts,
)
from bijlighar.headend.operations import claim_meter_facts
from bijlighar.headend.registration import FactKind
from bijlighar.runtime.home import Home
from bijlighar.storage.engine import Database
from tests.headend.meter import Meter
from tests.headend.orders import KEY_ENCRYPTION_KEY
from tests.headend.test_collect import NOW, collect, keys_of, with_meter

FIRMWARE, MAKER, YEAR = MeterFactKind.FIRMWARE, MeterFactKind.MAKER, MeterFactKind.YEAR
IMEI, SIM = MeterFactKind.IMEI, MeterFactKind.SIM
LATER = NOW + timedelta(days=1)
MUCH_LATER = NOW + timedelta(days=2)


def claim(database: Database, facts: MeterFacts, now=NOW) -> int:
    with database.write() as connection:
        return claim_meter_facts(connection, facts=facts, now=now)


def prove(database: Database, facts: MeterFacts, now=NOW) -> None:
    with database.write() as connection:
        meter_fact_store.prove(connection, told=facts, origin=FactOrigin.METER, now=now)


def known(database: Database, meter: str = "M1") -> list[tuple[str, str, str, bool]]:
    with database.read() as connection:
        facts = queries.meter_facts(connection, meters=[meter])
    return [(fact.kind.value, fact.value, fact.origin.value, fact.trusted_at is not None) for fact in facts]


class TestReadFact:
    @pytest.mark.parametrize(
        ("kind", "text", "kept"),
        [
            (IMEI, "350000000000001", "350000000000001"),
            (SIM, "8991000000000000001f", "8991000000000000001F"),
            (MeterFactKind.SYSTEM_TITLE, "4142434445464748", "4142434445464748"),
            (YEAR, "2025", "2025"),
            (MAKER, "बिजली मीटर कं.", "बिजली मीटर कं."),
        ],
    )
    def test_keeps_what_is_of_its_kind(self, kind, text, kept):
        assert read_fact(kind, text) == kept

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (IMEI, "35000000000000"[:-1]),
            (IMEI, "३५०००००००००००००"),
            (SIM, "89910-0000"),
            (MeterFactKind.SYSTEM_TITLE, "41424344454647"),
            (YEAR, "25"),
            (YEAR, "1989"),
            (YEAR, "²025"),
            (MAKER, "a\x1b[31m"),
            (MAKER, ""),
            (FIRMWARE, "x" * 201),
        ],
    )
    def test_refuses_what_is_not(self, kind, text):
        with pytest.raises(InvalidValue):
            read_fact(kind, text)


class TestToldFacts:
    def test_tells_nothing_of_a_plate_that_was_not_read(self):
        assert told_facts(model="meter M1", year=None, system_title=None, url="tcp://h") == {
            MeterFactKind.ADDRESS: "tcp://h"
        }

    def test_makes_a_meters_text_fit_to_be_shown(self):
        assert storable("\x1b]0;owned\x07 V1\u202e\0") == "]0;owned V1"

    def test_takes_no_year_that_cannot_be(self):
        assert YEAR not in told_facts(model=None, year=65_535, system_title=None, url="tcp://h")

    def test_has_words_for_every_kind(self):
        assert all(fact_words(kind.value).hi for kind in MeterFactKind)


class TestFacts:
    def test_of_a_shipment_are_claims_and_kept_once(self, database: Database):
        facts = {"M1": {FIRMWARE: "V1", SIM: "8991000000000000001"}, "M2": {FIRMWARE: "V1"}}

        assert [claim(database, facts), claim(database, facts, LATER)] == [3, 0]

        assert known(database) == [
            ("firmware", "V1", "shipment", False),
            ("sim", "8991000000000000001", "shipment", False),
        ]

    def test_are_trusted_once_the_meter_says_the_same(self, database: Database):
        claim(database, {"M1": {FIRMWARE: "V1", YEAR: "2025"}})

        prove(database, {"M1": {FIRMWARE: "V1"}}, LATER)
        prove(database, {"M1": {FIRMWARE: "V1"}}, MUCH_LATER)

        assert known(database) == [
            ("firmware", "V1", "shipment", True),
            ("year", "2025", "shipment", False),
        ]
        with database.read() as connection:
            assert queries.meter_facts(connection, meters=["M1"])[0].trusted_at == LATER

    def test_that_the_meter_tells_otherwise_stand_beside_the_claim(self, database: Database):
        claim(database, {"M1": {FIRMWARE: "V1"}})

        prove(database, {"M1": {FIRMWARE: "V2"}}, LATER)

        assert known(database) == [("firmware", "V1", "shipment", False), ("firmware", "V2", "meter", True)]

    def test_are_dated_when_they_change_there_and_back(self, database: Database):
        for days, firmware in enumerate(("V1", "V2", "V2", "V1")):
            prove(database, {"M1": {FIRMWARE: firmware}}, NOW + timedelta(days=days))

        assert [value for _, value, _, _ in known(database)] == ["V1", "V2", "V1"]

    def test_are_not_written_again_where_the_clock_went_back(self, database: Database):
        prove(database, {"M1": {FIRMWARE: "V1"}}, LATER)
        for _ in range(3):
            prove(database, {"M1": {FIRMWARE: "V2"}}, NOW)

        assert [value for _, value, _, _ in known(database)] == ["V1", "V2"]

    def test_of_a_later_list_are_trusted_when_the_meter_says_so_again(self, database: Database):
        prove(database, {"M1": {FIRMWARE: "V1"}})
        claim(database, {"M1": {FIRMWARE: "V1"}}, LATER)
        claimed = known(database)

        prove(database, {"M1": {FIRMWARE: "V1"}}, MUCH_LATER)

        assert claimed[1] == ("firmware", "V1", "shipment", False)
        assert known(database)[1] == ("firmware", "V1", "shipment", True)

    def test_that_flutter_fill_no_table(self, database: Database):
        for step in range(FACTS_KEPT + 20):
            prove(database, {"M1": {FIRMWARE: f"V{step}"}}, NOW + timedelta(minutes=step))

        values = [value for _, value, _, _ in known(database)]
        assert (len(values), values[-1]) == (FACTS_KEPT, f"V{FACTS_KEPT + 19}")

    def test_of_every_meter_come_in_order_over_pages(self, database: Database, monkeypatch):
        monkeypatch.setattr(meter_fact_store, "ROWS_PER_PAGE", 3)
        claim(database, {f"M{number}": {FIRMWARE: "V1", YEAR: "2025"} for number in range(5)})

        with database.read() as connection:
            found = [(fact.meter, fact.kind.value) for fact in queries.every_meter_fact(connection)]

        assert found == [(f"M{number}", kind) for number in range(5) for kind in ("firmware", "year")]

    def test_of_a_modem_are_its_meters_once_an_association_held_over_it(self, database: Database):
        facts = {FactKind.IMEI: "350000000000001", FactKind.SIGNAL: "-70"}
        claim(database, {"M1": {IMEI: "350000000000001", SIM: "8991000000000000001"}})
        with database.write() as connection:
            modem_store.claim(connection, modem="R1", facts=facts, source="h", now=NOW, calls_in=True)
        before = known(database)

        with database.write() as connection:
            modem_store.prove(connection, modem="R1", meter="M1", facts=facts, now=LATER)

        assert {trusted for *_, trusted in before} == {False}
        assert known(database) == [
            ("imei", "350000000000001", "shipment", True),
            ("sim", "8991000000000000001", "shipment", False),
        ]


class TestCollect:
    def test_trusts_what_the_meter_itself_has_told(self, database: Database, head_end: HeadEnd, run):
        claim(database, {"BJ100001": {FIRMWARE: "F1", MeterFactKind.MODEL: "BG-1", YEAR: "2024"}})

        async def scenario() -> str:
            meter = await with_meter(database, Meter(keys=keys_of(1), tells_firmware=True, year=2025))
            await collect(database, head_end)
            meter.firmware = "F2"
            meter.fill(NOW, LATER)
            meter.now = LATER
            await collect(database, head_end, LATER)
            return f"tcp://127.0.0.1:{meter.port}"

        url = run(scenario())

        facts = known(database, "BJ100001")
        assert ("firmware", "F1", "shipment", True) in facts
        assert ("model", "BG-1", "shipment", False) in facts
        assert ("firmware", "F2", "meter", True) in facts
        assert ("year", "2024", "shipment", False) in facts
        assert ("year", "2025", "meter", True) in facts
        assert ("address", url, "session", True) in facts
        assert ("system_title", keys_of(1).system_title.hex().upper(), "meter", True) in facts

    def test_trusts_nothing_of_whoever_lacks_the_keys(self, database: Database, head_end: HeadEnd, run):
        claim(database, {"BJ100001": {FIRMWARE: "F1"}})

        async def scenario() -> None:
            true = keys_of(1)
            await with_meter(database, Meter(keys=replace(true, ek=bytes(16), ak=bytes(16))))
            with database.write() as connection:
                keys_store.store_keys(connection, keys=[true], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
            report = await collect(database, head_end)
            assert report.failed == 1

        run(scenario())

        assert known(database, "BJ100001") == [("firmware", "F1", "shipment", False)]


class TestCommand:
    def test_shows_some_meters_or_exports_all(self, tmp_path: Path):
        home = Home(tmp_path / "home")
        claim(home.database, {"M1": {MAKER: "=1+1"}, "M2": {YEAR: "2025"}})
        home.database.close()
        run = CliRunner().invoke
        arguments = ["meter", "facts", "--home", str(tmp_path / "home")]

        one = run(bijlighar, [*arguments, "M1", "--format", "json"])
        every = run(bijlighar, [*arguments, "--format", "csv"])
        table = run(bijlighar, [*arguments, "--lang", "hi"])

        assert [(row["kind"], row["value"]) for row in json.loads(one.output)] == [("maker", "=1+1")]
        assert every.output.splitlines()[1:] == [
            f"M1,maker,'=1+1,shipment,{at()},",
            f"M2,year,2025,shipment,{at()},",
        ], every.exception
        assert "केवल दावा" in table.output


def at() -> str:
    return "2025-07-01T00:30:00+05:30"
