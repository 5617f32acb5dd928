"""A list as people read it: who stands on it, how, and why in words; its preview; the count that is confirmed."""

from datetime import date

import pytest

from bijlighar.arrears import operations, queries
from bijlighar.arrears.errors import CountDiffers, UnknownList
from bijlighar.arrears.model import ListState, OrderState, Way
from bijlighar.arrears.queries import Sheet
from bijlighar.arrears.rules import Standing
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from tests.arrears.build import POLICY
from tests.arrears.world import World


@pytest.fixture
def world(database: Database) -> World:
    """Two accounts in arrears on the day a list may be drawn up; N2 has life support."""
    started = World(database=database).start(["N1", "N2"]).in_arrears("N1", "N2")
    started.at(date(2025, 7, 14)).hear()
    with database.write() as connection:
        registry.protect_account(
            connection,
            account="N2",
            kind="life_support",
            certificate="C-1",
            until=None,
            by="asha",
            now=started.now,
        )
    return started


def drafted(world: World) -> Sheet:
    with world.database.read() as connection:
        return queries.draft_sheet(connection, office="MHOW", policy=POLICY, now=world.now)


def drawn(world: World, number: int) -> Sheet:
    with world.database.read() as connection:
        return queries.list_sheet(connection, number=number, now=world.now)


class TestListSheet:
    def test_shows_each_account_with_what_a_person_needs(self, world: World):
        first = drawn(world, world.draw()).rows[0]

        assert (first.account, first.name, first.category, first.transformer) == (
            "N1",
            "Name N1",
            "LV-1.2",
            "T-1",
        )
        assert (first.overdue_paise, first.days, first.way) == (300_000, 64, Way.RELAY)
        assert first.notice is not None
        assert (first.notice.served_on, first.notice.served_by) == (date(2025, 6, 22), "print")
        assert first.last_contact == world.now
        assert first.paid_at is None

    def test_keeps_those_who_are_left_out_with_the_reason_in_both_languages(self, world: World):
        sheet = drawn(world, world.draw())

        left_out = sheet.rows[1]
        assert left_out.standing is Standing.FORBIDDEN
        assert [words.hi for words in left_out.reasons] == ["संरक्षित उपभोक्ता (जीवन रक्षक उपकरण)"]
        assert [words.en for words in left_out.reasons] == ["a protected consumer (life-support equipment)"]
        assert sheet.count(Standing.READY) == 1
        assert sheet.overdue_paise == 600_000

    def test_takes_whoever_has_paid_off_and_says_so(self, world: World):
        number = world.draw()

        world.pay("N1", 300_000)

        paid = drawn(world, number).rows[0]
        assert paid.standing is Standing.PAID
        assert [words.en for words in paid.reasons] == ["the dues are settled"]
        assert (paid.paid_at, paid.paid_paise) == (world.now, 300_000)

    def test_says_of_one_who_is_not_proven_served_that_it_can_be_checked(self, database: Database):
        world = World(database=database).start(["N1"])
        world.at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.at(date(2025, 6, 1)).bill("N1", issued_on=date(2025, 6, 1))
        world.at(date(2025, 6, 21)).assess()

        row = drawn(world, world.at(date(2025, 7, 14)).draw()).rows[0]

        assert row.standing is Standing.CHECK
        assert row.notice is not None
        assert row.notice.served_on is None


class TestDraftSheet:
    def test_is_what_the_list_will_be(self, world: World):
        before = drafted(world)

        after = drawn(world, world.draw())

        assert [(row.account, row.state, row.reasons) for row in before.rows] == [
            (row.account, row.state, row.reasons) for row in after.rows
        ]

    def test_changes_nothing(self, world: World):
        drafted(world)

        with world.database.read() as connection:
            assert queries.lists(connection) == ()
            assert queries.decisions(connection) == ()

    def test_does_not_hold_a_list_against_its_own_successor(self, world: World):
        world.draw()

        assert drafted(world).rows[0].standing is Standing.READY


class TestApprovalSheet:
    def test_tells_who_would_be_approved_and_who_has_paid_meanwhile(self, world: World):
        number = world.draw()
        world.pay("N1", 300_000)

        with world.database.read() as connection:
            found = queries.disconnection_list(connection, number=number)
            sheet = queries.approval_sheet(connection, drawn=found, policy=POLICY, now=world.now)

        assert sheet.count(Standing.READY) == 0
        assert [row.standing for row in sheet.rows] == [Standing.PAID, Standing.FORBIDDEN]


class TestConfirmed:
    def test_approves_the_number_that_was_seen(self, world: World):
        number = world.draw()

        approved = operations.approve(
            world.database, number=number, person="vijay", now=world.now, policy=POLICY, confirmed=1
        )

        assert approved == 1

    def test_approves_nothing_under_another_number(self, world: World):
        number = world.draw()

        with pytest.raises(CountDiffers):
            operations.approve(
                world.database, number=number, person="vijay", now=world.now, policy=POLICY, confirmed=2
            )

        assert world.state_of("N1") is OrderState.LISTED
        with world.database.read() as connection:
            assert queries.disconnection_list(connection, number=number).state is ListState.DRAWN


class TestScope:
    def test_knows_no_list_of_another_town(self, world: World):
        number = world.draw()

        with world.database.read() as connection:
            assert queries.disconnection_list(connection, number=number, office="INDORE").number == number
            with pytest.raises(UnknownList):
                queries.disconnection_list(connection, number=number, office="DEPALPUR")

    @pytest.mark.parametrize(
        ("halted", "asked", "shown"),
        [
            (None, "MHOW", True),
            ("INDORE", "MHOW", True),
            ("MHOW", "INDORE", True),
            ("MHOW", "DEPALPUR", False),
        ],
    )
    def test_shows_the_halts_that_concern_an_office(
        self, world: World, halted: str | None, asked: str, shown: bool
    ):
        operations.halt(world.database, person="meera", reason="storm", now=world.now, office=halted)

        with world.database.read() as connection:
            assert bool(queries.halts(connection, office=asked)) is shown
