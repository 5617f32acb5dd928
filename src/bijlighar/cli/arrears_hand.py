"""`bijlighar arrears notices|hand|circumstance`: what people carry out, and what they enter."""

from datetime import date, datetime
from pathlib import Path

import click

from bijlighar.arrears import operations, queries, rules
from bijlighar.arrears.model import STATE_NAMES, CircumstanceKind, NewCircumstance
from bijlighar.arrears.queries import HandWork
from bijlighar.base.errors import InvalidValue
from bijlighar.cli.common import DAY, MOMENT, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line

person_option = click.option(
    "--as", "person", metavar="PERSON", required=True, help="Who does this; it is recorded."
)
office_option = click.option(
    "--office", metavar="O", help="The office, with all below it. [default: the company]"
)


@click.group(name="notices")
def notices_() -> None:
    """Statutory notices on paper: print them, record their service."""


@notices_.command(name="print")
@office_option
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to FILE, not to the screen."
)
@home_option
def print_(office: str | None, out: Path | None, home: Home) -> None:
    """Hand out the print list (CSV, the whole text in each row) and mark it as handed out."""
    with home.database.write() as connection:
        text = notices.hand_out_print_list(connection, office=office, now=home.clock.now())
        # Before the commit: what could not be written was not handed out.
        if out is None:
            click.echo(text, nl=False)
        else:
            _write(out, text)
    if out is not None:
        print_line(f"written to {out}")


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8-sig", newline="")
    except OSError as problem:
        raise InvalidValue(f"{out} cannot be written: {problem.strerror}") from None


@notices_.command()
@click.argument("account")
@click.option("--reference", metavar="R", help="The notice's number. [default: the account's newest]")
@click.option("--on", "on", type=DAY, required=True, help="The day on which it was served.")
@click.option("--proof", required=True, help="Who took it, or the number of the postal receipt.")
@person_option
@home_option
def served(account: str, reference: str | None, on: date, proof: str, person: str, home: Home) -> None:
    """Record that the statutory notice of ACCOUNT was served on paper."""
    line = Line(home)
    with line.database.write() as connection:
        known = queries.notices(connection, account=account, policy=line.policy)
        chosen = reference or (known[-1].reference if known else "")
        new = notices.record_served(
            connection,
            account=account,
            purpose=Purpose.STATUTORY_NOTICE,
            reference=chosen,
            served_on=on,
            proof=proof,
            by=person,
            now=line.now(),
        )
    print_line(f"{chosen}: service {'recorded' if new else 'was recorded already'}")


@click.group(name="hand")
def hand() -> None:
    """What is done at the meter by hand: show it, record it."""


@hand.command(name="show")
@office_option
@format_option()
@home_option
def hand_show(office: str | None, output_format: str, home: Home) -> None:
    """Show the orders to be carried out, and those that must no longer be."""
    line = Line(home)
    with line.database.read() as connection:
        work = queries.hand_work(connection, now=line.now(), policy=line.policy, office=office)
    if output_format == "json":
        print_json([{**_work(item), "order": rules.plain(item.order)} for item in work])
        return
    print_table(
        title="Orders by hand",
        columns=("order", "what", "account", "name", "meter", "phone"),
        rows=[
            (
                item.order.number,
                _work(item)["what"],
                item.order.account,
                item.name,
                item.order.meter,
                item.phone,
            )
            for item in work
        ],
        right=("order",),
    )


def _work(item: HandWork) -> dict[str, object]:
    what = "RECONNECT" if item.reconnect else "DO NOT CUT" if item.forbidden else "cut"
    return {"what": what, "name": item.name, "phone": item.phone}


@hand.command()
@click.argument("order", type=NUMBER)
@click.option("--at", "at", type=MOMENT, help="When it was done. [default: now]")
@click.option("--not-done", is_flag=True, help="It could not be done.")
@person_option
@home_option
def done(order: int, at: datetime | None, not_done: bool, person: str, home: Home) -> None:
    """Record that ORDER was carried out at the meter (or, with --not-done, that it was not)."""
    line = Line(home)
    with line.database.write() as connection:
        state = operations.record_manual(
            connection,
            order=order,
            done=not not_done,
            person=person,
            now=line.now(),
            signer=line.sign,
            policy=line.policy,
            at=at,
        )
    print_line(f"order {order}: {STATE_NAMES[state].en}")


@click.group(name="circumstance")
def circumstance() -> None:
    """Disputes, instalment plans, and dues shown continuously as recoverable."""


@circumstance.command()
@click.argument("account")
@click.option("--kind", type=click.Choice([kind.value for kind in CircumstanceKind]), required=True)
@click.option("--note", required=True, help="The paper it rests on.")
@click.option("--document", default="", help="The bill concerned. [default: all issued up to today]")
@click.option("--until", type=DAY, help="The last day it holds. [default: until it is ended]")
@person_option
@home_option
def enter(
    account: str, kind: str, note: str, document: str, until: date | None, person: str, home: Home
) -> None:
    """Enter a circumstance of ACCOUNT; supply that may no longer be off is given back at once."""
    line = Line(home)
    entered = NewCircumstance(
        account=account, kind=CircumstanceKind(kind), note=note, document=document, until=until
    )
    with line.database.write() as connection:
        number = operations.enter_circumstance(
            connection,
            circumstance=entered,
            person=person,
            now=line.now(),
            signer=line.sign,
            policy=line.policy,
        )
    print_line(f"circumstance {number} entered")


@circumstance.command()
@click.argument("number", type=NUMBER)
@person_option
@home_option
def end(number: int, person: str, home: Home) -> None:
    """End circumstance NUMBER."""
    with home.database.write() as connection:
        operations.end_circumstance(connection, number=number, person=person, now=home.clock.now())
    print_line(f"circumstance {number} ended")
