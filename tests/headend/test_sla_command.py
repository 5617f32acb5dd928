"""`bijlighar sla` as a person runs it."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from bijlighar.cli.sla import sla
from bijlighar.headend.errors import BrokenContract
from bijlighar.headend.operations import shipped_contract
from bijlighar.runtime.home import Home
from tests.headend.town import hang


def call(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(sla, ["--home", str(home), "--day", "2025-06-30", *arguments])


class TestSla:
    def test_prints_one_document_in_which_each_figure_names_its_query(self, tmp_path: Path):
        hang(Home(tmp_path).database, serial="BJ100000", url="tcp://127.0.0.1:5000")

        result = call(tmp_path, "--format", "json")

        assert result.exception is None
        found = json.loads(result.stdout)
        assert found["targets"]["late"]["counted"] == 1
        assert found["month"]["payable_paise"] == 0
        for figure in (*found["targets"].values(), *found["month"]["deductions"], found["silent"]):
            assert figure["query"]["of"] in found["queries"]

    def test_speaks_hindi_and_english(self, tmp_path: Path):
        hang(Home(tmp_path).database, serial="BJ100000", url="tcp://127.0.0.1:5000")

        english, hindi = call(tmp_path), call(tmp_path, "--lang", "hi")

        assert "payable" in english.output
        assert "₹0.00" in english.output
        assert "देय राशि" in hindi.output
        assert "payable" not in hindi.output

    def test_goes_by_the_home_s_own_contract(self, tmp_path: Path):
        text = shipped_contract().replace('id = "EXAMPLE"', 'id = "OURS"')
        (tmp_path / "contract.toml").write_text(text)
        (tmp_path / "settings.toml").write_text('contract = "contract.toml"\n')

        assert json.loads(call(tmp_path, "--format", "json").stdout)["contract"] == "OURS"

    def test_refuses_a_contract_that_cannot_be_used(self, tmp_path: Path):
        (tmp_path / "contract.toml").write_text("")
        (tmp_path / "settings.toml").write_text('contract = "contract.toml"\n')

        assert isinstance(call(tmp_path).exception, BrokenContract)
