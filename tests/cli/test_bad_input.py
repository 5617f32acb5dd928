"""What is wrong is said in one line, and changes nothing."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.cli.main import WORDS
from bijlighar.tariffs.operations import shipped_books
from tests.cli import papers
from tests.cli.shell import Done, Shell, python_m

POLICY = Path(__file__).parents[2] / "src" / "bijlighar" / "arrears" / "policies" / "mp.toml"
KEYS = (
    '[{"url": "tcp://127.0.0.1:9", "serial": "BJ900001", "system_title": "%s", '
    '"ek": "%s", "ak": "%s", "lls": "a", "hls": "b"}]'
)
PRICE = ("--category", "LV-1.2", "--area", "urban", "--wh", 1000, "--load-w", 1000, "--days", 30)


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    """A shell without a home of its own."""
    with Shell() as opened:
        yield opened


@pytest.fixture(scope="module")
def filled(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with offices, people and a registry; no test changes it."""
    folder = tmp_path_factory.mktemp("filled")
    files = papers.write(folder, offices=papers.OFFICES, registry=papers.registry())
    home = folder / "home"
    shell.ok("office", "import", files["offices"], "--home", home)
    shell.ok("person", "add", "asha", "--office", "MHOW", "--role", "clerk", "--home", home)
    shell.ok("registry", "import", files["registry"], "--home", home)
    return home


def stored(home: Path) -> dict[str, int]:
    """Return how many rows each table of a home has."""
    connection = sqlite3.connect(home / "bijlighar.sqlite")
    try:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
    finally:
        connection.close()


