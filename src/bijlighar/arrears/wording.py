"""What the codes of a row mean in the words of those who read them, and how a row stands. Pure."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from bijlighar.arrears.guards import GUARDS
from bijlighar.arrears.model import DecisionRow, OrderState, Reason
from bijlighar.base.words import Words
from bijlighar.headend.rules import words_of

SETTLED = "settled"
HEADEND = "headend."
#: Refusals that a person of the town office can clear up; any other is a rule that forbids the cut.
TO_CHECK = frozenset({"notice", "meter", "supply_on", "one_order"})
#: What every refusal about money brings along; beside another refusal it says nothing new.
CONSEQUENCES = frozenset({"due"})


class Standing(StrEnum):
    """How a row of a list stands for whoever reads the list."""

    READY = "ready"
    UNDER_WAY = "under_way"
    CHECK = "check"
    FORBIDDEN = "forbidden"
    PAID = "paid"
    ENDED = "ended"


STANDING_NAMES: Mapping[Standing, Words] = MappingProxyType(
    {
        Standing.READY: Words(hi="विच्छेदन प्रस्तावित", en="to be cut"),
        Standing.UNDER_WAY: Words(hi="कार्यवाही में", en="under way"),
        Standing.CHECK: Words(hi="पहले जाँच करें", en="check first"),
        Standing.FORBIDDEN: Words(hi="नियमानुसार विच्छेदन नहीं", en="must not be cut, by rule"),
        Standing.PAID: Words(hi="भुगतान हुआ, सूची से हटाया गया", en="paid, taken off the list"),
        Standing.ENDED: Words(hi="सूची से हटाया गया", en="taken off the list"),
    }
)

#: What ends or holds back an order beside a guard's refusal.
_OWN: Mapping[str, Words] = MappingProxyType(
    {
        SETTLED: Words(hi="बकाया चुकता हो गया", en="the dues are settled"),
        "replaced": Words(hi="वितरण केंद्र ने नई सूची बनाई", en="the office drew up a newer list"),
        "halt": Words(hi="विच्छेदन रोके जाने पर वापस लिया गया", en="called back when disconnections were halted"),
        "not_done": Words(hi="मौके पर विच्छेदन नहीं हो सका", en="it could not be done at the meter"),
        "hours": Words(hi="विच्छेदन अनुमत समय के बाहर हुआ", en="the cut was made outside the cutting hours"),
        "fresh": Words(hi="समय पर अनुमोदन या प्रेषण नहीं हुआ", en="not approved or sent in time"),
        "one_order": Words(hi="इसी उपभोक्ता का दूसरा आदेश चला", en="another order of the account governs"),
        "age": Words(hi="बकाया अभी उतना पुराना नहीं है", en="the dues are not old enough"),
        "bills": Words(hi="बकाया बिल कम हैं", en="too few bills are unpaid"),
    }
)
_GUARDS: Mapping[str, Words] = MappingProxyType({guard.code: guard.name for guard in GUARDS})


def standing(*, state: OrderState, codes: Collection[str]) -> Standing:
    """
    Return how a row stands.

    >>> standing(state=OrderState.EXCLUDED, codes=["notice"]).value
    'check'
    >>> standing(state=OrderState.EXCLUDED, codes=["notice", "protected"]).value
    'forbidden'
    """
    match state:
        case OrderState.LISTED:
            return Standing.READY
        case OrderState.EXCLUDED:
            return refused(codes)
        case OrderState.CANCELLED if SETTLED in codes:
            return Standing.PAID
        case OrderState.CANCELLED | OrderState.EXPIRED:
            return Standing.ENDED
        case _:
            return Standing.UNDER_WAY


def refused(codes: Collection[str]) -> Standing:
    """Return whether what refused a row can be cleared up by the town office, or is a rule."""
    return Standing.CHECK if TO_CHECK.issuperset(telling(codes)) else Standing.FORBIDDEN


def telling(codes: Collection[str]) -> tuple[str, ...]:
    """
    Return the codes that say something, without those that only follow from others.

    >>> telling(["notice", "due"]), telling(["due"])
    (('notice',), ('due',))
    """
    return tuple(code for code in codes if code not in CONSEQUENCES) or tuple(codes)


def checks_of(decision: DecisionRow) -> tuple[Reason, ...]:
    """Return the guards of a stored decision with their verdicts, in the words in which they were stored."""
    return tuple(
        Reason(
            code=str(check["code"]),
            guard=_GUARDS.get(str(check["code"]), Words(hi=str(check["code"]), en=str(check["code"]))),
            passed=bool(check["passed"]),
            words=Words(hi=str(check["hi"]), en=str(check["en"])),
        )
        for check in decision.record.get("checks", ())
    )


def reasons_of(*, codes: Sequence[str], decision: DecisionRow | None) -> tuple[Words, ...]:
    """Return why a row is as it is: in the decision's own words where it refused, else in those of the code."""
    said = (
        {}
        if decision is None
        else {check.code: check.words for check in checks_of(decision) if not check.passed}
    )
    return tuple(said.get(code) or code_words(code) for code in telling(codes))


def code_words(code: str) -> Words:
    """
    Return what a code on an order means.

    >>> code_words("settled").en, code_words("headend.expired").en
    ('the dues are settled', 'the order did not reach the meter in time')
    """
    if code.startswith(HEADEND):
        return words_of(code)
    return _OWN.get(code) or _GUARDS.get(code) or words_of(code)
