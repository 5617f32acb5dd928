"""The documents under test: everything that has a name has a heading, and shown commands exist."""

import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click
import pytest

import bijlighar as package
from bijlighar.alarms.model import SYSTEM_CODES
from bijlighar.alarms.rules import load_table
from bijlighar.base.errors import BijligharError
from bijlighar.cli.main import bijlighar
from bijlighar.notices.model import Purpose
from bijlighar.runtime.settings import SETTINGS

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
RUNNABLE = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))
#: Modules that do something when they are imported.
STARTED = ("bijlighar.__main__", "bijlighar.storage.migrations")


def headings(page: str) -> set[str]:
    text = FENCE.sub("", (DOCS / page).read_text(encoding="utf-8"))
    return {line.removeprefix("## ").strip() for line in text.splitlines() if line.startswith("## ")}


def words_of_commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1])
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            assert inner is not None, f"{' '.join(path)} lists {word!r} and has no such command"
            if not inner.hidden:
                yield from words_of_commands(inner, (*path, word))


def error_codes() -> set[str]:
    for module in pkgutil.walk_packages(package.__path__, "bijlighar."):
        if not module.name.startswith(STARTED):
            importlib.import_module(module.name)
    waiting, codes = [BijligharError], set()
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__.startswith("bijlighar."):
            codes.add(error.code)
    return codes


def command_lines() -> list[str]:
    return [
        line
        for page in PAGES
        for block in RUNNABLE.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line.strip()
    ]


def parse(line: str) -> click.Context:
    """Return the context of the innermost command of a line; click refuses what does not exist."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "bijlighar"
    command: click.Command = bijlighar
    context = click.Context(command, info_name="bijlighar")
    while isinstance(command, click.Group):
        word = words.pop(0)
        inner = command.get_command(context, word)
        assert inner is not None, f"{line}: there is no command {word!r}"
        context = click.Context(inner, info_name=word, parent=context)
        command = inner
    parser = command.make_parser(context)
    given, rest, _ = parser.parse_args(list(words))
    assert rest == [], f"{line}: {rest} is not taken"
    for parameter in command.params:
        value = given.get(parameter.name)
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            assert value in parameter.type.choices, f"{line}: {value!r} is no choice"
        needed = parameter.required and parameter.nargs == 1
        assert value is not None or not needed, f"{line}: {parameter.name} is missing"
    return context


class TestHeadings:
    def test_name_every_setting(self):
        assert headings("generated/settings.md") == {setting.name for setting in SETTINGS}

    def test_name_every_command(self):
        known = {" ".join(path) for path in words_of_commands(bijlighar, ("bijlighar",))}

        assert headings("generated/cli.md") == known

    def test_name_every_error_code(self):
        assert error_codes() - headings("generated/errors.md") == set()

    def test_name_every_alarm_code(self):
        file = resources.files("bijlighar.alarms").joinpath("sounds.toml")
        table = load_table(file.read_text(encoding="utf-8"))
        codes = {*table.priorities, *table.uncommanded, *SYSTEM_CODES}

        assert headings("generated/alarms.md") == {str(code) for code in codes}

    def test_name_every_notice_template(self):
        folder = resources.files("bijlighar.notices").joinpath("templates")
        files = {file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")}

        assert headings("generated/notices.md") == {str(purpose) for purpose in Purpose} == files

    def test_name_every_room(self):
        rooms = {folder.parent.name for folder in (ROOT / "src" / "bijlighar").glob("*/README.md")}

        assert {page.stem for page in (DOCS / "rooms").glob("*.md")} - {"index"} == rooms


class TestRunnableExamples:
    def test_are_there(self):
        assert len(command_lines()) >= 10

    @pytest.mark.parametrize("line", command_lines())
    def test_name_commands_and_options_that_exist(self, line):
        parse(line)

    @pytest.mark.parametrize(
        "line",
        [
            "bijlighar bill shew B-1",
            "bijlighar bill pdf B-1",
            "bijlighar bill pdf B-1 --lang fr --out x.pdf",
            "bijlighar doctor --hom x",
            "bijlighar doctor twice",
        ],
    )
    def test_are_refused_when_they_do_not(self, line):
        with pytest.raises((AssertionError, click.UsageError)):
            parse(line)


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_lead_to_files_that_exist(self, page):
        targets = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))

        assert [target for target in targets if not (page.parent / target).exists()] == []


class TestGeneratedPages:
    def test_are_up_to_date(self):
        ran = subprocess.run(
            [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
        )

        assert (ran.stderr, ran.returncode) == ("", 0)
