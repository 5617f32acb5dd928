"""When the bills of a month begin: after the night's reading, and at six in the morning at the latest."""

from datetime import date, datetime, timedelta

import pytest

from bijlighar.base.period import Period, day_number, local_midnight
from bijlighar.headend import session_store
from bijlighar.headend.session_store import Schedule
from bijlighar.runtime import billing_run
from bijlighar.runtime.line import Line
from bijlighar.validation import operations as validation
from tests.billing import town

DAY = local_midnight(date(2025, 5, 3))
METER = "M-101"


@pytest.fixture
def line(line: Line) -> Line:
    """April is read and judged; the meter answers over the network."""
    town.register(line.database, town.row("A1", METER, url="tcp://127.0.0.1:4059"))
    town.measure(line.database, METER, period=Period(start=town.START, end=DAY))
    judge(line, DAY)
    return line


def judge(line: Line, now: datetime) -> None:
    """Judge all that is stored."""
    while validation.validate_new(line.database, now=now):
        pass


def pending(line: Line, now: datetime) -> int:
    """What waits to be billed."""
    with line.database.read() as connection:
        return billing_run.pending(line, connection, now)


def asked(line: Line, now: datetime) -> None:
    """The meter was asked for the night, and asked again tomorrow."""
    schedule = Schedule(
        meter=METER,
        settled_day=day_number(date(2025, 5, 1)),
        next_at=now + timedelta(days=1),
        failures=1,
        last_try_at=now,
    )
    with line.database.write() as connection:
        session_store.write_schedules(connection, schedules=[schedule])


class TestBegin:
    def test_waits_for_the_meter_that_was_not_asked_yet(self, line: Line):
        assert pending(line, DAY + timedelta(minutes=30)) == 0

    def test_comes_when_every_meter_was_asked_whether_it_answered_or_not(self, line: Line):
        asked(line, DAY + timedelta(minutes=20))
        assert pending(line, DAY + timedelta(minutes=30)) == 1

    def test_does_not_come_before_the_reading_begins(self, line: Line):
        asked(line, DAY)
        assert pending(line, DAY + timedelta(minutes=14)) == 0

    def test_waits_until_what_was_read_is_judged(self, line: Line):
        asked(line, DAY + timedelta(minutes=20))
        town.measure(line.database, METER, period=Period(start=DAY - timedelta(days=1), end=DAY), wh=120)
        now = DAY + timedelta(minutes=30)
        assert pending(line, now) == 0
        judge(line, now)
        assert pending(line, now) == 1

    def test_comes_at_six_whatever_is_owed(self, line: Line):
        assert pending(line, DAY + timedelta(hours=5, minutes=59)) == 0
        assert pending(line, DAY + timedelta(hours=6)) == 1
