"""The reason of a finding, in words."""

from collections.abc import Callable

from bijlighar.base.words import Words
from bijlighar.validation.model import Method, Rule, ValidationFinding

_METHODS = {
    Method.LIKE_WEEKDAY: Words(
        hi="पिछले दिनों, ख़ासकर इसी वार", en="the days before, the same weekday above all"
    ),
    Method.LIKE_DAY: Words(hi="पिछले दिनों", en="the days before"),
    Method.DAYS_AFTER: Words(hi="बाद के दिनों", en="the days after"),
    Method.LINEAR: Words(hi="दोनों ओर के अंतरालों", en="the intervals beside the gap"),
    Method.FLAT: Words(hi="मीटर के कुल औसत", en="the meter's overall mean"),
    Method.NEIGHBOURS: Words(
        hi="उसी ट्रांसफ़ार्मर के पड़ोसी मीटरों", en="the neighbours under the same transformer"
    ),
}
_SCALED = Words(hi="जोड़ रजिस्टर के अंतर से मिलाया गया", en="brought to the register difference")


#: The method of an interval that a person corrected.
BY_HAND = Words(hi="किसी व्यक्ति ने सुधारा", en="a person corrected it")


def method(finding: ValidationFinding) -> Words | None:
    """Return how the estimates of a finding were made, None where it has none."""
    numbers = sorted(finding.facts.get("methods", []))
    if not numbers:
        return None
    hi, en = _made_from(numbers)
    scaled = bool(finding.facts.get("scaled"))
    return Words(
        hi=f"{hi} से" + (f"; {_SCALED.hi}" if scaled else ""),
        en=f"from {en}" + (f"; {_SCALED.en}" if scaled else ""),
    )


def _made_from(numbers: list[int]) -> tuple[str, str]:
    how = [_METHODS[Method(number)] for number in numbers]
    return " और ".join(words.hi for words in how), " and ".join(words.en for words in how)


def reason(finding: ValidationFinding) -> Words:
    """Return why a finding was made, in Hindi and English."""
    return _REASONS[finding.rule](finding)


def _missing(finding: ValidationFinding) -> Words:
    intervals, facts = finding.intervals, finding.facts
    estimated = int(facts.get("estimated", 0))
    hi = f"{_of_intervals(intervals)} की रीडिंग नहीं मिली"
    en = f"{intervals} {_intervals(intervals)} not read"
    if not estimated:
        return Words(hi=hi, en=en)
    made_hi, made_en = _made_from(sorted(facts.get("methods", [])))
    hi += f"; {estimated} का आंकलन {made_hi} से किया गया"
    en += f"; {estimated} estimated from {made_en}"
    if facts.get("scaled"):
        hi += f" और {_SCALED.hi}"
        en += f", {_SCALED.en}"
    return Words(hi=hi, en=en)


def _duplicate(finding: ValidationFinding) -> Words:
    intervals, facts = finding.intervals, finding.facts
    if facts.get("equal"):
        return Words(
            hi=f"{intervals} अंतराल एक ही डिलीवरी में दो बार आए, मान समान हैं",
            en=f"{intervals} {_intervals(intervals)} delivered twice with the same value",
        )
    if facts.get("later"):
        return Words(
            hi=f"{_of_intervals(intervals)} का मान बाद की डिलीवरी में अलग आया; नया मान लिया गया, पुराना इतिहास में है",
            en=f"{intervals} {_intervals(intervals)} given another value by a later delivery; "
            "the newer stands, the older is in the history",
        )
    return Words(
        hi=f"{intervals} अंतराल एक ही डिलीवरी में अलग-अलग मानों के साथ आए; आख़िरी मान लिया गया",
        en=f"{intervals} {_intervals(intervals)} delivered twice with different values; the last one stands",
    )


def _out_of_order(finding: ValidationFinding) -> Words:
    intervals = finding.intervals
    return Words(
        hi=f"{intervals} अंतराल अपने बाद वाले अंतराल के पीछे आए",
        en=f"{intervals} {_intervals(intervals)} delivered after a later interval",
    )


def _unreadable(finding: ValidationFinding) -> Words:
    intervals, facts = finding.intervals, finding.facts
    first = next(iter(facts.get("lines", [])), "")
    return Words(
        hi=f"{intervals} प्रविष्टियाँ पढ़ी नहीं जा सकीं" + (f": {first}" if first else ""),
        en=f"{intervals} {'entry' if intervals == 1 else 'entries'} could not be read"
        + (f": {first}" if first else ""),
    )


