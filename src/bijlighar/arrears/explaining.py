"""A decision in words: what is owed, what was told, what would happen and when at the earliest. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bijlighar.arrears import rules
from bijlighar.arrears.dues import DueVerdict, JudgedDue
from bijlighar.arrears.model import STATE_NAMES, Decision, Facts, NoticeFact, Order
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.rules import Outlook, day_words
from bijlighar.base.money import rupees
from bijlighar.base.period import IST, local_date
from bijlighar.base.words import Words
from bijlighar.headend.rules import reason_words
from bijlighar.registry.model import protection_words

VERDICT_NAMES: Mapping[DueVerdict, Words] = {
    DueVerdict.YOUNG: Words(hi="अभी विच्छेदन योग्य नहीं", en="not old enough to cut for"),
    DueVerdict.BEYOND_LIMIT: Words(hi="दो वर्ष से पुराना, विच्छेदन नहीं", en="older than two years, no cut for it"),
    DueVerdict.DISPUTED: Words(hi="विवादित", en="disputed"),
    DueVerdict.IN_INSTALMENTS: Words(hi="किस्त योजना में", en="in an instalment plan"),
    DueVerdict.NOT_NOTICED: Words(hi="सूचना नहीं दी गई", en="no notice given"),
    DueVerdict.NOT_SERVED: Words(hi="सूचना की तामील शेष", en="notice not proven served"),
    DueVerdict.CLEAR_DAYS_RUNNING: Words(hi="सूचना के दिन चल रहे हैं", en="the notice's clear days are running"),
    DueVerdict.ENFORCEABLE: Words(hi="विच्छेदन योग्य", en="may be enforced"),
}


#: What an explanation as of another day rests on.
OF_THE_PAST = Words(
    hi="बकाया, भुगतान, सूचनाएँ और संरक्षण उस दिन के हैं; आदेश, आपूर्ति, विवाद, किस्तें, रोक और मीटर का संपर्क आज के अनुसार",
    en="dues, payments, notices and protections are those of that day; order, supply, disputes, instalments, "
    "halts and the meter's contact are today's, for their earlier state is not kept",
)
OF_THE_FUTURE = Words(
    hi="आज के बकाया और तथ्यों से आँका गया; तब तक के बिल और भुगतान इसमें नहीं हैं",
    en="reckoned from today's dues and facts; what is billed, paid or told until then is not in it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What can be said about an account on one day."""

    account: str
    name: str
    at: datetime
    owed_paise: int
    due_paise: int
    dues: tuple[JudgedDue, ...]
    notices: tuple[NoticeFact, ...]
    decision: Decision
    outlook: Outlook
    order: Order | None
    lines: tuple[Words, ...]


def explained(
    *,
    facts: Facts,
    decision: Decision,
    name: str,
    order: Order | None,
    policy: Policy,
    now: datetime,
    basis: Words | None = None,
) -> Explanation:
    """Return the explanation of a decision; `basis` tells what it rests on where that is not today."""
    today = local_date(now)
    judged = rules.judge_dues(facts=facts, policy=policy, on=today)
    owed_paise = sum(due.open_paise for due in facts.dues) - facts.unallocated_paise
    outlook = rules.outlook(facts=facts, policy=policy, now=now, today=today)
    lines = (
        *(() if basis is None else (basis,)),
        *_money_lines(facts, judged=judged, owed_paise=owed_paise, due_paise=decision.due_paise),
        *_notice_lines(facts.notices, policy=policy),
        *_standing_lines(facts, order=order),
        *_verdict_lines(decision, has_order=order is not None),
        *_outlook_lines(outlook, is_off=bool(facts.supply.open_reasons)),
    )
    return Explanation(
        account=facts.account,
        name=name,
        at=now,
        owed_paise=owed_paise,
        due_paise=decision.due_paise,
        dues=judged,
        notices=facts.notices,
        decision=decision,
        outlook=outlook,
        order=order,
        lines=lines,
    )


