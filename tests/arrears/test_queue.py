"""The orders under way as people watch them: the most urgent first, doubt as doubt, nothing of another town."""

from datetime import date, timedelta

import pytest

from bijlighar.arrears import queries
from bijlighar.arrears.errors import UnknownOrder
from bijlighar.arrears.model import OrderState
from bijlighar.arrears.queries import Queue
from bijlighar.headend.model import CommandEvent, CommandState
from bijlighar.storage.engine import Database
from tests.arrears.build import POLICY
from tests.arrears.world import World, clock


@pytest.fixture
def world(database: Database) -> World:
    """A town with three accounts."""
    return World(database=database).start(["N1", "N2", "N3"])


def queue(world: World, office: str = "INDORE", **wanted: object) -> Queue:
    with world.database.read() as connection:
        return queries.queue(connection, office=office, now=world.now, policy=POLICY, **wanted)  # type: ignore[arg-type]


def one_is_sent(world: World) -> None:
    """Of three orders the day's share lets one go."""
    world.approved("N1", "N2", "N3").at(date(2025, 7, 17), 11).hear()
    assert world.send() == 1


class TestQueue:
    def test_shows_a_sent_order_with_its_command(self, world: World):
        world.sent("N1")

        (line,) = queue(world).lines

        assert line.order.state is OrderState.SENT
        assert line.command is not None
        assert line.command.state is CommandState.REQUESTED
        assert (line.name, line.relay, line.is_late) == ("Name N1", None, False)

    def test_shows_doubt_as_a_state_of_its_own(self, world: World):
        world.sent("N1")
        world.head_end_does(f"A{world.order_of('N1').number}-D", CommandEvent.LOSE)
        world.follow()

        found = queue(world)

        assert found.counts[OrderState.UNKNOWN] == 1
        assert found.lines[0].command is not None
        assert found.lines[0].command.state is CommandState.UNKNOWN
        assert found.lines[0].reasons

    def test_puts_reconnections_first_and_marks_the_late_one(self, world: World):
        one_is_sent(world)
        world.head_end_does(f"A{world.order_of('N1').number}-D")
        world.follow()
        world.pay("N1", 300_000)
        world.now += timedelta(minutes=POLICY.by_hand_after_minutes + 1)

        found = queue(world)

        assert [line.order.account for line in found.lines] == ["N1", "N2", "N3"]
        assert found.lines[0].is_late
        assert found.late == 1

    def test_says_from_when_a_warned_order_may_be_sent(self, world: World):
        world.approved("N1")

        (line,) = queue(world).lines

        assert line.send_from == clock(date(2025, 7, 17), 10)

    def test_narrows_to_states_and_says_how_many_more_there_are(self, world: World):
        one_is_sent(world)

        assert queue(world, states=(OrderState.UNKNOWN,)).lines == ()
        short = queue(world, states=(OrderState.WARNED,), limit=1)
        assert (len(short.lines), short.left_out) == (1, 1)

    def test_drops_what_ended_long_ago(self, world: World):
        world.cut("N1")
        world.pay("N1", 300_000)
        world.head_end_does(f"A{world.order_of('N1').number}-R1")
        world.follow()

        assert [line.order.state for line in queue(world).lines] == [OrderState.CLOSED]
        world.now += timedelta(days=3)
        assert queue(world).lines == ()

    def test_shows_nothing_of_another_town(self, world: World):
        world.sent("N1")

        assert queue(world, office="DEPALPUR").lines == ()


class TestStory:
    def test_tells_decisions_commands_and_the_relay(self, world: World):
        world.cut("N1")

        with world.database.read() as connection:
            told = queries.story(
                connection,
                number=world.order_of("N1").number,
                office="MHOW",
                now=world.now,
                policy=POLICY,
            )

        assert [row.stage for row in told.decisions] == ["send", "approve", "draw"]
        ((own, sent),) = told.commands
        assert own.outcome == "verified"
        assert sent is not None
        assert sent.sent_at == world.now

    def test_knows_no_order_of_another_town(self, world: World):
        world.sent("N1")

        with world.database.read() as connection, pytest.raises(UnknownOrder):
            queries.story(
                connection,
                number=world.order_of("N1").number,
                office="DEPALPUR",
                now=world.now,
                policy=POLICY,
            )