def broken(folder: Path, text: str | bytes, name: str = "broken") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def check_usage(done: Done, hint: str) -> None:
    assert (done.status, done.out) == (2, ""), done
    assert "Usage: bijlighar" in done.err
    assert hint in done.err
    assert "Traceback" not in done.err


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            (("nonsense",), "No such command 'nonsense'"),
            (("bill", "nonsense"), "No such command"),
            (("bill", "run"), "Missing option '--month'"),
            (("bill", "run", "--month", "2025-13"), "month"),
            (("bill", "run", "--month", "April"), "month"),
            (("bill", "show"), "Missing argument"),
            (("bill", "pdf", "B1"), "--out"),
            (("bill", "pdf", "B1", "--out", "x", "--lang", "fr"), "--lang"),
            (("person", "add", "x", "--office", "O", "--role", "king"), "--role"),
            (("person", "add", "x", "--office", "O"), "--role"),
            (("office", "import", "no-such-file.csv"), "no-such-file.csv"),
            (("registry", "keys", "."), "is a directory"),
            (("readings", "import", __file__, "--stamp", "middle"), "--stamp"),
            (("readings", "import", __file__, "--format", "xml"), "--format"),
            (("validate", "--from", "yesterday"), "--from"),
            (("validate", "--from", "2025-02-30"), "--from"),
            (("validate", "--from", "0001-01-01"), "--from"),
            (("balance", "--from", "2025-04-01", "--to", "9999-12-31"), "--to"),
            (("bill", "run", "--month", "0001-01"), "month"),
            (("validate", "--from", "2025-05-02", "--to", "2025-05-01"), "--from is after --to"),
            (("balance", "--from", "2025-05-01"), "both --from and --to"),
            (("balance", "--level", "town"), "--level"),
            (("arrears", "list", "draw", "--office", "MHOW"), "--as"),
            (("arrears", "list", "approve", "one", "--as", "asha"), "integer"),
            (("halt", "--as", "asha"), "--reason"),
            (("alarm", "ack", "1"), "--as"),
            (("alarm", "list", "--format", "csv"), "--format"),
            (("rollout", "plan", "--planned", "5"), "together"),
            (("rollout", "plan", "--planned", "5", "--installed", "1", "--months", "1e5000"), "--months"),
            (("rollout", "plan", "--planned", "5", "--installed", "1", "--months", "1/0"), "--months"),
            (("meter", "simulate", "--meters", "2"), "--port"),
            (("meter", "simulate", "--port", "70000", "--meters", "1"), "--port"),
            (("meter", "simulate", "--port", "5000", "--meters", "0"), "--meters"),
            (("demo", "--months", "13"), "--months"),
            (("demo", "--meters", "0"), "--meters"),
            (("tariff", "price", str(shipped_books()[0]), "--category", "LV-1.2"), "--area"),
            (("serve", "--port", "0"), "--port"),
            (("doctor", "--fast"), "--fast"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_is_status_two_with_the_usage(
        self, shell: Shell, filled: Path, arguments: tuple[str, ...], hint: str
    ):
        takes_home = arguments[0] not in ("nonsense", "tariff", "meter")
        check_usage(
            shell.run(*arguments, *(("--home", filled) if takes_home and len(arguments) > 1 else ())), hint
        )

    @pytest.mark.parametrize(
        "time",
        [
            "2025-04-01T00:00:00",
            "2025-04-01",
            "noon",
            "2025-04-01T25:00:00+05:30",
            "1743445800",
            "0001-01-01T00:00:00+05:30",
        ],
    )
    def test_is_a_time_without_offset_or_none_at_all(self, shell: Shell, time: str):
        url = ("meter", "read", "tcp://127.0.0.1:9", "--profile", "block-load", "--client", "16")
        check_usage(shell.run(*url, "--from", time), "--from")

    def test_has_a_help_for_every_word(self, shell: Shell):
        for word in WORDS:
            helped = shell.run(word, "--help")
            assert helped.status == 0
            assert helped.out.startswith(f"Usage: bijlighar {word}")

    def test_is_the_same_from_python_m(self, tmp_path: Path):
        check_usage(python_m("bill", "run", "--home", tmp_path / "home"), "Missing option '--month'")
        done = python_m("bill", "show", "B1", "--home", tmp_path / "home")
        assert done.reason.endswith("[billing.unknown-bill]")


class TestPlaceOfOptions:
    def test_is_before_or_after_the_arguments(self, shell: Shell, tmp_path: Path):
        file, home = broken(tmp_path, papers.OFFICES), tmp_path / "home"
        assert shell.ok("office", "import", "--home", home, file) == "4 offices new or changed\n"
        assert shell.ok("office", "import", file, "--home", home) == "0 offices new or changed\n"
        book = shipped_books()[0]
        assert shell.ok("tariff", "price", *PRICE, book) == shell.ok("tariff", "price", book, *PRICE)

    def test_may_be_the_environment(self, shell: Shell, filled: Path):
        done = python_m("person", "list", "--format", "json", environment={"BIJLIGHAR_HOME": str(filled)})
        assert [each["sign_in"] for each in json.loads(done.out)] == ["asha"]


class TestBrokenBook:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "'book' is missing"),
            ("a = = b", "not valid TOML"),
            (b'x = "\xe9"', "cannot be read"),
            ("surprise = 1\n{shipped}", "unknown key 'surprise'"),
            ("{shipped:LV-1.2=LV-2.2}", ""),
        ],
    )
    def test_is_one_line(self, shell: Shell, tmp_path: Path, text: str | bytes, reason: str):
        if isinstance(text, str):
            shipped = shipped_books()[0].read_text(encoding="utf-8")
            text = text.replace("{shipped}", shipped).replace(
                "{shipped:LV-1.2=LV-2.2}", shipped.replace('code = "LV-2.2"', 'code = "LV-1.2"')
            )
        file = broken(tmp_path, text, "book.toml")
        for words in (("check", file), ("price", file, *PRICE)):
            said = shell.refusal("tariff", *words)
            assert "book.toml" in said
            assert reason in said
            assert said.endswith("[tariffs.broken-book]")

    def test_is_one_whose_worked_example_is_wrong(self, shell: Shell, tmp_path: Path):
        text = shipped_books()[0].read_text(encoding="utf-8")
        assert 'NET = "373.35"' in text
        said = shell.refusal(
            "tariff", "check", broken(tmp_path, text.replace('"373.35"', '"373.36"', 1), "book.toml")
        )
        assert "book.toml" in said
        assert "373.36" in said
        assert "373.35" in said

    def test_in_a_home_stops_the_bill_run_and_the_doctor(self, shell: Shell, tmp_path: Path):
        home = tmp_path / "home"
        (home / "tariffs").mkdir(parents=True)
        broken(home / "tariffs", "a = = b", "own.toml")
        for words in (("bill", "run", "--month", "2025-04"), ("doctor",)):
            assert "own.toml: the book is not valid TOML" in shell.refusal(*words, "--home", home)

    def test_has_no_such_category_or_day(self, shell: Shell):
        book, facts = shipped_books()[0], PRICE[2:]
        assert "has no category XX" in shell.refusal("tariff", "price", book, "--category", "XX", *facts)
        assert "on 2031-01-01" in shell.refusal("tariff", "price", book, *PRICE, "--on", "2031-01-01")
        assert "CODE=WH" in shell.refusal("tariff", "price", book, *PRICE, "--window-wh", "TOD1")


