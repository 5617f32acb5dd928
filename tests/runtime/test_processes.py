import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.words import Words
from bijlighar.runtime import processes, progress
from bijlighar.runtime.health import FAILURES_TOLERATED, health
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.processes import AlreadyRunning, StepRunner, only_one, run_lane
from bijlighar.runtime.route import Process, Run, Step
from bijlighar.storage import sequences

Walking = Callable[..., StepRunner]


def step(name: str, run: Run, *, pending: Callable[[], int] = lambda: 1) -> Step:
    return Step(
        number=1,
        name=name,
        fact=Words(hi=name, en=name),
        door="none",
        pulls_from="nothing",
        process=Process.WORKER,
        run=run,
        pending=lambda _line, _connection, _now: pending(),
    )


class Counter:
    """A step's work: it does `count` each time, or fails while it has problems left."""

    def __init__(self, count: int = 1, *, problems: list[Exception] | None = None) -> None:
        self.runs = 0
        self._count = count
        self._problems = problems or []

    def __call__(self, _line: Line, _now: datetime) -> int:
        self.runs += 1
        if self._problems:
            raise self._problems.pop(0)
        return self._count


def look(runner: StepRunner, times: int = 1) -> int:
    async def rounds() -> int:
        return sum([await runner.round() for _ in range(times)])

    return asyncio.run(rounds())


def standing(line: Line) -> dict[str, tuple[int, int, str | None]]:
    with line.database.read() as connection:
        found = progress.progress(connection)
    return {name: (each.done, each.failures, each.error) for name, each in found.items()}


@pytest.fixture
def walking(line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walking]:
    """Make runners of steps; the connections by which they see changes are given back at the end."""
    made: list[StepRunner] = []

    class Watched(StepRunner):
        def __init__(self, line: Line, steps: Sequence[Step], *, share: int = 1) -> None:
            super().__init__(line, steps, share=share)
            made.append(self)

    monkeypatch.setattr(processes, "StepRunner", Watched)
    yield lambda steps, share=1: Watched(line, steps, share=share)
    for runner in made:
        runner._changes.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """The clock of the runner, which stands still but where a test moves it forward."""
    shown = [timedelta(hours=1)]
    monkeypatch.setattr(processes, "monotonic", lambda: shown[0].total_seconds())
    return shown


