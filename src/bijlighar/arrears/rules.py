"""The room's pure decisions: the policy, ageing, the disconnectable due, whether to cut, and when at the earliest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum

from bijlighar.arrears.dues import (
    DueVerdict,
    JudgedDue,
    age_days,
    ageing,
    disconnectable_due_paise,
    first_day_after_clear_days,
    is_old_enough,
    judge_dues,
    overdue,
    wants_notice,
)
from bijlighar.arrears.errors import BrokenPolicy
from bijlighar.arrears.guards import GUARDS, Situation, day_words, is_protected, is_protected_category
from bijlighar.arrears.model import Decision, Facts, NoticeFact, Reason, Stage, SupplyFact, Way
from bijlighar.arrears.policy import Policy, load_policy
from bijlighar.arrears.window import end_of_window, is_cutting_time, next_cutting_time
from bijlighar.arrears.wording import STANDING_NAMES, Standing, checks_of, code_words
from bijlighar.base.period import local_time
from bijlighar.base.words import Words

__all__ = [
    "GUARDS",
    "STANDING_NAMES",
    "TYPED_COUNT_OVER",
    "BrokenPolicy",
    "DueVerdict",
    "JudgedDue",
    "Outlook",
    "Policy",
    "Standing",
    "age_days",
    "ageing",
    "by_hand_id",
    "canonical",
    "checks_of",
    "code_words",
    "day_words",
    "decide",
    "disconnectable_due_paise",
    "end_of_window",
    "first_day_after_clear_days",
    "is_cutting_time",
    "is_old_enough",
    "is_protected",
    "is_protected_category",
    "judge_dues",
    "load_policy",
    "may_be_off",
    "next_cutting_time",
    "outlook",
    "overdue",
    "plain",
    "snapshot_hash",
    "wants_notice",
    "way_to",
]

PASSED = Words(hi="ठीक", en="passed")
#: Who approves more rows than these writes their number, so that nobody approves hundreds by a slip of the finger.
TYPED_COUNT_OVER = 20


def decide(*, facts: Facts, policy: Policy, now: datetime, stage: Stage) -> Decision:
    """Return whether the account may be cut as far as `stage` asks, with every guard's verdict and every input."""
    case = Situation.at(facts=facts, policy=policy, now=now)
    checks = tuple(
        _verdict(code=guard.code, name=guard.name, refusal=guard.check(case))
        for guard in GUARDS
        if stage in guard.stages
    )
    reasons = tuple(check for check in checks if not check.passed)
    way = way_to(facts.supply, policy=policy, now=now)
    record = {
        "stage": stage.value,
        "at": plain(now),
        "policy": {"id": policy.id, "version": policy.version},
        "go": not reasons,
        "way": way.value,
        "due_paise": case.due_paise,
        "dues": [
            {"document": item.due.document, "age_days": item.age_days, "verdict": item.verdict.value}
            for item in case.judged
        ],
        "checks": [
            {"code": check.code, "passed": check.passed, "hi": check.words.hi, "en": check.words.en}
            for check in checks
        ],
        "facts": plain(facts),
    }
    return Decision(
        go=not reasons, way=way, due_paise=case.due_paise, reasons=reasons, checks=checks, record=record
    )


def _verdict(*, code: str, name: Words, refusal: Words | None) -> Reason:
    return Reason(code=code, guard=name, passed=refusal is None, words=PASSED if refusal is None else refusal)


def may_be_off(*, facts: Facts, policy: Policy, on: date) -> bool:
    """
    Return whether supply may be off for arrears, or stay off: "until paid, but no longer" (s.56(1)).

    It may not once D is 0 or below, nor where the consumer has come under protection meanwhile.
    """
    if disconnectable_due_paise(facts=facts, policy=policy, on=on) <= 0:
        return False
    if is_protected_category(facts.category, policy=policy):
        return False
    return not any(is_protected(protection, policy=policy, on=on) for protection in facts.protections)


def way_to(supply: SupplyFact, *, policy: Policy, now: datetime) -> Way:
    """Return how the relay is reached: over the air if the meter has one and was heard lately, else by hand."""
    if not supply.has_relay or supply.last_contact is None:
        return Way.BY_HAND
    silent_for = now - supply.last_contact
    return Way.RELAY if silent_for <= timedelta(hours=policy.heard_within_hours) else Way.BY_HAND


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """When an account may be cut at the earliest if nothing is paid, and what has to happen before (in order)."""

    earliest: datetime | None
    steps: tuple[tuple[date, Words], ...]
    never: Words | None


