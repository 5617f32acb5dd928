"""What other rooms may ask about validation."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.period import Period, day_number, local_date
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.offices import queries as offices
from bijlighar.readings import queries as readings
from bijlighar.readings.model import INTERVAL_MINUTES, IST_OFFSET_S, SECONDS_PER_DAY
from bijlighar.readings.operations import SEQUENCE
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences
from bijlighar.validation import edit_store, exception_store, store
from bijlighar.validation.cases import Hangings
from bijlighar.validation.catalogue import rule_name as rule_name
from bijlighar.validation.errors import RefusedEdit, UnknownEdit, UnknownException
from bijlighar.validation.exception_rules import outcomes_of as outcomes_of
from bijlighar.validation.gathering import due_day, gather
from bijlighar.validation.hanging import hangings as hangings
from bijlighar.validation.judging import judge
from bijlighar.validation.meter_load import LOAD_DAYS_MAX as LOAD_DAYS_MAX
from bijlighar.validation.meter_load import check_days as check_days
from bijlighar.validation.meter_load import meter_load as meter_load
from bijlighar.validation.model import (
    EditState,
    ExceptionFilter,
    ExceptionStep,
    ReadingEdit,
    ValidationException,
    ValidationFinding,
    ValidationSettings,
)
from bijlighar.validation.past import PackedPast
from bijlighar.validation.reasons import reason as reason
from bijlighar.validation.report import document as document
from bijlighar.validation.report import joined_gaps, of_delivery

CHANGES_READER = "validation.changes"
DUE_READER = "validation.due"
NEVER = 10**9
MINUTE = timedelta(minutes=1)
EXCEPTIONS_PER_PAGE = 50
EDITS_PER_PAGE = 200
#: More than these are not given at once, not even to a spreadsheet.
EXCEPTIONS_MAX = 20_000


def pending(connection: Connection, *, now: datetime, settings: ValidationSettings | None = None) -> int:
    """Return how much is to be done: about the changed meter-days, and the days due to be estimated."""
    changed = sequences.last_taken(connection, name=SEQUENCE) - sequences.watermark(
        connection, reader=CHANGES_READER
    )
    last = due_day(now=now, settings=settings or ValidationSettings())
    seen = sequences.watermark(connection, reader=DUE_READER)
    if seen == 0:
        seen = estimated_up_to(connection)
    return max(changed, 0) + max(last - seen, 0)


def findings(
    connection: Connection, *, period: Period, meters: Sequence[str] | None = None
) -> tuple[ValidationFinding, ...]:
    """Return what stands open and begins in a period, with what deliveries contained, by meter and time."""
    own = store.select_findings(connection, period=period, meters=meters)
    delivered = readings.findings(connection, period=period, meters=meters)
    return joined_gaps([*own, *(of_delivery(finding) for finding in delivered)])


def packed_past(
    connection: Connection, *, meters: Sequence[str], minutes: int, first: int, last: int
) -> PackedPast:
    """Return packed rows and registers of the days `first` to `last`, for `findings_in_memory`."""
    return PackedPast(
        readings.packed_days(connection, minutes=minutes, first=first, last=last),
        readings.midnight_registers(connection, meters=meters, first=first, last=last + 1),
    )


def findings_in_memory(
    past: PackedPast,
    *,
    meters: Sequence[str],
    day: int,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
) -> list[ValidationFinding]:
    """Return what the rules find in one day of some meters: no database is asked, and nothing is written."""
    return [
        finding
        for block in past.days(meters=meters, first=day, last=day)
        for finding in judge(
            gather(past, block=block, hung=hung, now=now, settings=settings, forced=False), settings=settings
        ).findings
    ]


def estimated_up_to(connection: Connection) -> int:
    """Return the day up to which due days were estimated; at first the one before any communicating meter hung."""
    seen = sequences.watermark(connection, reader=DUE_READER)
    if seen:
        return seen
    hung = hangings(connection)
    days = [] if hung.earliest_s is None else [(hung.earliest_s + IST_OFFSET_S) // SECONDS_PER_DAY]
    if (hung.talks & hung.since_ever).any():
        stored = readings.stored_ends(connection)
        days += [] if stored is None else [stored[0]]
    return min(days, default=NEVER) - 1


def exception(
    connection: Connection, *, number: int, person: str, is_to_change: bool = False
) -> ValidationException:
    """
    Return an exception in a person's sight, locked until the transaction ends if it is to be changed.

    :raises UnknownPerson: if nobody signs in so.
    :raises UnknownException: if there is none of that number, or it is another office's: which of both is not told.
    """
    found = exception_store.select_exception(connection, number=number, is_to_change=is_to_change)
    seen = _offices_of(connection, person=person)
    if found is None or (seen is not None and found.office not in seen):
        raise UnknownException(
            f"there is no exception {number} in your offices; the queue shows those there are"
        )
    return found


def exception_steps(connection: Connection, *, number: int) -> tuple[ExceptionStep, ...]:
    """Return what happened to an exception, oldest first."""
    return exception_store.select_steps(connection, number=number)


def exceptions(
    connection: Connection,
    *,
    wish: ExceptionFilter,
    person: str,
    first: int = 0,
    limit: int = EXCEPTIONS_PER_PAGE,
) -> tuple[ValidationException, ...]:
    """Return some exceptions in a person's sight from the `first` on, the gravest and oldest first."""
    check_text(wish.meter, what="the meter", letters_max=CODE_MAX)
    check_text(wish.office, what="the office", letters_max=CODE_MAX)
    return exception_store.select_page(
        connection, wish=_in_sight(connection, wish, person), first=first, limit=min(limit, EXCEPTIONS_MAX)
    )


