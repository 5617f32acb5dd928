import socket
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bijlighar.dlms import is15959
from bijlighar.dlms.cosem import ActionOutcome, Attribute, ByEntry, ByRange, DataAccess
from bijlighar.dlms.event import (
    ActionListRequest,
    ActionListResult,
    ActionRequest,
    ActionResult,
    AssociationRequest,
    GetListRequest,
    GetListResult,
    ServiceFailure,
    SetListRequest,
    SetListResult,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.is15959 import METER_READER, PUBLIC, UTILITY
from bijlighar.dlms.obis import Obis
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.model import Kind
from tests.simulator.towns import (
    DAY,
    FIRST_DAY,
    HOUR,
    MIDNIGHT,
    MeterClient,
    TownProcess,
    a_town,
    column,
    last_counter,
    relay_meter,
)

NOW = MIDNIGHT + 2 * DAY + 8 * HOUR
IMPORT = Attribute(class_id=3, obis=Obis.parse("1.0.1.8.0.255"), index=2)


@pytest.fixture(scope="module")
def town():
    return a_town(meters=20, months=4)


@pytest.fixture(scope="module")
def meters(town, tmp_path_factory):
    with TownProcess(tmp_path_factory.mktemp("home"), town=town) as process:
        process.control.set_time(NOW)
        yield process


@pytest.fixture
def device(town):
    return relay_meter(town)


@pytest.fixture
def truth(meters):
    return meters.control.truth(FIRST_DAY, FIRST_DAY + 3 * DAY)


def reader(meters, device, client=METER_READER):
    counter = last_counter(device, port=meters.port, client=client)
    return MeterClient(device, port=meters.port, client=client, counter=counter).associate()


class TestBlockLoad:
    def test_gives_the_day_that_was_asked_for_and_it_is_true(self, meters, town, truth):
        for device in [d for d in town.devices if d.listens is not None and not d.in_store][:3]:
            with reader(meters, device) as client:
                rows = client.rows(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + DAY))

            stamps = rows.epochs(0)
            assert np.array_equal(stamps, truth.starts[:48] + 1800)
            place = truth.serials.index(device.serial)
            assert np.array_equal(column(rows, "wh_import"), truth.registered_wh[place, :48])

    def test_sums_up_to_the_difference_of_the_daily_registers(self, meters, device):
        with reader(meters, device) as client:
            blocks = client.rows(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + DAY))
            daily = client.rows(is15959.DAILY.buffer, is15959.between(MIDNIGHT - HOUR, MIDNIGHT + DAY))

        for name in ("wh_import", "vah_import"):
            first, second = column(daily, name, profile="daily").tolist()
            assert column(blocks, name).sum() == second - first

    def test_keeps_power_voltage_and_current_together(self, meters, device):
        with reader(meters, device) as client:
            rows = client.rows(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + DAY))

        volt, amp = column(rows, "volt") / 100, column(rows, "amp") / 100
        assert np.all((volt > 150) & (volt < 250))
        assert np.allclose(volt * amp / 2, column(rows, "vah_import"), atol=1.5)
        assert column(rows, "wh_export").sum() == 0

    def test_tells_the_currents_of_every_phase_of_a_transformer(self, meters, town, truth):
        device = next(d for d in town.devices if d.kind is Kind.TRANSFORMER)
        with reader(meters, device) as client:
            rows = client.rows(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + DAY))

        energy = column(rows, "wh_import", phases=3)
        assert np.array_equal(energy, truth.registered_wh[device.index, :48])
        assert all(column(rows, f"amp_{phase}", phases=3).max() > 0 for phase in "ryb")

    def test_tells_a_feeders_voltage_in_the_scaler_it_states(self, meters, town):
        device = next(d for d in town.devices if d.kind is Kind.FEEDER)
        with reader(meters, device) as client:
            rows = client.rows(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + DAY))
            data = client.get(is15959.BLOCK_LOAD.scaler_buffer).data

        assert data is not None
        scalers = is15959.scalers(data)
        columns = [c for c in is15959.columns("block-load", phases=3) if c.scaler is not None]
        scaler, unit = scalers[[c.name for c in columns].index("volt_r")]
        assert unit == 35
        assert 6_250 < column(rows, "volt_r", phases=3).mean() * 10.0**scaler < 6_450

    def test_gives_nothing_for_a_time_it_does_not_have(self, meters, device):
        with reader(meters, device) as client:
            rows = client.rows(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT - 5 * DAY, MIDNIGHT))

        assert rows.count == 0

    def test_gives_the_columns_that_were_asked_for(self, meters, device):
        columns = is15959.columns("block-load", phases=1)
        asked = [columns[0].capture, columns[2].capture]
        with reader(meters, device) as client:
            rows = client.rows(
                is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + HOUR, columns=asked)
            )

        assert (rows.count, len(rows.columns)) == (2, 2)

    def test_counts_its_entries(self, meters, device):
        with reader(meters, device) as client:
            used = client.get(Attribute(class_id=7, obis=is15959.BLOCK_LOAD.obis, index=7)).value
            most = client.get(Attribute(class_id=7, obis=is15959.BLOCK_LOAD.obis, index=8)).value
            period = client.get(is15959.BLOCK_LOAD.period).value
            every = client.rows(is15959.BLOCK_LOAD.buffer)

        assert (used, most, period) == (2 * 48 + 16, 45 * 48, 1800)
        assert every.count == used


