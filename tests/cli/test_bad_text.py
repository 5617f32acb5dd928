"""A text too long, or that no database can hold, is refused in one line and stores nothing, on both databases."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bijlighar.runtime.schema import metadata
from bijlighar.storage.engine import Database
from tests.cli import papers
from tests.cli.shell import Done, Shell

#: longer than any text, a zero byte, half of a sign outside the first plane
LONG, ZERO, HALF = "x" * 5_000, "a\0b", "a\udc80b"
BAD = pytest.mark.parametrize("bad", [LONG, ZERO, HALF], ids=["long", "zero", "half"])
KEYS = {
    "url": "tcp://127.0.0.1:9",
    "serial": "BJ900001",
    "system_title": "11" * 8,
    "ek": "11" * 16,
    "ak": "22" * 16,
    "lls": "a",
    "hls": "b",
}
BAD_MARK = "{bad}"
BOSS = ("--as", "boss")
ROLES = ("clerk", "approver", "operator", "engineer", "admin", "store_keeper", "fitter", "theft_officer")
#: what a person may write in their own words, or by which they name something
COMMANDS = (
    ("halt", "--reason", BAD_MARK, *BOSS),
    ("halt", "--reason", "storm", "--as", BAD_MARK),
    ("halt", "--reason", "storm", "--office", BAD_MARK, *BOSS),
    ("resume", "--reason", BAD_MARK, *BOSS),
    ("registry", "protect", "A1", "--kind", BAD_MARK, *BOSS),
    ("registry", "protect", "A1", "--kind", "court_stay", "--certificate", BAD_MARK, *BOSS),
    ("registry", "protect", "A1", "--kind", "court_stay", "--as", BAD_MARK),
    ("registry", "protect", BAD_MARK, "--kind", "court_stay", *BOSS),
    ("registry", "show", "--account", BAD_MARK),
    ("registry", "show", "--meter", BAD_MARK),
    ("arrears", "circumstance", "enter", "A1", "--kind", "dispute", "--note", BAD_MARK, *BOSS),
    ("arrears", "circumstance", "enter", "A1", "--kind", "dispute", "--note", "n", "--document", BAD_MARK, *BOSS),
    ("arrears", "circumstance", "enter", "A1", "--kind", "dispute", "--note", "n", "--as", BAD_MARK),
    ("arrears", "circumstance", "enter", BAD_MARK, "--kind", "dispute", "--note", "n", *BOSS),
    ("arrears", "circumstance", "end", "1", "--as", BAD_MARK),
    ("arrears", "notices", "served", "A1", "--on", "2025-04-01", "--proof", BAD_MARK, *BOSS),
    ("arrears", "notices", "served", "A1", "--on", "2025-04-01", "--proof", "postal", "--reference", BAD_MARK, *BOSS),
    ("arrears", "list", "draw", "--office", BAD_MARK, *BOSS),
    ("arrears", "list", "draw", "--office", "MHOW", "--as", BAD_MARK),
    ("arrears", "list", "approve", "1", "--as", BAD_MARK),
    ("arrears", "hand", "done", "1", "--as", BAD_MARK),
    ("policy", "explain", BAD_MARK),
    ("bill", "show", BAD_MARK),
    ("bill", "correct", BAD_MARK, "--reason", "r", *BOSS),
    ("bill", "correct", "B2504-0000001-0", "--reason", BAD_MARK, *BOSS),
    ("bill", "release", BAD_MARK, "--month", "2025-04", "--reason", "r", *BOSS),
    ("bill", "release", "A1", "--month", "2025-04", "--reason", BAD_MARK, *BOSS),
    ("person", "add", BAD_MARK, "--office", "MHOW", "--role", "clerk"),
    ("person", "add", "new", "--office", BAD_MARK, "--role", "clerk"),
    ("person", "add", "new", "--office", "MHOW", "--role", "clerk", "--full-name", BAD_MARK),
    ("person", "add", "new", "--office", "MHOW", "--role", "clerk", "--as", BAD_MARK),
    ("person", "change", "boss", "--full-name", BAD_MARK),
    ("person", "change", "boss", "--office", BAD_MARK),
    ("person", "change", BAD_MARK, "--inactive"),
    ("person", "change", "boss", "--inactive", "--as", BAD_MARK),
    ("rollout", "order", "issue", "1", "--to", BAD_MARK, *BOSS),
    ("rollout", "order", "issue", "1", "--to", "f", "--as", BAD_MARK),
    ("rollout", "order", "fail", "2", "--reason", BAD_MARK, *BOSS),
    ("rollout", "order", "cancel", "1", "--reason", BAD_MARK, *BOSS),
    ("rollout", "order", "make", "--place", BAD_MARK, *BOSS),
    ("rollout", "order", "make", "--office", BAD_MARK, *BOSS),
    ("rollout", "move", "issue", "NEW1", "--to", BAD_MARK, *BOSS),
    ("rollout", "move", "issue", BAD_MARK, "--to", "f", *BOSS),
    ("rollout", "move", "faulty", "NEW1", "--reason", BAD_MARK, *BOSS),
    ("rollout", "move", "faulty", BAD_MARK, "--reason", "r", *BOSS),
    ("rollout", "install", "2", "--meter", BAD_MARK, "--new-register", "0", *BOSS),
    ("rollout", "install", "2", "--meter", "NEW2", "--new-register", "0", "--old-register", "0", "--url",
     "tcp://127.0.0.1:9/" + BAD_MARK, *BOSS),
    ("rollout", "target", "--office", BAD_MARK, "--planned", "1", "--from", "2025-04", "--to", "2025-04", *BOSS),
    ("rollout", "orders", "--office", BAD_MARK),
    ("alarm", "ack", "1", "--note", BAD_MARK, *BOSS),
    ("alarm", "ack", "1", "--as", BAD_MARK),
)  # fmt: skip
#: a name that nothing has may also be answered by an empty table
MAY_BE_EMPTY = (
    ("registry", "show", "--transformer", BAD_MARK),
    ("arrears", "orders", "--account", BAD_MARK),
    ("office", "audit", "--subject", BAD_MARK),
)


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with Shell() as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def home(
    request: pytest.FixtureRequest, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A home with something of everything; no test changes it."""
    folder = tmp_path_factory.mktemp("texts")
    if request.param == "sqlite":
        yield _filled(shell, folder, url=f"sqlite:///{folder}/test.sqlite")
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield _filled(shell, folder, url=url)


