"""`bijlighar meter change-keys` and `meter firmware`: what two persons order, through the gate."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import click

from bijlighar.base.errors import BijligharError
from bijlighar.cli.common import home_option, print_line
from bijlighar.cli.office import FILE
from bijlighar.headend import operations
from bijlighar.headend.model import ControlAction, ControlOrder, ControlReason, SignedOrder
from bijlighar.headend.operations import UpkeepIncomplete
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line

VALID_FOR = timedelta(hours=12)
#: As much of an image's SHA-256 as makes the number of an order; the order itself names the whole.
DIGEST_LETTERS = 16

_as = click.option("--as", "person", required=True, metavar="PERSON", help="Who orders it; it is recorded.")
_second = click.option(
    "--second", required=True, metavar="PERSON", help="Another person who agrees; it is recorded."
)
_serials = click.argument("serials", nargs=-1, required=True, metavar="SERIAL…")


@click.command(name="change-keys")
@_serials
@_as
@_second
@home_option
def change_keys(serials: tuple[str, ...], person: str, second: str, home: Home) -> None:
    """
    Give registered meters new keys for client 48, which the gate makes and nobody else ever sees.

    The meters' master keys must be stored (registry keys) and the gate must run. A change whose answer was lost goes
    on when it is ordered again, or when the relay is next needed; until a meter has proved which keys it holds, both
    are kept.
    """
    line = Line(home)

    async def do(serial: str) -> str:
        number = f"K-{serial}-{home.clock.now():%Y%m%dT%H%M%S%f}"
        signed = _order(line, ControlAction.CHANGE_KEYS, number, serial, (person, second), None)
        await operations.change_keys(
            home.database, signed=signed, settings=line.head_end_settings, now=home.clock.now()
        )
        return f"meter {serial} has new keys for client 48"

    _carry_out(home, serials, (person, second), ControlAction.CHANGE_KEYS, do)


@click.command(name="firmware")
@click.argument("image", type=FILE)
@_serials
@click.option("--version", required=True, help="What the meters show as their firmware once the image runs.")
@_as
@_second
@home_option
def firmware(
    image: Path, serials: tuple[str, ...], version: str, person: str, second: str, home: Home
) -> None:
    """
    Bring the firmware in the file IMAGE into registered meters, activate it and read back that it runs.

    The gate lets an image to 10 meters, then to 100 more, then to 1,000 more at a time, each time after 90 % of those
    before were read back with it; a single meter that does not verify it, or does not run it, stops the rest. What
    was broken off goes on when it is ordered again: only blocks that are missing are sent.
    """
    line = Line(home)
    octets = image.read_bytes()
    digest = hashlib.sha256(octets).hexdigest()

    async def do(serial: str) -> str:
        number = f"F-{serial}-{digest[:DIGEST_LETTERS]}"
        signed = _order(line, ControlAction.FIRMWARE, number, serial, (person, second), digest)
        await operations.send_firmware(
            home.database,
            signed=signed,
            version=version,
            image=octets,
            settings=line.head_end_settings,
            now=home.clock.now(),
        )
        return f"meter {serial} runs {version}"

    _carry_out(home, serials, (person, second), ControlAction.FIRMWARE, do)


def _order(
    line: Line,
    action: ControlAction,
    number: str,
    serial: str,
    persons: tuple[str, str],
    detail: str | None,
) -> SignedOrder:
    now = line.now()
    return line.sign(
        ControlOrder(
            order_id=number,
            serial=serial,
            action=action,
            reason=ControlReason.REQUEST,
            feeder=None,
            issued_at=now,
            expires_at=now + VALID_FOR,
            issued_by=persons[0],
            approved_by=persons[1],
            detail=detail,
        )
    )


def _carry_out(
    home: Home,
    serials: Sequence[str],
    persons: tuple[str, str],
    action: ControlAction,
    do: Callable[[str], Awaitable[str]],
) -> None:
    """Do it meter by meter, say how each went, and fail where one did."""
    with home.database.write() as connection:
        for person in persons:
            offices.authorise(connection, sign_in=person, act=Act.MAINTAIN_METER, office=None)
        offices.record_act(
            connection,
            person=persons[0],
            act=Act.MAINTAIN_METER,
            subject=action.value,
            detail={"meters": list(serials), "second": persons[1]},
            now=home.clock.now(),
        )

    async def all_of_them() -> int:
        failed = 0
        for serial in serials:
            try:
                print_line(await do(serial))
            except BijligharError as problem:
                failed += 1
                print_line(f"meter {serial}: {problem} [{problem.code}]")
        return failed

    failed = asyncio.run(all_of_them())
    if failed:
        raise UpkeepIncomplete(
            f"{failed} of {len(serials)} meters are not done; order it again, and it goes on"
        )
