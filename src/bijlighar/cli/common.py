"""What every command shares: the home, the output format, tables."""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import parse_day, parse_moment
from bijlighar.runtime.home import Home

Command = TypeVar("Command", bound=Callable[..., Any])

HOME_VARIABLE = "BIJLIGHAR_HOME"
DEFAULT_HOME = "bijlighar-home"
#: A table that goes into a file or a pipe is not folded.
WIDTH_OF_A_FILE = 240


class DayType(click.ParamType[date]):
    """A day of the IST calendar, written as `YYYY-MM-DD`."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:  # noqa: ANN401
        """Return the day."""
        if isinstance(value, date):
            return value
        try:
            return parse_day(value)
        except InvalidValue as problem:
            self.fail(str(problem), param, ctx)


class MomentType(click.ParamType[datetime]):
    """A moment in ISO 8601 with an offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401
        """Return the aware moment, in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(value)
        except InvalidValue as problem:
            self.fail(str(problem), param, ctx)


DAY = DayType()
MOMENT = MomentType()


def _open_home(_ctx: click.Context, _param: click.Parameter, value: str) -> Home:
    return Home(Path(value))


def home_option(command: Command) -> Command:
    """Give `command` the option --home and the argument `home: Home`."""
    return click.option(
        "--home",
        metavar="DIR",
        envvar=HOME_VARIABLE,
        default=DEFAULT_HOME,
        show_default=True,
        show_envvar=True,
        callback=_open_home,
        help="The folder of settings, database and documents.",
    )(command)


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Give a command the option --format (default table and json) and the argument `output_format: str`."""
    choices = formats or ("table", "json")
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help="How to print the answer.",
    )


def print_json(document: object) -> None:
    """Print one JSON document and nothing else."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def print_line(text: str) -> None:
    """Print one line for a person."""
    click.echo(text)


def print_table(
    *, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str] = ()
) -> None:
    """Print a table for a person; the columns named in `right` are aligned to the right."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    console.print(table)