def _money_lines(
    facts: Facts, *, judged: Sequence[JudgedDue], owed_paise: int, due_paise: int
) -> tuple[Words, ...]:
    if owed_paise <= 0 and not judged:
        credit = rupees(-owed_paise)
        return (Words(hi=f"कोई बकाया नहीं; खाते में {credit} जमा", en=f"nothing is owed; credit {credit}"),)
    lines = [
        Words(hi=f"कुल देय राशि {rupees(owed_paise)}", en=f"owed in all: {rupees(owed_paise)}"),
        *(
            Words(
                hi=f"  {item.due.document}: {rupees(item.due.open_paise)}, अंतिम तिथि {day_words(item.due.due_on)}, "
                f"{VERDICT_NAMES[item.verdict].hi}",
                en=f"  {item.due.document}: {rupees(item.due.open_paise)}, due on {day_words(item.due.due_on)}, "
                f"{VERDICT_NAMES[item.verdict].en}",
            )
            for item in judged
        ),
    ]
    if facts.holds_paise:
        amount = rupees(facts.holds_paise)
        lines.append(Words(hi=f"प्रक्रिया में भुगतान {amount}", en=f"payments on their way: {amount}"))
    if facts.protest_paise:
        amount = rupees(facts.protest_paise)
        lines.append(Words(hi=f"आपत्ति सहित जमा {amount}", en=f"deposited under protest: {amount}"))
    lines.append(
        Words(
            hi=f"राशि जिसके लिए आपूर्ति बंद की जा सकती है: {rupees(max(0, due_paise))}",
            en=f"supply may be cut for: {rupees(max(0, due_paise))}",
        )
    )
    return tuple(lines)


def _notice_lines(notices: Sequence[NoticeFact], *, policy: Policy) -> tuple[Words, ...]:
    lines: list[Words] = []
    for notice in notices:
        queued = day_words(notice.queued_on)
        if notice.served_on is None:
            lines.append(
                Words(
                    hi=f"वैधानिक सूचना {notice.reference} {queued} को भेजी गई, तामील का प्रमाण नहीं",
                    en=f"statutory notice {notice.reference} sent on {queued}, not proven served",
                )
            )
            continue
        served = day_words(notice.served_on)
        earliest = day_words(
            rules.first_day_after_clear_days(served_on=notice.served_on, clear_days=policy.clear_days)
        )
        lines.append(
            Words(
                hi=f"वैधानिक सूचना {notice.reference} {served} को तामील; {earliest} से पहले विच्छेदन नहीं",
                en=f"statutory notice {notice.reference} served on {served}; no cut before {earliest}",
            )
        )
    return tuple(lines) or (Words(hi="कोई वैधानिक सूचना नहीं दी गई", en="no statutory notice was given"),)


def _standing_lines(facts: Facts, *, order: Order | None) -> tuple[Words, ...]:
    lines = [
        Words(
            hi=f"संरक्षण: {protection_words(item.kind).hi}"
            + (f", {day_words(item.until)} तक" if item.until else ""),
            en=f"protection: {protection_words(item.kind).en}"
            + (f", until {day_words(item.until)}" if item.until else ""),
        )
        for item in facts.protections
    ]
    if facts.supply.open_reasons:
        names = [reason_words(reason) for reason in sorted(facts.supply.open_reasons)]
        lines.append(
            Words(
                hi=f"आपूर्ति बंद है: {', '.join(name.hi for name in names)}",
                en=f"supply is off: {', '.join(name.en for name in names)}",
            )
        )
    if order is not None:
        state = STATE_NAMES[order.state]
        lines.append(
            Words(
                hi=f"सूची {order.list_number} का आदेश {order.number}: {state.hi}",
                en=f"order {order.number} of list {order.list_number}: {state.en}",
            )
        )
    return tuple(lines)


def _verdict_lines(decision: Decision, *, has_order: bool) -> tuple[Words, ...]:
    if decision.go and has_order:
        return (Words(hi="निर्णय: इस समय विच्छेदन हो सकता है", en="verdict: supply may be cut now"),)
    if decision.go:
        return (
            Words(
                hi="निर्णय: सूची में लिया जा सकता है; विच्छेदन से पहले अनुमोदन और अंतिम चेतावनी आवश्यक",
                en="verdict: may be put on the list; approval and a last warning come before a cut",
            ),
        )
    head = Words(hi="निर्णय: विच्छेदन नहीं हो सकता", en="verdict: supply may not be cut")
    return (
        head,
        *(Words(hi=f"  {reason.words.hi}", en=f"  {reason.words.en}") for reason in decision.reasons),
    )


def _outlook_lines(outlook: Outlook, *, is_off: bool) -> tuple[Words, ...]:
    if is_off:
        return ()
    if outlook.never is not None:
        return (outlook.never,)
    steps = tuple(
        Words(hi=f"  {day_words(day)}: {words.hi}", en=f"  {day_words(day)}: {words.en}")
        for day, words in outlook.steps
    )
    if outlook.earliest is None:
        return steps
    local = outlook.earliest.astimezone(IST)
    at = f"{day_words(local.date())} {local:%H:%M}"
    return (
        Words(hi=f"भुगतान न होने पर सबसे पहले {at} बजे", en=f"if nothing is paid, at the earliest on {at}"),
        *steps,
    )
