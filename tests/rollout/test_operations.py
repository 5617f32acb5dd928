from datetime import date, datetime, timedelta

import numpy as np
import pytest

from bijlighar.base.lifecycle import IllegalStep
from bijlighar.base.period import Month, epoch_seconds, local_midnight
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.errors import NotPermitted, UnknownOffice
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.model import Delivery, Origin, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.registry import queries as registry_queries
from bijlighar.rollout import operations, queries
from bijlighar.rollout.errors import (
    CannotInstall,
    CannotPlan,
    RefusedPlan,
    RefusedStock,
    UnknownOrder,
    UnknownStock,
)
from bijlighar.rollout.model import OrderState, StockState
from bijlighar.storage.engine import Database

NOW = local_midnight(date(2025, 8, 1)) + timedelta(hours=6)
AT = NOW - timedelta(hours=2)
OFFICES = """code,name_en,name_hi,level,parent
WEST,West,पश्चिम,company,
INDORE,Indore,इंदौर,region,WEST
MHOW-1,Mhow,महू,town-office,INDORE
DHAR-1,Dhar,धार,town-office,WEST
"""
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office"
)
REGISTRY = (
    HEADER
    + """,from
A1,,,,,U1,OLD-1,single-phase,,T1,F1,,MHOW-1,
A2,,,,,U2,OLD-2,single-phase,,T1,F1,,MHOW-1,
A3,,,,,U3,SM-3,single-phase,tcp://h:3,T1,F1,,MHOW-1,2025-05-10
A4,,,,,U4,SM-4,single-phase,tcp://h:4,T1,F1,,MHOW-1,
A5,,,,,U5,,,,T1,F1,,MHOW-1,
A6,,,,,U6,OLD-6,single-phase,,T2,F1,,DHAR-1,
,,,,,,MT1,transformer,tcp://h:9,T1,F1,,MHOW-1,
"""
)
STOCK = "serial,meter_type,store,box,url\n" + "".join(
    f"NEW-{n},single-phase,INDORE-STORE,B1,tcp://h:{100 + n}\n" for n in range(1, 6)
)
PEOPLE = {"engineer": Role.ENGINEER, "keeper": Role.STORE_KEEPER, "fitter": Role.FITTER, "clerk": Role.CLERK}


@pytest.fixture
def town(database: Database) -> Database:
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for sign_in, role in PEOPLE.items():
            offices.add_person(connection, sign_in=sign_in, name="", office="INDORE", roles=[role], now=NOW)
        registry.import_registry(connection, text=REGISTRY, now=NOW)
    return database


@pytest.fixture
def stocked(town: Database) -> Database:
    with town.write() as connection:
        operations.receive_stock(connection, text=STOCK, person="keeper", now=NOW)
    return town


@pytest.fixture
def issued(stocked: Database) -> Database:
    """Orders 1 and 2 for U1 and U2 are with the fitter, and so is the meter NEW-1."""
    begin = local_midnight(date(2025, 7, 1))
    with stocked.write() as connection:
        operations.draw_up_orders(connection, office="MHOW-1", limit=10, person="engineer", now=NOW)
        for number in (1, 2):
            operations.issue_order(connection, number=number, fitter="fitter", person="engineer", now=NOW)
        operations.issue_stock(connection, serials=["NEW-1"], fitter="fitter", person="keeper", now=NOW)
        hand = RegisterSnapshot(
            meter="OLD-1", at=begin, kind=RegisterKind.HAND, wh_import=1_000_000, origin=Origin.HAND
        )
        readings.append_registers(connection, snapshots=[hand], now=NOW)
    return stocked


def install(database: Database, **changed: object):
    given = {
        "number": 1,
        "meter": "NEW-1",
        "at": AT,
        "old_register_wh": 1_200_000,
        "new_register_wh": 7,
        "person": "fitter",
        "now": NOW,
    }
    with database.write() as connection:
        return operations.install_meter(connection, **{**given, **changed})


