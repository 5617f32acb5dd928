"""
Write the pages of the documentation that are made from the code; with --check, say which are stale.

Pages: the straight line, the life cycles, the command line, the settings, the errors, the alarms, the notices, the
rooms, the decisions.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path

import click
from diagram import draw

from bijlighar.alarms.model import SYSTEM_PRIORITIES, AlarmTable, Priority
from bijlighar.alarms.rules import load_table, restored_code, words_of
from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import LANGUAGES
from bijlighar.cli.main import bijlighar
from bijlighar.dlms.is15959_events import EVENTS
from bijlighar.notices.model import Purpose
from bijlighar.notices.wording import template
from bijlighar.runtime.route import ROUTE
from bijlighar.runtime.settings import ENVIRONMENT_PREFIX, SETTINGS

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "bijlighar"
WARNING = "<!-- Made by docs/generate.py from the code; do not edit. -->\n\n"
#: name of the diagram, title, module, attribute
LIFE_CYCLES = (
    ("association", "An association with a meter", "bijlighar.dlms.life_cycle", "LIFE_CYCLE"),
    ("disconnect-command", "A command to open a relay", "bijlighar.headend.model", "DISCONNECT_STEPS"),
    ("reconnect-command", "A command to close a relay", "bijlighar.headend.model", "RECONNECT_STEPS"),
    ("job", "A job", "bijlighar.storage.jobs", "JOB_LIFE"),
    ("inbox", "What a provider tells us", "bijlighar.storage.inbox", "INBOX_LIFE"),
    ("message", "A message", "bijlighar.notices.model", "MESSAGE_LIFE"),
    ("list", "A disconnection list", "bijlighar.arrears.model", "LIST_STEPS"),
    ("order", "A disconnection order", "bijlighar.arrears.model", "ORDER_STEPS"),
    ("alarm", "An alarm", "bijlighar.alarms.model", "ALARM_STEPS"),
    ("proposal", "A proposal to cut for theft", "bijlighar.alarms.model", "PROPOSAL_STEPS"),
    ("exception", "A finding that calls for a person", "bijlighar.validation.model", "EXCEPTION_STEPS"),
    ("reading-edit", "An edit of readings", "bijlighar.validation.model", "EDIT_STEPS"),
    ("seal", "A sealed month", "bijlighar.readings.model", "SEAL_STEPS"),
    ("case", "A case", "bijlighar.balance.model", "CASE_STEPS"),
    ("work-order", "A work order of the roll-out", "bijlighar.rollout.model", "ORDER_STEPS"),
    ("check", "A check on the spot", "bijlighar.rollout.model", "CHECK_STEPS"),
    ("stock", "A meter in the stock", "bijlighar.rollout.model", "STOCK_STEPS"),
)
#: how the siren answers to a priority
SOUND = {
    Priority.P1: "sounds the siren until a named person acknowledges it",
    Priority.P2: "is shown, with one chime",
    Priority.P3: "is shown, silent",
}


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
    yield "generated/alarms.md", WARNING + alarms_page()
    yield "generated/notices.md", WARNING + notices_page()
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
        f"| {step.number} | {step.fact.en} | {step.fact.hi} | `{step.door}` | "
        f"{step.process.value} | {step.pulls_from} |"
        for step in ROUTE
    ]
    return (
        "# The straight line\n\nEverything serves one line; `runtime/route.py` is this list. Each step pulls from "
        "the one before it, is idempotent, restartable, bounded and counted. Step 2, the storing of what was read, "
        "is done by step 1 in the same transaction. The states that things pass through on the way are the "
        "[life cycles](lifecycles.md).\n\n"
        "| # | fact | | door | process | pulls from |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def life_cycles() -> Iterator[tuple[str, str, LifeCycle]]:
    """Yield name, title and table of each life cycle."""
    for name, title, module, attribute in LIFE_CYCLES:
        yield name, title, getattr(importlib.import_module(module), attribute)


def life_cycle_page(diagrams: list[tuple[str, str, LifeCycle]]) -> str:
    """Return the page of the life cycles."""
    parts = [
        "# The life cycles\n\nEach is a table in the code; the pictures are drawn from the tables. A state stands at "
        "the head of its line, with a dot above it where a life begins and a thick frame where it ends. An arrow is "
        "a step: from the line of the state before to the line of the state after. What has no arrow cannot happen.\n"
    ]
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
        rows.append(
            f"## {setting.name}\n\n{setting.meaning} Default: `{setting.default!r}`. Environment: `{variable}`.\n"
        )
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
        "# Errors\n\nEach anticipated failure has a code; the message beside it says what happened and what to do."
        "\n\n" + "\n".join(sorted(rows))
    )


def alarms_page() -> str:
    """Return the page of the alarm codes."""
    table = load_table(
        resources.files("bijlighar.alarms").joinpath("sounds.toml").read_text(encoding="utf-8")
    )
    loudness = {
        **dict.fromkeys(table.uncommanded, Priority.P2),
        **SYSTEM_PRIORITIES,
        **table.priorities,
    }
    parts = [
        "# Alarms\n\nThe events of IS 15959 that raise an alarm, and what the system raises by itself. The "
        "priorities are the file `src/bijlighar/alarms/sounds.toml`. An event that comes to be known more than "
        f"{table.siren_within_hours} hours late raises no siren. What is not on this page is kept among the meter's "
        "events and raises no alarm.\n\n"
        f"{_unanswered(table)}\n"
    ]
    for code, priority in sorted(loudness.items()):
        words = words_of(code)
        lines = [
            f"## {code}\n",
            f"{words.en} · {words.hi}\n",
            f"Priority {priority.value}: {SOUND[priority]}.",
        ]
        if code in table.uncommanded:
            lines.append("Raised only where no command of ours and no order carried out by hand explains it.")
        if code in EVENTS:
            over = sorted(event for event in EVENTS if restored_code(event) == code)
            lines.append(
                f"The event {over[0]} tells that it is over." if over else "No event tells that it is over."
            )
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _unanswered(table: AlarmTable) -> str:
    """Return what happens to an alarm that nobody answers."""
    steps = ", ".join(f"after {minutes(step.after)} min to the {step.who.en}" for step in table.escalation)
    kept = ", ".join(f"P{priority:d} {minutes(after)} min" for priority, after in table.lapse_after.items())
    return (
        f"A P1 alarm that nobody acknowledges goes {steps}. An acknowledgement that is followed by no note, squad, "
        f"message or proposal does not hold: {kept}."
    )


def minutes(span: timedelta) -> int:
    """Return a span in whole minutes."""
    return span // timedelta(minutes=1)


def notices_page() -> str:
    """Return the page of the templates of notices, with their texts."""
    parts = [
        "# Notices\n\nWhat a consumer is told, in both languages. The templates are the files "
        "`src/bijlighar/notices/templates/`; a name in braces is a fact that is filled in. The WhatsApp text is "
        "registered with the provider under the template's name; the printed one is used on paper.\n"
    ]
    for purpose in Purpose:
        known = template(purpose)
        printed = (
            "Always printed as well." if known.always_printed else "Printed where WhatsApp cannot be used."
        )
        if known.one_time_code:
            printed = "Sent at once and never printed; its code is stored nowhere."
        parts.append(
            f"## {purpose}\n\nVersion {known.version}; at the provider: `{known.provider_name}`. {printed}\n\n"
            f"Facts: {', '.join(f'`{fact}`' for fact in known.facts)}.\n"
        )
        for channel, texts in (("WhatsApp", known.whatsapp), ("Print", known.printed)):
            for language in LANGUAGES if texts else ():
                parts.append(f"{channel}, {language}:\n\n```text\n{texts[language].body.strip()}\n```\n")
    return "\n".join(parts)


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
