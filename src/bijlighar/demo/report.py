"""The report of a demo: what the system says it did, and the invariants held against the town's truth."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import partial

from bijlighar.alarms import queries as alarms
from bijlighar.arrears import queries as arrears
from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level
from bijlighar.base.period import Period, day_number
from bijlighar.billing import queries as bills
from bijlighar.demo import truth as against
from bijlighar.demo.patience import insist
from bijlighar.ledger import queries as ledger
from bijlighar.notices import queries as notices
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Quality
from bijlighar.rollout import queries as rollout
from bijlighar.runtime.line import Line
from bijlighar.simulator.model import Town
from bijlighar.simulator.operations import TownControl
from bijlighar.validation import queries as validation
from bijlighar.validation.model import Rule

PERCENT_DIGITS = 2
WRONGFUL = "wrongful_disconnections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a demo did, and whether it is true."""

    meters: int
    months: int
    seconds: float
    steps: Mapping[str, int]
    losses: tuple[Mapping[str, object], ...]
    rollout: Mapping[str, object]
    readings: Mapping[str, int]
    in_arrears_beyond_policy: int
    invariants: Mapping[str, bool | int]

    @property
    def is_true(self) -> bool:
        """Return whether every invariant holds."""
        others = (value for name, value in self.invariants.items() if name != WRONGFUL)
        return self.invariants[WRONGFUL] == 0 and all(value is True for value in others)

    def as_document(self) -> dict[str, object]:
        """Return the report for JSON."""
        return asdict(self)


def make_report(
    line: Line,
    *,
    town: Town,
    meters: TownControl,
    paid: Sequence[tuple[str, datetime, int]],
    noticed: Mapping[str, Sequence[date]],
    seconds: float,
) -> Report:
    """Return the report of the months that were run."""
    truth = insist(partial(meters.truth, town.first_day, town.last_day))
    relays = insist(meters.relays)
    compared = against.compare_readings(line, truth=truth)
    wrongful = against.wrongful_disconnections(line, town=town, relays=relays, paid=paid, noticed=noticed)
    with line.database.read() as connection:
        books = ledger.check(connection)
        in_arrears = _beyond_policy(line, town=town)
    return Report(
        meters=len(town.consumers),
        months=town.months,
        seconds=round(seconds, 1),
        steps=_steps(line, town=town, meter_days=compared.meter_days),
        losses=_losses(line, town=town, true=against.true_losses(truth=truth, town=town)),
        rollout=_rollout(line),
        readings={"intervals_compared": compared.intervals, "intervals_equal": compared.equal},
        in_arrears_beyond_policy=in_arrears,
        invariants={
            "ledger_balanced": books.balanced
            and books.allocations_ok
            and books.dues_ok
            and books.receipts_ok,
            "bills_sum": against.bills_sum(line),
            "readings_equal_meters": compared.intervals > 0 and compared.equal == compared.intervals,
            "relays_equal_meters": against.relays_equal(line, relays=relays),
            WRONGFUL: len(wrongful),
        },
    )


def _steps(line: Line, *, town: Town, meter_days: int) -> dict[str, int]:
    period = Period.of_local_days(town.first_day, town.last_day)
    with line.database.read() as connection:
        issued, billed_paise = bills.totals(connection)
        sent, delivered = notices.sent_and_delivered(connection)
        orders = arrears.totals(connection)
        findings = validation.findings(connection, period=period)
        blocks = readings.days(
            connection, meters=None, first=day_number(town.first_day), last=day_number(town.last_day)
        )
        return {
            "collected_meter_days": meter_days,
            "missing_intervals": sum(
                finding.intervals for finding in findings if finding.rule is Rule.MISSING
            ),
            "estimated_intervals": sum(int((block.quality == Quality.ESTIMATED).sum()) for block in blocks),
            "bills": issued,
            "billed_paise": billed_paise,
            "messages_sent": sent,
            "messages_delivered": delivered,
            "listed": orders.listed,
            "excluded": orders.excluded,
            "approved": orders.approved,
            "disconnected_verified": orders.opened,
            "payments": len(ledger.payments(connection)),
            "reconnected_verified": orders.reconnected,
            "tamper_alarms": alarms.count(connection),
            "sirens": alarms.count_activations(connection),
        }


def _losses(
    line: Line, *, town: Town, true: Mapping[str, tuple[int, int]]
) -> tuple[Mapping[str, object], ...]:
    with line.database.read() as connection:
        found = balance.losses(connection, level=Level.TRANSFORMER, first=town.first_day, last=town.last_day)
    rows: list[dict[str, object]] = []
    for loss in found:
        input_wh, registered_wh = true[loss.code]
        rows.append(
            {
                "transformer": loss.code,
                "input_wh": loss.input_wh,
                "consumers_wh": loss.consumers_wh,
                "loss_pct": None if loss.loss_pct is None else round(loss.loss_pct, PERCENT_DIGITS),
                "true_loss_pct": round(100 * (input_wh - registered_wh) / input_wh, PERCENT_DIGITS)
                if input_wh
                else None,
            }
        )
    return tuple(rows)


def _rollout(line: Line) -> dict[str, object]:
    with line.database.read() as connection:
        progress = rollout.progress(connection, now=line.now())
    done_on = progress.forecast.done_on
    return {
        "planned": progress.observed.planned,
        "installed": progress.observed.installed,
        "this_month": progress.observed.this_month,
        "stock": progress.observed.stock,
        "forecast_done_on": None if done_on is None else done_on.isoformat(),
    }


def _beyond_policy(line: Line, *, town: Town) -> int:
    """Return how many accounts are in arrears beyond the policy's days and bills at the end."""
    policy = line.policy
    with line.database.read() as connection:
        rows = arrears.ageing(connection, office=town.office)
    return sum(
        row.oldest_due_on is not None
        and row.bills >= policy.list_bills
        and (row.on - row.oldest_due_on).days > policy.list_after_days
        for row in rows
    )
