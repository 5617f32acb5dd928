"""Meters take new keys and passwords from the setting client alone, keep them, and never tell them."""

from dataclasses import replace

import pytest

from bijlighar.dlms import upkeep
from bijlighar.dlms.cosem import ActionOutcome, Attribute, DataAccess
from bijlighar.dlms.event import ActionRequest, AssociationAccepted, AssociationRequest, SetRequest
from bijlighar.dlms.is15959 import METER_READER, UTILITY
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import wrap_key
from bijlighar.dlms.upkeep import KeyId
from tests.simulator.towns import DAY, HOUR, MIDNIGHT, MeterClient, TownProcess, a_town, last_counter

LATEST_TRANSACTION = Attribute(class_id=1, obis=Obis.parse("0.0.96.11.3.255"), index=2)
NEW_SECRET = b"NEWSECRET"
NEW_EK, NEW_AK = b"E" * 16, b"A" * 16


@pytest.fixture(scope="module")
def town():
    return a_town(meters=20)


@pytest.fixture(scope="module")
def meters(town, tmp_path_factory):
    with TownProcess(tmp_path_factory.mktemp("home"), town=town) as process:
        process.control.set_time(MIDNIGHT + DAY + HOUR)
        yield process


@pytest.fixture(scope="module")
def devices(town):
    quiet = {silence.serial for silence in town.silences}
    return iter([one for one in town.devices if one.smart and not one.in_store and one.serial not in quiet])


@pytest.fixture
def device(devices):
    """A meter that no test has touched."""
    return next(devices)


def talk(meters, device, client):
    counter = last_counter(device, port=meters.port, client=client)
    return MeterClient(device, port=meters.port, client=client, counter=counter)


def lets_in(meters, device, client=METER_READER):
    with talk(meters, device, client) as asking:
        return isinstance(asking.ask(AssociationRequest()), AssociationAccepted)


def transfer(device, client):
    wrapped = {
        KeyId.UNICAST: wrap_key(kek=device.master_key, key=NEW_EK),
        KeyId.AUTHENTICATION: wrap_key(kek=device.master_key, key=NEW_AK),
    }
    return ActionRequest(method=upkeep.key_transfer(client), parameters=upkeep.encode_keys(wrapped))


class TestKeys:
    def test_of_the_reading_client_are_its_own(self, meters, device):
        with talk(meters, device, UTILITY).associate() as setting:
            answer = setting.ask(transfer(device, METER_READER))
            logged = setting.get(LATEST_TRANSACTION)

        changed = replace(device, encryption_key=NEW_EK, authentication_key=NEW_AK)
        assert (answer.result, logged.value) == (ActionOutcome.SUCCESS, 164)
        assert (lets_in(meters, changed), lets_in(meters, device)) == (True, False)
        assert lets_in(meters, device, UTILITY)

    def test_are_not_taken_from_the_reading_client(self, meters, device):
        with talk(meters, device, METER_READER).associate() as reading:
            answer = reading.ask(transfer(device, METER_READER))

        assert answer.result == ActionOutcome.READ_WRITE_DENIED
        assert lets_in(meters, device)


class TestPasswords:
    def test_of_the_reading_client_is_written_and_outlives_the_process(self, meters, device):
        write = SetRequest(attribute=upkeep.secret_of(METER_READER), data=upkeep.encode_secret(NEW_SECRET))
        with talk(meters, device, UTILITY).associate() as setting:
            answer = setting.ask(write)
            logged = setting.get(LATEST_TRANSACTION)
        meters.kill()
        meters.start()

        changed = replace(device, reader_secret=NEW_SECRET)
        assert (answer.result, logged.value) == (DataAccess.SUCCESS, 161)
        assert (lets_in(meters, changed), lets_in(meters, device)) == (True, False)

    def test_of_the_setting_client_is_replaced_by_a_method(self, meters, device):
        change = ActionRequest(
            method=upkeep.change_secret(UTILITY), parameters=upkeep.encode_secret(NEW_SECRET)
        )
        with talk(meters, device, UTILITY).associate() as setting:
            answer = setting.ask(change)
            logged = setting.get(LATEST_TRANSACTION)

        assert (answer.result, logged.value) == (ActionOutcome.SUCCESS, 162)

    @pytest.mark.parametrize("client", [METER_READER, UTILITY])
    def test_are_told_to_nobody(self, meters, device, client):
        with talk(meters, device, client).associate() as asking:
            found = [asking.get(upkeep.secret_of(whose)) for whose in (METER_READER, UTILITY)]

        assert [(one.data, one.error is None) for one in found] == [(None, False)] * 2

    @pytest.mark.parametrize(
        ("whose", "data"),
        [
            (UTILITY, upkeep.encode_secret(NEW_SECRET)),
            (METER_READER, upkeep.encode_secret(b"")),
            (METER_READER, upkeep.encode_secret(b"x" * 65)),
            (METER_READER, b"\x12\x00\x07"),
        ],
    )
    def test_are_not_taken_otherwise(self, meters, device, whose, data):
        with talk(meters, device, UTILITY).associate() as setting:
            answer = setting.ask(SetRequest(attribute=upkeep.secret_of(whose), data=data))

        assert answer.result != DataAccess.SUCCESS
        assert lets_in(meters, device)

    def test_are_not_taken_from_the_reading_client(self, meters, device):
        write = SetRequest(attribute=upkeep.secret_of(METER_READER), data=upkeep.encode_secret(NEW_SECRET))
        with talk(meters, device, METER_READER).associate() as reading:
            answer = reading.ask(write)

        assert answer.result == DataAccess.READ_WRITE_DENIED
        assert lets_in(meters, device)
