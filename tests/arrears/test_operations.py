from datetime import UTC, date, datetime, timedelta

import pytest

from bijlighar.arrears import operations, queries
from bijlighar.arrears.errors import (
    NotByHand,
    NothingRunning,
    NotToBeApproved,
    ReasonNeeded,
    UnknownList,
    UnknownOrder,
)
from bijlighar.arrears.model import CircumstanceKind, NewCircumstance, OrderState, Way
from bijlighar.headend.model import CommandEvent, CommandState, ControlReason
from bijlighar.ledger import operations as ledger
from bijlighar.ledger.model import HoldKind
from bijlighar.notices.model import Purpose
from bijlighar.offices import queries as offices
from bijlighar.offices.errors import NotPermitted, SamePerson, UnknownPerson
from bijlighar.registry import operations as registry
from bijlighar.registry.model import EndDevice, MeterType
from tests.arrears.build import POLICY
from tests.arrears.world import World, clock, sign

BOTH_BILLS = 300_000
OLDEST_BILL = 150_000


def protect(world: World, account: str, *, until: date | None = None) -> None:
    with world.database.write() as connection:
        registry.protect_account(
            connection,
            account=account,
            kind="life_support",
            certificate="CERT-12",
            until=until,
            by="asha",
            now=world.now,
        )


