"""
The disconnectable due D: what an account owes that the law and the policy would let a relay be opened for.

D = the enforceable dues - unallocated credit - holds - what was deposited under protest. A due is enforceable when it
is past the policy's age, younger than the law's two years, not disputed, in no instalment plan, and named by a served
notice whose clear days have passed. The supply is off only while D is above 0.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from bijlighar.arrears.model import Ageing, Circumstance, CircumstanceKind, DueFact, Facts, NoticeFact
from bijlighar.arrears.policy import Policy

MONTHS_PER_YEAR = 12


class DueVerdict(StrEnum):
    """Why a due is, or is not, one that a relay may be opened for; the first that holds."""

    YOUNG = "young"
    BEYOND_LIMIT = "beyond_limit"
    DISPUTED = "disputed"
    IN_INSTALMENTS = "in_instalments"
    NOT_NOTICED = "not_noticed"
    NOT_SERVED = "not_served"
    CLEAR_DAYS_RUNNING = "clear_days_running"
    ENFORCEABLE = "enforceable"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDue:
    """A due and its verdict on one day."""

    due: DueFact
    age_days: int
    verdict: DueVerdict


def age_days(*, due_on: date, on: date) -> int:
    """
    Return how many days `on` lies past the due date: 0 on the due date, negative before it.

    >>> age_days(due_on=date(2025, 5, 11), on=date(2025, 7, 10))
    60
    """
    return (on - due_on).days


def months_later(*, day: date, months: int) -> date:
    """
    Return the same day so many months later, or that month's last day.

    >>> months_later(day=date(2024, 2, 29), months=24)
    datetime.date(2026, 2, 28)
    """
    year, month = divmod(day.year * MONTHS_PER_YEAR + day.month - 1 + months, MONTHS_PER_YEAR)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def first_day_after_clear_days(*, served_on: date, clear_days: int) -> date:
    """
    Return the earliest day of a cut: the day of service and the day of the cut are not counted (clear days).

    >>> first_day_after_clear_days(served_on=date(2025, 6, 20), clear_days=15)
    datetime.date(2025, 7, 6)
    """
    return served_on + timedelta(days=clear_days + 1)


def holds_on(circumstance: Circumstance, *, on: date) -> bool:
    """Return whether the circumstance is in force on a day."""
    return circumstance.entered_on <= on and (circumstance.until is None or on <= circumstance.until)


def concerns(circumstance: Circumstance, *, due: DueFact) -> bool:
    """Return whether the circumstance concerns a due."""
    if circumstance.document:
        return circumstance.document == due.document
    return due.issued_on <= circumstance.entered_on


def judge_dues(*, facts: Facts, policy: Policy, on: date) -> tuple[JudgedDue, ...]:
    """Return every open due with its verdict on a day."""
    in_force = tuple(item for item in facts.circumstances if holds_on(item, on=on))
    return tuple(
        JudgedDue(
            due=due,
            age_days=age_days(due_on=due.due_on, on=on),
            verdict=_verdict(due=due, in_force=in_force, notices=facts.notices, policy=policy, on=on),
        )
        for due in facts.dues
        if due.open_paise > 0
    )


def _verdict(
    *,
    due: DueFact,
    in_force: Sequence[Circumstance],
    notices: Sequence[NoticeFact],
    policy: Policy,
    on: date,
) -> DueVerdict:
    kinds = {item.kind for item in in_force if concerns(item, due=due)}
    if age_days(due_on=due.due_on, on=on) <= policy.list_after_days:
        return DueVerdict.YOUNG
    limit = months_later(day=due.first_due_on, months=policy.limit_months)
    if on >= limit and CircumstanceKind.SHOWN_CONTINUOUSLY not in kinds:
        return DueVerdict.BEYOND_LIMIT
    if CircumstanceKind.DISPUTE in kinds:
        return DueVerdict.DISPUTED
    if CircumstanceKind.INSTALMENTS in kinds:
        return DueVerdict.IN_INSTALMENTS
    return _verdict_of_notices(due=due, notices=notices, policy=policy, on=on)


def _verdict_of_notices(
    *, due: DueFact, notices: Sequence[NoticeFact], policy: Policy, on: date
) -> DueVerdict:
    naming = tuple(notice for notice in notices if due.document in notice.documents)
    if not naming:
        return DueVerdict.NOT_NOTICED
    served = tuple(notice.served_on for notice in naming if notice.served_on is not None)
    if not served:
        return DueVerdict.NOT_SERVED
    earliest = first_day_after_clear_days(served_on=min(served), clear_days=policy.clear_days)
    return DueVerdict.ENFORCEABLE if on >= earliest else DueVerdict.CLEAR_DAYS_RUNNING


def enforceable_paise(judged: Sequence[JudgedDue]) -> int:
    """Return the sum of the enforceable dues [paise]."""
    return sum(item.due.open_paise for item in judged if item.verdict is DueVerdict.ENFORCEABLE)


def protest_suffices(*, facts: Facts, claimed_paise: int) -> bool:
    """
    Return whether a deposit under protest forbids the cut (s.56(1), proviso).

    It does when it reaches the lesser of the sum claimed and the average monthly charge of the last six months.
    """
    average_paise = facts.average_month_paise
    lesser_paise = claimed_paise if average_paise is None else min(claimed_paise, average_paise)
    return facts.protest_paise > 0 and facts.protest_paise >= lesser_paise


def disconnectable_due_paise(*, facts: Facts, policy: Policy, on: date) -> int:
    """Return D on a day [paise]; 0 or below: nobody may open the relay for arrears, and an open one closes."""
    claimed_paise = enforceable_paise(judge_dues(facts=facts, policy=policy, on=on))
    left_paise = claimed_paise - facts.unallocated_paise - facts.holds_paise - facts.protest_paise
    return min(0, left_paise) if protest_suffices(facts=facts, claimed_paise=claimed_paise) else left_paise


def overdue(dues: Sequence[DueFact], *, on: date) -> tuple[DueFact, ...]:
    """Return the unpaid dues that are past their due date, oldest first."""
    late = (due for due in dues if due.open_paise > 0 and due.due_on < on)
    return tuple(sorted(late, key=lambda due: (due.due_on, due.issued_on, due.document)))


def is_old_enough(dues: Sequence[DueFact], *, policy: Policy, on: date) -> bool:
    """Return whether age and number of unpaid bills put an account on its office's list, before any protection."""
    late = overdue(dues, on=on)
    if sum(due.is_bill for due in late) < policy.list_bills:
        return False
    return age_days(due_on=late[0].due_on, on=on) > policy.list_after_days


