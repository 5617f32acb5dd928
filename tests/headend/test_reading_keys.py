"""New keys and passwords of the reading client: nobody is locked out, whatever is lost, and nothing lies."""

import asyncio
import base64
import contextlib
import inspect
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.dlms import upkeep
from bijlighar.dlms.cosem import ActionOutcome
from bijlighar.headend import gate, gate_keys, gate_store, queries
from bijlighar.headend.errors import (
    AssociationRefused,
    GateAway,
    GateRefusal,
    HeadEndError,
    KeyChangeOpen,
    KeysNotTaken,
    MeterSilent,
    UnknownMeterKeys,
)
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_keeper import GateKeeper, KeptSession
from bijlighar.headend.gate_wire import Told
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.keys import push_keys
from bijlighar.headend.model import SESSION_OK, Ceilings, ControlAction, GateCode, MeterKeys
from bijlighar.headend.operations import begin_reading_change, change_reading, collect_due, store_keys
from bijlighar.storage.engine import Database
from tests.headend.gated_reading import KEYS, SECRET, GatedReading, Lossy
from tests.headend.gated_town import GatedTown, change_of_keys, request_of
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW, VERIFY_KEY, order, signed
from tests.simulator.towns import HOUR, MIDNIGHT

BOTH = pytest.mark.parametrize("action", [KEYS, SECRET])


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedTown]:
    with GatedTown(tmp_path_factory.mktemp("reading"), meters=260) as running:
        running.gate.kill()  # each test has a gate of its own
        yield running


@pytest.fixture
def place(town: GatedTown, database: Database, tmp_path: Path, serial: str) -> Iterator[GatedReading]:
    """A meter that no test has touched, its head-end and its gate."""
    made = GatedReading(town, database, tmp_path / "gate", serial=serial)
    yield made
    made.close()


def changed(new: MeterKeys, old: MeterKeys) -> tuple[bool, bool, bool]:
    return new.ek != old.ek, new.ak != old.ak, new.lls != old.lls


