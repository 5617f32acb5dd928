"""Usage points, meters, accounts, the network, and who hung where and when."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import NamedTuple

from bijlighar.base.words import Words

#: The start of a hanging whose day nobody knows.
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_MINUTES = 30
MINUTES = (15, 30)


class MeterType(StrEnum):
    """What a meter is built for."""

    SINGLE_PHASE = "single-phase"
    THREE_PHASE = "three-phase"
    LT_CT = "lt-ct"
    TRANSFORMER = "transformer"
    FEEDER = "feeder"

    @property
    def has_relay(self) -> bool:
        """Return whether meters of this type carry a relay (IS 16444: whole-current meters only)."""
        return self in (MeterType.SINGLE_PHASE, MeterType.THREE_PHASE)

    @property
    def is_of_consumer(self) -> bool:
        """Return whether the meter measures a consumer, not a transformer or a feeder."""
        return self not in (MeterType.TRANSFORMER, MeterType.FEEDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDevice:
    """
    A meter.

    url: where it answers; None for an old meter that is read by hand.
    minutes: the length of its intervals.
    multiplier: what its energy is multiplied by (CT and PT ratio).
    """

    serial: str
    meter_type: MeterType
    url: str | None = None
    minutes: int = DEFAULT_MINUTES
    multiplier: int = 1
    gateway: str | None = None

    @property
    def communicates(self) -> bool:
        """Return whether the meter can be reached over the air or the wire."""
        return self.url is not None

    @property
    def has_relay(self) -> bool:
        """Return whether the supply can be cut from afar."""
        return self.communicates and self.meter_type.has_relay


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerAccount:
    """
    A consumer's account at one usage point.

    category, area: as the tariff book calls them; empty where unknown.
    sanctioned_w: sanctioned load [W], None where unknown.
    office: the town office, None where unknown.
    """

    number: str
    name: str
    category: str
    area: str
    sanctioned_w: int | None
    usage_point: str
    office: str | None
    phone: str | None = None
    language: str = "hi"
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """
    A reason why an account is not to be cut, from IST day `since` to `until`, both included (None: no end is known).

    certificate: the paper it rests on; empty where none was given.
    """

    account: str
    kind: str
    certificate: str
    until: date | None
    since: date


#: The kinds of protection that the house knows; a company may write others.
PROTECTION_NAMES: Mapping[str, Words] = MappingProxyType(
    {
        "life_support": Words(hi="जीवन रक्षक उपकरण", en="life-support equipment"),
        "court_stay": Words(hi="न्यायालय का स्थगन", en="stay of a court"),
    }
)


def protection_words(kind: str) -> Words:
    """
    Return what a kind of protection is called; one that the house does not know is called as it was written.

    >>> protection_words("life_support").en, protection_words("police_station").hi
    ('life-support equipment', 'police station')
    """
    plain = kind.replace("_", " ")
    return PROTECTION_NAMES.get(kind, Words(hi=plain, en=plain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """
    A distribution transformer; what is unknown is None.

    rated_va: rating [VA].
    no_load_loss_w, load_loss_w: losses of the name plate [W], the latter at full load.
    side: on which side its meter sits, "lv" or "hv".
    """

    code: str
    feeder: str | None = None
    rated_va: int | None = None
    no_load_loss_w: int | None = None
    load_loss_w: int | None = None
    side: str = "lv"

    @property
    def kva(self) -> Decimal | None:
        """Return the rating [kVA]."""
        return None if self.rated_va is None else Decimal(self.rated_va) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePoint:
    """A place of supply as it stands now."""

    code: str
    account: str | None = None
    transformer: str | None = None
    feeder: str | None = None
    phase: str | None = None
    office: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """
    A meter that hung at a usage point in [from_at, to_at); `to_at` None means that it still hangs.

    For a transformer's (feeder's) meter there is no account and `transformer` (`feeder`) is what it measures.
    """

    usage_point: str
    account: str | None
    meter: str
    meter_type: MeterType
    multiplier: int
    minutes: int
    transformer: str | None
    feeder: str | None
    phase: str | None
    office: str | None
    from_at: datetime
    to_at: datetime | None = None

    def hangs_at(self, moment: datetime) -> bool:
        """Return whether the meter hung at `moment`."""
        return self.from_at <= moment and (self.to_at is None or moment < self.to_at)


class MeterHanging(NamedTuple):
    """Where a meter hung in [from_at, to_at), with what its account's facts are now; None without an account."""

    meter: str
    usage_point: str
    from_at: datetime
    to_at: datetime | None
    meter_type: str
    multiplier: int
    minutes: int
    category: str | None
    sanctioned_w: int | None
    transformer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What taking in a registry file changed; all zero when the file was known."""

    rows: int
    accounts_new: int
    accounts_changed: int
    meters_new: int
    meters_changed: int
    installations_new: int
    installations_ended: int
    protections_new: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChange:
    """That who hangs where changed: `sequence` rises with each write, `since` is the earliest moment concerned."""

    sequence: int
    since: datetime


class Share(Enum):
    """How much of what a transformer or a feeder supplies belongs to a branch of the offices."""

    NONE = "none"
    PART = "part"
    WHOLE = "whole"

    @classmethod
    def of(cls, offices: Collection[str], *, branch: Collection[str], is_top: bool) -> "Share":
        """
        Return the share of a branch where the supplied places belong to `offices`.

        What belongs to no office at all belongs to the top of the tree.

        >>> Share.of({"MHOW", "DHAR"}, branch={"MHOW"}, is_top=False), Share.of((), branch={"MHOW"}, is_top=True)
        (<Share.PART: 'part'>, <Share.WHOLE: 'whole'>)
        """
        inside = sum(office in branch for office in offices)
        if inside == len(offices):
            return cls.WHOLE if offices or is_top else cls.NONE
        return cls.PART if inside else cls.NONE
