"""A whole town through the straight line, held against its own truth; also with its processes killed on the way."""

import random
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from bijlighar.demo import driver
from bijlighar.demo.children import Children
from bijlighar.demo.report import Report
from bijlighar.demo.setup import Plan
from bijlighar.runtime.home import Home

SEED = 7
MOMENTS_SHORT = 6
MOMENTS_LONG = 20
#: What may die: the meters, the providers, the four processes of the system.
VICTIMS = ("meters", "providers", "gate", "web", "headend", "worker")


class Saboteur:
    """Kills a process with SIGKILL at seeded moments, a little after the clock has moved, and starts it again."""

    def __init__(self, *, seed: int, kills: int, moments: int) -> None:
        dice = random.Random(seed)
        chosen = sorted(dice.sample(range(moments), kills))
        self._plan = {
            moment: (VICTIMS[n % len(VICTIMS)], dice.uniform(0.0, 0.3)) for n, moment in enumerate(chosen)
        }
        self._moment = 0
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None
        self.killed: list[str] = []
        self.problem: Exception | None = None

    @property
    def is_busy(self) -> bool:
        return self._busy.is_set()

    def __call__(self, now: datetime, children: Children) -> None:
        planned = self._plan.get(self._moment)
        self._moment += 1
        if planned is None:
            return
        if self._thread is not None:
            self._thread.join()
        victim, delay_s = planned
        self._busy.set()
        self._thread = threading.Thread(target=self._strike, args=(children, victim, delay_s))
        self._thread.start()

    def _strike(self, children: Children, victim: str, delay_s: float) -> None:
        try:
            time.sleep(delay_s)
            children.kill(victim)
            children.restart(victim)
            self.killed.append(victim)
        except Exception as problem:
            self.problem = problem
        finally:
            self._busy.clear()


def live(
    home: Path, *, meters: int, months: int, seed: int = SEED, saboteur: Saboteur | None = None
) -> Report:
    plan = Plan(meters=meters, months=months, seed=seed, profiles=None, web_port=None)
    is_disturbed = (lambda: saboteur.is_busy) if saboteur else (lambda: False)
    with driver.running(Home(home), plan=plan, is_disturbed=is_disturbed) as demo:
        return driver.run(demo, disturb=saboteur)


def facts(report: Report) -> dict[str, object]:
    """Return what the same seed must give again."""
    return {name: value for name, value in report.as_document().items() if name != "seconds"}


class TestKills:
    def check(self, home: Path, *, kills: int) -> None:
        saboteur = Saboteur(seed=kills, kills=kills, moments=480)

        report = live(home, meters=20, months=4, saboteur=saboteur)

        assert saboteur.problem is None
        assert len(saboteur.killed) == kills
        assert report.is_true, report.invariants
        assert report.steps["bills"] > 0
        assert report.steps["disconnected_verified"] > 0
        assert report.steps["reconnected_verified"] > 0
        assert report.invariants["wrongful_disconnections"] == 0

    def test_lose_nothing_and_cut_nobody_wrongly(self, tmp_path: Path):
        self.check(tmp_path / "home", kills=MOMENTS_SHORT)

    @pytest.mark.long
    def test_lose_nothing_and_cut_nobody_wrongly_at_twenty_moments(self, tmp_path: Path):
        self.check(tmp_path / "home", kills=MOMENTS_LONG)


class TestDemo:
    @pytest.mark.long
    def test_gives_the_same_report_for_the_same_seed(self, tmp_path: Path):
        first = live(tmp_path / "first", meters=40, months=4)
        second = live(tmp_path / "second", meters=40, months=4)

        assert first.is_true, first.invariants
        assert all(first.steps.values()), first.steps
        assert facts(first) == facts(second)