class TestChangeReading:
    @pytest.mark.parametrize(
        ("action", "renewed"), [(KEYS, (True, True, False)), (SECRET, (False, False, True))]
    )
    def test_gives_the_meter_what_the_head_end_then_reads_by(
        self, place: GatedReading, action: ControlAction, renewed: tuple[bool, bool, bool]
    ):
        old = place.keys()

        shown = place.change(action)

        new = place.keys()
        assert changed(new, old) == renewed
        assert (place.lets_in(new), place.lets_in(old)) == (True, False)
        assert place.pending() is None
        with place.keeper.store.read() as connection:
            assert gate_store.admission(connection, order_id=shown.order.order_id) == (True, True)
            counts = gate_store.recent_counts(connection, actions=(action.value,), since=MIDNIGHT)
        assert (counts.sent, counts.good, counts.bad) == (1, 1, 0)

    def test_keeps_the_length_of_the_password_and_the_keys_of_what_is_pushed(self, place: GatedReading):
        old = place.keys()

        place.change(KEYS)
        place.change(SECRET)

        new = place.keys()
        assert push_keys(new) == (old.ek, old.ak)
        assert len(new.lls or b"") == len(old.lls or b"")
        assert (new.lls or b"").isalnum()

    def test_leaves_the_gate_its_own_keys(self, place: GatedReading):
        before = place.keeper.keys(place.serial)

        place.change(KEYS)

        assert place.keeper.keys(place.serial) == before
        assert place.keeper.change_of(place.serial) is None

    @BOTH
    @pytest.mark.parametrize("lost", ["request", "answer"])
    def test_goes_on_after_the_answer_was_lost(
        self, place: GatedReading, monkeypatch: pytest.MonkeyPatch, action: ControlAction, lost: str
    ):
        lossy, old = Lossy(monkeypatch, lose=lost), place.keys()
        with pytest.raises(Told, match="lost"):
            place.change(action)
        pending = place.pending()
        assert pending is not None
        assert place.keys() == old

        place.change(action)

        assert place.keys() == pending
        assert place.lets_in(pending)
        assert place.pending() is None
        assert place.keeper.change_of(place.serial) is None
        assert len(lossy.sent) == (2 if lost == "request" else 1)

    @BOTH
    @pytest.mark.parametrize("lost", ["request", "answer"])
    def test_locks_nobody_out_who_only_reads_meanwhile(
        self, place: GatedReading, monkeypatch: pytest.MonkeyPatch, action: ControlAction, lost: str
    ):
        Lossy(monkeypatch, lose=lost)
        reader = place.new_head_end()
        place.read(reader)
        old = place.keys()
        with pytest.raises(Told):
            place.change(action)
        pending = place.pending()

        place.read(reader)
        place.read(place.new_head_end())

        assert place.keys() == (pending if lost == "answer" else old)
        assert (place.pending() is None) is (lost == "answer")

    @BOTH
    def test_is_told_to_the_gate_by_the_next_order_where_a_reading_settled_it(
        self, place: GatedReading, monkeypatch: pytest.MonkeyPatch, action: ControlAction
    ):
        Lossy(monkeypatch, lose="answer")
        with pytest.raises(Told):
            place.change(action)
        place.read(place.new_head_end())
        settled = place.keys()

        place.change(action)

        assert place.keys() != settled
        assert place.pending() is None
        assert place.keeper.change_of(place.serial) is None

    def test_lets_a_process_in_that_remembers_the_keys_before(self, place: GatedReading):
        other = place.new_head_end()
        place.read(other)

        place.change(KEYS)
        place.read(other)

        assert other.keys(place.serial) == place.keys()

    def test_is_over_after_it_succeeded(self, place: GatedReading):
        shown = place.change(KEYS)
        once = place.keys()

        with pytest.raises(GateRefusal, match="gate-wrong-keys"):
            place.carry_out(shown)

        assert place.keys() == once
        assert place.lets_in(once)

    def test_is_one_at_a_time(self, place: GatedReading, monkeypatch: pytest.MonkeyPatch):
        Lossy(monkeypatch, lose="request")
        with pytest.raises(Told):
            place.change(KEYS)

        with pytest.raises(KeyChangeOpen, match="no --secrets"):
            place.change(SECRET)
        place.change(KEYS)
        place.change(SECRET)

        assert place.pending() is None

    def test_changes_nothing_where_the_gate_is_away(self, place: GatedReading):
        shown, old = place.ordered(), place.keys()

        with pytest.raises(GateAway):
            asyncio.run(change_reading(place.database, signed=shown, head_end=place.head_end, now=NOW))

        assert place.keys() == old
        assert place.lets_in(old)

    def test_needs_a_password_of_the_reading_client(self, place: GatedReading):
        bare = replace(place.keys(), lls=None)
        with place.database.write() as connection:
            store_keys(connection, keys=[bare], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)

        with pytest.raises(UnknownMeterKeys, match="no password"):
            begin_reading_change(place.head_end, serial=place.serial, action=KEYS, now=NOW)

    def test_is_of_a_head_end_that_reads_as_client_32(self, place: GatedReading):
        place.head_end.settings = replace(place.head_end.settings, collect_client=48)

        with pytest.raises(UnknownMeterKeys, match="client 32"):
            place.ordered()

    def test_needs_an_order_for_it(self, place: GatedReading):
        old = place.keys()
        place.ordered()
        other = signed(
            order(order_id="K", serial=place.serial, action=ControlAction.CHANGE_KEYS, feeder=None)
        )

        with pytest.raises(GateRefusal, match="gate-wrong-action"):
            place.carry_out(other)

        assert place.lets_in(old)

    def test_is_followed_by_the_schedule(self, place: GatedReading):
        place.change(KEYS)
        place.change(SECRET)
        place.town.town.control.set_time(MIDNIGHT + timedelta(days=1) + HOUR)
        asyncio.run(
            collect_due(
                place.database, now=MIDNIGHT + timedelta(days=1) + HOUR, head_end=place.new_head_end()
            )
        )

        with place.database.read() as connection:
            rows = queries.sessions(connection, limit=10)
        assert [(row.meter, row.outcome) for row in rows] == [(place.serial, SESSION_OK)]


