"""What a wall shows: its rows and its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bijlighar.alarms.life import Alarm, AlarmState, Priority
from bijlighar.base.words import Words


class SirenLevel(StrEnum):
    """How the siren sounds: for a tamper, for a fault of the system alone, or because nobody answered for long."""

    P1 = "P1"
    SYSTEM = "SYSTEM"
    ESCALATED = "ESCALATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WallTotals:
    """How much there is of each place, by its code; a share is told only where its total is given."""

    meters_of_feeder: Mapping[str, int] = field(default_factory=dict)
    transformers_of_feeder: Mapping[str, int] = field(default_factory=dict)
    meters_of_transformer: Mapping[str, int] = field(default_factory=dict)
    meters_of_office: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WallRow:
    """
    One row of the wall: an alarm, or several of one kind, place and time.

    key: names the row for as long as it stands; `sort`: rows stand in the order of these, compared by octets.
    alarms: its members, the first to occur first.
    guess: what probably happened, for several.
    meters_total: how many meters there are at the place that the members share; None where that is not known.
    office, transformer, feeder: None where unknown, or where the members differ.
    owners: who acknowledged them.
    """

    key: str
    sort: str
    priority: Priority
    state: AlarmState
    words: Words
    guess: Words | None
    alarms: tuple[Alarm, ...]
    meters_total: int | None
    office: str | None
    transformer: str | None
    feeder: str | None
    owners: tuple[str, ...]
    is_stale: bool

    @property
    def is_group(self) -> bool:
        """Return whether the row stands for several alarms."""
        return len(self.alarms) > 1

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of its alarms."""
        return tuple(alarm.number for alarm in self.alarms)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the meters (or parts of the system) concerned, each once."""
        return tuple(dict.fromkeys(alarm.source for alarm in self.alarms))

    @property
    def count(self) -> int:
        """Return how often it occurred."""
        return sum(alarm.count for alarm in self.alarms)

    @property
    def first_at(self) -> datetime:
        """Return when it first occurred."""
        return min(alarm.first_at for alarm in self.alarms)

    @property
    def last_at(self) -> datetime:
        """Return when it last occurred."""
        return max(alarm.last_at for alarm in self.alarms)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextEscalation:
    """To which level, and so to whom, the longest waiting P1 alarm goes next, and when."""

    level: int
    who: Words
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WallCounts:
    """
    What the wall says in numbers, all of one moment and one state of the database.

    number: the last line of the journal that is in them.
    unacknowledged: the alarms that nobody has acknowledged, by priority; those that are over are among them.
    tampers: those of them that are P1 alarms of meters; `acknowledged`: the open ones that somebody has.
    stale: those that have been open for longer than a day.
    last_10_min: how many were raised; `target_10_min`: what one person can answer; `flood_since`: since when they are
        far too many.
    median_ack_s: the median time to acknowledge, of the last answers of 24 hours [s].
    quarters: how many were raised in each quarter of an hour of the last 24 hours, the present one last.
    siren_required: whether the siren is called for; `siren_alarm`: by which alarm first; `sounding`: whether it is
        not silenced either.
    level: the highest level that a waiting P1 alarm has gone to, 0 for none; `escalated_to`: who that is.
    """

    at: datetime
    number: int
    unacknowledged: Mapping[Priority, int]
    tampers: int
    acknowledged: int
    stale: int
    last_10_min: int
    target_10_min: int
    flood_since: datetime | None
    median_ack_s: int | None
    quarters: tuple[int, ...]
    siren_required: bool
    siren_alarm: int | None
    siren_level: SirenLevel
    sounding: bool
    silenced_until: datetime | None
    silenced_by: str | None
    oldest_p1_at: datetime | None
    level: int
    escalated_to: Words | None
    next_escalation: NextEscalation | None
