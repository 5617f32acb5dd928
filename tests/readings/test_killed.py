"""
Two writers at the same meter-days, killed with SIGKILL again and again: nothing acknowledged is lost, nothing is half
done, the history is whole.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text
from tests.readings.merging_steps import DAYS, MINUTES, step_of
from tests.readings.merging_truth import LAID_OVER, MEASURED, Day, Truth
from tests.readings.merging_worker import TABLE

from bijlighar.readings import event_store, packing, queries, register_store, store
from bijlighar.readings.model import ABSENT, MeterEvent
from bijlighar.readings.numbering import day_of
from bijlighar.runtime.schema import migrate
from bijlighar.storage.engine import Database

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 120.0
MOMENTS_SHORT, MOMENTS_LONG = 10, 100
WRITERS = ("A", "B")
#: Within so long [s] of its first step a writer is struck; a step takes some hundredths.
WITHIN_S = 0.3
WITHOUT_END, AT_THE_END = 100_000, 30
#: At so many moments the readings are asked for as they were known then.
LOOKS_BACK = 40


class Writer:
    """A process that writes, and what it has acknowledged."""

    def __init__(self, url: str, name: str, seed: int, steps: int) -> None:
        self.name = name
        self.acknowledged: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.readings.merging_worker", url, name, str(seed), str(steps)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # torn by the kill
            if line == "ready\n":
                self.ready.set()
            else:
                self.acknowledged.append(int(line))

    @property
    def is_at_work(self) -> bool:
        return self._process.poll() is None

    def end(self, *, kill: bool) -> int:
        """Kill the process or wait for its end, and return how it ended."""
        if kill:
            self._process.kill()
        code = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


class Follower:
    """A reader that goes on from number to number, as validation does: what it saw last of each meter-day."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mark = 0
        self.seen: dict[tuple[str, int], dict[str, list[int]]] = {}

    def look(self) -> None:
        with self._database.read() as connection:
            changed = queries.changed_days(connection, after=self._mark, limit=10_000)
        self._mark = changed.last
        for block in changed.blocks:
            for row, (meter, day) in enumerate(zip(block.meters, block.days.tolist(), strict=True)):
                self.seen[meter, day] = {name: block.channel(name)[row].tolist() for name in MEASURED}


