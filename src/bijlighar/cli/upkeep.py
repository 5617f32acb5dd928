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
from bijlighar.headend.model import (
    CLIENT_READER,
    CLIENT_SETTING,
    ControlAction,
    ControlOrder,
    ControlReason,
    SignedOrder,
)
from bijlighar.headend.operations import UpkeepIncomplete
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line

VALID_FOR = timedelta(hours=12)
#: Which order changes what of a client: its keys, or its password.
ACTIONS = {
    (CLIENT_SETTING, False): ControlAction.CHANGE_KEYS,
    (CLIENT_SETTING, True): ControlAction.CHANGE_SECRET,
    (CLIENT_READER, False): ControlAction.READING_KEYS,
    (CLIENT_READER, True): ControlAction.READING_SECRET,
}
#: As much of the SHA-256 of an image or of new keys as makes an order's number; the order itself names the whole.
DIGEST_LETTERS = 16

_as = click.option("--as", "person", required=True, metavar="PERSON", help="Who orders it; it is recorded.")
_second = click.option(
    "--second", required=True, metavar="PERSON", help="Another person who agrees; it is recorded."
)
_serials = click.argument("serials", nargs=-1, required=True, metavar="SERIAL…")


@click.command(name="change-keys")
@_serials
@click.option(
    "--client",
    type=click.Choice([str(CLIENT_READER), str(CLIENT_SETTING)]),
    default=str(CLIENT_SETTING),
    show_default=True,
    help="Whose keys: 32 reads, 48 sets and operates.",
)
@click.option("--secrets", is_flag=True, help="Change the client's password in place of its keys.")
@_as
@_second
@home_option
def change_keys(
    serials: tuple[str, ...], client: str, secrets: bool, person: str, second: str, home: Home
) -> None:
    """
    Give registered meters new keys, or with --secrets a new password, for one of their clients.

    Those of client 48 the gate makes, and nobody else ever sees them. Those of client 32 the head-end makes, and the
    gate brings them in: to 10 meters, then to 100 more, then to 1,000 more at a time within a day, each time after
    90 % of those before were read by them; a meter that lets us in neither by the old nor by the new ones stops the
    rest.

    The meters' master keys must be stored (registry keys) and the gate must run. A change whose answer was lost goes
    on when it is ordered again, or when the meter is next spoken with; until a meter has proved which keys it holds,
    both are kept.
    """
    line = Line(home)
    action = ACTIONS[int(client), secrets]
    what = f"{'a new password' if secrets else 'new keys'} for client {client}"

    async def do(serial: str) -> str:
        if int(client) == CLIENT_READER:
            await _change_reading(line, action, serial, (person, second))
        else:
            number = f"{'P' if secrets else 'K'}-{serial}-{home.clock.now():%Y%m%dT%H%M%S%f}"
            signed = _order(line, action, number, serial, (person, second), None)
            change = operations.change_secret if secrets else operations.change_keys
            await change(home.database, signed=signed, settings=line.head_end_settings, now=home.clock.now())
        return f"meter {serial} has {what}"

    _carry_out(home, serials, (person, second), action, do)


async def _change_reading(line: Line, action: ControlAction, serial: str, persons: tuple[str, str]) -> None:
    """Begin a change of client 32 or take up one that was begun, order it, and bring it to its end."""
    home, head_end = line.home, line.head_end
    begun = operations.begin_reading_change(head_end, serial=serial, action=action, now=home.clock.now())
    # The number is that of the change: ordered again it is the same order, which goes on.
    number = f"R-{serial}-{begun.digest[:DIGEST_LETTERS]}"
    signed = _order(line, action, number, serial, persons, begun.digest)
    await operations.change_reading(home.database, signed=signed, head_end=head_end, now=home.clock.now())


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
