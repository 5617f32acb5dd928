"""`bijlighar registry`: consumers, meters and the network, from files."""

from datetime import date
from pathlib import Path

import click

from bijlighar.cli.common import DAY, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import FILE, local_text, read_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import operations, queries
from bijlighar.registry.model import SINCE_EVER, Installation
from bijlighar.runtime.home import Home


@click.group()
def registry() -> None:
    """Consumers, meters, network and keys, from files."""


@registry.command(name="import")
@click.argument("file", type=FILE)
@click.option("--as", "person", metavar="PERSON", help="Who does this; it is recorded.")
@format_option()
@home_option
def import_(file: Path, person: str | None, output_format: str, home: Home) -> None:
    """
    Take in consumers and meters from FILE, whole or not at all.

    Columns: account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office
    and optionally phone,language,email,multiplier,minutes,gateway,from,protected. Empty means unknown; an empty url
    is an old meter read by hand.
    """
    text = read_text(file)
    now = home.clock.now()
    with home.database.write() as connection:
        if person is not None:
            offices.authorise(connection, sign_in=person, act=Act.IMPORT_REGISTRY, office=None)
        report = operations.import_registry(connection, text=text, now=now)
        offices.record_act(
            connection,
            person=person or offices.SYSTEM,
            act=Act.IMPORT_REGISTRY,
            subject="registry",
            detail={"file": file.name, "rows": report.rows, "meters_new": report.meters_new},
            now=now,
        )
    if output_format == "json":
        names = report.__dataclass_fields__
        print_json({name: getattr(report, name) for name in names})
        return
    print_line(
        f"{report.rows} rows: {report.accounts_new} accounts new, {report.accounts_changed} changed; "
        f"{report.meters_new} meters new, {report.meters_changed} changed; "
        f"{report.installations_new} hung, {report.installations_ended} taken down; "
        f"{report.protections_new} protections new"
    )
    for warning in report.warnings:
        click.echo(f"note: {warning}", err=True)


@registry.command()
@click.argument("file", type=FILE)
@click.option("--as", "person", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def network(file: Path, person: str | None, home: Home) -> None:
    """Take in transformers from FILE (columns transformer,feeder,kva,no_load_loss_w,load_loss_w,side)."""
    text = read_text(file)
    with home.database.write() as connection:
        if person is not None:
            offices.authorise(connection, sign_in=person, act=Act.IMPORT_REGISTRY, office=None)
        changed = operations.import_network(connection, text=text)
        offices.record_act(
            connection,
            person=person or offices.SYSTEM,
            act=Act.IMPORT_REGISTRY,
            subject="network",
            detail={"file": file.name, "changed": changed},
            now=home.clock.now(),
        )
    print_line(f"{changed} transformers new or changed")


@registry.command()
@click.option("--account", metavar="N", help="Of this account.")
@click.option("--meter", metavar="SERIAL", help="Of this meter.")
@click.option("--transformer", metavar="CODE", help="Under this transformer.")
@format_option()
@home_option
def show(
    account: str | None, meter: str | None, transformer: str | None, output_format: str, home: Home
) -> None:
    """Show which meter hung where, and when."""
    with home.database.read() as connection:
        if account is not None:
            queries.account(connection, number=account)
        if meter is not None:
            queries.end_device(connection, serial=meter)
        found = queries.installations(connection, account=account, meter=meter, transformer=transformer)
    if output_format == "json":
        print_json([_document(place) for place in found])
        return
    columns = (
        "usage point",
        "account",
        "meter",
        "type",
        "transformer",
        "feeder",
        "phase",
        "office",
        "from",
        "to",
    )
    rows = [
        (
            place.usage_point,
            place.account,
            place.meter,
            place.meter_type,
            place.transformer,
            place.feeder,
            place.phase,
            place.office,
            "ever" if place.from_at == SINCE_EVER else local_text(place.from_at),
            "" if place.to_at is None else local_text(place.to_at),
        )
        for place in found
    ]
    print_table(title="Meters and places · मीटर एवं स्थान", columns=columns, rows=rows)


def _document(place: Installation) -> dict[str, object]:
    return {
        "usage_point": place.usage_point,
        "account": place.account,
        "meter": place.meter,
        "meter_type": str(place.meter_type),
        "multiplier": place.multiplier,
        "minutes": place.minutes,
        "transformer": place.transformer,
        "feeder": place.feeder,
        "phase": place.phase,
        "office": place.office,
        "from": None if place.from_at == SINCE_EVER else place.from_at.isoformat(),
        "to": None if place.to_at is None else place.to_at.isoformat(),
    }


@registry.command()
@click.argument("account")
@click.option("--kind", required=True, help="Why, like life_support or court_stay.")
@click.option("--certificate", default="", help="The paper it rests on.")
@click.option("--until", type=DAY, help="The last day, if known.")
@click.option("--withdraw", is_flag=True, help="End the protection from today on.")
@click.option("--as", "person", required=True, metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def protect(
    account: str,
    kind: str,
    certificate: str,
    until: date | None,
    withdraw: bool,
    person: str,
    home: Home,
) -> None:
    """Protect ACCOUNT from disconnection, or withdraw a protection."""
    now = home.clock.now()
    with home.database.write() as connection:
        if withdraw:
            ended = operations.withdraw_protection(connection, account=account, kind=kind, by=person, now=now)
        else:
            operations.protect_account(
                connection,
                account=account,
                kind=kind,
                certificate=certificate,
                until=until,
                by=person,
                now=now,
            )
    print_line(f"{ended} protections ended" if withdraw else f"account {account} is protected: {kind}")
