"""NEM12: parsed and written alike, stored with the sender's quality, refused with line and reason."""

import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bijlighar.base.period import Period, epoch_seconds
from bijlighar.readings import operations, queries
from bijlighar.readings.errors import BrokenFile, UnsupportedFormat
from bijlighar.readings.model import ABSENT, FindingKind, interval_start
from bijlighar.readings.nem12_file import Nem12File, parse, write
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata

NOW = datetime(2026, 4, 3, 6, 0, tzinfo=UTC)
BROKEN_LINES = "nem12/NEM12#Scenario10#ETSAMDP#NEMMCO.zip"
HEAD = "100,NEM12,200405011135,MDA1,Ret1"
COLUMNS = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office"
)


def registry_of(*meters: str) -> str:
    return f"{COLUMNS}\n" + "".join(
        f"N{n},N,LV-1.2,urban,2000,U{n},{meter},single-phase,,T1,F1,R,\n" for n, meter in enumerate(meters)
    )


def day_of(count: int, *, quality: str = "A", value: str = "1.111", day: str = "20040201") -> str:
    return f"300,{day}," + ",".join([value] * count) + f",{quality},,,20040202120025,"


def texts(path: Path) -> list[tuple[str, str]]:
    """Return every file of the shared archive, also those that are zipped in it."""
    found = []
    with zipfile.ZipFile(path) as outer:
        for entry in outer.infolist():
            if entry.is_dir() or entry.filename == "LICENSE":
                continue
            if entry.filename.lower().endswith(".zip"):
                with outer.open(entry) as inner, zipfile.ZipFile(inner) as archive:
                    found += [(entry.filename, archive.read(name).decode()) for name in archive.namelist()]
            else:
                found.append((entry.filename, outer.read(entry).decode()))
    return found


@pytest.fixture(scope="session")
def examples(shared: Path) -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {"good": [], "invalid": [], "nem13": []}
    for name, text in texts(shared / "data/intervals/nem12_examples.zip"):
        kind = "invalid" if "/invalid/" in name else "nem13" if "NEM13" in name.upper() else "good"
        groups[kind].append((name, text))
    return groups


def without_lines(file: Nem12File) -> Nem12File:
    return replace(
        file,
        lines=0,
        registers=tuple(
            replace(block, line=0, days=tuple(replace(day, line=0) for day in block.days))
            for block in file.registers
        ),
    )


@pytest.fixture
def sqlite(tmp_path: Path):
    opened = Database(f"sqlite:///{tmp_path}/nem12.sqlite")
    metadata.create_all(opened.engine)
    yield opened
    opened.close()


def tables(database: Database) -> list[int]:
    with database.read() as connection:
        counts = []
        for name in ("readings_day", "readings_finding", "readings_history"):
            if name in metadata.tables:
                counts.append(len(connection.execute(metadata.tables[name].select()).all()))
    return counts


class TestExamples:
    def test_of_all_kinds_are_there(self, examples):
        assert {kind: len(files) for kind, files in examples.items()} == {
            "good": 106,
            "invalid": 11,
            "nem13": 63,
        }

    def test_are_written_as_they_were_read(self, examples):
        for name, text in examples["good"]:
            file = parse(text)
            assert without_lines(parse(write(file))) == without_lines(file), name

    def test_hold_the_values_and_flags_that_another_reader_finds(self, examples, shared):
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(shared / "data/intervals/nem12_parsed.parquet").to_pydict()
        wanted: dict[tuple[str, str, str], list[tuple[float, str]]] = {}
        for place, file in enumerate(table["file"]):
            key = (file, table["nmi"][place], table["suffix"][place])
            wanted.setdefault(key, []).append((table["value"][place], table["quality"][place][:3]))
        compared: set[tuple[str, str, str]] = set()
        for name, text in examples["good"]:
            found: dict[tuple[str, str, str], list[tuple[float, str]]] = {}
            for block in parse(text).registers:
                own = found.setdefault((name.removeprefix("examples/"), block.nmi, block.suffix), [])
                for day in block.days:
                    for part in day.stretches:
                        for value in day.values[part.first - 1 : part.last]:
                            own.append((float(value), part.quality))
            for key, pairs in found.items():
                if key[0] == BROKEN_LINES and key in wanted:
                    assert len(pairs) >= len(
                        wanted[key]
                    )  # the other reader loses the day that is broken over lines
                    compared.add(key)
                elif key in wanted:
                    assert sorted(pairs) == sorted(wanted[key]), key
                    compared.add(key)
        others = ("nem13/", "invalid/", "unzipped/Example_NEM13")
        wanted_files = {key[0] for key in wanted if not key[0].startswith(others)}
        assert wanted_files - {key[0] for key in compared} == set()

    def test_are_stored_whole_with_their_flags(self, examples, sqlite):
        known: set[str] = set()
        for name, text in examples["good"]:
            file = parse(text)
            names = {f"{block.nmi}-{block.suffix}" for block in file.registers}
            assert all(len(meter) <= 32 for meter in names), name
            known |= names
        with sqlite.write() as connection:
            registry.import_registry(connection, text=registry_of(*sorted(known)), now=NOW)
            for name, text in examples["good"]:
                report = operations.import_nem12(connection, text=text, now=NOW)
                again = operations.import_nem12(connection, text=text, now=NOW)
                assert again.intervals_changed == again.days_written == 0, name
                assert report.meters or report.left_out, name
        with sqlite.read() as connection:
            ever = Period(start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 1, tzinfo=UTC))
            flags = queries.findings(connection, period=ever)
        told = {flag["quality"] for found in flags for flag in found.detail.get("flags", [])}
        assert {"E52", "E54", "E56", "F14", "F51", "F55", "N", "S14", "S15", "S51", "S56"} <= told

    def test_that_are_invalid_are_refused_with_line_and_reason_and_nothing_is_stored(self, examples, sqlite):
        meters = ("123", "VABD000163", "METSER123")
        with sqlite.write() as connection:
            registry.import_registry(connection, text=registry_of(*meters), now=NOW)
        before = tables(sqlite)
        for _, text in examples["invalid"]:
            with pytest.raises(BrokenFile, match=r"^line \d+: .{10}"), sqlite.write() as connection:
                operations.import_nem12(connection, text=text, now=NOW)
        assert tables(sqlite) == before

    def test_of_nem13_are_refused_as_not_supported(self, examples):
        for _, text in examples["nem13"]:
            with pytest.raises(UnsupportedFormat, match=r"NEM13 .* not supported"):
                parse(text)


