"""How the home stands: what is pending at each step, and which step fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.arrears import queries as arrears
from bijlighar.base.words import Words
from bijlighar.runtime import progress
from bijlighar.runtime.counts import counted
from bijlighar.runtime.line import Line
from bijlighar.runtime.progress import Progress
from bijlighar.runtime.route import ROUTE

FAILURES_TOLERATED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHealth:
    """
    One step: what waits now, what has come of it in all, how often it has failed in a row and with what.

    `done` counts what `counts` names.
    """

    step: str
    pending: int
    done: int
    counts: Words
    failures: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The whole line at one moment."""

    now: datetime
    halted: bool
    steps: tuple[StepHealth, ...]

    @property
    def is_well(self) -> bool:
        """Return whether no step fails again and again."""
        return all(step.failures < FAILURES_TOLERATED for step in self.steps)

    def as_document(self) -> dict[str, object]:
        """Return the report for JSON."""
        return {
            "status": "ok" if self.is_well else "failing",
            "now": self.now.isoformat(),
            "halted": self.halted,
            "pending": {step.step: step.pending for step in self.steps},
            "done": {step.step: {"count": step.done, "what": step.counts.en} for step in self.steps},
            "failing": {step.step: step.error for step in self.steps if step.failures},
        }


def health(line: Line) -> Health:
    """Return how the home stands now."""
    now = line.now()
    with line.database.read() as connection:
        known = progress.progress(connection)
        steps = tuple(
            StepHealth(
                step=step.name,
                pending=step.pending(line, connection, now),
                done=_done(connection, step=step.name, known=known),
                counts=counted(step.name).what,
                failures=known[step.name].failures if step.name in known else 0,
                error=known[step.name].error if step.name in known else None,
            )
            for step in ROUTE
        )
        return Health(now=now, halted=arrears.is_halted(connection), steps=steps)


def _done(connection: Connection, *, step: str, known: Mapping[str, Progress]) -> int:
    total = counted(step).total
    if total is not None:
        return total(connection)
    return known[step].done if step in known else 0
