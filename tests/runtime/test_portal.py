"""A consumer's page says what the rooms know, and nothing of anybody else."""

import re
from datetime import date, timedelta
from fractions import Fraction
from urllib.parse import parse_qs, urlsplit

import pytest

from bijlighar.arrears.model import OrderState
from bijlighar.base.period import Period, local_midnight
from bijlighar.billing.errors import UnknownBill
from bijlighar.headend import session_store
from bijlighar.headend.model import SESSION_OK, ControlReason, SessionPurpose, SessionRow
from bijlighar.ledger import queries as ledger
from bijlighar.ledger.model import HoldKind, TransferKind
from bijlighar.registry.errors import UnknownAccount
from bijlighar.runtime import billing_run, payment_store
from bijlighar.runtime.documents import own_bill_file
from bijlighar.runtime.line import Line
from bijlighar.runtime.payment_store import ToldPayment
from bijlighar.runtime.portal import portal_page
from bijlighar.runtime.portal_model import DayQuality, PortalPage, SupplyState
from bijlighar.runtime.portal_usage import percent_change
from tests.arrears.world import World
from tests.billing import town as billing_town

BOTH_BILLS = 300_000
MINUTE = timedelta(minutes=1)
#: Enough accounts that the policy's daily share lets several be cut.
QUIET = tuple(f"Q{place:03d}" for place in range(400))


@pytest.fixture
def world(line: Line) -> World:
    return World(database=line.database)


def page(line: Line, world: World, account: str = "N1") -> PortalPage:
    return portal_page(line, account=account, now=world.now)


def speak(world: World, meter: str, outcome: str = SESSION_OK) -> None:
    """The head-end speaks with a meter."""
    row = SessionRow(
        meter=meter, purpose=SessionPurpose.CONTROL, started_at=world.now, duration_ms=900, outcome=outcome
    )
    with world.database.write() as connection:
        session_store.log_sessions(connection, rows=[row])


def restore(world: World, account: str, *, after: timedelta) -> None:
    """A cut account pays, and its relay closes some time later."""
    order_id = world.pay(account, BOTH_BILLS) or ""
    world.now += after
    world.head_end_does(order_id)
    world.follow()


