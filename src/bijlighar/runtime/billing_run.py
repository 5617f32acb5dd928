"""The bill run: what is still missing of a month is estimated first, then its accounts are billed."""

from datetime import datetime

from sqlalchemy import Connection

from bijlighar.billing import operations as billing
from bijlighar.billing import queries as bills
from bijlighar.runtime.line import Line
from bijlighar.storage import jobs
from bijlighar.validation import operations as validation

ESTIMATED_FOR_BILLS = "estimated for bills"


def issue_due(line: Line, now: datetime) -> int:
    """Bill the months that are due and return how many bills were issued."""
    from_day = line.home.settings.whole("billing.bill_from_day")
    with line.database.read() as connection:
        months = bills.months_due(connection, now=now, bill_from_day=from_day)
    for month in months:
        with line.database.write() as connection:
            first_time = jobs.slot(
                connection, schedule=ESTIMATED_FOR_BILLS, slot_at=month.period.start, now=now
            )
        if first_time:
            validation.estimate_missing(
                line.database,
                meters=None,
                first=month.first,
                last=month.last,
                now=now,
            )
    return billing.issue_due(
        line.database,
        now=now,
        books=line.books,
        due_days=line.policy.due_days,
        bill_base_url=f"{line.public_url}/b/",
        bill_from_day=from_day,
    )


def pending(line: Line, connection: Connection, now: datetime) -> int:
    """Return how many accounts of due months wait for their bill."""
    from_day = line.home.settings.whole("billing.bill_from_day")
    return bills.pending(connection, now=now, bill_from_day=from_day)
