"""`bijlighar arrears`, `policy`, `halt` and `resume`: whom the company may cut, and giving supply back."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click

from bijlighar.arrears import operations, queries, rules
from bijlighar.arrears.model import STATE_NAMES, Order
from bijlighar.base.money import rupees
from bijlighar.base.words import LANGUAGES
from bijlighar.cli.arrears_hand import circumstance, hand, notices_, office_option, person_option
from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import FILE, NUMBER, local_text, read_text
from bijlighar.runtime.copies import copy_shipped
from bijlighar.runtime.documents import notice_link
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line


@click.group()
def arrears() -> None:
    """Arrears, lists, approval, disconnection."""


@arrears.command()
@home_option
def assess(home: Home) -> None:
    """Age every account, give the statutory notices and last warnings that are due, end what has lapsed."""
    line = Line(home)
    queued = operations.assess(
        line.database, now=line.now(), policy=line.policy, link=lambda reference: notice_link(line, reference)
    )
    print_line(f"statutory notices queued: {queued}")


@arrears.command()
@office_option
@format_option()
@home_option
def ageing(office: str | None, output_format: str, home: Home) -> None:
    """Show what each account owes by age, as of the last assessment."""
    with home.database.read() as connection:
        rows = queries.ageing(connection, office=office)
    if output_format == "json":
        print_json([rules.plain(row) for row in rows])
        return
    columns = ("account", "office", "on", "not due", "1-30 d", "31-60 d", "61-90 d", "over 90 d", "bills")
    print_table(
        title="Ageing",
        columns=columns,
        rows=[
            (
                row.account,
                row.office,
                row.on,
                rupees(row.not_due_paise),
                rupees(row.to_30_days_paise),
                rupees(row.to_60_days_paise),
                rupees(row.to_90_days_paise),
                rupees(row.over_90_days_paise),
                row.bills,
            )
            for row in rows
        ],
        right=columns[3:],
    )


@arrears.group(name="list")
def list_() -> None:
    """The town office's disconnection lists."""


@list_.command()
@click.option("--office", required=True, metavar="O", help="The office whose list it is.")
@person_option
@home_option
def draw(office: str, person: str, home: Home) -> None:
    """Draw up the list of an office; it takes the place of one that is not yet approved."""
    line = Line(home)
    number = operations.draw_up_list(
        line.database, office=office, person=person, now=line.now(), policy=line.policy
    )
    with line.database.read() as connection:
        found = queries.disconnection_list(connection, number=number)
    print_line(
        f"list {number}: {found.listed} listed, {found.excluded} left out; another person approves it with"
    )
    print_line(f"  bijlighar arrears list approve {number} --as PERSON")


@list_.command()
@click.argument("number", type=NUMBER, required=False)
@format_option()
@home_option
def show(number: int | None, output_format: str, home: Home) -> None:
    """Show list NUMBER with the rows that were left out and why; without NUMBER, all lists."""
    with home.database.read() as connection:
        if number is None:
            every = queries.lists(connection)
            lines: Sequence[Order] = ()
        else:
            every = (queries.disconnection_list(connection, number=number),)
            lines = queries.list_lines(connection, number=number)
    if output_format == "json":
        document = [rules.plain(item) for item in every]
        print_json(
            document
            if number is None
            else {"list": document[0], "lines": [rules.plain(row) for row in lines]}
        )
        return
    print_table(
        title="Disconnection lists",
        columns=("list", "office", "state", "drawn by", "drawn at", "approved by", "listed", "left out"),
        rows=[
            (
                item.number,
                item.office,
                item.state.value,
                item.drawn_by,
                local_text(item.drawn_at),
                item.approved_by,
                item.listed,
                item.excluded,
            )
            for item in every
        ],
        right=("list", "listed", "left out"),
    )
    if number is not None:
        _print_orders(lines)


def _print_orders(lines: Sequence[Order]) -> None:
    print_table(
        title="",
        columns=(
            "order",
            "account",
            "state",
            "overdue",
            "enforceable",
            "oldest due",
            "bills",
            "notice",
            "why not",
        ),
        rows=[
            (
                row.number,
                row.account,
                STATE_NAMES[row.state].en,
                rupees(row.overdue_paise),
                rupees(row.due_paise),
                row.oldest_due_on,
                row.bills,
                row.notice_served_on,
                ", ".join(row.reason_codes),
            )
            for row in lines
        ],
        right=("order", "overdue", "enforceable", "bills"),
    )