class TestBrokenPolicy:
    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("clear_days = 15", "clear_days = 14", "15"),
            ("clear_days = 15", 'clear_days = "many"', "clear_days"),
            ("after_days = 60", "after_days = 5", "after_days"),
            ("days = 2  ", "days = 0  ", "days"),
            ("[approval]", "[approvals]", "approval"),
            ("due_days = 10", "due_days = = 10", "TOML"),
            ("to = 16:00:00", "to = 09:00:00", "cutting"),
            ("2025-10-20", '"tomorrow"', ""),
        ],
    )
    def test_is_one_line(self, shell: Shell, tmp_path: Path, old: str, new: str, reason: str):
        text = POLICY.read_text(encoding="utf-8")
        assert old in text
        said = shell.refusal("policy", "check", broken(tmp_path, text.replace(old, new, 1), "policy.toml"))
        assert reason in said
        assert said.endswith("[arrears.broken-policy]")

    def test_in_a_home_stops_what_needs_it(self, shell: Shell, tmp_path: Path):
        broken(tmp_path, 'policy = "own.toml"\n', "settings.toml")
        broken(tmp_path, "[bill]\n", "own.toml")
        for words in (("arrears", "assess"), ("arrears", "send"), ("policy", "explain", "A1"), ("doctor",)):
            assert shell.refusal(*words, "--home", tmp_path).endswith("[arrears.broken-policy]")


class TestBrokenSettings:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("zzz = 1", "'zzz', which is no setting"),
            ("[web]\nprot = 1", "'web.prot'"),
            ('web.port = "x"', "web.port in settings.toml must be a whole number"),
            ("demo = 1", "must be true or false"),
            ("= =", "not valid TOML"),
            ('database = "nonsense"', "database URL cannot be used"),
            ('database = "postgresql+psycopg://x@127.0.0.1:1/x"', "does not answer"),
            ('database = "sqlite:////nonexistent/folder/x.sqlite"', "does not answer"),
        ],
    )
    def test_are_one_line(self, shell: Shell, tmp_path: Path, text: str, reason: str):
        broken(tmp_path, text, "settings.toml")
        assert reason in shell.refusal("person", "list", "--home", tmp_path)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b'company.name_en = "\xe9"', "cannot be read"),
            ('policy = "own.toml"', "own.toml cannot be read"),
            ('headend.title = "ZZ"', "headend.title must be 8 octets in hex"),
        ],
    )
    def test_that_only_the_line_needs_are_one_line(
        self, shell: Shell, tmp_path: Path, text: str | bytes, reason: str
    ):
        broken(tmp_path, text, "settings.toml")
        said = shell.refusal("doctor", "--home", tmp_path)
        assert reason in said
        assert said.endswith("[runtime.broken-settings]")

    def test_of_the_environment_are_one_line(self, tmp_path: Path):
        done = python_m("person", "list", "--home", tmp_path, environment={"BIJLIGHAR_WEB_PORT": "x"})
        assert done.reason.startswith("$BIJLIGHAR_WEB_PORT must be a whole number, not 'x'")

    def test_do_not_show_the_password_of_the_database(self, shell: Shell, tmp_path: Path):
        broken(tmp_path, 'database = "postgresql+psycopg://x:hidden@127.0.0.1:1/x"', "settings.toml")
        assert "hidden" not in shell.refusal("person", "list", "--home", tmp_path)

    def test_are_not_the_only_thing_that_can_be_wrong_with_a_home(self, shell: Shell, tmp_path: Path):
        file = broken(tmp_path, "x")
        broken(tmp_path, b"garbage" * 1000, "bijlighar.sqlite")
        assert "cannot be made" in shell.refusal("person", "list", "--home", file)
        assert "not a database" in shell.refusal("person", "list", "--home", tmp_path)