def wants_notice(dues: Sequence[DueFact], *, policy: Policy, on: date) -> bool:
    """Return whether the oldest due is past the day on which its statutory notice goes out."""
    late = overdue(dues, on=on)
    return bool(late) and age_days(due_on=late[0].due_on, on=on) > policy.notice_after_days


def ageing(*, account: str, office: str, dues: Sequence[DueFact], policy: Policy, on: date) -> Ageing:
    """Return what the account owes by age on a day; what lies beyond the two years is counted apart as well."""
    late = overdue(dues, on=on)
    ages = tuple((age_days(due_on=due.due_on, on=on), due) for due in late)
    return Ageing(
        account=account,
        office=office,
        on=on,
        not_due_paise=sum(due.open_paise for due in dues if due.open_paise > 0 and due.due_on >= on),
        to_30_days_paise=sum(due.open_paise for age, due in ages if age <= 30),
        to_60_days_paise=sum(due.open_paise for age, due in ages if 30 < age <= 60),
        to_90_days_paise=sum(due.open_paise for age, due in ages if 60 < age <= 90),
        over_90_days_paise=sum(due.open_paise for age, due in ages if age > 90),
        beyond_limit_paise=sum(
            due.open_paise
            for due in late
            if on >= months_later(day=due.first_due_on, months=policy.limit_months)
        ),
        oldest_due_on=late[0].due_on if late else None,
        bills=sum(due.is_bill for due in late),
    )