class TestPlanTargets:
    TEXT = "office,month,meters\nMHOW-1,2025-08,3\nMHOW-1,2025-09,2\n"

    def test_takes_in_a_plan_and_repeats_without_change(self, town):
        with town.write() as connection:
            assert operations.plan_targets(connection, text=self.TEXT, person="engineer", now=NOW) == 2
            operations.plan_targets(connection, text=self.TEXT, person="engineer", now=NOW)
            plan = queries.targets(connection)

        assert [(target.office, str(target.month), target.meters) for target in plan] == [
            ("MHOW-1", "2025-08", 3),
            ("MHOW-1", "2025-09", 2),
        ]

    @pytest.mark.parametrize(
        ("text", "error", "said"),
        [
            ("office,month,meters\nMHOW-1,August,3\n", RefusedPlan, "line 2, column month"),
            ("office,month,meters\nMHOW-1,2025-08,-3\n", RefusedPlan, "line 2, column meters"),
            ("office,month,meters\n,2025-08,3\n", RefusedPlan, "line 2, column office"),
            ("office,month,meters\nM,2025-08,3\nM,2025-08,4\n", RefusedPlan, "line 3, column month"),
            ("office,month\nMHOW-1,2025-08\n", RefusedPlan, "column meters is missing"),
            ("office,month,meters\nNOWHERE,2025-08,3\n", UnknownOffice, "NOWHERE"),
            ("office,month,meters\nDHAR-1,2025-08,3\n", NotPermitted, "DHAR-1"),
        ],
    )
    def test_refuses_a_wrong_plan(self, town, text, error, said):
        with town.write() as connection, pytest.raises(error, match=said):
            operations.plan_targets(connection, text=text, person="engineer", now=NOW)

    def test_spreads_a_number_over_a_window(self, town):
        window = {"first": Month.parse("2025-04"), "last": Month.parse("2025-07")}
        with town.write() as connection:
            months = operations.plan_evenly(
                connection, office="INDORE", planned=10, person="engineer", now=NOW, **window
            )
            assert months == 4
            assert sum(target.meters for target in queries.targets(connection)) == 10


class TestReceiveStock:
    def test_takes_a_serial_once(self, stocked):
        with stocked.write() as connection:
            assert operations.receive_stock(connection, text=STOCK, person="keeper", now=NOW) == 0
            (count,) = queries.stock(connection)

        assert (count.store, count.received, count.in_store, count.stock) == ("INDORE-STORE", 5, 5, 5)

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ("NEW-1,single-phase,OTHER,B1,\n", "line 2, column serial: NEW-1 came to store INDORE-STORE"),
            ("OLD-1,single-phase,S,B1,\n", "line 2, column serial: OLD-1 is in the registry already"),
            ("X,single-phase,S,B,\nX,single-phase,S,B,\n", "line 3, column serial: X stands on line 2 too"),
            ("X,magic,S,B,\n", "line 2, column meter_type"),
            (",single-phase,S,B,\n", "line 2, column serial"),
            ("X,single-phase,,B,\n", "line 2, column store"),
            ("X,single-phase,S,B,nowhere\n", "line 2, column url"),
        ],
    )
    def test_refuses_a_wrong_list_whole(self, stocked, rows, said):
        text = "serial,meter_type,store,box,url\n" + rows
        with pytest.raises(RefusedStock, match=said), stocked.write() as connection:
            operations.receive_stock(connection, text=text, person="keeper", now=NOW)

        with stocked.read() as connection:
            assert len(queries.stock_items(connection)) == 5

    def test_refuses_a_person_who_keeps_no_store(self, town):
        with town.write() as connection, pytest.raises(NotPermitted):
            operations.receive_stock(connection, text=STOCK, person="clerk", now=NOW)


class TestTakeInHanging:
    def test_books_smart_consumer_meters_as_installed_once(self, town):
        with town.write() as connection:
            assert operations.take_in_hanging(connection, person=offices.SYSTEM, now=NOW) == 2
            assert operations.take_in_hanging(connection, person=offices.SYSTEM, now=NOW) == 0
            items = queries.stock_items(connection, state=StockState.INSTALLED)

        assert [(item.serial, item.installed_at) for item in items] == [
            ("SM-3", local_midnight(date(2025, 5, 10))),
            ("SM-4", None),
        ]


class TestStockMovements:
    def test_go_out_come_back_and_are_kept(self, stocked):
        serials = ["NEW-1", "NEW-2"]
        with stocked.write() as connection:
            operations.issue_stock(connection, serials=serials, fitter="ramesh", person="keeper", now=NOW)
            assert queries.stock_item(connection, serial="NEW-1").holder == "ramesh"
            operations.give_back_stock(connection, serials=["NEW-1"], person="keeper", now=NOW)
            operations.find_faulty(connection, serial="NEW-2", reason="display", person="keeper", now=NOW)
            operations.send_back_stock(connection, serials=["NEW-2"], person="keeper", now=NOW)
            (count,) = queries.stock(connection)
            moved = queries.movements(connection, serial="NEW-2")

        assert (count.in_store, count.sent_back, count.stock) == (4, 1, 4)
        assert [event for _, event, _, _ in moved] == ["receive", "issue", "find_faulty", "send_back"]

    def test_refuse_what_is_not_there(self, stocked):
        with stocked.write() as connection:
            with pytest.raises(UnknownStock):
                operations.issue_stock(connection, serials=["X"], fitter="r", person="keeper", now=NOW)
            with pytest.raises(IllegalStep):
                operations.give_back_stock(connection, serials=["NEW-1"], person="keeper", now=NOW)
            with pytest.raises(RefusedStock, match="hangs at U3"):
                operations.find_faulty(connection, serial="SM-3", reason="x", person="keeper", now=NOW)