def _flagged(finding: ValidationFinding) -> Words:
    flags = [flag for flag in finding.facts.get("flags", []) if isinstance(flag, dict)]
    told = ", ".join(
        " ".join(str(flag[name]) for name in ("suffix", "quality", "reason_code", "reason") if flag.get(name))
        for flag in flags
    )
    return Words(
        hi=f"भेजने वाले ने {_of_intervals(finding.intervals)} को नापा हुआ नहीं कहा: {told}",
        en=f"the sender does not call {finding.intervals} {_intervals(finding.intervals)} measured: {told}",
    )


def _negative(finding: ValidationFinding) -> Words:
    intervals, facts = finding.intervals, finding.facts
    return Words(
        hi=f"{_of_intervals(intervals)} में ऊर्जा ऋणात्मक है (न्यूनतम {facts['least_wh']} Wh)",
        en=f"{intervals} {_intervals(intervals)} with negative energy (least {facts['least_wh']} Wh)",
    )


def _spike(finding: ValidationFinding) -> Words:
    facts = finding.facts
    hi = [f"एक अंतराल में {facts['greatest_wh']} Wh"]
    en = [f"{facts['greatest_wh']} Wh in one interval"]
    if facts.get("load_wh"):
        hi.append(f"स्वीकृत लोड पर {facts['load_wh']} Wh होते")
        en.append(f"the sanctioned load makes {facts['load_wh']} Wh")
    if facts.get("usual_wh"):
        hi.append(f"मीटर का सामान्य उच्चतम {facts['usual_wh']} Wh है")
        en.append(f"the meter's usual peak is {facts['usual_wh']} Wh")
    if facts.get("confirmed"):
        hi.append("रजिस्टर इसे सही बताता है")
        en.append("the register confirms it")
    elif facts.get("estimated"):
        hi.append("इसकी जगह आंकलन लिया गया")
        en.append("an estimate stands in its place")
    return Words(hi="; ".join(hi), en="; ".join(en))


def _sum_check(finding: ValidationFinding) -> Words:
    facts = finding.facts
    total, difference = facts["sum_wh"], facts["difference_wh"]
    if difference < 0:
        return Words(
            hi=f"रजिस्टर दिन में {-difference} Wh घट गया; अंतरालों का योग {total} Wh है",
            en=f"the register fell by {-difference} Wh over the day; the intervals sum to {total} Wh",
        )
    return Words(
        hi=f"अंतरालों का योग {total} Wh है, रजिस्टर का अंतर {difference} Wh (अनुमत फ़र्क़ {facts['tolerance_wh']} Wh)",
        en=f"the intervals sum to {total} Wh, the register says {difference} Wh (allowed {facts['tolerance_wh']} Wh)",
    )


def _rollover(finding: ValidationFinding) -> Words:
    digits, counted = finding.facts["modulus_wh"], finding.facts["counted_wh"]
    return Words(
        hi=f"रजिस्टर {digits} Wh पर पूरा होकर शून्य से चला; दिन में {counted} Wh गिने गए",
        en=f"the register ran over at {digits} Wh and began at zero; it counted {counted} Wh over the day",
    )


def _reset(finding: ValidationFinding) -> Words:
    low, high = finding.facts["to_wh"], finding.facts["from_wh"]
    return Words(
        hi=f"रजिस्टर दिन में {high} Wh से {low} Wh पर आ गया, जबकि उसके अंक पूरे नहीं हुए थे",
        en=f"the register went from {high} Wh to {low} Wh over the day and was not at the end of its digits",
    )


def _zero_run(finding: ValidationFinding) -> Words:
    return Words(
        hi=f"{_of_intervals(finding.intervals)} में लगातार कोई ऊर्जा नहीं",
        en=f"no energy in {finding.intervals} {_intervals(finding.intervals)} of a long run",
    )


def _flat_run(finding: ValidationFinding) -> Words:
    value = finding.facts["energy_wh"]
    return Words(
        hi=f"{_of_intervals(finding.intervals)} में लगातार वही मान, {value} Wh; मीटर जमा हुआ लगता है",
        en=f"the same {value} Wh in {finding.intervals} {_intervals(finding.intervals)} of a long run; "
        "the meter seems frozen",
    )


def _repeated(finding: ValidationFinding) -> Words:
    facts = finding.facts
    if "register_wh" in facts:
        return Words(
            hi=f"दिन के दोनों छोर पर वही रजिस्टर, {facts['register_wh']} Wh, जबकि अंतरालों का योग {facts['sum_wh']} Wh है",
            en=f"the same register, {facts['register_wh']} Wh, at both ends of the day, while the intervals sum "
            f"to {facts['sum_wh']} Wh",
        )
    return Words(
        hi=f"{_of_intervals(finding.intervals)} में ठीक वही मान जो एक दिन पहले इसी समय थे",
        en=f"{finding.intervals} {_intervals(finding.intervals)} with exactly the values of the day before",
    )


