"""Loads without a meter: taken in whole, kept by version, counted in the balance with an interval of their own."""

from datetime import date, timedelta

import numpy as np
import pytest
from sqlalchemy.exc import DBAPIError
from tests.balance import test_examining as grid_town
from tests.balance.test_operations import DAY_WH, FIRST, NOW, close_all, deliver_day, loss_of
from tests.balance.test_operations import town as town

from bijlighar.balance import flat_rate_store, operations, queries
from bijlighar.balance.doubt import SIGMA_90
from bijlighar.balance.errors import RefusedFlatRate
from bijlighar.balance.flat_loads import flat_loads
from bijlighar.balance.model import FlatRateKind, Level, Verdict
from bijlighar.base.period import Month, day_number
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database

COLUMNS = "code,transformer,kind,low_wh,likely_wh,high_wh,from,to,basis"
LIGHTS = "L1,T1,street_light,800,1000,1500,2025-04-01,,20 lamps of 5 W for 10 h"
PUMP = "P1,T1,pump,0,4000,9000,2025-04-01,2025-04-02,5 HP for 1 to 2 h"


def take_in(database: Database, *rows: str, columns: str = COLUMNS, now=NOW) -> int:
    with database.write() as connection:
        return operations.import_flat_rates(connection, text="\n".join((columns, *rows)) + "\n", now=now)


class TestImportFlatRates:
    def test_keeps_each_version(self, town: Database):
        assert take_in(town, LIGHTS, PUMP) == 2
        assert take_in(town, LIGHTS, PUMP) == 0
        assert take_in(town, LIGHTS.replace("1000", "1200")) == 1

        with town.read() as connection:
            lights, pump = queries.flat_rates(connection)
            versions = [(load.code, number) for load, number, _ in flat_rate_store.versions(connection)]
        assert (lights.code, lights.likely_wh, lights.last) == ("L1", 1200, None)
        assert (pump.kind, pump.last) == (FlatRateKind.PUMP, date(2025, 4, 2))
        assert versions == [("L1", 1), ("L1", 2), ("P1", 1)]
        with pytest.raises(DBAPIError, match="only ever added"), town.write() as connection:
            connection.execute(flat_rate_store._flat_rate.delete())

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (LIGHTS.replace("T1", "T9"), "no transformer"),
            (LIGHTS.replace("street_light", "lamp"), "no kind"),
            (LIGHTS.replace("800", "1100"), "must rise"),
            (LIGHTS.replace("800", "-1"), "no whole number"),
            (LIGHTS.replace("800", "1e3"), "no whole number"),
            (LIGHTS.replace("1500", "1000000001"), "no whole number"),
            (LIGHTS.replace("2025-04-01,", "2025-04-01,2025-03-01"), "before it begins"),
            (LIGHTS.replace("2025-04-01", "April"), "not a day"),
            (LIGHTS.replace("20 lamps of 5 W for 10 h", ""), "basis is empty"),
            (LIGHTS.replace("L1", ""), "code is empty"),
            (LIGHTS + "\n" + LIGHTS, "earlier line"),
            (LIGHTS + ",x", "cells"),
        ],
    )
    def test_stores_nothing_of_a_file_with_a_wrong_row(self, town: Database, row: str, reason: str):
        with pytest.raises(RefusedFlatRate, match=reason):
            take_in(town, PUMP, row)

        with town.read() as connection:
            assert queries.flat_rates(connection) == ()


