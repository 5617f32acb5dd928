"""
AT&C loss of an office in a month, with all that it is made of.

It is 1 less billing efficiency times collection efficiency. Energy in, billed and collected are of the same
consumers: those below the feeders, or else the transformers, that supply the office alone and have an input meter.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.balance import store
from bijlighar.balance.atc import AtcLoss, Doubt, per_cent
from bijlighar.balance.flat_loads import flat_loads
from bijlighar.balance.model import COVERAGE_PCT_MIN, FLAT_RATE_PCT_MAX, Level
from bijlighar.base.period import Month, day_number, local_date
from bijlighar.billing import queries as billing
from bijlighar.ledger import queries as ledger
from bijlighar.offices import queries as offices
from bijlighar.registry import queries as registry
from bijlighar.storage.sql import text_of

#: With fewer of its accounts [%] below an input meter of its own an office has no AT&C loss.
COVERED_PCT_MIN = 90


def atc_loss(connection: Connection, *, office: str, month: Month, now: datetime) -> AtcLoss:
    """
    Return the AT&C loss of an office in a month.

    Billed is what the bills of the month say, corrections included; collected what was paid in the month after it, in
    which they are issued and fall due. Nothing is capped.

    :raises UnknownOffice: if there is no such office.
    """
    code = offices.office(connection, code=office).code
    first, last = day_number(month.first), day_number(month.last)
    feeders = registry.feeders(connection, office=code)
    of_feeders, feeder_query = _inputs(connection, level=Level.FEEDER, first=first, last=last, codes=feeders)
    under = {
        each.code: each.feeder
        for each in registry.transformers_alone(connection, office=code)
        if each.feeder not in of_feeders
    }
    of_transformers, transformer_query = _inputs(
        connection, level=Level.TRANSFORMER, first=first, last=last, codes=sorted(under)
    )
    inputs = {**of_feeders, **of_transformers}
    flat = flat_loads(connection, first=first, last=last)
    flat_wh = sum(int(flat.of(Level.FEEDER, name).sum()) for name in of_feeders) + sum(
        int(flat.of(Level.TRANSFORMER, name).sum()) for name in of_transformers
    )
    accounts, accounts_query = registry.accounts_below(connection, period=month.period, office=code)
    covered, covered_query = registry.accounts_below(
        connection,
        period=month.period,
        office=code,
        feeders=sorted(of_feeders),
        transformers=sorted(of_transformers),
    )
    billed, billed_query = billing.billed(connection, month=month)
    after = month.next
    paid, paid_query = ledger.collected(connection, first=after.first, last=after.last)
    ours = [billed[account] for account in covered if account in billed]
    expected = sum(point.expected for point in inputs.values())
    coverage = per_cent(sum(point.read for point in inputs.values()), expected)
    incomplete = tuple(sorted(name for name, point in inputs.items() if point.days < month.days))
    put_in_wh = sum(point.input_wh for point in inputs.values())
    billed_paise = sum(paise for _, paise in ours)
    holds = {
        Doubt.NOT_FINAL: local_date(now) <= after.last,
        Doubt.NO_INPUT: put_in_wh <= 0,
        Doubt.INPUT_GAPS: bool(incomplete),
        Doubt.TOO_FEW_COVERED: 100 * len(covered) < COVERED_PCT_MIN * len(accounts),
        Doubt.TOO_LITTLE_READ: coverage is None
        or coverage < COVERAGE_PCT_MIN
        or 100 * flat_wh > FLAT_RATE_PCT_MAX * put_in_wh,
        Doubt.NOTHING_BILLED: billed_paise <= 0,
    }
    return AtcLoss(
        month=month,
        office=code,
        input_wh=put_in_wh,
        points=tuple(sorted(inputs)),
        points_incomplete=incomplete,
        accounts=len(accounts),
        accounts_covered=len(covered),
        accounts_billed=len(ours),
        billed_wh=sum(energy_wh for energy_wh, _ in ours),
        billed_paise=billed_paise,
        collected_paise=sum(paid.get(account, 0) for account in covered),
        collected_first=after.first,
        collected_last=after.last,
        coverage_pct=coverage,
        flat_rate_wh=flat_wh,
        doubts=tuple(doubt for doubt, is_so in holds.items() if is_so),
        queries={
            "input_wh_feeders": feeder_query,
            "input_wh_transformers": transformer_query,
            "accounts": accounts_query,
            "accounts_covered": covered_query,
            "billed": billed_query,
            "collected_paise": paid_query,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """What went into one feeder or transformer [Wh], on how many days it is wholly known, and what was read below."""

    input_wh: int
    days: int
    expected: int
    read: int


def _inputs(
    connection: Connection, *, level: Level, first: int, last: int, codes: tuple[str, ...] | list[str]
) -> tuple[dict[str, _Input], str]:
    """Return the inputs of the codes that have an input meter, and the query itself."""
    statement = store.input_statement(level=level, first=first, last=last, codes=codes)
    found = {
        row.code: _Input(
            input_wh=int(row.input_wh),
            days=int(row.days),
            expected=int(row.expected),
            read=int(row.read),
        )
        for row in connection.execute(statement)
        if row.input_wh is not None
    }
    return found, text_of(connection, statement)