@pytest.fixture
def merging(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    migrate(database)
    with database.write() as connection:
        connection.execute(text(TABLE))
    yield database
    database.close()


def strike(database: Database, *, moments: int, seed: int) -> tuple[dict[str, set[int]], Follower]:
    """Let two writers work, kill one or both at each moment, and let them come to an end at last."""
    dice = random.Random(seed)
    follower = Follower(database)
    heard: dict[str, set[int]] = {name: set() for name in WRITERS}
    writers = {name: Writer(database.url, name, seed, WITHOUT_END) for name in WRITERS}
    try:
        for _ in range(moments):
            for writer in writers.values():
                assert writer.ready.wait(PATIENCE_S)
            time.sleep(dice.uniform(0.0, WITHIN_S))
            assert all(writer.is_at_work for writer in writers.values())
            for name in dice.choice((WRITERS[:1], WRITERS[1:], WRITERS)):
                assert writers[name].end(kill=True) == -signal.SIGKILL
                heard[name].update(writers[name].acknowledged)
                writers[name] = Writer(database.url, name, seed, WITHOUT_END)
            follower.look()
        for name in WRITERS:
            assert writers[name].ready.wait(PATIENCE_S)
            assert writers[name].end(kill=True) == -signal.SIGKILL
            heard[name].update(writers[name].acknowledged)
        writers = {name: Writer(database.url, name, seed, AT_THE_END) for name in WRITERS}
        for name, writer in writers.items():
            assert writer.end(kill=False) == 0  # neither waited for the other for ever, neither failed
            heard[name].update(writer.acknowledged)
    finally:
        for writer in writers.values():
            if writer.is_at_work:
                writer.end(kill=True)
    follower.look()
    return heard, follower


def told(database: Database, *, heard: dict[str, set[int]], kills: int, seed: int) -> Truth:
    """Hold what was committed against what was acknowledged, and reckon what must stand."""
    with database.read() as connection:
        done = connection.execute(text("SELECT * FROM merging_done ORDER BY place")).all()
    assert [row.place for row in done] == list(range(1, len(done) + 1))
    truth = Truth()
    for name in WRITERS:
        numbers = [row.number for row in done if row.writer == name and not row.again]
        assert numbers == list(range(1, len(numbers) + 1))  # each step once, none left out
        assert heard[name] <= set(numbers)  # nothing acknowledged is lost
        assert len(set(numbers) - heard[name]) <= kills
    for row in done:
        step = step_of(seed=seed, writer=row.writer, number=row.number)
        if row.refused:
            assert truth.current(step.target).version != row.seen
            continue
        truth.take(step, seen=row.seen, now=datetime.fromisoformat(row.at))
    return truth


def stored_versions(database: Database) -> dict[tuple[str, int], list[Day]]:
    """Every version of every meter-day, as the tables hold it."""
    names = (*packing.READ, "recorded_at")
    found: dict[tuple[str, int], list[Day]] = {}
    with database.read() as connection:
        current = [row._asdict() for row in connection.execute(select(store.day_table))]
        history = [row._asdict() for row in connection.execute(select(store.history_table))]
    later: dict[tuple[str, int], dict[str, object]] = {}
    for row in sorted((*current, *history), key=lambda row: -row["version"]):
        key = (row["meter"], day_of(row["meter_day"]))
        if row.get("lean"):
            row["measured"] = later[key]["measured"]
            mask = packing.MEASURED_MASK
            assert row["codes"] & mask == later[key]["codes"] & mask
        later[key] = row
        days = packing.unpacked([tuple(row[name] for name in names[:-1])], MINUTES)
        found.setdefault(key, []).insert(
            0,
            Day(
                version=row["version"],
                recorded_at=row["recorded_at"],
                measured={name: days.of(name)[0].tolist() for name in MEASURED},
                overlay={
                    name: days.overlay.get(name, np.full((1, 48), ABSENT, np.int64))[0].tolist()
                    for name in LAID_OVER
                },
                quality=days.quality[0].tolist(),
                validated_at=row["validated_at"],
            ),
        )
    return found


def check_days(database: Database, truth: Truth) -> None:
    stored = stored_versions(database)
    assert set(stored) == set(truth.days)
    for key, versions in truth.days.items():
        assert [day.version for day in stored[key]] == list(range(1, len(versions) + 1)), key
        for day, wanted in zip(stored[key], versions, strict=True):
            assert day == wanted, (key, wanted.version)


def check_looking_back(database: Database, truth: Truth, dice: random.Random) -> None:
    """Ask for the readings as they were known at some moments."""
    moments = sorted({day.recorded_at for versions in truth.days.values() for day in versions})
    for moment in dice.sample(moments, min(LOOKS_BACK, len(moments))):
        wanted = {}
        for key, versions in truth.days.items():
            known = [day for day in versions if day.recorded_at <= moment]
            if known:
                judged = known[-1].validated_at
                is_valid = judged is not None and judged <= moment
                wanted[key] = (known[-1].version, is_valid, _known(known[-1]))
        with database.read() as connection:
            blocks = queries.days(connection, meters=None, first=DAYS[0], last=DAYS[-1], as_of=moment)
        found = {
            (meter, day): (
                int(block.versions[row]),
                bool(block.validated[row]),
                block.channel("wh_import")[row].tolist(),
            )
            for block in blocks
            for row, (meter, day) in enumerate(zip(block.meters, block.days.tolist(), strict=True))
        }
        assert found == wanted, moment


def _known(day: Day) -> list[int]:
    over = day.overlay["wh_import"]
    return [
        value if laid == ABSENT else laid for value, laid in zip(day.measured["wh_import"], over, strict=True)
    ]


def check_registers(database: Database, truth: Truth) -> None:
    stored: dict[tuple[str, str, datetime], dict[int, tuple[int | None, int | None]]] = {}
    with database.read() as connection:
        for table in (register_store.register_table, register_store.history_table):
            for row in connection.execute(select(table)):
                versions = stored.setdefault((row.meter, row.kind, row.at), {})
                assert row.version not in versions
                versions[row.version] = (row.wh_import, row.wh_export)
    assert stored == {key: dict(enumerate(versions, start=1)) for key, versions in truth.registers.items()}


def check_events(database: Database, truth: Truth) -> None:
    found: list[tuple[int, MeterEvent]] = []
    with database.read() as connection:
        while more := event_store.select_events(connection, after=len(found), limit=10_000):
            found.extend(more)
    assert [number for number, _ in found] == list(range(1, len(truth.events) + 1))
    assert {(event.meter, event.code, event.at) for _, event in found} == set(truth.events)


def strike_and_check(database: Database, *, moments: int, seed: int) -> None:
    heard, follower = strike(database, moments=moments, seed=seed)
    truth = told(database, heard=heard, kills=2 * moments + 2, seed=seed)
    assert len(truth.days) == 18, f"seed {seed}"
    check_days(database, truth)
    check_looking_back(database, truth, random.Random(seed))
    check_registers(database, truth)
    check_events(database, truth)
    assert follower.seen == {key: versions[-1].measured for key, versions in truth.days.items()}


class TestKilledWriters:
    @pytest.mark.parametrize("seed", [int(os.environ.get("BIJLIGHAR_TEST_SEED", "1"))])
    def test_lose_nothing_acknowledged_and_leave_nothing_half_done(self, merging: Database, seed: int):
        strike_and_check(merging, moments=MOMENTS_SHORT, seed=seed)

    @pytest.mark.long
    def test_lose_nothing_acknowledged_at_a_hundred_moments(self, merging: Database):
        strike_and_check(merging, moments=MOMENTS_LONG, seed=2)