class TestProfiles:
    @pytest.mark.parametrize("name", list(is15959.PROFILES))
    def test_have_the_columns_and_scalers_they_say(self, meters, town, name):
        profile = is15959.PROFILES[name]
        for kind in Kind:
            device = next(
                d for d in town.devices if d.kind is kind and d.listens is not None and not d.in_store
            )
            with reader(meters, device) as client:
                captured = client.get(profile.captured)
                buffer = client.get(profile.buffer)
                assert captured.data is not None
                assert buffer.data is not None
                columns = is15959_columns(captured.data)
                for row in buffer.value or []:
                    assert len(row) == len(columns)
                if profile.scaler_buffer is not None:
                    assert client.get(profile.scaler_buffer).error is None
                    assert client.get(profile.scaler_captured).error is None

    def test_tell_what_is_now(self, meters, device):
        with reader(meters, device) as client:
            rows = client.rows(is15959.INSTANTANEOUS.buffer)
            register = client.get(IMPORT).value

        assert rows.epochs(0).tolist() == [int(NOW.timestamp())]
        shown = column(rows, "wh_import", profile="instantaneous").tolist()
        assert shown == [register] == [meters.control.registers(NOW)[device.serial]]

    def test_bill_the_first_of_the_month(self, meters, device):
        with reader(meters, device) as client:
            rows = client.rows(is15959.BILLING.buffer, ByEntry(first=1, last=1))

        assert rows.epochs(0).tolist() == [int(MIDNIGHT.timestamp())]
        zones = [column(rows, f"wh_import_tz{zone}", profile="billing")[0] for zone in range(1, 9)]
        assert sum(zones) == column(rows, "wh_import", profile="billing")[0] == device.initial_wh

    def test_refuse_a_selection_of_another_kind(self, meters, device):
        bad = ByRange(lower=b"\x00" * 12, upper=b"\x00" * 12)
        with reader(meters, device) as client:
            assert client.get(is15959.BLOCK_LOAD.buffer, bad).error == DataAccess.TYPE_UNMATCHED


def is15959_columns(data: bytes):
    from bijlighar.dlms.cosem import capture_objects

    return capture_objects(data)


class TestClients:
    def test_tell_a_public_client_clock_name_and_counters_alone(self, meters, device):
        with MeterClient(device, port=meters.port, client=PUBLIC).associate() as client:
            clock = client.get(is15959.CLOCK_TIME)
            name = client.get(Attribute(class_id=1, obis=is15959.LOGICAL_DEVICE_NAME))
            register = client.get(IMPORT)
            profile = client.get(is15959.BLOCK_LOAD.buffer)

        assert clock.error is None
        assert device.serial.encode() in name.value
        assert register.error == profile.error == DataAccess.READ_WRITE_DENIED

    def test_refuse_a_wrong_password(self, meters, device):
        wrong = replaced(device, reader_secret=b"WRONG123")

        with MeterClient(wrong, port=meters.port, counter=10_000) as client:
            answer = client.ask(AssociationRequest())

        assert type(answer).__name__ == "AssociationRefused"

    def test_refuse_a_wrong_key(self, meters, device):
        wrong = replaced(device, encryption_key=bytes(16))

        with MeterClient(wrong, port=meters.port, counter=10_000) as client:
            answer = client.ask(AssociationRequest())

        assert type(answer).__name__ == "AssociationRefused"

    def test_refuse_a_counter_that_was_used(self, meters, device):
        with reader(meters, device) as client:
            client.get(IMPORT)
            used = client.counter
        with MeterClient(device, port=meters.port, counter=used - 1) as again:
            answer = again.ask(AssociationRequest())

        assert type(answer).__name__ == "AssociationRefused"
        assert last_counter(device, port=meters.port, client=METER_READER) == used

    def test_let_a_reader_read_and_not_switch(self, meters, device):
        with reader(meters, device) as client:
            answer = client.ask(ActionRequest(method=is15959.DISCONNECT))

        assert isinstance(answer, ActionResult)
        assert answer.result == ActionOutcome.READ_WRITE_DENIED
        assert meters.control.relays().closed[device.serial]

    def test_let_nobody_write(self, meters, device):
        with reader(meters, device, UTILITY) as client:
            answer = client.ask(SetRequest(attribute=IMPORT, data=b"\x06\x00\x00\x00\x01"))

        assert isinstance(answer, SetResult)
        assert answer.result == DataAccess.READ_WRITE_DENIED

    def test_let_nobody_write_or_act_by_lists_what_they_do_not_singly(self, meters, device):
        written = SetListRequest(items=((IMPORT, None, b"\x06\x00\x00\x00\x01"),) * 2)
        acted = ActionListRequest(items=((is15959.DISCONNECT, None),))
        with reader(meters, device) as client:
            answers = [client.ask(written), client.ask(acted)]

        assert isinstance(answers[0], SetListResult)
        assert answers[0].results == (DataAccess.READ_WRITE_DENIED,) * 2
        assert isinstance(answers[1], ActionListResult)
        assert [result.result for result in answers[1].results] == [DataAccess.READ_WRITE_DENIED]

    def test_answer_a_list(self, meters, device):
        asked = ((IMPORT, None), (Attribute(class_id=1, obis=is15959.RELAY), None))
        with reader(meters, device) as client:
            answer = client.ask(GetListRequest(attributes=asked))

        assert isinstance(answer, GetListResult)
        assert answer.results[0].error is None
        assert answer.results[1].error == DataAccess.OBJECT_UNDEFINED


