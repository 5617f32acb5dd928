"""Whatever comes in whatever order, however often, ends in the same state; edges of IST days hold."""

import tempfile
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bijlighar.readings import operations, queries
from bijlighar.readings.model import ABSENT, Delivery, interval_start
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata

NOW = datetime(2026, 4, 10, tzinfo=UTC)
DAY = 20_544
SLOTS = 3 * 48
PATIENT = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def state(parts: list[Delivery], *, together: bool) -> list[tuple[object, ...]]:
    """What stands after the deliveries came, one by one or in one call."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/merge.sqlite")
        metadata.create_all(database.engine)
        calls = [parts] if together else [[part] for part in parts]
        for number, call in enumerate(calls):
            with database.write() as connection:
                operations.append(connection, deliveries=call, now=NOW + timedelta(minutes=number))
        with database.read() as connection:
            blocks = queries.days(connection, meters=None, first=DAY - 1, last=DAY + 5)
        found = [
            (
                block.meters[row],
                int(block.days[row]),
                block.minutes,
                tuple(block.values["wh_import"][row].tolist()),
            )
            for block in blocks
            for row in range(block.rows)
        ]
        database.close()
        return sorted(found)


def part_of(meter: str, minutes: int, first: int, count: int) -> Delivery:
    """A stretch of a meter's truth, which is the same whoever tells it."""
    starts = interval_start(DAY, first, minutes) + minutes * 60 * np.arange(count, dtype=np.int64)
    return Delivery(meter=meter, minutes=minutes, starts=starts, values={"wh_import": starts // 60 % 997})


stretches = st.builds(
    part_of,
    st.sampled_from(["M1", "M2"]),
    st.sampled_from([15, 30]),
    st.integers(0, SLOTS - 1),
    st.integers(1, 100),
)


class TestMerge:
    @PATIENT
    @given(st.lists(stretches, min_size=1, max_size=5), st.randoms(use_true_random=False))
    def test_ends_alike_in_any_order_and_repetition(self, parts, random):
        again = [*parts, *random.choices(parts, k=len(parts))]
        random.shuffle(again)

        wanted = state(parts, together=True)

        assert state(again, together=False) == wanted
        assert state(again, together=True) == wanted

    @PATIENT
    @given(stretches)
    def test_lays_each_interval_on_the_ist_day_in_which_it_starts(self, part):
        told = {}
        for _, day, minutes, values in state([part], together=True):
            for slot, value in enumerate(values):
                if value != ABSENT:
                    told[interval_start(day, slot, minutes)] = value

        assert told == dict(zip(part.starts.tolist(), part.values["wh_import"].tolist(), strict=True))
        ist = [datetime.fromtimestamp(start, UTC) + timedelta(hours=5, minutes=30) for start in told]
        assert {(moment - datetime(1970, 1, 1, tzinfo=UTC)).days for moment in ist} == {
            row[1] for row in state([part], together=True)
        }
