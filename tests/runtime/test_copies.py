from pathlib import Path

import pytest

from bijlighar.arrears import operations as arrears
from bijlighar.runtime.copies import CopyRefused, copy_shipped
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.tariffs.operations import shipped_books


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class TestCopyShipped:
    def test_makes_copies_that_count_from_then_on(self, folder: Path):
        shipped = Line(Home(folder))

        copied = copy_shipped(Home(folder))

        assert {path.name for path in copied} == {"policy.toml", *(file.name for file in shipped_books())}
        line = Line(Home(folder))
        assert (line.policy, line.books) == (shipped.policy, shipped.books)
        policy = folder / "policy.toml"
        policy.write_text(policy.read_text("utf-8").replace("due_days = 10", "due_days = 12"), "utf-8")
        assert Line(Home(folder)).policy.due_days == 12

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ("", 'policy = "policy.toml"\n'),
            (
                "demo = true\n[web]\nport = 8081\n",
                'policy = "policy.toml"\ndemo = true\n[web]\nport = 8081\n',
            ),
            ('demo = true\npolicy = ""  # ours\n', 'demo = true\npolicy = "policy.toml"  # ours\n'),
            (
                'policy = "own/ours.toml"\ntariffs = "books"\n',
                'policy = "own/ours.toml"\ntariffs = "books"\n',
            ),
        ],
    )
    def test_lets_the_settings_name_the_policy(self, folder: Path, settings: str, expected: str):
        folder.mkdir()
        (folder / "settings.toml").write_text(settings, "utf-8")

        (policy, *books) = copy_shipped(Home(folder))

        assert (folder / "settings.toml").read_text("utf-8") == expected
        assert policy.read_text("utf-8") == arrears.shipped_policy()
        assert policy == folder / Home(folder).settings.text("policy")
        assert {book.parent for book in books} == {folder / Home(folder).settings.text("tariffs")}

    @pytest.mark.parametrize(
        ("file", "said"),
        [("policy.toml", "policy.toml is there already"), ("tariffs/own.toml", "has tariff books already")],
    )
    def test_overwrites_nothing(self, folder: Path, file: str, said: str):
        present = folder / file
        present.parent.mkdir(parents=True)
        present.write_text("x = 1\n", "utf-8")

        with pytest.raises(CopyRefused, match=said):
            copy_shipped(Home(folder))

        assert names(folder) == {file}
        assert present.read_text("utf-8") == "x = 1\n"

    def test_refuses_the_second_time(self, folder: Path):
        copy_shipped(Home(folder))
        before = names(folder)

        with pytest.raises(CopyRefused):
            copy_shipped(Home(folder))

        assert names(folder) == before

    def test_leaves_nothing_where_it_cannot_write(self, folder: Path):
        folder.mkdir()
        (folder / "tariffs").write_text("a file in the place of the folder", "utf-8")

        with pytest.raises(CopyRefused, match="nothing was copied"):
            copy_shipped(Home(folder))

        assert names(folder) == {"tariffs"}
