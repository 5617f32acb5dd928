"""`bijlighar bill`: run a month, list bills, show one, make its PDF, correct it, look at what is parked."""

import json
import shutil
from pathlib import Path

import click

from bijlighar.base.energy import units
from bijlighar.base.errors import BijligharError, InvalidValue
from bijlighar.base.money import rupees
from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.billing import operations, queries
from bijlighar.billing.model import REASON_WORDS, Bill, ItemState, Payee, RunReport
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.registry import queries as registry
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.validation import operations as validation

#: Calls of a door in one run; each does a bounded part of the work.
MAX_CALLS = 100_000
#: Bills shown at once.
LISTED_MAX = 10_000


class UnfinishedRun(BijligharError):
    """The run of a month did not come to its end."""

    code = "cli.unfinished-run"


def _month(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Month | None:
    if value is None:
        return None
    try:
        return Month.parse(value)
    except InvalidValue as problem:
        raise click.BadParameter(str(problem)) from None


MONTH = click.option("--month", metavar="YYYY-MM", required=True, callback=_month, help="The month.")
NUMBER = click.argument("number")
PERSON = click.option(
    "--as", "person", metavar="PERSON", required=True, help="Who does this; it is recorded."
)
REASON = click.option("--reason", required=True, help="Why; it is recorded.")


@click.group(name="bill")
def bill() -> None:
    """Run a month's bills, list them, show one, make its PDF."""


@bill.command(name="run")
@MONTH
@format_option()
@home_option
def run(month: Month, output_format: str, home: Home) -> None:
    """Estimate what is missing of a month that is over, bill every account, and print what became of each."""
    line = Line(home)
    now = line.now()
    _validate(line, month=month)
    for _ in range(MAX_CALLS):
        operations.issue_due(
            line.database,
            now=now,
            books=line.books,
            due_days=line.policy.due_days,
            month=month,
            bill_base_url=f"{line.public_url}/b/",
        )
        with line.database.read() as connection:
            left = queries.to_do(connection, month=month, now=now, again=True)
        if not left:
            break
    else:
        raise UnfinishedRun(f"the run of {month} is not finished; run it again")
    with line.database.read() as connection:
        report = queries.report(connection, month=month)
    _print_report(report, output_format=output_format)


def _validate(line: Line, *, month: Month) -> None:
    now = line.now()
    for _ in range(MAX_CALLS):
        if validation.validate_new(line.database, now=now) == 0:
            break
    validation.estimate_missing(line.database, meters=None, first=month.first, last=month.last, now=now)


def _print_report(report: RunReport, *, output_format: str) -> None:
    if output_format == "json":
        print_json(
            {
                "month": str(report.month),
                "eligible": report.eligible,
                "billed": report.billed,
                "parked": report.parked,
                "excluded": report.excluded,
                "complete": report.complete,
                "total_paise": report.total_paise,
                "energy_wh": report.energy_wh,
                "reasons": {reason.value: count for reason, count in report.reasons.items()},
            }
        )
        return
    print_line(
        f"{report.month}: {report.eligible} accounts = {report.billed} billed + {report.parked} parked + "
        f"{report.excluded} excluded; {rupees(report.total_paise)}"
    )
    for reason, count in report.reasons.items():
        print_line(f"  {count} x {REASON_WORDS[reason].en}")


@bill.command(name="parked")
@MONTH
@format_option()
@home_option
def parked(month: Month, output_format: str, home: Home) -> None:
    """List the accounts of a month that are parked, and why."""
    with home.database.read() as connection:
        items = queries.items(connection, month=month, state=ItemState.PARKED)
    rows = [
        (item.account, "" if item.reason is None else REASON_WORDS[item.reason].en, item.detail)
        for item in items
    ]
    if output_format == "json":
        print_json(
            [{"account": account, "reason": reason, "detail": detail} for account, reason, detail in rows]
        )
        return
    print_table(title=f"parked in {month}", columns=("account", "why", "detail"), rows=rows)


@bill.command(name="list")
@click.option("--month", metavar="YYYY-MM", callback=_month, help="Only bills of this month.")
@click.option("--account", metavar="A", help="Only bills of this account.")
@format_option()
@home_option
def list_(month: Month | None, account: str | None, output_format: str, home: Home) -> None:
    """List bills and corrections, by account, month and order of issue."""
    with home.database.read() as connection:
        if account is not None:
            registry.account(connection, number=account)
        found = queries.bills(connection, account=account, month=month, limit=LISTED_MAX + 1)
    if len(found) > LISTED_MAX:
        click.echo(f"note: the first {LISTED_MAX}; name --month or --account to see the others", err=True)
    shown = found[:LISTED_MAX]
    if output_format == "json":
        print_json([_row(each) for each in shown])
        return
    columns = ("number", "kind", "account", "month", "issued", "due", "units", "this bill", "payable")
    print_table(
        title="Bills · बिल",
        columns=columns,
        rows=[
            (
                each.number,
                each.kind.value,
                each.account,
                each.month,
                each.issued_on,
                each.due_on,
                units(each.energy_wh),
                rupees(each.total_paise),
                rupees(each.payable_paise),
            )
            for each in shown
        ],
        right=columns[6:],
    )


def _row(found: Bill) -> dict[str, object]:
    return {
        "number": found.number,
        "kind": found.kind.value,
        "of": found.of,
        "account": found.account,
        "month": str(found.month),
        "issued_on": found.issued_on.isoformat(),
        "due_on": found.due_on.isoformat(),
        "energy_wh": found.energy_wh,
        "total_paise": found.total_paise,
        "payable_paise": found.payable_paise,
    }


@bill.command(name="show")
@NUMBER
@format_option()
@home_option
def show(number: str, output_format: str, home: Home) -> None:
    """Show the bill NUMBER with the explanation of every line."""
    with home.database.read() as connection:
        found = queries.bill(connection, number=number)
        corrections = queries.corrections(connection, number=found.of or found.number)
    if output_format == "json":
        print_json(_document(found, corrections=corrections))
        return
    rows = [(line.name.en, rupees(line.amount_paise), line.why.en) for line in found.lines]
    rows.append(("This bill", rupees(found.total_paise), f"{len(found.lines)} lines"))
    rows.append(("Owed before", rupees(found.previous_paise), "at issue"))
    rows.append(("Payable", rupees(found.payable_paise), f"by {found.due_on}"))
    title = (
        f"{found.kind.value} {found.number}: account {found.account}, {found.month}, issued {found.issued_on}"
    )
    print_table(title=title, columns=("line", "amount", "why"), rows=rows, right=("amount",))
    for correction in corrections:
        print_line(f"corrected by {correction.number}: {rupees(correction.total_paise)}")


def _document(found: Bill, *, corrections: tuple[Bill, ...]) -> dict[str, object]:
    stored: dict[str, object] = json.loads(found.content)
    return {
        **stored,
        "payable_paise": found.payable_paise,
        "energy_wh": found.energy_wh,
        "estimated_intervals": found.estimated,
        "corrections": [
            {"number": each.number, "total_paise": each.total_paise, "issued_on": each.issued_on.isoformat()}
            for each in corrections
        ],
    }


@bill.command(name="pdf")
@NUMBER
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write."
)
@click.option(
    "--lang", "language", type=click.Choice(["hi", "en"]), default=None, help="[default: the consumer's]"
)
@home_option
def pdf(number: str, out: Path, language: str | None, home: Home) -> None:
    """Write the bill NUMBER as a PDF of one page."""
    with home.database.read() as connection:
        found = queries.bill(connection, number=number)
    wanted = language or json.loads(found.content)["facts"]["language"]
    file = operations.bill_pdf(
        home.database,
        number=found.number,
        language="en" if wanted == "en" else "hi",
        documents=home.documents,
        payee=payee_of(home),
    )
    try:
        shutil.copyfile(file, out)
    except OSError as problem:
        raise InvalidValue(f"{out} cannot be written: {problem.strerror}") from None
    print_line(f"{found.number} is in {out}")