class TestLosses:
    def test_count_them_as_assessed_on_their_days(self, town: Database):
        days = [FIRST + timedelta(days=number) for number in range(3)]
        for day in days:
            deliver_day(town, day)
        close_all(town, NOW + timedelta(days=2))
        before = loss_of(town, Level.TRANSFORMER, days[0], days[2])

        take_in(town, LIGHTS, PUMP)

        after = loss_of(town, Level.TRANSFORMER, days[0], days[2])
        added = 3 * 1_000 + 2 * 4_000
        assert (after.flat_rate_wh, after.assessed_wh) == (added, before.assessed_wh + added)
        assert after.loss_wh == (before.loss_wh or 0) - added
        assert after.metered_wh == before.metered_wh == 3 * DAY_WH["smart"]
        feeder = loss_of(town, Level.FEEDER, days[0], days[2])
        assert feeder.flat_rate_wh == added
        with town.read() as connection:
            (month,) = queries.losses_by_month(connection, level=Level.TRANSFORMER, code="T1", last=days[2])
            each = queries.losses_by_day(
                connection, level=Level.TRANSFORMER, code="T1", first=days[0], last=days[2]
            )
        assert month.loss.flat_rate_wh == added
        assert sum(day.consumers_wh for day in each) == after.consumers_wh

    def test_are_not_certain_where_much_has_no_meter(self, town: Database):
        deliver_day(town, FIRST)
        close_all(town)
        take_in(town, f"P2,T1,pump,0,{DAY_WH['smart']},{DAY_WH['smart'] * 2},2025-04-01,,guess")

        loss = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)

        assert loss.flat_rate_wh == DAY_WH["smart"]
        assert not loss.is_certain

    def test_keep_in_a_sealed_month_what_was_known_then(self, town: Database):
        days = (date(2025, 4, 30), date(2025, 5, 1))
        for day in days:
            deliver_day(town, day)
        sealed_at = NOW + timedelta(days=40)
        close_all(town, sealed_at)
        take_in(town, LIGHTS)
        with town.write() as connection:
            offices.import_offices(connection, text="code,level,parent\nCO,company,\n")
            offices.add_person(
                connection, sign_in="eng", name="x", office="CO", roles=[Role.ENGINEER], now=sealed_at
            )
            readings.seal_month(
                connection,
                month=Month(year=2025, month=4),
                office=None,
                note="books",
                person="eng",
                now=sealed_at,
            )

        take_in(town, LIGHTS.replace("800,1000,1500", "900,1100,1500"), now=sealed_at + timedelta(days=1))
        take_in(town, PUMP.replace("2025-04-02", ""), now=sealed_at + timedelta(days=1))

        assert loss_of(town, Level.TRANSFORMER, days[0], days[0]).flat_rate_wh == 1_000
        assert loss_of(town, Level.TRANSFORMER, days[1], days[1]).flat_rate_wh == 1_100 + 4_000


class TestFlatLoads:
    def test_have_an_error_that_their_days_share(self, town: Database):
        take_in(town, LIGHTS, PUMP)
        first = day_number(FIRST)

        with town.read() as connection:
            found = flat_loads(connection, first=first, last=first + 3)

        energy, errors = found.below("T1", np.arange(4))
        assert energy.tolist() == [4_000.0, 8_000.0]
        assert errors == pytest.approx([4 * 700 / (2 * SIGMA_90), 2 * 9_000 / (2 * SIGMA_90)])
        assert found.of(Level.FEEDER, "F1").tolist() == [5_000, 5_000, 1_000, 1_000]

    def test_move_with_their_transformer_s_code(self, town: Database):
        with town.write() as connection:
            registry.import_network(
                connection,
                text="transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,,,,\nT2,F2,,,,\n",
            )
        take_in(town, LIGHTS)
        take_in(town, LIGHTS.replace("T1", "T2"))

        with town.read() as connection:
            found = flat_loads(connection, first=day_number(FIRST), last=day_number(FIRST))

        assert (found.of(Level.TRANSFORMER, "T1").tolist(), found.of(Level.TRANSFORMER, "T2").tolist()) == (
            [0],
            [1_000],
        )


class TestExaminedLosses:
    """The synthetic grid of the balance's own tests; what hangs on it without a meter was put there."""

    def test_explain_what_is_missing_by_them_and_are_less_sure(self, database: Database):
        first, second = grid_town.plans()
        hooked = [first.build(), second.build()]
        day_wh = round(float(hooked[0].input_wh.sum()) / grid_town.DAYS / 12)
        hooked[0].input_wh[:] += day_wh / grid_town.STEPS  # lights at nobody's meter, all day long
        grid_town.fill(database, hooked, registered={})
        before, other = grid_town.losses(database)
        assert before.verdict is Verdict.SUSPECTED

        take_in(
            database,
            f"L1,T1,street_light,{round(day_wh * 0.9)},{day_wh},{round(day_wh * 1.1)},2025-03-01,,lamps",
            now=grid_town.NOW,
        )

        after, same = grid_town.losses(database)
        assert (after.verdict, after.theft_suspected) == (Verdict.EXPLAINED, False)
        assert after.flat_rate_wh == day_wh * grid_town.DAYS
        low, high = after.non_technical_loss_wh_interval or (0, 0)
        was_low, was_high = before.non_technical_loss_wh_interval or (0, 0)
        assert low <= 0 <= high
        assert high - low > was_high - was_low
        assert same == other

    def test_give_no_verdict_where_too_much_has_no_meter(self, database: Database):
        towns = [plan.build() for plan in grid_town.plans()]
        grid_town.fill(database, towns, registered={})
        day_wh = round(float(towns[0].input_wh.sum()) / grid_town.DAYS / 2)
        take_in(database, f"P1,T1,pump,0,{day_wh},{2 * day_wh},2025-03-01,,guess", now=grid_town.NOW)

        loss, _ = grid_town.losses(database)

        assert loss.verdict is Verdict.TOO_LITTLE_READ
        assert (loss.non_technical_loss_wh_interval, loss.theft_suspected) == (None, False)
