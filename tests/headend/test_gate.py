"""The gate as an attacker meets it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bijlighar.headend import gate, gate_store
from bijlighar.headend.model import Ceilings, ControlAction, ControlReason, GateCode, GateRequest, SignedOrder
from bijlighar.storage.engine import Database
from tests.headend.orders import NOW, OTHER_PRIVATE_KEY, VERIFY_KEY, order, reconnection, signed

CEILINGS = Ceilings(per_hour=3, per_feeder_hour=2, per_day=4)


def request_for(shown: SignedOrder, **changes: Any) -> GateRequest:
    plain = GateRequest(
        order_id=shown.order.order_id, serial=shown.order.serial, action=shown.order.action, signed=shown
    )
    return replace(plain, **changes)


def admit(database: Database, request: GateRequest, **changes: Any) -> GateCode:
    terms = {"verify_key": VERIFY_KEY, "ceilings": CEILINGS, "now": NOW} | changes
    with database.write() as connection:
        return gate.admit(connection, request=request, **terms)


def logged(database: Database) -> list[GateCode]:
    with database.read() as connection:
        return [entry.code for entry in gate_store.entries(connection, after=0, limit=100)]


class TestExamine:
    def test_lets_a_sound_order_through(self):
        assert (
            gate.examine(request=request_for(signed()), verify_key=VERIFY_KEY, now=NOW) is GateCode.ADMITTED
        )

    @pytest.mark.parametrize(
        "changes",
        [
            {"serial": "BJ999999"},
            {"action": ControlAction.RECONNECT},
            {"reason": ControlReason.SAFETY},
            {"feeder": "F-2"},
            {"expires_at": NOW + timedelta(days=365)},
            {"approved_by": "somebody"},
            {"order_id": "D-2"},
        ],
    )
    def test_refuses_an_order_of_which_anything_was_altered(self, changes):
        genuine = signed()
        altered = SignedOrder(order=replace(genuine.order, **changes), signature=genuine.signature)

        assert gate.examine(request=request_for(altered), verify_key=VERIFY_KEY, now=NOW) is GateCode.ALTERED

    def test_refuses_an_order_that_somebody_else_signed(self):
        forged = signed(key=OTHER_PRIVATE_KEY)

        assert gate.examine(request=request_for(forged), verify_key=VERIFY_KEY, now=NOW) is GateCode.ALTERED

    def test_refuses_an_unsigned_order(self):
        unsigned = SignedOrder(order=order(), signature=b"")

        assert (
            gate.examine(request=request_for(unsigned), verify_key=VERIFY_KEY, now=NOW) is GateCode.UNSIGNED
        )

    @pytest.mark.parametrize("verify_key", [None, b"", b"short", bytes(31), bytes(33)])
    def test_shuts_without_a_usable_verify_key(self, verify_key):
        code = gate.examine(request=request_for(signed()), verify_key=verify_key, now=NOW)

        assert code is GateCode.NO_VERIFY_KEY

    def test_refuses_a_genuine_order_that_is_shown_for_another_meter(self):
        request = request_for(signed(), serial="BJ999999")

        assert gate.examine(request=request, verify_key=VERIFY_KEY, now=NOW) is GateCode.WRONG_SERIAL

    def test_refuses_a_reconnection_that_is_shown_for_a_disconnection(self):
        request = request_for(signed(reconnection()), action=ControlAction.DISCONNECT)

        assert gate.examine(request=request, verify_key=VERIFY_KEY, now=NOW) is GateCode.WRONG_ACTION

    def test_refuses_a_genuine_order_under_another_number(self):
        request = request_for(signed(), order_id="D-2")

        assert gate.examine(request=request, verify_key=VERIFY_KEY, now=NOW) is GateCode.WRONG_ORDER

    def test_holds_an_order_valid_up_to_its_expiry_and_not_at_it(self):
        request = request_for(signed())
        end = request.signed.order.expires_at

        before = gate.examine(request=request, verify_key=VERIFY_KEY, now=end - timedelta(microseconds=1))
        at_end = gate.examine(request=request, verify_key=VERIFY_KEY, now=end)

        assert (before, at_end) == (GateCode.ADMITTED, GateCode.EXPIRED)

    def test_refuses_an_order_from_the_future(self):
        request = request_for(signed())

        code = gate.examine(request=request, verify_key=VERIFY_KEY, now=NOW - timedelta(minutes=6))

        assert code is GateCode.NOT_YET

    @pytest.mark.parametrize("approved_by", [None, "", "clerk"])
    def test_refuses_a_cut_for_arrears_without_a_second_person(self, approved_by):
        request = request_for(signed(order(approved_by=approved_by)))

        assert gate.examine(request=request, verify_key=VERIFY_KEY, now=NOW) is GateCode.NOT_APPROVED

    def test_needs_no_second_person_to_reconnect(self):
        request = request_for(signed(reconnection(approved_by=None)))

        assert gate.examine(request=request, verify_key=VERIFY_KEY, now=NOW) is GateCode.ADMITTED


def _admit_and_fail(database: Database, request: GateRequest) -> None:
    with database.write() as connection:
        gate.admit(connection, request=request, verify_key=VERIFY_KEY, ceilings=CEILINGS, now=NOW)
        raise RuntimeError


class TestAdmit:
    def test_lets_an_order_through_once(self, database: Database):
        request = request_for(signed())

        first, second = admit(database, request), admit(database, request)

        assert (first, second) == (GateCode.ADMITTED, GateCode.USED)
        assert logged(database) == [GateCode.ADMITTED, GateCode.USED]

    def test_keeps_nothing_of_an_admission_whose_transaction_failed(self, database: Database):
        request = request_for(signed())
        with pytest.raises(RuntimeError):
            _admit_and_fail(database, request)

        assert admit(database, request) is GateCode.ADMITTED

    def test_lets_a_reconnection_through_again_until_its_command_has_ended(self, database: Database):
        request = request_for(signed(reconnection()))

        first, second = admit(database, request), admit(database, request)
        with database.write() as connection:
            gate_store.close(connection, order_id="R-1", now=NOW)

        assert (first, second) == (GateCode.ADMITTED, GateCode.ADMITTED)
        assert admit(database, request) is GateCode.USED

    def test_logs_a_refusal_and_keeps_the_order_unused(self, database: Database):
        request = request_for(signed())

        late = admit(database, request, now=NOW + timedelta(days=1))

        assert late is GateCode.EXPIRED
        assert logged(database) == [GateCode.EXPIRED]
        assert admit(database, request) is GateCode.ADMITTED

    def test_holds_the_ceiling_of_a_feeder(self, database: Database):
        codes = [admit(database, request_for(signed(order(order_id=f"D-{i}")))) for i in range(3)]

        assert codes == [GateCode.ADMITTED, GateCode.ADMITTED, GateCode.CEILING_FEEDER]

    def test_believes_the_registry_and_not_the_order_about_the_feeder(self, database: Database):
        orders = [signed(order(order_id=f"D-{i}", feeder=f"made-up-{i}")) for i in range(3)]

        codes = [admit(database, request_for(shown, feeder="F-1")) for shown in orders]

        assert codes == [GateCode.ADMITTED, GateCode.ADMITTED, GateCode.CEILING_FEEDER]

    def test_holds_the_ceiling_of_an_hour_and_opens_after_it(self, database: Database):
        orders = [signed(order(order_id=f"D-{i}", feeder=f"F-{i}")) for i in range(4)]
        codes = [admit(database, request_for(shown)) for shown in orders]

        later = admit(database, request_for(orders[3]), now=NOW + timedelta(hours=1))

        assert codes == [GateCode.ADMITTED] * 3 + [GateCode.CEILING_HOUR]
        assert later is GateCode.ADMITTED

    def test_holds_the_ceiling_of_the_company_in_a_day(self, database: Database):
        codes = [
            admit(
                database,
                request_for(signed(order(order_id=f"D-{i}", feeder=f"F-{i}"))),
                now=NOW + timedelta(hours=i),
            )
            for i in range(5)
        ]

        assert codes == [GateCode.ADMITTED] * 4 + [GateCode.CEILING_DAY]

    def test_counts_no_reconnection_and_holds_none_back(self, database: Database):
        reconnections = [signed(reconnection(order_id=f"R-{i}")) for i in range(10)]

        codes = {admit(database, request_for(shown), ceilings=None) for shown in reconnections}

        assert codes == {GateCode.ADMITTED}
        assert admit(database, request_for(signed())) is GateCode.ADMITTED

    @pytest.mark.parametrize(
        "ceilings",
        [
            None,
            {"per_hour": 50},
            Ceilings(per_hour="50"),  # type: ignore[arg-type]
            Ceilings(per_hour=-1),
            Ceilings(per_day=True),
            Ceilings(per_feeder_hour=float("inf")),  # type: ignore[arg-type]
        ],
    )
    def test_shuts_for_disconnections_when_its_ceilings_are_broken(self, database: Database, ceilings):
        assert admit(database, request_for(signed()), ceilings=ceilings) is GateCode.BROKEN_CEILINGS

    def test_lets_nothing_open_under_a_ceiling_of_zero(self, database: Database):
        code = admit(database, request_for(signed()), ceilings=Ceilings(per_hour=0))

        assert code is GateCode.CEILING_HOUR
