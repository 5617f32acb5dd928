"""Settings through the gate: read first, written once, read back; refused wherever supply could be cut unasked."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bijlighar.dlms import axdr, settings
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.settings import INDIAN, Script
from bijlighar.headend import gate, gate_settings, gate_store
from bijlighar.headend.errors import GateRefusal, MeterSilent, RefusedSetting, WrongSetting
from bijlighar.headend.gate_keeper import GateKeeper, KeptSession
from bijlighar.headend.gate_wire import Told, address_message, attribute_message
from bijlighar.headend.model import Ceilings, ControlAction, GateCode, SignedOrder
from bijlighar.headend.settings_document import SettingsDocument, canonical
from bijlighar.headend.settings_reading import differences
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.documents import CALENDAR, LIMIT, WHOLE, a_document
from tests.headend.gated_town import GatedTown, request_of, settings_order
from tests.headend.orders import NOW, OTHER_PRIVATE_KEY, VERIFY_KEY, order, signed

DOCUMENT, LIMITED = a_document(WHOLE), a_document(LIMIT)
TOD = a_document('name = "ToD"\n' + CALENDAR)
_numbers = iter(range(10_000))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedTown]:
    with GatedTown(tmp_path_factory.mktemp("settings"), meters=60) as running:
        running.gate.kill()  # the gate is kept within this process here, so that it can be broken off
        yield running


def run(talk: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(talk)


def unique(document: SettingsDocument) -> SettingsDocument:
    """The document under another name, so that no test closes the steps of another."""
    return replace(document, name=f"{document.name} {next(_numbers)}")


def grant(keeper: GateKeeper, shown: SignedOrder, document: SettingsDocument | None) -> GateCode:
    text = None if document is None else canonical(document)
    code: GateCode = run(keeper.grant(request_of(shown, document=text), now=NOW))
    return code


def granted(keeper: GateKeeper, serial: str, document: SettingsDocument) -> str:
    shown = settings_order(serial, f"S-{next(_numbers)}", document)
    assert grant(keeper, shown, document) is GateCode.ADMITTED
    return shown.order.order_id


def send(
    keeper: GateKeeper, town: GatedTown, serial: str, order_id: str, document: SettingsDocument
) -> tuple[str, ...]:
    written: tuple[str, ...] = run(
        gate_settings.send_settings(
            keeper,
            order_id=order_id,
            serial=serial,
            address=town.address(serial),
            text=canonical(document),
            now=NOW,
        )
    )
    return written


def unequal(keeper: GateKeeper, town: GatedTown, serial: str, document: SettingsDocument) -> list[str]:
    """The settings of a document that a meter does not have."""

    async def look() -> list[str]:
        session = await keeper.open(serial=serial, address=town.address(serial), now=NOW)
        found = await differences(session, document)
        await session.release()
        session.close()
        return [one.name for one in found if not one.is_equal]

    names: list[str] = run(look())
    return names


class Lossy:
    """Counts what is written; loses the request or the answer of the nth writing, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, nth: int = 0, lose: str = "") -> None:
        self.written: list[Attribute] = []
        real = KeptSession.put

        async def put(session: KeptSession, attribute: Attribute, data: bytes) -> None:
            self.written.append(attribute)
            hit = len(self.written) == nth
            if hit and lose == "request":
                raise MeterSilent("the request was lost")
            await real(session, attribute, data)
            if hit:
                raise MeterSilent("the answer was lost")

        monkeypatch.setattr(KeptSession, "put", put)


