"""`bijlighar readings`: readings from files."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click

from bijlighar.cli.common import home_option, print_line
from bijlighar.cli.office import FILE, read_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.readings import operations
from bijlighar.readings.errors import BrokenFile, UnsupportedFormat
from bijlighar.runtime.home import Home

#: What a file may unpack to [octets].
UNPACKED_MAX = 500_000_000
CHUNK_OCTETS = 65_536


def read_zipped(file: Path) -> str:
    """
    Return the text of the one file in a zip archive.

    :raises BrokenFile: if it is no archive, holds more than one file or too much, or no text.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            (entry,) = archive.infolist()
            if entry.file_size > UNPACKED_MAX:
                raise BrokenFile(f"{file.name}: it unpacks to more than {UNPACKED_MAX} octets; divide it")
            return archive.read(entry).decode("utf-8-sig")
    except ValueError:
        raise BrokenFile(f"{file.name}: the archive must hold one file of text in UTF-8") from None
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as problem:
        raise BrokenFile(f"{file.name}: the archive cannot be read: {problem}") from None


def chunks_of(file: Path) -> Iterator[bytes]:
    """
    Yield the octets of a file, bit by bit.

    :raises BrokenFile: if it cannot be read or is too long.
    """
    count = 0
    try:
        with file.open("rb") as source:
            while chunk := source.read(CHUNK_OCTETS):
                count += len(chunk)
                if count > UNPACKED_MAX:
                    raise BrokenFile(f"it has more than {UNPACKED_MAX} octets; divide it")
                yield chunk
    except OSError as problem:
        raise BrokenFile(f"it cannot be read: {problem.strerror}") from None


@click.group()
def readings() -> None:
    """Readings from files."""


@readings.command(name="import")
@click.argument("file", type=FILE)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "nem12", "greenbutton"]),
    default="csv",
    show_default=True,
    help="What the file is.",
)
@click.option(
    "--stamp",
    type=click.Choice(["start", "end"]),
    default="start",
    show_default=True,
    help="Whether an interval's time in the file is its start or its end.",
)
@click.option(
    "--meter", metavar="M", help="Whose the readings are, where a Green Button file does not say so."
)
@click.option("--as", "person", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def import_(
    file: Path,
    file_format: str,
    stamp: Literal["start", "end"],
    meter: str | None,
    person: str | None,
    home: Home,
) -> None:
    """
    Take in intervals or registers from FILE, whole or not at all.

    Intervals: meter,start,minutes,wh_import[,vah_import,wh_export,volt,amp], volt and amp in V and A.

    Registers: meter,time,wh_import_register[,wh_export_register][,kind], the kind being daily, billing, hand, final
    or initial; without one a register at midnight IST is the daily one, any other a hand reading.

    Times are ISO 8601 with an offset. The meters must be in the registry.

    A NEM12 file (Australia) may be zipped; its times are UTC+10. Its meter is the first of SERIAL-SUFFIX, NMI-SUFFIX,
    SERIAL and NMI that is in the registry; what the sender says of the quality is kept.

    A Green Button file (NAESB ESPI) holds half-hours or quarter-hours of energy, voltage or current. Its meter is the
    title or the last part of the link of the usage point, or of the meter reading, that is in the registry.
    """
    is_feed = file_format == "greenbutton"
    if meter is not None and not is_feed:
        raise click.UsageError("--meter belongs to --format greenbutton")
    text = "" if is_feed else read_zipped(file) if file.suffix.lower() == ".zip" else read_text(file)
    now = home.clock.now()
    with home.database.write() as connection:
        if person is not None:
            offices.authorise(connection, sign_in=person, act=Act.IMPORT_READINGS, office=None)
        try:
            if is_feed:
                report = operations.import_greenbutton(
                    connection, chunks=chunks_of(file), meter=meter, now=now
                )
            elif file_format == "nem12":
                report = operations.import_nem12(connection, text=text, now=now)
            else:
                report = operations.import_csv(connection, text=text, stamp=stamp, now=now)
        except (BrokenFile, UnsupportedFormat) as problem:
            raise type(problem)(f"{file.name}, {problem}") from None
        offices.record_act(
            connection,
            person=person or offices.SYSTEM,
            act=Act.IMPORT_READINGS,
            subject="readings",
            detail={"file": file.name, "lines": report.lines, "meters": report.meters},
            now=now,
        )
    print_line(
        f"{report.lines} lines of {report.meters} meters: {report.intervals_new} intervals new, "
        f"{report.intervals_changed} changed, on {report.days_written} meter-days; "
        f"{report.registers_new} registers new or changed"
    )
    if report.intervals_late:
        click.echo(
            f"note: {report.intervals_late} intervals are of sealed months and were held apart; "
            "`bijlighar readings seal late` tells them",
            err=True,
        )
    if report.rounded:
        click.echo(f"note: {report.rounded} values were rounded half up to whole Wh", err=True)
    for left in report.left_out:
        click.echo(f"note: {left}", err=True)
    if report.findings:
        click.echo(
            f"note: the file contains {len(report.findings)} oddities; `bijlighar validate` tells them",
            err=True,
        )
