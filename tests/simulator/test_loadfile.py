from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.simulator.errors import BrokenProfiles
from bijlighar.simulator.loadfile import load_profiles, wh_of, whole_wh
from bijlighar.simulator.model import GAP

HEAD = "meter_id,ts,kwh\n"


def written(tmp_path, text, name="loads.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


class TestWholeWh:
    @given(thousandths=st.integers(0, 40_000), half=st.booleans())
    def test_rounds_a_float32_as_the_decimal_it_was_written_as(self, thousandths, half):
        written_kwh = Decimal(thousandths) / 1000 + (Decimal("0.0005") if half else Decimal(0))

        assert whole_wh(np.array([written_kwh], dtype=np.float32)).tolist() == [thousandths + half]

    def test_rounds_a_half_up_though_the_float_lies_below(self):
        below = np.float32("0.0865")

        assert float(below) * 1000 < 86.5
        assert whole_wh(np.array([below])).tolist() == [87]

    def test_knows_gaps(self):
        assert whole_wh(np.array([np.nan, 0.0])).tolist() == [GAP, 0]


class TestWhOf:
    def test_rounds_the_edge_up_and_what_is_below_it_down(self):
        assert wh_of(Decimal("0.0005")) == 1
        assert wh_of(Decimal("0.00049999999")) == 0
        assert wh_of(Decimal("1.2345")) == 1235


class TestLoadProfiles:
    def test_takes_a_time_without_offset_as_ist(self, tmp_path):
        path = written(tmp_path, HEAD + "A,2024-02-29 00:00,0.1\nA,2024-02-29T23:30,0.2\n")

        loads = load_profiles(path)

        assert loads.first_day == date(2024, 2, 29)
        assert loads.energy_wh.shape == (1, 48)
        assert loads.energy_wh[0, 0] == 100
        assert loads.energy_wh[0, 47] == 200
        assert loads.energy_wh[0, 1] == GAP

    def test_takes_a_time_with_offset_as_it_says(self, tmp_path):
        path = written(tmp_path, HEAD + "A,2024-02-29T18:30:00+00:00,0.1\n")

        assert load_profiles(path).first_day == date(2024, 3, 1)

    def test_keeps_the_order_of_the_meters(self, tmp_path):
        path = written(tmp_path, HEAD + "Z,2024-02-29 00:00,1\nA,2024-02-29 00:30,2\nZ,2024-02-29 00:30,3\n")

        loads = load_profiles(path)

        assert loads.names == ("Z", "A")
        assert loads.energy_wh[:, :2].tolist() == [[1000, 3000], [GAP, 2000]]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("meter_id,ts\nA,2024-01-01\n", "no column kwh"),
            (HEAD, "no rows"),
            (HEAD + "A,2024-01-01 00:10,1\n", "no half-hours"),
            (HEAD + "A,2024-01-01 00:00,-1\n", "below 0"),
            (HEAD + "A,2024-01-01 00:00,9999\n", "above 2000 kWh"),
            (HEAD + "A,2024-01-01 00:00,1\nA,2024-01-01 00:00,1\n", "two rows for one meter"),
            (HEAD + "A,yesterday,1\n", "line 2"),
            (HEAD + "A,2024-01-01 00:00,1\nA,2024-01-01 00:30,much\n", "line 3"),
            (HEAD + "A,2020-01-01 00:00,1\nA,2024-01-01 00:30,1\n", "days; at most"),
        ],
    )
    def test_refuses_what_it_cannot_use_in_one_line(self, tmp_path, text, words):
        with pytest.raises(BrokenProfiles, match=words) as refused:
            load_profiles(written(tmp_path, text))

        assert "\n" not in str(refused.value)

    def test_refuses_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(BrokenProfiles, match="no file"):
            load_profiles(tmp_path / "nothing.csv")

    def test_refuses_what_is_no_parquet(self, tmp_path):
        pytest.importorskip("pyarrow")

        with pytest.raises(BrokenProfiles, match="no Parquet file"):
            load_profiles(written(tmp_path, "hello", name="loads.parquet"))

    def test_reads_parquet_as_it_reads_csv(self, tmp_path):
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        times = np.array(["2024-02-29T00:00", "2024-02-29T00:30"], dtype="datetime64[ns]")
        kwh = np.array([0.0865, 0.125], dtype=np.float32)
        table = arrow.table({"meter_id": ["A", "A"], "ts": times, "kwh": kwh})
        parquet.write_table(table, tmp_path / "loads.parquet")
        text = written(tmp_path, HEAD + "A,2024-02-29 00:00,0.0865\nA,2024-02-29 00:30,0.125\n")

        columnar, plain = load_profiles(tmp_path / "loads.parquet"), load_profiles(text)

        assert columnar.first_day == plain.first_day
        assert np.array_equal(columnar.energy_wh, plain.energy_wh)

    def test_reads_the_homes_of_the_trial(self, shared):
        pytest.importorskip("pyarrow")

        loads = load_profiles(shared / "data" / "intervals" / "edrp_622_halfhourly.parquet")

        assert len(loads.names) == 622
        assert loads.energy_wh.shape == (622, 92 * 48)
        assert loads.first_day == date(2009, 3, 1)
        assert loads.energy_wh.min() >= 0
        assert loads.energy_wh[0, :5].tolist() == [86, 86, 108, 128, 127]
