"""The lines of the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.alarms.life import Priority
from bijlighar.base.words import Words


class JournalEvent(StrEnum):
    """What a line of the journal tells."""

    RAISED = "raised"
    REPEATED = "repeated"
    RECURRED = "recurred"
    CLEARED = "cleared"
    ENDED = "ended"
    ACKNOWLEDGED = "acknowledged"
    TAKEN_BACK = "taken_back"
    LAPSED = "lapsed"
    ESCALATED = "escalated"
    NOTED = "noted"
    SQUAD_SENT = "squad_sent"
    MESSAGE_SENT = "message_sent"
    CUT_PROPOSED = "cut_proposed"
    CUT_AUTHORISED = "cut_authorised"
    CUT_REFUSED = "cut_refused"
    SILENCED = "silenced"
    SILENCE_BROKEN = "silence_broken"
    CONSOLE_ARMED = "console_armed"
    CONSOLE_RELEASED = "console_released"
    CONSOLE_LOST = "console_lost"


JOURNAL_NAMES: Mapping[JournalEvent, Words] = MappingProxyType(
    {
        JournalEvent.RAISED: Words(hi="अलार्म आया", en="raised"),
        JournalEvent.REPEATED: Words(hi="फिर हुआ", en="occurred again"),
        JournalEvent.RECURRED: Words(hi="फिर हुआ, स्वीकृति शेष", en="occurred again, not acknowledged"),
        JournalEvent.CLEARED: Words(hi="समाप्त, स्वीकृति शेष", en="over, not acknowledged"),
        JournalEvent.ENDED: Words(hi="समाप्त", en="over"),
        JournalEvent.ACKNOWLEDGED: Words(hi="स्वीकृत", en="acknowledged"),
        JournalEvent.TAKEN_BACK: Words(hi="स्वीकृति वापस ली", en="acknowledgement taken back"),
        JournalEvent.LAPSED: Words(
            hi="स्वीकृति के बाद कोई कार्रवाई नहीं, फिर खुला", en="acknowledged, but nobody acted: open again"
        ),
        JournalEvent.ESCALATED: Words(hi="ऊपर सूचित", en="escalated"),
        JournalEvent.NOTED: Words(hi="टिप्पणी", en="note"),
        JournalEvent.SQUAD_SENT: Words(hi="दल भेजा", en="squad sent"),
        JournalEvent.MESSAGE_SENT: Words(hi="उपभोक्ता को संदेश भेजा", en="message sent to the consumer"),
        JournalEvent.CUT_PROPOSED: Words(hi="विच्छेदन प्रस्तावित", en="disconnection proposed"),
        JournalEvent.CUT_AUTHORISED: Words(hi="विच्छेदन अधिकृत", en="disconnection authorised"),
        JournalEvent.CUT_REFUSED: Words(hi="विच्छेदन अस्वीकार", en="disconnection refused"),
        JournalEvent.SILENCED: Words(hi="सायरन चुप किया", en="siren silenced"),
        JournalEvent.SILENCE_BROKEN: Words(hi="नए अलार्म से सायरन फिर चालू", en="siren on again by a new alarm"),
        JournalEvent.CONSOLE_ARMED: Words(hi="कंसोल का सायरन चालू", en="console armed"),
        JournalEvent.CONSOLE_RELEASED: Words(hi="कंसोल ड्यूटी से हटा", en="console off duty"),
        JournalEvent.CONSOLE_LOST: Words(hi="कंसोल का सायरन बंद", en="console not armed"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """
    One line of the journal, which is only ever added to.

    number: rises from line to line, not always by one; a reader that has seen one never finds a lower one later.
    alarm, priority, office: which alarm it is about, as it is after it; None: the siren or a console.
    person: who did it; None: the system.
    detail: a note, a squad, a count, a level, a console's reason: what goes with the event.
    """

    number: int
    at: datetime
    event: JournalEvent
    alarm: int | None
    priority: Priority | None
    office: str | None
    person: str | None
    detail: str

    @property
    def is_urgent(self) -> bool:
        """Return whether the siren may have to sound, or be still, because of it."""
        return self.priority is Priority.P1 or self.alarm is None
