"""Orders for reading keys as an attacker uses them at the gate: no key changes, each refusal is told apart."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.headend import gate_client, keys_store
from bijlighar.headend.errors import GateAway, GateRefusal
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_wire import Told, address_message, write_message
from bijlighar.headend.model import GateCode, SignedOrder
from bijlighar.headend.operations import change_reading
from bijlighar.headend.reading_change import ReadingChange, change_of_keys
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.headend.gated_reading import KEYS, SECRET, GatedReading
from tests.headend.gated_town import GatedTown, request_of
from tests.headend.gated_town import change_of_keys as ordered_change
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW, OTHER_PRIVATE_KEY, signed
from tests.headend.test_reading_keys import forms


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedTown]:
    with GatedTown(tmp_path_factory.mktemp("reading-attack"), meters=80) as running:
        running.gate.kill()  # each test has a gate of its own
        yield running


@pytest.fixture
def place(town: GatedTown, tmp_path: Path, serial: str) -> Iterator[GatedReading]:
    """A meter that no test has touched, and the gate's process."""
    database = Database(f"sqlite:///{tmp_path}/office.sqlite")
    metadata.create_all(database.engine)
    made = GatedReading(town, database, tmp_path / "gate", serial=serial)
    with made.process:
        yield made
    made.close()
    database.close()


