"""Rules on real readings with known truth: gaps and zero runs of ten homes, repeated values of one."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bijlighar.base.period import date_of, day_number
from bijlighar.readings import operations as readings
from bijlighar.readings.model import ABSENT, IST_OFFSET_S, Delivery, Origin
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from bijlighar.validation import operations
from bijlighar.validation.model import Rule, ValidationFinding

NOW = datetime(2026, 4, 1, tzinfo=UTC)
COLUMNS = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office"
)


@pytest.fixture
def home(tmp_path: Path):
    opened = Database(f"sqlite:///{tmp_path}/real.sqlite")
    metadata.create_all(opened.engine)
    yield opened
    opened.close()


def table(shared: Path, name: str) -> dict[str, np.ndarray]:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(shared / "data" / "intervals" / f"{name}.parquet")
    return {column: found[column].to_numpy(zero_copy_only=False) for column in found.column_names}


def whole(values: np.ndarray, scale: int) -> np.ndarray:
    return np.floor(values.astype(np.float64) * scale + 0.5).astype(np.int64)


def seconds(stamps: np.ndarray) -> np.ndarray:
    """The clock on the wall of the home, read as if it hung in India."""
    return stamps.astype("datetime64[s]").astype(np.int64) - IST_OFFSET_S


def judged(home: Database, deliveries: list[Delivery]) -> tuple[ValidationFinding, ...]:
    lines = [
        f"N{place},N,LV-1.2,urban,,U{place},{each.meter},single-phase,,T1,F1,R,\n"
        for place, each in enumerate(deliveries)
    ]
    with home.write() as connection:
        registry.import_registry(connection, text=f"{COLUMNS}\n{''.join(lines)}", now=NOW)
        readings.append(connection, deliveries=deliveries, now=NOW)
    first = min(int(each.starts[0]) for each in deliveries)
    last = max(int(each.starts[-1]) for each in deliveries)
    days = [day_number(datetime.fromtimestamp(second + IST_OFFSET_S, UTC).date()) for second in (first, last)]
    return operations.validate_range(home, first=date_of(days[0]), last=date_of(days[1]), now=NOW).findings


def runs(marks: np.ndarray) -> list[tuple[int, int]]:
    steps = np.diff(np.concatenate(([0], marks.astype(np.int8), [0])))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


class TestTenHomes:
    def test_lack_what_they_lack_and_stand_still_where_they_do(self, home, shared):
        data = table(shared, "sgsc_10_halfhourly")
        deliveries = []
        for meter in np.unique(data["meter_id"]):
            own = data["meter_id"] == meter
            deliveries.append(
                Delivery(
                    meter=str(meter),
                    minutes=30,
                    starts=seconds(data["ts"][own]),
                    values={"wh_import": whole(data["kwh"][own], 1_000)},
                    origin=Origin.IMPORT,
                )
            )

        told = judged(home, deliveries)

        gaps = [found for found in told if found.rule is Rule.MISSING]
        assert (len(gaps), sum(gap.intervals for gap in gaps)) == (119, 4_168)
        assert max(gap.intervals for gap in gaps) == 944  # 472.5 hours from one reading to the next
        assert [found for found in told if found.rule in (Rule.DUPLICATE, Rule.NEGATIVE)] == []
        zeros = {(found.meter, found.intervals) for found in told if found.rule is Rule.ZERO_RUN}
        assert zeros == {("10006704", 3_979), ("10017994", 2_408), ("10017554", 790)}


class TestOneHome:
    def test_repeats_itself_where_it_was_filled_and_nowhere_else(self, home, shared):
        data = table(shared, "uci_sceaux_15min_2006_2010")
        starts = seconds(data["ts"])
        filled = (data["n_filled"] == data["n"]) & (data["n"] > 0)
        delivery = Delivery(
            meter="UCI",
            minutes=15,
            starts=starts,
            values={
                "wh_import": whole(data["kwh"], 1_000),
                "volt": whole(data["v_avg"], 100),
                "amp": whole(data["i_avg"], 100),
            },
            origin=Origin.IMPORT,
        )

        told = judged(home, [delivery])

        flagged = np.zeros(len(starts), dtype=bool)
        clean = []
        for found in told:
            if found.rule is Rule.REPEATED:
                begin, end = (
                    np.searchsorted(starts, int(moment.timestamp())) for moment in (found.start, found.end)
                )
                flagged[begin:end] = True
                if not data["n_filled"][begin:end].any():
                    clean.append(found)
        wholly = [(begin, end) for begin, end in runs(filled) if end - begin >= 2]
        assert len(wholly) == 13
        assert sum(bool(flagged[begin:end].any()) for begin, end in wholly) >= 12
        assert len(clean) <= 3  # in three years and eleven months
        assert ABSENT not in delivery.values["wh_import"]