class TestAssess:
    def test_keeps_each_accounts_ageing(self, world: World):
        world.start(("N1", "N2")).at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.at(date(2025, 6, 1)).assess()

        with world.database.read() as connection:
            rows = queries.ageing(connection, office="INDORE")
            assert queries.assessed_on(connection) == date(2025, 6, 1)
        assert [(row.account, row.to_30_days_paise, row.bills) for row in rows] == [("N1", 150_000, 1)]

    def test_forgets_what_was_paid(self, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.at(date(2025, 6, 1)).assess()
        world.pay("N1", 150_000)
        world.at(date(2025, 6, 2)).assess()

        with world.database.read() as connection:
            assert queries.ageing(connection)[0].overdue_paise == 0

    def test_gives_one_notice_per_episode(self, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        counts = [world.at(date(2025, 6, 20) + timedelta(days=day)).assess() for day in range(4)]

        assert counts == [0, 1, 0, 0]
        assert world.messages(Purpose.STATUTORY_NOTICE) == ["N1", "N1"]  # on paper, and neutral words

    def test_changes_nothing_the_second_time(self, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.at(date(2025, 6, 21))

        assert [world.assess(), world.assess()] == [1, 0]

    def test_gives_a_new_notice_when_the_oldest_due_was_paid(self, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.at(date(2025, 6, 21)).assess()
        world.bill("N1", issued_on=date(2025, 6, 21))
        world.pay("N1", 150_000)

        assert world.at(date(2025, 8, 20)).assess() == 1
        with world.database.read() as connection:
            found = queries.notices(connection, account="N1", policy=POLICY)
        assert [notice.documents for notice in found] == [("B0001",), ("B0002",)]

    def test_names_the_dues_that_are_overdue(self, world: World):
        world.start().in_arrears("N1")

        with world.database.read() as connection:
            (notice,) = queries.notices(connection, account="N1", policy=POLICY)
        assert notice.documents == ("B0001", "B0002")
        assert notice.amount_paise == BOTH_BILLS
        assert notice.served_on == date(2025, 6, 22)

    def test_ends_lists_and_approvals_that_are_too_old(self, world: World):
        world.start(("N1",)).approved("N1")

        world.at(date(2025, 7, 21), 12, 31).assess()

        assert world.state_of("N1") is OrderState.EXPIRED


class TestDrawUpList:
    def test_lists_who_is_due(self, world: World):
        world.start(("N1", "N2")).in_arrears("N1").at(date(2025, 7, 14)).hear()

        number = world.draw()

        (line,) = world.lines(number)
        assert (line.account, line.state, line.due_paise) == ("N1", OrderState.LISTED, OLDEST_BILL)
        assert line.overdue_paise == BOTH_BILLS
        assert line.notice_served_on == date(2025, 6, 22)

    def test_leaves_nobody_out_of_sight(self, world: World):
        world.start(("N1", "N2", "N3", "N4", "N5")).in_arrears("N1", "N2", "N3", "N4", "N5")
        world.at(date(2025, 7, 14)).hear()
        protect(world, "N2")
        world.hold("N3", BOTH_BILLS)
        with world.database.write() as connection:
            operations.enter_circumstance(
                connection,
                circumstance=NewCircumstance(
                    account="N4", kind=CircumstanceKind.DISPUTE, note="complaint 7", document="B0007"
                ),
                person="asha",
                now=world.now,
                signer=sign,
                policy=POLICY,
            )
        world.pay("N5", OLDEST_BILL)

        lines = {line.account: line for line in world.lines(world.draw())}

        assert {account: line.state.value for account, line in lines.items()} == {
            "N1": "listed",
            "N2": "excluded",
            "N3": "excluded",
            "N4": "excluded",
        }
        assert "protected" in lines["N2"].reason_codes
        assert "pending_payment" in lines["N3"].reason_codes
        assert "dispute" in lines["N4"].reason_codes

    def test_leaves_out_who_has_no_notice_served(self, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.at(date(2025, 6, 1)).bill("N1", issued_on=date(2025, 6, 1))
        world.at(date(2025, 6, 21)).assess()

        (line,) = world.at(date(2025, 7, 14)).lines(world.draw())

        assert line.state is OrderState.EXCLUDED
        assert "notice" in line.reason_codes

    def test_stores_the_decision_of_every_row(self, world: World):
        world.start(("N1", "N2")).in_arrears("N1", "N2").at(date(2025, 7, 14))
        protect(world, "N2")
        world.draw()

        with world.database.read() as connection:
            stored = {row.account: row for row in queries.decisions(connection)}
        assert stored["N1"].go
        assert not stored["N2"].go
        assert stored["N2"].record["facts"]["protections"][0]["kind"] == "life_support"

    def test_keeps_the_rows_of_each_list_under_its_number(self, world: World):
        world.start(("N1", "N2")).in_arrears("N1", "N2").at(date(2025, 7, 14)).hear()
        protect(world, "N2")

        assert (world.draw(), world.draw()) == (1, 2)

        first, second = world.lines(1), world.lines(2)
        assert [(line.list_number, line.account) for line in first] == [(1, "N1"), (1, "N2")]
        assert [(line.list_number, line.account) for line in second] == [(2, "N1"), (2, "N2")]
        assert first[0].reason_codes == ("replaced",)
        assert first[1].reason_codes == second[1].reason_codes == ("protected",)
        assert {line.number for line in first}.isdisjoint(line.number for line in second)

    def test_takes_the_place_of_an_unapproved_list(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        first = world.draw()
        second = world.draw()

        assert [line.state for line in world.lines(first)] == [OrderState.CANCELLED]
        assert [line.state for line in world.lines(second)] == [OrderState.LISTED]
        with pytest.raises(NotToBeApproved, match="replaced by a newer one"):
            world.approve(first)

    def test_leaves_out_who_stands_on_an_approved_list(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        world.approve(world.draw())

        (line,) = world.lines(world.draw())

        assert "one_order" in line.reason_codes

    def test_may_be_empty(self, world: World):
        number = world.start().draw()

        assert world.lines(number) == ()
        with pytest.raises(NotToBeApproved, match="nothing to approve"):
            world.approve(number)

    def test_refuses_a_person_of_another_office(self, world: World):
        world.start()

        with pytest.raises(NotPermitted):
            world.draw("ravi")

    def test_refuses_a_person_without_the_role(self, world: World):
        world.start()

        with pytest.raises(NotPermitted):
            world.draw("vijay")

    def test_refuses_a_person_nobody_knows(self, world: World):
        world.start()

        with pytest.raises(UnknownPerson):
            world.draw("nobody")

    def test_is_audited(self, world: World):
        number = world.start().draw()

        with world.database.read() as connection:
            (entry,) = offices.audit(connection, limit=1)
        assert (entry.person, entry.act, entry.subject) == ("asha", "draw_up_list", f"list {number}")


class TestApprove:
    def test_approves_and_warns(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))

        assert world.approve(world.draw()) == 1
        order = world.order_of("N1")
        assert (order.state, order.approved_by) == (OrderState.WARNED, "vijay")
        assert world.messages(Purpose.LAST_WARNING) == ["N1"]

    def test_freezes_the_list_with_a_hash(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        number = world.draw()
        world.approve(number)

        with world.database.read() as connection:
            found = queries.disconnection_list(connection, number=number)
        assert found is not None
        assert found.snapshot_hash is not None
        assert len(found.snapshot_hash) == 64
        assert (found.approved_by, found.listed, found.excluded) == ("vijay", 1, 0)

    def test_refuses_the_one_who_drew_it_up(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        number = world.draw("meera")

        with pytest.raises(SamePerson):
            world.approve(number, "meera")
        assert world.state_of("N1") is OrderState.LISTED

    def test_refuses_the_same_person_in_other_letters(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        number = world.draw("Meera")

        with pytest.raises(SamePerson):
            world.approve(number, " MEERA ")

    def test_refuses_another_office(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))

        with pytest.raises(NotPermitted):
            world.approve(world.draw(), "ravi")

    def test_refuses_a_second_approval(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        number = world.draw()
        world.approve(number)

        with pytest.raises(NotToBeApproved, match="approved by vijay already"):
            world.approve(number, "meera")

    def test_refuses_a_list_that_is_too_old(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        number = world.draw()
        world.at(date(2025, 7, 21), 12, 1)

        with pytest.raises(NotToBeApproved, match="too old"):
            world.approve(number)

    def test_refuses_a_list_nobody_knows(self, world: World):
        world.start()

        with pytest.raises(UnknownList):
            world.approve(99)

    def test_decides_each_row_again(self, world: World):
        world.start(("N1", "N2")).in_arrears("N1", "N2").at(date(2025, 7, 14))
        number = world.draw()
        protect(world, "N1")

        assert world.approve(number) == 1
        assert world.state_of("N1") is OrderState.CANCELLED
        assert world.state_of("N2") is OrderState.WARNED

    def test_leaves_out_who_paid_since(self, world: World):
        world.start(("N1", "N2")).in_arrears("N1", "N2").at(date(2025, 7, 14))
        number = world.draw()
        world.pay("N1", BOTH_BILLS)

        assert world.approve(number) == 1
        assert world.state_of("N1") is OrderState.CANCELLED


class TestSendApproved:
    def test_sends_what_may_be_sent(self, world: World):
        world.start().sent("N1")

        order = world.order_of("N1")
        assert (order.state, order.way) == (OrderState.SENT, Way.RELAY)
        assert world.command_state(f"A{order.number}-D") is CommandState.REQUESTED

    def test_sends_nothing_twice(self, world: World):
        world.start().sent("N1")

        assert world.send() == 0

    def test_names_both_persons_in_the_order(self, world: World):
        world.start().sent("N1")

        with world.database.read() as connection:
            row = connection.exec_driver_sql("SELECT document FROM headend_command").scalar_one()
        assert "asha" in str(row)
        assert "vijay" in str(row)

    @pytest.mark.parametrize(
        ("day", "hour", "minute"),
        [
            (date(2025, 7, 17), 9, 59),
            (date(2025, 7, 17), 16, 0),
            (date(2025, 7, 20), 12, 0),
        ],
    )
    def test_waits_for_the_hours(self, world: World, day: date, hour: int, minute: int):
        world.start().approved("N1").at(day, hour, minute)

        assert world.send() == 0
        assert world.state_of("N1") is OrderState.WARNED

    def test_waits_for_two_full_days_after_the_last_warning(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 16), 15, 59)
        world.hear()

        assert world.send() == 0
        assert world.order_of("N1").reason_codes == ("warned",)
        assert world.at(date(2025, 7, 17), 10).send() == 1

    def test_waits_for_proof_of_the_last_warning(self, world: World):
        world.start(phone=False).in_arrears("N1").at(date(2025, 7, 14)).hear()
        world.approve(world.draw())
        world.at(date(2025, 7, 18)).assess()
        world.hear()

        assert world.send() == 0
        assert "warned" in world.order_of("N1").reason_codes

    @pytest.mark.parametrize("paise", [OLDEST_BILL, BOTH_BILLS])
    def test_never_cuts_who_has_paid(self, world: World, paise: int):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        world.pay("N1", paise)

        assert world.send() == 0
        assert world.state_of("N1") is OrderState.CANCELLED

    def test_never_cuts_whose_money_came_without_a_word(self, world: World):
        """A payment whose release was forgotten is seen by the last decision."""
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        with world.database.write() as connection:
            ledger.place_hold(
                connection,
                account="N1",
                provider="counter",
                payment_id="cheque 9",
                amount_paise=BOTH_BILLS,
                kind=HoldKind.CHEQUE,
                now=world.now,
            )

        assert world.send() == 0
        assert world.state_of("N1") is OrderState.CANCELLED
        assert {"settled", "pending_payment"} <= set(world.order_of("N1").reason_codes)

    def test_never_cuts_who_came_under_protection(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        protect(world, "N1")

        assert world.send() == 0
        assert world.state_of("N1") is OrderState.CANCELLED

    def test_never_cuts_at_another_meter(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        with world.database.write() as connection:
            registry.take_down_meter(connection, usage_point="UP-N1", meter="M-N1", at=world.now)
            new = EndDevice(serial="M-NEW", meter_type=MeterType.SINGLE_PHASE, url="tcp://10.0.0.9:4059")
            registry.hang_meter(connection, usage_point="UP-N1", device=new, at=world.now)
        world.now += timedelta(minutes=1)

        assert world.send() == 0
        assert "meter" in world.order_of("N1").reason_codes

    def test_lapses_with_the_approval(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 22), 11).hear()

        assert world.send() == 0
        assert world.state_of("N1") is OrderState.EXPIRED

    def test_keeps_within_the_share_of_an_office(self, world: World):
        accounts = tuple(f"N{number}" for number in range(1, 5))
        world.start(accounts).approved(*accounts).at(date(2025, 7, 17), 11).hear()

        assert world.send() == 1
        assert world.at(date(2025, 7, 17), 15).send() == 0
        assert world.at(date(2025, 7, 18), 11).send() == 1

    def test_hands_a_silent_meter_to_the_town_office(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11)

        assert world.send() == 1
        order = world.order_of("N1")
        assert (order.state, order.way) == (OrderState.MANUAL, Way.BY_HAND)
        assert world.command_state(f"A{order.number}-D") is None
        with world.database.read() as connection:
            (work,) = queries.hand_work(connection, now=world.now, policy=POLICY, office="MHOW")
        assert (work.name, work.reconnect, work.forbidden) == ("Name N1", False, False)

    def test_stores_one_refusal_however_often_it_is_repeated(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 16), 11).hear()
        for hours in range(4):
            world.at(date(2025, 7, 16), 11 + hours).send()

        with world.database.read() as connection:
            stored = queries.decisions(connection, order_number=world.order_of("N1").number)
        assert [row.stage for row in stored] == ["send", "approve", "draw"]

    def test_leaves_nothing_pending_behind(self, world: World):
        world.start(("N1", "N2", "N3")).approved("N1", "N2", "N3").at(date(2025, 7, 17), 11).hear()

        world.send()

        with world.database.read() as connection:
            assert queries.pending_send(connection, now=world.now, policy=POLICY) == 0

    def test_expires_with_the_days_hours(self, world: World):
        world.start().sent("N1")

        with world.database.read() as connection:
            row = connection.exec_driver_sql("SELECT not_after FROM headend_command").scalar_one()
        at = datetime.fromisoformat(row) if isinstance(row, str) else row
        assert (at if at.tzinfo else at.replace(tzinfo=UTC)) == clock(date(2025, 7, 17), 16)


class TestHalt:
    def test_stops_all_sending(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        operations.halt(world.database, person="asha", reason="storm", now=world.now, office="MHOW")

        assert world.send() == 0
        assert world.order_of("N1").reason_codes == ("halt",)

    def test_stops_the_company(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        operations.halt(world.database, person="vijay", reason="flood", now=world.now)

        assert world.send() == 0
        with world.database.read() as connection:
            assert queries.is_halted(connection)
            assert queries.pending_send(connection, now=world.now, policy=POLICY) == 0

    def test_stops_the_offices_below(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        operations.halt(world.database, person="vijay", reason="flood", now=world.now, office="INDORE")

        assert world.send() == 0

    def test_leaves_other_offices_alone(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        operations.halt(world.database, person="ravi", reason="x", now=world.now, office="DEPALPUR")

        assert world.send() == 1

    def test_calls_back_what_has_not_left(self, world: World):
        world.start().sent("N1")

        assert operations.halt(world.database, person="vijay", reason="fault", now=world.now) == 1
        assert world.state_of("N1") is OrderState.CANCELLED
        assert world.command_state(f"A{world.order_of('N1').number}-D") is CommandState.CANCELLED

    def test_cannot_call_back_what_has_left(self, world: World):
        world.start().sent("N1")
        world.head_end_sends(f"A{world.order_of('N1').number}-D")

        assert operations.halt(world.database, person="vijay", reason="fault", now=world.now) == 0
        assert world.state_of("N1") is OrderState.SENT

    def test_does_not_stop_reconnections(self, world: World):
        world.start().cut("N1")
        operations.halt(world.database, person="vijay", reason="fault", now=world.now)

        assert world.pay("N1", BOTH_BILLS) is not None

    def test_needs_a_reason(self, world: World):
        world.start()

        with pytest.raises(ReasonNeeded):
            operations.halt(world.database, person="vijay", reason="  ", now=world.now)


class TestResume:
    def test_lets_go_on(self, world: World):
        world.start().approved("N1").at(date(2025, 7, 17), 11).hear()
        operations.halt(world.database, person="asha", reason="storm", now=world.now, office="MHOW")
        operations.resume(world.database, person="vijay", reason="over", now=world.now, office="MHOW")

        assert world.send() == 1

    def test_needs_the_right(self, world: World):
        world.start()
        operations.halt(world.database, person="asha", reason="storm", now=world.now, office="MHOW")

        with pytest.raises(NotPermitted):
            operations.resume(world.database, person="asha", reason="over", now=world.now, office="MHOW")

    def test_needs_a_halt(self, world: World):
        world.start()

        with pytest.raises(NothingRunning):
            operations.resume(world.database, person="vijay", reason="over", now=world.now)

    def test_needs_a_reason(self, world: World):
        world.start()
        operations.halt(world.database, person="vijay", reason="storm", now=world.now)

        with pytest.raises(ReasonNeeded):
            operations.resume(world.database, person="vijay", reason="", now=world.now)


class TestFollowCommands:
    def test_notes_a_verified_cut(self, world: World):
        world.start().cut("N1")

        assert world.state_of("N1") is OrderState.OPEN
        assert world.reasons("N1") == {"arrears"}
        assert world.messages(Purpose.DISCONNECTED) == ["N1"]

    def test_tells_each_end_once(self, world: World):
        world.start().cut("N1")

        assert world.follow() == 0
        assert world.messages(Purpose.DISCONNECTED) == ["N1"]

    @pytest.mark.parametrize(
        ("event", "state"),
        [
            (CommandEvent.FAIL, OrderState.FAILED),
            (CommandEvent.LOSE, OrderState.UNKNOWN),
        ],
    )
    def test_notes_what_went_wrong(self, world: World, event: CommandEvent, state: OrderState):
        world.start().sent("N1")
        world.head_end_does(f"A{world.order_of('N1').number}-D", event)
        world.follow()

        assert world.state_of("N1") is state
        assert world.reasons("N1") == set()

    @pytest.mark.parametrize(
        ("event", "state"),
        [(CommandEvent.EXPIRE, OrderState.EXPIRED), (CommandEvent.REFUSE, OrderState.FAILED)],
    )
    def test_notes_what_never_left(self, world: World, event: CommandEvent, state: OrderState):
        world.start().sent("N1")
        world.head_end_ends(f"A{world.order_of('N1').number}-D", event)
        world.follow()

        assert world.state_of("N1") is state

    @pytest.mark.parametrize(
        ("event", "state"), [(CommandEvent.VERIFY, OrderState.OPEN), (CommandEvent.FAIL, OrderState.FAILED)]
    )
    def test_settles_doubt_when_the_relay_was_read(
        self, world: World, event: CommandEvent, state: OrderState
    ):
        world.start().sent("N1")
        command = f"A{world.order_of('N1').number}-D"
        world.head_end_does(command, CommandEvent.LOSE)
        world.follow()
        world.head_end_ends(command, event)
        world.follow()

        assert world.state_of("N1") is state

    def test_gives_back_at_once_what_was_paid_on_the_way_without_a_word(self, world: World):
        world.start().sent("N1")
        with world.database.write() as connection:
            ledger.place_hold(
                connection,
                account="N1",
                provider="counter",
                payment_id="cheque 9",
                amount_paise=BOTH_BILLS,
                kind=HoldKind.CHEQUE,
                now=world.now,
            )
        world.head_end_does(f"A{world.order_of('N1').number}-D")
        world.follow()

        assert world.state_of("N1") is OrderState.RECONNECTING
        assert world.command_state(f"A{world.order_of('N1').number}-R1") is CommandState.REQUESTED

    def test_closes_the_order_and_tells_the_consumer(self, world: World):
        world.start().cut("N1")
        world.now += timedelta(hours=2)
        reconnect = world.pay("N1", BOTH_BILLS)
        assert reconnect is not None
        world.head_end_does(reconnect)
        world.follow()

        order = world.order_of("N1")
        assert order.state is OrderState.CLOSED
        assert order.closed_at == world.now
        assert world.messages(Purpose.RECONNECTED) == ["N1"]
        assert world.relays["M-N1"]

    def test_closes_again_a_relay_that_opened_after_the_reconnection(self, world: World):
        """The cut is told after the reconnection: the relay is open last, so it is closed again."""
        world.start().sent("N1")
        cut = f"A{world.order_of('N1').number}-D"
        world.head_end_sends(cut)
        first = world.pay("N1", BOTH_BILLS)
        assert first is not None
        world.head_end_does(first)
        world.head_end_ends(cut)
        world.follow()

        assert world.state_of("N1") is OrderState.RECONNECTING
        second = f"A{world.order_of('N1').number}-R2"
        world.head_end_does(second)
        world.follow()
        assert world.state_of("N1") is OrderState.CLOSED
        assert world.relays["M-N1"]


class TestReleasePaid:
    def test_does_nothing_for_an_account_without_an_order(self, world: World):
        assert world.start().pay("N1", 100) is None

    def test_reconnects_at_once_at_any_hour(self, world: World):
        world.start().cut("N1").at(date(2025, 7, 20), 2, 30)

        order_id = world.pay("N1", BOTH_BILLS)

        assert order_id is not None
        assert world.command_state(order_id) is CommandState.REQUESTED
        assert world.reasons("N1") == set()
        assert world.state_of("N1") is OrderState.RECONNECTING

    def test_reconnects_once(self, world: World):
        world.start().cut("N1")

        first = world.pay("N1", BOTH_BILLS)
        second = world.pay("N1", 5)

        assert first == second
        with world.database.read() as connection:
            commands = queries.commands(connection, order_number=world.order_of("N1").number)
        assert [command.action for command in commands] == ["disconnect", "reconnect"]

    def test_keeps_off_what_is_paid_in_part(self, world: World):
        world.start().cut("N1")

        assert world.pay("N1", OLDEST_BILL - 1) is None
        assert world.state_of("N1") is OrderState.OPEN

    def test_reconnects_for_a_payment_on_its_way(self, world: World):
        world.start().cut("N1")

        assert world.hold("N1", BOTH_BILLS, kind=HoldKind.UPI) is not None

    def test_reconnects_for_the_lesser_sum_under_protest(self, world: World):
        world.start().cut("N1")

        assert world.hold("N1", OLDEST_BILL, kind=HoldKind.PROTEST) is not None

    @pytest.mark.parametrize("point", ["listed", "approved"])
    def test_cancels_what_has_not_left(self, world: World, point: str):
        world.start()
        if point == "listed":
            world.in_arrears("N1").at(date(2025, 7, 14)).draw()
        else:
            world.approved("N1")

        assert world.pay("N1", BOTH_BILLS) is None
        assert world.state_of("N1") is OrderState.CANCELLED

    def test_calls_back_a_command_that_has_not_left(self, world: World):
        world.start().sent("N1")

        assert world.pay("N1", BOTH_BILLS) is None
        assert world.state_of("N1") is OrderState.CANCELLED
        assert world.command_state(f"A{world.order_of('N1').number}-D") is CommandState.CANCELLED

    def test_reconnects_what_may_have_left(self, world: World):
        world.start().sent("N1")
        world.head_end_sends(f"A{world.order_of('N1').number}-D")

        assert world.pay("N1", BOTH_BILLS) is not None
        assert world.state_of("N1") is OrderState.RECONNECTING

    def test_reconnects_what_nobody_knows(self, world: World):
        world.start().sent("N1")
        world.head_end_does(f"A{world.order_of('N1').number}-D", CommandEvent.LOSE)
        world.follow()

        assert world.pay("N1", BOTH_BILLS) is not None

    def test_keeps_off_for_another_reason(self, world: World):
        world.start().cut("N1")
        with world.database.write() as connection:
            operations.add_reason(
                connection,
                account="N1",
                reason=ControlReason.SAFETY,
                person="vijay",
                note="wet wall",
                now=world.now,
            )

        assert world.pay("N1", BOTH_BILLS) is None
        assert world.state_of("N1") is OrderState.HELD
        assert world.reasons("N1") == {"safety"}

        with world.database.write() as connection:
            started = operations.withdraw_reason(
                connection,
                account="N1",
                reason=ControlReason.SAFETY,
                person="vijay",
                now=world.now,
                signer=sign,
            )
        assert started is not None
        assert world.state_of("N1") is OrderState.RECONNECTING

    def test_takes_away_no_other_reason(self, world: World):
        world.start()
        with world.database.write() as connection, pytest.raises(NothingRunning):
            operations.withdraw_reason(
                connection,
                account="N1",
                reason=ControlReason.ARREARS,
                person="asha",
                now=world.now,
                signer=sign,
            )

    def test_goes_with_the_payment_or_not_at_all(self, world: World):
        world.start().cut("N1")

        def broken(_order: object) -> object:
            raise RuntimeError("no key")

        def pay() -> None:
            with world.database.write() as connection:
                ledger.place_hold(
                    connection,
                    account="N1",
                    provider="counter",
                    payment_id="cheque 9",
                    amount_paise=BOTH_BILLS,
                    kind=HoldKind.CHEQUE,
                    now=world.now,
                )
                operations.release_paid(
                    connection,
                    account="N1",
                    now=world.now,
                    signer=broken,  # type: ignore[arg-type]
                    policy=POLICY,
                )

        with pytest.raises(RuntimeError):
            pay()
        assert world.state_of("N1") is OrderState.OPEN
        assert world.reasons("N1") == {"arrears"}


class TestEnsureReconnects:
    def test_heals_a_release_that_was_missed(self, world: World):
        world.start().cut("N1")
        with world.database.write() as connection:
            ledger.place_hold(
                connection,
                account="N1",
                provider="counter",
                payment_id="cheque 9",
                amount_paise=BOTH_BILLS,
                kind=HoldKind.CHEQUE,
                now=world.now,
            )

        assert world.ensure() == 1
        assert world.state_of("N1") is OrderState.RECONNECTING
        assert world.ensure() == 0

    def test_gives_back_to_who_came_under_protection(self, world: World):
        world.start().cut("N1")
        protect(world, "N1")

        assert world.ensure() == 1

    def test_leaves_off_what_is_owed(self, world: World):
        world.start().cut("N1")

        assert world.ensure() == 0
        assert world.state_of("N1") is OrderState.OPEN

    @pytest.mark.parametrize("event", [CommandEvent.EXPIRE, CommandEvent.REFUSE, CommandEvent.FAIL])
    def test_tries_again_until_verified(self, world: World, event: CommandEvent):
        world.start().cut("N1")
        first = world.pay("N1", BOTH_BILLS)
        assert first is not None
        world.head_end_ends(first, event)
        world.follow()

        assert world.ensure() == 0
        world.now += timedelta(minutes=POLICY.reconnect_retry_minutes)
        assert world.ensure() == 1
        second = f"A{world.order_of('N1').number}-R2"
        assert world.command_state(second) is CommandState.REQUESTED
        assert world.ensure() == 0
        world.head_end_does(second)
        world.follow()
        assert world.state_of("N1") is OrderState.CLOSED

    def test_sends_the_town_office_when_it_takes_too_long(self, world: World):
        world.start().cut("N1")
        world.pay("N1", BOTH_BILLS)
        with world.database.read() as connection:
            assert queries.hand_work(connection, now=world.now, policy=POLICY) == ()
        world.now += timedelta(minutes=POLICY.by_hand_after_minutes)

        with world.database.read() as connection:
            (work,) = queries.hand_work(connection, now=world.now, policy=POLICY)
        assert work.reconnect


class TestRecordManual:
    def record(
        self, world: World, *, done: bool, at: datetime | None = None, person: str = "asha"
    ) -> OrderState:
        with world.database.write() as connection:
            return operations.record_manual(
                connection,
                order=world.order_of("N1").number,
                done=done,
                person=person,
                now=world.now,
                signer=sign,
                policy=POLICY,
                at=at,
            )

    def handed_over(self, world: World) -> World:
        world.start(old=("N1",)).approved("N1").at(date(2025, 7, 17), 11)
        assert world.send() == 1
        assert world.state_of("N1") is OrderState.MANUAL
        return world

    def test_opens_and_closes_by_hand(self, world: World):
        self.handed_over(world).at(date(2025, 7, 17), 14)

        assert self.record(world, done=True) is OrderState.OPEN
        assert world.reasons("N1") == {"arrears"}
        assert world.pay("N1", BOTH_BILLS) == f"A{world.order_of('N1').number}-hand"
        assert world.messages(Purpose.RECONNECT_EXPECTED) == ["N1"]
        assert self.record(world, done=True) is OrderState.CLOSED
        assert world.messages(Purpose.RECONNECTED) == ["N1"]

    def test_notes_that_nothing_was_cut(self, world: World):
        self.handed_over(world)

        assert self.record(world, done=False) is OrderState.FAILED

    def test_cancels_the_order_of_who_paid(self, world: World):
        self.handed_over(world)
        world.pay("N1", BOTH_BILLS)

        assert world.state_of("N1") is OrderState.CANCELLED
        with world.database.read() as connection:
            (work,) = queries.hand_work(connection, now=world.now, policy=POLICY)
        assert work.forbidden

    def test_reconnects_who_was_cut_after_paying(self, world: World):
        self.handed_over(world)
        world.pay("N1", BOTH_BILLS)

        assert self.record(world, done=True) is OrderState.RECONNECTING
        assert self.record(world, done=True) is OrderState.CLOSED

    @pytest.mark.parametrize("moment", [(date(2025, 7, 17), 17), (date(2025, 7, 17), 10)])
    def test_reconnects_who_was_cut_outside_the_hours_or_before_the_order(
        self, world: World, moment: tuple[date, int]
    ):
        self.handed_over(world)
        at = clock(*moment)
        world.at(date(2025, 7, 17), 18)

        assert self.record(world, done=True, at=at) is OrderState.RECONNECTING

    def test_lapses_with_the_approval_and_reconnects_what_was_cut_after(self, world: World):
        self.handed_over(world).at(date(2025, 7, 22)).assess()
        assert world.state_of("N1") is OrderState.EXPIRED

        assert self.record(world, done=True) is OrderState.RECONNECTING

    def test_is_called_back_by_a_halt(self, world: World):
        self.handed_over(world)

        assert operations.halt(world.database, person="vijay", reason="x", now=world.now) == 1
        assert world.state_of("N1") is OrderState.CANCELLED

    def test_cancels_a_newer_order_when_the_ended_one_was_carried_out(self, world: World):
        self.handed_over(world)
        operations.halt(world.database, person="vijay", reason="x", now=world.now)
        first = world.order_of("N1").number
        world.approve(world.draw())
        assert world.state_of("N1") is OrderState.WARNED

        with world.database.write() as connection:
            state = operations.record_manual(
                connection,
                order=first,
                done=True,
                person="asha",
                now=world.now,
                signer=sign,
                policy=POLICY,
            )
        assert state is OrderState.RECONNECTING
        assert world.state_of("N1") is OrderState.CANCELLED

    def test_takes_note_that_an_ended_order_was_not_carried_out(self, world: World):
        self.handed_over(world)
        world.pay("N1", BOTH_BILLS)

        assert self.record(world, done=False) is OrderState.CANCELLED

    def test_ends_a_reconnection_that_does_not_come_over_the_air(self, world: World):
        world.start().cut("N1")
        order_id = world.pay("N1", BOTH_BILLS)
        assert order_id is not None

        assert self.record(world, done=True) is OrderState.CLOSED
        assert world.command_state(order_id) is CommandState.CANCELLED

    def test_refuses_an_order_that_is_not_by_hand(self, world: World):
        world.start().sent("N1")

        with pytest.raises(NotByHand):
            self.record(world, done=True)

    def test_refuses_an_order_nobody_knows(self, world: World):
        world.start()

        with world.database.write() as connection, pytest.raises(UnknownOrder):
            operations.record_manual(
                connection, order=9, done=True, person="asha", now=world.now, signer=sign, policy=POLICY
            )

    def test_refuses_a_person_of_another_office(self, world: World):
        self.handed_over(world)

        with pytest.raises(NotPermitted):
            self.record(world, done=True, person="ravi")


class TestCircumstances:
    def enter(self, world: World, kind: CircumstanceKind, *, note: str = "letter 7") -> int:
        with world.database.write() as connection:
            return operations.enter_circumstance(
                connection,
                circumstance=NewCircumstance(account="N1", kind=kind, note=note),
                person="asha",
                now=world.now,
                signer=sign,
                policy=POLICY,
            )

    @pytest.mark.parametrize("kind", [CircumstanceKind.DISPUTE, CircumstanceKind.INSTALMENTS])
    def test_give_supply_back(self, world: World, kind: CircumstanceKind):
        world.start().cut("N1")
        self.enter(world, kind)

        assert world.state_of("N1") is OrderState.RECONNECTING

    def test_end(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        number = self.enter(world, CircumstanceKind.DISPUTE)
        assert world.lines(world.draw())[0].state is OrderState.EXCLUDED

        with world.database.write() as connection:
            operations.end_circumstance(connection, number=number, person="vijay", now=world.now)
        assert world.lines(world.draw())[0].state is OrderState.LISTED

    def test_end_once(self, world: World):
        world.start()
        number = self.enter(world, CircumstanceKind.DISPUTE)
        with world.database.write() as connection:
            operations.end_circumstance(connection, number=number, person="vijay", now=world.now)

        with world.database.write() as connection, pytest.raises(NothingRunning):
            operations.end_circumstance(connection, number=number, person="vijay", now=world.now)

    def test_need_a_paper(self, world: World):
        world.start()

        with pytest.raises(ReasonNeeded):
            self.enter(world, CircumstanceKind.DISPUTE, note=" ")


class TestExplain:
    def explain(self, world: World, *, on: date | None = None) -> str:
        with world.database.read() as connection:
            found = queries.explain(connection, account="N1", policy=POLICY, now=world.now, on=on)
        assert all(line.hi and line.en for line in found.lines)
        return "\n".join(line.en for line in found.lines)

    def test_says_that_nothing_is_owed(self, world: World):
        text = self.explain(world.start())

        assert "nothing is owed; credit ₹0.00" in text
        assert "nothing will be cut" in text

    def test_says_when_it_could_be_cut(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 6, 25))

        text = self.explain(world)

        assert "owed in all: ₹3,000.00" in text
        assert "served on 22-06-2025; no cut before 08-07-2025" in text
        assert "at the earliest on 14-07-2025 10:00" in text

    def test_says_what_forbids_it(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        protect(world, "N1")

        text = self.explain(world)

        assert "a protected consumer (life-support equipment)" in text
        assert "protected, so supply will not be cut" in text

    def test_says_that_it_is_off(self, world: World):
        text = self.explain(world.start().cut("N1"))

        assert "supply is off: arrears" in text
        assert "supply cut" in text

    def test_of_an_earlier_day_is_by_the_dues_payments_and_notices_of_that_day(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))
        before = self.explain(world, on=date(2025, 6, 10))
        world.pay("N1", 300_000)

        assert "nothing is owed; credit ₹0.00" in self.explain(world)
        assert "owed in all: ₹3,000.00" in self.explain(world, on=date(2025, 7, 13))
        assert "served on 22-06-2025" in self.explain(world, on=date(2025, 7, 13))
        assert self.explain(world, on=date(2025, 6, 10)) == before
        assert "no statutory notice was given" in before
        assert "owed in all: ₹1,500.00" in self.explain(world, on=date(2025, 5, 20))
        assert "nothing is owed" in self.explain(world, on=date(2025, 4, 20))

    def test_says_what_an_explanation_of_another_day_rests_on(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 7, 14))

        assert "are those of that day; order, supply" in self.explain(world, on=date(2025, 7, 13))
        assert "reckoned from today's dues" in self.explain(world, on=date(2025, 7, 15))
        for text in (self.explain(world), self.explain(world, on=date(2025, 7, 14))):
            assert "that day" not in text
            assert "reckoned" not in text

    def test_looks_ahead(self, world: World):
        world.start().in_arrears("N1").at(date(2025, 6, 25))

        assert "verdict: supply may not be cut" in self.explain(world, on=date(2025, 7, 10))
        assert "verdict: may be put on the list" in self.explain(world, on=date(2025, 7, 11))