class TestSendSettings:
    def test_sets_everything_and_reads_it_back(self, keeper: GateKeeper, town: GatedTown, serial: str):
        document = unique(DOCUMENT)
        order_id = granted(keeper, serial, document)
        before = unequal(keeper, town, serial, document)

        written = send(keeper, town, serial, order_id, document)

        assert set(written) == set(before)
        assert len(written) == 6
        assert unequal(keeper, town, serial, document) == []
        assert gate_settings.outcomes(keeper, digest=document.digest) == {serial: gate_store.GOOD}
        with pytest.raises(GateRefusal, match="gate-used"):
            send(keeper, town, serial, order_id, document)

    def test_writes_nothing_where_it_is_so_already(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        first, again = unique(DOCUMENT), unique(DOCUMENT)
        send(keeper, town, serial, granted(keeper, serial, first), first)
        lossy = Lossy(monkeypatch)

        written = send(keeper, town, serial, granted(keeper, serial, again), again)

        assert (written, lossy.written) == ((), [])

    @pytest.mark.parametrize("lose", ["request", "answer"])
    @pytest.mark.parametrize("nth", [1, 3, 5, 9])
    def test_reads_before_it_writes_again_where_an_answer_was_lost(
        self,
        keeper: GateKeeper,
        town: GatedTown,
        serial: str,
        monkeypatch: pytest.MonkeyPatch,
        nth: int,
        lose: str,
    ):
        document = unique(DOCUMENT)
        order_id = granted(keeper, serial, document)
        lossy = Lossy(monkeypatch, nth=nth, lose=lose)
        with pytest.raises(MeterSilent):
            send(keeper, town, serial, order_id, document)
        lost = lossy.written[-1]
        assert gate_settings.outcomes(keeper, digest=document.digest) == {serial: ""}

        send(keeper, town, serial, order_id, document)

        assert unequal(keeper, town, serial, document) == []
        is_calendar = lost.class_id == settings.CALENDAR
        if lose == "answer" and not is_calendar:
            assert lossy.written.count(lost) == 1

    def test_lets_a_calendar_wait_for_its_time(self, keeper: GateKeeper, town: GatedTown, serial: str):
        at = NOW + timedelta(hours=1)
        document = replace(unique(TOD), activate_at=at)
        order_id = granted(keeper, serial, document)

        written = send(keeper, town, serial, order_id, document)

        assert written == ("calendar",)
        assert unequal(keeper, town, serial, document) == ["calendar"]
        assert gate_settings.outcomes(keeper, digest=document.digest) == {serial: gate_store.GOOD}

    def test_stops_the_step_where_a_meter_shows_something_else(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        async def forgets(_session: KeptSession, _attribute: Attribute, _data: bytes) -> None:
            return None

        document = unique(DOCUMENT)
        order_id = granted(keeper, serial, document)
        monkeypatch.setattr(KeptSession, "put", forgets)

        with pytest.raises(WrongSetting):
            send(keeper, town, serial, order_id, document)

        other = settings_order(town.serials[0], f"S-{next(_numbers)}", document)
        assert grant(keeper, other, document) is GateCode.STEP


class TestLoadLimit:
    def test_is_set_by_an_order_for_what_may_cut(self, keeper: GateKeeper, town: GatedTown, serial: str):
        document = unique(LIMITED)

        written = send(keeper, town, serial, granted(keeper, serial, document), document)

        assert written == ("load_limit",)
        assert unequal(keeper, town, serial, document) == []

    @pytest.mark.parametrize(
        ("attribute", "data", "says"),
        [
            (
                INDIAN.limit(2),
                settings.encode_watched(Attribute(class_id=3, obis=INDIAN.billing)),
                "not its active power",
            ),
            (
                INDIAN.limit(11),
                settings.encode_scripts(
                    Script(table=INDIAN.relay, entry=1), Script(table=INDIAN.relay, entry=1)
                ),
                "something else",
            ),
            (
                Attribute(class_id=3, obis=next(o for o in INDIAN.monitored if o.octets[2] == 1), index=3),
                axdr.structure(axdr.integer(-3), axdr.enum(27)),
                "whole watts",
            ),
            (INDIAN.limit(11), None, "does not show"),
        ],
    )
    def test_is_not_set_where_the_meter_would_do_something_else(
        self,
        keeper: GateKeeper,
        town: GatedTown,
        serial: str,
        monkeypatch: pytest.MonkeyPatch,
        attribute: Attribute,
        data: bytes | None,
        says: str,
    ):
        real, lossy, document = KeptSession.get_if_any, Lossy(monkeypatch), unique(LIMITED)

        async def other(session: KeptSession, asked: Attribute) -> bytes | None:
            return data if asked == attribute else await real(session, asked)

        monkeypatch.setattr(KeptSession, "get_if_any", other)

        with pytest.raises(RefusedSetting, match=says):
            send(keeper, town, serial, granted(keeper, serial, document), document)

        assert lossy.written == []

    def test_is_not_set_below_the_sanctioned_load(self, keeper: GateKeeper, serial: str):
        for sanctioned_w in (5_001, None):
            shown = settings_order(serial, f"S-{next(_numbers)}", LIMITED, sanctioned_w=sanctioned_w)
            assert grant(keeper, shown, LIMITED) is GateCode.LOAD_LIMIT
        shown = settings_order(serial, f"S-{next(_numbers)}", LIMITED, sanctioned_w=5_000)
        assert grant(keeper, shown, LIMITED) is GateCode.ADMITTED

    def test_does_not_pass_as_a_harmless_setting(self, keeper: GateKeeper, serial: str):
        shown = settings_order(
            serial, f"S-{next(_numbers)}", LIMITED, action=ControlAction.SETTINGS, sanctioned_w=1
        )
        prepaid = a_document('name = "x"\n[mode]\npayment = "prepaid"')
        hidden = settings_order(serial, f"S-{next(_numbers)}", prepaid, action=ControlAction.SETTINGS)

        assert grant(keeper, shown, LIMITED) is GateCode.MAY_INTERRUPT
        assert grant(keeper, hidden, prepaid) is GateCode.MAY_INTERRUPT


class TestAttacks:
    def test_are_told_apart(self, keeper: GateKeeper, serial: str):
        def shown(**changes: object) -> SignedOrder:
            return settings_order(serial, f"S-{next(_numbers)}", DOCUMENT, **changes)

        genuine = shown()
        altered = SignedOrder(
            order=replace(genuine.order, detail=LIMITED.digest), signature=genuine.signature
        )
        cases = [
            (grant(keeper, shown(), TOD), GateCode.WRONG_DOCUMENT),
            (grant(keeper, shown(), None), GateCode.BROKEN_DOCUMENT),
            (grant(keeper, altered, LIMITED), GateCode.ALTERED),
            (grant(keeper, SignedOrder(order=genuine.order, signature=b""), DOCUMENT), GateCode.UNSIGNED),
            (grant(keeper, signed(genuine.order, key=OTHER_PRIVATE_KEY), DOCUMENT), GateCode.ALTERED),
            (
                grant(keeper, shown(issued_at=NOW - timedelta(days=2), expires_at=NOW), DOCUMENT),
                GateCode.EXPIRED,
            ),
            (grant(keeper, shown(approved_by=None), DOCUMENT), GateCode.NOT_APPROVED),
            (grant(keeper, shown(approved_by="clerk"), DOCUMENT), GateCode.NOT_APPROVED),
        ]
        wrong_serial = run(
            keeper.grant(request_of(genuine, serial="BJ999999", document=canonical(DOCUMENT)), now=NOW)
        )

        assert [said for said, _ in cases] == [code for _, code in cases]
        assert wrong_serial is GateCode.WRONG_SERIAL
        with keeper.store.read() as connection:
            logged = [entry.code for entry in gate_store.entries(connection, after=0, limit=1_000)]
        assert {code for _, code in cases} <= set(logged)

    def test_with_another_document_than_was_admitted_write_nothing(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        document, lossy = unique(DOCUMENT), Lossy(monkeypatch)
        order_id = granted(keeper, serial, document)

        with pytest.raises(GateRefusal, match="gate-wrong-document"):
            send(keeper, town, serial, order_id, LIMITED)
        with pytest.raises(GateRefusal, match="gate-not-granted"):
            send(keeper, town, town.serials[1], order_id, document)

        assert lossy.written == []

    def test_with_an_order_for_the_relay_write_nothing(
        self, keeper: GateKeeper, town: GatedTown, serial: str, monkeypatch: pytest.MonkeyPatch
    ):
        shown, lossy = signed(order(order_id=f"D-{next(_numbers)}", serial=serial)), Lossy(monkeypatch)
        assert run(keeper.grant(request_of(shown), now=NOW)) is GateCode.ADMITTED

        with pytest.raises(GateRefusal, match="gate-wrong-action"):
            send(keeper, town, serial, shown.order.order_id, DOCUMENT)

        assert lossy.written == []

    def test_cannot_open_the_relay_with_an_order_for_settings(
        self, keeper: GateKeeper, town: GatedTown, serial: str
    ):
        order_id, before = granted(keeper, serial, unique(LIMITED)), town.relay_acts()

        async def act() -> None:
            session = await keeper.open(serial=serial, address=town.address(serial), now=NOW)
            try:
                await session.act(order_id, now=NOW)
            finally:
                session.close()

        with pytest.raises(GateRefusal, match="gate-wrong-action"):
            run(act())
        assert town.relay_acts() == before


class TestCeilings:
    def show(self, database: Database, document: SettingsDocument, number: int, ceilings: object) -> GateCode:
        shown = settings_order(f"BJ{number}", f"S-{number}", document)
        with database.write() as connection:
            return gate.admit(
                connection,
                request=request_of(shown, document=canonical(document)),
                verify_key=VERIFY_KEY,
                ceilings=ceilings,
                now=NOW,
            )

    def test_hold_settings_to_so_many_an_hour(self, database: Database):
        ceilings = Ceilings(settings_per_hour=2)

        codes = [self.show(database, DOCUMENT, number, ceilings) for number in range(3)]

        assert codes == [GateCode.ADMITTED, GateCode.ADMITTED, GateCode.CEILING_SETTINGS]
        assert self.show(database, DOCUMENT, 9, None) is GateCode.BROKEN_CEILINGS

    def test_count_load_limits_and_disconnections_together(self, database: Database):
        ceilings = Ceilings(per_hour=2, per_feeder_hour=20, per_day=300)
        cut = signed(order(order_id="D-1", serial="BJ0"))
        with database.write() as connection:
            first = gate.admit(
                connection, request=request_of(cut), verify_key=VERIFY_KEY, ceilings=ceilings, now=NOW
            )

        codes = [self.show(database, LIMITED, number, ceilings) for number in range(1, 3)]

        assert [first, *codes] == [GateCode.ADMITTED, GateCode.ADMITTED, GateCode.CEILING_HOUR]
        assert self.show(database, DOCUMENT, 9, ceilings) is GateCode.ADMITTED

    def test_hold_to_the_steps(self, database: Database):
        codes = [self.show(database, DOCUMENT, number, Ceilings()) for number in range(11)]
        with database.write() as connection:
            for number in range(9):
                gate_store.mark_read_back(connection, order_id=f"S-{number}", is_good=True)

        assert codes == [GateCode.ADMITTED] * 10 + [GateCode.STEP]
        assert self.show(database, DOCUMENT, 11, Ceilings()) is GateCode.ADMITTED


class TestProcess:
    def test_killed_within_its_work_goes_on(self, town: GatedTown, serial: str):
        document = unique(DOCUMENT)
        shown = settings_order(serial, f"S-{next(_numbers)}", document)
        text = canonical(document)
        town.gate.start()
        try:
            gate_line = town.gate.gate

            async def ask() -> None:
                code = await gate_line.grant(request_of(shown, document=text), now=NOW)
                if code is not GateCode.USED:
                    assert code is GateCode.ADMITTED
                    await gate_line.send_settings(
                        order_id=shown.order.order_id,
                        serial=serial,
                        address=town.address(serial),
                        document=text,
                    )

            async def killed_after(pause_s: float) -> str | None:
                work = asyncio.create_task(ask())
                await asyncio.sleep(pause_s)
                town.gate.kill()
                await asyncio.wait({work})
                problem = work.exception()
                return None if problem is None else getattr(problem, "code", repr(problem))

            ends = []
            for pause_s in (0.02, 0.04, 0.06, 0.08):
                ends.append(run(killed_after(pause_s)))
                town.gate.start()
            run(ask())
            outcomes = run(town.gate.gate.outcomes(digest=document.digest))
        finally:
            town.gate.kill()

        assert set(ends) <= {None, "headend.gate-away"}
        assert "headend.gate-away" in ends
        assert outcomes == {serial: gate_store.GOOD}
        assert town.town.control.state().replayed == {}


class TestStolenSocket:
    def test_writes_nothing_without_an_admitted_order(self, town: GatedTown, serial: str):
        """Whoever holds the gate's socket and the head-end's account, but no key that signs."""
        document = unique(DOCUMENT)
        forged = signed(settings_order(serial, "S-forged", document).order, key=OTHER_PRIVATE_KEY)
        fields = {
            "order_id": "S-forged",
            "serial": serial,
            "address": address_message(town.address(serial)),
            "document": canonical(document),
            "attribute": attribute_message(INDIAN.limit(4)),
            "data": "BgAAAAE=",
        }
        town.gate.start()
        heard = []
        try:
            code = run(town.gate.gate.grant(request_of(forged, document=canonical(document)), now=NOW))
            for what in ("settings", "put", "set", "write", "perform"):
                with pytest.raises(Told) as refused:
                    run(town.gate.gate.ask(what, **fields))
                heard.append(f"{refused.value.code} {refused.value}")
        finally:
            town.gate.kill()
        keeper = town.gate.folder.keeper(settings=FAST)
        untouched = unequal(keeper, town, serial, document)
        keeper.store.close()

        assert code is GateCode.ALTERED
        assert "gate-not-granted" in heard[0]
        assert all("gate-unknown-question" in answer for answer in heard[1:])
        assert len(untouched) == 6


class TestFactoryKeys:
    def test_are_not_set_by(self, tmp_path_factory: pytest.TempPathFactory):
        with GatedTown(tmp_path_factory.mktemp("factory"), factory=True) as town:
            serial = town.serials[0]
            shown = settings_order(serial, "S-F", DOCUMENT)

            code = run(town.gate.gate.grant(request_of(shown, document=canonical(DOCUMENT)), now=NOW))

        assert code is GateCode.FACTORY_KEYS
