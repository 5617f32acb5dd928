"""The gate as an attacker meets it, over real simulated meters: nothing opens, and each refusal is told apart."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.headend.access import client_security
from bijlighar.headend.errors import AssociationRefused
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_wire import Told, address_message, request_message
from bijlighar.headend.keys import reading_part
from bijlighar.headend.model import Ceilings, ControlAction, GateCode, SignedOrder
from bijlighar.headend.session import open_session
from tests.headend.conftest import FAST
from tests.headend.gated_town import GatedTown, change_of_keys, request_of
from tests.headend.orders import NOW, OTHER_PRIVATE_KEY, order, reconnection, signed

CEILINGS = Ceilings(per_hour=50, per_feeder_hour=20, per_day=300)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedTown]:
    with GatedTown(tmp_path_factory.mktemp("attack"), ceilings=CEILINGS) as running:
        yield running


@pytest.fixture
def serial(town: GatedTown) -> str:
    return town.serials[0]


_numbers = iter(range(10_000))


def cut(serial: str, **changes: Any) -> SignedOrder:
    """A genuine order to cut a meter, with a number of its own."""
    return signed(order(**({"order_id": f"A-{next(_numbers)}", "serial": serial} | changes)))


def attack(town: GatedTown, shown: SignedOrder, *, at: str | None = None, **claims: Any) -> tuple[str, str]:
    """Show an order and act on it, whatever the gate says; return what it said to both."""
    serial = at or shown.order.serial

    async def act() -> tuple[str, str]:
        gate = town.gate.gate
        code = await gate.grant(request_of(shown, **({"serial": serial} | claims)), now=NOW)
        session = await gate.open(serial=serial, address=town.address(serial), now=NOW)
        try:
            result = await session.act(claims.get("order_id", shown.order.order_id), now=NOW)
        except Told as refusal:
            return code.value, str(refusal)
        finally:
            session.close()
        return code.value, f"result {result}"

    return asyncio.run(act())


def run(talk: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(talk)


class TestOrder:
    def test_opens_the_relay_of_its_meter_once(self, town: GatedTown, serial: str):
        before, shown = town.relay_acts(), cut(serial)

        first, again = attack(town, shown), attack(town, shown)

        assert first == ("headend.gate-admitted", "result 0")
        assert again[0] == "headend.gate-used"
        assert "headend.gate-used" in again[1]
        assert town.relay_acts() == before + 1
        codes = [code for order_id, code in town.gate.log() if order_id == shown.order.order_id]
        assert codes == [GateCode.ADMITTED, GateCode.USED, GateCode.USED]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"serial": "BJ999999"}, GateCode.ALTERED),
            ({"feeder": "F-9"}, GateCode.ALTERED),
            ({"expires_at": NOW + timedelta(days=9)}, GateCode.ALTERED),
            ({"approved_by": "nobody"}, GateCode.ALTERED),
        ],
    )
    def test_opens_nothing_once_altered(self, town: GatedTown, serial: str, changes, code: GateCode):
        genuine = cut(serial)
        altered = SignedOrder(order=replace(genuine.order, **changes), signature=genuine.signature)

        self.refused(town, altered, code, at=serial)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"issued_at": NOW - timedelta(days=2), "expires_at": NOW}, GateCode.EXPIRED),
            ({"issued_at": NOW + timedelta(hours=1)}, GateCode.NOT_YET),
            ({"approved_by": None}, GateCode.NOT_APPROVED),
            ({"approved_by": "clerk"}, GateCode.NOT_APPROVED),
        ],
    )
    def test_opens_nothing_out_of_its_time_or_without_a_second_person(
        self, town: GatedTown, serial: str, changes, code: GateCode
    ):
        self.refused(town, cut(serial, **changes), code)

    def test_opens_nothing_unsigned_or_signed_by_another(self, town: GatedTown, serial: str):
        unsigned = SignedOrder(order=cut(serial).order, signature=b"")
        forged = signed(cut(serial).order, key=OTHER_PRIVATE_KEY)

        self.refused(town, unsigned, GateCode.UNSIGNED)
        self.refused(town, forged, GateCode.ALTERED)

    def test_opens_no_other_meter_than_its_own(self, town: GatedTown):
        mine, other = town.serials[:2]

        self.refused(town, cut(mine), GateCode.WRONG_SERIAL, at=other)

    def test_opens_nothing_at_another_meter_after_it_was_admitted_for_its_own(self, town: GatedTown):
        mine, other = town.serials[:2]
        before, shown = town.relay_acts(), cut(mine)

        async def act() -> str:
            gate = town.gate.gate
            assert await gate.grant(request_of(shown), now=NOW) is GateCode.ADMITTED
            session = await gate.open(serial=other, address=town.address(other), now=NOW)
            with pytest.raises(Told) as refusal:
                await session.act(shown.order.order_id, now=NOW)
            session.close()
            return str(refusal.value)

        assert "headend.gate-not-granted" in run(act())
        assert town.relay_acts() == before
        assert town.gate.log()[-1] == (shown.order.order_id, GateCode.NOT_GRANTED)

    def test_to_reconnect_does_not_open(self, town: GatedTown, serial: str):
        shown = signed(reconnection(order_id=f"R-{next(_numbers)}", serial=serial))

        self.refused(town, shown, GateCode.WRONG_ACTION, action=ControlAction.DISCONNECT)

    def test_to_change_keys_does_not_open(self, town: GatedTown, serial: str):
        before = town.relay_acts()
        shown = change_of_keys(serial, f"K-{next(_numbers)}")

        said, did = attack(town, shown)

        assert said == "headend.gate-admitted"
        assert "headend.gate-wrong-action" in did
        assert town.relay_acts() == before

    def test_taken_back_opens_nothing(self, town: GatedTown, serial: str):
        shown = cut(serial)
        run(town.gate.gate.close_order(shown.order.order_id, now=NOW))

        self.refused(town, shown, GateCode.USED)

    def refused(
        self, town: GatedTown, shown: SignedOrder, code: GateCode, *, at: str | None = None, **claims: Any
    ) -> None:
        before = town.relay_acts()

        said, did = attack(town, shown, at=at, **claims)

        assert said == code.value
        assert "result" not in did
        assert town.relay_acts() == before
        logged = [code for order_id, code in town.gate.log() if order_id == shown.order.order_id]
        assert logged[0] is code


class TestCeilings:
    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("per_hour", GateCode.CEILING_HOUR),
            ("per_feeder_hour", GateCode.CEILING_FEEDER),
            ("per_day", GateCode.CEILING_DAY),
        ],
    )
    def test_hold_whatever_is_ordered(self, town: GatedTown, serial: str, name: str, code: GateCode):
        feeder = f"F-{name}"
        let = 0 if name != "per_feeder_hour" else 1
        town.gate.set_ceilings(replace(CEILINGS, **{name: let}))
        try:
            for _ in range(let):
                assert attack(town, cut(serial, feeder=feeder))[0] == GateCode.ADMITTED.value
            before = town.relay_acts()
            said, did = attack(town, cut(serial, feeder=feeder), feeder="made-up")
        finally:
            town.gate.set_ceilings(CEILINGS)

        assert said == code.value
        assert "headend.gate-not-granted" in did
        assert town.relay_acts() == before

    @pytest.mark.parametrize("text", ["", "per_hour = 1", "per_hour = ", 'per_hour = "many"\nper_day = 1'])
    def test_that_are_broken_shut_the_gate(self, town: GatedTown, serial: str, text: str):
        before = town.relay_acts()
        (town.gate.folder.path / "ceilings.toml").write_text(text)
        try:
            said, _ = attack(town, cut(serial))
        finally:
            town.gate.set_ceilings(CEILINGS)

        assert said == GateCode.BROKEN_CEILINGS.value
        assert town.relay_acts() == before


class TestProcess:
    def test_that_is_dead_lets_nothing_through(self, town: GatedTown, serial: str):
        before, shown = town.relay_acts(), cut(serial)
        assert run(town.gate.gate.grant(request_of(shown), now=NOW)) is GateCode.ADMITTED
        town.gate.kill()
        try:
            with pytest.raises(Exception, match="does not answer") as away:
                attack(town, shown)
        finally:
            town.gate.start()

        assert away.value.code == "headend.gate-away"  # type: ignore[attr-defined]
        assert town.relay_acts() == before

    def test_that_dies_in_a_conversation_lets_nothing_through(self, town: GatedTown, serial: str):
        before, shown = town.relay_acts(), cut(serial)

        async def act() -> str:
            gate = town.gate.gate
            assert await gate.grant(request_of(shown), now=NOW) is GateCode.ADMITTED
            session = await gate.open(serial=serial, address=town.address(serial), now=NOW)
            town.gate.kill()
            with pytest.raises(Exception, match="does not answer") as away:
                await session.act(shown.order.order_id, now=NOW)
            session.close()
            return away.value.code  # type: ignore[attr-defined, no-any-return]

        try:
            assert run(act()) == "headend.gate-away"
        finally:
            town.gate.start()
        assert town.relay_acts() == before

    def test_without_its_store_lets_nothing_through(self, town: GatedTown, serial: str):
        before, shown = town.relay_acts(), cut(serial)
        store = town.gate.folder.open_store()
        with store.write() as connection:
            connection.exec_driver_sql("ALTER TABLE headend_gate_order RENAME TO hidden")
        try:
            with pytest.raises(Told) as shut:
                attack(town, shown)
        finally:
            with store.write() as connection:
                connection.exec_driver_sql("ALTER TABLE hidden RENAME TO headend_gate_order")
            store.close()

        assert shut.value.code == "headend.gate-no-store"
        assert town.relay_acts() == before

    def test_opens_its_folder_and_socket_to_its_own_user_alone(self, town: GatedTown):
        folder = town.gate.folder
        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode)
            for file in (
                folder.path,
                folder.socket,
                *folder.path.glob("*.sqlite"),
                folder.path / "key-encryption",
            )
        }

        assert set(modes.values()) <= {0o700, 0o600}

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"\n",
            b"{}\n",
            b"[]\n",
            b'{"ask": "act", "order_id": "A-1"}\n',
            b'{"ask": "open", "serial": "x"}\n',
            b'{"ask": "perform", "method": "0046"}\n',
            b'{"ask": ["act"]}\n',
            b"\xff\xfe\n",
            b"[" * 100_000 + b"\n",
        ],
    )
    def test_survives_whatever_it_is_told(self, town: GatedTown, serial: str, line: bytes):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(5)
            caller.connect(town.gate.socket)
            caller.sendall(line)
            caller.shutdown(socket.SHUT_WR)
            answer = caller.recv(65_536)

        assert not answer or "error" in json.loads(answer)
        assert run(town.gate.gate.grant(request_of(cut(serial)), now=NOW)) is GateCode.ADMITTED


@pytest.fixture(scope="module")
def rekeyed(town: GatedTown) -> str:
    """A meter whose keys for client 48 the gate has made, and nobody else knows."""
    serial = town.serials[3]
    shown = change_of_keys(serial, f"K-{next(_numbers)}")

    async def change() -> None:
        gate = town.gate.gate
        assert await gate.grant(request_of(shown), now=NOW) is GateCode.ADMITTED
        await gate.change_keys(order_id=shown.order.order_id, serial=serial, address=town.address(serial))

    run(change())
    return serial


class TestStolenAccount:
    """Whoever holds the head-end's process, database, keys and account, and the gate's socket with them."""

    @pytest.mark.parametrize("client", [32, 48])
    def test_reads_with_the_head_ends_keys_and_does_not_command(
        self, town: GatedTown, rekeyed: str, client: int
    ):
        stolen = reading_part(town.keys[rekeyed])
        counter = iter(range(10_000, 20_000))
        security = client_security(
            client=client,
            keys=stolen,
            system_title=os.urandom(8),
            next_counter=lambda: next(counter),
            received_counter=-1,
        )
        before = town.relay_acts()

        async def talk() -> bool:
            session = await open_session(
                address=town.address(rekeyed), client=client, security=security, name=rekeyed, settings=FAST
            )
            session.close()
            return True

        if client == 32:
            assert run(talk())
        else:
            with pytest.raises(AssociationRefused):
                run(talk())
        assert town.relay_acts() == before

    def test_signs_nothing_that_the_gate_believes(self, town: GatedTown, rekeyed: str):
        before = town.relay_acts()
        forged = [
            signed(cut(rekeyed, issued_by=who).order, key=OTHER_PRIVATE_KEY) for who in ("clerk", "operator")
        ]

        said = [attack(town, shown)[0] for shown in forged]

        assert said == [GateCode.ALTERED.value] * 2
        assert town.relay_acts() == before

    def test_replays_what_it_has_seen_pass_in_vain(self, town: GatedTown, rekeyed: str):
        shown = cut(rekeyed)
        assert attack(town, shown) == (GateCode.ADMITTED.value, "result 0")
        before = town.relay_acts()

        again = [attack(town, shown)[0] for _ in range(3)]

        assert again == [GateCode.USED.value] * 3
        assert town.relay_acts() == before

    def test_gets_no_key_out_of_the_gate(self, town: GatedTown, rekeyed: str):
        keeper = town.gate.folder.keeper(settings=FAST)
        secrets = keeper.keys(rekeyed)
        keeper.store.close()
        heard = []
        for what in ("keys", "reading_keys", "grant", "open", "relay", "get", "act", "release", "dump"):
            fields = {"serial": rekeyed, "address": address_message(town.address(rekeyed))}
            try:
                heard.append(repr(run(RemoteGate(town.gate.socket).ask(what, **fields))))
            except Told as refusal:
                heard.append(str(refusal))
        text = " ".join(heard)
        files = b"".join(file.read_bytes() for file in town.gate.folder.path.rglob("*") if file.is_file())

        for secret in (secrets.ek, secrets.ak, secrets.master or b"?"):
            assert secret.hex() not in text
            assert secret not in files
            assert secret.hex().encode() not in files

    def test_sends_no_octets_of_its_own(self, town: GatedTown, rekeyed: str):
        before = town.relay_acts()
        shown = cut(rekeyed)
        message = dict(request_message(request_of(shown)))
        message["method"] = "00460000600300ff01"

        async def act() -> str:
            gate = town.gate.gate
            await gate.ask("close", order_id=shown.order.order_id)
            return str(await gate.ask("grant", **message))

        assert run(act()) == GateCode.USED.value
        assert town.relay_acts() == before


class TestFactoryKeys:
    def test_are_read_and_not_commanded_until_they_are_changed(self, tmp_path: Path):
        with GatedTown(tmp_path, factory=True) as town:
            serial = town.serials[0]
            refused = attack(town, cut(serial))
            relay = run(self.read(town, serial))
            shown = change_of_keys(serial, "K-F")

            async def change() -> None:
                gate = town.gate.gate
                assert await gate.grant(request_of(shown), now=NOW) is GateCode.ADMITTED
                await gate.change_keys(order_id="K-F", serial=serial, address=town.address(serial))

            untouched = town.relay_acts()
            run(change())
            after = attack(town, cut(serial))
            acts = town.relay_acts()

        assert refused[0] == GateCode.FACTORY_KEYS.value
        assert "headend.gate-not-granted" in refused[1]
        assert relay.output_state
        assert untouched == 0
        assert after == (GateCode.ADMITTED.value, "result 0")
        assert acts == 1

    async def read(self, town: GatedTown, serial: str) -> Any:
        session = await town.gate.gate.open(serial=serial, address=town.address(serial), now=NOW)
        relay = await session.read_relay()
        await session.release()
        session.close()
        return relay
