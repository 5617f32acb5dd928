"""`bijlighar sla`: service levels of meter reading, and what the month is worth by the contract."""

from datetime import date

import click

from bijlighar.base.money import rupees
from bijlighar.base.period import date_of
from bijlighar.base.words import LANGUAGES, Language
from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.headend import queries
from bijlighar.headend.queries import ServiceReport
from bijlighar.headend.rules import service_words
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line

GROUPS = ("gateway", "model", "firmware", "age")
GROUPS_SHOWN = 10


@click.command()
@click.option(
    "--day", type=DAY, help="The day of consumption (IST). [default: the newest whose time is over]"
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
@format_option()
@home_option
def sla(day: date | None, lang: Language, output_format: str, home: Home) -> None:
    """
    Show who was read by the morning and within 24 hours, retries, silent meters, and the month's payable sum.

    Targets, exclusions, penalty steps, cap and charge come from the contract that the setting `contract` names, else
    from the shipped one. With `--format json` each figure names the query behind it.
    """
    line = Line(home)
    with line.database.read() as connection:
        report = queries.service_report(connection, contract=line.contract, now=line.now(), day=day)
    document = queries.service_document(report)
    if output_format == "json":
        print_json(document)
        return
    _print_day(document, report, lang)
    _print_silent(document, lang)
    _print_month(report, lang)
    print_line(f"{_word('queries', lang)}: bijlighar sla --day {document['day']} --format json")


def _word(name: str, lang: Language) -> str:
    return service_words(name).in_language(lang)


def _print_day(document: dict[str, object], report: ServiceReport, lang: Language) -> None:
    day, contract = report.day, report.contract
    tries = [one for one in report.facts.tries.values() if one.sessions]
    rows: list[tuple[object, ...]] = [
        (_word("meters", lang), day.meters, "", ""),
        (_word("excluded", lang), len(day.excluded), "", ""),
    ]
    for target, reached in day.reached.items():
        wanted = contract.target_pct(target)
        met = "" if reached.pct is None else _word("met" if reached.pct >= wanted else "missed", lang)
        share = "–" if reached.pct is None else f"{reached.pct:f} %"
        rows.append(
            (_word(str(target), lang), f"{reached.read} / {reached.counted} = {share}", f"{wanted:f} %", met)
        )
    rows += [
        (_word("retries", lang), sum(one.sessions - 1 for one in tries), "", ""),
        (_word("failed", lang), sum(one.failed for one in tries), "", ""),
        (_word("silent", lang), len(report.silent), "", ""),
    ]
    title = f"{_word('title', lang)} · {document['day']} · {contract.id}"
    if not report.is_over:
        title += f" ({_word('not_final', lang)})"
    print_table(
        title=title,
        columns=(_word("figure", lang), _word("value", lang), _word("target", lang), ""),
        rows=rows,
        right=(_word("value", lang), _word("target", lang)),
    )


def _print_silent(document: dict[str, object], lang: Language) -> None:
    silent = document["silent"]
    if not isinstance(silent, dict) or not silent["meters"]:
        return
    for name in GROUPS:
        groups = [group for group in silent[f"by_{name}"] if group["silent"]][:GROUPS_SHOWN]
        print_table(
            title=f"{_word('silent', lang)} · {_word(name, lang)}",
            columns=(_word(name, lang), _word("silent", lang), _word("meters", lang)),
            rows=[(group[name], group["silent"], group["meters"]) for group in groups],
            right=(_word("silent", lang), _word("meters", lang)),
        )


def _print_month(report: ServiceReport, lang: Language) -> None:
    month = report.month
    if month.last is None:
        return
    cap = f" {_word('cap', lang)}" if month.is_capped else ""
    rows: list[tuple[object, ...]] = [
        (_word("judged_to", lang), date_of(month.last).isoformat()),
        (_word("working", lang), month.working),
        (_word("not_working", lang), len(month.not_working)),
        (_word("gross", lang), rupees(month.gross_paise)),
    ]
    for each in month.deductions:
        rows.append((_word(f"deduction_{each.target}", lang), f"{each.deduct_pct:f} %"))
    rows += [
        (_word("deducted", lang), f"{month.deduct_pct:f} %{cap} = {rupees(month.deducted_paise)}"),
        (_word("payable", lang), rupees(month.payable_paise)),
    ]
    print_table(
        title=f"{_word('month', lang)} · {month.month}",
        columns=(_word("figure", lang), _word("value", lang)),
        rows=rows,
        right=(_word("value", lang),),
    )
