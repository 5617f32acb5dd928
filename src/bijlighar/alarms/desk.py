"""What stands in the control room: consoles, the silence of the siren, proposals to cut for theft."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import Words


class ConsoleState(StrEnum):
    """Whether a console will sound when the siren is called for."""

    ARMED = "armed"
    NOT_ARMED = "not_armed"
    OFF = "off"


CONSOLE_NAMES: Mapping[ConsoleState, Words] = MappingProxyType(
    {
        ConsoleState.ARMED: Words(hi="सायरन चालू", en="siren armed"),
        ConsoleState.NOT_ARMED: Words(hi="सायरन चालू नहीं", en="siren NOT armed"),
        ConsoleState.OFF: Words(hi="ड्यूटी पर नहीं", en="off duty"),
    }
)


class ConsoleReason(StrEnum):
    """Why a console is not armed."""

    NONE = ""
    GESTURE = "gesture"
    UNHEARD = "unheard"
    SUSPENDED = "suspended"
    STUCK = "stuck"
    STALE = "stale"
    SHIFT = "shift"
    DEVICES = "devices"
    MUTED = "muted"
    SILENT = "silent"


REASON_NAMES: Mapping[ConsoleReason, Words] = MappingProxyType(
    {
        ConsoleReason.NONE: Words(hi="कोई कारण नहीं बताया", en="no reason given"),
        ConsoleReason.GESTURE: Words(
            hi="ब्राउज़र ने ध्वनि की अनुमति नहीं दी", en="the browser does not allow sound yet"
        ),
        ConsoleReason.UNHEARD: Words(hi="परीक्षण ध्वनि सुनाई नहीं दी", en="the test tone was not heard"),
        ConsoleReason.SUSPENDED: Words(hi="ब्राउज़र ने ध्वनि रोक दी", en="the browser has suspended the sound"),
        ConsoleReason.STUCK: Words(hi="ध्वनि की घड़ी रुक गई", en="the sound does not advance"),
        ConsoleReason.STALE: Words(hi="सर्वर से संपर्क नहीं", en="no word from the server"),
        ConsoleReason.SHIFT: Words(hi="पाली समाप्त, फिर जाँच करें", en="the shift is over: test again"),
        ConsoleReason.DEVICES: Words(hi="ध्वनि उपकरण बदले गए", en="the audio devices were changed"),
        ConsoleReason.MUTED: Words(hi="उपयोगकर्ता ने ध्वनि बंद की", en="muted by its user"),
        ConsoleReason.SILENT: Words(hi="कंसोल से संपर्क टूटा", en="the console has fallen silent"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """
    What a console tells about itself every few seconds, in the words of its browser.

    heard_at: when its person heard the test tone, by the home's clock.
    visible: whether its page can be seen; `moved`: whether its sound advances.
    rms: how loud it measures itself while it sounds, None while it does not.
    """

    console: str
    state: str
    reason: str = ""
    heard_at: datetime | None = None
    visible: bool = True
    moved: bool = True
    rms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """
    A browser that sounds the siren, by the beats it sends.

    heard_at: when its person heard the test tone, by the home's clock.
    last_beat_at, armed_beat_at: its last beat, and its last beat while armed, by the wall clock.
    """

    id: str
    person: str
    state: ConsoleState
    reason: ConsoleReason
    heard_at: datetime | None
    last_beat_at: datetime
    armed_beat_at: datetime | None
    visible: bool
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The siren is still for so long, in a person's name, though it is called for."""

    person: str
    started_at: datetime
    until_at: datetime


class ProposalState(StrEnum):
    """What became of a proposal to cut for theft."""

    PROPOSED = "proposed"
    AUTHORISED = "authorised"
    REFUSED = "refused"


class ProposalEvent(StrEnum):
    """What another person decides."""

    AUTHORISE = "authorise"
    REFUSE = "refuse"


PROPOSAL_STEPS: LifeCycle[ProposalState, ProposalEvent] = MappingProxyType(
    {
        ProposalState.PROPOSED: {
            ProposalEvent.AUTHORISE: ProposalState.AUTHORISED,
            ProposalEvent.REFUSE: ProposalState.REFUSED,
        },
        ProposalState.AUTHORISED: {},
        ProposalState.REFUSED: {},
    }
)

PROPOSAL_NAMES: Mapping[ProposalState, Words] = MappingProxyType(
    {
        ProposalState.PROPOSED: Words(hi="प्रस्तावित", en="proposed"),
        ProposalState.AUTHORISED: Words(hi="अधिकृत", en="authorised"),
        ProposalState.REFUSED: Words(hi="अस्वीकार", en="refused"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal to cut a consumer for theft, made from an alarm; it sends no order by itself."""

    number: int
    alarm: int
    account: str
    office: str | None
    meter: str
    state: ProposalState
    reason: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str
