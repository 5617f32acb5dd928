"""When may the clock move: when nothing is pending anywhere at the present time."""

import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from bijlighar.base.errors import BijligharError
from bijlighar.demo.children import Children
from bijlighar.headend import queries as headend
from bijlighar.runtime import progress
from bijlighar.runtime.line import Line
from bijlighar.runtime.route import ROUTE
from bijlighar.simulator.operations import ProviderControl, TownControl

PAUSE_S = 0.005
PAUSE_LONGEST_S = 0.08
PATIENCE_S = 180.0


class Stuck(BijligharError):
    """The demo's queues do not become empty."""

    code = "demo.stuck"


class Quiet:
    """Looks at every queue of a demo."""

    def __init__(
        self,
        *,
        line: Line,
        children: Children,
        meters: TownControl,
        providers: ProviderControl,
        is_disturbed: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_disturbed` tells whether a test has a process dead on purpose just now."""
        self._line = line
        self._children = children
        self._meters = meters
        self._providers = providers
        self._is_disturbed = is_disturbed
        self._changes = line.database.changes()
        self._steps = list(ROUTE)

    def wait(self) -> None:
        """
        Wait until nothing is pending.

        :raises Stuck: if that takes longer than `PATIENCE_S`; it says what is still pending and what fails.
        :raises ChildFailed: if a process ended by itself.
        """
        deadline = time.monotonic() + PATIENCE_S
        waiting: dict[str, int] = {}
        pause_s = PAUSE_S
        while time.monotonic() < deadline:
            time.sleep(pause_s)
            if self._is_disturbed() or self._changes.has_moved():
                pause_s = PAUSE_S
                continue
            self._children.check()
            waiting = self._pending()
            if not waiting and not self._outside() and not self._changes.has_moved():
                return
            pause_s = min(2 * pause_s, PAUSE_LONGEST_S)
        if self._is_disturbed():
            raise Stuck("a process that was killed did not come back")
        raise Stuck(self._complaint(waiting))

    def _pending(self) -> dict[str, int]:
        """Return the first step found to have something pending; the one found last is asked first."""
        now = self._line.now()
        with self._line.database.read() as connection:
            for step in self._steps:
                count = step.pending(self._line, connection, now)
                if count:
                    self._steps.remove(step)
                    self._steps.insert(0, step)
                    return {step.name: count}
        return {}

    def _outside(self) -> bool:
        """Return whether a callback or an alert is still on its way."""
        try:
            if self._providers.undelivered():
                return True
            pushes = self._meters.pushes()
        except (BijligharError, OSError):
            return True
        if pushes.pending:
            return True
        with self._line.database.read() as connection:
            return headend.notifications_received(connection) < pushes.sent

    def _complaint(self, waiting: dict[str, int]) -> str:
        try:
            with self._line.database.read() as connection:
                steps = progress.progress(connection)
            failing = [f"{step.step}: {step.error}" for step in steps.values() if step.failures]
        except SQLAlchemyError as problem:
            failing = [str(problem)]
        what = waiting or "callbacks or alerts"
        return f"the queues did not become empty in {PATIENCE_S:g} s; pending: {what}; failing: {failing}"
