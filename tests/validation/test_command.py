import json
import zipfile
from pathlib import Path

import pytest

from bijlighar.cli.main import main

REGISTRY = """\
account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,from
N1,Asha,LV-1.2,urban,2000,UP1,M1,single-phase,,T1,F1,R,,2026-04-01
"""
INTERVALS = """\
meter,start,minutes,wh_import
M1,2026-04-01T00:30:00+05:30,30,5
M1,2026-04-01T01:00:00+05:30,30,6.5
M1,2026-04-01T02:30:00+05:30,30,6
"""


@pytest.fixture
def home(tmp_path: Path) -> str:
    (tmp_path / "registry.csv").write_text(REGISTRY)
    (tmp_path / "intervals.csv").write_text(INTERVALS)
    return str(tmp_path / "home")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


class TestReadingsImport:
    def test_builds_on_a_registry_and_shows_in_validate(self, home: str, tmp_path: Path, capsys):
        assert run("registry", "import", str(tmp_path / "registry.csv"), "--home", home) == 0
        assert (
            run("readings", "import", str(tmp_path / "intervals.csv"), "--stamp", "end", "--home", home) == 0
        )
        told = capsys.readouterr()
        assert "3 lines of 1 meters: 3 intervals new" in told.out
        assert "rounded half up" in told.err

        assert run("validate", "--home", home, "--format", "json") == 0

        found = json.loads(capsys.readouterr().out)
        assert found["totals"] == {"missing": {"findings": 1, "intervals": 2}}
        assert found["findings"][0]["start"] == "2026-04-01T01:00:00+05:30"
        assert run("validate", "--home", home, "--from", "2026-04-01", "--to", "2026-04-02") == 0
        assert "1 meter-days validated" in capsys.readouterr().out

    def test_refuses_a_wrong_file_in_one_line(self, home: str, tmp_path: Path, capsys):
        (tmp_path / "torn.csv").write_text(INTERVALS[:-20])
        assert run("registry", "import", str(tmp_path / "registry.csv"), "--home", home) == 0
        capsys.readouterr()

        assert run("readings", "import", str(tmp_path / "torn.csv"), "--home", home) == 1

        told = capsys.readouterr()
        assert told.out == ""
        assert "torn.csv, line 4: 2 cells where 4 belong" in told.err
        assert run("validate", "--home", home, "--format", "json") == 0
        assert json.loads(capsys.readouterr().out)["findings"] == []

    def test_says_what_formats_it_does_not_take(self, home: str, tmp_path: Path, capsys):
        for kind, told in (
            ("greenbutton", "intervals.csv, line 1: syntax error"),
            ("nem12", "line 1: the file begins"),
        ):
            assert (
                run("readings", "import", str(tmp_path / "intervals.csv"), "--format", kind, "--home", home)
                == 1
            )
            assert told in capsys.readouterr().err

    def test_takes_in_a_zipped_nem12_file_and_refuses_nem13(self, home: str, tmp_path: Path, capsys):
        day = "300,20260401," + ",".join(["1.5"] * 48) + ",V,,,,"
        text = f"100,NEM12,1,A,B\n200,X,E1,1,E1,,M1,kWh,30,\n{day}\n400,1,47,A,,\n400,48,48,S14,76,\n900\n"
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.csv", text)
        (tmp_path / "b.csv").write_text(text.replace("NEM12", "NEM13"))
        assert run("registry", "import", str(tmp_path / "registry.csv"), "--home", home) == 0
        capsys.readouterr()

        assert run("readings", "import", str(tmp_path / "a.zip"), "--format", "nem12", "--home", home) == 0
        assert "48 intervals new" in capsys.readouterr().out
        assert run("readings", "import", str(tmp_path / "b.csv"), "--format", "nem12", "--home", home) == 1
        assert "b.csv, line 1: NEM13 files" in capsys.readouterr().err
        assert run("validate", "--home", home, "--format", "json") == 0

        (flagged,) = [
            found for found in json.loads(capsys.readouterr().out)["findings"] if found["rule"] == "flagged"
        ]
        assert flagged["start"] == "2026-04-01T19:00:00+05:30"
        assert flagged["reason"] == "the sender does not call 1 interval measured: E1 S14 76"

    def test_refuses_an_archive_of_two_files(self, home: str, tmp_path: Path, capsys):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.csv", INTERVALS)
            archive.writestr("b.csv", INTERVALS)

        assert run("readings", "import", str(tmp_path / "a.zip"), "--home", home) == 1

        assert "a.zip: the archive must hold one file" in capsys.readouterr().err


class TestValidate:
    def test_says_that_there_is_nothing(self, home: str, capsys):
        assert run("validate", "--home", home) == 0
        assert "no readings yet" in capsys.readouterr().out

    def test_refuses_days_the_wrong_way_round(self, home: str, capsys):
        assert run("validate", "--home", home, "--from", "2026-04-02", "--to", "2026-04-01") == 2
        assert "--from is after --to" in capsys.readouterr().err
