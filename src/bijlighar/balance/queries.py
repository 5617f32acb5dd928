"""What other rooms may ask about losses."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance import case_store, examining, gathering, looking, rules, store
from bijlighar.balance.case_sight import CASES_PER_PAGE as CASES_PER_PAGE
from bijlighar.balance.case_sight import case as case
from bijlighar.balance.case_sight import case_steps as case_steps
from bijlighar.balance.case_sight import cases as cases
from bijlighar.balance.case_sight import cases_of_meters as cases_of_meters
from bijlighar.balance.cases import RankedSuspect
from bijlighar.balance.efficiency import atc_loss as atc_loss
from bijlighar.balance.errors import UnusableRange
from bijlighar.balance.flat_loads import flat_loads
from bijlighar.balance.flat_rating import flat_rates as flat_rates
from bijlighar.balance.model import COVERAGE_PCT_MIN as COVERAGE_PCT_MIN
from bijlighar.balance.model import (
    DayBalance,
    DayLoss,
    GapAtTime,
    Level,
    Load,
    Loss,
    MonthLoss,
    PhaseShare,
    StepBalance,
)
from bijlighar.base.period import ONE_DAY, Month, date_of, day_number, local_date
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Integers
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Transformer
from bijlighar.storage import sequences
from bijlighar.validation import queries as validation

RANGE_DAYS_MAX = 1_100
RANGE_DAYS_USUAL = 30
#: A year, and the same month of the year before.
MONTHS_USUAL = 13
#: Against so many others a transformer is held when it is looked at alone.
NEIGHBOURS_MAX = 5
#: A longer range is not examined.
EXAMINED_DAYS_MAX = examining.DAYS_MAX
READER_OF_DAYS = "balance.day"
READER_OF_ESTIMATES = "balance.estimates"
READER_OF_NETWORK = "balance.network"
#: How long a day waits for validation to catch up.
BUSY_WAIT = timedelta(hours=12)
SEQUENCE_OF_DAYS = "readings.day"


def last_day_over(now: datetime) -> int:
    """Return the number of the last IST day that is over."""
    return day_number(local_date(now) - ONE_DAY)


def last_ripe_day(connection: Connection, *, now: datetime) -> int:
    """
    Return the last day that is to be closed now: the last one over, but while validation is busy only one long over.

    So a night in which readings come without a pause does not close the same day again and again.
    """
    arrived = sequences.last_taken(connection, name=SEQUENCE_OF_DAYS)
    busy = arrived > sequences.watermark(connection, reader=validation.CHANGES_READER)
    return last_day_over(now - BUSY_WAIT if busy else now)


def pending(connection: Connection, *, now: datetime) -> int:
    """Return how many days are to be closed now, and one if there are changes that were not yet looked at."""
    pairs = (
        (READER_OF_DAYS, validation.CHANGES_READER),
        (READER_OF_ESTIMATES, validation.DUE_READER),
    )
    unseen = any(
        sequences.watermark(connection, reader=theirs) > sequences.watermark(connection, reader=own)
        for own, theirs in pairs
    )
    moved = registry.network_changes(
        connection, after=sequences.watermark(connection, reader=READER_OF_NETWORK)
    )
    return store.count_due(connection, last=last_ripe_day(connection, now=now)) + int(
        unseen or len(moved) > 0
    )


def usual_range(connection: Connection, *, now: datetime) -> tuple[date, date] | None:
    """Return the last days that are over and have readings, at most a month of them; None if there are none."""
    stored = readings.stored_ends(connection)
    if stored is None:
        return None
    last = min(stored[1], last_day_over(now))
    first = max(stored[0], last - RANGE_DAYS_USUAL + 1)
    return (date_of(first), date_of(last)) if first <= last else None


def days(
    connection: Connection, *, level: Level, first: date, last: date, code: str | None = None
) -> tuple[DayBalance, ...]:
    """Return the closed days of a range (of one transformer or feeder), by code and day; without assessed energy."""
    check_range(first=first, last=last)
    return store.days(connection, level=level, first=day_number(first), last=day_number(last), code=code)


def check_range(*, first: date, last: date) -> None:
    """
    Check that `first` to `last` is a range that can be balanced.

    :raises UnusableRange: if it is empty or too long.
    """
    if last < first:
        raise UnusableRange(f"{first} to {last} is no range of days; give the earlier day first")
    if (last - first).days >= RANGE_DAYS_MAX:
        raise UnusableRange(f"{first} to {last} is longer than {RANGE_DAYS_MAX} days; ask for less")


def losses(
    connection: Connection, *, level: Level, first: date, last: date, code: str | None = None
) -> tuple[Loss, ...]:
    """
    Return the losses of every transformer or feeder (or of one) over the closed days `first` to `last`, by code.

    :raises UnusableRange: if it is no range of days.
    """
    check_range(first=first, last=last)
    closed = store.days(connection, level=level, first=day_number(first), last=day_number(last), code=code)
    if not closed:
        return ()
    by_code: dict[str, list[DayBalance]] = {}
    for balance in closed:
        by_code.setdefault(balance.code, []).append(balance)
    first_day, last_day = min(day.day for day in closed), max(day.day for day in closed)
    net = gathering.network_of(connection, level=level, code=code, first=first_day, last=last_day)
    by_hand, wanted = gathering.assessed(connection, net=net)
    codes, groups = net.codes(level), net.consumers_of(level)
    count = len(codes)
    assessed_wh = rules.sum_by_group(by_hand.energy_wh, groups=groups, count=count)
    unknown = (wanted & ~by_hand.known).astype(np.int64)
    place = {code: index for index, code in enumerate(codes)}
    zeros = np.zeros(net.last - net.first + 1, dtype=np.int64)
    flat = flat_loads(connection, first=net.first, last=net.last)
    return tuple(
        _loss(
            balances,
            first=net.first,
            assessed_wh=assessed_wh[place[code]] if code in place else zeros,
            flat_wh=flat.of(level, code),
            not_assessed=_rows_with_any(unknown, groups, place.get(code, -2)),
        )
        for code, balances in sorted(by_code.items())
    )


def examined_losses(connection: Connection, *, level: Level, first: date, last: date) -> tuple[Loss, ...]:
    """
    Return the losses as `losses` does, those of transformers with their doubt, verdict and suspects.

    It reads every interval of the range, so it is for a report or one look, not for every page; a range of more than
    62 days, and feeders, are not examined.

    :raises UnusableRange: if it is no range of days.
    """
    found = losses(connection, level=level, first=first, last=last)
    if level is not Level.TRANSFORMER:
        return found
    return examining.examined(connection, losses=found, first=day_number(first), last=day_number(last))


def ranked_suspects(
    connection: Connection, *, first: date, last: date, office: str | None = None
) -> tuple[RankedSuspect, ...]:
    """
    Return the meters that missing energy points to, of all transformers (or an office's), the likeliest first.

    It is for choosing whom to inspect: a score ranks, and neither proves nor accuses.

    :raises UnusableRange: if it is no range of days.
    :raises UnknownOffice: if there is no such office.
    """
    ours = {each.code for each in registry.transformers(connection, office=office)}
    found = [
        (loss, suspect)
        for loss in examined_losses(connection, level=Level.TRANSFORMER, first=first, last=last)
        if loss.theft_suspected and loss.code in ours
        for suspect in loss.suspects
    ]
    under_way = case_store.select_under_way(connection, meters={suspect.meter for _, suspect in found})
    ranked = [
        RankedSuspect(
            meter=suspect.meter,
            transformer=loss.code,
            score=suspect.score,
            evidence=suspect.evidence,
            low_wh=(loss.non_technical_loss_wh_interval or (0, 0))[0],
            case=under_way.get(suspect.meter),
        )
        for loss, suspect in found
    ]
    return tuple(sorted(ranked, key=lambda each: (-each.score, -each.low_wh, each.meter)))


def examined_loss(connection: Connection, *, level: Level, code: str, first: date, last: date) -> Loss | None:
    """
    Return the loss of one transformer or feeder as `examined_losses` does, None where none of its days is closed.

    A transformer is held against its neighbours on the feeder, `NEIGHBOURS_MAX` at most, so that a wrong record and
    a switched line are told from theft. A feeder has no verdict and no interval.

    :raises UnusableRange: if it is no range of days.
    """
    found = losses(connection, level=level, first=first, last=last, code=code)
    if level is not Level.TRANSFORMER:
        return found[0] if found else None
    beside = neighbours(registry.transformers(connection), code=code)
    examined = _examined(connection, losses=found, first=first, last=last, beside=beside)
    return examined[0] if examined else None


def with_interval(
    connection: Connection, *, losses: Sequence[Loss], first: date, last: date
) -> tuple[Loss, ...]:
    """
    Return some losses of transformers with what is not technical and its 90 % interval, and without a verdict.

    A verdict is held against the neighbours, which `examined_loss` reads too.

    :raises UnusableRange: if it is no range of days.
    """
    check_range(first=first, last=last)
    codes = [loss.code for loss in losses]
    examined = _examined(connection, losses=losses, first=first, last=last, beside=codes)
    return tuple(
        replace(loss, verdict=None, theft_suspected=False, suspects=(), misplaced=()) for loss in examined
    )


def _examined(
    connection: Connection, *, losses: Sequence[Loss], first: date, last: date, beside: Sequence[str]
) -> tuple[Loss, ...]:
    """Return losses examined over the closed days of a range, so that both speak of the same days."""
    closed = store.closed_days(connection, first=day_number(first), last=day_number(last))
    if not closed or (last - first).days >= EXAMINED_DAYS_MAX:
        return tuple(losses)
    return examining.examined(connection, losses=losses, first=min(closed), last=max(closed), beside=beside)


def neighbours(plates: Sequence[Transformer], *, code: str) -> tuple[str, ...]:
    """Return a transformer and those beside it on its feeder, the nearest in the order of codes."""
    feeder = next((plate.feeder for plate in plates if plate.code == code), None)
    codes = sorted({plate.code for plate in plates if feeder is not None and plate.feeder == feeder} | {code})
    own = codes.index(code)
    return tuple(sorted(codes, key=lambda other: abs(codes.index(other) - own))[: NEIGHBOURS_MAX + 1])


def losses_by_month(
    connection: Connection, *, level: Level, code: str, last: date, months: int = MONTHS_USUAL
) -> tuple[MonthLoss, ...]:
    """
    Return the losses of one transformer or feeder in the last `months` calendar months up to day `last`, by month.

    A month has those of its days that are closed; one without any is left out.

    :raises UnusableRange: if they are too many.
    """
    month = Month.of(last)
    for _ in range(months - 1):
        month = month.previous
    closed = days(connection, level=level, first=month.first, last=last, code=code)
    if not closed:
        return ()
    net = gathering.network_of(connection, level=level, code=code, first=closed[0].day, last=closed[-1].day)
    by_hand, wanted = gathering.assessed(connection, net=net)
    codes = net.codes(level)
    ours = net.consumers_of(level) == (codes.index(code) if code in codes else -2)
    assessed_wh = by_hand.energy_wh[ours].sum(axis=0)
    unknown = (wanted & ~by_hand.known)[ours]
    flat_wh = flat_loads(connection, first=net.first, last=net.last).of(level, code)
    by_month: dict[Month, list[DayBalance]] = {}
    for day in closed:
        by_month.setdefault(Month.of(date_of(day.day)), []).append(day)
    return tuple(
        MonthLoss(
            month=each,
            days=len(balances),
            loss=_loss(
                balances,
                first=net.first,
                assessed_wh=assessed_wh,
                flat_wh=flat_wh,
                not_assessed=int(unknown[:, [day.day - net.first for day in balances]].any(axis=1).sum()),
            ),
        )
        for each, balances in sorted(by_month.items())
    )


def losses_by_day(
    connection: Connection, *, level: Level, code: str, first: date, last: date
) -> tuple[DayLoss, ...]:
    """
    Return the loss of one transformer or feeder on each closed day of a range, by day.

    :raises UnusableRange: if it is no range of days.
    """
    closed = days(connection, level=level, first=first, last=last, code=code)
    if not closed:
        return ()
    net = gathering.network_of(connection, level=level, code=code, first=closed[0].day, last=closed[-1].day)
    by_hand, _ = gathering.assessed(connection, net=net)
    codes = net.codes(level)
    summed = rules.sum_by_group(by_hand.energy_wh, groups=net.consumers_of(level), count=len(codes))
    assessed_wh = (
        summed[codes.index(code)] if code in codes else np.zeros(net.last - net.first + 1, dtype=np.int64)
    )
    flat_wh = flat_loads(connection, first=net.first, last=net.last).of(level, code)
    found = [
        (
            day.day,
            _loss([day], first=net.first, assessed_wh=assessed_wh, flat_wh=flat_wh, not_assessed=0),
        )
        for day in closed
    ]
    return tuple(
        DayLoss(
            day=date_of(number),
            input_wh=loss.input_wh,
            consumers_wh=loss.consumers_wh,
            loss_wh=loss.loss_wh,
            loss_pct=loss.loss_pct,
            coverage_pct=loss.coverage_pct,
        )
        for number, loss in found
    )


def steps(
    connection: Connection, *, level: Level, code: str, first: date, last: date, minutes: int = 30
) -> tuple[StepBalance, ...]:
    """
    Return the balance of each interval of `minutes` (15 or 30) of one transformer or feeder, by time.

    With 30 minutes, meters of 15 are folded; with 15, meters of 30 are missing. Meters read by hand have no part.

    :raises UnusableRange: if it is no range of days.
    """
    check_range(first=first, last=last)
    return looking.steps(connection, level=level, code=code, first=first, last=last, minutes=minutes)


def gap_by_time(
    connection: Connection, *, level: Level, code: str, first: date, last: date
) -> tuple[GapAtTime, ...]:
    """
    Return the mean gap between input and consumers in each half-hour of the day, over the closed days of a range.

    What meters read by hand are assessed at is laid along the others' use.

    :raises UnusableRange: if it is no range of days, longer than is examined, or too long for so many meters.
    """
    check_range(first=first, last=last)
    if (last - first).days >= EXAMINED_DAYS_MAX:
        raise UnusableRange(f"{first} to {last} is longer than {EXAMINED_DAYS_MAX} days; ask for less")
    closed = store.closed_days(connection, first=day_number(first), last=day_number(last))
    return looking.gap_by_time(connection, level=level, code=code, closed=closed)


def days_by_time_max(*, meters: int) -> int:
    """Return of how many days at most `gap_by_time` tells of a transformer or feeder with so many meters."""
    return min(EXAMINED_DAYS_MAX, looking.days_by_time_max(meters=meters))


def phases(
    connection: Connection, *, transformer: str, first: date, last: date, now: datetime
) -> tuple[PhaseShare, ...]:
    """
    Return what the consumers of a transformer drew on the days `first` to `last`, by phase; unknown phases last.

    :raises UnusableRange: if it is no range of days.
    """
    check_range(first=first, last=last)
    return looking.phases(connection, transformer=transformer, first=first, last=last, now=now)


def newest_load(connection: Connection, *, transformer: str, now: datetime) -> Load | None:
    """Return the loads into and out of a transformer in the newest half-hour that is known, None if none is."""
    return looking.newest_load(connection, transformer=transformer, now=now)


def _rows_with_any(unknown: Integers, groups: Integers, place: int) -> int:
    return int((unknown[groups == place].sum(axis=1) > 0).sum())


def _loss(
    balances: Sequence[DayBalance], *, first: int, assessed_wh: Integers, flat_wh: Integers, not_assessed: int
) -> Loss:
    measured = [day for day in balances if day.input_complete and day.input_wh is not None]
    counted = measured or balances
    columns = [day.day - first for day in counted]
    metered_wh = sum(day.metered_wh for day in counted)
    no_meter_wh = int(flat_wh[columns].sum())
    not_metered_wh = int(assessed_wh[columns].sum()) + no_meter_wh
    input_wh = sum(day.input_wh or 0 for day in measured) if measured else None
    loss_wh = None if input_wh is None else input_wh - metered_wh - not_metered_wh
    technical = [day.transformer_loss_wh for day in measured if day.transformer_loss_wh is not None]
    return Loss(
        level=balances[0].level,
        code=balances[0].code,
        days=len(counted),
        days_without_input=len(balances) - len(measured),
        input_wh=input_wh,
        consumers_wh=metered_wh + not_metered_wh,
        metered_wh=metered_wh,
        assessed_wh=not_metered_wh,
        loss_wh=loss_wh,
        loss_pct=None if loss_wh is None or input_wh is None else rules.per_cent(loss_wh, input_wh),
        technical_loss_wh=sum(technical) if measured and len(technical) == len(measured) else None,
        non_technical_loss_wh=None,
        non_technical_loss_wh_interval=None,
        coverage_pct=rules.per_cent(sum(day.read for day in balances), sum(day.expected for day in balances)),
        theft_suspected=False,
        meters=max(day.meters for day in balances),
        meters_not_assessed=not_assessed,
        flat_rate_wh=no_meter_wh,
    )
