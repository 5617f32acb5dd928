"""What a visitor of a demo can make happen in its town: a tamper, a payment, a feeder that fails and comes back."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time

from sqlalchemy import Connection

from bijlighar.alarms import queries as alarms
from bijlighar.arrears import queries as arrears
from bijlighar.base.errors import BijligharError
from bijlighar.base.money import PAISE_PER_RUPEE
from bijlighar.base.period import ONE_DAY, local_date, local_time
from bijlighar.demo.controls import Controls, TownNotRunning, how_to_start, read_controls, write_wish
from bijlighar.demo.patience import SILENT
from bijlighar.headend import queries as headend
from bijlighar.ledger import queries as ledger
from bijlighar.offices.model import View
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation
from bijlighar.runtime.line import Line
from bijlighar.simulator.operations import ProviderControl, TownControl

MAGNET = 201
METHOD = "upi"
#: When a visitor finds the office open and supply may be cut.
OFFICE_HOUR = time(11)
#: A visitor waits no longer for the town [s].
TIMEOUT_S = 10.0


class NothingLeft(BijligharError):
    """There is nobody in the town to whom this could happen now."""

    code = "demo.nothing-left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What was done, as `runtime.flash` says it, and the page on which its effect is seen."""

    said: str
    of: str
    count: int
    view: View


def tamper(line: Line, *, serial: str | None = None) -> Deed:
    """
    Hold a magnet to a meter: the one named, or a living one that nobody has tampered with yet.

    :raises NothingLeft: if there is none left.
    :raises TownNotRunning: if the town does not answer.
    :raises ControlRefused: if no smart meter of this number hangs.
    """
    with _town(line) as (controls, town):
        chosen = serial
        if chosen is None:
            state = town.state()
            with line.database.read() as connection:
                living = _living(line, connection, dark=state.feeders_failed, silent=state.silent)
            chosen = _drawn(controls, [meter.meter for meter in living])
        if chosen is None:
            raise NothingLeft("every meter that answers has been tampered with; begin a new demo")
        town.tamper(serial=chosen, code=MAGNET)
    return Deed(said="tampered", of=chosen, count=0, view=View.ALARMS)


def pay(line: Line, *, account: str | None = None) -> Deed:
    """
    Let a consumer pay everything open at the gateway: the one named, else one whose supply is off, else who owes.

    :raises NothingLeft: if nobody owes anything, or the one named does not.
    :raises UnknownAccount: if the account is unknown.
    :raises TownNotRunning: if the providers do not answer.
    """
    controls = read_controls(line.home)
    with line.database.read() as connection:
        chosen = _debtor(controls, connection) if account is None else _registered(connection, account)
        owed_paise = 0 if chosen is None else ledger.balance_paise(connection, account=chosen)
        paid = 0 if chosen is None else len(ledger.payments(connection, account=chosen))
    if chosen is None or owed_paise <= 0:
        raise NothingLeft(f"{chosen or 'nobody'} owes nothing now; pay another account")
    providers = ProviderControl(controls.providers, timeout_s=TIMEOUT_S)
    try:
        with _answering(line, controls):
            providers.pay(
                account=chosen,
                amount_paise=owed_paise,
                method=METHOD,
                at=line.now(),
                # The same debt is paid once, however often the button is pressed before the money is here.
                reference=f"visitor/{chosen}/{paid}/{owed_paise}",
            )
    finally:
        providers.close()
    return Deed(said="paid", of=chosen, count=owed_paise // PAISE_PER_RUPEE, view=View.COMMANDS)


def fail_feeder(line: Line, *, feeder: str | None = None) -> Deed:
    """
    Let a feeder fail: the one named, or the first that has supply.

    :raises NothingLeft: if all have failed.
    :raises TownNotRunning: if the town does not answer.
    :raises ControlRefused: if there is no such feeder.
    """
    with _town(line) as (_, town):
        chosen = feeder
        if chosen is None:
            failed = town.state().feeders_failed
            with line.database.read() as connection:
                chosen = next((code for code in registry.feeders(connection) if code not in failed), None)
        if chosen is None:
            raise NothingLeft("every feeder has failed; restore one first")
        dark = town.fail_feeder(chosen)
    return Deed(said="feeder-failed", of=chosen, count=dark, view=View.NETWORK)


def restore_feeder(line: Line, *, feeder: str | None = None) -> Deed:
    """
    Restore a feeder: the one named, or the first that has failed.

    :raises NothingLeft: if none has failed.
    :raises TownNotRunning: if the town does not answer.
    :raises ControlRefused: if there is no such feeder.
    """
    with _town(line) as (_, town):
        chosen = feeder or next(iter(town.state().feeders_failed), None)
        if chosen is None:
            raise NothingLeft("every feeder has supply; let one fail first")
        lit = town.restore_feeder(chosen)
    return Deed(said="feeder-restored", of=chosen, count=lit, view=View.NETWORK)


def forward(line: Line) -> Deed:
    """
    Ask the driver to let the time go on: to eleven o'clock of today if that is to come, else of tomorrow.

    The driver walks there with the meters and the providers, as it did through the months.
    """
    now = line.now()
    eleven = local_time(local_date(now), OFFICE_HOUR)
    until = eleven if now < eleven else local_time(local_date(now) + ONE_DAY, OFFICE_HOUR)
    write_wish(line.home, until=until)
    return Deed(said="forward", of=f"{local_date(until):%d.%m.%Y}", count=OFFICE_HOUR.hour, view=View.ALARMS)


@contextlib.contextmanager
def _town(line: Line) -> Iterator[tuple[Controls, TownControl]]:
    controls = read_controls(line.home)
    with _answering(line, controls):
        yield controls, TownControl(controls.town, timeout_s=TIMEOUT_S)


@contextlib.contextmanager
def _answering(line: Line, controls: Controls) -> Iterator[None]:
    try:
        yield
    except BijligharError as problem:
        if problem.code not in SILENT:
            raise
        start = how_to_start(line.home, controls)
        raise TownNotRunning(f"the town of this demo does not run; start it with {start}") from None


def _living(
    line: Line, connection: Connection, *, dark: Sequence[str], silent: Sequence[str]
) -> list[Installation]:
    """Return the consumers' meters with a relay that answer, have supply and were never tampered with."""
    now = line.now()
    speaks = {device.serial for device in registry.end_devices(connection, hung_at=now) if device.url}
    speaks.difference_update(silent, (meter.meter for meter in headend.silent_meters(connection)))
    speaks.difference_update(alarm.source for alarm in alarms.alarms(connection))
    off = arrears.all_open_reasons(connection)
    return [
        row
        for row in registry.installations(connection)
        if row.hangs_at(now)
        and row.meter in speaks
        and row.meter_type.has_relay
        and row.feeder not in dark
        and not off.get(row.account or "")
    ]


def _debtor(controls: Controls, connection: Connection) -> str | None:
    owing = {due.account for due in ledger.open_dues(connection)}
    off = [account for account, reasons in arrears.all_open_reasons(connection).items() if reasons]
    for accounts in ([account for account in off if account in owing], owing):
        chosen = _drawn(controls, sorted(accounts))
        if chosen is not None:
            return chosen
    return None


def _registered(connection: Connection, account: str) -> str:
    return registry.account(connection, number=account).number


def _drawn(controls: Controls, names: Sequence[str]) -> str | None:
    """Return one of the names, the same for the same town."""
    return min(
        names, key=lambda name: hashlib.sha256(f"{controls.seed}/{name}".encode()).digest(), default=None
    )
