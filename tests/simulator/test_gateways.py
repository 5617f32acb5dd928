"""Many meters behind one gateway: its places, its delay, and the octets that it carries for all of them."""

import socket
import time

import pytest

from bijlighar.simulator.faultlines import GATEWAY_CONNECTIONS, GATEWAY_DELAY_S, GATEWAY_OCTETS_PER_S, Gateway
from tests.simulator.towns import MIDNIGHT, MeterClient, TownProcess, a_town

PER_GATEWAY = 10
PATIENCE_S = 5.0


@pytest.fixture
def process(tmp_path):
    with TownProcess(
        tmp_path, "--per-gateway", str(PER_GATEWAY), town=a_town(meters=20, stand_alone=True)
    ) as running:
        running.control.set_time(MIDNIGHT)
        yield running


def is_let_in(connection: socket.socket) -> bool:
    """Whether a connection stays open: a gateway that is full resets it at once."""
    connection.settimeout(0.3)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


class TestGateway:
    def test_carries_one_answer_after_the_other(self):
        gateway = Gateway()

        first = gateway.carry(GATEWAY_OCTETS_PER_S, now=10.0)
        second = gateway.carry(GATEWAY_OCTETS_PER_S // 2, now=10.5)
        later = gateway.carry(0, now=20.0)

        assert (first, second, later) == pytest.approx(
            (11.0 + GATEWAY_DELAY_S, 11.5 + GATEWAY_DELAY_S, 20.0 + GATEWAY_DELAY_S)
        )


class TestMeters:
    def test_answer_late_through_a_gateway(self, process: TownProcess):
        with MeterClient(process.town.devices[0], port=process.port, client=16) as client:
            began = time.monotonic()
            client.associate()
            took_s = time.monotonic() - began

        assert took_s >= GATEWAY_DELAY_S

    def test_share_the_places_of_their_gateway_alone(self, process: TownProcess):
        def connect(place: int) -> socket.socket:
            return socket.create_connection(("127.0.0.1", process.port + place), timeout=PATIENCE_S)

        held = [connect(place) for place in range(GATEWAY_CONNECTIONS)]
        try:
            assert all(is_let_in(one) for one in held)
            with connect(PER_GATEWAY - 1) as ninth, connect(PER_GATEWAY) as behind_another:
                assert not is_let_in(ninth)
                assert is_let_in(behind_another)
            held.pop().close()
            give_up = time.monotonic() + PATIENCE_S
            while True:
                with connect(PER_GATEWAY - 1) as again:
                    if is_let_in(again):
                        break
                assert time.monotonic() < give_up
        finally:
            for one in held:
                one.close()

    def test_with_another_key_still_hear_the_refusal(self, process: TownProcess):
        device = process.town.devices[0]
        process.control.fault(serial=device.serial, name="wrong_key", on=True)

        with (
            MeterClient(device, port=process.port, client=32) as client,
            pytest.raises(AssertionError) as told,
        ):
            client.associate()

        assert "Refused" in str(told.value) or "Failure" in str(told.value)
