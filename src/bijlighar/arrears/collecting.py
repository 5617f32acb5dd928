"""Money received against money billed, by channel and by office, with the ageing of what is still owed. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from bijlighar.arrears.model import Ageing
from bijlighar.base.money import round_half_up
from bijlighar.base.period import Month
from bijlighar.ledger.model import METHOD_NAMES, Payment, Received

PERCENT_DECIMALS = 1
OfficeOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSum:
    """What came in one way today and this month [paise]."""

    method: str
    payments_today: int
    today_paise: int
    payments_month: int
    month_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeingSum:
    """What the accounts of an office (or of all) owe, by the age of the dues past their due date [paise]."""

    office: str | None
    accounts: int
    not_due_paise: int
    to_30_days_paise: int
    to_60_days_paise: int
    to_90_days_paise: int
    over_90_days_paise: int
    overdue_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeSum:
    """What an office billed and received this month [paise]; efficiency_pct: the one over the other."""

    office: str | None
    demand_paise: int
    received_paise: int
    payments: int
    efficiency_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """
    The collections of a branch on a day and in a month, up to that day.

    demand_paise: what was billed in the month; efficiency_pct: month_paise in per cent of it.
    unmatched: the payments of which nobody knows yet whose they are; they belong to no branch.
    """

    on: date
    month: Month
    today_paise: int
    payments_today: int
    month_paise: int
    payments_month: int
    demand_paise: int
    efficiency_pct: float | None
    channels: tuple[ChannelSum, ...]
    offices: tuple[OfficeSum, ...]
    ageing: AgeingSum
    ageing_by_office: tuple[AgeingSum, ...]
    assessed_on: date | None
    unmatched: tuple[Payment, ...]
    unmatched_paise: int
    newest: tuple[Payment, ...]


def channel_sums(*, today: Sequence[Received], month: Sequence[Received]) -> tuple[ChannelSum, ...]:
    """Return what came in which way, in the order of `METHOD_NAMES`, others after them."""
    order = {method: place for place, method in enumerate(METHOD_NAMES)}
    methods = sorted(
        {each.method for each in (*today, *month)}, key=lambda name: (order.get(name, len(order)), name)
    )
    return tuple(
        ChannelSum(
            method=method,
            payments_today=sum(each.payments for each in today if each.method == method),
            today_paise=sum(each.amount_paise for each in today if each.method == method),
            payments_month=sum(each.payments for each in month if each.method == method),
            month_paise=sum(each.amount_paise for each in month if each.method == method),
        )
        for method in methods
    )


def office_sums(
    *, demand: Mapping[str, int], received: Iterable[Received], office_of: OfficeOf
) -> tuple[OfficeSum, ...]:
    """Return what each office billed and received, by code; what belongs to no office last."""
    demands: dict[str | None, int] = {}
    sums: dict[str | None, tuple[int, int]] = {}
    for account, paise in demand.items():
        office = office_of(account)
        demands[office] = demands.get(office, 0) + paise
    for each in received:
        office = None if each.account is None else office_of(each.account)
        payments, paise = sums.get(office, (0, 0))
        sums[office] = (payments + each.payments, paise + each.amount_paise)
    return tuple(
        OfficeSum(
            office=office,
            demand_paise=demands.get(office, 0),
            received_paise=sums.get(office, (0, 0))[1],
            payments=sums.get(office, (0, 0))[0],
            efficiency_pct=efficiency_pct(
                received_paise=sums.get(office, (0, 0))[1], demand_paise=demands.get(office, 0)
            ),
        )
        for office in sorted(demands.keys() | sums.keys(), key=lambda code: (code is None, code or ""))
    )


def ageing_sum(rows: Sequence[Ageing], *, office: str | None = None) -> AgeingSum:
    """Return the sums of ageing rows [paise]."""
    return AgeingSum(
        office=office,
        accounts=len(rows),
        not_due_paise=sum(row.not_due_paise for row in rows),
        to_30_days_paise=sum(row.to_30_days_paise for row in rows),
        to_60_days_paise=sum(row.to_60_days_paise for row in rows),
        to_90_days_paise=sum(row.to_90_days_paise for row in rows),
        over_90_days_paise=sum(row.over_90_days_paise for row in rows),
        overdue_paise=sum(row.overdue_paise for row in rows),
    )


def ageing_by_office(rows: Iterable[Ageing]) -> tuple[AgeingSum, ...]:
    """Return the sums of ageing rows [paise] by office."""
    grouped: dict[str, list[Ageing]] = {}
    for row in rows:
        grouped.setdefault(row.office, []).append(row)
    return tuple(ageing_sum(found, office=office) for office, found in sorted(grouped.items()))


def efficiency_pct(*, received_paise: int, demand_paise: int) -> float | None:
    """
    Return what was received in per cent of what was billed, None where nothing was.

    >>> efficiency_pct(received_paise=2, demand_paise=3), efficiency_pct(received_paise=1, demand_paise=0)
    (66.7, None)
    """
    if not demand_paise:
        return None
    scale: int = 10**PERCENT_DECIMALS
    return round_half_up(Fraction(100 * scale * received_paise, demand_paise)) / scale
