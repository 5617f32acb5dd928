import csv
import io
import json
from datetime import date

import numpy as np
import pytest

from bijlighar.headend.operations import read_keys_file
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.registry import queries as registry_queries
from bijlighar.simulator.errors import ControlRefused, NoTown
from bijlighar.simulator.folder import read_town, write_town
from bijlighar.simulator.model import Kind, LoadFile
from bijlighar.simulator.papers import keys_json, network_csv, offices_csv, registry_csv, url_of
from tests.simulator.towns import FIRST_DAY, MIDNIGHT, a_town


@pytest.fixture(scope="module")
def town():
    return a_town(meters=60, months=4)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


class TestRegistryCsv:
    def test_is_taken_in_by_the_registry_with_offices_and_network(self, town, database):
        with database.write() as connection:
            offices.import_offices(connection, text=offices_csv(town=town))
            registry.import_network(connection, text=network_csv(town=town))
            registry.import_registry(
                connection, text=registry_csv(town=town, host="127.0.0.1", port=4100), now=MIDNIGHT
            )
            accounts = registry_queries.accounts(connection)
            devices = {device.serial: device for device in registry_queries.end_devices(connection)}
            protections = registry_queries.protections(connection, on=FIRST_DAY)
            transformers = registry_queries.transformers(connection)

        assert {account.number for account in accounts} == {consumer.account for consumer in town.consumers}
        assert set(devices) == {device.serial for device in town.devices if not device.in_store}
        assert all(devices[d.serial].communicates == d.smart for d in town.devices if not d.in_store)
        assert {p.account for p in protections} == {c.account for c in town.consumers if c.protection}
        assert {transformer.code for transformer in transformers} == {plan.code for plan in town.transformers}

    def test_names_what_a_network_meter_measures(self, town):
        found = {row["meter"]: row for row in rows(registry_csv(town=town, host="h", port=1))}

        for device in town.devices:
            if device.kind is Kind.TRANSFORMER:
                assert (found[device.serial]["transformer"], found[device.serial]["account"]) == (
                    device.transformer,
                    "",
                )
            if device.kind is Kind.FEEDER:
                assert (found[device.serial]["feeder"], found[device.serial]["transformer"]) == (
                    device.feeder,
                    "",
                )

    def test_leaves_out_what_is_still_in_store(self, town):
        listed = {row["meter"] for row in rows(registry_csv(town=town, host="h", port=1))}

        assert not listed & {plan.new_serial for plan in town.installations}


class TestOffices:
    def test_have_everybody_the_line_needs(self, town, database):
        with database.write() as connection:
            offices.import_offices(connection, text=offices_csv(town=town))
            for person in town.persons:
                offices.add_person(
                    connection,
                    sign_in=person.sign_in,
                    name=person.name,
                    office=person.office,
                    roles=[Role(role) for role in person.roles],
                    now=MIDNIGHT,
                )
            below = office_queries.offices_below(connection, code=town.control_centre)

        assert town.office in below
        roles = {role: person.office for person in town.persons for role in person.roles}
        assert roles["clerk"] == roles["fitter"] == town.office
        for role in ("approver", "operator", "store_keeper", "theft_officer"):
            assert roles[role] == town.control_centre


class TestKeys:
    def test_are_read_by_the_head_end(self, town):
        text = keys_json(town=town, host="127.0.0.1", port=4100)

        keys = {entry.serial: entry for entry in read_keys_file(text)}

        for device in town.devices:
            if device.smart:
                assert keys[device.serial].ek == device.encryption_key
                assert keys[device.serial].system_title == device.system_title
        assert len(keys) == len(json.loads(text)) == sum(device.smart for device in town.devices)

    def test_name_the_url_of_a_meter_that_is_hung_later(self, town):
        new = town.installations[0].new_serial
        urls = {
            entry["serial"]: entry["url"] for entry in json.loads(keys_json(town=town, host="h", port=5000))
        }

        assert url_of(town=town, serial=new, host="h", port=5000) == urls[new]
        with pytest.raises(ControlRefused, match="no meter X"):
            url_of(town=town, serial="X", host="h", port=1)


class TestWriteTown:
    def test_is_read_again_as_it_was(self, town, tmp_path):
        write_town(town=town, folder=tmp_path / "town", host="127.0.0.1", port=4100, push="127.0.0.1:4059")

        found = read_town(tmp_path / "town")

        assert found.town == town
        assert (tmp_path / "town" / "town.json").stat().st_mode & 0o077 == 0
        assert (found.host, found.port, found.push, found.profiles) == (
            "127.0.0.1",
            4100,
            "127.0.0.1:4059",
            None,
        )

    def test_keeps_the_load_curves(self, town, tmp_path):
        loads = LoadFile(
            names=("A",), first_day=date(2009, 3, 1), energy_wh=np.arange(48, dtype=np.int32).reshape(1, 48)
        )
        write_town(town=town, folder=tmp_path, host="h", port=1, profiles=loads)

        found = read_town(tmp_path).profiles

        assert found is not None
        assert (found.names, found.first_day) == (("A",), date(2009, 3, 1))
        assert np.array_equal(found.energy_wh, loads.energy_wh)

    def test_refuses_a_folder_that_holds_one(self, town, tmp_path):
        write_town(town=town, folder=tmp_path, host="h", port=1)

        with pytest.raises(NoTown, match="already holds a town"):
            write_town(town=town, folder=tmp_path, host="h", port=1)

    @pytest.mark.parametrize("text", [None, "{}", "not json"])
    def test_is_refused_where_it_cannot_be_read(self, tmp_path, text):
        if text is not None:
            (tmp_path / "town.json").write_text(text, encoding="utf-8")

        with pytest.raises(NoTown):
            read_town(tmp_path)


class TestGateways:
    def test_are_named_in_the_registry_and_empty_without(self, town):
        address = {"town": town, "host": "127.0.0.1", "port": 7000}

        named = [row["gateway"] for row in rows(registry_csv(**address, per_gateway=10)) if row["url"]]
        plain = {row["gateway"] for row in rows(registry_csv(**address))}

        assert plain == {""}
        assert max(named.count(name) for name in named) == 10
        assert {"GW-00001", "GW-00002"} <= set(named)