def replaced(device, **changes):
    from dataclasses import replace

    return replace(device, **changes)


class TestRelay:
    def test_opens_and_closes_and_is_read_back(self, meters, device):
        states = []
        with reader(meters, device, UTILITY) as client:
            for method in (is15959.DISCONNECT, is15959.RECONNECT):
                answer = client.ask(ActionRequest(method=method))
                assert isinstance(answer, ActionResult)
                assert answer.result == ActionOutcome.SUCCESS
                states.append(
                    tuple(client.get(at).value for at in (is15959.RELAY_STATE, is15959.CONTROL_STATE))
                )
            log = client.rows(is15959.EVENT_PROFILES[6].buffer)

        assert states == [(False, 0), (True, 1)]
        assert log.columns[1].values.tolist()[-2:] == [301, 302]
        acts = meters.control.relays().acts
        assert [(act.serial, act.action, act.at, act.client, act.moved) for act in acts[-2:]] == [
            (device.serial, "disconnect", NOW, UTILITY, True),
            (device.serial, "reconnect", NOW, UTILITY, True),
        ]

    def test_is_not_there_at_a_meter_with_current_transformers(self, meters, town):
        device = next(d for d in town.devices if d.kind is Kind.LT_CT)
        with reader(meters, device, UTILITY) as client:
            answer = client.ask(ActionRequest(method=is15959.DISCONNECT))
            state = client.get(is15959.RELAY_STATE)

        assert isinstance(answer, ActionResult)
        assert answer.result == ActionOutcome.OBJECT_UNDEFINED
        assert state.error == DataAccess.OBJECT_UNDEFINED
        assert device.serial not in meters.control.relays().closed

    def test_says_success_and_stays_when_it_is_stuck(self, meters, device):
        meters.control.fault(serial=device.serial, name="stuck_relay", on=True)
        with reader(meters, device, UTILITY) as client:
            answer = client.ask(ActionRequest(method=is15959.DISCONNECT))
            state = client.get(is15959.RELAY_STATE).value
        meters.control.fault(serial=device.serial, name="stuck_relay", on=False)

        assert isinstance(answer, ActionResult)
        assert answer.result == ActionOutcome.SUCCESS
        assert state is True
        assert not meters.control.relays().acts[-1].moved


