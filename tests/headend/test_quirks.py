"""Models that differ: with their quirk file the rows are right, without it the error says that one is wanted."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.cli.main import bijlighar
from bijlighar.dlms import axdr, cosem, is15959
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.obis import Obis
from bijlighar.headend import operations, queries
from bijlighar.headend.errors import BrokenQuirk
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.keys import write_keys_file
from bijlighar.headend.model import SESSION_OK, HeadEndSettings, SessionRow
from bijlighar.headend.quirks import Quirks, version_of
from bijlighar.headend.quirks_file import load_quirk, load_quirks, read_folder
from bijlighar.readings import queries as readings
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.meter import PERIOD_S, Meter, serving
from tests.headend.orders import meter_keys
from tests.headend.test_cli import call, json_of
from tests.headend.test_collect import FIRST, NOW, collect, held, keys_of, stored, with_meter

MATCH = '[match]\nmaker = "X"\nfirmware_from = "2"\n'
BLOCK = is15959.BLOCK_LOAD.obis
ELSEWHERE = Obis.parse("1.0.99.9.0.255")


@dataclass
class OddMeter(Meter):
    """A meter whose firmware 2.1 has its own ways."""

    firmware: str = "2.1"
    moved: bool = False
    no_choice: bool = False
    only_entries: bool = False
    at_start: bool = False
    no_scalers: bool = False
    no_period: bool = False
    counter_at: str = ""

    def value(self, attribute: Attribute, selection: cosem.Selection | None) -> bytes | None:
        if self.counter_at and str(attribute.obis).startswith("0.0.43.1."):
            told = axdr.double_long_unsigned(max((0, *self.seen.values())))
            return told if str(attribute.obis) == self.counter_at else None
        if self.moved and attribute.obis in (BLOCK, ELSEWHERE):
            if attribute.obis == BLOCK:
                return None
            attribute = replace(attribute, obis=BLOCK)
        if attribute.obis == BLOCK:
            return self.load(attribute, selection)
        if self.no_scalers and attribute.obis == is15959.BLOCK_LOAD.scaler_obis:
            return None
        return super().value(attribute, selection)

    def load(self, attribute: Attribute, selection: cosem.Selection | None) -> bytes | None:
        if attribute.index == 4 and self.no_period:
            return axdr.double_long_unsigned(0)
        if attribute.index == 7:
            return axdr.double_long_unsigned(len(self.blocks))
        if isinstance(selection, cosem.ByEntry):
            rows = sorted(self.blocks.items())[selection.first - 1 :]
            return axdr.array([self.block_row(at, row) for at, row in rows])
        if selection is not None and (self.no_choice or self.only_entries):
            return None
        return super().value(attribute, selection)

    def block_row(self, at: int, row: tuple[int, ...]) -> bytes:
        return super().block_row(at - PERIOD_S if self.at_start else at, row)


def with_quirks(database: Database, *texts: str) -> HeadEnd:
    quirks = load_quirks({f"q{number}": text for number, text in enumerate(texts)})
    return open_head_end(database, settings=replace(FAST, quirks=quirks))


def last_session(database: Database, meter: str = "BJ100001") -> SessionRow:
    with database.read() as connection:
        return queries.sessions(connection, meter=meter)[0]


def right(meter: Meter) -> dict[int, int]:
    return held(meter, local_midnight(FIRST), local_midnight(date(2025, 7, 1)))


def number_rows(meter: Meter) -> Meter:
    meter.fill(local_midnight(FIRST) - timedelta(days=2), NOW)
    for place, at in enumerate(sorted(meter.blocks)):
        meter.blocks[at] = (23012, place, place + 3, 1, 1, 412)
    return meter


ODD = [
    ({"moved": True}, '[profiles.block-load]\nobis = "1.0.99.9.0.255"\n'),
    ({"no_choice": True}, '[profiles.block-load]\naccess = "whole"\n'),
    ({"only_entries": True}, '[profiles.block-load]\naccess = "entries"\n'),
    ({"no_scalers": True}, '[scalers]\n"1.0.1.29.0.255" = {scaler = 0, unit = "Wh"}\n'
     '"1.0.2.29.0.255" = {scaler = 0, unit = "Wh"}\n'),
    ({"no_period": True}, "[profiles.block-load]\nperiod_s = 1800\n"),
]  # fmt: skip


class TestCollecting:
    @pytest.mark.parametrize(("ways", "text"), ODD)
    def test_reads_right_with_the_file_and_asks_for_it_without(
        self, database: Database, head_end: HeadEnd, run, ways: dict[str, bool], text: str
    ):
        async def scenario() -> Meter:
            meter = await with_meter(database, number_rows(OddMeter(keys=meter_keys(), **ways)))
            await collect(database, head_end)
            failed = last_session(database)
            assert failed.outcome in ("headend.layout", "headend.access-refused")
            assert "quirk file" in failed.note
            assert stored(database) == {}
            await collect(database, with_quirks(database, MATCH + text), NOW + timedelta(hours=6))
            return meter

        meter = run(scenario())

        assert stored(database) == right(meter)
        assert last_session(database).note == "quirk file q0.toml"

    def test_names_an_interval_by_its_start_where_the_meter_stamps_it_so(self, database: Database, run):
        async def scenario() -> Meter:
            meter = await with_meter(
                database, number_rows(OddMeter(keys=meter_keys(), at_start=True, no_choice=True))
            )
            text = '[profiles.block-load]\nstamp = "start"\naccess = "whole"\n'
            await collect(database, with_quirks(database, MATCH + text))
            return meter

        meter = run(scenario())
        assert stored(database) == right(meter)

    def test_gives_an_event_the_code_of_the_standard_and_keeps_the_makers(self, database: Database, run):
        async def scenario() -> None:
            meter = OddMeter(keys=meter_keys(), events={4: [(epoch_seconds(local_midnight(FIRST)), 603)]})
            await with_meter(database, meter)
            await collect(database, with_quirks(database, MATCH + "[events]\n603 = 201\n"))

        run(scenario())
        with database.read() as connection:
            ((_, event),) = readings.events(connection, after=0, limit=10)
        assert (event.code, event.detail["makers_code"]) == (201, 603)

    def test_reads_a_layout_again_when_the_file_says_something_else(self, database: Database, run):
        async def scenario() -> None:
            await with_meter(database, OddMeter(keys=meter_keys()))
            scaled = '[scalers]\n"1.0.1.29.0.255" = {scaler = %d, unit = "Wh"}\n'
            await collect(database, with_quirks(database, MATCH + scaled % 1))
            before = set(stored(database).values())
            await with_meter(database, OddMeter(keys=keys_of(2)))
            await collect(database, with_quirks(database, MATCH + scaled % 2))
            assert (before, set(stored(database, "BJ100002").values())) == ({1_000}, {10_000})

        run(scenario())

    @pytest.mark.parametrize("broken", [MATCH + "[events]\n603 = 0\n", "[match\n"])
    def test_with_a_broken_file_stops_for_its_model_alone(self, database: Database, run, broken: str):
        async def scenario() -> None:
            if broken == "[match\n":  # nobody can tell whose it is: it is known from the last reading
                await with_meter(database, OddMeter(keys=keys_of(9)))
                await collect(database, with_quirks(database, MATCH + "[events]\n603 = 201\n"))
            await with_meter(database, OddMeter(keys=meter_keys()))
            await with_meter(database, Meter(keys=keys_of(2), firmware="1.9"))
            await collect(database, with_quirks(database, broken))

        run(scenario())
        assert last_session(database).outcome == "headend.broken-quirk"
        assert "q0.toml" in last_session(database).note
        assert stored(database) == {}
        assert last_session(database, "BJ100002").outcome == SESSION_OK

    def test_asks_for_the_counter_where_the_file_says_it_is(self, database: Database, run):
        async def scenario() -> str:
            await with_meter(
                database, OddMeter(keys=meter_keys(), counter_at="0.0.43.1.9.255", seen={32: 900})
            )
            contact = '[match]\nserials = ["BJ1*"]\n[contact]\ncounter = "0.0.43.1.9.255"\nmax_pdu = 256\n'
            await collect(database, open_head_end(database, settings=FAST))
            before = last_session(database).outcome
            await collect(database, with_quirks(database, contact), NOW + timedelta(hours=6))
            return before

        assert run(scenario()) != SESSION_OK
        assert last_session(database).outcome == SESSION_OK


class TestCommands:
    def test_read_with_a_folder_of_quirks_names_the_file(self, tmp_path: Path):
        (tmp_path / "odd.toml").write_text(MATCH + '[profiles.block-load]\nobis = "1.0.99.9.0.255"\n')
        keys_file = tmp_path / "keys.json"
        keys_file.write_text(write_keys_file([replace(meter_keys(), url=None)]))
        with serving(number_rows(OddMeter(moved=True))) as url:
            words = ("read", url, "--profile", "block-load", "--keys", str(keys_file))
            assert "no profile block-load" in str(call(*words).exception)
            answer = json_of(*words, "--quirks", str(tmp_path))
            told = call(*words, "--quirks", str(tmp_path)).stdout
        assert answer["quirk"] == "odd"
        assert len(answer["rows"]) > 96
        assert "by the quirk file odd.toml" in told

    def test_quirks_checks_a_folder_and_prints_a_file_to_begin_with(self, tmp_path: Path):
        shown = CliRunner().invoke(bijlighar, ["meter", "quirks"])
        (tmp_path / "mine.toml").write_text(shown.stdout)
        good = CliRunner().invoke(bijlighar, ["meter", "quirks", str(tmp_path)])
        (tmp_path / "other.toml").write_text(MATCH + "[events]\n603 = 0\n")
        bad = CliRunner().invoke(bijlighar, ["meter", "quirks", str(tmp_path)])
        assert (good.exit_code, good.stdout) == (0, "mine.toml can be used\n")
        assert bad.exit_code == 1
        assert "other.toml [events]: 603 must be a whole number" in bad.stdout

    def test_doctor_names_a_file_that_cannot_be_used(self, tmp_path: Path):
        (tmp_path / "quirks").mkdir()
        (tmp_path / "quirks" / "good.toml").write_text(MATCH + "[events]\n603 = 201\n")
        (tmp_path / "quirks" / "bad.toml").write_text("[match\n")
        (tmp_path / "settings.toml").write_text("")
        told = CliRunner().invoke(bijlighar, ["doctor", "--home", str(tmp_path)]).stdout
        assert "quirk files: good" in told
        assert "bad.toml is not valid TOML" in told


class TestFile:
    def test_that_is_shipped_can_be_used_and_is_of_no_meter_here(self):
        quirk = load_quirk("example", operations.shipped_quirk())
        assert quirk.match.has_model("EXAMPLE METERS LTD / 6 / 1.3")
        assert not quirk.match.has_model("EXAMPLE METERS LTD / 6 / 1.4.3")
        assert not quirk.match.has_model("BIJLIGHAR SIM / 6 / 1.3")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[match\n", "line 1"),
            ("[events]\n1 = 2\n", "[match] is missing"),
            ("[match]\n[events]\n1 = 2\n", "matches no meter"),
            (MATCH, "changes nothing"),
            (MATCH + "[profiles.blocks]\n", "there is no profile 'blocks'"),
            (MATCH + '[profiles.daily]\naccess = "entries"\n', 'use "whole"'),
            (MATCH + '[profiles.block-load]\nobis = "1.2"\n', "[profiles.block-load]: obis"),
            (MATCH + '[profiles.block-load]\nstmp = "start"\n', "unknown name stmp"),
            (MATCH + "[profiles.block-load]\nperiod_s = 60\n", "one of 900, 1800"),
            (MATCH + '[scalers]\n"1.0.1.29.0.255" = {scaler = 20, unit = "Wh"}\n', "from -9 to 9"),
            (MATCH + "[contact]\nmax_pdu = 512\n", "[contact] needs [match] serials"),
            (MATCH + "[events]\nx = 2\n", "an event's name is its number"),
            ("match = 1\n", "a table is expected"),
        ],
    )
    def test_of_nonsense_is_refused_by_file_and_field(self, text: str, words: str):
        with pytest.raises(BrokenQuirk) as problem:
            load_quirk("acme", text)
        assert "acme.toml" in str(problem.value)
        assert words in str(problem.value)

    def test_in_a_folder_that_is_no_text_leaves_the_others(self, tmp_path: Path):
        (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
        (tmp_path / "b.toml").write_text(MATCH + "[events]\n603 = 201\n")
        found = read_folder(tmp_path)
        assert [quirk.name for quirk in found.files] == ["b"]
        assert list(found.broken) == ["a"]
        assert read_folder(tmp_path / "none") == Quirks()

    def test_two_of_one_model_are_refused(self):
        text = MATCH + "[events]\n603 = 201\n"
        with pytest.raises(BrokenQuirk, match=r"a\.toml and b\.toml"):
            load_quirks({"a": text, "b": text}).of_model("X / 6 / 2.0")

    def test_compares_versions_as_numbers(self):
        assert version_of("1.10") > version_of("1.9")
        assert HeadEndSettings().quirks == Quirks()
