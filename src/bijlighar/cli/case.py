"""`bijlighar case`: whom to inspect, who was sent, what was found, what was assessed."""

from collections.abc import Callable
from datetime import date, datetime

import click
from sqlalchemy import Connection

from bijlighar.alarms import queries as alarms
from bijlighar.balance import operations, queries
from bijlighar.balance.errors import RefusedCase
from bijlighar.balance.model import (
    CASE_FINDING_NAMES,
    CASE_ORIGIN_NAMES,
    CASE_STATE_NAMES,
    THEFT_KIND_NAMES,
    UNDER_WAY,
    Case,
    CaseFinding,
    CaseOrigin,
    CaseState,
    CaseStep,
    TheftKind,
)
from bijlighar.base.period import IST
from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER, local_text
from bijlighar.cli.readings_edit import person_option
from bijlighar.runtime.home import Home

number_argument = click.argument("number", type=NUMBER)
note_option = click.option("--note", required=True, help="Why, in words.")
revision_option = click.option(
    "--revision", type=NUMBER, help="Refuse if the case is no longer at this revision. [default: as it is]"
)


@click.group()
def case() -> None:
    """
    Cases: from a suspicion to what was found and assessed.

    A suspicion accuses nobody. People open a case and inspect; theft stands once a second person, a theft officer,
    has confirmed it. A case reaches no relay, no bill and no consumer.
    """


@case.command()
@click.option(
    "--from", "first", type=DAY, help="The first day (IST). [default: the last 30 days with readings]"
)
@click.option("--to", "last", type=DAY, help="The last day (IST), included.")
@click.option("--office", metavar="CODE", help="Only transformers of this office and those below it.")
@format_option()
@home_option
def suspects(
    first: date | None, last: date | None, office: str | None, output_format: str, home: Home
) -> None:
    """Rank the meters that missing energy points to, with the evidence; a score is no probability."""
    if (first is None) != (last is None):
        raise click.UsageError("give both --from and --to, or neither")
    with home.database.read() as connection:
        if first is None or last is None:
            first, last = queries.usual_range(connection, now=home.clock.now()) or (None, None)
        found = (
            ()
            if first is None or last is None
            else queries.ranked_suspects(connection, first=first, last=last, office=office)
        )
    if output_format == "json":
        print_json(
            [
                {
                    "meter": each.meter,
                    "transformer": each.transformer,
                    "score": each.score,
                    "evidence": each.evidence.en,
                    "evidence_hi": each.evidence.hi,
                    "low_wh": each.low_wh,
                    "case": each.case,
                }
                for each in found
            ]
        )
        return
    print_table(
        title=f"Whom to inspect · जाँच के लिए · {first} – {last}",
        columns=("meter", "transformer", "score", "evidence", "at least missing Wh", "case"),
        rows=[
            (each.meter, each.transformer, f"{each.score:.2f}", each.evidence.en, each.low_wh, each.case)
            for each in found
        ],
        right=("score", "at least missing Wh", "case"),
    )


@case.command(name="open")
@click.argument("meter", required=False)
@click.option("--transformer", metavar="T", help="A line is tapped at nobody's meter: only its transformer;")
@click.option("--alarm", type=NUMBER, metavar="N", help="or on this alarm, of its meter;")
@click.option("--from", "first", type=DAY, help="or on what the balance of these days says of METER.")
@click.option("--to", "last", type=DAY, help="The last of these days, included.")
@note_option
@person_option
@home_option
def open_(
    *,
    meter: str | None,
    transformer: str | None,
    alarm: int | None,
    first: date | None,
    last: date | None,
    note: str,
    person: str,
    home: Home,
) -> None:
    """Open a case of METER by hand, or on an alarm or the balance's suspicion."""
    if sum(given is not None for given in (meter, transformer, alarm)) != 1:
        raise click.UsageError("give one of METER, --transformer and --alarm")
    if (first is None) != (last is None) or (first is not None and meter is None):
        raise click.UsageError("--from and --to belong together, and to METER")
    now = home.clock.now()
    with home.database.write() as connection:
        if meter is not None and first is not None and last is not None:
            made = operations.open_suspicion(
                connection, meter=meter, first=first, last=last, note=note, person=person, now=now
            )
        else:
            new = operations.NewCase(meter=meter, transformer=transformer, note=note)
            if alarm is not None:
                new = _of_alarm(connection, number=alarm, note=note)
            made = operations.open_case(connection, new=new, person=person, now=now)
    print_line(f"case {made.number} opened; send somebody with `bijlighar case assign`")


