"""Sealed months: their life cycle, and what came late for one. Frozen values; days are IST day numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.period import Month, date_of
from bijlighar.base.words import Words


class SealState(StrEnum):
    """How firmly a month is shut."""

    SEALED = "sealed"
    ASKED = "asked"
    OPENED = "opened"
    REMOVED = "removed"


class SealEvent(StrEnum):
    """What may happen to a seal: one person asks for its opening, another decides; or its intervals are removed."""

    ASK = "ask"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    REMOVE = "remove"


SEAL_STEPS: LifeCycle[SealState, SealEvent] = MappingProxyType(
    {
        SealState.SEALED: {SealEvent.ASK: SealState.ASKED, SealEvent.REMOVE: SealState.REMOVED},
        SealState.ASKED: {
            SealEvent.CONFIRM: SealState.OPENED,
            SealEvent.REFUSE: SealState.SEALED,
            SealEvent.WITHDRAW: SealState.SEALED,
        },
        SealState.OPENED: {},
        SealState.REMOVED: {},
    }
)
#: Those in which nothing of the month may change.
SHUT = (SealState.SEALED, SealState.ASKED, SealState.REMOVED)

SEAL_STATE_NAMES: Mapping[SealState, Words] = MappingProxyType(
    {
        SealState.SEALED: Words(hi="सील", en="sealed"),
        SealState.ASKED: Words(hi="सील खोलने का प्रस्ताव", en="sealed, its opening is asked for"),
        SealState.OPENED: Words(hi="सील खोली गई", en="opened"),
        SealState.REMOVED: Words(hi="सील, अंतराल अभिलेखागार में", en="sealed, its intervals are archived"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSeal:
    """
    A sealed month of an office and all below it.

    first, last: the days of the month, both included.
    is_company: whether the office is the head office: then every meter is meant, wherever it hangs or hung.
    meter_days: how many stood in it; `digest` is the SHA-256 [hex] of their keys and versions.
    revision: counts the steps; a command that names an older one is refused.
    """

    number: int
    first: int
    last: int
    office: str
    is_company: bool
    state: SealState
    revision: int
    meter_days: int
    digest: str
    sealed_by: str
    sealed_at: datetime
    note: str
    asked_by: str | None = None
    asked_at: datetime | None = None
    asked_note: str = ""
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_note: str = ""

    @property
    def month(self) -> Month:
        """Return the month."""
        return Month.of(date_of(self.first))


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSum:
    """
    What came late for a sealed month of one meter: the correction that is to be taken up.

    intervals: how many values of energy were held; each interval counts once.
    standing_wh, late_wh: import of these intervals as the sealed month has it (estimates included), and as it came.
    standing_export_wh, late_export_wh: export likewise.
    registers: how many register snapshots were held.
    """

    meter: str
    meter_days: int
    intervals: int
    standing_wh: int
    late_wh: int
    standing_export_wh: int
    late_export_wh: int
    registers: int
    first_at: datetime
    last_at: datetime

    @property
    def difference_wh(self) -> int:
        """Return by how much the month's import would grow [Wh]."""
        return self.late_wh - self.standing_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCheck:
    """How many meter-days stand in a sealed month, and whether they are those that were sealed."""

    meter_days: int
    is_unchanged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SealOutlook:
    """
    A month of an office before it is sealed: how many meter-days it would hold, how many of them are not validated.

    first_unchecked: the first of these: meter and day. seal: the number of the seal that shuts it already.
    """

    meter_days: int
    unchecked: int
    first_unchecked: tuple[str, date] | None
    seal: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """A month whose intervals may be removed: the company's seal, and how many rows and versions it has."""

    seal: MonthSeal
    meter_days: int
    versions: int

    @property
    def first_day(self) -> date:
        """Return the first day of the month."""
        return date_of(self.seal.first)
