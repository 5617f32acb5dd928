"""Hold what the system believes against what the town knows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

import numpy as np

from bijlighar.base.period import IST, date_of, day_number, epoch_seconds, local_date, local_midnight
from bijlighar.billing import queries as bills
from bijlighar.billing.model import Bill
from bijlighar.headend import queries as headend
from bijlighar.ledger import queries as ledger
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT
from bijlighar.runtime.line import Line
from bijlighar.simulator.model import RelayAct, RelayTruth, Town, Truth

INTERVAL_S = 1800
CUTTING_FROM = time(10, 0)
CUTTING_TO = time(16, 0)
CLEAR_DAYS = 15
OVERDUE_DAYS = 60
BILLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many meter-days and intervals were compared with the meters' own, and how many of these were equal."""

    meter_days: int
    intervals: int
    equal: int


def compare_readings(line: Line, *, truth: Truth) -> Compared:
    """Compare every measured interval of import energy with what the meter's own memory holds for it."""
    row_of = {serial: row for row, serial in enumerate(truth.serials)}
    first_s = int(truth.starts[0])
    first, last = local_date_of(first_s), local_date_of(int(truth.starts[-1]))
    meter_days = compared = equal = 0
    with line.database.read() as connection:
        for block in readings.raw_days(
            connection, meters=None, first=day_number(first), last=day_number(last)
        ):
            stored = block.values["wh_import"]
            for index, meter in enumerate(block.meters):
                start_s = epoch_seconds(local_midnight(date_of(int(block.days[index]))))
                at = (start_s - first_s) // INTERVAL_S
                real = truth.registered_wh[row_of[meter], at : at + stored.shape[1]]
                given = stored[index, : len(real)]
                measured = given != ABSENT
                compared += int(measured.sum())
                meter_days += bool(measured.any())
                equal += int((given[measured] == real[measured]).sum())
    return Compared(meter_days=meter_days, intervals=compared, equal=equal)


def local_date_of(seconds: int) -> date:
    """Return the IST day of whole seconds since the epoch."""
    return datetime.fromtimestamp(seconds, tz=IST).date()


def relays_equal(line: Line, *, relays: RelayTruth) -> bool:
    """Return whether what the system believes of every relay is what the relay does; never touched means closed."""
    with line.database.read() as connection:
        belief = headend.relay_belief(connection)
    return all(
        (belief.get(serial) is not False) == closed if belief.get(serial) is not None else closed
        for serial, closed in relays.closed.items()
    )


def bills_sum(line: Line) -> bool:
    """Return whether each bill is the sum of its lines, and all bills are what the ledger's dues were opened with."""
    with line.database.read() as connection:
        issued = bills.bills(connection)
        for bill in issued:
            if bill.total_paise != sum(entry.amount_paise for entry in bill.lines):
                return False
            due = ledger.due(connection, document=bill.number)
            if due is None or due.amount_paise != max(bill.total_paise, 0):
                return False
    return True


def wrongful_disconnections(
    line: Line,
    *,
    town: Town,
    relays: RelayTruth,
    paid: Sequence[tuple[str, datetime, int]],
    noticed: Mapping[str, Sequence[date]],
) -> tuple[RelayAct, ...]:
    """
    Return the openings of relays that the law or the consumer's own payments forbade.

    Judged by what the town knows: its consumers' certificates, what they paid and when, when the postman had their
    notices signed for; and by the bills they were sent. Nothing is asked of the room that decided.
    """
    with line.database.read() as connection:
        issued = bills.bills(connection)
    of_account: dict[str, list[Bill]] = defaultdict(list)
    for bill in issued:
        of_account[bill.account].append(bill)
    payments: dict[str, list[datetime]] = defaultdict(list)
    for account, at, _ in paid:
        payments[account].append(at)
    accounts = {device.serial: device.consumer for device in town.devices}
    wrongful = []
    for act in relays.acts:
        index = accounts.get(act.serial)
        if act.action != "disconnect" or not act.moved or index is None:
            continue
        consumer = town.consumers[index]
        day = local_date(act.at)
        last_payment = max((at for at in payments[consumer.account] if at <= act.at), default=None)
        unpaid = [
            bill
            for bill in of_account[consumer.account]
            if bill.total_paise > 0
            and bill.issued_on <= day
            and (last_payment is None or bill.issued_on > local_date(last_payment))
        ]
        protected = consumer.protection is not None and consumer.protection.until >= day
        served = [on for on in noticed.get(consumer.account, ()) if (day - on).days > CLEAR_DAYS]
        clock = act.at.astimezone(IST).time()
        overdue = [bill for bill in unpaid if (day - bill.due_on).days > OVERDUE_DAYS]
        lawful = (
            not protected
            and bool(served)
            and bool(overdue)
            and len(unpaid) >= BILLS
            and CUTTING_FROM <= clock < CUTTING_TO
            and day.weekday() != 6
        )
        if not lawful:
            wrongful.append(act)
    return tuple(wrongful)


def true_losses(*, truth: Truth, town: Town) -> Mapping[str, tuple[int, int]]:
    """Return for each transformer its true input and what its consumers' meters registered, both in Wh."""
    consumer_rows: dict[str, list[int]] = defaultdict(list)
    row_of = {serial: row for row, serial in enumerate(truth.serials)}
    for device in town.devices:
        if device.consumer is not None and device.serial in row_of:
            consumer_rows[device.transformer].append(row_of[device.serial])
    registered = np.where(truth.present, truth.registered_wh, 0).sum(axis=1)
    return {
        code: (int(truth.input_wh[index].sum()), int(registered[consumer_rows[code]].sum()))
        for index, code in enumerate(truth.transformers)
    }