@case.command(name="list")
@click.option("--all", "every", is_flag=True, help="Those that are closed or withdrawn too.")
@person_option
@format_option()
@home_option
def list_(every: bool, person: str, output_format: str, home: Home) -> None:
    """Show the cases of one's own offices, the newest first."""
    states = tuple(CaseState) if every else UNDER_WAY
    with home.database.read() as connection:
        found = queries.cases(connection, person=person, states=states)
    if output_format == "json":
        print_json([_document(each) for each in found])
        return
    print_table(
        title="Cases · प्रकरण",
        columns=(
            "no.", "meter", "transformer", "office", "from", "opened", "state", "inspector", "finding",
            "assessed Wh",
        ),
        rows=[
            (
                each.number,
                each.meter,
                each.transformer,
                each.office,
                CASE_ORIGIN_NAMES[each.origin].en,
                local_text(each.opened_at),
                CASE_STATE_NAMES[each.state].en,
                each.assigned_to,
                "" if each.finding is None else CASE_FINDING_NAMES[each.finding].en,
                None if each.assessment is None else each.assessment.energy_wh,
            )
            for each in found
        ],
        right=("no.", "assessed Wh"),
    )  # fmt: skip


@case.command()
@number_argument
@person_option
@format_option()
@home_option
def show(number: int, person: str, output_format: str, home: Home) -> None:
    """Show case NUMBER: what it was opened on, and each step."""
    with home.database.read() as connection:
        found = queries.case(connection, number=number, person=person)
        steps = queries.case_steps(connection, number=number)
    if output_format == "json":
        print_json(_document(found) | {"steps": [_step(each) for each in steps]})
        return
    about = f"meter {found.meter}" if found.meter else f"transformer {found.transformer}"
    print_line(f"case {found.number}, {about}: {CASE_STATE_NAMES[found.state].en}")
    if found.evidence.en:
        print_line(f"evidence: {found.evidence.en}")
    if found.theft_kind is not None:
        print_line(f"kind: {THEFT_KIND_NAMES[found.theft_kind].en}")
    if found.assessment is not None:
        made = found.assessment
        print_line(f"assessed: {made.energy_wh} Wh, {made.first} to {made.last}, {made.method}")
    print_table(
        title="What was done · क्या किया गया",
        columns=("when", "what", "who", "words"),
        rows=[
            (local_text(each.at), each.event.value.replace("_", " "), each.person, each.note)
            for each in steps
        ],
    )


@case.command()
@number_argument
@click.option("--to", metavar="PERSON", required=True, help="Who inspects.")
@click.option("--note", default="", help="A word on it.")
@revision_option
@person_option
@home_option
def assign(number: int, to: str, note: str, revision: int | None, person: str, home: Home) -> None:
    """Send a person to inspect case NUMBER."""
    with home.database.write() as connection:
        operations.assign_case(
            connection,
            number=number,
            revision=revision or _revision(connection, number, person),
            to=to,
            note=note,
            person=person,
            now=home.clock.now(),
        )
    print_line(f"case {number}: {to} inspects it")


@case.command()
@number_argument
@click.argument("finding", type=click.Choice([each.value for each in CaseFinding]))
@click.option("--kind", type=click.Choice([each.value for each in TheftKind]), help="How, if it is theft.")
@click.option("--on", "inspected_on", type=DAY, required=True, help="The day of the inspection (IST).")
@click.option("--note", required=True, help="What was found, in words: the paper it rests on.")
@revision_option
@person_option
@home_option
def find(
    number: int,
    finding: str,
    kind: str | None,
    inspected_on: date,
    note: str,
    revision: int | None,
    person: str,
    home: Home,
) -> None:
    """Say what the inspection of case NUMBER found, as the person who was sent; theft waits for a second person."""
    found = operations.Found(
        finding=CaseFinding(finding),
        inspected_on=inspected_on,
        note=note,
        theft_kind=None if kind is None else TheftKind(kind),
    )
    with home.database.write() as connection:
        made = operations.record_finding(
            connection,
            number=number,
            revision=revision or _revision(connection, number, person),
            found=found,
            person=person,
            now=home.clock.now(),
        )
    print_line(f"case {number}: {CASE_STATE_NAMES[made.state].en}")


def _decide(
    number: int, note: str, revision: int | None, person: str, home: Home, *, is_confirmed: bool
) -> None:
    with home.database.write() as connection:
        operations.decide_theft(
            connection,
            number=number,
            revision=revision or _revision(connection, number, person),
            is_confirmed=is_confirmed,
            note=note,
            person=person,
            now=home.clock.now(),
        )