class TestOwed:
    def test_of_an_account_without_a_bill_is_nothing(self, line: Line, world: World):
        shown = page(line, world.start())

        assert (shown.name, shown.place, shown.office) == ("Name N1", "UP-N1", shown.office)
        assert shown.office is not None
        assert shown.office.hi == "महू"
        owed = shown.status.owed
        assert (owed.due_paise, owed.advance_paise, owed.pay_by) == (0, 0, None)
        assert (shown.bill, shown.notice, shown.warned, shown.status.pending, shown.passbook) == (
            None,
            None,
            None,
            (),
            (),
        )
        assert (shown.ways.upi, shown.ways.qr, shown.ways.gateway) == ("", "", False)
        assert not shown.status.is_moving

    def test_is_what_the_ledger_says(self, line: Line, world: World):
        world.start().in_arrears("N1").at(date(2025, 6, 10))

        owed = page(line, world).status.owed
        with line.database.read() as connection:
            dues = ledger.open_dues(connection, account="N1")
        assert owed.due_paise == sum(due.open_paise for due in dues) == BOTH_BILLS
        assert owed.pay_by == dues[1].due_on
        assert (owed.overdue_paise, owed.overdue_since) == (150_000, dues[0].due_on)

    def test_is_not_overdue_on_the_due_day(self, line: Line, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        with line.database.read() as connection:
            (due,) = ledger.open_dues(connection, account="N1")

        on_the_day = page(line, world.at(due.due_on, 23, 59)).status.owed
        day_after = page(line, world.at(due.due_on + timedelta(days=1), 0, 1)).status.owed
        assert (on_the_day.pay_by, on_the_day.overdue_since) == (due.due_on, None)
        assert (day_after.pay_by, day_after.overdue_since) == (None, due.due_on)

    def test_turns_into_an_advance(self, line: Line, world: World):
        world.start().at(date(2025, 5, 1)).bill("N1", issued_on=date(2025, 5, 1))
        world.pay("N1", 200_000)

        shown = page(line, world)
        assert (shown.status.owed.due_paise, shown.status.owed.advance_paise) == (0, 50_000)
        assert shown.ways.upi == ""

    def test_refuses_an_account_that_is_nobodys(self, line: Line, world: World):
        world.start()
        with pytest.raises(UnknownAccount):
            page(line, world, "X1")


class TestWays:
    def test_name_the_company_the_sum_and_the_account(self, line: Line, world: World):
        world.start().in_arrears("N1")

        ways = page(line, world).ways
        asked = parse_qs(urlsplit(ways.upi).query)
        assert ways.upi.startswith("upi://pay?pa=bijlighar@upi&")
        assert (asked["am"], asked["cu"], asked["tn"]) == (["3000.00"], ["INR"], ["N1"])
        assert ways.qr.startswith("<svg")
        assert not re.search(r"style=|<script|on\w+=", ways.qr)
        assert (ways.least_paise, ways.most_paise) == (100, BOTH_BILLS + 1_000_000)


class TestPending:
    def test_shows_what_is_on_its_way_once(self, line: Line, world: World):
        world.start(("N1", "N2")).in_arrears("N1")
        world.hold("N1", 100_000, kind=HoldKind.CHEQUE)
        with line.database.write() as connection:
            for payment_id, account in (("pay_9", "N1"), ("cheque_1", "N1"), ("pay_8", "N2")):
                told = ToldPayment(
                    payment_id=payment_id, account=account, amount_paise=None, told_at=world.now
                )
                payment_store.tell(connection, payment=told)

        shown = page(line, world)
        assert [(each.amount_paise, each.words.en) for each in shown.status.pending] == [
            (100_000, "A cheque is in clearing"),
            (None, "The payment is being confirmed"),
        ]
        assert shown.status.is_moving
        assert shown.status.owed.due_paise == BOTH_BILLS, "money on its way is no income"

    def test_forgets_what_was_told_long_ago(self, line: Line, world: World):
        world.start()
        told = ToldPayment(payment_id="pay_9", account="N1", amount_paise=500, told_at=world.now)
        with line.database.write() as connection:
            payment_store.tell(connection, payment=told)
        world.now += timedelta(days=8)

        assert page(line, world).status.pending == ()


class TestNotice:
    def test_says_from_when_supply_may_be_cut_and_where_the_text_stands(self, line: Line, world: World):
        shown = page(line, world.start().in_arrears("N1"))

        assert shown.notice is not None
        assert (shown.notice.given_on, shown.notice.amount_paise) == (date(2025, 6, 21), BOTH_BILLS)
        assert shown.notice.cut_not_before_on is not None
        assert shown.notice.cut_not_before_on > date(2025, 7, 6)
        assert shown.notice.url.startswith("/n/")

    def test_is_gone_when_what_it_names_is_paid(self, line: Line, world: World):
        world.start().in_arrears("N1")
        world.pay("N1", BOTH_BILLS)

        assert page(line, world).notice is None

    def test_is_followed_by_the_last_warning_with_its_day(self, line: Line, world: World):
        shown = page(line, world.start().approved("N1"))

        assert shown.warned is not None
        assert (shown.warned.amount_paise, shown.warned.cut_on) == (150_000, date(2025, 7, 17))


class TestSupply:
    def test_is_on(self, line: Line, world: World):
        supply = page(line, world.start()).status.supply

        assert (supply.state, supply.reasons, supply.restoration) == (SupplyState.ON, (), None)

    def test_is_being_cut_from_the_order_on(self, line: Line, world: World):
        shown = page(line, world.start().sent("N1"))

        assert (shown.status.supply.state, shown.status.is_moving) == (SupplyState.CUTTING, True)

    def test_is_off_for_reasons_in_words(self, line: Line, world: World):
        shown = page(line, world.start().cut("N1"))

        assert shown.status.supply.state is SupplyState.OFF
        assert len(shown.status.supply.reasons) == 1
        assert ControlReason.ARREARS.value not in shown.status.supply.reasons[0].hi
        assert shown.status.supply.since == world.now
        assert not shown.status.is_moving

    def test_comes_back_and_nothing_is_promised_while_nothing_is_measured(self, line: Line, world: World):
        world.start().cut("N1")
        speak(world, "M-N1")
        world.pay("N1", BOTH_BILLS)

        shown = page(line, world)
        assert (shown.status.supply.state, shown.status.is_moving) == (SupplyState.RESTORING, True)
        coming = shown.status.supply.restoration
        assert coming is not None
        assert (coming.by_hand, coming.is_reachable, coming.usual, coming.expected_at) == (
            False,
            True,
            None,
            None,
        )

    def test_comes_back_in_the_time_that_others_took(self, line: Line, world: World):
        others = [f"N{place}" for place in range(2, 8)]
        world.start(("N1", *others, *QUIET)).cut("N1", *others)
        for place, account in enumerate(others):
            restore(world, account, after=(place + 1) * MINUTE)
        speak(world, "M-N1")
        world.pay("N1", BOTH_BILLS)
        paid_at = world.now

        coming = page(line, world).status.supply.restoration
        assert coming is not None
        assert (coming.usual, coming.long) == (3 * MINUTE, 6 * MINUTE)
        assert (coming.expected_at, coming.is_late) == (paid_at + 3 * MINUTE, False)
        world.now = paid_at + 7 * MINUTE
        late = page(line, world).status.supply.restoration
        assert late is not None
        assert late.is_late

    def test_is_said_to_be_uncertain_where_the_meter_does_not_answer(self, line: Line, world: World):
        others = [f"N{place}" for place in range(2, 8)]
        world.start(("N1", *others, *QUIET)).cut("N1", *others)
        for account in others:
            restore(world, account, after=MINUTE)
        speak(world, "M-N1")
        speak(world, "M-N1", "headend.unreachable")
        world.pay("N1", BOTH_BILLS)

        coming = page(line, world).status.supply.restoration
        assert coming is not None
        assert (coming.is_reachable, coming.expected_at) == (False, None)

    def test_is_brought_by_a_fitter_after_an_hour(self, line: Line, world: World):
        world.start().cut("N1")
        world.pay("N1", BOTH_BILLS)
        paid_at = world.now
        world.now += 60 * MINUTE

        coming = page(line, world).status.supply.restoration
        assert coming is not None
        assert (coming.by_hand, coming.expected_at, coming.is_late) == (
            True,
            paid_at + timedelta(hours=6),
            False,
        )
        world.now = paid_at + timedelta(hours=6, minutes=1)
        late = page(line, world).status.supply.restoration
        assert late is not None
        assert late.is_late

    def test_is_on_again(self, line: Line, world: World):
        world.start().cut("N1")
        restore(world, "N1", after=MINUTE)

        assert world.state_of("N1") is OrderState.CLOSED
        assert page(line, world).status.supply.state is SupplyState.ON


class TestPassbook:
    def test_shows_the_newest_two_dozen_lines_first(self, line: Line, world: World):
        world.start().at(date(2025, 5, 1))
        for _ in range(15):
            world.bill("N1", issued_on=date(2025, 5, 1), paise=1_000)
            world.pay("N1", 1_000)

        passbook = page(line, world).passbook
        assert len(passbook) == 24
        assert (passbook[0].kind, passbook[0].owed_paise) == (TransferKind.PAYMENT, 0)
        assert passbook[1].kind is TransferKind.BILL


@pytest.fixture
def billed(line: Line) -> date:
    """A1 and A2 are billed for April; A1's meter is read every half-hour from 25 March to 2 May, A2's likewise."""
    database = line.database
    billing_town.register(database, billing_town.row("A1", "M-101"), billing_town.row("A2", "M-102"))
    for meter in ("M-101", "M-102"):
        period = Period(start=billing_town.START, end=local_midnight(date(2025, 4, 20)))
        billing_town.measure(database, meter, period=period)
        period = Period(start=local_midnight(date(2025, 4, 20)), end=local_midnight(date(2025, 5, 3)))
        billing_town.measure(
            database, meter, period=period, wh=100, estimated=(3,) if meter == "M-102" else ()
        )
    while billing_run.issue_due(line, billing_town.THIRD_OF_MAY):
        pass
    return date(2025, 5, 3)


@pytest.mark.usefixtures("billed")
class TestBill:
    def test_explains_its_sum_to_the_paisa(self, line: Line):
        shown = portal_page(line, account="A1", now=billing_town.THIRD_OF_MAY)

        bill = shown.bill
        assert bill is not None
        assert str(bill.month) == "2025-04"
        assert sum(each.amount_paise for each in bill.lines) == bill.total_paise
        assert all(each.why.hi and each.why.en for each in bill.lines)
        assert bill.previous_paise + bill.total_paise == bill.payable_paise == shown.status.owed.due_paise

    def test_knows_the_size_of_its_pdf_once_that_is_made(self, line: Line):
        before = portal_page(line, account="A1", now=billing_town.THIRD_OF_MAY).bill
        file = own_bill_file(line, account="A1", number=None, language="hi")
        after = portal_page(line, account="A1", now=billing_town.THIRD_OF_MAY).bill

        assert before is not None
        assert after is not None
        assert (before.pdf_octets, after.pdf_octets) == (None, file.stat().st_size)

    def test_of_another_account_is_as_unknown_as_none(self, line: Line):
        other = portal_page(line, account="A2", now=billing_town.THIRD_OF_MAY).bill
        assert other is not None
        told = set()
        for number in (other.number, "X", ""):
            with pytest.raises(UnknownBill) as problem:
                own_bill_file(line, account="A1", number=number, language="hi")
            told.add(str(problem.value))

        assert len(told) == 1


@pytest.mark.usefixtures("billed")
class TestUsage:
    def test_shows_a_fortnight_against_the_month_before(self, line: Line):
        used = portal_page(line, account="A1", now=billing_town.THIRD_OF_MAY).usage

        assert [day.day for day in used.days] == [
            date(2025, 4, 19) + timedelta(days=count) for count in range(14)
        ]
        assert [day.energy_wh for day in used.days] == [9_600] + [4_800] * 13
        assert {day.quality for day in used.days} == {DayQuality.MEASURED}
        assert used.average_wh == 5_143
        april = Fraction(19 * 9_600 + 11 * 4_800, 30)
        assert (
            used.change_percent == percent_change(now=Fraction(9_600 + 13 * 4_800, 14), before=april) == -34
        )
        assert used.read_to == local_midnight(date(2025, 5, 3))
        assert [(str(month.month), month.energy_wh) for month in used.months] == [("2025-04", 235_200)]

    def test_marks_what_is_estimated_and_what_is_missing(self, line: Line):
        now = billing_town.THIRD_OF_MAY + timedelta(days=1)

        used = portal_page(line, account="A2", now=now).usage
        by_day = {day.day: day for day in used.days}
        assert by_day[date(2025, 4, 20)].quality is DayQuality.ESTIMATED
        assert (by_day[date(2025, 5, 3)].quality, by_day[date(2025, 5, 3)].energy_wh) == (
            DayQuality.MISSING,
            None,
        )

    def test_leaves_out_what_the_meter_measured_elsewhere(self, line: Line):
        since = {"from": "2025-05-01T00:00:00+05:30"}
        rows = (billing_town.row("A1", "M-105", **since), billing_town.row("A3", "M-101", **since))
        billing_town.register(line.database, *rows, now=billing_town.THIRD_OF_MAY)

        used = portal_page(line, account="A3", now=billing_town.THIRD_OF_MAY).usage
        known = [day.day for day in used.days if day.energy_wh is not None]
        assert known == [date(2025, 5, 1), date(2025, 5, 2)]
        assert used.change_percent is None

    def test_of_a_meter_read_by_hand_is_its_months(self, line: Line):
        billing_town.register(line.database, billing_town.row("A4", "M-104", url=""))
        billing_town.read_by_hand(line.database, "M-104", on=date(2025, 5, 1), wh=5_000)

        used = portal_page(line, account="A4", now=billing_town.THIRD_OF_MAY).usage
        assert (used.days, used.average_wh, used.change_percent) == ((), None, None)
        assert used.read_to == local_midnight(date(2025, 5, 1)) + timedelta(hours=11)