class TestFaults:
    @pytest.fixture
    def faulty(self, meters, device, request):
        meters.control.fault(serial=device.serial, name=request.param, on=True)
        yield device
        meters.control.fault(serial=device.serial, name=request.param, on=False)

    @pytest.mark.parametrize("faulty", ["silent", "power_failure"], indirect=True)
    def test_reset_every_connection(self, meters, faulty):
        with pytest.raises(ConnectionError), MeterClient(faulty, port=meters.port, client=PUBLIC) as client:
            client.associate()

    @pytest.mark.parametrize("faulty", ["mute"], indirect=True)
    def test_take_the_connection_and_never_answer(self, meters, faulty):
        with MeterClient(faulty, port=meters.port, client=PUBLIC) as client:
            client.socket.settimeout(0.4)
            with pytest.raises(TimeoutError):
                client.associate()

    @pytest.mark.parametrize("faulty", ["garbage"], indirect=True)
    def test_answer_garbage(self, meters, faulty):
        with MeterClient(faulty, port=meters.port, client=PUBLIC) as client:
            client.socket.sendall(client.association.send(AssociationRequest()))
            first, second = client.socket.recv(64), b""
            client.socket.sendall(b"x")
            second = client.socket.recv(64)

        assert first
        assert first != second

    @pytest.mark.parametrize("faulty", ["wrong_key"], indirect=True)
    def test_hold_other_keys(self, meters, faulty):
        with MeterClient(faulty, port=meters.port, counter=10_000) as client:
            assert type(client.ask(AssociationRequest())).__name__ in ("AssociationRefused", "ServiceFailure")

    @pytest.mark.parametrize("faulty", ["drop"], indirect=True)
    def test_hang_up_in_the_middle_of_an_answer(self, meters, faulty):
        with reader_without_counter(meters, faulty) as client, pytest.raises(ConnectionError):
            client.get(is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + DAY))

    def test_survive_whatever_is_thrown_at_a_meter(self, meters, device):
        for junk in (
            b"\x00" * 500,
            b"\x00\x01\x00\x10\x00\x01\xff\xff" + b"\x60" * 100,
            b"\x7e" * 64,
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection(
                ("127.0.0.1", meters.port + device.listens), timeout=2
            ) as connection:
                connection.sendall(junk)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)
        with reader(meters, device) as client:
            assert client.get(IMPORT).error is None

    def test_refuse_a_request_without_an_association(self, meters, device):
        frame = bytes.fromhex("0001001000010 00d".replace(" ", "")) + bytes.fromhex(
            "c001c100080000010000ff0200"
        )
        with socket.create_connection(("127.0.0.1", meters.port + device.listens), timeout=2) as connection:
            connection.sendall(frame)
            answer = connection.recv(4096)

        assert answer[8] in (0xD8, 0x0E)
        assert ServiceFailure is not None


def reader_without_counter(meters, device):
    return MeterClient(device, port=meters.port, counter=20_000).associate()


class TestSilence:
    def test_follows_the_plan_of_the_day_and_the_order_over_it(self, meters, town, device):
        planned = set(meters.control.state().silent)
        day = (NOW + timedelta(hours=5, minutes=30)).date()
        spans = [s for s in town.silences if s.first <= day <= s.last]
        assert planned == {span.serial for span in spans}

        meters.control.silence(serial=device.serial, silent=True)
        with pytest.raises(ConnectionError), MeterClient(device, port=meters.port, client=PUBLIC) as client:
            client.associate()
        meters.control.silence(serial=device.serial, silent=None)

        with MeterClient(device, port=meters.port, client=PUBLIC) as client:
            client.associate()

    def test_holds_for_a_meter_still_in_store(self, meters, town):
        device = next(device for device in town.devices if device.in_store)

        with pytest.raises(ConnectionError), MeterClient(device, port=meters.port, client=PUBLIC) as client:
            client.associate()


class TestControl:
    def test_tells_how_the_town_stands(self, meters, town):
        state = meters.control.state()

        assert state.now == NOW == meters.control.now()
        assert state.meters == len(town.devices)
        assert state.listening == sum(device.listens is not None for device in town.devices)
        assert state.sessions > 0

    @pytest.mark.parametrize(
        ("order", "words"),
        [
            (lambda c: c.set_time(datetime(2024, 1, 1, tzinfo=UTC)), "cannot go back"),
            (lambda c: c.tamper(serial="X", code=201), "no meter X"),
            (lambda c: c.fault(serial="X", name="mute", on=True), "no meter X"),
            (lambda c: c.by_hand(account="N1", connected=False), "no account N1"),
            (lambda c: c.swap(usage_point="UP-0"), "no new meter is planned"),
        ],
    )
    def test_refuses_in_words(self, meters, order, words):
        with pytest.raises(ControlRefused, match=words):
            order(meters.control)

    def test_refuses_a_fault_it_does_not_know(self, meters, device):
        with pytest.raises(ControlRefused, match="there is no fault"):
            meters.control.fault(serial=device.serial, name="flying", on=True)

    @pytest.mark.parametrize(
        "line", [b"{}\n", b"nonsense\n", b'{"op": "melt"}\n', b'{"op": "set_time"}\n', b"[1]\n"]
    )
    def test_answers_what_it_does_not_understand(self, meters, line):
        host, _, port = meters.control.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(line)
            answer = connection.recv(4096)

        assert answer.startswith(b'{"ok": false, "error": ')

    def test_lets_the_fitter_work(self, meters, town):
        account = town.consumers[0].account

        meters.control.by_hand(account=account, connected=False)
        meters.control.by_hand(account=account, connected=True)