@case.command()
@number_argument
@note_option
@revision_option
@person_option
@home_option
def confirm(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Confirm the theft that another person reported in case NUMBER, as a theft officer."""
    _decide(number, note, revision, person, home, is_confirmed=True)
    print_line(f"case {number}: theft confirmed; nothing is cut, billed or sent by it")


@case.command()
@number_argument
@note_option
@revision_option
@person_option
@home_option
def refuse(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Refuse the theft that another person reported in case NUMBER; it goes back to its inspector."""
    _decide(number, note, revision, person, home, is_confirmed=False)
    print_line(f"case {number}: theft not confirmed; its inspector looks again")


@case.command()
@number_argument
@click.option("--wh", "energy_wh", type=NUMBER, required=True, help="The assessed units [Wh].")
@click.option("--from", "first", type=DAY, required=True, help="The first day they are for (IST).")
@click.option("--to", "last", type=DAY, required=True, help="The last day they are for, included.")
@click.option("--method", required=True, help="How they were reckoned, in words.")
@revision_option
@person_option
@home_option
def assess(
    *,
    number: int,
    energy_wh: int,
    first: date,
    last: date,
    method: str,
    revision: int | None,
    person: str,
    home: Home,
) -> None:
    """Assess units in case NUMBER; no bill follows by itself. An earlier assessment is kept beside it."""
    with home.database.write() as connection:
        operations.assess_units(
            connection,
            number=number,
            revision=revision or _revision(connection, number, person),
            assessed=operations.Assessed(energy_wh=energy_wh, first=first, last=last, method=method),
            months_max=home.settings.whole("cases.assess_months_max"),
            person=person,
            now=home.clock.now(),
        )
    print_line(f"case {number}: {energy_wh} Wh assessed for {first} to {last}")


@case.command()
@number_argument
@note_option
@revision_option
@person_option
@home_option
def close(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Close case NUMBER, once it is known what was found."""
    _end(operations.close_case, number, note, revision, person, home)
    print_line(f"case {number} closed")


@case.command()
@number_argument
@note_option
@revision_option
@person_option
@home_option
def withdraw(number: int, note: str, revision: int | None, person: str, home: Home) -> None:
    """Withdraw case NUMBER before anything was found."""
    _end(operations.withdraw_case, number, note, revision, person, home)
    print_line(f"case {number} withdrawn")


def _end(
    end: Callable[..., object], number: int, note: str, revision: int | None, person: str, home: Home
) -> None:
    with home.database.write() as connection:
        end(
            connection,
            number=number,
            revision=revision or _revision(connection, number, person),
            note=note,
            person=person,
            now=home.clock.now(),
        )


def _revision(connection: Connection, number: int, person: str) -> int:
    return queries.case(connection, number=number, person=person).revision


def _of_alarm(connection: Connection, *, number: int, note: str) -> operations.NewCase:
    found = alarms.alarm(connection, number=number)
    if found is None or found.account is None:
        raise RefusedCase(
            f"there is no alarm {number} of a consumer's meter; `bijlighar alarm list` shows them"
        )
    return operations.NewCase(
        meter=found.source,
        note=note,
        origin=CaseOrigin.ALARM,
        reference=f"alarm:{number}",
        evidence=found.words,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat()


def _step(step: CaseStep) -> dict[str, object]:
    return {
        "at": _text(step.at),
        "event": step.event.value,
        "person": step.person,
        "note": step.note,
        "detail": dict(step.detail),
    }


def _document(case: Case) -> dict[str, object]:
    made = case.assessment
    return {
        "number": case.number,
        "revision": case.revision,
        "meter": case.meter,
        "transformer": case.transformer,
        "account": case.account,
        "office": case.office,
        "origin": case.origin.value,
        "reference": case.reference,
        "evidence": case.evidence.en,
        "evidence_hi": case.evidence.hi,
        "note": case.note,
        "state": case.state.value,
        "opened_by": case.opened_by,
        "opened_at": _text(case.opened_at),
        "assigned_to": case.assigned_to,
        "finding": None if case.finding is None else case.finding.value,
        "theft_kind": None if case.theft_kind is None else case.theft_kind.value,
        "inspected_on": None if case.inspected_on is None else case.inspected_on.isoformat(),
        "found_by": case.found_by,
        "finding_note": case.finding_note,
        "confirmed_by": case.confirmed_by,
        "ended_by": case.ended_by,
        "ended_at": _text(case.ended_at),
        "ending_note": case.ending_note,
        "assessment": None
        if made is None
        else {
            "number": made.number,
            "energy_wh": made.energy_wh,
            "first": made.first.isoformat(),
            "last": made.last.isoformat(),
            "method": made.method,
            "assessed_by": made.assessed_by,
            "assessed_at": _text(made.assessed_at),
        },
    }
