"""The rules as data: what each is called, and how grave it is for which category of consumer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bijlighar.base.words import Words
from bijlighar.validation.model import Rule, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    A rule: its name, its severity, and the severities of categories that begin with certain letters.

    A severity of None means that the rule is not asked for that category.
    """

    name: Words
    severity: Severity
    by_category: Mapping[str, Severity | None] = field(default_factory=dict)


#: Pumps and seasonal loads stand still for weeks, and street lights count the same every night.
_PUMPS, _LIGHTS = "LV-5", "LV-3"
CATALOGUE: Mapping[Rule, Entry] = MappingProxyType(
    {
        Rule.ROLLOVER: Entry(
            name=Words(hi="रजिस्टर पूरा होकर शून्य से चला", en="register ran over"), severity=Severity.INFO
        ),
        Rule.RESET: Entry(name=Words(hi="रजिस्टर घट गया", en="register fell"), severity=Severity.ERROR),
        Rule.ZERO_RUN: Entry(
            name=Words(hi="लंबे समय तक शून्य", en="long run of zero"),
            severity=Severity.WARNING,
            by_category={_PUMPS: Severity.INFO},
        ),
        Rule.FLAT_RUN: Entry(
            name=Words(hi="मान जमा हुआ", en="frozen value"),
            severity=Severity.WARNING,
            by_category={_LIGHTS: Severity.INFO},
        ),
        Rule.REPEATED: Entry(
            name=Words(hi="पिछला मान दोहराया गया", en="earlier values repeated"), severity=Severity.WARNING
        ),
        Rule.DRIFT: Entry(name=Words(hi="अंतराल खिसके हुए", en="intervals shifted"), severity=Severity.WARNING),
        Rule.EXPORT: Entry(
            name=Words(hi="बिना अनुमति ऊर्जा भेजी गई", en="export without permission"), severity=Severity.INFO
        ),
        Rule.PHYSICS: Entry(
            name=Words(hi="वोल्टेज, करंट और ऊर्जा मेल नहीं खाते", en="voltage, current and energy inconsistent"),
            severity=Severity.WARNING,
        ),
        Rule.EXCHANGE: Entry(name=Words(hi="मीटर बदला गया", en="meter exchanged"), severity=Severity.INFO),
        Rule.MULTIPLIER: Entry(
            name=Words(hi="गुणक या इकाई ग़लत", en="multiplier or unit wrong"), severity=Severity.ERROR
        ),
    }
)
#: The rules whose severity does not come from here.
_OTHER_NAMES: Mapping[Rule, Words] = MappingProxyType(
    {
        Rule.MISSING: Words(hi="रीडिंग नहीं मिली", en="readings missing"),
        Rule.DUPLICATE: Words(hi="दो बार आया मान", en="delivered twice"),
        Rule.OUT_OF_ORDER: Words(hi="क्रम से बाहर", en="out of order"),
        Rule.UNREADABLE: Words(hi="पढ़ा नहीं जा सका", en="unreadable"),
        Rule.FLAGGED: Words(hi="भेजने वाले ने चिह्नित किया", en="flagged by the sender"),
        Rule.NEGATIVE: Words(hi="ऋणात्मक मान", en="negative value"),
        Rule.SPIKE: Words(hi="असामान्य उछाल", en="spike"),
        Rule.EDITED: Words(hi="हाथ से बदला मान", en="edited by hand"),
        Rule.SUM_CHECK: Words(hi="जोड़ रजिस्टर से नहीं मिलता", en="sum differs from the register"),
    }
)


def severity(rule: Rule, category: str) -> Severity | None:
    """
    Return how grave a rule is for a category, None if it is not asked.

    >>> severity(Rule.ZERO_RUN, "LV-5.1").value, severity(Rule.ZERO_RUN, "LV-1.2").value
    ('info', 'warning')
    """
    entry = CATALOGUE[rule]
    for prefix, own in entry.by_category.items():
        if category.startswith(prefix):
            return own
    return entry.severity


def rule_name(rule: Rule) -> Words:
    """Return what a rule is called."""
    return CATALOGUE[rule].name if rule in CATALOGUE else _OTHER_NAMES[rule]