class TestBrokenFile:
    @pytest.mark.parametrize(
        "words",
        [
            ("office", "import"),
            ("registry", "import"),
            ("registry", "network"),
            ("registry", "keys"),
            ("readings", "import"),
            ("rollout", "target", "--as", "asha"),
            ("rollout", "receive", "--as", "asha"),
        ],
        ids=" ".join,
    )
    def test_is_one_line_and_stores_nothing(
        self, shell: Shell, filled: Path, tmp_path: Path, words: tuple[str, ...]
    ):
        before = stored(filled)
        for text in (
            "",
            "a,b,c\n1,2,3\n",
            b"\xff\xfe\x00",
            'code,"level\n',
            "\x00\x01",
            "{}",
            "[1]",
            "code," * 9000,
        ):
            shell.refusal(*words, broken(tmp_path, text), "--home", filled)
        assert stored(filled) == before

    @pytest.mark.parametrize(
        ("last", "reason"),
        [
            ("X1,castle,WEST", "castle"),
            (",town-office,WEST", "code"),
        ],
    )
    def test_of_offices_is_refused_whole(self, shell: Shell, tmp_path: Path, last: str, reason: str):
        home = tmp_path / "home"
        said = shell.refusal(
            "office",
            "import",
            broken(tmp_path, f"code,level,parent\nWEST,company,\n{last}\n"),
            "--home",
            home,
        )
        assert "line 3" in said
        assert reason in said
        alone = shell.refusal(
            "office", "import", broken(tmp_path, "code,level,parent\nA,town-office,B\n"), "--home", home
        )
        assert alone == "the parent B of office A is unknown; add it to the file [offices.broken-tree]"
        assert shell.json("office", "list", "--home", home) == []

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("urban,2000,U2", "urban,lots,U2", "lots"),
            ("urban,2000,U2", "urban,-5,U2", "-5"),
            ("urban,2000,U2", "moon,2000,U2", "moon"),
            ("BJ900002,single-phase", "BJ900001,single-phase", "BJ900001"),
            ("BJ900002,single-phase", "BJ900002,steam", "steam"),
            ("tcp://127.0.0.1:9?server=2", "http://here", "http://here"),
            ("B,MHOW,,en,30,", "B,ATLANTIS,,en,30,", "ATLANTIS"),
            ("B,MHOW,,en,30,", "B,MHOW,12,en,30,", "phone"),
            ("B,MHOW,,en,30,", "B,MHOW,,fr,30,", "fr"),
            ("B,MHOW,,en,30,", "B,MHOW,,en,17,", "17"),
            ("A2,Ravi", "A1,Ravi", "A1"),
        ],
    )
    def test_of_the_registry_is_refused_whole_with_line_and_reason(
        self, shell: Shell, filled: Path, tmp_path: Path, old: str, new: str, reason: str
    ):
        text = papers.registry().replace("Asha Patel", "Changed Name")
        assert old in text
        before = stored(filled)
        said = shell.refusal("registry", "import", broken(tmp_path, text.replace(old, new)), "--home", filled)
        assert said.startswith("nothing was stored: line 3")
        assert reason in said
        assert stored(filled) == before
        assert "Changed Name" not in shell.ok("policy", "explain", "A1", "--home", filled)

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("BJ900001,2025-04-01T00:30:00,30,100", "offset"),
            ("BJ900001,yesterday,30,100", "yesterday"),
            ("BJ900001,2025-04-01T00:30:00+05:30,30,many", "many"),
            ("BJ900001,2025-04-01T00:30:00+05:30,30,1e30", "1e30"),
            ("BJ900001,2025-04-01T00:30:00+05:30,30,NaN", "NaN"),
            ("BJ900001,2025-04-01T00:30:00+05:30,17,100", "17"),
            ("BJ900001,2025-04-01T00:31:00+05:30,30,100", ""),
            ("BJ900001,2025-04-01T00:30:00+05:30,30", ""),
            ("NOBODY,2025-04-01T00:30:00+05:30,30,100", "NOBODY"),
        ],
    )
    def test_of_intervals_is_refused_whole(
        self, shell: Shell, filled: Path, tmp_path: Path, line: str, reason: str
    ):
        text = f"meter,start,minutes,wh_import\nBJ900001,2025-04-01T00:00:00+05:30,30,100\n{line}\n"
        before = stored(filled)
        said = shell.refusal("readings", "import", broken(tmp_path, text, "read.csv"), "--home", filled)
        assert said.startswith("read.csv, line 3")
        assert reason in said
        assert stored(filled) == before

    @pytest.mark.parametrize(
        "line",
        [
            "OLD3,2025-04-01T00:00:00,5,0",
            "OLD3,2025-04-01T00:00:00+05:30,-5,0",
            "OLD9,2025-04-01T00:00:00Z,5,0",
        ],
    )
    def test_of_registers_is_refused_whole(self, shell: Shell, filled: Path, tmp_path: Path, line: str):
        text = (
            f"meter,time,wh_import_register,wh_export_register\nOLD3,2025-03-01T00:00:00+05:30,1,0\n{line}\n"
        )
        before = stored(filled)
        said = shell.refusal("readings", "import", broken(tmp_path, text, "read.csv"), "--home", filled)
        assert said.startswith("read.csv, line 3")
        assert stored(filled) == before

    @pytest.mark.parametrize("kind", ["nem12", "greenbutton"])
    def test_of_another_format_is_refused(self, shell: Shell, filled: Path, tmp_path: Path, kind: str):
        said = shell.refusal(
            "readings", "import", broken(tmp_path, "100,NEM12\n900"), "--format", kind, "--home", filled
        )
        assert ("line 2: the file holds no register" if kind == "nem12" else "line 1: syntax error") in said

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (KEYS % ("00", "11" * 16, "22" * 16), "system_title"),
            (KEYS % ("11" * 8, "zz" * 16, "22" * 16), "ek"),
            (KEYS % ("11" * 8, "11" * 16, "22" * 15), "ak"),
            (KEYS.replace("BJ900001", "") % ("11" * 8, "11" * 16, "22" * 16), "serial"),
            ('[{"serial": "BJ900001"}]', "BJ900001"),
            ('{"serial": 1}', "list"),
            ("[1]", "1"),
            ("[" * 100_000, "JSON"),
        ],
    )
    def test_of_keys_is_refused_whole_and_shows_no_key(
        self, shell: Shell, filled: Path, tmp_path: Path, text: str, reason: str
    ):
        before = stored(filled)
        said = shell.refusal("registry", "keys", broken(tmp_path, text), "--home", filled)
        assert reason in said
        assert "11" * 16 not in said
        assert stored(filled) == before