@list_.command()
@click.argument("number", type=NUMBER)
@person_option
@home_option
def approve(number: int, person: str, home: Home) -> None:
    """Approve list NUMBER; the one who drew it up cannot."""
    line = Line(home)
    approved = operations.approve(
        line.database,
        number=number,
        person=person,
        now=line.now(),
        policy=line.policy,
        link=lambda reference: notice_link(line, reference),
    )
    print_line(f"list {number}: {approved} approved; the last warning goes out now")


@arrears.command()
@home_option
def send(home: Home) -> None:
    """Decide every approved order again and send those that may be sent now."""
    line = Line(home)
    now = line.now()
    sent = operations.send_approved(line.database, now=now, policy=line.policy, signer=line.sign)
    print_line(f"sent or handed over: {sent}")
    if not rules.is_cutting_time(now, policy=line.policy):
        opens = rules.next_cutting_time(after=now, policy=line.policy)
        print_line("supply is not cut at this hour" + (f"; next from {local_text(opens)}" if opens else ""))


@arrears.command()
@click.option("--account", metavar="N", help="The orders of one account.")
@office_option
@format_option()
@home_option
def orders(account: str | None, office: str | None, output_format: str, home: Home) -> None:
    """Show orders and how far each has come."""
    with home.database.read() as connection:
        found = queries.orders(connection, account=account, office=office)
    if output_format == "json":
        print_json([rules.plain(row) for row in found])
        return
    _print_orders(found)


for _group in (notices_, hand, circumstance):
    arrears.add_command(_group)


@click.group()
def policy() -> None:
    """The arrears policy: check or copy it, explain an account."""


@policy.command()
@click.argument("file", type=FILE)
def check(file: Path) -> None:
    """Say whether FILE is a policy that may be used, and what it sets."""
    found = rules.load_policy(read_text(file))
    print_line(
        f"{found.id}: {found.clear_days} clear days; listed when more than {found.list_after_days} days late "
        f"with {found.list_bills} bill(s) above {rupees(found.minimum_paise)}; "
        f"cut {found.cut_from:%H:%M}-{found.cut_to:%H:%M}"
    )


@policy.command()
@home_option
def copy(home: Home) -> None:
    """
    Copy the shipped policy and tariff books into the home, for the company to edit; nothing is overwritten.

    From then on the copies count: the setting `policy` names the one, the others lie in the folder of books.
    """
    for file in copy_shipped(home):
        print_line(f"copied: {file}")
    print_line(
        "edit them, then see with `bijlighar policy check` and `bijlighar tariff check` that they may be used"
    )


@policy.command()
@click.argument("account")
@click.option(
    "--on",
    "on",
    type=DAY,
    help="Judge as of noon of that day, by the dues of that day if it is over. [default: now]",
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
@format_option()
@home_option
def explain(account: str, on: date | None, lang: str, output_format: str, home: Home) -> None:
    """Say what ACCOUNT owes, what it was told, what would be decided, and when it could be cut at all."""
    line = Line(home)
    with line.database.read() as connection:
        found = queries.explain(connection, account=account, policy=line.policy, now=line.now(), on=on)
    if output_format == "json":
        print_json(
            {
                "account": found.account,
                "name": found.name,
                "at": found.at.isoformat(),
                "owed_paise": found.owed_paise,
                "due_paise": found.due_paise,
                "go": found.decision.go,
                "way": found.decision.way.value,
                "earliest": None if found.outlook.earliest is None else found.outlook.earliest.isoformat(),
                "lines": [rules.plain(words) for words in found.lines],
                "record": found.decision.record,
            }
        )
        return
    print_line(f"{found.account} {found.name}, {local_text(found.at)}")
    for words in found.lines:
        print_line(words.hi if lang == "hi" else words.en)


@click.command()
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--office", metavar="O", help="Only this office and those below it. [default: the company]")
@person_option
@home_option
def halt(reason: str, office: str | None, person: str, home: Home) -> None:
    """Stop every disconnection at once; reconnections go on."""
    recalled = operations.halt(
        home.database, person=person, reason=reason, now=home.clock.now(), office=office
    )
    print_line(f"disconnections of {office or 'the company'} are halted; {recalled} called back")


@click.command()
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--office", metavar="O", help="The office whose halt is lifted. [default: the company]")
@person_option
@home_option
def resume(reason: str, office: str | None, person: str, home: Home) -> None:
    """Allow disconnections again."""
    operations.resume(home.database, person=person, reason=reason, now=home.clock.now(), office=office)
    print_line(f"disconnections of {office or 'the company'} may go on")
