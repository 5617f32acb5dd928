"""`bijlighar readings seal`: months that are shut, what comes late for them, and opening one by two persons."""

from collections.abc import Callable
from datetime import datetime

import click
from sqlalchemy import Connection

from bijlighar.base.period import IST, Month
from bijlighar.cli.bill import MONTH
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER, local_text
from bijlighar.cli.readings_edit import person_option
from bijlighar.readings import operations, queries
from bijlighar.readings.model import SEAL_STATE_NAMES, SHUT, LateSum, MonthSeal, SealState
from bijlighar.runtime.home import Home

note_option = click.option("--note", required=True, help="Why, in words.")
revision_option = click.option(
    "--revision", type=NUMBER, help="Refuse if the seal is no longer at this revision. [default: as it is]"
)


@click.group()
def seal() -> None:
    """
    Seal a month: nothing of its readings changes any more.

    What comes late for it is held apart, counted and told, until two persons open the month with their reasons.
    """


@seal.command(name="set")
@MONTH
@click.option("--office", metavar="CODE", help="Only this office and those below it. [default: the company]")
@note_option
@person_option
@home_option
def set_(month: Month, office: str | None, note: str, person: str, home: Home) -> None:
    """Seal a month, once it is over and all its days are validated."""
    with home.database.write() as connection:
        made = operations.seal_month(
            connection, month=month, office=office, note=note, person=person, now=home.clock.now()
        )
    print_line(f"seal {made.number}: {month} of {made.office} is sealed, {made.meter_days} meter-days")


@seal.command(name="list")
@click.option("--all", "every", is_flag=True, help="Those that were opened too.")
@person_option
@format_option()
@home_option
def list_(every: bool, person: str, output_format: str, home: Home) -> None:
    """Show the sealed months of one's own offices, and how much came late for each."""
    with home.database.read() as connection:
        found = queries.seals(connection, person=person, states=tuple(SealState) if every else SHUT)
    if output_format == "json":
        print_json([_document(each, days, registers) for each, days, registers in found])
        return
    print_table(
        title="Sealed months · सील किए गए महीने",
        columns=(
            "no.", "month", "office", "state", "meter-days", "late days", "late registers", "sealed by", "note",
            "asked by", "asked note", "decided by",
        ),
        rows=[
            (
                each.number,
                each.month,
                each.office,
                SEAL_STATE_NAMES[each.state].en,
                each.meter_days,
                days,
                registers,
                each.sealed_by,
                each.note,
                each.asked_by,
                each.asked_note,
                each.decided_by,
            )
            for each, days, registers in found
        ],
        right=("no.", "meter-days", "late days", "late registers"),
    )  # fmt: skip


@seal.command(name="late")
@click.argument("number", type=NUMBER)
@person_option
@format_option()
@home_option
def late_(number: int, person: str, output_format: str, home: Home) -> None:
    """
    Show what came late for the sealed month NUMBER, by meter: the correction that is to be taken up.

    Energies are what the meter counts, of the late intervals alone: as the month has them, and as they came.
    """
    with home.database.read() as connection:
        found = queries.late_sums(connection, number=number, person=person)
    if output_format == "json":
        print_json([_late_document(each) for each in found])
        return
    print_table(
        title="Come late for a sealed month · सील के बाद आई रीडिंग",
        columns=(
            "meter", "days", "intervals", "stands Wh", "late Wh", "difference Wh", "export stands Wh",
            "export late Wh", "registers", "last came",
        ),
        rows=[
            (
                each.meter,
                each.meter_days,
                each.intervals,
                each.standing_wh,
                each.late_wh,
                each.difference_wh,
                each.standing_export_wh,
                each.late_export_wh,
                each.registers,
                local_text(each.last_at),
            )
            for each in found
        ],
        right=(
            "days", "intervals", "stands Wh", "late Wh", "difference Wh", "export stands Wh", "export late Wh",
            "registers",
        ),
    )  # fmt: skip