class TestUnknown:
    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("bill", "show", "B2504-0000001-0"), "billing.unknown-bill"),
            (("bill", "show", "nonsense"), "billing.unknown-bill"),
            (("bill", "show", ""), "billing.unknown-bill"),
            (("policy", "explain", "A99"), "registry.unknown-account"),
            (("registry", "show", "--account", "A99"), "registry.unknown-account"),
            (("registry", "show", "--meter", "M99"), "registry.unknown-end-device"),
            (("arrears", "list", "show", 7), "arrears.unknown-list"),
            (("arrears", "list", "approve", 7, "--as", "asha"), "arrears.unknown-list"),
            (("arrears", "list", "draw", "--office", "NOWHERE", "--as", "asha"), "offices.unknown-office"),
            (("arrears", "list", "draw", "--office", "MHOW", "--as", "nobody"), "offices.unknown-person"),
            (("alarm", "ack", 7, "--as", "asha"), "alarms.unknown-alarm"),
            (("halt", "--as", "nobody", "--reason", "x"), "offices.unknown-person"),
            (("person", "add", "x", "--office", "NOWHERE", "--role", "clerk"), "offices.unknown-office"),
            (("person", "change", "nobody", "--inactive"), "offices.unknown-person"),
            (("registry", "import", papers.__file__, "--as", "asha"), "offices.not-permitted"),
            (("rollout", "order", "issue", 7, "--to", "x", "--as", "asha"), "rollout.unknown-order"),
            (
                ("arrears", "notices", "served", "A1", "--on", "2025-04-01", "--proof", "x", "--as", "asha"),
                "",
            ),
            (("arrears", "hand", "done", 7, "--as", "asha"), "arrears.unknown-order"),
        ],
        ids=lambda value: " ".join(map(str, value[:4])) if isinstance(value, tuple) else "",
    )
    def test_is_one_line_and_changes_nothing(
        self, shell: Shell, filled: Path, words: tuple[object, ...], code: str
    ):
        before = stored(filled)
        said = shell.refusal(*words, "--home", filled)
        assert said.endswith(f"{code}]")
        assert stored(filled) == before

    @pytest.mark.parametrize(
        "words",
        [
            ("arrears", "list", "show"),
            ("arrears", "list", "approve", "--as", "asha"),
            ("arrears", "hand", "done", "--as", "asha"),
            ("arrears", "circumstance", "end", "--as", "asha"),
            ("alarm", "ack", "--as", "asha"),
            ("rollout", "order", "issue", "--to", "asha", "--as", "asha"),
            ("rollout", "install", "--meter", "M", "--new-register", 0, "--as", "asha"),
        ],
        ids=lambda words: " ".join(map(str, words[:3])),
    )
    def test_is_a_number_that_nothing_can_have(self, shell: Shell, filled: Path, words: tuple[object, ...]):
        for number in (-1, 0, 2**63):
            check_usage(shell.run(*words, "--home", filled, "--", number), "range")
        assert "no" in shell.refusal(*words, "--home", filled, "--", 2**63 - 1)


