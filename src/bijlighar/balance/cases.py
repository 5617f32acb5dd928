"""Cases: what a suspicion leads to, from the inspection to the assessed units. Frozen values and their life cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import Words


class CaseState(StrEnum):
    """How far a case has come."""

    OPEN = "open"
    ASSIGNED = "assigned"
    REPORTED = "reported"
    FOUND = "found"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class CaseEvent(StrEnum):
    """What people do with it; theft is reported by one person and confirmed by another."""

    APPEAR = "appear"
    ASSIGN = "assign"
    FIND = "find"
    REPORT_THEFT = "report_theft"
    CONFIRM_THEFT = "confirm_theft"
    REFUSE_THEFT = "refuse_theft"
    ASSESS = "assess"
    CLOSE = "close"
    WITHDRAW = "withdraw"


CASE_STEPS: LifeCycle[CaseState, CaseEvent] = MappingProxyType(
    {
        CaseState.OPEN: {
            CaseEvent.ASSIGN: CaseState.ASSIGNED,
            CaseEvent.WITHDRAW: CaseState.WITHDRAWN,
        },
        CaseState.ASSIGNED: {
            CaseEvent.ASSIGN: CaseState.ASSIGNED,
            CaseEvent.FIND: CaseState.FOUND,
            CaseEvent.REPORT_THEFT: CaseState.REPORTED,
            CaseEvent.WITHDRAW: CaseState.WITHDRAWN,
        },
        CaseState.REPORTED: {
            CaseEvent.CONFIRM_THEFT: CaseState.FOUND,
            CaseEvent.REFUSE_THEFT: CaseState.ASSIGNED,
        },
        CaseState.FOUND: {
            CaseEvent.ASSESS: CaseState.FOUND,
            CaseEvent.CLOSE: CaseState.CLOSED,
        },
        CaseState.CLOSED: {},
        CaseState.WITHDRAWN: {},
    }
)
#: Those in which somebody has still to do something.
UNDER_WAY = (CaseState.OPEN, CaseState.ASSIGNED, CaseState.REPORTED, CaseState.FOUND)

CASE_STATE_NAMES: Mapping[CaseState, Words] = MappingProxyType(
    {
        CaseState.OPEN: Words(hi="खुला, जाँच नियत नहीं", en="open, nobody inspects it yet"),
        CaseState.ASSIGNED: Words(hi="जाँच हेतु सौंपा गया", en="assigned for inspection"),
        CaseState.REPORTED: Words(hi="चोरी की सूचना, पुष्टि शेष", en="theft reported, to be confirmed"),
        CaseState.FOUND: Words(hi="निष्कर्ष दर्ज", en="finding recorded"),
        CaseState.CLOSED: Words(hi="बंद", en="closed"),
        CaseState.WITHDRAWN: Words(hi="वापस लिया", en="withdrawn"),
    }
)
CASE_EVENT_NAMES: Mapping[CaseEvent, Words] = MappingProxyType(
    {
        CaseEvent.APPEAR: Words(hi="प्रकरण खोला", en="opened"),
        CaseEvent.ASSIGN: Words(hi="जाँच हेतु सौंपा", en="assigned"),
        CaseEvent.FIND: Words(hi="निष्कर्ष दर्ज किया", en="finding recorded"),
        CaseEvent.REPORT_THEFT: Words(hi="चोरी की सूचना दी", en="theft reported"),
        CaseEvent.CONFIRM_THEFT: Words(hi="चोरी की पुष्टि की", en="theft confirmed"),
        CaseEvent.REFUSE_THEFT: Words(hi="चोरी की पुष्टि नहीं की", en="theft not confirmed"),
        CaseEvent.ASSESS: Words(hi="यूनिट आंकलित कीं", en="units assessed"),
        CaseEvent.CLOSE: Words(hi="प्रकरण बंद किया", en="closed"),
        CaseEvent.WITHDRAW: Words(hi="प्रकरण वापस लिया", en="withdrawn"),
    }
)


class CaseOrigin(StrEnum):
    """What a case was opened from."""

    SUSPICION = "suspicion"
    ALARM = "alarm"
    HAND = "hand"


CASE_ORIGIN_NAMES: Mapping[CaseOrigin, Words] = MappingProxyType(
    {
        CaseOrigin.SUSPICION: Words(hi="हानि के विश्लेषण से", en="from the balance"),
        CaseOrigin.ALARM: Words(hi="अलार्म से", en="from an alarm"),
        CaseOrigin.HAND: Words(hi="व्यक्ति द्वारा", en="by hand"),
    }
)


class CaseFinding(StrEnum):
    """What an inspection found; unauthorised use is s.126, theft s.135 of the Electricity Act 2003."""

    NORMAL = "normal"
    METER_FAULT = "meter_fault"
    WRONG_INDEXING = "wrong_indexing"
    WRONG_RATIO = "wrong_ratio"
    UNAUTHORISED_USE = "unauthorised_use"
    THEFT = "theft"


CASE_FINDING_NAMES: Mapping[CaseFinding, Words] = MappingProxyType(
    {
        CaseFinding.NORMAL: Words(hi="सब सामान्य", en="all is normal"),
        CaseFinding.METER_FAULT: Words(hi="मीटर ख़राब", en="the meter is faulty"),
        CaseFinding.WRONG_INDEXING: Words(
            hi="उपभोक्ता ग़लत ट्रांसफॉर्मर या फेज़ पर दर्ज", en="registered at the wrong transformer or phase"
        ),
        CaseFinding.WRONG_RATIO: Words(hi="CT अनुपात या गुणांक ग़लत", en="wrong CT ratio or multiplier"),
        CaseFinding.UNAUTHORISED_USE: Words(hi="अनधिकृत उपयोग (धारा 126)", en="unauthorised use (s.126)"),
        CaseFinding.THEFT: Words(hi="विद्युत चोरी (धारा 135)", en="theft of electricity (s.135)"),
    }
)


class TheftKind(StrEnum):
    """How electricity was taken."""

    DIRECT_TAPPING = "direct_tapping"
    BYPASS = "bypass"
    TAMPERED_METER = "tampered_meter"
    MAGNET = "magnet"
    NEUTRAL = "neutral"
    OTHER = "other"


THEFT_KIND_NAMES: Mapping[TheftKind, Words] = MappingProxyType(
    {
        TheftKind.DIRECT_TAPPING: Words(hi="लाइन से सीधा तार (कटिया)", en="tapped from the line"),
        TheftKind.BYPASS: Words(hi="मीटर बाइपास", en="meter bypassed"),
        TheftKind.TAMPERED_METER: Words(hi="मीटर से छेड़छाड़", en="meter tampered with"),
        TheftKind.MAGNET: Words(hi="चुंबक", en="magnet"),
        TheftKind.NEUTRAL: Words(hi="न्यूट्रल हटाया गया", en="neutral taken away"),
        TheftKind.OTHER: Words(hi="अन्य", en="other"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """
    What a consumer is assessed at for the days `first` to `last`, both included, and how that was reckoned.

    number: 1, 2, 3, …; a later one takes the place of those before it, which are kept.
    """

    number: int
    energy_wh: int
    first: date
    last: date
    method: str
    assessed_by: str
    assessed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A suspicion that people look into; it accuses nobody, and nothing but people moves it.

    meter: None where a line is tapped at nobody's meter; then the transformer is known.
    account, office: of the place where the meter hung when the case was opened; None if that is not known.
    evidence: what it was opened on, in words; `reference` names the alarm or the range of days.
    inspected_on: the day on which it was looked at on site.
    revision: counts the steps; a form that names an older one is refused.
    """

    number: int
    meter: str | None
    transformer: str | None
    account: str | None
    office: str | None
    origin: CaseOrigin
    reference: str
    evidence: Words
    note: str
    state: CaseState
    revision: int
    opened_by: str
    opened_at: datetime
    assigned_to: str | None = None
    finding: CaseFinding | None = None
    theft_kind: TheftKind | None = None
    inspected_on: date | None = None
    found_by: str | None = None
    finding_note: str = ""
    confirmed_by: str | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None
    ending_note: str = ""
    assessment: Assessment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStep:
    """One thing that was done with a case; `detail` holds what belongs to it."""

    at: datetime
    event: CaseEvent
    person: str
    note: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSuspect:
    """
    A meter that missing energy points to, among those of all transformers; `score` ranks, it is no probability.

    low_wh: at least so much is missing at its transformer (the low end of the 90 % interval).
    case: the number of its case that is under way, None if there is none.
    """

    meter: str
    transformer: str
    score: float
    evidence: Words
    low_wh: int
    case: int | None
