"""`bijlighar rollout orders|order|install`: work orders and installations."""

from datetime import datetime

import click

from bijlighar.cli.common import MOMENT, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import NUMBER, local_text
from bijlighar.rollout import operations, queries
from bijlighar.rollout.model import ORDER_STATE_NAMES, OrderState, WorkOrder
from bijlighar.runtime.home import Home

ORDERS_SHOWN = 100
REGISTER_WH_MAX = 10**15
REGISTER = click.IntRange(0, REGISTER_WH_MAX)


def person_option(command: click.decorators.FC) -> click.decorators.FC:
    """Give `command` the option --as and the argument `person: str`."""
    return click.option(
        "--as", "person", required=True, metavar="PERSON", help="Who does this; it is asked for and recorded."
    )(command)


@click.command()
@click.option(
    "--state", type=click.Choice([state.value for state in OrderState]), help="Only orders in this state."
)
@click.option("--office", metavar="O", help="Only orders of this office and those below it.")
@click.option(
    "--limit", type=click.IntRange(1, queries.ORDERS_PER_PAGE), default=ORDERS_SHOWN, show_default=True
)
@format_option()
@home_option
def orders(state: str | None, office: str | None, limit: int, output_format: str, home: Home) -> None:
    """Show the work orders."""
    with home.database.read() as connection:
        found = queries.orders(
            connection, state=None if state is None else OrderState(state), office=office, limit=limit
        )
    if output_format == "json":
        print_json([_order_document(order) for order in found])
        return
    columns = (
        "no.",
        "place",
        "account",
        "office",
        "state",
        "old meter",
        "new meter",
        "fitter",
        "installed",
        "note",
    )
    rows = [
        (
            order.number,
            order.usage_point,
            order.account,
            order.office,
            ORDER_STATE_NAMES[order.state].hi,
            order.old_meter,
            order.new_meter,
            order.fitter,
            "" if order.installed_at is None else local_text(order.installed_at),
            order.note,
        )
        for order in found
    ]
    print_table(title="Work orders · कार्य आदेश", columns=columns, rows=rows, right=("no.",))


def _order_document(order: WorkOrder) -> dict[str, object]:
    def text(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "number": order.number,
        "usage_point": order.usage_point,
        "account": order.account,
        "office": order.office,
        "state": order.state.value,
        "planned_at": text(order.planned_at),
        "old_meter": order.old_meter,
        "new_meter": order.new_meter,
        "fitter": order.fitter,
        "installed_at": text(order.installed_at),
        "commissioned_at": text(order.commissioned_at),
        "old_register_wh": order.old_register_wh,
        "new_register_wh": order.new_register_wh,
        "note": order.note,
    }


@click.group()
def order() -> None:
    """Work orders: make, issue, fail, plan again, cancel."""


@order.command()
@click.option("--office", metavar="O", help="For the old meters of this office and those below it,")
@click.option(
    "--limit", type=click.IntRange(1, operations.ORDERS_PER_CALL), default=ORDERS_SHOWN, show_default=True
)
@click.option("--place", metavar="USAGE_POINT", help="or for one place.")
@person_option
@home_option
def make(office: str | None, limit: int, place: str | None, person: str, home: Home) -> None:
    """Make work orders."""
    now = home.clock.now()
    if (office is None) == (place is None):
        raise click.UsageError("give --office or --place")
    with home.database.write() as connection:
        if place is not None:
            made = operations.order_installation(connection, usage_point=place, person=person, now=now)
            print_line(f"work order {made.number} for {place}")
            return
        count = operations.draw_up_orders(
            connection, office=office or "", limit=limit, person=person, now=now
        )
    print_line(f"{count} work orders made")


@order.command()
@click.argument("number", type=NUMBER)
@click.option("--to", "fitter", required=True, metavar="FITTER", help="Who takes the order.")
@person_option
@home_option
def issue(number: int, fitter: str, person: str, home: Home) -> None:
    """Give work order NUMBER to a fitter."""
    with home.database.write() as connection:
        operations.issue_order(connection, number=number, fitter=fitter, person=person, now=home.clock.now())
    print_line(f"work order {number} is with {fitter}")


@order.command()
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why the meter could not be hung.")
@person_option
@home_option
def fail(number: int, reason: str, person: str, home: Home) -> None:
    """Record that the meter of work order NUMBER could not be hung."""
    with home.database.write() as connection:
        operations.fail_order(connection, number=number, reason=reason, person=person, now=home.clock.now())
    print_line(f"work order {number} has failed: {reason}")


@order.command()
@click.argument("number", type=NUMBER)
@person_option
@home_option
def again(number: int, person: str, home: Home) -> None:
    """Plan the failed work order NUMBER again."""
    with home.database.write() as connection:
        operations.plan_order_again(connection, number=number, person=person, now=home.clock.now())
    print_line(f"work order {number} is planned again")


@order.command()
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why it is cancelled.")
@person_option
@home_option
def cancel(number: int, reason: str, person: str, home: Home) -> None:
    """Cancel work order NUMBER."""
    with home.database.write() as connection:
        operations.cancel_order(connection, number=number, reason=reason, person=person, now=home.clock.now())
    print_line(f"work order {number} is cancelled: {reason}")


@click.command()
@click.argument("number", type=NUMBER)
@click.option("--meter", required=True, metavar="SERIAL", help="The new meter.")
@click.option("--at", "at", type=MOMENT, help="When it was hung. [default: now]")
@click.option(
    "--old-register", "old_wh", type=REGISTER, metavar="WH", help="The old meter's last register [Wh]."
)
@click.option(
    "--new-register", "new_wh", type=REGISTER, required=True, metavar="WH", help="The new one's first [Wh]."
)
@click.option("--url", help="Where the new meter answers, if the supplier's list does not say so.")
@click.option(
    "--confirm-lower", is_flag=True, help="The last register is right although below the reading before."
)
@person_option
@home_option
def install(
    *,
    number: int,
    meter: str,
    at: datetime | None,
    old_wh: int | None,
    new_wh: int,
    url: str | None,
    confirm_lower: bool,
    person: str,
    home: Home,
) -> None:
    """Record that the meter of work order NUMBER was hung, with both registers."""
    now = home.clock.now()
    with home.database.write() as connection:
        done = operations.install_meter(
            connection,
            number=number,
            meter=meter,
            at=at or now,
            old_register_wh=old_wh,
            new_register_wh=new_wh,
            person=person,
            now=now,
            url=url,
            confirmed_lower=confirm_lower,
        )
    print_line(f"meter {meter} hangs at {done.usage_point}; it is commissioned once it has been read")
