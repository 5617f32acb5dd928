"""A relay that moved: by our command, by our people, or by somebody else's key."""

from datetime import date, timedelta

from bijlighar.alarms.model import Priority
from bijlighar.arrears.model import OrderState
from bijlighar.headend.model import CommandEvent
from tests.alarms.build import HOUR, MINUTE, RELAY_CLOSED, RELAY_OPENED, event
from tests.alarms.room import Room


class TestWatchTheRelay:
    def test_raises_an_alarm_when_a_relay_moves_by_itself(self, room: Room):
        room.tell(event(RELAY_OPENED), event(RELAY_CLOSED, meter="M-N2"))

        assert {(alarm.source, alarm.code, alarm.priority) for alarm in room.alarms()} == {
            ("M-N1", RELAY_OPENED, Priority.P2),
            ("M-N2", RELAY_CLOSED, Priority.P2),
        }
        assert not room.siren_required()

    def test_raises_none_where_our_command_moved_it(self, room: Room):
        room.world.cut("N1")
        room.tell(event(RELAY_OPENED, at=room.world.now))

        assert room.alarms() == ()

    def test_raises_one_where_it_closes_again_by_itself(self, room: Room):
        room.world.cut("N1")
        room.tell(event(RELAY_CLOSED, at=room.world.now))

        assert [(alarm.code, alarm.priority) for alarm in room.alarms()] == [(RELAY_CLOSED, Priority.P2)]

    def test_raises_one_where_the_gate_let_no_command_through(self, room: Room):
        room.world.sent("N1")
        room.world.head_end_ends(f"A{room.world.order_of('N1').number}-D", CommandEvent.REFUSE)
        room.tell(event(RELAY_OPENED, at=room.world.now + MINUTE))

        assert [(alarm.code, alarm.priority) for alarm in room.alarms()] == [(RELAY_OPENED, Priority.P2)]

    def test_raises_none_where_people_were_sent_to_the_meter(self, room: Room):
        room.world.start(("N1", "N2"), old=("N1",)).in_arrears("N1").at(date(2025, 7, 14)).hear()
        room.world.approve(room.world.draw())
        room.world.deliver_messages()
        room.world.now += timedelta(minutes=30)
        room.world.assess()
        room.world.at(date(2025, 7, 17), 11).send()
        assert room.world.state_of("N1") is OrderState.MANUAL
        room.tell(event(RELAY_OPENED, at=room.world.now + HOUR))

        assert room.alarms() == ()
