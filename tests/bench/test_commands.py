import json
import os

import pytest
from click.testing import CliRunner

from bijlighar.cli.bench import bench

SMALL = {
    "decode": [],
    "collect": ["--meters", "5"],
    "store": ["--meters", "20", "--days", "2"],
    "validate": ["--meters", "50", "--days", "2"],
    "rate": ["--meters", "200"],
}


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIJLIGHAR_PEERS", os.devnull)
    monkeypatch.delenv("BIJLIGHAR_DATABASE", raising=False)


class TestBench:
    @pytest.mark.parametrize("word", SMALL)
    def test_prints_one_json_document_and_tells_its_progress_elsewhere(self, word: str):
        result = CliRunner().invoke(bench, [word, *SMALL[word], "--format", "json"])

        assert result.exit_code == 0, result.output
        assert isinstance(json.loads(result.stdout), dict)
        assert "bijlighar:" in result.stderr

    @pytest.mark.parametrize("word", SMALL)
    def test_prints_a_table_for_a_person(self, word: str):
        result = CliRunner().invoke(bench, [word, *SMALL[word]])

        assert result.exit_code == 0, result.output
        assert "limit" in result.stdout or word == "collect"  # which has a peer and no limit

    def test_says_which_peers_were_not_measured(self):
        result = CliRunner().invoke(bench, ["decode"])

        assert "gurux-dlms: not measured" in result.stdout
        assert "dlms-cosem: not measured" in result.stdout

    def test_holds_a_session_with_every_meter(self):
        result = CliRunner().invoke(bench, ["collect", "--meters", "7", "--format", "json"])

        found = json.loads(result.stdout)
        assert found["meters"] == 7
        assert found["sessions_per_core_s"] > 0
        assert found["gurux_sessions_per_core_s"] is None
        assert found["peak_mb"] > 10

    def test_leaves_a_database_alone_that_is_no_postgresql(self, tmp_path):
        url = f"sqlite:///{tmp_path}/company.sqlite"

        result = CliRunner().invoke(bench, ["store", *SMALL["store"], "--database", url, "--format", "json"])

        assert json.loads(result.stdout)["postgresql"] is None
        assert list(tmp_path.iterdir()) == []

    def test_knows_no_word_that_is_not_built(self):
        assert sorted(bench.commands) == sorted([*SMALL, "alarm"]), (
            "alarm needs a browser and is tried by hand"
        )
        assert CliRunner().invoke(bench, ["relay"]).exit_code == 2
