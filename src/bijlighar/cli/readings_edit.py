"""`bijlighar readings edit`: one person proposes other values, another confirms or refuses them."""

from datetime import datetime

import click

from bijlighar.base.period import IST
from bijlighar.cli.common import MOMENT, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER, local_text
from bijlighar.readings.model import ENERGY_CHANNELS, EditKind
from bijlighar.runtime.home import Home
from bijlighar.validation import operations, queries
from bijlighar.validation.model import (
    EDIT_KIND_NAMES,
    EDIT_REASON_NAMES,
    EDIT_STATE_NAMES,
    EditReason,
    EditState,
    ReadingEdit,
)

INTERVALS = click.IntRange(1, operations.EDIT_INTERVALS_MAX)
person_option = click.option(
    "--as", "person", metavar="PERSON", required=True, help="Who does this; it is asked for and recorded."
)
revision_option = click.option(
    "--revision", type=NUMBER, help="Refuse if the edit is no longer at this revision. [default: as it is]"
)


class EnergiesType(click.ParamType[tuple[int, ...]]):
    """One energy [Wh] for each interval, divided by commas, or one for all."""

    name = "wh"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the energies."""
        if isinstance(value, tuple):
            return value
        cells = str(value).split(",")
        if len(cells) > operations.EDIT_INTERVALS_MAX:
            self.fail(f"{len(cells)} values are too many", param, ctx)
        try:
            return tuple(int(cell) for cell in cells)
        except ValueError:
            self.fail(f"{str(value)[:40]!r} is no list of whole Wh; write it like 120,130", param, ctx)


@click.group()
def edit() -> None:
    """
    Correct readings: one person proposes, another confirms or refuses.

    What a meter measured is never overwritten: an edit lies over it, in a new version, with who stands for it.
    """


@edit.command()
@click.argument("meter")
@click.option("--from", "start", type=MOMENT, required=True, help="The start of the first interval.")
@click.option("--intervals", type=INTERVALS, default=1, show_default=True, help="How many intervals.")
@click.option(
    "--wh", "values", type=EnergiesType(), help="What shall stand: one for each interval, or for all;"
)
@click.option("--take-out", is_flag=True, help="or what was measured is not believed, and is estimated;")
@click.option("--restore", is_flag=True, help="or earlier edits end, and the meter's own word stands.")
@click.option("--channel", type=click.Choice(ENERGY_CHANNELS), default=ENERGY_CHANNELS[0], show_default=True)
@click.option("--reason", type=click.Choice([reason.value for reason in EditReason]), required=True)
@click.option("--note", required=True, help="Why, in words: the paper it rests on.")
@person_option
@home_option
def propose(
    *,
    meter: str,
    start: datetime,
    intervals: int,
    values: tuple[int, ...] | None,
    take_out: bool,
    restore: bool,
    channel: str,
    reason: str,
    note: str,
    person: str,
    home: Home,
) -> None:
    """Propose other values for a run of intervals of METER; nothing changes until another person confirms."""
    if (values is not None) + take_out + restore != 1:
        raise click.UsageError("give one of --wh, --take-out and --restore")
    kind = EditKind.TAKE_OUT if take_out else EditKind.RESTORE if restore else EditKind.SET
    proposed = operations.Proposed(
        meter=meter,
        start=start,
        intervals=intervals,
        kind=kind,
        reason=EditReason(reason),
        note=note,
        values=values or (),
        channel=channel,
    )
    with home.database.write() as connection:
        made = operations.propose_edit(connection, proposed=proposed, person=person, now=home.clock.now())
    print_line(f"edit {made.number} proposed; another person confirms or refuses it")


@edit.command()
@click.argument("number", type=NUMBER)
@click.option("--note", default="", help="A word on it.")
@revision_option
@person_option
@home_option
def confirm(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Confirm edit NUMBER, proposed by another person, and write it as a new version."""
    with home.database.write() as connection:
        seen = revision or queries.edit(connection, number=number, person=person).revision
        operations.confirm_edit(
            connection, number=number, revision=seen, person=person, note=note, now=home.clock.now()
        )
    print_line(f"edit {number} confirmed and written; the days are judged again")


@edit.command()
@click.argument("number", type=NUMBER)
@click.option("--note", required=True, help="Why it is refused.")
@revision_option
@person_option
@home_option
def refuse(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Refuse edit NUMBER, proposed by another person; nothing changes."""
    with home.database.write() as connection:
        seen = revision or queries.edit(connection, number=number, person=person).revision
        operations.refuse_edit(
            connection, number=number, revision=seen, person=person, note=note, now=home.clock.now()
        )
    print_line(f"edit {number} refused")


@edit.command()
@click.argument("number", type=NUMBER)
@revision_option
@person_option
@home_option
def withdraw(number: int, revision: int | None, person: str, home: Home) -> None:
    """Take back edit NUMBER that you proposed; nothing changes."""
    with home.database.write() as connection:
        seen = revision or queries.edit(connection, number=number, person=person).revision
        operations.withdraw_edit(
            connection, number=number, revision=seen, person=person, now=home.clock.now()
        )
    print_line(f"edit {number} withdrawn")


@edit.command(name="list")
@click.option("--all", "every", is_flag=True, help="Those that are decided too.")
@click.option("--meter", default="", metavar="M", help="Only of this meter.")
@person_option
@format_option()
@home_option
def list_edits(every: bool, meter: str, person: str, output_format: str, home: Home) -> None:
    """Show the edits that wait for a decision in one's own offices, the newest first."""
    states = tuple(EditState) if every else (EditState.PROPOSED,)
    with home.database.read() as connection:
        found = queries.edits(connection, person=person, states=states, meter=meter)
    if output_format == "json":
        print_json([_document(each) for each in found])
        return
    print_table(
        title="Edits of readings · रीडिंग के संशोधन",
        columns=(
            "no.", "meter", "from", "to", "what", "before Wh", "after Wh", "reason", "note", "state",
            "proposed by", "decided by",
        ),
        rows=[
            (
                each.number,
                each.meter,
                local_text(each.start),
                local_text(each.end),
                EDIT_KIND_NAMES[each.kind].en,
                sum(value or 0 for value in each.before),
                sum(each.values) if each.kind is EditKind.SET else None,
                EDIT_REASON_NAMES[each.reason].en,
                each.note,
                EDIT_STATE_NAMES[each.state].en,
                each.proposed_by,
                each.decided_by,
            )
            for each in found
        ],
        right=("no.", "before Wh", "after Wh"),
    )  # fmt: skip


def _document(edit: ReadingEdit) -> dict[str, object]:
    def text(moment: datetime | None) -> str | None:
        return None if moment is None else moment.astimezone(IST).isoformat()

    return {
        "number": edit.number,
        "revision": edit.revision,
        "meter": edit.meter,
        "channel": edit.channel,
        "start": text(edit.start),
        "end": text(edit.end),
        "minutes": edit.minutes,
        "kind": edit.kind.value,
        "wh": list(edit.values),
        "before_wh": list(edit.before),
        "reason": edit.reason.value,
        "note": edit.note,
        "state": edit.state.value,
        "office": edit.office,
        "proposed_by": edit.proposed_by,
        "proposed_at": text(edit.proposed_at),
        "decided_by": edit.decided_by,
        "decided_at": text(edit.decided_at),
        "decision_note": edit.decision_note,
    }
