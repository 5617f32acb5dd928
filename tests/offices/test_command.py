import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bijlighar.cli.office import office, person
from bijlighar.offices.errors import NotPermitted, UnreadableFile, WeakPassword

PASSWORD = "मीटर 4711 चालू"
OFFICES = """code,name_en,name_hi,level,parent
WEST,West,पश्चिम,company,
MHOW-1,Mhow,महू,town-office,WEST
"""


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "offices.csv").write_text(OFFICES, encoding="utf-8")
    return str(tmp_path / "offices.csv")


def run(group, *arguments: str, typed: str | bytes | None = None):
    return CliRunner().invoke(group, arguments, input=typed)


class TestOffice:
    def test_imports_a_file_and_shows_the_tree(self, home, file):
        assert run(office, "import", file, "--home", home).output == "2 offices new or changed\n"
        assert run(office, "import", "--home", home, file).output == "0 offices new or changed\n"

        listed = json.loads(run(office, "list", "--home", home, "--format", "json").output)
        assert [(each["code"], each["name_hi"], each["parent"]) for each in listed] == [
            ("MHOW-1", "महू", "WEST"),
            ("WEST", "पश्चिम", None),
        ]

    def test_refuses_a_file_that_is_not_utf_8(self, home, tmp_path):
        (tmp_path / "latin.csv").write_bytes(b"code,level,parent\nM\xe9,company,\n")

        result = run(office, "import", str(tmp_path / "latin.csv"), "--home", home)

        assert isinstance(result.exception, UnreadableFile)


class TestPerson:
    def test_adds_changes_and_lists_people_under_either_word(self, home, file):
        run(office, "import", file, "--home", home)

        added = run(person, "add", "Asha", "--office", "MHOW-1", "--role", "clerk", "--home", home)
        assert added.output == "asha works at MHOW-1 as clerk\n"
        run(office, "person", "add", "boss", "--office", "WEST", "--role", "admin", "--home", home)
        changed = run(person, "change", "asha", "--inactive", "--as", "boss", "--home", home)
        assert changed.output == "asha works at MHOW-1 as clerk (inactive)\n"

        listed = json.loads(run(person, "list", "--home", home, "--format", "json").output)
        assert [(each["sign_in"], each["active"]) for each in listed] == [("asha", False), ("boss", True)]

    def test_lets_only_an_administrator_manage_people_in_their_name(self, home, file):
        run(office, "import", file, "--home", home)
        run(person, "add", "asha", "--office", "MHOW-1", "--role", "clerk", "--home", home)

        result = run(
            person, "add", "x", "--office", "MHOW-1", "--role", "clerk", "--as", "asha", "--home", home
        )

        assert isinstance(result.exception, NotPermitted)

    def test_takes_an_unknown_role_for_wrong_usage(self, home):
        assert run(person, "add", "x", "--office", "O", "--role", "king", "--home", home).exit_code == 2


class TestPassword:
    @pytest.fixture
    def staffed(self, home, file) -> str:
        run(office, "import", file, "--home", home)
        run(person, "add", "asha", "--office", "MHOW-1", "--role", "clerk", "--home", home)
        run(person, "add", "boss", "--office", "WEST", "--role", "admin", "--home", home)
        return home

    def test_is_asked_twice_and_never_shown(self, staffed):
        result = run(person, "password", "Asha", "--home", staffed, typed=f"{PASSWORD}\n{PASSWORD}\n")

        assert (result.exit_code, PASSWORD in result.output) == (0, False)
        assert result.output.startswith("Password: \nRepeat for confirmation: \nasha signs in")
        assert PASSWORD not in run(office, "audit", "--home", staffed).output

    def test_is_asked_again_where_the_two_differ_and_stays_unset_without_an_answer(self, staffed):
        result = run(person, "password", "asha", "--home", staffed, typed=f"{PASSWORD}\nanother one\n")

        assert result.exit_code == 1
        assert '"password"' not in run(office, "audit", "--home", staffed).output

    def test_is_read_from_standard_input_and_recorded_in_the_name_given(self, staffed):
        result = run(
            person, "password", "asha", "--stdin", "--as", "boss", "--home", staffed, typed=f"{PASSWORD}\r\n"
        )

        assert result.output.startswith("asha signs in with the new password")
        document = json.loads(run(office, "audit", "--home", staffed, "--format", "json").output)
        last = document["entries"][0]
        assert (last["person"], last["subject"], last["detail"]) == ("boss", "asha", '{"password":"set"}')

    def test_is_set_by_an_administrator_only(self, staffed):
        result = run(person, "password", "boss", "--stdin", "--as", "asha", "--home", staffed, typed=PASSWORD)

        assert isinstance(result.exception, NotPermitted)

    @pytest.mark.parametrize("line", [b"", b"\n", b"short\n", b"\xff" * 20, b"ab" * 5_000])
    def test_is_refused_when_weak(self, staffed, line):
        result = run(person, "password", "asha", "--stdin", "--home", staffed, typed=line)

        assert isinstance(result.exception, WeakPassword)

    def test_is_never_an_argument(self, staffed):
        assert run(person, "password", "asha", PASSWORD, "--home", staffed).exit_code == 2


class TestAudit:
    def test_shows_who_did_what_and_that_the_record_is_whole(self, home, file):
        run(office, "import", file, "--home", home)
        run(person, "add", "asha", "--office", "MHOW-1", "--role", "clerk", "--home", home)

        document = json.loads(run(office, "audit", "--home", home, "--format", "json").output)

        assert [(entry["number"], entry["act"]) for entry in document["entries"]] == [
            (2, "manage_people"),
            (1, "manage_offices"),
        ]
        assert (document["whole"], document["broken_at"]) == (True, None)
        assert "the record is whole" in run(office, "audit", "--home", home).output
