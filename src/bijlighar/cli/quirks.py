"""`bijlighar meter quirks`: see the quirk file to begin with, or check some."""

import sys
from pathlib import Path

import click

from bijlighar.cli.common import print_line
from bijlighar.headend import operations

PLACE = click.Path(exists=True, path_type=Path)


@click.command(name="quirks")
@click.argument("place", type=PLACE, required=False)
def quirks(place: Path | None) -> None:
    """
    Print a quirk file to begin with, or check those of the folder PLACE, or the file PLACE.

    A quirk file says how a model of meters differs from IS 15959 and from what it tells of itself. The head-end takes
    those of the folder `quirks` of its home. Exit 1 where a file cannot be used: the meters that it is of are not
    read until it is mended, all others are.
    """
    if place is None:
        print_line(operations.shipped_quirk().rstrip("\n"))
        return
    found = operations.read_quirks(place)
    for quirk in found.files:
        print_line(f"{quirk.name}.toml can be used")
    for problem in found.broken.values():
        print_line(problem)
    if not found:
        print_line("there is no quirk file *.toml here")
    if found.broken:
        sys.exit(1)
