"""What other rooms may ask about validation."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.period import Period, day_number, epoch_seconds, local_date, moment_of
from bijlighar.readings import queries as readings
from bijlighar.readings.operations import SEQUENCE
from bijlighar.registry.model import SINCE_EVER
from bijlighar.storage import sequences
from bijlighar.validation import store
from bijlighar.validation.cases import Hangings
from bijlighar.validation.gathering import due_day
from bijlighar.validation.hanging import hangings
from bijlighar.validation.model import ValidationFinding, ValidationSettings
from bijlighar.validation.reasons import reason as reason
from bijlighar.validation.report import document as document
from bijlighar.validation.report import joined_gaps, of_delivery

CHANGES_READER = "validation.changes"
DUE_READER = "validation.due"
NEVER = 10**9


def pending(connection: Connection, *, now: datetime, settings: ValidationSettings | None = None) -> int:
    """Return how much is to be done: about the changed meter-days, and the days due to be estimated."""
    changed = sequences.last_taken(connection, name=SEQUENCE) - sequences.watermark(
        connection, reader=CHANGES_READER
    )
    last = due_day(now=now, settings=settings or ValidationSettings())
    seen = sequences.watermark(connection, reader=DUE_READER)
    if seen == 0:
        seen = estimated_up_to(connection, hung=hangings(connection))
    return max(changed, 0) + max(last - seen, 0)


def findings(
    connection: Connection, *, period: Period, meters: Sequence[str] | None = None
) -> tuple[ValidationFinding, ...]:
    """Return what stands open and begins in a period, with what deliveries contained, by meter and time."""
    own = store.select_findings(connection, period=period, meters=meters)
    delivered = readings.findings(connection, period=period, meters=meters)
    return joined_gaps([*own, *(of_delivery(finding) for finding in delivered)])


def estimated_up_to(connection: Connection, *, hung: Hangings) -> int:
    """Return the day up to which due days were estimated; at first the one before any communicating meter hung."""
    seen = sequences.watermark(connection, reader=DUE_READER)
    if seen:
        return seen
    since_ever = epoch_seconds(SINCE_EVER)
    begins = {low for meter in hung.communicating for low, _ in hung.spans.get(meter, ())}
    days = [day_number(local_date(moment_of(low))) for low in begins if low != since_ever]
    if since_ever in begins:
        stored = readings.stored_ends(connection)
        days += [] if stored is None else [stored[0]]
    return min(days, default=NEVER) - 1
