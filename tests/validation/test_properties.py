"""Where the register is good, what is validated sums to its difference, whatever is missing in it."""

import tempfile
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bijlighar.base.period import date_of, local_midnight
from bijlighar.readings import operations as readings
from bijlighar.readings import queries
from bijlighar.readings.model import ABSENT, Delivery, RegisterKind, RegisterSnapshot, interval_start
from bijlighar.readings.rules import one_length_a_day
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from bijlighar.validation import operations

DAY = 20_571
DAYS = 4
BEGIN = "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url"
COLUMNS = f"{BEGIN},transformer,feeder,phase,office,from"
METER = "N1,Asha,LV-1.2,urban,9000,UP1,M1,single-phase,tcp://127.0.0.1:4059,T1,F1,R,,2026-04-01"
PATIENT = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class TestSums:
    @PATIENT
    @given(
        st.integers(0, 2**31),
        st.lists(st.integers(0, DAYS * 48 - 1), max_size=60, unique=True),
        st.sets(st.integers(1, DAYS - 1)),
        st.sampled_from([0, 48, 96]),
    )
    def test_of_measured_and_estimated_equal_the_register_difference(self, seed, lost, dark, change):
        truth = np.random.default_rng(seed).integers(1, 900, DAYS * 48)
        kept = np.setdiff1d(np.arange(DAYS * 48), np.array(lost, dtype=np.int64))
        starts = interval_start(DAY, 0, 30) + 1_800 * np.arange(DAYS * 48)
        long = kept[kept >= change]
        short = kept[kept < change]
        quarters = np.sort(np.concatenate((starts[short], starts[short] + 900)))
        halves = np.stack((truth[short] // 2, truth[short] - truth[short] // 2), axis=1).reshape(-1)
        deliveries = [
            Delivery(meter="M1", minutes=30, starts=starts[long], values={"wh_import": truth[long]}),
            Delivery(meter="M1", minutes=15, starts=quarters, values={"wh_import": halves}),
        ]
        registers = [1_003, *(1_003 + np.cumsum(truth.reshape(DAYS, 48).sum(axis=1))).tolist()]
        now = local_midnight(date_of(DAY + DAYS)) + timedelta(days=5)
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{folder}/sums.sqlite")
            metadata.create_all(database.engine)
            with database.write() as connection:
                registry.import_registry(
                    connection, text=f"{COLUMNS}\n{METER}\n", now=datetime(2026, 4, 1, tzinfo=UTC)
                )
                snapshots = [
                    RegisterSnapshot(
                        meter="M1",
                        at=local_midnight(date_of(DAY + place)),
                        kind=RegisterKind.DAILY,
                        wh_import=wh,
                    )
                    for place, wh in enumerate(registers)
                    if place not in dark
                ]
                readings.append_registers(connection, snapshots=snapshots, now=now)
                readings.append(connection, deliveries=deliveries, now=now)
            operations.validate_range(database, first=date_of(DAY), last=date_of(DAY + DAYS - 1), now=now)
            with database.read() as connection:
                blocks = one_length_a_day(
                    queries.days(connection, meters=["M1"], first=DAY, last=DAY + DAYS - 1)
                )
            total = sum(
                int(np.sum(block.values["wh_import"], where=block.values["wh_import"] != ABSENT, initial=0))
                for block in blocks
            )
            database.close()

        assert total == registers[-1] - registers[0]