class TestDrawUpOrders:
    def test_speaks_for_each_place_with_a_meter_read_by_hand_once(self, town):
        with town.write() as connection:
            assert (
                operations.draw_up_orders(connection, office="INDORE", limit=10, person="engineer", now=NOW)
                == 2
            )
            assert (
                operations.draw_up_orders(connection, office="INDORE", limit=10, person="engineer", now=NOW)
                == 0
            )
            orders = queries.orders(connection, state=OrderState.PLANNED, office="MHOW-1")

        assert [(order.usage_point, order.old_meter) for order in orders] == [
            ("U1", "OLD-1"),
            ("U2", "OLD-2"),
        ]

    def test_orders_one_place(self, town):
        with town.write() as connection:
            new = operations.order_installation(connection, usage_point="U5", person="engineer", now=NOW)
            assert (new.usage_point, new.old_meter, new.state) == ("U5", None, OrderState.PLANNED)
            with pytest.raises(CannotPlan):
                operations.order_installation(connection, usage_point="U5", person="engineer", now=NOW)
            with pytest.raises(NotPermitted):
                operations.order_installation(connection, usage_point="U6", person="engineer", now=NOW)


class TestWorkOrders:
    def test_fail_are_planned_again_and_cancelled(self, issued):
        with issued.write() as connection:
            operations.fail_order(connection, number=1, reason="house locked", person="fitter", now=NOW)
            again = operations.plan_order_again(connection, number=1, person="engineer", now=NOW)
            assert (again.state, again.fitter, again.note) == (OrderState.PLANNED, None, "house locked")
            operations.cancel_order(connection, number=1, reason="house gone", person="engineer", now=NOW)
            with pytest.raises(IllegalStep):
                operations.issue_order(connection, number=1, fitter="f", person="engineer", now=NOW)
            with pytest.raises(UnknownOrder):
                queries.order(connection, number=99)
            assert len(office_queries.audit(connection, limit=20, subject="work order 1")) == 4


class TestInstallMeter:
    def test_hands_over_from_the_old_meter_in_one_go(self, issued):
        order = install(issued)

        with issued.read() as connection:
            old, new = registry_queries.installations(connection, usage_point="U1")
            last = reading_queries.registers(connection, meters=["OLD-1"], kind=RegisterKind.FINAL)
            first = reading_queries.registers(connection, meters=["NEW-1"], kind=RegisterKind.INITIAL)
            item = queries.stock_item(connection, serial="NEW-1")
            device = registry_queries.end_device(connection, serial="NEW-1")
        assert (order.state, order.new_meter) == (OrderState.INSTALLED, "NEW-1")
        assert (old.meter, old.to_at, new.meter, new.from_at) == ("OLD-1", AT, "NEW-1", AT)
        assert (new.account, new.transformer) == ("A1", "T1")
        assert [(register.at, register.wh_import) for register in (*last, *first)] == [
            (AT, 1_200_000),
            (AT, 7),
        ]
        assert (item.state, item.installed_at, item.holder) == (StockState.INSTALLED, AT, None)
        assert device.url == "tcp://h:101"

    def test_stores_nothing_when_any_part_is_refused(self, issued):
        with pytest.raises(Exception, match="answers at"):
            install(issued, url="tcp://h:3")

        with issued.read() as connection:
            assert len(registry_queries.installations(connection, usage_point="U1")) == 1
            assert queries.order(connection, number=1).state is OrderState.ISSUED
            assert reading_queries.registers(connection, kind=RegisterKind.FINAL) == ()

    @pytest.mark.parametrize(
        ("changed", "error", "said"),
        [
            ({"at": NOW + timedelta(seconds=1)}, CannotInstall, "future"),
            ({"old_register_wh": 999_999}, CannotInstall, "below its reading before"),
            ({"old_register_wh": None}, CannotInstall, "last register of OLD-1"),
            ({"new_register_wh": -1}, CannotInstall, "below zero"),
            (
                {"meter": "NEW-2"},
                IllegalStep,
                "meter NEW-2 .* in store: issue it first: `bijlighar rollout move issue NEW-2",
            ),
            ({"meter": "X"}, UnknownStock, "never|received"),
            ({"number": 9}, UnknownOrder, "9"),
            ({"person": "clerk"}, NotPermitted, "install meter"),
        ],
    )
    def test_refuses_what_cannot_be(self, issued, changed, error, said):
        with pytest.raises(error, match=said):
            install(issued, **changed)

    def test_accepts_a_lower_register_that_a_person_confirms(self, issued):
        assert install(issued, old_register_wh=5, confirmed_lower=True).old_register_wh == 5

    def test_refuses_the_same_order_twice(self, issued):
        install(issued)

        with pytest.raises(IllegalStep, match="work order 1 is installed: its meter hangs"):
            install(issued)

    def test_puts_a_smart_meter_that_it_replaces_aside_as_faulty(self, stocked):
        with stocked.write() as connection:
            operations.take_in_hanging(connection, person=offices.SYSTEM, now=NOW)
            order = operations.order_installation(connection, usage_point="U3", person="engineer", now=NOW)
            operations.issue_order(connection, number=order.number, fitter="f", person="engineer", now=NOW)
            operations.issue_stock(connection, serials=["NEW-1"], fitter="f", person="keeper", now=NOW)
        install(stocked, number=order.number, old_register_wh=50_000)

        with stocked.read() as connection:
            assert queries.stock_item(connection, serial="SM-3").state is StockState.FAULTY