class TestParse:
    def test_puts_a_broken_line_of_a_day_together(self):
        whole = f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n900\n"
        torn = whole.replace("1.111,1.111,1.111,", "1.111,1.111,\n1.111,", 1)

        assert without_lines(parse(torn)) == without_lines(parse(whole))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n", "line 3: the end of the file"),
            (f"{HEAD}\n{day_of(48)}\n900\n", "line 2: a day"),
            (f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,45,\n900\n", "line 2: intervals of '45' minutes"),
            (f"{HEAD}\n200,N1,E1,1,E1,N1,M1,furlong,30,\n900\n", "line 2: the unit 'furlong'"),
            (
                f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48, value='x')}\n900\n",
                "line 3: value 1 is 'x'",
            ),
            (
                f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48, day='20040231')}\n900\n",
                "line 3: '20040231' is no date",
            ),
            (
                f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n{day_of(48)}\n900\n",
                "line 4: the day 2004-02-01 .* line 3",
            ),
            (
                f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48, quality='V')}"
                "\n400,1,20,A,,\n400,22,48,A,,\n900\n",
                "line 5: intervals 22 to 48 do not go on after interval 20",
            ),
            (
                f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48, quality='Q')}\n900\n",
                "line 3: 'Q' is no quality",
            ),
            (f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n900\n900\n", "line 5: .* follows the end"),
        ],
    )
    def test_refuses_with_line_and_reason(self, text, reason):
        with pytest.raises(BrokenFile, match=reason):
            parse(text)


class TestImport:
    def put(self, database: Database, text: str, *meters: str):
        with database.write() as connection:
            registry.import_registry(connection, text=registry_of(*meters), now=NOW)
            return operations.import_nem12(connection, text=text, now=NOW)

    def days(self, database: Database, meter: str):
        with database.read() as connection:
            return queries.days(connection, meters=[meter], first=0, last=20_000)

    def test_stores_energy_at_the_markets_time(self, database: Database):
        report = self.put(database, f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n900\n", "M1")

        first, second = self.days(database, "M1")[0].values["wh_import"]
        assert report.intervals_new == 48
        assert (first != ABSENT).sum() == 9  # midnight of UTC+10 is 19:30 IST of the day before
        assert set(first[39:].tolist()) == set(second[:39].tolist()) == {1_111}
        start = interval_start(int(self.days(database, "M1")[0].days[0]), 39, 30)
        assert start == epoch_seconds(datetime(2004, 1, 31, 14, 0, tzinfo=UTC))

    def test_adds_registers_of_one_meter_and_tells_what_it_leaves_out(self, database: Database):
        text = (
            f"{HEAD}\n200,N1,E1E2Q1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n200,N1,E1E2Q1,2,E2,N1,M1,Wh,30,\n"
            f"{day_of(48, value='9')}\n200,N1,E1E2Q1,3,Q1,N1,M1,kVArh,30,\n{day_of(48)}\n900\n"
        )

        report = self.put(database, text, "N1")

        assert set(self.days(database, "N1")[0].values["wh_import"].ravel().tolist()) == {ABSENT, 1_120}
        assert report.left_out == ("1 days of register Q1 [kVArh] are not stored",)

    def test_adds_five_minutes_up_and_leaves_out_what_lacks_a_part(self, database: Database):
        text = (
            f"{HEAD}\n200,N1,E1B1,1,E1,N1,M1,kWh,5,\n{day_of(288, value='0.0105', quality='V')}\n"
            "400,1,4,A,,\n400,5,5,N,,\n400,6,288,E52,76,weather\n900\n"
        )

        report = self.put(database, text, "M1-E1", "M1")

        values = self.days(database, "M1-E1")[0].values["wh_import"].ravel()
        assert report.rounded == 95
        assert values[78:81].tolist() == [32, ABSENT, 32]
        with database.read() as connection:
            ever = Period(start=datetime(2004, 1, 1, tzinfo=UTC), end=datetime(2005, 1, 1, tzinfo=UTC))
            flags = queries.findings(connection, period=ever)
        assert [(flag.kind, flag.intervals) for flag in flags] == [
            (FindingKind.FLAGGED, 1),
            (FindingKind.FLAGGED, 283),
        ]
        assert flags[1].detail["flags"][0]["reason"] == "weather"

    def test_refuses_a_register_of_no_known_meter(self, database: Database):
        with pytest.raises(BrokenFile, match=r"line 2: no meter has one of .* M1-E1, N1-E1, M1, N1"):
            self.put(database, f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48)}\n900\n", "M9")

    def test_values_are_decimal_to_the_last_digit(self):
        file = parse(f"{HEAD}\n200,N1,E1,1,E1,N1,M1,kWh,30,\n{day_of(48, value='0.10')}\n900\n")

        assert file.registers[0].days[0].values[0] == Decimal("0.10")
