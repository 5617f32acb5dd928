"""`bijlighar office` and `bijlighar person`: offices, people, and the record of what they did."""

import sys
from datetime import datetime
from pathlib import Path

import click

from bijlighar.base.period import IST
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.offices import operations, queries
from bijlighar.offices.errors import UnreadableFile
from bijlighar.offices.model import Act, Role
from bijlighar.runtime.home import Home

AUDIT_SHOWN = 50
#: Longest line that is read as a password; the longest password is shorter in any letters.
PASSWORD_OCTETS_MAX = 4_096

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
#: The number of a row; beyond it no database counts.
NUMBER = click.IntRange(1, 2**63 - 1)
_ROLE = click.Choice([str(role) for role in Role])


def read_text(file: Path) -> str:
    """
    Return the text of a file given by a person.

    :raises UnreadableFile: if it is not UTF-8, or no text at all.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(f"{file} is not UTF-8; save it as UTF-8") from None
    except OSError as problem:
        raise UnreadableFile(f"{file} cannot be read: {problem.strerror}") from None
    if "\0" in text:
        raise UnreadableFile(f"{file} is no text: there is a zero byte in it; save it as text, UTF-8")
    return text


def local_text(moment: datetime) -> str:
    """Return a moment as people in India read it."""
    return f"{moment.astimezone(IST):%Y-%m-%d %H:%M}"


@click.group()
def office() -> None:
    """Offices and people."""


@office.command(name="import")
@click.argument("file", type=FILE)
@click.option("--as", "person_name", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def import_(file: Path, person_name: str | None, home: Home) -> None:
    """Take in offices from FILE (columns code,name_en,name_hi,level,parent)."""
    text = read_text(file)
    with home.database.write() as connection:
        if person_name is not None:
            operations.authorise(connection, sign_in=person_name, act=Act.MANAGE_OFFICES, office=None)
        changed = operations.import_offices(connection, text=text)
        if changed:
            operations.record_act(
                connection,
                person=person_name or operations.SYSTEM,
                act=Act.MANAGE_OFFICES,
                subject="offices",
                detail={"file": file.name, "changed": changed},
                now=home.clock.now(),
            )
    print_line(f"{changed} offices new or changed")


@office.command(name="list")
@format_option()
@home_option
def list_(output_format: str, home: Home) -> None:
    """Show the tree of offices."""
    with home.database.read() as connection:
        found = queries.offices(connection)
    if output_format == "json":
        print_json(
            [
                {
                    "code": each.code,
                    "name_en": each.name.en,
                    "name_hi": each.name.hi,
                    "level": str(each.level),
                    "parent": each.parent,
                }
                for each in found
            ]
        )
        return
    rows = [(each.code, each.name.hi, each.name.en, each.level, each.parent) for each in found]
    print_table(title="Offices · कार्यालय", columns=("code", "नाम", "name", "level", "below"), rows=rows)


@office.command()
@click.option("--subject", help="Only acts on this subject, like `account N2501`.")
@click.option(
    "--limit", type=click.IntRange(1, queries.AUDIT_LIMIT_MAX), default=AUDIT_SHOWN, show_default=True
)
@format_option()
@home_option
def audit(subject: str | None, limit: int, output_format: str, home: Home) -> None:
    """Show who did what, newest first, and whether the record is whole."""
    with home.database.read() as connection:
        entries = queries.audit(connection, limit=limit, subject=subject)
        check = queries.check_audit(connection)
    if output_format == "json":
        print_json(
            {
                "entries": [
                    {
                        "number": entry.number,
                        "at": entry.at.isoformat(),
                        "person": entry.person,
                        "act": entry.act,
                        "subject": entry.subject,
                        "detail": entry.detail,
                    }
                    for entry in entries
                ],
                "whole": check.broken_at is None,
                "broken_at": check.broken_at,
            }
        )
        return
    rows = [
        (entry.number, local_text(entry.at), entry.person, entry.act, entry.subject, entry.detail)
        for entry in entries
    ]
    columns = ("no.", "at", "person", "act", "subject", "detail")
    print_table(title="Acts · कार्यवाही का अभिलेख", columns=columns, rows=rows, right=("no.",))
    whole = (
        "the record is whole"
        if check.broken_at is None
        else f"THE RECORD IS BROKEN at entry {check.broken_at}"
    )
    print_line(f"{check.entries} entries checked: {whole}")


@click.group()
def person() -> None:
    """People and their roles."""


office.add_command(person)


@person.command()
@click.argument("name")
@click.option("--office", "office_code", required=True, metavar="O", help="The office the person works in.")
@click.option(
    "--role", "roles", required=True, multiple=True, type=_ROLE, help="May be given more than once."
)
@click.option("--full-name", default="", help="What others call the person.")
@click.option("--as", "by", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def add(
    name: str, office_code: str, roles: tuple[str, ...], full_name: str, by: str | None, home: Home
) -> None:
    """Add a person who signs in as NAME."""
    with home.database.write() as connection:
        if by is not None:
            operations.authorise(connection, sign_in=by, act=Act.MANAGE_PEOPLE, office=office_code)
        added = operations.add_person(
            connection,
            sign_in=name,
            name=full_name,
            office=office_code,
            roles=[Role(role) for role in roles],
            now=home.clock.now(),
            by=by or operations.SYSTEM,
        )
    print_line(f"{added.sign_in} works at {added.office} as {', '.join(sorted(added.roles))}")


@person.command()
@click.argument("name")
@click.option("--office", "office_code", metavar="O", help="The office the person works in from now on.")
@click.option("--role", "roles", multiple=True, type=_ROLE, help="All the roles from now on.")
@click.option("--full-name", help="What others call the person.")
@click.option("--active/--inactive", "active", default=None, help="Whether the person may act.")
@click.option("--as", "by", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def change(
    name: str,
    office_code: str | None,
    roles: tuple[str, ...],
    full_name: str | None,
    active: bool | None,
    by: str | None,
    home: Home,
) -> None:
    """Change the office, the roles or the name of a person, or let them act no longer."""
    with home.database.write() as connection:
        if by is not None:
            known = queries.person(connection, sign_in=name)
            operations.authorise(connection, sign_in=by, act=Act.MANAGE_PEOPLE, office=known.office)
        changed = operations.change_person(
            connection,
            sign_in=name,
            name=full_name,
            office=office_code,
            roles=[Role(role) for role in roles] or None,
            active=active,
            now=home.clock.now(),
            by=by or operations.SYSTEM,
        )
    state = "active" if changed.active else "inactive"
    print_line(f"{changed.sign_in} works at {changed.office} as {', '.join(sorted(changed.roles))} ({state})")


@person.command()
@click.argument("name")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read the password from one line of standard input."
)
@click.option("--as", "by", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def password(name: str, from_stdin: bool, by: str | None, home: Home) -> None:
    """Set the password with which NAME signs in to the pages; asked twice, and not shown."""
    with home.database.read() as connection:
        known = queries.person(connection, sign_in=name)
        if by is not None:
            operations.authorise(connection, sign_in=by, act=Act.MANAGE_PEOPLE, office=known.office)
    typed = (
        _password_line()
        if from_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    with home.database.write() as connection:
        operations.set_password(
            connection,
            sign_in=known.sign_in,
            password=typed,
            now=home.clock.now(),
            by=by or operations.SYSTEM,
        )
    print_line(f"{known.sign_in} signs in with the new password; whoever was signed in so is signed out")


def _password_line() -> str:
    line: bytes = sys.stdin.buffer.readline(PASSWORD_OCTETS_MAX)
    # What is not UTF-8 becomes signs that no password may hold.
    return line.decode("utf-8", errors="surrogateescape").rstrip("\r\n")


@person.command(name="list")
@format_option()
@home_option
def list_people(output_format: str, home: Home) -> None:
    """Show the people and their roles."""
    with home.database.read() as connection:
        found = queries.people(connection)
    if output_format == "json":
        print_json(
            [
                {
                    "sign_in": each.sign_in,
                    "name": each.name,
                    "office": each.office,
                    "roles": sorted(each.roles),
                    "active": each.active,
                }
                for each in found
            ]
        )
        return
    rows = [
        (each.sign_in, each.name, each.office, ", ".join(sorted(each.roles)), "yes" if each.active else "no")
        for each in found
    ]
    print_table(
        title="People · कर्मचारी", columns=("signs in as", "name", "office", "roles", "active"), rows=rows
    )