def _drift(finding: ValidationFinding) -> Words:
    late = finding.facts["intervals_late"] > 0
    return Words(
        hi=f"योग रजिस्टर से तभी मिलता है जब हर अंतराल एक जगह {'बाद का' if late else 'पहले का'} माना जाए",
        en="the sums fit the registers only if every interval is one place "
        f"{'later' if late else 'earlier'} than named",
    )


def _export(finding: ValidationFinding) -> Words:
    fed = finding.facts["export_wh"]
    return Words(
        hi=f"{fed} Wh ग्रिड में भेजे गए; इसकी कोई अनुमति दर्ज नहीं है",
        en=f"{fed} Wh fed in; no permission to do so is on record",
    )


def _physics(finding: ValidationFinding) -> Words:
    facts = finding.facts
    told = [f"{facts['energy_wh']} Wh"]
    if "vah_import" in facts:
        told.append(f"{facts['vah_import']} VAh")
    for channel, unit in (("volt", "V"), ("amp", "A")):
        if channel in facts:
            told.append(f"{facts[channel] // 100}.{facts[channel] % 100:02} {unit}")
    return Words(
        hi=f"{_of_intervals(finding.intervals)} के मान आपस में मेल नहीं खाते ({', '.join(told)})",
        en=f"{finding.intervals} {_intervals(finding.intervals)} whose values do not agree ({', '.join(told)})",
    )


def _exchange(finding: ValidationFinding) -> Words:
    facts = finding.facts
    if facts.get("outside"):
        return Words(
            hi=f"{_of_intervals(finding.intervals)} के मान तब के हैं जब मीटर कहीं लगा नहीं था",
            en=f"{finding.intervals} {_intervals(finding.intervals)} measured while the meter hung nowhere",
        )
    if facts["new"]:
        return Words(
            hi=f"यह मीटर {facts['other']} की जगह लगाया गया",
            en=f"the meter was hung in place of {facts['other']}",
        )
    return Words(
        hi=f"मीटर उतारा गया, उसकी जगह {facts['other']} लगा",
        en=f"the meter was taken down and {facts['other']} hung in its place",
    )


def _multiplier(finding: ValidationFinding) -> Words:
    facts = finding.facts
    return Words(
        hi=f"अंतरालों का योग {facts['sum_wh']} Wh और रजिस्टर का अंतर {facts['difference_wh']} Wh, "
        f"{abs(facts['factor'])} गुना का फ़र्क़: गुणक या इकाई ग़लत लगती है",
        en=f"the intervals sum to {facts['sum_wh']} Wh, the register says {facts['difference_wh']} Wh, a factor of "
        f"{abs(facts['factor'])}: the multiplier or the unit seems wrong",
    )


def _edited(finding: ValidationFinding) -> Words:
    facts, count = finding.facts, finding.intervals
    if facts.get("taken_out"):
        hi = f"{_of_intervals(count)} के नापे मान दो लोगों ने हटाए (संशोधन {facts['edit']})"
        en = f"{count} {_intervals(count)} taken out by two persons (edit {facts['edit']})"
    else:
        hi = f"{_of_intervals(count)} के मान दो लोगों ने बदले (संशोधन {facts['edit']})"
        en = f"{count} {_intervals(count)} edited by two persons (edit {facts['edit']})"
    if facts.get("late"):
        hi += f"; बाद में मीटर ने {facts['late']} का दूसरा मान दिया, संशोधन बना हुआ है"
        en += f"; the meter gave another value for {facts['late']} later, and the edit stands"
    return Words(hi=hi, en=en)


def _of_intervals(count: int) -> str:
    """Return so many intervals in Hindi, before a postposition."""
    return f"{count} {'अंतराल' if count == 1 else 'अंतरालों'}"


def _intervals(count: int) -> str:
    return "interval" if count == 1 else "intervals"


_REASONS: dict[Rule, Callable[[ValidationFinding], Words]] = {
    Rule.MISSING: _missing,
    Rule.DUPLICATE: _duplicate,
    Rule.OUT_OF_ORDER: _out_of_order,
    Rule.UNREADABLE: _unreadable,
    Rule.FLAGGED: _flagged,
    Rule.NEGATIVE: _negative,
    Rule.SPIKE: _spike,
    Rule.SUM_CHECK: _sum_check,
    Rule.ROLLOVER: _rollover,
    Rule.RESET: _reset,
    Rule.ZERO_RUN: _zero_run,
    Rule.FLAT_RUN: _flat_run,
    Rule.REPEATED: _repeated,
    Rule.DRIFT: _drift,
    Rule.EXPORT: _export,
    Rule.PHYSICS: _physics,
    Rule.EXCHANGE: _exchange,
    Rule.MULTIPLIER: _multiplier,
    Rule.EDITED: _edited,
}
