"""The step that closes days."""

from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance import freezing, gathering, rules, store
from bijlighar.balance.flat_rating import import_flat_rates as import_flat_rates
from bijlighar.balance.inspecting import Assessed as Assessed
from bijlighar.balance.inspecting import Found as Found
from bijlighar.balance.inspecting import assess_units as assess_units
from bijlighar.balance.inspecting import assign_case as assign_case
from bijlighar.balance.inspecting import close_case as close_case
from bijlighar.balance.inspecting import decide_theft as decide_theft
from bijlighar.balance.inspecting import record_finding as record_finding
from bijlighar.balance.inspecting import withdraw_case as withdraw_case
from bijlighar.balance.model import DayBalance, Level
from bijlighar.balance.opening import NewCase as NewCase
from bijlighar.balance.opening import open_case as open_case
from bijlighar.balance.opening import open_suspicion as open_suspicion
from bijlighar.balance.queries import (
    READER_OF_DAYS,
    READER_OF_ESTIMATES,
    READER_OF_NETWORK,
    check_range,
    last_day_over,
    last_ripe_day,
)
from bijlighar.base.period import day_number, local_date
from bijlighar.readings import queries as readings
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database
from bijlighar.validation import queries as validation

#: How many days one step closes, at most; also how many are computed at once.
DAYS_PER_STEP = 31
#: How many changed meter-days one step looks at.
CHANGES_PER_STEP = 20_000
LOCK = "balance.close"


def close_day(database: Database, *, now: datetime) -> int:
    """
    Close the IST days that are over and due, a bounded number of them, and return how many.

    A day is due when validated readings of it came, and again when they, their estimates or the network of that day
    changed.
    """
    with database.write() as connection:
        sequences.take(connection, name=LOCK)  # one closer at a time
        _note_changes(connection)
        due = store.due_days(connection, last=last_ripe_day(connection, now=now), limit=DAYS_PER_STEP)
        for first, last in rules.runs_of(due, length_max=DAYS_PER_STEP):
            _close(connection, first=first, last=last, now=now)
            store.remove_due(connection, first=first, last=last)
    return len(due)


def close_range(database: Database, *, first: date, last: date, now: datetime) -> int:
    """
    Close the days of a range anew, those that are over, whatever was known of them, and return how many.

    What is due stays due: validation may not yet have seen what this sees.

    :raises UnusableRange: if it is no range of days.
    """
    check_range(first=first, last=last)
    numbers = range(day_number(first), min(day_number(last), last_day_over(now)) + 1)
    for begin, end in rules.runs_of(numbers, length_max=DAYS_PER_STEP):
        with database.write() as connection:
            sequences.take(connection, name=LOCK)
            _close(connection, first=begin, last=end, now=now)
    return len(numbers)


def _note_changes(connection: Connection) -> None:
    """Note the days whose validated readings, estimates or network changed since the last look."""
    seen = sequences.watermark(connection, reader=READER_OF_DAYS)
    validated = sequences.watermark(connection, reader=validation.CHANGES_READER)
    if validated > seen:
        limit = min(CHANGES_PER_STEP, validated - seen)
        changed = readings.changed_days(connection, after=seen, limit=limit)
        store.add_due(connection, days={day for block in changed.blocks for day in block.days.tolist()})
        all_seen = sum(block.rows for block in changed.blocks) < limit
        sequences.raise_watermark(
            connection, reader=READER_OF_DAYS, seen=validated if all_seen else min(changed.last, validated)
        )
    estimated = sequences.watermark(connection, reader=validation.DUE_READER)
    looked_at = sequences.watermark(connection, reader=READER_OF_ESTIMATES)
    if estimated > looked_at:
        store.add_due(connection, days=store.closed_days(connection, first=looked_at + 1, last=estimated))
        sequences.raise_watermark(connection, reader=READER_OF_ESTIMATES, seen=estimated)
    changes = registry.network_changes(
        connection, after=sequences.watermark(connection, reader=READER_OF_NETWORK)
    )
    if changes:
        since = day_number(local_date(min(change.since for change in changes)))
        last = store.last_closed_day(connection)
        if last is not None:
            store.add_due(connection, days=store.closed_days(connection, first=since, last=last))
        sequences.raise_watermark(connection, reader=READER_OF_NETWORK, seen=changes[-1].sequence)


def _close(connection: Connection, *, first: int, last: int, now: datetime) -> None:
    ice = freezing.frozen(connection, first=first, last=last)
    open_days = [day for day in range(first, last + 1) if day not in ice.days]
    for begin, end in rules.runs_of(open_days, length_max=DAYS_PER_STEP):
        balances = ice.kept(_balances(connection, first=begin, last=end))
        of_run = [balance for balance in balances if begin <= balance.day <= end]
        store.save_days(connection, first=begin, last=end, balances=of_run, now=now)


def _balances(connection: Connection, *, first: int, last: int) -> list[DayBalance]:
    net = gathering.network(connection, first=first, last=last)
    if not net.hangings:
        return []
    counted = gathering.metered(connection, net=net)
    own_losses = gathering.transformer_losses(connection, net=net)
    balances: list[DayBalance] = []
    for level in Level:
        codes = net.codes(level)
        inputs, consumers = net.inputs_of(level), net.consumers_of(level)
        count = len(codes)
        hung = (net.hung_s > 0).astype(np.int64)
        input_wh = rules.sum_by_group(counted.energy_wh, groups=inputs, count=count)
        input_expected = rules.sum_by_group(counted.expected, groups=inputs, count=count)
        input_known = rules.sum_by_group(counted.known, groups=inputs, count=count)
        input_hung_s = rules.sum_by_group(net.hung_s, groups=inputs, count=count)
        complete = (input_known == input_expected) & (input_hung_s >= rules.SECONDS_PER_DAY)
        metered_wh = rules.sum_by_group(counted.energy_wh, groups=consumers, count=count)
        meters = rules.sum_by_group(hung, groups=consumers, count=count)
        expected = rules.sum_by_group(counted.expected, groups=consumers, count=count)
        known = rules.sum_by_group(counted.known, groups=consumers, count=count)
        read = rules.sum_by_group(counted.read, groups=consumers, count=count)
        for row, code in enumerate(codes):
            for column in range(last - first + 1):
                has_input = bool(input_hung_s[row, column] > 0)
                if not has_input and not meters[row, column]:
                    continue
                balances.append(
                    DayBalance(
                        level=level,
                        code=code,
                        day=first + column,
                        input_wh=int(input_wh[row, column]) if has_input else None,
                        input_complete=bool(complete[row, column]),
                        metered_wh=int(metered_wh[row, column]),
                        meters=int(meters[row, column]),
                        expected=int(expected[row, column]),
                        known=int(known[row, column]),
                        read=int(read[row, column]),
                        transformer_loss_wh=own_losses.get((code, first + column))
                        if level is Level.TRANSFORMER
                        else None,
                    )
                )
    return balances
