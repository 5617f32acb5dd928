from pathlib import Path

import pytest

from bijlighar.bench import peers

ANSWERS = """\
import json, sys
print(json.dumps({"version": "1.2", "decode_us": json.load(sys.stdin)["wanted"]}))
"""
IMPORTS = """\
import asking
asking.answer(lambda request: __import__("no_such_library"))
"""
PRINTS = """\
import asking
def work(request):
    print("noise")
    return {"version": "1", "least_us": asking.least_us(lambda: None, rounds=2, per=1)}
asking.answer(work)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(peers.INTERPRETER_VARIABLE, raising=False)
    (tmp_path / "asking.py").write_text((peers.FOLDER / "asking.py").read_text(encoding="utf-8"))
    return tmp_path


def ask(folder: Path, script: str) -> peers.Peer:
    (folder / "other.py").write_text(script)
    return peers.ask(name="other", request={"wanted": 2.5}, folder=folder)


class TestAsk:
    def test_gives_the_request_and_returns_the_answer(self, folder: Path):
        peer = ask(folder, ANSWERS)

        assert peer.figure("decode_us") == 2.5
        assert peer.version == "1.2"
        assert peer.reason is None

    def test_tells_of_a_program_that_is_not_there(self, folder: Path):
        peer = peers.ask(name="nobody", request={}, folder=folder)

        assert peer.figure("decode_us") is None
        assert peer.reason is not None
        assert "nobody.py" in peer.reason

    def test_tells_of_a_library_that_cannot_be_imported(self, folder: Path):
        assert ask(folder, IMPORTS) == peers.Peer(answer=None, reason="No module named 'no_such_library'")

    def test_tells_of_a_program_that_fails(self, folder: Path):
        assert ask(folder, "raise ValueError('torn')") == peers.Peer(answer=None, reason="ValueError: torn")

    def test_tells_of_a_program_that_says_nothing(self, folder: Path):
        assert ask(folder, "") == peers.Peer(answer=None, reason="exit status 0, no answer")

    def test_tells_of_an_interpreter_that_is_not_there(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv(peers.INTERPRETER_VARIABLE, str(folder / "python"))

        peer = ask(folder, ANSWERS)

        assert peer.answer is None
        assert peer.reason is not None

    def test_keeps_what_a_library_prints_out_of_the_answer(self, folder: Path):
        assert ask(folder, PRINTS).version == "1"


class TestFolder:
    def test_holds_a_program_for_each_peer(self):
        assert {path.stem for path in peers.FOLDER.glob("*.py")} == {
            "asking",
            "cosem",
            "cosem_client",
            "gurux",
            "gurux_client",
            "gurux_sessions",
            "pydlms_client",
        }