class Died(RuntimeError):
    """The process is no more."""


class TestBrokenOff:
    """Both may die before or after each thing that lasts; whoever comes after finds a meter to speak with."""

    def break_off(self, monkeypatch: pytest.MonkeyPatch, of: type, name: str, *, when: str, death: Exception):
        """Die once, before or after something is done."""
        real, is_over = getattr(of, name), False

        def die(moment: str) -> None:
            nonlocal is_over
            if moment == when and not is_over:
                is_over = True
                raise death

        async def awaited(*args: object, **named: object) -> object:
            die("before")
            found = await real(*args, **named)
            die("after")
            return found

        def called(*args: object, **named: object) -> object:
            die("before")
            found = real(*args, **named)
            die("after")
            return found

        monkeypatch.setattr(of, name, awaited if inspect.iscoroutinefunction(real) else called)

    @BOTH
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        ("of", "name"),
        [
            (RemoteGate, "grant"),
            (RemoteGate, "send_reading_change"),
            (RemoteGate, "read_back"),
            (HeadEnd, "settle"),
            (GateKeeper, "use"),
            (KeptSession, "perform"),
            (KeptSession, "put"),
            (KeptSession, "release"),
        ],
    )
    def test_goes_on_and_locks_nobody_out(
        self,
        place: GatedReading,
        monkeypatch: pytest.MonkeyPatch,
        action: ControlAction,
        of: type,
        name: str,
        when: str,
    ):
        is_gate = of in (GateKeeper, KeptSession)
        death = MeterSilent("the gate died") if is_gate else Died("the head-end died")
        with monkeypatch.context() as patch:
            self.break_off(patch, of, name, when=when, death=death)
            with contextlib.suppress(Died, HeadEndError):
                place.change(action)
        place.head_end = place.new_head_end()

        place.read()
        place.change(action)
        place.head_end = place.new_head_end()
        place.read()

        found = place.keys()
        assert place.pending() is None
        assert place.keeper.change_of(place.serial) is None
        assert (place.lets_in(found), found == place.town.keys[place.serial]) == (True, False)
        assert place.serial not in place.town.town.control.state().replayed


class TestRefusedByTheMeter:
    def refuse(self, monkeypatch: pytest.MonkeyPatch, place: GatedReading) -> None:
        async def refused(_session: KeptSession, *_: object) -> int:
            return int(ActionOutcome.READ_WRITE_DENIED)

        monkeypatch.setattr(KeptSession, "perform", refused)
        wrong = upkeep.secret_of(48)  # a meter lets nobody write this
        monkeypatch.setattr(upkeep, "secret_of", lambda _client: wrong)

    @BOTH
    def test_keeps_what_it_has_and_can_be_changed_otherwise(
        self, place: GatedReading, monkeypatch: pytest.MonkeyPatch, action: ControlAction
    ):
        old = place.keys()
        with monkeypatch.context() as patch:
            self.refuse(patch, place)
            with pytest.raises(KeysNotTaken, match="keeps what it has"):
                place.change(action)
        assert place.keys() == old
        assert place.pending() is None
        assert place.keeper.change_of(place.serial) is None

        place.change(SECRET if action is KEYS else KEYS)

        assert place.lets_in(place.keys())


