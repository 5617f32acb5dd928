"""
The guards before a relay: each looks at the facts alone, and either lets the cut pass or says why not.

No guard trusts another: whatever the earlier ones let pass, `due` asks again whether D is above 0. A guard that
cannot know (a year without holidays, a missing approval) does not let pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bijlighar.arrears import dues as due_rules
from bijlighar.arrears.dues import DueVerdict, JudgedDue
from bijlighar.arrears.model import Facts, ProtectionFact, Stage
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.window import is_before_holiday, is_calendar_known, is_cutting_hour
from bijlighar.base.money import rupees
from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.headend.rules import reason_words
from bijlighar.registry.model import protection_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The facts, and what follows from them at one moment."""

    facts: Facts
    policy: Policy
    now: datetime
    today: date
    judged: tuple[JudgedDue, ...]
    due_paise: int

    @classmethod
    def at(cls, *, facts: Facts, policy: Policy, now: datetime) -> "Situation":
        """Return the situation at `now`."""
        today = local_date(now)
        return cls(
            facts=facts,
            policy=policy,
            now=now,
            today=today,
            judged=due_rules.judge_dues(facts=facts, policy=policy, on=today),
            due_paise=due_rules.disconnectable_due_paise(facts=facts, policy=policy, on=today),
        )


Check = Callable[[Situation], Words | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guard: what a person calls it, when it stands, and what it asks."""

    code: str
    name: Words
    stages: frozenset[Stage]
    check: Check


def day_words(day: date) -> str:
    """
    Return a day as it is written in letters.

    >>> day_words(date(2025, 7, 6))
    '06-07-2025'
    """
    return day.strftime("%d-%m-%Y")


def is_protected(protection: ProtectionFact, *, policy: Policy, on: date) -> bool:
    """Return whether the protection stops a cut on a day; a kind the policy does not know stops it too."""
    if protection.kind in policy.kinds_without_effect:
        return False
    return protection.until is None or on <= protection.until


def is_protected_category(category: str, *, policy: Policy) -> bool:
    """Return whether the tariff category is protected; `LV-3` names `LV-3.1` as well."""
    return any(category == name or category.startswith(f"{name}.") for name in policy.protected_categories)


def _age(case: Situation) -> Words | None:
    late = due_rules.overdue(case.facts.dues, on=case.today)
    least = case.policy.list_after_days
    if not late:
        return Words(hi="कोई बकाया राशि नहीं है", en="nothing is overdue")
    oldest = due_rules.age_days(due_on=late[0].due_on, on=case.today)
    if oldest > least:
        return None
    return Words(
        hi=f"सबसे पुराना बकाया {oldest} दिन का है; {least} दिन से अधिक होने पर ही विच्छेदन संभव है",
        en=f"the oldest due is {oldest} days past its due date; more than {least} are needed",
    )


def _bills(case: Situation) -> Words | None:
    unpaid = sum(due.is_bill for due in due_rules.overdue(case.facts.dues, on=case.today))
    least = case.policy.list_bills
    if unpaid >= least:
        return None
    return Words(
        hi=f"बकाया बिलों की संख्या {unpaid} है; कम से कम {least} चाहिए",
        en=f"unpaid bills: {unpaid}; at least {least} are needed",
    )


def _all_dropped_by(case: Situation, *verdicts: DueVerdict) -> bool:
    """Return whether the last of the old dues fell to one of `verdicts`, so that nothing is left to enforce."""
    old = [item for item in case.judged if item.verdict is not DueVerdict.YOUNG]
    if not old or any(item.verdict is DueVerdict.ENFORCEABLE for item in old):
        return False
    return any(item.verdict in verdicts for item in old)


def _limit(case: Situation) -> Words | None:
    if not _all_dropped_by(case, DueVerdict.BEYOND_LIMIT):
        return None
    months = case.policy.limit_months
    return Words(
        hi=f"बकाया {months} माह से पुराना है; धारा 56(2) के अनुसार विच्छेदन नहीं हो सकता",
        en=f"the dues are older than {months} months; section 56(2) allows no cut for them",
    )


def _dispute(case: Situation) -> Words | None:
    if not _all_dropped_by(case, DueVerdict.DISPUTED):
        return None
    return Words(hi="बिल विवादित है", en="the bill is disputed")


def _instalments(case: Situation) -> Words | None:
    if not _all_dropped_by(case, DueVerdict.IN_INSTALMENTS):
        return None
    return Words(hi="किस्त योजना चालू है", en="an instalment plan is running")


def _notice(case: Situation) -> Words | None:
    if _all_dropped_by(case, DueVerdict.NOT_SERVED):
        return Words(
            hi="वैधानिक सूचना भेजी गई है पर तामील का प्रमाण नहीं है",
            en="the statutory notice went out, but there is no proof that it was served",
        )
    if _all_dropped_by(case, DueVerdict.NOT_NOTICED):
        return Words(hi="वैधानिक सूचना नहीं दी गई है", en="no statutory notice was given for these dues")
    return None


def _clear_days(case: Situation) -> Words | None:
    if not _all_dropped_by(case, DueVerdict.CLEAR_DAYS_RUNNING):
        return None
    old = {item.due.document for item in case.judged if item.verdict is DueVerdict.CLEAR_DAYS_RUNNING}
    served = min(
        notice.served_on
        for notice in case.facts.notices
        if notice.served_on is not None and old & set(notice.documents)
    )
    days = case.policy.clear_days
    earliest = due_rules.first_day_after_clear_days(served_on=served, clear_days=days)
    return Words(
        hi=f"सूचना {day_words(served)} को तामील हुई; {days} पूरे दिन के बाद {day_words(earliest)} से पहले विच्छेदन नहीं",
        en=f"the notice was served on {day_words(served)}; {days} clear days end before {day_words(earliest)}",
    )


def _credit(case: Situation) -> Words | None:
    claimed_paise = due_rules.enforceable_paise(case.judged)
    if claimed_paise == 0 or claimed_paise > case.facts.unallocated_paise:
        return None
    amount = rupees(case.facts.unallocated_paise)
    return Words(
        hi=f"खाते में जमा अग्रिम {amount} से बकाया पूरा होता है",
        en=f"credit of {amount} on the account covers the dues",
    )


def _pending_payment(case: Situation) -> Words | None:
    claimed_paise = due_rules.enforceable_paise(case.judged)
    left_paise = claimed_paise - case.facts.unallocated_paise
    if left_paise <= 0 or case.facts.holds_paise == 0 or left_paise > case.facts.holds_paise:
        return None
    amount = rupees(case.facts.holds_paise)
    return Words(
        hi=f"{amount} का भुगतान प्रक्रिया में है (चेक/यूपीआई/बीबीपीएस)",
        en=f"a payment of {amount} is on its way (cheque, UPI or BBPS)",
    )


def _protest(case: Situation) -> Words | None:
    claimed_paise = due_rules.enforceable_paise(case.judged)
    if not due_rules.protest_suffices(facts=case.facts, claimed_paise=claimed_paise):
        return None
    amount = rupees(case.facts.protest_paise)
    return Words(
        hi=f"{amount} आपत्ति सहित जमा किए गए हैं; धारा 56(1) के परंतुक से विच्छेदन नहीं हो सकता",
        en=f"{amount} was deposited under protest; the proviso of section 56(1) allows no cut",
    )


def _minimum(case: Situation) -> Words | None:
    least_paise = case.policy.minimum_paise
    if case.due_paise <= 0 or case.due_paise > least_paise:
        return None
    return Words(
        hi=f"देय राशि {rupees(case.due_paise)} न्यूनतम {rupees(least_paise)} से अधिक नहीं है",
        en=f"the due of {rupees(case.due_paise)} is not above the minimum of {rupees(least_paise)}",
    )


def _due(case: Situation) -> Words | None:
    if case.due_paise > 0:
        return None
    return Words(
        hi="ऐसी कोई राशि नहीं है जिसके लिए विच्छेदन किया जा सके",
        en="there is no sum for which supply may be cut",
    )


def _protected(case: Situation) -> Words | None:
    standing = [
        protection
        for protection in case.facts.protections
        if is_protected(protection, policy=case.policy, on=case.today)
    ]
    if not standing:
        return None
    kinds = [protection_words(kind) for kind in sorted({protection.kind for protection in standing})]
    return Words(
        hi=f"संरक्षित उपभोक्ता ({', '.join(kind.hi for kind in kinds)})",
        en=f"a protected consumer ({', '.join(kind.en for kind in kinds)})",
    )


def _category(case: Situation) -> Words | None:
    if not is_protected_category(case.facts.category, policy=case.policy):
        return None
    return Words(
        hi=f"टैरिफ श्रेणी {case.facts.category} संरक्षित है", en=f"the category {case.facts.category} is protected"
    )


def _meter(case: Situation) -> Words | None:
    meter = case.facts.supply.meter
    if meter is None:
        return Words(hi="इस उपभोक्ता पर आज कोई मीटर दर्ज नहीं है", en="no meter hangs at this account today")
    order = case.facts.order
    if order is not None and order.meter != meter:
        return Words(
            hi=f"सूची मीटर {order.meter} के लिए थी, आज मीटर {meter} लगा है",
            en=f"the list named meter {order.meter}, but meter {meter} hangs there today",
        )
    return None


def _closed(case: Situation) -> Words | None:
    reasons = case.facts.supply.open_reasons
    if not reasons:
        return None
    names = [reason_words(reason) for reason in sorted(reasons)]
    return Words(
        hi=f"आपूर्ति पहले से बंद है ({', '.join(name.hi for name in names)})",
        en=f"supply is off already ({', '.join(name.en for name in names)})",
    )


def _one_order(case: Situation) -> Words | None:
    if case.facts.other_order is None:
        return None
    return Words(
        hi=f"आदेश {case.facts.other_order} पहले से चल रहा है",
        en=f"order {case.facts.other_order} is under way already",
    )


def _approved(case: Situation) -> Words | None:
    order = case.facts.order
    if order is not None and order.approved_by and order.approved_at is not None:
        return None
    return Words(hi="सूची अनुमोदित नहीं है", en="the list is not approved")


def _four_eyes(case: Situation) -> Words | None:
    order = case.facts.order
    if order is not None and order.approved_by and order.approved_by != order.drawn_by:
        return None
    return Words(hi="सूची बनाने वाले ने ही अनुमोदन किया है", en="the list was approved by the one who drew it up")


def _fresh(case: Situation) -> Words | None:
    order, days = case.facts.order, case.policy.approval_valid_days
    if order is not None and order.approved_at is not None:
        age = case.now - order.approved_at
        if timedelta(0) <= age <= timedelta(days=days):
            return None
    return Words(hi=f"अनुमोदन {days} दिन से पुराना है", en=f"the approval is older than {days} days")


def _warned(case: Situation) -> Words | None:
    order, days = case.facts.order, case.policy.warning_days
    if order is None or order.warned_at is None:
        return Words(
            hi="अंतिम चेतावनी भेजे जाने का प्रमाण नहीं है", en="there is no proof that the last warning was sent"
        )
    earliest = due_rules.first_day_after_clear_days(
        served_on=local_date(order.warned_at), clear_days=case.policy.warning_days
    )
    if case.today >= earliest:
        return None
    return Words(
        hi=f"अंतिम चेतावनी के {days} पूरे दिन {day_words(earliest)} से पहले पूरे नहीं होते",
        en=f"{days} full days since the last warning are not over before {day_words(earliest)}",
    )


def _halted(case: Situation) -> Words | None:
    if not case.facts.halted:
        return None
    return Words(hi="सभी विच्छेदन रोक दिए गए हैं", en="all disconnections are halted")


def _hours(case: Situation) -> Words | None:
    if is_cutting_hour(case.now, policy=case.policy):
        return None
    span = f"{case.policy.cut_from:%H:%M}-{case.policy.cut_to:%H:%M}"
    return Words(hi=f"विच्छेदन केवल {span} बजे के बीच होता है", en=f"supply is cut only between {span}")


def _day(case: Situation) -> Words | None:
    policy, today = case.policy, case.today
    if not is_calendar_known(today, policy=policy):
        return Words(
            hi=f"नीति में वर्ष {today.year} की छुट्टियां दर्ज नहीं हैं",
            en=f"the policy has no holidays for {today.year}",
        )
    if today in policy.holidays:
        name = policy.holidays[today]
        return Words(hi=f"आज अवकाश है ({name.hi})", en=f"today is a holiday ({name.en})")
    if today.weekday() not in policy.weekdays:
        return Words(hi="आज विच्छेदन का दिन नहीं है", en="today is no day of the week for cutting")
    if not policy.cuts_before_holidays and is_before_holiday(today, policy=policy):
        return Words(hi="कल अवकाश है", en="tomorrow is a holiday")
    return None


def _per_hour(case: Situation) -> Words | None:
    most = case.policy.per_hour
    if case.facts.sent is not None and case.facts.sent.last_hour < most:
        return None
    return Words(hi=f"एक घंटे में अधिकतम {most} विच्छेदन", en=f"at most {most} disconnections within one hour")


def _per_office(case: Situation) -> Words | None:
    most = case.policy.per_office_day
    if case.facts.sent is not None and case.facts.sent.office_today < most:
        return None
    return Words(
        hi=f"एक वितरण केंद्र में एक दिन में अधिकतम {most} विच्छेदन",
        en=f"at most {most} disconnections of an office in one day",
    )


def _share(case: Situation) -> Words | None:
    percent, sent = case.policy.office_share_percent, case.facts.sent
    if sent is not None and sent.office_today < max(1, sent.office_accounts * percent // 100):
        return None
    return Words(
        hi=f"एक दिन में वितरण केंद्र के अधिकतम {percent} % उपभोक्ता",
        en=f"at most {percent} % of an office's accounts in one day",
    )


_ALWAYS = frozenset(Stage)
_WITH_ORDER = frozenset({Stage.SEND})


def _guard(code: str, check: Check, stages: frozenset[Stage], *, hi: str, en: str) -> Guard:
    return Guard(code=code, name=Words(hi=hi, en=en), stages=stages, check=check)


#: Every guard, in the order in which a person reads them.
GUARDS: Sequence[Guard] = (
    _guard("age", _age, _ALWAYS, hi="बकाया की अवधि", en="age of the oldest due"),
    _guard("bills", _bills, _ALWAYS, hi="बकाया बिलों की संख्या", en="number of unpaid bills"),
    _guard("limit", _limit, _ALWAYS, hi="दो वर्ष की सीमा, धारा 56(2)", en="two years, section 56(2)"),
    _guard("dispute", _dispute, _ALWAYS, hi="विवादित बिल", en="disputed bill"),
    _guard("instalments", _instalments, _ALWAYS, hi="किस्त योजना", en="instalment plan"),
    _guard("notice", _notice, _ALWAYS, hi="वैधानिक सूचना की तामील", en="statutory notice served"),
    _guard(
        "clear_days", _clear_days, _ALWAYS, hi="सूचना के पूरे दिन, धारा 56(1)", en="clear days, section 56(1)"
    ),
    _guard("credit", _credit, _ALWAYS, hi="खाते में अग्रिम", en="credit on the account"),
    _guard("pending_payment", _pending_payment, _ALWAYS, hi="प्रक्रिया में भुगतान", en="payment on its way"),
    _guard("protest", _protest, _ALWAYS, hi="आपत्ति सहित जमा", en="deposit under protest"),
    _guard("minimum", _minimum, _ALWAYS, hi="न्यूनतम राशि", en="minimum sum"),
    _guard("due", _due, _ALWAYS, hi="विच्छेदन योग्य राशि", en="a sum that may be enforced"),
    _guard("protected", _protected, _ALWAYS, hi="संरक्षित उपभोक्ता", en="protected consumer"),
    _guard("category", _category, _ALWAYS, hi="संरक्षित श्रेणी", en="protected category"),
    _guard("meter", _meter, _ALWAYS, hi="मीटर और उपभोक्ता का मिलान", en="meter belongs to the account today"),
    _guard("supply_on", _closed, _ALWAYS, hi="आपूर्ति चालू है", en="supply is on"),
    _guard("one_order", _one_order, _ALWAYS, hi="एक ही आदेश", en="no other order under way"),
    _guard("approved", _approved, _WITH_ORDER, hi="अनुमोदन", en="approval"),
    _guard("four_eyes", _four_eyes, _WITH_ORDER, hi="दूसरे व्यक्ति का अनुमोदन", en="approval by another person"),
    _guard("fresh", _fresh, _WITH_ORDER, hi="अनुमोदन की वैधता", en="approval still valid"),
    _guard("warned", _warned, _WITH_ORDER, hi="अंतिम चेतावनी", en="last warning"),
    _guard("halt", _halted, _WITH_ORDER, hi="रोक", en="no halt"),
    _guard("hours", _hours, _WITH_ORDER, hi="विच्छेदन का समय", en="cutting hours"),
    _guard("day", _day, _WITH_ORDER, hi="कार्य दिवस", en="working day"),
    _guard("per_hour", _per_hour, _WITH_ORDER, hi="प्रति घंटा सीमा", en="ceiling per hour"),
    _guard(
        "per_office", _per_office, _WITH_ORDER, hi="वितरण केंद्र की दैनिक सीमा", en="ceiling per office and day"
    ),
    _guard("share", _share, _WITH_ORDER, hi="उपभोक्ताओं का अधिकतम हिस्सा", en="ceiling as a share of accounts"),
)