@seal.command()
@click.argument("number", type=NUMBER)
@person_option
@home_option
def check(number: int, person: str, home: Home) -> None:
    """Say whether the readings of the sealed month NUMBER are those that were sealed."""
    with home.database.read() as connection:
        found = queries.check_seal(connection, number=number, person=person)
    if not found.is_unchanged:
        raise click.ClickException(
            f"seal {number}: the {found.meter_days} meter-days are not those that were sealed"
        )
    print_line(f"seal {number}: {found.meter_days} meter-days, unchanged since they were sealed")


@seal.command(name="open")
@click.argument("number", type=NUMBER)
@note_option
@revision_option
@person_option
@home_option
def open_(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Ask for the opening of the sealed month NUMBER; it stays sealed until another person confirms."""
    _act(operations.ask_opening, number, note, revision, person, home)
    print_line(f"seal {number}: its opening is asked for; another person confirms or refuses it")


@seal.command()
@click.argument("number", type=NUMBER)
@note_option
@revision_option
@person_option
@home_option
def confirm(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Open the sealed month NUMBER, as another person asked, and merge what had come late for it."""
    _act(operations.confirm_opening, number, note, revision, person, home)
    print_line(f"seal {number} is opened; what had come late is merged, and its days are judged again")


@seal.command()
@click.argument("number", type=NUMBER)
@note_option
@revision_option
@person_option
@home_option
def refuse(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Refuse the opening of month NUMBER that another person asked for; it stays sealed."""
    _act(operations.refuse_opening, number, note, revision, person, home)
    print_line(f"seal {number}: the opening is refused, it stays sealed")


@seal.command()
@click.argument("number", type=NUMBER)
@revision_option
@person_option
@home_option
def withdraw(number: int, revision: int | None, person: str, home: Home) -> None:
    """Take back the asking for the opening of month NUMBER; it stays sealed."""
    with home.database.write() as connection:
        seen = revision or _revision(connection, number, person)
        operations.withdraw_opening(
            connection, number=number, revision=seen, person=person, now=home.clock.now()
        )
    print_line(f"seal {number}: nobody asks for its opening any more, it stays sealed")


def _act(
    act: Callable[..., object], number: int, note: str, revision: int | None, person: str, home: Home
) -> None:
    with home.database.write() as connection:
        seen = revision or _revision(connection, number, person)
        act(connection, number=number, revision=seen, note=note, person=person, now=home.clock.now())


def _revision(connection: Connection, number: int, person: str) -> int:
    return queries.seal_in_sight(connection, number=number, person=person).revision


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat()


def _document(seal: MonthSeal, late_days: int, late_registers: int) -> dict[str, object]:
    return {
        "number": seal.number,
        "revision": seal.revision,
        "month": str(seal.month),
        "office": seal.office,
        "state": seal.state.value,
        "meter_days": seal.meter_days,
        "digest": seal.digest,
        "late_meter_days": late_days,
        "late_registers": late_registers,
        "sealed_by": seal.sealed_by,
        "sealed_at": _text(seal.sealed_at),
        "note": seal.note,
        "asked_by": seal.asked_by,
        "asked_at": _text(seal.asked_at),
        "asked_note": seal.asked_note,
        "decided_by": seal.decided_by,
        "decided_at": _text(seal.decided_at),
        "decision_note": seal.decision_note,
    }


def _late_document(late: LateSum) -> dict[str, object]:
    return {
        "meter": late.meter,
        "meter_days": late.meter_days,
        "intervals": late.intervals,
        "standing_wh": late.standing_wh,
        "late_wh": late.late_wh,
        "difference_wh": late.difference_wh,
        "standing_export_wh": late.standing_export_wh,
        "late_export_wh": late.late_export_wh,
        "registers": late.registers,
        "first_at": _text(late.first_at),
        "last_at": _text(late.last_at),
    }
