"""
Write the pages of the documentation that are made from the code; with --check, say which are stale.

Pages: the straight line, the life cycles, the command line, the settings, the errors, the rooms.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from diagram import draw

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.cli.main import bijlighar
from bijlighar.runtime.route import ROUTE
from bijlighar.runtime.settings import ENVIRONMENT_PREFIX, SETTINGS

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "bijlighar"
WARNING = "<!-- Made by docs/generate.py from the code; do not edit. -->\n\n"
#: name of the diagram, title, module, attribute
LIFE_CYCLES = (
    ("association", "An association with a meter", "bijlighar.dlms.session", "LIFE_CYCLE"),
    ("disconnect-command", "A command to open a relay", "bijlighar.headend.model", "DISCONNECT_STEPS"),
    ("reconnect-command", "A command to close a relay", "bijlighar.headend.model", "RECONNECT_STEPS"),
    ("job", "A job", "bijlighar.storage.jobs", "LIFE_CYCLE"),
    ("message", "A message", "bijlighar.notices.model", "LIFE_CYCLE"),
    ("order", "A disconnection order", "bijlighar.arrears.model", "LIFE_CYCLE"),
    ("alarm", "An alarm", "bijlighar.alarms.model", "LIFE_CYCLE"),
    ("work-order", "A work order of the roll-out", "bijlighar.rollout.model", "LIFE_CYCLE"),
)


def pages() -> Iterator[tuple[str, str]]:
    """Yield the path below docs/ and the text of each page."""
    yield "generated/line.md", WARNING + line_page()
    diagrams = list(life_cycles())
    for name, _, table in diagrams:
        yield f"generated/{name}.svg", draw(table)
    yield "generated/lifecycles.md", WARNING + life_cycle_page(diagrams)
    yield "generated/cli.md", WARNING + command_page()
    yield "generated/settings.md", WARNING + settings_page()
    yield "generated/errors.md", WARNING + errors_page()
    rooms = sorted(folder.name for folder in PACKAGE.iterdir() if (folder / "README.md").is_file())
    for room in rooms:
        yield f"rooms/{room}.md", f"```{{include}} ../../src/bijlighar/{room}/README.md\n```\n"
    listed = "\n".join(rooms)
    yield "rooms/index.md", WARNING + f"# The rooms\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    decisions = sorted(file.stem for file in (DOCS / "decisions").glob("[0-9]*.md"))
    listed = "\n".join(decisions)
    yield "decisions/index.md", WARNING + f"# Decisions\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"


def line_page() -> str:
    """Return the page of the straight line."""
    rows = [
        f"| {step.number} | {step.fact.en} | {step.fact.hi} | `{step.door}` | {step.process.value} | {step.pulls_from} |"
        for step in ROUTE
    ]
    return (
        "# The straight line\n\nEverything serves one line; `runtime/route.py` is this list. Each step pulls from the one before it, "
        "is idempotent, restartable, bounded and counted.\n\n"
        "| # | fact | | door | process | pulls from |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def life_cycles() -> Iterator[tuple[str, str, LifeCycle]]:
    """Yield name, title and table of each life cycle."""
    for name, title, module, attribute in LIFE_CYCLES:
        yield name, title, getattr(importlib.import_module(module), attribute)


def life_cycle_page(diagrams: list[tuple[str, str, LifeCycle]]) -> str:
    """Return the page of the life cycles."""
    parts = ["# The life cycles\n\nEach is a table in the code; the pictures are drawn from the tables.\n"]
    for name, title, table in diagrams:
        parts.append(f"## {title}\n\n![{title}]({name}.svg)\n")
        rows = [
            f"| {state.name} | {event.name.lower().replace('_', ' ')} | {after.name} |"
            for state, steps in table.items()
            for event, after in steps.items()
        ]
        parts.append("| from | step | to |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def command_page() -> str:
    """Return the page of the command line: every command's --help."""
    parts = ["# The command line\n"]
    context = click.Context(bijlighar, info_name="bijlighar", max_content_width=100)
    parts += list(_help_of(bijlighar, context, "bijlighar"))
    return "\n".join(parts)


def _help_of(command: click.Command, context: click.Context, path: str) -> Iterator[str]:
    yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            if inner is not None and not inner.hidden:
                inner_context = click.Context(inner, info_name=word, parent=context, max_content_width=100)
                yield from _help_of(inner, inner_context, f"{path} {word}")


def settings_page() -> str:
    """Return the page of the settings."""
    rows = []
    for setting in SETTINGS:
        variable = ENVIRONMENT_PREFIX + setting.name.replace(".", "_").upper()
        rows.append(f"## {setting.name}\n\n{setting.meaning} Default: `{setting.default!r}`. Environment: `{variable}`.\n")
    return "# Settings\n\nA home's `settings.toml`; the environment wins over the file.\n\n" + "\n".join(rows)


def errors_page() -> str:
    """Return the page of the error codes."""
    rows = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            for statement in node.body:
                if (
                    isinstance(statement, ast.Assign)
                    and getattr(statement.targets[0], "id", "") == "code"
                    and isinstance(statement.value, ast.Constant)
                ):
                    meaning = " ".join((ast.get_docstring(node) or "").split("\n\n", maxsplit=1)[0].split())
                    rows.append(f"## {statement.value.value}\n\n{meaning}\n")
    return (
        "# Errors\n\nEach anticipated failure has a code; the message beside it says what happened and what to do.\n\n"
        + "\n".join(sorted(rows))
    )


def main() -> int:
    """Write or check the pages and return the exit status."""
    checking = "--check" in sys.argv[1:]
    stale = []
    for name, text in pages():
        file = DOCS / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not checking:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    if checking and stale:
        print(f"docs: stale: {', '.join(stale)}; run ./dev docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
