"""New keys and firmware through the gate, with answers lost and work broken off at any point."""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bijlighar.dlms import upkeep
from bijlighar.dlms.cosem import ActionOutcome, Method
from bijlighar.headend import gate, gate_keys, gate_store, gate_upkeep
from bijlighar.headend.errors import (
    AccessRefused,
    GateRefusal,
    KeyChangeOpen,
    MeterSilent,
    UnknownMeterKeys,
    WrongFirmware,
)
from bijlighar.headend.gate_keeper import GateKeeper, KeptSession
from bijlighar.headend.gate_upkeep import Firmware
from bijlighar.headend.model import Ceilings, ControlAction, GateCode, MeterKeys
from bijlighar.storage.engine import Database
from tests.headend.gated_town import GatedTown, change_of_keys, firmware_order, request_of
from tests.headend.orders import NOW, VERIFY_KEY, order, signed


def sealed_image(text: bytes) -> bytes:
    """An image that a simulated meter verifies."""
    return text + hashlib.sha256(text).digest()


IMAGE = sealed_image(bytes(range(256)) * 5)
BLOCKS = -(-len(IMAGE) // 200)
NEW = Firmware(version="2.0.0", octets=IMAGE)
_numbers = iter(range(10_000))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedTown]:
    with GatedTown(tmp_path_factory.mktemp("upkeep"), meters=60) as running:
        running.gate.kill()  # the gate is kept within this process here, so that it can be broken off
        yield running