NOT_OWING = Words(hi="कोई बकाया नहीं है, विच्छेदन नहीं होगा", en="nothing is owed, so nothing will be cut")
PROTECTED = Words(hi="संरक्षित उपभोक्ता, विच्छेदन नहीं होगा", en="protected, so supply will not be cut")
TOO_FEW = Words(
    hi="जब तक और बिल बकाया न हों, विच्छेदन नहीं होगा",
    en="supply is not cut before more bills fall overdue",
)
NO_CALENDAR = Words(hi="कोई विच्छेदन दिवस ज्ञात नहीं है", en="no cutting day is known to the policy")


def outlook(*, facts: Facts, policy: Policy, now: datetime, today: date) -> Outlook:
    """Return the earliest moment of a cut, under the assumption that each step is taken as soon as it may be."""
    unpaid = sorted((due for due in facts.dues if due.open_paise > 0), key=lambda due: due.due_on)
    if not unpaid:
        return Outlook(earliest=None, steps=(), never=NOT_OWING)
    standing = any(is_protected(item, policy=policy, on=today) for item in facts.protections)
    if standing or is_protected_category(facts.category, policy=policy):
        return Outlook(earliest=None, steps=(), never=PROTECTED)
    bills = [due.due_on for due in unpaid if due.is_bill]
    if len(bills) < policy.list_bills:
        return Outlook(earliest=None, steps=(), never=TOO_FEW)
    oldest = unpaid[0]
    served, notice_step = _notice_step(
        facts.notices, document=oldest.document, due_on=oldest.due_on, policy=policy
    )
    after_notice = first_day_after_clear_days(
        served_on=max(served, oldest.due_on), clear_days=policy.clear_days
    )
    old_enough = oldest.due_on + timedelta(days=policy.list_after_days + 1)
    enough_bills = bills[policy.list_bills - 1] + timedelta(days=1)
    listed = max(old_enough, enough_bills, after_notice, today)
    warned = first_day_after_clear_days(served_on=listed, clear_days=policy.warning_days)
    earliest = next_cutting_time(after=max(local_time(warned, time(0)), now), policy=policy)
    steps = (
        (oldest.due_on, Words(hi="सबसे पुराने बकाया की अंतिम तिथि", en="due date of the oldest due")),
        notice_step,
        (after_notice, Words(hi="सूचना के पूरे दिन समाप्त", en="the notice's clear days are over")),
        (listed, Words(hi="सूची में लिया जा सकता है", en="may be put on the list")),
        (warned, Words(hi="अंतिम चेतावनी के बाद का पहला दिन", en="first day after the last warning")),
    )
    return Outlook(earliest=earliest, steps=steps, never=None if earliest else NO_CALENDAR)


def _notice_step(
    notices: Sequence[NoticeFact], *, document: str, due_on: date, policy: Policy
) -> tuple[date, tuple[date, Words]]:
    naming = [notice for notice in notices if document in notice.documents]
    served = [notice.served_on for notice in naming if notice.served_on is not None]
    if served:
        return min(served), (min(served), Words(hi="वैधानिक सूचना तामील हुई", en="statutory notice served"))
    if naming:
        sent = min(notice.queued_on for notice in naming)
        words = Words(hi="वैधानिक सूचना भेजी गई, तामील शेष", en="statutory notice sent, not yet proven served")
        return sent, (sent, words)
    goes = due_on + timedelta(days=policy.notice_after_days + 1)
    return goes, (goes, Words(hi="वैधानिक सूचना भेजी जाएगी", en="the statutory notice goes out"))


def by_hand_id(order_number: int) -> str:
    """
    Return what a reconnection by hand is called.

    >>> by_hand_id(17)
    'A17-hand'
    """
    return f"A{order_number}-hand"


def canonical(document: object) -> str:
    """
    Return `document` as JSON with one spelling.

    >>> canonical({"b": 1, "a": date(2025, 7, 6)})
    '{"a":"2025-07-06","b":1}'
    """
    return json.dumps(plain(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def snapshot_hash(rows: Sequence[Mapping[str, object]]) -> str:
    """
    Return the SHA-256 of a list's rows as they were approved, in hex.

    >>> snapshot_hash([{"account": "N1", "due_paise": 5}])[:16]
    '7147f217d404c641'
    """
    return hashlib.sha256(canonical(list(rows)).encode()).hexdigest()


def plain(value: object) -> object:
    """Return `value` as JSON types: dataclasses as objects, sets sorted, days and moments in ISO 8601."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date | time):
        return value.isoformat()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset | list | tuple):
        items = [plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    return value
