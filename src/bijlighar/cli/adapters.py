"""The adapter and the file that a person names: an operator's own in the home or by path, else a shipped one."""

import re
from collections.abc import Mapping
from pathlib import Path

import click

from bijlighar.base.adapters import FILE_OCTETS_MAX, BrokenAdapter
from bijlighar.cli.office import read_text
from bijlighar.offices.errors import UnreadableFile
from bijlighar.runtime.home import Home

FOLDER = "adapters"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

adapter_option = click.option(
    "--adapter",
    metavar="NAME|FILE",
    help="The vendor's adapter: a shipped one, NAME.toml in the home's folder `adapters`, or a TOML file.",
)


def adapter_text(named: str, *, home: Home, shipped: Mapping[str, str]) -> str:
    """
    Return the text of the adapter that a person named; an own one goes before a shipped one.

    :raises BrokenAdapter: if there is none.
    :raises UnreadableFile: if it cannot be read.
    """
    if NAME.fullmatch(named):
        own = home.path / FOLDER / f"{named}.toml"
        if own.is_file():
            return read_text(own)
        if named in shipped:
            return shipped[named]
    elif Path(named).is_file():
        return read_text(Path(named))
    names = ", ".join(sorted(shipped))
    raise BrokenAdapter(f"there is no adapter {named}; give one of {names}, or the path of a TOML file")


def read_octets(file: Path) -> bytes:
    """
    Return the octets of a vendor's file, no more of them than one over the limit.

    :raises UnreadableFile: if it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(FILE_OCTETS_MAX + 1)
    except OSError as problem:
        raise UnreadableFile(f"{file} cannot be read: {problem.strerror}") from None
