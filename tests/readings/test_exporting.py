"""Readings handed out and taken in again: the same values, in every format, from one database into another."""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.readings.deliveries import DAY, delivery

from bijlighar.base.period import Period, date_of
from bijlighar.readings import exporting, operations, queries
from bijlighar.readings.errors import MissingExtra
from bijlighar.readings.model import ABSENT, CHANNELS, DayEdit, EditKind, FindingKind, Quality
from bijlighar.registry import operations as registry
from bijlighar.runtime.schema import migrate
from bijlighar.storage.engine import Database

NOW = datetime(2026, 4, 5, 6, 0, tzinfo=UTC)
REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,,T1,F1,R,
N2,Ravi,LV-1.2,urban,2000,UP2,M2,single-phase,,T1,F1,R,
N3,Odd,LV-1.2,urban,2000,UP3,"M ""3"" & <4>, =5",single-phase,,T1,F1,R,
"""
ODD = 'M "3" & <4>, =5'
ALL = operations.Wish(first=DAY - 1, last=DAY + 9)


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    """An empty home, to take in what another one handed out."""
    opened = Database(f"sqlite:///{tmp_path}/other.sqlite")
    migrate(opened)
    with opened.write() as connection:
        registry.import_registry(connection, text=REGISTRY, now=NOW)
    yield opened
    opened.close()


@pytest.fixture
def filled(database: Database) -> Database:
    """Meters of both lengths, every channel, gaps, a negative value, an odd name, an edit."""
    with database.write() as connection:
        registry.import_registry(connection, text=REGISTRY, now=NOW)
        operations.append(
            connection,
            deliveries=[
                delivery([1, None, -3] + [4] * 45, day=DAY, volt=[23_015, None, -5] + [24_000] * 45),
                delivery(list(range(20)), day=DAY + 2, slot=5, wh_export=[2] * 20, vah_import=[9] * 20),
                delivery([7] * 96, day=DAY + 3, minutes=15, amp=[105] * 96),
                delivery([None] * 48, meter="M2", day=DAY, wh_export=[1] * 48),
                delivery([10**9] * 48, meter=ODD, day=DAY),
            ],
            now=NOW,
        )
        edit = DayEdit(
            meter="M1", day=DAY, minutes=30, version=1, kind=EditKind.SET, channel="wh_import", first=4, last=6,
            values=(77, 78),
        )  # fmt: skip
        operations.store_edited(connection, edits=[edit], now=NOW)
    return database


def known(database: Database) -> dict[tuple[str, int, int, int], dict[str, int]]:
    """What is known of each interval, by meter, day, length and slot."""
    found = {}
    with database.read() as connection:
        blocks = queries.days(connection, meters=None, first=DAY - 1, last=DAY + 9)
    for block in blocks:
        for row, meter in enumerate(block.meters):
            for slot in range(block.intervals):
                values = {
                    channel: int(matrix[row, slot])
                    for channel, matrix in block.values.items()
                    if matrix[row, slot] != ABSENT
                }
                if values:
                    found[meter, int(block.days[row]), block.minutes, slot] = values
    return found


def csv_text(database: Database, wish: operations.Wish = ALL) -> str:
    file = io.StringIO()
    with database.read() as connection:
        operations.write_csv(connection, file=file, wish=wish, progress=no_progress)
    return file.getvalue()


def feed(database: Database, wish: operations.Wish = ALL) -> bytes:
    file = io.StringIO()
    with database.read() as connection:
        operations.write_greenbutton(connection, file=file, wish=wish, progress=no_progress, now=NOW)
    return file.getvalue().encode()


def take_feed(connection: Connection, octets: bytes) -> None:
    chunks = [octets[begin : begin + 1000] for begin in range(0, len(octets), 1000)]
    operations.import_greenbutton(connection, chunks=chunks, now=NOW)


class TestWriteCsv:
    def test_comes_back_as_it_was(self, filled: Database, other: Database):
        text = csv_text(filled)

        with other.write() as connection:
            report = operations.import_csv(connection, text=text, stamp="start", now=NOW)

        assert known(other) == known(filled)
        assert (report.rounded, report.findings) == (0, ())
        assert csv_text(other) == text

    def test_is_clustered_by_meter_and_says_the_time_of_the_calendar(self, filled: Database):
        lines = csv_text(filled).splitlines()

        assert lines[0] == "meter,start,minutes,wh_import,vah_import,wh_export,volt,amp"
        assert lines[1].startswith('"M ""3"" & <4>, =5",2026-04-01T00:00:00+05:30,30,1000000000,')
        assert "M1,2026-04-01T00:00:00+05:30,30,1,,,230.15," in lines
        assert "M1,2026-04-01T01:00:00+05:30,30,-3,,,-0.05," in lines
        assert not any("T00:30:00" in line and line.startswith("M1,2026-04-01") for line in lines)
        meters = [line.partition(",2026")[0] for line in lines[1:]]
        assert meters == sorted(meters)

    def test_measured_leaves_edits_out(self, filled: Database):
        wish = operations.Wish(first=DAY, last=DAY, meters=("M1",), is_measured=True)

        assert "M1,2026-04-01T02:00:00+05:30,30,77,,,240.00," in csv_text(filled)
        assert "M1,2026-04-01T02:00:00+05:30,30,4,,,240.00," in csv_text(filled, wish)
        assert "M2" not in csv_text(filled, wish)

    def test_of_nothing_is_a_head(self, database: Database):
        assert csv_text(database).count("\n") == 1

    def test_reads_few_meters_at_once(self, filled: Database, monkeypatch: pytest.MonkeyPatch):
        whole, told = csv_text(filled), []
        monkeypatch.setattr(exporting, "DAYS_PER_READ", 1)

        file = io.StringIO()
        with filled.read() as connection:
            operations.write_csv(
                connection, file=file, wish=ALL, progress=lambda done, total: told.append((done, total))
            )

        assert file.getvalue() == whole
        assert told == [(1, 3), (2, 3), (3, 3)]


class TestWriteGreenButton:
    def test_comes_back_as_it_was(self, filled: Database, other: Database):
        octets = feed(filled)

        with other.write() as connection:
            take_feed(connection, octets)

        assert known(other) == known(filled)

    def test_tells_the_quality(self, filled: Database, other: Database):
        with other.write() as connection:
            take_feed(connection, feed(filled))
            period = Period.of_local_days(date_of(DAY - 1), date_of(DAY + 9))
            flagged = [
                finding
                for finding in queries.findings(connection, period=period)
                if finding.kind is FindingKind.FLAGGED
            ]

        assert [
            (finding.meter, finding.intervals, finding.detail["flags"][0]["quality"]) for finding in flagged
        ] == [("M1", 2, "7")]

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        values=st.lists(st.none() | st.integers(-(10**6), 10**9), min_size=48, max_size=48),
        amp=st.lists(st.none() | st.integers(-(10**4), 10**6), min_size=48, max_size=48),
        day=st.integers(DAY, DAY + 5),
    )
    def test_any_day_comes_back_in_both_formats(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        sqlite_template: Path,
        values: list,
        amp: list,
        day: int,
    ):
        folder = tmp_path_factory.mktemp("day")
        homes = []
        for name in ("from", "csv", "feed"):
            file = folder / name
            file.write_bytes(sqlite_template.read_bytes())
            home = Database(f"sqlite:///{file}")
            with home.write() as connection:
                registry.import_registry(connection, text=REGISTRY, now=NOW)
            homes.append(home)
        source, first, second = homes
        with source.write() as connection:
            operations.append(connection, deliveries=[delivery(values, day=day, amp=amp)], now=NOW)
        with first.write() as connection:
            operations.import_csv(connection, text=csv_text(source), stamp="start", now=NOW)
        with second.write() as connection:
            take_feed(connection, feed(source))

        assert known(first) == known(second) == known(source)
        for home in homes:
            home.close()


class TestWriteParquet:
    def test_holds_the_columns_of_the_import_and_the_quality(self, filled: Database, other: Database):
        parquet = pytest.importorskip("pyarrow.parquet")
        file = io.BytesIO()
        with filled.read() as connection:
            count = operations.write_parquet(connection, file=file, wish=ALL, progress=no_progress)

        table = parquet.read_table(io.BytesIO(file.getvalue()))
        rows = table.to_pylist()
        lines = [",".join(("meter", "start", "minutes", *CHANNELS))]
        for row in rows:
            cells = ["" if row[name] is None else str(row[name]) for name in CHANNELS]
            meter = '"' + row["meter"].replace('"', '""') + '"'
            lines.append(",".join((meter, row["start"].isoformat(), str(row["minutes"]), *cells)))
        with other.write() as connection:
            operations.import_csv(connection, text="\n".join(lines) + "\n", stamp="start", now=NOW)

        assert known(other) == known(filled)
        assert count == len(rows) == len(known(filled))
        assert [(row["meter"], row["start"]) for row in rows] == sorted(
            (row["meter"], row["start"]) for row in rows
        )
        edited = [row for row in rows if row["quality"] == Quality.EDITED.name.lower()]
        assert [(row["wh_import"], row["version"]) for row in edited] == [(77, 2), (78, 2)]
        assert {row["volt"] for row in rows} == {None, Decimal("230.15"), Decimal("-0.05"), Decimal("240.00")}

    def test_groups_rows_by_many_meters(self, filled: Database, monkeypatch: pytest.MonkeyPatch):
        parquet = pytest.importorskip("pyarrow.parquet")
        monkeypatch.setattr(exporting, "ROWS_PER_GROUP", 60)
        file = io.BytesIO()
        with filled.read() as connection:
            count = operations.write_parquet(connection, file=file, wish=ALL, progress=no_progress)

        written = parquet.ParquetFile(io.BytesIO(file.getvalue()))
        assert written.num_row_groups > 1
        assert written.metadata.num_rows == count

    def test_says_what_is_missing_without_pyarrow(self, filled: Database, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with (
            pytest.raises(MissingExtra, match=r"pip install 'bijlighar\[parquet\]'"),
            filled.read() as connection,
        ):
            operations.write_parquet(connection, file=io.BytesIO(), wish=ALL, progress=no_progress)


class TestRunsOf:
    def test_leaves_out_what_nothing_is_known_of(self, filled: Database):
        with filled.read() as connection:
            runs = list(exporting.runs_of(connection, wish=ALL, progress=no_progress))

        assert [(run.meter, run.minutes, run.rows) for run in runs] == [
            (ODD, 30, 48), ("M1", 30, 67), ("M1", 15, 96), ("M2", 30, 48),
        ]  # fmt: skip
        for run in runs:
            assert (np.diff(run.starts) > 0).all()
        assert timedelta(seconds=int(runs[2].starts[1] - runs[2].starts[0])) == timedelta(minutes=15)
