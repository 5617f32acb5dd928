"""The command `bijlighar`: a tree of words, each in a module that is imported only when its word is used."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from bijlighar import __version__
from bijlighar.base.errors import BijligharError

#: word -> (module, command in it, help line); the order is that of `--help`.
WORDS: dict[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "Run a whole smart-metered town and leave it open to look at."),
    "serve": ("serve", "serve", "Run everything of one home in one process."),
    "web": ("serve", "web", "Run the web server alone."),
    "headend": ("serve", "headend", "Run the head-end alone."),
    "gate": ("gate", "gate", "Run the gate before the relays alone."),
    "worker": ("serve", "worker", "Run the background work alone."),
    "meter": ("meter", "meter", "Speak with one meter, or simulate many."),
    "office": ("office", "office", "Offices and people."),
    "person": ("office", "person", "People and their roles."),
    "registry": ("registry", "registry", "Consumers, meters, network and keys, from files."),
    "readings": ("readings", "readings", "Readings from files."),
    "validate": ("validate", "validate", "Check readings and estimate what is missing."),
    "sla": ("sla", "sla", "Service levels: who was read in time, who is silent, what the month is worth."),
    "balance": ("balance", "balance", "Losses per transformer or feeder."),
    "flat-rate": ("flat_rate", "flat_rate", "Loads without a meter, and what they are assessed at."),
    "atc": ("atc", "atc", "AT&C loss per office and month."),
    "case": ("case", "case", "Cases: suspects, inspections, findings, assessed units."),
    "tariff": ("tariff", "tariff", "Tariff books: check one, price with one."),
    "bill": ("bill", "bill", "Bills: run a month, list them, show one, make its PDF."),
    "arrears": ("arrears", "arrears", "Arrears, lists, approval, disconnection."),
    "policy": ("arrears", "policy", "The arrears policy: check or copy it, explain an account."),
    "halt": ("arrears", "halt", "Stop every disconnection at once."),
    "resume": ("arrears", "resume", "Allow disconnections again."),
    "alarm": ("alarm", "alarm", "Alarms: list them, acknowledge one."),
    "rollout": ("rollout", "rollout", "The roll-out: plan, stock, work orders."),
    "provider": ("provider", "provider", "The fake message and payment providers of a demo."),
    "bench": ("bench", "bench", "Measure, beside a peer or a limit."),
    "doctor": ("doctor", "doctor", "Say whether the home is well, and what to do if not."),
}


#: Words below a word that live in another module: (word, word below) -> (module, command).
BELOW: dict[tuple[str, str], tuple[str, str]] = {
    ("meter", "simulate"): ("simulate", "simulate"),
    ("meter", "modems"): ("modems", "modems"),
    ("meter", "facts"): ("meter_facts", "facts"),
    ("meter", "change-keys"): ("upkeep", "change_keys"),
    ("meter", "firmware"): ("upkeep", "firmware"),
    ("meter", "settings"): ("meter_settings", "settings"),
    ("meter", "quirks"): ("quirks", "quirks"),
    ("registry", "keys"): ("keys", "keys"),
    ("readings", "export"): ("readings_export", "export"),
    ("readings", "edit"): ("readings_edit", "edit"),
    ("readings", "seal"): ("readings_seal", "seal"),
    ("readings", "retention"): ("readings_retention", "retention"),
}


#: Python's own is 700.
OBJECTS_BETWEEN_LOOKS = 20_000


class LazyGroup(click.Group):
    """A group that imports a word's module only when the word is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the words in the order of the straight line."""
        return list(WORDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a word."""
        if cmd_name not in WORDS:
            return None
        module, name, _ = WORDS[cmd_name]
        command: click.Command = getattr(import_module(f"bijlighar.cli.{module}"), name)
        if isinstance(command, click.Group):
            for (word, below), (other, inner) in BELOW.items():
                if word == cmd_name and below not in command.commands:
                    command.add_command(getattr(import_module(f"bijlighar.cli.{other}"), inner))
        _look_for_cycles_seldom()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the words and their help lines without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(word, line) for word, (_, _, line) in WORDS.items()])


def _look_for_cycles_seldom() -> None:
    """
    Have Python look for garbage in cycles seldom, and never among what was imported.

    Many sessions at one time make many objects and few cycles; looking as often as Python does takes a tenth
    of the head-end's time.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bijlighar")
def bijlighar() -> None:
    """Bijlighar (बिजलीघर): run the smart meters of an electricity distribution company."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; an anticipated failure is one line on stderr and exit status 1."""
    try:
        bijlighar.main(args=arguments, prog_name="bijlighar")
    except BijligharError as problem:
        click.echo(f"bijlighar: {problem} [{problem.code}]", err=True)
        sys.exit(1)
