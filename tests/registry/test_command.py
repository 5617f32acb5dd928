import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bijlighar.cli.registry import registry
from bijlighar.offices.errors import UnknownPerson
from bijlighar.registry.errors import RefusedFile

HEADER = "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office\n"


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def run(tmp_path: Path, text: str, *arguments: str):
    (tmp_path / "given.csv").write_text(text, encoding="utf-8")
    return CliRunner().invoke(
        registry, [word.replace("FILE", str(tmp_path / "given.csv")) for word in arguments]
    )


class TestImport:
    ROWS = "A1,Asha,LV-1.2,urban,3000,U1,M1,single-phase,tcp://h:1,T1,F1,R,MHOW\n"

    def test_builds_a_registry_from_nothing_and_says_what_it_assumed(self, home, tmp_path):
        first = run(tmp_path, HEADER + self.ROWS, "import", "FILE", "--home", home, "--format", "json")
        again = run(tmp_path, HEADER + self.ROWS, "import", "FILE", "--home", home)

        document = json.loads(first.output)
        assert (document["accounts_new"], document["meters_new"], document["installations_new"]) == (1, 1, 1)
        assert document["warnings"][0].startswith("office MHOW was unknown")
        assert again.output.startswith("1 rows: 0 accounts new, 0 changed; 0 meters new")

    def test_refuses_a_wrong_file_with_one_line(self, home, tmp_path):
        result = run(
            tmp_path, HEADER + self.ROWS.replace("single-phase", "magic"), "import", "FILE", "--home", home
        )

        assert isinstance(result.exception, RefusedFile)
        assert "line 2, column meter_type" in str(result.exception)

    def test_asks_for_the_person_it_is_done_as(self, home, tmp_path):
        result = run(tmp_path, HEADER + self.ROWS, "import", "FILE", "--as", "nobody", "--home", home)

        assert isinstance(result.exception, UnknownPerson)


class TestNetwork:
    def test_takes_in_transformers(self, home, tmp_path):
        text = "transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,100,180,1400,hv\n"

        assert (
            run(tmp_path, text, "network", "FILE", "--home", home).output == "1 transformers new or changed\n"
        )


class TestShow:
    def test_tells_who_hung_where(self, home, tmp_path):
        run(tmp_path, HEADER + TestImport.ROWS, "import", "FILE", "--home", home)

        result = run(tmp_path, "", "show", "--account", "A1", "--home", home, "--format", "json")

        (place,) = json.loads(result.output)
        assert (place["meter"], place["transformer"], place["from"], place["to"]) == ("M1", "T1", None, None)
        assert "M1" in run(tmp_path, "", "show", "--home", home).output