def count_exceptions(connection: Connection, *, wish: ExceptionFilter, person: str) -> int:
    """Return how many exceptions in a person's sight a filter leaves in."""
    check_text(wish.meter, what="the meter", letters_max=CODE_MAX)
    check_text(wish.office, what="the office", letters_max=CODE_MAX)
    return exception_store.count(connection, wish=_in_sight(connection, wish, person))


def edit(connection: Connection, *, number: int, person: str, is_to_change: bool = False) -> ReadingEdit:
    """
    Return an edit of readings in a person's sight, locked until the transaction ends if it is to be decided.

    :raises UnknownPerson: if nobody signs in so.
    :raises UnknownEdit: if there is none of that number, or it is another office's: which of both is not told.
    """
    found = edit_store.select_edit(connection, number=number, is_to_change=is_to_change)
    seen = _offices_of(connection, person=person)
    if found is None or (seen is not None and found.office not in seen):
        raise UnknownEdit(
            f"there is no edit {number} in your offices; `bijlighar readings edit list` shows them"
        )
    return found


def edits(
    connection: Connection,
    *,
    person: str,
    states: Sequence[EditState] = (EditState.PROPOSED,),
    meter: str = "",
    limit: int = EDITS_PER_PAGE,
) -> tuple[ReadingEdit, ...]:
    """Return some edits of readings in a person's sight, the newest first."""
    check_text(meter, what="the meter", letters_max=CODE_MAX)
    return edit_store.select_page(
        connection,
        states=states,
        meter=meter,
        offices=_offices_of(connection, person=person),
        limit=min(limit, EDITS_PER_PAGE),
    )


def interval_minutes(connection: Connection, *, meter: str, at: datetime) -> int:
    """
    Return how long the intervals of a meter are on the day of a moment [minutes]: as stored, else as registered.

    :raises UnknownEndDevice: if there is no such meter.
    """
    device = registry.end_device(connection, serial=meter)
    day = day_number(local_date(at))
    lengths = {
        length
        for length in INTERVAL_MINUTES
        for block in [readings.known_rows(connection, keys=[(meter, day)], minutes=length)]
        if block.versions[0] > 0
    }
    return lengths.pop() if len(lengths) == 1 else device.minutes


def intervals_between(connection: Connection, *, meter: str, start: datetime, end: datetime) -> int:
    """
    Return how many intervals of a meter lie in [start, end).

    :raises UnknownEndDevice: if there is no such meter.
    :raises RefusedEdit: if it is no run of whole intervals.
    """
    length = timedelta(minutes=interval_minutes(connection, meter=meter, at=start))
    if end <= start or (end - start) % length:
        raise RefusedEdit(
            f"from {start.isoformat()} to {end.isoformat()} is no run of intervals of {length // MINUTE} minutes"
        )
    return (end - start) // length


def _in_sight(connection: Connection, wish: ExceptionFilter, person: str) -> ExceptionFilter:
    """Return what is asked for, narrowed to a person's sight."""
    seen = _offices_of(connection, person=person)
    if seen is None:
        return wish
    wanted = seen if wish.offices is None else tuple(code for code in wish.offices if code in seen)
    return replace(wish, offices=wanted)


def _offices_of(connection: Connection, *, person: str) -> tuple[str, ...] | None:
    """Return the offices in sight of who signs in so."""
    return offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
