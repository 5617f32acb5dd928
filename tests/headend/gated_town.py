"""A simulated town in its own process, and a gate in another that alone commands its meters."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bijlighar.headend.keys import read_keys_file
from bijlighar.headend.model import Ceilings, ControlAction, GateRequest, MeterAddress, MeterKeys, SignedOrder
from bijlighar.headend.settings_document import SettingsDocument
from bijlighar.headend.tcp import parse_url
from bijlighar.simulator import operations as simulator
from tests.headend.gate_process import GateProcess
from tests.headend.orders import order, signed
from tests.simulator.towns import HOUR, MIDNIGHT, TownProcess, a_town


class GatedTown:
    """Meters with relays that answer, and the gate before them."""

    def __init__(
        self, folder: Path, *, ceilings: Ceilings | None = None, factory: bool = False, meters: int = 20
    ) -> None:
        plan = a_town(meters=meters)
        quiet = {silence.serial for silence in plan.silences}
        self.town = TownProcess(folder / "home", town=plan)
        keys = read_keys_file(simulator.keys_json(town=plan, host="127.0.0.1", port=self.town.port))
        self.keys: Mapping[str, MeterKeys] = {one.serial: replace(one, factory=factory) for one in keys}
        self.serials = [
            device.serial
            for device in plan.devices
            if device.smart and device.kind.has_relay and not device.in_store and device.serial not in quiet
        ]
        self.gate = GateProcess(folder / "gate", keys=list(self.keys.values()), ceilings=ceilings)

    def __enter__(self) -> "GatedTown":
        self.town.start()
        self.town.control.set_time(MIDNIGHT + HOUR)
        self.gate.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.kill()
        self.town.__exit__(None, None, None)

    def address(self, serial: str) -> MeterAddress:
        url = self.keys[serial].url
        assert url is not None
        return parse_url(url)

    def relay_acts(self) -> int:
        """How often any relay was told to move, by the meters' own memory."""
        return len(self.town.control.relays().acts)


def request_of(shown: SignedOrder, **changes: object) -> GateRequest:
    plain = GateRequest(
        order_id=shown.order.order_id, serial=shown.order.serial, action=shown.order.action, signed=shown
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def change_of_keys(serial: str, order_id: str, **changes: object) -> SignedOrder:
    return signed(
        order(order_id=order_id, serial=serial, action=ControlAction.CHANGE_KEYS, feeder=None, **changes)
    )


def firmware_order(serial: str, order_id: str, *, digest: str) -> SignedOrder:
    return signed(
        order(order_id=order_id, serial=serial, action=ControlAction.FIRMWARE, feeder=None, detail=digest)
    )


def settings_order(serial: str, order_id: str, document: SettingsDocument, **changes: object) -> SignedOrder:
    action = ControlAction.SUPPLY_SETTINGS if document.may_interrupt else ControlAction.SETTINGS
    facts = {"action": action, "feeder": None, "detail": document.digest, "sanctioned_w": None}
    if document.may_interrupt:
        facts |= {"feeder": "F-1", "sanctioned_w": 1_000}
    return signed(order(**({"order_id": order_id, "serial": serial} | facts | changes)))
