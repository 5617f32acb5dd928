"""What stands in the way of sealing a month, or better settled first: gathered from four rooms, decided by none."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.base.period import Month, local_date
from bijlighar.billing import queries as billing
from bijlighar.billing.model import ItemState
from bijlighar.offices import queries as offices
from bijlighar.readings import queries as readings
from bijlighar.registry import queries as registry
from bijlighar.validation import queries as validation
from bijlighar.validation.model import ExceptionFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """
    A month of an office and all below it, as a person sees it before it is sealed.

    seal: the number of the seal that shuts it already; this, is_over, meter_days and unchecked decide.
    exceptions, edits: that wait for somebody; unbilled, parked: accounts without a bill. They do not hinder the seal:
    what comes of them later needs its opening.
    """

    month: Month
    office: str
    is_over: bool
    seal: int | None
    meter_days: int
    unchecked: int
    first_unchecked: tuple[str, date] | None
    exceptions: int
    edits: int
    accounts: int
    unbilled: int
    parked: int

    @property
    def can_be_sealed(self) -> bool:
        """Return whether nothing hinders the seal."""
        return self.is_over and self.seal is None and self.meter_days > 0 and not self.unchecked


def outlook(connection: Connection, *, month: Month, office: str, person: str, now: datetime) -> Outlook:
    """
    Return what stands in the way of sealing a month of an office.

    :raises UnknownOffice: if there is no such office.
    """
    below = offices.offices_below(connection, code=office)
    stands = readings.seal_outlook(connection, month=month, office=office, now=now)
    period = month.period
    waiting = validation.count_exceptions(
        connection, wish=ExceptionFilter(offices=tuple(below), period=period), person=person
    )
    edits = [
        edit
        for edit in validation.edits(connection, person=person)
        if edit.office in below and edit.start < period.end and period.start < edit.end
    ]
    accounts = {account.number for account in registry.accounts(connection, office=office)}
    items = [item for item in billing.items(connection, month=month) if item.account in accounts]
    return Outlook(
        month=month,
        office=office,
        is_over=local_date(now) > month.last,
        seal=stands.seal,
        meter_days=stands.meter_days,
        unchecked=stands.unchecked,
        first_unchecked=stands.first_unchecked,
        exceptions=waiting,
        edits=len(edits),
        accounts=len(accounts),
        unbilled=len(accounts) - len(items),
        parked=sum(item.state is ItemState.PARKED for item in items),
    )