def _filled(shell: Shell, folder: Path, *, url: str) -> Path:
    home = folder / "home"
    home.mkdir()
    (home / "settings.toml").write_text(f'database = "{url}"\n', encoding="utf-8")
    files = papers.write(folder, offices=papers.OFFICES, registry=papers.registry(), stock=papers.STOCK)
    shell.ok("office", "import", files["offices"], "--home", home)
    roles = [word for role in ROLES for word in ("--role", role)]
    shell.ok("person", "add", "boss", "--office", "WEST", *roles, "--home", home)
    shell.ok("registry", "import", files["registry"], "--home", home)
    shell.ok("rollout", "receive", files["stock"], *BOSS, "--home", home)
    shell.ok("rollout", "order", "make", "--place", "U1", *BOSS, "--home", home)
    shell.ok("rollout", "order", "make", "--place", "U3", *BOSS, "--home", home)
    shell.ok("rollout", "order", "issue", 2, "--to", "f", *BOSS, "--home", home)
    shell.ok("rollout", "move", "issue", "NEW2", "--to", "f", *BOSS, "--home", home)
    return home


def stored(home: Path) -> dict[str, object]:
    """Return how many rows each table has, and the work orders and people as they stand."""
    text = (home / "settings.toml").read_text(encoding="utf-8")
    database = Database(text.split('"')[1])
    try:
        with database.read() as connection:
            counts: dict[str, object] = {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in metadata.tables.items()
            }
            for name in ("rollout_order", "rollout_stock", "offices_person", "offices_office"):
                counts[f"rows of {name}"] = sorted(
                    map(repr, connection.execute(select(metadata.tables[name])))
                )
            return counts
    finally:
        database.close()


def check_refused(done: Done) -> None:
    assert done.status in (1, 2), done
    assert "Traceback" not in done.err, done.err
    assert done.out == ""
    last = done.err.rstrip("\n").split("\n")
    assert len(last) == 1 or done.status == 2, done.err
    assert len(last[-1]) < 500, "the message repeats what was too long"


class TestTextOnTheCommandLine:
    @BAD
    @pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words).replace(BAD_MARK, "*"))
    def test_is_refused_in_one_line_and_changes_nothing(
        self, shell: Shell, home: Path, command: tuple[str, ...], bad: str
    ):
        before = stored(home)

        check_refused(shell.run(*(word.replace(BAD_MARK, bad) for word in command), "--home", home))

        assert stored(home) == before

    @BAD
    def test_is_refused_before_anything_is_looked_up(self, shell: Shell, home: Path, bad: str):
        said = shell.refusal("alarm", "ack", 1, "--note", bad, *BOSS, "--home", home)

        assert said.startswith("the note ")
        assert said.endswith("[base.invalid-value]")

    @BAD
    @pytest.mark.parametrize("command", MAY_BE_EMPTY, ids=lambda words: " ".join(words[:2]))
    def test_that_nothing_has_finds_nothing(
        self, shell: Shell, home: Path, command: tuple[str, ...], bad: str
    ):
        done = shell.run(*(word.replace(BAD_MARK, bad) for word in command), "--home", home)

        assert done.status in (0, 1, 2)
        assert "Traceback" not in done.err, done.err


class TestTextInAFile:
    @pytest.mark.parametrize("name", ["serial", "url"])
    @pytest.mark.parametrize("bad", [LONG, ZERO, HALF], ids=["long", "zero", "half"])
    def test_of_keys_is_refused_in_one_line(
        self, shell: Shell, home: Path, tmp_path: Path, name: str, bad: str
    ):
        file = tmp_path / "keys.json"
        file.write_text(json.dumps([KEYS | {name: bad}]), encoding="utf-8")
        before = stored(home)

        check_refused(shell.run("registry", "keys", file, "--home", home))

        assert stored(home) == before

    @pytest.mark.parametrize(
        ("word", "text"),
        [
            ("office", f"code,level,parent\n{'x' * 65},company,\n"),
            ("office", f"code,name_en,level,parent\nNEWEST,{'x' * 1500},company,\n"),
            ("registry", papers.registry().replace("A2,", f"{'x' * 60},").replace(",U2,", ",,")),
            ("registry", papers.registry().replace("A2,", f"{'x' * 40},").replace(",U2,", ",,")),
            ("registry", papers.registry().replace("life_support:CERT-1", f"life_support:{'x' * 1000}")),
            ("registry", papers.registry().replace("life_support:CERT-1", f"{'x' * 70}")),
            ("registry", papers.registry().replace(",,,,,,BJTX0001", f",,,,,,{'x' * 60}")),
        ],
        ids=["office code", "office name", "account 60", "account 40", "certificate", "kind", "serial"],
    )
    def test_is_refused_in_one_line_or_stored_whole(
        self, shell: Shell, home: Path, tmp_path: Path, word: str, text: str
    ):
        file = tmp_path / "long.csv"
        file.write_text(text, encoding="utf-8")
        before = stored(home)

        check_refused(shell.run(word, "import", file, "--home", home))

        assert stored(home) == before
