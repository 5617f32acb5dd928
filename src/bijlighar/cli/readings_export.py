"""`bijlighar readings export`: readings as files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import click

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import date_of, day_number
from bijlighar.cli.bench import progress
from bijlighar.cli.common import DAY, MOMENT, home_option, print_line
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.readings import operations, queries
from bijlighar.runtime.home import Home

METERS_MAX = 1_000


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet", "greenbutton"]),
    default="csv",
    show_default=True,
    help="What the file is to be.",
)
@click.option("--from", "first", type=DAY, help="The first day (IST). [default: the first one stored]")
@click.option("--to", "last", type=DAY, help="The last day (IST), included. [default: the last one stored]")
@click.option("--meter", "meters", multiple=True, metavar="M", help="Only this meter; may be repeated.")
@click.option("--measured", is_flag=True, help="Only what the meters said, without estimates and edits.")
@click.option("--as-of", type=MOMENT, help="What was known at this moment. [default: what is known now]")
@click.option("--overwrite", is_flag=True, help="Put it in the place of a file of this name.")
@click.option("--as", "person", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def export(
    *,
    file: Path,
    file_format: str,
    first: date | None,
    last: date | None,
    meters: tuple[str, ...],
    measured: bool,
    as_of: datetime | None,
    overwrite: bool,
    person: str | None,
    home: Home,
) -> None:
    """
    Write the readings of a range of days to FILE, meter by meter, estimates and edits in their places.

    CSV has the columns that `readings import` takes. Parquet has them too, with quality and version, sorted by meter
    and start (the extra `parquet`). Green Button XML tells the quality with the codes of NAESB ESPI.

    FILE appears when it is whole.
    """
    if len(meters) > METERS_MAX:
        raise click.UsageError(f"name at most {METERS_MAX} meters, or none for all")
    if as_of is not None and measured:
        raise click.UsageError(
            "--as-of tells what was known, estimates and edits included; leave out --measured"
        )
    now = home.clock.now()
    with home.database.read() as connection:
        if person is not None:
            offices.authorise(connection, sign_in=person, act=Act.EXPORT_READINGS, office=None)
        ends = queries.stored_ends(connection)
        first_day = day_number(first) if first else ends[0] if ends else 0
        last_day = day_number(last) if last else ends[1] if ends else first_day
        if last_day < first_day:
            raise click.UsageError("--from is after --to")
        wish = operations.Wish(
            first=first_day, last=last_day, meters=meters or None, is_measured=measured, as_of=as_of
        )
        with whole_file(file, overwrite=overwrite) as beside, progress() as say:

            def tell(done: int, total: int) -> None:
                say(f"{done} of {total} meters", done / total)

            if file_format == "parquet":
                with beside.open("wb") as binary:
                    count = operations.write_parquet(connection, file=binary, wish=wish, progress=tell)
            else:
                with beside.open("w", encoding="utf-8", newline="") as text:
                    if file_format == "csv":
                        count = operations.write_csv(connection, file=text, wish=wish, progress=tell)
                    else:
                        count = operations.write_greenbutton(
                            connection, file=text, wish=wish, progress=tell, now=now
                        )
    with home.database.write() as connection:
        offices.record_act(
            connection,
            person=person or offices.SYSTEM,
            act=Act.EXPORT_READINGS,
            subject="readings",
            detail={
                "file": file.name,
                "format": file_format,
                "first": date_of(first_day),
                "last": date_of(last_day),
                "meters": list(meters),
                "intervals": count,
                "as_of": as_of,
            },
            now=now,
        )
    print_line(f"{count} intervals written to {file}")


@contextmanager
def whole_file(file: Path, *, overwrite: bool) -> Iterator[Path]:
    """
    Give a file beside `file` to write to; it takes its name when it is whole, and is gone if it never is.

    :raises InvalidValue: if `file` is there and is not to be overwritten, or cannot be written.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    if file.exists() and not overwrite:
        raise InvalidValue(f"{file} is there already; give another name, or --overwrite")
    try:
        try:
            yield beside
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            if file.exists() and not overwrite:
                raise FileExistsError
            os.replace(beside, file)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        raise InvalidValue(f"{file} is there already; give another name, or --overwrite") from None
    except OSError as problem:
        raise InvalidValue(f"{file} cannot be written: {problem.strerror}") from None
