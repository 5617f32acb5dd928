"""Vendors' shipment files through adapters, into the stock of a real database."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from bijlighar.base.period import local_midnight
from bijlighar.cli.office import office, person
from bijlighar.cli.rollout import rollout
from bijlighar.headend import queries as headend
from bijlighar.offices import operations as offices
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from bijlighar.rollout import operations, queries
from bijlighar.rollout.errors import RefusedStock
from bijlighar.storage.engine import Database

NOW = local_midnight(date(2025, 8, 1))
OFFICES = "code,name_en,name_hi,level,parent\nWEST,West,पश्चिम,company,\n"
XML = """<Shipment>
<Meter serial="N1" type="single-phase"><Store>S1</Store><Box>डिब्बा १</Box><IMEI>350000000000001</IMEI></Meter>
<Meter serial="N2" type="three-phase"><Store>S1</Store></Meter>
</Shipment>"""
PLATE = (
    "\ufeffMeter Serial Number,Category,Carton,Year of Manufacture\r\nN1,D1,डिब्बा १,2025\r\nN2,D2,,2025\r\n"
)


@pytest.fixture
def office_of(database: Database) -> Database:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for name, role in (("keeper", Role.STORE_KEEPER), ("clerk", Role.CLERK)):
            offices.add_person(connection, sign_in=name, name="", office="WEST", roles=[role], now=NOW)
    return database


def take(
    database: Database, text: str, *, name: str, store: str | None = None, person: str = "keeper"
) -> int:
    adapter = operations.stock_adapter(operations.shipped_stock_adapters()[name], name=name)
    if store is not None:
        adapter = replace(adapter, constants={"store": store})
    with database.write() as connection:
        return operations.receive_vendor_stock(
            connection, octets=text.encode(), adapter=adapter, file="v.file", person=person, now=NOW
        )


def stock(database: Database) -> list[tuple[str, str, str, str]]:
    with database.read() as connection:
        items = queries.stock_items(connection)
    return sorted((item.serial, str(item.meter_type), item.store, item.box) for item in items)


class TestReceiveVendorStock:
    @pytest.mark.parametrize(
        ("text", "name", "store"), [(XML, "generic-xml", None), (PLATE, "is15959-nameplate", "S1")]
    )
    def test_takes_a_shipment_once(self, office_of: Database, text, name, store):
        counts = [take(office_of, text, name=name, store=store) for _ in range(2)]

        assert counts == [2, 0]
        assert stock(office_of) == [("N1", "single-phase", "S1", "डिब्बा १"), ("N2", "three-phase", "S1", "")]

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ('"N2"', '"N1"', "line 3, column serial: N1 stands on line 2 too"),
            ("three-phase", "four-phase", "line 3, column meter_type"),
            ("डिब्बा १", "ड" * 65, "line 2, column box"),
            ("</Shipment>", "", "torn"),
            ("<Shipment>", "<!DOCTYPE Shipment><Shipment>", "line 1: a DOCTYPE"),
            ("IMEI", "Imei", "line 2: Imei is unknown"),
        ],
    )
    def test_stores_nothing_of_a_wrong_file(self, office_of: Database, old, new, says):
        with pytest.raises(RefusedStock, match=f"nothing was stored: v.file: .*{says}"):
            take(office_of, XML.replace(old, new), name="generic-xml")

        assert stock(office_of) == []

    def test_stores_nothing_where_a_meter_is_known_otherwise(self, office_of: Database):
        take(office_of, XML.replace("N2", "N3"), name="generic-xml")

        with pytest.raises(RefusedStock, match="N1 came to store S1"):
            take(office_of, XML.replace("डिब्बा १", "B2"), name="generic-xml")

        assert [item[0] for item in stock(office_of)] == ["N1", "N3"]

    def test_is_for_those_who_may(self, office_of: Database):
        with pytest.raises(NotPermitted):
            take(office_of, XML, name="generic-xml", person="clerk")


class TestCommand:
    def test_receives_through_an_adapter_and_says_what_was_there_before(self, tmp_path: Path):
        home = str(tmp_path / "home")
        (tmp_path / "offices.csv").write_text(OFFICES, encoding="utf-8")
        (tmp_path / "plate.csv").write_text(PLATE, encoding="utf-8")
        run = CliRunner().invoke
        run(office, ["import", str(tmp_path / "offices.csv"), "--home", home])
        run(person, ["add", "keeper", "--office", "WEST", "--role", "store_keeper", "--home", home])
        arguments = ["receive", str(tmp_path / "plate.csv"), "--as", "keeper", "--home", home]
        through = [*arguments, "--adapter", "is15959-nameplate", "--store", "S1"]

        first, again = run(rollout, through), run(rollout, through)

        assert "2 meters received" in first.output, first.exception
        assert "received before" in again.output
        assert run(rollout, [*arguments, "--store", "S1"]).exit_code == 2
        assert run(rollout, [*arguments, "--adapter", "generic-csv", "--store", "S1"]).exit_code == 2


def facts(database: Database) -> list[tuple[str, str, str, bool]]:
    with database.read() as connection:
        known = headend.meter_facts(connection, meters=["N1", "N2"])
    return [(fact.meter, fact.kind.value, fact.value, fact.trusted_at is not None) for fact in known]


FULL = (
    "serial,meter_type,store,url,maker,model,firmware,year,system_title,imei,sim\n"
    "N1,single-phase,S1,tcp://192.0.2.7:4059,ACME,BG-1,V1.2,2025,4142434445464748,350000000000001,"
    "8991000000000000001\n"
    "N2,three-phase,S1,,,,,,,,\n"
)


class TestFactsOfAShipment:
    def test_are_kept_as_claims_and_an_empty_cell_says_nothing(self, office_of: Database):
        take(office_of, FULL, name="generic-csv")

        assert facts(office_of) == [
            ("N1", "maker", "ACME", False),
            ("N1", "model", "BG-1", False),
            ("N1", "firmware", "V1.2", False),
            ("N1", "year", "2025", False),
            ("N1", "system_title", "4142434445464748", False),
            ("N1", "imei", "350000000000001", False),
            ("N1", "sim", "8991000000000000001", False),
            ("N1", "address", "tcp://192.0.2.7:4059", False),
        ]

    def test_come_once_and_a_later_list_adds_what_is_new(self, office_of: Database):
        take(office_of, XML, name="generic-xml")
        first = facts(office_of)

        counts = [
            take(office_of, text, name="generic-xml")
            for text in (
                XML,
                XML.replace("</Store></Meter>", "</Store><SIM>8991000000000000001</SIM></Meter>"),
            )
        ]

        assert counts == [0, 0]
        assert first == [("N1", "imei", "350000000000001", False)]
        assert facts(office_of) == [*first, ("N2", "sim", "8991000000000000001", False)]

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("350000000000001", "35-00", "column imei: an IMEI"),
            ("8991000000000000001", "०००००००००००", "column sim: a SIM"),
            (",2025,", ",20255,", "column year: a year"),
            ("4142434445464748", "ABC", "column system_title: a system title"),
            ("V1.2", "V\x1b[2J", "column firmware"),
        ],
    )
    def test_that_cannot_be_meant_refuse_the_whole_list(self, office_of: Database, old, new, says):
        with pytest.raises(RefusedStock, match=f"nothing was stored: v.file: line 2, {says}"):
            take(office_of, FULL.replace(old, new), name="generic-csv")

        assert (stock(office_of), facts(office_of)) == ([], [])

    def test_are_claimed_by_nobody_who_may_not_receive(self, office_of: Database):
        with pytest.raises(NotPermitted):
            take(office_of, FULL, name="generic-csv", person="clerk")

        assert facts(office_of) == []