def run(talk: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(talk)


def granted_change(keeper: GateKeeper, serial: str) -> str:
    shown = change_of_keys(serial, f"K-{next(_numbers)}")
    assert run(keeper.grant(request_of(shown), now=NOW)) is GateCode.ADMITTED
    return shown.order.order_id


def granted_firmware(keeper: GateKeeper, serial: str, firmware: Firmware = NEW) -> str:
    shown = firmware_order(serial, f"F-{next(_numbers)}", digest=firmware.digest)
    assert run(keeper.grant(request_of(shown), now=NOW)) is GateCode.ADMITTED
    return shown.order.order_id


def change(keeper: GateKeeper, town: GatedTown, serial: str, order_id: str) -> None:
    run(
        gate_keys.change_keys(keeper, order_id=order_id, serial=serial, address=town.address(serial), now=NOW)
    )


def send(keeper: GateKeeper, town: GatedTown, serial: str, order_id: str, firmware: Firmware = NEW) -> None:
    run(
        gate_upkeep.send_firmware(
            keeper,
            order_id=order_id,
            serial=serial,
            address=town.address(serial),
            firmware=firmware,
            now=NOW,
        )
    )


def can_speak(keeper: GateKeeper, town: GatedTown, keys: MeterKeys) -> bool:
    """Return whether the meter lets in whoever holds these keys."""

    async def talk() -> bool:
        session = await keeper.open_with(keys, address=town.address(keys.serial))
        await session.read_relay()
        session.close()
        return True

    try:
        return bool(run(talk()))
    except Exception:
        return False


class Lossy:
    """Loses the request or the answer of one method, once, the nth time that it is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: Method, *, nth: int = 1) -> None:
        self.calls: list[Method] = []
        self.lose = ""
        real = KeptSession.perform

        async def perform(session: KeptSession, called: Method, parameters: bytes) -> int:
            self.calls.append(called)
            hit = bool(self.lose) and called == method and self.calls.count(method) == nth
            if hit and self.lose == "request":
                self.lose = ""
                raise MeterSilent("the request was lost")
            result = await real(session, called, parameters)
            if hit:
                self.lose = ""
                raise MeterSilent("the answer was lost")
            return result

        monkeypatch.setattr(KeptSession, "perform", perform)


class TestChangeKeys:
    def test_gives_a_meter_keys_that_only_the_gate_knows(
        self, keeper: GateKeeper, town: GatedTown, serial: str
    ):
        old = keeper.keys(serial)

        change(keeper, town, serial, granted_change(keeper, serial))

        new = keeper.keys(serial)
        assert (new.ek != old.ek, new.ak != old.ak, new.master == old.master) == (True, True, True)
        assert can_speak(keeper, town, new)
        assert not can_speak(keeper, town, old)
        assert keeper.change_of(serial) is None

    @pytest.mark.parametrize("lost", ["request", "answer"])
    def test_goes_on_after_the_answer_was_lost(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch, lost: str
    ):
        lossy = Lossy(monkeypatch, upkeep.key_transfer(48))
        lossy.lose = lost
        order_id = granted_change(keeper, serial)
        old = keeper.keys(serial)
        with pytest.raises(MeterSilent):
            change(keeper, town, serial, order_id)
        pending = keeper.change_of(serial)
        assert pending is not None
        assert keeper.keys(serial) == old

        change(keeper, town, serial, order_id)

        assert keeper.keys(serial) == pending
        assert can_speak(keeper, town, pending)
        assert len(lossy.calls) == (2 if lost == "request" else 1)

    @pytest.mark.parametrize("lost", ["request", "answer"])
    def test_locks_nobody_out_who_only_wants_the_relay_meanwhile(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch, lost: str
    ):
        lossy = Lossy(monkeypatch, upkeep.key_transfer(48))
        lossy.lose = lost
        with pytest.raises(MeterSilent):
            change(keeper, town, serial, granted_change(keeper, serial))

        async def look() -> bool:
            session = await keeper.open(serial=serial, address=town.address(serial), now=NOW)
            relay = await session.read_relay()
            session.close()
            return relay.output_state

        assert run(look())
        assert (keeper.change_of(serial) is None) is (lost == "answer")

    def test_needs_an_order_for_it(self, keeper: GateKeeper, town: GatedTown, serial: str):
        old = keeper.keys(serial)
        shown = signed(order(order_id="D-K", serial=serial))
        assert run(keeper.grant(request_of(shown), now=NOW)) is GateCode.ADMITTED

        with pytest.raises(GateRefusal, match="not-granted"):
            change(keeper, town, serial, "never shown")
        with pytest.raises(GateRefusal, match="wrong-action"):
            change(keeper, town, serial, "D-K")

        assert keeper.keys(serial) == old
        assert keeper.change_of(serial) is None

    def test_is_over_after_it_succeeded(self, keeper: GateKeeper, town: GatedTown, serial: str):
        order_id = granted_change(keeper, serial)
        change(keeper, town, serial, order_id)
        once = keeper.keys(serial)

        with pytest.raises(GateRefusal, match="used"):
            change(keeper, town, serial, order_id)

        assert keeper.keys(serial) == once

    def test_needs_the_master_key(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        found = replace(keeper.keys(serial), master=None)
        monkeypatch.setattr(keeper, "keys", lambda _serial: found)

        with pytest.raises(UnknownMeterKeys, match="master"):
            change(keeper, town, serial, granted_change(keeper, serial))


class TestChangeSecret:
    def change(self, keeper: GateKeeper, town: GatedTown, serial: str, order_id: str) -> None:
        run(
            gate_keys.change_secret(
                keeper, order_id=order_id, serial=serial, address=town.address(serial), now=NOW
            )
        )

    def granted(self, keeper: GateKeeper, serial: str) -> str:
        number = f"P-{next(_numbers)}"
        shown = signed(order(order_id=number, serial=serial, action=ControlAction.CHANGE_SECRET, feeder=None))
        assert run(keeper.grant(request_of(shown), now=NOW)) is GateCode.ADMITTED
        return number

    def test_gives_a_meter_a_password_that_only_the_gate_knows(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        old, sent = keeper.keys(serial), Sent(monkeypatch)

        self.change(keeper, town, serial, self.granted(keeper, serial))

        new = keeper.keys(serial)
        assert new == replace(old, hls=new.hls)
        assert new.hls != old.hls
        assert len(new.hls or b"") == 16
        assert sent.parameters == [upkeep.encode_secret(new.hls or b"")]
        assert keeper.change_of(serial) is None

    @pytest.mark.parametrize("lost", ["request", "answer"])
    def test_gives_the_same_one_again_after_the_answer_was_lost(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch, lost: str
    ):
        old, sent = keeper.keys(serial), Sent(monkeypatch)
        lossy = Lossy(monkeypatch, upkeep.change_secret(48))
        lossy.lose = lost
        order_id = self.granted(keeper, serial)
        with pytest.raises(MeterSilent):
            self.change(keeper, town, serial, order_id)
        assert keeper.keys(serial) == old
        pending = keeper.change_of(serial)
        assert pending is not None

        self.change(keeper, town, serial, order_id)

        assert keeper.keys(serial) == pending
        assert set(sent.parameters) == {upkeep.encode_secret(pending.hls or b"")}
        assert keeper.change_of(serial) is None

    def test_is_not_taken_for_settled_by_a_conversation_that_needs_no_password(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        lossy = Lossy(monkeypatch, upkeep.change_secret(48))
        lossy.lose = "request"
        old = keeper.keys(serial)
        with pytest.raises(MeterSilent):
            self.change(keeper, town, serial, self.granted(keeper, serial))

        assert can_speak(keeper, town, old)
        with pytest.raises(KeyChangeOpen):
            change(keeper, town, serial, granted_change(keeper, serial))

        assert keeper.keys(serial) == old
        assert keeper.change_of(serial) is not None

    def test_waits_for_keys_that_were_begun(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        lossy = Lossy(monkeypatch, upkeep.key_transfer(48))
        lossy.lose = "request"
        begun = granted_change(keeper, serial)
        with pytest.raises(MeterSilent):
            change(keeper, town, serial, begun)

        with pytest.raises(KeyChangeOpen):
            self.change(keeper, town, serial, self.granted(keeper, serial))
        change(keeper, town, serial, begun)
        self.change(keeper, town, serial, self.granted(keeper, serial))

        assert keeper.change_of(serial) is None

    def test_leaves_what_was_where_the_meter_refuses(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        async def refused(_session: KeptSession, _method: Method, _parameters: bytes) -> int:
            return int(ActionOutcome.READ_WRITE_DENIED)

        old = keeper.keys(serial)
        with monkeypatch.context() as patch:
            patch.setattr(KeptSession, "perform", refused)
            with pytest.raises(AccessRefused):
                self.change(keeper, town, serial, self.granted(keeper, serial))

        assert keeper.keys(serial) == old
        assert keeper.change_of(serial) is None
        change(keeper, town, serial, granted_change(keeper, serial))

    def test_needs_an_order_for_it(self, keeper: GateKeeper, town: GatedTown, serial: str):
        with pytest.raises(GateRefusal, match="wrong-action"):
            self.change(keeper, town, serial, granted_change(keeper, serial))
        with pytest.raises(GateRefusal, match="wrong-action"):
            change(keeper, town, serial, self.granted(keeper, serial))


class Sent:
    """What was handed to methods."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parameters: list[bytes] = []
        real = KeptSession.perform

        async def perform(session: KeptSession, method: Method, parameters: bytes) -> int:
            self.parameters.append(parameters)
            return await real(session, method, parameters)

        monkeypatch.setattr(KeptSession, "perform", perform)


class TestSendFirmware:
    def test_brings_the_image_in_and_reads_back_that_it_runs(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        lossy = Lossy(monkeypatch, upkeep.TRANSFER_BLOCK)
        order_id = granted_firmware(keeper, serial)

        send(keeper, town, serial, order_id)

        assert lossy.calls.count(upkeep.TRANSFER_BLOCK) == BLOCKS
        with keeper.store.read() as connection:
            assert gate_store.step_counts(connection, image=NEW.digest).good == 1
        with pytest.raises(GateRefusal, match="used"):
            send(keeper, town, serial, order_id)

    @pytest.mark.parametrize(
        ("method", "nth", "lost"),
        [
            (upkeep.INITIATE, 1, "request"),
            (upkeep.INITIATE, 1, "answer"),
            (upkeep.TRANSFER_BLOCK, 4, "request"),
            (upkeep.TRANSFER_BLOCK, 4, "answer"),
            (upkeep.TRANSFER_BLOCK, BLOCKS, "answer"),
            (upkeep.VERIFY, 1, "answer"),
            (upkeep.ACTIVATE, 1, "request"),
            (upkeep.ACTIVATE, 1, "answer"),
        ],
    )
    def test_goes_on_where_it_was_broken_off(
        self,
        keeper: GateKeeper,
        town: GatedTown,
        serial: str,
        monkeypatch: pytest.MonkeyPatch,
        method: Method,
        nth: int,
        lost: str,
    ):
        lossy = Lossy(monkeypatch, method, nth=nth)
        lossy.lose = lost
        order_id = granted_firmware(keeper, serial)
        with pytest.raises(MeterSilent):
            send(keeper, town, serial, order_id)

        send(keeper, town, serial, order_id)

        sent_again = lossy.calls.count(upkeep.TRANSFER_BLOCK) - BLOCKS
        assert sent_again == (1 if (method, lost) == (upkeep.TRANSFER_BLOCK, "request") else 0)
        assert lossy.calls.count(upkeep.ACTIVATE) == (
            2 if (method, lost) == (upkeep.ACTIVATE, "request") else 1
        )

    def test_sends_no_other_image_than_the_order_names(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        lossy = Lossy(monkeypatch, upkeep.INITIATE)
        order_id = granted_firmware(keeper, serial)
        other = Firmware(version="2.0.0", octets=sealed_image(b"evil"))

        with pytest.raises(GateRefusal, match="wrong-image"):
            send(keeper, town, serial, order_id, other)

        assert lossy.calls == []

    def test_stops_the_step_where_a_meter_does_not_verify_the_image(
        self, keeper: GateKeeper, town: GatedTown, serial: str
    ):
        broken = Firmware(version="3.0.0", octets=b"no seal" * 40)
        order_id = granted_firmware(keeper, serial, broken)

        with pytest.raises(WrongFirmware, match="does not verify"):
            send(keeper, town, serial, order_id, broken)

        shown = firmware_order(town.serials[0], "F-after", digest=broken.digest)
        assert run(keeper.grant(request_of(shown), now=NOW)) is GateCode.STEP


class TestSteps:
    def show(self, database: Database, number: int) -> GateCode:
        shown = firmware_order(f"BJ{number}", f"F-{number}", digest="ab" * 32)
        with database.write() as connection:
            return gate.admit(
                connection,
                request=request_of(shown),
                verify_key=VERIFY_KEY,
                ceilings=Ceilings(),
                now=NOW,
                may_resume=True,
            )

    def read_back(self, database: Database, numbers: range, *, is_good: bool = True) -> None:
        with database.write() as connection:
            for number in numbers:
                gate_store.mark_read_back(connection, order_id=f"F-{number}", is_good=is_good)

    def test_let_ten_then_a_hundred_more(self, database: Database):
        first = [self.show(database, number) for number in range(11)]
        self.read_back(database, range(8))
        too_few = self.show(database, 10)
        self.read_back(database, range(8, 9))
        then = [self.show(database, number) for number in range(10, 111)]

        assert first == [GateCode.ADMITTED] * 10 + [GateCode.STEP]
        assert too_few is GateCode.STEP
        assert then == [GateCode.ADMITTED] * 100 + [GateCode.STEP]

    def test_let_nobody_follow_a_meter_that_was_read_back_wrong(self, database: Database):
        assert self.show(database, 0) is GateCode.ADMITTED
        self.read_back(database, range(1), is_good=False)

        assert self.show(database, 1) is GateCode.STEP

    def test_let_the_same_meter_go_on(self, database: Database):
        codes = [self.show(database, number) for number in range(10)]

        assert self.show(database, 3) is GateCode.ADMITTED
        assert set(codes) == {GateCode.ADMITTED}

    def test_need_two_persons(self, database: Database):
        shown = signed(
            order(order_id="F-1", action=firmware_order("x", "y", digest="z").order.action, approved_by=None)
        )
        with database.write() as connection:
            code = gate.admit(
                connection, request=request_of(shown), verify_key=VERIFY_KEY, ceilings=Ceilings(), now=NOW
            )

        assert code is GateCode.NOT_APPROVED