@bill.command(name="correct")
@NUMBER
@PERSON
@REASON
@home_option
def correct(number: str, person: str, reason: str, home: Home) -> None:
    """Make the bill NUMBER again under today's readings, facts and books, and bill the differences."""
    line = Line(home)
    made = operations.correct(
        line.database,
        number=number,
        books=line.books,
        person=person,
        reason=reason,
        due_days=line.policy.due_days,
        now=line.now(),
        bill_base_url=f"{line.public_url}/b/",
    )
    if made is None:
        print_line(f"nothing differs from {number}")
        return
    print_line(f"{made.number} corrects {made.of} by {rupees(made.total_paise)}")


@bill.command(name="release")
@click.argument("account")
@MONTH
@PERSON
@REASON
@home_option
def release(account: str, month: Month, person: str, reason: str, home: Home) -> None:
    """Release ACCOUNT, parked because its use is out of proportion: the next run bills it."""
    now = home.clock.now()
    operations.release(home.database, account=account, month=month, person=person, reason=reason, now=now)
    print_line(f"{account} is released for {month}; the next run bills it")


def payee_of(home: Home) -> Payee:
    """Return who is paid, from the settings of a home."""
    settings = home.settings
    name = Words(hi=settings.text("company.name_hi"), en=settings.text("company.name_en"))
    return Payee(name=name, upi_id=settings.text("company.upi_id"))