class TestStepRunner:
    def test_runs_what_has_something_pending_in_the_order_of_the_route(self, line: Line, walking: Walking):
        order: list[str] = []
        first, second = (
            step(name, lambda _line, _now, name=name: order.append(name) or 2) for name in ("first", "second")
        )
        idle = step("idle", Counter(), pending=lambda: 0)

        assert look(walking((first, idle, second))) == 4
        assert order == ["first", "second"]
        assert standing(line) == {"first": (2, 0, None), "second": (2, 0, None)}

    def test_awaits_a_step_of_the_head_end(self, line: Line, walking: Walking):
        async def run(_line: Line, _now: datetime) -> int:
            await asyncio.sleep(0)
            return 3

        assert look(walking((step("collect", run),))) == 3

    def test_pauses_a_failing_step_and_goes_on_with_the_others(
        self, line: Line, walking: Walking, clock: list[timedelta]
    ):
        broken = Counter(
            problems=[InvalidValue("no such thing"), RuntimeError("a bug"), RuntimeError("again")]
        )
        sound = Counter()
        runner = walking((step("broken", broken), step("sound", sound)))

        assert look(runner, 3) == 3
        assert (broken.runs, sound.runs) == (1, 3)
        assert standing(line)["broken"] == (0, 1, "InvalidValue: no such thing")

        clock[0] += timedelta(seconds=0.6)
        look(runner, 2)
        assert broken.runs == 2
        assert standing(line)["broken"] == (0, 2, "RuntimeError: a bug")

        clock[0] += timedelta(seconds=0.6)
        look(runner, 2)
        assert broken.runs == 2, "the pause doubles"

    def test_forgets_the_failures_of_a_step_that_works_again(
        self, line: Line, walking: Walking, clock: list[timedelta]
    ):
        mending = Counter(problems=[RuntimeError("down")] * FAILURES_TOLERATED)
        runner = walking((step("payment", mending),))
        for _ in range(FAILURES_TOLERATED):
            look(runner)
            clock[0] += timedelta(minutes=2)
        assert not health(line).is_well
        assert health(line).as_document()["failing"] == {"payment": "RuntimeError: down"}

        assert look(runner) == 1
        assert standing(line)["payment"] == (1, 0, None)
        assert health(line).is_well

    def test_never_pauses_longer_than_a_minute(self, line: Line, walking: Walking, clock: list[timedelta]):
        broken = Counter(problems=[RuntimeError("down")] * 20)
        runner = walking((step("broken", broken),))
        for _ in range(20):
            look(runner)
            clock[0] += timedelta(seconds=61)
        assert broken.runs == 20

    def test_does_not_even_look_where_nothing_has_changed(
        self, line: Line, walking: Walking, clock: list[timedelta]
    ):
        asked = []
        runner = walking((step("idle", Counter(), pending=lambda: asked.append(1) or 0),))
        look(runner, 5)
        assert len(asked) == 1

        with line.database.write() as connection:
            sequences.raise_watermark(connection, reader="test", seen=1)
        look(runner, 5)
        assert len(asked) == 2

        clock[0] += timedelta(seconds=2)
        look(runner, 5)
        assert len(asked) == 3, "what falls due by the passing of time alone is seen too"

    def test_looks_in_vain_for_a_part_of_the_time_only_however_often_others_commit(
        self, line: Line, walking: Walking, clock: list[timedelta], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(processes, "LOOKING_PAUSE_MAX_S", 60.0)
        asked = []

        def pending() -> int:
            asked.append(1)
            clock[0] += timedelta(seconds=0.1)
            return 0

        runner = walking((step("idle", Counter(), pending=pending),), share=4)
        for seen in range(1, 41):
            with line.database.write() as connection:
                sequences.raise_watermark(connection, reader="test", seen=seen)
            look(runner)
            clock[0] += timedelta(seconds=0.01)
        assert len(asked) == 2, "0.1 s of looking, then 0.3 s of none"

    def test_is_not_put_off_for_long_by_one_slow_look(
        self, line: Line, walking: Walking, clock: list[timedelta]
    ):
        asked = []

        def pending() -> int:
            asked.append(1)
            clock[0] += timedelta(seconds=10)
            return 0

        runner = walking((step("idle", Counter(), pending=pending),), share=4)
        for seen in range(1, 3):
            with line.database.write() as connection:
                sequences.raise_watermark(connection, reader="test", seen=seen)
            look(runner)
            clock[0] += timedelta(seconds=0.051)
        assert len(asked) == 2

    def test_tells_at_once_what_it_did_first_and_then_now_and_then(
        self, line: Line, walking: Walking, clock: list[timedelta], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(processes, "TELL_EVERY_S", 60.0)
        runner = walking((step("work", Counter()),))
        look(runner, 3)
        assert standing(line)["work"] == (1, 0, None)
        clock[0] += timedelta(seconds=61)
        look(runner)
        assert standing(line)["work"] == (3, 0, None)
        runner.close()
        assert standing(line)["work"] == (4, 0, None)

    def test_looks_again_at_once_after_it_has_done_something(self, line: Line, walking: Walking):
        left = [3, 2, 1]

        def run(_line: Line, _now: datetime) -> int:
            left.pop()
            return 1

        runner = walking((step("work", run, pending=lambda: len(left)),))
        assert look(runner, 4) == 3


class TestRunLane:
    def test_goes_on_when_the_database_cannot_be_asked(
        self, line: Line, walking: Walking, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("BIJLIGHAR_WORKER_POLL_S", "0.01")
        stop, asked = threading.Event(), []

        def pending(_line: Line, _connection: Connection, _now: datetime) -> int:
            asked.append(1)
            if len(asked) == 1:
                raise OSError("the network is gone")
            stop.set()
            return 0

        broken = step("broken", Counter())
        run_lane(line, steps=[Step(**{**_values(broken), "pending": pending})], stop=stop)
        assert len(asked) == 2


def _values(found: Step) -> dict[str, object]:
    return {name: getattr(found, name) for name in Step.__dataclass_fields__}


_HOLD = """
import pathlib, sys
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.processes import only_one
from bijlighar.runtime.route import Process
with only_one(Line(Home(pathlib.Path(sys.argv[1]))), process=Process.WORKER):
    print("held", flush=True)
    sys.stdin.readline()
"""


class TestOnlyOne:
    def test_refuses_a_second_process_until_the_first_has_died(self, tmp_path: Path):
        line = Line(Home(tmp_path / "home"))
        order = [sys.executable, "-c", _HOLD, str(line.home.path)]
        with subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            self.check_is_held(line)
            other.kill()
        with only_one(line, process=Process.WORKER):
            pass

    def check_is_held(self, line: Line) -> None:
        with (
            pytest.raises(AlreadyRunning, match="a worker already runs on the home"),
            only_one(line, process=Process.WORKER),
        ):
            pytest.fail("two hold one place")
        with only_one(line, process=Process.HEADEND):
            pass

    def test_gives_the_place_back_at_the_end(self, tmp_path: Path):
        line = Line(Home(tmp_path / "home"))
        for _ in range(2):
            with only_one(line, process=Process.WORKER):
                pass