class TestNotTaken:
    def lie(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the meter say that it took keys, and not take them."""

        async def said(_session: KeptSession, *_: object) -> int:
            return 0

        monkeypatch.setattr(KeptSession, "perform", said)

    def test_is_found_out_and_both_are_kept(self, place: GatedReading, monkeypatch: pytest.MonkeyPatch):
        old = place.keys()
        with monkeypatch.context() as patch:
            self.lie(patch)
            with pytest.raises(KeysNotTaken, match="still has"):
                place.change(KEYS)
        pending = place.pending()
        assert pending is not None
        assert place.keys() == old

        place.change(KEYS)

        assert place.keys() == pending

    def test_stops_the_rest_where_neither_lets_us_in(
        self, place: GatedReading, serials: Iterator[str], monkeypatch: pytest.MonkeyPatch
    ):
        shown, old = place.ordered(), place.keys()

        async def spoilt(session: KeptSession, method: object, parameters: bytes) -> int:
            keys = upkeep.decode_keys(parameters)
            swapped = {key: keys[other] for key, other in zip(keys, reversed(list(keys)), strict=True)}
            return await real(session, method, upkeep.encode_keys(swapped))  # type: ignore[arg-type]

        real = KeptSession.perform
        with monkeypatch.context() as patch:
            patch.setattr(KeptSession, "perform", spoilt)
            with pytest.raises(KeysNotTaken, match="neither"):
                place.carry_out(shown)

        assert (place.keys(), place.pending() is None) == (old, False)
        other = next(serials)
        after = signed(order(order_id="R-after", serial=other, action=KEYS, feeder=None, detail="ab" * 32))
        assert place.gated(lambda: place.keeper.grant(request_of(after), now=NOW)) is GateCode.STEP


class TestOneKeyForAll:
    """Meters that have one pair of keys for all their clients, whatever security setup is named."""

    def share(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def both(session: KeptSession, method: object, parameters: bytes) -> int:
            if method == upkeep.key_transfer(32):
                assert await real(session, upkeep.key_transfer(48), parameters) == 0
            return await real(session, method, parameters)  # type: ignore[arg-type]

        real = KeptSession.perform
        monkeypatch.setattr(KeptSession, "perform", both)

    def test_do_not_lock_the_gate_out(self, place: GatedReading, monkeypatch: pytest.MonkeyPatch):
        self.share(monkeypatch)

        place.change(KEYS)
        place.change(KEYS)

        new, own = place.keys(), place.keeper.keys(place.serial)
        assert (own.ek, own.ak) == (new.ek, new.ak)
        assert place.keeper.change_of(place.serial) is None

    def test_can_be_given_keys_of_the_gates_own_afterwards(
        self, place: GatedReading, monkeypatch: pytest.MonkeyPatch
    ):
        with monkeypatch.context() as patch:
            self.share(patch)
            place.change(KEYS)
        shared = place.keeper.keys(place.serial)
        shown = change_of_keys(place.serial, "K-own")

        async def change() -> None:
            assert await place.keeper.grant(request_of(shown), now=NOW) is GateCode.ADMITTED
            await gate_keys.change_keys(
                place.keeper, order_id="K-own", serial=place.serial, address=place.address, now=NOW
            )

        asyncio.run(change())

        own = place.keeper.keys(place.serial)
        assert own.ek != shared.ek
        place.read()


class TestOldCopy:
    """A database that was put back from an old copy holds keys that open no meter."""

    def test_of_keys_is_healed_by_new_ones(self, place: GatedReading):
        old = place.keys()
        place.change(KEYS)
        with place.database.write() as connection:
            store_keys(connection, keys=[old], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
        place.head_end = place.new_head_end()
        with pytest.raises(AssociationRefused):
            place.read()

        place.change(KEYS)
        place.read()

        assert place.pending() is None

    def test_of_a_password_is_healed_by_a_new_one(self, place: GatedReading):
        old = place.keys()
        place.change(SECRET)
        with place.database.write() as connection:
            store_keys(connection, keys=[old], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
        place.head_end = place.new_head_end()

        place.change(SECRET)
        place.read()

        assert place.pending() is None


class TestSteps:
    def show(self, database: Database, number: int, **changes: object) -> GateCode:
        serial = str(changes.pop("serial", f"BJ{number}"))
        facts = {"order_id": f"R-{number}", "serial": serial, "action": KEYS, "feeder": None}
        shown = signed(order(**(facts | {"detail": f"{number:064x}"} | changes)))
        with database.write() as connection:
            return gate.admit(
                connection,
                request=request_of(shown),
                verify_key=VERIFY_KEY,
                ceilings=Ceilings(settings_per_hour=120),
                now=max(NOW, shown.order.issued_at),
                may_resume=True,
            )

    def read_back(self, database: Database, numbers: range, *, is_good: bool = True) -> None:
        with database.write() as connection:
            for number in numbers:
                gate_store.mark_read_back(connection, order_id=f"R-{number}", is_good=is_good)

    def test_let_ten_then_a_hundred_more_under_a_ceiling(self, database: Database):
        first = [self.show(database, number) for number in range(11)]
        self.read_back(database, range(9))
        then = [self.show(database, number) for number in range(10, 111)]
        self.read_back(database, range(110))
        last = [self.show(database, number) for number in range(111, 122)]

        assert first == [GateCode.ADMITTED] * 10 + [GateCode.STEP]
        assert then == [GateCode.ADMITTED] * 100 + [GateCode.STEP]
        assert last == [GateCode.ADMITTED] * 10 + [GateCode.CEILING_SETTINGS]

    def test_are_of_the_last_day(self, database: Database):
        for number in range(10):
            assert self.show(database, number) is GateCode.ADMITTED
        day = timedelta(days=1)
        later = {"issued_at": NOW + day, "expires_at": NOW + 2 * day}

        assert self.show(database, 10) is GateCode.STEP
        assert self.show(database, 11, **later) is GateCode.ADMITTED

    def test_do_not_count_an_order_that_another_replaced(self, database: Database):
        codes = [self.show(database, number, serial="BJ1") for number in range(20)]

        assert codes == [GateCode.ADMITTED] * 20

    def test_let_no_older_order_follow(self, database: Database):
        assert self.show(database, 1, serial="BJ1") is GateCode.ADMITTED
        older = {"issued_at": NOW - timedelta(minutes=1)}

        assert self.show(database, 2, serial="BJ1", **older) is GateCode.LATER_KEYS
        assert self.show(database, 2, serial="BJ2", **older) is GateCode.ADMITTED

    def test_need_two_persons_and_name_a_change(self, database: Database):
        assert self.show(database, 1, approved_by=None) is GateCode.NOT_APPROVED
        assert self.show(database, 1, approved_by="clerk") is GateCode.NOT_APPROVED
        assert self.show(database, 1, detail=None) is GateCode.WRONG_KEYS


def test_nothing_of_keys_and_passwords_is_in_clear_anywhere(
    place: GatedReading, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    caplog.set_level(logging.DEBUG)
    old = place.keys()
    place.change(KEYS)
    place.change(SECRET)
    new = place.keys()
    assert changed(new, old) == (True, True, True)

    stored = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    texts = [*stored, caplog.text.encode()]
    for secret in (new.ek, new.ak, new.lls or b""):
        for form in forms(secret):
            assert not any(form in text for text in texts)
    assert any(place.serial.encode() in text for text in stored), "the files were looked into"


def forms(secret: bytes) -> tuple[bytes, ...]:
    """A secret as it could stand in a file, a log or a message."""
    return secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"=")


def test_a_refused_meter_without_a_change_stays_refused(place: GatedReading):
    wrong = replace(place.keys(), lls=b"wrong")
    with place.database.write() as connection:
        store_keys(connection, keys=[wrong], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)

    with pytest.raises(AssociationRefused):
        place.read(place.new_head_end())