class TestDemo:
    def test_refuses_a_home_that_is_not_empty(self, shell: Shell, filled: Path):
        before = stored(filled)
        done = shell.run("demo", "--home", filled, "--meters", 3, "--months", 1, "--no-serve")
        assert done.status == 1
        assert done.err.rstrip("\n").split("\n")[-1].endswith("[demo.home-not-empty]")
        assert "Traceback" not in done.err
        assert stored(filled) == before


class TestJson:
    @pytest.mark.parametrize(
        "words",
        [
            ("office", "list"),
            ("office", "audit"),
            ("person", "list"),
            ("registry", "show"),
            ("validate",),
            ("balance",),
            ("bill", "parked", "--month", "2025-04"),
            ("bill", "run", "--month", "2025-04"),
            ("arrears", "ageing"),
            ("arrears", "orders"),
            ("arrears", "list", "show"),
            ("arrears", "hand", "show"),
            ("policy", "explain", "A1"),
            ("alarm", "list"),
            ("rollout", "plan"),
            ("rollout", "orders"),
            ("rollout", "stock"),
            ("doctor",),
        ],
        ids=" ".join,
    )
    def test_is_one_document_and_nothing_else(self, shell: Shell, filled: Path, words: tuple[str, ...]):
        done = shell.run(*words, "--format", "json", "--home", filled)
        assert done.status == 0, done
        assert json.loads(done.out) is not None
        assert done.err == ""
