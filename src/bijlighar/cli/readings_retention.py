"""`bijlighar readings retention`: which months' intervals may go, and removing one after it was archived."""

from pathlib import Path

import click

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import Month
from bijlighar.cli.bench import progress
from bijlighar.cli.bill import MONTH
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.readings_edit import person_option
from bijlighar.cli.readings_export import whole_file
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.readings import operations, queries
from bijlighar.runtime.home import Home

KEEP = "retention.interval_months"


@click.group()
def retention() -> None:
    """
    How long intervals are kept; registers, events and bills always are.

    The setting `retention.interval_months` tells for how many whole months. Nothing is ever removed by itself: a
    person removes a month that is sealed for the whole company, after its archive was written and read back.
    """


@retention.command()
@format_option()
@home_option
def show(output_format: str, home: Home) -> None:
    """Say which months may be removed; this removes nothing."""
    keep = home.settings.whole(KEEP)
    with home.database.read() as connection:
        found = queries.removable(connection, keep_months=keep, now=home.clock.now())
    if output_format == "json":
        print_json(
            {
                "interval_months": keep,
                "months": [
                    {
                        "month": str(each.seal.month),
                        "seal": each.seal.number,
                        "meter_days": each.meter_days,
                        "earlier_versions": each.versions,
                    }
                    for each in found
                ],
            }
        )
        return
    print_line(f"{KEEP} = {keep}" + ("" if keep else ": everything is kept"))
    print_table(
        title="Months whose intervals may be removed · जिन महीनों के अंतराल हटाए जा सकते हैं",
        columns=("month", "seal", "meter-days", "earlier versions"),
        rows=[(each.seal.month, each.seal.number, each.meter_days, each.versions) for each in found],
        right=("seal", "meter-days", "earlier versions"),
    )


@retention.command()
@MONTH
@click.option(
    "--archive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The folder for the two files of the archive; keep them, for nothing else holds these intervals then.",
)
@person_option
@home_option
def remove(month: Month, archive: Path, person: str, home: Home) -> None:
    """
    Write the intervals of a month to two Parquet files, read them back, and remove them from the database.

    intervals-MONTH.parquet is like that of `readings export`; versions-MONTH.parquet holds every version as it was
    packed, with its estimates and edits (the extra `parquet`).
    """
    keep, now = home.settings.whole(KEEP), home.clock.now()
    names = (f"intervals-{month}.parquet", f"versions-{month}.parquet")
    for name in names:
        if (archive / name).exists():
            raise InvalidValue(f"{archive / name} is there already; give another folder")
    with home.database.read() as connection:
        offices.authorise(connection, sign_in=person, act=Act.REMOVE_READINGS, office=None)
        with (
            whole_file(archive / names[0], overwrite=False) as intervals,
            whole_file(archive / names[1], overwrite=False) as versions,
            progress() as say,
        ):
            count, written = operations.write_archive(
                connection,
                month=month,
                keep_months=keep,
                intervals=intervals,
                versions=versions,
                progress=lambda done, total: say(f"{done} of {total} meters", done / total),
                now=now,
            )
    with home.database.write() as connection:
        operations.remove_intervals(
            connection,
            month=month,
            keep_months=keep,
            archived=written,
            files=names,
            person=person,
            now=now,
        )
    print_line(f"{month}: {count} intervals, {written} versions archived in {archive} and removed")
