"""Days of many meters, silent and faulty by the seed; the same with 10,000 is a recorded run."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bijlighar.base.period import day_number, epoch_seconds
from bijlighar.readings import operations as readings
from bijlighar.readings import queries
from bijlighar.readings.model import Delivery, RegisterKind
from bijlighar.readings.numbering import days_between
from tests.simulator.towns import FIRST_DAY, MIDNIGHT
from tests.soak.judge import judge
from tests.soak.plan import DEAF, ENDS, HOUR, LIVING, RUNS, UNLUCKY, WATCHED, Change, Plan, fate, plan
from tests.soak.run import soak
from tests.soak.world import World, a_world

SERIALS = tuple(f"M{number:04d}" for number in range(1_000))
DAY = timedelta(days=1)
SEED = int(os.environ.get("BIJLIGHAR_TEST_SEED", "1"))


def one(*changes: Change, days: int = 4) -> Plan:
    """A plan of a single meter that is silent as told."""
    return Plan(
        midnight=MIDNIGHT,
        days=days,
        serials=("M",),
        silent=frozenset({"M"}),
        dead=frozenset(),
        faulty={},
        changes=changes,
    )


def silent(begin: timedelta, end: timedelta | None = None) -> tuple[Change, ...]:
    on = Change(at=MIDNIGHT + begin, serial="M", what="", on=True)
    return (on,) if end is None else (on, replace(on, at=MIDNIGHT + end, on=False))


class TestPlan:
    def test_is_the_same_for_a_seed_and_another_for_another(self):
        first, again, other = (plan(SERIALS, midnight=MIDNIGHT, days=4, seed=seed) for seed in (1, 1, 2))

        assert first == again
        assert first.changes != other.changes

    def test_has_the_shares_and_every_fault(self):
        made = plan(SERIALS, midnight=MIDNIGHT, days=4, seed=1)

        assert (len(made.silent), len(made.faulty)) == (300, 50)
        assert set(made.faulty.values()) == {*DEAF, *UNLUCKY, *LIVING}
        assert not made.silent & made.faulty.keys()
        assert set(WATCHED) <= {*DEAF, *UNLUCKY, *LIVING}
        well = {change.serial for change in made.changes if not change.on}
        assert well.isdisjoint(made.dead)
        assert made.silent <= well | made.dead
        assert all(change.at < MIDNIGHT + 4 * DAY for change in made.changes)


class TestFate:
    def test_reads_each_day_as_soon_as_it_is_due(self):
        told = fate(one())

        assert told.read_at == {("M", day): MIDNIGHT + (day + 1) * DAY + RUNS[0] for day in range(4)}

    def test_tries_twice_on_the_day_and_then_once_a_day(self):
        silences = [silent(23 * HOUR, day * DAY + end) for day in (1, 2) for end in ENDS]

        read = [fate(one(*each)).read_at["M", 0] for each in silences]

        first, second = MIDNIGHT + DAY, MIDNIGHT + 2 * DAY
        # Once three tries failed in a row, the next is that of the next day: an end at three or nine is seen then.
        assert read == [
            *(first + after for after in RUNS),
            second + RUNS[0],
            second + DAY + RUNS[0],
            second + DAY + RUNS[0],
        ]

    def test_never_reads_the_dead(self):
        told = fate(one(*silent(DAY + 23 * HOUR)))

        assert set(told.read_at) == {("M", 0)}
        assert told.settled == {"M": 0}


class TestSoak:
    def test_stores_every_row_once_and_true_and_names_the_dead(self, tmp_path: Path):
        report = soak(tmp_path, meters=300, days=4, seed=SEED)

        assert report["wrong"] == []
        assert (report["silent"], report["faulty"]) == (90, 15)
        assert report["silent_named"] == report["dead"] > 15
        assert report["intervals"] > 0.9 * 300 * 4 * 48
        assert report["sessions_failed"] > 100

    @pytest.mark.long
    def test_does_so_with_ten_thousand(self, tmp_path: Path):
        report = soak(tmp_path, meters=10_000, days=4, seed=1)

        assert report["wrong"] == []
        assert report["rows_compared"] > 1_800_000


class TestJudge:
    def test_finds_what_is_not_true(self, tmp_path: Path):
        with a_world(tmp_path, meters=40, days=3, seed=3) as world:
            world.live()
            assert judge(world).wrong == []
            named = plant(world)

            wrong = "\n".join(judge(world).wrong)

        for place, words in named.items():
            assert words in wrong, (place, wrong)


def plant(world: World) -> dict[str, str]:
    """Falsify the books in one place of each kind, and return what must be said of it."""
    well = [
        serial
        for serial in world.plan.serials
        if serial not in world.plan.silent and serial not in world.plan.faulty
    ]
    false, mute, late = well[:3]
    now = world.plan.runs[-1]
    with world.database.write() as connection:
        shot = queries.registers(connection, meters=[false], kind=RegisterKind.DAILY)[0]
        readings.append_registers(
            connection, snapshots=[replace(shot, wh_import=(shot.wh_import or 0) + 1)], now=now
        )
        (block,) = queries.days(
            connection, meters=[false], first=day_number(FIRST_DAY), last=day_number(FIRST_DAY)
        )
        start = epoch_seconds(MIDNIGHT)
        delivery = Delivery(
            meter=false,
            minutes=30,
            starts=np.arange(start, start + 48 * 1_800, 1_800),
            values={"wh_import": block.channel("wh_import")[0] + 1},
        )
        readings.append(connection, deliveries=[delivery], now=now)
        second = days_between(day_number(FIRST_DAY) + 1, day_number(FIRST_DAY) + 1)
        for statement, values in (
            ("DELETE FROM headend_session WHERE meter = ?", (mute,)),
            ("DELETE FROM readings_event WHERE code IN (201, 203, 251)", ()),
            ("DELETE FROM readings_day WHERE meter = ? AND meter_day BETWEEN ? AND ?", (late, *second)),
        ):
            connection.exec_driver_sql(statement, values)
    return {
        "register": "registers that are missing",
        "interval": f"{false} on day 0",
        "written twice": f"writings of {false} on day 0",
        "event": "events that are missing",
        "silent": "silent after day 2",
        "day": f"intervals of {late} on day 1",
        "level": "unread of day 1",
    }
