"""The bill run: what is still missing of a month is estimated first, then its accounts are billed."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.period import local_date, local_midnight
from bijlighar.billing import operations as billing
from bijlighar.billing import queries as bills
from bijlighar.headend import queries as headend
from bijlighar.runtime.line import Line
from bijlighar.storage import jobs
from bijlighar.validation import operations as validation
from bijlighar.validation import queries as validation_queries

ESTIMATED_FOR_BILLS = "estimated for bills"
#: How long after midnight IST bills wait at most for what meters still deliver.
NIGHT_MAX = timedelta(hours=6)


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
    """Return how many accounts of due months wait for their bill; none while the night's readings come in."""
    if not _is_night_over(line, connection, now):
        return 0
    from_day = line.home.settings.whole("billing.bill_from_day")
    return bills.pending(connection, now=now, bill_from_day=from_day)


def _is_night_over(line: Line, connection: Connection, now: datetime) -> bool:
    """Return whether every meter was asked today and its answer judged: no bill estimates what is just being read."""
    settings = line.head_end_settings
    since_midnight = now - local_midnight(local_date(now))
    if since_midnight >= NIGHT_MAX:
        return True
    return (
        since_midnight >= timedelta(minutes=settings.collect_from_minutes)
        and headend.pending_collect(connection, now=now, settings=settings) == 0
        and validation_queries.pending(connection, now=now) == 0
    )
