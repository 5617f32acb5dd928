"""
The clocks: the only place that reads the time of the machine.

In a demo's home the time of day is a row of the database that only the demo's driver moves; the wall clock, by
which leases of work are kept, is the machine's in every home.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Column, Integer, Table, select

from bijlighar.base.errors import BijligharError
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import Moment, metadata
from bijlighar.storage.sql import insert_for

_demo_clock = Table(
    "runtime_demo_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("now", Moment, nullable=False),
)
_ONLY_ROW = 1


class ClockNotSet(BijligharError):
    """A demo's home has no time yet."""

    code = "runtime.clock-not-set"


def wall() -> datetime:
    """Return the machine's time, aware UTC."""
    return datetime.now(tz=UTC)  # noqa: TID251 - here, and here alone


class RealClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return wall()


class DemoClock:
    """The time that the demo's driver has set."""

    def __init__(self, database: Callable[[], Database]) -> None:
        """Read the time from the database that `database` returns."""
        self._database = database

    def now(self) -> datetime:
        """
        Return the demo's time.

        :raises ClockNotSet: if the driver has not set one.
        """
        with self._database().read() as connection:
            moment: datetime | None = connection.execute(select(_demo_clock.c.now)).scalar_one_or_none()
        if moment is None:
            raise ClockNotSet("this demo has not begun; run `bijlighar demo` on an empty home")
        return moment


def set_demo_time(database: Database, *, now: datetime) -> None:
    """Move the demo's time to `now`."""
    with database.write() as connection:
        statement = insert_for(connection, _demo_clock).values(id=_ONLY_ROW, now=now)
        connection.execute(
            statement.on_conflict_do_update(index_elements=[_demo_clock.c.id], set_={"now": now})
        )
