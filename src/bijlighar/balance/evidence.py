"""The words in which a suspicion, a wrong place or a switch is told, in Hindi and English."""

from datetime import date

from bijlighar.balance.model import Misplaced
from bijlighar.base.energy import units
from bijlighar.base.words import Words


def shape(kind: str, *, hidden_wh: int, since: date) -> Words:
    """Return what the missing energy follows: a load always or since a day, or the neighbours' while it is still."""
    kwh = units(hidden_wh)
    if kind == "since":
        return Words(
            hi=f"{since.isoformat()} से ग़ायब ऊर्जा इस मीटर के भार के साथ बढ़ती-घटती है (लगभग {kwh} kWh)",
            en=f"since {since.isoformat()} the missing energy rises and falls with this load (about {kwh} kWh)",
        )
    if kind == "hole":
        return Words(
            hi=f"जब यह मीटर लगभग शून्य दिखाता है और पड़ोसी नहीं, तभी ऊर्जा ग़ायब होती है (लगभग {kwh} kWh)",
            en=f"energy is missing when this meter shows next to nothing and its neighbours do not (about {kwh} kWh)",
        )
    return Words(
        hi=f"ग़ायब ऊर्जा पूरे समय इस मीटर के भार के साथ बढ़ती-घटती है (लगभग {kwh} kWh)",
        en=f"the missing energy rises and falls with this meter's load all the time (about {kwh} kWh)",
    )


def fall(*, share: float, since: date) -> Words:
    """Return that a meter's use fell against the meters most like it."""
    per_cent = round(100 * share)
    return Words(
        hi=f"{since.isoformat()} से इसकी खपत मिलते-जुलते मीटरों के मुक़ाबले {per_cent} % कम हुई",
        en=f"since {since.isoformat()} its use is {per_cent} % lower against the meters most like it",
    )


def voltage() -> Words:
    """Return that a meter's voltage falls when energy is missing."""
    return Words(
        hi="ऊर्जा ग़ायब होने पर इस जगह का वोल्टेज अपने दर्ज भार से ज़्यादा गिरता है",
        en="when energy is missing, the voltage here falls more than its registered load explains",
    )


def tamper(*, code: int, on: date) -> Words:
    """Return that the meter itself reported a tamper."""
    return Words(
        hi=f"मीटर ने {on.isoformat()} को छेड़छाड़ की घटना {code} बताई",
        en=f"the meter reported tamper event {code} on {on.isoformat()}",
    )


def ratio(factor: float) -> Words:
    """Return that a meter seems to count by a wrong factor."""
    return Words(
        hi=f"मीटर भार का लगभग {factor:.2f} गुना गिनता है; CT अनुपात जाँचें",
        en=f"the meter counts about {factor:.2f} of its load; check the CT ratio",
    )


def misplaced(
    *, meter: str, registered: str, found: str | None, by_voltage: bool, by_load: bool
) -> Misplaced:
    """Return a meter that seems to hang elsewhere, with what tells so."""
    hi, en = [], []
    if by_voltage:
        hi.append(f"वोल्टेज {found} के साथ चलता है, {registered} के साथ नहीं")
        en.append(f"its voltage follows {found}, not {registered}")
    if by_load:
        hi.append(f"{registered} के संतुलन में इसका भार नहीं दिखता")
        en.append(f"its load does not show in the balance of {registered}")
    return Misplaced(
        meter=meter,
        registered=registered,
        found=found,
        evidence=Words(hi="; ".join(hi), en="; ".join(en)),
    )


def switched(*, source: str, target: str, since: date) -> Words:
    """Return that a part of the line seems to have gone over to another transformer."""
    return Words(
        hi=f"{since.isoformat()} से {source} की लाइन का एक हिस्सा {target} से जुड़ा लगता है",
        en=f"since {since.isoformat()} a part of the line of {source} seems to hang at {target}",
    )


def joined(parts: list[Words]) -> Words:
    """Return several pieces of evidence as one text."""
    return Words(hi="; ".join(part.hi for part in parts), en="; ".join(part.en for part in parts))