class TestCommissionRead:
    def read(self, database: Database, at: datetime) -> None:
        starts = np.array([epoch_seconds(at) // 1_800 * 1_800], dtype=np.int64)
        delivery = Delivery(meter="NEW-1", minutes=30, starts=starts, values={"wh_import": np.array([5])})
        with database.write() as connection:
            readings.append(connection, deliveries=[delivery], now=NOW)

    def test_waits_for_the_first_reading_over_the_meters_own_line(self, issued):
        install(issued)
        assert operations.commission_read(issued, now=NOW) == 0
        self.read(issued, AT + timedelta(hours=1))

        with issued.read() as connection:
            assert queries.pending(connection, now=NOW) == 1
        assert operations.commission_read(issued, now=NOW) == 1
        assert operations.commission_read(issued, now=NOW) == 0
        with issued.read() as connection:
            order = queries.order(connection, number=1)
        assert (order.state, order.commissioned_at) == (OrderState.COMMISSIONED, NOW)

    def test_does_not_take_intervals_before_the_hanging_or_registers_by_hand(self, issued):
        install(issued)
        self.read(issued, AT - timedelta(hours=5))

        assert operations.commission_read(issued, now=NOW) == 0

    def test_takes_a_daily_register_of_the_meter(self, issued):
        install(issued)
        daily = RegisterSnapshot(meter="NEW-1", at=NOW, kind=RegisterKind.DAILY, wh_import=9)
        with issued.write() as connection:
            readings.append_registers(connection, snapshots=[daily], now=NOW)

        assert operations.commission_read(issued, now=NOW) == 1


class TestProgress:
    def test_is_empty_without_a_plan(self, town):
        with town.read() as connection:
            found = queries.progress(connection, now=NOW)

        assert (found.observed.planned, found.observed.installed) == (0, 0)
        assert found.words.en == "There is no plan yet."

    def test_counts_what_hangs_this_month_and_what_stock_is_left(self, issued):
        window = {"first": Month.parse("2025-04"), "last": Month.parse("2025-08")}
        with issued.write() as connection:
            operations.plan_evenly(
                connection, office="INDORE", planned=10, person="engineer", now=NOW, **window
            )
            operations.take_in_hanging(connection, person=offices.SYSTEM, now=NOW)
        install(issued)

        with issued.read() as connection:
            found = queries.progress(connection, now=NOW)
            claimed = queries.progress(connection, now=NOW, claimed=6)

        observed = found.observed
        assert (observed.planned, observed.installed, observed.this_month, observed.stock) == (10, 3, 1, 4)
        assert (observed.months, observed.hung_in_window, found.planned_this_month) == (4, 2, 2)
        assert found.forecast.rate_per_month == 0.5
        assert (found.forecast.limited_by_stock, observed.received) == (False, 6)
        (office,) = found.by_office
        assert (office.office, office.planned, office.installed, office.this_month) == ("INDORE", 10, 3, 1)
        said = "Claimed for this month: 6, 12 times the observed rate of 0.5 a month; would leave 2"
        assert said in claimed.words.en