def run(talk: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(talk)


def begun_change(place: GatedReading) -> ReadingChange:
    new = place.pending()
    assert new is not None
    return change_of_keys(current=place.keys(), new=new, key_encryption_key=KEY_ENCRYPTION_KEY)


def show(place: GatedReading, shown: SignedOrder, **claims: Any) -> GateCode:
    return run(place.process.gate.grant(request_of(shown, **claims), now=NOW))


def send(place: GatedReading, order_id: str, sealed: bytes, *, at: str | None = None) -> str:
    """Ask the gate to bring something in under an order; return what it says."""

    async def ask() -> str:
        serial = at or place.serial
        try:
            await place.process.gate.send_reading_change(
                order_id=order_id, serial=serial, address=place.town.address(serial), sealed=sealed
            )
        except Told as told:
            return str(told)
        return "taken"

    return run(ask())


def sealed_for(place: GatedReading, change: ReadingChange) -> bytes:
    return change.seal(to=run(place.process.gate.envelope_key()))


class TestOrder:
    @pytest.mark.parametrize(
        "changes",
        [
            {"detail": "ab" * 32},
            {"serial": "BJ999999"},
            {"action": SECRET},
            {"expires_at": NOW + timedelta(days=9)},
            {"approved_by": "nobody"},
        ],
    )
    def test_changes_nothing_once_altered(self, place: GatedReading, changes: dict[str, Any]):
        genuine, old = place.ordered(), place.keys()
        altered = SignedOrder(order=replace(genuine.order, **changes), signature=genuine.signature)

        assert show(place, altered, serial=place.serial, action=KEYS) is GateCode.ALTERED
        said = send(place, altered.order.order_id, sealed_for(place, begun_change(place)))

        assert "gate-not-granted" in said
        assert place.lets_in(old)

    def test_changes_nothing_unsigned_or_signed_by_another(self, place: GatedReading):
        genuine, old = place.ordered(), place.keys()
        unsigned = SignedOrder(order=genuine.order, signature=b"")

        assert show(place, unsigned) is GateCode.UNSIGNED
        assert show(place, signed(genuine.order, key=OTHER_PRIVATE_KEY)) is GateCode.ALTERED
        assert place.lets_in(old)

    def test_is_for_its_own_meter(self, place: GatedReading, serials: Iterator[str]):
        shown, other = place.ordered(), next(serials)
        change = begun_change(place)

        assert show(place, shown, serial=other) is GateCode.WRONG_SERIAL
        assert show(place, shown) is GateCode.ADMITTED
        said = send(place, shown.order.order_id, sealed_for(place, replace(change, serial=other)), at=other)

        assert "gate-not-granted" in said
        assert place.process.log()[-1] == (shown.order.order_id, GateCode.NOT_GRANTED)

    def test_brings_nothing_in_twice(self, place: GatedReading):
        shown = place.ordered()
        sealed = sealed_for(place, begun_change(place))
        run(change_reading(place.database, signed=shown, head_end=place.head_end, now=NOW))
        first = place.keys()
        later = place.ordered(issued_at=NOW + timedelta(minutes=1), expires_at=NOW + timedelta(hours=1))
        run(change_reading(place.database, signed=later, head_end=place.head_end, now=NOW))
        new = place.keys()
        assert (new.ek, new.ak) != (first.ek, first.ak)

        assert show(place, shown) is GateCode.USED
        assert "gate-used" in send(place, shown.order.order_id, sealed)

        assert (place.lets_in(new), place.lets_in(first)) == (True, False)

    def test_kept_back_does_not_follow_a_later_one(self, place: GatedReading):
        kept = place.ordered(order_id="R-kept")
        later = place.ordered(issued_at=NOW + timedelta(minutes=1), expires_at=NOW + timedelta(hours=1))
        run(change_reading(place.database, signed=later, head_end=place.head_end, now=NOW))

        assert show(place, kept) is GateCode.LATER_KEYS
        assert place.lets_in(place.keys())

    def test_brings_in_no_other_keys_than_it_names(self, place: GatedReading):
        shown, old = place.ordered(), place.keys()
        genuine = begun_change(place)
        assert show(place, shown) is GateCode.ADMITTED
        mine = replace(genuine, ek=bytes(16), ak=bytes(16))
        sealed = sealed_for(place, genuine)
        flipped = bytes((*sealed[:-1], sealed[-1] ^ 1))
        foreign = genuine.seal(to=bytes(range(32)))

        for wrong in (sealed_for(place, mine), flipped, foreign, b"", bytes(32), sealed[:40]):
            assert "gate-wrong-keys" in send(place, shown.order.order_id, wrong)

        assert place.lets_in(old)
        assert place.process.log()[-1] == (shown.order.order_id, GateCode.WRONG_KEYS)

    def test_for_a_password_brings_no_keys_in(self, place: GatedReading):
        change = ReadingChange(serial=place.serial, salt=bytes(32), ek=bytes(16), ak=bytes(16))
        shown = place.ordered(SECRET, detail=change.digest, order_id="R-kind")
        assert show(place, shown) is GateCode.ADMITTED

        assert "gate-wrong-keys" in send(place, "R-kind", sealed_for(place, change))

    def test_for_something_else_brings_nothing_in(self, place: GatedReading):
        place.ordered()
        other = ordered_change(place.serial, "K-1")
        assert show(place, other) is GateCode.ADMITTED

        assert "gate-wrong-action" in send(place, "K-1", sealed_for(place, begun_change(place)))
        with pytest.raises(Told, match="gate-not-granted"):
            run(
                place.process.gate.read_back(
                    order_id="K-1", serial=place.serial, address=place.address, is_good=True
                )
            )

    def test_of_another_change_than_was_begun_asks_the_gate_nothing(self, place: GatedReading):
        other = place.ordered(detail="ab" * 32)

        with pytest.raises(GateRefusal, match="gate-wrong-keys"):
            run(change_reading(place.database, signed=other, head_end=place.head_end, now=NOW))

        assert place.process.log() == []

    def test_changes_nothing_with_the_gate_killed(self, place: GatedReading):
        shown, old = place.ordered(), place.keys()
        place.process.kill()

        with pytest.raises(GateAway):
            run(change_reading(place.database, signed=shown, head_end=place.head_end, now=NOW))

        assert place.lets_in(old)
        place.process.start()


class TestSocket:
    def test_hears_no_key_and_no_password(self, place: GatedReading, monkeypatch: pytest.MonkeyPatch):
        said: list[str] = []

        async def overheard(writer: asyncio.StreamWriter, message: Any) -> None:
            said.append(json.dumps(message))
            await write_message(writer, message)

        monkeypatch.setattr(gate_client, "write_message", overheard)
        for action in (KEYS, SECRET):
            shown = place.ordered(action, issued_at=NOW + timedelta(seconds=len(said)))
            run(change_reading(place.database, signed=shown, head_end=place.head_end, now=NOW))

        new, text = place.keys(), "".join(said).encode()
        assert [json.loads(one)["ask"] for one in said].count("reading") == 2
        for secret in (new.ek, new.ak, new.lls or b""):
            assert not any(form in text for form in forms(secret)[1:])

    @pytest.mark.parametrize("sealed", [None, 7, "no base64 at all", [], "ab" * 100_000])
    def test_takes_no_garbage_for_an_envelope(self, place: GatedReading, sealed: object):
        shown, old = place.ordered(), place.keys()
        assert show(place, shown) is GateCode.ADMITTED
        address = address_message(place.address)

        async def ask() -> None:
            await RemoteGate(place.process.socket).ask(
                "reading",
                order_id=shown.order.order_id,
                serial=place.serial,
                address=address,
                sealed=sealed,
            )

        with pytest.raises(Told) as refusal:
            run(ask())
        assert refusal.value.code in ("headend.gate-unknown-question", "headend.gate-refused")
        assert place.lets_in(old)


def test_a_meter_on_factory_keys_is_given_no_reading_keys(town: GatedTown, place: GatedReading):
    folder = place.process.folder
    with place.keeper.store.write() as connection:
        factory = replace(place.keeper.keys(place.serial), factory=True)
        keys_store.store_keys(
            connection, keys=[factory], key_encryption_key=folder.key_encryption_key(), now=NOW
        )

    assert show(place, place.ordered()) is GateCode.FACTORY_KEYS
